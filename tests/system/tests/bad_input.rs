//! What goes wrong outside is said in plain words, in the log and at the centre, and everything else goes on (issue,
//! "What it must show", 5).

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use control_protocol::enrolment::PairingCode;
use region::{
    RegionPlan,
    api::Api,
    control::Control,
    plan::{CAMERA_PASSWORD, CAMERA_USER},
    process::{Process, binary, run, until, usage_of},
    ready::read_json,
    start::{Hall, write_edge_config},
    wall::{Said, Wall},
};
use serde_json::{Value, json};
use system_tests::{
    compare::settle,
    film::{Film, decode},
    stage::{Stage, add_camera, camera_row, footage, log_line, odd_clip, reconfigure, still},
};

/// How long what is expected may take.
const SOON: Duration = Duration::from_secs(20);
/// The hall of these tests.
const HALL: &str = "450103-01";
/// A camera that nothing is wrong with.
const SOUND: &str = "450103-01-W01-C1";

fn quiet(windows: u16) -> RegionPlan {
    RegionPlan { day: false, ..RegionPlan::of(1, windows, 0, footage()) }
}

/// A second simulated hall that has nothing but cameras with something odd about them.
async fn odd_cameras(folder: &Path) -> Result<(Process, u16)> {
    let camera = |n: u16, password: &str| json!({"id": format!("{HALL}-S{n}"), "path": format!("S{n}"), "mark": 900 + n, "user": CAMERA_USER, "password": password});
    let mut h265 = camera(23, CAMERA_PASSWORD);
    let clip = odd_clip("window-a-main-h265.mp4", folder).await?;
    (h265["clip"], h265["sub_clip"]) = (json!(clip), json!(clip));
    let mut b_frames = camera(24, CAMERA_PASSWORD);
    let clip = odd_clip("people-walking-768x432.mp4", folder).await?;
    (b_frames["clip"], b_frames["sub_clip"]) = (json!(clip), json!(clip));
    let file = json!({
        "hall": HALL, "name": "odd cameras", "run": folder.join("run"), "footage": footage(), "day": false,
        "camera": [camera(21, "something else"), h265, b_frames],
    });
    let config = folder.join("odd.toml");
    write_edge_config(&config, &file)?;
    let log = folder.join("odd.log");
    let arguments = ["--config", config.to_str().context("a path that is not UTF-8")?];
    let mut process = Process::start("odd cameras", &binary("simulated-hall")?, &arguments, &[], &log)?;
    let ready: simulated_hall::hall::Ready = until("odd cameras", Duration::from_secs(120), async || {
        process.check()?;
        read_json(&folder.join("run").join(simulated_hall::hall::READY_FILE))
    })
    .await?;
    Ok((process, ready.rtsp.port()))
}

/// The agent's own figures.
async fn metrics(hall: &Hall) -> Result<String> {
    local(hall, "/metrics").await
}

/// A page of the agent's local site.
async fn local(hall: &Hall, path: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let place: Value = read_json(&hall.folder.join("edge/local-site.json"))?.context("no local site")?;
    let address = place["address"].as_str().context("no address")?;
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

/// The sum of a metric's rows whose labels hold `labels`.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let rows = metrics.lines().filter(|line| !line.starts_with('#') && line.contains(name));
    let rows = rows.filter(|line| labels.iter().all(|label| line.contains(label)));
    rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Watches a camera that nothing is wrong with until told to stop; gives frames and the longest time without one.
fn watch_sound(api: &Api) -> tokio::task::JoinHandle<Result<(usize, Duration)>> {
    let api = api.clone();
    tokio::spawn(async move {
        let mut wall = Wall::open(&api).await?;
        wall.watch(&[SOUND], "sub").await?;
        let (mut frames, mut longest, mut last) = (0, Duration::ZERO, None::<Instant>);
        // Its tile is taken away to say that it is enough: then the wall says rows without it, or nothing any more.
        loop {
            match tokio::time::timeout(Duration::from_secs(3), wall.next()).await {
                Ok(Ok(Said::Frame(_))) => {
                    frames += 1;
                    longest = last.map_or(longest, |last| longest.max(last.elapsed()));
                    last = Some(Instant::now());
                    if STOP.load(std::sync::atomic::Ordering::Relaxed) {
                        return Ok((frames, longest));
                    }
                }
                Ok(Ok(Said::Text(_))) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => bail!("the sound camera's picture stopped after {frames} frames"),
            }
        }
    })
}

static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[tokio::test]
async fn cameras_and_lines_that_do_not_work() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_cameras, rtsp) = odd_cameras(folder.path()).await?;
    let mut stage = Stage::start(quiet(1)).await?;
    let api = stage.region.sign_in("supervisor").await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        for n in [21, 22, 23, 24] {
            let port = if n == 22 { 1 } else { rtsp };
            let url = |stream: &str| format!("rtsp://127.0.0.1:{port}/S{n}/{stream}");
            let id = format!("{HALL}-S{n}");
            let camera = json!({"id": id, "name": id, "url": url("main"), "sub_url": url("sub"), "user": CAMERA_USER, "credential": "cameras"});
            add_camera(config, camera);
        }
    })
    .await?;
    let restarted = Instant::now();
    camera_row(&api, SOUND, SOON, |row| row["state"] == "live").await?;
    let sound = watch_sound(&api);
    for n in [21, 22, 23, 24] {
        // The centre knows a camera once its agent has told its configuration.
        camera_row(&api, &format!("{HALL}-S{n}"), SOON, |row| !row.is_null()).await?;
    }

    // State and reason, on the wall and in the list. What no browser plays is transcoded for the wall, which says so.
    let cases = [
        ("S21", ("offline", "password"), ("offline", "password")),
        ("S22", ("offline", "refused"), ("offline", "refused")),
        ("S23", ("live", "H.265"), ("live", "")),
        ("S24", ("live", ""), ("live", "")),
    ];
    let mut wall = Wall::open(&api).await?;
    let ids: Vec<String> = cases.iter().map(|(camera, ..)| format!("{HALL}-{camera}")).collect();
    wall.watch(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "sub").await?;
    let mut rows = vec![Value::Null; cases.len()];
    let said = wall
        .find(SOON, |said| {
            if let Said::Text(text) = said {
                for row in text["streams"].as_array().into_iter().flatten() {
                    let tile = row["tile"].as_u64().unwrap_or(1) as usize;
                    rows[tile - 1] = row.clone();
                }
            }
            let right = rows.iter().zip(&cases).all(|(row, (_, (state, why), _))| {
                row["state"] == *state && row["why"].as_str().unwrap_or_default().contains(why)
            });
            right.then_some(())
        })
        .await;
    said.with_context(|| format!("the wall says {rows:#?}"))?;
    for ((camera, _, (state, why)), row) in cases.iter().zip(&rows) {
        let id = format!("{HALL}-{camera}");
        let listed = camera_row(&api, &id, SOON, |row| row["state"] == *state).await?;
        println!(
            "{camera}: wall {} {}; list {} {}",
            row["state"], row["why"], listed["state"], listed["why"]
        );
        ensure!(listed["why"].as_str().unwrap_or_default().contains(why), "the list says {listed}");
        if *state == "offline" {
            let line = log_line(
                "edge agent",
                &hall.folder.join("edge-agent.log"),
                &format!("no picture: {}", listed["why"].as_str().unwrap_or_default()),
                SOON,
            )
            .await?;
            ensure!(line.contains(&id), "{line}");
        }
    }
    drop(wall);

    let still = still(&api, &format!("{HALL}-S23")).await?;
    std::fs::write(folder.path().join("h265.jpg"), &still)?;
    println!("still of the H.265 camera: {:?}", decode(&folder.path().join("h265.jpg")).await?);
    let film = Film::shoot(&api, &format!("{HALL}-S24"), "sub", 40, SOON).await?;
    let reordered = film.frames.windows(2).filter(|pair| pair[1].0.pts_us < pair[0].0.pts_us).count();
    let played = film.play(&folder.path().join("b-frames.h264")).await?;
    println!("B-frames: {reordered} of 40 frames are shown before one that came earlier; {played:?}");
    ensure!(reordered > 0 && played.frames == 40, "{played:?}");

    noise_on_the_line(&api, hall).await?;

    let figures = metrics(hall).await?;
    let tries = sum(&figures, "stream_ends_total", &["S21", "unauthorized"]);
    let after = restarted.elapsed().as_secs_f64();
    println!("wrong password: {tries} tries in {after:.0} s");
    // The main stream is dialled only for those who watch it; nobody did.
    ensure!(tries >= 1.0 && tries <= 1.0 + (after / 60.0).floor(), "{tries} tries in {after:.0} s");
    let log = hall.edge.log();
    ensure!(!log.contains(CAMERA_PASSWORD), "a password is in the log");
    STOP.store(true, std::sync::atomic::Ordering::Relaxed);
    let (frames, longest) = sound.await??;
    println!(
        "the sound camera meanwhile: {frames} frames, never longer than {:.2} s without one",
        longest.as_secs_f64()
    );
    ensure!(longest < Duration::from_secs(1), "the sound camera paused for {longest:?}");
    stage.end().await
}

/// Garbage at the line's full speed: the agent stays calm, says so, and the presses after it arrive.
async fn noise_on_the_line(api: &Api, hall: &Hall) -> Result<()> {
    let control = Control(hall.sim.control);
    let id = hall.edge.id().context("the agent is gone")?;
    let cpu = || usage_of(id).map(|usage| usage.cpu).context("the agent is gone");
    let measure = async |what: &str, seconds: f64| -> Result<f64> {
        let (before, begun) = (cpu()?, Instant::now());
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        let share = (cpu()? - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
        println!("{what}: the agent takes {share:.1} % of a core");
        Ok(share)
    };
    let calm = measure("a quiet line", 3.0).await?;
    control.line_fault(json!({"line": "bus-0", "fault": "noise", "seconds": 5.0})).await?;
    let busy = measure("garbage at full speed", 5.0).await?;
    ensure!(busy - calm < 25.0, "garbage on a line costs {:.1} % of a core", busy - calm);
    let path = format!("/api/v1/events?hall={HALL}&kind=device.degraded");
    let degraded = until("device.degraded", SOON, async || {
        let events = api.all(&path, "after").await?;
        Ok((!events.is_empty()).then_some(events))
    })
    .await?;
    println!("device.degraded: {} {}", degraded[0]["device"], degraded[0]["body"]);
    log_line(
        "edge agent",
        &hall.folder.join("edge-agent.log"),
        "much of what arrives on the line is unreadable",
        SOON,
    )
    .await?;
    let positions = api.get(&format!("/api/v1/positions?hall={HALL}")).await?;
    let keypad = positions["items"].as_array().into_iter().flatten().find(|p| p["role"] == "keypad").cloned();
    println!("the keypad on the page: {}", keypad.unwrap_or_default());

    // One whole service by hand, while the line still counts as degraded.
    let press = |key: &str| json!({"kind": "press", "window": 1, "digits": "", "key": key});
    control.act(json!({"kind": "ticket", "number": "A777", "business": "社保", "waiting": 0})).await?;
    let mut done = Vec::new();
    for (kind, action) in [
        ("ticket.called", press("call")),
        ("service.started", press("start")),
        ("rating.invited", press("evaluate")),
        ("rating.given", json!({"kind": "rate", "window": 1, "raw": 4})),
    ] {
        let record = control.act(action).await?;
        ensure!(!record["acknowledged"].is_null(), "{kind}: not acknowledged: {record}");
        done.push((kind, record));
    }
    for (kind, record) in done {
        let path = format!("/api/v1/events?hall={HALL}&kind={kind}");
        let events = until(kind, SOON, async || {
            let events = api.all(&path, "after").await?;
            Ok((!events.is_empty()).then_some(events))
        })
        .await?;
        ensure!(events.len() == 1 && events[0]["window"] == format!("{HALL}-W01"), "{kind}: {events:?}");
        let at = |value: &Value| value.as_str().unwrap_or_default().parse::<jiff::Timestamp>();
        let apart = at(&events[0]["at"])?.as_millisecond() - at(&record["at"])?.as_millisecond();
        println!("{kind}: {apart} ms after the press");
        ensure!(apart.abs() < 1_500, "{kind}: {apart} ms apart");
    }
    Ok(())
}

/// Runs a program that must fail; gives what it said.
async fn refused(arguments: &[&str], input: &str) -> Result<String> {
    match run(&binary("edge-agent")?, arguments, input).await {
        Ok(said) => bail!("edge-agent {} ended well: {said}", arguments.join(" ")),
        Err(error) => Ok(error.to_string()),
    }
}

/// A copy of the hall's configuration with a change, and a data folder of its own.
fn other_config(hall: &Hall, name: &str, change: impl FnOnce(&mut Value)) -> Result<(PathBuf, PathBuf)> {
    let file: toml::Table = std::fs::read_to_string(hall.edge_config_path())?.parse()?;
    let mut config = serde_json::to_value(file)?;
    let data = hall.folder.join(format!("{name}-data"));
    config["hall"]["data"] = json!(data);
    change(&mut config);
    let path = hall.folder.join(format!("{name}.toml"));
    write_edge_config(&path, &config)?;
    Ok((path, data))
}

/// Without what another agent of the same hall holds open.
fn without_devices(config: &mut Value) {
    if let Some(table) = config.as_object_mut() {
        for key in ["bus", "ticket_machine", "attendance", "camera"] {
            table.remove(key);
        }
    }
}

fn says(what: &str, said: &str, words: &[&str]) -> Result<()> {
    println!("{what}: {}", said.lines().last().unwrap_or_default().trim());
    ensure!(words.iter().all(|word| said.contains(word)), "{what}: does not say {words:?}:\n{said}");
    Ok(())
}

#[tokio::test]
async fn machines_that_do_not_belong() -> Result<()> {
    let stage = Stage::start(quiet(1)).await?;
    let admin = stage.region.sign_in("administrator").await?;
    let hall = stage.region.halls.first().context("no hall")?;
    let pin = stage.region.centre.addresses.pin.clone();
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
    let code = async || -> Result<String> {
        let issued = admin.post(&format!("/api/v1/halls/{HALL}/pairing-codes"), json!({})).await?;
        Ok(issued["code"].as_str().context("no code")?.to_owned())
    };

    let (config, _) = other_config(hall, "wrong-code", without_devices)?;
    let config = text(&config)?;
    let enrol = ["enrol", "--config", &config, "--pin", &pin];
    let said = refused(&enrol, &PairingCode::new([7; 10]).reveal()).await?;
    says("wrong pairing code", &said, &["not valid, used or expired"])?;
    let said = refused(&enrol, "12345").await?;
    says("no pairing code at all", &said, &["pairing code"])?;
    let wrong_pin = "0".repeat(64);
    let said = refused(&["enrol", "--config", &config, "--pin", &wrong_pin], &code().await?).await?;
    says("wrong pin", &said, &["pin"])?;

    let unknown = admin.post("/api/v1/halls/450109-09/pairing-codes", json!({})).await;
    says("a code for an unknown hall", &unknown.err().context("issued")?.root_cause().to_string(), &["404"])?;
    for hall_id in ["450109-09", "450103-02"] {
        let change = |config: &mut Value| {
            without_devices(config);
            config["hall"]["id"] = json!(hall_id);
        };
        let (config, _) = other_config(hall, hall_id, change)?;
        let said = refused(&["enrol", "--config", &text(&config)?, "--pin", &pin], &code().await?).await?;
        says("a hall that is not the code's", &said, &[hall_id, "hall"])?;
    }

    let (config, _) = other_config(hall, "misspelt", |config| {
        config["hall"]["nmae"] = json!("青秀区政务服务中心");
        config["camera"][0]["sub_ulr"] = json!("rtsp://127.0.0.1/");
    })?;
    let said = refused(&["check-config", &text(&config)?], "").await?;
    says("misspelt settings", &said, &["nmae", "name", "sub_ulr", "sub_url"])?;
    let said = refused(&["run", "--config", &text(&config)?], "").await?;
    says("run with misspelt settings", &said, &["nmae"])?;

    second_machine(&admin, hall).await?;
    stage.end().await
}

/// A copied disk on another machine: it is turned away and the alarm is on the page; the first goes on.
async fn second_machine(admin: &Api, hall: &Hall) -> Result<()> {
    let (config, data) = other_config(hall, "copy", without_devices)?;
    copy(&hall.folder.join("edge"), &data)?;
    let config = config.to_str().context("a path that is not UTF-8")?;
    // The same certificate, configured for another hall.
    let (elsewhere, _) = other_config(hall, "elsewhere", |config| {
        without_devices(config);
        config["hall"]["id"] = json!("450103-02");
        config["hall"]["data"] = json!(data);
    })?;
    let said = refused(&["run", "--config", elsewhere.to_str().context("path")?], "").await?;
    says("enrolled for another hall", &said, &[HALL, "450103-02"])?;

    let log = hall.folder.join("copy.log");
    let mut second =
        Process::start("second agent", &binary("edge-agent")?, &["run", "--config", config], &[], &log)?;
    let line = log_line("second agent", &log, "another machine is connected", SOON).await?;
    says("second machine", &line, &["refuses this agent"])?;
    // Its journal has new events, and they must not take the place of the first's.
    let line = log_line("second agent", &log, "events stay here for now", SOON).await?;
    says("the second's events", &line, &["another machine is connected"])?;
    let row = until("alarm", SOON, async || {
        let nodes = admin.get("/api/v1/nodes").await?;
        let row = nodes["items"].as_array().and_then(|rows| rows.first()).cloned().context("no node")?;
        Ok((!row["quarantined"].is_null()).then_some(row))
    })
    .await?;
    println!("/nodes: connected {}, {} {}", row["connected"], row["quarantined"], row["alarm"]);
    ensure!(row["quarantined"] == "two_machines" && row["connected"] == true, "{row}");

    // The first goes on: what is pressed at it is on record.
    let control = Control(hall.sim.control);
    let ticket = json!({"kind": "ticket", "number": "A778", "business": "社保", "waiting": 0});
    control.act(ticket).await?;
    control.act(json!({"kind": "press", "window": 1, "digits": "", "key": "call"})).await?;
    let called = until("call at the first machine", SOON, async || {
        let events = admin.all(&format!("/api/v1/events?hall={HALL}&kind=ticket.called"), "after").await?;
        Ok(events.first().cloned())
    })
    .await?;
    println!("the first goes on: {} {}", called["kind"], called["body"]["ticket"]);
    second.check().context("the second agent ended by itself")?;
    let row = &admin.get("/api/v1/nodes").await?["items"][0];
    ensure!(row["quarantined"] == "two_machines" && row["connected"] == true, "{row}");
    second.stop(Duration::from_secs(8)).await?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_centre_that_is_down_at_start() -> Result<()> {
    let mut plan = quiet(2);
    plan.speed = 120.0;
    let mut stage = Stage::start(plan).await?;
    let from = jiff::Timestamp::now();
    let region = &mut stage.region;
    let hall = region.halls.first_mut().context("no hall")?;
    hall.edge.stop(Duration::from_secs(8)).await?;
    region.centre.process.kill().await?;
    let log = hall.folder.join("edge-agent.log");
    std::fs::rename(&log, hall.folder.join("edge-agent-before.log"))?;
    hall.restart_edge()?;
    let line = log_line("edge agent", &log, "events stay here for now", SOON).await?;
    println!("the agent says: {}", line.trim());
    let ready = local(hall, "/readyz").await?;
    println!("readyz: {}", ready.lines().last().unwrap_or_default());
    ensure!(ready.starts_with("HTTP/1.1 200") && ready.contains("kept here"), "{ready}");
    let control = Control(hall.sim.control);
    control.day(true).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    control.day(false).await?;
    let depth = sum(&metrics(hall).await?, "outbox_depth", &[]);
    let begun = Instant::now();
    region.centre.restart().await?;
    let api = region.sign_in("administrator").await?;
    let up = begun.elapsed();
    let hall = region.halls.first_mut().context("no hall")?;
    let difference = settle(&api, HALL, &hall.oracle_path(), from, Duration::from_secs(60)).await?;
    println!(
        "outbox {depth} events while the centre was down; centre up after {:.1} s, all there after {:.1} s: {:?}",
        up.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        difference.agreed
    );
    ensure!(difference.is_none(), "the record differs from what happened:\n{difference:#?}");
    let tickets = difference.agreed.iter().find(|(kind, _)| *kind == "ticket").map_or(0, |(_, n)| *n);
    ensure!(tickets > 0, "the day brought no ticket; the test would show nothing");
    stage.end().await
}
