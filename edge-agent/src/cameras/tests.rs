//! The cameras over a source that the test plays.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{
    Happening, UtcMillis,
    event::ClockQuality,
    frame::{HEADER, Header},
};
use device_drivers::camera::{AccessUnit, CameraItem, PullEnd, VideoParameters};
use picture::Settings;
use tokio::{sync::mpsc, time::timeout};

use super::{source::Pulling, *};

/// A clock that the test moves.
pub(crate) struct HandClock(pub(crate) AtomicU64);

impl Clock for HandClock {
    fn now_mono(&self) -> Mono {
        Mono(self.0.load(Ordering::Relaxed))
    }
    fn utc_us_of(&self, at: Mono) -> i64 {
        1_795_000_000_000_000 + i64::try_from(at.0).unwrap()
    }
    fn quality(&self) -> ClockQuality {
        ClockQuality::Synchronised
    }
    fn boot(&self) -> &str {
        "boot"
    }
}

enum Play {
    Item(CameraItem),
    End(PullEnd),
}

/// What the test has the camera do; each pull takes up where the last one ended.
pub(crate) struct Played {
    script: tokio::sync::Mutex<mpsc::UnboundedReceiver<Play>>,
    pulls: AtomicUsize,
    open: AtomicUsize,
}

#[derive(Clone)]
pub(crate) struct Player {
    send: mpsc::UnboundedSender<Play>,
    pub(crate) source: Arc<Played>,
}

impl Player {
    pub(crate) fn new() -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        let source = Played {
            script: tokio::sync::Mutex::new(receive),
            pulls: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        };
        Self { send, source: Arc::new(source) }
    }

    pub(crate) fn video(&self, codec: &str) {
        let video = VideoParameters {
            codec: codec.into(),
            config: Bytes::from_static(b"record"),
            width: 640,
            height: 360,
            b_frames: false,
        };
        self.send.send(Play::Item(CameraItem::Parameters(Arc::new(video)))).unwrap();
    }

    pub(crate) fn unit(&self, key: bool, at: u64) {
        let unit = AccessUnit {
            key,
            pts_us: i64::try_from(at).unwrap(),
            arrived: Mono(at),
            data: Bytes::from(format!("unit {at}")),
            discontinuity: false,
        };
        self.send.send(Play::Item(CameraItem::Unit(unit))).unwrap();
    }

    pub(crate) fn end(&self, end: PullEnd) {
        self.send.send(Play::End(end)).unwrap();
    }

    fn pulls(&self) -> usize {
        self.source.pulls.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.source.open.load(Ordering::SeqCst)
    }
}

impl Source for Played {
    fn pull<'a>(
        &'a self,
        on_item: &'a mut (dyn FnMut(CameraItem) + Send),
        cancel: CancellationToken,
    ) -> Pulling<'a> {
        Box::pin(async move {
            self.pulls.fetch_add(1, Ordering::SeqCst);
            self.open.fetch_add(1, Ordering::SeqCst);
            let mut script = self.script.lock().await;
            let end = loop {
                tokio::select! {
                    () = cancel.cancelled() => break PullEnd::Cancelled,
                    play = script.recv() => match play {
                        Some(Play::Item(item)) => on_item(item),
                        Some(Play::End(end)) => break end,
                        None => std::future::pending().await,
                    },
                }
            };
            self.open.fetch_sub(1, Ordering::SeqCst);
            end
        })
    }

    fn address(&self) -> String {
        "rtsp://camera/stream".into()
    }
}

pub(crate) struct Stage1 {
    pub(crate) main: Player,
    pub(crate) sub: Player,
    pub(crate) cameras: Cameras,
    pub(crate) camera: CameraId,
    tasks: CameraTasks,
    events: mpsc::Receiver<(CameraId, Happening, Mono)>,
    cancel: CancellationToken,
}

pub(crate) fn stage(keep_sub: bool) -> Stage1 {
    let (main, sub) = (Player::new(), Player::new());
    let (events, told) = mpsc::channel(4);
    let surroundings = Surroundings {
        clock: Arc::new(HandClock(AtomicU64::new(0))),
        jitter: || 0.5,
        events,
        stills: StillMaker::start(Settings::default()).unwrap(),
        inspection: None,
        transcoders: Arc::new(transcode::Transcoders::new(
            config::Transcoding { at_once: 0, ..config::Transcoding::default() },
            "none".into(),
        )),
    };
    let camera: CameraId = "450103-01-W07-C1".parse().unwrap();
    let setup = Setup {
        camera: camera.clone(),
        main: main.source.clone(),
        sub: Some(sub.source.clone()),
        at_window: true,
    };
    let video = config::Video { keep_sub, main_linger_seconds: 10 };
    let cancel = CancellationToken::new();
    let (cameras, tasks) = start(vec![setup], &video, &surroundings, &cancel);
    Stage1 { main, sub, cameras, camera, tasks, events: told, cancel }
}

impl Stage1 {
    async fn event(&mut self) -> Happening {
        timeout(Duration::from_secs(60), self.events.recv()).await.unwrap().unwrap().1
    }

    async fn state(&self, wanted: StreamState) -> CameraReport {
        let mut turn = self.cameras.watch();
        loop {
            let report = self.cameras.reports().remove(0);
            if report.state == wanted {
                return report;
            }
            timeout(Duration::from_secs(60), turn.changed()).await.unwrap().unwrap();
        }
    }
}

fn payload(view: &View) -> String {
    match view {
        View::Frame { message, .. } => String::from_utf8(message[HEADER..].to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_sees_the_last_key_frame_and_nothing_from_before_a_loss() {
    let mut s = stage(true);
    s.sub.unit(false, 10);
    s.sub.video("avc1.4d401f");
    s.sub.unit(false, 20);
    for at in [1_000_000, 1_040_000, 1_080_000] {
        s.sub.unit(at == 1_000_000, at);
    }
    assert!(matches!(s.event().await, Happening::CameraUp { down_ms: None, width: 640, .. }));
    assert_eq!(s.state(StreamState::Live).await.why, None);
    let mut viewing = s.cameras.open(&s.camera, Tier::Sub).unwrap();
    assert!(
        matches!(viewing.next().await, View::Parameters(p) if p.description.width == 640 && p.record == "record")
    );
    assert_eq!(payload(&viewing.next().await), "unit 1000000");
    assert_eq!(payload(&viewing.next().await), "unit 1040000");
    s.sub.end(PullEnd::FrameTimeout(Duration::from_secs(3)));
    assert!(matches!(s.event().await, Happening::CameraDown { .. }));
    assert_eq!(s.state(StreamState::Stale).await.state, StreamState::Stale);
    let mut late = s.cameras.open(&s.camera, Tier::Sub).unwrap();
    assert_eq!(late.take(), None);
    s.sub.end(PullEnd::Connect("refused".into()));
    s.state(StreamState::Offline).await;
    s.sub.video("avc1.4d401f");
    s.sub.unit(true, 6_000_000);
    assert!(matches!(s.event().await, Happening::CameraUp { down_ms: Some(_), .. }));
    for viewing in [&mut late, &mut viewing] {
        let mut view = viewing.next().await;
        while !matches!(view, View::Parameters(_)) {
            view = viewing.next().await;
        }
        let View::Frame { message, .. } = viewing.next().await else { panic!() };
        let header = Header::read(&message).unwrap();
        assert!(header.key && header.discontinuity);
        assert_eq!((header.pts_us, header.captured_us), (5_000_000, 1_795_000_006_000_000));
    }
    let snapshot = s.cameras.snapshot().remove(0);
    assert_eq!(snapshot.streams.len(), 2);
    assert_eq!(snapshot.streams[0].figures.ends["frame_timeout"], 1);
    assert_eq!(snapshot.streams[0].figures.sessions, 2);
    s.cancel.cancel();
    s.tasks.joined().await.unwrap();
    assert_eq!(viewing.next().await, View::Ended);
}

#[tokio::test(start_paused = true)]
async fn the_main_stream_is_pulled_while_leased_and_ten_seconds_longer() {
    let s = stage(true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((s.main.pulls(), s.sub.pulls()), (0, 1));
    let viewing = s.cameras.open(&s.camera, Tier::Main).unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((s.main.pulls(), s.main.open()), (1, 1));
    drop(viewing);
    tokio::time::sleep(Duration::from_secs(9)).await;
    let viewing = s.cameras.open(&s.camera, Tier::Main).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((s.main.pulls(), s.main.open()), (1, 1));
    drop(viewing);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!((s.main.pulls(), s.main.open()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_second_stream_that_fails_fails_its_viewers_with_the_reason() {
    let mut s = stage(true);
    s.main.end(PullEnd::NoStream);
    let mut viewing = s.cameras.open(&s.camera, Tier::Main).unwrap();
    let waited = timeout(Duration::from_secs(5), viewing.next()).await;
    assert!(waited.is_err(), "while the camera itself is not there, its viewers wait: {waited:?}");
    s.sub.video("avc1.4d401f");
    s.sub.unit(true, 0);
    assert!(matches!(s.event().await, Happening::CameraUp { .. }));
    match viewing.next().await {
        View::Failed { state: StreamState::Offline, why } => assert!(why.contains("URL"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(s.events.try_recv().is_err(), "the camera itself is not down");
}

#[tokio::test(start_paused = true)]
async fn key_frames_alone_and_h265_not_at_all() {
    let s = stage(true);
    s.sub.video("avc1.4d401f");
    for at in 0..6u64 {
        s.sub.unit(at % 3 == 0, at * 40_000);
    }
    s.state(StreamState::Live).await;
    let mut key = s.cameras.open(&s.camera, Tier::Key).unwrap();
    assert!(matches!(key.next().await, View::Parameters(_)));
    assert!(payload(&key.next().await).starts_with("unit"));
    s.sub.unit(false, 240_000);
    s.sub.unit(true, 280_000);
    let mut seen = payload(&key.next().await);
    while seen != "unit 280000" {
        seen = payload(&key.next().await);
    }
    s.sub.video("hvc1.1.6.L93.B0");
    s.sub.unit(true, 320_000);
    match key.next().await {
        View::Failed { state: StreamState::Unsupported, why } => assert!(why.contains("H.265"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(s.state(StreamState::Unsupported).await.state, StreamState::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_restart_dials_at_once_and_is_no_loss() {
    let mut s = stage(true);
    s.sub.video("avc1.4d401f");
    s.sub.unit(true, 0);
    assert!(matches!(s.event().await, Happening::CameraUp { .. }));
    assert!(s.cameras.restart(&s.camera));
    while s.sub.pulls() < 2 {
        tokio::task::yield_now().await;
    }
    s.sub.video("avc1.4d401f");
    s.sub.unit(true, 40_000);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(s.events.try_recv().is_err());
    assert!(!s.cameras.restart(&"450103-01-W99-C1".parse().unwrap()));
    assert_eq!(s.cameras.reports()[0].since, UtcMillis(1_795_000_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_camera_put_in_its_place_ends_the_one_before_it_and_one_taken_out_is_gone() {
    let mut s = stage(true);
    s.sub.video("avc1.4d401f");
    s.sub.unit(true, 0);
    s.state(StreamState::Live).await;
    assert!(matches!(s.event().await, Happening::CameraUp { .. }));
    let mut viewing = s.cameras.open(&s.camera, Tier::Sub).unwrap();
    let other = Player::new();
    let running = tokio::spawn(s.tasks.joined());
    let setup = Setup { camera: s.camera.clone(), main: other.source.clone(), sub: None, at_window: true };
    s.cameras.put(setup).await;
    let ended = async { while viewing.next().await != View::Ended {} };
    timeout(Duration::from_secs(60), ended).await.expect("who looked at the former sees it end");
    other.video("avc1.4d401f");
    other.unit(true, 7);
    let up = timeout(Duration::from_secs(60), s.events.recv()).await.unwrap().unwrap();
    assert!(matches!(up, (_, Happening::CameraUp { down_ms: None, .. }, Mono(7))));
    let mut viewing = s.cameras.open(&s.camera, Tier::Main).unwrap();
    assert!(matches!(viewing.next().await, View::Parameters(_)));
    assert_eq!(payload(&viewing.next().await), "unit 7");
    assert_eq!((s.sub.open(), other.open()), (0, 1));
    assert!(s.cameras.remove(&s.camera) && !s.cameras.remove(&s.camera));
    assert!(s.cameras.open(&s.camera, Tier::Main).is_none() && s.cameras.reports().is_empty());
    s.cancel.cancel();
    running.await.unwrap().unwrap();
}
