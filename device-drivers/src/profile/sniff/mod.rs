//! From what an unknown device was heard to say to a proposed profile (docs/reference/devices.md I.4).
//!
//! Pure: labelled bursts with their times in, a draft out. A draft is only given when its own engine reads every press of
//! the capture as what the technician said it was. Never guesses a grade: labels come from a person.

mod draft;
mod presses;
mod structure;
mod sums;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Profile, checksum};
use crate::{clock::Mono, reading::Key};

/// Longest burst that is looked at.
pub const MAX_BURST: usize = 256;
/// Most bursts in a capture.
pub const MAX_BURSTS: usize = 500;

/// What a person said they pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// An evaluator's button of this grade, 1..=5.
    Grade(u8),
    /// A keypad's key.
    Key(Key),
    /// Nothing was pressed.
    Background,
}

/// Bytes between two silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// What was pressed.
    pub label: Label,
    /// When its last byte arrived.
    pub at: Mono,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// How the capture was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Name of the profile to be: small letters, digits and hyphens.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Bits per second of the line.
    pub baud: u32,
    /// How often each button was pressed.
    pub presses: usize,
}

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Finding {
    /// Every frame has so many bytes.
    FixedLength {
        /// Bytes.
        bytes: usize,
    },
    /// A field says the length.
    LengthField {
        /// Its offset.
        offset: usize,
        /// Its width.
        width: usize,
        /// Added to it, it gives the whole frame.
        add: i64,
        /// Where it stands again.
        repeat_at: Option<usize>,
    },
    /// Frames of several lengths end by the same bytes.
    EndsByTail,
    /// Frames of several lengths end by a silence.
    EndsBySilence,
    /// A checksum holds in every frame.
    Checksum {
        /// Its kind's name.
        kind: String,
        /// First byte covered.
        from: i64,
        /// End of what is covered.
        to: i64,
        /// Where it stands.
        at: i64,
    },
    /// No checksum was found: a disturbed press can be taken for another.
    NoChecksum,
    /// The byte that says which button.
    KeyByte {
        /// Its offset.
        offset: usize,
        /// The bits of it that count.
        mask: u8,
    },
    /// A byte that changes from press to press and is passed over, such as a counter.
    Changing {
        /// Its offset.
        offset: usize,
    },
    /// A press is said several times; the device may wait for an answer that nobody here knows.
    Repeated {
        /// Most times.
        times: usize,
        /// Repetitions within this are one press.
        window_ms: u64,
    },
    /// There is more than presses: frames at release or of its own accord. They are passed over.
    OtherFrames {
        /// How many.
        count: usize,
    },
    /// With one device nobody can tell which byte is its address: two of them on one line need it written in by hand.
    AddressUnknown,
}

/// A proposed profile.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The file.
    pub toml: String,
    /// The same, loaded: its tests pass.
    pub profile: Profile,
    /// What was found out.
    pub findings: Vec<Finding>,
}

/// Why nothing can be proposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproposable {
    /// Too few buttons.
    #[error("at least two different buttons must be pressed and labelled")]
    TooFewButtons,
    /// A capture that is too large.
    #[error("too much was heard ({0} bursts): is something else talking on the line?")]
    TooMuch(usize),
    /// A grade that is none.
    #[error("{0} is not a grade; grades are 1 to 5")]
    Grade(u8),
    /// A button was not heard as often as it was pressed.
    #[error(
        "{label}: pressed {pressed} times, heard {heard} times; check the speed and the wiring, and press it again"
    )]
    NotHeard {
        /// The button.
        label: String,
        /// Pressed.
        pressed: usize,
        /// Heard.
        heard: usize,
    },
    /// The presses of one button differ in length.
    #[error("{0}: its presses are of different lengths; the bytes of a button must be alike")]
    Unsteady(String),
    /// No byte tells the buttons apart.
    #[error("no single byte tells the buttons apart; this device needs a driver of its own")]
    NoKeyByte,
    /// The draft did not read the capture as labelled.
    #[error("a profile was drafted but does not read the capture as labelled: {0}")]
    NotVerified(String),
}

/// The name of a label, for people and in tests of drafts.
pub fn label_name(label: Label) -> String {
    match label {
        Label::Grade(grade) => format!("grade {grade}"),
        Label::Key(key) => format!("key {}", super::meaning::key_name(key)),
        Label::Background => "nothing pressed".to_owned(),
    }
}

/// Reads a label: `grade 5`, `5`, `key call_next`, `call_next`.
pub fn label_named(text: &str) -> Option<Label> {
    let text = text.trim();
    let rest = text.strip_prefix("grade").or_else(|| text.strip_prefix("key")).unwrap_or(text).trim();
    match rest.parse::<u8>() {
        Ok(grade @ 1..=5) => Some(Label::Grade(grade)),
        Ok(_) => None,
        Err(_) => super::meaning::key_named(rest).map(Label::Key),
    }
}

/// The checksum that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FoundSum {
    kind: checksum::Kind,
    init: u16,
    little: bool,
    from: i64,
    to: i64,
    at: i64,
}

/// Proposes a profile.
///
/// # Errors
/// Why not, in words that say what to do.
pub fn propose(bursts: &[Burst], circumstances: &Circumstances) -> Result<Draft, Unproposable> {
    if bursts.len() > MAX_BURSTS {
        return Err(Unproposable::TooMuch(bursts.len()));
    }
    if let Some(grade) = bursts.iter().find_map(|burst| match burst.label {
        Label::Grade(grade) if !(1..=5).contains(&grade) => Some(grade),
        _ => None,
    }) {
        return Err(Unproposable::Grade(grade));
    }
    let heard = presses::sort(bursts, circumstances.presses.max(1))?;
    let structure = structure::find(&heard)?;
    draft::write(&heard, &structure, circumstances)
}

/// Cuts what was heard, byte by byte with times, into bursts at silences of at least `gap`.
pub fn bursts(pieces: &[(Mono, Vec<u8>)], label: Label, gap: Duration) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    for (at, bytes) in pieces {
        match bursts.last_mut() {
            Some(last) if at.since(last.at) < gap => {
                last.at = *at;
                last.bytes.extend_from_slice(bytes);
            }
            _ => bursts.push(Burst { label, at: *at, bytes: bytes.clone() }),
        }
    }
    bursts.iter_mut().for_each(|burst| burst.bytes.truncate(MAX_BURST));
    bursts
}

#[cfg(test)]
mod tests;
