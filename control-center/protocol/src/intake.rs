//! The batch an edge posts to `POST /node/v1/events` and the answer it gets. A batch is the stored bytes of up to 500
//! events, a line each, compressed with zstd; the answer says how far the centre has committed.

use std::io::Read;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    chain::{ChainEnd, MAX_EVENT_BYTES},
    ids::NodeId,
};

/// The most events in one batch.
pub const MAX_EVENTS: usize = 500;
/// The most bytes of a batch before compression.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of a batch as posted.
pub const MAX_POST_BYTES: usize = 2 * 1024 * 1024;
/// The path a batch is posted to; the same path answers a GET with the [`Answer`] for nothing new.
pub const PATH: &str = "/node/v1/events";
/// The header that says which start of which machine asks, as `hello` does on the command channel: while one stands
/// connected, another with the same certificate (a copied disk) puts nothing on record.
pub const BOOT_HEADER: &str = "x-hallwatch-boot";

/// The query of a `POST`: what the journal has beyond the batch. A centre takes what happens now before backlogs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Behind {
    /// Events behind the last of the batch.
    pub behind: u64,
}

/// Why a batch was refused as a whole. A batch whose events are bad one by one is never refused.
#[derive(Debug, thiserror::Error)]
pub enum BadBatch {
    /// Not zstd, or larger than a batch may be.
    #[error("the batch cannot be unpacked: {0}")]
    Unpack(#[from] std::io::Error),
    /// Larger than a batch may be.
    #[error("the batch has more than {MAX_EVENTS} events or {MAX_BATCH_BYTES} bytes")]
    TooLarge,
}

/// Packs stored events into a batch.
pub fn pack<'a>(events: impl IntoIterator<Item = &'a [u8]>) -> std::io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for event in events {
        lines.extend_from_slice(event);
        lines.push(b'\n');
    }
    zstd::bulk::compress(&lines, 3)
}

/// Unpacks a batch into the bytes of its events; no byte of them is read or changed.
pub fn unpack(batch: &[u8]) -> Result<Vec<Bytes>, BadBatch> {
    let mut lines = Vec::new();
    let limit = MAX_BATCH_BYTES as u64 + 1;
    zstd::stream::read::Decoder::new(batch)?.take(limit).read_to_end(&mut lines)?;
    if lines.len() > MAX_BATCH_BYTES {
        return Err(BadBatch::TooLarge);
    }
    let lines = Bytes::from(lines);
    let mut events = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if events.len() == MAX_EVENTS {
            return Err(BadBatch::TooLarge);
        }
        events.push(lines.slice_ref(line));
    }
    Ok(events)
}

/// How many of `sizes` (bytes of the next events to send, in order) go into one batch: at least one.
pub fn fitting(sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut total = 0;
    let mut count = 0;
    for size in sizes.into_iter().take(MAX_EVENTS) {
        total += size + 1;
        if total > MAX_BATCH_BYTES - MAX_EVENT_BYTES && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

/// What the centre has of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The node whose journal it is.
    pub node: NodeId,
    /// The highest contiguous committed event; `seq` 0 where there is none of the epoch. `None`: nothing of the node.
    pub committed: Option<ChainEnd>,
    /// Why the node's events are kept apart, where they are.
    pub quarantined: Option<Quarantine>,
}

/// Why the intake no longer takes a node's events into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quarantine {
    /// The same (epoch, seq) came with two different hashes: two machines, or a disk rolled back, use one identity.
    Forked,
    /// A case ID was opened under two epochs.
    CaseReopened,
    /// Two machines held the node's certificate at the same time.
    TwoMachines,
}

/// The answer to a batch, sent only after the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// One mark for each node that the batch holds events of, or the asking node's alone.
    pub marks: Vec<Mark>,
    /// How many events of the batch were kept apart because they cannot be read.
    pub poisoned: u32,
    /// The centre's clock when it answered, UTC milliseconds, so that the edge can judge its own.
    pub centre_utc_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpacks_what_it_packs(events in proptest::collection::vec("[ -~]{1,200}", 0..40)) {
            let batch = pack(events.iter().map(|e| e.as_bytes())).unwrap();
            let out = unpack(&batch).unwrap();
            prop_assert_eq!(out.iter().map(|b| b.as_ref()).collect::<Vec<_>>(), events.iter().map(|e| e.as_bytes()).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn a_bomb_is_refused_with_bounded_memory() {
        let bomb = zstd::bulk::compress(&vec![b'a'; 64 * 1024 * 1024], 3).unwrap();
        assert!(matches!(unpack(&bomb), Err(BadBatch::TooLarge)));
        let many = pack(std::iter::repeat_n(&b"x"[..], MAX_EVENTS + 1)).unwrap();
        assert!(matches!(unpack(&many), Err(BadBatch::TooLarge)));
    }

    #[test]
    fn a_batch_is_cut_before_it_is_too_large() {
        assert_eq!(fitting([10; 3]), 3);
        assert_eq!(fitting([10; 900]), MAX_EVENTS);
        let count = fitting([60_000; 500]);
        assert!(count > 1 && count * 60_001 <= MAX_BATCH_BYTES);
        assert_eq!(fitting([MAX_BATCH_BYTES]), 1);
    }
}
