//! `/cases` and `/cases/{case_id}`.

use axum::{Json, extract::State};
use control_protocol::{AreaId, CaseId, Event, HallId, UtcMillis, WindowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere, personal::Shown},
    params,
    site::{
        extract::{Asked, Named},
        list::{Columns, Order, Page, View},
        problem::Problem,
    },
    store::{Filter, Row, Sql, StoreError, Tx},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
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
    /// Its events as they were journalled, in the order they happened; citizens' mobile and identity numbers are masked.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Box<RawValue>>,
}

const COLUMNS: &str = "c.case_id, c.state, c.opened_at, c.closed_at, c.hall, c.win, c.ticket, c.clerk, p.name, c.grade, \
     c.official_no, c.business, c.called_at, c.started_at, c.ended_at, c.ended_by, c.accurate";
/// Cases come first whatever an engine believes of their number: from the halls outward a list would sort every case there
/// is.
const TABLES: &str = "cases c CROSS JOIN halls h \
     LEFT JOIN staff p ON p.hall = c.hall AND p.number = c.clerk";

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
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CasesAsked {
    /// In this area or below it.
    #[param(value_type = Option<String>, example = "450100")]
    area: Option<AreaId>,
    /// Of this hall.
    #[param(value_type = Option<String>, example = "450103-01")]
    hall: Option<HallId>,
    /// At this window.
    #[param(value_type = Option<String>, example = "450103-01-W07")]
    window: Option<WindowId>,
    /// This case.
    case_id: Option<String>,
    /// With this official number.
    #[param(example = "4501032026112200042")]
    official_no: Option<String>,
    /// In this state.
    #[param(example = "closed")]
    state: Option<String>,
    /// With this ticket.
    #[param(example = "A012")]
    ticket: Option<String>,
    /// Called by the clerk with this number.
    #[param(example = "1007")]
    clerk: Option<String>,
    /// Rated so, 1 to 5; `bad` means 1 and 2, `none` that nobody rated.
    #[param(example = "bad")]
    grade: Option<String>,
    /// Served for at least so many seconds (service started to ended).
    #[param(example = 1800)]
    served_from: Option<u32>,
    /// Served for less than so many seconds.
    #[param(example = 60)]
    served_to: Option<u32>,
    /// Opened at or after this time.
    #[param(value_type = Option<String>, example = "2026-11-22T00:00:00Z")]
    from: Option<UtcMillis>,
    /// Opened before this time.
    #[param(value_type = Option<String>, example = "2026-11-23T00:00:00Z")]
    to: Option<UtcMillis>,
}

/// The longest range of a list sorted by anything but its time, which no index serves.
const SORTED_MS: i64 = 31 * 86_400_000;
const SORTS: Columns = Columns {
    sorts: &[
        ("opened", "c.opened_at"),
        ("served", "COALESCE(c.ended_at - c.started_at, -1)"),
        ("waited", "COALESCE(c.called_at - c.opened_at, -1)"),
        ("ticket", "c.ticket"),
        ("state", "c.state"),
        ("window", "COALESCE(c.win, '')"),
        ("clerk", "COALESCE(c.clerk, '')"),
        ("grade", "COALESCE(c.grade, 0)"),
    ],
    id: "c.case_id",
    usual: "-opened",
};

impl CasesAsked {
    /// The order asked for, or why it cannot be had.
    pub(super) fn order(&self, view: &View) -> Result<Order, Problem> {
        let order = SORTS.order(view)?;
        let short = self.from.zip(self.to).is_some_and(|(from, to)| to.0 - from.0 <= SORTED_MS);
        if order.column != "opened" && (!short || (self.hall.is_none() && self.window.is_none())) {
            return Err(Problem::unprocessable(
                "sort: by anything but opened only the cases of one hall within 31 days: give hall, from and to",
            ));
        }
        Ok(order)
    }

    /// The page of those that `scope` may see.
    pub(super) fn page(
        &self,
        sql: &mut dyn Sql,
        scope: &Scope,
        order: &Order,
    ) -> Result<Page<CaseRow>, StoreError> {
        let area = self.area.as_ref().map(|area| format!("%/{area}/%"));
        let grade = self.grade.as_deref().and_then(|grade| grade.parse::<u8>().ok());
        let served_from = self.served_from.map(|seconds| i64::from(seconds) * 1000);
        let served_to = self.served_to.map(|seconds| i64::from(seconds) * 1000);
        let mut filter = Filter::new();
        filter
            .always("h.id = c.hall")
            .within("h.path", scope)
            .with("h.path LIKE ?", &area)
            .with("c.hall = ?", &self.hall)
            .with("c.win = ?", &self.window)
            .with("c.case_id = ?", &self.case_id)
            .with("c.official_no = ?", &self.official_no)
            .with("c.state = ?", &self.state)
            .with("c.ticket = ?", &self.ticket)
            .with("c.clerk = ?", &self.clerk)
            .with("c.grade = ?", &grade)
            .with("c.ended_at - c.started_at >= ?", &served_from)
            .with("c.ended_at - c.started_at < ?", &served_to)
            .with("c.opened_at >= ?", &self.from)
            .with("c.opened_at < ?", &self.to);
        // Said in the words of the partial indexes (`cases_found`), without which they are not used.
        if self.grade.as_deref() == Some("bad") || grade.is_some_and(|grade| grade <= 2) {
            filter.always("c.grade <= 2");
        }
        if self.grade.as_deref() == Some("none") {
            filter.always("c.grade IS NULL");
        }
        if served_from.is_some_and(|from| from >= 1_800_000) {
            filter.always("c.ended_at - c.started_at >= 1800000");
        }
        if served_to.is_some_and(|to| to <= 60_000) {
            filter.always("c.ended_at - c.started_at < 60000");
        }
        order.page(sql, filter, COLUMNS, TABLES, read)
    }
}

/// Cases, newest first unless asked otherwise, by whatever is known of them. They sort by `opened`, and those of one hall
/// within 31 days by `served waited ticket state window clerk grade`.
#[utoipa::path(get, path = "/cases", tag = "cases", params(CasesAsked, View),
    responses((status = 200, body = Page<CaseRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CasesAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<CaseRow>>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = asked.order(&view)?;
    let read = move |sql: &mut dyn Sql| asked.page(sql, &Scope::of(&person, Action::SeeService), &order);
    Ok(Json(centre.store.read(read).await?))
}

/// How a case is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CaseAsked {
    /// Why citizens' mobile and identity numbers are to be shown in full; without it they are masked.
    unmask: Option<String>,
}

/// One case with everything that happened in it.
#[utoipa::path(get, path = "/cases/{case_id}", tag = "cases",
    params(("case_id" = String, Path, description = "case ID"), CaseAsked),
    responses((status = 200, body = CaseFile), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn one(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
    Asked(asked): Asked<CaseAsked>,
) -> Result<Json<CaseFile>, Problem> {
    let mut shown = Shown::Masked;
    if let Some(reason) = asked.unmask {
        let (person, now) = (person.clone(), centre.clock.now());
        let work = move |tx: &mut Tx<'_>| {
            let found = row(tx, case)?.ok_or(Denied::Outside)?;
            let place = place(tx, &found)?;
            may(&person, Action::SeeService, &place)?;
            Shown::one(tx, (&person, &place), &reason, &case.to_string(), now)
        };
        shown = centre.store.write("personal data shown", work).await?;
    }
    let file = centre
        .store
        .read(move |sql| {
            let case_row = row(sql, case)?.ok_or(Denied::Outside)?;
            let place = place(sql, &case_row)?;
            may(&person, Action::SeeService, &place)?;
            let events = sql.query(
                "SELECT bytes FROM events WHERE case_id = $1 AND projected = 1 ORDER BY at, n",
                params![case],
            )?;
            let events = events
                .iter()
                .map(|row| Ok(shown.event(raw(row, 0)?)))
                .collect::<Result<Vec<_>, StoreError>>()?;
            Ok::<_, Problem>(CaseFile { case: case_row, events })
        })
        .await?;
    Ok(Json(file))
}

/// Where a case was.
fn place(sql: &mut dyn Sql, case: &CaseRow) -> Result<Place, Problem> {
    let hall: HallId = case.hall.parse().map_err(|_| Denied::Outside)?;
    Ok(Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?)
}

/// The case's row, if there is such a case. The caller checks who may see it.
pub(crate) fn row(sql: &mut dyn Sql, case: CaseId) -> Result<Option<CaseRow>, StoreError> {
    let statement = format!("SELECT {COLUMNS} FROM {TABLES} WHERE h.id = c.hall AND c.case_id = $1");
    sql.query_one(&statement, params![case])?.as_ref().map(read).transpose()
}

/// A case's events in the order they happened.
pub(crate) fn events(sql: &mut dyn Sql, case: CaseId) -> Result<Vec<Event>, StoreError> {
    let statement = "SELECT bytes FROM events WHERE case_id = $1 AND projected = 1 ORDER BY at, n";
    sql.query(statement, params![case])?.iter().map(|row| event(row, 0)).collect()
}

/// The case that was at a window at a time; a case of the same day, as all are.
pub(crate) fn at_window(
    sql: &mut dyn Sql,
    window: &WindowId,
    at: UtcMillis,
) -> Result<Option<CaseId>, StoreError> {
    let row = sql.query_one(
        "SELECT case_id FROM cases WHERE win = $1 AND opened_at > $3 AND called_at <= $2 \
         AND (closed_at IS NULL OR closed_at >= $2) ORDER BY opened_at DESC, case_id DESC LIMIT 1",
        params![window, at, at.plus(-24 * 3_600_000)],
    )?;
    row.map(|row| row.get(0)).transpose()
}

/// A stored event, read.
pub(crate) fn event(row: &Row, column: usize) -> Result<Event, StoreError> {
    let bytes: Vec<u8> = row.get(column)?;
    serde_json::from_slice(&bytes).map_err(|error| StoreError::Read(error.to_string()))
}

/// The stored bytes of an event as JSON, unchanged.
pub(crate) fn raw(row: &Row, column: usize) -> Result<Box<RawValue>, StoreError> {
    let bytes: Vec<u8> = row.get(column)?;
    let text = String::from_utf8(bytes).map_err(|error| StoreError::Read(error.to_string()))?;
    RawValue::from_string(text).map_err(|error| StoreError::Read(error.to_string()))
}
