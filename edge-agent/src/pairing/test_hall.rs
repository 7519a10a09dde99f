//! A hall for tests of pairing: positions, supervisor, register and journal in a folder, with no centre anywhere.

use std::{io::Write, path::Path, process::Stdio, sync::Arc, time::Duration};

use control_protocol::StoredEvent;
use device_drivers::profile::shipped::Library;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    devices::{Inbox, Register, SharedFigures},
    journal::JournalThread,
};

pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) struct Hall {
    pub(super) pairing: Pairing,
    journal: Journal,
    thread: JournalThread,
    pub(super) cancel: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    pub(super) cameras: mpsc::Sender<crate::devices::CameraEvent>,
}

fn config(data: &Path, devices: &str) -> Config {
    Config::parse(&format!(
        r#"
[hall]
id = "450103-01"
name = "青秀区政务服务中心"
data = "{}"
[centre]
url = "https://127.0.0.1:1"
[pairing]
addresses = ["127.0.0.0/30"]
[[business]]
name = "社保"
prefix = "A"
[[window]]
number = 7
name = "7号窗口"
businesses = ["社保"]
[[window]]
number = 8
name = "8号窗口"
businesses = ["社保"]
{devices}"#,
        data.display()
    ))
    .unwrap()
}

impl Hall {
    pub(super) async fn start(data: &Path, devices: &str) -> Self {
        let config = config(data, devices);
        let clock = SystemClock::start();
        let (journal, serials, thread) =
            Journal::open(data, "hall-450103-01".parse().unwrap(), config.hall.id.clone(), clock.clone())
                .unwrap();
        let (figures, board) = (SharedFigures::default(), Switchboard::default());
        let cancel = CancellationToken::new();
        let vault = Vault::at(data);
        let (supervisor, mut said) = Supervisor::new(
            &config,
            Arc::new(Library::shipped().unwrap()),
            vault.clone(),
            journal.clone(),
            figures.clone(),
            board.clone(),
            cancel.clone(),
        );
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
        let register = Register::new(&config, journal.clone(), serials, clock, board, figures).await.unwrap();
        let (cameras, camera_events) = mpsc::channel(1);
        let inbox = Inbox { drivers: said.events, cameras: camera_events, tickets: mpsc::channel(1).1 };
        let token = cancel.clone();
        let mut tasks = vec![tokio::spawn(async move { register.run(inbox, token).await.unwrap() })];
        let (token, attendant) = (cancel.clone(), pairing.clone());
        tasks.push(tokio::spawn(async move { attendant.attend(token).await }));
        tasks.push(tokio::spawn(async move { assert_eq!(said.died.recv().await, None) }));
        pairing.start().await;
        Self { pairing, journal, thread, cancel, tasks, cameras }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let answer = self.raw(&who("li"), method, path, body.to_string().into_bytes()).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    pub(super) async fn raw(&self, who: &Who, method: &str, path: &str, body: Vec<u8>) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let question = Question {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            content_type: None,
            body: body.into(),
        };
        self.pairing.handle(who, question).await
    }

    /// Asks what must succeed.
    pub(super) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Asks what must be refused.
    pub(super) async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String, Value) {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status >= 400, "{method} {path}: {status} {answer}");
        (status, answer["code"].as_str().unwrap_or_default().to_owned(), answer["params"].clone())
    }

    /// Waits until the visit is as wanted.
    pub(super) async fn visit_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let visit = self.ok("GET", "visit", json!({})).await;
                if wanted(&visit) {
                    return visit;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, wait).await.expect("the visit did not become as wanted")
    }

    pub(super) async fn health_until(&self, position: &str, state: &str) {
        let wait = async {
            loop {
                let shown = self.ok("GET", &format!("positions/{position}"), json!({})).await;
                if shown["health"]["state"] == state {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, wait).await.expect("the health did not become as wanted");
    }

    pub(super) async fn events(&self) -> Vec<control_protocol::Event> {
        let events = self.journal.outgoing(10_000).await.unwrap();
        events.into_iter().map(|e| StoredEvent::open(e.bytes).unwrap().event).collect()
    }

    pub(super) async fn stop(self) {
        self.pairing.stop().await;
        self.cancel.cancel();
        let Self { pairing, journal, thread, tasks, .. } = self;
        drop((pairing, journal));
        for task in tasks {
            task.await.unwrap();
        }
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
    }
}

pub(super) fn who(name: &str) -> Who {
    Who { name: name.into(), door: Door::Hall, until: None }
}

/// What an independent reader finds in a PDF.
pub(super) async fn text_of(pdf: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pdf).unwrap();
    let output = tokio::process::Command::new("pdftotext")
        .args(["-layout", "-enc", "UTF-8"])
        .arg(file.path())
        .arg("-")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("pdftotext is missing: scripts/setup test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
