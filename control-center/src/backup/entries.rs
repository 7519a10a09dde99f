//! That a centre was backed up or put back, in its audit log. A restore leaves a note beside the database, since the centre
//! that will keep the log is not running yet; the first start writes it down and takes the note away.

use std::{fs, path::Path};

use control_protocol::UtcMillis;
use serde::{Deserialize, Serialize};

use super::{BackupError, Copied, at, sync};
use crate::{
    access::audit::{Entry, record},
    store::{Store, StoreError},
};

/// The note's name in the data folder.
pub(super) const RESTORED: &str = "restored.json";

/// What a restore leaves.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The backup's folder.
    from: String,
    /// When the backup was begun.
    made_at: UtcMillis,
    /// When it was put back.
    restored_at: UtcMillis,
}

fn entry<'a>(action: &'a str, object: &'a str, detail: &'a str) -> Entry<'a> {
    Entry { who: "command line", address: "this machine", action, object, detail }
}

/// Writes down that a backup was made.
///
/// # Errors
/// The store's.
pub async fn note_backup(store: &Store, made: &Copied) -> Result<(), StoreError> {
    let (object, at) = (made.folder.display().to_string(), made.made_at);
    let detail = format!("{} files, {} bytes", made.files, made.bytes);
    store.write("backup made", move |tx| record(tx, &entry("centre.backed_up", &object, &detail), at)).await
}

/// Leaves the note in what is being put back.
pub(super) fn leave(part: &Path, from: &Path, made_at: UtcMillis, now: UtcMillis) -> Result<(), BackupError> {
    let path = part.join(RESTORED);
    let note = Note { from: from.display().to_string(), made_at, restored_at: now };
    let text = serde_json::to_vec(&note).map_err(|error| at(&path)(std::io::Error::other(error)))?;
    fs::write(&path, text).map_err(at(&path))?;
    sync(&path)
}

/// Writes down what a restore left to be written, if one was there, and takes its note away.
///
/// # Errors
/// The note or the store.
pub async fn note_restore(store: &Store, data: &Path, now: UtcMillis) -> Result<(), BackupError> {
    let path = data.join(RESTORED);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(BackupError::File { path, why }),
    };
    let (object, detail) = match serde_json::from_slice::<Note>(&text) {
        Ok(note) => (note.from, format!("as of {}, put back at {}", note.made_at, note.restored_at)),
        // It says that much at least.
        Err(error) => (String::new(), format!("its note cannot be read: {error}")),
    };
    tracing::warn!(backup = object, detail, "this centre was put back from a backup");
    store.write("restore", move |tx| record(tx, &entry("centre.restored", &object, &detail), now)).await?;
    fs::remove_file(&path).map_err(at(&path))
}
