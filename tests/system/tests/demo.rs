//! The demo as a newcomer and as a program meet it: `ready.json`, its end by itself and by Ctrl-C, and a second one on the
//! same data (design, section 6, "Demo").

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use region::{
    api::{Api, Method},
    process::{Process, binary, run, until},
    ready::{Ready, read_json},
};
use rustix::process::Signal;
use system_tests::stage::footage;

/// From start to ready: everything is built, and footage is there or is drawn once.
const READY: Duration = Duration::from_secs(300);

/// A demo's folder, with the footage of all tests beside it.
fn folder() -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir_all(footage())?;
    std::os::unix::fs::symlink(footage(), folder.path().join("footage"))?;
    let data = folder.path().join("demo");
    Ok((folder, data))
}

fn arguments<'a>(data: &'a Path, more: &[&'a str]) -> Result<Vec<&'a str>> {
    let data = data.to_str().context("a path that is not UTF-8")?;
    let mut all = vec!["--data", data, "--listen", "127.0.0.1:0", "--hall-site", "127.0.0.1:0"];
    all.extend(["--halls", "1", "--windows", "2"]);
    all.extend(more);
    Ok(all)
}

async fn ready(demo: &mut Process, data: &Path) -> Result<Ready> {
    until("ready.json", READY, async || {
        demo.check()?;
        read_json::<Ready>(&data.join("ready.json"))
    })
    .await
}

/// The processes below `id`, with the time each began, so that a number that is given out again is not taken for it.
fn below(id: u32) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut parents = vec![id];
    while let Some(parent) = parents.pop() {
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if let Some((of, began)) = stat(child).filter(|(of, _)| *of == parent) {
                debug_assert_eq!(of, parent);
                found.push((child, began));
                parents.push(child);
            }
        }
    }
    found
}

/// Parent and start time (proc(5): fields 4 and 22 of stat); a process that has ended and is not yet fetched is none.
fn stat(id: u32) -> Option<(u32, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    (*fields.first()? != "Z").then_some(())?;
    Some((fields.get(1)?.parse().ok()?, (*fields.get(19)?).to_owned()))
}

fn left_over(children: &[(u32, String)]) -> Vec<u32> {
    let still = |(id, began): &&(u32, String)| stat(*id).is_some_and(|(_, now)| now == *began);
    children.iter().filter(still).map(|(id, _)| *id).collect()
}

/// Every promise of the file, and that it is true.
async fn as_promised(ready: &Ready) -> Result<()> {
    ensure!(ready.url.starts_with("https://"), "url: {}", ready.url);
    let first = |role: &str| ready.users.iter().find(|user| user.role == role);
    for role in ["administrator", "supervisor", "hall_manager", "hr", "technician"] {
        ensure!(first(role).is_some(), "no {role}");
    }
    ensure!(
        first("supervisor").is_some_and(|user| user.area == "450000"),
        "the region's supervisor is not the first"
    );
    let supervisors: Vec<&str> =
        ready.users.iter().filter(|user| user.role == "supervisor").map(|user| user.area.as_str()).collect();
    ensure!(["450000", "450100", "450103"].iter().all(|area| supervisors.contains(area)), "{supervisors:?}");
    ensure!(ready.halls.len() == 1 && ready.halls[0].windows.len() == 2, "{:?}", ready.halls);
    ensure!(ready.cameras.len() >= 2, "{:?}", ready.cameras);
    let nobody = Api::new(&ready.url, &std::fs::read(&ready.ca)?)?;
    for user in &ready.users {
        let api = nobody.sign_in(&user.name, &user.password).await?;
        let halls = api.get("/api/v1/halls").await.with_context(|| format!("as {}", user.name))?;
        let halls = halls["items"].as_array().map_or(0, Vec::len);
        ensure!(user.role != "hall_manager" || halls == 1, "the hall manager has {halls} halls");
        ensure!(halls == 1, "{} sees {halls} halls", user.name);
    }
    let region = first("supervisor").context("no supervisor")?;
    let api = nobody.sign_in(&region.name, &region.password).await?;
    let rows = api.get("/api/v1/cameras").await?;
    for camera in &ready.cameras {
        let row = rows["items"].as_array().into_iter().flatten().find(|row| row["id"] == camera.id.as_str());
        let row = row.with_context(|| format!("{} is unknown to the centre", camera.id))?;
        ensure!(row["state"] == "live", "ready, and {} is {row}", camera.id);
        ensure!(
            row["hall"] == camera.hall.as_str() && row["window"].as_str() == camera.window.as_deref(),
            "{row}"
        );
    }
    let camera = ready.cameras.first().context("no camera")?;
    let probe = [
        "-v",
        "error",
        "-rtsp_transport",
        "tcp",
        "-show_entries",
        "stream=codec_name,width,height",
        "-of",
        "csv=p=0",
        &camera.rtsp,
    ];
    println!("{} by ffprobe: {}", camera.id, run(Path::new("ffprobe"), &probe, "").await?.trim());
    Ok(())
}

#[tokio::test]
async fn it_is_as_promised_and_ends_by_itself() -> Result<()> {
    let (folder, data) = folder()?;
    let begun = Instant::now();
    let program = binary("demo")?;
    let options = arguments(&data, &["--history-days", "2", "--minutes", "0.2"])?;
    let mut demo = Process::start("demo", &program, &options, &[], &folder.path().join("demo.log"))?;
    let ready = ready(&mut demo, &data).await?;
    let at = Instant::now();
    println!("ready after {:.1} s", (at - begun).as_secs_f64());
    let children = below(demo.id().context("the demo is gone")?);
    ensure!(children.len() >= 3, "a centre, a simulated hall and an agent run below the demo: {children:?}");

    let second = run(&program, &arguments(&data, &[])?, "").await;
    let refused = second.err().context("a second demo ran on the same data")?.to_string();
    ensure!(refused.contains("running already"), "{refused}");
    println!("a second demo: {}", refused.lines().last().unwrap_or_default());
    as_promised(&ready).await?;

    let nobody = Api::new(&ready.url, &std::fs::read(&ready.ca)?)?;
    let admin = ready.users.iter().find(|user| user.role == "administrator").context("no administrator")?;
    let api = nobody.sign_in(&admin.name, &admin.password).await?;
    ensure!(
        api.status(Method::GET, "/api/v1/users", None).await?.is_success(),
        "the administrator sees no users"
    );
    let today = jiff::Timestamp::now().as_millisecond() - 12 * 3_600_000;
    let past = api.get(&format!("/api/v1/cases?to={today}&limit=500")).await?;
    let past = past["items"].as_array().map_or(0, Vec::len);
    ensure!(past > 0, "no case of past days");
    println!("{past} cases of past days");

    let status =
        tokio::time::timeout(Duration::from_secs(40), demo.wait()).await.context("it does not end")??;
    println!("ended by itself {:.1} s after ready with {status}", at.elapsed().as_secs_f64());
    ensure!(status.success(), "{}", demo.log());
    ensure!(left_over(&children).is_empty(), "still running: {:?}", left_over(&children));
    ensure!(!data.join("ready.json").exists(), "ready.json outlives the demo");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_ends_everything() -> Result<()> {
    let (folder, data) = folder()?;
    let options = arguments(&data, &["--history-days", "0"])?;
    let mut demo = Process::start("demo", &binary("demo")?, &options, &[], &folder.path().join("demo.log"))?;
    ready(&mut demo, &data).await?;
    let children = below(demo.id().context("the demo is gone")?);
    let begun = Instant::now();
    demo.signal(Signal::INT);
    let status =
        tokio::time::timeout(Duration::from_secs(15), demo.wait()).await.context("15 s are over")??;
    println!(
        "ended {:.1} s after Ctrl-C with {status}, {} programs with it",
        begun.elapsed().as_secs_f64(),
        children.len()
    );
    ensure!(status.success(), "{}", demo.log());
    ensure!(left_over(&children).is_empty(), "still running: {:?}", left_over(&children));
    ensure!(!data.join("ready.json").exists(), "ready.json outlives the demo");
    Ok(())
}
