//! A viewer's end of a camera's tier: what the media connection takes out and sends.

use std::sync::Arc;

use bytes::Bytes;
use control_protocol::{
    channel::StreamState,
    frame::Tier,
    hub::{Item, Watch},
};

use super::{
    entry::Parameters,
    state::unplayable,
    stills::{StillClaim, Stills},
    stream::{Claim, Stream},
    transcode::{Transcoded, TranscodedClaim},
};

/// What a viewer takes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// What the frames after it need; before the first frame and at each change.
    Parameters(Parameters),
    /// A frame message with the stream's number 0, to be stamped; `after_gap` where frames were left out before it.
    Frame {
        /// The message.
        message: Bytes,
        /// Frames were left out: what came before does not lead to it.
        after_gap: bool,
    },
    /// The tier cannot be served.
    Failed {
        /// What its tile should show.
        state: StreamState,
        /// In plain words.
        why: String,
    },
    /// The agent is closing.
    Ended,
}

enum Held {
    Stream {
        stream: Arc<Stream>,
        /// The stream by which the camera's state is told, where it is another one.
        first: Option<Arc<Stream>>,
        _claim: Claim,
    },
    Stills {
        stills: Arc<Stills>,
        _claim: StillClaim,
    },
    Transcoded {
        transcoded: Arc<Transcoded>,
        _claim: TranscodedClaim,
    },
}

/// A viewer of one tier; the stream is pulled while it is held.
pub struct Viewing {
    tier: Tier,
    watch: Watch,
    held: Held,
    /// What stands in for the stream where browsers cannot play it.
    transcoded: Option<Arc<Transcoded>>,
    gap: bool,
}

impl Viewing {
    pub(super) fn of_stream(
        stream: &Arc<Stream>,
        tier: Tier,
        first: Option<&Arc<Stream>>,
        transcoded: Option<Arc<Transcoded>>,
    ) -> Self {
        let held = Held::Stream { stream: stream.clone(), first: first.cloned(), _claim: stream.claim() };
        Self { tier, watch: stream.hub.watch(), held, transcoded, gap: false }
    }

    pub(super) fn of_stills(stills: &Arc<Stills>) -> Self {
        let held = Held::Stills { stills: stills.clone(), _claim: stills.claim() };
        Self { tier: Tier::Still, watch: stills.hub.watch(), held, transcoded: None, gap: false }
    }

    /// The tier.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The next view, waited for. Cancel-safe.
    pub async fn next(&mut self) -> View {
        loop {
            let item = tokio::select! {
                biased;
                failed = failed(&self.held) => return failed,
                item = self.watch.next() => item,
            };
            if let Some(view) = self.view(item) {
                return view;
            }
        }
    }

    /// The next view, if there is one now.
    pub fn take(&mut self) -> Option<View> {
        loop {
            let item = self.watch.take()?;
            if let Some(view) = self.view(item) {
                return Some(view);
            }
        }
    }

    fn view(&mut self, item: Item) -> Option<View> {
        match item {
            Item::Parameters(entry) => {
                let parameters = Parameters::of(&entry)?;
                let unplayable =
                    if self.tier == Tier::Still { None } else { unplayable(&parameters.description.codec) };
                if unplayable.is_some()
                    && let Some(transcoded) = self.transcoded.take()
                {
                    let claim = transcoded.claim();
                    self.watch = transcoded.hub.watch();
                    self.held = Held::Transcoded { transcoded, _claim: claim };
                    return None;
                }
                Some(match unplayable {
                    Some(why) => View::Failed { state: StreamState::Unsupported, why },
                    None => View::Parameters(parameters),
                })
            }
            Item::Frame { key: false, .. } if self.tier == Tier::Key => None,
            Item::Frame { message, .. } => {
                Some(View::Frame { message, after_gap: std::mem::take(&mut self.gap) })
            }
            Item::Missed(frames) => {
                // Pictures that each stand alone do not lead to each other.
                self.gap = matches!(self.tier, Tier::Main | Tier::Sub);
                tracing::debug!(
                    tier = self.tier.as_str(),
                    frames,
                    "the link is slow: skipped to the newest key frame"
                );
                None
            }
            Item::Ended => Some(View::Ended),
        }
    }
}

/// Ends once the tier cannot be served though the camera is there. A camera that is lost does not fail its viewers: they
/// wait for its return, and its state goes up by the camera's report.
async fn failed(held: &Held) -> View {
    match held {
        Held::Stream { stream, first: Some(first), .. } => {
            let (mut second, mut first) = (stream.status.subscribe(), first.status.subscribe());
            loop {
                let there =
                    matches!(first.borrow_and_update().state, StreamState::Live | StreamState::Unsupported);
                let failed = {
                    let status = second.borrow_and_update();
                    let state = status.state;
                    (there && matches!(state, StreamState::Offline | StreamState::Unsupported))
                        .then(|| View::Failed { state, why: status.why.clone().unwrap_or_default() })
                };
                if let Some(failed) = failed {
                    return failed;
                }
                let changed = tokio::select! {
                    changed = first.changed() => changed,
                    changed = second.changed() => changed,
                };
                if changed.is_err() {
                    break;
                }
            }
        }
        Held::Stream { first: None, .. } => {}
        Held::Stills { stills, .. } => {
            if let Some(failed) = told(&stills.failed).await {
                return failed;
            }
        }
        Held::Transcoded { transcoded, .. } => {
            if let Some(failed) = told(&transcoded.failed).await {
                return failed;
            }
        }
    }
    // Nobody can say any more that it failed.
    std::future::pending().await
}

/// The reason, once there is one.
async fn told(failed: &tokio::sync::watch::Sender<Option<(StreamState, String)>>) -> Option<View> {
    let mut failed = failed.subscribe();
    let found = failed.wait_for(Option::is_some).await.ok().and_then(|failed| failed.clone());
    found.map(|(state, why)| View::Failed { state, why })
}
