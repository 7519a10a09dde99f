//! Fingerprint clocks: what they recorded, and when they think it is.
//!
//! Owns reading; there is no code here that reads fingerprint templates, nor any that clears or restarts a terminal.

pub mod fingerprint;
pub mod push;
pub mod zk;
