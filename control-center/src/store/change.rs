//! What a write changed, as open pages need to know it: names only; the page reads the row.

use control_protocol::{CameraId, CaseId, HallId, NodeId, WindowId};

use tokio::sync::{broadcast, watch};

/// Something a page may show has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A window's state, ticket, clerk or rating.
    Window(WindowId),
    /// The hall's queue: the number waiting at any of its windows.
    Hall(HallId),
    /// A case.
    Case(CaseId),
    /// A camera's state or configuration.
    Camera(CameraId),
    /// A node's presence, version or quarantine.
    Node(NodeId),
    /// Something happened in the hall that calls for somebody, or is over.
    Alarm(HallId),
    /// Areas, halls, windows, staff or people: the tree and rights may be different.
    Tree,
}

/// Where changes are told: each of them to whoever follows, and apart from that how often the tree changed, for those
/// who care for nothing else and are many.
#[derive(Clone)]
pub(super) struct Changes {
    each: broadcast::Sender<Change>,
    tree: watch::Sender<u64>,
}

impl Changes {
    pub(super) fn new(lag: usize) -> Self {
        Self { each: broadcast::channel(lag).0, tree: watch::channel(0).0 }
    }

    pub(super) fn tell(&self, change: Change) {
        if change == Change::Tree {
            self.tree.send_modify(|times| *times += 1);
        }
        // Nobody listening is nothing to report.
        let _ = self.each.send(change);
    }

    pub(super) fn each(&self) -> broadcast::Receiver<Change> {
        self.each.subscribe()
    }

    pub(super) fn tree(&self) -> watch::Receiver<u64> {
        self.tree.subscribe()
    }
}
