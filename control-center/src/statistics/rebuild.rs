//! The sums once more from the record: to check those that were kept as events came, and to build them anew. Works case by
//! case on whole sets of events, so that it shares with the keeping only what a case's sums are, not how they change.

use control_protocol::{CaseId, Event, HallId};
use jiff::{civil::Date, tz::TimeZone};
use std::collections::BTreeMap;

use super::{
    presence::{self, Hours},
    quarter::Loads,
    tables::{self, Between},
    visit::{self, Visit},
};
use crate::{
    areas, params,
    store::{Param, Row, Sql, Store, StoreError, ToParam},
};

/// Events read at a time.
const CHUNK: i64 = 4000;

/// How the kept sums of a hall compare with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The hall.
    pub hall: HallId,
    /// Cells of quarters that hold anything, by the record.
    pub cells: usize,
    /// Cells that differ.
    pub wrong: usize,
}

/// The halls that have a record.
pub async fn halls(store: &Store) -> Result<Vec<HallId>, StoreError> {
    store
        .read(|sql| {
            let rows = sql.query("SELECT id FROM halls ORDER BY id", params![])?;
            rows.iter().map(|row| row.get(0)).collect()
        })
        .await
}

/// Compares the sums of a hall with its record, on one snapshot.
pub async fn check(store: &Store, hall: HallId) -> Result<Checked, StoreError> {
    store
        .read(move |sql| {
            let zone = super::read::zone(sql, &hall)?;
            let truth = from_record(sql, &hall, &zone, &mut |_, _| Ok(()), &mut |_, _, _| Ok(()))?;
            let kept = tables::cells(sql, &hall, &Between { from: 0, to: i64::MAX })?;
            let mut wrong = kept.since(&truth).0.len();
            wrong += above(sql, &hall, &truth)?;
            Ok(Checked { hall, cells: truth.0.len(), wrong })
        })
        .await
}

/// Days whose sums above the quarters are not those of the quarters.
fn above(sql: &mut dyn Sql, hall: &HallId, truth: &Loads) -> Result<usize, StoreError> {
    let mut days: BTreeMap<Date, super::Load> = BTreeMap::new();
    for (cell, load) in &truth.0 {
        *days.entry(cell.quarter.day).or_default() += load;
    }
    let mut wrong = 0;
    for table in ["load_days", "load_halls"] {
        let rows = tables::grouped(sql, table, "l.day", "l.hall = $1", params![hall])?;
        let mut kept: BTreeMap<Date, super::Load> = BTreeMap::new();
        for row in &rows {
            kept.insert(tables::day(row, 0)?, super::Load::read(row, 1)?);
        }
        kept.retain(|_, load| !load.is_zero());
        let same = kept.iter().filter(|(day, load)| days.get(day) == Some(load)).count();
        wrong += days.len().max(kept.len()) - same;
    }
    Ok(wrong)
}

/// Builds the sums of a hall anew, in one transaction; intake waits as long. Gives the number of cells.
pub async fn rebuild(store: &Store, hall: HallId) -> Result<usize, StoreError> {
    store
        .write("statistics", move |tx| {
            let name = areas::zone_name(tx, &hall)?;
            let zone = areas::zone_named(&name)?;
            tables::forget(tx, &hall)?;
            let mut visits = Vec::new();
            let mut hours = Vec::new();
            let loads = from_record(
                tx,
                &hall,
                &zone,
                &mut |case, visit| {
                    visits.push((case, visit));
                    Ok(())
                },
                &mut |window, day, steps| {
                    hours.push((window, day, steps));
                    Ok(())
                },
            )?;
            for (case, visit) in &visits {
                tables::put_visit(tx, case, visit)?;
            }
            for (window, day, steps) in &hours {
                let Ok(window) = window.parse() else { continue };
                tables::put_hours(tx, &hall, &window, *day, steps)?;
            }
            tables::add(tx, &hall, &loads)?;
            tables::put_zone(tx, &hall, &name)?;
            Ok(loads.0.len())
        })
        .await
}

/// Builds the sums of a hall anew without anybody waiting for it; what fails is in the log and is done at the next start.
pub fn soon(store: &Store, hall: HallId) {
    let store = store.clone();
    tokio::spawn(async move {
        match rebuild(&store, hall.clone()).await {
            Ok(cells) => tracing::info!(%hall, cells, "statistics cut anew"),
            Err(error) => tracing::error!(%hall, %error, "statistics could not be cut anew"),
        }
    });
}

/// Builds the sums of halls that have none: after an update from a version without them, or a change of a hall's zone.
pub async fn build_missing(store: &Store) -> Result<(), StoreError> {
    for hall in halls(store).await? {
        let asked = hall.clone();
        let built = store
            .read(move |sql| {
                let kept = sql.query_one("SELECT zone FROM load_zones WHERE hall = $1", params![asked])?;
                let kept = kept.map(|row| row.get::<String>(0)).transpose()?;
                Ok::<_, StoreError>(
                    kept.is_some_and(|kept| areas::zone_name(sql, &asked).is_ok_and(|is| is == kept)),
                )
            })
            .await?;
        if !built {
            let cells = rebuild(store, hall.clone()).await?;
            tracing::info!(%hall, cells, "statistics built from the record");
        }
    }
    Ok(())
}

/// What is told of a case, and of a window's day, while the record is read.
type EachVisit<'a> = &'a mut dyn FnMut(CaseId, Visit) -> Result<(), StoreError>;
type EachDay<'a> = &'a mut dyn FnMut(String, Date, Hours) -> Result<(), StoreError>;

fn from_record(
    sql: &mut dyn Sql,
    hall: &HallId,
    zone: &TimeZone,
    each_visit: EachVisit<'_>,
    each_day: EachDay<'_>,
) -> Result<Loads, StoreError> {
    let mut loads = Loads::default();
    let mut open: Option<(CaseId, Visit)> = None;
    let mut close = |loads: &mut Loads, (case, visit): (CaseId, Visit)| {
        loads.add(&visit.loads(zone));
        each_visit(case, visit)
    };
    // What a restored database opened a second time is kept apart (nodes/intake) and counts nowhere.
    let of_cases = "SELECT e.n, e.bytes, e.case_id FROM events e WHERE e.hall = $1 AND e.case_id >= $2 AND e.projected = 1 \
         AND (e.case_id > $2 OR e.n > $3) AND e.case_id < $5 AND NOT EXISTS (SELECT 1 FROM cases_reopened r \
         WHERE r.case_id = e.case_id AND r.node = e.node AND r.epoch = e.epoch) \
         ORDER BY e.case_id, e.n LIMIT $4";
    let (mut case_id, mut n) = (format!("{hall}-"), 0i64);
    let end = format!("{hall}.");
    loop {
        let rows = sql.query(of_cases, params![hall, case_id, n, CHUNK, end])?;
        for row in &rows {
            (n, case_id) = (row.get(0)?, row.get(2)?);
            let Some(event) = read(row)? else { continue };
            let Some(case) = event.case.filter(|case| !case.is_test()) else { continue };
            loads.add(&visit::of_itself(&event, zone));
            let Some(step) = visit::Step::of(&event) else { continue };
            if open.as_ref().is_some_and(|(of, _)| *of != case)
                && let Some(done) = open.take()
            {
                close(&mut loads, done)?;
            }
            open.get_or_insert_with(|| (case, Visit::default())).1.add(step);
        }
        if (rows.len() as i64) < CHUNK {
            break;
        }
    }
    if let Some(done) = open {
        close(&mut loads, done)?;
    }
    let mut days: BTreeMap<(String, Date), Hours> = BTreeMap::new();
    let without = "SELECT e.n, e.bytes FROM events e WHERE e.hall = $1 AND e.n > $2 AND e.case_id IS NULL \
         AND e.projected = 1 ORDER BY e.n LIMIT $3";
    let mut n = 0i64;
    loop {
        let rows = sql.query(without, &[hall.to_param(), Param::Int(n), Param::Int(CHUNK)])?;
        for row in &rows {
            n = row.get(0)?;
            let Some(event) = read(row)? else { continue };
            loads.add(&visit::of_itself(&event, zone));
            if let (Some(step), Some(window)) = (presence::Step::of(&event), &event.window) {
                days.entry((window.to_string(), step.day(zone))).or_default().add(step);
            }
        }
        if (rows.len() as i64) < CHUNK {
            break;
        }
    }
    for ((window, day), hours) in days {
        loads.add(&hours.loads(&window, zone, None));
        each_day(window, day, hours)?;
    }
    Ok(loads.without_zeros())
}

fn read(row: &Row) -> Result<Option<Event>, StoreError> {
    let bytes: Vec<u8> = row.get(1)?;
    // What this version cannot read it could not count when it came either.
    Ok(serde_json::from_slice(&bytes).ok())
}
