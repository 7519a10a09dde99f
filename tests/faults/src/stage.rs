//! One centre, one agent and the keypads of its hall, with the proxy between: what most scenarios play on.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use region::{
    RegionPlan,
    api::Api,
    edge_config::{HallPorts, edge_config},
    plan::{import_file, people},
    process::{Process, binary, lasting_address, until},
    start::{Centre, Hall, write_edge_config},
};
use serde_json::json;

use crate::{keypads::Keypads, lot::Lot, proxy::Proxy};

/// Windows of the hall; the last one is for probes.
const WINDOWS: u16 = 8;
/// How long anything may take that is not what a scenario looks at.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A running stage. Its folder goes with it.
pub(crate) struct Stage {
    pub(crate) centre: Centre,
    pub(crate) proxy: Proxy,
    pub(crate) keypads: Arc<Keypads>,
    pub(crate) agent: Process,
    pub(crate) hall: String,
    /// The agent's environment from its next start on.
    pub(crate) environment: Vec<(String, String)>,
    /// The agent is in another machine, and no process here.
    elsewhere: bool,
    /// How often the agent had to be started again because it had ended by itself.
    pub(crate) ended_by_itself: u64,
    config: PathBuf,
    passwords: Vec<String>,
    session: tokio::sync::Mutex<Option<Api>>,
    folder: tempfile::TempDir,
}

/// The address of a URL on loopback.
fn authority(url: &str) -> Result<SocketAddr> {
    let url: url::Url = url.parse()?;
    let (host, port) = (url.host_str().context("no host")?, url.port().context("no port")?);
    Ok(format!("{host}:{port}").parse()?)
}

/// Words that satisfy the password rules, for people who sign in nowhere else.
pub(crate) fn passwords(plan: &RegionPlan) -> Vec<String> {
    (0..people(plan).len()).map(|n| format!("quiet-Harbour-{n}-ninety4")).collect()
}

impl Stage {
    /// Starts centre, keypads and agent; nobody presses yet.
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let mut stage = Self::prepare(name).await?;
        stage.start_agent()?;
        stage.fresh().await.context("the first event never arrives")?;
        Ok(stage)
    }

    /// The same without the agent started.
    pub(crate) async fn prepare(name: &str) -> Result<Self> {
        let mut stage = Self::without_lines(name).await?;
        stage.elsewhere = false;
        stage.keypads.on_ptys(stage.folder())?;
        Ok(stage)
    }

    /// The same without the agent started, and with keypads that are on no line yet.
    pub(crate) async fn without_lines(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("hallwatch-{name}-")).tempdir()?;
        let root = folder.path();
        let plan = RegionPlan::of(1, WINDOWS, 0, root.join("no-footage"));
        let passwords = passwords(&plan);
        let centre =
            Centre::start(root, &import_file(&plan, &passwords), &lasting_address()?, &lasting_address()?)
                .await?;
        let proxy = Proxy::start(authority(&centre.addresses.nodes)?).await?;
        let hall = plan.halls.first().context("a plan without a hall")?;
        let keypads = Keypads::new(WINDOWS as u8);
        let lines = keypads.paths(root);
        let ports = HallPorts {
            buses: lines.iter().map(|path| path.display().to_string()).collect(),
            ticket_line: String::new(),
            attendance: 0,
            rtsp: 0,
            spares: None,
        };
        let url = format!("https://{}", proxy.address());
        let mut file = edge_config(hall, &ports, &url, &root.join("edge"));
        for part in ["camera", "attendance", "ticket_machine"] {
            file.as_object_mut().and_then(|table| table.remove(part));
        }
        file["centre"]["first_delay_seconds"] = json!(0);
        let config = root.join("edge-agent.toml");
        write_edge_config(&config, &file)?;
        let admin = centre.api()?.sign_in("admin", &passwords[0]).await?;
        Hall::pair(&config, &hall.id, &centre, &admin).await?;
        let agent =
            Process::start("no agent yet", Path::new("/bin/true"), &[], &[], &root.join("agent.log"))?;
        Ok(Self {
            hall: hall.id.clone(),
            centre,
            proxy,
            keypads,
            agent,
            environment: Vec::new(),
            elsewhere: true,
            ended_by_itself: 0,
            config,
            passwords,
            session: tokio::sync::Mutex::default(),
            folder,
        })
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The agent's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("edge")
    }

    /// The agent's configuration.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Starts the agent.
    pub(crate) fn start_agent(&mut self) -> Result<()> {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let config = self.config.to_str().context("a path that is not UTF-8")?;
        self.agent = Process::start(
            "edge-agent",
            &binary("edge-agent")?,
            &["run", "--config", config],
            &environment,
            &self.folder().join("edge-agent.log"),
        )?;
        Ok(())
    }

    /// Starts the agent again if it has ended by itself, as the service manager does.
    pub(crate) fn revive(&mut self) -> Result<bool> {
        if self.elsewhere || self.agent.check().is_ok() {
            return Ok(false);
        }
        self.ended_by_itself += 1;
        self.start_agent()?;
        Ok(true)
    }

    /// The centre's API as the administrator.
    pub(crate) async fn api(&self) -> Result<Api> {
        let mut session = self.session.lock().await;
        // A session outlives the centre's process, and signing in is slow by design.
        if let Some(api) = session.as_ref()
            && api.get("/api/v1/nodes").await.is_ok()
        {
            return Ok(api.clone());
        }
        let api = self.centre.api()?.sign_in("admin", &self.passwords[0]).await?;
        *session = Some(api.clone());
        Ok(api)
    }

    /// Calls a number at the window that nobody else presses, and waits until the centre shows it; gives how long that
    /// took, from the press on.
    pub(crate) async fn fresh(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let ticket = self.keypads.probe();
        let mut api = None;
        let path = format!("/api/v1/events?hall={0}&window={0}-W{WINDOWS:02}&kind=ticket.called", self.hall);
        let found = until("fresh event at the centre", PATIENCE, async || {
            self.revive()?;
            if api.is_none() {
                api = self.api().await.ok();
            }
            let Some(known) = &api else { return Ok(None) };
            // The centre may be just starting.
            let Ok(rows) = known.all(&path, "after").await else {
                api = None;
                return Ok(None);
            };
            Ok(rows.iter().any(|event| event["body"]["ticket"] == *ticket).then_some(()))
        })
        .await;
        found.with_context(|| {
            let log = self.agent.log();
            let end: Vec<&str> = log.lines().rev().take(25).collect();
            format!("the end of the agent's log, newest first:\n{}", end.join("\n"))
        })?;
        Ok(begun.elapsed())
    }

    /// Begins the presses.
    pub(crate) fn staff(&self, lot: &mut Lot, pause: f64) {
        self.keypads.staff(lot, pause);
        self.keypads.go();
    }

    /// Ends everything.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.keypads.close().await;
        // What was killed has nothing to stop.
        let _ = self.agent.stop(Duration::from_secs(20)).await;
        let stopped = self.centre.process.stop(Duration::from_secs(30)).await;
        self.proxy.close().await;
        stopped.map(|_| ())
    }
}
