//! The clock of the hall's machine jumps: an hour back and on, to 1970, to 2106. Order and record stay right, the jumps are on
//! record, and while the clock is wrong somebody is told.

use anyhow::{Context, Result, ensure};
use region::process::until;

use crate::{
    disk::{Figure, Layer},
    judge::{judge, quarantine},
    lot::Lot,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

const HOUR_S: i64 = 3600;

/// Plays `count` rounds of jumps.
pub(crate) async fn run(count: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::prepare("clocks").await?;
    let layer = Layer::make(stage.folder()).await?;
    stage.environment = layer.environment(&stage.data(), false);
    stage.start_agent()?;
    stage.staff(&mut lot, 0.3);
    stage.fresh().await?;
    let mut tally = Tally::default();
    let mut jumps = 0;
    for _ in 0..count {
        let now = jiff::Timestamp::now().as_second();
        // 2106-02-07 is where 32 bits of seconds end.
        for ahead in [-HOUR_S, HOUR_S, 7, -now + 1_000, 4_294_967_290 - now] {
            layer.set(Figure::ClockAhead, (ahead * 1_000_000) as u64)?;
            jumps += 1;
            let api = stage.api().await?;
            // With a clock that far off no certificate is valid: nobody can be told before it is set right.
            if ahead.abs() <= HOUR_S {
                until("alarm of the wrong clock", PATIENCE, async || {
                    let nodes = api.get("/api/v1/nodes").await?;
                    let alarm = nodes["items"][0]["alarm"].as_str().unwrap_or_default();
                    Ok(alarm.contains("the clock of the hall's machine").then_some(()))
                })
                .await?;
            } else {
                tokio::time::sleep(lot.seconds(2.0, 4.0)).await;
            }
            layer.set(Figure::ClockAhead, 0)?;
            jumps += 1;
            tally.took(stage.fresh().await?);
        }
    }
    let api = stage.api().await?;
    until("end of the alarm", PATIENCE, async || {
        Ok(api.get("/api/v1/nodes").await?["items"][0]["alarm"].is_null().then_some(()))
    })
    .await?;
    tally.join(judge(&mut stage, "clocks").await?);
    ensure!(quarantine(&api).await?.is_none(), "a jumping clock put the node in quarantine");
    let kind = format!("/api/v1/events?hall={}&kind=node.clock_stepped", stage.hall);
    let told = api.all(&kind, "after").await?;
    let last = told.last().context("no jump is on record")?;
    ensure!(last["body"]["step_ms"].as_i64().is_some_and(|ms| ms.abs() > 1_000), "{last}");
    tally.add("clock_jumps", jumps);
    tally.add("clock_jumps_on_record", told.len() as u64);
    println!("clocks: {tally}");
    stage.end().await?;
    Ok(tally)
}
