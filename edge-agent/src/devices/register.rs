//! The register: the one task that takes readings to the record. Each reading goes through the case session and into
//! the journal as one transaction; then, and only then, its receipt is given and the window's devices are told.

mod health;

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use control_protocol::{
    CameraId, CaseId, Happening, PositionId, UtcMillis, WindowId,
    event::{ClockQuality, Grade},
};
use device_drivers::{
    clock::Mono,
    reading::{Answered, DriverEvent, Fact, Reading},
};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    LiveSaid, SharedFigures, Switchboard,
    drivers::GUEST,
    keys::press,
    tickets::{Issued, Wish},
};
use crate::{
    cases::{At, HallSession, Input, Press, SessionConfig, Tagged, Taken},
    clock::Clock,
    config::{Config, Keys},
    journal::{Entry, Journal, JournalError, Note, PunchKey, SerialFile, Unanswered},
};

/// How far back the journal is read for the state of queue and windows: an agent that was off over a long weekend still
/// closes what was open before it.
const RECOVER_MS: i64 = 8 * 86_400_000;
/// The wait before an append is tried again when the disk is full.
const FULL_WAIT: Duration = Duration::from_secs(1);
/// The longest time without a turn, by which the service manager's watchdog knows that the register lives.
const LONGEST_US: i64 = 10_000_000;

/// How long a device that was not answered is expected to say the same again. A person who presses again after that
/// means it anew.
const REPEATED_MS: i64 = 300_000;

type AnswerWait = Pin<Box<dyn Future<Output = (String, u64, bool)> + Send + Sync>>;

/// A camera's change of state.
pub type CameraEvent = (CameraId, Happening, Mono);

/// What the register listens to.
pub struct Inbox {
    /// The drivers.
    pub drivers: mpsc::Receiver<DriverEvent>,
    /// The cameras.
    pub cameras: mpsc::Receiver<CameraEvent>,
    /// Those who want tickets of ours.
    pub tickets: mpsc::Receiver<Wish>,
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
    /// Window → its number, as people see it.
    numbers: HashMap<WindowId, u16>,
    board: Switchboard,
    desk: Option<Desk>,
    serials: SerialFile,
    journal: Journal,
    clock: Arc<dyn Clock>,
    boot: Arc<str>,
    figures: SharedFigures,
    /// Position → what it said last, on record and not answered: said again it is the same.
    unanswered: HashMap<String, Unanswered>,
    answers: FuturesUnordered<AnswerWait>,
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
        board: Switchboard,
        figures: SharedFigures,
    ) -> Result<Self, RegisterError> {
        let session_config = SessionConfig::from(config);
        let now = at_of(clock.as_ref(), clock.now_mono());
        let session = recover(session_config.clone(), &journal, now).await?;
        tracing::info!(open_cases = session.open(), "queue and windows are as the journal left them");
        let unanswered = journal.unanswered().await?.into_iter().map(|said| (said.position.clone(), said));
        Ok(Self {
            keys: config.keys.clone(),
            time_zone: config.hall.time_zone.clone(),
            numbers: config.windows.iter().map(|w| (w.id.clone(), w.number)).collect(),
            board,
            desk: Some(Desk { session, serials: serials.clone() }),
            serials,
            journal,
            boot: clock.boot().into(),
            clock,
            figures,
            session_config,
            unanswered: unanswered.collect(),
            answers: FuturesUnordered::new(),
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
            let (mut driver, mut camera, mut answer, mut wish) = (None, None, None, None);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(done) = self.answers.next() => answer = Some(done),
                Some(event) = inbox.drivers.recv() => driver = Some(event),
                Some(event) = inbox.cameras.recv() => camera = Some(event),
                Some(wanted) = inbox.tickets.recv() => wish = Some(wanted),
                () = tokio::time::sleep(due) => {}
            }
            match (driver, camera, answer, wish) {
                (Some(event), ..) => self.driver(event).await?,
                (_, Some(event), ..) => self.camera(event).await?,
                (_, _, Some((position, said, answered)), _) => {
                    self.answered(position, said, answered).await?;
                }
                (.., Some(wish)) => self.wish(wish).await?,
                _ => self.tick().await?,
            }
        }
        while let Ok(event) = inbox.drivers.try_recv() {
            self.driver(event).await?;
        }
        while let Ok(event) = inbox.cameras.try_recv() {
            self.camera(event).await?;
        }
        while let Some(Some((position, said, answered))) = self.answers.next().now_or_never() {
            self.answered(position, said, answered).await?;
        }
        Ok(())
    }

    fn until_due(&self) -> Duration {
        let due = self.desk.as_ref().and_then(|desk| desk.session.due());
        let now = micros(self.clock.now_mono());
        let wait = due.map_or(LONGEST_US, |due| due.saturating_sub(now).clamp(0, LONGEST_US));
        // A millisecond more, so that the moment is over when the timer says so.
        Duration::from_micros(u64::try_from(wait).unwrap_or(0)) + Duration::from_millis(1)
    }

    fn show_open(&self) {
        let open = self.desk.as_ref().map_or(0, |desk| desk.session.open());
        let mut figures = self.figures.lock();
        figures.open_cases = open;
        figures.turns += 1;
    }

    /// Waits before it is tried whether the disk has space again.
    async fn wait_for_space(&self) {
        self.figures.lock().turns += 1;
        tokio::time::sleep(FULL_WAIT).await;
    }

    async fn driver(&mut self, event: DriverEvent) -> Result<(), RegisterError> {
        match event {
            DriverEvent::Reading(reading) => self.reading(reading).await,
            DriverEvent::Health { position, health, at } => {
                self.health(position.0.as_ref(), health, at).await
            }
            DriverEvent::LogRead { position, through, clock_offset } => {
                self.log_read(position.0.as_ref(), through, clock_offset).await
            }
        }
    }

    async fn reading(&mut self, reading: Reading) -> Result<(), RegisterError> {
        let Reading { position, arrived, fact, raw, receipt } = reading;
        self.figures.lock().readings += 1;
        let at = at_of(self.clock.as_ref(), arrived);
        if position.0.starts_with(GUEST) {
            // A device that nobody has bound: shown to whoever looks for it, and of no effect.
            self.board.say(position.0.as_ref(), at.utc, shown(&fact));
            drop(receipt.durable());
            return Ok(());
        }
        let said = receipt.is_awaited().then(|| Unanswered {
            position: position.to_string(),
            raw,
            at: at.utc,
            mono_us: arrived.0,
        });
        if let Some(said) = &said
            && let Some(known) = self.repeated(said)
        {
            tracing::info!(%position, "said again before it was answered; it is on record once");
            self.await_answer(known, receipt.durable());
            return Ok(());
        }
        let place = self.board.place(position.0.as_ref());
        self.board.spoke(position.0.as_ref(), at.utc);
        if let Some(case) = self.board.in_test(position.0.as_ref()) {
            if !matches!(fact, Fact::Punch { .. }) {
                let window = place.and_then(|p| p.window);
                self.tested(position.0.as_ref(), window, &fact, case, at).await?;
                drop(receipt.durable());
                return Ok(());
            }
            // Somebody's punch counts, whoever tests meanwhile.
            self.board.say(position.0.as_ref(), at.utc, shown(&fact));
        }
        let confirmed = place.as_ref().is_some_and(|p| p.confirmed);
        let window = place.and_then(|p| p.window);
        let input = match fact {
            Fact::Punch { employee, at: local, verify, state, live } => {
                let entry = self.punch(position.0.as_ref(), at, employee, local, verify, state, live);
                if let Some(entry) = entry {
                    self.append(vec![entry]).await?;
                }
                drop(receipt.durable());
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
            Fact::Grade { raw, .. } if !confirmed => {
                self.refuse(position.0.as_ref(), window, raw, at).await?;
                None
            }
            Fact::Grade { raw, grade, .. } => window.map(|window| Input::Window {
                window,
                press: Press::Grade { raw, grade: grade.and_then(Grade::new) },
            }),
            // What a sensor, a display or a voice says is of no case.
            Fact::Report { name, values, .. } => {
                tracing::debug!(%position, name, ?values, "a device reported");
                self.board.report(position.0.as_ref(), &name, &values);
                None
            }
        };
        if let Some(input) = input {
            let taken = self.take(input, position.0.as_ref(), at, said.clone()).await?;
            if let Some(said) = said.filter(|_| !taken.events.is_empty()) {
                self.unanswered.insert(said.position.clone(), said.clone());
                self.await_answer(said, receipt.durable());
            } else {
                drop(receipt.durable());
            }
            self.show(&taken.events);
        } else {
            drop(receipt.durable());
        }
        Ok(())
    }

    /// Gives a ticket of ours: what is answered is on record.
    async fn wish(&mut self, wish: Wish) -> Result<(), RegisterError> {
        if wish.reply.is_closed() {
            return Ok(());
        }
        let at = at_of(self.clock.as_ref(), self.clock.now_mono());
        let input = Input::Issue { business: wish.business.clone() };
        let taken = self.take(input, wish.printer.as_str(), at, None).await?;
        let issued = taken.events.iter().find_map(|event| match (&event.happening, event.case) {
            (Happening::TicketIssued { ticket, business, printed_waiting, .. }, Some(case)) => Some(Issued {
                case,
                ticket: ticket.clone(),
                business: business.clone(),
                waiting: printed_waiting.unwrap_or(0),
                at: event.at.utc,
            }),
            _ => None,
        });
        // Whoever asked may have gone away: then the number waits in the queue, as a slip left in the machine does.
        let _ = wish.reply.send(issued);
        self.show(&taken.events);
        Ok(())
    }

    /// The saying on record that this one repeats. Anything else of that device ends the expectation: a device says one
    /// thing until it is answered.
    fn repeated(&mut self, said: &Unanswered) -> Option<Unanswered> {
        let known = self.unanswered.get(&said.position)?;
        if known.raw == said.raw && (said.at.0 - known.at.0).abs() <= REPEATED_MS {
            return Some(known.clone());
        }
        self.unanswered.remove(&said.position);
        None
    }

    fn await_answer(&mut self, said: Unanswered, answered: Answered) {
        self.answers.push(Box::pin(async move { (said.position, said.mono_us, answered.await.is_ok()) }));
    }

    /// The device has its answer, or the line was lost before.
    async fn answered(&mut self, position: String, said: u64, answered: bool) -> Result<(), RegisterError> {
        if !answered {
            return Ok(());
        }
        if self.unanswered.get(&position).is_some_and(|known| known.mono_us == said) {
            self.unanswered.remove(&position);
        }
        Ok(self.journal.answered(position, said).await?)
    }

    /// A press whose meaning nobody has confirmed: kept as it came, never a rating.
    async fn refuse(
        &self,
        position: &str,
        window: Option<WindowId>,
        raw: u8,
        at: At,
    ) -> Result<(), RegisterError> {
        self.board.refuse(position);
        tracing::warn!(
            position,
            raw,
            "a press is refused: nobody has confirmed what this evaluator's keys mean"
        );
        let happening = Happening::RatingUnsolicited { grade: None, raw, why: "unconfirmed".into() };
        let device = Some(position.to_owned());
        self.append(self.entries(&[Tagged { at, window, device, case: None, happening }])).await
    }

    /// What a position in test says: on record under the test's case, shown, and of no effect.
    async fn tested(
        &self,
        position: &str,
        window: Option<WindowId>,
        fact: &Fact,
        case: CaseId,
        at: At,
    ) -> Result<(), RegisterError> {
        let happening = match fact {
            Fact::Grade { raw, grade, .. } => Some(Happening::RatingUnsolicited {
                grade: grade.and_then(Grade::new),
                raw: *raw,
                why: "test".into(),
            }),
            Fact::Ticket { number, business, waiting, .. } => Some(Happening::TicketIssued {
                ticket: number.clone(),
                business: business.clone(),
                printed_waiting: *waiting,
                priority: 0,
            }),
            // A key pressed in a test changes nothing anywhere; the visit's log has it.
            _ => None,
        };
        if let Some(happening) = happening {
            let device = Some(position.to_owned());
            self.append(self.entries(&[Tagged { at, window, device, case: Some(case), happening }])).await?;
        }
        self.board.say(position, at.utc, shown(fact));
        Ok(())
    }

    /// Puts an input through the session and into the journal; comes back only when it is on disk.
    async fn take(
        &mut self,
        input: Input,
        device: &str,
        at: At,
        said: Option<Unanswered>,
    ) -> Result<Taken, RegisterError> {
        let note = said.map(Note::Said);
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
                Ok(taken) => {
                    match self.journal.append_noting(self.entries(&taken.events), note.clone()).await {
                        Ok(_) => {
                            if let Some(why) = taken.ignored {
                                self.figures.ignored(why);
                                tracing::info!(
                                    device,
                                    why = why.name(),
                                    "the press changes nothing: {input:?}"
                                );
                            }
                            return Ok(taken);
                        }
                        Err(e @ JournalError::Full) => e.to_string(),
                        Err(e) => return Err(e.into()),
                    }
                }
                Err(e) => e.to_string(),
            };
            tracing::error!(device, "a reading waits to be taken: {failed}");
            self.wait_for_space().await;
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
                Ok(_) => {
                    self.show(&events);
                    return Ok(());
                }
                Err(JournalError::Full) => {
                    self.wait_for_space().await;
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
                Err(JournalError::Full) => self.wait_for_space().await,
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

    /// Tells the window's devices what has been decided; a display that cannot be told now is no loss.
    fn show(&self, events: &[Tagged]) {
        for event in events {
            let Some(window) = &event.window else { continue };
            let Some(number) = self.numbers.get(window) else { continue };
            let waiting = self.desk.as_ref().map_or(0, |desk| desk.session.waiting(window));
            self.board.tell(window, &event.happening, *number, waiting);
        }
    }
}

/// A fact as people who watch a test see it.
fn shown(fact: &Fact) -> LiveSaid {
    match fact {
        Fact::Key { digits, key, .. } => {
            LiveSaid::Key { key: format!("{key:?}").to_lowercase(), digits: digits.clone() }
        }
        Fact::Grade { raw, grade, .. } => LiveSaid::Grade { raw: format!("{raw:02X}"), grade: *grade },
        Fact::Ticket { number, business, waiting, .. } => {
            LiveSaid::Ticket { number: number.clone(), business: business.clone(), waiting: *waiting }
        }
        Fact::Punch { verify, state, live, .. } => {
            LiveSaid::Punch { verify: *verify, state: *state, live: *live }
        }
        Fact::Report { name, .. } => LiveSaid::Report { name: name.clone() },
    }
}
