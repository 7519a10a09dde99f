//! The files of what is kept: put there whole or not at all, given out by ranges. Names are made here of digests; nothing from
//! outside becomes a path. Every function blocks, but for [`body`].

use std::{
    fs::{self, File},
    io::{self, SeekFrom},
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use axum::body::Body;
use bytes::Bytes;
use control_protocol::Digest;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

const CHUNK: u64 = 256 * 1024;
/// So much of the disk is left to everything else.
const SPARED: u64 = 1 << 30;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Still,
    Clip,
}

/// The name of what belongs to these facts, 32 hexadecimal digits.
pub(super) fn id_of(facts: &[&str]) -> String {
    let mut hex = Digest::of(facts.join("\n").as_bytes()).to_string();
    hex.truncate(32);
    hex
}

/// Where the file of `id` lies.
pub(super) fn path(folder: &Path, sort: Sort, id: &str) -> PathBuf {
    match sort {
        Sort::Still => folder.join("stills").join(id.get(..2).unwrap_or("xx")).join(format!("{id}.jpg")),
        Sort::Clip => folder.join("clips").join(format!("{id}.mp4")),
    }
}

/// Whether the disk has room for `bytes` more.
pub(super) fn has_room(folder: &Path, bytes: u64) -> io::Result<bool> {
    make_folder(folder)?;
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes.saturating_add(SPARED))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn part(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Opens the file that is to take the place of `path` once it is whole.
pub(super) fn begin(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    File::options().write(true).create(true).truncate(true).mode(0o600).open(part(path))
}

/// Puts what was written in its place.
pub(super) fn finish(path: &Path, written: &File) -> io::Result<()> {
    written.sync_all()?;
    fs::rename(part(path), path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Removes a file, and what was begun of it; one that is not there is gone as well.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for path in [part(path), path.to_owned()] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes what was begun and not finished.
pub(super) fn remove_begun(path: &Path) -> io::Result<()> {
    match fs::remove_file(part(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens the file if it is there with this length.
pub(super) fn open(path: &Path, bytes: u64) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok((file.metadata()?.len() == bytes).then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of `range` of a file, read as they are taken.
pub(in crate::recordings) fn body(file: File, range: Range<u64>) -> Body {
    let begun = (tokio::fs::File::from_std(file), Some(range.start), range.end.saturating_sub(range.start));
    Body::from_stream(stream::try_unfold(begun, |(mut file, from, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        if let Some(from) = from {
            file.seek(SeekFrom::Start(from)).await?;
        }
        let mut chunk = Vec::new();
        let got = (&mut file).take(left.min(CHUNK)).read_to_end(&mut chunk).await? as u64;
        if got == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(Some((Bytes::from(chunk), (file, None, left.saturating_sub(got)))))
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_and_is_read_by_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), Sort::Clip, &id_of(&["a", "b"]));
        let mut file = begin(&path).unwrap();
        file.write_all(&[7; 600_000]).unwrap();
        assert!(open(&path, 600_000).unwrap().is_none());
        finish(&path, &file).unwrap();
        assert!(open(&path, 599_999).unwrap().is_none(), "another length is another file");
        let file = open(&path, 600_000).unwrap().unwrap();
        let bytes = axum::body::to_bytes(body(file, 299_000..599_999), 1 << 20).await.unwrap();
        assert_eq!(bytes.len(), 300_999);
        // A file that is shorter than was said is no file that ends.
        let file = open(&path, 600_000).unwrap().unwrap();
        assert!(axum::body::to_bytes(body(file, 0..600_001), 1 << 20).await.is_err());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(open(&path, 600_000).unwrap().is_none());
    }
}
