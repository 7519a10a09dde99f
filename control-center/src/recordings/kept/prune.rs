//! What has had its time is dropped: files older than the days that are to be kept, and the oldest where there are too many
//! bytes. The rows stay for a while, and say so.

use std::path::Path;

use control_protocol::UtcMillis;

use super::{
    Limits,
    files::{self, Sort},
};
use crate::{
    Centre, params,
    store::{Sql, StoreError},
};

/// Files looked at in one go.
const AT_A_TIME: usize = 200;
const DAY_MS: i64 = 24 * 3_600_000;
/// Rows of what is not there are kept this long after.
const TOLD_MS: i64 = 90 * DAY_MS;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    id: String,
    at: UtcMillis,
    bytes: u64,
}

/// What is dropped.
#[derive(Debug, Clone, PartialEq)]
struct Dropped {
    id: String,
    why: &'static str,
}

/// Which of the oldest are dropped, of `total` bytes in all; `oldest` comes oldest first.
fn chosen(oldest: &[Held], mut total: u64, most: u64, before: UtcMillis) -> Vec<Dropped> {
    let mut found = Vec::new();
    for held in oldest {
        let why = if held.at < before {
            "days"
        } else if total > most {
            "bytes"
        } else {
            break;
        };
        total = total.saturating_sub(held.bytes);
        found.push(Dropped { id: held.id.clone(), why });
    }
    found
}

/// The names that one sort has in the database.
struct Words {
    table: &'static str,
    age: &'static str,
    there: &'static str,
    /// Sets a row as of $3, because of $2.
    drop: &'static str,
}

const STILLS: Words = Words {
    table: "kept_stills",
    age: "at",
    there: "state = 'kept'",
    drop: "state = 'dropped', why = $2, changed_at = $3",
};
const CLIPS: Words = Words {
    table: "kept_clips",
    age: "kept_at",
    there: "plan IS NOT NULL",
    // A clip that has been asked for again goes on being fetched.
    drop: "state = CASE WHEN state = 'asked' THEN state ELSE 'dropped' END, plan = NULL, bytes = NULL, sha256 = NULL, \
           kept_at = NULL, why = $2, changed_at = $3",
};

impl Words {
    fn oldest(&self, sql: &mut dyn Sql) -> Result<(u64, Vec<Held>), StoreError> {
        let Words { table, age, there, .. } = self;
        let sum =
            sql.query_one(&format!("SELECT COALESCE(SUM(bytes), 0) FROM {table} WHERE {there}"), params![])?;
        let total = sum.map_or(Ok(0), |row| row.get(0))?;
        let statement =
            format!("SELECT id, {age}, bytes FROM {table} WHERE {there} ORDER BY {age}, id LIMIT $1");
        let rows = sql.query(&statement, params![AT_A_TIME])?;
        let read = |row: &crate::store::Row| {
            Ok::<_, StoreError>(Held { id: row.get(0)?, at: row.get(1)?, bytes: row.get(2)? })
        };
        Ok((total, rows.iter().map(read).collect::<Result<_, _>>()?))
    }
}

/// Drops what there is too much of.
pub(super) async fn prune(centre: &Centre) -> Result<(), StoreError> {
    let Limits { clip_bytes, still_bytes, .. } = centre.kept.0.limits;
    drop_over(centre, Sort::Still, still_bytes).await?;
    drop_over(centre, Sort::Clip, clip_bytes).await?;
    let before = centre.clock.now().plus(-TOLD_MS);
    let old = centre
        .store
        .read(move |sql| {
            let statement = "SELECT 1 FROM kept_stills WHERE state IN ('missing', 'dropped') AND changed_at < $1 LIMIT 1";
            let stills = sql.query_one(statement, params![before])?.is_some();
            let statement = "SELECT 1 FROM kept_clips WHERE plan IS NULL AND state <> 'asked' AND changed_at < $1 LIMIT 1";
            Ok::<_, StoreError>(stills || sql.query_one(statement, params![before])?.is_some())
        })
        .await?;
    if !old {
        return Ok(());
    }
    centre
        .store
        .write("rows of what is not kept", move |tx| {
            tx.sql.execute(
                "DELETE FROM kept_stills WHERE id IN (SELECT id FROM kept_stills \
                 WHERE state IN ('missing', 'dropped') AND changed_at < $1 LIMIT 500)",
                params![before],
            )?;
            tx.sql.execute(
                "DELETE FROM kept_clips WHERE plan IS NULL AND state <> 'asked' AND changed_at < $1",
                params![before],
            )?;
            Ok(())
        })
        .await
}

/// Drops clips until `bytes` more have room.
pub(super) async fn make_room(centre: &Centre, bytes: u64) -> Result<(), StoreError> {
    drop_over(centre, Sort::Clip, centre.kept.0.limits.clip_bytes.saturating_sub(bytes)).await
}

async fn drop_over(centre: &Centre, sort: Sort, most: u64) -> Result<(), StoreError> {
    let words = if sort == Sort::Still { &STILLS } else { &CLIPS };
    loop {
        let now = centre.clock.now();
        let before = now.plus(-i64::from(centre.kept.0.limits.days).saturating_mul(DAY_MS));
        let (total, oldest) = centre.store.read(|sql| words.oldest(sql)).await?;
        let dropped = chosen(&oldest, total, most, before);
        if dropped.is_empty() {
            return Ok(());
        }
        let folder = centre.kept.0.folder.clone();
        // The file goes first: a row without one says the truth sooner than a file without a row.
        let removed = tokio::task::spawn_blocking(move || {
            dropped.into_iter().filter(|one| removed(&folder, sort, &one.id)).collect::<Vec<_>>()
        });
        let removed = removed.await.unwrap_or_default();
        if removed.is_empty() {
            return Ok(());
        }
        let more = removed.len() == AT_A_TIME;
        tracing::info!(
            what = words.table,
            files = removed.len(),
            "kept footage has had its time and is dropped"
        );
        centre
            .store
            .write("kept footage dropped", move |tx| {
                let statement = format!("UPDATE {} SET {} WHERE id = $1", words.table, words.drop);
                for one in &removed {
                    tx.sql.execute(&statement, params![one.id, one.why, now])?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

fn removed(folder: &Path, sort: Sort, id: &str) -> bool {
    let gone = files::remove(&files::path(folder, sort, id));
    if let Err(error) = &gone {
        tracing::warn!(%error, "a file of kept footage cannot be removed");
    }
    gone.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: &str, at: i64, bytes: u64) -> Held {
        Held { id: id.into(), at: UtcMillis(at), bytes }
    }

    #[test]
    fn the_oldest_go_first_by_days_and_then_by_bytes() {
        let all = [held("a", 1, 10), held("b", 5, 10), held("c", 6, 10), held("d", 7, 10)];
        let of = |most, before| {
            let found = chosen(&all, 40, most, UtcMillis(before));
            found.into_iter().map(|one| (one.id, one.why)).collect::<Vec<_>>()
        };
        assert_eq!(of(40, 0), []);
        assert_eq!(of(40, 5), [("a".to_owned(), "days")]);
        assert_eq!(of(25, 5), [("a".to_owned(), "days"), ("b".to_owned(), "bytes")]);
        assert_eq!(of(0, 0).len(), 4);
    }
}
