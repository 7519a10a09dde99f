//! The recorder's figures, for metrics; they decide nothing.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use control_protocol::CameraId;

use crate::journal::CommitTimes;

/// Counted as it goes.
#[derive(Debug, Default)]
pub struct Figures {
    /// How long `fdatasync` took.
    pub syncs: CommitTimes,
    /// Frames written.
    pub frames: AtomicU64,
    /// Bytes of the camera's in them.
    pub received: AtomicU64,
    /// Bytes written.
    pub written: AtomicU64,
    /// Segments sealed.
    pub sealed: AtomicU64,
    /// Segments deleted.
    pub deleted: AtomicU64,
    /// Frames left out because the disk did not keep up.
    pub refused: AtomicU64,
    /// Failed writes and syncs.
    pub failures: AtomicU64,
    /// Bytes on their way to the writer.
    pub queued: AtomicU64,
    state: Mutex<State>,
}

/// What changes as a whole.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Why nothing is recorded, if so.
    pub stopped: Option<String>,
    /// Bytes free on the disk.
    pub free_bytes: Option<u64>,
    /// How many days of footage the disk holds at the present rate.
    pub forecast_days: Option<f64>,
    /// The disk will not hold what is to be kept.
    pub short: bool,
    /// Each camera: bytes kept, and why it is not recorded now, if so.
    pub cameras: Vec<(CameraId, u64, Option<String>)>,
}

impl Figures {
    /// The state now.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
