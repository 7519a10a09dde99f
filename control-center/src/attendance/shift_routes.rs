//! `/attendance/shifts`: shifts, each for the halls of an area or for one hall. Every saved version stays.

use axum::{Json, extract::State};
use control_protocol::UtcMillis;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{change, from_json, shift::Shift, to_json};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    areas::tree::BadTree,
    params,
    site::{
        extract::{Asked, Given, Named},
        list::{Page, Sort, View, page_of},
        problem::Problem,
    },
    store::{Sql, StoreError, Tx, new_id},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(set, remove)).routes(routes!(versions))
}

/// A shift, with where it holds.
#[derive(Debug, Serialize, ToSchema)]
struct ShiftRow {
    id: String,
    /// The area whose halls may use it, or the hall.
    scope: String,
    /// Which saved version this is, from 1.
    version: i64,
    changed_by: String,
    #[schema(value_type = String)]
    changed_at: UtcMillis,
    /// Whether the reader may change it.
    mine: bool,
    shift: Shift,
}

/// A shift to add.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewShift {
    /// The area whose halls may use it, or the hall.
    scope: String,
    shift: Shift,
}

/// The id of what was saved.
#[derive(Debug, Serialize, ToSchema)]
struct ShiftSaved {
    id: String,
}

/// What shifts are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ShiftsAsked {
    /// Those that this hall may use.
    hall: Option<String>,
}

/// Saves a shift under `id`: the first version, or the next where it differs from the last.
///
/// # Errors
/// It breaks a rule, or there is no such scope.
pub fn put_shift(
    tx: &mut Tx<'_>,
    id: &str,
    scope: &str,
    shift: &Shift,
    by: &str,
    now: UtcMillis,
) -> Result<(), BadTree> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if id.is_empty() || id.len() > 40 || !id.bytes().all(plain) {
        return Err(BadTree::Rule(format!("`{id}` is not a shift's id: 1 to 40 letters, digits, - _")));
    }
    shift.check().map_err(|why| BadTree::Rule(format!("shift {id}: {why}")))?;
    if Place::of_scope(tx, scope)?.is_none() {
        return Err(BadTree::Missing(format!("there is no area or hall {scope}: add it first")));
    }
    let body = to_json(shift)?;
    let before = tx.query_one("SELECT version, body, removed FROM shifts WHERE id = $1", params![id])?;
    let mut version = 1_i64;
    if let Some(row) = before {
        if row.get::<String>(1)? == body && !row.get::<bool>(2)? {
            return Ok(());
        }
        version = row.get::<i64>(0)? + 1;
    }
    tx.execute(
        "INSERT INTO shifts (id, scope, version, body, changed_by, changed_at, removed) VALUES ($1, $2, $3, $4, $5, $6, 0) \
         ON CONFLICT (id) DO UPDATE SET version = $3, body = $4, changed_by = $5, changed_at = $6, removed = 0",
        params![id, scope, version, body, by, now],
    )?;
    tx.execute(
        "INSERT INTO shift_versions (id, version, body, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5)",
        params![id, version, body, by, now],
    )?;
    Ok(())
}

/// The place of a shift's scope; `None`: there is no such shift.
fn place_of(sql: &mut dyn Sql, id: &str) -> Result<Option<(Place, String)>, StoreError> {
    let row = sql.query_one("SELECT scope FROM shifts WHERE id = $1 AND removed = 0", params![id])?;
    let Some(scope) = row.map(|row| row.get::<String>(0)).transpose()? else { return Ok(None) };
    Ok(Place::of_scope(sql, &scope)?.map(|place| (place, scope)))
}

/// Whether the halls at `place` may use this shift.
pub(super) fn usable(sql: &mut dyn Sql, id: &str, place: &Place) -> Result<bool, StoreError> {
    Ok(place_of(sql, id)?.is_some_and(|(of, _)| place.path().starts_with(of.path())))
}

const SORTS: [Sort<ShiftRow>; 3] = [
    ("name", |a, b| a.shift.name.cmp(&b.shift.name)),
    ("scope", |a, b| a.scope.cmp(&b.scope)),
    ("changed", |a, b| a.changed_at.cmp(&b.changed_at)),
];

/// Shifts that hold where one may see attendance, by name unless sorted by `name scope changed`.
#[utoipa::path(get, path = "/attendance/shifts", tag = "attendance", params(ShiftsAsked, View),
    responses((status = 200, body = Page<ShiftRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<ShiftsAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<ShiftRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeePunches);
            let hall = match &asked.hall {
                Some(hall) => Some(Place::of_scope(sql, hall)?.ok_or(Denied::Outside)?),
                None => None,
            };
            let rows = sql.query(
                "SELECT s.id, s.scope, s.version, s.changed_by, s.changed_at, s.body, COALESCE(a.path, h.path) \
                 FROM shifts s LEFT JOIN areas a ON a.id = s.scope LEFT JOIN halls h ON h.id = s.scope \
                 WHERE s.removed = 0 LIMIT 5000",
                params![],
            )?;
            let mut found = Vec::new();
            for row in &rows {
                let Some(path) = row.get::<Option<String>>(6)? else { continue };
                // A shift of an area is used in all halls below, by whoever keeps one of them.
                let theirs = scope.holds(&path) || scope.reaches_into(&path);
                if !theirs || hall.as_ref().is_some_and(|hall| !hall.path().starts_with(&path)) {
                    continue;
                }
                let body: String = row.get(5)?;
                found.push(ShiftRow {
                    id: row.get(0)?,
                    scope: row.get(1)?,
                    version: row.get(2)?,
                    changed_by: row.get(3)?,
                    changed_at: row.get(4)?,
                    mine: may(&person, Action::KeepAttendance, &Place::at(path)).is_ok(),
                    shift: from_json("a shift", &body)?,
                });
            }
            Ok::<_, Problem>(found)
        })
        .await?;
    page_of(rows, &view, &SORTS, "name", |row| row.id.clone()).map(Json)
}

/// Adds a shift.
#[utoipa::path(post, path = "/attendance/shifts", tag = "attendance", request_body = NewShift,
    responses((status = 201, body = ShiftSaved), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
async fn add(
    State(centre): State<Centre>,
    person: Person,
    Given(new): Given<NewShift>,
) -> Result<(StatusCode, Json<ShiftSaved>), Problem> {
    let id = new_id("sh")?;
    let (saved, now) = (id.clone(), centre.clock.now());
    let detail = serde_json::json!(new);
    change(&centre, person, "shift.added", id.clone(), &detail, move |tx, person| {
        let place = Place::of_scope(tx, &new.scope)?.ok_or(Denied::Outside)?;
        may(person, Action::KeepAttendance, &place)?;
        Ok(put_shift(tx, &saved, &new.scope, &new.shift, &person.name, now)?)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(ShiftSaved { id })))
}

/// Saves another version of a shift. It holds from then on for every date; what the days before were judged by is in the versions
/// and in the audit log. To change times from a date on, add a timetable.
#[utoipa::path(put, path = "/attendance/shifts/{id}", tag = "attendance", request_body = Shift,
    params(("id" = String, Path, description = "the shift's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
    Given(shift): Given<Shift>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    let detail = serde_json::json!(shift);
    change(&centre, person, "shift.changed", id.clone(), &detail, move |tx, person| {
        let (place, scope) = place_of(tx, &id)?.ok_or(Denied::Outside)?;
        may(person, Action::KeepAttendance, &place)?;
        Ok(put_shift(tx, &id, &scope, &shift, &person.name, now)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a shift off the list. Days that it was asked of keep it; who is still on it must be moved first.
#[utoipa::path(delete, path = "/attendance/shifts/{id}", tag = "attendance",
    params(("id" = String, Path, description = "the shift's id")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn remove(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    change(&centre, person, "shift.removed", id.clone(), &(), move |tx, person| {
        let (place, _) = place_of(tx, &id)?.ok_or(Denied::Outside)?;
        may(person, Action::KeepAttendance, &place)?;
        // The last word of somebody's roster names it.
        let used = tx.query(
            "SELECT r.pattern FROM rosters r WHERE r.from_date = (SELECT MAX(l.from_date) FROM rosters l \
             WHERE l.hall = r.hall AND l.employee = r.employee)",
            params![],
        )?;
        for row in &used {
            let pattern: super::Pattern = from_json("a roster", &row.get::<String>(0)?)?;
            if pattern.shifts().contains(&id.as_str()) {
                return Err(Problem::conflict("somebody is on this shift: put them on another first"));
            }
        }
        tx.execute("UPDATE shifts SET removed = 1 WHERE id = $1", params![id])?;
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A saved version of a shift.
#[derive(Debug, Serialize, ToSchema)]
struct VersionRow {
    version: i64,
    changed_by: String,
    #[schema(value_type = String)]
    changed_at: UtcMillis,
    shift: Shift,
}

/// Every saved version of a shift, newest first.
#[utoipa::path(get, path = "/attendance/shifts/{id}/versions", tag = "attendance",
    params(("id" = String, Path, description = "the shift's id")),
    responses((status = 200, body = Page<VersionRow>), (status = 404, body = Problem)))]
async fn versions(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<Json<Page<VersionRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let rows = centre
        .store
        .read(move |sql| {
            let (place, _) = place_of(sql, &id)?.ok_or(Denied::Outside)?;
            let scope = Scope::of(&person, Action::SeePunches);
            if !scope.holds(place.path()) && !scope.reaches_into(place.path()) {
                return Err(Problem::from(Denied::Outside));
            }
            let rows = sql.query(
                "SELECT version, changed_by, changed_at, body FROM shift_versions WHERE id = $1 ORDER BY version DESC LIMIT 500",
                params![id],
            )?;
            rows.iter()
                .map(|row| {
                    let body: String = row.get(3)?;
                    Ok(VersionRow {
                        version: row.get(0)?,
                        changed_by: row.get(1)?,
                        changed_at: row.get(2)?,
                        shift: from_json("a shift", &body)?,
                    })
                })
                .collect::<Result<Vec<_>, Problem>>()
        })
        .await?;
    Ok(Json(Page::whole(rows)))
}
