//! One RTSP stream of a camera: its hub, who wants it, its status and figures; and the task that pulls it.
//!
//! The task pulls while somebody holds a [`Claim`] (or always), for ever, and never gives up: only the wait between
//! attempts grows. It says what changed to the event side and holds nothing back for it: a full event queue is waited
//! for only while nothing is pulled.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{
    CameraId, Happening, StreamId,
    channel::StreamDescription,
    frame::{Header, Kind, Tier},
    hub::Hub,
};
use device_drivers::{
    camera::{AccessUnit, CameraItem, PullEnd, Retry, VideoParameters},
    clock::Mono,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    entry::{NOTHING, Parameters},
    figures::{Figures, Meter},
    source::{Source, failure, stage, why},
    state::{Course, Status},
    tap::SoundLine,
    timeline::Timeline,
};
use crate::clock::Clock;

/// What a camera's change of state is told to: the event side, which journals it.
pub type CameraEvents = mpsc::Sender<(CameraId, Happening, Mono)>;

/// A stream as everybody but its task sees it.
pub(super) struct Stream {
    /// The camera.
    pub(super) camera: CameraId,
    /// `main` or `sub`.
    pub(super) tier: Tier,
    /// Its access units.
    pub(super) hub: Hub,
    /// Its sound, where that is taken.
    pub(super) sound: SoundLine,
    pub(super) status: watch::Sender<Status>,
    meter: Meter,
    claims: watch::Sender<usize>,
    restart: Notify,
}

/// Somebody wants the stream; dropping it says that they do not any more.
pub(super) struct Claim(Arc<Stream>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.claims.send_modify(|claims| *claims -= 1);
    }
}

impl Stream {
    pub(super) fn new(camera: CameraId, tier: Tier, now: Mono) -> Arc<Self> {
        Arc::new(Self {
            camera,
            tier,
            hub: Hub::default(),
            sound: SoundLine::default(),
            status: watch::Sender::new(Course::new(now).status().clone()),
            meter: Meter::default(),
            claims: watch::Sender::new(0),
            restart: Notify::new(),
        })
    }

    /// Has the stream pulled while the claim is held.
    pub(super) fn claim(self: &Arc<Self>) -> Claim {
        self.claims.send_modify(|claims| *claims += 1);
        Claim(self.clone())
    }

    /// How many claims there are.
    pub(super) fn claims(&self) -> usize {
        *self.claims.borrow()
    }

    /// Its figures.
    pub(super) fn figures(&self) -> Figures {
        self.meter.read()
    }

    /// Its status now.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Drops the session, if there is one, and dials at once.
    pub(super) fn restart(&self) {
        self.restart.notify_one();
    }

    async fn wanted(&self) {
        reaches(&mut self.claims.subscribe(), |claims| claims > 0).await;
    }

    /// Ends once nobody has wanted the stream for `linger` without a break.
    async fn unwanted(&self, linger: Duration) {
        let mut claims = self.claims.subscribe();
        loop {
            reaches(&mut claims, |claims| claims == 0).await;
            tokio::select! {
                () = sleep(linger) => return,
                () = reaches(&mut claims, |claims| claims > 0) => {}
            }
        }
    }
}

/// Waits until the number of claims is as asked. The borrow that the wait gives is let go at once: it locks the count.
pub(super) async fn reaches(claims: &mut watch::Receiver<usize>, wanted: fn(usize) -> bool) {
    if claims.wait_for(|claims| wanted(*claims)).await.is_err() {
        // Nobody can claim any more; what waits is about to be cancelled.
        std::future::pending::<()>().await;
    }
}

/// What the task of a stream needs.
pub(super) struct Puller {
    pub(super) stream: Arc<Stream>,
    pub(super) source: Arc<dyn Source>,
    pub(super) clock: Arc<dyn Clock>,
    /// From 0 to 1.
    pub(super) jitter: fn() -> f64,
    /// Pulled whether or not anybody wants it.
    pub(super) always: bool,
    /// Kept so long after the last claim.
    pub(super) linger: Duration,
    /// Where changes are told; none for a camera's second stream, whose state is not the camera's.
    pub(super) events: Option<CameraEvents>,
    /// What browsers cannot play is transcoded for them.
    pub(super) transcoded: bool,
    /// Touched at each change of status.
    pub(super) turn: Arc<watch::Sender<u64>>,
}

enum Ended {
    Stopped,
    Unwanted,
    Restarted,
    Lost(PullEnd),
}

impl Puller {
    /// Pulls until cancelled.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let mut session = Session {
            retry: Retry::default(),
            course: Course::new(self.clock.now_mono()).transcoded(self.transcoded),
            timeline: Timeline::default(),
            video: None,
            published: false,
            first: true,
            told: None,
        };
        loop {
            if !self.always && self.stream.claims() == 0 {
                session.course.idle(self.clock.now_mono());
                self.show(&session.course);
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = self.stream.wanted() => {}
                }
            }
            session.course.dialling(self.clock.now_mono());
            self.show(&session.course);
            let ended = self.session(&mut session, &cancel).await;
            self.tell(&mut session, &cancel).await;
            self.stream.hub.publish_parameters(NOTHING);
            let end = match ended {
                Ended::Stopped => break,
                Ended::Unwanted => continue,
                Ended::Restarted => continue,
                Ended::Lost(end) => end,
            };
            let now = self.clock.now_mono();
            let wait = session.retry.wait_after(failure(&end), now, (self.jitter)());
            self.stream.meter.ended(stage(&end));
            session.told = session.course.ended(&end, now).map(|happening| (happening, now));
            if session.told.is_some() {
                tracing::warn!(camera = %self.stream.camera, tier = self.stream.tier.as_str(), address = self.source.address(), stage = stage(&end), "no picture: {}", why(&end));
            } else {
                tracing::debug!(camera = %self.stream.camera, tier = self.stream.tier.as_str(), stage = stage(&end), "still no picture: {}", why(&end));
            }
            self.show(&session.course);
            self.tell(&mut session, &cancel).await;
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.stream.restart.notified() => {}
                () = self.stream.unwanted(self.linger), if !self.always => {}
                () = sleep(wait) => {}
            }
        }
        self.stream.hub.end();
    }

    async fn session(&self, session: &mut Session, cancel: &CancellationToken) -> Ended {
        let Self { stream, source, clock, always, linger, events, turn, .. } = self;
        session.timeline.begin_session();
        session.first = true;
        session.published = false;
        let ends = cancel.child_token();
        let mut on_item = |item: CameraItem| {
            let seen = session.take(item, stream, clock.as_ref());
            if seen.live {
                session.retry.succeeded();
                show(stream, &session.course, turn);
            }
            // A queue that is full now is tried with the next frame; an event told late keeps its time.
            if let (Some(events), Some((happening, at))) = (events.as_ref(), session.told.take())
                && let Err(error) = events.try_send((stream.camera.clone(), happening, at))
                && let mpsc::error::TrySendError::Full((_, happening, at)) = error
            {
                session.told = Some((happening, at));
            }
        };
        let mut pull = source.pull(&mut on_item, ends.clone());
        let mut why = None;
        let end = loop {
            tokio::select! {
                end = &mut pull => break end,
                () = cancel.cancelled(), if why.is_none() => why = Some(Ended::Stopped),
                () = stream.unwanted(*linger), if !*always && why.is_none() => why = Some(Ended::Unwanted),
                () = stream.restart.notified(), if why.is_none() => why = Some(Ended::Restarted),
            }
            if why.is_some() {
                ends.cancel();
            }
        };
        drop(pull);
        match why {
            Some(why) => why,
            None if end == PullEnd::Cancelled && cancel.is_cancelled() => Ended::Stopped,
            None => Ended::Lost(end),
        }
    }

    /// Hands on an event that waits, with nothing being pulled meanwhile.
    async fn tell(&self, session: &mut Session, cancel: &CancellationToken) {
        let (Some(events), Some((happening, at))) = (&self.events, session.told.take()) else { return };
        tokio::select! {
            sent = events.send((self.stream.camera.clone(), happening, at)) => {
                if sent.is_err() && !cancel.is_cancelled() {
                    tracing::error!(camera = %self.stream.camera, "a camera event is lost: the event side has ended");
                }
            }
            () = cancel.cancelled() => {}
        }
    }

    fn show(&self, course: &Course) {
        show(&self.stream, course, &self.turn);
    }
}

fn show(stream: &Stream, course: &Course, turn: &watch::Sender<u64>) {
    let changed = stream.status.send_if_modified(|status| {
        let changed = status != course.status();
        if changed {
            status.clone_from(course.status());
        }
        changed
    });
    if changed {
        turn.send_modify(|turn| *turn += 1);
    }
}

struct Session {
    retry: Retry,
    course: Course,
    timeline: Timeline,
    video: Option<Arc<VideoParameters>>,
    /// The hub has the parameters in `video`.
    published: bool,
    /// The next frame is the session's first.
    first: bool,
    /// An event that the event side has not taken yet. There is at most one: an end waits until it is taken.
    told: Option<(Happening, Mono)>,
}

struct Seen {
    live: bool,
}

impl Session {
    fn take(&mut self, item: CameraItem, stream: &Stream, clock: &dyn Clock) -> Seen {
        match item {
            CameraItem::Parameters(video) => {
                // Found out to send B-frames: nothing that a decoder must be told.
                let same = self.video.as_ref().is_some_and(|before| parameters(before) == parameters(&video));
                self.published &= same;
                self.video = Some(video);
                Seen { live: false }
            }
            CameraItem::Unit(unit) => Seen { live: self.unit(unit, stream, clock) },
            CameraItem::Sound(heard) => {
                stream.sound.push(heard);
                Seen { live: false }
            }
        }
    }

    /// Publishes a unit; true if with it the stream came alive or changed its parameters.
    fn unit(&mut self, unit: AccessUnit, stream: &Stream, clock: &dyn Clock) -> bool {
        let Some(video) = &self.video else { return false };
        let changed = unit.key && !self.published;
        if !changed && !self.published {
            // Frames before the first key frame, or coded with parameters that are not the ones announced.
            return false;
        }
        if changed {
            stream.hub.publish_parameters(parameters(video).entry());
            self.published = true;
            if let Some(happening) = self.course.live(video, unit.arrived) {
                tracing::info!(camera = %stream.camera, tier = stream.tier.as_str(), codec = video.codec, width = video.width, height = video.height, b_frames = video.b_frames, "pictures arrive");
                self.told = Some((happening, unit.arrived));
            }
            if self.first {
                stream.meter.session();
            }
        }
        let (pts_us, resumed) = self.timeline.place(unit.pts_us, unit.arrived);
        self.first = false;
        stream.meter.frame(unit.key, unit.data.len(), unit.arrived);
        let header = Header {
            kind: Kind::Frame,
            key: unit.key,
            discontinuity: unit.discontinuity || resumed,
            tier: stream.tier,
            stream: StreamId(0),
            pts_us,
            captured_us: clock.utc_us_of(unit.arrived),
        };
        stream.hub.publish(header.message(&unit.data), unit.key);
        changed
    }
}

fn parameters(video: &VideoParameters) -> Parameters {
    Parameters {
        description: StreamDescription {
            codec: video.codec.clone(),
            width: video.width,
            height: video.height,
            note: None,
        },
        record: Bytes::clone(&video.config),
    }
}
