//! What the same load costs others: `ffmpeg -c copy`, a GStreamer relay, and the bare copy loop that is the floor.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use region::{process::Process, ready::read_json};
use tokio::net::{TcpListener, TcpStream};

use super::{
    Shape,
    course::{Relay, Stuck},
    viewer::{Entry, Viewers, enter_stream, watch_plainly},
};
use crate::{
    cameras::{Cameras, now_us},
    split::{AnnexB, Splitter, Transport},
};

const ENTRY: Duration = Duration::from_secs(30);

/// The file `path` as JSON, as soon as `process` has written it.
pub(super) async fn written<T: serde::de::DeserializeOwned>(
    process: &mut Process,
    path: &Path,
    limit: Duration,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = read_json(path)? {
            return Ok(value);
        }
        process.check()?;
        if begun.elapsed() > limit {
            bail!("{} is not ready after {limit:?}:\n{}", process.name(), process.log());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// One of the measured viewers stops reading the first camera, where a relay cannot be joined by another.
fn stick_own(viewers: &Viewers, shape: Shape) -> Result<Stuck> {
    let viewer = shape.viewers - 1;
    let own = viewers.holds.iter().find(|(of, camera, _)| *of == viewer && *camera == Some(0));
    own.context("nobody reads the first camera")?.2.send_replace(true);
    let what = "one of the viewers does not read the first camera".to_owned();
    Ok(Stuck { what, own: Some((viewer, 0)), extra: None })
}

/// `ffmpeg -c copy`: a process for each camera, RTSP over TCP in, an MPEG transport stream over TCP out for each viewer.
pub(super) struct Ffmpeg {
    cameras: Cameras,
    folder: PathBuf,
    processes: Vec<Process>,
}

impl Ffmpeg {
    pub(super) fn new(cameras: &Cameras, folder: &Path) -> Self {
        Self { cameras: cameras.clone(), folder: folder.to_owned(), processes: Vec::new() }
    }
}

impl Relay for Ffmpeg {
    const NAME: &'static str = "ffmpeg -c copy";

    fn parts(&self) -> Vec<(String, Vec<u32>)> {
        vec![("ffmpeg".to_owned(), self.processes.iter().filter_map(Process::id).collect())]
    }

    async fn enter_cold(&mut self, _camera: usize) -> Result<Option<Entry>> {
        Ok(None)
    }

    async fn attach(&mut self, shape: Shape) -> Result<Viewers> {
        let mut viewers = Viewers::new(shape.viewers);
        let mut listeners = Vec::new();
        for camera in 0..shape.cameras {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let to = format!("tcp://127.0.0.1:{}?tcp_nodelay=1", listener.local_addr()?.port());
            let url = self.cameras.url(camera);
            // No probing beyond the session description, and every packet written at once. Not `nobuffer`: with it
            // the first key frame, which is probed, is lost, and the first picture comes two seconds later.
            let mut arguments = vec!["-nostdin", "-hide_banner", "-loglevel", "error"];
            arguments.extend(["-analyzeduration", "0", "-probesize", "32768"]);
            arguments.extend(["-rtsp_transport", "tcp", "-i", &url]);
            for _ in 0..shape.viewers {
                arguments.extend(["-map", "0:v:0", "-c", "copy", "-flush_packets", "1", "-muxdelay", "0"]);
                arguments.extend(["-muxpreload", "0", "-f", "mpegts", &to]);
            }
            let log = self.folder.join("ffmpeg.log");
            let name = format!("ffmpeg {camera}");
            self.processes.push(Process::start(&name, Path::new("/usr/bin/ffmpeg"), &arguments, &[], &log)?);
            listeners.push(listener);
        }
        for (camera, listener) in listeners.into_iter().enumerate() {
            for viewer in 0..shape.viewers {
                let accepting = tokio::time::timeout(ENTRY, listener.accept()).await;
                let (socket, _) = accepting.with_context(|| {
                    format!(
                        "ffmpeg does not come: {}",
                        self.processes.first().map(Process::log).unwrap_or_default()
                    )
                })??;
                viewers.read(viewer, camera, socket, Splitter::Transport(Transport::default()));
            }
        }
        Ok(viewers)
    }

    async fn enter_live(&mut self, _camera: usize) -> Result<Option<Entry>> {
        Ok(None)
    }

    async fn stick(&mut self, viewers: &Viewers, shape: Shape) -> Result<Stuck> {
        stick_own(viewers, shape)
    }
}

/// A GStreamer relay: one process, a pipeline with a `tcpserversink` for each camera.
pub(super) struct GStreamer {
    process: Process,
    folder: PathBuf,
    ports: Vec<u16>,
}

impl GStreamer {
    pub(super) async fn start(cameras: &Cameras, shape: Shape, folder: &Path) -> Result<Self> {
        let script = folder.join("gstreamer_relay.py");
        std::fs::write(&script, include_str!("gstreamer_relay.py"))?;
        let mut arguments = vec![path(&script)?.to_owned(), path(folder)?.to_owned()];
        arguments.extend((0..shape.cameras).map(|camera| cameras.url(camera)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = folder.join("gstreamer.log");
        let mut process = Process::start("gstreamer", Path::new("/usr/bin/python3"), &arguments, &[], &log)?;
        let _: bool = written(&mut process, &folder.join("idle.json"), ENTRY).await?;
        Ok(Self { process, folder: folder.to_owned(), ports: Vec::new() })
    }
}

impl Relay for GStreamer {
    const NAME: &'static str = "GStreamer";

    fn parts(&self) -> Vec<(String, Vec<u32>)> {
        vec![("gstreamer".to_owned(), self.process.id().into_iter().collect())]
    }

    async fn enter_cold(&mut self, _camera: usize) -> Result<Option<Entry>> {
        Ok(None)
    }

    async fn attach(&mut self, shape: Shape) -> Result<Viewers> {
        let since_us = now_us();
        std::fs::write(self.folder.join("go"), "")?;
        self.ports = written(&mut self.process, &self.folder.join("ports.json"), ENTRY).await?;
        let mut viewers = Viewers::new(shape.viewers);
        viewers.since_us = since_us;
        for (camera, port) in self.ports.iter().enumerate() {
            for viewer in 0..shape.viewers {
                let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
                viewers.read(viewer, camera, socket, Splitter::AnnexB(AnnexB::default()));
            }
        }
        Ok(viewers)
    }

    async fn enter_live(&mut self, camera: usize) -> Result<Option<Entry>> {
        let port = self.ports.get(camera).copied().context("no such camera")?;
        enter_stream(port, Splitter::AnnexB(AnnexB::default())).await.map(Some)
    }

    async fn stick(&mut self, _viewers: &Viewers, shape: Shape) -> Result<Stuck> {
        let mut extra = Viewers::new(1);
        for (camera, port) in self.ports.iter().enumerate() {
            let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
            extra.read(0, camera, socket, Splitter::AnnexB(AnnexB::default()));
        }
        extra.started(shape.cameras, ENTRY).await?;
        extra.hold(true);
        let what = "one more viewer of every camera does not read".to_owned();
        Ok(Stuck { what, own: None, extra: Some(extra) })
    }
}

/// The floor: see [`crate::floor`].
pub(super) struct Floor {
    process: Process,
    ports: Vec<u16>,
}

impl Floor {
    pub(super) async fn start(cameras: &Cameras, shape: Shape, folder: &Path) -> Result<Self> {
        let ready = folder.join("floor.json");
        let feeds: Vec<String> = cameras.plain.iter().take(shape.cameras).map(u16::to_string).collect();
        let (feeds, viewers) = (feeds.join(","), shape.viewers.to_string());
        let arguments = ["floor", "--feeds", &feeds, "--viewers", &viewers, "--ready", path(&ready)?];
        let me = std::env::current_exe().context("where this program is")?;
        let mut process = Process::start("floor", &me, &arguments, &[], &folder.join("floor.log"))?;
        let ports = written(&mut process, &ready, ENTRY).await?;
        Ok(Self { process, ports })
    }
}

impl Relay for Floor {
    const NAME: &'static str = "floor (bare copy loop)";
    const KNOWS_PICTURES: bool = false;

    fn parts(&self) -> Vec<(String, Vec<u32>)> {
        vec![("copy loop".to_owned(), self.process.id().into_iter().collect())]
    }

    async fn enter_cold(&mut self, _camera: usize) -> Result<Option<Entry>> {
        Ok(None)
    }

    async fn attach(&mut self, shape: Shape) -> Result<Viewers> {
        let mut viewers = Viewers::new(shape.viewers);
        for (camera, port) in self.ports.iter().enumerate() {
            for viewer in 0..shape.viewers {
                let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
                viewers.read(viewer, camera, socket, Splitter::Plain(Vec::new()));
            }
        }
        Ok(viewers)
    }

    async fn watch_source(&self, cameras: &Cameras, count: usize) -> Result<Viewers> {
        watch_plainly(cameras, count).await
    }

    async fn enter_live(&mut self, _camera: usize) -> Result<Option<Entry>> {
        Ok(None)
    }

    async fn stick(&mut self, viewers: &Viewers, shape: Shape) -> Result<Stuck> {
        stick_own(viewers, shape)
    }
}
