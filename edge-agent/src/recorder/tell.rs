//! Sealed segments and gaps to the journal. What is in the index and not yet in the journal is told again after a start,
//! so that the centre has a digest for every segment that lasts.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use control_protocol::{CameraId, Happening, UtcMillis, WindowId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Shared, Work,
    index::{Gap, SegmentRow},
    lock,
};
use crate::{
    clock::Clock,
    journal::{Entry, Journal, JournalError},
};

/// After a full disk.
const AGAIN: Duration = Duration::from_secs(5);

/// What the writer hands over.
#[derive(Debug)]
pub(super) enum Telling {
    /// In the index, and told by it again until it is in the journal.
    Rows { segments: Vec<SegmentRow>, gaps: Vec<Gap> },
    /// Said once.
    Now(Option<CameraId>, Happening),
}

pub(super) struct Teller {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shared: Arc<Shared>,
    pub(super) work: SyncSender<Work>,
}

fn millis(us: i64) -> UtcMillis {
    UtcMillis(us.div_euclid(1000))
}

/// The event of a gap; one that goes on ends where it began.
pub(super) fn of_gap(gap: &Gap) -> Happening {
    Happening::RecordingGap {
        from: millis(gap.from_us),
        to: millis(gap.to_us.unwrap_or(gap.from_us)),
        why: gap.why.clone(),
    }
}

impl Teller {
    /// Tells until the writer has ended.
    pub(super) async fn run(self, mut told: mpsc::Receiver<Telling>, cancel: CancellationToken) {
        while let Some(telling) = told.recv().await {
            let entries: Vec<Entry> = match &telling {
                Telling::Now(camera, happening) => vec![self.entry(camera.as_ref(), happening.clone())],
                Telling::Rows { segments, gaps } => {
                    let sealed = segments.iter().map(|s| {
                        let happening = Happening::RecordingSealed {
                            segment: s.file.clone(),
                            from: millis(s.start_us),
                            to: millis(s.end_us),
                            sha256: s.digest,
                        };
                        self.entry(Some(&s.camera), happening)
                    });
                    let gaps = gaps.iter().map(|gap| self.entry(Some(&gap.camera), of_gap(gap)));
                    sealed.chain(gaps).collect()
                }
            };
            loop {
                match self.journal.append(entries.clone()).await {
                    Ok(_) => break,
                    Err(JournalError::Full) if !cancel.is_cancelled() => {
                        tokio::select! {
                            () = cancel.cancelled() => {}
                            () = tokio::time::sleep(AGAIN) => {}
                        }
                    }
                    // The journal's end ends the agent; what was not told is told after the next start.
                    Err(_) => return,
                }
            }
            if let Telling::Rows { segments, gaps } = telling {
                let work = Work::Told {
                    segments: segments.iter().map(|s| s.id).collect(),
                    gaps: gaps.into_iter().map(|gap| (gap.camera, gap.from_us)).collect(),
                };
                self.confirm(work).await;
            }
        }
    }

    async fn confirm(&self, mut work: Work) {
        while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.work.try_send(work) {
            work = back;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn window(&self, camera: &CameraId) -> Option<WindowId> {
        let cameras = lock(&self.shared.cameras);
        cameras.iter().find(|(known, _)| known == camera).and_then(|(_, window)| window.clone())
    }

    fn entry(&self, camera: Option<&CameraId>, happening: Happening) -> Entry {
        let now = self.clock.now_mono();
        Entry {
            at: self.clock.utc_of(now),
            mono_us: now.0,
            boot: self.clock.boot().into(),
            clock: self.clock.quality(),
            window: camera.and_then(|camera| self.window(camera)),
            device: camera.map(|camera| camera.as_str().to_owned()),
            case: None,
            happening,
            once: None,
        }
    }
}
