//! What came through the wall socket, made into a file that other programs play: frame messages → Annex B H.264, read
//! back by ffprobe and decoded by ffmpeg, which know nothing of this project.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use control_protocol::frame::{HEADER, Header, Kind};
use region::{
    api::Api,
    wall::{Said, Wall},
};
use serde_json::Value;
use tokio::process::Command;

/// Frame messages of one stream, in the order in which they came.
#[derive(Debug, Default)]
pub struct Film {
    /// The codec's configuration record (avcC).
    pub record: Option<Bytes>,
    /// Frames.
    pub frames: Vec<(Header, Bytes)>,
    /// Rows of the tile, as they were told.
    pub rows: Vec<Value>,
}

/// What ffprobe says of a file.
#[derive(Debug)]
pub struct Played {
    /// The codec's name.
    pub codec: String,
    /// Width and height.
    pub size: (u64, u64),
    /// Frames decoded.
    pub frames: u64,
}

impl Film {
    /// Watches `camera` at `tier` until `frames` frames came.
    pub async fn shoot(api: &Api, camera: &str, tier: &str, frames: usize, limit: Duration) -> Result<Self> {
        let mut wall = Wall::open(api).await?;
        wall.watch(&[camera], tier).await?;
        let begun = Instant::now();
        let mut film = Self::default();
        while film.frames.len() < frames {
            let left = limit.checked_sub(begun.elapsed()).unwrap_or_default();
            let Ok(said) = tokio::time::timeout(left, wall.next()).await else {
                bail!(
                    "{camera}: {} of {frames} frames after {limit:?}; its rows: {:?}",
                    film.frames.len(),
                    film.rows
                );
            };
            film.take(&said?)?;
        }
        Ok(film)
    }

    /// Takes what the wall said.
    pub fn take(&mut self, said: &Said) -> Result<()> {
        match said {
            Said::Text(text) => self.rows.extend(text["streams"].as_array().into_iter().flatten().cloned()),
            Said::Frame(message) => {
                let header = Header::read(message)?;
                let payload = message.slice(HEADER..);
                match header.kind {
                    Kind::Parameters => self.record = Some(payload),
                    Kind::Frame => self.frames.push((header, payload)),
                    Kind::End => {}
                }
            }
        }
        Ok(())
    }

    /// The film as an H.264 byte stream: the record's parameter sets before each key frame.
    pub fn annex_b(&self) -> Result<Vec<u8>> {
        let record = self.record.as_ref().context("no configuration record came")?;
        let sets = parameter_sets(record)?;
        let mut stream = Vec::new();
        for (header, payload) in &self.frames {
            if header.key {
                sets.iter().for_each(|set| put(&mut stream, set));
            }
            let mut rest: &[u8] = payload;
            while let Some((length, tail)) = rest.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                put(&mut stream, tail.get(..length).context("a NAL unit longer than its access unit")?);
                rest = &tail[length..];
            }
            ensure!(rest.is_empty(), "an access unit with {} bytes left over", rest.len());
        }
        Ok(stream)
    }

    /// Writes the film to `path` and has it decoded to its last frame.
    pub async fn play(&self, path: &Path) -> Result<Played> {
        std::fs::write(path, self.annex_b()?)?;
        decode(path).await
    }
}

fn put(stream: &mut Vec<u8>, nal: &[u8]) {
    stream.extend_from_slice(&[0, 0, 0, 1]);
    stream.extend_from_slice(nal);
}

/// The SPS and PPS of an avcC (ISO/IEC 14496-15, 5.3.3.1).
fn parameter_sets(record: &[u8]) -> Result<Vec<&[u8]>> {
    ensure!(record.first() == Some(&1), "not an avcC");
    let mut sets = Vec::new();
    let mut rest = record.get(5..).context("a short avcC")?;
    for mask in [0x1f, 0xff] {
        let (count, tail) = rest.split_first().context("a short avcC")?;
        rest = tail;
        for _ in 0..count & mask {
            let (length, tail) = rest.split_first_chunk::<2>().context("a short avcC")?;
            let length = usize::from(u16::from_be_bytes(*length));
            sets.push(tail.get(..length).context("a short avcC")?);
            rest = &tail[length..];
        }
    }
    Ok(sets)
}

/// Decodes every picture of a file; anything ffmpeg complains of is an error.
pub async fn decode(path: &Path) -> Result<Played> {
    let path = path.to_str().context("a path that is not UTF-8")?;
    let complaints = output("ffmpeg", &["-v", "error", "-xerror", "-i", path, "-f", "null", "-"]).await?;
    ensure!(complaints.trim().is_empty(), "ffmpeg complains of {path}:\n{complaints}");
    let entries = "stream=codec_name,width,height,nb_read_frames";
    let probed = output(
        "ffprobe",
        &[
            "-v",
            "error",
            "-count_frames",
            "-select_streams",
            "v:0",
            "-show_entries",
            entries,
            "-of",
            "json",
            path,
        ],
    )
    .await?;
    let probed: Value = serde_json::from_str(&probed).with_context(|| format!("ffprobe said {probed}"))?;
    let stream = &probed["streams"][0];
    Ok(Played {
        codec: stream["codec_name"].as_str().unwrap_or_default().to_owned(),
        size: (stream["width"].as_u64().unwrap_or(0), stream["height"].as_u64().unwrap_or(0)),
        frames: stream["nb_read_frames"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0),
    })
}

async fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let done = tokio::time::timeout(Duration::from_secs(60), child)
        .await
        .with_context(|| format!("{program} does not end"))?
        .with_context(|| format!("{program} cannot be started: run scripts/setup test"))?;
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{program} {} ended with {}:\n{text}", arguments.join(" "), done.status);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_avcc_gives_its_sets() {
        let record = [1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 3, 0x68, 2, 3];
        assert_eq!(parameter_sets(&record).unwrap(), [&[0x67, 1][..], &[0x68, 2, 3]]);
        assert!(parameter_sets(&record[..9]).is_err());
    }
}
