//! The routes at which a kiosk in the hall takes tickets of ours. It lets in the machine itself and the addresses of the
//! configuration; it gives no ticket itself, and says of each whether its slip is on paper.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use control_protocol::CaseId;
use device_drivers::{port::Network, ticket::NotPrinted};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::devices::tickets::{Given, NoTicket, Tickets};

/// Tickets that the hall gives at once, and how often one more: far more than people can press, far less than a roll.
const BURST: f64 = 10.0;
const EVERY: Duration = Duration::from_secs(2);

/// The routes. Clones are the same.
#[derive(Clone)]
pub struct TicketRoutes(Arc<Inner>);

struct Inner {
    tickets: Tickets,
    allow: Vec<Network>,
    pace: Mutex<(f64, Instant)>,
}

impl TicketRoutes {
    /// Routes for this desk; `allow` are the kiosks' addresses, beside the machine itself.
    pub fn new(tickets: Tickets, allow: Vec<Network>) -> Self {
        Self(Arc::new(Inner { tickets, allow, pace: Mutex::new((BURST, Instant::now())) }))
    }

    /// `/api/v1/tickets`. Needs to know who asks ([`ConnectInfo`]).
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/api/v1/tickets", get(offered).post(take))
            .route("/api/v1/tickets/{case}/print", post(print_again))
            .layer(middleware::from_fn_with_state(self.clone(), let_in))
            .with_state(self.clone())
    }

    fn lets_in(&self, from: IpAddr) -> bool {
        from.to_canonical().is_loopback() || self.0.allow.iter().any(|network| network.contains(from))
    }

    /// Whether one more slip may be printed now.
    fn may_print(&self) -> bool {
        let mut pace = self.0.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let (room, last) = &mut *pace;
        *room = (*room + last.elapsed().as_secs_f64() / EVERY.as_secs_f64()).min(BURST);
        *last = Instant::now();
        let may = *room >= 1.0;
        if may {
            *room -= 1.0;
        }
        may
    }
}

fn problem(status: StatusCode, code: &str, params: Value, detail: &str) -> Response {
    let body = json!({
        "type": format!("urn:hallwatch:problem:tickets:{code}"),
        "title": status.canonical_reason().unwrap_or("Problem"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
        "params": params,
    });
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}

async fn let_in(
    State(routes): State<TicketRoutes>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if routes.lets_in(from.ip()) {
        return next.run(request).await;
    }
    problem(
        StatusCode::FORBIDDEN,
        "not-a-kiosk",
        json!({"address": from.ip()}),
        "tickets are taken at the hall's kiosks: add this address to allow in [tickets]",
    )
}

async fn offered(State(routes): State<TicketRoutes>) -> Response {
    let tickets = &routes.0.tickets;
    let printers: Vec<Value> = tickets
        .printers()
        .into_iter()
        .map(|ready| {
            let (code, why) = ready.trouble.unzip();
            json!({"printer": ready.printer, "ready": code.is_none(), "code": code, "why": why})
        })
        .collect();
    Json(json!({"hall": tickets.hall(), "businesses": tickets.businesses(), "printers": printers}))
        .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    business: String,
    printer: Option<String>,
}

async fn take(State(routes): State<TicketRoutes>, Json(wanted): Json<Wanted>) -> Response {
    if !routes.may_print() {
        return too_often();
    }
    answer(routes.0.tickets.take(&wanted.business, wanted.printer.as_deref()).await)
}

/// An empty object. Another site's page cannot send JSON without being asked first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn print_again(
    State(routes): State<TicketRoutes>,
    Path(case): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    let Ok(case) = case.parse::<CaseId>() else { return answer(Err(NoTicket::Unknown)) };
    if !routes.may_print() {
        return too_often();
    }
    answer(routes.0.tickets.print_again(case).await)
}

fn too_often() -> Response {
    let seconds = EVERY.as_secs();
    problem(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many",
        json!({"seconds": seconds}),
        "too many tickets at once: wait a moment",
    )
}

fn answer(given: Result<Given, NoTicket>) -> Response {
    let refused = match given {
        Ok(given) => return (StatusCode::CREATED, Json(shown(&given))).into_response(),
        Err(refused) => refused,
    };
    let (status, code, params) = match &refused {
        NoTicket::OtherMachine(machine) => {
            (StatusCode::CONFLICT, "other-machine", json!({"machine": machine}))
        }
        NoTicket::NoPrinter => (StatusCode::CONFLICT, "no-printer", json!({})),
        NoTicket::Printer { printer, code, why } => {
            (StatusCode::CONFLICT, "printer", json!({"printer": printer, "code": code, "why": why}))
        }
        NoTicket::NoBusiness(business) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "no-business", json!({"business": business}))
        }
        NoTicket::NotRecorded => (StatusCode::SERVICE_UNAVAILABLE, "not-recorded", json!({})),
        NoTicket::Unknown => (StatusCode::NOT_FOUND, "not-found", json!({})),
    };
    problem(status, code, params, &refused.to_string())
}

/// A ticket with the fate of its slip: `printed`, or why not and whether a piece of it may be on paper.
fn shown(given: &Given) -> Value {
    let issued = &given.issued;
    let (printed, code, why) = match &given.printed {
        Ok(printed) => (true, printed.interrupted.map(|trouble| trouble.name()), None),
        Err(error) => {
            let code = match error {
                NotPrinted::Refused(trouble) => trouble.name(),
                NotPrinted::Away(_) => "down",
                NotPrinted::Partial { .. } => "partial",
                NotPrinted::Busy => "busy",
                NotPrinted::Ended => "ended",
            };
            (false, Some(code), Some(error.to_string()))
        }
    };
    json!({
        "case": issued.case,
        "ticket": issued.ticket,
        "business": issued.business,
        "waiting": issued.waiting,
        "at": issued.at,
        "printer": given.printer,
        "printed": printed,
        "code": code,
        "why": why,
    })
}
