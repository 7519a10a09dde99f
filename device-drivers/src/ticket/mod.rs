//! The ticket machine: what it prints, read from its printer line.
//!
//! Owns ESC/POS both ways ([`escpos`] reads, [`mod@print`] writes) and the tap that turns slips into tickets ([`tap`]). It
//! only listens: nothing is ever written to the printer line.

pub mod escpos;
pub mod print;
pub mod tap;

pub use tap::{TapConfig, TapConfigError, TicketTap};
