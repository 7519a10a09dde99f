//! The whole hall: starts its cameras, its devices, its day and its control interface, and says where they are.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{CameraEntry, Config};
use crate::control::{Control, router};
use crate::devices::{Addresses, DeviceError, Devices, make_folder};
use crate::footage::{Cache, Clip, ClipError, EncodeError, Recipe};
use crate::oracle::{self, Oracle, OracleError};
use crate::rtsp::{CameraSpec, Credentials, Footage, Server, ServerSetup, Tier};
use crate::script::{DayState, ORDER_QUEUE, Script};
use crate::spares::{ReadySpares, Spares};

/// Name of the ready file in the run folder.
pub const READY_FILE: &str = "simulated-hall.json";
/// Name of the log in the run folder.
pub const ORACLE_FILE: &str = "oracle.jsonl";

/// The ready file: where everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Hall ID.
    pub hall: String,
    /// Process ID.
    pub pid: u32,
    /// When it became ready.
    pub at: Timestamp,
    /// Address of the cameras.
    pub rtsp: SocketAddr,
    /// Address of the control interface.
    pub control: SocketAddr,
    /// The devices' lines and addresses.
    #[serde(flatten)]
    pub devices: Addresses,
    /// The log.
    pub oracle: PathBuf,
    /// The cameras.
    pub cameras: Vec<ReadyCamera>,
    /// Devices that somebody may pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<ReadySpares>,
}

/// A camera in the ready file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyCamera {
    /// Camera ID.
    pub id: String,
    /// First part of its paths; its name in fault orders.
    pub path: String,
    /// The number in its pictures' mark.
    pub mark: u16,
    /// URL of its main stream, without credentials.
    pub main: String,
    /// URL of its sub stream.
    pub sub: Option<String>,
}

/// Why the hall cannot open.
#[derive(Debug, thiserror::Error)]
pub enum HallError {
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Drawn footage.
    #[error("camera {camera}: {source}")]
    Footage {
        /// The camera's ID.
        camera: String,
        /// What failed.
        source: EncodeError,
    },
    /// Given footage.
    #[error("camera {camera}: {source}")]
    Clip {
        /// The camera's ID.
        camera: String,
        /// What is wrong with the file.
        source: ClipError,
    },
    /// The log of a run before.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// A port, or a file in the run folder.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A hall that is open.
pub struct Hall {
    ready: Ready,
    rtsp: Server,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Hall {
    /// Opens the hall; it stays open until `cancel`. The first time on a machine this encodes footage, some seconds
    /// of CPU a camera. The ready file is written last.
    ///
    /// # Errors
    /// When something cannot be opened, encoded or written.
    pub async fn start(config: Config, cancel: CancellationToken) -> Result<Self, HallError> {
        let io = |what| move |source| HallError::Io { what, source };
        make_folder(&config.run)?;
        let ready_file = config.run.join(READY_FILE);
        match std::fs::remove_file(&ready_file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(io("ready file")(source)),
            _ => {}
        }
        let specs = footage(&config).await?;
        let listen = SocketAddr::new(config.listen, config.rtsp_port);
        let setup = ServerSetup { listen, cameras: specs, stamp: config.stamp };
        let rtsp = Server::start(setup, cancel.clone()).await.map_err(io("camera port"))?;

        let oracle_file = config.run.join(ORACLE_FILE);
        let past = oracle::read(&oracle_file)?;
        let last = past.last().map_or(0, |record| record.n);
        let oracle = Oracle::open(&oracle_file, &config.hall, last).await.map_err(io("log"))?;
        let tasks = TaskTracker::new();
        let (devices, addresses) = Devices::start(&config, &past, tasks.clone(), cancel.clone()).await?;
        let devices = Arc::new(devices);
        let day = Arc::new(Mutex::new(DayState::default()));
        let course = (config.plan(), config.seed, config.speed);
        let script = Script::new(Arc::clone(&devices), oracle, Arc::clone(&day), course, &past);
        let (orders, waiting) = mpsc::channel(ORDER_QUEUE);
        let (running, until) = (config.day, cancel.clone());
        tasks.spawn(async move {
            if let Err(error) = script.run(running, waiting, until).await {
                tracing::error!(%error, "the log cannot be written; the scripted day has stopped");
            }
        });

        let spares = match &config.spares {
            None => None,
            Some(entry) => {
                let (camera, port) = (&entry.camera, entry.discovery_port);
                Some(Arc::new(Spares::start(&config, camera, &rtsp, port, &tasks, &cancel).await?))
            }
        };
        let ready_spares = spares.as_ref().map(|spares| spares.ready().clone());
        let listener =
            TcpListener::bind((config.listen, config.control_port)).await.map_err(io("control port"))?;
        let control_address = listener.local_addr().map_err(io("control port"))?;
        let control = Control {
            hall: config.hall.clone(),
            rtsp: rtsp.clone(),
            cameras: config.cameras.iter().map(|camera| camera.path.clone()).collect(),
            devices,
            spares,
            orders,
            day,
        };
        let until = cancel.clone();
        tasks.spawn(async move {
            let server = axum::serve(listener, router(control));
            tokio::select! {
                () = until.cancelled() => {}
                served = server => if let Err(error) = served {
                    tracing::error!(%error, "control interface stopped");
                },
            }
        });

        let ready = Ready {
            hall: config.hall.clone(),
            pid: std::process::id(),
            at: crate::devices::now(),
            rtsp: rtsp.address(),
            control: control_address,
            devices: addresses,
            oracle: oracle_file,
            cameras: config.cameras.iter().map(|camera| ready_camera(camera, &rtsp)).collect(),
            spares: ready_spares,
        };
        write_ready(&ready_file, &ready).map_err(io("ready file"))?;
        tracing::info!(hall = config.hall, cameras = ready.cameras.len(), rtsp = %ready.rtsp, "hall is open");
        Ok(Self { ready, rtsp, tasks, cancel })
    }

    /// What the ready file says.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The cameras, to order faults in the same process.
    #[must_use]
    pub fn cameras(&self) -> &Server {
        &self.rtsp
    }

    /// Closes the hall and waits until everything has ended.
    pub async fn close(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.rtsp.stopped().await;
    }
}

/// Reads a ready file.
///
/// # Errors
/// When it is not there (yet) or holds something else.
pub fn read_ready(path: &Path) -> io::Result<Ready> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn write_ready(path: &Path, ready: &Ready) -> io::Result<()> {
    let aside = path.with_extension("json.part");
    std::fs::write(&aside, serde_json::to_vec_pretty(ready)?)?;
    std::fs::rename(aside, path)
}

fn ready_camera(camera: &CameraEntry, rtsp: &Server) -> ReadyCamera {
    let sub = camera.clip.is_none() || camera.sub_clip.is_some();
    ReadyCamera {
        id: camera.id.clone(),
        path: camera.path.clone(),
        mark: camera.mark,
        main: rtsp.url(&camera.path, Tier::Main),
        sub: sub.then(|| rtsp.url(&camera.path, Tier::Sub)),
    }
}

/// Makes sure that all footage of `config` is on disk.
///
/// # Errors
/// When a clip cannot be read or encoded.
pub async fn prepare(config: &Config) -> Result<(), HallError> {
    footage(config).await.map(|_| ())
}

/// One camera after the other, off the runtime's threads: the encoder has two threads of its own.
async fn footage(config: &Config) -> Result<Vec<CameraSpec>, HallError> {
    let mut specs = Vec::new();
    for camera in config.every_camera() {
        let (entry, cache) = (camera.clone(), Cache::new(&config.footage));
        let streams = tokio::task::spawn_blocking(move || streams(&entry, &cache))
            .await
            .map_err(|error| HallError::Io { what: "footage", source: io::Error::other(error) })??;
        let credentials = Credentials {
            authentication: camera.authentication,
            user: camera.user.clone(),
            password: camera.password.clone(),
        };
        specs.push(CameraSpec { name: camera.path.clone(), credentials, streams });
    }
    Ok(specs)
}

fn streams(camera: &CameraEntry, cache: &Cache) -> Result<Vec<(Tier, Footage)>, HallError> {
    if let Some(main) = &camera.clip {
        let given = |path: &PathBuf| {
            let clip = Clip::from_mp4(path);
            clip.map(|clip| Footage::new(Arc::new(clip)))
                .map_err(|source| HallError::Clip { camera: camera.id.clone(), source })
        };
        let mut streams = vec![(Tier::Main, given(main)?)];
        if let Some(sub) = &camera.sub_clip {
            streams.push((Tier::Sub, given(sub)?));
        }
        return Ok(streams);
    }
    let label = camera.label.as_deref().unwrap_or(&camera.path);
    let recipes =
        [(Tier::Main, Recipe::main(camera.mark, label)), (Tier::Sub, Recipe::sub(camera.mark, label))];
    let drawn = recipes.into_iter().map(|(tier, recipe)| {
        let clip =
            cache.clip(&recipe).map_err(|source| HallError::Footage { camera: camera.id.clone(), source })?;
        let cache = cache.clone();
        let altered = move || cache.clip(&recipe.altered()).map_err(|error| error.to_string());
        Ok((tier, Footage::new(Arc::new(clip)).altered(altered)))
    });
    drawn.collect()
}
