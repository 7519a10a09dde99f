//! The file beside the database that a restored database cannot roll back: the case numbers handed out, reserved in
//! blocks before use, and the last epoch and sequence number known. It is replaced as a whole and synced each time.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    cases::{CaseSerials, SerialError},
    vault::write_private,
};

/// How many numbers are reserved at once; a restart leaves out what is left of a block.
const BLOCK: u32 = 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    epoch: u64,
    seq: u64,
    /// Day → the highest number that may have been used.
    reserved: BTreeMap<Date, u32>,
}

/// The file, and the numbers reserved in it. Clones share it.
#[derive(Debug, Clone)]
pub struct SerialFile(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    content: Content,
    next: BTreeMap<Date, u32>,
}

/// What the file remembers of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The last epoch.
    pub epoch: u64,
    /// A sequence number that was certainly reached in it.
    pub seq: u64,
}

impl SerialFile {
    /// Reads the file; a missing one is empty, a damaged one is an error, since going on could use a number twice.
    pub fn open(path: &Path) -> io::Result<Self> {
        let content = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display()))
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(e) => return Err(e),
        };
        Ok(Self(Arc::new(Mutex::new(Inner { path: path.to_owned(), content, next: BTreeMap::new() }))))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half done by a panic: content changes only after the file is written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file remembers of the journal; zeros where it is new.
    pub fn hint(&self) -> Hint {
        let inner = self.lock();
        Hint { epoch: inner.content.epoch, seq: inner.content.seq }
    }

    /// Remembers how far the journal is.
    pub fn remember(&self, hint: Hint) -> io::Result<()> {
        let mut inner = self.lock();
        let mut content = inner.content.clone();
        (content.epoch, content.seq) = (hint.epoch, hint.seq);
        if content == inner.content { Ok(()) } else { inner.write(content) }
    }

    /// Never hands out a number of `date` up to `used`: for a database that knows more than the file.
    pub fn at_least(&self, date: Date, used: u32) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.content.reserved.get(&date).copied().unwrap_or(0) >= used {
            return Ok(());
        }
        let mut content = inner.content.clone();
        content.reserved.insert(date, used);
        inner.write(content)
    }
}

impl Inner {
    fn write(&mut self, content: Content) -> io::Result<()> {
        let bytes = serde_json::to_vec(&content).map_err(io::Error::other)?;
        write_private(&self.path, &bytes)?;
        self.content = content;
        Ok(())
    }
}

impl CaseSerials for SerialFile {
    fn next(&mut self, date: Date) -> Result<u32, SerialError> {
        let mut inner = self.lock();
        let reserved = inner.content.reserved.get(&date).copied().unwrap_or(0);
        let next = inner.next.get(&date).copied().unwrap_or(reserved + 1);
        if next >= control_protocol::case_id::TEST_SERIALS_FROM {
            return Err(SerialError::Exhausted(date));
        }
        if next > reserved {
            let mut content = inner.content.clone();
            content.reserved.insert(date, next - 1 + BLOCK);
            inner.write(content).map_err(|e| SerialError::Disk(e.to_string()))?;
        }
        inner.next.insert(date, next + 1);
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_comes_twice_over_any_number_of_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serials");
        let day = jiff::civil::date(2026, 11, 22);
        let mut last = 0;
        for start in 0..5 {
            let mut file = SerialFile::open(&path).unwrap();
            for _ in 0..(start * 17 + 1) {
                let next = file.next(day).unwrap();
                assert!(next > last);
                last = next;
            }
        }
        let mut file = SerialFile::open(&path).unwrap();
        file.at_least(day, 5_000).unwrap();
        assert_eq!(file.next(day).unwrap(), 5_001);
        assert_eq!(file.next(day.tomorrow().unwrap()).unwrap(), 1);
    }

    #[test]
    fn a_damaged_file_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serials");
        std::fs::write(&path, "{").unwrap();
        assert!(SerialFile::open(&path).is_err());
    }
}
