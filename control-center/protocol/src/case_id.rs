//! The case ID, `DDDDDD-HH-YYYYMMDD-NNNNN-C`: the key by which everything that happens in one service of one person is
//! joined. It is allocated at the edge with no coordination; this module gives its form and check character, never its
//! serial number.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::ids::HallId;

/// The characters of ISO 7064 MOD 37,36, in the order of their values.
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The largest serial of one hall and day.
pub const MAX_SERIAL: u32 = 99_999;

/// From this serial on a case is a technician's test: no person stands behind it, and it counts nowhere.
pub const TEST_SERIALS_FROM: u32 = 99_000;

/// One service of one person, from ticket to close.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId {
    county: [u8; 6],
    hall: [u8; 2],
    date: Date,
    serial: u32,
}

/// Why a text is not a case ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCaseId {
    /// The text does not have the form of a case ID.
    #[error("`{0}` is not a case ID: its form is DDDDDD-HH-YYYYMMDD-NNNNN-C")]
    Form(String),
    /// The form is right and the check character is not: a mistyped or altered ID.
    #[error(
        "case ID `{text}` has check character {found}, which should be {right}: a character of it is wrong"
    )]
    Check {
        /// The text as given.
        text: String,
        /// The check character it has.
        found: char,
        /// The one it should have.
        right: char,
    },
    /// The serial is beyond five digits.
    #[error("serial {0} is out of range: a hall has at most {MAX_SERIAL} cases a day")]
    Serial(u32),
}

impl CaseId {
    /// The ID of case number `serial` (1 to 99999) of `hall` on the local `date`.
    pub fn new(hall: &HallId, date: Date, serial: u32) -> Result<Self, BadCaseId> {
        if serial == 0 || serial > MAX_SERIAL {
            return Err(BadCaseId::Serial(serial));
        }
        let text = hall.as_str().as_bytes();
        let form = || BadCaseId::Form(hall.to_string());
        if !(1000..=9999).contains(&date.year()) {
            return Err(BadCaseId::Form(date.to_string()));
        }
        Ok(Self {
            county: text.get(..6).and_then(|c| c.try_into().ok()).ok_or_else(form)?,
            hall: text.get(7..).and_then(|h| h.try_into().ok()).ok_or_else(form)?,
            date,
            serial,
        })
    }

    /// The local day the case was opened on.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The case's number within its hall and day.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether it is a technician's test of a device and no service of anybody: on record, and in no figure.
    pub fn is_test(&self) -> bool {
        self.serial >= TEST_SERIALS_FROM
    }

    /// The hall that allocated the ID, as text.
    pub fn hall(&self) -> String {
        self.to_string()[..9].to_owned()
    }

    fn body(&self) -> String {
        let text = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
        format!(
            "{}-{}-{:04}{:02}{:02}-{:05}",
            text(&self.county),
            text(&self.hall),
            self.date.year(),
            self.date.month(),
            self.date.day(),
            self.serial
        )
    }
}

/// The check character of ISO 7064 MOD 37,36 over `text`, hyphens passed over. `None` if a character is outside 0–9 A–Z.
pub fn check_character(text: &str) -> Option<char> {
    let mut product = 36u32;
    for byte in text.bytes().filter(|b| *b != b'-') {
        let value = ALPHABET.iter().position(|c| *c == byte)? as u32;
        let sum = match (product + value) % 36 {
            0 => 36,
            sum => sum,
        };
        product = sum * 2 % 37;
    }
    let check = (37 - product) % 36;
    Some(char::from(ALPHABET[check as usize]))
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body();
        // Every character of the body is a digit or a capital letter, so there always is a check character.
        let check = check_character(&body).unwrap_or('?');
        write!(f, "{body}-{check}")
    }
}

impl fmt::Debug for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CaseId {
    type Err = BadCaseId;
    fn from_str(text: &str) -> Result<Self, BadCaseId> {
        let form = || BadCaseId::Form(text.chars().take(40).collect());
        if text.len() != 26 || !text.is_ascii() {
            return Err(form());
        }
        let parts: Vec<&str> = text.split('-').collect();
        let [county, hall, date, serial, check] = parts[..] else { return Err(form()) };
        let lengths = [county.len(), hall.len(), date.len(), serial.len(), check.len()];
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if lengths != [6, 2, 8, 5, 1] || !digits(date) || !digits(serial) {
            return Err(form());
        }
        let hall: HallId = format!("{county}-{hall}").parse().map_err(|_| form())?;
        let number = |t: &str| t.parse::<i16>().map_err(|_| form());
        let date = Date::new(
            number(&date[..4])?,
            number(&date[4..6])?.try_into().map_err(|_| form())?,
            number(&date[6..])?.try_into().map_err(|_| form())?,
        )
        .map_err(|_| form())?;
        let id = Self::new(&hall, date, serial.parse().map_err(|_| form())?).map_err(|_| form())?;
        let found = check.chars().next().ok_or_else(form)?;
        match check_character(&id.body()) {
            Some(right) if right == found => Ok(id),
            Some(right) => Err(BadCaseId::Check { text: text.to_owned(), found, right }),
            None => Err(form()),
        }
    }
}

impl TryFrom<String> for CaseId {
    type Error = BadCaseId;
    fn try_from(text: String) -> Result<Self, BadCaseId> {
        text.parse()
    }
}

impl From<CaseId> for String {
    fn from(id: CaseId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hall() -> HallId {
        "450103-01".parse().unwrap()
    }

    /// ISO 7064 gives `A12425GABC1234002` with check character `M` (as does the LEI-like example of GB/T 17710).
    #[test]
    fn check_character_of_the_standard() {
        assert_eq!(check_character("A12425GABC1234002"), Some('M'));
        assert_eq!(check_character("lower"), None);
    }

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let id = CaseId::new(&hall(), jiff::civil::date(2026, 11, 22), 42).unwrap();
        let text = id.to_string();
        assert!(text.starts_with("450103-01-20261122-00042-"));
        assert_eq!(text.parse::<CaseId>().unwrap(), id);
        assert_eq!(id.hall(), "450103-01");
        assert!(matches!("450103-01-20261322-00042-0".parse::<CaseId>(), Err(BadCaseId::Form(_))));
        assert_eq!(CaseId::new(&hall(), id.date(), 100_000), Err(BadCaseId::Serial(100_000)));
        assert_eq!(CaseId::new(&hall(), id.date(), 0), Err(BadCaseId::Serial(0)));
    }

    proptest! {
        #[test]
        fn one_wrong_or_two_swapped_characters_are_found(serial in 1u32..=MAX_SERIAL, day in 1i8..=28, at in 0usize..26, with in 0usize..36) {
            let id = CaseId::new(&hall(), jiff::civil::date(2026, 11, day), serial).unwrap();
            let text = id.to_string();
            prop_assert_eq!(text.parse::<CaseId>().unwrap(), id);
            let mut other = text.clone().into_bytes();
            if other[at] != b'-' {
                other[at] = ALPHABET[with];
                let other = String::from_utf8(other).unwrap();
                prop_assert_eq!(other.parse::<CaseId>().is_ok(), other == text);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<CaseId>();
        }
    }
}
