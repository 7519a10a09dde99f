//! The task that watches one module: a finger that comes and is known is one punch, told once until it is lifted.
//!
//! Owns reopening, health, and telling a punch again that the owner could not store: the module itself remembers none.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    aa55,
    conversation::{Line, Module, ModuleError, PATIENCE, Seen},
    ef01,
};
use crate::{
    clock::{LocalClock, Mono, MonotonicClock},
    outlet::Outlet,
    port::{Backoff, Port, Stream, plain_reason, until_worth_opening},
    reading::{Counters, DriverEvent, Fact, Health, PositionId, Reading, Receipt},
};

/// How often a module says that nothing is outstanding.
const WORD_EVERY: Duration = Duration::from_secs(300);
/// A wrong password will not become right by itself.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// Questions in a row without an answer until the line is opened anew.
const MISSED: u32 = 3;
/// Unreadable runs within a minute from which on the line counts as degraded.
const DEGRADED: usize = 6;
/// Punches that may wait to be stored; then nobody is identified until some are.
const WAITING: usize = 64;
/// After what time a punch that was not stored is told again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a module may take to put out its light when the driver ends.
const LEAVE: Duration = Duration::from_secs(1);
/// Verified by fingerprint.
const FINGERPRINT: u8 = 1;

/// Which protocol it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// ZFM-20, R30x, AS608, FPM10A, R503; 57600 bits per second as delivered.
    #[serde(rename = "ef01")]
    Ef01,
    /// GT-511C3, GT-521F32, GT-521F52; 9600 bits per second as delivered.
    #[serde(rename = "55aa")]
    Aa55,
}

impl Family {
    /// Bits per second as delivered.
    pub fn baud(self) -> u32 {
        match self {
            Self::Ef01 => 57_600,
            Self::Aa55 => 9600,
        }
    }
}

/// Who has a slot of the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The slot.
    pub slot: u16,
    /// The employee's number.
    pub employee: String,
}

/// One module.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleConfig {
    /// Its place.
    pub position: PositionId,
    /// Its protocol.
    pub family: Family,
    /// Its address (`EF 01` only).
    #[serde(default = "default_address")]
    pub address: u32,
    /// Its password (`EF 01` only).
    #[serde(default)]
    pub password: u32,
    /// Who has which slot.
    pub slots: Vec<Slot>,
    /// What a punch here means: 0 in, 1 out, 2 break out, 3 break in, 4 overtime in, 5 overtime out.
    #[serde(default)]
    pub state: u8,
    /// Milliseconds between two looks, 100 to 2000.
    #[serde(default = "default_look")]
    pub look_ms: u64,
}

fn default_address() -> u32 {
    ef01::DEFAULT_ADDRESS
}
fn default_look() -> u64 {
    150
}

impl ModuleConfig {
    /// A module as delivered.
    pub fn new(position: PositionId, family: Family, slots: Vec<Slot>) -> Self {
        let (address, look_ms) = (default_address(), default_look());
        Self { position, family, address, password: 0, slots, state: 0, look_ms }
    }
}

impl fmt::Debug for ModuleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleConfig")
            .field("position", &self.position)
            .field("family", &self.family)
            .field("password", &"(hidden)")
            .field("slots", &self.slots.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A punch until it is stored.
#[derive(Clone)]
struct Told {
    employee: String,
    slot: u16,
    at: DateTime,
    arrived: Mono,
}

type Waiting = Pin<Box<dyn Future<Output = Option<Told>> + Send>>;

/// The driver.
pub struct ModuleDriver {
    config: ModuleConfig,
    employees: BTreeMap<u16, String>,
    port: Box<dyn Port>,
    local: Arc<dyn LocalClock>,
    counters: Arc<Counters>,
    patience: Duration,
    waiting: FuturesUnordered<Waiting>,
}

enum Ended {
    Stopped,
    Failed(ModuleError),
}

impl ModuleDriver {
    /// A driver of this module at this port. `local` is the hall's clock, which dates the punches.
    pub fn new(config: ModuleConfig, port: Box<dyn Port>, local: Arc<dyn LocalClock>) -> Self {
        let employees = config.slots.iter().map(|s| (s.slot, s.employee.clone())).collect();
        Self {
            config,
            employees,
            port,
            local,
            counters: Arc::default(),
            patience: PATIENCE,
            waiting: FuturesUnordered::new(),
        }
    }

    /// Another wait for an answer than the customary 2 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Its counts: good are punches, unmatched fingers that nobody has, bad runs of bytes that could not be read.
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
        let mut backoff = Backoff::default();
        loop {
            let opened = tokio::select! {
                () = out.cancel.cancelled() => return,
                opened = self.port.open() => opened,
            };
            let begun = Instant::now();
            let error = match opened {
                Ok(stream) => match self.watch(stream, clock.as_ref(), &out).await {
                    Ended::Stopped => return,
                    Ended::Failed(error) => error,
                },
                Err(error) => ModuleError::Io(error),
            };
            if begun.elapsed() > Duration::from_secs(10) {
                backoff.reset();
            }
            if backoff.is_fresh() {
                let why = match &error {
                    ModuleError::Io(error) => plain_reason(error),
                    other => other.to_string(),
                };
                tracing::warn!(port = %self.port.name(), position = %self.config.position, %why, "fingerprint module is away; trying again until it returns");
                if !out.health(&self.config.position, Health::Down { why }, clock.now()).await {
                    return;
                }
            }
            let refused = matches!(error, ModuleError::Password);
            if !self.away(refused, &mut backoff, &out).await {
                return;
            }
        }
    }

    /// Waits until the module is worth trying again; punches that are not stored yet are told again meanwhile. `false` when
    /// the driver is to end.
    async fn away(&mut self, refused: bool, backoff: &mut Backoff, out: &Outlet) -> bool {
        let Self { config, port, waiting, .. } = self;
        let returned = async {
            if refused {
                backoff.next_wait();
                tokio::time::sleep(AFTER_REFUSAL).await;
            } else {
                until_worth_opening(&mut **port, backoff).await;
            }
        };
        let mut returned = std::pin::pin!(returned);
        loop {
            tokio::select! {
                () = out.cancel.cancelled() => return false,
                () = &mut returned => break,
                Some(lost) = waiting.next() => if let Some(told) = lost
                    && !tell(config, waiting, told, out).await
                {
                    return false;
                },
            }
        }
        true
    }

    async fn watch(&mut self, stream: Stream, clock: &dyn MonotonicClock, out: &Outlet) -> Ended {
        let line = Line::new(stream, self.patience);
        let mut module = match self.config.family {
            Family::Ef01 => Module::Ef01 {
                line,
                decoder: ef01::Decoder::default(),
                address: self.config.address,
                password: self.config.password,
                capacity: 0,
            },
            Family::Aa55 => Module::Aa55 { line, decoder: aa55::Decoder::default() },
        };
        let watched = tokio::select! {
            () = out.cancel.cancelled() => Ok(()),
            watched = self.look_on(&mut module, clock, out) => watched,
        };
        match watched {
            Ok(()) => {
                let _ = tokio::time::timeout(LEAVE, module.end()).await;
                Ended::Stopped
            }
            Err(error) => Ended::Failed(error),
        }
    }

    /// Ends with `Ok` when nobody listens any more.
    async fn look_on(
        &mut self,
        module: &mut Module,
        clock: &dyn MonotonicClock,
        out: &Outlet,
    ) -> Result<(), ModuleError> {
        module.begin().await?;
        self.counters.add_connect();
        tracing::info!(port = %self.port.name(), position = %self.config.position, slots = module.capacity(), "fingerprint module is connected");
        if !out.health(&self.config.position, Health::Up, clock.now()).await {
            return Ok(());
        }
        let between = Duration::from_millis(self.config.look_ms.clamp(100, 2000));
        let (mut lifted, mut missed) = (true, 0);
        let mut next_word = Instant::now();
        let mut line = LineHealth::default();
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                biased;
                Some(lost) = self.waiting.next() => {
                    if let Some(told) = lost && !self.tell(told, out).await {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(next_look) => {
                    next_look = Instant::now() + between;
                    if self.waiting.len() >= WAITING {
                        continue;
                    }
                    let seen = match module.look(lifted).await {
                        Err(ModuleError::Silent) if missed + 1 < MISSED => {
                            missed += 1;
                            continue;
                        }
                        other => other?,
                    };
                    missed = 0;
                    let arrived = clock.now();
                    let bad = module.bad();
                    for _ in line.seen..bad {
                        self.counters.add_bad();
                    }
                    if let Some(health) = line.take(bad, arrived)
                        && !out.health(&self.config.position, health, arrived).await
                    {
                        return Ok(());
                    }
                    match seen {
                        Seen::NoFinger => lifted = true,
                        Seen::Finger | Seen::Unclear => {}
                        Seen::Unknown => {
                            lifted = false;
                            self.counters.add_unmatched();
                            tracing::info!(position = %self.config.position, "a finger that the module does not know");
                        }
                        Seen::Slot(slot) => {
                            lifted = false;
                            if !self.punch(slot, arrived, out).await {
                                return Ok(());
                            }
                        }
                    }
                    // A module keeps no log: what it has seen is on record, or waits here to be.
                    if self.waiting.is_empty() && Instant::now() >= next_word {
                        next_word = Instant::now() + WORD_EVERY;
                        let position = self.config.position.clone();
                        let read = DriverEvent::LogRead { position, through: arrived, clock_offset: None };
                        if !out.send(read).await {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    async fn punch(&mut self, slot: u16, arrived: Mono, out: &Outlet) -> bool {
        let Some(employee) = self.employees.get(&slot).cloned() else {
            self.counters.add_unmatched();
            tracing::warn!(position = %self.config.position, slot, "the module knows a finger in a slot that no employee has; add the slot to the configuration");
            return true;
        };
        self.counters.add_good();
        let now = self.local.local_now();
        let whole = now.time().with().subsec_nanosecond(0).build().unwrap_or(now.time());
        let at = DateTime::from_parts(now.date(), whole);
        self.tell(Told { employee, slot, at, arrived }, out).await
    }

    async fn tell(&mut self, told: Told, out: &Outlet) -> bool {
        tell(&self.config, &mut self.waiting, told, out).await
    }
}

/// Tells a punch, and remembers it until it is stored. `false` when the driver is to end.
async fn tell(
    config: &ModuleConfig,
    waiting: &mut FuturesUnordered<Waiting>,
    told: Told,
    out: &Outlet,
) -> bool {
    let (receipt, stored) = Receipt::pair();
    let reading = Reading {
        position: config.position.clone(),
        arrived: told.arrived,
        fact: Fact::Punch {
            employee: told.employee.clone(),
            at: told.at,
            verify: FINGERPRINT,
            state: config.state,
            live: true,
        },
        raw: Bytes::copy_from_slice(&told.slot.to_be_bytes()),
        receipt,
    };
    waiting.push(Box::pin(async move {
        if stored.await.is_ok() {
            return None;
        }
        tokio::time::sleep(AGAIN).await;
        Some(told)
    }));
    out.send(DriverEvent::Reading(reading)).await
}

/// Unreadable runs of the last minute.
#[derive(Default)]
struct LineHealth {
    seen: u64,
    times: VecDeque<Mono>,
    degraded: bool,
}

impl LineHealth {
    /// The line's health, when it has changed.
    fn take(&mut self, bad: u64, now: Mono) -> Option<Health> {
        for _ in self.seen..bad.min(self.seen + 1000) {
            self.times.push_back(now);
        }
        self.seen = bad;
        while self.times.len() > 1000
            || self.times.front().is_some_and(|t| now.since(*t) > Duration::from_secs(60))
        {
            self.times.pop_front();
        }
        if !self.degraded && self.times.len() >= DEGRADED {
            self.degraded = true;
            return Some(Health::Degraded { bad_frames_per_minute: self.times.len() as u32 });
        }
        if self.degraded && self.times.is_empty() {
            self.degraded = false;
            return Some(Health::Up);
        }
        None
    }
}

#[cfg(test)]
mod tests;
