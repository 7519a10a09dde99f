//! The segment: about a minute of one camera as a fragmented MP4 that any player plays as it lies, and that says by
//! itself whose it is, when it was, and whether a byte of it was changed (docs/design/recorder.md). Pure: bytes in, bytes
//! out; it opens no file and knows no clock.
//!
//! `ftyp moov uuid(head) { uuid(fragment) moof mdat }*`. The head's JSON names camera, run, boot and codec. The box
//! before each `moof` (its mark) carries its times, the digest of the mark before it, and a digest of itself, `moof` and
//! `mdat`: the digest of the last mark covers the whole segment, and the marks alone prove where each fragment belongs.

mod boxes;
mod in_band;
mod scan;
mod sound;
mod table;
mod timing;
mod write;

use control_protocol::recording::COVERED;
pub use control_protocol::recording::{FRAGMENT_TYPE, HEAD_TYPE, Head, MARK, MAX_BODY, MAX_HEAD, Mark};

pub use boxes::{
    MOOF_FIRST_SIZE, MOOF_SEQUENCE, MOOF_TIME, SampleEntry, Stretch, init, move_sound, mute, sidx, sound_span,
};
pub use in_band::in_band;
pub use scan::{Bad, Scanned, head, scan};
pub use sound::{Sound, SoundCoding};
pub use table::{BadTable, Entry, Table};
pub use write::{Fragment, Frame, Heard, SegmentWriter, Sequel, Written};

/// Ticks of the media's clock in a second.
pub const TIMESCALE: i64 = 90_000;

/// Microseconds to ticks.
pub(crate) fn ticks(us: i64) -> i64 {
    us.saturating_mul(9).div_euclid(100)
}

#[cfg(test)]
pub(crate) mod tests;
