//! The stamp that a benchmark reads: when a picture left the camera, inside the picture.
//!
//! With stamping on, each access unit carries before its slices an SEI message `user_data_unregistered` (H.264
//! section D.1.7) with [`STAMP_UUID`], then the time of sending as microseconds of `CLOCK_REALTIME` (u64, big-endian)
//! and the number of the picture in its stream (u32, big-endian, wrapping). It survives every hop that leaves the
//! picture alone.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::footage::split_avcc;

/// Marks a stamp among other SEI messages.
pub const STAMP_UUID: [u8; 16] =
    [0x8B, 0x1D, 0x5A, 0xC4, 0x77, 0x2F, 0x4E, 0x61, 0x9C, 0x3B, 0xD2, 0x58, 0xE6, 0x14, 0xA9, 0x7F];

/// When and as which picture an access unit was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Microseconds since 1970-01-01 UTC.
    pub sent_us: u64,
    /// Number of the picture in its stream, wrapping.
    pub frame: u32,
}

impl Stamp {
    /// The stamp of a picture that is sent now.
    #[must_use]
    pub fn now(frame: u32) -> Self {
        Self { sent_us: unix_us(), frame }
    }

    /// The whole SEI NAL unit, without start code or length.
    pub(super) fn nal(self) -> Vec<u8> {
        let mut payload = vec![6, 5, 28];
        payload.extend_from_slice(&STAMP_UUID);
        payload.extend_from_slice(&self.sent_us.to_be_bytes());
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.push(0x80);
        // Emulation prevention (H.264 section 7.4.1): 00 00 0x never appears inside a NAL unit.
        let mut out = Vec::with_capacity(payload.len() + 4);
        let mut zeros = 0;
        for byte in payload {
            if zeros == 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            out.push(byte);
        }
        out
    }
}

/// Microseconds since 1970-01-01 UTC.
pub(super) fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Reads the stamp of an H.264 access unit in AVCC form (4-byte lengths); `None` when it has none.
#[must_use]
pub fn read_stamp(avcc: &[u8]) -> Option<Stamp> {
    split_avcc(avcc)
        .take_while(|nal| !nal.first().is_some_and(|head| (1..=5).contains(&(head & 0x1F))))
        .find_map(read)
}

fn read(nal: &[u8]) -> Option<Stamp> {
    if nal.first()? & 0x1F != 6 {
        return None;
    }
    let mut plain = [0_u8; 31];
    let mut filled = 0;
    let mut zeros = 0;
    for byte in nal {
        if zeros == 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        *plain.get_mut(filled)? = *byte;
        filled += 1;
        if filled == plain.len() {
            break;
        }
    }
    let rest = plain.strip_prefix(&[6, 5, 28])?.strip_prefix(&STAMP_UUID)?;
    let (sent, frame) = rest.split_first_chunk::<8>()?;
    let frame = frame.first_chunk::<4>()?;
    (filled == plain.len())
        .then(|| Stamp { sent_us: u64::from_be_bytes(*sent), frame: u32::from_be_bytes(*frame) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stamp_is_read_back_whatever_its_bytes(sent_us: u64, frame in prop_oneof![0_u32..4, any::<u32>()]) {
            let stamp = Stamp { sent_us, frame };
            let nal = stamp.nal();
            prop_assert!(!nal.windows(3).any(|bytes| bytes[0] == 0 && bytes[1] == 0 && bytes[2] < 3));
            let mut avcc = (nal.len() as u32).to_be_bytes().to_vec();
            avcc.extend_from_slice(&nal);
            avcc.extend_from_slice(&[0, 0, 0, 2, 0x65, 1]);
            prop_assert_eq!(read_stamp(&avcc), Some(stamp));
        }

        #[test]
        fn other_bytes_have_no_stamp(avcc: Vec<u8>) {
            prop_assert_eq!(read_stamp(&avcc), None);
        }
    }
}
