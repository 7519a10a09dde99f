//! `/areas` and `/halls`, with counts that roll up.

use std::collections::HashMap;

use axum::{Json, extract::State};
use control_protocol::{AreaId, HallId, channel::StreamState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::cameras::{CameraRow, CamerasAsked, camera_rows, cameras_now};
use crate::{
    Centre,
    access::{Action, Person, Scope, may_somewhere},
    site::{extract::Asked, list::Page, problem::Problem},
    store::{Filter, Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(areas)).routes(routes!(halls))
}

/// What is below a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Halls.
    pub halls: u32,
    /// Windows.
    pub windows: u32,
    /// Cameras.
    pub cameras: u32,
    /// Cameras whose pictures arrive at their hall.
    pub cameras_live: u32,
    /// Cameras that are not live, devices that are silent or down, nodes with an alarm.
    pub alarms: u32,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.halls += other.halls;
        self.windows += other.windows;
        self.cameras += other.cameras;
        self.cameras_live += other.cameras_live;
        self.alarms += other.alarms;
    }
}

/// An area.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct AreaRow {
    /// Its id, the GB/T 2260 code.
    pub id: String,
    /// The area above it; none for the first that the asker may see.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// `region city county`, or a tree's own.
    pub level: String,
    /// What is below it.
    pub counts: Counts,
}

/// A hall.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct HallRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its area.
    pub area: String,
    /// Its time zone, by which its days begin.
    pub time_zone: String,
    /// Its node, once one is enrolled.
    pub node: Option<HallNode>,
    /// What is in it.
    pub counts: Counts,
}

/// A hall's node, in short.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct HallNode {
    /// Its id.
    pub id: String,
    /// Whether it is connected now.
    pub connected: bool,
    /// Its alarm, in plain words.
    pub alarm: Option<String>,
}

/// What of the tree a person sees; each row with its path.
pub(crate) struct Found {
    /// Areas, parents before children.
    pub areas: Vec<(AreaRow, String)>,
    /// Halls, by path.
    pub halls: Vec<(HallRow, String)>,
    /// Their cameras, as they are now.
    pub cameras: Vec<CameraRow>,
}

/// What of the tree a person sees, with counts.
pub(crate) async fn find(centre: &Centre, person: Person) -> Result<Found, Problem> {
    may_somewhere(&person, Action::SeeTree)?;
    let (areas, mut halls, mut cameras) = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeTree);
            let areas = areas_of(sql, &scope)?;
            let halls = halls_of(sql, &scope)?;
            let cameras = camera_rows(sql, &scope, &CamerasAsked::default())?;
            Ok::<_, StoreError>((areas, halls, cameras))
        })
        .await?;
    cameras_now(&mut cameras, &centre.nodes);
    let mut of_hall: HashMap<String, Counts> = HashMap::new();
    for camera in &cameras {
        let counts = of_hall.entry(camera.hall.clone()).or_default();
        counts.cameras += 1;
        match camera.state {
            StreamState::Live => counts.cameras_live += 1,
            StreamState::Connecting => {}
            _ => counts.alarms += 1,
        }
    }
    for (hall, _) in &mut halls {
        if let Some(counts) = of_hall.get(&hall.id) {
            hall.counts.add(counts);
        }
        if let (Some(node), Ok(id)) = (&mut hall.node, hall.id.parse::<HallId>()) {
            let link = centre.nodes.registry().of_hall(&id);
            node.connected = link.is_some();
            if node.alarm.is_none()
                && let Some(alarm) = link.and_then(|link| link.clock_alarm())
            {
                node.alarm = Some(alarm);
                hall.counts.alarms += 1;
            }
        }
    }
    let areas = areas
        .into_iter()
        .map(|(mut area, path)| {
            for (hall, _) in halls.iter().filter(|(_, below)| below.starts_with(&path)) {
                area.counts.add(&hall.counts);
            }
            (area, path)
        })
        .collect();
    Ok(Found { areas, halls, cameras })
}

/// The areas within the scope, and the area of a hall that is itself a scope, so that every hall has one. Parents come
/// before children.
fn areas_of(sql: &mut dyn Sql, scope: &Scope) -> Result<Vec<(AreaRow, String)>, StoreError> {
    let whole = crate::params![];
    let rows = sql.query(
        "SELECT a.id, a.parent, a.name, a.level, a.path FROM areas a ORDER BY LENGTH(a.path), a.path",
        whole,
    )?;
    let holding = sql.query("SELECT path, area FROM halls", whole)?;
    let mut around = std::collections::HashSet::new();
    for row in &holding {
        if scope.holds(&row.get::<String>(0)?) {
            around.insert(row.get::<String>(1)?);
        }
    }
    let mut areas: Vec<(AreaRow, String)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for row in &rows {
        let (id, path): (String, String) = (row.get(0)?, row.get(4)?);
        if !scope.holds(&path) && !around.contains(&id) {
            continue;
        }
        let parent = row.get::<Option<String>>(1)?.filter(|parent| seen.contains(parent));
        seen.insert(id.clone());
        let area = AreaRow { id, parent, name: row.get(2)?, level: row.get(3)?, counts: Counts::default() };
        areas.push((area, path));
    }
    Ok(areas)
}

fn halls_of(sql: &mut dyn Sql, scope: &Scope) -> Result<Vec<(HallRow, String)>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT h.id, h.name, h.area, h.path, (SELECT COUNT(*) FROM windows w WHERE w.hall = h.id), \
         (SELECT COUNT(*) FROM positions p WHERE p.hall = h.id AND p.health IN ('silent', 'down')), \
         n.id, n.alarm, n.quarantined, h.time_zone FROM halls h LEFT JOIN nodes n ON n.hall = h.id",
        "ORDER BY h.path, n.enrolled_at",
        1_000_000,
    );
    let mut halls: Vec<(HallRow, String)> = Vec::new();
    for row in sql.query(&statement, &params)? {
        let id: String = row.get(0)?;
        let node = row.get::<Option<String>>(6)?;
        let alarm = row.get::<Option<String>>(7)?.or(row.get::<Option<String>>(8)?);
        let alarmed = u32::from(alarm.is_some());
        let node = node.map(|id| HallNode { id, connected: false, alarm });
        // A hall whose machine was replaced has two nodes; the newest stands for it.
        if let Some((last, _)) = halls.last_mut().filter(|(hall, _)| hall.id == id) {
            last.node = node;
            last.counts.alarms += alarmed;
            continue;
        }
        let counts = Counts {
            halls: 1,
            windows: row.get(4)?,
            alarms: row.get::<u32>(5)? + alarmed,
            ..Counts::default()
        };
        let hall = HallRow { id, name: row.get(1)?, area: row.get(2)?, time_zone: row.get(9)?, node, counts };
        halls.push((hall, row.get(3)?));
    }
    Ok(halls)
}

/// The areas one may see, parents before children, with what is below each.
#[utoipa::path(get, path = "/areas", tag = "areas",
    responses((status = 200, body = Page<AreaRow>), (status = 401, body = Problem)))]
async fn areas(State(centre): State<Centre>, person: Person) -> Result<Json<Page<AreaRow>>, Problem> {
    let found = find(&centre, person).await?;
    Ok(Json(Page::whole(found.areas.into_iter().map(|(area, _)| area).collect())))
}

/// What halls are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HallsAsked {
    /// In this area or below it.
    #[param(value_type = Option<String>)]
    area: Option<AreaId>,
}

/// The halls one may see.
#[utoipa::path(get, path = "/halls", tag = "areas", params(HallsAsked),
    responses((status = 200, body = Page<HallRow>), (status = 401, body = Problem)))]
async fn halls(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<HallsAsked>,
) -> Result<Json<Page<HallRow>>, Problem> {
    let found = find(&centre, person).await?;
    let below = asked.area.map(|area| format!("/{area}/"));
    let halls =
        found.halls.into_iter().filter(|(_, path)| below.as_ref().is_none_or(|below| path.contains(below)));
    Ok(Json(Page::whole(halls.map(|(hall, _)| hall).collect())))
}
