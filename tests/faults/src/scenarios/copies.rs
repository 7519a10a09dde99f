//! Copies that disagree: a centre put back from yesterday's backup, and an edge whose disk was copied.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use region::{
    process::{Process, binary, run as run_program, until},
    start::write_edge_config,
};
use serde_json::json;

use crate::{
    judge::{judge, quarantine},
    keypads::Keypads,
    lot::Lot,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// Puts the centre back from a backup, `count` times: what it lacks comes again from the hall.
pub(crate) async fn restored_centre(count: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::start("restored").await?;
    stage.staff(&mut lot, 0.3);
    let centre = binary("control-center")?;
    let mut tally = Tally::default();
    for _ in 0..count {
        tokio::time::sleep(lot.seconds(1.0, 3.0)).await;
        let (data, to) = (stage.folder().join("centre"), stage.folder().join("backups"));
        let (data, to) = (text(&data)?.to_owned(), text(&to)?.to_owned());
        run_program(&centre, &["backup", "--data", &data, "--to", &to, "--keep", "1"], "").await?;
        let backup = std::fs::read_dir(&to)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.join("backup.json").exists())
            .context("no backup was made")?;
        // What is taken now is in no backup.
        let answered = stage.keypads.answered();
        tokio::time::sleep(lot.seconds(1.0, 4.0)).await;
        stage.fresh().await?;
        tally.add("answered_since_backup", (stage.keypads.answered() - answered) as u64);
        stage.centre.process.kill().await?;
        let from = text(&backup)?;
        run_program(&centre, &["restore", "--from", from, "--data", &data, "--replace"], "").await?;
        stage.centre.restart().await?;
        tally.took(stage.fresh().await?);
    }
    tally.join(judge(&mut stage, "restored centre").await?);
    ensure!(quarantine(&stage.api().await?).await?.is_none(), "a restored centre put the node in quarantine");
    tally.add("centres_restored", count);
    stage.agent.stop(PATIENCE).await?;
    stage.centre.process.stop(PATIENCE).await?;
    let data = stage.folder().join("centre");
    let verified = run_program(&centre, &["verify", "--data", text(&data)?], "").await?;
    ensure!(verified.contains("every chain is whole"), "{verified}");
    println!("restored centre: {tally}");
    Ok(tally)
}

/// Copies the agent's disk and runs the copy beside it: the copy is refused, a person is told, the hall goes on.
pub(crate) async fn cloned_edge(count: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::start("cloned").await?;
    stage.staff(&mut lot, 0.3);
    let mut tally = Tally::default();
    for round in 0..count {
        stage.agent.kill().await?;
        let copy = stage.folder().join(format!("copy-{round}"));
        run_program(Path::new("cp"), &["-a", text(&stage.data())?, text(&copy)?], "").await?;
        stage.start_agent()?;
        stage.fresh().await?;
        let lines = stage.folder().join(format!("lines-{round}"));
        std::fs::create_dir(&lines)?;
        let keypads = Keypads::new(8);
        let lines = keypads.on_ptys(&lines)?;
        let file: toml::Table = std::fs::read_to_string(stage.config())?.parse()?;
        let mut file = serde_json::to_value(file)?;
        file["hall"]["data"] = json!(copy);
        for (bus, line) in lines.iter().enumerate() {
            file["bus"][bus]["path"] = json!(line);
        }
        let config = stage.folder().join(format!("copy-{round}.toml"));
        write_edge_config(&config, &file)?;
        let log = stage.folder().join("copy.log");
        let arguments = ["run", "--config", text(&config)?];
        let mut other = Process::start("the copy", &binary("edge-agent")?, &arguments, &[], &log)?;
        keypads.staff(&mut lot, 0.2);
        keypads.go();
        keypads.progress(5, PATIENCE).await?;
        let api = stage.api().await?;
        let why = until("quarantine of the copied disk", PATIENCE, async || quarantine(&api).await).await?;
        ensure!(why == "two_machines", "the alarm is {why}");
        other.stop(PATIENCE).await?;
        keypads.close().await;
        let node = api.get("/api/v1/nodes").await?["items"][0]["id"].clone();
        let node = node.as_str().context("no node")?;
        api.post(&format!("/api/v1/nodes/{node}/lift-quarantine"), json!({})).await?;
        ensure!(quarantine(&api).await?.is_none(), "the alarm is not lifted");
        tally.took(stage.fresh().await?);
    }
    // What the copy took is another machine's; that nothing of it is on record is judged with the rest: its keypads typed
    // the same numbers at the same windows, and each may be there once.
    tally.join(judge(&mut stage, "cloned edge").await?);
    tally.add("edges_cloned", count);
    println!("cloned edge: {tally}");
    stage.end().await?;
    Ok(tally)
}
