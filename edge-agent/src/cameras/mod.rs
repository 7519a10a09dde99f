//! Cameras: pulled once each, fanned out by hubs, their state told.
//!
//! Owns the pulls (RTSP by `device_drivers::camera`), one [hub](control_protocol::hub) per pulled stream, the stills, and
//! what is said of each camera: its state, its figures, the events `camera.up` and `camera.down`, and what [`inspection`]
//! finds in its picture. The second stream (or
//! the only one) is pulled all the time, so that a wall starts at once; the main stream only while somebody looks. It
//! never decodes for a viewer but in a child process ([`transcode`]), never keeps a picture from before a loss, and knows neither leases nor the centre. Which
//! cameras there are is decided by others ([`crate::fleet`]) and may change at any time.

pub mod audit;
pub mod entry;
pub mod figures;
pub mod inspection;
pub mod moving;
pub mod source;
pub mod state;
mod stills;
mod stream;
mod tap;
mod timeline;
pub mod transcode;
mod viewing;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use control_protocol::{
    CameraId,
    channel::{CameraReport, StreamState},
    frame::Tier,
    hub::Bell,
};
use device_drivers::clock::Mono;
use picture::StillMaker;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    figures::Figures,
    inspection::{Inspection, Known, Looker, Means},
    source::Source,
    stills::Stills,
    stream::{Puller, Stream},
    transcode::{Transcoded, Transcoders},
};
pub use self::{
    stream::CameraEvents,
    tap::Tap,
    viewing::{View, Viewing},
};
use crate::{clock::Clock, config};

/// One camera and where its pictures come from.
pub struct Setup {
    /// The camera.
    pub camera: CameraId,
    /// Its main stream.
    pub main: Arc<dyn Source>,
    /// Its second stream; where there is none the main stream stands in for it.
    pub sub: Option<Arc<dyn Source>>,
    /// It looks at a window.
    pub at_window: bool,
}

/// Tasks of cameras put in later that may wait to be started; then whoever puts one in waits.
const STARTING: usize = 64;

/// What the cameras are given from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// A random number from 0 to 1.
    pub jitter: fn() -> f64,
    /// Where `camera.up` and `camera.down` go.
    pub events: CameraEvents,
    /// Makes stills.
    pub stills: StillMaker,
    /// What pictures are looked at with; none: they are not.
    pub inspection: Option<Means>,
    /// What turns pictures that browsers cannot play.
    pub transcoders: Arc<Transcoders>,
}

struct Camera {
    main: Arc<Stream>,
    sub: Arc<Stream>,
    stills: Arc<Stills>,
    /// Ends its tasks.
    cancel: CancellationToken,
    inspection: Arc<Inspection>,
    /// What stands in for each tier that browsers cannot play.
    transcoded: BTreeMap<Tier, Arc<Transcoded>>,
}

impl Camera {
    fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        let only = Arc::ptr_eq(&self.main, &self.sub);
        [Some(&self.sub), (!only).then_some(&self.main)].into_iter().flatten()
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Inner {
    /// Held for a look or a change, never while anything is waited for.
    cameras: RwLock<BTreeMap<CameraId, Camera>>,
    surroundings: Surroundings,
    video: config::Video,
    turn: Arc<watch::Sender<u64>>,
    starting: mpsc::Sender<Task>,
    cancel: CancellationToken,
}

/// The cameras, for those who look at them. Clones see the same.
#[derive(Clone)]
pub struct Cameras(Arc<Inner>);

/// The cameras' tasks.
pub struct CameraTasks {
    running: JoinSet<()>,
    starting: mpsc::Receiver<Task>,
    cancel: CancellationToken,
}

impl CameraTasks {
    /// Runs the tasks of cameras that are put in later, and ends when all have, after their cancellation; an error if one
    /// died before it.
    pub async fn joined(mut self) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                Some(ended) = self.running.join_next() => {
                    ended.map_err(|error| anyhow::anyhow!("a camera's task died: {error}"))?;
                }
                Some(task) = self.starting.recv() => {
                    self.running.spawn(task);
                }
                () = self.cancel.cancelled(), if self.running.is_empty() => return Ok(()),
            }
        }
    }
}

/// One stream's part of a [`CameraSnapshot`].
#[derive(Debug, Clone)]
pub struct StreamSnapshot {
    /// `main` or `sub`.
    pub tier: Tier,
    /// Its state.
    pub state: StreamState,
    /// Viewers, recorders and stills that hold it.
    pub claims: usize,
    /// Bytes in its hub.
    pub held_bytes: usize,
    /// Its figures.
    pub figures: Figures,
    /// Age of the last frame in seconds.
    pub last_frame_age: Option<f64>,
}

/// A camera for `/metrics`.
#[derive(Debug, Clone)]
pub struct CameraSnapshot {
    /// The camera.
    pub camera: CameraId,
    /// Its state.
    pub state: StreamState,
    /// Why it is not live.
    pub why: Option<String>,
    /// Since when.
    pub since: Mono,
    /// Its streams, the one that gives the state first.
    pub streams: Vec<StreamSnapshot>,
    /// What is known of its picture.
    pub picture: Known,
}

/// Starts the cameras' tasks; they end with `cancel`.
pub fn start(
    setups: Vec<Setup>,
    video: &config::Video,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> (Cameras, CameraTasks) {
    let (starting, to_start) = mpsc::channel(STARTING);
    let cameras = Cameras(Arc::new(Inner {
        cameras: RwLock::default(),
        surroundings: surroundings.clone(),
        video: video.clone(),
        turn: Arc::new(watch::Sender::new(0)),
        starting,
        cancel: cancel.clone(),
    }));
    let mut running = JoinSet::new();
    for setup in setups {
        for task in cameras.prepare(setup) {
            running.spawn(task);
        }
    }
    (cameras, CameraTasks { running, starting: to_start, cancel: cancel.clone() })
}

impl Cameras {
    fn all(&self) -> RwLockReadGuard<'_, BTreeMap<CameraId, Camera>> {
        // Nothing is left half done by a panic: each holder makes one change.
        self.0.cameras.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a camera in; gives what must run for it. One of the same id is ended.
    fn prepare(&self, setup: Setup) -> Vec<Task> {
        let Setup { camera: id, main: main_source, sub: sub_source, at_window } = setup;
        let Inner { surroundings, video, turn, .. } = &*self.0;
        let cancel = self.0.cancel.child_token();
        let now = surroundings.clock.now_mono();
        let mut tasks: Vec<Task> = Vec::with_capacity(4);
        let mut pull = |stream: &Arc<Stream>, source: Arc<dyn Source>, first: bool| {
            let puller = Puller {
                stream: stream.clone(),
                source,
                clock: surroundings.clock.clone(),
                jitter: surroundings.jitter,
                always: first && video.keep_sub,
                linger: Duration::from_secs(video.main_linger_seconds),
                events: first.then(|| surroundings.events.clone()),
                transcoded: surroundings.transcoders.any(),
                turn: turn.clone(),
            };
            tasks.push(Box::pin(puller.run(cancel.clone())));
        };
        let main = Stream::new(id.clone(), Tier::Main, now);
        let sub = match sub_source {
            Some(source) => {
                let sub = Stream::new(id.clone(), Tier::Sub, now);
                pull(&sub, source, true);
                pull(&main, main_source, false);
                sub
            }
            None => {
                pull(&main, main_source, true);
                main.clone()
            }
        };
        let stills = Stills::new(id.clone());
        let making = stills.clone().run(sub.clone(), surroundings.stills.clone(), cancel.clone());
        tasks.push(Box::pin(making));
        let inspection = Inspection::new();
        let means = surroundings.inspection.clone();
        if let Some(means) = means.filter(|means| means.settings.of_camera(&id).enabled) {
            let looker = Looker {
                inspection: inspection.clone(),
                stream: sub.clone(),
                at_window,
                means,
                events: surroundings.events.clone(),
                clock: surroundings.clock.clone(),
                turn: (surroundings.jitter)(),
            };
            tasks.push(Box::pin(looker.run(cancel.clone())));
        }
        let mut transcoded = BTreeMap::new();
        for (tier, of) in [(Tier::Main, &main), (Tier::Sub, &sub), (Tier::Key, &sub)] {
            if surroundings.transcoders.any() {
                let turned = Transcoded::new(id.clone(), tier);
                let transcoders = surroundings.transcoders.clone();
                tasks.push(Box::pin(turned.clone().run(of.clone(), transcoders, cancel.clone())));
                transcoded.insert(tier, turned);
            }
        }
        let camera = Camera { main, sub, stills, cancel, inspection, transcoded };
        let mut all = self.0.cameras.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = all.insert(id, camera) {
            former.cancel.cancel();
        }
        drop(all);
        turn.send_modify(|turn| *turn += 1);
        tasks
    }

    /// Puts a camera in while the others go on; one of the same id is ended and gives it its place. Whoever looks at that
    /// one sees its stream end.
    pub async fn put(&self, setup: Setup) {
        for task in self.prepare(setup) {
            // Nobody starts it any more only where the agent ends.
            let _ = self.0.starting.send(task).await;
        }
    }

    /// Takes a camera out; false where there is none.
    pub fn remove(&self, camera: &CameraId) -> bool {
        let mut all = self.0.cameras.write().unwrap_or_else(PoisonError::into_inner);
        let Some(former) = all.remove(camera) else { return false };
        drop(all);
        former.cancel.cancel();
        self.0.turn.send_modify(|turn| *turn += 1);
        true
    }

    /// A viewer of a camera's tier; none where there is no such camera.
    pub fn open(&self, camera: &CameraId, tier: Tier) -> Option<Viewing> {
        let all = self.all();
        let camera = all.get(camera)?;
        let transcoded = camera.transcoded.get(&tier).cloned();
        Some(match tier {
            Tier::Main => {
                let second = !Arc::ptr_eq(&camera.main, &camera.sub);
                Viewing::of_stream(&camera.main, tier, second.then_some(&camera.sub), transcoded)
            }
            Tier::Sub | Tier::Key => Viewing::of_stream(&camera.sub, tier, None, transcoded),
            Tier::Still => Viewing::of_stills(&camera.stills),
        })
    }

    /// Every frame of a camera's main stream, or of its second, whatever its codec; `bell` rings with `token`. None where
    /// there is no such camera.
    pub fn tap(&self, camera: &CameraId, sub: bool, bell: Arc<Bell>, token: u32) -> Option<Tap> {
        let all = self.all();
        let camera = all.get(camera)?;
        Some(Tap::of(if sub { &camera.sub } else { &camera.main }, bell, token))
    }

    /// Drops the camera's sessions and dials it at once; false where there is no such camera.
    pub fn restart(&self, camera: &CameraId) -> bool {
        let all = self.all();
        let Some(camera) = all.get(camera) else { return false };
        camera.streams().for_each(|stream| stream.restart());
        true
    }

    /// What the camera sees next is right, and with `seat_empty` nobody sits there in it; false where there is no such
    /// camera.
    pub fn take_reference(&self, camera: &CameraId, seat_empty: bool) -> bool {
        let all = self.all();
        let Some(camera) = all.get(camera) else { return false };
        camera.inspection.take_reference(seat_empty);
        true
    }

    /// Changes whenever a camera's state does.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.turn.subscribe()
    }

    /// Every camera as the centre is told of it.
    pub fn reports(&self) -> Vec<CameraReport> {
        self.all()
            .iter()
            .map(|(id, camera)| {
                let status = camera.sub.status();
                CameraReport {
                    camera: id.clone(),
                    state: status.state,
                    why: status.why,
                    since: self.0.surroundings.clock.utc_of(status.since),
                }
            })
            .collect()
    }

    /// Every camera with its figures.
    pub fn snapshot(&self) -> Vec<CameraSnapshot> {
        let now = self.0.surroundings.clock.now_mono();
        self.all()
            .iter()
            .map(|(id, camera)| {
                let status = camera.sub.status();
                let streams = camera.streams().map(|stream| {
                    let figures = stream.figures();
                    StreamSnapshot {
                        tier: stream.tier,
                        state: stream.status().state,
                        claims: stream.claims(),
                        held_bytes: stream.hub.held_bytes(),
                        last_frame_age: figures.last_frame.map(|at| now.since(at).as_secs_f64()),
                        figures,
                    }
                });
                CameraSnapshot {
                    camera: id.clone(),
                    state: status.state,
                    why: status.why,
                    since: status.since,
                    streams: streams.collect(),
                    picture: camera.inspection.known.borrow().clone(),
                }
            })
            .collect()
    }
}
