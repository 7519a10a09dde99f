//! Sums for those who show them: by hall, day, business, window and quarter of an hour. Rows are added with `+=`, so a
//! month is the sum of its days and an area the sum of its halls.

use control_protocol::{HallId, UtcMillis};
use jiff::{civil::Date, tz::TimeZone};

use super::{
    Load, areas_zone,
    quarter::{Loads, Quarter, day_number, day_of_number},
    tables::{self, Between, day, grouped, joined},
};
use crate::{
    access::Scope,
    params,
    store::{Sql, StoreError},
};

/// Sums of one hall and day.
#[derive(Debug, Clone, PartialEq)]
pub struct HallDay {
    /// The hall's id.
    pub hall: String,
    /// The local day.
    pub day: Date,
    /// The sums.
    pub load: Load,
}

/// Sums of one hall over several days.
#[derive(Debug, Clone, PartialEq)]
pub struct HallTotal {
    /// The hall's id.
    pub hall: String,
    /// The sums.
    pub load: Load,
}

/// Sums of a hall, day, business and window. The business is empty for a window's hours and presses nobody asked for; the
/// window is empty for tickets taken.
#[derive(Debug, Clone, PartialEq)]
pub struct DayRow {
    /// The hall's id.
    pub hall: String,
    /// The local day.
    pub day: Date,
    /// The business.
    pub business: String,
    /// The window's id.
    pub window: String,
    /// The sums.
    pub load: Load,
}

/// Sums of every hall within `scope` and below `path` (an area's or a hall's; `/` for all), by day; the days `from` and
/// `to` are local days of each hall and both included. Halls and days without any business are left out.
pub fn hall_days(
    sql: &mut dyn Sql,
    scope: &Scope,
    path: &str,
    from: Date,
    to: Date,
) -> Result<Vec<HallDay>, StoreError> {
    let rows = of_halls(sql, "load_halls", "l.hall, l.day", scope, path, (from, to))?;
    rows.iter()
        .map(|row| Ok(HallDay { hall: row.get(0)?, day: day(row, 1)?, load: Load::read(row, 2)? }))
        .collect()
}

/// The same, each hall's days added up.
pub fn hall_totals(
    sql: &mut dyn Sql,
    scope: &Scope,
    path: &str,
    from: Date,
    to: Date,
) -> Result<Vec<HallTotal>, StoreError> {
    let rows = of_halls(sql, "load_halls", "l.hall", scope, path, (from, to))?;
    rows.iter().map(|row| Ok(HallTotal { hall: row.get(0)?, load: Load::read(row, 1)? })).collect()
}

/// Sums of all halls within `scope` and below `path` together, by day; days without any business are left out.
pub fn day_totals(
    sql: &mut dyn Sql,
    scope: &Scope,
    path: &str,
    from: Date,
    to: Date,
) -> Result<Vec<(Date, Load)>, StoreError> {
    let rows = of_halls(sql, "load_halls", "l.day", scope, path, (from, to))?;
    rows.iter().map(|row| Ok((day(row, 0)?, Load::read(row, 1)?))).collect()
}

/// The same by month, each named by its first day.
pub fn month_totals(
    sql: &mut dyn Sql,
    scope: &Scope,
    path: &str,
    from: Date,
    to: Date,
) -> Result<Vec<(Date, Load)>, StoreError> {
    let rows = of_halls(sql, "load_halls", MONTH, scope, path, (from, to))?;
    rows.iter().map(|row| Ok((month(row, 0)?, Load::read(row, 1)?))).collect()
}

/// Sums of each hall by month, each named by its first day.
pub fn hall_months(
    sql: &mut dyn Sql,
    scope: &Scope,
    path: &str,
    from: Date,
    to: Date,
) -> Result<Vec<HallDay>, StoreError> {
    let by = format!("l.hall, {MONTH}");
    let rows = of_halls(sql, "load_halls", &by, scope, path, (from, to))?;
    rows.iter()
        .map(|row| Ok(HallDay { hall: row.get(0)?, day: month(row, 1)?, load: Load::read(row, 2)? }))
        .collect()
}

/// The month of a day's number, 202611.
const MONTH: &str = "l.day / 100";

/// The first day of the month in a row.
fn month(row: &crate::store::Row, column: usize) -> Result<Date, StoreError> {
    let number: i64 = row.get(column)?;
    day_of_number(number * 100 + 1)
        .ok_or_else(|| StoreError::Read(format!("month {number} is not of the calendar")))
}

/// The same, by business and window. Ask it of one hall, or of few days: a region's month has a hundred thousand rows.
pub fn day_rows(
    sql: &mut dyn Sql,
    scope: &Scope,
    path: &str,
    from: Date,
    to: Date,
) -> Result<Vec<DayRow>, StoreError> {
    let by = "l.hall, l.day, l.business, l.win";
    let rows = of_halls(sql, "load_days", by, scope, path, (from, to))?;
    rows.iter()
        .map(|row| {
            Ok(DayRow {
                hall: row.get(0)?,
                day: day(row, 1)?,
                business: row.get(2)?,
                window: row.get(3)?,
                load: Load::read(row, 4)?,
            })
        })
        .collect()
}

fn of_halls(
    sql: &mut dyn Sql,
    table: &str,
    by: &str,
    scope: &Scope,
    path: &str,
    (from, to): (Date, Date),
) -> Result<Vec<crate::store::Row>, StoreError> {
    let conditions =
        format!("l.day BETWEEN $1 AND $2 AND h.path LIKE $3 || '%' AND {}", scope.clause("h.path", 4));
    let days = [day_number(from), day_number(to)];
    let mut arguments = joined(&days, std::iter::empty());
    arguments.push(crate::store::Param::Text(path.into()));
    arguments.extend(scope.params());
    grouped(sql, table, by, &conditions, &arguments)
}

/// Every cell of a hall's day: quarters, businesses and windows. With `now`, windows that are still open count until then.
pub fn cells_of_day(
    sql: &mut dyn Sql,
    hall: &HallId,
    day: Date,
    now: Option<UtcMillis>,
) -> Result<Loads, StoreError> {
    let mut loads = tables::cells(sql, hall, &Between::days(day, day))?;
    if let Some(now) = now {
        let zone = zone(sql, hall)?;
        for (window, hours) in tables::hours_of_hall(sql, hall, day)? {
            let open = hours.loads(&window, &zone, Some(now)).since(&hours.loads(&window, &zone, None));
            loads.add(&open);
        }
    }
    Ok(loads.without_zeros())
}

/// Sums of one hall over the days from `from` to `to`, both included.
pub fn hall_total(sql: &mut dyn Sql, hall: &HallId, from: Date, to: Date) -> Result<Load, StoreError> {
    let conditions = "l.hall = $1 AND l.day BETWEEN $2 AND $3";
    let (from, to) = (day_number(from), day_number(to));
    let rows = grouped(sql, "load_halls", "l.hall", conditions, params![hall, from, to])?;
    rows.first().map_or(Ok(Load::default()), |row| Load::read(row, 1))
}

/// Tickets taken, services and times to reach the window of a hall by day, quarter and business, windows added up, over
/// the days from `from` to `to`, both included. The other sums are left at zero: weeks of quarters are many rows.
pub fn demand(
    sql: &mut dyn Sql,
    hall: &HallId,
    from: Date,
    to: Date,
) -> Result<Vec<(Quarter, String, Load)>, StoreError> {
    let rows = sql.query(
        "SELECT day, quarter, business, SUM(arrivals), SUM(services), SUM(service_ms), SUM(service_sq_s), \
         SUM(reaches), SUM(reach_ms) FROM load_quarters WHERE hall = $1 AND day BETWEEN $2 AND $3 \
         AND (arrivals <> 0 OR services <> 0 OR reaches <> 0) GROUP BY day, quarter, business",
        params![hall, day_number(from), day_number(to)],
    )?;
    rows.iter()
        .map(|row| {
            let load = Load {
                arrivals: row.get(3)?,
                services: row.get(4)?,
                service_ms: row.get(5)?,
                service_sq_s: row.get(6)?,
                reaches: row.get(7)?,
                reach_ms: row.get(8)?,
                ..Load::default()
            };
            Ok((Quarter { day: day(row, 0)?, number: row.get(1)? }, row.get(2)?, load))
        })
        .collect()
}

/// From and to, UTC.
pub type Span = (UtcMillis, UtcMillis);

/// When each window of a hall was open and did not pause on a day: its id, and spans from and to (UTC), in order. A span
/// with no end yet lasts until `now`.
pub fn working_spans(
    sql: &mut dyn Sql,
    hall: &HallId,
    day: Date,
    now: UtcMillis,
) -> Result<Vec<(String, Vec<Span>)>, StoreError> {
    let hours = tables::hours_of_hall(sql, hall, day)?;
    Ok(hours.into_iter().map(|(window, hours)| (window, hours.working(now))).collect())
}

/// The zone by which a hall's days and quarters are cut.
pub fn zone(sql: &mut dyn Sql, hall: &HallId) -> Result<TimeZone, StoreError> {
    let row = sql.query_one("SELECT zone FROM load_zones WHERE hall = $1", params![hall])?;
    match row {
        Some(row) => crate::areas::zone_named(&row.get::<String>(0)?),
        None => areas_zone(sql, hall),
    }
}
