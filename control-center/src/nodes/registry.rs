//! Who is connected now, and what each edge last said of its cameras. All of it is in memory and true of this moment;
//! what must outlive the process is in the store.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use control_protocol::{
    CameraId, HallId, NodeId, UtcMillis,
    channel::{CameraReport, StreamState, ToEdge},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Texts that may wait for one edge; an edge that lets so many wait is dead.
pub(super) const OUTBOX: usize = 1024;

/// One live command channel.
pub struct Link {
    /// The node.
    pub node: NodeId,
    /// Its hall.
    pub hall: HallId,
    /// The start of the program at the other end.
    pub boot: String,
    /// The program's version.
    pub version: String,
    /// Since when the channel stands, UTC.
    pub since: UtcMillis,
    /// The serial number of the certificate that it came with.
    pub serial: String,
    pub(super) out: mpsc::Sender<ToEdge>,
    /// Cancelled when the channel is gone, or to make it go.
    pub(crate) closed: CancellationToken,
    /// Rung when there may be a new order for the node.
    pub(super) orders: Arc<tokio::sync::Notify>,
    pub(super) asks: super::asks::Asks,
    outbox_depth: AtomicU64,
    clock_offset_ms: AtomicI64,
}

impl Link {
    pub(super) fn new(
        identity: &super::NodeIdentity,
        boot: String,
        version: String,
        since: UtcMillis,
        out: mpsc::Sender<ToEdge>,
        closed: CancellationToken,
    ) -> Self {
        Self {
            node: identity.node.clone(),
            hall: identity.hall.clone(),
            serial: identity.serial.clone(),
            boot,
            version,
            since,
            out,
            closed,
            orders: Arc::default(),
            asks: super::asks::Asks::default(),
            outbox_depth: AtomicU64::new(0),
            clock_offset_ms: AtomicI64::new(0),
        }
    }

    /// Queues a text for the edge. An edge that does not take its texts is cut off; it will dial anew.
    pub fn send(&self, text: ToEdge) -> bool {
        let sent = self.out.try_send(text).is_ok();
        if !sent && !self.closed.is_cancelled() {
            tracing::warn!(node = %self.node, "the edge does not take its commands; its channel is closed");
            self.closed.cancel();
        }
        sent
    }

    pub(super) fn alive(&self, outbox_depth: u64, clock_offset_ms: i64) {
        self.outbox_depth.store(outbox_depth, Ordering::Relaxed);
        self.clock_offset_ms.store(clock_offset_ms, Ordering::Relaxed);
    }

    /// Events the edge has that the centre has not, as it last said.
    pub fn outbox_depth(&self) -> u64 {
        self.outbox_depth.load(Ordering::Relaxed)
    }

    /// How far the edge's clock is ahead of the centre's, milliseconds, travel time included.
    pub fn clock_offset_ms(&self) -> i64 {
        self.clock_offset_ms.load(Ordering::Relaxed)
    }

    /// What is wrong with the edge's clock, in plain words, where it is more than two seconds from the centre's.
    pub fn clock_alarm(&self) -> Option<String> {
        let offset = self.clock_offset_ms();
        (offset.abs() > CLOCK_ALARM_MS).then(|| {
            format!(
                "the clock of the hall's machine is {:.1} s {} the centre's: the times of its events are wrong by so much; \
                 set its clock, or give it a time server that answers",
                offset.unsigned_abs() as f64 / 1000.0,
                if offset > 0 { "ahead of" } else { "behind" }
            )
        })
    }
}

/// A camera as its edge last reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraNow {
    /// The hall it is in.
    pub hall: HallId,
    /// Its state; `offline` while its edge is not connected.
    pub state: StreamState,
    /// Why it is not live.
    pub why: Option<String>,
    /// Since when, UTC.
    pub since: UtcMillis,
}

/// A clock that is further away than this is alarmed, milliseconds; the way a text takes is in it.
const CLOCK_ALARM_MS: i64 = 2_000;

#[derive(Default)]
struct State {
    links: HashMap<NodeId, Arc<Link>>,
    halls: HashMap<HallId, Arc<Link>>,
    cameras: HashMap<CameraId, CameraNow>,
    gone: HashMap<HallId, UtcMillis>,
}

/// What comes of a new channel.
pub(super) enum Joined {
    /// It stands; a former channel of the same start, if any, has been closed.
    Yes,
    /// Another machine holds the node's certificate, and was there first.
    TwoMachines {
        /// Its start.
        other: String,
    },
}

/// The registry.
pub struct Registry {
    state: Mutex<State>,
    turn: watch::Sender<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { state: Mutex::default(), turn: watch::Sender::new(0) }
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned(&self) {
        self.turn.send_modify(|turn| *turn += 1);
    }

    /// Changes whenever a node comes or goes or a camera's state does.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.turn.subscribe()
    }

    pub(super) fn join(&self, link: &Arc<Link>) -> Joined {
        let mut state = self.lock();
        if let Some(other) = state.links.get(&link.node)
            && !other.closed.is_cancelled()
        {
            if other.boot != link.boot {
                return Joined::TwoMachines { other: other.boot.clone() };
            }
            other.closed.cancel();
        }
        state.links.insert(link.node.clone(), link.clone());
        state.halls.insert(link.hall.clone(), link.clone());
        state.gone.remove(&link.hall);
        drop(state);
        self.turned();
        Joined::Yes
    }

    /// Takes a channel out, if it is still the node's; gives the cameras whose state changed with it.
    pub(super) fn leave(&self, link: &Arc<Link>, now: UtcMillis) -> Vec<CameraId> {
        link.closed.cancel();
        let mut state = self.lock();
        if !state.links.get(&link.node).is_some_and(|held| Arc::ptr_eq(held, link)) {
            return Vec::new();
        }
        state.links.remove(&link.node);
        state.halls.remove(&link.hall);
        state.gone.insert(link.hall.clone(), now);
        let mut changed = Vec::new();
        for (camera, held) in state.cameras.iter_mut().filter(|(_, held)| held.hall == link.hall) {
            held.state = StreamState::Offline;
            held.why = Some(NOT_CONNECTED.to_owned());
            held.since = now;
            changed.push(camera.clone());
        }
        drop(state);
        self.turned();
        changed
    }

    /// Takes an edge's report; gives the cameras whose state changed. A camera of another hall is left out.
    pub(super) fn report(&self, link: &Link, reports: Vec<CameraReport>) -> Vec<CameraId> {
        let mut changed = Vec::new();
        let mut state = self.lock();
        for report in reports {
            if !belongs(report.camera.as_str(), &link.hall) {
                tracing::warn!(node = %link.node, camera = %report.camera, "an edge reports a camera of another hall; left out");
                continue;
            }
            let now = CameraNow {
                hall: link.hall.clone(),
                state: report.state,
                why: report.why.map(|why| why.chars().take(300).collect()),
                since: report.since,
            };
            if state.cameras.get(&report.camera) != Some(&now) {
                state.cameras.insert(report.camera.clone(), now);
                changed.push(report.camera);
            }
        }
        drop(state);
        if !changed.is_empty() {
            self.turned();
        }
        changed
    }

    /// A camera's state now; `None` if no edge has reported it since the centre started.
    pub fn camera(&self, camera: &CameraId) -> Option<CameraNow> {
        self.lock().cameras.get(camera).cloned()
    }

    /// The channel of a hall's edge.
    pub fn of_hall(&self, hall: &HallId) -> Option<Arc<Link>> {
        self.lock().halls.get(hall).filter(|link| !link.closed.is_cancelled()).cloned()
    }

    /// The channel of a node.
    pub fn of_node(&self, node: &NodeId) -> Option<Arc<Link>> {
        self.lock().links.get(node).filter(|link| !link.closed.is_cancelled()).cloned()
    }

    /// Every channel.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.lock().links.values().cloned().collect()
    }

    /// Since when a hall's edge is gone, if it was here since the centre started.
    pub fn gone_since(&self, hall: &HallId) -> Option<UtcMillis> {
        self.lock().gone.get(hall).copied()
    }
}

/// What is said of every camera of a hall whose edge is not there.
pub const NOT_CONNECTED: &str = "the hall's edge agent is not connected to the centre";

/// Whether a window's, camera's or position's id lies in `hall`: an edge speaks for its own hall alone.
pub(super) fn belongs(id: &str, hall: &HallId) -> bool {
    id.strip_prefix(hall.as_str()).is_some_and(|rest| rest.starts_with('-'))
}
