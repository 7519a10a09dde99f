//! Room on the disk that is kept for events: a file of zeros that is given up when the disk is full, and made again
//! when there is space to spare. Video can take the rest of the disk, never this.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
};

/// How much is kept: years of events of one hall between two warnings.
pub(super) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    held: bool,
}

impl Reserve {
    /// Takes the reserve if there is space for it twice over, else goes without.
    pub(super) fn open(path: PathBuf) -> Self {
        let held = std::fs::metadata(&path).is_ok_and(|m| m.len() >= RESERVE_BYTES);
        let mut reserve = Self { path, held };
        reserve.take_back();
        reserve
    }

    /// Gives the room up; `false` if there is none to give.
    pub(super) fn give_up(&mut self) -> bool {
        if !self.held {
            return false;
        }
        self.held = false;
        std::fs::remove_file(&self.path).is_ok()
    }

    /// Takes the room again if there is plenty.
    pub(super) fn take_back(&mut self) {
        if self.held || free_bytes(&self.path).is_none_or(|free| free < RESERVE_BYTES * 2) {
            return;
        }
        match self.allocate() {
            Ok(()) => self.held = true,
            Err(e) => {
                tracing::warn!("no room can be kept for events: {e}");
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&self.path)?;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES)?;
        file.sync_all()
    }
}

/// The free bytes of the file system that `path` lies or would lie in.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
