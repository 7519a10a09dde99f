//! The simulated cameras as independent clients see them: retina, ffprobe and ffmpeg.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use retina::client::{
    Credentials as Login, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use simulated_hall::footage::{Clip, Codec, Recipe, Sample, decode_frames, encode, read_mark};
use simulated_hall::rtsp::{
    Authentication, CameraSpec, Credentials, Fault, FaultOrder, Footage, Server, ServerSetup, Tier,
    read_stamp,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);

fn recipe() -> Recipe {
    // 0.4 s a loop, so that a test of a few seconds goes round many times.
    Recipe { width: 320, height: 180, rate: (25, 1), gop: 10, gops: 1, ..Recipe::sub(712, "W07") }
}

static CLIP: LazyLock<Arc<Clip>> = LazyLock::new(|| Arc::new(encode(&recipe()).unwrap()));

fn account(authentication: Authentication) -> Credentials {
    Credentials { authentication, user: "viewer".into(), password: "a secret".into() }
}

async fn serve(footage: Footage, authentication: Authentication, stamp: bool) -> (Server, CancellationToken) {
    let cancel = CancellationToken::new();
    let cameras = vec![CameraSpec {
        name: "W07".into(),
        credentials: account(authentication),
        streams: vec![(Tier::Main, footage)],
    }];
    let setup = ServerSetup { listen: "127.0.0.1:0".parse().unwrap(), cameras, stamp };
    (Server::start(setup, cancel.clone()).await.unwrap(), cancel)
}

async fn try_open(server: &Server, password: &str) -> Result<Demuxed, retina::Error> {
    let login = Login { username: "viewer".into(), password: password.into() };
    let options = SessionOptions::default().creds(Some(login));
    let url = server.url("W07", Tier::Main).parse().unwrap();
    let mut session = Session::describe(url, options).await?;
    let setup = SetupOptions::default().transport(Transport::default()).frame_format(FrameFormat::MP4);
    session.setup(0, setup).await?;
    session.play(PlayOptions::default()).await?.demuxed()
}

async fn open(server: &Server) -> Demuxed {
    tokio::time::timeout(LONG, try_open(server, "a secret")).await.unwrap().unwrap()
}

async fn frame(session: &mut Demuxed) -> Option<VideoFrame> {
    loop {
        match tokio::time::timeout(LONG, session.next()).await.expect("a picture in time")? {
            Ok(CodecItem::VideoFrame(frame)) => return Some(frame),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

fn pixels(session: &Demuxed) -> (u32, u32) {
    match session.streams()[0].parameters() {
        Some(ParametersRef::Video(video)) => video.pixel_dimensions(),
        other => panic!("no parameters: {other:?}"),
    }
}

async fn order(server: &Server, fault: Fault, seconds: f64) {
    server.order(&FaultOrder { camera: "W07".into(), fault, seconds }).await.unwrap();
}

#[tokio::test]
async fn timestamps_run_on_over_the_end_of_the_loop() {
    for authentication in [Authentication::Digest, Authentication::Basic, Authentication::None] {
        let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), authentication, false).await;
        let mut session = open(&server).await;
        assert_eq!(pixels(&session), (320, 180));
        let mut last = None;
        for index in 0..25 {
            let frame = frame(&mut session).await.unwrap();
            assert_eq!(frame.loss(), 0);
            assert_eq!(frame.is_random_access_point(), index % 10 == 0, "picture {index}");
            let at = frame.timestamp().timestamp();
            if let Some(last) = last {
                assert_eq!(at - last, 3600, "picture {index}");
            }
            last = Some(at);
        }
        assert!(server.count("W07", Tier::Main).unwrap().pictures >= 25);
    }
}

#[tokio::test]
async fn a_second_viewer_joins_at_a_key_frame_and_the_first_loses_nothing() {
    let (server, cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, false).await;
    let mut first = open(&server).await;
    for _ in 0..4 {
        frame(&mut first).await.unwrap();
    }
    let mut second = open(&server).await;
    assert!(frame(&mut second).await.unwrap().is_random_access_point());
    for _ in 0..12 {
        assert_eq!(frame(&mut first).await.unwrap().loss(), 0);
        assert_eq!(frame(&mut second).await.unwrap().loss(), 0);
    }
    drop((first, second));
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(2), server.stopped()).await.expect("stops within two seconds");
}

#[tokio::test]
async fn wrong_password_and_unknown_camera_are_told() {
    let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, false).await;
    let error = try_open(&server, "wrong").await.err().unwrap().to_string();
    assert!(error.contains("401"), "{error}");
    let url = format!("rtsp://{}/W99/main", server.address()).parse().unwrap();
    let error = Session::describe(url, SessionOptions::default()).await.err().unwrap().to_string();
    assert!(error.contains("404"), "{error}");
}

#[tokio::test]
async fn frozen_camera_keeps_its_connection_and_its_clock() {
    let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, false).await;
    let mut session = open(&server).await;
    let before = frame(&mut session).await.unwrap().timestamp().timestamp();
    order(&server, Fault::Freeze, 1.0).await;
    let mut last = before;
    let after = loop {
        let frame = frame(&mut session).await.expect("the connection stays");
        assert_eq!(frame.loss(), 0);
        let at = frame.timestamp().timestamp();
        if at - last > 3600 {
            assert!(frame.is_random_access_point(), "goes on with a key frame");
            break at - last;
        }
        last = at;
    };
    assert!((80_000..110_000).contains(&after), "the clock ran on for the second: {after}");
}

#[tokio::test]
async fn dropped_refused_and_unauthorized() {
    let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, false).await;
    let mut session = open(&server).await;
    frame(&mut session).await.unwrap();
    order(&server, Fault::Drop, 60.0).await;
    while frame(&mut session).await.is_some() {}
    assert!(try_open(&server, "a secret").await.is_err());

    order(&server, Fault::None, 0.0).await;
    let mut session = open(&server).await;
    order(&server, Fault::Refuse, 60.0).await;
    let error = try_open(&server, "a secret").await.err().unwrap().to_string();
    assert!(error.contains("503"), "{error}");
    assert!(frame(&mut session).await.is_some(), "who watches goes on watching");

    order(&server, Fault::Unauthorized, 60.0).await;
    while frame(&mut session).await.is_some() {}
    let error = try_open(&server, "a secret").await.err().unwrap().to_string();
    assert!(error.contains("401"), "{error}");
    order(&server, Fault::None, 0.0).await;
    assert!(frame(&mut open(&server).await).await.is_some());
}

#[tokio::test]
async fn timestamps_jump_when_told() {
    let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, false).await;
    let mut session = open(&server).await;
    let mut last = frame(&mut session).await.unwrap().timestamp().timestamp();
    order(&server, Fault::TimestampJump, 30.0).await;
    for _ in 0..20 {
        let at = frame(&mut session).await.unwrap().timestamp().timestamp();
        if at - last == 30 * 90_000 + 3600 {
            return;
        }
        assert_eq!(at - last, 3600);
        last = at;
    }
    panic!("no jump in twenty pictures");
}

#[tokio::test]
async fn parameters_change_and_change_back() {
    let footage =
        Footage::new(Arc::clone(&CLIP)).altered(|| encode(&recipe().altered()).map_err(|e| e.to_string()));
    let (server, _cancel) = serve(footage, Authentication::Digest, false).await;
    let mut session = open(&server).await;
    frame(&mut session).await.unwrap();
    order(&server, Fault::NewParameters, 0.0).await;
    for wanted in [(240, 132), (320, 180)] {
        loop {
            let frame = frame(&mut session).await.unwrap();
            if frame.has_new_parameters() {
                assert!(frame.is_random_access_point());
                break;
            }
        }
        assert_eq!(pixels(&session), wanted);
        order(&server, Fault::None, 0.0).await;
    }
}

#[tokio::test]
async fn stamps_survive_the_way() {
    let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, true).await;
    let mut session = open(&server).await;
    let mut last = None;
    for _ in 0..15 {
        let frame = frame(&mut session).await.unwrap();
        let stamp = read_stamp(frame.data()).expect("every picture is stamped");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
        assert!(stamp.sent_us <= now && now - stamp.sent_us < 10_000_000);
        assert!(last.is_none_or(|last: u32| stamp.frame == last + 1));
        last = Some(stamp.frame);
    }
}

#[tokio::test]
async fn a_viewer_that_takes_nothing_is_cut_off_and_another_goes_on() {
    let body = vec![0x5A; 120_000];
    let sample = |head: u8| {
        let nal = [&[head][..], &body].concat();
        Sample {
            avcc: [&(nal.len() as u32).to_be_bytes()[..], &nal].concat().into(),
            key: head == 0x65,
            duration: 900,
            show_after: 0,
        }
    };
    let clip = Clip { samples: vec![sample(0x65), sample(0x41)], ..Clip::clone(&CLIP) };
    let (server, _cancel) = serve(Footage::new(Arc::new(clip)), Authentication::None, false).await;
    let mut slow = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let mut text = String::new();
    for (number, (method, extra)) in
        [("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"), ("PLAY", "")].iter().enumerate()
    {
        text += &format!("{method} rtsp://x/W07/main RTSP/1.0\r\nCSeq: {number}\r\n{extra}\r\n");
    }
    slow.write_all(text.as_bytes()).await.unwrap();
    let mut watching = open(&server).await;
    tokio::time::timeout(LONG, async {
        while server.count("W07", Tier::Main).unwrap().cut_off == 0 {
            assert_eq!(frame(&mut watching).await.unwrap().loss(), 0);
        }
    })
    .await
    .expect("the slow viewer is cut off");
    let mut rest = Vec::new();
    let _closed_or_reset =
        tokio::time::timeout(LONG, slow.read_to_end(&mut rest)).await.expect("its connection ends");
    assert_eq!(frame(&mut watching).await.unwrap().loss(), 0);
}

#[tokio::test]
async fn ffprobe_and_ffmpeg_play_it_and_the_mark_is_read() {
    let (server, _cancel) = serve(Footage::new(Arc::clone(&CLIP)), Authentication::Digest, false).await;
    let url = server.url("W07", Tier::Main).replace("rtsp://", "rtsp://viewer:a%20secret@");
    let probe = tokio::process::Command::new("ffprobe")
        .args(["-v", "error", "-rtsp_transport", "tcp", "-show_entries"])
        .args(["stream=codec_name,width,height,has_b_frames", "-of", "csv=p=0", &url])
        .kill_on_drop(true)
        .output();
    let probe = tokio::time::timeout(LONG, probe).await.expect("ffprobe ends").expect("ffprobe is installed");
    assert_eq!(String::from_utf8_lossy(&probe.stdout).trim(), "h264,320,180,0", "{probe:?}");

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("taken.h264");
    let take = tokio::process::Command::new("ffmpeg")
        .args(["-v", "error", "-rtsp_transport", "tcp", "-i", &url, "-c", "copy", "-frames:v", "24"])
        .arg(&out)
        .kill_on_drop(true)
        .output();
    let take = tokio::time::timeout(LONG, take).await.expect("ffmpeg ends").expect("ffmpeg is installed");
    assert!(take.status.success() && take.stderr.is_empty(), "{take:?}");
    let frames = decode_frames(&std::fs::read(out).unwrap(), 240, 135).unwrap();
    assert_eq!(frames.len(), 24);
    assert!(frames.iter().all(|frame| read_mark(frame, 240, 135) == Some(712)));
}

#[tokio::test]
async fn given_clips_are_served_with_h265_and_b_frames() {
    let folder = std::env::var_os("HALLWATCH_CLIPS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/clips")),
        PathBuf::from,
    );
    for (name, codec) in [
        ("window-a-sub.mp4", Codec::H264),
        ("window-a-main-h265.mp4", Codec::H265),
        ("people-walking-768x432.mp4", Codec::H264),
    ] {
        let clip = match Clip::from_mp4(&folder.join(name)) {
            Ok(clip) => clip,
            Err(error) => {
                println!("not tried: {error}");
                continue;
            }
        };
        assert_eq!(clip.codec, codec);
        let reordered = clip.samples.iter().any(|sample| sample.show_after != 0);
        assert_eq!(reordered, name.starts_with("people"), "{name}");
        let (server, _cancel) = serve(Footage::new(Arc::new(clip)), Authentication::Digest, false).await;
        let mut session = open(&server).await;
        for index in 0..8 {
            let frame = frame(&mut session).await.unwrap();
            assert_eq!((frame.loss(), frame.is_random_access_point()), (0, index == 0), "{name}");
        }
    }
}
