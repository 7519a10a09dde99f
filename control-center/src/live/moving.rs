//! Moving cameras: asked of the hall's edge at once, or not at all. Who may, and the record that they did, are here; how a
//! camera is moved the edge knows.

use axum::{
    Json,
    extract::{Path, State},
};
use control_protocol::{
    CameraId, HallId,
    pairing::{About, Ask},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, audit, may},
    areas::camera_place,
    nodes::NoAnswer,
    site::{
        extract::{Given, Named},
        problem::Problem,
    },
    store::StoreError,
};

/// A movement goes on so long after it was last asked for, milliseconds: a page that holds a button asks once a second.
const MOST_MS: u64 = 2_000;

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(turn, stop)).routes(routes!(presets)).routes(routes!(go_to))
}

/// A movement, in hundredths of the camera's fastest, −100 to 100.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Turn {
    /// To the right.
    #[serde(default)]
    pan: i8,
    /// Up.
    #[serde(default)]
    tilt: i8,
    /// In.
    #[serde(default)]
    zoom: i8,
}

/// Places that a camera remembers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct CameraPresets {
    /// The places.
    items: Vec<CameraPreset>,
}

/// A place that a camera remembers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct CameraPreset {
    /// The camera's own name for it.
    token: String,
    /// Its name.
    name: String,
}

/// Asks the hall of the camera, if the person may; `did` is what the record says.
async fn ask(
    centre: &Centre,
    person: Person,
    camera: &CameraId,
    (what, did): (&str, Option<String>),
    body: Value,
) -> Result<Value, Problem> {
    let (now, of, asker) = (centre.clock.now(), camera.clone(), person.name.to_string());
    let hall: HallId = centre
        .store
        .write("a camera is moved", move |tx| {
            let place = camera_place(tx.sql, &of)?.ok_or(Denied::Outside)?;
            may(&person, Action::MoveCamera, &place)?;
            if let Some(did) = did {
                audit::audit(tx.sql, &person, "camera.moved", of.as_str(), &did, now)?;
            }
            let hall = place.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            hall.parse::<HallId>().map_err(|_| {
                Problem::from(StoreError::Read(format!("the path {} does not end in a hall", place.path())))
            })
        })
        .await?;
    let link = centre.nodes.registry().of_hall(&hall).ok_or(NoAnswer::Offline)?;
    let ask = Ask {
        about: About::Move,
        method: "POST".into(),
        path: format!("{camera}/{what}"),
        query: String::new(),
        content_type: Some("application/json".into()),
        technician: asker,
    };
    let (answered, said) = link.ask(ask, body.to_string().as_bytes()).await?;
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    match answered.status {
        200 => Ok(said),
        status => {
            let detail = said["detail"].as_str().unwrap_or("the hall cannot move this camera");
            let status = match status {
                404 => StatusCode::NOT_FOUND,
                422 => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::BAD_GATEWAY,
            };
            Err(Problem::new(status, detail.chars().take(300).collect::<String>()))
        }
    }
}

/// Moves a camera for two seconds; asked again within them it goes on.
#[utoipa::path(post, path = "/cameras/{camera}/move", tag = "live", request_body = Turn,
    params(("camera" = String, Path, description = "camera id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 502, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn turn(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
    Given(turn): Given<Turn>,
) -> Result<StatusCode, Problem> {
    let Turn { pan, tilt, zoom } = turn;
    if [pan, tilt, zoom].iter().any(|speed| !(-100..=100).contains(speed)) {
        return Err(Problem::unprocessable("pan, tilt and zoom: from -100 to 100".to_owned()));
    }
    let did = format!("pan {pan} tilt {tilt} zoom {zoom}");
    let body = json!({"pan": pan, "tilt": tilt, "zoom": zoom, "most_ms": MOST_MS});
    ask(&centre, person, &camera, ("turn", Some(did)), body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops a camera.
#[utoipa::path(delete, path = "/cameras/{camera}/move", tag = "live",
    params(("camera" = String, Path, description = "camera id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 502, body = Problem),
        (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn stop(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
) -> Result<StatusCode, Problem> {
    ask(&centre, person, &camera, ("stop", None), json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The places that a camera remembers.
#[utoipa::path(get, path = "/cameras/{camera}/presets", tag = "live",
    params(("camera" = String, Path, description = "camera id")),
    responses((status = 200, body = CameraPresets), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 502, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn presets(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
) -> Result<Json<CameraPresets>, Problem> {
    let said = ask(&centre, person, &camera, ("presets", None), json!({})).await?;
    let presets = serde_json::from_value(said);
    presets
        .map(Json)
        .map_err(|_| Problem::new(StatusCode::BAD_GATEWAY, "the hall's answer is not understood"))
}

/// Has a camera go to a place that it remembers.
#[utoipa::path(post, path = "/cameras/{camera}/presets/{preset}", tag = "live",
    params(("camera" = String, Path, description = "camera id"), ("preset" = String, Path, description = "the place's token")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 502, body = Problem),
        (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn go_to(
    State(centre): State<Centre>,
    person: Person,
    Path((camera, preset)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let camera: CameraId = camera.parse().map_err(|_| Denied::Outside)?;
    let preset: String = preset.chars().take(65).collect();
    let did = format!("to preset {preset}");
    ask(&centre, person, &camera, ("go_to", Some(did)), json!({"preset": preset})).await?;
    Ok(StatusCode::NO_CONTENT)
}
