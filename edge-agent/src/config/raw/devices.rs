//! The devices that came after the counter bus, the tap and the dialled terminals: lines that speak by profiles, terminals
//! that call in, fingerprint modules, ticket printers of ours, modems.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
};

use control_protocol::{HallId, PositionId, WindowId};
use device_drivers::{
    attendance::{
        fingerprint::{Family, Slot},
        push::ClockOrder,
    },
    port::Network,
    profile::Args,
    ticket::PaperWidth,
};
use serde::Deserialize;

use super::{Faults, check_grades};
use crate::{
    config::{Device, PushListener, TicketDesk},
    connection::{Connection, Line, Role},
};

#[derive(Deserialize)]
pub(super) struct RawLine {
    name: String,
    #[serde(flatten)]
    carrier: RawCarrier,
    #[serde(default)]
    device: Vec<RawLineDevice>,
}

/// What carries the bytes: one of the four, as people write it.
#[derive(Deserialize)]
struct RawCarrier {
    path: Option<PathBuf>,
    baud: Option<u32>,
    address: Option<String>,
    listen: Option<String>,
    #[serde(default)]
    allow: Vec<String>,
    keyboard: Option<PathBuf>,
}

#[derive(Deserialize)]
struct RawLineDevice {
    role: Role,
    profile: String,
    window: Option<u16>,
    name: Option<String>,
    address: Option<u8>,
    ack_form: Option<String>,
    grades: Option<BTreeMap<String, u8>>,
    grades_confirmed_by: Option<String>,
    text: Option<String>,
    #[serde(default)]
    values: Args,
}

#[derive(Deserialize)]
pub(super) struct RawPush {
    listen: String,
    allow: Vec<String>,
    #[serde(default)]
    set_clock: ClockOrder,
    #[serde(default)]
    terminal: Vec<RawPushTerminal>,
}

#[derive(Deserialize)]
struct RawPushTerminal {
    name: String,
    serial: String,
    address: Option<String>,
    comm_key_credential: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawFingerprint {
    name: String,
    #[serde(flatten)]
    carrier: RawCarrier,
    family: Family,
    password_credential: Option<String>,
    slots: BTreeMap<String, String>,
    #[serde(default)]
    state: u8,
}

#[derive(Deserialize)]
pub(super) struct RawTicketPrinter {
    name: String,
    #[serde(flatten)]
    carrier: RawCarrier,
    #[serde(default)]
    paper: PaperWidth,
    #[serde(default)]
    note: String,
}

#[derive(Default, Deserialize)]
pub(super) struct RawTickets {
    #[serde(default)]
    allow: Vec<String>,
}

impl RawTickets {
    pub(super) fn check(self, f: &mut Faults) -> TicketDesk {
        TicketDesk { allow: self.allow.iter().filter_map(|n| f.read("tickets.allow", n)).collect() }
    }
}

#[derive(Deserialize)]
pub(super) struct RawModem {
    name: String,
    #[serde(flatten)]
    carrier: RawCarrier,
    #[serde(default = "default_daily")]
    daily_per_number: usize,
}

fn default_daily() -> usize {
    10
}

/// The tables of a file that this module reads.
pub(super) struct RawDevices {
    pub(super) lines: Vec<RawLine>,
    pub(super) push: Option<RawPush>,
    pub(super) fingerprints: Vec<RawFingerprint>,
    pub(super) printers: Vec<RawTicketPrinter>,
    pub(super) modems: Vec<RawModem>,
}

/// What is being checked: the hall, and the devices so far.
struct Check<'a> {
    f: &'a mut Faults,
    hall: &'a HallId,
    windows: &'a BTreeMap<u16, WindowId>,
    /// What the older tables of the file have put on lines.
    others: &'a [(PositionId, Connection)],
    found: Vec<Device>,
}

impl RawDevices {
    /// The devices, with the listener for terminals that call in. `names` are those that buses have.
    pub(super) fn check(
        self,
        f: &mut Faults,
        hall: &HallId,
        windows: &BTreeMap<u16, WindowId>,
        names: &mut BTreeSet<String>,
        others: &[(PositionId, Connection)],
    ) -> (Vec<Device>, Option<PushListener>) {
        let mut check = Check { f, hall, windows, others, found: Vec::new() };
        for (i, line) in self.lines.into_iter().enumerate() {
            let at = format!("line[{i}]");
            check.f.once(names, &format!("{at}.name"), line.name.clone());
            check.line(&at, line);
        }
        let push = self.push.and_then(|push| check.push(push));
        for (i, raw) in self.fingerprints.into_iter().enumerate() {
            check.fingerprint(&format!("fingerprint[{i}]"), raw);
        }
        for (i, raw) in self.printers.into_iter().enumerate() {
            let at = format!("ticket_printer[{i}]");
            let Some(line) = check.carrier(&at, raw.carrier, 9600) else { continue };
            let connection = Connection::Printer { line, paper: raw.paper, note: raw.note };
            check.device(&at, Spot::Named(&raw.name), &raw.name, connection, None);
        }
        for (i, raw) in self.modems.into_iter().enumerate() {
            let at = format!("modem[{i}]");
            let Some(line) = check.carrier(&at, raw.carrier, 115_200) else { continue };
            let connection = Connection::Modem { line, daily_per_number: raw.daily_per_number };
            check.device(&at, Spot::Named(&raw.name), &raw.name, connection, None);
        }
        (check.found, push)
    }
}

/// Where a device stands.
enum Spot<'a> {
    Window(u16),
    Named(&'a str),
}

impl Check<'_> {
    fn carrier(&mut self, at: &str, raw: RawCarrier, baud: u32) -> Option<Line> {
        let mut found = Vec::new();
        if let Some(port) = raw.path {
            found.push(Line::Serial { port, baud: raw.baud.unwrap_or(baud) });
        }
        if let Some(address) = raw.address {
            found.push(Line::Tcp { address });
        }
        if let Some(listen) = &raw.listen {
            let allow = raw.allow.iter().filter_map(|network| self.f.read(&format!("{at}.allow"), network));
            let allow: Vec<Network> = allow.collect();
            if let Some(listen) = self.f.read(&format!("{at}.listen"), listen) {
                found.push(Line::TcpListen { listen, allow });
            } else {
                return None;
            }
        } else if !raw.allow.is_empty() {
            self.f.say(format!("{at}.allow: belongs to `listen`"));
        }
        if let Some(port) = raw.keyboard {
            found.push(Line::Keyboard { port });
        }
        let line = found.pop();
        if line.is_none() || !found.is_empty() {
            self.f.say(format!("{at}: give one of `path`, `address`, `listen`"));
            return None;
        }
        line
    }

    fn device(
        &mut self,
        at: &str,
        spot: Spot<'_>,
        line: &str,
        connection: Connection,
        grades: Option<(BTreeMap<u8, u8>, Option<String>)>,
    ) {
        let role = connection.role();
        let (window, name) = match spot {
            Spot::Window(number) => {
                let Some(window) = self.windows.get(&number) else {
                    return self.f.say(format!("{at}.window: there is no window {number}"));
                };
                (Some(window.clone()), format!("W{number:02}"))
            }
            Spot::Named(name) => (None, name.to_owned()),
        };
        if window.is_none() && !is_name(&name) {
            return self
                .f
                .say(format!("{at}.name: `{name}` is not a name such as A01, and W is for windows"));
        }
        let position = format!("{}-{name}-{}", self.hall, role.name());
        let Some(position) = self.f.read::<PositionId>(at, &position) else { return };
        if let Some((field, why)) = connection.fault() {
            self.f.say(format!("{at}.{field}: {why}"));
        }
        let others = self.others.iter().map(|(position, connection)| (position, connection));
        let beside = self.found.iter().map(|d| (&d.position, &d.connection)).chain(others);
        for (other, there) in beside {
            let fault = if *other == position {
                format!("{at}: {position} is there already; each may stand once")
            } else if there.identity() == connection.identity() {
                format!("{at}: this is the device of {other} already")
            } else if !connection.shares_line_with(there) {
                format!(
                    "{at}: its line serves {other} at another speed or by a protocol that shares with nobody"
                )
            } else {
                continue;
            };
            return self.f.say(fault);
        }
        let line = line.to_owned();
        self.found.push(Device { position, window, line, connection, grades });
    }

    fn line(&mut self, at: &str, raw: RawLine) {
        let Some(line) = self.carrier(at, raw.carrier, 9600) else { return };
        if raw.device.is_empty() {
            self.f.say(format!("{at}: at least one [[line.device]]"));
        }
        for (i, device) in raw.device.into_iter().enumerate() {
            let at = format!("{at}.device[{i}]");
            let spot = match (device.window, &device.name) {
                (Some(number), None) if device.role.may_be_at_window() => Spot::Window(number),
                (None, Some(name)) if !device.role.at_window() => Spot::Named(name),
                _ => {
                    let where_to = match (device.role.at_window(), device.role.may_be_at_window()) {
                        (true, _) => "`window`, the number of the window it stands at",
                        (_, true) => "`window`, or `name` for the hall at large",
                        _ => "`name`",
                    };
                    self.f.say(format!("{at}: give {where_to}"));
                    continue;
                }
            };
            let grades = match (device.role, device.grades) {
                (Role::Evaluator, grades) => {
                    check_grades(self.f, &at, grades.unwrap_or_default(), device.grades_confirmed_by)
                }
                (_, Some(_)) => {
                    self.f.say(format!("{at}.grades: only an evaluator has grades"));
                    None
                }
                _ => None,
            };
            let connection = Connection::Profile {
                line: line.clone(),
                role: device.role,
                profile: device.profile,
                address: device.address,
                ack_form: device.ack_form,
                text: device.text,
                values: device.values,
            };
            self.device(&at, spot, &raw.name, connection, grades);
        }
    }

    fn push(&mut self, raw: RawPush) -> Option<PushListener> {
        for (i, t) in raw.terminal.into_iter().enumerate() {
            let at = format!("attendance_push.terminal[{i}]");
            let address: Option<Option<IpAddr>> = match &t.address {
                None => Some(None),
                Some(text) => self.f.read(&format!("{at}.address"), text).map(Some),
            };
            let Some(address) = address else { continue };
            let comm_key_credential = t.comm_key_credential;
            let connection = Connection::Push { serial: t.serial, address, comm_key_credential };
            self.device(&at, Spot::Named(&t.name), &t.name, connection, None);
        }
        let allow: Vec<Network> =
            raw.allow.iter().filter_map(|n| self.f.read("attendance_push.allow", n)).collect();
        if raw.allow.is_empty() {
            self.f.say(
                "attendance_push.allow: the addresses that terminals call from, such as 10.0.0.0/24".into(),
            );
        }
        let listen = self.f.read("attendance_push.listen", &raw.listen)?;
        Some(PushListener { listen, allow, set_clock: raw.set_clock })
    }

    fn fingerprint(&mut self, at: &str, raw: RawFingerprint) {
        let Some(line) = self.carrier(at, raw.carrier, raw.family.baud()) else { return };
        let mut slots = Vec::new();
        for (slot, employee) in raw.slots {
            match slot.parse() {
                Ok(slot) => slots.push(Slot { slot, employee }),
                Err(_) => {
                    self.f.say(format!("{at}.slots.{slot}: a slot is a number, as the module counts them"))
                }
            }
        }
        slots.sort_by_key(|slot| slot.slot);
        let connection = Connection::Fingerprint {
            line,
            family: raw.family,
            password_credential: raw.password_credential,
            slots,
            state: raw.state,
        };
        self.device(at, Spot::Named(&raw.name), &raw.name, connection, None);
    }
}

/// A capital letter other than the windows' W, then digits; as positions that people pair are named.
fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_uppercase() && c != 'W')
        && (2..=8).contains(&name.len())
        && letters.all(|c| c.is_ascii_digit())
}
