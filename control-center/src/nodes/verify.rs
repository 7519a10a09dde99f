//! Walks the record of every node as it stands in the store: each event's bytes against its hash and its row, each event
//! against the one before, each journal's end against its mark. Reads only.

use control_protocol::{Digest, NodeId, StoredEvent, chain::ChainEnd};

use crate::{
    params,
    store::{Row, Sql, StoreError},
};

/// Events read at a time.
const PAGE: u64 = 1_000;
/// Faults told; of more only the number.
const TOLD: usize = 100;

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events of the record.
    pub events: u64,
    /// Events kept apart that have a place in the chain.
    pub apart: u64,
    /// Journals walked: node, epoch, first and last number.
    pub journals: Vec<(NodeId, u64, u64, u64)>,
    /// How many things are wrong; 0: the record is whole.
    pub wrong: u64,
    /// The first of them, one line each.
    pub faults: Vec<String>,
}

impl Verified {
    fn wrong(&mut self, fault: String) {
        self.wrong += 1;
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }
}

fn number(row: &Row, at: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<i64>(at)?).map_err(|_| StoreError::Read(format!("column {at} is negative")))
}

/// Walks everything. Blocks for as long as reading the whole record takes.
///
/// # Errors
/// The store's; what is wrong with the record is no error here.
pub fn verify(sql: &mut dyn Sql) -> Result<Verified, StoreError> {
    let mut found = Verified::default();
    let mut journals = Vec::new();
    for row in sql.query(
        "SELECT node, epoch FROM node_marks UNION SELECT DISTINCT node, epoch FROM events ORDER BY 1, 2",
        params![],
    )? {
        journals.push((row.get::<NodeId>(0)?, number(&row, 1)?));
    }
    for (node, epoch) in journals {
        walk(sql, &node, epoch, &mut found)?;
    }
    Ok(found)
}

fn walk(sql: &mut dyn Sql, node: &NodeId, epoch: u64, found: &mut Verified) -> Result<(), StoreError> {
    let mut end = ChainEnd::start(epoch);
    let mut first = 0;
    loop {
        let rows = sql.query(
            "SELECT seq, hash, bytes, 1 AS good FROM events WHERE node = $1 AND epoch = $2 AND seq > $3 \
             UNION ALL SELECT seq, digest, bytes, 0 FROM dead_events WHERE node = $1 AND epoch = $2 AND seq > $3 \
             ORDER BY 1 LIMIT $4",
            params![node, epoch, end.seq, PAGE],
        )?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let (seq, hash): (u64, Digest) = (number(&row, 0)?, row.get(1)?);
            let (bytes, good): (Vec<u8>, bool) = (row.get(2)?, row.get::<i64>(3)? == 1);
            let place = format!("{node}, epoch {epoch}, event {seq}");
            if Digest::of(&bytes) != hash {
                found.wrong(format!("{place}: its bytes are not what was committed"));
            }
            let mut prev = None;
            if good {
                found.events += 1;
                match StoredEvent::open(bytes.into()) {
                    Ok(stored) => {
                        let event = &stored.event;
                        if (&event.node, event.epoch, event.seq) != (node, epoch, seq) {
                            found.wrong(format!(
                                "{place}: it says that it is event {} of epoch {} of {}",
                                event.seq, event.epoch, event.node
                            ));
                        }
                        prev = Some(event.prev);
                    }
                    Err(error) => found.wrong(format!("{place}: {error}")),
                }
            } else {
                found.apart += 1;
            }
            if first == 0 {
                first = seq;
                if seq > 1 {
                    // Pruned at the edge before this centre knew the node: the first is taken at its word.
                    end = ChainEnd { epoch, seq: seq - 1, digest: prev.unwrap_or(Digest::ZERO) };
                }
            }
            if seq != end.seq + 1 {
                found.wrong(format!("{place}: it follows event {}; what was between is gone", end.seq));
            } else if prev.is_some_and(|prev| prev != end.digest) {
                found.wrong(format!("{place}: it does not carry the hash of the event before it"));
            }
            end = ChainEnd { epoch, seq, digest: hash };
        }
    }
    let mark = sql.query_one(
        "SELECT seq, digest FROM node_marks WHERE node = $1 AND epoch = $2",
        params![node, epoch],
    )?;
    match mark {
        Some(row) => {
            let (seq, digest): (u64, Digest) = (number(&row, 0)?, row.get(1)?);
            if (seq, digest) != (end.seq, end.digest) {
                found.wrong(format!(
                    "{node}, epoch {epoch}: event {seq} was committed last, and the record ends with event {}",
                    end.seq
                ));
            }
        }
        None => found.wrong(format!("{node}, epoch {epoch}: how far it was committed is gone")),
    }
    found.journals.push((node.clone(), epoch, first, end.seq));
    Ok(())
}
