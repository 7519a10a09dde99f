//! The tap on a ticket machine's printer line: slips in, tickets out.
//!
//! Owns the ticket pattern of a machine and the health of the line. It never writes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use tokio::{io::AsyncReadExt, sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::escpos::{Reader, Slip};
use crate::{
    clock::{Mono, MonotonicClock},
    outlet::Outlet,
    port::{Backoff, Port, Stream, plain_reason, until_worth_opening},
    reading::{Counters, DriverEvent, Fact, Health, PositionId, Reading, Receipt},
};

/// Forms of printed time that are tried in turn.
const TIME_FORMS: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y年%m月%d日 %H:%M",
];

/// A ticket machine's printer line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapConfig {
    /// The machine's place.
    pub position: PositionId,
    /// Regular expressions, each searched in the slip's text (lines joined by a line feed, `^` and `$` match at lines). Named
    /// groups `number`, `business`, `waiting` and `time` are taken from whichever finds them first; a slip without `number`
    /// and `business` is not a ticket.
    pub patterns: Vec<String>,
    /// A silence this long ends a slip that no cut has ended.
    #[serde(default = "default_silence_ms")]
    pub silence_ms: u64,
}

fn default_silence_ms() -> u64 {
    3000
}

impl TapConfig {
    /// A tap with these patterns and the usual settings.
    pub fn new(position: PositionId, patterns: Vec<String>) -> Self {
        Self { position, patterns, silence_ms: default_silence_ms() }
    }
}

/// What is wrong with a [`TapConfig`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum TapConfigError {
    /// A pattern is not a regular expression.
    #[error("ticket pattern {pattern:?} cannot be read: {why}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// No pattern has this group.
    #[error("no ticket pattern has the named group (?<{0}>…)")]
    MissingGroup(&'static str),
}

/// The compiled patterns of one machine.
#[derive(Clone, Debug)]
pub struct TicketPattern {
    patterns: Vec<Regex>,
}

impl TicketPattern {
    /// Compiles patterns.
    ///
    /// # Errors
    /// A pattern that cannot be read, or no pattern with `number` or `business`.
    pub fn new(patterns: &[String]) -> Result<Self, TapConfigError> {
        let patterns = patterns
            .iter()
            .map(|pattern| {
                RegexBuilder::new(pattern)
                    .multi_line(true)
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|e| TapConfigError::Pattern { pattern: pattern.clone(), why: e.to_string() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        for group in ["number", "business"] {
            if !patterns.iter().any(|p| p.capture_names().flatten().any(|name| name == group)) {
                return Err(TapConfigError::MissingGroup(group));
            }
        }
        Ok(Self { patterns })
    }

    /// The ticket on a slip, if it is one.
    pub fn read(&self, slip: &Slip) -> Option<Fact> {
        let text = slip.text();
        let find = |group: &str| {
            self.patterns.iter().find_map(|pattern| {
                let found = pattern.captures(&text)?.name(group)?.as_str().trim().to_owned();
                (!found.is_empty()).then_some(found)
            })
        };
        Some(Fact::Ticket {
            number: find("number")?,
            business: find("business")?,
            waiting: find("waiting").and_then(|n| n.parse().ok()),
            printed_at: find("time").and_then(|text| {
                TIME_FORMS.iter().find_map(|form| jiff::civil::DateTime::strptime(form, &text).ok())
            }),
        })
    }
}

/// The driver of one printer line.
pub struct TicketTap {
    config: TapConfig,
    pattern: TicketPattern,
    port: Box<dyn Port>,
    counters: Arc<Counters>,
    unread: VecDeque<Mono>,
    degraded: bool,
}

impl TicketTap {
    /// A tap on this port. A serial port should keep its waiting bytes: nothing is printed twice.
    ///
    /// # Errors
    /// What [`TicketPattern::new`] finds.
    pub fn new(config: TapConfig, port: Box<dyn Port>) -> Result<Self, TapConfigError> {
        let pattern = TicketPattern::new(&config.patterns)?;
        Ok(Self { config, pattern, port, counters: Arc::default(), unread: VecDeque::new(), degraded: false })
    }

    /// Its counts: slips, not frames.
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
                    tracing::info!(port = %name, position = %self.config.position, "printer line is open");
                    self.counters.add_connect();
                    backoff.reset();
                    self.degraded = false;
                    if !out.health(&self.config.position, Health::Up, clock.now()).await {
                        return;
                    }
                    match self.session(stream, &*clock, &out).await {
                        Some(error) => error,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            if backoff.is_fresh() {
                let why = plain_reason(&why);
                tracing::warn!(port = %name, position = %self.config.position, %why, "printer line is away; trying again until it returns");
                if !out.health(&self.config.position, Health::Down { why }, clock.now()).await {
                    return;
                }
            }
            tokio::select! {
                () = out.cancel.cancelled() => return,
                () = until_worth_opening(&mut *self.port, &mut backoff) => {}
            }
        }
    }

    /// Reads until the line is lost (gives why) or the driver is to end (`None`).
    async fn session(
        &mut self,
        mut stream: Stream,
        clock: &dyn MonotonicClock,
        out: &Outlet,
    ) -> Option<std::io::Error> {
        let mut reader = Reader::new();
        let mut buffer = [0u8; 1024];
        let silence = Duration::from_millis(self.config.silence_ms);
        let mut heard = Instant::now();
        loop {
            let mut lost = None;
            tokio::select! {
                biased;
                () = out.cancel.cancelled() => return None,
                read = stream.read(&mut buffer) => match read {
                    Ok(0) => lost = Some(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(n) => {
                        heard = Instant::now();
                        reader.push(&buffer[..n]);
                    }
                    Err(error) => lost = Some(error),
                },
                () = tokio::time::sleep_until(heard + silence), if reader.is_partial() => reader.end_of_silence(),
                () = tokio::time::sleep(Duration::from_secs(5)), if self.degraded => {}
            }
            let arrived = clock.now();
            while let Some(slip) = reader.next_slip() {
                if !self.slip(slip, arrived, out).await {
                    return None;
                }
            }
            if !self.judge(arrived, out).await {
                return None;
            }
            if lost.is_some() {
                return lost;
            }
        }
    }

    async fn slip(&mut self, slip: Slip, arrived: Mono, out: &Outlet) -> bool {
        self.counters.add_good();
        let Some(fact) = self.pattern.read(&slip) else {
            self.counters.add_unmatched();
            self.unread.push_back(arrived);
            if self.unread.len() > 1000 {
                self.unread.pop_front();
            }
            let start: String = slip.text().chars().take(80).collect();
            tracing::warn!(position = %self.config.position, slip = ?start, "a slip that the ticket pattern does not fit");
            return true;
        };
        let reading = Reading {
            position: self.config.position.clone(),
            arrived,
            fact,
            raw: slip.raw.into(),
            receipt: Receipt::unacknowledged(),
        };
        out.send(DriverEvent::Reading(reading)).await
    }

    async fn judge(&mut self, now: Mono, out: &Outlet) -> bool {
        while self.unread.front().is_some_and(|at| now.since(*at) > Duration::from_secs(60)) {
            self.unread.pop_front();
        }
        let health = match (self.degraded, self.unread.len()) {
            (false, n) if n > 0 => {
                Health::Degraded { bad_frames_per_minute: u32::try_from(n).unwrap_or(u32::MAX) }
            }
            (true, 0) => Health::Up,
            _ => return true,
        };
        self.degraded = health != Health::Up;
        out.health(&self.config.position, health, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemMonotonic,
        port::{HandedPort, SerialConfig, SerialPort},
        simulator::{
            pty::Pty,
            ticket::{Fault, PATTERNS, SlipContent, TicketPrinter},
        },
    };

    fn config() -> TapConfig {
        TapConfig {
            silence_ms: 150,
            ..TapConfig::new("h-T01-ticket".into(), PATTERNS.iter().map(|p| (*p).to_owned()).collect())
        }
    }

    fn content(number: &str) -> SlipContent {
        SlipContent {
            hall: "西乡塘区政务服务中心".into(),
            number: number.into(),
            business: "社会保险".into(),
            waiting: 3,
            at: jiff::civil::date(2026, 11, 22).at(9, 1, 2, 0),
            qr: Some("http://x/1".into()),
        }
    }

    fn fact(number: &str) -> Fact {
        let c = content(number);
        Fact::Ticket {
            number: c.number,
            business: c.business,
            waiting: Some(c.waiting),
            printed_at: Some(c.at),
        }
    }

    async fn next(events: &mut mpsc::Receiver<DriverEvent>) -> DriverEvent {
        tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap()
    }

    async fn next_fact(events: &mut mpsc::Receiver<DriverEvent>) -> Fact {
        loop {
            if let DriverEvent::Reading(reading) = next(events).await {
                return reading.fact;
            }
        }
    }

    #[tokio::test]
    async fn tickets_over_a_pipe_with_faults() {
        let (near, mut far) = tokio::io::duplex(4096);
        let tap = TicketTap::new(config(), Box::new(HandedPort::new([Box::new(near) as Stream]))).unwrap();
        let counters = tap.counters();
        let cancel = CancellationToken::new();
        let (sender, mut events) = mpsc::channel(64);
        let driving = tokio::spawn(tap.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
        let printer = TicketPrinter::new();
        let serving = tokio::spawn({
            let (printer, cancel) = (printer.clone(), cancel.clone());
            async move { printer.serve(&mut far, &cancel).await }
        });
        printer.print(content("A001"));
        assert_eq!(next_fact(&mut events).await, fact("A001"));
        printer.fault(Fault::Split(Duration::from_millis(20)));
        printer.print(content("A002"));
        assert_eq!(next_fact(&mut events).await, fact("A002"));
        printer.fault(Fault::NoCut);
        printer.print(content("A003"));
        assert_eq!(next_fact(&mut events).await, fact("A003"));
        printer.print_text("自检 OK\n电压正常\n");
        loop {
            if let DriverEvent::Health { health: Health::Degraded { .. }, .. } = next(&mut events).await {
                break;
            }
        }
        assert_eq!((counters.good(), counters.unmatched()), (4, 1));
        assert_eq!(printer.printed().len(), 3);
        cancel.cancel();
        driving.await.unwrap();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_ticket_printed_while_the_tap_was_away_waits_on_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("printer");
        let mut pty = Pty::open(Some(&link)).unwrap();
        let printer = TicketPrinter::new();
        let cancel = CancellationToken::new();
        let serving = tokio::spawn({
            let (printer, cancel) = (printer.clone(), cancel.clone());
            async move { printer.serve(&mut pty, &cancel).await }
        });
        printer.print(content("B007"));
        let port = SerialPort::new(SerialConfig::new(&link, 115_200)).keep_waiting_bytes();
        let tap = TicketTap::new(config(), Box::new(port)).unwrap();
        let (sender, mut events) = mpsc::channel(64);
        let driving = tokio::spawn(tap.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
        assert_eq!(next_fact(&mut events).await, fact("B007"));
        cancel.cancel();
        driving.await.unwrap();
        serving.await.unwrap().unwrap();
    }

    #[test]
    fn patterns_are_checked() {
        assert!(matches!(TicketPattern::new(&["(".into()]), Err(TapConfigError::Pattern { .. })));
        assert!(matches!(
            TicketPattern::new(&["(?<number>.*)".into()]),
            Err(TapConfigError::MissingGroup("business"))
        ));
    }
}
