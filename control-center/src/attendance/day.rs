//! What a day of somebody was (考勤日结果): from what was asked of them, their punches, what was approved, and how far the hall's
//! terminals have been read. Pure; the same facts give the same day, and every figure of a sheet is a sum of these.
//!
//! Nobody is absent before every terminal of the hall has been read past the shift; until then a day says what it waits for.

use control_protocol::UtcMillis;
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    requests::LeaveKind,
    shift::{DayTime, Mark, MissingMeans, Timetable},
    terminal_clock::{Certainty, HallTime},
};

/// Punches of one person this close, ms, are one.
const MERGE: i64 = 60_000;
/// How far around a date its shifts reach, days: a night shift ends on the next.
pub(super) const REACH_DAYS: i64 = 2;

/// A punch with the hall's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timed {
    /// The terminal's position.
    pub terminal: String,
    /// The terminal's own time.
    pub stamped: UtcMillis,
    /// The hall's.
    pub time: HallTime,
    /// In, out, … by the terminal's own code; 255: not said.
    pub state: u8,
}

/// Leave or a duty trip that was approved, for half a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "what", content = "leave")]
pub(super) enum Excuse {
    /// 请假.
    Leave(LeaveKind),
    /// 公出.
    Trip,
}

/// What was approved for a date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Approved {
    /// Forenoon and afternoon, with the request.
    pub halves: [Option<(Excuse, String)>; 2],
    /// Punches that are given (补卡): the mark's number, from 0, and the request.
    pub punches: Vec<(u8, String)>,
}

/// What is asked of somebody on a date, with its stretches as moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The date.
    pub date: Date,
    /// The shift's times on it.
    pub timetable: Timetable,
    /// What was approved.
    pub approved: Approved,
    /// Its marks, in order: in, out, in, out.
    marks: Vec<Due>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    due: i64,
    from: i64,
    until: i64,
    /// Nobody is asked for it.
    excused: bool,
}

/// In or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// 上班.
    In,
    /// 下班.
    Out,
}

/// How a mark stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MarkState {
    /// Punched in time.
    OnTime,
    /// Punched late.
    Late,
    /// Left early.
    Early,
    /// Given by an approved request (补卡).
    Corrected,
    /// Leave or a duty trip: nobody is asked for it.
    Excused,
    /// Not due yet.
    Upcoming,
    /// Due, not there, and may still come.
    Open,
    /// Not there, or not told: a terminal has not been read so far.
    Unsynced,
    /// Not there.
    Missing,
    /// There is a punch whose time is not known well enough.
    Unclear,
}

/// A mark of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct MarkRow {
    /// In or out.
    pub side: Side,
    /// When it is due.
    #[schema(value_type = String)]
    pub due: UtcMillis,
    /// From when a punch counts for it.
    #[schema(value_type = String)]
    pub from: UtcMillis,
    /// Until when.
    #[schema(value_type = String)]
    pub until: UtcMillis,
    /// How it stands.
    pub state: MarkState,
    /// The punch that counts, by the hall's clock.
    #[schema(value_type = Option<String>)]
    pub at: Option<UtcMillis>,
    /// Minutes late or early.
    pub minutes: u32,
    /// The request by which it is given.
    pub request: Option<String>,
}

/// What a day comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DayState {
    /// Nobody has said what is asked.
    Unassigned,
    /// A day off.
    Rest,
    /// Nothing is due yet.
    Upcoming,
    /// At work, so far as the punches say.
    Working,
    /// All as it should be.
    Normal,
    /// On a duty trip.
    Trip,
    /// On leave.
    Leave,
    /// Left early.
    Early,
    /// Came late.
    Late,
    /// A punch is missing.
    Missing,
    /// It waits for a terminal to be read.
    Unsynced,
    /// Due and not there yet.
    NotIn,
    /// A punch's time is not known well enough; somebody must look.
    Unclear,
    /// Absent for half the day.
    HalfAbsent,
    /// Absent.
    Absent,
}

/// How half a day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Half {
    /// Nothing is asked.
    Rest,
    /// It is not over, or not known yet.
    Open,
    /// There.
    Present,
    /// On leave.
    Leave(LeaveKind),
    /// On a duty trip.
    Trip,
    /// Absent.
    Absent,
}

/// A day's figures. Days are counted in halves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DayFigures)]
pub(super) struct Figures {
    /// Halves asked for (应出勤).
    pub due_halves: u32,
    /// Halves worked, duty trips among them (实出勤).
    pub worked_halves: u32,
    /// Times late.
    pub late: u32,
    /// Minutes late.
    pub late_min: u32,
    /// Times left early.
    pub early: u32,
    /// Minutes early.
    pub early_min: u32,
    /// Punches missing (缺卡).
    pub missing: u32,
    /// Halves absent (旷工).
    pub absent_halves: u32,
    /// Halves on duty trips (公出).
    pub trip_halves: u32,
    /// Punches given by request (补卡).
    pub corrected: u32,
    /// Minutes of service beyond hours (延时).
    pub overtime_min: u32,
}

/// A day of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    /// What it comes to.
    pub state: DayState,
    /// Its marks.
    pub marks: Vec<MarkRow>,
    /// Forenoon and afternoon.
    pub halves: [Half; 2],
    /// Its figures.
    pub figures: Figures,
    /// Whether nothing can change it any more but a correction.
    pub settled: bool,
}

/// How far things are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The present.
    pub now: UtcMillis,
    /// Up to when every terminal of the hall has been read; none: one of them never was.
    pub synced: Option<UtcMillis>,
}

/// When it is `time` on the clocks of `zone`. Of an hour that summer time takes away it is the moment after, of one that is
/// there twice the first.
fn moment(date: Date, time: DayTime, zone: &TimeZone) -> i64 {
    let local = date.at(0, 0, 0, 0).saturating_add(i64::from(time.seconds()).seconds());
    local.to_zoned(zone.clone()).map_or(0, |zoned| zoned.timestamp().as_millisecond())
}

impl Asked {
    /// What `timetable` asks on `date` in `zone`, less what was approved.
    pub(super) fn new(date: Date, timetable: Timetable, approved: Approved, zone: &TimeZone) -> Self {
        let mut spans = timetable.spans.clone();
        let excused = [approved.halves[0].is_some(), approved.halves[1].is_some()];
        // Leave of half a day cuts a day of one stretch in its middle.
        if let (Some(noon), [span]) = (timetable.noon(), spans.as_mut_slice()) {
            match excused {
                [true, false] => {
                    let cut = noon.between(span.end.due);
                    span.start = Mark { due: noon, from: span.start.from, until: cut };
                    span.end.from = cut.max(span.end.from).min(span.end.due);
                }
                [false, true] => {
                    let cut = span.start.due.between(noon);
                    span.start.until = cut.min(span.start.until);
                    span.end = Mark { due: noon, from: cut, until: span.end.until };
                }
                _ => {}
            }
        }
        let whole = spans.len() == 1;
        let due = |n: usize, mark: Mark| Due {
            due: moment(date, mark.due, zone),
            from: moment(date, mark.from, zone),
            until: moment(date, mark.until, zone),
            excused: if whole { excused == [true, true] } else { excused.get(n).copied().unwrap_or(false) },
        };
        let marks =
            spans.iter().enumerate().flat_map(|(n, span)| [due(n, span.start), due(n, span.end)]).collect();
        Self { date, timetable, approved, marks }
    }

    /// The last moment at which a punch counts for it.
    fn ends(&self) -> i64 {
        self.marks.last().map_or(0, |mark| mark.until)
    }

    /// The mark that a punch at `at` is for, and how far off it is: in its band; where bands of two days overlap, the nearest;
    /// what the terminal says of in and out decides only between equals.
    fn wants(&self, at: i64, state: u8) -> Option<(usize, (i64, bool))> {
        let says = |n: usize| match state {
            0 | 3 | 4 => n.is_multiple_of(2),
            1 | 2 | 5 => !n.is_multiple_of(2),
            _ => true,
        };
        let near = self.marks.iter().enumerate().filter(|(_, mark)| mark.from <= at && at <= mark.until);
        near.map(|(n, mark)| (n, ((at - mark.due).abs(), !says(n)))).min_by_key(|(_, off)| *off)
    }
}

/// The days of somebody, each of which asks something or nothing, from their punches. `days` must hold the days before and after
/// those that are wanted, so that a night shift's punches are not taken for the next day's; `punches` may be in any order.
pub(super) fn days(asked: &[Option<Asked>], punches: &[Timed], known: Known) -> Vec<Option<Day>> {
    let merged = merge(punches);
    let mut taken: Vec<Vec<Vec<&Timed>>> =
        asked.iter().map(|day| vec![Vec::new(); day.as_ref().map_or(0, |day| day.marks.len())]).collect();
    let mut doubtful: Vec<Vec<bool>> = taken.iter().map(|marks| vec![false; marks.len()]).collect();
    for punch in merged {
        if let Some((day, mark)) = whose(asked, punch.time.at.0, punch.state) {
            taken[day][mark].push(punch);
        }
        for other in &punch.time.or {
            if let Some((day, mark)) = whose(asked, other.0, punch.state) {
                doubtful[day][mark] = true;
            }
        }
        // What it is for may hang on which of its times is the true one.
        if let Some((day, mark)) = whose(asked, punch.time.at.0, punch.state)
            && !punch.time.or.is_empty()
        {
            doubtful[day][mark] = true;
        }
    }
    let mut found = Vec::with_capacity(asked.len());
    for (n, day) in asked.iter().enumerate() {
        found.push(day.as_ref().map(|day| judge(day, &taken[n], &doubtful[n], known)));
    }
    found
}

/// One punch for each press: what comes within a minute of the one before is the same; the raw ones are kept elsewhere.
fn merge(punches: &[Timed]) -> Vec<&Timed> {
    let mut sorted: Vec<&Timed> = punches.iter().collect();
    sorted.sort_by(|one, other| (one.time.at, &one.terminal).cmp(&(other.time.at, &other.terminal)));
    let mut kept: Vec<&Timed> = Vec::with_capacity(sorted.len());
    for punch in sorted {
        let same = |last: &&Timed| {
            punch.time.at.0 - last.time.at.0 < MERGE
                && (punch.time.certainty == Certainty::Uncertain)
                    == (last.time.certainty == Certainty::Uncertain)
        };
        if !kept.last().is_some_and(same) {
            kept.push(punch);
        }
    }
    kept
}

fn whose(asked: &[Option<Asked>], at: i64, state: u8) -> Option<(usize, usize)> {
    let wants = |(n, day): (usize, &Option<Asked>)| {
        day.as_ref().and_then(|day| day.wants(at, state)).map(|(mark, off)| (off, n, mark))
    };
    asked.iter().enumerate().filter_map(wants).min().map(|(_, day, mark)| (day, mark))
}

fn judge(day: &Asked, taken: &[Vec<&Timed>], doubtful: &[bool], known: Known) -> Day {
    let rules = &day.timetable.rules;
    let now = known.now.0;
    let synced = known.synced.map_or(i64::MIN, |synced| synced.0);
    let settled = now >= day.ends() && synced >= day.ends();
    let mut marks = Vec::with_capacity(day.marks.len());
    let mut off_by = Vec::with_capacity(day.marks.len());
    for (n, due) in day.marks.iter().enumerate() {
        let side = if n.is_multiple_of(2) { Side::In } else { Side::Out };
        let punches = taken.get(n).map_or(&[][..], Vec::as_slice);
        // Who came first is in, who left last is out.
        let punch = if side == Side::In { punches.first() } else { punches.last() };
        let request = day.approved.punches.iter().find(|(mark, _)| usize::from(*mark) == n);
        let uncertain = doubtful.get(n).copied().unwrap_or(false);
        let at = punch.map(|punch| punch.time.at);
        let off_at =
            |at: UtcMillis| (if side == Side::In { at.0 - due.due } else { due.due - at.0 }).div_euclid(1000);
        let off = at.map_or(0, off_at);
        let grace = i64::from(if side == Side::In { rules.grace_late_s } else { rules.grace_early_s });
        // Whatever the true time of an uncertain punch is, if all of them are in time it is.
        let good = |at: UtcMillis| due.from <= at.0 && at.0 <= due.until && off_at(at) <= grace;
        let in_time = punches.iter().any(|p| good(p.time.at) && p.time.or.iter().all(|or| good(*or)));
        let state = match at {
            _ if due.excused => MarkState::Excused,
            Some(_) if in_time => MarkState::OnTime,
            _ if request.is_some() => MarkState::Corrected,
            _ if uncertain => MarkState::Unclear,
            Some(_) if side == Side::In => MarkState::Late,
            Some(_) => MarkState::Early,
            None if now <= due.due + if side == Side::In { grace * 1000 } else { 0 } => MarkState::Upcoming,
            None if now <= due.until && synced < due.due => MarkState::Unsynced,
            None if now <= due.until => MarkState::Open,
            None if synced < due.until => MarkState::Unsynced,
            None => MarkState::Missing,
        };
        let counts = matches!(state, MarkState::Late | MarkState::Early);
        // A started minute that is not over counts only as the first.
        let minutes = if counts { u32::try_from(off / 60).unwrap_or(0).max(1) } else { 0 };
        off_by.push(if counts { off } else { 0 });
        marks.push(MarkRow {
            side,
            due: UtcMillis(due.due),
            from: UtcMillis(due.from),
            until: UtcMillis(due.until),
            state,
            at,
            minutes,
            request: request.filter(|_| state == MarkState::Corrected).map(|(_, id)| id.clone()),
        });
    }
    let halves = halves(day, &marks, &off_by, settled);
    let figures = figures(day, &marks, &halves, taken);
    let state = state_of(&marks, &halves, settled);
    Day { state, marks, halves, figures, settled }
}

/// Forenoon and afternoon.
fn halves(day: &Asked, marks: &[MarkRow], off_by: &[i64], settled: bool) -> [Half; 2] {
    let rules = &day.timetable.rules;
    let beyond = |n: usize, limit: Option<u32>| {
        limit.is_some_and(|limit| off_by.get(n).is_some_and(|off| *off >= i64::from(limit) * 60))
    };
    let there = |mark: &MarkRow| {
        matches!(mark.state, MarkState::OnTime | MarkState::Late | MarkState::Early | MarkState::Corrected)
    };
    let lost = |n: usize| {
        beyond(n, rules.half_absent_min)
            || marks.get(n).is_some_and(|m| m.state == MarkState::Missing)
                && rules.missing == MissingMeans::HalfAbsent
    };
    let of_span = |first: usize| -> [Half; 2] {
        let (Some(start), Some(end)) = (marks.get(first), marks.get(first + 1)) else {
            return [Half::Open; 2];
        };
        if [start, end].iter().any(|mark| mark.state == MarkState::Unclear) {
            return [Half::Open; 2];
        }
        if start.state == MarkState::Missing && end.state == MarkState::Missing {
            return if settled { [Half::Absent; 2] } else { [Half::Open; 2] };
        }
        if beyond(first, rules.absent_min) || beyond(first + 1, rules.absent_min) {
            return if settled { [Half::Absent; 2] } else { [Half::Open; 2] };
        }
        let half = |n: usize, over: bool| match (lost(n), settled) {
            (true, true) => Half::Absent,
            (true, false) => Half::Open,
            (false, _) if over && (there(start) || there(end)) => Half::Present,
            _ => Half::Open,
        };
        let over = settled || there(end);
        [half(first, over), half(first + 1, over)]
    };
    let excuse = |n: usize| {
        day.approved.halves[n].as_ref().map(|(excuse, _)| match excuse {
            Excuse::Leave(kind) => Half::Leave(*kind),
            Excuse::Trip => Half::Trip,
        })
    };
    let found = if marks.len() == 2 {
        let span = of_span(0);
        // With half of the day excused, either end speaks for the other half.
        match [excuse(0).is_some(), excuse(1).is_some()] {
            [true, false] | [false, true] if span.contains(&Half::Absent) => [Half::Absent; 2],
            _ => span,
        }
    } else {
        [0, 2].map(|first| {
            let span = of_span(first);
            if span.contains(&Half::Absent) {
                Half::Absent
            } else if span.contains(&Half::Open) {
                Half::Open
            } else {
                Half::Present
            }
        })
    };
    [excuse(0).unwrap_or(found[0]), excuse(1).unwrap_or(found[1])]
}

fn figures(day: &Asked, marks: &[MarkRow], halves: &[Half; 2], taken: &[Vec<&Timed>]) -> Figures {
    let mut figures = Figures { due_halves: 2, ..Figures::default() };
    for half in halves {
        match half {
            Half::Present => figures.worked_halves += 1,
            Half::Trip => {
                figures.worked_halves += 1;
                figures.trip_halves += 1;
            }
            Half::Absent => figures.absent_halves += 1,
            Half::Rest | Half::Open | Half::Leave(_) => {}
        }
    }
    for (n, mark) in marks.iter().enumerate() {
        // What made half a day's absence is not counted once more.
        let half = match (marks.len(), day.approved.halves[0].is_some(), day.approved.halves[1].is_some()) {
            (2, true, false) => 1,
            (2, false, true) => 0,
            (2, ..) => n,
            _ => n / 2,
        };
        let absent = halves.get(half) == Some(&Half::Absent);
        match mark.state {
            MarkState::Late if !absent => {
                figures.late += 1;
                figures.late_min += mark.minutes;
            }
            MarkState::Early if !absent => {
                figures.early += 1;
                figures.early_min += mark.minutes;
            }
            MarkState::Missing if !absent => figures.missing += 1,
            MarkState::Corrected => figures.corrected += 1,
            _ => {}
        }
    }
    if let Some(from) = day.timetable.rules.overtime_from_min
        && let (Some(last), Some(due)) = (taken.last().and_then(|punches| punches.last()), day.marks.last())
        && last.time.certainty != Certainty::Uncertain
        && !due.excused
    {
        let minutes = u32::try_from((last.time.at.0 - due.due) / 60_000).unwrap_or(0);
        figures.overtime_min = if minutes >= from { minutes } else { 0 };
    }
    figures
}

fn state_of(marks: &[MarkRow], halves: &[Half; 2], settled: bool) -> DayState {
    let any = |state: MarkState| marks.iter().any(|mark| mark.state == state);
    let absent = halves.iter().filter(|half| **half == Half::Absent).count();
    let excused = halves.iter().filter(|half| matches!(half, Half::Leave(_) | Half::Trip)).count();
    if absent > 0 {
        return if absent == 2 { DayState::Absent } else { DayState::HalfAbsent };
    }
    if any(MarkState::Unclear) {
        return DayState::Unclear;
    }
    if excused == 2 {
        let trip = halves.contains(&Half::Trip);
        return if trip { DayState::Trip } else { DayState::Leave };
    }
    // Who is not in and has punched nothing since the stretch began.
    let not_in = marks.chunks(2).any(|span| {
        span.first().is_some_and(|m| matches!(m.state, MarkState::Open | MarkState::Missing))
            && span.last().is_some_and(|m| m.state == MarkState::Upcoming)
    });
    if not_in {
        return DayState::NotIn;
    }
    if any(MarkState::Missing) {
        return DayState::Missing;
    }
    if any(MarkState::Unsynced) {
        return DayState::Unsynced;
    }
    if any(MarkState::Late) {
        return DayState::Late;
    }
    if any(MarkState::Early) {
        return DayState::Early;
    }
    let done =
        |mark: &MarkRow| matches!(mark.state, MarkState::OnTime | MarkState::Corrected | MarkState::Excused);
    if settled || marks.iter().all(done) {
        return DayState::Normal;
    }
    if marks.iter().all(|mark| matches!(mark.state, MarkState::Upcoming | MarkState::Excused)) {
        return DayState::Upcoming;
    }
    DayState::Working
}

impl Figures {
    /// Adds another day's.
    pub(super) fn add(&mut self, other: &Self) {
        self.due_halves += other.due_halves;
        self.worked_halves += other.worked_halves;
        self.late += other.late;
        self.late_min += other.late_min;
        self.early += other.early;
        self.early_min += other.early_min;
        self.missing += other.missing;
        self.absent_halves += other.absent_halves;
        self.trip_halves += other.trip_halves;
        self.corrected += other.corrected;
        self.overtime_min += other.overtime_min;
    }
}

impl Day {
    /// A day on which nothing is asked.
    pub(super) fn nothing(state: DayState) -> Self {
        Self { state, marks: Vec::new(), halves: [Half::Rest; 2], figures: Figures::default(), settled: true }
    }
}

#[cfg(test)]
#[path = "day_tests.rs"]
mod tests;
