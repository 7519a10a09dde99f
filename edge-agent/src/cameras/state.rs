//! What is said of a camera: its state for tiles and metrics, and the events `camera.up` and `camera.down`, each given
//! once per change. Pure.

use control_protocol::{Happening, channel::StreamState};
use device_drivers::{
    camera::{PullEnd, VideoParameters},
    clock::Mono,
};

use super::source::why;

/// What a stream is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: StreamState,
    /// Why it is not live, in plain words.
    pub why: Option<String>,
    /// Since when.
    pub since: Mono,
}

/// The state machine of one stream.
#[derive(Debug)]
pub struct Course {
    status: Status,
    /// What browsers cannot play is transcoded for them.
    transcoded: bool,
    /// The loss has been told by an event, at this time.
    down: Option<Mono>,
    up: bool,
}

/// What a camera sends that a browser cannot play, or none if it can. Chromium plays no H.265 without hardware for it, in
/// MSE or WebCodecs (docs/design/wall-in-the-page.md), and of H.264 no profile with more than 8 bits or more colour than
/// 4:2:0 (High 10, 4:2:2, 4:4:4).
pub fn odd(codec: &str) -> Option<&str> {
    let (family, rest) = codec.split_once('.').unwrap_or((codec, ""));
    match family {
        "avc1" | "avc3" => match rest.get(..2)?.to_ascii_lowercase().as_str() {
            "6e" => Some("H.264 High 10"),
            "7a" => Some("H.264 High 4:2:2"),
            "f4" | "2c" => Some("H.264 High 4:4:4"),
            _ => None,
        },
        "hvc1" | "hev1" => Some("H.265"),
        "jpeg" => Some("MJPEG"),
        _ => Some(family),
    }
}

/// Why a browser cannot play a codec, or none if it can.
pub fn unplayable(codec: &str) -> Option<String> {
    odd(codec).map(|name| {
        format!("the camera sends {name}, which browsers cannot play: set it to H.264; until then only stills are shown")
    })
}

impl Course {
    /// A stream that is being dialled for the first time.
    pub fn new(now: Mono) -> Self {
        Self {
            transcoded: false,
            status: Status { state: StreamState::Connecting, why: None, since: now },
            down: None,
            up: false,
        }
    }

    /// The same, of a stream that is transcoded where browsers cannot play it.
    pub fn transcoded(self, transcoded: bool) -> Self {
        Self { transcoded, ..self }
    }

    /// The status now.
    pub fn status(&self) -> &Status {
        &self.status
    }

    fn set(&mut self, state: StreamState, why: Option<String>, now: Mono) {
        if self.status.state != state {
            self.status.since = now;
        }
        self.status.state = state;
        self.status.why = why;
    }

    /// The first key frame of a session, or of new parameters, came. Gives `camera.up` if the camera was not up.
    pub fn live(&mut self, video: &VideoParameters, now: Mono) -> Option<Happening> {
        match unplayable(&video.codec) {
            Some(why) if !self.transcoded => self.set(StreamState::Unsupported, Some(why), now),
            _ => self.set(StreamState::Live, None, now),
        }
        if self.up {
            return None;
        }
        self.up = true;
        let down_ms =
            self.down.take().map(|down| u64::try_from(now.since(down).as_millis()).unwrap_or(u64::MAX));
        Some(Happening::CameraUp {
            codec: video.codec.clone(),
            width: video.width,
            height: video.height,
            down_ms,
        })
    }

    /// A session or an attempt ended by itself. Gives `camera.down` with the first end of each outage.
    pub fn ended(&mut self, end: &PullEnd, now: Mono) -> Option<Happening> {
        let why = why(end);
        let state = match end {
            PullEnd::Unsupported(_) => StreamState::Unsupported,
            // The connection stood until now: its last picture is still on tiles, and is old.
            PullEnd::FrameTimeout(_) | PullEnd::Stream(_) if self.up => StreamState::Stale,
            _ => StreamState::Offline,
        };
        self.set(state, Some(why.clone()), now);
        self.up = false;
        if self.down.is_some() {
            return None;
        }
        self.down = Some(now);
        Some(Happening::CameraDown { why })
    }

    /// Nobody wants the stream, so that nothing is known of it. Not a loss.
    pub fn idle(&mut self, now: Mono) {
        self.up = false;
        self.set(StreamState::Connecting, Some("not pulled: nobody is watching".into()), now);
    }

    /// It is dialled again after nobody wanted it, or because somebody asked for it.
    pub fn dialling(&mut self, now: Mono) {
        if self.status.state == StreamState::Connecting {
            self.set(StreamState::Connecting, None, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn video(codec: &str) -> VideoParameters {
        VideoParameters {
            codec: codec.into(),
            config: Bytes::new(),
            width: 640,
            height: 360,
            b_frames: false,
        }
    }

    fn connect() -> PullEnd {
        PullEnd::Connect("refused".into())
    }

    fn froze() -> PullEnd {
        PullEnd::FrameTimeout(std::time::Duration::from_secs(3))
    }

    #[test]
    fn an_outage_is_told_once_and_its_return_with_its_length() {
        let mut course = Course::new(Mono(0));
        assert_eq!(course.status().state, StreamState::Connecting);
        let up = course.live(&video("avc1.4d401f"), Mono(1_000)).unwrap();
        assert!(matches!(up, Happening::CameraUp { down_ms: None, width: 640, .. }));
        assert!(course.live(&video("avc1.4d401f"), Mono(2_000)).is_none());
        let down = course.ended(&froze(), Mono(3_000_000)).unwrap();
        assert!(matches!(down, Happening::CameraDown { why } if why.contains("stopped sending")));
        assert_eq!(course.status().state, StreamState::Stale);
        assert!(course.ended(&connect(), Mono(4_000_000)).is_none());
        assert_eq!(course.status().state, StreamState::Offline);
        assert!(course.ended(&PullEnd::Unauthorized, Mono(5_000_000)).is_none());
        let status = course.status();
        assert!(status.why.as_ref().unwrap().contains("password"));
        assert_eq!(status.since, Mono(4_000_000));
        let up = course.live(&video("avc1.4d401f"), Mono(8_000_000)).unwrap();
        assert!(matches!(up, Happening::CameraUp { down_ms: Some(5_000), .. }));
    }

    #[test]
    fn a_camera_that_was_never_there_is_told_down() {
        let mut course = Course::new(Mono(0));
        assert!(course.ended(&connect(), Mono(1)).is_some());
        assert_eq!(course.status().state, StreamState::Offline);
    }

    #[test]
    fn h265_is_up_and_unsupported() {
        let mut course = Course::new(Mono(0));
        assert!(course.live(&video("hvc1.1.6.L93.B0"), Mono(1)).is_some());
        assert_eq!(course.status().state, StreamState::Unsupported);
        assert!(course.status().why.as_ref().unwrap().contains("H.265"));
    }

    #[test]
    fn what_is_transcoded_is_live() {
        let mut course = Course::new(Mono(0)).transcoded(true);
        assert!(course.live(&video("hvc1.1.6.L93.B0"), Mono(1)).is_some());
        assert_eq!((course.status().state, &course.status().why), (StreamState::Live, &None));
    }

    #[test]
    fn odd_profiles_are_told_from_playable_ones() {
        for (codec, name) in [
            ("avc1.4d401f", None),
            ("avc1.64001F", None),
            ("avc1.42c01e", None),
            ("avc1.6E0028", Some("H.264 High 10")),
            ("avc1.7a0028", Some("H.264 High 4:2:2")),
            ("avc1.f40028", Some("H.264 High 4:4:4")),
            ("hev1.1.6.L93.B0", Some("H.265")),
            ("jpeg", Some("MJPEG")),
            ("mp4v.20", Some("mp4v")),
        ] {
            assert_eq!(odd(codec), name, "{codec}");
        }
    }

    #[test]
    fn being_unwanted_is_no_loss() {
        let mut course = Course::new(Mono(0));
        course.live(&video("avc1.4d401f"), Mono(1));
        course.idle(Mono(2));
        assert_eq!(course.status().state, StreamState::Connecting);
        course.dialling(Mono(3));
        assert_eq!(course.status().why, None);
        let up = course.live(&video("avc1.4d401f"), Mono(4)).unwrap();
        assert!(matches!(up, Happening::CameraUp { down_ms: None, .. }));
    }

    proptest! {
        /// Whatever happens, the events alternate but for an idle stream's second `up`, a live state has no reason and
        /// every other one after a loss has one.
        #[test]
        fn events_are_edges(steps in proptest::collection::vec(0u8..5, 1..60)) {
            let mut course = Course::new(Mono(0));
            let mut down = false;
            for (at, step) in steps.into_iter().enumerate() {
                let now = Mono(at as u64);
                let happening = match step {
                    0 | 1 => course.live(&video("avc1.4d401f"), now),
                    2 => course.ended(&froze(), now),
                    3 => course.ended(&connect(), now),
                    _ => { course.idle(now); course.dialling(now); None }
                };
                match happening {
                    Some(Happening::CameraDown { .. }) => { prop_assert!(!down); down = true; }
                    Some(Happening::CameraUp { down_ms, .. }) => { prop_assert_eq!(down_ms.is_some(), down); down = false; }
                    _ => {}
                }
                let status = course.status();
                prop_assert!((status.state == StreamState::Live) <= status.why.is_none());
                prop_assert!((status.state == StreamState::Offline) <= status.why.is_some());
            }
        }
    }
}
