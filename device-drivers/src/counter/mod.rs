//! What stands on a counter: the caller keypad (呼叫器) and the evaluator (评价器) on one `FF 68` bus.
//!
//! Owns what stands on it ([`config`]), what it can be told
//! ([`command`]) and its one task ([`bus`]). What a key means for a case (digits before
//! `功能`, who is called next) is not decided here.

pub mod bus;
pub mod command;
pub mod config;

pub use bus::BusDriver;
pub use command::BusCommand;
pub use config::{AckForm, BusConfig, BusConfigError, EvaluatorConfig, KeypadConfig};
