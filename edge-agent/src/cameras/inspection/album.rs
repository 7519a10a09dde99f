//! What the looks leave on disk: a bounded folder of stills, and what each camera has learnt. Blocking; called off the
//! runtime's threads. A name from outside is never a path: it is checked letter by letter.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use control_protocol::{CameraId, UtcMillis};

use super::inspector::Kept;

const STILLS: &str = "stills";
const LEARNT: &str = "learnt";
/// The longest name of a still that is looked for.
const LONGEST_NAME: usize = 120;

struct Inner {
    folder: PathBuf,
    most: u64,
    /// Names and sizes, the oldest first, and their sum.
    held: Mutex<(VecDeque<(String, u64)>, u64)>,
}

/// The folder. Clones are the same.
#[derive(Clone)]
pub struct Album(Arc<Inner>);

/// Whether a name may be one of a still of this camera.
fn is_name(name: &str, camera: &CameraId) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let of_camera = name.split_once('-').and_then(|(_, rest)| rest.strip_prefix(camera.as_str()));
    letters && name.len() <= LONGEST_NAME && of_camera.is_some_and(|rest| rest.starts_with('-'))
}

impl Album {
    /// Opens the folder, making it where there is none; it holds at most `most` bytes of stills.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub fn open(folder: PathBuf, most: u64) -> io::Result<Self> {
        fs::create_dir_all(folder.join(STILLS))?;
        fs::create_dir_all(folder.join(LEARNT))?;
        let mut held: Vec<(String, u64)> = Vec::new();
        for entry in fs::read_dir(folder.join(STILLS))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.strip_suffix(".jpg") {
                Some(name) => held.push((name.to_owned(), entry.metadata()?.len())),
                // Half written when the machine went down.
                None => fs::remove_file(entry.path())?,
            }
        }
        // Names begin with the time.
        held.sort();
        let sum = held.iter().map(|(_, size)| size).sum();
        Ok(Self(Arc::new(Inner { folder, most, held: Mutex::new((held.into(), sum)) })))
    }

    /// Keeps a still and gives its name; the oldest go where there is no room.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&self, camera: &CameraId, at: UtcMillis, what: &str, jpeg: &[u8]) -> io::Result<String> {
        let name = format!("{:013}-{camera}-{what}", at.0.max(0));
        write(&self.still(&name), jpeg)?;
        let size = jpeg.len() as u64;
        let mut over = Vec::new();
        {
            let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
            let (names, sum) = &mut *held;
            names.push_back((name.clone(), size));
            *sum += size;
            while *sum > self.0.most && names.len() > 1 {
                let Some((oldest, size)) = names.pop_front() else { break };
                *sum = sum.saturating_sub(size);
                over.push(oldest);
            }
        }
        for oldest in over {
            fs::remove_file(self.still(&oldest))?;
        }
        Ok(name)
    }

    /// A still of the camera; none where it is not there (any more), or the name is none.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&self, camera: &CameraId, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !is_name(name, camera) {
            return Ok(None);
        }
        match fs::read(self.still(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what a camera has learnt.
    ///
    /// # Errors
    /// The disk's.
    pub fn remember(&self, camera: &CameraId, kept: &Kept) -> io::Result<()> {
        write(&self.learnt(camera), &serde_json::to_vec(kept)?)
    }

    /// What a camera has learnt; nothing where there is nothing, or it cannot be read: then it learns anew.
    pub fn recall(&self, camera: &CameraId) -> Kept {
        let path = self.learnt(camera);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%camera, "what was learnt of the picture cannot be read: {error}");
                }
                return Kept::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(%camera, "what was learnt of the picture is damaged and learnt anew: {error}");
            Kept::default()
        })
    }

    fn still(&self, name: &str) -> PathBuf {
        self.0.folder.join(STILLS).join(format!("{name}.jpg"))
    }

    fn learnt(&self, camera: &CameraId) -> PathBuf {
        self.0.folder.join(LEARNT).join(format!("{camera}.json"))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_names_are_no_paths() {
        let folder = tempfile::tempdir().unwrap();
        let camera: CameraId = "450103-01-W07-C1".parse().unwrap();
        let other: CameraId = "450103-01-W08-C1".parse().unwrap();
        let album = Album::open(folder.path().to_owned(), 2_500).unwrap();
        let names: Vec<String> = (0..4)
            .map(|n| album.keep(&camera, UtcMillis(1_795_000_000_000 + n), "black", &[7; 1_000]).unwrap())
            .collect();
        let there = |album: &Album, name: &str| album.read(&camera, name).unwrap().is_some();
        assert_eq!(
            names.iter().map(|name| there(&album, name)).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        assert!(album.read(&other, &names[3]).unwrap().is_none(), "a still of another camera");
        std::fs::write(folder.path().join("secret.jpg"), b"x").unwrap();
        for name in ["../secret", "1-450103-01-W07-C1-/../../secret", "", "x"] {
            assert!(!there(&album, name), "{name}");
        }
        let again = Album::open(folder.path().to_owned(), 2_500).unwrap();
        again.keep(&camera, UtcMillis(1_795_000_000_009), "moved", &[7; 1_000]).unwrap();
        assert_eq!(
            names.iter().map(|name| there(&again, name)).collect::<Vec<_>>(),
            [false, false, false, true]
        );
    }

    #[test]
    fn what_was_learnt_comes_back_and_damage_is_learnt_anew() {
        let folder = tempfile::tempdir().unwrap();
        let camera: CameraId = "450103-01-W07-C1".parse().unwrap();
        let album = Album::open(folder.path().to_owned(), 1).unwrap();
        assert_eq!(album.recall(&camera), Kept::default());
        let kept: Kept = serde_json::from_str(r#"{"looks":8,"standing":["black"],"seat":"empty"}"#).unwrap();
        album.remember(&camera, &kept).unwrap();
        assert_eq!(album.recall(&camera), kept);
        std::fs::write(folder.path().join("learnt/450103-01-W07-C1.json"), b"{").unwrap();
        assert_eq!(album.recall(&camera), Kept::default());
    }
}
