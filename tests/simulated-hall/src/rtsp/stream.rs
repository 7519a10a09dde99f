//! One stream of one camera: its media clock, its place in the loop, and those who watch it.
//!
//! While nobody watches, nothing runs: the clock is a difference of times, so the next viewer finds timestamps where
//! they would be had the camera been sending all along.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::footage::{Clip, TICKS_PER_SECOND};

use super::fault::Fault;
use super::packet::Packetiser;
use super::stamp::{Stamp, unix_us};

/// Access units that may wait for a viewer: about five seconds at 25 pictures a second. One more and it is cut off.
pub(super) const VIEWER_QUEUE: usize = 128;
/// Time between sender reports.
const REPORT_TICKS: u64 = 5 * TICKS_PER_SECOND as u64;

/// Figures of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCount {
    /// Those who watch now.
    pub viewers: usize,
    /// Access units sent since the start, counted once however many watched.
    pub pictures: u64,
    /// Viewers cut off because they did not take their packets.
    pub cut_off: u64,
}

/// Where a viewer comes in, for `RTP-Info`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
}

struct Viewer {
    queue: mpsc::Sender<Bytes>,
    cut: CancellationToken,
}

/// What decides about the next access unit.
struct State {
    clip: Arc<Clip>,
    altered: Option<Arc<Clip>>,
    on_altered: bool,
    packetiser: Packetiser,
    /// Added to the media clock to give RTP timestamps; a jump changes it.
    offset: u32,
    /// The media clock's time of the next access unit, in ticks since the server's start.
    next: u64,
    index: usize,
    want_key: bool,
    frame: u32,
    reported: Option<u64>,
    viewers: Vec<Viewer>,
    running: bool,
    count: StreamCount,
}

/// See the module.
pub(super) struct Stream {
    started: Instant,
    stamp: bool,
    state: Mutex<State>,
}

impl Stream {
    /// `seed` decides SSRC, first sequence number and first timestamp; `started` is the zero of the media clock.
    pub(super) fn new(clip: Arc<Clip>, seed: u64, started: Instant, stamp: bool) -> Self {
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let packetiser = Packetiser::new(clip.codec, (mixed >> 32) as u32, (mixed >> 16) as u16);
        let state = State {
            clip,
            altered: None,
            on_altered: false,
            packetiser,
            offset: mixed as u32,
            next: 0,
            index: 0,
            want_key: true,
            frame: 0,
            reported: None,
            viewers: Vec::new(),
            running: false,
            count: StreamCount::default(),
        };
        Self { started, stamp, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clip that is on now.
    pub(super) fn clip(&self) -> Arc<Clip> {
        Arc::clone(self.lock().current())
    }

    /// The SSRC of its packets.
    pub(super) fn ssrc(&self) -> u32 {
        self.lock().packetiser.ssrc
    }

    pub(super) fn count(&self) -> StreamCount {
        let state = self.lock();
        StreamCount { viewers: state.viewers.len(), ..state.count }
    }

    /// Adds a viewer, whose first access unit is a key frame. `true` means that the stream stood still and
    /// [`Stream::run`] must be started by the caller.
    pub(super) fn join(&self, queue: mpsc::Sender<Bytes>, cut: CancellationToken) -> (Joined, bool) {
        let mut state = self.lock();
        let start = !state.running;
        if start {
            let now = ticks(self.started.elapsed());
            let period =
                state.current().samples.first().map_or(1, |sample| u64::from(sample.duration).max(1));
            state.next = state.next.max(now.next_multiple_of(period));
            state.running = true;
            state.reported = None;
        }
        state.seek_key();
        state.viewers.push(Viewer { queue, cut });
        let joined = Joined { sequence: state.packetiser.sequence, timestamp: state.timestamp() };
        (joined, start)
    }

    /// Lets RTP timestamps jump by `ticks`.
    pub(super) fn jump(&self, ticks: i64) {
        let mut state = self.lock();
        state.offset = state.offset.wrapping_add(ticks as u32);
        state.reported = None;
    }

    /// The clip to show during the fault `new_parameters`.
    pub(super) fn set_altered(&self, clip: Arc<Clip>) {
        self.lock().altered = Some(clip);
    }

    /// Sends until the last viewer has gone or `cancel` is called. `fault` tells the camera's fault of the moment.
    pub(super) async fn run(&self, fault: impl Fn() -> Fault, cancel: CancellationToken) {
        while let Some(due) = self.due() {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(due) => self.step(fault()),
            }
        }
    }

    /// When the next access unit is due; `None` when nobody watches, and then the stream stands still.
    fn due(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.viewers.retain(|viewer| !viewer.queue.is_closed());
        if state.viewers.is_empty() {
            state.running = false;
            return None;
        }
        Some(self.started + Duration::from_micros(state.next * 100 / 9))
    }

    fn step(&self, fault: Fault) {
        let mut state = self.lock();
        let alter = fault == Fault::NewParameters && state.altered.is_some();
        if alter != state.on_altered {
            state.on_altered = alter;
            state.index = 0;
            let codec = state.current().codec;
            state.packetiser.set_codec(codec);
        }
        if fault == Fault::Freeze {
            state.want_key = true;
            state.advance();
            return;
        }
        if std::mem::take(&mut state.want_key) {
            state.seek_key();
        }
        let unit = Bytes::from(state.packets(self.stamp));
        state.advance();
        let mut cut_off = 0;
        state.viewers.retain(|viewer| match viewer.queue.try_send(unit.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                viewer.cut.cancel();
                cut_off += 1;
                false
            }
        });
        state.count.cut_off += cut_off;
        state.count.pictures += 1;
    }
}

impl State {
    fn current(&self) -> &Arc<Clip> {
        match &self.altered {
            Some(altered) if self.on_altered => altered,
            _ => &self.clip,
        }
    }

    fn seek_key(&mut self) {
        self.index = self.current().key_from(self.index);
    }

    fn timestamp(&self) -> u32 {
        let show_after = self.current().samples.get(self.index).map_or(0, |sample| sample.show_after);
        self.offset.wrapping_add(self.next as u32).wrapping_add(show_after as u32)
    }

    fn advance(&mut self) {
        let clip = self.current();
        let duration = clip.samples.get(self.index).map_or(3600, |sample| sample.duration);
        let count = clip.samples.len().max(1);
        self.next += u64::from(duration);
        self.index = (self.index + 1) % count;
    }

    fn packets(&mut self, stamp: bool) -> Vec<u8> {
        let clip = Arc::clone(self.current());
        let Some(sample) = clip.samples.get(self.index) else { return Vec::new() };
        let timestamp = self.timestamp();
        let sets: &[Bytes] = if sample.key { &clip.parameters } else { &[] };
        let stamp = stamp.then(|| Stamp::now(self.frame).nal());
        self.frame = self.frame.wrapping_add(1);
        let first = sets.iter().map(|set| &set[..]).chain(stamp.as_deref());
        let mut out = self.packetiser.unit(first, &sample.avcc, timestamp);
        // A picture's own time is that of showing; with B-frames the clock's is that of decoding.
        if self.reported.is_none_or(|at| self.next >= at + REPORT_TICKS) {
            self.reported = Some(self.next);
            self.packetiser.report(&mut out, self.offset.wrapping_add(self.next as u32), unix_us());
        }
        out
    }
}

fn ticks(time: Duration) -> u64 {
    (time.as_micros() * 9 / 100) as u64
}
