//! Official numbers (办件编号 of the business system): bound to cases one by one or from a table. A case has one number in
//! force; one number may belong to several cases, since what takes several visits is one matter to the business system.
//! The same number again is nothing; another number for the same case is a conflict and changes nothing unless the asker
//! says that it is to be replaced. A number is an opaque text and never read.

use std::collections::HashMap;

use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
};
use control_protocol::{CaseId, HallId, UtcMillis};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::table::{self, Line, Whose};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, audit, may, may_somewhere},
    params,
    site::{
        extract::{Asked, Given, Named},
        problem::Problem,
    },
    store::{Change, Sql, StoreError, Tx},
};

/// The longest official number, in characters; GB/T 39046 has 50.
const LONGEST_NUMBER: usize = 64;
/// The longest name of a business system.
const LONGEST_SOURCE: usize = 40;
/// The largest table, bytes: about a hundred thousand rows.
const MAX_TABLE: usize = 8 * 1024 * 1024;
/// The most rows of one table.
const MAX_ROWS: usize = 100_000;
/// Rows bound in one transaction, so that the intake never waits long behind a table.
const CHUNK: usize = 500;
/// The most rows that a report names one by one.
const MOST_NAMED: usize = 200;

/// This room's routes about official numbers.
pub(super) fn routes() -> OpenApiRouter<Centre> {
    let bulk = OpenApiRouter::new().routes(routes!(bind_many)).layer(DefaultBodyLimit::max(MAX_TABLE));
    OpenApiRouter::new().routes(routes!(bind_one)).merge(bulk)
}

/// An official number for a case.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfficialIs {
    /// The number, 1 to 64 characters, as the business system writes it.
    #[schema(example = "4501032026112200042")]
    official_no: String,
    /// The business system it comes from, 1 to 40 characters.
    #[schema(example = "gx-approval")]
    source: String,
    /// Whether a different number that the case has is to be replaced.
    #[serde(default)]
    replace: bool,
}

/// A case and its official number.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Bound {
    /// The case.
    #[schema(value_type = String, example = "450103-01-20261122-00042-C")]
    case_id: CaseId,
    /// The number in force.
    #[schema(example = "4501032026112200042")]
    official_no: String,
    /// `bound`, `replaced`, or `unchanged` where it was bound already.
    #[schema(value_type = String, example = "bound")]
    outcome: Outcome,
}

/// What came of binding a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Bound,
    Replaced,
    Unchanged,
}

/// A text that may be a number or a source; else what is wrong with it.
fn check(what: &str, text: &str, longest: usize) -> Result<(), String> {
    let length = text.chars().count();
    if (1..=longest).contains(&length) && text.trim() == text && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!("{what}: 1 to {longest} characters, no blank at its ends, no line breaks"))
    }
}

/// What binding `number` to a case that has `former` comes to; `Err` has the different number in its way.
fn judge(former: Option<String>, number: &OfficialIs) -> Result<Outcome, String> {
    match former {
        Some(former) if former == number.official_no => Ok(Outcome::Unchanged),
        Some(former) if !number.replace => Err(former),
        Some(_) => Ok(Outcome::Replaced),
        None => Ok(Outcome::Bound),
    }
}

/// The number that a case has.
fn number_of(sql: &mut dyn Sql, case: CaseId) -> Result<Option<String>, StoreError> {
    let row = sql.query_one("SELECT official_no FROM cases WHERE case_id = $1", params![case])?;
    row.map_or(Ok(None), |row| row.get(0))
}

/// Binds; `Err` has the different number that the case has.
fn bind(
    tx: &mut Tx<'_>,
    case: CaseId,
    number: &OfficialIs,
    by: &str,
    now: UtcMillis,
) -> Result<Result<Outcome, String>, StoreError> {
    let outcome = judge(number_of(tx, case)?, number);
    if matches!(outcome, Err(_) | Ok(Outcome::Unchanged)) {
        return Ok(outcome);
    }
    tx.execute(
        "INSERT INTO official_numbers (case_id, official_no, source, bound_by, bound_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (case_id, official_no) DO UPDATE SET source = $3, bound_by = $4, bound_at = $5",
        params![case, number.official_no, number.source, by, now],
    )?;
    tx.execute("UPDATE cases SET official_no = $2 WHERE case_id = $1", params![case, number.official_no])?;
    tx.changes.push(Change::Case(case));
    Ok(outcome)
}

/// The hall of a case that there is.
fn hall_of(sql: &mut dyn Sql, case: CaseId) -> Result<Option<HallId>, StoreError> {
    sql.query_one("SELECT hall FROM cases WHERE case_id = $1", params![case])?
        .map(|row| row.get(0))
        .transpose()
}

/// Binds the business system's number to a case. The same number again answers the same; another number than the case has
/// is refused with 409 unless `replace` is true.
#[utoipa::path(post, path = "/cases/{case_id}/official-number", tag = "cases", request_body = OfficialIs,
    params(("case_id" = String, Path, description = "case ID", example = "450103-01-20261122-00042-C")),
    responses((status = 200, body = Bound), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn bind_one(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
    Given(number): Given<OfficialIs>,
) -> Result<Json<Bound>, Problem> {
    check("official_no", &number.official_no, LONGEST_NUMBER).map_err(Problem::unprocessable)?;
    check("source", &number.source, LONGEST_SOURCE).map_err(Problem::unprocessable)?;
    let now = centre.clock.now();
    let bound = centre
        .store
        .write("official number", move |tx| {
            let hall = hall_of(tx, case)?.ok_or(Denied::Outside)?;
            let place = Place::of_hall(tx, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::BindNumbers, &place)?;
            let outcome = bind(tx, case, &number, &person.name, now)?.map_err(|former| {
                Problem::conflict(format!(
                    "the case has the official number {former}: send replace to put {} in its place",
                    number.official_no
                ))
                .named("urn:hallwatch:problem:number-taken")
            })?;
            if outcome != Outcome::Unchanged {
                let detail = format!("{} ({})", number.official_no, number.source);
                audit::audit(tx.sql, &person, "case.official_number", &case.to_string(), &detail, now)?;
            }
            Ok::<_, Problem>(Bound { case_id: case, official_no: number.official_no, outcome })
        })
        .await?;
    Ok(Json(bound))
}

/// Numbers for many cases, as JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NumbersAre {
    /// The business system they come from.
    #[schema(example = "gx-approval")]
    source: String,
    /// Whether different numbers that cases have are to be replaced.
    #[serde(default)]
    replace: bool,
    /// Whether nothing is to be changed, only told what would be.
    #[serde(default)]
    dry_run: bool,
    /// One for each case, by `case_id`, or by `hall`, `date` and `ticket`.
    items: Vec<ItemIs>,
}

/// One number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemIs {
    /// The case.
    #[schema(example = "450103-01-20261122-00042-C")]
    case_id: Option<String>,
    /// Or the hall,
    #[schema(example = "450103-01")]
    hall: Option<String>,
    /// the local day of the ticket,
    #[schema(example = "2026-11-22")]
    date: Option<String>,
    /// and the number on it.
    #[schema(example = "A012")]
    ticket: Option<String>,
    /// The official number.
    #[schema(example = "4501032026112200042")]
    official_no: String,
}

/// A row of a table that was not bound.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct NotBound {
    /// The row's number in the table, the first below the heading is 1.
    #[schema(example = 17)]
    row: usize,
    /// `unreadable`, `unknown` (no such case in one's area), `several` (the ticket was issued more than once that day) or
    /// `conflict` (the case has another number).
    #[schema(example = "conflict")]
    why: &'static str,
    /// Which case, ticket or number it is about.
    #[schema(example = "450103-01-20261122-00042-C has 4501032026112200041")]
    about: String,
}

/// What came of a table of numbers.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct NumbersReport {
    /// Rows of the table.
    #[schema(example = 3120)]
    rows: usize,
    /// Cases that have a number now and had none.
    #[schema(example = 3100)]
    bound: usize,
    /// Cases whose number was replaced.
    replaced: usize,
    /// Cases that had this number already.
    #[schema(example = 15)]
    unchanged: usize,
    /// Rows that changed nothing because the case has another number.
    #[schema(example = 2)]
    conflicts: usize,
    /// Rows of which there is no case in one's area, or more than one.
    #[schema(example = 3)]
    unknown: usize,
    /// Rows that cannot be read.
    unreadable: usize,
    /// Whether this is only what would be.
    dry_run: bool,
    /// The first two hundred rows that were not bound, and why.
    not_bound: Vec<NotBound>,
}

impl NumbersReport {
    fn take(&mut self, row: usize, case: CaseId, outcome: Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::Bound) => self.bound += 1,
            Ok(Outcome::Replaced) => self.replaced += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            Err(former) => self.refuse(row, "conflict", format!("{case} has {former}")),
        }
    }

    fn refuse(&mut self, row: usize, why: &'static str, about: String) {
        match why {
            "unreadable" => self.unreadable += 1,
            "conflict" => self.conflicts += 1,
            _ => self.unknown += 1,
        }
        if self.not_bound.len() < MOST_NAMED {
            self.not_bound.push(NotBound { row, why, about });
        }
    }
}

/// What is asked of a table sent as CSV.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct TableAsked {
    /// The business system, where the table is sent as CSV.
    #[serde(default)]
    source: String,
    /// Whether different numbers that cases have are to be replaced.
    #[serde(default)]
    replace: bool,
    /// Whether nothing is to be changed, only told what would be.
    #[serde(default)]
    dry_run: bool,
}

/// Binds many numbers at once and reports what matched: JSON, or CSV (`text/csv`, UTF-8 or GB 18030) with the columns
/// `case_id,official_no` or `hall,date,ticket,official_no`; a Chinese heading is understood too. At most 100,000 rows in
/// 8 MiB. A row that cannot be bound never keeps the others from it.
#[utoipa::path(post, path = "/official-numbers", tag = "cases", params(TableAsked), request_body(
        content((NumbersAre = "application/json"), (String = "text/csv", example = "case_id,official_no\n450103-01-20261122-00042-C,4501032026112200042\n"))),
    responses((status = 200, body = NumbersReport), (status = 403, body = Problem), (status = 413, body = Problem),
        (status = 422, body = Problem)))]
async fn bind_many(
    State(centre): State<Centre>,
    person: Person,
    Asked(mut asked): Asked<TableAsked>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<NumbersReport>, Problem> {
    may_somewhere(&person, Action::BindNumbers)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let lines = if kind.starts_with("text/csv") {
        table::read(&body).map_err(Problem::unprocessable)?
    } else if kind.starts_with("application/json") {
        let given: NumbersAre = serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_request(format!("the body is not as expected: {error}")))?;
        asked = TableAsked { source: given.source, replace: given.replace, dry_run: given.dry_run };
        let line = |item: ItemIs| {
            let field = |text: Option<String>| text.unwrap_or_default();
            table::line(
                &field(item.case_id),
                &field(item.hall),
                &field(item.date),
                &field(item.ticket),
                &item.official_no,
            )
        };
        given.items.into_iter().map(line).collect()
    } else {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json or text/csv"));
    };
    check("source", &asked.source, LONGEST_SOURCE).map_err(Problem::unprocessable)?;
    if lines.len() > MAX_ROWS {
        return Err(Problem::unprocessable(format!("at most {MAX_ROWS} rows at once: cut the table in two")));
    }
    let now = centre.clock.now();
    let TableAsked { source, replace, dry_run } = asked;
    let of = source.clone();
    let number = move |line: &Line| OfficialIs {
        official_no: line.official_no.clone(),
        source: source.clone(),
        replace,
    };
    let empty = NumbersReport { rows: lines.len(), dry_run, ..NumbersReport::default() };
    if dry_run {
        let foresee = move |sql: &mut dyn Sql| {
            let (mut report, mut planned) = (empty, HashMap::new());
            for (at, line) in lines.iter().enumerate() {
                let Some((case, line)) = found(sql, &person, line, at + 1, &mut report)? else { continue };
                let former = match planned.get(&case) {
                    Some(number) => Some(String::clone(number)),
                    None => number_of(sql, case)?,
                };
                let outcome = judge(former, &number(line));
                if outcome.is_ok() {
                    planned.insert(case, line.official_no.clone());
                }
                report.take(at + 1, case, outcome);
            }
            Ok::<_, StoreError>(report)
        };
        return Ok(Json(centre.store.read(foresee).await?));
    }
    let mut report = empty;
    let mut lines = lines.into_iter().enumerate();
    loop {
        let chunk: Vec<_> = lines.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            break;
        }
        let (person, number, mut so_far) = (person.clone(), number.clone(), report);
        let bind_chunk = move |tx: &mut Tx<'_>| {
            for (at, line) in &chunk {
                let Some((case, line)) = found(tx, &person, line, at + 1, &mut so_far)? else { continue };
                let outcome = bind(tx, case, &number(line), &person.name, now)?;
                so_far.take(at + 1, case, outcome);
            }
            Ok::<_, StoreError>(so_far)
        };
        report = centre.store.write("official numbers", bind_chunk).await?;
    }
    let detail = format!(
        "{} rows: {} bound, {} replaced, {} unchanged, {} conflicts, {} unknown, {} unreadable",
        report.rows,
        report.bound,
        report.replaced,
        report.unchanged,
        report.conflicts,
        report.unknown,
        report.unreadable
    );
    let audited =
        move |tx: &mut Tx<'_>| audit::audit(tx.sql, &person, "case.official_numbers", &of, &detail, now);
    centre.store.write("audit of official numbers", audited).await?;
    Ok(Json(report))
}

/// The case that a line is about, if it can be read and is one of the person's; else the report says why not.
fn found<'a>(
    sql: &mut dyn Sql,
    person: &Person,
    line: &'a Result<Line, String>,
    row: usize,
    report: &mut NumbersReport,
) -> Result<Option<(CaseId, &'a Line)>, StoreError> {
    let readable = line
        .as_ref()
        .map_err(String::clone)
        .and_then(|line| check("official_no", &line.official_no, LONGEST_NUMBER).map(|()| line));
    let line = match readable {
        Ok(line) => line,
        Err(why) => {
            report.refuse(row, "unreadable", why);
            return Ok(None);
        }
    };
    let (case, about) = match &line.whose {
        Whose::Case(case) => (Some(*case), case.to_string()),
        Whose::Ticket { hall, date, ticket } => {
            let about = format!("{hall} {date} {ticket}");
            // A case ID begins with its hall and day, so the day is a range of the primary key.
            let begin = format!("{hall}-{}-", date.strftime("%Y%m%d"));
            let end = format!("{begin}~");
            let rows = sql.query(
                "SELECT case_id FROM cases WHERE case_id >= $1 AND case_id < $2 AND ticket = $3 LIMIT 2",
                params![begin, end, ticket],
            )?;
            if rows.len() > 1 {
                report.refuse(row, "several", about);
                return Ok(None);
            }
            (rows.first().map(|row| row.get::<CaseId>(0)).transpose()?, about)
        }
    };
    // What is not theirs is answered as if it did not exist.
    let hall = case.map_or(Ok(None), |case| hall_of(sql, case))?;
    let place = hall.map_or(Ok(None), |hall| Place::of_hall(sql, &hall))?;
    let theirs = place.is_some_and(|place| may(person, Action::BindNumbers, &place).is_ok());
    let Some(case) = case.filter(|_| theirs) else {
        report.refuse(row, "unknown", about);
        return Ok(None);
    };
    Ok(Some((case, line)))
}
