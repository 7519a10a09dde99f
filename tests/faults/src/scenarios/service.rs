//! What the service manager is told: both programs say when they serve, feed its watchdog while work gets done, stop feeding it
//! when it does not, and say that they stop. The units are read by systemd itself where it is there.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use region::{
    api::Api,
    process::{Process, binary, run as run_program},
};
use rustix::process::Signal;
use tokio::net::UnixDatagram;

use crate::{
    disk::{Figure, Layer},
    stage::{PATIENCE, Stage},
    tally::Tally,
};

/// The watchdog's limit here.
const LIMIT: Duration = Duration::from_secs(4);

struct Manager(UnixDatagram);

impl Manager {
    fn environment(socket: &Path) -> Result<(Self, Vec<(String, String)>)> {
        let manager = Self(UnixDatagram::bind(socket)?);
        let environment = vec![
            ("NOTIFY_SOCKET".to_owned(), socket.display().to_string()),
            ("WATCHDOG_USEC".to_owned(), LIMIT.as_micros().to_string()),
        ];
        Ok((manager, environment))
    }

    /// Waits until it is told `words`.
    async fn told(&self, words: &str) -> Result<()> {
        let mut buffer = [0; 256];
        let wait = async {
            loop {
                let length = self.0.recv(&mut buffer).await?;
                if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == words.as_bytes()) {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("never told: {words}"))?
    }

    /// With a disk that does not come back from a write, and `work` that wants one: the program runs, and feeds nothing; it
    /// does again once its work goes on.
    async fn not_fed_while_hanging(&self, layer: &Layer, work: impl Fn()) -> Result<()> {
        layer.set(Figure::Hangs, 1)?;
        let begun = Instant::now();
        while layer.read(Figure::Hangs)? == 1 {
            ensure!(begun.elapsed() < PATIENCE, "nothing is written");
            work();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What was under way may still be told, and work counts as progress until the limit has passed.
        tokio::time::sleep(LIMIT * 2).await;
        self.forget();
        let mut buffer = [0; 256];
        if let Ok(told) = tokio::time::timeout(LIMIT * 2, self.0.recv(&mut buffer)).await {
            bail!("told while it hangs: {}", String::from_utf8_lossy(&buffer[..told?]));
        }
        layer.set(Figure::Hangs, 0)?;
        self.told("WATCHDOG=1").await
    }

    /// Forgets what it has been told so far.
    fn forget(&self) {
        let mut buffer = [0; 256];
        while self.0.try_recv(&mut buffer).is_ok() {}
    }
}

/// Plays it once.
pub(crate) async fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let mut stage = Stage::prepare("service").await?;
    let layer = Layer::make(stage.folder()).await?;
    let (manager, environment) = Manager::environment(&stage.folder().join("agent.notify"))?;
    stage.environment = environment;
    stage.environment.extend(layer.environment(&stage.data(), false));
    stage.start_agent()?;
    manager.told("READY=1").await?;
    for _ in 0..3 {
        manager.told("WATCHDOG=1").await?;
    }
    // A full disk is no hanging.
    layer.set(Figure::FullFrom, 1)?;
    stage.keypads.probe();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    manager.forget();
    for _ in 0..3 {
        manager.told("WATCHDOG=1").await?;
    }
    layer.set(Figure::FullFrom, 0)?;
    stage.fresh().await?;
    let keypads = stage.keypads.clone();
    manager.not_fed_while_hanging(&layer, || drop(keypads.probe())).await.context("the agent")?;
    stage.fresh().await?;
    tally.add("hangs_not_fed", 1);
    stage.agent.signal(Signal::TERM);
    manager.told("STOPPING=1").await?;
    ensure!(stage.agent.wait().await?.success(), "the agent does not end well");
    tally.add("services_told", 1);

    let (manager, environment) = Manager::environment(&stage.folder().join("centre.notify"))?;
    let folder = stage.folder().join("another-centre");
    let mut environment = environment;
    environment.extend(layer.environment(&folder, false));
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let data = folder.to_str().context("a path that is not UTF-8")?;
    let any = "127.0.0.1:0";
    let mut centre = Process::start(
        "control-center",
        &binary("control-center")?,
        &["run", "--data", data, "--listen", any, "--nodes-listen", any],
        &environment,
        &stage.folder().join("another-centre.log"),
    )?;
    manager.told("READY=1").await?;
    for _ in 0..3 {
        manager.told("WATCHDOG=1").await?;
    }
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("addresses.json"))?)?;
    let site = found["site"].as_str().context("no address")?;
    let api = Api::new(site, &std::fs::read(folder.join("ca/ca.pem"))?)?;
    // A sign-in that is refused is written down.
    let work = || {
        let api = api.clone();
        tokio::spawn(async move { api.sign_in("nobody", "no password").await.is_ok() });
    };
    manager.not_fed_while_hanging(&layer, work).await.context("the centre")?;
    tally.add("hangs_not_fed", 1);
    centre.signal(Signal::TERM);
    manager.told("STOPPING=1").await?;
    ensure!(centre.wait().await?.success(), "the centre does not end well");
    tally.add("services_told", 1);
    units(stage.folder(), &mut tally).await?;
    println!("service: {tally}");
    stage.end().await?;
    Ok(tally)
}

/// Lets systemd read the units, with the programs where they are here.
async fn units(folder: &Path, tally: &mut Tally) -> Result<()> {
    let systemd = Path::new("/usr/bin/systemd-analyze");
    if !systemd.is_file() {
        println!("service: systemd is not here; its units are not read");
        return Ok(());
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no project")?;
    // All of them first: a timer names its service.
    let mut copies = Vec::new();
    for program in ["control-center", "edge-agent"] {
        let here = binary(program)?.display().to_string();
        for entry in std::fs::read_dir(project.join(program).join("package"))?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|kind| kind == "service" || kind == "timer") {
                let copy = folder.join(entry.file_name());
                let text = std::fs::read_to_string(&path)?;
                std::fs::write(&copy, text.replace(&format!("/usr/bin/{program}"), &here))?;
                copies.push(copy);
            }
        }
    }
    for copy in copies {
        let name = copy.to_str().context("a path that is not UTF-8")?;
        let said = run_program(systemd, &["verify", "--man=no", name], "").await?;
        let unit = copy.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if said.contains(&unit) {
            bail!("systemd does not like {unit}:\n{said}");
        }
        tally.add("units_read", 1);
    }
    Ok(())
}
