//! The agent's disk is full from a write on that is drawn by lot, wherever in the program that is, and has space again a
//! little later. Then flushes fail: the agent must end, since nobody knows what is on disk.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    disk::{Figure, Layer},
    judge::{judge, quarantine},
    lot::Lot,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

/// Fills the disk `count` times, and lets `flushes` flushes fail.
pub(crate) async fn run(count: u64, flushes: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::prepare("full").await?;
    let layer = Layer::make(stage.folder()).await?;
    stage.environment = layer.environment(&stage.data(), false);
    stage.start_agent()?;
    stage.staff(&mut lot, 0.3);
    stage.keypads.progress(0, PATIENCE).await?;
    let mut fresh = Vec::new();
    let mut said = 0;
    for _ in 0..count {
        let refused = layer.read(Figure::Refused)?;
        layer.set(Figure::FullFrom, layer.read(Figure::Writes)? + lot.below(1, 60))?;
        let begun = Instant::now();
        while layer.read(Figure::Refused)? == refused {
            stage.revive()?;
            ensure!(begun.elapsed() < PATIENCE, "the agent writes nothing any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let over = Instant::now() + lot.seconds(0.3, 2.0);
        let mut told = false;
        while Instant::now() < over {
            stage.revive()?;
            told |= says_full(&stage).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        said += u64::from(told);
        layer.set(Figure::FullFrom, 0)?;
        fresh.push(stage.fresh().await?);
    }
    let by_itself = stage.ended_by_itself;
    for _ in 0..flushes {
        let failed = layer.read(Figure::Failed)?;
        let before = stage.ended_by_itself;
        layer.set(Figure::FlushFails, layer.read(Figure::Flushes)? + lot.below(1, 20))?;
        let begun = Instant::now();
        while stage.ended_by_itself == before {
            stage.revive()?;
            let went_on = layer.read(Figure::Failed)? > failed && begun.elapsed() > PATIENCE;
            ensure!(!went_on, "a flush failed and the agent goes on");
            ensure!(begun.elapsed() < PATIENCE * 2, "the agent flushes nothing any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fresh.push(stage.fresh().await?);
    }
    let mut tally = judge(&mut stage, "full disk").await?;
    ensure!(quarantine(&stage.api().await?).await?.is_none(), "a full disk put the node in quarantine");
    tally.add("full_disks", count);
    tally.add("flush_errors", flushes);
    tally.add("said_full", said);
    tally.add("ended_by_itself", by_itself);
    fresh.into_iter().for_each(|time| tally.took(time));
    println!("full disk: {tally}");
    stage.end().await?;
    Ok(tally)
}

/// Whether the agent's own page says that it takes no events.
async fn says_full(stage: &Stage) -> bool {
    let asked = async {
        let place = std::fs::read_to_string(stage.data().join("local-site.json"))?;
        let place: serde_json::Value = serde_json::from_str(&place)?;
        let address = place["address"].as_str().context("no address")?;
        let answer = ask(address, "/readyz").await?;
        anyhow::Ok(answer.contains("503") && answer.contains("disk is full"))
    };
    asked.await.unwrap_or(false)
}

async fn ask(address: &str, path: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await?
}
