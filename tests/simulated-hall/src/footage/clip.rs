//! A clip: coded pictures with their times, ready to be looped by a simulated camera.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The clock of RTP video (RFC 6184 section 8.2.1): every time in a clip is in these ticks.
pub const TICKS_PER_SECOND: u32 = 90_000;

/// How the pictures of a clip are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    H265,
}

/// One coded picture.
#[derive(Debug, Clone)]
pub struct Sample {
    /// NAL units, each after its length in 4 bytes (AVCC); parameter sets and delimiters are left out.
    pub avcc: Bytes,
    /// A decoder may start here.
    pub key: bool,
    /// Ticks until the next picture is to be decoded.
    pub duration: u32,
    /// Ticks from the time of decoding to the time of showing; not zero only with B-frames.
    pub show_after: i32,
}

/// A looped piece of footage.
#[derive(Debug, Clone)]
pub struct Clip {
    /// How it is coded.
    pub codec: Codec,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Parameter sets in the order in which they are sent: SPS, PPS (H.264) or VPS, SPS, PPS (H.265).
    pub parameters: Vec<Bytes>,
    /// The pictures in decoding order. Never empty, and the first is a key frame.
    pub samples: Vec<Sample>,
}

/// Why a file cannot be used as a clip.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The file cannot be read or is no MP4.
    #[error("{path}: not a readable MP4 file: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: re_mp4::Error,
    },
    /// There is no H.264 or H.265 video in it, or it is damaged.
    #[error("{path}: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: &'static str,
    },
}

impl Clip {
    /// Reads the first H.264 or H.265 track of an MP4 file; B-frames are kept as they are.
    ///
    /// # Errors
    /// When the file cannot be read, has no such track, or does not start with a key frame.
    pub fn from_mp4(path: &Path) -> Result<Self, ClipError> {
        let (mp4, file) = re_mp4::Mp4::read_file(path)
            .map_err(|source| ClipError::Unreadable { path: path.to_owned(), source })?;
        let unusable = |why| ClipError::Unusable { path: path.to_owned(), why };
        for track in mp4.tracks().values() {
            let entry = &track.trak(&mp4).mdia.minf.stbl.stsd.contents;
            let (codec, length_size, parameters) = match entry {
                re_mp4::StsdBoxContent::Avc1(entry) => {
                    let config = &entry.avcc.contents;
                    let sets = config.sequence_parameter_sets.iter().chain(&config.picture_parameter_sets);
                    let sets = sets.map(|nal| Bytes::copy_from_slice(&nal.bytes)).collect();
                    (Codec::H264, config.length_size_minus_one & 3, sets)
                }
                re_mp4::StsdBoxContent::Hvc1(entry) | re_mp4::StsdBoxContent::Hev1(entry) => {
                    let config = &entry.hvcc.contents;
                    let sets = config
                        .arrays
                        .iter()
                        .filter(|array| (32..=34).contains(&(array.nal_unit_type & 0x3F)));
                    let sets = sets.flat_map(|array| &array.nalus);
                    let sets = sets.map(|nal| Bytes::copy_from_slice(&nal.data)).collect();
                    (Codec::H265, config.length_size_minus_one & 3, sets)
                }
                _ => continue,
            };
            if length_size != 3 {
                return Err(unusable("its NAL lengths are not 4 bytes wide"));
            }
            let ticks = |value: i64| value * i64::from(TICKS_PER_SECOND) / track.timescale.max(1) as i64;
            let first = track.samples.first().map_or(0, |sample| sample.decode_timestamp);
            let mut samples = Vec::with_capacity(track.samples.len());
            for (index, sample) in track.samples.iter().enumerate() {
                let bytes =
                    file.get(sample.byte_range()).ok_or(unusable("it ends before its last picture"))?;
                let at = ticks(sample.decode_timestamp - first);
                let next = match track.samples.get(index + 1) {
                    Some(next) => ticks(next.decode_timestamp - first),
                    None => at + samples.last().map_or(3600, |last: &Sample| i64::from(last.duration)),
                };
                samples.push(Sample {
                    avcc: slices_only(codec, bytes),
                    key: sample.is_sync,
                    duration: (next - at).clamp(1, i64::from(TICKS_PER_SECOND) * 10) as u32,
                    show_after: ticks(sample.composition_timestamp - sample.decode_timestamp) as i32,
                });
            }
            if !samples.first().is_some_and(|sample| sample.key) {
                return Err(unusable("it does not start with a key frame"));
            }
            return Ok(Self { codec, width: track.width, height: track.height, parameters, samples });
        }
        Err(unusable("it has no H.264 or H.265 video"))
    }

    /// Ticks in one loop.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// The whole clip as an H.264/H.265 byte stream (Annex B), parameter sets before every key frame.
    #[must_use]
    pub fn annex_b(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |nal: &[u8]| {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(nal);
        };
        for sample in &self.samples {
            if sample.key {
                self.parameters.iter().for_each(|set| put(set));
            }
            split_avcc(&sample.avcc).for_each(&mut put);
        }
        out
    }

    /// The picture from which playing may start nearest after `index`, going round the end.
    #[must_use]
    pub fn key_from(&self, index: usize) -> usize {
        let count = self.samples.len();
        (0..count)
            .map(|step| (index + step) % count)
            .find(|at| self.samples.get(*at).is_some_and(|sample| sample.key))
            .unwrap_or(0)
    }
}

/// The NAL units of a picture in AVCC form; stops at the first length that does not fit.
pub fn split_avcc(avcc: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = avcc;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let nal = after.get(..length)?;
        rest = &after[length..];
        Some(nal)
    })
}

/// What a camera sends for a picture: the slices. Parameter sets go before key frames by the sender; delimiters,
/// and the encoder's own remarks (SEI), are left out.
pub(super) fn slices_only(codec: Codec, avcc: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(avcc.len());
    for nal in split_avcc(avcc) {
        let keep = match (codec, nal.first()) {
            (_, None) => false,
            (Codec::H264, Some(head)) => (1..=5).contains(&(head & 0x1F)),
            (Codec::H265, Some(head)) => (head >> 1 & 0x3F) < 32,
        };
        if keep {
            out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            out.extend_from_slice(nal);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_and_remarks_are_left_out() {
        let avcc = [
            &[0, 0, 0, 2, 0x67, 1][..],
            &[0, 0, 0, 1, 0x68],
            &[0, 0, 0, 2, 0x06, 5],
            &[0, 0, 0, 3, 0x65, 7, 8],
        ]
        .concat();
        assert_eq!(&slices_only(Codec::H264, &avcc)[..], &[0, 0, 0, 3, 0x65, 7, 8]);
        assert_eq!(split_avcc(&avcc).count(), 4);
        assert_eq!(split_avcc(&[0, 0, 0, 9, 1]).count(), 0);
    }

    #[test]
    fn a_file_that_is_no_clip_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"not an mp4 at all").unwrap();
        let error = Clip::from_mp4(file.path()).unwrap_err();
        assert!(error.to_string().contains("not a readable MP4"), "{error}");
    }
}
