//! The rows: reading and writing them, with SQLite's errors told apart by what they mean here.

use bytes::Bytes;
use control_protocol::{
    UtcMillis,
    chain::{ChainEnd, Digest},
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::{JournalError, Outgoing, Unanswered};

impl From<rusqlite::Error> for JournalError {
    fn from(e: rusqlite::Error) -> Self {
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Failed(e.to_string()),
        }
    }
}

pub(super) fn signed(value: u64) -> Result<i64, JournalError> {
    i64::try_from(value).map_err(|_| JournalError::Failed(format!("the number {value} is out of range")))
}

pub(super) fn unsigned(value: i64) -> Result<u64, JournalError> {
    u64::try_from(value).map_err(|_| JournalError::Failed(format!("the number {value} is out of range")))
}

pub(super) fn open(path: &std::path::Path) -> Result<Connection, JournalError> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(32);
    db.execute_batch(include_str!("schema.sql"))?;
    Ok(db)
}

pub(super) fn epoch(db: &Connection) -> Result<Option<u64>, JournalError> {
    let text: Option<String> =
        db.query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |r| r.get(0)).optional()?;
    text.map(|t| t.parse().map_err(|_| JournalError::Failed(format!("`{t}` is not an epoch")))).transpose()
}

pub(super) fn set_epoch(db: &Connection, epoch: u64) -> Result<(), JournalError> {
    let sql = "INSERT INTO meta (key, value) VALUES ('epoch', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    db.execute(sql, [epoch.to_string()])?;
    Ok(())
}

/// The end of an epoch's chain.
pub(super) fn chain_end(db: &Connection, epoch: u64) -> Result<ChainEnd, JournalError> {
    let sql = "SELECT seq, digest FROM events WHERE epoch = ?1 ORDER BY seq DESC LIMIT 1";
    let row: Option<(i64, Vec<u8>)> =
        db.query_row(sql, [signed(epoch)?], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    let Some((seq, digest)) = row else { return Ok(ChainEnd::start(epoch)) };
    let digest = Digest::from_slice(&digest).map_err(|e| JournalError::Failed(e.to_string()))?;
    Ok(ChainEnd { epoch, seq: unsigned(seq)?, digest })
}

/// The digest of one event, if it is kept.
pub(super) fn digest_of(db: &Connection, epoch: u64, seq: u64) -> Result<Option<Digest>, JournalError> {
    let sql = "SELECT digest FROM events WHERE epoch = ?1 AND seq = ?2";
    let digest: Option<Vec<u8>> =
        db.query_row(sql, [signed(epoch)?, signed(seq)?], |r| r.get(0)).optional()?;
    Ok(digest.and_then(|d| Digest::from_slice(&d).ok()))
}

pub(super) fn mark(db: &Connection, epoch: u64) -> Result<Option<u64>, JournalError> {
    let sql = "SELECT seq FROM marks WHERE epoch = ?1";
    let seq: Option<i64> = db.query_row(sql, [signed(epoch)?], |r| r.get(0)).optional()?;
    seq.map(unsigned).transpose()
}

pub(super) fn set_mark(db: &Connection, epoch: u64, seq: u64) -> Result<(), JournalError> {
    let sql = "INSERT INTO marks (epoch, seq) VALUES (?1, ?2) ON CONFLICT (epoch) DO UPDATE SET seq = ?2";
    db.prepare_cached(sql)?.execute([signed(epoch)?, signed(seq)?])?;
    Ok(())
}

/// Events beyond the marks, of the oldest epoch that has any.
pub(super) fn outgoing(db: &Connection, most: usize) -> Result<Vec<Outgoing>, JournalError> {
    let sql = "SELECT epoch, seq, bytes FROM events
               WHERE epoch = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    for epoch in epochs(db)? {
        let from = mark(db, epoch)?.unwrap_or(0);
        let mut statement = db.prepare_cached(sql)?;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![signed(epoch)?, signed(from)?, limit], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, Vec<u8>>(2)?))
        })?;
        let mut found = Vec::new();
        for row in rows {
            let (epoch, seq, bytes) = row?;
            found.push(Outgoing { epoch: unsigned(epoch)?, seq: unsigned(seq)?, bytes: Bytes::from(bytes) });
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// The epochs that events are kept of, oldest first.
pub(super) fn epochs(db: &Connection) -> Result<Vec<u64>, JournalError> {
    let mut found = Vec::new();
    // A loose walk over the index; DISTINCT would read all of it.
    let mut after = -1i64;
    let sql = "SELECT epoch FROM events WHERE epoch > ?1 ORDER BY epoch LIMIT 1";
    while let Some(epoch) = db.prepare_cached(sql)?.query_row([after], |r| r.get::<_, i64>(0)).optional()? {
        found.push(unsigned(epoch)?);
        after = epoch;
    }
    Ok(found)
}

/// Remembers what a device said last.
pub(super) fn remember(db: &Connection, said: &Unanswered) -> Result<(), JournalError> {
    let sql = "INSERT INTO said (position, raw, at, mono_us, answered) VALUES (?1, ?2, ?3, ?4, 0)
               ON CONFLICT (position) DO UPDATE SET raw = ?2, at = ?3, mono_us = ?4, answered = 0";
    let Unanswered { position, raw, at, mono_us } = said;
    db.prepare_cached(sql)?.execute(params![position, raw.as_ref(), at.0, signed(*mono_us)?])?;
    Ok(())
}

/// The device has its answer for what it said then.
pub(super) fn answered(db: &Connection, position: &str, mono_us: u64) -> Result<(), JournalError> {
    let sql = "UPDATE said SET answered = 1 WHERE position = ?1 AND mono_us = ?2";
    db.prepare_cached(sql)?.execute(params![position, signed(mono_us)?])?;
    Ok(())
}

/// What devices said last and were not answered for.
pub(super) fn unanswered(db: &Connection) -> Result<Vec<Unanswered>, JournalError> {
    let mut statement = db.prepare("SELECT position, raw, at, mono_us FROM said WHERE answered = 0")?;
    let rows = statement.query_map([], |r| {
        Ok((r.get::<_, String>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, i64>(2)?, r.get::<_, i64>(3)?))
    })?;
    let mut found = Vec::new();
    for row in rows {
        let (position, raw, at, mono_us) = row?;
        let said = Unanswered { position, raw: raw.into(), at: UtcMillis(at), mono_us: unsigned(mono_us)? };
        found.push(said);
    }
    Ok(found)
}

/// How many events are beyond the marks, and when the oldest of them was written.
pub(super) fn backlog(db: &Connection) -> Result<(u64, Option<UtcMillis>), JournalError> {
    let mut depth = 0;
    let mut oldest = None;
    for epoch in epochs(db)? {
        let from = mark(db, epoch)?.unwrap_or(0);
        depth += chain_end(db, epoch)?.seq.saturating_sub(from);
        if oldest.is_none() {
            let sql = "SELECT written FROM events WHERE epoch = ?1 AND seq > ?2 ORDER BY seq LIMIT 1";
            oldest = db
                .prepare_cached(sql)?
                .query_row([signed(epoch)?, signed(from)?], |r| r.get::<_, i64>(0))
                .optional()?
                .map(UtcMillis);
        }
    }
    Ok((depth, oldest))
}
