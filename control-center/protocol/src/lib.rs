//! The contracts between a Hallwatch edge agent, a control centre and that centre's parent: what crosses a link, byte
//! for byte, and the pieces that stand at both of its ends (the hash chain, the hub, and WebSockets over an open connection).
//!
//! Nothing here opens a socket, a file or a clock; time, randomness and open connections come in as arguments.

pub mod case_id;
pub mod chain;
pub mod channel;
pub mod enrolment;
pub mod event;
pub mod footage;
pub mod frame;
pub mod hub;
pub mod ids;
pub mod intake;
pub mod pairing;
pub mod recording;
pub mod site_pass;
pub mod time;
pub mod websocket;

pub use case_id::CaseId;
pub use chain::{Digest, StoredEvent};
pub use event::{Event, Happening};
pub use ids::{AreaId, CameraId, DeliveryId, HallId, LeaseId, NodeId, PositionId, StreamId, WindowId};
pub use time::UtcMillis;
