//! A technician's visit: a pure state machine whose state is the fold of its steps. A question goes in with its time, steps or a
//! [`Problem`] come out; whoever asks keeps the steps on disk and only then applies them. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use control_protocol::{PositionId, UtcMillis, WindowId};
use serde::Serialize;
use serde_json::json;

pub use super::step::{
    Bound, Candidate, Closed, Door, Hardware, Heard, Judgement, Search, Signature, Step, Test,
};
use super::{positions::GradeMap, problem::Problem};

/// The longest a pairing window is opened without anybody's approval, minutes.
pub const MINUTES: u32 = 10;
/// The longest with it.
pub const MOST_MINUTES: u32 = 480;
/// How long something can be taken back.
pub const UNDO_MS: i64 = 86_400_000;
/// Candidates, searches, tests and photos of one visit.
const MOST: usize = 500;
/// Presses of one test that are written down.
const MOST_PRESSES: u32 = 200;

/// The five points of the acceptance, in the order of the sheet.
pub const POINTS: [&str; 5] = ["quantity", "place", "picture", "display", "link"];

/// A visit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Visit {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub technician: String,
    /// The door it was opened at.
    pub door: Door,
    /// Who approved that it is longer than usual.
    pub approver: Option<String>,
    /// Since when.
    pub opened_at: UtcMillis,
    /// When it closes by itself.
    pub expires_at: UtcMillis,
    /// How it ended.
    pub closed: Option<Closed>,
    /// The window at which the technician stands.
    pub window: Option<WindowId>,
    /// Searches.
    pub searches: Vec<Search>,
    /// Devices found.
    pub candidates: Vec<Candidate>,
    /// Devices bound.
    pub bound: Vec<Bound>,
    /// Tests.
    pub tests: Vec<Test>,
    /// Acceptance points.
    pub points: BTreeMap<String, Option<Judgement>>,
    /// Photos taken.
    pub photos: Vec<String>,
    /// Who signed.
    pub signed: Option<Signature>,
    /// The number of its last step.
    pub steps: u64,
}

/// When a window that is opened now for so long closes.
///
/// # Errors
/// Longer than is allowed, or longer than usual without an approver.
pub fn expiry(minutes: u32, approver: Option<&str>, now: UtcMillis) -> Result<UtcMillis, Problem> {
    let named = approver.map(str::trim).filter(|a| !a.is_empty());
    if named.is_some_and(|a| a.chars().count() > 40) {
        return Err(Problem::invalid("approver", "a name of at most 40 characters"));
    }
    if minutes == 0 {
        return Err(Problem::invalid("minutes", "at least 1"));
    }
    let most = if named.is_some() { MOST_MINUTES } else { MINUTES };
    if minutes > most {
        let detail = format!("at most {MINUTES} minutes, or {MOST_MINUTES} with the name of who approves it");
        return Err(Problem::new(422, "approver-needed", json!({"most_minutes": most}), detail));
    }
    Ok(now.plus(i64::from(minutes) * 60_000))
}

impl Visit {
    /// The visit that begins with this step; none if the step is no opening.
    pub fn begin(id: String, at: UtcMillis, step: &Step) -> Option<Self> {
        let Step::Opened { technician, door, approver, window, expires_at } = step else { return None };
        Some(Self {
            id,
            technician: technician.clone(),
            door: *door,
            approver: approver.clone(),
            opened_at: at,
            expires_at: *expires_at,
            closed: None,
            window: window.clone(),
            searches: Vec::new(),
            candidates: Vec::new(),
            bound: Vec::new(),
            tests: Vec::new(),
            points: POINTS.iter().map(|p| ((*p).to_owned(), None)).collect(),
            photos: Vec::new(),
            signed: None,
            steps: 1,
        })
    }

    /// Takes a step that has been kept.
    pub fn apply(&mut self, at: UtcMillis, step: &Step) {
        self.steps += 1;
        match step {
            Step::Opened { .. }
            | Step::CredentialSet { .. }
            | Step::ProfileKept { .. }
            | Step::Identify { .. }
            | Step::Shown { .. }
            | Step::Imported { .. } => {}
            Step::Extended { approver, expires_at } => {
                self.approver = approver.clone().or(self.approver.take());
                self.expires_at = *expires_at;
            }
            Step::WindowChosen { window } => self.window = window.clone(),
            Step::SearchBegan(search) => self.searches.push(search.clone()),
            Step::SearchEnded { search, state, tried, of, why } => {
                if let Some(s) = self.searches.iter_mut().find(|s| s.id == *search) {
                    s.state = state.clone();
                    s.tried = tried.or(s.tried);
                    s.of = of.or(s.of);
                    s.why = why.clone();
                }
            }
            Step::Found(candidate) => self.candidates.push(candidate.clone()),
            Step::Described { candidate, hardware, connection, facts } => {
                if let Some(c) = self.candidates.iter_mut().find(|c| c.id == *candidate) {
                    c.hardware = hardware.clone();
                    c.identify = super::attend::ways(connection);
                    c.connection = connection.clone();
                    c.facts = facts.clone();
                    c.is_it = None;
                }
            }
            Step::Identified { candidate, is_it } => {
                if let Some(c) = self.candidates.iter_mut().find(|c| c.id == *candidate) {
                    c.is_it = Some(*is_it);
                }
            }
            Step::Bound(bound) => {
                self.bound.retain(|b| b.position != bound.position);
                self.bound.push(bound.clone());
            }
            Step::Unbound { position, .. } => self.bound.retain(|b| b.position != *position),
            Step::TestBegan { position, case_id } => {
                self.end_test(position, at);
                self.tests.push(Test {
                    position: position.clone(),
                    case_id: *case_id,
                    began_at: at,
                    ended_at: None,
                    heard: Vec::new(),
                    readings: 0,
                    audit: None,
                });
            }
            Step::Pressed { position, raw, grade } => {
                let test = self.tests.iter_mut().find(|t| t.position == *position && t.ended_at.is_none());
                if let Some(test) = test {
                    test.readings += 1;
                    if let Some(raw) = raw {
                        match test.heard.iter_mut().find(|h| h.raw == *raw) {
                            Some(heard) => heard.count += 1,
                            None => {
                                test.heard.push(Heard { raw: raw.clone(), count: 1, grade: *grade });
                            }
                        }
                    }
                }
            }
            Step::Audited { position, streams } => {
                let test = self.tests.iter_mut().find(|t| t.position == *position && t.ended_at.is_none());
                if let Some(test) = test {
                    test.audit = Some(streams.clone());
                }
                self.end_test(position, at);
            }
            Step::TestEnded { position } => self.end_test(position, at),
            Step::GradesConfirmed { position, map } => {
                for bound in self.bound.iter_mut().filter(|b| b.position == *position) {
                    bound.confirmed = true;
                }
                for test in self.tests.iter_mut().filter(|t| t.position == *position && t.ended_at.is_none())
                {
                    for heard in &mut test.heard {
                        heard.grade = map.get(&heard.raw).copied();
                    }
                }
            }
            Step::PhotoTaken { photo, .. } => self.photos.push(photo.clone()),
            Step::Judged { point, judgement } => {
                self.points.insert(point.clone(), Some(judgement.clone()));
            }
            Step::Undone { undo, positions } => {
                self.bound.retain(|b| b.undo != *undo && !positions.contains(&b.position));
            }
            Step::Signed { name, hall_name } => {
                self.signed = Some(Signature { at, name: name.clone(), hall_name: hall_name.clone() });
            }
            Step::Closed { why } => {
                self.closed = Some(Closed { at, why: why.clone() });
                for test in self.tests.iter_mut().filter(|t| t.ended_at.is_none()) {
                    test.ended_at = Some(at);
                }
                for search in self.searches.iter_mut().filter(|s| s.running()) {
                    search.state = "stopped".into();
                }
            }
        }
    }

    fn end_test(&mut self, position: &PositionId, at: UtcMillis) {
        for test in self.tests.iter_mut().filter(|t| t.position == *position && t.ended_at.is_none()) {
            test.ended_at = Some(at);
        }
    }

    /// Whether its pairing window is open.
    pub fn is_open(&self, now: UtcMillis) -> bool {
        self.closed.is_none() && now < self.expires_at
    }

    /// Whether `who` may act in it now.
    ///
    /// # Errors
    /// It is closed, or somebody else's.
    pub fn admits(&self, who: &str, now: UtcMillis) -> Result<(), Problem> {
        if !self.is_open(now) {
            return Err(Problem::no_visit());
        }
        if self.technician != who {
            return Err(Problem::new(
                409,
                "visit-open",
                json!({"technician": self.technician, "expires_at": self.expires_at}),
                format!("the pairing window of {} is open until {}", self.technician, self.expires_at),
            ));
        }
        Ok(())
    }

    /// The candidate of this id.
    ///
    /// # Errors
    /// There is none.
    pub fn candidate(&self, id: &str) -> Result<&Candidate, Problem> {
        self.candidates.iter().find(|c| c.id == id).ok_or_else(|| Problem::not_found("candidate"))
    }

    /// The test of this position that goes on.
    ///
    /// # Errors
    /// There is none.
    pub fn test(&self, position: &PositionId) -> Result<&Test, Problem> {
        let test = self.tests.iter().find(|t| t.position == *position && t.ended_at.is_none());
        test.ok_or_else(|| {
            let params = json!({"position": position});
            Problem::new(409, "not-in-test", params, format!("{position} is not in test: begin a test first"))
        })
    }

    /// The next free id of a kind (`s` searches, `c` candidates, `p` photos).
    ///
    /// # Errors
    /// There are too many.
    pub fn next_id(&self, kind: char) -> Result<String, Problem> {
        let n = match kind {
            's' => self.searches.len(),
            'c' => self.candidates.len(),
            _ => self.photos.len(),
        };
        if n >= MOST {
            return Err(Problem::new(
                429,
                "too-many",
                json!({"seconds": 0}),
                "too many in one visit: open a new one",
            ));
        }
        Ok(format!("{kind}{}", n + 1))
    }

    /// What is written down of a reading in a test; nothing once it is enough.
    pub fn pressed(&self, position: &PositionId, raw: Option<String>, grade: Option<u8>) -> Option<Step> {
        let test = self.test(position).ok()?;
        (test.readings < MOST_PRESSES).then(|| Step::Pressed { position: position.clone(), raw, grade })
    }

    /// Confirms what an evaluator's keys mean.
    ///
    /// # Errors
    /// No test goes on, or the map is not about exactly the keys that were pressed in it.
    pub fn confirm(&self, position: &PositionId, map: &GradeMap) -> Result<Step, Problem> {
        let test = self.test(position)?;
        if let Some((raw, grade)) = map.iter().find(|(_, grade)| !(1..=5).contains(*grade)) {
            return Err(Problem::invalid("map", format!("{raw:02X}: grade {grade} is not from 1 to 5")));
        }
        let heard: BTreeSet<String> = test.heard.iter().map(|h| h.raw.clone()).collect();
        let given: BTreeSet<String> = map.keys().map(|raw| format!("{raw:02X}")).collect();
        if heard.is_empty() || heard != given {
            return Err(Problem::new(
                409,
                "keys-missing",
                json!({"heard": heard, "given": given}),
                "press every key once, and give a grade to exactly those that were pressed",
            ));
        }
        let map = map.iter().map(|(raw, grade)| (format!("{raw:02X}"), *grade)).collect();
        Ok(Step::GradesConfirmed { position: position.clone(), map })
    }

    /// Judges an acceptance point.
    ///
    /// # Errors
    /// No such point, result or photo, or the note is too long.
    pub fn judge(&self, point: &str, judgement: Judgement) -> Result<Step, Problem> {
        if !POINTS.contains(&point) {
            return Err(Problem::not_found("point"));
        }
        if !["pass", "fail", "not_applicable"].contains(&judgement.result.as_str()) {
            return Err(Problem::invalid("result", "pass, fail or not_applicable"));
        }
        if judgement.note.chars().count() > 500 {
            return Err(Problem::invalid("note", "at most 500 characters"));
        }
        if judgement.photo.as_ref().is_some_and(|photo| !self.photos.contains(photo)) {
            return Err(Problem::not_found("photo"));
        }
        Ok(Step::Judged { point: point.to_owned(), judgement })
    }

    /// Signs the visit, which ends it. `unconfirmed`: positions bound in it whose keys nobody has confirmed.
    ///
    /// # Errors
    /// Points without a result, evaluators without a confirmed map, no name.
    pub fn sign(
        &self,
        name: &str,
        hall_name: Option<&str>,
        unconfirmed: &[PositionId],
    ) -> Result<Vec<Step>, Problem> {
        let name = checked_name("name", name)?;
        let hall_name = hall_name.map(|n| checked_name("hall_name", n)).transpose()?;
        let missing: Vec<&str> =
            POINTS.into_iter().filter(|p| !matches!(self.points.get(*p), Some(Some(_)))).collect();
        if !missing.is_empty() {
            let detail = format!("not judged yet: {}", missing.join(", "));
            return Err(Problem::new(409, "points-missing", json!({"points": missing}), detail));
        }
        if !unconfirmed.is_empty() {
            return Err(Problem::new(
                409,
                "unconfirmed",
                json!({"positions": unconfirmed}),
                "press every key of each evaluator and confirm its map first",
            ));
        }
        Ok(vec![Step::Signed { name, hall_name }, Step::Closed { why: "signed".into() }])
    }
}

fn checked_name(field: &str, name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "a name of 1 to 40 characters"));
    }
    Ok(name.to_owned())
}
