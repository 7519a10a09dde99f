//! `/attendance/rosters`: who works by which pattern from which date, and single days that differ.

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, WindowId};
use http::StatusCode;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    change, date_of, from_json,
    roster::{Pattern, RosterDay},
    shift_routes::usable,
    to_json,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    areas::tree::BadTree,
    params,
    site::{
        extract::{Asked, Given, Named},
        list::{Columns, Page, View},
        problem::Problem,
    },
    store::{Filter, Row, Sql, Tx},
};

/// In an address, everybody of a hall who has no roster of their own; no staff number has a `_`.
const EVERYBODY: &str = "_everybody";

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(set, remove))
        .routes(routes!(days))
        .routes(routes!(set_day, remove_day))
}

/// Who works how from when.
#[derive(Debug, Serialize, ToSchema)]
struct RosterRow {
    #[schema(value_type = String)]
    hall: HallId,
    /// The clerk's number; none: everybody of the hall who has no roster of their own.
    employee: Option<String>,
    /// Their name.
    name: Option<String>,
    /// The first date.
    #[schema(value_type = String)]
    from: Date,
    pattern: Pattern,
    changed_by: String,
    #[schema(value_type = String)]
    changed_at: UtcMillis,
}

/// A single day of a roster.
#[derive(Debug, Serialize, ToSchema)]
struct RosterDayRow {
    #[schema(value_type = String)]
    hall: HallId,
    employee: String,
    #[schema(value_type = String)]
    date: Date,
    /// The shift's id; none: rest.
    shift: Option<String>,
    /// The window of that day.
    #[schema(value_type = Option<String>)]
    window: Option<WindowId>,
    changed_by: String,
    #[schema(value_type = String)]
    changed_at: UtcMillis,
}

/// What a single day is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RosterDayIs {
    /// The shift's id; none: rest.
    shift: Option<String>,
    /// The window of that day; none: the usual one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    window: Option<WindowId>,
}

/// What rosters are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RostersAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Of this clerk.
    employee: Option<String>,
    /// Days on or after this date.
    #[param(value_type = Option<String>)]
    from: Option<Date>,
    /// Days on or before this date.
    #[param(value_type = Option<String>)]
    to: Option<Date>,
}

fn check_shifts(tx: &mut Tx<'_>, hall: &HallId, shifts: &[&str]) -> Result<(), BadTree> {
    let place = Place::of_hall(tx, hall)?
        .ok_or_else(|| BadTree::Missing(format!("hall {hall} is not there: add it first")))?;
    for shift in shifts {
        if !usable(tx, shift, &place)? {
            return Err(BadTree::Missing(format!(
                "there is no shift {shift} that {hall} may use: add it first"
            )));
        }
    }
    Ok(())
}

fn check_employee(tx: &mut Tx<'_>, hall: &HallId, employee: &str) -> Result<(), BadTree> {
    let known =
        tx.query_one("SELECT 1 FROM staff WHERE hall = $1 AND number = $2", params![hall, employee])?;
    if known.is_none() {
        return Err(BadTree::Missing(format!("there is no clerk {employee} in {hall}: add them first")));
    }
    Ok(())
}

/// Puts a clerk, or everybody of a hall who has no word of their own, on a pattern from a date on.
///
/// # Errors
/// It breaks a rule, or something that it names is not there.
pub fn put_roster(
    tx: &mut Tx<'_>,
    hall: &HallId,
    employee: Option<&str>,
    from: Date,
    pattern: &Pattern,
    by: &str,
    now: UtcMillis,
) -> Result<(), BadTree> {
    pattern.check().map_err(BadTree::Rule)?;
    check_shifts(tx, hall, &pattern.shifts())?;
    if let Some(employee) = employee {
        check_employee(tx, hall, employee)?;
    }
    tx.execute(
        "INSERT INTO rosters (hall, employee, from_date, pattern, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (hall, employee, from_date) DO UPDATE SET pattern = $4, changed_by = $5, changed_at = $6",
        params![hall, employee.unwrap_or(""), from.to_string(), to_json(pattern)?, by, now],
    )?;
    Ok(())
}

/// Sets a single day of a clerk.
///
/// # Errors
/// Something that it names is not there.
pub fn put_roster_day(
    tx: &mut Tx<'_>,
    hall: &HallId,
    employee: &str,
    date: Date,
    day: &RosterDay,
    by: &str,
    now: UtcMillis,
) -> Result<(), BadTree> {
    let shifts: Vec<&str> = day.shift.iter().map(String::as_str).collect();
    check_shifts(tx, hall, &shifts)?;
    check_employee(tx, hall, employee)?;
    if let Some(window) = &day.window
        && Place::of_window(tx, window)? != Place::of_hall(tx, hall)?
    {
        return Err(BadTree::Missing(format!("there is no window {window} in {hall}")));
    }
    tx.execute(
        "INSERT INTO roster_days (hall, employee, date, shift, win, changed_by, changed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (hall, employee, date) \
         DO UPDATE SET shift = $4, win = $5, changed_by = $6, changed_at = $7",
        params![hall, employee, date.to_string(), day.shift, day.window, by, now],
    )?;
    Ok(())
}

fn may_keep(tx: &mut Tx<'_>, person: &Person, hall: &HallId) -> Result<(), Problem> {
    let place = Place::of_hall(tx, hall)?.ok_or(Denied::Outside)?;
    Ok(may(person, Action::KeepAttendance, &place)?)
}

const SORTS: Columns = Columns {
    sorts: &[
        ("employee", "r.hall || ' ' || r.employee || ' ' || r.from_date"),
        ("from", "r.from_date"),
        ("changed", "r.changed_at"),
    ],
    id: "r.hall || ' ' || r.employee || ' ' || r.from_date",
    usual: "employee",
};
const DAYS: Columns = Columns {
    sorts: &[
        ("date", "r.hall || ' ' || r.date"),
        ("employee", "r.hall || ' ' || r.employee"),
        ("changed", "r.changed_at"),
    ],
    id: "r.hall || ' ' || r.date || ' ' || r.employee",
    usual: "date",
};

/// Rosters, by hall, clerk and date with everybody's first, unless sorted by `employee from changed`.
#[utoipa::path(get, path = "/attendance/rosters", tag = "attendance", params(RostersAsked, View),
    responses((status = 200, body = Page<RosterRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RostersAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<RosterRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let order = SORTS.order(&view)?;
    let page = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeePunches);
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("r.hall = ?", &asked.hall)
                .with("r.employee = ?", &asked.employee);
            let columns = "r.hall, r.employee, s.name, r.from_date, r.pattern, r.changed_by, r.changed_at";
            let tables = "rosters r JOIN halls h ON h.id = r.hall \
                 LEFT JOIN staff s ON s.hall = r.hall AND s.number = r.employee";
            order.page(sql, filter, columns, tables, |row: &Row| {
                let (employee, from, pattern): (String, String, String) =
                    (row.get(1)?, row.get(3)?, row.get(4)?);
                Ok(RosterRow {
                    hall: row.get(0)?,
                    employee: (!employee.is_empty()).then_some(employee),
                    name: row.get(2)?,
                    from: date_of(&from)?,
                    pattern: from_json("a roster", &pattern)?,
                    changed_by: row.get(5)?,
                    changed_at: row.get(6)?,
                })
            })
        })
        .await?;
    Ok(Json(page))
}

/// Puts a clerk on a pattern from a date on; `_everybody` in the clerk's place means everybody of the hall who has no roster of
/// their own.
#[utoipa::path(put, path = "/attendance/rosters/{hall}/{employee}/{from}", tag = "attendance", request_body = Pattern,
    params(("hall" = String, Path, description = "hall id"), ("employee" = String, Path, description = "staff number or _everybody"),
        ("from" = String, Path, description = "the first date")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, employee, from)): Named<(HallId, String, Date)>,
    Given(pattern): Given<Pattern>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    let detail = serde_json::json!({"from": from, "pattern": pattern});
    let object = format!("{hall}/{employee}");
    change(&centre, person, "roster.changed", object, &detail, move |tx, person| {
        may_keep(tx, person, &hall)?;
        let employee = (employee != EVERYBODY).then_some(employee.as_str());
        Ok(put_roster(tx, &hall, employee, from, &pattern, &person.name, now)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a word of a roster back; the one before it holds again.
#[utoipa::path(delete, path = "/attendance/rosters/{hall}/{employee}/{from}", tag = "attendance",
    params(("hall" = String, Path, description = "hall id"), ("employee" = String, Path, description = "staff number or _everybody"),
        ("from" = String, Path, description = "the first date")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, employee, from)): Named<(HallId, String, Date)>,
) -> Result<StatusCode, Problem> {
    let detail = serde_json::json!({"from": from});
    let object = format!("{hall}/{employee}");
    change(&centre, person, "roster.removed", object, &detail, move |tx, person| {
        may_keep(tx, person, &hall)?;
        let employee = if employee == EVERYBODY { "" } else { employee.as_str() };
        let gone = tx.execute(
            "DELETE FROM rosters WHERE hall = $1 AND employee = $2 AND from_date = $3",
            params![hall, employee, from.to_string()],
        )?;
        if gone == 0 { Err(Problem::not_found("there is no such roster")) } else { Ok(()) }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Single days of rosters, by hall and date unless sorted by `date employee changed`.
#[utoipa::path(get, path = "/attendance/roster-days", tag = "attendance", params(RostersAsked, View),
    responses((status = 200, body = Page<RosterDayRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn days(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RostersAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<RosterDayRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let order = DAYS.order(&view)?;
    let page = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeePunches);
            let (from, to) = (asked.from.map(|d| d.to_string()), asked.to.map(|d| d.to_string()));
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("r.hall = ?", &asked.hall)
                .with("r.employee = ?", &asked.employee)
                .with("r.date >= ?", &from)
                .with("r.date <= ?", &to);
            let columns = "r.hall, r.employee, r.date, r.shift, r.win, r.changed_by, r.changed_at";
            let tables = "roster_days r JOIN halls h ON h.id = r.hall";
            order.page(sql, filter, columns, tables, |row: &Row| {
                let date: String = row.get(2)?;
                Ok(RosterDayRow {
                    hall: row.get(0)?,
                    employee: row.get(1)?,
                    date: date_of(&date)?,
                    shift: row.get(3)?,
                    window: row.get(4)?,
                    changed_by: row.get(5)?,
                    changed_at: row.get(6)?,
                })
            })
        })
        .await?;
    Ok(Json(page))
}

/// Sets a single day of a clerk: a shift, or rest, and where they stand.
#[utoipa::path(put, path = "/attendance/roster-days/{hall}/{employee}/{date}", tag = "attendance", request_body = RosterDayIs,
    params(("hall" = String, Path, description = "hall id"), ("employee" = String, Path, description = "staff number"),
        ("date" = String, Path, description = "the date")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn set_day(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, employee, date)): Named<(HallId, String, Date)>,
    Given(day): Given<RosterDayIs>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    let detail = serde_json::json!({"date": date, "day": day});
    let object = format!("{hall}/{employee}");
    change(&centre, person, "roster_day.changed", object, &detail, move |tx, person| {
        may_keep(tx, person, &hall)?;
        let day = RosterDay { shift: day.shift, window: day.window };
        Ok(put_roster_day(tx, &hall, &employee, date, &day, &person.name, now)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a single day back: the pattern holds again.
#[utoipa::path(delete, path = "/attendance/roster-days/{hall}/{employee}/{date}", tag = "attendance",
    params(("hall" = String, Path, description = "hall id"), ("employee" = String, Path, description = "staff number"),
        ("date" = String, Path, description = "the date")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_day(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, employee, date)): Named<(HallId, String, Date)>,
) -> Result<StatusCode, Problem> {
    let detail = serde_json::json!({"date": date});
    let object = format!("{hall}/{employee}");
    change(&centre, person, "roster_day.removed", object, &detail, move |tx, person| {
        may_keep(tx, person, &hall)?;
        let gone = tx.execute(
            "DELETE FROM roster_days WHERE hall = $1 AND employee = $2 AND date = $3",
            params![hall, employee, date.to_string()],
        )?;
        if gone == 0 { Err(Problem::not_found("there is no such day")) } else { Ok(()) }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
