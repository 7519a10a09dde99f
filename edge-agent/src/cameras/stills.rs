//! The tier `still`: a JPEG of the newest key frame, at once and then every two seconds while somebody wants one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{
    CameraId, StreamId,
    channel::{StreamDescription, StreamState},
    frame::{HEADER, Header, Kind, Tier},
    hub::{Hub, Item},
};
use picture::{Codec, Jpeg, StillError, StillMaker};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    entry::{NOTHING, Parameters},
    stream::{Stream, reaches},
};

/// From one still to the next.
const EVERY: Duration = Duration::from_secs(2);
/// A still's largest width in pixels: a tile's, since a still stands in for one.
const MAX_WIDTH: u32 = 960;

/// A camera's stills.
pub(super) struct Stills {
    pub(super) camera: CameraId,
    pub(super) hub: Hub,
    claims: watch::Sender<usize>,
    /// Why there are none, where that will not mend by itself.
    pub(super) failed: watch::Sender<Option<(StreamState, String)>>,
}

/// Somebody wants stills.
pub(super) struct StillClaim(Arc<Stills>);

impl Drop for StillClaim {
    fn drop(&mut self) {
        self.0.claims.send_modify(|claims| *claims -= 1);
    }
}

impl Stills {
    pub(super) fn new(camera: CameraId) -> Arc<Self> {
        Arc::new(Self {
            camera,
            hub: Hub::default(),
            claims: watch::Sender::new(0),
            failed: watch::Sender::new(None),
        })
    }

    pub(super) fn claim(self: &Arc<Self>) -> StillClaim {
        self.claims.send_modify(|claims| *claims += 1);
        StillClaim(self.clone())
    }

    /// Makes stills of `stream` while there are claims, until cancelled.
    pub(super) async fn run(
        self: Arc<Self>,
        stream: Arc<Stream>,
        maker: StillMaker,
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
                () = reaches(&mut claims, |claims| claims == 0) => {}
                () = self.make(&stream, &maker) => {}
            }
            drop(pulled);
            // Whoever comes next is not shown a picture from before.
            self.hub.publish_parameters(NOTHING);
            self.failed.send_replace(None);
        }
        self.hub.end();
    }

    /// Never ends.
    async fn make(&self, stream: &Stream, maker: &StillMaker) {
        let mut last = None;
        let mut complained = false;
        loop {
            let (parameters, message) = self.newer(stream, last).await;
            let began = Instant::now();
            if let Ok(header) = Header::read(&message) {
                last = Some(header.captured_us);
                match still(maker, &parameters, message.slice(HEADER..)).await {
                    Ok(jpeg) => {
                        complained = false;
                        self.failed.send_if_modified(|failed| failed.take().is_some());
                        self.publish(header, &jpeg);
                    }
                    Err(error) => {
                        if !complained {
                            tracing::warn!(camera = %self.camera, "no still: {error}");
                            complained = true;
                        }
                        let lasting = matches!(
                            error,
                            StillError::Missing { .. } | StillError::Pipeline(_) | StillError::Ended
                        );
                        if lasting {
                            self.failed.send_replace(Some((StreamState::Unsupported, error.to_string())));
                        }
                    }
                }
            }
            sleep_until(began + EVERY).await;
        }
    }

    /// The newest key frame that is not the one captured at `last`, waited for. While the camera is lost the stills
    /// are emptied.
    async fn newer(&self, stream: &Stream, last: Option<i64>) -> (Parameters, Bytes) {
        let mut watch = stream.hub.watch();
        let mut parameters = None;
        loop {
            match watch.next().await {
                Item::Parameters(entry) => {
                    parameters = Parameters::of(&entry);
                    if parameters.is_none() {
                        self.hub.publish_parameters(NOTHING);
                    }
                }
                Item::Frame { message, key: true } => {
                    let captured = Header::read(&message).ok().map(|header| header.captured_us);
                    if let Some(parameters) = &parameters
                        && captured != last
                    {
                        return (parameters.clone(), message);
                    }
                }
                Item::Frame { .. } | Item::Missed(_) => {}
                // The camera's task has ended; so will this one's.
                Item::Ended => std::future::pending().await,
            }
        }
    }

    fn publish(&self, of: Header, jpeg: &Jpeg) {
        let parameters = Parameters {
            description: StreamDescription {
                codec: "jpeg".into(),
                width: jpeg.width,
                height: jpeg.height,
                note: None,
            },
            record: Bytes::new(),
        };
        self.hub.publish_parameters(parameters.entry());
        let header = Header {
            kind: Kind::Frame,
            key: true,
            discontinuity: false,
            tier: Tier::Still,
            stream: StreamId(0),
            ..of
        };
        self.hub.publish(header.message(&jpeg.bytes), true);
    }
}

async fn still(maker: &StillMaker, parameters: &Parameters, key_frame: Bytes) -> Result<Jpeg, StillError> {
    let codec = Codec::of_rfc6381(&parameters.description.codec)
        .ok_or_else(|| StillError::Undecodable(format!("no decoder for {}", parameters.description.codec)))?;
    let parameters = picture::Parameters { codec, record: parameters.record.clone() };
    maker.still(parameters, key_frame, MAX_WIDTH).await
}
