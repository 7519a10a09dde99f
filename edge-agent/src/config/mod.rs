//! The agent's TOML file: what it holds, its defaults, and the checks that make every later use of it safe.
//!
//! A file only starts a node (docs/architecture.md). No secret stands in it: passwords are named here and kept in the
//! [vault](crate::vault). An unknown key is refused with its path and the nearest known one.

pub mod inspection;
mod known;
mod raw;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use control_protocol::{CameraId, HallId, PositionId, WindowId, event::CameraEntry};
use device_drivers::{
    attendance::{push::ClockOrder, zk::Transport},
    port::Network,
};
use jiff::tz::TimeZone;
use url::Url;

use crate::connection::Connection;
pub use crate::connection::{AckForm, TicketPattern};

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
    /// The hall's own page for technicians; none: it is not served.
    pub hall_site: Option<HallSite>,
    /// What a technician may search.
    pub pairing: PairingHints,
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
    /// Fingerprint clocks that are dialled.
    pub attendance: Vec<Attendance>,
    /// Where fingerprint clocks call in; none: nowhere.
    pub push: Option<PushListener>,
    /// Tickets of ours.
    pub tickets: TicketDesk,
    /// Devices of all other kinds.
    pub more_devices: Vec<Device>,
    /// Cameras.
    pub cameras: Vec<Camera>,
    /// How cameras are pulled.
    pub video: Video,
    /// What is recorded, and for how long it is kept.
    pub recording: Recording,
    /// How pictures are looked at.
    pub inspection: inspection::Inspection,
    /// What is transcoded.
    pub transcoding: Transcoding,
    /// Cameras whose ONVIF device service is not at the usual address.
    pub onvif: BTreeMap<CameraId, Url>,
}

/// The transcoding of what browsers cannot play.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default)]
pub struct Transcoding {
    /// So many pictures at once; 0: none, then stills stand in.
    pub at_once: usize,
    /// The largest height, in pixels.
    pub max_height: u32,
    /// The bit rate, in 1000 bits a second.
    pub kilobits: u32,
}

impl Default for Transcoding {
    fn default() -> Self {
        Self { at_once: 2, max_height: 720, kilobits: 1_500 }
    }
}

/// Which stream of a camera is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordedStream {
    /// The main stream.
    Main,
    /// The second one; where there is none, the main stream.
    Sub,
}

/// The recorder.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Whether anything is recorded.
    pub enabled: bool,
    /// The folder of the recordings.
    pub folder: PathBuf,
    /// Which stream.
    pub stream: RecordedStream,
    /// Whether its sound is kept.
    pub sound: bool,
    /// Footage is kept so many days.
    pub days: u32,
    /// And at most so many bytes of each camera; 0: no limit.
    pub bytes_per_camera: u64,
    /// So much of the disk is never taken, bytes.
    pub keep_free: u64,
    /// The length of a segment.
    pub segment: Duration,
    /// What was written is on disk after this at the latest.
    pub sync: Duration,
    /// What is held without anybody asking.
    pub holds: AutomaticHolds,
    /// Cameras that are not recorded.
    pub except: Vec<CameraId>,
}

impl Recording {
    /// The stream of a camera whose sound is kept, if any.
    pub fn sound_of(&self, camera: &CameraId) -> Option<RecordedStream> {
        (self.enabled && self.sound && !self.except.contains(camera)).then_some(self.stream)
    }
}

/// Footage that is held without anybody asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutomaticHolds {
    /// How long footage of a bad rating is held, in days.
    pub rating_days: u32,
    /// The alarms whose footage is held.
    pub alarms: Vec<AlarmKind>,
    /// How long that is, in days.
    pub alarm_days: u32,
}

/// An alarm whose footage may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmKind {
    /// The picture of a camera is bad: black, frozen, blocked, out of focus, moved.
    Picture,
    /// A camera is lost.
    Camera,
    /// A device of a window is lost.
    Device,
}

impl AlarmKind {
    /// The kind as the file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Camera => "camera",
            Self::Device => "device",
        }
    }
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

/// Where the hall's own page is served, by HTTPS.
#[derive(Debug, Clone)]
pub struct HallSite {
    /// The address; port 0 takes a free one, written to `hall-site.json` in the data folder.
    pub listen: SocketAddr,
    /// Names and addresses that people open it by, for its certificate.
    pub names: Vec<String>,
}

/// What is offered to a technician who searches for devices, beside what the machine itself knows.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct PairingHints {
    /// Device files that no bus of the machine lists, such as those of a serial server.
    pub ports: Vec<PathBuf>,
    /// Address ranges in which this hall's devices are.
    pub addresses: Vec<String>,
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
    /// Who pressed every key and found the map right; none: it is not in service until somebody has.
    pub grades_confirmed_by: Option<String>,
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

/// A fingerprint clock on port 4370.
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
    /// TCP or UDP.
    pub transport: Transport,
    /// Whether its clock is set when it is off.
    pub set_clock: bool,
}

/// Who takes tickets of ours.
#[derive(Debug, Clone, Default)]
pub struct TicketDesk {
    /// The kiosks' addresses, beside the machine itself.
    pub allow: Vec<Network>,
}

/// Where terminals call in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushListener {
    /// The address, in plain HTTP, which is all that terminals speak.
    pub listen: SocketAddr,
    /// Who may call.
    pub allow: Vec<Network>,
    /// Whether and how their clocks are set.
    pub set_clock: ClockOrder,
}

/// A device as the file has it.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its place.
    pub position: PositionId,
    /// The window it stands at.
    pub window: Option<WindowId>,
    /// What its line is called in logs and metrics.
    pub line: String,
    /// How it is reached.
    pub connection: Connection,
    /// For an evaluator: raw byte → grade, and who confirmed it.
    pub grades: Option<(BTreeMap<u8, u8>, Option<String>)>,
}

/// The devices of the older tables.
fn configured<'a>(
    buses: &'a [Bus],
    ticket_machines: &'a [TicketMachine],
    attendance: &'a [Attendance],
) -> impl Iterator<Item = Device> + 'a {
    let bus = |bus: &'a Bus| {
        let keypads = bus.keypads.iter().map(|k| Device {
            position: k.position.clone(),
            window: Some(k.window.clone()),
            line: bus.name.clone(),
            connection: Connection::BusKeypad { port: bus.path.clone(), baud: bus.baud, address: k.address },
            grades: None,
        });
        let evaluators = bus.evaluators.iter().map(|e| Device {
            position: e.position.clone(),
            window: Some(e.window.clone()),
            line: bus.name.clone(),
            connection: Connection::BusEvaluator {
                port: bus.path.clone(),
                baud: bus.baud,
                address: e.address,
                ack_form: bus.ack_form,
            },
            grades: Some((e.grades.clone(), e.grades_confirmed_by.clone())),
        });
        keypads.chain(evaluators)
    };
    let ticket_machine = |t: &TicketMachine| Device {
        position: t.position.clone(),
        window: None,
        line: t.name.clone(),
        connection: Connection::PrinterTap { port: t.path.clone(), baud: t.baud, pattern: t.pattern.clone() },
        grades: None,
    };
    let terminal = |a: &Attendance| Device {
        position: a.position.clone(),
        window: None,
        line: a.name.clone(),
        connection: Connection::Zk {
            address: a.address,
            comm_key_credential: a.comm_key_credential.clone(),
            log_seconds: a.log_seconds,
            transport: a.transport,
            set_clock: a.set_clock,
        },
        grades: None,
    };
    let buses = buses.iter().flat_map(bus);
    buses.chain(ticket_machines.iter().map(ticket_machine)).chain(attendance.iter().map(terminal))
}

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Every device of the file.
    pub fn devices(&self) -> impl Iterator<Item = Device> + '_ {
        configured(&self.buses, &self.ticket_machines, &self.attendance)
            .chain(self.more_devices.iter().cloned())
    }

    /// Which position of the file stands at which window.
    pub fn position_windows(&self) -> Vec<(PositionId, WindowId)> {
        self.devices().filter_map(|d| Some((d.position, d.window?))).collect()
    }
}

impl Camera {
    /// Its place with how it is reached: a camera's id is its place's.
    pub fn device(&self) -> Option<Device> {
        Some(Device {
            position: self.id.as_str().parse().ok()?,
            window: self.window.clone(),
            line: self.id.to_string(),
            connection: Connection::Camera {
                main: self.url.clone(),
                sub: self.sub_url.clone(),
                user: self.user.clone(),
                credential: self.credential.clone(),
            },
            grades: None,
        })
    }

    /// As it is told to the centre; without credentials.
    pub fn entry(&self) -> CameraEntry {
        CameraEntry {
            camera: self.id.clone(),
            window: self.window.clone(),
            name: self.name.clone(),
            url: self.url.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
