//! The list of cases as a file: what a row of it holds.

use std::collections::HashMap;

use axum::{extract::State, response::Response};
use control_protocol::UtcMillis;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::routes::{CaseRow, CasesAsked};
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

const CASES: Kind = Kind {
    action: "cases.exported",
    title: ("办件清单", "Cases"),
    columns: &[
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
    ],
};

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

async fn file(
    centre: Centre,
    person: Person,
    (asked, view): (CasesAsked, View),
    form: (Form, Tongue),
) -> Result<Response, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = asked.order(&view)?;
    let file = ListFile::begin(&centre, &person, &CASES, form, String::new()).await?;
    let (halls, tongue) = (file.halls.clone(), form.1);
    let page = move |sql: &mut dyn Sql, order: &Order| {
        asked.page(sql, &Scope::of(&person, Action::SeeService), order)
    };
    file.of_list(&order, page, move |case| cells(case, &halls, tongue)).await
}

/// The list of cases as CSV, with the same filters and order. Sent part by part, at most five million rows.
#[utoipa::path(get, path = "/cases.csv", tag = "cases", params(CasesAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CasesAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    file(centre, person, (asked, view), (Form::Csv, lang)).await
}

/// The list of cases as XLSX, with the same filters and order; at most 50,000 rows.
#[utoipa::path(get, path = "/cases.xlsx", tag = "cases", params(CasesAsked, View, TongueAsked),
    responses((status = 200, description = "an Office Open XML workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn xlsx(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CasesAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    file(centre, person, (asked, view), (Form::Xlsx, lang)).await
}
