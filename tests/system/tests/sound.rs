//! Cameras of another maker's RTSP server that send sound: AAC and G.711. Where the hall wants it, it is in the recordings
//! and in the clips that come through the centre, and ffmpeg decodes both tracks without a word; where the hall says nothing
//! there is none.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::Api,
    process::{binary, run, until},
    recorded::plays,
};
use serde_json::{Value, json};
use system_tests::{
    peer::Peer,
    stage::{Stage, add_camera, clip, footage, reconfigure},
};

const PATIENCE: Duration = Duration::from_secs(180);
/// Footage that a clip is cut from, seconds.
const LENGTH: i64 = 12;
const CAMERAS: [(&str, &str); 2] = [("450103-01-W01-C7", "aac"), ("450103-01-W01-C8", "pcm_alaw")];

/// The streams of a file: codec and length in seconds of its packets.
fn streams(path: &Path) -> Result<Vec<(String, f64)>> {
    let arguments = [
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,index:packet=stream_index,pts_time",
        "-of",
        "json",
    ];
    let probe = Command::new("ffprobe").args(arguments).arg(path).output();
    let probe = probe.context("ffprobe is needed: run scripts/setup test")?;
    let said: Value = serde_json::from_slice(&probe.stdout)?;
    let times = |index: &Value| {
        let of = said["packets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|packet| packet["stream_index"] == *index);
        let times: Vec<f64> = of.filter_map(|packet| packet["pts_time"].as_str()?.parse().ok()).collect();
        times.iter().copied().fold(f64::MIN, f64::max) - times.iter().copied().fold(f64::MAX, f64::min)
    };
    let streams = said["streams"].as_array().context("no streams")?;
    Ok(streams
        .iter()
        .map(|stream| (stream["codec_name"].as_str().unwrap_or_default().to_owned(), times(&stream["index"])))
        .collect())
}

/// Waits until so much of a camera is recorded after `from_us` without a break; gives a clip of it, as a file.
async fn recorded(api: &Api, camera: &str, from_us: i64, folder: &Path) -> Result<std::path::PathBuf> {
    let at = |us: i64| jiff::Timestamp::from_microsecond(us).unwrap_or_default().to_string();
    let path = format!("/api/v1/cameras/{camera}/recordings?from={}", at(from_us));
    let run = until("footage", PATIENCE, async || {
        // While the agent is away the centre tells what it knows, or nothing.
        let said = api.get(&path).await.unwrap_or_default();
        if said["source"] != "hall" {
            return Ok(None);
        }
        let last = said["runs"].as_array().and_then(|runs| runs.last().cloned());
        let time = |run: &Value, name: &str| run[name].as_str()?.parse::<jiff::Timestamp>().ok();
        let long = last.filter(|run| {
            let (Some(from), Some(to)) = (time(run, "from"), time(run, "to")) else { return false };
            to.as_second() - from.as_second().max(from_us / 1_000_000) >= LENGTH + 4
        });
        Ok(long)
    })
    .await
    .with_context(|| camera.to_owned())?;
    let begun: jiff::Timestamp = run["from"].as_str().context("no from")?.parse()?;
    let from = begun.as_microsecond().max(from_us) + 1_000_000;
    let query = format!("from={}&to={}", at(from), at(from + LENGTH * 1_000_000));
    let bytes = api.bytes(&format!("/api/v1/cameras/{camera}/clip.mp4?{query}")).await?;
    let file = folder.join(format!("{camera}-{from}.mp4"));
    std::fs::write(&file, bytes)?;
    Ok(file)
}

#[tokio::test]
async fn sound_is_kept_where_the_hall_wants_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = clip("window-a-main.mp4", folder.path())?;
    let aac = Peer::gstreamer_with_sound(&film, "aac", &folder.path().join("aac.log")).await?;
    let alaw = Peer::gstreamer_with_sound(&film, "alaw", &folder.path().join("alaw.log")).await?;
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let mut stage = Stage::start(plan).await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        config["recording"] = json!({"sound": true, "segment_seconds": 8, "keep_free_gigabytes": 0.2});
        for ((camera, _), peer) in CAMERAS.iter().zip([&aac, &alaw]) {
            add_camera(config, json!({"id": camera, "name": "sounding", "window": 1, "url": peer.urls.main, "sub_url": peer.urls.sub}));
        }
    })
    .await?;
    let api = stage.region.sign_in("supervisor").await?;
    let from_us = jiff::Timestamp::now().as_microsecond();
    for (camera, codec) in CAMERAS {
        let file = recorded(&api, camera, from_us, folder.path()).await?;
        plays(&file)?;
        let found = streams(&file)?;
        println!("{camera}: {found:?}");
        ensure!(found.len() == 2 && found[1].0 == codec, "{camera}: {found:?}");
        // All of the picture has its sound, but for what a piece and a group of pictures are long.
        ensure!(
            (found[0].1 - found[1].1).abs() < 1.5,
            "{camera}: the sound is not as long as the picture: {found:?}"
        );
    }
    // A camera that sends none is recorded as ever.
    let silent = recorded(&api, "450103-01-W01-C1", from_us, folder.path()).await?;
    ensure!(streams(&silent)?.len() == 1, "a camera without sound has some");

    let hall = stage.region.halls.first_mut().context("no hall")?;
    let asked_us = jiff::Timestamp::now().as_microsecond();
    reconfigure(hall, |config| {
        config["recording"] = json!({"segment_seconds": 8, "keep_free_gigabytes": 0.2})
    })
    .await?;
    let from_us = jiff::Timestamp::now().as_microsecond();
    ensure!(from_us > asked_us, "the clock stands");
    let file = recorded(&api, CAMERAS[0].0, from_us, folder.path()).await?;
    plays(&file)?;
    ensure!(streams(&file)?.len() == 1, "sound was kept though nobody wants it: {:?}", streams(&file)?);

    let hall = stage.region.halls.first_mut().context("no hall")?;
    hall.edge.stop(Duration::from_secs(60)).await?;
    let config = hall.edge_config_path().to_str().context("a path that is not UTF-8")?.to_owned();
    let verified = run(&binary("edge-agent")?, &["recordings", "verify", "--config", &config], "").await?;
    println!("{}", verified.trim());
    stage.end().await
}
