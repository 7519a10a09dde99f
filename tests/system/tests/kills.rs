//! The centre and the agent are killed in the middle of a day, as a power cut would, at moments drawn by a seed: at the
//! end the record equals what happened, by identity (issue, "What it must show", 6).

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::Api,
    control::Control,
    process::{binary, run, until},
};
use system_tests::{
    compare::settle,
    stage::{Stage, footage},
};

const HALL: &str = "450103-01";
/// Kills of each side.
const KILLS: usize = 3;

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

async fn connected(api: &Api, limit: Duration) -> Result<()> {
    until("connected agent", limit, async || {
        let nodes = api.get("/api/v1/nodes").await?;
        Ok((nodes["items"][0]["connected"] == true).then_some(()))
    })
    .await
}

#[tokio::test]
async fn nothing_is_lost_or_doubled() -> Result<()> {
    let seed =
        std::env::var("HALLWATCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    let mut lot = Lot(seed);
    let from = jiff::Timestamp::now();
    let mut plan = RegionPlan::of(1, 2, 0, footage());
    plan.speed = 240.0;
    let mut stage = Stage::start(plan).await?;
    let region = &mut stage.region;
    let mut api = region.sign_in("administrator").await?;
    println!("seed {seed}");
    for round in 1..=KILLS {
        tokio::time::sleep(Duration::from_secs_f64(lot.between(1.0, 5.0))).await;
        region.centre.process.kill().await?;
        let begun = Instant::now();
        let down = lot.between(0.0, 1.5);
        tokio::time::sleep(Duration::from_secs_f64(down)).await;
        region.centre.restart().await?;
        api = region.sign_in("administrator").await?;
        let serving = begun.elapsed().as_secs_f64() - down;
        connected(&api, Duration::from_secs(30)).await?;
        let back = begun.elapsed().as_secs_f64();
        println!(
            "kill {round} of the centre, down {down:.1} s: serves after {serving:.1} s more, the agent is back after {back:.1} s in all"
        );

        tokio::time::sleep(Duration::from_secs_f64(lot.between(1.0, 5.0))).await;
        let hall = region.halls.first_mut().context("no hall")?;
        hall.edge.kill().await?;
        let begun = Instant::now();
        let down = lot.between(0.0, 1.5);
        tokio::time::sleep(Duration::from_secs_f64(down)).await;
        hall.restart_edge()?;
        // The centre must have noticed that the former channel is gone before it can say that the new one stands.
        let started = format!("{HALL}: node.started");
        until(&started, Duration::from_secs(60), async || {
            let events = api.all(&format!("/api/v1/events?hall={HALL}&kind=node.started"), "after").await?;
            Ok((events.len() > round).then_some(()))
        })
        .await?;
        connected(&api, Duration::from_secs(90)).await?;
        println!(
            "kill {round} of the agent, down {down:.1} s: back after {:.1} s in all",
            begun.elapsed().as_secs_f64()
        );
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let hall = region.halls.first_mut().context("no hall")?;
    Control(hall.sim.control).day(false).await?;
    let oracle = hall.oracle_path();
    let difference = settle(&api, HALL, &oracle, from, Duration::from_secs(30)).await?;
    let all: usize = difference.agreed.iter().map(|(_, n)| n).sum();
    println!("{all} facts agree: {:?}", difference.agreed);
    unanswered(&oracle)?;
    ensure!(difference.is_none(), "the record differs from what happened:\n{difference:#?}");
    let events = api.all(&format!("/api/v1/events?hall={HALL}"), "after").await?;
    println!("{} events on record", events.len());
    let node = &api.get("/api/v1/nodes").await?["items"][0];
    ensure!(node["quarantined"].is_null(), "the node is in quarantine: {node}");

    hall.edge.stop(Duration::from_secs(8)).await?;
    let config = hall.edge_config_path().to_str().context("a path that is not UTF-8")?.to_owned();
    let verified = run(&binary("edge-agent")?, &["journal", "verify", "--config", &config], "").await?;
    println!("edge-agent journal verify: {}", verified.trim());
    ensure!(verified.contains("the chain is whole"), "{verified}");
    stage.end().await
}

/// Says how many presses were answered late: those that were under way at a kill and said again.
fn unanswered(oracle: &Path) -> Result<()> {
    let records = simulated_hall::oracle::read(oracle)?;
    let waited: Vec<i64> = records
        .iter()
        .filter_map(|r| Some(r.acknowledged?.as_millisecond() - r.at.as_millisecond()))
        .filter(|ms| *ms > 500)
        .collect();
    println!(
        "{} records; presses answered only after more than 0.5 s (said again until then), ms: {waited:?}",
        records.len()
    );
    Ok(())
}
