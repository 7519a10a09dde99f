//! An unknown evaluator in a visit: a line is listened to while the technician presses the five keys in the asked order, what was
//! heard becomes a proposed profile, and the profile one of the hall's. What is proposed is decided by
//! [`device_drivers::profile::sniff`]; a grade is never guessed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use device_drivers::{
    clock::{Mono, MonotonicClock, SystemMonotonic},
    port::{Port, SerialConfig, SerialPort},
    profile::{
        Profile,
        sniff::{Burst, Circumstances, Draft, Finding, Label, Unproposable, bursts, propose},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::{
    Pairing, Who,
    attend::nobody,
    binding,
    positions::{GradeMap, StoreFailed},
    problem::Problem,
    visit::{Candidate, Hardware, Search, Step, Visit},
};
use crate::{
    connection::{Connection, Line, Role},
    vault::write_private,
};

/// A silence this long ends a burst: twice the longest gap within a frame at 9600 baud (docs/reference/devices.md B2.1).
const GAP: Duration = Duration::from_millis(50);
/// A silence this long is one between two presses: a person presses about once a second, and devices that say a press again
/// do so sooner.
const BETWEEN: Duration = Duration::from_millis(400);
/// How often each key is pressed.
pub(super) const PRESSES: usize = 3;
/// The keys in the order in which they are asked for: the best first, as they stand on most evaluators.
const ORDER: [u8; 5] = [5, 4, 3, 2, 1];
/// Most bytes kept of one capture.
const MOST_BYTES: usize = 64 * 1024;

/// What was heard under one label, byte by byte with times.
type Pieces = Vec<(Mono, Vec<u8>)>;

#[derive(Default)]
struct Heard {
    /// The grade whose key is being pressed; none: nothing is.
    now: Option<u8>,
    pieces: BTreeMap<Option<u8>, Pieces>,
    bytes: usize,
    /// The line is open.
    listening: bool,
    /// Why nothing more is heard.
    over: Option<String>,
}

impl Heard {
    fn bursts(&self, grade: Option<u8>) -> Vec<Burst> {
        let label = grade.map_or(Label::Background, Label::Grade);
        self.pieces.get(&grade).map(|pieces| bursts(pieces, label, GAP)).unwrap_or_default()
    }

    /// How often a key was pressed, as far as silences tell.
    fn presses(&self, grade: u8) -> usize {
        let all = self.bursts(Some(grade));
        let apart = all.windows(2).filter(|pair| pair[1].at.since(pair[0].at) >= BETWEEN).count();
        if all.is_empty() { 0 } else { apart + 1 }
    }

    fn everything(&self) -> Vec<Burst> {
        self.pieces.keys().flat_map(|grade| self.bursts(*grade)).collect()
    }

    fn shown(&self) -> Value {
        let rows = ORDER.iter().map(|grade| {
            let last = self.bursts(Some(*grade)).pop().map(|burst| hex(&burst.bytes));
            json!({"grade": grade, "presses": self.presses(*grade), "last": last})
        });
        json!({
            "listening": self.listening && self.over.is_none(),
            "now": self.now,
            "wanted": PRESSES,
            "heard": rows.collect::<Vec<_>>(),
            "quiet": self.bursts(None).len(),
            "over": self.over,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(" ")
}

/// A line that is listened to.
pub(super) struct Sniffing {
    search: String,
    port: PathBuf,
    baud: u32,
    heard: Arc<Mutex<Heard>>,
    draft: Option<Draft>,
    cancel: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Sniffing {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Sniffing {
    fn begin(search: String, port: PathBuf, baud: u32, cancel: CancellationToken) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let (hearing, line, token) = (heard.clone(), port.clone(), cancel.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                why = listen(&line, baud, &hearing) => lock(&hearing).over = Some(why),
            }
        });
        Self { search, port, baud, heard, draft: None, cancel, task: Some(task) }
    }

    /// Lets the line go: only then can a driver have it.
    async fn end(&mut self) {
        self.cancel.cancel();
        if let Some(task) = self.task.take() {
            // It ends at its next wait; a task that died has let go too.
            let _ = task.await;
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens until it cannot; gives why.
async fn listen(port: &Path, baud: u32, heard: &Mutex<Heard>) -> String {
    let mut port = SerialPort::new(SerialConfig::new(port, baud));
    let mut stream = match port.open().await {
        Ok(stream) => stream,
        Err(error) => return error.to_string(),
    };
    lock(heard).listening = true;
    let mut buffer = [0u8; 512];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return "the line hung up".into(),
            Err(error) => return error.to_string(),
            Ok(n) => {
                let mut heard = lock(heard);
                heard.bytes += n;
                if heard.bytes > MOST_BYTES {
                    return format!(
                        "more than {MOST_BYTES} bytes were heard: something talks on the line all the time"
                    );
                }
                let now = heard.now;
                heard.pieces.entry(now).or_default().push((SystemMonotonic.now(), buffer[..n].to_vec()));
            }
        }
    }
}

/// Which key is pressed next.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Press {
    search: String,
    /// 5 to 1; null: none.
    grade: Option<u8>,
    /// What was heard of this key so far is forgotten.
    #[serde(default)]
    again: bool,
}

/// What a draft is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proposal {
    search: String,
    /// Small letters, digits and hyphens.
    name: String,
    #[serde(default)]
    title: String,
}

/// Which draft is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keep {
    search: String,
}

fn no_sniffing() -> Problem {
    Problem::not_found("search")
}

fn unproposable(error: &Unproposable) -> Problem {
    let (why, label) = match error {
        Unproposable::TooFewButtons => ("too-few-buttons", None),
        Unproposable::TooMuch(_) => ("too-much", None),
        Unproposable::Grade(_) => ("grade", None),
        Unproposable::NotHeard { label, .. } => ("not-heard", Some(label.clone())),
        Unproposable::Unsteady(label) => ("unsteady", Some(label.clone())),
        Unproposable::NoKeyByte => ("no-key-byte", None),
        Unproposable::NotVerified(_) => ("not-verified", None),
    };
    let detail = error.to_string();
    Problem::new(409, "unproposable", json!({"why": why, "label": label, "detail": detail}), detail)
}

/// What the profile has its buttons mean.
fn grades(profile: &Profile) -> GradeMap {
    profile.grade_map(None).map(|map| map.given()).unwrap_or_default()
}

fn written(map: &GradeMap) -> BTreeMap<String, u8> {
    map.iter().map(|(raw, grade)| (format!("{raw:02X}"), *grade)).collect()
}

fn drafted(draft: &Draft, heard: &Heard) -> Value {
    let findings: &[Finding] = &draft.findings;
    let frames = ORDER.iter().filter_map(|grade| {
        let burst = heard.bursts(Some(*grade)).into_iter().next()?;
        Some(json!({"grade": grade, "bytes": hex(&burst.bytes)}))
    });
    json!({
        "name": draft.profile.name(),
        "toml": draft.toml,
        "tests": draft.profile.tests(),
        "findings": findings,
        "frames": frames.collect::<Vec<_>>(),
        "grades": written(&grades(&draft.profile)),
    })
}

impl Pairing {
    /// Listens on a line for a device of which nobody knows the protocol; nothing else may use it.
    pub(super) async fn search_unknown(&self, who: &Who, port: PathBuf, baud: u32) -> Result<Value, Problem> {
        let line = Line::Serial { port: port.clone(), baud };
        if let Some((field, why)) = line.fault() {
            return Err(Problem::invalid(field, why));
        }
        let all = self.all();
        let on = |c: &Connection| c.carrier().is_some_and(|other| other.is_port_of(&line));
        let by: Vec<_> = all
            .iter()
            .filter(|p| p.binding.as_ref().is_some_and(|b| on(&b.connection)))
            .map(|p| &p.id)
            .collect();
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, self.now())?;
        let listening = visit.searches.iter().find(|s| s.running() && s.range["port"] == json!(port));
        if !by.is_empty() || listening.is_some_and(|s| s.source != "unknown") {
            let by = json!({"port": port, "by": by});
            let detail = "something else uses this line: an unknown device must be alone on it";
            return Err(Problem::new(409, "port-in-use", by, detail));
        }
        let mut sniffing = self.0.sniffing.lock().await;
        let mut steps = Vec::new();
        if let Some(former) = sniffing.as_mut() {
            former.end().await;
            if visit.searches.iter().any(|s| s.id == former.search && s.running()) {
                steps.push(ended(&former.search, "stopped", None));
            }
        }
        let id = visit.next_id('s')?;
        steps.push(Step::SearchBegan(Search {
            id: id.clone(),
            source: "unknown".into(),
            range: json!({"port": port, "baud": baud}),
            state: "listening".into(),
            began_at: self.now(),
            tried: None,
            of: None,
            why: None,
        }));
        self.keep(visit, who, steps, |_| Ok(())).await?;
        *sniffing = Some(Sniffing::begin(id, port, baud, self.0.place.stop.child_token()));
        Ok(self.visit(visit, self.now()))
    }

    /// What has been heard.
    pub(super) async fn sniffed(&self, search: &str) -> Result<Value, Problem> {
        let sniffing = self.0.sniffing.lock().await;
        let sniffing = sniffing.as_ref().filter(|s| s.search == search).ok_or_else(no_sniffing)?;
        let heard = lock(&sniffing.heard);
        let mut shown = heard.shown();
        shown["draft"] = sniffing.draft.as_ref().map_or(Value::Null, |draft| drafted(draft, &heard));
        Ok(shown)
    }

    async fn open_to(&self, who: &Who) -> Result<(), Problem> {
        let held = self.0.visit.lock().await;
        held.as_ref().ok_or_else(Problem::no_visit)?.admits(&who.name, self.now())
    }

    /// Says which key is pressed from now on.
    pub(super) async fn sniff_press(&self, who: &Who, press: Press) -> Result<Value, Problem> {
        self.open_to(who).await?;
        if press.grade.is_some_and(|grade| !(1..=5).contains(&grade)) {
            return Err(Problem::invalid("grade", "from 1 to 5"));
        }
        {
            let mut sniffing = self.0.sniffing.lock().await;
            let sniffing = sniffing.as_mut().filter(|s| s.search == press.search).ok_or_else(no_sniffing)?;
            sniffing.draft = None;
            let mut heard = lock(&sniffing.heard);
            heard.now = press.grade;
            if press.again
                && let Some(pieces) = heard.pieces.remove(&press.grade)
            {
                heard.bytes -= pieces.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            }
        }
        self.sniffed(&press.search).await
    }

    /// Proposes a profile of what was heard.
    pub(super) async fn sniff_propose(&self, who: &Who, asked: Proposal) -> Result<Value, Problem> {
        self.open_to(who).await?;
        let name = checked(&asked.name)?;
        let (all, baud) = {
            let mut sniffing = self.0.sniffing.lock().await;
            let sniffing = sniffing.as_mut().filter(|s| s.search == asked.search).ok_or_else(no_sniffing)?;
            let mut heard = lock(&sniffing.heard);
            heard.now = None;
            (heard.everything(), sniffing.baud)
        };
        let title = asked.title.trim();
        if title.chars().count() > 60 {
            return Err(Problem::invalid("title", "at most 60 characters"));
        }
        let title = if title.is_empty() { format!("{name} ({baud} baud)") } else { title.to_owned() };
        let circumstances = Circumstances { name, title, baud, presses: PRESSES };
        let draft = tokio::task::spawn_blocking(move || propose(&all, &circumstances)).await;
        let draft = draft.map_err(|e| StoreFailed(e.to_string()))?.map_err(|e| unproposable(&e))?;
        {
            let mut sniffing = self.0.sniffing.lock().await;
            let sniffing = sniffing.as_mut().filter(|s| s.search == asked.search).ok_or_else(no_sniffing)?;
            sniffing.draft = Some(draft);
        }
        self.sniffed(&asked.search).await
    }

    /// Keeps the draft as a profile of the hall, and gives the device that speaks by it as a candidate.
    pub(super) async fn sniff_keep(&self, who: &Who, keep: Keep) -> Result<Value, Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, now)?;
        let mut sniffing = self.0.sniffing.lock().await;
        let listened = sniffing.as_mut().filter(|s| s.search == keep.search).ok_or_else(no_sniffing)?;
        let draft = listened.draft.clone().ok_or_else(|| {
            Problem::new(409, "no-draft", json!({}), "nothing is proposed yet: press the keys and ask for it")
        })?;
        let name = draft.profile.name().to_owned();
        let file = self.0.place.config.hall.data.join("profiles").join(format!("{name}.toml"));
        let (toml, place) = (draft.toml.clone(), file.clone());
        let known = self.0.supervisor.lock().await.knows(&name);
        let kept = tokio::task::spawn_blocking(move || {
            // The same again is nothing new; another's profile is never written over.
            let there = std::fs::read_to_string(&place).ok();
            if known && there.as_deref() != Some(toml.as_str()) {
                return Ok(false);
            }
            write_private(&place, toml.as_bytes()).map(|()| true)
        });
        match kept.await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                let detail = format!("there is a profile {name} already: choose another name");
                return Err(Problem::new(409, "profile-exists", json!({"name": name}), detail));
            }
            Ok(Err(error)) => return Err(StoreFailed(format!("{}: {error}", file.display())).into()),
            Err(error) => return Err(StoreFailed(error.to_string()).into()),
        }
        listened.end().await;
        let (port, baud) = (listened.port.clone(), listened.baud);
        *sniffing = None;
        drop(sniffing);
        let grades = written(&grades(&draft.profile));
        self.0.supervisor.lock().await.learn(draft.profile);
        tracing::info!(profile = name, by = who.name, "a profile of this hall is kept");
        let connection = Connection::Profile {
            line: Line::Serial { port, baud },
            role: Role::Evaluator,
            profile: name.clone(),
            address: None,
            ack_form: None,
            text: None,
            values: Default::default(),
        };
        binding::free_line(&self.all(), &connection, &[])?;
        let candidate = Candidate {
            id: visit.next_id('c')?,
            search: keep.search.clone(),
            source: "unknown".into(),
            kind: Role::Evaluator,
            hardware: Hardware { kind: Role::Evaluator, identity: connection.identity(), serial: None },
            connection,
            found_at: now,
            identify: Vec::new(),
            // Its keys were pressed one by one.
            is_it: Some(true),
            facts: json!({"profile": name, "grades": grades}),
        };
        let sha256 = control_protocol::Digest::of(draft.toml.as_bytes()).to_string();
        let steps = vec![
            ended(&keep.search, "done", None),
            Step::ProfileKept { profile: name, sha256 },
            Step::Found(candidate),
        ];
        self.keep(visit, who, steps, |_| Ok(())).await?;
        Ok(self.visit(visit, self.now()))
    }

    /// Lets the line of an unknown device go.
    pub(super) async fn stop_sniffing(&self) {
        let mut sniffing = self.0.sniffing.lock().await;
        if let Some(listened) = sniffing.as_mut() {
            listened.end().await;
        }
        *sniffing = None;
    }

    /// Ends a search for an unknown device whose line went away.
    pub(super) async fn notice_lost_line(&self, visit: &mut Visit) -> Result<(), Problem> {
        let lost = {
            let sniffing = self.0.sniffing.lock().await;
            sniffing.as_ref().and_then(|s| Some((s.search.clone(), lock(&s.heard).over.clone()?)))
        };
        let Some((search, why)) = lost else { return Ok(()) };
        if visit.searches.iter().any(|s| s.id == search && s.running()) {
            self.keep(visit, &nobody(), vec![ended(&search, "failed", Some(why))], |_| Ok(())).await?;
        }
        Ok(())
    }
}

fn ended(search: &str, state: &str, why: Option<String>) -> Step {
    Step::SearchEnded { search: search.to_owned(), state: state.to_owned(), tried: None, of: None, why }
}

fn checked(name: &str) -> Result<String, Problem> {
    let sound = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-');
    if sound {
        Ok(name.to_owned())
    } else {
        Err(Problem::invalid("name", "small letters, digits and hyphens"))
    }
}
