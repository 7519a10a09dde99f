//! Which of a camera's streams is pulled as main and which as second. Pure.

use serde::Serialize;

use super::describe::{Encoding, Profile};

/// Second streams of more lines than this cost the hall's network and the wall more than they show.
const SUB_LINES: u32 = 600;
/// Fewer lines than this show nobody.
const LEAST_LINES: u32 = 180;

/// The streams to pull, by their place in the list of profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// For the focus view and the recorder.
    pub main: Option<usize>,
    /// Pulled all the time, for the wall.
    pub sub: Option<usize>,
    /// Why, in the order in which it was decided.
    pub why: Vec<Reason>,
}

/// Why a stream was chosen or not. The sentences are the site's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The camera has no H.264 or H.265 stream with an address.
    NoUsableStream,
    /// A profile that browsers and the recorder cannot use.
    Ignored {
        /// Its name.
        profile: String,
        /// Its codec.
        codec: Encoding,
    },
    /// The largest H.264 stream is main.
    LargestH264 {
        /// Its name.
        profile: String,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Only H.265 is large: browsers may show it as stills only; H.264 can be set in the camera.
    MainIsH265 {
        /// Its name.
        profile: String,
    },
    /// A small H.264 stream is second.
    SmallH264 {
        /// Its name.
        profile: String,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// The only small stream is H.265; set H.264 in the camera.
    SubIsH265 {
        /// Its name.
        profile: String,
    },
    /// The second stream has more lines than the wall needs.
    SubIsLarge {
        /// Its name.
        profile: String,
        /// Pixels.
        height: u32,
    },
    /// There is one stream only: the wall pulls the main stream all the time. Switch on a second stream in the camera.
    NoSecondStream,
}

/// Chooses: main is the largest H.264 (H.265 if H.264 is only small or absent), second the best small one beside it.
pub fn choose(profiles: &[Profile]) -> Choice {
    let mut why = Vec::new();
    let mut usable = Vec::new();
    for (at, profile) in profiles.iter().enumerate() {
        match profile.codec {
            Encoding::H264 | Encoding::H265 if profile.uri.is_some() => usable.push(at),
            codec => why.push(Reason::Ignored { profile: profile.name.clone(), codec }),
        }
    }
    let is_h264 = |at: &usize| profiles[*at].codec == Encoding::H264;
    // The first of equals: makers list their streams in this order.
    let largest = |of: &mut dyn Iterator<Item = usize>| {
        of.max_by_key(|at| (profiles[*at].pixels(), std::cmp::Reverse(*at)))
    };
    let any = largest(&mut usable.iter().copied());
    // A small H.264 stream beside a large H.265 one is the wall's; the large one is worth recording.
    let main = largest(&mut usable.iter().copied().filter(is_h264))
        .filter(|at| profiles[*at].height > SUB_LINES || any == Some(*at))
        .or(any);
    let Some(main) = main else {
        why.push(Reason::NoUsableStream);
        return Choice { main: None, sub: None, why };
    };
    let name = |at: usize| profiles[at].name.clone();
    why.push(if is_h264(&main) {
        Reason::LargestH264 {
            profile: name(main),
            width: profiles[main].width,
            height: profiles[main].height,
        }
    } else {
        Reason::MainIsH265 { profile: name(main) }
    });
    // Two profiles may name one and the same stream.
    let others =
        || usable.iter().copied().filter(|at| *at != main && profiles[*at].uri != profiles[main].uri);
    let fits = |at: &usize| (LEAST_LINES..=SUB_LINES).contains(&profiles[*at].height);
    let smallest = |of: &mut dyn Iterator<Item = usize>| of.min_by_key(|at| (profiles[*at].pixels(), *at));
    let sub = largest(&mut others().filter(|at| is_h264(at) && fits(at)))
        .or_else(|| smallest(&mut others().filter(|at| is_h264(at) && profiles[*at].height > SUB_LINES)))
        .or_else(|| largest(&mut others().filter(fits)))
        .or_else(|| largest(&mut others()));
    match sub {
        None => why.push(Reason::NoSecondStream),
        Some(at) if !is_h264(&at) => why.push(Reason::SubIsH265 { profile: name(at) }),
        Some(at) if profiles[at].height > SUB_LINES => {
            why.push(Reason::SubIsLarge { profile: name(at), height: profiles[at].height });
        }
        Some(at) => why.push(Reason::SmallH264 {
            profile: name(at),
            width: profiles[at].width,
            height: profiles[at].height,
        }),
    }
    Choice { main: Some(main), sub, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str, codec: Encoding, width: u32, height: u32) -> Profile {
        Profile {
            token: name.into(),
            name: name.into(),
            uri: Some(format!("rtsp://10.0.0.2/{name}")),
            snapshot: None,
            codec,
            width,
            height,
            fps: Some(25.0),
            gop: Some(50),
            kbps: Some(2048),
        }
    }

    #[test]
    fn main_and_second_of_usual_cameras() {
        use Encoding::{H264, H265, Jpeg};
        let hik = [
            profile("main", H264, 1920, 1080),
            profile("sub", H264, 640, 360),
            profile("third", H264, 1280, 720),
            profile("snap", Jpeg, 640, 360),
        ];
        let choice = choose(&hik);
        assert_eq!((choice.main, choice.sub), (Some(0), Some(1)));
        assert_eq!(
            choice.why,
            [
                Reason::Ignored { profile: "snap".into(), codec: Jpeg },
                Reason::LargestH264 { profile: "main".into(), width: 1920, height: 1080 },
                Reason::SmallH264 { profile: "sub".into(), width: 640, height: 360 },
            ]
        );
        let modern = [profile("main", H265, 2560, 1440), profile("sub", H264, 704, 576)];
        let choice = choose(&modern);
        assert_eq!((choice.main, choice.sub), (Some(0), Some(1)));
        assert_eq!(choice.why[0], Reason::MainIsH265 { profile: "main".into() });
        let mixed = [
            profile("main", H265, 2560, 1440),
            profile("sub", H265, 704, 576),
            profile("c", H264, 1280, 720),
        ];
        let choice = choose(&mixed);
        assert_eq!((choice.main, choice.sub), (Some(2), Some(1)));
        assert_eq!(choice.why[1], Reason::SubIsH265 { profile: "sub".into() });
        let only = choose(&[profile("a", H265, 1920, 1080)]);
        assert_eq!((only.main, only.sub), (Some(0), None));
        assert_eq!(only.why, [Reason::MainIsH265 { profile: "a".into() }, Reason::NoSecondStream]);
        let large = choose(&[profile("a", H264, 1920, 1080), profile("b", H264, 1280, 720)]);
        assert_eq!(large.why[1], Reason::SubIsLarge { profile: "b".into(), height: 720 });
        let none = choose(&[Profile { uri: None, ..profile("a", H264, 1, 1) }]);
        assert_eq!((none.main, none.why.last()), (None, Some(&Reason::NoUsableStream)));
    }

    #[test]
    fn two_names_of_one_stream_are_one_stream() {
        let mut twice = [profile("a", Encoding::H264, 640, 360), profile("b", Encoding::H264, 640, 360)];
        twice[1].uri = twice[0].uri.clone();
        let choice = choose(&twice);
        assert_eq!((choice.main, choice.sub), (Some(0), None));
        assert_eq!(
            serde_json::to_value(&choice.why).unwrap(),
            serde_json::json!([
                {"code": "largest_h264", "profile": "a", "width": 640, "height": 360},
                {"code": "no_second_stream"},
            ])
        );
    }
}
