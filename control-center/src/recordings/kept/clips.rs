//! Clips of cases that a supervisor had sent up: fetched as anybody fetches them, and kept with what the hall said of them.

use std::{fs::File, io::Write, path::PathBuf, pin::pin};

use axum::{Json, extract::State};
use control_protocol::{CameraId, CaseId, Digest, UtcMillis, footage::ClipPlan};
use futures_util::StreamExt;
use http::StatusCode;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    files::{self, Sort, id_of},
    prune::make_room,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, audit, may},
    cases,
    nodes::{Delivery, NotDelivered},
    params,
    recordings::{clip::Wanted, millis, timeline::case_cameras, undelivered},
    site::{
        extract::{Given, Named},
        problem::Problem,
    },
    store::{Row, Sql, StoreError},
};

/// Clips that may wait to be fetched.
const MOST_WAITING: usize = 64;
/// The most cameras of one wish.
const MOST_CAMERAS: usize = 8;

/// Which of a case's footage is to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepAsked {
    /// Only these of the case's cameras; all where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    cameras: Option<Vec<CameraId>>,
}

/// A clip of a case at the centre.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::recordings) struct KeptClipRow {
    /// The camera.
    #[schema(value_type = String)]
    pub camera: CameraId,
    /// `asked` (being fetched), `kept`, `failed` or `dropped` (its time is over).
    pub state: String,
    /// Why it failed or was dropped: in words, or `days` or `bytes`.
    pub why: Option<String>,
    /// Who asked for it last.
    pub asked_by: String,
    /// When.
    #[schema(value_type = String)]
    pub asked_at: UtcMillis,
    /// Since when it is here; none where nothing is.
    #[schema(value_type = Option<String>)]
    pub kept_at: Option<UtcMillis>,
    /// Its first picture.
    #[schema(value_type = Option<String>)]
    pub from: Option<UtcMillis>,
    /// The end of its last.
    #[schema(value_type = Option<String>)]
    pub to: Option<UtcMillis>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// SHA-256 of the file as it came.
    #[schema(value_type = Option<String>)]
    pub sha256: Option<Digest>,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeepRow {
    /// The clips.
    items: Vec<KeptClipRow>,
}

/// A clip that is here.
pub(in crate::recordings) struct KeptClip {
    pub(in crate::recordings) plan: ClipPlan,
    pub(in crate::recordings) file: File,
}

fn plan_of(row: &Row, column: usize) -> Result<Option<ClipPlan>, StoreError> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| StoreError::Read(error.to_string())))
        .transpose()
}

/// The clips of a case. Its reader has checked the right.
pub(in crate::recordings) fn of_case(
    sql: &mut dyn Sql,
    case: CaseId,
) -> Result<Vec<KeptClipRow>, StoreError> {
    let rows = sql.query(
        "SELECT camera, state, why, asked_by, asked_at, kept_at, plan, bytes, sha256 FROM kept_clips WHERE case_id = $1 \
         ORDER BY camera LIMIT 100",
        params![case],
    )?;
    rows.iter()
        .map(|row| {
            let plan = plan_of(row, 6)?;
            Ok(KeptClipRow {
                camera: row.get(0)?,
                state: row.get(1)?,
                why: row.get(2)?,
                asked_by: row.get(3)?,
                asked_at: row.get(4)?,
                kept_at: row.get(5)?,
                from: plan.as_ref().map(|plan| millis(plan.starts_us)),
                to: plan.as_ref().map(|plan| millis(plan.ends_us)),
                bytes: row.get(7)?,
                sha256: row.get(8)?,
            })
        })
        .collect()
}

/// The clip of a case's camera, if it is here. Its reader has checked the right.
pub(in crate::recordings) async fn clip_of(
    centre: &Centre,
    case: CaseId,
    camera: &CameraId,
) -> Result<Option<KeptClip>, StoreError> {
    let id = id_of(&[&case.to_string(), camera.as_str()]);
    let path = files::path(&centre.kept.0.folder, Sort::Clip, &id);
    let plan = centre
        .store
        .read(move |sql| {
            let row = sql.query_one("SELECT plan FROM kept_clips WHERE id = $1", params![id])?;
            row.map_or(Ok(None), |row| plan_of(&row, 0))
        })
        .await?;
    let Some(plan) = plan else { return Ok(None) };
    let bytes = plan.bytes;
    let opened = tokio::task::spawn_blocking(move || files::open(&path, bytes)).await;
    match opened.map_err(std::io::Error::other).and_then(|opened| opened) {
        Ok(file) => Ok(file.map(|file| KeptClip { plan, file })),
        Err(error) => {
            tracing::warn!(%case, %camera, %error, "a kept clip cannot be read");
            Ok(None)
        }
    }
}

/// Has the footage of a case sent to the centre and kept there, so that it can be seen while the hall is offline: its time at the
/// window, with half a minute before and after. The answer comes at once; the case's timeline says what became of it. Kept again,
/// the newer clip takes the place of the one before. Supervisors and administrators may; each wish is written to the audit log.
#[utoipa::path(post, path = "/cases/{case_id}/kept-clips", tag = "recordings",
    params(("case_id" = String, Path, description = "case ID")), request_body = KeepAsked,
    responses((status = 202, body = KeepRow), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn keep(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
    Given(asked): Given<KeepAsked>,
) -> Result<(StatusCode, Json<KeepRow>), Problem> {
    let (asker, now) = (person.clone(), centre.clock.now());
    let wanted = centre.store.read(move |sql| wanted(sql, &asker, case, asked.cameras, now)).await?;
    let Some(first) = wanted.first() else { return Err(super::super::clip::none_of(None)) };
    if centre.nodes.registry().of_hall(&first.hall).is_none() {
        return Err(undelivered(NotDelivered::Offline, "nothing can be fetched: ask again when it is back"));
    }
    let wishes = wanted.clone();
    let items = centre
        .store
        .write("wish to keep clips", move |tx| {
            let waiting = tx.sql.query("SELECT id FROM kept_clips WHERE state = 'asked'", params![])?.len();
            if waiting + wishes.len() > MOST_WAITING {
                let mut problem = Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "many clips wait to be kept already: try again in a while",
                );
                problem.retry_after = Some(60);
                return Err(problem);
            }
            for wanted in &wishes {
                ask(tx.sql, case, wanted, &person, now)?;
            }
            let cameras: Vec<&str> = wishes.iter().map(|wanted| wanted.camera.as_str()).collect();
            audit::audit(tx.sql, &person, "replay.kept", &case.to_string(), &cameras.join(", "), now)?;
            Ok::<_, Problem>(of_case(tx.sql, case)?)
        })
        .await?;
    tokio::spawn(async move {
        for wanted in wanted {
            fetch(&centre, case, wanted).await;
        }
    });
    Ok((StatusCode::ACCEPTED, Json(KeepRow { items })))
}

/// What is to be fetched, if `person` may have it kept.
fn wanted(
    sql: &mut dyn Sql,
    person: &Person,
    case: CaseId,
    only: Option<Vec<CameraId>>,
    now: UtcMillis,
) -> Result<Vec<Wanted>, Problem> {
    let hall = cases::row(sql, case)?.ok_or(Denied::Outside)?.hall.parse().map_err(|_| Denied::Outside)?;
    let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
    may(person, Action::ExportEvidence, &place)?;
    let cameras = case_cameras(sql, person, case, now)?.cameras;
    let mut found: Vec<Wanted> = Vec::new();
    for camera in cameras {
        let chosen = only.as_ref().is_none_or(|only| only.contains(&camera.wanted.camera));
        // A case that was twice at a window has the camera's clip of the last stay.
        if chosen && found.iter().all(|other| other.camera != camera.wanted.camera) {
            found.push(camera.wanted);
        }
    }
    if let Some(other) = only.iter().flatten().find(|id| found.iter().all(|wanted| wanted.camera != **id)) {
        return Err(Problem::unprocessable(format!(
            "{other} is no camera of this case: its timeline lists them"
        )));
    }
    found.truncate(MOST_CAMERAS);
    Ok(found)
}

fn ask(
    sql: &mut dyn Sql,
    case: CaseId,
    wanted: &Wanted,
    person: &Person,
    now: UtcMillis,
) -> Result<(), StoreError> {
    sql.execute(
        "INSERT INTO kept_clips (id, case_id, hall, camera, state, asked_by, asked_at, changed_at) \
         VALUES ($1, $2, $3, $4, 'asked', $5, $6, $6) \
         ON CONFLICT (id) DO UPDATE SET state = 'asked', why = NULL, asked_by = $5, asked_at = $6, changed_at = $6",
        params![
            id_of(&[&case.to_string(), wanted.camera.as_str()]),
            case,
            wanted.hall,
            wanted.camera,
            person.name.to_string(),
            now
        ],
    )?;
    Ok(())
}

/// Fetches one clip when its turn has come, and says what became of it.
async fn fetch(centre: &Centre, case: CaseId, wanted: Wanted) {
    let id = id_of(&[&case.to_string(), wanted.camera.as_str()]);
    let result = tokio::select! {
        () = centre.stop.cancelled() => return,
        result = fetch_in_turn(centre, &wanted, &id) => result,
    };
    if let Err(why) = &result {
        tracing::info!(%case, camera = %wanted.camera, "a clip could not be kept: {why}");
    }
    let now = centre.clock.now();
    let put = centre.store.write("clip kept", move |tx| match &result {
        Ok((plan, sha256)) => {
            let text = serde_json::to_string(plan).map_err(|error| StoreError::Read(error.to_string()))?;
            tx.sql.execute(
                "UPDATE kept_clips SET state = 'kept', why = NULL, plan = $2, bytes = $3, sha256 = $4, kept_at = $5, \
                 changed_at = $5 WHERE id = $1",
                params![id, text, plan.bytes, sha256, now],
            )
        }
        Err(why) => tx.sql.execute(
            "UPDATE kept_clips SET state = 'failed', why = $2, changed_at = $3 WHERE id = $1",
            params![id, why.chars().take(300).collect::<String>(), now],
        ),
    });
    if let Err(error) = put.await {
        tracing::warn!(%case, %error, "what became of a clip that was to be kept is not on record");
    }
}

async fn fetch_in_turn(centre: &Centre, wanted: &Wanted, id: &str) -> Result<(ClipPlan, Digest), String> {
    let _turn = centre.kept.0.turn.acquire().await.map_err(|error| error.to_string())?;
    let (plan, delivery) = wanted.fetch(centre).await.map_err(|problem| problem.detail.clone())?;
    let most = centre.kept.0.limits.clip_bytes;
    if plan.bytes > most {
        return Err(format!("it has {} bytes, and the centre may keep {most} of clips in all", plan.bytes));
    }
    make_room(centre, plan.bytes).await.map_err(|error| error.to_string())?;
    let path = files::path(&centre.kept.0.folder, Sort::Clip, id);
    let written = write(centre, &plan, delivery, path.clone()).await;
    if written.is_err() {
        let removed = tokio::task::spawn_blocking(move || files::remove_begun(&path)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "a clip that was begun cannot be removed");
        }
    }
    Ok((plan, written?))
}

async fn write(
    centre: &Centre,
    plan: &ClipPlan,
    delivery: Delivery,
    path: PathBuf,
) -> Result<Digest, String> {
    let cannot = |error: std::io::Error| format!("the centre cannot write it: {error}");
    let (folder, bytes, to) = (centre.kept.0.folder.clone(), plan.bytes, path.clone());
    let begun = tokio::task::spawn_blocking(move || {
        if !files::has_room(&folder, bytes)? {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        files::begin(&to)
    });
    let mut file = begun.await.map_err(std::io::Error::other).and_then(|begun| begun).map_err(cannot)?;
    let mut digest = Context::new(&SHA256);
    let mut parts = pin!(delivery.bytes(0..bytes));
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| error.to_string())?;
        digest.update(&part);
        let wrote = tokio::task::spawn_blocking(move || file.write_all(&part).map(|()| file)).await;
        file = wrote.map_err(std::io::Error::other).and_then(|wrote| wrote).map_err(cannot)?;
    }
    let finished = tokio::task::spawn_blocking(move || files::finish(&path, &file)).await;
    finished.map_err(std::io::Error::other).and_then(|finished| finished).map_err(cannot)?;
    Digest::from_slice(digest.finish().as_ref()).map_err(|error| error.to_string())
}

/// Nothing that was asked for before the centre was stopped is still on its way.
pub(super) async fn given_up(centre: &Centre) -> Result<(), StoreError> {
    let now = centre.clock.now();
    let given_up = centre
        .store
        .write("clips given up", move |tx| {
            let rows = tx.sql.query("SELECT id FROM kept_clips WHERE state = 'asked'", params![])?;
            tx.sql.execute(
                "UPDATE kept_clips SET state = 'failed', why = 'the centre was stopped meanwhile', changed_at = $1 \
                 WHERE state = 'asked'",
                params![now],
            )?;
            rows.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, StoreError>>()
        })
        .await?;
    let folder = centre.kept.0.folder.clone();
    let removed = tokio::task::spawn_blocking(move || {
        given_up.iter().try_for_each(|id| files::remove_begun(&files::path(&folder, Sort::Clip, id)))
    });
    if let Ok(Err(error)) = removed.await {
        tracing::warn!(%error, "a clip that was begun cannot be removed");
    }
    Ok(())
}
