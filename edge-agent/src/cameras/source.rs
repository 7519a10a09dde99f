//! Where a camera's access units come from: a trait, so that everything above it is tested without a camera; the RTSP
//! source; and the words for how a pull ends.

use std::{future::Future, pin::Pin, sync::Arc};

use control_protocol::CameraId;
use device_drivers::{
    camera::{CameraItem, CameraSource, Failure, PullEnd, PullTimeouts, Transport, pull},
    clock::MonotonicClock,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Setup;
use crate::config;

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
}

impl Source for Rtsp {
    fn pull<'a>(
        &'a self,
        on_item: &'a mut (dyn FnMut(CameraItem) + Send),
        cancel: CancellationToken,
    ) -> Pulling<'a> {
        let pulling = async move {
            pull(&self.source, self.clock.as_ref(), PullTimeouts::default(), on_item, &cancel).await
        };
        Box::pin(pulling.instrument(self.span.clone()))
    }

    fn address(&self) -> String {
        self.source.bare_url().to_string()
    }
}

/// The configured cameras over RTSP. `password` gives the secret that a camera's credential names.
///
/// # Errors
/// The first that `password` gives, with the camera's id.
pub fn rtsp(
    cameras: &[config::Camera],
    clock: &Arc<dyn MonotonicClock>,
    mut password: impl FnMut(&str) -> anyhow::Result<String>,
) -> anyhow::Result<Vec<Setup>> {
    let mut setups = Vec::with_capacity(cameras.len());
    for camera in cameras {
        let secret = match &camera.credential {
            Some(name) => {
                password(name).map_err(|error| error.context(format!("the password of {}", camera.id)))?
            }
            None => String::new(),
        };
        let stream = |url: &url::Url, tier: &'static str| -> Arc<dyn Source> {
            Arc::new(Rtsp {
                source: CameraSource {
                    url: url.clone(),
                    user: camera.user.clone().unwrap_or_default(),
                    password: secret.clone(),
                    transport: Transport::Tcp,
                },
                clock: clock.clone(),
                span: span(&camera.id, tier),
            })
        };
        setups.push(Setup {
            camera: camera.id.clone(),
            main: stream(&camera.url, "main"),
            sub: camera.sub_url.as_ref().map(|url| stream(url, "sub")),
        });
    }
    Ok(setups)
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
