//! Supervision: an area at one look with what is wrong in it now (overview), how much of what happens at windows belongs
//! to a case (coverage), what of it calls for somebody (alarms), and the record of events itself as a list. Owns the table
//! `coverage`; reads `events`, which the intake writes.

mod alarms;
mod events;
mod overview;
mod period;
mod ratings;
mod report;
mod report_sheet;
#[cfg(test)]
mod report_tests;
mod wrong;

pub use alarms::{Alarm, alarms_after, newest};

use axum::{Json, extract::State};
use control_protocol::StoredEvent;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Person, Scope, may_somewhere},
    params,
    site::problem::Problem,
    store::{Change, Filter, Row, Sql, StoreError},
};

/// Counts the event, if it is one of a window's dealings with people.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, changes: &mut Vec<Change>) -> Result<(), StoreError> {
    let event = &stored.event;
    if alarms::is_alarm(event) {
        changes.push(Change::Alarm(event.hall.clone()));
    }
    if event.window.is_none() || !event.happening.is_service_event() {
        return Ok(());
    }
    sql.execute(
        "INSERT INTO coverage (hall, window_events, tagged) VALUES ($1, 1, $2) \
         ON CONFLICT (hall) DO UPDATE SET window_events = coverage.window_events + 1, \
         tagged = coverage.tagged + excluded.tagged",
        params![event.hall, event.case.is_some()],
    )?;
    Ok(())
}

/// The coverage of the halls within `scope`, by id.
fn shares_of(sql: &mut dyn Sql, scope: &Scope) -> Result<Vec<HallShare>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT h.id, COALESCE(c.window_events, 0), COALESCE(c.tagged, 0) \
         FROM halls h LEFT JOIN coverage c ON c.hall = h.id",
        "ORDER BY h.path",
        10_000,
    );
    let read = |row: &Row| Ok(HallShare { hall: row.get(0)?, share: Share::of(row.get(1)?, row.get(2)?) });
    sql.query(&statement, &params)?.iter().map(read).collect()
}

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(coverage))
        .merge(events::routes())
        .merge(overview::routes())
        .merge(report::routes())
        .merge(report_sheet::routes())
}

/// How many window events carry a case ID.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Share {
    /// Window events.
    pub window_events: u64,
    /// Those with a case ID.
    pub tagged: u64,
    /// The share, 0 to 1; none where there are no events yet.
    pub coverage: Option<f64>,
}

impl Share {
    fn of(window_events: u64, tagged: u64) -> Self {
        let coverage = (window_events > 0).then(|| tagged as f64 / window_events as f64);
        Self { window_events, tagged, coverage }
    }
}

/// A hall's share.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HallShare {
    /// The hall.
    pub hall: String,
    /// Its share.
    #[serde(flatten)]
    pub share: Share,
}

/// Coverage of every hall of one's area.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Coverage {
    /// By hall.
    pub items: Vec<HallShare>,
    /// All of them together.
    pub total: Share,
    /// Always none: the list is whole.
    pub next: Option<String>,
}

/// The share of window events that carry a case ID.
#[utoipa::path(get, path = "/coverage", tag = "supervision",
    responses((status = 200, body = Coverage), (status = 403, body = Problem)))]
async fn coverage(State(centre): State<Centre>, person: Person) -> Result<Json<Coverage>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let items = centre.store.read(move |sql| shares_of(sql, &Scope::of(&person, Action::SeeService))).await?;
    let sum = |part: fn(&Share) -> u64| items.iter().map(|item| part(&item.share)).sum();
    let total = Share::of(sum(|s| s.window_events), sum(|s| s.tagged));
    Ok(Json(Coverage { items, total, next: None }))
}
