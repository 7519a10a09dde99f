//! One batch into the store, inside one transaction: which lines follow the record, which have been here, which came
//! before their turn, and which contradict what is already committed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use control_protocol::{
    CaseId, Digest, Happening, NodeId, StoredEvent, UtcMillis, chain::ChainEnd, intake::Quarantine,
};

use super::{
    newest_mark, number, optional, raise,
    reading::{Line, Place},
};
use crate::{
    params,
    projections::project_all,
    statistics::Gathered,
    store::{Change, Sql, StoreError, Tx},
};

/// Events of one epoch that may wait for their turn; an edge that sends further ahead sends them again.
const AHEAD: u64 = 20_000;
/// How long a journal's first event that is here must wait before it is taken as the beginning, when the ones before it
/// are gone at the edge (pruned before this centre knew the node).
const BEGINNING_MS: i64 = 30_000;

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) mark: Option<ChainEnd>,
    pub(super) quarantined: Option<Quarantine>,
    pub(super) committed: u64,
    pub(super) duplicates: u64,
    pub(super) ahead: u64,
    pub(super) poisoned: u32,
    pub(super) conflicts: u64,
}

/// Takes the lines of a batch of `node`. With `careful`, a room that fails on an event is undone for that event alone.
pub(super) fn commit(
    tx: &mut Tx<'_>,
    node: &NodeId,
    lines: &[Line],
    now: UtcMillis,
    careful: bool,
) -> Result<Taken, StoreError> {
    let mut batch = Batch {
        node,
        now,
        careful,
        changes: Vec::new(),
        sums: Gathered::default(),
        taken: Taken {
            mark: None,
            quarantined: None,
            committed: 0,
            duplicates: 0,
            ahead: 0,
            poisoned: 0,
            conflicts: 0,
        },
    };
    let mut chain: Option<Chain> = None;
    let mut highest: Option<ChainEnd> = None;
    for line in lines {
        let Some(place) = batch.place_of(tx.sql, line, chain.as_ref())? else { continue };
        let mut current = match chain.take() {
            Some(chain) if chain.mark.epoch == place.epoch => chain,
            former => {
                if let Some(former) = former {
                    batch.close(tx.sql, former, &mut highest)?;
                }
                Chain::load(tx.sql, node, place.epoch, lines)?
            }
        };
        if !current.broken {
            batch.take(tx.sql, &mut current, line, place.seq)?;
        }
        chain = Some(current);
    }
    if let Some(chain) = chain {
        batch.close(tx.sql, chain, &mut highest)?;
    }
    batch.taken.mark = match highest {
        Some(mark) => Some(mark),
        None => newest_mark(tx.sql, node)?,
    };
    tx.execute("UPDATE nodes SET last_seen = $2 WHERE id = $1", params![node, now])?;
    batch.sums.write(tx.sql)?;
    tx.changes.append(&mut batch.changes);
    Ok(batch.taken)
}

/// One epoch's journal as this transaction finds and leaves it.
struct Chain {
    mark: ChainEnd,
    moved: bool,
    /// The first event that waits for its turn.
    waits: Option<u64>,
    /// Hashes of committed events that the batch brings again, by sequence number.
    known: Vec<(u64, Digest)>,
    /// The batch contradicts the record: nothing more of it is taken for this epoch.
    broken: bool,
}

impl Chain {
    fn load(sql: &mut dyn Sql, node: &NodeId, epoch: u64, lines: &[Line]) -> Result<Self, StoreError> {
        let row = sql.query_one(
            "SELECT seq, digest FROM node_marks WHERE node = $1 AND epoch = $2",
            params![node, epoch],
        )?;
        let mark = match row {
            Some(row) => ChainEnd { epoch, seq: number(&row, 0)?, digest: row.get(1)? },
            None => ChainEnd::start(epoch),
        };
        let mut chain = Self { mark, moved: false, waits: None, known: Vec::new(), broken: false };
        chain.waits = first_waiting(sql, node, epoch)?;
        let of_epoch = lines.iter().filter_map(|line| line.place).filter(|place| place.epoch == epoch);
        if let Some(first) = of_epoch.map(|place| place.seq).min()
            && first <= mark.seq
        {
            let rows = sql.query(
                "SELECT seq, hash FROM events WHERE node = $1 AND epoch = $2 AND seq BETWEEN $3 AND $4 \
                 UNION ALL SELECT seq, digest FROM dead_events WHERE node = $1 AND epoch = $2 AND seq BETWEEN $3 AND $4 \
                 ORDER BY 1",
                params![node, epoch, first, mark.seq.min(first + 100_000)],
            )?;
            for row in rows {
                chain.known.push((number(&row, 0)?, row.get(1)?));
            }
        }
        Ok(chain)
    }

    fn hash_of(&self, seq: u64) -> Option<Digest> {
        let at = self.known.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.known.get(at).map(|(_, hash)| *hash)
    }
}

fn first_waiting(sql: &mut dyn Sql, node: &NodeId, epoch: u64) -> Result<Option<u64>, StoreError> {
    let row = sql.query_one(
        "SELECT seq FROM waiting_events WHERE node = $1 AND epoch = $2 ORDER BY seq LIMIT 1",
        params![node, epoch],
    )?;
    row.map(|row| number(&row, 0)).transpose()
}

/// A line whose turn may have come, from the batch or from those that waited.
struct Next<'a> {
    seq: u64,
    prev: Option<Digest>,
    hash: Digest,
    bytes: &'a [u8],
    event: Result<&'a StoredEvent, &'a str>,
}

struct Batch<'a> {
    node: &'a NodeId,
    now: UtcMillis,
    careful: bool,
    changes: Vec<Change>,
    sums: Gathered,
    taken: Taken,
}

impl Batch<'_> {
    /// Where a line stands; `None` for one that is kept apart and has no place in this journal.
    fn place_of(
        &mut self,
        sql: &mut dyn Sql,
        line: &Line,
        chain: Option<&Chain>,
    ) -> Result<Option<Place>, StoreError> {
        if line.event.is_err() {
            self.taken.poisoned += 1;
        }
        if line.foreign {
            self.bury(sql, line.hash, &line.bytes, None, why(line))?;
            return Ok(None);
        }
        if line.place.is_some() {
            return Ok(line.place);
        }
        // Nothing in the whole batch says where it belongs. If it has been here, it is a repetition; else it is what
        // the node was to send next.
        let known = sql.query_one(
            "SELECT 1 FROM dead_events WHERE node = $1 AND digest = $2",
            params![self.node, line.hash],
        )?;
        if known.is_some() {
            self.taken.duplicates += 1;
            return Ok(None);
        }
        let mark = match chain {
            Some(chain) => Some(chain.mark),
            None => newest_mark(sql, self.node)?,
        };
        match mark {
            Some(mark) => Ok(Some(Place { epoch: mark.epoch, seq: mark.seq + 1 })),
            None => {
                self.bury(sql, line.hash, &line.bytes, None, why(line))?;
                Ok(None)
            }
        }
    }

    fn take(
        &mut self,
        sql: &mut dyn Sql,
        chain: &mut Chain,
        line: &Line,
        seq: u64,
    ) -> Result<(), StoreError> {
        if seq <= chain.mark.seq {
            return match chain.hash_of(seq) {
                Some(hash) if hash != line.hash => {
                    let words = format!(
                        "event {seq} of epoch {} came a second time with other content: two machines use this \
                         node's identity, or its disk was rolled back",
                        chain.mark.epoch
                    );
                    self.conflict(sql, chain, line.hash, &line.bytes, &words)
                }
                _ => {
                    self.taken.duplicates += 1;
                    Ok(())
                }
            };
        }
        if seq > chain.mark.seq + 1 && !self.wait(sql, chain, line, seq)? {
            return Ok(());
        }
        let event = line.event.as_ref().map(AsRef::as_ref).map_err(String::as_str);
        self.follow(sql, chain, &Next { seq, prev: line.prev, hash: line.hash, bytes: &line.bytes, event })?;
        while !chain.broken && chain.waits.is_some_and(|waits| waits <= chain.mark.seq + 1) {
            self.drain(sql, chain)?;
        }
        Ok(())
    }

    /// Puts a line with those that wait for their turn. `true`: its turn is now after all, since those before it are
    /// gone for good.
    fn wait(
        &mut self,
        sql: &mut dyn Sql,
        chain: &mut Chain,
        line: &Line,
        seq: u64,
    ) -> Result<bool, StoreError> {
        let epoch = chain.mark.epoch;
        if let Some(row) = sql.query_one(
            "SELECT hash, received_at FROM waiting_events WHERE node = $1 AND epoch = $2 AND seq = $3",
            params![self.node, epoch, seq],
        )? {
            if row.get::<Digest>(0)? != line.hash {
                let words = format!("event {seq} of epoch {epoch} came twice with different content");
                self.conflict(sql, chain, line.hash, &line.bytes, &words)?;
                return Ok(false);
            }
            self.taken.duplicates += 1;
            let since: UtcMillis = row.get(1)?;
            let beginning = chain.mark == ChainEnd::start(epoch)
                && chain.waits == Some(seq)
                && self.now.0 - since.0 >= BEGINNING_MS;
            let Some(prev) = line.prev.filter(|_| beginning) else { return Ok(false) };
            tracing::warn!(node = %self.node, epoch, missing = seq - 1, "the first events of this journal are gone at the edge; the record of this epoch begins without them");
            chain.mark = ChainEnd { epoch, seq: seq - 1, digest: prev };
            return Ok(true);
        }
        if seq > chain.mark.seq.saturating_add(AHEAD) && chain.mark.seq > 0 {
            return Ok(false);
        }
        let waiting = sql.query_one(
            "SELECT COUNT(*) FROM waiting_events WHERE node = $1 AND epoch = $2",
            params![self.node, epoch],
        )?;
        if waiting.map(|row| number(&row, 0)).transpose()?.unwrap_or(0) >= AHEAD {
            return Ok(false);
        }
        sql.execute(
            "INSERT INTO waiting_events (node, epoch, seq, prev, hash, bytes, why, received_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                self.node,
                epoch,
                seq,
                line.prev,
                line.hash,
                line.bytes,
                line.event.as_ref().err(),
                self.now
            ],
        )?;
        self.taken.ahead += 1;
        chain.waits = Some(chain.waits.map_or(seq, |waits| waits.min(seq)));
        Ok(false)
    }

    /// Takes the first of those that waited.
    fn drain(&mut self, sql: &mut dyn Sql, chain: &mut Chain) -> Result<(), StoreError> {
        let (epoch, Some(seq)) = (chain.mark.epoch, chain.waits) else { return Ok(()) };
        let row = sql.query_one(
            "SELECT prev, hash, bytes, why FROM waiting_events WHERE node = $1 AND epoch = $2 AND seq = $3",
            params![self.node, epoch, seq],
        )?;
        sql.execute(
            "DELETE FROM waiting_events WHERE node = $1 AND epoch = $2 AND seq = $3",
            params![self.node, epoch, seq],
        )?;
        chain.waits = first_waiting(sql, self.node, epoch)?;
        let Some(row) = row else { return Ok(()) };
        let (prev, hash): (Option<Digest>, Digest) = (optional(&row, 0)?, row.get(1)?);
        let bytes: Vec<u8> = row.get(2)?;
        let why: Option<String> = optional(&row, 3)?;
        if seq <= chain.mark.seq {
            // It came again in the batch that closed the gap, and that one has been taken.
            if seq == chain.mark.seq && hash != chain.mark.digest {
                let words = format!("event {seq} of epoch {epoch} came twice with different content");
                self.conflict(sql, chain, hash, &bytes, &words)?;
            }
            return Ok(());
        }
        let opened = match why {
            Some(why) => Err(why),
            None => StoredEvent::open(bytes.clone().into()).map_err(|error| error.to_string()),
        };
        let event = opened.as_ref().map_err(String::as_str);
        self.follow(sql, chain, &Next { seq, prev, hash, bytes: &bytes, event })
    }

    /// Commits the line whose turn it is, if it follows the record.
    fn follow(&mut self, sql: &mut dyn Sql, chain: &mut Chain, next: &Next<'_>) -> Result<(), StoreError> {
        let epoch = chain.mark.epoch;
        if next.prev.is_some_and(|prev| prev != chain.mark.digest) {
            let words = format!(
                "event {} of epoch {epoch} does not carry the hash of the event before it: two machines use this \
                 node's identity, or its disk was rolled back or altered",
                next.seq
            );
            return self.conflict(sql, chain, next.hash, next.bytes, &words);
        }
        match next.event {
            Ok(stored) => self.record(sql, stored)?,
            Err(why) => {
                self.bury(sql, next.hash, next.bytes, Some(Place { epoch, seq: next.seq }), why)?;
            }
        }
        chain.mark.seq = next.seq;
        chain.mark.digest = next.hash;
        chain.moved = true;
        self.taken.committed += 1;
        Ok(())
    }

    fn record(&mut self, sql: &mut dyn Sql, stored: &StoredEvent) -> Result<(), StoreError> {
        let event = &stored.event;
        sql.execute(
            "INSERT INTO events (node, epoch, seq, prev, hash, at, hall, win, device, case_id, kind, bytes, \
             received_at, projected) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1) \
             ON CONFLICT (node, epoch, seq) DO NOTHING",
            params![
                event.node,
                event.epoch,
                event.seq,
                event.prev,
                stored.digest,
                event.at,
                event.hall,
                event.window,
                event.device,
                event.case,
                event.happening.kind(),
                stored.bytes,
                self.now
            ],
        )?;
        if let Happening::CommandDone { command, ok, detail } = &event.happening {
            sql.execute(
                "UPDATE commands SET done_at = $3, ok = $4, detail = $5 WHERE id = $1 AND node = $2 AND done_at IS NULL",
                params![command, event.node, event.at, ok, detail],
            )?;
        }
        if let Some(case) = &event.case
            && self.of_reopened_case(sql, stored, case)?
        {
            return Ok(());
        }
        if !self.careful {
            return project_all(sql, stored, &mut self.sums, &mut self.changes);
        }
        sql.execute("SAVEPOINT event", params![])?;
        let so_far = self.changes.len();
        // Written with the event, so that they are undone with it.
        let mut sums = Gathered::default();
        let changes = &mut self.changes;
        let rooms = AssertUnwindSafe(|| {
            project_all(sql, stored, &mut sums, changes)?;
            sums.write(sql)
        });
        // A room that breaks down is undone like one that says that it failed.
        let taken = catch_unwind(rooms);
        match taken.unwrap_or_else(|_| Err(StoreError::Read("a room broke down".into()))) {
            Ok(()) => {}
            Err(error @ (StoreError::Sql { .. } | StoreError::Read(_))) => {
                tracing::error!(node = %self.node, epoch = event.epoch, seq = event.seq, kind = event.happening.kind(), %error,
                    "a room failed on this event; it is recorded and the rooms go on without it");
                self.changes.truncate(so_far);
                sql.execute("ROLLBACK TO SAVEPOINT event", params![])?;
            }
            Err(error) => return Err(error),
        }
        sql.execute("RELEASE SAVEPOINT event", params![])?;
        Ok(())
    }

    /// Whether the event belongs to a case that another epoch of the node opened before: its serial was given out
    /// twice, and two people's services must not run together in one file.
    fn of_reopened_case(
        &mut self,
        sql: &mut dyn Sql,
        stored: &StoredEvent,
        case: &CaseId,
    ) -> Result<bool, StoreError> {
        let event = &stored.event;
        // Whichever comes first gives the serial out: the ticket, or a call of a ticket nobody printed.
        if matches!(event.happening, Happening::TicketIssued { .. } | Happening::CaseOpened { .. }) {
            let opened = sql.execute(
                "INSERT INTO case_epochs (case_id, node, epoch) VALUES ($1, $2, $3) ON CONFLICT (case_id) DO NOTHING",
                params![case, event.node, event.epoch],
            )?;
            if opened > 0 {
                return Ok(false);
            }
            let row =
                sql.query_one("SELECT node, epoch FROM case_epochs WHERE case_id = $1", params![case])?;
            let same = match row {
                Some(row) => row.get::<NodeId>(0)? == event.node && number(&row, 1)? == event.epoch,
                None => true,
            };
            if same {
                return Ok(false);
            }
            sql.execute(
                "INSERT INTO cases_reopened (case_id, node, epoch, at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (case_id, node, epoch) DO NOTHING",
                params![case, event.node, event.epoch, self.now],
            )?;
            let words = format!(
                "case {case} was opened a second time, under epoch {}: the node's database was restored and its case \
                 numbers were given out again; the second case is kept apart",
                event.epoch
            );
            self.taken.quarantined = Some(Quarantine::CaseReopened);
            self.taken.conflicts += 1;
            raise(sql, &mut self.changes, self.node, Quarantine::CaseReopened, &words)?;
            return Ok(true);
        }
        let row = sql.query_one(
            "SELECT 1 FROM cases_reopened WHERE case_id = $1 AND node = $2 AND epoch = $3",
            params![case, event.node, event.epoch],
        )?;
        Ok(row.is_some())
    }

    /// Keeps a line apart that contradicts the record, raises the alarm and takes no more of this epoch's lines: the
    /// edge still has them.
    fn conflict(
        &mut self,
        sql: &mut dyn Sql,
        chain: &mut Chain,
        hash: Digest,
        bytes: &[u8],
        words: &str,
    ) -> Result<(), StoreError> {
        chain.broken = true;
        self.taken.conflicts += 1;
        self.taken.quarantined = Some(Quarantine::Forked);
        self.bury(sql, hash, bytes, None, words)?;
        raise(sql, &mut self.changes, self.node, Quarantine::Forked, words)
    }

    /// Keeps a line raw. `place` is where it stands in the journal's chain, if it does.
    fn bury(
        &mut self,
        sql: &mut dyn Sql,
        hash: Digest,
        bytes: &[u8],
        place: Option<Place>,
        why: &str,
    ) -> Result<(), StoreError> {
        let (epoch, seq) = (place.map(|place| place.epoch), place.map(|place| place.seq));
        let why: String = why.chars().take(500).collect();
        let buried = sql.execute(
            "INSERT INTO dead_events (node, digest, epoch, seq, bytes, why, received_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (node, digest) DO NOTHING",
            params![self.node, hash, epoch, seq, bytes, why, self.now],
        )?;
        if buried > 0 {
            tracing::warn!(node = %self.node, ?epoch, ?seq, why, "an event is kept apart");
        } else if place.is_some() {
            // It was first kept as something else (another place, a conflict); the chain needs it here.
            sql.execute(
                "UPDATE dead_events SET epoch = $3, seq = $4 WHERE node = $1 AND digest = $2 AND seq IS NULL",
                params![self.node, hash, epoch, seq],
            )?;
        }
        Ok(())
    }

    fn close(
        &mut self,
        sql: &mut dyn Sql,
        chain: Chain,
        highest: &mut Option<ChainEnd>,
    ) -> Result<(), StoreError> {
        if chain.moved {
            sql.execute(
                "INSERT INTO node_marks (node, epoch, seq, digest) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (node, epoch) DO UPDATE SET seq = excluded.seq, digest = excluded.digest",
                params![self.node, chain.mark.epoch, chain.mark.seq, chain.mark.digest],
            )?;
        }
        if highest.is_none_or(|mark| mark.epoch <= chain.mark.epoch) {
            *highest = Some(chain.mark);
        }
        Ok(())
    }
}

fn why(line: &Line) -> &str {
    line.event.as_ref().err().map_or("it has no place in this journal", String::as_str)
}
