//! The wall from both of its ends: pages on loopback, edges over TLS.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use control_protocol::{
    StreamId,
    channel::{StreamState, ToCentre, ToEdge},
    frame::{HEADER, Header, Kind, Tier},
};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::{
    nodes::rig::{Edge, Rig, Socket, hall, hear, lease, message, say},
    params,
    store::{Change, Sql},
};

const CAMERA: &str = "450103-01-W01-C1";
const OTHER_HALL: &str = "450103-02-W01-C1";
const PATIENCE: Duration = Duration::from_secs(15);

/// A page's end of the wall.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The newest row of each tile.
    rows: HashMap<u64, Value>,
    missed: u64,
}

/// What a page hears.
enum Heard {
    Text(Value),
    Frame(Header, Bytes),
    Closed(String),
}

async fn open(rig: &Rig, cookie: &str, origin: Option<&str>) -> Result<Page, tungstenite::Error> {
    let mut request = format!("ws://{}/api/v1/wall", rig.site_at).into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let (socket, _) = tokio_tungstenite::connect_async(request).await?;
    Ok(Page { socket, rows: HashMap::new(), missed: 0 })
}

impl Page {
    async fn new(rig: &Rig, name: &'static str) -> Self {
        open(rig, &rig.cookie(name).await, None).await.unwrap()
    }

    async fn ask(&mut self, text: Value) {
        self.socket.send(Message::text(text.to_string())).await.unwrap();
    }

    async fn watch(&mut self, tiles: &[(u32, &str, &str)]) {
        let tiles: Vec<Value> = tiles
            .iter()
            .map(|(tile, camera, tier)| json!({"tile": tile, "camera": camera, "tier": tier}))
            .collect();
        self.ask(json!({"watch": tiles})).await;
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something comes");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    for row in value["streams"].as_array().into_iter().flatten() {
                        self.rows.insert(row["tile"].as_u64().unwrap(), row.clone());
                    }
                    for row in value["missed"].as_array().into_iter().flatten() {
                        self.missed += row["frames"].as_u64().unwrap();
                    }
                    return Heard::Text(value);
                }
                Some(Ok(Message::Binary(bytes))) => {
                    return Heard::Frame(Header::read(&bytes).unwrap(), bytes);
                }
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map(|f| f.reason.to_string()).unwrap_or_default());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Closed("broken".into()),
            }
        }
    }

    /// Waits until a tile's row has this state.
    async fn state(&mut self, tile: u64, state: &str) -> Value {
        loop {
            if let Some(row) = self.rows.get(&tile).filter(|row| row["state"] == state) {
                return row.clone();
            }
            if let Heard::Closed(why) = self.hear().await {
                panic!("closed: {why}");
            }
        }
    }

    async fn text(&mut self) -> Value {
        loop {
            match self.hear().await {
                Heard::Text(text) => return text,
                Heard::Frame(..) => {}
                Heard::Closed(why) => panic!("closed: {why}"),
            }
        }
    }

    /// The next frame message.
    async fn frame(&mut self) -> (Header, Bytes) {
        loop {
            match self.hear().await {
                Heard::Frame(header, bytes) => return (header, bytes),
                Heard::Text(_) => {}
                Heard::Closed(why) => panic!("closed: {why}"),
            }
        }
    }
}

/// An edge that serves one lease by hand.
struct Media {
    socket: Socket,
    tier: Tier,
    stream: StreamId,
}

impl Media {
    async fn dial(rig: &Rig, edge: &Edge, lease: &str, tier: Tier, stream: StreamId) -> Self {
        let mut socket = edge.socket(rig, &format!("/node/v1/media/{lease}")).await;
        let description = json!({"codec": "avc1.4d401f", "width": 640, "height": 360}).to_string();
        socket.send(Message::text(description)).await.unwrap();
        let mut media = Self { socket, tier, stream };
        media.send(Kind::Parameters, false, 0, b"avcC").await;
        media
    }

    async fn send(&mut self, kind: Kind, key: bool, n: i64, payload: &[u8]) -> Bytes {
        let bytes = message(kind, key, self.tier, self.stream, n, payload);
        self.socket.send(Message::Binary(bytes.clone())).await.unwrap();
        bytes
    }

    async fn frame(&mut self, key: bool, n: i64) -> Bytes {
        self.send(Kind::Frame, key, n, format!("unit {n}").as_bytes()).await
    }
}

async fn closed(socket: &mut Socket) {
    let gone = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is closed");
}

#[tokio::test]
async fn two_pages_share_one_lease_and_the_last_one_ends_it() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    let mut first = Page::new(&rig, "boss").await;
    first.watch(&[(1, CAMERA, "sub"), (2, CAMERA, "sub")]).await;
    let (id, camera, tier, stream) = lease(&mut channel).await;
    assert_eq!((camera.as_str(), tier), (CAMERA, Tier::Sub));
    first.state(1, "connecting").await;
    let mut media = Media::dial(&rig, &edge, &id, tier, stream).await;
    let key = media.frame(true, 1).await;
    let row = first.state(1, "live").await;
    assert_eq!(row["stream"], stream.0);
    assert_eq!((&row["codec"], &row["width"]), (&json!("avc1.4d401f"), &json!(640)));
    assert_eq!(first.state(2, "live").await["stream"], stream.0);
    assert_eq!(first.frame().await.0.kind, Kind::Parameters);
    assert_eq!(first.frame().await.1, key);
    // A second page begins at the last key frame at once, and the edge is not asked again.
    let delta = media.frame(false, 2).await;
    assert_eq!(first.frame().await.1, delta);
    let mut second = Page::new(&rig, "hm").await;
    second.watch(&[(9, CAMERA, "sub")]).await;
    assert_eq!(second.frame().await.0.kind, Kind::Parameters);
    assert_eq!(second.frame().await.1, key);
    assert_eq!(second.frame().await.1, delta);
    assert_eq!(rig.centre.live.relays().count(), (1, 2));
    first.watch(&[]).await;
    drop(first);
    let next = media.frame(false, 3).await;
    assert_eq!(second.frame().await.1, next);
    second.socket.close(None).await.unwrap();
    // The last one has left: the edge is told, and the stream's connection closes.
    let released = async {
        loop {
            match hear(&mut channel).await.unwrap() {
                ToEdge::Release { lease } => return lease.to_string(),
                ToEdge::Renew { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, released).await.unwrap(), id);
    closed(&mut media.socket).await;
    assert_eq!(rig.centre.live.relays().count().0, 0);
    assert_eq!(rig.centre.nodes.leases().count(), 0);
    let audit = rig
        .centre
        .store
        .read(|sql| sql.query("SELECT who, object FROM audit WHERE action = 'live.watch'", params![]))
        .await
        .unwrap();
    assert_eq!(audit.len(), 2);
}

#[tokio::test]
async fn what_is_not_theirs_is_forbidden_and_says_nothing() {
    let rig = Rig::new().await;
    let mut page = Page::new(&rig, "hm").await;
    page.watch(&[(1, OTHER_HALL, "sub"), (2, "450103-01-W99-C1", "key"), (3, "../x", "main")]).await;
    page.text().await;
    let why = page.rows[&1]["why"].clone();
    for tile in 1..=3 {
        let row = &page.rows[&tile];
        assert_eq!((&row["state"], &row["stream"], &row["why"]), (&json!("forbidden"), &Value::Null, &why));
    }
    assert_eq!(rig.centre.live.relays().count().0, 0);
    page.ask(json!({"watch": [{"tile": 1, "camera": "x", "tier": "all"}]})).await;
    assert_eq!(page.text().await["error"]["status"], 400);
    // A set that is refused leaves the former one as it was.
    page.watch(&[(1, CAMERA, "sub")]).await;
    assert_eq!(page.state(1, "offline").await["why"], crate::nodes::registry::NOT_CONNECTED);
}

#[tokio::test]
async fn a_tile_is_judged_anew_when_the_tree_changes() {
    let rig = Rig::new().await;
    let mut page = Page::new(&rig, "hm").await;
    let later = "450103-01-W03-C7";
    page.watch(&[(1, later, "sub"), (2, CAMERA, "sub")]).await;
    page.state(1, "forbidden").await;
    page.state(2, "offline").await;
    let change = async |sql: &'static str| {
        let done = rig.centre.store.write("a camera in a test", move |tx| {
            tx.sql.execute(sql, &[])?;
            tx.changes.push(Change::Tree);
            Ok::<_, crate::store::StoreError>(())
        });
        done.await.unwrap();
    };
    // The hall's edge has told of the camera now.
    change(
        "INSERT INTO cameras (id, hall, node, win, name, url, place, state, why, since) \
         SELECT '450103-01-W03-C7', hall, node, win, name, url, place, state, why, since \
         FROM cameras WHERE id = '450103-01-W01-C1'",
    )
    .await;
    page.state(1, "offline").await;
    // And has taken it away again: it is not shown any longer.
    change("DELETE FROM cameras WHERE id = '450103-01-W03-C7'").await;
    page.state(1, "forbidden").await;
}

#[tokio::test]
async fn other_sites_and_strangers_get_no_socket() {
    let rig = Rig::new().await;
    let refused = |result: Result<Page, tungstenite::Error>| match result {
        Err(tungstenite::Error::Http(response)) => response.status(),
        _ => panic!("it must be refused"),
    };
    assert_eq!(refused(open(&rig, "x=1", None).await), StatusCode::UNAUTHORIZED);
    let cookie = rig.cookie("boss").await;
    assert_eq!(refused(open(&rig, &cookie, Some("https://elsewhere.example")).await), StatusCode::FORBIDDEN);
    let own = format!("https://{}", rig.site_at);
    assert!(open(&rig, &cookie, Some(&own)).await.is_ok());
}

#[tokio::test]
async fn signing_out_closes_the_socket() {
    let rig = Rig::new().await;
    let mut page = Page::new(&rig, "boss").await;
    page.watch(&[(1, CAMERA, "sub")]).await;
    page.text().await;
    rig.centre.store.write("test", |tx| tx.execute("DELETE FROM sessions", params![])).await.unwrap();
    let why = loop {
        if let Heard::Closed(why) = page.hear().await {
            break why;
        }
    };
    assert_eq!(why, "signed out");
}

#[tokio::test]
async fn a_slow_page_skips_to_the_newest_key_frame_and_slows_nobody() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    let mut slow = Page::new(&rig, "boss").await;
    slow.watch(&[(1, CAMERA, "main")]).await;
    let (id, _, tier, stream) = lease(&mut channel).await;
    let mut quick = Page::new(&rig, "hm").await;
    quick.watch(&[(1, CAMERA, "main")]).await;
    let mut media = Media::dial(&rig, &edge, &id, tier, stream).await;
    assert_eq!(quick.frame().await.0.kind, Kind::Parameters);
    // 40 MB in groups of ten: more than every buffer on the way to a page that reads nothing.
    let payload = vec![7u8; 64 * 1024];
    let frames = 640;
    for n in 0..frames {
        let sent = media.send(Kind::Frame, n % 10 == 0, n, &payload).await;
        assert_eq!(quick.frame().await.1, sent);
    }
    assert_eq!(quick.missed, 0);
    // Reading begins: what comes is in order, each gap was told and ends at a key frame.
    let mut expected = 0;
    let mut jumps = 0;
    while expected < frames {
        let before = slow.missed as i64;
        let (header, _) = slow.frame().await;
        if header.kind != Kind::Frame {
            continue;
        }
        let n = header.pts_us / 40_000;
        let told = slow.missed as i64 - before;
        assert_eq!(n, expected + told);
        assert!(told == 0 || header.key);
        jumps += i32::from(told > 0);
        expected = n + 1;
    }
    assert!(jumps > 0, "the page was slow enough to miss frames");
    assert!(rig.centre.live.metrics().contains("hallwatch_wall_missed_frames_total"));
}

#[tokio::test]
async fn a_hall_that_comes_back_finds_its_viewers() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut page = Page::new(&rig, "boss").await;
    page.watch(&[(1, CAMERA, "key")]).await;
    page.state(1, "offline").await;
    let mut channel = edge.channel(&rig, "b1").await;
    let (id, _, tier, stream) = lease(&mut channel).await;
    let mut media = Media::dial(&rig, &edge, &id, tier, stream).await;
    let first = media.frame(true, 1).await;
    let second = media.frame(false, 2).await;
    page.state(1, "live").await;
    assert_eq!(page.frame().await.0.kind, Kind::Parameters);
    assert_eq!((page.frame().await.1, page.frame().await.1), (first, second));
    drop(channel);
    page.state(1, "offline").await;
    closed(&mut media.socket).await;
    let mut channel = edge.channel(&rig, "b2").await;
    let (again, _, _, same) = lease(&mut channel).await;
    assert_ne!(again, id);
    assert_eq!(same, stream);
    // The edge begins with its last group of pictures: what the page has had does not come twice.
    let mut media = Media::dial(&rig, &edge, &again, tier, same).await;
    media.frame(true, 1).await;
    media.frame(false, 2).await;
    let third = media.frame(false, 3).await;
    assert_eq!(page.frame().await.1, third);
    page.state(1, "live").await;
}

#[tokio::test]
async fn what_the_edge_cannot_serve_is_said() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    let mut page = Page::new(&rig, "boss").await;
    page.watch(&[(4, CAMERA, "sub")]).await;
    let (id, ..) = lease(&mut channel).await;
    let why = "H.265: browsers cannot play it".to_owned();
    let failed = ToCentre::LeaseFailed { lease: id.parse().unwrap(), state: StreamState::Unsupported, why };
    say(&mut channel, &failed).await;
    assert_eq!(page.state(4, "unsupported").await["why"], "H.265: browsers cannot play it");
}

#[tokio::test]
async fn a_message_of_another_stream_ends_the_connection() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    let mut page = Page::new(&rig, "boss").await;
    page.watch(&[(1, CAMERA, "sub")]).await;
    let (id, _, tier, stream) = lease(&mut channel).await;
    // Another hall's edge may not bring it at all.
    let other = Edge::of(&rig, hall(2)).await;
    let stream_of_other = rig.dial(Some(&other)).await.unwrap();
    let path = format!("wss://127.0.0.1/node/v1/media/{id}");
    assert!(tokio_tungstenite::client_async(path, stream_of_other).await.is_err());
    let mut media = Media::dial(&rig, &edge, &id, tier, StreamId(stream.0 + 1)).await;
    closed(&mut media.socket).await;
    // A new lease is asked for.
    assert_ne!(lease(&mut channel).await.0, id);
}

#[tokio::test]
async fn window_rows_come_first_whole_and_then_as_they_change() {
    let rig = Rig::new().await;
    let mut page = Page::new(&rig, "hm").await;
    page.ask(json!({"states": true})).await;
    let text = page.text().await;
    let ids: Vec<&str> =
        text["windows"].as_array().unwrap().iter().map(|row| row["window"].as_str().unwrap()).collect();
    assert_eq!(ids, ["450103-01-W01", "450103-01-W02", "450103-01-W03"]);
    rig.centre.store.announce(Change::Window("450103-02-W01".parse().unwrap()));
    rig.centre.store.announce(Change::Window("450103-01-W02".parse().unwrap()));
    let text = page.text().await;
    assert_eq!(text["windows"].as_array().unwrap().len(), 1);
    assert_eq!(text["windows"][0]["window"], "450103-01-W02");
}

#[tokio::test]
async fn alarms_come_as_they_happen_and_only_ones_own() {
    use control_protocol::Happening;
    let rig = Rig::new().await;
    let mut page = Page::new(&rig, "hm").await;
    let down = |why: &str| Happening::CameraDown { why: why.into() };
    let take = async |hall: &'static str, seqs: &[&str]| {
        let mut journal = crate::scene::Journal::of(hall);
        journal.at = rig.centre.clock.now().0;
        let events: Vec<_> =
            seqs.iter().map(|why| journal.by_device(1, 0, Some("450103-01-W01-C1"), down(why))).collect();
        let write = rig.centre.store.write("events", move |tx| {
            for stored in &events {
                crate::scene::store_event(tx, stored)?;
            }
            Ok::<_, crate::store::StoreError>(())
        });
        write.await.unwrap();
    };
    take("450103-02", &["before anybody asked"]).await;
    page.ask(json!({"alarms": true, "watch": []})).await;
    assert!(page.text().await["streams"].is_array());
    // The other hall's is not theirs: the first alarm that comes is their own hall's.
    take("450103-01", &["the plug was pulled"]).await;
    let text = page.text().await;
    let rows = text["alarms"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{text}");
    assert_eq!((&rows[0]["kind"], &rows[0]["why"]), (&json!("camera.down"), &json!("the plug was pulled")));
    assert_eq!((&rows[0]["device"], &rows[0]["over"]), (&json!("450103-01-W01-C1"), &json!(false)));
}

#[tokio::test]
async fn a_still_is_fetched_through_a_lease_of_its_own() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let cookie = rig.cookie("boss").await;
    let get = async |camera: &str| {
        let mut socket = TcpStream::connect(rig.site_at).await.unwrap();
        let head = format!(
            "GET /api/v1/cameras/{camera}/still.jpg HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = get(CAMERA).await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("not connected"), "{answer}");
    assert!(get("450103-01-W99-C1").await.starts_with("HTTP/1.1 404"));
    let mut channel = edge.channel(&rig, "b1").await;
    let serve = async {
        let (id, camera, tier, stream) = lease(&mut channel).await;
        assert_eq!((camera.as_str(), tier), (CAMERA, Tier::Still));
        let mut media = Media::dial(&rig, &edge, &id, tier, stream).await;
        let message = media.send(Kind::Frame, true, 1, b"\xFF\xD8jpeg").await;
        (media, message.len() - HEADER)
    };
    // The channel may come a moment after the first still is asked for again: until then it is told as it is.
    let ask = async {
        loop {
            let answer = get(CAMERA).await;
            if !answer.starts_with("HTTP/1.1 504") {
                return answer;
            }
        }
    };
    let ((_media, length), answer) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(serve, ask) }).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for header in ["image/jpeg", "no-store", "x-captured-at: 2026-", &format!("content-length: {length}")] {
        assert!(answer.contains(header), "{header}: {answer}");
    }
}
