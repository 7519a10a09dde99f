//! What the centre asks of the recorder: clips, segments and stills with the bytes to be sent, runs and gaps, holds. It opens no
//! connection (`uplink::footage` does) and decides nobody's rights (the centre has).

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::PathBuf, sync::atomic::Ordering};

use bytes::Bytes;
use control_protocol::{
    CameraId,
    footage::{self, ClipPlan, Disk, FootageAnswer, FootageAsk, MESSAGE, MOST_ROWS, NoFootage, SegmentFile},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    Recorder, RecorderError,
    clip::{Clip, ClipError, Reading},
    index::{Gap, Index, Run, SegmentRow},
};

/// Bytes that can be sent.
#[derive(Debug)]
pub enum Source {
    /// A clip.
    Clip(Clip),
    /// A segment as it lies.
    Segment(Whole),
    /// A still.
    Still(Bytes),
}

/// A sealed segment that is kept from deletion while it is read.
#[derive(Debug)]
pub struct Whole {
    path: PathBuf,
    bytes: u64,
    _reading: Reading,
}

impl Source {
    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Clip(clip) => clip.len(),
            Self::Segment(whole) => whole.bytes,
            Self::Still(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes of `range`, read as they are asked for.
    pub fn stream(self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Clip(clip) => clip.stream(Some(range)).boxed(),
            Self::Segment(whole) => whole.stream(range).boxed(),
            Self::Still(bytes) => {
                let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
                let from = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
                stream::once(async move { Ok(bytes.slice(from..end)) }).boxed()
            }
        }
    }
}

impl Whole {
    fn stream(self, range: Range<u64>) -> impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static {
        let end = range.end.min(self.bytes);
        stream::try_unfold((self, range.start), move |(whole, at)| async move {
            let length = end.saturating_sub(at).min(MESSAGE as u64);
            let Ok(size @ 1..) = usize::try_from(length) else { return Ok(None) };
            let path = whole.path.clone();
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; size];
                File::open(path)?.read_exact_at(&mut bytes, at)?;
                Ok::<_, io::Error>(Bytes::from(bytes))
            });
            Ok(Some((read.await.map_err(io::Error::other)??, (whole, at + length))))
        })
    }
}

fn gap(gap: Gap) -> footage::Gap {
    footage::Gap { from_us: gap.from_us, to_us: gap.to_us, why: gap.why }
}

fn run(run: Run) -> footage::Run {
    let Run { run, from_us, to_us, frames, bytes } = run;
    footage::Run { run, from_us, to_us, frames, bytes }
}

fn plan(clip: &Clip) -> ClipPlan {
    ClipPlan {
        camera: clip.camera.clone(),
        zero_us: clip.zero_us,
        starts_us: clip.starts_us,
        ends_us: clip.ends_us,
        frames: clip.frames,
        bytes: clip.len(),
        tag: clip.tag,
        codec: clip.codec.clone(),
        rest_from_us: clip.rest_from_us,
        clock: clip.clock,
        gaps: clip.gaps.iter().take(MOST_ROWS).cloned().map(gap).collect(),
        segments: clip.segments.clone(),
    }
}

pub(super) fn nothing(reason: NoFootage, why: impl ToString) -> FootageAnswer {
    FootageAnswer::Nothing { reason, why: why.to_string(), gaps: Vec::new() }
}

/// Rows of a time, cut short where there are too many: gives up to where they are whole.
fn cut_short(to_us: i64, runs: &mut Vec<Run>, gaps: &mut Vec<Gap>) -> i64 {
    let mut end = to_us;
    if runs.len() > MOST_ROWS {
        end = end.min(runs.get(MOST_ROWS).map_or(to_us, |run| run.from_us));
        runs.truncate(MOST_ROWS);
    }
    if gaps.len() > MOST_ROWS {
        end = end.min(gaps.get(MOST_ROWS).map_or(to_us, |gap| gap.from_us));
        gaps.truncate(MOST_ROWS);
    }
    if end < to_us {
        runs.retain(|run| run.from_us < end);
        gaps.retain(|gap| gap.from_us < end);
    }
    end
}

impl Recorder {
    /// Answers the centre, with the bytes that go with the answer.
    pub async fn answer(&self, ask: FootageAsk) -> (FootageAnswer, Option<Source>) {
        match ask {
            FootageAsk::Clip { camera, beside, from_us, to_us } => {
                self.clip_answer(&camera, beside, from_us, to_us).await
            }
            FootageAsk::Segment { camera, segment } => self.segment_answer(camera, segment).await,
            FootageAsk::Still { camera, at_us } => self.still_answer(camera, at_us).await,
            FootageAsk::Finish { cameras, to_us } => match self.finish(cameras, to_us).await {
                Ok(segments) => (FootageAnswer::Finished { segments }, None),
                Err(e @ RecorderError::Busy) => (nothing(NoFootage::Busy, e), None),
                Err(e) => (nothing(NoFootage::Failed, e), None),
            },
            FootageAsk::Recordings { camera, from_us, to_us } => {
                (self.recordings_answer(&camera, from_us, to_us).await, None)
            }
            FootageAsk::Holds {} => match self.holds().await {
                // Those that ended long ago give way to those that stand.
                Ok(mut holds) => {
                    let too_many = holds.len().saturating_sub(MOST_ROWS);
                    holds.drain(..too_many);
                    (FootageAnswer::Holds { holds }, None)
                }
                Err(e) => (nothing(NoFootage::Failed, e), None),
            },
        }
    }

    async fn clip_answer(
        &self,
        camera: &CameraId,
        beside: Vec<CameraId>,
        from_us: i64,
        to_us: i64,
    ) -> (FootageAnswer, Option<Source>) {
        match self.clip(camera, beside, from_us, to_us).await {
            Ok(clip) => (FootageAnswer::Clip(plan(&clip)), Some(Source::Clip(clip))),
            Err(e @ ClipError::Nothing(_)) => {
                let gaps = self.recordings(camera, from_us, to_us).await.map(|(_, gaps)| gaps);
                let gaps = gaps.unwrap_or_default().into_iter().take(MOST_ROWS).map(gap).collect();
                let why = e.to_string();
                (FootageAnswer::Nothing { reason: NoFootage::NotRecorded, why, gaps }, None)
            }
            Err(e @ (ClipError::Range | ClipError::Pieces)) => (nothing(NoFootage::Range, e), None),
            Err(e @ (ClipError::Index(_) | ClipError::Read(_))) => (nothing(NoFootage::Failed, e), None),
        }
    }

    async fn recordings_answer(&self, camera: &CameraId, from_us: i64, to_us: i64) -> FootageAnswer {
        if to_us <= from_us {
            return nothing(NoFootage::Range, "the time ends before it begins");
        }
        match self.recordings(camera, from_us, to_us).await {
            Ok((mut runs, mut gaps)) => {
                let to_us = cut_short(to_us, &mut runs, &mut gaps);
                FootageAnswer::Recordings(footage::Recordings {
                    to_us,
                    runs: runs.into_iter().map(run).collect(),
                    gaps: gaps.into_iter().map(gap).collect(),
                    disk: self.disk(),
                })
            }
            Err(e) => nothing(NoFootage::Failed, e),
        }
    }

    fn disk(&self) -> Disk {
        let state = self.figures.state();
        Disk {
            stopped: state.stopped,
            free_bytes: state.free_bytes,
            holds_days: state.forecast_days,
            keep_days: self.keep_days.load(Ordering::Relaxed),
            short: state.short,
        }
    }

    async fn segment_answer(&self, camera: CameraId, segment: String) -> (FootageAnswer, Option<Source>) {
        let (folder, shared) = (self.folder.clone(), self.shared.clone());
        let found = self
            .blocking(move || {
                let index = Index::read(&folder)?;
                let Some(row) = index.segment(&camera, &segment)? else { return Ok(None) };
                let reading = Reading::of(&shared, vec![row.id]);
                // Not where it was being deleted when it was claimed.
                let still = index.segment(&camera, &segment)?.is_some();
                Ok(still.then_some((folder.join(&row.file), row, reading)))
            })
            .await;
        let (path, row, reading): (PathBuf, SegmentRow, Reading) = match found {
            Ok(Some(found)) => found,
            Ok(None) => {
                return (nothing(NoFootage::NotRecorded, "this segment is not there, or not any more"), None);
            }
            Err(e @ RecorderError::Busy) => return (nothing(NoFootage::Busy, e), None),
            Err(e) => return (nothing(NoFootage::Failed, e), None),
        };
        // What lies there is sent as it lies, changed or not: who has the digest finds out.
        let size = tokio::fs::metadata(&path).await.map(|meta| meta.len());
        let bytes = match size {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let why = "its file is gone from the hall's disk, though nothing here has deleted it";
                return (nothing(NoFootage::Failed, why), None);
            }
            Err(e) => return (nothing(NoFootage::Failed, e), None),
        };
        let file = SegmentFile { segment: row.file, bytes, sha256: row.digest };
        (FootageAnswer::Segment(file), Some(Source::Segment(Whole { path, bytes, _reading: reading })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_rows_are_cut_where_all_of_them_are_whole() {
        let camera: CameraId = "450103-01-W07-C1".parse().unwrap();
        let most = i64::try_from(MOST_ROWS).unwrap();
        let run =
            |n: i64| Run { run: n.unsigned_abs(), from_us: n * 10, to_us: n * 10 + 9, frames: 1, bytes: 1 };
        let gap = |n: i64| Gap {
            camera: camera.clone(),
            from_us: n * 10 + 9,
            to_us: Some(n * 10 + 10),
            why: String::new(),
        };
        let mut runs: Vec<Run> = (0..most + 5).map(run).collect();
        let mut gaps: Vec<Gap> = (0..most + 4).map(gap).collect();
        let end = cut_short(1_000_000, &mut runs, &mut gaps);
        assert_eq!(end, most * 10);
        assert_eq!(runs.len(), MOST_ROWS);
        assert!(gaps.iter().all(|gap| gap.from_us < end) && gaps.len() == MOST_ROWS);
        let (mut runs, mut gaps) = (vec![run(1)], vec![gap(1)]);
        assert_eq!(cut_short(50, &mut runs, &mut gaps), 50);
        assert_eq!((runs.len(), gaps.len()), (1, 1));
    }
}
