//! The intake of events: through real TLS into SQLite, durable, with every room's figures; and the journal at the hall.
//!
//! Senders and centre share the machine, so a figure here is a lower bound of what the centre alone does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use control_protocol::{Happening, UtcMillis, chain::ChainEnd, event::ClockQuality};
use edge_agent::{
    clock::SystemClock,
    journal::{Entry, Journal},
};
use faults::nodes::{Node, Packed, centre_of, packed};
use futures_util::future::try_join_all;
use tokio::sync::watch;

use crate::{machine::Machine, percentiles::Spread};

/// What to measure.
#[derive(Args)]
pub struct Order {
    /// Batch sizes.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 500])]
    batches: Vec<usize>,
    /// Halls that send at the same time.
    #[arg(long, default_value_t = 16)]
    senders: usize,
    /// Events of each measurement of a batch size; a tenth of it in batches of one.
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// Halls that come back with a day's backlog.
    #[arg(long, default_value_t = 127)]
    halls: usize,
    /// Services of a hall's day; six events each.
    #[arg(long, default_value_t = 800)]
    services: u32,
}

/// Measures and prints.
///
/// # Errors
/// A program does not start, or the centre does not take what it is sent.
pub async fn run(order: &Order) -> Result<()> {
    Machine::here().print();
    journal().await?;
    let folder = tempfile::tempdir()?;
    let (mut centre, admin, halls) = centre_of(folder.path(), order.halls.max(order.senders) + 1).await?;
    let mut nodes = Vec::new();
    for hall in &halls {
        nodes.push(Node::enrol(&centre, &admin, hall).await?);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let mut epoch = 1;
    let mut first = vec![1; nodes.len()];
    for size in &order.batches {
        epoch += 1;
        let all = if *size == 1 { order.events / 10 } else { order.events };
        let services = u32::try_from(all / order.senders / 6)?.max(1);
        let mut work: Vec<(&Node, Vec<Packed>)> = Vec::new();
        for (node, first) in nodes.iter().zip(&mut first).take(order.senders) {
            let mut end = ChainEnd::start(epoch);
            let events = node.day(&mut end, UtcMillis(now - 10 * 3_600_000), *first, services)?;
            *first += services;
            work.push((node, packed(&events, *size)?));
        }
        let events: u64 = work.iter().flat_map(|(_, batches)| batches).map(|batch| batch.events).sum();
        let before = centre.process.usage().cpu;
        let begun = Instant::now();
        try_join_all(work.iter().map(|(node, batches)| send(node, batches))).await?;
        let took = begun.elapsed();
        println!(
            "batch {size:>3}: {:>7.0} events/s ({events} events, {} senders, {:.1} s; centre's CPU {:.0} µs an event)",
            events as f64 / took.as_secs_f64(),
            order.senders,
            took.as_secs_f64(),
            (centre.process.usage().cpu - before).as_micros() as f64 / events as f64
        );
    }
    drain(order, &nodes, &first, epoch + 1, now).await?;
    println!("centre's memory at the end: {} MiB", centre.process.usage().resident / 1024 / 1024);
    centre.process.stop(Duration::from_secs(60)).await?;
    Ok(())
}

/// Posts one batch after the other, none of them as a backlog.
async fn send(node: &Node, batches: &[Packed]) -> Result<()> {
    for batch in batches {
        node.post_packed(batch.body.clone(), 0).await?;
    }
    Ok(())
}

async fn drain(order: &Order, nodes: &[Node], first: &[u32], epoch: u64, now: i64) -> Result<()> {
    let (living, others) = nodes.split_last().context("no nodes")?;
    let mut work = Vec::new();
    for (node, first) in others.iter().zip(first).take(order.halls) {
        let mut end = ChainEnd::start(epoch);
        let events = node.day(&mut end, UtcMillis(now - 10 * 3_600_000), *first, order.services)?;
        work.push((node, packed(&events, 500)?));
    }
    let events: u64 = work.iter().flat_map(|(_, batches)| batches).map(|batch| batch.events).sum();
    let (over, storm) = watch::channel(false);
    let begun = Instant::now();
    let (drained, delays) = tokio::join!(
        async {
            let drained = try_join_all(work.iter().map(|(node, batches)| node.drain(batches))).await;
            over.send_replace(true);
            drained.map(|_| begun.elapsed())
        },
        live(living, storm)
    );
    let (drained, delays) = (drained?, spread(delays?)?);
    println!(
        "{} halls × {} events of a day: {:.1} s ({:.0} events/s); a living hall's event meanwhile, to its commit: \
         p50 {:.0} ms, p95 {:.0} ms",
        work.len(),
        events / work.len() as u64,
        drained.as_secs_f64(),
        events as f64 / drained.as_secs_f64(),
        delays.p50,
        delays.p95
    );
    Ok(())
}

/// The spread of times, in milliseconds.
fn spread(times: Vec<Duration>) -> Result<Spread> {
    let milliseconds = times.into_iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    Spread::of(milliseconds).context("nothing was measured")
}

async fn live(node: &Node, mut storm: watch::Receiver<bool>) -> Result<Vec<Duration>> {
    let mut end = ChainEnd::start(1);
    let mut delays = Vec::new();
    while !*storm.borrow_and_update() {
        let at = UtcMillis(jiff::Timestamp::now().as_millisecond());
        let event = node.seal(&mut end, at, Happening::WindowPaused { reason: None })?;
        let begun = Instant::now();
        node.post([event.bytes.as_ref()]).await?;
        delays.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(delays)
}

/// The journal at the hall: how long an append takes until it is on disk, alone and with others.
async fn journal() -> Result<()> {
    for together in [1usize, 8, 64] {
        let folder = tempfile::tempdir()?;
        let clock = SystemClock::start();
        let (journal, serials, thread) =
            Journal::open(folder.path(), "hall-450103-01".parse()?, "450103-01".parse()?, clock)?;
        let appends = 2_000 / together;
        let begun = Instant::now();
        let writers = (0..together).map(|_| {
            let journal = journal.clone();
            async move {
                let mut took = Vec::new();
                for _ in 0..appends {
                    let begun = Instant::now();
                    journal.append(vec![entry()]).await?;
                    took.push(begun.elapsed());
                }
                anyhow::Ok(took)
            }
        });
        let took: Vec<Duration> = try_join_all(writers).await?.into_iter().flatten().collect();
        let all = begun.elapsed();
        let count = took.len();
        let took = spread(took)?;
        println!(
            "journal, {together:>2} devices at once: p50 {:.2} ms, p99 {:.2} ms to disk; {:.0} events/s",
            took.p50,
            took.p99,
            count as f64 / all.as_secs_f64()
        );
        drop((journal, serials));
        tokio::task::spawn_blocking(move || thread.join()).await?;
    }
    Ok(())
}

fn entry() -> Entry {
    Entry {
        at: UtcMillis(jiff::Timestamp::now().as_millisecond()),
        mono_us: 1,
        boot: Arc::from("bench"),
        clock: ClockQuality::Synchronised,
        window: None,
        device: None,
        case: None,
        happening: Happening::WindowPaused { reason: Some("bench".into()) },
        once: None,
    }
}
