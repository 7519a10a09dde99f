//! Stuck viewers: pages that ask for a picture and read nothing of it. Another page sees every picture in time, and events
//! are taken as before.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use region::{
    Region, RegionPlan,
    control::Control,
    process::{lasting_address, until},
    wall::{Said, Wall},
};
use serde_json::json;

use crate::{stage::PATIENCE, tally::Tally};

const HALL: &str = "450103-01";
/// How long the page that reads looks on.
const LOOKS: Duration = Duration::from_secs(20);

/// Lets `count` viewers be stuck.
pub(crate) async fn run(count: u64) -> Result<Tally> {
    let folder = tempfile::Builder::new().prefix("hallwatch-viewers-").tempdir()?;
    let footage = std::env::current_dir()?.join("target/footage");
    let plan = RegionPlan { day: false, ..RegionPlan::of(1, 1, 0, footage) };
    let mut region =
        Region::start(plan, folder.path(), &lasting_address()?, &lasting_address()?, |_| {}).await?;
    let api = region.sign_in("administrator").await?;
    let camera = format!("{HALL}-W01-C1");
    let before = region.centre.process.usage().resident;
    let mut stuck = Vec::new();
    for _ in 0..count {
        let mut wall = Wall::open(&api).await?;
        wall.watch(&[&camera], "main").await?;
        stuck.push(wall);
    }
    let mut reading = Wall::open(&api).await?;
    reading.watch(&[&camera], "main").await?;
    let (mut frames, mut longest) = (0u64, Duration::ZERO);
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < LOOKS {
        let said =
            tokio::time::timeout(PATIENCE, reading.next()).await.context("the picture stands still")??;
        if matches!(said, Said::Frame(_)) {
            frames += 1;
            longest = longest.max(last.map_or(Duration::ZERO, |last: Instant| last.elapsed()));
            last = Some(Instant::now());
        }
    }
    ensure!(frames > 0, "the page that reads sees nothing");
    let hall = region.halls.first().context("no hall")?;
    let pressed = Instant::now();
    let control = Control(hall.sim.control);
    control.act(json!({"kind": "press", "window": 1, "digits": "4711", "key": "call"})).await?;
    until("event of the press", PATIENCE, async || {
        let path = format!("/api/v1/events?hall={HALL}&kind=ticket.called");
        let rows = api.all(&path, "after").await?;
        Ok(rows.iter().any(|event| event["body"]["ticket"] == "4711").then_some(()))
    })
    .await?;
    let mut tally = Tally::default();
    tally.add("stuck_viewers", count);
    tally.took(pressed.elapsed());
    println!(
        "stuck viewers: {count}; another page got {frames} frames in {} s, the longest wait between two {} ms; the centre grew \
         by {} MiB; {tally}",
        LOOKS.as_secs(),
        longest.as_millis(),
        region.centre.process.usage().resident.saturating_sub(before) / 1024 / 1024
    );
    drop(stuck);
    region.stop().await?;
    Ok(tally)
}
