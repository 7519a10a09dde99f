//! The event log of the node: SQLite on one thread, group commit, confirmed only when on disk. It owns the order of
//! events, their hash chain, what the centre has committed, and the memory that makes doubled punches and commands one.
//! It never interprets an event, and never deletes one the centre has not had for seven days.
//!
//! A failed write or sync ends the journal and with it the program: after a failed fsync nobody knows what is on disk.
//! A full disk does not: the append is refused whole, a reserve file gives room once more, and writing goes on by
//! itself when there is space.

mod reserve;
mod serials;
mod store;
mod verify;
mod writer;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use control_protocol::{
    CaseId, HallId, Happening, NodeId, PositionId, UtcMillis, WindowId,
    chain::{ChainEnd, Digest, StoredEvent},
    event::ClockQuality,
};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use reserve::free_bytes;
pub use serials::{Hint, SerialFile};
pub use verify::{Verified, verify};
pub use writer::CommitTimes;

use crate::clock::Clock;

/// How many jobs may wait for the writer.
const QUEUE: usize = 256;

/// Why the journal did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full: nothing of the append was taken; try again when there is space.
    #[error("the disk is full: events cannot be taken until there is space")]
    Full,
    /// The database or its disk failed; the program must end.
    #[error("the journal failed: {0}")]
    Failed(String),
    /// The journal has ended.
    #[error("the journal is closed")]
    Closed,
}

/// An event before it has its number.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it happened.
    pub at: UtcMillis,
    /// When it happened on the monotonic clock, microseconds; 0 where that is not known.
    pub mono_us: u64,
    /// Which boot `mono_us` is of.
    pub boot: Arc<str>,
    /// How far `at` can be trusted.
    pub clock: ClockQuality,
    /// The window.
    pub window: Option<WindowId>,
    /// The position or camera.
    pub device: Option<String>,
    /// The case.
    pub case: Option<CaseId>,
    /// What happened.
    pub happening: Happening,
    /// For a punch: not written if this is on record already.
    pub once: Option<PunchKey>,
}

/// What makes a punch the same punch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PunchKey {
    /// The terminal.
    pub position: PositionId,
    /// The employee's number on it.
    pub employee: String,
    /// The terminal's time as UTC.
    pub punched_at: UtcMillis,
}

/// What a device said that was not answered yet, so that it may say it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The device's place.
    pub position: String,
    /// Its bytes.
    pub raw: Bytes,
    /// When they arrived, UTC.
    pub at: UtcMillis,
    /// When they arrived on the monotonic clock, microseconds: together with the place, which saying it was.
    pub mono_us: u64,
}

/// What is remembered with events, in their transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The events are what this saying led to.
    Said(Unanswered),
    /// The events are what this file of past readings led to, all of it.
    Imported(Digest),
}

/// Where the journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The last event.
    pub last: ChainEnd,
    /// How many events the centre has not committed.
    pub depth: u64,
    /// When the oldest of them was written, UTC.
    pub oldest: Option<UtcMillis>,
    /// Whether the disk is full.
    pub full: bool,
}

/// An event on its way up.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
    /// Its exact bytes.
    pub bytes: Bytes,
}

type Job = Box<dyn FnOnce(&mut writer::Writer) + Send>;

pub(crate) enum Work {
    Append { entries: Vec<Entry>, note: Option<Note>, reply: oneshot::Sender<Result<usize, JournalError>> },
    Other(Job),
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    work: mpsc::Sender<Work>,
    status: watch::Receiver<Status>,
    commits: Arc<CommitTimes>,
}

/// The journal's thread, to be waited for at the end.
#[derive(Debug)]
pub struct JournalThread {
    thread: std::thread::JoinHandle<()>,
    failed: oneshot::Receiver<String>,
}

impl JournalThread {
    /// Waits for the journal to fail; for ever if it does not.
    pub async fn failure(&mut self) -> String {
        match (&mut self.failed).await {
            Ok(why) => why,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until everything is written, after every handle was dropped. Blocks.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the journal's thread ended in a panic");
        }
    }
}

impl Journal {
    /// Opens the journal below the data folder, makes it where there is none, and finds out whether this database is
    /// the one that was last used. Blocks.
    pub fn open(
        data: &Path,
        node: NodeId,
        hall: HallId,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, SerialFile, JournalThread), JournalError> {
        let (writer, serials) = writer::Writer::open(data, node, hall, clock)?;
        let (tx, rx) = mpsc::channel(QUEUE);
        let (failed_tx, failed) = oneshot::channel();
        let status = writer.subscribe();
        let commits = writer.commit_times();
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(rx, failed_tx))
            .map_err(|e| JournalError::Failed(e.to_string()))?;
        Ok((Self { work: tx, status, commits }, serials, JournalThread { thread, failed }))
    }

    /// Writes events in order, all or none; gives how many were written (a known punch is not) once they are on disk.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<usize, JournalError> {
        self.append_noting(entries, None).await
    }

    /// As [`append`](Self::append), and remembers with the events where they come from: what a device said, until it
    /// is [answered](Self::answered). What led to no event is not remembered.
    pub async fn append_noting(
        &self,
        entries: Vec<Entry>,
        note: Option<Note>,
    ) -> Result<usize, JournalError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let (reply, answer) = oneshot::channel();
        self.work.send(Work::Append { entries, note, reply }).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut writer::Writer) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // Whoever asked may have gone meanwhile.
            let _ = reply.send(question(writer));
        });
        self.work.send(Work::Other(job)).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// The next events that the centre has not committed, all of one epoch, oldest first.
    pub async fn outgoing(&self, most: usize) -> Result<Vec<Outgoing>, JournalError> {
        self.ask(move |w| w.outgoing(most)).await
    }

    /// Takes note of how far the centre has committed an epoch; lower than before is a rewind.
    pub async fn mark(&self, committed: ChainEnd) -> Result<MarkOutcome, JournalError> {
        self.ask(move |w| w.mark(committed)).await
    }

    /// The centre has nothing of this node: everything still kept is sent again.
    pub async fn rewind_all(&self) -> Result<(), JournalError> {
        self.ask(|w| w.rewind_all()).await
    }

    /// Begins a new epoch because this database turned out to be an older copy; what was written since this start is
    /// written again in it.
    pub async fn new_epoch(&self, why: &'static str) -> Result<u64, JournalError> {
        self.ask(move |w| w.new_epoch(why)).await
    }

    /// Done when the writer has come to this: it lives.
    pub async fn turn(&self) -> Result<(), JournalError> {
        self.ask(|_| Ok(())).await
    }

    /// The events of queue and windows since `from`, in order of writing.
    pub async fn session_events(&self, from: UtcMillis) -> Result<Vec<StoredEvent>, JournalError> {
        self.ask(move |w| w.session_events(from)).await
    }

    /// The events written from `from` on behind the place `after` (0: all), in order of writing, each with its place.
    pub async fn written_behind(
        &self,
        after: i64,
        from: UtcMillis,
    ) -> Result<Vec<(i64, StoredEvent)>, JournalError> {
        self.ask(move |w| w.written_behind(after, from)).await
    }

    /// What devices said last and were not answered for, as far as is known.
    pub async fn unanswered(&self) -> Result<Vec<Unanswered>, JournalError> {
        self.ask(|w| w.unanswered()).await
    }

    /// The device has been answered: what it says from now on is new. Survives a kill of the program, not always a power
    /// cut, which ends the devices' memory too.
    pub async fn answered(&self, position: String, mono_us: u64) -> Result<(), JournalError> {
        self.ask(move |w| w.answered(&position, mono_us)).await
    }

    /// The newest punch on record of a terminal, UTC.
    pub async fn last_punch(&self, position: PositionId) -> Result<Option<UtcMillis>, JournalError> {
        self.ask(move |w| w.last_punch(&position)).await
    }

    /// Whether a command has not been seen before; from now on it has.
    pub async fn first_time(&self, command: String) -> Result<bool, JournalError> {
        self.ask(move |w| w.first_time(&command)).await
    }

    /// Whether a file of past readings has not been taken yet.
    pub async fn import_known(&self, digest: Digest) -> Result<bool, JournalError> {
        self.ask(move |w| w.import_known(digest)).await
    }

    /// Deletes what the centre has had for seven days, and remembers outside the database how far it is.
    pub async fn tidy(&self) -> Result<(), JournalError> {
        self.ask(|w| w.tidy()).await
    }

    /// Where the journal stands, and a bell for changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// How long commits took.
    pub fn commits(&self) -> &CommitTimes {
        &self.commits
    }
}

/// What the centre's mark meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkOutcome {
    /// It moved on, or stayed.
    Advanced,
    /// It is lower than before: the centre was restored, and is sent again what it lacks.
    Rewound,
    /// The centre has events of this epoch that this database does not have, or other ones: this is an older copy.
    Ahead,
    /// An epoch this database does not know.
    UnknownEpoch,
}

#[cfg(test)]
mod tests;
