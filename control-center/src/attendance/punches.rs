//! The list of punches, as their terminals made them.

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Person, Scope, may_somewhere},
    site::{
        extract::Asked,
        list::{Columns, Page, View},
        problem::Problem,
    },
    store::{Filter, Row, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A punch.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PunchRow {
    /// Its hall.
    pub hall: String,
    /// The terminal's position.
    pub device: String,
    /// The employee's number at the terminal.
    pub employee: String,
    /// Their name, where the staff list has it.
    pub name: Option<String>,
    /// When the finger was on the terminal.
    #[schema(value_type = String)]
    pub punched_at: UtcMillis,
    /// How the terminal recognised them, its own code.
    pub verify: u8,
    /// In, out, …: the terminal's own code.
    pub state: u8,
    /// Whether a live event brought it first, rather than the terminal's log.
    pub live: bool,
}

/// What punches are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PunchesAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Of this employee.
    employee: Option<String>,
    /// At or after this time.
    #[param(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// Before this time.
    #[param(value_type = Option<String>)]
    to: Option<UtcMillis>,
}

const SORTS: Columns = Columns {
    sorts: &[("at", "p.punched_at")],
    // A punch's place among those of the same time.
    id: "(p.terminal || ' ' || p.employee)",
    usual: "-at",
};

/// Punches, newest first unless sorted by `at`.
#[utoipa::path(get, path = "/punches", tag = "attendance", params(PunchesAsked, View),
    responses((status = 200, body = Page<PunchRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<PunchesAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<PunchRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let order = SORTS.order(&view)?;
    let page = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeePunches);
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("p.hall = ?", &asked.hall)
                .with("p.employee = ?", &asked.employee)
                .with("p.punched_at >= ?", &asked.from)
                .with("p.punched_at < ?", &asked.to);
            let columns = "p.hall, p.terminal, p.employee, s.name, p.punched_at, p.verify, p.state, p.live";
            let tables = "punches p JOIN halls h ON h.id = p.hall \
                 LEFT JOIN staff s ON s.hall = p.hall AND s.number = p.employee";
            order.page(sql, filter, columns, tables, read)
        })
        .await?;
    Ok(Json(page))
}

fn read(row: &Row) -> Result<PunchRow, StoreError> {
    Ok(PunchRow {
        hall: row.get(0)?,
        device: row.get(1)?,
        employee: row.get(2)?,
        name: row.get(3)?,
        punched_at: row.get(4)?,
        verify: row.get(5)?,
        state: row.get(6)?,
        live: row.get(7)?,
    })
}
