//! What a punch's time is worth. A terminal stamps punches with its own clock; the edge measures how far that clock is ahead, time
//! and again. From the measurements follows the hall's time of a punch, or that it cannot be known. The terminal's own time is
//! always kept beside it. Pure.

use control_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

/// Beyond this a clock's offset, s, is something to see to; and a punch from before its first measurement is not believed.
pub(super) const ALARM_S: i64 = 30;
/// Times of one punch that lie this close, ms, need not be told apart.
const SAME: i64 = 60_000;

/// From `from` until `until` the terminal's clock was measured to be `seconds` ahead, by the hall's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    /// The first measurement.
    pub from: UtcMillis,
    /// The last one that gave the same.
    pub until: UtcMillis,
    /// Seconds ahead; negative: behind.
    pub seconds: i64,
}

/// How sure a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Certainty {
    /// The terminal's clock was measured at that time, or the punch was heard when it was made.
    Measured,
    /// No measurement speaks of that time, and none against it.
    Assumed,
    /// The terminal's clock changed, and it cannot be known on which side of the change the punch is.
    Uncertain,
}

/// When a punch was, by the hall's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HallTime {
    /// The best that is known.
    pub at: UtcMillis,
    /// How sure that is.
    pub certainty: Certainty,
    /// What it would be otherwise, where that cannot be excluded.
    pub or: Vec<UtcMillis>,
}

/// The hall's time of a punch that the terminal stamped `stamped`, and that a live event brought at `heard` by the hall's clock.
/// `measured` is in the order of time.
pub(super) fn hall_time(stamped: UtcMillis, heard: Option<UtcMillis>, measured: &[Measured]) -> HallTime {
    let mut known = Vec::new();
    let mut possible = Vec::new();
    for (n, run) in measured.iter().enumerate() {
        let at = stamped.plus(-run.seconds * 1000);
        let before = n.checked_sub(1).and_then(|n| measured.get(n));
        let after = measured.get(n + 1);
        if run.from <= at && at <= run.until {
            known.push(at);
        } else if before.is_none_or(|b| b.until <= at) && after.is_none_or(|a| at <= a.from) {
            possible.push((at, before.is_none() && at < run.from && run.seconds.abs() > ALARM_S));
        }
    }
    if let Some(heard) = heard {
        // A terminal tells live what it has just seen.
        let near = |at: &UtcMillis| (at.0 - heard.0).abs() <= SAME;
        let all = known.iter().chain(possible.iter().map(|(at, _)| at));
        if let Some(at) = all.copied().find(|at| near(at)) {
            return HallTime { at, certainty: Certainty::Measured, or: Vec::new() };
        }
        if measured.is_empty() {
            return HallTime { at: heard, certainty: Certainty::Measured, or: Vec::new() };
        }
    }
    let sure = |at, certainty| HallTime { at, certainty, or: Vec::new() };
    match (known.as_slice(), possible.as_slice()) {
        ([at], _) => sure(*at, Certainty::Measured),
        ([], [(at, false)]) => sure(*at, Certainty::Assumed),
        ([], []) if measured.is_empty() => sure(stamped, Certainty::Assumed),
        _ => {
            let mut all: Vec<UtcMillis> =
                known.iter().copied().chain(possible.iter().map(|(at, _)| *at)).collect();
            // A clock that was wrong when it was first looked at may have been right before.
            if all.is_empty() || possible.iter().any(|(_, doubtful)| *doubtful) {
                all.push(stamped);
            }
            all.sort_unstable();
            all.dedup();
            let (first, last) = (all[0], all[all.len() - 1]);
            if last.0 - first.0 <= SAME {
                return sure(all[all.len() - 1], Certainty::Assumed);
            }
            let at = known.last().copied().unwrap_or(last);
            all.retain(|other| *other != at);
            HallTime { at, certainty: Certainty::Uncertain, or: all }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIN: i64 = 60_000;

    fn run(from: i64, until: i64, seconds: i64) -> Measured {
        Measured { from: UtcMillis(from * MIN), until: UtcMillis(until * MIN), seconds }
    }

    fn at(minutes: i64) -> UtcMillis {
        UtcMillis(minutes * MIN)
    }

    #[test]
    fn an_offset_that_was_measured_is_taken_off() {
        let seven_ahead = [run(0, 600, 420)];
        let time = hall_time(at(107), None, &seven_ahead);
        assert_eq!((time.at, time.certainty), (at(100), Certainty::Measured));
        // After the last measurement it is assumed to go on.
        assert_eq!(hall_time(at(907), None, &seven_ahead).certainty, Certainty::Assumed);
        // Before the first, a clock that far off is not believed: it may have been right.
        let before = hall_time(at(-93), None, &seven_ahead);
        assert_eq!((before.certainty, before.or), (Certainty::Uncertain, vec![at(-100)]));
        assert_eq!(hall_time(at(50), None, &[]).certainty, Certainty::Assumed);
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        // Seven minutes ahead until 100, right from 110 on.
        let set = [run(0, 100, 420), run(110, 600, 0)];
        assert_eq!(hall_time(at(57), None, &set).at, at(50));
        assert_eq!(hall_time(at(200), None, &set).at, at(200));
        // Stamped 109: at 102 by the old clock or at 109 by the new one; nobody knows when it was set.
        let between = hall_time(at(109), None, &set);
        assert_eq!(
            (between.certainty, between.at, between.or),
            (Certainty::Uncertain, at(109), vec![at(102)])
        );
        // Unless it was heard.
        let heard = hall_time(at(109), Some(at(102)), &set);
        assert_eq!((heard.certainty, heard.at), (Certainty::Measured, at(102)));
    }

    #[test]
    fn a_clock_set_back_stamps_an_hour_twice() {
        let back = [run(0, 100, 0), run(101, 600, -3600)];
        // Stamped 60: at 60 before, or at 120 after.
        let twice = hall_time(at(60), None, &back);
        assert_eq!((twice.certainty, twice.at, twice.or), (Certainty::Uncertain, at(120), vec![at(60)]));
        assert_eq!(hall_time(at(60), Some(at(60)), &back).at, at(60));
    }

    proptest! {
        #[test]
        fn whoever_punched_while_the_clock_was_known_is_found(
            spells in proptest::collection::vec((1_i64..500, -4000_i64..4000), 1..6),
            which in 0usize..6, within in 0.0f64..1.0,
        ) {
            let mut begin = 0;
            let mut measured = Vec::new();
            for (length, seconds) in spells {
                measured.push(run(begin, begin + length, seconds));
                begin += length + 5;
            }
            let spell = measured[which % measured.len()];
            let truth = UtcMillis(spell.from.0 + ((spell.until.0 - spell.from.0) as f64 * within) as i64);
            let stamped = truth.plus(spell.seconds * 1000);
            let found = hall_time(stamped, None, &measured);
            // Either it is found, or it is among those that cannot be excluded; a certain answer is never another.
            if found.certainty == Certainty::Uncertain {
                prop_assert!(found.at == truth || found.or.contains(&truth));
            } else {
                prop_assert!((found.at.0 - truth.0).abs() <= SAME);
            }
            let heard = hall_time(stamped, Some(truth), &measured);
            prop_assert!((heard.at.0 - truth.0).abs() <= SAME);
            prop_assert_eq!(heard.certainty, Certainty::Measured);
        }
    }
}
