//! Ratings: every press on an evaluator, asked for or not, and every invitation nobody answered. Owns the table
//! `ratings`; invents no grade.

mod export;

use axum::{Json, extract::State};
use control_protocol::{AreaId, HallId, Happening, StoredEvent, UtcMillis, WindowId};
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
    OpenApiRouter::new().routes(routes!(list)).merge(export::routes())
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

/// Grades from here down are 差评; 3 (基本满意) is the worst that is none.
pub const BAD_GRADE: u8 = 2;

/// A rating of 不满意 or 非常不满意.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRating {
    /// When.
    pub at: UtcMillis,
    /// Its hall.
    pub hall: String,
    /// Its window.
    pub window: Option<String>,
    /// The case rated.
    pub case_id: Option<String>,
    /// 1 or 2.
    pub grade: u8,
}

/// The bad ratings within `scope` given at or after `from`, newest first, at most `most`.
///
/// # Errors
/// The store's.
pub fn bad_since(
    sql: &mut dyn Sql,
    scope: &Scope,
    from: UtcMillis,
    most: usize,
) -> Result<Vec<BadRating>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope).one("r.at >= ?", &from);
    let (statement, params) = filter.statement(
        "SELECT r.at, r.hall, r.win, r.case_id, r.grade FROM halls h \
         JOIN ratings r ON r.hall = h.id AND r.outcome = 'given' AND r.grade <= 2",
        "ORDER BY r.at DESC",
        most,
    );
    let rows = sql.query(&statement, &params)?;
    rows.iter()
        .map(|row| {
            Ok(BadRating {
                at: row.get(0)?,
                hall: row.get(1)?,
                window: row.get(2)?,
                case_id: row.get(3)?,
                grade: row.get(4)?,
            })
        })
        .collect()
}

/// What ratings are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RatingsAsked {
    /// In this area or below it.
    #[param(value_type = Option<String>, example = "450100")]
    area: Option<AreaId>,
    /// Of this hall.
    #[param(value_type = Option<String>, example = "450103-01")]
    hall: Option<HallId>,
    /// At this window.
    #[param(value_type = Option<String>, example = "450103-01-W07")]
    window: Option<WindowId>,
    /// `given timed_out unsolicited`.
    #[param(example = "given")]
    outcome: Option<String>,
    /// 1 to 5; `bad` means 1 and 2, given by whom they were asked of.
    #[param(example = "bad")]
    grade: Option<String>,
    /// At or after this time.
    #[param(value_type = Option<String>, example = "2026-11-22T00:00:00Z")]
    from: Option<UtcMillis>,
    /// Before this time.
    #[param(value_type = Option<String>, example = "2026-11-23T00:00:00Z")]
    to: Option<UtcMillis>,
    /// A page's `next`.
    after: Option<String>,
    /// The most rows.
    limit: Option<usize>,
}

impl RatingsAsked {
    /// At most `most` rows that `scope` may see, newest first, behind `after`; with each its place in the order.
    pub(crate) fn rows(
        &self,
        sql: &mut dyn Sql,
        scope: &Scope,
        after: Option<&(i64, String)>,
        most: usize,
    ) -> Result<Vec<(RatingRow, String)>, StoreError> {
        let area = self.area.as_ref().map(|area| format!("%/{area}/%"));
        let grade = self.grade.as_deref().and_then(|grade| grade.parse::<u8>().ok());
        let mut filter = Filter::new();
        filter
            .always("h.id = r.hall")
            .within("h.path", scope)
            .with("h.path LIKE ?", &area)
            .with("r.hall = ?", &self.hall)
            .with("r.win = ?", &self.window)
            .with("r.outcome = ?", &self.outcome)
            .with("r.grade = ?", &grade)
            .with("r.at >= ?", &self.from)
            .with("r.at < ?", &self.to);
        // Said in the words of the partial indexes, without which they are not used.
        if self.grade.as_deref() == Some("bad") {
            filter.always("r.outcome = 'given' AND r.grade <= 2");
        }
        if self.outcome.as_deref() == Some("unsolicited") {
            filter.always("r.outcome = 'unsolicited'");
        }
        if let Some((at, id)) = after {
            filter.behind("r.at", at, KEY, id, true);
        }
        // Ratings come first, as in the list of cases.
        let select = format!(
            "SELECT r.at, r.hall, r.win, r.device, r.case_id, r.ticket, r.outcome, r.grade, r.raw, r.why, {KEY} \
             FROM ratings r CROSS JOIN halls h"
        );
        let order = format!("ORDER BY r.at DESC, {KEY} DESC");
        let (statement, params) = filter.statement(&select, &order, most);
        sql.query(&statement, &params)?.iter().map(read).collect()
    }
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
            asked.rows(sql, &scope, cursor.as_ref(), most + 1)
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
