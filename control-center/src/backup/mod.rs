//! Backups of a centre: one folder with a consistent copy of the database, the authority and the other secrets, and a list
//! of it all with digests. Made while the centre runs; put back while it does not. What halls have sent since is not in a
//! backup and need not be: they keep it for seven days and send it again to a centre that has less than before.
//!
//! Both are in the audit log: a backup when it is made, a restore at the first start of what was put back (`entries`).
//!
//! Left out: exported evidence packages (they can be made again), and what a running centre writes for others.

mod entries;

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use control_protocol::{Digest, UtcMillis};
use serde::{Deserialize, Serialize};

pub use entries::{note_backup, note_restore};

use crate::{
    data_lock::{self, DataLock, NotTaken},
    evidence::key,
    recordings::kept,
    site::serve::{ADDRESSES, DATABASE},
    store::{StoreError, sqlite},
};

/// The list's name in a backup.
const LIST: &str = "backup.json";
/// What a backup's folder is called, before its time.
const PREFIX: &str = "hallwatch-centre-";
/// The list's form.
const FORM: u32 = 1;

/// Why a backup was not made, or not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no centre.
    #[error("there is no centre in {0}: give its data folder with --data")]
    NoCentre(PathBuf),
    /// There is one already.
    #[error(
        "there is a centre in {0}: stop it and say --replace; what is there is kept beside it under another name"
    )]
    Occupied(PathBuf),
    /// It runs.
    #[error(transparent)]
    InUse(#[from] NotTaken),
    /// Not a backup, or not a whole one.
    #[error("{path} is not a whole backup: {why}")]
    NotWhole {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    form: u32,
    /// When it was begun, UTC milliseconds.
    made_at: UtcMillis,
    /// The program that made it.
    version: String,
    files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    /// Relative, below the data folder.
    name: String,
    bytes: u64,
    sha256: Digest,
}

/// A backup that was made or put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is now.
    pub folder: PathBuf,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// When the backup was begun.
    pub made_at: UtcMillis,
    /// Where what stood there before is kept.
    pub before: Option<PathBuf>,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError + '_ {
    move |why| BackupError::File { path: path.to_owned(), why }
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn sync(path: &Path) -> Result<(), BackupError> {
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

/// A file's digest, read a piece at a time.
fn digest_of(path: &Path) -> Result<(u64, Digest), BackupError> {
    let mut file = fs::File::open(path).map_err(at(path))?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(at(path))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        context.update(&buffer[..read]);
    }
    let digest = Digest::from_slice(context.finish().as_ref());
    Ok((bytes, digest.unwrap_or(Digest::ZERO)))
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    if let Some(parent) = to.parent() {
        make_folder(parent)?;
    }
    fs::copy(from, to).map_err(at(from))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).map_err(at(to))?;
    sync(to)
}

/// The files below `folder` that belong into a backup, relative, in order.
fn files(folder: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<(), BackupError> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(at(folder))?;
    entries.sort();
    for path in entries {
        let Ok(name) = path.strip_prefix(below).map(Path::to_owned) else { continue };
        let text = name.to_string_lossy();
        // Of the evidence the key alone: packages are made again, and by another key they would be another's.
        let package = text.starts_with("evidence/") && text != key::FILE;
        // Kept footage is large and has its time; a centre without it says so.
        let footage = text == kept::FOLDER;
        let passing = [ADDRESSES, data_lock::FILE, entries::RESTORED].contains(&text.as_ref());
        if passing || text.starts_with(DATABASE) || text.ends_with(".new") || package || footage {
            continue;
        }
        let kind = fs::symlink_metadata(&path).map_err(at(&path))?;
        if kind.is_dir() {
            files(&path, below, found)?;
        } else if kind.is_file() {
            found.push(name);
        }
    }
    Ok(())
}

/// Backs the centre in `data` up into a new folder below `to`, and keeps only the newest `keep` backups there, this one
/// among them. The centre may be running. Blocks.
///
/// # Errors
/// A file, the database, or no centre in `data`. What was begun is removed.
pub fn make(data: &Path, to: &Path, keep: Option<usize>, now: UtcMillis) -> Result<Copied, BackupError> {
    let database = data.join(DATABASE);
    if !database.exists() {
        return Err(BackupError::NoCentre(data.to_owned()));
    }
    make_folder(to)?;
    let stamp = now.to_string().replace(['-', ':'], "");
    let folder = to.join(format!("{PREFIX}{stamp}"));
    let part = to.join(format!(".{PREFIX}{stamp}.part"));
    make_folder(&part)?;
    let made = fill(data, &database, &part, now);
    let copied = match made {
        Ok(copied) => copied,
        Err(error) => {
            // The reason why it failed is what counts.
            let _ = fs::remove_dir_all(&part);
            return Err(error);
        }
    };
    fs::rename(&part, &folder).map_err(at(&folder))?;
    sync(to)?;
    if let Some(keep) = keep {
        prune(to, keep.max(1))?;
    }
    Ok(Copied { folder, ..copied })
}

fn fill(data: &Path, database: &Path, part: &Path, now: UtcMillis) -> Result<Copied, BackupError> {
    // The secrets first: a database that knows a certificate is never without the authority that signed it.
    let mut names = Vec::new();
    files(data, data, &mut names)?;
    for name in &names {
        copy(&data.join(name), &part.join(name))?;
    }
    sqlite::copy(database, &part.join(DATABASE))?;
    sync(&part.join(DATABASE))?;
    names.push(DATABASE.into());
    let mut listed = Vec::new();
    for name in names {
        let (bytes, sha256) = digest_of(&part.join(&name))?;
        listed.push(Listed { name: name.to_string_lossy().into_owned(), bytes, sha256 });
    }
    let total = listed.iter().map(|file| file.bytes).sum();
    let count = listed.len();
    let list =
        List { form: FORM, made_at: now, version: env!("CARGO_PKG_VERSION").to_owned(), files: listed };
    let path = part.join(LIST);
    let text = serde_json::to_vec_pretty(&list).map_err(|error| at(&path)(io::Error::other(error)))?;
    fs::write(&path, text).map_err(at(&path))?;
    sync(&path)?;
    sync(part)?;
    Ok(Copied { folder: part.to_owned(), files: count, bytes: total, made_at: now, before: None })
}

fn prune(to: &Path, keep: usize) -> Result<(), BackupError> {
    let entries = fs::read_dir(to).map_err(at(to))?;
    let mut backups: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(LIST).is_file())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)))
        .collect();
    // Their names carry their time.
    backups.sort();
    let old = backups.len().saturating_sub(keep);
    for path in backups.into_iter().take(old) {
        fs::remove_dir_all(&path).map_err(at(&path))?;
    }
    Ok(())
}

/// Reads a backup through and compares every file with the list.
fn read(from: &Path) -> Result<List, BackupError> {
    let not_whole = |why: String| BackupError::NotWhole { path: from.to_owned(), why };
    let text = fs::read(from.join(LIST)).map_err(|why| not_whole(format!("{LIST}: {why}")))?;
    let list: List = serde_json::from_slice(&text).map_err(|why| not_whole(format!("{LIST}: {why}")))?;
    if list.form != FORM {
        return Err(not_whole(format!("its form is {}; this program knows {FORM}", list.form)));
    }
    if !list.files.iter().any(|file| file.name == DATABASE) {
        return Err(not_whole("it holds no database".into()));
    }
    for file in &list.files {
        // Names from outside are never paths out of the folder.
        let plain = Path::new(&file.name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !plain {
            return Err(not_whole(format!("`{}` is no name of a file in it", file.name)));
        }
        let found = digest_of(&from.join(&file.name))?;
        if found != (file.bytes, file.sha256) {
            return Err(not_whole(format!("`{}` is not what was written", file.name)));
        }
    }
    Ok(list)
}

/// Puts the backup in `from` back as the centre in `data`. A centre that is there is moved aside with `replace`. Blocks.
///
/// # Errors
/// A centre runs in `data`, the backup is not whole, `data` is occupied, or a file.
pub fn put_back(from: &Path, data: &Path, replace: bool, now: UtcMillis) -> Result<Copied, BackupError> {
    let occupied = data.exists() && fs::read_dir(data).map_err(at(data))?.next().is_some();
    // Before anything else, and until the end: no centre is moved away below its own feet, and none starts meanwhile.
    let _alone = if occupied { Some(DataLock::take(data)?) } else { None };
    let list = read(from)?;
    sqlite::check(&from.join(DATABASE))?;
    let mut before = None;
    if occupied && !replace {
        return Err(BackupError::Occupied(data.to_owned()));
    }
    let mut part = data.as_os_str().to_owned();
    part.push(".restoring");
    let part = PathBuf::from(part);
    if part.exists() {
        fs::remove_dir_all(&part).map_err(at(&part))?;
    }
    make_folder(&part)?;
    for file in &list.files {
        copy(&from.join(&file.name), &part.join(&file.name))?;
    }
    entries::leave(&part, from, list.made_at, now)?;
    sync(&part)?;
    if occupied {
        let mut aside = data.as_os_str().to_owned();
        aside.push(format!(".before-{}", now.to_string().replace(['-', ':'], "")));
        let aside = PathBuf::from(aside);
        fs::rename(data, &aside).map_err(at(data))?;
        before = Some(aside);
    } else if data.exists() {
        fs::remove_dir(data).map_err(at(data))?;
    }
    fs::rename(&part, data).map_err(at(data))?;
    if let Some(parent) = data.parent() {
        sync(parent)?;
    }
    Ok(Copied {
        folder: data.to_owned(),
        files: list.files.len(),
        bytes: list.files.iter().map(|file| file.bytes).sum(),
        made_at: list.made_at,
        before,
    })
}

#[cfg(test)]
mod tests;
