//! Recorded footage: clips out of the halls, what is recorded and what is missing, the timeline of a case, holds. Owns the
//! tables `recording_…`, which say what the halls have told of their footage, and who may see it; the footage itself
//! stays in the halls and passes through without being looked at or changed. What little of it the centre keeps for the
//! time when a hall is offline is in [`kept`], with the tables `kept_…`.

mod clip;
pub mod copy;
mod holds;
pub mod kept;
mod listing;
mod projection;
pub mod range;
mod rules;
mod sealed;
mod still;
pub(crate) mod timeline;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use control_protocol::{CameraId, HallId, UtcMillis, footage::NoFootage};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use projection::project;
pub(crate) use sealed::{cameras_of_case, gaps, is_told, sealed};
pub(crate) use still::{NoStill, still_of};

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, audit, may},
    areas::camera_place,
    nodes::NotDelivered,
    params,
    site::problem::Problem,
    store::{Sql, StoreError},
};

/// This room's routes, under `/api/v1`.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(clip::of_camera))
        .routes(routes!(clip::plan_of_camera))
        .routes(routes!(clip::of_case))
        .routes(routes!(timeline::timeline))
        .routes(routes!(listing::recordings))
        .routes(routes!(holds::list, holds::place))
        .routes(routes!(holds::release))
        .routes(routes!(rules::list))
        .routes(routes!(rules::set))
        .merge(kept::routes())
}

/// How long a viewing is one viewing, however many ranges its player fetches, milliseconds.
const ONE_VIEWING_MS: i64 = 10 * 60_000;
/// Viewings remembered; when so many are, each is written down again.
const REMEMBERED: usize = 20_000;

/// Who is viewing what, so that a player that fetches a clip in a hundred ranges is written down once. Cheap to clone.
#[derive(Clone, Default)]
pub struct Viewings(Arc<Mutex<HashMap<String, UtcMillis>>>);

impl Viewings {
    /// Whether this viewing has not been written down yet.
    fn is_new(&self, viewing: &str, now: UtcMillis) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(viewing).is_none_or(|at| now.0 - at.0 > ONE_VIEWING_MS || now < *at)
    }

    /// It has been written down.
    fn noted(&self, viewing: String, now: UtcMillis) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED {
            held.retain(|_, at| now.0 - at.0 <= ONE_VIEWING_MS);
        }
        if held.len() < REMEMBERED {
            held.insert(viewing, now);
        }
    }
}

/// Writes down that somebody views footage, once for each viewing; before a byte of it is given.
async fn note(
    centre: &Centre,
    person: &Person,
    action: &'static str,
    object: &str,
    detail: String,
) -> Result<(), StoreError> {
    let now = centre.clock.now();
    let viewing = format!("{}\n{}\n{action}\n{object}\n{detail}", person.name, person.address);
    if !centre.viewings.is_new(&viewing, now) {
        return Ok(());
    }
    let (person, object) = (person.clone(), object.to_owned());
    centre
        .store
        .write("audit of a replay", move |tx| audit::audit(tx.sql, &person, action, &object, &detail, now))
        .await?;
    centre.viewings.noted(viewing, now);
    Ok(())
}

/// The hall of a camera of which `person` may do `action`. A camera that is not there and one outside their area look alike.
fn allowed(sql: &mut dyn Sql, person: &Person, camera: &CameraId, action: Action) -> Result<HallId, Problem> {
    let place = camera_place(sql, camera)?.ok_or(Denied::Outside)?;
    may(person, action, &place)?;
    Ok(hall_of(&place)?)
}

fn hall_of(place: &Place) -> Result<HallId, StoreError> {
    let hall = place.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    hall.parse().map_err(|_| StoreError::Read(format!("the path {} does not end in a hall", place.path())))
}

/// When the centre last heard of a hall, if ever.
fn last_heard(sql: &mut dyn Sql, hall: &HallId) -> Result<Option<UtcMillis>, StoreError> {
    let row = sql.query_one("SELECT MAX(last_seen) FROM nodes WHERE hall = $1", params![hall])?;
    row.map_or(Ok(None), |row| row.get(0))
}

fn millis(us: i64) -> UtcMillis {
    UtcMillis(us.div_euclid(1000))
}

fn micros(at: UtcMillis) -> i64 {
    at.0.saturating_mul(1000)
}

/// Why nothing came, as a problem. `known` is what the centre itself has of it, in words.
fn undelivered(why: NotDelivered, known: &str) -> Problem {
    let (status, kind) = match why {
        NotDelivered::Offline => (StatusCode::SERVICE_UNAVAILABLE, "urn:hallwatch:problem:hall-offline"),
        NotDelivered::Busy => (StatusCode::SERVICE_UNAVAILABLE, "urn:hallwatch:problem:footage-busy"),
        NotDelivered::Slow => (StatusCode::GATEWAY_TIMEOUT, "urn:hallwatch:problem:hall-slow"),
        NotDelivered::Unreadable => (StatusCode::BAD_GATEWAY, "urn:hallwatch:problem:hall-answer"),
    };
    let words = if known.is_empty() { why.to_string() } else { format!("{why}; {known}") };
    let mut problem = Problem::new(status, words).named(kind);
    problem.retry_after = match why {
        NotDelivered::Busy => Some(5),
        NotDelivered::Offline | NotDelivered::Slow => Some(30),
        NotDelivered::Unreadable => None,
    };
    problem
}

/// What a hall does not have, as a problem.
fn not_there(reason: NoFootage, words: String) -> Problem {
    match reason {
        NoFootage::NotRecorded => Problem::not_found(words).named("urn:hallwatch:problem:no-footage"),
        NoFootage::NoRecorder => Problem::not_found(words).named("urn:hallwatch:problem:no-recorder"),
        NoFootage::Range => Problem::unprocessable(words),
        NoFootage::Busy => {
            let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, words);
            problem.retry_after = Some(5);
            problem.named("urn:hallwatch:problem:footage-busy")
        }
        NoFootage::Failed => {
            Problem::new(StatusCode::BAD_GATEWAY, words).named("urn:hallwatch:problem:hall-disk")
        }
    }
}
