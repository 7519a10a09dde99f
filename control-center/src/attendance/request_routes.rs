//! `/attendance/requests`: asked for by one person, decided by another, with what speaks for it beside it.

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, WindowId};
use http::StatusCode;
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    book::Book,
    change,
    day_routes::{DayRow, is_clerk, zone_name},
    duty::{self, SignInRow},
    from_json, midnight,
    requests::{Wanted, check_reason},
    to_json,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    areas,
    cases::{self, Served},
    params,
    pictures::{self, SeatSpell},
    site::{
        extract::{Asked, Given, Named},
        list::{Columns, Page, View},
        problem::Problem,
    },
    store::{Filter, Row, Sql, StoreError, Tx, new_id},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(list, ask))
        .routes(routes!(decide))
        .routes(routes!(withdraw))
        .routes(routes!(evidence))
}

/// A request.
#[derive(Debug, Serialize, ToSchema)]
struct RequestRow {
    id: String,
    #[schema(value_type = String)]
    hall: HallId,
    employee: String,
    /// Their name.
    name: Option<String>,
    wanted: Wanted,
    reason: String,
    asked_by: String,
    #[schema(value_type = String)]
    asked_at: UtcMillis,
    /// `asked approved refused withdrawn`.
    state: String,
    decided_by: Option<String>,
    #[schema(value_type = Option<String>)]
    decided_at: Option<UtcMillis>,
    /// What was said with the decision.
    note: Option<String>,
    /// Whether the reader may decide it: it is open, within their rights, and not their own.
    mine_to_decide: bool,
}

/// A request to file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RequestIs {
    #[schema(value_type = String)]
    hall: HallId,
    /// The clerk's number.
    employee: String,
    wanted: Wanted,
    /// Why, 1 to 500 characters.
    reason: String,
}

/// The id of what was filed.
#[derive(Debug, Serialize, ToSchema)]
struct RequestFiled {
    id: String,
}

/// A decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    approve: bool,
    /// What is said with it; a refusal says why.
    #[serde(default)]
    note: Option<String>,
}

/// What requests are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RequestsAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Of this clerk.
    employee: Option<String>,
    /// `asked approved refused withdrawn`.
    state: Option<String>,
    /// Of days on or after this date.
    #[param(value_type = Option<String>)]
    from: Option<Date>,
    /// Of days on or before this date.
    #[param(value_type = Option<String>)]
    to: Option<Date>,
}

const COLUMNS: &str = "r.id, r.hall, r.employee, s.name, r.wanted, r.reason, r.asked_by, r.asked_at, r.state, r.decided_by, \
     r.decided_at, r.note, h.path";
const TABLES: &str = "attendance_requests r JOIN halls h ON h.id = r.hall \
     LEFT JOIN staff s ON s.hall = r.hall AND s.number = r.employee";
const SORTS: Columns = Columns {
    sorts: &[
        ("asked", "r.asked_at"),
        ("employee", "r.employee"),
        ("date", "r.from_date"),
        ("state", "r.state"),
    ],
    id: "r.id",
    usual: "-asked",
};

fn read(row: &Row, reader: &Person) -> Result<RequestRow, StoreError> {
    let (wanted, path): (String, String) = (row.get(4)?, row.get(12)?);
    let (asked_by, state): (String, String) = (row.get(6)?, row.get(8)?);
    let may = may(reader, Action::HandleRequests, &Place::at(path)).is_ok();
    Ok(RequestRow {
        id: row.get(0)?,
        hall: row.get(1)?,
        employee: row.get(2)?,
        name: row.get(3)?,
        wanted: from_json("a request", &wanted)?,
        reason: row.get(5)?,
        mine_to_decide: may && state == "asked" && *asked_by != *reader.name,
        asked_by,
        asked_at: row.get(7)?,
        state,
        decided_by: row.get(9)?,
        decided_at: row.get(10)?,
        note: row.get(11)?,
    })
}

/// Requests, newest first unless sorted by `asked employee date state`.
#[utoipa::path(get, path = "/attendance/requests", tag = "attendance", params(RequestsAsked, View),
    responses((status = 200, body = Page<RequestRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<RequestsAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<RequestRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let order = SORTS.order(&view)?;
    let page = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeePunches);
            let (from, to) = (asked.from.map(|d| d.to_string()), asked.to.map(|d| d.to_string()));
            let mut filter = Filter::new();
            filter
                .within("h.path", &scope)
                .with("r.hall = ?", &asked.hall)
                .with("r.employee = ?", &asked.employee)
                .with("r.state = ?", &asked.state)
                .with("r.to_date >= ?", &from)
                .with("r.from_date <= ?", &to);
            order.page(sql, filter, COLUMNS, TABLES, |row| read(row, &person))
        })
        .await?;
    Ok(Json(page))
}

/// Files a request for a clerk.
#[utoipa::path(post, path = "/attendance/requests", tag = "attendance", request_body = RequestIs,
    responses((status = 201, body = RequestFiled), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn ask(
    State(centre): State<Centre>,
    person: Person,
    Given(new): Given<RequestIs>,
) -> Result<(StatusCode, Json<RequestFiled>), Problem> {
    let now = centre.clock.now();
    let id = new_id("ar")?;
    let filed = id.clone();
    let detail = serde_json::json!(new);
    change(&centre, person, "attendance.asked", id.clone(), &detail, move |tx, person| {
        let place = Place::of_hall(tx, &new.hall)?.ok_or(Denied::Outside)?;
        may(person, Action::HandleRequests, &place)?;
        new.wanted.check().map_err(Problem::unprocessable)?;
        check_reason("reason", &new.reason).map_err(Problem::unprocessable)?;
        if !is_clerk(tx, &new.hall, &new.employee)? {
            return Err(Problem::not_found(format!("there is no clerk {} in {}", new.employee, new.hall)));
        }
        let wanted = to_json(&new.wanted)?;
        let twice = tx.query_one(
            "SELECT 1 FROM attendance_requests WHERE hall = $1 AND employee = $2 AND wanted = $3 \
             AND state IN ('asked', 'approved')",
            params![new.hall, new.employee, wanted],
        )?;
        if twice.is_some() {
            return Err(Problem::conflict("the same was asked for already"));
        }
        let (from, to) = new.wanted.dates();
        tx.execute(
            "INSERT INTO attendance_requests (id, hall, employee, wanted, from_date, to_date, reason, asked_by, asked_at, state) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'asked')",
            params![
                filed,
                new.hall,
                new.employee,
                wanted,
                from.to_string(),
                to.to_string(),
                new.reason.trim(),
                &*person.name,
                now
            ],
        )?;
        Ok(())
    })
    .await?;
    Ok((StatusCode::CREATED, Json(RequestFiled { id })))
}

/// A request with its place, as `person` meets it.
fn found(sql: &mut dyn Sql, person: &Person, id: &str) -> Result<(RequestRow, Place), Problem> {
    let row = sql
        .query_one(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE r.id = $1"), params![id])?
        .ok_or(Denied::Outside)?;
    let place = Place::at(row.get::<String>(12)?);
    may(person, Action::SeePunches, &place)?;
    Ok((read(&row, person)?, place))
}

/// Ends an open request; a request is ended once.
fn end(
    tx: &mut Tx<'_>,
    id: &str,
    state: &str,
    by: &str,
    note: Option<&str>,
    now: UtcMillis,
) -> Result<(), Problem> {
    let changed = tx.execute(
        "UPDATE attendance_requests SET state = $2, decided_by = $3, decided_at = $4, note = $5 \
         WHERE id = $1 AND state = 'asked'",
        params![id, state, by, now, note],
    )?;
    if changed == 0 {
        return Err(Problem::conflict(
            "this request is decided already, and a decision stands: file another",
        ));
    }
    Ok(())
}

/// Approves or refuses a request of somebody else's.
#[utoipa::path(post, path = "/attendance/requests/{id}/decision", tag = "attendance", request_body = Decision,
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
async fn decide(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
    Given(decision): Given<Decision>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    let action = if decision.approve { "attendance.approved" } else { "attendance.refused" };
    let detail = serde_json::json!(decision);
    change(&centre, person, action, id.clone(), &detail, move |tx, person| {
        let (request, place) = found(tx, person, &id)?;
        may(person, Action::HandleRequests, &place)?;
        if *request.asked_by == *person.name {
            return Err(Problem::forbidden("who asked does not decide: somebody else must"));
        }
        let note = decision.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
        if let Some(note) = note {
            check_reason("note", note).map_err(Problem::unprocessable)?;
        } else if !decision.approve {
            return Err(Problem::unprocessable("note: say why it is refused"));
        }
        end(tx, &id, if decision.approve { "approved" } else { "refused" }, &person.name, note, now)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Withdraws an open request of one's own.
#[utoipa::path(post, path = "/attendance/requests/{id}/withdrawal", tag = "attendance",
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn withdraw(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    change(&centre, person, "attendance.withdrawn", id.clone(), &(), move |tx, person| {
        let (request, _) = found(tx, person, &id)?;
        if *request.asked_by != *person.name {
            return Err(Problem::forbidden("only who asked withdraws a request: refuse it instead"));
        }
        end(tx, &id, "withdrawn", &person.name, None, now)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What speaks for or against a request.
#[derive(Debug, Serialize, ToSchema)]
struct Evidence {
    request: RequestRow,
    /// The first day that it is of, as it stands without it.
    day: Option<DayRow>,
    /// Where and when they were signed in at a keypad that day.
    sign_ins: Vec<SignInRow>,
    /// What they called and served that day.
    served: Vec<Served>,
    /// Whether the seats of the windows they were to stand at, or were signed in at, were taken that day, as the cameras saw:
    /// somebody, not who. What no camera saw is `unknown`, never `empty`.
    seats: Vec<SeatSpell>,
    /// When the punch that is asked for was due; none of another request, and while the day asks nothing.
    #[schema(value_type = Option<String>)]
    due: Option<UtcMillis>,
    /// The hall's time zone.
    zone: String,
}

/// What is known of the day of a request: punches, sign-ins, and what their window did.
#[utoipa::path(get, path = "/attendance/requests/{id}/evidence", tag = "attendance",
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 200, body = Evidence), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn evidence(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<Json<Evidence>, Problem> {
    let now = centre.clock.now();
    let nodes = centre.nodes.clone();
    let found = centre
        .store
        .read(move |sql| {
            let (request, _) = found(sql, &person, &id)?;
            let (date, _) = request.wanted.dates();
            let book = Book::open(sql, &request.hall, (date, date), Some(&request.employee), now)?;
            let clerk = book.people.first().cloned();
            let day =
                clerk.and_then(|clerk| Some(DayRow::of(&request.hall, &clerk, book.days_of(&clerk).pop()?)));
            let (from, to) = duty::around(date, &book.zone);
            let sign_ins = duty::sign_ins(sql, &request.hall, &request.employee, from, to)?;
            let mut windows: Vec<WindowId> = sign_ins.iter().map(|sign_in| sign_in.window.clone()).collect();
            windows.extend(day.as_ref().and_then(DayRow::stands_at));
            windows.sort();
            windows.dedup();
            let due = request.wanted.mark().and_then(|mark| day.as_ref()?.due(mark));
            // To the end of the day or, of a night shift, past what was due; never beyond what has been heard of the hall.
            let day_ends = midnight(date.saturating_add(1.days()), &book.zone);
            let until = due.map_or(day_ends, |due| day_ends.max(due.plus(4 * 3_600_000))).min(now);
            let known_to = match nodes.registry().of_hall(&request.hall) {
                Some(_) => now,
                None => areas::last_heard(sql, &request.hall)?.unwrap_or(UtcMillis(i64::MIN)),
            };
            let seats = pictures::seat_spells(sql, &request.hall, &windows, (from, until), known_to)?;
            Ok::<_, Problem>(Evidence {
                served: cases::served_by(sql, &request.hall, &request.employee, from, to)?,
                due,
                zone: zone_name(&book.zone),
                sign_ins,
                seats,
                day,
                request,
            })
        })
        .await?;
    Ok(Json(found))
}
