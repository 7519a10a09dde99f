//! What a request means and what it is answered: pure, with the time and the caller's address as arguments.
//!
//! Owns the allow-list, the pace that a terminal must keep, what was told before, and when a clock is to be set. Never
//! writes a stamp or a punch anywhere: that is done by whoever runs it, before [`Desk::stored`].

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    net::IpAddr,
    time::Duration,
};

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::text::{Options, Order, VERSION, Version, lines, read_punch, read_result};
use crate::{attendance::zk::records::Punch, clock::Mono, port::Network, reading::PositionId};

/// Longest body accepted; a terminal sends at most 900 KB at a time (docs/reference/devices.md A2).
pub const MAX_BODY: usize = 1 << 20;
/// Requests a terminal may make at once, and how many more each second: it asks every few seconds, and sends a backlog as fast
/// as it is answered.
const BURST: f64 = 60.0;
const PER_SECOND: f64 = 10.0;
/// Punches remembered of each terminal, so that what is sent again is not told again.
const REMEMBERED: usize = 20_000;
/// Callers remembered that are not on the list.
const STRANGERS: usize = 64;
/// The longest that a terminal waits before it sends again what was not taken.
const RETRY: Duration = Duration::from_secs(300);
/// How often a terminal's clock is set, where that is wanted.
const CLOCK_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Whether and how terminals are told to set their clocks. Without an order they follow the `Date` of the answers, as far as
/// their firmware does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockOrder {
    /// Not at all.
    #[default]
    Off,
    /// With a packed number, as most firmware wants it.
    Packed,
    /// With a date in text.
    Text,
}

/// A terminal that may call.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushTerminal {
    /// Its place.
    pub position: PositionId,
    /// Its serial number.
    pub serial: String,
    /// The key it must give at its start.
    #[serde(default)]
    pub comm_key: Option<String>,
    /// The only address it may call from.
    #[serde(default)]
    pub address: Option<IpAddr>,
}

impl fmt::Debug for PushTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushTerminal")
            .field("position", &self.position)
            .field("serial", &self.serial)
            .field("comm_key", &self.comm_key.as_ref().map(|_| "(hidden)"))
            .field("address", &self.address)
            .finish()
    }
}

/// Who may call and what they are told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// The allow-list.
    pub terminals: Vec<PushTerminal>,
    /// Where calls may come from; empty = from anywhere.
    #[serde(default)]
    pub allow: Vec<Network>,
    /// Seconds between two questions of a terminal, 2 to 60.
    #[serde(default = "default_delay")]
    pub delay_s: u16,
    /// Seconds after which it tries again when nobody answers, 30 to 300.
    #[serde(default = "default_error_delay")]
    pub error_delay_s: u16,
    /// The hall's time zone, minutes east of Greenwich.
    pub zone_minutes: i32,
    /// Whether clocks are set.
    #[serde(default)]
    pub clock: ClockOrder,
}

fn default_delay() -> u16 {
    10
}
fn default_error_delay() -> u16 {
    60
}

impl PushConfig {
    /// These terminals with the usual settings.
    pub fn new(terminals: Vec<PushTerminal>, zone_minutes: i32) -> Self {
        Self {
            terminals,
            allow: Vec::new(),
            delay_s: default_delay(),
            error_delay_s: default_error_delay(),
            zone_minutes,
            clock: ClockOrder::Off,
        }
    }
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `true` for POST, `false` for GET.
    pub post: bool,
    /// Path.
    pub path: &'a str,
    /// Query, percent-encoded.
    pub query: &'a str,
    /// Body.
    pub body: &'a [u8],
    /// Who asks.
    pub from: IpAddr,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Text.
    pub text: String,
}

impl Answer {
    fn ok(text: impl Into<String>) -> Self {
        Self { status: 200, text: text.into() }
    }

    /// To be answered when what was sent is not on disk: the terminal sends it again.
    pub fn later() -> Self {
        Self { status: 503, text: "not stored; send it again\n".to_owned() }
    }

    fn no(status: u16, text: &str) -> Self {
        Self { status, text: format!("{text}\n") }
    }
}

/// Part of the attendance log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Whose it is.
    pub serial: String,
    /// Its place.
    pub position: PositionId,
    /// What could be read, each with its line.
    pub punches: Vec<(Punch, Vec<u8>)>,
    /// Lines received, readable or not: what is acknowledged.
    pub count: usize,
    /// Where the terminal is in its log.
    pub stamp: Option<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answer.
    Answer(Answer),
    /// Start-up: answer with these options and the stamp that is kept for this terminal.
    Start {
        /// Its serial number.
        serial: String,
        /// The lower version of both.
        version: Version,
    },
    /// Get the punches that are [`fresh`](Desk::fresh) on disk, then say [`stored`](Desk::stored) and answer that.
    Store(Upload),
}

/// A terminal that has called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Its serial number.
    pub serial: String,
    /// Where it called from.
    pub address: IpAddr,
    /// It is on the list.
    pub allowed: bool,
    /// Its firmware, if it said.
    pub firmware: Option<String>,
}

type Key = (String, DateTime, u8);

#[derive(Debug, Default)]
struct Known {
    heard: Option<Mono>,
    /// Since when it calls without a break and nothing that it sent is outstanding.
    steady: Option<Mono>,
    /// When it was last said that it has told everything.
    said_all: Option<Mono>,
    /// The last start-up gave a wrong key.
    locked: bool,
    tokens: f64,
    filled: Mono,
    address: Option<IpAddr>,
    firmware: Option<String>,
    told: HashSet<Key>,
    order: VecDeque<Key>,
    clock_set: Option<Mono>,
    pending: Option<String>,
}

/// The far side of every terminal that calls in.
#[derive(Debug)]
pub struct Desk {
    config: PushConfig,
    known: BTreeMap<String, Known>,
    strangers: VecDeque<Caller>,
}

impl Desk {
    /// A desk for these terminals.
    pub fn new(config: PushConfig) -> Self {
        let fresh = |t: &PushTerminal| (t.serial.clone(), Known { tokens: BURST, ..Known::default() });
        let known = config.terminals.iter().map(fresh).collect();
        Self { config, known, strangers: VecDeque::new() }
    }

    /// The terminals that may call.
    pub fn terminals(&self) -> &[PushTerminal] {
        &self.config.terminals
    }

    /// When a terminal was last heard; `None` if not yet.
    pub fn heard(&self, serial: &str) -> Option<Mono> {
        self.known.get(serial)?.heard
    }

    /// Every terminal that has called, also those that are not on the list: for somebody who looks for a new one.
    pub fn callers(&self) -> Vec<Caller> {
        let known = self.known.iter().filter_map(|(serial, known)| {
            Some(Caller {
                serial: serial.clone(),
                address: known.address?,
                allowed: true,
                firmware: known.firmware.clone(),
            })
        });
        known.chain(self.strangers.iter().cloned()).collect()
    }

    /// Takes a request. `now` and `local` are the present, by the machine and on the hall's wall.
    pub fn take(&mut self, request: &Request<'_>, now: Mono, local: DateTime) -> Outcome {
        match self.understand(request, now, local) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Answer(refusal),
        }
    }

    fn understand(&mut self, request: &Request<'_>, now: Mono, local: DateTime) -> Result<Outcome, Answer> {
        let Some(what) = request.path.strip_prefix("/iclock/") else {
            return Err(Answer::no(404, "nothing here"));
        };
        // Some firmware asks for cdata.aspx.
        let what = what.strip_suffix(".aspx").unwrap_or(what);
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(request.query.as_bytes())
            .take(32)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let field = |name: &str| query.get(name).map(String::as_str);
        let serial = field("SN").filter(|sn| is_serial(sn)).ok_or(Answer::no(400, "no serial number"))?;
        let table = field("table").unwrap_or_default();
        let Some(terminal) = self.config.terminals.iter().find(|t| t.serial == serial) else {
            self.stranger(serial, request.from);
            return Err(Answer::no(403, "this terminal is not on the list"));
        };
        if terminal.address.is_some_and(|only| only != request.from) {
            tracing::warn!(serial, from = %request.from, "a request in this terminal's name from another address was refused");
            return Err(Answer::no(403, "wrong address"));
        }
        let position = terminal.position.clone();
        let Some(known) = self.known.get_mut(serial) else {
            return Err(Answer::no(403, "this terminal is not on the list"));
        };
        known.tokens = (known.tokens + now.since(known.filled).as_secs_f64() * PER_SECOND).min(BURST);
        known.filled = now;
        if known.tokens < 1.0 {
            tracing::debug!(serial, "a terminal asks too often");
            return Err(Answer::no(429, "too often"));
        }
        known.tokens -= 1.0;
        if foreign(what, table, field("DeviceType")) {
            tracing::warn!(
                serial,
                path = request.path,
                table,
                "this terminal speaks the access-control dialect of PUSH, which is not taken; set it to attendance (考勤) in its menu"
            );
            return Err(Answer::no(403, "attendance PUSH only"));
        }
        let starts = what == "cdata" && !request.post && (field("options").is_some() || table.is_empty());
        if starts && let Some(key) = &terminal.comm_key {
            known.locked = field("pushcommkey") != Some(key.as_str());
        }
        if known.locked {
            tracing::warn!(
                serial,
                "this terminal gave a wrong communication key and is refused until it gives the right one"
            );
            return Err(Answer::no(403, "wrong communication key"));
        }
        known.heard = Some(now);
        known.steady.get_or_insert(now);
        known.address = Some(request.from);
        match (what, request.post, table) {
            ("cdata", false, _) if starts => {
                let version = field("pushver").and_then(Version::read).unwrap_or(Version::UNSAID);
                // It may have been restarted: its clock is set anew.
                known.clock_set = None;
                Ok(Outcome::Start { serial: serial.to_owned(), version: version.min(VERSION) })
            }
            ("cdata", true, "ATTLOG") => {
                let all = lines(request.body);
                let punches: Vec<_> =
                    all.filter_map(|line| Some((read_punch(line)?, line.to_vec()))).collect();
                let count = lines(request.body).count();
                if punches.len() < count {
                    let bad = lines(request.body).find(|line| read_punch(line).is_none()).unwrap_or_default();
                    tracing::warn!(
                        serial,
                        lines = count - punches.len(),
                        first = %data_encoding::HEXLOWER.encode(&bad[..bad.len().min(64)]),
                        "attendance lines that cannot be read were passed over"
                    );
                }
                let stamp = field("Stamp").filter(|s| is_stamp(s)).map(str::to_owned);
                // It counts as outstanding until it is on disk.
                known.steady = None;
                Ok(Outcome::Store(Upload { serial: serial.to_owned(), position, punches, count, stamp }))
            }
            ("cdata", true, "options") => Ok(Outcome::Answer(Answer::ok("OK\n"))),
            // Not asked for. Counted, or it would come again for ever; never looked into.
            ("cdata", true, "OPERLOG") => {
                Ok(Outcome::Answer(Answer::ok(format!("OK:{}\n", lines(request.body).count()))))
            }
            ("cdata", true, _) | ("cdata" | "ping", false, _) => Ok(Outcome::Answer(Answer::ok("OK\n"))),
            ("getrequest", false, _) => {
                if let Some(info) = field("INFO") {
                    known.firmware = info.split(',').next().filter(|f| f.len() <= 64).map(str::to_owned);
                }
                let due = known.clock_set.is_none_or(|set| now.since(set) >= CLOCK_EVERY);
                let order = match self.config.clock {
                    ClockOrder::Packed if due => Order::SetClockPacked(local),
                    ClockOrder::Text if due => Order::SetClockText(local),
                    _ => return Ok(Outcome::Answer(Answer::ok("OK\n"))),
                };
                let id = format!("T{}", local.strftime("%y%m%d%H%M%S"));
                known.clock_set = Some(now);
                known.pending = Some(id.clone());
                Ok(Outcome::Answer(Answer::ok(order.write(&id))))
            }
            ("devicecmd", true, _) => {
                for (id, code) in lines(request.body).filter_map(read_result) {
                    if known.pending.as_ref() == Some(&id) {
                        known.pending = None;
                        if code < 0 {
                            tracing::warn!(serial, code, "the terminal did not set its clock");
                        }
                    }
                }
                Ok(Outcome::Answer(Answer::ok("OK\n")))
            }
            _ => Err(Answer::no(404, "nothing here")),
        }
    }

    fn stranger(&mut self, serial: &str, from: IpAddr) {
        if let Some(known) = self.strangers.iter_mut().find(|s| s.serial == serial) {
            known.address = from;
            return;
        }
        tracing::warn!(serial, %from, "a terminal that is not on the list called and was refused");
        if self.strangers.len() >= STRANGERS {
            self.strangers.pop_front();
        }
        let caller = Caller { serial: serial.to_owned(), address: from, allowed: false, firmware: None };
        self.strangers.push_back(caller);
    }

    /// Terminals that have told all they held, and up to when; each now and then. A terminal sends what it holds when it calls,
    /// and sends again within [`RETRY`] what was not taken: one that has called steadily for longer holds nothing older.
    pub fn told_all(&mut self, now: Mono, silent_after: Duration) -> Vec<(PositionId, Mono)> {
        let mut told = Vec::new();
        for terminal in &self.config.terminals {
            let Some(known) = self.known.get_mut(&terminal.serial) else { continue };
            let Some(heard) = known.heard else { continue };
            if now.since(heard) >= silent_after {
                known.steady = None;
                continue;
            }
            let through = Mono(heard.0.saturating_sub(RETRY.as_micros() as u64));
            let due = known.said_all.is_none_or(|said| now.since(said) >= RETRY);
            if due && known.steady.is_some_and(|since| since <= through) {
                known.said_all = Some(now);
                told.push((terminal.position.clone(), through));
            }
        }
        told
    }

    /// The answer to a start-up.
    pub fn start(&self, serial: &str, version: Version, stamp: Option<&str>) -> Answer {
        let options = Options {
            serial,
            stamp: stamp.filter(|s| is_stamp(s)),
            error_delay_s: self.config.error_delay_s.clamp(30, 300),
            delay_s: self.config.delay_s.clamp(2, 60),
            zone_minutes: self.config.zone_minutes,
            version,
        };
        Answer::ok(options.write())
    }

    /// Which punches of an upload were not told yet; each once.
    pub fn fresh(&self, upload: &Upload) -> Vec<(Punch, Vec<u8>)> {
        let told = self.known.get(&upload.serial).map(|known| &known.told);
        let mut here = HashSet::new();
        let mut is_new =
            |punch: &Punch| told.is_none_or(|told| !told.contains(&key(punch))) && here.insert(key(punch));
        upload.punches.iter().filter(|(punch, _)| is_new(punch)).cloned().collect()
    }

    /// To be said when every punch of the upload is on disk. Gives the acknowledgement.
    pub fn stored(&mut self, upload: &Upload) -> Answer {
        if let Some(known) = self.known.get_mut(&upload.serial) {
            known.steady = known.heard;
            for (punch, _) in &upload.punches {
                if known.told.insert(key(punch)) {
                    known.order.push_back(key(punch));
                }
            }
            while known.order.len() > REMEMBERED {
                if let Some(oldest) = known.order.pop_front() {
                    known.told.remove(&oldest);
                }
            }
        }
        // The lines received, not those that are new: some firmware sends everything again for ever otherwise.
        Answer::ok(format!("OK:{}\n", upload.count))
    }
}

fn key(punch: &Punch) -> Key {
    (punch.employee.clone(), punch.at, punch.state)
}

fn is_serial(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn is_stamp(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether it is the access-control dialect.
fn foreign(what: &str, table: &str, kind: Option<&str>) -> bool {
    matches!(what, "registry" | "push" | "querydata" | "rtdata")
        || matches!(table, "rtlog" | "rtstate" | "tabledata")
        || kind.is_some_and(|kind| kind.eq_ignore_ascii_case("acc"))
}

#[cfg(test)]
mod tests;
