//! Making a package out of what was gathered: files, manifest, signature. It opens no database and no connection; the footage
//! comes in over a channel, as the hall sends it.

use std::{
    fs::File,
    io::{self, Read, Seek},
};

use bytes::Bytes;
use control_protocol::{CameraId, Digest, UtcMillis};
use ring::{
    digest::{Context, SHA256},
    rand::{SecureRandom, SystemRandom},
};
use tokio::sync::mpsc;

use super::{
    container::{CannotPack, Packer, is_name},
    footage::Walk,
    key::EvidenceKey,
    manifest::{
        CHAIN, CameraFacts, CaseFacts, Chain, Clocks, EVENTS, Export, FORMAT, FileRow, Gap, MANIFEST,
        Manifest, README, Recording, SIGNATURE, SIGNER, Sealed, Span, State, Still, VERSION,
    },
};

/// The text for people.
const README_TEXT: &str = include_str!("readme.txt");

/// A recording that belongs to the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The camera.
    pub camera: CameraId,
    /// The segment's name.
    pub segment: String,
    /// First picture.
    pub from: UtcMillis,
    /// End of the last.
    pub to: UtcMillis,
    /// What the centre was told of it.
    pub sealed: Sealed,
}

/// What a package is made of, but the footage.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The case.
    pub case: CaseFacts,
    /// Who, when, why.
    pub export: Export,
    /// The time that the footage is to cover.
    pub span: Span,
    /// Cameras.
    pub cameras: Vec<CameraFacts>,
    /// Recordings, in order of camera and time.
    pub wanted: Vec<Wanted>,
    /// Gaps.
    pub gaps: Vec<Gap>,
    /// Clocks.
    pub clocks: Clocks,
    /// Events: the exact bytes of each.
    pub events: Vec<Bytes>,
    /// Where they stand.
    pub chain: Chain,
}

/// Footage, as it comes in; of each recording `Begin`, any number of `Bytes`, and `Done` or `Broken`.
#[derive(Debug)]
pub enum Coming {
    /// The bytes of the recording with this number in [`Gathered::wanted`] follow.
    Begin(usize),
    /// Bytes of it.
    Bytes(Bytes),
    /// All of them have come.
    Done,
    /// No more of it comes, or nothing at all, and why.
    Broken(usize, String),
    /// A still, whole; its file's name is given here.
    Still(Still, Bytes),
}

/// A package that lies ready.
#[derive(Debug)]
pub struct Packed {
    /// It; at its beginning.
    pub file: File,
    /// Bytes.
    pub bytes: u64,
    /// The digest of all of them.
    pub sha256: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Packed {
    /// How many recordings are in it as they were recorded, altered, and missing.
    pub fn counts(&self) -> [usize; 3] {
        let of = |state| self.manifest.recordings.iter().filter(|recording| recording.state == state).count();
        [of(State::Original), of(State::Altered), of(State::Missing)]
    }
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be written.
    #[error(transparent)]
    Pack(#[from] CannotPack),
    /// Its manifest cannot be written.
    #[error("the manifest: {0}")]
    Manifest(#[from] serde_json::Error),
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
}

impl From<io::Error> for PackError {
    fn from(error: io::Error) -> Self {
        Self::Pack(error.into())
    }
}

/// Packs into `out`, an empty file. Blocks until no more comes in.
pub fn pack(
    gathered: Gathered,
    coming: &mut mpsc::Receiver<Coming>,
    key: &EvidenceKey,
    out: File,
) -> Result<Packed, PackError> {
    let mut number = [0; 16];
    SystemRandom::new().fill(&mut number).map_err(|_| PackError::Random)?;
    let mut packer = Packer::new(out);
    let mut files: Vec<FileRow> = vec![packer.file(README, README_TEXT.as_bytes())?.into()];
    let (recordings, stills) = footage(&gathered, coming, &mut packer, &mut files)?;
    packer.begin(EVENTS)?;
    for event in &gathered.events {
        packer.write(event)?;
        packer.write(b"\n")?;
    }
    files.push(packer.close()?.into());
    files.push(packer.file(CHAIN, &serde_json::to_vec(&gathered.chain)?)?.into());
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        v: VERSION,
        package: data_encoding::HEXLOWER.encode(&number),
        case: gathered.case,
        export: gathered.export,
        span: gathered.span,
        cameras: gathered.cameras,
        recordings,
        gaps: gathered.gaps,
        stills,
        clocks: gathered.clocks,
        files,
    };
    let (file, bytes) = sign(packer, &manifest, key)?;
    let (file, sha256) = measured(file, bytes)?;
    Ok(Packed { file, bytes, sha256, manifest })
}

/// Ends a package with its manifest, the signature over it, and the key.
pub fn sign(
    mut packer: Packer<File>,
    manifest: &Manifest,
    key: &EvidenceKey,
) -> Result<(File, u64), PackError> {
    let text = serde_json::to_vec_pretty(manifest)?;
    packer.file(MANIFEST, &text)?;
    packer.file(SIGNATURE, &key.sign(&text))?;
    packer.file(SIGNER, key.public().pem().as_bytes())?;
    Ok(packer.finish()?)
}

/// Cuts the file to the package's length; gives it at its beginning, and its digest.
fn measured(mut file: File, bytes: u64) -> Result<(File, Digest), PackError> {
    file.set_len(bytes)?;
    file.rewind()?;
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let got = file.read(&mut chunk)?;
        if got == 0 {
            break;
        }
        context.update(chunk.get(..got).unwrap_or_default());
    }
    file.rewind()?;
    Ok((file, Digest::from_slice(context.finish().as_ref()).unwrap_or(Digest::ZERO)))
}

/// The recording that is coming in.
struct Now {
    at: usize,
    name: String,
    walk: Walk,
    bytes: u64,
}

fn footage(
    gathered: &Gathered,
    coming: &mut mpsc::Receiver<Coming>,
    packer: &mut Packer<File>,
    files: &mut Vec<FileRow>,
) -> Result<(Vec<Recording>, Vec<Still>), PackError> {
    let missing = |wanted: &Wanted| Recording {
        camera: wanted.camera.clone(),
        segment: wanted.segment.clone(),
        state: State::Missing,
        why: Some("it did not come from the hall in time".to_owned()),
        file: None,
        from: wanted.from,
        to: wanted.to,
        frames: None,
        sealed: wanted.sealed.clone(),
    };
    let mut recordings: Vec<Recording> = gathered.wanted.iter().map(missing).collect();
    let (mut now, mut stills) = (None::<Now>, Vec::new());
    while let Some(part) = coming.blocking_recv() {
        match part {
            Coming::Begin(at) => {
                now = None;
                packer.take_back()?;
                let Some(wanted) = gathered.wanted.get(at) else { continue };
                let name = file_name(at, wanted);
                packer.begin(&name)?;
                now = Some(Now { at, name, walk: Walk::default(), bytes: 0 });
            }
            Coming::Bytes(bytes) => {
                if let Some(now) = now.as_mut() {
                    packer.write(&bytes)?;
                    now.walk.take(&bytes);
                    now.bytes += bytes.len() as u64;
                }
            }
            Coming::Done => {
                let Some(now) = now.take().filter(|now| now.bytes > 0) else {
                    packer.take_back()?;
                    continue;
                };
                files.push(packer.close()?.into());
                if let Some(recording) = recordings.get_mut(now.at) {
                    judge(recording, now);
                }
            }
            Coming::Still(still, bytes) => {
                now = None;
                packer.take_back()?;
                let time = still.at.timestamp().strftime("%Y%m%dT%H%M%S").to_string();
                let millis = still.at.0.rem_euclid(1000);
                let file = format!("stills/{}/{time}.{millis:03}Z-{}.jpg", still.camera, still.shows);
                match packer.file(&file, &bytes) {
                    Ok(stored) => {
                        files.push(stored.into());
                        stills.push(Still { file, ..still });
                    }
                    // The same moment twice: one picture shows both.
                    Err(CannotPack::Name(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Coming::Broken(at, why) => {
                now = None;
                packer.take_back()?;
                if let Some(recording) = recordings.get_mut(at) {
                    recording.why = Some(why.chars().take(300).collect());
                }
            }
        }
    }
    packer.take_back()?;
    Ok((recordings, stills))
}

/// Compares what came with what the centre was told while it was recorded.
fn judge(recording: &mut Recording, now: Now) {
    recording.file = Some(now.name);
    let altered = match now.walk.end() {
        Err(why) => Some(why.to_string()),
        Ok(footage) => {
            recording.frames = Some(footage.frames);
            let told = recording.sealed.sha256;
            (footage.digest != told || footage.head.camera != recording.camera)
                .then(|| format!("its digest is {}, and the centre was told {told}", footage.digest))
        }
    };
    recording.state = if altered.is_some() { State::Altered } else { State::Original };
    recording.why = altered;
}

/// The file of a recording: the segment's own name, where that may stand in a package.
fn file_name(at: usize, wanted: &Wanted) -> String {
    let name = format!("footage/{}", wanted.segment);
    if is_name(&name) { name } else { format!("footage/{}/{at}.mp4", wanted.camera) }
}
