//! Readings go in as drivers say them; what is in the journal comes out.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{Happening, UtcMillis, WindowId, chain::StoredEvent};
use device_drivers::{
    counter::BusCommand,
    reading::{DriverEvent, Fact, Health, Key, Reading, Receipt},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{register::Panel, *};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    journal::{Journal, JournalThread, SerialFile},
};

const CONFIG: &str = r#"
[hall]
id = "450103-01"
name = "x"
data = "/nowhere"
rated_linger_ms = 100
[centre]
url = "https://127.0.0.1:1"
[[business]]
name = "社保"
prefix = "A"
[[window]]
number = 7
name = "社保窗口"
businesses = ["社保"]
rating_seconds = 5
[[bus]]
name = "bus-1"
path = "/dev/null"
[[bus.keypad]]
window = 7
address = 3
[[bus.evaluator]]
window = 7
address = 3
grades = { "04" = 5, "00" = 1 }
[[ticket_machine]]
name = "T01"
path = "/dev/zero"
[ticket_machine.pattern]
number = '(?P<number>A\d+)'
business = '业务：(?P<business>.+)'
[[attendance]]
name = "A01"
address = "127.0.0.1:4370"
"#;

struct Hall {
    clock: Arc<SystemClock>,
    journal: Journal,
    thread: JournalThread,
    serials: SerialFile,
    drivers: mpsc::Sender<DriverEvent>,
    bus: mpsc::Receiver<BusCommand>,
    figures: SharedFigures,
    register: tokio::task::JoinHandle<Result<(), RegisterError>>,
    cancel: CancellationToken,
    _cameras: mpsc::Sender<CameraEvent>,
}

impl Hall {
    async fn start(data: &Path) -> Self {
        let config = Config::parse(CONFIG).unwrap();
        let clock = SystemClock::start();
        let node = "hall-450103-01".parse().unwrap();
        let (journal, serials, thread) =
            Journal::open(data, node, config.hall.id.clone(), clock.clone()).unwrap();
        let (drivers, driver_events) = mpsc::channel(64);
        let (cameras, camera_events) = mpsc::channel(1);
        let (commands, bus) = mpsc::channel(64);
        let window: WindowId = config.windows[0].id.clone();
        let panel = Panel { keypad: Some((commands.clone(), 3)), evaluator: Some((commands, 3)) };
        let figures = SharedFigures::default();
        let register = Register::new(
            &config,
            journal.clone(),
            serials.clone(),
            clock.clone(),
            HashMap::from([(window, panel)]),
            figures.clone(),
        )
        .await
        .unwrap();
        let cancel = CancellationToken::new();
        let inbox = Inbox { drivers: driver_events, cameras: camera_events };
        let register = tokio::spawn(register.run(inbox, cancel.clone()));
        Self { clock, journal, thread, serials, drivers, bus, figures, register, cancel, _cameras: cameras }
    }

    /// Says a fact and waits until it is durable.
    async fn say(&self, position: &str, fact: Fact) {
        let (receipt, durable) = Receipt::pair();
        let reading = Reading {
            position: position.into(),
            arrived: self.clock.now_mono(),
            fact,
            raw: Bytes::new(),
            receipt,
        };
        self.drivers.send(DriverEvent::Reading(reading)).await.unwrap();
        let _: () = tokio::time::timeout(Duration::from_secs(10), durable).await.unwrap().unwrap();
    }

    async fn key(&self, digits: &str, key: Key) {
        let fact = Fact::Key { address: 3, digits: digits.into(), key };
        self.say("450103-01-W07-keypad", fact).await;
    }

    async fn all(&self) -> Vec<StoredEvent> {
        let out = self.journal.outgoing(10_000).await.unwrap();
        out.into_iter().map(|o| StoredEvent::open(o.bytes).unwrap()).collect()
    }

    async fn kinds(&self) -> Vec<&'static str> {
        self.all().await.iter().map(|e| e.event.happening.kind()).collect()
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.register.await.unwrap().unwrap();
        drop((self.journal, self.serials));
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
    }
}

fn ticket(number: &str) -> Fact {
    Fact::Ticket { number: number.into(), business: "社保".into(), waiting: Some(1), printed_at: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_from_the_printer_to_the_grade_and_on_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut hall = Hall::start(data.path()).await;
    hall.key("1001", Key::Function).await;
    hall.say("450103-01-T01-ticket", ticket("A001")).await;
    hall.key("", Key::Call).await;
    assert_eq!(hall.bus.recv().await, Some(BusCommand::ShowTicket { address: 3, n: 1 }));
    assert_eq!(hall.bus.recv().await, Some(BusCommand::ShowWaiting { address: 3, n: 0 }));
    hall.key("", Key::Start).await;
    hall.stop().await;

    let mut hall = Hall::start(data.path()).await;
    hall.key("", Key::Evaluate).await;
    assert_eq!(hall.bus.recv().await, Some(BusCommand::BeginEvaluation { address: 3 }));
    hall.say("450103-01-W07-evaluator", Fact::Grade { address: 3, raw: 4, grade: Some(5) }).await;
    let mut status = hall.journal.status();
    let closed = async {
        while hall.kinds().await.last() != Some(&"case.closed") {
            status.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
    hall.key("", Key::Call).await;
    assert_eq!(hall.figures.read().ignored["nothing_to_call"], 1);
    hall.say("450103-01-T01-ticket", ticket("A002")).await;
    let events = hall.all().await;
    let kinds: Vec<_> = events.iter().map(|e| e.event.happening.kind()).collect();
    assert_eq!(
        kinds,
        [
            "clerk.signed_in",
            "window.opened",
            "case.opened",
            "ticket.issued",
            "ticket.called",
            "service.started",
            "service.ended",
            "rating.invited",
            "rating.given",
            "case.closed",
            "case.opened",
            "ticket.issued"
        ]
    );
    let cases: std::collections::BTreeSet<_> = events.iter().filter_map(|e| e.event.case).collect();
    assert_eq!(cases.len(), 2);
    assert_eq!(crate::journal::verify(data.path()).unwrap().faults, Vec::<String>::new());
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_punch_of_both_ways_is_one_and_health_is_told_at_its_changes() {
    let data = tempfile::tempdir().unwrap();
    let hall = Hall::start(data.path()).await;
    let at = jiff::civil::date(2026, 11, 20).at(8, 29, 5, 0);
    for live in [true, false] {
        let fact = Fact::Punch { employee: "1001".into(), at, verify: 1, state: 0, live };
        hall.say("450103-01-A01-attendance", fact).await;
    }
    let events = hall.all().await;
    assert_eq!(events.len(), 1);
    let Happening::PunchRecorded { punched_at, .. } = events[0].event.happening else { panic!() };
    assert_eq!(punched_at, "2026-11-20T00:29:05Z".parse::<UtcMillis>().unwrap());
    assert_eq!(events[0].event.case, None);
    for health in [
        Health::Up,
        Health::Up,
        Health::Down { why: "unplugged".into() },
        Health::Down { why: "still".into() },
        Health::Up,
    ] {
        let position = "450103-01-W07-keypad".into();
        let event = DriverEvent::Health { position, health, at: hall.clock.now_mono() };
        hall.drivers.send(event).await.unwrap();
    }
    hall.key("", Key::Metre).await;
    let kinds = hall.kinds().await;
    assert_eq!(kinds, ["punch.recorded", "device.up", "device.down", "device.up"]);
    assert_eq!(hall.figures.read().health["450103-01-W07-keypad"], Some(DeviceHealth::Up));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_readings_go_the_same_way_once() {
    let data = tempfile::tempdir().unwrap();
    let config = Config::parse(CONFIG).unwrap();
    let clock = SystemClock::start();
    let node = "hall-450103-01".parse().unwrap();
    let (journal, serials, _thread) =
        Journal::open(data.path(), node, config.hall.id.clone(), clock).unwrap();
    let lines = [
        r#"{"at":"2026-11-09T00:20:00.000Z","position":"450103-01-A01-attendance","fact":{"kind":"punch","employee":"1001","verify":1,"state":0}}"#,
        r#"{"at":"2026-11-09T01:00:00.000Z","position":"450103-01-T01-ticket","fact":{"kind":"ticket","number":"A001","business":"社保","waiting":3}}"#,
        r#"{"at":"2026-11-09T01:02:00.000Z","position":"450103-01-W07-keypad","fact":{"kind":"key","address":3,"digits":"","key":"call"}}"#,
        r#"{"at":"2026-11-09T01:08:00.000Z","position":"450103-01-W07-keypad","fact":{"kind":"key","address":3,"digits":"","key":"evaluate"}}"#,
        r#"{"at":"2026-11-09T01:08:03.000Z","position":"450103-01-W07-evaluator","fact":{"kind":"grade","address":3,"raw":4}}"#,
    ]
    .join("\n");
    let now: UtcMillis = "2026-11-22T00:00:00Z".parse().unwrap();
    let done =
        crate::history::import(&config, &journal, serials.clone(), lines.as_bytes(), now).await.unwrap();
    assert_eq!((done.readings, done.without_effect), (5, 0));
    let events = journal.outgoing(100).await.unwrap();
    assert_eq!(events.len() as u64, done.events);
    let last = StoredEvent::open(events.last().unwrap().bytes.clone()).unwrap().event;
    assert_eq!(last.happening, Happening::WindowClosed {});
    assert!(events.iter().all(|e| {
        StoredEvent::open(e.bytes.clone()).unwrap().event.clock
            == control_protocol::event::ClockQuality::Reported
    }));
    let again = crate::history::import(&config, &journal, serials, lines.as_bytes(), now).await;
    assert!(again.unwrap_err().to_string().contains("imported before"));
}
