//! Power cuts: by model (the agent is killed, and its disk is put into a state that a power cut at this moment may leave), and
//! of a virtual machine (the machine is killed, and what its disk was not asked to keep is gone).

use anyhow::{Context, Result, ensure};
use region::process::{binary, run as run_program};

use crate::{
    disk::{Disk, Layer},
    judge::{judge, quarantine},
    lot::Lot,
    machine::Machine,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

/// Cuts the agent's power `count` times, by model.
pub(crate) async fn model(count: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::prepare("power").await?;
    let layer = Layer::make(stage.folder()).await?;
    let data = stage.data();
    stage.environment = layer.environment(&data, true);
    let mut disk = Disk::read(&data)?;
    stage.start_agent()?;
    stage.staff(&mut lot, 0.4);
    stage.keypads.progress(0, PATIENCE).await?;
    let (mut lost, mut torn, mut names) = (0, 0, 0);
    for _ in 0..count {
        tokio::time::sleep(lot.seconds(0.2, 2.0)).await;
        stage.agent.kill().await?;
        let (after, damage) = disk.after_a_cut(&layer.take_log()?, &mut lot);
        after.write(&data)?;
        disk = Disk::read(&data)?;
        (lost, torn, names) = (lost + damage.lost, torn + damage.torn, names + damage.names);
        let answered = stage.keypads.answered();
        stage.start_agent()?;
        stage.keypads.progress(answered, PATIENCE).await?;
    }
    let took = stage.fresh().await?;
    let mut tally = judge(&mut stage, "power cuts (model)").await?;
    ensure!(quarantine(&stage.api().await?).await?.is_none(), "a power cut put the node in quarantine");
    stage.agent.stop(PATIENCE).await?;
    let config = stage.config().display().to_string();
    let verified =
        run_program(&binary("edge-agent")?, &["journal", "verify", "--config", &config], "").await?;
    ensure!(verified.contains("the chain is whole"), "{verified}");
    tally.add("power_cuts", count);
    tally.add("power_cuts_by_model", count);
    tally.add("ended_by_itself", stage.ended_by_itself);
    tally.took(took);
    println!(
        "power cuts (model of the disk, {lost} unflushed writes lost, {torn} torn, {names} names undone): {tally}"
    );
    stage.end().await?;
    Ok(tally)
}

/// Cuts the power of a virtual machine with the agent in it `count` times.
pub(crate) async fn machine(count: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::without_lines("machine").await?;
    let machine = Machine::make(&stage, 2, "512M").await?;
    stage.keypads.on_sockets(&machine.lines());
    stage.staff(&mut lot, 0.4);
    let mut on = machine.start()?;
    let slow = PATIENCE * 4;
    for _ in 0..count {
        let answered = stage.keypads.answered();
        stage.keypads.progress(answered, slow).await.with_context(|| machine.console())?;
        tokio::time::sleep(lot.seconds(0.1, 3.0)).await;
        on.kill().await?;
        on = machine.start()?;
    }
    let answered = stage.keypads.answered();
    stage.keypads.progress(answered, slow).await.with_context(|| machine.console())?;
    let took = stage.fresh().await?;
    let mut tally = judge(&mut stage, "power cuts (virtual machine)").await?;
    ensure!(quarantine(&stage.api().await?).await?.is_none(), "a power cut put the node in quarantine");
    on.kill().await?;
    tally.add("power_cuts", count);
    tally.add("power_cuts_of_machine", count);
    tally.took(took);
    println!("power cuts (virtual machine, killed without sync): {tally}");
    stage.end().await?;
    Ok(tally)
}
