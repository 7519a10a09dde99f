//! What happened, as the journal keeps it and every hop forwards it. The field names and kinds are final
//! (docs/reference/events.md); the body of each kind is given here once, for the edge that writes it and the centre that
//! reads it.

use serde::{Deserialize, Serialize};

use crate::{
    CaseId, UtcMillis,
    chain::Digest,
    ids::{CameraId, HallId, NodeId, PositionId, WindowId},
};

/// The version of the event format written today.
pub const VERSION: u16 = 1;

/// One entry of a node's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The node whose journal this is.
    pub node: NodeId,
    /// New after a fresh, restored or rolled-back database; larger than every earlier one of the node.
    pub epoch: u64,
    /// +1 per (node, epoch), from 1, with no gap.
    pub seq: u64,
    /// SHA-256 of the exact stored bytes of the event before; zeros for the first of an epoch.
    pub prev: Digest,
    /// When it happened, UTC.
    pub at: UtcMillis,
    /// When it happened on the node's monotonic clock of this boot, in microseconds.
    pub mono_us: u64,
    /// Which boot of the node `mono_us` belongs to.
    pub boot: String,
    /// How far `at` can be trusted.
    pub clock: ClockQuality,
    /// The hall it happened in.
    pub hall: HallId,
    /// The window, where there is one.
    pub window: Option<WindowId>,
    /// The position of the device that reported it, or the camera.
    pub device: Option<String>,
    /// The case it belongs to; `null` says that it belongs to none.
    pub case: Option<CaseId>,
    /// `kind` and `body`.
    #[serde(flatten)]
    pub happening: Happening,
    /// The format's version.
    pub v: u16,
}

/// How far an event's UTC time can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockQuality {
    /// The system clock was disciplined by a time server or the centre agreed within two seconds.
    Synchronised,
    /// The clock was running but nothing has confirmed it since boot.
    Unconfirmed,
    /// The clock is known to be wrong (before this program was built, or more than two seconds off).
    Wrong,
    /// The time was given by somebody else: a terminal's log or an import.
    Reported,
}

/// A grade of the national five, 5 = 非常满意 … 1 = 非常不满意.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Grade(u8);

impl Grade {
    /// The grade, if `value` is 1 to 5.
    pub fn new(value: u8) -> Option<Self> {
        (1..=5).contains(&value).then_some(Self(value))
    }

    /// 1 to 5.
    pub fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Grade {
    type Error = String;
    fn try_from(value: u8) -> Result<Self, String> {
        Self::new(value).ok_or_else(|| format!("grade {value} is not one of 1 to 5"))
    }
}

impl From<Grade> for u8 {
    fn from(grade: Grade) -> u8 {
        grade.0
    }
}

/// What ended a service or a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The clerk pressed "evaluate": service over, rating invited.
    Evaluate,
    /// The rating came.
    Rated,
    /// The rating's time ran out.
    RatingTimedOut,
    /// The next ticket was called while this one was served.
    NextCall,
    /// The person did not come.
    NoShow,
    /// The case went to another window.
    Transfer,
    /// The case was put on hold.
    Held,
    /// The window was closed.
    WindowClosed,
    /// The day ended with the case open; its times are marked inaccurate.
    DayEnd,
}

/// One camera as the edge has it; no credential is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraEntry {
    /// Its id.
    pub camera: CameraId,
    /// The window it looks at; none for the hall at large.
    pub window: Option<WindowId>,
    /// What people call it.
    pub name: String,
    /// Its main stream's URL without user or password.
    pub url: String,
}

/// One position of a device as the edge has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionEntry {
    /// The position.
    pub position: PositionId,
    /// The window it stands at, where it does.
    pub window: Option<WindowId>,
    /// `keypad`, `evaluator`, `ticket` or `attendance`.
    pub role: String,
    /// An evaluator whose keys nobody has confirmed: it is not in service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// What tells the device there from another; none: no device stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
}

/// What happened: `kind` with its `body`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body")]
#[allow(missing_docs)] // the fields say what they are; the kinds are the field's terms (docs/reference/events.md)
pub enum Happening {
    #[serde(rename = "ticket.issued")]
    TicketIssued {
        ticket: String,
        business: String,
        printed_waiting: Option<u32>,
        #[serde(default)]
        priority: u8,
    },
    #[serde(rename = "ticket.called")]
    TicketCalled { ticket: String, business: String, by_number: bool },
    #[serde(rename = "ticket.recalled")]
    TicketRecalled { ticket: String, count: u32 },
    #[serde(rename = "ticket.no_show")]
    TicketNoShow { ticket: String },
    #[serde(rename = "ticket.transferred")]
    TicketTransferred { ticket: String, to_window: WindowId },
    #[serde(rename = "ticket.held")]
    TicketHeld { ticket: String },
    #[serde(rename = "ticket.resumed")]
    TicketResumed { ticket: String },
    #[serde(rename = "service.started")]
    ServiceStarted { ticket: String },
    #[serde(rename = "service.ended")]
    ServiceEnded { ticket: String, ended_by: EndedBy },
    #[serde(rename = "case.opened")]
    CaseOpened { ticket: String, business: String },
    /// `accurate` is false when the case was closed by something other than its own course, so that its end time says
    /// nothing about the service.
    #[serde(rename = "case.closed")]
    CaseClosed { ticket: String, ended_by: EndedBy, grade: Option<Grade>, accurate: bool },
    #[serde(rename = "case.bound")]
    CaseBound { official_no: String, source: String },
    #[serde(rename = "window.opened")]
    WindowOpened {},
    #[serde(rename = "window.paused")]
    WindowPaused { reason: Option<String> },
    #[serde(rename = "window.resumed")]
    WindowResumed {},
    #[serde(rename = "window.closed")]
    WindowClosed {},
    #[serde(rename = "clerk.signed_in")]
    ClerkSignedIn { clerk: String },
    #[serde(rename = "clerk.signed_out")]
    ClerkSignedOut { clerk: String },
    #[serde(rename = "rating.invited")]
    RatingInvited { ticket: String, seconds: u32 },
    #[serde(rename = "rating.given")]
    RatingGiven { ticket: String, grade: Grade, raw: u8 },
    #[serde(rename = "rating.timed_out")]
    RatingTimedOut { ticket: String },
    /// A press that nobody asked for; `why` is `not_invited`, `second_press` or `unmapped`.
    #[serde(rename = "rating.unsolicited")]
    RatingUnsolicited { grade: Option<Grade>, raw: u8, why: String },
    /// `punched_at` is the terminal's local time as UTC; `live` says whether an event or the log brought it first.
    #[serde(rename = "punch.recorded")]
    PunchRecorded { employee: String, punched_at: UtcMillis, verify: u8, state: u8, live: bool },
    /// Every punch that the terminal held at `through`, by the hall's clock, is on record. `clock_offset` is what its clock
    /// was ahead then, in seconds, where it was measured.
    #[serde(rename = "punch.log_read")]
    PunchLogRead {
        through: UtcMillis,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock_offset: Option<i64>,
    },
    #[serde(rename = "device.up")]
    DeviceUp {},
    #[serde(rename = "device.silent")]
    DeviceSilent {},
    #[serde(rename = "device.degraded")]
    DeviceDegraded { bad_frames_per_minute: u32 },
    #[serde(rename = "device.down")]
    DeviceDown { why: String },
    #[serde(rename = "device.paired")]
    DevicePaired { hardware: String },
    #[serde(rename = "device.replaced")]
    DeviceReplaced { hardware: String, former: String },
    #[serde(rename = "device.clock_offset")]
    DeviceClockOffset { seconds: i64 },
    #[serde(rename = "camera.up")]
    CameraUp { codec: String, width: u32, height: u32, down_ms: Option<u64> },
    #[serde(rename = "camera.down")]
    CameraDown { why: String },
    /// `fault` is `black`, `frozen`, `blocked`, `out_of_focus` or `moved`; `since` is when pictures began to show it so;
    /// `still` names a still that the hall keeps.
    #[serde(rename = "picture.fault")]
    PictureFault {
        fault: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ended: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<UtcMillis>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        still: Option<String>,
    },
    /// `seat` is `occupied`, `empty` or `unknown`, which has a reason.
    #[serde(rename = "seat.changed")]
    SeatChanged {
        seat: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        still: Option<String>,
    },
    #[serde(rename = "recording.sealed")]
    RecordingSealed { segment: String, from: UtcMillis, to: UtcMillis, sha256: Digest },
    #[serde(rename = "recording.gap")]
    RecordingGap { from: UtcMillis, to: UtcMillis, why: String },
    #[serde(rename = "node.started")]
    NodeStarted { version: String, boot: String },
    #[serde(rename = "node.clock_stepped")]
    NodeClockStepped { step_ms: i64 },
    #[serde(rename = "node.disk_low")]
    NodeDiskLow { free_bytes: u64 },
    #[serde(rename = "node.config_changed")]
    NodeConfigChanged { cameras: Vec<CameraEntry>, positions: Vec<PositionEntry> },
    #[serde(rename = "command.done")]
    CommandDone { command: String, ok: bool, detail: String },
}

impl Happening {
    /// The kind as it stands in JSON.
    pub fn kind(&self) -> &'static str {
        use Happening::*;
        match self {
            TicketIssued { .. } => "ticket.issued",
            TicketCalled { .. } => "ticket.called",
            TicketRecalled { .. } => "ticket.recalled",
            TicketNoShow { .. } => "ticket.no_show",
            TicketTransferred { .. } => "ticket.transferred",
            TicketHeld { .. } => "ticket.held",
            TicketResumed { .. } => "ticket.resumed",
            ServiceStarted { .. } => "service.started",
            ServiceEnded { .. } => "service.ended",
            CaseOpened { .. } => "case.opened",
            CaseClosed { .. } => "case.closed",
            CaseBound { .. } => "case.bound",
            WindowOpened {} => "window.opened",
            WindowPaused { .. } => "window.paused",
            WindowResumed {} => "window.resumed",
            WindowClosed {} => "window.closed",
            ClerkSignedIn { .. } => "clerk.signed_in",
            ClerkSignedOut { .. } => "clerk.signed_out",
            RatingInvited { .. } => "rating.invited",
            RatingGiven { .. } => "rating.given",
            RatingTimedOut { .. } => "rating.timed_out",
            RatingUnsolicited { .. } => "rating.unsolicited",
            PunchRecorded { .. } => "punch.recorded",
            PunchLogRead { .. } => "punch.log_read",
            DeviceUp {} => "device.up",
            DeviceSilent {} => "device.silent",
            DeviceDegraded { .. } => "device.degraded",
            DeviceDown { .. } => "device.down",
            DevicePaired { .. } => "device.paired",
            DeviceReplaced { .. } => "device.replaced",
            DeviceClockOffset { .. } => "device.clock_offset",
            CameraUp { .. } => "camera.up",
            CameraDown { .. } => "camera.down",
            PictureFault { .. } => "picture.fault",
            SeatChanged { .. } => "seat.changed",
            RecordingSealed { .. } => "recording.sealed",
            RecordingGap { .. } => "recording.gap",
            NodeStarted { .. } => "node.started",
            NodeClockStepped { .. } => "node.clock_stepped",
            NodeDiskLow { .. } => "node.disk_low",
            NodeConfigChanged { .. } => "node.config_changed",
            CommandDone { .. } => "command.done",
        }
    }

    /// Whether the event is part of a window's dealings with people: what coverage (window events with a case ID ÷ all
    /// window events) counts. Presence, device and camera events of a window are not.
    pub fn is_service_event(&self) -> bool {
        let kind = self.kind();
        ["ticket.", "service.", "case.", "rating."].iter().any(|prefix| kind.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn sample() -> Event {
        Event {
            node: "hall-450103-01".parse().unwrap(),
            epoch: 1_795_000_000_000,
            seq: 1,
            prev: Digest::ZERO,
            at: UtcMillis(1_795_000_000_123),
            mono_us: 55,
            boot: "b1".into(),
            clock: ClockQuality::Synchronised,
            hall: "450103-01".parse().unwrap(),
            window: Some("450103-01-W07".parse().unwrap()),
            device: None,
            case: Some(
                CaseId::new(&"450103-01".parse().unwrap(), jiff::civil::date(2026, 11, 22), 42).unwrap(),
            ),
            happening: Happening::RatingGiven {
                ticket: "A001".into(),
                grade: Grade::new(5).unwrap(),
                raw: 4,
            },
            v: VERSION,
        }
    }

    #[test]
    fn field_names_and_their_order_are_the_contract() {
        let json = serde_json::to_string(&sample()).unwrap();
        let names = [
            "node", "epoch", "seq", "prev", "at", "mono_us", "boot", "clock", "hall", "window", "device",
            "case", "kind", "body", "v",
        ];
        let mut at = 0;
        for name in names {
            let found =
                json[at..].find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} in {json}"));
            at += found;
        }
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value.as_object().unwrap().len(), names.len());
        assert_eq!(value["body"], json!({"ticket": "A001", "grade": 5, "raw": 4}));
        assert_eq!(value["device"], json!(null));
    }

    #[test]
    fn a_kind_without_facts_has_an_empty_body() {
        let mut event = sample();
        event.happening = Happening::WindowResumed {};
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(value["kind"], "window.resumed");
        assert_eq!(value["body"], json!({}));
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }

    #[test]
    fn a_picture_event_of_an_older_edge_is_read() {
        let mut value = serde_json::to_value(sample()).unwrap();
        value["kind"] = json!("picture.fault");
        value["body"] = json!({"fault": "black"});
        let event: Event = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), value);
        value["kind"] = json!("seat.changed");
        value["body"] = json!({"seat": "unknown", "why": "dark", "still": "1-c-unknown"});
        let event: Event = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), value);
    }

    #[test]
    fn an_unknown_kind_or_grade_is_refused() {
        let mut value = serde_json::to_value(sample()).unwrap();
        value["kind"] = json!("rating.invented");
        assert!(serde_json::from_value::<Event>(value.clone()).is_err());
        value["kind"] = json!("rating.given");
        value["body"]["grade"] = json!(6);
        assert!(serde_json::from_value::<Event>(value).is_err());
    }
}
