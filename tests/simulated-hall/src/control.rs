//! The control interface: HTTP and JSON, for tests and demos that want something to go wrong.
//!
//! * `GET /state`: figures of every stream, and how far the day is;
//! * `POST /faults` with a [`FaultOrder`](crate::rtsp::FaultOrder): a camera fails;
//! * `POST /line-faults` with a [`LineFaultOrder`](crate::devices::LineFaultOrder): a device's line fails;
//! * `POST /day` with `{"running":true}` or `{"running":false}`: the script goes on or pauses; answers when no step
//!   is under way any more;
//! * `POST /act` with an [`Action`](crate::day::Action): does it by hand, answers with the log's record once the
//!   device was answered;
//! * `POST /spares` with a [`SparePress`](crate::spares::SparePress): a key of a device that is still to be paired.
//!
//! What cannot be done is answered 400 with `{"error":"why"}`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::day::Action;
use crate::devices::{Devices, LineFaultOrder};
use crate::oracle::Record;
use crate::rtsp::{FaultOrder, Server, Tier};
use crate::script::{DayState, Order};
use crate::spares::{SparePress, Spares};

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) hall: String,
    pub(crate) rtsp: Server,
    pub(crate) cameras: Arc<[String]>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) spares: Option<Arc<Spares>>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) day: Arc<Mutex<DayState>>,
}

/// Why a request fails.
struct Refused(String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": self.0 }))).into_response()
    }
}

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// `GET /state`.
#[derive(Debug, Serialize)]
struct HallState {
    hall: String,
    day: DayState,
    cameras: Vec<CameraState>,
}

#[derive(Debug, Serialize)]
struct CameraState {
    camera: String,
    main: Option<StreamState>,
    sub: Option<StreamState>,
}

#[derive(Debug, Serialize)]
struct StreamState {
    viewers: usize,
    pictures: u64,
    cut_off: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayOrder {
    running: bool,
}

pub(crate) fn router(control: Control) -> axum::Router {
    axum::Router::new()
        .route("/state", get(state))
        .route("/faults", post(camera_fault))
        .route("/line-faults", post(line_fault))
        .route("/day", post(run_day))
        .route("/act", post(act))
        .route("/spares", post(spare))
        .with_state(control)
}

async fn state(State(control): State<Control>) -> Json<HallState> {
    let stream = |camera: &str, tier| {
        let count = control.rtsp.count(camera, tier)?;
        Some(StreamState { viewers: count.viewers, pictures: count.pictures, cut_off: count.cut_off })
    };
    let cameras = control.cameras.iter().map(|camera| CameraState {
        camera: camera.clone(),
        main: stream(camera, Tier::Main),
        sub: stream(camera, Tier::Sub),
    });
    let day = control.day.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Json(HallState { hall: control.hall.clone(), day, cameras: cameras.collect() })
}

async fn camera_fault(
    State(control): State<Control>,
    Json(order): Json<FaultOrder>,
) -> Result<Json<FaultOrder>, Refused> {
    control.rtsp.order(&order).await?;
    Ok(Json(order))
}

async fn line_fault(
    State(control): State<Control>,
    Json(order): Json<LineFaultOrder>,
) -> Result<Json<LineFaultOrder>, Refused> {
    control.devices.fault(&order)?;
    Ok(Json(order))
}

async fn run_day(
    State(control): State<Control>,
    Json(order): Json<DayOrder>,
) -> Result<Json<DayState>, Refused> {
    let (reply, answer) = oneshot::channel();
    control.orders.send(Order::Run { running: order.running, reply }).await?;
    Ok(Json(answer.await?))
}

async fn act(State(control): State<Control>, Json(action): Json<Action>) -> Result<Json<Record>, Refused> {
    let (reply, answer) = oneshot::channel();
    control.orders.send(Order::Act { action, reply }).await?;
    Ok(Json(answer.await??))
}

async fn spare(
    State(control): State<Control>,
    Json(press): Json<SparePress>,
) -> Result<Json<SparePress>, Refused> {
    let spares = control.spares.ok_or_else(|| Refused("this hall has no spare devices".to_owned()))?;
    spares.press(&press).await.map_err(Refused)?;
    Ok(Json(press))
}
