//! What a visit is made of: the steps that are logged, and what they tell of. Plain data.

use std::collections::BTreeMap;

use control_protocol::{CaseId, PositionId, UtcMillis, WindowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::devices::{Connection, Role};

/// Through which door somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The hall's own page.
    Hall,
    /// The centre.
    Centre,
}

/// What tells a device from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// What it is.
    pub kind: Role,
    /// What tells it from another.
    pub identity: String,
    /// Its serial number, where it has one.
    pub serial: Option<String>,
}

/// A search for devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Its id within the visit.
    pub id: String,
    /// `bus`, `attendance`, `camera`, `unknown` or `stated`.
    pub source: String,
    /// What is searched.
    pub range: Value,
    /// `searching listening done stopped failed`.
    pub state: String,
    /// Since when.
    pub began_at: UtcMillis,
    /// How much of the range has been tried.
    pub tried: Option<u32>,
    /// Of how much.
    pub of: Option<u32>,
    /// Why it failed.
    pub why: Option<String>,
}

/// A device that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its id within the visit.
    pub id: String,
    /// The search that found it.
    pub search: String,
    /// That search's source.
    pub source: String,
    /// What it is.
    pub kind: Role,
    /// What tells it from another.
    pub hardware: Hardware,
    /// How it is reached.
    pub connection: Connection,
    /// When it was found.
    pub found_at: UtcMillis,
    /// How it can be made to show itself.
    pub identify: Vec<String>,
    /// What the technician saw.
    pub is_it: Option<bool>,
    /// What else is known of it.
    pub facts: Value,
}

/// A device that was bound in this visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The place.
    pub position: PositionId,
    /// The candidate.
    pub candidate: Option<String>,
    /// By what it can be taken back.
    pub undo: String,
    /// `new replaced moved cloned`.
    pub case: String,
    /// What stands there.
    pub hardware: Hardware,
    /// How it is reached.
    pub connection: Connection,
    /// Whether its keys were confirmed in this visit.
    pub confirmed: bool,
}

/// A key heard in a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The byte, hexadecimal.
    pub raw: String,
    /// How often.
    pub count: u32,
    /// What it means by the map as it stands.
    pub grade: Option<u8>,
}

/// A test of one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// The place.
    pub position: PositionId,
    /// The case its readings belong to.
    pub case_id: CaseId,
    /// Since when.
    pub began_at: UtcMillis,
    /// Until when.
    pub ended_at: Option<UtcMillis>,
    /// The keys heard.
    pub heard: Vec<Heard>,
    /// Everything heard, whatever it was.
    pub readings: u32,
    /// Of a camera: what its streams really are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Value>,
}

/// The result of an acceptance point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// `pass fail not_applicable`.
    pub result: String,
    /// What the technician writes of it.
    #[serde(default)]
    pub note: String,
    /// A photo of this visit.
    #[serde(default)]
    pub photo: Option<String>,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// When.
    pub at: UtcMillis,
    /// The technician, as signed.
    pub name: String,
    /// Who signed for the hall.
    pub hall_name: Option<String>,
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: UtcMillis,
    /// `signed left expired`.
    pub why: String,
}

/// Something that happened in a visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields of the visit that they set
pub enum Step {
    Opened {
        technician: String,
        door: Door,
        approver: Option<String>,
        window: Option<WindowId>,
        expires_at: UtcMillis,
    },
    Extended {
        approver: Option<String>,
        expires_at: UtcMillis,
    },
    WindowChosen {
        window: Option<WindowId>,
    },
    SearchBegan(Search),
    SearchEnded {
        search: String,
        state: String,
        tried: Option<u32>,
        of: Option<u32>,
        why: Option<String>,
    },
    Found(Candidate),
    CredentialSet {
        name: String,
    },
    ProfileKept {
        profile: String,
        sha256: String,
    },
    Described {
        candidate: String,
        hardware: Hardware,
        connection: Connection,
        facts: Value,
    },
    Identify {
        candidate: String,
        how: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        photo: Option<String>,
    },
    Identified {
        candidate: String,
        is_it: bool,
    },
    Bound(Bound),
    Unbound {
        position: PositionId,
        undo: String,
    },
    TestBegan {
        position: PositionId,
        case_id: CaseId,
    },
    Pressed {
        position: PositionId,
        raw: Option<String>,
        grade: Option<u8>,
    },
    Audited {
        position: PositionId,
        streams: Value,
    },
    TestEnded {
        position: PositionId,
    },
    Shown {
        position: PositionId,
        how: String,
    },
    GradesConfirmed {
        position: PositionId,
        map: BTreeMap<String, u8>,
    },
    PhotoTaken {
        photo: String,
        sha256: String,
    },
    Judged {
        point: String,
        judgement: Judgement,
    },
    Imported {
        positions: Vec<PositionId>,
        undo: String,
    },
    Undone {
        undo: String,
        positions: Vec<PositionId>,
    },
    Signed {
        name: String,
        hall_name: Option<String>,
    },
    Closed {
        why: String,
    },
}

impl Search {
    /// Whether it goes on.
    pub fn running(&self) -> bool {
        matches!(self.state.as_str(), "searching" | "listening")
    }
}
