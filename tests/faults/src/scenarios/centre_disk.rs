//! The centre's disk: full from a write on that is drawn by lot, and cut off from the current, by the model of what a disk may
//! hold then. What the centre had told a hall that it has, it has afterwards: the hall never finds that it has less.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use region::process::{binary, run as run_program};

use crate::{
    disk::{Disk, Figure, Layer},
    judge::{judge, quarantine},
    lot::Lot,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

/// What an agent says when the centre has less than it had told.
const LESS: &str = "the centre has less than before";

/// A stage whose centre has the layer below it.
async fn stage(name: &str, logged: bool) -> Result<(Stage, Layer)> {
    let mut stage = Stage::start(name).await?;
    let layer = Layer::make(stage.folder()).await?;
    stage.centre.process.stop(PATIENCE).await?;
    stage.centre.environment = layer.environment(&stage.centre.data(), logged);
    Ok((stage, layer))
}

/// Holds the record against what was answered, and the chains against themselves.
async fn judged(stage: &mut Stage, name: &str) -> Result<Tally> {
    let tally = judge(stage, name).await?;
    ensure!(quarantine(&stage.api().await?).await?.is_none(), "{name}: the node is in quarantine");
    ensure!(!stage.agent.log().contains(LESS), "{name}: the centre had less than it had said");
    let data = stage.centre.data().display().to_string();
    for (what, whole) in
        [(&["verify"][..], "every chain is whole"), (&["audit", "verify"], "the audit log is whole")]
    {
        let arguments: Vec<&str> = what.iter().copied().chain(["--data", &data]).collect();
        let said = run_program(&binary("control-center")?, &arguments, "").await?;
        ensure!(said.contains(whole), "{name}: {said}");
    }
    Ok(tally)
}

/// Cuts the centre's power `count` times, by model.
pub(crate) async fn power_cuts(count: u64, mut lot: Lot) -> Result<Tally> {
    let (mut stage, layer) = stage("centre-power", true).await?;
    let data = stage.centre.data();
    let mut disk = Disk::read(&data)?;
    stage.centre.restart().await?;
    stage.staff(&mut lot, 0.4);
    let (mut lost, mut torn, mut names) = (0, 0, 0);
    let mut fresh = Vec::new();
    for _ in 0..count {
        fresh.push(stage.fresh().await?);
        tokio::time::sleep(lot.seconds(0.2, 2.0)).await;
        stage.centre.process.kill().await?;
        let (after, damage) = disk.after_a_cut(&layer.take_log()?, &mut lot);
        after.write(&data)?;
        disk = Disk::read(&data)?;
        (lost, torn, names) = (lost + damage.lost, torn + damage.torn, names + damage.names);
        stage.centre.restart().await?;
    }
    fresh.push(stage.fresh().await?);
    let mut tally = judged(&mut stage, "power cuts of the centre (model)").await?;
    tally.add("centre_power_cuts", count);
    fresh.into_iter().for_each(|time| tally.took(time));
    println!(
        "power cuts of the centre (model of the disk, {lost} unflushed writes lost, {torn} torn, {names} names undone): {tally}"
    );
    stage.end().await?;
    Ok(tally)
}

/// Fills the centre's disk `count` times.
pub(crate) async fn full(count: u64, mut lot: Lot) -> Result<Tally> {
    let (mut stage, layer) = stage("centre-full", false).await?;
    stage.centre.restart().await?;
    stage.staff(&mut lot, 0.3);
    stage.fresh().await?;
    let (mut fresh, mut said, mut ended) = (Vec::new(), 0, 0);
    for _ in 0..count {
        let (refused, log) = (layer.read(Figure::Refused)?, stage.agent.log().len());
        layer.set(Figure::FullFrom, layer.read(Figure::Writes)? + lot.below(1, 40))?;
        let begun = Instant::now();
        while layer.read(Figure::Refused)? == refused {
            ensure!(begun.elapsed() < PATIENCE, "the centre writes nothing any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The hall goes on: it has its own disk.
        let answered = stage.keypads.answered();
        stage
            .keypads
            .progress(answered, PATIENCE)
            .await
            .context("a full disk at the centre stops the hall")?;
        tokio::time::sleep(lot.seconds(0.3, 2.0)).await;
        let told = stage
            .agent
            .log()
            .get(log..)
            .is_some_and(|new| new.contains("503") && new.contains("database is full"));
        said += u64::from(told);
        layer.set(Figure::FullFrom, 0)?;
        if stage.centre.process.check().is_err() {
            ended += 1;
            stage.centre.restart().await?;
        }
        fresh.push(stage.fresh().await?);
    }
    ensure!(said > 0, "the hall is never told that the centre's disk is full");
    let mut tally = judged(&mut stage, "full disk of the centre").await?;
    tally.add("centre_full_disks", count);
    tally.add("centre_said_full", said);
    tally.add("centre_ended_by_itself", ended);
    fresh.into_iter().for_each(|time| tally.took(time));
    println!("full disk of the centre: {tally}");
    stage.end().await?;
    Ok(tally)
}
