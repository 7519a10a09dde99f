//! The contracts between a Hallwatch edge agent, a control centre and that centre's parent: what crosses a link, byte
//! for byte, and the two pure pieces that stand at both of its ends (the hash chain and the hub).
//!
//! Nothing here opens a socket, a file or a clock; time and randomness come in as arguments.

pub mod case_id;
pub mod chain;
pub mod channel;
pub mod enrolment;
pub mod event;
pub mod frame;
pub mod hub;
pub mod ids;
pub mod intake;
pub mod time;

pub use case_id::CaseId;
pub use chain::{Digest, StoredEvent};
pub use event::{Event, Happening};
pub use ids::{AreaId, CameraId, HallId, LeaseId, NodeId, PositionId, StreamId, WindowId};
pub use time::UtcMillis;
