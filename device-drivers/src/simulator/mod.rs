//! The far end of every protocol, with faults: for tests, and for a hall without hardware.
//!
//! Owns what a device would do: press, print, punch, retransmit, be silent, be noisy. Protocol cores take bytes and
//! the time and give bytes; thin shells put them on a pty, a pipe or a TCP listener. Every far end keeps a log of
//! what was pressed, printed, punched and acknowledged, so that a test can compare by identity.
//!
//! * [`pty`]: a pseudo terminal under a stable name, for serial devices.
//! * [`modem`]: a modem for text messages.
//! * [`keyboard`]: a USB keypad as recorded events.
//! * [`counter`]: keypads and evaluators on one `FF 68` bus.
//! * [`ticket`]: a ticket machine that prints ESC/POS slips.
//! * [`onvif`]: a camera as ONVIF sees it: discovery, description, users.
//! * [`printer`]: a ticket printer with paper, cover and cutter.
//! * [`attendance`]: a ZK 4370 terminal on TCP and UDP.
//! * [`push`]: a terminal that calls in over HTTP.
//! * [`fingerprint`]: fingerprint modules on a serial line.
//!
//! All handles are cheap clones of one shared far end; all times are of [`crate::clock::SystemMonotonic`], which is
//! one clock for all processes of a machine.

pub mod attendance;
pub mod counter;
mod counter_frame;
pub mod fingerprint;
pub mod keyboard;
pub mod modem;
pub mod onvif;
pub mod printer;
pub mod pty;
pub mod push;
pub mod ticket;
