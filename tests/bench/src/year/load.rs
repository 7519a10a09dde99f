//! Loads the year into a store through the rooms' own projections, thousands of events to a transaction. The rows are those
//! that intake makes, because the same code makes them; that the record and the sums agree is checked on a sample by
//! working a hall's days out again from its events.

use anyhow::{Context, Result};
use control_center::{
    areas::import,
    params, projections,
    statistics::Gathered,
    store::{Sql, Store, StoreError, Tx},
};
use control_protocol::{
    Event, StoredEvent, UtcMillis,
    chain::ChainEnd,
    event::{ClockQuality, VERSION},
};
use jiff::{ToSpan, Zoned, civil::Weekday, tz::TimeZone};

use super::{
    Order,
    day::{self, Entry},
    world::{Hall, World},
};

/// Events of one transaction.
const BATCH: usize = 4_000;
/// What everybody signs in with.
pub(super) const PASSWORD: &str = "a phrase for the benchmark";
/// An epoch, as an edge would take one.
const EPOCH: u64 = 1_700_000_000_000;

/// What was loaded.
pub(super) struct Loaded {
    pub(super) cases: u64,
    pub(super) events: u64,
    /// The check of a sample, in words.
    pub(super) sample: String,
    /// Where each hall's journal stands, in the world's order.
    pub(super) ends: Vec<ChainEnd>,
}

/// The zone of all halls.
pub(super) fn zone() -> Result<TimeZone> {
    Ok(TimeZone::get("Asia/Shanghai")?)
}

pub(super) async fn load(store: &Store, world: &World, order: &Order) -> Result<Loaded> {
    let file = toml::from_str(&world.import(PASSWORD)).context("the import file")?;
    let zone = zone()?;
    let now = Zoned::now().with_time_zone(zone.clone());
    import::take(store, file, UtcMillis(now.timestamp().as_millisecond())).await.context("the tree")?;
    let mut ends: Vec<ChainEnd> = world.halls.iter().map(|_| ChainEnd::start(EPOCH)).collect();
    let (mut cases, mut events) = (0u64, 0u64);
    let begun = std::time::Instant::now();
    for (n, date) in working_days(&now, order.days).into_iter().enumerate() {
        for (hall, end) in world.halls.iter().zip(&mut ends) {
            let (entries, of_day) = day::events(hall, date, &zone, order.seed);
            cases += u64::from(of_day);
            let sealed = seal(hall, end, entries)?;
            events += sealed.len() as u64;
            for batch in sealed.chunks(BATCH) {
                let batch = batch.to_vec();
                store.write("load", move |tx| take(tx, &batch)).await?;
            }
        }
        if n % 10 == 9 {
            println!(
                "          day {} of {}: {events} events, {:.0} s",
                n + 1,
                order.days,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    let sample = sample(store, world, cases).await?;
    Ok(Loaded { cases, events, sample, ends })
}

/// The `count` working days before today, the first first.
fn working_days(now: &Zoned, count: u32) -> Vec<jiff::civil::Date> {
    let mut days = Vec::new();
    let mut date = now.date();
    while days.len() < count as usize {
        let Ok(before) = date.checked_sub(1.day()) else { break };
        date = before;
        if !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            days.push(date);
        }
    }
    days.reverse();
    days
}

/// Gives entries their place in a hall's journal.
pub(super) fn seal(hall: &Hall, end: &mut ChainEnd, entries: Vec<Entry>) -> Result<Vec<StoredEvent>> {
    let node: control_protocol::NodeId = format!("hall-{}", hall.id).parse()?;
    entries
        .into_iter()
        .map(|entry| {
            let stored = StoredEvent::seal(Event {
                node: node.clone(),
                epoch: end.epoch,
                seq: end.seq + 1,
                prev: end.digest,
                at: entry.at,
                mono_us: (end.seq + 1) * 1000,
                boot: "0d9f9a52-6f0c-4d2c-9a43-0a1f2d3c4b5a".into(),
                clock: ClockQuality::Synchronised,
                hall: hall.id.clone(),
                window: entry.window,
                device: entry.device,
                case: entry.case,
                happening: entry.happening,
                v: VERSION,
            })?;
            end.follow(&stored)?;
            Ok(stored)
        })
        .collect()
}

/// Stores events and lets the rooms have them, as intake does with a batch once its turn has come.
pub(super) fn take(tx: &mut Tx<'_>, events: &[StoredEvent]) -> Result<(), StoreError> {
    let mut sums = Gathered::default();
    for stored in events {
        let event = &stored.event;
        tx.execute(
            "INSERT INTO events (node, epoch, seq, prev, hash, at, hall, win, device, case_id, kind, bytes, received_at, projected) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $6, 1)",
            params![
                event.node, event.epoch, event.seq, event.prev, stored.digest, event.at, event.hall, event.window,
                event.device, event.case, event.happening.kind(), stored.bytes
            ],
        )?;
        projections::project_all(tx.sql, stored, &mut sums, &mut tx.changes)?;
    }
    sums.write(tx.sql)
}

/// Holds the rooms' rows of the first hall against its record: as many cases as were opened, as many grades as were given.
async fn sample(store: &Store, world: &World, cases: u64) -> Result<String> {
    let Some(hall) = world.halls.first().map(|hall| hall.id.clone()) else { return Ok("no hall".into()) };
    let read = store
        .read(move |sql| {
            let count = |sql: &mut dyn Sql, statement: &str| -> Result<i64, StoreError> {
                let row = sql.query_one(statement, params![hall])?;
                row.map_or(Ok(0), |row| row.get(0))
            };
            Ok::<_, StoreError>([
                count(sql, "SELECT COUNT(*) FROM events WHERE hall = $1 AND kind = 'case.opened'")?,
                count(sql, "SELECT COUNT(*) FROM cases WHERE hall = $1")?,
                count(sql, "SELECT COUNT(*) FROM events WHERE hall = $1 AND kind = 'rating.given'")?,
                count(sql, "SELECT COUNT(*) FROM cases WHERE hall = $1 AND grade IS NOT NULL")?,
                count(sql, "SELECT COALESCE(SUM(served), 0) FROM load_halls WHERE hall = $1")?,
                count(sql, "SELECT COUNT(*) FROM events WHERE hall = $1 AND kind = 'service.ended'")?,
            ])
        })
        .await?;
    let [opened, rows, given, graded, sums, ended] = read;
    anyhow::ensure!(
        opened == rows && given == graded && sums == ended,
        "the rows of {opened} opened, {given} rated, {ended} served cases are {rows}, {graded}, {sums}"
    );
    Ok(format!(
        "one hall: {opened} cases opened, {given} rated, {ended} served: the rows and the sums say the same (of {cases})"
    ))
}
