//! The driver of one line whose devices speak by profiles: one task, one device or many.
//!
//! Owns turn-taking on the line, suppression of repetitions, the rule that a press is acknowledged only once it is
//! durable, polling, and the pace of commands. Never decides what a key means.

mod presses;
mod turns;

use std::{
    collections::{BTreeSet, VecDeque},
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{io::AsyncReadExt, sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    presses::{Presses, Repeated, Speaker},
    turns::{Asking, Outgoing, Session, speak},
};
use super::{Arg, Decoded, Kind, LineConfig, LineConfigError, Meaning, Order, Profile, Saying, What};
use crate::{
    clock::{Mono, MonotonicClock},
    outlet::Outlet,
    port::{Backoff, BusRules, HalfDuplex, Port, Stream, plain_reason, until_worth_opening},
    reading::{Answering, Counters, DriverEvent, Fact, Health, Reading, Receipt},
};

/// Unreadable frames remembered; a line that fills this within a minute is flooded and read slowly.
const BAD_LIMIT: usize = 10_000;
/// How slowly: far faster than any line, far cheaper than a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(20);
/// A line that never falls silent gets the answer anyway after this long: better a collision than none.
const TURNAROUND_LIMIT: Duration = Duration::from_millis(60);
/// Receipts that may be outstanding: beyond it, the owner is not storing and presses are left to be said again.
const PENDING_LIMIT: usize = 256;

type ReceiptWait = Pin<Box<dyn Future<Output = (Speaker, u64, Bytes, Mono, Option<Answering>)> + Send>>;

/// Why a session on an open port ended.
enum Ended {
    Cancelled,
    OwnerGone,
    Lost(io::Error),
}

/// The driver. `C` is what its owner orders in: [`Order`], or something that becomes one.
pub struct ProfileDriver<C = Order> {
    config: LineConfig,
    port: Box<dyn Port>,
    orders: mpsc::Receiver<C>,
    counters: Arc<Counters>,
    presses: Presses,
    receipts: FuturesUnordered<ReceiptWait>,
    strangers: BTreeSet<(usize, u8)>,
    bad: VecDeque<Mono>,
    degraded: bool,
    /// Per device: when it was last heard, and whether it has been told silent.
    heard: Vec<(Mono, bool)>,
}

impl<C: Into<Order> + Send> ProfileDriver<C> {
    /// A driver of this line on this port. `orders` is how the owner speaks to the devices; it may be closed.
    ///
    /// # Errors
    /// What [`LineConfig::check`] finds.
    pub fn new(
        config: LineConfig,
        port: Box<dyn Port>,
        orders: mpsc::Receiver<C>,
    ) -> Result<Self, LineConfigError> {
        config.check()?;
        Ok(Self {
            heard: vec![(Mono::default(), false); config.devices.len()],
            config,
            port,
            orders,
            counters: Arc::default(),
            presses: Presses::default(),
            receipts: FuturesUnordered::new(),
            strangers: BTreeSet::new(),
            bad: VecDeque::new(),
            degraded: false,
        })
    }

    /// Its counts.
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
            let why = match opened {
                Ok(stream) => {
                    tracing::info!(port = %name, "the line is open");
                    self.counters.add_connect();
                    backoff.reset();
                    self.degraded = false;
                    self.bad.clear();
                    self.heard.fill((clock.now(), false));
                    self.health(&Health::Up, &*clock, &out).await;
                    match self.session(stream, &*clock, &out).await {
                        Ended::Cancelled | Ended::OwnerGone => return,
                        Ended::Lost(error) => error,
                    }
                }
                Err(error) => error,
            };
            let why = plain_reason(&why);
            if backoff.is_fresh() {
                tracing::warn!(port = %name, %why, "the line is away; trying again until it returns");
                self.health(&Health::Down { why }, &*clock, &out).await;
            }
            tokio::select! {
                () = out.cancel.cancelled() => return,
                () = until_worth_opening(&mut *self.port, &mut backoff) => {}
            }
            // What was asked of a line that was away is stale by the time it is back.
            while self.orders.try_recv().is_ok() {}
        }
    }

    fn open_session(&self) -> Session {
        let now = Instant::now();
        let rules = BusRules {
            baud: self.config.baud,
            turnaround: self.config.turnaround(),
            turnaround_limit: TURNAROUND_LIMIT,
            gap: self.config.gap,
            local_echo: self.config.local_echo,
        };
        let devices = self.config.devices.iter().enumerate();
        let asking = devices.flat_map(|(device, attached)| {
            let polls = self.config.profiles[attached.profile].polls().len();
            (0..polls).map(move |poll| Asking { device, poll, due: now })
        });
        Session::new(HalfDuplex::new(rules, now), asking.collect(), now)
    }

    async fn session(&mut self, mut stream: Stream, clock: &dyn MonotonicClock, out: &Outlet) -> Ended {
        let mut decoder = Profile::decoder_of(&self.config.profiles);
        let mut buffer = [0u8; 512];
        let mut s = self.open_session();
        let mut orders_open = true;
        loop {
            let turn = s.line.may_speak_at().filter(|_| s.next_ready());
            let busy_until = s.busy.as_ref().map(|(_, until)| *until);
            let ask_at = s.asking.iter().map(|asking| asking.due).min();
            tokio::select! {
                biased;
                () = out.cancel.cancelled() => return Ended::Cancelled,
                Some((speaker, press, ack, arrived, answering)) = self.receipts.next() => {
                    self.presses.settle(speaker, press, answering.is_some(), clock.now());
                    let late = self.config.profiles[speaker.0].limits().ack_max_delay;
                    let in_time = late.is_none_or(|most| clock.now().since(arrived) <= most);
                    if answering.is_some() && in_time {
                        s.answer(Outgoing::answer(ack, answering));
                    }
                }
                // Before reading: a line that never stops talking must not keep us from answering.
                () = sleep_until(turn), if turn.is_some() => {
                    if let Err(error) = speak(&self.counters, &mut stream, &mut s).await {
                        return Ended::Lost(error);
                    }
                }
                () = sleep_until(busy_until), if busy_until.is_some() => s.no_longer_busy(),
                order = self.orders.recv(), if orders_open => match order {
                    Some(order) => self.order(order.into(), &mut s),
                    None => orders_open = false,
                },
                read = stream.read(&mut buffer) => {
                    let arrived = clock.now();
                    let got = match read {
                        Ok(0) => return Ended::Lost(io::ErrorKind::UnexpectedEof.into()),
                        Ok(n) => &buffer[..n],
                        Err(error) => return Ended::Lost(error),
                    };
                    decoder.push(s.line.heard(got, Instant::now()));
                    while let Some(decoded) = decoder.next_decoded() {
                        if !self.take(decoded, arrived, &mut s, out).await {
                            return Ended::OwnerGone;
                        }
                    }
                    self.judge(clock, out).await;
                    if self.bad.len() >= BAD_LIMIT {
                        tokio::time::sleep(FLOOD_PAUSE).await;
                    }
                }
                () = tokio::time::sleep_until(s.line.gap_ends()), if decoder.is_partial() => {
                    let arrived = clock.now();
                    while let Some(decoded) = decoder.next_after_gap() {
                        if !self.take(decoded, arrived, &mut s, out).await {
                            return Ended::OwnerGone;
                        }
                    }
                    self.judge(clock, out).await;
                }
                () = sleep_until(ask_at), if ask_at.is_some() => self.ask(&mut s),
                () = tokio::time::sleep_until(s.look_at), if self.degraded || !s.asking.is_empty() => {
                    s.looked();
                    self.judge(clock, out).await;
                }
            }
        }
    }

    fn order(&self, order: Order, s: &mut Session) {
        let profile = match &order.profile {
            None => self.config.profiles.first(),
            Some(name) => self.config.profiles.iter().find(|profile| profile.name() == name),
        };
        let Some(profile) = profile else {
            tracing::warn!(profile = ?order.profile, "an order to a profile that is not on this line");
            return;
        };
        let command = match &order.what {
            What::Command(name) => profile.commands().iter().find(|command| command.name == *name),
            What::Purpose(purpose) => profile.command_for(*purpose),
        };
        let Some(command) = command else {
            tracing::warn!(profile = profile.name(), order = ?order.what, "the profile has no such command");
            return;
        };
        match profile.encode(&command.name, &order.args) {
            Ok(bytes) => s.command(Outgoing::command(bytes, command.busy.clone(), order.until)),
            Err(error) => {
                tracing::warn!(profile = profile.name(), command = command.name, %error, "a command cannot be said");
            }
        }
    }

    fn ask(&self, s: &mut Session) {
        let now = Instant::now();
        let mut orders = Vec::new();
        for asking in s.asking.iter_mut().filter(|asking| asking.due <= now) {
            let device = &self.config.devices[asking.device];
            let profile = &self.config.profiles[device.profile];
            let poll = &profile.polls()[asking.poll];
            asking.due = now + poll.every;
            let mut order = Order::command(&poll.command).of(profile.name());
            order.args = poll.args.clone();
            if let Some(address) = device.address {
                order.args.entry("address".to_owned()).or_insert(Arg::Number(u64::from(address)));
            }
            orders.push(order);
        }
        // A line that cannot keep up is not asked more: what waits is answered first.
        if !s.is_crowded() {
            orders.into_iter().for_each(|order| self.order(order, s));
        }
    }

    fn add_bad(&mut self, frames: u32, at: Mono) {
        for _ in 0..frames {
            self.counters.add_bad();
            if self.bad.len() >= BAD_LIMIT {
                self.bad.pop_front();
            }
            self.bad.push_back(at);
        }
    }

    /// Gives `false` when nobody listens any more.
    async fn take(&mut self, decoded: Decoded, arrived: Mono, s: &mut Session, out: &Outlet) -> bool {
        let (number, frame, raw) = match decoded {
            Decoded::Frame { layout, frame, raw } => (layout, frame, raw),
            Decoded::Refused { raw, why, frames } => {
                self.add_bad(frames, arrived);
                tracing::debug!(bytes = %hex_start(&raw), count = raw.len(), %why, "unreadable bytes on the line");
                return true;
            }
        };
        let profile = Arc::clone(&self.config.profiles[number]);
        if self.babbles(&profile, s) {
            self.add_bad(1, arrived);
            return true;
        }
        self.counters.add_good();
        let meaning = profile.understand(&frame);
        if let Some((until, _)) = &s.busy
            && matches!(&meaning.saying, Saying::Report { name, .. } if name == until)
        {
            s.no_longer_busy();
        }
        let Some((device, kind, fact)) = self.fact(number, &meaning) else {
            self.alive(number, meaning.address, arrived, out).await;
            if meaning.saying != Saying::Ignored {
                self.counters.add_unmatched();
                if self.strangers.insert((number, meaning.address)) {
                    let address = meaning.address;
                    tracing::warn!(address, frame = %hex_start(&raw), "a frame from a device that is not configured on this line, or with unknown content");
                }
            }
            return true;
        };
        self.alive(number, meaning.address, arrived, out).await;
        let form = self.config.devices[device].ack.as_deref();
        let ack = profile.acknowledge(&meaning, &frame, &raw, form);
        let speaker = (number, meaning.address, kind);
        let repeated = (kind != Kind::Other)
            .then(|| self.presses.repeated(speaker, profile.limits(), &raw, ack.is_some(), arrived))
            .flatten();
        if let Some(repeated) = repeated {
            if let Repeated::Answer(ack) = repeated {
                s.answer(Outgoing::answer(ack, None));
            }
            self.counters.add_duplicate();
            return true;
        }
        if self.receipts.len() >= PENDING_LIMIT {
            tracing::warn!(
                "too many presses wait to be stored; this one is left for the device to say again"
            );
            return true;
        }
        let press = self.presses.take(speaker, raw.clone(), ack.clone(), arrived);
        let receipt = match ack {
            None => Receipt::unacknowledged(),
            Some(ack) => {
                let (receipt, waiting) = Receipt::pair();
                self.receipts
                    .push(Box::pin(async move { (speaker, press, ack, arrived, waiting.await.ok()) }));
                receipt
            }
        };
        let position = self.config.devices[device].position.clone();
        out.send(DriverEvent::Reading(Reading { position, arrived, fact, raw, receipt })).await
    }

    fn babbles(&self, profile: &Profile, s: &mut Session) -> bool {
        let Some(most) = profile.limits().max_frames_per_s else { return false };
        let now = Instant::now();
        if now - s.second >= Duration::from_secs(1) {
            (s.second, s.this_second) = (now, 0);
        }
        s.this_second += 1;
        s.this_second > most
    }

    /// The device that said it, and the fact.
    fn fact(&self, profile: usize, meaning: &Meaning) -> Option<(usize, Kind, Fact)> {
        let address = meaning.address;
        let of = |kind: Option<Kind>| {
            self.config.devices.iter().position(|device| {
                device.profile == profile
                    && device.address.is_none_or(|own| own == address)
                    && kind.is_none_or(|kind| device.kind == kind)
            })
        };
        match &meaning.saying {
            Saying::Evaluated { raw } => {
                let device = of(Some(Kind::Evaluator))?;
                let grade = match &self.config.devices[device].grades {
                    Some(grades) => grades.get(raw).copied(),
                    None => {
                        let map = self.config.profiles[profile].grade_map(None);
                        map.and_then(|map| map.grades.get(raw).copied().flatten())
                    }
                };
                Some((device, Kind::Evaluator, Fact::Grade { address, raw: *raw, grade }))
            }
            Saying::Key { digits, key } => {
                let device = of(Some(Kind::Keypad))?;
                Some((device, Kind::Keypad, Fact::Key { address, digits: digits.clone(), key: *key }))
            }
            Saying::Report { name, values } => {
                let device = of(Some(Kind::Other)).or_else(|| of(None))?;
                let fact = Fact::Report { address, name: name.clone(), values: values.clone() };
                Some((device, Kind::Other, fact))
            }
            Saying::Ignored | Saying::Unmatched => None,
        }
    }

    /// Remembers that a device was heard; tells it up when it had been told silent.
    async fn alive(&mut self, profile: usize, address: u8, now: Mono, out: &Outlet) {
        for (device, heard) in self.config.devices.iter().zip(&mut self.heard) {
            if device.profile == profile && device.address.is_none_or(|own| own == address) {
                let was_silent = heard.1;
                *heard = (now, false);
                if was_silent {
                    let _ = out.health(&device.position, Health::Up, now).await;
                }
            }
        }
    }

    /// Tells when the line became unreadable or a device silent, and when it is sound again.
    async fn judge(&mut self, clock: &dyn MonotonicClock, out: &Outlet) {
        let now = clock.now();
        while self.bad.front().is_some_and(|at| now.since(*at) > Duration::from_secs(60)) {
            self.bad.pop_front();
        }
        let bad = u32::try_from(self.bad.len()).unwrap_or(u32::MAX);
        let limit = self.config.degraded_from_per_minute.max(1);
        if !self.degraded && bad >= limit {
            self.degraded = true;
            tracing::warn!(port = %self.port.name(), bad, "much of what arrives on the line is unreadable");
            self.health(&Health::Degraded { bad_frames_per_minute: bad }, clock, out).await;
        } else if self.degraded && bad <= limit / 2 {
            self.degraded = false;
            tracing::info!(port = %self.port.name(), "the line is readable again");
            self.health(&Health::Up, clock, out).await;
        }
        for (device, heard) in self.config.devices.iter().zip(&mut self.heard) {
            let polls = self.config.profiles[device.profile].polls();
            let silent_after = polls.iter().map(|poll| poll.silent_after).min();
            if silent_after.is_some_and(|most| !heard.1 && now.since(heard.0) > most) {
                heard.1 = true;
                tracing::warn!(position = %device.position, "the device does not answer");
                let _ = out.health(&device.position, Health::Silent { since: heard.0 }, now).await;
            }
        }
    }

    /// The line is everybody's: its health is told for each position on it.
    async fn health(&mut self, health: &Health, clock: &dyn MonotonicClock, out: &Outlet) {
        for device in &self.config.devices {
            // A closed channel shows at the next reading.
            let _ = out.health(&device.position, health.clone(), clock.now()).await;
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn hex_start(bytes: &Bytes) -> String {
    data_encoding::HEXUPPER.encode(&bytes[..bytes.len().min(32)])
}

#[cfg(test)]
mod tests;
