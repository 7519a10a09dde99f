//! The list of ratings as a file, with the filters it is shown with.

use std::collections::HashMap;

use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{RatingRow, RatingsAsked};
use crate::{
    Centre,
    access::{Action, Person, Scope, audit, may_somewhere},
    areas,
    sheets::{MOST_XLSX_ROWS, Sheet, Tongue, TongueAsked, Value},
    site::{extract::Asked, problem::Problem},
    statistics,
    store::StoreError,
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(csv)).routes(routes!(xlsx))
}

fn cells(rating: RatingRow, halls: &HashMap<String, String>, tongue: Tongue) -> Vec<Value> {
    let outcome = match rating.outcome.as_str() {
        "given" => tongue.of("评价", "given"),
        "timed_out" => tongue.of("默认（未评价）", "timed out"),
        _ => tongue.of("未计入的按键", "not counted"),
    };
    let why = match rating.why.as_deref() {
        Some("not_invited") => Value::Text(tongue.of("未邀请时按键", "pressed uninvited").into()),
        Some("second_press") => Value::Text(tongue.of("重复按键", "second press").into()),
        Some("unmapped") => Value::Text(tongue.of("未定义的键", "unknown key").into()),
        other => other.map(str::to_owned).into(),
    };
    vec![
        Value::At(rating.at),
        Value::Text(outcome.into()),
        Value::known(rating.grade, |grade| Value::Count(i64::from(grade))),
        halls.get(&rating.hall).cloned().into(),
        rating.window.into(),
        rating.ticket.into(),
        rating.case_id.into(),
        why,
    ]
}

async fn sheet(
    centre: Centre,
    person: Person,
    asked: RatingsAsked,
    tongue: Tongue,
) -> Result<Sheet, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let found = areas::find(&centre, person.clone()).await?;
    let first = found.halls.first().and_then(|(hall, _)| hall.id.parse().ok());
    let (asker, now) = (person.clone(), centre.clock.now());
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeService);
            asked.rows(sql, &scope, None, MOST_XLSX_ROWS + 1)
        })
        .await?;
    if rows.len() > MOST_XLSX_ROWS {
        return Err(Problem::unprocessable(format!(
            "a file of ratings has at most {MOST_XLSX_ROWS} rows: choose a shorter time or a smaller area"
        )));
    }
    let by = asker.name.to_string();
    let zone = centre
        .store
        .write("audit of an export", move |tx| {
            audit::audit(tx.sql, &asker, "ratings.exported", "ratings", "", now)?;
            first.map_or(Ok(jiff::tz::TimeZone::UTC), |hall| statistics::zone(tx.sql, &hall))
        })
        .await?;
    let halls: HashMap<String, String> =
        found.halls.into_iter().map(|(hall, _)| (hall.id, hall.name)).collect();
    let columns = [
        ("时间", "at"),
        ("类别", "outcome"),
        ("评价", "grade"),
        ("大厅", "hall"),
        ("窗口", "window"),
        ("票号", "ticket"),
        ("办件编号", "case_id"),
        ("未计入的原因", "why"),
    ];
    Ok(Sheet {
        title: tongue.of("评价清单", "Ratings").into(),
        facts: vec![(tongue.of("制表人", "Made by").into(), by)],
        columns: columns.map(|(chinese, english)| tongue.of(chinese, english).into()).to_vec(),
        rows: rows.into_iter().map(|(row, _)| cells(row, &halls, tongue)).collect(),
        total: None,
        zone,
    })
}

/// The list of ratings as CSV, with the same filters; at most 50,000 rows.
#[utoipa::path(get, path = "/ratings.csv", tag = "evaluations", params(RatingsAsked, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RatingsAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    Ok(sheet(centre, person, asked, lang).await?.csv())
}

/// The list of ratings as XLSX, with the same filters; at most 50,000 rows.
#[utoipa::path(get, path = "/ratings.xlsx", tag = "evaluations", params(RatingsAsked, TongueAsked),
    responses((status = 200, description = "an Office Open XML workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn xlsx(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RatingsAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    let sheet = sheet(centre, person, asked, lang).await?;
    tokio::task::spawn_blocking(move || sheet.xlsx()).await.map_err(|_| StoreError::Closed)?
}
