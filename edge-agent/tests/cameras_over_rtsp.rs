//! The cameras against simulated ones over real RTSP on loopback: pulled, shown as stills, lost and found again.
#![allow(clippy::unwrap_used, clippy::panic)] // what a test makes for itself must be there

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use control_protocol::{
    CameraId, Happening,
    channel::StreamState,
    frame::{HEADER, Header, Tier},
};
use device_drivers::clock::{Mono, MonotonicClock, SystemMonotonic};
use edge_agent::{
    cameras::{self, CameraTasks, Cameras, Surroundings, View, Viewing, source},
    clock::SystemClock,
    config,
};
use picture::{Settings, StillMaker};
use simulated_hall::{
    footage::{Recipe, encode, read_mark},
    rtsp::{self, CameraSpec, Credentials, Fault, FaultOrder, Footage, Server, ServerSetup},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

const MARK: u16 = 4071;
const LONG: Duration = Duration::from_secs(60);

struct Stage {
    server: Server,
    cameras: Cameras,
    tasks: CameraTasks,
    events: mpsc::Receiver<(CameraId, Happening, Mono)>,
    camera: CameraId,
    cancel: CancellationToken,
}

async fn stage(password: &str) -> Stage {
    let clips = tokio::task::spawn_blocking(|| {
        [Recipe::main(MARK, "W07"), Recipe::sub(MARK, "W07")]
            .map(|recipe| Arc::new(encode(&Recipe { gops: 1, ..recipe }).unwrap()))
    });
    let [main, sub] = clips.await.unwrap();
    let cancel = CancellationToken::new();
    let credentials = Credentials {
        user: "admin".into(),
        password: "right".into(),
        authentication: rtsp::Authentication::Digest,
    };
    let streams = vec![(rtsp::Tier::Main, Footage::new(main)), (rtsp::Tier::Sub, Footage::new(sub))];
    let setup = ServerSetup {
        listen: "127.0.0.1:0".parse().unwrap(),
        cameras: vec![CameraSpec { name: "W07".into(), credentials, streams }],
        stamp: false,
    };
    let server = Server::start(setup, cancel.clone()).await.unwrap();
    let camera: CameraId = "450103-01-W07-C1".parse().unwrap();
    let configured = config::Camera {
        id: camera.clone(),
        window: None,
        name: "7".into(),
        url: server.url("W07", rtsp::Tier::Main).parse().unwrap(),
        sub_url: Some(server.url("W07", rtsp::Tier::Sub).parse().unwrap()),
        user: Some("admin".into()),
        credential: Some("cameras".into()),
    };
    let monotonic: Arc<dyn MonotonicClock> = Arc::new(SystemMonotonic);
    let setups = vec![source::rtsp(&configured, password, None, &monotonic)];
    let (told, events) = mpsc::channel(16);
    let surroundings = Surroundings {
        clock: SystemClock::start(),
        jitter: || 0.5,
        events: told,
        stills: StillMaker::start(Settings::default()).unwrap(),
        inspection: None,
        transcoders: Arc::new(cameras::transcode::Transcoders::new(
            config::Transcoding { at_once: 0, ..config::Transcoding::default() },
            "none".into(),
        )),
    };
    let (cameras, tasks) = cameras::start(setups, &config::Video::default(), &surroundings, &cancel);
    Stage { server, cameras, tasks, events, camera, cancel }
}

impl Stage {
    async fn event(&mut self) -> Happening {
        timeout(LONG, self.events.recv()).await.unwrap().unwrap().1
    }

    async fn fault(&self, fault: Fault, seconds: f64) {
        self.server.order(&FaultOrder { camera: "W07".into(), fault, seconds }).await.unwrap();
    }

    /// Waits for the loss and the return; gives the time from the end of the fault to the first picture.
    async fn lost_and_found(&mut self, fault: Fault, seconds: f64) -> Duration {
        self.fault(fault, seconds).await;
        let over = Instant::now() + Duration::from_secs_f64(seconds);
        let down = self.event().await;
        assert!(matches!(down, Happening::CameraDown { .. }), "{down:?}");
        let up = self.event().await;
        assert!(matches!(up, Happening::CameraUp { down_ms: Some(_), .. }), "{up:?}");
        Instant::now().saturating_duration_since(over)
    }
}

async fn frame(viewing: &mut Viewing) -> (Header, Vec<u8>) {
    loop {
        match timeout(LONG, viewing.next()).await.unwrap() {
            View::Frame { message, .. } => {
                return (Header::read(&message).unwrap(), message[HEADER..].to_vec());
            }
            View::Parameters(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The viewer has stayed, on one time line, is told that the picture jumps, and sees it move again.
async fn returned(viewing: &mut Viewing, last: &mut Header) {
    let mut since = None;
    while since.is_none_or(|frames| frames < 5) {
        let (header, _) = frame(viewing).await;
        assert!(header.pts_us > last.pts_us);
        if header.discontinuity {
            assert!(header.key);
            since = Some(0);
        }
        since = since.map(|frames| frames + 1);
        *last = header;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulled_shown_lost_and_found() {
    let mut s = stage("right").await;
    let up = s.event().await;
    assert!(matches!(up, Happening::CameraUp { width: 640, height: 360, down_ms: None, .. }), "{up:?}");
    assert_eq!(s.cameras.reports()[0].state, StreamState::Live);

    let mut still = s.cameras.open(&s.camera, Tier::Still).unwrap();
    let (header, jpeg) = frame(&mut still).await;
    assert!(header.key && header.tier == Tier::Still && header.captured_us > 1_700_000_000_000_000);
    let image = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    let (width, height) = image.dimensions();
    assert_eq!(read_mark(&image, width as usize, height as usize), Some(MARK));
    let (second, _) = frame(&mut still).await;
    assert!(second.captured_us - header.captured_us >= 1_900_000, "one still every two seconds");
    drop(still);

    let asked = Instant::now();
    let mut main = s.cameras.open(&s.camera, Tier::Main).unwrap();
    let (header, _) = frame(&mut main).await;
    eprintln!("main stream, cold: first key frame after {:?}", asked.elapsed());
    assert!(header.key && header.tier == Tier::Main);
    let mut sub = s.cameras.open(&s.camera, Tier::Sub).unwrap();
    assert!(frame(&mut sub).await.0.key);
    let mut last = frame(&mut sub).await.0;

    let closed = s.lost_and_found(Fault::Drop, 1.0).await;
    eprintln!("closed for 1 s: picture {closed:?} after the camera's return");
    returned(&mut sub, &mut last).await;
    let frozen = s.lost_and_found(Fault::Freeze, 5.0).await;
    eprintln!("frozen for 5 s: picture {frozen:?} after the camera's return");
    returned(&mut sub, &mut last).await;
    assert!(frame(&mut main).await.0.tier == Tier::Main);
    let figures = s.cameras.snapshot().remove(0).streams.remove(0).figures;
    assert_eq!(figures.sessions, 3);
    assert!(figures.ends.contains_key("frame_timeout"), "{:?}", figures.ends);
    s.cancel.cancel();
    timeout(LONG, s.tasks.joined()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_plainly() {
    let mut s = stage("hunter2").await;
    match s.event().await {
        Happening::CameraDown { why } => {
            assert!(why.contains("password") && !why.contains("hunter2"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let report = s.cameras.reports().remove(0);
    assert_eq!(report.state, StreamState::Offline);
    assert!(report.why.unwrap().contains("password"));
    s.cancel.cancel();
    timeout(LONG, s.tasks.joined()).await.unwrap().unwrap();
}
