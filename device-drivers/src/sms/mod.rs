//! Text messages over a GSM/LTE modem with AT commands (3GPP TS 27.005, 23.040, 23.038; docs/reference/devices.md F).
//!
//! * [`alphabet`]: the GSM 7-bit alphabet, packed and unpacked.
//! * [`pdu`]: messages as the modem carries them: SUBMIT, DELIVER, STATUS-REPORT.
//! * [`parts`]: long texts cut into parts, and put together again.
//! * [`at`]: answers, unasked-for lines and errors of the AT dialogue, without a line.
//! * [`modem`]: the dialogue on an open port.
//! * [`desk`]: where the rest of the program hands messages in and learns what came.
//! * [`driver`]: one modem for as long as the program runs.
//!
//! A phone number is personal: it is never logged, and its `Debug` and `Display` show the last two digits.

pub mod alphabet;
pub mod at;
pub mod desk;
pub mod driver;
pub mod modem;
pub mod parts;
pub mod pdu;

mod number;

pub use desk::{Delivery, ModemStatus, Received, SendError, Sent, SmsConfig, SmsDesk, SmsEvent};
pub use driver::SmsDriver;
pub use number::{NumberError, PhoneNumber};
