//! A camera goes and comes back, by its connection's end and by silence: how soon the picture is at the wall again, and
//! that what was shown before is never shown again as live (issue, "What it must show", 6; targets in design section 10:
//! 0.5 s after a closed connection, 4 s after a frozen one).

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use control_protocol::frame::{HEADER, Header, Kind};
use region::{
    RegionPlan,
    control::Control,
    process::until,
    wall::{Said, Wall},
};
use serde_json::json;
use system_tests::stage::{Stage, camera_row, footage, reconfigure};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

const CAMERA: &str = "450103-01-W01-C1";
/// What is on its way when a camera goes may still arrive.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// Something that the wall said of the one tile.
#[derive(Debug, Clone)]
enum Seen {
    Frame(Header, Bytes),
    State(String, String),
}

type Course = Arc<Mutex<Vec<(Instant, Seen)>>>;

fn follow(mut wall: Wall, course: Course) -> tokio::task::JoinHandle<anyhow::Error> {
    tokio::spawn(async move {
        loop {
            let said = match wall.next().await {
                Ok(said) => said,
                Err(error) => return error,
            };
            let seen = match said {
                Said::Frame(message) => match Header::read(&message) {
                    Ok(header) if header.kind == Kind::Frame => Seen::Frame(header, message.slice(HEADER..)),
                    Ok(_) => continue,
                    Err(error) => return error.into(),
                },
                Said::Text(text) => {
                    let Some(row) = text["streams"].as_array().and_then(|rows| rows.first()) else {
                        continue;
                    };
                    let words = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                    Seen::State(words("state"), words("why"))
                }
            };
            course.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), seen));
        }
    })
}

fn since(course: &Course, from: Instant) -> Vec<(Instant, Seen)> {
    let course = course.lock().unwrap_or_else(PoisonError::into_inner);
    course.iter().filter(|(at, _)| *at >= from).cloned().collect()
}

/// Waits for the first frame after `from`; gives how long after it came, and that it was a key frame.
async fn first_frame(course: &Course, from: Instant, limit: Duration) -> Result<(Duration, bool)> {
    until("frame after the camera's return", limit, async || {
        Ok(since(course, from).into_iter().find_map(|(at, seen)| match seen {
            Seen::Frame(header, _) => Some((at - from, header.key)),
            Seen::State(..) => None,
        }))
    })
    .await
}

/// Waits until the last word on the tile's state is `live`.
async fn live_again(course: &Course, from: Instant) -> Result<()> {
    until("live row", Duration::from_secs(10), async || {
        let last = since(course, from).into_iter().rev().find_map(|(_, seen)| match seen {
            Seen::State(state, _) => Some(state),
            Seen::Frame(..) => None,
        });
        Ok(last.is_none_or(|state| state == "live").then_some(()))
    })
    .await
}

/// Stands between the agent and a camera, and can let every connection of a moment hang: nothing comes through it any
/// more and nobody closes it, as with a camera that lost power and is there again.
struct Between {
    port: u16,
    hung: watch::Sender<u64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Between {
    async fn start(camera: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (hung, held) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut held = held.clone();
                held.mark_unchanged();
                connections.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(camera).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = held.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Ok(Self { port, hung, accepting })
    }

    fn hang(&self) {
        self.hung.send_modify(|times| *times += 1);
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn a_session_hangs() -> Result<()> {
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let mut stage = Stage::start(plan).await?;
    let api = stage.region.sign_in("supervisor").await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    let between = Between::start(hall.sim.rtsp).await?;
    reconfigure(hall, |config| {
        for key in ["url", "sub_url"] {
            let url = config["camera"][0][key].as_str().unwrap_or_default();
            let url = url.replace(&format!(":{}/", hall_port(url)), &format!(":{}/", between.port));
            config["camera"][0][key] = json!(url);
        }
    })
    .await?;
    camera_row(&api, CAMERA, Duration::from_secs(20), |row| row["state"] == "live").await?;
    let mut wall = Wall::open(&api).await?;
    wall.watch(&[CAMERA], "sub").await?;
    let course = Course::default();
    let follower = follow(wall, course.clone());
    plays(&course, Instant::now()).await?;
    let mut times = Vec::new();
    for _ in 0..3 {
        let hung = Instant::now();
        between.hang();
        let (back, key) = after_the_gap(&course, hung).await?;
        ensure!(key, "the first frame of a new session is no key frame");
        times.push(back - hung);
        plays(&course, back).await?;
    }
    println!("a session hangs, the camera takes new ones: {} (target 4 s)", seconds(&times));
    ensure!(!follower.is_finished(), "the wall was closed");
    follower.abort();
    stage.end().await
}

fn hall_port(url: &str) -> &str {
    url.trim_start_matches("rtsp://").split(['/', ':']).nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_camera_comes_back() -> Result<()> {
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    // With the time of sending in it no two pictures of the looped footage are equal.
    plan.stamped = true;
    let stage = Stage::start(plan).await?;
    let api = stage.region.sign_in("supervisor").await?;
    let control = Control(stage.region.halls.first().context("no hall")?.sim.control);
    let mut wall = Wall::open(&api).await?;
    wall.watch(&[CAMERA], "sub").await?;
    let course = Course::default();
    let follower = follow(wall, course.clone());
    let begun = Instant::now();
    first_frame(&course, begun, Duration::from_secs(10)).await?;

    let mut closed = Vec::new();
    for _ in 0..5 {
        // The connections of this moment are closed and the camera is there again at once.
        let back = Instant::now();
        control.fault("W01", "drop", Some(0.0)).await?;
        let (_, key) = after_the_gap(&course, back).await?;
        let took = gap_end(&course, back);
        ensure!(key, "the first frame of a new session is no key frame");
        closed.push(took);
        live_again(&course, back).await?;
        plays(&course, back + took).await?;
    }
    println!("closed and back at once: {} (target 0.5 s)", seconds(&closed));

    let mut away = Vec::new();
    for length in [1.0, 3.0, 12.0] {
        away.push(outage(&course, &control, "drop", length, &["offline", "stale"]).await?);
    }
    println!(
        "closed for 1, 3 and 12 s: {} (target 0.5 s while it is dialled every 0.25 s, the first 10 s)",
        seconds(&away)
    );
    let mut frozen = Vec::new();
    for length in [5.0, 14.0] {
        frozen.push(outage(&course, &control, "freeze", length, &["stale", "offline"]).await?);
    }
    println!("frozen for 5 and 14 s: {} (target 4 s)", seconds(&frozen));
    let short = outage(&course, &control, "freeze", 1.5, &[]).await?;
    println!("frozen for 1.5 s, which is no loss yet: {}", seconds(&[short]));
    ensure!(!follower.is_finished(), "the wall was closed");

    let (mut before, mut shown, mut frames) = (None::<Header>, HashSet::new(), 0);
    for (_, seen) in since(&course, begun) {
        let Seen::Frame(header, payload) = seen else { continue };
        if let Some(before) = before {
            ensure!(
                header.captured_us > before.captured_us,
                "a frame from before: {header:?} after {before:?}"
            );
            ensure!(header.pts_us > before.pts_us, "time goes back: {header:?} after {before:?}");
        }
        ensure!(shown.insert(payload), "a picture was shown twice: {header:?}");
        before = Some(header);
        frames += 1;
    }
    println!("{frames} frames, none twice, none after a newer one");
    follower.abort();
    stage.end().await
}

/// Waits until the picture has moved for a while since `from`.
async fn plays(course: &Course, from: Instant) -> Result<()> {
    until("moving picture", Duration::from_secs(10), async || {
        let frames = since(course, from).into_iter().filter(|(_, seen)| matches!(seen, Seen::Frame(..)));
        Ok((frames.count() >= 12).then_some(()))
    })
    .await
}

/// The first frame of a new session since `from`, and whether it is a key frame.
fn gap(course: &Course, from: Instant) -> Option<(Instant, bool)> {
    let frames: Vec<(Instant, bool, bool)> = since(course, from)
        .into_iter()
        .filter_map(|(at, seen)| match seen {
            Seen::Frame(header, _) => Some((at, header.discontinuity, header.key)),
            Seen::State(..) => None,
        })
        .collect();
    frames.into_iter().find(|(_, discontinuity, _)| *discontinuity).map(|(at, _, key)| (at, key))
}

async fn after_the_gap(course: &Course, from: Instant) -> Result<(Instant, bool)> {
    until("frame of a new session", Duration::from_secs(10), async || Ok(gap(course, from))).await
}

fn gap_end(course: &Course, from: Instant) -> Duration {
    gap(course, from).map_or(Duration::MAX, |(at, _)| at - from)
}

/// Lets the camera fail for `length` seconds; gives the time from its return to the first new frame.
async fn outage(
    course: &Course,
    control: &Control,
    fault: &str,
    length: f64,
    states: &[&str],
) -> Result<Duration> {
    let gone = Instant::now();
    control.fault("W01", fault, Some(length + 5.0)).await?;
    tokio::time::sleep(Duration::from_secs_f64(length)).await;
    let back = Instant::now();
    control.fault("W01", "none", Some(0.0)).await?;
    let (took, key) = first_frame(course, back, Duration::from_secs(20)).await?;
    live_again(course, gone).await?;
    plays(course, back).await?;
    let course = since(course, gone);
    let late = course
        .iter()
        .filter(|(at, seen)| matches!(seen, Seen::Frame(..)) && *at > gone + UNDER_WAY && *at < back);
    ensure!(late.count() == 0, "{fault}: frames came from a camera that was gone");
    let rows: Vec<(&str, &str, f64)> = course
        .iter()
        .filter_map(|(at, seen)| match seen {
            Seen::State(state, why) => Some((state.as_str(), why.as_str(), (*at - gone).as_secs_f64())),
            Seen::Frame(..) => None,
        })
        .collect();
    println!("{fault} for {length} s: {rows:.1?}");
    if let Some(first) = states.first() {
        ensure!(key, "{fault}: the first frame of a new session is no key frame");
        let told = |(state, why, _): &(&str, &str, f64)| states.contains(state) && !why.is_empty();
        ensure!(rows.iter().any(told), "{fault}: the tile was never {first}: {rows:?}");
        ensure!(
            rows.last().is_some_and(|(state, ..)| *state == "live"),
            "{fault}: ends as {:?}",
            rows.last()
        );
    } else {
        ensure!(rows.iter().all(|(state, ..)| *state == "live"), "{fault}: {rows:?}");
    }
    Ok(took)
}

fn seconds(times: &[Duration]) -> String {
    times.iter().map(|time| format!("{:.2} s", time.as_secs_f64())).collect::<Vec<_>>().join(", ")
}
