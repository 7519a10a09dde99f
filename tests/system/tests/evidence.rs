//! A case of the scripted day as evidence: exported through the centre with curl, opened by Python, played by ffmpeg, verified by
//! the program; then spoilt in every way, at the hall and on its way.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use control_center::evidence::{key::EvidenceKey, verify::verify};
use region::{
    RegionPlan,
    api::{Api, Method, StatusCode},
    process::{binary, run, until},
};
use serde_json::{Value, json};
use system_tests::{
    film::decode,
    stage::{Stage, footage},
};
use tokio::process::Command;

/// How long an export may take, as it is promised.
const MINUTE: Duration = Duration::from_secs(60);

/// A package, its headers, and how long it took.
struct Package {
    path: PathBuf,
    head: String,
    took: Duration,
}

impl Package {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

async fn export(stage: &Stage, api: &Api, case: &str, asked: &Value, to: &Path) -> Result<Package> {
    let head = to.with_extension("head");
    let text = |path: &Path| path.display().to_string();
    let (ca, head_text, to_text) = (text(&stage.region.centre.ca_path()), text(&head), text(to));
    let url = format!("https://{}/api/v1/cases/{case}/evidence", api.authority());
    let cookie = format!("cookie: {}", api.cookie().unwrap_or_default());
    let (asked, begun) = (asked.to_string(), Instant::now());
    let arguments = [
        "-sS",
        "--fail-with-body",
        "--http1.1",
        "--compressed",
        "--cacert",
        &ca,
        "-H",
        &cookie,
        "-H",
        "content-type: application/json",
        "-d",
        &asked,
        "-D",
        &head_text,
        "-o",
        &to_text,
        &url,
    ];
    run(Path::new("curl"), &arguments, "")
        .await
        .with_context(|| format!("the answer: {}", std::fs::read_to_string(to).unwrap_or_default()))?;
    Ok(Package { path: to.to_owned(), head: std::fs::read_to_string(head)?, took: begun.elapsed() })
}

/// Runs `control-center evidence verify`; gives how it ended and what it said.
async fn judged(file: &Path, more: &[&str]) -> Result<(i32, String)> {
    let output = Command::new(binary("control-center")?)
        .args(["evidence", "verify"])
        .arg(file)
        .args(more)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .await?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code().context("ended by a signal")?, said))
}

/// A closed case that was called to a window after `since` and served there.
async fn a_case(api: &Api, hall: &str, since: jiff::Timestamp) -> Result<Value> {
    until("a case that was served and closed", Duration::from_secs(180), async || {
        let cases = api.get(&format!("/api/v1/cases?hall={hall}&state=closed")).await?;
        let called = |case: &Value| case["called_at"].as_str()?.parse::<jiff::Timestamp>().ok();
        let served = |case: &&Value| {
            case["started_at"].is_string() && case["window"].is_string() && called(case) > Some(since)
        };
        Ok(cases["items"].as_array().and_then(|items| items.iter().find(served)).cloned())
    })
    .await
}

#[tokio::test]
async fn a_case_stands_as_evidence() -> Result<()> {
    let mut plan = RegionPlan::of(1, 2, 0, footage());
    plan.recording = true;
    let stage = Stage::start(plan).await?;
    let folder = tempfile::tempdir()?;
    let hall = stage.region.plan.halls[0].id.clone();
    let supervisor = stage.region.sign_in("supervisor").await?;
    // By then every camera is recorded.
    let since = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(10);
    let case = a_case(&supervisor, &hall, since).await?;
    let id = case["case_id"].as_str().context("no case ID")?.to_owned();
    let path = format!("/api/v1/cases/{id}/evidence");
    let asked = json!({"reason": "投诉 2026-114"});

    // Who may not, and what is no reason.
    for role in ["hall_manager", "hr", "technician"] {
        let someone = stage.region.sign_in(role).await?;
        let got = someone.status(Method::POST, &path, Some(asked.clone())).await?;
        ensure!(got == StatusCode::FORBIDDEN, "{role} is answered {got}");
    }
    for reason in [json!({"reason": "  "}), json!({"reason": "a\nb"}), json!({"reason": "x", "cameras": []})]
    {
        let got = supervisor.status(Method::POST, &path, Some(reason.clone())).await?;
        ensure!(got == StatusCode::UNPROCESSABLE_ENTITY, "{reason} is answered {got}");
    }

    // Just closed, its footage still being recorded: whole nevertheless, within the minute.
    let package = export(&stage, &supervisor, &id, &asked, &folder.path().join("case.zip")).await?;
    let size = std::fs::metadata(&package.path)?.len();
    println!("exported in {:.1} s, {size} bytes\n{}", package.took.as_secs_f64(), package.head);
    ensure!(package.took < MINUTE, "it took {:?}", package.took);
    ensure!(package.header("x-evidence-missing") == Some("0"), "{}", package.head);
    ensure!(package.header("x-evidence-altered") == Some("0"), "{}", package.head);

    let key = supervisor.get("/api/v1/evidence/key").await?;
    let fingerprint = key["fingerprint"].as_str().context("no fingerprint")?.to_owned();
    let other = EvidenceKey::generate()?.public().to_string();
    let (code, said) = judged(&package.path, &["--trust", &fingerprint]).await?;
    println!("{said}");
    ensure!(code == 0 && said.starts_with("INTACT"), "{code}: {said}");
    let (code, said) = judged(&package.path, &["--lang", "zh-CN"]).await?;
    println!("{said}");
    ensure!(code == 0 && said.starts_with("完好") && said.contains("签名者：未知"), "{code}: {said}");
    ensure!(said.replace(' ', "").contains(&fingerprint), "the signer's fingerprint is not said: {said}");
    let (code, said) = judged(&package.path, &["--trust", &other]).await?;
    ensure!(code == 1 && said.contains("another key"), "{code}: {said}");
    for (file, more) in [
        (folder.path().join("none.zip"), &[][..]),
        (folder.path().join("case.head"), &[][..]),
        (folder.path().to_owned(), &[][..]),
        (package.path.clone(), &["--trust", "no key"][..]),
    ] {
        let (code, said) = judged(&file, more).await?;
        ensure!(code == 2, "{}: {code}: {said}", file.display());
    }

    let manifest = opened(&package.path, &folder.path().join("open"), &case).await?;
    flips(&package.path)?;
    on_record(&stage, &id, &manifest).await?;
    altered_at_the_hall(&stage, &supervisor, &id, &manifest, folder.path(), &fingerprint).await?;
    stage.end().await
}

/// Opened by an ordinary program, and played by another: what is there is what the manifest says.
async fn opened(package: &Path, to: &Path, case: &Value) -> Result<Value> {
    let text = |path: &Path| path.display().to_string();
    run(Path::new("python3"), &["-m", "zipfile", "-e", &text(package), &text(to)], "").await?;
    let manifest: Value = serde_json::from_slice(&std::fs::read(to.join("manifest.json"))?)?;
    let recordings = manifest["recordings"].as_array().context("no recordings")?;
    ensure!(!recordings.is_empty(), "no recording of {case}: {manifest}");
    let mut frames = 0;
    for recording in recordings {
        let file = to.join(recording["file"].as_str().context("no file")?);
        let played = decode(&file).await?.frames;
        ensure!(recording["frames"] == played, "{recording}: ffmpeg decodes {played} frames");
        frames += played;
    }
    println!("{} recordings, {frames} frames decoded by ffmpeg, as the manifest says", recordings.len());
    // The footage covers the service, without a hole.
    let time = |value: &Value| -> Result<jiff::Timestamp> { Ok(value.as_str().context("no time")?.parse()?) };
    let (called, closed) = (time(&case["called_at"])?, time(&case["closed_at"])?);
    let mut covered = called;
    for recording in recordings {
        // Each segment is placed anew by the wall clock; they meet within a frame or two.
        if time(&recording["from"])? <= covered + jiff::SignedDuration::from_millis(500) {
            covered = covered.max(time(&recording["to"])?);
        }
    }
    ensure!(covered >= closed, "the footage ends at {covered}, the case at {closed}: {manifest}");
    let stills = manifest["stills"].as_array().context("no stills")?;
    ensure!(stills.iter().any(|still| still["shows"] == "ticket.called"), "no still of the call: {stills:?}");
    for still in stills {
        let file = to.join(still["file"].as_str().context("no file")?);
        let played = decode(&file).await?;
        ensure!(played.codec == "mjpeg" && played.size.0 > 0, "{still}: {played:?}");
    }
    println!("{} stills", stills.len());
    let events = std::fs::read_to_string(to.join("events.jsonl"))?;
    for kind in ["ticket.issued", "ticket.called", "case.closed", "recording.sealed"] {
        ensure!(events.contains(&format!("\"kind\":\"{kind}\"")), "no {kind} among the events: {events}");
    }
    ensure!(manifest["export"]["reason"] == "投诉 2026-114", "{}", manifest["export"]);
    ensure!(manifest["clocks"]["hall_ahead_ms"].is_i64(), "{}", manifest["clocks"]);
    Ok(manifest)
}

/// A thousand single bits, each flipped in the package as it was exported.
fn flips(package: &Path) -> Result<()> {
    let mut bytes = std::fs::read(package)?;
    let flips = std::env::var("HALLWATCH_FLIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let (mut state, begun) = (0x9e37_79b9_7f4a_7c15u64, Instant::now());
    for n in 0..flips {
        // xorshift64: the same places each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Most of a package is footage; every fourth flip is elsewhere, at its beginning or its end.
        let length = bytes.len() as u64;
        let at = match n % 4 {
            0 => length - 1 - state % length.min(40_000),
            _ => state % length,
        } as usize;
        let bit = 1 << (state >> 61);
        bytes[at] ^= bit;
        let report = verify(Cursor::new(&bytes[..]), None)?;
        ensure!(!report.intact(), "a flipped bit in byte {at} of {length} is not found");
        bytes[at] ^= bit;
    }
    ensure!(verify(Cursor::new(&bytes[..]), None)?.intact(), "it is not what it was any more");
    println!(
        "{flips} of {flips} flipped bits found in {} bytes, {:.1} s",
        bytes.len(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The export stands in the audit log with its reason.
async fn on_record(stage: &Stage, case: &str, manifest: &Value) -> Result<()> {
    let admin = stage.region.sign_in("administrator").await?;
    let audit = admin.get("/api/v1/audit").await?;
    let rows: Vec<&Value> = audit["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| row["action"] == "evidence.exported" && row["object"] == case)
        .collect();
    let [row] = rows[..] else { anyhow::bail!("not one row of the export: {audit}") };
    let detail: Value = serde_json::from_str(row["detail"].as_str().context("no detail")?)?;
    ensure!(detail["reason"] == "投诉 2026-114" && detail["package"] == manifest["package"], "{row}");
    Ok(())
}

/// Somebody with the hall's disk changes a picture in one recording and takes another away: the export goes on, and says which.
async fn altered_at_the_hall(
    stage: &Stage,
    supervisor: &Api,
    case: &str,
    manifest: &Value,
    folder: &Path,
    fingerprint: &str,
) -> Result<()> {
    let recordings =
        stage.region.halls[0].edge_config_path().parent().context("no folder")?.join("edge/recordings");
    let named = manifest["recordings"].as_array().context("no recordings")?;
    let segment = named[0]["segment"].as_str().context("no segment")?;
    let file = recordings.join(segment);
    let mut bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes)?;
    let asked = json!({"reason": "second export"});
    let package = export(stage, supervisor, case, &asked, &folder.join("altered.zip")).await?;
    ensure!(package.header("x-evidence-altered") == Some("1"), "{}", package.head);
    let (code, said) = judged(&package.path, &["--trust", fingerprint]).await?;
    println!("{said}");
    ensure!(code == 1 && said.contains(segment), "{code}: {said}");
    // Gone altogether.
    std::fs::remove_file(&file)?;
    let package = export(stage, supervisor, case, &asked, &folder.join("missing.zip")).await?;
    ensure!(package.header("x-evidence-missing") == Some("1"), "{}", package.head);
    let (code, said) = judged(&package.path, &["--trust", fingerprint]).await?;
    println!("{said}");
    ensure!(code == 0 && said.contains("MISSING") && said.contains(segment), "{code}: {said}");
    Ok(())
}
