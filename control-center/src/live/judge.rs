//! What a tile is told of its stream: a pure judgement of what is known now. A picture that stopped is never called
//! live, and the reason is the nearest one known.

use std::time::Duration;

use control_protocol::{channel::StreamState, frame::Tier};

/// Without a frame for so long a stream is stale (docs/reference/wall-protocol.md).
pub(super) const STALE: Duration = Duration::from_secs(5);

/// What is known of a stream now.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The hall's edge has a command channel.
    pub(super) connected: bool,
    /// The media connection of the lease is open.
    pub(super) media: bool,
    /// How long ago the last frame came; `None` before the first.
    pub(super) age: Option<Duration>,
    /// How far apart key frames are, where two have come.
    pub(super) key_interval: Option<Duration>,
    /// Why the edge cannot serve the lease, as it said.
    pub(super) failed: Option<(StreamState, String)>,
    /// The camera's state as its edge reports it.
    pub(super) camera: Option<(StreamState, Option<String>)>,
}

/// When a stream of `tier` turns stale: 5 seconds, or 2.5 groups of pictures where only key frames come.
pub(super) fn stale_after(tier: Tier, key_interval: Option<Duration>) -> Duration {
    match (tier, key_interval) {
        (Tier::Key, Some(interval)) => STALE.max(interval * 5 / 2),
        _ => STALE,
    }
}

/// The state of the stream's tiles, and why where it is not live.
pub(super) fn judge(tier: Tier, known: &Known) -> (StreamState, Option<String>) {
    let fresh = known.age.is_some_and(|age| age < stale_after(tier, known.key_interval));
    if !known.connected {
        return (StreamState::Offline, Some(crate::nodes::registry::NOT_CONNECTED.to_owned()));
    }
    if let Some((state, why)) = &known.failed {
        return (*state, Some(why.clone()));
    }
    // The edge knows that a camera is gone before its frames are missed here. Stills can come of a camera whose video no
    // browser plays.
    let camera = known.camera.as_ref().filter(|(state, _)| match state {
        StreamState::Offline => true,
        StreamState::Unsupported => tier != Tier::Still,
        _ => false,
    });
    if let Some((state, why)) = camera
        && !(fresh && known.media && *state == StreamState::Unsupported)
    {
        let words = why.clone().unwrap_or_else(|| "the camera cannot be reached".to_owned());
        return (*state, Some(words));
    }
    if fresh {
        return (StreamState::Live, None);
    }
    let said = known.camera.as_ref().and_then(|(_, why)| why.clone());
    match known.age {
        Some(_) => (StreamState::Stale, Some(said.unwrap_or_else(|| "no picture comes any more".to_owned()))),
        None => (StreamState::Connecting, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Known {
        Known { connected: true, media: true, age: Some(Duration::from_millis(40)), ..Known::default() }
    }

    fn state(tier: Tier, known: &Known) -> StreamState {
        judge(tier, known).0
    }

    #[test]
    fn a_picture_that_stopped_is_not_live() {
        let mut known = live();
        assert_eq!(judge(Tier::Sub, &known), (StreamState::Live, None));
        known.age = Some(Duration::from_secs(5));
        assert_eq!(state(Tier::Sub, &known), StreamState::Stale);
        assert!(judge(Tier::Sub, &known).1.is_some());
        known.age = None;
        assert_eq!(state(Tier::Sub, &known), StreamState::Connecting);
        known.connected = false;
        assert_eq!(state(Tier::Sub, &known), StreamState::Offline);
    }

    #[test]
    fn key_frames_far_apart_are_not_stale() {
        let mut known = live();
        known.age = Some(Duration::from_secs(9));
        known.key_interval = Some(Duration::from_secs(4));
        assert_eq!(state(Tier::Key, &known), StreamState::Live);
        assert_eq!(state(Tier::Sub, &known), StreamState::Stale);
        known.age = Some(Duration::from_secs(10));
        assert_eq!(state(Tier::Key, &known), StreamState::Stale);
    }

    #[test]
    fn what_the_edge_says_of_the_camera_comes_first() {
        let mut known = live();
        known.camera = Some((StreamState::Offline, Some("wrong password".into())));
        assert_eq!(judge(Tier::Sub, &known), (StreamState::Offline, Some("wrong password".into())));
        known.camera = Some((StreamState::Unsupported, Some("H.265".into())));
        assert_eq!(state(Tier::Still, &known), StreamState::Live);
        known.age = None;
        assert_eq!(state(Tier::Sub, &known), StreamState::Unsupported);
        known.camera = None;
        known.failed = Some((StreamState::Unsupported, "H.265".into()));
        assert_eq!(state(Tier::Sub, &known), StreamState::Unsupported);
    }
}
