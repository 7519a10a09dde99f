//! A whole simulated hall, driven by its script, with the true drivers on its lines: everything they read is what the
//! hall's own log says, and the program starts, says where it is, and stops when told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use device_drivers::attendance::zk::{TerminalConfig, TerminalDriver};
use device_drivers::clock::{SystemLocal, SystemMonotonic};
use device_drivers::counter::{AckForm, BusConfig, BusDriver, EvaluatorConfig, KeypadConfig};
use device_drivers::port::{SerialConfig, SerialPort, TcpConfig, TcpPort};
use device_drivers::reading::{DriverEvent, Fact, PositionId};
use device_drivers::simulator::ticket::PATTERNS;
use device_drivers::ticket::{TapConfig, TicketTap};
use simulated_hall::config::Config;
use simulated_hall::day::{Action, PressedKey};
use simulated_hall::hall::{Hall, ORACLE_FILE, READY_FILE, read_ready};
use simulated_hall::oracle::{self, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

fn toml(run: &Path, cameras: &str) -> String {
    format!(
        r#"
        hall = "450103-01"
        name = "青秀区政务服务中心"
        seed = 11
        speed = 2000.0
        run = "{run}"
        footage = "{footage}"
        zone = "Asia/Shanghai"
        comm_key = 12345
        tickets = 30
        service_minutes = 3.0
        [[business]]
        name = "社保"
        prefix = "A"
        first = 1
        [[business]]
        name = "税务"
        prefix = "B"
        first = 201
        [[clerk]]
        number = "1001"
        name = "张丽"
        [[clerk]]
        number = "1002"
        name = "李强"
        [[clerk]]
        number = "1003"
        name = "王芳"
        [[window]]
        number = 1
        name = "社保1号"
        businesses = ["社保", "税务"]
        clerk = "1001"
        keypad = 1
        [[window]]
        number = 2
        name = "税务2号"
        businesses = ["税务", "社保"]
        clerk = "1002"
        keypad = 2
        evaluator = 130
        {cameras}
        "#,
        run = run.display(),
        footage = concat!(env!("CARGO_TARGET_TMPDIR"), "/footage"),
    )
}

/// What was read or pressed, without the times that differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Key(u8, String, &'static str),
    Grade(u8, u8),
    Ticket(String, String, u32, String),
    Punch(String, String, u8),
}

fn of_fact(fact: &Fact) -> Option<Said> {
    use device_drivers::reading::Key;
    Some(match fact {
        Fact::Key { address, digits, key } => Said::Key(
            *address,
            digits.clone(),
            match key {
                Key::Start => "start",
                Key::Evaluate => "evaluate",
                Key::Call => "call",
                Key::Recall => "recall",
                Key::Function => "function",
                Key::Pause => "pause",
                other => panic!("{other:?}"),
            },
        ),
        Fact::Grade { address, raw, grade } => {
            assert_eq!(*grade, Some(raw + 1));
            Said::Grade(*address, *raw)
        }
        Fact::Ticket { number, business, waiting, printed_at } => {
            Said::Ticket(number.clone(), business.clone(), waiting.unwrap(), printed_at.unwrap().to_string())
        }
        // The log is the truth, an event only a hint.
        Fact::Punch { live: true, .. } | Fact::Report { .. } => return None,
        Fact::Punch { employee, at, state, .. } => Said::Punch(employee.clone(), at.to_string(), *state),
    })
}

fn of_record(record: &Record) -> Said {
    let evaluator = |window: u8| if window == 2 { 130 } else { window };
    match &record.action {
        Action::Press { window, digits, key } => Said::Key(
            *window,
            digits.clone(),
            match key {
                PressedKey::Start => "start",
                PressedKey::Evaluate => "evaluate",
                PressedKey::Call => "call",
                PressedKey::Recall => "recall",
                PressedKey::Function => "function",
                PressedKey::Pause => "pause",
            },
        ),
        Action::Rate { window, raw } => Said::Grade(evaluator(*window), *raw),
        Action::Ticket { number, business, waiting } => {
            Said::Ticket(number.clone(), business.clone(), *waiting, record.device_time.unwrap().to_string())
        }
        Action::Punch { employee, state } => {
            Said::Punch(employee.clone(), record.device_time.unwrap().to_string(), *state)
        }
    }
}

async fn post(address: std::net::SocketAddr, path: &str, body: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_true_drivers_read_what_the_log_says() {
    let folder = tempfile::tempdir().unwrap();
    let config: Config = toml::from_str(&toml(folder.path(), "")).unwrap();
    config.check().unwrap();
    let cancel = CancellationToken::new();
    let hall = Hall::start(config, cancel.clone()).await.unwrap();
    let ready = hall.ready().clone();
    assert_eq!(read_ready(&folder.path().join(READY_FILE)).unwrap(), ready);

    let (events, mut facts) = mpsc::channel(256);
    let keypads = [1, 2].map(|address| KeypadConfig { address, position: PositionId::from("keypad") });
    let grades: BTreeMap<u8, u8> = (0..5).map(|raw| (raw, raw + 1)).collect();
    let evaluators = [(1, AckForm::A), (130, AckForm::B)].map(|(address, ack)| EvaluatorConfig {
        address,
        position: PositionId::from("evaluator"),
        ack,
        grades: grades.clone(),
    });
    let serial = |path: &Path| Box::new(SerialPort::new(SerialConfig::new(path, 9600)));
    let bus = BusConfig::new(keypads.into(), evaluators.into());
    let (_commands, orders) = mpsc::channel(1);
    let bus = BusDriver::new(bus, serial(&ready.devices.buses[0]), orders).unwrap();
    let tap = TapConfig::new(PositionId::from("ticket"), PATTERNS.map(str::to_owned).into());
    let tap = TicketTap::new(tap, serial(&ready.devices.ticket)).unwrap();
    let terminal =
        TerminalConfig { log_interval_s: 1, ..TerminalConfig::new(PositionId::from("attendance"), 12345) };
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let port = TcpPort::new(TcpConfig { address: ready.devices.attendance.to_string() });
    let terminal = TerminalDriver::new(terminal, Box::new(port), Arc::new(SystemLocal(zone)));
    let clock = Arc::new(SystemMonotonic);
    let drivers = [
        tokio::spawn(bus.run(clock.clone(), events.clone(), cancel.clone())),
        tokio::spawn(tap.run(clock.clone(), events.clone(), cancel.clone())),
        tokio::spawn(terminal.run(clock, events, cancel.clone())),
    ];

    // A hundred steps of the day, then pause and wait until everything written is read.
    let log = folder.path().join(ORACLE_FILE);
    let mut read: Vec<Said> = Vec::new();
    let mut wanted = usize::MAX;
    tokio::time::timeout(LONG, async {
        loop {
            if let DriverEvent::Reading(reading) = facts.recv().await.unwrap() {
                reading.receipt.durable();
                read.extend(of_fact(&reading.fact));
                read.sort();
                read.dedup_by(|one, two| one == two && matches!(one, Said::Punch(..)));
            }
            if wanted == usize::MAX && read.len() > 100 {
                let control = ready.control;
                let (paused, log) = (
                    tokio::spawn(async move { post(control, "/day", r#"{"running":false}"#).await }),
                    log.clone(),
                );
                // The answer comes when no step is under way; until then its press must be read and stored.
                while !paused.is_finished() {
                    if let Ok(Some(DriverEvent::Reading(reading))) =
                        tokio::time::timeout(Duration::from_millis(20), facts.recv()).await
                    {
                        reading.receipt.durable();
                        read.extend(of_fact(&reading.fact));
                    }
                }
                assert!(paused.await.unwrap().starts_with("HTTP/1.1 200"));
                read.sort();
                read.dedup_by(|one, two| one == two && matches!(one, Said::Punch(..)));
                wanted = oracle::read(&log).unwrap().len();
            }
            if read.len() >= wanted {
                return;
            }
        }
    })
    .await
    .expect("the drivers read everything in time");

    let records = oracle::read(&log).unwrap();
    let mut logged: Vec<Said> = records.iter().map(of_record).collect();
    logged.sort();
    assert_eq!(read, logged);
    for record in &records {
        let pressed = matches!(record.action, Action::Press { .. } | Action::Rate { .. });
        assert_eq!(record.acknowledged.is_some(), pressed, "{record:?}");
        assert!(record.expect.is_some());
    }
    let answer = post(ready.control, "/faults", r#"{"camera":"W09","fault":"freeze","seconds":1}"#).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("no camera W09"), "{answer}");
    drop(facts);
    tokio::time::timeout(Duration::from_secs(2), hall.close()).await.expect("closes within two seconds");
    for driver in drivers {
        tokio::time::timeout(LONG, driver).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_program_says_where_it_is_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let camera = "[[camera]]\nid = \"450103-01-W01-C1\"\npath = \"W01\"\nmark = 101\nuser = \"viewer\"\npassword = \"p\"";
    let file = folder.path().join("hall.toml");
    std::fs::write(&file, toml(&folder.path().join("run"), camera)).unwrap();
    let past = folder.path().join("past.jsonl");
    let history = tokio::process::Command::new(env!("CARGO_BIN_EXE_simulated-hall"))
        .args(["--days", "2", "--config"])
        .arg(&file)
        .arg("--history")
        .arg(&past)
        .status();
    assert!(tokio::time::timeout(LONG, history).await.unwrap().unwrap().success());
    assert!(std::fs::read_to_string(&past).unwrap().lines().count() > 200);

    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_simulated-hall"))
        .arg("--config")
        .arg(&file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ready = tokio::time::timeout(LONG, async {
        loop {
            if let Ok(ready) = read_ready(&folder.path().join("run").join(READY_FILE)) {
                return ready;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("ready in time");
    assert_eq!((ready.hall.as_str(), ready.pid), ("450103-01", program.id().unwrap()));
    assert!(ready.devices.buses[0].exists() && ready.devices.ticket.exists());
    let answer = post(ready.control, "/faults", r#"{"camera":"W01","fault":"drop","seconds":1}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let told = tokio::process::Command::new("kill").arg(ready.pid.to_string()).status().await.unwrap();
    assert!(told.success());
    let ended =
        tokio::time::timeout(Duration::from_secs(2), program.wait()).await.expect("ends within two seconds");
    assert!(ended.unwrap().success());
    assert!(!ready.devices.buses[0].exists(), "its links are gone");
}

#[tokio::test]
async fn what_is_there_to_be_paired_can_be_found_and_pressed() {
    use device_drivers::camera::onvif::{Credential, choose, describe};
    use device_drivers::clock::SystemUtc;
    use device_drivers::port::Port as _;

    let run = tempfile::tempdir().unwrap();
    let spares = r#"
        [spares.camera]
        id = "spare"
        path = "X01"
        mark = 190
        label = "NEW"
        user = "viewer"
        password = "simulated"
    "#;
    let config: Config = toml::from_str(&toml(run.path(), spares)).unwrap();
    config.check().unwrap();
    let cancel = CancellationToken::new();
    let hall = Hall::start(Config { day: false, ..config }, cancel.clone()).await.unwrap();
    let ready = read_ready(&run.path().join(READY_FILE)).unwrap();
    let found = ready.spares.unwrap();
    // The camera tells where its streams are, to its user.
    let xaddr = format!("http://127.0.0.1:{}/onvif/device_service", found.onvif).parse().unwrap();
    let user = Credential { user: "viewer".into(), password: "simulated".into() };
    let told = describe(&xaddr, Some(&user), &SystemUtc, LONG).await.unwrap();
    let choice = choose(&told.profiles);
    let main = told.profiles[choice.main.unwrap()].uri.as_deref().unwrap();
    assert!(main.ends_with("/X01/main"), "{main}");
    // The unknown evaluator says each press once, and never the same twice.
    let mut line = SerialPort::new(SerialConfig::new(&found.unknown, 9600)).open().await.unwrap();
    let mut frames = Vec::new();
    for _ in 0..2 {
        post(ready.control, "/spares", r#"{"device":"unknown","grade":5}"#).await;
        let mut frame = [0u8; 7];
        tokio::time::timeout(LONG, line.read_exact(&mut frame)).await.unwrap().unwrap();
        frames.push(frame);
    }
    assert_eq!(frames[0][..4], frames[1][..4]);
    assert!(frames[0] != frames[1] && frames[0][5] == frames[1][5]);
    let refused = post(ready.control, "/spares", r#"{"device":"unknown","grade":6}"#).await;
    assert!(refused.contains("not from 1 to 5"), "{refused}");
    hall.close().await;
}
