//! What the hardware of a service hall says, as typed readings.
//!
//! The crate has four layers, each testable without the next: **bytes** (codecs such as
//! [`profile::decoder`]), **meaning** ([`reading`]), **connection** (one driver task per port) and, not
//! here, **policy**: nothing in this crate knows cases, halls, centres or storage.
//!
//! A driver takes its configuration, a [`clock::MonotonicClock`], a bounded channel of
//! [`reading::DriverEvent`] and a cancellation token, and runs until it is cancelled. A device that
//! waits for an acknowledgement gets it only after the owner of the reading has called
//! [`reading::Receipt::durable`].
//!
//! * [`port`]: where bytes come from: serial lines, TCP and keyboards, with unplug and return.
//! * [`counter`]: caller keypads and evaluators on the `FF 68` bus of a counter.
//! * [`profile`]: vendors' serial protocols as descriptions, and the engine that speaks by them.
//! * [`ticket`]: the ticket machine's printer line, read as it prints.
//! * [`attendance`]: fingerprint clocks: ZK terminals that are dialled, and those that call in.
//! * [`camera`]: RTSP cameras as access units.
//! * [`sms`]: text messages over a modem.
//! * `simulator` (feature `simulator`): the far end of every protocol, with faults.

pub mod attendance;
pub mod camera;
pub mod clock;
pub mod counter;
mod outlet;
pub mod port;
pub mod profile;
pub mod reading;
pub mod sms;
pub mod ticket;

#[cfg(any(test, feature = "simulator"))]
pub mod simulator;
