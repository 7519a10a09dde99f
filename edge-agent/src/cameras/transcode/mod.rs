//! What no browser plays, turned into H.264 while somebody watches: in a child process of the agent, at most a set number
//! at once. A codec that crashes or hangs ends its child and nothing else; the agent kills a child that is stuck.
//!
//! Owns the children and one hub for each tier that is turned. Who watches holds a claim; with the last claim the child
//! ends. Times are the camera's frames' own.

pub mod child;
mod pipe;

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use control_protocol::{
    CameraId,
    channel::StreamState,
    frame::{HEADER, Header, Kind, Tier},
    hub::{Hub, Item},
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    process::{ChildStdin, Command},
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{child::ChildArguments, pipe::bare};
use super::{
    entry::{NOTHING, Parameters},
    state::{odd, unplayable},
    stream::{Stream, reaches},
};
use crate::config;

/// A child that takes nothing, or gives nothing though it was given frames, for so long is stuck.
const STUCK: Duration = Duration::from_secs(10);
/// A child is kept so long after the last claim: a page that changes its layout leaves and comes back.
const LINGER: Duration = Duration::from_secs(2);
/// A child that ended is begun again, so often in [`RETRY_WITHIN`].
const RETRIES: u32 = 3;
const RETRY_WITHIN: Duration = Duration::from_secs(60);
/// Of a stream of key frames alone one a second is enough: a camera may send nothing else.
const KEY_SPACING_US: i64 = 900_000;

/// The children's limits, shared by all cameras.
pub struct Transcoders {
    settings: config::Transcoding,
    program: PathBuf,
    slots: Semaphore,
}

impl Transcoders {
    /// `program` is this agent's own file.
    pub fn new(settings: config::Transcoding, program: PathBuf) -> Self {
        let slots = Semaphore::new(settings.at_once);
        Self { settings, program, slots }
    }

    /// Whether anything is transcoded at all.
    pub fn any(&self) -> bool {
        self.settings.at_once > 0
    }

    /// Children that run now.
    pub fn running(&self) -> usize {
        self.settings.at_once.saturating_sub(self.slots.available_permits())
    }
}

/// One tier of a camera, turned.
pub(super) struct Transcoded {
    camera: CameraId,
    tier: Tier,
    pub(super) hub: Hub,
    claims: watch::Sender<usize>,
    /// Why it cannot be had.
    pub(super) failed: watch::Sender<Option<(StreamState, String)>>,
}

/// Somebody watches it.
pub(super) struct TranscodedClaim(Arc<Transcoded>);

impl Drop for TranscodedClaim {
    fn drop(&mut self) {
        self.0.claims.send_modify(|claims| *claims -= 1);
    }
}

impl Transcoded {
    pub(super) fn new(camera: CameraId, tier: Tier) -> Arc<Self> {
        Arc::new(Self {
            camera,
            tier,
            hub: Hub::default(),
            claims: watch::Sender::new(0),
            failed: watch::Sender::new(None),
        })
    }

    pub(super) fn claim(self: &Arc<Self>) -> TranscodedClaim {
        self.claims.send_modify(|claims| *claims += 1);
        TranscodedClaim(self.clone())
    }

    /// Turns `stream` while there are claims, until cancelled.
    pub(super) async fn run(
        self: Arc<Self>,
        stream: Arc<Stream>,
        transcoders: Arc<Transcoders>,
        cancel: CancellationToken,
    ) {
        let mut claims = self.claims.subscribe();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                () = reaches(&mut claims, |claims| claims > 0) => {}
            }
            let pulled = stream.claim();
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.unwanted() => {}
                () = self.keep(&stream, &transcoders) => {}
            }
            drop(pulled);
            // Whoever comes next is not shown a picture from before.
            self.hub.publish_parameters(NOTHING);
            self.failed.send_replace(None);
        }
        self.hub.end();
    }

    /// Ends once nobody has wanted it for a while.
    async fn unwanted(&self) {
        let mut claims = self.claims.subscribe();
        loop {
            reaches(&mut claims, |claims| claims == 0).await;
            tokio::select! {
                () = sleep(LINGER) => return,
                () = reaches(&mut claims, |claims| claims > 0) => {}
            }
        }
    }

    fn fail(&self, state: StreamState, why: String) {
        tracing::warn!(camera = %self.camera, tier = self.tier.as_str(), "not transcoded: {why}");
        self.failed.send_replace(Some((state, why)));
    }

    /// Keeps a child; never ends.
    async fn keep(&self, stream: &Stream, transcoders: &Transcoders) {
        let Ok(_slot) = transcoders.slots.try_acquire() else {
            let most = transcoders.settings.at_once;
            let why = format!(
                "browsers cannot play what the camera sends, and {most} pictures are transcoded already, as many as this hall allows at once: only stills are shown"
            );
            self.fail(StreamState::Unsupported, why);
            return std::future::pending().await;
        };
        let mut ends = Vec::new();
        loop {
            let ended = self.child(stream, transcoders).await;
            self.hub.publish_parameters(NOTHING);
            match ended {
                Ok(Ended::Playable) => {
                    // Who watched is to ask anew, and gets the camera's own stream.
                    self.fail(StreamState::Connecting, "the camera sends another codec now".into());
                    return std::future::pending().await;
                }
                Ok(Ended::CameraLost) => continue,
                Ok(Ended::Closing) => return std::future::pending().await,
                Err(error) => {
                    tracing::warn!(camera = %self.camera, tier = self.tier.as_str(), "the transcoder ended: {error:#}");
                    let now = Instant::now();
                    ends.retain(|at: &Instant| now.duration_since(*at) < RETRY_WITHIN);
                    ends.push(now);
                    if ends.len() > RETRIES as usize {
                        let why = format!("the camera's pictures cannot be transcoded: {error:#}");
                        self.fail(StreamState::Unsupported, why);
                        return std::future::pending().await;
                    }
                    sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// One child from its beginning to its end. Dropping the future kills it.
    async fn child(&self, stream: &Stream, transcoders: &Transcoders) -> anyhow::Result<Ended> {
        let mut watch = stream.hub.watch();
        // Nothing is begun for a camera that is not there.
        let first = loop {
            match watch.next().await {
                Item::Parameters(entry) if Parameters::of(&entry).is_some() => break entry,
                Item::Ended => return Ok(Ended::Closing),
                _ => {}
            }
        };
        let settings = &transcoders.settings;
        let mut child = Command::new(&transcoders.program)
            .arg("transcode")
            .args(ChildArguments::of(settings.max_height, settings.kilobits, self.tier == Tier::Key))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("the transcoder cannot be started")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the transcoder has no pipes");
        };
        let fed = AtomicU64::new(0);
        let note = Parameters::of(&first).and_then(|parameters| {
            let name = odd(&parameters.description.codec)?.to_owned();
            Some(format!("the camera sends {name}: turned into H.264 at the hall while it is watched"))
        });
        let ended = tokio::select! {
            ended = self.feed(first, watch, input, &fed) => ended,
            ended = self.take(output, &fed, note) => ended,
        };
        // Killed rather than asked: nothing that it still has is wanted.
        if let Err(error) = child.kill().await {
            tracing::warn!(camera = %self.camera, "the transcoder cannot be ended: {error}");
        }
        ended
    }

    async fn feed(
        &self,
        first: Bytes,
        mut watch: control_protocol::hub::Watch,
        mut input: ChildStdin,
        fed: &AtomicU64,
    ) -> anyhow::Result<Ended> {
        let mut item = Item::Parameters(first);
        let mut last_key = None;
        let mut ready = false;
        loop {
            match item {
                Item::Parameters(entry) => match Parameters::of(&entry) {
                    None => return Ok(Ended::CameraLost),
                    Some(parameters) if unplayable(&parameters.description.codec).is_none() => {
                        return Ok(Ended::Playable);
                    }
                    Some(_) => {
                        ready = false;
                        put(&mut input, &bare(Kind::Parameters), &entry).await?;
                    }
                },
                Item::Frame { message, key } => {
                    let header = Header::read(&message)?;
                    ready |= key;
                    let spaced = self.tier != Tier::Key
                        || (key && last_key.is_none_or(|last| header.pts_us - last >= KEY_SPACING_US));
                    if ready && spaced {
                        last_key = Some(header.pts_us);
                        put(&mut input, &header, &message[HEADER..]).await?;
                        fed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // The encoder is slower than the camera: it goes on at the newest key frame.
                Item::Missed(frames) => {
                    tracing::debug!(camera = %self.camera, frames, "the transcoder is slow and skips");
                    ready = false;
                }
                Item::Ended => return Ok(Ended::Closing),
            }
            item = watch.next().await;
        }
    }

    async fn take(
        &self,
        mut output: impl AsyncRead + Unpin,
        fed: &AtomicU64,
        note: Option<String>,
    ) -> anyhow::Result<Ended> {
        loop {
            let mut reading = std::pin::pin!(pipe::read_async(&mut output));
            let message = loop {
                let before = fed.load(Ordering::Relaxed);
                tokio::select! {
                    message = &mut reading => break message?,
                    () = sleep(STUCK) => {}
                }
                // A camera that sends nothing is not the child's fault.
                if fed.load(Ordering::Relaxed) > before {
                    bail!("it gave nothing for {} s", STUCK.as_secs());
                }
            };
            let Some((header, payload)) = message else { bail!("it ended by itself") };
            match header.kind {
                Kind::Parameters => {
                    let mut parameters = Parameters::of(&payload).context("parameters of no sense")?;
                    parameters.description.note.clone_from(&note);
                    self.hub.publish_parameters(parameters.entry());
                }
                Kind::Frame => {
                    let header = Header { tier: self.tier, ..header };
                    self.hub.publish(header.message(&payload), header.key);
                }
                Kind::End => bail!("{}", String::from_utf8_lossy(&payload)),
            }
        }
    }
}

enum Ended {
    CameraLost,
    Playable,
    Closing,
}

async fn put(input: &mut ChildStdin, header: &Header, payload: &[u8]) -> anyhow::Result<()> {
    let written = timeout(STUCK, async {
        input.write_all(&pipe::head(header, payload.len())).await?;
        input.write_all(payload).await?;
        input.flush().await
    });
    match written.await {
        Ok(written) => written.context("it takes nothing any more"),
        Err(_) => bail!("it took nothing for {} s", STUCK.as_secs()),
    }
}
