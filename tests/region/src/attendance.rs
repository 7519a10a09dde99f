//! Shifts and rosters of the demonstration: past days by the clock of usual life, today by the scripted day, whose shift begins when
//! the day does and is as short as the day is fast.

use jiff::{ToSpan, Zoned, civil::Date};
use serde_json::{Value, json};

use crate::plan::RegionPlan;

/// From the day's first punch to the beginning of its shift, and from there to its end, in seconds of the script.
const LEAD: f64 = 600.0;
const OPEN: f64 = 8.0 * 3600.0;
/// The latest time that a shift can name, s from its midnight.
const LATEST: u32 = 47 * 3600 + 59 * 60 + 59;

fn time(seconds: u32) -> String {
    let seconds = seconds.min(LATEST);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn mark(from: u32, due: u32, until: u32) -> Value {
    json!({"from": time(from), "due": time(due), "until": time(until)})
}

fn shift(id: &str, name: &str, from: Date, marks: [Value; 2], rules: Value) -> Value {
    let [start, end] = marks;
    json!({"id": id, "scope": "450000", "name": name, "periods": [
        {"from": from.to_string(), "name": "常年作息", "spans": [{"start": start, "end": end}], "rules": rules}]})
}

/// What the centre imports at its first start: a shift from nine to five, and everybody on it on workdays.
pub(crate) fn usual(plan: &RegionPlan) -> (Vec<Value>, Vec<Value>) {
    const HOUR: u32 = 3600;
    let marks = [mark(6 * HOUR, 9 * HOUR, 13 * HOUR), mark(13 * HOUR, 17 * HOUR, 23 * HOUR)];
    let begin = jiff::civil::date(2026, 1, 1);
    let regular =
        shift("regular", "窗口白班", begin, marks, json!({"half_absent_min": 30, "overtime_from_min": 30}));
    let roster = |hall: &crate::plan::HallPlan| json!({"hall": hall.id, "from": begin.to_string(), "pattern": {"kind": "workdays", "shift": "regular"}});
    (vec![regular], plan.halls.iter().map(roster).collect())
}

/// What the centre imports when the scripted day begins at `now`, local to the halls: today's shift, and everybody on it whatever
/// day of the week it is.
pub(crate) fn today(plan: &RegionPlan, now: &Zoned) -> anyhow::Result<String> {
    let began =
        u32::try_from(i64::from(now.hour()) * 3600 + i64::from(now.minute()) * 60 + i64::from(now.second()))?;
    let due = began + (LEAD / plan.speed) as u32;
    let end = (due + ((OPEN / plan.speed) as u32).max(60)).min(LATEST - 1);
    let noon = due + (end - due) / 2;
    let marks = [mark(began.saturating_sub(120), due, noon), mark(noon, end, LATEST)];
    let rules = json!({"grace_late_s": 0, "half_absent_min": 30});
    let date = now.date();
    let fast = shift("scripted-day", "演示班", date.saturating_sub(1.day()), marks, rules);
    let mut days = Vec::new();
    for hall in &plan.halls {
        for window in &hall.windows {
            days.push(json!({
                "hall": hall.id, "staff": window.clerk.0, "date": date.to_string(), "shift": "scripted-day",
            }));
        }
    }
    let file = json!({"shift": [fast], "roster_day": days});
    Ok(toml::Table::try_from(file)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shift_is_as_short_as_the_day_is_fast() {
        let plan = RegionPlan::of(1, 2, 0, "footage".into());
        let now: Zoned = "2026-11-28T13:00:00+08:00[Asia/Shanghai]".parse().unwrap();
        let file: toml::Table = today(&plan, &now).unwrap().parse().unwrap();
        let span = &file["shift"][0]["periods"][0]["spans"][0];
        assert_eq!(span["start"]["due"].as_str(), Some("13:00:20"));
        assert_eq!(span["end"]["due"].as_str(), Some("13:16:20"));
        assert_eq!(file["roster_day"].as_array().unwrap().len(), 2);
        assert_eq!(file["roster_day"][0]["date"].as_str(), Some("2026-11-28"));
    }
}
