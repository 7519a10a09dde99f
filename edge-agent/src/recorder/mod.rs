//! The recorder: every camera on disk without transcoding, found again by its time.
//!
//! Owns the [segments](segment), their [index], gaps, holds, retention and the [clips](clip) cut from them. Access units come
//! from the cameras' hubs by reference and are written once. It never decodes, never deletes what is held, never takes
//! the room kept for events, and never holds a picture or an event back: where the disk does not keep up it skips to the
//! next key frame and says so (docs/design/recorder.md).

mod answer;
pub mod automatic;
pub mod clip;
mod collect;
pub mod disk;
pub mod figures;
mod finish;
mod gather;
pub mod index;
mod keep;
pub mod segment;
mod still;
mod tell;
pub mod why;
mod writer;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use control_protocol::{CameraId, NodeId, WindowId};
use picture::StillMaker;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::{
    clip::{Clip, ClipError, Cutting},
    figures::Figures,
    index::{Gap, Hold, Index, IndexError, Run},
    segment::Table,
};
pub use answer::Source;

use crate::{cameras::Cameras, clock::Clock, config::Recording, journal::Journal};

/// What may wait for the writer's thread.
const QUEUE: usize = 4096;
/// Cameras put in later that may wait for the collector.
const MORE: usize = 16;
/// After a queue that was full.
const AGAIN: Duration = Duration::from_millis(200);

/// What the recorder is given from outside.
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The node.
    pub node: NodeId,
    /// The data folder.
    pub data: PathBuf,
    /// Cameras to record from the start, with the window each looks at.
    pub cameras: Vec<(CameraId, Option<WindowId>)>,
    /// Where events go.
    pub journal: Journal,
    /// Makes stills out of key frames.
    pub stills: StillMaker,
}

/// A segment that is being written, for clips.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    file: String,
    run: u64,
    head_len: u64,
    quality: String,
    table: Table,
}

/// What the writer's thread and everybody else share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// What is or was recorded since the start, with the window each looks at. A camera keeps its number.
    cameras: Mutex<Vec<(CameraId, Option<WindowId>)>>,
    /// Segments being written.
    open: Mutex<HashMap<CameraId, Open>>,
    /// Sealed segments that somebody reads: how many, by their number. They are not deleted meanwhile.
    read: Mutex<BTreeMap<i64, usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done by a panic: each holder makes one change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Job = Box<dyn FnOnce(&mut writer::Writer) + Send>;

enum Work {
    Gathered(usize, gather::Gathered),
    Told { segments: Vec<i64>, gaps: Vec<(CameraId, i64)> },
    Job(Job),
    Stop,
}

/// Why the recorder did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecorderError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Too much waits for the disk.
    #[error("the recorder is busy: try again")]
    Busy,
    /// The recorder has ended, or its disk is out.
    #[error("nothing is recorded: {0}")]
    Closed(String),
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    folder: PathBuf,
    work: mpsc::SyncSender<Work>,
    shared: Arc<Shared>,
    figures: Arc<Figures>,
    clock: Arc<dyn Clock>,
    more: tokio::sync::mpsc::Sender<(usize, CameraId)>,
    keep_days: Arc<AtomicU32>,
    stills: StillMaker,
}

/// What the recorder runs as, to be waited for at the end.
pub struct RecorderTasks {
    thread: std::thread::JoinHandle<()>,
    collect: tokio::task::JoinHandle<()>,
    tell: tokio::task::JoinHandle<()>,
}

impl RecorderTasks {
    /// Ends when all have, after their cancellation and with everything on disk; an error if one died before it.
    ///
    /// # Errors
    /// Which died.
    pub async fn joined(self) -> anyhow::Result<()> {
        let Self { thread, mut collect, tell } = self;
        let mut writer = tokio::task::spawn_blocking(move || thread.join());
        let died = |e: tokio::task::JoinError| anyhow::anyhow!("the recorder's collector died: {e}");
        tokio::select! {
            biased;
            ended = &mut collect => {
                ended.map_err(died)?;
                if !matches!(writer.await, Ok(Ok(()))) {
                    anyhow::bail!("the recorder's thread died");
                }
            }
            ended = &mut writer => {
                if !matches!(ended, Ok(Ok(()))) {
                    anyhow::bail!("the recorder's thread died");
                }
                collect.await.map_err(died)?;
            }
        }
        tell.await.map_err(|e| anyhow::anyhow!("the recorder's event task died: {e}"))
    }
}

/// Starts recording; it ends with `cancel`, with everything that came until then on disk.
///
/// # Errors
/// A thread cannot be started. A disk that cannot be written to is no error: it is told, and the agent goes on.
pub fn start(
    settings: &Recording,
    surroundings: Surroundings,
    cameras: &Cameras,
    cancel: &CancellationToken,
) -> anyhow::Result<(Recorder, RecorderTasks)> {
    let (work, queue) = mpsc::sync_channel(QUEUE);
    let kept = keep::Ordered::read(&settings.folder);
    let (shared, figures) = (Arc::<Shared>::default(), Arc::<Figures>::default());
    *lock(&shared.cameras) = surroundings.cameras.clone();
    let (more, to_collect) = tokio::sync::mpsc::channel(MORE);
    let (telling, told) = tokio::sync::mpsc::channel(2);
    let clock = surroundings.clock.clone();
    let ids: Vec<CameraId> = surroundings.cameras.iter().map(|(camera, _)| camera.clone()).collect();
    let tell = tell::Teller {
        journal: surroundings.journal,
        clock: clock.clone(),
        shared: shared.clone(),
        work: work.clone(),
    };
    let writer = writer::Setup {
        settings: Recording { days: kept.days(settings.days), ..settings.clone() },
        days_of_file: settings.days,
        node: surroundings.node,
        data: surroundings.data,
        cameras: ids.clone(),
        clock: clock.clone(),
        shared: shared.clone(),
        figures: figures.clone(),
        telling,
    };
    let thread =
        std::thread::Builder::new().name("recorder".into()).spawn(move || writer::run(writer, queue))?;
    let collector = collect::Collector {
        cameras: ids,
        more: to_collect,
        stream: settings.stream,
        clock: clock.clone(),
        work: work.clone(),
        figures: figures.clone(),
    };
    let collect = tokio::spawn(collector.run(cameras.clone(), cancel.clone()));
    let tell = tokio::spawn(tell.run(told, cancel.clone()));
    let recorder = Recorder {
        folder: settings.folder.clone(),
        work,
        shared,
        figures,
        clock,
        more,
        keep_days: Arc::new(AtomicU32::new(kept.days(settings.days))),
        stills: surroundings.stills,
    };
    Ok((recorder, RecorderTasks { thread, collect, tell }))
}

impl Recorder {
    /// The figures.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Records a camera from now on, or again where another one took its place: its footage goes on where it ended.
    /// Whoever says so says it of one camera after the other.
    ///
    /// # Errors
    /// The recorder has ended, or its index cannot be read.
    pub async fn record(&self, camera: &CameraId, window: Option<WindowId>) -> Result<(), RecorderError> {
        let (at, new) = {
            let mut cameras = lock(&self.shared.cameras);
            match cameras.iter().position(|(known, _)| known == camera) {
                Some(at) => {
                    cameras[at].1 = window;
                    (at, false)
                }
                None => {
                    cameras.push((camera.clone(), window));
                    (cameras.len() - 1, true)
                }
            }
        };
        if new && let Err(e) = self.add(camera).await {
            lock(&self.shared.cameras).pop();
            return Err(e);
        }
        let more = self.more.send((at, camera.clone())).await;
        more.map_err(|_| RecorderError::Closed("the recorder has ended".into()))
    }

    async fn add(&self, camera: &CameraId) -> Result<(), RecorderError> {
        loop {
            let camera = camera.clone();
            match self.ask(move |writer| writer.add(camera)).await {
                Err(RecorderError::Busy) => tokio::time::sleep(AGAIN).await,
                done => return done,
            }
        }
    }

    /// Runs and gaps of a camera that touch `from_us..to_us` (UTC µs); what is being written counts up to its last whole
    /// fragment.
    ///
    /// # Errors
    /// The index cannot be read.
    pub async fn recordings(
        &self,
        camera: &CameraId,
        from_us: i64,
        to_us: i64,
    ) -> Result<(Vec<Run>, Vec<Gap>), RecorderError> {
        let open = lock(&self.shared.open).get(camera).cloned();
        let (folder, camera) = (self.folder.clone(), camera.clone());
        self.blocking(move || {
            let index = Index::read(&folder)?;
            let mut runs = index.runs(&camera, from_us, to_us)?;
            if let Some(open) = open
                && let (Some(start), Some(end)) = (open.table.start_us(), open.table.end_us())
            {
                let bytes =
                    open.table.0.iter().map(|entry| u64::from(entry.len)).sum::<u64>() + open.head_len;
                match runs.iter_mut().find(|run| run.run == open.run) {
                    Some(run) if run.to_us <= start => {
                        run.to_us = end;
                        run.frames += open.table.frames();
                        run.bytes += bytes;
                    }
                    // It was sealed while we looked.
                    Some(_) => {}
                    None if start < to_us && end > from_us => {
                        runs.push(Run {
                            run: open.run,
                            from_us: start,
                            to_us: end,
                            frames: open.table.frames(),
                            bytes,
                        });
                    }
                    None => {}
                }
            }
            Ok((runs, index.gaps(&camera, from_us, to_us)?))
        })
        .await
    }

    /// What was recorded of a camera in `from_us..to_us` (UTC µs) as one MP4, cut at key frames, with the zero of the
    /// earliest of it and the cameras `beside` it.
    ///
    /// # Errors
    /// Nothing was recorded then, or it cannot be read.
    pub async fn clip(
        &self,
        camera: &CameraId,
        beside: Vec<CameraId>,
        from_us: i64,
        to_us: i64,
    ) -> Result<Clip, ClipError> {
        let open = lock(&self.shared.open)
            .iter()
            .filter(|(of, _)| *of == camera || beside.contains(of))
            .map(|(of, open)| (of.clone(), open.clone()))
            .collect();
        let (folder, camera, shared) = (self.folder.clone(), camera.clone(), self.shared.clone());
        let cut = tokio::task::spawn_blocking(move || {
            Cutting { folder: &folder, shared: &shared, open: &open, from_us, to_us }.cut(&camera, &beside)
        });
        cut.await.map_err(|e| ClipError::Read(e.to_string()))?
    }

    /// Keeps footage from every deleter; false where a hold of this name is there already.
    ///
    /// # Errors
    /// It could not be put on disk: then nothing is held.
    pub async fn hold(&self, hold: Hold) -> Result<bool, RecorderError> {
        self.ask(move |writer| writer.hold(&hold)).await
    }

    /// Releases a hold; false where none of this name stands.
    ///
    /// # Errors
    /// It could not be put on disk: then it still stands.
    pub async fn release(&self, id: String) -> Result<bool, RecorderError> {
        let now_us = self.clock.now_utc().0.saturating_mul(1000);
        self.ask(move |writer| writer.release(&id, now_us)).await
    }

    /// Keeps footage so many days from now on, also after the next start; none: as the hall's file says. Gives the days.
    ///
    /// # Errors
    /// It could not be put on disk: then nothing changes.
    pub async fn keep_days(&self, days: Option<u32>) -> Result<u32, RecorderError> {
        let days = self.ask(move |writer| writer.keep_days(days)).await?;
        self.keep_days.store(days, Ordering::Relaxed);
        Ok(days)
    }

    /// All holds, those that have ended too.
    ///
    /// # Errors
    /// The index cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, RecorderError> {
        let folder = self.folder.clone();
        self.blocking(move || Index::read(&folder)?.holds()).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, RecorderError> {
        let read = tokio::task::spawn_blocking(read).await;
        Ok(read.map_err(|e| IndexError::Failed(e.to_string()))??)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut writer::Writer) -> Result<T, RecorderError> + Send + 'static,
    ) -> Result<T, RecorderError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // Whoever asked may have gone meanwhile.
            let _ = reply.send(question(writer));
        });
        self.work.try_send(Work::Job(job)).map_err(|e| match e {
            mpsc::TrySendError::Full(_) => RecorderError::Busy,
            mpsc::TrySendError::Disconnected(_) => RecorderError::Closed("the recorder has ended".into()),
        })?;
        answer.await.map_err(|_| RecorderError::Closed(self.figures.state().stopped.unwrap_or_default()))?
    }
}

#[cfg(test)]
pub(crate) mod tests;
