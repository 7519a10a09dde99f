//! `/attendance/on-duty`: who is at each window, as three witnesses have it (the roster, the keypad's sign-in, the punch), each for
//! itself. They are never merged into one answer: where they differ, that is what somebody wants to see.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, WindowId};
use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    book::Book,
    day::{DayState, MarkState, Side},
    day_routes::{may_see, today},
    midnight,
};
use crate::{
    Centre,
    access::Person,
    areas, params,
    site::{extract::Asked, problem::Problem},
    store::{Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(on_duty))
}

/// Somebody signed in at a window's keypad.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct SignInRow {
    #[schema(value_type = String)]
    pub(super) window: WindowId,
    #[schema(value_type = String)]
    pub(super) from: UtcMillis,
    /// Until when; none: still.
    #[schema(value_type = Option<String>)]
    pub(super) until: Option<UtcMillis>,
}

/// Where and when somebody was signed in, in the order of time.
pub(super) fn sign_ins(
    sql: &mut dyn Sql,
    hall: &HallId,
    employee: &str,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<SignInRow>, StoreError> {
    let rows = sql.query(
        "SELECT win, at, until FROM sign_ins WHERE hall = $1 AND employee = $2 AND at >= $3 AND at < $4 ORDER BY at",
        params![hall, employee, from, to],
    )?;
    rows.iter()
        .map(|row| Ok(SignInRow { window: row.get(0)?, from: row.get(1)?, until: row.get(2)? }))
        .collect()
}

/// Somebody at a window, as each witness has it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct OnDuty {
    employee: String,
    /// Their name, where the directory has it.
    name: Option<String>,
    /// The roster has them at this window today.
    rostered: bool,
    /// Since when they are signed in at its keypad; none: they are not.
    #[schema(value_type = Option<String>)]
    signed_in: Option<UtcMillis>,
    /// Their first punch in of today; none: there is none on record.
    #[schema(value_type = Option<String>)]
    punched_in: Option<UtcMillis>,
    /// Their last punch out of today.
    #[schema(value_type = Option<String>)]
    punched_out: Option<UtcMillis>,
    /// What their day is so far.
    state: Option<DayState>,
}

/// A window and who is at it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct WindowDuty {
    #[schema(value_type = String)]
    window: WindowId,
    number: u32,
    name: String,
    people: Vec<OnDuty>,
}

/// A hall's windows and who is at them.
#[derive(Debug, Serialize, ToSchema)]
struct DutyPage {
    items: Vec<WindowDuty>,
    next: Option<String>,
    /// Up to when every terminal was read: later punches may be missing here.
    #[schema(value_type = Option<String>)]
    synced_to: Option<UtcMillis>,
    #[schema(value_type = String)]
    as_of: UtcMillis,
}

/// Of which hall.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DutyAsked {
    /// The hall.
    #[param(value_type = String)]
    hall: HallId,
}

/// Who is on duty at each window of a hall: by roster, by keypad sign-in and by punch, each for itself.
#[utoipa::path(get, path = "/attendance/on-duty", tag = "attendance", params(DutyAsked),
    responses((status = 200, body = DutyPage), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn on_duty(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<DutyAsked>,
) -> Result<Json<DutyPage>, Problem> {
    let now = centre.clock.now();
    let page = centre
        .store
        .read(move |sql| {
            may_see(sql, &person, &asked.hall)?;
            let date = today(sql, &asked.hall, now)?;
            let book = Book::open(sql, &asked.hall, (date, date), None, now)?;
            let mut people: BTreeMap<WindowId, Vec<OnDuty>> = BTreeMap::new();
            let mut known = BTreeMap::new();
            for clerk in &book.people {
                let Some(day) = book.days_of(clerk).pop() else { continue };
                let punch = |side: Side| {
                    let of = day.day.marks.iter().filter(move |mark| {
                        mark.side == side && !matches!(mark.state, MarkState::Corrected | MarkState::Excused)
                    });
                    of.filter_map(|mark| mark.at)
                };
                let one = OnDuty {
                    employee: clerk.number.clone(),
                    name: Some(clerk.name.clone()),
                    rostered: false,
                    signed_in: None,
                    punched_in: punch(Side::In).min(),
                    punched_out: punch(Side::Out).max(),
                    state: Some(day.day.state),
                };
                let works = !matches!(
                    day.day.state,
                    DayState::Rest | DayState::Unassigned | DayState::Leave | DayState::Trip
                );
                if let Some(window) = day.window.filter(|_| works) {
                    people.entry(window).or_default().push(OnDuty { rostered: true, ..one.clone() });
                }
                known.insert(clerk.number.clone(), one);
            }
            let signed = sql.query(
                "SELECT win, employee, at FROM sign_ins WHERE hall = $1 AND until IS NULL AND at >= $2 ORDER BY at",
                params![asked.hall, midnight(date, &book.zone)],
            )?;
            for row in &signed {
                let (window, employee, at): (WindowId, String, UtcMillis) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let at_window = people.entry(window).or_default();
                match at_window.iter_mut().find(|one| one.employee == employee) {
                    Some(one) => one.signed_in = Some(at),
                    None => at_window.push(known.get(&employee).map_or_else(
                        || OnDuty {
                            employee: employee.clone(),
                            name: None,
                            rostered: false,
                            signed_in: Some(at),
                            punched_in: None,
                            punched_out: None,
                            state: None,
                        },
                        |one| OnDuty { signed_in: Some(at), ..one.clone() },
                    )),
                }
            }
            let windows = areas::windows_of(sql, &asked.hall)?;
            let items = windows
                .into_iter()
                .map(|(window, number, name)| WindowDuty {
                    people: people.remove(&window).unwrap_or_default(),
                    window,
                    number,
                    name,
                })
                .collect();
            Ok::<_, Problem>(DutyPage { items, next: None, synced_to: book.known.synced, as_of: now })
        })
        .await?;
    Ok(Json(page))
}

/// How far around a mark its window's activity is evidence.
pub(super) fn around(date: jiff::civil::Date, zone: &jiff::tz::TimeZone) -> (UtcMillis, UtcMillis) {
    (midnight(date, zone), midnight(date.saturating_add(2.days()), zone))
}
