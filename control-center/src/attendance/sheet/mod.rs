//! The month's sheet (月度考勤汇总表), to be looked at, signed and put away: as XLSX and as CSV. A sheet says for which period and
//! unit it is, who made it, who is to check it, when, and how much of it is not settled yet.

mod csv;
pub(super) mod month;
mod words;
mod xlsx;

use axum::{extract::State, response::Response};
use control_protocol::{HallId, UtcMillis};
use http::{HeaderValue, header};
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    book::Book,
    calendar::DayKind,
    day::DayState,
    day_routes::{may_see, month_of},
    requests::LeaveKind,
};
use crate::{
    Centre,
    access::{Person, audit},
    areas,
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
};
use month::{MonthRow, Sum, month_rows};
use words::{Words, words};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(as_xlsx)).routes(routes!(as_csv))
}

/// The language of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
pub(super) enum Language {
    /// 简体中文.
    #[default]
    #[serde(rename = "zh-CN", alias = "zh")]
    Chinese,
    /// English.
    #[serde(rename = "en")]
    English,
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Count(u32),
    /// Half days, shown as days.
    Halves(u32),
    /// Minutes, shown as hours.
    Minutes(u32),
}

/// A column of figures.
struct Column {
    head: &'static str,
    /// The head that it shares with its neighbours.
    group: Option<&'static str>,
}

/// A sheet, before it is one format or the other.
struct Sheet {
    words: &'static Words,
    title: String,
    /// Period, unit, made by, checked by, made at, read up to, how much is open.
    facts: Vec<(&'static str, String)>,
    dates: Vec<(Date, DayKind)>,
    figures: Vec<Column>,
    rows: Vec<Row>,
    total: Vec<Value>,
}

/// A clerk's line.
struct Row {
    /// Number in the sheet, name, staff number, unit, window.
    who: [String; 5],
    days: Vec<String>,
    figures: Vec<Value>,
}

/// What a sheet is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SheetAsked {
    /// The hall.
    #[param(value_type = String)]
    hall: HallId,
    /// `en` for English; Chinese unless given.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    lang: Language,
}

/// A month of a hall as an XLSX file.
#[utoipa::path(get, path = "/attendance/months/{month}/sheet.xlsx", tag = "attendance", params(SheetAsked,
    ("month" = String, Path, description = "yyyy-mm")),
    responses((status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn as_xlsx(
    State(centre): State<Centre>,
    person: Person,
    Named(month): Named<String>,
    Asked(asked): Asked<SheetAsked>,
) -> Result<Response, Problem> {
    let name = format!("attendance-{}-{month}.xlsx", asked.hall);
    let sheet = sheet(&centre, person, month, asked).await?;
    let made = tokio::task::spawn_blocking(move || xlsx::write(&sheet)).await;
    let bytes = made.map_err(|_| "it ended").and_then(|made| made.map_err(|_| "it cannot be written"));
    let bytes = bytes.map_err(|why| {
        tracing::error!(why, "a sheet could not be made");
        Problem::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            "the sheet could not be made: the centre's log says why",
        )
    })?;
    Ok(file(&name, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", bytes))
}

/// A month of a hall as a CSV file, UTF-8 with a byte order mark.
#[utoipa::path(get, path = "/attendance/months/{month}/sheet.csv", tag = "attendance", params(SheetAsked,
    ("month" = String, Path, description = "yyyy-mm")),
    responses((status = 200, content_type = "text/csv"), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn as_csv(
    State(centre): State<Centre>,
    person: Person,
    Named(month): Named<String>,
    Asked(asked): Asked<SheetAsked>,
) -> Result<Response, Problem> {
    let name = format!("attendance-{}-{month}.csv", asked.hall);
    let sheet = sheet(&centre, person, month, asked).await?;
    Ok(file(&name, "text/csv; charset=utf-8", csv::write(&sheet)))
}

fn file(name: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = format!("attachment; filename=\"{name}\"").parse() {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Reads the month and writes to the audit log that it was taken out.
async fn sheet(centre: &Centre, person: Person, month: String, asked: SheetAsked) -> Result<Sheet, Problem> {
    let now = centre.clock.now();
    let dates = month_of(&month)?;
    let made_by = person.name.to_string();
    let object = format!("{}/{month}", asked.hall);
    let reader = person.clone();
    let sheet = centre
        .store
        .read(move |sql| {
            may_see(sql, &reader, &asked.hall)?;
            let book = Book::open(sql, &asked.hall, dates, None, now)?;
            let windows = areas::windows_of(sql, &asked.hall)?;
            let window = |id: &str| {
                let found = windows.iter().find(|(window, ..)| window.as_str() == id);
                found.map_or_else(|| id.to_owned(), |(_, number, name)| format!("{number} {name}"))
            };
            Ok::<_, Problem>(of_book(&book, now, &made_by, words(asked.lang), window))
        })
        .await?;
    centre
        .store
        .write("audit of a sheet", move |tx| {
            audit::audit(tx, &person, "attendance.exported", &object, "", now)
        })
        .await?;
    Ok(sheet)
}

fn of_book(
    book: &Book,
    now: UtcMillis,
    made_by: &str,
    words: &'static Words,
    window: impl Fn(&str) -> String,
) -> Sheet {
    let rows = month_rows(book, book.today());
    let open = rows
        .iter()
        .flat_map(|row| row.days.iter().zip(book.dates().map(|(date, _)| date)))
        .filter(|(cell, date)| *date <= book.today() && is_open(cell.state, cell.settled))
        .count();
    let time = |at: UtcMillis| at.timestamp().to_zoned(book.zone.clone()).strftime(words.time).to_string();
    let date = |date: Date| date.strftime(words.date).to_string();
    let facts = vec![
        (words.period, format!("{}{}{}", date(book.from), words.to, date(book.to))),
        (words.unit_of_sheet, book.name.clone()),
        (words.made_by, made_by.to_owned()),
        (words.checked_by, String::new()),
        (words.made_at, time(now)),
        (words.read_to, book.known.synced.map_or_else(|| words.never.to_owned(), time)),
        (words.open, if open == 0 { words.nothing_open.to_owned() } else { open.to_string() }),
    ];
    let sum = Sum::of(&rows);
    Sheet {
        words,
        title: format!(
            "{}{}",
            book.name,
            words.title.replace("{month}", &book.from.strftime(words.month).to_string())
        ),
        facts,
        dates: book.dates().map(|(date, is)| (date, is.kind)).collect(),
        figures: columns(words),
        total: values(&sum),
        rows: rows.iter().enumerate().map(|(n, row)| line(n + 1, row, &window)).collect(),
    }
}

/// Whether a day that has begun may still come to something else.
fn is_open(state: DayState, settled: bool) -> bool {
    !settled && !matches!(state, DayState::Normal | DayState::Rest) || state == DayState::Unclear
}

fn line(n: usize, row: &MonthRow, window: &impl Fn(&str) -> String) -> Row {
    let sum = Sum::of([row]);
    Row {
        who: [
            n.to_string(),
            row.name.clone(),
            row.employee.clone(),
            row.unit.clone().unwrap_or_default(),
            row.window.as_ref().map(|id| window(id.as_str())).unwrap_or_default(),
        ],
        days: row.days.iter().map(|day| day.symbol.clone()).collect(),
        figures: values(&sum),
    }
}

fn columns(words: &'static Words) -> Vec<Column> {
    let plain = |head| Column { head, group: None };
    let of = |group, head| Column { head, group: Some(group) };
    let mut columns = vec![
        plain(words.due),
        plain(words.worked),
        of(words.late, words.times),
        of(words.late, words.minutes),
        of(words.early, words.times),
        of(words.early, words.minutes),
        plain(words.missing),
        plain(words.absent),
    ];
    columns.extend(LeaveKind::ALL.map(|kind| of(words.leave, words.leave_kind(kind))));
    columns.extend([plain(words.trip), plain(words.corrected), plain(words.overtime)]);
    columns
}

fn values(sum: &Sum) -> Vec<Value> {
    let f = &sum.figures;
    let mut values = vec![
        Value::Halves(f.due_halves),
        Value::Halves(f.worked_halves),
        Value::Count(f.late),
        Value::Count(f.late_min),
        Value::Count(f.early),
        Value::Count(f.early_min),
        Value::Count(f.missing),
        Value::Halves(f.absent_halves),
    ];
    let leave = |kind| Value::Halves(sum.leave_halves.get(&kind).copied().unwrap_or(0));
    values.extend(LeaveKind::ALL.map(leave));
    values.extend([Value::Halves(f.trip_halves), Value::Count(f.corrected), Value::Minutes(f.overtime_min)]);
    values
}

impl Value {
    /// The number of a figure, in days or hours where it is of those.
    fn number(&self) -> f64 {
        match self {
            Self::Count(count) => f64::from(*count),
            Self::Halves(halves) => f64::from(*halves) / 2.0,
            Self::Minutes(minutes) => (f64::from(*minutes) / 6.0).round() / 10.0,
        }
    }
}
