//! Pictures out of coded video: one key frame in, one JPEG out.
//!
//! Owns the decoding of single key frames (GStreamer), scaling and JPEG, and the measures by which a picture's health and
//! a seat are judged: [`sketch`], [`view`], [`chair`]. It knows neither cameras nor leases, keeps no picture, and never
//! works on the caller's thread: decoding happens on one thread of its own behind a bounded queue. Only [`transcode`] blocks,
//! and is meant for a process of its own.

pub mod chair;
mod decode;
mod jpeg;
pub mod sketch;
pub mod transcode;
pub mod view;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{decode::Decoder, sketch::Sketch};

/// How a key frame is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    H265,
    /// JPEG pictures, one after the other; they need no parameters.
    Jpeg,
}

impl Codec {
    /// The codec of an RFC 6381 string such as `avc1.4d401f` or `hvc1.1.6.L93.B0`, or of `jpeg`; none where it is another.
    pub fn of_rfc6381(codec: &str) -> Option<Self> {
        match codec.split('.').next()? {
            "avc1" | "avc3" => Some(Self::H264),
            "hvc1" | "hev1" => Some(Self::H265),
            "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }
}

/// What a decoder must know before the key frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// The codec.
    pub codec: Codec,
    /// Its configuration record (`avcC`, `hvcC`: ISO/IEC 14496-15) without the box's header.
    pub record: Bytes,
}

/// A finished still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jpeg {
    /// The file.
    pub bytes: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Why there is no still.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// GStreamer lacks a part.
    #[error("GStreamer has no element `{element}`: install the Debian package {package}")]
    Missing {
        /// The element.
        element: &'static str,
        /// Where it is found.
        package: &'static str,
    },
    /// GStreamer cannot be started or its pipeline cannot be made.
    #[error("GStreamer: {0}")]
    Pipeline(String),
    /// The bytes are not a key frame that the decoder can read.
    #[error("the key frame cannot be decoded: {0}")]
    Undecodable(String),
    /// No picture in time.
    #[error("the key frame was not decoded within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// More stills are asked for than this machine can make.
    #[error("too many stills are waiting to be decoded")]
    Busy,
    /// The decoding thread has ended.
    #[error("the thread that makes stills has ended")]
    Ended,
}

/// How a [`StillMaker`] works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many stills may wait; one more is refused with [`StillError::Busy`].
    pub waiting: usize,
    /// How long one still may take, waiting included.
    pub timeout: Duration,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

impl Default for Settings {
    fn default() -> Self {
        // A still of a 1080p key frame takes about 30 ms of one core, so that 32 waiting are about a second.
        Self { waiting: 32, timeout: Duration::from_secs(5), quality: 80 }
    }
}

enum Answer {
    Still { max_width: u32, answer: oneshot::Sender<Result<Jpeg, StillError>> },
    Sketch(oneshot::Sender<Result<Sketch, StillError>>),
}

impl Answer {
    fn is_closed(&self) -> bool {
        match self {
            Self::Still { answer, .. } => answer.is_closed(),
            Self::Sketch(answer) => answer.is_closed(),
        }
    }
}

struct Job {
    parameters: Parameters,
    key_frame: Bytes,
    until: Instant,
    answer: Answer,
}

/// Makes stills on a thread of its own. Clones share the thread; it ends when the last is dropped.
#[derive(Clone)]
pub struct StillMaker {
    jobs: Arc<SyncSender<Job>>,
    timeout: Duration,
}

impl StillMaker {
    /// Starts the thread. GStreamer itself is started with the first still.
    ///
    /// # Errors
    /// The operating system's, where it gives no thread.
    pub fn start(settings: Settings) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(settings.waiting.max(1));
        std::thread::Builder::new().name("stills".into()).spawn(move || work(&waiting, settings))?;
        Ok(Self { jobs: Arc::new(jobs), timeout: settings.timeout })
    }

    /// Decodes `key_frame` (one access unit with 4-byte lengths) and gives it as a JPEG at most `max_width` pixels wide,
    /// in the shape it is meant to be shown in. Cancel-safe.
    ///
    /// # Errors
    /// Every [`StillError`]; none of them is lasting but `Missing`, `Pipeline` and `Ended`.
    pub async fn still(
        &self,
        parameters: Parameters,
        key_frame: Bytes,
        max_width: u32,
    ) -> Result<Jpeg, StillError> {
        let (answer, answered) = oneshot::channel();
        self.ask(parameters, key_frame, Answer::Still { max_width, answer }, answered).await
    }

    /// Decodes `key_frame` as [`StillMaker::still`] does and gives its sketch. Cancel-safe.
    ///
    /// # Errors
    /// As [`StillMaker::still`].
    pub async fn sketch(&self, parameters: Parameters, key_frame: Bytes) -> Result<Sketch, StillError> {
        let (answer, answered) = oneshot::channel();
        self.ask(parameters, key_frame, Answer::Sketch(answer), answered).await
    }

    async fn ask<T>(
        &self,
        parameters: Parameters,
        key_frame: Bytes,
        answer: Answer,
        answered: oneshot::Receiver<Result<T, StillError>>,
    ) -> Result<T, StillError> {
        let until = Instant::now() + self.timeout;
        match self.jobs.try_send(Job { parameters, key_frame, until, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StillError::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(StillError::Ended),
        }
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StillError::Ended),
            Err(_) => Err(StillError::Timeout(self.timeout)),
        }
    }
}

fn work(jobs: &Receiver<Job>, settings: Settings) {
    let mut decoder = Decoder::default();
    while let Ok(job) = jobs.recv() {
        let left = job.until.saturating_duration_since(Instant::now());
        // Whoever asked has gone, or will have gone before the picture is there.
        if job.answer.is_closed() || left.is_zero() {
            continue;
        }
        let whole = |error| match error {
            StillError::Timeout(_) => StillError::Timeout(settings.timeout),
            other => other,
        };
        // The same as above: nobody may wait any more.
        match job.answer {
            Answer::Still { max_width, answer } => {
                let picture = decoder.decode(&job.parameters, job.key_frame, left).map_err(whole);
                let _gone = answer
                    .send(picture.and_then(|picture| jpeg::encode(picture, max_width, settings.quality)));
            }
            Answer::Sketch(answer) => {
                let _gone = answer.send(decoder.sketch(&job.parameters, job.key_frame, left).map_err(whole));
            }
        }
    }
}
