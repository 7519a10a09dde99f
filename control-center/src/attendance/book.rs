//! A hall's attendance over some dates: everything the rules need, read at once, and the days that come of it.

use std::collections::{BTreeMap, HashMap};

use control_protocol::{HallId, UtcMillis, WindowId};
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    calendar::{Calendar, DayIs, NATIONAL, UnknownYear},
    calendars, date_at, date_of,
    day::{Approved, Asked, Day, DayState, Known, REACH_DAYS, Timed, days},
    from_json, midnight,
    requests::Wanted,
    roster::{Assignment, Planned, RosterDay, planned},
    shift::Shift,
    terminal_clock::{Measured, hall_time},
    zone_of,
};
use crate::{
    access::{Denied, Place},
    areas::{self, Clerk},
    params,
    site::problem::Problem,
    store::{Sql, StoreError},
};

/// The longest stretch of dates that is read at once.
pub(super) const MOST_DAYS: i64 = 62;

/// Why a book cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBook {
    /// There is no such hall.
    #[error("there is no such hall")]
    Hall,
    /// The calendar does not know a year.
    #[error(transparent)]
    Calendar(#[from] UnknownYear),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoBook> for Problem {
    fn from(why: NoBook) -> Self {
        match why {
            NoBook::Hall => Denied::Outside.into(),
            NoBook::Calendar(unknown) => {
                Self::unprocessable(unknown.to_string()).named("urn:hallwatch:problem:calendar-unknown")
            }
            NoBook::Store(error) => error.into(),
        }
    }
}

/// An attendance terminal and how far it has been read.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct TerminalRow {
    /// Its position.
    pub(super) device: String,
    /// Its hall.
    #[schema(value_type = String)]
    pub(super) hall: HallId,
    /// `up silent degraded down unknown`.
    pub(super) health: String,
    /// Everything that it held then is on record; none: it was never read to its end.
    #[schema(value_type = Option<String>)]
    pub(super) synced_to: Option<UtcMillis>,
    /// Seconds that its clock was ahead when last measured.
    pub(super) clock_offset: Option<i64>,
}

/// A punch of somebody.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawPunch {
    pub(super) timed: Timed,
    pub(super) verify: u8,
    pub(super) live: bool,
}

/// A day of somebody, with what it came from.
#[derive(Debug, Clone)]
pub(super) struct PersonDay {
    pub(super) date: Date,
    pub(super) is: DayIs,
    /// The shift's id and version, its name and the timetable's.
    pub(super) shift: Option<ShiftOn>,
    pub(super) day: Day,
    /// The window of that day.
    pub(super) window: Option<WindowId>,
}

/// The shift that was asked on a date.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct ShiftOn {
    /// Its id.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// Which saved version of it.
    pub(super) version: i64,
    /// The timetable of the date, such as 夏令作息.
    pub(super) timetable: String,
}

/// A hall's attendance over some dates.
pub(super) struct Book {
    pub(super) hall: HallId,
    pub(super) name: String,
    /// The hall's people, by number.
    pub(super) people: Vec<Clerk>,
    pub(super) from: Date,
    pub(super) to: Date,
    pub(super) known: Known,
    pub(super) terminals: Vec<TerminalRow>,
    /// Layers of the calendar that hold, and where they are from.
    pub(super) layers: Vec<(String, String)>,
    /// Each date from the one before `from` to the one after `to`.
    dates: Vec<(Date, DayIs)>,
    shifts: HashMap<String, (Shift, i64)>,
    rosters: HashMap<String, Vec<Assignment>>,
    singles: HashMap<(String, Date), RosterDay>,
    wanted: HashMap<String, Vec<(String, Wanted)>>,
    pub(super) punches: HashMap<String, Vec<RawPunch>>,
    /// The hall's.
    pub(super) zone: TimeZone,
}

/// Terminals of a hall, with how far each was read.
pub(super) fn terminals(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<TerminalRow>, StoreError> {
    let mut rows = Vec::new();
    for (device, health, clock_offset) in areas::attendance_positions(sql, hall)? {
        let through = sql.query_one("SELECT through FROM punch_logs WHERE terminal = $1", params![device])?;
        rows.push(TerminalRow {
            hall: hall.clone(),
            health,
            synced_to: through.map(|row| row.get(0)).transpose()?,
            clock_offset,
            device,
        });
    }
    Ok(rows)
}

/// The calendar that holds at a place.
pub(super) fn calendar_at(sql: &mut dyn Sql, place: &Place) -> Result<Calendar, StoreError> {
    let years = calendars::known(sql)?;
    let mut layers = vec![NATIONAL];
    layers.extend(place.path().split('/').filter(|part| !part.is_empty()));
    Ok(Calendar::new(years, &layers))
}

impl Book {
    /// Reads what concerns `hall` from `from` to `to`; of one employee if one is named.
    ///
    /// # Errors
    /// There is no such hall, or the calendar does not know a year.
    pub(super) fn open(
        sql: &mut dyn Sql,
        hall: &HallId,
        (from, to): (Date, Date),
        employee: Option<&str>,
        now: UtcMillis,
    ) -> Result<Self, NoBook> {
        let to = to.min(from.saturating_add(MOST_DAYS.days()));
        let place = Place::of_hall(sql, hall)?.ok_or(NoBook::Hall)?;
        let zone = zone_of(sql, hall)?;
        let name = areas::hall_name(sql, hall)?.ok_or(NoBook::Hall)?;
        let calendar = calendar_at(sql, &place)?;
        let (first, last) = (from.saturating_sub(1.day()), to.saturating_add(1.day()));
        let mut dates = Vec::new();
        for date in first.series(1.day()).take_while(|date| *date <= last) {
            let is = match calendar.on(date) {
                Ok(is) => is,
                // The day beyond a known year's end asks nothing; those that are wanted must be known.
                Err(_) if date < from || date > to => {
                    DayIs { kind: super::calendar::DayKind::Holiday, name: None }
                }
                Err(unknown) => return Err(unknown.into()),
            };
            dates.push((date, is));
        }
        let mut people = areas::staff_of(sql, hall)?;
        if let Some(employee) = employee {
            people.retain(|clerk| clerk.number == employee);
        }
        let terminals = terminals(sql, hall)?;
        let synced = terminals.iter().map(|t| t.synced_to).min().flatten();
        let reach = REACH_DAYS.days();
        let (begin, end) =
            (midnight(from.saturating_sub(reach), &zone), midnight(to.saturating_add(reach), &zone));
        let mut book = Self {
            hall: hall.clone(),
            name,
            people,
            layers: calendar.layers_of(to.year()),
            from,
            to,
            known: Known { now, synced },
            dates,
            shifts: HashMap::new(),
            rosters: HashMap::new(),
            singles: HashMap::new(),
            wanted: HashMap::new(),
            punches: HashMap::new(),
            terminals,
            zone,
        };
        book.read_rosters(sql, employee, first, last)?;
        book.read_requests(sql, employee, first, last)?;
        book.read_punches(sql, employee, begin, end)?;
        Ok(book)
    }

    fn read_rosters(
        &mut self,
        sql: &mut dyn Sql,
        employee: Option<&str>,
        first: Date,
        last: Date,
    ) -> Result<(), StoreError> {
        let rows = sql.query("SELECT id, body, version FROM shifts", params![])?;
        for row in &rows {
            let body: String = row.get(1)?;
            self.shifts.insert(row.get(0)?, (from_json("a shift", &body)?, row.get(2)?));
        }
        let rows = sql.query(
            "SELECT employee, from_date, pattern FROM rosters WHERE hall = $1 AND from_date <= $2 \
             AND ($3 IS NULL OR employee = $3 OR employee = '') ORDER BY employee, from_date",
            params![self.hall, last.to_string(), employee],
        )?;
        for row in &rows {
            let (from, pattern): (String, String) = (row.get(1)?, row.get(2)?);
            let assignment = Assignment { from: date_of(&from)?, pattern: from_json("a roster", &pattern)? };
            self.rosters.entry(row.get(0)?).or_default().push(assignment);
        }
        let rows = sql.query(
            "SELECT employee, date, shift, win FROM roster_days WHERE hall = $1 AND date >= $2 AND date <= $3 \
             AND ($4 IS NULL OR employee = $4)",
            params![self.hall, first.to_string(), last.to_string(), employee],
        )?;
        for row in &rows {
            let date: String = row.get(1)?;
            let single = RosterDay { shift: row.get(2)?, window: row.get(3)? };
            self.singles.insert((row.get(0)?, date_of(&date)?), single);
        }
        Ok(())
    }

    fn read_requests(
        &mut self,
        sql: &mut dyn Sql,
        employee: Option<&str>,
        first: Date,
        last: Date,
    ) -> Result<(), StoreError> {
        let rows = sql.query(
            "SELECT id, employee, wanted FROM attendance_requests WHERE hall = $1 AND to_date >= $2 \
             AND from_date <= $3 AND state = 'approved' AND ($4 IS NULL OR employee = $4) ORDER BY decided_at, id",
            params![self.hall, first.to_string(), last.to_string(), employee],
        )?;
        for row in &rows {
            let wanted: String = row.get(2)?;
            let entry = (row.get(0)?, from_json("a request", &wanted)?);
            self.wanted.entry(row.get(1)?).or_default().push(entry);
        }
        Ok(())
    }

    fn read_punches(
        &mut self,
        sql: &mut dyn Sql,
        employee: Option<&str>,
        begin: UtcMillis,
        end: UtcMillis,
    ) -> Result<(), StoreError> {
        const COLUMNS: &str =
            "SELECT terminal, employee, punched_at, heard_at, verify, state, live FROM punches";
        let rows = match employee {
            Some(employee) => sql.query(
                &format!(
                    "{COLUMNS} WHERE hall = $1 AND employee = $2 AND punched_at >= $3 AND punched_at < $4"
                ),
                params![self.hall, employee, begin, end],
            )?,
            None => sql.query(
                &format!("{COLUMNS} WHERE hall = $1 AND punched_at >= $2 AND punched_at < $3"),
                params![self.hall, begin, end],
            )?,
        };
        let mut clocks: BTreeMap<String, Vec<Measured>> = BTreeMap::new();
        for row in &rows {
            let terminal: String = row.get(0)?;
            if !clocks.contains_key(&terminal) {
                clocks.insert(terminal.clone(), clock_of(sql, &terminal)?);
            }
            let (stamped, heard) = (row.get(2)?, row.get(3)?);
            let time = hall_time(stamped, heard, clocks.get(&terminal).map_or(&[], Vec::as_slice));
            let timed = Timed { terminal, stamped, time, state: row.get(5)? };
            let punch = RawPunch { timed, verify: row.get(4)?, live: row.get(6)? };
            self.punches.entry(row.get(1)?).or_default().push(punch);
        }
        Ok(())
    }

    /// What is planned for somebody on a date.
    fn planned(&self, number: &str, date: Date, is: &DayIs) -> Planned {
        let list = |of: &str| self.rosters.get(of).map_or(&[][..], Vec::as_slice);
        let single = self.singles.get(&(number.to_owned(), date));
        planned(date, is.kind, list(number), list(""), single)
    }

    /// Somebody's days, from the first date to the last.
    pub(super) fn days_of(&self, clerk: &Clerk) -> Vec<PersonDay> {
        let number = clerk.number.as_str();
        let mut asked = Vec::with_capacity(self.dates.len());
        let mut plans = Vec::with_capacity(self.dates.len());
        for (date, is) in &self.dates {
            let (plan, ask) = self.asked_of(number, *date, is);
            plans.push(plan);
            asked.push(ask);
        }
        let punches: Vec<Timed> = self.punches_of(number).iter().map(|punch| punch.timed.clone()).collect();
        let found = days(&asked, &punches, self.known);
        let mut rows = Vec::with_capacity(found.len());
        for (((date, is), plan), day) in self.dates.iter().zip(plans).zip(found) {
            if *date < self.from || *date > self.to {
                continue;
            }
            let single = self.singles.get(&(number.to_owned(), *date));
            let (shift, idle) = match plan {
                Ok(shift) => (Some(shift), DayState::Rest),
                Err(state) => (None, state),
            };
            rows.push(PersonDay {
                date: *date,
                is: is.clone(),
                shift,
                day: day.unwrap_or_else(|| Day::nothing(idle)),
                window: single.and_then(|single| single.window.clone()).or_else(|| clerk.window.clone()),
            });
        }
        rows
    }

    /// What is asked of somebody on a date: the shift and its times, or why there is none.
    fn asked_of(&self, number: &str, date: Date, is: &DayIs) -> (Result<ShiftOn, DayState>, Option<Asked>) {
        let id = match self.planned(number, date, is) {
            Planned::Shift(id) => id,
            Planned::Rest | Planned::Exempt => return (Err(DayState::Rest), None),
            Planned::Unassigned => return (Err(DayState::Unassigned), None),
        };
        let known = self.shifts.get(&id).and_then(|(shift, version)| Some((shift, version, shift.on(date)?)));
        let Some((shift, version, timetable)) = known else { return (Err(DayState::Unassigned), None) };
        let mut approved = Approved::default();
        for (request, wanted) in self.wanted.get(number).into_iter().flatten() {
            wanted.give(request, date, &mut approved);
        }
        let on =
            ShiftOn { id, name: shift.name.clone(), version: *version, timetable: timetable.name.clone() };
        (Ok(on), Some(Asked::new(date, timetable, approved, &self.zone)))
    }

    /// Today, in the hall.
    pub(super) fn today(&self) -> Date {
        date_at(self.known.now, &self.zone)
    }

    /// The dates, with what each is.
    pub(super) fn dates(&self) -> impl Iterator<Item = (Date, &DayIs)> {
        let wanted = |(date, _): &&(Date, DayIs)| self.from <= *date && *date <= self.to;
        self.dates.iter().filter(wanted).map(|(date, is)| (*date, is))
    }

    /// Somebody's punches around the dates, as the terminals have them.
    pub(super) fn punches_of(&self, number: &str) -> &[RawPunch] {
        self.punches.get(number).map_or(&[], Vec::as_slice)
    }

    /// Numbers that punched and are nobody's here.
    pub(super) fn strangers(&self) -> Vec<String> {
        let known: std::collections::HashSet<&str> =
            self.people.iter().map(|clerk| clerk.number.as_str()).collect();
        let mut numbers: Vec<String> =
            self.punches.keys().filter(|number| !known.contains(number.as_str())).cloned().collect();
        numbers.sort();
        numbers
    }
}

/// How a terminal's clock was off, in the order of time.
fn clock_of(sql: &mut dyn Sql, terminal: &str) -> Result<Vec<Measured>, StoreError> {
    let rows = sql.query(
        "SELECT from_at, until_at, seconds FROM terminal_clocks WHERE terminal = $1 ORDER BY from_at",
        params![terminal],
    )?;
    rows.iter()
        .map(|row| Ok(Measured { from: row.get(0)?, until: row.get(1)?, seconds: row.get(2)? }))
        .collect()
}
