//! The agent is killed (SIGKILL) at moments drawn by a seed while it records eight cameras: no more than two seconds and the
//! group of pictures coming in is lost of any camera, every file plays in ffmpeg, every hole is a gap with its reason, and
//! the index made again from the files is the index (issue "Video in depth", "What it must show", 1).
//!
//! Six kills with every run; a hundred and eighty with
//! `cargo test -p system-tests --test recorded_kills -- --ignored --nocapture`. A kill leaves what was written and not synced;
//! what a power cut does to that is the virtual machine's test in tests/faults.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    process::until,
    recorded::{HOLE_US, Recorded, SYNC_US, end_of, plays},
    start::Hall,
};
use serde_json::json;
use system_tests::stage::{Stage, footage, reconfigure};

const CAMERAS: u16 = 8;
const PATIENCE: Duration = Duration::from_secs(120);

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

#[derive(Default)]
struct Counts {
    files: usize,
    worst_us: i64,
    lost_us: Vec<i64>,
    /// More than allowed: camera, where its footage ends, and how much. Only a camera that was lost already may have it.
    too_much: Vec<(String, i64, i64)>,
}

/// Waits until every camera has a file with a whole fragment that was not there before.
async fn all_record(recorded: &Recorded, before: &BTreeSet<PathBuf>) -> Result<()> {
    until("a new recording of every camera", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let files = recorded.files()?;
        let mut recording = 0;
        for newest in files.values().filter_map(|of| of.last()) {
            let new = !before.contains(newest) && end_of(newest).ok().flatten().is_some();
            recording += u16::from(new);
        }
        Ok((recording == CAMERAS).then_some(()))
    })
    .await
}

async fn kill(hall: &mut Hall, recorded: &Recorded, gop_us: i64, counts: &mut Counts) -> Result<()> {
    hall.edge.kill().await?;
    // What was on its way a moment before it died counts.
    let died_us = jiff::Timestamp::now().as_microsecond();
    for (camera, files) in recorded.files()? {
        let newest = files.last().context("a camera without a file")?;
        // The newest may have been begun in this moment; then what came before it counts.
        let end = match end_of(newest)? {
            Some(end) => Some(end),
            None => files.iter().rev().nth(1).map(|path| end_of(path)).transpose()?.flatten(),
        };
        let end = end.with_context(|| format!("{camera} has no whole fragment"))?;
        let lost = died_us - end;
        if lost > SYNC_US + gop_us {
            counts.too_much.push((camera, end, lost));
            continue;
        }
        counts.lost_us.push(lost);
        counts.worst_us = counts.worst_us.max(lost);
    }
    Ok(())
}

async fn killed(kills: usize) -> Result<()> {
    let seed =
        std::env::var("HALLWATCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_127);
    let mut lot = Lot(seed);
    let mut plan = RegionPlan::of(1, CAMERAS, 0, footage());
    (plan.day, plan.recording) = (false, true);
    let mut stage = Stage::start(plan).await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    // Short segments, so that kills fall around their ends too; nothing is deleted.
    reconfigure(hall, |config| {
        config["recording"] = json!({"segment_seconds": 5, "keep_free_gigabytes": 0.2});
    })
    .await?;
    let recorded = Recorded(hall.folder.join("edge/recordings"));
    // The drawn footage has a key frame each second or two.
    let gop_us = 2_000_000;
    let mut counts = Counts::default();
    // What the agent before this one recorded says nothing of this one.
    let mut before: BTreeSet<PathBuf> = recorded.files()?.into_values().flatten().collect();
    for round in 1..=kills {
        all_record(&recorded, &before).await.with_context(|| format!("before kill {round}"))?;
        tokio::time::sleep(Duration::from_secs_f64(lot.between(0.0, 4.0))).await;
        kill(hall, &recorded, gop_us, &mut counts)
            .await
            .with_context(|| format!("kill {round}, seed {seed}"))?;
        before = recorded.files()?.into_values().flatten().collect();
        tokio::time::sleep(Duration::from_secs_f64(lot.between(0.0, 0.5))).await;
        hall.restart_edge()?;
    }
    all_record(&recorded, &before).await?;
    hall.edge.stop(Duration::from_secs(60)).await?;

    let files: Vec<PathBuf> = recorded.files()?.into_values().flatten().collect();
    counts.files = files.len();
    let played = tokio::task::spawn_blocking(move || files.iter().try_for_each(|path| plays(path)));
    played.await??;
    let reasons = recorded.holes()?;
    for (camera, end, lost) in &counts.too_much {
        let gaps = recorded.gaps()?;
        let gap = gaps.iter().find(|gap| gap.camera == *camera && (gap.from_us - end).abs() <= HOLE_US);
        let other = gap.is_some_and(|gap| !gap.why.starts_with("agent_down"));
        ensure!(other, "{camera} lost {lost} µs by a kill: {gap:?}, seed {seed}");
    }
    let gaps: usize = reasons.values().sum();
    ensure!(gaps >= kills * usize::from(CAMERAS), "{kills} kills and {gaps} gaps: {reasons:?}");

    let config = hall.edge_config_path().to_str().context("a path that is not UTF-8")?.to_owned();
    let made = recorded.made_again(&config).await?;

    counts.lost_us.sort_unstable();
    let middle = counts.lost_us.get(counts.lost_us.len() / 2).copied().unwrap_or_default();
    println!(
        "{kills} kills (seed {seed}), {CAMERAS} cameras: lost at most {:.2} s of a camera, half of the times {:.2} s or less; \
         {} files, each plays; gaps {reasons:?}; the index made again is the same ({} rows); {}",
        counts.worst_us as f64 / 1e6,
        middle as f64 / 1e6,
        counts.files,
        made.rows,
        made.verified,
    );
    stage.end().await
}

#[tokio::test]
async fn what_was_recorded_survives_six_kills() -> Result<()> {
    killed(6).await
}

#[tokio::test]
#[ignore = "takes half an hour: run by name"]
async fn what_was_recorded_survives_a_hundred_and_eighty_kills() -> Result<()> {
    killed(180).await
}
