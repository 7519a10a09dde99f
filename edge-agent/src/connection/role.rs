//! What a device does at its place.

use device_drivers::profile::Kind;
use serde::{Deserialize, Serialize};

/// What a device does at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A caller keypad of a window.
    Keypad,
    /// A satisfaction evaluator of a window.
    Evaluator,
    /// Shows the number that is called: over a window, or for the whole hall.
    Display,
    /// Speaks the number that is called: at a window, or for the whole hall.
    Voice,
    /// A ticket machine of somebody else's.
    Ticket,
    /// A ticket printer of ours.
    Printer,
    /// A fingerprint clock.
    Attendance,
    /// Sends and receives text messages.
    Modem,
    /// A camera of a window, or of the hall at large.
    Camera,
    /// Anything else that reports: a counter, a thermometer.
    Sensor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Keypad,
        Self::Evaluator,
        Self::Display,
        Self::Voice,
        Self::Ticket,
        Self::Printer,
        Self::Attendance,
        Self::Modem,
        Self::Camera,
        Self::Sensor,
    ];

    /// The word at the end of a position's id.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keypad => "keypad",
            Self::Evaluator => "evaluator",
            Self::Display => "display",
            Self::Voice => "voice",
            Self::Ticket => "ticket",
            Self::Printer => "printer",
            Self::Attendance => "attendance",
            Self::Modem => "modem",
            Self::Camera => "camera",
            Self::Sensor => "sensor",
        }
    }

    /// The role of this word.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }

    /// Whether it stands at a window and nowhere else. A camera's place has a form of its own.
    pub fn at_window(self) -> bool {
        matches!(self, Self::Keypad | Self::Evaluator)
    }

    /// Whether it may stand at a window.
    pub fn may_be_at_window(self) -> bool {
        matches!(self, Self::Keypad | Self::Evaluator | Self::Display | Self::Voice | Self::Sensor)
    }

    /// What a device that speaks by a profile is to the profile's engine; none: no such device is one.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Keypad => Some(Kind::Keypad),
            Self::Evaluator => Some(Kind::Evaluator),
            Self::Display | Self::Voice | Self::Sensor => Some(Kind::Other),
            Self::Ticket | Self::Printer | Self::Attendance | Self::Modem | Self::Camera => None,
        }
    }
}
