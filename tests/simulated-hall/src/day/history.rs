//! Past working days as readings, one JSON object a line, for an edge agent to take through its own case session.
//!
//! A line is `{"at":"2026-11-20T01:02:03.456Z","position":"450103-01-W07-keypad","fact":{…}}`; the fact is one of
//! `{"kind":"key","address":7,"digits":"","key":"call"}`, `{"kind":"grade","address":7,"raw":4}`,
//! `{"kind":"ticket","number":"A001","business":"社保","waiting":3}` and
//! `{"kind":"punch","employee":"1001","verify":1,"state":0}`. Lines are in order of time.

use std::io::{self, Write};

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};
use serde::Serialize;

use super::plan::Plan;
use super::script::Day;
use super::step::{Action, PressedKey};

/// Why the past cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The output failed.
    #[error("history: {0}")]
    Output(#[from] io::Error),
    /// A line cannot be written as JSON.
    #[error("history: {0}")]
    Json(#[from] serde_json::Error),
    /// The dates leave the calendar.
    #[error("history: {0}")]
    Calendar(#[from] jiff::Error),
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    position: String,
    fact: Fact<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Fact<'a> {
    Key { address: u8, digits: &'a str, key: PressedKey },
    Grade { address: u8, raw: u8 },
    Ticket { number: &'a str, business: &'a str, waiting: u32 },
    Punch { employee: &'a str, verify: u8, state: u8 },
}

/// Writes the `days` working days (Monday to Friday) before `today`, each from 8:50 in `zone` on and at its own
/// pace. Gives the number of lines.
///
/// # Errors
/// When the output fails or the dates leave the calendar.
pub fn write_history(
    out: &mut impl Write,
    seed: u64,
    plan: &Plan,
    hall: &str,
    today: Date,
    zone: &TimeZone,
    days: usize,
) -> Result<u64, HistoryError> {
    let mut dates = Vec::new();
    let mut date = today;
    while dates.len() < days {
        date = date.checked_sub(1.day())?;
        if !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            dates.push(date);
        }
    }
    let mut lines = 0;
    for date in dates.into_iter().rev() {
        let start = date.at(8, 50, 0, 0).to_zoned(zone.clone())?.timestamp();
        // Its own seed, which depends on the date alone: the same day looks the same tomorrow.
        let of_day = seed
            ^ (u64::from(date.year().unsigned_abs()) << 16 | u64::from(date.day_of_year().unsigned_abs()));
        for step in Day::new(of_day, plan.clone()) {
            let at = start.checked_add(SignedDuration::from_millis(step.at as i64))?;
            let window = |wanted: u8| plan.windows.iter().find(|window| window.number == wanted);
            let (place, fact) = match &step.action {
                Action::Ticket { number, business, waiting } => {
                    ("T01-ticket".to_owned(), Fact::Ticket { number, business, waiting: *waiting })
                }
                Action::Press { window: number, digits, key } => {
                    let address = window(*number).map_or(0, |window| window.keypad);
                    (format!("W{number:02}-keypad"), Fact::Key { address, digits, key: *key })
                }
                Action::Rate { window: number, raw } => {
                    let address = window(*number).map_or(0, |window| window.evaluator);
                    (format!("W{number:02}-evaluator"), Fact::Grade { address, raw: *raw })
                }
                Action::Punch { employee, state } => {
                    ("A01-attendance".to_owned(), Fact::Punch { employee, verify: 1, state: *state })
                }
            };
            let line = Line { at: format!("{at:.3}"), position: format!("{hall}-{place}"), fact };
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
            lines += 1;
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::{Business, Clerk, Window};

    #[test]
    fn fourteen_working_days_in_order() {
        let plan = Plan {
            businesses: vec![Business { name: "社保".into(), prefix: "A".into(), first: 1 }],
            clerks: vec![Clerk { number: "1001".into() }],
            windows: vec![Window { number: 7, keypad: 7, evaluator: 0x87, businesses: vec![0], clerk: 0 }],
            tickets: 30,
            ..Plan::default()
        };
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let mut out = Vec::new();
        let today = jiff::civil::date(2026, 11, 22);
        let lines = write_history(&mut out, 5, &plan, "450103-01", today, &zone, 14).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count() as u64, lines);
        let rows: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let times: Vec<&str> = rows.iter().map(|row| row["at"].as_str().unwrap()).collect();
        assert!(times.is_sorted());
        assert!(times[0].starts_with("2026-11-03T00:5") && times[0].len() == 24, "{}", times[0]);
        assert!(times.last().unwrap().starts_with("2026-11-20T"));
        let of = |kind: &str| rows.iter().find(|row| row["fact"]["kind"] == kind).unwrap().clone();
        assert_eq!(of("key")["position"], "450103-01-W07-keypad");
        assert_eq!(of("key")["fact"]["key"], "function");
        assert_eq!(of("grade")["fact"]["address"], 0x87);
        assert_eq!(of("ticket")["fact"]["number"], "A001");
        assert_eq!(of("punch")["fact"]["employee"], "1001");
    }
}
