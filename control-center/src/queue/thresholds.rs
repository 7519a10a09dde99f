//! From when on a hall's queue calls for somebody: the values of each hall, and what they make of the queue as it is. Owns
//! `queue_thresholds`.

use std::collections::HashMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, audit, may},
    params,
    site::{
        extract::{Given, Named},
        problem::Problem,
    },
    statistics::WAIT_EDGES,
    store::{Change, Filter, Row, Sql, StoreError},
};

/// What a hall promises, and from when on its queue is not in hand. The defaults are those of the field
/// (docs/reference/statistics.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// So many people waiting for each open window, 1 to 200.
    pub waiting_per_window: u32,
    /// Anybody waiting so long, minutes, 1 to 480.
    pub longest_wait_minutes: u32,
    /// A wait forecast within the next half hour whose P90 is longer, minutes, 1 to 480.
    pub forecast_p90_minutes: u32,
    /// A window paused so long, minutes, 1 to 480.
    pub pause_minutes: u32,
    /// A ticket machine, keypad or evaluator silent so long in hours, minutes, 1 to 480.
    pub device_silent_minutes: u32,
    /// Two calls at a window closer together, seconds, 0 (never) to 60.
    pub call_burst_seconds: u32,
    /// The target: called within so many minutes (服务水平); one of 1–10, 12, 15, 20, 25, 30, 35, 40, 45, 60, 75, 90, 120.
    pub service_level_minutes: u32,
    /// The target: this share of the people, per cent, 1 to 99.
    pub service_level_percent: u32,
    /// 应开窗数: how many windows are to be open in hours; none: as many as the demand needs.
    pub windows_planned: Option<u32>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            waiting_per_window: 10,
            longest_wait_minutes: 30,
            forecast_p90_minutes: 30,
            pause_minutes: 15,
            device_silent_minutes: 5,
            call_burst_seconds: 10,
            service_level_minutes: 20,
            service_level_percent: 80,
            windows_planned: None,
        }
    }
}

impl Thresholds {
    /// Whether every value is one that can be meant; if not, which is wrong.
    fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}: it must be between {least} and {most}"))
            }
        };
        within("waiting_per_window", self.waiting_per_window, 1, 200)?;
        within("longest_wait_minutes", self.longest_wait_minutes, 1, 480)?;
        within("forecast_p90_minutes", self.forecast_p90_minutes, 1, 480)?;
        within("pause_minutes", self.pause_minutes, 1, 480)?;
        within("device_silent_minutes", self.device_silent_minutes, 1, 480)?;
        within("call_burst_seconds", self.call_burst_seconds, 0, 60)?;
        within("service_level_percent", self.service_level_percent, 1, 99)?;
        within("windows_planned", self.windows_planned.unwrap_or(0), 0, 999)?;
        if WAIT_EDGES.contains(&i64::from(self.service_level_minutes)) {
            return Ok(());
        }
        let edges: Vec<String> = WAIT_EDGES.iter().map(ToString::to_string).collect();
        Err(format!(
            "service_level_minutes is {}: waits are counted up to {} minutes, choose one of these",
            self.service_level_minutes,
            edges.join(", ")
        ))
    }
}

/// The thresholds of a hall; the defaults where nobody has set any.
pub(super) fn of_hall(sql: &mut dyn Sql, hall: &HallId) -> Result<Thresholds, StoreError> {
    Ok(read(sql, hall)?.thresholds)
}

/// The thresholds of the halls within `scope` for which somebody set any; for the others the defaults hold.
///
/// # Errors
/// The store's.
pub fn thresholds_set(sql: &mut dyn Sql, scope: &Scope) -> Result<HashMap<String, Thresholds>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT t.hall, t.body FROM queue_thresholds t JOIN halls h ON h.id = t.hall",
        "",
        1_000_000,
    );
    let rows = sql.query(&statement, &params)?;
    let read = |row: &Row| {
        let hall: String = row.get(0)?;
        let thresholds = body(row, 1, &hall)?;
        Ok((hall, thresholds))
    };
    rows.iter().map(read).collect()
}

fn body(row: &Row, column: usize, hall: &str) -> Result<Thresholds, StoreError> {
    serde_json::from_str(&row.get::<String>(column)?)
        .map_err(|error| StoreError::Read(format!("thresholds of {hall}: {error}")))
}

/// A hall's thresholds, and who set them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct ThresholdsSet {
    /// What holds.
    thresholds: Thresholds,
    /// What holds where nobody has set any.
    defaults: Thresholds,
    /// Who set them; none: the defaults hold.
    set_by: Option<String>,
    /// When.
    #[schema(value_type = Option<String>)]
    set_at: Option<UtcMillis>,
    /// Whether the reader may change them.
    may_change: bool,
}

fn read(sql: &mut dyn Sql, hall: &HallId) -> Result<ThresholdsSet, StoreError> {
    let row =
        sql.query_one("SELECT body, set_by, set_at FROM queue_thresholds WHERE hall = $1", params![hall])?;
    let defaults = Thresholds::default();
    let Some(row) = row else {
        return Ok(ThresholdsSet {
            thresholds: defaults.clone(),
            defaults,
            set_by: None,
            set_at: None,
            may_change: false,
        });
    };
    let thresholds = body(&row, 0, hall.as_str())?;
    Ok(ThresholdsSet { thresholds, defaults, set_by: row.get(1)?, set_at: row.get(2)?, may_change: false })
}

/// The thresholds of a hall's queue.
#[utoipa::path(get, path = "/halls/{hall}/queue/thresholds", tag = "queue",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 200, body = ThresholdsSet), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
) -> Result<Json<ThresholdsSet>, Problem> {
    let set = centre
        .store
        .read(move |sql| {
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SeeService, &place)?;
            let mut set = read(sql, &hall)?;
            set.may_change = may(&person, Action::SetThresholds, &place).is_ok();
            Ok::<_, Problem>(set)
        })
        .await?;
    Ok(Json(set))
}

/// Changes the thresholds of a hall's queue: administrators, and managers of the hall. What is left out gets its default.
#[utoipa::path(put, path = "/halls/{hall}/queue/thresholds", tag = "queue", request_body = Thresholds,
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
    Given(thresholds): Given<Thresholds>,
) -> Result<StatusCode, Problem> {
    thresholds.check().map_err(Problem::unprocessable)?;
    let body = serde_json::to_string(&thresholds).map_err(|error| Problem::bad_request(error.to_string()))?;
    let now = centre.clock.now();
    centre
        .store
        .write("thresholds", move |tx| {
            let place = Place::of_hall(tx, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SetThresholds, &place)?;
            tx.execute(
                "INSERT INTO queue_thresholds (hall, body, set_by, set_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (hall) DO UPDATE SET body = $2, set_by = $3, set_at = $4",
                params![hall, body, &*person.name, now],
            )?;
            tx.changes.push(Change::Hall(hall.clone()));
            Ok::<_, Problem>(audit::audit(
                tx.sql,
                &person,
                "queue_thresholds.changed",
                hall.as_str(),
                &body,
                now,
            )?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_meant_and_says_what_may() {
        assert_eq!(Thresholds::default().check(), Ok(()));
        let odd = Thresholds { service_level_minutes: 11, ..Thresholds::default() };
        assert!(odd.check().unwrap_err().contains("10, 12, 15"));
        let none = Thresholds { waiting_per_window: 0, ..Thresholds::default() };
        assert!(none.check().unwrap_err().contains("waiting_per_window is 0"));
        let some: Thresholds = serde_json::from_str(r#"{"pause_minutes": 20}"#).unwrap();
        assert_eq!(some, Thresholds { pause_minutes: 20, ..Thresholds::default() });
        assert!(serde_json::from_str::<Thresholds>(r#"{"pause": 20}"#).is_err());
    }
}
