//! One pull of one stream: from dialling to its end.
//!
//! Owns the RTSP session (over TCP unless configured otherwise), its timeouts, and the access units' times. retina has no
//! timeouts inside (docs/reference/devices.md D), so each stage has one here, and each end says at which stage it came. The
//! password is in no URL, no log line and no error.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use retina::{
    client::{
        Credentials, Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionOptions, SetupOptions,
        TcpTransportOptions, UdpTransportOptions,
    },
    codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame},
};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    parameter_sets::{self, Codec},
    retry::Failure,
    sound::{self, SoundCodec, SoundFrame, SoundParameters},
    timeline::Timeline,
};
use crate::clock::{Mono, MonotonicClock};

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    #[default]
    Tcp,
    /// Datagrams: packets out of order are lost; for cameras that know nothing else.
    Udp,
}

/// Where a stream is.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraSource {
    /// `rtsp://…`; a user and password in it are taken out before use.
    pub url: Url,
    /// User; empty = none.
    pub user: String,
    /// Password.
    pub password: String,
    /// How RTP travels.
    pub transport: Transport,
    /// Its sound is taken too, where it sends any that is known.
    pub sound: bool,
}

impl fmt::Debug for CameraSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameraSource")
            .field("url", &self.bare_url().as_str())
            .field("password", &"(hidden)")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl CameraSource {
    /// The URL without user and password, fit for logs.
    pub fn bare_url(&self) -> Url {
        let mut url = self.url.clone();
        // Fails only for URLs that cannot have them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }

    fn credentials(&self) -> Option<Credentials> {
        if !self.user.is_empty() {
            return Some(Credentials { username: self.user.clone(), password: self.password.clone() });
        }
        // A URL keeps them percent-encoded.
        let plain = |text: &str| {
            url::form_urlencoded::parse(format!("k={}", text.replace('+', "%2B")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        (!self.url.username().is_empty()).then(|| Credentials {
            username: plain(self.url.username()),
            password: plain(self.url.password().unwrap_or_default()),
        })
    }
}

/// How long each stage may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullTimeouts {
    /// From dialling until the stream plays.
    pub open: Duration,
    /// From then until the first key frame; it can be a whole GOP away.
    pub first_frame: Duration,
    /// Between two frames; three frame intervals if that is longer.
    pub loss: Duration,
}

impl Default for PullTimeouts {
    /// 10 s, 20 s, 3 s.
    fn default() -> Self {
        Self {
            open: Duration::from_secs(10),
            first_frame: Duration::from_secs(20),
            loss: Duration::from_secs(3),
        }
    }
}

/// What a decoder needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoParameters {
    /// RFC 6381 name, such as `avc1.4D401F`; `jpeg` for motion JPEG.
    pub codec: String,
    /// `avcC` or `hvcC`; nothing for JPEG.
    pub config: Bytes,
    /// Width of the picture shown, in pixels.
    pub width: u32,
    /// Height of the picture shown.
    pub height: u32,
    /// Frames come in another order than they are shown in (by the parameter sets, or seen so).
    pub b_frames: bool,
}

/// One coded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// A decoder can start here.
    pub key: bool,
    /// Presentation time, microseconds from the first unit of this pull; goes on over the camera's jumps.
    pub pts_us: i64,
    /// When its first packet arrived.
    pub arrived: Mono,
    /// NAL units with four-byte lengths, without parameter sets; a whole JPEG.
    pub data: Bytes,
    /// Something is missing or the camera's time jumped just before; also set on the first unit of a pull.
    pub discontinuity: bool,
}

/// What a pull gives: parameters before the first unit and whenever they change, and units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraItem {
    /// For all units until the next parameters.
    Parameters(Arc<VideoParameters>),
    /// The next picture.
    Unit(AccessUnit),
    /// The next piece of sound; only where it was asked for.
    Sound(SoundFrame),
}

/// Why a pull ended, by stage. Texts never contain the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullEnd {
    /// As asked.
    #[error("stopped")]
    Cancelled,
    /// The camera cannot be reached.
    #[error("the camera cannot be reached: {0}")]
    Connect(String),
    /// 401: wrong user or password.
    #[error("the camera refuses the user or password")]
    Unauthorized,
    /// 404: no such stream.
    #[error("the camera has no stream at this address")]
    NoStream,
    /// The camera's description failed.
    #[error("the camera did not describe its stream: {0}")]
    Describe(String),
    /// Setting up or starting failed.
    #[error("the camera did not start its stream: {0}")]
    Setup(String),
    /// No video that we know.
    #[error("the camera sends no H.264, H.265 or JPEG video: {0}")]
    Unsupported(String),
    /// It plays, but no key frame came.
    #[error("no key frame within {0:?} of starting")]
    FirstFrame(Duration),
    /// It played, then froze.
    #[error("no frame for {0:?}")]
    FrameTimeout(Duration),
    /// It played, then ended or failed.
    #[error("the stream ended: {0}")]
    Stream(String),
}

impl PullEnd {
    /// What this end means for [`Retry`](super::Retry).
    pub fn failure(&self) -> Failure {
        if *self == Self::Unauthorized { Failure::Refused } else { Failure::Ordinary }
    }
}

enum Stage {
    Describe,
    Setup,
    Stream,
}

/// retina's errors have a first line for people and then connection details.
fn classify(error: &retina::Error, stage: &Stage) -> PullEnd {
    match error.status_code() {
        Some(401) => return PullEnd::Unauthorized,
        Some(404) => return PullEnd::NoStream,
        _ => {}
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().to_owned();
    match stage {
        Stage::Describe if line.starts_with("Unable to connect") => PullEnd::Connect(line),
        Stage::Describe => PullEnd::Describe(line),
        Stage::Setup => PullEnd::Setup(line),
        Stage::Stream => PullEnd::Stream(line),
    }
}

/// Pulls one stream until something ends it. `on_item` is called on this task for each item in turn and must not block;
/// the first unit is a key frame, with its parameters before it.
pub async fn pull(
    source: &CameraSource,
    clock: &dyn MonotonicClock,
    timeouts: PullTimeouts,
    mut on_item: impl FnMut(CameraItem),
    cancel: &CancellationToken,
) -> PullEnd {
    let pulling = async {
        let opening = tokio::time::timeout(timeouts.open, open(source)).await;
        let opened = match opening {
            Ok(Ok(opened)) => opened,
            Ok(Err(end)) => return end,
            Err(_elapsed) => return PullEnd::Connect(format!("no answer within {:?}", timeouts.open)),
        };
        Pull::new(opened, clock, timeouts).run(&mut on_item).await
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => PullEnd::Cancelled,
        end = pulling => end,
    }
}

/// A stream that plays.
pub(super) struct Opened {
    pub(super) demuxed: Demuxed,
    /// The number of its picture's stream.
    pub(super) stream: usize,
    pub(super) codec: Codec,
    sound: Option<(usize, SoundCodec)>,
}

pub(super) async fn open(source: &CameraSource) -> Result<Opened, PullEnd> {
    let options = SessionOptions::default().creds(source.credentials()).user_agent("hallwatch".to_owned());
    let mut session =
        Session::describe(source.bare_url(), options).await.map_err(|e| classify(&e, &Stage::Describe))?;
    let known = |name: &str| match name {
        "h264" => Some(Codec::H264),
        "h265" => Some(Codec::H265),
        "jpeg" => Some(Codec::Jpeg),
        _ => None,
    };
    let videos = || session.streams().iter().enumerate().filter(|(_, s)| s.media() == "video");
    let named = || videos().filter_map(|(at, s)| Some((at, known(s.encoding_name())?)));
    // JPEG only where there is nothing better.
    let best = named().find(|(_, codec)| *codec != Codec::Jpeg).or_else(|| named().next());
    let Some((stream, codec)) = best else {
        let offered: Vec<_> = videos().map(|(_, s)| s.encoding_name().to_owned()).collect();
        return Err(PullEnd::Unsupported(if offered.is_empty() {
            "no video at all".to_owned()
        } else {
            offered.join(", ")
        }));
    };
    let transport = match source.transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    };
    let setup = SetupOptions::default().transport(transport.clone()).frame_format(FrameFormat::MP4);
    session.setup(stream, setup).await.map_err(|e| classify(&e, &Stage::Setup))?;
    let sound = if source.sound { sound::set_up(&mut session, transport).await } else { None };
    let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
    let playing = session.play(play).await.map_err(|e| classify(&e, &Stage::Setup))?;
    let demuxed = playing.demuxed().map_err(|e| PullEnd::Unsupported(first_line(&e)))?;
    Ok(Opened { demuxed, stream, codec, sound })
}

pub(super) fn first_line(error: &retina::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A pull that plays.
struct Pull<'a> {
    demuxed: Demuxed,
    stream: usize,
    codec: Codec,
    clock: &'a dyn MonotonicClock,
    timeouts: PullTimeouts,
    timeline: Timeline,
    parameters: Option<Arc<VideoParameters>>,
    sound: Option<(usize, Arc<SoundParameters>)>,
    /// What the parameter sets say about B-frames.
    declared: Option<bool>,
    /// Smoothed time between arrivals.
    interval: Option<Duration>,
    last_arrival: Option<Mono>,
    started: bool,
}

impl<'a> Pull<'a> {
    fn new(opened: Opened, clock: &'a dyn MonotonicClock, timeouts: PullTimeouts) -> Self {
        let Opened { demuxed, stream, codec, sound } = opened;
        let sound = sound.and_then(|(at, codec)| {
            let told = demuxed.streams().get(at)?.parameters();
            Some((at, sound::parameters(codec, told)?))
        });
        Self {
            demuxed,
            stream,
            codec,
            clock,
            timeouts,
            timeline: Timeline::default(),
            parameters: None,
            sound,
            declared: None,
            interval: None,
            last_arrival: None,
            started: false,
        }
    }

    async fn run(mut self, on_item: &mut impl FnMut(CameraItem)) -> PullEnd {
        let mut deadline = Instant::now() + self.timeouts.first_frame;
        // One timer that looks anew when it is due, where one for each frame would be set and taken back each time.
        let mut alarm = pin!(tokio::time::sleep_until(deadline));
        loop {
            let item = tokio::select! {
                biased;
                item = self.demuxed.next() => item,
                () = &mut alarm => {
                    if Instant::now() < deadline {
                        alarm.as_mut().reset(deadline);
                        continue;
                    }
                    return if self.started {
                        PullEnd::FrameTimeout(self.patience())
                    } else {
                        PullEnd::FirstFrame(self.timeouts.first_frame)
                    };
                }
            };
            match item {
                None => return PullEnd::Stream("the camera closed the connection".to_owned()),
                Some(Err(error)) => return classify(&error, &Stage::Stream),
                Some(Ok(CodecItem::VideoFrame(frame))) => {
                    self.frame(frame, on_item);
                    if self.started {
                        deadline = Instant::now() + self.patience();
                        if deadline < alarm.deadline() {
                            alarm.as_mut().reset(deadline);
                        }
                    }
                }
                Some(Ok(CodecItem::AudioFrame(heard))) => {
                    if let Some((_, parameters)) =
                        self.sound.as_ref().filter(|(at, _)| *at == heard.stream_id())
                        && self.started
                    {
                        on_item(CameraItem::Sound(sound::frame(parameters, &heard, self.clock)));
                    }
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// How long no frame may come.
    fn patience(&self) -> Duration {
        match self.interval {
            Some(interval) => self.timeouts.loss.max(interval * 3),
            // One frame only: nothing is known of the rate yet.
            None => self.timeouts.loss.max(self.timeouts.first_frame),
        }
    }

    fn frame(&mut self, frame: VideoFrame, on_item: &mut impl FnMut(CameraItem)) {
        let arrived = self.arrival(&frame);
        let key = frame.is_random_access_point();
        if !self.started && !key {
            return;
        }
        let loss = frame.loss();
        if loss > 0 {
            tracing::warn!(packets = loss, "packets from the camera are missing");
        }
        if frame.has_new_parameters() || self.parameters.is_none() {
            self.read_parameters(on_item);
        }
        let timestamp = frame.timestamp();
        let raw_us = i128::from(timestamp.elapsed()) * 1_000_000 / i128::from(timestamp.clock_rate().get());
        let raw_us = i64::try_from(raw_us).unwrap_or(i64::MAX);
        let placed = self.timeline.place(raw_us, arrived, self.declared != Some(false));
        if placed.jumped {
            tracing::warn!("the camera's time jumped; our own goes on");
        }
        if placed.reordered
            && let Some(known) = self.parameters.as_ref().filter(|p| !p.b_frames)
        {
            tracing::info!("the camera sends B-frames, though its parameters do not say so");
            let seen = Arc::new(VideoParameters { b_frames: true, ..VideoParameters::clone(known) });
            self.parameters = Some(Arc::clone(&seen));
            on_item(CameraItem::Parameters(seen));
        }
        let discontinuity = placed.jumped || loss > 0 || !self.started;
        self.started = true;
        on_item(CameraItem::Unit(AccessUnit {
            key,
            pts_us: placed.pts_us,
            arrived,
            data: frame.into_data().into(),
            discontinuity,
        }));
    }

    /// On our clock, by how long ago the first packet was received; also keeps the smoothed interval.
    fn arrival(&mut self, frame: &VideoFrame) -> Mono {
        let ago = frame.start_ctx().received().elapsed();
        let ago = u64::try_from(ago.as_micros()).unwrap_or(0);
        let arrived = Mono(self.clock.now().0.saturating_sub(ago));
        if let Some(last) = self.last_arrival {
            let now = arrived.since(last);
            self.interval = Some(self.interval.map_or(now, |before| before.mul_f64(0.9) + now.mul_f64(0.1)));
        }
        self.last_arrival = Some(arrived);
        arrived
    }

    fn read_parameters(&mut self, on_item: &mut impl FnMut(CameraItem)) {
        let Some(ParametersRef::Video(video)) = self.demuxed.streams()[self.stream].parameters() else {
            return;
        };
        let jpeg = self.codec == Codec::Jpeg;
        let config = if jpeg { Bytes::new() } else { Bytes::copy_from_slice(video.extra_data()) };
        self.declared = parameter_sets::reorders(self.codec, &config);
        let (width, height) = video.pixel_dimensions();
        let parameters = Arc::new(VideoParameters {
            codec: if jpeg { "jpeg".to_owned() } else { video.rfc6381_codec().to_owned() },
            config,
            width,
            height,
            b_frames: self.declared.unwrap_or(false),
        });
        if self.parameters.as_ref() != Some(&parameters) {
            self.parameters = Some(Arc::clone(&parameters));
            on_item(CameraItem::Parameters(parameters));
        }
    }
}

#[cfg(test)]
mod tests;
