//! The staff directory (人员): clerks by the number they type at a keypad and have at the attendance terminal, the department they
//! come from (进驻单位) and the window they usually stand at. Owns the table `staff`.

use axum::{Json, extract::State, response::Response};
use control_protocol::{HallId, WindowId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    edit::change,
    tree::{BadTree, check_name, path_of, rule},
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    params,
    sheets::{Form, TongueAsked, Value},
    site::{
        export::{Kind, ListFile},
        extract::{Asked, Given, Named},
        list::{Columns, Order, Page, View},
        problem::Problem,
    },
    store::{Change, Filter, Row, Sql, StoreError, Tx},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(csv)).routes(routes!(set_staff, delete_staff))
}

/// A clerk, as other rooms read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clerk {
    /// Their number.
    pub number: String,
    /// Their name.
    pub name: String,
    /// The department they come from.
    pub unit: Option<String>,
    /// The window they usually stand at.
    pub window: Option<WindowId>,
}

/// The clerks of a hall, by number.
pub fn staff_of(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<Clerk>, StoreError> {
    let rows = sql
        .query("SELECT number, name, unit, win FROM staff WHERE hall = $1 ORDER BY number", params![hall])?;
    rows.iter()
        .map(|row| {
            Ok(Clerk { number: row.get(0)?, name: row.get(1)?, unit: row.get(2)?, window: row.get(3)? })
        })
        .collect()
}

/// What a clerk is to be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaffIs {
    /// Their name.
    pub(crate) name: String,
    /// The department they come from.
    #[serde(default)]
    pub(crate) unit: Option<String>,
    /// The window of this hall that they usually stand at.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) window: Option<WindowId>,
}

/// Adds a clerk or changes what is known of them.
pub(super) fn put_staff(
    tx: &mut Tx<'_>,
    hall: &HallId,
    number: &str,
    clerk: &StaffIs,
) -> Result<(), BadTree> {
    check_name(&clerk.name)?;
    if let Some(unit) = &clerk.unit {
        check_name(unit)?;
    }
    if number.is_empty() || number.len() > 24 || !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return rule(format!("`{number}` is not a staff number: it has 1 to 24 digits or letters"));
    }
    if path_of(tx, "halls", hall.as_str())?.is_none() {
        return Err(BadTree::Missing(format!("hall {hall} is not there: add it first")));
    }
    if let Some(window) = &clerk.window
        && tx.query_one("SELECT 1 FROM windows WHERE id = $1 AND hall = $2", params![window, hall])?.is_none()
    {
        return Err(BadTree::Missing(format!("there is no window {window} in {hall}: add it first")));
    }
    tx.execute(
        "INSERT INTO staff (hall, number, name, unit, win) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (hall, number) DO UPDATE SET name = $3, unit = $4, win = $5",
        params![hall, number, clerk.name, clerk.unit, clerk.window],
    )?;
    tx.changes.push(Change::Hall(hall.clone()));
    Ok(())
}

/// Whether the person may change the staff of a hall.
fn may_keep(tx: &mut Tx<'_>, person: &Person, hall: &HallId) -> Result<(), Problem> {
    let place = Place::of_hall(tx, hall)?.ok_or(Denied::Outside)?;
    Ok(may(person, Action::KeepAttendance, &place)?)
}

/// A clerk.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct StaffRow {
    /// Their hall.
    #[schema(value_type = String)]
    pub(crate) hall: HallId,
    /// Their number at keypads and terminals.
    pub(crate) number: String,
    /// Their name.
    pub(crate) name: String,
    /// The department they come from.
    pub(crate) unit: Option<String>,
    /// The window they usually stand at.
    #[schema(value_type = Option<String>)]
    pub(crate) window: Option<WindowId>,
    /// That window's name.
    pub(crate) window_name: Option<String>,
}

/// What staff is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StaffAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Whose number begins so, or whose name or department has it.
    search: Option<String>,
}

const SORTS: Columns = Columns {
    sorts: &[
        ("number", "s.hall || ' ' || s.number"),
        ("name", "s.name"),
        ("unit", "COALESCE(s.unit, '')"),
        ("window", "COALESCE(s.win, '')"),
    ],
    id: "s.hall || ' ' || s.number",
    usual: "number",
};

impl StaffAsked {
    /// The page of those within `scope`.
    fn page(&self, sql: &mut dyn Sql, scope: &Scope, order: &Order) -> Result<Page<StaffRow>, StoreError> {
        // What would be wildcards is what is looked for.
        let plain = |text: &String| text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let search = self.search.as_ref().filter(|text| !text.trim().is_empty()).map(plain);
        let mut filter = Filter::new();
        filter.within("h.path", scope).with("s.hall = ?", &self.hall).with(
            "(s.number LIKE ? || '%' ESCAPE '!' OR s.name LIKE '%' || ? || '%' ESCAPE '!' \
             OR s.unit LIKE '%' || ? || '%' ESCAPE '!')",
            &search,
        );
        let columns = "s.hall, s.number, s.name, s.unit, s.win, w.name";
        let tables = "staff s JOIN halls h ON h.id = s.hall LEFT JOIN windows w ON w.id = s.win";
        order.page(sql, filter, columns, tables, |row: &Row| {
            Ok(StaffRow {
                hall: row.get(0)?,
                number: row.get(1)?,
                name: row.get(2)?,
                unit: row.get(3)?,
                window: row.get(4)?,
                window_name: row.get(5)?,
            })
        })
    }
}

/// Clerks, by hall and number unless sorted by `number name unit window`.
#[utoipa::path(get, path = "/staff", tag = "areas", params(StaffAsked, View),
    responses((status = 200, body = Page<StaffRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<StaffAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<StaffRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let order = SORTS.order(&view)?;
    let read = move |sql: &mut dyn Sql| asked.page(sql, &Scope::of(&person, Action::SeePunches), &order);
    Ok(Json(centre.store.read(read).await?))
}

const STAFF: Kind = Kind {
    action: "staff.exported",
    title: ("人员名册", "Staff directory"),
    columns: &[
        ("大厅", "hall"),
        ("工号", "number"),
        ("姓名", "name"),
        ("单位", "unit"),
        ("窗口", "window"),
        ("窗口名称", "window_name"),
    ],
};

/// The clerks as CSV, with the same filters and order; taking it is itself in the audit log.
#[utoipa::path(get, path = "/staff.csv", tag = "areas", params(StaffAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<StaffAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let order = SORTS.order(&view)?;
    let file = ListFile::begin(&centre, &person, &STAFF, (Form::Csv, lang), String::new()).await?;
    let halls = file.halls.clone();
    let page = move |sql: &mut dyn Sql, order: &Order| {
        asked.page(sql, &Scope::of(&person, Action::SeePunches), order)
    };
    let cells = move |row: StaffRow| {
        vec![
            halls.get(row.hall.as_str()).cloned().into(),
            Value::Text(row.number),
            Value::Text(row.name),
            row.unit.into(),
            row.window.map(|window| window.to_string()).into(),
            row.window_name.into(),
        ]
    };
    file.of_list(&order, page, cells).await
}

/// Adds a clerk or changes what is known of them.
#[utoipa::path(put, path = "/halls/{hall}/staff/{number}", tag = "areas", request_body = StaffIs,
    params(("hall" = String, Path, description = "hall id"), ("number" = String, Path, description = "staff number")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set_staff(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, number)): Named<(HallId, String)>,
    Given(new): Given<StaffIs>,
) -> Result<StatusCode, Problem> {
    let object = format!("{hall}/{number}");
    let detail = serde_json::json!(new);
    change(&centre, person, "staff.changed", object, &detail, move |tx, person| {
        may_keep(tx, person, &hall)?;
        Ok(put_staff(tx, &hall, &number, &new)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a clerk away; their punches stay on record.
#[utoipa::path(delete, path = "/halls/{hall}/staff/{number}", tag = "areas",
    params(("hall" = String, Path, description = "hall id"), ("number" = String, Path, description = "staff number")),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete_staff(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, number)): Named<(HallId, String)>,
) -> Result<StatusCode, Problem> {
    change(&centre, person, "staff.removed", format!("{hall}/{number}"), &(), move |tx, person| {
        may_keep(tx, person, &hall)?;
        if tx.execute("DELETE FROM staff WHERE hall = $1 AND number = $2", params![hall, number])? == 0 {
            return Err(Problem::not_found(format!("there is no clerk {number} in {hall}")));
        }
        tx.changes.push(Change::Hall(hall));
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
