//! The task that keeps up the conversation with one terminal.
//!
//! Live events are a hint and told at once; the terminal's log is the truth, read at every connection and then
//! periodically, and told again (docs/reference/devices.md A1.8). Owns reconnecting, keep-alive and the clock's offset. The
//! owner drops what it already has.

use std::{collections::HashSet, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::civil::DateTime;
use serde::Deserialize;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    records::{Log, Punch},
    session::{LiveEvent, Session, SessionError, SessionTimeouts},
};
use crate::{
    clock::{LocalClock, Mono, MonotonicClock},
    outlet::Outlet,
    port::{Backoff, Port, Stream, plain_reason},
    reading::{Counters, DriverEvent, Fact, Health, PositionId, Reading, Receipt},
};

/// A wrong comm key will not become right by itself, and terminals hold few sessions.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// How long a terminal may take to be enabled and left when the driver ends.
const LEAVE: Duration = Duration::from_secs(2);
/// A change of the clock's offset smaller than this is the granularity of its seconds.
const OFFSET_CHANGE: i64 = 2;

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
            .finish()
    }
}

type ReceiptWait = Pin<Box<dyn Future<Output = Option<Punch>> + Send>>;

/// The driver.
pub struct TerminalDriver {
    config: TerminalConfig,
    port: Box<dyn Port>,
    local: Arc<dyn LocalClock>,
    since: Option<DateTime>,
    timeouts: SessionTimeouts,
    counters: Arc<Counters>,
    /// What was told from the log and stored: not told again while this driver lives.
    stored: HashSet<Punch>,
    receipts: FuturesUnordered<ReceiptWait>,
}

enum Ended {
    Stopped,
    Failed(SessionError),
}

impl TerminalDriver {
    /// A driver of this terminal at this port (port 4370 unless configured otherwise). `local` is the hall's clock, against which
    /// the terminal's is measured.
    pub fn new(config: TerminalConfig, port: Box<dyn Port>, local: Arc<dyn LocalClock>) -> Self {
        Self {
            config,
            port,
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
        let name = self.port.name();
        let mut backoff = Backoff::default();
        loop {
            let opened = tokio::select! {
                () = out.cancel.cancelled() => return,
                opened = self.port.open() => opened,
            };
            let worked = Instant::now();
            let error = match opened {
                Ok(stream) => match self.conversation(stream, &clock, &out).await {
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
            let wait = backoff.next_wait();
            let wait = if matches!(error, SessionError::Unauthorized) { AFTER_REFUSAL } else { wait };
            tokio::select! {
                () = out.cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn conversation(&mut self, stream: Stream, clock: &Arc<dyn MonotonicClock>, out: &Outlet) -> Ended {
        let connecting = Session::connect(stream, self.config.comm_key, self.timeouts, Arc::clone(clock));
        let mut session = tokio::select! {
            () = out.cancel.cancelled() => return Ended::Stopped,
            session = connecting => match session {
                Ok(session) => session,
                Err(error) => return Ended::Failed(error),
            },
        };
        self.counters.add_connect();
        tracing::info!(terminal = %self.port.name(), position = %self.config.position, "attendance terminal is connected");
        if !out.health(&self.config.position, Health::Up, clock.now()).await {
            return Ended::Stopped;
        }
        let ended = tokio::select! {
            () = out.cancel.cancelled() => Ended::Stopped,
            ended = self.talk(&mut session, clock, out) => ended,
        };
        if matches!(ended, Ended::Stopped) {
            // The log may have been half read: the terminal must not stay disabled.
            let _ = tokio::time::timeout(LEAVE, async {
                let _ = session.enable().await;
                session.exit().await;
            })
            .await;
        }
        ended
    }

    async fn talk(
        &mut self,
        session: &mut Session<Stream>,
        clock: &Arc<dyn MonotonicClock>,
        out: &Outlet,
    ) -> Ended {
        match self.converse(session, clock, out).await {
            Ok(()) => Ended::Stopped,
            Err(error) => Ended::Failed(error),
        }
    }

    /// Ends with `Ok` when nobody listens any more.
    async fn converse(
        &mut self,
        session: &mut Session<Stream>,
        clock: &Arc<dyn MonotonicClock>,
        out: &Outlet,
    ) -> Result<(), SessionError> {
        let position = self.config.position.clone();
        let mut offset = None;
        match session.register_events().await {
            Err(SessionError::Refused { reply, .. }) => {
                tracing::warn!(%position, reply, "this terminal has no live events; punches come with the log");
            }
            other => other?,
        }
        let keep_alive = Duration::from_secs(self.config.keep_alive_s.max(1));
        let log_interval = Duration::from_secs(self.config.log_interval_s.max(1));
        let mut next_log = Instant::now();
        let mut next_sign = next_log;
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
                    next_sign = Instant::now() + keep_alive;
                }
                () = tokio::time::sleep_until(next_log) => {
                    match session.read_log().await {
                        Ok(log) => {
                            self.counters.add_good();
                            if !self.tell_log(log, clock.now(), out).await {
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
            self.receipts.push(Box::pin(async move { waiting.await.ok().map(|()| key) }));
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

fn offset_seconds(terminal: DateTime, local: DateTime) -> i64 {
    (terminal.duration_since(local).as_millis() as f64 / 1000.0).round() as i64
}

#[cfg(test)]
mod tests;
