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
        list::{Page, limit, split_cursor},
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
    /// A page's `next`.
    after: Option<String>,
    /// The most rows.
    limit: Option<usize>,
}

/// Tickets, newest first.
#[utoipa::path(get, path = "/tickets", tag = "queue", params(TicketsAsked),
    responses((status = 200, body = Page<TicketRow>), (status = 403, body = Problem)))]
async fn tickets(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<TicketsAsked>,
) -> Result<Json<Page<TicketRow>>, Problem> {
    may_somewhere(&person, Action::SeeService)?;
    let most = limit(asked.limit);
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeService);
            let cursor = asked.after.as_deref().and_then(split_cursor);
            let (at, id) = cursor.unzip();
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("t.hall = ?", &asked.hall)
                .with("t.win = ?", &asked.window)
                .with("t.state = ?", &asked.state)
                .with("COALESCE(t.issued_at, t.called_at, t.at) >= ?", &asked.from)
                .with("COALESCE(t.issued_at, t.called_at, t.at) < ?", &asked.to);
            if let (Some(at), Some(id)) = (&at, &id) {
                filter.after("COALESCE(t.issued_at, t.called_at, t.at)", at, "t.case_id", id);
            }
            let (statement, params) = filter.statement(
                "SELECT t.case_id, t.hall, t.number, t.business, t.priority, t.state, t.win, t.issued_at, \
                 t.called_at, t.started_at, t.ended_at, t.recalls, COALESCE(t.issued_at, t.called_at, t.at) \
                 FROM tickets t JOIN halls h ON h.id = t.hall",
                "ORDER BY COALESCE(t.issued_at, t.called_at, t.at) DESC, t.case_id DESC",
                most + 1,
            );
            sql.query(&statement, &params)?.iter().map(ticket).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let page = Page::cut(rows, most, |(at, row)| format!("{at}:{}", row.case_id));
    Ok(Json(Page { items: page.items.into_iter().map(|(_, row)| row).collect(), next: page.next }))
}

fn ticket(row: &Row) -> Result<(i64, TicketRow), StoreError> {
    let ticket = TicketRow {
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
    };
    Ok((row.get(12)?, ticket))
}
