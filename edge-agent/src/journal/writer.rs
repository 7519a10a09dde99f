//! The journal's one thread: it alone writes, and commits as soon as nobody waits or 64 events are gathered.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use control_protocol::{
    Event, HallId, NodeId, PositionId, UtcMillis,
    chain::{ChainEnd, Digest, StoredEvent},
    event::VERSION,
};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Entry, Hint, JournalError, MarkOutcome, Note, Outgoing, SerialFile, Status, Unanswered, Work,
    reserve::Reserve,
    store::{self, signed},
};
use crate::clock::Clock;

/// The most events of one commit.
const GROUP: usize = 64;
/// How long the centre's events are kept here after it has them: it may be restored from a backup of that age.
const KEEP_MS: i64 = 7 * 86_400_000;
/// How long a command's id is remembered.
const COMMANDS_KEEP_MS: i64 = 30 * 86_400_000;
/// What is left out of a day's case numbers where only the database remembers which were used.
const LOST_BLOCK: u32 = 1_000;

/// How long commits took, as a histogram.
#[derive(Debug, Default)]
pub struct CommitTimes {
    buckets: [AtomicU64; Self::BOUNDS_MS.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl CommitTimes {
    /// The buckets' upper bounds, milliseconds.
    pub const BOUNDS_MS: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 250, 1000];

    pub(crate) fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bound, bucket) in Self::BOUNDS_MS.iter().zip(&self.buckets) {
            if us <= bound * 1000 {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Commits within each bound, all commits, and the sum of their times in microseconds.
    pub fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let buckets = Self::BOUNDS_MS.iter().zip(&self.buckets);
        let buckets = buckets.map(|(bound, n)| (*bound, n.load(Ordering::Relaxed))).collect();
        (buckets, self.count.load(Ordering::Relaxed), self.sum_us.load(Ordering::Relaxed))
    }
}

pub(crate) struct Writer {
    db: Connection,
    node: NodeId,
    hall: HallId,
    clock: Arc<dyn Clock>,
    serials: SerialFile,
    reserve: Reserve,
    head: ChainEnd,
    /// The number the epoch had reached when the database was opened.
    opened_at: u64,
    status: watch::Sender<Status>,
    commits: Arc<CommitTimes>,
}

/// An append and who waits for it.
type Waiting = ((Vec<Entry>, Option<Note>), oneshot::Sender<Result<usize, JournalError>>);

fn failed(e: impl std::fmt::Display) -> JournalError {
    JournalError::Failed(e.to_string())
}

/// What a failed write beside the database means.
fn beside(e: std::io::Error) -> JournalError {
    match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => JournalError::Full,
        _ => failed(e),
    }
}

impl Writer {
    pub(super) fn open(
        data: &Path,
        node: NodeId,
        hall: HallId,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, SerialFile), JournalError> {
        let folder = data.join("journal");
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let serials = SerialFile::open(&folder.join("serials.json")).map_err(failed)?;
        let reserve = Reserve::open(folder.join("reserve"));
        let db = store::open(&folder.join("journal.sqlite"))?;
        let hint = serials.hint();
        let known = store::epoch(&db)?;
        let end = known.map(|epoch| store::chain_end(&db, epoch)).transpose()?;
        let fresh = |least: u64| -> u64 {
            u64::try_from(clock.now_utc().0).unwrap_or(0).max(least.saturating_add(1))
        };
        let head = match end {
            None => ChainEnd::start(fresh(hint.epoch)),
            Some(end) if end.epoch == hint.epoch && end.seq >= hint.seq => end,
            Some(end) => {
                tracing::warn!(
                    epoch = end.epoch,
                    seq = end.seq,
                    "this journal is not the one last used here (it was restored, or `serials.json` was lost): \
                     a new epoch begins"
                );
                ChainEnd::start(fresh(hint.epoch.max(end.epoch)))
            }
        };
        if known != Some(head.epoch) {
            store::set_epoch(&db, head.epoch)?;
        }
        if hint.epoch == 0 {
            Self::learn_serials(&db, &serials)?;
        }
        match serials.remember(Hint { epoch: head.epoch, seq: head.seq }).map_err(beside) {
            // What the file says of this epoch is still true.
            Err(JournalError::Full) if head.epoch == hint.epoch => {}
            other => other?,
        }
        let (depth, oldest) = store::backlog(&db)?;
        let (status, _) = watch::channel(Status { last: head, depth, oldest, full: false });
        let writer = Self {
            db,
            node,
            hall,
            clock,
            serials: serials.clone(),
            reserve,
            head,
            opened_at: head.seq,
            status,
            commits: Arc::default(),
        };
        Ok((writer, serials))
    }

    /// Without the file, the numbers used are those in the events, and perhaps a few more.
    fn learn_serials(db: &Connection, serials: &SerialFile) -> Result<(), JournalError> {
        let mut statement = db.prepare("SELECT bytes FROM events WHERE session = 1")?;
        let rows = statement.query_map([], |r| r.get::<_, Vec<u8>>(0))?;
        let mut used = std::collections::BTreeMap::new();
        for row in rows {
            if let Some(case) = StoredEvent::open(Bytes::from(row?)).ok().and_then(|e| e.event.case) {
                let most: &mut u32 = used.entry(case.date()).or_default();
                *most = case.serial().max(*most);
            }
        }
        for (date, most) in used {
            serials.at_least(date, most.saturating_add(LOST_BLOCK)).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn commit_times(&self) -> Arc<CommitTimes> {
        self.commits.clone()
    }

    pub(super) fn run(mut self, mut work: mpsc::Receiver<Work>, ended: oneshot::Sender<String>) {
        let mut next = None;
        while let Some(item) = next.take().or_else(|| work.blocking_recv()) {
            let (append, reply) = match item {
                Work::Other(job) => {
                    job(&mut self);
                    continue;
                }
                Work::Append { entries, note, reply } => ((entries, note), reply),
            };
            let mut count = append.0.len();
            let mut group = vec![(append, reply)];
            while count < GROUP {
                match work.try_recv() {
                    Ok(Work::Append { entries, note, reply }) => {
                        count += entries.len();
                        group.push(((entries, note), reply));
                    }
                    Ok(other) => {
                        next = Some(other);
                        break;
                    }
                    Err(_) => break,
                }
            }
            if let Err(JournalError::Failed(why)) = self.commit(group) {
                let _ = ended.send(why);
                return;
            }
        }
        let hint = Hint { epoch: self.head.epoch, seq: self.head.seq };
        if let Err(e) = self.serials.remember(hint) {
            tracing::warn!("cannot write serials.json: {e}");
        }
    }

    fn commit(&mut self, group: Vec<Waiting>) -> Result<(), JournalError> {
        let started = Instant::now();
        let (appends, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let mut result = self.transaction(&appends);
        if matches!(result, Err(JournalError::Full)) && self.reserve.give_up() {
            tracing::error!("the disk is full: the room kept for events is used now; make space");
            result = self.transaction(&appends);
        }
        match result {
            Ok(counts) => {
                self.commits.add(started.elapsed());
                let written = counts.iter().sum::<usize>() as u64;
                let now = self.clock.now_utc();
                self.status.send_modify(|s| {
                    if s.full {
                        tracing::info!("there is space again: events are taken");
                    }
                    s.full = false;
                    s.last = self.head;
                    s.depth += written;
                    if s.oldest.is_none() && written > 0 {
                        s.oldest = Some(now);
                    }
                });
                for (reply, count) in replies.into_iter().zip(counts) {
                    let _ = reply.send(Ok(count));
                }
                Ok(())
            }
            Err(e) => {
                if matches!(e, JournalError::Full) {
                    self.status.send_modify(|s| {
                        if !s.full {
                            tracing::error!("the disk is full: no event can be taken until there is space");
                        }
                        s.full = true;
                    });
                }
                for reply in replies {
                    let _ = reply.send(Err(e.clone()));
                }
                Err(e)
            }
        }
    }

    fn transaction(&mut self, appends: &[(Vec<Entry>, Option<Note>)]) -> Result<Vec<usize>, JournalError> {
        let before = self.head;
        let result = self.transaction_or_not(appends);
        if result.is_err() {
            self.head = before;
            if !self.db.is_autocommit() {
                self.db.execute_batch("ROLLBACK")?;
            }
        }
        result
    }

    fn transaction_or_not(
        &mut self,
        appends: &[(Vec<Entry>, Option<Note>)],
    ) -> Result<Vec<usize>, JournalError> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let mut counts = Vec::with_capacity(appends.len());
        for (entries, note) in appends {
            let mut count = 0;
            for entry in entries {
                count += usize::from(self.write(entry)?);
            }
            counts.push(count);
            match note {
                Some(Note::Said(said)) => store::remember(&self.db, said)?,
                Some(Note::Imported(digest)) => self.import_done(*digest)?,
                None => {}
            }
        }
        self.db.execute_batch("COMMIT")?;
        Ok(counts)
    }

    fn write(&mut self, entry: &Entry) -> Result<bool, JournalError> {
        if let Some(key) = &entry.once {
            let sql = "INSERT INTO punches (position, employee, punched_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            let new = self.db.prepare_cached(sql)?.execute(params![
                key.position.as_str(),
                key.employee,
                key.punched_at.0
            ])?;
            if new == 0 {
                return Ok(false);
            }
        }
        let event = Event {
            node: self.node.clone(),
            epoch: self.head.epoch,
            seq: self.head.seq + 1,
            prev: self.head.digest,
            at: entry.at,
            mono_us: entry.mono_us,
            boot: entry.boot.as_ref().to_owned(),
            clock: entry.clock,
            hall: self.hall.clone(),
            window: entry.window.clone(),
            device: entry.device.clone(),
            case: entry.case,
            happening: entry.happening.clone(),
            v: VERSION,
        };
        self.insert(StoredEvent::seal(event).map_err(failed)?)?;
        Ok(true)
    }

    fn insert(&mut self, stored: StoredEvent) -> Result<(), JournalError> {
        let sql = "INSERT INTO events (epoch, seq, at, written, session, bytes, digest)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.db.prepare_cached(sql)?.execute(params![
            signed(stored.event.epoch)?,
            signed(stored.event.seq)?,
            stored.event.at.0,
            self.clock.now_utc().0,
            of_the_session(stored.event.happening.kind())
                && !stored.event.case.is_some_and(|case| case.is_test()),
            stored.bytes.as_ref(),
            stored.digest.as_bytes().as_slice(),
        ])?;
        self.head = ChainEnd { epoch: stored.event.epoch, seq: stored.event.seq, digest: stored.digest };
        Ok(())
    }

    fn publish_backlog(&mut self) -> Result<(), JournalError> {
        let (depth, oldest) = store::backlog(&self.db)?;
        self.status.send_if_modified(|s| {
            let changed = (s.last, s.depth, s.oldest) != (self.head, depth, oldest);
            (s.last, s.depth, s.oldest) = (self.head, depth, oldest);
            changed
        });
        Ok(())
    }

    pub(super) fn outgoing(&mut self, most: usize) -> Result<Vec<Outgoing>, JournalError> {
        store::outgoing(&self.db, most)
    }

    pub(super) fn mark(&mut self, committed: ChainEnd) -> Result<MarkOutcome, JournalError> {
        if committed.epoch > self.head.epoch {
            return Ok(MarkOutcome::UnknownEpoch);
        }
        let epochs = store::epochs(&self.db)?;
        let mut rewound = false;
        for later in epochs.iter().filter(|e| **e > committed.epoch) {
            if store::mark(&self.db, *later)?.is_some_and(|seq| seq > 0) {
                store::set_mark(&self.db, *later, 0)?;
                rewound = true;
            }
        }
        if epochs.contains(&committed.epoch) || committed.epoch == self.head.epoch {
            let end = store::chain_end(&self.db, committed.epoch)?;
            let known = store::digest_of(&self.db, committed.epoch, committed.seq)?;
            if committed.seq > end.seq || (committed.seq > 0 && known.is_some_and(|d| d != committed.digest))
            {
                return Ok(MarkOutcome::Ahead);
            }
            let before = store::mark(&self.db, committed.epoch)?;
            rewound |= before.is_some_and(|seq| committed.seq < seq);
            if before != Some(committed.seq) {
                store::set_mark(&self.db, committed.epoch, committed.seq)?;
            }
        }
        self.publish_backlog()?;
        Ok(if rewound { MarkOutcome::Rewound } else { MarkOutcome::Advanced })
    }

    pub(super) fn rewind_all(&mut self) -> Result<(), JournalError> {
        self.db.execute("UPDATE marks SET seq = 0 WHERE seq > 0", [])?;
        self.publish_backlog()
    }

    pub(super) fn new_epoch(&mut self, why: &str) -> Result<u64, JournalError> {
        let old = self.head;
        let now = u64::try_from(self.clock.now_utc().0).unwrap_or(0);
        let epoch = now.max(old.epoch + 1).max(self.serials.hint().epoch + 1);
        tracing::error!(epoch, "a new epoch begins: {why}");
        self.serials.remember(Hint { epoch, seq: 0 }).map_err(beside)?;
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let result = self.move_to(epoch, old);
        match result {
            Ok(()) => self.db.execute_batch("COMMIT")?,
            Err(e) => {
                self.head = old;
                self.db.execute_batch("ROLLBACK")?;
                return Err(e);
            }
        }
        self.opened_at = 0;
        self.publish_backlog()?;
        Ok(epoch)
    }

    /// Writes anew what was written since the start, and counts the old epoch as sent: its earlier events are the
    /// centre's already, its later ones are another history.
    fn move_to(&mut self, epoch: u64, old: ChainEnd) -> Result<(), JournalError> {
        store::set_epoch(&self.db, epoch)?;
        store::set_mark(&self.db, old.epoch, old.seq)?;
        let since: Vec<Vec<u8>> = {
            let sql = "SELECT bytes FROM events WHERE epoch = ?1 AND seq > ?2 ORDER BY seq";
            let mut statement = self.db.prepare(sql)?;
            let rows =
                statement.query_map(params![signed(old.epoch)?, signed(self.opened_at)?], |r| r.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        // The copies in the old epoch must not be read again at the next start.
        let sql = "UPDATE events SET session = 0 WHERE epoch = ?1 AND seq > ?2";
        self.db.execute(sql, params![signed(old.epoch)?, signed(self.opened_at)?])?;
        self.head = ChainEnd::start(epoch);
        for bytes in since {
            let mut event = StoredEvent::open(Bytes::from(bytes)).map_err(failed)?.event;
            event.epoch = epoch;
            event.seq = self.head.seq + 1;
            event.prev = self.head.digest;
            self.insert(StoredEvent::seal(event).map_err(failed)?)?;
        }
        Ok(())
    }

    pub(super) fn session_events(&mut self, from: UtcMillis) -> Result<Vec<StoredEvent>, JournalError> {
        let sql = "SELECT bytes FROM events WHERE session = 1 AND at >= ?1 ORDER BY n";
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map([from.0], |r| r.get::<_, Vec<u8>>(0))?;
        let mut found = Vec::new();
        for row in rows {
            found.push(StoredEvent::open(Bytes::from(row?)).map_err(failed)?);
        }
        Ok(found)
    }

    pub(super) fn written_behind(
        &mut self,
        after: i64,
        from: UtcMillis,
    ) -> Result<Vec<(i64, StoredEvent)>, JournalError> {
        // From the end, since most of the journal is older than `from` and nothing is sorted by it.
        let mut statement =
            self.db.prepare_cached("SELECT n, written, bytes FROM events WHERE n > ?1 ORDER BY n DESC")?;
        let mut rows = statement.query([after])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? < from.0 {
                break;
            }
            let bytes: Vec<u8> = row.get(2)?;
            found.push((row.get(0)?, StoredEvent::open(Bytes::from(bytes)).map_err(failed)?));
        }
        found.reverse();
        Ok(found)
    }

    pub(super) fn last_punch(&mut self, position: &PositionId) -> Result<Option<UtcMillis>, JournalError> {
        let sql = "SELECT MAX(punched_at) FROM punches WHERE position = ?1";
        let at: Option<i64> = self.db.query_row(sql, [position.as_str()], |r| r.get(0))?;
        Ok(at.map(UtcMillis))
    }

    pub(super) fn unanswered(&mut self) -> Result<Vec<Unanswered>, JournalError> {
        store::unanswered(&self.db)
    }

    pub(super) fn answered(&mut self, position: &str, mono_us: u64) -> Result<(), JournalError> {
        // Without a flush of its own: the next commit takes it along, and a kill does not undo a write.
        self.db.pragma_update(None, "synchronous", "NORMAL")?;
        let done = store::answered(&self.db, position, mono_us);
        self.db.pragma_update(None, "synchronous", "FULL")?;
        match done {
            // A full disk: a repetition will be known all the same.
            Err(JournalError::Full) => Ok(()),
            other => other,
        }
    }

    pub(super) fn first_time(&mut self, command: &str) -> Result<bool, JournalError> {
        let sql = "INSERT INTO commands (id, seen) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        Ok(self.db.execute(sql, params![command, self.clock.now_utc().0])? > 0)
    }

    pub(super) fn import_known(&mut self, digest: Digest) -> Result<bool, JournalError> {
        let sql = "SELECT 1 FROM imports WHERE digest = ?1";
        Ok(self.db.query_row(sql, [digest.to_string()], |_| Ok(())).optional()?.is_some())
    }

    fn import_done(&mut self, digest: Digest) -> Result<(), JournalError> {
        let sql = "INSERT INTO imports (digest, taken) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.db.execute(sql, params![digest.to_string(), self.clock.now_utc().0])?;
        Ok(())
    }

    pub(super) fn tidy(&mut self) -> Result<(), JournalError> {
        let now = self.clock.now_utc().0;
        for epoch in store::epochs(&self.db)? {
            let mark = store::mark(&self.db, epoch)?.unwrap_or(0);
            // The last event stays: the next one's `prev` is its digest.
            let sql = "DELETE FROM events WHERE epoch = ?1 AND seq <= ?2 AND written < ?3
                       AND n < (SELECT MAX(n) FROM events)";
            self.db.execute(sql, params![signed(epoch)?, signed(mark)?, now - KEEP_MS])?;
        }
        self.db.execute("DELETE FROM commands WHERE seen < ?1", [now - COMMANDS_KEEP_MS])?;
        self.serials.remember(Hint { epoch: self.head.epoch, seq: self.head.seq }).map_err(beside)?;
        self.reserve.take_back();
        Ok(())
    }
}

fn of_the_session(kind: &str) -> bool {
    ["ticket.", "service.", "case.", "rating.", "window.", "clerk."]
        .iter()
        .any(|prefix| kind.starts_with(prefix))
}
