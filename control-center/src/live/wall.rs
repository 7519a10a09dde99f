//! The wall socket: one for each page, all its tiles on it. Frame messages go from the relays' hubs to the socket as the
//! very bytes that came from the edge. A page that is slow skips to the newest key frame and is told; it never slows
//! another, because each has a task and a place in the ring of its own and the hubs wait for nobody.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use control_protocol::{
    CameraId, HallId, WindowId,
    frame::Tier,
    hub::{Bell, Item},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use http::{HeaderMap, StatusCode, Uri};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Seat,
    watch::{Asked, AskedTile, MAX_TEXT, MissedRow, TileRow, Told, read},
    watchable,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Scope, audit, origin::check_origin, session_alive},
    nodes::count,
    queue::window_rows,
    site::problem::Problem,
    store::{Change, Filter, Sql, StoreError},
};

/// Chrome drops a socket that is quiet for a minute.
const PING: Duration = Duration::from_secs(20);
/// A page that takes nothing for so long is gone or hopeless.
const SLOW: Duration = Duration::from_secs(20);
/// How often it is looked whether the session still stands.
const SESSION: Duration = Duration::from_secs(4);
/// How long window changes are gathered before they are pushed.
const GATHER: Duration = Duration::from_millis(100);

/// The wall: a WebSocket that carries every tile of a page. The page sends `{"watch":[{"tile","camera","tier"}]}`, the
/// whole set each time, and gets every tile's row at each change, then frame messages. `{"states":true}` adds pushes of
/// window rows.
#[utoipa::path(get, path = "/wall", tag = "live",
    responses((status = 101, description = "the socket is open"), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn wall(
    State(centre): State<Centre>,
    person: Person,
    headers: HeaderMap,
    uri: Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Before the upgrade, so that another site's page gets an HTTP error and no socket.
    if let Err(problem) = check_origin(&headers, uri.authority().map(|authority| authority.as_str())) {
        return problem.into_response();
    }
    let Ok(place) = centre.live.pages().clone().try_acquire_owned() else {
        let mut problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many walls are open: try again later");
        problem.retry_after = Some(10);
        return problem.into_response();
    };
    upgrade
        .max_message_size(MAX_TEXT)
        .max_frame_size(MAX_TEXT)
        .read_buffer_size(8 * 1024)
        .write_buffer_size(128 * 1024)
        .on_upgrade(move |socket| async move {
            centre.live.figures().pages.fetch_add(1, Ordering::Relaxed);
            run(&centre, person, socket).await;
            centre.live.figures().pages.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        })
}

/// Why a page's socket ends, as its close frame says.
enum End {
    /// The page left, or its connection broke.
    Gone,
    /// It took nothing for too long.
    Slow,
    /// Signed out, expired or disabled.
    SignedOut,
    /// The centre stops.
    Stopping,
}

#[tracing::instrument(name = "wall", skip_all, fields(who = %person.name))]
async fn run(centre: &Centre, person: Person, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let (told, session) = watch::channel(Some(person.clone()));
    let over = CancellationToken::new();
    let watcher = tokio::spawn(watch_session(centre.clone(), person.clone(), told, over.clone()));
    let mut page = Page {
        centre,
        person,
        session,
        sink,
        bell: Bell::new(),
        tiles: Vec::new(),
        seats: HashMap::new(),
        windows: None,
        over: over.clone(),
        _ends_watcher: over.clone().drop_guard(),
    };
    let end = page.talk(stream).await;
    let (code, reason) = match end {
        End::Gone => (close_code::NORMAL, "bye"),
        End::Slow => (close_code::POLICY, "this page took nothing for 20 seconds"),
        End::SignedOut => (close_code::POLICY, "signed out"),
        End::Stopping => (close_code::AWAY, "the centre stops"),
    };
    if matches!(end, End::Slow) {
        count(&centre.live.figures().slow_pages, 1);
    }
    tracing::info!(reason, "a wall is closed");
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    // Best effort: the page may be gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), page.sink.send(close)).await;
    drop(page);
    if let Err(error) = watcher.await {
        tracing::warn!(%error, "the watcher of a session failed");
    }
}

/// Looks every few seconds whether the session stands, beside the page's task, which a slow page can hold up.
async fn watch_session(
    centre: Centre,
    mut person: Person,
    told: watch::Sender<Option<Person>>,
    over: CancellationToken,
) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(SESSION) => {}
        }
        match session_alive(&centre, &person).await {
            Ok(Some(now)) => {
                if now.grants != person.grants {
                    told.send_replace(Some(now.clone()));
                }
                person = now;
            }
            Ok(None) => {
                told.send_replace(None);
                over.cancel();
                return;
            }
            Err(error) => tracing::warn!(%error, "whether a session stands cannot be read; asked again soon"),
        }
    }
}

/// A tile as it stands: the stream it shows, or why it shows none.
struct Tile {
    asked: AskedTile,
    stream: Result<u32, String>,
}

/// A stream that the page takes part in, however many of its tiles show it.
struct Taken {
    seat: Seat,
    /// The relay's turn that the page was last told.
    told: u64,
}

struct Page<'a> {
    centre: &'a Centre,
    person: Person,
    session: watch::Receiver<Option<Person>>,
    sink: SplitSink<WebSocket, Message>,
    bell: Arc<Bell>,
    tiles: Vec<Tile>,
    seats: HashMap<u32, Taken>,
    windows: Option<Windows>,
    /// Cancelled when the session is over.
    over: CancellationToken,
    _ends_watcher: DropGuard,
}

/// What is pushed of windows.
struct Windows {
    changes: broadcast::Receiver<Change>,
    /// The windows in the person's area, with their halls.
    mine: BTreeMap<WindowId, HallId>,
    changed: HashSet<WindowId>,
    /// Everything is to be read anew.
    all: bool,
    due: Option<Instant>,
}

/// Something the page's task has woken for.
enum Woke {
    Text(String),
    Streams(Vec<u32>),
    Session,
    Ping,
    Change(Result<Change, broadcast::error::RecvError>),
    Due,
    Nothing,
    End(End),
}

impl Page<'_> {
    async fn talk(&mut self, mut stream: SplitStream<WebSocket>) -> End {
        let mut ping = tokio::time::interval(PING);
        loop {
            let woke = self.wake(&mut stream, &mut ping).await;
            let (stop, over) = (self.centre.stop.clone(), self.over.clone());
            let ended = tokio::select! {
                biased;
                () = over.cancelled() => Err(End::SignedOut),
                () = stop.cancelled() => Err(End::Stopping),
                done = self.act(woke) => done,
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    async fn wake(&mut self, stream: &mut SplitStream<WebSocket>, ping: &mut tokio::time::Interval) -> Woke {
        let due = self.windows.as_ref().and_then(|windows| windows.due);
        tokio::select! {
            () = self.over.cancelled() => Woke::End(End::SignedOut),
            () = self.centre.stop.cancelled() => Woke::End(End::Stopping),
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => Woke::Text(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => Woke::End(End::Gone),
                Some(Ok(_)) => Woke::Nothing,
            },
            streams = self.bell.rung() => Woke::Streams(streams),
            _ = self.session.changed() => Woke::Session,
            _ = ping.tick() => Woke::Ping,
            change = next_change(&mut self.windows) => Woke::Change(change),
            () = until(due) => Woke::Due,
        }
    }

    async fn act(&mut self, woke: Woke) -> Result<(), End> {
        match woke {
            Woke::Nothing => Ok(()),
            Woke::End(end) => Err(end),
            Woke::Ping => {
                self.put(Message::Ping(Bytes::new())).await?;
                self.flush().await
            }
            Woke::Text(text) => match read(&text) {
                Ok(asked) => self.asked(asked).await,
                Err(problem) => self.tell(&Told::Error(problem)).await,
            },
            Woke::Streams(streams) => self.pump(streams).await,
            Woke::Session => {
                let person = self.session.borrow_and_update().clone();
                self.person = person.ok_or(End::SignedOut)?;
                let tiles = self.tiles.iter().map(|tile| tile.asked.clone()).collect();
                self.watch(tiles).await?;
                self.reload_windows();
                Ok(())
            }
            Woke::Change(change) => {
                self.changed(change);
                Ok(())
            }
            Woke::Due => self.push_windows().await,
        }
    }

    async fn asked(&mut self, asked: Asked) -> Result<(), End> {
        if let Some(tiles) = asked.watch {
            self.watch(tiles).await?;
        }
        match (asked.states, &self.windows) {
            (Some(true), None) => {
                let changes = self.centre.store.changes();
                let (mine, changed) = (BTreeMap::new(), HashSet::new());
                let windows = Windows { changes, mine, changed, all: true, due: None };
                self.windows = Some(windows);
                self.push_windows().await
            }
            (Some(false), _) => {
                self.windows = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes `tiles` the set the page watches. What stays in it goes on without a break.
    async fn watch(&mut self, tiles: Vec<AskedTile>) -> Result<(), End> {
        let halls = match self.allowed(&tiles).await {
            Ok(halls) => halls,
            Err(error) => return self.tell(&Told::Error(error.into())).await,
        };
        let mut former = std::mem::take(&mut self.seats);
        let held: HashMap<(CameraId, Tier), u32> = self
            .tiles
            .drain(..)
            .filter_map(|tile| Some(((tile.asked.camera_id()?, tile.asked.tier), tile.stream.ok()?)))
            .collect();
        let mut streams: HashMap<(CameraId, Tier), u32> = HashMap::new();
        for asked in tiles {
            let camera = asked.camera_id();
            let hall = camera.as_ref().and_then(|camera| halls.get(camera));
            let stream = match (camera, hall) {
                (Some(camera), Some(Ok(hall))) => {
                    let key = (camera, asked.tier);
                    let stream = match streams.get(&key) {
                        Some(stream) => *stream,
                        None => {
                            let kept = held.get(&key).and_then(|stream| former.remove(stream));
                            let taken = kept.unwrap_or_else(|| {
                                let seat = self.centre.live.relays().join(&key.0, hall, key.1, &self.bell);
                                Taken { seat, told: 0 }
                            });
                            let stream = taken.seat.relay().stream().0;
                            self.seats.insert(stream, taken);
                            streams.insert(key, stream);
                            stream
                        }
                    };
                    Ok(stream)
                }
                (_, Some(Err(denied))) => Err(denied.to_string()),
                _ => Err(Denied::Outside.to_string()),
            };
            self.tiles.push(Tile { asked, stream });
        }
        drop(former);
        self.tell_rows().await?;
        self.flush().await
    }

    /// The halls of the cameras that the person may watch, and a line in the audit log for those that are new.
    async fn allowed(
        &self,
        tiles: &[AskedTile],
    ) -> Result<HashMap<CameraId, Result<HallId, Denied>>, StoreError> {
        let cameras: HashSet<CameraId> = tiles.iter().filter_map(AskedTile::camera_id).collect();
        let person = self.person.clone();
        let halls: HashMap<CameraId, Result<HallId, Denied>> = self
            .centre
            .store
            .read(move |sql| {
                let mut halls = HashMap::with_capacity(cameras.len());
                for camera in cameras {
                    let hall = watchable(sql, &person, &camera)?;
                    halls.insert(camera, hall);
                }
                Ok::<_, StoreError>(halls)
            })
            .await?;
        let before: HashSet<CameraId> = self
            .tiles
            .iter()
            .filter(|tile| tile.stream.is_ok())
            .filter_map(|tile| tile.asked.camera_id())
            .collect();
        let mut begun: Vec<&str> = halls
            .iter()
            .filter(|(camera, hall)| hall.is_ok() && !before.contains(*camera))
            .map(|(camera, _)| camera.as_str())
            .collect();
        if !begun.is_empty() {
            begun.sort_unstable();
            let (object, detail) = match begun[..] {
                [one] => (one.to_owned(), String::new()),
                _ => ("wall".to_owned(), begun.join(" ")),
            };
            let (person, now) = (self.person.clone(), self.centre.clock.now());
            // Whoever cannot be written down sees nothing.
            self.centre
                .store
                .write("audit of a watch", move |tx| {
                    audit::audit(tx.sql, &person, "live.watch", &object, &detail, now)
                })
                .await?;
        }
        Ok(halls)
    }

    /// Sends what the rung streams have: rows first, then frames, then one flush.
    async fn pump(&mut self, streams: Vec<u32>) -> Result<(), End> {
        let news = streams.iter().any(|stream| {
            self.seats.get(stream).is_some_and(|taken| taken.told != taken.seat.relay().turn())
        });
        if news {
            self.tell_rows().await?;
        }
        let figures = self.centre.live.figures();
        for stream in streams {
            // A frame of a stream that has left the set in the meantime is nothing.
            let Some(taken) = self.seats.get_mut(&stream) else { continue };
            while let Some(item) = taken.seat.subscription.take() {
                match item {
                    Item::Parameters(message) | Item::Frame { message, .. } => {
                        count(&figures.messages, 1);
                        count(&figures.bytes, message.len() as u64);
                        put(&mut self.sink, Message::Binary(message)).await?;
                    }
                    Item::Missed(frames) => {
                        count(&figures.missed, frames);
                        let text = text_of(&Told::Missed(vec![MissedRow { stream, frames }]))?;
                        put(&mut self.sink, text).await?;
                    }
                    // The row says why; the stream's task has ended with the centre.
                    Item::Ended => break,
                }
            }
        }
        self.flush().await
    }

    /// Every tile's row, complete.
    async fn tell_rows(&mut self) -> Result<(), End> {
        let mut shown = HashMap::with_capacity(self.seats.len());
        for (stream, taken) in &mut self.seats {
            // The turn first: a change after it rings again.
            taken.told = taken.seat.relay().turn();
            shown.insert(*stream, taken.seat.relay().shown());
        }
        let rows = self
            .tiles
            .iter()
            .filter_map(|tile| match &tile.stream {
                Ok(stream) => shown.get(stream).map(|shown| TileRow::of(tile.asked.tile, *stream, shown)),
                Err(why) => Some(TileRow::forbidden(tile.asked.tile, why.clone())),
            })
            .collect();
        self.put(text_of(&Told::Streams(rows))?).await
    }

    fn changed(&mut self, change: Result<Change, broadcast::error::RecvError>) {
        let Some(windows) = &mut self.windows else { return };
        match change {
            Ok(Change::Window(window)) if windows.mine.contains_key(&window) => {
                windows.changed.insert(window);
            }
            Ok(Change::Hall(hall)) => {
                let of_hall = windows.mine.iter().filter(|(_, of)| **of == hall).map(|(id, _)| id.clone());
                windows.changed.extend(of_hall);
            }
            Ok(Change::Tree) | Err(broadcast::error::RecvError::Lagged(_)) => windows.all = true,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => self.windows = None,
        }
        if let Some(windows) = &mut self.windows
            && (windows.all || !windows.changed.is_empty())
        {
            windows.due.get_or_insert_with(|| Instant::now() + GATHER);
        }
    }

    fn reload_windows(&mut self) {
        if let Some(windows) = &mut self.windows {
            windows.all = true;
            windows.due.get_or_insert_with(Instant::now);
        }
    }

    /// Sends the rows of the windows that changed, or of all.
    async fn push_windows(&mut self) -> Result<(), End> {
        let Some(windows) = &mut self.windows else { return Ok(()) };
        windows.due = None;
        let all = std::mem::take(&mut windows.all);
        let changed: Vec<WindowId> = windows.changed.drain().collect();
        let scope = Scope::of(&self.person, Action::SeeService);
        let read = self
            .centre
            .store
            .read(move |sql| {
                let mine = if all { Some(windows_within(sql, &scope)?) } else { None };
                let ids = mine.as_ref().map_or(changed, |mine| mine.keys().cloned().collect());
                Ok::<_, StoreError>((mine, window_rows(sql, &ids)?))
            })
            .await;
        match read {
            Ok((mine, rows)) => {
                if let (Some(windows), Some(mine)) = (&mut self.windows, mine) {
                    windows.mine = mine;
                }
                self.tell(&Told::Windows(rows)).await
            }
            Err(error) => {
                tracing::warn!(%error, "window rows cannot be read; tried again soon");
                if let Some(windows) = &mut self.windows {
                    windows.all = true;
                    windows.due = Some(Instant::now() + Duration::from_secs(1));
                }
                Ok(())
            }
        }
    }

    async fn tell(&mut self, told: &Told) -> Result<(), End> {
        self.put(text_of(told)?).await?;
        self.flush().await
    }

    async fn put(&mut self, message: Message) -> Result<(), End> {
        put(&mut self.sink, message).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        match tokio::time::timeout(SLOW, self.sink.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }
}

async fn put(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> Result<(), End> {
    match tokio::time::timeout(SLOW, sink.feed(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Slow),
    }
}

fn text_of(told: &Told) -> Result<Message, End> {
    match serde_json::to_string(told) {
        Ok(text) => Ok(Message::text(text)),
        Err(error) => {
            tracing::error!(%error, "a text to a page cannot be written");
            Err(End::Gone)
        }
    }
}

async fn next_change(windows: &mut Option<Windows>) -> Result<Change, broadcast::error::RecvError> {
    match windows {
        Some(windows) => windows.changes.recv().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The windows within `scope`, with their halls.
fn windows_within(sql: &mut dyn Sql, scope: &Scope) -> Result<BTreeMap<WindowId, HallId>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT w.id, w.hall FROM windows w JOIN halls h ON h.id = w.hall",
        "ORDER BY w.id",
        100_000,
    );
    sql.query(&statement, &params)?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}
