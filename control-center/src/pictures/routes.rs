//! `/cameras/{camera}/stills/{still}`: a still of what was found, fetched from the hall that keeps it.

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use control_protocol::{
    CameraId, HallId,
    pairing::{About, Ask},
};
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, audit, may},
    areas::camera_place,
    nodes::NoAnswer,
    site::problem::Problem,
    store::StoreError,
};

/// This room's routes, under `/api/v1`.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(still))
}

/// The longest name of a still.
const LONGEST_NAME: usize = 120;

/// The still that a `picture.fault` or `seat.changed` names. The hall keeps the newest of them; 404 where it has it no
/// more.
#[utoipa::path(get, path = "/cameras/{camera}/stills/{still}", tag = "pictures",
    params(("camera" = String, Path, description = "camera id"), ("still" = String, Path, description = "the still's name, as the event has it")),
    responses((status = 200, description = "the still", content_type = "image/jpeg"),
        (status = 404, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn still(
    State(centre): State<Centre>,
    person: Person,
    Path((camera, still)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let camera: CameraId = camera.parse().map_err(|_| Denied::Outside)?;
    let letters = still.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !letters || still.is_empty() || still.len() > LONGEST_NAME {
        return Err(Denied::Outside.into());
    }
    let (now, of, name, asker) = (centre.clock.now(), camera.clone(), still.clone(), person.name.to_string());
    let hall: HallId = centre
        .store
        .write("audit of a kept still", move |tx| {
            let place = camera_place(tx.sql, &of)?.ok_or(Denied::Outside)?;
            may(&person, Action::WatchLive, &place)?;
            audit::audit(tx.sql, &person, "picture.still", of.as_str(), &name, now)?;
            let hall = place.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            hall.parse::<HallId>().map_err(|_| {
                Problem::from(StoreError::Read(format!("the path {} does not end in a hall", place.path())))
            })
        })
        .await?;
    let link = centre.nodes.registry().of_hall(&hall).ok_or(NoAnswer::Offline)?;
    let ask = Ask {
        about: About::Still,
        method: "GET".into(),
        path: format!("{camera}/{still}"),
        query: String::new(),
        content_type: None,
        technician: asker,
    };
    let (answered, jpeg) = link.ask(ask, &[]).await?;
    // An edge that is older than this answers as if it were asked about pairing.
    if answered.status != 200 || answered.content_type.as_deref() != Some("image/jpeg") {
        return Err(Problem::new(StatusCode::NOT_FOUND, "the hall does not keep this still any more"));
    }
    let mut response = Body::from(jpeg).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
