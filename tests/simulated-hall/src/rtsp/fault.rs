//! What a camera does wrong when a test asks for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A camera's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Connections stay, but nothing comes through them: neither pictures nor answers.
    Freeze,
    /// Every connection is closed, and a new one too, as soon as it names the camera.
    Drop,
    /// Running sessions go on; new ones are answered 503.
    Refuse,
    /// Running sessions end; every request is answered 401, whatever the password.
    Unauthorized,
    /// RTP timestamps jump by the given number of seconds, once; may be negative.
    TimestampJump,
    /// The stream goes on in another size, so with other parameter sets.
    NewParameters,
    /// No fault: ends whatever runs.
    None,
}

/// `POST /faults`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// The camera, for instance `W01`.
    pub camera: String,
    /// What it shall do.
    pub fault: Fault,
    /// For how long, in seconds; 0 = until another order (for `drop`: the connections of this moment only). For
    /// `timestamp_jump`: how far.
    #[serde(default)]
    pub seconds: f64,
}

/// Why a fault cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// There is no camera of that name.
    #[error("no camera {0}")]
    NoCamera(String),
    /// The number is not a time.
    #[error("seconds: {0} is not a time that can be waited for")]
    Seconds(f64),
    /// The altered footage cannot be made.
    #[error("altered footage: {0}")]
    Footage(String),
}

/// Longest fault, and farthest jump, that can be asked for.
const LONGEST: f64 = 1e6;

/// The running fault of a camera.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) fault: Fault,
    until: Option<Instant>,
}

impl Running {
    pub(super) const NONE: Self = Self { fault: Fault::None, until: None };

    pub(super) fn new(fault: Fault, seconds: f64, now: Instant) -> Result<Self, FaultError> {
        if !(0.0..=LONGEST).contains(&seconds) {
            return Err(FaultError::Seconds(seconds));
        }
        let until = (seconds > 0.0).then(|| now + Duration::from_secs_f64(seconds));
        Ok(Self { fault, until })
    }

    /// The fault at `now`, `None` once its time is over.
    pub(super) fn at(self, now: Instant) -> Fault {
        if self.until.is_some_and(|until| now >= until) { Fault::None } else { self.fault }
    }

    /// When the fault ends by itself.
    pub(super) fn until(self) -> Option<Instant> {
        self.until
    }
}

/// Ticks of 90 kHz in `seconds`, which may be negative.
pub(super) fn jump_ticks(seconds: f64) -> Result<i64, FaultError> {
    if seconds.abs() <= LONGEST { Ok((seconds * 90_000.0) as i64) } else { Err(FaultError::Seconds(seconds)) }
}
