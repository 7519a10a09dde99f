//! Cameras in a visit once they were found: described with the password that the technician gives, seen by a still, and tested by
//! playing them. A password is tried on the one camera it was given for.

use std::time::Duration;

use bytes::Bytes;
use control_protocol::PositionId;
use device_drivers::{
    camera::{
        CameraItem, CameraSource, PullEnd, PullTimeouts, Transport, VideoParameters,
        audit::{AuditPlan, Role as StreamRole, audit},
        onvif::{CameraDescription, Credential, OnvifError, choose, describe},
        pull,
    },
    clock::{SystemMonotonic, SystemUtc},
};
use picture::{Codec, Jpeg};
use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    Pairing, Who,
    attend::nobody,
    problem::Problem,
    visit::{Candidate, Hardware, Step},
};
use crate::{
    cameras::source::{stage, why},
    devices::{Connection, Role},
};

/// How long a camera may take to describe itself.
pub(super) const DESCRIBE: Duration = Duration::from_secs(15);
/// How long a still may take: the centre's door waits 25 s.
const STILL: Duration = Duration::from_secs(20);
/// A still's largest width: a phone's, and what a sheet of paper shows.
const STILL_WIDTH: u32 = 1280;
/// How long each stream is played in a test.
const PLAY: Duration = Duration::from_secs(10);

/// What a camera's streams are asked for with, or what they are said to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Streams {
    candidate: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    credential: Option<String>,
    /// With it nothing is asked: the technician chooses.
    #[serde(default)]
    main: Option<Url>,
    #[serde(default)]
    sub: Option<Url>,
}

fn refused(error: &OnvifError) -> Problem {
    let code = match error {
        OnvifError::NeedsCredential => "needs-credential",
        OnvifError::Unauthorized { .. } => "unauthorized",
        OnvifError::Address(_) | OnvifError::Connect(_) => "unreachable",
        OnvifError::Timeout => "timeout",
        OnvifError::NotOnvif(_) => "no-onvif",
        OnvifError::Fault { .. } => "fault",
    };
    camera_problem(code, error.to_string())
}

fn unplayed(end: &PullEnd) -> Problem {
    camera_problem(stage(end), why(end))
}

fn camera_problem(code: &str, detail: String) -> Problem {
    Problem::new(502, "camera", json!({"why": code, "detail": detail}), detail)
}

/// What is shown of a description; its streams' addresses hold no password.
pub(super) fn described(facts: &Value, camera: &CameraDescription) -> Value {
    let choice = choose(&camera.profiles);
    let mut facts = facts.clone();
    facts["described"] = json!(true);
    facts["needs_credential"] = json!(false);
    facts["maker"] = json!(camera.manufacturer);
    facts["model"] = json!(camera.model);
    facts["firmware"] = json!(camera.firmware);
    facts["clock_offset_s"] = json!(camera.time_offset_s);
    facts["streams"] = json!(camera.profiles);
    facts["chosen"] = json!(choice);
    facts
}

/// How a described camera is reached; `None` where it has no stream that can be used.
pub(super) fn connection_of(
    camera: &CameraDescription,
    user: Option<&str>,
    credential: Option<&str>,
) -> Option<Connection> {
    let choice = choose(&camera.profiles);
    let address = |at: usize| Url::parse(camera.profiles.get(at)?.uri.as_deref()?).ok();
    Some(Connection::Camera {
        main: address(choice.main?)?,
        sub: choice.sub.and_then(address),
        user: user.map(str::to_owned),
        credential: credential.map(str::to_owned),
    })
}

pub(super) fn hardware_of(camera: &CameraDescription, connection: &Connection) -> Hardware {
    let serial = (!camera.serial.is_empty()).then(|| camera.serial.clone());
    let identity = serial.as_ref().map_or_else(|| connection.identity(), |s| format!("camera:{s}"));
    Hardware { kind: Role::Camera, identity, serial }
}

impl Pairing {
    async fn secret(&self, credential: Option<&str>) -> Result<String, Problem> {
        let Some(name) = credential else { return Ok(String::new()) };
        let (vault, wanted) = (self.0.place.vault.clone(), name.to_owned());
        let secret = tokio::task::spawn_blocking(move || vault.get(&wanted)).await;
        let secret = secret.ok().and_then(Result::ok).ok_or_else(|| Problem::not_found("credential"))?;
        Ok(secret.reveal().to_owned())
    }

    /// Finds a camera's streams with the password given for it, or takes the technician's choice of them.
    pub(super) async fn streams(&self, who: &Who, asked: Streams) -> Result<Value, Problem> {
        let found = {
            let mut held = self.0.visit.lock().await;
            let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
            visit.admits(&who.name, self.now())?;
            visit.candidate(&asked.candidate)?.clone()
        };
        if found.kind != Role::Camera {
            return Err(Problem::invalid("candidate", "it is no camera"));
        }
        let user = asked.user.as_deref().map(str::trim).filter(|user| !user.is_empty());
        let secret = self.secret(asked.credential.as_deref()).await?;
        let (hardware, connection, facts) = match asked.main {
            Some(main) => {
                let connection = Connection::Camera {
                    main,
                    sub: asked.sub,
                    user: user.map(str::to_owned),
                    credential: asked.credential,
                };
                let mut facts = found.facts.clone();
                facts["described"] = json!(true);
                let hardware = match found.hardware.serial {
                    Some(_) => found.hardware,
                    None => Hardware { identity: connection.identity(), ..found.hardware },
                };
                (hardware, connection, facts)
            }
            None => {
                let onvif = found.facts["onvif"].as_str().and_then(|text| Url::parse(text).ok());
                let onvif = onvif.ok_or_else(|| {
                    camera_problem("no-onvif", "it has no ONVIF: say where its streams are".into())
                })?;
                let credential = user.map(|user| Credential { user: user.to_owned(), password: secret });
                let told = describe(&onvif, credential.as_ref(), &SystemUtc, DESCRIBE).await;
                let told = told.map_err(|e| refused(&e))?;
                let connection = connection_of(&told, user, asked.credential.as_deref());
                let connection = connection.ok_or_else(|| {
                    camera_problem("no_stream", "the camera tells of no H.264 or H.265 stream".into())
                })?;
                (hardware_of(&told, &connection), connection, described(&found.facts, &told))
            }
        };
        if let Some((field, why)) = connection.fault() {
            return Err(Problem::invalid(field, why));
        }
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, self.now())?;
        let step = Step::Described { candidate: found.id, hardware, connection, facts };
        self.keep(visit, who, vec![step], |_| Ok(())).await?;
        Ok(self.visit(visit, self.now()))
    }

    async fn source(&self, connection: &Connection, second: bool) -> Result<Option<CameraSource>, Problem> {
        let Connection::Camera { main, sub, user, credential } = connection else { return Ok(None) };
        let Some(url) = (if second { sub.as_ref() } else { Some(main) }) else { return Ok(None) };
        Ok(Some(CameraSource {
            url: url.clone(),
            user: user.clone().unwrap_or_default(),
            password: self.secret(credential.as_deref()).await?,
            transport: Transport::Tcp,
            sound: false,
        }))
    }

    /// Shows what a camera sees; the picture is a photo of the visit.
    pub(super) async fn identify_by_still(&self, who: &Who, found: &Candidate) -> Result<Value, Problem> {
        let source = self.source(&found.connection, false).await?;
        let source = source.ok_or_else(|| Problem::invalid("how", "it is no camera"))?;
        let jpeg = self.still(&source).await?;
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, self.now())?;
        let photo = visit.next_id('p')?;
        let sha256 = control_protocol::Digest::of(&jpeg.bytes).to_string();
        let steps = vec![
            Step::PhotoTaken { photo: photo.clone(), sha256 },
            Step::Identify { candidate: found.id.clone(), how: "still".into(), photo: Some(photo.clone()) },
        ];
        let answer = json!({
            "how": "still",
            "done": true,
            "photo": photo,
            "width": jpeg.width,
            "height": jpeg.height,
        });
        let visit_id = visit.id.clone();
        self.keep(visit, who, steps, move |tx| {
            tx.execute(
                "INSERT INTO photos (visit, id, width, height, jpeg) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![visit_id, photo, jpeg.width, jpeg.height, jpeg.bytes.as_ref()],
            )?;
            Ok(())
        })
        .await?;
        Ok(answer)
    }

    async fn still(&self, source: &CameraSource) -> Result<Jpeg, Problem> {
        let timeouts =
            PullTimeouts { open: Duration::from_secs(8), first_frame: STILL, ..Default::default() };
        let enough = CancellationToken::new();
        let mut video: Option<std::sync::Arc<VideoParameters>> = None;
        let mut key: Option<Bytes> = None;
        let on_item = |item: CameraItem| match item {
            CameraItem::Parameters(parameters) => video = Some(parameters),
            CameraItem::Unit(unit) if unit.key && key.is_none() => {
                key = Some(unit.data);
                enough.cancel();
            }
            CameraItem::Unit(_) | CameraItem::Sound(_) => {}
        };
        let pulling = pull(source, &SystemMonotonic, timeouts, on_item, &enough);
        let end = tokio::time::timeout(STILL, pulling).await.unwrap_or(PullEnd::FirstFrame(STILL));
        let (Some(video), Some(key)) = (video, key) else { return Err(unplayed(&end)) };
        let codec = Codec::of_rfc6381(&video.codec);
        let codec = codec.ok_or_else(|| unplayed(&PullEnd::Unsupported(video.codec.clone())))?;
        let parameters = picture::Parameters { codec, record: video.config.clone() };
        let still = self.0.place.stills.still(parameters, key, STILL_WIDTH).await;
        still.map_err(|e| camera_problem("still", e.to_string()))
    }

    /// Plays the streams of a camera in test and judges them; the test ends with it.
    pub(super) fn audit_camera(
        &self,
        visit: &str,
        position: PositionId,
        connection: Connection,
        told: Value,
    ) {
        let (pairing, visit, stop) = (self.clone(), visit.to_owned(), self.0.place.stop.clone());
        // Ends by itself: each stream has its time.
        tokio::spawn(async move {
            let streams = tokio::select! {
                () = stop.cancelled() => return,
                streams = pairing.audit_streams(&connection, &told) => streams,
            };
            let mut held = pairing.0.visit.lock().await;
            let now = pairing.now();
            let Some(visit) = held.as_mut().filter(|v| v.id == visit && v.is_open(now)) else { return };
            if visit.test(&position).is_err() {
                return;
            }
            let steps = vec![Step::Audited { position: position.clone(), streams }];
            if let Err(problem) = pairing.keep(visit, &nobody(), steps, |_| Ok(())).await {
                tracing::error!("the audit of {position} could not be kept: {problem}");
            }
            pairing.0.place.board.test(position.as_str(), None);
        });
    }

    async fn audit_streams(&self, connection: &Connection, told: &Value) -> Value {
        let mut streams = Vec::new();
        for (role, second) in [(StreamRole::Main, false), (StreamRole::Sub, true)] {
            let source = match self.source(connection, second).await {
                Ok(Some(source)) => source,
                Ok(None) => continue,
                Err(problem) => {
                    let failed = json!({"stage": "credential", "why": problem.detail});
                    streams.push(json!({"role": role, "report": null, "failed": failed}));
                    continue;
                }
            };
            let url = source.bare_url().to_string();
            let told_fps = told.as_array().into_iter().flatten().find(|s| s["uri"] == url.as_str());
            let told_fps = told_fps.and_then(|s| s["fps"].as_f64());
            let plan = AuditPlan { play: PLAY, told_fps, ..AuditPlan::of(role) };
            let judged = audit(&source, &SystemUtc, plan, &CancellationToken::new()).await;
            let refused = matches!(judged, Err(PullEnd::Unauthorized));
            streams.push(match judged {
                Ok(report) => json!({"role": role, "url": url, "report": report, "failed": null}),
                Err(end) => {
                    let failed = json!({"stage": stage(&end), "why": why(&end)});
                    json!({"role": role, "url": url, "report": null, "failed": failed})
                }
            });
            if refused {
                // A second try with the same password brings the user nearer to being locked out.
                break;
            }
        }
        json!(streams)
    }
}
