//! `/attendance/days`, a month's rows, one person's days with everything they came from, and how far terminals were read.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, WindowId};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    book::{self, Book, PersonDay, ShiftOn, TerminalRow},
    calendar::DayIs,
    date_at,
    day::{DayState, Figures, Half, MarkRow},
    duty::{self, SignInRow},
    midnight,
    sheet::month::{MonthRow, month_rows},
    terminal_clock::Certainty,
    zone_of,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    areas::Clerk,
    cases::{self, Served},
    params,
    site::{
        extract::{Asked, Named},
        list::{Page, limit},
        problem::Problem,
    },
    store::{Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(days))
        .routes(routes!(month))
        .routes(routes!(person_days))
        .routes(routes!(terminals))
}

/// Today, in a hall.
pub(super) fn today(sql: &mut dyn Sql, hall: &HallId, now: UtcMillis) -> Result<Date, StoreError> {
    Ok(date_at(now, &zone_of(sql, hall)?))
}

/// A day of somebody.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct DayRow {
    #[schema(value_type = String)]
    hall: HallId,
    /// The clerk's number.
    employee: String,
    name: String,
    /// The department they come from.
    unit: Option<String>,
    /// The window of that day.
    #[schema(value_type = Option<String>)]
    window: Option<WindowId>,
    #[schema(value_type = String)]
    date: Date,
    /// Workday, holiday, …
    calendar: DayIs,
    /// What was asked; none: nothing.
    shift: Option<ShiftOn>,
    state: DayState,
    /// The day's punches as they are due, in order.
    marks: Vec<MarkRow>,
    /// Forenoon and afternoon.
    halves: [Half; 2],
    figures: Figures,
    /// Whether nothing but a correction can change it any more: the shift is over and every terminal was read past it.
    settled: bool,
}

impl DayRow {
    pub(super) fn of(hall: &HallId, clerk: &Clerk, day: PersonDay) -> Self {
        Self {
            hall: hall.clone(),
            employee: clerk.number.clone(),
            name: clerk.name.clone(),
            unit: clerk.unit.clone(),
            window: day.window,
            date: day.date,
            calendar: day.is,
            shift: day.shift,
            state: day.day.state,
            marks: day.day.marks,
            halves: day.day.halves,
            figures: day.day.figures,
            settled: day.day.settled,
        }
    }

    /// The window of that day.
    pub(super) fn stands_at(&self) -> Option<WindowId> {
        self.window.clone()
    }

    /// When the day's punch with this number was due.
    pub(super) fn due(&self, mark: u8) -> Option<UtcMillis> {
        self.marks.get(usize::from(mark)).map(|mark| mark.due)
    }
}

/// What a hall's days rest on.
#[derive(Debug, Serialize, ToSchema)]
struct HallDay {
    #[schema(value_type = String)]
    hall: HallId,
    name: String,
    /// Its time zone, by which its days are cut.
    zone: String,
    /// Up to when every terminal was read; none: one never was, or there is none.
    #[schema(value_type = Option<String>)]
    synced_to: Option<UtcMillis>,
    terminals: Vec<TerminalRow>,
    /// The calendar's layers that hold, outermost first, each with its source.
    calendar: Vec<(String, String)>,
    /// Numbers that punched around that day and are nobody's here.
    strangers: Vec<String>,
}

/// A day of halls.
#[derive(Debug, Serialize, ToSchema)]
struct DayPage {
    items: Vec<DayRow>,
    /// Where the next page begins, to be given as `after`; none when this is the last.
    next: Option<String>,
    #[schema(value_type = String)]
    date: Date,
    /// When this was so.
    #[schema(value_type = String)]
    as_of: UtcMillis,
    halls: Vec<HallDay>,
    /// How many are in which state, of all that were asked for and are on this page.
    counts: BTreeMap<DayState, usize>,
}

/// What days are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DaysAsked {
    /// Of this hall; of every hall of one's own unless given.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// The date, local to the halls; today in the first of them unless given.
    #[param(value_type = Option<String>)]
    date: Option<Date>,
    /// Only in this state.
    state: Option<String>,
    /// Of this clerk.
    employee: Option<String>,
    /// A page's `next`.
    after: Option<String>,
    /// The most rows.
    limit: Option<usize>,
}

/// The zone's name in the IANA database.
pub(super) fn zone_name(zone: &jiff::tz::TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// A hall that one may see attendance of.
pub(super) fn may_see(sql: &mut dyn Sql, person: &Person, hall: &HallId) -> Result<(), Problem> {
    let place = Place::of_hall(sql, hall)?.ok_or(Denied::Outside)?;
    Ok(may(person, Action::SeePunches, &place)?)
}

/// The halls whose attendance one may see, by id.
fn halls_of(sql: &mut dyn Sql, person: &Person) -> Result<Vec<HallId>, StoreError> {
    let scope = Scope::of(person, Action::SeePunches);
    let mut filter = crate::store::Filter::new();
    filter.within("h.path", &scope);
    let (statement, params) = filter.statement("SELECT h.id FROM halls h", "ORDER BY h.id", 100_000);
    sql.query(&statement, &params)?.iter().map(|row| row.get(0)).collect()
}

/// The days of people on one date, by hall and number, with how far the halls' terminals were read.
#[utoipa::path(get, path = "/attendance/days", tag = "attendance", params(DaysAsked),
    responses((status = 200, body = DayPage), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
async fn days(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<DaysAsked>,
) -> Result<Json<DayPage>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let now = centre.clock.now();
    let most = limit(asked.limit);
    let page = centre
        .store
        .read(move |sql| {
            let mut halls = match asked.hall {
                Some(hall) => {
                    may_see(sql, &person, &hall)?;
                    vec![hall]
                }
                None => halls_of(sql, &person)?,
            };
            let date = match (asked.date, halls.first()) {
                (Some(date), _) => date,
                (None, Some(hall)) => today(sql, hall, now)?,
                (None, None) => now.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date(),
            };
            let after = asked.after.as_deref().and_then(|after| after.split_once(' '));
            if let Some((hall, _)) = after {
                halls.retain(|known| known.as_str() >= hall);
            }
            let mut page = DayPage {
                items: Vec::new(),
                next: None,
                date,
                as_of: now,
                halls: Vec::new(),
                counts: BTreeMap::new(),
            };
            for hall in halls {
                let book = Book::open(sql, &hall, (date, date), asked.employee.as_deref(), now)?;
                for clerk in &book.people {
                    if after
                        .is_some_and(|(of, number)| of == hall.as_str() && clerk.number.as_str() <= number)
                    {
                        continue;
                    }
                    let Some(day) = book.days_of(clerk).pop() else { continue };
                    let row = DayRow::of(&hall, clerk, day);
                    if asked.state.as_ref().is_some_and(|state| !is_state(row.state, state)) {
                        continue;
                    }
                    if page.items.len() == most {
                        page.next = page.items.last().map(|row| format!("{} {}", row.hall, row.employee));
                        break;
                    }
                    *page.counts.entry(row.state).or_default() += 1;
                    page.items.push(row);
                }
                page.halls.push(HallDay {
                    hall,
                    name: book.name.clone(),
                    zone: zone_name(&book.zone),
                    synced_to: book.known.synced,
                    strangers: if asked.employee.is_none() { book.strangers() } else { Vec::new() },
                    terminals: book.terminals,
                    calendar: book.layers,
                });
                if page.next.is_some() {
                    break;
                }
            }
            Ok::<_, Problem>(page)
        })
        .await?;
    Ok(Json(page))
}

fn is_state(state: DayState, text: &str) -> bool {
    serde_json::to_value(state).is_ok_and(|value| value == text)
}

/// A month of a hall.
#[derive(Debug, Serialize, ToSchema)]
struct MonthPage {
    #[schema(value_type = String)]
    hall: HallId,
    name: String,
    /// The hall's time zone, by which its days are cut.
    zone: String,
    /// `yyyy-mm`.
    month: String,
    /// The dates, with what each is.
    dates: Vec<MonthDate>,
    items: Vec<MonthRow>,
    next: Option<String>,
    #[schema(value_type = Option<String>)]
    synced_to: Option<UtcMillis>,
    #[schema(value_type = String)]
    as_of: UtcMillis,
}

/// A date of a month.
#[derive(Debug, Serialize, ToSchema)]
struct MonthDate {
    #[schema(value_type = String)]
    date: Date,
    calendar: DayIs,
}

/// Of which hall.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfHall {
    /// The hall.
    #[param(value_type = String)]
    hall: HallId,
}

/// The first and the last date of `yyyy-mm`.
pub(super) fn month_of(text: &str) -> Result<(Date, Date), Problem> {
    let first = (text.len() == 7).then(|| format!("{text}-01").parse::<Date>().ok()).flatten();
    let first = first.ok_or_else(|| Problem::bad_request(format!("`{text}` is not a month: yyyy-mm")))?;
    Ok((first, first.last_of_month()))
}

/// A month of a hall, a row for each clerk: what the sheets hold.
#[utoipa::path(get, path = "/attendance/months/{month}", tag = "attendance", params(OfHall,
    ("month" = String, Path, description = "yyyy-mm")),
    responses((status = 200, body = MonthPage), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn month(
    State(centre): State<Centre>,
    person: Person,
    Named(month): Named<String>,
    Asked(asked): Asked<OfHall>,
) -> Result<Json<MonthPage>, Problem> {
    let now = centre.clock.now();
    let dates = month_of(&month)?;
    let page = centre
        .store
        .read(move |sql| {
            may_see(sql, &person, &asked.hall)?;
            let book = Book::open(sql, &asked.hall, dates, None, now)?;
            Ok::<_, Problem>(MonthPage {
                dates: book.dates().map(|(date, is)| MonthDate { date, calendar: is.clone() }).collect(),
                items: month_rows(&book, book.today()),
                next: None,
                hall: book.hall,
                name: book.name,
                zone: zone_name(&book.zone),
                month,
                synced_to: book.known.synced,
                as_of: now,
            })
        })
        .await?;
    Ok(Json(page))
}

/// A punch as it is on record.
#[derive(Debug, Serialize, ToSchema)]
struct PunchSeen {
    /// The terminal's position.
    device: String,
    /// What the terminal stamped.
    #[schema(value_type = String)]
    stamped_at: UtcMillis,
    /// By the hall's clock.
    #[schema(value_type = String)]
    at: UtcMillis,
    /// Seconds that the terminal was ahead.
    offset: i64,
    certainty: Certainty,
    /// What it may have been otherwise.
    #[schema(value_type = Vec<String>)]
    or: Vec<UtcMillis>,
    /// How the terminal recognised them, its own code.
    verify: u8,
    /// In, out, …: the terminal's own code; 255 where it does not say.
    state: u8,
    /// Whether a live event brought it first.
    live: bool,
    /// Whether it is the one that counts for a mark.
    counts: bool,
}

/// Somebody's days, and everything they came from.
#[derive(Debug, Serialize, ToSchema)]
struct PersonPage {
    #[schema(value_type = String)]
    hall: HallId,
    hall_name: String,
    /// The hall's time zone, by which its days are cut.
    zone: String,
    employee: String,
    name: String,
    unit: Option<String>,
    #[schema(value_type = Option<String>)]
    window: Option<WindowId>,
    days: Vec<DayRow>,
    /// Their punches in those days, as the terminals made them; none was ever changed.
    punches: Vec<PunchSeen>,
    /// When they were signed in at a window's keypad.
    sign_ins: Vec<SignInRow>,
    /// Tickets they called and served.
    served: Vec<Served>,
    #[schema(value_type = Option<String>)]
    synced_to: Option<UtcMillis>,
    #[schema(value_type = String)]
    as_of: UtcMillis,
}

/// Which days of somebody.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PersonAsked {
    /// The first date; the first of this month unless given.
    #[param(value_type = Option<String>)]
    from: Option<Date>,
    /// The last date, at most 62 days later; today unless given.
    #[param(value_type = Option<String>)]
    to: Option<Date>,
}

/// Somebody's days with their punches, corrections and what their window did.
#[utoipa::path(get, path = "/attendance/people/{hall}/{employee}", tag = "attendance", params(PersonAsked,
    ("hall" = String, Path, description = "hall id"), ("employee" = String, Path, description = "staff number")),
    responses((status = 200, body = PersonPage), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn person_days(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, employee)): Named<(HallId, String)>,
    Asked(asked): Asked<PersonAsked>,
) -> Result<Json<PersonPage>, Problem> {
    let now = centre.clock.now();
    let page = centre
        .store
        .read(move |sql| {
            may_see(sql, &person, &hall)?;
            let to = asked.to.map_or_else(|| today(sql, &hall, now), Ok)?;
            let from = asked.from.unwrap_or_else(|| to.first_of_month());
            if from > to || from.duration_until(to).as_hours() / 24 > book::MOST_DAYS {
                return Err(Problem::unprocessable(format!(
                    "from: at most {} days before to",
                    book::MOST_DAYS
                )));
            }
            let book = Book::open(sql, &hall, (from, to), Some(&employee), now)?;
            let clerk = book.people.first().cloned().ok_or(Denied::Outside)?;
            let days: Vec<DayRow> =
                book.days_of(&clerk).into_iter().map(|day| DayRow::of(&hall, &clerk, day)).collect();
            let counted: std::collections::HashSet<i64> =
                days.iter().flat_map(|day| &day.marks).filter_map(|mark| mark.at).map(|at| at.0).collect();
            let (begin, end) =
                (midnight(from, &book.zone), midnight(to.saturating_add(2.days()), &book.zone));
            let mut punches: Vec<PunchSeen> = book
                .punches_of(&employee)
                .iter()
                .filter(|punch| begin <= punch.timed.time.at && punch.timed.time.at < end)
                .map(|punch| PunchSeen {
                    device: punch.timed.terminal.clone(),
                    stamped_at: punch.timed.stamped,
                    at: punch.timed.time.at,
                    offset: (punch.timed.stamped.0 - punch.timed.time.at.0) / 1000,
                    certainty: punch.timed.time.certainty,
                    or: punch.timed.time.or.clone(),
                    verify: punch.verify,
                    state: punch.timed.state,
                    live: punch.live,
                    counts: counted.contains(&punch.timed.time.at.0),
                })
                .collect();
            punches.sort_by_key(|punch| punch.at);
            let synced_to = book.known.synced;
            Ok::<_, Problem>(PersonPage {
                sign_ins: duty::sign_ins(sql, &hall, &employee, begin, end)?,
                served: cases::served_by(sql, &hall, &employee, begin, end)?,
                hall_name: book.name,
                zone: zone_name(&book.zone),
                hall,
                employee,
                name: clerk.name,
                unit: clerk.unit,
                window: clerk.window,
                days,
                punches,
                synced_to,
                as_of: now,
            })
        })
        .await?;
    Ok(Json(page))
}

/// What terminals are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TerminalsAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
}

/// Attendance terminals: how each is, up to when it was read, and how far its clock is off.
#[utoipa::path(get, path = "/attendance/terminals", tag = "attendance", params(TerminalsAsked),
    responses((status = 200, body = Page<TerminalRow>), (status = 403, body = Problem)))]
async fn terminals(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<TerminalsAsked>,
) -> Result<Json<Page<TerminalRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let rows = centre
        .store
        .read(move |sql| {
            let halls = match asked.hall {
                Some(hall) => {
                    may_see(sql, &person, &hall)?;
                    vec![hall]
                }
                None => halls_of(sql, &person)?,
            };
            let mut rows = Vec::new();
            for hall in halls {
                rows.extend(book::terminals(sql, &hall)?);
            }
            Ok::<_, Problem>(rows)
        })
        .await?;
    Ok(Json(Page::whole(rows)))
}

/// Whether there is such a clerk in the hall.
pub(super) fn is_clerk(sql: &mut dyn Sql, hall: &HallId, employee: &str) -> Result<bool, StoreError> {
    let row =
        sql.query_one("SELECT 1 FROM staff WHERE hall = $1 AND number = $2", params![hall, employee])?;
    Ok(row.is_some())
}
