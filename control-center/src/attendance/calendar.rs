//! Working days (工作日历): the State Council's yearly arrangement, and over it what regions arrange for themselves. A year
//! that nobody has given is not known, and is refused rather than guessed. Files with calendars are signed.
//!
//! Pure; where calendars are kept is [`super::calendars`].

use std::collections::BTreeMap;

use data_encoding::BASE64;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::evidence::key::PublicKey;

/// The layer of the whole country.
pub const NATIONAL: &str = "CN";
/// What a signature is over, before the text: a key that signs other things signs no calendar by accident.
const DOMAIN: &[u8] = b"hallwatch calendar v1\n";
/// The most days that one year of one layer may change.
const MOST_DAYS: usize = 150;
/// The years that come with the program: what the State Council announced, as
/// docs/reference/attendance.md names the notices.
const SHIPPED: [&str; 4] = [
    include_str!("calendars/CN-2017.json"),
    include_str!("calendars/CN-2024.json"),
    include_str!("calendars/CN-2025.json"),
    include_str!("calendars/CN-2026.json"),
];

/// What a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// A workday.
    Workday,
    /// A day at a weekend on which one works (调休上班).
    MakeUp,
    /// Saturday or Sunday.
    Weekend,
    /// A holiday, or a day off for one.
    Holiday,
}

impl DayKind {
    /// Whether one works.
    pub fn is_work(self) -> bool {
        matches!(self, Self::Workday | Self::MakeUp)
    }
}

/// A date that a layer changes, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedDay {
    /// The date.
    #[schema(value_type = String)]
    pub date: Date,
    /// The holiday, such as 春节.
    pub name: String,
}

/// One year of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarYear {
    /// `CN`, or the code of an area.
    pub layer: String,
    /// The year.
    pub year: i16,
    /// The notice that it is from.
    pub source: String,
    /// Days off.
    pub off: Vec<NamedDay>,
    /// Workdays at weekends, or where the layer below has a day off.
    pub work: Vec<NamedDay>,
}

impl CalendarYear {
    /// What cannot be a year, in words that say what to change.
    pub fn check(&self) -> Result<(), String> {
        let area = self.layer.len() == 6 && self.layer.bytes().all(|b| b.is_ascii_digit());
        if self.layer != NATIONAL && !area {
            return Err(format!("layer: {NATIONAL} or the six digits of an area"));
        }
        if !(1990..=2200).contains(&self.year) {
            return Err("year: four digits".into());
        }
        if self.source.trim().is_empty() || self.source.chars().count() > 200 {
            return Err("source: which notice it is from".into());
        }
        if self.off.len() + self.work.len() > MOST_DAYS {
            return Err(format!("a year changes at most {MOST_DAYS} days"));
        }
        let mut seen = std::collections::HashSet::new();
        for day in self.off.iter().chain(&self.work) {
            if day.date.year() != self.year {
                return Err(format!("{} is not in {}", day.date, self.year));
            }
            if !seen.insert(day.date) {
                return Err(format!("{} stands twice", day.date));
            }
            if day.name.trim().is_empty() || day.name.chars().count() > 20 {
                return Err(format!("{}: a name of 1 to 20 characters", day.date));
            }
        }
        Ok(())
    }

    fn change(&self, date: Date) -> Option<(bool, &str)> {
        let find = |days: &'_ [NamedDay]| days.iter().position(|day| day.date == date);
        if let Some(at) = find(&self.off) {
            return self.off.get(at).map(|day| (false, day.name.as_str()));
        }
        find(&self.work).and_then(|at| self.work.get(at)).map(|day| (true, day.name.as_str()))
    }
}

/// A date's kind and the layer's name for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DayIs {
    /// What it is.
    pub kind: DayKind,
    /// The holiday it belongs to.
    pub name: Option<String>,
}

/// A year of which no arrangement is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownYear {
    /// The country's.
    #[error(
        "the holidays and make-up workdays of {0} are not known here: import the signed calendar of {0} first"
    )]
    National(i16),
    /// A region's, which arranges days of its own in other years.
    #[error(
        "layer {layer} of the calendar has days of its own, and those of {year} are not known here: import its signed calendar \
         of {year} first, without any day if it changes nothing that year"
    )]
    Regional {
        /// The area's code.
        layer: String,
        /// The year.
        year: i16,
    },
}

impl UnknownYear {
    /// The year.
    pub fn year(&self) -> i16 {
        match self {
            Self::National(year) | Self::Regional { year, .. } => *year,
        }
    }
}

/// The layers that hold for a place: the country's, then the areas' from the outermost in.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    years: BTreeMap<(i16, usize), CalendarYear>,
    /// The layers of which any year is known, each by its place.
    layers: BTreeMap<usize, String>,
}

impl Calendar {
    /// A calendar of these years; each stands in the order in which its layer stands in `layers`, from the outermost in. Years
    /// of other layers are left out.
    pub fn new(years: impl IntoIterator<Item = CalendarYear>, layers: &[&str]) -> Self {
        let place = |layer: &str| layers.iter().position(|known| *known == layer);
        let known = years.into_iter().filter_map(|year| Some(((year.year, place(&year.layer)?), year)));
        let years: BTreeMap<(i16, usize), CalendarYear> = known.collect();
        let layers = years.iter().map(|((_, place), year)| (*place, year.layer.clone())).collect();
        Self { years, layers }
    }

    /// What `date` is; the innermost layer that speaks of it decides.
    ///
    /// # Errors
    /// The country's arrangement for its year is not known, or that of a region here that has arranged days of its own in
    /// any other year: it may have this year too, and a day is not guessed.
    pub fn on(&self, date: Date) -> Result<DayIs, UnknownYear> {
        let year = date.year();
        let layers = || self.years.range((year, 0)..=(year, usize::MAX)).map(|(_, layer)| layer);
        if !layers().any(|layer| layer.layer == NATIONAL) {
            return Err(UnknownYear::National(year));
        }
        let unknown = self.layers.iter().find(|(place, _)| !self.years.contains_key(&(year, **place)));
        if let Some((_, layer)) = unknown {
            return Err(UnknownYear::Regional { layer: layer.clone(), year });
        }
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        let change = layers().rev().find_map(|layer| layer.change(date));
        let (kind, name) = match (change, weekend) {
            (Some((true, name)), true) => (DayKind::MakeUp, Some(name)),
            (Some((true, name)), false) => (DayKind::Workday, Some(name)),
            (Some((false, name)), _) => (DayKind::Holiday, Some(name)),
            (None, true) => (DayKind::Weekend, None),
            (None, false) => (DayKind::Workday, None),
        };
        Ok(DayIs { kind, name: name.map(str::to_owned) })
    }

    /// The layers that are known for `year`, outermost first: layer and source.
    pub fn layers_of(&self, year: i16) -> Vec<(String, String)> {
        let layers = self.years.range((year, 0)..=(year, usize::MAX));
        layers.map(|(_, layer)| (layer.layer.clone(), layer.source.clone())).collect()
    }
}

/// The years that come with the program.
pub fn shipped() -> Vec<CalendarYear> {
    SHIPPED.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}

/// A calendar as it travels: the text that was signed, and by which key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedCalendar {
    /// A year as JSON text, exactly as it was signed.
    pub calendar: String,
    /// The key, as PEM.
    pub key: String,
    /// The Ed25519 signature, base64.
    pub signature: String,
}

/// Why a signed calendar is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// The key or the signature is not written as it should be.
    #[error("the file has no readable key or signature: ask for it again")]
    Unreadable,
    /// The signature is not of this text.
    #[error(
        "the signature does not belong to this calendar: it was changed after it was signed, or damaged on its way"
    )]
    Signature,
    /// It breaks a rule.
    #[error("{0}")]
    Rule(String),
}

impl SignedCalendar {
    /// Signs a year's text with what `sign` does.
    pub fn seal(text: String, key: &PublicKey, sign: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let signature = BASE64.encode(&sign(&message(&text)));
        Self { calendar: text, key: key.pem(), signature }
    }

    /// The year and the key that signed it. Whether that key is trusted is for the caller to say.
    ///
    /// # Errors
    /// The signature is not of this text, or the text is no calendar.
    pub fn open(&self) -> Result<(CalendarYear, PublicKey), BadCalendar> {
        let key = PublicKey::of_pem(&self.key).ok_or(BadCalendar::Unreadable)?;
        let signature = BASE64.decode(self.signature.as_bytes()).map_err(|_| BadCalendar::Unreadable)?;
        if !key.verifies(&message(&self.calendar), &signature) {
            return Err(BadCalendar::Signature);
        }
        let year: CalendarYear =
            serde_json::from_str(&self.calendar).map_err(|error| BadCalendar::Rule(error.to_string()))?;
        year.check().map_err(BadCalendar::Rule)?;
        Ok((year, key))
    }
}

fn message(text: &str) -> Vec<u8> {
    [DOMAIN, text.as_bytes()].concat()
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::evidence::key::EvidenceKey;

    /// Guangxi in 2017: two days of 三月三, by the government's order no. 98.
    pub(crate) fn guangxi_2017() -> CalendarYear {
        let day = |date, name: &str| NamedDay { date, name: name.into() };
        CalendarYear {
            layer: "450000".into(),
            year: 2017,
            source: "自治区人民政府令第98号".into(),
            off: vec![
                day(date(2017, 3, 30), "三月三"),
                day(date(2017, 3, 31), "三月三"),
                day(date(2017, 4, 1), "三月三"),
            ],
            work: vec![day(date(2017, 4, 8), "三月三")],
        }
    }

    #[test]
    fn guangxi_in_2017() {
        let years = || shipped().into_iter().chain([guangxi_2017()]);
        let country = Calendar::new(years(), &[NATIONAL]);
        let region = Calendar::new(years(), &[NATIONAL, "450000", "450100"]);
        let kinds = |calendar: &Calendar| {
            [date(2017, 3, 30), date(2017, 3, 31), date(2017, 4, 1), date(2017, 4, 3), date(2017, 4, 8)]
                .map(|date| calendar.on(date).unwrap().kind)
        };
        use DayKind::*;
        assert_eq!(kinds(&country), [Workday, Workday, MakeUp, Holiday, Weekend]);
        assert_eq!(kinds(&region), [Holiday, Holiday, Holiday, Holiday, MakeUp]);
    }

    #[test]
    fn a_year_nobody_gave_is_refused() {
        let calendar = Calendar::new(shipped(), &[NATIONAL, "450000"]);
        assert_eq!(calendar.on(date(2027, 1, 4)), Err(UnknownYear::National(2027)));
        assert_eq!(calendar.on(date(2026, 12, 31)).unwrap().kind, DayKind::Workday);
        // A region's own days do not stand in for the country's.
        let alone = Calendar::new([CalendarYear { year: 2027, ..guangxi_2017() }], &[NATIONAL, "450000"]);
        assert_eq!(alone.on(date(2027, 3, 30)), Err(UnknownYear::National(2027)));
    }

    #[test]
    fn a_region_that_arranges_days_must_say_so_for_every_year() {
        let layers = [NATIONAL, "450000", "450100"];
        let calendar = |more: Vec<CalendarYear>| {
            Calendar::new(shipped().into_iter().chain([guangxi_2017()]).chain(more), &layers)
        };
        // 2025 of the country is known; what Guangxi arranged in it is not, and is not guessed to be nothing.
        let unknown = UnknownYear::Regional { layer: "450000".into(), year: 2025 };
        assert_eq!(calendar(Vec::new()).on(date(2025, 3, 31)), Err(unknown.clone()));
        assert!(unknown.to_string().contains("450000") && unknown.to_string().contains("2025"));
        assert_eq!(calendar(Vec::new()).on(date(2017, 3, 30)).unwrap().kind, DayKind::Holiday);
        // A year in which it changes nothing is one that says so.
        let nothing = CalendarYear { year: 2025, off: Vec::new(), work: Vec::new(), ..guangxi_2017() };
        nothing.check().unwrap();
        assert_eq!(calendar(vec![nothing]).on(date(2025, 3, 31)).unwrap().kind, DayKind::Workday);
        // Another region's days ask nothing of this one, nor does a region that never arranged any.
        let elsewhere = Calendar::new(shipped().into_iter().chain([guangxi_2017()]), &[NATIONAL, "430000"]);
        assert_eq!(elsewhere.on(date(2025, 3, 31)).unwrap().kind, DayKind::Workday);
    }

    #[test]
    fn the_years_that_come_with_the_program_are_sound() {
        let years = shipped();
        assert_eq!(years.len(), SHIPPED.len());
        for year in &years {
            year.check().unwrap();
            assert_eq!(year.layer, NATIONAL);
            for day in &year.work {
                let weekend = matches!(day.date.weekday(), Weekday::Saturday | Weekday::Sunday);
                assert!(weekend, "{} is a workday already", day.date);
            }
        }
        // What the arrangement of each year comes to: days off beyond weekends, and made up.
        let counts: Vec<_> = years.iter().map(|y| (y.year, y.off.len(), y.work.len())).collect();
        assert_eq!(counts, [(2017, 26, 5), (2024, 28, 8), (2025, 28, 5), (2026, 33, 6)]);
    }

    #[test]
    fn a_changed_calendar_is_refused() {
        let key = EvidenceKey::generate().unwrap();
        let text = serde_json::to_string(&guangxi_2017()).unwrap();
        let sealed = SignedCalendar::seal(text, &key.public(), |message| key.sign(message));
        assert_eq!(sealed.open().unwrap(), (guangxi_2017(), key.public()));
        let mut changed = sealed.clone();
        changed.calendar = changed.calendar.replace("2017-04-08", "2017-04-09");
        assert_eq!(changed.open(), Err(BadCalendar::Signature));
        let other = SignedCalendar { key: EvidenceKey::generate().unwrap().public().pem(), ..sealed.clone() };
        assert_eq!(other.open(), Err(BadCalendar::Signature));
        // What signs without the calendar's own beginning signs no calendar.
        let bare = SignedCalendar {
            signature: BASE64.encode(&key.sign(sealed.calendar.as_bytes())),
            ..sealed.clone()
        };
        assert_eq!(bare.open(), Err(BadCalendar::Signature));
        assert_eq!(SignedCalendar { signature: "?".into(), ..sealed }.open(), Err(BadCalendar::Unreadable));
    }

    #[test]
    fn what_cannot_be_a_year_is_refused() {
        let bad = |change: fn(&mut CalendarYear)| {
            let mut year = guangxi_2017();
            change(&mut year);
            year.check().unwrap_err()
        };
        assert!(bad(|y| y.layer = "GX".into()).starts_with("layer"));
        assert!(bad(|y| y.year = 2018).contains("is not in 2018"));
        assert!(bad(|y| y.source = " ".into()).starts_with("source"));
        assert!(bad(|y| y.work[0].date = jiff::civil::date(2017, 3, 30)).contains("twice"));
        assert!(bad(|y| y.off[0].name = String::new()).contains("name"));
    }
}
