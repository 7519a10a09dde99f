//! The listener for the machine itself: `/livez`, `/readyz` and `/metrics`. It owns no state; it shows what the others
//! publish. Its actual address is written to `local-site.json` in the data folder, by rename, since its port may be 0.

mod metrics;

use std::{path::Path, sync::Arc};

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use control_protocol::UtcMillis;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    cameras::Cameras,
    clock::SystemClock,
    devices::SharedFigures,
    journal::Journal,
    uplink::{channel::ChannelState, sender::UplinkState},
    vault::write_private,
};

/// What the site shows.
pub struct Shown {
    /// The journal.
    pub journal: Journal,
    /// Devices and queue.
    pub figures: SharedFigures,
    /// The cameras.
    pub cameras: Cameras,
    /// The event sender.
    pub uplink: watch::Receiver<UplinkState>,
    /// The command channel.
    pub channel: watch::Receiver<ChannelState>,
    /// When the node's certificate ends.
    pub certificate_ends: watch::Receiver<UtcMillis>,
    /// Time.
    pub clock: Arc<SystemClock>,
}

fn router(shown: Arc<Shown>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
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
pub async fn bind(listen: std::net::SocketAddr, data: &Path) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("local site at {listen}"))?;
    let address = listener.local_addr()?;
    let place = data.join("local-site.json");
    let text = serde_json::json!({ "address": address.to_string(), "url": format!("http://{address}") });
    write_private(&place, text.to_string().as_bytes()).with_context(|| place.display().to_string())?;
    tracing::info!(%address, "the local site listens");
    Ok(listener)
}

/// Serves until `cancel`.
///
/// # Errors
/// The listener's.
pub async fn serve(listener: TcpListener, shown: Shown, cancel: CancellationToken) -> anyhow::Result<()> {
    let router = router(Arc::new(shown));
    axum::serve(listener, router).with_graceful_shutdown(async move { cancel.cancelled().await }).await?;
    Ok(())
}
