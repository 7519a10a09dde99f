//! What a sound frame says: fields, message rules, keys and grades.
//!
//! Pure. Rules are tried in order; the first that fits speaks. A frame that no rule fits is unmatched and kept in hex.

use std::collections::BTreeMap;

use super::{layout::point, source::hex, template::Template};
use crate::reading::{Key, ReportValue};

/// A named part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) from: i64,
    /// End, or the number of bytes from `from`.
    pub(super) end: FieldEnd,
    pub(super) little: bool,
    pub(super) mask: Option<Vec<u8>>,
    pub(super) bcd: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldEnd {
    At(i64),
    Width(usize),
    /// To the end of the frame.
    Whole,
}

impl Field {
    /// Its bytes; `None` when the frame is too short.
    pub(super) fn of(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let from = point(self.from, frame.len())?;
        let to = match self.end {
            FieldEnd::At(at) => point(at, frame.len())?,
            FieldEnd::Width(width) => from + width,
            FieldEnd::Whole => frame.len(),
        };
        let mut bytes = frame.get(from..to)?.to_vec();
        if let Some(mask) = &self.mask {
            bytes.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte &= mask);
        }
        Some(bytes)
    }

    fn number(&self, bytes: &[u8]) -> Option<u64> {
        if bytes.is_empty() || bytes.len() > 8 {
            return None;
        }
        let mut bytes = bytes.to_vec();
        if self.little {
            bytes.reverse();
        }
        bytes.iter().try_fold(0u64, |n, byte| {
            if !self.bcd {
                return Some(n << 8 | u64::from(*byte));
            }
            let (high, low) = (byte >> 4, byte & 0x0F);
            (high < 10 && low < 10).then(|| n * 100 + u64::from(high) * 10 + u64::from(low))
        })
    }
}

/// A part of a field: `data`, `data[0]`, `data[-1]`, `data[..-1]`, `data[2..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) field: String,
    range: Option<(i64, Option<i64>)>,
    one: bool,
}

impl Slice {
    /// Reads one.
    ///
    /// # Errors
    /// In plain words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a part of a field; write data, data[0], data[-1] or data[..-1]");
        let Some((field, rest)) = text.split_once('[') else {
            return Ok(Self { field: text.trim().to_owned(), range: None, one: false });
        };
        let inner = rest.strip_suffix(']').ok_or_else(wrong)?;
        let number = |text: &str, empty: Option<i64>| match text.trim() {
            "" => Ok(empty),
            n => n.parse::<i64>().map(Some).map_err(|_| wrong()),
        };
        let field = field.trim().to_owned();
        match inner.split_once("..") {
            Some((from, to)) => {
                let from = number(from, Some(0))?.unwrap_or(0);
                Ok(Self { field, range: Some((from, number(to, None)?)), one: false })
            }
            None => {
                let at = number(inner, None)?.ok_or_else(wrong)?;
                Ok(Self { field, range: Some((at, None)), one: true })
            }
        }
    }

    fn of(&self, fields: &Fields<'_>) -> Option<Vec<u8>> {
        let bytes = fields.bytes(&self.field)?;
        let Some((from, to)) = self.range else { return Some(bytes) };
        let from = point(from, bytes.len())?;
        let to = if self.one {
            from + 1
        } else {
            point(to.unwrap_or(i64::MAX).min(bytes.len() as i64), bytes.len())?
        };
        bytes.get(from..to).map(<[u8]>::to_vec)
    }
}

/// The fields of one frame.
pub(super) struct Fields<'a> {
    pub(super) defined: &'a BTreeMap<String, Field>,
    pub(super) frame: &'a [u8],
}

impl Fields<'_> {
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.defined.get(name)?.of(self.frame)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let field = self.defined.get(name)?;
        field.number(&field.of(self.frame)?)
    }
}

/// What a field must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Its number of bytes.
    Count(usize, usize),
    /// One of these; per byte a value and a mask of the bits that count.
    Bytes(Vec<Vec<(u8, u8)>>),
    Any,
}

impl Pattern {
    /// Reads `11`, `1?`, `01|02`, `*`.
    ///
    /// # Errors
    /// In plain words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let wrong = || {
            format!(
                "{text:?} is not a pattern; write bytes such as 11, ? for any digit, | between choices, * for any"
            )
        };
        let choice = |choice: &str| -> Option<Vec<(u8, u8)>> {
            let digits: Vec<char> = choice.chars().filter(|c| !c.is_whitespace()).collect();
            if digits.is_empty() || digits.len() % 2 == 1 {
                return None;
            }
            let nibble =
                |c: char| if c == '?' { Some((0, 0)) } else { c.to_digit(16).map(|d| (d as u8, 0x0F)) };
            digits
                .chunks(2)
                .map(|pair| {
                    let ((high, high_mask), (low, low_mask)) = (nibble(pair[0])?, nibble(pair[1])?);
                    Some((high << 4 | low, high_mask << 4 | low_mask))
                })
                .collect()
        };
        text.split('|').map(choice).collect::<Option<Vec<_>>>().map(Self::Bytes).ok_or_else(wrong)
    }

    fn fits(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Count(least, most) => (*least..=*most).contains(&bytes.len()),
            Self::Bytes(choices) => choices.iter().any(|choice| {
                choice.len() == bytes.len()
                    && choice.iter().zip(bytes).all(|((value, mask), b)| b & mask == *value)
            }),
        }
    }
}

/// What a rule takes out of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Evaluated { raw: Slice },
    Key { key: Slice, digits: Option<Slice> },
    Ignore,
    Report { name: String, values: BTreeMap<String, Slice> },
}

/// How a message is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    None,
    Echo,
    Template(Template),
}

/// One message rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Field (empty: the whole frame) and what it must look like.
    pub(super) when: Vec<(String, Pattern)>,
    pub(super) says: Says,
    pub(super) ack: Ack,
    pub(super) acks: BTreeMap<String, Ack>,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    /// A press on an evaluator.
    Evaluated {
        /// The byte as it came.
        raw: u8,
    },
    /// A key of a keypad.
    Key {
        /// Digits typed before it.
        digits: String,
        /// The key.
        key: Key,
    },
    /// Anything else that the profile names.
    Report {
        /// The event's name in the profile.
        name: String,
        /// Its values.
        values: BTreeMap<String, ReportValue>,
    },
    /// Known, and of no interest.
    Ignored,
    /// No rule fits.
    Unmatched,
}

/// A frame and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The device's address on the line; 0 where the protocol has none.
    pub address: u8,
    /// What it says.
    pub saying: Saying,
    /// The rule that fits, counted from 0.
    pub rule: Option<usize>,
}

pub(super) fn understand(
    rules: &[Rule],
    defined: &BTreeMap<String, Field>,
    keys: &BTreeMap<u8, Key>,
    frame: &[u8],
) -> Meaning {
    let fields = Fields { defined, frame };
    let address = fields.number("address").and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    let fits = |rule: &Rule| {
        rule.when.iter().all(|(name, pattern)| match name.as_str() {
            "" => pattern.fits(frame),
            name => fields.bytes(name).is_some_and(|bytes| pattern.fits(&bytes)),
        })
    };
    for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| fits(rule)) {
        // A rule whose parts are not there does not fit after all.
        if let Some(saying) = say(rule, &fields, keys) {
            return Meaning { address, saying, rule: Some(number) };
        }
    }
    Meaning { address, saying: Saying::Unmatched, rule: None }
}

fn say(rule: &Rule, fields: &Fields<'_>, keys: &BTreeMap<u8, Key>) -> Option<Saying> {
    Some(match &rule.says {
        Says::Ignore => Saying::Ignored,
        Says::Evaluated { raw } => {
            let [raw] = raw.of(fields)?[..] else { return None };
            Saying::Evaluated { raw }
        }
        Says::Key { key, digits } => {
            let [key] = key.of(fields)?[..] else { return None };
            let digit = |byte: u8| match byte {
                0..=9 => Some(char::from(b'0' + byte)),
                b'0'..=b'9' => Some(char::from(byte)),
                _ => None,
            };
            let digits = match digits {
                Some(digits) => digits.of(fields)?.into_iter().map(digit).collect::<Option<String>>()?,
                None => String::new(),
            };
            Saying::Key { digits, key: keys.get(&key).copied().unwrap_or(Key::Unknown(key)) }
        }
        Says::Report { name, values } => {
            let value = |slice: &Slice| {
                let bytes = slice.of(fields)?;
                let field = fields.defined.get(&slice.field)?;
                Some(match field.number(&bytes) {
                    Some(number) => ReportValue::Number(number),
                    None => ReportValue::Bytes(bytes.into()),
                })
            };
            let values = values
                .iter()
                .map(|(name, slice)| Some((name.clone(), value(slice)?)))
                .collect::<Option<_>>()?;
            Saying::Report { name: name.clone(), values }
        }
    })
}

/// A byte written as a table's name: `"0C"` or `"0x0C"`.
pub(super) fn byte_name(text: &str) -> Option<u8> {
    match hex(text.trim_start_matches("0x")).as_deref() {
        Some([byte]) => Some(*byte),
        _ => None,
    }
}

/// A key of the keypad by its name in a profile.
pub(super) fn key_named(name: &str) -> Option<Key> {
    KEY_NAMES.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
}

/// The name of a key in a profile.
pub(super) fn key_name(key: Key) -> String {
    match KEY_NAMES.iter().find(|(_, known)| *known == key) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("unknown {:02X}", key.byte()),
    }
}

/// The names of keys in profiles.
pub(super) const KEY_NAMES: [(&str, Key); 9] = [
    ("start", Key::Start),
    ("evaluate", Key::Evaluate),
    ("call_next", Key::Call),
    ("recall", Key::Recall),
    ("cancel", Key::Cancel),
    ("function", Key::Function),
    ("metre", Key::Metre),
    ("pause", Key::Pause),
    ("transfer", Key::Transfer),
];
