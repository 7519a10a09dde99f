//! The link between agent and centre fails in every way the proxy knows.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    judge::{judge, quarantine},
    lot::Lot,
    proxy::Link,
    stage::Stage,
    tally::Tally,
};

/// Lets the link fail `count` times, each for up to `longest` seconds.
pub(crate) async fn run(count: u64, longest: f64, mut lot: Lot) -> Result<Tally> {
    let mut stage = Stage::start("links").await?;
    stage.staff(&mut lot, 0.4);
    let mut fresh = Vec::new();
    for round in 0..count {
        let link = match round % 6 {
            0 => Link::Gone,
            1 => Link::HalfOpen,
            2 => Link::Reset,
            3 => Link::Late(lot.seconds(0.1, 1.0)),
            4 => Link::Slow(lot.below(2_000, 20_000) as u32),
            _ => Link::Flipped,
        };
        stage.proxy.set(link);
        let lasts = lot.seconds(0.3, longest);
        tokio::time::sleep(lasts).await;
        stage.proxy.set(Link::Sound);
        let took = stage.fresh().await?;
        println!(
            "links: {link:?} for {:.1} s; a fresh event took {:.1} s",
            lasts.as_secs_f64(),
            took.as_secs_f64()
        );
        fresh.push(took);
        tokio::time::sleep(Duration::from_millis(lot.below(0, 300))).await;
    }
    let mut tally = judge(&mut stage, "links").await?;
    let kept_apart = quarantine(&stage.api().await?).await?;
    ensure!(kept_apart.is_none(), "a faulty link put the node in quarantine: {kept_apart:?}");
    tally.add("partitions", count);
    fresh.into_iter().for_each(|time| tally.took(time));
    println!("links: {tally}");
    stage.end().await?;
    Ok(tally)
}
