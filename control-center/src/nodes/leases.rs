//! The leases that stand, and where what comes in on them goes. The book joins three parties that must not know each
//! other: who wants a stream, the command channel that asks an edge for it, and the media connection that brings it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use control_protocol::{
    HallId, LeaseId, StreamId,
    channel::{StreamDescription, StreamState},
    frame::{Header, Tier},
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::sync::CancellationToken;

/// Where a lease's stream goes. No method may block.
pub trait LeaseSide: Send + Sync {
    /// The edge has dialled the media connection of the lease.
    fn opened(&self, lease: &LeaseId);
    /// What the stream is, before its first frame and at each change.
    fn described(&self, description: StreamDescription);
    /// A frame message, checked: it has the lease's stream number and tier.
    fn message(&self, header: Header, message: Bytes);
    /// The media connection is gone.
    fn closed(&self, lease: &LeaseId, why: &str);
    /// The edge cannot serve the lease.
    fn failed(&self, lease: &LeaseId, state: StreamState, why: &str);
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) hall: HallId,
    pub(super) stream: StreamId,
    pub(super) tier: Tier,
    pub(super) side: Arc<dyn LeaseSide>,
    /// Cancelled when the lease ends: its media connection closes.
    pub(super) ended: CancellationToken,
}

/// The book.
#[derive(Default)]
pub struct LeaseBook(Mutex<HashMap<LeaseId, Entry>>);

impl LeaseBook {
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down a new lease of a stream of `hall`. Its id cannot be guessed. `None` when the system gives no
    /// random bytes.
    pub fn open(
        &self,
        hall: &HallId,
        stream: StreamId,
        tier: Tier,
        side: Arc<dyn LeaseSide>,
    ) -> Option<LeaseId> {
        let mut random = [0; 12];
        SystemRandom::new().fill(&mut random).ok()?;
        let lease: LeaseId = format!("L{}", data_encoding::HEXLOWER.encode(&random)).parse().ok()?;
        let entry = Entry { hall: hall.clone(), stream, tier, side, ended: CancellationToken::new() };
        self.lock().insert(lease.clone(), entry);
        Some(lease)
    }

    /// Ends a lease; its media connection, if any, closes.
    pub fn end(&self, lease: &LeaseId) {
        if let Some(entry) = self.lock().remove(lease) {
            entry.ended.cancel();
        }
    }

    /// The lease, if it stands and is of this hall.
    pub(super) fn find(&self, lease: &LeaseId, hall: &HallId) -> Option<Entry> {
        self.lock().get(lease).filter(|entry| entry.hall == *hall).cloned()
    }

    /// How many leases stand.
    pub fn count(&self) -> usize {
        self.lock().len()
    }
}
