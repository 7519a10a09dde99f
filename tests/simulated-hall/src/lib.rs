//! A whole service hall with no hardware, for the demo and for system tests.
//!
//! RTSP cameras ([`rtsp`]) show footage drawn here ([`footage`]); a scripted day ([`day`]) presses keypads, prints
//! tickets and punches in, all through the devices' true bytes; and a log of its own ([`oracle`]) says what was
//! done, so that a test can compare it with what the system under test understood. It knows nothing of the edge
//! agent or the control centre.

pub mod config;
mod control;
pub mod day;
pub mod devices;
pub mod footage;
pub mod hall;
pub mod oracle;
pub mod rtsp;
mod script;
pub mod spares;

pub use script::DayState;
