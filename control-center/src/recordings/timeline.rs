//! The timeline of a case: what happened, what went wrong around it, and where in each camera's footage it is to be seen.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{
    CameraId, CaseId, Event, Happening, UtcMillis, WindowId,
    event::ClockQuality,
    footage::{LONGEST_CLIP_US, least},
};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    clip::{PlanRow, Wanted, plan_row},
    hall_of,
    kept::{self, KeptClipRow, KeptStillRow},
    last_heard,
    listing::{GapRow, RunRow, recorded},
    note,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, may, personal::masked},
    areas::cameras_of_window,
    cases::{self, CaseRow},
    params,
    site::{extract::Named, problem::Problem},
    store::{Sql, StoreError},
};

/// Shown before the first and after the last thing that happened at a window, milliseconds.
const AROUND_MS: i64 = 30_000;
/// The most things that went wrong around a case.
const MOST_TROUBLE: usize = 300;
/// As the index `events_of_trouble` has it.
pub(crate) const TROUBLE: &str = "kind IN ('camera.up', 'camera.down', 'picture.fault', 'seat.changed', 'recording.gap', 'device.silent', \
     'device.degraded', 'device.down', 'device.up', 'rating.unsolicited', 'node.started', 'node.clock_stepped', 'node.disk_low')";

/// A camera that looked at a case, and when.
#[derive(Debug, Clone)]
pub(super) struct CaseCamera {
    pub(super) wanted: Wanted,
    pub(super) name: String,
    pub(super) window: WindowId,
}

/// A case that somebody may replay.
pub(super) struct SeenCase {
    row: CaseRow,
    events: Vec<Event>,
    /// The cameras that looked at it; those of the window it is at, or was at last, first.
    pub(super) cameras: Vec<CaseCamera>,
}

/// A case's stay at a window.
#[derive(Debug, Clone, PartialEq)]
struct Stay {
    window: WindowId,
    from: UtcMillis,
    to: UtcMillis,
}

/// Where a case was and when, out of its events in their order; the window it is at, or was at last, first. `open_at` is the
/// window of a case that goes on.
fn stays(events: &[Event], open_at: Option<&WindowId>, now: UtcMillis) -> Vec<Stay> {
    let mut found: Vec<Stay> = Vec::new();
    for event in events {
        // The day's end closes what is open, and says nothing of when anybody was there.
        if matches!(event.happening, Happening::CaseClosed { accurate: false, .. }) {
            continue;
        }
        let Some(window) = &event.window else { continue };
        match found.iter_mut().find(|stay| stay.window == *window) {
            Some(stay) => {
                stay.from = stay.from.min(event.at);
                stay.to = stay.to.max(event.at);
            }
            None => found.push(Stay { window: window.clone(), from: event.at, to: event.at }),
        }
    }
    for stay in &mut found {
        stay.from = stay.from.plus(-AROUND_MS);
        stay.to = stay.to.plus(AROUND_MS);
        if open_at == Some(&stay.window) {
            stay.to = stay.to.max(now);
        }
        stay.to = stay.to.min(stay.from.plus(LONGEST_CLIP_US / 1000));
    }
    found.sort_by_key(|stay| std::cmp::Reverse(stay.to));
    found
}

/// A case that `person` may replay, its events, and the cameras that looked at it.
pub(super) fn case_cameras(
    sql: &mut dyn Sql,
    person: &Person,
    case: CaseId,
    now: UtcMillis,
) -> Result<SeenCase, Problem> {
    let row = cases::row(sql, case)?.ok_or(Denied::Outside)?;
    let hall = row.hall.parse().map_err(|_| Denied::Outside)?;
    let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
    may(person, Action::Replay, &place)?;
    let hall = hall_of(&place)?;
    let events = cases::events(sql, case)?;
    let window: Option<WindowId> = row.window.as_deref().and_then(|window| window.parse().ok());
    let open_at = window.as_ref().filter(|_| row.state != "closed");
    let mut cameras = Vec::new();
    for stay in stays(&events, open_at, now) {
        let looking = cameras_of_window(sql, &stay.window)?;
        let ids: Vec<CameraId> = looking.iter().map(|(camera, _)| camera.clone()).collect();
        for (camera, name) in looking {
            let beside = ids.iter().filter(|id| **id != camera).cloned().collect();
            let wanted = Wanted { hall: hall.clone(), camera, beside, from: stay.from, to: stay.to };
            cameras.push(CaseCamera { wanted, name, window: stay.window.clone() });
        }
    }
    Ok(SeenCase { row, events, cameras })
}

/// What went wrong in the hall in `from..to`, of these windows and cameras or of the node itself.
fn trouble(
    sql: &mut dyn Sql,
    cameras: &[CaseCamera],
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<Event>, StoreError> {
    let Some(first) = cameras.first() else { return Ok(Vec::new()) };
    let rows = sql.query(
        &format!(
            "SELECT bytes FROM events WHERE hall = $1 AND at >= $2 AND at <= $3 AND {TROUBLE} AND projected = 1 \
             AND kind <> 'recording.gap' ORDER BY at LIMIT $4"
        ),
        params![first.wanted.hall, from, to, MOST_TROUBLE * 10],
    )?;
    let concerns = |event: &Event| match (&event.window, &event.device) {
        (Some(window), _) => cameras.iter().any(|camera| camera.window == *window),
        (None, Some(device)) => cameras.iter().any(|camera| camera.wanted.camera.as_str() == device),
        (None, None) => event.happening.kind().starts_with("node."),
    };
    let events = rows.iter().map(|row| cases::event(row, 0)).collect::<Result<Vec<Event>, StoreError>>()?;
    Ok(events.into_iter().filter(concerns).take(MOST_TROUBLE).collect())
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimelineEvent {
    /// When.
    #[schema(value_type = String)]
    at: UtcMillis,
    /// What, as in the record of events.
    kind: &'static str,
    /// Part of the case; else something that went wrong around it.
    of_case: bool,
    /// The window.
    #[schema(value_type = Option<String>)]
    window: Option<WindowId>,
    /// The device or camera.
    device: Option<String>,
    /// What more is known of it.
    #[schema(value_type = Object)]
    body: Value,
    /// How far `at` can be trusted.
    #[schema(value_type = String)]
    clock: ClockQuality,
    /// For each camera: seconds from the first picture of its clip; none where it is not to be seen there.
    #[schema(value_type = Object)]
    offsets: BTreeMap<String, Option<f64>>,
}

/// A camera that looked at the case.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimelineCamera {
    /// Its id.
    #[schema(value_type = String)]
    camera: CameraId,
    /// What people call it.
    name: String,
    /// The window it looks at.
    #[schema(value_type = String)]
    window: WindowId,
    /// From when the case was there, with half a minute before.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// Until when, with half a minute after.
    #[schema(value_type = String)]
    to: UtcMillis,
    /// Where its footage is, on this centre.
    clip_url: String,
    /// What the clip is; none where there is none now.
    clip: Option<PlanRow>,
    /// `hall`, or `centre` where the hall does not give it and the centre keeps it; none where there is none.
    clip_source: Option<&'static str>,
    /// Why the hall does not give it.
    why: Option<String>,
    /// What the centre keeps of it, or was to keep.
    kept: Option<KeptClipRow>,
    /// What was recorded and is not here, while the hall is offline.
    absent: Vec<AbsentRow>,
    /// `hall` or `centre`: who says what is recorded.
    source: &'static str,
    /// Of when that is.
    #[schema(value_type = Option<String>)]
    as_of: Option<UtcMillis>,
    /// Runs that touch this time.
    runs: Vec<RunRow>,
    /// Gaps that touch this time.
    gaps: Vec<GapRow>,
}

/// A stretch that was recorded, and that nobody can see now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct AbsentRow {
    /// From.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// To.
    #[schema(value_type = String)]
    to: UtcMillis,
    /// `in_hall`: it lies in the hall alone. `dropped`: the centre kept it once, and its time there is over.
    why: &'static str,
}

/// The case's hall now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct HallNow {
    /// Its edge agent is connected.
    online: bool,
    /// When the centre last heard of it: while it is offline, since then.
    #[schema(value_type = Option<String>)]
    last_heard: Option<UtcMillis>,
}

/// A case in time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timeline {
    /// The case.
    case: CaseRow,
    /// The earliest thing on it.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// The latest.
    #[schema(value_type = String)]
    to: UtcMillis,
    /// How far its times can be trusted: the least of its events and clips.
    #[schema(value_type = String)]
    clock: ClockQuality,
    /// What happened, in order.
    events: Vec<TimelineEvent>,
    /// Cameras, those of the window it is at or was at last first.
    cameras: Vec<TimelineCamera>,
    /// The hall.
    hall: HallNow,
    /// Stills of its key moments that the centre keeps, or was to keep.
    stills: Vec<KeptStillRow>,
}

/// What of `runs` lies in `from..to` and not in the clip that is here.
fn absent(
    runs: &[RunRow],
    (from, to): (UtcMillis, UtcMillis),
    here: Option<(UtcMillis, UtcMillis)>,
    why: &'static str,
) -> Vec<AbsentRow> {
    // Ends of clips and runs meet within a group of pictures; what is shorter is no part of its own.
    const SEAM_MS: i64 = 1_000;
    let mut found = Vec::new();
    for run in runs {
        let (begin, end) = (run.from.max(from), run.to.min(to));
        let parts = match here {
            Some((first, last)) => [(begin, end.min(first)), (begin.max(last), end)],
            None => [(begin, end), (end, end)],
        };
        let long = parts.into_iter().filter(|(from, to)| to.0.saturating_sub(from.0) > SEAM_MS);
        found.extend(long.map(|(from, to)| AbsentRow { from, to, why }));
    }
    found
}

async fn filmed(
    centre: &Centre,
    case: CaseId,
    camera: &CaseCamera,
    kept: Option<KeptClipRow>,
) -> TimelineCamera {
    let CaseCamera { wanted, name, window } = camera;
    let times = (wanted.from, wanted.to);
    let (plan, listed) =
        tokio::join!(wanted.fetch(centre), recorded(centre, &wanted.hall, &wanted.camera, times));
    let (clip, clip_source, why) = match plan {
        Ok((plan, _)) => (Some(plan_row(plan)), Some("hall"), None),
        // A store that fails now has failed the timeline already, or will.
        Err(problem) => match kept::clip_of(centre, case, &wanted.camera).await.unwrap_or_default() {
            Some(here) => (Some(plan_row(here.plan)), Some("centre"), Some(problem.detail)),
            None => (None, None, Some(problem.detail)),
        },
    };
    let (source, as_of, runs, gaps) = match listed {
        Ok(listed) => (listed.source, listed.as_of, listed.runs, listed.gaps),
        Err(_) => ("centre", None, Vec::new(), Vec::new()),
    };
    let absent = if source == "hall" {
        Vec::new()
    } else {
        let here = clip.as_ref().map(|clip| (clip.from, clip.to));
        let dropped = kept.as_ref().is_some_and(|kept| kept.state == "dropped");
        absent(&runs, times, here, if dropped { "dropped" } else { "in_hall" })
    };
    TimelineCamera {
        camera: wanted.camera.clone(),
        name: name.clone(),
        window: window.clone(),
        from: wanted.from,
        to: wanted.to,
        clip_url: format!("/api/v1/cases/{case}/clip.mp4?camera={}", wanted.camera),
        clip,
        clip_source,
        why,
        kept,
        absent,
        source,
        as_of,
        runs,
        gaps,
    }
}

/// Where `at` is in a camera's clip, seconds from its first picture.
fn offset(at: UtcMillis, clip: &PlanRow) -> Option<f64> {
    let missing = clip.gaps.iter().any(|gap| at >= gap.from && gap.to.is_none_or(|to| at < to));
    let inside = at >= clip.from && at <= clip.to && !missing;
    inside.then(|| (at.0 - clip.from.0) as f64 / 1000.0)
}

fn row_of(event: &Event, of_case: bool, cameras: &[TimelineCamera]) -> TimelineEvent {
    let body =
        serde_json::to_value(&event.happening).ok().and_then(|mut value| Some(value.get_mut("body")?.take()));
    let offsets = cameras
        .iter()
        .map(|camera| {
            (camera.camera.as_str().to_owned(), camera.clip.as_ref().and_then(|clip| offset(event.at, clip)))
        })
        .collect();
    TimelineEvent {
        at: event.at,
        kind: event.happening.kind(),
        of_case,
        window: event.window.clone(),
        device: event.device.clone(),
        body: masked(body.unwrap_or(Value::Null)),
        clock: event.clock,
        offsets,
    }
}

/// A case's timeline: its events and what went wrong around it, each with its place in every camera's clip; what is recorded of
/// it, what is missing and why.
#[utoipa::path(get, path = "/cases/{case_id}/timeline", tag = "recordings",
    params(("case_id" = String, Path, description = "case ID")),
    responses((status = 200, body = Timeline), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn timeline(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
) -> Result<Json<Timeline>, Problem> {
    let (asker, now) = (person.clone(), centre.clock.now());
    let (SeenCase { row, events, cameras }, trouble, stills, clips, last_heard) = centre
        .store
        .read(move |sql| {
            let seen = case_cameras(sql, &asker, case, now)?;
            let from = seen.cameras.iter().map(|camera| camera.wanted.from).min();
            let to = seen.cameras.iter().map(|camera| camera.wanted.to).max();
            let trouble = match from.zip(to) {
                Some((from, to)) => trouble(sql, &seen.cameras, from, to)?,
                None => Vec::new(),
            };
            let (stills, clips) = (kept::stills_of_case(sql, case)?, kept::clips_of_case(sql, case)?);
            let heard = match seen.row.hall.parse() {
                Ok(hall) => last_heard(sql, &hall)?,
                Err(_) => None,
            };
            Ok::<_, Problem>((seen, trouble, stills, clips, heard))
        })
        .await?;
    note(&centre, &person, "replay.timeline", &case.to_string(), String::new()).await?;
    let kept_of =
        |camera: &CaseCamera| clips.iter().find(|clip| clip.camera == camera.wanted.camera).cloned();
    let filming = cameras.iter().map(|camera| filmed(&centre, case, camera, kept_of(camera)));
    let cameras = join_all(filming).await;
    let online = row.hall.parse().is_ok_and(|hall| centre.nodes.registry().of_hall(&hall).is_some());
    let of_this = |event: &&Event| event.case.as_ref() != Some(&case);
    let mut rows: Vec<TimelineEvent> = events.iter().map(|event| row_of(event, true, &cameras)).collect();
    rows.extend(trouble.iter().filter(of_this).map(|event| row_of(event, false, &cameras)));
    rows.sort_by_key(|event| event.at);
    let clocks = rows.iter().map(|event| event.clock);
    let clock =
        clocks.chain(cameras.iter().filter_map(|camera| Some(camera.clip.as_ref()?.clock))).reduce(least);
    let ends = |pick: fn(&TimelineCamera) -> UtcMillis| cameras.iter().map(pick);
    let from = rows.first().map(|event| event.at).into_iter().chain(ends(|camera| camera.from)).min();
    let to = rows.last().map(|event| event.at).into_iter().chain(ends(|camera| camera.to)).max();
    Ok(Json(Timeline {
        from: from.unwrap_or(row.opened_at),
        to: to.unwrap_or(row.opened_at),
        clock: clock.unwrap_or(ClockQuality::Unconfirmed),
        case: row,
        events: rows,
        cameras,
        hall: HallNow { online, last_heard },
        stills,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_here_is_what_was_recorded_around_the_clip() {
        let run = |from, to| RunRow { from: UtcMillis(from), to: UtcMillis(to), frames: None, bytes: None };
        let times = (UtcMillis(10_000), UtcMillis(90_000));
        let found = |here: Option<(i64, i64)>| {
            let here = here.map(|(from, to)| (UtcMillis(from), UtcMillis(to)));
            let rows = absent(&[run(0, 40_000), run(50_000, 95_000)], times, here, "in_hall");
            rows.into_iter().map(|row| (row.from.0, row.to.0)).collect::<Vec<_>>()
        };
        assert_eq!(found(None), [(10_000, 40_000), (50_000, 90_000)]);
        assert_eq!(found(Some((20_000, 60_000))), [(10_000, 20_000), (60_000, 90_000)]);
        assert_eq!(found(Some((9_500, 89_500))), []);
        assert_eq!(found(Some((10_000, 45_000))), [(50_000, 90_000)]);
    }
}
