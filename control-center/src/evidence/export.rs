//! An export: who may, what belongs to the case, the hall asked to finish what it records and to hand over its originals, all
//! of it packed and signed. The package lies in a file without a name until it has been sent, so that nothing is left behind.

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{
    CameraId, CaseId, HallId, UtcMillis,
    footage::{FootageAnswer, FootageAsk},
};
use futures_util::{StreamExt, future::join_all};
use http::StatusCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout_at},
};

use super::{
    container::CannotPack,
    gather::{self, Moment, Subject},
    key::EvidenceKey,
    manifest::{CameraFacts, Export, Gap, Still},
    pack::{Coming, Gathered, PackError, Packed, Wanted, pack},
};
use crate::{
    Centre,
    access::{Person, audit},
    recordings::{self, NoStill},
    site::problem::Problem,
    store::StoreError,
};

/// Exports at once: each fills a disk and a line.
const AT_ONCE: usize = 2;
/// How long footage may come in; the rest of a minute is for packing.
const FETCHING: Duration = Duration::from_secs(50);
/// How long the centre waits to be told of segments that the hall has just finished.
const TELLING: Duration = Duration::from_secs(8);
/// No segment is larger.
const LARGEST: u64 = 2 * 1024 * 1024 * 1024;
/// Pieces of footage that may wait for the disk.
const WAITING: usize = 8;

/// The evidence room's part of a centre; cheap to clone.
#[derive(Clone)]
pub struct Evidence {
    key: Arc<EvidenceKey>,
    turns: Arc<Semaphore>,
    folder: PathBuf,
}

impl Evidence {
    /// With the key, and the folder in which packages lie until they are sent.
    pub fn new(key: EvidenceKey, folder: PathBuf) -> Self {
        Self { key: Arc::new(key), turns: Arc::new(Semaphore::new(AT_ONCE)), folder }
    }

    /// The key that signs.
    pub fn key(&self) -> &EvidenceKey {
        &self.key
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) case: CaseId,
    pub(super) reason: String,
    pub(super) cameras: Option<Vec<CameraId>>,
}

/// A package that is ready, and the turn that it takes until it is sent.
pub(super) struct Exported {
    pub(super) packed: Packed,
    _turn: OwnedSemaphorePermit,
}

/// Exports a case and writes that to the audit log.
pub(super) async fn export(centre: &Centre, person: &Person, asked: Asked) -> Result<Exported, Problem> {
    let deadline = Instant::now() + FETCHING;
    let now = centre.clock.now();
    let (asker, case, only) = (person.clone(), asked.case, asked.cameras.clone());
    let subject =
        centre.store.read(move |sql| gather::subject(sql, &asker, case, only.as_deref(), now)).await?;
    let turn = centre.evidence.turns.clone().try_acquire_owned().map_err(|_| {
        let mut problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "other evidence is being exported: try again in a while",
        );
        problem.retry_after = Some(10);
        problem
    })?;
    finish(centre, &subject, deadline).await;
    let gaps = gaps(centre, &subject).await;
    let export = Export {
        by: person.name.to_string(),
        reason: asked.reason.clone(),
        at: now,
        centre: centre.nodes.pin(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (gathered, moments) = gathered(centre, subject, gaps, export).await?;
    let (hall, wanted) = (gathered.case.hall.clone(), gathered.wanted.clone());
    let (send, mut coming) = mpsc::channel(WAITING);
    let evidence = centre.evidence.clone();
    let packing = tokio::task::spawn_blocking(move || {
        let out = tempfile::tempfile_in(&evidence.folder)?;
        pack(gathered, &mut coming, &evidence.key, out)
    });
    fetch(centre, &hall, &wanted, &send, deadline).await;
    stills(centre, &hall, &moments, &send, deadline).await;
    drop(send);
    let packed = packing.await.map_err(|_| failed("the packing task died"))?.map_err(refused)?;
    note(centre, person, &asked, &packed).await?;
    Ok(Exported { packed, _turn: turn })
}

fn failed(why: &str) -> Problem {
    tracing::error!(why, "an export of evidence failed");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the centre failed to make the package: its log says why")
}

fn refused(error: PackError) -> Problem {
    match error {
        PackError::Pack(CannotPack::Write(error)) if error.kind() == std::io::ErrorKind::StorageFull => {
            Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "the centre's disk has no room for the package: free some space",
            )
        }
        PackError::Pack(error @ (CannotPack::TooLarge | CannotPack::TooMany)) => {
            Problem::unprocessable(format!("{error}: name some of the case's cameras in `cameras`"))
        }
        error => failed(&error.to_string()),
    }
}

async fn gathered(
    centre: &Centre,
    subject: Subject,
    gaps: Vec<Gap>,
    export: Export,
) -> Result<(Gathered, Vec<Moment>), StoreError> {
    let ahead = centre.nodes.registry().of_hall(&subject.case.hall).map(|link| link.clock_offset_ms());
    centre
        .store
        .read(move |sql| {
            let wanted = gather::wanted(sql, &subject.cameras)?;
            let record = gather::record(sql, &subject, &wanted, ahead)?;
            let gathered = Gathered {
                case: subject.case,
                export,
                span: subject.span,
                cameras: subject.cameras,
                wanted,
                gaps,
                clocks: record.clocks,
                events: record.events,
                chain: record.chain,
            };
            Ok((gathered, record.moments))
        })
        .await
}

/// Has the hall finish the segments that are still being recorded and belong to the case, and waits until the centre has been
/// told of them. What cannot be finished in time is not in the package; the recording goes on.
async fn finish(centre: &Centre, subject: &Subject, deadline: Instant) {
    let of_case = subject.cameras.clone();
    let open = centre
        .store
        .read(move |sql| {
            let mut open = Vec::new();
            for facts in of_case {
                let told = recordings::sealed(sql, &facts.camera, facts.span.from, facts.span.to)?;
                if told.iter().all(|told| told.to < facts.span.to) {
                    open.push(facts.camera);
                }
            }
            Ok::<_, StoreError>(open)
        })
        .await;
    // A store that fails now fails the export where it must answer.
    let open = open.unwrap_or_default();
    if open.is_empty() {
        return;
    }
    let to_us = subject.span.to.0.saturating_mul(1000);
    let asked = centre.nodes.footage(&subject.case.hall, FootageAsk::Finish { cameras: open, to_us });
    let finished = match timeout_at(deadline, asked).await {
        Ok(Ok(delivery)) => match delivery.answer {
            FootageAnswer::Finished { segments } => segments,
            _ => return,
        },
        Ok(Err(why)) => return tracing::info!(hall = %subject.case.hall, "no segment was finished: {why}"),
        Err(_) => return,
    };
    let (since, give_up) = (subject.span.from, (Instant::now() + TELLING).min(deadline));
    loop {
        let waited_for = finished.clone();
        let told = centre
            .store
            .read(move |sql| {
                for one in &waited_for {
                    if !recordings::is_told(sql, &one.camera, &one.segment, since)? {
                        return Ok(false);
                    }
                }
                Ok::<_, StoreError>(true)
            })
            .await;
        if told.unwrap_or(true) || Instant::now() >= give_up {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// When nothing was recorded: asked of the hall, and of the centre's own record where that does not answer.
async fn gaps(centre: &Centre, subject: &Subject) -> Vec<Gap> {
    let of_one = async |facts: &CameraFacts| {
        let found =
            recordings::gaps(centre, &subject.case.hall, &facts.camera, (facts.span.from, facts.span.to))
                .await;
        let gaps = found.unwrap_or_default();
        gaps.into_iter()
            .map(|(from, to, why)| Gap { camera: facts.camera.clone(), from, to, why })
            .collect::<Vec<_>>()
    };
    join_all(subject.cameras.iter().map(of_one)).await.into_iter().flatten().collect()
}

/// Fetches the originals one after another, until the deadline. A packer that has gone ends it.
async fn fetch(
    centre: &Centre,
    hall: &HallId,
    wanted: &[Wanted],
    send: &mpsc::Sender<Coming>,
    deadline: Instant,
) {
    for (at, one) in wanted.iter().enumerate() {
        let came = timeout_at(deadline, fetch_one(centre, hall, at, one, send)).await;
        let why = match came {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(_) => {
                "the time that an export may take ran out: export fewer of the case's cameras".to_owned()
            }
        };
        if send.send(Coming::Broken(at, why)).await.is_err() {
            return;
        }
    }
}

/// Fetches one; an error says why it did not come.
async fn fetch_one(
    centre: &Centre,
    hall: &HallId,
    at: usize,
    wanted: &Wanted,
    send: &mpsc::Sender<Coming>,
) -> Result<(), String> {
    let gone = |_| "the package cannot be written".to_owned();
    let ask = FootageAsk::Segment { camera: wanted.camera.clone(), segment: wanted.segment.clone() };
    let delivery = centre.nodes.footage(hall, ask).await.map_err(|why| why.to_string())?;
    let bytes = match &delivery.answer {
        FootageAnswer::Segment(file) if file.bytes > LARGEST => {
            return Err("the hall calls it larger than any recording is".to_owned());
        }
        FootageAnswer::Segment(file) => file.bytes,
        FootageAnswer::Nothing { why, .. } => return Err(why.clone()),
        _ => return Err("the hall's answer is not one to what was asked".to_owned()),
    };
    send.send(Coming::Begin(at)).await.map_err(gone)?;
    let mut parts = pin!(delivery.bytes(0..bytes));
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| error.to_string())?;
        send.send(Coming::Bytes(part)).await.map_err(gone)?;
    }
    send.send(Coming::Done).await.map_err(gone)
}

/// Fetches a picture of each moment; one that there is none of is left out.
async fn stills(
    centre: &Centre,
    hall: &HallId,
    moments: &[Moment],
    send: &mpsc::Sender<Coming>,
    deadline: Instant,
) {
    for moment in moments {
        match timeout_at(deadline, still(centre, hall, moment)).await {
            Ok(Ok((still, bytes))) => {
                if send.send(Coming::Still(still, bytes)).await.is_err() {
                    return;
                }
            }
            Ok(Err(why)) => tracing::debug!(camera = %moment.camera, "no still for a package: {why}"),
            Err(_) => return,
        }
    }
}

async fn still(centre: &Centre, hall: &HallId, moment: &Moment) -> Result<(Still, Bytes), NoStill> {
    let (file, bytes) = recordings::still_of(centre, hall, &moment.camera, moment.at).await?;
    let still = Still {
        file: String::new(),
        camera: moment.camera.clone(),
        at: UtcMillis(file.at_us.div_euclid(1000)),
        shows: moment.shows.clone(),
    };
    Ok((still, bytes))
}

/// Writes to the audit log what is about to be handed out, and why.
async fn note(centre: &Centre, person: &Person, asked: &Asked, packed: &Packed) -> Result<(), StoreError> {
    let [original, altered, missing] = packed.counts();
    let detail = serde_json::json!({
        "reason": asked.reason,
        "package": packed.manifest.package,
        "sha256": packed.sha256,
        "bytes": packed.bytes,
        "recordings": {"original": original, "altered": altered, "missing": missing},
    });
    if altered > 0 {
        tracing::warn!(case = %asked.case, altered, "recordings were altered at the hall after they were recorded");
    }
    let (person, object, now) = (person.clone(), asked.case.to_string(), centre.clock.now());
    centre
        .store
        .write("audit of an export", move |tx| {
            audit::audit(tx.sql, &person, "evidence.exported", &object, &detail.to_string(), now)
        })
        .await
}
