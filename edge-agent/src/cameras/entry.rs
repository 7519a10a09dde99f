//! What the cameras' hubs hold, and how it becomes frame messages.
//!
//! A hub holds each access unit as a whole frame message with the stream's number 0; whoever sends it sends a header of
//! its own in place of the first bytes ([`stamped`]), with the number of its lease, and the rest as it lies. Parameters
//! are held together with the description of what they describe, so that the two can never belong to different pictures.

use bytes::{BufMut, Bytes, BytesMut};
use control_protocol::{
    StreamId,
    channel::StreamDescription,
    frame::{HEADER, Header, Kind, Tier},
};

/// What a hub holds as parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Codec and size.
    pub description: StreamDescription,
    /// The configuration record; empty for JPEG.
    pub record: Bytes,
}

impl Parameters {
    /// As a hub holds them: the description's length, the description as JSON, the record.
    pub fn entry(&self) -> Bytes {
        let text = serde_json::to_vec(&self.description).unwrap_or_default();
        let mut entry = BytesMut::with_capacity(4 + text.len() + self.record.len());
        entry.put_u32_le(u32::try_from(text.len()).unwrap_or(0));
        entry.put_slice(&text);
        entry.put_slice(&self.record);
        entry.freeze()
    }

    /// Out of a hub's entry; none for [`NOTHING`].
    pub fn of(entry: &Bytes) -> Option<Self> {
        let (length, rest) = entry.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let description = serde_json::from_slice(rest.get(..length)?).ok()?;
        Some(Self { description, record: entry.slice(4 + length..) })
    }
}

/// Published as parameters when a camera is lost: it empties the hub, so that nobody who comes later is shown a picture
/// from before the loss.
pub const NOTHING: Bytes = Bytes::new();

/// The header of `message` for a lease: its tier, its stream's number and, where frames were left out before it, the
/// discontinuity. None for bytes that are no frame message; the far end refuses them.
pub fn stamped(message: &[u8], tier: Tier, stream: StreamId, after_gap: bool) -> Option<[u8; HEADER]> {
    let header = Header::read(message).ok()?;
    let discontinuity = header.discontinuity || after_gap;
    Some(Header { tier, stream, discontinuity, ..header }.bytes())
}

/// The message that carries a configuration record.
pub fn parameters_message(record: &[u8], tier: Tier, stream: StreamId) -> Bytes {
    bare(Kind::Parameters, tier, stream).message(record)
}

/// The message that ends a stream.
pub fn end_message(tier: Tier, stream: StreamId) -> Bytes {
    bare(Kind::End, tier, stream).message(&[])
}

fn bare(kind: Kind, tier: Tier, stream: StreamId) -> Header {
    Header { kind, key: false, discontinuity: false, tier, stream, pts_us: 0, captured_us: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_the_hub_and_nothing_is_nothing() {
        let parameters = Parameters {
            description: StreamDescription {
                codec: "avc1.4d401f".into(),
                width: 1280,
                height: 720,
                note: None,
            },
            record: Bytes::from_static(b"\x01\x4d\x40"),
        };
        assert_eq!(Parameters::of(&parameters.entry()), Some(parameters));
        assert_eq!(Parameters::of(&NOTHING), None);
        assert_eq!(Parameters::of(&Bytes::from_static(&[255, 255, 255, 255, 1])), None);
    }

    #[test]
    fn a_stamp_is_the_leases_own() {
        let header =
            Header { key: true, pts_us: 5, captured_us: 6, ..bare(Kind::Frame, Tier::Sub, StreamId(0)) };
        let stamped = stamped(&header.message(b"unit"), Tier::Key, StreamId(9), true).unwrap();
        let read = Header::read(&stamped).unwrap();
        assert_eq!(read, Header { tier: Tier::Key, stream: StreamId(9), discontinuity: true, ..header });
        assert_eq!(super::stamped(b"none", Tier::Key, StreamId(9), true), None);
    }
}
