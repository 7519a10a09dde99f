//! One still of one camera: the tier `still` through its relay, for a moment.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use control_protocol::{
    CameraId, UtcMillis,
    channel::StreamState,
    frame::{HEADER, Header, Tier},
    hub::Bell,
};
use http::{HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::{Seat, watchable};
use crate::{
    Centre,
    access::{Person, audit},
    nodes::count,
    site::{extract::Named, problem::Problem},
};

/// A still that the relay already has may be so old.
const FRESH: Duration = Duration::from_secs(2);
/// The longest a still is waited for.
const WAIT: Duration = Duration::from_secs(8);
/// When the picture was taken, by the edge's clock, RFC 3339.
const CAPTURED_AT: &str = "x-captured-at";

/// A JPEG of what the camera sees now; `x-captured-at` says when it was taken.
#[utoipa::path(get, path = "/cameras/{camera}/still.jpg", tag = "live",
    params(("camera" = String, Path, description = "camera id")),
    responses((status = 200, description = "the still", content_type = "image/jpeg"),
        (status = 404, body = Problem), (status = 504, body = Problem)))]
pub(super) async fn still(
    State(centre): State<Centre>,
    person: Person,
    Named(camera): Named<CameraId>,
) -> Result<Response, Problem> {
    let (asker, of) = (person.clone(), camera.clone());
    let hall = centre.store.read(move |sql| watchable(sql, &asker, &of)).await??;
    let (now, of) = (centre.clock.now(), camera.clone());
    centre
        .store
        .write("audit of a still", move |tx| {
            audit::audit(tx.sql, &person, "live.still", of.as_str(), "", now)
        })
        .await?;
    let bell = Bell::new();
    let seat = centre.live.relays().join(&camera, &hall, Tier::Still, &bell);
    let message = match tokio::time::timeout(WAIT, picture(&seat, &bell)).await {
        Ok(Ok(message)) => message,
        Ok(Err(why)) => return Err(none(&why)),
        Err(_) => {
            let why = seat.relay().shown().why;
            return Err(none(&why.unwrap_or_else(|| "no picture came within 8 seconds".to_owned())));
        }
    };
    let captured = Header::read(&message).map(|header| UtcMillis(header.captured_us / 1000));
    let mut response = Body::from(message.slice(HEADER..)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(Ok(value)) = captured.map(|at| HeaderValue::from_str(&at.to_string())) {
        headers.insert(CAPTURED_AT, value);
    }
    count(&centre.live.figures().stills, 1);
    Ok(response)
}

fn none(why: &str) -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, format!("there is no still of this camera now: {why}"))
}

/// The newest still, waited for; or why there is none.
async fn picture(seat: &Seat, bell: &Bell) -> Result<bytes::Bytes, String> {
    let begun = Instant::now();
    loop {
        let relay = seat.relay();
        if relay.age().is_some_and(|age| age <= FRESH.max(begun.elapsed()))
            && let Some(message) = relay.newest_key()
        {
            return Ok(message);
        }
        let shown = relay.shown();
        if matches!(shown.state, StreamState::Offline | StreamState::Unsupported) {
            return Err(shown.why.unwrap_or_else(|| "the camera cannot be reached".to_owned()));
        }
        bell.rung().await;
    }
}
