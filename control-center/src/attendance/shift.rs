//! Shifts (班次): when people are to punch, what counts as late, and from which date. Pure; never knows who works when.

use std::{fmt, str::FromStr};

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name, in characters.
pub(super) const LONGEST_NAME: usize = 40;
/// The most timetables of a shift: ten years of summer and winter, and some to spare.
const MOST_PERIODS: usize = 40;
/// The longest grace, s.
const LONGEST_GRACE: u32 = 3600;

/// A time of a working day: seconds from the midnight at which its date begins. Written `HH:MM` or `HH:MM:SS`; beyond `24:00` it
/// is of the day after, to `47:59:59`, so that a night shift is one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(u32);

impl DayTime {
    /// Seconds from midnight.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// The time in the middle of two.
    pub(super) fn between(self, other: Self) -> Self {
        Self((self.0 + other.0) / 2)
    }
}

impl FromStr for DayTime {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a time: HH:MM or HH:MM:SS, up to 47:59:59 for the day after");
        let mut parts = text.split(':').map(|part| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse::<u32>().map_err(|_| bad()) } else { Err(bad()) }
        });
        let hours = parts.next().ok_or_else(bad)??;
        let minutes = parts.next().ok_or_else(bad)??;
        let seconds = parts.next().transpose()?.unwrap_or(0);
        if parts.next().is_some() || hours > 47 || minutes > 59 || seconds > 59 {
            return Err(bad());
        }
        Ok(Self(hours * 3600 + minutes * 60 + seconds))
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{hours:02}:{minutes:02}")?;
        if seconds > 0 { write!(f, ":{seconds:02}") } else { Ok(()) }
    }
}

impl TryFrom<String> for DayTime {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DayTime> for String {
    fn from(time: DayTime) -> String {
        time.to_string()
    }
}

/// One punch that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// When work begins or ends.
    #[schema(value_type = String)]
    pub due: DayTime,
    /// From when on a punch is one for this mark.
    #[schema(value_type = String)]
    pub from: DayTime,
    /// Until when it is.
    #[schema(value_type = String)]
    pub until: DayTime,
}

/// A stretch of work with a punch at either end (上班, 下班).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// 上班.
    pub start: Mark,
    /// 下班.
    pub end: Mark,
}

/// What a mark without a punch is, once every device has synced past the shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingMeans {
    /// A missing punch (缺卡).
    #[default]
    Missing,
    /// Absence for half a day (旷工半天).
    HalfAbsent,
}

/// What counts as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Seconds after the beginning that are still on time. 59: the minute that is due counts.
    pub grace_late_s: u32,
    /// Seconds before the end at which one may leave.
    pub grace_early_s: u32,
    /// Late or early by so many minutes and more is half a day's absence (旷工半天); none: never.
    pub half_absent_min: Option<u32>,
    /// Late or early by so many minutes and more is absence for the whole of that stretch; none: never.
    pub absent_min: Option<u32>,
    /// What a missing punch is.
    pub missing: MissingMeans,
    /// Minutes after the day's end from which service beyond hours (延时服务) counts, from the end on; none: it does not.
    pub overtime_from_min: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            grace_late_s: 59,
            grace_early_s: 0,
            half_absent_min: Some(30),
            absent_min: None,
            missing: MissingMeans::Missing,
            overtime_from_min: None,
        }
    }
}

/// Other times on some days of the week, such as an earlier end on Fridays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtherDays {
    /// 1 Monday to 7 Sunday.
    pub weekdays: Vec<u8>,
    /// The stretches of those days.
    pub spans: Vec<Span>,
}

/// A timetable (作息时间) and the date on which it takes over from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The first date.
    #[schema(value_type = String)]
    pub from: Date,
    /// Such as 夏令作息.
    pub name: String,
    /// One stretch (two punches a day) or two (four punches).
    pub spans: Vec<Span>,
    /// Days of the week that differ.
    #[serde(default)]
    pub other_days: Vec<OtherDays>,
    /// What counts as what.
    #[serde(default)]
    pub rules: Rules,
}

/// A shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Its name.
    pub name: String,
    /// Its timetables, in the order of their dates.
    pub periods: Vec<Period>,
}

/// What a shift asks of one date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// The timetable's name.
    pub name: String,
    /// Its stretches.
    pub spans: Vec<Span>,
    /// What counts as what.
    pub rules: Rules,
}

impl Shift {
    /// What holds on `date`; none before the first timetable's date.
    pub fn on(&self, date: Date) -> Option<Timetable> {
        let period = self.periods.iter().rev().find(|period| period.from <= date)?;
        let weekday = weekday_number(date.weekday());
        let other = period.other_days.iter().find(|other| other.weekdays.contains(&weekday));
        Some(Timetable {
            name: period.name.clone(),
            spans: other.map_or(&period.spans, |other| &other.spans).clone(),
            rules: period.rules,
        })
    }

    /// What cannot be a shift, in words that say what to change.
    pub fn check(&self) -> Result<(), String> {
        check_name("name", &self.name)?;
        if self.periods.is_empty() || self.periods.len() > MOST_PERIODS {
            return Err(format!("periods: from 1 to {MOST_PERIODS}"));
        }
        if self.periods.windows(2).any(|pair| pair[0].from >= pair[1].from) {
            return Err("periods: each begins on a later date than the one before".into());
        }
        for period in &self.periods {
            check_name("period name", &period.name)?;
            check_spans(&period.spans)?;
            for other in &period.other_days {
                if other.weekdays.is_empty() || other.weekdays.iter().any(|day| !(1..=7).contains(day)) {
                    return Err("weekdays: from 1 (Monday) to 7 (Sunday)".into());
                }
                check_spans(&other.spans)?;
            }
            let rules = &period.rules;
            if rules.grace_late_s > LONGEST_GRACE || rules.grace_early_s > LONGEST_GRACE {
                return Err(format!("grace: at most {LONGEST_GRACE} seconds"));
            }
            if let (Some(half), Some(whole)) = (rules.half_absent_min, rules.absent_min)
                && whole <= half
            {
                return Err("absent_min: more than half_absent_min".into());
            }
        }
        Ok(())
    }
}

impl Timetable {
    /// Where a day of one stretch is cut in two, for leave of half a day: the middle.
    pub(super) fn noon(&self) -> Option<DayTime> {
        match self.spans.as_slice() {
            [span] => Some(span.start.due.between(span.end.due)),
            _ => None,
        }
    }
}

pub(super) fn weekday_number(weekday: Weekday) -> u8 {
    weekday.to_monday_one_offset().unsigned_abs()
}

pub(super) fn check_name(what: &str, name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if name.trim() != name || length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("{what}: from 1 to {LONGEST_NAME} characters, no spaces at its ends"));
    }
    Ok(())
}

fn check_spans(spans: &[Span]) -> Result<(), String> {
    if !(1..=2).contains(&spans.len()) {
        return Err("spans: one (two punches) or two (four punches)".into());
    }
    let marks: Vec<Mark> = spans.iter().flat_map(|span| [span.start, span.end]).collect();
    for mark in &marks {
        if mark.from > mark.due || mark.due > mark.until || mark.from == mark.until {
            return Err(format!(
                "the band {} to {} does not hold its time {}: from ≤ due ≤ until",
                mark.from, mark.until, mark.due
            ));
        }
    }
    for pair in marks.windows(2) {
        if pair[0].until > pair[1].from || pair[0].due >= pair[1].due {
            return Err(format!(
                "the bands overlap: one ends at {}, the next begins at {}",
                pair[0].until, pair[1].from
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in ["00:00", "08:30", "23:59:59", "24:00", "32:15", "47:59:59"] {
            assert_eq!(text.parse::<DayTime>().unwrap().to_string(), text);
        }
        for text in ["", "8:30", "08:60", "48:00", "08:30:60", "08:30:00:00", "+8:30", "08-30", "０８:30"] {
            assert!(text.parse::<DayTime>().is_err(), "{text}");
        }
    }

    fn mark(from: &str, due: &str, until: &str) -> Mark {
        Mark { from: from.parse().unwrap(), due: due.parse().unwrap(), until: until.parse().unwrap() }
    }

    fn day(end: &str) -> Vec<Span> {
        vec![Span { start: mark("07:00", "09:00", "12:00"), end: mark("12:00", end, "23:00") }]
    }

    fn shift() -> Shift {
        let period = |from: (i16, i8, i8), name: &str, end: &str| Period {
            from: jiff::civil::date(from.0, from.1, from.2),
            name: name.into(),
            spans: day(end),
            other_days: vec![OtherDays { weekdays: vec![5], spans: day("16:00") }],
            rules: Rules::default(),
        };
        Shift {
            name: "常白班".into(),
            periods: vec![
                period((2026, 5, 1), "夏令作息", "17:30"),
                period((2026, 10, 8), "冬令作息", "17:00"),
            ],
        }
    }

    #[test]
    fn the_timetable_changes_with_its_date() {
        let shift = shift();
        shift.check().unwrap();
        let end = |date| shift.on(date).map(|t| (t.name, t.spans[0].end.due.to_string()));
        assert_eq!(end(jiff::civil::date(2026, 4, 30)), None);
        assert_eq!(end(jiff::civil::date(2026, 9, 30)), Some(("夏令作息".into(), "17:30".into())));
        assert_eq!(end(jiff::civil::date(2026, 10, 8)), Some(("冬令作息".into(), "17:00".into())));
        assert_eq!(end(jiff::civil::date(2026, 10, 9)).unwrap().1, "16:00", "a Friday");
    }

    #[test]
    fn what_cannot_be_a_shift_is_refused() {
        let bad = |change: fn(&mut Shift)| {
            let mut shift = shift();
            change(&mut shift);
            shift.check().unwrap_err()
        };
        assert!(bad(|s| s.name = " x".into()).starts_with("name"));
        assert!(bad(|s| s.periods.clear()).starts_with("periods"));
        assert!(bad(|s| s.periods.swap(0, 1)).starts_with("periods"));
        assert!(bad(|s| s.periods[0].spans.clear()).starts_with("spans"));
        assert!(bad(|s| s.periods[0].spans[0].start = mark("09:30", "09:00", "12:00")).contains("band"));
        assert!(bad(|s| s.periods[0].spans[0].start = mark("07:00", "09:00", "13:00")).contains("overlap"));
        assert!(bad(|s| s.periods[0].other_days[0].weekdays = vec![8]).starts_with("weekdays"));
        assert!(bad(|s| s.periods[0].rules.grace_late_s = 7200).starts_with("grace"));
        assert!(bad(|s| s.periods[0].rules.absent_min = Some(30)).starts_with("absent_min"));
    }
}
