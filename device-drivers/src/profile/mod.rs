//! Vendors' serial protocols, described: a small frame-description language in TOML, and the engine that decodes,
//! acknowledges and encodes by it (docs/reference/profiles.md).
//!
//! Owns the language, the shipped profiles, the one driver of lines that speak by a profile, and the sniffer that
//! proposes a profile for an unknown device. A profile's embedded tests run when it is loaded; one that fails them is
//! refused. The engine knows neither windows nor cases, and a profile cannot loop, compute or run anything.

mod attached;
pub mod checksum;
mod compile;
pub mod decoder;
pub mod driver;
pub mod layout;
mod meaning;
mod order;
mod selftest;
pub mod shipped;
pub mod sniff;
mod source;
mod template;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use attached::{Attached, Kind, LineConfig, LineConfigError};
pub use decoder::{Decoded, Decoder};
pub use driver::ProfileDriver;
pub use layout::Reject;
pub use meaning::{Meaning, Saying};
pub use order::{Order, What};
pub use selftest::{TestOutcome, check};
pub use source::ProfileError;
pub use template::{Arg, Args, EncodeError};

use layout::Layout;
use meaning::{Ack, Field, Fields, Rule, Says};
use template::{Given, Template};

use crate::reading::Key;

/// Longest profile file that is read.
pub const MAX_FILE: usize = 256 * 1024;

/// What a command is for, so that who runs a line finds it without knowing the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The device beeps or blinks: which one is it?
    Identify,
    /// Invite a person to rate. No values but the address.
    Invite,
    /// Show a ticket's number: `n`, its digits as a number.
    ShowTicket,
    /// Show how many wait: `n`.
    ShowWaiting,
    /// Show a text: `text`.
    ShowText,
    /// Speak a text: `text`.
    Speak,
    /// Ask for the device's state.
    Query,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportKind {
    /// A serial line, 8N1.
    Serial,
    /// A TCP connection that we dial.
    TcpClient,
    /// A TCP connection that the device dials.
    TcpServer,
    /// Boot reports of a USB keyboard, 8 bytes each.
    HidReport,
}

/// How the line is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// What carries the bytes.
    pub kind: TransportKind,
    /// Bits per second of a serial line.
    pub baud: u32,
    /// A silence this long ends a half frame.
    pub gap: Duration,
    /// Silence after the last byte heard before the host may write.
    pub turnaround: Duration,
}

/// Raw byte → national grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradeMap {
    /// 1..=5 (5 = 非常满意); `None` = the key means no grade.
    pub grades: BTreeMap<u8, Option<u8>>,
}

impl GradeMap {
    /// The bytes that mean a grade.
    pub fn given(&self) -> BTreeMap<u8, u8> {
        self.grades.iter().filter_map(|(raw, grade)| Some((*raw, (*grade)?))).collect()
    }
}

/// What one value of a command may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// A text; else a number.
    pub text: bool,
    /// Smallest number.
    pub min: u64,
    /// Largest number.
    pub max: u64,
    /// Longest text, in bytes of UTF-8.
    pub max_bytes: usize,
    /// Taken when none is given.
    pub default: Option<Arg>,
}

/// How long a device is busy with a command; until then no other is sent on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The event that ends it (`*` = any frame).
    pub until: Option<String>,
    /// It is over after this in any case…
    pub wait: Duration,
    /// …and this for each byte of the frame.
    pub per_byte: Duration,
}

/// Something that the host can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: String,
    /// What it is for.
    pub purpose: Option<Purpose>,
    /// Its values.
    pub params: BTreeMap<String, Param>,
    /// How long the device is busy with it.
    pub busy: Option<Busy>,
    template: Template,
}

/// A question that is asked again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The command.
    pub command: String,
    /// Its values; `address` is the device's unless given.
    pub args: Args,
    /// How often.
    pub every: Duration,
    /// A device that has said nothing for so long is silent.
    pub silent_after: Duration,
}

/// Against bouncing keys and babbling devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The same frame so soon after a press is the same press (keys that bounce).
    pub debounce: Option<Duration>,
    /// The same frame so soon after the one before is the same press; the window slides (devices that repeat).
    pub duplicate_window: Option<Duration>,
    /// More sound frames in a second than this are dropped and counted as bad.
    pub max_frames_per_s: Option<u32>,
    /// A device hears no acknowledgement that comes later: then it is given to the repetition.
    pub ack_max_delay: Option<Duration>,
}

/// A protocol, ready to be spoken.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    title: String,
    notes: String,
    transport: Transport,
    frame: Option<Arc<Layout>>,
    out: Arc<Layout>,
    fields: BTreeMap<String, Field>,
    rules: Vec<Rule>,
    keys: BTreeMap<u8, Key>,
    grade_map: Option<GradeMap>,
    grade_maps: BTreeMap<String, GradeMap>,
    commands: Vec<Command>,
    polls: Vec<Poll>,
    limits: Limits,
    tests: usize,
}

impl Profile {
    /// Reads a profile and runs its embedded tests. `origin` is the file's name, for error messages.
    ///
    /// # Errors
    /// The first thing that is wrong: its line and what to do; of a failed test also the bytes expected and got.
    pub fn parse(origin: &str, text: &str) -> Result<Self, ProfileError> {
        let (profile, outcomes) = check(origin, text)?;
        match outcomes.into_iter().find_map(|outcome| {
            let line = outcome.line;
            outcome.failure.map(|what| (line, what))
        }) {
            Some((line, what)) => Err(ProfileError {
                origin: origin.to_owned(),
                line: Some(line),
                what: format!("this test of the profile fails: {what}"),
            }),
            None => Ok(profile),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What a technician should know.
    pub fn notes(&self) -> &str {
        &self.notes
    }

    /// How the line is driven.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// How many embedded tests it has.
    pub fn tests(&self) -> usize {
        self.tests
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the host can say.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The command for a purpose.
    pub fn command_for(&self, purpose: Purpose) -> Option<&Command> {
        self.commands.iter().find(|command| command.purpose == Some(purpose))
    }

    /// What is asked again and again.
    pub fn polls(&self) -> &[Poll] {
        &self.polls
    }

    /// The maker's map of grades (`None`), or a named one. It is unconfirmed: a person presses every key before it counts.
    pub fn grade_map(&self, name: Option<&str>) -> Option<&GradeMap> {
        match name {
            None => self.grade_map.as_ref(),
            Some(name) => self.grade_maps.get(name),
        }
    }

    /// Names of the other maps of grades.
    pub fn grade_map_names(&self) -> impl Iterator<Item = &str> {
        self.grade_maps.keys().map(String::as_str)
    }

    /// Names of the forms of acknowledgement that a device can be set to.
    pub fn ack_forms(&self) -> std::collections::BTreeSet<&str> {
        self.rules.iter().flat_map(|rule| rule.acks.keys()).map(String::as_str).collect()
    }

    /// `true` when it can say what an evaluator says.
    pub fn evaluates(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.says, Says::Evaluated { .. }))
    }

    /// `true` when it can say what a caller keypad says.
    pub fn has_keys(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.says, Says::Key { .. }))
    }

    /// `true` when several devices with addresses can share one line.
    pub fn has_addresses(&self) -> bool {
        self.fields.contains_key("address")
    }

    /// The same with frames of at most so many bytes.
    pub fn with_longest(mut self, max: usize) -> Self {
        let limited = |layout: &Layout| Layout { max: max.max(layout.min), ..layout.clone() };
        self.frame = self.frame.as_deref().map(limited).map(Arc::new);
        self
    }

    /// A decoder of what the devices say.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.frame.iter().cloned())
    }

    /// A decoder of lines that devices of several profiles share; a frame tells the profile's place among them.
    pub fn decoder_of(profiles: &[Arc<Profile>]) -> Decoder {
        // A profile that only speaks keeps its place by a layout that nothing fits.
        let layouts = profiles.iter().map(|p| p.frame.clone().unwrap_or_else(|| Arc::new(Layout::nothing())));
        Decoder::new(layouts)
    }

    /// Longest frame that a device sends; 0 where it says nothing.
    pub fn longest(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.longest())
    }

    /// What a frame (without escapes) says.
    pub fn understand(&self, frame: &[u8]) -> Meaning {
        meaning::understand(&self.rules, &self.fields, &self.keys, frame)
    }

    /// The acknowledgement of a frame by the rule that fits it; `form` names another than the usual one.
    pub fn acknowledge(
        &self,
        meaning: &Meaning,
        frame: &[u8],
        raw: &Bytes,
        form: Option<&str>,
    ) -> Option<Bytes> {
        let rule = self.rules.get(meaning.rule?)?;
        let ack = form.and_then(|form| rule.acks.get(form)).unwrap_or(&rule.ack);
        match ack {
            Ack::None => None,
            Ack::Echo => Some(raw.clone()),
            Ack::Template(template) => {
                let fields = Fields { defined: &self.fields, frame };
                let written = template.write(&self.out, &|name| fields.bytes(name).map(Given::Field));
                written
                    .inspect_err(|error| tracing::warn!(profile = self.name, %error, "no acknowledgement can be written"))
                    .ok()
                    .map(Bytes::from)
            }
        }
    }

    /// The bytes of a command.
    ///
    /// # Errors
    /// An unknown command, a missing value, a value out of its range.
    pub fn encode(&self, command: &str, args: &Args) -> Result<Bytes, EncodeError> {
        let found = self.commands.iter().find(|c| c.name == command).ok_or_else(|| {
            let known: Vec<&str> = self.commands.iter().map(|c| c.name.as_str()).collect();
            EncodeError::NoCommand {
                profile: self.name.clone(),
                command: command.to_owned(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            }
        })?;
        for (name, param) in &found.params {
            let wrong = |why: String| EncodeError::Value { name: name.clone(), why };
            match args.get(name).or(param.default.as_ref()) {
                None => return Err(EncodeError::Missing(name.clone())),
                Some(Arg::Number(n)) if !param.text && !(param.min..=param.max).contains(n) => {
                    return Err(wrong(format!("{n} is out of range; {} to {}", param.min, param.max)));
                }
                Some(Arg::Text(text)) if text.len() > param.max_bytes => {
                    return Err(wrong(format!("too long; at most {} bytes", param.max_bytes)));
                }
                Some(Arg::Text(_)) if !param.text => return Err(wrong("a number is expected".to_owned())),
                Some(_) => {}
            }
        }
        let value = |name: &str| {
            let default = || found.params.get(name).and_then(|param| param.default.clone());
            args.get(name).cloned().or_else(default).map(Given::Arg)
        };
        found.template.write(&self.out, &value).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests;
