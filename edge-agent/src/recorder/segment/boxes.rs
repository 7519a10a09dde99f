//! The boxes of ISO/IEC 14496-12 and -15 that a segment and a clip are made of.

use std::sync::Arc;

use bytes::Bytes;

use super::{TIMESCALE, sound::Sound};

/// Where `mfhd`'s sequence number stands in a `moof` of ours.
pub const MOOF_SEQUENCE: usize = 8 + 12;
/// Where `tfdt`'s 64-bit time stands.
pub const MOOF_TIME: usize = 24 + 8 + 24 + 12;
/// Where `trun` has the size of its first sample.
pub const MOOF_FIRST_SIZE: usize = 24 + 8 + 24 + 20 + 24 + 4;
/// Where the first `traf` of a `moof` of ours, the picture's, begins. The sound's, if there is one, follows it.
const TRAF: usize = 24;
/// Where in a `traf` `tfdt`'s time stands.
const TRAF_TIME: usize = MOOF_TIME - TRAF;
/// Where in a `traf` `trun` says from where in the `moof` its data is.
const TRAF_DATA: usize = TRAF_TIME + 8 + 12 + 4;

const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// What a decoder must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleEntry {
    /// The codec by RFC 6381; `avc1…` or `hvc1…`.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The configuration record (avcC, hvcC).
    pub record: Bytes,
    /// The sound beside the picture, where it is kept.
    pub sound: Option<Arc<Sound>>,
}

impl SampleEntry {
    /// The names of the entry and of its configuration box; none for a codec that is not recorded.
    pub fn names(&self) -> Option<(&'static [u8; 4], &'static [u8; 4])> {
        match self.codec.get(..4)? {
            "avc1" | "avc3" => Some((b"avc1", b"avcC")),
            "hvc1" | "hev1" => Some((b"hvc1", b"hvcC")),
            _ => None,
        }
    }
}

/// Grows a buffer of nested boxes.
pub(super) struct Boxes<'a>(pub(super) &'a mut Vec<u8>);

impl Boxes<'_> {
    pub(super) fn u8s(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    pub(super) fn u32(&mut self, value: u32) {
        self.u8s(&value.to_be_bytes());
    }
    pub(super) fn u64(&mut self, value: u64) {
        self.u8s(&value.to_be_bytes());
    }
    pub(super) fn u16(&mut self, value: u16) {
        self.u8s(&value.to_be_bytes());
    }
    pub(super) fn nest(&mut self, name: &[u8; 4], inside: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.u32(0);
        self.u8s(name);
        inside(self);
        let length = u32::try_from(self.0.len() - at).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
    pub(super) fn full(&mut self, name: &[u8; 4], version_flags: u32, inside: impl FnOnce(&mut Self)) {
        self.nest(name, |b| {
            b.u32(version_flags);
            inside(b);
        });
    }
}

/// `ftyp` and `moov` for the picture, and for its sound where there is any.
pub fn init(entry: &SampleEntry) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(1024);
    let mut b = Boxes(&mut buffer);
    b.nest(b"ftyp", |b| {
        b.u8s(b"iso6");
        b.u32(1);
        b.u8s(b"iso6iso5isommp42");
    });
    let size = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let (width, height) = (size(entry.width), size(entry.height));
    b.nest(b"moov", |b| {
        b.full(b"mvhd", 0, |b| {
            [0, 0, 1000, 0, 0x1_0000].into_iter().for_each(|v| b.u32(v));
            b.u16(0x0100);
            b.u8s(&[0; 10]);
            MATRIX.into_iter().for_each(|v| b.u32(v));
            b.u8s(&[0; 24]);
            b.u32(if entry.sound.is_some() { 3 } else { 2 });
        });
        let picture = Track { number: 1, handler: b"vide", volume: 0, width, height };
        track(b, &picture, |b| b.full(b"vmhd", 1, |b| b.u8s(&[0; 8])), |b| sample_entry(b, entry));
        if let Some(sound) = &entry.sound {
            let heard = Track { number: 2, handler: b"soun", volume: 0x0100, width: 0, height: 0 };
            track(b, &heard, |b| b.full(b"smhd", 0, |b| b.u32(0)), |b| sound.sample_entry(b));
        }
        b.nest(b"mvex", |b| {
            b.full(b"trex", 0, |b| [1, 1, 0, 0, NOT_SYNC].into_iter().for_each(|v| b.u32(v)));
            if entry.sound.is_some() {
                b.full(b"trex", 0, |b| [2, 1, 0, 0, SYNC].into_iter().for_each(|v| b.u32(v)));
            }
        });
    });
    buffer
}

struct Track {
    number: u32,
    handler: &'static [u8; 4],
    volume: u16,
    /// Pixels.
    width: u16,
    height: u16,
}

/// A track with no sample in it. Sound counts time in the picture's ticks too, so that both are moved together.
fn track(
    b: &mut Boxes<'_>,
    of: &Track,
    media_header: impl FnOnce(&mut Boxes<'_>),
    sample_entry: impl FnOnce(&mut Boxes<'_>),
) {
    b.nest(b"trak", |b| {
        b.full(b"tkhd", 3, |b| {
            [0, 0, of.number, 0, 0, 0, 0, 0].into_iter().for_each(|v| b.u32(v));
            b.u16(of.volume);
            b.u16(0);
            MATRIX.into_iter().for_each(|v| b.u32(v));
            b.u32(u32::from(of.width) << 16);
            b.u32(u32::from(of.height) << 16);
        });
        b.nest(b"mdia", |b| {
            b.full(b"mdhd", 0, |b| {
                [0, 0, TIMESCALE as u32, 0].into_iter().for_each(|v| b.u32(v));
                b.u16(0x55c4);
                b.u16(0);
            });
            b.full(b"hdlr", 0, |b| {
                b.u32(0);
                b.u8s(of.handler);
                b.u8s(&[0; 12]);
                b.u8s(b"camera\0");
            });
            b.nest(b"minf", |b| {
                media_header(b);
                b.nest(b"dinf", |b| {
                    b.full(b"dref", 0, |b| {
                        b.u32(1);
                        b.full(b"url ", 1, |_| {});
                    });
                });
                b.nest(b"stbl", |b| {
                    b.full(b"stsd", 0, |b| {
                        b.u32(1);
                        sample_entry(b);
                    });
                    for name in [b"stts", b"stsc"] {
                        b.full(name, 0, |b| b.u32(0));
                    }
                    b.full(b"stsz", 0, |b| b.u64(0));
                    b.full(b"stco", 0, |b| b.u32(0));
                });
            });
        });
    });
}

fn sample_entry(b: &mut Boxes<'_>, entry: &SampleEntry) {
    let Some((name, configuration)) = entry.names() else { return };
    let size = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    b.nest(name, |b| {
        b.u8s(&[0; 6]);
        b.u16(1);
        b.u8s(&[0; 16]);
        b.u16(size(entry.width));
        b.u16(size(entry.height));
        [0x48_0000, 0x48_0000, 0].into_iter().for_each(|v| b.u32(v));
        b.u16(1);
        b.u8s(&[0; 32]);
        b.u16(0x18);
        b.u16(0xffff);
        b.nest(configuration, |b| b.u8s(&entry.record));
    });
}

/// A stretch of a file for its index: bytes, ticks. It begins with a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Bytes.
    pub bytes: u32,
    /// Ticks to the beginning of the next.
    pub ticks: u32,
}

/// A `sidx` of what follows it, the first of which is shown at `first` ticks; none where that is more than it can name.
pub fn sidx(first: u64, stretches: &[Stretch]) -> Option<Vec<u8>> {
    let count = u16::try_from(stretches.len()).ok()?;
    if stretches.iter().any(|stretch| stretch.bytes >= 1 << 31) {
        return None;
    }
    let mut buffer = Vec::with_capacity(40 + stretches.len() * 12);
    Boxes(&mut buffer).full(b"sidx", 0x0100_0000, |b| {
        b.u32(1);
        b.u32(TIMESCALE as u32);
        b.u64(first);
        b.u64(0);
        b.u16(0);
        b.u16(count);
        for stretch in stretches {
            // A reference to media; begins with a stream access point of type 1.
            [stretch.bytes, stretch.ticks, 0x9000_0000].into_iter().for_each(|v| b.u32(v));
        }
    });
    Some(buffer)
}

/// One sample of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) size: u32,
    /// Ticks.
    pub(super) duration: u32,
    /// Ticks from decoding to showing.
    pub(super) offset: i32,
}

/// The sound of a fragment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Ticks.
    pub(super) time: u64,
    /// Bytes and ticks of each piece.
    pub(super) pieces: Vec<(u32, u32)>,
}

/// `moof` and the eight bytes that begin `mdat`, in which the pictures stand first and then the sound. `key` says whether
/// the first sample is a key frame; no other is.
pub(super) fn moof(
    buffer: &mut Vec<u8>,
    number: u32,
    time: u64,
    key: bool,
    samples: &[Sample],
    heard: Option<&Heard>,
) {
    let begun = buffer.len();
    let offsets = samples.iter().any(|sample| sample.offset != 0);
    let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
    let each = if offsets { 12 } else { 8 };
    let of_sound = heard.map_or(0, |heard| 8 + 24 + 20 + 20 + heard.pieces.len() * 8);
    let length = TRAF + 8 + 24 + 20 + 24 + samples.len() * each + of_sound;
    let data = count(length + 8);
    let pictures = samples.iter().fold(0u32, |sum, sample| sum.saturating_add(sample.size));
    let mut b = Boxes(buffer);
    b.nest(b"moof", |b| {
        b.full(b"mfhd", 0, |b| b.u32(number));
        b.nest(b"traf", |b| {
            // default-base-is-moof, sample description, default flags.
            b.full(b"tfhd", 0x02_0022, |b| [1, 1, NOT_SYNC].into_iter().for_each(|v| b.u32(v)));
            b.full(b"tfdt", 0x0100_0000, |b| b.u64(time));
            // Version 1: offsets are signed. Data offset, first sample's flags, durations, sizes, offsets.
            b.full(b"trun", 0x0100_0305 | if offsets { 0x800 } else { 0 }, |b| {
                b.u32(count(samples.len()));
                b.u32(data);
                b.u32(if key { SYNC } else { NOT_SYNC });
                for sample in samples {
                    b.u32(sample.duration);
                    b.u32(sample.size);
                    if offsets {
                        b.u8s(&sample.offset.to_be_bytes());
                    }
                }
            });
        });
        if let Some(heard) = heard {
            b.nest(b"traf", |b| {
                b.full(b"tfhd", 0x02_0022, |b| [2, 1, SYNC].into_iter().for_each(|v| b.u32(v)));
                b.full(b"tfdt", 0x0100_0000, |b| b.u64(heard.time));
                // Data offset, durations, sizes.
                b.full(b"trun", 0x0000_0301, |b| {
                    b.u32(count(heard.pieces.len()));
                    b.u32(data.saturating_add(pictures));
                    for (size, duration) in &heard.pieces {
                        b.u32(*duration);
                        b.u32(*size);
                    }
                });
            });
        }
    });
    debug_assert_eq!(b.0.len() - begun, length);
    let of_sound = heard.iter().flat_map(|heard| &heard.pieces);
    let data = of_sound.fold(pictures.saturating_add(8), |sum, (size, _)| sum.saturating_add(*size));
    b.u32(data);
    b.u8s(b"mdat");
}

/// Where in a `moof` of ours the sound's `traf` begins; none where it has none, or is not ours.
fn sound_traf(moof: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(u32::from_be_bytes(*moof.get(at..)?.first_chunk()?));
    let at = TRAF.checked_add(usize::try_from(word(TRAF)?).ok()?)?;
    let end = usize::try_from(word(0)?).ok()?;
    (at < end && moof.get(at + 4..at + 8)? == b"traf").then_some(at)
}

/// Moves the sound of a fragment, which begins with `moof`, by `ticks`, and its data by `bytes`; none where the fragment is
/// not sound. A fragment without sound stays as it is.
pub fn move_sound(fragment: &mut [u8], ticks: i64, bytes: u32) -> Option<()> {
    let Some(at) = sound_traf(fragment) else { return Some(()) };
    let time = fragment.get_mut(at + TRAF_TIME..)?.first_chunk_mut::<8>()?;
    let moved = i64::try_from(u64::from_be_bytes(*time)).ok()?.saturating_add(ticks);
    *time = u64::try_from(moved).unwrap_or(0).to_be_bytes();
    let data = fragment.get_mut(at + TRAF_DATA..)?.first_chunk_mut::<4>()?;
    *data = u32::from_be_bytes(*data).checked_add(bytes)?.to_be_bytes();
    Some(())
}

/// When the sound of a `moof` begins and ends, ticks; none where it has none, or is not ours.
pub fn sound_span(moof: &[u8]) -> Option<(i64, i64)> {
    let at = sound_traf(moof)?;
    let word = |at: usize| Some(u32::from_be_bytes(*moof.get(at..)?.first_chunk()?));
    let begins = u64::from_be_bytes(*moof.get(at + TRAF_TIME..)?.first_chunk()?);
    let begins = i64::try_from(begins).ok()?;
    let count = usize::try_from(word(at + TRAF_DATA - 4)?).ok()?;
    let mut ends = begins;
    for n in 0..count {
        ends = ends.saturating_add(i64::from(word(at + TRAF_DATA + 4 + n * 8)?));
    }
    Some((begins, ends))
}

/// Has players pass over the sound of a fragment, which begins with `moof`: its `traf` becomes `free`.
pub fn mute(fragment: &mut [u8]) {
    if let Some(at) = sound_traf(fragment)
        && let Some(name) = fragment.get_mut(at + 4..at + 8)
    {
        name.copy_from_slice(b"free");
    }
}
