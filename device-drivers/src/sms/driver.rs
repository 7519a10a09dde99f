//! One modem for as long as the program runs: messages out by a [`SmsDesk`], messages in as [`SmsEvent`]s.
//!
//! Owns pacing, trying again, the daily limit of a number, putting long messages together, and the rule that a message stays
//! on the SIM until its owner has it on disk. Never looks at what a message says, and never logs it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    PhoneNumber,
    at::{AtError, SimState, Unasked},
    desk::{Delivery, ModemStatus, ORDERS, Order, Received, SendError, Sent, SmsConfig, SmsDesk, SmsEvent},
    modem::{Modem, Registration, TalkError, Timeouts},
    parts::{self, Assembly, Whole},
    pdu::{Deliver, StatusReport, Submit},
};
use crate::{
    clock::MonotonicClock,
    port::{Backoff, Port, Stream, plain_reason, until_worth_opening},
    reading::{Counters, Health, Receipt},
};

/// Sent messages whose status report is waited for.
const REPORTS: usize = 256;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often SIM, network, signal and storage are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// A message on its way out.
struct Outgoing {
    id: u64,
    to: PhoneNumber,
    messages: Vec<Submit>,
    /// Parts that the network took.
    taken: usize,
    attempt: usize,
    asked: Instant,
    answer: oneshot::Sender<Result<Sent, SendError>>,
}

/// A message whose status reports are waited for. The first part's may come before the last part is sent.
struct Awaited {
    id: u64,
    /// Of parts that the network took and has not reported on.
    references: Vec<u8>,
    arrived: usize,
    parts: usize,
}

type ReceiptWait = Pin<Box<dyn Future<Output = (Vec<u16>, bool)> + Send>>;

enum Ended {
    Cancelled,
    Lost(TalkError),
}

enum Next {
    Cancelled,
    Order(Option<Order>),
    Stored(Vec<u16>, bool),
    Said(Result<Unasked, TalkError>),
    SendNow,
    Expire,
    Look,
}

/// The driver.
pub struct SmsDriver {
    config: SmsConfig,
    port: Box<dyn Port>,
    timeouts: Timeouts,
    counters: Arc<Counters>,
    orders: mpsc::Receiver<Order>,
    status: watch::Sender<ModemStatus>,
    queue: VecDeque<Outgoing>,
    send_at: Instant,
    sent_ids: u64,
    reference: u8,
    past: HashMap<PhoneNumber, VecDeque<Instant>>,
    awaited: VecDeque<Awaited>,
    assembly: Assembly<Option<u16>>,
    /// Messages on the SIM that were read and are not to be read again.
    held: BTreeMap<u16, String>,
    /// Those of them that are on disk and to be deleted.
    done_with: BTreeSet<u16>,
    receipts: FuturesUnordered<ReceiptWait>,
    told: Option<Health>,
}

struct Owner {
    events: mpsc::Sender<SmsEvent>,
    cancel: CancellationToken,
    clock: Arc<dyn MonotonicClock>,
}

impl Owner {
    /// `false` when the driver is to end.
    async fn tell(&self, event: SmsEvent) -> bool {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => false,
            sent = self.events.send(event) => sent.is_ok(),
        }
    }
}

impl SmsDriver {
    /// A driver of the modem on this port, and the desk at which it takes orders.
    pub fn new(config: SmsConfig, port: Box<dyn Port>) -> (Self, SmsDesk) {
        let (orders_in, orders) = mpsc::channel(ORDERS);
        let (status, status_out) = watch::channel(ModemStatus::default());
        let driver = Self {
            config,
            port,
            timeouts: Timeouts::default(),
            counters: Arc::default(),
            orders,
            status,
            queue: VecDeque::new(),
            send_at: Instant::now(),
            sent_ids: 0,
            reference: 0,
            past: HashMap::new(),
            awaited: VecDeque::new(),
            assembly: Assembly::default(),
            held: BTreeMap::new(),
            done_with: BTreeSet::new(),
            receipts: FuturesUnordered::new(),
            told: None,
        };
        (driver, SmsDesk { orders: orders_in, status: status_out })
    }

    /// Other timeouts than the usual.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Its counts: messages in and out are good, unreadable ones bad, repeated sendings duplicates.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until cancelled, or until nobody listens to `events` any more.
    pub async fn run(
        mut self,
        clock: Arc<dyn MonotonicClock>,
        events: mpsc::Sender<SmsEvent>,
        cancel: CancellationToken,
    ) {
        let owner = Owner { events, cancel, clock };
        let name = self.port.name();
        let mut backoff = Backoff::default();
        loop {
            let opened = tokio::select! {
                () = owner.cancel.cancelled() => return,
                opened = self.port.open() => opened,
            };
            let why = match opened {
                Ok(stream) => match self.session(stream, &owner, &mut backoff).await {
                    Ended::Cancelled => return,
                    Ended::Lost(TalkError::Lost(error)) => plain_reason(&error),
                    Ended::Lost(error) => error.to_string(),
                },
                Err(error) => plain_reason(&error),
            };
            if backoff.is_fresh() {
                tracing::warn!(port = %name, %why, "the modem is away; trying again until it returns");
            }
            self.status.send_modify(|status| status.connected = false);
            if !self.health(Health::Down { why: why.clone() }, &owner).await {
                return;
            }
            if !self.away(&why, &owner, &mut backoff).await {
                return;
            }
        }
    }

    /// Waits for the modem's return; orders wait too, but not for ever. `false` when cancelled.
    async fn away(&mut self, why: &str, owner: &Owner, backoff: &mut Backoff) -> bool {
        let patience = Duration::from_secs(self.config.wait_s);
        let mut waiting: Vec<Order> = Vec::new();
        let going_on = {
            let Self { port, orders, queue, config, .. } = self;
            let mut returned = std::pin::pin!(until_worth_opening(&mut **port, backoff));
            loop {
                let asked =
                    waiting.iter().map(|order| order.asked).chain(queue.iter().map(|o| o.asked)).min();
                let due = asked.map_or_else(|| Instant::now() + DAY, |oldest| oldest + patience);
                let room = waiting.len() + queue.len() < ORDERS;
                tokio::select! {
                    () = owner.cancel.cancelled() => break false,
                    () = &mut returned => break true,
                    Some(order) = orders.recv(), if room => waiting.push(order),
                    () = tokio::time::sleep_until(due) => {
                        let late = |asked: Instant| asked.elapsed() >= patience;
                        while let Some(at) = waiting.iter().position(|order| late(order.asked)) {
                            let _ = waiting.remove(at).answer.send(Err(SendError::NoModem(why.to_owned())));
                        }
                        expire(queue, config.wait_s, why);
                    }
                }
            }
        };
        for order in waiting {
            self.accept(order);
        }
        going_on
    }

    async fn session(&mut self, stream: Stream, owner: &Owner, backoff: &mut Backoff) -> Ended {
        let mut modem = Modem::new(stream, self.timeouts);
        let about = tokio::select! {
            () = owner.cancel.cancelled() => return Ended::Cancelled,
            about = modem.start() => match about {
                Ok(about) => about,
                Err(error) => return Ended::Lost(error),
            },
        };
        backoff.reset();
        self.counters.add_connect();
        tracing::info!(port = %self.port.name(), model = %about.model, sim = %about.sim, "modem is connected");
        self.status.send_modify(|status| {
            *status =
                ModemStatus { connected: true, model: about.model, sim: about.sim, ..Default::default() };
        });
        let mut look_at = Instant::now();
        loop {
            let patience_ends = self.patience_ends();
            let next = tokio::select! {
                biased;
                () = owner.cancel.cancelled() => Next::Cancelled,
                Some((indices, durable)) = self.receipts.next() => Next::Stored(indices, durable),
                order = self.orders.recv(), if self.queue.len() < ORDERS => Next::Order(order),
                said = modem.unasked() => Next::Said(said),
                () = tokio::time::sleep_until(look_at) => Next::Look,
                () = tokio::time::sleep_until(self.send_at), if self.may_send() => Next::SendNow,
                () = tokio::time::sleep_until(patience_ends), if !self.queue.is_empty() => Next::Expire,
            };
            let done = match next {
                Next::Cancelled | Next::Order(None) => return Ended::Cancelled,
                Next::Order(Some(order)) => {
                    self.accept(order);
                    Ok(true)
                }
                Next::Stored(indices, durable) => self.stored(&indices, durable, &mut modem).await,
                Next::Said(Ok(said)) => self.said(said, &mut modem, owner).await,
                Next::Said(Err(error)) => Err(error),
                Next::SendNow => self.send_next(&mut modem).await,
                Next::Expire => {
                    let why = self.status.borrow().sim.to_string();
                    expire(&mut self.queue, self.config.wait_s, &why);
                    Ok(true)
                }
                Next::Look => {
                    look_at = Instant::now() + LOOK;
                    self.look(&mut modem, owner).await
                }
            };
            match done {
                Ok(true) => {}
                Ok(false) => return Ended::Cancelled,
                Err(TalkError::Lost(error)) => return Ended::Lost(TalkError::Lost(error)),
                // The modem answers other things: tried again at the next look.
                Err(error) => tracing::warn!(%error, "the modem did not do as it was asked"),
            }
        }
    }

    /// When the oldest message has waited long enough.
    fn patience_ends(&self) -> Instant {
        let oldest = self.queue.iter().map(|order| order.asked).min().unwrap_or_else(Instant::now);
        oldest + Duration::from_secs(self.config.wait_s)
    }

    fn may_send(&self) -> bool {
        !self.queue.is_empty() && self.status.borrow().sim == SimState::Ready
    }

    /// Checks an order and puts it into the queue.
    fn accept(&mut self, order: Order) {
        match self.prepare(&order) {
            Ok(messages) => {
                self.sent_ids += 1;
                self.queue.push_back(Outgoing {
                    id: self.sent_ids,
                    to: order.to,
                    messages,
                    taken: 0,
                    attempt: 0,
                    asked: order.asked,
                    answer: order.answer,
                });
            }
            // Whoever asked may have gone away.
            Err(error) => drop(order.answer.send(Err(error))),
        }
    }

    fn prepare(&mut self, order: &Order) -> Result<Vec<Submit>, SendError> {
        if order.text.trim().is_empty() {
            return Err(SendError::Empty);
        }
        let now = Instant::now();
        self.past.retain(|_, times| {
            times.retain(|at| now.duration_since(*at) < DAY);
            !times.is_empty()
        });
        let times = self.past.entry(order.to.clone()).or_default();
        if times.len() >= self.config.daily_per_number {
            return Err(SendError::DailyLimit);
        }
        self.reference = self.reference.wrapping_add(1);
        let mut messages = parts::cut(&order.to, &order.text, self.reference)?;
        messages.iter_mut().for_each(|message| message.report = true);
        times.push_back(now);
        Ok(messages)
    }

    /// Sends the next part of the message at the head of the queue.
    async fn send_next(&mut self, modem: &mut Modem) -> Result<bool, TalkError> {
        let Some(mut order) = self.queue.pop_front() else { return Ok(true) };
        let Some(encoded) = order.messages.get(order.taken).and_then(|part| part.encode().ok()) else {
            // `cut` makes parts that fit; a number that does not fit is none.
            let _ = order.answer.send(Err(SendError::Refused(AtError::Message(304))));
            return Ok(true);
        };
        let result = modem.send(&encoded).await;
        self.send_at = Instant::now() + Duration::from_millis(self.config.pace_ms);
        match result {
            Ok(reference) => {
                order.taken += 1;
                order.attempt = 0;
                self.await_report(&order, reference);
                if order.taken < order.messages.len() {
                    self.queue.push_front(order);
                    return Ok(true);
                }
                self.counters.add_good();
                tracing::info!(to = %order.to, parts = order.taken, "a text message was sent");
                let sent = Sent { id: order.id, parts: order.taken };
                let _ = order.answer.send(Ok(sent));
                Ok(true)
            }
            Err(failure) if failure.handed_over => {
                tracing::warn!(to = %order.to, error = %failure, "it is not known whether a text message was sent");
                let _ = order.answer.send(Err(SendError::Unsure));
                Err(failure.error)
            }
            Err(failure) => {
                let passing = match &failure.error {
                    TalkError::Refused(error) => error.is_passing(),
                    _ => true,
                };
                let pause = self.config.retry_ms.get(order.attempt).filter(|_| passing).copied();
                tracing::warn!(to = %order.to, error = %failure, again_in_ms = pause, "a text message was not sent");
                match (pause, failure.error) {
                    (Some(pause), error) => {
                        order.attempt += 1;
                        self.counters.add_duplicate();
                        self.send_at = Instant::now() + Duration::from_millis(pause);
                        self.queue.push_front(order);
                        if matches!(error, TalkError::Lost(_)) { Err(error) } else { Ok(true) }
                    }
                    (None, TalkError::Refused(error)) => {
                        let _ = order.answer.send(Err(SendError::Refused(error)));
                        Ok(true)
                    }
                    (None, error) => {
                        let _ = order.answer.send(Err(SendError::NoModem(error.to_string())));
                        Err(error)
                    }
                }
            }
        }
    }

    /// Looks at SIM, network, signal and storage. `false` when the driver is to end.
    async fn look(&mut self, modem: &mut Modem, owner: &Owner) -> Result<bool, TalkError> {
        let before = self.status.borrow().sim;
        let sim = modem.sim().await?;
        if sim == SimState::Ready && before != SimState::Ready {
            // A card put in late is set up as at the start.
            modem.start().await?;
        }
        let registration = modem.registration().await?;
        let signal_dbm = modem.signal().await?;
        self.status.send_if_modified(|status| {
            let now = ModemStatus { sim, registration, signal_dbm, ..status.clone() };
            let changed = *status != now;
            *status = now;
            changed
        });
        let health = match (sim, registration) {
            (SimState::Ready, Registration::Registered { .. } | Registration::Unknown) => Health::Up,
            (SimState::Ready, Registration::Refused) => {
                Health::Down { why: "the network refuses this SIM card: ask the operator".to_owned() }
            }
            (SimState::Ready, Registration::Searching) => {
                Health::Down { why: "there is no network here: look at the aerial".to_owned() }
            }
            (sim, _) => Health::Down { why: sim.to_string() },
        };
        if !self.health(health, owner).await {
            return Ok(false);
        }
        if sim == SimState::Ready {
            let listed = modem.list().await?;
            // What is not there any more was deleted by somebody else, or is on another card.
            self.held.retain(|index, pdu| listed.iter().any(|m| m.index == *index && m.pdu == *pdu));
            let held = &self.held;
            self.done_with.retain(|index| held.contains_key(index));
            let done = self.done_with.clone();
            for index in &done {
                self.forget(*index, modem).await?;
            }
            let listed = listed.into_iter().filter(|message| !done.contains(&message.index));
            for message in listed {
                if !self.take(Some(message.index), message.pdu, modem, owner).await? {
                    return Ok(false);
                }
            }
        }
        while let Some(late) = self.assembly.give_up(owner.clock.now()) {
            if !self.received(late, owner).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn said(&mut self, said: Unasked, modem: &mut Modem, owner: &Owner) -> Result<bool, TalkError> {
        match said {
            Unasked::Stored { index, .. } => match modem.read(index).await? {
                Some(message) => self.take(Some(index), message.pdu, modem, owner).await,
                None => Ok(true),
            },
            Unasked::Message { pdu } | Unasked::Report { pdu } => self.take(None, pdu, modem, owner).await,
            Unasked::Sim { .. } => self.look(modem, owner).await,
            Unasked::Other => Ok(true),
        }
    }

    /// Takes a message, stored at an index or not.
    async fn take(
        &mut self,
        index: Option<u16>,
        pdu: String,
        modem: &mut Modem,
        owner: &Owner,
    ) -> Result<bool, TalkError> {
        if let Some(index) = index {
            if self.held.get(&index) == Some(&pdu) {
                return Ok(true);
            }
            self.held.insert(index, pdu.clone());
        }
        if let Ok(report) = StatusReport::decode(&pdu) {
            let told = self.report(report, owner).await;
            if let Some(index) = index {
                self.held.remove(&index);
                modem.delete(index).await?;
            }
            return Ok(told);
        }
        match Deliver::decode(&pdu) {
            Ok(message) => {
                self.counters.add_good();
                match self.assembly.take(message, index, owner.clock.now()) {
                    Some(whole) => Ok(self.received(whole, owner).await),
                    None => Ok(true),
                }
            }
            Err(error) => {
                self.counters.add_bad();
                tracing::warn!(%error, "a message on the SIM card cannot be read; it is left there");
                Ok(true)
            }
        }
    }

    async fn received(&mut self, whole: Whole<Option<u16>>, owner: &Owner) -> bool {
        let (receipt, waiting) = Receipt::pair();
        let indices: Vec<u16> = whole.stored.into_iter().flatten().collect();
        self.receipts.push(Box::pin(async move { (indices, waiting.await.is_ok()) }));
        tracing::info!(from = %whole.from, complete = whole.complete, "a text message came in");
        let received = Received {
            from: whole.from,
            text: whole.text,
            sent: whole.sent,
            complete: whole.complete,
            arrived: owner.clock.now(),
            receipt,
        };
        owner.tell(SmsEvent::Received(received)).await
    }

    /// A received message is on disk, or is not going to be.
    async fn stored(&mut self, indices: &[u16], durable: bool, modem: &mut Modem) -> Result<bool, TalkError> {
        if !durable {
            tracing::warn!("a text message was not stored; it stays on the SIM card and is read again");
            indices.iter().for_each(|index| drop(self.held.remove(index)));
            return Ok(true);
        }
        self.counters.add_acknowledged();
        self.done_with.extend(indices);
        for index in indices {
            self.forget(*index, modem).await?;
        }
        Ok(true)
    }

    /// Takes a message that is on disk off the SIM. If that fails it is tried again at the next look.
    async fn forget(&mut self, index: u16, modem: &mut Modem) -> Result<(), TalkError> {
        modem.delete(index).await?;
        self.held.remove(&index);
        self.done_with.remove(&index);
        Ok(())
    }

    async fn report(&mut self, report: StatusReport, owner: &Owner) -> bool {
        // 0x20 to 0x3F: the network tries on and will report again.
        if (0x20..0x40).contains(&report.status) {
            return true;
        }
        let arrived = report.status < 0x20;
        let of = |sent: &Awaited| sent.references.contains(&report.reference);
        let Some(at) = self.awaited.iter().rposition(of) else { return true };
        let sent = &mut self.awaited[at];
        sent.references.retain(|reference| *reference != report.reference);
        sent.arrived += usize::from(arrived);
        if arrived && sent.arrived < sent.parts {
            return true;
        }
        let id = sent.id;
        self.awaited.remove(at);
        owner.tell(SmsEvent::Delivery(Delivery { id, arrived })).await
    }

    fn await_report(&mut self, order: &Outgoing, reference: u8) {
        if let Some(awaited) = self.awaited.iter_mut().find(|awaited| awaited.id == order.id) {
            awaited.references.push(reference);
            return;
        }
        if self.awaited.len() >= REPORTS {
            self.awaited.pop_front();
        }
        let parts = order.messages.len();
        self.awaited.push_back(Awaited { id: order.id, references: vec![reference], arrived: 0, parts });
    }

    /// Tells a change of health.
    async fn health(&mut self, health: Health, owner: &Owner) -> bool {
        if self.told.as_ref() == Some(&health) {
            return true;
        }
        self.told = Some(health.clone());
        let position = self.config.position.clone();
        owner.tell(SmsEvent::Health { position, health, at: owner.clock.now() }).await
    }
}

/// Answers those that have waited too long.
fn expire(queue: &mut VecDeque<Outgoing>, wait_s: u64, why: &str) {
    let late = |order: &Outgoing| order.asked.elapsed() >= Duration::from_secs(wait_s);
    while let Some(order) = queue.iter().position(late).and_then(|at| queue.remove(at)) {
        let _ = order.answer.send(Err(SendError::NoModem(why.to_owned())));
    }
}

#[cfg(test)]
mod tests;
