//! `/wall/presets`.

use axum::{Json, extract::State};
use control_protocol::UtcMillis;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{MOST_PRESETS, Wall, check_name};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, audit, may, may_somewhere},
    areas::camera_place,
    params,
    site::{
        extract::{Asked, Given, Named},
        list::{Page, Sort, View, page_of},
        problem::Problem,
    },
    store::{Row, Sql, StoreError, Tx, new_id},
};

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove))
}

/// A preset, as its reader may see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresetRow {
    id: String,
    name: String,
    /// Who saved it.
    owner: String,
    /// Whether that is the reader.
    mine: bool,
    /// The area or hall it is shared with; none: its owner's alone.
    scope: Option<String>,
    /// The name of that place.
    scope_name: Option<String>,
    #[schema(value_type = String)]
    updated_at: UtcMillis,
    /// What it shows; of its cameras those that the reader may watch.
    wall: Wall,
    /// How many cameras of it the reader may not watch, or are no more.
    hidden: usize,
}

/// A preset to be saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresetIs {
    /// 1 to 60 characters; a person's presets have different names.
    name: String,
    /// The area or hall to share it with; one must be allowed to watch there.
    #[serde(default)]
    scope: Option<String>,
    /// What it shows.
    wall: Wall,
}

/// The id of what was saved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresetSaved {
    id: String,
}

const SELECT: &str = "SELECT p.id, p.name, p.owner, p.scope, p.updated_at, p.wall, COALESCE(a.path, h.path), \
     COALESCE(a.name, h.name) FROM wall_presets p LEFT JOIN areas a ON a.id = p.scope LEFT JOIN halls h ON h.id = p.scope";

/// A stored preset, and the path of the place it is shared with.
fn read(row: &Row, reader: &Person) -> Result<(PresetRow, Option<String>), StoreError> {
    let wall: String = row.get(5)?;
    let owner: String = row.get(2)?;
    let preset = PresetRow {
        id: row.get(0)?,
        name: row.get(1)?,
        mine: *owner == *reader.name,
        owner,
        scope: row.get(3)?,
        scope_name: row.get(7)?,
        updated_at: row.get(4)?,
        wall: serde_json::from_str(&wall)
            .map_err(|error| StoreError::Read(format!("a preset's wall: {error}")))?,
        hidden: 0,
    };
    Ok((preset, row.get(6)?))
}

const SORTS: [Sort<PresetRow>; 3] = [
    ("name", |a, b| (&a.name, &a.owner).cmp(&(&b.name, &b.owner))),
    ("owner", |a, b| a.owner.cmp(&b.owner)),
    ("updated", |a, b| a.updated_at.cmp(&b.updated_at)),
];

/// One's own presets and those shared with one's area, by name unless sorted by `name owner updated`. A preset is shared with everybody who may watch in its
/// place, above it or below it, and shows each of them their own cameras of it.
#[utoipa::path(get, path = "/wall/presets", tag = "live", params(View),
    responses((status = 200, body = Page<PresetRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(view): Asked<View>,
) -> Result<Json<Page<PresetRow>>, Problem> {
    may_somewhere(&person, Action::WatchLive)?;
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::WatchLive);
            let rows = sql.query(
                &format!("{SELECT} WHERE p.owner = $1 OR p.scope IS NOT NULL LIMIT 5000"),
                params![&*person.name],
            )?;
            let mut presets = Vec::new();
            for row in &rows {
                let (mut preset, path) = read(row, &person)?;
                let shared = path.is_some_and(|path| scope.holds(&path) || scope.reaches_into(&path));
                if preset.mine || shared {
                    keep_watchable(sql, &person, &mut preset)?;
                    presets.push(preset);
                }
            }
            Ok::<_, StoreError>(presets)
        })
        .await?;
    page_of(rows, &view, &SORTS, "name", |row| row.id.clone()).map(Json)
}

/// Takes out the cameras that `person` may not watch.
fn keep_watchable(sql: &mut dyn Sql, person: &Person, preset: &mut PresetRow) -> Result<(), StoreError> {
    let before = preset.wall.cameras.len();
    let mut kept = Vec::with_capacity(before);
    for camera in preset.wall.cameras.drain(..) {
        let place = camera_place(sql, &camera)?;
        if place.is_some_and(|place| may(person, Action::WatchLive, &place).is_ok()) {
            kept.push(camera);
        }
    }
    preset.hidden = before - kept.len();
    preset.wall.cameras = kept;
    Ok(())
}

/// Whether `person` may save this: every camera and the place it is shared with are theirs to watch.
fn check(tx: &mut Tx<'_>, person: &Person, preset: &PresetIs) -> Result<(), Problem> {
    check_name(&preset.name).map_err(Problem::unprocessable)?;
    preset.wall.check().map_err(Problem::unprocessable)?;
    if let Some(scope) = &preset.scope {
        let place = Place::of_scope(tx, scope)?.ok_or(Denied::Outside)?;
        may(person, Action::WatchLive, &place)?;
    }
    for camera in &preset.wall.cameras {
        let place = camera_place(tx, camera)?.ok_or(Denied::Outside)?;
        may(person, Action::WatchLive, &place)?;
    }
    Ok(())
}

fn wall_text(wall: &Wall) -> Result<String, Problem> {
    serde_json::to_string(wall).map_err(|error| Problem::bad_request(error.to_string()))
}

/// The id of another preset of this person with this name.
fn namesake(tx: &mut Tx<'_>, person: &Person, name: &str) -> Result<Option<String>, StoreError> {
    let row = tx.query_one(
        "SELECT id FROM wall_presets WHERE owner = $1 AND name = $2",
        params![&*person.name, name],
    )?;
    row.map(|row| row.get(0)).transpose()
}

/// Saves a preset.
#[utoipa::path(post, path = "/wall/presets", tag = "live", request_body = PresetIs,
    responses((status = 201, body = PresetSaved), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add(
    State(centre): State<Centre>,
    person: Person,
    Given(preset): Given<PresetIs>,
) -> Result<(StatusCode, Json<PresetSaved>), Problem> {
    may_somewhere(&person, Action::WatchLive)?;
    let id = new_id("wp")?;
    let (saved, now) = (id.clone(), centre.clock.now());
    centre
        .store
        .write("wall preset", move |tx| {
            check(tx, &person, &preset)?;
            if namesake(tx, &person, &preset.name)?.is_some() {
                return Err(Problem::conflict(
                    "a preset of yours has this name: change it, or take another name",
                ));
            }
            let count = tx.query_one(
                "SELECT COUNT(*) FROM wall_presets WHERE owner = $1",
                params![&*person.name],
            )?;
            if count.map_or(Ok(0), |row| row.get::<i64>(0))? >= MOST_PRESETS {
                return Err(Problem::conflict(format!(
                    "at most {MOST_PRESETS} presets of one person: remove one first"
                )));
            }
            tx.execute(
                "INSERT INTO wall_presets (id, owner, scope, name, wall, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
                params![saved, &*person.name, preset.scope, preset.name, wall_text(&preset.wall)?, now],
            )?;
            Ok(audit::audit(tx.sql, &person, "wall_preset.added", &saved, &preset.name, now)?)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(PresetSaved { id })))
}

/// The preset `id` as `person` meets it, with the place it is shared with; what is not theirs to see is not there.
fn found(tx: &mut Tx<'_>, person: &Person, id: &str) -> Result<(PresetRow, Option<Place>), Problem> {
    let row = tx.query_one(&format!("{SELECT} WHERE p.id = $1"), params![id])?;
    let (preset, path) = read(&row.ok_or(Denied::Outside)?, person)?;
    let scope = Scope::of(person, Action::WatchLive);
    let shared = path.as_ref().is_some_and(|path| scope.holds(path) || scope.reaches_into(path));
    if !preset.mine && !shared {
        return Err(Denied::Outside.into());
    }
    Ok((preset, path.map(Place::at)))
}

/// Changes a preset of one's own. Cameras that one may not watch any more must be left out.
#[utoipa::path(put, path = "/wall/presets/{id}", tag = "live", request_body = PresetIs,
    params(("id" = String, Path, description = "the preset's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
async fn change(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
    Given(preset): Given<PresetIs>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write("wall preset", move |tx| {
            let (former, _) = found(tx, &person, &id)?;
            if !former.mine {
                return Err(Problem::forbidden("only who saved a preset changes it: save one of your own"));
            }
            check(tx, &person, &preset)?;
            if namesake(tx, &person, &preset.name)?.is_some_and(|other| other != id) {
                return Err(Problem::conflict("another preset of yours has this name: take another"));
            }
            tx.execute(
                "UPDATE wall_presets SET scope = $2, name = $3, wall = $4, updated_at = $5 WHERE id = $1",
                params![id, preset.scope, preset.name, wall_text(&preset.wall)?, now],
            )?;
            Ok(audit::audit(tx.sql, &person, "wall_preset.changed", &id, &preset.name, now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a preset of one's own; an administrator of the place removes what is shared there.
#[utoipa::path(delete, path = "/wall/presets/{id}", tag = "live",
    params(("id" = String, Path, description = "the preset's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write("wall preset", move |tx| {
            let (preset, place) = found(tx, &person, &id)?;
            if !preset.mine {
                may(&person, Action::EditPeople, &place.ok_or(Denied::Outside)?)?;
            }
            tx.execute("DELETE FROM wall_presets WHERE id = $1", params![id])?;
            Ok::<_, Problem>(audit::audit(tx.sql, &person, "wall_preset.removed", &id, &preset.name, now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
