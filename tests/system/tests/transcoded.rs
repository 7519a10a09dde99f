//! Cameras whose pictures no browser plays: H.265 and motion JPEG play on the wall as H.264, and say so; where nothing may be
//! transcoded the reason is told, and stills stand in.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    process::run,
    wall::{Said, Wall},
};
use serde_json::{Value, json};
use system_tests::{
    film::{Film, decode},
    peer::Peer,
    stage::{Stage, add_camera, camera_row, footage, odd_clip, reconfigure, still},
};

const FRAMES: usize = 60;
const LIMIT: Duration = Duration::from_secs(60);

async fn motion_jpeg(folder: &Path) -> Result<std::path::PathBuf> {
    let path = folder.join("jpeg.mkv");
    let target = path.to_str().context("a path that is not UTF-8")?;
    let source = "testsrc2=size=640x360:rate=12.5:duration=8";
    // RTP carries no Huffman tables: they must be the usual ones (RFC 2435).
    let arguments = [
        "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "mjpeg", "-huffman", "default", "-q:v",
        "5", "-pix_fmt", "yuvj420p", target,
    ];
    run(Path::new("ffmpeg"), &arguments, "").await?;
    Ok(path)
}

/// The tile's row, once it is `state`.
async fn row(wall: &mut Wall, state: &str) -> Result<Value> {
    let mut last = Value::Null;
    let found = tokio::time::timeout(LIMIT, async {
        loop {
            if let Said::Text(text) = wall.next().await?
                && let Some(row) = text["streams"].as_array().and_then(|rows| rows.first())
            {
                last = row.clone();
                if row["state"] == state {
                    return anyhow::Ok(());
                }
            }
        }
    });
    found.await.with_context(|| format!("the tile never is {state}: {last}"))??;
    Ok(last)
}

#[tokio::test]
async fn h265_and_motion_jpeg_play_as_h264_or_say_why_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let hevc = odd_clip("window-a-main-h265.mp4", folder.path()).await?;
    let jpeg = motion_jpeg(folder.path()).await?;
    let peers = [
        ("450103-01-S21", "H.265", Peer::gstreamer(&hevc, &hevc, &folder.path().join("hevc.log")).await?),
        ("450103-01-S22", "MJPEG", Peer::gstreamer(&jpeg, &jpeg, &folder.path().join("jpeg.log")).await?),
    ];
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let mut stage = Stage::start(plan).await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        config["recording"]["enabled"] = false.into();
        for (id, name, peer) in &peers {
            add_camera(
                config,
                json!({"id": id, "name": name, "url": peer.urls.main, "sub_url": peer.urls.sub}),
            );
        }
    })
    .await?;
    let api = stage.region.sign_in("supervisor").await?;
    for (id, name, _) in &peers {
        camera_row(&api, id, LIMIT, |row| row["state"] == "live").await?;
        let film = Film::shoot(&api, id, "sub", FRAMES, LIMIT).await?;
        let live = film.rows.iter().rev().find(|row| row["state"] == "live").context("never live")?;
        println!("{name}: {live}");
        ensure!(live["codec"].as_str().is_some_and(|codec| codec.starts_with("avc1.")), "{live}");
        ensure!(
            live["why"].as_str().is_some_and(|why| why.contains(name)),
            "the tile does not say that it is transcoded: {live}"
        );
        let played = film.play(&folder.path().join(format!("{id}.h264"))).await?;
        ensure!(played.codec == "h264" && played.frames == FRAMES as u64, "{name}: {played:?}");
        let keys = film.frames.iter().filter(|(header, _)| header.key).count();
        ensure!(keys >= 2, "{name}: {keys} key frames in {FRAMES}");
        let shown: Vec<i64> = film.frames.iter().map(|(header, _)| header.pts_us).collect();
        ensure!(shown.is_sorted(), "{name}: frames out of order");
    }
    let log = stage.region.halls[0].edge.log();
    ensure!(!log.contains("panicked"), "the agent panicked");
    // Nothing may be transcoded.
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| config["transcoding"] = json!({"at_once": 0})).await?;
    for (id, name, _) in &peers {
        let mut wall = Wall::open(&api).await?;
        wall.watch(&[id], "sub").await?;
        let told = row(&mut wall, "unsupported").await?;
        ensure!(told["why"].as_str().is_some_and(|why| why.contains(name)), "{told}");
        println!("{name}, nothing transcoded: {told}");
        let still = still(&api, id).await?;
        let path = folder.path().join(format!("{id}.jpg"));
        std::fs::write(&path, &still)?;
        let played = decode(&path).await?;
        ensure!(played.codec == "mjpeg" && played.frames == 1, "{name}: its still plays as {played:?}");
    }
    stage.end().await
}
