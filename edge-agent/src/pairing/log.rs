//! The log of visits on disk: every step in order, each with the SHA-256 of the exact bytes of the one before. A visit is read back
//! as the fold of its steps, so that a restart in the middle of one changes nothing.

use control_protocol::{UtcMillis, chain::Digest};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    positions::StoreFailed,
    visit::{Door, Step, Visit},
};

/// A step as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its number, over all visits.
    pub n: i64,
    /// Whose visit it is of.
    pub visit: String,
    /// When.
    pub at: UtcMillis,
    /// Who; `hall` for what happened by itself.
    pub who: String,
    /// Through which door.
    pub door: Door,
    /// What.
    #[serde(flatten)]
    pub step: Step,
    /// The digest of the step before.
    pub prev: Digest,
}

/// A visit with its steps.
pub(super) struct Read {
    /// The visit.
    pub visit: Visit,
    /// Its steps with their digests.
    pub steps: Vec<(Kept, Digest)>,
    /// Whether every step carries the digest of the one before it.
    pub whole: bool,
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreFailed> {
    Digest::from_slice(bytes).map_err(|e| StoreFailed(e.to_string()))
}

fn end(tx: &Transaction<'_>, before: Option<i64>) -> Result<(i64, Digest), StoreFailed> {
    let sql = "SELECT n, digest FROM steps WHERE n < ?1 ORDER BY n DESC LIMIT 1";
    let row: Option<(i64, Vec<u8>)> = tx
        .prepare_cached(sql)?
        .query_row([before.unwrap_or(i64::MAX)], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    row.map_or(Ok((0, Digest::ZERO)), |(n, bytes)| Ok((n, digest(&bytes)?)))
}

/// Keeps steps; gives the number of the last.
pub(super) fn keep(
    tx: &Transaction<'_>,
    visit: &str,
    who: &str,
    door: Door,
    at: UtcMillis,
    steps: &[Step],
) -> Result<i64, StoreFailed> {
    let (mut n, mut prev) = end(tx, None)?;
    for step in steps {
        n += 1;
        let kept =
            Kept { n, visit: visit.to_owned(), at, who: who.to_owned(), door, step: step.clone(), prev };
        let bytes = serde_json::to_vec(&kept)?;
        prev = Digest::of(&bytes);
        tx.execute(
            "INSERT INTO steps (n, visit, bytes, digest) VALUES (?1, ?2, ?3, ?4)",
            params![n, visit, bytes, prev.as_bytes().as_slice()],
        )?;
        match step {
            Step::Opened { .. } => {
                let sql = "INSERT INTO visits (id, opened_at, open) VALUES (?1, ?2, 1)";
                tx.execute(sql, params![visit, at.0])?;
            }
            Step::Closed { .. } => {
                tx.execute("UPDATE visits SET open = 0 WHERE id = ?1", [visit])?;
            }
            _ => {}
        }
    }
    Ok(n)
}

/// The number the next step will have.
pub(super) fn next(tx: &Transaction<'_>) -> Result<i64, StoreFailed> {
    Ok(end(tx, None)?.0 + 1)
}

/// Reads a visit back.
pub(super) fn read(tx: &Transaction<'_>, id: &str) -> Result<Option<Read>, StoreFailed> {
    let mut statement =
        tx.prepare_cached("SELECT n, bytes, digest FROM steps WHERE visit = ?1 ORDER BY n")?;
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> =
        statement.query_map([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?.collect::<Result<_, _>>()?;
    let mut found: Option<Visit> = None;
    let mut steps = Vec::with_capacity(rows.len());
    let mut whole = true;
    for (n, bytes, stored) in rows {
        let kept: Kept = serde_json::from_slice(&bytes)?;
        let (before, prev) = end(tx, Some(n))?;
        let own = Digest::of(&bytes);
        whole &= kept.prev == prev && kept.n == n && before == n - 1 && digest(&stored)? == own;
        match &mut found {
            None => found = Visit::begin(id.to_owned(), kept.at, &kept.step),
            Some(visit) => visit.apply(kept.at, &kept.step),
        }
        steps.push((kept, own));
    }
    Ok(found.map(|visit| Read { visit, steps, whole }))
}

/// The visit that is not closed.
pub(super) fn open(tx: &Transaction<'_>) -> Result<Option<Visit>, StoreFailed> {
    let id: Option<String> =
        tx.query_row("SELECT id FROM visits WHERE open = 1", [], |r| r.get(0)).optional()?;
    Ok(match id {
        Some(id) => read(tx, &id)?.map(|read| read.visit),
        None => None,
    })
}

/// The latest visits, newest first.
pub(super) fn latest(tx: &Transaction<'_>, most: u32) -> Result<Vec<Visit>, StoreFailed> {
    let mut statement =
        tx.prepare_cached("SELECT id FROM visits ORDER BY opened_at DESC, id DESC LIMIT ?1")?;
    let ids: Vec<String> = statement.query_map([most], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(read(tx, &id)?.map(|read| read.visit));
    }
    Ok(found)
}
