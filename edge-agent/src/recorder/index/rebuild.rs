//! The index made again from the segments; and segments brought to what is whole in them. Both read every byte.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use control_protocol::CameraId;
use serde::Serialize;

use super::{
    super::segment::{Scanned, scan},
    FILE, Gap, Index, IndexError, SegmentRow,
};

/// What was found on the way.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// Segments.
    pub segments: usize,
    /// Frames.
    pub frames: u64,
    /// What is not whole, a line each.
    pub faults: Vec<String>,
}

/// A row from what a file itself says. None where there is no whole fragment in it.
pub(in super::super) fn row_of(id: i64, file: &str, s: &Scanned) -> Option<SegmentRow> {
    let first = s.first?;
    Some(SegmentRow {
        id,
        camera: s.head.camera.clone(),
        run: s.head.run,
        part: s.head.part,
        file: file.to_owned(),
        start_us: s.table.start_us()?,
        end_us: s.table.end_us()?,
        mono_us: first.mono_us,
        boot: s.head.boot.clone(),
        quality: quality(first.quality),
        codec: s.head.codec.clone(),
        width: s.head.width,
        height: s.head.height,
        head_len: s.head_len,
        bytes: s.good,
        digest: s.digest,
        table: s.table.clone(),
    })
}

/// A clock's quality as it stands in JSON and in the index.
pub(in super::super) fn quality(quality: impl Serialize) -> String {
    serde_json::to_value(quality).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The gap that the first segment of a run says was before it.
fn gap_of(s: &Scanned) -> Option<Gap> {
    let (from_us, why) = s.head.gap.clone()?;
    Some(Gap { camera: s.head.camera.clone(), from_us, to_us: Some(s.table.start_us()?), why })
}

/// The segment files below `folder`, in order.
///
/// # Errors
/// A folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let folders = |path: &Path| -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                paths.push(entry.path());
            }
        }
        Ok(paths)
    };
    for camera in folders(folder)? {
        for day in folders(&camera)? {
            for entry in fs::read_dir(&day)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "mp4")
                    && let Some(name) = path.strip_prefix(folder).ok().and_then(Path::to_str)
                {
                    found.push(name.to_owned());
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Scans one file below `folder`.
///
/// # Errors
/// It cannot be read, or is no segment.
pub fn scan_file(folder: &Path, file: &str) -> io::Result<Scanned> {
    scan(BufReader::with_capacity(256 * 1024, File::open(folder.join(file))?))
}

/// Cuts a file at the end of what is whole in it, and syncs it.
pub(in super::super) fn cut(folder: &Path, file: &str, scanned: &Scanned) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(folder.join(file))?;
    if file.metadata()?.len() > scanned.good {
        file.set_len(scanned.good)?;
    }
    file.sync_all()
}

/// Makes the index below `folder` again from its segments and `holds.json`. The one that is there is put aside as
/// `index.sqlite.old`. Nothing may record meanwhile. Blocks.
///
/// # Errors
/// The disk's; the old index is then still there.
pub fn rebuild(folder: &Path) -> Result<Found, IndexError> {
    let failed = |e: io::Error| IndexError::Failed(e.to_string());
    let holds = Index::kept_holds(folder)?;
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (folder.join(format!("{FILE}{suffix}")), folder.join(format!("{FILE}.old{suffix}")));
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
    }
    let (index, _) = Index::open(folder)?;
    let mut found = Found::default();
    let all = index.db.unchecked_transaction()?;
    for file in files(folder).map_err(failed)? {
        let scanned = match scan_file(folder, &file) {
            Ok(scanned) => scanned,
            Err(e) => {
                found.faults.push(format!("{file}: {e}"));
                continue;
            }
        };
        if let Some(bad) = scanned.bad {
            found.faults.push(format!("{file}: whole up to byte {}: {}", bad.at, bad.why));
            cut(folder, &file, &scanned).map_err(failed)?;
        }
        let Some(start_us) = scanned.table.start_us() else {
            found.faults.push(format!("{file}: nothing in it is whole"));
            continue;
        };
        let id = match index.begin(&scanned.head, &file, start_us) {
            Ok(id) => id,
            // Two files that say they are the same part of the same run: a copy. The first one is taken.
            Err(IndexError::Failed(why)) => {
                found.faults.push(format!("{file}: left out: {why}"));
                continue;
            }
            Err(e) => return Err(e),
        };
        if let Some(row) = row_of(id, &file, &scanned) {
            index.seal(&row)?;
        }
        if let Some(gap) = gap_of(&scanned) {
            index.put_gap(&gap)?;
        }
        found.segments += 1;
        found.frames += scanned.table.frames();
    }
    for hold in &holds {
        index.insert_hold(hold)?;
    }
    // The journal has what the index that is gone told it; only of the newest it is not sure, and telling it again is
    // harmless.
    for sql in [
        "UPDATE segments SET told = 1 WHERE end_us < (SELECT MAX(end_us) FROM segments) - 7200000000",
        "UPDATE gaps SET told = 1 WHERE to_us < (SELECT MAX(end_us) FROM segments) - 7200000000",
    ] {
        index.db.execute(sql, [])?;
    }
    all.commit()?;
    Ok(found)
}

/// Reads every segment and compares it with the index. Blocks.
///
/// # Errors
/// The index cannot be read.
pub fn verify(folder: &Path) -> Result<Found, IndexError> {
    let index = Index::read(folder)?;
    let mut found = Found::default();
    let mut last: Option<SegmentRow> = None;
    for row in index.everything()? {
        found.segments += 1;
        found.frames += row.table.frames();
        match scan_file(folder, &row.file) {
            Err(e) => found.faults.push(format!("{}: {e}", row.file)),
            Ok(scanned) => {
                if let Some(bad) = scanned.bad {
                    found.faults.push(format!("{}: bad from byte {}: {}", row.file, bad.at, bad.why));
                } else if row_of(row.id, &row.file, &scanned).as_ref() != Some(&row) {
                    found.faults.push(format!("{}: the index says something else", row.file));
                }
                let before = last.filter(|last| last.camera == row.camera);
                // What was before may have been deleted for its age; what is there must follow.
                if let Some(before) = before
                    && before.run == row.run
                    && before.part + 1 == row.part
                    && scanned.head.prev != before.digest
                {
                    found.faults.push(format!("{}: does not follow from {}", row.file, before.file));
                }
            }
        }
        last = Some(row);
    }
    Ok(found)
}

/// The cameras that have recordings below `folder`.
///
/// # Errors
/// The index cannot be read.
pub fn cameras(folder: &Path) -> Result<Vec<CameraId>, IndexError> {
    let index = Index::read(folder)?;
    let mut cameras: Vec<CameraId> = index.everything()?.into_iter().map(|row| row.camera).collect();
    cameras.dedup();
    Ok(cameras)
}
