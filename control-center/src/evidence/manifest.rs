//! What a package says of itself: `manifest.json`. It lists every file with its digest, so the one signature over its bytes
//! covers all of them; and it says what is there, what is missing, who wanted it and why (docs/reference/evidence.md).

use control_protocol::{CameraId, CaseId, Digest, HallId, NodeId, UtcMillis, WindowId, event::ClockQuality};
use serde::{Deserialize, Serialize};

/// What [`Manifest::format`] says.
pub const FORMAT: &str = "hallwatch evidence";
/// The version written and read today.
pub const VERSION: u16 = 1;

/// The text for people, the first file.
pub const README: &str = "README.txt";
/// The case's events and those that seal its footage, each exactly as it was journalled, one on a line.
pub const EVENTS: &str = "events.jsonl";
/// Where those events stand in their journals.
pub const CHAIN: &str = "chain.json";
/// The manifest.
pub const MANIFEST: &str = "manifest.json";
/// The signature over the manifest's bytes, Ed25519, 64 bytes.
pub const SIGNATURE: &str = "manifest.sig";
/// The key it was made with.
pub const SIGNER: &str = "signer.pem";

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub v: u16,
    /// The package's own number, 32 hexadecimal digits.
    pub package: String,
    /// The case.
    pub case: CaseFacts,
    /// Who exported it, when and why.
    pub export: Export,
    /// What time the footage is to cover.
    pub span: Span,
    /// The cameras whose footage belongs to the case.
    pub cameras: Vec<CameraFacts>,
    /// The recordings of those cameras in that time, as the centre knows of them, in order of camera and time.
    pub recordings: Vec<Recording>,
    /// When nothing was recorded, and why.
    pub gaps: Vec<Gap>,
    /// Pictures out of the footage.
    pub stills: Vec<Still>,
    /// How far clocks were off.
    pub clocks: Clocks,
    /// Every other file of the package but the signature and its key, in the order in which they stand.
    pub files: Vec<FileRow>,
}

/// A case as the centre has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFacts {
    /// Its ID.
    pub case_id: CaseId,
    /// Its hall.
    pub hall: HallId,
    /// The hall's name.
    pub hall_name: String,
    /// The window it was last at.
    pub window: Option<WindowId>,
    /// The ticket.
    pub ticket: String,
    /// What it was taken for.
    pub business: Option<String>,
    /// The official 办件编号.
    pub official_no: Option<String>,
    /// Its state.
    pub state: String,
    /// 1 to 5.
    pub grade: Option<u8>,
    /// Printed.
    pub opened_at: UtcMillis,
    /// Called.
    pub called_at: Option<UtcMillis>,
    /// Service began.
    pub started_at: Option<UtcMillis>,
    /// Service ended.
    pub ended_at: Option<UtcMillis>,
    /// Closed.
    pub closed_at: Option<UtcMillis>,
    /// False where its end was not its own.
    pub accurate: bool,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The name they sign in with.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When, by the centre's clock.
    pub at: UtcMillis,
    /// The centre: the pin of its authority's key.
    pub centre: Digest,
    /// The centre's program.
    pub version: String,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// From.
    pub from: UtcMillis,
    /// To.
    pub to: UtcMillis,
}

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraFacts {
    /// Its id.
    pub camera: CameraId,
    /// What people call it.
    pub name: String,
    /// The window it looks at.
    pub window: Option<WindowId>,
    /// The time of it that belongs to the case.
    pub span: Span,
}

/// How a recording came into the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Bit for bit as it was recorded; its digest is the one the centre was told.
    Original,
    /// It is in the package as the hall gave it, and is not what the centre was told.
    Altered,
    /// It is not in the package.
    Missing,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The camera.
    pub camera: CameraId,
    /// The segment's name, as the hall gave it.
    pub segment: String,
    /// How it came here.
    pub state: State,
    /// In plain words, where it is altered or missing.
    pub why: Option<String>,
    /// Its file in the package; none where it is missing.
    pub file: Option<String>,
    /// First picture.
    pub from: UtcMillis,
    /// End of the last.
    pub to: UtcMillis,
    /// Frames that are in the file; none where it cannot be read or is missing.
    pub frames: Option<u64>,
    /// What the centre was told while the recording went on.
    pub sealed: Sealed,
}

/// The word of a hall that a segment is finished, and what its digest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The digest that covers every byte of the segment.
    pub sha256: Digest,
    /// The event `recording.sealed`.
    pub event: EventPlace,
    /// When the centre committed it, by its clock.
    pub received_at: UtcMillis,
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventPlace {
    /// Whose journal.
    pub node: NodeId,
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
}

/// When nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The camera.
    pub camera: CameraId,
    /// From.
    pub from: UtcMillis,
    /// To; none where it went on when the package was made.
    pub to: Option<UtcMillis>,
    /// A code, and after a colon more (docs/reference/events.md).
    pub why: String,
}

/// A picture out of the footage: made for people to look at, and no original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Still {
    /// Its file.
    pub file: String,
    /// The camera.
    pub camera: CameraId,
    /// When the picture was.
    pub at: UtcMillis,
    /// What it shows: the kind of the event it was taken for.
    pub shows: String,
}

/// How far clocks were off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// How far the hall's clock was ahead of the centre's when the package was made, milliseconds, travel time included; none
    /// where the hall was not connected.
    pub hall_ahead_ms: Option<i64>,
    /// The least that is said of the clock in the case's events.
    pub least: Option<ClockQuality>,
    /// Steps of the hall's clock in the time of the case.
    pub steps: Vec<ClockStep>,
    /// Devices of the hall whose own clocks are known to be off.
    pub devices: Vec<DeviceClock>,
}

/// A step of a hall's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStep {
    /// When.
    pub at: UtcMillis,
    /// How far, milliseconds; positive is forward.
    pub step_ms: i64,
}

/// A device's own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceClock {
    /// The position.
    pub device: String,
    /// Seconds that it is ahead of the hall's clock.
    pub ahead_s: i64,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRow {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Their digest.
    pub sha256: Digest,
}

impl From<super::container::Stored> for FileRow {
    fn from(stored: super::container::Stored) -> Self {
        Self { name: stored.name, bytes: stored.bytes, sha256: stored.sha256 }
    }
}

/// Where events stand in their journals: `chain.json`. Of each stretch of a journal, the digests of all its events, those
/// too that are not in the package, so that the hall's own journal can be laid beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Stretches.
    pub stretches: Vec<Stretch>,
}

/// A stretch of a journal without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// Whose journal.
    pub node: NodeId,
    /// Its epoch.
    pub epoch: u64,
    /// The number of the first event.
    pub first: u64,
    /// The digest of each event's exact bytes, from the first on.
    pub sha256: Vec<Digest>,
}

impl Stretch {
    /// The digest of event `seq`.
    pub fn digest(&self, seq: u64) -> Option<Digest> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.sha256.get(at).copied()
    }
}
