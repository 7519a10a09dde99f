//! `/cameras/{camera}/recordings`: runs and gaps of a camera, from its hall where that is connected, else as far as the
//! centre has been told.

use axum::{Json, extract::State};
use control_protocol::{
    CameraId, Digest, HallId, UtcMillis,
    footage::{self, FootageAnswer, FootageAsk, MOST_ROWS, run_of},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{allowed, last_heard, micros, millis, not_there};
use crate::{
    Centre,
    access::{Action, Person},
    nodes::NotDelivered,
    params,
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
    store::{Sql, StoreError},
};

/// What is listed where nothing else is asked for, milliseconds.
const USUAL_MS: i64 = 24 * 3_600_000;
/// The most that is listed at once, milliseconds.
const LONGEST_MS: i64 = 93 * 24 * 3_600_000;
/// No segment is longer, milliseconds.
pub(super) const LONGEST_SEGMENT_MS: i64 = 3_600_000;
/// Segments of a run follow each other within this, milliseconds.
const SEAM_MS: i64 = 2_000;
/// The most segments of the centre's own record that are looked at.
const MOST_SEGMENTS: usize = 200_000;

/// A stretch of recording without a break.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct RunRow {
    /// First picture.
    #[schema(value_type = String)]
    pub from: UtcMillis,
    /// End of the last picture.
    #[schema(value_type = String)]
    pub to: UtcMillis,
    /// Frames; none where the centre answers from what it was told.
    pub frames: Option<u64>,
    /// Bytes; none where the centre answers from what it was told.
    pub bytes: Option<u64>,
}

/// A stretch in which nothing was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct GapRow {
    /// Since when.
    #[schema(value_type = String)]
    pub from: UtcMillis,
    /// Until when; none while it goes on. Before `from` after a clock was set back.
    #[schema(value_type = Option<String>)]
    pub to: Option<UtcMillis>,
    /// `camera_lost agent_down clock_stepped parameters_changed recorder_behind disk_full disk_out not_recordable`.
    pub code: String,
    /// What is known beyond the code, in plain words.
    pub why: Option<String>,
}

/// The disk of a hall's recordings.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct DiskRow {
    /// Why nothing is recorded, if so.
    pub stopped: Option<String>,
    /// Bytes free.
    pub free_bytes: Option<u64>,
    /// Days of footage that it holds at the present rate, once that is known.
    pub holds_days: Option<f64>,
    /// Days that footage is to be kept.
    pub keep_days: u32,
    /// It will not hold what is to be kept, or nothing is recorded.
    pub short: bool,
}

/// What is recorded of a camera.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct RecordingsRow {
    /// The camera.
    #[schema(value_type = String)]
    pub camera: CameraId,
    /// Its hall.
    #[schema(value_type = String)]
    pub hall: HallId,
    /// From.
    #[schema(value_type = String)]
    pub from: UtcMillis,
    /// Up to here; before what was asked for where that has too many rows: ask again from here.
    #[schema(value_type = String)]
    pub to: UtcMillis,
    /// `hall`: what lies on its disk now. `centre`: what the centre was told until `as_of`; some may be deleted since.
    pub source: &'static str,
    /// Of when this is.
    #[schema(value_type = Option<String>)]
    pub as_of: Option<UtcMillis>,
    /// Why the hall itself did not answer.
    pub why: Option<String>,
    /// Runs, in order; each whole, also where it begins before or ends after the time asked for.
    pub runs: Vec<RunRow>,
    /// Gaps, in order.
    pub gaps: Vec<GapRow>,
    /// The disk, where the hall answered.
    pub disk: Option<DiskRow>,
}

pub(super) fn gap_row(gap: footage::Gap) -> GapRow {
    gap_of(millis(gap.from_us), gap.to_us.map(millis), &gap.why)
}

fn gap_of(from: UtcMillis, to: Option<UtcMillis>, why: &str) -> GapRow {
    let (code, more) = why.split_once(':').unwrap_or((why, ""));
    let more = more.trim();
    GapRow { from, to, code: code.trim().to_owned(), why: (!more.is_empty()).then(|| more.to_owned()) }
}

fn run_row(run: footage::Run) -> RunRow {
    RunRow {
        from: millis(run.from_us),
        to: millis(run.to_us),
        frames: Some(run.frames),
        bytes: Some(run.bytes),
    }
}

fn disk_row(disk: footage::Disk) -> DiskRow {
    DiskRow {
        short: disk.short || disk.stopped.is_some(),
        stopped: disk.stopped,
        free_bytes: disk.free_bytes,
        holds_days: disk.holds_days,
        keep_days: disk.keep_days,
    }
}

/// A sealed segment as the centre was told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) from: UtcMillis,
    pub(super) to: UtcMillis,
    pub(super) segment: String,
    pub(super) sha256: Digest,
}

/// The segments of a camera that touch `from..to`, as the centre was told of them, in order of their times.
pub(super) fn told_segments(
    sql: &mut dyn Sql,
    camera: &CameraId,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<Told>, StoreError> {
    let rows = sql.query(
        "SELECT from_at, to_at, segment, sha256 FROM recording_segments \
         WHERE camera = $1 AND from_at < $3 AND from_at > $4 AND to_at > $2 ORDER BY from_at, segment LIMIT $5",
        params![camera, from, to, from.plus(-LONGEST_SEGMENT_MS), MOST_SEGMENTS],
    )?;
    rows.iter()
        .map(|row| Ok(Told { from: row.get(0)?, to: row.get(1)?, segment: row.get(2)?, sha256: row.get(3)? }))
        .collect()
}

/// Runs out of segments that follow each other.
pub(super) fn joined(segments: &[Told]) -> Vec<RunRow> {
    let mut runs: Vec<(Option<u64>, RunRow)> = Vec::new();
    for told in segments {
        let run = run_of(&told.segment);
        match runs.last_mut() {
            Some((last, row))
                if *last == run && told.from.0 <= row.to.0 + SEAM_MS && told.from >= row.from =>
            {
                row.to = row.to.max(told.to);
            }
            _ => runs.push((run, RunRow { from: told.from, to: told.to, frames: None, bytes: None })),
        }
    }
    runs.into_iter().map(|(_, row)| row).collect()
}

fn told_gaps(
    sql: &mut dyn Sql,
    camera: &CameraId,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<GapRow>, StoreError> {
    let rows = sql.query(
        "SELECT from_at, to_at, why FROM recording_gaps \
         WHERE camera = $1 AND from_at < $3 AND (to_at > $2 OR from_at >= $2) ORDER BY from_at LIMIT $4",
        params![camera, from, to, MOST_ROWS],
    )?;
    rows.iter()
        .map(|row| {
            let (from, to, why): (UtcMillis, UtcMillis, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(gap_of(from, (to != from).then_some(to), &why))
        })
        .collect()
}

/// What the centre itself knows of a camera's recordings.
pub(super) async fn told(
    centre: &Centre,
    hall: &HallId,
    camera: &CameraId,
    (from, to): (UtcMillis, UtcMillis),
    why: String,
) -> Result<RecordingsRow, StoreError> {
    let (hall, camera) = (hall.clone(), camera.clone());
    centre
        .store
        .read(move |sql| {
            let mut runs = joined(&told_segments(sql, &camera, from, to)?);
            let mut to = to;
            if let Some(more) = runs.get(MOST_ROWS) {
                to = more.from;
                runs.truncate(MOST_ROWS);
            }
            Ok(RecordingsRow {
                gaps: told_gaps(sql, &camera, from, to)?,
                as_of: last_heard(sql, &hall)?,
                camera,
                hall,
                from,
                to,
                source: "centre",
                why: Some(why),
                runs,
                disk: None,
            })
        })
        .await
}

/// What is recorded of a camera: asked of its hall, and of the centre's own record where that does not answer.
pub(super) async fn recorded(
    centre: &Centre,
    hall: &HallId,
    camera: &CameraId,
    (from, to): (UtcMillis, UtcMillis),
) -> Result<RecordingsRow, Problem> {
    let ask = FootageAsk::Recordings { camera: camera.clone(), from_us: micros(from), to_us: micros(to) };
    let why = match centre.nodes.footage(hall, ask).await.map(|delivery| delivery.answer) {
        Ok(FootageAnswer::Recordings(found)) => {
            return Ok(RecordingsRow {
                camera: camera.clone(),
                hall: hall.clone(),
                from,
                to: millis(found.to_us).min(to),
                source: "hall",
                as_of: Some(centre.clock.now()),
                why: None,
                runs: found.runs.into_iter().map(run_row).collect(),
                gaps: found.gaps.into_iter().map(gap_row).collect(),
                disk: Some(disk_row(found.disk)),
            });
        }
        Ok(FootageAnswer::Nothing { why, reason: footage::NoFootage::Range, .. }) => {
            return Err(not_there(footage::NoFootage::Range, why));
        }
        Ok(FootageAnswer::Nothing { why, .. }) => why,
        Ok(_) => NotDelivered::Unreadable.to_string(),
        Err(why) => why.to_string(),
    };
    Ok(told(centre, hall, camera, (from, to), why).await?)
}

/// A time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TimeAsked {
    /// From; a day before `to` where it is left out.
    #[param(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// To; now where it is left out.
    #[param(value_type = Option<String>)]
    to: Option<UtcMillis>,
}

/// What is recorded of a camera: runs, and gaps with their reasons; at most 93 days at a time.
#[utoipa::path(get, path = "/cameras/{camera}/recordings", tag = "recordings",
    params(("camera" = String, Path, description = "camera id"), TimeAsked),
    responses((status = 200, body = RecordingsRow), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn recordings(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
    Asked(asked): Asked<TimeAsked>,
) -> Result<Json<RecordingsRow>, Problem> {
    let to = asked.to.unwrap_or_else(|| centre.clock.now());
    let from = asked.from.unwrap_or_else(|| to.plus(-USUAL_MS));
    if from >= to || to.0 - from.0 > LONGEST_MS {
        return Err(Problem::unprocessable("from lies before to, at most 93 days"));
    }
    let of = camera.clone();
    let hall = centre.store.read(move |sql| allowed(sql, &person, &of, Action::SeeCameras)).await?;
    Ok(Json(recorded(&centre, &hall, &camera, (from, to)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(run: u64, from: i64, to: i64) -> Told {
        Told {
            from: UtcMillis(from),
            to: UtcMillis(to),
            segment: format!("c/20261122/000000.{from:03}Z-{run}-1.mp4"),
            sha256: Digest::ZERO,
        }
    }

    #[test]
    fn segments_that_follow_each_other_are_a_run() {
        let runs = joined(&[
            told(1, 0, 60_000),
            told(1, 60_001, 120_000),
            told(2, 120_000, 121_000),
            told(2, 180_000, 181_000),
        ]);
        let times: Vec<(i64, i64)> = runs.iter().map(|run| (run.from.0, run.to.0)).collect();
        assert_eq!(times, [(0, 120_000), (120_000, 121_000), (180_000, 181_000)]);
    }

    #[test]
    fn a_gap_has_a_code_and_what_is_known_beyond_it() {
        let gap =
            gap_row(footage::Gap { from_us: 1_999, to_us: None, why: "camera_lost: refused: 401".into() });
        assert_eq!((gap.from, gap.to), (UtcMillis(1), None));
        assert_eq!((&gap.code[..], gap.why.as_deref()), ("camera_lost", Some("refused: 401")));
        assert_eq!(gap_of(UtcMillis(0), None, "agent_down").why, None);
    }
}
