//! Changes of the tree by an administrator. Each is judged at the place it changes (a new area at its parent, a new
//! hall at its area), and each is in the audit log.

use axum::{Json, extract::State};
use control_protocol::{AreaId, HallId, WindowId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    tree::{self, BadTree},
    zone,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, audit, may},
    params,
    site::{
        extract::{Given, Named},
        problem::Problem,
    },
    statistics,
    store::Tx,
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(add_area))
        .routes(routes!(set_area, delete_area))
        .routes(routes!(add_hall))
        .routes(routes!(set_hall, delete_hall))
        .routes(routes!(add_window))
        .routes(routes!(set_window, delete_window))
        .routes(routes!(setup))
}

impl From<BadTree> for Problem {
    fn from(error: BadTree) -> Self {
        match error {
            BadTree::Rule(text) => Self::unprocessable(text),
            BadTree::Missing(text) => Self::not_found(text),
            BadTree::Store(error) => error.into(),
        }
    }
}

/// An area to add.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct NewArea {
    /// The GB/T 2260 code.
    #[schema(value_type = String)]
    id: AreaId,
    /// The area above it; none for a root.
    #[schema(value_type = Option<String>)]
    parent: Option<AreaId>,
    name: String,
    /// `region city county`.
    level: String,
}

/// What an area is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct AreaIs {
    /// The area above it; none for a root.
    #[schema(value_type = Option<String>)]
    parent: Option<AreaId>,
    name: String,
    /// `region city county`.
    level: String,
}

/// A hall to add.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct NewHall {
    #[schema(value_type = String)]
    id: HallId,
    #[schema(value_type = String)]
    area: AreaId,
    name: String,
    /// Its zone in the IANA database, by which its days begin and its shifts are due; Asia/Shanghai unless given.
    #[serde(default)]
    time_zone: Option<String>,
}

/// What a hall is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct HallIs {
    #[schema(value_type = String)]
    area: AreaId,
    name: String,
    /// Its zone in the IANA database; what it has unless given. The edge of the hall keeps its own setting, which should say
    /// the same.
    #[serde(default)]
    time_zone: Option<String>,
}

/// A window to add.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct NewWindow {
    /// Its number in the hall, from 1; its id follows from it.
    number: u32,
    name: String,
    /// What it handles; nothing means every ticket of the hall.
    #[serde(default)]
    businesses: Vec<String>,
}

/// What a window is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct WindowIs {
    name: String,
    /// What it handles; nothing means every ticket of the hall.
    #[serde(default)]
    businesses: Vec<String>,
}

/// A window as it is set up.
#[derive(Debug, Serialize, ToSchema)]
struct WindowSetup {
    /// Its id.
    id: String,
    /// Its number in the hall.
    number: u32,
    /// Its name.
    name: String,
    /// What it handles; nothing means every ticket of the hall.
    businesses: Vec<String>,
}

/// A hall as it is set up.
#[derive(Debug, Serialize, ToSchema)]
struct HallSetup {
    /// Its time zone.
    time_zone: String,
    /// Its windows, by number.
    windows: Vec<WindowSetup>,
    /// Every business that a window of it handles.
    businesses: Vec<String>,
}

/// A hall's windows and what they handle, to be changed.
#[utoipa::path(get, path = "/halls/{hall}/setup", tag = "areas",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 200, body = HallSetup), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn setup(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
) -> Result<Json<HallSetup>, Problem> {
    let setup = centre
        .store
        .read(move |sql| {
            may(&person, Action::EditTree, &Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?)?;
            let rows = sql.query(
                "SELECT id, number, name FROM windows WHERE hall = $1 ORDER BY number",
                params![hall],
            )?;
            let mut windows = Vec::with_capacity(rows.len());
            for row in &rows {
                let id: String = row.get(0)?;
                let handled = sql.query(
                    "SELECT business FROM window_businesses WHERE win = $1 ORDER BY business",
                    params![id],
                )?;
                let businesses = handled.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
                windows.push(WindowSetup { id, number: row.get(1)?, name: row.get(2)?, businesses });
            }
            let known =
                sql.query("SELECT name FROM businesses WHERE hall = $1 ORDER BY name", params![hall])?;
            let businesses = known.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
            let time_zone = zone::zone_name(sql, &hall)?;
            Ok::<_, Problem>(HallSetup { time_zone, windows, businesses })
        })
        .await?;
    Ok(Json(setup))
}

/// Whether the person may edit at the scope (an area or hall); `None` is the root above all areas, which only an
/// administrator of a root may touch.
fn may_edit(tx: &mut Tx<'_>, person: &Person, scope: Option<&str>) -> Result<(), Problem> {
    let place = match scope {
        Some(id) => Place::of_scope(tx, id)?.ok_or(Denied::Outside)?,
        None => {
            let root = person
                .grants
                .iter()
                .find(|g| g.role.allows(Action::EditTree) && g.path.matches('/').count() == 2);
            Place::at(root.ok_or(Denied::Role)?.path.clone())
        }
    };
    Ok(may(person, Action::EditTree, &place)?)
}

/// Runs a change in one transaction with its audit row.
pub(super) async fn change<T, F>(
    centre: &Centre,
    person: Person,
    action: &'static str,
    object: String,
    detail: &impl Serialize,
    work: F,
) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>, &Person) -> Result<T, Problem> + Send + 'static,
{
    let detail = serde_json::to_string(detail).map_err(|error| Problem::bad_request(error.to_string()))?;
    let now = centre.clock.now();
    centre
        .store
        .write(action, move |tx| {
            let done = work(tx, &person)?;
            audit::audit(tx, &person, action, &object, &detail, now)?;
            Ok(done)
        })
        .await
}

/// Adds an area.
#[utoipa::path(post, path = "/areas", tag = "areas", request_body = NewArea,
    responses((status = 201), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add_area(
    State(centre): State<Centre>,
    person: Person,
    Given(new): Given<NewArea>,
) -> Result<StatusCode, Problem> {
    let object = new.id.to_string();
    let detail = serde_json::json!(new);
    change(&centre, person, "area.added", object, &detail, move |tx, person| {
        may_edit(tx, person, new.parent.as_ref().map(AreaId::as_str))?;
        if Place::of_scope(tx, new.id.as_str())?.is_some() {
            return Err(Problem::conflict(format!("area {} is already there: change it with PUT", new.id)));
        }
        Ok(tree::put_area(tx, &new.id, new.parent.as_ref(), &new.name, &new.level)?)
    })
    .await?;
    Ok(StatusCode::CREATED)
}

/// Changes an area's name, level or parent; what is below moves with it.
#[utoipa::path(put, path = "/areas/{area}", tag = "areas", request_body = AreaIs,
    params(("area" = String, Path, description = "area id")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set_area(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<AreaId>,
    Given(new): Given<AreaIs>,
) -> Result<StatusCode, Problem> {
    let detail = serde_json::json!(new);
    change(&centre, person, "area.changed", id.to_string(), &detail, move |tx, person| {
        may_edit(tx, person, Some(id.as_str()))?;
        let parent =
            crate::store::Sql::query_one(tx, "SELECT parent FROM areas WHERE id = $1", crate::params![id])?;
        let parent: Option<AreaId> = parent.map_or(Ok(None), |row| row.get(0))?;
        // An administrator of an area may rename it; moving it is done from above.
        if parent != new.parent {
            may_edit(tx, person, parent.as_ref().map(AreaId::as_str))?;
            may_edit(tx, person, new.parent.as_ref().map(AreaId::as_str))?;
        }
        Ok(tree::put_area(tx, &id, new.parent.as_ref(), &new.name, &new.level)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an empty area away.
#[utoipa::path(delete, path = "/areas/{area}", tag = "areas",
    params(("area" = String, Path, description = "area id")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn delete_area(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<AreaId>,
) -> Result<StatusCode, Problem> {
    change(&centre, person, "area.removed", id.to_string(), &(), move |tx, person| {
        may_edit(tx, person, Some(id.as_str()))?;
        Ok(tree::delete_area(tx, &id)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a hall.
#[utoipa::path(post, path = "/halls", tag = "areas", request_body = NewHall,
    responses((status = 201), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add_hall(
    State(centre): State<Centre>,
    person: Person,
    Given(new): Given<NewHall>,
) -> Result<StatusCode, Problem> {
    let (object, detail) = (new.id.to_string(), serde_json::json!(new));
    change(&centre, person, "hall.added", object, &detail, move |tx, person| {
        may_edit(tx, person, Some(new.area.as_str()))?;
        if Place::of_hall(tx, &new.id)?.is_some() {
            return Err(Problem::conflict(format!("hall {} is already there: change it with PUT", new.id)));
        }
        tree::put_hall(tx, &new.id, &new.area, &new.name)?;
        if let Some(name) = &new.time_zone {
            zone::put_zone(tx, &new.id, name)?;
        }
        Ok(())
    })
    .await?;
    Ok(StatusCode::CREATED)
}

/// Changes a hall's name, area or time zone. With another zone its days of attendance are cut anew at once, and its figures
/// within minutes.
#[utoipa::path(put, path = "/halls/{hall}", tag = "areas", request_body = HallIs,
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set_hall(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<HallId>,
    Given(new): Given<HallIs>,
) -> Result<StatusCode, Problem> {
    let detail = serde_json::json!(new);
    let hall = id.clone();
    let moved = change(&centre, person, "hall.changed", id.to_string(), &detail, move |tx, person| {
        may_edit(tx, person, Some(id.as_str()))?;
        may_edit(tx, person, Some(new.area.as_str()))?;
        tree::put_hall(tx, &id, &new.area, &new.name)?;
        Ok(new.time_zone.as_deref().map_or(Ok(false), |name| zone::put_zone(tx, &id, name))?)
    })
    .await?;
    if moved {
        statistics::rebuild::soon(&centre.store, hall);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Takes away a hall that has no node, no record and nobody of its own.
#[utoipa::path(delete, path = "/halls/{hall}", tag = "areas",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn delete_hall(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<HallId>,
) -> Result<StatusCode, Problem> {
    change(&centre, person, "hall.removed", id.to_string(), &(), move |tx, person| {
        may_edit(tx, person, Some(id.as_str()))?;
        Ok(tree::delete_hall(tx, &id)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a window.
#[utoipa::path(post, path = "/halls/{hall}/windows", tag = "areas", request_body = NewWindow,
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 201), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add_window(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
    Given(new): Given<NewWindow>,
) -> Result<StatusCode, Problem> {
    let object = tree::window_id(&hall, new.number)?;
    let detail = serde_json::json!(new);
    change(&centre, person, "window.added", object.to_string(), &detail, move |tx, person| {
        may_edit(tx, person, Some(hall.as_str()))?;
        if Place::of_window(tx, &object)?.is_some() {
            return Err(Problem::conflict(format!("window {object} is already there: change it with PUT")));
        }
        tree::put_window(tx, &hall, new.number, &new.name, &new.businesses)?;
        Ok(())
    })
    .await?;
    Ok(StatusCode::CREATED)
}

/// The window's number, as its id has it.
fn number_of(hall: &HallId, window: &WindowId) -> Result<u32, Problem> {
    let number = window.as_str().strip_prefix(hall.as_str()).and_then(|rest| rest.strip_prefix("-W"));
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Problem::not_found(format!("there is no window {window} in {hall}")))
}

/// Changes a window's name and businesses.
#[utoipa::path(put, path = "/halls/{hall}/windows/{window}", tag = "areas", request_body = WindowIs,
    params(("hall" = String, Path, description = "hall id"), ("window" = String, Path, description = "window id")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set_window(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, window)): Named<(HallId, WindowId)>,
    Given(new): Given<WindowIs>,
) -> Result<StatusCode, Problem> {
    let number = number_of(&hall, &window)?;
    let detail = serde_json::json!(new);
    change(&centre, person, "window.changed", window.to_string(), &detail, move |tx, person| {
        may_edit(tx, person, Some(hall.as_str()))?;
        if Place::of_window(tx, &window)?.is_none() {
            return Err(Problem::not_found(format!("there is no window {window}: add it with POST")));
        }
        tree::put_window(tx, &hall, number, &new.name, &new.businesses)?;
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a window away; what happened at it stays in the record.
#[utoipa::path(delete, path = "/halls/{hall}/windows/{window}", tag = "areas",
    params(("hall" = String, Path, description = "hall id"), ("window" = String, Path, description = "window id")),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete_window(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, window)): Named<(HallId, WindowId)>,
) -> Result<StatusCode, Problem> {
    number_of(&hall, &window)?;
    change(&centre, person, "window.removed", window.to_string(), &(), move |tx, person| {
        may_edit(tx, person, Some(hall.as_str()))?;
        Ok(tree::delete_window(tx, &window)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
