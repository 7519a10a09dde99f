//! When a window was open and when it paused, on one local day. Pure; like a case's sums a function of the set of steps.

use control_protocol::{Event, Happening, UtcMillis};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    Span,
    quarter::{Loads, Quarter, split},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum What {
    #[serde(rename = "o")]
    Opened,
    #[serde(rename = "p")]
    Paused,
    #[serde(rename = "r")]
    Resumed,
    #[serde(rename = "c")]
    Closed,
}

/// One step: when, its place in the journal, what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Step(i64, u64, What);

impl Step {
    /// The step an event is, if it is one of a window's hours.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let what = match event.happening {
            Happening::WindowOpened {} | Happening::ClerkSignedIn { .. } => What::Opened,
            Happening::WindowPaused { .. } => What::Paused,
            Happening::WindowResumed {} => What::Resumed,
            Happening::WindowClosed {} => What::Closed,
            _ => return None,
        };
        Some(Self(event.at.0, event.seq, what))
    }

    /// The local day it belongs to; what the day's end closes at midnight belongs to the day that ends.
    pub(super) fn day(&self, zone: &TimeZone) -> Date {
        let ends = matches!(self.2, What::Resumed | What::Closed);
        Quarter::of(UtcMillis(self.0).plus(-i64::from(ends)), zone).day
    }
}

/// A window's steps of a day, in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hours(Vec<Step>);

impl Hours {
    /// Puts a step where it belongs.
    pub(super) fn add(&mut self, step: Step) {
        let at = self.0.partition_point(|known| *known < step);
        self.0.insert(at, step);
    }

    /// Open and paused time of `window`. What has no end yet lasts until `now`, or is left out without it.
    pub(super) fn loads(&self, window: &str, zone: &TimeZone, now: Option<UtcMillis>) -> Loads {
        let mut loads = Loads::default();
        let (open, paused) = self.spans(now);
        for (from, to) in open {
            for (quarter, millis) in split(from, to, zone) {
                loads.at(quarter, "", window).open_ms += millis;
            }
        }
        for (from, to) in paused {
            for (quarter, millis) in split(from, to, zone) {
                loads.at(quarter, "", window).paused_ms += millis;
            }
        }
        loads
    }

    /// When the window was open and did not pause.
    pub(super) fn working(&self, now: UtcMillis) -> Vec<Span> {
        let (open, paused) = self.spans(Some(now));
        let mut working = Vec::new();
        for (from, to) in open {
            let mut at = from;
            for (pause, resumed) in paused.iter().filter(|(pause, _)| (from..to).contains(pause)) {
                working.push((at, *pause));
                at = *resumed;
            }
            working.push((at, to));
        }
        working.retain(|(from, to)| from < to);
        working
    }

    /// Spans in which the window was open, and spans in which it paused while open.
    fn spans(&self, now: Option<UtcMillis>) -> (Vec<Span>, Vec<Span>) {
        let (mut open, mut paused) = (Vec::new(), Vec::new());
        let (mut opened, mut pause): (Option<UtcMillis>, Option<UtcMillis>) = (None, None);
        for Step(at, _, what) in &self.0 {
            let at = UtcMillis(*at);
            match what {
                What::Opened => opened = opened.or(Some(at)),
                What::Paused if opened.is_some() => pause = pause.or(Some(at)),
                What::Paused => {}
                What::Resumed => paused.extend(pause.take().map(|from| (from, at))),
                What::Closed => {
                    paused.extend(pause.take().map(|from| (from, at)));
                    open.extend(opened.take().map(|from| (from, at)));
                }
            }
        }
        if let Some(now) = now {
            paused.extend(pause.map(|from| (from, now)));
            open.extend(opened.map(|from| (from, now)));
        }
        (open, paused)
    }
}
