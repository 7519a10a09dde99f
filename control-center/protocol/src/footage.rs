//! Footage that a hall gives to its centre: what is recorded, clips, whole segments, holds.
//!
//! The centre asks on the command channel ([`ToEdge::Footage`](crate::channel::ToEdge)) under a delivery's id. The edge dials
//! `GET /node/v1/footage/{delivery}` (WebSocket) and says as its first text what there is ([`FootageAnswer`]). Where that has
//! bytes, the centre asks for a range of them once ([`SendBytes`]) or closes; they come as binary messages of at most
//! [`MESSAGE`] bytes, in order, and the edge closes after the last. So a length is known before a byte is sent, a range
//! is fetched alone, and whoever takes slowly is sent to slowly.

use serde::{Deserialize, Serialize};

use crate::{chain::Digest, event::ClockQuality, ids::CameraId};

/// The least and the most days for which a centre may order footage to be kept; the law asks for 30 (国务院令第799号).
pub const ORDERED_DAYS: std::ops::RangeInclusive<u32> = 30..=3_650;
/// The path of a delivery, before its id.
pub const FOOTAGE_PATH: &str = "/node/v1/footage";
/// The largest binary message of a delivery, bytes.
pub const MESSAGE: usize = 256 * 1024;
/// The longest text of a delivery, bytes.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// The most runs, and the most gaps, in one answer; what is asked for is cut short where there are more.
pub const MOST_ROWS: usize = 1000;
/// The most segments of one clip.
pub const MOST_SEGMENTS: usize = 1500;
/// The most deliveries of one hall at a time.
pub const AT_ONCE: usize = 24;
/// How long an edge may take until its first text, milliseconds: dialling included.
pub const ANSWER_MS: u64 = 12_000;
/// The longest clip, µs.
pub const LONGEST_CLIP_US: i64 = 6 * 3_600_000_000;

/// What a centre asks a hall for. Times are UTC µs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "want", rename_all = "snake_case")]
pub enum FootageAsk {
    /// One MP4 of a camera, cut at key frames.
    Clip {
        /// The camera.
        camera: CameraId,
        /// Cameras whose clips of the same time are to be in step with this one: all get the zero of the earliest.
        #[serde(default)]
        beside: Vec<CameraId>,
        /// From; the clip begins with the key frame at or before it.
        from_us: i64,
        /// To.
        to_us: i64,
    },
    /// A sealed segment as it lies on the hall's disk, bit for bit.
    Segment {
        /// The camera.
        camera: CameraId,
        /// Its file, as `recording.sealed` names it.
        segment: String,
    },
    /// A JPEG of the key frame at a time or the last before it.
    Still {
        /// The camera.
        camera: CameraId,
        /// When.
        at_us: i64,
    },
    /// The segments of these cameras that are being written, ended with the first key frame from a time on and sealed.
    Finish {
        /// The cameras.
        cameras: Vec<CameraId>,
        /// What has to be in them, UTC µs: everything before. A time to come counts as now.
        to_us: i64,
    },
    /// Runs and gaps of a camera.
    Recordings {
        /// The camera.
        camera: CameraId,
        /// From.
        from_us: i64,
        /// To.
        to_us: i64,
    },
    /// All holds, those that have ended too.
    Holds {},
}

/// The first text of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "have", rename_all = "snake_case")]
pub enum FootageAnswer {
    /// A clip, planned; its bytes can be asked for.
    Clip(ClipPlan),
    /// A segment; its bytes can be asked for.
    Segment(SegmentFile),
    /// A still; its bytes can be asked for.
    Still(StillFile),
    /// These segments are sealed; those of other cameras go on, since no key frame came in time.
    Finished {
        /// The segments.
        segments: Vec<Finished>,
    },
    /// Runs and gaps.
    Recordings(Recordings),
    /// Holds.
    Holds {
        /// In order of placing.
        holds: Vec<Hold>,
    },
    /// There is nothing to give.
    Nothing {
        /// For programs.
        reason: NoFootage,
        /// In plain words.
        why: String,
        /// Gaps in the time asked for, where there are any.
        #[serde(default)]
        gaps: Vec<Gap>,
    },
}

/// Why there is nothing to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoFootage {
    /// Nothing was recorded then, or it has been deleted since.
    NotRecorded,
    /// The hall does not record at all.
    NoRecorder,
    /// The range is empty or too long.
    Range,
    /// Too much is asked of the hall at once.
    Busy,
    /// The disk or the index fails.
    Failed,
}

/// A clip before its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipPlan {
    /// The camera.
    pub camera: CameraId,
    /// The wall time, UTC µs, that is time zero in the clip: its own first picture, or that of the earliest beside it.
    pub zero_us: i64,
    /// When its first picture was, UTC µs.
    pub starts_us: i64,
    /// The end of its last picture, UTC µs.
    pub ends_us: i64,
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
    /// Changes when a byte of it does.
    pub tag: Digest,
    /// By RFC 6381, as it begins.
    pub codec: String,
    /// Where the camera went over to another codec: from here, UTC µs, ask for the rest.
    pub rest_from_us: Option<i64>,
    /// How far its times can be trusted: the least of its segments.
    pub clock: ClockQuality,
    /// What is missing between its first and its last picture.
    pub gaps: Vec<Gap>,
    /// The segments it was cut from, in order.
    pub segments: Vec<SegmentUse>,
}

/// What of a segment is in a clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentUse {
    /// Its file, as `recording.sealed` names it.
    pub segment: String,
    /// The camera's run.
    pub run: u64,
    /// First picture taken from it, UTC µs.
    pub from_us: i64,
    /// End of the last, UTC µs.
    pub to_us: i64,
    /// Frames taken from it.
    pub frames: u64,
    /// The digest that covers all of the segment; none while it is being written.
    pub sha256: Option<Digest>,
    /// How far its times can be trusted.
    pub clock: ClockQuality,
}

/// A segment before its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentFile {
    /// Its file.
    pub segment: String,
    /// Bytes.
    pub bytes: u64,
    /// The digest that the hall's index has for it.
    pub sha256: Digest,
}

/// A still before its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillFile {
    /// The camera.
    pub camera: CameraId,
    /// When the picture was, UTC µs.
    pub at_us: i64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes of the JPEG.
    pub bytes: u64,
}

/// A segment that was ended ahead of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The camera.
    pub camera: CameraId,
    /// Its file, as `recording.sealed` names it.
    pub segment: String,
}

/// What is recorded of a camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recordings {
    /// What the answer covers: up to here, UTC µs; before what was asked for where that has too many rows.
    pub to_us: i64,
    /// Runs, in order of recording.
    pub runs: Vec<Run>,
    /// Gaps, in order.
    pub gaps: Vec<Gap>,
    /// The disk.
    pub disk: Disk,
}

/// A stretch of recording without a break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The camera's run.
    pub run: u64,
    /// First picture, UTC µs.
    pub from_us: i64,
    /// End of the last picture, UTC µs.
    pub to_us: i64,
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A stretch in which nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Since when, UTC µs.
    pub from_us: i64,
    /// Until when; none while it goes on.
    pub to_us: Option<i64>,
    /// A code, and after a colon what is known beyond it (docs/reference/events.md).
    pub why: String,
}

/// The disk of a hall's recordings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Why nothing is recorded, if so.
    pub stopped: Option<String>,
    /// Bytes free.
    pub free_bytes: Option<u64>,
    /// Days of footage that it holds at the present rate, once that is known.
    pub holds_days: Option<f64>,
    /// Days that footage is to be kept.
    pub keep_days: u32,
    /// It will not hold what is to be kept.
    #[serde(default)]
    pub short: bool,
}

/// Who or what placed a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// A person, for a reason of their own.
    Person,
    /// A person, for a case.
    Case,
    /// A bad rating.
    Rating,
    /// An alarm.
    Alarm,
}

impl HoldKind {
    /// The kind as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Case => "case",
            Self::Rating => "rating",
            Self::Alarm => "alarm",
        }
    }

    /// The kind of this text.
    pub fn of(text: &str) -> Option<Self> {
        [Self::Person, Self::Case, Self::Rating, Self::Alarm].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Footage that is kept from every deleter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name; placing one of the same name again changes nothing.
    pub id: String,
    /// Who or what placed it.
    pub kind: HoldKind,
    /// Why, in words.
    pub reason: String,
    /// Who; none: the agent by itself.
    pub placed_by: Option<String>,
    /// The case, where there is one.
    pub case: Option<String>,
    /// Cameras.
    pub cameras: Vec<CameraId>,
    /// From, UTC µs.
    pub from_us: i64,
    /// To, UTC µs.
    pub to_us: i64,
    /// When it was placed, UTC µs.
    pub placed_us: i64,
    /// Its end, UTC µs; none: until it is released.
    pub until_us: Option<i64>,
    /// When it was released.
    pub released_us: Option<i64>,
}

/// The centre's one text of a delivery: the bytes wanted, `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendBytes {
    /// The first byte.
    pub from: u64,
    /// Behind the last.
    pub to: u64,
}

/// The least trust of two.
pub fn least(a: ClockQuality, b: ClockQuality) -> ClockQuality {
    let rank = |quality| match quality {
        ClockQuality::Synchronised => 0,
        ClockQuality::Reported => 1,
        ClockQuality::Unconfirmed => 2,
        ClockQuality::Wrong => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// The run in a segment's name, `<camera>/<yyyymmdd>/<hhmmss.mmm>Z-<run>-<part>.mp4`; none where it is named otherwise.
pub fn run_of(segment: &str) -> Option<u64> {
    let (_, name) = segment.strip_suffix(".mp4")?.rsplit_once('/')?;
    let mut parts = name.rsplit('-');
    let (_part, run) = (parts.next()?, parts.next()?);
    run.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_as_the_protocol_reference_has_them() {
        let ask = FootageAsk::Clip {
            camera: "450103-01-W07-C1".parse().unwrap(),
            beside: Vec::new(),
            from_us: 1,
            to_us: 2,
        };
        let text =
            json!({"want": "clip", "camera": "450103-01-W07-C1", "beside": [], "from_us": 1, "to_us": 2});
        assert_eq!(serde_json::to_value(&ask).unwrap(), text);
        let nothing = FootageAnswer::Nothing {
            reason: NoFootage::NotRecorded,
            why: "nothing".into(),
            gaps: vec![Gap { from_us: 1, to_us: None, why: "camera_lost: it is off".into() }],
        };
        assert_eq!(
            serde_json::to_value(&nothing).unwrap(),
            json!({"have": "nothing", "reason": "not_recorded", "why": "nothing",
                   "gaps": [{"from_us": 1, "to_us": null, "why": "camera_lost: it is off"}]})
        );
        let holds = FootageAnswer::Holds { holds: Vec::new() };
        assert_eq!(serde_json::to_value(&holds).unwrap(), json!({"have": "holds", "holds": []}));
    }

    #[test]
    fn a_segments_name_tells_its_run() {
        assert_eq!(run_of("450103-01-W07-C1/20261122/010203.456Z-12-3.mp4"), Some(12));
        for odd in ["", "a.mp4", "a/b.mp4", "a/b-x-1.mp4", "a/010203.456Z-12-3.mkv"] {
            assert_eq!(run_of(odd), None, "{odd}");
        }
    }
}
