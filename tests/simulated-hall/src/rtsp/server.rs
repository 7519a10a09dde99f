//! The listener, the cameras behind it, and the handle by which a test orders faults.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Credentials;
use super::connection;
use super::fault::{Fault, FaultError, FaultOrder, Running, jump_ticks};
use super::stream::{Stream, StreamCount};
use crate::footage::Clip;

/// Connections at a time; the next one waits in the listener's queue.
const MOST_CONNECTIONS: usize = 4096;

/// Which of a camera's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// `/<camera>/main`.
    Main,
    /// `/<camera>/sub`.
    Sub,
}

impl Tier {
    /// Its name in paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }
}

/// Makes the clip that is shown during the fault `new_parameters`. Called off the runtime's threads.
type Altered = Arc<dyn Fn() -> Result<Clip, String> + Send + Sync>;

/// What a stream shows.
#[derive(Clone)]
pub struct Footage {
    clip: Arc<Clip>,
    altered: Option<Altered>,
}

impl Footage {
    /// Loops `clip`.
    #[must_use]
    pub fn new(clip: Arc<Clip>) -> Self {
        Self { clip, altered: None }
    }

    /// With footage for the fault `new_parameters`, made when it is asked for.
    #[must_use]
    pub fn altered(mut self, make: impl Fn() -> Result<Clip, String> + Send + Sync + 'static) -> Self {
        self.altered = Some(Arc::new(make));
        self
    }
}

/// One camera to simulate.
pub struct CameraSpec {
    /// Its name, the first part of its paths, for instance `W01`.
    pub name: String,
    /// Who may watch it.
    pub credentials: Credentials,
    /// Its streams.
    pub streams: Vec<(Tier, Footage)>,
}

/// Everything a server needs to start.
pub struct ServerSetup {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The cameras.
    pub cameras: Vec<CameraSpec>,
    /// Whether every access unit carries a [`super::Stamp`] (H.264 only).
    pub stamp: bool,
}

pub(super) struct Camera {
    pub(super) name: String,
    pub(super) credentials: Credentials,
    streams: HashMap<Tier, (Arc<Stream>, Option<Altered>)>,
    fault: watch::Sender<Running>,
    cut: Mutex<CancellationToken>,
}

impl Camera {
    pub(super) fn fault(&self) -> Fault {
        self.fault.borrow().at(Instant::now())
    }

    pub(super) fn stream(&self, tier: Tier) -> Option<Arc<Stream>> {
        self.streams.get(&tier).map(|(stream, _)| Arc::clone(stream))
    }

    /// Waits until the camera is not frozen.
    pub(super) async fn thawed(&self) {
        let mut changes = self.fault.subscribe();
        loop {
            let running = *changes.borrow_and_update();
            if running.at(Instant::now()) != Fault::Freeze {
                return;
            }
            let until = running.until().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Cancelled when the camera closes its connections.
    pub(super) fn cut(&self) -> CancellationToken {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).child_token()
    }

    fn close_all(&self) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *cut, CancellationToken::new()).cancel();
    }
}

pub(super) struct Inner {
    pub(super) cameras: HashMap<String, Arc<Camera>>,
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    address: SocketAddr,
}

impl Inner {
    /// The camera and stream of a path: `/<camera>/<tier>` with or without the track's name behind it.
    pub(super) fn find(&self, path: &str) -> Option<(Arc<Camera>, Tier)> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let camera = self.cameras.get(parts.next()?)?;
        let name = parts.next()?;
        let tier = [Tier::Main, Tier::Sub].into_iter().find(|tier| tier.name() == name)?;
        camera.streams.contains_key(&tier).then(|| (Arc::clone(camera), tier))
    }
}

/// A running RTSP server; a cheap handle. It stops when the token given at its start is cancelled.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

impl Server {
    /// Listens and serves, on tasks of its own, until `cancel`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(setup: ServerSetup, cancel: CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind(setup.listen).await?;
        let started = Instant::now();
        let mut cameras = HashMap::new();
        let mut seed = 0;
        for spec in setup.cameras {
            let streams = spec.streams.into_iter().map(|(tier, footage)| {
                seed += 1;
                let stream = Arc::new(Stream::new(footage.clip, seed, started, setup.stamp));
                (tier, (stream, footage.altered))
            });
            let camera = Camera {
                name: spec.name.clone(),
                credentials: spec.credentials,
                streams: streams.collect(),
                fault: watch::Sender::new(Running::NONE),
                cut: Mutex::default(),
            };
            cameras.insert(spec.name, Arc::new(camera));
        }
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner { cameras, tasks: TaskTracker::new(), cancel, address });
        inner.tasks.spawn(accept(listener, Arc::clone(&inner)));
        Ok(Self { inner })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// The URL of a stream, without credentials.
    #[must_use]
    pub fn url(&self, camera: &str, tier: Tier) -> String {
        format!("rtsp://{}/{camera}/{}", self.inner.address, tier.name())
    }

    /// Lets a camera fail; a new order ends the one before. Returns once it is in force.
    ///
    /// # Errors
    /// When there is no such camera, the time makes no sense, or altered footage cannot be made.
    pub async fn order(&self, order: &FaultOrder) -> Result<(), FaultError> {
        let camera = self
            .inner
            .cameras
            .get(&order.camera)
            .ok_or_else(|| FaultError::NoCamera(order.camera.clone()))?;
        tracing::info!(camera = camera.name, fault = ?order.fault, seconds = order.seconds, "fault ordered");
        if order.fault == Fault::TimestampJump {
            let ticks = jump_ticks(order.seconds)?;
            camera.streams.values().for_each(|(stream, _)| stream.jump(ticks));
            return Ok(());
        }
        let mut running = Running::new(order.fault, order.seconds, Instant::now())?;
        match order.fault {
            Fault::NewParameters => alter(camera).await?,
            Fault::Drop if order.seconds == 0.0 => running = Running::NONE,
            _ => {}
        }
        // Footage may have taken its time to make: the fault's time counts from now.
        if order.fault == Fault::NewParameters {
            running = Running::new(order.fault, order.seconds, Instant::now())?;
        }
        camera.fault.send_replace(running);
        if matches!(order.fault, Fault::Drop | Fault::Unauthorized) {
            camera.close_all();
        }
        Ok(())
    }

    /// Figures of a stream; `None` when there is no such stream.
    #[must_use]
    pub fn count(&self, camera: &str, tier: Tier) -> Option<StreamCount> {
        Some(self.inner.cameras.get(camera)?.stream(tier)?.count())
    }

    /// Waits until everything has ended after the cancellation.
    pub async fn stopped(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

async fn alter(camera: &Camera) -> Result<(), FaultError> {
    let mut any = false;
    for (stream, altered) in camera.streams.values() {
        let Some(make) = altered.clone() else { continue };
        let clip = tokio::task::spawn_blocking(move || make())
            .await
            .map_err(|error| FaultError::Footage(error.to_string()))?
            .map_err(FaultError::Footage)?;
        stream.set_altered(Arc::new(clip));
        any = true;
    }
    if any { Ok(()) } else { Err(FaultError::Footage("this camera has none".to_owned())) }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = tokio::select! {
            () = inner.cancel.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = inner.cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let serving = Arc::clone(&inner);
                inner.tasks.spawn(async move {
                    let _place = place;
                    if let Err(error) = connection::serve(socket, &serving).await {
                        tracing::debug!(%peer, %error, "viewer's connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a viewer");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
