//! A hall goes offline: of a case that was served before, the centre still has the stills of its key moments and the clip that a
//! supervisor had sent up, playable and by ranges; and nobody of another area sees them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::{Api, Method, StatusCode},
    process::{run, until},
};
use serde_json::{Value, json};
use system_tests::{
    film::decode,
    stage::{Stage, footage, reconfigure},
};

const LIMIT: Duration = Duration::from_secs(180);

/// A closed case that was served and rated after `since`.
async fn a_case(api: &Api, hall: &str, since: jiff::Timestamp) -> Result<Value> {
    until("a case that was served, rated and closed", LIMIT, async || {
        let cases = api.get(&format!("/api/v1/cases?hall={hall}&state=closed")).await?;
        let called = |case: &Value| case["called_at"].as_str()?.parse::<jiff::Timestamp>().ok();
        let wanted = |case: &&Value| {
            case["started_at"].is_string() && case["grade"].is_u64() && called(case) > Some(since)
        };
        Ok(cases["items"].as_array().and_then(|items| items.iter().find(wanted)).cloned())
    })
    .await
}

/// Fetches with curl, as a player would; gives the head.
async fn curl(stage: &Stage, api: &Api, path: &str, more: &[&str], to: &Path) -> Result<String> {
    let head = to.with_extension("head");
    let text = |path: &Path| path.display().to_string();
    let (ca, head_text, to_text) = (text(&stage.region.centre.ca_path()), text(&head), text(to));
    let url = format!("https://{}{path}", api.authority());
    let cookie = format!("cookie: {}", api.cookie().unwrap_or_default());
    let mut arguments = vec!["-sS", "--fail-with-body", "--http1.1", "--cacert", &ca, "-H", &cookie];
    arguments.extend(["-D", &head_text, "-o", &to_text]);
    arguments.extend(more);
    arguments.push(&url);
    run(Path::new("curl"), &arguments, "").await?;
    Ok(std::fs::read_to_string(head)?.to_lowercase())
}

/// The grey values of a corner of a file's first picture: 160 by 24 pixels.
async fn corner(file: &Path, (x, y): (u32, u32)) -> Result<Vec<u8>> {
    let crop = format!("crop=160:24:{x}:{y},format=gray");
    let to = file.with_extension(format!("{x}.gray"));
    let (from, into) = (file.display().to_string(), to.display().to_string());
    let arguments =
        ["-v", "error", "-y", "-i", &from, "-frames:v", "1", "-vf", &crop, "-f", "rawvideo", &into];
    run(Path::new("ffmpeg"), &arguments, "").await?;
    Ok(std::fs::read(to)?)
}

fn apart(one: &[u8], other: &[u8]) -> f64 {
    let sum: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.len().max(1) as f64
}

/// A viewing copy has the mark in its pictures; the original is what it was.
async fn copied(stage: &Stage, api: &Api, case: &str, folder: &Path) -> Result<()> {
    let clip = format!("/api/v1/cases/{case}/clip.mp4");
    let (before, copy, after) =
        (folder.join("before.mp4"), folder.join("copy.mp4"), folder.join("after.mp4"));
    // A clip grows until the half minute after its case has passed, and what came last is on disk.
    let timeline = format!("/api/v1/cases/{case}/timeline");
    until("a clip that grows no more", LIMIT, async || {
        let ends = api.get(&timeline).await?["cameras"][0]["to"].as_str().context("no end")?.to_owned();
        let ends: jiff::Timestamp = ends.parse()?;
        Ok((jiff::Timestamp::now() > ends + jiff::SignedDuration::from_secs(5)).then_some(()))
    })
    .await?;
    let recordings =
        stage.region.halls[0].edge_config_path().parent().context("no folder")?.join("edge/recordings");
    let sealed = sealed(&recordings)?;
    ensure!(!sealed.is_empty(), "nothing is sealed in {}", recordings.display());
    curl(stage, api, &clip, &[], &before).await?;
    let head = curl(stage, api, &format!("{clip}?copy=watermarked"), &[], &copy).await?;
    ensure!(head.contains("_copy.mp4"), "{head}");
    curl(stage, api, &clip, &[], &after).await?;
    ensure!(std::fs::read(&before)? == std::fs::read(&after)?, "the original is another one");
    for (path, digest) in &sealed {
        ensure!(
            control_protocol::Digest::of(&std::fs::read(path)?) == *digest,
            "{} was changed",
            path.display()
        );
    }
    let played = (decode(&before).await?.frames, decode(&copy).await?.frames);
    let marked = apart(&corner(&before, (8, 8)).await?, &corner(&copy, (8, 8)).await?);
    let elsewhere = apart(&corner(&before, (200, 200)).await?, &corner(&copy, (200, 200)).await?);
    println!(
        "{} frames, {} in the copy; where the mark is they are {marked:.1} apart, elsewhere {elsewhere:.1}; {} segments unchanged",
        played.0,
        played.1,
        sealed.len()
    );
    ensure!(marked > 20.0 && elsewhere < 8.0, "no mark, or more than a mark");
    Ok(())
}

/// The recordings that lie below `folder` and are not written to any more, with their digests.
fn sealed(folder: &Path) -> Result<Vec<(PathBuf, control_protocol::Digest)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sealed(&path)?);
        } else if path.extension().is_some_and(|end| end == "mp4") {
            let bytes = std::fs::read(&path)?;
            found.push((path, control_protocol::Digest::of(&bytes)));
        }
    }
    // The newest is being written.
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.pop();
    Ok(found)
}

#[tokio::test]
async fn the_centre_has_what_it_kept_while_the_hall_is_away() -> Result<()> {
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.recording = true;
    let mut stage = Stage::start(plan).await?;
    // Short segments, so that some are sealed while the test goes on.
    reconfigure(stage.region.halls.first_mut().context("no hall")?, |config| {
        config["recording"]["segment_seconds"] = json!(5);
    })
    .await?;
    let folder = tempfile::tempdir()?;
    let hall = stage.region.plan.halls[0].id.clone();
    let county = stage.region.sign_in_as(|role, name| role == "supervisor" && name == "county").await?;
    let since = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(10);
    let case = a_case(&county, &hall, since).await?;
    let id = case["case_id"].as_str().context("no case ID")?.to_owned();
    let timeline = format!("/api/v1/cases/{id}/timeline");

    // Stills come by themselves.
    let stills = until("stills of the call, the service and the rating", LIMIT, async || {
        let line = county.get(&timeline).await?;
        let stills = line["stills"].as_array().cloned().unwrap_or_default();
        let has = |kind: &str| stills.iter().any(|still| still["shows"] == kind && still["state"] == "kept");
        let all = ["ticket.called", "service.started", "rating.given"].into_iter().all(has);
        Ok(all.then_some(stills))
    })
    .await?;
    println!("{} stills are kept", stills.len());

    // A clip when a supervisor wants it, and nobody else.
    let keep = format!("/api/v1/cases/{id}/kept-clips");
    for role in ["hall_manager", "hr", "technician"] {
        let got = stage.region.sign_in(role).await?.status(Method::POST, &keep, Some(json!({}))).await?;
        ensure!(got == StatusCode::FORBIDDEN, "{role} is answered {got}");
    }
    county.post(&keep, json!({})).await?;
    let kept = until("a clip that is kept", LIMIT, async || {
        let kept = county.get(&timeline).await?["cameras"][0]["kept"].clone();
        ensure!(kept["state"] != "failed", "it was not kept: {kept}");
        Ok((kept["state"] == "kept").then_some(kept))
    })
    .await?;
    println!("kept: {kept}");

    copied(&stage, &county, &id, folder.path()).await?;
    let edge = &mut stage.region.halls.first_mut().context("no hall")?.edge;
    edge.stop(Duration::from_secs(8)).await?;
    let line = until("a hall that is offline", LIMIT, async || {
        let line = county.get(&timeline).await?;
        Ok((line["hall"]["online"] == false).then_some(line))
    })
    .await?;
    ensure!(line["hall"]["last_heard"].is_string(), "since when is not said: {}", line["hall"]);
    let camera = &line["cameras"][0];
    ensure!(camera["clip_source"] == "centre" && camera["clip"]["frames"].is_u64(), "{camera}");
    ensure!(camera["why"].as_str().is_some_and(|why| why.contains("not connected")), "{camera}");

    // The clip plays, whole and by ranges.
    let clip = camera["clip_url"].as_str().context("no address")?;
    let file = folder.path().join("kept.mp4");
    let head = curl(&stage, &county, clip, &[], &file).await?;
    ensure!(head.contains("x-clip-source: centre"), "{head}");
    let played = decode(&file).await?;
    ensure!(camera["clip"]["frames"] == played.frames, "ffmpeg decodes {} frames: {camera}", played.frames);
    println!("ffmpeg decodes {} frames of the kept clip without an error", played.frames);
    let whole = std::fs::read(&file)?;
    let digest = control_protocol::Digest::of(&whole).to_string();
    ensure!(kept["sha256"] == digest, "another digest than {digest}: {kept}");
    let part = folder.path().join("part.mp4");
    let head = curl(&stage, &county, clip, &["-H", "range: bytes=1000-99999"], &part).await?;
    ensure!(head.contains("206 partial"), "{head}");
    ensure!(whole.get(1000..100_000) == Some(&std::fs::read(&part)?[..]), "another part");

    for still in &stills {
        let url = still["url"].as_str().context("no address")?;
        let jpeg = county.bytes(url).await?;
        ensure!(still["sha256"] == control_protocol::Digest::of(&jpeg).to_string(), "{still}");
        let file = folder.path().join("still.jpg");
        std::fs::write(&file, &jpeg)?;
        let played = decode(&file).await?;
        ensure!(played.codec == "mjpeg" && played.size.0 > 0, "{still}: {played:?}");
    }

    // Somebody who supervises another area finds nothing of it.
    let password = "quiet-Harbour-9-ninety4";
    let user = format!(
        "[[user]]\nname = \"elsewhere\"\npassword = \"{password}\"\nrole = \"supervisor\"\nscope = \"450102\"\nmust_change = false\n"
    );
    stage.region.centre.import("elsewhere.toml", &user).await?;
    let elsewhere = stage.region.centre.api()?.sign_in("elsewhere", password).await?;
    let still = stills.first().and_then(|still| still["url"].as_str()).context("no still")?;
    for (method, path, body) in [
        (Method::GET, timeline.as_str(), None),
        (Method::GET, clip, None),
        (Method::GET, still, None),
        (Method::POST, keep.as_str(), Some(json!({}))),
    ] {
        let got = elsewhere.status(method, path, body).await?;
        ensure!([StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&got), "{path} is answered {got}");
    }
    // Back again, its own footage is given.
    stage.region.halls.first_mut().context("no hall")?.restart_edge()?;
    until("footage from the hall", LIMIT, async || {
        let line = county.get(&timeline).await?;
        Ok((line["cameras"][0]["clip_source"] == "hall").then_some(()))
    })
    .await?;
    stage.end().await
}
