//! A window row's whole day through real bytes: three keypads and three evaluators share one pty bus, and one byte in a
//! hundred is corrupted on its way to the host. What is read equals the script; every frame that the noise broke is
//! counted and none of them is taken for anything.
//!
//! `cargo test -p device-drivers --features simulator --test window_day -- --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use device_drivers::{
    clock::SystemMonotonic,
    counter::{AckForm, BusConfig, BusDriver, EvaluatorConfig, KeypadConfig},
    port::{SerialConfig, SerialPort},
    reading::{DriverEvent, Fact, Key},
    simulator::{
        counter::{BusSetup, CounterBus},
        pty::Pty,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(120);
const CASES: u32 = 40;

/// What a noisy line did.
#[derive(Default)]
struct Noise {
    written: AtomicU64,
    bytes: AtomicU64,
    broken: AtomicU64,
}

/// The pty with one byte in a hundred to the host wrong. Each write of the simulated bus is one frame.
struct Noisy {
    pty: Pty,
    seed: u64,
    noise: Arc<Noise>,
    /// The bytes of a write that the pty has not taken yet.
    pending: Option<Vec<u8>>,
}

impl Noisy {
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }
}

impl AsyncRead for Noisy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pty).poll_read(cx, buf)
    }
}

impl AsyncWrite for Noisy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.pending.is_none() {
            let mut sent = bytes.to_vec();
            let mut broken = 0;
            for byte in &mut sent {
                if self.random().is_multiple_of(100) {
                    *byte ^= (self.random() % 255 + 1) as u8;
                    broken += 1;
                }
            }
            self.noise.written.fetch_add(1, Ordering::Relaxed);
            self.noise.bytes.fetch_add(broken, Ordering::Relaxed);
            self.noise.broken.fetch_add(u64::from(broken > 0), Ordering::Relaxed);
            self.pending = Some(sent);
        }
        let sent = self.pending.clone().unwrap();
        match Pin::new(&mut self.pty).poll_write(cx, &sent) {
            Poll::Ready(Ok(n)) => {
                assert_eq!(n, sent.len(), "a pty takes a frame whole");
                self.pending = None;
                Poll::Ready(Ok(n))
            }
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pty).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pty).poll_shutdown(cx)
    }
}

const WINDOWS: [(u8, u8, AckForm); 3] = [(1, 1, AckForm::A), (2, 0x82, AckForm::B), (3, 3, AckForm::A)];

fn config() -> BusConfig {
    let keypads = WINDOWS.map(|(address, ..)| KeypadConfig {
        address,
        position: format!("w{address}-keypad").as_str().into(),
    });
    let evaluators = WINDOWS.map(|(window, address, ack)| EvaluatorConfig {
        address,
        position: format!("w{window}-evaluator").as_str().into(),
        ack,
        grades: (0..5).map(|raw| (raw, raw + 1)).collect(),
    });
    BusConfig::new(keypads.into(), evaluators.into())
}

/// One window's day: each press waits until the one before is acknowledged, as people do.
async fn work(bus: CounterBus, window: usize) -> Vec<Fact> {
    let (keypad, evaluator, _) = WINDOWS[window];
    let mut script = Vec::new();
    for case in 0..CASES {
        let number = (u32::from(keypad) * 1000 + case).to_string();
        let raw = ((case + window as u32) % 5) as u8;
        let presses = [
            (number, Some(Key::Call)),
            (String::new(), Some(Key::Start)),
            (String::new(), Some(Key::Evaluate)),
            (String::new(), None),
        ];
        for (digits, key) in presses {
            let id = match key {
                Some(key) => {
                    script.push(Fact::Key { address: keypad, digits: digits.clone(), key });
                    bus.press(keypad, &digits, key)
                }
                None => {
                    script.push(Fact::Grade { address: evaluator, raw, grade: Some(raw + 1) });
                    bus.rate(evaluator, raw)
                }
            };
            assert!(bus.wait_acknowledged(id, LONG).await.is_some(), "window {keypad}, case {case}");
        }
    }
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_on_a_noisy_bus() {
    let folder = tempfile::tempdir().unwrap();
    let line = folder.path().join("bus");
    let bus = CounterBus::new(BusSetup {
        keypads: WINDOWS.map(|(keypad, ..)| keypad).into(),
        evaluators: WINDOWS.map(|(_, address, ack)| (address, ack)).into(),
        retransmit: Duration::from_millis(150),
        attempts: None,
    });
    let noise = Arc::new(Noise::default());
    let pty = Pty::open(Some(&line)).unwrap();
    let mut noisy = Noisy { pty, seed: 0x5DEE_CE66_D1CE_4E5B, noise: noise.clone(), pending: None };
    let cancel = CancellationToken::new();
    let (_commands, orders) = mpsc::channel(1);
    let port = SerialPort::new(SerialConfig::new(&line, 9600));
    let driver = BusDriver::new(config(), Box::new(port), orders).unwrap();
    let counters = driver.counters();
    let (sender, mut events) = mpsc::channel(64);
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
    let serving = tokio::spawn({
        let (bus, cancel) = (bus.clone(), cancel.clone());
        async move { bus.serve(&mut noisy, &cancel).await }
    });
    // The owner of the readings: everything is durable at once.
    let read: Arc<Mutex<BTreeMap<u8, Vec<Fact>>>> = Arc::default();
    let taking = tokio::spawn({
        let read = read.clone();
        async move {
            while let Some(event) = events.recv().await {
                if let DriverEvent::Reading(reading) = event {
                    let address = match &reading.fact {
                        Fact::Key { address, .. } | Fact::Grade { address, .. } => *address & 0x7F,
                        other => panic!("{other:?}"),
                    };
                    read.lock().unwrap().entry(address).or_default().push(reading.fact);
                    drop(reading.receipt.durable());
                }
            }
        }
    });
    // Opening a line throws away what was said before: nobody presses until it is open.
    let open = async {
        while counters.connects() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, open).await.expect("the line opens");
    let days: Vec<_> = (0..3).map(|window| tokio::spawn(work(bus.clone(), window))).collect();
    let mut scripts = Vec::new();
    for day in days {
        scripts.push(tokio::time::timeout(LONG, day).await.expect("the day ends").unwrap());
    }
    // A frame said again at the very end may still be on its way.
    let broken = || noise.broken.load(Ordering::Relaxed);
    let settled = async {
        while counters.good() + broken() < noise.written.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // The assertions below say what is missing.
    let _ = tokio::time::timeout(LONG, settled).await;
    cancel.cancel();
    tokio::time::timeout(LONG, serving).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(LONG, driving).await.unwrap().unwrap();
    tokio::time::timeout(LONG, taking).await.unwrap().unwrap();

    let sent: u64 = bus.presses().iter().map(|press| u64::from(press.sent)).sum();
    println!(
        "{} presses in {sent} frames, {} bytes wrong in {} of {} writes; {} frames read, {} refused, {} repetitions suppressed",
        bus.presses().len(),
        noise.bytes.load(Ordering::Relaxed),
        broken(),
        noise.written.load(Ordering::Relaxed),
        counters.good(),
        counters.bad(),
        counters.duplicates(),
    );
    let read = read.lock().unwrap();
    for (window, script) in scripts.into_iter().enumerate() {
        assert_eq!(read[&WINDOWS[window].0], script, "window {}", WINDOWS[window].0);
    }
    assert!(broken() > 20, "the line was not noisy enough to show anything");
    // Every frame is either read or refused; a refused run is at least one broken frame, and broken frames that follow each
    // other without a silence may be one run where neither was whole.
    assert_eq!(counters.unmatched(), 0);
    assert_eq!(counters.good(), noise.written.load(Ordering::Relaxed) - broken());
    assert!(counters.bad() > 0 && counters.bad() <= broken(), "{} refused of {}", counters.bad(), broken());
    assert!(counters.bad() * 10 >= broken() * 9, "{} refused of {}", counters.bad(), broken());
}
