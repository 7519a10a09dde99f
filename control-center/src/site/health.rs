//! `/livez`, `/readyz` and `/metrics`.

use std::{fmt::Write, net::SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header, request::Parts};

use super::{pages, problem::Problem};
use crate::{
    Centre,
    access::{Action, Person, may_somewhere},
    params,
    store::StoreError,
};

/// How long the store may take to answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(centre): State<Centre>) -> Response {
    if centre.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let read = centre.store.read(|sql| sql.query_one("SELECT 1", params![]));
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(_)) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}

/// Whoever may see the figures: a program on this machine, or a technician or administrator.
struct Watcher;

impl FromRequestParts<Centre> for Watcher {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, centre: &Centre) -> Result<Self, Problem> {
        let near = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback());
        if !near {
            let person = Person::from_request_parts(parts, centre).await?;
            may_somewhere(&person, Action::SeeNodes)?;
        }
        Ok(Self)
    }
}

async fn metrics(State(centre): State<Centre>, _: Watcher) -> Result<Response, Problem> {
    let rows = centre
        .store
        .read(|sql| {
            let row = sql.query_one(
                "SELECT (SELECT COALESCE(MAX(n), 0) FROM events), (SELECT COUNT(*) FROM dead_events), \
                 (SELECT COUNT(*) FROM sessions), (SELECT COUNT(*) FROM nodes WHERE quarantined IS NOT NULL), \
                 (SELECT COALESCE(SUM(window_events), 0) FROM coverage), (SELECT COALESCE(SUM(tagged), 0) FROM coverage), \
                 (SELECT COUNT(*) FROM webhooks WHERE enabled = 1), (SELECT COUNT(*) FROM webhooks WHERE failures > 0), \
                 (SELECT COALESCE(SUM(delivered), 0) FROM webhooks), \
                 (SELECT COALESCE(MAX((SELECT COALESCE(MAX(n), 0) FROM events) - after_n), 0) FROM webhooks WHERE enabled = 1)",
                params![],
            )?;
            let row = row.ok_or_else(|| StoreError::Read("no figures".into()))?;
            (0..10).map(|at| row.get::<i64>(at)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let names = [
        ("hallwatch_events_stored", "Events in the record."),
        ("hallwatch_dead_events", "Events kept apart because they cannot be read."),
        ("hallwatch_sessions", "People's sessions."),
        ("hallwatch_nodes_quarantined", "Nodes in quarantine."),
        ("hallwatch_window_events", "Window events in the record."),
        ("hallwatch_window_events_tagged", "Window events with a case ID."),
        ("hallwatch_webhooks_enabled", "Webhooks that send."),
        ("hallwatch_webhooks_failing", "Webhooks whose last delivery failed, those given up included."),
        ("hallwatch_webhooks_delivered_events", "Events that webhooks' receivers have taken."),
        (
            "hallwatch_webhooks_behind_events",
            "Events of the record that the webhook furthest behind has not passed.",
        ),
    ];
    let mut text = format!(
        "# HELP hallwatch_build_info This program.\n# TYPE hallwatch_build_info gauge\n\
         hallwatch_build_info{{version=\"{}\",pages=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION"),
        pages::stamp()
    );
    for ((name, help), value) in names.iter().zip(rows) {
        // Writing to a String does not fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    text.push_str(&centre.store.metrics());
    text.push_str(&centre.nodes.metrics());
    text.push_str(&centre.live.metrics());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
