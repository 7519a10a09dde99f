//! What can be taken back within 24 hours, and taking it back.

use control_protocol::{PositionId, UtcMillis};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use crate::pairing::{
    Pairing, Who, log,
    positions::{self, StoreFailed},
    problem::Problem,
    visit::{Step, UNDO_MS},
};

/// A change that can be taken back: each place with the binding before and after.
pub(super) type Places = Vec<(PositionId, Option<i64>, Option<i64>)>;

/// Keeps a change so that it can be taken back.
pub(super) fn remember(
    tx: &Transaction<'_>,
    undo: &str,
    visit: &str,
    what: &str,
    by: &str,
    places: &Places,
    now: UtcMillis,
) -> Result<(), StoreFailed> {
    tx.execute(
        "INSERT INTO undos (id, at, visit, what, by, places) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![undo, now.0, visit, what, by, serde_json::to_string(places)?],
    )?;
    Ok(())
}

impl Pairing {
    /// What can be taken back.
    pub(in crate::pairing) async fn undos(&self) -> Result<Value, Problem> {
        let now = self.now();
        let rows: Vec<Value> = self
            .0
            .positions
            .run(move |tx| {
                let sql =
                    "SELECT id, at, what, by, places, undone_at FROM undos WHERE at > ?1 ORDER BY at DESC";
                let mut statement = tx.prepare_cached(sql)?;
                let rows: Vec<(String, i64, String, String, String, Option<i64>)> = statement
                    .query_map([now.0 - UNDO_MS], |r| {
                        Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?))
                    })?
                    .collect::<Result<_, _>>()?;
                let mut found = Vec::new();
                for (id, at, what, by, places, undone_at) in rows {
                    let places: Places = serde_json::from_str(&places)?;
                    found.push(json!({
                        "id": id,
                        "at": UtcMillis(at),
                        "until": UtcMillis(at + UNDO_MS),
                        "position": places.last().map(|p| &p.0),
                        "positions": places.iter().map(|p| &p.0).collect::<Vec<_>>(),
                        "what": what,
                        "by": by,
                        "undone_at": undone_at.map(UtcMillis),
                    }));
                }
                Ok::<_, Problem>(found)
            })
            .await?;
        Ok(json!({"items": rows}))
    }

    /// Takes a change back.
    pub(in crate::pairing) async fn undo(&self, who: &Who, id: String) -> Result<Value, Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        let by = who.clone();
        let (visit_id, step) = self
            .0
            .positions
            .run(move |tx| {
                let sql = "SELECT at, visit, places FROM undos WHERE id = ?1 AND undone_at IS NULL";
                let row: Option<(i64, String, String)> =
                    tx.query_row(sql, [&id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional()?;
                let (at, visit, places) = row.ok_or_else(|| Problem::not_found("undo"))?;
                let until = UtcMillis(at + UNDO_MS);
                if now > until {
                    let detail = "more than 24 hours have passed: pair it anew";
                    return Err(Problem::new(409, "too-late", json!({"until": until}), detail));
                }
                let places: Places = serde_json::from_str(&places)?;
                take_back(tx, &places, &by.name, &visit, now)?;
                tx.execute("UPDATE undos SET undone_at = ?2 WHERE id = ?1", params![id, now.0])?;
                let positions = places.into_iter().map(|p| p.0).collect();
                let step = Step::Undone { undo: id, positions };
                log::keep(tx, &visit, &by.name, by.door, now, std::slice::from_ref(&step))?;
                Ok::<_, Problem>((visit, step))
            })
            .await?;
        if let Some(visit) = held.as_mut().filter(|v| v.id == visit_id) {
            visit.apply(now, &step);
        }
        self.follow(Vec::new()).await?;
        let Step::Undone { positions, .. } = &step else { return Ok(Value::Null) };
        let all = self.all();
        let shown: Vec<Value> =
            all.iter().filter(|p| positions.contains(&p.id)).map(|p| self.position(p)).collect();
        Ok(json!({"positions": shown}))
    }
}

/// Puts places back as they were, if nothing else was done to them since.
fn take_back(
    tx: &Transaction<'_>,
    places: &Places,
    by: &str,
    visit: &str,
    now: UtcMillis,
) -> Result<(), Problem> {
    for (position, _, after) in places {
        let held = positions::one(tx, position.as_str())?.and_then(|p| p.binding).map(|b| b.n);
        if held != *after {
            let detail = format!("{position} was changed after it: take that back first");
            return Err(Problem::new(409, "changed-since", json!({"position": position}), detail));
        }
    }
    for (position, ..) in places {
        positions::unbind(tx, position, now)?;
    }
    for (position, before, _) in places {
        if let Some(before) = before {
            positions::bind_again(tx, position, *before, by, visit, now)?;
        }
    }
    Ok(())
}
