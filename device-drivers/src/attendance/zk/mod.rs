//! ZKTeco standalone terminals on TCP 4370 (docs/reference/devices.md A1).
//!
//! [`packet`] is bytes, [`records`] is meaning, [`session`] is one conversation, [`driver`] is the task that keeps it up.

pub mod driver;
pub mod packet;
pub mod records;
pub mod session;

pub use driver::{TerminalConfig, TerminalDriver};
