//! What browsers cannot play, through a real child of the agent: H.265 with B-frames and MJPEG come out as H.264 without
//! them, each frame with the time of the frame it was made of; children are few, and end with who watches; one that dies
//! or hangs is begun again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test makes for itself must be there

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{
    CameraId,
    channel::StreamState,
    frame::{HEADER, Header, Tier},
};
use device_drivers::{
    camera::{AccessUnit, CameraItem, PullEnd, VideoParameters},
    clock::Mono,
};
use edge_agent::{
    cameras::{
        self, CameraTasks, Cameras, Setup, Surroundings, View, Viewing,
        entry::Parameters,
        source::{Pulling, Source},
        transcode::Transcoders,
    },
    clock::{Clock, SystemClock},
    config,
};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use picture::{Codec, Settings, StillMaker};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// Children start slowly on a loaded machine.
const LONG: Duration = Duration::from_secs(60);

struct Unit {
    key: bool,
    pts_us: i64,
    data: Bytes,
}

/// A camera that plays coded pictures over and over, 25 a second.
struct Reel {
    codec: &'static str,
    record: Bytes,
    units: Vec<Unit>,
    clock: Arc<SystemClock>,
    /// When each frame came, by its presentation time within the pull.
    captured: Mutex<HashMap<i64, i64>>,
}

/// Four seconds of a moving ball, coded by `encoder`; none where this machine cannot.
fn reel(encoder: &str, codec: &'static str, caps: &str, clock: &Arc<SystemClock>) -> Option<Arc<Reel>> {
    gst::init().unwrap();
    let element = encoder.split_whitespace().next().unwrap();
    if gst::ElementFactory::find(element).is_none() {
        eprintln!("left out: this machine has no {element}");
        return None;
    }
    let text = format!(
        "videotestsrc num-buffers=100 pattern=ball background-color=0xff2040c0 ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
         ! {encoder} ! {caps} ! appsink name=out sync=false"
    );
    let pipeline: gst::Pipeline = gst::parse::launch(&text).unwrap().downcast().unwrap();
    let sink: AppSink = pipeline.by_name("out").unwrap().downcast().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let (mut units, mut record): (Vec<Unit>, _) = (Vec::new(), Bytes::new());
    while let Ok(sample) = sink.pull_sample() {
        if let Ok(data) = sample.caps().unwrap().structure(0).unwrap().get::<gst::Buffer>("codec_data") {
            record = Bytes::copy_from_slice(&data.map_readable().unwrap());
        }
        let buffer = sample.buffer().unwrap();
        units.push(Unit {
            key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            pts_us: i64::try_from(buffer.pts().unwrap().useconds()).unwrap(),
            data: Bytes::copy_from_slice(&buffer.map_readable().unwrap()),
        });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    let first = units.iter().map(|unit| unit.pts_us).min().unwrap();
    units.iter_mut().for_each(|unit| unit.pts_us -= first);
    assert_eq!(units.len(), 100);
    Some(Arc::new(Reel { codec, record, units, clock: clock.clone(), captured: Mutex::default() }))
}

fn h265(clock: &Arc<SystemClock>) -> Option<Arc<Reel>> {
    let encoder =
        "x265enc option-string=keyint=50:min-keyint=50:bframes=2:scenecut=0:log-level=none ! h265parse";
    let reel = reel(encoder, "hvc1.1.6.L63.90", "video/x-h265,stream-format=hvc1,alignment=au", clock)?;
    let shown: Vec<i64> = reel.units.iter().map(|unit| unit.pts_us).collect();
    assert!(!shown.is_sorted(), "the test wants B-frames");
    Some(reel)
}

impl Source for Reel {
    fn pull<'a>(
        &'a self,
        on_item: &'a mut (dyn FnMut(CameraItem) + Send),
        cancel: CancellationToken,
    ) -> Pulling<'a> {
        Box::pin(async move {
            let video = VideoParameters {
                codec: self.codec.into(),
                config: self.record.clone(),
                width: 640,
                height: 360,
                b_frames: true,
            };
            on_item(CameraItem::Parameters(Arc::new(video)));
            let mut every = tokio::time::interval(Duration::from_millis(40));
            for round in 0.. {
                for unit in &self.units {
                    tokio::select! {
                        () = cancel.cancelled() => return PullEnd::Cancelled,
                        _ = every.tick() => {}
                    }
                    let arrived = self.clock.now_mono();
                    let pts_us = unit.pts_us + round * 4_000_000;
                    self.captured.lock().unwrap().insert(self.clock.utc_us_of(arrived), pts_us);
                    let data = unit.data.clone();
                    on_item(CameraItem::Unit(AccessUnit {
                        key: unit.key,
                        pts_us,
                        arrived,
                        data,
                        discontinuity: false,
                    }));
                }
            }
            PullEnd::Cancelled
        })
    }

    fn address(&self) -> String {
        "reel".into()
    }
}

struct Stage {
    cameras: Cameras,
    transcoders: Arc<Transcoders>,
    tasks: CameraTasks,
    cancel: CancellationToken,
    _events: mpsc::Receiver<(CameraId, control_protocol::Happening, Mono)>,
}

fn id(n: usize) -> CameraId {
    format!("450103-01-W{n:02}-C1").parse().unwrap()
}

fn stage(reels: &[Arc<Reel>], clock: &Arc<SystemClock>, at_once: usize, program: &str) -> Stage {
    let settings = config::Transcoding { at_once, ..config::Transcoding::default() };
    let transcoders = Arc::new(Transcoders::new(settings, program.into()));
    let (events, told) = mpsc::channel(64);
    let surroundings = Surroundings {
        clock: clock.clone(),
        jitter: || 0.5,
        events,
        stills: StillMaker::start(Settings::default()).unwrap(),
        inspection: None,
        transcoders: transcoders.clone(),
    };
    let setup = |(n, reel): (usize, &Arc<Reel>)| Setup {
        camera: id(n),
        main: reel.clone(),
        sub: None,
        at_window: false,
    };
    let setups = reels.iter().enumerate().map(setup).collect();
    let cancel = CancellationToken::new();
    let (cameras, tasks) = cameras::start(setups, &config::Video::default(), &surroundings, &cancel);
    Stage { cameras, transcoders, tasks, cancel, _events: told }
}

const AGENT: &str = env!("CARGO_BIN_EXE_edge-agent");

async fn next(viewing: &mut Viewing) -> View {
    timeout(LONG, viewing.next()).await.expect("nothing came in time")
}

/// Parameters and the next `count` frames.
async fn film(viewing: &mut Viewing, count: usize) -> (Parameters, Vec<(Header, Bytes)>) {
    let mut parameters = None;
    let mut frames = Vec::new();
    while frames.len() < count {
        match next(viewing).await {
            View::Parameters(new) => {
                parameters = Some(new);
                frames.clear();
            }
            View::Frame { message, .. } => {
                frames.push((Header::read(&message).unwrap(), message.slice(HEADER..)));
            }
            other => panic!("{other:?}"),
        }
    }
    (parameters.expect("frames without parameters"), frames)
}

async fn idle(stage: &Stage) {
    timeout(LONG, async {
        while stage.transcoders.running() > 0 || !children().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the child goes on though nobody watches");
}

/// The transcoding children of this test.
fn children() -> Vec<i32> {
    let mine = std::process::id().to_string();
    let of = |process: std::fs::DirEntry| {
        let pid = process.file_name().to_str()?.parse::<i32>().ok()?;
        let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        (parent == mine && state != "Z").then_some(pid)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

fn signal(signal: rustix::process::Signal) {
    for pid in children() {
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

/// One after the other: a test counts the children of the whole program.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn what_browsers_cannot_play_is_turned_while_somebody_watches() {
    let _alone = ALONE.lock().await;
    let clock = SystemClock::start();
    let Some(hevc) = h265(&clock) else { return };
    let jpeg = reel("jpegenc", "jpeg", "image/jpeg", &clock).unwrap();
    let s = stage(&[hevc.clone(), hevc.clone(), jpeg], &clock, 1, AGENT);
    let mut viewing = s.cameras.open(&id(0), Tier::Sub).unwrap();
    let (parameters, frames) = film(&mut viewing, 150).await;
    let description = &parameters.description;
    println!("H.265 comes out as {description:?}");
    assert!(description.codec.starts_with("avc1."), "{description:?}");
    assert_eq!((description.width, description.height), (640, 360));
    assert!(description.note.as_deref().is_some_and(|note| note.contains("H.265")));
    assert!(frames[0].0.key);
    assert!(frames.is_sorted_by_key(|(header, _)| header.pts_us), "B-frames came out");
    let keys: Vec<i64> =
        frames.iter().filter(|(header, _)| header.key).map(|(header, _)| header.pts_us).collect();
    assert!(keys.windows(2).all(|pair| pair[1] - pair[0] <= 2_200_000) && keys.len() >= 3, "{keys:?}");
    {
        // The stream's time line differs from the pull's by a constant; the time at which a frame came names it.
        let captured = hevc.captured.lock().unwrap();
        let offsets: Vec<i64> = frames
            .iter()
            .map(|(header, _)| {
                header.pts_us - captured.get(&header.captured_us).expect("a time that no frame had")
            })
            .collect();
        assert!(offsets.iter().all(|offset| *offset == offsets[0]), "{offsets:?}");
    }
    let maker = StillMaker::start(Settings::default()).unwrap();
    let coded = picture::Parameters { codec: Codec::H264, record: parameters.record.clone() };
    let still = maker.still(coded, frames[0].1.clone(), 640).await.unwrap();
    let corner = image::load_from_memory(&still.bytes).unwrap().to_rgb8().get_pixel(5, 5).0;
    assert!(corner.iter().zip([0x20u8, 0x40, 0xc0]).all(|(a, b)| a.abs_diff(b) < 24), "{corner:?}");
    assert_eq!((s.transcoders.running(), children().len()), (1, 1));
    // One is as many as is allowed.
    let mut second = s.cameras.open(&id(1), Tier::Sub).unwrap();
    match next(&mut second).await {
        View::Failed { state: StreamState::Unsupported, why } => assert!(why.contains("at once"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(second);
    // A child that dies is begun again, and so is one that hangs; what came before does not lead to what comes after.
    for end in [rustix::process::Signal::KILL, rustix::process::Signal::STOP] {
        let before = children();
        signal(end);
        timeout(LONG, async { while !matches!(next(&mut viewing).await, View::Parameters(_)) {} })
            .await
            .unwrap();
        assert!(matches!(next(&mut viewing).await, View::Frame { .. }));
        let after = children();
        assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
    }
    drop(viewing);
    idle(&s).await;
    // Key frames alone, at most one a second; pictures of a camera that sends nothing but JPEG.
    for (camera, tier) in [(id(0), Tier::Key), (id(2), Tier::Sub), (id(2), Tier::Key)] {
        let mut viewing = s.cameras.open(&camera, tier).unwrap();
        let (parameters, frames) = film(&mut viewing, 4).await;
        println!("{camera} {}: {:?}", tier.as_str(), parameters.description);
        assert!(parameters.description.codec.starts_with("avc1."));
        if tier == Tier::Key {
            assert!(frames.iter().all(|(header, _)| header.key));
            assert!(frames.windows(2).all(|pair| pair[1].0.pts_us - pair[0].0.pts_us >= 900_000));
        }
        drop(viewing);
        idle(&s).await;
    }
    s.cancel.cancel();
    s.tasks.joined().await.unwrap();
}

#[tokio::test]
async fn without_a_transcoder_the_reason_is_told() {
    let _alone = ALONE.lock().await;
    let clock = SystemClock::start();
    let jpeg = reel("jpegenc", "jpeg", "image/jpeg", &clock).unwrap();
    for (at_once, program, words) in
        [(0, AGENT, "MJPEG"), (1, "/bin/false", "cannot be transcoded"), (1, "/nowhere", "cannot be")]
    {
        let s = stage(std::slice::from_ref(&jpeg), &clock, at_once, program);
        let mut viewing = s.cameras.open(&id(0), Tier::Sub).unwrap();
        match next(&mut viewing).await {
            View::Failed { state: StreamState::Unsupported, why } => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        }
        // Stills are made without one.
        let mut stills = s.cameras.open(&id(0), Tier::Still).unwrap();
        let (parameters, _) = film(&mut stills, 1).await;
        assert_eq!(parameters.description.codec, "jpeg");
        s.cancel.cancel();
        s.tasks.joined().await.unwrap();
    }
}
