//! Attendance (考勤): punches as the terminals made them, what was asked of whom, what was approved, and what each day comes to.
//! The rules are pure ([`shift`], [`calendar`], [`roster`], [`terminal_clock`], [`requests`], [`day`]); a punch on record is never
//! changed, and nobody is absent before every terminal of the hall has been read past the shift.
//!
//! Owns the tables `punches`, `punch_logs`, `terminal_clocks`, `sign_ins`, `shifts`, `rosters`, `attendance_requests` and
//! `calendars`. Never decides who may see whom, and keeps nothing of a fingerprint.

mod book;
pub mod calendar;
pub mod calendar_key;
pub mod calendars;
mod day;
mod day_routes;
mod duty;
mod projection;
mod punches;
mod request_routes;
mod requests;
mod roster;
mod roster_routes;
mod sheet;
mod shift;
mod shift_routes;
mod terminal_clock;
#[cfg(test)]
mod tests;

use control_protocol::{HallId, UtcMillis};
use jiff::{civil::Date, tz::TimeZone};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Centre,
    access::{Person, audit},
    areas,
    site::problem::Problem,
    store::{Sql, StoreError, Tx},
};

pub use projection::project;
pub use roster::{Pattern, RosterDay};
pub use roster_routes::{put_roster, put_roster_day};
pub use shift::{Period, Shift};
pub use shift_routes::put_shift;

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .merge(punches::routes())
        .merge(day_routes::routes())
        .merge(sheet::routes())
        .merge(duty::routes())
        .merge(shift_routes::routes())
        .merge(roster_routes::routes())
        .merge(request_routes::routes())
        .merge(calendars::routes())
}

/// The zone of a hall, by which its days begin and its shifts are due.
fn zone_of(sql: &mut dyn Sql, hall: &HallId) -> Result<TimeZone, StoreError> {
    let name = areas::zone_name(sql, hall)?;
    areas::zone_named(&name)
}

/// The date in `zone`.
fn date_at(at: UtcMillis, zone: &TimeZone) -> Date {
    at.timestamp().to_zoned(zone.clone()).date()
}

/// The moment with which a date begins in `zone`.
fn midnight(date: Date, zone: &TimeZone) -> UtcMillis {
    UtcMillis(date.to_zoned(zone.clone()).map_or(0, |zoned| zoned.timestamp().as_millisecond()))
}

/// A date as the database has it.
fn date_of(text: &str) -> Result<Date, StoreError> {
    text.parse().map_err(|error| StoreError::Read(format!("date `{text}`: {error}")))
}

fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Read(format!("{what}: {error}")))
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Read(error.to_string()))
}

/// Runs a change in one transaction with its audit row.
async fn change<T, F>(
    centre: &Centre,
    person: Person,
    action: &'static str,
    object: String,
    detail: &impl Serialize,
    work: F,
) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>, &Person) -> Result<T, Problem> + Send + 'static,
{
    let detail = to_json(detail)?;
    let now = centre.clock.now();
    centre
        .store
        .write(action, move |tx| {
            let done = work(tx, &person)?;
            audit::audit(tx, &person, action, &object, &detail, now)?;
            Ok(done)
        })
        .await
}
