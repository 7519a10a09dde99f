//! The register: the one task that takes readings to the record. Each reading goes through the case session and into
//! the journal as one transaction; then, and only then, its receipt is given and the window's devices are told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use control_protocol::{
    CameraId, Happening, PositionId, UtcMillis, WindowId,
    event::{ClockQuality, Grade},
};
use device_drivers::{
    clock::Mono,
    counter::BusCommand,
    reading::{DriverEvent, Fact, Health, Reading},
};
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{DeviceHealth, SharedFigures, keys::press};
use crate::{
    cases::{At, HallSession, Input, Press, SessionConfig, Tagged, Taken},
    clock::Clock,
    config::{Config, Keys},
    journal::{Entry, Journal, JournalError, PunchKey, SerialFile},
};

/// How far back the journal is read for the state of queue and windows: an agent that was off over a long weekend still
/// closes what was open before it.
const RECOVER_MS: i64 = 8 * 86_400_000;
/// The wait before an append is tried again when the disk is full.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// What can be shown at a window.
#[derive(Default, Clone)]
pub struct Panel {
    pub(super) keypad: Option<(mpsc::Sender<BusCommand>, u8)>,
    pub(super) evaluator: Option<(mpsc::Sender<BusCommand>, u8)>,
}

/// A camera's change of state.
pub type CameraEvent = (CameraId, Happening, Mono);

/// What the register listens to.
pub struct Inbox {
    /// The drivers.
    pub drivers: mpsc::Receiver<DriverEvent>,
    /// The cameras.
    pub cameras: mpsc::Receiver<CameraEvent>,
}

/// Why the register ended; only the journal can end it.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The session died, which would be a fault of ours.
    #[error("the case session ended unexpectedly")]
    Session,
}

/// Session and serials, together so that they can go to a blocking thread and back.
struct Desk {
    session: HallSession,
    serials: SerialFile,
}

/// The register.
pub struct Register {
    session_config: SessionConfig,
    keys: Keys,
    time_zone: TimeZone,
    windows: HashMap<String, WindowId>,
    camera_windows: BTreeMap<CameraId, WindowId>,
    panels: HashMap<WindowId, Panel>,
    desk: Option<Desk>,
    serials: SerialFile,
    journal: Journal,
    clock: Arc<dyn Clock>,
    boot: Arc<str>,
    figures: SharedFigures,
}

fn micros(at: Mono) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn at_of(clock: &dyn Clock, at: Mono) -> At {
    At { utc: clock.utc_of(at), mono_us: micros(at) }
}

/// The session as the journal has it.
pub async fn recover(config: SessionConfig, journal: &Journal, now: At) -> Result<HallSession, JournalError> {
    let events = journal.session_events(now.utc.plus(-RECOVER_MS)).await?;
    let events = events.into_iter().map(|stored| Tagged {
        at: now.at_utc(stored.event.at),
        window: stored.event.window,
        device: stored.event.device,
        case: stored.event.case,
        happening: stored.event.happening,
    });
    let events: Vec<Tagged> = events.collect();
    Ok(HallSession::recover(config, &events))
}

impl Register {
    /// A register whose session goes on where the journal left it.
    pub async fn new(
        config: &Config,
        journal: Journal,
        serials: SerialFile,
        clock: Arc<dyn Clock>,
        panels: HashMap<WindowId, Panel>,
        figures: SharedFigures,
    ) -> Result<Self, RegisterError> {
        let session_config = SessionConfig::from(config);
        let now = at_of(clock.as_ref(), clock.now_mono());
        let session = recover(session_config.clone(), &journal, now).await?;
        tracing::info!(open_cases = session.open(), "queue and windows are as the journal left them");
        let entries = config.position_entries();
        figures.lock().health = entries.iter().map(|e| (e.position.to_string(), None)).collect();
        let windows = entries.into_iter().filter_map(|e| Some((e.position.to_string(), e.window?)));
        let cameras = config.cameras.iter().filter_map(|c| Some((c.id.clone(), c.window.clone()?)));
        Ok(Self {
            keys: config.keys.clone(),
            time_zone: config.hall.time_zone.clone(),
            windows: windows.collect(),
            camera_windows: cameras.collect(),
            panels,
            desk: Some(Desk { session, serials: serials.clone() }),
            serials,
            journal,
            boot: clock.boot().into(),
            clock,
            figures,
            session_config,
        })
    }

    /// Takes what comes until `cancel`, and then what is already there.
    ///
    /// # Errors
    /// The journal's.
    pub async fn run(mut self, mut inbox: Inbox, cancel: CancellationToken) -> Result<(), RegisterError> {
        loop {
            self.show_open();
            let due = self.until_due();
            let (mut driver, mut camera) = (None, None);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(event) = inbox.drivers.recv() => driver = Some(event),
                Some(event) = inbox.cameras.recv() => camera = Some(event),
                () = tokio::time::sleep(due) => {}
            }
            match (driver, camera) {
                (Some(event), _) => self.driver(event).await?,
                (_, Some(event)) => self.camera(event).await?,
                _ => self.tick().await?,
            }
        }
        while let Ok(event) = inbox.drivers.try_recv() {
            self.driver(event).await?;
        }
        while let Ok(event) = inbox.cameras.try_recv() {
            self.camera(event).await?;
        }
        Ok(())
    }

    fn until_due(&self) -> Duration {
        let due = self.desk.as_ref().and_then(|desk| desk.session.due());
        let now = micros(self.clock.now_mono());
        let wait = due.map_or(60_000_000, |due| due.saturating_sub(now).clamp(0, 60_000_000));
        // A millisecond more, so that the moment is over when the timer says so.
        Duration::from_micros(u64::try_from(wait).unwrap_or(0)) + Duration::from_millis(1)
    }

    fn show_open(&self) {
        let open = self.desk.as_ref().map_or(0, |desk| desk.session.open());
        self.figures.lock().open_cases = open;
    }

    async fn driver(&mut self, event: DriverEvent) -> Result<(), RegisterError> {
        match event {
            DriverEvent::Reading(reading) => self.reading(reading).await,
            DriverEvent::Health { position, health, at } => {
                self.health(position.0.as_ref(), health, at).await
            }
        }
    }

    async fn reading(&mut self, reading: Reading) -> Result<(), RegisterError> {
        let Reading { position, arrived, fact, receipt, .. } = reading;
        self.figures.lock().readings += 1;
        let window = self.windows.get(position.0.as_ref()).cloned();
        let at = at_of(self.clock.as_ref(), arrived);
        let input = match fact {
            Fact::Punch { employee, at: local, verify, state, live } => {
                let entry = self.punch(position.0.as_ref(), at, employee, local, verify, state, live);
                if let Some(entry) = entry {
                    self.append(vec![entry]).await?;
                }
                receipt.durable();
                return Ok(());
            }
            Fact::Ticket { number, business, waiting, .. } => {
                Some(Input::Ticket { number, business, waiting })
            }
            Fact::Key { digits, key, .. } => match (window, press(&self.keys, &digits, key)) {
                (Some(window), Some(press)) => Some(Input::Window { window, press }),
                (_, None) => {
                    tracing::info!(%position, digits, ?key, "a key without meaning here was pressed");
                    None
                }
                (None, _) => None,
            },
            Fact::Grade { raw, grade, .. } => window.map(|window| Input::Window {
                window,
                press: Press::Grade { raw, grade: grade.and_then(Grade::new) },
            }),
        };
        if let Some(input) = input {
            let taken = self.take(input, position.0.as_ref(), at).await?;
            self.show(&taken);
        }
        receipt.durable();
        Ok(())
    }

    /// Puts an input through the session and into the journal; comes back only when it is on disk.
    async fn take(&mut self, input: Input, device: &str, at: At) -> Result<Taken, RegisterError> {
        let input = Arc::new(input);
        loop {
            let mut desk = self.desk.take().ok_or(RegisterError::Session)?;
            let (given, position) = (input.clone(), device.to_owned());
            // Reserving case numbers syncs a file, now and then.
            let (desk, result) = tokio::task::spawn_blocking(move || {
                let result = desk.session.take(&given, Some(&position), at, &mut desk.serials);
                (desk, result)
            })
            .await
            .map_err(|_| RegisterError::Session)?;
            self.desk = Some(desk);
            let failed = match result {
                Ok(taken) => match self.journal.append(self.entries(&taken.events)).await {
                    Ok(_) => {
                        if let Some(why) = taken.ignored {
                            self.figures.ignored(why);
                            tracing::info!(device, why = why.name(), "the press changes nothing: {input:?}");
                        }
                        return Ok(taken);
                    }
                    Err(e @ JournalError::Full) => e.to_string(),
                    Err(e) => return Err(e.into()),
                },
                Err(e) => e.to_string(),
            };
            tracing::error!(device, "a reading waits to be taken: {failed}");
            tokio::time::sleep(FULL_WAIT).await;
            self.recover().await?;
        }
    }

    /// What was decided and not written did not happen.
    async fn recover(&mut self) -> Result<(), RegisterError> {
        let now = at_of(self.clock.as_ref(), self.clock.now_mono());
        let session = recover(self.session_config.clone(), &self.journal, now).await?;
        self.desk = Some(Desk { session, serials: self.serials.clone() });
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), RegisterError> {
        loop {
            let now = at_of(self.clock.as_ref(), self.clock.now_mono());
            let Some(desk) = &mut self.desk else { return Err(RegisterError::Session) };
            let events = desk.session.tick(now);
            let entries = self.entries(&events);
            match self.journal.append(entries).await {
                Ok(_) => return Ok(()),
                Err(JournalError::Full) => {
                    tokio::time::sleep(FULL_WAIT).await;
                    self.recover().await?;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn entries(&self, events: &[Tagged]) -> Vec<Entry> {
        let quality = self.clock.quality();
        let entry = |event: &Tagged| Entry {
            at: event.at.utc,
            mono_us: u64::try_from(event.at.mono_us).unwrap_or(0),
            boot: self.boot.clone(),
            clock: quality,
            window: event.window.clone(),
            device: event.device.clone(),
            case: event.case,
            happening: event.happening.clone(),
            once: None,
        };
        events.iter().map(entry).collect()
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), RegisterError> {
        loop {
            match self.journal.append(entries.clone()).await {
                Ok(_) => return Ok(()),
                Err(JournalError::Full) => tokio::time::sleep(FULL_WAIT).await,
                Err(e) => return Err(e.into()),
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // one punch has this many facts
    fn punch(
        &self,
        position: &str,
        at: At,
        employee: String,
        local: jiff::civil::DateTime,
        verify: u8,
        state: u8,
        live: bool,
    ) -> Option<Entry> {
        let zoned = self.time_zone.to_ambiguous_zoned(local).compatible().ok();
        let Some(punched_at) = zoned.map(|z| UtcMillis::from(z.timestamp())) else {
            tracing::warn!(position, "a punch with an impossible time was passed over");
            return None;
        };
        let place: PositionId = position.parse().ok()?;
        let key = PunchKey { position: place, employee: employee.clone(), punched_at };
        // A live punch happened when it came; one from the log when the terminal says.
        let (when, mono_us, clock) = if live {
            (at.utc, u64::try_from(at.mono_us).unwrap_or(0), self.clock.quality())
        } else {
            (punched_at, 0, ClockQuality::Reported)
        };
        Some(Entry {
            at: when,
            mono_us,
            boot: self.boot.clone(),
            clock,
            window: None,
            device: Some(position.to_owned()),
            case: None,
            happening: Happening::PunchRecorded { employee, punched_at, verify, state, live },
            once: Some(key),
        })
    }

    async fn health(&mut self, position: &str, health: Health, at: Mono) -> Result<(), RegisterError> {
        let (now, happening) = match health {
            Health::Up => (Some(DeviceHealth::Up), Happening::DeviceUp {}),
            Health::Silent { .. } => (Some(DeviceHealth::Silent), Happening::DeviceSilent {}),
            Health::Degraded { bad_frames_per_minute } => {
                (Some(DeviceHealth::Degraded), Happening::DeviceDegraded { bad_frames_per_minute })
            }
            Health::Down { why } => (Some(DeviceHealth::Down), Happening::DeviceDown { why }),
            Health::ClockOffset { seconds } => (None, Happening::DeviceClockOffset { seconds }),
        };
        if let Some(now) = now {
            let before = self.figures.lock().health.insert(position.to_owned(), Some(now)).flatten();
            if before == Some(now) {
                return Ok(());
            }
        }
        let event = Tagged {
            at: at_of(self.clock.as_ref(), at),
            window: self.windows.get(position).cloned(),
            device: Some(position.to_owned()),
            case: None,
            happening,
        };
        self.append(self.entries(&[event])).await
    }

    async fn camera(&mut self, (camera, happening, at): CameraEvent) -> Result<(), RegisterError> {
        let event = Tagged {
            at: at_of(self.clock.as_ref(), at),
            window: self.camera_windows.get(&camera).cloned(),
            device: Some(camera.to_string()),
            case: None,
            happening,
        };
        self.append(self.entries(&[event])).await
    }

    /// Tells the window's devices what has been decided; a display that cannot be told now is no loss.
    fn show(&self, taken: &Taken) {
        for event in &taken.events {
            let Some(panel) = event.window.as_ref().and_then(|w| self.panels.get(w)) else { continue };
            match &event.happening {
                Happening::RatingInvited { .. } => {
                    if let Some((bus, address)) = &panel.evaluator {
                        let _ = bus.try_send(BusCommand::BeginEvaluation { address: *address });
                    }
                }
                Happening::TicketCalled { ticket, .. }
                | Happening::TicketResumed { ticket }
                | Happening::TicketRecalled { ticket, .. } => {
                    let Some((bus, address)) = &panel.keypad else { continue };
                    let digits: String = ticket.chars().filter(char::is_ascii_digit).collect();
                    let last = &digits[digits.len().saturating_sub(3)..];
                    if let Ok(n) = last.parse() {
                        let _ = bus.try_send(BusCommand::ShowTicket { address: *address, n });
                    }
                    let session = self.desk.as_ref().map(|desk| &desk.session);
                    let waiting = event.window.as_ref().zip(session).map(|(w, session)| session.waiting(w));
                    if let Some(n) = waiting.and_then(|n| u32::try_from(n).ok()) {
                        let _ = bus.try_send(BusCommand::ShowWaiting { address: *address, n });
                    }
                }
                _ => {}
            }
        }
    }
}
