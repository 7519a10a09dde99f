//! A camera's picture goes black, comes back and freezes, while its stream goes on: the hall's looks find it, the centre is
//! told with stills, and the window shows it.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::Api,
    process::{run, until},
};
use serde_json::{Value, json};
use system_tests::{
    peer::Peer,
    stage::{Stage, add_camera, footage, reconfigure},
};

const CAMERA: &str = "450103-01-W01-C9";
/// Looks are a second apart, a round of the clip has 40 seconds; on a loaded machine both take longer.
const LIMIT: Duration = Duration::from_secs(240);

/// A clip that moves for 16 s, is black for 10 s and stands still for 14 s, a key frame each second.
async fn clip(folder: &Path) -> Result<std::path::PathBuf> {
    let path = folder.join("faults.mp4");
    let moving = "testsrc2=size=640x360:rate=12.5:duration=16";
    let black = "color=black:size=640x360:rate=12.5:duration=10";
    let still = "testsrc2=size=640x360:rate=12.5:duration=0.08,tpad=stop_mode=clone:stop_duration=14";
    let joined = format!("{moving}[a];{black}[b];{still}[c];[a][b][c]concat=n=3,format=yuv420p[v]");
    let target = path.to_str().context("a path that is not UTF-8")?;
    let arguments = [
        "-v",
        "error",
        "-y",
        "-filter_complex",
        &joined,
        "-map",
        "[v]",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "0",
        "-g",
        "12",
        "-sc_threshold",
        "0",
        target,
    ];
    run(Path::new("ffmpeg"), &arguments, "").await?;
    Ok(path)
}

/// The first event of the camera that is as `wanted`, waited for.
async fn event(api: &Api, kind: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    until(kind, LIMIT, async || {
        let page = api.get(&format!("/api/v1/events?kind={kind}")).await?;
        let events = page["items"].as_array().context("no items")?;
        Ok(events.iter().find(|event| event["device"] == CAMERA && wanted(&event["body"])).cloned())
    })
    .await
}

#[tokio::test]
async fn a_black_and_a_frozen_picture_are_told_with_stills() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(folder.path()).await?;
    let peer = Peer::gstreamer(&clip, &clip, &folder.path().join("gstreamer.log")).await?;
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    (plan.day, plan.recording) = (false, true);
    let mut stage = Stage::start(plan).await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        config["inspection"] = json!({"every_seconds": 1, "black_seconds": 3, "clear_seconds": 3, "frozen_seconds": 5});
        let camera = json!({"id": CAMERA, "name": "spoilt", "window": 1, "url": peer.urls.main, "sub_url": peer.urls.sub});
        add_camera(config, camera);
    })
    .await?;
    let api = stage.region.sign_in("supervisor").await?;
    let black =
        event(&api, "picture.fault", |body| body["fault"] == "black" && body["ended"].is_null()).await?;
    println!("told: {black}");
    ensure!(black["window"] == "450103-01-W01", "the event names no window: {black}");
    ensure!(
        black["body"]["since"].as_str().is_some_and(|since| Some(since) <= black["at"].as_str()),
        "{black}"
    );
    let still = black["body"]["still"].as_str().context("no still")?;
    let jpeg = api.bytes(&format!("/api/v1/cameras/{CAMERA}/stills/{still}")).await?;
    ensure!(jpeg.starts_with(&[0xff, 0xd8, 0xff]), "the still is no JPEG");
    println!("its still has {} bytes", jpeg.len());
    let other = api.get(&format!("/api/v1/cameras/450103-01-W01-C1/stills/{still}")).await;
    ensure!(other.is_err(), "a still was given as another camera's");
    let windows = async || api.get("/api/v1/halls/450103-01/windows").await;
    until("fault at the window", LIMIT, async || {
        let faults = windows().await?["items"][0]["picture_faults"].clone();
        Ok(faults.as_array().is_some_and(|faults| !faults.is_empty()).then_some(()))
    })
    .await?;
    // Its footage is held by itself, with that of the other camera of its window.
    let hold = until("footage that is held for the fault", LIMIT, async || {
        let holds = api.get("/api/v1/halls/450103-01/recording-holds").await?;
        Ok(holds["items"]
            .as_array()
            .and_then(|holds| holds.iter().find(|hold| hold["kind"] == "alarm").cloned()))
    })
    .await?;
    println!("held: {hold}");
    ensure!(hold["reason"] == format!("the picture of {CAMERA} is black"), "{hold}");
    ensure!(hold["cameras"] == json!(["450103-01-W01-C1", CAMERA]), "not all cameras of the window: {hold}");
    ensure!(hold["until"].is_string() && hold["placed_by"].is_null(), "{hold}");
    let seat = windows().await?["items"][0]["seat"].clone();
    ensure!(seat["seat"] != "empty", "nothing is known of the seat, and it is said to be empty: {seat}");
    event(&api, "picture.fault", |body| body["fault"] == "black" && body["ended"] == true).await?;
    let frozen =
        event(&api, "picture.fault", |body| body["fault"] == "frozen" && body["ended"].is_null()).await?;
    println!("told: {frozen}");
    event(&api, "picture.fault", |body| body["fault"] == "frozen" && body["ended"] == true).await?;
    let seats = api.get("/api/v1/events?kind=seat.changed").await?;
    let empty =
        seats["items"].as_array().into_iter().flatten().find(|event| event["body"]["seat"] == "empty");
    ensure!(empty.is_none(), "nobody has shown the empty seat, and it is told: {empty:?}");
    let faults = api.get("/api/v1/events?kind=picture.fault").await?;
    let other = faults["items"].as_array().into_iter().flatten().find(|event| event["device"] != CAMERA);
    ensure!(other.is_none(), "a sound camera is told to be faulty: {other:?}");
    stage.end().await
}
