//! The supervisor of drivers: one task per port, made to agree with what is wanted. A port whose devices or settings change
//! is stopped and started by itself; all others go on untouched.
//!
//! While a driver changes, a device on its line that waits for an acknowledgement says its press again, so that nothing is
//! lost; what a printer prints in those milliseconds waits in the line's buffer.

mod alone;
mod line;
mod plan;
mod push;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use control_protocol::{PositionId, WindowId};
use device_drivers::{
    attendance::push::{PushServer, desk::Caller},
    clock::{MonotonicClock, SystemMonotonic},
    profile::{Order, Profile, shipped::Library},
    reading::{self, Counters, DriverEvent, Health},
    sms::SmsDesk,
};
use jiff::tz::TimeZone;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::plan::{Key, Plan, plans, port_key};
use super::{
    SharedFigures, Switchboard,
    messages::Messages,
    panel::{Panel, Wire},
    tickets::Printer,
};
use crate::{
    config::{Config, Device, PushListener},
    connection::{Connection, Line, Role},
    journal::Journal,
    vault::Vault,
};

/// Readings that may wait for the register; beyond it the drivers wait, and devices say it again.
pub(crate) const READINGS: usize = 256;
/// How long a driver may take to end.
const STOP: Duration = Duration::from_secs(3);
/// What a device that is only listened for is called begins so; no position does.
pub(crate) const GUEST: char = '?';
/// What an unknown evaluator's bytes may mean until somebody has pressed its keys: the order most makers use.
pub(crate) const USUAL_GRADES: [(u8, u8); 5] = [(4, 5), (3, 4), (2, 3), (1, 2), (0, 1)];

/// A device that should be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its place.
    pub position: PositionId,
    /// The window it stands at.
    pub window: Option<WindowId>,
    /// How it is reached.
    pub connection: Connection,
    /// For an evaluator: raw byte → grade.
    pub grades: BTreeMap<u8, u8>,
}

/// A line on which unknown devices are listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The device file.
    pub port: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// What the readings are tagged with: they come as `?<tag>#evaluator-7`.
    pub tag: String,
}

/// What drivers are made with.
struct Surroundings {
    vault: Vault,
    journal: Journal,
    time_zone: TimeZone,
    data: PathBuf,
    library: Arc<Library>,
    messages: Messages,
    clock: Arc<dyn MonotonicClock>,
    events: mpsc::Sender<DriverEvent>,
}

impl Surroundings {
    /// The secret of this name, where one is named.
    async fn secret(&self, name: Option<&str>) -> anyhow::Result<Option<String>> {
        let Some(name) = name else { return Ok(None) };
        let (vault, wanted) = (self.vault.clone(), name.to_owned());
        let secret = tokio::task::spawn_blocking(move || vault.get(&wanted)).await??;
        Ok(Some(secret.reveal().trim().to_owned()))
    }

    /// The same where it must be a number.
    async fn number(&self, name: Option<&str>, what: &str) -> anyhow::Result<Option<u32>> {
        let secret = self.secret(name).await?;
        let read = |text: String| text.parse().ok();
        let name = name.unwrap_or_default();
        secret
            .map(|text| read(text).with_context(|| format!("credential {name}: {what} is a number")))
            .transpose()
    }
}

/// How the rest of the agent reaches what a driver drives.
enum Reach {
    /// Not at all: it only reports.
    Nothing,
    /// By orders.
    Line { orders: mpsc::Sender<Order>, wires: Vec<(Role, Option<WindowId>, Wire)> },
    /// By slips.
    Printer(Printer),
    /// By text messages.
    Modem(SmsDesk),
    /// By asking who has called.
    Push(PushServer),
}

/// A driver, ready to run.
struct Started {
    run: Pin<Box<dyn Future<Output = ()> + Send>>,
    counters: Arc<Counters>,
    reach: Reach,
    /// Places that it cannot drive, and why.
    refused: Vec<(PositionId, String)>,
}

struct Running {
    plan: Plan,
    name: String,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    reach: Reach,
}

/// The supervisor.
pub struct Supervisor {
    surroundings: Surroundings,
    push: Option<PushListener>,
    /// Port → what the file calls it.
    names: HashMap<Key, String>,
    figures: SharedFigures,
    board: Switchboard,
    died: mpsc::Sender<String>,
    cancel: CancellationToken,
    running: BTreeMap<Key, Running>,
}

/// The ends of what drivers say.
pub struct Said {
    /// Readings and health.
    pub events: mpsc::Receiver<DriverEvent>,
    /// Drivers that ended although nobody asked them to.
    pub died: mpsc::Receiver<String>,
}

fn place(position: &PositionId) -> reading::PositionId {
    reading::PositionId::from(position.as_str())
}

fn short(position: &PositionId) -> String {
    position.as_str().rsplit('-').nth(1).unwrap_or(position.as_str()).to_owned()
}

/// What is wrong with devices of the file that speak by profiles, given the profiles there are; one line each.
pub fn misfits(config: &Config, library: &Library) -> Vec<String> {
    let misfit = |device: Device| match &device.connection {
        Connection::Profile { line, role, profile, .. } => {
            line::misfit(library, line, *role, profile).map(|why| format!("{}: {why}", device.position))
        }
        _ => None,
    };
    config.devices().filter_map(misfit).collect()
}

impl Supervisor {
    /// A supervisor with nothing running; its drivers end with `cancel`.
    pub fn new(
        config: &Config,
        library: Arc<Library>,
        vault: Vault,
        journal: Journal,
        figures: SharedFigures,
        board: Switchboard,
        cancel: CancellationToken,
    ) -> (Self, Said) {
        let (events, heard) = mpsc::channel(READINGS);
        let (died, dead) = mpsc::channel(4);
        let names = config.devices().filter_map(|d| Some((port_key(&d.connection.carrier()?), d.line)));
        let supervisor = Self {
            push: config.push.clone(),
            names: names.collect(),
            surroundings: Surroundings {
                vault,
                journal,
                time_zone: config.hall.time_zone.clone(),
                data: config.hall.data.clone(),
                library,
                messages: Messages::default(),
                clock: Arc::new(SystemMonotonic),
                events,
            },
            figures,
            board,
            died,
            cancel,
            running: BTreeMap::new(),
        };
        (supervisor, Said { events: heard, died: dead })
    }

    /// Whether there is a profile of this name.
    pub fn knows(&self, profile: &str) -> bool {
        self.surroundings.library.get(profile).is_some()
    }

    /// Every profile.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.surroundings.library.iter()
    }

    /// Takes a profile that the hall has from now on.
    pub fn learn(&mut self, profile: Profile) {
        Arc::make_mut(&mut self.surroundings.library).add(profile);
    }

    /// Makes what runs agree with what is wanted. A port that cannot be driven leaves its positions `down` with the reason.
    pub async fn reconcile(&mut self, wanted: &[Wanted], listening: &[Listening]) {
        let plans = plans(wanted, listening, self.push.as_ref());
        let over: Vec<Key> = self
            .running
            .iter()
            .filter(|(key, line)| plans.get(key) != Some(&line.plan))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            if let Some(line) = self.running.remove(&key) {
                tracing::info!(line = line.name, "the line's driver is stopped: its devices changed");
                self.figures.lock().counters.remove(&line.name);
                stop(line).await;
            }
        }
        for (key, plan) in plans {
            if !self.running.contains_key(&key) {
                self.begin(key, plan).await;
            }
        }
        self.publish();
    }

    async fn begin(&mut self, key: Key, plan: Plan) {
        let name = match (&plan, self.names.get(&key)) {
            (_, Some(name)) => name.clone(),
            (Plan::Line(line), _) => {
                line.line.path().map_or_else(|| line.line.to_string(), |p| p.display().to_string())
            }
            (Plan::Push(_), _) => "attendance_push".to_owned(),
            (Plan::Alone { position, .. }, _) => short(position),
        };
        let cancel = self.cancel.child_token();
        let s = &self.surroundings;
        let started = match &plan {
            Plan::Line(plan) => line::start(plan, s, cancel.clone()),
            Plan::Push(plan) => push::start(plan, s, cancel.clone()).await,
            Plan::Alone { position, connection } => {
                alone::start(position, connection, s, cancel.clone()).await
            }
        };
        match started {
            Ok(Started { run, counters, reach, refused }) => {
                for (position, why) in refused {
                    self.down(&position, why);
                }
                self.figures.lock().counters.insert(name.clone(), counters);
                let task = self.spawn(&name, &cancel, run);
                self.running.insert(key, Running { plan, name, cancel, task, reach });
            }
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(line = name, "the line cannot be driven: {why}");
                for position in plan.positions() {
                    self.down(position, why.clone());
                }
            }
        }
    }

    fn down(&self, position: &PositionId, why: String) {
        tracing::error!(%position, "the device cannot be driven: {why}");
        let at = self.surroundings.clock.now();
        let event = DriverEvent::Health { position: place(position), health: Health::Down { why }, at };
        // The register may have ended already; then nobody needs to know.
        let _ = self.surroundings.events.try_send(event);
    }

    /// Stops every driver.
    pub async fn stop(&mut self) {
        for line in self.running.values() {
            line.cancel.cancel();
        }
        for (_, line) in std::mem::take(&mut self.running) {
            stop(line).await;
        }
        self.publish();
    }

    /// What takes orders for the devices of a serial line.
    pub fn orders(&self, port: &Path) -> Option<mpsc::Sender<Order>> {
        let key = port_key(&Line::Serial { port: port.to_owned(), baud: 0 });
        match &self.running.get(&key)?.reach {
            Reach::Line { orders, .. } => Some(orders.clone()),
            _ => None,
        }
    }

    /// Text messages by the hall's modems.
    pub fn messages(&self) -> Messages {
        self.surroundings.messages.clone()
    }

    /// The terminals that have called in, also those that no place is bound to; none: the hall has no listener.
    pub fn push_callers(&self) -> Option<Vec<Caller>> {
        match &self.running.get(&Key::Push)?.reach {
            Reach::Push(server) => Some(server.callers()),
            _ => None,
        }
    }

    /// Says what can be told something now.
    fn publish(&self) {
        let mut panels: HashMap<Option<WindowId>, Panel> = HashMap::new();
        let mut printers = Vec::new();
        let mut modems = BTreeMap::new();
        for running in self.running.values() {
            match &running.reach {
                Reach::Line { wires, .. } => {
                    for (role, window, wire) in wires {
                        panels.entry(window.clone()).or_default().put(*role, wire.clone());
                    }
                }
                Reach::Printer(printer) => printers.push(printer.clone()),
                Reach::Modem(desk) => {
                    modems.extend(running.plan.positions().iter().map(|p| (p.to_string(), desk.clone())));
                }
                Reach::Nothing | Reach::Push(_) => {}
            }
        }
        self.board.set_panels(panels);
        self.board.set_printers(printers);
        self.surroundings.messages.set_modems(modems);
    }

    fn spawn(
        &self,
        name: &str,
        cancel: &CancellationToken,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let span = tracing::info_span!("line", name);
        let (name, cancel, died) = (name.to_owned(), cancel.clone(), self.died.clone());
        tokio::spawn(async move {
            let ended = tokio::spawn(run.instrument(span)).await;
            if ended.is_err() || !cancel.is_cancelled() {
                let why = ended.err().map_or_else(|| "it ended unasked".to_owned(), |e| e.to_string());
                // One report is enough to end the agent.
                let _ = died.try_send(format!("the driver of {name}: {why}"));
            }
        })
    }
}

async fn stop(mut line: Running) {
    line.cancel.cancel();
    if timeout(STOP, &mut line.task).await.is_err() {
        tracing::warn!(line = line.name, "the driver did not end in time and is cut off");
        line.task.abort();
    }
}
