//! One camera on disk: its segment, its run, its gap.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{CameraId, chain::Digest};
use device_drivers::clock::Mono;

use super::{
    super::{
        Open,
        figures::Figures,
        index::{Gap, Index, IndexError, SegmentRow, rebuild::quality},
        lock,
        segment::{Fragment, Head, SampleEntry, SegmentWriter, Sequel, Table, Written},
        why::Why,
    },
    Writer,
};
use crate::config::Recording;

/// No segment is larger: its table keeps offsets, and a clip opens it whole.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// Pieces of one write.
const PIECES: usize = 512;
/// A run that begins within this of the end of the one before begins at its end: times are no better than that.
const NEAR_US: i64 = 1_000_000;

/// A segment being written.
pub(super) struct OpenSegment {
    id: i64,
    file: File,
    name: String,
    head: Head,
    entry: Arc<SampleEntry>,
    writer: SegmentWriter,
    table: Table,
    head_len: u64,
    mono_us: u64,
    quality: String,
    began: Mono,
    /// Written and not synced since.
    dirty: bool,
}

/// One camera.
pub(super) struct Track {
    pub(super) camera: CameraId,
    pub(super) open: Option<OpenSegment>,
    /// Since when nothing is recorded, and why.
    pub(super) gap: Option<(i64, String)>,
    /// The end of the last picture.
    pub(super) end_us: Option<i64>,
    /// Bytes of its sealed segments.
    pub(super) bytes: u64,
    run: u64,
    part: u32,
    digest: Digest,
    rotate_after: Duration,
    /// The open segment ends with the first key frame from this time on, whatever its age.
    ends_from_us: Option<i64>,
    synced: Mono,
}

impl Track {
    /// A camera that goes on where the index says it ended. The n-th of `count` cameras rotates and syncs a little after
    /// the one before it.
    pub(super) fn resume(
        index: &Index,
        camera: CameraId,
        settings: &Recording,
        n: u64,
        count: u64,
        now: Mono,
    ) -> Result<Self, IndexError> {
        let last = index.last(&camera)?;
        let mut gap = index.open_gap(&camera)?;
        if let (None, Some(last)) = (&gap, &last) {
            let why = Why::AgentDown.to_string();
            index.put_gap(&Gap {
                camera: camera.clone(),
                from_us: last.end_us,
                to_us: None,
                why: why.clone(),
            })?;
            gap = Some((last.end_us, why));
        }
        let share = |whole: Duration| whole.mul_f64((n + 1) as f64 / count as f64);
        Ok(Self {
            open: None,
            gap,
            end_us: last.as_ref().map(|last| last.end_us),
            bytes: index.bytes_of(&camera)?,
            run: last.as_ref().map_or(0, |last| last.run),
            part: 0,
            digest: last.map_or(Digest::ZERO, |last| last.digest),
            rotate_after: share(settings.segment),
            ends_from_us: None,
            synced: now + share(settings.sync),
            camera,
        })
    }
}

/// Writes all of `pieces`, many at a time.
fn write_all(file: &mut File, pieces: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let some = rest.len().min(PIECES);
        match file.write_vectored(rest.get(..some).unwrap_or_default()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The camera's folder, of its day's.
fn track_folder(day: &str) -> &str {
    day.split('/').next().unwrap_or(day)
}

fn no_room(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What stopped a fragment from being written.
enum Failed {
    /// The disk is full.
    Room,
    Disk(String),
    Index(IndexError),
}

impl From<IndexError> for Failed {
    fn from(e: IndexError) -> Self {
        match e {
            IndexError::Full => Self::Room,
            e => Self::Index(e),
        }
    }
}

impl Writer {
    /// When the next sync is due.
    pub(super) fn due(&self) -> Option<Mono> {
        let dirty = self.tracks.iter().filter(|t| t.open.as_ref().is_some_and(|open| open.dirty));
        dirty.map(|track| track.synced + self.s.settings.sync).min()
    }

    pub(super) fn fragment(
        &mut self,
        at: usize,
        entry: Arc<SampleEntry>,
        begins: Option<Why>,
        fragment: Fragment,
    ) {
        if self.out.is_some() {
            return;
        }
        if self.full {
            // A run that breaks off for room begins again with a key frame.
            self.break_off(at, &Why::DiskFull);
            return;
        }
        if let Err(failed) = self.try_fragment(at, entry, begins, fragment) {
            match failed {
                Failed::Room => {
                    tracing::warn!("the disk of the recordings is full");
                    self.break_off(at, &Why::DiskFull);
                    self.make_room(true);
                }
                Failed::Disk(why) => self.disk_out(why),
                Failed::Index(e) => self.disk_out(e.to_string()),
            }
        }
    }

    fn try_fragment(
        &mut self,
        at: usize,
        entry: Arc<SampleEntry>,
        begins: Option<Why>,
        mut fragment: Fragment,
    ) -> Result<(), Failed> {
        let (now, segment_time) = (self.now(), self.s.settings.segment);
        let received = fragment.bytes();
        let frames = fragment.frames.len() as u64;
        let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
        let stepped = begins == Some(Why::ClockStepped);
        if let Some(why) = begins {
            self.seal(at)?;
            let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
            track.run += 1;
            track.part = 0;
            if track.gap.is_none()
                && let Some(end_us) = track.end_us
            {
                track.gap = Some((end_us, why.to_string()));
            }
        } else if let Some(open) = &track.open {
            let old = match track.ends_from_us {
                Some(from_us) => fragment.wall_us >= from_us,
                None => now.since(open.began) >= track.rotate_after,
            };
            if fragment.key && (old || open.writer.len() >= LARGEST) || open.entry != entry {
                track.rotate_after = segment_time;
                self.seal(at)?;
            }
        } else if track.gap.is_some() {
            // It broke off here, not at the camera: the next run.
            if !fragment.key {
                return Ok(());
            }
            track.run += 1;
            track.part = 0;
        }
        let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
        if let Some(end_us) = track.end_us.filter(|_| !stepped) {
            // Times within a run rise, and runs do not overlap for the sake of some milliseconds of jitter.
            let earliest =
                track.open.as_ref().and_then(|open| open.table.0.last()).map(|last| last.wall_us + 1);
            let earliest = earliest.unwrap_or(end_us);
            if fragment.wall_us < earliest && earliest - fragment.wall_us < NEAR_US {
                fragment.wall_us = earliest;
            }
        }
        let Some(open) = track.open.as_mut() else {
            return self.begin(at, entry, fragment, received, frames);
        };
        match open.writer.add(fragment) {
            Sequel::Here(written) => self.append(at, &written, received, frames),
            Sequel::Elsewhere(fragment) if fragment.key => {
                self.seal(at)?;
                self.begin(at, entry, fragment, received, frames)
            }
            Sequel::Elsewhere(_) => {
                self.break_off(at, &Why::Behind);
                Ok(())
            }
        }
    }

    /// The first fragment of a new segment.
    fn begin(
        &mut self,
        at: usize,
        entry: Arc<SampleEntry>,
        fragment: Fragment,
        received: u64,
        frames: u64,
    ) -> Result<(), Failed> {
        let now = self.now();
        let folder = self.s.settings.folder.clone();
        let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
        if !fragment.key {
            return Ok(());
        }
        track.part += 1;
        let (start_us, mono_us) = (fragment.wall_us, fragment.mono_us);
        let gap = track.gap.take();
        let head = Head {
            v: 1,
            node: self.s.node.clone(),
            camera: track.camera.clone(),
            run: track.run,
            part: track.part,
            boot: self.s.clock.boot().to_owned(),
            codec: entry.codec.clone(),
            width: entry.width,
            height: entry.height,
            shift: 0,
            gap: gap.clone(),
            prev: track.digest,
        };
        let quality = quality(fragment.quality);
        let Some((writer, front, written)) = SegmentWriter::begin(&head, &entry, fragment) else {
            track.gap = gap;
            return Ok(());
        };
        let time =
            jiff::Timestamp::from_microsecond(start_us).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
        let day = format!("{}/{}", track.camera, time.strftime("%Y%m%d"));
        let name = format!(
            "{day}/{}.{:03}Z-{}-{}.mp4",
            time.strftime("%H%M%S"),
            start_us.rem_euclid(1_000_000) / 1000,
            track.run,
            track.part
        );
        let id = match self.index.begin(&head, &name, start_us) {
            Ok(id) => id,
            Err(e) => {
                track.gap = gap;
                track.part -= 1;
                return Err(e.into());
            }
        };
        if let Some((from_us, why)) = gap {
            let gap = Gap { camera: track.camera.clone(), from_us, to_us: Some(start_us), why };
            self.index.put_gap(&gap)?;
            self.untold = true;
        }
        let new_day = !folder.join(&day).is_dir();
        let made = || -> io::Result<File> {
            std::fs::create_dir_all(folder.join(&day))?;
            let mut file = OpenOptions::new().write(true).create_new(true).open(folder.join(&name))?;
            write_all(&mut file, &[&front])?;
            Ok(file)
        };
        let file = match made() {
            Ok(file) => file,
            Err(e) => {
                // What the head would have said is said by the next one.
                let (camera, end) = (track.camera.clone(), track.end_us);
                track.gap = head.gap.or_else(|| end.map(|end| (end, Why::DiskFull.to_string())));
                let _ = std::fs::remove_file(folder.join(&name));
                self.index.forget(id)?;
                if let Some((from_us, why)) = track.gap.clone() {
                    self.index.put_gap(&Gap { camera, from_us, to_us: None, why })?;
                }
                return Err(if no_room(&e) { Failed::Room } else { Failed::Disk(format!("{name}: {e}")) });
            }
        };
        let head_len = front.len() as u64;
        track.open = Some(OpenSegment {
            id,
            file,
            name: name.clone(),
            head,
            entry,
            writer,
            table: Table::default(),
            head_len,
            mono_us,
            quality: quality.clone(),
            began: now,
            dirty: false,
        });
        let open = Open { file: name, run: track.run, head_len, quality, table: Table::default() };
        lock(&self.s.shared.open).insert(track.camera.clone(), open);
        Figures::add(&self.s.figures.written, head_len);
        self.append(at, &written, received, frames)?;
        // A file whose name is lost is lost: the folder is synced with the first fragment.
        self.sync(at);
        let camera = folder.join(track_folder(&day));
        let new_day = if new_day { vec![camera, folder.clone()] } else { Vec::new() };
        for named in std::iter::once(folder.join(&day)).chain(new_day) {
            if let Err(e) = File::open(&named).and_then(|named| named.sync_all()) {
                return Err(Failed::Disk(format!("{}: {e}", named.display())));
            }
        }
        Ok(())
    }

    fn append(&mut self, at: usize, written: &Written, received: u64, frames: u64) -> Result<(), Failed> {
        let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
        let Some(open) = track.open.as_mut() else { return Ok(()) };
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(written.data.len() + 1);
        pieces.push(&written.front);
        pieces.extend(written.data.iter().map(Bytes::as_ref));
        if let Err(e) = write_all(&mut open.file, &pieces) {
            // What is half written is taken back, so that the segment ends with a whole fragment.
            if let Err(e) = open.file.set_len(written.entry.at) {
                return Err(Failed::Disk(format!("{}: {e}", open.name)));
            }
            open.writer.take_back();
            return Err(if no_room(&e) { Failed::Room } else { Failed::Disk(format!("{}: {e}", open.name)) });
        }
        open.dirty = true;
        open.table.0.push(written.entry);
        track.end_us = Some(written.entry.end_us());
        if let Some(shown) = lock(&self.s.shared.open).get_mut(&track.camera) {
            shown.table.0.push(written.entry);
        }
        let figures = &self.s.figures;
        Figures::add(&figures.frames, frames);
        Figures::add(&figures.received, received);
        Figures::add(&figures.written, u64::from(written.entry.len));
        Ok(())
    }

    /// Syncs whatever is due.
    pub(super) fn sync_due(&mut self) {
        let now = self.now();
        for at in 0..self.tracks.len() {
            let due = self.tracks.get(at).is_some_and(|track| {
                track.open.as_ref().is_some_and(|open| open.dirty)
                    && now >= track.synced + self.s.settings.sync
            });
            if due {
                self.sync(at);
            }
        }
    }

    fn sync(&mut self, at: usize) {
        let begun = self.now();
        let Some(track) = self.tracks.get_mut(at) else { return };
        let Some(open) = track.open.as_mut().filter(|open| open.dirty) else { return };
        if let Err(e) = open.file.sync_data() {
            let why = format!("{}: fdatasync: {e}", open.name);
            self.disk_out(why);
            return;
        }
        open.dirty = false;
        track.synced = begun;
        self.s.figures.syncs.add(self.s.clock.now_mono().since(begun));
    }

    /// Ends the camera's segment: on disk, and then in the index.
    fn seal(&mut self, at: usize) -> Result<(), Failed> {
        self.sync(at);
        if let Some(why) = &self.out {
            return Err(Failed::Disk(why.clone()));
        }
        let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
        track.ends_from_us = None;
        let Some(open) = track.open.take() else { return Ok(()) };
        let (Some(start_us), Some(end_us)) = (open.table.start_us(), open.table.end_us()) else {
            // Not even its first fragment found room.
            lock(&self.s.shared.open).remove(&track.camera);
            track.gap = open.head.gap.or(track.gap.take());
            track.part = track.part.saturating_sub(1);
            let _ = std::fs::remove_file(self.s.settings.folder.join(&open.name));
            self.index.forget(open.id)?;
            if let Some((from_us, why)) = track.gap.clone() {
                let gap = Gap { camera: track.camera.clone(), from_us, to_us: None, why };
                self.index.put_gap(&gap)?;
            }
            return Ok(());
        };
        let row = SegmentRow {
            id: open.id,
            camera: track.camera.clone(),
            run: open.head.run,
            part: open.head.part,
            file: open.name,
            start_us,
            end_us,
            mono_us: open.mono_us,
            boot: open.head.boot,
            quality: open.quality,
            codec: open.head.codec,
            width: open.head.width,
            height: open.head.height,
            head_len: open.head_len,
            bytes: open.writer.len(),
            digest: open.writer.digest(),
            table: open.table,
        };
        track.digest = row.digest;
        track.bytes += row.bytes;
        Figures::add(&self.s.figures.sealed, 1);
        self.index.seal(&row)?;
        self.untold = true;
        // Only now: until it stands in the index it is found here.
        lock(&self.s.shared.open).remove(&track.camera);
        Ok(())
    }

    /// The segments of these cameras that are being written end with the first key frame from `to_us` on, or from now on where
    /// that is still to come.
    pub(in crate::recorder) fn end_from(&mut self, to_us: i64, cameras: &[CameraId]) {
        let to_us = to_us.min(self.now_us());
        let open = |track: &&mut Track| track.open.is_some() && cameras.contains(&track.camera);
        self.tracks.iter_mut().filter(open).for_each(|track| track.ends_from_us = Some(to_us));
    }

    /// Recording of a camera breaks off: its segment is sealed and a gap begins.
    pub(super) fn break_off(&mut self, at: usize, why: &Why) {
        if self.out.is_some() {
            return;
        }
        match self.seal(at) {
            Ok(()) => {}
            // A row that finds no room is mended at the next start; the bytes are there.
            Err(Failed::Room) => tracing::warn!("the recording index finds no room"),
            Err(Failed::Disk(why)) => return self.disk_out(why),
            Err(Failed::Index(e)) => return self.disk_out(e.to_string()),
        }
        let Some(track) = self.tracks.get_mut(at) else { return };
        let (None, Some(end_us)) = (&track.gap, track.end_us) else { return };
        track.gap = Some((end_us, why.to_string()));
        let gap = Gap { camera: track.camera.clone(), from_us: end_us, to_us: None, why: why.to_string() };
        tracing::info!(camera = %gap.camera, "recording breaks off: {why}");
        if let Err(e) = self.index.put_gap(&gap) {
            self.index_failed(&e);
        }
        if matches!(why, Why::DiskFull) {
            self.say(Some(&gap.camera), super::of_gap(&gap));
        }
    }
}
