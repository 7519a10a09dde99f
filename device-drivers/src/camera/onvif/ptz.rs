//! Moving a camera: pan, tilt, zoom and presets (ONVIF PTZ service, version 2.0).
//!
//! A movement carries its own end: the camera stops by itself when it is over, and is told to stop as well, so that a link
//! that breaks never leaves a camera turning. Presets are listed and gone to; none is made or changed.

use std::time::Duration;

use jiff::SignedDuration;
use roxmltree::Node;
use serde::Serialize;
use url::Url;

use super::{
    call::{Call, Caller, Credential, OnvifError},
    describe::{clock_offset, parse, ptz_services},
    soap::{Answer, escaped, find, text_of},
};
use crate::clock::UtcClock;

const PTZ: &str = "http://www.onvif.org/ver20/ptz/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const SCHEMA: &str = "http://www.onvif.org/ver10/schema";
/// Presets looked at; most cameras have room for 255 or 300.
const PRESETS: usize = 300;

/// How fast, as shares of the camera's fastest: −1 to 1, right, up and in being positive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Velocity {
    /// To the right.
    pub pan: f32,
    /// Up.
    pub tilt: f32,
    /// In.
    pub zoom: f32,
}

/// A place that the camera remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preset {
    /// The camera's own name for it in calls.
    pub token: String,
    /// Its name for people; the token where it has none.
    pub name: String,
}

/// How a camera is moved, to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    ptz: Url,
    /// The profile that moves, as XML.
    profile: String,
    /// The camera's clock minus ours.
    offset: SignedDuration,
}

/// One camera that can be moved.
pub struct Mover<'a> {
    caller: Caller<'a>,
    moves: Moves,
}

impl<'a> Mover<'a> {
    /// Asks the camera at `xaddr` where its PTZ service is, and which profile moves. Every call has its own limit.
    ///
    /// # Errors
    /// Why it could not be asked, or that it does not move.
    pub async fn of(
        xaddr: &Url,
        credential: Option<&'a Credential>,
        clock: &'a dyn UtcClock,
    ) -> Result<Self, OnvifError> {
        let mut caller = Caller::new(credential, clock);
        let offset = match clock_offset(xaddr, clock).await {
            Ok(offset) => offset,
            Err(error @ (OnvifError::Connect(_) | OnvifError::Timeout | OnvifError::Address(_))) => {
                return Err(error);
            }
            // It tells its time to users only; then ours has to do.
            Err(_) => SignedDuration::ZERO,
        };
        caller.set_offset(offset);
        let (media, ptz) = ptz_services(&mut caller, xaddr).await?;
        let no = |why: &str| OnvifError::Fault { call: "PTZ", why: why.to_owned() };
        let ptz = ptz.ok_or_else(|| no("it has no PTZ service"))?;
        let call = Call { name: "GetProfiles", namespace: MEDIA, content: "" };
        let text = caller.call(&media, call).await?;
        let token = {
            let answer = parse(&text)?;
            let moves = |profile: &Node<'_, '_>| find(*profile, &["PTZConfiguration"]).is_some();
            let token = |profile: Node<'_, '_>| profile.attribute("token").map(str::to_owned);
            let first = answer.all("Profiles").find(moves).or_else(|| answer.all("Profiles").next());
            first.and_then(token).ok_or_else(|| no("it has no profile"))?
        };
        let profile = format!("<ProfileToken>{}</ProfileToken>", escaped(&token));
        Ok(Self { caller, moves: Moves { ptz, profile, offset } })
    }

    /// The same camera again, which has told how it is moved.
    pub fn again(moves: Moves, credential: Option<&'a Credential>, clock: &'a dyn UtcClock) -> Self {
        let mut caller = Caller::new(credential, clock);
        caller.set_offset(moves.offset);
        Self { caller, moves }
    }

    /// How it is moved.
    pub fn moves(&self) -> &Moves {
        &self.moves
    }

    async fn call(&mut self, name: &'static str, more: &str) -> Result<String, OnvifError> {
        let content = format!("{}{more}", self.moves.profile);
        self.caller.call(&self.moves.ptz, Call { name, namespace: PTZ, content: &content }).await
    }

    /// Moves until told to stop, and at most for `most`.
    ///
    /// # Errors
    /// The camera cannot be asked, or does not do it.
    pub async fn turn(&mut self, velocity: Velocity, most: Duration) -> Result<(), OnvifError> {
        let within = |value: f32| if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 };
        let Velocity { pan, tilt, zoom } = velocity;
        let mut vector =
            format!("<PanTilt xmlns=\"{SCHEMA}\" x=\"{:.3}\" y=\"{:.3}\"/>", within(pan), within(tilt));
        // Cameras that cannot zoom refuse a whole movement that names it.
        if zoom != 0.0 {
            vector.push_str(&format!("<Zoom xmlns=\"{SCHEMA}\" x=\"{:.3}\"/>", within(zoom)));
        }
        let timeout = format!("<Timeout>PT{:.1}S</Timeout>", most.as_secs_f64());
        self.call("ContinuousMove", &format!("<Velocity>{vector}</Velocity>{timeout}")).await.map(drop)
    }

    /// Stops every movement.
    ///
    /// # Errors
    /// The camera cannot be asked, or does not do it.
    pub async fn stop(&mut self) -> Result<(), OnvifError> {
        self.call("Stop", "<PanTilt>true</PanTilt><Zoom>true</Zoom>").await.map(drop)
    }

    /// The places that the camera remembers.
    ///
    /// # Errors
    /// The camera cannot be asked, or does not do it.
    pub async fn presets(&mut self) -> Result<Vec<Preset>, OnvifError> {
        let text = self.call("GetPresets", "").await?;
        Ok(presets_of(&parse(&text)?))
    }

    /// Goes to a place that it remembers.
    ///
    /// # Errors
    /// The camera cannot be asked, or has no such place.
    pub async fn go_to(&mut self, preset: &str) -> Result<(), OnvifError> {
        let token = format!("<PresetToken>{}</PresetToken>", escaped(preset));
        self.call("GotoPreset", &token).await.map(drop)
    }
}

fn presets_of(answer: &Answer<'_>) -> Vec<Preset> {
    let preset = |node: Node<'_, '_>| {
        let token: String = node.attribute("token")?.chars().filter(|c| !c.is_control()).take(64).collect();
        let name = find(node, &["Name"]).map(text_of).unwrap_or_default();
        Some(Preset { name: if name.is_empty() { token.clone() } else { name }, token })
    };
    answer.all("Preset").filter_map(preset).take(PRESETS).collect()
}

/// For a fuzz target: everything that reads an answer, on one text.
#[doc(hidden)]
pub fn read_presets(text: &str) -> usize {
    Answer::parse(text).map_or(0, |answer| presets_of(&answer).len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemUtc,
        simulator::onvif::{Behaviour, OnvifCamera, Place},
    };

    fn user() -> Credential {
        Credential { user: "admin".into(), password: "s3cret".into() }
    }

    async fn moving() -> OnvifCamera {
        let behaviour = Behaviour {
            user: Some(("admin".into(), "s3cret".into())),
            presets: vec![("1".into(), "门口".into()), ("2".into(), String::new())],
            moves: true,
            ..Behaviour::sound("127.0.0.1:554")
        };
        OnvifCamera::start(behaviour).await.unwrap()
    }

    #[tokio::test]
    async fn it_turns_stops_and_goes_to_its_places() {
        let camera = moving().await;
        let (user, xaddr) = (user(), camera.xaddr().parse().unwrap());
        let mut mover = Mover::of(&xaddr, Some(&user), &SystemUtc).await.unwrap();
        let right = Velocity { pan: 7.0, tilt: -0.5, zoom: 0.0 };
        mover.turn(right, Duration::from_millis(1500)).await.unwrap();
        assert_eq!(camera.place(), Place::Turning { pan: 1.0, tilt: -0.5, zoom: 0.0, most: "PT1.5S".into() });
        mover.stop().await.unwrap();
        assert_eq!(camera.place(), Place::Stopped);
        let presets = mover.presets().await.unwrap();
        let names: Vec<_> = presets.iter().map(|p| (p.token.as_str(), p.name.as_str())).collect();
        assert_eq!(names, [("1", "门口"), ("2", "2")]);
        mover.go_to("2").await.unwrap();
        assert_eq!(camera.place(), Place::At("2".into()));
        let none = mover.go_to("9").await.unwrap_err();
        assert!(matches!(none, OnvifError::Fault { call: "GotoPreset", .. }), "{none}");
        assert_eq!(camera.wrong_passwords(), 0);
    }

    #[tokio::test]
    async fn a_camera_that_does_not_move_says_so_and_a_wrong_password_is_tried_once() {
        let still = OnvifCamera::start(Behaviour::sound("127.0.0.1:554")).await.unwrap();
        let error = Mover::of(&still.xaddr().parse().unwrap(), None, &SystemUtc).await.err().unwrap();
        assert!(error.to_string().contains("no PTZ service"), "{error}");
        let camera = moving().await;
        let wrong = Credential { user: "admin".into(), password: "no".into() };
        let error =
            Mover::of(&camera.xaddr().parse().unwrap(), Some(&wrong), &SystemUtc).await.err().unwrap();
        assert!(matches!(error, OnvifError::Unauthorized { .. }), "{error}");
        assert_eq!(camera.wrong_passwords(), 1);
    }
}
