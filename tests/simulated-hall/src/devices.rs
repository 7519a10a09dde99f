//! The hall's devices as the edge agent meets them: counter buses and a printer line on ptys, an attendance terminal
//! on TCP. Everything that happens goes through their true bytes.
//!
//! Owns the lines under their stable names in the run folder. Decides nothing: it presses what it is told to.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use device_drivers::attendance::zk::records::{Punch, RecordSize};
use device_drivers::clock::{MonotonicClock as _, SystemLocal, SystemMonotonic};
use device_drivers::counter::AckForm;
use device_drivers::reading::{Key, Mono};
use device_drivers::simulator::attendance::{Terminal, TerminalSetup};
use device_drivers::simulator::counter::{self, BusSetup, CounterBus};
use device_drivers::simulator::pty::Pty;
use device_drivers::simulator::ticket::{self, SlipContent, TicketPrinter};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::day::{Action, PressedKey};
use crate::oracle::Record;

/// Least time between two presses on one device: equal frames within 300 ms count as one press (B2.1).
const BETWEEN_PRESSES: Duration = Duration::from_millis(400);
/// Time left to whoever reads the printer line, which gives no answer, before anything else happens in the hall.
const AFTER_TICKET: Duration = Duration::from_millis(250);
/// How often a press that is not answered is mentioned in the log.
const REMIND: Duration = Duration::from_secs(10);
/// Verify method of every punch here: fingerprint.
const FINGERPRINT: u8 = 1;
/// Bytes of noise a tenth of a second: the line's full speed at 9600 baud.
const NOISE: usize = 96;

/// A fault of a serial line or of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineFault {
    /// Random bytes at the line's full speed, for the given time.
    Noise,
    /// The next frame has a wrong checksum (counter buses and terminal).
    BadChecksum,
    /// The next frame is sent twice (counter buses and terminal).
    Duplicate,
    /// The line is gone for the given time, as when a USB plug is pulled.
    Disconnect,
}

/// `POST /line-faults`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineFaultOrder {
    /// `bus-0`, `bus-1`, … , `ticket` or `attendance`.
    pub line: String,
    /// What happens to it.
    pub fault: LineFault,
    /// For how long, in seconds.
    #[serde(default)]
    pub seconds: f64,
}

/// Why a device cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no such window.
    #[error("no window {0}")]
    NoWindow(u8),
    /// There is no such line, or it has no such fault.
    #[error("line {0} is not there, or has no such fault")]
    NoLine(String),
    /// The time makes no sense.
    #[error("seconds: {0} is not between 0 and 3600")]
    Seconds(f64),
    /// A pty, a link or a port is not to be had.
    #[error("{what}: {source}")]
    Open {
        /// Which.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Debug, Clone, Copy)]
struct Place {
    bus: usize,
    keypad: u8,
    evaluator: u8,
}

/// What a serial line carries.
enum Far {
    Bus(CounterBus),
    Printer(TicketPrinter),
}

struct Line {
    name: String,
    far: Far,
    /// How long the line stays away after its next end.
    away: Mutex<Duration>,
}

/// Every device of the hall.
pub struct Devices {
    hall: String,
    zone: TimeZone,
    places: HashMap<u8, Place>,
    lines: Vec<Arc<Line>>,
    terminal: Terminal,
    pressed: Mutex<HashMap<(usize, u8), Instant>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

/// Where the devices are to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Device paths of the counter buses, by number.
    pub buses: Vec<PathBuf>,
    /// Device path of the ticket machine's printer line.
    pub ticket: PathBuf,
    /// Address of the attendance terminal.
    pub attendance: SocketAddr,
}

/// What came of an action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) at: Timestamp,
    pub(crate) device_time: Option<DateTime>,
    pub(crate) acknowledged: Option<Timestamp>,
}

impl Devices {
    /// Opens every line and listens. `past` is the hall's log so far: the terminal remembers its punches.
    ///
    /// # Errors
    /// When a pty, its link or the port is not to be had, or the time zone is unknown.
    pub(crate) async fn start(
        config: &Config,
        past: &[Record],
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<(Self, Addresses), DeviceError> {
        let open = |what: &str| {
            let what = what.to_owned();
            move |source| DeviceError::Open { what, source }
        };
        let zone = config.time_zone().map_err(|error| open("zone")(io::Error::other(error)))?;
        let count = config.windows.iter().map(|window| window.bus + 1).max().unwrap_or(0);
        let mut lines: Vec<_> = (0..count)
            .map(|bus| Line {
                name: format!("bus-{bus}"),
                far: Far::Bus(bus_of(config, bus)),
                away: Mutex::default(),
            })
            .collect();
        lines.push(Line {
            name: "ticket".into(),
            far: Far::Printer(TicketPrinter::new()),
            away: Mutex::default(),
        });
        let mut paths = Vec::new();
        let mut shared = Vec::new();
        for line in lines {
            let link = config.run.join(&line.name);
            let pty = Pty::open(Some(&link)).map_err(open(&line.name))?;
            let line = Arc::new(line);
            tasks.spawn(run_line(Arc::clone(&line), pty, link.clone(), cancel.clone()));
            paths.push(link);
            shared.push(line);
        }
        let setup = TerminalSetup {
            comm_key: config.comm_key,
            record_size: RecordSize::Forty,
            users: config.clerks.iter().map(|clerk| clerk.number.clone()).collect(),
            ..TerminalSetup::default()
        };
        let terminal = Terminal::new(setup, Arc::new(SystemLocal(zone.clone())));
        terminal.seed(past.iter().filter_map(punch_of));
        let listener =
            TcpListener::bind((config.listen, config.attendance_port)).await.map_err(open("attendance"))?;
        let attendance = listener.local_addr().map_err(open("attendance"))?;
        let (serving, until) = (terminal.clone(), cancel.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.serve(listener, until).await {
                tracing::error!(%error, "attendance terminal stopped");
            }
        });
        let places = config.windows.iter().map(|window| {
            let place = Place { bus: window.bus, keypad: window.keypad, evaluator: window.evaluator() };
            (window.number, place)
        });
        let devices = Self {
            hall: config.name.clone(),
            zone,
            places: places.collect(),
            lines: shared,
            terminal,
            pressed: Mutex::default(),
            tasks,
            cancel,
        };
        let ticket = paths.pop().unwrap_or_default();
        Ok((devices, Addresses { buses: paths, ticket, attendance }))
    }

    /// Does something to a device and waits for the device to be answered, however long that takes: a clerk whose
    /// keypad is not answered waits too, and what happens next in the hall must not overtake it. `None` when
    /// cancelled meanwhile.
    pub(crate) async fn perform(&self, action: &Action) -> Result<Option<Done>, DeviceError> {
        match action {
            Action::Ticket { number, business, waiting } => {
                let printed = self.zone.to_datetime(Timestamp::now());
                let printed = printed.with().subsec_nanosecond(0).build().unwrap_or(printed);
                let content = SlipContent {
                    hall: self.hall.clone(),
                    number: number.clone(),
                    business: business.clone(),
                    waiting: *waiting,
                    at: printed,
                    qr: Some(format!("http://ticket.invalid/{number}")),
                };
                let at = now();
                if let Some(printer) = self.lines.iter().find_map(|line| line.printer()) {
                    printer.print(content);
                }
                tokio::time::sleep(AFTER_TICKET).await;
                Ok(Some(Done { at, device_time: Some(printed), acknowledged: None }))
            }
            Action::Press { window, digits, key } => {
                let place = self.place(*window)?;
                let key = wire_key(*key);
                self.press(place.bus, place.keypad, |bus| bus.press(place.keypad, digits, key)).await
            }
            Action::Rate { window, raw } => {
                let place = self.place(*window)?;
                self.press(place.bus, place.evaluator, |bus| bus.rate(place.evaluator, *raw)).await
            }
            Action::Punch { employee, state } => {
                let (at, shown) = (now(), self.terminal.terminal_time());
                // A disabled terminal keeps the person waiting and gives no record back; what it will record is then
                // known only later, to within a second or so.
                let punch = self.terminal.punch(employee, FINGERPRINT, *state);
                let device_time = punch.map_or(shown, |punch| punch.at);
                Ok(Some(Done { at, device_time: Some(device_time), acknowledged: None }))
            }
        }
    }

    fn place(&self, window: u8) -> Result<Place, DeviceError> {
        self.places.get(&window).copied().ok_or(DeviceError::NoWindow(window))
    }

    async fn press(
        &self,
        bus: usize,
        address: u8,
        press: impl FnOnce(&CounterBus) -> u64,
    ) -> Result<Option<Done>, DeviceError> {
        let line = self.lines.get(bus).and_then(|line| line.bus());
        let line = line.ok_or_else(|| DeviceError::NoLine(format!("bus-{bus}")))?;
        let last = self.pressed.lock().unwrap_or_else(PoisonError::into_inner).get(&(bus, address)).copied();
        if let Some(last) = last {
            tokio::time::sleep_until(last + BETWEEN_PRESSES).await;
        }
        let at = now();
        let id = press(line);
        let acknowledged = loop {
            tokio::select! {
                () = self.cancel.cancelled() => return Ok(None),
                acknowledged = line.wait_acknowledged(id, REMIND) => match acknowledged {
                    Some(mono) => break wall(mono),
                    None => tracing::warn!(bus, address, "a press is not answered; the hall waits"),
                },
            }
        };
        self.pressed.lock().unwrap_or_else(PoisonError::into_inner).insert((bus, address), Instant::now());
        Ok(Some(Done { at, device_time: None, acknowledged: Some(acknowledged) }))
    }

    /// Lets a line fail.
    ///
    /// # Errors
    /// When there is no such line, or it does not have this fault.
    pub fn fault(&self, order: &LineFaultOrder) -> Result<(), DeviceError> {
        if !(0.0..=3600.0).contains(&order.seconds) {
            return Err(DeviceError::Seconds(order.seconds));
        }
        let missing = || DeviceError::NoLine(order.line.clone());
        tracing::info!(line = order.line, fault = ?order.fault, seconds = order.seconds, "line fault ordered");
        if order.line == "attendance" {
            use device_drivers::simulator::attendance::Fault;
            self.terminal.fault(match order.fault {
                LineFault::BadChecksum => Fault::WrongChecksum,
                LineFault::Duplicate => Fault::DuplicateReply,
                LineFault::Disconnect => Fault::Disconnect,
                LineFault::Noise => return Err(missing()),
            });
            return Ok(());
        }
        let line = self.lines.iter().find(|line| line.name == order.line).ok_or_else(missing)?;
        match (&line.far, order.fault) {
            (_, LineFault::Noise) => {
                let (line, cancel) = (Arc::clone(line), self.cancel.clone());
                self.tasks.spawn(noise(line, Duration::from_secs_f64(order.seconds), cancel));
            }
            (far, LineFault::Disconnect) => {
                *line.away.lock().unwrap_or_else(PoisonError::into_inner) =
                    Duration::from_secs_f64(order.seconds);
                match far {
                    Far::Bus(bus) => bus.fault(counter::Fault::Disconnect),
                    Far::Printer(printer) => printer.fault(ticket::Fault::Disconnect),
                }
            }
            (Far::Bus(bus), LineFault::BadChecksum) => bus.fault(counter::Fault::BadChecksum),
            (Far::Bus(bus), LineFault::Duplicate) => bus.fault(counter::Fault::Duplicate),
            (Far::Printer(_), LineFault::BadChecksum | LineFault::Duplicate) => return Err(missing()),
        }
        Ok(())
    }
}

impl Line {
    fn bus(&self) -> Option<&CounterBus> {
        match &self.far {
            Far::Bus(bus) => Some(bus),
            Far::Printer(_) => None,
        }
    }

    fn printer(&self) -> Option<&TicketPrinter> {
        match &self.far {
            Far::Bus(_) => None,
            Far::Printer(printer) => Some(printer),
        }
    }
}

fn bus_of(config: &Config, bus: usize) -> CounterBus {
    let here = config.windows.iter().filter(|window| window.bus == bus);
    let form = |keypad: u8, evaluator: u8| if keypad == evaluator { AckForm::A } else { AckForm::B };
    CounterBus::new(BusSetup {
        keypads: here.clone().map(|window| window.keypad).collect(),
        evaluators: here
            .map(|window| (window.evaluator(), form(window.keypad, window.evaluator())))
            .collect(),
        ..BusSetup::default()
    })
}

/// Keeps a line alive: after each end it stays away as long as ordered and then comes back under the same name.
async fn run_line(line: Arc<Line>, pty: Pty, link: PathBuf, cancel: CancellationToken) {
    let mut pty = Some(pty);
    while !cancel.is_cancelled() {
        let mut open = match pty.take().map_or_else(|| Pty::open(Some(&link)), Ok) {
            Ok(open) => open,
            Err(error) => {
                tracing::error!(line = line.name, %error, "the line cannot be opened");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let served = match &line.far {
            Far::Bus(bus) => bus.serve(&mut open, &cancel).await,
            Far::Printer(printer) => printer.serve(&mut open, &cancel).await,
        };
        if let Err(error) = served {
            tracing::warn!(line = line.name, %error, "the line ended");
        }
        drop(open);
        let away = std::mem::take(&mut *line.away.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(away) => {}
        }
    }
}

async fn noise(line: Arc<Line>, time: Duration, cancel: CancellationToken) {
    let end = Instant::now() + time;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    while Instant::now() < end {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let bytes: Vec<u8> = (0..NOISE)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect();
        match &line.far {
            Far::Bus(bus) => bus.fault(counter::Fault::Noise(bytes)),
            Far::Printer(printer) => printer.fault(ticket::Fault::Noise(bytes)),
        }
    }
}

fn wire_key(key: PressedKey) -> Key {
    match key {
        PressedKey::Start => Key::Start,
        PressedKey::Evaluate => Key::Evaluate,
        PressedKey::Call => Key::Call,
        PressedKey::Recall => Key::Recall,
        PressedKey::Function => Key::Function,
        PressedKey::Pause => Key::Pause,
    }
}

fn punch_of(record: &Record) -> Option<Punch> {
    match &record.action {
        Action::Punch { employee, state } => Some(Punch {
            employee: employee.clone(),
            at: record.device_time?,
            verify: FINGERPRINT,
            state: *state,
        }),
        _ => None,
    }
}

/// UTC, in whole milliseconds.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The wall time of a moment of the machine's monotonic clock.
fn wall(mono: Mono) -> Timestamp {
    let past = SystemMonotonic.now().since(mono);
    now().checked_sub(jiff::SignedDuration::from_millis(past.as_millis() as i64)).unwrap_or_else(|_| now())
}

/// Makes the run folder.
pub(crate) fn make_folder(path: &Path) -> Result<(), DeviceError> {
    std::fs::create_dir_all(path)
        .map_err(|source| DeviceError::Open { what: path.display().to_string(), source })
}
