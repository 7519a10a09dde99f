//! `/halls/{hall}/windows` and `/tickets`; the room's other routes stand with their rules.

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, WindowId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{TicketRow, WindowRow, now, outlook, quarters, rows, thresholds};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    site::{
        extract::{Asked, Named},
        list::{Columns, Page, View},
        problem::Problem,
    },
    store::{Filter, Row, StoreError},
};

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(windows))
        .routes(routes!(tickets))
        .routes(routes!(now::show))
        .routes(routes!(quarters::show))
        .routes(routes!(outlook::show))
        .routes(routes!(thresholds::show, thresholds::change))
}

/// The windows of a hall as they are now, by number.
#[utoipa::path(get, path = "/halls/{hall}/windows", tag = "queue",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 200, body = Page<WindowRow>), (status = 404, body = Problem)))]
async fn windows(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
) -> Result<Json<Page<WindowRow>>, Problem> {
    let mut rows = centre
        .store
        .read(move |sql| {
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SeeService, &place)?;
            Ok::<_, Problem>(rows::hall_window_rows(sql, &hall)?)
        })
        .await?;
    rows::refresh(&mut rows, &centre.nodes);
    Ok(Json(Page::whole(rows)))
}

/// What tickets are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TicketsAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Called at, or sent to, this window.
    #[param(value_type = Option<String>)]
    window: Option<WindowId>,
    /// In this state.
    state: Option<String>,
    /// Printed at or after this time.
    #[param(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// Printed before this time.
    #[param(value_type = Option<String>)]
    to: Option<UtcMillis>,
}

/// When a ticket was taken, or first heard of.
const TAKEN: &str = "COALESCE(t.issued_at, t.called_at, t.at)";
const SORTS: Columns = Columns { sorts: &[("at", TAKEN)], id: "t.case_id", usual: "-at" };

/// Tickets, newest first unless sorted by `at`.
#[utoipa::path(get, path = "/tickets", tag = "queue", params(TicketsAsked, View),
    responses((status = 200, body = Page<TicketRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn tickets(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<TicketsAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<TicketRow>>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let order = SORTS.order(&view)?;
    let page = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeService);
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("t.hall = ?", &asked.hall)
                .with("t.win = ?", &asked.window)
                .with("t.state = ?", &asked.state)
                .with(&format!("{TAKEN} >= ?"), &asked.from)
                .with(&format!("{TAKEN} < ?"), &asked.to);
            let columns = "t.case_id, t.hall, t.number, t.business, t.priority, t.state, t.win, t.issued_at, \
                 t.called_at, t.started_at, t.ended_at, t.recalls";
            order.page(sql, filter, columns, "tickets t JOIN halls h ON h.id = t.hall", ticket)
        })
        .await?;
    Ok(Json(page))
}

fn ticket(row: &Row) -> Result<TicketRow, StoreError> {
    Ok(TicketRow {
        case_id: row.get(0)?,
        hall: row.get(1)?,
        ticket: row.get(2)?,
        business: row.get(3)?,
        priority: row.get(4)?,
        state: row.get(5)?,
        window: row.get(6)?,
        issued_at: row.get(7)?,
        called_at: row.get(8)?,
        started_at: row.get(9)?,
        ended_at: row.get(10)?,
        recalls: row.get(11)?,
    })
}
