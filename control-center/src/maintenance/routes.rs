//! `/maintenance`: a technician's first question, answered at once.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::trouble::{Known, Spare, Trouble, spares};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may, may_somewhere},
    areas, pictures,
    site::{extract::Asked, list::limit, problem::Problem},
    store::{Filter, Sql, StoreError},
};

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(maintenance))
}

/// What of the halls is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MaintenanceAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
    /// Behind this row: a page's `next`.
    after: Option<usize>,
    /// The most rows.
    limit: Option<usize>,
}

/// A hall's devices, counted.
#[derive(Debug, Serialize, ToSchema)]
struct HallHealth {
    /// Its id.
    hall: String,
    /// Its name.
    name: String,
    /// Whether its machine is connected.
    connected: bool,
    /// Cameras and devices that stand there.
    devices: usize,
    /// How many of them have a trouble; none while the hall is not connected: then nothing is known.
    faulty: Option<usize>,
}

/// What is wrong, and what to bring.
#[derive(Debug, Serialize, ToSchema)]
struct Maintenance {
    /// The moment of all of it.
    #[schema(value_type = String)]
    as_of: UtcMillis,
    /// What is wrong, the most urgent first.
    items: Vec<Trouble>,
    /// Where the next page begins.
    next: Option<String>,
    /// How many there are in all, by urgency: 1 a whole hall, 2 a camera or device does not work, 3 it works badly, 4 to be seen
    /// to.
    urgencies: Vec<usize>,
    /// What to bring for all of it.
    bring: Vec<Spare>,
    /// The halls, those with troubles first.
    halls: Vec<HallHealth>,
}

fn known(sql: &mut dyn Sql, person: &Person, hall: &Option<HallId>) -> Result<Known, Problem> {
    if let Some(hall) = hall {
        let place = Place::of_hall(sql, hall)?.ok_or(Denied::Outside)?;
        may(person, Action::SeeNodes, &place)?;
    }
    let scope = Scope::of(person, Action::SeeNodes);
    let mut filter = Filter::new();
    filter.within("h.path", &scope).with("h.id = ?", hall);
    let (statement, params) =
        filter.statement("SELECT h.id, h.name FROM halls h", "ORDER BY h.path", 1_000_000);
    let halls = sql.query(&statement, &params)?;
    let halls = halls.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, StoreError>>()?;
    let cameras = areas::CamerasAsked { hall: hall.clone(), ..areas::CamerasAsked::default() };
    Ok(Known {
        nodes: areas::node_rows(sql, &scope, hall)?,
        cameras: areas::camera_rows(sql, &scope, &cameras)?,
        positions: areas::position_rows(sql, &scope, hall, &None, 1_000_000)?,
        faults: pictures::standing(sql, &scope, hall)?,
        halls,
    })
}

fn health(known: &Known, troubles: &[Trouble]) -> Vec<HallHealth> {
    let away = known.away();
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    let stand = known.cameras.iter().map(|row| row.hall.as_str());
    for hall in stand.chain(known.positions.iter().map(|row| row.hall.as_str())) {
        *devices.entry(hall).or_default() += 1;
    }
    let mut halls: Vec<HallHealth> = known
        .halls
        .iter()
        .map(|(hall, name)| {
            let connected = !away.contains(hall.as_str());
            let mut faulty: Vec<&str> = troubles
                .iter()
                .filter(|trouble| trouble.hall == *hall && trouble.role != "node")
                .map(|trouble| trouble.device.as_str())
                .collect();
            faulty.sort_unstable();
            faulty.dedup();
            HallHealth {
                hall: hall.clone(),
                name: name.clone(),
                connected,
                devices: devices.get(hall.as_str()).copied().unwrap_or_default(),
                faulty: connected.then_some(faulty.len()),
            }
        })
        .collect();
    // A hall of which nothing is known comes before one with faults.
    halls.sort_by_key(|hall| (std::cmp::Reverse(hall.faulty.unwrap_or(usize::MAX)), hall.hall.clone()));
    halls
}

/// What is wrong with machines, cameras and devices of one's halls, the most urgent first, and what to bring. Of a hall that is
/// not connected only that is told: what its devices said last may be over.
#[utoipa::path(get, path = "/maintenance", tag = "maintenance", params(MaintenanceAsked),
    responses((status = 200, body = Maintenance), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn maintenance(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<MaintenanceAsked>,
) -> Result<Json<Maintenance>, Problem> {
    may_somewhere(&person, Action::SeeNodes)?;
    let MaintenanceAsked { hall, after, limit: most } = asked;
    let mut known = centre.store.read(move |sql| known(sql, &person, &hall)).await?;
    areas::nodes_now(&mut known.nodes, &centre.nodes);
    areas::cameras_now(&mut known.cameras, &centre.nodes);
    let as_of = centre.clock.now();
    let troubles = known.troubles(as_of);
    let halls = health(&known, &troubles);
    let bring = spares(&troubles);
    let mut urgencies = vec![0; 4];
    for trouble in &troubles {
        if let Some(count) = urgencies.get_mut(usize::from(trouble.urgency) - 1) {
            *count += 1;
        }
    }
    let (skip, total) = (after.unwrap_or(0), troubles.len());
    let items: Vec<Trouble> = troubles.into_iter().skip(skip).take(limit(most)).collect();
    let end = skip + items.len();
    let next = (end < total).then(|| end.to_string());
    Ok(Json(Maintenance { as_of, items, next, urgencies, bring, halls }))
}

#[cfg(test)]
mod tests {
    use control_protocol::{
        Happening,
        event::{CameraEntry, PositionEntry},
    };
    use http::StatusCode;
    use serde_json::json;

    use crate::{
        scene::{Journal, Scene},
        site::tests::Browser,
    };

    #[tokio::test]
    async fn technicians_see_the_troubles_of_their_halls_and_nobody_else_does() {
        let scene = Scene::new().await;
        let mut journal = Journal::of("450103-01");
        let evaluator = "450103-01-W01-evaluator";
        let camera = CameraEntry {
            camera: "450103-01-W01-C1".parse().unwrap(),
            window: Some("450103-01-W01".parse().unwrap()),
            name: "c".into(),
            url: "rtsp://x".into(),
        };
        let position = PositionEntry {
            position: evaluator.parse().unwrap(),
            window: Some("450103-01-W01".parse().unwrap()),
            role: "evaluator".into(),
            unconfirmed: false,
            hardware: Some("bus 1 address 1".into()),
        };
        let had = Happening::NodeConfigChanged { cameras: vec![camera], positions: vec![position] };
        let first = journal.event(0, 0, had);
        let silent = journal.by_device(1, 0, Some(evaluator), Happening::DeviceSilent {});
        scene.take(vec![first, silent]).await;

        let tech = Browser::signed_in(&scene, "tech").await;
        let said = tech.get("/maintenance").await;
        // No machine is enrolled in the scene: nothing is known of either hall.
        let halls = said["halls"].as_array().unwrap();
        assert_eq!(halls.len(), 2);
        let of_hall = halls.iter().find(|hall| hall["hall"] == "450103-01").unwrap();
        assert_eq!(
            (&of_hall["connected"], &of_hall["devices"], &of_hall["faulty"]),
            (&json!(false), &json!(2), &json!(null))
        );
        assert_eq!(said["items"], json!([]), "of a hall that is away nothing of its devices is told");
        assert_eq!(tech.get("/maintenance?hall=450103-01").await["halls"].as_array().unwrap().len(), 1);
        for (name, status) in [
            ("admin", StatusCode::OK),
            ("county", StatusCode::FORBIDDEN),
            ("hr", StatusCode::FORBIDDEN),
            ("manager", StatusCode::FORBIDDEN),
        ] {
            let browser = Browser::signed_in(&scene, name).await;
            assert_eq!(browser.status("/maintenance").await, status, "{name}");
        }
        assert_eq!(tech.status("/maintenance?hall=450199-01").await, StatusCode::NOT_FOUND);
    }
}
