//! Cameras: pulled once each, fanned out by hubs, their state told.
//!
//! Owns the pulls (RTSP by `device_drivers::camera`), one [hub](control_protocol::hub) per pulled stream, the stills, and
//! what is said of each camera: its state, its figures, the events `camera.up` and `camera.down`. The second stream (or
//! the only one) is pulled all the time, so that a wall starts at once; the main stream only while somebody looks. It
//! never decodes for a viewer, never keeps a picture from before a loss, and knows neither leases nor the centre.

pub mod entry;
pub mod figures;
pub mod source;
pub mod state;
mod stills;
mod stream;
mod timeline;
mod viewing;

#[cfg(test)]
pub(crate) mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use control_protocol::{
    CameraId,
    channel::{CameraReport, StreamState},
    frame::Tier,
};
use device_drivers::clock::Mono;
use picture::StillMaker;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    figures::Figures,
    source::Source,
    stills::Stills,
    stream::{Puller, Stream},
};
pub use self::{
    stream::CameraEvents,
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
}

/// What the cameras are given from outside.
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// A random number from 0 to 1.
    pub jitter: fn() -> f64,
    /// Where `camera.up` and `camera.down` go.
    pub events: CameraEvents,
    /// Makes stills.
    pub stills: StillMaker,
}

struct Camera {
    main: Arc<Stream>,
    sub: Arc<Stream>,
    stills: Arc<Stills>,
}

impl Camera {
    fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        let only = Arc::ptr_eq(&self.main, &self.sub);
        [Some(&self.sub), (!only).then_some(&self.main)].into_iter().flatten()
    }
}

/// The cameras, for those who look at them. Clones see the same.
#[derive(Clone)]
pub struct Cameras {
    cameras: Arc<BTreeMap<CameraId, Camera>>,
    clock: Arc<dyn Clock>,
    turn: Arc<watch::Sender<u64>>,
}

/// The cameras' tasks.
pub struct CameraTasks(JoinSet<()>);

impl CameraTasks {
    /// Ends when all have, after their cancellation; an error if one died before it.
    pub async fn joined(mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.0.join_next().await {
            ended.map_err(|error| anyhow::anyhow!("a camera's task died: {error}"))?;
        }
        Ok(())
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
}

/// Starts the cameras' tasks; they end with `cancel`.
pub fn start(
    setups: Vec<Setup>,
    video: &config::Video,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> (Cameras, CameraTasks) {
    let turn = Arc::new(watch::Sender::new(0));
    let mut tasks = JoinSet::new();
    let mut cameras = BTreeMap::new();
    let now = surroundings.clock.now_mono();
    for Setup { camera: id, main: main_source, sub: sub_source } in setups {
        let mut pull = |stream: &Arc<Stream>, source: Arc<dyn Source>, first: bool| {
            let puller = Puller {
                stream: stream.clone(),
                source,
                clock: surroundings.clock.clone(),
                jitter: surroundings.jitter,
                always: first && video.keep_sub,
                linger: Duration::from_secs(video.main_linger_seconds),
                events: first.then(|| surroundings.events.clone()),
                turn: turn.clone(),
            };
            tasks.spawn(puller.run(cancel.clone()));
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
        tasks.spawn(stills.clone().run(sub.clone(), surroundings.stills.clone(), cancel.clone()));
        cameras.insert(id, Camera { main, sub, stills });
    }
    (Cameras { cameras: Arc::new(cameras), clock: surroundings.clock.clone(), turn }, CameraTasks(tasks))
}

impl Cameras {
    /// A viewer of a camera's tier; none where there is no such camera.
    pub fn open(&self, camera: &CameraId, tier: Tier) -> Option<Viewing> {
        let camera = self.cameras.get(camera)?;
        Some(match tier {
            Tier::Main => {
                let second = !Arc::ptr_eq(&camera.main, &camera.sub);
                Viewing::of_stream(&camera.main, tier, second.then_some(&camera.sub))
            }
            Tier::Sub | Tier::Key => Viewing::of_stream(&camera.sub, tier, None),
            Tier::Still => Viewing::of_stills(&camera.stills),
        })
    }

    /// Drops the camera's sessions and dials it at once; false where there is no such camera.
    pub fn restart(&self, camera: &CameraId) -> bool {
        let Some(camera) = self.cameras.get(camera) else { return false };
        camera.streams().for_each(|stream| stream.restart());
        true
    }

    /// Changes whenever a camera's state does.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.turn.subscribe()
    }

    /// Every camera as the centre is told of it.
    pub fn reports(&self) -> Vec<CameraReport> {
        self.cameras
            .iter()
            .map(|(id, camera)| {
                let status = camera.sub.status();
                CameraReport {
                    camera: id.clone(),
                    state: status.state,
                    why: status.why,
                    since: self.clock.utc_of(status.since),
                }
            })
            .collect()
    }

    /// Every camera with its figures.
    pub fn snapshot(&self) -> Vec<CameraSnapshot> {
        let now = self.clock.now_mono();
        self.cameras
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
                }
            })
            .collect()
    }
}
