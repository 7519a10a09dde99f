//! Walks the chain of a journal, offline: every event's bytes against its digest, every event against the one before.

use std::path::Path;

use bytes::Bytes;
use control_protocol::chain::{ChainEnd, StoredEvent};
use rusqlite::{Connection, OpenFlags};

use super::{
    JournalError,
    store::{signed, unsigned},
};

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events walked.
    pub events: u64,
    /// Epochs walked, each with its first and last number.
    pub epochs: Vec<(u64, u64, u64)>,
    /// What is wrong, one line each; empty: the journal is whole.
    pub faults: Vec<String>,
}

/// Verifies the journal below the data folder; it may be in use meanwhile. Blocks.
pub fn verify(data: &Path) -> Result<Verified, JournalError> {
    let path = data.join("journal").join("journal.sqlite");
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut found = Verified::default();
    for epoch in super::store::epochs(&db)? {
        let mut statement = db.prepare(
            "SELECT seq, CAST(bytes AS BLOB), CAST(digest AS BLOB) FROM events WHERE epoch = ?1 ORDER BY seq",
        )?;
        let mut rows = statement.query([signed(epoch)?])?;
        let mut end: Option<ChainEnd> = None;
        let mut first = 0;
        while let Some(row) = rows.next()? {
            let seq = unsigned(row.get(0)?)?;
            let bytes: Vec<u8> = row.get(1)?;
            let digest: Vec<u8> = row.get(2)?;
            found.events += 1;
            let stored = match StoredEvent::open(Bytes::from(bytes)) {
                Ok(stored) => stored,
                Err(e) => {
                    found.faults.push(format!("epoch {epoch} event {seq}: {e}"));
                    end = None;
                    continue;
                }
            };
            if stored.digest.as_bytes().as_slice() != digest {
                found.faults.push(format!("epoch {epoch} event {seq}: its bytes are not what was written"));
            }
            // Pruned epochs begin in the middle: the first event kept is taken at its word.
            let mut chain =
                end.unwrap_or(ChainEnd { epoch, seq: seq.saturating_sub(1), digest: stored.event.prev });
            if first == 0 {
                first = seq;
            }
            if let Err(e) = chain.follow(&stored) {
                found.faults.push(format!("epoch {epoch} event {seq}: {e}"));
            }
            end = Some(ChainEnd { epoch, seq, digest: stored.digest });
        }
        found.epochs.push((epoch, first, end.map_or(first, |e| e.seq)));
    }
    Ok(found)
}
