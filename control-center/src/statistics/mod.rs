//! The sums under every figure of the service (roll-ups), by hall, business, window and quarter of an hour, kept in the
//! intake's transaction: what an event changes in its case's sums is taken out and put in, exactly. The sums of a case and
//! of a window's day are pure functions of their events, whatever order those came in; [`rebuild`] works them out again
//! from the record and must find the same.
//!
//! Owns `visits`, `window_hours`, `load_quarters`, `load_days`, `load_halls` and `load_zones`. Shows nothing itself: rooms
//! read through [`hall_days`], [`hall_totals`], [`day_totals`], [`day_rows`], [`cells_of_day`] and [`demand`].

mod load;
mod presence;
mod quarter;
mod read;
pub mod rebuild;
mod tables;
mod visit;

use control_protocol::{CaseId, HallId, StoredEvent};
use jiff::tz::TimeZone;

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

/// Counts the event. Its case, if any, is no test.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent) -> Result<(), StoreError> {
    let event = &stored.event;
    if let (Some(case), Some(step)) = (&event.case, visit::Step::of(event)) {
        of_case(sql, &event.hall, case, step)?;
    } else if let (Some(window), Some(step)) = (&event.window, presence::Step::of(event)) {
        let zone = tables::zone_of(sql, &event.hall)?;
        let day = step.day(&zone);
        let mut hours = tables::hours(sql, window, day)?;
        let before = hours.loads(window.as_str(), &zone, None);
        hours.add(step);
        let change = hours.loads(window.as_str(), &zone, None).since(&before);
        tables::put_hours(sql, &event.hall, window, day, &hours)?;
        tables::add(sql, &event.hall, &change)?;
    }
    let zone = match event.happening {
        control_protocol::Happening::RatingUnsolicited { .. }
        | control_protocol::Happening::RatingGiven { .. } => tables::zone_of(sql, &event.hall)?,
        _ => return Ok(()),
    };
    tables::add(sql, &event.hall, &visit::of_itself(event, &zone))
}

fn of_case(sql: &mut dyn Sql, hall: &HallId, case: &CaseId, step: visit::Step) -> Result<(), StoreError> {
    let zone = tables::zone_of(sql, hall)?;
    let mut visit = tables::visit(sql, case)?;
    let before = visit.loads(&zone);
    visit.add(step);
    let change = visit.loads(&zone).since(&before);
    tables::put_visit(sql, case, &visit)?;
    tables::add(sql, hall, &change)
}

fn areas_zone(sql: &mut dyn Sql, hall: &HallId) -> Result<TimeZone, StoreError> {
    let name = areas::zone_name(sql, hall)?;
    areas::zone_named(&name)
}

#[cfg(test)]
mod tests;
