//! Cameras that are not ours play on the wall: GStreamer's RTSP server and the virtual camera ipycam (issue, "What it
//! must show", 4). What comes through the wall socket is decoded by ffmpeg.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use region::RegionPlan;
use serde_json::json;
use system_tests::{
    film::{Film, decode},
    peer::Peer,
    stage::{Stage, add_camera, camera_row, clip, footage, reconfigure, still},
};

/// Frames of a film: more than one group of pictures of every tier.
const FRAMES: usize = 60;

#[tokio::test]
async fn they_play_on_the_wall() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (main, sub) = (clip("window-a-main.mp4", folder.path())?, clip("window-a-sub.mp4", folder.path())?);
    let peers = [
        ("450103-01-S11", Peer::gstreamer(&main, &sub, &folder.path().join("gstreamer.log")).await?),
        ("450103-01-S12", Peer::ipycam(&folder.path().join("ipycam.log")).await?),
    ];
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let mut stage = Stage::start(plan).await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        for (id, peer) in &peers {
            let camera = json!({"id": id, "name": id, "url": peer.urls.main, "sub_url": peer.urls.sub});
            add_camera(config, camera);
        }
    })
    .await?;
    let api = stage.region.sign_in("supervisor").await?;
    for (id, peer) in &peers {
        let name = peer.process.name();
        let row = camera_row(&api, id, Duration::from_secs(20), |row| row["state"] == "live").await?;
        println!("{name}: {id} is {}", row["state"]);
        for tier in ["main", "sub"] {
            let begun = Instant::now();
            let film = Film::shoot(&api, id, tier, FRAMES, Duration::from_secs(20)).await?;
            let took = begun.elapsed().as_secs_f64();
            let live = film.rows.iter().rev().find(|row| row["state"] == "live").context("never live")?;
            let played = film.play(&folder.path().join(format!("{id}-{tier}.h264"))).await?;
            ensure!(played.codec == "h264", "{name}: {played:?}");
            ensure!(played.frames == FRAMES as u64, "{name} {tier}: {FRAMES} frames came, {played:?} play");
            let size = (live["width"].as_u64(), live["height"].as_u64());
            ensure!(
                size == (Some(played.size.0), Some(played.size.1)),
                "{name} {tier}: {live} plays as {played:?}"
            );
            ensure!(
                film.frames.first().is_some_and(|(header, _)| header.key),
                "{name} {tier}: starts without a key frame"
            );
            println!(
                "{name}: {tier} {} {size:?}, {FRAMES} frames in {took:.1} s, all decoded",
                live["codec"]
            );
        }
        let still = still(&api, id).await?;
        let path = folder.path().join(format!("{id}.jpg"));
        std::fs::write(&path, &still)?;
        ensure!(still.starts_with(&[0xff, 0xd8, 0xff]), "{name}: the still is no JPEG");
        let played = decode(&path).await?;
        ensure!(played.codec == "mjpeg" && played.frames == 1, "{name}: its still plays as {played:?}");
        println!("{name}: still.jpg {:?}, {} bytes", played.size, still.len());
    }
    stage.end().await
}
