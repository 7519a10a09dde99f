//! Viewers: tasks that read as fast as they are sent to and note what they saw. They decode nothing.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use control_protocol::frame::{HEADER, Header, Kind};
use region::{
    api::Api,
    wall::{Said, Wall},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

use crate::{
    cameras::{Cameras, now_us},
    ledger::{Ledger, Seen},
    split::{Picture, Rtp, Splitter, stamp_of_avcc},
};

/// The viewers of one run.
#[derive(Default)]
pub(super) struct Viewers {
    /// Their notes, one for each viewer.
    pub(super) ledgers: Vec<Arc<Ledger>>,
    /// Who can be made to stop reading: viewer, camera (`None`: all on one socket), and how.
    pub(super) holds: Vec<(usize, Option<usize>, watch::Sender<bool>)>,
    /// When they began to come, µs since 1970 UTC.
    pub(super) since_us: u64,
    tasks: JoinSet<()>,
}

impl Viewers {
    /// `count` viewers that read nothing yet.
    pub(super) fn new(count: usize) -> Self {
        let ledgers = (0..count).map(|_| Arc::default()).collect();
        Self { ledgers, since_us: now_us(), ..Self::default() }
    }

    /// Lets viewer `viewer` read `camera`'s pictures from `socket`.
    pub(super) fn read(&mut self, viewer: usize, camera: usize, socket: TcpStream, splitter: Splitter) {
        let Some(ledger) = self.ledgers.get(viewer).cloned() else { return };
        let (hold, held) = watch::channel(false);
        self.holds.push((viewer, Some(camera), hold));
        self.tasks.spawn(async move {
            let why = read_stream(socket, splitter, camera, &ledger, held).await;
            ledger.note_end(why.err().unwrap_or_else(|| anyhow::anyhow!("camera {camera}'s pictures ended")));
        });
    }

    /// Lets viewer `viewer` read a wall that watches cameras 0, 1, … as tiles 1, 2, ….
    pub(super) fn read_wall(&mut self, viewer: usize, wall: Wall) {
        let Some(ledger) = self.ledgers.get(viewer).cloned() else { return };
        let (hold, held) = watch::channel(false);
        self.holds.push((viewer, None, hold));
        self.tasks.spawn(async move {
            if let Err(why) = read_wall(wall, &ledger, held).await {
                ledger.note_end(format!("{why:#}"));
            }
        });
    }

    /// Waits until every viewer has had a key frame of each of `cameras` cameras.
    pub(super) async fn started(&self, cameras: usize, limit: Duration) -> Result<()> {
        let begun = std::time::Instant::now();
        loop {
            if self.ledgers.iter().all(|ledger| ledger.started() >= cameras) {
                return Ok(());
            }
            let waiting = self.ledgers.iter().filter(|ledger| ledger.started() < cameras);
            if begun.elapsed() > limit {
                let first = self.ledgers.iter().find(|ledger| ledger.started() < cameras);
                let seen = first.map_or(0, |ledger| ledger.started());
                let why = first.and_then(|ledger| ledger.ended()).unwrap_or_default();
                bail!(
                    "{} of {} viewers still wait after {limit:?}; the first of them has {seen} of {cameras} cameras {why}",
                    waiting.count(),
                    self.ledgers.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What each viewer saw since the last call.
    pub(super) fn take(&self) -> Vec<Seen> {
        self.ledgers.iter().map(|ledger| ledger.take()).collect()
    }

    /// Makes all of them stop reading, or read again.
    pub(super) fn hold(&self, held: bool) {
        for (_, _, hold) in &self.holds {
            hold.send_replace(held);
        }
    }

    /// Why viewers ended who were not told to.
    pub(super) fn ended(&self) -> Vec<String> {
        let mut all: Vec<String> = self.ledgers.iter().filter_map(|ledger| ledger.ended()).collect();
        all.sort();
        all.dedup();
        all
    }
}

async fn wait_while(held: &mut watch::Receiver<bool>) {
    // The sender lives as long as the viewer; if it is gone, there is nobody to hold.
    let _ = held.wait_for(|held| !held).await;
}

async fn read_stream(
    mut socket: TcpStream,
    mut splitter: Splitter,
    camera: usize,
    ledger: &Ledger,
    mut held: watch::Receiver<bool>,
) -> Result<()> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        wait_while(&mut held).await;
        let count = socket.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let at_us = now_us();
        splitter
            .push(buffer.get(..count).unwrap_or_default(), at_us, |picture| ledger.note(camera, &picture));
    }
}

async fn read_wall(mut wall: Wall, ledger: &Ledger, mut held: watch::Receiver<bool>) -> Result<()> {
    let mut rows = Rows::default();
    loop {
        wait_while(&mut held).await;
        match wall.next().await? {
            Said::Text(text) => rows.take(&text, ledger),
            Said::Frame(message) => {
                if let Some((camera, picture)) = rows.picture(&message)? {
                    ledger.note(camera, &picture);
                }
            }
        }
    }
}

/// What the wall has said about its streams.
#[derive(Default)]
struct Rows(std::collections::HashMap<u32, usize>);

impl Rows {
    fn take(&mut self, text: &Value, ledger: &Ledger) {
        for row in text["streams"].as_array().into_iter().flatten() {
            if let (Some(tile), Some(stream)) = (row["tile"].as_u64(), row["stream"].as_u64()) {
                self.0.insert(stream as u32, (tile as usize).saturating_sub(1));
            }
        }
        for row in text["missed"].as_array().into_iter().flatten() {
            ledger.note_told_missing(row["frames"].as_u64().unwrap_or(0));
        }
        if !text["error"].is_null() {
            ledger.note_end(&text["error"]);
        }
    }

    fn picture(&self, message: &[u8]) -> Result<Option<(usize, Picture)>> {
        let header = Header::read(message).context("a frame message of the wall")?;
        if header.kind != Kind::Frame {
            return Ok(None);
        }
        let Some(camera) = self.0.get(&header.stream.0) else { return Ok(None) };
        let stamp = stamp_of_avcc(message.get(HEADER..).unwrap_or_default());
        Ok(Some((*camera, Picture { stamp, at_us: now_us(), key: header.key })))
    }
}

/// How a viewer came in, ms after it asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The connection was there, before it asked.
    pub(super) connected_ms: f64,
    /// The first key frame was whole.
    pub(super) first_ms: f64,
    /// The newest picture of the moment of asking was whole.
    pub(super) caught_up_ms: f64,
}

/// Opens a wall, watches one camera, and closes it again once it is caught up.
pub(super) async fn enter_wall(api: &Api, camera: &str) -> Result<Entry> {
    let opening = std::time::Instant::now();
    let mut wall = Wall::open(api).await?;
    let connected_ms = opening.elapsed().as_secs_f64() * 1000.0;
    let (asked, asked_us) = (std::time::Instant::now(), now_us());
    wall.watch(&[camera], "main").await?;
    let mut rows = Rows::default();
    let unused = Ledger::default();
    let mut first = None;
    let mut told = Value::Null;
    let entering = async {
        loop {
            match wall.next().await? {
                Said::Text(text) => {
                    rows.take(&text, &unused);
                    told = text;
                }
                Said::Frame(message) => {
                    let Some((_, picture)) = rows.picture(&message)? else { continue };
                    let now_ms = asked.elapsed().as_secs_f64() * 1000.0;
                    let first_ms = *first.get_or_insert(now_ms);
                    let newest = asked_us - crate::cameras::PERIOD.as_micros() as u64;
                    if picture.stamp.is_some_and(|stamp| stamp.sent_us > newest) {
                        return anyhow::Ok(Entry { connected_ms, first_ms, caught_up_ms: now_ms });
                    }
                }
            }
        }
    };
    let entered = tokio::time::timeout(Duration::from_secs(20), entering).await;
    entered.with_context(|| format!("no picture of {camera} in 20 s; the wall last said {told}"))?
}

/// Connects to `port`, reads until it is caught up, and goes.
pub(super) async fn enter_stream(port: u16, splitter: Splitter) -> Result<Entry> {
    let asked_us = now_us();
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    caught_up(socket, splitter, asked_us).await
}

/// The same at camera `index` itself.
pub(super) async fn enter_directly(cameras: &Cameras, index: usize) -> Result<Entry> {
    let asked_us = now_us();
    let socket = dial(cameras, index).await?;
    caught_up(socket, Splitter::Rtp(Rtp::default()), asked_us).await
}

async fn caught_up(mut socket: TcpStream, mut splitter: Splitter, asked_us: u64) -> Result<Entry> {
    let after_ms = |at_us: u64| (at_us as f64 - asked_us as f64) / 1000.0;
    let connected_ms = after_ms(now_us());
    let newest = asked_us - crate::cameras::PERIOD.as_micros() as u64;
    let mut buffer = vec![0; 128 << 10];
    let (mut first, mut caught_up) = (None, None);
    let entering = async {
        while caught_up.is_none() {
            let count = socket.read(&mut buffer).await?;
            if count == 0 {
                bail!("closed before a picture came");
            }
            let at_us = now_us();
            splitter.push(buffer.get(..count).unwrap_or_default(), at_us, |picture| {
                if picture.key {
                    first.get_or_insert(after_ms(picture.at_us));
                }
                if first.is_some() && picture.stamp.is_some_and(|stamp| stamp.sent_us > newest) {
                    caught_up.get_or_insert(after_ms(picture.at_us));
                }
            });
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), entering).await.context("no picture in 20 s")??;
    let (Some(first_ms), Some(caught_up_ms)) = (first, caught_up) else { bail!("no picture") };
    Ok(Entry { connected_ms, first_ms, caught_up_ms })
}

/// Asks camera `index` for its pictures, as a plain RTSP client over TCP does; what follows is for [`Splitter::Rtp`].
pub(super) async fn dial(cameras: &Cameras, index: usize) -> Result<TcpStream> {
    let port = cameras.rtsp.get(index).copied().context("no such camera")?;
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    socket.set_nodelay(true)?;
    let url = cameras.url(index);
    let set_up = format!(
        "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    socket.write_all(set_up.as_bytes()).await?;
    let mut answer = vec![0; 2048];
    let count = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut answer))
        .await
        .context("no answer to SETUP")??;
    let answer = String::from_utf8_lossy(answer.get(..count).unwrap_or_default()).into_owned();
    let session = answer.lines().find_map(|line| line.strip_prefix("Session: ")).context(answer.clone())?;
    let session = session.split(';').next().unwrap_or(session);
    let play = format!("PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n");
    socket.write_all(play.as_bytes()).await?;
    Ok(socket)
}

/// One who watches the first `count` cameras with nothing between.
pub(super) async fn watch_directly(cameras: &Cameras, count: usize) -> Result<Viewers> {
    let mut viewers = Viewers::new(1);
    for camera in 0..count {
        let socket = dial(cameras, camera).await?;
        viewers.read(0, camera, socket, Splitter::Rtp(Rtp::default()));
    }
    viewers.started(count, Duration::from_secs(10)).await?;
    Ok(viewers)
}

/// The same over bare TCP, as the floor gets the pictures.
pub(super) async fn watch_plainly(cameras: &Cameras, count: usize) -> Result<Viewers> {
    let mut viewers = Viewers::new(1);
    for (camera, port) in cameras.plain.iter().take(count).enumerate() {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
        viewers.read(0, camera, socket, Splitter::Plain(Vec::new()));
    }
    viewers.started(count, Duration::from_secs(10)).await?;
    Ok(viewers)
}
