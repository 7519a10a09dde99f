//! Making a segment: a head, then fragments, each as a few small pieces of our own around the camera's bytes, which are
//! shared and never copied.

use bytes::Bytes;
use control_protocol::{chain::Digest, event::ClockQuality};
use ring::digest::{Context, SHA256};

use super::{
    Head, Mark,
    boxes::{self, Boxes, Sample, SampleEntry, init, moof},
    table::Entry,
    ticks,
    timing::{place, shift},
};

/// One access unit.
#[derive(Debug, Clone)]
pub struct Frame {
    /// When it is shown, on the stream's own line of time, µs.
    pub pts_us: i64,
    /// The access unit: NAL units, each after its length in four bytes.
    pub data: Bytes,
}

/// A piece of coded sound.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When it begins, on the pictures' line of time, µs.
    pub pts_us: i64,
    /// How long it is, µs.
    pub length_us: i64,
    /// The coded bytes.
    pub data: Bytes,
}

/// A group of pictures, or a part of a very long one.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// Its frames in the order in which they came; the first one alone may be a key frame.
    pub frames: Vec<Frame>,
    /// The sound that came with them, where it is kept, in order.
    pub heard: Vec<Heard>,
    /// The first frame is a key frame.
    pub key: bool,
    /// Frames were lost on the way from the camera.
    pub lossy: bool,
    /// When the next fragment's first frame is shown, where that is known.
    pub next_pts_us: Option<i64>,
    /// When the picture first shown was, UTC µs.
    pub wall_us: i64,
    /// The same on the monotonic clock, µs.
    pub mono_us: u64,
    /// How far the wall time can be trusted.
    pub quality: ClockQuality,
}

impl Fragment {
    /// The camera's bytes in it.
    pub fn bytes(&self) -> u64 {
        let pictures = self.frames.iter().map(|frame| frame.data.len() as u64);
        pictures.chain(self.heard.iter().map(|heard| heard.data.len() as u64)).sum()
    }
}

/// What a fragment is in the file, to be written in this order.
#[derive(Debug)]
pub struct Written {
    /// Mark, `moof` and the beginning of `mdat`.
    pub front: Vec<u8>,
    /// The rest of `mdat`.
    pub data: Vec<Bytes>,
    /// Its row of the table.
    pub entry: Entry,
}

/// Whether a fragment goes on in this segment.
#[derive(Debug)]
pub enum Sequel {
    /// It does.
    Here(Written),
    /// It needs a segment of its own: it has no frames before it that lead to it, or more B-frames than the segment
    /// allows for. The fragment is given back.
    Elsewhere(Fragment),
}

/// A segment being made.
#[derive(Debug)]
pub struct SegmentWriter {
    base: i64,
    shift: i64,
    last_decode: Option<i64>,
    /// The segment has a track of sound.
    sounds: bool,
    /// Where the sound so far ends, ticks.
    sound_end: i64,
    digest: Digest,
    number: u32,
    len: u64,
    /// As it was before the last fragment.
    before: (Option<i64>, i64, Digest, u64),
}

impl SegmentWriter {
    /// Begins a segment with its first fragment; gives the head's bytes, and the fragment's. None where the codec is not
    /// one that can be recorded, or the fragment has no frame.
    pub fn begin(head: &Head, entry: &SampleEntry, first: Fragment) -> Option<(Self, Vec<u8>, Written)> {
        entry.names()?;
        let shown: Vec<i64> = first.frames.iter().map(|frame| ticks(frame.pts_us)).collect();
        let shift = shift(&shown);
        let mut bytes = init(entry);
        let said = serde_json::to_vec(&Head { shift, ..head.clone() }).ok()?;
        Boxes(&mut bytes).nest(b"uuid", |b| {
            b.0.extend_from_slice(&super::HEAD_TYPE);
            b.0.extend_from_slice(&said);
        });
        let mut writer = Self {
            // Decoding begins at zero, so that no time is negative.
            base: shown.iter().min()? - shift,
            shift,
            last_decode: None,
            sounds: entry.sound.is_some(),
            sound_end: 0,
            digest: Digest::of(&bytes),
            number: 0,
            len: bytes.len() as u64,
            before: (None, 0, Digest::ZERO, 0),
        };
        match writer.add(first) {
            Sequel::Here(written) => Some((writer, bytes, written)),
            Sequel::Elsewhere(_) => None,
        }
    }

    /// The next fragment.
    pub fn add(&mut self, fragment: Fragment) -> Sequel {
        let shown: Vec<i64> =
            fragment.frames.iter().map(|frame| ticks(frame.pts_us).saturating_sub(self.base)).collect();
        let earliest = shown.iter().min().copied().unwrap_or(i64::MIN);
        let backwards = self.last_decode.is_some_and(|last| earliest - self.shift <= last);
        if fragment.frames.is_empty() || shift(&shown) > self.shift || backwards {
            return Sequel::Elsewhere(fragment);
        }
        let next = fragment.next_pts_us.map(|pts| ticks(pts).saturating_sub(self.base));
        let timing = place(&shown, self.shift, self.last_decode, next);
        let end_of_decoding = timing.end - self.shift;
        let mut samples = Vec::with_capacity(shown.len());
        for (i, frame) in fragment.frames.iter().enumerate() {
            let decode = timing.decode.get(i).copied().unwrap_or_default();
            let next = timing.decode.get(i + 1).copied().unwrap_or(end_of_decoding);
            samples.push(Sample {
                size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
                duration: u32::try_from((next - decode).max(1)).unwrap_or(u32::MAX),
                offset: timing.offset.get(i).copied().unwrap_or_default(),
            });
        }
        self.before = (self.last_decode, self.sound_end, self.digest, self.len);
        self.last_decode = timing.decode.last().copied();
        self.number += 1;
        let time = timing.decode.first().copied().unwrap_or_default();
        let mut front = vec![0; super::MARK];
        let (sound, heard) = self.place_sound(&fragment.heard);
        let time = u64::try_from(time).unwrap_or(0);
        moof(&mut front, self.number, time, fragment.key, &samples, sound.as_ref());
        let mut data: Vec<Bytes> = fragment.frames.iter().map(|frame| frame.data.clone()).collect();
        data.extend(heard);
        let body_len = front.len() - super::MARK + data.iter().map(Bytes::len).sum::<usize>();
        let frames = u32::try_from(fragment.frames.len()).unwrap_or(u32::MAX);
        let pts_us = fragment.frames.iter().map(|frame| frame.pts_us).min().unwrap_or_default();
        let mark = Mark {
            number: self.number,
            key: fragment.key,
            lossy: fragment.lossy,
            quality: fragment.quality,
            wall_us: fragment.wall_us,
            mono_us: fragment.mono_us,
            duration_us: u64::try_from((timing.end - timing.first).max(0)).unwrap_or(0) * 100 / 9,
            pts_us,
            frames,
            body_len: u32::try_from(body_len).unwrap_or(u32::MAX),
            prev: self.digest,
            whole: Digest::ZERO,
        };
        let mut context = Context::new(&SHA256);
        context.update(mark.encode().get(..super::COVERED).unwrap_or_default());
        context.update(front.get(super::MARK..).unwrap_or_default());
        data.iter().for_each(|data| context.update(data));
        let whole = Digest::from_slice(context.finish().as_ref()).unwrap_or(Digest::ZERO);
        let encoded = Mark { whole, ..mark }.encode();
        self.digest = Digest::of(&encoded);
        if let Some(place) = front.get_mut(..super::MARK) {
            place.copy_from_slice(&encoded);
        }
        let len = super::MARK + body_len;
        let entry = Entry {
            at: self.len,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            wall_us: mark.wall_us,
            duration_us: mark.duration_us,
            frames,
            key: fragment.key,
        };
        self.len += len as u64;
        Sequel::Here(Written { front, data, entry })
    }

    /// Places the sound of a fragment after the sound before it; with its bytes. A piece that would lie for the most part within
    /// what is there already is left out.
    fn place_sound(&mut self, heard: &[Heard]) -> (Option<boxes::Heard>, Vec<Bytes>) {
        let mut placed: Vec<(i64, &Heard)> = Vec::with_capacity(heard.len());
        for piece in heard.iter().filter(|_| self.sounds) {
            let length = ticks(piece.length_us).max(1);
            let at = ticks(piece.pts_us).saturating_sub(self.base);
            if at < self.sound_end - length / 2 {
                continue;
            }
            let at = at.max(self.sound_end);
            placed.push((at, piece));
            self.sound_end = at + length;
        }
        let Some((first, _)) = placed.first() else { return (None, Vec::new()) };
        let ends = placed.iter().skip(1).map(|(at, _)| *at).chain([self.sound_end]);
        let size = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let pieces = placed
            .iter()
            .zip(ends)
            .map(|((at, piece), end)| (u32::try_from(piece.data.len()).unwrap_or(u32::MAX), size(end - at)))
            .collect();
        let time = u64::try_from(*first).unwrap_or(0);
        (Some(boxes::Heard { time, pieces }), placed.iter().map(|(_, piece)| piece.data.clone()).collect())
    }

    /// The last fragment did not get to the disk: it is as if it had not come. Only once after each.
    pub fn take_back(&mut self) {
        (self.last_decode, self.sound_end, self.digest, self.len) = self.before;
        self.number -= 1;
    }

    /// The digest that covers everything so far: the segment's, once nothing follows.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written: never, since a segment begins with its head.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
