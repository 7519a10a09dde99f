//! The stream of one lease: its media connection, dialled again while the lease stands.

use std::{future::Future, sync::Arc, time::Duration};

use control_protocol::{
    CameraId, LeaseId, StreamId,
    channel::{MEDIA_PATH, StreamState},
    frame::Tier,
    websocket::Socket,
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, jitter};
use crate::{
    cameras::Cameras,
    uplink::{
        connector::{ConnectError, Connector, NodeSocket},
        media::{MediaEnd, serve},
    },
};

/// A media connection that held at least this long was a good one: the next is dialled at once.
const GOOD: Duration = Duration::from_secs(5);

/// Dials WebSockets of the centre's node listener.
pub trait Dial: Send + Sync + 'static {
    /// What the WebSocket runs over.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A new WebSocket at `path`.
    fn websocket(&self, path: &str) -> impl Future<Output = Result<Socket<Self::Io>, ConnectError>> + Send;
}

impl Dial for Connector {
    type Io = TokioIo<Upgraded>;
    async fn websocket(&self, path: &str) -> Result<NodeSocket, ConnectError> {
        Connector::websocket(self, path).await
    }
}

/// What is sent for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) camera: CameraId,
    pub(super) tier: Tier,
    pub(super) stream: StreamId,
}

/// Why a lease cannot be served.
pub(super) type Failure = (StreamState, String);

/// Serves a lease until `cancel`; gives the reason if it cannot be served.
pub(super) async fn stream<D: Dial>(
    dial: Arc<D>,
    cameras: Cameras,
    lease: LeaseId,
    wanted: Wanted,
    cancel: CancellationToken,
) -> (LeaseId, Option<Failure>) {
    let failure = tokio::select! {
        biased;
        failure = keep(dial.as_ref(), &cameras, &lease, &wanted, &cancel) => failure,
        () = ended_long_ago(&cancel) => None,
    };
    (lease, failure)
}

/// Ends some time after the cancellation: a farewell has been said by then or cannot be.
async fn ended_long_ago(cancel: &CancellationToken) {
    cancel.cancelled().await;
    sleep(Duration::from_secs(2)).await;
}

async fn keep<D: Dial>(
    dial: &D,
    cameras: &Cameras,
    lease: &LeaseId,
    wanted: &Wanted,
    cancel: &CancellationToken,
) -> Option<Failure> {
    let path = format!("{MEDIA_PATH}/{lease}");
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));
    // The first delay is none: it stands for the first attempt.
    while !cancel.is_cancelled() {
        tokio::select! {
            () = cancel.cancelled() => return None,
            () = sleep(backoff.delay(jitter())) => {}
        }
        // Opened anew each time, so that each connection begins at the newest key frame; opened before the dialling, so
        // that a camera that is not pulled yet is dialled meanwhile.
        let Some(mut viewing) = cameras.open(&wanted.camera, wanted.tier) else {
            let why = format!("the hall's edge agent has no camera {}", wanted.camera);
            return Some((StreamState::Offline, why));
        };
        let dialled = tokio::select! {
            () = cancel.cancelled() => return None,
            dialled = dial.websocket(&path) => dialled,
        };
        let mut socket = match dialled {
            Ok(socket) => socket,
            // The centre does not know the lease (any more): there is nothing to serve.
            Err(ConnectError::Refused { status: 400..=499, detail, .. }) => {
                tracing::debug!(%lease, camera = %wanted.camera, "the centre takes no media for the lease: {detail}");
                return None;
            }
            Err(error) => {
                tracing::debug!(%lease, camera = %wanted.camera, "no media connection: {error}");
                continue;
            }
        };
        let began = Instant::now();
        match serve(&mut socket, &mut viewing, wanted.stream, cancel).await {
            MediaEnd::Released => return None,
            MediaEnd::Failed { state, why } => return Some((state, why)),
            MediaEnd::Broken(why) => {
                tracing::debug!(%lease, camera = %wanted.camera, "the media connection broke: {why}");
                if began.elapsed() >= GOOD {
                    backoff.reset();
                }
            }
        }
    }
    None
}
