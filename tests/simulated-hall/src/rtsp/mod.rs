//! Many RTSP cameras behind one listener: pure Rust, TCP interleaved, each access unit packetised once for all who
//! watch it.
//!
//! Owns the paths `/<camera>/main` and `/<camera>/sub`, their credentials, their media clocks (which run on whether
//! anybody watches or not, and never jump at the end of a loop) and the faults a test asks for. It never encodes: it
//! loops clips.
//!
//! A viewer who joins is given a key frame at once, as a camera does that is asked for one. A viewer who does not
//! take its packets is cut off and slows nobody.

mod auth;
mod connection;
mod fault;
mod md5;
mod packet;
mod request;
mod sdp;
mod server;
mod stamp;
mod stream;

pub use auth::{Authentication, Credentials};
pub use fault::{Fault, FaultError, FaultOrder};
pub use server::{CameraSpec, Footage, Server, ServerSetup, Tier};
pub use stamp::{STAMP_UUID, Stamp, read_stamp};
pub use stream::StreamCount;
