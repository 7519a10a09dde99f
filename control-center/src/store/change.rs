//! What a write changed, as open pages need to know it: names only; the page reads the row.

use control_protocol::{CameraId, CaseId, HallId, NodeId, WindowId};

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
    /// Areas, halls, windows, staff or people: the tree and rights may be different.
    Tree,
}
