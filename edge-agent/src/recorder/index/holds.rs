//! Holds: what keeps footage from every deleter, with its reason and its end. A hold is confirmed once it is in the index
//! and in `holds.json`, from which an index that is made anew takes them.

use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::{Index, IndexError};
use crate::vault::write_private;

/// The file below the folder of recordings.
const FILE: &str = "holds.json";

pub use control_protocol::footage::{Hold, HoldKind};

impl Index {
    /// Places a hold; false where one of its name is there already.
    pub(in super::super) fn hold(&self, folder: &Path, hold: &Hold) -> Result<bool, IndexError> {
        let all = self.db.unchecked_transaction()?;
        let there: Option<i64> =
            all.query_row("SELECT 1 FROM holds WHERE id = ?1", [&hold.id], |r| r.get(0)).optional()?;
        if there.is_some() {
            return Ok(false);
        }
        self.insert_hold(hold)?;
        self.write_holds(folder)?;
        all.commit()?;
        Ok(true)
    }

    pub(super) fn insert_hold(&self, hold: &Hold) -> Result<(), IndexError> {
        let sql = "INSERT INTO holds (id, kind, reason, placed_by, case_id, placed, until, released)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.db.execute(
            sql,
            params![
                hold.id,
                hold.kind.as_str(),
                hold.reason,
                hold.placed_by,
                hold.case,
                hold.placed_us,
                hold.until_us,
                hold.released_us
            ],
        )?;
        for camera in &hold.cameras {
            let sql = "INSERT OR IGNORE INTO held (hold, camera, from_us, to_us) VALUES (?1, ?2, ?3, ?4)";
            self.db.execute(sql, params![hold.id, camera.as_str(), hold.from_us, hold.to_us])?;
        }
        Ok(())
    }

    /// Releases a hold; false where none of this name stands.
    pub(in super::super) fn release(&self, folder: &Path, id: &str, now_us: i64) -> Result<bool, IndexError> {
        let all = self.db.unchecked_transaction()?;
        let sql = "UPDATE holds SET released = ?2 WHERE id = ?1 AND released IS NULL";
        if all.execute(sql, params![id, now_us])? == 0 {
            return Ok(false);
        }
        self.write_holds(folder)?;
        all.commit()?;
        Ok(true)
    }

    /// All holds, those that have ended or were released too, in order of placing.
    ///
    /// # Errors
    /// The file's.
    pub fn holds(&self) -> Result<Vec<Hold>, IndexError> {
        let sql = "SELECT id, kind, reason, placed_by, case_id, placed, until, released FROM holds ORDER BY placed, id";
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map([], |r| {
            let kind: String = r.get(1)?;
            Ok(Hold {
                id: r.get(0)?,
                kind: HoldKind::of(&kind).unwrap_or(HoldKind::Person),
                reason: r.get(2)?,
                placed_by: r.get(3)?,
                case: r.get(4)?,
                cameras: Vec::new(),
                from_us: 0,
                to_us: 0,
                placed_us: r.get(5)?,
                until_us: r.get(6)?,
                released_us: r.get(7)?,
            })
        })?;
        let mut holds: Vec<Hold> = rows.collect::<Result<_, _>>()?;
        let sql = "SELECT camera, from_us, to_us FROM held WHERE hold = ?1 ORDER BY camera";
        let mut statement = self.db.prepare_cached(sql)?;
        for hold in &mut holds {
            let spans = statement.query_map([&hold.id], |r| {
                Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?, r.get::<_, i64>(2)?))
            })?;
            for span in spans {
                let (camera, from_us, to_us) = span?;
                hold.cameras
                    .push(camera.parse().map_err(|_| IndexError::Damaged("the camera of a hold".into()))?);
                (hold.from_us, hold.to_us) = (from_us, to_us);
            }
        }
        Ok(holds)
    }

    fn write_holds(&self, folder: &Path) -> Result<(), IndexError> {
        let bytes = serde_json::to_vec(&self.holds()?).map_err(|e| IndexError::Failed(e.to_string()))?;
        write_private(&folder.join(FILE), &bytes).map_err(|e| IndexError::Failed(format!("{FILE}: {e}")))
    }

    /// The holds that stand beside the index.
    pub(super) fn kept_holds(folder: &Path) -> Result<Vec<Hold>, IndexError> {
        match std::fs::read(folder.join(FILE)) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| IndexError::Damaged(format!("{FILE}: {e}")))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(IndexError::Failed(format!("{FILE}: {e}"))),
        }
    }
}
