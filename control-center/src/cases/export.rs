//! The list of cases as a file, with the filters and the order it is shown with. A CSV is read and sent part by part, so
//! that a year of a region fits through; an XLSX is held whole and has fewer rows.

use std::collections::HashMap;

use axum::{extract::State, response::Response};
use control_protocol::UtcMillis;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::routes::{CaseRow, CasesAsked, Order};
use crate::{
    Centre,
    access::{Action, Person, Scope, audit, may_somewhere},
    areas,
    sheets::{MOST_XLSX_ROWS, Sheet, Tongue, TongueAsked, Value, streamed_csv},
    site::{extract::Asked, problem::Problem},
    statistics,
    store::{Store, StoreError},
};

/// Rows read at once.
const PART: usize = 2_000;
/// The most rows of one CSV.
const MOST_CSV_ROWS: usize = 5_000_000;

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(csv)).routes(routes!(xlsx))
}

fn columns(tongue: Tongue) -> Vec<String> {
    [
        ("办件编号", "case_id"),
        ("官方编号", "official_no"),
        ("票号", "ticket"),
        ("状态", "state"),
        ("大厅编号", "hall"),
        ("大厅", "hall_name"),
        ("窗口", "window"),
        ("业务", "business"),
        ("工号", "clerk"),
        ("经办人", "clerk_name"),
        ("取号时间", "opened_at"),
        ("叫号时间", "called_at"),
        ("开始办理", "started_at"),
        ("办理结束", "ended_at"),
        ("结束时间", "closed_at"),
        ("等候（秒）", "wait_s"),
        ("办理（秒）", "served_s"),
        ("评价", "grade"),
        ("结束方式", "ended_by"),
        ("时间准确", "accurate"),
    ]
    .map(|(chinese, english)| tongue.of(chinese, english).to_owned())
    .to_vec()
}

fn cells(case: CaseRow, halls: &HashMap<String, String>, tongue: Tongue) -> Vec<Value> {
    let between = |from: Option<UtcMillis>, to: Option<UtcMillis>| {
        Value::known(from.zip(to), |(from, to)| Value::Seconds((to.0 - from.0) as f64 / 1000.0))
    };
    let at = |at: Option<UtcMillis>| Value::known(at, Value::At);
    let state = match case.state.as_str() {
        "waiting" => tongue.of("等候中", "waiting"),
        "called" => tongue.of("已叫号", "called"),
        "serving" => tongue.of("办理中", "serving"),
        "rated" => tongue.of("已评价", "rated"),
        _ => tongue.of("已结束", "closed"),
    };
    vec![
        Value::Text(case.case_id),
        case.official_no.into(),
        Value::Text(case.ticket),
        Value::Text(state.to_owned()),
        Value::Text(case.hall.clone()),
        halls.get(&case.hall).cloned().into(),
        case.window.into(),
        case.business.into(),
        case.clerk.into(),
        case.clerk_name.into(),
        Value::At(case.opened_at),
        at(case.called_at),
        at(case.started_at),
        at(case.ended_at),
        at(case.closed_at),
        between(Some(case.opened_at), case.called_at),
        between(case.started_at, case.ended_at),
        Value::known(case.grade, |grade| Value::Count(i64::from(grade))),
        case.ended_by.into(),
        Value::Text(if case.accurate { tongue.of("是", "yes") } else { tongue.of("否", "no") }.to_owned()),
    ]
}

/// What every export needs: names of halls, the zone of its times, the facts above it. Writes down who exports.
struct Export {
    title: String,
    facts: Vec<(String, String)>,
    halls: HashMap<String, String>,
    zone: jiff::tz::TimeZone,
}

async fn export(centre: &Centre, person: &Person, tongue: Tongue, what: &str) -> Result<Export, Problem> {
    let found = areas::find(centre, person.clone()).await?;
    let first = found.halls.first().map(|(hall, _)| hall.id.clone());
    let (asker, now, what) = (person.clone(), centre.clock.now(), what.to_owned());
    let zone = centre
        .store
        .write("audit of an export", move |tx| {
            audit::audit(tx.sql, &asker, "cases.exported", "cases", &what, now)?;
            match first.and_then(|hall| hall.parse().ok()) {
                Some(hall) => statistics::zone(tx.sql, &hall),
                None => Ok(jiff::tz::TimeZone::UTC),
            }
        })
        .await?;
    let made = jiff::Timestamp::from_millisecond(now.0)
        .map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default();
    Ok(Export {
        title: tongue.of("办件清单", "Cases").to_owned(),
        facts: vec![
            (tongue.of("制表人", "Made by").to_owned(), person.name.to_string()),
            (tongue.of("制表时间", "Made at").to_owned(), made),
        ],
        halls: found.halls.into_iter().map(|(hall, _)| (hall.id, hall.name)).collect(),
        zone,
    })
}

/// Where a part of the list begins, and how many rows came before it.
struct Walk {
    store: Store,
    person: Person,
    asked: std::sync::Arc<CasesAsked>,
    order: Order,
    after: Option<(i64, String)>,
    given: usize,
    done: bool,
}

impl Walk {
    /// The next rows; none at the end.
    async fn next(mut self) -> Option<(Result<Vec<CaseRow>, StoreError>, Self)> {
        if self.done || self.given >= MOST_CSV_ROWS {
            return None;
        }
        let (asked, order, person, after) =
            (self.asked.clone(), self.order, self.person.clone(), self.after.clone());
        let read = self.store.read(move |sql| {
            asked.rows(sql, &Scope::of(&person, Action::SeeService), order, after.as_ref(), PART)
        });
        match read.await {
            Ok(rows) => {
                self.done = rows.len() < PART;
                self.given += rows.len();
                self.after = rows.last().map(|(row, key)| (*key, row.case_id.clone()));
                Some((Ok(rows.into_iter().map(|(row, _)| row).collect()), self))
            }
            Err(error) => {
                self.done = true;
                Some((Err(error), self))
            }
        }
    }
}

/// The list of cases as CSV, with the same filters and order. Sent part by part, at most five million rows.
#[utoipa::path(get, path = "/cases.csv", tag = "cases", params(CasesAsked, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CasesAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = asked.order()?;
    let Export { title, facts, halls, zone } = export(&centre, &person, lang, "csv").await?;
    let walk = Walk {
        store: centre.store.clone(),
        person,
        asked: std::sync::Arc::new(asked),
        order,
        after: None,
        given: 0,
        done: false,
    };
    let parts = futures_util::stream::unfold(walk, Walk::next);
    let parts = futures_util::StreamExt::map(parts, move |part| {
        part.map(|rows| rows.into_iter().map(|row| cells(row, &halls, lang)).collect::<Vec<_>>())
    });
    Ok(streamed_csv(&title, &facts, &columns(lang), parts, zone))
}

/// The list of cases as XLSX, with the same filters and order; at most 50,000 rows.
#[utoipa::path(get, path = "/cases.xlsx", tag = "cases", params(CasesAsked, TongueAsked),
    responses((status = 200, description = "an Office Open XML workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn xlsx(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CasesAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = asked.order()?;
    let Export { title, facts, halls, zone } = export(&centre, &person, lang, "xlsx").await?;
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeService);
            asked.rows(sql, &scope, order, None, MOST_XLSX_ROWS + 1)
        })
        .await?;
    let rows = rows.into_iter().map(|(row, _)| cells(row, &halls, lang)).collect();
    let sheet = Sheet { title, facts, columns: columns(lang), rows, total: None, zone };
    // Thousands of rows take longer than a runtime thread should be held.
    tokio::task::spawn_blocking(move || sheet.xlsx()).await.map_err(|_| StoreError::Closed)?
}
