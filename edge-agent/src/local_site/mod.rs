//! The listener at the hall: `/livez`, `/readyz` and `/metrics` for the machine itself, the hall's pages, and the
//! ticket desk's routes. It owns no state; it shows what the others publish. Its actual address is written to `local-site.json` in the data folder, by rename,
//! since its port may be 0.

pub mod callout;
mod metrics;
mod pages;
pub mod tickets;

pub(crate) use pages::serve as page;

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use control_protocol::UtcMillis;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    cameras::Cameras,
    clock::SystemClock,
    devices::{SharedFigures, Switchboard, messages::Messages},
    journal::Journal,
    recorder::Recorder,
    uplink::{channel::ChannelState, sender::UplinkState},
    vault::write_private,
};

/// What the site shows.
pub struct Shown {
    /// The journal.
    pub journal: Journal,
    /// Devices and queue.
    pub figures: SharedFigures,
    /// What stands where and how it is.
    pub board: Switchboard,
    /// Text messages.
    pub messages: Messages,
    /// The cameras.
    pub cameras: Cameras,
    /// The recorder, where anything is recorded.
    pub recorder: Option<Recorder>,
    /// The event sender.
    pub uplink: watch::Receiver<UplinkState>,
    /// The command channel.
    pub channel: watch::Receiver<ChannelState>,
    /// When the node's certificate ends.
    pub certificate_ends: watch::Receiver<UtcMillis>,
    /// The call-out screen.
    pub callout: callout::Callout,
    /// The ticket desk.
    pub tickets: tickets::TicketRoutes,
    /// Time.
    pub clock: Arc<SystemClock>,
}

fn router(shown: Arc<Shown>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .fallback(pages::serve)
        .with_state(shown)
}

async fn ready(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let full = shown.journal.status().borrow().full;
    let uplink = shown.uplink.borrow().clone();
    let link = match (&uplink.connected, &uplink.why) {
        (true, _) => "the centre takes events".to_owned(),
        (false, Some(why)) => format!("the centre does not take events now, they are kept here: {why}"),
        (false, None) => "the centre has not been reached yet, events are kept here".to_owned(),
    };
    if full {
        (StatusCode::SERVICE_UNAVAILABLE, format!("the disk is full: events cannot be taken\n{link}\n"))
    } else {
        (StatusCode::OK, format!("events are taken\n{link}\n"))
    }
}

async fn figures(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], metrics::text(&shown))
}

/// Binds the listener and writes where it is.
///
/// # Errors
/// The address is taken, or the file cannot be written.
pub async fn bind(listen: SocketAddr, data: &Path) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("local site at {listen}"))?;
    let address = listener.local_addr()?;
    let place = data.join("local-site.json");
    let text = serde_json::json!({ "address": address.to_string(), "url": format!("http://{address}") });
    match write_private(&place, text.to_string().as_bytes()) {
        // Who looks for the page on a full disk finds it where it was before, if its port is a fixed one.
        Err(e) if e.kind() == std::io::ErrorKind::StorageFull => {
            tracing::error!("the disk is full: {} cannot be written", place.display());
        }
        written => written.with_context(|| place.display().to_string())?,
    }
    tracing::info!(%address, "the local site listens");
    Ok(listener)
}

/// Serves until `cancel`.
///
/// # Errors
/// The listener's.
pub async fn serve(listener: TcpListener, shown: Shown, cancel: CancellationToken) -> anyhow::Result<()> {
    let callout = shown.callout.clone();
    let calls = tokio::spawn(callout.clone().run());
    let open = callout.routes().merge(shown.tickets.routes());
    let router = router(Arc::new(shown)).merge(open);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(async move { cancel.cancelled().await }).await?;
    calls.await?;
    Ok(())
}
