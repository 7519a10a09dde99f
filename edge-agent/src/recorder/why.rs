//! Why a run ended: the reason of a gap, as rows, segments and events say it.

use std::fmt;

/// Why nothing was recorded. As text: a code, and after a colon what a person can do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The camera sends no pictures; why, as its state says it.
    CameraLost(String),
    /// The agent was not running.
    AgentDown,
    /// The clock was set; nothing is missing, but times before and after do not go on from each other.
    ClockStepped,
    /// The camera changed what it sends; nothing is missing.
    ParametersChanged,
    /// The disk did not keep up: the recorder skipped to a key frame.
    Behind,
    /// There is no room but for what is held.
    DiskFull,
    /// The disk failed, is missing or is another hall's.
    DiskOut(String),
    /// The camera sends what is not recorded.
    NotRecordable(String),
}

impl Why {
    /// The code alone.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CameraLost(_) => "camera_lost",
            Self::AgentDown => "agent_down",
            Self::ClockStepped => "clock_stepped",
            Self::ParametersChanged => "parameters_changed",
            Self::Behind => "recorder_behind",
            Self::DiskFull => "disk_full",
            Self::DiskOut(_) => "disk_out",
            Self::NotRecordable(_) => "not_recordable",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CameraLost(detail) | Self::DiskOut(detail) | Self::NotRecordable(detail) => {
                write!(f, "{}: {detail}", self.code())
            }
            _ => f.write_str(self.code()),
        }
    }
}
