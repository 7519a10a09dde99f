//! The frame message: the same bytes from the edge to the browser (docs/reference/wall-protocol.md). 24 bytes of header,
//! little-endian, then the payload; a hop that must change the stream's number restamps it once, for all its viewers.

use bytes::Bytes;

use crate::ids::StreamId;

/// The version of the frame message.
pub const VERSION: u8 = 1;
/// The header's length in bytes.
pub const HEADER: usize = 24;
/// The largest payload taken: an access unit of a 4K camera at its worst is a few megabytes.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The codec's configuration record (avcC, hvcC).
    Parameters = 0,
    /// One access unit in AVCC form; for the tier `still`, one JPEG.
    Frame = 1,
    /// The stream has ended; no payload.
    End = 2,
}

/// How much of a camera a viewer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Tier {
    /// The camera's main stream.
    Main = 0,
    /// Its sub stream.
    Sub = 1,
    /// The key frames of its sub stream.
    Key = 2,
    /// JPEG pictures.
    Still = 3,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 4] = [Self::Main, Self::Sub, Self::Key, Self::Still];

    /// The tier's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
            Self::Key => "key",
            Self::Still => "still",
        }
    }
}

/// A frame message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub kind: Kind,
    /// A viewer can start here.
    pub key: bool,
    /// Time or picture jumps here: what came before does not lead to it.
    pub discontinuity: bool,
    /// The tier.
    pub tier: Tier,
    /// The stream's number.
    pub stream: StreamId,
    /// Presentation time in microseconds, from an origin of the stream's own.
    pub pts_us: i64,
    /// When the picture reached the edge, UTC microseconds.
    pub captured_us: i64,
}

/// Why bytes are not a frame message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Shorter than a header.
    #[error("a frame message has at least {HEADER} bytes, this has {0}")]
    Short(usize),
    /// Longer than any message may be.
    #[error("a frame message's payload has at most {MAX_PAYLOAD} bytes, this has {0}")]
    Long(usize),
    /// A version this program does not know.
    #[error("frame message version {0} is not known; this end knows version {VERSION}")]
    Version(u8),
    /// A kind or tier this version does not have.
    #[error("frame message field {field} has value {value}, which means nothing")]
    Value {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: u8,
    },
}

impl Header {
    /// The header's bytes.
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = VERSION;
        bytes[1] = self.kind as u8;
        bytes[2] = u8::from(self.key) | u8::from(self.discontinuity) << 1;
        bytes[3] = self.tier as u8;
        bytes[4..8].copy_from_slice(&self.stream.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.pts_us.to_le_bytes());
        bytes[16..].copy_from_slice(&self.captured_us.to_le_bytes());
        bytes
    }

    /// The whole message: header and `payload` in one buffer, ready to be shared.
    pub fn message(&self, payload: &[u8]) -> Bytes {
        let mut message = Vec::with_capacity(HEADER + payload.len());
        message.extend_from_slice(&self.bytes());
        message.extend_from_slice(payload);
        message.into()
    }

    /// Reads the header of `message`; the payload is `message[HEADER..]`.
    pub fn read(message: &[u8]) -> Result<Self, BadFrame> {
        let Some((header, payload)) = message.split_first_chunk::<HEADER>() else {
            return Err(BadFrame::Short(message.len()));
        };
        if payload.len() > MAX_PAYLOAD {
            return Err(BadFrame::Long(payload.len()));
        }
        let [version, kind, flags, tier, s0, s1, s2, s3, times @ ..] = *header;
        if version != VERSION {
            return Err(BadFrame::Version(version));
        }
        let mut pts = [0; 8];
        let mut captured = [0; 8];
        pts.copy_from_slice(&times[..8]);
        captured.copy_from_slice(&times[8..]);
        Ok(Self {
            kind: match kind {
                0 => Kind::Parameters,
                1 => Kind::Frame,
                2 => Kind::End,
                value => return Err(BadFrame::Value { field: "kind", value }),
            },
            key: flags & 1 != 0,
            discontinuity: flags & 2 != 0,
            tier: *Tier::ALL.get(usize::from(tier)).ok_or(BadFrame::Value { field: "tier", value: tier })?,
            stream: StreamId(u32::from_le_bytes([s0, s1, s2, s3])),
            pts_us: i64::from_le_bytes(pts),
            captured_us: i64::from_le_bytes(captured),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_contract() {
        let header = Header {
            kind: Kind::Frame,
            key: true,
            discontinuity: true,
            tier: Tier::Key,
            stream: StreamId(0x0102_0304),
            pts_us: 1,
            captured_us: -2,
        };
        let message = header.message(b"xy");
        assert_eq!(
            message.as_ref(),
            [
                &[1, 1, 3, 2, 4, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255, 255, 255, 255, 255][..],
                b"xy"
            ]
            .concat()
        );
        assert_eq!(Header::read(&message).unwrap(), header);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = Header::read(&bytes) {
                let again = header.message(&bytes[HEADER..]);
                prop_assert_eq!(Header::read(&again).unwrap(), header);
            }
        }
    }
}
