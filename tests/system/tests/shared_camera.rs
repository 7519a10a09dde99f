//! One camera, watched by three people of different areas through one centre: one pull from the camera, one stream over the
//! link; each of them stops by itself, and the last one ends the pull (issue 4, "What it must show", 7). Counted at all three:
//! by the simulated camera itself, the agent and the centre.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::Api,
    control::Control,
    process::until,
    ready::read_json,
    start::Hall,
    wall::{Said, Wall},
};
use serde_json::Value;
use system_tests::stage::{Stage, footage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CAMERA: &str = "450103-01-W01-C1";
const SOON: Duration = Duration::from_secs(20);

/// Who looks at the camera at all three ends.
#[derive(Debug, PartialEq)]
struct Count {
    /// Connections that take the main stream from the camera.
    pulls: u64,
    /// Sessions with the camera's main stream that the agent has had.
    sessions: u64,
    /// Streams leased over the link.
    leases: u64,
    /// Streams that the centre relays.
    streams: u64,
    /// Viewers of those.
    viewers: u64,
}

/// The value of a metric whose row holds all of `labels`; 0 where there is no such row.
fn value(text: &str, name: &str, labels: &[&str]) -> u64 {
    let of = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let row = text.lines().find(of).and_then(|line| line.rsplit_once(' '));
    row.and_then(|(_, value)| value.parse::<f64>().ok()).map_or(0, |value| value as u64)
}

/// The agent's own figures.
async fn agent(hall: &Hall) -> Result<String> {
    let place: Value = read_json(&hall.folder.join("edge/local-site.json"))?.context("no local site")?;
    let address = place["address"].as_str().context("no address")?;
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

async fn count(admin: &Api, hall: &Hall) -> Result<Count> {
    let state = Control(hall.sim.control).state().await?;
    let camera = state["cameras"].as_array().and_then(|all| all.iter().find(|one| one["camera"] == "W01"));
    let pulls =
        camera.context("the hall has no camera W01")?["main"]["viewers"].as_u64().context("no count")?;
    let agent = agent(hall).await?;
    let centre = String::from_utf8(admin.bytes("/metrics").await?.to_vec())?;
    Ok(Count {
        pulls,
        sessions: value(&agent, "hallwatch_stream_sessions_total", &[CAMERA, "main"]),
        leases: value(&agent, "hallwatch_channel_leases", &[]),
        streams: value(&centre, "hallwatch_live_streams", &[]),
        viewers: value(&centre, "hallwatch_live_viewers", &[]),
    })
}

/// Reads a page until it has had `frames` pictures more.
async fn pictures(wall: &mut Wall, frames: usize) -> Result<()> {
    let mut seen = 0;
    wall.find(SOON, |said| {
        seen += usize::from(matches!(said, Said::Frame(_)));
        (seen >= frames).then_some(())
    })
    .await
}

#[tokio::test]
async fn three_people_share_one_pull() -> Result<()> {
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let stage = Stage::start(plan).await?;
    let region = &stage.region;
    let hall = region.halls.first().context("no hall")?;
    let admin = region.sign_in("administrator").await?;
    let before = count(&admin, hall).await?;
    let nobody = Count { pulls: 0, sessions: before.sessions, leases: 0, streams: 0, viewers: 0 };
    ensure!(before == nobody, "somebody looks already: {before:?}");

    let mut walls = Vec::new();
    for (people, name) in (1u64..).zip(["region", "city", "county"]) {
        let api = region.sign_in_as(|_, user| user == name).await?;
        let mut wall = Wall::open(&api).await?;
        wall.watch(&[CAMERA], "main").await?;
        pictures(&mut wall, 10).await?;
        walls.push((name, wall));
        let now = count(&admin, hall).await?;
        let wanted =
            Count { pulls: 1, sessions: before.sessions + 1, leases: 1, streams: 1, viewers: people };
        ensure!(now == wanted, "with {people} people: {now:?}, not {wanted:?}");
        println!("{name} watches too: {now:?}");
    }

    // Each stops by itself; the others' pictures go on from the same session.
    while walls.len() > 1 {
        let (name, wall) = walls.remove(0);
        drop(wall);
        let left = walls.len() as u64;
        until("one viewer less", SOON, async || {
            Ok((count(&admin, hall).await?.viewers == left).then_some(()))
        })
        .await?;
        for (_, wall) in &mut walls {
            pictures(wall, 10).await?;
        }
        let now = count(&admin, hall).await?;
        let wanted = Count { pulls: 1, sessions: before.sessions + 1, leases: 1, streams: 1, viewers: left };
        ensure!(now == wanted, "without {name}: {now:?}, not {wanted:?}");
    }
    walls.clear();
    let gone = Instant::now();
    until("the end of the pull", Duration::from_secs(60), async || {
        let now = count(&admin, hall).await?;
        Ok((now == Count { sessions: before.sessions + 1, ..nobody }).then_some(()))
    })
    .await?;
    println!(
        "the pull ended {:.1} s after the last one left (15 s are allowed)",
        gone.elapsed().as_secs_f64()
    );
    stage.end().await
}
