//! The wall socket: one for each page, all its tiles on it. Frame messages go from the relays' hubs to the socket as the
//! very bytes that came from the edge. A page that is slow skips to the newest key frame and is told; it never slows
//! another, because each has a task and a place in the ring of its own and the hubs wait for nobody.

mod pushes;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use control_protocol::{
    CameraId, HallId,
    frame::Tier,
    hub::{Bell, Item},
    websocket::Message,
};
use http::{HeaderMap, StatusCode, Uri};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::pushes::Pushes;
use super::{
    Seat,
    watch::{Asked, AskedTile, MAX_TEXT, MissedRow, TileRow, Told, read},
    watchable,
};
use crate::{
    Centre,
    access::{Denied, Person, audit, origin::check_origin, session_alive},
    nodes::count,
    site::{
        problem::Problem,
        upgrade::{Socket, Upgrade},
    },
    store::{Change, StoreError},
};

/// Chrome drops a socket that is quiet for a minute.
const PING: Duration = Duration::from_secs(20);
/// A page that takes nothing for so long is gone or hopeless.
const SLOW: Duration = Duration::from_secs(20);
/// How often it is looked whether the session still stands.
const SESSION: Duration = Duration::from_secs(4);
/// Bytes of pictures gathered before they are written.
const WRITE: usize = 128 * 1024;
/// So many times pictures come first, then once what else there is.
const PICTURES: u8 = 16;
/// Why a socket is closed (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;
const AWAY: u16 = 1001;
const POLICY: u16 = 1008;
/// How long changes of windows and of the tree are gathered before they are acted on.
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
    upgrade: Upgrade,
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
    upgrade.answer(MAX_TEXT, move |socket| async move {
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
async fn run(centre: &Centre, person: Person, socket: Socket) {
    let (told, session) = watch::channel(Some(person.clone()));
    let over = CancellationToken::new();
    let watcher = tokio::spawn(watch_session(centre.clone(), person.clone(), told, over.clone()));
    let mut page = Page {
        centre,
        person,
        session,
        socket,
        tree: centre.store.tree(),
        tree_due: None,
        turn: 0,
        bell: Bell::new(),
        tiles: Vec::new(),
        seats: HashMap::new(),
        pushes: Pushes::default(),
        over: over.clone(),
        _ends_watcher: over.clone().drop_guard(),
    };
    let end = page.talk().await;
    let (code, reason) = match end {
        End::Gone => (NORMAL, "bye"),
        End::Slow => (POLICY, "this page took nothing for 20 seconds"),
        End::SignedOut => (POLICY, "signed out"),
        End::Stopping => (AWAY, "the centre stops"),
    };
    if matches!(end, End::Slow) {
        count(&centre.live.figures().slow_pages, 1);
    }
    tracing::info!(reason, "a wall is closed");
    // Best effort: the page may be gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), page.socket.close(code, reason)).await;
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
    socket: Socket,
    /// The tree changed: cameras may be new, gone, or in another area.
    tree: watch::Receiver<u64>,
    tree_due: Option<Instant>,
    turn: u8,
    bell: Arc<Bell>,
    tiles: Vec<Tile>,
    seats: HashMap<u32, Taken>,
    pushes: Pushes,
    /// Cancelled when the session is over.
    over: CancellationToken,
    _ends_watcher: DropGuard,
}

/// Something the page's task has woken for.
enum Woke {
    Text(String),
    Streams(Vec<u32>),
    Session,
    Tree,
    TreeDue,
    Ping,
    Change(Result<Change, broadcast::error::RecvError>),
    Due,
    Nothing,
    End(End),
}

impl Page<'_> {
    async fn talk(&mut self) -> End {
        let (stop, over) = (self.centre.stop.clone(), self.over.clone());
        tokio::select! {
            biased;
            () = over.cancelled() => End::SignedOut,
            () = stop.cancelled() => End::Stopping,
            end = self.go_on() => end,
        }
    }

    async fn go_on(&mut self) -> End {
        let mut ping = tokio::time::interval(PING);
        loop {
            let woke = self.wake(&mut ping).await;
            if let Err(end) = self.act(woke).await {
                return end;
            }
        }
    }

    async fn wake(&mut self, ping: &mut tokio::time::Interval) -> Woke {
        let due = self.pushes.due();
        // Nearly always it is pictures that wake a page: they are looked for first, and what else may have come when there
        // are none, or at its turn, so that a bell that never rests does not keep the page's own words waiting.
        self.turn = self.turn.wrapping_add(1);
        let pictures_first = !self.turn.is_multiple_of(PICTURES);
        tokio::select! {
            biased;
            streams = self.bell.rung(), if pictures_first => Woke::Streams(streams),
            message = self.socket.next() => match message {
                Some(Ok(Message::Text(text))) => Woke::Text(text),
                Some(Ok(Message::Close { .. }) | Err(_)) | None => Woke::End(End::Gone),
                Some(Ok(_)) => Woke::Nothing,
            },
            _ = self.session.changed() => Woke::Session,
            _ = self.tree.changed() => Woke::Tree,
            () = until(self.tree_due) => Woke::TreeDue,
            _ = ping.tick() => Woke::Ping,
            change = self.pushes.next_change() => Woke::Change(change),
            () = until(due) => Woke::Due,
            streams = self.bell.rung(), if !pictures_first => Woke::Streams(streams),
        }
    }

    async fn act(&mut self, woke: Woke) -> Result<(), End> {
        match woke {
            Woke::Nothing => Ok(()),
            Woke::End(end) => Err(end),
            Woke::Ping => {
                self.socket.queue(Message::Ping(Bytes::new()));
                self.flush().await
            }
            Woke::Text(text) => match read(&text) {
                Ok(asked) => self.asked(asked).await,
                Err(problem) => self.tell(&Told::Error(problem)).await,
            },
            Woke::Streams(mut streams) => {
                if self.seats.len() > 1 {
                    // Connections that have pictures at the same moment are read first: one write for all of them.
                    tokio::task::yield_now().await;
                    streams.extend(self.bell.take());
                }
                self.pump(streams).await
            }
            Woke::Session => {
                let person = self.session.borrow_and_update().clone();
                self.person = person.ok_or(End::SignedOut)?;
                self.watch_again().await?;
                self.pushes.reload();
                Ok(())
            }
            Woke::Tree => {
                self.tree_due.get_or_insert_with(|| Instant::now() + GATHER);
                Ok(())
            }
            Woke::TreeDue => {
                self.tree_due = None;
                self.watch_again().await
            }
            Woke::Change(change) => {
                self.pushes.changed(change);
                Ok(())
            }
            Woke::Due => self.push().await,
        }
    }

    async fn asked(&mut self, asked: Asked) -> Result<(), End> {
        self.ask_alarms(asked.alarms).await?;
        if let Some(tiles) = asked.watch {
            self.watch(tiles).await?;
        }
        self.ask_windows(asked.states).await
    }

    /// Judges anew what the page asked for: what it may see has changed.
    async fn watch_again(&mut self) -> Result<(), End> {
        if self.tiles.is_empty() {
            return Ok(());
        }
        let tiles = self.tiles.iter().map(|tile| tile.asked.clone()).collect();
        self.watch(tiles).await
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
        self.tell_rows()?;
        self.flush().await
    }

    /// The halls of the cameras that the person may watch, and a line in the audit log for those that are new.
    async fn allowed(
        &mut self,
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
            self.tell_rows()?;
        }
        let figures = self.centre.live.figures();
        for stream in streams {
            // A frame of a stream that has left the set in the meantime is nothing.
            while let Some(item) =
                self.seats.get_mut(&stream).and_then(|taken| taken.seat.subscription.take())
            {
                match item {
                    Item::Parameters(message) | Item::Frame { message, .. } => {
                        count(&figures.messages, 1);
                        count(&figures.bytes, message.len() as u64);
                        self.socket.queue(Message::Binary(message));
                    }
                    Item::Missed(frames) => {
                        count(&figures.missed, frames);
                        let text = text_of(&Told::Missed(vec![MissedRow { stream, frames }]))?;
                        self.socket.queue(text);
                    }
                    // The row says why; the stream's task has ended with the centre.
                    Item::Ended => break,
                }
                // What becomes old while a slow page takes these can still be left out.
                if self.socket.queued() >= WRITE {
                    self.flush().await?;
                }
            }
        }
        self.flush().await
    }

    /// Every tile's row, complete.
    fn tell_rows(&mut self) -> Result<(), End> {
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
        self.socket.queue(text_of(&Told::Streams(rows))?);
        Ok(())
    }

    async fn tell(&mut self, told: &Told) -> Result<(), End> {
        self.socket.queue(text_of(told)?);
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), End> {
        match tokio::time::timeout(SLOW, self.socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }
}

fn text_of(told: &Told) -> Result<Message, End> {
    match serde_json::to_string(told) {
        Ok(text) => Ok(Message::Text(text)),
        Err(error) => {
            tracing::error!(%error, "a text to a page cannot be written");
            Err(End::Gone)
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
