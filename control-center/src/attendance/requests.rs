//! Requests (补卡, 请假, 公出): asked for by one person, decided by another, never changed afterwards. A punch on record stays as it
//! is; an approved request stands beside it. Owns `attendance_requests` and the rules of what can be asked.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::day::{Approved, Excuse};

/// The longest leave of one request, days.
const LONGEST: i64 = 370;
/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

/// Kinds of leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LeaveKind {
    /// 事假.
    Personal,
    /// 病假.
    Sick,
    /// 年休.
    Annual,
    /// 公假.
    Official,
    /// 调休.
    Swap,
    /// 临时外出.
    Errand,
    /// Marriage, maternity, funeral and others (其他).
    Other,
}

impl LeaveKind {
    /// Every kind, in the order of sheets.
    pub(super) const ALL: [Self; 7] =
        [Self::Personal, Self::Sick, Self::Annual, Self::Official, Self::Swap, Self::Errand, Self::Other];
}

/// A half of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DayHalf {
    /// 上午.
    Forenoon,
    /// 下午.
    Afternoon,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub(super) enum Wanted {
    /// 补卡: a punch that was made or would have been, and is not on record.
    Punch {
        /// The shift's date.
        #[schema(value_type = String)]
        date: Date,
        /// Which of the day's punches, from 0.
        mark: u8,
    },
    /// 请假.
    Leave {
        /// Of which kind.
        leave: LeaveKind,
        /// The first date.
        #[schema(value_type = String)]
        from: Date,
        /// From which half of it on.
        from_half: DayHalf,
        /// The last date.
        #[schema(value_type = String)]
        to: Date,
        /// Up to and with which half of it.
        to_half: DayHalf,
    },
    /// 公出.
    Trip {
        /// The first date.
        #[schema(value_type = String)]
        from: Date,
        /// From which half of it on.
        from_half: DayHalf,
        /// The last date.
        #[schema(value_type = String)]
        to: Date,
        /// Up to and with which half of it.
        to_half: DayHalf,
    },
}

impl Wanted {
    /// Which of the day's punches is asked for, if one is.
    pub(super) fn mark(&self) -> Option<u8> {
        match self {
            Self::Punch { mark, .. } => Some(*mark),
            Self::Leave { .. } | Self::Trip { .. } => None,
        }
    }

    /// The first and the last date it is of.
    pub(super) fn dates(&self) -> (Date, Date) {
        match self {
            Self::Punch { date, .. } => (*date, *date),
            Self::Leave { from, to, .. } | Self::Trip { from, to, .. } => (*from, *to),
        }
    }

    /// What cannot be asked for, in words that say what to change.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Punch { mark, .. } if *mark > 3 => {
                Err("mark: from 0 to 3, the day's punches in order".into())
            }
            Self::Punch { .. } => Ok(()),
            Self::Leave { from, from_half, to, to_half, .. }
            | Self::Trip { from, from_half, to, to_half } => {
                if (from, from_half) > (to, to_half) {
                    return Err("to: not before from".into());
                }
                if from.duration_until(*to).as_hours() / 24 > LONGEST {
                    return Err(format!("to: at most {LONGEST} days after from"));
                }
                Ok(())
            }
        }
    }

    /// Adds what it gives to `date`, as request `id`.
    pub(super) fn give(&self, id: &str, date: Date, approved: &mut Approved) {
        let (excuse, from, from_half, to, to_half) = match self {
            Self::Punch { date: of, mark } => {
                if *of == date {
                    approved.punches.push((*mark, id.to_owned()));
                }
                return;
            }
            Self::Leave { leave, from, from_half, to, to_half } => {
                (Excuse::Leave(*leave), from, from_half, to, to_half)
            }
            Self::Trip { from, from_half, to, to_half } => (Excuse::Trip, from, from_half, to, to_half),
        };
        for (n, half) in [DayHalf::Forenoon, DayHalf::Afternoon].into_iter().enumerate() {
            if (*from, *from_half) <= (date, half) && (date, half) <= (*to, *to_half) {
                // The first that was approved stands.
                approved.halves[n].get_or_insert((excuse, id.to_owned()));
            }
        }
    }
}

/// What cannot be a reason.
pub(super) fn check_reason(what: &str, reason: &str) -> Result<(), String> {
    let length = reason.trim().chars().count();
    if length == 0 || length > LONGEST_REASON {
        return Err(format!("{what}: from 1 to {LONGEST_REASON} characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn leave_covers_the_halves_between_its_ends() {
        let leave = Wanted::Leave {
            leave: LeaveKind::Annual,
            from: date(2026, 11, 24),
            from_half: DayHalf::Afternoon,
            to: date(2026, 11, 26),
            to_half: DayHalf::Forenoon,
        };
        leave.check().unwrap();
        let on = |date| {
            let mut approved = Approved::default();
            leave.give("r1", date, &mut approved);
            approved.halves.map(|half| half.is_some())
        };
        assert_eq!(on(date(2026, 11, 23)), [false, false]);
        assert_eq!(on(date(2026, 11, 24)), [false, true]);
        assert_eq!(on(date(2026, 11, 25)), [true, true]);
        assert_eq!(on(date(2026, 11, 26)), [true, false]);
        assert_eq!(on(date(2026, 11, 27)), [false, false]);
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        assert!(Wanted::Punch { date: date(2026, 11, 24), mark: 4 }.check().is_err());
        let trip = |to, from_half, to_half| Wanted::Trip { from: date(2026, 11, 24), from_half, to, to_half };
        use DayHalf::*;
        assert!(trip(date(2026, 11, 23), Forenoon, Afternoon).check().is_err());
        assert!(trip(date(2026, 11, 24), Afternoon, Forenoon).check().is_err());
        assert!(trip(date(2026, 11, 24), Afternoon, Afternoon).check().is_ok());
        assert!(trip(date(2028, 11, 24), Forenoon, Forenoon).check().is_err());
        assert!(check_reason("reason", "  ").is_err() && check_reason("reason", "设备断电").is_ok());
    }
}
