//! The file as written, and the checks that turn it into a [`Config`]. All faults are gathered, so that a technician
//! mends them in one go.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use control_protocol::{CameraId, HallId, PositionId, WindowId};
use device_drivers::attendance::zk::Transport;
use jiff::tz::TimeZone;
use serde::Deserialize;
use url::Url;

use super::{
    AckForm, Attendance, Bus, Business, Camera, Centre, Config, Evaluator, Function, Hall, HallSite, Keypad,
    Keys, LocalSite, PairingHints, TicketMachine, TicketPattern, Transcoding, Video, Window, configured,
    inspection::Inspection,
};

mod devices;
mod recording;

#[derive(Deserialize)]
pub(super) struct Raw {
    hall: RawHall,
    centre: RawCentre,
    #[serde(default)]
    local_site: RawLocalSite,
    hall_site: Option<RawHallSite>,
    #[serde(default)]
    pairing: PairingHints,
    #[serde(default)]
    business: Vec<Business>,
    #[serde(default)]
    window: Vec<RawWindow>,
    #[serde(default)]
    bus: Vec<RawBus>,
    #[serde(default)]
    keys: RawKeys,
    #[serde(default)]
    ticket_machine: Vec<RawTicketMachine>,
    #[serde(default)]
    attendance: Vec<RawAttendance>,
    #[serde(default)]
    line: Vec<devices::RawLine>,
    attendance_push: Option<devices::RawPush>,
    #[serde(default)]
    tickets: devices::RawTickets,
    #[serde(default)]
    fingerprint: Vec<devices::RawFingerprint>,
    #[serde(default)]
    ticket_printer: Vec<devices::RawTicketPrinter>,
    #[serde(default)]
    modem: Vec<devices::RawModem>,
    #[serde(default)]
    camera: Vec<RawCamera>,
    #[serde(default)]
    video: Video,
    #[serde(default)]
    recording: recording::RawRecording,
    #[serde(default)]
    inspection: toml::Table,
    #[serde(default)]
    transcoding: Transcoding,
    #[serde(default)]
    onvif: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawHall {
    id: String,
    name: String,
    #[serde(default = "default_time_zone")]
    time_zone: String,
    data: PathBuf,
    #[serde(default)]
    day_ends_hour: i8,
    #[serde(default = "default_linger")]
    rated_linger_ms: i64,
}

fn default_time_zone() -> String {
    "Asia/Shanghai".into()
}
fn default_linger() -> i64 {
    3_000
}

#[derive(Deserialize)]
struct RawCentre {
    url: String,
    #[serde(default = "default_first_delay")]
    first_delay_seconds: u64,
}

fn default_first_delay() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(default)]
struct RawLocalSite {
    listen: String,
}

impl Default for RawLocalSite {
    fn default() -> Self {
        Self { listen: "127.0.0.1:0".into() }
    }
}

#[derive(Deserialize)]
struct RawHallSite {
    listen: String,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct RawWindow {
    number: u16,
    name: String,
    #[serde(default)]
    businesses: Vec<String>,
    #[serde(default = "default_rating")]
    rating_seconds: u32,
}

fn default_rating() -> u32 {
    10
}

#[derive(Deserialize)]
struct RawBus {
    name: String,
    path: PathBuf,
    #[serde(default = "default_baud")]
    baud: u32,
    #[serde(default = "default_ack")]
    ack_form: AckForm,
    #[serde(default)]
    keypad: Vec<RawKeypad>,
    #[serde(default)]
    evaluator: Vec<RawEvaluator>,
}

fn default_baud() -> u32 {
    9600
}
fn default_ack() -> AckForm {
    AckForm::A
}

#[derive(Deserialize)]
struct RawKeypad {
    window: u16,
    address: u8,
}

#[derive(Deserialize)]
struct RawEvaluator {
    window: u16,
    address: u8,
    grades: BTreeMap<String, u8>,
    grades_confirmed_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(default)]
struct RawKeys {
    function: BTreeMap<String, Function>,
    sign_in_digits: usize,
}

impl Default for RawKeys {
    fn default() -> Self {
        let function = [
            ("0", Function::Hold),
            ("3", Function::CallBack),
            ("4", Function::SignOut),
            ("5", Function::NoShow),
        ];
        Self { function: function.map(|(d, f)| (d.to_owned(), f)).into(), sign_in_digits: 2 }
    }
}

#[derive(Deserialize)]
struct RawTicketMachine {
    name: String,
    path: PathBuf,
    #[serde(default = "default_baud")]
    baud: u32,
    pattern: TicketPattern,
}

#[derive(Deserialize)]
struct RawAttendance {
    name: String,
    address: String,
    comm_key_credential: Option<String>,
    #[serde(default = "default_log")]
    log_seconds: u64,
    #[serde(default)]
    transport: Transport,
    #[serde(default)]
    set_clock: bool,
}

fn default_log() -> u64 {
    600
}

#[derive(Deserialize)]
struct RawCamera {
    id: String,
    window: Option<u16>,
    name: String,
    url: String,
    sub_url: Option<String>,
    user: Option<String>,
    credential: Option<String>,
}

/// What is gathered while checking.
struct Faults(Vec<String>);

impl Faults {
    fn say(&mut self, fault: String) {
        self.0.push(fault);
    }

    fn read<T>(&mut self, at: &str, text: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|e| self.say(format!("{at}: {e}"))).ok()
    }

    fn once<T: Ord + std::fmt::Display>(&mut self, seen: &mut BTreeSet<T>, at: &str, item: T) {
        if seen.contains(&item) {
            self.say(format!("{at}: {item} is there already; each may stand once"));
        } else {
            seen.insert(item);
        }
    }
}

impl Raw {
    pub(super) fn check(self) -> Result<Config, Vec<String>> {
        let mut f = Faults(Vec::new());
        let hall_id: Option<HallId> = f.read("hall.id", &self.hall.id);
        let time_zone = TimeZone::get(&self.hall.time_zone);
        if let Err(e) = &time_zone {
            f.say(format!("hall.time_zone: {e}; write one such as Asia/Shanghai"));
        }
        if !(0..=23).contains(&self.hall.day_ends_hour) {
            f.say("hall.day_ends_hour: an hour from 0 to 23".into());
        }
        if !(0..=60_000).contains(&self.hall.rated_linger_ms) {
            f.say("hall.rated_linger_ms: from 0 to 60000".into());
        }
        let url: Option<Url> = f.read("centre.url", &self.centre.url);
        if url.as_ref().is_some_and(|u| u.scheme() != "https" || u.host_str().is_none()) {
            f.say(format!("centre.url: {} is not of the form https://host:port", self.centre.url));
        }
        let listen: Option<SocketAddr> = f.read("local_site.listen", &self.local_site.listen);
        let (Some(hall_id), Ok(time_zone), Some(url), Some(listen)) = (hall_id, time_zone, url, listen)
        else {
            return Err(f.0);
        };

        let hall_site = self.hall_site.and_then(|site| {
            let names: Vec<String> = site.names.iter().map(|name| name.trim().to_owned()).collect();
            let sound = |n: &String| {
                n.parse::<std::net::IpAddr>().is_ok()
                    || (!n.is_empty()
                        && n.len() <= 253
                        && n.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')))
            };
            for (i, name) in names.iter().enumerate().filter(|(_, n)| !sound(n)) {
                f.say(format!("hall_site.names[{i}]: `{name}` is neither a host name nor an IP address"));
            }
            let listen = f.read("hall_site.listen", &site.listen)?;
            Some(HallSite { listen, names })
        });
        let mut names = BTreeSet::new();
        for (i, business) in self.business.iter().enumerate() {
            f.once(&mut names, &format!("business[{i}].name"), business.name.clone());
        }
        let windows = windows(&mut f, &hall_id, self.window, &names);
        let by_number: BTreeMap<u16, WindowId> = windows.iter().map(|w| (w.number, w.id.clone())).collect();
        let mut positions = BTreeSet::new();
        let mut ports = BTreeSet::new();
        let mut buses = Vec::new();
        let mut bus_names = BTreeSet::new();
        for (i, bus) in self.bus.into_iter().enumerate() {
            let at = format!("bus[{i}]");
            f.once(&mut bus_names, &format!("{at}.name"), bus.name.clone());
            f.once(&mut ports, &format!("{at}.path"), bus.path.display().to_string());
            buses.push(check_bus(&mut f, &at, &hall_id, bus, &by_number, &mut positions));
        }
        let keys = check_keys(&mut f, self.keys);
        let place = |f: &mut Faults, at: &str, name: &str, role: &str| -> Option<PositionId> {
            f.read(&format!("{at}.name"), &format!("{hall_id}-{name}-{role}"))
        };
        let mut ticket_machines = Vec::new();
        for (i, t) in self.ticket_machine.into_iter().enumerate() {
            let at = format!("ticket_machine[{i}]");
            f.once(&mut ports, &format!("{at}.path"), t.path.display().to_string());
            let Some(position) = place(&mut f, &at, &t.name, "ticket") else { continue };
            f.once(&mut positions, &format!("{at}.name"), position.clone());
            ticket_machines.push(TicketMachine {
                name: t.name,
                position,
                path: t.path,
                baud: t.baud,
                pattern: t.pattern,
            });
        }
        let mut attendance = Vec::new();
        for (i, a) in self.attendance.into_iter().enumerate() {
            let at = format!("attendance[{i}]");
            let Some(position) = place(&mut f, &at, &a.name, "attendance") else { continue };
            f.once(&mut positions, &format!("{at}.name"), position.clone());
            let Some(address) = f.read(&format!("{at}.address"), &a.address) else { continue };
            attendance.push(Attendance {
                name: a.name,
                position,
                address,
                comm_key_credential: a.comm_key_credential,
                log_seconds: a.log_seconds.max(1),
                transport: a.transport,
                set_clock: a.set_clock,
            });
        }
        let before: Vec<_> = configured(&buses, &ticket_machines, &attendance)
            .map(|device| (device.position, device.connection))
            .collect();
        let raw = devices::RawDevices {
            lines: self.line,
            push: self.attendance_push,
            fingerprints: self.fingerprint,
            printers: self.ticket_printer,
            modems: self.modem,
        };
        let tickets = self.tickets.check(&mut f);
        let (more_devices, push) = raw.check(&mut f, &hall_id, &by_number, &mut bus_names, &before);
        let mut ids = BTreeSet::new();
        let mut cameras = Vec::new();
        for (i, camera) in self.camera.into_iter().enumerate() {
            cameras.extend(check_camera(&mut f, i, &hall_id, camera, &by_number, &mut ids));
        }
        let mut onvif = BTreeMap::new();
        for (id, address) in self.onvif {
            let at = format!("onvif.{id}");
            match address.parse::<Url>() {
                Ok(url)
                    if url.scheme() == "http" && url.username().is_empty() && url.password().is_none() =>
                {
                    onvif.extend(f.read::<CameraId>(&at, &id).map(|camera| (camera, url)));
                }
                // The text is not repeated: it may hold a password.
                _ => f.say(format!(
                    "{at}: not a URL such as http://192.0.2.1:8080/onvif/device_service, without a user"
                )),
            }
        }
        if self.transcoding.at_once > 16 {
            f.say("transcoding.at_once: from 0 to 16".into());
        }
        if !(120..=2160).contains(&self.transcoding.max_height) {
            f.say("transcoding.max_height: from 120 to 2160".into());
        }
        if !(64..=20_000).contains(&self.transcoding.kilobits) {
            f.say("transcoding.kilobits: from 64 to 20000".into());
        }
        let inspection = Inspection::of(self.inspection).unwrap_or_else(|fault| {
            f.say(format!("inspection.{fault}"));
            Inspection::default()
        });
        let recording = self.recording.check(&mut f, &self.hall.data, &ids);
        if !f.0.is_empty() {
            return Err(f.0);
        }
        Ok(Config {
            hall: Hall {
                id: hall_id,
                name: self.hall.name,
                time_zone,
                data: self.hall.data,
                day_ends_hour: self.hall.day_ends_hour,
                rated_linger_ms: self.hall.rated_linger_ms,
            },
            centre: Centre { url, first_delay_seconds: self.centre.first_delay_seconds.min(600) },
            local_site: LocalSite { listen },
            hall_site,
            pairing: self.pairing,
            businesses: self.business,
            windows,
            buses,
            keys,
            ticket_machines,
            attendance,
            push,
            tickets,
            more_devices,
            cameras,
            video: self.video,
            recording,
            inspection,
            transcoding: self.transcoding,
            onvif,
        })
    }
}

fn windows(f: &mut Faults, hall: &HallId, raw: Vec<RawWindow>, businesses: &BTreeSet<String>) -> Vec<Window> {
    let mut seen = BTreeSet::new();
    let mut windows = Vec::new();
    for (i, w) in raw.into_iter().enumerate() {
        let at = format!("window[{i}]");
        if !(1..=999).contains(&w.number) {
            f.say(format!("{at}.number: {} is not from 1 to 999", w.number));
        }
        if !(1..=600).contains(&w.rating_seconds) {
            f.say(format!("{at}.rating_seconds: {} is not from 1 to 600", w.rating_seconds));
        }
        for business in w.businesses.iter().filter(|b| !businesses.contains(*b)) {
            f.say(format!("{at}.businesses: no [[business]] has the name {business}"));
        }
        f.once(&mut seen, &format!("{at}.number"), w.number);
        let Some(id) = f.read(&format!("{at}.number"), &format!("{hall}-W{:02}", w.number)) else { continue };
        windows.push(Window {
            id,
            number: w.number,
            name: w.name,
            businesses: w.businesses,
            rating_seconds: w.rating_seconds,
        });
    }
    windows
}

fn check_bus(
    f: &mut Faults,
    at: &str,
    hall: &HallId,
    raw: RawBus,
    windows: &BTreeMap<u16, WindowId>,
    positions: &mut BTreeSet<PositionId>,
) -> Bus {
    let mut place = |f: &mut Faults, at: &str, number: u16, role: &str| -> Option<(WindowId, PositionId)> {
        let Some(window) = windows.get(&number) else {
            f.say(format!("{at}.window: there is no window {number}"));
            return None;
        };
        let position: PositionId = f.read(at, &format!("{hall}-W{number:02}-{role}"))?;
        f.once(positions, at, position.clone());
        Some((window.clone(), position))
    };
    let mut keypads = Vec::new();
    let mut evaluators = Vec::new();
    let (mut keypad_addresses, mut evaluator_addresses) = (BTreeSet::new(), BTreeSet::new());
    for (i, k) in raw.keypad.into_iter().enumerate() {
        let at = format!("{at}.keypad[{i}]");
        f.once(&mut keypad_addresses, &format!("{at}.address"), k.address);
        if let Some((window, position)) = place(f, &at, k.window, "keypad") {
            keypads.push(Keypad { position, window, address: k.address });
        }
    }
    for (i, e) in raw.evaluator.into_iter().enumerate() {
        let at = format!("{at}.evaluator[{i}]");
        f.once(&mut evaluator_addresses, &format!("{at}.address"), e.address);
        let grades = check_grades(f, &at, e.grades, e.grades_confirmed_by);
        if let (Some((window, position)), Some((grades, grades_confirmed_by))) =
            (place(f, &at, e.window, "evaluator"), grades)
        {
            evaluators.push(Evaluator { position, window, address: e.address, grades, grades_confirmed_by });
        }
    }
    Bus { name: raw.name, path: raw.path, baud: raw.baud, ack_form: raw.ack_form, keypads, evaluators }
}

/// What an evaluator's keys mean, and who confirmed it.
fn check_grades(
    f: &mut Faults,
    at: &str,
    raw: BTreeMap<String, u8>,
    by: Option<String>,
) -> Option<(BTreeMap<u8, u8>, Option<String>)> {
    let mut grades = BTreeMap::new();
    for (byte, grade) in raw {
        match u8::from_str_radix(&byte, 16) {
            Ok(byte) if (1..=5).contains(&grade) => {
                grades.insert(byte, grade);
            }
            Ok(_) => f.say(format!("{at}.grades.{byte}: grade {grade} is not from 1 to 5")),
            Err(_) => f.say(format!("{at}.grades.{byte}: write the raw byte as two hexadecimal digits")),
        }
    }
    if grades.is_empty() {
        f.say(format!("{at}.grades: say which raw byte is which grade, such as \"04\" = 5"));
        return None;
    }
    let by = by.map(|by| by.trim().to_owned()).filter(|by| !by.is_empty());
    if by.as_ref().is_some_and(|by| by.chars().count() > 40) {
        f.say(format!("{at}.grades_confirmed_by: a name of at most 40 characters"));
    }
    Some((grades, by))
}

fn check_keys(f: &mut Faults, raw: RawKeys) -> Keys {
    let mut function = BTreeMap::new();
    for (digit, meaning) in raw.function {
        match digit.parse::<u8>() {
            Ok(value) if value <= 9 && digit.len() == 1 => {
                function.insert(value, meaning);
            }
            _ => f.say(format!("keys.function.{digit}: one digit from 0 to 9")),
        }
    }
    if !(2..=8).contains(&raw.sign_in_digits) {
        f.say("keys.sign_in_digits: from 2 to 8 (one digit is a function)".into());
    }
    Keys { function, sign_in_digits: raw.sign_in_digits }
}

fn check_camera(
    f: &mut Faults,
    i: usize,
    hall: &HallId,
    raw: RawCamera,
    windows: &BTreeMap<u16, WindowId>,
    ids: &mut BTreeSet<CameraId>,
) -> Option<Camera> {
    let at = format!("camera[{i}]");
    let id: CameraId = f.read(&format!("{at}.id"), &raw.id)?;
    if !id.as_str().starts_with(&format!("{hall}-")) {
        f.say(format!("{at}.id: {id} does not begin with {hall}-"));
    }
    f.once(ids, &format!("{at}.id"), id.clone());
    let window = match raw.window {
        None => None,
        Some(number) => {
            let window = windows.get(&number).cloned();
            if window.is_none() {
                f.say(format!("{at}.window: there is no window {number}"));
            }
            Some(window?)
        }
    };
    let mut url = |name: &str, text: &str| -> Option<Url> {
        let at = format!("{at}.{name}");
        // The text is not repeated in a fault: it may hold a password.
        let Ok(url) = text.parse::<Url>() else {
            f.say(format!("{at}: not a URL such as rtsp://192.0.2.1:554/main"));
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            f.say(format!("{at}: no user or password here; give `user` and `credential`"));
        }
        if url.scheme() != "rtsp" || url.host_str().is_none() {
            f.say(format!("{at}: not a URL such as rtsp://192.0.2.1:554/main"));
        }
        Some(url)
    };
    let main = url("url", &raw.url);
    let sub = raw.sub_url.as_deref().map(|text| url("sub_url", text));
    if raw.credential.is_some() && raw.user.is_none() {
        f.say(format!("{at}.credential: needs `user` as well"));
    }
    Some(Camera {
        id,
        window,
        name: raw.name,
        url: main?,
        sub_url: match sub {
            None => None,
            Some(sub) => Some(sub?),
        },
        user: raw.user,
        credential: raw.credential,
    })
}
