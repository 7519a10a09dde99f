//! A reconnect storm: every hall of a region comes back at the same moment with a backlog, while one hall goes on living.

use std::time::{Duration, Instant};

use anyhow::Result;
use control_protocol::{Happening, UtcMillis, chain::ChainEnd};
use faults::nodes::{Node, Packed, centre_of, packed};
use futures_util::future::try_join_all;

use crate::{lot::Lot, tally::Tally};

/// Halls of a region (facts: a large one has about so many).
const HALLS: usize = 127;

/// Every hall brings `cases` services at once; counts what is on record then.
pub(crate) async fn run(cases: u64, mut lot: Lot) -> Result<Tally> {
    let folder = tempfile::Builder::new().prefix("hallwatch-storm-").tempdir()?;
    let (mut centre, admin, halls) = centre_of(folder.path(), HALLS + 1).await?;
    let now = jiff::Timestamp::now().as_millisecond();
    let mut nodes: Vec<(Node, Vec<Packed>)> = Vec::new();
    let mut issued = 0;
    for hall in &halls {
        let node = Node::enrol(&centre, &admin, hall).await?;
        let mut end = ChainEnd::start(1);
        let cases = u32::try_from(lot.below(cases / 2, cases + cases / 2))?;
        let events = node.day(&mut end, UtcMillis(now - 8 * 3_600_000), 1, cases)?;
        nodes.push((node, packed(&events, 500)?));
        issued += events.len() as u64;
    }
    let Some((living, backlog)) = nodes.pop() else { return Ok(Tally::default()) };
    issued -= backlog.iter().map(|batch| batch.events).sum::<u64>();
    let begun = Instant::now();
    let (over, storm) = tokio::sync::watch::channel(false);
    let (drained, delays) = tokio::join!(
        async {
            let drained = try_join_all(nodes.iter().map(|(node, batches)| node.drain(batches))).await;
            over.send_replace(true);
            drained.map(|_| begun.elapsed())
        },
        live(&living, storm)
    );
    let (drained, mut delays) = (drained?, delays?);
    delays.sort();
    let p95 = delays.get(delays.len() * 95 / 100).copied().unwrap_or_default();
    let mut tally = Tally::default();
    let mut on_record = 0;
    for (node, batches) in &nodes {
        let mark = node.mark().await?.map_or(0, |mark| mark.seq);
        let wanted: u64 = batches.iter().map(|batch| batch.events).sum();
        tally.lost += wanted.saturating_sub(mark);
        on_record += mark;
    }
    tally.doubled += on_record.saturating_sub(issued);
    tally.add("storm_halls", nodes.len() as u64);
    tally.add("storm_events", on_record);
    tally.add("storm_live_events", delays.len() as u64);
    println!(
        "storm: {on_record} events of {} halls in {:.1} s; an event of a living hall meanwhile: p50 {} ms, p95 {} ms; {tally}",
        nodes.len(),
        drained.as_secs_f64(),
        delays.get(delays.len() / 2).copied().unwrap_or_default().as_millis(),
        p95.as_millis()
    );
    centre.process.stop(Duration::from_secs(30)).await?;
    Ok(tally)
}

/// Posts an event ten times a second until the storm is over; gives how long each took to be committed.
async fn live(node: &Node, mut storm: tokio::sync::watch::Receiver<bool>) -> Result<Vec<Duration>> {
    let mut end = ChainEnd::start(1);
    let mut delays = Vec::new();
    while !*storm.borrow_and_update() {
        let at = UtcMillis(jiff::Timestamp::now().as_millisecond());
        let event = node.seal(&mut end, at, Happening::WindowPaused { reason: None })?;
        let begun = Instant::now();
        node.post([event.bytes.as_ref()]).await?;
        delays.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(delays)
}
