//! What lies in a folder of recordings, read by nothing of the recorder's: files by their boxes, the index by plain SQL, what
//! plays by ffmpeg.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use control_protocol::recording::{MARK, Mark};
use rusqlite::{Connection, OpenFlags};

use crate::process::{binary, run};

/// What is written is on disk after this at the latest, µs.
pub const SYNC_US: i64 = 2_000_000;
/// Between two pictures of a run, µs; more is a hole.
pub const HOLE_US: i64 = 500_000;

/// A folder of recordings.
pub struct Recorded(pub PathBuf);

/// A row of the index, without what an index made again numbers anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The camera.
    pub camera: String,
    /// First picture, UTC µs.
    pub start_us: i64,
    /// End of the last picture, UTC µs.
    pub end_us: i64,
    /// The file below the folder.
    pub file: String,
    /// Run, part, state, bytes and frames.
    pub numbers: [i64; 5],
    /// The digest and the table of fragments.
    pub blobs: [Vec<u8>; 2],
}

/// A gap of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The camera.
    pub camera: String,
    /// Since when, UTC µs.
    pub from_us: i64,
    /// Until when, UTC µs.
    pub to_us: Option<i64>,
    /// Why.
    pub why: String,
}

impl Recorded {
    /// The segment files of each camera, in order of their names: of time.
    pub fn files(&self) -> Result<BTreeMap<String, Vec<PathBuf>>> {
        let mut found = BTreeMap::<String, Vec<PathBuf>>::new();
        let folders = |path: &Path| -> Result<Vec<PathBuf>> {
            let all = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
            Ok(all.collect::<Result<Vec<_>>>()?.into_iter().filter(|path| path.is_dir()).collect())
        };
        if !self.0.is_dir() {
            return Ok(found);
        }
        for camera in folders(&self.0)? {
            let name = camera.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let of = found.entry(name).or_default();
            for day in folders(&camera)? {
                for entry in std::fs::read_dir(day)? {
                    let path = entry?.path();
                    if path.extension().is_some_and(|extension| extension == "mp4") {
                        of.push(path);
                    }
                }
            }
            of.sort();
        }
        Ok(found)
    }

    fn index(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Connection::open_with_flags(self.0.join("index.sqlite"), flags)?)
    }

    /// The index's segments, by camera and time.
    pub fn segments(&self) -> Result<Vec<Segment>> {
        let index = self.index()?;
        let sql = "SELECT camera, start_us, end_us, file, run, part, state, bytes, frames, digest, fragments FROM segments";
        let mut statement = index.prepare(sql)?;
        let rows = statement.query_map([], |r| {
            Ok(Segment {
                camera: r.get(0)?,
                start_us: r.get(1)?,
                end_us: r.get(2)?,
                file: r.get(3)?,
                numbers: [r.get(4)?, r.get(5)?, r.get(6)?, r.get(7)?, r.get(8)?],
                blobs: [r.get(9)?, r.get(10)?],
            })
        })?;
        let mut rows: Vec<Segment> = rows.collect::<Result<_, _>>()?;
        rows.sort();
        Ok(rows)
    }

    /// The gaps that have ended, by camera and time.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        let index = self.index()?;
        let mut statement =
            index.prepare("SELECT camera, from_us, to_us, why FROM gaps WHERE to_us IS NOT NULL")?;
        let rows = statement.query_map([], |r| {
            Ok(Gap { camera: r.get(0)?, from_us: r.get(1)?, to_us: r.get(2)?, why: r.get(3)? })
        })?;
        let mut rows: Vec<Gap> = rows.collect::<Result<_, _>>()?;
        rows.sort();
        Ok(rows)
    }
}

/// What came of an index that was made again.
pub struct MadeAgain {
    /// Its segments.
    pub rows: usize,
    /// What the agent said of the recordings before.
    pub verified: String,
}

impl Recorded {
    /// Every hole between the files of a camera is a gap of the index; gives how many gaps each reason has.
    pub fn holes(&self) -> Result<BTreeMap<String, usize>> {
        let (segments, gaps) = (self.segments()?, self.gaps()?);
        for two in segments.windows(2) {
            let [before, after] = two else { continue };
            let hole = after.start_us - before.end_us;
            if before.camera != after.camera || hole <= HOLE_US {
                continue;
            }
            let told = gaps.iter().any(|gap| {
                gap.camera == before.camera
                    && gap.from_us <= before.end_us + HOLE_US
                    && gap.to_us == Some(after.start_us)
            });
            ensure!(told, "{hole} µs are missing of {} and no gap says so: {gaps:?}", before.file);
        }
        let mut reasons = BTreeMap::new();
        for gap in gaps {
            ensure!(!gap.why.is_empty(), "a gap without a reason: {gap:?}");
            let code = gap.why.split(':').next().unwrap_or_default().to_owned();
            *reasons.entry(code).or_default() += 1;
        }
        Ok(reasons)
    }

    /// Lets the agent of the configuration file `config`, which does not run, verify the recordings and make their index
    /// again; fails where that is another than before.
    pub async fn made_again(&self, config: &str) -> Result<MadeAgain> {
        let agent = async |what: &str| {
            run(&binary("edge-agent")?, &["recordings", what, "--config", config], "").await
        };
        let verified = agent("verify").await?.trim().to_owned();
        let kept = (self.segments()?, self.gaps()?);
        agent("rebuild").await?;
        let made = (self.segments()?, self.gaps()?);
        ensure!(kept.0 == made.0, "the index made again has other segments");
        ensure!(kept.1 == made.1, "the index made again has other gaps:\n{:?}\n{:?}", kept.1, made.1);
        Ok(MadeAgain { rows: made.0.len(), verified })
    }
}

/// When the last picture ends of the fragments that are whole in a segment, UTC µs; none where there is none.
pub fn end_of(path: &Path) -> Result<Option<i64>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut at = 0;
    let mut end = None;
    // ftyp, moov and the head, then mark, moof and mdat again and again.
    loop {
        let mut head = [0; 8];
        if length < at + 8 {
            return Ok(end);
        }
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let [a, b, c, d, name @ ..] = head;
        let size = u64::from(u32::from_be_bytes([a, b, c, d]));
        if size < 8 || length < at + size {
            return Ok(end);
        }
        if name == *b"uuid" && size == MARK as u64 {
            let mut bytes = [0; MARK];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            let Some(mark) = Mark::decode(&bytes) else { return Ok(end) };
            if length < at + size + u64::from(mark.body_len) {
                return Ok(end);
            }
            end = Some(mark.wall_us.saturating_add(i64::try_from(mark.duration_us)?));
            at += u64::from(mark.body_len);
        }
        at += size;
    }
}

/// Fails where ffmpeg has anything to say of a file. Blocks.
pub fn plays(path: &Path) -> Result<()> {
    let arguments = ["-v", "error", "-xerror", "-i"];
    let ffmpeg = Command::new("ffmpeg").args(arguments).arg(path).args(["-f", "null", "-"]).output();
    let ffmpeg = ffmpeg.context("ffmpeg is needed: run scripts/setup test")?;
    let said = String::from_utf8_lossy(&ffmpeg.stderr);
    ensure!(ffmpeg.status.success() && said.trim().is_empty(), "ffmpeg of {}: {said}", path.display());
    Ok(())
}
