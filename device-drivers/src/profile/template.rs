//! Templates of outgoing frames: `FF 68 {len} {len} 68 {address} 02 0A 0A 0A {n:digits3} {checksum} 16`.
//!
//! Pure. A template has literals, values in a few fixed formats, the length and checksums; nothing can loop or compute
//! beyond that (docs/reference/profiles.md).

use std::collections::BTreeMap;

use encoding_rs::{Encoding, GB18030, GBK};
use serde::{Deserialize, Serialize};

use super::{checksum::Kind, layout::Layout, source::hex};

/// A value given to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Arg {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

impl From<u64> for Arg {
    fn from(n: u64) -> Self {
        Self::Number(n)
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Values by name.
pub type Args = BTreeMap<String, Arg>;

/// Why a command cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No such command.
    #[error("the profile {profile} has no command {command}; it has: {known}")]
    NoCommand {
        /// The profile.
        profile: String,
        /// What was asked for.
        command: String,
        /// What there is.
        known: String,
    },
    /// A value is missing.
    #[error("the command needs a value for {0}")]
    Missing(String),
    /// A value does not fit.
    #[error("{name}: {why}")]
    Value {
        /// The value's name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The frame cannot be built.
    #[error("{0}")]
    Frame(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    /// One byte (a number), or the bytes as they are (a field of the frame that is answered).
    Plain,
    U16 {
        little: bool,
    },
    U32 {
        little: bool,
    },
    /// The last n decimal digits, one byte each, 00 to 09.
    Digits(usize),
    /// The last n decimal digits in ASCII.
    Ascii(usize),
    /// The last 2n decimal digits, two in a byte.
    Bcd(usize),
    Gbk,
    Gb18030,
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(u8),
    Length,
    Checksum,
    /// A checksum of its own over the bytes written so far, from an offset.
    Inline {
        kind: Kind,
        from: usize,
    },
    Value {
        name: String,
        format: Format,
        add: u8,
        each: Option<String>,
    },
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

/// How a template uses a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A number up to this.
    Number(u64),
    Text,
}

fn format_of(text: &str) -> Result<Format, String> {
    let counted = |prefix: &str| text.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
    let within =
        |n: usize| if (1..=18).contains(&n) { Ok(n) } else { Err(format!("{text}: 1 to 18 digits")) };
    Ok(match text {
        "u8" => Format::Plain,
        "u16be" => Format::U16 { little: false },
        "u16le" => Format::U16 { little: true },
        "u32be" => Format::U32 { little: false },
        "u32le" => Format::U32 { little: true },
        "gbk" => Format::Gbk,
        "gb18030" => Format::Gb18030,
        "ascii" => Format::Text,
        _ => {
            if let Some(n) = counted("digits") {
                Format::Digits(within(n)?)
            } else if let Some(n) = counted("ascii") {
                Format::Ascii(within(n)?)
            } else if let Some(n) = counted("bcd") {
                Format::Bcd(within(n.saturating_mul(2))? / 2)
            } else {
                return Err(format!(
                    "{text} is not a format; there are u8, u16be, u16le, u32be, u32le, digitsN, asciiN, bcdN, ascii, gbk, gb18030"
                ));
            }
        }
    })
}

fn part_of(inner: &str) -> Result<Part, String> {
    match inner {
        "len" => return Ok(Part::Length),
        "checksum" => return Ok(Part::Checksum),
        "" => return Err("{} is empty".to_owned()),
        _ => {}
    }
    let (head, each) = match inner.split_once(",each=") {
        Some((head, each)) => (head, Some(each.trim().to_owned())),
        None => (inner, None),
    };
    let (head, add) = match head.split_once('+') {
        Some((head, add)) => match hex(add).as_deref() {
            Some([add]) => (head, *add),
            _ => return Err(format!("+{add}: one byte in hexadecimal is expected")),
        },
        None => (head, 0),
    };
    let (name, format) = match head.split_once(':') {
        Some((name, format)) => (name, format),
        None => (head, "u8"),
    };
    if let Some(kind) = Kind::named(name) {
        let from =
            format.parse().map_err(|_| format!("{{{inner}}}: say from which byte, such as {{{name}:4}}"))?;
        return Ok(Part::Inline { kind, from });
    }
    let format = format_of(format)?;
    if each.is_some() && !matches!(format, Format::Gbk | Format::Gb18030 | Format::Text) {
        return Err(format!("{{{inner}}}: each= follows every character of a text, and this is none"));
    }
    Ok(Part::Value { name: name.to_owned(), format, add, each })
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// In plain words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let literal = &rest[..open];
            let close = rest[open..].find('}').ok_or("a { without its }")? + open;
            let bytes =
                hex(literal).ok_or_else(|| format!("{:?} is not bytes in hexadecimal", literal.trim()))?;
            parts.extend(bytes.into_iter().map(Part::Literal));
            parts.push(part_of(rest[open + 1..close].trim())?);
            rest = &rest[close + 1..];
        }
        let bytes = hex(rest).ok_or_else(|| format!("{:?} is not bytes in hexadecimal", rest.trim()))?;
        parts.extend(bytes.into_iter().map(Part::Literal));
        if parts.is_empty() {
            return Err("a template without bytes".to_owned());
        }
        Ok(Self { parts })
    }

    /// The names it takes values of, and how.
    pub(super) fn names(&self) -> BTreeMap<String, Use> {
        let mut names = BTreeMap::new();
        for part in &self.parts {
            let Part::Value { name, format, each, .. } = part else { continue };
            let used = match format {
                Format::Plain => Use::Number(0xFF),
                Format::U16 { .. } => Use::Number(0xFFFF),
                Format::U32 { .. } => Use::Number(0xFFFF_FFFF),
                Format::Digits(_) | Format::Ascii(_) | Format::Bcd(_) => Use::Number(u64::MAX),
                Format::Gbk | Format::Gb18030 | Format::Text => Use::Text,
            };
            names.insert(name.clone(), used);
            if let Some(each) = each {
                names.insert(each.clone(), Use::Number(0xFF));
            }
        }
        names
    }

    pub(super) fn uses_length(&self) -> bool {
        self.parts.contains(&Part::Length)
    }

    pub(super) fn uses_checksum(&self) -> bool {
        self.parts.contains(&Part::Checksum)
    }

    /// Writes the frame. `value` gives a name's value: the raw bytes of a field, or an argument.
    ///
    /// # Errors
    /// A value that is missing or does not fit.
    pub(super) fn write(
        &self,
        layout: &Layout,
        value: &dyn Fn(&str) -> Option<Given>,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        let mut lengths = Vec::new();
        let length_width = layout.length_bytes(layout.max).map_or(0, |bytes| bytes.len());
        for part in &self.parts {
            match part {
                Part::Literal(byte) => out.push(*byte),
                Part::Length => {
                    lengths.push(out.len());
                    out.resize(out.len() + length_width, 0);
                }
                Part::Checksum => {
                    let width = layout.checksum.as_ref().map_or(0, super::layout::Sum::width);
                    out.resize(out.len() + width, 0);
                }
                Part::Inline { kind, from } => {
                    let sum = kind.over(out.get(*from..).unwrap_or_default(), kind.usual_init());
                    let [high, low] = sum.to_be_bytes();
                    match (kind.width(), kind.usually_little()) {
                        (1, _) => out.push(low),
                        (_, true) => out.extend([low, high]),
                        (_, false) => out.extend([high, low]),
                    }
                }
                Part::Value { name, format, add, each } => {
                    let given = value(name).ok_or_else(|| EncodeError::Missing(name.clone()))?;
                    let each = match each {
                        Some(each) => match value(each) {
                            Some(Given::Arg(Arg::Number(n))) => {
                                Some(u8::try_from(n).map_err(|_| EncodeError::Value {
                                    name: each.clone(),
                                    why: "0 to 255 is expected".to_owned(),
                                })?)
                            }
                            _ => return Err(EncodeError::Missing(each.clone())),
                        },
                        None => None,
                    };
                    let from = out.len();
                    format
                        .write(&given, each, &mut out)
                        .map_err(|why| EncodeError::Value { name: name.clone(), why })?;
                    if *add != 0 {
                        out[from..].iter_mut().for_each(|byte| *byte = byte.wrapping_add(*add));
                    }
                }
            }
        }
        if !lengths.is_empty() {
            let bytes = layout.length_bytes(out.len()).ok_or_else(|| {
                EncodeError::Frame(format!("{} bytes are too many for the length field", out.len()))
            })?;
            for at in lengths {
                out[at..at + bytes.len()].copy_from_slice(&bytes);
            }
        }
        if !self.uses_checksum() {
            // A short form or a layout without a checksum: nothing of the layout's is written over it.
            let bare = Layout { checksum: None, ..layout.clone() };
            return bare.seal(out).map_err(EncodeError::Frame);
        }
        layout.seal(out).map_err(EncodeError::Frame)
    }
}

/// A value for a template.
pub(super) enum Given {
    /// Of a command.
    Arg(Arg),
    /// Of the frame that is answered.
    Field(Vec<u8>),
}

fn encode(
    text: &str,
    encoding: &'static Encoding,
    each: Option<u8>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    for character in text.chars() {
        let mut buffer = [0u8; 4];
        let (bytes, _, unmappable) = encoding.encode(character.encode_utf8(&mut buffer));
        if unmappable {
            return Err(format!("the device's character set has no {character:?}; leave it out"));
        }
        out.extend_from_slice(&bytes);
        out.extend(each);
    }
    Ok(())
}

impl Format {
    fn write(&self, given: &Given, each: Option<u8>, out: &mut Vec<u8>) -> Result<(), String> {
        let arg = match (self, given) {
            (Self::Plain, Given::Field(bytes)) => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            (_, Given::Field(_)) => return Err("a field of the frame is copied as it is".to_owned()),
            (_, Given::Arg(arg)) => arg,
        };
        if let Self::Gbk | Self::Gb18030 | Self::Text = self {
            let text = match arg {
                Arg::Text(text) => text.clone(),
                Arg::Number(n) => n.to_string(),
            };
            if text.chars().any(char::is_control) {
                return Err("a text cannot hold control characters".to_owned());
            }
            return match self {
                Self::Gbk => encode(&text, GBK, each, out),
                Self::Gb18030 => encode(&text, GB18030, each, out),
                _ if text.is_ascii() => encode(&text, GBK, each, out),
                _ => Err("only ASCII characters can be sent".to_owned()),
            };
        }
        let Arg::Number(n) = arg else { return Err("a number is expected".to_owned()) };
        let too_big = |most: u64| format!("{n} is too large; at most {most}");
        let digit = |place: usize| (n / 10u64.pow(u32::try_from(place).unwrap_or(0)) % 10) as u8;
        match self {
            Self::Plain => out.push(u8::try_from(*n).map_err(|_| too_big(0xFF))?),
            Self::U16 { little } => {
                let n = u16::try_from(*n).map_err(|_| too_big(0xFFFF))?;
                out.extend(if *little { n.to_le_bytes() } else { n.to_be_bytes() });
            }
            Self::U32 { little } => {
                let n = u32::try_from(*n).map_err(|_| too_big(0xFFFF_FFFF))?;
                out.extend(if *little { n.to_le_bytes() } else { n.to_be_bytes() });
            }
            Self::Digits(count) => out.extend((0..*count).rev().map(digit)),
            Self::Ascii(count) => out.extend((0..*count).rev().map(|place| b'0' + digit(place))),
            Self::Bcd(count) => {
                out.extend((0..*count).rev().map(|pair| digit(pair * 2 + 1) << 4 | digit(pair * 2)));
            }
            Self::Gbk | Self::Gb18030 | Self::Text => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_plain_words() {
        for (text, why) in [
            ("FF {n", "a { without its }"),
            ("FF 6 {n}", "\"FF 6\" is not bytes in hexadecimal"),
            ("{n:u9}", "u9 is not a format"),
            ("{sum8}", "say from which byte"),
            ("", "a template without bytes"),
            ("{n:digits3,each=c}", "this is none"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn formats() {
        let write = |format: &str, arg: Arg| {
            let mut out = Vec::new();
            format_of(format).unwrap().write(&Given::Arg(arg), None, &mut out).map(|()| out)
        };
        assert_eq!(write("digits3", Arg::Number(7123)).unwrap(), [1, 2, 3]);
        assert_eq!(write("ascii3", Arg::Number(17)).unwrap(), *b"017");
        assert_eq!(write("bcd2", Arg::Number(1234)).unwrap(), [0x12, 0x34]);
        assert_eq!(write("u16le", Arg::Number(0x0102)).unwrap(), [2, 1]);
        assert_eq!(write("gbk", "请A".into()).unwrap(), [0xC7, 0xEB, 0x41]);
        assert!(write("u8", Arg::Number(256)).unwrap_err().contains("too large"));
        assert!(write("gbk", "😀".into()).unwrap_err().contains("has no"));
        assert!(write("gbk", "a\u{1b}b".into()).unwrap_err().contains("control"));
    }
}
