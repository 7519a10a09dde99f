//! Clips: a stretch of one camera as MP4, streamed out of its hall. The hall says first what the clip will be to the byte, so
//! that length, ranges and entity tag are right; then exactly the bytes asked for are fetched.

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use control_protocol::{
    CameraId, CaseId, Digest, HallId, UtcMillis,
    event::ClockQuality,
    footage::{ClipPlan, FootageAnswer, FootageAsk, LONGEST_CLIP_US},
};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    allowed, copy,
    kept::{self, KeptClip},
    listing::{GapRow, gap_row, told},
    micros, millis, not_there, note,
    range::{Conditions, Served},
    timeline::{CaseCamera, case_cameras},
    undelivered,
};
use crate::{
    Centre,
    access::{Action, Person, audit},
    nodes::{Delivery, NotDelivered},
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
};

/// The time of a clip.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ClipAsked {
    /// From; the clip begins with the key frame at or before it.
    #[param(value_type = String)]
    from: Option<UtcMillis>,
    /// To; at most six hours after `from`.
    #[param(value_type = String)]
    to: Option<UtcMillis>,
}

impl ClipAsked {
    fn times(&self) -> Result<(UtcMillis, UtcMillis), Problem> {
        let (Some(from), Some(to)) = (self.from, self.to) else {
            return Err(Problem::bad_request(
                "from and to say which stretch is wanted, such as ?from=2026-11-22T01:02:03Z&to=2026-11-22T01:05:00Z",
            ));
        };
        if from >= to || micros(to).saturating_sub(micros(from)) > LONGEST_CLIP_US {
            return Err(Problem::unprocessable(
                "a clip ends after it begins and is at most 6 hours long: ask for less at a time",
            ));
        }
        Ok((from, to))
    }
}

/// What is fetched.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) hall: HallId,
    pub(super) camera: CameraId,
    /// Cameras whose clips are to be in step with it.
    pub(super) beside: Vec<CameraId>,
    pub(super) from: UtcMillis,
    pub(super) to: UtcMillis,
}

impl Wanted {
    /// Asks the hall; gives the plan and what its bytes come through.
    pub(super) async fn fetch(&self, centre: &Centre) -> Result<(ClipPlan, Delivery), Problem> {
        let ask = FootageAsk::Clip {
            camera: self.camera.clone(),
            beside: self.beside.clone(),
            from_us: micros(self.from),
            to_us: micros(self.to),
        };
        let delivery = match centre.nodes.footage(&self.hall, ask).await {
            Ok(delivery) => delivery,
            Err(why) => return Err(undelivered(why, &self.known(centre).await?)),
        };
        match delivery.answer.clone() {
            FootageAnswer::Clip(plan) => Ok((plan, delivery)),
            FootageAnswer::Nothing { reason, why, gaps } => {
                let gaps: Vec<GapRow> = gaps.into_iter().map(gap_row).collect();
                Err(not_there(reason, with_gaps(&why, &gaps)))
            }
            _ => Err(undelivered(NotDelivered::Unreadable, "")),
        }
    }

    /// What the centre itself knows of this time, in words.
    async fn known(&self, centre: &Centre) -> Result<String, Problem> {
        let told = told(centre, &self.hall, &self.camera, (self.from, self.to), String::new()).await?;
        let since = told
            .as_of
            .map_or("it has never been heard of".to_owned(), |at| format!("it was last heard of at {at}"));
        let recorded = match (told.runs.first(), told.runs.last()) {
            (Some(first), Some(last)) => format!(
                "by what it told until then, this time was recorded from {} to {}: ask again when it is back",
                first.from, last.to
            ),
            _ => "it told of no recording of this time until then".to_owned(),
        };
        Ok(format!("{since}, and the centre keeps no clip of it; {}", with_gaps(&recorded, &told.gaps)))
    }
}

fn with_gaps(words: &str, gaps: &[GapRow]) -> String {
    let mut words = words.to_owned();
    for gap in gaps.iter().take(3) {
        let until = gap.to.map_or("now".to_owned(), |to| to.to_string());
        words.push_str(&format!("; nothing was recorded from {} to {until}: {}", gap.from, gap.code));
        if let Some(why) = &gap.why {
            words.push_str(&format!(" ({why})"));
        }
    }
    words
}

const ZERO: HeaderName = HeaderName::from_static("x-clip-zero");
const FROM: HeaderName = HeaderName::from_static("x-clip-from");
const TO: HeaderName = HeaderName::from_static("x-clip-to");
const FRAMES: HeaderName = HeaderName::from_static("x-clip-frames");
const CODEC: HeaderName = HeaderName::from_static("x-clip-codec");
const CLOCK: HeaderName = HeaderName::from_static("x-clip-clock");
const GAPS: HeaderName = HeaderName::from_static("x-clip-gaps");
const SOURCE: HeaderName = HeaderName::from_static("x-clip-source");
const REST: HeaderName = HeaderName::from_static("x-clip-rest-from");

fn clock_text(clock: ClockQuality) -> String {
    serde_json::to_value(clock).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The entity tag of a clip.
fn tag_of(plan: &ClipPlan) -> String {
    let hex = plan.tag.to_string();
    format!("\"{}\"", hex.get(..32).unwrap_or(&hex))
}

/// Microseconds as RFC 3339 with six decimals: a frame's time is finer than a millisecond.
fn exact(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map(|at| format!("{at:.6}")).unwrap_or_default()
}

/// Where a clip's bytes come from.
enum Source {
    /// Its hall.
    Hall(Box<Delivery>),
    /// The centre, which kept it.
    Centre(std::fs::File),
}

impl Source {
    fn name(&self) -> &'static str {
        match self {
            Self::Hall(_) => "hall",
            Self::Centre(_) => "centre",
        }
    }
}

/// Answers a request for a clip's bytes.
fn answer(plan: &ClipPlan, source: Source, headers: &HeaderMap) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let conditions = Conditions {
        range: text(header::RANGE),
        if_range: text(header::IF_RANGE),
        if_none_match: text(header::IF_NONE_MATCH),
    };
    let tag = tag_of(plan);
    let (status, range) = match conditions.decide(&tag, plan.bytes) {
        Served::Whole => (StatusCode::OK, Some(0..plan.bytes)),
        Served::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
        Served::NotModified => (StatusCode::NOT_MODIFIED, None),
        Served::Unsatisfiable => {
            let words = format!("the clip has {} bytes; ask for some of them", plan.bytes);
            let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, words).into_response();
            put(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", plan.bytes));
            return response;
        }
    };
    let mut set = HeaderMap::new();
    put(&mut set, header::ETAG, &tag);
    put(&mut set, header::ACCEPT_RANGES, "bytes");
    put(&mut set, ZERO, &exact(plan.zero_us));
    put(&mut set, FROM, &exact(plan.starts_us));
    put(&mut set, TO, &exact(plan.ends_us));
    put(&mut set, FRAMES, &plan.frames.to_string());
    put(&mut set, CODEC, &plan.codec);
    put(&mut set, CLOCK, &clock_text(plan.clock));
    put(&mut set, GAPS, &plan.gaps.len().to_string());
    put(&mut set, SOURCE, source.name());
    if let Some(rest) = plan.rest_from_us {
        put(&mut set, REST, &exact(rest));
    }
    let mut response = match range {
        None => status.into_response(),
        Some(range) => {
            put(&mut set, header::CONTENT_TYPE, "video/mp4");
            put(&mut set, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
            let name = millis(plan.starts_us).timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
            let name = format!("inline; filename=\"{}-{name}.mp4\"", plan.camera);
            put(&mut set, header::CONTENT_DISPOSITION, &name);
            if status == StatusCode::PARTIAL_CONTENT {
                let content = format!("bytes {}-{}/{}", range.start, range.end - 1, plan.bytes);
                put(&mut set, header::CONTENT_RANGE, &content);
            }
            let body = match source {
                Source::Hall(delivery) => Body::from_stream(delivery.bytes(range)),
                Source::Centre(file) => kept::body(file, range),
            };
            (status, body).into_response()
        }
    };
    response.headers_mut().extend(set);
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A codec's name is the only one that comes from outside.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A stretch of a camera as MP4, cut at key frames: one video track whose times are wall time since `x-clip-zero`. Byte
/// ranges, `If-Range` and `If-None-Match` are understood. `x-clip-from` and `-to` say when its first picture was and when its
/// last one ended, `-frames` how many there are, `-gaps` how many gaps lie between, `-clock` how far the times can be
/// trusted, `-rest-from` from where to ask for the rest where the camera went over to another codec.
#[utoipa::path(get, path = "/cameras/{camera}/clip.mp4", tag = "recordings",
    params(("camera" = String, Path, description = "camera id"), ClipAsked),
    responses((status = 200, content_type = "video/mp4"), (status = 206, content_type = "video/mp4"), (status = 304),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn of_camera(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
    Asked(asked): Asked<ClipAsked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = of_one(&centre, &person, camera, &asked).await?;
    let (plan, delivery) = wanted.fetch(&centre).await?;
    note(
        &centre,
        &person,
        "replay.clip",
        wanted.camera.as_str(),
        format!("{} to {}", wanted.from, wanted.to),
    )
    .await?;
    Ok(answer(&plan, Source::Hall(Box::new(delivery)), &headers))
}

async fn of_one(
    centre: &Centre,
    person: &Person,
    camera: CameraId,
    asked: &ClipAsked,
) -> Result<Wanted, Problem> {
    let (asker, of) = (person.clone(), camera.clone());
    let hall = centre.store.read(move |sql| allowed(sql, &asker, &of, Action::Replay)).await?;
    let (from, to) = asked.times()?;
    Ok(Wanted { hall, camera, beside: Vec::new(), from, to })
}

/// A segment of which a clip has something.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SegmentRow {
    /// Its file in the hall.
    segment: String,
    /// The first picture taken from it.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// The end of the last.
    #[schema(value_type = String)]
    to: UtcMillis,
    /// Frames taken from it.
    frames: u64,
    /// The digest that the hall has for all of the segment; none while it is being written.
    #[schema(value_type = Option<String>)]
    sha256: Option<Digest>,
    /// How far its times can be trusted.
    #[schema(value_type = String)]
    clock: ClockQuality,
}

/// What a clip will be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlanRow {
    /// The camera.
    #[schema(value_type = String)]
    pub(super) camera: CameraId,
    /// The wall time that is zero in the clip.
    #[schema(value_type = String)]
    pub(super) zero: UtcMillis,
    /// Its first picture.
    #[schema(value_type = String)]
    pub(super) from: UtcMillis,
    /// The end of its last picture.
    #[schema(value_type = String)]
    pub(super) to: UtcMillis,
    /// Frames.
    pub(super) frames: u64,
    /// Bytes.
    pub(super) bytes: u64,
    /// By RFC 6381.
    pub(super) codec: String,
    /// Where the camera went over to another codec: from here ask for the rest.
    #[schema(value_type = Option<String>)]
    pub(super) rest_from: Option<UtcMillis>,
    /// `synchronised reported unconfirmed wrong`: the least of its segments.
    #[schema(value_type = String)]
    pub(super) clock: ClockQuality,
    /// What is missing between its first and its last picture.
    pub(super) gaps: Vec<GapRow>,
    /// The segments it is cut from.
    segments: Vec<SegmentRow>,
}

pub(super) fn plan_row(plan: ClipPlan) -> PlanRow {
    let segments = plan.segments.into_iter().map(|used| SegmentRow {
        segment: used.segment,
        from: millis(used.from_us),
        to: millis(used.to_us),
        frames: used.frames,
        sha256: used.sha256,
        clock: used.clock,
    });
    PlanRow {
        camera: plan.camera,
        zero: millis(plan.zero_us),
        from: millis(plan.starts_us),
        to: millis(plan.ends_us),
        frames: plan.frames,
        bytes: plan.bytes,
        codec: plan.codec,
        rest_from: plan.rest_from_us.map(millis),
        clock: plan.clock,
        gaps: plan.gaps.into_iter().map(gap_row).collect(),
        segments: segments.collect(),
    }
}

/// What the clip of the same time would be, without its bytes.
#[utoipa::path(get, path = "/cameras/{camera}/clip", tag = "recordings",
    params(("camera" = String, Path, description = "camera id"), ClipAsked),
    responses((status = 200, body = PlanRow), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn plan_of_camera(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
    Asked(asked): Asked<ClipAsked>,
) -> Result<Json<PlanRow>, Problem> {
    let wanted = of_one(&centre, &person, camera, &asked).await?;
    let (plan, _) = wanted.fetch(&centre).await?;
    Ok(Json(plan_row(plan)))
}

/// Which of a case's cameras.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CaseClipAsked {
    /// One of the case's cameras; the first of the window it was last called at where it is left out.
    #[param(value_type = Option<String>)]
    camera: Option<CameraId>,
    /// A viewing copy instead of the original: `watermarked`, with who takes it and when burnt in.
    #[param(value_type = Option<String>)]
    copy: Option<CopyAsked>,
}

/// A kind of copy.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CopyAsked {
    Watermarked,
}

/// The footage of a case as MP4: its time at the camera's window, with half a minute before and after. Clips of several
/// cameras of a window have one zero. Where the hall does not give it, the clip that the centre keeps, if it does; `x-clip-source`
/// says which. With `copy=watermarked` a viewing copy, coded anew without sound, whole and with no ranges. Otherwise as `/cameras/{camera}/clip.mp4`.
#[utoipa::path(get, path = "/cases/{case_id}/clip.mp4", tag = "recordings",
    params(("case_id" = String, Path, description = "case ID"), CaseClipAsked),
    responses((status = 200, content_type = "video/mp4"), (status = 206, content_type = "video/mp4"), (status = 304),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem),
        (status = 422, body = Problem), (status = 501, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn of_case(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
    Asked(asked): Asked<CaseClipAsked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (asker, now) = (person.clone(), centre.clock.now());
    let cameras = centre.store.read(move |sql| case_cameras(sql, &asker, case, now)).await?.cameras;
    let found = match &asked.camera {
        Some(camera) => cameras.into_iter().find(|of| of.wanted.camera == *camera),
        None => cameras.into_iter().next(),
    };
    let CaseCamera { wanted, .. } = found.ok_or_else(|| none_of(asked.camera.as_ref()))?;
    let (plan, source) = match wanted.fetch(&centre).await {
        Ok((plan, delivery)) => (plan, Source::Hall(Box::new(delivery))),
        Err(why) => match kept::clip_of(&centre, case, &wanted.camera).await? {
            Some(KeptClip { plan, file }) => (plan, Source::Centre(file)),
            None => return Err(why),
        },
    };
    let detail = format!("{}, {} to {}", wanted.camera, wanted.from, wanted.to);
    if let Some(CopyAsked::Watermarked) = asked.copy {
        return copied(&centre, &person, case, (&plan, source), detail).await;
    }
    note(&centre, &person, "replay.case", &case.to_string(), detail).await?;
    Ok(answer(&plan, source, &headers))
}

/// Makes and answers a viewing copy of a clip.
async fn copied(
    centre: &Centre,
    person: &Person,
    case: CaseId,
    (plan, source): (&ClipPlan, Source),
    detail: String,
) -> Result<Response, Problem> {
    let turn = centre.copies.turn(plan)?;
    let now = centre.clock.now();
    let (asker, object) = (person.clone(), case.to_string());
    centre
        .store
        .write("audit of a copy", move |tx| {
            audit::audit(tx.sql, &asker, "replay.copy", &object, &detail, now)
        })
        .await?;
    let (folder, words) = (centre.data.join(kept::FOLDER), copy::words(&person.name, now));
    let original = match source {
        Source::Hall(delivery) => delivery.bytes(0..plan.bytes).boxed(),
        Source::Centre(file) => {
            let stream = kept::body(file, 0..plan.bytes).into_data_stream();
            stream.map(|part| part.map_err(std::io::Error::other)).boxed()
        }
    };
    let file = copy::make(&folder, original, &words).await?;
    drop(turn);
    let bytes = file.metadata().map_err(copy::NoCopy::Disk)?.len();
    let mut response = kept::body(file, 0..bytes).into_response();
    let headers = response.headers_mut();
    put(headers, header::CONTENT_TYPE, "video/mp4");
    put(headers, header::CONTENT_LENGTH, &bytes.to_string());
    put(headers, header::CACHE_CONTROL, "no-store");
    let name = format!("attachment; filename=\"{case}_{}_copy.mp4\"", plan.camera);
    put(headers, header::CONTENT_DISPOSITION, &name);
    Ok(response)
}

pub(super) fn none_of(camera: Option<&CameraId>) -> Problem {
    match camera {
        Some(camera) => Problem::not_found(format!(
            "{camera} saw nothing of this case: its timeline lists the cameras that did"
        )),
        None => Problem::not_found(
            "there is no footage of this case: it has not been called to a window, or no camera looks at that window",
        )
        .named("urn:hallwatch:problem:no-footage"),
    }
}
