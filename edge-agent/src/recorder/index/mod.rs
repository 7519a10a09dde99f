//! The recording index: which segment holds which minute, where nothing was recorded and why, and what is held. It is a
//! cache of the segments and can be made again from them; it deletes nothing by itself.

mod holds;
pub mod rebuild;

use std::path::Path;

use control_protocol::{CameraId, chain::Digest, event::ClockQuality};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use super::segment::{BadTable, Head, Table};

pub use holds::{Hold, HoldKind};

/// The index's file below the folder of recordings.
pub const FILE: &str = "index.sqlite";

/// Why the index did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// No room.
    #[error("the disk of the recordings is full")]
    Full,
    /// The file is damaged.
    #[error("the recording index is damaged ({0}): stop the agent and run `edge-agent recordings rebuild`")]
    Damaged(String),
    /// It cannot be read or written.
    #[error("the recording index failed: {0}")]
    Failed(String),
}

impl From<rusqlite::Error> for IndexError {
    fn from(e: rusqlite::Error) -> Self {
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(e.to_string()),
            _ => Self::Failed(e.to_string()),
        }
    }
}

impl From<BadTable> for IndexError {
    fn from(e: BadTable) -> Self {
        Self::Damaged(e.to_string())
    }
}

/// One segment as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// The row's number; it says nothing outside of this index.
    pub id: i64,
    /// The camera.
    pub camera: CameraId,
    /// Its run.
    pub run: u64,
    /// The segment's number in the run.
    pub part: u32,
    /// The file, below the folder of recordings.
    pub file: String,
    /// First picture, UTC µs.
    pub start_us: i64,
    /// End of the last picture, UTC µs.
    pub end_us: i64,
    /// First picture on the monotonic clock of `boot`, µs.
    pub mono_us: u64,
    /// Which boot that is.
    pub boot: String,
    /// How far the times can be trusted.
    pub quality: String,
    /// RFC 6381.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes before the first fragment.
    pub head_len: u64,
    /// Bytes.
    pub bytes: u64,
    /// The digest that covers all of it.
    pub digest: Digest,
    /// Its fragments.
    pub table: Table,
}

/// How far times can be trusted, as the index has it; what it does not know is trusted least.
pub(super) fn quality_of(text: &str) -> ClockQuality {
    serde_json::from_value(text.into()).unwrap_or(ClockQuality::Wrong)
}

/// A stretch in which nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The camera.
    pub camera: CameraId,
    /// Since when, UTC µs.
    pub from_us: i64,
    /// Until when; none while it goes on.
    pub to_us: Option<i64>,
    /// Why.
    pub why: String,
}

/// A stretch of recording without a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The camera's run.
    pub run: u64,
    /// First picture, UTC µs.
    pub from_us: i64,
    /// End of the last picture, UTC µs.
    pub to_us: i64,
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What is known of a camera at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The last run.
    pub run: u64,
    /// The end of its last picture, UTC µs.
    pub end_us: i64,
    /// The digest of its last segment.
    pub digest: Digest,
}

/// The index, for its one writer.
#[derive(Debug)]
pub struct Index {
    pub(super) db: Connection,
}

fn signed(value: u64) -> Result<i64, IndexError> {
    i64::try_from(value).map_err(|_| IndexError::Failed(format!("the number {value} is out of range")))
}

/// Microseconds as SQLite keeps them.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

const COLUMNS: &str = "id, camera, run, part, file, start_us, end_us, mono_us, boot, quality, codec, width, height, \
                       head_len, bytes, digest, fragments";

fn row(r: &Row<'_>) -> rusqlite::Result<Result<SegmentRow, IndexError>> {
    let camera: String = r.get(1)?;
    let digest: Vec<u8> = r.get(15)?;
    let table: Vec<u8> = r.get(16)?;
    let number = |at: usize| -> rusqlite::Result<u32> { r.get(at) };
    let damaged = |what: &str| IndexError::Damaged(format!("{what} of a segment"));
    let (Ok(camera), Ok(digest), Ok(table)) =
        (camera.parse(), Digest::from_slice(&digest), Table::decode(&table))
    else {
        return Ok(Err(damaged("camera, digest or table")));
    };
    Ok(Ok(SegmentRow {
        id: r.get(0)?,
        camera,
        run: unsigned(r.get(2)?),
        part: number(3)?,
        file: r.get(4)?,
        start_us: r.get(5)?,
        end_us: r.get(6)?,
        mono_us: unsigned(r.get(7)?),
        boot: r.get(8)?,
        quality: r.get(9)?,
        codec: r.get(10)?,
        width: number(11)?,
        height: number(12)?,
        head_len: unsigned(r.get(13)?),
        bytes: unsigned(r.get(14)?),
        digest,
        table,
    }))
}

impl Index {
    /// Opens the index below `folder` for writing, makes it where there is none; says whether it was made. Blocks.
    ///
    /// # Errors
    /// The file's.
    pub fn open(folder: &Path) -> Result<(Self, bool), IndexError> {
        let path = folder.join(FILE);
        let new = !path.exists();
        let db = Connection::open(&path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        db.set_prepared_statement_cache_capacity(32);
        db.execute_batch(include_str!("schema.sql"))?;
        Ok((Self { db }, new))
    }

    /// Opens it for reading alone. Blocks.
    ///
    /// # Errors
    /// The file's.
    pub fn read(folder: &Path) -> Result<Self, IndexError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(folder.join(FILE), flags)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(Self { db })
    }

    /// A segment is about to be made. Gives its row's number.
    pub(super) fn begin(&self, head: &Head, file: &str, start_us: i64) -> Result<i64, IndexError> {
        let sql = "INSERT INTO segments (camera, run, part, file, state, start_us, end_us, mono_us, boot, quality, codec,
                   width, height, head_len, bytes, frames, digest, fragments)
                   VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5, 0, ?6, '', ?7, ?8, ?9, 0, 0, 0, x'', x'00')";
        self.db.prepare_cached(sql)?.execute(params![
            head.camera.as_str(),
            signed(head.run)?,
            head.part,
            file,
            start_us,
            head.boot,
            head.codec,
            head.width,
            head.height
        ])?;
        Ok(self.db.last_insert_rowid())
    }

    /// A segment is whole: nothing more comes, and its bytes are on disk.
    pub(super) fn seal(&self, s: &SegmentRow) -> Result<(), IndexError> {
        let sql = "UPDATE segments SET state = 1, start_us = ?2, end_us = ?3, mono_us = ?4, boot = ?5, quality = ?6,
                   codec = ?7, width = ?8, height = ?9, head_len = ?10, bytes = ?11, frames = ?12, digest = ?13,
                   fragments = ?14, run = ?15, part = ?16 WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute(params![
            s.id,
            s.start_us,
            s.end_us,
            signed(s.mono_us)?,
            s.boot,
            s.quality,
            s.codec,
            s.width,
            s.height,
            signed(s.head_len)?,
            signed(s.bytes)?,
            signed(s.table.frames())?,
            s.digest.as_bytes(),
            s.table.encode(),
            signed(s.run)?,
            s.part
        ])?;
        Ok(())
    }

    /// Segments that were being written or deleted when the agent last ended: number, file, and whether it was being
    /// deleted.
    pub(super) fn unfinished(&self) -> Result<Vec<(i64, String, bool)>, IndexError> {
        let mut statement =
            self.db.prepare("SELECT id, file, state FROM segments WHERE state <> 1 ORDER BY id")?;
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get::<_, i64>(2)? == 2)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets a segment whose file is gone.
    pub(super) fn forget(&self, id: i64) -> Result<(), IndexError> {
        self.db.prepare_cached("DELETE FROM segments WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Segments are about to be deleted: from now on nobody is given them.
    pub(super) fn condemn(&self, ids: &[i64]) -> Result<(), IndexError> {
        let all = self.db.unchecked_transaction()?;
        for id in ids {
            all.prepare_cached("UPDATE segments SET state = 2 WHERE id = ?1")?.execute([id])?;
        }
        Ok(all.commit()?)
    }

    /// Forgets segments whose files are gone.
    pub(super) fn forget_all(&self, ids: &[i64]) -> Result<(), IndexError> {
        let all = self.db.unchecked_transaction()?;
        for id in ids {
            all.prepare_cached("DELETE FROM segments WHERE id = ?1")?.execute([id])?;
        }
        Ok(all.commit()?)
    }

    /// What is known of a camera's last segment.
    pub(super) fn last(&self, camera: &CameraId) -> Result<Option<Last>, IndexError> {
        let sql = "SELECT run, end_us, digest FROM segments WHERE camera = ?1 AND state = 1 ORDER BY run DESC, part DESC LIMIT 1";
        let found: Option<(i64, i64, Vec<u8>)> = self
            .db
            .query_row(sql, [camera.as_str()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        Ok(found.map(|(run, end_us, digest)| Last {
            run: unsigned(run),
            end_us,
            digest: Digest::from_slice(&digest).unwrap_or(Digest::ZERO),
        }))
    }

    /// Bytes of a camera's sealed segments.
    pub(super) fn bytes_of(&self, camera: &CameraId) -> Result<u64, IndexError> {
        let sql = "SELECT COALESCE(SUM(bytes), 0) FROM segments WHERE camera = ?1 AND state = 1";
        Ok(unsigned(self.db.query_row(sql, [camera.as_str()], |r| r.get(0))?))
    }

    /// Sealed segments of a camera that touch `from_us..to_us`, oldest recorded first.
    ///
    /// # Errors
    /// The file's.
    pub fn segments(
        &self,
        camera: &CameraId,
        from_us: i64,
        to_us: i64,
    ) -> Result<Vec<SegmentRow>, IndexError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM segments WHERE camera = ?1 AND state = 1 AND start_us < ?3 AND end_us > ?2
             ORDER BY run, part"
        );
        self.rows(&sql, params![camera.as_str(), from_us, to_us])
    }

    /// The sealed segment of a camera in this file.
    ///
    /// # Errors
    /// The file's.
    pub fn segment(&self, camera: &CameraId, file: &str) -> Result<Option<SegmentRow>, IndexError> {
        let sql = format!("SELECT {COLUMNS} FROM segments WHERE file = ?1 AND camera = ?2 AND state = 1");
        Ok(self.rows(&sql, params![file, camera.as_str()])?.pop())
    }

    /// All sealed segments of all cameras, in order.
    ///
    /// # Errors
    /// The file's.
    pub fn everything(&self) -> Result<Vec<SegmentRow>, IndexError> {
        self.rows(&format!("SELECT {COLUMNS} FROM segments WHERE state = 1 ORDER BY camera, run, part"), [])
    }

    fn rows(&self, sql: &str, with: impl rusqlite::Params) -> Result<Vec<SegmentRow>, IndexError> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(with, row)?;
        let mut found = Vec::new();
        for row in rows {
            found.push(row??);
        }
        Ok(found)
    }

    /// Runs of a camera that touch `from_us..to_us`, in order; each whole, not cut at the range.
    ///
    /// # Errors
    /// The file's.
    pub fn runs(&self, camera: &CameraId, from_us: i64, to_us: i64) -> Result<Vec<Run>, IndexError> {
        let sql = "SELECT run, MIN(start_us), MAX(end_us), SUM(frames), SUM(bytes) FROM segments
                   WHERE camera = ?1 AND state = 1 AND run IN
                     (SELECT run FROM segments WHERE camera = ?1 AND state = 1 AND start_us < ?3 AND end_us > ?2)
                   GROUP BY run ORDER BY run";
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(params![camera.as_str(), from_us, to_us], |r| {
            Ok(Run {
                run: unsigned(r.get(0)?),
                from_us: r.get(1)?,
                to_us: r.get(2)?,
                frames: unsigned(r.get(3)?),
                bytes: unsigned(r.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Gaps of a camera that touch `from_us..to_us`, in order.
    ///
    /// # Errors
    /// The file's.
    pub fn gaps(&self, camera: &CameraId, from_us: i64, to_us: i64) -> Result<Vec<Gap>, IndexError> {
        let sql = "SELECT from_us, to_us, why FROM gaps
                   WHERE camera = ?1 AND from_us < ?3 AND (to_us IS NULL OR to_us > ?2 OR from_us >= ?2) ORDER BY from_us";
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(params![camera.as_str(), from_us, to_us], |r| {
            Ok(Gap { camera: camera.clone(), from_us: r.get(0)?, to_us: r.get(1)?, why: r.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All gaps that have ended, in order.
    ///
    /// # Errors
    /// The file's.
    pub fn ended_gaps(&self) -> Result<Vec<Gap>, IndexError> {
        let sql =
            "SELECT camera, from_us, to_us, why FROM gaps WHERE to_us IS NOT NULL ORDER BY camera, from_us";
        self.gap_rows(sql)
    }

    fn gap_rows(&self, sql: &str) -> Result<Vec<Gap>, IndexError> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows =
            statement.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (camera, from_us, to_us, why) = row?;
            let camera = camera.parse().map_err(|_| IndexError::Damaged("the camera of a gap".into()))?;
            found.push(Gap { camera, from_us, to_us, why });
        }
        Ok(found)
    }

    /// The gap of a camera that goes on.
    pub(super) fn open_gap(&self, camera: &CameraId) -> Result<Option<(i64, String)>, IndexError> {
        let sql =
            "SELECT from_us, why FROM gaps WHERE camera = ?1 AND to_us IS NULL ORDER BY from_us DESC LIMIT 1";
        Ok(self.db.query_row(sql, [camera.as_str()], |r| Ok((r.get(0)?, r.get(1)?))).optional()?)
    }

    /// A gap begins, or has ended.
    pub(super) fn put_gap(&self, gap: &Gap) -> Result<(), IndexError> {
        let sql = "INSERT INTO gaps (camera, from_us, to_us, why) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (camera, from_us) DO UPDATE SET to_us = ?3, why = ?4";
        self.db.prepare_cached(sql)?.execute(params![
            gap.camera.as_str(),
            gap.from_us,
            gap.to_us,
            gap.why
        ])?;
        Ok(())
    }

    /// Sealed segments and ended gaps that the journal does not have yet, a few at a time.
    pub(super) fn untold(&self, most: u32) -> Result<(Vec<SegmentRow>, Vec<Gap>), IndexError> {
        let sql = format!("SELECT {COLUMNS} FROM segments WHERE told = 0 AND state = 1 ORDER BY id LIMIT ?1");
        let segments = self.rows(&sql, [most])?;
        let sql = format!(
            "SELECT camera, from_us, to_us, why FROM gaps WHERE told = 0 AND to_us IS NOT NULL ORDER BY from_us LIMIT {most}"
        );
        Ok((segments, self.gap_rows(&sql)?))
    }

    /// The journal has them.
    pub(super) fn told(&self, segments: &[i64], gaps: &[(CameraId, i64)]) -> Result<(), IndexError> {
        let all = self.db.unchecked_transaction()?;
        for id in segments {
            all.prepare_cached("UPDATE segments SET told = 1 WHERE id = ?1")?.execute([id])?;
        }
        for (camera, from_us) in gaps {
            let sql = "UPDATE gaps SET told = 1 WHERE camera = ?1 AND from_us = ?2";
            all.prepare_cached(sql)?.execute(params![camera.as_str(), from_us])?;
        }
        Ok(all.commit()?)
    }

    /// Sealed segments that no hold keeps, oldest first, at most `most`: of one camera or of all, ended before
    /// `before_us`. Gives number, file and bytes.
    pub(super) fn deletable(
        &self,
        camera: Option<&CameraId>,
        before_us: i64,
        now_us: i64,
        most: u32,
    ) -> Result<Vec<(i64, String, CameraId, u64)>, IndexError> {
        let free = "NOT EXISTS (SELECT 1 FROM held JOIN holds ON holds.id = held.hold
                    WHERE held.camera = segments.camera AND held.from_us < segments.end_us
                      AND held.to_us > segments.start_us AND holds.released IS NULL
                      AND (holds.until IS NULL OR holds.until > ?2))";
        let of = if camera.is_some() { "camera = ?4 AND" } else { "?4 IS NULL AND" };
        let sql = format!(
            "SELECT id, file, camera, bytes FROM segments
             WHERE {of} state = 1 AND end_us < ?1 AND {free} ORDER BY start_us LIMIT ?3"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement
            .query_map(params![before_us, now_us, most, camera.map(CameraId::as_str)], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get::<_, String>(2)?, r.get::<_, i64>(3)?))
            })?;
        let mut found = Vec::new();
        for row in rows {
            let (id, file, camera, bytes) = row?;
            let camera = camera.parse().map_err(|_| IndexError::Damaged("the camera of a segment".into()))?;
            found.push((id, file, camera, unsigned(bytes)));
        }
        Ok(found)
    }

    /// Gaps that ended before `before_us` are forgotten with the footage around them.
    pub(super) fn forget_gaps(&self, before_us: i64) -> Result<(), IndexError> {
        let sql = "DELETE FROM gaps WHERE to_us < ?1 AND told = 1 AND NOT EXISTS
                   (SELECT 1 FROM segments WHERE segments.camera = gaps.camera AND segments.end_us <= gaps.from_us)";
        self.db.prepare_cached(sql)?.execute([before_us])?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
