//! A profile as it is written: the TOML of the frame-description language, read strictly.
//!
//! Owns the names of the language and the words in which a misspelt one is refused (its line, the nearest known name).
//! What the parts mean is decided in [`super::compile`].

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use toml::Spanned;

use super::checksum::Kind;

/// What is wrong with a profile, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    /// File or name.
    pub origin: String,
    /// Line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.origin, self.what),
            None => write!(f, "{}: {}", self.origin, self.what),
        }
    }
}

impl std::error::Error for ProfileError {}

/// The line of a byte offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1
}

/// Bytes written as `FF 68 16`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hex(pub(super) Vec<u8>);

/// Reads `FF 68 16`, with or without spaces.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    data_encoding::HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

/// Writes `FF 68 16`.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(" ")
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex(&text).map(Hex).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not bytes in hexadecimal, such as \"FF 68\""))
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Endian {
    #[default]
    Big,
    Little,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) profile: Spanned<String>,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) notes: String,
    pub(super) transport: TransportSource,
    pub(super) frame: Option<Spanned<FrameSource>>,
    pub(super) out: Option<Spanned<FrameSource>>,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Spanned<FieldSource>>,
    pub(super) grade_map: Option<Spanned<BTreeMap<String, GradeSource>>>,
    #[serde(default)]
    pub(super) grade_maps: BTreeMap<String, Spanned<BTreeMap<String, GradeSource>>>,
    #[serde(default)]
    pub(super) keys: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) limits: LimitsSource,
    #[serde(default)]
    pub(super) message: Vec<Spanned<MessageSource>>,
    #[serde(default)]
    pub(super) command: Vec<Spanned<CommandSource>>,
    #[serde(default)]
    pub(super) poll: Vec<Spanned<PollSource>>,
    #[serde(default)]
    pub(super) test: Vec<Spanned<TestSource>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TransportKind {
    Serial,
    TcpClient,
    TcpServer,
    HidReport,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransportSource {
    pub(super) kind: TransportKind,
    pub(super) baud: Option<u32>,
    pub(super) bits: Option<u8>,
    pub(super) parity: Option<String>,
    pub(super) stop: Option<u8>,
    pub(super) rs485_turnaround_ms: Option<u64>,
    pub(super) gap_ms: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrameSource {
    #[serde(default)]
    pub(super) header: Hex,
    #[serde(default)]
    pub(super) constants: BTreeMap<String, Hex>,
    pub(super) length: Option<LengthSource>,
    pub(super) fixed: Option<usize>,
    #[serde(default)]
    pub(super) by_gap: bool,
    #[serde(default)]
    pub(super) tail: Hex,
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
    pub(super) checksum: Option<ChecksumSource>,
    pub(super) escape: Option<EscapeSource>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LengthSource {
    pub(super) offset: usize,
    #[serde(default = "one")]
    pub(super) width: usize,
    #[serde(default)]
    pub(super) endian: Endian,
    pub(super) add: i64,
    pub(super) repeat_at: Option<usize>,
}

fn one() -> usize {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChecksumSource {
    pub(super) kind: Kind,
    pub(super) from: i64,
    pub(super) to: Option<i64>,
    pub(super) at: i64,
    pub(super) endian: Option<Endian>,
    pub(super) init: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EscapeSource {
    pub(super) marker: Hex,
    pub(super) map: BTreeMap<String, Hex>,
    #[serde(default)]
    pub(super) checksum: EscapedChecksum,
}

/// Whether the checksum is over the bytes before or after escaping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EscapedChecksum {
    #[default]
    Before,
    After,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSource {
    pub(super) offset: i64,
    pub(super) end: Option<i64>,
    pub(super) width: Option<usize>,
    #[serde(default)]
    pub(super) endian: Endian,
    pub(super) mask: Option<Hex>,
    #[serde(default)]
    pub(super) bcd: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum GradeSource {
    Grade(i64),
    Word(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSource {
    pub(super) debounce_ms: Option<u64>,
    pub(super) duplicate_window_ms: Option<u64>,
    pub(super) max_frames_per_s: Option<u32>,
    pub(super) ack_max_delay_ms: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PatternSource {
    Count(usize),
    Range([usize; 2]),
    Bytes(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageSource {
    #[serde(default)]
    pub(super) when: BTreeMap<String, PatternSource>,
    pub(super) event: String,
    pub(super) raw: Option<String>,
    pub(super) key: Option<String>,
    pub(super) digits: Option<String>,
    #[serde(default)]
    pub(super) values: BTreeMap<String, String>,
    pub(super) ack: Option<String>,
    #[serde(default)]
    pub(super) acks: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandSource {
    pub(super) name: String,
    #[serde(default)]
    pub(super) title: String,
    pub(super) purpose: Option<super::Purpose>,
    pub(super) hex: String,
    #[serde(default)]
    pub(super) params: BTreeMap<String, ParamSource>,
    pub(super) busy: Option<BusySource>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParamSource {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) max_bytes: Option<usize>,
    pub(super) default: Option<super::Arg>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BusySource {
    pub(super) until: Option<String>,
    pub(super) ms: u64,
    #[serde(default)]
    pub(super) per_byte_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollSource {
    pub(super) command: String,
    #[serde(default)]
    pub(super) args: BTreeMap<String, super::Arg>,
    pub(super) every_ms: u64,
    pub(super) silent_after_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestSource {
    #[serde(default)]
    pub(super) title: String,
    pub(super) hex: Hex,
    pub(super) expect: Option<BTreeMap<String, toml::Value>>,
    pub(super) ack: Option<String>,
    pub(super) ack_form: Option<String>,
    pub(super) grade_map: Option<String>,
    pub(super) command: Option<String>,
    #[serde(default)]
    pub(super) args: BTreeMap<String, super::Arg>,
}

/// Reads a profile's text.
///
/// # Errors
/// What TOML or the language refuses, with the line.
pub(super) fn read(origin: &str, text: &str) -> Result<Source, ProfileError> {
    toml::from_str(text).map_err(|error| ProfileError {
        origin: origin.to_owned(),
        line: error.span().map(|span| line_of(text, span.start)),
        what: plain(error.message()),
    })
}

/// `unknown field `x`, expected one of `a`, `b`` in words that help.
fn plain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (true, Some((unknown, known))) = (message.starts_with("unknown "), quoted.split_first()) else {
        return message.to_owned();
    };
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(3) / 2);
    match nearest {
        Some((_, nearest)) => {
            format!("{unknown} is not a name of the profile language; did you mean {nearest}?")
        }
        None => {
            format!("{unknown} is not a name of the profile language; here there are: {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_refused_with_its_line_and_the_nearest() {
        let text = "profile = \"x\"\n[transport]\nkind = \"serial\"\n[frame]\nfixed = 3\nchecksum = { kind = \"sum8\", form = 1, at = -1 }\n";
        let error = read("x.toml", text).unwrap_err();
        assert_eq!(error.line, Some(6), "{error}");
        assert_eq!(error.what, "form is not a name of the profile language; did you mean from?");
        let error = read("x.toml", &text.replace("sum8", "sum9").replace("form", "from")).unwrap_err();
        assert_eq!(error.what, "sum9 is not a name of the profile language; did you mean sum8?");
        assert_eq!(error.line, Some(6));
        let error =
            read("x.toml", "profile = \"x\"\n[transport]\nkind = \"serial\"\n[frame]\nheader = \"F\"\n");
        assert!(error.unwrap_err().to_string().starts_with("x.toml:5: \"F\" is not bytes"));
    }
}
