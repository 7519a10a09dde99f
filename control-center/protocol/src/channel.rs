//! The command channel `GET /node/v1/commands` (WebSocket, JSON texts), one per node, dialled by the edge; and the
//! texts of a media connection `GET /node/v1/media/{lease}`.
//!
//! Leases are fleeting and live only in this channel. Commands are rows of the centre: delivered at least once, acted on
//! once (the edge remembers their ids), answered by an event `command.done` through the journal.

use serde::{Deserialize, Serialize};

use crate::{
    UtcMillis,
    footage::{FootageAsk, Hold},
    frame::Tier,
    ids::{CameraId, DeliveryId, HallId, LeaseId, StreamId},
    pairing::{Answered, Ask, Part},
    site_pass::RevokedPass,
};

/// The path of the command channel.
pub const COMMANDS_PATH: &str = "/node/v1/commands";
/// The path of a media connection, before the lease's id.
pub const MEDIA_PATH: &str = "/node/v1/media";
/// How long a lease stands without being renewed, in milliseconds (docs/reference/node-protocol.md).
pub const LEASE_MS: u64 = 10_000;
/// The longest JSON text either end sends or takes on the channel, in bytes.
pub const MAX_TEXT: usize = 256 * 1024;

/// From the centre to the edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToEdge {
    /// Open a stream: dial a media connection for the lease and send the camera's tier on it under this number.
    Lease {
        /// The lease.
        lease: LeaseId,
        /// The camera.
        camera: CameraId,
        /// The tier.
        tier: Tier,
        /// The number to put in its frame messages.
        stream: StreamId,
        /// How long it stands unless renewed, in milliseconds.
        ttl_ms: u64,
    },
    /// These leases stand for another `ttl_ms`.
    Renew {
        /// The leases.
        leases: Vec<LeaseId>,
        /// Milliseconds from now.
        ttl_ms: u64,
    },
    /// Nobody watches any more: close the stream at once.
    Release {
        /// The lease.
        lease: LeaseId,
    },
    /// Do something, once, before it expires.
    Command {
        /// The command's id, by which a repetition is known.
        id: String,
        /// After this it must not be done.
        expires_at: UtcMillis,
        /// What to do.
        order: Order,
    },
    /// A question of pairing; its body follows in parts.
    Ask {
        /// Its number on this channel.
        id: u64,
        /// The question.
        ask: Ask,
    },
    /// A part of a question's body, in order.
    AskPart {
        /// Which question.
        id: u64,
        /// The part.
        part: Part,
    },
    /// Dial a delivery ([`footage`](crate::footage)) and answer this on it.
    Footage {
        /// The delivery.
        delivery: DeliveryId,
        /// What is wanted.
        ask: FootageAsk,
    },
    /// These site passes are taken back.
    PassesRevoked {
        /// The passes.
        passes: Vec<RevokedPass>,
    },
    /// The authorities to trust from now on, and no others; sent after every hello and whenever one comes or goes. A node
    /// whose certificate is not of the first renews it.
    Authorities {
        /// Their certificates, PEM, the one that signs first.
        pem: String,
    },
    /// The centre closes the channel and says why; `retry` is false where trying again is useless until somebody acts.
    Refused {
        /// In plain words.
        why: String,
        /// Whether to try again.
        retry: bool,
    },
}

/// What a person may ask of an edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Close the pulls of a camera and dial it anew at once, whatever its retry timer says.
    RestartCamera {
        /// The camera.
        camera: CameraId,
    },
    /// Send `node.config_changed` again with what is configured now.
    ReportConfiguration {},
    /// What the camera sees next is right: its picture is judged by this view from now on.
    TakeReference {
        /// The camera.
        camera: CameraId,
        /// Nobody sits in the camera's seat in it.
        seat_empty: bool,
    },
    /// Keep footage from deletion.
    HoldFootage {
        /// What, why and until when.
        hold: Hold,
    },
    /// Keep footage so many days from now on, whatever the hall's file says.
    KeepFootage {
        /// Days; none: as the hall's file says again.
        days: Option<u32>,
    },
    /// End a hold.
    ReleaseFootage {
        /// The hold's name.
        hold: String,
    },
}

/// From the edge to the centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToCentre {
    /// The first text on the channel.
    Hello {
        /// The hall in the edge's configuration; it must be its certificate's.
        hall: HallId,
        /// The program's version.
        version: String,
        /// This start of the machine, and of the program: two at once mean two machines with one identity.
        boot: String,
        /// The edge's UTC clock, milliseconds.
        utc_ms: i64,
    },
    /// Cameras whose state changed (all of them after `Hello`).
    Cameras {
        /// The rows.
        cameras: Vec<CameraReport>,
    },
    /// A lease cannot be served.
    LeaseFailed {
        /// The lease.
        lease: LeaseId,
        /// The state its tile should show.
        state: StreamState,
        /// In plain words.
        why: String,
    },
    /// The answer to a question of pairing; its body follows in parts.
    Answer {
        /// The question's number.
        id: u64,
        /// The answer.
        answer: Answered,
    },
    /// A part of an answer's body, in order.
    AnswerPart {
        /// Which question.
        id: u64,
        /// The part.
        part: Part,
    },
    /// Sent every few seconds, so that each end notices a dead link.
    Alive {
        /// Events the centre has not committed yet.
        outbox_depth: u64,
        /// The edge's UTC clock, milliseconds.
        utc_ms: i64,
    },
}

/// A camera as the edge sees it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraReport {
    /// The camera.
    pub camera: CameraId,
    /// Its state.
    pub state: StreamState,
    /// Why it is not live, in plain words.
    pub why: Option<String>,
    /// Since when, UTC.
    pub since: UtcMillis,
}

/// The state of a stream, as a tile shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Frames arrive.
    Live,
    /// Asked for, nothing yet.
    Connecting,
    /// Frames stopped arriving.
    Stale,
    /// The camera or its hall cannot be reached.
    Offline,
    /// The viewer may not see it.
    Forbidden,
    /// It arrives and no browser can play it.
    Unsupported,
}

/// The text that precedes the first frame of a media connection and every change of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDescription {
    /// The codec as in RFC 6381, such as `avc1.4d401f`; `jpeg` for stills.
    pub codec: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What people should know of the stream though it is live, such as that it is transcoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_as_the_protocol_reference_has_them() {
        let lease = ToEdge::Lease {
            lease: "l1".parse().unwrap(),
            camera: "450103-01-W07-C1".parse().unwrap(),
            tier: Tier::Key,
            stream: StreamId(7),
            ttl_ms: LEASE_MS,
        };
        assert_eq!(
            serde_json::to_value(&lease).unwrap(),
            json!({"type": "lease", "lease": "l1", "camera": "450103-01-W07-C1", "tier": "key", "stream": 7, "ttl_ms": 10000})
        );
        let order = ToEdge::Command {
            id: "c1".into(),
            expires_at: UtcMillis(0),
            order: Order::ReportConfiguration {},
        };
        assert_eq!(
            serde_json::to_value(&order).unwrap(),
            json!({"type": "command", "id": "c1", "expires_at": "1970-01-01T00:00:00.000Z", "order": {"do": "report_configuration"}})
        );
        assert_eq!(serde_json::to_value(StreamState::Unsupported).unwrap(), json!("unsupported"));
    }
}
