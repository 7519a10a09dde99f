//! A hall whose configuration has a device of every kind, each simulated at the far end of its true line: what it says comes
//! to the record, what is decided is shown, spoken and printed, and one that fails costs only itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::connect_info::MockConnectInfo};
use control_protocol::{Event, Happening, StoredEvent};
use device_drivers::{
    attendance::{fingerprint::Family, zk::records::Punch},
    profile::{Args, shipped::Library},
    simulator::{
        fingerprint::{FingerprintModule, ModuleSetup},
        modem::SimulatedModem,
        printer::PaperPrinter,
        pty::Pty,
        push::PushDevice,
    },
    sms::PhoneNumber,
    ticket::status::Paper,
};
use edge_agent::{
    clock::SystemClock,
    config::Config,
    devices::{
        DeviceHealth, Inbox, Register, SharedFigures, Supervisor, Switchboard, messages::Messages, misfits,
        profiles, tickets::Tickets,
    },
    journal::{Journal, JournalThread},
    local_site::tickets::TicketRoutes,
    pairing::{Pairing, Place},
    uplink::{channel::ChannelState, sender::UplinkState},
    vault::Vault,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const LONG: Duration = Duration::from_secs(60);

/// A meter that is asked for its reading, by a profile of the hall's own.
const METER: &str = r#"
profile = "meter"
[transport]
kind = "tcp-client"
[frame]
header = "7E"
fixed = 4
checksum = { kind = "xor8", from = 1, at = -1 }
[fields]
address = { offset = 1 }
state = { offset = 2 }
[[message]]
event = "Reading"
values = { state = "state" }
[[command]]
name = "ask"
hex = "7E {address} 3F {checksum}"
busy = { until = "*", ms = 200 }
[[poll]]
command = "ask"
every_ms = 50
silent_after_ms = 2000
[[test]]
hex = "7E 09 01 08"
expect = { event = "Reading", address = 9 }
[[test]]
command = "ask"
args = { address = 9 }
hex = "7E 09 3F 36"
"#;

/// A port that is free now; whoever listens next is the agent.
fn free() -> SocketAddr {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn soon<T>(what: impl Future<Output = T>, name: &str) -> T {
    tokio::time::timeout(LONG, what).await.unwrap_or_else(|_| panic!("not in time: {name}"))
}

/// Looks again and again until it is so.
async fn until(name: &str, mut so: impl AsyncFnMut() -> bool) {
    let look = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(look, name).await;
}

struct Hall {
    journal: Journal,
    board: Switchboard,
    messages: Messages,
    routes: Router,
    thread: JournalThread,
    pairing: Pairing,
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _cameras: mpsc::Sender<edge_agent::devices::CameraEvent>,
}

impl Hall {
    async fn start(config: Config, library: Library) -> Self {
        let data = config.hall.data.clone();
        let clock = SystemClock::start();
        let node = "hall-450103-01".parse().unwrap();
        let (journal, serials, thread) =
            Journal::open(&data, node, config.hall.id.clone(), clock.clone()).unwrap();
        let (figures, board) = (SharedFigures::default(), Switchboard::default());
        let cancel = CancellationToken::new();
        let vault = Vault::at(&data);
        let (supervisor, mut said) = Supervisor::new(
            &config,
            Arc::new(library),
            vault.clone(),
            journal.clone(),
            figures.clone(),
            board.clone(),
            cancel.clone(),
        );
        let messages = supervisor.messages();
        let place = Place {
            config: config.clone(),
            vault,
            journal: journal.clone(),
            clock: clock.clone(),
            board: board.clone(),
            stills: picture::StillMaker::start(picture::Settings::default()).unwrap(),
            uplink: watch::channel(UplinkState::default()).1,
            channel: watch::channel(ChannelState::default()).1,
            stop: cancel.clone(),
        };
        let pairing = Pairing::open(place, supervisor).await.unwrap();
        let register =
            Register::new(&config, journal.clone(), serials, clock, board.clone(), figures).await.unwrap();
        let (cameras, camera_events) = mpsc::channel(1);
        let (tickets, wishes) = Tickets::new(&config, board.clone());
        let inbox = Inbox { drivers: said.events, cameras: camera_events, tickets: wishes };
        let token = cancel.clone();
        let mut tasks = vec![tokio::spawn(async move { register.run(inbox, token).await.unwrap() })];
        tasks.push(tokio::spawn(async move { assert_eq!(said.died.recv().await, None) }));
        let routes = TicketRoutes::new(tickets, config.tickets.allow.clone()).routes();
        pairing.start().await;
        Self { journal, board, messages, routes, thread, pairing, cancel, tasks, _cameras: cameras }
    }

    async fn events(&self) -> Vec<Event> {
        let out = self.journal.outgoing(10_000).await.unwrap();
        out.into_iter().map(|o| StoredEvent::open(o.bytes).unwrap().event).collect()
    }

    async fn event(&self, name: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut found = None;
        until(name, async || {
            found = self.events().await.into_iter().find(&wanted);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    async fn health(&self, place: &str, health: DeviceHealth) -> Option<String> {
        let position = format!("450103-01-{place}");
        until(&format!("{place} is {health:?}"), async || {
            self.board.presence().get(&position).is_some_and(|(_, p)| p.health == Some(health))
        })
        .await;
        self.board.presence()[&position].1.why.clone()
    }

    async fn ask(&self, from: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let from: SocketAddr = from.parse().unwrap();
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
        let answer = self.routes.clone().layer(MockConnectInfo(from)).oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn stop(mut self) {
        self.pairing.stop().await;
        self.cancel.cancel();
        drop(self.pairing);
        for task in self.tasks.drain(..) {
            soon(task, "a task ends").await.unwrap();
        }
        drop((self.journal, self.board, self.routes, self.messages));
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
    }
}

/// Reads until these bytes have come so often, whatever comes in between.
async fn hear_times(far: &mut (impl AsyncRead + Unpin), wanted: &[u8], times: usize) {
    let mut heard = Vec::new();
    let mut buffer = [0; 256];
    let hearing = async {
        while heard.windows(wanted.len()).filter(|part| *part == wanted).count() < times {
            let n = far.read(&mut buffer).await.unwrap();
            assert!(n > 0, "the line ended after {heard:02X?}");
            heard.extend_from_slice(&buffer[..n]);
        }
    };
    let in_time = tokio::time::timeout(LONG, hearing).await;
    assert!(in_time.is_ok(), "{wanted:02X?} did not come {times} times: {heard:02X?}");
}

async fn hear(far: &mut (impl AsyncRead + Unpin), wanted: &[u8]) {
    hear_times(far, wanted, 1).await;
}

fn said(library: &Library, profile: &str, command: &str, address: Option<u64>, text: &str) -> Vec<u8> {
    let mut args = Args::from([("text".to_owned(), text.into())]);
    args.extend(address.map(|n| ("address".to_owned(), n.into())));
    library.get(profile).unwrap().encode(command, &args).unwrap().to_vec()
}

#[allow(clippy::too_many_arguments)] // one line each
fn config(
    data: &Path,
    lines: &Path,
    counter: SocketAddr,
    voice: SocketAddr,
    meter: SocketAddr,
    push: SocketAddr,
) -> Config {
    let (data, lines) = (data.display(), lines.display());
    Config::parse(&format!(
        r#"
[hall]
id = "450103-01"
name = "青秀区政务服务中心"
data = "{data}"
[centre]
url = "https://127.0.0.1:1"
[[business]]
name = "社保"
prefix = "A"
[[window]]
number = 7
name = "7号窗口"
businesses = ["社保"]
[[line]]
name = "counter"
listen = "{counter}"
allow = ["127.0.0.1"]
[[line.device]]
role = "keypad"
profile = "ff68-counter-bus"
window = 7
address = 3
[[line.device]]
role = "evaluator"
profile = "ff68-counter-bus"
window = 7
address = 3
grades = {{ "04" = 5, "00" = 1 }}
grades_confirmed_by = "li"
[[line]]
name = "strip"
path = "{lines}/strip"
[[line.device]]
role = "display"
profile = "led-strip-colour"
window = 7
address = 5
[[line]]
name = "voice"
address = "{voice}"
[[line.device]]
role = "voice"
profile = "syn6288-voice"
name = "V01"
[[line]]
name = "meter"
address = "{meter}"
[[line.device]]
role = "sensor"
profile = "meter"
name = "S01"
address = 9
[[line.device]]
role = "sensor"
profile = "refused"
name = "S02"
address = 10
[[line]]
name = "buttons"
keyboard = "{lines}/event0"
[[line.device]]
role = "sensor"
profile = "usb-boot-keyboard-evaluator"
name = "S03"
[attendance_push]
listen = "{push}"
allow = ["127.0.0.1"]
[[attendance_push.terminal]]
name = "A02"
serial = "CJDE193560008"
comm_key_credential = "push"
[[fingerprint]]
name = "A03"
path = "{lines}/finger"
family = "ef01"
slots = {{ 3 = "1001" }}
state = 1
[[ticket_printer]]
name = "P01"
path = "{lines}/printer"
note = "过号请重新取号"
[tickets]
allow = ["10.0.0.21"]
[[modem]]
name = "M01"
path = "{lines}/modem"
"#
    ))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_device_serves_its_hall() {
    let (data, lines) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let profile_folder = data.path().join("profiles");
    std::fs::create_dir_all(&profile_folder).unwrap();
    std::fs::write(profile_folder.join("meter.toml"), METER).unwrap();
    let refused = METER.replace("\"meter\"", "\"refused\"").replace("7E 09 3F 36", "7E 09 3F 37");
    std::fs::write(profile_folder.join("refused.toml"), refused).unwrap();
    edge_agent::vault::Vault::at(data.path())
        .set("push", &edge_agent::vault::Secret::new("8642".into()))
        .unwrap();

    let cancel = CancellationToken::new();
    let pty = |name: &str| Pty::open(Some(&lines.path().join(name))).unwrap();
    let mut strip = pty("strip");
    let module = FingerprintModule::new(ModuleSetup::new(Family::Ef01));
    module.enrol(3, 77);
    let printer = PaperPrinter::new();
    let modem = SimulatedModem::new();
    let mut far = Vec::new();
    let (finger, mut line, token) = (module.clone(), pty("finger"), cancel.clone());
    far.push(tokio::spawn(async move { finger.serve(&mut line, &token).await.unwrap() }));
    let (paper, mut line, token) = (printer.clone(), pty("printer"), cancel.clone());
    far.push(tokio::spawn(async move { paper.serve(&mut line, &token).await.unwrap() }));
    let (sim, mut line, token) = (modem.clone(), pty("modem"), cancel.clone());
    far.push(tokio::spawn(async move { sim.serve(&mut line, &token).await.unwrap() }));
    let voice_at = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let meter_at = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (counter, push) = (free(), free());

    let config = config(
        data.path(),
        lines.path(),
        counter,
        voice_at.local_addr().unwrap(),
        meter_at.local_addr().unwrap(),
        push,
    );
    let (library, wrong) = profiles::load(data.path()).unwrap();
    assert_eq!(wrong.len(), 1);
    let why = wrong[0].to_string();
    assert!(
        why.contains("refused.toml:") && why.contains("7E 09 3F 36") && why.contains("7E 09 3F 37"),
        "{why}"
    );
    let misfits = misfits(&config, &library);
    assert_eq!(misfits.len(), 1);
    assert!(misfits[0].starts_with("450103-01-S02-sensor: there is no profile refused"), "{misfits:?}");
    let shipped = library.clone();
    let hall = Hall::start(config, library).await;

    // The far ends of what is dialled.
    let (mut voice, _) = soon(voice_at.accept(), "the voice is dialled").await.unwrap();
    let (mut meter, _) = soon(meter_at.accept(), "the meter is dialled").await.unwrap();
    far.push(tokio::spawn(async move {
        let mut question = [0; 4];
        // Until the agent hangs up.
        while meter.read_exact(&mut question).await.is_ok() {
            assert_eq!(question, [0x7E, 0x09, 0x3F, 0x36]);
            if meter.write_all(&[0x7E, 0x09, 0x05, 0x0C]).await.is_err() {
                return;
            }
        }
    }));

    // Every place says how it is.
    for up in ["W07-display", "V01-voice", "A03-attendance", "P01-printer", "M01-modem", "S01-sensor"] {
        assert_eq!(hall.health(up, DeviceHealth::Up).await, None);
    }
    let why = hall.health("S02-sensor", DeviceHealth::Down).await.unwrap();
    assert!(why.contains("there is no profile refused"), "{why}");
    assert_eq!(
        hall.health("S03-sensor", DeviceHealth::Down).await.unwrap(),
        "not there (unplugged, or a wrong path)"
    );
    hall.health("W07-keypad", DeviceHealth::Down).await;
    let mut bus = TcpStream::connect(counter).await.unwrap();
    hall.health("W07-keypad", DeviceHealth::Up).await;
    hall.health("W07-evaluator", DeviceHealth::Up).await;
    let state = ("Reading".to_owned(), "state".to_owned());
    until("the meter's reading is known", async || {
        let presence = hall.board.presence();
        presence["450103-01-S01-sensor"].1.numbers.get(&state) == Some(&5)
    })
    .await;

    // A ticket: on record, then on paper. Only a kiosk may take one.
    let wish = json!({"business": "社保"});
    let (status, answer) = hall.ask("10.0.0.22:5000", "POST", "/api/v1/tickets", wish.clone()).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("not-a-kiosk")));
    let (status, offered) = hall.ask("10.0.0.21:5000", "GET", "/api/v1/tickets", json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(offered["businesses"], json!(["社保"]));
    assert_eq!(offered["printers"][0]["ready"], true);
    let (status, given) = hall.ask("10.0.0.21:5000", "POST", "/api/v1/tickets", wish.clone()).await;
    assert_eq!(
        (status, given["printed"].as_bool(), given["ticket"].as_str()),
        (201, Some(true), Some("A001"))
    );
    let case = given["case"].as_str().unwrap().to_owned();
    let issued = hall.event("the ticket is on record", |e| e.happening.kind() == "ticket.issued").await;
    assert_eq!(issued.case.unwrap().to_string(), case);
    assert_eq!(issued.device.as_deref(), Some("450103-01-P01-printer"));
    let slip = printer.slips().pop().unwrap();
    assert_eq!(slip.symbols, [case.as_bytes().to_vec()]);
    for line in ["青秀区政务服务中心", "A001", "业务：社保", "您前面等候：0 人", &case, "过号请重新取号"]
    {
        assert!(slip.text().lines().any(|printed| printed == line), "{line}: {}", slip.text());
    }

    // The call is shown on the strip and spoken in the hall; again when it is called again.
    let call = [0xFF, 0x68, 0x03, 0x03, 0x68, 0x03, 0x01, 0x0C, 0x10, 0x16];
    bus.write_all(&call).await.unwrap();
    hear(&mut bus, &call).await;
    let shown = said(&shipped, "led-strip-colour", "show", Some(5), "请A001号到7号窗口");
    hear(&mut strip, &shown).await;
    strip.write_all(&[0xA0, 0x90, 0x05, 0xA5, 0xAA]).await.unwrap();
    let spoken = said(&shipped, "syn6288-voice", "speak", None, "请A 0 0 1号到7号窗口");
    hear(&mut voice, &spoken).await;
    voice.write_all(&[0x41, 0x4F]).await.unwrap();
    let again = [0xFF, 0x68, 0x03, 0x03, 0x68, 0x03, 0x01, 0x0D, 0x11, 0x16];
    bus.write_all(&again).await.unwrap();
    hear(&mut strip, &shown).await;
    strip.write_all(&[0xA0, 0x90, 0x05, 0xA5, 0xAA]).await.unwrap();
    hear(&mut voice, &spoken).await;
    voice.write_all(&[0x41, 0x4F]).await.unwrap();
    let called = hall.event("the call is on record", |e| e.happening.kind() == "ticket.recalled").await;
    assert_eq!(called.case.unwrap().to_string(), case);

    // Evaluate: the evaluator on the same connection is asked, and its press is the case's rating.
    let evaluate = [0xFF, 0x68, 0x03, 0x03, 0x68, 0x03, 0x01, 0x0B, 0x0F, 0x16];
    bus.write_all(&evaluate).await.unwrap();
    // The key's answer and the question to the evaluator are the same bytes.
    hear_times(&mut bus, &evaluate, 2).await;
    bus.write_all(&[0xFF, 0x68, 0x03, 0x03, 0x68, 0x03, 0x11, 0x04, 0x18, 0x16]).await.unwrap();
    hear(&mut bus, &[0xFF, 0x68, 0x03, 0x03, 0x68, 0x03, 0x01, 0x04, 0x08, 0x16]).await;
    let rated = hall.event("the rating is on record", |e| e.happening.kind() == "rating.given").await;
    assert_eq!(rated.case.unwrap().to_string(), case);
    assert!(matches!(rated.happening, Happening::RatingGiven { raw: 4, grade, .. } if grade.value() == 5));

    // Punches of both kinds; a terminal with the wrong key is nobody.
    module.lay(Some(77));
    let by_finger = |e: &Event| matches!(&e.happening, Happening::PunchRecorded { employee, state: 1, .. } if employee == "1001");
    let punch = hall.event("the finger's punch", by_finger).await;
    assert_eq!(punch.device.as_deref(), Some("450103-01-A03-attendance"));
    module.lay(None);
    let mut stranger = PushDevice::new("CJDE193560008", push, "1");
    assert_eq!(stranger.start().await.unwrap().status, 403);
    let mut terminal = PushDevice::new("CJDE193560008", push, "8642");
    assert!(terminal.start().await.unwrap().body.contains("ATTLOGStamp=None"));
    let at = jiff::civil::date(2026, 11, 20).at(8, 29, 5, 0);
    terminal.punch(Punch { employee: "1002".into(), at, verify: 1, state: 0 });
    assert_eq!(terminal.upload(10).await.unwrap().body.trim(), "OK:1");
    let by_terminal =
        |e: &Event| matches!(&e.happening, Happening::PunchRecorded { employee, .. } if employee == "1002");
    let punch = hall.event("the terminal's punch", by_terminal).await;
    assert_eq!(punch.device.as_deref(), Some("450103-01-A02-attendance"));
    hall.health("A02-attendance", DeviceHealth::Up).await;

    // A text message by the hall's modem.
    let to: PhoneNumber = "+8613800138000".parse().unwrap();
    soon(hall.messages.send(to, "您的事项已办结".into()), "the message is sent").await.unwrap();
    assert_eq!(modem.sent().len(), 1);
    assert!(hall.messages.status()["450103-01-M01-modem"].connected);

    // No paper: the printer is down with the reason, and no number is given that cannot be printed.
    printer.set(|condition| condition.paper = Paper::Out);
    hall.health("P01-printer", DeviceHealth::Down).await;
    let (status, refused) = hall.ask("127.0.0.1:5000", "POST", "/api/v1/tickets", wish.clone()).await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("printer")));
    assert_eq!(refused["params"]["code"], "paper_out");
    printer.set(|condition| condition.paper = Paper::Present);
    hall.health("P01-printer", DeviceHealth::Up).await;
    // The roll ends in the middle of a slip: the number stands, the slip does not, and it can be printed again.
    printer.set(|condition| condition.lines_left = Some(3));
    let (status, half) = hall.ask("127.0.0.1:5000", "POST", "/api/v1/tickets", wish).await;
    assert_eq!(
        (status, half["printed"].as_bool(), half["ticket"].as_str()),
        (201, Some(false), Some("A002")),
        "{half}"
    );
    assert_eq!(half["code"], "partial");
    printer.set(|condition| {
        condition.paper = Paper::Present;
        condition.lines_left = None;
    });
    hall.health("P01-printer", DeviceHealth::Up).await;
    let path = format!("/api/v1/tickets/{}/print", half["case"].as_str().unwrap());
    let (status, whole) = hall.ask("127.0.0.1:5000", "POST", &path, json!({})).await;
    assert_eq!(
        (status, whole["printed"].as_bool(), whole["ticket"].as_str()),
        (201, Some(true), Some("A002")),
        "{whole}"
    );

    // A strip that is gone and a voice that hangs up hold nobody up.
    drop((strip, voice));
    hall.health("W07-display", DeviceHealth::Down).await;
    bus.write_all(&call).await.unwrap();
    hear(&mut bus, &call).await;
    let second =
        |e: &Event| matches!(&e.happening, Happening::TicketCalled { ticket, .. } if ticket == "A002");
    hall.event("the call without a display", second).await;

    hall.stop().await;
    cancel.cancel();
    for task in far {
        soon(task, "a far end ends").await.unwrap();
    }
}

/// The same configuration once more: what was paired by the file is found again, and a terminal goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_called_goes_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let push = free();
    let config = || {
        Config::parse(&format!(
            r#"
[hall]
id = "450103-01"
name = "x"
data = "{}"
[centre]
url = "https://127.0.0.1:1"
[attendance_push]
listen = "{push}"
allow = ["127.0.0.0/8"]
[[attendance_push.terminal]]
name = "A02"
serial = "CJDE1"
"#,
            data.path().display()
        ))
        .unwrap()
    };
    let hall = Hall::start(config(), Library::shipped().unwrap()).await;
    let mut terminal = PushDevice::new("CJDE1", push, "");
    until("the listener is there", async || terminal.start().await.is_ok()).await;
    for minute in 0..3 {
        let at = jiff::civil::date(2026, 11, 20).at(8, minute, 0, 0);
        terminal.punch(Punch { employee: "1001".into(), at, verify: 1, state: 0 });
    }
    assert_eq!(terminal.upload(10).await.unwrap().body.trim(), "OK:3");
    until("the stamp is kept", async || data.path().join("push-stamps.json").exists()).await;
    let punches = hall.events().await.iter().filter(|e| e.happening.kind() == "punch.recorded").count();
    assert_eq!(punches, 3);
    hall.stop().await;

    let hall = Hall::start(config(), Library::shipped().unwrap()).await;
    let mut answered = None;
    until("the listener is there again", async || {
        answered = terminal.start().await.ok();
        answered.is_some()
    })
    .await;
    assert!(answered.unwrap().body.contains("ATTLOGStamp=1"), "it is asked for what came since");
    assert_eq!(terminal.waiting(), 0);
    hall.stop().await;
}
