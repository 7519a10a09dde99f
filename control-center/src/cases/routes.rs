//! `/cases` and `/cases/{case_id}`.

use axum::{Json, extract::State};
use control_protocol::{CaseId, HallId, UtcMillis, WindowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    params,
    site::{
        extract::{Asked, Named},
        list::{Page, limit, split_cursor},
        problem::Problem,
    },
    store::{Filter, Row, StoreError},
};

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// A case.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CaseRow {
    /// Its ID.
    pub case_id: String,
    /// `waiting called serving rated closed`.
    pub state: String,
    /// When its ticket was printed.
    #[schema(value_type = String)]
    pub opened_at: UtcMillis,
    /// When it was closed.
    #[schema(value_type = Option<String>)]
    pub closed_at: Option<UtcMillis>,
    /// Its hall.
    pub hall: String,
    /// The window it was last called at, or is to go to.
    pub window: Option<String>,
    /// The ticket's number.
    pub ticket: String,
    /// The staff number of who was signed in at the window when it was called.
    pub clerk: Option<String>,
    /// Their name, where the staff list has it.
    pub clerk_name: Option<String>,
    /// 1 to 5, 5 = 非常满意; none if nobody rated.
    pub grade: Option<u8>,
    /// The official 办件编号, once bound.
    pub official_no: Option<String>,
    /// The business the ticket was taken for.
    pub business: Option<String>,
    /// When it was first called.
    #[schema(value_type = Option<String>)]
    pub called_at: Option<UtcMillis>,
    /// When service began.
    #[schema(value_type = Option<String>)]
    pub started_at: Option<UtcMillis>,
    /// When service last ended.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<UtcMillis>,
    /// What closed it.
    pub ended_by: Option<String>,
    /// False if it was closed by the day's end, so that its end says nothing about the service.
    pub accurate: bool,
}

/// A case with its events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CaseFile {
    /// The case.
    #[serde(flatten)]
    pub case: CaseRow,
    /// Its events as they were journalled, in the order they happened.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Box<RawValue>>,
}

const SELECT: &str = "SELECT c.case_id, c.state, c.opened_at, c.closed_at, c.hall, c.win, c.ticket, c.clerk, p.name, \
     c.grade, c.official_no, c.business, c.called_at, c.started_at, c.ended_at, c.ended_by, c.accurate \
     FROM cases c JOIN halls h ON h.id = c.hall LEFT JOIN staff p ON p.hall = c.hall AND p.number = c.clerk";

fn read(row: &Row) -> Result<CaseRow, StoreError> {
    Ok(CaseRow {
        case_id: row.get(0)?,
        state: row.get(1)?,
        opened_at: row.get(2)?,
        closed_at: row.get(3)?,
        hall: row.get(4)?,
        window: row.get(5)?,
        ticket: row.get(6)?,
        clerk: row.get(7)?,
        clerk_name: row.get(8)?,
        grade: row.get(9)?,
        official_no: row.get(10)?,
        business: row.get(11)?,
        called_at: row.get(12)?,
        started_at: row.get(13)?,
        ended_at: row.get(14)?,
        ended_by: row.get(15)?,
        accurate: row.get(16)?,
    })
}

/// What cases are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CasesAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// At this window.
    #[param(value_type = Option<String>)]
    window: Option<WindowId>,
    /// In this state.
    state: Option<String>,
    /// With this ticket.
    ticket: Option<String>,
    /// Opened at or after this time.
    #[param(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// Opened before this time.
    #[param(value_type = Option<String>)]
    to: Option<UtcMillis>,
    /// A page's `next`.
    after: Option<String>,
    /// The most rows.
    limit: Option<usize>,
}

/// Cases, newest first.
#[utoipa::path(get, path = "/cases", tag = "cases", params(CasesAsked),
    responses((status = 200, body = Page<CaseRow>), (status = 403, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CasesAsked>,
) -> Result<Json<Page<CaseRow>>, Problem> {
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
                .with("c.hall = ?", &asked.hall)
                .with("c.win = ?", &asked.window)
                .with("c.state = ?", &asked.state)
                .with("c.ticket = ?", &asked.ticket)
                .with("c.opened_at >= ?", &asked.from)
                .with("c.opened_at < ?", &asked.to);
            if let Some((at, id)) = &cursor {
                filter.after("c.opened_at", at, "c.case_id", id);
            }
            let (sql_text, params) =
                filter.statement(SELECT, "ORDER BY c.opened_at DESC, c.case_id DESC", most + 1);
            sql.query(&sql_text, &params)?.iter().map(read).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    Ok(Json(Page::cut(rows, most, |row| format!("{}:{}", row.opened_at.0, row.case_id))))
}

/// One case with everything that happened in it.
#[utoipa::path(get, path = "/cases/{case_id}", tag = "cases",
    params(("case_id" = String, Path, description = "case ID")),
    responses((status = 200, body = CaseFile), (status = 404, body = Problem)))]
async fn one(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
) -> Result<Json<CaseFile>, Problem> {
    let file = centre
        .store
        .read(move |sql| {
            let row = sql.query_one(&format!("{SELECT} WHERE c.case_id = $1"), params![case])?;
            let case_row = read(&row.ok_or(Denied::Outside)?)?;
            let hall: HallId = case_row.hall.parse().map_err(|_| Denied::Outside)?;
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SeeService, &place)?;
            let events = sql.query(
                "SELECT bytes FROM events WHERE case_id = $1 AND projected = 1 ORDER BY at, n",
                params![case],
            )?;
            let events = events.iter().map(|row| raw(row, 0)).collect::<Result<Vec<_>, StoreError>>()?;
            Ok::<_, Problem>(CaseFile { case: case_row, events })
        })
        .await?;
    Ok(Json(file))
}

/// The stored bytes of an event as JSON, unchanged.
pub(crate) fn raw(row: &Row, column: usize) -> Result<Box<RawValue>, StoreError> {
    let bytes: Vec<u8> = row.get(column)?;
    let text = String::from_utf8(bytes).map_err(|error| StoreError::Read(error.to_string()))?;
    RawValue::from_string(text).map_err(|error| StoreError::Read(error.to_string()))
}
