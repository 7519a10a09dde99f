//! The power of a virtual machine is cut while its agent records eight cameras: of none is more lost than what was not yet
//! asked to be on disk and the group of pictures coming in; every file plays, every hole is a gap with its reason, and the
//! index made again is the index (issue "Video in depth", "What it must show", 1).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    edge_config::edge_config,
    plan::CAMERA_PASSWORD,
    process::{binary, run as run_program, until},
    recorded::{Recorded, SYNC_US, plays},
    sim_config::ports,
    start::{Hall, write_edge_config},
};
use serde_json::{Value, json};

use crate::{
    lot::Lot,
    machine::Machine,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

const CAMERAS: u16 = 8;
/// The drawn footage has a key frame every two seconds.
const GOP_US: i64 = 2_000_000;
/// A machine that is switched on reads its clock in whole seconds and takes the middle of one.
const CLOCK_US: i64 = 500_000;

/// Waits until every camera's pictures reach the agent.
async fn all_live(stage: &Stage, machine: Option<&Machine>) -> Result<()> {
    let live = until("pictures of every camera", PATIENCE * 4, async || {
        let api = stage.api().await?;
        let cameras = api.get("/api/v1/cameras").await?;
        let items = cameras["items"].as_array().cloned().unwrap_or_default();
        let connected = api.get("/api/v1/nodes").await?["items"][0]["connected"] == true;
        let live = items.iter().filter(|camera| camera["state"] == "live").count();
        Ok((connected && live == usize::from(CAMERAS)).then_some(()))
    });
    live.await.with_context(|| machine.map_or_else(|| stage.agent.log(), Machine::console))
}

/// Writes `change` into the stage's configuration.
fn configure(stage: &Stage, change: impl FnOnce(&mut Value)) -> Result<()> {
    let file: toml::Table = std::fs::read_to_string(stage.config())?.parse()?;
    let mut file = serde_json::to_value(file)?;
    change(&mut file);
    write_edge_config(stage.config(), &file)
}

/// Cuts the machine's power `count` times.
pub(crate) async fn run(count: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::without_lines("recording").await?;
    let folder = stage.folder().to_owned();
    let footage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/footage");
    let plan = RegionPlan::of(1, CAMERAS, 0, footage);
    let hall = plan.halls.first().context("a plan without a hall")?;
    let (mut cameras, ready) = Hall::start_devices(&plan, hall, &folder.join("cameras")).await?;
    let with_cameras = edge_config(hall, &ports(&ready), "", &stage.data())["camera"].clone();
    configure(&stage, |file| {
        file["camera"] = with_cameras;
        file["recording"] = json!({"segment_seconds": 5, "keep_free_gigabytes": 0.2});
        file["inspection"] = json!({"enabled": false});
    })?;
    let config = stage.config().to_str().context("a path that is not UTF-8")?.to_owned();
    let set = ["credential", "set", "cameras", "--config", &config];
    run_program(&binary("edge-agent")?, &set, CAMERA_PASSWORD).await?;

    let machine = Machine::make(&stage, 2, "12G").await?;
    let mut on = machine.start()?;
    let mut cuts = Vec::new();
    for _ in 0..count {
        all_live(&stage, Some(&machine)).await?;
        tokio::time::sleep(lot.seconds(3.0, 9.0)).await;
        on.kill().await?;
        cuts.push(jiff::Timestamp::now().as_microsecond());
        // The centre learns of it by silence.
        let gone = until("the machine's end at the centre", PATIENCE, async || {
            let nodes = stage.api().await?.get("/api/v1/nodes").await?;
            Ok((nodes["items"][0]["connected"] == false).then_some(()))
        });
        gone.await?;
        on = machine.start()?;
    }
    all_live(&stage, Some(&machine)).await?;
    on.kill().await?;

    // The next start, here: it closes what the last cut left open.
    let disk = folder.join("disk");
    std::fs::create_dir_all(&disk)?;
    machine.read_disk(&disk).await?;
    let data = disk.join("edge");
    configure(&stage, |file| file["hall"]["data"] = json!(data))?;
    stage.start_agent()?;
    all_live(&stage, None).await?;
    stage.agent.stop(PATIENCE).await?;
    cameras.stop(PATIENCE).await?;

    let recorded = Recorded(data.join("recordings"));
    let files: Vec<PathBuf> = recorded.files()?.into_values().flatten().collect();
    let played = files.len();
    tokio::task::spawn_blocking(move || files.iter().try_for_each(|path| plays(path))).await??;
    let reasons = recorded.holes()?;
    let lost = losses(&recorded, &cuts)?;
    let made = recorded.made_again(&config).await?;
    let worst = lost.last().copied().unwrap_or_default();
    let middle = lost.get(lost.len() / 2).copied().unwrap_or_default();
    println!(
        "recorded power cuts: {CAMERAS} cameras lost at most {:.2} s, half of the times {:.2} s or less (the machine's clock to half a \
         second); {played} files, each plays; gaps {reasons:?}; the index made again is the same ({} rows); {}",
        worst as f64 / 1e6,
        middle as f64 / 1e6,
        made.rows,
        made.verified
    );
    let mut tally = Tally::default();
    tally.add("recorded_power_cuts", count);
    stage.end().await?;
    Ok(tally)
}

/// What each camera lost by each cut, µs, the least first.
fn losses(recorded: &Recorded, cuts: &[i64]) -> Result<Vec<i64>> {
    let gaps = recorded.gaps()?;
    let cameras: std::collections::BTreeSet<&str> = gaps.iter().map(|gap| gap.camera.as_str()).collect();
    ensure!(cameras.len() == usize::from(CAMERAS), "gaps of {} cameras", cameras.len());
    let mut lost = Vec::new();
    for cut in cuts {
        for camera in &cameras {
            let gap = gaps
                .iter()
                .filter(|gap| gap.camera == *camera && gap.from_us <= cut + CLOCK_US)
                .max_by_key(|gap| gap.from_us)
                .with_context(|| format!("no gap of {camera} at {cut}"))?;
            ensure!(
                gap.to_us.is_some_and(|to| to > *cut),
                "{camera} has no gap over the cut at {cut}: {gap:?}"
            );
            let of_it = cut - gap.from_us;
            let other = !gap.why.starts_with("agent_down");
            ensure!(
                other || of_it <= SYNC_US + GOP_US + CLOCK_US,
                "{camera} lost {of_it} µs by a cut: {gap:?}"
            );
            lost.push(of_it.max(0));
        }
    }
    lost.sort_unstable();
    Ok(lost)
}
