//! The agent in a service hall: devices, cases, journal, cameras and the way up.
//!
//! A reading of a device goes through [`devices`] (which window is it?), [`cases`] (which case is it?) and
//! [`journal`] (on disk, hash-chained) before the device is acknowledged; [`uplink`] then takes it to the control
//! centre. Pictures go their own way through [`cameras`] and never hold an event back. Everything here dials out;
//! the one listener ([`local_site`]) is for the machine itself.

pub mod cameras;
pub mod cases;
pub mod clock;
pub mod config;
pub mod devices;
pub mod history;
pub mod journal;
pub mod local_site;
pub mod run;
pub mod uplink;
pub mod vault;

/// The program's version, as nodes report it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
