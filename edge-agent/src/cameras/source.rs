//! Where a camera's access units come from: a trait, so that everything above it is tested without a camera, and the
//! words for how a pull ends.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use device_drivers::clock::Mono;
use tokio_util::sync::CancellationToken;

/// Codec and size of what is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// As in RFC 6381, such as `avc1.4d401f`.
    pub codec: String,
    /// The configuration record (avcC, hvcC).
    pub record: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames are shown in another order than they come.
    pub b_frames: bool,
}

/// One access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// A decoder can start here.
    pub key: bool,
    /// Presentation time in microseconds, from an origin of the session's own.
    pub pts_us: i64,
    /// When it arrived.
    pub arrived: Mono,
    /// AVCC, 4-byte lengths.
    pub bytes: Bytes,
    /// What came before does not lead to it.
    pub discontinuity: bool,
}

/// What a pull brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Before the first unit and at each change.
    Video(Video),
    /// One access unit; the first of a session is a key frame.
    Unit(Unit),
}

/// How far a pull came before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// No connection.
    Connect,
    /// User or password refused.
    Unauthorized,
    /// The camera has no such stream.
    NoStream,
    /// It does not say what it sends, or not so that it can be understood.
    Describe,
    /// It refuses to send.
    Setup,
    /// It sends nothing.
    FirstFrame,
    /// It stopped sending, with the connection open.
    FrameTimeout,
    /// The connection broke or was closed while frames came.
    Stream,
    /// It sends nothing that this program can carry.
    Unsupported,
    /// Ended from here.
    Cancelled,
}

impl Stage {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Unauthorized => "unauthorized",
            Self::NoStream => "no_stream",
            Self::Describe => "describe",
            Self::Setup => "setup",
            Self::FirstFrame => "first_frame",
            Self::FrameTimeout => "frame_timeout",
            Self::Stream => "stream",
            Self::Unsupported => "unsupported",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// How far it came.
    pub stage: Stage,
    /// What the camera or the system said; no credential is ever part of it.
    pub detail: String,
}

impl End {
    /// Why there is no picture, in plain words with what to do where that is known.
    pub fn why(&self) -> String {
        let detail = self.detail.trim();
        let with =
            |words: &str| if detail.is_empty() { words.to_owned() } else { format!("{words} ({detail})") };
        match self.stage {
            Stage::Connect => with("the camera cannot be reached"),
            Stage::Unauthorized => {
                "the camera refuses the user name or the password: set the right one; tried again every minute".into()
            }
            Stage::NoStream => with("the camera has no stream at this URL: check its path"),
            Stage::Describe => with("the camera does not describe its stream"),
            Stage::Setup => with("the camera refuses to start its stream"),
            Stage::FirstFrame => with("the camera accepts the connection but sends no picture"),
            Stage::FrameTimeout => with("the camera stopped sending pictures"),
            Stage::Stream => with("the connection to the camera broke"),
            Stage::Unsupported => with("the camera sends no H.264 or H.265 video"),
            Stage::Cancelled => with("the pull was ended here"),
        }
    }
}

/// A future that a trait object can give.
pub type Pulling<'a> = Pin<Box<dyn Future<Output = End> + Send + 'a>>;

/// One stream of a camera.
pub trait Source: Send + Sync {
    /// Dials the camera and hands its items to `on_item` until the stream ends or `cancel` is cancelled, which it
    /// obeys at once.
    fn pull<'a>(
        &'a self,
        on_item: &'a mut (dyn FnMut(Item) + Send),
        cancel: CancellationToken,
    ) -> Pulling<'a>;

    /// Its URL without user or password, for the log.
    fn address(&self) -> String;
}

/// How long to wait after which end. Pure: the random part comes from outside.
pub trait Retry: Send + Sync {
    /// How long to wait after an end at `now`; `jitter` is from 0 to 1.
    fn delay(&mut self, end: &End, now: Mono, jitter: f64) -> Duration;
    /// A picture came: the next loss is a new one.
    fn succeeded(&mut self);
}
