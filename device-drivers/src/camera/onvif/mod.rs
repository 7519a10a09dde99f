//! ONVIF: finding cameras on stated networks, and asking one what it is and which streams it has.
//!
//! Owns WS-Discovery ([`discovery`]), the SOAP messages and their security header ([`soap`]), one HTTP conversation
//! ([`mod@describe`]), and the choice of main and second stream ([`mod@choose`]). It searches nothing that was not stated,
//! changes no setting of a camera, tries a password at most twice in two ways, and keeps it out of logs and errors. Sources:
//! docs/reference/devices.md D, ONVIF core specification, WS-Discovery April 2005, WS-Security UsernameToken profile 1.0.
//! [`ptz`] moves a camera, over the same [`call::Caller`].

pub mod call;
pub mod choose;
pub mod describe;
pub mod discovery;
pub mod ptz;
pub mod soap;

pub use call::{Credential, OnvifError};
pub use choose::{Choice, Reason, choose};
pub use describe::{CameraDescription, Encoding, Profile, describe};
pub use discovery::{Discovery, Found, HostRange, Range, RangeError, Searched, discover};

#[cfg(test)]
mod tests;
