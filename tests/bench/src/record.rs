//! `bench record`: N cameras recorded by an edge agent, and by `ffmpeg -c copy` cutting the same cameras into segments, one
//! after the other from the same simulated cameras. The agent has no centre: its link is down all the time.
//!
//! CPU and memory are those of the recording processes alone, from /proc; what they wrote is what they handed to the file
//! system (`wchar` less what went to sockets is not known, so both: the recorder's own count, and `write_bytes` of
//! /proc/<id>/io, which is what reached the disk's queue). ffmpeg syncs nothing, and loses what the kernel has not written.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use region::{
    process::{Process, binary, until},
    ready::read_json,
};
use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    cameras::Cameras,
    footprint::{Footprint, cpu_of},
    machine::{Machine, load},
};

/// Footage is encoded at the first run on a machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// From the first picture of every camera to the measurement.
const SETTLING: Duration = Duration::from_secs(6);

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Order {
    /// How many cameras, one measurement for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32,64")]
    cameras: Vec<usize>,
    /// How long each is measured, s.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Bit rate of a camera, kb/s.
    #[arg(long, default_value_t = 1500)]
    kilobits: u32,
    /// The agent also looks at the pictures it records: black, frozen, moved, the seat. Without it what is measured is the
    /// recorder alone, as with ffmpeg.
    #[arg(long)]
    inspection: bool,
    /// Where encoded footage is kept from one run to the next.
    #[arg(long, default_value = "target/bench/footage")]
    footage: PathBuf,
    /// Where is recorded, in a folder that is deleted: what is measured is this disk.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// Writes everything measured to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What one recorder did with one number of cameras.
#[derive(Debug, Serialize)]
struct Outcome {
    who: &'static str,
    cameras: usize,
    seconds: f64,
    /// CPU per camera and second, ms.
    cpu_ms: f64,
    /// Proportional memory per camera, MiB.
    memory_mib: f64,
    /// Bytes of segments ÷ bytes of access units; for ffmpeg ÷ the cameras' bit rate.
    written: f64,
    /// Bytes that reached the disk's queue ÷ the same.
    to_disk: Option<f64>,
    /// 99 of 100 syncs took no longer, ms (the upper bound of the histogram's bucket).
    sync_p99_ms: Option<f64>,
    syncs: Option<u64>,
    /// Frames left out because the disk did not keep up.
    refused: Option<u64>,
}

/// Measures and prints; never judges.
pub async fn run(order: &Order) -> Result<()> {
    let machine = Machine::here();
    machine.print();
    println!(
        "targets   per camera: ≤ 1.0 ms CPU a second, ≤ 1 MiB, written ÷ received ≤ 1.02; durable within 2 s"
    );
    std::fs::create_dir_all(&order.folder)?;
    let mut outcomes = Vec::new();
    println!(
        "{:>8} {:>16} {:>12} {:>11} {:>9} {:>9} {:>12} {:>8} {:>8}",
        "cameras",
        "recorder",
        "CPU ms/cam·s",
        "MiB/cam",
        "written",
        "to disk",
        "sync p99 ms",
        "syncs",
        "refused"
    );
    for count in &order.cameras {
        let folder = tempfile::tempdir_in(&order.folder)?;
        let cameras = Source::start(order, *count, folder.path()).await?;
        for who in ["Hallwatch", "ffmpeg -c copy"] {
            let below = folder.path().join(who.split(' ').next().unwrap_or(who));
            std::fs::create_dir_all(&below)?;
            let measured = match who {
                "Hallwatch" => agent(order, &cameras, *count, &below).await,
                _ => ffmpeg(order, &cameras, *count, &below).await,
            };
            match measured {
                Ok(outcome) => {
                    outcome.print();
                    outcomes.push(outcome);
                }
                Err(error) => println!("{count:>8} {who:>16} failed: {error:#}"),
            }
        }
        println!("{:>8} load {}", "", load());
    }
    if let Some(path) = &order.json {
        std::fs::write(path, serde_json::to_vec_pretty(&json!({"machine": machine, "outcomes": outcomes}))?)?;
    }
    Ok(())
}

impl Outcome {
    fn print(&self) {
        let some = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        println!(
            "{:>8} {:>16} {:>12.2} {:>11.2} {:>9.4} {:>9} {:>12} {:>8} {:>8}",
            self.cameras,
            self.who,
            self.cpu_ms,
            self.memory_mib,
            self.written,
            some(self.to_disk.map(|share| format!("{share:.4}"))),
            some(self.sync_p99_ms.map(|ms| format!("{ms}"))),
            some(self.syncs.map(|n| n.to_string())),
            some(self.refused.map(|n| n.to_string()))
        );
    }
}

/// The cameras of a run, in a process of their own.
struct Source {
    cameras: Cameras,
    _process: Process,
}

impl Source {
    async fn start(order: &Order, count: usize, folder: &Path) -> Result<Self> {
        let ready = folder.join("cameras.json");
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
        let (count, kilobits) = (count.to_string(), order.kilobits.to_string());
        let (footage, written) = (text(&order.footage)?, text(&ready)?);
        let arguments =
            ["serve-cameras", "--cameras", &count, "--kilobits", &kilobits, "--footage", &footage];
        let arguments: Vec<&str> = arguments.into_iter().chain(["--ready", &written]).collect();
        let program = std::env::current_exe()?;
        let mut process = Process::start("cameras", &program, &arguments, &[], &folder.join("cameras.log"))?;
        let cameras = until("cameras", PATIENCE, async || {
            process.check()?;
            read_json::<Cameras>(&ready)
        })
        .await?;
        Ok(Self { cameras, _process: process })
    }
}

/// `write_bytes` of /proc/<id>/io (proc(5)).
fn to_disk(processes: &[u32]) -> Option<u64> {
    let of = |id: &u32| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{id}/io")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
    };
    processes.iter().map(of).sum()
}

/// The agent's figures.
struct Figures(String);

impl Figures {
    async fn of(address: &str) -> Result<Self> {
        let mut socket = TcpStream::connect(address).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut text)).await??;
        ensure!(
            text.starts_with("HTTP/1.1 200"),
            "the agent's figures: {}",
            text.lines().next().unwrap_or_default()
        );
        Ok(Self(text))
    }

    fn one(&self, name: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(&format!("hallwatch_{name} ")));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Buckets of the syncs: bound in seconds and how many took no longer.
    fn syncs(&self) -> Vec<(f64, f64)> {
        let lines = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("hallwatch_recording_sync_seconds_bucket{le=\""));
        lines
            .filter_map(|line| {
                let (bound, count) = line.split_once("\"} ")?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                Some((bound, count.trim().parse().ok()?))
            })
            .collect()
    }

    fn recorded(&self) -> usize {
        self.0.lines().filter(|l| l.starts_with("hallwatch_recording_camera{") && l.ends_with(" 1")).count()
    }
}

async fn agent(order: &Order, source: &Source, count: usize, folder: &Path) -> Result<Outcome> {
    let data = folder.join("data");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = rcgen::CertificateParams::new(Vec::new())?.self_signed(&key)?.pem();
    let identity = json!({
        "node": "hall-450103-01", "hall": "450103-01", "key_pem": key.serialize_pem(),
        "certificate_pem": certificate, "ca_pem": certificate,
    });
    std::fs::create_dir_all(data.join("identity"))?;
    std::fs::write(data.join("identity/identity.json"), identity.to_string())?;
    let cameras: Vec<_> = (0..count)
        .map(|n| json!({"id": format!("450103-01-S{:02}", n + 1), "name": "", "url": source.cameras.url(n)}))
        .collect();
    // Nobody listens on port 1.
    let config = json!({
        "hall": {"id": "450103-01", "name": "bench", "data": data},
        "centre": {"url": "https://127.0.0.1:1"},
        "camera": cameras,
        "recording": {"keep_free_gigabytes": 0.2},
        "inspection": {"enabled": order.inspection},
    });
    let file = folder.join("edge.toml");
    region::start::write_edge_config(&file, &config)?;
    let arguments = ["run", "--config", file.to_str().context("a path that is not UTF-8")?];
    let log = folder.join("edge-agent.log");
    let mut edge = Process::start("edge-agent", &binary("edge-agent")?, &arguments, &[], &log)?;
    let place = data.join("local-site.json");
    let address = until("local site", PATIENCE, async || {
        edge.check()?;
        let place: Option<serde_json::Value> = read_json(&place)?;
        Ok(place.and_then(|place| Some(place["address"].as_str()?.to_owned())))
    })
    .await?;
    until("recording of every camera", PATIENCE, async || {
        edge.check()?;
        let recorded = Figures::of(&address).await.map_or(0, |figures| figures.recorded());
        Ok((recorded >= count).then_some(()))
    })
    .await?;
    tokio::time::sleep(SETTLING).await;
    let id: Vec<u32> = edge.id().into_iter().collect();
    let before = Figures::of(&address).await?;
    let (begun, cpu, disk) = (Instant::now(), cpu_of(&id), to_disk(&id));
    tokio::time::sleep(Duration::from_secs(order.seconds)).await;
    let (passed, cpu_after, disk_after) = (begun.elapsed(), cpu_of(&id), to_disk(&id));
    let after = Figures::of(&address).await?;
    let memory = Footprint::of(&id);
    edge.check()?;
    edge.stop(Duration::from_secs(15)).await?;
    let grown = |name: &str| after.one(name) - before.one(name);
    let received = grown("recording_received_bytes_total");
    if received <= 0.0 {
        bail!("nothing was recorded; the end of its log:\n{}", edge.log());
    }
    let per = |value: f64| value / count as f64;
    let syncs: Vec<(f64, f64)> = before
        .syncs()
        .iter()
        .zip(after.syncs())
        .map(|((bound, before), (_, after))| (*bound, after - before))
        .collect();
    let all = syncs.last().map_or(0.0, |(_, count)| *count);
    let p99 = syncs.iter().find(|(_, count)| *count >= all * 0.99).map(|(bound, _)| bound * 1000.0);
    Ok(Outcome {
        who: "Hallwatch",
        cameras: count,
        seconds: passed.as_secs_f64(),
        cpu_ms: per((cpu_after - cpu).as_secs_f64() * 1000.0 / passed.as_secs_f64()),
        memory_mib: per(memory.proportional as f64 / 1_048_576.0),
        written: grown("recording_written_bytes_total") / received,
        to_disk: disk_after.zip(disk).map(|(after, before)| (after - before) as f64 / received),
        sync_p99_ms: p99,
        syncs: Some(all as u64),
        refused: Some(grown("recording_refused_frames_total") as u64),
    })
}

/// Bytes of all files below `folder`.
fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

async fn ffmpeg(order: &Order, source: &Source, count: usize, folder: &Path) -> Result<Outcome> {
    let mut processes = Vec::new();
    for n in 0..count {
        let (url, out) = (source.cameras.url(n), folder.join(format!("{n}-%03d.mp4")));
        let arguments =
            ["-nostdin", "-hide_banner", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", &url];
        let cut = [
            "-map",
            "0:v:0",
            "-c",
            "copy",
            "-f",
            "segment",
            "-segment_time",
            "60",
            "-segment_format_options",
        ];
        let fragments = ["movflags=+frag_keyframe+empty_moov+default_base_moof", "-reset_timestamps", "1"];
        let out = out.to_str().context("a path that is not UTF-8")?;
        let arguments: Vec<&str> = arguments.into_iter().chain(cut).chain(fragments).chain([out]).collect();
        let log = folder.join("ffmpeg.log");
        processes.push(Process::start("ffmpeg", Path::new("/usr/bin/ffmpeg"), &arguments, &[], &log)?);
    }
    let files = || {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                entry.path().extension().is_some_and(|e| e == "mp4")
                    && entry.metadata().is_ok_and(|meta| meta.len() > 10_000)
            })
            .count()
    };
    until("file of every camera", PATIENCE, async || {
        for process in &mut processes {
            process.check()?;
        }
        Ok((files() >= count).then_some(()))
    })
    .await?;
    tokio::time::sleep(SETTLING).await;
    let ids: Vec<u32> = processes.iter().filter_map(Process::id).collect();
    let (begun, cpu, disk, size) = (Instant::now(), cpu_of(&ids), to_disk(&ids), size_of(folder));
    tokio::time::sleep(Duration::from_secs(order.seconds)).await;
    let (passed, cpu_after, disk_after) = (begun.elapsed(), cpu_of(&ids), to_disk(&ids));
    let size_after = size_of(folder);
    let memory = Footprint::of(&ids);
    for process in &mut processes {
        process.check()?;
        process.signal(rustix::process::Signal::INT);
    }
    let received = source.cameras.kilobits * 125.0 * passed.as_secs_f64() * count as f64;
    let per = |value: f64| value / count as f64;
    Ok(Outcome {
        who: "ffmpeg -c copy",
        cameras: count,
        seconds: passed.as_secs_f64(),
        cpu_ms: per((cpu_after - cpu).as_secs_f64() * 1000.0 / passed.as_secs_f64()),
        memory_mib: per(memory.proportional as f64 / 1_048_576.0),
        written: (size_after - size) as f64 / received,
        to_disk: disk_after.zip(disk).map(|(after, before)| (after - before) as f64 / received),
        sync_p99_ms: None,
        syncs: None,
        refused: None,
    })
}
