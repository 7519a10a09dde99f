//! The sums under every figure of the service (roll-ups), by hall, business, window and quarter of an hour, kept in the
//! intake's transaction ([`Gathered`]): what its events change in a case's sums is taken out and put in, exactly. The sums of a case and
//! of a window's day are pure functions of their events, whatever order those came in; [`rebuild`] works them out again
//! from the record and must find the same.
//!
//! Owns `visits`, `window_hours`, `load_quarters`, `load_days`, `load_halls` and `load_zones`. Shows nothing itself: rooms
//! read through [`hall_days`], [`hall_totals`], [`day_totals`], [`day_rows`], [`cells_of_day`] and [`demand`].

mod gathered;
mod load;
mod presence;
mod quarter;
mod read;
pub mod rebuild;
mod tables;
mod visit;

use control_protocol::HallId;
use jiff::tz::TimeZone;

pub use gathered::Gathered;
pub use load::{Figures, Load, WAIT_CLASSES, WAIT_EDGES};
pub use quarter::{Cell, Loads, QUARTER_MS, Quarter, day_number, day_of_number, split};
pub use read::{
    DayRow, HallDay, HallTotal, Span, cells_of_day, day_rows, day_totals, demand, hall_days, hall_months,
    hall_total, hall_totals, month_totals, working_spans, zone,
};

use crate::{
    areas,
    store::{Sql, StoreError},
};

fn areas_zone(sql: &mut dyn Sql, hall: &HallId) -> Result<TimeZone, StoreError> {
    let name = areas::zone_name(sql, hall)?;
    areas::zone_named(&name)
}

#[cfg(test)]
mod tests;
