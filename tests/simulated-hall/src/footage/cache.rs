//! Encoded clips on disk, so that a machine draws and encodes each of them once.
//!
//! A clip's file is named by the digest of its recipe (which holds the drawing's version), written aside and then
//! renamed, so that several simulated halls may share one folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::clip::{Clip, Codec, Sample};
use super::encode::{EncodeError, Recipe, encode};

/// Goes up when the file's layout changes.
const LAYOUT: &[u8; 8] = b"HWCLIP02";

/// A folder of encoded clips.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Index {
    codec: Codec,
    width: u16,
    height: u16,
    parameters: Vec<usize>,
    samples: Vec<(usize, bool, u32, i32)>,
}

impl Cache {
    /// A cache in `folder`, which is made when the first clip is put there.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The clip of `recipe`: from disk, or encoded now and kept. Blocking.
    ///
    /// # Errors
    /// When it cannot be encoded, or the folder cannot be written.
    pub fn clip(&self, recipe: &Recipe) -> Result<Clip, EncodeError> {
        let path = self.path(recipe);
        if let Some(clip) = std::fs::read(&path).ok().and_then(|file| read(file.into())) {
            return Ok(clip);
        }
        let clip = encode(recipe)?;
        let failed = |source| EncodeError::Cache { path: path.clone(), source };
        write(&self.folder, &path, &clip).map_err(failed)?;
        Ok(clip)
    }

    fn path(&self, recipe: &Recipe) -> PathBuf {
        let digest = ring::digest::digest(&ring::digest::SHA256, format!("{recipe:?}").as_bytes());
        let name = data_encoding::HEXLOWER.encode(digest.as_ref().get(..12).unwrap_or_default());
        self.folder.join(format!("{}-{}-{name}.clip", recipe.number, recipe.height))
    }
}

fn write(folder: &Path, path: &Path, clip: &Clip) -> std::io::Result<()> {
    let index = Index {
        codec: clip.codec,
        width: clip.width,
        height: clip.height,
        parameters: clip.parameters.iter().map(Bytes::len).collect(),
        samples: clip.samples.iter().map(|s| (s.avcc.len(), s.key, s.duration, s.show_after)).collect(),
    };
    let index = serde_json::to_vec(&index)?;
    std::fs::create_dir_all(folder)?;
    let aside = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&aside)?);
    file.write_all(LAYOUT)?;
    file.write_all(&(index.len() as u32).to_le_bytes())?;
    file.write_all(&index)?;
    for bytes in clip.parameters.iter().chain(clip.samples.iter().map(|sample| &sample.avcc)) {
        file.write_all(bytes)?;
    }
    file.flush()?;
    std::fs::rename(aside, path)
}

fn read(mut file: Bytes) -> Option<Clip> {
    let mut take = |length: usize| (file.len() >= length).then(|| file.split_to(length));
    if take(LAYOUT.len())? != LAYOUT[..] {
        return None;
    }
    let length = u32::from_le_bytes(take(4)?.as_ref().try_into().ok()?);
    let index: Index = serde_json::from_slice(&take(length as usize)?).ok()?;
    let parameters = index.parameters.into_iter().map(&mut take).collect::<Option<_>>()?;
    let samples = index.samples.into_iter().map(|(length, key, duration, show_after)| {
        Some(Sample { avcc: take(length)?, key, duration, show_after })
    });
    let samples: Vec<_> = samples.collect::<Option<_>>()?;
    if !samples.first().is_some_and(|sample| sample.key) {
        return None;
    }
    Some(Clip { codec: index.codec, width: index.width, height: index.height, parameters, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_encoded_once_and_a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("footage"));
        let recipe = Recipe { gops: 1, width: 320, height: 180, ..Recipe::sub(9, "W09") };
        let first = cache.clip(&recipe).unwrap();
        let path = cache.path(&recipe);
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        let second = cache.clip(&recipe).unwrap();
        assert_eq!(first.annex_b(), second.annex_b());
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        std::fs::write(&path, b"HWCLIP02 torn").unwrap();
        assert_eq!(cache.clip(&recipe).unwrap().samples.len(), 25);
        assert_ne!(cache.path(&recipe), cache.path(&recipe.altered()));
    }
}
