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
        list::{Columns, Order, Page, View},
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
}

/// The longest range of a list sorted by anything but its time, which no index serves.
const SORTED_MS: i64 = 31 * 86_400_000;
const SORTS: Columns = Columns {
    sorts: &[
        ("at", "r.at"),
        ("grade", "COALESCE(r.grade, 0)"),
        ("window", "COALESCE(r.win, '')"),
        ("ticket", "COALESCE(r.ticket, '')"),
        ("outcome", "r.outcome"),
    ],
    // A rating's place among those of the same value.
    id: "(r.node || ' ' || r.epoch || ' ' || (100000000000000 + r.seq))",
    usual: "-at",
};

impl RatingsAsked {
    /// The order asked for, or why it cannot be had.
    pub(crate) fn order(&self, view: &View) -> Result<Order, Problem> {
        let order = SORTS.order(view)?;
        let short = self.from.zip(self.to).is_some_and(|(from, to)| to.0 - from.0 <= SORTED_MS);
        if order.column != "at" && (!short || (self.hall.is_none() && self.window.is_none())) {
            return Err(Problem::unprocessable(
                "sort: by anything but at only the ratings of one hall within 31 days: give hall, from and to",
            ));
        }
        Ok(order)
    }

    /// The page of those that `scope` may see.
    pub(crate) fn page(
        &self,
        sql: &mut dyn Sql,
        scope: &Scope,
        order: &Order,
    ) -> Result<Page<RatingRow>, StoreError> {
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
        // Ratings come first, as in the list of cases.
        let columns = "r.at, r.hall, r.win, r.device, r.case_id, r.ticket, r.outcome, r.grade, r.raw, r.why";
        order.page(sql, filter, columns, "ratings r CROSS JOIN halls h", read)
    }
}

/// Ratings, newest first unless asked otherwise. They sort by `at`, and those of one hall within 31 days
/// by `grade window ticket outcome`.
#[utoipa::path(get, path = "/ratings", tag = "evaluations", params(RatingsAsked, View),
    responses((status = 200, body = Page<RatingRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RatingsAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<RatingRow>>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = asked.order(&view)?;
    let read = move |sql: &mut dyn Sql| asked.page(sql, &Scope::of(&person, Action::SeeService), &order);
    Ok(Json(centre.store.read(read).await?))
}

fn read(row: &Row) -> Result<RatingRow, StoreError> {
    Ok(RatingRow {
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
    })
}
