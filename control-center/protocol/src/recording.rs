//! What a recording says of itself, byte for byte: the head of a segment and the mark before each fragment. They stand in
//! the files an edge writes, and cross the link with them when originals are handed over, so that a centre, or anybody who
//! has the file and one digest, finds a changed byte (docs/design/recorder.md).

use serde::{Deserialize, Serialize};

use crate::{
    chain::Digest,
    event::ClockQuality,
    ids::{CameraId, NodeId},
};

/// The type of the `uuid` box after `moov`.
pub const HEAD_TYPE: [u8; 16] = *b"hallwatch head 1";
/// The type of the `uuid` box before each `moof`.
pub const FRAGMENT_TYPE: [u8; 16] = *b"hallwatch frag 1";
/// The length of that box: 24 of box header, 48 of fields, two digests.
pub const MARK: usize = 24 + 48 + 64;
/// So much of the mark is covered by its own digest: all but the digest itself.
pub const COVERED: usize = MARK - 32;
/// The largest `ftyp`, `moov` and head together that are read back.
pub const MAX_HEAD: usize = 64 * 1024;
/// The largest `moof` with its `mdat` that is read back.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format's version.
    pub v: u16,
    /// The node that recorded it.
    pub node: NodeId,
    /// The camera.
    pub camera: CameraId,
    /// The camera's run: a stretch without a break. Each break begins the next.
    pub run: u64,
    /// The number of the segment within the run, from 1.
    pub part: u32,
    /// Which boot the monotonic times are of.
    pub boot: String,
    /// The codec by RFC 6381.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How far decoding runs ahead of showing, in ticks: more than zero with B-frames.
    #[serde(default)]
    pub shift: i64,
    /// Where the run began after a gap: since when nothing was recorded (UTC µs), and why.
    pub gap: Option<(i64, String)>,
    /// The digest of the camera's segment before this one; zeros where there is none.
    pub prev: Digest,
}

/// What stands before each `moof`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The number of the fragment in the segment, from 1.
    pub number: u32,
    /// The first frame is a key frame.
    pub key: bool,
    /// Frames were lost on the way from the camera within it.
    pub lossy: bool,
    /// How far the wall time could be trusted.
    pub quality: ClockQuality,
    /// When the first picture was, UTC µs.
    pub wall_us: i64,
    /// The same on the monotonic clock of the boot, µs.
    pub mono_us: u64,
    /// From the first picture to the end of the last, µs.
    pub duration_us: u64,
    /// Where the first picture is on the stream's own line of time, µs.
    pub pts_us: i64,
    /// Frames.
    pub frames: u32,
    /// Bytes of `moof` and `mdat`.
    pub body_len: u32,
    /// The digest of the mark before; for the first, of everything before it in the file.
    pub prev: Digest,
    /// The digest of the fields above as they stand in the file, `moof` and `mdat`.
    pub whole: Digest,
}

fn quality_code(quality: ClockQuality) -> u8 {
    match quality {
        ClockQuality::Unconfirmed => 0,
        ClockQuality::Synchronised => 1,
        ClockQuality::Wrong => 2,
        ClockQuality::Reported => 3,
    }
}

impl Mark {
    /// The box as it stands in the file.
    pub fn encode(&self) -> [u8; MARK] {
        let mut bytes = [0; MARK];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
            at += part.len();
        };
        put(&(MARK as u32).to_be_bytes());
        put(b"uuid");
        put(&FRAGMENT_TYPE);
        put(&[1, u8::from(self.key) | u8::from(self.lossy) << 1, quality_code(self.quality), 0]);
        put(&self.number.to_be_bytes());
        put(&self.wall_us.to_be_bytes());
        put(&self.mono_us.to_be_bytes());
        put(&self.duration_us.to_be_bytes());
        put(&self.pts_us.to_be_bytes());
        put(&self.frames.to_be_bytes());
        put(&self.body_len.to_be_bytes());
        put(self.prev.as_bytes());
        put(self.whole.as_bytes());
        bytes
    }

    /// Reads the box; none where it is not one, or of a version this program does not know.
    pub fn decode(bytes: &[u8; MARK]) -> Option<Self> {
        let (head, rest) = bytes.split_at(24);
        if head[..4] != (MARK as u32).to_be_bytes() || head[4..8] != *b"uuid" || head[8..] != FRAGMENT_TYPE {
            return None;
        }
        let [version, flags, quality, 0] = *rest.first_chunk::<4>()? else { return None };
        if version != 1 || flags & !3 != 0 {
            return None;
        }
        let u32_at = |at: usize| rest.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b));
        let u64_at = |at: usize| rest.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b));
        let i64_at = |at: usize| rest.get(at..)?.first_chunk().map(|b| i64::from_be_bytes(*b));
        let digest_at = |at: usize| Digest::from_slice(rest.get(at..at + 32)?).ok();
        Some(Self {
            number: u32_at(4)?,
            key: flags & 1 != 0,
            lossy: flags & 2 != 0,
            quality: match quality {
                0 => ClockQuality::Unconfirmed,
                1 => ClockQuality::Synchronised,
                2 => ClockQuality::Wrong,
                3 => ClockQuality::Reported,
                _ => return None,
            },
            wall_us: i64_at(8)?,
            mono_us: u64_at(16)?,
            duration_us: u64_at(24)?,
            pts_us: i64_at(32)?,
            frames: u32_at(40)?,
            body_len: u32_at(44)?,
            prev: digest_at(48)?,
            whole: digest_at(80)?,
        })
    }
}
