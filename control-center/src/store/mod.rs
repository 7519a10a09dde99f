//! The centre's one store. Rooms reach it through closures over [`Sql`]: `store.read(|sql| …)` sees one snapshot,
//! `store.write("label", |tx| …)` is all or nothing and durable when it returns. SQL is written once, in what both
//! engines accept (`$n` parameters, `ON CONFLICT`, UTC milliseconds as integers, JSON as text); what one engine alone
//! knows stays in this folder. SQLite ([`sqlite`]) is the engine there is; another slots in behind [`Engine`].
//!
//! Owns the schema (`migrations/`) and the order of writes. Never knows what a row means.

mod change;
mod filter;
mod migrate;
pub mod sqlite;
mod value;

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{broadcast, oneshot, watch};

pub use change::Change;
use change::Changes;
pub use filter::Filter;
pub use value::{Cell, FromCell, Param, Row, ToParam};

/// How many changes a slow page may lag behind before it must read everything anew.
const CHANGES: usize = 4096;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The statement failed; the text is the engine's.
    #[error("the database refused `{what}`: {why}")]
    Sql {
        /// The label of the write, or the statement's beginning.
        what: String,
        /// The engine's own words.
        why: String,
    },
    /// A row does not hold what the schema says.
    #[error("the database holds something unexpected: {0}")]
    Read(String),
    /// The disk is full. What was already committed stands.
    #[error("the disk under the database is full: free some space; nothing committed is lost")]
    Full,
    /// Too much waits already.
    #[error("the database is busy: try again in a moment")]
    Busy,
    /// The store has been closed, or the job failed in an unforeseen way.
    #[error("the database is closed")]
    Closed,
    /// The file was made by a newer version, or a migration failed.
    #[error("the database cannot be opened: {0}")]
    Open(String),
}

/// An id for something new: a letter or two and 64 random bits.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_id(prefix: &str) -> Result<String, StoreError> {
    let mut random = [0; 8];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| StoreError::Read("the system gave no random bytes".into()))?;
    Ok(format!("{prefix}-{}", data_encoding::HEXLOWER.encode(&random)))
}

/// Statements, as both engines take them.
pub trait Sql {
    /// Runs a statement that changes rows; gives their number.
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError>;
    /// Runs a statement that gives rows.
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError>;
    /// The first row, if there is one.
    fn query_one(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params)?.into_iter().next())
    }
}

/// A write in progress. What `changes` holds when the closure ends well is told to open pages after the commit.
pub struct Tx<'a> {
    /// The statements of this write.
    pub sql: &'a mut dyn Sql,
    /// What this write changed, for [`Store::changes`].
    pub changes: Vec<Change>,
}

impl Sql for Tx<'_> {
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        self.sql.execute(sql, params)
    }
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        self.sql.query(sql, params)
    }
}

/// Work on statements.
type Work<T> = Box<dyn FnOnce(&mut dyn Sql) -> T + Send>;

/// A piece of reading, to be run on a snapshot.
pub struct ReadJob(Work<()>);

/// A piece of writing, to be run in a transaction, alone or with others.
pub struct WriteJob {
    label: &'static str,
    run: Work<Ran>,
}

/// How a piece of writing ended, before the commit.
struct Ran {
    /// Whether its rows are to be kept.
    keep: bool,
    /// Called once with the outcome of the commit.
    finish: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// A database engine. It runs jobs; it opens no transaction that outlives one.
pub trait Engine: Send + Sync {
    /// Hands over a reading; done when it has run.
    fn read(&self, job: ReadJob) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Hands over a writing; done when it is queued. The job's own `finish` tells of the commit.
    fn write(&self, job: WriteJob) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Done, with the reason, when it can write no more and must be opened anew.
    fn failure(&self) -> BoxFuture<'_, String>;
    /// Its figures, as Prometheus reads them.
    fn metrics(&self) -> String;
    /// Writes what is queued and closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The store, to be cloned freely.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    changes: Changes,
}

impl Store {
    /// Opens (and if need be makes or migrates) the SQLite database `file`. Blocking: call it before serving.
    pub fn open_sqlite(file: &Path) -> Result<Self, StoreError> {
        let engine = Arc::new(sqlite::Sqlite::open(file)?);
        Ok(Self { engine, changes: Changes::new(CHANGES) })
    }

    /// Reads on one snapshot.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, E> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let job = ReadJob(Box::new(move |sql| {
            // A reader that has gone away needs no answer.
            let _ = sender.send(work(sql));
        }));
        self.engine.read(job).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Writes: all or nothing; durable when it returns `Ok`. An error of `work` undoes what it did. `label` names the
    /// write in logs and metrics.
    pub async fn write<T, E, F>(&self, label: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let pushes = self.changes.clone();
        let run = move |sql: &mut dyn Sql| {
            let mut tx = Tx { sql, changes: Vec::new() };
            let result = work(&mut tx);
            let changes = tx.changes;
            Ran {
                keep: result.is_ok(),
                finish: Box::new(move |commit| {
                    let result = match commit {
                        Ok(()) => result,
                        Err(error) => result.and(Err(error.into())),
                    };
                    if result.is_ok() {
                        for change in changes {
                            pushes.tell(change);
                        }
                    }
                    let _ = sender.send(result);
                }),
            }
        };
        self.engine.write(WriteJob { label, run: Box::new(run) }).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// What is written from now on, each change after its commit. A receiver that lags must read everything anew.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.each()
    }

    /// Changes with every [`Change::Tree`] from now on: what somebody may see may be different.
    pub fn tree(&self) -> watch::Receiver<u64> {
        self.changes.tree()
    }

    /// Tells open pages of a change that no write carries (a camera's state lives in memory).
    pub fn announce(&self, change: Change) {
        self.changes.tell(change);
    }

    /// Done, with the reason, when the store can write no more (a commit failed): the program must end and be started
    /// again.
    pub async fn failure(&self) -> String {
        self.engine.failure().await
    }

    /// The engine's figures, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        self.engine.metrics()
    }

    /// Writes what is queued and closes the database.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

#[cfg(test)]
mod tests;
