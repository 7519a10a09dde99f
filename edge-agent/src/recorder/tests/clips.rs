//! What goes to the centre: plans and bytes of clips, whole segments, clips in step.

use control_protocol::{
    Digest,
    footage::{FootageAnswer, FootageAsk, MESSAGE, NoFootage, SendBytes},
    websocket::{Message, Role, Socket},
};
use tokio::io::DuplexStream;

use super::*;
use crate::uplink::footage::serve;

/// The far end of a delivery: the answer, and the bytes of `range` where some are asked for.
async fn deliver(
    rig: &Rig,
    ask: FootageAsk,
    range: Option<(u64, u64)>,
) -> (FootageAnswer, Vec<u8>, Result<u64, String>) {
    let (edge, centre) = tokio::io::duplex(50_000);
    let mut edge: Socket<DuplexStream> = Socket::new(edge, Role::Client, 1 << 20);
    let mut centre = Socket::new(centre, Role::Server, 1 << 20);
    let (answer, source) = rig.recorder.answer(ask).await;
    let serving = tokio::spawn(async move { serve(&mut edge, answer, source).await });
    let Some(Ok(Message::Text(text))) = centre.next().await else { panic!("no answer") };
    let answer: FootageAnswer = serde_json::from_str(&text).unwrap();
    if let Some((from, to)) = range {
        let wanted = serde_json::to_string(&SendBytes { from, to }).unwrap();
        centre.send(Message::Text(wanted)).await.unwrap();
    } else {
        // Where there are no bytes the edge has closed already.
        let _ = centre.close(1000, "").await;
    }
    let mut bytes = Vec::new();
    while let Some(Ok(message)) = centre.next().await {
        match message {
            Message::Binary(part) => {
                assert!(part.len() <= MESSAGE);
                bytes.extend_from_slice(&part);
            }
            Message::Close { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    (answer, bytes, serving.await.unwrap())
}

fn ask(from_us: i64, to_us: i64) -> FootageAsk {
    FootageAsk::Clip { camera: camera(), beside: Vec::new(), from_us, to_us }
}

/// Numbers that look drawn by lot.
struct Lot(u64);

impl Lot {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 20) % limit
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_range_of_a_clip_is_that_slice_of_the_whole() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (f, g) = (footage(3, false), footage(2, true));
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    rig.at(Duration::from_secs(61)).await;
    rig.play(&f.entry, &f.fragments, f.us, None);
    rig.lose(Why::CameraLost("it sends nothing".into()));
    // Another picture size: key frames carry their parameter sets from here on.
    rig.play(&g.entry, &g.fragments, 3 * f.us, Some(Why::CameraLost("it sends nothing".into())));
    rig.done().await;
    let (from, to) = (START + SECOND / 2, START + 100 * SECOND);
    let (FootageAnswer::Clip(plan), none, done) = deliver(&rig, ask(from, to), None).await else { panic!() };
    assert_eq!((none.len(), done), (0, Ok(0)));
    let (_, whole, done) = deliver(&rig, ask(from, to), Some((0, plan.bytes))).await;
    assert_eq!((whole.len() as u64, done), (plan.bytes, Ok(plan.bytes)));
    let path = folder.path().join("clip.mp4");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(decoded(&path), plan.frames);
    assert_eq!(plan.frames, 2 * f.frames + g.frames);
    let seconds = |us: i64| us as f64 / 1e6;
    // Over the gap, into what came after it.
    let after = seconds(3 * f.us) + 0.5;
    seekable(&path, seconds(3 * f.us + g.us), after, seconds(3 * f.us));

    // The plan says what the index says.
    assert_eq!((plan.zero_us, plan.starts_us, plan.ends_us), (START, START, START + 3 * f.us + g.us));
    assert_eq!(
        plan.gaps.iter().map(|gap| &gap.why[..]).collect::<Vec<_>>(),
        ["camera_lost: it sends nothing"]
    );
    assert_eq!((plan.gaps[0].from_us, plan.gaps[0].to_us), (START + 2 * f.us, Some(START + 3 * f.us)));
    let rows = rows(folder.path()).0;
    let used: Vec<(&str, Option<Digest>)> =
        plan.segments.iter().map(|s| (&s.segment[..], s.sha256)).collect();
    assert_eq!(
        used[..2],
        [(&rows[0].file[..], Some(rows[0].digest)), (&rows[1].file[..], Some(rows[1].digest))]
    );
    assert_eq!((used.len(), used[2].1), (3, None), "the last is being written");
    assert_eq!(plan.segments.iter().map(|s| s.frames).sum::<u64>(), plan.frames);
    assert_eq!(plan.clock, control_protocol::event::ClockQuality::Synchronised);

    let mut lot = Lot(7);
    let edges = [(0, 1), (plan.bytes - 1, plan.bytes), (5, 5), (0, plan.bytes)];
    let drawn = (0..60).map(|_| {
        let (a, b) = (lot.below(plan.bytes + 1), lot.below(plan.bytes + 1));
        (a.min(b), a.max(b))
    });
    for (from_byte, to_byte) in edges.into_iter().chain(drawn) {
        let (FootageAnswer::Clip(again), part, done) =
            deliver(&rig, ask(from, to), Some((from_byte, to_byte))).await
        else {
            panic!()
        };
        assert_eq!((again.tag, done), (plan.tag, Ok(to_byte - from_byte)));
        let slice = &whole[usize::try_from(from_byte).unwrap()..usize::try_from(to_byte).unwrap()];
        assert!(part == slice, "bytes {from_byte} to {to_byte}");
    }
    for (from_byte, to_byte) in [(0, plan.bytes + 1), (9, 8), (u64::MAX, u64::MAX)] {
        let (_, part, done) = deliver(&rig, ask(from, to), Some((from_byte, to_byte))).await;
        assert!(part.is_empty() && done.is_err(), "bytes {from_byte} to {to_byte}");
    }
    // More of the same footage is another clip.
    rig.play(&g.entry, &g.fragments, 3 * f.us + g.us, None);
    rig.done().await;
    let (FootageAnswer::Clip(longer), ..) = deliver(&rig, ask(from, to), None).await else { panic!() };
    assert!(longer.tag != plan.tag && longer.frames > plan.frames);
    let before = START - 10 * SECOND;
    let (FootageAnswer::Nothing { reason, .. }, ..) = deliver(&rig, ask(before, before + 1), None).await
    else {
        panic!()
    };
    assert_eq!(reason, NoFootage::NotRecorded);
    let (FootageAnswer::Nothing { reason, .. }, ..) = deliver(&rig, ask(5, 5), None).await else { panic!() };
    assert_eq!(reason, NoFootage::Range);
    rig.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_given_as_it_lies() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(2, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.lose(Why::CameraLost("gone".into()));
    rig.done().await;
    let row = rows(folder.path()).0.remove(0);
    let lies = std::fs::read(folder.path().join(&row.file)).unwrap();
    let of = |camera: CameraId, segment: &str| FootageAsk::Segment { camera, segment: segment.into() };
    let length = lies.len() as u64;
    let (FootageAnswer::Segment(file), bytes, _) =
        deliver(&rig, of(camera(), &row.file), Some((0, length))).await
    else {
        panic!()
    };
    assert_eq!((file.bytes, file.sha256, bytes == lies), (length, row.digest, true));
    let (_, part, _) = deliver(&rig, of(camera(), &row.file), Some((10, length - 10))).await;
    assert!(part == lies[10..lies.len() - 10]);
    let escapes =
        ["../hallwatch-recordings.json", "index.sqlite", "", "/etc/passwd", &format!("./{}", row.file)];
    for name in escapes {
        let (FootageAnswer::Nothing { reason, .. }, ..) = deliver(&rig, of(camera(), name), None).await
        else {
            panic!("{name}")
        };
        assert_eq!(reason, NoFootage::NotRecorded);
    }
    let (FootageAnswer::Nothing { .. }, ..) = deliver(&rig, of(other(), &row.file), None).await else {
        panic!()
    };
    let recordings = FootageAsk::Recordings { camera: camera(), from_us: 0, to_us: i64::MAX };
    let (FootageAnswer::Recordings(listed), ..) = deliver(&rig, recordings, None).await else { panic!() };
    assert_eq!((listed.runs.len(), listed.runs[0].frames, listed.disk.keep_days), (1, f.frames, 30));
    assert_eq!((&listed.gaps[0].why[..], listed.gaps[0].to_us), ("camera_lost: gone", None));
    rig.stop();
}

/// What ffprobe says of a clip's pictures, with `more` asked: a number for each line.
fn probed(path: &Path, more: &[&str]) -> Vec<f64> {
    let probe = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"])
        .args(more)
        .arg(path)
        .output()
        .expect("ffprobe is needed: run scripts/setup test");
    assert!(probe.stderr.is_empty(), "{}", String::from_utf8_lossy(&probe.stderr));
    let text = String::from_utf8_lossy(&probe.stdout).into_owned();
    text.lines().map(|line| line.trim().trim_end_matches(',').parse().unwrap()).collect()
}

/// When pictures are shown in a clip, seconds.
fn shown(path: &Path) -> Vec<f64> {
    probed(path, &["-show_entries", "packet=pts_time"])
}

/// The length and the places of key frames are known to a player before it has read the whole.
fn seekable(path: &Path, length: f64, at: f64, key_frame: f64) {
    let known = probed(path, &["-show_entries", "stream=duration"]);
    assert!((known[0] - length).abs() < 0.001, "{known:?} and not {length}");
    let first = probed(path, &["-read_intervals", &format!("{at}%+#1"), "-show_entries", "packet=pts_time"]);
    assert!((first[0] - key_frame).abs() < 0.001, "sought {at}, found {first:?} and not {key_frame}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_beside_each_other_have_one_zero() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(3, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    // The second camera's key frames come 0.7 s after the first one's, and its recording begins two groups later.
    let later = 700_000 + 2 * f.us;
    rig.recorder.record(&other(), None).await.unwrap();
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.play(&f.entry, &f.fragments, f.us, None);
    rig.play(&f.entry, &f.fragments, 2 * f.us, None);
    rig.play_of(1, &f.entry, &f.fragments, later, Some(Why::AgentDown));
    rig.done().await;
    let (from, to) = (START + f.us + SECOND / 10, START + 4 * f.us);
    let both = [(camera(), other()), (other(), camera())];
    let mut zeros = Vec::new();
    for (of, beside) in both {
        let clip = rig.recorder.clip(&of, vec![beside, of.clone()], from, to).await.unwrap();
        let (zero, starts, ends, frames) = (clip.zero_us, clip.starts_us, clip.ends_us, clip.frames);
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, bytes_of(clip).await).unwrap();
        assert_eq!(decoded(&path), frames);
        let shown = shown(&path);
        let first = (starts - zero) as f64 / 1e6;
        assert!((shown[0] - first).abs() < 0.001, "{} and not {first}", shown[0]);
        let last = (ends - zero) as f64 / 1e6 - 0.04;
        assert!((shown[shown.len() - 1] - last).abs() < 0.001, "{:?} and not {last}", shown.last());
        zeros.push((zero, starts));
    }
    assert_eq!(zeros[0].0, zeros[0].1, "the first begins at its own zero");
    assert_eq!(zeros[1], (zeros[0].0, START + later));
    // Alone it begins at zero.
    let alone = rig.recorder.clip(&other(), Vec::new(), from, to).await.unwrap();
    assert_eq!(alone.zero_us, alone.starts_us);
    rig.stop();
}
