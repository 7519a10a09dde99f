//! The recorder's thread: one for all cameras. It writes fragments, syncs, rotates, keeps the index, deletes what is old
//! and not held. Only this thread writes to the disk of the recordings and to its index.
//!
//! A failed `fdatasync` puts the disk out until the agent starts again: nobody knows what is on it then. A full disk does
//! not: what is old goes, and when only held footage is left recording stops and says so.

mod retention;
mod track;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use control_protocol::{CameraId, Happening, NodeId};
use device_drivers::clock::Mono;
use tokio::sync::mpsc::Sender;

use super::{
    RecorderError, Shared, Work,
    disk::Disk,
    figures::Figures,
    gather::Gathered,
    index::{Gap, Hold, Index, IndexError, rebuild},
    keep::Ordered,
    lock,
    segment::Fragment,
    tell::{Telling, of_gap},
    why::Why,
};
use crate::{clock::Clock, config::Recording};
use track::Track;

/// How often the disk's room and age are looked at.
const TIDY: Duration = Duration::from_secs(2);
/// How often it is looked for work without any.
const IDLE: Duration = Duration::from_millis(250);
/// Rows told at a time.
const TELL: u32 = 64;

pub(super) struct Setup {
    pub(super) settings: Recording,
    /// Footage is kept so many days where the centre orders nothing.
    pub(super) days_of_file: u32,
    pub(super) node: NodeId,
    pub(super) data: PathBuf,
    pub(super) cameras: Vec<CameraId>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shared: Arc<Shared>,
    pub(super) figures: Arc<Figures>,
    pub(super) telling: Sender<Telling>,
}

/// The thread's state.
pub(crate) struct Writer {
    s: Setup,
    disk: Disk,
    index: Index,
    tracks: Vec<Track>,
    /// The disk is out, and why.
    out: Option<String>,
    /// Only held footage is left.
    full: bool,
    /// Rows are with the teller.
    telling: bool,
    /// There may be rows that the journal does not have.
    untold: bool,
    tidied: Mono,
    tidied_days: Mono,
    forecast: retention::Forecast,
}

/// The thread's whole life.
pub(super) fn run(setup: Setup, queue: Receiver<Work>) {
    let (figures, telling) = (setup.figures.clone(), setup.telling.clone());
    match Writer::open(setup) {
        Ok(mut writer) => writer.work(&queue),
        Err(why) => {
            tracing::error!("nothing is recorded: {why}");
            figures.change(|state| state.stopped = Some(why.clone()));
            let said = Happening::RecordingGap {
                from: control_protocol::UtcMillis(jiff::Timestamp::now().as_millisecond()),
                to: control_protocol::UtcMillis(jiff::Timestamp::now().as_millisecond()),
                why: Why::DiskOut(why).to_string(),
            };
            // The channel is new and empty.
            let _ = telling.try_send(Telling::Now(None, said));
            drop(telling);
            refuse(&queue, &figures);
        }
    }
}

/// Takes what comes and does nothing with it, so that nobody waits.
fn refuse(queue: &Receiver<Work>, figures: &Figures) {
    while let Ok(work) = queue.recv() {
        match work {
            Work::Gathered(_, Gathered::Fragment { fragment, .. }) => unqueue(figures, &fragment),
            Work::Stop => return,
            Work::Gathered(..) | Work::Told { .. } | Work::Job(_) => {}
        }
    }
}

fn unqueue(figures: &Figures, fragment: &Fragment) {
    figures.queued.fetch_sub(fragment.bytes(), Ordering::Relaxed);
}

impl Writer {
    /// Takes the disk, brings segments and index to what is whole, and knows where each camera goes on.
    fn open(s: Setup) -> Result<Self, String> {
        let folder = &s.settings.folder;
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let disk = Disk::take(folder, &s.data, &s.node, false).map_err(|e| e.to_string())?;
        let made = match Index::open(folder) {
            Ok((index, new)) if !new || rebuild::files(folder).is_ok_and(|files| files.is_empty()) => {
                Ok(index)
            }
            Ok(_) => Err("it is not there".to_owned()),
            Err(IndexError::Damaged(why)) => Err(why),
            Err(e) => return Err(e.to_string()),
        };
        let index = match made {
            Ok(index) => index,
            Err(why) => {
                tracing::warn!("the recording index is made again from the segments: {why}");
                let found = rebuild::rebuild(folder).map_err(|e| e.to_string())?;
                tracing::info!(segments = found.segments, "the recording index is made again");
                for fault in &found.faults {
                    tracing::warn!("{fault}");
                }
                Index::open(folder).map_err(|e| e.to_string())?.0
            }
        };
        let now = s.clock.now_mono();
        let mut writer = Self {
            disk,
            index,
            tracks: Vec::new(),
            out: None,
            full: false,
            telling: false,
            untold: true,
            tidied: Mono(0),
            tidied_days: Mono(0),
            forecast: retention::Forecast::new(now),
            s,
        };
        writer.mend().map_err(|e| e.to_string())?;
        let count = u64::try_from(writer.s.cameras.len().max(1)).unwrap_or(1);
        for (n, camera) in writer.s.cameras.clone().into_iter().enumerate() {
            let track = Track::resume(&writer.index, camera, &writer.s.settings, n as u64, count, now)
                .map_err(|e| e.to_string())?;
            writer.tracks.push(track);
        }
        Ok(writer)
    }

    /// Segments that were being written are cut at what is whole and sealed; those being deleted are deleted.
    fn mend(&mut self) -> Result<(), IndexError> {
        let folder = self.s.settings.folder.clone();
        for (id, file, deleting) in self.index.unfinished()? {
            let path = folder.join(&file);
            let scanned = if deleting { None } else { rebuild::scan_file(&folder, &file).ok() };
            let row = scanned.as_ref().and_then(|scanned| rebuild::row_of(id, &file, scanned));
            let (Some(scanned), Some(row)) = (scanned, row) else {
                match std::fs::remove_file(&path) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                    Err(e) => return Err(IndexError::Failed(format!("{file}: {e}"))),
                }
                self.index.forget(id)?;
                continue;
            };
            if let Some(bad) = scanned.bad {
                tracing::warn!(camera = %row.camera, file, "cut at byte {}: {}", bad.at, bad.why);
            }
            rebuild::cut(&folder, &file, &scanned).map_err(|e| IndexError::Failed(format!("{file}: {e}")))?;
            if let Some((from_us, why)) = &scanned.head.gap {
                let gap = Gap {
                    camera: row.camera.clone(),
                    from_us: *from_us,
                    to_us: Some(row.start_us),
                    why: why.clone(),
                };
                self.index.put_gap(&gap)?;
            }
            self.index.seal(&row)?;
        }
        Ok(())
    }

    fn work(&mut self, queue: &Receiver<Work>) {
        loop {
            let now = self.now();
            let wait = self.due().map_or(IDLE, |due| due.since(now).min(IDLE));
            match queue.recv_timeout(wait) {
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(work) => self.take(work),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // What waits is written first; a sync of one camera must not cost the pictures of the others.
            self.sync_due();
            let now = self.now();
            if now.since(self.tidied) >= TIDY {
                self.tidied = now;
                self.tidy();
            }
            self.tell();
        }
        for at in 0..self.tracks.len() {
            self.break_off(at, &Why::AgentDown);
        }
        // The teller may still be at work; what it does not take now it takes after the next start.
        self.tell();
    }

    fn now(&self) -> Mono {
        self.s.clock.now_mono()
    }

    fn now_us(&self) -> i64 {
        self.s.clock.utc_us_of(self.now())
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Gathered(at, Gathered::Fragment { entry, begins, fragment }) => {
                unqueue(&self.s.figures, &fragment);
                self.fragment(at, entry, begins, fragment);
            }
            Work::Gathered(at, Gathered::Lost(why)) => self.break_off(at, &why),
            Work::Told { segments, gaps } => {
                self.telling = false;
                if let Err(e) = self.index.told(&segments, &gaps) {
                    self.index_failed(&e);
                }
            }
            Work::Job(job) => job(self),
            Work::Stop => {}
        }
    }

    /// What is in the index and not in the journal goes to the teller, one batch at a time.
    fn tell(&mut self) {
        if self.telling || !self.untold || self.out.is_some() {
            return;
        }
        match self.index.untold(TELL) {
            Ok((segments, gaps)) if segments.is_empty() && gaps.is_empty() => self.untold = false,
            Ok((segments, gaps)) => {
                self.telling = self.s.telling.try_send(Telling::Rows { segments, gaps }).is_ok();
            }
            Err(e) => {
                // Asked again after the next segment.
                self.untold = false;
                self.index_failed(&e);
            }
        }
    }

    fn say(&self, camera: Option<&CameraId>, happening: Happening) {
        // Said once and logged: a full channel means that much is being said already.
        if self.s.telling.try_send(Telling::Now(camera.cloned(), happening)).is_err() {
            tracing::warn!("an event of the recorder was not taken");
        }
    }

    /// The disk cannot be trusted, or the index not be written: nothing is recorded until the next start.
    fn disk_out(&mut self, why: String) {
        if self.out.is_some() {
            return;
        }
        tracing::error!("nothing is recorded until the agent starts again: {why}");
        Figures::add(&self.s.figures.failures, 1);
        self.s.figures.change(|state| state.stopped = Some(why.clone()));
        let now_us = self.now_us();
        let reason = Why::DiskOut(why.clone()).to_string();
        self.out = Some(why);
        for track in &mut self.tracks {
            track.open = None;
            lock(&self.s.shared.open).remove(&track.camera);
            let gap = Gap {
                camera: track.camera.clone(),
                from_us: track.end_us.unwrap_or(now_us),
                to_us: None,
                why: reason.clone(),
            };
            track.gap.get_or_insert((gap.from_us, gap.why.clone()));
            if self.s.telling.try_send(Telling::Now(Some(gap.camera.clone()), of_gap(&gap))).is_err() {
                tracing::warn!(camera = %gap.camera, "an event of the recorder was not taken");
            }
        }
    }

    fn index_failed(&mut self, e: &IndexError) {
        match e {
            // Room is made by the next look at the disk.
            IndexError::Full => tracing::warn!("{e}"),
            _ => self.disk_out(e.to_string()),
        }
    }

    /// Takes in a camera that is recorded from now on; the next number is its own.
    pub(super) fn add(&mut self, camera: CameraId) -> Result<(), RecorderError> {
        let track = Track::resume(&self.index, camera, &self.s.settings, 0, 1, self.now())?;
        self.tracks.push(track);
        Ok(())
    }

    /// Places a hold.
    pub(super) fn hold(&mut self, hold: &Hold) -> Result<bool, RecorderError> {
        Ok(self.index.hold(&self.s.settings.folder, hold)?)
    }

    /// Keeps footage so many days from now on; gives them.
    pub(super) fn keep_days(&mut self, days: Option<u32>) -> Result<u32, RecorderError> {
        let ordered = Ordered::of(days);
        let failed = |e: std::io::Error| RecorderError::Closed(format!("the days could not be kept: {e}"));
        ordered.write(&self.s.settings.folder).map_err(failed)?;
        self.s.settings.days = ordered.days(self.s.days_of_file);
        Ok(self.s.settings.days)
    }

    /// Releases a hold.
    pub(super) fn release(&mut self, id: &str, now_us: i64) -> Result<bool, RecorderError> {
        Ok(self.index.release(&self.s.settings.folder, id, now_us)?)
    }
}
