//! Presets of the wall (预案): layouts saved with their cameras and, if wanted, a patrol (轮巡); each of one person, and
//! shared with the people of an area or hall if the owner says so. Owns the table `wall_presets` and the rules of what can
//! be saved; never decides what a camera shows, and tells nobody of a camera that is not theirs.

mod routes;

use std::collections::HashSet;

use control_protocol::CameraId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use routes::routes;

/// The wall's layouts, as the page names them.
const LAYOUTS: [&str; 8] = ["1", "4", "9", "16", "25", "36", "64", "1+5"];
/// The most cameras of a preset: the most tiles of a page.
const MOST_CAMERAS: usize = 200;
/// The most presets of one person.
const MOST_PRESETS: i64 = 100;
/// The longest name, in characters.
const LONGEST_NAME: usize = 60;
/// How long a patrol may stay on a page, s.
const DWELL: std::ops::RangeInclusive<u32> = 5..=3600;
/// The most stretches of a schedule.
const MOST_HOURS: usize = 14;

/// What a preset shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wall {
    /// `1 4 9 16 25 36 64 1+5`.
    layout: String,
    /// Its cameras, in their order on the wall.
    #[schema(value_type = Vec<String>)]
    cameras: Vec<CameraId>,
    /// How its pages follow each other by themselves; none: they do not.
    #[serde(default)]
    patrol: Option<Patrol>,
}

/// A patrol through the pages of a wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patrol {
    /// How long it stays on each page, s: 5 to 3600.
    dwell: u32,
    /// `page`: as many cameras as fit; `hall`: every hall begins a page of its own.
    groups: Groups,
    /// `tree`: in the order of the tree; `risk`: faults, bad ratings and long waits first.
    order: Order,
    /// When it runs, in the reader's local time; nothing: always.
    #[serde(default)]
    hours: Vec<Hours>,
}

/// What begins a new page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Groups {
    Page,
    Hall,
}

/// In which order cameras are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    Tree,
    Risk,
}

/// A stretch of some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hours {
    /// 1 Monday to 7 Sunday.
    days: Vec<u8>,
    /// `HH:MM`.
    from: String,
    /// `HH:MM`, later than `from`; `24:00` is the day's end.
    to: String,
}

impl Wall {
    /// What cannot be saved, in words that say what to change.
    fn check(&self) -> Result<(), String> {
        if !LAYOUTS.contains(&self.layout.as_str()) {
            return Err(format!("layout: one of {}", LAYOUTS.join(" ")));
        }
        if self.cameras.is_empty() || self.cameras.len() > MOST_CAMERAS {
            return Err(format!("cameras: from 1 to {MOST_CAMERAS}"));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.cameras.iter().find(|camera| !seen.insert(*camera)) {
            return Err(format!("cameras: {twice} stands twice"));
        }
        self.patrol.as_ref().map_or(Ok(()), Patrol::check)
    }
}

impl Patrol {
    fn check(&self) -> Result<(), String> {
        if !DWELL.contains(&self.dwell) {
            return Err(format!("dwell: from {} to {} seconds", DWELL.start(), DWELL.end()));
        }
        if self.hours.len() > MOST_HOURS {
            return Err(format!("hours: at most {MOST_HOURS} stretches"));
        }
        for hours in &self.hours {
            let days = !hours.days.is_empty() && hours.days.iter().all(|day| (1..=7).contains(day));
            match (days, minutes(&hours.from), minutes(&hours.to)) {
                (true, Some(from), Some(to)) if from < to => {}
                _ => {
                    return Err("hours: days from 1 (Monday) to 7, and `from` before `to`, both HH:MM".into());
                }
            }
        }
        Ok(())
    }
}

/// `HH:MM` as minutes of the day, up to `24:00`.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

/// What cannot be a name.
fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if name.trim() != name || length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("name: from 1 to {LONGEST_NAME} characters, no spaces at its ends"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
