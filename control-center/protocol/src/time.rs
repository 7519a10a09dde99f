//! UTC as the contracts carry it: whole milliseconds in the code and in SQL, RFC 3339 with three decimals in JSON.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMillis(pub i64);

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write it as 2026-11-22T01:02:03.456Z or as milliseconds since 1970")]
pub struct BadTime(pub String);

/// The years jiff can print; a time outside is refused when read, so that it can always be written.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_214_400_000;

impl UtcMillis {
    /// The time as a [`jiff::Timestamp`]; one outside the years 1 to 9999 is brought to the nearest end.
    pub fn timestamp(self) -> jiff::Timestamp {
        let millis = self.0.clamp(*RANGE.start(), *RANGE.end());
        jiff::Timestamp::from_millisecond(millis).unwrap_or_default()
    }

    /// This time moved by `millis`, held at the ends of the range.
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl From<jiff::Timestamp> for UtcMillis {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl fmt::Debug for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for UtcMillis {
    type Err = BadTime;
    /// Reads RFC 3339 with any offset, or a whole number of milliseconds.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let millis = match text.parse::<i64>() {
            Ok(millis) => millis,
            Err(_) => text
                .parse::<jiff::Timestamp>()
                .map_err(|_| BadTime(text.chars().take(40).collect()))?
                .as_millisecond(),
        };
        if RANGE.contains(&millis) { Ok(Self(millis)) } else { Err(BadTime(text.chars().take(40).collect())) }
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = UtcMillis;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time or milliseconds since 1970")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UtcMillis, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<UtcMillis, E> {
                if RANGE.contains(&millis) {
                    Ok(UtcMillis(millis))
                } else {
                    Err(E::custom("time out of range"))
                }
            }
            fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<UtcMillis, E> {
                i64::try_from(millis).map_err(E::custom).and_then(|millis| self.visit_i64(millis))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_forms_and_writes_three_decimals() {
        let at: UtcMillis = "2026-11-22T09:02:03.456+08:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-11-22T01:02:03.456Z");
        assert_eq!(at.0.to_string().parse::<UtcMillis>().unwrap(), at);
        assert_eq!(UtcMillis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert!("yesterday".parse::<UtcMillis>().is_err());
    }

    proptest! {
        #[test]
        fn survives_json(millis in RANGE) {
            let json = serde_json::to_string(&UtcMillis(millis)).unwrap();
            prop_assert_eq!(serde_json::from_str::<UtcMillis>(&json).unwrap(), UtcMillis(millis));
        }
    }
}
