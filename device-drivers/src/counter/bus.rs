//! The driver of one counter bus: one task, several keypads and evaluators.
//!
//! Owns turn-taking (10 ms of silence before the host speaks), suppression of repetitions, and the rule that a press is
//! acknowledged only once it is durable. Never decides what a key means.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    command::BusCommand,
    config::{AckForm, BusConfig, BusConfigError},
    frame::{Decoded, Decoder, Frame},
};
use crate::{
    clock::{Mono, MonotonicClock},
    outlet::Outlet,
    port::{Backoff, Port, Stream, plain_reason},
    reading::{Counters, DriverEvent, Fact, Health, Key, PositionId, Reading, Receipt},
};

/// Function byte of evaluators' frames.
const EVALUATOR: u8 = 0x11;
/// Unreadable runs remembered; a line that fills this within a minute is flooded and read slowly.
const BAD_LIMIT: usize = 10_000;
/// How slowly: far faster than any bus, far cheaper than a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(20);
/// Silence after the last received byte before the host may write (485 turnaround).
const TURNAROUND: Duration = Duration::from_millis(10);
/// A bus that never falls silent gets the answer anyway after this long: better a collision than none.
const TURNAROUND_LIMIT: Duration = Duration::from_millis(60);
/// Same address and data within this time of the one before is the same press.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(300);
/// Writing a frame takes milliseconds; a line that takes longer is stuck.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands and acknowledgements waiting for the line; a press is said again, so what is over is dropped.
const OUT_LIMIT: usize = 64;
/// Receipts that may be outstanding: beyond it, the owner is not storing and presses are left to be said again.
const PENDING_LIMIT: usize = 256;

enum Stored {
    Pending,
    Durable { ack: Bytes },
}

struct Last {
    function: u8,
    data: Vec<u8>,
    seen: Mono,
    press: u64,
    stored: Stored,
}

/// A device on the bus: a keypad and an evaluator (`true`) may share an address.
type Device = (u8, bool);

type ReceiptWait = Pin<Box<dyn Future<Output = (Device, u64, Bytes, bool)> + Send>>;

/// Why a session on an open port ended.
enum Ended {
    Cancelled,
    OwnerGone,
    Lost(io::Error),
}

/// The driver.
pub struct BusDriver {
    config: BusConfig,
    port: Box<dyn Port>,
    commands: mpsc::Receiver<BusCommand>,
    counters: Arc<Counters>,
    last: HashMap<Device, Last>,
    presses: u64,
    receipts: FuturesUnordered<ReceiptWait>,
    strangers: BTreeSet<u8>,
    bad: VecDeque<Mono>,
    degraded: bool,
}

impl BusDriver {
    /// A driver of this bus on this port. `commands` is how the owner speaks to the devices; it may be closed.
    ///
    /// # Errors
    /// What [`BusConfig::check`] finds.
    pub fn new(
        config: BusConfig,
        port: Box<dyn Port>,
        commands: mpsc::Receiver<BusCommand>,
    ) -> Result<Self, BusConfigError> {
        config.check()?;
        Ok(Self {
            config,
            port,
            commands,
            counters: Arc::default(),
            last: HashMap::new(),
            presses: 0,
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
                    tracing::info!(port = %name, "counter bus is open");
                    self.counters.add_connect();
                    backoff.reset();
                    self.degraded = false;
                    self.bad.clear();
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
                tracing::warn!(port = %name, %why, "counter bus is away; trying again until it returns");
                self.health(&Health::Down { why }, &*clock, &out).await;
            }
            let wait = tokio::time::sleep(backoff.next_wait());
            tokio::select! {
                () = out.cancel.cancelled() => return,
                () = wait => {}
            }
            // What was asked of a line that was away is stale by the time it is back.
            while self.commands.try_recv().is_ok() {}
        }
    }

    async fn session(&mut self, mut stream: Stream, clock: &dyn MonotonicClock, events: &Outlet) -> Ended {
        let mut decoder = Decoder::new(self.config.max_len);
        let gap = Duration::from_millis(self.config.gap_ms);
        let mut buffer = [0u8; 512];
        let mut out: VecDeque<Bytes> = VecDeque::new();
        let mut echo: VecDeque<u8> = VecDeque::new();
        let mut commands_open = true;
        let mut heard = Instant::now();
        let mut out_since = heard;
        loop {
            let may_write = (heard + TURNAROUND).min(out_since + TURNAROUND_LIMIT);
            tokio::select! {
                biased;
                () = events.cancel.cancelled() => return Ended::Cancelled,
                Some((device, press, ack, durable)) = self.receipts.next() => {
                    self.settle(device, press, &ack, durable, clock.now());
                    if durable {
                        queue(&mut out, ack, &mut out_since);
                    }
                }
                // Before reading: a line that never stops talking must not keep us from answering.
                () = tokio::time::sleep_until(may_write), if !out.is_empty() => {
                    let Some(bytes) = out.pop_front() else { continue };
                    match tokio::time::timeout(WRITE_TIMEOUT, write(&mut stream, &bytes)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Ended::Lost(error),
                        Err(_elapsed) => return Ended::Lost(io::ErrorKind::TimedOut.into()),
                    }
                    if self.config.local_echo {
                        echo.extend(bytes.iter());
                    }
                    // Our own bytes occupy the line too: the next frame waits for them to be out and the turnaround.
                    let line_time = Duration::from_micros(bytes.len() as u64 * 1042);
                    heard = Instant::now() + line_time;
                    out_since = heard;
                }
                command = self.commands.recv(), if commands_open => match command {
                    Some(command) => queue(&mut out, command.frame().encode().into(), &mut out_since),
                    None => commands_open = false,
                },
                read = stream.read(&mut buffer) => {
                    let arrived = clock.now();
                    heard = Instant::now();
                    let got = match read {
                        Ok(0) => return Ended::Lost(io::ErrorKind::UnexpectedEof.into()),
                        Ok(n) => &buffer[..n],
                        Err(error) => return Ended::Lost(error),
                    };
                    decoder.push(strip_echo(&mut echo, got));
                    while let Some(decoded) = decoder.next_decoded() {
                        if !self.take(decoded, arrived, &mut out, &mut out_since, events).await {
                            return Ended::OwnerGone;
                        }
                    }
                    self.judge(clock, events).await;
                    if self.bad.len() >= BAD_LIMIT {
                        tokio::time::sleep(FLOOD_PAUSE).await;
                    }
                }
                () = tokio::time::sleep_until(heard + gap), if decoder.is_partial() => {
                    let arrived = clock.now();
                    while let Some(decoded) = decoder.next_after_gap() {
                        if !self.take(decoded, arrived, &mut out, &mut out_since, events).await {
                            return Ended::OwnerGone;
                        }
                    }
                    self.judge(clock, events).await;
                }
                () = tokio::time::sleep(Duration::from_secs(5)), if self.degraded => {
                    self.judge(clock, events).await;
                }
            }
        }
    }

    /// A receipt came back.
    fn settle(&mut self, device: Device, press: u64, ack: &Bytes, durable: bool, now: Mono) {
        let Some(last) = self.last.get_mut(&device).filter(|last| last.press == press) else {
            return;
        };
        if durable {
            last.stored = Stored::Durable { ack: ack.clone() };
            last.seen = now;
        } else {
            tracing::warn!(
                address = device.0,
                "a press was not stored; it is not acknowledged and may be said again"
            );
            self.last.remove(&device);
        }
    }

    /// Gives `false` when nobody listens any more.
    async fn take(
        &mut self,
        decoded: Decoded,
        arrived: Mono,
        out: &mut VecDeque<Bytes>,
        out_since: &mut Instant,
        events: &Outlet,
    ) -> bool {
        let (frame, raw) = match decoded {
            Decoded::Frame(frame, raw) | Decoded::Short(frame, raw) => (frame, raw),
            Decoded::Noise(bytes) => {
                self.counters.add_bad();
                self.bad.push_back(arrived);
                if self.bad.len() > BAD_LIMIT {
                    self.bad.pop_front();
                }
                tracing::debug!(
                    bytes = %data_encoding::HEXUPPER.encode(&bytes[..bytes.len().min(32)]),
                    count = bytes.len(),
                    "unreadable bytes on the counter bus"
                );
                return true;
            }
        };
        self.counters.add_good();
        let Some((position, fact, ack)) = self.meaning(&frame, &raw) else {
            self.counters.add_unmatched();
            if self.strangers.insert(frame.address) {
                tracing::warn!(
                    address = frame.address,
                    frame = %data_encoding::HEXUPPER.encode(&raw),
                    "a frame from a device that is not configured on this bus, or with unknown content"
                );
            }
            return true;
        };
        let device = (frame.address, frame.function == EVALUATOR);
        if let Some(last) = self.last.get_mut(&device)
            && last.function == frame.function
            && last.data == frame.data
        {
            match &last.stored {
                // The window slides as long as the fact is on its way to disk.
                Stored::Pending => {
                    last.seen = arrived;
                    self.counters.add_duplicate();
                    return true;
                }
                // The acknowledgement was not heard: say it again.
                Stored::Durable { ack } if arrived.since(last.seen) <= DUPLICATE_WINDOW => {
                    last.seen = arrived;
                    self.counters.add_duplicate();
                    let ack = ack.clone();
                    if !out.contains(&ack) {
                        queue(out, ack, out_since);
                    }
                    return true;
                }
                Stored::Durable { .. } => {}
            }
        }
        if self.receipts.len() >= PENDING_LIMIT {
            tracing::warn!(
                "too many presses wait to be stored; this one is left for the device to say again"
            );
            return true;
        }
        let (receipt, waiting) = Receipt::pair();
        self.presses += 1;
        let press = self.presses;
        self.last.insert(
            device,
            Last {
                function: frame.function,
                data: frame.data,
                seen: arrived,
                press,
                stored: Stored::Pending,
            },
        );
        let counters = Arc::clone(&self.counters);
        self.receipts.push(Box::pin(async move {
            let durable = waiting.await.is_ok();
            if durable {
                counters.add_acknowledged();
            }
            (device, press, ack, durable)
        }));
        events.send(DriverEvent::Reading(Reading { position, arrived, fact, raw, receipt })).await
    }

    fn meaning(&self, frame: &Frame, raw: &Bytes) -> Option<(PositionId, Fact, Bytes)> {
        let address = frame.address;
        if frame.function == EVALUATOR {
            let evaluator = self.config.evaluators.iter().find(|e| e.address == address)?;
            let [raw_grade] = frame.data[..] else { return None };
            let ack = match evaluator.ack {
                AckForm::A => Frame::new(address, 0x01, [raw_grade]).encode(),
                AckForm::B => Frame::new(address, 0x01, []).encode_short(),
            };
            let grade = evaluator.grades.get(&raw_grade).copied();
            return Some((
                evaluator.position.clone(),
                Fact::Grade { address, raw: raw_grade, grade },
                ack.into(),
            ));
        }
        let keypad = self.config.keypads.iter().find(|k| k.address == address)?;
        let (key, digits) = frame.data.split_last()?;
        let digits =
            digits.iter().map(|d| char::from_digit(u32::from(*d), 10)).collect::<Option<String>>()?;
        let fact = Fact::Key { address, digits, key: Key::from_byte(*key) };
        Some((keypad.position.clone(), fact, raw.clone()))
    }

    /// Tells when the line became unreadable, and when it is sound again.
    async fn judge(&mut self, clock: &dyn MonotonicClock, events: &Outlet) {
        let now = clock.now();
        while self.bad.front().is_some_and(|at| now.since(*at) > Duration::from_secs(60)) {
            self.bad.pop_front();
        }
        let bad = u32::try_from(self.bad.len()).unwrap_or(u32::MAX);
        let limit = self.config.degraded_from_per_minute.max(1);
        if !self.degraded && bad >= limit {
            self.degraded = true;
            tracing::warn!(port = %self.port.name(), bad, "much of what arrives on the counter bus is unreadable");
            self.health(&Health::Degraded { bad_frames_per_minute: bad }, clock, events).await;
        } else if self.degraded && bad <= limit / 2 {
            self.degraded = false;
            tracing::info!(port = %self.port.name(), "the counter bus is readable again");
            self.health(&Health::Up, clock, events).await;
        }
    }

    /// The line is everybody's: its health is told for each position on it.
    async fn health(&mut self, health: &Health, clock: &dyn MonotonicClock, events: &Outlet) {
        let keypads = self.config.keypads.iter().map(|k| &k.position);
        for position in keypads.chain(self.config.evaluators.iter().map(|e| &e.position)) {
            // A closed channel shows at the next reading.
            let _ = events.health(position, health.clone(), clock.now()).await;
        }
    }
}

fn queue(out: &mut VecDeque<Bytes>, bytes: Bytes, since: &mut Instant) {
    if out.is_empty() {
        *since = Instant::now();
    }
    if out.len() >= OUT_LIMIT {
        tracing::warn!("the counter bus is too busy to be written to; the oldest waiting frame is dropped");
        out.pop_front();
    }
    out.push_back(bytes);
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Takes our own bytes out of what was heard; anything unexpected ends the expectation.
fn strip_echo<'a>(echo: &mut VecDeque<u8>, got: &'a [u8]) -> &'a [u8] {
    let mut at = 0;
    while at < got.len() {
        match echo.front() {
            Some(expected) if *expected == got[at] => {
                echo.pop_front();
                at += 1;
            }
            Some(_) => {
                echo.clear();
                break;
            }
            None => break,
        }
    }
    &got[at..]
}

#[cfg(test)]
mod tests;
