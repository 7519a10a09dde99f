//! Quarters of an hour of a hall's local day. Pure. Every zone in use is a whole number of quarters from UTC, so a
//! quarter of local time is one of UTC; where summer time repeats an hour, both fall into the same quarter.

use std::collections::BTreeMap;

use control_protocol::UtcMillis;
use jiff::{civil::Date, tz::TimeZone};

use super::Load;

/// A quarter of an hour in milliseconds.
pub const QUARTER_MS: i64 = 15 * 60_000;
/// What lasts longer is a fault of a clock and no duration.
const LONGEST_MS: i64 = 24 * 3_600_000;

/// A quarter of an hour of a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter {
    /// The day.
    pub day: Date,
    /// 0 (00:00) to 95 (23:45).
    pub number: u8,
}

impl Quarter {
    /// The quarter in which `at` lies; a quarter holds its beginning and not its end.
    pub fn of(at: UtcMillis, zone: &TimeZone) -> Self {
        let local = zone.to_datetime(at.timestamp());
        let number = local.hour() * 4 + local.minute() / 15;
        Self { day: local.date(), number: number.unsigned_abs() }
    }
}

/// A duration in milliseconds; none if it is negative or longer than a day.
pub(super) fn duration(from: i64, to: i64) -> Option<i64> {
    Some(to.saturating_sub(from)).filter(|millis| (0..=LONGEST_MS).contains(millis))
}

/// A duration cut at quarters; nothing if it is negative or longer than a day.
pub fn split(from: UtcMillis, to: UtcMillis, zone: &TimeZone) -> Vec<(Quarter, i64)> {
    let mut parts = Vec::new();
    if duration(from.0, to.0).is_none() {
        return parts;
    }
    let mut at = from.0;
    while at < to.0 {
        let end = (at.div_euclid(QUARTER_MS) + 1).saturating_mul(QUARTER_MS).min(to.0);
        parts.push((Quarter::of(UtcMillis(at), zone), end - at));
        at = end;
    }
    parts
}

/// Where a sum belongs within a hall. The business is empty where none is known or meant (a window's hours), the window
/// where there is none yet (a ticket taken).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// When.
    pub quarter: Quarter,
    /// What for.
    pub business: String,
    /// Where: the window's id.
    pub window: String,
}

/// Sums by cell of one hall.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loads(pub BTreeMap<Cell, Load>);

impl Loads {
    /// The sums of a cell, to be added to.
    pub fn at(&mut self, quarter: Quarter, business: &str, window: &str) -> &mut Load {
        let cell = Cell { quarter, business: business.to_owned(), window: window.to_owned() };
        self.0.entry(cell).or_default()
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (cell, load) in &other.0 {
            *self.0.entry(cell.clone()).or_default() += load;
        }
    }

    /// What must be added to `before` to get this; cells that do not change are left out.
    pub fn since(mut self, before: &Self) -> Self {
        for (cell, load) in &before.0 {
            *self.0.entry(cell.clone()).or_default() -= load;
        }
        self.without_zeros()
    }

    /// The cells that hold anything.
    pub fn without_zeros(mut self) -> Self {
        self.0.retain(|_, load| !load.is_zero());
        self
    }
}

/// A day as the tables have it: 20261122.
pub fn day_number(day: Date) -> i64 {
    i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day())
}

/// The day of a table's number, if it is one.
pub fn day_of_number(number: i64) -> Option<Date> {
    let part = |value: i64| i8::try_from(value).ok();
    Date::new(i16::try_from(number / 10_000).ok()?, part(number / 100 % 100)?, part(number % 100)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_duration_is_cut_at_local_quarters() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let at = |text: &str| text.parse::<UtcMillis>().unwrap();
        let parts = split(at("2026-11-22T09:14:59+08:00"), at("2026-11-22T09:30:01+08:00"), &zone);
        let day = date(2026, 11, 22);
        let numbers: Vec<_> = parts.iter().map(|(quarter, millis)| (quarter.number, *millis)).collect();
        assert_eq!(numbers, [(36, 1000), (37, 900_000), (38, 1000)]);
        assert!(parts.iter().all(|(quarter, _)| quarter.day == day));
        assert_eq!(split(at("2026-11-22T09:00:00Z"), at("2026-11-22T08:00:00Z"), &zone), []);
        // The day changes at local midnight.
        let parts = split(at("2026-11-22T23:59:00+08:00"), at("2026-11-23T00:01:00+08:00"), &zone);
        assert_eq!((parts[0].0.number, parts[1].0.number), (95, 0));
        assert_eq!(parts[1].0.day, date(2026, 11, 23));
    }

    #[test]
    fn a_day_survives_the_tables() {
        let day = date(2026, 2, 28);
        assert_eq!(day_number(day), 20_260_228);
        assert_eq!(day_of_number(20_260_228), Some(day));
        assert_eq!(day_of_number(20_260_231), None);
        assert_eq!(day_of_number(-1), None);
    }
}
