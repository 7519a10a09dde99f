//! The agent's TOML file: what it holds, its defaults, and the checks that make every later use of it safe.
//!
//! A file only starts a node (docs/architecture.md). No secret stands in it: passwords are named here and kept in the
//! [vault](crate::vault). An unknown key is refused with its path and the nearest known one.

mod known;
mod raw;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use control_protocol::{
    CameraId, HallId, PositionId, WindowId,
    event::{CameraEntry, PositionEntry},
};
use jiff::tz::TimeZone;
use url::Url;

/// Why a configuration is refused; each says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// Not TOML, or a value of the wrong kind.
    #[error("{0}")]
    Form(String),
    /// One or more settings that do not exist or cannot be.
    #[error("{}", .0.join("\n"))]
    Settings(Vec<String>),
}

/// Everything the agent was told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The hall.
    pub hall: Hall,
    /// The centre above.
    pub centre: Centre,
    /// The listener for the machine itself.
    pub local_site: LocalSite,
    /// What is queued for.
    pub businesses: Vec<Business>,
    /// The counters.
    pub windows: Vec<Window>,
    /// Serial lines with keypads and evaluators.
    pub buses: Vec<Bus>,
    /// What the keypads' keys mean here.
    pub keys: Keys,
    /// Printer lines.
    pub ticket_machines: Vec<TicketMachine>,
    /// Fingerprint clocks.
    pub attendance: Vec<Attendance>,
    /// Cameras.
    pub cameras: Vec<Camera>,
    /// How cameras are pulled.
    pub video: Video,
}

/// The hall the agent stands in.
#[derive(Debug, Clone)]
pub struct Hall {
    /// Its id, the prefix of its case IDs.
    pub id: HallId,
    /// What people call it.
    pub name: String,
    /// Its local time.
    pub time_zone: TimeZone,
    /// The folder of everything the agent keeps.
    pub data: PathBuf,
    /// The local hour (0 to 23) at which the day ends: what is open is closed and numbering starts again.
    pub day_ends_hour: i8,
    /// How long a rated case stays open for a second press to be told apart, in milliseconds.
    pub rated_linger_ms: i64,
}

/// The control centre's node listener.
#[derive(Debug, Clone)]
pub struct Centre {
    /// `https://host:port`.
    pub url: Url,
    /// The first delivery waits a random time up to this, so that a region's halls do not all dial at once; seconds.
    pub first_delay_seconds: u64,
}

/// Where `/livez`, `/readyz` and `/metrics` are served.
#[derive(Debug, Clone)]
pub struct LocalSite {
    /// The address; port 0 takes a free one, written to `local-site.json` in the data folder.
    pub listen: SocketAddr,
}

/// A kind of service that has its own queue.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Business {
    /// Its name, as printed on tickets.
    pub name: String,
    /// The letters its ticket numbers begin with.
    #[serde(default)]
    pub prefix: String,
    /// Tickets of a higher priority are called first; 0 is the usual.
    #[serde(default)]
    pub priority: u8,
}

/// A counter.
#[derive(Debug, Clone)]
pub struct Window {
    /// `<hall>-W<number>`.
    pub id: WindowId,
    /// Its number, as typed on keypads.
    pub number: u16,
    /// What people call it.
    pub name: String,
    /// What it serves.
    pub businesses: Vec<String>,
    /// How long a rating stays invited.
    pub rating_seconds: u32,
}

/// A serial line with keypads and evaluators.
#[derive(Debug, Clone)]
pub struct Bus {
    /// Its name in logs.
    pub name: String,
    /// The device file; one below `/dev/serial/by-id` survives replugging.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// How its evaluators are acknowledged.
    pub ack_form: AckForm,
    /// Its keypads.
    pub keypads: Vec<Keypad>,
    /// Its evaluators.
    pub evaluators: Vec<Evaluator>,
}

/// The two ways evaluators of the `FF 68` family are acknowledged (docs/reference/devices.md B2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum AckForm {
    /// A normal frame with function 01.
    A,
    /// Eight bytes without the leading `FF`.
    B,
}

/// A caller keypad.
#[derive(Debug, Clone)]
pub struct Keypad {
    /// Its place.
    pub position: PositionId,
    /// The window it stands at.
    pub window: WindowId,
    /// Its number on the bus.
    pub address: u8,
}

/// An evaluator.
#[derive(Debug, Clone)]
pub struct Evaluator {
    /// Its place.
    pub position: PositionId,
    /// The window it stands at.
    pub window: WindowId,
    /// Its number on the bus.
    pub address: u8,
    /// Raw byte → national grade 1 to 5; never guessed, since every maker orders them differently.
    pub grades: BTreeMap<u8, u8>,
}

/// What the `功能` key does after one digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Put the case on hold.
    Hold,
    /// Call back the one on hold.
    CallBack,
    /// The clerk leaves; the window closes.
    SignOut,
    /// The person did not come.
    NoShow,
    /// Close the window for a while, or open it again.
    Pause,
}

/// What the keypads' keys mean here; the other keys mean what is printed on them.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Digit typed before `功能` → what it does.
    pub function: BTreeMap<u8, Function>,
    /// Digits before `功能` that make a staff number, at least.
    pub sign_in_digits: usize,
}

/// A printer line that is read as it prints.
#[derive(Debug, Clone)]
pub struct TicketMachine {
    /// Its name, such as `T01`.
    pub name: String,
    /// Its place.
    pub position: PositionId,
    /// The device file.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// How its slips are read.
    pub pattern: TicketPattern,
}

/// Regular expressions with one named group each, over the slip's lines of text.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct TicketPattern {
    /// Group `number`.
    pub number: String,
    /// Group `business`.
    pub business: String,
    /// Group `waiting`.
    pub waiting: Option<String>,
    /// Group `time`.
    pub time: Option<String>,
}

/// A fingerprint clock on TCP 4370.
#[derive(Debug, Clone)]
pub struct Attendance {
    /// Its name, such as `A01`.
    pub name: String,
    /// Its place.
    pub position: PositionId,
    /// Where it is dialled.
    pub address: SocketAddr,
    /// The vault's name for its communication key; none: no key.
    pub comm_key_credential: Option<String>,
    /// How often its log is read anew, in seconds.
    pub log_seconds: u64,
}

/// A camera.
#[derive(Debug, Clone)]
pub struct Camera {
    /// Its id.
    pub id: CameraId,
    /// The window it looks at; none: the hall at large (安防).
    pub window: Option<WindowId>,
    /// What people call it.
    pub name: String,
    /// Main stream, never with user or password.
    pub url: Url,
    /// Second stream, smaller.
    pub sub_url: Option<Url>,
    /// Who to sign in as.
    pub user: Option<String>,
    /// The vault's name for the password.
    pub credential: Option<String>,
}

/// How cameras are pulled.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default)]
pub struct Video {
    /// Pull the second stream of each camera all the time, so that a wall starts at once.
    pub keep_sub: bool,
    /// Keep the main stream this long after the last viewer left, seconds.
    pub main_linger_seconds: u64,
}

impl Default for Video {
    fn default() -> Self {
        Self { keep_sub: true, main_linger_seconds: 10 }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, BadConfig> {
        let text =
            std::fs::read_to_string(path).map_err(|why| BadConfig::Read { path: path.to_owned(), why })?;
        Self::parse(&text)
    }

    /// Reads and checks a file's text.
    pub fn parse(text: &str) -> Result<Self, BadConfig> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| BadConfig::Form(e.to_string()))?;
        let unknown = known::unknown(&table);
        if !unknown.is_empty() {
            return Err(BadConfig::Settings(unknown));
        }
        let raw: raw::Raw = toml::from_str(text).map_err(|e| BadConfig::Form(e.to_string()))?;
        raw.check().map_err(BadConfig::Settings)
    }

    /// The window of this number.
    pub fn window_by_number(&self, number: u16) -> Option<&Window> {
        self.windows.iter().find(|w| w.number == number)
    }

    /// The positions of all devices, for `node.config_changed`.
    pub fn position_entries(&self) -> Vec<PositionEntry> {
        let entry = |position: &PositionId, window: Option<&WindowId>, role: &str| PositionEntry {
            position: position.clone(),
            window: window.cloned(),
            role: role.to_owned(),
        };
        let buses = self.buses.iter().flat_map(|bus| {
            let keypads = bus.keypads.iter().map(|k| entry(&k.position, Some(&k.window), "keypad"));
            keypads.chain(bus.evaluators.iter().map(|e| entry(&e.position, Some(&e.window), "evaluator")))
        });
        let tickets = self.ticket_machines.iter().map(|t| entry(&t.position, None, "ticket"));
        let clocks = self.attendance.iter().map(|a| entry(&a.position, None, "attendance"));
        buses.chain(tickets).chain(clocks).collect()
    }

    /// The cameras, for `node.config_changed`; without credentials.
    pub fn camera_entries(&self) -> Vec<CameraEntry> {
        let entry = |c: &Camera| CameraEntry {
            camera: c.id.clone(),
            window: c.window.clone(),
            name: c.name.clone(),
            url: c.url.to_string(),
        };
        self.cameras.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests;
