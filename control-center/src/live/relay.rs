//! One relay for each camera and tier that somebody watches: it holds the lease, takes what the edge sends into a hub
//! and says how the stream is. However many pages watch, the edge is asked once; when the last one leaves, it is told at
//! once. The relay outlives the edge's connection, so a page keeps its place while a hall comes back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{
    CameraId, HallId, LeaseId, StreamId,
    channel::{LEASE_MS, StreamDescription, StreamState, ToEdge},
    frame::{HEADER, Header, Kind, Tier},
    hub::{Bell, Hub, Subscription},
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::judge::{Known, judge};
use crate::nodes::{LeaseSide, Link, Nodes};

/// How long a stream goes on after its last viewer: a page that changes its layout leaves and comes back.
const LINGER: Duration = Duration::from_secs(3);
/// How often the state is judged when nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// Between a lease that failed or broke and the next one.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_SOON: Duration = Duration::from_millis(250);
/// A media connection must come within this, or the lease is asked for anew.
const DIAL: Duration = Duration::from_secs(8);

/// What a tile is told of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its state.
    pub state: StreamState,
    /// Why it is not live; of a live one what people should know of it, such as that it is transcoded.
    pub why: Option<String>,
    /// What it is, once it has been described.
    pub description: Option<StreamDescription>,
}

/// One stream.
pub struct Relay {
    camera: CameraId,
    hall: HallId,
    tier: Tier,
    stream: StreamId,
    hub: Hub,
    inner: Mutex<Inner>,
    seats: AtomicUsize,
    /// Rung when the task should look: a seat was taken or left, a lease opened, closed or failed.
    look: Notify,
    /// Goes up at each change of `shown`.
    turn: AtomicU64,
}

struct Inner {
    lease: Option<Lease>,
    known: Known,
    shown: Shown,
    last_frame: Option<Instant>,
    last_key_pts: Option<i64>,
    /// Payload of the newest parameters, to know a repetition.
    parameters: Option<Bytes>,
    /// The newest frame's capture time; on a new connection frames up to it have been here already.
    newest_captured: i64,
    joining: bool,
    keys_since_opened: u32,
    pages: Vec<(Weak<Bell>, u32)>,
}

struct Lease {
    id: LeaseId,
    link: Weak<Link>,
    asked: Instant,
    renewed: Instant,
    /// When to give it up and ask anew.
    over: Option<Instant>,
    /// The edge said that it cannot serve it.
    failed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    fn new(camera: CameraId, hall: HallId, tier: Tier, stream: StreamId) -> Self {
        Self {
            camera,
            hall,
            tier,
            stream,
            hub: Hub::default(),
            inner: Mutex::new(Inner {
                lease: None,
                known: Known::default(),
                shown: Shown { state: StreamState::Connecting, why: None, description: None },
                last_frame: None,
                last_key_pts: None,
                parameters: None,
                newest_captured: i64::MIN,
                joining: false,
                keys_since_opened: 0,
                pages: Vec::new(),
            }),
            seats: AtomicUsize::new(0),
            look: Notify::new(),
            turn: AtomicU64::new(1),
        }
    }

    /// The stream's number in its frame messages.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Goes up whenever [`Relay::shown`] changes.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// What its tiles are to show.
    pub fn shown(&self) -> Shown {
        lock(&self.inner).shown.clone()
    }

    /// How long ago the last frame came.
    pub fn age(&self) -> Option<Duration> {
        lock(&self.inner).last_frame.map(|at| at.elapsed())
    }

    /// The newest key frame, if the hub holds one.
    pub fn newest_key(&self) -> Option<Bytes> {
        self.hub.newest_key().map(|(_, message)| message)
    }

    /// Judges anew and tells the pages if something is different.
    fn judge(&self, inner: &mut Inner) {
        inner.known.age = inner.last_frame.map(|at| at.elapsed());
        let (state, why) = judge(self.tier, &inner.known);
        let note = || inner.shown.description.as_ref().and_then(|description| description.note.clone());
        let why = if state == StreamState::Live { note() } else { why };
        if inner.shown.state != state || inner.shown.why != why {
            tracing::debug!(camera = %self.camera, tier = self.tier.as_str(), ?state, why, "a stream's state");
            inner.shown.state = state;
            inner.shown.why = why;
            self.tell(inner);
        }
    }

    fn tell(&self, inner: &mut Inner) {
        self.turn.fetch_add(1, Ordering::AcqRel);
        inner.pages.retain(|(bell, token)| match bell.upgrade() {
            Some(bell) => {
                bell.ring(*token);
                true
            }
            None => false,
        });
    }

    fn is_current(&self, inner: &Inner, lease: &LeaseId) -> bool {
        inner.lease.as_ref().is_some_and(|held| held.id == *lease)
    }
}

impl LeaseSide for Relay {
    fn opened(&self, lease: &LeaseId) {
        let mut inner = lock(&self.inner);
        if !self.is_current(&inner, lease) {
            return;
        }
        inner.known.media = true;
        inner.joining = true;
        inner.keys_since_opened = 0;
        if let Some(held) = inner.lease.as_mut().filter(|held| !held.failed) {
            held.over = None;
        }
        self.judge(&mut inner);
    }

    fn described(&self, description: StreamDescription) {
        let mut inner = lock(&self.inner);
        if inner.shown.description.as_ref() != Some(&description) {
            inner.shown.description = Some(description);
            self.tell(&mut inner);
        }
    }

    fn message(&self, header: Header, message: Bytes) {
        let mut inner = lock(&self.inner);
        match header.kind {
            Kind::Parameters => {
                // The edge sends them on every connection; the hub lets go of its pictures only for new ones.
                if inner.parameters.as_ref().is_some_and(|held| held[..] == message[HEADER..]) {
                    return;
                }
                inner.parameters = Some(message.slice(HEADER..));
                inner.newest_captured = i64::MIN;
                drop(inner);
                self.hub.publish_parameters(message);
            }
            Kind::Frame => {
                if header.key {
                    inner.keys_since_opened += 1;
                }
                // A new connection begins with the last group of pictures, which may have been here already. The rule
                // ends with the second key frame, so that a clock set back cannot silence a stream.
                if inner.joining {
                    if inner.keys_since_opened <= 1 && header.captured_us <= inner.newest_captured {
                        return;
                    }
                    inner.joining = false;
                }
                inner.newest_captured = header.captured_us;
                if header.key {
                    let apart = inner.last_key_pts.map(|last| header.pts_us - last);
                    if let Some(apart) =
                        apart.and_then(|us| u64::try_from(us).ok()).filter(|us| *us < 60_000_000)
                    {
                        inner.known.key_interval = Some(Duration::from_micros(apart));
                    }
                    inner.last_key_pts = Some(header.pts_us);
                }
                inner.last_frame = Some(Instant::now());
                // Only a picture shows that what failed works again: an edge dials before it knows.
                inner.known.failed = None;
                if inner.shown.state != StreamState::Live {
                    self.judge(&mut inner);
                }
                drop(inner);
                self.hub.publish(message, header.key);
            }
            // The connection's end is told by `closed`.
            Kind::End => {}
        }
    }

    fn closed(&self, lease: &LeaseId, why: &str) {
        let mut inner = lock(&self.inner);
        if !self.is_current(&inner, lease) {
            return;
        }
        tracing::debug!(camera = %self.camera, tier = self.tier.as_str(), why, "the stream's connection is gone");
        inner.known.media = false;
        // A lease that failed keeps its own, longer pause.
        if let Some(held) = inner.lease.as_mut().filter(|held| !held.failed) {
            held.over = Some(Instant::now() + AGAIN_SOON);
        }
        drop(inner);
        self.look.notify_one();
    }

    fn failed(&self, lease: &LeaseId, state: StreamState, why: &str) {
        let mut inner = lock(&self.inner);
        if !self.is_current(&inner, lease) {
            return;
        }
        // What only the centre can know is not the edge's to say.
        let state = match state {
            StreamState::Live | StreamState::Forbidden => StreamState::Offline,
            state => state,
        };
        inner.known.failed = Some((state, why.to_owned()));
        if let Some(held) = &mut inner.lease {
            held.over = Some(Instant::now() + AGAIN);
            held.failed = true;
        }
        self.judge(&mut inner);
        drop(inner);
        self.look.notify_one();
    }
}

/// A viewer's place at a relay. Dropping it leaves; the last one to leave ends the stream.
pub struct Seat {
    relay: Arc<Relay>,
    /// The viewer's end of the stream.
    pub subscription: Subscription,
}

impl Seat {
    /// The relay.
    pub fn relay(&self) -> &Arc<Relay> {
        &self.relay
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.relay.seats.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.relay.look.notify_one();
        }
    }
}

/// The relays there are.
pub struct Relays {
    nodes: Nodes,
    held: Mutex<HashMap<(CameraId, Tier), Arc<Relay>>>,
    next: AtomicU32,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Relays {
    pub(super) fn new(nodes: Nodes, stop: CancellationToken) -> Self {
        Self { nodes, held: Mutex::default(), next: AtomicU32::new(1), tracker: TaskTracker::new(), stop }
    }

    /// Takes a place at the relay of a camera's tier, starting it if nobody watched. `bell` is rung with the stream's
    /// number when there is a frame or the state changes.
    pub fn join(self: &Arc<Self>, camera: &CameraId, hall: &HallId, tier: Tier, bell: &Arc<Bell>) -> Seat {
        let mut held = lock(&self.held);
        let relay = held
            .entry((camera.clone(), tier))
            .or_insert_with(|| {
                let stream = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
                let relay = Arc::new(Relay::new(camera.clone(), hall.clone(), tier, stream));
                self.tracker.spawn(tend(self.clone(), relay.clone()));
                relay
            })
            .clone();
        relay.seats.fetch_add(1, Ordering::AcqRel);
        drop(held);
        let token = relay.stream.0;
        lock(&relay.inner).pages.push((Arc::downgrade(bell), token));
        relay.look.notify_one();
        Seat { subscription: relay.hub.subscribe(bell.clone(), token), relay }
    }

    /// How many streams there are, and how many viewers they have.
    pub fn count(&self) -> (usize, usize) {
        let held = lock(&self.held);
        (held.len(), held.values().map(|relay| relay.seats.load(Ordering::Relaxed)).sum())
    }

    /// Bytes of pictures held for viewers that come or are behind.
    pub fn held_bytes(&self) -> usize {
        lock(&self.held).values().map(|relay| relay.hub.held_bytes()).sum()
    }

    /// Takes the relay out unless somebody has come meanwhile.
    fn retire(&self, relay: &Arc<Relay>) -> bool {
        let mut held = lock(&self.held);
        if relay.seats.load(Ordering::Acquire) > 0 && !self.stop.is_cancelled() {
            return false;
        }
        held.remove(&(relay.camera.clone(), relay.tier));
        true
    }
}

/// A relay's own task: keeps its lease while there are viewers.
#[tracing::instrument(name = "relay", skip_all, fields(camera = %relay.camera, tier = relay.tier.as_str(), stream = relay.stream.0))]
async fn tend(relays: Arc<Relays>, relay: Arc<Relay>) {
    let mut registry = relays.nodes.registry().watch();
    let mut left: Option<Instant> = None;
    loop {
        if relays.stop.is_cancelled() {
            relays.retire(&relay);
            break;
        }
        match (relay.seats.load(Ordering::Acquire), left) {
            (0, None) => left = Some(Instant::now()),
            (0, Some(since)) if since.elapsed() >= LINGER && relays.retire(&relay) => break,
            (0, Some(_)) => {}
            _ => left = None,
        }
        relay.step(&relays.nodes, left.is_none());
        tokio::select! {
            () = relays.stop.cancelled() => {}
            () = relay.look.notified() => {}
            // The registry lives as long as the relays do.
            _ = registry.changed() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
    relay.drop_lease(&relays.nodes);
    relay.hub.end();
}

impl Relay {
    /// Brings the lease to where it should be now.
    fn step(self: &Arc<Self>, nodes: &Nodes, watched: bool) {
        let link = nodes.registry().of_hall(&self.hall);
        let camera = nodes.camera(&self.camera);
        let now = Instant::now();
        let mut ended = None;
        let mut inner = lock(&self.inner);
        inner.known.connected = link.is_some();
        inner.known.camera = camera.map(|camera| (camera.state, camera.why));
        // What cannot be played is not mended by the camera's being there.
        let came_back = matches!(inner.known.camera, Some((StreamState::Live, _)))
            && !matches!(inner.known.failed, Some((StreamState::Unsupported, _)));
        if let Some(lease) = &mut inner.lease {
            let same = match (&link, lease.link.upgrade()) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, &then),
                _ => false,
            };
            // A camera that has come back is asked for at once, whatever the lease's own pause.
            let over = lease.over.is_some_and(|over| now >= over)
                || (lease.failed && came_back && now >= lease.asked + AGAIN_SOON);
            if !same || over {
                ended = inner.lease.take().map(|lease| (lease, same));
                inner.known.media = false;
                if !same {
                    inner.known.failed = None;
                }
            }
        }
        match (&link, &mut inner.lease) {
            (Some(link), None) if watched => {
                if let Some(id) = nodes.leases().open(&self.hall, self.stream, self.tier, self.clone()) {
                    link.send(ToEdge::Lease {
                        lease: id.clone(),
                        camera: self.camera.clone(),
                        tier: self.tier,
                        stream: self.stream,
                        ttl_ms: LEASE_MS,
                    });
                    let over = Some(now + DIAL);
                    let link = Arc::downgrade(link);
                    inner.lease = Some(Lease { id, link, asked: now, renewed: now, over, failed: false });
                }
            }
            (Some(link), Some(lease)) if now >= lease.renewed + Duration::from_millis(LEASE_MS / 3) => {
                lease.renewed = now;
                link.send(ToEdge::Renew { leases: vec![lease.id.clone()], ttl_ms: LEASE_MS });
            }
            _ => {}
        }
        self.judge(&mut inner);
        drop(inner);
        if let Some((lease, same)) = ended {
            nodes.leases().end(&lease.id);
            if let (true, Some(link)) = (same, link) {
                link.send(ToEdge::Release { lease: lease.id });
            }
        }
    }

    fn drop_lease(&self, nodes: &Nodes) {
        if let Some(lease) = lock(&self.inner).lease.take() {
            nodes.leases().end(&lease.id);
            if let Some(link) = lease.link.upgrade().filter(|link| !link.closed.is_cancelled()) {
                link.send(ToEdge::Release { lease: lease.id });
            }
        }
    }
}
