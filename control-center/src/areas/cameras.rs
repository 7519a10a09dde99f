//! `/cameras` and `/positions`: what stands in the halls and whether it works now. A camera's state is what its edge
//! says at this moment; while the edge is not connected the camera is offline, whatever it was before.

use axum::{Json, extract::State};
use control_protocol::{AreaId, CameraId, HallId, UtcMillis, WindowId, channel::StreamState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Person, Place, Scope, may_somewhere},
    nodes::Nodes,
    params,
    site::{
        extract::Asked,
        list::{Page, limit},
        problem::Problem,
    },
    store::{Filter, Row, Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(positions))
}

/// A camera now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CameraRow {
    /// Its id.
    #[schema(value_type = String)]
    pub id: CameraId,
    /// Its hall.
    pub hall: String,
    /// The window it looks at; none for the hall at large.
    pub window: Option<String>,
    /// Its name.
    pub name: String,
    /// `window` or `security`.
    pub kind: &'static str,
    /// `live connecting stale offline unsupported`.
    #[schema(value_type = String)]
    pub state: StreamState,
    /// Why it is not live, in plain words.
    pub why: Option<String>,
    /// Since when it is in this state.
    #[schema(value_type = String)]
    pub since: UtcMillis,
    /// The path of its hall.
    #[serde(skip)]
    pub path: String,
}

/// The place of a camera: its hall. `None` if there is no such camera.
pub fn camera_place(sql: &mut dyn Sql, camera: &CameraId) -> Result<Option<Place>, StoreError> {
    let row = sql.query_one(
        "SELECT h.path FROM cameras c JOIN halls h ON h.id = c.hall WHERE c.id = $1",
        params![camera],
    )?;
    row.map(|row| row.get::<String>(0).map(Place::at)).transpose()
}

/// The cameras that look at a window, in the edge's own order, with their names.
pub fn cameras_of_window(
    sql: &mut dyn Sql,
    window: &WindowId,
) -> Result<Vec<(CameraId, String)>, StoreError> {
    let rows =
        sql.query("SELECT id, name FROM cameras WHERE win = $1 ORDER BY place, id", params![window])?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// What cameras are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CamerasAsked {
    /// In this area or below it.
    #[param(value_type = Option<String>)]
    pub area: Option<AreaId>,
    /// In this hall.
    #[param(value_type = Option<String>)]
    pub hall: Option<HallId>,
    /// Over this window.
    #[param(value_type = Option<String>)]
    pub window: Option<WindowId>,
    /// `window` or `security`.
    pub kind: Option<String>,
    /// Behind this row: a page's `next`.
    pub after: Option<usize>,
    /// The most rows.
    pub limit: Option<usize>,
}

/// The cameras within `scope`, by hall, in the edges' own order; states as the journal has them.
pub fn camera_rows(
    sql: &mut dyn Sql,
    scope: &Scope,
    asked: &CamerasAsked,
) -> Result<Vec<CameraRow>, StoreError> {
    let area = asked.area.as_ref().map(|area| format!("%/{area}/%"));
    let mut filter = Filter::new();
    filter
        .within("h.path", scope)
        .with("h.path LIKE ?", &area)
        .with("c.hall = ?", &asked.hall)
        .with("c.win = ?", &asked.window);
    let (statement, params) = filter.statement(
        "SELECT c.id, c.hall, c.win, c.name, c.state, c.why, c.since, h.path \
         FROM cameras c JOIN halls h ON h.id = c.hall",
        "ORDER BY h.path, CASE WHEN c.win IS NULL THEN 1 ELSE 0 END, c.place",
        1_000_000,
    );
    let mut rows = sql.query(&statement, &params)?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if let Some(kind) = &asked.kind {
        rows.retain(|row| row.kind == kind);
    }
    Ok(rows)
}

/// Puts what the edges say now over what the journal has.
pub fn cameras_now(rows: &mut [CameraRow], nodes: &Nodes) {
    for row in rows {
        match nodes.camera(&row.id).filter(|now| now.hall.as_str() == row.hall) {
            Some(now) => {
                row.state = now.state;
                row.why = now.why;
                row.since = now.since;
            }
            None => {
                row.state = StreamState::Offline;
                row.why = Some("its hall has not been connected since the centre started".into());
            }
        }
    }
}

fn read(row: &Row) -> Result<CameraRow, StoreError> {
    let window: Option<String> = row.get(2)?;
    let state: String = row.get(4)?;
    Ok(CameraRow {
        id: row.get(0)?,
        hall: row.get(1)?,
        kind: if window.is_some() { "window" } else { "security" },
        window,
        name: row.get(3)?,
        state: match state.as_str() {
            "live" => StreamState::Live,
            "offline" => StreamState::Offline,
            _ => StreamState::Connecting,
        },
        why: row.get(5)?,
        since: row.get(6)?,
        path: row.get(7)?,
    })
}

/// Cameras, by hall.
#[utoipa::path(get, path = "/cameras", tag = "areas", params(CamerasAsked),
    responses((status = 200, body = Page<CameraRow>), (status = 403, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<CamerasAsked>,
) -> Result<Json<Page<CameraRow>>, Problem> {
    may_somewhere(&person, Action::SeeCameras)?;
    let (most, skip) = (limit(asked.limit), asked.after.unwrap_or(0));
    let rows = centre
        .store
        .read(move |sql| camera_rows(sql, &Scope::of(&person, Action::SeeCameras), &asked))
        .await?;
    let total = rows.len();
    let mut items: Vec<CameraRow> = rows.into_iter().skip(skip).take(most).collect();
    cameras_now(&mut items, &centre.nodes);
    let end = skip + items.len();
    Ok(Json(Page { items, next: (end < total).then(|| end.to_string()) }))
}

/// A device's place and how it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PositionRow {
    /// Its id.
    pub id: String,
    /// Its hall.
    pub hall: String,
    /// The window it stands at.
    pub window: Option<String>,
    /// `keypad evaluator ticket attendance`.
    pub role: String,
    /// `unknown up silent degraded down`, or `unconfirmed`: an evaluator whose keys nobody has confirmed.
    pub health: String,
    /// Why it is not up.
    pub why: Option<String>,
    /// Since when.
    #[schema(value_type = String)]
    pub since: UtcMillis,
    /// The hardware bound to it.
    pub hardware: Option<String>,
    /// Seconds its clock is ahead.
    pub clock_offset: Option<i64>,
}

/// What positions are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PositionsAsked {
    /// In this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Behind this id: a page's `next`.
    after: Option<String>,
    /// The most rows.
    limit: Option<usize>,
}

/// The positions within `scope`, by id, behind the id `after`; their health as the journal has it.
pub fn position_rows(
    sql: &mut dyn Sql,
    scope: &Scope,
    hall: &Option<HallId>,
    after: &Option<String>,
    most: usize,
) -> Result<Vec<PositionRow>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope).with("p.hall = ?", hall).with("p.id > ?", after);
    let (statement, params) = filter.statement(POSITIONS, "ORDER BY p.id", most);
    sql.query(&statement, &params)?.iter().map(position).collect()
}

/// Devices' places and their health.
#[utoipa::path(get, path = "/positions", tag = "areas", params(PositionsAsked),
    responses((status = 200, body = Page<PositionRow>), (status = 403, body = Problem)))]
async fn positions(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<PositionsAsked>,
) -> Result<Json<Page<PositionRow>>, Problem> {
    may_somewhere(&person, Action::SeeCameras)?;
    let most = limit(asked.limit);
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeCameras);
            position_rows(sql, &scope, &asked.hall, &asked.after, most + 1)
        })
        .await?;
    Ok(Json(Page::cut(rows, most, |row| row.id.clone())))
}

const POSITIONS: &str = "SELECT p.id, p.hall, p.win, p.role, \
     CASE WHEN p.unconfirmed = 1 AND p.health IN ('up', 'unknown') THEN 'unconfirmed' ELSE p.health END, \
     p.why, p.since, p.hardware, p.clock_offset FROM positions p JOIN halls h ON h.id = p.hall";

fn position(row: &Row) -> Result<PositionRow, StoreError> {
    Ok(PositionRow {
        id: row.get(0)?,
        hall: row.get(1)?,
        window: row.get(2)?,
        role: row.get(3)?,
        health: row.get(4)?,
        why: row.get(5)?,
        since: row.get(6)?,
        hardware: row.get(7)?,
        clock_offset: row.get(8)?,
    })
}

/// Every position of a hall.
pub(crate) fn positions_of_hall(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<PositionRow>, StoreError> {
    let statement = format!("{POSITIONS} WHERE p.hall = $1 ORDER BY p.id");
    sql.query(&statement, params![hall])?.iter().map(position).collect()
}
