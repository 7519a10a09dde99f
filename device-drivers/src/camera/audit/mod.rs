//! The camera audit: what a stream really is, and what to change in the camera.
//!
//! Three parts, each without the next: what was seen ([`StreamFacts`]), what that amounts to ([`Measured`]), and what is
//! wrong with it ([`Finding`]). All pure; [`run`] plays a stream and collects the facts. Findings are codes with numbers:
//! the sentences are the site's. It decodes no picture and changes nothing.

mod judge;
mod measure;
pub mod run;

use serde::Serialize;

pub use judge::{Change, Finding, Severity, Verdict, What};
pub use measure::{Gop, Measured};
pub use run::{AuditPlan, audit};

use super::parameter_sets::Codec;

/// What the stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Focus view and recorder.
    Main,
    /// Pulled all the time, for the wall.
    Sub,
}

/// One access unit, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenUnit {
    /// The camera's time, in microseconds from its first packet.
    pub stamp_us: i64,
    /// Arrival of its first packet, in microseconds from the start of playing.
    pub arrived_us: u64,
    /// A decoder can start here.
    pub key: bool,
    /// Its bytes.
    pub bytes: usize,
    /// Packets missing just before it.
    pub lost: u32,
}

/// What was seen of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamFacts {
    /// The codec.
    pub codec: Codec,
    /// RFC 6381 name, such as `avc1.4D401F`.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second by the parameter sets or the session description.
    pub told_fps: Option<f64>,
    /// What the parameter sets say about B-frames.
    pub reorders: Option<bool>,
    /// From dialling until it plays, in milliseconds.
    pub open_ms: u64,
    /// Every unit from the start of playing on, also those before the first key frame.
    pub units: Vec<SeenUnit>,
    /// The camera's clock minus ours at each sender report, in microseconds.
    pub clock_offsets_us: Vec<i64>,
    /// How long it played, in microseconds.
    pub played_us: u64,
    /// Why it ended before its time.
    pub ended: Option<String>,
}

/// The result of an audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditReport {
    /// What the stream is for.
    pub role: Role,
    /// The whole in one word.
    pub verdict: Verdict,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// The figures.
    pub measured: Measured,
}

impl AuditReport {
    /// Judges what was seen. `told_fps`: what the camera tells over ONVIF; it wins over the parameter sets.
    pub fn of(facts: &StreamFacts, role: Role, told_fps: Option<f64>) -> Self {
        let measured = Measured::of(facts, told_fps);
        let findings = judge::findings(&measured, role);
        Self { role, verdict: Verdict::of(&findings), findings, measured }
    }
}

#[cfg(test)]
mod tests;
