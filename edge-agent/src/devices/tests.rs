//! Readings go in as drivers say them; what is in the journal comes out.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use control_protocol::{Happening, UtcMillis, WindowId, chain::StoredEvent};
use device_drivers::{
    profile::{Order, Purpose, What, shipped::Library},
    reading::{Answering, DriverEvent, Fact, Health, Key, Reading, Receipt},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{tickets::Tickets, *};
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
grades_confirmed_by = "li"
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
    bus: mpsc::Receiver<Order>,
    figures: SharedFigures,
    board: Switchboard,
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
        let library = Library::shipped().unwrap();
        let wire = |profile: &str, text: Option<&str>| Wire {
            orders: commands.clone(),
            profile: library.get(profile).unwrap(),
            address: Some(3),
            text: text.map(str::to_owned),
            values: Default::default(),
        };
        let mut panel = Panel::default();
        panel.put(Role::Keypad, wire("ff68-counter-bus", None));
        panel.put(Role::Evaluator, wire("ff68-counter-bus", None));
        panel.put(Role::Display, wire("led-strip-colour", None));
        let mut speaker = Panel::default();
        speaker.put(Role::Voice, wire("syn6288-voice", Some("{ticket}请到{window}号")));
        let figures = SharedFigures::default();
        let board = Switchboard::default();
        let evaluator = Place { window: Some(window.clone()), role: Role::Evaluator, confirmed: true };
        let keypad = Place { role: Role::Keypad, ..evaluator.clone() };
        let ticket = Place { window: None, role: Role::Ticket, confirmed: true };
        let clock_place = Place { role: Role::Attendance, ..ticket.clone() };
        let places = [
            ("450103-01-W07-evaluator", evaluator),
            ("450103-01-W07-keypad", keypad),
            ("450103-01-T01-ticket", ticket),
            ("450103-01-A01-attendance", clock_place),
        ];
        board.set_places(places.map(|(id, place)| (id.to_owned(), place)).into(), clock.now_utc());
        board.set_panels(HashMap::from([(Some(window), panel), (None, speaker)]));
        let register = Register::new(
            &config,
            journal.clone(),
            serials.clone(),
            clock.clone(),
            board.clone(),
            figures.clone(),
        )
        .await
        .unwrap();
        let cancel = CancellationToken::new();
        let (_, wishes) = Tickets::new(&config, board.clone());
        let inbox = Inbox { drivers: driver_events, cameras: camera_events, tickets: wishes };
        let register = tokio::spawn(register.run(inbox, cancel.clone()));
        Self {
            clock,
            journal,
            thread,
            serials,
            drivers,
            bus,
            figures,
            board,
            register,
            cancel,
            _cameras: cameras,
        }
    }

    /// Says a fact, waits until it is durable and answers the device.
    async fn say(&self, position: &str, fact: Fact) {
        self.say_unanswered(position, fact).await.answered();
    }

    /// Says a fact and waits until it is durable; the device has no answer yet.
    async fn say_unanswered(&self, position: &str, fact: Fact) -> Answering {
        let (receipt, durable) = Receipt::pair();
        let raw = format!("{fact:?}").into();
        let position = position.into();
        let reading = Reading { position, arrived: self.clock.now_mono(), fact, raw, receipt };
        self.drivers.send(DriverEvent::Reading(reading)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), durable).await.unwrap().unwrap()
    }

    async fn key(&self, digits: &str, key: Key) {
        let fact = Fact::Key { address: 3, digits: digits.into(), key };
        self.say("450103-01-W07-keypad", fact).await;
    }

    /// The next order to a line: profile, purpose, and the value that changes.
    async fn ordered(&mut self) -> (String, Purpose, String) {
        let next = tokio::time::timeout(Duration::from_secs(10), self.bus.recv());
        let order = next.await.expect("an order in time").unwrap();
        assert_eq!(order.args["address"], 3u64.into());
        assert!(order.until.is_some(), "an order that is said much too late is said to the wrong person");
        let value = order.args.get("n").or(order.args.get("text")).map(|value| format!("{value:?}"));
        let What::Purpose(purpose) = order.what else { panic!("{:?}", order.what) };
        (order.profile.unwrap(), purpose, value.unwrap_or_default())
    }

    /// Expects these orders, of which no two are to devices of one profile and purpose.
    async fn expect(&mut self, orders: &[(&str, Purpose, &str)]) {
        for (profile, purpose, value) in orders {
            assert_eq!(self.ordered().await, ((*profile).to_owned(), *purpose, (*value).to_owned()));
        }
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
    hall.expect(&[("led-strip-colour", Purpose::ShowText, "Text(\" \")")]).await;
    hall.expect(&[
        ("ff68-counter-bus", Purpose::ShowTicket, "Number(1)"),
        ("ff68-counter-bus", Purpose::ShowWaiting, "Number(0)"),
        ("led-strip-colour", Purpose::ShowText, "Text(\"请A001号到7号窗口\")"),
        ("syn6288-voice", Purpose::Speak, "Text(\"A 0 0 1请到7号\")"),
    ])
    .await;
    hall.key("", Key::Recall).await;
    hall.expect(&[
        ("ff68-counter-bus", Purpose::ShowTicket, "Number(1)"),
        ("ff68-counter-bus", Purpose::ShowWaiting, "Number(0)"),
        ("led-strip-colour", Purpose::ShowText, "Text(\"请A001号到7号窗口\")"),
        ("syn6288-voice", Purpose::Speak, "Text(\"A 0 0 1请到7号\")"),
    ])
    .await;
    hall.key("", Key::Start).await;
    hall.stop().await;

    let mut hall = Hall::start(data.path()).await;
    hall.key("", Key::Evaluate).await;
    hall.expect(&[("ff68-counter-bus", Purpose::Invite, "")]).await;
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
            "ticket.recalled",
            "service.started",
            "service.ended",
            "rating.invited",
            "rating.given",
            "case.closed",
            "case.opened",
            "ticket.issued"
        ]
    );
    hall.key("", Key::Pause).await;
    hall.expect(&[("led-strip-colour", Purpose::ShowText, "Text(\"暂停服务\")")]).await;
    let cases: std::collections::BTreeSet<_> = events.iter().filter_map(|e| e.event.case).collect();
    assert_eq!(cases.len(), 2);
    assert_eq!(crate::journal::verify(data.path()).unwrap().faults, Vec::<String>::new());
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_that_was_not_answered_counts_once_when_it_is_said_again() {
    let data = tempfile::tempdir().unwrap();
    let hall = Hall::start(data.path()).await;
    for number in ["A001", "A002", "A003", "A004"] {
        hall.say("450103-01-T01-ticket", ticket(number)).await;
    }
    let call = || Fact::Key { address: 3, digits: String::new(), key: Key::Call };
    let keypad = "450103-01-W07-keypad";
    let called = |kinds: &[&str]| kinds.iter().filter(|kind| **kind == "ticket.called").count();
    // The line is lost before the answer is out: the keypad says it again over the next opening.
    drop(hall.say_unanswered(keypad, call()).await);
    drop(hall.say_unanswered(keypad, call()).await);
    assert_eq!(called(&hall.kinds().await), 1);
    hall.stop().await;

    // The program ended before the answer was out.
    let hall = Hall::start(data.path()).await;
    hall.say_unanswered(keypad, call()).await.answered();
    assert_eq!(called(&hall.kinds().await), 1);
    // Told while the answer is noted, and after: each is a press of its own.
    let noted = async {
        while !hall.journal.unanswered().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted).await.unwrap();
    hall.say(keypad, call()).await;
    assert_eq!(called(&hall.kinds().await), 2);
    hall.stop().await;

    // It ended after the answer.
    let hall = Hall::start(data.path()).await;
    drop(hall.say_unanswered(keypad, call()).await);
    assert_eq!(called(&hall.kinds().await), 3);
    // Another key meanwhile: the device has moved on, what it says now is new.
    hall.say(keypad, Fact::Key { address: 3, digits: String::new(), key: Key::Recall }).await;
    hall.say(keypad, call()).await;
    assert_eq!(called(&hall.kinds().await), 4);
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
    assert_eq!(hall.board.presence()["450103-01-W07-keypad"].1.health, Some(DeviceHealth::Up));
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
    // A file with a fault in its last line leaves nothing behind.
    let faulty = format!("{lines}\n{{}}");
    let refused = crate::history::import(&config, &journal, serials.clone(), faulty.as_bytes(), now).await;
    assert!(format!("{:#}", refused.unwrap_err()).contains("line 6"));
    assert_eq!(journal.outgoing(100).await.unwrap().len(), 0);
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

#[tokio::test(flavor = "multi_thread")]
async fn presses_of_an_unconfirmed_evaluator_and_of_a_test_are_kept_and_rate_nothing() {
    let data = tempfile::tempdir().unwrap();
    let hall = Hall::start(data.path()).await;
    let evaluator = "450103-01-W07-evaluator";
    hall.say("450103-01-T01-ticket", ticket("A001")).await;
    hall.key("", Key::Call).await;
    hall.key("", Key::Evaluate).await;
    let mut places: std::collections::BTreeMap<_, _> =
        hall.board.presence().into_iter().map(|(id, (place, _))| (id, place)).collect();
    places.get_mut(evaluator).unwrap().confirmed = false;
    hall.board.set_places(places.clone(), hall.clock.now_utc());
    hall.say(evaluator, Fact::Grade { address: 3, raw: 4, grade: Some(5) }).await;
    let last = hall.all().await.pop().unwrap().event;
    assert_eq!(
        last.happening,
        Happening::RatingUnsolicited { grade: None, raw: 4, why: "unconfirmed".into() }
    );
    assert_eq!(last.case, None);
    assert_eq!(hall.board.presence()[evaluator].1.refused, 1);

    let case = control_protocol::CaseId::new(
        &"450103-01".parse().unwrap(),
        jiff::civil::date(2026, 11, 22),
        control_protocol::case_id::TEST_SERIALS_FROM + 1,
    )
    .unwrap();
    hall.board.test(evaluator, Some(case));
    hall.say(evaluator, Fact::Grade { address: 3, raw: 0, grade: Some(1) }).await;
    let last = hall.all().await.pop().unwrap().event;
    assert_eq!(last.case, Some(case));
    let live = hall.board.live_after(0);
    assert_eq!(live.last().unwrap().said, LiveSaid::Grade { raw: "00".into(), grade: Some(1) });

    // A device that nobody bound is shown, and leaves no trace on record.
    let before = hall.kinds().await.len();
    hall.say("?s1#evaluator-9", Fact::Grade { address: 9, raw: 2, grade: Some(3) }).await;
    assert_eq!(hall.kinds().await.len(), before);
    assert_eq!(hall.board.live_after(live.last().unwrap().n)[0].position, "?s1#evaluator-9");

    // Confirmed and out of test, the press rates: the case was never harmed.
    hall.board.test(evaluator, None);
    places.get_mut(evaluator).unwrap().confirmed = true;
    hall.board.set_places(places, hall.clock.now_utc());
    hall.say(evaluator, Fact::Grade { address: 3, raw: 4, grade: Some(5) }).await;
    assert_eq!(hall.kinds().await.last(), Some(&"rating.given"));
    hall.stop().await;
}
