//! Pulls from a scripted RTSP camera on loopback.

use std::sync::Mutex;

use data_encoding::{BASE64, HEXLOWER};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::clock::SystemMonotonic;

/// 640x360 and 1280x720, both without B-frames; and one whose parameters do not say.
const SMALL: (&str, &str) = ("6742c016d900a02ff961000003000200000300320f162e48", "68cb8cb2");
const LARGE: (&str, &str) = ("674d401fd9005005ba1000000300100000030320f1832480", "68ebccb2");
const SILENT: (&str, &str) = ("674d401f965281806f4d418181900000030010000003014840", "68e9093520");

#[derive(Clone, Copy)]
enum F {
    /// A key frame with these parameter sets at this time in ms.
    Key((&'static str, &'static str), i64),
    Delta(i64),
    /// A packet is left out.
    Lost,
    Wait(u64),
}

#[derive(Clone)]
struct Script {
    status: u16,
    encoding: &'static str,
    frames: Vec<F>,
    /// After the frames: keep the connection open and say nothing.
    freeze: bool,
}

impl Script {
    fn of(frames: Vec<F>) -> Self {
        Self { status: 200, encoding: "H264/90000", frames, freeze: false }
    }
}

struct Camera {
    source: CameraSource,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn camera(script: Script) -> Camera {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let task = tokio::spawn({
        let requests = Arc::clone(&requests);
        async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let _ = serve(stream, &script, &requests).await;
            }
        }
    });
    let source = CameraSource {
        url: Url::parse(&format!("rtsp://127.0.0.1:{port}/sub")).unwrap(),
        user: "viewer".into(),
        password: "s3cret&".into(),
        transport: Transport::Tcp,
        sound: false,
    };
    Camera { source, requests, task }
}

async fn serve(stream: TcpStream, script: &Script, requests: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if read.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        requests.lock().unwrap().push(head.clone());
        let cseq = head.lines().find_map(|l| l.strip_prefix("CSeq: ")).unwrap_or("0").to_owned();
        let authorized = head.contains("Authorization: Digest");
        let status = match script.status {
            401 => 401,
            _ if !authorized => 401,
            other => other,
        };
        let method = head.split(' ').next().unwrap_or_default().to_owned();
        let (extra, body) = match (status, method.as_str()) {
            (401, _) => {
                ("WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\"\r\n".to_owned(), String::new())
            }
            (200, "DESCRIBE") => {
                let base64 = |hex: &str| BASE64.encode(&HEXLOWER.decode(hex.as_bytes()).unwrap());
                let sets = script.frames.iter().find_map(|f| match f {
                    F::Key(sets, _) => Some(*sets),
                    _ => None,
                });
                let (sps, pps) = sets.unwrap_or(SMALL);
                let body = format!(
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n\
                     a=rtpmap:96 {}\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets={},{}\r\n\
                     a=control:track1\r\n",
                    script.encoding,
                    base64(sps),
                    base64(pps)
                );
                ("Content-Type: application/sdp\r\n".to_owned(), body)
            }
            (200, "SETUP") => (
                "Session: 77;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n".to_owned(),
                String::new(),
            ),
            (200, "PLAY") => {
                ("Session: 77\r\nRTP-Info: url=track1;seq=1;rtptime=0\r\n".to_owned(), String::new())
            }
            _ => (String::new(), String::new()),
        };
        let reply = format!(
            "RTSP/1.0 {status} X\r\nCSeq: {cseq}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        write.write_all(reply.as_bytes()).await?;
        if method == "PLAY" && status == 200 {
            let mut seq = 1u16;
            for frame in &script.frames {
                let (units, ms) = match frame {
                    F::Key((sps, pps), ms) => {
                        let unit = |hex: &str| HEXLOWER.decode(hex.as_bytes()).unwrap();
                        (vec![unit(sps), unit(pps), vec![0x65, 0x88, 0x84, 0, 1]], *ms)
                    }
                    F::Delta(ms) => (vec![vec![0x41, 0x9A, 0x21, 0x6C]], *ms),
                    F::Lost => {
                        seq = seq.wrapping_add(1);
                        continue;
                    }
                    F::Wait(ms) => {
                        tokio::time::sleep(Duration::from_millis(*ms)).await;
                        continue;
                    }
                };
                let last = units.len() - 1;
                for (at, unit) in units.iter().enumerate() {
                    let mut packet = vec![b'$', 0];
                    packet.extend((12 + unit.len() as u16).to_be_bytes());
                    packet.extend([0x80, 96 | if at == last { 0x80 } else { 0 }]);
                    packet.extend(seq.to_be_bytes());
                    packet.extend(((ms * 90) as u32).to_be_bytes());
                    packet.extend([0, 0, 0, 9]);
                    packet.extend(unit);
                    write.write_all(&packet).await?;
                    seq = seq.wrapping_add(1);
                }
            }
            if script.freeze {
                let mut rest = Vec::new();
                read.read_to_end(&mut rest).await?;
            }
            return Ok(());
        }
    }
}

fn quick() -> PullTimeouts {
    PullTimeouts {
        open: Duration::from_secs(5),
        first_frame: Duration::from_millis(600),
        loss: Duration::from_millis(300),
    }
}

async fn run(script: Script) -> (Vec<CameraItem>, PullEnd, Camera) {
    let camera = camera(script).await;
    let source = camera.source.clone();
    // As its owner does: in a task of its own.
    let pulling = tokio::spawn(async move {
        let mut items = Vec::new();
        let cancel = CancellationToken::new();
        let end = pull(&source, &SystemMonotonic, quick(), |item| items.push(item), &cancel).await;
        (items, end)
    });
    let (items, end) = pulling.await.unwrap();
    (items, end, camera)
}

fn units(items: &[CameraItem]) -> Vec<&AccessUnit> {
    items
        .iter()
        .filter_map(|i| match i {
            CameraItem::Unit(unit) => Some(unit),
            CameraItem::Parameters(_) | CameraItem::Sound(_) => None,
        })
        .collect()
}

fn parameters(items: &[CameraItem]) -> Vec<&VideoParameters> {
    items
        .iter()
        .filter_map(|i| match i {
            CameraItem::Parameters(p) => Some(p.as_ref()),
            CameraItem::Unit(_) | CameraItem::Sound(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn starts_at_a_key_frame_with_its_parameters_before_it() {
    let frames =
        vec![F::Delta(0), F::Delta(40), F::Key(SMALL, 80), F::Delta(120), F::Delta(160), F::Key(SMALL, 200)];
    let before = SystemMonotonic.now();
    let (items, end, camera) = run(Script::of(frames)).await;
    assert!(matches!(end, PullEnd::Stream(_)), "{end:?}");
    assert!(matches!(&items[0], CameraItem::Parameters(_)));
    let got = units(&items);
    assert_eq!(
        got.iter().map(|u| (u.key, u.pts_us / 1000)).collect::<Vec<_>>(),
        [(true, 0), (false, 40), (false, 80), (true, 120)]
    );
    assert_eq!(got.iter().map(|u| u.discontinuity).collect::<Vec<_>>(), [true, false, false, false]);
    assert!(got.iter().all(|u| u.arrived >= before && u.arrived <= SystemMonotonic.now()));
    assert_eq!(&got[0].data[..], [0, 0, 0, 5, 0x65, 0x88, 0x84, 0, 1]);
    let [only] = parameters(&items)[..] else { panic!("{items:?}") };
    assert_eq!((only.width, only.height, only.b_frames), (640, 360, false));
    assert!(only.codec.eq_ignore_ascii_case("avc1.42c016"), "{}", only.codec);
    assert_eq!(only.config[0], 1);
    // The password goes only into the digest.
    let requests = camera.requests.lock().unwrap().join("");
    assert!(requests.contains("username=\"viewer\"") && !requests.contains("s3cret"));
}

#[tokio::test]
async fn a_timestamp_jump_and_new_parameters_and_loss() {
    let frames = vec![
        F::Key(SMALL, 0),
        F::Wait(30),
        F::Delta(40),
        F::Key(LARGE, 9_000_000),
        F::Delta(9_000_040),
        F::Lost,
        F::Delta(9_000_080),
    ];
    let (items, end, _camera) = run(Script::of(frames)).await;
    assert_eq!(end, PullEnd::Stream("the camera closed the connection".into()));
    let sizes: Vec<_> = parameters(&items).iter().map(|p| (p.width, p.height)).collect();
    assert_eq!(sizes, [(640, 360), (1280, 720)]);
    let got = units(&items);
    assert_eq!(got.iter().map(|u| u.discontinuity).collect::<Vec<_>>(), [true, false, true, false, true]);
    assert!(got.windows(2).all(|w| w[0].pts_us < w[1].pts_us), "{got:?}");
    assert!(got[4].pts_us < 3_000_000);
}

#[tokio::test]
async fn b_frames_that_the_parameters_do_not_announce_are_noticed() {
    let frames = vec![F::Key(SILENT, 0), F::Delta(120), F::Delta(40), F::Delta(80), F::Delta(240)];
    let (items, end, _camera) = run(Script::of(frames)).await;
    assert_eq!(end, PullEnd::Stream("the camera closed the connection".into()));
    assert_eq!(parameters(&items).iter().map(|p| p.b_frames).collect::<Vec<_>>(), [false, true]);
    assert!(units(&items)[1..].iter().all(|u| !u.discontinuity));
}

#[tokio::test]
async fn every_end_says_its_stage() {
    let (items, end, _c) = run(Script { status: 401, ..Script::of(vec![]) }).await;
    assert_eq!((items.len(), &end, end.failure()), (0, &PullEnd::Unauthorized, Failure::Refused));
    let (_, end, _c) = run(Script { status: 404, ..Script::of(vec![]) }).await;
    assert_eq!(end, PullEnd::NoStream);
    let (_, end, _c) = run(Script { status: 503, ..Script::of(vec![]) }).await;
    assert!(matches!(end, PullEnd::Describe(_)), "{end:?}");
    let (_, end, _c) = run(Script { encoding: "MP4V-ES/90000", ..Script::of(vec![]) }).await;
    assert!(matches!(&end, PullEnd::Unsupported(why) if why.contains("mp4v")), "{end:?}");
    let (_, end, _c) = run(Script { freeze: true, ..Script::of(vec![F::Delta(0)]) }).await;
    assert!(matches!(end, PullEnd::FirstFrame(_)), "{end:?}");
    let frozen = Script { freeze: true, ..Script::of(vec![F::Key(SMALL, 0), F::Wait(20), F::Delta(40)]) };
    let (items, end, _c) = run(frozen).await;
    assert_eq!(units(&items).len(), 2);
    assert_eq!(end, PullEnd::FrameTimeout(quick().loss));
    let mut camera = camera(Script::of(vec![])).await;
    camera.task.abort();
    let _ = (&mut camera.task).await;
    let end = pull(&camera.source, &SystemMonotonic, quick(), |_| {}, &CancellationToken::new()).await;
    assert!(matches!(end, PullEnd::Connect(_)), "{end:?}");
}

#[tokio::test]
async fn a_cancelled_pull_ends_at_once() {
    let camera = camera(Script { freeze: true, ..Script::of(vec![F::Key(SMALL, 0)]) }).await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let end = pull(
        &camera.source,
        &SystemMonotonic,
        PullTimeouts::default(),
        move |item| {
            if let CameraItem::Unit(_) = item {
                stop.cancel();
            }
        },
        &cancel,
    )
    .await;
    assert_eq!(end, PullEnd::Cancelled);
}

#[test]
fn the_password_is_never_shown() {
    let source = CameraSource {
        url: Url::parse("rtsp://admin:p%40ss+1@10.0.0.2/Streaming/Channels/101").unwrap(),
        user: String::new(),
        password: String::new(),
        transport: Transport::Tcp,
        sound: false,
    };
    assert!(!format!("{source:?} {}", source.bare_url()).contains("p%40ss"));
    let credentials = source.credentials().unwrap();
    assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("admin", "p@ss+1"));
}
