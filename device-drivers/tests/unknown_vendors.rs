//! Unknown vendors: 50 seeded random protocols, each captured, sniffed, proposed, labelled, and then heard live as an
//! evaluator. The generator writes its bytes and checksums by itself and shares no code with the profile engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use device_drivers::{
    clock::{Mono, MonotonicClock},
    port::{HandedPort, Stream},
    profile::{
        Attached, Kind, LineConfig, Order, ProfileDriver,
        sniff::{Burst, Circumstances, Draft, Finding, Label, propose},
    },
    reading::{Counters, DriverEvent, Fact},
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);
const PROTOCOLS: u64 = 50;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
    fn below(&mut self, n: u64) -> usize {
        (self.next() % n) as usize
    }
    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.byte()).collect()
    }
}

/// The vendor's own checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    None,
    Sum,
    SumFrom(u8),
    TwosComplement,
    Xor,
    SumWide(bool),
    Modbus,
    Ccitt,
    Xmodem,
    Crc8,
}

fn crc_bits(data: &[u8], mut crc: u32, poly: u32, width: u32) -> u32 {
    let top = 1 << (width - 1);
    for byte in data {
        crc ^= u32::from(*byte) << (width - 8);
        for _ in 0..8 {
            crc = if crc & top != 0 { crc << 1 ^ poly } else { crc << 1 } & ((1 << width) - 1);
        }
    }
    crc
}

fn check(kind: Check, data: &[u8]) -> Vec<u8> {
    let sum: u32 = data.iter().map(|b| u32::from(*b)).sum();
    match kind {
        Check::None => vec![],
        Check::Sum => vec![sum as u8],
        Check::SumFrom(start) => vec![(sum as u8).wrapping_add(start)],
        Check::TwosComplement => vec![(sum as u8).wrapping_neg()],
        Check::Xor => vec![data.iter().fold(0, |x, b| x ^ b)],
        Check::SumWide(low_first) => {
            let [high, low] = (sum as u16).to_be_bytes();
            if low_first { vec![low, high] } else { vec![high, low] }
        }
        Check::Modbus => {
            // Reflected, so bit by bit the other way round.
            let mut crc = 0xFFFFu16;
            for byte in data {
                for bit in 0..8 {
                    let carry = (crc ^ u16::from(byte >> bit & 1)) & 1;
                    crc >>= 1;
                    if carry == 1 {
                        crc ^= 0xA001;
                    }
                }
            }
            crc.to_le_bytes().to_vec()
        }
        Check::Ccitt => (crc_bits(data, 0xFFFF, 0x1021, 16) as u16).to_be_bytes().to_vec(),
        Check::Xmodem => (crc_bits(data, 0, 0x1021, 16) as u16).to_be_bytes().to_vec(),
        Check::Crc8 => vec![crc_bits(data, 0, 0x07, 8) as u8],
    }
}

/// What is peculiar about a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Habit {
    Plain,
    Counter,
    PressAndRelease,
    RepeatsUntilAnswered,
    Heartbeat,
    TextLine,
    SingleByte,
    Stuffed,
    KeyInTwoBytes,
    NibbleBesideCounter,
    RollingCode,
}

const HABITS: [Habit; 16] = [
    Habit::Plain,
    Habit::Plain,
    Habit::Plain,
    Habit::Plain,
    Habit::Counter,
    Habit::Counter,
    Habit::PressAndRelease,
    Habit::RepeatsUntilAnswered,
    Habit::Heartbeat,
    Habit::Heartbeat,
    Habit::TextLine,
    Habit::SingleByte,
    Habit::Stuffed,
    Habit::KeyInTwoBytes,
    Habit::NibbleBesideCounter,
    Habit::RollingCode,
];

struct Vendor {
    habit: Habit,
    check: Check,
    head: Vec<u8>,
    /// LEN's bias and whether it stands twice; LEN counts what follows it but `bias` bytes more or less.
    length: Option<(i32, bool)>,
    before: Vec<u8>,
    after: Vec<u8>,
    tail: Vec<u8>,
    values: [u8; 5],
    /// The checksum covers the frame from here.
    covers_from: usize,
}

impl Vendor {
    fn new(seed: u64) -> Self {
        let mut r = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
        let habit = HABITS[r.below(HABITS.len() as u64)];
        let checks = [
            Check::Sum,
            Check::Sum,
            Check::Xor,
            Check::Xor,
            Check::Modbus,
            Check::Modbus,
            Check::Ccitt,
            Check::Xmodem,
            Check::SumWide(true),
            Check::SumWide(false),
            Check::TwosComplement,
            Check::SumFrom(0x33),
            Check::Crc8,
            Check::None,
        ];
        let check = checks[r.below(checks.len() as u64)];
        let heads = 1 + r.below(3);
        let head = r.bytes(heads);
        let length = match r.below(3) {
            0 => None,
            n => Some((r.below(4) as i32, n == 2)),
        };
        let (before, after, tails) = (r.below(4), r.below(3), r.below(3));
        let (before, after, tail) = (r.bytes(before), r.bytes(after), r.bytes(tails));
        let values = match r.below(4) {
            0 => [0, 1, 2, 3, 4],
            1 => [1, 2, 4, 8, 16],
            2 => *b"12345",
            _ => {
                let start = r.byte();
                let step = r.byte() | 1;
                [0, 1, 2, 3, 4].map(|n: u8| start.wrapping_add(step.wrapping_mul(n)))
            }
        };
        let covers_from = r.below(head.len() as u64 + 1);
        Self { habit, check, head, length, before, after, tail, values, covers_from }
    }

    /// Frame around a payload: head, length, payload, checksum, tail.
    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.head.clone();
        if let Some((bias, twice)) = self.length {
            let len = (payload.len() as i32 + bias) as u8;
            frame.push(len);
            if twice {
                frame.push(len);
            }
        }
        frame.extend(payload);
        frame.extend(check(self.check, &frame[self.covers_from..]));
        frame.extend(&self.tail);
        frame
    }

    fn payload(&self, key: &[u8]) -> Vec<u8> {
        [&self.before[..], key, &self.after[..]].concat()
    }

    /// Frames that button `n` (0..5) makes when it is pressed for the `count`th time of all.
    fn press(&self, n: usize, count: u8) -> Vec<Vec<u8>> {
        let value = self.values[n];
        match self.habit {
            Habit::Plain | Habit::Heartbeat => vec![self.frame(&self.payload(&[value]))],
            Habit::RepeatsUntilAnswered => vec![self.frame(&self.payload(&[value])); 3],
            Habit::Counter => vec![self.frame(&self.payload(&[count, value]))],
            Habit::PressAndRelease => {
                vec![self.frame(&self.payload(&[value, 1])), self.frame(&self.payload(&[value, 0]))]
            }
            Habit::TextLine => {
                vec![format!("KEY={},{}\r\n", n + 1, ["A", "BB", "C", "DDD", "E"][n]).into_bytes()]
            }
            Habit::SingleByte => vec![vec![value]],
            Habit::Stuffed => {
                // 7E … 7E with 7D-stuffing; one of the values needs it.
                let value = [1, 0x7E, 3, 4, 5][n];
                let payload = self.payload(&[value]);
                let body = [&payload[..], &check(self.check, &payload)].concat();
                let stuffed = body.iter().flat_map(|b| match b {
                    0x7D | 0x7E => vec![0x7D, b ^ 0x20],
                    other => vec![*other],
                });
                vec![[vec![0x7E], stuffed.collect(), vec![0x7E]].concat()]
            }
            Habit::KeyInTwoBytes => vec![self.frame(&self.payload(&(0x40u16 << n).to_be_bytes()))],
            Habit::NibbleBesideCounter => {
                vec![self.frame(&self.payload(&[(n as u8 + 1) << 4 | count & 0x0F]))]
            }
            Habit::RollingCode => {
                let mask = count.wrapping_mul(0x1D).rotate_left(3) ^ 0xA7;
                vec![self.frame(&self.payload(&[count, value ^ mask]))]
            }
        }
    }

    fn beat(&self) -> Option<Vec<u8>> {
        (self.habit == Habit::Heartbeat)
            .then(|| self.frame(&[&self.before[..], &[0x5A, 0x5B, 0x5C]].concat()))
    }
}

fn capture(vendor: &Vendor) -> Vec<Burst> {
    let mut now = 0u64;
    let mut count = 0u8;
    let mut bursts = Vec::new();
    let beat = |now: u64, label: Label, bursts: &mut Vec<Burst>| {
        bursts.extend(vendor.beat().map(|bytes| Burst { label, at: Mono(now), bytes }));
    };
    for n in 0..3 {
        beat(n * 1_000_000, Label::Background, &mut bursts);
    }
    for n in 0..5 {
        for _ in 0..3 {
            now += 1_500_000;
            count += 1;
            for (i, bytes) in vendor.press(n, count).into_iter().enumerate() {
                let at = Mono(now + i as u64 * 120_000);
                bursts.push(Burst { label: Label::Grade(5 - n as u8), at, bytes });
            }
            beat(now + 700_000, Label::Grade(5 - n as u8), &mut bursts);
        }
    }
    bursts
}

/// A clock that the test moves.
struct Hand(AtomicU64);

impl MonotonicClock for Hand {
    fn now(&self) -> Mono {
        Mono(self.0.load(Ordering::SeqCst))
    }
}

struct Live {
    far: DuplexStream,
    clock: Arc<Hand>,
    events: mpsc::Receiver<DriverEvent>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _orders: mpsc::Sender<Order>,
}

impl Live {
    fn start(draft: &Draft) -> Self {
        let (near, far) = tokio::io::duplex(4096);
        let evaluator = Attached::new("evaluator".into(), Kind::Evaluator, None);
        let config = LineConfig::new(vec![Arc::new(draft.profile.clone())], vec![evaluator]);
        let (orders, receiver) = mpsc::channel(1);
        let port = HandedPort::new([Box::new(near) as Stream]);
        let driver = ProfileDriver::new(config, Box::new(port), receiver).unwrap();
        let (sender, events) = mpsc::channel(64);
        let (clock, counters, cancel) =
            (Arc::new(Hand(AtomicU64::new(1))), driver.counters(), CancellationToken::new());
        let task = tokio::spawn(driver.run(clock.clone(), sender, cancel.clone()));
        Self { far, clock, events, counters, cancel, task, _orders: orders }
    }

    fn judged(&self) -> u64 {
        self.counters.good() + self.counters.bad()
    }

    /// Says a frame after a silence and waits until the driver has judged it.
    async fn say(&mut self, frame: &[u8], after: Duration) {
        self.clock.0.fetch_add(after.as_micros() as u64, Ordering::SeqCst);
        let before = self.judged();
        self.far.write_all(frame).await.unwrap();
        let judged = async {
            while self.judged() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, judged).await.expect("the driver judges every frame");
    }

    /// The grade of the press that was just said: the driver counts a frame before it tells it.
    async fn grade(&mut self) -> Option<Option<u8>> {
        let told = async {
            while let Some(event) = self.events.recv().await {
                if let DriverEvent::Reading(reading) = event {
                    let Fact::Grade { grade, .. } = reading.fact else { panic!("{:?}", reading.fact) };
                    return Some(grade);
                }
            }
            None
        };
        tokio::time::timeout(LONG, told).await.ok().flatten()
    }

    /// The grades told since the last time.
    fn grades(&mut self) -> Vec<Option<u8>> {
        let mut grades = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let DriverEvent::Reading(reading) = event {
                let Fact::Grade { grade, .. } = reading.fact else { panic!("{:?}", reading.fact) };
                grades.push(grade);
            }
        }
        grades
    }
}

/// Whether a corrupted frame must be refused, by what the draft itself says.
fn refuses(draft: &Draft) -> bool {
    let changing = draft.findings.iter().any(|f| matches!(f, Finding::Changing { .. }));
    let nibble = draft.findings.iter().any(|f| matches!(f, Finding::KeyByte { mask, .. } if *mask != 0xFF));
    !(draft.findings.contains(&Finding::NoChecksum) && (changing || nibble))
}

/// Presses each button many times, with other counts than in the capture, and between them frames with one wrong byte.
/// Gives how many corrupted frames were refused.
async fn live(vendor: &Vendor, draft: &Draft, seed: u64) -> Result<usize, String> {
    let mut r = Random(seed ^ 0xC0FFEE);
    let mut live = Live::start(draft);
    let mut refused = 0;
    for turn in 0..40u8 {
        let n = r.below(5);
        let frames = vendor.press(n, turn.wrapping_add(100));
        if refuses(draft) && turn % 2 == 1 {
            let mut wrong = frames[0].clone();
            let at = r.below(wrong.len() as u64);
            wrong[at] ^= 1 << r.below(8);
            // Without a checksum nothing tells a button disturbed into another from that other.
            let another = (0..5).any(|n| (0..=255).any(|count| vendor.press(n, count).contains(&wrong)));
            if !another {
                live.say(&wrong, Duration::from_secs(2)).await;
                // What the wrong byte left half is ended by the line's silence before the next press.
                tokio::time::sleep(Duration::from_millis(80)).await;
                let told = live.grades();
                if !told.is_empty() {
                    return Err(format!("{wrong:02X?}, wrong at {at}, was read as {told:?}"));
                }
                refused += 1;
            }
        }
        let mut after = Duration::from_secs(2);
        for frame in &frames {
            live.say(frame, after).await;
            after = Duration::from_millis(120);
        }
        if let Some(beat) = vendor.beat() {
            live.say(&beat, Duration::from_millis(700)).await;
        }
        let mut told: Vec<_> = live.grade().await.into_iter().collect();
        told.extend(live.grades());
        if told != [Some(5 - n as u8)] {
            return Err(format!("button {n}, {:02X?}, was read as {told:?}", frames[0]));
        }
    }
    live.cancel.cancel();
    tokio::time::timeout(LONG, live.task).await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    Ok(refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_protocols_of_unknown_vendors() {
    let mut running = Vec::new();
    for seed in 0..PROTOCOLS {
        running.push(tokio::spawn(async move {
            let vendor = Vendor::new(seed);
            let circumstances = Circumstances {
                name: format!("vendor-{seed}"),
                title: format!("Vendor {seed}"),
                baud: 9600,
                presses: 3,
            };
            let bursts = capture(&vendor);
            let drafted =
                tokio::task::spawn_blocking(move || propose(&bursts, &circumstances)).await.unwrap();
            let (works, why) = match drafted {
                Err(why) => (None, why.to_string()),
                Ok(draft) => {
                    let outcome = live(&vendor, &draft, seed).await;
                    let claims = if refuses(&draft) { "" } else { ", cannot refuse every corrupted frame" };
                    match outcome {
                        Ok(refused) => (Some(true), format!("{refused} corrupted refused{claims}")),
                        Err(why) => (Some(false), format!("{why}\n{}", draft.toml)),
                    }
                }
            };
            (seed, vendor, works, why)
        }));
    }
    let (mut work, mut refused_to_propose, mut wrong) = (0, 0, Vec::new());
    let mut kinds: BTreeMap<Habit, (usize, usize)> = BTreeMap::new();
    for task in running {
        let (seed, vendor, works, why) = tokio::time::timeout(LONG * 5, task).await.unwrap().unwrap();
        let head = format!("{seed:2} {:?}, checksum {:?}", vendor.habit, vendor.check);
        let kind = kinds.entry(vendor.habit).or_default();
        kind.1 += 1;
        match works {
            Some(true) => {
                println!("{head}: works; {why}");
                work += 1;
                kind.0 += 1;
            }
            None => {
                println!("{head}: nothing proposed: {why}");
                refused_to_propose += 1;
            }
            Some(false) => wrong.push(format!("{head}: {why}")),
        }
    }
    println!(
        "{work} of {PROTOCOLS} protocols work as evaluators with no code; {refused_to_propose} are refused"
    );
    for (habit, (works, all)) in kinds {
        println!("  {habit:?}: {works} of {all}");
    }
    assert_eq!(wrong, Vec::<String>::new(), "a proposal that was made must work");
    assert!(work >= 35, "only {work} of {PROTOCOLS} work");
}
