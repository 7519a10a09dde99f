//! Phone numbers, kept out of logs.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// Longest number there is (ITU-T E.164 has 15 digits; short codes with a service prefix run longer).
const LONGEST: usize = 20;

/// A phone number: `+8613800138000` (international) or `13800138000` (national), or a sender's name in letters.
///
/// `Debug` and `Display` mask it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PhoneNumber(String);

/// A text that is no phone number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no phone number: write digits, with a + before the country code")]
pub struct NumberError;

impl PhoneNumber {
    /// The number in full: for the modem and for storage, never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A sender that is a name.
    pub(super) fn name(text: String) -> Self {
        Self(text)
    }

    /// Whether it is written with its country code.
    pub fn is_international(&self) -> bool {
        self.0.starts_with('+')
    }

    /// Its digits without `+`; `None` for a name.
    pub fn digits(&self) -> Option<&str> {
        let digits = self.0.strip_prefix('+').unwrap_or(&self.0);
        let sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        sound.then_some(digits)
    }
}

impl FromStr for PhoneNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let this = Self(number);
        match this.digits() {
            Some(digits) if digits.len() <= LONGEST => Ok(this),
            _ => Err(NumberError),
        }
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NumberError;

    fn try_from(text: String) -> Result<Self, NumberError> {
        text.parse()
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        for _ in 0..count.saturating_sub(2) {
            f.write_str("*")?;
        }
        self.0.chars().skip(count.saturating_sub(2)).try_for_each(|c| write!(f, "{c}"))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_masked() {
        let number: PhoneNumber = "+86 138-0013-8000".parse().unwrap();
        assert_eq!(number.reveal(), "+8613800138000");
        assert!(number.is_international());
        assert_eq!(format!("{number} {number:?}"), "************00 PhoneNumber(************00)");
        for wrong in ["", "+", "12a", "++86", "123456789012345678901", "１３８"] {
            assert!(wrong.parse::<PhoneNumber>().is_err(), "{wrong}");
        }
    }
}
