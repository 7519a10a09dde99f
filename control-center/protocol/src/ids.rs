//! Typed identifiers. An identifier that came from outside is checked once, where it is parsed; after that its type is
//! the proof that it may stand in a URL, a log line or a table.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` is not valid: {rule}")]
pub struct BadId {
    /// What was being read, such as "hall id".
    pub what: &'static str,
    /// The text, cut to 64 characters.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

fn bad(what: &'static str, text: &str, rule: &'static str) -> BadId {
    BadId { what, text: text.chars().take(64).collect(), rule }
}

fn plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with('.')
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(bad($what, text, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// An area: its GB/T 2260 code of six digits, such as `450103`.
    AreaId,
    "area id",
    "six digits of GB/T 2260",
    |t| t.len() == 6 && t.bytes().all(|b| b.is_ascii_digit())
);
text_id!(
    /// A hall: the county code and two characters, such as `450103-01`; the prefix of its case IDs.
    HallId,
    "hall id",
    "a six-digit county code, a hyphen and two digits or capital letters, such as 450103-01",
    |t| {
        let b = t.as_bytes();
        b.len() == 9
            && b[..6].iter().all(u8::is_ascii_digit)
            && b[6] == b'-'
            && b[7..].iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    }
);
text_id!(
    /// A window of a hall, such as `450103-01-W07`.
    WindowId,
    "window id",
    "at most 64 letters, digits, - _ .",
    plain
);
text_id!(
    /// A camera, such as `450103-01-W07-C1` (over a window) or `450103-01-S01` (the hall at large).
    CameraId,
    "camera id",
    "at most 64 letters, digits, - _ .",
    plain
);
text_id!(
    /// The logical place of a device, such as `450103-01-W07-evaluator`; it outlives the hardware bound to it.
    PositionId,
    "position id",
    "at most 64 letters, digits, - _ .",
    plain
);
text_id!(
    /// A machine with a certificate, such as `hall-450103-01`.
    NodeId,
    "node id",
    "at most 64 letters, digits, - _ .",
    plain
);
text_id!(
    /// A viewer's claim on a live stream, as the centre numbers them.
    LeaseId,
    "lease id",
    "at most 64 letters, digits, - _ .",
    plain
);

text_id!(
    /// A delivery of footage from a hall, as the centre numbers them.
    DeliveryId,
    "delivery id",
    "at most 64 letters, digits, - _ .",
    plain
);

impl HallId {
    /// The county the hall stands in: the first six digits.
    pub fn county(&self) -> AreaId {
        AreaId(self.as_str()[..6].into())
    }

    /// The hall's own two characters.
    pub fn suffix(&self) -> &str {
        &self.as_str()[7..]
    }
}

/// A live stream's number in frame messages, allotted by the centre that opened the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hall_knows_its_county() {
        let hall: HallId = "450103-01".parse().unwrap();
        assert_eq!(hall.county().as_str(), "450103");
        assert_eq!(hall.suffix(), "01");
    }

    #[test]
    fn nothing_that_could_be_a_path_is_an_id() {
        for text in ["", "..", "a/b", "a\\b", "a b", ".hidden", "a\0b", "窗口"] {
            assert!(text.parse::<WindowId>().is_err(), "{text:?}");
        }
        assert!("450103-1".parse::<HallId>().is_err());
        assert!("45010x-01".parse::<HallId>().is_err());
    }
}
