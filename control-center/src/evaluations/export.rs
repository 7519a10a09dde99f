//! The list of ratings as a file: what a row of it holds.

use std::collections::HashMap;

use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{RatingRow, RatingsAsked};
use crate::{
    Centre,
    access::{Action, Person, Scope, may_somewhere},
    sheets::{Form, Tongue, TongueAsked, Value},
    site::{
        export::{Kind, ListFile},
        extract::Asked,
        list::{Order, View},
        problem::Problem,
    },
    store::Sql,
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

const RATINGS: Kind = Kind {
    action: "ratings.exported",
    title: ("评价清单", "Ratings"),
    columns: &[
        ("时间", "at"),
        ("类别", "outcome"),
        ("评价", "grade"),
        ("大厅", "hall"),
        ("窗口", "window"),
        ("票号", "ticket"),
        ("办件编号", "case_id"),
        ("未计入的原因", "why"),
    ],
};

async fn file(
    centre: Centre,
    person: Person,
    (asked, view): (RatingsAsked, View),
    form: (Form, Tongue),
) -> Result<Response, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = asked.order(&view)?;
    let file = ListFile::begin(&centre, &person, &RATINGS, form, String::new()).await?;
    let (halls, tongue) = (file.halls.clone(), form.1);
    let page = move |sql: &mut dyn Sql, order: &Order| {
        asked.page(sql, &Scope::of(&person, Action::SeeService), order)
    };
    file.of_list(&order, page, move |rating| cells(rating, &halls, tongue)).await
}

/// The list of ratings as CSV, with the same filters and order. Sent part by part, at most five million rows.
#[utoipa::path(get, path = "/ratings.csv", tag = "evaluations", params(RatingsAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RatingsAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    file(centre, person, (asked, view), (Form::Csv, lang)).await
}

/// The list of ratings as XLSX, with the same filters and order; at most 50,000 rows.
#[utoipa::path(get, path = "/ratings.xlsx", tag = "evaluations", params(RatingsAsked, View, TongueAsked),
    responses((status = 200, description = "an Office Open XML workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn xlsx(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RatingsAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    file(centre, person, (asked, view), (Form::Xlsx, lang)).await
}
