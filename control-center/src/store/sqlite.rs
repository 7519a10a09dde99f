//! The embedded engine: one SQLite file in WAL mode, `synchronous=FULL`. One thread writes; writes that wait share one
//! transaction, each behind its own savepoint, so that one disk flush makes many of them durable. Readers have their
//! own connections and never wait for the writer. Only the writer checkpoints, and `mmap_size` is never set
//! (docs/design/journal-and-intake.md).

use std::{
    cell::RefCell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Cell, Engine, Param, ReadJob, Row, Sql, StoreError, WriteJob, migrate};

/// Connections for reading: pages and lists; two cores are busy with fewer.
const READERS: usize = 4;
/// Writes that may wait; beyond it a writer waits to queue.
const QUEUE: usize = 256;
/// The most writes of one transaction, and the longest it may collect them.
const GROUP: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(20);
/// The longest a reader waits for a connection, or a writer for a place in the queue.
const WAIT: Duration = Duration::from_secs(10);
/// Prepared statements kept by each connection; the code has fewer.
const STATEMENTS: usize = 300;

/// The engine.
pub struct Sqlite {
    writer: Mutex<Option<mpsc::Sender<WriteJob>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
    figures: Arc<Figures>,
    failure: watch::Receiver<Option<String>>,
}

/// What is counted since the start.
#[derive(Default)]
struct Figures {
    commits: AtomicU64,
    failed: AtomicU64,
    writes: AtomicU64,
    micros: AtomicU64,
}

impl Sqlite {
    /// Opens `file`, makes it if it is not there and brings its schema up to date.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let open = |error: rusqlite::Error| StoreError::Open(format!("{}: {error}", file.display()));
        let mut writer = Connection::open(file).map_err(open)?;
        writer
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; \
                 PRAGMA busy_timeout=10000; PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4000;",
            )
            .map_err(open)?;
        writer.set_prepared_statement_cache_capacity(STATEMENTS);
        migrate::bring_up_to_date(&mut writer)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let readers = (0..READERS)
            .map(|_| {
                let reader = Connection::open_with_flags(file, flags).map_err(open)?;
                reader.execute_batch("PRAGMA busy_timeout=10000; PRAGMA cache_size=-16384;").map_err(open)?;
                reader.set_prepared_statement_cache_capacity(STATEMENTS);
                Ok(reader)
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let figures = Arc::new(Figures::default());
        let (failed, failure) = watch::channel(None);
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn({
                let figures = figures.clone();
                move || write_all(&writer, receiver, &figures, &failed)
            })
            .map_err(|error| StoreError::Open(error.to_string()))?;
        Ok(Self {
            writer: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            readers: Arc::new(Mutex::new(readers)),
            free: Arc::new(Semaphore::new(READERS)),
            figures,
            failure,
        })
    }
}

/// Writes a consistent copy of the database `file`, which may be in use, to the new file `to`. Blocking.
///
/// # Errors
/// The engine's; a full disk.
pub fn copy(file: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = read_only(file)?;
    let name = to.to_str().ok_or_else(|| StoreError::Open(format!("{} is not UTF-8", to.display())))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| failed("VACUUM INTO", &error))?;
    Ok(())
}

/// Reads a database file that nobody uses through and through. Blocking.
///
/// # Errors
/// It is damaged, with the engine's own words.
pub fn check(file: &Path) -> Result<(), StoreError> {
    let said: String = read_only(file)?
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| failed("integrity_check", &error))?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Read(said)) }
}

fn read_only(file: &Path) -> Result<Connection, StoreError> {
    let open = |error: rusqlite::Error| StoreError::Open(format!("{}: {error}", file.display()));
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open)?;
    connection.busy_timeout(WAIT).map_err(open)?;
    Ok(connection)
}

impl Engine for Sqlite {
    fn read(&self, job: ReadJob) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let place = tokio::time::timeout(WAIT, self.free.clone().acquire_owned())
                .await
                .map_err(|_| StoreError::Busy)?
                .map_err(|_| StoreError::Closed)?;
            let readers = self.readers.clone();
            let read = move || {
                let taken = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(connection) = taken else { return Err(StoreError::Closed) };
                let result = connection.execute_batch("BEGIN").map_err(|e| failed("BEGIN", &e));
                if result.is_ok() {
                    let run = || (job.0)(&mut Statements(&connection));
                    // A job that panics loses its own answer; the connection goes on.
                    let _ = catch_unwind(AssertUnwindSafe(run));
                    let _ = connection.execute_batch("ROLLBACK");
                }
                readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                drop(place);
                result
            };
            tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)?
        })
    }

    fn write(&self, job: WriteJob) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let sender = self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            sender.ok_or(StoreError::Closed)?.send_timeout(job, WAIT).await.map_err(|error| match error {
                mpsc::error::SendTimeoutError::Timeout(_) => StoreError::Busy,
                mpsc::error::SendTimeoutError::Closed(_) => StoreError::Closed,
            })
        })
    }

    fn failure(&self) -> BoxFuture<'_, String> {
        let mut failure = self.failure.clone();
        Box::pin(async move {
            match failure.wait_for(Option::is_some).await.map(|why| why.clone()) {
                Ok(Some(why)) => why,
                // Closed in good order.
                _ => std::future::pending().await,
            }
        })
    }

    fn metrics(&self) -> String {
        let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let seconds = figure(&self.figures.micros) as f64 / 1e6;
        format!(
            "# HELP hallwatch_store_commits_total Transactions committed.\n\
             # TYPE hallwatch_store_commits_total counter\nhallwatch_store_commits_total {}\n\
             # HELP hallwatch_store_failed_commits_total Transactions that could not be committed.\n\
             # TYPE hallwatch_store_failed_commits_total counter\nhallwatch_store_failed_commits_total {}\n\
             # HELP hallwatch_store_writes_total Writes in them.\n\
             # TYPE hallwatch_store_writes_total counter\nhallwatch_store_writes_total {}\n\
             # HELP hallwatch_store_write_seconds_total Time spent on them.\n\
             # TYPE hallwatch_store_write_seconds_total counter\nhallwatch_store_write_seconds_total {seconds}\n",
            figure(&self.figures.commits),
            figure(&self.figures.failed),
            figure(&self.figures.writes),
        )
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread
                && tokio::task::spawn_blocking(move || thread.join()).await.is_err()
            {
                tracing::error!("the store's writer did not end well");
            }
        })
    }
}

/// The writer's thread: takes what waits, commits it together, tells each. It ends when a commit fails for another reason
/// than a full disk or a lock: after a failed flush nobody knows what is on disk, and only opening the file anew tells.
fn write_all(
    connection: &Connection,
    mut jobs: mpsc::Receiver<WriteJob>,
    figures: &Figures,
    failed_for_good: &watch::Sender<Option<String>>,
) {
    while let Some(first) = jobs.blocking_recv() {
        let begun = Instant::now();
        let mut ran = Vec::new();
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            refuse(first, failed("BEGIN", &error));
            continue;
        }
        let mut next = Some(first);
        while let Some(job) = next.take() {
            ran.extend(run(connection, job));
            if ran.len() < GROUP && begun.elapsed() < GROUP_TIME {
                next = jobs.try_recv().ok();
            }
        }
        let commit = connection.execute_batch("COMMIT").map_err(|error| failed("COMMIT", &error));
        if let Err(error) = &commit {
            tracing::error!(%error, writes = ran.len(), "a commit failed: nothing of these writes is kept");
            let _ = connection.execute_batch("ROLLBACK");
        }
        let count = |figure: &AtomicU64, by: u64| figure.fetch_add(by, Ordering::Relaxed);
        count(if commit.is_ok() { &figures.commits } else { &figures.failed }, 1);
        count(&figures.writes, ran.len() as u64);
        count(&figures.micros, u64::try_from(begun.elapsed().as_micros()).unwrap_or(0));
        for finish in ran {
            finish(commit.clone());
        }
        if let Err(StoreError::Sql { why, .. }) = commit {
            failed_for_good.send_replace(Some(why));
            return;
        }
    }
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the last checkpoint did not go through; the next start does it");
    }
}

type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A job whose transaction could not begin is run on nothing, so that its caller gets the engine's words.
fn refuse(job: WriteJob, error: StoreError) {
    struct Nothing(StoreError);
    impl Sql for Nothing {
        fn execute(&mut self, _: &str, _: &[Param<'_>]) -> Result<u64, StoreError> {
            Err(self.0.clone())
        }
        fn query(&mut self, _: &str, _: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
            Err(self.0.clone())
        }
    }
    tracing::error!(%error, write = job.label, "a transaction could not begin");
    let run = || (job.run)(&mut Nothing(error.clone()));
    if let Ok(ran) = catch_unwind(AssertUnwindSafe(run)) {
        (ran.finish)(Err(error));
    }
}

fn run(connection: &Connection, job: WriteJob) -> Option<Finish> {
    let savepoint = |sql: &str| {
        connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(|e| failed(job.label, &e))
    };
    if let Err(error) = savepoint("SAVEPOINT job") {
        tracing::error!(%error, write = job.label, "a savepoint could not be set");
        return None;
    }
    let work = || (job.run)(&mut Statements(connection));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let keep = outcome.as_ref().is_ok_and(|ran| ran.keep);
    let end = if keep {
        savepoint("RELEASE job")
    } else {
        savepoint("ROLLBACK TO job").and_then(|_| savepoint("RELEASE job"))
    };
    match (outcome, end) {
        (Ok(ran), Ok(_)) => Some(ran.finish),
        (Ok(ran), Err(error)) => {
            (ran.finish)(Err(error));
            None
        }
        (Err(_), _) => {
            tracing::error!(write = job.label, "a write failed in an unforeseen way and was undone");
            None
        }
    }
}

/// Statements on one connection.
pub(crate) struct Statements<'a>(pub(crate) &'a Connection);

impl Sql for Statements<'_> {
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let error = |e: rusqlite::Error| failed(sql, &e);
        let mut statement = prepare(self.0, sql).map_err(error)?;
        bind(&mut statement, params).map_err(error)?;
        statement.raw_execute().map(|rows| rows as u64).map_err(error)
    }

    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let error = |e: rusqlite::Error| failed(sql, &e);
        let mut statement = prepare(self.0, sql).map_err(error)?;
        bind(&mut statement, params).map_err(error)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            let cells = (0..columns)
                .map(|at| {
                    Ok(match row.get_ref(at).map_err(error)? {
                        ValueRef::Null => Cell::Null,
                        ValueRef::Integer(value) => Cell::Int(value),
                        ValueRef::Real(value) => Cell::Text(value.to_string()),
                        ValueRef::Text(text) => Cell::Text(
                            String::from_utf8(text.to_vec()).map_err(|e| StoreError::Read(e.to_string()))?,
                        ),
                        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()?;
            answer.push(Row(cells));
        }
        Ok(answer)
    }
}

thread_local! {
    /// Statements as they are written in the code, and as this engine numbers their arguments.
    static NUMBERED: RefCell<HashMap<Box<str>, Box<str>>> = RefCell::default();
}

/// The statement from the connection's cache. `$2` is a name to SQLite, to be looked up at each use among all names of the
/// statement; `?2` is the second argument.
fn prepare<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    NUMBERED.with_borrow_mut(|known| {
        if let Some(numbered) = known.get(sql) {
            return connection.prepare_cached(numbered);
        }
        let numbered = numbered(sql);
        let statement = connection.prepare_cached(&numbered)?;
        if known.len() >= STATEMENTS {
            known.clear();
        }
        known.insert(sql.into(), numbered.into());
        Ok(statement)
    })
}

/// `$2` as `?2`, outside of quotes.
fn numbered(sql: &str) -> String {
    let mut quote = None;
    let mut chars = sql.chars().peekable();
    let mut numbered = String::with_capacity(sql.len());
    while let Some(c) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        let is_argument = c == '$' && quote.is_none() && chars.peek().is_some_and(char::is_ascii_digit);
        numbered.push(if is_argument { '?' } else { c });
    }
    numbered
}

/// Binds the first argument to `?1` and so on; a statement need not use them all.
fn bind(statement: &mut CachedStatement<'_>, params: &[Param<'_>]) -> rusqlite::Result<()> {
    let count = statement.parameter_count();
    let used = params.get(..count).ok_or(rusqlite::Error::InvalidParameterCount(count, params.len()))?;
    for (at, param) in (1..).zip(used) {
        let value = match param {
            Param::Null => ValueRef::Null,
            Param::Int(value) => ValueRef::Integer(*value),
            Param::Text(text) => ValueRef::Text(text.as_bytes()),
            Param::Blob(bytes) => ValueRef::Blob(bytes),
        };
        statement.raw_bind_parameter(at, ToSqlOutput::Borrowed(value))?;
    }
    Ok(())
}

fn failed(what: &str, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        _ => StoreError::Sql { what: what.chars().take(80).collect(), why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn arguments_are_numbered_and_quoted_words_left_alone() {
        assert_eq!(
            numbered("SELECT $2, '$1', \"$3\", $12 || '它''s $4' WHERE a = $1"),
            "SELECT ?2, '$1', \"$3\", ?12 || '它''s $4' WHERE a = ?1"
        );
        assert_eq!(numbered("json_extract(x, '$[0]') = $1"), "json_extract(x, '$[0]') = ?1");
    }
}
