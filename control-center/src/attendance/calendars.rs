//! `/attendance/calendars`: the years that came with the program and those that were imported, and the keys whose signature is
//! enough to import one. A file that is signed by no trusted key is refused, and says whose key it was.

use axum::{Json, extract::State};
use control_protocol::UtcMillis;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    calendar::{self, CalendarYear, NATIONAL, NamedDay, SignedCalendar},
    change, from_json, to_json,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, may, may_somewhere},
    evidence::key::{PublicKey, Trusted},
    params,
    site::{
        extract::{Asked, Given, Named},
        list::{Page, Sort, View, page_of},
        problem::Problem,
    },
    store::{Sql, StoreError, Tx},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list, import)).routes(routes!(keys, trust)).routes(routes!(distrust))
}

/// Every year that is known; one that was imported goes before the program's own.
pub(super) fn known(sql: &mut dyn Sql) -> Result<Vec<CalendarYear>, StoreError> {
    let mut years = calendar::shipped();
    for row in sql.query("SELECT body FROM calendars ORDER BY layer, year", params![])? {
        let body: String = row.get(0)?;
        let year: CalendarYear = from_json("a calendar", &body)?;
        years.retain(|known| (&known.layer, known.year) != (&year.layer, year.year));
        years.push(year);
    }
    Ok(years)
}

/// Takes a signed year, in place of what was known of it. `key` is trusted already.
///
/// # Errors
/// The store's.
pub fn put_calendar(
    tx: &mut Tx<'_>,
    year: &CalendarYear,
    key: &PublicKey,
    by: &str,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO calendars (layer, year, body, key, imported_by, imported_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (layer, year) DO UPDATE SET body = $3, key = $4, imported_by = $5, imported_at = $6",
        params![year.layer, i64::from(year.year), to_json(year)?, key.fingerprint().to_string(), by, now],
    )?;
    Ok(())
}

/// Whether a key is on the list of those that may sign calendars.
///
/// # Errors
/// The store's.
pub fn trusts(sql: &mut dyn Sql, key: &PublicKey) -> Result<bool, StoreError> {
    let rows = sql.query("SELECT fingerprint FROM calendar_keys", params![])?;
    for row in &rows {
        let text: String = row.get(0)?;
        if text.parse::<Trusted>().is_ok_and(|trusted| trusted.is(key)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A year of a calendar.
#[derive(Debug, Serialize, ToSchema)]
struct CalendarRow {
    /// `CN`, or the code of an area.
    layer: String,
    /// The year.
    year: i16,
    /// The notice that it is from.
    source: String,
    /// Days off.
    off: Vec<NamedDay>,
    /// Workdays at weekends, or where the layer below has a day off.
    work: Vec<NamedDay>,
    /// The fingerprint of the key that signed it; none: it came with the program.
    key: Option<String>,
    imported_by: Option<String>,
    #[schema(value_type = Option<String>)]
    imported_at: Option<UtcMillis>,
}

/// What calendars are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CalendarsAsked {
    /// Of this year.
    year: Option<i16>,
}

const SORTS: [Sort<CalendarRow>; 3] = [
    ("year", |a, b| (a.year, b.region(), &b.layer).cmp(&(b.year, a.region(), &a.layer))),
    ("layer", |a, b| (a.region(), &a.layer, a.year).cmp(&(b.region(), &b.layer, b.year))),
    ("imported", |a, b| a.imported_at.cmp(&b.imported_at)),
];

impl CalendarRow {
    /// A year that came with the program.
    fn shipped(year: CalendarYear) -> Self {
        let CalendarYear { layer, year, source, off, work } = year;
        Self { layer, year, source, off, work, key: None, imported_by: None, imported_at: None }
    }

    fn region(&self) -> bool {
        self.layer != NATIONAL
    }
}

/// Years that are known, newest first and the country's before the regions', unless sorted by `year layer imported`.
#[utoipa::path(get, path = "/attendance/calendars", tag = "attendance", params(CalendarsAsked, View),
    responses((status = 200, body = Page<CalendarRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CalendarsAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<CalendarRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let rows = centre
        .store
        .read(move |sql| {
            let rows = sql.query("SELECT body, key, imported_by, imported_at FROM calendars", params![])?;
            let mut found = Vec::new();
            for row in &rows {
                let body: String = row.get(0)?;
                found.push(CalendarRow {
                    key: Some(row.get(1)?),
                    imported_by: Some(row.get(2)?),
                    imported_at: Some(row.get(3)?),
                    ..CalendarRow::shipped(from_json("a calendar", &body)?)
                });
            }
            for year in calendar::shipped() {
                if !found.iter().any(|row| (&row.layer, row.year) == (&year.layer, year.year)) {
                    found.push(CalendarRow::shipped(year));
                }
            }
            found.retain(|row| asked.year.is_none_or(|year| row.year == year));
            Ok::<_, StoreError>(found)
        })
        .await?;
    page_of(rows, &view, &SORTS, "-year", |row| format!("{} {}", row.layer, row.year)).map(Json)
}

/// The place whose calendar a layer is: an area, or for the country's the root that one's rights reach.
fn place_of(tx: &mut Tx<'_>, person: &Person, layer: &str) -> Result<Place, Problem> {
    if layer == NATIONAL {
        let root = person
            .grants
            .iter()
            .find(|g| g.role.allows(Action::KeepAttendance) && g.path.matches('/').count() == 2);
        return Ok(Place::at(root.ok_or(Denied::Role)?.path.clone()));
    }
    Ok(Place::of_scope(tx, layer)?.ok_or(Denied::Outside)?)
}

/// Imports a signed year, in place of what was known of it. The key that signed it must be trusted here.
#[utoipa::path(post, path = "/attendance/calendars", tag = "attendance", request_body = SignedCalendar,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn import(
    State(centre): State<Centre>,
    person: Person,
    Given(signed): Given<SignedCalendar>,
) -> Result<StatusCode, Problem> {
    may_somewhere(&person, Action::KeepAttendance)?;
    let (year, key) = signed.open().map_err(|why| Problem::unprocessable(why.to_string()))?;
    let now = centre.clock.now();
    let object = format!("{}/{}", year.layer, year.year);
    let detail = serde_json::json!({"source": year.source, "key": key.fingerprint().to_string()});
    change(&centre, person, "calendar.imported", object, &detail, move |tx, person| {
        let place = place_of(tx, person, &year.layer)?;
        may(person, Action::KeepAttendance, &place)?;
        if !trusts(tx, &key)? {
            return Err(Problem::unprocessable(format!(
                "the key that signed this calendar is not trusted here; its fingerprint is {}: compare it with the authority that \
                 sent the file, and have an administrator add it",
                key.fingerprint()
            ))
            .named("urn:hallwatch:problem:calendar-key"));
        }
        Ok(put_calendar(tx, &year, &key, &person.name, now)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key that may sign calendars.
#[derive(Debug, Serialize, ToSchema)]
struct KeyRow {
    /// The key or its fingerprint, as it was given.
    fingerprint: String,
    /// Whose it is.
    note: String,
    added_by: String,
    #[schema(value_type = String)]
    added_at: UtcMillis,
}

/// A key to trust.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyIs {
    /// The key, its fingerprint, or its PEM.
    key: String,
    /// Whose it is.
    note: String,
}

/// Keys that may sign calendars.
#[utoipa::path(get, path = "/attendance/calendar-keys", tag = "attendance",
    responses((status = 200, body = Page<KeyRow>), (status = 403, body = Problem)))]
async fn keys(State(centre): State<Centre>, person: Person) -> Result<Json<Page<KeyRow>>, Problem> {
    may_somewhere(&person, Action::SeePunches)?;
    let rows = centre
        .store
        .read(|sql| {
            let rows = sql.query(
                "SELECT fingerprint, note, added_by, added_at FROM calendar_keys ORDER BY added_at",
                params![],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(KeyRow {
                        fingerprint: row.get(0)?,
                        note: row.get(1)?,
                        added_by: row.get(2)?,
                        added_at: row.get(3)?,
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    Ok(Json(Page::whole(rows)))
}

/// Whether the person may say whose calendars hold here: an administrator of the root.
fn may_trust(person: &Person) -> Result<(), Denied> {
    let root = |path: &str| path.matches('/').count() == 2;
    let may = person.grants.iter().any(|g| g.role.allows(Action::EditTree) && root(&g.path));
    if may { Ok(()) } else { Err(Denied::Role) }
}

/// Trusts a key with calendars.
#[utoipa::path(post, path = "/attendance/calendar-keys", tag = "attendance", request_body = KeyIs,
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn trust(
    State(centre): State<Centre>,
    person: Person,
    Given(new): Given<KeyIs>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    let key: Trusted = new
        .key
        .parse()
        .map_err(|bad: crate::evidence::key::BadKey| Problem::unprocessable(bad.to_string()))?;
    super::requests::check_reason("note", &new.note).map_err(Problem::unprocessable)?;
    let fingerprint = key.to_string();
    change(
        &centre,
        person,
        "calendar_key.trusted",
        fingerprint.clone(),
        &new.note.clone(),
        move |tx, person| {
            may_trust(person)?;
            tx.execute(
                "INSERT INTO calendar_keys (fingerprint, note, added_by, added_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (fingerprint) DO UPDATE SET note = $2",
                params![fingerprint, new.note, &*person.name, now],
            )?;
            Ok(())
        },
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Trusts a key no more; what it signed stays until another year is imported in its place.
#[utoipa::path(delete, path = "/attendance/calendar-keys/{fingerprint}", tag = "attendance",
    params(("fingerprint" = String, Path, description = "as it is listed")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn distrust(
    State(centre): State<Centre>,
    person: Person,
    Named(fingerprint): Named<String>,
) -> Result<StatusCode, Problem> {
    change(&centre, person, "calendar_key.distrusted", fingerprint.clone(), &(), move |tx, person| {
        may_trust(person)?;
        let gone = tx.execute("DELETE FROM calendar_keys WHERE fingerprint = $1", params![fingerprint])?;
        if gone == 0 { Err(Problem::not_found("there is no such key")) } else { Ok(()) }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
