//! What must never be kept: a fingerprint template that devices send unasked, and the passwords of cameras and of people. A hall and
//! a centre work, a case becomes evidence, a backup is made; then every file of both is searched for each canary, as it is, in
//! hexadecimal, in base 64 and as a list of numbers. That the search finds what is there is shown first.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use data_encoding::{BASE64_NOPAD, HEXLOWER, HEXUPPER};
use device_drivers::{
    attendance::{fingerprint::Family, zk::records::Punch},
    clock::{LocalClock, SystemLocal},
    simulator::{
        attendance::{Fault as TerminalFault, Terminal, TerminalSetup},
        fingerprint::{Fault as ModuleFault, FingerprintModule, ModuleSetup},
        pty::Pty,
        push::PushDevice,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use region::{
    RegionPlan,
    api::Api,
    plan::CAMERA_PASSWORD,
    process::{binary, run, until},
};
use serde_json::{Value, json};
use system_tests::stage::{Stage, add_camera, footage, log_line, reconfigure};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// As a module would send it: a head, and what no other file has.
const TEMPLATE: &[u8] = b"MSS21\x00\x01\xF3canary-finger-6d1f70c2\x02\xFF\x80canary-finger-6d1f70c2\x00\x7F";
const LIMIT: Duration = Duration::from_secs(90);

fn canaries() -> BTreeMap<&'static str, &'static [u8]> {
    BTreeMap::from([
        ("the template", &b"canary-finger-6d1f70c2"[..]),
        ("a camera's password", CAMERA_PASSWORD.as_bytes()),
        ("a password that a camera refuses", &b"canary-camera-0be94a17"[..]),
        ("a terminal user's password", &b"canary-terminal-77a3"[..]),
        ("a person's password", &b"canary-person-91c5d208"[..]),
    ])
}

/// Every form in which bytes may have been written down.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec(), HEXLOWER.encode(secret).into(), HEXUPPER.encode(secret).into()];
    let spaced = |separator: &str, form: &dyn Fn(&u8) -> String| {
        secret.iter().map(form).collect::<Vec<_>>().join(separator).into_bytes()
    };
    forms.push(spaced(" ", &|byte| format!("{byte:02x}")));
    forms.push(spaced(" ", &|byte| format!("{byte:02X}")));
    forms.push(spaced(", ", &u8::to_string));
    forms.push(spaced(",", &u8::to_string));
    // In base 64 the same bytes look different by where they begin; their ends depend on what stands beside them.
    for before in 0..3 {
        let text = BASE64_NOPAD.encode(&[&[0; 2][..before], secret].concat());
        let whole = (before + secret.len()) / 3 * 4;
        let first = if before == 0 { 0 } else { 4 };
        forms.push(text.as_bytes()[first..whole].to_vec());
    }
    forms
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Which canary stands where, below these places; and how many files and bytes were read.
fn search(places: &[PathBuf]) -> Result<(Vec<String>, usize, usize)> {
    let mut all = Vec::new();
    for place in places {
        if place.is_dir() { files(place, &mut all)? } else { all.push(place.clone()) }
    }
    let wanted: Vec<(&str, Vec<memchr::memmem::Finder<'static>>)> = canaries()
        .into_iter()
        .map(|(what, secret)| {
            (what, forms(secret).iter().map(|form| memchr::memmem::Finder::new(form).into_owned()).collect())
        })
        .collect();
    let (mut hits, mut bytes) = (Vec::new(), 0);
    for file in &all {
        let content = std::fs::read(file).with_context(|| file.display().to_string())?;
        bytes += content.len();
        for (what, finders) in &wanted {
            let times: usize = finders.iter().map(|finder| finder.find_iter(&content).count()).sum();
            if times > 0 {
                hits.push(format!("{what} in {}, {times} times", file.display()));
            }
        }
    }
    Ok((hits, all.len(), bytes))
}

/// The search finds each canary in each form, at every place in a file.
fn the_search_finds(folder: &Path) -> Result<usize> {
    let mut planted = 0;
    for secret in canaries().values() {
        let plain = [b"before ", *secret, b" after"].concat();
        let texts = (0..3).map(|cut| BASE64_NOPAD.encode(&plain[cut..]).into_bytes());
        let lines = [
            plain.clone(),
            HEXLOWER.encode(&plain).into(),
            HEXUPPER.encode(&plain).into(),
            format!("{plain:02x?}").replace(", ", " ").into(),
            format!("{plain:?}").into(),
        ];
        for line in lines.into_iter().chain(texts) {
            let file = folder.join("planted");
            std::fs::write(&file, [&[0xFF; 4093][..], &line, &[0; 77]].concat())?;
            let (hits, ..) = search(&[file])?;
            ensure!(hits.len() == 1, "{:?} is not found: {hits:?}", String::from_utf8_lossy(&line));
            planted += 1;
        }
    }
    Ok(planted)
}

fn local() -> Arc<dyn LocalClock> {
    Arc::new(SystemLocal(TimeZone::UTC))
}

/// The terminal on port 4370, the module on its line, and where terminals call in.
struct Devices {
    terminal: Terminal,
    module: FingerprintModule,
    push: PushDevice,
}

/// Adds the devices to the hall, and a camera whose password is refused.
async fn install(stage: &mut Stage) -> Result<Devices> {
    let terminal =
        Terminal::new(TerminalSetup { users: vec!["1001".into()], ..TerminalSetup::default() }, local());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = terminal.clone();
    tokio::spawn(async move { serving.serve(listener, CancellationToken::new()).await });
    let module = FingerprintModule::new(ModuleSetup::new(Family::Ef01));
    module.enrol(1, 501);
    let mut pty = Pty::open(None)?;
    let line = pty.path().to_string_lossy().into_owned();
    let serving = module.clone();
    tokio::spawn(async move { serving.serve(&mut pty, &CancellationToken::new()).await });
    let calls = region::process::lasting_address()?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    let config = hall.edge_config_path().display().to_string();
    let program = binary("edge-agent")?;
    run(&program, &["credential", "set", "refused", "--config", &config], "canary-camera-0be94a17").await?;
    let (id, rtsp) = (hall.plan.id.clone(), hall.sim.rtsp);
    reconfigure(hall, |config| {
        let terminals = config["attendance"].as_array_mut();
        terminals.into_iter().for_each(|rows| {
            rows.push(json!({"name": "A02", "address": address.to_string(), "log_seconds": 1}));
        });
        config["fingerprint"] = json!([{"name": "A03", "path": line, "family": "ef01", "slots": {"1": "1001"}}]);
        config["attendance_push"] = json!({
            "listen": calls, "allow": ["127.0.0.1"], "terminal": [{"name": "A04", "serial": "CPUSH0001"}]
        });
        let url = format!("rtsp://{rtsp}/W01/main");
        let camera = json!({"id": format!("{id}-S09"), "name": "refused", "url": url, "user": "admin", "credential": "refused"});
        add_camera(config, camera);
    })
    .await?;
    Ok(Devices { terminal, module, push: PushDevice::new("CPUSH0001", calls.parse()?, "") })
}

/// Has every device send the template unasked, between punches that must arrive.
async fn send(devices: &mut Devices, api: &Api, hall: &str) -> Result<()> {
    let (terminal, module) = (&devices.terminal, &devices.module);
    until("terminal that is read", LIMIT, async || Ok((terminal.sessions() > 0).then_some(()))).await?;
    for _ in 0..3 {
        terminal.fault(TerminalFault::Template(TEMPLATE.to_vec()));
        until("template sent", LIMIT, async || Ok((terminal.faults_left() == 0).then_some(()))).await?;
        module.fault(ModuleFault::Template(TEMPLATE));
        until("template sent", LIMIT, async || Ok((module.faults_left() == 0).then_some(()))).await?;
    }
    let push = &mut devices.push;
    until("answer to a terminal's call", LIMIT, async || {
        Ok(push.start().await.ok().filter(|answer| answer.status == 200))
    })
    .await?;
    let template = data_encoding::BASE64.encode(TEMPLATE);
    let user = "USER PIN=1001\tName=x\tPri=0\tPasswd=canary-terminal-77a3\tCard=0\tGrp=1\n";
    let old = format!("{user}FP PIN=1001\tFID=0\tSize={}\tValid=1\tTMP={template}\n", template.len());
    let new = format!("BIODATA Pin=1001\tNo=0\tIndex=0\tValid=1\tType=1\tMajorVer=12\tTmp={template}\n");
    for (table, body) in [
        ("OPERLOG", old.as_bytes()),
        ("BIODATA", new.as_bytes()),
        ("FINGERTMP", old.as_bytes()),
        ("templatev10", new.as_bytes()),
        ("USERINFO", user.as_bytes()),
        ("FACE", TEMPLATE),
        ("ATTLOG", new.as_bytes()),
        ("options", old.as_bytes()),
    ] {
        let answer =
            push.call("POST", &format!("/iclock/cdata?SN=CPUSH0001&table={table}&Stamp=1"), body).await?;
        println!("PUSH {table}: {} {}", answer.status, answer.body.trim());
    }
    push.call("POST", &format!("/iclock/cdata?SN=CPUSH0001&table=OPERLOG&TMP={template}"), b"").await?;
    push.call("POST", "/iclock/devicecmd?SN=CPUSH0001", old.as_bytes()).await?;
    push.call("GET", &format!("/iclock/{template}"), b"").await?;

    let at = jiff::Zoned::now().with_time_zone(TimeZone::get("Asia/Shanghai")?).datetime();
    push.punch(Punch { employee: "1001".into(), at: at.round(jiff::Unit::Second)?, verify: 1, state: 0 });
    push.upload(10).await?;
    module.lay(Some(501));
    until("punch at the module", LIMIT, async || {
        let path = format!("/api/v1/events?hall={hall}&kind=punch.recorded");
        let punches = api.all(&path, "after").await?;
        let of =
            |device: &str| punches.iter().any(|p| p["device"].as_str().is_some_and(|d| d.contains(device)));
        terminal.punch("1001", 1, 0);
        Ok((of("A02") && of("A03") && of("A04")).then_some(()))
    })
    .await?;
    module.lay(None);
    Ok(())
}

async fn evidence(stage: &Stage, api: &Api, hall: &str, since: Timestamp, to: &Path) -> Result<()> {
    let case = until("a case that was served and closed", Duration::from_secs(180), async || {
        let cases = api.get(&format!("/api/v1/cases?hall={hall}&state=closed")).await?;
        let called = |case: &Value| case["called_at"].as_str()?.parse::<Timestamp>().ok();
        let served = |case: &&Value| case["started_at"].is_string() && called(case) > Some(since);
        Ok(cases["items"].as_array().and_then(|items| items.iter().find(served)).cloned())
    })
    .await?;
    let case = case["case_id"].as_str().context("a case without its ID")?;
    let url = format!("https://{}/api/v1/cases/{case}/evidence", api.authority());
    let cookie = format!("cookie: {}", api.cookie().unwrap_or_default());
    let (ca, to) = (stage.region.centre.ca_path().display().to_string(), to.display().to_string());
    let asked = json!({"reason": "canaries"}).to_string();
    let arguments = [
        "-sS",
        "--fail-with-body",
        "--cacert",
        &ca,
        "-H",
        &cookie,
        "-H",
        "content-type: application/json",
        "-d",
        &asked,
        "-o",
        &to,
        &url,
    ];
    run(Path::new("curl"), &arguments, "").await?;
    Ok(())
}

#[tokio::test]
async fn no_template_and_no_password_is_kept_anywhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let planted = the_search_finds(folder.path())?;
    println!("the search finds {planted} of {planted} planted canaries");
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    (plan.recording, plan.speed) = (true, 120.0);
    let mut stage = Stage::start(plan).await?;
    let mut devices = install(&mut stage).await?;
    let hall = stage.region.plan.halls[0].id.clone();
    let admin = stage.region.sign_in("administrator").await?;
    let since = Timestamp::now();
    ensure!(stage.region.centre.api()?.sign_in("admin", "canary-person-91c5d208").await.is_err());
    ensure!(stage.region.centre.api()?.sign_in("canary-person-91c5d208", "x").await.is_err());
    send(&mut devices, &admin, &hall).await?;
    let log = stage.region.halls[0].folder.join("edge-agent.log");
    log_line("edge-agent", &log, "S09", LIMIT).await?;
    let out = folder.path().join("out");
    std::fs::create_dir_all(&out)?;
    evidence(&stage, &admin, &hall, since, &out.join("case.evidence")).await?;
    for (name, path) in [
        ("events.json", format!("/api/v1/events?hall={hall}")),
        ("audit.csv", "/api/v1/audit/export.csv".to_owned()),
        ("nodes.json", "/api/v1/nodes".to_owned()),
        ("cameras.json", "/api/v1/cameras".to_owned()),
        ("positions.json", "/api/v1/positions".to_owned()),
        ("dead.json", format!("/api/v1/nodes/hall-{hall}/dead-events")),
    ] {
        std::fs::write(out.join(name), admin.bytes(&path).await?)?;
    }
    let data = stage.region.root.join("centre").display().to_string();
    let backups = out.join("backups").display().to_string();
    run(&binary("control-center")?, &["backup", "--data", &data, "--to", &backups], "").await?;

    stage.region.stop().await?;
    let root = &stage.region.root;
    let places = [
        out,
        root.join("centre"),
        root.join("control-center.log"),
        stage.region.halls[0].folder.join("edge"),
        log,
        stage.region.halls[0].edge_config_path().to_owned(),
    ];
    let (hits, count, bytes) = search(&places)?;
    println!(
        "{} canaries looked for in {count} files of {bytes} bytes: found {}",
        canaries().len(),
        hits.len()
    );
    ensure!(hits.is_empty(), "{}", hits.join("\n"));
    Ok(())
}
