//! The way up: enrolment, the node's identity, the dialled connections to the control centre, the event sender, the
//! command channel and live media. The edge dials out; nothing is listened to here.

pub mod channel;
pub mod connector;
pub mod enrol;
pub(crate) mod footage;
pub mod identity;
pub mod media;
pub mod sender;
pub mod upkeep;
