//! Starting, watching and ending the programs of a region.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use simulated_hall::hall::Ready as SimReady;

use crate::{
    api::Api,
    attendance,
    control::Control,
    edge_config::{HallPorts, camera_url, edge_config},
    plan::{CAMERA_PASSWORD, CAMERA_USER, HallPlan, RegionPlan, hall_folder, import_file, people},
    process::{Process, Usage, binary, run, until},
    ready::{Ready, ReadyCamera, ReadyHall, ReadyUser, read_json, write_json},
    sim_config::{ports, sim_config},
};

/// A running region.
pub struct Region {
    /// What was planned.
    pub plan: RegionPlan,
    /// Where everything keeps its files.
    pub root: PathBuf,
    /// The control centre.
    pub centre: Centre,
    /// The halls, in the plan's order.
    pub halls: Vec<Hall>,
    /// People's passwords, in the order of [`people`].
    pub passwords: Vec<String>,
}

/// The control centre.
pub struct Centre {
    /// Its process.
    pub process: Process,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its environment from its next start on, beside its own.
    pub environment: Vec<(String, String)>,
    /// Where it listens if it is started again: the same ports.
    listen: (String, String),
    root: PathBuf,
}

/// What the centre writes to `addresses.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    /// `https://host:port` of the people's site.
    pub site: String,
    /// `https://host:port` of the node listener.
    pub nodes: String,
    /// The pin of the centre's CA key.
    pub pin: String,
}

/// One hall.
pub struct Hall {
    /// What was planned.
    pub plan: HallPlan,
    /// The simulated hall.
    pub devices: Process,
    /// Where its devices are.
    pub ports: HallPorts,
    /// What it wrote when it was ready.
    pub sim: SimReady,
    /// The edge agent.
    pub edge: Process,
    /// The hall's folder.
    pub folder: PathBuf,
    edge_config: PathBuf,
}

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// Footage is encoded at the first start on a machine.
const FOOTAGE_PATIENCE: Duration = Duration::from_secs(600);

/// The present, as the halls' clocks have it.
fn halls_now() -> jiff::Zoned {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
}

/// Memory and CPU of every process, by name.
pub struct Sizes(pub Vec<(String, Usage)>);

impl Centre {
    /// Starts a centre below `root`, with this import file if it is new, on these addresses (port 0: any).
    pub async fn start(root: &Path, import: &str, listen: &str, nodes_listen: &str) -> Result<Self> {
        let data = root.join("centre");
        std::fs::create_dir_all(&data)?;
        let import_path = root.join("import.toml");
        std::fs::write(&import_path, import)?;
        let (process, addresses) = Self::launch(root, (listen, nodes_listen), &[]).await?;
        let authority = |url: &str| url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let listen = (authority(&addresses.site), authority(&addresses.nodes));
        Ok(Self { process, addresses, environment: Vec::new(), listen, root: root.to_owned() })
    }

    async fn launch(
        root: &Path,
        (listen, nodes_listen): (&str, &str),
        environment: &[(String, String)],
    ) -> Result<(Process, Addresses)> {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let data = root.join("centre");
        let found = data.join("addresses.json");
        let _ = std::fs::remove_file(&found);
        let arguments = [
            "run",
            "--data",
            path(&data)?,
            "--listen",
            listen,
            "--nodes-listen",
            nodes_listen,
            "--import",
            path(&root.join("import.toml"))?,
        ]
        .map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::start(
            "control-center",
            &binary("control-center")?,
            &arguments,
            &environment,
            &root.join("control-center.log"),
        )?;
        let addresses = until("control centre", PATIENCE, async || {
            process.check()?;
            read_json(&found)
        })
        .await?;
        Ok((process, addresses))
    }

    /// Starts it again where it was, after [`Process::kill`] or [`Process::stop`].
    pub async fn restart(&mut self) -> Result<()> {
        let listen = (self.listen.0.as_str(), self.listen.1.as_str());
        let (process, addresses) = Self::launch(&self.root, listen, &self.environment).await?;
        self.process = process;
        self.addresses = addresses;
        Ok(())
    }

    /// Has it take a file's areas, people, shifts and rosters while it runs.
    pub async fn import(&self, name: &str, file: &str) -> Result<()> {
        let to = self.root.join(name);
        std::fs::write(&to, file)?;
        let data = self.root.join("centre");
        run(&binary("control-center")?, &["import", path(&to)?, "--data", path(&data)?], "").await?;
        Ok(())
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.root.join("centre")
    }

    /// Its CA certificate, PEM.
    pub fn ca_path(&self) -> PathBuf {
        self.root.join("centre/ca/ca.pem")
    }

    /// Its API as nobody.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.addresses.site, &std::fs::read(self.ca_path()).context("the centre's CA certificate")?)
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

impl Hall {
    /// Starts the simulated hall and waits until its devices can be reached.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_devices(
        plan: &RegionPlan,
        hall: &HallPlan,
        folder: &Path,
    ) -> Result<(Process, SimReady)> {
        std::fs::create_dir_all(folder)?;
        let config = folder.join("simulated-hall.toml");
        std::fs::write(&config, sim_config(plan, hall, folder, None)?)?;
        let ready = folder.join("run").join(simulated_hall::hall::READY_FILE);
        let _ = std::fs::remove_file(&ready);
        let mut process = Process::start(
            &format!("simulated-hall {}", hall.id),
            &binary("simulated-hall")?,
            &["--config", path(&config)?],
            &[],
            &folder.join("simulated-hall.log"),
        )?;
        let ready = until("simulated hall", FOOTAGE_PATIENCE, async || {
            process.check()?;
            read_json(&ready)
        })
        .await?;
        Ok((process, ready))
    }

    /// Starts a hall: devices, then the edge agent, paired through the centre's API if it has no certificate yet.
    pub async fn start(
        plan: &RegionPlan,
        hall: &HallPlan,
        root: &Path,
        centre: &Centre,
        admin: &Api,
    ) -> Result<Self> {
        let folder = hall_folder(root, hall);
        let (devices, sim) = Self::start_devices(plan, hall, &folder).await?;
        let ports = ports(&sim);
        let data = folder.join("edge");
        let config = folder.join("edge-agent.toml");
        let mut file = edge_config(hall, &ports, &centre.addresses.nodes, &data);
        if plan.recording {
            // Enough for a demonstration, and not a disk's worth.
            file["recording"] = json!({"gigabytes_per_camera": 0.2});
        }
        write_edge_config(&config, &file)?;
        let program = binary("edge-agent")?;
        if !data.join("identity").exists() {
            std::fs::create_dir_all(&data)?;
            run(&program, &["credential", "set", "cameras", "--config", path(&config)?], CAMERA_PASSWORD)
                .await?;
            Self::pair(&config, &hall.id, centre, admin).await?;
            if plan.history_days > 0 {
                let history = folder.join("history.jsonl");
                let days = plan.history_days.to_string();
                let sim_config = folder.join("simulated-hall.toml");
                let arguments =
                    ["--config", path(&sim_config)?, "--history", path(&history)?, "--days", &days];
                run(&binary("simulated-hall")?, &arguments, "").await?;
                run(&program, &["import", "--config", path(&config)?, path(&history)?], "").await?;
            }
        }
        let edge = Self::start_edge(&hall.id, &config, &folder)?;
        Ok(Self { plan: hall.clone(), devices, ports, sim, edge, folder, edge_config: config })
    }

    /// Pairs the agent of `config` with the centre: a code from the API, then `edge-agent enrol`.
    pub async fn pair(config: &Path, hall: &str, centre: &Centre, admin: &Api) -> Result<()> {
        let code = admin.post(&format!("/api/v1/halls/{hall}/pairing-codes"), json!({})).await?;
        let code = code["code"].as_str().context("no pairing code in the answer")?;
        let arguments = ["enrol", "--config", path(config)?, "--pin", &centre.addresses.pin];
        run(&binary("edge-agent")?, &arguments, code).await?;
        Ok(())
    }

    fn start_edge(id: &str, config: &Path, folder: &Path) -> Result<Process> {
        let arguments = ["run", "--config", path(config)?];
        Process::start(
            &format!("edge-agent {id}"),
            &binary("edge-agent")?,
            &arguments,
            &[],
            &folder.join("edge-agent.log"),
        )
    }

    /// Starts the edge agent again, after it was stopped or killed.
    pub fn restart_edge(&mut self) -> Result<()> {
        self.edge = Self::start_edge(&self.plan.id, &self.edge_config, &self.folder)?;
        Ok(())
    }

    /// The edge agent's configuration file.
    pub fn edge_config_path(&self) -> &Path {
        &self.edge_config
    }

    /// The hall's own page, once the agent serves it.
    pub fn site(&self) -> Option<String> {
        self.plan.spares.as_ref()?;
        let bound: Value = read_json(&self.folder.join("edge/hall-site.json")).ok()??;
        bound["url"].as_str().map(str::to_owned)
    }

    /// The simulated hall's own log.
    pub fn oracle_path(&self) -> PathBuf {
        self.sim.oracle.clone()
    }
}

/// Writes an edge agent's configuration file.
pub fn write_edge_config(to: &Path, config: &Value) -> Result<()> {
    let table = toml::Table::try_from(config).context("the edge agent's configuration as TOML")?;
    Ok(std::fs::write(to, table.to_string())?)
}

impl Region {
    /// Starts everything below `root` on these addresses (port 0: any) and waits until every camera is live at the centre.
    pub async fn start(
        plan: RegionPlan,
        root: &Path,
        listen: &str,
        nodes_listen: &str,
        mut say: impl FnMut(&str),
    ) -> Result<Self> {
        std::fs::create_dir_all(root)?;
        let passwords = passwords(root, people(&plan).len())?;
        let centre = Centre::start(root, &import_file(&plan, &passwords), listen, nodes_listen).await?;
        say("control centre: started");
        let mut region = Self { plan, root: root.to_owned(), centre, halls: Vec::new(), passwords };
        let admin = region.sign_in("administrator").await?;
        for hall in region.plan.halls.clone() {
            let started = Hall::start(&region.plan, &hall, root, &region.centre, &admin).await?;
            say(&format!("{} {}: started", hall.id, hall.name));
            region.halls.push(started);
        }
        region.wait_for_cameras(PATIENCE).await?;
        if region.plan.day {
            region.centre.import("today.toml", &attendance::today(&region.plan, &halls_now())?).await?;
            for hall in &region.halls {
                Control(hall.sim.control).day(true).await?;
            }
        }
        Ok(region)
    }

    /// Waits until every planned camera is live at the centre.
    pub async fn wait_for_cameras(&mut self, limit: Duration) -> Result<()> {
        let admin = self.sign_in("administrator").await?;
        let wanted: Vec<String> =
            self.plan.halls.iter().flat_map(HallPlan::cameras).map(|camera| camera.id).collect();
        let mut last = Value::Null;
        let result = until("picture of every camera", limit, async || {
            for hall in &mut self.halls {
                hall.edge.check()?;
                hall.devices.check()?;
            }
            self.centre.process.check()?;
            last = admin.get("/api/v1/cameras").await?;
            let live = |id: &String| {
                last["items"]
                    .as_array()
                    .is_some_and(|items| items.iter().any(|c| c["id"] == **id && c["state"] == "live"))
            };
            Ok(wanted.iter().all(live).then_some(()))
        })
        .await;
        result.with_context(|| {
            let rows = last["items"].as_array().cloned().unwrap_or_default();
            let waiting: Vec<String> = wanted
                .iter()
                .filter_map(|id| match rows.iter().find(|row| row["id"] == **id) {
                    Some(row) if row["state"] == "live" => None,
                    Some(row) => Some(format!("{id}: {} {}", row["state"], row["why"])),
                    None => Some(format!("{id}: unknown to the centre")),
                })
                .collect();
            format!("cameras without a picture: {}", waiting.join("; "))
        })
    }

    /// The API as the first person of `role`.
    pub async fn sign_in(&self, role: &str) -> Result<Api> {
        self.sign_in_as(|r, _| r == role).await
    }

    /// The API as the first person for whom `who` (role, sign-in name) holds.
    pub async fn sign_in_as(&self, who: impl Fn(&str, &str) -> bool) -> Result<Api> {
        let people = people(&self.plan);
        let (at, person) =
            people.iter().enumerate().find(|(_, p)| who(p.0, p.1)).context("no such person in the plan")?;
        self.centre.api()?.sign_in(person.1, &self.passwords[at]).await
    }

    /// What `ready.json` says.
    pub fn ready(&self) -> Ready {
        let users = people(&self.plan)
            .into_iter()
            .zip(&self.passwords)
            .map(|((role, name, area, hall), password)| ReadyUser {
                role: role.into(),
                name: name.into(),
                password: password.clone(),
                area,
                hall,
            })
            .collect();
        let halls = self.halls.iter().map(|hall| ReadyHall {
            id: hall.plan.id.clone(),
            name: hall.plan.name.clone(),
            node: format!("hall-{}", hall.plan.id),
            windows: hall.plan.window_ids(),
            oracle: hall.sim.oracle.display().to_string(),
            control: format!("http://{}", hall.sim.control),
            site: hall.site(),
            spares: hall.sim.spares.clone(),
        });
        let cameras = self.halls.iter().flat_map(|hall| {
            hall.plan.cameras().into_iter().map(|camera| ReadyCamera {
                rtsp: camera_url(&hall.ports, &camera.short, "main")
                    .replace("rtsp://", &format!("rtsp://{CAMERA_USER}:{CAMERA_PASSWORD}@")),
                window: camera.window.map(|number| hall.plan.window_id(number)),
                hall: hall.plan.id.clone(),
                mark: camera.mark,
                id: camera.id,
            })
        });
        Ready {
            url: self.centre.addresses.site.clone(),
            ca: self.centre.ca_path().display().to_string(),
            users,
            halls: halls.collect(),
            cameras: cameras.collect(),
        }
    }

    /// CPU and memory of every process so far.
    pub fn sizes(&self) -> Sizes {
        let halls = self.halls.iter().flat_map(|hall| [&hall.edge, &hall.devices]);
        let all = std::iter::once(&self.centre.process).chain(halls);
        Sizes(all.map(|process| (process.name().to_owned(), process.usage())).collect())
    }

    /// Fails if any program has ended.
    pub fn check(&mut self) -> Result<()> {
        self.centre.process.check()?;
        for hall in &mut self.halls {
            hall.edge.check()?;
            hall.devices.check()?;
        }
        Ok(())
    }

    /// Ends every program, all at once.
    pub async fn stop(&mut self) -> Result<()> {
        let patience = Duration::from_secs(8);
        let halls = self.halls.iter_mut().flat_map(|hall| [&mut hall.edge, &mut hall.devices]);
        let all =
            halls.chain(std::iter::once(&mut self.centre.process)).map(|process| process.stop(patience));
        for stopped in futures_util::future::join_all(all).await {
            stopped?;
        }
        Ok(())
    }
}

/// The people's passwords: drawn at the first start below `root` and kept there, so that a later start prints the same.
fn passwords(root: &Path, count: usize) -> Result<Vec<String>> {
    let kept = root.join("passwords.json");
    if let Some(passwords) = read_json::<Vec<String>>(&kept)?
        && passwords.len() == count
    {
        return Ok(passwords);
    }
    // No letter or digit that is taken for another: these are typed from a screen.
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = vec![0u8; count * 12];
    let mut source = std::fs::File::open("/dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut random)?;
    let word = |bytes: &[u8]| {
        let letters: String =
            bytes.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
        format!("{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..])
    };
    let passwords: Vec<String> = random.chunks(12).map(word).collect();
    write_json(&kept, &passwords)?;
    Ok(passwords)
}
