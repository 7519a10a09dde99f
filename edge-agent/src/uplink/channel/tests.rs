//! The channel against a centre that the test plays over duplex pipes.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use control_protocol::{
    StreamId, UtcMillis,
    channel::{LEASE_MS, MEDIA_PATH, Order},
    frame::{Header, Kind, Tier},
    pairing::{Answered, Ask, Joining, PART, cut},
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::*;
use crate::cameras::tests::{HandClock, Stage1, stage};

/// The centre's end is another's implementation.
type FarEnd = WebSocketStream<DuplexStream>;

/// Gives the test the far end of each WebSocket that the edge dials.
struct Dialled(mpsc::UnboundedSender<(String, FarEnd)>);

impl Dial for Dialled {
    type Io = DuplexStream;
    async fn websocket(&self, path: &str) -> Result<Socket<DuplexStream>, ConnectError> {
        let (edge, centre) = tokio::io::duplex(1 << 16);
        let centre = WebSocketStream::from_raw_socket(centre, Role::Server, None).await;
        let unreachable =
            |_| ConnectError::Unreachable { address: "centre:9443".into(), why: "refused".into() };
        self.0.send((path.to_owned(), centre)).map_err(unreachable)?;
        Ok(Socket::new(edge, control_protocol::websocket::Role::Client, 1 << 20))
    }
}

#[derive(Default)]
struct Kept {
    seen: Mutex<HashSet<String>>,
    done: Mutex<Vec<(String, bool)>>,
}

impl Desk for Kept {
    fn first_time<'a>(&'a self, id: &'a str) -> Doing<'a, bool> {
        Box::pin(async move { Ok(self.seen.lock().unwrap().insert(id.to_owned())) })
    }
    fn done<'a>(&'a self, id: &'a str, ok: bool, _detail: String) -> Doing<'a, ()> {
        Box::pin(async move {
            self.done.lock().unwrap().push((id.to_owned(), ok));
            Ok(())
        })
    }
    fn report_configuration(&self) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }
    fn outbox_depth(&self) -> u64 {
        3
    }
}

/// Answers a question of pairing with what it was asked.
struct Echo;

impl Door for Echo {
    fn answer(&self, ask: Ask, body: bytes::Bytes) -> Answering<'_> {
        let content_type = Some(format!("{} {} by {}", ask.method, ask.path, ask.technician));
        Box::pin(async move { (Answered { status: 200, content_type }, body) })
    }
    fn revoked(
        &self,
        _passes: Vec<control_protocol::site_pass::RevokedPass>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

struct Centre {
    s: Stage1,
    desk: Arc<Kept>,
    state: watch::Receiver<ChannelState>,
    dialled: mpsc::UnboundedReceiver<(String, FarEnd)>,
    cancel: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn centre() -> Centre {
    let s = stage(true);
    let (dials, dialled) = mpsc::unbounded_channel();
    let desk = Arc::new(Kept::default());
    let (state, shown) = watch::channel(ChannelState::default());
    let channel = Channel {
        dial: Arc::new(Dialled(dials)),
        cameras: s.cameras.clone(),
        desk: desk.clone(),
        clock: Arc::new(PausedClock(Instant::now())),
        hall: "450103-01".parse().unwrap(),
        door: Arc::new(Echo),
        recorder: None,
        state,
        authorities: watch::Sender::new(None),
    };
    let cancel = CancellationToken::new();
    let running = tokio::spawn(run(channel, cancel.clone()));
    Centre { s, desk, state: shown, dialled, cancel, running }
}

/// Follows the test's paused time.
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now_mono(&self) -> device_drivers::clock::Mono {
        device_drivers::clock::Mono(u64::try_from(self.0.elapsed().as_micros()).unwrap())
    }
    fn utc_us_of(&self, at: device_drivers::clock::Mono) -> i64 {
        HandClock(Default::default()).utc_us_of(at)
    }
    fn quality(&self) -> control_protocol::event::ClockQuality {
        control_protocol::event::ClockQuality::Synchronised
    }
    fn boot(&self) -> &str {
        "boot"
    }
}

impl Centre {
    async fn accept(&mut self) -> (String, FarEnd) {
        timeout(Duration::from_secs(120), self.dialled.recv()).await.unwrap().unwrap()
    }

    async fn commands(&mut self) -> FarEnd {
        let (path, mut socket) = self.accept().await;
        assert_eq!(path, COMMANDS_PATH);
        assert!(matches!(hear(&mut socket).await, ToCentre::Hello { boot, .. } if boot == "boot"));
        match hear(&mut socket).await {
            ToCentre::Cameras { cameras } => assert_eq!(cameras.len(), 1),
            other => panic!("{other:?}"),
        }
        socket
    }

    fn lease(&self, id: &str, camera: &str, tier: Tier) -> ToEdge {
        ToEdge::Lease {
            lease: id.parse().unwrap(),
            camera: camera.parse().unwrap(),
            tier,
            stream: StreamId(9),
            ttl_ms: LEASE_MS,
        }
    }
}

async fn say(socket: &mut FarEnd, text: &ToEdge) {
    socket.send(Message::Text(serde_json::to_string(text).unwrap().into())).await.unwrap();
}

async fn hear(socket: &mut FarEnd) -> ToCentre {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return serde_json::from_str(text.as_str()).unwrap();
        }
    }
}

/// The next text that is no sign of life.
async fn news(socket: &mut FarEnd) -> ToCentre {
    loop {
        match hear(socket).await {
            ToCentre::Alive { outbox_depth, .. } => assert_eq!(outbox_depth, 3),
            other => return other,
        }
    }
}

/// The kinds of the messages until the stream ends.
async fn watch_to_end(mut socket: FarEnd) -> Vec<Kind> {
    let mut kinds = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message {
            let header = Header::read(&bytes).unwrap();
            assert_eq!(header.stream, StreamId(9));
            kinds.push(header.kind);
        }
    }
    kinds
}

#[tokio::test(start_paused = true)]
async fn a_question_of_footage_is_answered_on_a_connection_of_its_own() {
    use control_protocol::footage::{FootageAnswer, FootageAsk, NoFootage};
    let mut c = centre();
    let mut socket = c.commands().await;
    for n in 0..3 {
        let delivery = format!("F{n}").parse().unwrap();
        say(&mut socket, &ToEdge::Footage { delivery, ask: FootageAsk::Holds {} }).await;
        let (path, mut delivery) = c.accept().await;
        assert_eq!(path, format!("/node/v1/footage/F{n}"));
        let Message::Text(text) = delivery.next().await.unwrap().unwrap() else { panic!() };
        let answer: FootageAnswer = serde_json::from_str(&text).unwrap();
        assert!(matches!(answer, FootageAnswer::Nothing { reason: NoFootage::NoRecorder, .. }), "{answer:?}");
        assert!(matches!(delivery.next().await, Some(Ok(Message::Close(_)))));
    }
    c.cancel.cancel();
    c.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_becomes_a_stream_that_ends_when_it_lapses() {
    let mut c = centre();
    c.s.sub.video("avc1.4d401f");
    c.s.sub.unit(true, 0);
    let mut socket = c.commands().await;
    say(&mut socket, &c.lease("L1", "450103-01-W07-C1", Tier::Sub)).await;
    let (path, media) = c.accept().await;
    assert_eq!(path, format!("{MEDIA_PATH}/L1"));
    let began = Instant::now();
    let watching = tokio::spawn(watch_to_end(media));
    // Renewed at 5 s, it lapses at 15 s; the far end goes on answering pings meanwhile.
    let renew =
        ToEdge::Renew { leases: vec!["L1".parse().unwrap(), "L2".parse().unwrap()], ttl_ms: LEASE_MS };
    let renewed = tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        say(&mut socket, &renew).await;
        loop {
            if let ToCentre::LeaseFailed { lease, state, .. } = news(&mut socket).await {
                assert_eq!((lease.as_str(), state), ("L2", StreamState::Connecting));
                break;
            }
        }
        while let Some(Ok(_)) = socket.next().await {}
    });
    assert_eq!(watching.await.unwrap(), [Kind::Parameters, Kind::Frame, Kind::End]);
    let lived = began.elapsed();
    assert!(lived > Duration::from_secs(14) && lived < Duration::from_secs(16), "{lived:?}");
    assert_eq!(c.state.borrow().leases, 0);
    c.cancel.cancel();
    c.running.await.unwrap();
    renewed.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_media_connection_that_breaks_is_dialled_again_and_a_release_ends_it() {
    let mut c = centre();
    c.s.sub.video("avc1.4d401f");
    c.s.sub.unit(true, 0);
    let mut socket = c.commands().await;
    say(&mut socket, &c.lease("L1", "450103-01-W07-C1", Tier::Key)).await;
    let (_, media) = c.accept().await;
    drop(media);
    let (path, media) = c.accept().await;
    assert_eq!(path, format!("{MEDIA_PATH}/L1"));
    let watching = tokio::spawn(watch_to_end(media));
    sleep(Duration::from_millis(100)).await;
    say(&mut socket, &ToEdge::Release { lease: "L1".parse().unwrap() }).await;
    assert_eq!(watching.await.unwrap(), [Kind::Parameters, Kind::Frame, Kind::End]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_served_is_said_with_its_reason() {
    let mut c = centre();
    c.s.sub.video("hvc1.1.6.L93.B0");
    c.s.sub.unit(true, 0);
    let mut socket = c.commands().await;
    say(&mut socket, &c.lease("L1", "450103-01-W99-C1", Tier::Sub)).await;
    let mut failed = Vec::new();
    say(&mut socket, &c.lease("L2", "450103-01-W07-C1", Tier::Sub)).await;
    let (_, media) = c.accept().await;
    let watching = tokio::spawn(watch_to_end(media));
    while failed.len() < 2 {
        if let ToCentre::LeaseFailed { lease, state, why } = news(&mut socket).await {
            failed.push((lease.as_str().to_owned(), state, why));
        }
    }
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!((failed[0].0.as_str(), failed[0].1), ("L1", StreamState::Offline));
    assert!(failed[0].2.contains("450103-01-W99-C1"), "{}", failed[0].2);
    assert_eq!((failed[1].0.as_str(), failed[1].1), ("L2", StreamState::Unsupported));
    assert!(failed[1].2.contains("H.265"), "{}", failed[1].2);
    assert_eq!(watching.await.unwrap(), [Kind::End]);
}

#[tokio::test(start_paused = true)]
async fn commands_are_done_once_and_answered() {
    let mut c = centre();
    let mut socket = c.commands().await;
    let restart = |id: &str, camera: &str, expires_at| ToEdge::Command {
        id: id.into(),
        expires_at,
        order: Order::RestartCamera { camera: camera.parse().unwrap() },
    };
    let later = UtcMillis(1_795_000_600_000);
    say(&mut socket, &restart("c1", "450103-01-W07-C1", later)).await;
    say(&mut socket, &restart("c1", "450103-01-W07-C1", later)).await;
    say(&mut socket, &restart("c2", "450103-01-W99-C1", later)).await;
    say(&mut socket, &restart("c3", "450103-01-W07-C1", UtcMillis(0))).await;
    let report = ToEdge::Command { id: "c4".into(), expires_at: later, order: Order::ReportConfiguration {} };
    say(&mut socket, &report).await;
    socket.send(Message::Text(r#"{"type":"of the future"}"#.into())).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let done = c.desk.done.lock().unwrap().clone();
    let done: Vec<_> = done.iter().map(|(id, ok)| (id.as_str(), *ok)).collect();
    assert_eq!(done, [("c1", true), ("c2", false), ("c3", false), ("c4", true)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_link_is_dead_after_fifteen_seconds_and_dialled_again_with_all_cameras() {
    let mut c = centre();
    let (_, silent) = c.accept().await;
    let began = Instant::now();
    let mut socket = c.commands().await;
    let took = began.elapsed();
    assert!(took >= DEAD && took < DEAD + Duration::from_secs(3), "{took:?}");
    drop(silent);
    c.s.sub.video("avc1.4d401f");
    c.s.sub.unit(true, 0);
    match news(&mut socket).await {
        ToCentre::Cameras { cameras } => assert_eq!(cameras[0].state, StreamState::Live),
        other => panic!("{other:?}"),
    }
    assert_eq!(c.state.borrow().connects, 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_kept_to_for_a_minute() {
    let mut c = centre();
    let mut socket = c.commands().await;
    say(&mut socket, &ToEdge::Refused { why: "this certificate is of another hall".into(), retry: false })
        .await;
    let began = Instant::now();
    let _second = c.commands().await;
    assert!(began.elapsed() >= REFUSED, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_question_of_pairing_comes_in_parts_and_its_answer_goes_back_in_parts() {
    let mut c = centre();
    let mut socket = c.commands().await;
    let body: Vec<u8> = (0..2 * PART + 5).map(|i| (i % 251) as u8).collect();
    let ask = Ask {
        about: Default::default(),
        method: "POST".into(),
        path: "visit/photos".into(),
        query: String::new(),
        content_type: None,
        technician: "li".into(),
    };
    say(&mut socket, &ToEdge::Ask { id: 7, ask }).await;
    for part in cut(&body) {
        say(&mut socket, &ToEdge::AskPart { id: 7, part }).await;
    }
    let ToCentre::Answer { id: 7, answer } = news(&mut socket).await else { panic!() };
    assert_eq!(answer.content_type.as_deref(), Some("POST visit/photos by li"));
    let mut joining = Joining::default();
    let echoed = loop {
        let ToCentre::AnswerPart { id: 7, part } = news(&mut socket).await else { panic!() };
        if let Some(body) = joining.take(&part).unwrap() {
            break body;
        }
    };
    assert_eq!(&echoed[..], &body[..]);
    // A part that cannot be is refused, and the channel goes on.
    let ask = Ask {
        about: Default::default(),
        method: "GET".into(),
        path: "hall".into(),
        query: String::new(),
        content_type: None,
        technician: "li".into(),
    };
    say(&mut socket, &ToEdge::Ask { id: 8, ask }).await;
    let part = control_protocol::pairing::Part { data: "!".into(), more: false };
    say(&mut socket, &ToEdge::AskPart { id: 8, part }).await;
    let ToCentre::Answer { id: 8, answer } = news(&mut socket).await else { panic!() };
    assert_eq!(answer.status, 413);
    c.cancel.cancel();
}
