//! Ratings: every press on an evaluator, asked for or not, and every invitation nobody answered. Owns the table
//! `ratings`; invents no grade.

use axum::{Json, extract::State};
use control_protocol::{HallId, Happening, StoredEvent, UtcMillis, WindowId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Person, Scope, may_somewhere},
    params,
    site::{
        extract::Asked,
        list::{Page, limit, split_cursor},
        problem::Problem,
    },
    store::{Change, Filter, Row, Sql, StoreError},
};

/// Takes what concerns ratings from an event. Each event is one row, so it matters in no way when it comes.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, _: &mut Vec<Change>) -> Result<(), StoreError> {
    let event = &stored.event;
    let (outcome, ticket, grade, raw, why) = match &event.happening {
        Happening::RatingGiven { ticket, grade, raw } => {
            ("given", Some(ticket), Some(*grade), Some(*raw), None)
        }
        Happening::RatingTimedOut { ticket } => ("timed_out", Some(ticket), None, None, None),
        Happening::RatingUnsolicited { grade, raw, why } => {
            ("unsolicited", None, *grade, Some(*raw), Some(why))
        }
        _ => return Ok(()),
    };
    sql.execute(
        "INSERT INTO ratings (node, epoch, seq, at, hall, win, device, case_id, ticket, outcome, grade, raw, why) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
        params![
            event.node,
            event.epoch,
            event.seq,
            event.at,
            event.hall,
            event.window,
            event.device,
            event.case,
            ticket,
            outcome,
            grade,
            raw,
            why
        ],
    )?;
    Ok(())
}

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A press, or an invitation nobody answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RatingRow {
    /// When.
    #[schema(value_type = String)]
    pub at: UtcMillis,
    /// Its hall.
    pub hall: String,
    /// Its window.
    pub window: Option<String>,
    /// The evaluator's position.
    pub device: Option<String>,
    /// The case rated; none for a press nobody asked for.
    pub case_id: Option<String>,
    /// The case's ticket.
    pub ticket: Option<String>,
    /// `given timed_out unsolicited`.
    pub outcome: String,
    /// 1 to 5, 5 = 非常满意.
    pub grade: Option<u8>,
    /// The byte the evaluator sent.
    pub raw: Option<u8>,
    /// Why a press did not count: `not_invited second_press unmapped`.
    pub why: Option<String>,
}

/// What ratings are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RatingsAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// At this window.
    #[param(value_type = Option<String>)]
    window: Option<WindowId>,
    /// `given timed_out unsolicited`.
    outcome: Option<String>,
    /// At or after this time.
    #[param(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// Before this time.
    #[param(value_type = Option<String>)]
    to: Option<UtcMillis>,
    /// A page's `next`.
    after: Option<String>,
    /// The most rows.
    limit: Option<usize>,
}

/// Ratings, newest first.
#[utoipa::path(get, path = "/ratings", tag = "evaluations", params(RatingsAsked),
    responses((status = 200, body = Page<RatingRow>), (status = 403, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RatingsAsked>,
) -> Result<Json<Page<RatingRow>>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let most = limit(asked.limit);
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeService);
            let cursor = asked.after.as_deref().and_then(split_cursor);
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("r.hall = ?", &asked.hall)
                .with("r.win = ?", &asked.window)
                .with("r.outcome = ?", &asked.outcome)
                .with("r.at >= ?", &asked.from)
                .with("r.at < ?", &asked.to);
            if let Some((at, id)) = &cursor {
                filter.after("r.at", at, KEY, id);
            }
            let select = format!(
                "SELECT r.at, r.hall, r.win, r.device, r.case_id, r.ticket, r.outcome, r.grade, r.raw, r.why, {KEY} \
                 FROM ratings r JOIN halls h ON h.id = r.hall"
            );
            let order = format!("ORDER BY r.at DESC, {KEY} DESC");
            let (statement, params) = filter.statement(&select, &order, most + 1);
            sql.query(&statement, &params)?.iter().map(read).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let page = Page::cut(rows, most, |(row, key)| format!("{}:{key}", row.at.0));
    Ok(Json(Page { items: page.items.into_iter().map(|(row, _)| row).collect(), next: page.next }))
}

/// A rating's place among those of the same millisecond.
const KEY: &str = "(r.node || ' ' || r.epoch || ' ' || (100000000000000 + r.seq))";

fn read(row: &Row) -> Result<(RatingRow, String), StoreError> {
    let rating = RatingRow {
        at: row.get(0)?,
        hall: row.get(1)?,
        window: row.get(2)?,
        device: row.get(3)?,
        case_id: row.get(4)?,
        ticket: row.get(5)?,
        outcome: row.get(6)?,
        grade: row.get(7)?,
        raw: row.get(8)?,
        why: row.get(9)?,
    };
    Ok((rating, row.get(10)?))
}
