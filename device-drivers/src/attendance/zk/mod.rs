//! ZKTeco standalone terminals on port 4370, TCP and UDP (docs/reference/devices.md A1).
//!
//! [`packet`] is bytes, [`records`] and [`users`] are meaning, [`command`] is all that may be said, [`link`] is TCP or UDP,
//! [`session`] is one conversation, [`driver`] is the task that keeps it up. [`probe`] and [`search`] are for somebody who
//! stands in front of a terminal that no driver has yet.

pub mod command;
pub mod driver;
pub mod link;
pub mod packet;
pub mod probe;
pub mod records;
pub mod search;
pub mod session;
pub mod users;

pub use driver::{TerminalConfig, TerminalDriver};
pub use link::{TerminalAddress, Transport};
pub use probe::{Probe, Visit};
pub use users::{NameEncoding, User};

#[cfg(test)]
mod probe_tests;
