//! Fingerprint modules on a serial line (docs/reference/devices.md A3): somebody lays a finger on, the module says which slot it
//! knows it in, and that is a punch of the employee who has the slot.
//!
//! [`ef01`] and [`aa55`] are bytes and meaning of the two families, [`driver`] is the task. Enrolling is done elsewhere, and a
//! template or an image never leaves the module: there is no instruction here that would ask for one.

pub mod aa55;
mod conversation;
pub mod driver;
pub mod ef01;

pub use driver::{Family, ModuleConfig, ModuleDriver, Slot};
