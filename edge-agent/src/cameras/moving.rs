//! Moving cameras over ONVIF: for people who look at them now. A movement ends by itself, so that neither a page that is
//! closed nor a link that breaks leaves a camera turning; presets are listed and gone to, never changed.
//!
//! Owns the cameras' ONVIF addresses and who turns what until when. Nothing here is kept for later: what cannot be done now
//! is an error.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{CameraId, pairing::Answered};
use device_drivers::{
    camera::onvif::{
        Credential, OnvifError,
        ptz::{Mover, Moves, Velocity},
    },
    clock::SystemUtc,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, watch},
    task::AbortHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use crate::config;

/// A movement goes on at most so long after it was last asked for, whatever was asked.
const LONGEST: Duration = Duration::from_secs(5);
/// The camera is told to stop so long after it should have by itself: not all heed the timeout.
const GRACE: Duration = Duration::from_millis(300);

/// Gives the secret of a credential; may block.
pub type Secrets = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The cameras, to be moved. Clones are the same.
#[derive(Clone)]
pub struct Moving(Arc<Inner>);

struct Inner {
    /// The cameras there are now.
    cameras: watch::Receiver<Vec<config::Camera>>,
    /// Where their ONVIF services are, if not at the usual address.
    addresses: BTreeMap<CameraId, Url>,
    secrets: Secrets,
    /// Those that were moved.
    known: std::sync::Mutex<BTreeMap<CameraId, Arc<Movable>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Movable {
    /// As it was configured when it was first moved.
    camera: config::Camera,
    onvif: Url,
    credential: Option<Credential>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How the camera is moved, once it has told.
    moves: Option<Moves>,
    watchdog: Option<AbortHandle>,
}

/// What is asked. Speeds are hundredths of the camera's fastest, −100 to 100.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    #[serde(default)]
    pan: i8,
    #[serde(default)]
    tilt: i8,
    #[serde(default)]
    zoom: i8,
    most_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoTo {
    preset: String,
}

enum Refusal {
    NoSuchThing,
    Unclear(String),
    Camera(OnvifError),
}

impl From<OnvifError> for Refusal {
    fn from(error: OnvifError) -> Self {
        Self::Camera(error)
    }
}

impl Moving {
    /// The cameras of `cameras`, whatever they are at the moment; `addresses` names unusual ones.
    pub fn new(
        cameras: watch::Receiver<Vec<config::Camera>>,
        addresses: BTreeMap<CameraId, Url>,
        secrets: Secrets,
        stop: CancellationToken,
    ) -> Self {
        let known = std::sync::Mutex::default();
        Self(Arc::new(Inner { cameras, addresses, secrets, known, tasks: TaskTracker::new(), stop }))
    }

    /// The camera, as it is configured now.
    async fn movable(&self, id: &CameraId) -> Result<Arc<Movable>, Refusal> {
        let camera = self.0.cameras.borrow().iter().find(|camera| camera.id == *id).cloned();
        let camera = camera.ok_or(Refusal::NoSuchThing)?;
        let known = || self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(movable) = known().get(id).filter(|movable| movable.camera == camera) {
            return Ok(movable.clone());
        }
        let onvif = match self.0.addresses.get(id) {
            Some(address) => address.clone(),
            None => usual(&camera.url).ok_or(Refusal::NoSuchThing)?,
        };
        let (secrets, name) = (self.0.secrets.clone(), camera.credential.clone());
        let password =
            tokio::task::spawn_blocking(move || name.map(|name| secrets(&name)).unwrap_or_default());
        let password = password.await.unwrap_or_default();
        let credential = camera.user.clone().map(|user| Credential { user, password });
        let movable = Arc::new(Movable { camera, onvif, credential, state: Mutex::default() });
        known().insert(id.clone(), movable.clone());
        Ok(movable)
    }

    /// Answers `<camera>/turn`, `<camera>/stop`, `<camera>/presets` or `<camera>/go_to` of a person whose right the centre has
    /// checked.
    pub async fn answer(&self, path: &str, body: &Bytes) -> (Answered, Bytes) {
        let (status, said) = match self.act(path, body).await {
            Ok(said) => (200, said),
            Err(Refusal::NoSuchThing) => (404, json!({"detail": "the hall has no such camera"})),
            Err(Refusal::Unclear(detail)) => (422, json!({"detail": detail})),
            Err(Refusal::Camera(error)) => (502, json!({"detail": error.to_string()})),
        };
        let content_type = Some("application/json".to_owned());
        (Answered { status, content_type }, said.to_string().into())
    }

    async fn act(&self, path: &str, body: &Bytes) -> Result<Value, Refusal> {
        let (camera, what) = path.split_once('/').ok_or(Refusal::NoSuchThing)?;
        let camera: CameraId = camera.parse().map_err(|_| Refusal::NoSuchThing)?;
        let movable = &self.movable(&camera).await?;
        let unclear = |error: serde_json::Error| Refusal::Unclear(error.to_string());
        match what {
            "turn" => {
                let turn: Turn = serde_json::from_slice(body).map_err(unclear)?;
                self.turn(movable, &turn).await?;
                Ok(json!({}))
            }
            "stop" => {
                movable.stop().await?;
                Ok(json!({}))
            }
            "presets" => {
                let mut state = movable.state.lock().await;
                let presets = movable.mover(&mut state).await?.presets().await?;
                Ok(json!({"items": presets}))
            }
            "go_to" => {
                let GoTo { preset } = serde_json::from_slice(body).map_err(unclear)?;
                if preset.is_empty() || preset.len() > 64 {
                    return Err(Refusal::Unclear("preset: 1 to 64 characters".into()));
                }
                let mut state = movable.state.lock().await;
                movable.mover(&mut state).await?.go_to(&preset).await?;
                Ok(json!({}))
            }
            _ => Err(Refusal::NoSuchThing),
        }
    }

    async fn turn(&self, movable: &Arc<Movable>, turn: &Turn) -> Result<(), Refusal> {
        let most = Duration::from_millis(turn.most_ms).min(LONGEST);
        let share = |speed: i8| f32::from(speed.clamp(-100, 100)) / 100.0;
        let velocity = Velocity { pan: share(turn.pan), tilt: share(turn.tilt), zoom: share(turn.zoom) };
        let mut state = movable.state.lock().await;
        movable.mover(&mut state).await?.turn(velocity, most).await?;
        let (of, stop) = (movable.clone(), self.0.stop.clone());
        let watchdog = self.0.tasks.spawn(async move {
            // The agent's end ends the movement as well.
            tokio::select! {
                () = tokio::time::sleep(most + GRACE) => {}
                () = stop.cancelled() => {}
            }
            if let Err(error) = of.stop_turned().await {
                tracing::warn!(onvif = %of.onvif, "the camera could not be told to stop: {error}");
            }
        });
        if let Some(before) = state.watchdog.replace(watchdog.abort_handle()) {
            before.abort();
        }
        Ok(())
    }

    /// Ends once every camera that turned was told to stop.
    pub async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Where most cameras have their device service.
fn usual(stream: &Url) -> Option<Url> {
    format!("http://{}/onvif/device_service", stream.host_str()?).parse().ok()
}

impl Movable {
    /// Who asks the camera; it is asked how it moves once.
    async fn mover(&self, state: &mut State) -> Result<Mover<'_>, OnvifError> {
        if let Some(moves) = &state.moves {
            return Ok(Mover::again(moves.clone(), self.credential.as_ref(), &SystemUtc));
        }
        let mover = Mover::of(&self.onvif, self.credential.as_ref(), &SystemUtc).await?;
        state.moves = Some(mover.moves().clone());
        Ok(mover)
    }

    async fn stop(&self) -> Result<(), OnvifError> {
        let mut state = self.state.lock().await;
        if let Some(watchdog) = state.watchdog.take() {
            watchdog.abort();
        }
        self.mover(&mut state).await?.stop().await
    }

    /// The watchdog's stop: it does not end itself.
    async fn stop_turned(&self) -> Result<(), OnvifError> {
        let mut state = self.state.lock().await;
        state.watchdog = None;
        self.mover(&mut state).await?.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use device_drivers::simulator::onvif::{Behaviour, OnvifCamera, Place};

    const CAMERA: &str = "450103-01-W07-C1";

    async fn stage() -> (OnvifCamera, Moving, CancellationToken) {
        let behaviour = Behaviour {
            user: Some(("admin".into(), "s3cret".into())),
            presets: vec![("1".into(), "门口".into())],
            moves: true,
            ..Behaviour::sound("127.0.0.1:554")
        };
        let camera = OnvifCamera::start(behaviour).await.unwrap();
        let configured = config::Camera {
            id: CAMERA.parse().unwrap(),
            window: None,
            name: "7".into(),
            url: "rtsp://127.0.0.1:554/main".parse().unwrap(),
            sub_url: None,
            user: Some("admin".into()),
            credential: Some("cameras".into()),
        };
        let stop = CancellationToken::new();
        let addresses = [(configured.id.clone(), camera.xaddr().parse().unwrap())].into();
        let (_, cameras) = watch::channel(vec![configured]);
        let moving = Moving::new(cameras, addresses, Arc::new(|_| "s3cret".into()), stop.clone());
        (camera, moving, stop)
    }

    async fn ask(moving: &Moving, what: &str, body: Value) -> (u16, Value) {
        let (answered, said) = moving.answer(&format!("{CAMERA}/{what}"), &body.to_string().into()).await;
        (answered.status, serde_json::from_slice(&said).unwrap())
    }

    async fn becomes(camera: &OnvifCamera, place: Place) {
        let reached = tokio::time::timeout(Duration::from_secs(30), async {
            while camera.place() != place {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        reached.await.unwrap_or_else(|_| panic!("it is {:?}", camera.place()));
    }

    #[test]
    fn the_usual_address_is_the_streams_host() {
        let usual = |stream: &str| usual(&stream.parse().unwrap()).map(String::from);
        assert_eq!(usual("rtsp://10.0.0.7:8554/main").unwrap(), "http://10.0.0.7/onvif/device_service");
        assert_eq!(usual("rtsp://[fd00::7]/main").unwrap(), "http://[fd00::7]/onvif/device_service");
    }

    #[tokio::test]
    async fn a_movement_ends_by_itself_by_release_and_with_the_agent() {
        let (camera, moving, stop) = stage().await;
        let turn = json!({"pan": -50, "tilt": 0, "most_ms": 200});
        assert_eq!(ask(&moving, "turn", turn.clone()).await.0, 200);
        assert!(camera.calls().contains(&"ContinuousMove".to_owned()));
        // The simulated camera heeds no timeout: it is told.
        becomes(&camera, Place::Stopped).await;
        let long = json!({"pan": 100, "zoom": 30, "most_ms": 999_999});
        assert_eq!(ask(&moving, "turn", long.clone()).await.0, 200);
        assert_eq!(camera.place(), Place::Turning { pan: 1.0, tilt: 0.0, zoom: 0.3, most: "PT5.0S".into() });
        assert_eq!(ask(&moving, "stop", json!({})).await.0, 200);
        assert_eq!(camera.place(), Place::Stopped);
        assert_eq!(ask(&moving, "turn", long).await.0, 200);
        stop.cancel();
        moving.ended().await;
        assert_eq!(camera.place(), Place::Stopped);
        let asked = camera.calls().iter().filter(|call| *call == "GetServices").count();
        assert_eq!(asked, 1, "a camera is asked once how it moves");
    }

    #[tokio::test]
    async fn presets_are_listed_and_gone_to_and_what_is_not_there_is_said() {
        let (camera, moving, _stop) = stage().await;
        let (status, presets) = ask(&moving, "presets", json!({})).await;
        assert_eq!((status, presets), (200, json!({"items": [{"token": "1", "name": "门口"}]})));
        assert_eq!(ask(&moving, "go_to", json!({"preset": "1"})).await.0, 200);
        assert_eq!(camera.place(), Place::At("1".into()));
        let (status, said) = ask(&moving, "go_to", json!({"preset": "9"})).await;
        assert_eq!(status, 502);
        assert!(!said.to_string().contains("s3cret"), "{said}");
        assert_eq!(ask(&moving, "turn", json!({"pan": "fast"})).await.0, 422);
        assert_eq!(ask(&moving, "reboot", json!({})).await.0, 404);
        let other = moving.answer("450103-01-W09-C1/stop", &Bytes::new()).await;
        assert_eq!(other.0.status, 404);
    }
}
