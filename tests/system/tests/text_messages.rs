//! gammu, and our own driver, at the same simulated modem: both send and both read, and the results are the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{path::Path, process::Output, sync::Arc, time::Duration};

use device_drivers::{
    clock::SystemMonotonic,
    port::{SerialConfig, SerialPort},
    reading::Health,
    simulator::{
        modem::{Fault, SimulatedModem},
        pty::Pty,
    },
    sms::{PhoneNumber, SmsConfig, SmsDriver, SmsEvent, at::SimState},
};
use tokio::{process::Command, sync::mpsc};
use tokio_util::sync::CancellationToken;

const NUMBER: &str = "+8613800138000";
const SHORT: &str = "请对本次服务进行评价：5非常满意";
const LATIN: &str = "Reply 1-5 [rate] {ok}";
const PATIENCE: Duration = Duration::from_secs(60);

fn long_text() -> String {
    "您在3号窗口办理的事项已办结，请评价。".repeat(8)
}

/// Number, text, and which part of how many.
type SentPart = (String, String, Option<(u8, u8)>);

/// A modem on a line of its own, until it is dropped.
struct Line {
    modem: SimulatedModem,
    path: std::path::PathBuf,
    end: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Line {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modem");
        let mut pty = Pty::open(Some(&path)).unwrap();
        let (modem, end) = (SimulatedModem::new(), CancellationToken::new());
        tokio::spawn({
            let (modem, end) = (modem.clone(), end.clone());
            async move { modem.serve(&mut pty, &end).await }
        });
        Self { modem, path, end, _folder: folder }
    }

    /// What went out: number, text and part of each message.
    fn sent(&self) -> Vec<SentPart> {
        let messages = self.modem.sent().into_iter().map(|sent| sent.message);
        messages
            .map(|m| {
                let part = m.concat.map(|part| (part.sequence, part.total));
                (m.to.reveal().to_owned(), m.content.text(), part)
            })
            .collect()
    }

    fn receives(&self) {
        let from: PhoneNumber = NUMBER.parse().unwrap();
        let at = "2026-11-22T09:00:00+08:00".parse().unwrap();
        self.modem.receive(&from, "5", at);
        self.modem.receive(&from, LATIN, at);
        self.modem.receive(&from, &long_text(), at);
    }
}

async fn gammu(line: &Path, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("gammurc");
    std::fs::write(&settings, format!("[gammu]\nport = {}\nconnection = at\n", line.display())).unwrap();
    let running = Command::new("gammu")
        .arg("--config")
        .arg(&settings)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running).await.expect("gammu ends");
    output.expect("gammu starts: run scripts/setup test")
}

async fn gammu_says(line: &Path, arguments: &[&str]) -> String {
    let output = gammu(line, arguments).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gammu {arguments:?}: {said}\n{wrong}");
    said
}

/// Our driver at a modem.
struct Ours {
    desk: device_drivers::sms::SmsDesk,
    events: mpsc::Receiver<SmsEvent>,
    end: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Ours {
    fn start(line: &Path) -> Self {
        let port = SerialPort::new(SerialConfig::new(line, 115_200));
        let config = SmsConfig { pace_ms: 10, ..SmsConfig::new("M01".into()) };
        let (driver, desk) = SmsDriver::new(config, Box::new(port));
        let (sender, events) = mpsc::channel(64);
        let end = CancellationToken::new();
        let task = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, end.clone()));
        Self { desk, events, end, task }
    }

    async fn event(&mut self) -> SmsEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("the driver runs")
    }

    async fn stop(self) {
        self.end.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn what_gammu_sends_and_what_we_send_is_the_same() {
    let theirs = Line::new();
    let said = gammu_says(&theirs.path, &["identify"]).await;
    assert!(said.contains("SIMULATED"), "{said}");
    let long = long_text();
    for text in [SHORT, &long] {
        gammu_says(&theirs.path, &["sendsms", "TEXT", NUMBER, "-unicode", "-autolen", "1000", "-text", text])
            .await;
    }
    gammu_says(&theirs.path, &["sendsms", "TEXT", NUMBER, "-text", LATIN]).await;

    let ours = Line::new();
    let driver = Ours::start(&ours.path);
    for text in [SHORT, &long, LATIN] {
        driver.desk.send(NUMBER.parse().unwrap(), text.to_owned()).await.unwrap();
    }
    driver.stop().await;

    let whole = |line: &Line| line.sent().into_iter().map(|(_, text, _)| text).collect::<String>();
    assert_eq!(whole(&ours), [SHORT, &long, LATIN].concat());
    assert_eq!(theirs.sent(), ours.sent());
}

#[tokio::test]
async fn what_gammu_reads_and_what_we_read_is_the_same() {
    let line = Line::new();
    line.receives();
    let said = gammu_says(&line.path, &["getallsms"]).await;
    let long = long_text();
    // gammu shows the parts of a long text one after another.
    let cut: Vec<String> = long.chars().collect::<Vec<_>>().chunks(67).map(|c| c.iter().collect()).collect();
    let texts: Vec<&str> = ["5", LATIN].into_iter().chain(cut.iter().map(String::as_str)).collect();
    for text in &texts {
        assert!(said.lines().any(|line| line.trim() == *text), "{text} is not in what gammu says:\n{said}");
    }
    assert!(said.contains(NUMBER), "{said}");

    let mut ours = Ours::start(&line.path);
    let mut read = Vec::new();
    while read.len() < 3 {
        if let SmsEvent::Received(received) = ours.event().await {
            assert_eq!(received.from.reveal(), NUMBER);
            assert!(received.complete);
            read.push(received.text);
            received.receipt.durable();
        }
    }
    assert_eq!(read, ["5", LATIN, &long]);
    let emptied = async {
        while line.modem.stored() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("what is on disk is taken off the card");
    ours.stop().await;
}

#[tokio::test]
async fn without_a_card_both_say_so() {
    let line = Line::new();
    line.modem.fault(Fault::Sim(SimState::Missing));
    let output = gammu(&line.path, &["sendsms", "TEXT", NUMBER, "-text", "x"]).await;
    assert!(!output.status.success());
    let mut ours = Ours::start(&line.path);
    loop {
        if let SmsEvent::Health { health, .. } = ours.event().await {
            assert_eq!(health, Health::Down { why: "there is no SIM card in the modem".to_owned() });
            break;
        }
    }
    ours.stop().await;
    assert_eq!(line.sent(), []);
}
