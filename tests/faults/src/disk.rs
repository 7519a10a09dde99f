//! The layer below a program's file calls (`layer/disk.c`), from the side of who orders the faults, and the model of a power
//! cut: from the log of every write and flush, what a disk may hold after the current went.
//!
//! The model's rules. What a flush covered is there. Of what no flush covered, each write is there, is not, or is there
//! in part (each sector of 512 bytes by lot), whatever came after it. Names (new files, renames, removals) are kept in
//! order, as journalling file systems do, up to some point after the last flush of anything.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use region::process::run;

use crate::lot::Lot;

/// What disks write as a whole.
const SECTOR: usize = 512;
/// Space that the agent keeps for events; it has no content.
const RESERVE: &str = "reserve";

/// The layer's source, compiled by whatever compiles the project's C.
const SOURCE: &str = include_str!("../layer/disk.c");

/// The layer below one program.
pub(crate) struct Layer {
    library: PathBuf,
    control: File,
    control_path: PathBuf,
    log: PathBuf,
}

/// Places in the control file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Figure {
    Writes = 0,
    FullFrom = 1,
    Flushes = 2,
    FlushFails = 3,
    Refused = 4,
    Failed = 5,
    ClockAhead = 6,
    Hangs = 7,
}

impl Layer {
    /// Compiles the layer into `folder`.
    pub(crate) async fn make(folder: &Path) -> Result<Self> {
        let source = folder.join("disk.c");
        fs::write(&source, SOURCE)?;
        let library = folder.join("disk.so");
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
        let (from, to) = (text(&source)?, text(&library)?);
        run(Path::new("cc"), &["-shared", "-fPIC", "-O1", "-o", &to, &from], "")
            .await
            .context("compiling the disk layer")?;
        let control_path = folder.join("disk.control");
        let control =
            File::options().create(true).truncate(true).read(true).write(true).open(&control_path)?;
        control.write_all_at(&[0; 64], 0)?;
        Ok(Self { library, control, control_path, log: folder.join("disk.log") })
    }

    /// The environment of a program whose files below `data` are to be under the layer. With `logged`, every write is kept.
    pub(crate) fn environment(&self, data: &Path, logged: bool) -> Vec<(String, String)> {
        let mut all = vec![
            ("LD_PRELOAD".to_owned(), self.library.display().to_string()),
            ("HALLWATCH_DISK_FOLDER".to_owned(), data.display().to_string()),
            ("HALLWATCH_DISK_CONTROL".to_owned(), self.control_path.display().to_string()),
        ];
        if logged {
            all.push(("HALLWATCH_DISK_LOG".to_owned(), self.log.display().to_string()));
        }
        all
    }

    /// Reads a figure.
    pub(crate) fn read(&self, figure: Figure) -> Result<u64> {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, figure as u64 * 8)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Sets a figure.
    pub(crate) fn set(&self, figure: Figure, to: u64) -> Result<()> {
        Ok(self.control.write_all_at(&to.to_ne_bytes(), figure as u64 * 8)?)
    }

    /// The log so far, and begins a new one. Nobody may be writing it.
    pub(crate) fn take_log(&self) -> Result<Vec<Change>> {
        let bytes = fs::read(&self.log).unwrap_or_default();
        if self.log.exists() {
            fs::remove_file(&self.log)?;
        }
        changes(&bytes)
    }
}

/// One line of the log.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Where in the log it stands.
    at: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Open {
        handle: u64,
        path: PathBuf,
        flags: i64,
    },
    Write {
        handle: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        handle: u64,
        length: u64,
    },
    /// Covers what stands before this place in the log.
    Flush {
        handle: u64,
        covers: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    MakeFolder,
}

fn changes(log: &[u8]) -> Result<Vec<Change>> {
    const HEAD: usize = 32;
    let mut found = Vec::new();
    let mut at = 0usize;
    while let Some(head) = log.get(at..at + HEAD) {
        let u32_at = |from: usize| u32::from_ne_bytes(head[from..from + 4].try_into().unwrap_or_default());
        let u64_at = |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().unwrap_or_default());
        let (kind, path_length) = (u32_at(0), u32_at(4) as usize);
        let (handle, offset, length) = (u64_at(8), u64_at(16), u64_at(24));
        let path_at = at + HEAD;
        let Some(path) = log.get(path_at..path_at + path_length) else { break };
        let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
        let bytes_at = path_at + path_length;
        let carried = if matches!(kind, 2 | 5) { usize::try_from(length)? } else { 0 };
        // The last line may be torn: what it tells of was under way at the kill, and no flush covers it.
        let Some(bytes) = log.get(bytes_at..bytes_at + carried) else { break };
        let what = match kind {
            1 => What::Open { handle, path, flags: offset as i64 },
            2 => What::Write { handle, offset, bytes: bytes.to_vec() },
            3 => What::Truncate { handle, length: offset },
            4 => What::Flush { handle, covers: offset },
            5 => What::Rename { from: path, to: PathBuf::from(String::from_utf8_lossy(bytes).into_owned()) },
            6 => What::Unlink { path },
            7 => What::MakeFolder,
            other => bail!("the disk's log is not one: kind {other} at {at}"),
        };
        found.push(Change { at: at as u64, what });
        at = bytes_at + carried;
    }
    Ok(found)
}

/// The files below a folder, by path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    names: BTreeMap<PathBuf, usize>,
    contents: Vec<Vec<u8>>,
}

/// What a power cut did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Damage {
    pub(crate) lost: u64,
    pub(crate) torn: u64,
    pub(crate) names: u64,
}

impl Disk {
    /// What lies below `folder` now, all of it taken as durable.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut disk = Self::default();
        disk.gather(folder)?;
        Ok(disk)
    }

    fn gather(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?;
            if kind.is_dir() {
                self.gather(&path)?;
            } else if kind.is_file() && path.file_name().is_none_or(|name| name != RESERVE) {
                self.names.insert(path.clone(), self.contents.len());
                self.contents.push(fs::read(&path)?);
            }
        }
        Ok(())
    }

    /// Makes the files below `folder` be these. Folders stay.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        remove_files(folder)?;
        for (path, at) in &self.names {
            // SQLite makes the index of its log anew, from the log.
            if path.to_string_lossy().ends_with("-shm") {
                continue;
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, &self.contents[*at])?;
        }
        Ok(())
    }

    /// The disk after these changes and a power cut at their end.
    pub(crate) fn after_a_cut(mut self, changes: &[Change], lot: &mut Lot) -> (Self, Damage) {
        let mut damage = Damage::default();
        let last_flush = changes
            .iter()
            .filter_map(|change| match change.what {
                What::Flush { covers, .. } => Some(covers),
                _ => None,
            })
            .max()
            .unwrap_or(0);
        // Names are kept in order up to some point after the last flush.
        let end = changes.last().map_or(0, |change| change.at + 1);
        let names_until = lot.below(last_flush, end + 1);
        let flushes = self.flushes(changes);
        let mut objects: BTreeMap<u64, usize> = BTreeMap::new();
        // What has no name on the disk any more, or not yet, and is still written to.
        let mut names_now = self.names.clone();
        for change in changes {
            let kept = change.at < names_until;
            match &change.what {
                What::Open { handle, path, flags } => {
                    let known = names_now.get(path).copied();
                    let at = known.unwrap_or_else(|| {
                        self.contents.push(Vec::new());
                        self.contents.len() - 1
                    });
                    // What is opened without being there, and is not made, is a folder: flushed at most.
                    if known.is_none() && made(*flags) {
                        names_now.insert(path.clone(), at);
                        if kept {
                            self.names.insert(path.clone(), at);
                        } else {
                            damage.names += 1;
                        }
                    }
                    if flags & i64::from(rustix::fs::OFlags::TRUNC.bits()) != 0 {
                        self.contents[at].clear();
                    }
                    objects.insert(*handle, at);
                }
                What::Write { handle, offset, bytes } => {
                    let Some(at) = objects.get(handle).copied() else { continue };
                    let covered = flushes.get(&at).is_some_and(|until| change.at < *until);
                    self.put(at, usize::try_from(*offset).unwrap_or(0), bytes, covered, lot, &mut damage);
                }
                What::Truncate { handle, length } => {
                    let Some(at) = objects.get(handle).copied() else { continue };
                    let covered = flushes.get(&at).is_some_and(|until| change.at < *until);
                    if covered || lot.once_in(2) {
                        self.contents[at].resize(usize::try_from(*length).unwrap_or(0), 0);
                    }
                }
                What::Rename { from, to } => {
                    if let Some(at) = names_now.remove(from) {
                        names_now.insert(to.clone(), at);
                        if kept {
                            self.names.remove(from);
                            self.names.insert(to.clone(), at);
                        } else {
                            damage.names += 1;
                        }
                    }
                }
                What::Unlink { path } => {
                    names_now.remove(path);
                    if kept {
                        self.names.remove(path);
                    } else {
                        damage.names += 1;
                    }
                }
                What::Flush { .. } | What::MakeFolder => {}
            }
        }
        (self, damage)
    }

    /// For each file, up to which place in the log it is flushed.
    fn flushes(&self, changes: &[Change]) -> BTreeMap<usize, u64> {
        let (mut names, mut next) = (self.names.clone(), self.contents.len());
        let mut objects = BTreeMap::new();
        let mut flushes: BTreeMap<usize, u64> = BTreeMap::new();
        for change in changes {
            match &change.what {
                What::Open { handle, path, flags } => {
                    let at = names.get(path).copied().unwrap_or_else(|| {
                        next += 1;
                        next - 1
                    });
                    if made(*flags) {
                        names.insert(path.clone(), at);
                    }
                    objects.insert(*handle, at);
                }
                What::Flush { handle, covers } => {
                    if let Some(at) = objects.get(handle) {
                        let until = flushes.entry(*at).or_default();
                        *until = (*until).max(*covers);
                    }
                }
                What::Rename { from, to } => {
                    if let Some(at) = names.remove(from) {
                        names.insert(to.clone(), at);
                    }
                }
                What::Unlink { path } => {
                    names.remove(path);
                }
                _ => {}
            }
        }
        flushes
    }

    fn put(
        &mut self,
        at: usize,
        offset: usize,
        bytes: &[u8],
        covered: bool,
        lot: &mut Lot,
        damage: &mut Damage,
    ) {
        let fate = if covered { 0 } else { lot.below(0, 3) };
        if fate == 1 {
            damage.lost += 1;
            return;
        }
        damage.torn += u64::from(fate == 2);
        let content = &mut self.contents[at];
        let mut from = 0;
        while from < bytes.len() {
            let sector_ends = ((offset + from) / SECTOR + 1) * SECTOR - offset;
            let to = sector_ends.min(bytes.len());
            if fate == 0 || lot.once_in(2) {
                if content.len() < offset + to {
                    content.resize(offset + to, 0);
                }
                content[offset + from..offset + to].copy_from_slice(&bytes[from..to]);
            }
            from = to;
        }
    }
}

/// Whether a file is made where there is none.
fn made(flags: i64) -> bool {
    flags & i64::from(rustix::fs::OFlags::CREATE.bits()) != 0
}

fn remove_files(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            remove_files(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKE: i64 = rustix::fs::OFlags::CREATE.bits() as i64;

    fn write(at: u64, handle: u64, offset: u64, byte: u8, length: usize) -> Change {
        Change { at, what: What::Write { handle, offset, bytes: vec![byte; length] } }
    }

    /// What a flush covered is there whatever the lot says; what it did not cover is there, in part or not.
    #[test]
    fn what_was_flushed_is_there_and_the_rest_may_be() {
        let path = PathBuf::from("/d/file");
        let changes = [
            Change { at: 0, what: What::Open { handle: 1, path: path.clone(), flags: MAKE } },
            write(10, 1, 0, 1, 1024),
            Change { at: 20, what: What::Flush { handle: 1, covers: 20 } },
            write(30, 1, 512, 2, 1024),
        ];
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let (disk, _) = Disk::default().after_a_cut(&changes, &mut Lot::new(seed));
            let content = &disk.contents[disk.names[&path]];
            assert_eq!(content[..512], [1; 512]);
            assert!(content[512..1024] == [1; 512] || content[512..1024] == [2; 512]);
            ends.insert((content[512], content.len()));
        }
        assert_eq!(ends.into_iter().collect::<Vec<_>>(), [(1, 1024), (1, 1536), (2, 1024), (2, 1536)]);
    }

    #[test]
    fn names_go_back_in_order() {
        let (a, b) = (PathBuf::from("/d/a"), PathBuf::from("/d/b"));
        let changes = [
            Change { at: 0, what: What::Open { handle: 1, path: a.clone(), flags: MAKE } },
            write(10, 1, 0, 1, 4),
            Change { at: 20, what: What::Flush { handle: 1, covers: 20 } },
            Change { at: 30, what: What::Rename { from: a.clone(), to: b.clone() } },
        ];
        let mut seen = [false; 2];
        for seed in 0..300 {
            let (disk, damage) = Disk::default().after_a_cut(&changes, &mut Lot::new(seed));
            let renamed = disk.names.contains_key(&b);
            assert_ne!(renamed, disk.names.contains_key(&a));
            assert_eq!(damage.names, u64::from(!renamed));
            seen[usize::from(renamed)] = true;
        }
        assert_eq!(seen, [true, true]);
    }
}
