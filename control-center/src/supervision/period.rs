//! The periods of reports: a day, week, month, quarter or year of the calendar, the one before it, the same a year ago, and
//! the parts it is shown by. Pure calendar; the days are the halls' local days, first and last included.

use std::str::FromStr;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Length {
    /// 日报.
    Day,
    /// 周报: Monday to Sunday.
    Week,
    /// 月报.
    Month,
    /// 季报.
    Quarter,
    /// 年报.
    Year,
}

impl FromStr for Length {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return Err(format!("period: day, week, month, quarter or year, not `{text}`")),
        })
    }
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) length: Length,
    /// Its first day.
    pub(super) from: Date,
    /// Its last day.
    pub(super) to: Date,
}

impl Period {
    /// The period of this length that `day` lies in.
    pub(super) fn of(length: Length, day: Date) -> Option<Self> {
        let from = match length {
            Length::Day => day,
            Length::Week => day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok()?,
            Length::Month => day.first_of_month(),
            Length::Quarter => Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok()?,
            Length::Year => day.first_of_year(),
        };
        let next = match length {
            Length::Day => from.checked_add(1.day()),
            Length::Week => from.checked_add(1.week()),
            Length::Month => from.checked_add(1.month()),
            Length::Quarter => from.checked_add(3.months()),
            Length::Year => from.checked_add(1.year()),
        };
        Some(Self { length, from, to: next.ok()?.yesterday().ok()? })
    }

    /// The one before it (环比).
    pub(super) fn before(self) -> Option<Self> {
        Self::of(self.length, self.from.yesterday().ok()?)
    }

    /// The same a year ago (同比). A week is compared with the one 52 weeks before, so that weekdays meet, and a day with
    /// the day 52 weeks before for the same reason.
    pub(super) fn year_ago(self) -> Option<Self> {
        let day = match self.length {
            Length::Day | Length::Week => self.from.checked_sub(52.weeks()),
            _ => self.from.checked_sub(1.year()),
        };
        Self::of(self.length, day.ok()?)
    }

    /// The same up to as many days as have passed of `self` by `today`, so that a month that is not over is held against
    /// the same days of another.
    pub(super) fn up_to(self, running: Self, today: Date) -> Self {
        if today >= running.to || today < running.from {
            return self;
        }
        let passed = today.since(running.from).map_or(0, |span| span.get_days());
        let to = self.from.checked_add(passed.days()).unwrap_or(self.to);
        Self { to: to.min(self.to), ..self }
    }

    /// The parts by which it is shown: a year by months, everything else by days.
    pub(super) fn by_month(self) -> bool {
        self.length == Length::Year
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn span(length: Length, day: Date) -> (Date, Date) {
        let period = Period::of(length, day).unwrap();
        (period.from, period.to)
    }

    #[test]
    fn a_period_has_the_days_of_the_calendar() {
        let day = date(2026, 11, 26);
        assert_eq!(span(Length::Day, day), (day, day));
        assert_eq!(span(Length::Week, day), (date(2026, 11, 23), date(2026, 11, 29)));
        assert_eq!(span(Length::Month, day), (date(2026, 11, 1), date(2026, 11, 30)));
        assert_eq!(span(Length::Quarter, day), (date(2026, 10, 1), date(2026, 12, 31)));
        assert_eq!(span(Length::Year, day), (date(2026, 1, 1), date(2026, 12, 31)));
        assert_eq!(span(Length::Month, date(2028, 2, 9)).1, date(2028, 2, 29));
        assert_eq!("decade".parse::<Length>().ok(), None);
    }

    #[test]
    fn what_it_is_held_against() {
        let month = Period::of(Length::Month, date(2026, 3, 15)).unwrap();
        assert_eq!(month.before().unwrap().from, date(2026, 2, 1));
        assert_eq!(month.year_ago().unwrap().to, date(2025, 3, 31));
        let quarter = Period::of(Length::Quarter, date(2026, 1, 1)).unwrap();
        assert_eq!(quarter.before().unwrap().from, date(2025, 10, 1));
        let week = Period::of(Length::Week, date(2026, 11, 26)).unwrap();
        assert_eq!(week.year_ago().unwrap().from, date(2025, 11, 24), "a Monday");
        let leap = Period::of(Length::Year, date(2028, 2, 29)).unwrap();
        assert_eq!(leap.year_ago().unwrap().from, date(2027, 1, 1));
    }

    #[test]
    fn a_running_period_is_held_against_as_many_days() {
        let month = Period::of(Length::Month, date(2026, 3, 30)).unwrap();
        let before = month.before().unwrap();
        assert_eq!(before.up_to(month, date(2026, 3, 10)).to, date(2026, 2, 10));
        assert_eq!(before.up_to(month, date(2026, 3, 30)).to, date(2026, 2, 28), "no more days than it has");
        assert_eq!(before.up_to(month, date(2026, 5, 1)), before, "over: whole");
    }
}
