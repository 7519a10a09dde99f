//! The hash chain of a journal: each event carries the SHA-256 of the exact stored bytes of the one before, and those
//! bytes are never written anew, so that a changed, lost or inserted event is found at any hop and years later.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// A SHA-256 digest; lower-case hexadecimal as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: it has 64 hexadecimal digits")]
pub struct BadDigest;

impl Digest {
    /// What the first event of an epoch carries as `prev`.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        Self(digest)
    }

    /// The digest's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest from its 32 bytes, as a database column holds it.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadDigest> {
        bytes.try_into().map(Self).map_err(|_| BadDigest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        HEXLOWER.decode(text.as_bytes()).ok().and_then(|b| b.try_into().ok()).map(Self).ok_or(BadDigest)
    }
}

impl TryFrom<String> for Digest {
    type Error = BadDigest;
    fn try_from(text: String) -> Result<Self, BadDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// An event with the exact bytes it is stored and forwarded as.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// The event, read from `bytes`.
    pub event: Event,
    /// One line of JSON, without the line end.
    pub bytes: Bytes,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
}

/// Why bytes are not an event. The bytes are kept apart as a poison event; they never block the line.
#[derive(Debug, thiserror::Error)]
pub enum BadEvent {
    /// Larger than any event may be.
    #[error("the event has {0} bytes; at most {MAX_EVENT_BYTES} are taken")]
    TooLarge(usize),
    /// Not JSON of an event this version knows.
    #[error("the event cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// The largest event taken, in bytes.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

impl StoredEvent {
    /// Writes `event` for the first and only time.
    pub fn seal(event: Event) -> Result<Self, BadEvent> {
        let bytes = Bytes::from(serde_json::to_vec(&event)?);
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(BadEvent::TooLarge(bytes.len()));
        }
        Ok(Self { digest: Digest::of(&bytes), event, bytes })
    }

    /// Reads an event from its stored bytes, which are kept as they are.
    pub fn open(bytes: Bytes) -> Result<Self, BadEvent> {
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(BadEvent::TooLarge(bytes.len()));
        }
        Ok(Self { event: serde_json::from_slice(&bytes)?, digest: Digest::of(&bytes), bytes })
    }
}

/// Where a chain stands: the last event known of one node's epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Its epoch.
    pub epoch: u64,
    /// Its sequence number; 0 before the first.
    pub seq: u64,
    /// Its digest; zeros before the first.
    pub digest: Digest,
}

impl ChainEnd {
    /// The beginning of an epoch.
    pub fn start(epoch: u64) -> Self {
        Self { epoch, seq: 0, digest: Digest::ZERO }
    }

    /// Takes the next event, or says what is wrong with it.
    pub fn follow(&mut self, next: &StoredEvent) -> Result<(), ChainBreak> {
        let event = &next.event;
        if event.epoch != self.epoch {
            return Err(ChainBreak::Epoch { expected: self.epoch, found: event.epoch });
        }
        if event.seq != self.seq + 1 {
            return Err(ChainBreak::Sequence { expected: self.seq + 1, found: event.seq });
        }
        if event.prev != self.digest {
            return Err(ChainBreak::Hash { seq: event.seq });
        }
        self.seq = event.seq;
        self.digest = next.digest;
        Ok(())
    }
}

/// The first bad place of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// The event is of another epoch.
    #[error("epoch {found} where epoch {expected} goes on")]
    Epoch {
        /// The epoch of the chain.
        expected: u64,
        /// The event's.
        found: u64,
    },
    /// An event is missing, doubled or out of order.
    #[error("sequence number {found} where {expected} comes next")]
    Sequence {
        /// The number that comes next.
        expected: u64,
        /// The event's.
        found: u64,
    },
    /// The event, or the one before it, is not what was written.
    #[error("event {seq} does not carry the hash of the event before it")]
    Hash {
        /// The event's number.
        seq: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UtcMillis, event::*};
    use proptest::prelude::*;

    fn chain(length: u64) -> Vec<StoredEvent> {
        let mut end = ChainEnd::start(7);
        (1..=length)
            .map(|seq| {
                let event = Event {
                    node: "hall-1".parse().unwrap(),
                    epoch: 7,
                    seq,
                    prev: end.digest,
                    at: UtcMillis(seq as i64),
                    mono_us: seq,
                    boot: "b".into(),
                    clock: ClockQuality::Synchronised,
                    hall: "450103-01".parse().unwrap(),
                    window: None,
                    device: None,
                    case: None,
                    happening: Happening::NodeClockStepped { step_ms: seq as i64 },
                    v: VERSION,
                };
                let stored = StoredEvent::seal(event).unwrap();
                end.follow(&stored).unwrap();
                stored
            })
            .collect()
    }

    proptest! {
        #[test]
        fn one_changed_byte_anywhere_breaks_the_chain(at in 0usize..8, byte in 0usize..400, flip in 1u8..=255) {
            let events = chain(10);
            let mut bytes = events[at].bytes.to_vec();
            let place = byte % bytes.len();
            bytes[place] ^= flip;
            let broken = match StoredEvent::open(bytes.into()) {
                Err(_) => true,
                Ok(changed) => {
                    let mut end = ChainEnd::start(7);
                    events.iter().enumerate().map(|(i, e)| if i == at { &changed } else { e }).any(|e| end.follow(e).is_err())
                }
            };
            prop_assert!(broken);
        }
    }

    #[test]
    fn reads_what_it_sealed() {
        for stored in chain(3) {
            assert_eq!(StoredEvent::open(stored.bytes.clone()).unwrap(), stored);
        }
        assert!(matches!(
            StoredEvent::open(vec![b' '; MAX_EVENT_BYTES + 1].into()),
            Err(BadEvent::TooLarge(_))
        ));
    }
}
