//! The agent records eight cameras and is killed at moments drawn by a seed: what is lost is at most two seconds and a group
//! of pictures, every file plays in ffmpeg, every gap has its reason, and an index made again equals the index.
//! `HALLWATCH_KILLS=180` for the long course; `HALLWATCH_TEST_SEED` for other moments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test makes for itself must be there

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use control_protocol::CameraId;
use edge_agent::recorder::index::{Gap, Index, SegmentRow, rebuild};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use simulated_hall::{
    footage::{Recipe, encode},
    rtsp::{Authentication, CameraSpec, Credentials, Footage, Server, ServerSetup, Tier},
};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

const CAMERAS: usize = 8;
/// What a kill may cost beyond the group of pictures that is coming in.
const SYNC: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(90);

/// Numbers that look drawn by lot, the same for the same seed (xorshift).
struct Lot(u64);

impl Lot {
    fn between(&mut self, least: f64, most: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        least + (self.0 >> 11) as f64 / (1u64 << 53) as f64 * (most - least)
    }
}

fn from_environment(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

fn camera(n: usize) -> CameraId {
    format!("450103-01-S{:02}", n + 1).parse().unwrap()
}

/// An agent that has no centre: it records all the same.
struct Hall {
    folder: tempfile::TempDir,
    config: PathBuf,
    agent: Option<Child>,
}

impl Hall {
    fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let identity = json!({
            "node": "hall-450103-01", "hall": "450103-01", "key_pem": key.serialize_pem(),
            "certificate_pem": certificate, "ca_pem": certificate,
        });
        std::fs::create_dir_all(data.join("identity")).unwrap();
        std::fs::write(data.join("identity/identity.json"), identity.to_string()).unwrap();
        let cameras: Vec<_> = (0..CAMERAS)
            .map(|n| json!({"id": camera(n), "name": format!("{n}"), "url": server.url(&format!("C{n}"), Tier::Main)}))
            .collect();
        // Nobody listens on port 1: the link is down all the time.
        let config = json!({
            "hall": {"id": "450103-01", "name": "hall", "data": data},
            "centre": {"url": "https://127.0.0.1:1"},
            "camera": cameras,
            "recording": {"segment_seconds": 5, "keep_free_gigabytes": 0.2},
        });
        let file = folder.path().join("edge.toml");
        std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
        Self { config: file, folder, agent: None }
    }

    fn recordings(&self) -> PathBuf {
        self.folder.path().join("data/recordings")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn start(&mut self) {
        let log =
            std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let agent = Command::new(env!("CARGO_BIN_EXE_edge-agent"))
            .args(["run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.agent = Some(agent.unwrap());
    }

    /// Waits until `done`; the agent must live meanwhile.
    async fn until(&mut self, what: &str, mut done: impl FnMut(&Path) -> bool) {
        let begun = Instant::now();
        while !done(&self.recordings()) {
            let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().unwrap());
            assert!(ended.is_none(), "the agent ended: {ended:?}\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "no {what} after {PATIENCE:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every camera is recorded for the `starts`-th time.
    async fn recording(&mut self, starts: usize) {
        self.until("recording of every camera", |folder| {
            let Ok(index) = Index::read(folder) else { return false };
            (0..CAMERAS).all(|n| {
                let closed = index.gaps(&camera(n), 0, i64::MAX).unwrap_or_default();
                let closed = closed.iter().filter(|gap| gap.to_us.is_some()).count();
                let files = folder.join(camera(n).as_str()).is_dir();
                files && closed + 1 >= starts
            })
        })
        .await;
    }
}

/// The end of a camera's last whole picture on the disk.
fn last_end_us(folder: &Path, n: usize) -> i64 {
    let of_camera = |file: &&String| file.starts_with(camera(n).as_str());
    let files = rebuild::files(folder).unwrap();
    let ends = files
        .iter()
        .filter(of_camera)
        .rev()
        .take(3)
        .filter_map(|file| rebuild::scan_file(folder, file).ok()?.table.end_us());
    ends.max().expect("a file with a whole fragment")
}

fn rows(folder: &Path) -> (Vec<SegmentRow>, Vec<Gap>) {
    let index = Index::read(folder).unwrap();
    let rows = index.everything().unwrap().into_iter().map(|row| SegmentRow { id: 0, ..row });
    (rows.collect(), index.ended_gaps().unwrap())
}

/// How many pictures ffmpeg decodes; whatever it complains of is a failure.
async fn decoded(path: &Path) -> u64 {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "warning", "-xerror", "-progress", "-", "-i"]).arg(path).args(["-f", "null", "-"]);
    let done = ffmpeg.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let done = done.expect("ffmpeg is needed: run scripts/setup test");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.trim().is_empty(), "ffmpeg of {}: {said}", path.display());
    let progress = String::from_utf8_lossy(&done.stdout);
    let frames = progress.lines().rev().find_map(|line| line.strip_prefix("frame="));
    frames.expect("ffmpeg counts").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_costs_seconds_and_nothing_else() {
    let kills = usize::try_from(from_environment("HALLWATCH_KILLS", 3)).unwrap();
    let seed = from_environment("HALLWATCH_TEST_SEED", 20_261_122);
    let mut lot = Lot(seed);
    let recipe = Recipe { gops: 3, ..Recipe::sub(4071, "S") };
    let group =
        Duration::from_secs_f64(f64::from(recipe.gop) * f64::from(recipe.rate.1) / f64::from(recipe.rate.0));
    let clip = Arc::new(tokio::task::spawn_blocking(move || encode(&recipe)).await.unwrap().unwrap());
    let cameras = (0..CAMERAS).map(|n| CameraSpec {
        name: format!("C{n}"),
        credentials: Credentials {
            user: String::new(),
            password: String::new(),
            authentication: Authentication::None,
        },
        streams: vec![(Tier::Main, Footage::new(clip.clone()))],
    });
    let cancel = CancellationToken::new();
    let setup =
        ServerSetup { listen: "127.0.0.1:0".parse().unwrap(), cameras: cameras.collect(), stamp: false };
    let server = Server::start(setup, cancel.clone()).await.unwrap();
    let mut hall = Hall::new(&server);
    let mut lost: Vec<f64> = Vec::new();
    for round in 1..=kills {
        hall.start();
        hall.recording(round).await;
        tokio::time::sleep(Duration::from_secs_f64(lot.between(group.as_secs_f64() + 0.5, 9.0))).await;
        hall.agent.take().unwrap().kill().await.unwrap();
        let killed_us = jiff::Timestamp::now().as_microsecond();
        for n in 0..CAMERAS {
            lost.push((killed_us - last_end_us(&hall.recordings(), n)) as f64 / 1e6);
        }
    }
    lost.sort_by(f64::total_cmp);
    let worst = lost.last().copied().unwrap();
    println!(
        "seed {seed}: {kills} kills × {CAMERAS} cameras, group of {:.1} s: lost, seconds: median {:.2}, worst {worst:.2}",
        group.as_secs_f64(),
        lost[lost.len() / 2]
    );
    assert!(worst <= (SYNC + group).as_secs_f64(), "{lost:?}");

    hall.start();
    hall.recording(kills + 1).await;
    tokio::time::sleep(group).await;
    let mut agent = hall.agent.take().unwrap();
    kill_process(Pid::from_raw(i32::try_from(agent.id().unwrap()).unwrap()).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, agent.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}\n{}", hall.log());

    let folder = hall.recordings();
    let before = rows(&folder);
    assert_eq!(
        rebuild::files(&folder).unwrap().len(),
        before.0.len(),
        "a file without a row, or a row without"
    );
    let mut frames = 0;
    for row in &before.0 {
        assert_eq!(decoded(&folder.join(&row.file)).await, row.table.frames(), "{}", row.file);
        frames += row.table.frames();
    }
    for n in 0..CAMERAS {
        let gaps: Vec<&Gap> = before.1.iter().filter(|gap| gap.camera == camera(n)).collect();
        assert_eq!(gaps.len(), kills, "{gaps:?}");
        assert!(
            gaps.iter().all(|gap| gap.why == "agent_down" && gap.to_us.unwrap() > gap.from_us),
            "{gaps:?}"
        );
        let of_camera: Vec<&SegmentRow> = before.0.iter().filter(|row| row.camera == camera(n)).collect();
        assert!(of_camera.windows(2).all(|two| two[0].end_us <= two[1].start_us + 1_000), "times overlap");
    }
    assert_eq!(rebuild::verify(&folder).unwrap().faults, [""; 0]);
    rebuild::rebuild(&folder).unwrap();
    assert_eq!(rows(&folder), before, "the index made again");
    println!(
        "{} files with {frames} frames play without a complaint; the index made again equals the index",
        before.0.len()
    );
    cancel.cancel();
}
