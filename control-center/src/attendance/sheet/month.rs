//! A month's rows: each clerk's days as symbols, and their figures. Pure, from a hall's book.

use std::collections::BTreeMap;

use control_protocol::WindowId;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::attendance::{
    book::{Book, PersonDay},
    day::{DayState, Figures, Half, MarkState},
    requests::LeaveKind,
};

/// A clerk's month.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::attendance) struct MonthRow {
    pub(in crate::attendance) employee: String,
    pub(in crate::attendance) name: String,
    pub(in crate::attendance) unit: Option<String>,
    /// The window they usually stand at.
    #[schema(value_type = Option<String>)]
    pub(in crate::attendance) window: Option<WindowId>,
    /// Each date's cell.
    pub(in crate::attendance) days: Vec<DayCell>,
    /// The sums over days that have begun.
    pub(in crate::attendance) figures: Figures,
    /// Halves of each kind of leave.
    pub(in crate::attendance) leave_halves: BTreeMap<LeaveKind, u32>,
}

/// A date of somebody, as a sheet shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::attendance) struct DayCell {
    pub(in crate::attendance) state: DayState,
    /// √ present, △ late or early, ○ a punch missing, × absent, the first character of leave (事病年假调外他) or 公 for a trip;
    /// ？ not known yet, · not over; two halves that differ stand side by side.
    pub(in crate::attendance) symbol: String,
    pub(in crate::attendance) settled: bool,
}

/// Sums of rows.
#[derive(Debug, Clone, Default)]
pub(in crate::attendance) struct Sum {
    pub(in crate::attendance) figures: Figures,
    pub(in crate::attendance) leave_halves: BTreeMap<LeaveKind, u32>,
}

impl Sum {
    fn leave(&mut self, kind: LeaveKind, halves: u32) {
        *self.leave_halves.entry(kind).or_default() += halves;
    }

    /// The sums of these rows.
    pub(in crate::attendance) fn of<'a>(rows: impl IntoIterator<Item = &'a MonthRow>) -> Self {
        let mut sum = Self::default();
        for row in rows {
            sum.figures.add(&row.figures);
            for (kind, halves) in &row.leave_halves {
                sum.leave(*kind, *halves);
            }
        }
        sum
    }
}

/// A row for each clerk of the book, which is of a month. Days after `today` are shown and count nothing.
pub(in crate::attendance) fn month_rows(book: &Book, today: Date) -> Vec<MonthRow> {
    let row = |clerk| {
        let clerk: &crate::areas::Clerk = clerk;
        let days = book.days_of(clerk);
        let mut sum = Sum::default();
        for day in days.iter().filter(|day| day.date <= today) {
            sum.figures.add(&day.day.figures);
            for half in &day.day.halves {
                if let Half::Leave(kind) = half {
                    sum.leave(*kind, 1);
                }
            }
        }
        MonthRow {
            employee: clerk.number.clone(),
            name: clerk.name.clone(),
            unit: clerk.unit.clone(),
            window: clerk.window.clone(),
            days: days.iter().map(|day| cell(day, today)).collect(),
            figures: sum.figures,
            leave_halves: sum.leave_halves,
        }
    };
    book.people.iter().map(row).collect()
}

/// The character of a kind of leave.
pub(in crate::attendance) fn leave_symbol(kind: LeaveKind) -> &'static str {
    match kind {
        LeaveKind::Personal => "事",
        LeaveKind::Sick => "病",
        LeaveKind::Annual => "年",
        LeaveKind::Official => "假",
        LeaveKind::Swap => "调",
        LeaveKind::Errand => "外",
        LeaveKind::Other => "他",
    }
}

fn cell(day: &PersonDay, today: Date) -> DayCell {
    DayCell { state: day.day.state, symbol: symbol(day, today), settled: day.day.settled }
}

fn symbol(day: &PersonDay, today: Date) -> String {
    let blank = matches!(day.day.state, DayState::Rest | DayState::Unassigned | DayState::Upcoming);
    if blank && !day.day.halves.iter().any(|half| matches!(half, Half::Leave(_) | Half::Trip)) {
        return String::new();
    }
    let open = match day.day.state {
        DayState::Unsynced | DayState::Unclear => "？",
        _ if day.date > today => "",
        _ => "·",
    };
    let half = |half: &Half| match half {
        Half::Rest => "",
        Half::Open => open,
        Half::Present => "√",
        Half::Leave(kind) => leave_symbol(*kind),
        Half::Trip => "公",
        Half::Absent => "×",
    };
    let [first, second] = [half(&day.day.halves[0]), half(&day.day.halves[1])];
    let any = |states: &[MarkState]| day.day.marks.iter().any(|mark| states.contains(&mark.state));
    let mut found = String::new();
    // What made an absence is not shown once more.
    if day.day.figures.late + day.day.figures.early > 0 {
        found.push('△');
    }
    if day.day.figures.missing > 0 && any(&[MarkState::Missing]) {
        found.push('○');
    }
    match (first, second) {
        ("√", "√") if !found.is_empty() => found,
        (first, second) if first == second => format!("{first}{found}"),
        (first, second) => format!("{first}{second}{found}"),
    }
}
