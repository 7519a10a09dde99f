//! The simulated hall's configuration file: everything that stands in the hall. Unknown keys are refused.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::day;
use crate::rtsp::Authentication;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Hall ID, for instance `450103-01`.
    pub hall: String,
    /// The hall's name, as printed on tickets.
    pub name: String,
    /// Decides the scripted day; the same seed gives the same day.
    #[serde(default = "one")]
    pub seed: u64,
    /// How much faster than life the gaps between events pass. Clocks are never touched.
    #[serde(default = "life")]
    pub speed: f64,
    /// Folder for everything this run writes: ready file, log, device links.
    pub run: PathBuf,
    /// Folder of encoded footage, which several halls may share.
    pub footage: PathBuf,
    /// Where everything listens.
    #[serde(default = "loopback")]
    pub listen: IpAddr,
    /// Port of the cameras; 0 takes a free one.
    #[serde(default)]
    pub rtsp_port: u16,
    /// Port of the control interface; 0 takes a free one.
    #[serde(default)]
    pub control_port: u16,
    /// Port of the attendance terminal; 0 takes a free one.
    #[serde(default)]
    pub attendance_port: u16,
    /// The terminal's comm key; 0 = it asks for none.
    #[serde(default)]
    pub comm_key: u32,
    /// Time zone of the ticket machine's and the terminal's clocks; left out = the machine's.
    pub zone: Option<String>,
    /// Whether each picture carries the time at which it was sent.
    #[serde(default)]
    pub stamp: bool,
    /// Whether the scripted day runs by itself.
    #[serde(default = "yes")]
    pub day: bool,
    /// Tickets taken on a scripted day.
    #[serde(default = "usual_tickets")]
    pub tickets: u32,
    /// Minutes that a service takes, on average, at the script's own pace.
    #[serde(default = "usual_service")]
    pub service_minutes: f64,
    /// Kinds of service.
    #[serde(default, rename = "business")]
    pub businesses: Vec<BusinessEntry>,
    /// The staff.
    #[serde(default, rename = "clerk")]
    pub clerks: Vec<ClerkEntry>,
    /// The windows.
    #[serde(default, rename = "window")]
    pub windows: Vec<WindowEntry>,
    /// The cameras.
    #[serde(default, rename = "camera")]
    pub cameras: Vec<CameraEntry>,
    /// Devices that are in nobody's file, for somebody to pair; left out: there are none.
    pub spares: Option<SparesEntry>,
}

/// Devices to be paired: a bus evaluator, an unknown one, a terminal and this camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparesEntry {
    /// The camera, which tells of itself by ONVIF to its user.
    pub camera: CameraEntry,
    /// The port on which it answers WS-Discovery (3702 is the usual one); 0, or one that is taken: a free one.
    #[serde(default)]
    pub discovery_port: u16,
}

/// A kind of service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusinessEntry {
    /// Its name, without spaces.
    pub name: String,
    /// One capital letter in front of its ticket numbers.
    pub prefix: String,
    /// Its first ticket number.
    pub first: u32,
}

/// A person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClerkEntry {
    /// Staff number, two digits or more.
    pub number: String,
    /// Name.
    pub name: String,
}

/// A window with its devices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowEntry {
    /// Its number in the hall.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Names of the businesses it serves.
    pub businesses: Vec<String>,
    /// Staff number of who works there.
    pub clerk: String,
    /// The bus its devices are on, from 0.
    #[serde(default)]
    pub bus: usize,
    /// Bus address of its keypad.
    pub keypad: u8,
    /// Bus address of its evaluator; left out = the keypad's (acknowledged in form A), otherwise form B when it is
    /// the keypad's + 128.
    pub evaluator: Option<u8>,
}

impl WindowEntry {
    /// Bus address of its evaluator.
    #[must_use]
    pub fn evaluator(&self) -> u8 {
        self.evaluator.unwrap_or(self.keypad)
    }
}

/// A camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraEntry {
    /// Camera ID, for instance `450103-01-W07-C1`.
    pub id: String,
    /// First part of its paths, for instance `W07`.
    pub path: String,
    /// The number in its pictures' mark.
    pub mark: u16,
    /// The text drawn large in its pictures (Latin letters and digits); left out = its path.
    pub label: Option<String>,
    /// User name.
    #[serde(default)]
    pub user: String,
    /// Password.
    #[serde(default)]
    pub password: String,
    /// How it asks for them.
    #[serde(default)]
    pub authentication: Authentication,
    /// An MP4 file to show in place of drawn footage.
    pub clip: Option<PathBuf>,
    /// The same for the sub stream; left out with a `clip` = no sub stream.
    pub sub_clip: Option<PathBuf>,
}

fn one() -> u64 {
    1
}
fn life() -> f64 {
    1.0
}
fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}
fn yes() -> bool {
    true
}
fn usual_tickets() -> u32 {
    120
}
fn usual_service() -> f64 {
    8.0
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no configuration: says where.
    #[error("{path}: {source}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// Its parts do not fit together.
    #[error("{0}")]
    Wrong(String),
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, has unknown keys, or names things that are not there.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the file's form alone cannot say.
    ///
    /// # Errors
    /// Names the first thing that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: String| Err(ConfigError::Wrong(text));
        if !(0.001..=100_000.0).contains(&self.speed) {
            return wrong(format!("speed: {} is not between 0.001 and 100000", self.speed));
        }
        if !(0.1..=600.0).contains(&self.service_minutes) {
            return wrong(format!("service_minutes: {} is not between 0.1 and 600", self.service_minutes));
        }
        for business in &self.businesses {
            if business.prefix.len() != 1 || !business.prefix.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return wrong(format!("business {}: prefix must be one capital letter", business.name));
            }
            if business.name.is_empty() || business.name.contains(char::is_whitespace) {
                return wrong(format!("business \"{}\": a name without spaces is needed", business.name));
            }
        }
        for clerk in &self.clerks {
            if clerk.number.len() < 2 || !clerk.number.bytes().all(|byte| byte.is_ascii_digit()) {
                return wrong(format!("clerk {}: the number must be two digits or more", clerk.number));
            }
        }
        let mut addresses = HashSet::new();
        for window in &self.windows {
            let name = |wanted: &str| self.businesses.iter().any(|business| business.name == wanted);
            if let Some(unknown) = window.businesses.iter().find(|wanted| !name(wanted)) {
                return wrong(format!("window {}: there is no business {unknown}", window.number));
            }
            if !self.clerks.iter().any(|clerk| clerk.number == window.clerk) {
                return wrong(format!("window {}: there is no clerk {}", window.number, window.clerk));
            }
            if window.bus > 63 {
                return wrong(format!("window {}: bus must be at most 63", window.number));
            }
            let fresh = addresses.insert((window.bus, window.keypad))
                && (window.evaluator() == window.keypad
                    || addresses.insert((window.bus, window.evaluator())));
            if !fresh {
                return wrong(format!(
                    "window {}: its address on bus {} is taken",
                    window.number, window.bus
                ));
            }
        }
        let mut paths = HashSet::new();
        for camera in self.every_camera() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if camera.path.is_empty() || !camera.path.chars().all(plain) || !paths.insert(&camera.path) {
                return wrong(format!("camera {}: path must be letters and digits, and its own", camera.id));
            }
        }
        Ok(())
    }

    /// The cameras, the spare one included.
    pub fn every_camera(&self) -> impl Iterator<Item = &CameraEntry> {
        self.cameras.iter().chain(self.spares.as_ref().map(|spares| &spares.camera))
    }

    /// The scripted day's plan.
    #[must_use]
    pub fn plan(&self) -> day::Plan {
        let business = |name: &String| self.businesses.iter().position(|business| business.name == *name);
        let windows = self.windows.iter().map(|window| day::Window {
            number: window.number,
            keypad: window.keypad,
            evaluator: window.evaluator(),
            businesses: window.businesses.iter().filter_map(business).collect(),
            clerk: self.clerks.iter().position(|clerk| clerk.number == window.clerk).unwrap_or(0),
        });
        let businesses = self.businesses.iter().map(|business| day::Business {
            name: business.name.clone(),
            prefix: business.prefix.clone(),
            first: business.first,
        });
        day::Plan {
            windows: windows.collect(),
            businesses: businesses.collect(),
            clerks: self.clerks.iter().map(|clerk| day::Clerk { number: clerk.number.clone() }).collect(),
            tickets: self.tickets,
            service: (self.service_minutes * 60_000.0) as u64,
            ..day::Plan::default()
        }
    }

    /// The devices' time zone.
    ///
    /// # Errors
    /// When there is no zone of that name.
    pub fn time_zone(&self) -> Result<jiff::tz::TimeZone, ConfigError> {
        match &self.zone {
            None => Ok(jiff::tz::TimeZone::system()),
            Some(name) => jiff::tz::TimeZone::get(name)
                .map_err(|error| ConfigError::Wrong(format!("zone {name}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        hall = "450103-01"
        name = "青秀区政务服务中心"
        run = "run"
        footage = "footage"
        [[business]]
        name = "社保"
        prefix = "A"
        first = 1
        [[clerk]]
        number = "1001"
        name = "张丽"
        [[window]]
        number = 7
        name = "社保7号"
        businesses = ["社保"]
        clerk = "1001"
        keypad = 7
        [[camera]]
        id = "450103-01-W07-C1"
        path = "W07"
        mark = 107
    "#;

    #[test]
    fn a_small_hall_is_read() {
        let config: Config = toml::from_str(SMALL).unwrap();
        config.check().unwrap();
        assert_eq!(config.plan().windows[0].evaluator, 7);
        assert!(config.day && config.listen.is_loopback());
    }

    #[test]
    fn the_example_is_read() {
        let config: Config = toml::from_str(include_str!("../hall.example.toml")).unwrap();
        config.check().unwrap();
        assert_eq!((config.windows.len(), config.cameras.len()), (2, 2));
    }

    #[test]
    fn mistakes_are_named() {
        let error = toml::from_str::<Config>(&format!("sped = 3\n{SMALL}")).unwrap_err().to_string();
        assert!(error.contains("sped"), "{error}");
        for (from, to, said) in [
            ("businesses = [\"社保\"]", "businesses = [\"税务\"]", "no business 税务"),
            ("clerk = \"1001\"", "clerk = \"1002\"", "no clerk 1002"),
            ("path = \"W07\"", "path = \"W/7\"", "path must be"),
            ("prefix = \"A\"", "prefix = \"AB\"", "one capital letter"),
        ] {
            let config: Config = toml::from_str(&SMALL.replace(from, to)).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
