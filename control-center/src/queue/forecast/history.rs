//! What past quarters say of a business: how long a window is taken by one case (EWMA by business and hour), and how many
//! tickets are to be expected in a quarter. Pure; times and sums come in.

use std::collections::HashMap;

use jiff::civil::Date;

use crate::statistics::Load;

/// The weight of a day against the one after it.
const FADING: f64 = 0.9;
/// How many cases the mean of the wider group counts for where a narrower one is thin.
const PRIOR: f64 = 8.0;
/// With fewer cases than this, faded, nothing can be said of service times.
const THIN: f64 = 5.0;
/// Past weekdays that are looked at for arrivals.
const WEEKS: i32 = 8;
/// How much a day so far may say that today is not like other such days.
const RATIO: std::ops::RangeInclusive<f64> = 0.5..=2.0;
/// How many tickets the usual day counts for against today's.
const RATIO_PRIOR: f64 = 20.0;

/// The sums of a past quarter of an hour and business, all windows together.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its day.
    pub day: Date,
    /// Its quarter, 0 to 95.
    pub quarter: u8,
    /// Its business.
    pub business: String,
    /// Its sums.
    pub load: Load,
}

/// How long one case takes a window, in seconds: from its call until the next can be called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occupation {
    /// The mean.
    pub mean_s: f64,
    /// The standard deviation.
    pub deviation_s: f64,
}

/// Sums of services that fade with age.
#[derive(Debug, Clone, Copy, Default)]
struct Faded {
    weight: f64,
    seconds: f64,
    squares: f64,
    reaches: f64,
    reach_s: f64,
}

impl Faded {
    fn add(&mut self, load: &Load, weight: f64) {
        self.weight += weight * load.services as f64;
        self.seconds += weight * load.service_ms as f64 / 1000.0;
        self.squares += weight * load.service_sq_s as f64;
        self.reaches += weight * load.reaches as f64;
        self.reach_s += weight * load.reach_ms as f64 / 1000.0;
    }

    /// This group's services with the mean of a wider one for [`PRIOR`] cases.
    fn with_prior(self, wider: &Self) -> Self {
        let share = |weight: f64| if weight > 0.0 { PRIOR / weight } else { 0.0 };
        let (of_services, of_reaches) = (share(wider.weight), share(wider.reaches));
        Self {
            weight: self.weight + of_services * wider.weight,
            seconds: self.seconds + of_services * wider.seconds,
            squares: self.squares + of_services * wider.squares,
            reaches: self.reaches + of_reaches * wider.reaches,
            reach_s: self.reach_s + of_reaches * wider.reach_s,
        }
    }
}

/// What is known of the past of one hall, seen from a moment.
#[derive(Debug, Clone)]
pub struct History {
    today: Date,
    now: u8,
    hall: Faded,
    businesses: HashMap<String, Faded>,
    hours: HashMap<(String, u8), Faded>,
    /// Tickets by business and quarter on usual days, and on how many of them.
    usual: HashMap<(String, u8), f64>,
    days: f64,
    /// Today's tickets ÷ the usual ones, so far.
    ratio: f64,
    recent: HashMap<String, f64>,
}

impl History {
    /// From the quarters of the past weeks and of today before quarter `now`. Later ones are not looked at.
    pub fn of(past: &[Past], today: Date, now: u8) -> Self {
        let mut history = Self {
            today,
            now,
            hall: Faded::default(),
            businesses: HashMap::new(),
            hours: HashMap::new(),
            usual: HashMap::new(),
            days: 0.0,
            ratio: 1.0,
            recent: HashMap::new(),
        };
        let age = |day: Date| (today - day).get_days();
        let known = |past: &&Past| past.day < today || (past.day == today && past.quarter < now);
        for past in past.iter().filter(known) {
            let weight = FADING.powi(age(past.day));
            history.hall.add(&past.load, weight);
            history.businesses.entry(past.business.clone()).or_default().add(&past.load, weight);
            history
                .hours
                .entry((past.business.clone(), past.quarter / 4))
                .or_default()
                .add(&past.load, weight);
        }
        history.arrivals_from(past.iter().filter(known), age);
        history
    }

    fn arrivals_from<'a>(&mut self, past: impl Iterator<Item = &'a Past> + Clone, age: impl Fn(Date) -> i32) {
        let came = |past: &&Past| past.load.arrivals > 0;
        let same_weekday = |past: &&Past| {
            let age = age(past.day);
            age > 0 && age % 7 == 0 && age <= WEEKS * 7
        };
        let before = |past: &&Past| past.day < self.today;
        let mut like: Vec<&Past> = past.clone().filter(came).filter(same_weekday).collect();
        if like.is_empty() {
            like = past.clone().filter(came).filter(before).collect();
        }
        let mut days: Vec<Date> = like.iter().map(|past| past.day).collect();
        days.sort_unstable();
        days.dedup();
        self.days = days.len() as f64;
        let mut so_far = 0.0;
        for past in like {
            let tickets = past.load.arrivals as f64 / self.days;
            *self.usual.entry((past.business.clone(), past.quarter)).or_default() += tickets;
            if past.quarter < self.now {
                so_far += tickets;
            }
        }
        let mut today = 0.0;
        for past in past.filter(came).filter(|past| past.day == self.today) {
            today += past.load.arrivals as f64;
            if past.quarter + 4 >= self.now {
                *self.recent.entry(past.business.clone()).or_default() += past.load.arrivals as f64 / 4.0;
            }
        }
        let ratio = (today + RATIO_PRIOR) / (so_far + RATIO_PRIOR);
        self.ratio = ratio.clamp(*RATIO.start(), *RATIO.end());
    }

    /// Whether too little is known of service times to count with them.
    pub fn is_thin(&self) -> bool {
        self.hall.weight < THIN
    }

    /// How long a case of `business` takes a window in the hour of quarter `quarter`, with `turnaround_s` seconds between the
    /// end of a service and the next call. None where [`Self::is_thin`].
    pub fn occupation(&self, business: &str, quarter: u8, turnaround_s: f64) -> Option<Occupation> {
        if self.is_thin() {
            return None;
        }
        let of_business = self.businesses.get(business).copied().unwrap_or_default().with_prior(&self.hall);
        let hour = self.hours.get(&(business.to_owned(), quarter / 4)).copied().unwrap_or_default();
        let all = hour.with_prior(&of_business);
        let mean = all.seconds / all.weight;
        let variance = (all.squares / all.weight - mean * mean).max(0.0);
        let reach = if all.reaches > 0.0 { all.reach_s / all.reaches } else { 0.0 };
        let mean_s = (mean + reach + turnaround_s).max(1.0);
        Some(Occupation { mean_s, deviation_s: variance.sqrt() })
    }

    /// Tickets of `business` to be expected in today's quarter `quarter`: those of the same weekday, times how today has
    /// gone so far; of any day where no such weekday is known; as in the last hour where no day is.
    pub fn arrivals(&self, business: &str, quarter: u8) -> f64 {
        if self.days == 0.0 {
            return self.recent.get(business).copied().unwrap_or(0.0);
        }
        self.usual.get(&(business.to_owned(), quarter)).copied().unwrap_or(0.0) * self.ratio
    }

    /// Every business that has had a ticket.
    pub fn businesses(&self) -> Vec<String> {
        let mut names: Vec<String> = self.usual.keys().map(|(name, _)| name.clone()).collect();
        names.extend(self.recent.keys().cloned());
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn past(day: Date, quarter: u8, business: &str, arrivals: i64, services: i64, mean_s: i64) -> Past {
        let load = Load {
            arrivals,
            services,
            service_ms: services * mean_s * 1000,
            service_sq_s: services * mean_s * mean_s,
            ..Load::default()
        };
        Past { day, quarter, business: business.into(), load }
    }

    #[test]
    fn newer_days_weigh_more_and_thin_groups_lean_on_wider_ones() {
        let today = date(2026, 11, 23);
        let old = past(date(2026, 11, 1), 36, "社保", 0, 100, 600);
        let new = past(date(2026, 11, 22), 36, "社保", 0, 100, 300);
        let history = History::of(&[old, new], today, 0);
        let mean = history.occupation("社保", 36, 0.0).unwrap().mean_s;
        assert!((300.0..360.0).contains(&mean), "{mean}");
        let with_pause = history.occupation("社保", 36, 20.0).unwrap().mean_s;
        assert!((with_pause - mean - 20.0).abs() < 1e-9);
        // Another hour and another business know nothing of their own.
        let other = history.occupation("税务", 60, 0.0).unwrap().mean_s;
        assert!((300.0..360.0).contains(&other));
        assert!(History::of(&[], today, 0).occupation("社保", 36, 0.0).is_none());
    }

    #[test]
    fn arrivals_follow_the_weekday_and_how_today_goes() {
        let today = date(2026, 11, 23);
        let week_ago = date(2026, 11, 16);
        let mut quarters = vec![
            past(week_ago, 36, "社保", 10, 0, 0),
            past(week_ago, 37, "社保", 8, 0, 0),
            past(date(2026, 11, 22), 37, "社保", 99, 0, 0),
        ];
        assert_eq!(History::of(&quarters, today, 36).arrivals("社保", 37), 8.0);
        // Forty came where ten were usual: (40 + 20) ÷ (10 + 20).
        quarters.push(past(today, 36, "社保", 40, 0, 0));
        assert_eq!(History::of(&quarters, today, 37).arrivals("社保", 37), 16.0);
        // What is not yet known is not looked at.
        assert_eq!(History::of(&quarters, today, 36).arrivals("社保", 37), 8.0);
        let alone = [past(today, 36, "社保", 8, 0, 0)];
        assert_eq!(History::of(&alone, today, 37).arrivals("社保", 37), 2.0, "a quarter of the last hour's");
    }
}
