//! The health of pictures and whether seats are taken: a look at a key frame of each camera every few seconds.
//!
//! Owns the looks, what is learnt of each view, and the events `picture.fault` and `seat.changed` with their stills. It
//! knows nothing of faces or people, keeps no picture but the stills of what it found, and never holds up a stream: it
//! takes the newest key frame that is there.

pub mod album;
pub mod gate;
pub mod inspector;
pub mod seat;
mod signs;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use control_protocol::{
    CameraId, Happening, UtcMillis,
    channel::StreamState,
    frame::{HEADER, Header},
};
use device_drivers::clock::Mono;
use picture::{Codec, StillError, StillMaker};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

pub use self::signs::Fault;
use self::{
    album::Album,
    inspector::{Finding, Inspector},
    seat::Seat,
};
use super::{
    entry::Parameters,
    stream::{CameraEvents, Stream},
};
use crate::{clock::Clock, config};

/// Without a new key frame for so long nothing is known of the picture; cameras with clever encoders send one a minute.
const NO_NEWS: Duration = Duration::from_secs(90);
/// What was learnt is kept on disk this often.
const REMEMBER: Duration = Duration::from_secs(900);
/// The width of a still, in pixels.
const STILL_WIDTH: u32 = 960;

/// What the looks need from outside.
#[derive(Clone)]
pub struct Means {
    /// Decodes for the looks; its own thread, so that viewers' stills never wait for them.
    pub eye: StillMaker,
    /// Where stills and what was learnt are kept.
    pub album: Album,
    /// How often, and how pictures are judged.
    pub settings: Arc<config::inspection::Inspection>,
}

/// What is known of a camera's picture, for `/metrics`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Faults that stand.
    pub faults: Vec<Fault>,
    /// The seat, where one is watched.
    pub seat: Option<Seat>,
    /// Looks taken.
    pub looks: u64,
    /// Looks at which the picture could not be decoded.
    pub failed: u64,
    /// Time from asking for a look to having it, in all.
    pub spent: Duration,
}

/// A camera's looks as everybody but their task sees them.
pub(super) struct Inspection {
    pub(super) known: watch::Sender<Known>,
    /// Counts the references asked for; whether the seat is empty in the newest.
    reference: watch::Sender<(u64, bool)>,
}

impl Inspection {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { known: watch::Sender::default(), reference: watch::Sender::new((0, false)) })
    }

    /// The next picture is right; with `seat_empty` nobody sits there in it.
    pub(super) fn take_reference(&self, seat_empty: bool) {
        self.reference.send_modify(|(count, empty)| (*count, *empty) = (*count + 1, seat_empty));
    }
}

/// What the task of a camera's looks needs.
pub(super) struct Looker {
    pub(super) inspection: Arc<Inspection>,
    pub(super) stream: Arc<Stream>,
    pub(super) at_window: bool,
    pub(super) means: Means,
    pub(super) events: CameraEvents,
    pub(super) clock: Arc<dyn Clock>,
    /// From 0 to 1: when in the interval the looks are, so that cameras take turns.
    pub(super) turn: f64,
}

struct Picture {
    parameters: picture::Parameters,
    key_frame: Bytes,
    captured_us: i64,
}

impl Looker {
    /// Looks until cancelled.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let camera = self.stream.camera.clone();
        let (album, id) = (self.means.album.clone(), camera.clone());
        let Ok(kept) = tokio::task::spawn_blocking(move || album.recall(&id)).await else { return };
        let limits = self.means.settings.of_camera(&camera).clone();
        let (mut inspector, begun) = Inspector::new(limits, self.at_window, &kept, self.clock.now_mono());
        let mut reference = self.inspection.reference.subscribe();
        let mut last = i64::MIN;
        let (mut seen, mut remembered) = (Instant::now(), Instant::now());
        let mut complained = false;
        if !self.tell(begun, self.clock.now_mono(), None, &cancel).await {
            return;
        }
        let every = Duration::from_secs(self.means.settings.every_seconds);
        let mut wait = every.mul_f64(0.1 + self.turn.clamp(0.0, 1.0));
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                () = sleep(wait) => {}
            }
            wait = every;
            if reference.has_changed().unwrap_or(false) {
                inspector.reference(reference.borrow_and_update().1);
                last = i64::MIN;
            }
            let there = matches!(self.stream.status().state, StreamState::Live | StreamState::Unsupported);
            let picture = self.newest().filter(|_| there);
            let (findings, at, picture) = match picture {
                None if there && seen.elapsed() < NO_NEWS => continue,
                Some(picture) if picture.captured_us == last && seen.elapsed() < NO_NEWS => continue,
                Some(picture) if picture.captured_us != last => {
                    let begun = Instant::now();
                    let sketch =
                        self.means.eye.sketch(picture.parameters.clone(), picture.key_frame.clone()).await;
                    self.inspection.known.send_modify(|known| {
                        known.looks += 1;
                        known.failed += u64::from(sketch.is_err());
                        known.spent += begun.elapsed();
                    });
                    match sketch {
                        Ok(sketch) => {
                            (last, seen, complained) = (picture.captured_us, Instant::now(), false);
                            let at = self.arrival(picture.captured_us);
                            (inspector.look(sketch, at), at, Some(picture))
                        }
                        // The machine has too much to do: the next look is soon enough.
                        Err(StillError::Busy | StillError::Timeout(_)) if seen.elapsed() < NO_NEWS => {
                            continue;
                        }
                        Err(error) => {
                            if !std::mem::replace(&mut complained, true) {
                                tracing::warn!(%camera, "the picture cannot be looked at: {error}");
                            }
                            let now = self.clock.now_mono();
                            (inspector.lost(now), now, None)
                        }
                    }
                }
                _ => {
                    let now = self.clock.now_mono();
                    (inspector.lost(now), now, None)
                }
            };
            let changed = !findings.is_empty();
            if !self.tell(findings, at, picture, &cancel).await {
                break;
            }
            self.inspection.known.send_modify(|known| {
                known.faults = inspector.standing().collect();
                known.seat = inspector.seat();
            });
            if changed || remembered.elapsed() >= REMEMBER {
                remembered = Instant::now();
                self.remember(&inspector).await;
            }
        }
        self.remember(&inspector).await;
    }

    fn newest(&self) -> Option<Picture> {
        let (parameters, message) = self.stream.hub.newest_key()?;
        let parameters = Parameters::of(&parameters?)?;
        Some(Picture {
            parameters: picture::Parameters {
                codec: Codec::of_rfc6381(&parameters.description.codec)?,
                record: parameters.record,
            },
            captured_us: Header::read(&message).ok()?.captured_us,
            key_frame: message.slice(HEADER..),
        })
    }

    /// When a picture arrived, on the monotonic clock.
    fn arrival(&self, captured_us: i64) -> Mono {
        let now = self.clock.now_mono();
        let ago = self.clock.utc_us_of(now).saturating_sub(captured_us);
        Mono(now.0.saturating_sub(u64::try_from(ago).unwrap_or(0)))
    }

    /// Tells what was found; false once there is nobody to tell.
    async fn tell(
        &self,
        findings: Vec<Finding>,
        at: Mono,
        picture: Option<Picture>,
        cancel: &CancellationToken,
    ) -> bool {
        if findings.is_empty() {
            return true;
        }
        let camera = &self.stream.camera;
        let jpeg = match picture {
            Some(picture) => {
                self.means.eye.still(picture.parameters, picture.key_frame, STILL_WIDTH).await.ok()
            }
            None => None,
        };
        for finding in findings {
            let still = match &jpeg {
                Some(jpeg) => self.keep(code(&finding), self.clock.utc_of(at), jpeg.bytes.clone()).await,
                None => None,
            };
            let happening = match finding {
                Finding::Fault { fault, standing, since } => {
                    tracing::info!(%camera, fault = fault.code(), standing, "the picture's health changed");
                    Happening::PictureFault {
                        fault: fault.code().into(),
                        ended: !standing,
                        since: Some(self.clock.utc_of(since)),
                        still,
                    }
                }
                Finding::Seat(seat) => {
                    tracing::info!(%camera, seat = seat.code(), why = seat.why(), "the seat changed");
                    Happening::SeatChanged {
                        seat: seat.code().into(),
                        why: seat.why().map(Into::into),
                        still,
                    }
                }
            };
            // A full queue is waited for: an event told late keeps its time, and looks can wait.
            let sent = tokio::select! {
                () = cancel.cancelled() => return false,
                sent = self.events.send((camera.clone(), happening, at)) => sent,
            };
            if sent.is_err() {
                return false;
            }
        }
        true
    }

    async fn keep(&self, what: &'static str, at: UtcMillis, jpeg: Bytes) -> Option<String> {
        let (album, camera) = (self.means.album.clone(), self.stream.camera.clone());
        let kept = tokio::task::spawn_blocking(move || album.keep(&camera, at, what, &jpeg)).await;
        match kept {
            Ok(Ok(name)) => Some(name),
            Ok(Err(error)) => {
                tracing::warn!(camera = %self.stream.camera, "the still could not be kept: {error}");
                None
            }
            Err(_) => None,
        }
    }

    async fn remember(&self, inspector: &Inspector) {
        let (album, camera, kept) = (self.means.album.clone(), self.stream.camera.clone(), inspector.kept());
        let done = tokio::task::spawn_blocking(move || album.remember(&camera, &kept)).await;
        if let Ok(Err(error)) = done {
            let camera: &CameraId = &self.stream.camera;
            tracing::warn!(%camera, "what was learnt of the picture could not be kept: {error}");
        }
    }
}

/// The last part of a still's name.
fn code(finding: &Finding) -> &'static str {
    match finding {
        Finding::Fault { fault, standing: true, .. } => fault.code(),
        Finding::Fault { .. } => "fault_ended",
        Finding::Seat(seat) => seat.code(),
    }
}
