//! The node listener: TLS (`shown`), a client certificate of the centre's own CA on every route but enrolment, and the routes
//! of the node contract. What is wrong is told in plain words, because the person who reads them stands in a hall with a phone.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State, rejection::JsonRejection},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use control_protocol::{
    DeliveryId, LeaseId, UtcMillis,
    channel::{COMMANDS_PATH, MAX_TEXT, MEDIA_PATH},
    enrolment::{CONFIRM_PATH, ENROL_PATH, EnrolRequest, Enrolled, RENEW_PATH, RenewRequest},
    footage::FOOTAGE_PATH,
    frame,
    intake::{Answer, BOOT_HEADER, Behind, MAX_EVENTS, MAX_POST_BYTES, PATH as EVENTS_PATH},
};
use http::{HeaderMap, StatusCode, request::Parts};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    CaError, NodeIdentity, Nodes, Standing, certificates, change, channel, deliveries, intake, media,
    pairing::{self, PairingError},
    shown::{keep_shown, shown},
};
use crate::{
    params,
    site::{
        doorway::{Doorway, Place},
        problem::Problem,
        upgrade::Upgrade,
    },
    store::{Change, Sql, StoreError},
};

/// Read from a node's connection at a time: TLS itself reads no more than 4 KiB, and most pictures are longer.
const READ: usize = 32 * 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A request's head, and the longest that a kept connection stays quiet.
const HEADERS: Duration = Duration::from_secs(30);
/// A request with its body and answer; sockets are beyond it once they are open.
const REQUEST: Duration = Duration::from_secs(60);
/// Connections at a time: a region's halls with all their cameras, four times over.
const CONNECTIONS: usize = 8192;
/// The same of one address: halls may come through one, and none may keep the others out.
const CONNECTIONS_OF_ADDRESS: usize = 4096;
/// Batches worked on at a time; each holds up to a few megabytes.
const BATCHES: usize = 32;
/// Of them batches of a backlog, so that what happens now never waits behind more than these few in the store's queue.
const BACKLOGS: usize = 4;
/// A batch with so many events behind it is one of a backlog.
const BACKLOG_FROM: u64 = MAX_EVENTS as u64;
/// How long a backlog's batch waits in line for its turn.
const TURN: Duration = Duration::from_secs(3);
/// What batches may hold of memory while they come in and wait, kilobytes as posted.
const ROOM_KIB: usize = 128 * 1024;
/// How often it is looked whether certificates were revoked elsewhere, by the command line.
const REVOCATIONS: Duration = Duration::from_secs(4);
const STOPPING: Duration = Duration::from_secs(4);
/// After so many seconds a hall tries again when the disk is full.
const FULL_AGAIN: u64 = 3;

/// Why the listener does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The TLS layer.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The verifier of nodes' certificates cannot be made.
    #[error("the verifier of nodes' certificates cannot be made: {0}")]
    Verifier(String),
}

/// Serves nodes on `listener` under `names` (host names and addresses that nodes dial) until `stop`.
pub async fn serve(
    nodes: Nodes,
    listener: TcpListener,
    names: &[String],
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let mut authorities = nodes.authorities().watch();
    authorities.mark_unchanged();
    let showing = Arc::new(RwLock::new(shown(&nodes, names)?));
    let tracker = TaskTracker::new();
    let router = router(nodes.clone(), stop.clone(), tracker.clone());
    let doorway = Doorway::new(CONNECTIONS, CONNECTIONS_OF_ADDRESS);
    tracker.spawn(watch_revocations(nodes.clone(), stop.clone()));
    let (keeping, held, names) = (nodes.clone(), showing.clone(), names.to_vec());
    let renewed = move || {
        let config = shown(&keeping, &names)?;
        *held.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    };
    tracker.spawn(keep_shown("node", authorities, renewed, stop.clone()));
    tracing::info!(address = ?listener.local_addr().ok(), pin = %nodes.pin(), "nodes are served");
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: what is open goes on, and a place will come free.
                tracing::warn!(%error, "a node's connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = doorway.enter(address.ip().to_canonical()) else {
            tracing::warn!(%address, "too many connections on the node listener; this one is closed");
            continue;
        };
        let acceptor = TlsAcceptor::from(showing.read().unwrap_or_else(PoisonError::into_inner).clone());
        let (router, stop) = (router.clone(), stop.clone());
        tracker.spawn(connection(acceptor, router, stream, address, place, stop));
    }
    tracker.close();
    if tokio::time::timeout(STOPPING, tracker.wait()).await.is_err() {
        tracing::warn!("some connections of nodes did not end in time");
    }
    Ok(())
}

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Peer {
    address: SocketAddr,
    identity: Option<NodeIdentity>,
}

async fn connection(
    acceptor: TlsAcceptor,
    router: Router,
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "no TCP_NODELAY");
    }
    let shaken = tokio::select! {
        () = stop.cancelled() => return,
        shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(BufReader::with_capacity(READ, stream))) => shaken,
    };
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::warn!(%address, %error, "a TLS handshake on the node listener failed");
            return;
        }
        Err(_) => {
            tracing::warn!(%address, "a TLS handshake on the node listener took too long");
            return;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let identity = certificate.and_then(NodeIdentity::read);
    let service = router.layer(Extension(Peer { address, identity }));
    let mut served = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a node's connection ended");
    }
    drop(place);
}

async fn watch_revocations(nodes: Nodes, stop: CancellationToken) {
    let mut every = tokio::time::interval(REVOCATIONS);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        match nodes.certificates().load(nodes.store()).await {
            Ok(()) => nodes.cut_off_revoked(),
            Err(error) => tracing::warn!(%error, "revocations cannot be read; those known stand"),
        }
    }
}

#[derive(Clone)]
struct Listener {
    nodes: Nodes,
    stop: CancellationToken,
    tracker: TaskTracker,
    batches: Arc<Semaphore>,
    backlogs: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

fn router(nodes: Nodes, stop: CancellationToken, tracker: TaskTracker) -> Router {
    let places = |count| Arc::new(Semaphore::new(count));
    let (batches, backlogs, room) = (places(BATCHES), places(BACKLOGS), places(ROOM_KIB));
    let state = Listener { nodes, stop, tracker, batches, backlogs, room };
    let small = DefaultBodyLimit::max(64 * 1024);
    Router::new()
        .route(ENROL_PATH, post(enrol).layer(small))
        .route(RENEW_PATH, post(renew).layer(small))
        .route(CONFIRM_PATH, post(confirm).layer(small))
        .route(EVENTS_PATH, get(mark).post(events))
        .route(COMMANDS_PATH, any(commands))
        .route(&format!("{MEDIA_PATH}/{{lease}}"), any(stream))
        .route(&format!("{FOOTAGE_PATH}/{{delivery}}"), any(footage))
        .fallback(|| async { Problem::not_found("this is the listener for nodes; it has no such route") })
        .layer(axum::middleware::from_fn(in_time))
        .with_state(state)
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => busy("the request took too long").into_response(),
    }
}

fn busy(detail: &str) -> Problem {
    let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    problem.retry_after = Some(1);
    problem
}

fn later(detail: &str) -> Problem {
    let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
    problem.retry_after = Some(1);
    problem
}

/// A node with a certificate that stands, end included.
struct Known(NodeIdentity);

impl FromRequestParts<Listener> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, listener: &Listener) -> Result<Self, Problem> {
        let Late(identity) = Late::from_request_parts(parts, listener).await?;
        if identity.not_after < listener.nodes.now() {
            return Err(Problem::forbidden(format!(
                "the certificate of this node ended {}: renew it first (POST {RENEW_PATH})",
                identity.not_after
            )));
        }
        Ok(Self(identity))
    }
}

/// A node whose certificate stands or has ended not too long ago.
struct Late(NodeIdentity);

impl FromRequestParts<Listener> for Late {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, listener: &Listener) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().and_then(|peer| peer.identity.clone());
        let identity = peer.ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "this route takes only nodes with a certificate of this centre: pair the machine first",
            )
        })?;
        match listener.nodes.certificates().standing(&identity.serial) {
            Standing::Good => Ok(Self(identity)),
            Standing::Revoked => Err(Problem::forbidden(
                "the certificate of this node has been revoked: pair the machine anew with a new pairing code",
            )),
            Standing::Unknown => Err(Problem::forbidden(
                "this centre has no record of the node's certificate: pair the machine anew with a new pairing code",
            )),
        }
    }
}

impl From<PairingError> for Problem {
    fn from(error: PairingError) -> Self {
        let words = error.to_string();
        match error {
            PairingError::NotValid => Self::forbidden(words).named("urn:hallwatch:problem:pairing-code"),
            PairingError::OtherHall(_) => Self::forbidden(words).named("urn:hallwatch:problem:other-hall"),
            PairingError::UnknownHall(_) => {
                Self::not_found(words).named("urn:hallwatch:problem:unknown-hall")
            }
            PairingError::TooManyTries(seconds) => {
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, words);
                problem.retry_after = u64::try_from(seconds).ok();
                problem
            }
            PairingError::Ca(CaError::Request(_)) => Self::bad_request(words),
            PairingError::Ca(error) => error.into(),
            PairingError::Store(error) => error.into(),
        }
    }
}

async fn enrol(
    State(listener): State<Listener>,
    Extension(peer): Extension<Peer>,
    request: Result<Json<EnrolRequest>, JsonRejection>,
) -> Result<Json<Enrolled>, Problem> {
    let Json(request) = request.map_err(|error| Problem::bad_request(error.body_text()))?;
    let nodes = &listener.nodes;
    let address = peer.address.ip().to_canonical();
    Ok(Json(pairing::enrol(nodes, request, address, nodes.now()).await?))
}

async fn renew(
    State(listener): State<Listener>,
    Late(identity): Late,
    request: Result<Json<RenewRequest>, JsonRejection>,
) -> Result<Json<Enrolled>, Problem> {
    let Json(request) = request.map_err(|error| Problem::bad_request(error.body_text()))?;
    let nodes = &listener.nodes;
    let now: UtcMillis = nodes.now();
    let NodeIdentity { node, hall, serial, .. } = identity;
    // An agent of before would refuse what comes from an authority that it does not know yet.
    let authorities = nodes.authorities();
    let ca =
        if request.several { None } else { authorities.former() }.unwrap_or_else(|| authorities.signer());
    let ca_pem = if request.several { authorities.trusted_pem() } else { ca.pem().to_owned() };
    let signed = ca.sign_node(&node, &hall, &request.csr_pem, now).map_err(PairingError::from)?;
    let certificate_pem = signed.pem.clone();
    let (of_node, of_hall) = (node.clone(), hall.clone());
    nodes
        .store()
        .write("renewal", move |tx| {
            // Checked again where it cannot change: a node revoked a moment ago renews nothing.
            let stands = tx.query_one(
                "SELECT 1 FROM certificates WHERE serial = $1 AND revoked_at IS NULL",
                params![serial],
            )?;
            if stands.is_none() {
                return Err(PairingError::NotValid);
            }
            certificates::insert(tx, (&of_node, &of_hall), &signed, ca.pin(), now)?;
            Ok(())
        })
        .await?;
    nodes.certificates().load(nodes.store()).await?;
    tracing::info!(%node, "a node's certificate was renewed");
    Ok(Json(Enrolled { node, hall, certificate_pem, ca_pem }))
}

/// A node shows that it holds its new certificate, by coming with it.
async fn confirm(State(listener): State<Listener>, Known(identity): Known) -> Result<StatusCode, Problem> {
    let (now, signer) = (listener.nodes.now(), listener.nodes.follows());
    listener
        .nodes
        .store()
        .write("certificate in use", move |tx| {
            change::came(tx, &identity.node, &identity.serial, signer, now)?;
            tx.changes.push(Change::Node(identity.node));
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a machine while another is connected with the same certificate. What a copied disk sends would take the place
/// of what the right machine is about to send, and it would be the right one whose journal contradicts the record.
fn alone(nodes: &Nodes, identity: &NodeIdentity, headers: &HeaderMap) -> Result<(), Problem> {
    let boot = headers.get(BOOT_HEADER).and_then(|boot| boot.to_str().ok());
    let other = nodes.registry().of_node(&identity.node);
    match (boot, other) {
        (Some(boot), Some(link)) if link.boot != boot => Err(Problem::conflict(
            "another machine is connected with this node's certificate, and its events are taken: stop one of the two, and \
             pair it with a code of its own",
        )),
        _ => Ok(()),
    }
}

async fn mark(
    State(listener): State<Listener>,
    Known(identity): Known,
    headers: HeaderMap,
) -> Result<Json<Answer>, Problem> {
    alone(&listener.nodes, &identity, &headers)?;
    Ok(Json(intake::mark(&listener.nodes, &identity).await?))
}

async fn events(
    State(listener): State<Listener>,
    Known(identity): Known,
    headers: HeaderMap,
    Query(Behind { behind }): Query<Behind>,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    alone(&listener.nodes, &identity, &headers)?;
    let length =
        headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(MAX_POST_BYTES);
    if length > MAX_POST_BYTES {
        let words = format!("a batch has at most {MAX_POST_BYTES} bytes as posted");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, words));
    }
    let Ok(_room) = listener.room.try_acquire_many(u32::try_from(length / 1024 + 1).unwrap_or(u32::MAX))
    else {
        return Err(later("the centre has no room for more batches just now"));
    };
    let batch =
        to_bytes(body, MAX_POST_BYTES).await.map_err(|error| Problem::bad_request(error.to_string()))?;
    // Backlogs go one behind the other; what happens now goes past them.
    let _turn = if behind >= BACKLOG_FROM {
        let turn = tokio::time::timeout(TURN, listener.backlogs.acquire()).await;
        Some(turn.map_err(|_| later("other halls' backlogs go first"))?.map_err(|_| StoreError::Closed)?)
    } else {
        None
    };
    let Ok(_place) = listener.batches.try_acquire() else {
        return Err(busy("the centre takes other nodes' events just now"));
    };
    match intake::take(&listener.nodes, &identity, batch).await {
        Ok(answer) => Ok(Json(answer)),
        Err(intake::IntakeError::Batch(error)) => {
            tracing::warn!(node = %identity.node, %error, "a batch was refused");
            Err(Problem::bad_request(error.to_string()))
        }
        Err(intake::IntakeError::Store(error)) => Err(not_stored(error)),
        Err(intake::IntakeError::Stopping) => Err(StoreError::Closed.into()),
    }
}

/// What a hall is told whose batch could not be stored. On a full disk it keeps what it has and asks again soon enough to be
/// heard at once when there is space again.
fn not_stored(error: StoreError) -> Problem {
    match error {
        StoreError::Full => {
            tracing::error!(%error, "a batch is not taken");
            let mut problem = busy(&error.to_string());
            problem.retry_after = Some(FULL_AGAIN);
            problem
        }
        other => other.into(),
    }
}

async fn commands(State(listener): State<Listener>, Known(identity): Known, upgrade: Upgrade) -> Response {
    let Listener { nodes, stop, tracker, .. } = listener;
    upgrade.answer(MAX_TEXT, move |socket| tracker.track_future(channel::run(nodes, identity, socket, stop)))
}

async fn stream(
    State(listener): State<Listener>,
    Known(identity): Known,
    Path(lease): Path<String>,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    const MESSAGE: usize = frame::HEADER + frame::MAX_PAYLOAD;
    let gone = || Problem::not_found("this lease does not stand any more: nobody waits for its stream");
    let lease: LeaseId = lease.parse().map_err(|_| gone())?;
    let Listener { nodes, stop, tracker, .. } = listener;
    let entry = nodes.leases().find(&lease, &identity.hall).ok_or_else(gone)?;
    Ok(upgrade.answer(MESSAGE, move |socket| {
        // A node that is revoked loses its pictures with its channel, whatever it does with the connection.
        let over = stop.child_token();
        let certificates = nodes.clone();
        let serving = media::run(nodes, lease, entry, socket, over.clone());
        tracker.track_future(async move {
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                () = &mut serving => return,
                () = certificates.certificates().gone(&identity.serial) => over.cancel(),
            }
            serving.await;
        })
    }))
}

async fn footage(
    State(listener): State<Listener>,
    Known(identity): Known,
    Path(delivery): Path<String>,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let gone = || Problem::not_found("nobody waits for this delivery of footage any more");
    let delivery: DeliveryId = delivery.parse().map_err(|_| gone())?;
    let awaited = listener.nodes.deliveries().take(&delivery, &identity.hall).ok_or_else(gone)?;
    Ok(upgrade.answer(deliveries::LARGEST, move |socket| async move {
        // Whoever waited may have gone; the connection then closes.
        let _ = awaited.send(socket);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_something_to_wait_for() {
        let response = not_stored(StoreError::Full).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[http::header::RETRY_AFTER], FULL_AGAIN.to_string());
        let response = not_stored(StoreError::Read("x".into())).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!response.headers().contains_key(http::header::RETRY_AFTER));
    }
}
