//! Clips: any range of a camera as one fragmented MP4, cut at key frames, out of sealed segments and the one being written.
//!
//! A clip is planned first (what it holds, how long it is in frames and bytes) and read while it is sent, a fragment at a
//! time; any byte range of it can be sent alone. The camera's bytes are not touched; only numbers and times of the boxes
//! around them are set anew. Time within a clip is wall time since [`Clip::zero_us`]: a gap in the recording is a gap in
//! the clip, and clips that were cut beside each other are in step by their one zero.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, BufReader},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use control_protocol::{
    CameraId, Digest,
    event::ClockQuality,
    footage::{MOST_SEGMENTS, SegmentUse, least},
};
use futures_util::stream::{self, Stream};

use super::{
    Open, Shared,
    index::{Gap, Index, IndexError, quality_of},
    lock,
    segment::{
        self, Entry, Head, MOOF_FIRST_SIZE, MOOF_SEQUENCE, MOOF_TIME, SampleEntry, Sound, Stretch, Table,
        ticks,
    },
};

/// The longest clip, µs.
pub use control_protocol::footage::LONGEST_CLIP_US as LONGEST_US;

/// A clip of more fragments than these has no index: each costs a look at the disk. An hour of usual cameras.
const MOST_INDEXED: usize = 1800;

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// Nothing was recorded then.
    #[error("nothing was recorded of {0} in that time")]
    Nothing(CameraId),
    /// Too long, or the end is before the beginning.
    #[error("a clip ends after it begins and is at most 6 hours long: ask for less at a time")]
    Range,
    /// So much is missing in between that it is in too many pieces.
    #[error("the recording of that time is in more than {MOST_SEGMENTS} pieces: ask for less at a time")]
    Pieces,
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A segment cannot be read.
    #[error("a segment cannot be read: {0}")]
    Read(String),
}

/// One piece of a clip, sent as a whole.
#[derive(Debug, Clone)]
enum Part {
    Init(Bytes),
    Fragment {
        file: Arc<PathBuf>,
        at: u64,
        len: u32,
        number: u32,
        /// Parameter sets that go before its first frame.
        before: Option<Bytes>,
        /// Ticks to be added to its time.
        shift: i64,
        /// The same of its sound.
        sound_shift: i64,
        /// Its sound is not what the clip says at its beginning: players pass over it.
        muted: bool,
    },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Init(bytes) => bytes.len() as u64,
            Self::Fragment { len, before, .. } => {
                u64::from(*len) + before.as_ref().map_or(0, |before| before.len() as u64)
            }
        }
    }

    /// Adds what makes its bytes to a digest's input: where they lie in a file that only grows, and what is set anew.
    fn describe(&self, folder: &Path, into: &mut Vec<u8>) {
        match self {
            Self::Init(bytes) => into.extend_from_slice(Digest::of(bytes).as_bytes()),
            Self::Fragment { file, at, len, number, before, shift, sound_shift, muted } => {
                let name = file.strip_prefix(folder).unwrap_or(file);
                into.extend_from_slice(name.as_os_str().as_encoded_bytes());
                into.push(0);
                into.extend_from_slice(&at.to_be_bytes());
                into.extend_from_slice(&len.to_be_bytes());
                into.extend_from_slice(&number.to_be_bytes());
                into.extend_from_slice(&shift.to_be_bytes());
                into.extend_from_slice(&sound_shift.to_be_bytes());
                into.push(u8::from(*muted));
                into.extend_from_slice(Digest::of(before.as_deref().unwrap_or_default()).as_bytes());
            }
        }
    }

    /// Blocks.
    fn read(&self) -> io::Result<Bytes> {
        let (file, at, len, number, before, shift, sound_shift, muted) = match self {
            Self::Init(bytes) => return Ok(bytes.clone()),
            Self::Fragment { file, at, len, number, before, shift, sound_shift, muted } => {
                (file, *at, *len, *number, before.as_ref(), *shift, *sound_shift, *muted)
            }
        };
        let mut bytes = vec![0; len as usize];
        File::open(file.as_path())?.read_exact_at(&mut bytes, at)?;
        let time = time_of(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        let time = u64::try_from(time.saturating_add(shift)).unwrap_or(0);
        for (at, value) in [(MOOF_SEQUENCE, &number.to_be_bytes()[..]), (MOOF_TIME, &time.to_be_bytes()[..])]
        {
            if let Some(place) = bytes.get_mut(at..at + value.len()) {
                place.copy_from_slice(value);
            }
        }
        let more = u32::try_from(before.map_or(0, Bytes::len)).map_err(|_| io::ErrorKind::InvalidData)?;
        segment::move_sound(&mut bytes, sound_shift, more).ok_or(io::ErrorKind::InvalidData)?;
        if muted {
            segment::mute(&mut bytes);
        }
        if let Some(before) = before {
            put_before(&mut bytes, before).ok_or(io::ErrorKind::InvalidData)?;
        }
        Ok(bytes.into())
    }
}

/// Puts NAL units before the first sample of a fragment, and says so in the sizes.
fn put_before(bytes: &mut Vec<u8>, units: &[u8]) -> Option<()> {
    let mdat = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    let more = u32::try_from(units.len()).ok()?;
    for at in [MOOF_FIRST_SIZE, mdat] {
        let place = bytes.get_mut(at..)?.first_chunk_mut::<4>()?;
        *place = u32::from_be_bytes(*place).checked_add(more)?.to_be_bytes();
    }
    let data = mdat.checked_add(8).filter(|data| *data <= bytes.len())?;
    bytes.splice(data..data, units.iter().copied());
    Some(())
}

fn time_of(moof: &[u8]) -> Option<i64> {
    let time = moof.get(MOOF_TIME..)?.first_chunk::<8>()?;
    i64::try_from(u64::from_be_bytes(*time)).ok()
}

/// When the sound of a fragment begins and ends in its segment, ticks; none where it has none.
fn sound_span(file: &File, entry: &Entry) -> io::Result<Option<(i64, i64)>> {
    let at = entry.at + segment::MARK as u64;
    let mut length = [0; 4];
    file.read_exact_at(&mut length, at)?;
    let length = u32::from_be_bytes(length);
    if length > entry.len {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut moof = vec![0; length as usize];
    file.read_exact_at(&mut moof, at)?;
    Ok(segment::sound_span(&moof))
}

/// Keeps segments from being deleted while they are read.
#[derive(Debug)]
pub(super) struct Reading {
    shared: Arc<Shared>,
    ids: Vec<i64>,
}

impl Reading {
    pub(super) fn of(shared: &Arc<Shared>, ids: Vec<i64>) -> Self {
        let mut read = lock(&shared.read);
        ids.iter().for_each(|id| *read.entry(*id).or_default() += 1);
        drop(read);
        Self { shared: shared.clone(), ids }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut read = lock(&self.shared.read);
        for id in &self.ids {
            if let Some(count) = read.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    read.remove(id);
                }
            }
        }
    }
}

/// A clip, planned and not read yet.
#[derive(Debug)]
pub struct Clip {
    /// The camera.
    pub camera: CameraId,
    /// The wall time, UTC µs, that is time zero in the clip: its own start, or that of the earliest clip beside it.
    pub zero_us: i64,
    /// When its first picture was, UTC µs.
    pub starts_us: i64,
    /// The end of its last picture, UTC µs.
    pub ends_us: i64,
    /// Frames in it.
    pub frames: u64,
    /// Its codec by RFC 6381, as it begins.
    pub codec: String,
    /// Where the clip ends before what was asked for, since the camera went over to another codec: from here (UTC µs) ask
    /// for the rest.
    pub rest_from_us: Option<i64>,
    /// How far its times can be trusted: the least of its segments.
    pub clock: ClockQuality,
    /// What is missing between its first and its last picture.
    pub gaps: Vec<Gap>,
    /// The segments it is cut from, in order.
    pub segments: Vec<SegmentUse>,
    /// Changes when a byte of it does.
    pub tag: Digest,
    parts: Vec<Part>,
    _reading: Reading,
}

/// What a clip is cut from.
pub(super) struct Cutting<'a> {
    pub(super) folder: &'a Path,
    pub(super) shared: &'a Arc<Shared>,
    /// Segments being written.
    pub(super) open: &'a HashMap<CameraId, Open>,
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

/// A segment and what of it is in the clip.
struct Piece {
    file: String,
    run: u64,
    entries: Vec<Entry>,
    clock: ClockQuality,
    /// None while it is being written.
    sha256: Option<Digest>,
}

impl Piece {
    fn told(&self) -> Option<SegmentUse> {
        Some(SegmentUse {
            segment: self.file.clone(),
            run: self.run,
            from_us: self.entries.first()?.wall_us,
            to_us: self.entries.last()?.end_us(),
            frames: self.entries.iter().map(|entry| u64::from(entry.frames)).sum(),
            sha256: self.sha256,
            clock: self.clock,
        })
    }
}

/// The fragments of `table` from the key frame at or before `from_us` to `to_us`.
pub(super) fn chosen(table: &Table, from_us: i64, to_us: i64) -> Vec<Entry> {
    let all = &table.0;
    let Some(first) = all.iter().position(|entry| entry.end_us() > from_us && entry.wall_us < to_us) else {
        return Vec::new();
    };
    let begin = all.iter().take(first + 1).rposition(|entry| entry.key).unwrap_or(first);
    let end = all.iter().rposition(|entry| entry.wall_us < to_us).map_or(begin, |last| last + 1);
    all.get(begin..end).unwrap_or_default().to_vec()
}

impl Cutting<'_> {
    /// The pieces of a camera, in order.
    fn pieces(&self, index: &Index, camera: &CameraId) -> Result<(Vec<Piece>, Reading), IndexError> {
        let mut rows = index.segments(camera, self.from_us, self.to_us)?;
        let reading = Reading::of(self.shared, rows.iter().map(|row| row.id).collect());
        // What was being deleted when it was claimed is not read.
        let still: BTreeSet<i64> =
            index.segments(camera, self.from_us, self.to_us)?.into_iter().map(|row| row.id).collect();
        rows.retain(|row| still.contains(&row.id));
        let mut pieces: Vec<Piece> = rows
            .into_iter()
            .map(|row| Piece {
                entries: chosen(&row.table, self.from_us, self.to_us),
                file: row.file,
                run: row.run,
                clock: quality_of(&row.quality),
                sha256: Some(row.digest),
            })
            .collect();
        let open = self.open.get(camera).filter(|open| pieces.iter().all(|piece| piece.file != open.file));
        if let Some(open) = open {
            pieces.push(Piece {
                entries: chosen(&open.table, self.from_us, self.to_us),
                file: open.file.clone(),
                run: open.run,
                clock: quality_of(&open.quality),
                sha256: None,
            });
        }
        pieces.retain(|piece| !piece.entries.is_empty());
        Ok((pieces, reading))
    }

    /// Plans the clip of `camera`, with the zero of the earliest of it and those `beside` it. Blocks.
    pub(super) fn cut(&self, camera: &CameraId, beside: &[CameraId]) -> Result<Clip, ClipError> {
        let (from_us, to_us) = (self.from_us, self.to_us);
        if to_us <= from_us || to_us.saturating_sub(from_us) > LONGEST_US {
            return Err(ClipError::Range);
        }
        let folder = self.folder;
        let index = Index::read(folder)?;
        let (pieces, reading) = self.pieces(&index, camera)?;
        if pieces.len() > MOST_SEGMENTS {
            return Err(ClipError::Pieces);
        }
        let failed = |e: io::Error| ClipError::Read(e.to_string());
        let mut heads = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let file = File::open(folder.join(&piece.file)).map_err(failed)?;
            heads.push(segment::head(BufReader::with_capacity(4096, file)).map_err(failed)?);
        }
        let first = |pieces: &[Piece]| Some(pieces.first()?.entries.first()?.wall_us);
        let nothing = || ClipError::Nothing(camera.clone());
        let starts_us = first(&pieces).ok_or_else(nothing)?;
        let mut zero_us = starts_us;
        for other in beside.iter().filter(|other| *other != camera) {
            zero_us = zero_us.min(first(&self.pieces(&index, other)?.0).unwrap_or(starts_us));
        }
        // Decoding runs ahead of the pictures by a segment's shift, and begins at zero.
        let lead = heads.iter().map(|(head, _)| head.shift).max().unwrap_or(0);
        // With B-frames an index would have to tell decoding from showing, and players do not agree on it.
        let count: usize = pieces.iter().map(|piece| piece.entries.len()).sum();
        let indexed = lead == 0 && count <= MOST_INDEXED;
        let mut plan = Plan { lead, zero_us, indexed, ..Plan::default() };
        for (piece, (head, entry)) in pieces.iter().zip(heads) {
            plan.add(folder, piece, &head, entry).map_err(failed)?;
        }
        let ends_us = plan.ends_us.ok_or_else(nothing)?;
        let entry = plan.entry.take().ok_or_else(nothing)?;
        let mut front = segment::init(&SampleEntry { sound: plan.sound.take(), ..entry.clone() });
        front.extend(plan.index().unwrap_or_default());
        let mut parts = vec![Part::Init(front.into())];
        parts.append(&mut plan.parts);
        let mut description = Vec::new();
        parts.iter().for_each(|part| part.describe(folder, &mut description));
        let mut gaps = index.gaps(camera, starts_us, ends_us)?;
        gaps.retain(|gap| gap.from_us >= starts_us && gap.from_us < ends_us);
        let clock = plan.segments.iter().map(|used| used.clock).reduce(least);
        Ok(Clip {
            camera: camera.clone(),
            zero_us,
            starts_us,
            ends_us,
            frames: plan.frames,
            codec: entry.codec,
            rest_from_us: plan.rest_from_us,
            clock: clock.unwrap_or(ClockQuality::Unconfirmed),
            gaps,
            segments: plan.segments,
            tag: Digest::of(&description),
            parts,
            _reading: reading,
        })
    }
}

impl Clip {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether it has no bytes: never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, or those in `range`, a fragment at a time, read as they are asked for.
    pub fn stream(self, range: Option<Range<u64>>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let range = range.unwrap_or(0..u64::MAX);
        stream::try_unfold((self, 0usize, 0u64), move |(clip, mut next, mut at)| {
            let range = range.clone();
            async move {
                loop {
                    let Some(part) = clip.parts.get(next).cloned() else { return Ok(None) };
                    let (begin, end) = (at, at + part.len());
                    (next, at) = (next + 1, end);
                    if begin >= range.end {
                        return Ok(None);
                    }
                    if end <= range.start {
                        continue;
                    }
                    let bytes = tokio::task::spawn_blocking(move || part.read())
                        .await
                        .map_err(io::Error::other)??;
                    let inside = |at: u64| usize::try_from(at.clamp(begin, end) - begin).unwrap_or(0);
                    let bytes = bytes.slice(inside(range.start)..inside(range.end));
                    return Ok(Some((bytes, (clip, next, at))));
                }
            }
        })
    }
}

/// A clip as it grows.
#[derive(Default)]
struct Plan {
    /// What the clip begins with.
    entry: Option<SampleEntry>,
    /// Its sound: the first that there is.
    sound: Option<Arc<Sound>>,
    /// Where its sound ends so far, in ticks.
    sound_end: i64,
    /// The camera has changed what it sends.
    changed: bool,
    rest_from_us: Option<i64>,
    parts: Vec<Part>,
    segments: Vec<SegmentUse>,
    frames: u64,
    zero_us: i64,
    ends_us: Option<i64>,
    /// The largest shift of its segments, in ticks.
    lead: i64,
    /// Players are given an index, so that they know its length and seek in it.
    indexed: bool,
    /// When each fragment begins in the clip, in ticks, and whether with a key frame; where there is to be an index.
    begins: Vec<(i64, bool)>,
    /// The run of the piece before, where its decoding ends in the clip, and how long one of its frames is, in ticks.
    before: Option<(u64, i64, i64)>,
}

impl Plan {
    fn add(&mut self, folder: &Path, piece: &Piece, head: &Head, mut entry: SampleEntry) -> io::Result<()> {
        let path = Arc::new(folder.join(&piece.file));
        let file = File::open(path.as_path())?;
        let (Some(first), Some(last)) = (piece.entries.first(), piece.entries.last()) else { return Ok(()) };
        if self.rest_from_us.is_some() {
            return Ok(());
        }
        let sound = entry.sound.take();
        if self.sound.is_none() {
            self.sound.clone_from(&sound);
        }
        // From the first change on every key frame carries its parameter sets, so that a player can begin at any.
        let begun = self.entry.get_or_insert_with(|| entry.clone());
        self.changed |= *begun != entry;
        let same_codec = begun.names() == entry.names();
        let sets = if self.changed && same_codec { segment::in_band(&entry).map(Bytes::from) } else { None };
        if self.changed && sets.is_none() {
            self.rest_from_us = Some(first.wall_us);
            return Ok(());
        }
        let time = |entry: &Entry| -> io::Result<i64> {
            let mut moof = [0; MOOF_TIME + 8];
            file.read_exact_at(&mut moof, entry.at + segment::MARK as u64)?;
            time_of(&moof).ok_or_else(|| io::ErrorKind::InvalidData.into())
        };
        // Pictures stand where the wall clock says.
        let (begins, ends) =
            (time(first)?, time(last)? + ticks(i64::try_from(last.duration_us).unwrap_or(0)));
        let mut target = ticks(first.wall_us - self.zero_us) + self.lead - head.shift;
        if let Some((run, end, frame)) = self.before {
            // Within a run a segment begins where the one before it ended, but for half a frame by which it may follow
            // the wall clock; after a gap it may not begin before that end either.
            let (least, most) = (end - frame / 2, end + frame / 2);
            target = if run == piece.run { target.clamp(least, most) } else { target.max(end) };
        }
        let shift = target - begins;
        let muted = sound != self.sound;
        let mut sound_shift = shift;
        if sound.is_some() && !muted {
            // Sound follows the sound before it: it may hang over the pictures' end by a piece.
            let span = |entry: &Entry| sound_span(&file, entry);
            if let Some((begins, _)) =
                piece.entries.iter().find_map(|entry| span(entry).transpose()).transpose()?
            {
                sound_shift = sound_shift.max(self.sound_end - begins);
            }
            if let Some((_, ends)) =
                piece.entries.iter().rev().find_map(|entry| span(entry).transpose()).transpose()?
            {
                self.sound_end = ends + sound_shift;
            }
        }
        let frames: u64 = piece.entries.iter().map(|entry| u64::from(entry.frames)).sum();
        let length: i64 = (ends - begins).max(1);
        self.before = Some((piece.run, ends + shift, length / i64::try_from(frames.max(1)).unwrap_or(1)));
        for entry in &piece.entries {
            if self.indexed {
                self.begins.push((time(entry)? + shift, entry.key));
            }
            let number = u32::try_from(self.parts.len() + 1).unwrap_or(u32::MAX);
            self.parts.push(Part::Fragment {
                file: path.clone(),
                at: entry.at + segment::MARK as u64,
                len: entry.len.saturating_sub(segment::MARK as u32),
                number,
                before: sets.clone().filter(|_| entry.key),
                shift,
                sound_shift,
                muted,
            });
        }
        self.segments.extend(piece.told());
        self.frames += frames;
        self.ends_us = Some(self.ends_us.unwrap_or(i64::MIN).max(last.end_us()));
        Ok(())
    }
}

impl Plan {
    /// The index of its parts: one stretch for each key frame.
    fn index(&self) -> Option<Vec<u8>> {
        if self.begins.len() != self.parts.len() {
            return None;
        }
        let (_, end, _) = self.before?;
        let mut stretches: Vec<(u64, i64)> = Vec::new();
        for (part, (begins, key)) in self.parts.iter().zip(&self.begins) {
            match stretches.last_mut() {
                Some((bytes, _)) if !key => *bytes += part.len(),
                _ => stretches.push((part.len(), *begins)),
            }
        }
        let ends = stretches.iter().skip(1).map(|(_, begins)| *begins).chain([end]);
        let listed: Option<Vec<Stretch>> = stretches
            .iter()
            .zip(ends)
            .map(|((bytes, begins), end)| {
                let (bytes, ticks) = (u32::try_from(*bytes).ok()?, u32::try_from(end - begins).ok()?);
                Some(Stretch { bytes, ticks })
            })
            .collect();
        segment::sidx(u64::try_from(stretches.first()?.1).ok()?, &listed?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(wall_us: i64, key: bool) -> Entry {
        Entry { at: 0, len: 1, wall_us, duration_us: 1_000_000, frames: 25, key }
    }

    #[test]
    fn a_clip_begins_with_the_key_frame_before_it() {
        let table = Table((0..6).map(|n| entry(n * 1_000_000, n % 3 == 0)).collect());
        let walls =
            |from, to| chosen(&table, from, to).iter().map(|e| e.wall_us / 1_000_000).collect::<Vec<_>>();
        assert_eq!(walls(1_500_000, 1_600_000), [0, 1]);
        assert_eq!(walls(3_000_000, 4_000_000), [3]);
        assert_eq!(walls(2_900_000, 4_000_001), [0, 1, 2, 3, 4]);
        assert_eq!(walls(6_000_000, 9_000_000), [0i64; 0]);
        assert_eq!(walls(-5, 0), [0i64; 0]);
    }
}
