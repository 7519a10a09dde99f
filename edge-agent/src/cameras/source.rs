//! Where a camera's access units come from: a trait, so that everything above it is tested without a camera; the RTSP
//! source; and the words for how a pull ends.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use control_protocol::CameraId;
use device_drivers::{
    camera::{CameraItem, CameraSource, Failure, PullEnd, PullTimeouts, Transport, pull},
    clock::MonotonicClock,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Setup;
use crate::config::{self, RecordedStream};

/// Sessions with sound that break off one after the other before a picture is worth more than its sound.
const TRIED_WITH_SOUND: u32 = 3;
/// A session that lasted so long was sound.
const SOUND: Duration = Duration::from_secs(30);

/// A future that a trait object can give.
pub type Pulling<'a> = Pin<Box<dyn Future<Output = PullEnd> + Send + 'a>>;

/// One stream of a camera.
pub trait Source: Send + Sync {
    /// Dials the camera and hands its items to `on_item` until the stream ends or `cancel` is cancelled, which it
    /// obeys at once. The first unit is a key frame, with its parameters before it.
    fn pull<'a>(
        &'a self,
        on_item: &'a mut (dyn FnMut(CameraItem) + Send),
        cancel: CancellationToken,
    ) -> Pulling<'a>;

    /// Its URL without user or password, for the log.
    fn address(&self) -> String;
}

struct Rtsp {
    source: CameraSource,
    clock: Arc<dyn MonotonicClock>,
    span: tracing::Span,
    /// Sessions with sound that broke off early, since one that lasted.
    broken_with_sound: AtomicU32,
}

impl Rtsp {
    /// A camera whose sound cannot be read would lose its picture with it again and again: then it goes without.
    fn source_now(&self) -> CameraSource {
        let broken = self.broken_with_sound.load(Ordering::Relaxed);
        CameraSource { sound: self.source.sound && broken < TRIED_WITH_SOUND, ..self.source.clone() }
    }

    fn learn(&self, sound: bool, lasted: Duration, end: &PullEnd) {
        if !sound {
            return;
        }
        if lasted >= SOUND {
            self.broken_with_sound.store(0, Ordering::Relaxed);
        } else if matches!(end, PullEnd::Stream(_) | PullEnd::Setup(_)) {
            let broken = self.broken_with_sound.fetch_add(1, Ordering::Relaxed) + 1;
            if broken == TRIED_WITH_SOUND {
                tracing::warn!(
                    "the stream breaks off again and again while its sound is taken: it goes on without"
                );
            }
        }
    }
}

impl Source for Rtsp {
    fn pull<'a>(
        &'a self,
        on_item: &'a mut (dyn FnMut(CameraItem) + Send),
        cancel: CancellationToken,
    ) -> Pulling<'a> {
        let pulling = async move {
            let (source, begun) = (self.source_now(), Instant::now());
            let end = pull(&source, self.clock.as_ref(), PullTimeouts::default(), on_item, &cancel).await;
            self.learn(source.sound, begun.elapsed(), &end);
            end
        };
        Box::pin(pulling.instrument(self.span.clone()))
    }

    fn address(&self) -> String {
        self.source.bare_url().to_string()
    }
}

/// A camera over RTSP, signed in to with `password`; `sound` is the stream whose sound is taken.
pub fn rtsp(
    camera: &config::Camera,
    password: &str,
    sound: Option<RecordedStream>,
    clock: &Arc<dyn MonotonicClock>,
) -> Setup {
    let sounding = match sound {
        Some(RecordedStream::Sub) if camera.sub_url.is_some() => "sub",
        Some(_) => "main",
        None => "",
    };
    let stream = |url: &url::Url, tier: &'static str| -> Arc<dyn Source> {
        Arc::new(Rtsp {
            source: CameraSource {
                url: url.clone(),
                user: camera.user.clone().unwrap_or_default(),
                password: password.to_owned(),
                transport: Transport::Tcp,
                sound: tier == sounding,
            },
            clock: clock.clone(),
            span: span(&camera.id, tier),
            broken_with_sound: AtomicU32::new(0),
        })
    };
    Setup {
        camera: camera.id.clone(),
        main: stream(&camera.url, "main"),
        sub: camera.sub_url.as_ref().map(|url| stream(url, "sub")),
        at_window: camera.window.is_some(),
    }
}

fn span(camera: &CameraId, tier: &'static str) -> tracing::Span {
    tracing::info_span!("camera", %camera, tier)
}

/// The stage at which a pull ended, as metrics name it.
pub fn stage(end: &PullEnd) -> &'static str {
    match end {
        PullEnd::Cancelled => "cancelled",
        PullEnd::Connect(_) => "connect",
        PullEnd::Unauthorized => "unauthorized",
        PullEnd::NoStream => "no_stream",
        PullEnd::Describe(_) => "describe",
        PullEnd::Setup(_) => "setup",
        PullEnd::Unsupported(_) => "unsupported",
        PullEnd::FirstFrame(_) => "first_frame",
        PullEnd::FrameTimeout(_) => "frame_timeout",
        PullEnd::Stream(_) => "stream",
    }
}

/// Why there is no picture, in plain words with what to do where that is known.
pub fn why(end: &PullEnd) -> String {
    match end {
        PullEnd::Unauthorized => format!("{end}: set the right one; tried again every minute"),
        PullEnd::NoStream => format!("{end}: check the URL's path"),
        PullEnd::FirstFrame(_) => format!("the camera takes the connection but sends no picture: {end}"),
        PullEnd::FrameTimeout(_) => format!("the camera stopped sending pictures: {end}"),
        end => end.to_string(),
    }
}

/// What the retry policy is told of an end.
pub(super) fn failure(end: &PullEnd) -> Failure {
    match end {
        PullEnd::Unauthorized => Failure::Refused,
        _ => Failure::Ordinary,
    }
}
