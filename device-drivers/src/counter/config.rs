//! What stands on a counter bus, as configured.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{
    profile::{LineConfigError, ProfileError},
    reading::PositionId,
};

/// Longest LEN accepted unless configured otherwise. One known host refuses more than 5, the other takes staff numbers.
pub const DEFAULT_MAX_LEN: u8 = 16;

/// How an evaluator wants its grade acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum AckForm {
    /// A normal frame with function `01` and the grade.
    #[serde(rename = "a", alias = "A")]
    A,
    /// The short frame `68 02 02 68 ADDR 01 CS 16`.
    #[serde(rename = "b", alias = "B")]
    B,
}

/// One evaluator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluatorConfig {
    /// Bus address.
    pub address: u8,
    /// Its place.
    pub position: PositionId,
    /// How it wants to be acknowledged.
    pub ack: AckForm,
    /// Raw byte → national grade 1..=5. There is no default: makers disagree even about the order.
    #[serde(deserialize_with = "grade_map")]
    pub grades: BTreeMap<u8, u8>,
}

/// One keypad.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeypadConfig {
    /// Bus address.
    pub address: u8,
    /// Its place.
    pub position: PositionId,
}

/// A bus and what stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusConfig {
    /// Keypads.
    #[serde(default)]
    pub keypads: Vec<KeypadConfig>,
    /// Evaluators.
    #[serde(default)]
    pub evaluators: Vec<EvaluatorConfig>,
    /// Longest LEN accepted.
    #[serde(default = "default_max_len")]
    pub max_len: u8,
    /// A silence this long ends a half frame.
    #[serde(default = "default_gap_ms")]
    pub gap_ms: u64,
    /// The adapter hears its own bytes; they are taken out again.
    #[serde(default)]
    pub local_echo: bool,
    /// Bad runs a minute from which the bus counts as degraded.
    #[serde(default = "default_degraded")]
    pub degraded_from_per_minute: u32,
}

fn default_max_len() -> u8 {
    DEFAULT_MAX_LEN
}
fn default_gap_ms() -> u64 {
    50
}
fn default_degraded() -> u32 {
    6
}

impl BusConfig {
    /// A bus of these devices with the usual settings.
    pub fn new(keypads: Vec<KeypadConfig>, evaluators: Vec<EvaluatorConfig>) -> Self {
        Self {
            keypads,
            evaluators,
            max_len: default_max_len(),
            gap_ms: default_gap_ms(),
            local_echo: false,
            degraded_from_per_minute: default_degraded(),
        }
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// An address used twice by one kind of device, a grade outside 1..=5, an empty grade map, nothing on the bus.
    pub fn check(&self) -> Result<(), BusConfigError> {
        let mut seen = BTreeSet::new();
        for keypad in &self.keypads {
            if !seen.insert((false, keypad.address)) {
                return Err(BusConfigError::AddressTwice(keypad.address));
            }
        }
        for evaluator in &self.evaluators {
            if !seen.insert((true, evaluator.address)) {
                return Err(BusConfigError::AddressTwice(evaluator.address));
            }
            if evaluator.grades.is_empty() {
                return Err(BusConfigError::NoGrades(evaluator.address));
            }
            if let Some((raw, grade)) = evaluator.grades.iter().find(|(_, g)| !(1..=5).contains(*g)) {
                return Err(BusConfigError::Grade { raw: *raw, grade: *grade });
            }
        }
        if seen.is_empty() { Err(BusConfigError::Empty) } else { Ok(()) }
    }
}

/// What is wrong with a [`BusConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusConfigError {
    /// Two devices of one kind share an address.
    #[error("address {0} is given to two devices of the same kind on this bus")]
    AddressTwice(u8),
    /// An evaluator without a map.
    #[error(
        "the evaluator at address {0} has no grade map; press all its keys and write down what they send"
    )]
    NoGrades(u8),
    /// A grade outside the national scale.
    #[error("grade map: raw byte {raw} leads to grade {grade}, but grades are 1 to 5")]
    Grade {
        /// The device's byte.
        raw: u8,
        /// What it was mapped to.
        grade: u8,
    },
    /// Nothing there.
    #[error("a bus needs at least one keypad or evaluator")]
    Empty,
    /// The shipped profile is wrong: a fault of the build.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// What the engine finds.
    #[error(transparent)]
    Line(#[from] LineConfigError),
}

/// TOML keys are strings: `"04" = 5` (hexadecimal, as in the protocol's papers) or `"0x04" = 5`.
fn grade_map<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u8, u8>, D::Error> {
    let written = BTreeMap::<String, u8>::deserialize(deserializer)?;
    written
        .into_iter()
        .map(|(raw, grade)| {
            let digits = raw.trim_start_matches("0x");
            u8::from_str_radix(digits, 16).map(|raw| (raw, grade)).map_err(|_e| {
                serde::de::Error::custom(format!("grade map: {raw:?} is not a hexadecimal byte"))
            })
        })
        .collect()
}
