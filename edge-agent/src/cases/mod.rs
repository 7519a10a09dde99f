//! The hall's queue and the case sessions of its windows, as one pure state machine: a fact joined to its window goes
//! in with its time, events with their case ID come out (docs/design/case-session.md). No I/O: case serials come in through
//! [`CaseSerials`], time with each input, and the state is nothing but the fold of the events given out, so that after
//! a restart replaying the journal's events gives the very same state ([`HallSession::recover`]).
//!
//! Rules worth knowing:
//! * A case is opened when its ticket is printed; transfer and hold keep it. An unknown number that is called opens a
//!   case on the spot.
//! * Tickets of ours are numbered from 1 each day within their letters; no number is given twice on a day.
//! * "Call next" takes what was transferred to the window, then the longest-waiting ticket of the window's businesses,
//!   higher priority first. With nobody waiting it changes nothing, and is counted.
//! * A call while a case is at the window closes that case (`next_call`) without a grade.
//! * A press on the evaluator counts only while a rating is invited, and only the first.
//! * What arrives late is judged by its own time: a grade pressed before the rating ran out goes to its case even if
//!   the case was closed meanwhile.
//! * At the day's end whatever is open is closed and marked inaccurate; ticket numbers of yesterday are forgotten.

mod session;
mod state;

use control_protocol::{CaseId, HallId, Happening, UtcMillis, WindowId, event::Grade};
use jiff::{civil::Date, tz::TimeZone};

pub use session::HallSession;

use crate::config::Config;

/// A moment, on both of the node's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// UTC, for the record.
    pub utc: UtcMillis,
    /// Monotonic microseconds, for order and deadlines; the record of another boot may lie before zero.
    pub mono_us: i64,
}

impl At {
    /// The moment `us` microseconds later (or earlier).
    pub fn plus_us(self, us: i64) -> Self {
        Self { utc: self.utc.plus(us.div_euclid(1000)), mono_us: self.mono_us.saturating_add(us) }
    }

    /// The same axis at another monotonic moment.
    pub fn at_mono(self, mono_us: i64) -> Self {
        self.plus_us(mono_us.saturating_sub(self.mono_us))
    }

    /// The same axis at another UTC moment.
    pub fn at_utc(self, utc: UtcMillis) -> Self {
        let us = utc.0.saturating_sub(self.utc.0).saturating_mul(1000);
        Self { utc, mono_us: self.mono_us.saturating_add(us) }
    }
}

/// A fact joined to where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A ticket was printed.
    Ticket {
        /// Its number.
        number: String,
        /// Its business.
        business: String,
        /// How many waited, as printed.
        waiting: Option<u32>,
    },
    /// Somebody wants a ticket of ours.
    Issue {
        /// The business.
        business: String,
    },
    /// A press at a window.
    Window {
        /// The window.
        window: WindowId,
        /// What was pressed.
        press: Press,
    },
}

/// What was pressed at a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Press {
    /// Call the next ticket.
    CallNext,
    /// Call the ticket with these digits.
    CallNumber(String),
    /// Call the same again.
    Recall,
    /// The person is at the window.
    Start,
    /// The service is over; ask for a rating.
    Evaluate,
    /// Send the case to the window of this number.
    Transfer(u16),
    /// Put the case aside.
    Hold,
    /// Take up the one put aside first.
    CallBack,
    /// The person did not come.
    NoShow,
    /// Close for a while, or open again.
    Pause,
    /// A clerk sits down.
    SignIn(String),
    /// The clerk leaves.
    SignOut,
    /// A press on the evaluator.
    Grade {
        /// The byte as sent.
        raw: u8,
        /// The grade by the configured map.
        grade: Option<Grade>,
    },
}

/// An event before it has its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    /// When it happened.
    pub at: At,
    /// Its window.
    pub window: Option<WindowId>,
    /// The position that reported it.
    pub device: Option<String>,
    /// Its case.
    pub case: Option<CaseId>,
    /// What happened.
    pub happening: Happening,
}

/// Why a press changed nothing; counted and logged, never an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// Nobody waits for this window.
    NothingToCall,
    /// The same ticket was printed again while it waits.
    Reprint,
    /// No case is at the window that the press could be about.
    NoCase,
    /// No such window to transfer to, or the window itself.
    NoSuchWindow,
    /// Nothing is on hold here.
    NothingHeld,
    /// It is so already.
    Already,
    /// A window the configuration does not have.
    UnknownWindow,
    /// A business the configuration does not have.
    UnknownBusiness,
}

impl Ignored {
    /// A word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingToCall => "nothing_to_call",
            Self::Reprint => "reprint",
            Self::NoCase => "no_case",
            Self::NoSuchWindow => "no_such_window",
            Self::NothingHeld => "nothing_held",
            Self::Already => "already",
            Self::UnknownWindow => "unknown_window",
            Self::UnknownBusiness => "unknown_business",
        }
    }
}

/// What an input gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taken {
    /// The events, in order.
    pub events: Vec<Tagged>,
    /// Why the input itself changed nothing, where it did not.
    pub ignored: Option<Ignored>,
}

/// Where case numbers come from: each number of a day once, whatever happens to disks and databases.
pub trait CaseSerials {
    /// The next number of the local day.
    fn next(&mut self, date: Date) -> Result<u32, SerialError>;
}

/// No case number can be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// The day has no more.
    #[error("all case numbers of {0} are used")]
    Exhausted(Date),
    /// The reservation cannot be written down.
    #[error("case numbers cannot be reserved: {0}")]
    Disk(String),
}

/// What the session needs to know of the hall.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The hall, for case IDs.
    pub hall: HallId,
    /// Its local time, for dates.
    pub time_zone: TimeZone,
    /// The local hour at which the day ends.
    pub day_ends_hour: i8,
    /// How long a rated case stays open, microseconds.
    pub linger_us: i64,
    /// The windows.
    pub windows: Vec<SessionWindow>,
    /// What is queued for.
    pub businesses: Vec<SessionBusiness>,
}

/// A business as the session knows it.
#[derive(Debug, Clone)]
pub struct SessionBusiness {
    /// Its name.
    pub name: String,
    /// What its tickets' numbers begin with.
    pub prefix: String,
    /// Tickets of a higher priority are called first.
    pub priority: u8,
}

/// A window as the session knows it.
#[derive(Debug, Clone)]
pub struct SessionWindow {
    /// Its id.
    pub id: WindowId,
    /// Its number on keypads.
    pub number: u16,
    /// What it serves.
    pub businesses: Vec<String>,
    /// How long a rating stays invited, seconds.
    pub rating_seconds: u32,
}

impl From<&Config> for SessionConfig {
    fn from(config: &Config) -> Self {
        let business = |b: &crate::config::Business| SessionBusiness {
            name: b.name.clone(),
            prefix: b.prefix.clone(),
            priority: b.priority,
        };
        let window = |w: &crate::config::Window| SessionWindow {
            id: w.id.clone(),
            number: w.number,
            businesses: w.businesses.clone(),
            rating_seconds: w.rating_seconds,
        };
        Self {
            hall: config.hall.id.clone(),
            time_zone: config.hall.time_zone.clone(),
            day_ends_hour: config.hall.day_ends_hour,
            linger_us: config.hall.rated_linger_ms * 1000,
            windows: config.windows.iter().map(window).collect(),
            businesses: config.businesses.iter().map(business).collect(),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
