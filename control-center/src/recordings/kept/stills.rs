//! Stills of key moments: fetched from the halls when they are there and have time, shown on the timeline of their case.

use std::{collections::HashSet, io::Write};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use control_protocol::{CameraId, CaseId, Digest, HallId, UtcMillis, footage::StillFile};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::files::{self, Sort};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, may},
    cases,
    nodes::NotDelivered,
    params,
    recordings::{
        millis, note,
        still::{NoStill, still_of},
    },
    site::{extract::Named, problem::Problem},
    store::{Sql, StoreError},
};

/// Halls asked at once, each for one still.
const AT_ONCE: usize = 4;
/// Wishes looked at in one round.
const ROUND: usize = 256;
/// When a hall that could not give a still is asked again, milliseconds; after the last it is missing.
const AGAIN_MS: [i64; 4] = [10_000, 30_000, 120_000, 600_000];
/// When one is asked for again whose hall is away.
const AWAY_MS: i64 = 30_000;
/// So long a hall may be away before its stills are given up.
const PATIENCE_MS: i64 = 3 * 24 * 3_600_000;

/// A still that is wanted.
#[derive(Debug, Clone)]
struct Wish {
    id: String,
    hall: HallId,
    camera: CameraId,
    at: UtcMillis,
    tries: u32,
}

/// What becomes of a wish.
#[derive(Debug, PartialEq)]
enum Outcome {
    Kept { taken_us: i64, bytes: u64, sha256: Digest },
    Again { after_ms: i64, tries: u32, why: String },
    Missing { why: String },
}

/// What becomes of a wish that was not fulfilled at `now`.
fn judged(wish: &Wish, error: &NoStill, now: UtcMillis) -> Outcome {
    let why: String = error.to_string().chars().take(300).collect();
    match error {
        // A hall that is away or has no time has not been tried.
        NoStill::Away(NotDelivered::Offline | NotDelivered::Busy) => {
            if now.0.saturating_sub(wish.at.0) > PATIENCE_MS {
                Outcome::Missing { why }
            } else {
                Outcome::Again { after_ms: AWAY_MS, tries: wish.tries, why }
            }
        }
        _ => match AGAIN_MS.get(wish.tries as usize) {
            Some(after_ms) => Outcome::Again { after_ms: *after_ms, tries: wish.tries + 1, why },
            None => Outcome::Missing { why },
        },
    }
}

/// Asks for what is due, one still of each hall; gives how many halls were asked.
pub(super) async fn fetch_due(centre: &Centre) -> Result<usize, StoreError> {
    let now = centre.clock.now();
    let due = centre
        .store
        .read(move |sql| {
            let rows = sql.query(
                "SELECT id, hall, camera, at, tries FROM kept_stills WHERE state = 'wanted' AND next_at <= $1 \
                 ORDER BY next_at LIMIT $2",
                params![now, ROUND],
            )?;
            let read = |row: &crate::store::Row| {
                Ok::<_, StoreError>(Wish {
                    id: row.get(0)?,
                    hall: row.get(1)?,
                    camera: row.get(2)?,
                    at: row.get(3)?,
                    tries: row.get(4)?,
                })
            };
            rows.iter().map(read).collect::<Result<Vec<Wish>, StoreError>>()
        })
        .await?;
    let mut halls = HashSet::new();
    let (mut asked, mut outcomes) = (Vec::new(), Vec::new());
    for wish in due {
        if centre.nodes.registry().of_hall(&wish.hall).is_none() {
            let outcome = judged(&wish, &NoStill::Away(NotDelivered::Offline), now);
            outcomes.push((wish.id, outcome));
        } else if halls.insert(wish.hall.clone()) {
            asked.push(wish);
        }
    }
    let count = asked.len();
    let fetched = stream::iter(asked).map(|wish| async move {
        let outcome = match fetch(centre, &wish).await {
            Ok(kept) => kept,
            Err(error) => judged(&wish, &error, now),
        };
        (wish.id, outcome)
    });
    outcomes.extend(fetched.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    if outcomes.is_empty() {
        return Ok(0);
    }
    let now = centre.clock.now();
    centre
        .store
        .write("stills of cases", move |tx| {
            outcomes.iter().try_for_each(|(id, one)| put(tx.sql, id, one, now))
        })
        .await?;
    Ok(count)
}

async fn fetch(centre: &Centre, wish: &Wish) -> Result<Outcome, NoStill> {
    let (file, bytes) = still_of(centre, &wish.hall, &wish.camera, wish.at).await?;
    let path = files::path(&centre.kept.0.folder, Sort::Still, &wish.id);
    let (folder, length, sha256) = (centre.kept.0.folder.clone(), bytes.len() as u64, Digest::of(&bytes));
    let written = tokio::task::spawn_blocking(move || {
        if !files::has_room(&folder, length)? {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let mut out = files::begin(&path)?;
        out.write_all(&bytes)?;
        files::finish(&path, &out)
    });
    let written = written.await.map_err(std::io::Error::other).and_then(|written| written);
    written.map_err(|error| NoStill::Broken(format!("the centre cannot write it: {error}")))?;
    let StillFile { at_us: taken_us, bytes, .. } = file;
    Ok(Outcome::Kept { taken_us, bytes, sha256 })
}

fn put(sql: &mut dyn Sql, id: &str, outcome: &Outcome, now: UtcMillis) -> Result<(), StoreError> {
    match outcome {
        Outcome::Kept { taken_us, bytes, sha256 } => sql.execute(
            "UPDATE kept_stills SET state = 'kept', why = NULL, taken_us = $2, bytes = $3, sha256 = $4, changed_at = $5 \
             WHERE id = $1",
            params![id, taken_us, bytes, sha256, now],
        )?,
        Outcome::Again { after_ms, tries, why } => sql.execute(
            "UPDATE kept_stills SET next_at = $2, tries = $3, why = $4, changed_at = $5 WHERE id = $1",
            params![id, now.plus(*after_ms), tries, why, now],
        )?,
        Outcome::Missing { why } => sql.execute(
            "UPDATE kept_stills SET state = 'missing', why = $2, changed_at = $3 WHERE id = $1",
            params![id, why, now],
        )?,
    };
    Ok(())
}

/// A still of a key moment of a case, kept at the centre.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::recordings) struct KeptStillRow {
    /// Its id.
    pub id: String,
    /// The camera.
    #[schema(value_type = String)]
    pub camera: CameraId,
    /// The moment: when the event was.
    #[schema(value_type = String)]
    pub at: UtcMillis,
    /// The event it shows, such as `ticket.called`.
    pub shows: String,
    /// The event's number in its node's journal.
    pub epoch: u64,
    /// The event's number in its node's journal.
    pub seq: u64,
    /// `wanted` (not here yet), `kept`, `missing` (the hall had none) or `dropped` (its time is over).
    pub state: String,
    /// Why it is not here.
    pub why: Option<String>,
    /// When the picture was taken; within a group of pictures before `at`.
    #[schema(value_type = Option<String>)]
    pub taken_at: Option<UtcMillis>,
    /// SHA-256 of the file.
    #[schema(value_type = Option<String>)]
    pub sha256: Option<Digest>,
    /// Where it is, on this centre; none where it is not.
    pub url: Option<String>,
}

/// The stills of a case. Its reader has checked the right.
pub(in crate::recordings) fn of_case(
    sql: &mut dyn Sql,
    case: CaseId,
) -> Result<Vec<KeptStillRow>, StoreError> {
    let rows = sql.query(
        "SELECT id, camera, at, shows, epoch, seq, state, why, taken_us, sha256 FROM kept_stills WHERE case_id = $1 \
         ORDER BY at, id LIMIT 200",
        params![case],
    )?;
    rows.iter()
        .map(|row| {
            let (id, state): (String, String) = (row.get(0)?, row.get(6)?);
            let url = (state == "kept").then(|| format!("/api/v1/cases/{case}/stills/{id}"));
            let taken_us: Option<i64> = row.get(8)?;
            Ok(KeptStillRow {
                camera: row.get(1)?,
                at: row.get(2)?,
                shows: row.get(3)?,
                epoch: row.get(4)?,
                seq: row.get(5)?,
                why: row.get(7)?,
                taken_at: taken_us.map(millis),
                sha256: row.get(9)?,
                id,
                state,
                url,
            })
        })
        .collect()
}

/// A still of a key moment of a case that the centre keeps; 410 where it does not, or not any more.
#[utoipa::path(get, path = "/cases/{case_id}/stills/{still}", tag = "recordings",
    params(("case_id" = String, Path, description = "case ID"), ("still" = String, Path, description = "its id, as the timeline has it")),
    responses((status = 200, description = "the still", content_type = "image/jpeg"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn still(
    State(centre): State<Centre>,
    person: Person,
    Named((case, still)): Named<(CaseId, String)>,
) -> Result<Response, Problem> {
    let (asker, id) = (person.clone(), still.clone());
    let bytes: u64 = centre
        .store
        .read(move |sql| {
            let hall = cases::row(sql, case)?.ok_or(Denied::Outside)?.hall.parse().map_err(|_| Denied::Outside)?;
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&asker, Action::Replay, &place)?;
            let statement =
                "SELECT bytes FROM kept_stills WHERE id = $1 AND case_id = $2 AND state = 'kept' AND bytes IS NOT NULL";
            let row = sql.query_one(statement, params![id, case])?.ok_or_else(not_kept)?;
            Ok::<u64, Problem>(row.get(0)?)
        })
        .await?;
    let path = files::path(&centre.kept.0.folder, Sort::Still, &still);
    let read = tokio::task::spawn_blocking(move || {
        files::open(&path, bytes)?.map(|_| std::fs::read(&path)).transpose()
    });
    let jpeg = read.await.ok().and_then(Result::ok).flatten().ok_or_else(not_kept)?;
    note(&centre, &person, "replay.still", &case.to_string(), still).await?;
    let mut response = Body::from(Bytes::from(jpeg)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn not_kept() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "the centre does not keep this still, or not any more: the case's timeline says why",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hall_that_is_away_is_waited_for_and_one_that_has_nothing_is_not_asked_for_ever() {
        let wish = |tries| Wish {
            id: "x".into(),
            hall: "450103-01".parse().unwrap(),
            camera: "450103-01-W01-C1".parse().unwrap(),
            at: UtcMillis(0),
            tries,
        };
        let away = NoStill::Away(NotDelivered::Offline);
        let soon = judged(&wish(3), &away, UtcMillis(PATIENCE_MS));
        assert!(matches!(soon, Outcome::Again { tries: 3, after_ms: AWAY_MS, .. }), "{soon:?}");
        let late = judged(&wish(0), &away, UtcMillis(PATIENCE_MS + 1));
        assert!(matches!(late, Outcome::Missing { .. }), "{late:?}");
        let none = NoStill::None("nothing was recorded".into());
        let mut tries = 0;
        while let Outcome::Again { tries: next, .. } = judged(&wish(tries), &none, UtcMillis(0)) {
            assert_eq!(next, tries + 1);
            tries = next;
        }
        assert_eq!(tries as usize, AGAIN_MS.len());
    }
}
