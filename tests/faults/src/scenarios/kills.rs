//! Agent and centre are killed (SIGKILL) at moments drawn by lot, also while they start and while the other is down.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{
    judge::judge,
    lot::Lot,
    stage::{PATIENCE, Stage},
    tally::Tally,
};

/// Kills each side `each` times.
pub(crate) async fn run(each: u64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::start("kills").await?;
    stage.staff(&mut lot, 0.4);
    let mut sides: Vec<bool> = (0..each * 2).map(|n| n % 2 == 0).collect();
    lot.shuffle(&mut sides);
    let mut fresh = Vec::new();
    let mut restarts = Vec::new();
    for (round, of_agent) in sides.iter().enumerate() {
        tokio::time::sleep(lot.seconds(0.2, 1.2)).await;
        if *of_agent {
            stage.agent.kill().await?;
            tokio::time::sleep(lot.seconds(0.0, 0.3)).await;
            let answered = stage.keypads.answered();
            let begun = Instant::now();
            stage.start_agent()?;
            // Every third is killed again at whatever point of its start it is.
            if !lot.once_in(3) {
                stage.keypads.progress(answered, PATIENCE).await?;
                restarts.push(begun.elapsed());
            }
        } else {
            stage.centre.process.kill().await?;
            tokio::time::sleep(lot.seconds(0.0, 0.5)).await;
            stage.centre.restart().await?;
        }
        if round % 12 == 11 {
            fresh.push(stage.fresh().await?);
        }
    }
    fresh.push(stage.fresh().await?);
    let mut tally = judge(&mut stage, "kills").await?;
    tally.add("kills", sides.len() as u64);
    tally.add("ended_by_itself", stage.ended_by_itself);
    fresh.into_iter().for_each(|time| tally.took(time));
    let worst = restarts.iter().max().copied().unwrap_or(Duration::ZERO);
    println!(
        "kills: {} of each side; the first answer came at most {:.1} s after the agent's start; {tally}",
        each,
        worst.as_secs_f64()
    );
    stage.end().await?;
    Ok(tally)
}
