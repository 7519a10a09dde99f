//! The disk of the recordings: whether it is the one it was, and how much room there is.
//!
//! A marker file names the node and the disk; the data folder remembers the disk's name. An empty mount point, a disk of
//! another hall or a swapped one is told from this before a byte is written.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use control_protocol::NodeId;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::{journal::free_bytes, vault::write_private};

/// The marker below the folder of recordings.
const MARKER: &str = "hallwatch-recordings.json";
/// What the data folder remembers.
const KNOWN: &str = "recordings-disk.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    v: u16,
    node: NodeId,
    disk: String,
}

/// Why a disk is not written to.
#[derive(Debug, thiserror::Error)]
pub enum BadDisk {
    /// The marker of another node.
    #[error("{folder} holds the recordings of {other}: mount the right disk, or empty it")]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose they are.
        other: NodeId,
    },
    /// Not the disk that was used before.
    #[error(
        "{folder} is not the disk that was recorded to before (not mounted, or swapped): mount it, or take this one with \
         `edge-agent recordings adopt`"
    )]
    Swapped {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be read or written.
    #[error("the disk of the recordings at {folder}: {why}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

/// A disk that may be written to.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    device: u64,
}

fn load(path: &Path) -> io::Result<Option<Marker>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

impl Disk {
    /// Takes the disk at `folder` for `node`, whose data folder is `data`. With `adopt`, one that is new to the node too.
    ///
    /// # Errors
    /// It is not this node's, not the one it was, or cannot be read.
    pub fn take(folder: &Path, data: &Path, node: &NodeId, adopt: bool) -> Result<Self, BadDisk> {
        let io = |why| BadDisk::Io { folder: folder.to_owned(), why };
        let (marker, known) = (folder.join(MARKER), data.join(KNOWN));
        let found = load(&marker).map_err(io)?;
        let before = load(&known).map_err(io)?.filter(|_| !adopt);
        let marker_now = match (found, before) {
            (Some(found), _) if found.node != *node => {
                return Err(BadDisk::Foreign { folder: folder.to_owned(), other: found.node });
            }
            (Some(found), Some(before)) if found.disk == before.disk => found,
            (Some(found), None) => found,
            (_, Some(_)) => return Err(BadDisk::Swapped { folder: folder.to_owned() }),
            (None, None) => {
                let mut bytes = [0; 12];
                SystemRandom::new().fill(&mut bytes).map_err(|_| io(io::Error::other("no random bytes")))?;
                let new = Marker { v: 1, node: node.clone(), disk: data_encoding::HEXLOWER.encode(&bytes) };
                let text = serde_json::to_vec(&new).map_err(|e| io(io::Error::other(e)))?;
                write_private(&marker, &text).map_err(io)?;
                new
            }
        };
        let text = serde_json::to_vec(&marker_now).map_err(|e| io(io::Error::other(e)))?;
        write_private(&known, &text).map_err(io)?;
        let device = fs::metadata(folder).map_err(io)?.dev();
        Ok(Self { folder: folder.to_owned(), device })
    }

    /// Whether it is still there: a disk that was unmounted leaves its mount point.
    pub fn still_there(&self) -> bool {
        fs::metadata(&self.folder).is_ok_and(|meta| meta.dev() == self.device)
            && self.folder.join(MARKER).exists()
    }

    /// Bytes free for this program.
    pub fn free(&self) -> Option<u64> {
        free_bytes(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_disk_is_taken_and_others_are_told_apart() {
        let (data, recordings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node: NodeId = "hall-450103-01".parse().unwrap();
        let take = |folder: &Path, node: &NodeId, adopt| Disk::take(folder, data.path(), node, adopt);
        let disk = take(recordings.path(), &node, false).unwrap();
        assert!(disk.still_there() && disk.free().is_some());
        take(recordings.path(), &node, false).unwrap();
        let other: NodeId = "hall-450103-02".parse().unwrap();
        assert!(matches!(take(recordings.path(), &other, true), Err(BadDisk::Foreign { .. })));
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(take(empty.path(), &node, false), Err(BadDisk::Swapped { .. })));
        take(empty.path(), &node, true).unwrap();
        assert!(matches!(take(recordings.path(), &node, false), Err(BadDisk::Swapped { .. })));
        std::fs::remove_file(empty.path().join(MARKER)).unwrap();
        assert!(!Disk { folder: empty.path().to_owned(), device: disk.device }.still_there());
    }
}
