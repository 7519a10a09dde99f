//! Questions that go to a hall through its centre, and their answers: of pairing, the same as at the hall's own page
//! (docs/reference/pairing.md), and for kept stills. On the command channel a body is cut into parts; this module joins them again.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// The largest body of a question or an answer, bytes.
pub const MAX_BODY: usize = 6 * 1024 * 1024;
/// How much of a body goes into one text of the channel.
pub const PART: usize = 96 * 1024;
/// How long the centre waits for a hall's answer, milliseconds.
pub const ANSWER_MS: u64 = 25_000;

/// What a question is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Pairing.
    #[default]
    Pairing,
    /// A still of what was found in a picture: `path` is `<camera>/<still>`.
    Still,
    /// Moving a camera: `path` is `<camera>/turn`, `…/stop`, `…/presets` or `…/go_to`.
    Move,
}

impl About {
    fn is_pairing(&self) -> bool {
        *self == Self::Pairing
    }
}

/// A question, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What it is about; not said: pairing.
    #[serde(default, skip_serializing_if = "About::is_pairing")]
    pub about: About,
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path below the base, without a slash before it.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// What the body is.
    pub content_type: Option<String>,
    /// The person who asks; the centre has checked that they may.
    pub technician: String,
}

/// An answer, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// What the body is; none: there is none.
    pub content_type: Option<String>,
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Base64.
    pub data: String,
    /// Whether more follows.
    pub more: bool,
}

/// A part that cannot be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of a pairing message is damaged or too much")]
pub struct BadPart;

/// Cuts a body into parts; an empty one is one empty part.
pub fn cut(body: &[u8]) -> Vec<Part> {
    let count = body.len().div_ceil(PART).max(1);
    let part = |n: usize| Part {
        data: BASE64.encode(&body[n * PART..body.len().min((n + 1) * PART)]),
        more: n + 1 < count,
    };
    (0..count).map(part).collect()
}

/// A body that is being joined.
#[derive(Debug, Default)]
pub struct Joining(Vec<u8>);

impl Joining {
    /// Takes the next part; gives the body with the last.
    ///
    /// # Errors
    /// It is not Base64, or too much.
    pub fn take(&mut self, part: &Part) -> Result<Option<Bytes>, BadPart> {
        if part.data.len() > PART * 2 {
            return Err(BadPart);
        }
        let data = BASE64.decode(part.data.as_bytes()).map_err(|_| BadPart)?;
        if self.0.len() + data.len() > MAX_BODY {
            return Err(BadPart);
        }
        self.0.extend_from_slice(&data);
        Ok((!part.more).then(|| std::mem::take(&mut self.0).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_cut_is_joined(length in prop_oneof![0usize..10, PART - 2..PART + 2, 2 * PART..3 * PART]) {
            let body: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let parts = cut(&body);
            let mut joining = Joining::default();
            for (i, part) in parts.iter().enumerate() {
                let joined = joining.take(part).unwrap();
                prop_assert_eq!(joined.is_some(), i + 1 == parts.len());
                if let Some(joined) = joined {
                    prop_assert_eq!(&joined[..], &body[..]);
                }
            }
        }
    }

    #[test]
    fn too_much_is_refused() {
        let mut joining = Joining::default();
        let part = Part { data: BASE64.encode(&vec![0; PART]), more: true };
        assert!((0..MAX_BODY / PART + 1).any(|_| joining.take(&part).is_err()));
        assert_eq!(Joining::default().take(&Part { data: "!".into(), more: false }), Err(BadPart));
    }
}
