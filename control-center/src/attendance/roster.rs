//! Who is to work when (排班): from a date on a shift on workdays, or a rotation; and single days that differ. Pure.

use control_protocol::WindowId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::calendar::DayKind;

/// The longest rotation, days.
const LONGEST_CYCLE: usize = 62;

/// How somebody's days follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Pattern {
    /// This shift on every workday of the calendar.
    Workdays {
        /// The shift's id.
        shift: String,
    },
    /// A rotation (轮班): these days over and over.
    Cycle {
        /// The date of the first of them.
        #[schema(value_type = String)]
        begins: Date,
        /// Each a shift's id, or none for rest.
        days: Vec<Option<String>>,
        /// Whether holidays of the calendar are rest all the same.
        holidays_off: bool,
    },
    /// No attendance is kept of them.
    Exempt {},
}

impl Pattern {
    /// What cannot be a pattern, in words that say what to change.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Cycle { days, .. } if days.is_empty() || days.len() > LONGEST_CYCLE => {
                Err(format!("days: a rotation has from 1 to {LONGEST_CYCLE} days"))
            }
            _ => Ok(()),
        }
    }

    /// The shifts it names.
    pub fn shifts(&self) -> Vec<&str> {
        match self {
            Self::Workdays { shift } => vec![shift],
            Self::Cycle { days, .. } => days.iter().flatten().map(String::as_str).collect(),
            Self::Exempt {} => Vec::new(),
        }
    }
}

/// A pattern and the date from which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The first date.
    pub from: Date,
    /// What holds from then on.
    pub pattern: Pattern,
}

/// A single day that differs from the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterDay {
    /// The shift's id; none: rest.
    pub shift: Option<String>,
    /// The window they stand at that day.
    pub window: Option<WindowId>,
}

/// What is asked of somebody on a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Planned {
    /// This shift.
    Shift(String),
    /// A day off.
    Rest,
    /// No attendance is kept.
    Exempt,
    /// Nobody has said.
    Unassigned,
}

/// What is asked of somebody on `date`, which is a day of this kind. `own` are their assignments and `everybody` those of the
/// hall, in the order of their dates; one's own, once there is one, goes before.
pub(super) fn planned(
    date: Date,
    kind: DayKind,
    own: &[Assignment],
    everybody: &[Assignment],
    single: Option<&RosterDay>,
) -> Planned {
    if let Some(day) = single {
        return day.shift.clone().map_or(Planned::Rest, Planned::Shift);
    }
    let last = |list: &'_ [Assignment]| list.iter().rposition(|a| a.from <= date);
    let holds = last(own).and_then(|n| own.get(n)).or_else(|| last(everybody).and_then(|n| everybody.get(n)));
    match holds.map(|assignment| &assignment.pattern) {
        None => Planned::Unassigned,
        Some(Pattern::Exempt {}) => Planned::Exempt,
        Some(Pattern::Workdays { shift }) if kind.is_work() => Planned::Shift(shift.clone()),
        Some(Pattern::Workdays { .. }) => Planned::Rest,
        Some(Pattern::Cycle { holidays_off: true, .. }) if kind == DayKind::Holiday => Planned::Rest,
        Some(Pattern::Cycle { begins, days, .. }) => {
            let passed = begins.duration_until(date).as_hours() / 24;
            let length = i64::try_from(days.len()).unwrap_or(1).max(1);
            let at = usize::try_from(passed.rem_euclid(length)).unwrap_or(0);
            days.get(at).cloned().flatten().map_or(Planned::Rest, Planned::Shift)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_rotation_goes_on_over_months_and_before_its_beginning() {
        let days = vec![Some("day".to_owned()), Some("night".to_owned()), None, None];
        let own = [Assignment {
            from: date(2026, 1, 1),
            pattern: Pattern::Cycle { begins: date(2026, 2, 27), days, holidays_off: true },
        }];
        let on = |d, kind| planned(d, kind, &own, &[], None);
        let shift = |name: &str| Planned::Shift(name.into());
        assert_eq!(on(date(2026, 2, 27), DayKind::Workday), shift("day"));
        assert_eq!(on(date(2026, 2, 28), DayKind::Weekend), shift("night"), "weekends are days like others");
        assert_eq!(on(date(2026, 3, 1), DayKind::Weekend), Planned::Rest);
        assert_eq!(on(date(2026, 3, 3), DayKind::Workday), shift("day"));
        assert_eq!(
            on(date(2026, 2, 26), DayKind::Workday),
            Planned::Rest,
            "the last day of the round before"
        );
        assert_eq!(on(date(2026, 2, 23), DayKind::Holiday), Planned::Rest, "a holiday stands");
        assert_eq!(on(date(2025, 12, 31), DayKind::Workday), Planned::Unassigned);
    }

    #[test]
    fn the_nearest_word_counts() {
        let workdays =
            |from, shift: &str| Assignment { from, pattern: Pattern::Workdays { shift: shift.into() } };
        let everybody = [workdays(date(2026, 1, 1), "hall")];
        let own = [
            workdays(date(2026, 6, 1), "own"),
            Assignment { from: date(2026, 9, 1), pattern: Pattern::Exempt {} },
        ];
        let on = |d, single: Option<&RosterDay>| planned(d, DayKind::Workday, &own, &everybody, single);
        assert_eq!(on(date(2026, 5, 29), None), Planned::Shift("hall".into()));
        assert_eq!(on(date(2026, 6, 1), None), Planned::Shift("own".into()));
        assert_eq!(on(date(2026, 9, 1), None), Planned::Exempt);
        let single = RosterDay { shift: Some("night".into()), window: None };
        assert_eq!(on(date(2026, 6, 1), Some(&single)), Planned::Shift("night".into()));
        assert_eq!(on(date(2026, 6, 1), Some(&RosterDay { shift: None, window: None })), Planned::Rest);
        assert_eq!(planned(date(2026, 6, 6), DayKind::Weekend, &own, &everybody, None), Planned::Rest);
        assert_eq!(
            planned(date(2026, 5, 9), DayKind::MakeUp, &own, &everybody, None),
            Planned::Shift("hall".into())
        );
    }
}
