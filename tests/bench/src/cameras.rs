//! The cameras of a run, in a process of their own: stamped H.264 over RTSP from the simulated hall's server, one server
//! for each camera, spread evenly over the time of one picture as independent cameras are. For the floor the same
//! pictures also come over bare TCP: a header and the access unit, in one write.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use region::ready::write_json;
use serde::{Deserialize, Serialize};
use simulated_hall::{
    footage::{Cache, Clip, Recipe},
    rtsp::{Authentication, CameraSpec, Credentials, Footage, Server, ServerSetup, Tier},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::split::PLAIN_HEADER;

/// Pictures a second of every camera.
pub const RATE: u32 = 25;
/// Time of one picture.
pub const PERIOD: Duration = Duration::from_millis(1000 / RATE as u64);
/// Different clips; cameras share them, so that footage takes seconds to encode and not minutes.
const CLIPS: u16 = 4;
/// The name of the one camera of each server.
const NAME: &str = "C";

/// What cameras to serve.
#[derive(Debug, clap::Args)]
pub struct Order {
    /// How many.
    #[arg(long)]
    pub cameras: usize,
    /// Bit rate, kb/s.
    #[arg(long, default_value_t = 2000)]
    pub kilobits: u32,
    /// Where encoded footage is kept.
    #[arg(long)]
    pub footage: PathBuf,
    /// File to write when all is served.
    #[arg(long)]
    pub ready: PathBuf,
}

/// Where the cameras are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cameras {
    /// RTSP ports, one for each camera.
    pub rtsp: Vec<u16>,
    /// Ports of the same pictures over bare TCP.
    pub plain: Vec<u16>,
    /// The footage's real bit rate, kb/s.
    pub kilobits: f64,
    /// The largest access unit, bytes.
    pub largest: usize,
}

impl Cameras {
    /// The URL of camera `index`.
    pub fn url(&self, index: usize) -> String {
        let port = self.rtsp.get(index).copied().unwrap_or_default();
        format!("rtsp://127.0.0.1:{port}/{NAME}/main")
    }
}

/// Microseconds since 1970 UTC, the clock of the stamps.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Serves until it is killed.
pub fn serve(order: &Order) -> Result<()> {
    let cache = Cache::new(&order.footage);
    let mut clips = Vec::new();
    for number in 0..CLIPS.min(u16::try_from(order.cameras).unwrap_or(CLIPS)).max(1) {
        let recipe =
            Recipe { kilobits: order.kilobits, ..Recipe::main(4001 + number, &format!("B{number}")) };
        clips.push(Arc::new(cache.clip(&recipe)?));
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve_clips(order, &clips))
}

async fn serve_clips(order: &Order, clips: &[Arc<Clip>]) -> Result<()> {
    let begun = Instant::now();
    let (mut rtsp, mut plain, mut servers) = (Vec::new(), Vec::new(), Vec::new());
    let cancel = CancellationToken::new();
    for index in 0..order.cameras {
        let clip = clips.get(index % clips.len().max(1)).context("no clip")?;
        let phase = begun + PERIOD * index as u32 + PERIOD * index as u32 / order.cameras as u32;
        tokio::time::sleep_until(phase).await;
        let credentials = Credentials {
            authentication: Authentication::None,
            user: String::new(),
            password: String::new(),
        };
        let camera = CameraSpec {
            name: NAME.to_owned(),
            credentials,
            streams: vec![(Tier::Main, Footage::new(Arc::clone(clip)))],
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server =
            Server::start(ServerSetup { listen, cameras: vec![camera], stamp: true }, cancel.clone()).await?;
        rtsp.push(server.address().port());
        servers.push(server);
        let listener = TcpListener::bind(listen).await?;
        plain.push(listener.local_addr()?.port());
        tokio::spawn(feed_all(listener, Arc::clone(clip), phase));
    }
    let bytes: usize = clips.iter().flat_map(|clip| &clip.samples).map(|sample| sample.avcc.len()).sum();
    let ticks: u64 = clips.iter().map(|clip| clip.ticks()).sum();
    let largest =
        clips.iter().flat_map(|clip| &clip.samples).map(|sample| sample.avcc.len()).max().unwrap_or(0);
    let kilobits = bytes as f64 * 8.0 / 1000.0 / (ticks as f64 / 90_000.0);
    write_json(&order.ready, &Cameras { rtsp, plain, kilobits, largest })?;
    std::future::pending::<()>().await;
    Ok(())
}

async fn feed_all(listener: TcpListener, clip: Arc<Clip>, phase: Instant) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(feed(socket, Arc::clone(&clip), phase));
    }
}

/// The clip over bare TCP, at the camera's pace, until the other end goes.
async fn feed(mut socket: TcpStream, clip: Arc<Clip>, phase: Instant) -> Result<()> {
    socket.set_nodelay(true)?;
    // Numbers and pictures follow the clock, not the connection: whoever reads gets the same picture under one number.
    let first = (phase.elapsed().as_micros() / PERIOD.as_micros()) as usize + 1;
    let samples = clip.samples.iter().cycle().skip(first % clip.samples.len().max(1));
    for (frame, sample) in (first..).zip(samples) {
        tokio::time::sleep_until(phase + PERIOD * frame as u32).await;
        let mut unit = Vec::with_capacity(PLAIN_HEADER + sample.avcc.len());
        unit.extend_from_slice(&(sample.avcc.len() as u32).to_be_bytes());
        unit.extend_from_slice(&now_us().to_be_bytes());
        unit.extend_from_slice(&(frame as u32).to_be_bytes());
        unit.push(u8::from(sample.key));
        unit.extend_from_slice(&sample.avcc);
        socket.write_all(&unit).await?;
    }
    Ok(())
}
