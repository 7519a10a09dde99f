//! How a device is reached, as the configuration and a position's binding have it. Plain data: it opens nothing and holds no
//! secret (a secret is named and stands in the [vault](crate::vault)).

mod line;
mod role;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use device_drivers::{
    attendance::{
        fingerprint::{Family, Slot},
        zk::Transport,
    },
    port::HandedPort,
    profile::Args,
    ticket::{PaperWidth, TapConfig, TicketTap},
};
use serde::{Deserialize, Serialize};
use url::Url;

pub use line::Line;
pub use role::Role;

/// The two ways evaluators of the `FF 68` family are acknowledged (docs/reference/devices.md B2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AckForm {
    /// A normal frame with function 01.
    A,
    /// Eight bytes without the leading `FF`.
    B,
}

/// Regular expressions with one named group each, over the slip's lines of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl TicketPattern {
    /// The expressions that are given.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        [Some(&self.number), Some(&self.business), self.waiting.as_ref(), self.time.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// How a device is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Connection {
    /// A keypad on a counter bus.
    BusKeypad {
        /// The device file.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
        /// Its number on the bus.
        address: u8,
    },
    /// An evaluator on a counter bus.
    BusEvaluator {
        /// The device file.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
        /// Its number on the bus.
        address: u8,
        /// How it is acknowledged.
        ack_form: AckForm,
    },
    /// A printer's line, read as it prints.
    PrinterTap {
        /// The device file.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
        /// How its slips are read.
        pattern: TicketPattern,
    },
    /// A terminal on port 4370.
    Zk {
        /// Where it is dialled.
        address: SocketAddr,
        /// The vault's name for its communication key.
        comm_key_credential: Option<String>,
        /// How often its log is read anew, seconds.
        log_seconds: u64,
        /// TCP or UDP.
        #[serde(default)]
        transport: Transport,
        /// Whether its clock is set when it is off.
        #[serde(default)]
        set_clock: bool,
    },
    /// A camera, by its streams' addresses.
    Camera {
        /// `rtsp://…` of its main stream, without user and password.
        main: Url,
        /// Of its second, smaller one.
        #[serde(default)]
        sub: Option<Url>,
        /// Who to sign in as.
        #[serde(default)]
        user: Option<String>,
        /// The vault's name for the password.
        #[serde(default)]
        credential: Option<String>,
    },
    /// A terminal that calls in at the hall's listener for attendance PUSH.
    Push {
        /// Its serial number, by which it says who it is.
        serial: String,
        /// The only address it may call from.
        #[serde(default)]
        address: Option<IpAddr>,
        /// The vault's name for its communication key.
        #[serde(default)]
        comm_key_credential: Option<String>,
    },
    /// A fingerprint module on a line.
    Fingerprint {
        /// What carries its bytes.
        line: Line,
        /// Its protocol.
        family: Family,
        /// The vault's name for its password, a number; none: as delivered.
        #[serde(default)]
        password_credential: Option<String>,
        /// Who has which slot.
        slots: Vec<Slot>,
        /// What a punch here means: 0 in, 1 out, 2 break out, 3 break in, 4 overtime in, 5 overtime out.
        #[serde(default)]
        state: u8,
    },
    /// A ticket printer of ours.
    Printer {
        /// What carries its bytes.
        line: Line,
        /// The roll it takes.
        #[serde(default)]
        paper: PaperWidth,
        /// The last line of its tickets.
        #[serde(default)]
        note: String,
    },
    /// A modem for text messages.
    Modem {
        /// What carries its bytes.
        line: Line,
        /// Messages that one number may get in 24 hours.
        #[serde(default = "default_daily")]
        daily_per_number: usize,
    },
    /// A device that speaks by a profile.
    Profile {
        /// What carries its bytes.
        line: Line,
        /// What it does.
        role: Role,
        /// The profile's name.
        profile: String,
        /// Its address on the line; none: it is alone there.
        #[serde(default)]
        address: Option<u8>,
        /// The form of acknowledgement it expects, where its profile has several.
        #[serde(default)]
        ack_form: Option<String>,
        /// What a display shows or a voice speaks for a call, with `{ticket}` and `{window}`; none: the usual.
        #[serde(default)]
        text: Option<String>,
        /// Values of the profile's commands that are the same each time, such as a colour.
        #[serde(default)]
        values: Args,
    },
}

fn default_daily() -> usize {
    10
}

/// Whether both stand on one line without harm: bus devices by the rules of their bus, others by what tells them apart.
fn get_along(a: &Connection, b: &Connection) -> bool {
    use Connection::{BusEvaluator, BusKeypad, Profile};
    match (a, b) {
        (BusKeypad { .. } | BusEvaluator { .. }, BusKeypad { .. } | BusEvaluator { .. }) => true,
        // Without an address it takes every frame for its own.
        (BusKeypad { .. } | BusEvaluator { .. }, Profile { address, .. })
        | (Profile { address, .. }, BusKeypad { .. } | BusEvaluator { .. }) => address.is_some(),
        (
            Profile { profile: p, address: Some(at_p), role: r, .. },
            Profile { profile: q, address: Some(at_q), role: s, .. },
        ) => p != q || at_p != at_q || r.kind() != s.kind(),
        _ => false,
    }
}

impl Connection {
    /// What a device so reached does.
    pub fn role(&self) -> Role {
        match self {
            Self::BusKeypad { .. } => Role::Keypad,
            Self::BusEvaluator { .. } => Role::Evaluator,
            Self::PrinterTap { .. } => Role::Ticket,
            Self::Zk { .. } | Self::Push { .. } | Self::Fingerprint { .. } => Role::Attendance,
            Self::Camera { .. } => Role::Camera,
            Self::Printer { .. } => Role::Printer,
            Self::Modem { .. } => Role::Modem,
            Self::Profile { role, .. } => *role,
        }
    }

    /// The serial line, with its speed, where there is one.
    pub fn line(&self) -> Option<(&Path, u32)> {
        match self {
            Self::BusKeypad { port, baud, .. }
            | Self::BusEvaluator { port, baud, .. }
            | Self::PrinterTap { port, baud, .. }
            | Self::Fingerprint { line: Line::Serial { port, baud }, .. }
            | Self::Printer { line: Line::Serial { port, baud }, .. }
            | Self::Modem { line: Line::Serial { port, baud }, .. }
            | Self::Profile { line: Line::Serial { port, baud }, .. } => Some((port, *baud)),
            _ => None,
        }
    }

    /// What carries its bytes; none: it is reached by a protocol of its own.
    pub fn carrier(&self) -> Option<Line> {
        match self {
            Self::BusKeypad { port, baud, .. }
            | Self::BusEvaluator { port, baud, .. }
            | Self::PrinterTap { port, baud, .. } => Some(Line::Serial { port: port.clone(), baud: *baud }),
            Self::Fingerprint { line, .. }
            | Self::Printer { line, .. }
            | Self::Modem { line, .. }
            | Self::Profile { line, .. } => Some(line.clone()),
            Self::Zk { .. } | Self::Push { .. } | Self::Camera { .. } => None,
        }
    }

    /// Whether both may be on one line.
    pub fn shares_line_with(&self, other: &Self) -> bool {
        match (self.carrier(), other.carrier()) {
            (Some(a), Some(b)) if a.is_port_of(&b) => a == b && get_along(self, other),
            _ => true,
        }
    }

    /// What tells this piece of hardware from another where it has no serial number of its own.
    pub fn identity(&self) -> String {
        let file = |port: &Path| {
            port.file_name().map_or_else(|| port.display().to_string(), |n| n.to_string_lossy().into_owned())
        };
        match self {
            Self::BusKeypad { port, address, .. } => format!("serial:{}#{address}k", file(port)),
            Self::BusEvaluator { port, address, .. } => format!("serial:{}#{address}e", file(port)),
            Self::PrinterTap { port, .. } => format!("serial:{}", file(port)),
            Self::Zk { address, transport: Transport::Tcp, .. } => format!("tcp:{address}"),
            Self::Zk { address, transport: Transport::Udp, .. } => format!("udp:{address}"),
            Self::Camera { main, .. } => main.to_string(),
            Self::Push { serial, .. } => format!("push:{serial}"),
            Self::Fingerprint { line, .. } | Self::Printer { line, .. } | Self::Modem { line, .. } => {
                line.to_string()
            }
            Self::Profile { line, role, profile, address: Some(address), .. } => {
                format!("{line}#{profile}:{address}:{}", role.name())
            }
            Self::Profile { line, .. } => line.to_string(),
        }
    }

    /// What is wrong with the values, as the field and why.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        if let Some(fault) = self.carrier().and_then(|line| line.fault()) {
            return Some(fault);
        }
        let keyboard = matches!(self.carrier(), Some(Line::Keyboard { .. }));
        if keyboard && !matches!(self, Self::Profile { .. }) {
            return Some(("line", "this device is no keyboard".into()));
        }
        match self {
            Self::PrinterTap { pattern, .. } => {
                let patterns: Vec<String> = pattern.all().cloned().collect();
                let tap =
                    TicketTap::new(TapConfig::new("check".into(), patterns), Box::new(HandedPort::new([])));
                tap.err().map(|e| ("pattern", e.to_string()))
            }
            Self::Zk { log_seconds, .. } if !(1..=86_400).contains(log_seconds) => {
                Some(("log_seconds", "from 1 to 86400".into()))
            }
            Self::Camera { main, sub, user, .. } => {
                if let Some(why) = stream_fault(main) {
                    return Some(("main", why));
                }
                if let Some(why) = sub.as_ref().and_then(stream_fault) {
                    return Some(("sub", why));
                }
                let long = user.as_ref().is_some_and(|u| u.is_empty() || u.len() > 64);
                long.then(|| ("user", "1 to 64 characters".into()))
            }
            Self::Push { serial, .. } if !is_serial(serial) => Some((
                "serial",
                "the serial number as the terminal shows it: letters, digits, - and _".into(),
            )),
            Self::Fingerprint { slots, state, .. } => fingerprint_fault(slots, *state),
            Self::Printer { note, .. } if note.chars().count() > 100 => {
                Some(("note", "at most 100 characters".into()))
            }
            Self::Modem { daily_per_number, .. } if !(1..=1000).contains(daily_per_number) => {
                Some(("daily_per_number", "from 1 to 1000".into()))
            }
            Self::Profile { role, text, .. } => match text {
                _ if role.kind().is_none() => {
                    let roles: Vec<_> = Role::ALL.into_iter().filter(|r| r.kind().is_some()).collect();
                    let names: Vec<_> = roles.into_iter().map(Role::name).collect();
                    Some(("role", format!("one of {}", names.join(", "))))
                }
                Some(text) if text.chars().count() > 60 => Some(("text", "at most 60 characters".into())),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What is wrong with a stream's address.
fn stream_fault(url: &Url) -> Option<String> {
    if url.scheme() != "rtsp" || url.host_str().is_none_or(str::is_empty) || url.as_str().len() > 1024 {
        return Some("an address such as rtsp://192.168.1.64:554/Streaming/Channels/101".into());
    }
    (!url.username().is_empty() || url.password().is_some())
        .then(|| "user and password stand beside the address, never in it".into())
}

fn is_serial(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn fingerprint_fault(slots: &[Slot], state: u8) -> Option<(&'static str, String)> {
    if state > 5 {
        return Some(("state", "from 0 to 5".into()));
    }
    let mut seen = BTreeSet::new();
    let twice = slots.iter().find(|slot| !seen.insert(slot.slot));
    if let Some(twice) = twice {
        return Some(("slots", format!("slot {} is given to two employees", twice.slot)));
    }
    let nobody = slots.iter().find(|s| s.employee.is_empty() || s.employee.len() > 24);
    nobody.map(|s| ("slots", format!("slot {}: an employee's number of at most 24 characters", s.slot)))
}

#[cfg(test)]
mod tests;
