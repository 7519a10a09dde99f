//! Positions and who stands there: which devices a hall has, how a technician pairs, tests, accepts and replaces them, and what
//! is told of it. The [positions' file](positions) is the truth; drivers, switchboard and the centre follow it.
//!
//! It owns positions, bindings, confirmed grade maps, visits and their log. It never reads a device's bytes, and never
//! decides what a press means for a case.

mod act;
mod attend;
mod binding;
mod camera_search;
#[cfg(test)]
mod camera_tests;
mod cameras;
mod centre;
mod door;
#[cfg(test)]
mod flow_tests;
mod import;
mod log;
mod pass;
mod photo;
pub mod positions;
mod problem;
mod routes;
mod search;
mod sheet;
mod show;
#[cfg(test)]
mod show_tests;
mod sniff;
#[cfg(test)]
mod sniff_tests;
mod step;
#[cfg(test)]
mod test_hall;
#[cfg(test)]
mod tests;
pub mod visit;
#[cfg(test)]
mod visit_properties;

use std::sync::{Arc, PoisonError};

use control_protocol::{Happening, UtcMillis, WindowId};
use rusqlite::Transaction;
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

pub use self::{
    centre::CentreDoor,
    door::{Bound, bind, serve},
    import::read_table,
    pass::Passes,
    problem::Problem,
    routes::{Answer, Question},
    visit::Door,
};
use self::{
    positions::{Position, Positions, StoreFailed},
    visit::{Step, Visit},
};
use crate::{
    clock::{Clock, SystemClock},
    config::{self, Config},
    devices::{Listening, Role, Supervisor, Switchboard, Wanted},
    journal::Journal,
    uplink::{channel::ChannelState, identity::Identity, sender::UplinkState},
    vault::Vault,
};

/// Where pairing takes place.
pub struct Place {
    /// What the TOML file says.
    pub config: Config,
    /// Secrets.
    pub vault: Vault,
    /// The record.
    pub journal: Journal,
    /// Time.
    pub clock: Arc<SystemClock>,
    /// What stands where, now.
    pub board: Switchboard,
    /// Makes stills of cameras.
    pub stills: picture::StillMaker,
    /// Whether the centre takes events.
    pub uplink: watch::Receiver<UplinkState>,
    /// Whether the command channel stands.
    pub channel: watch::Receiver<ChannelState>,
    /// Ends what goes on by itself.
    pub stop: CancellationToken,
}

/// Somebody who may pair here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Their name at the centre.
    pub name: String,
    /// Through which door they came.
    pub door: Door,
    /// Until when they may; none: as long as the centre lets them through.
    pub until: Option<UtcMillis>,
}

struct Inner {
    place: Place,
    positions: Positions,
    supervisor: Mutex<Supervisor>,
    listening: std::sync::Mutex<Vec<Listening>>,
    configuration: watch::Sender<Vec<Position>>,
    cameras: watch::Sender<Vec<config::Camera>>,
    /// The line of an unknown device that is listened to. Taken after the visit, never before it.
    sniffing: Mutex<Option<sniff::Sniffing>>,
    /// The open visit, or the last one that was. Held while something is decided, kept and applied.
    visit: Mutex<Option<Visit>>,
}

/// Pairing at one hall. Clones are the same.
#[derive(Clone)]
pub struct Pairing(Arc<Inner>);

impl Pairing {
    /// Opens the positions' file and takes in what the TOML file says; nothing is driven yet.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn open(place: Place, supervisor: Supervisor) -> Result<Self, StoreFailed> {
        let data = place.config.hall.data.clone();
        let opened = tokio::task::spawn_blocking(move || Positions::open(&data)).await;
        let positions = opened.map_err(|e| StoreFailed(e.to_string()))??;
        let (config, now) = (place.config.clone(), place.clock.now_utc());
        let (all, visit) = positions
            .run(move |tx| {
                positions::take_from_config(tx, &config, now)?;
                let visit = match log::open(tx)? {
                    Some(visit) => Some(interrupted(tx, visit, now)?),
                    None => None,
                };
                Ok::<_, StoreFailed>((positions::all(tx)?, visit))
            })
            .await?;
        let pairing = Self(Arc::new(Inner {
            place,
            positions,
            supervisor: Mutex::new(supervisor),
            listening: std::sync::Mutex::default(),
            configuration: watch::Sender::new(Vec::new()),
            cameras: watch::Sender::new(Vec::new()),
            sniffing: Mutex::default(),
            visit: Mutex::new(visit),
        }));
        pairing.show(all);
        Ok(pairing)
    }

    /// What is told to the centre as `node.config_changed`.
    pub fn configuration(&self) -> Happening {
        let cameras = self.0.cameras.borrow().iter().map(config::Camera::entry).collect();
        let all = self.0.configuration.borrow();
        let positions = all.iter().filter(|p| p.role != Role::Camera).map(Position::entry).collect();
        Happening::NodeConfigChanged { cameras, positions }
    }

    /// The cameras that stand somewhere, as they change; told again too when a password was set.
    pub fn cameras(&self) -> watch::Receiver<Vec<config::Camera>> {
        self.0.cameras.subscribe()
    }

    /// Starts the drivers.
    pub async fn start(&self) {
        self.drive().await;
    }

    /// Stops the drivers.
    pub async fn stop(&self) {
        self.0.supervisor.lock().await.stop().await;
    }

    /// The positions' file.
    pub fn store(&self) -> &Positions {
        &self.0.positions
    }

    /// The keeper of the hall's page: it trusts the keys of the centre that this node is enrolled at.
    ///
    /// # Errors
    /// The identity or the positions' file cannot be read.
    pub async fn passes(&self, identity: &Identity) -> anyhow::Result<Passes> {
        let keys = identity.authority_keys()?;
        let revoked = self.0.positions.run(pass::revoked).await?;
        Ok(Passes::new(self.0.place.config.hall.id.clone(), keys, revoked))
    }

    fn now(&self) -> UtcMillis {
        self.0.place.clock.now_utc()
    }

    fn all(&self) -> Vec<Position> {
        self.0.configuration.borrow().clone()
    }

    fn show(&self, all: Vec<Position>) {
        let places = all.iter().map(|p| (p.id.to_string(), p.place())).collect();
        self.0.place.board.set_places(places, self.now());
        let mut cameras: Vec<config::Camera> =
            all.iter().filter_map(|p| p.camera(self.camera_name(p.id.as_str(), p.window.as_ref()))).collect();
        // The file's order is the order that people see them in; what was paired comes after.
        let file = &self.0.place.config.cameras;
        cameras.sort_by_key(|c| file.iter().position(|f| f.id == c.id).unwrap_or(file.len()));
        self.0.configuration.send_replace(all);
        self.0.cameras.send_replace(cameras);
    }

    /// What people call the camera of a place: as the file has it, or by its window.
    fn camera_name(&self, id: &str, window: Option<&WindowId>) -> String {
        let config = &self.0.place.config;
        if let Some(camera) = config.cameras.iter().find(|c| c.id.as_str() == id) {
            return camera.name.clone();
        }
        let last = id.rsplit('-').next().unwrap_or(id);
        match window.and_then(|id| config.windows.iter().find(|w| w.id == *id)) {
            Some(window) if last == "C1" => window.name.clone(),
            Some(window) => format!("{} {last}", window.name),
            None => format!("{} {last}", config.hall.name),
        }
    }

    async fn drive(&self) {
        let mut supervisor = self.0.supervisor.lock().await;
        // Read under the lock, so that of two changes the later one is what runs.
        let wanted: Vec<Wanted> = self.0.configuration.borrow().iter().filter_map(Position::wanted).collect();
        let listening = self.0.listening.lock().unwrap_or_else(PoisonError::into_inner).clone();
        supervisor.reconcile(&wanted, &listening).await;
    }

    fn set_listening(&self, change: impl FnOnce(&mut Vec<Listening>)) {
        change(&mut self.0.listening.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets everything follow the file after it changed, and tells the centre: `told` and the new configuration.
    async fn follow(&self, told: Vec<(Option<String>, Happening)>) -> Result<(), Problem> {
        let all = self.0.positions.run(positions::all).await?;
        self.show(all);
        self.drive().await;
        let clock = &self.0.place.clock;
        let mut entries = Vec::new();
        for (position, happening) in told {
            let mut entry = crate::run::own_entry(clock, happening);
            entry.window =
                position.as_deref().and_then(|p| self.0.place.board.place(p)).and_then(|p| p.window);
            entry.device = position;
            entries.push(entry);
        }
        entries.push(crate::run::own_entry(clock, self.configuration()));
        self.0.place.journal.append(entries).await.map_err(|e| {
            tracing::error!("what was paired could not be journalled: {e}");
            Problem::new(500, "failed", json!({}), format!("done, but not journalled: {e}"))
        })?;
        Ok(())
    }

    /// Keeps steps of `visit` together with what `work` changes, and applies them.
    async fn keep<T: Send + 'static>(
        &self,
        visit: &mut Visit,
        who: &Who,
        steps: Vec<Step>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (id, who, at, kept) = (visit.id.clone(), who.clone(), self.now(), steps.clone());
        let done = self
            .0
            .positions
            .run(move |tx| {
                let done = work(tx)?;
                log::keep(tx, &id, &who.name, who.door, at, &kept)?;
                Ok::<_, Problem>(done)
            })
            .await?;
        for step in &steps {
            visit.apply(at, step);
        }
        Ok(done)
    }
}

/// What cannot outlive the agent ends with it: searches and tests of a visit that a restart interrupted.
fn interrupted(tx: &Transaction<'_>, mut visit: Visit, now: UtcMillis) -> Result<Visit, StoreFailed> {
    let searches = visit.searches.iter().filter(|s| s.running()).map(|s| Step::SearchEnded {
        search: s.id.clone(),
        state: "stopped".into(),
        tried: None,
        of: None,
        why: Some("the agent was restarted".into()),
    });
    let tests = visit.tests.iter().filter(|t| t.ended_at.is_none());
    let tests = tests.map(|t| Step::TestEnded { position: t.position.clone() });
    let steps: Vec<Step> = searches.chain(tests).collect();
    log::keep(tx, &visit.id, "hall", Door::Hall, now, &steps)?;
    for step in &steps {
        visit.apply(now, step);
    }
    Ok(visit)
}

/// A short random id.
fn fresh(prefix: &str, now: UtcMillis) -> String {
    use ring::rand::SecureRandom;
    let mut random = [0; 5];
    // Without randomness the time still tells two apart.
    let _ = ring::rand::SystemRandom::new().fill(&mut random);
    format!("{prefix}-{:x}{}", now.0, data_encoding::HEXLOWER.encode(&random))
}
