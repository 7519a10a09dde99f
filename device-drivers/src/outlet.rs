//! Where drivers put their events: the owner's bounded channel, given up when the driver is cancelled.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::reading::{DriverEvent, Health, Mono, PositionId};

/// The owner's channel with the driver's cancellation.
pub(crate) struct Outlet {
    pub(crate) events: mpsc::Sender<DriverEvent>,
    pub(crate) cancel: CancellationToken,
}

impl Outlet {
    /// Waits for room. `false` when cancelled or when nobody listens any more: then the driver ends.
    pub(crate) async fn send(&self, event: DriverEvent) -> bool {
        tokio::select! {
            biased;
            sent = self.events.send(event) => sent.is_ok(),
            () = self.cancel.cancelled() => false,
        }
    }

    /// Tells a device's health.
    pub(crate) async fn health(&self, position: &PositionId, health: Health, at: Mono) -> bool {
        self.send(DriverEvent::Health { position: position.clone(), health, at }).await
    }
}
