//! Verifying a package: from its bytes alone, on any machine, with no network, no database and no clock. A package is
//! outside input: memory is bounded whatever it says, no name in it is used as a path, and nothing in it is written
//! anywhere.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use control_protocol::{CameraId, Digest, NodeId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    container::{BadContainer, Stored, Unpacker, looks_like_one},
    footage::{BadFootage, Walk},
    key::{PublicKey, Trusted},
    manifest::{
        CHAIN, Chain, EVENTS, EventPlace, FORMAT, MANIFEST, Manifest, README, SIGNATURE, SIGNER, State,
        VERSION,
    },
};

/// The largest manifest, event list or chain that is read.
pub const MAX_TEXT: u64 = 32 * 1024 * 1024;
/// Faults that are kept; one is enough.
const FAULTS: usize = 200;
/// Stretches of journals in one package: a hall has one journal, and a new epoch after a restore.
pub const MAX_STRETCHES: usize = 64;
/// The files behind those of the manifest.
const LAST: [&str; 3] = [MANIFEST, SIGNATURE, SIGNER];

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum CannotVerify {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("the file is not a Hallwatch evidence package")]
    Foreign,
}

/// What is wrong with a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its form.
    #[error("the package is damaged: {0}")]
    Form(String),
    /// A file is not what the manifest says.
    #[error("`{0}` is not the file that was exported: its bytes were changed")]
    Changed(String),
    /// Files are missing, added or out of order.
    #[error("the files are not those of the manifest: `{0}`")]
    Files(String),
    /// There is no manifest that can be read.
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    /// The signature is not one of the key in the package over the manifest.
    #[error("the signature does not belong to this manifest and this key")]
    Signature,
    /// Whoever signed it is not who is trusted.
    #[error("it was signed by another key than the trusted one")]
    NotTrusted,
    /// A recording's bytes are not as the agent wrote them.
    #[error("the recording {segment} was changed after it was recorded: {why}")]
    Recording {
        /// The segment.
        segment: String,
        /// What was found.
        why: BadFootage,
    },
    /// A recording is whole in itself, and is not the one that the centre was told of.
    #[error(
        "the recording {segment} is not the one that the centre was told of while it was recorded: its digest is {found}, \
         the centre was told {told}"
    )]
    NotAsTold {
        /// The segment.
        segment: String,
        /// What the centre was told.
        told: Digest,
        /// What it is.
        found: Digest,
    },
    /// What the manifest says of a recording is not so.
    #[error("what the manifest says of the recording {segment} is not so: {what}")]
    Said {
        /// The segment.
        segment: String,
        /// What.
        what: &'static str,
    },
    /// A line of the events.
    #[error("line {line} of the events is not as it was journalled: {why}")]
    Event {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A verdict and what it rests on.
#[derive(Debug)]
pub struct Report {
    /// What is wrong; nothing: the package is intact.
    pub faults: Vec<Fault>,
    /// More faults than are kept.
    pub more_faults: usize,
    /// The key in the package, where its signature is one over the manifest.
    pub signer: Option<PublicKey>,
    /// Whether that key is the trusted one; none where none was given.
    pub trusted: Option<bool>,
    /// The manifest, where it can be read. It says what somebody signed, which is not more than the signer is trusted.
    pub manifest: Option<Manifest>,
    /// Recordings that are bit for bit what the centre was told.
    pub recordings: usize,
    /// Frames in them.
    pub frames: u64,
    /// Fragments in them whose time was not confirmed, or known to be wrong.
    pub time_unsure: u32,
    /// Events that are as they were journalled.
    pub events: usize,
    /// Bytes that were checked.
    pub bytes: u64,
}

impl Report {
    /// Whether every byte is the one that was exported, signed by the trusted key if one was given, and every recording
    /// the one that the centre was told of.
    pub fn intact(&self) -> bool {
        self.faults.is_empty() && self.signer.is_some() && self.trusted != Some(false)
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

/// What is kept of a recording that has passed by.
struct Passed {
    camera: CameraId,
    node: NodeId,
    digest: Digest,
    frames: u64,
    time_unsure: u32,
}

/// Everything of a package that is kept while it passes by.
#[derive(Default)]
struct Seen {
    stored: Vec<Stored>,
    footage: BTreeMap<String, Result<Passed, BadFootage>>,
    /// The texts that are read: events, chain, manifest, signature, key.
    texts: BTreeMap<&'static str, Vec<u8>>,
}

/// Verifies a package.
///
/// # Errors
/// It cannot be read, or is no package at all. Whatever is wrong with a package stands in the report.
pub fn verify(mut input: impl Read + Seek, trust: Option<&Trusted>) -> Result<Report, CannotVerify> {
    if !looks_like_one(&mut input, README)? {
        return Err(CannotVerify::Foreign);
    }
    let mut report = Report {
        faults: Vec::new(),
        more_faults: 0,
        signer: None,
        trusted: None,
        manifest: None,
        recordings: 0,
        frames: 0,
        time_unsure: 0,
        events: 0,
        bytes: 0,
    };
    let mut seen = Seen::default();
    match pass(input, &mut seen, &mut report) {
        Ok(()) => {}
        Err(BadContainer::Read(error)) => return Err(CannotVerify::Read(error)),
        Err(bad) => report.fault(Fault::Form(bad.to_string())),
    }
    signature(&seen, trust, &mut report);
    let Some(manifest) = manifest(&seen, &mut report) else { return Ok(report) };
    files(&seen, &manifest, &mut report);
    let sealed = events(&seen, &mut report);
    recordings(&seen, &manifest, &sealed, &mut report);
    report.manifest = Some(manifest);
    Ok(report)
}

/// Lets every byte pass by once.
fn pass(input: impl Read, seen: &mut Seen, report: &mut Report) -> Result<(), BadContainer> {
    let mut package = Unpacker::new(io::BufReader::with_capacity(256 * 1024, input));
    while let Some(next) = package.next_file()? {
        let kept = [EVENTS, CHAIN, MANIFEST, SIGNATURE, SIGNER].into_iter().find(|name| *name == next.name);
        let mut text = kept.filter(|_| next.bytes <= MAX_TEXT).map(|_| Vec::new());
        let mut walk = next.name.starts_with("footage/").then(Walk::default);
        let (stored, sound) = package.contents(|bytes| {
            if let Some(text) = text.as_mut() {
                text.extend_from_slice(bytes);
            }
            if let Some(walk) = walk.as_mut() {
                walk.take(bytes);
            }
        })?;
        if !sound {
            report.fault(Fault::Changed(stored.name.clone()));
        }
        if let (Some(name), Some(text)) = (kept, text) {
            seen.texts.insert(name, text);
        }
        if let Some(walk) = walk {
            let passed = walk.end().map(|footage| Passed {
                camera: footage.head.camera,
                node: footage.head.node,
                digest: footage.digest,
                frames: footage.frames,
                time_unsure: footage.clock.iter().skip(1).sum(),
            });
            seen.footage.insert(stored.name.clone(), passed);
        }
        report.bytes += stored.bytes;
        seen.stored.push(stored);
    }
    Ok(())
}

fn signature(seen: &Seen, trust: Option<&Trusted>, report: &mut Report) {
    let text = |name| seen.texts.get(name).map(Vec::as_slice);
    let key = text(SIGNER).and_then(|pem| std::str::from_utf8(pem).ok()).and_then(PublicKey::of_pem);
    let signed = match (key, text(MANIFEST), text(SIGNATURE)) {
        (Some(key), Some(manifest), Some(signature)) => key.verifies(manifest, signature).then_some(key),
        _ => None,
    };
    match signed {
        None => report.fault(Fault::Signature),
        Some(key) => {
            report.signer = Some(key);
            report.trusted = trust.map(|trust| trust.is(&key));
            if report.trusted == Some(false) {
                report.fault(Fault::NotTrusted);
            }
        }
    }
}

fn manifest(seen: &Seen, report: &mut Report) -> Option<Manifest> {
    #[derive(Deserialize)]
    struct Kind {
        format: String,
        v: u16,
    }
    let read = || -> Result<Manifest, String> {
        let text = seen.texts.get(MANIFEST).ok_or_else(|| "it is not there".to_owned())?;
        let kind: Kind = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if kind.format != FORMAT {
            return Err("it is of something else".to_owned());
        }
        if kind.v != VERSION {
            return Err(format!(
                "it has version {}, and this program knows {VERSION}: use the newer one",
                kind.v
            ));
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    };
    read().map_err(|why| report.fault(Fault::Manifest(why))).ok()
}

/// The files are those of the manifest, in its order, and behind them manifest, signature and key.
fn files(seen: &Seen, manifest: &Manifest, report: &mut Report) {
    let mut expected = manifest.files.iter();
    let (listed, last) = seen.stored.split_at(seen.stored.len().saturating_sub(LAST.len()));
    for stored in listed {
        match expected.next() {
            Some(row) if row.name != stored.name => {
                return report.fault(Fault::Files(stored.name.clone()));
            }
            Some(row) if row.bytes != stored.bytes || row.sha256 != stored.sha256 => {
                let changed = Fault::Changed(stored.name.clone());
                if !report.faults.contains(&changed) {
                    report.fault(changed);
                }
            }
            Some(_) => {}
            None => return report.fault(Fault::Files(stored.name.clone())),
        }
    }
    if let Some(missing) = expected.next() {
        report.fault(Fault::Files(missing.name.chars().take(200).collect()));
    }
    if let Some((_, other)) = LAST.iter().zip(last).find(|(name, stored)| **name != stored.name) {
        report.fault(Fault::Files(other.name.clone()));
    }
}

/// What is read of an event. Kinds that this version does not know are as good as others.
#[derive(Deserialize)]
struct Line<'a> {
    node: NodeId,
    epoch: u64,
    seq: u64,
    prev: Digest,
    kind: String,
    device: Option<String>,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct SealedBody {
    segment: String,
    sha256: Digest,
}

struct SealedEvent {
    device: Option<String>,
    body: SealedBody,
}

/// Every event is the one of its place in the chain; gives those that seal recordings.
fn events(seen: &Seen, report: &mut Report) -> BTreeMap<EventPlace, SealedEvent> {
    let mut sealed = BTreeMap::new();
    let chain = seen.texts.get(CHAIN).and_then(|text| serde_json::from_slice::<Chain>(text).ok());
    let chain = chain.filter(|chain| chain.stretches.len() <= MAX_STRETCHES);
    let (Some(chain), Some(text)) = (chain, seen.texts.get(EVENTS)) else {
        report.fault(Fault::Manifest(format!("`{EVENTS}` or `{CHAIN}` is not there or cannot be read")));
        return sealed;
    };
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
    for (at, bytes) in lines.enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
        let mut wrong = |why| report.fault(Fault::Event { line: at + 1, why });
        let Ok(event) = serde_json::from_slice::<Line<'_>>(bytes) else {
            wrong("it is no event");
            continue;
        };
        let place = EventPlace { node: event.node, epoch: event.epoch, seq: event.seq };
        let stretch = chain.stretches.iter().find(|stretch| {
            stretch.node == place.node && stretch.epoch == place.epoch && stretch.digest(place.seq).is_some()
        });
        if stretch.and_then(|stretch| stretch.digest(place.seq)) != Some(Digest::of(bytes)) {
            wrong("its digest is not the one of its place in the chain");
            continue;
        }
        let before = stretch.and_then(|stretch| stretch.digest(place.seq.wrapping_sub(1)));
        if before.is_some_and(|before| before != event.prev) {
            wrong("it does not follow from the event before it");
            continue;
        }
        if event.kind == "recording.sealed" {
            let Ok(body) = serde_json::from_str::<SealedBody>(event.body.get()) else {
                wrong("it seals nothing");
                continue;
            };
            sealed.insert(place, SealedEvent { device: event.device, body });
        }
        report.events += 1;
    }
    sealed
}

fn recordings(
    seen: &Seen,
    manifest: &Manifest,
    sealed: &BTreeMap<EventPlace, SealedEvent>,
    report: &mut Report,
) {
    let mut files: Vec<&str> = Vec::new();
    for recording in &manifest.recordings {
        let segment = || recording.segment.chars().take(200).collect::<String>();
        let mut said = |what| report.fault(Fault::Said { segment: segment(), what });
        let told = recording.sealed.sha256;
        let event = sealed.get(&recording.sealed.event).filter(|event| {
            event.body.segment == recording.segment
                && event.body.sha256 == told
                && event.device.as_deref() == Some(recording.camera.as_str())
        });
        if event.is_none() {
            said("no event in the package seals it with this digest");
        }
        let Some(file) = &recording.file else {
            if recording.state != State::Missing {
                said("it has no file");
            }
            continue;
        };
        if recording.state == State::Missing {
            said("it has a file although it is called missing");
        }
        files.push(file);
        match seen.footage.get(file) {
            None => said("its file is not there"),
            Some(Err(why)) => {
                report.fault(Fault::Recording { segment: segment(), why: why.clone() });
            }
            Some(Ok(passed)) => {
                if passed.camera != recording.camera || passed.node != recording.sealed.event.node {
                    said("it is of another camera or another machine");
                } else if passed.digest != told {
                    report.fault(Fault::NotAsTold { segment: segment(), told, found: passed.digest });
                } else if recording.frames != Some(passed.frames) {
                    said("it has another number of frames");
                } else {
                    report.recordings += 1;
                    report.frames += passed.frames;
                    report.time_unsure += passed.time_unsure;
                }
            }
        }
    }
    files.sort_unstable();
    for name in seen.footage.keys() {
        if files.binary_search(&name.as_str()).is_err() {
            report.fault(Fault::Said {
                segment: name.clone(),
                what: "it is footage that the manifest does not list",
            });
        }
    }
}
