//! Recorded footage on its way out: clips of a camera and of a case through the centre with curl, read by ffmpeg, with the time
//! of every frame held against the stamp that the camera put into it; rights; and what is said when the hall is gone.

use std::{collections::HashMap, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use region::{
    RegionPlan,
    api::{Api, Method, StatusCode},
    control::Control,
    process::{run, until},
};
use serde_json::{Value, json};
use simulated_hall::rtsp::read_stamp;
use system_tests::{
    film::decode,
    stage::{Stage, footage, reconfigure},
};

/// What curl brought.
struct Fetched {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> Result<&str> {
        self.headers
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("no {name} among {:?}", self.headers))
    }

    /// A time in a header, UTC µs.
    fn time(&self, name: &str) -> Result<i64> {
        Ok(self.header(name)?.parse::<jiff::Timestamp>()?.as_microsecond())
    }

    fn frames(&self) -> Result<u64> {
        Ok(self.header("x-clip-frames")?.parse()?)
    }
}

/// A person's curl, which trusts the centre's own CA.
struct Curl<'a> {
    stage: &'a Stage,
    api: &'a Api,
}

impl Curl<'_> {
    async fn get(&self, path: &str, more: &[&str]) -> Result<Fetched> {
        let folder = tempfile::tempdir()?;
        let (head, body) = (folder.path().join("head"), folder.path().join("body"));
        let ca = self.stage.region.centre.ca_path();
        let url = format!("https://{}{path}", self.api.authority());
        let cookie = format!("cookie: {}", self.api.cookie().unwrap_or_default());
        let text = |path: &Path| path.display().to_string();
        let (head_text, body_text, ca_text) = (text(&head), text(&body), text(&ca));
        let mut arguments =
            vec!["-sS", "--http1.1", "--cacert", &ca_text, "-H", &cookie, "-D", &head_text, "-o", &body_text];
        arguments.extend_from_slice(more);
        arguments.push(&url);
        run(Path::new("curl"), &arguments, "").await?;
        let head = std::fs::read_to_string(head)?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Fetched { status, headers, body: std::fs::read(body).unwrap_or_default() })
    }
}

/// The frames of a fragmented MP4 of one track without reordering: when each is shown, µs, and its bytes.
fn frames_of(clip: &[u8]) -> Result<Vec<(i64, &[u8])>> {
    let word = |at: usize| -> Result<usize> {
        let bytes = clip.get(at..).and_then(|rest| rest.first_chunk::<4>()).context("the clip is cut off")?;
        Ok(u32::from_be_bytes(*bytes) as usize)
    };
    let (mut frames, mut at, mut samples) = (Vec::new(), 0, Vec::new());
    while at < clip.len() {
        let length = word(at)?;
        match clip.get(at + 4..at + 8).context("the clip is cut off")? {
            b"moof" => {
                // mfhd 16, traf 8, tfhd 24, tfdt 20, then trun: 12, count, data offset, first flags, pairs of duration and size.
                let mut ticks = ((word(at + 68)? as i64) << 32) + word(at + 72)? as i64;
                for n in 0..word(at + 88)? {
                    samples.push((ticks * 100 / 9, word(at + 104 + n * 8)?));
                    ticks += word(at + 100 + n * 8)? as i64;
                }
            }
            b"mdat" => {
                let mut data = at + 8;
                for (shown, size) in samples.drain(..) {
                    frames.push((shown, clip.get(data..data + size).context("the clip is cut off")?));
                    data += size;
                }
            }
            _ => {}
        }
        at += length.max(8);
    }
    Ok(frames)
}

/// How far the time of each frame is from the stamp in it, µs, in order of size.
fn errors(fetched: &Fetched) -> Result<Vec<i64>> {
    let zero = fetched.time("x-clip-zero")?;
    let frames = frames_of(&fetched.body)?;
    ensure!(
        frames.len() as u64 == fetched.frames()?,
        "{} frames, and the plan says {}",
        frames.len(),
        fetched.frames()?
    );
    let mut errors = Vec::new();
    for (shown, unit) in frames {
        let stamp = read_stamp(unit).context("a frame without its stamp")?;
        errors.push((zero + shown - stamp.sent_us as i64).abs());
    }
    errors.sort_unstable();
    Ok(errors)
}

fn check_times(name: &str, fetched: &Fetched) -> Result<()> {
    let errors = errors(fetched)?;
    let at = |part: usize| errors.get((errors.len() - 1) * part / 100).copied().unwrap_or_default();
    println!(
        "{name}: {} frames, off their stamps by {} µs at p50, {} µs at p95, {} µs at most",
        errors.len(),
        at(50),
        at(95),
        at(100)
    );
    // What a machine under load delays is no error of the clip; a clip whose times are wrong is wrong in all of it.
    ensure!(at(50) < 200_000, "{name}: frames are not where their stamps say");
    Ok(())
}

async fn played(name: &str, fetched: &Fetched, folder: &Path) -> Result<()> {
    ensure!(fetched.status == 200, "{name}: {} {}", fetched.status, String::from_utf8_lossy(&fetched.body));
    ensure!(
        fetched.header("content-length")? == fetched.body.len().to_string(),
        "{name}: another length than was said"
    );
    let path = folder.join("clip.mp4");
    std::fs::write(&path, &fetched.body)?;
    let played = decode(&path).await?;
    println!(
        "{name}: {} bytes, ffmpeg decodes {} frames of {:?}",
        fetched.body.len(),
        played.frames,
        played.size
    );
    ensure!(
        played.frames == fetched.frames()?,
        "{name}: ffmpeg decodes {} frames of {}",
        played.frames,
        fetched.frames()?
    );
    check_times(name, fetched)
}

/// Waits until `camera` is recorded for `seconds` without a break; gives the last run.
async fn recorded(api: &Api, camera: &str, seconds: i64) -> Result<(jiff::Timestamp, jiff::Timestamp)> {
    let mut last = Value::Null;
    let found = until("such a recording", Duration::from_secs(120), async || {
        last = api.get(&format!("/api/v1/cameras/{camera}/recordings")).await?;
        let Some(run) = last["runs"].as_array().and_then(|runs| runs.last()) else { return Ok(None) };
        let time =
            |name: &str| anyhow::Ok(run[name].as_str().context("no time")?.parse::<jiff::Timestamp>()?);
        let (from, to): (jiff::Timestamp, jiff::Timestamp) = (time("from")?, time("to")?);
        let long = to.as_second() - from.as_second() >= seconds && last["source"] == "hall";
        anyhow::Ok(long.then_some((from, to)))
    });
    found.await.with_context(|| format!("the recordings of {camera} are {last}"))
}

#[tokio::test]
async fn footage_comes_out_as_it_was_recorded() -> Result<()> {
    let mut plan = RegionPlan::of(2, 1, 1, footage());
    (plan.day, plan.stamped, plan.recording) = (false, true, true);
    let mut stage = Stage::start(plan).await?;
    let (id, foreign) = (stage.region.plan.halls[0].id.clone(), stage.region.plan.halls[1].id.clone());
    let (camera, second) = (format!("{id}-W01-C1"), format!("{id}-S01"));
    // The camera of the hall at large looks at the window too; segments are short, so that clips are cut out of several.
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        config["recording"]["segment_seconds"] = json!(7);
        for row in config["camera"].as_array_mut().into_iter().flatten().filter(|row| row["id"] == *second) {
            row["window"] = json!(1);
        }
    })
    .await?;
    stage.region.wait_for_cameras(Duration::from_secs(60)).await?;
    let boss = stage.region.sign_in("supervisor").await?;
    let manager = stage.region.sign_in("hall_manager").await?;
    let admin = stage.region.sign_in("administrator").await?;
    let (from, _) = recorded(&boss, &camera, 3).await?;
    recorded(&boss, &second, 3).await?;
    let control = Control(stage.region.halls.first().context("no hall")?.sim.control);
    control.act(json!({"kind": "ticket", "number": "A301", "business": "社保", "waiting": 0})).await?;
    control.act(json!({"kind": "press", "window": 1, "digits": "", "key": "call"})).await?;
    control.act(json!({"kind": "press", "window": 1, "digits": "", "key": "start"})).await?;
    control.act(json!({"kind": "press", "window": 1, "digits": "", "key": "evaluate"})).await?;
    control.act(json!({"kind": "rate", "window": 1, "raw": 4})).await?;
    let case = until("rated case", Duration::from_secs(60), async || {
        let cases = boss.get(&format!("/api/v1/cases?hall={id}")).await?;
        Ok(cases["items"].as_array().into_iter().flatten().find(|case| !case["grade"].is_null()).cloned())
    })
    .await?;
    let case = case["case_id"].as_str().context("no case ID")?.to_owned();
    let (_, to) = recorded(&boss, &camera, 24).await?;
    recorded(&boss, &second, 24).await?;
    let folder = tempfile::tempdir()?;
    let curl = Curl { stage: &stage, api: &boss };

    // A clip of a camera, whole and in ranges.
    let ends = (to - jiff::SignedDuration::from_secs(2)).as_millisecond();
    let path = format!("/api/v1/cameras/{camera}/clip.mp4?from={}&to={ends}", from.as_millisecond() + 1_500);
    let whole = curl.get(&path, &[]).await?;
    played("clip of a camera", &whole, folder.path()).await?;
    let plan = boss.get(&path.replace("clip.mp4", "clip")).await?;
    ensure!(
        plan["segments"].as_array().is_some_and(|used| used.len() >= 3),
        "cut out of several segments: {plan}"
    );
    ensure!(plan["frames"] == whole.frames()? && plan["bytes"] == whole.body.len(), "another plan: {plan}");
    let length = whole.body.len();
    for range in [
        "0-0",
        "1-70000",
        "-333",
        &format!("{}-", length / 2),
        &format!("{}-{}", length / 3, length / 3 + 300_000),
    ] {
        let part = curl.get(&path, &["-r", range]).await?;
        ensure!(part.status == 206, "range {range} is answered {}", part.status);
        let (first, last) = part
            .header("content-range")?
            .strip_prefix("bytes ")
            .and_then(|r| r.split_once('/'))
            .and_then(|(r, _)| r.split_once('-'))
            .context("content-range")?;
        let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
        ensure!(
            whole.body.get(first..=last).is_some_and(|slice| slice == part.body),
            "range {range} is not that slice of the whole"
        );
    }
    let beyond = curl.get(&path, &["-r", &format!("{length}-")]).await?;
    ensure!(beyond.status == 416, "beyond the end: {}", beyond.status);
    let tag = format!("if-none-match: {}", whole.header("etag")?);
    ensure!(curl.get(&path, &["-H", &tag]).await?.status == 304, "a known clip is sent again");

    // The case: both cameras of its window, in step.
    let mut zeros = Vec::new();
    for of in [&camera, &second] {
        let clip = curl.get(&format!("/api/v1/cases/{case}/clip.mp4?camera={of}"), &[]).await?;
        played(&format!("case by {of}"), &clip, folder.path()).await?;
        zeros.push(clip.time("x-clip-zero")?);
    }
    ensure!(zeros[0] == zeros[1], "clips of one window have one zero: {zeros:?}");
    let line = boss.get(&format!("/api/v1/cases/{case}/timeline")).await?;
    for kind in ["ticket.called", "rating.given"] {
        let event = line["events"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|event| event["kind"] == kind)
            .context("no such event")?;
        let (at, offset) = (event["at"].as_str().context("no time")?, event["offsets"][&camera].as_f64());
        let starts =
            line["cameras"][0]["clip"]["from"].as_str().context("no start")?.parse::<jiff::Timestamp>()?;
        let wanted = at.parse::<jiff::Timestamp>()?.duration_since(starts).as_secs_f64();
        println!("{kind} at {at}: {offset:?} s into the clip of {camera}");
        ensure!(
            offset.is_some_and(|offset| (offset - wanted).abs() < 0.002),
            "{event} is not {wanted} s into the clip"
        );
    }
    ensure!(line["cameras"].as_array().is_some_and(|cameras| cameras.len() == 2), "both cameras: {line}");

    rights(&stage, &manager, &camera, &foreign, &case).await?;

    // Whoever goes away in the middle ends the delivery.
    let left = curl.get(&path, &["--limit-rate", "20k", "--max-time", "2"]).await;
    ensure!(left.is_err(), "the download was to be left in its middle");
    until("end of the delivery", Duration::from_secs(40), async || {
        let figures = String::from_utf8(admin.bytes("/metrics").await?.to_vec())?;
        Ok(figures.contains("hallwatch_footage_deliveries 0").then_some(()))
    })
    .await?;

    held(&manager, &id, &case).await?;

    // The hall is gone: what it told, and since when.
    let told = until("sealed segments at the centre", Duration::from_secs(60), async || {
        let sealed = admin.all(&format!("/api/v1/events?hall={id}&kind=recording.sealed"), "after").await?;
        Ok((sealed.iter().filter(|event| event["device"] == *camera).count() >= 3).then_some(sealed.len()))
    })
    .await?;
    println!("{told} sealed segments on record at the centre");
    let hall = stage.region.halls.first_mut().context("no hall")?;
    hall.edge.stop(Duration::from_secs(8)).await?;
    let curl = Curl { stage: &stage, api: &boss };
    let gone = until("that the hall is gone", Duration::from_secs(40), async || {
        let answer = curl.get(&path, &[]).await?;
        Ok((answer.status == 503).then_some(answer))
    })
    .await?;
    let problem: Value = serde_json::from_slice(&gone.body)?;
    println!("with the hall gone: {}", problem["detail"]);
    ensure!(problem["type"] == "urn:hallwatch:problem:hall-offline", "{problem}");
    ensure!(problem["detail"].as_str().is_some_and(|words| words.contains("recorded from")), "{problem}");
    let listed = boss.get(&format!("/api/v1/cameras/{camera}/recordings")).await?;
    ensure!(
        listed["source"] == "centre" && listed["runs"].as_array().is_some_and(|runs| !runs.is_empty()),
        "{listed}"
    );
    let audit = admin.get("/api/v1/audit").await?;
    for action in ["replay.clip", "replay.case", "replay.timeline", "recording.held"] {
        let count =
            audit["items"].as_array().into_iter().flatten().filter(|row| row["action"] == action).count();
        ensure!(count > 0, "no {action} in the audit log");
        println!("{action}: {count} in the audit log");
    }
    stage.end().await
}

/// Who may not see footage is told so; of another's hall not even that there is any.
async fn rights(stage: &Stage, manager: &Api, camera: &str, foreign: &str, case: &str) -> Result<()> {
    let times = "from=1000&to=2000";
    let of = |hall: &str| {
        [
            format!("/api/v1/cameras/{hall}-W01-C1/clip.mp4?{times}"),
            format!("/api/v1/cameras/{hall}-W01-C1/clip?{times}"),
            format!("/api/v1/cameras/{hall}-W01-C1/recordings"),
            format!("/api/v1/halls/{hall}/recording-holds"),
        ]
    };
    for path in of(foreign) {
        let got = manager.status(Method::GET, &path, None).await?;
        ensure!(got == StatusCode::NOT_FOUND, "GET {path} of another hall is answered {got}");
    }
    for role in ["technician", "hr"] {
        let person = stage.region.sign_in(role).await?;
        for path in [
            format!("/api/v1/cameras/{camera}/clip.mp4?{times}"),
            format!("/api/v1/cases/{case}/clip.mp4"),
            format!("/api/v1/cases/{case}/timeline"),
        ] {
            let got = person.status(Method::GET, &path, None).await?;
            ensure!(got == StatusCode::FORBIDDEN, "{role}: GET {path} is answered {got}");
        }
    }
    Ok(())
}

/// Holds a case's footage and releases it; each is done by the hall and said by the list.
async fn held(manager: &Api, hall: &str, case: &str) -> Result<()> {
    let path = format!("/api/v1/halls/{hall}/recording-holds");
    let taken = manager.post(&path, json!({"case_id": case, "reason": "a complaint"})).await?;
    let id = taken["id"].as_str().context("no id of the hold")?.to_owned();
    let is = async |state: &str| {
        let mut last = Value::Null;
        let found = until("such a state of the hold", Duration::from_secs(40), async || {
            let list = manager.get(&path).await?;
            last = list["items"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|row| row["id"] == *id)
                .cloned()
                .unwrap_or_default();
            Ok((last["state"] == *state).then(|| last.clone()))
        });
        found.await.with_context(|| format!("the hold is {last}"))
    };
    let row = is("held").await?;
    println!("held: {row}");
    ensure!(
        row["case_id"] == *case && row["cameras"].as_array().is_some_and(|cameras| cameras.len() == 2),
        "{row}"
    );
    let released = manager.status(Method::DELETE, &format!("{path}/{id}"), None).await?;
    if released != StatusCode::ACCEPTED {
        bail!("the release is answered {released}");
    }
    is("released").await?;
    Ok(())
}
