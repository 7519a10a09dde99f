//! `/areas/{area}/overview`: an area, or one hall, at one look: its key figures now, the places in it with the worst of
//! each, and what is wrong, the riskiest first. Adds up what other rooms know and keeps nothing.

use std::collections::HashMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, channel::StreamState};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    HallShare, Share,
    report::{self, Sum},
    shares_of,
    wrong::{self, HallState, RATING_MS, Wrong},
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may},
    areas::{self, DeviceTrouble, Found},
    evaluations::{self, BadRating},
    pictures::{self, StandingFault},
    queue::{self, HallNow, Pausing, Thresholds},
    site::{extract::Named, problem::Problem},
    statistics::{self, Load},
    store::{Sql, StoreError},
};

/// The most rows of what is wrong; `wrong_total` counts all.
const MOST_WRONG: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(overview))
}

/// Key figures of a place, now. Definitions: `docs/reference/statistics-supervision.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct PlaceFigures {
    /// Halls.
    #[schema(example = 9)]
    pub halls: u32,
    /// Halls whose node is connected.
    #[schema(example = 9)]
    pub halls_online: u32,
    /// Windows.
    #[schema(example = 412)]
    pub windows: u32,
    /// Windows that are not closed, on a break or not.
    #[schema(example = 371)]
    pub windows_open: u32,
    /// Of those, the ones on a break.
    #[schema(example = 14)]
    pub windows_paused: u32,
    /// Tickets that wait.
    #[schema(example = 233)]
    pub waiting: u32,
    /// When the ticket that waits longest was taken.
    #[schema(value_type = Option<String>, example = "2026-11-22T00:41:09.000Z")]
    pub waiting_since: Option<UtcMillis>,
    /// Cameras.
    #[schema(example = 430)]
    pub cameras: u32,
    /// Cameras whose pictures arrive at their hall.
    #[schema(example = 428)]
    pub cameras_live: u32,
    /// Window events on record.
    #[schema(example = 81_443)]
    pub window_events: u64,
    /// Those with a case ID.
    #[schema(example = 81_390)]
    pub tagged: u64,
    /// What is wrong now.
    #[schema(example = 4)]
    pub wrong: u32,
}

impl PlaceFigures {
    fn add(&mut self, other: &Self) {
        self.halls += other.halls;
        self.halls_online += other.halls_online;
        self.windows += other.windows;
        self.windows_open += other.windows_open;
        self.windows_paused += other.windows_paused;
        self.waiting += other.waiting;
        self.waiting_since = match (self.waiting_since, other.waiting_since) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.cameras += other.cameras;
        self.cameras_live += other.cameras_live;
        self.window_events += other.window_events;
        self.tagged += other.tagged;
        self.wrong += other.wrong;
    }
}

/// A hall on the map.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct HallCell {
    /// Its id.
    #[schema(example = "450103-01")]
    pub id: String,
    /// Its name.
    #[schema(example = "青秀区政务服务中心")]
    pub name: String,
    /// How it is.
    pub state: HallState,
    /// When the newest event about its windows happened.
    #[schema(value_type = Option<String>)]
    pub updated_at: Option<UtcMillis>,
    /// Its figures.
    pub figures: PlaceFigures,
}

/// A place directly below the one asked for, with every hall in it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Child {
    /// Its id.
    #[schema(example = "450100")]
    pub id: String,
    /// Its name.
    #[schema(example = "南宁市")]
    pub name: String,
    /// `area` or `hall`.
    #[schema(example = "area")]
    pub kind: &'static str,
    /// The worst of its halls.
    pub state: HallState,
    /// Its figures.
    pub figures: PlaceFigures,
    /// Its halls, in the tree's order; a hall has itself.
    pub halls: Vec<HallCell>,
}

/// A place on the way from the asker's root.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct WayStep {
    /// Its id.
    #[schema(example = "450000")]
    pub id: String,
    /// Its name.
    #[schema(example = "广西壮族自治区")]
    pub name: String,
}

/// An area or a hall at one look.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Its id.
    #[schema(example = "450000")]
    pub id: String,
    /// Its name.
    #[schema(example = "广西壮族自治区")]
    pub name: String,
    /// `area` or `hall`.
    #[schema(example = "area")]
    pub kind: &'static str,
    /// The way to it, from the first place that the asker may see, itself at the end.
    pub way: Vec<WayStep>,
    /// When this was put together.
    #[schema(value_type = String)]
    pub updated_at: UtcMillis,
    /// Its figures.
    pub figures: PlaceFigures,
    /// The local day of `today`.
    #[schema(value_type = String, example = "2026-11-22")]
    pub day: Date,
    /// What the local day has come to so far.
    pub today: Sum,
    /// The places directly below it; none of a hall.
    pub children: Vec<Child>,
    /// What is wrong in it, the riskiest first; at most 200.
    pub wrong: Vec<Wrong>,
    /// How much is wrong in it altogether.
    pub wrong_total: usize,
}

/// What the rooms say of the halls below a place.
struct Said {
    shares: Vec<HallShare>,
    now: HashMap<String, HallNow>,
    pauses: Vec<Pausing>,
    /// Of the halls for which somebody set any.
    thresholds: HashMap<String, Thresholds>,
    faults: Vec<StandingFault>,
    devices: Vec<DeviceTrouble>,
    ratings: Vec<BadRating>,
    day: Date,
    today: Load,
}

impl Said {
    fn read(sql: &mut dyn Sql, place: &Place, now: UtcMillis) -> Result<Self, StoreError> {
        let scope = Scope::at(place);
        let day = report::today(sql, &scope, now)?;
        let mut today = Load::default();
        for (_, load) in statistics::day_totals(sql, &scope, "/", day, day)? {
            today += &load;
        }
        Ok(Self {
            day,
            today,
            shares: shares_of(sql, &scope)?,
            now: queue::halls_now(sql, &scope)?,
            pauses: queue::pausing(sql, &scope)?,
            thresholds: queue::thresholds_set(sql, &scope)?,
            faults: pictures::standing(sql, &scope, &None)?,
            devices: areas::devices_in_trouble(sql, &scope)?,
            ratings: evaluations::bad_since(sql, &scope, UtcMillis(now.0 - RATING_MS), MOST_WRONG)?,
        })
    }
}

/// An area, or a hall, at one look.
#[utoipa::path(get, path = "/areas/{area}/overview", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450000")),
    responses((status = 200, body = Overview), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn overview(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
) -> Result<Json<Overview>, Problem> {
    let now = centre.clock.now();
    let asker = person.clone();
    let (place, said) = centre
        .store
        .read(move |sql| {
            let place = Place::of_scope(sql, &area)?.ok_or(Denied::Outside)?;
            may(&asker, Action::SeeService, &place)?;
            let said = Said::read(sql, &place, now)?;
            Ok::<_, Problem>((place, said))
        })
        .await?;
    let found = areas::find(&centre, person).await?;
    let away = |hall: &str| {
        hall.parse::<HallId>().map_or((true, None), |hall| {
            let registry = centre.nodes.registry();
            (registry.of_hall(&hall).is_none(), registry.gone_since(&hall))
        })
    };
    put_together(&place, &found, said, away, now).map(Json).ok_or_else(|| Denied::Outside.into())
}

/// Adds up; `away` says of a hall whether its node is not connected, and since when if that is known. None where the
/// place has gone from the tree meanwhile.
fn put_together(
    place: &Place,
    found: &Found,
    said: Said,
    away: impl Fn(&str) -> (bool, Option<UtcMillis>),
    now: UtcMillis,
) -> Option<Overview> {
    let inside = |path: &str| path.starts_with(place.path());
    let usual = Thresholds::default();
    let set_of = |hall: &str| said.thresholds.get(hall).unwrap_or(&usual);
    let mut all_wrong: Vec<Wrong> = Vec::new();
    let mut offline = std::collections::HashSet::new();
    for (hall, _) in found.halls.iter().filter(|(_, path)| inside(path)) {
        let Some(node) = &hall.node else { continue };
        let (gone, since) = away(&hall.id);
        if gone {
            offline.insert(hall.id.as_str());
            all_wrong.push(Wrong::offline(&hall.id, since));
        }
        if node.alarm.is_some() {
            all_wrong.push(Wrong::quarantine(&hall.id, node.alarm.clone()));
        }
        let waiting_since = said.now.get(&hall.id).and_then(|now| now.waiting_since);
        all_wrong.extend(waiting_since.and_then(|since| Wrong::wait(&hall.id, since, now, set_of(&hall.id))));
    }
    for camera in found.cameras.iter().filter(|camera| inside(&camera.path)) {
        // Of a hall that is away one row says it all.
        let fails = !matches!(camera.state, StreamState::Live | StreamState::Connecting);
        if fails && !offline.contains(camera.hall.as_str()) {
            let (window, why) = (camera.window.clone(), camera.why.clone());
            all_wrong.push(Wrong::camera(&camera.hall, window, camera.id.as_str(), why, camera.since));
        }
    }
    let known = |hall: &str| !offline.contains(hall);
    all_wrong.extend(said.faults.into_iter().filter(|fault| known(&fault.hall)).map(Wrong::from));
    all_wrong.extend(said.devices.into_iter().filter(|device| known(&device.hall)).map(Wrong::from));
    all_wrong.extend(said.ratings.into_iter().map(Wrong::from));
    let pauses = said.pauses.into_iter().filter(|pause| known(&pause.hall));
    all_wrong.extend(pauses.filter_map(|pause| {
        let set = set_of(&pause.hall);
        Wrong::pause(pause, now, set)
    }));
    wrong::by_risk(&mut all_wrong);

    let shares: HashMap<&str, &Share> =
        said.shares.iter().map(|share| (share.hall.as_str(), &share.share)).collect();
    let mut cells: Vec<(HallCell, &str)> = Vec::new();
    for (hall, path) in found.halls.iter().filter(|(_, path)| inside(path)) {
        let of_hall = said.now.get(&hall.id).copied().unwrap_or_default();
        let share = shares.get(hall.id.as_str());
        let online = hall.node.is_some() && known(&hall.id);
        let wrong = all_wrong.iter().filter(|wrong| wrong.hall == hall.id);
        let calm = match (&hall.node, of_hall.windows_open) {
            (None, _) => HallState::Absent,
            (Some(_), 0) => HallState::Closed,
            (Some(_), _) => HallState::Good,
        };
        let figures = PlaceFigures {
            halls: 1,
            halls_online: u32::from(online),
            windows: hall.counts.windows,
            windows_open: of_hall.windows_open,
            windows_paused: of_hall.windows_paused,
            waiting: of_hall.waiting,
            waiting_since: of_hall.waiting_since,
            cameras: hall.counts.cameras,
            cameras_live: hall.counts.cameras_live,
            window_events: share.map_or(0, |share| share.window_events),
            tagged: share.map_or(0, |share| share.tagged),
            wrong: u32::try_from(wrong.clone().count()).unwrap_or(u32::MAX),
        };
        let cell = HallCell {
            id: hall.id.clone(),
            name: hall.name.clone(),
            state: wrong.map(Wrong::state).max().map_or(calm, |state| state.max(calm)),
            updated_at: of_hall.updated_at,
            figures,
        };
        cells.push((cell, path));
    }
    let mut figures = PlaceFigures::default();
    for (cell, _) in &cells {
        figures.add(&cell.figures);
    }
    let wrong_total = all_wrong.len();
    all_wrong.truncate(MOST_WRONG);
    let way = way_to(place, found);
    let here = way.last()?.clone();
    let is_hall = cells.iter().any(|(_, path)| *path == place.path());
    let children = if is_hall { Vec::new() } else { children(&here.id, found, &cells) };
    Some(Overview {
        id: here.id,
        name: here.name,
        kind: if is_hall { "hall" } else { "area" },
        way,
        updated_at: now,
        figures,
        day: said.day,
        today: Sum::of(&said.today),
        children,
        wrong: all_wrong,
        wrong_total,
    })
}

/// The places from the first one that is seen down to `place`.
fn way_to(place: &Place, found: &Found) -> Vec<WayStep> {
    let areas = found.areas.iter().filter(|(_, path)| place.path().starts_with(path));
    let mut way: Vec<WayStep> =
        areas.map(|(area, _)| WayStep { id: area.id.clone(), name: area.name.clone() }).collect();
    if let Some((hall, _)) = found.halls.iter().find(|(_, path)| path == place.path()) {
        way.push(WayStep { id: hall.id.clone(), name: hall.name.clone() });
    }
    way
}

/// The areas directly below `parent` with their halls, then the halls directly in it.
fn children(parent: &str, found: &Found, cells: &[(HallCell, &str)]) -> Vec<Child> {
    let areas = found.areas.iter().filter(|(area, _)| area.parent.as_deref() == Some(parent));
    let mut children: Vec<Child> = areas
        .map(|(area, path)| {
            let halls: Vec<HallCell> = cells
                .iter()
                .filter(|(_, of_hall)| of_hall.starts_with(path.as_str()))
                .map(|(cell, _)| cell.clone())
                .collect();
            let mut figures = PlaceFigures::default();
            for hall in &halls {
                figures.add(&hall.figures);
            }
            let state = halls.iter().map(|hall| hall.state).max().unwrap_or(HallState::Absent);
            Child { id: area.id.clone(), name: area.name.clone(), kind: "area", state, figures, halls }
        })
        .collect();
    let direct = found.halls.iter().filter(|(hall, _)| hall.area == parent).map(|(hall, _)| hall.id.as_str());
    for id in direct {
        if let Some((cell, _)) = cells.iter().find(|(cell, _)| cell.id == id) {
            children.push(Child {
                id: cell.id.clone(),
                name: cell.name.clone(),
                kind: "hall",
                state: cell.state,
                figures: cell.figures,
                halls: vec![cell.clone()],
            });
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use control_protocol::{Happening as H, event::Grade};
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::{
        params,
        scene::{Journal, Scene},
        site::tests::Browser,
        store::{Sql, StoreError},
    };

    /// Enrols a node for the hall, as far as the tree's pages can tell.
    async fn enrol(scene: &Scene, hall: &'static str) {
        scene
            .centre
            .store
            .write("a node", move |tx| {
                tx.execute(
                    "INSERT INTO nodes (id, hall, version, enrolled_at) VALUES ($1, $2, '0', 0)",
                    params![format!("hall-{hall}"), hall],
                )
                .map(|_| ())
                .map_err(|error: StoreError| error)
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_area_adds_up_and_says_what_is_wrong() {
        let scene = Scene::new().await;
        enrol(&scene, "450103-01").await;
        let mut journal = Journal::of("450103-01");
        let (ticket, business) = ("A001".to_owned(), "社保".to_owned());
        let given = H::RatingGiven { ticket: ticket.clone(), grade: Grade::new(1).unwrap(), raw: 0 };
        let issued = |ticket: &str| H::TicketIssued {
            ticket: ticket.into(),
            business: "社保".into(),
            printed_waiting: None,
            priority: 0,
        };
        let events = vec![
            journal.event(1, 0, H::WindowOpened {}),
            journal.event(0, 1, issued("A001")),
            journal.event(0, 2, issued("A002")),
            journal.event(1, 1, H::TicketCalled { ticket, business, by_number: false }),
            journal.event(1, 1, given),
        ];
        scene.take(events).await;
        scene.pass(20 * 60_000);

        let region = Browser::signed_in(&scene, "region").await;
        let kinds = |seen: &serde_json::Value| -> Vec<String> {
            let rows = seen["wrong"].as_array().unwrap().iter();
            rows.map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
        };
        // A wait is long after what the hall says, half an hour unless it says another.
        let seen = region.get("/areas/450000/overview").await;
        assert_eq!(kinds(&seen), ["node.offline", "rating.bad"]);
        let manager = Browser::signed_in(&scene, "manager").await;
        let lower = json!({"longest_wait_minutes": 18});
        let (status, _) = manager.json(Method::PUT, "/halls/450103-01/queue/thresholds", Some(lower)).await;
        assert_eq!(status, StatusCode::NO_CONTENT);

        let seen = region.get("/areas/450000/overview").await;
        assert_eq!(seen["figures"]["halls"], 2);
        assert_eq!(seen["figures"]["windows"], 3);
        assert_eq!(seen["figures"]["windows_open"], 1);
        assert_eq!(seen["figures"]["waiting"], 1);
        assert_eq!(seen["figures"]["window_events"], 2);
        assert_eq!(seen["day"], "2026-11-22");
        assert_eq!(seen["today"]["service"]["arrivals"], 2);
        assert_eq!(seen["today"]["ratings"]["grades"], json!([1, 0, 0, 0, 0]));
        assert_eq!(kinds(&seen), ["node.offline", "rating.bad", "wait.long"], "{seen}");
        assert_eq!(seen["wrong_total"], 3);
        assert_eq!(seen["wrong"][1]["case_id"], journal.case(1).to_string());
        let city = &seen["children"][0];
        assert_eq!((&city["id"], &city["state"]), (&json!("450100"), &json!("offline")));
        let states: Vec<&str> =
            city["halls"].as_array().unwrap().iter().map(|hall| hall["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["absent", "offline"], "450102-01 has no node");

        let city = region.get("/areas/450100/overview").await;
        assert_eq!(city["way"][0]["id"], "450000");
        assert_eq!(city["way"][1]["name"], "南宁市");
        assert_eq!(city["children"].as_array().unwrap().len(), 2);
        let hall = region.get("/areas/450103-01/overview").await;
        assert_eq!((&hall["kind"], &hall["figures"]["waiting"]), (&json!("hall"), &json!(1)));
        assert_eq!(hall["children"], json!([]));
    }

    #[tokio::test]
    async fn an_overview_is_for_those_whose_area_it_is() {
        let scene = Scene::new().await;
        let county = Browser::signed_in(&scene, "county").await;
        let seen = county.get("/areas/450103/overview").await;
        assert_eq!(seen["way"], json!([{"id": "450103", "name": "青秀区"}]));
        assert_eq!(seen["children"][0]["kind"], "hall");
        for (name, area, status) in [
            ("county", "450000", StatusCode::NOT_FOUND),
            ("county", "450102-01", StatusCode::NOT_FOUND),
            ("county", "nowhere", StatusCode::NOT_FOUND),
            ("manager", "450103-01", StatusCode::OK),
            ("manager", "450103", StatusCode::NOT_FOUND),
            ("hr", "450000", StatusCode::FORBIDDEN),
            ("tech", "450000", StatusCode::FORBIDDEN),
        ] {
            let browser = Browser::signed_in(&scene, name).await;
            assert_eq!(browser.status(&format!("/areas/{area}/overview")).await, status, "{name} {area}");
        }
    }
}
