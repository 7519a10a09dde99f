//! From the cameras' hubs to the writer's queue. One task for all cameras, woken some twenty times a second at most, since
//! 64 cameras would wake it 1,600 times; a hub keeps what came meanwhile.
//!
//! The queue is bounded in bytes. A group that does not find room is left out, with what follows up to the next key frame
//! that does: a gap with its reason, never a hole inside a group.

use std::{
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    time::Duration,
};

use control_protocol::{
    CameraId,
    frame::{HEADER, Header},
    hub::{Bell, Item},
};
use device_drivers::{
    camera::{SoundCodec, SoundFrame, SoundParameters},
    clock::Mono,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Work,
    figures::Figures,
    gather::{Arrived, Gather, Gathered, STEP_US, Sounded},
    segment::{SampleEntry, Sound, SoundCoding},
    why::Why,
};
use crate::{
    cameras::{Cameras, Tap, entry::Parameters},
    clock::Clock,
    config::RecordedStream,
};

/// How long what comes is left to gather before it is taken.
const PAUSE: Duration = Duration::from_millis(40);
/// What may wait for the disk, of all cameras: some five seconds of 64 cameras at 1.5 Mb/s.
const MOST_QUEUED: u64 = 64 * 1024 * 1024;

pub(super) struct Collector {
    /// Those recorded from the start; a camera's number is its place.
    pub(super) cameras: Vec<CameraId>,
    /// Cameras put in later, or again, with their numbers.
    pub(super) more: mpsc::Receiver<(usize, CameraId)>,
    pub(super) stream: RecordedStream,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) work: SyncSender<Work>,
    pub(super) figures: Arc<Figures>,
}

struct Source {
    tap: Tap,
    gather: Gather,
    /// What was last heard, as the camera tells of it and as it is written down; none where it cannot be.
    sound: Option<(Arc<SoundParameters>, Option<Arc<Sound>>)>,
}

impl Source {
    /// Takes the sound that came.
    fn listen(&mut self) {
        for heard in self.tap.take_sound() {
            let SoundFrame { parameters, raw_us, length_us, arrived, data } = heard;
            let known = self.sound.as_ref().filter(|(known, _)| Arc::ptr_eq(known, &parameters));
            let of = match known {
                Some((_, of)) => of.clone(),
                None => {
                    let of = Some(sound(&parameters)).filter(Sound::is_kept).map(Arc::new);
                    self.sound.insert((parameters, of)).1.clone()
                }
            };
            let Some(of) = of else { continue };
            let mono_us = i64::try_from(arrived.0).unwrap_or(i64::MAX);
            self.gather.sound(Sounded { of, raw_us, length_us, mono_us, data });
        }
    }
}

fn sound(parameters: &SoundParameters) -> Sound {
    Sound {
        coding: match parameters.codec {
            SoundCodec::Aac => SoundCoding::Aac,
            SoundCodec::Alaw => SoundCoding::Alaw,
            SoundCodec::Ulaw => SoundCoding::Ulaw,
        },
        rate: parameters.rate,
        channels: parameters.channels,
        config: parameters.config.clone(),
    }
}

/// The clock as it is now and as it was at the last look: a frame may carry either.
struct Offsets {
    now_us: i64,
    before_us: i64,
}

impl Offsets {
    /// The monotonic time of a frame captured at `captured_us`, and the offset that it was stamped with.
    fn mono(&self, captured_us: i64, now: Mono) -> (i64, i64) {
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        let distance = |offset: i64| (captured_us - offset).abs_diff(now);
        let stepped = (self.now_us - self.before_us).abs() > STEP_US;
        let offset = if stepped && distance(self.before_us) < distance(self.now_us) {
            self.before_us
        } else {
            self.now_us
        };
        (captured_us - offset, offset)
    }
}

impl Collector {
    /// Collects until cancelled; then hands on what there is and ends the writer.
    pub(super) async fn run(mut self, cameras: Cameras, cancel: CancellationToken) {
        let bell = Bell::new();
        let offset_us = self.clock.utc_us_of(Mono(0));
        let mut sources: Vec<Option<Source>> = Vec::with_capacity(self.cameras.len());
        for (n, camera) in self.cameras.iter().enumerate() {
            sources.push(self.source(&cameras, camera, &bell, n));
        }
        let mut offsets = Offsets { now_us: offset_us, before_us: offset_us };
        let mut out = Vec::new();
        loop {
            let mut put = None;
            let tokens = tokio::select! {
                () = cancel.cancelled() => break,
                Some(more) = self.more.recv() => {
                    put = Some(more);
                    Vec::new()
                }
                tokens = bell.rung() => tokens,
            };
            self.look(&mut offsets);
            if let Some((at, camera)) = put {
                if sources.len() <= at {
                    sources.resize_with(at + 1, || None);
                }
                if let Some(Some(former)) = sources.get_mut(at) {
                    self.finish(at, former, &offsets, &mut out);
                }
                sources[at] = self.source(&cameras, &camera, &bell, at);
                continue;
            }
            for token in tokens {
                let at = usize::try_from(token).unwrap_or(usize::MAX);
                if let Some(place) = sources.get_mut(at)
                    && let Some(source) = place
                    && self.drain(at, source, &offsets, &mut out)
                {
                    self.finish(at, source, &offsets, &mut out);
                    *place = None;
                }
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        self.look(&mut offsets);
        for (at, source) in sources.iter_mut().enumerate() {
            let Some(source) = source else { continue };
            self.drain(at, source, &offsets, &mut out);
            source.gather.close(None, &mut out);
            self.hand_on(at, &mut source.gather, &mut out);
        }
        drop(sources);
        self.stop().await;
    }

    /// The writer is told to end once it has done what waits; a full queue is waited for.
    async fn stop(&self) {
        let mut stop = Work::Stop;
        while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.work.try_send(stop) {
            stop = back;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn source(&self, cameras: &Cameras, camera: &CameraId, bell: &Arc<Bell>, at: usize) -> Option<Source> {
        let token = u32::try_from(at).unwrap_or(u32::MAX);
        let tap = cameras.tap(camera, self.stream == RecordedStream::Sub, bell.clone(), token)?;
        let gather = Gather::new(self.clock.utc_us_of(Mono(0)), self.clock.quality());
        Some(Source { tap, gather, sound: None })
    }

    /// A camera is gone, or another one takes its place: what there is of it is handed on, and its recording breaks off.
    fn finish(&self, at: usize, source: &mut Source, offsets: &Offsets, out: &mut Vec<Gathered>) {
        self.drain(at, source, offsets, out);
        let gone = Why::CameraLost("the camera was taken away or replaced".into());
        source.gather.parameters(None, Some(gone), out);
        self.hand_on(at, &mut source.gather, out);
    }

    fn look(&self, offsets: &mut Offsets) {
        offsets.before_us = std::mem::replace(&mut offsets.now_us, self.clock.utc_us_of(Mono(0)));
    }

    /// Takes what there is; tells whether the stream has ended.
    fn drain(&self, at: usize, source: &mut Source, offsets: &Offsets, out: &mut Vec<Gathered>) -> bool {
        let quality = self.clock.quality();
        let now = self.clock.now_mono();
        source.listen();
        while let Some(item) = source.tap.take() {
            match item {
                Item::Parameters(entry) => {
                    let entry = Parameters::of(&entry).map(|p| SampleEntry {
                        codec: p.description.codec,
                        width: p.description.width,
                        height: p.description.height,
                        record: p.record,
                        sound: None,
                    });
                    let lost = entry.is_none().then(|| source.tap.why()).flatten().map(Why::CameraLost);
                    source.gather.parameters(entry, lost, out);
                }
                Item::Missed(frames) => {
                    Figures::add(&self.figures.refused, frames);
                    source.gather.missed(out);
                }
                Item::Frame { message, key } => {
                    let Ok(header) = Header::read(&message) else { continue };
                    let (mono_us, offset_us) = offsets.mono(header.captured_us, now);
                    let frame = Arrived {
                        pts_us: header.pts_us,
                        mono_us,
                        key,
                        lossy: header.discontinuity && !key,
                        data: message.slice(HEADER..),
                    };
                    source.gather.frame(frame, offset_us, quality, out);
                }
                Item::Ended => return true,
            }
            self.hand_on(at, &mut source.gather, out);
        }
        false
    }

    fn hand_on(&self, at: usize, gather: &mut Gather, out: &mut Vec<Gathered>) {
        for gathered in out.drain(..) {
            let (bytes, frames) = match &gathered {
                Gathered::Fragment { fragment, .. } => (fragment.bytes(), fragment.frames.len() as u64),
                Gathered::Lost(_) => (0, 0),
            };
            let queued = self.figures.queued.load(Ordering::Relaxed);
            let room = bytes == 0 || queued + bytes <= MOST_QUEUED;
            let refused = if room {
                self.figures.queued.fetch_add(bytes, Ordering::Relaxed);
                match self.work.try_send(Work::Gathered(at, gathered)) {
                    Ok(()) => continue,
                    Err(
                        std::sync::mpsc::TrySendError::Full(work)
                        | std::sync::mpsc::TrySendError::Disconnected(work),
                    ) => {
                        self.figures.queued.fetch_sub(bytes, Ordering::Relaxed);
                        work
                    }
                }
            } else {
                Work::Gathered(at, gathered)
            };
            Figures::add(&self.figures.refused, frames);
            let Work::Gathered(_, gathered) = refused else { continue };
            gather.refused(match gathered {
                Gathered::Fragment { begins, .. } => begins,
                Gathered::Lost(why) => Some(why),
            });
        }
    }
}
