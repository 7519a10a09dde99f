//! The task that keeps up the conversation with one terminal.
//!
//! Live events are a hint and told at once; the terminal's log is the truth, read at every connection and then
//! periodically, and told again (docs/reference/devices.md A1.8). Owns reconnecting, keep-alive, and the clock: its offset is
//! always measured and told, and set right only where the configuration says so. The owner drops what it already has.

use std::{collections::HashSet, fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::civil::DateTime;
use serde::Deserialize;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    link::{Link, TerminalAddress},
    records::{Log, Punch},
    session::{LiveEvent, Session, SessionError, SessionTimeouts},
};
use crate::{
    clock::{LocalClock, Mono, MonotonicClock},
    outlet::Outlet,
    port::{Backoff, Port, plain_reason, until_worth_opening},
    reading::{Counters, DriverEvent, Fact, Health, PositionId, Reading, Receipt},
};

/// A wrong comm key will not become right by itself, and terminals hold few sessions.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// How long a terminal may take to be enabled and left when the driver ends.
const LEAVE: Duration = Duration::from_secs(2);
/// A change of the clock's offset smaller than this is the granularity of its seconds.
const OFFSET_CHANGE: i64 = 2;

/// A clock that will not be set is left alone so long; what is wrong with it needs a person.
const CLOCK_REST: Duration = Duration::from_secs(3600);
/// From this share of its capacity on a terminal is called nearly full.
const NEARLY_FULL: f64 = 0.9;

/// One terminal.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalConfig {
    /// Its place.
    pub position: PositionId,
    /// The "Comm Key" of the terminal's menu; 0 = none.
    #[serde(default)]
    pub comm_key: u32,
    /// Seconds between two signs of life.
    #[serde(default = "default_keep_alive")]
    pub keep_alive_s: u64,
    /// Seconds between two readings of the log.
    #[serde(default = "default_log_interval")]
    pub log_interval_s: u64,
    /// Sets the terminal's clock when it is further off than [`clock_tolerance_s`](Self::clock_tolerance_s).
    #[serde(default)]
    pub set_clock: bool,
    /// Seconds by which the terminal's clock may be off.
    #[serde(default = "default_tolerance")]
    pub clock_tolerance_s: u64,
    /// Ends captures and begins verifying before asking for live events, for models that send none otherwise.
    #[serde(default)]
    pub start_verify: bool,
}

fn default_tolerance() -> u64 {
    5
}
fn default_keep_alive() -> u64 {
    30
}
fn default_log_interval() -> u64 {
    600
}

impl TerminalConfig {
    /// A terminal with the usual settings.
    pub fn new(position: PositionId, comm_key: u32) -> Self {
        Self {
            position,
            comm_key,
            keep_alive_s: default_keep_alive(),
            log_interval_s: default_log_interval(),
            set_clock: false,
            clock_tolerance_s: default_tolerance(),
            start_verify: false,
        }
    }
}

impl fmt::Debug for TerminalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalConfig")
            .field("position", &self.position)
            .field("comm_key", &"(hidden)")
            .field("keep_alive_s", &self.keep_alive_s)
            .field("log_interval_s", &self.log_interval_s)
            .field("set_clock", &self.set_clock)
            .field("clock_tolerance_s", &self.clock_tolerance_s)
            .field("start_verify", &self.start_verify)
            .finish()
    }
}

type ReceiptWait = Pin<Box<dyn Future<Output = Option<Punch>> + Send>>;

/// The driver.
pub struct TerminalDriver {
    config: TerminalConfig,
    way: Way,
    local: Arc<dyn LocalClock>,
    since: Option<DateTime>,
    timeouts: SessionTimeouts,
    counters: Arc<Counters>,
    /// What was told from the log and stored: not told again while this driver lives.
    stored: HashSet<Punch>,
    receipts: FuturesUnordered<ReceiptWait>,
}

enum Way {
    Port(Box<dyn Port>),
    Udp(SocketAddr),
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::Port(port) => port.name(),
            Self::Udp(address) => TerminalAddress::udp(*address).to_string(),
        }
    }

    async fn until_worth_dialling(&mut self, refused: bool, backoff: &mut Backoff) {
        match self {
            Self::Port(port) if !refused => until_worth_opening(&mut **port, backoff).await,
            _ => {
                let wait = backoff.next_wait();
                tokio::time::sleep(if refused { AFTER_REFUSAL } else { wait }).await;
            }
        }
    }

    async fn open(&mut self) -> std::io::Result<Link> {
        match self {
            Self::Port(port) => port.open().await.map(Link::tcp),
            Self::Udp(address) => Link::udp(*address).await,
        }
    }
}

enum Ended {
    Stopped,
    Failed(SessionError),
}

impl TerminalDriver {
    /// A driver of this terminal at this port (port 4370 unless configured otherwise). `local` is the hall's clock, against which
    /// the terminal's is measured.
    pub fn new(config: TerminalConfig, port: Box<dyn Port>, local: Arc<dyn LocalClock>) -> Self {
        Self::over(config, Way::Port(port), local)
    }

    /// A driver of a terminal that is spoken to over UDP.
    pub fn udp(config: TerminalConfig, address: SocketAddr, local: Arc<dyn LocalClock>) -> Self {
        Self::over(config, Way::Udp(address), local)
    }

    fn over(config: TerminalConfig, way: Way, local: Arc<dyn LocalClock>) -> Self {
        Self {
            config,
            way,
            local,
            since: None,
            timeouts: SessionTimeouts::default(),
            counters: Arc::default(),
            stored: HashSet::new(),
            receipts: FuturesUnordered::new(),
        }
    }

    /// Leaves out what the log says before this time of the terminal's clock (the last punch the owner has, less a margin for
    /// clocks that were set back).
    pub fn since(mut self, since: Option<DateTime>) -> Self {
        self.since = since;
        self
    }

    /// Other timeouts than the customary.
    pub fn timeouts(mut self, timeouts: SessionTimeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Its counts: good are log readings and events, bad are failed conversations.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until cancelled, or until nobody listens to `events` any more.
    pub async fn run(
        mut self,
        clock: Arc<dyn MonotonicClock>,
        events: mpsc::Sender<DriverEvent>,
        cancel: CancellationToken,
    ) {
        let out = Outlet { events, cancel };
        let name = self.way.name();
        let mut backoff = Backoff::default();
        loop {
            let opened = tokio::select! {
                () = out.cancel.cancelled() => return,
                opened = self.way.open() => opened,
            };
            let worked = Instant::now();
            let error = match opened {
                Ok(link) => match self.conversation(link, &clock, &out).await {
                    Ended::Stopped => return,
                    Ended::Failed(error) => error,
                },
                Err(error) => SessionError::Io(error),
            };
            // A terminal that answered for a while gets the short waits again.
            if worked.elapsed() > Duration::from_secs(10) {
                backoff.reset();
            }
            if backoff.is_fresh() {
                let why = match &error {
                    SessionError::Io(error) => plain_reason(error),
                    other => other.to_string(),
                };
                tracing::warn!(terminal = %name, position = %self.config.position, %why, "attendance terminal is away; trying again until it returns");
                if !out.health(&self.config.position, Health::Down { why }, clock.now()).await {
                    return;
                }
            }
            self.counters.add_bad();
            let refused = matches!(error, SessionError::Unauthorized);
            tokio::select! {
                () = out.cancel.cancelled() => return,
                () = self.way.until_worth_dialling(refused, &mut backoff) => {}
            }
        }
    }

    async fn conversation(&mut self, link: Link, clock: &Arc<dyn MonotonicClock>, out: &Outlet) -> Ended {
        let connecting = Session::connect(link, Some(self.config.comm_key), self.timeouts, Arc::clone(clock));
        let mut session = tokio::select! {
            () = out.cancel.cancelled() => return Ended::Stopped,
            session = connecting => match session {
                Ok(session) => session,
                Err(error) => return Ended::Failed(error),
            },
        };
        self.counters.add_connect();
        tracing::info!(terminal = %self.way.name(), position = %self.config.position, "attendance terminal is connected");
        if !out.health(&self.config.position, Health::Up, clock.now()).await {
            return Ended::Stopped;
        }
        let ended = tokio::select! {
            () = out.cancel.cancelled() => Ended::Stopped,
            ended = self.talk(&mut session, clock, out) => ended,
        };
        if matches!(ended, Ended::Stopped) {
            // The log may have been half read: leaving enables the terminal. If it does not answer, dropping the session does.
            let _ = tokio::time::timeout(LEAVE, session.exit()).await;
        }
        ended
    }

    async fn talk(&mut self, session: &mut Session, clock: &Arc<dyn MonotonicClock>, out: &Outlet) -> Ended {
        match self.converse(session, clock, out).await {
            Ok(()) => Ended::Stopped,
            Err(error) => Ended::Failed(error),
        }
    }

    /// Ends with `Ok` when nobody listens any more.
    async fn converse(
        &mut self,
        session: &mut Session,
        clock: &Arc<dyn MonotonicClock>,
        out: &Outlet,
    ) -> Result<(), SessionError> {
        let position = self.config.position.clone();
        let mut offset = None;
        // A conversation that broke off while the log was read, in this process or another, left it disabled.
        match session.enable().await {
            Err(SessionError::Refused { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        match session.listen(self.config.start_verify).await {
            Err(SessionError::Refused { reply, .. }) => {
                tracing::warn!(%position, reply, "this terminal has no live events; punches come with the log");
            }
            other => other?,
        }
        let keep_alive = Duration::from_secs(self.config.keep_alive_s.max(1));
        let log_interval = Duration::from_secs(self.config.log_interval_s.max(1));
        let mut next_log = Instant::now();
        let mut next_sign = next_log;
        let mut next_setting = next_log;
        loop {
            tokio::select! {
                biased;
                Some(stored) = self.receipts.next() => {
                    self.stored.extend(stored);
                }
                event = session.next_event() => {
                    self.counters.add_good();
                    if !out.send(self.live(event?)).await {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(next_sign) => {
                    let terminal = session.time().await?;
                    let seconds = terminal.map(|t| offset_seconds(t, self.local.local_now()));
                    if let Some(seconds) = seconds
                        && offset.is_none_or(|told: i64| (told - seconds).abs() >= OFFSET_CHANGE)
                    {
                        offset = Some(seconds);
                        if !out.health(&position, Health::ClockOffset { seconds }, clock.now()).await {
                            return Ok(());
                        }
                    }
                    if let Some(seconds) = seconds
                        && self.config.set_clock
                        && seconds.unsigned_abs() > self.config.clock_tolerance_s
                        && Instant::now() >= next_setting
                    {
                        next_setting = Instant::now() + CLOCK_REST;
                        match session.set_time(self.local.local_now()).await {
                            // Measured anew at once.
                            Ok(()) => {
                                tracing::info!(%position, seconds, "the terminal's clock was off and has been set");
                                next_sign = Instant::now();
                                continue;
                            }
                            Err(SessionError::Refused { reply, .. }) => {
                                tracing::warn!(%position, seconds, reply, "the terminal does not let its clock be set");
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    next_sign = Instant::now() + keep_alive;
                }
                () = tokio::time::sleep_until(next_log) => {
                    // What is punched while the log is read may be missing from it.
                    let through = clock.now();
                    match session.read_log().await {
                        Ok(log) => {
                            self.counters.add_good();
                            if !self.tell_log(log, clock.now(), out).await {
                                return Ok(());
                            }
                            let read = DriverEvent::LogRead { position: position.clone(), through, clock_offset: offset };
                            if !out.send(read).await {
                                return Ok(());
                            }
                        }
                        // The conversation is sound, the log is not: say so, go on with live events.
                        Err(error @ (SessionError::Records(_) | SessionError::Refused { .. })) => {
                            self.counters.add_unmatched();
                            tracing::warn!(%position, %error, "the terminal's log cannot be read");
                            let health = Health::Degraded { bad_frames_per_minute: 1 };
                            if !out.health(&position, health, clock.now()).await {
                                return Ok(());
                            }
                        }
                        Err(error) => return Err(error),
                    }
                    next_log = Instant::now() + log_interval;
                    next_sign = next_sign.max(Instant::now());
                }
            }
        }
    }

    fn live(&self, event: LiveEvent) -> DriverEvent {
        let LiveEvent { punch, arrived, raw } = event;
        // The event itself was acknowledged at once: the terminal keeps the punch in its log either way.
        self.reading(punch, true, arrived, raw, Receipt::unacknowledged())
    }

    fn reading(&self, punch: Punch, live: bool, arrived: Mono, raw: Bytes, receipt: Receipt) -> DriverEvent {
        let Punch { employee, at, verify, state } = punch;
        DriverEvent::Reading(Reading {
            position: self.config.position.clone(),
            arrived,
            fact: Fact::Punch { employee, at, verify, state, live },
            raw,
            receipt,
        })
    }

    async fn tell_log(&mut self, log: Log, arrived: Mono, out: &Outlet) -> bool {
        if log.fullness.is_some_and(|full| full >= NEARLY_FULL) {
            tracing::warn!(
                position = %self.config.position,
                records = log.punches.len() + log.undated,
                "the terminal's memory is nearly full; clear its log at the terminal once its punches are on record"
            );
        }
        if log.undated > 0 {
            tracing::warn!(position = %self.config.position, count = log.undated, "log entries with an impossible date");
        }
        // What the terminal no longer holds need not be remembered: the set never outgrows its memory.
        let held: HashSet<&Punch> = log.punches.iter().map(|(punch, _)| punch).collect();
        self.stored.retain(|punch| held.contains(punch));
        drop(held);
        let mut told = 0usize;
        for (punch, raw) in log.punches {
            if self.since.is_some_and(|since| punch.at < since) || self.stored.contains(&punch) {
                continue;
            }
            let (receipt, waiting) = Receipt::pair();
            let key = punch.clone();
            self.receipts.push(Box::pin(async move { waiting.await.ok().map(|_| key) }));
            told += 1;
            // A copy: a slice would keep the whole log in memory.
            let raw = Bytes::copy_from_slice(&raw);
            if !out.send(self.reading(punch, false, arrived, raw, receipt)).await {
                return false;
            }
        }
        tracing::debug!(position = %self.config.position, told, "the terminal's log was read");
        true
    }
}

pub(super) fn offset_seconds(terminal: DateTime, local: DateTime) -> i64 {
    (terminal.duration_since(local).as_millis() as f64 / 1000.0).round() as i64
}

#[cfg(test)]
mod tests;
