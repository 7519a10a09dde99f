//! The tables of sums: changed by differences as events come, read by hall, day, business and window. A difference goes
//! into three tables at once, so that a quarter of an hour and a region's year are both read from few rows.

use std::{collections::BTreeMap, sync::LazyLock};

use control_protocol::{CaseId, HallId, WindowId};
use jiff::{civil::Date, tz::TimeZone};

use super::{
    Load,
    load::COLUMNS,
    presence::Hours,
    quarter::{Cell, Loads, Quarter, day_number, day_of_number},
    visit::Visit,
};
use crate::{
    areas, params,
    store::{Param, Row, Sql, StoreError, ToParam},
};

/// A statement that adds sums to the row of `keys` in `table`.
fn adding(table: &str, keys: &[&str]) -> String {
    let columns: Vec<&str> = keys.iter().copied().chain(COLUMNS.iter().map(String::as_str)).collect();
    let values: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
    let sums: Vec<String> = COLUMNS.iter().map(|c| format!("{c} = {table}.{c} + excluded.{c}")).collect();
    format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
        columns.join(", "),
        values.join(", "),
        keys.join(", "),
        sums.join(", ")
    )
}

static TO_QUARTERS: LazyLock<String> =
    LazyLock::new(|| adding("load_quarters", &["hall", "day", "quarter", "business", "win"]));
static TO_DAYS: LazyLock<String> = LazyLock::new(|| adding("load_days", &["hall", "day", "business", "win"]));
static TO_HALLS: LazyLock<String> = LazyLock::new(|| adding("load_halls", &["hall", "day"]));

/// The sums of the rows of a group, as columns of a SELECT; `l` is the table.
pub(super) static SUMS: LazyLock<String> = LazyLock::new(|| {
    let sums: Vec<String> = COLUMNS.iter().map(|column| format!("SUM(l.{column})")).collect();
    sums.join(", ")
});

/// Adds differences (which may be negative) to all tables.
pub(super) fn add(sql: &mut dyn Sql, hall: &HallId, change: &Loads) -> Result<(), StoreError> {
    let mut days: BTreeMap<(Date, &str, &str), Load> = BTreeMap::new();
    let mut halls: BTreeMap<Date, Load> = BTreeMap::new();
    for (Cell { quarter, business, window }, load) in &change.0 {
        let day = day_number(quarter.day);
        run(sql, &TO_QUARTERS, params![hall, day, quarter.number, business, window], load)?;
        *days.entry((quarter.day, business, window)).or_default() += load;
        *halls.entry(quarter.day).or_default() += load;
    }
    for ((day, business, window), load) in &days {
        run(sql, &TO_DAYS, params![hall, day_number(*day), business, window], load)?;
    }
    for (day, load) in &halls {
        run(sql, &TO_HALLS, params![hall, day_number(*day)], load)?;
    }
    Ok(())
}

fn run(sql: &mut dyn Sql, statement: &str, keys: &[Param<'_>], load: &Load) -> Result<(), StoreError> {
    if load.is_zero() {
        return Ok(());
    }
    let mut all = keys.to_vec();
    for sum in load.params() {
        all.push(sum);
    }
    sql.execute(statement, &all).map(drop)
}

/// The zone in which the sums of a hall are cut into days and quarters.
pub(super) fn zone_of(sql: &mut dyn Sql, hall: &HallId) -> Result<TimeZone, StoreError> {
    let row = sql.query_one("SELECT zone FROM load_zones WHERE hall = $1", params![hall])?;
    if let Some(row) = row {
        return areas::zone_named(&row.get::<String>(0)?);
    }
    // The hall's first event.
    let name = areas::zone_name(sql, hall)?;
    put_zone(sql, hall, &name)?;
    areas::zone_named(&name)
}

/// Notes the zone of a hall's sums.
pub(super) fn put_zone(sql: &mut dyn Sql, hall: &HallId, name: &str) -> Result<(), StoreError> {
    sql.execute(
        "INSERT INTO load_zones (hall, zone) VALUES ($1, $2) ON CONFLICT (hall) DO UPDATE SET zone = $2",
        params![hall, name],
    )?;
    Ok(())
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Read(format!("steps: {error}")))
}

fn to_json<T: serde::Serialize>(steps: &T) -> Result<String, StoreError> {
    serde_json::to_string(steps).map_err(|error| StoreError::Read(format!("steps: {error}")))
}

/// The steps of a case that have come so far.
pub(super) fn visit(sql: &mut dyn Sql, case: &CaseId) -> Result<Visit, StoreError> {
    let row = sql.query_one("SELECT steps FROM visits WHERE case_id = $1", params![case])?;
    row.map_or(Ok(Visit::default()), |row| from_json(&row.get::<String>(0)?))
}

/// Keeps the steps of a case.
pub(super) fn put_visit(sql: &mut dyn Sql, case: &CaseId, visit: &Visit) -> Result<(), StoreError> {
    sql.execute(
        "INSERT INTO visits (case_id, steps) VALUES ($1, $2) ON CONFLICT (case_id) DO UPDATE SET steps = $2",
        params![case, to_json(visit)?],
    )?;
    Ok(())
}

/// A window's steps of a day.
pub(super) fn hours(sql: &mut dyn Sql, window: &WindowId, day: Date) -> Result<Hours, StoreError> {
    let statement = "SELECT steps FROM window_hours WHERE win = $1 AND day = $2";
    let row = sql.query_one(statement, params![window, day_number(day)])?;
    row.map_or(Ok(Hours::default()), |row| from_json(&row.get::<String>(0)?))
}

/// Keeps a window's steps of a day.
pub(super) fn put_hours(
    sql: &mut dyn Sql,
    hall: &HallId,
    window: &WindowId,
    day: Date,
    hours: &Hours,
) -> Result<(), StoreError> {
    sql.execute(
        "INSERT INTO window_hours (hall, day, win, steps) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (win, day) DO UPDATE SET steps = $4",
        params![hall, day_number(day), window, to_json(hours)?],
    )?;
    Ok(())
}

/// The steps of all windows of a hall on a day.
pub(super) fn hours_of_hall(
    sql: &mut dyn Sql,
    hall: &HallId,
    day: Date,
) -> Result<Vec<(String, Hours)>, StoreError> {
    let statement = "SELECT win, steps FROM window_hours WHERE hall = $1 AND day = $2";
    let rows = sql.query(statement, params![hall, day_number(day)])?;
    rows.iter().map(|row| Ok((row.get(0)?, from_json(&row.get::<String>(1)?)?))).collect()
}

/// Forgets the sums of a hall, and what they were made of.
pub(super) fn forget(sql: &mut dyn Sql, hall: &HallId) -> Result<(), StoreError> {
    let (first, end) = (format!("{hall}-"), format!("{hall}."));
    sql.execute("DELETE FROM visits WHERE case_id >= $1 AND case_id < $2", params![first, end])?;
    for table in ["window_hours", "load_quarters", "load_days", "load_halls", "load_zones"] {
        sql.execute(&format!("DELETE FROM {table} WHERE hall = $1"), params![hall])?;
    }
    Ok(())
}

/// A day of a table's column.
pub(super) fn day(row: &Row, column: usize) -> Result<Date, StoreError> {
    let number = row.get(column)?;
    day_of_number(number).ok_or_else(|| StoreError::Read(format!("{number} is not a day")))
}

/// What is asked of the sums.
#[derive(Debug, Clone)]
pub(super) struct Between {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Between {
    pub(super) fn days(from: Date, to: Date) -> Self {
        Self { from: day_number(from), to: day_number(to) }
    }
}

/// Every cell of a hall between two days, both included.
pub(super) fn cells(sql: &mut dyn Sql, hall: &HallId, between: &Between) -> Result<Loads, StoreError> {
    let statement = format!(
        "SELECT l.day, l.quarter, l.business, l.win, {} FROM load_quarters l \
         WHERE l.hall = $1 AND l.day BETWEEN $2 AND $3",
        COLUMNS.iter().map(|column| format!("l.{column}")).collect::<Vec<_>>().join(", ")
    );
    let mut loads = Loads::default();
    for row in sql.query(&statement, params![hall, between.from, between.to])? {
        let quarter = Quarter { day: day(&row, 0)?, number: row.get(1)? };
        let cell = Cell { quarter, business: row.get(2)?, window: row.get(3)? };
        loads.0.insert(cell, Load::read(&row, 4)?);
    }
    Ok(loads.without_zeros())
}

/// The sums of groups of rows of `table`: the columns named in `by`, then the sums.
pub(super) fn grouped(
    sql: &mut dyn Sql,
    table: &str,
    by: &str,
    conditions: &str,
    params: &[Param<'_>],
) -> Result<Vec<Row>, StoreError> {
    let statement = format!(
        "SELECT {by}, {} FROM {table} l JOIN halls h ON h.id = l.hall WHERE {conditions} GROUP BY {by} ORDER BY {by}",
        *SUMS
    );
    sql.query(&statement, params)
}

/// The arguments `first` and then `rest`.
pub(super) fn joined<'a>(first: &'a [i64], rest: impl Iterator<Item = Param<'a>>) -> Vec<Param<'a>> {
    first.iter().map(ToParam::to_param).chain(rest).collect()
}
