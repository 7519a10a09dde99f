//! `/events`: the record as it came in, each event exactly as it was journalled.

use axum::{Json, extract::State};
use control_protocol::{HallId, WindowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Person, may_somewhere, personal::Shown},
    cases::raw,
    site::{extract::Asked, list::limit, problem::Problem},
    store::{Filter, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What events are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Of this window.
    #[param(value_type = Option<String>)]
    window: Option<WindowId>,
    /// Of this kind; a kind that ends with a dot means all that begin so, such as `rating.`.
    kind: Option<String>,
    /// Why citizens' mobile and identity numbers are to be shown in full; without it they are masked.
    unmask: Option<String>,
    /// Behind this cursor: a page's `next` or `last`.
    after: Option<i64>,
    /// The most events.
    limit: Option<usize>,
}

/// Events in the order of intake.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// Each exactly as it was journalled, but for citizens' mobile and identity numbers, which are masked.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Box<RawValue>>,
    /// Where the next page begins; none when this is the last for now.
    pub next: Option<String>,
    /// The cursor of the last event given, or what was asked with: to go on from later.
    pub last: Option<String>,
}

/// Events in the order of intake. To follow the record, ask again with `after` set to the last answer's `last`.
#[utoipa::path(get, path = "/events", tag = "supervision", params(EventsAsked),
    responses((status = 200, body = EventPage), (status = 403, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<EventsAsked>,
) -> Result<Json<EventPage>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let shown = Shown::list(&centre, &person, asked.unmask.clone(), "events").await?;
    let most = limit(asked.limit);
    let after = asked.after;
    let mut rows = centre
        .store
        .read(move |sql| {
            let scope = shown.scope(&person, Action::SeeService);
            let (prefix, exact) = match asked.kind {
                Some(kind) if kind.ends_with('.') => (Some((kind.clone(), format!("{kind}\u{7f}"))), None),
                kind => (None, kind),
            };
            let (low, high) = prefix.unzip();
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("e.hall = ?", &asked.hall)
                .with("e.win = ?", &asked.window)
                .with("e.kind = ?", &exact)
                .with("e.kind >= ?", &low)
                .with("e.kind < ?", &high)
                .with("e.n > ?", &asked.after);
            let (statement, params) = filter.statement(
                "SELECT e.n, e.bytes FROM events e JOIN halls h ON h.id = e.hall",
                "ORDER BY e.n",
                most + 1,
            );
            let rows = sql.query(&statement, &params)?;
            rows.iter()
                .map(|row| Ok((row.get::<i64>(0)?, shown.event(raw(row, 1)?))))
                .collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let more = rows.len() > most;
    rows.truncate(most);
    let last = rows.last().map(|(n, _)| *n).or(after).map(|n| n.to_string());
    let next = if more { last.clone() } else { None };
    Ok(Json(EventPage { items: rows.into_iter().map(|(_, event)| event).collect(), next, last }))
}
