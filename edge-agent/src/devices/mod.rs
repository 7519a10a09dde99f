//! The devices of the hall: drivers built from the configuration, one task per port, and the [register](Register) that
//! takes what they say to the record: reading → case session → journal, and only then the device is acknowledged.
//!
//! It owns which position stands at which window and how each device is. What a press means for a case is decided in
//! [`cases`](crate::cases), how bytes become readings in `device_drivers`.

mod drivers;
mod keys;
mod register;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use device_drivers::reading::Counters;

pub use drivers::{DriverTasks, start};
pub use keys::press;
pub use register::{CameraEvent, Inbox, Panel, Register, RegisterError, recover};

use crate::cases::Ignored;

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
    /// Position → health; none: nothing heard of it yet.
    pub health: BTreeMap<String, Option<DeviceHealth>>,
    /// Why presses changed nothing → how many.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Readings taken.
    pub readings: u64,
    /// Cases open now.
    pub open_cases: usize,
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
