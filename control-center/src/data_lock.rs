//! Whose the data folder is: one running centre's, or one restore's. Held as long as the value lives, and let go by the system
//! however the program ends. Commands that work while the centre runs do not ask for it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// The lock's file in the data folder.
pub const FILE: &str = "lock";

/// The data folder, taken by this program alone.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code)] File);

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Somebody else has it.
    #[error("a centre is running in {0}, or is being restored: stop it first")]
    Held(PathBuf),
    /// The file.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

impl DataLock {
    /// Takes the folder, which must be there.
    ///
    /// # Errors
    /// Somebody else has it, or the lock's file cannot be opened.
    pub fn take(data: &Path) -> Result<Self, NotTaken> {
        let path = data.join(FILE);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|why| NotTaken::File { path: path.clone(), why })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(NotTaken::Held(data.to_owned())),
            Err(why) => Err(NotTaken::File { path, why: why.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_free_again_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataLock::take(folder.path()).unwrap();
        assert!(matches!(DataLock::take(folder.path()), Err(NotTaken::Held(_))));
        drop(held);
        DataLock::take(folder.path()).unwrap();
        assert!(matches!(DataLock::take(&folder.path().join("none")), Err(NotTaken::File { .. })));
    }
}
