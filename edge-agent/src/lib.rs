//! The agent in a service hall: devices, cases, journal, cameras and the way up.
//!
//! A reading of a device goes through [`devices`] (which window is it?), [`cases`] (which case is it?) and
//! [`journal`] (on disk, hash-chained) before the device is acknowledged; [`uplink`] then takes it to the control
//! centre. Pictures go their own way through [`cameras`] and never hold an event back. Everything here dials out,
//! but for two listeners: [`local_site`] for the machine itself, and the hall's own page of [`pairing`].

pub mod cameras;
pub mod cases;
pub mod clock;
pub mod config;
pub mod connection;
pub mod devices;
pub mod fleet;
pub mod history;
pub mod journal;
pub mod local_site;
pub mod pairing;
pub mod profile_tool;
pub mod recorder;
pub mod run;
mod service;
pub mod uplink;
pub mod vault;

/// The program's version, as nodes report it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
