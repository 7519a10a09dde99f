//! The devices of the hall: drivers, one task per line, kept as wanted by a [supervisor](Supervisor); the
//! [register](Register) that takes what they say to the record: reading → case session → journal, and only then the device
//! is acknowledged; and the [switchboard](Switchboard), which knows what stands where and how it is now.
//!
//! What is wanted is kept by [`pairing`](crate::pairing). What a press means for a case is decided in
//! [`cases`](crate::cases), how bytes become readings in `device_drivers`.

mod drivers;
mod keys;
pub mod messages;
mod panel;
pub mod profiles;
mod register;
mod switchboard;
#[cfg(test)]
mod tests;
pub mod tickets;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use device_drivers::reading::Counters;

pub(crate) use drivers::{GUEST, USUAL_GRADES};
pub use drivers::{Listening, Said, Supervisor, Wanted, misfits};
pub use keys::press;
pub use panel::{Panel, Wire};
pub use register::{CameraEvent, Inbox, Register, RegisterError, recover};
pub use switchboard::{Live, Place, Presence, Said as LiveSaid, Switchboard};

use crate::cases::Ignored;
pub use crate::connection::{Connection, Role};

/// How a device is, as last journalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceHealth {
    /// Connected and sound.
    Up,
    /// Connected and silent although it should speak.
    Silent,
    /// Connected, and much of what it says cannot be read.
    Degraded,
    /// Not connected.
    Down,
}

impl DeviceHealth {
    /// A word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Silent => "silent",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// What `/metrics` shows of devices and queue.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Why presses changed nothing → how many.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Readings taken.
    pub readings: u64,
    /// Cases open now.
    pub open_cases: usize,
    /// Turns of the register; it makes one at least every ten seconds.
    pub turns: u64,
    /// Port name → its driver's counts.
    pub counters: BTreeMap<String, Arc<Counters>>,
}

/// The figures, shared between the register and `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct SharedFigures(Arc<Mutex<Figures>>);

impl SharedFigures {
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures now.
    pub fn read(&self) -> Figures {
        self.lock().clone()
    }

    fn ignored(&self, why: Ignored) {
        *self.lock().ignored.entry(why.name()).or_default() += 1;
    }
}
