//! The session description of a clip (RFC 4566; parameter sets as RFC 6184 section 8.1 and RFC 7798 section 7.1 say).

use std::fmt::Write as _;

use crate::footage::{Clip, Codec};

/// The name of the one track, at the end of the URL that is set up.
pub(super) const TRACK: &str = "trackID=0";
/// The RTP payload type in use.
pub(super) const PAYLOAD_TYPE: u8 = 96;

/// The description of `clip`.
pub(super) fn describe(clip: &Clip) -> String {
    let sets: Vec<String> = clip.parameters.iter().map(|set| data_encoding::BASE64.encode(set)).collect();
    let mut sdp = String::from(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=simulated camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         a=control:*\r\na=range:npt=now-\r\n",
    );
    let _infallible = write!(sdp, "m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\n");
    let _infallible = match clip.codec {
        Codec::H264 => {
            let profile = clip.parameters.first().and_then(|sps| sps.get(1..4)).unwrap_or_default();
            write!(
                sdp,
                "a=rtpmap:{PAYLOAD_TYPE} H264/90000\r\na=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={};\
                 sprop-parameter-sets={}\r\n",
                data_encoding::HEXUPPER.encode(profile),
                sets.join(",")
            )
        }
        Codec::H265 => {
            let _infallible = write!(sdp, "a=rtpmap:{PAYLOAD_TYPE} H265/90000\r\na=fmtp:{PAYLOAD_TYPE} ");
            let names = ["sprop-vps", "sprop-sps", "sprop-pps"];
            let of = |kind| {
                let same = clip
                    .parameters
                    .iter()
                    .zip(&sets)
                    .filter(move |(set, _)| set.first().map(|b| b >> 1 & 0x3F) == Some(kind));
                same.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(",")
            };
            let fields: Vec<_> =
                names.iter().zip(32..).map(|(name, kind)| format!("{name}={}", of(kind))).collect();
            write!(sdp, "{}\r\n", fields.join(";"))
        }
    };
    let _infallible = write!(sdp, "a=control:{TRACK}\r\n");
    sdp
}
