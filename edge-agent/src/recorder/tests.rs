//! The writer's thread on a real folder, with a clock and fragments that the test plays.

mod clips;
mod finish;
mod keep;
mod sound;
mod still;
mod time;

use std::{
    path::Path,
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use control_protocol::Happening;
use futures_util::TryStreamExt;
use simulated_hall::footage::{Recipe, encode};

use super::{
    gather::Gathered,
    index::{HoldKind, SegmentRow, rebuild},
    segment::{
        Fragment, SampleEntry,
        tests::{decoded, filmed, filmed_entry},
    },
    tell::Telling,
    why::Why,
    *,
};
use crate::{
    cameras::tests::HandClock,
    config::{AutomaticHolds, RecordedStream, Recording},
};

const START: i64 = 1_795_000_000_000_000;
const SECOND: i64 = 1_000_000;

struct Rig {
    recorder: Recorder,
    clock: Arc<HandClock>,
    told: tokio::sync::mpsc::Receiver<Telling>,
    more: tokio::sync::mpsc::Receiver<(usize, CameraId)>,
    thread: std::thread::JoinHandle<()>,
    settings: Recording,
}

pub(crate) fn settings(folder: &Path) -> Recording {
    Recording {
        enabled: true,
        folder: folder.to_owned(),
        stream: RecordedStream::Main,
        sound: false,
        days: 30,
        bytes_per_camera: 0,
        keep_free: 1000,
        segment: Duration::from_secs(60),
        sync: Duration::from_secs(2),
        holds: AutomaticHolds { rating_days: 180, alarms: Vec::new(), alarm_days: 60 },
        except: Vec::new(),
    }
}

fn camera() -> CameraId {
    "450103-01-W07-C1".parse().unwrap()
}

/// A second camera over the same window.
fn other() -> CameraId {
    "450103-01-W07-C2".parse().unwrap()
}

impl Rig {
    fn start(settings: Recording, data: &Path, mono: u64) -> Self {
        let clock = Arc::new(HandClock(AtomicU64::new(mono)));
        let (work, queue) = mpsc::sync_channel(QUEUE);
        let (telling, told) = tokio::sync::mpsc::channel(64);
        let (shared, figures) = (Arc::<Shared>::default(), Arc::<Figures>::default());
        let setup = writer::Setup {
            settings: settings.clone(),
            days_of_file: settings.days,
            node: "hall-450103-01".parse().unwrap(),
            data: data.to_owned(),
            cameras: vec![camera()],
            clock: clock.clone(),
            shared: shared.clone(),
            figures: figures.clone(),
            telling,
        };
        let thread = std::thread::spawn(move || writer::run(setup, queue));
        lock(&shared.cameras).push((camera(), None));
        let (put, more) = tokio::sync::mpsc::channel(MORE);
        let recorder = Recorder {
            folder: settings.folder.clone(),
            work,
            shared,
            figures,
            clock: clock.clone(),
            more: put,
            keep_days: Arc::new(AtomicU32::new(settings.days)),
            stills: picture::StillMaker::start(picture::Settings::default()).unwrap(),
        };
        Self { recorder, clock, told, more, thread, settings }
    }

    /// Plays fragments `at_us` after the start, each as the camera's next.
    fn play(&self, entry: &Arc<SampleEntry>, fragments: &[Fragment], at_us: i64, begins: Option<Why>) {
        self.play_of(0, entry, fragments, at_us, begins);
    }

    /// The same of the camera of this number.
    fn play_of(
        &self,
        camera: usize,
        entry: &Arc<SampleEntry>,
        fragments: &[Fragment],
        at_us: i64,
        begins: Option<Why>,
    ) {
        let mut begins = begins;
        for fragment in fragments {
            let mut fragment = fragment.clone();
            fragment.wall_us += at_us;
            fragment.mono_us += u64::try_from(at_us).unwrap();
            fragment.next_pts_us = fragment.next_pts_us.map(|pts| pts + at_us);
            for frame in &mut fragment.frames {
                frame.pts_us += at_us;
            }
            for heard in &mut fragment.heard {
                heard.pts_us += at_us;
            }
            self.recorder.figures.queued.fetch_add(fragment.bytes(), Ordering::Relaxed);
            let gathered = Gathered::Fragment { entry: entry.clone(), begins: begins.take(), fragment };
            self.recorder.work.try_send(Work::Gathered(camera, gathered)).unwrap();
        }
    }

    fn lose(&self, why: Why) {
        self.recorder.work.try_send(Work::Gathered(0, Gathered::Lost(why))).unwrap();
    }

    /// Everything sent so far has been done.
    async fn done(&self) {
        self.recorder.ask(|_| Ok(())).await.unwrap();
    }

    /// Moves the clock and waits until the thread has looked at it.
    async fn at(&self, mono: Duration) {
        self.clock.0.store(u64::try_from(mono.as_micros()).unwrap(), Ordering::Relaxed);
        self.done().await;
        self.done().await;
    }

    fn stop(self) -> tokio::sync::mpsc::Receiver<Telling> {
        self.recorder.work.try_send(Work::Stop).unwrap();
        self.thread.join().unwrap();
        self.told
    }

    async fn clip(&self, from_us: i64, to_us: i64) -> Clip {
        self.recorder.clip(&camera(), Vec::new(), from_us, to_us).await.unwrap()
    }
}

async fn bytes_of(clip: Clip) -> Vec<u8> {
    let parts: Vec<bytes::Bytes> = clip.stream(None).try_collect().await.unwrap();
    parts.concat()
}

/// The rows without what an index made again numbers anew.
fn rows(folder: &Path) -> (Vec<SegmentRow>, Vec<Gap>) {
    let index = Index::read(folder).unwrap();
    let rows = index.everything().unwrap().into_iter().map(|row| SegmentRow { id: 0, ..row });
    (rows.collect(), index.ended_gaps().unwrap())
}

struct Footage {
    entry: Arc<SampleEntry>,
    fragments: Vec<Fragment>,
    frames: u64,
    /// How long it is.
    us: i64,
}

fn footage(gops: u16, changed: bool) -> Footage {
    let mut recipe = Recipe { gops, ..Recipe::sub(77, "W07") };
    if changed {
        (recipe.width, recipe.height) = (320, 192);
    }
    let clip = encode(&recipe).unwrap();
    let frames = clip.samples.len() as u64;
    Footage {
        entry: Arc::new(filmed_entry(&clip)),
        fragments: filmed(&clip),
        frames,
        us: i64::try_from(frames).unwrap() * 40_000,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_found_and_played_and_the_index_is_made_again() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (f, g) = (footage(3, false), footage(2, true));
    let mut rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    // What is being written counts and plays.
    let clip = rig.clip(START, START + f.us).await;
    assert_eq!((clip.frames, clip.starts_us, clip.ends_us), (f.frames, START, START + f.us));
    let path = folder.path().join("clip.mp4");
    let (length, whole) = (clip.len(), bytes_of(clip).await);
    assert_eq!(length, whole.len() as u64);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(decoded(&path), f.frames);
    let again = rig.clip(START, START + f.us).await;
    let part: Vec<bytes::Bytes> = again.stream(Some(1000..5001)).try_collect().await.unwrap();
    assert_eq!(part.concat(), whole[1000..5001]);

    // A minute later: the next segment of the run.
    rig.at(Duration::from_secs(61)).await;
    rig.play(&f.entry, &f.fragments, f.us, None);
    rig.lose(Why::CameraLost("it sends nothing".into()));
    rig.done().await;
    let (_, gaps) = rig.recorder.recordings(&camera(), START, START + 100 * SECOND).await.unwrap();
    let lost = START + 2 * f.us;
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].from_us, gaps[0].to_us), (lost, None));
    // It returns, with another picture size; then the clock is set back.
    rig.play(&g.entry, &g.fragments, 3 * f.us, Some(Why::CameraLost("it sends nothing".into())));
    rig.done().await;
    let clip = rig.clip(START, START + 100 * SECOND).await;
    assert_eq!((clip.frames, clip.rest_from_us), (2 * f.frames + g.frames, None));
    assert_eq!(clip.len(), bytes_of(rig.clip(START, START + 100 * SECOND).await).await.len() as u64);
    std::fs::write(&path, bytes_of(clip).await).unwrap();
    assert_eq!(decoded(&path), 2 * f.frames + g.frames);
    let mut back = f.fragments.clone();
    back.iter_mut().for_each(|fragment| fragment.wall_us -= 3_600 * SECOND);
    rig.play(&f.entry, &back, 5 * f.us, Some(Why::ClockStepped));
    rig.done().await;
    let (runs, gaps) = rig.recorder.recordings(&camera(), 0, i64::MAX).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.run).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(runs.iter().map(|run| run.frames).sum::<u64>(), 3 * f.frames + g.frames);
    assert_eq!(
        gaps.iter().map(|gap| &gap.why[..]).collect::<Vec<_>>(),
        ["camera_lost: it sends nothing", "clock_stepped"]
    );
    assert_eq!((gaps[0].from_us, gaps[0].to_us), (lost, Some(START + 3 * f.us)));

    let written = rig.recorder.figures.written.load(Ordering::Relaxed) as f64;
    let received = rig.recorder.figures.received.load(Ordering::Relaxed) as f64;
    assert!(written > received && rig.recorder.figures.queued.load(Ordering::Relaxed) == 0);
    let mut sealed = Vec::new();
    while let Ok(telling) = rig.told.try_recv() {
        if let Telling::Rows { segments, gaps } = telling {
            sealed.extend(segments.iter().map(|row| row.part));
            let gaps = gaps.into_iter().map(|gap| (gap.camera, gap.from_us)).collect();
            rig.recorder
                .work
                .try_send(Work::Told { segments: segments.iter().map(|s| s.id).collect(), gaps })
                .unwrap();
        }
        rig.done().await;
    }
    assert!(sealed.starts_with(&[1, 2]), "{sealed:?}");
    rig.stop();
    for file in rebuild::files(folder.path()).unwrap() {
        let frames = rebuild::scan_file(folder.path(), &file).unwrap().table.frames();
        assert_eq!(decoded(&folder.path().join(&file)), frames, "{file}");
    }
    assert_eq!(rebuild::verify(folder.path()).unwrap().faults, [""; 0]);
    let before = rows(folder.path());
    assert_eq!(before.0.len(), 4);
    let found = rebuild::rebuild(folder.path()).unwrap();
    assert_eq!((found.segments, found.faults), (4, Vec::new()));
    assert_eq!(rows(folder.path()), before);
    // One changed byte is found.
    let file = folder.path().join(&before.0[1].file);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(rebuild::verify(folder.path()).unwrap().faults.len(), 1);
}

/// The folder as a crash would leave it: everything as it is in the middle of writing.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_tail_is_cut_and_the_gap_has_its_reason() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(3, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    for torn in [0u64, 1, 50, 5_000, 1_000_000] {
        let crashed = tempfile::tempdir().unwrap();
        copy(folder.path(), crashed.path());
        let file = rebuild::files(crashed.path()).unwrap().remove(0);
        let path = crashed.path().join(&file);
        let length = std::fs::metadata(&path).unwrap().len();
        let open = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        open.set_len(length.saturating_sub(torn)).unwrap();
        let whole = rebuild::scan_file(crashed.path(), &file).map_or(0, |scanned| scanned.table.frames());
        assert_eq!(whole == f.frames, torn == 0);
        let rig = Rig::start(settings(crashed.path()), data.path(), 0);
        rig.play(&f.entry, &f.fragments, 2 * f.us, Some(Why::AgentDown));
        rig.done().await;
        let (runs, gaps) = rig.recorder.recordings(&camera(), 0, i64::MAX).await.unwrap();
        assert_eq!(runs.iter().map(|run| run.frames).sum::<u64>(), whole + f.frames, "{torn} bytes torn off");
        if whole > 0 {
            assert_eq!((runs.len(), gaps.len(), &gaps[0].why[..]), (2, 1, "agent_down"));
            assert_eq!((gaps[0].from_us, gaps[0].to_us), (runs[0].to_us, Some(runs[1].from_us)));
        }
        rig.stop();
        let before = rows(crashed.path());
        for row in &before.0 {
            assert_eq!(decoded(&crashed.path().join(&row.file)), row.table.frames());
        }
        rebuild::rebuild(crashed.path()).unwrap();
        assert_eq!(rows(crashed.path()), before, "{torn} bytes torn off");
    }
    rig.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_oldest_and_never_what_is_held() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(1, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    for n in 0..4 {
        rig.at(Duration::from_secs(61 * (n + 1))).await;
        rig.play(
            &f.entry,
            &f.fragments,
            i64::try_from(n).unwrap() * f.us,
            (n == 0).then_some(Why::AgentDown),
        );
        rig.done().await;
    }
    let hold = Hold {
        id: "h1".into(),
        kind: HoldKind::Case,
        reason: "a complaint".into(),
        placed_by: Some("county".into()),
        case: None,
        cameras: vec![camera()],
        from_us: START + f.us,
        to_us: START + f.us + 1,
        placed_us: START,
        until_us: None,
        released_us: None,
    };
    assert!(rig.recorder.hold(hold.clone()).await.unwrap());
    rig.stop();
    let free = crate::journal::free_bytes(folder.path()).unwrap();
    // More is to be kept free than there can be.
    let rig =
        Rig::start(Recording { keep_free: free * 2, ..settings(folder.path()) }, data.path(), 500_000_000);
    let deadline = Instant::now() + Duration::from_secs(20);
    while rig.recorder.figures.state().stopped.is_none() {
        assert!(Instant::now() < deadline, "recording does not stop");
        rig.done().await;
    }
    rig.play(&f.entry, &f.fragments, 100 * SECOND, Some(Why::AgentDown));
    rig.done().await;
    let kept = rows(folder.path()).0;
    assert_eq!(kept.iter().map(|row| row.part).collect::<Vec<_>>(), [2], "what is held stays, the rest goes");
    assert_eq!(rebuild::files(folder.path()).unwrap().len(), 1);
    assert!(rig.recorder.figures.state().stopped.unwrap().contains("held"));
    let folder_again = rig.settings.folder.clone();
    let mut told = rig.stop();
    let mut low = 0;
    while let Ok(telling) = told.try_recv() {
        low += usize::from(matches!(telling, Telling::Now(None, Happening::NodeDiskLow { .. })));
    }
    assert_eq!(low, 1);
    // With room it goes on; with the index lost too, the hold stands.
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = std::fs::remove_file(folder_again.join(name));
    }
    let rig =
        Rig::start(Recording { bytes_per_camera: 1, ..settings(folder.path()) }, data.path(), 900_000_000);
    rig.play(&f.entry, &f.fragments, 200 * SECOND, Some(Why::AgentDown));
    rig.lose(Why::CameraLost("gone".into()));
    rig.done().await;
    rig.at(Duration::from_secs(1_000)).await;
    assert_eq!(rig.recorder.holds().await.unwrap(), [hold]);
    assert_eq!(rows(folder.path()).0.iter().map(|row| row.part).collect::<Vec<_>>(), [2]);
    // A clip keeps what it reads.
    assert!(rig.recorder.release("h1".into()).await.unwrap());
    let clip = rig.clip(START, START + 3 * f.us).await;
    rig.at(Duration::from_secs(2_000)).await;
    assert!(!bytes_of(clip).await.is_empty());
    rig.at(Duration::from_secs(3_000)).await;
    assert!(rows(folder.path()).0.is_empty());
    rig.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_disk_is_not_written_to() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Rig::start(settings(folder.path()), data.path(), 0).stop();
    let empty = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(settings(empty.path()), data.path(), 0);
    let f = footage(1, false);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    let Some(Telling::Now(None, Happening::RecordingGap { why, .. })) = rig.told.recv().await else {
        panic!()
    };
    assert!(why.starts_with("disk_out:") && why.contains("adopt"), "{why}");
    assert!(rig.recorder.figures.state().stopped.is_some());
    assert!(rig.recorder.release("h".into()).await.is_err());
    rig.stop();
    assert!(rebuild::files(empty.path()).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_put_in_later_is_recorded_like_those_before_it() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(1, false);
    let mut rig = Rig::start(settings(folder.path()), data.path(), 0);
    let other: CameraId = "450103-01-S01".parse().unwrap();
    rig.recorder.record(&other, None).await.unwrap();
    assert_eq!(rig.more.recv().await, Some((1, other.clone())));
    rig.play_of(1, &f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    // In its place another: it keeps its number, and goes on in the same book.
    rig.recorder.record(&other, None).await.unwrap();
    assert_eq!(rig.more.recv().await, Some((1, other.clone())));
    rig.done().await;
    let (runs, _) = rig.recorder.recordings(&other, START, START + f.us).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert!(rig.recorder.recordings(&camera(), START, START + f.us).await.unwrap().0.is_empty());
    rig.stop();
    assert!(rows(folder.path()).0.iter().all(|row| row.camera == other));
}
