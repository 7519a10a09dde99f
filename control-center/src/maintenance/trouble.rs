//! What is wrong with machines and devices, how urgent that is, and what mends it. Pure: rows as they are now come in.
//!
//! An order, not a score: each trouble has a rank by what it costs (a whole hall, a camera or a window's device, a reading
//! that may be wrong, something to see to in time), and among equals the one that has lasted longest comes first.

use std::collections::{BTreeMap, BTreeSet};

use control_protocol::{UtcMillis, channel::StreamState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    areas::{CameraRow, NodeRow, PositionRow},
    pictures::StandingFault,
};

/// A camera that dials for longer than this does not get through.
const DIALLING_MS: i64 = 60_000;
/// A device's clock that is further off than this makes punches late or early.
const CLOCK_SECONDS: i64 = 30;
/// A certificate that ends within this was not renewed in time: it is, at half its life of 60 days.
const CERTIFICATE_MS: i64 = 20 * 86_400_000;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Trouble {
    /// `hall_offline quarantined certificate camera_down camera_unplayable device_down device_silent device_degraded
    /// picture clock unconfirmed`.
    pub(super) problem: &'static str,
    /// How urgent: 1 a whole hall, 2 a camera or device does not work, 3 it works badly, 4 to be seen to.
    pub(super) urgency: u8,
    /// The hall.
    pub(super) hall: String,
    /// Its name.
    pub(super) hall_name: String,
    /// The window, where there is one.
    pub(super) window: Option<String>,
    /// The camera, position or node.
    pub(super) device: String,
    /// `camera`, `node`, or the position's role.
    pub(super) role: String,
    /// What stands there.
    pub(super) hardware: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>)]
    pub(super) since: Option<UtcMillis>,
    /// More, in plain words; of a picture the fault's code, of a clock the seconds that it is ahead.
    pub(super) why: Option<String>,
    /// What to bring.
    pub(super) bring: Vec<&'static str>,
}

/// Spares for the way: one kind, for so many places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Spare {
    /// `camera keypad evaluator ticket attendance display voice module modem cable power_supply lens_cloth machine password`.
    pub(super) kind: String,
    /// The hardware that stands there now, where it is known: bring the like.
    pub(super) hardware: Option<String>,
    /// For how many places.
    pub(super) count: usize,
    /// The halls.
    pub(super) halls: Vec<String>,
}

/// What is known of the halls within somebody's scope.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) nodes: Vec<NodeRow>,
    pub(super) cameras: Vec<CameraRow>,
    pub(super) positions: Vec<PositionRow>,
    pub(super) faults: Vec<StandingFault>,
    /// Names of halls.
    pub(super) halls: BTreeMap<String, String>,
}

impl Known {
    /// Halls of which nothing is known now: what was last said of their devices is no trouble of its own.
    pub(super) fn away(&self) -> BTreeSet<&str> {
        let here: BTreeSet<&str> =
            self.nodes.iter().filter(|node| node.connected).map(|node| node.hall.as_str()).collect();
        self.halls.keys().map(String::as_str).filter(|hall| !here.contains(hall)).collect()
    }

    /// Everything that is wrong, the most urgent first.
    pub(super) fn troubles(&self, now: UtcMillis) -> Vec<Trouble> {
        let away = self.away();
        let here = |hall: &str| !away.contains(hall);
        let mut found: Vec<Trouble> = self.nodes.iter().filter_map(|node| of_node(node, now)).collect();
        found.extend(self.cameras.iter().filter(|row| here(&row.hall)).filter_map(|row| of_camera(row, now)));
        found.extend(self.positions.iter().filter(|row| here(&row.hall)).filter_map(of_position));
        found.extend(self.faults.iter().filter(|row| here(&row.hall)).map(of_picture));
        for trouble in &mut found {
            trouble.hall_name = self.halls.get(&trouble.hall).cloned().unwrap_or_default();
        }
        found.sort_by(|a, b| {
            let since = |trouble: &Trouble| trouble.since.map_or(i64::MAX, |since| since.0);
            (a.urgency, since(a), &a.hall, &a.device).cmp(&(b.urgency, since(b), &b.hall, &b.device))
        });
        found
    }
}

fn trouble(problem: &'static str, urgency: u8, hall: &str, device: &str, role: &str) -> Trouble {
    Trouble {
        problem,
        urgency,
        hall: hall.to_owned(),
        hall_name: String::new(),
        window: None,
        device: device.to_owned(),
        role: role.to_owned(),
        hardware: None,
        since: None,
        why: None,
        bring: Vec::new(),
    }
}

fn of_node(node: &NodeRow, now: UtcMillis) -> Option<Trouble> {
    let of = |problem, urgency| trouble(problem, urgency, &node.hall, node.id.as_str(), "node");
    // A machine that was cut off on purpose is not waited for.
    if node.revoked {
        return None;
    }
    if node.quarantined.is_some() {
        return Some(Trouble { why: node.alarm.clone(), since: node.last_seen, ..of("quarantined", 1) });
    }
    if !node.connected {
        let bring = vec!["machine", "cable", "power_supply"];
        return Some(Trouble { since: node.last_seen, bring, ..of("hall_offline", 1) });
    }
    let ends = node.certificate_expires_at?;
    (ends.0 - now.0 < CERTIFICATE_MS).then(|| Trouble { why: Some(ends.to_string()), ..of("certificate", 4) })
}

fn of_camera(camera: &CameraRow, now: UtcMillis) -> Option<Trouble> {
    let of = |problem, urgency, bring| Trouble {
        window: camera.window.clone(),
        since: Some(camera.since),
        why: camera.why.clone(),
        bring,
        ..trouble(problem, urgency, &camera.hall, camera.id.as_str(), "camera")
    };
    // What the camera answers is mended at its own page, not with a spare.
    let answers = |words: &str| camera.why.as_deref().is_some_and(|why| why.contains(words));
    match camera.state {
        StreamState::Live => None,
        StreamState::Connecting if now.0 - camera.since.0 < DIALLING_MS => None,
        StreamState::Unsupported => Some(of("camera_unplayable", 3, Vec::new())),
        _ if answers("user or password") => Some(of("camera_down", 2, vec!["password"])),
        _ if answers("no stream at this address") => Some(of("camera_down", 2, Vec::new())),
        _ => Some(of("camera_down", 2, vec!["camera", "cable", "power_supply"])),
    }
}

fn of_position(position: &PositionRow) -> Option<Trouble> {
    let of = |problem, urgency, bring| Trouble {
        window: position.window.clone(),
        hardware: position.hardware.clone(),
        since: Some(position.since),
        why: position.why.clone(),
        bring,
        ..trouble(problem, urgency, &position.hall, &position.id, &position.role)
    };
    let spare = spare_of(&position.role);
    match position.health.as_str() {
        "down" => Some(of("device_down", 2, vec![spare, "cable"])),
        "silent" => Some(of("device_silent", 2, vec![spare, "cable"])),
        "degraded" => Some(of("device_degraded", 3, vec!["cable"])),
        "unconfirmed" => Some(of("unconfirmed", 4, Vec::new())),
        _ => {
            let off = position.clock_offset.filter(|off| off.abs() > CLOCK_SECONDS)?;
            Some(Trouble { since: None, why: Some(off.to_string()), ..of("clock", 3, Vec::new()) })
        }
    }
}

fn of_picture(fault: &StandingFault) -> Trouble {
    let bring = match fault.fault.as_str() {
        "black" | "frozen" => vec!["camera"],
        "blocked" | "out_of_focus" => vec!["lens_cloth"],
        _ => Vec::new(),
    };
    Trouble {
        window: fault.window.clone(),
        since: Some(fault.since),
        why: Some(fault.fault.clone()),
        bring,
        ..trouble("picture", 3, &fault.hall, &fault.camera, "camera")
    }
}

/// The spare for a role: the device itself, by the name of the role.
fn spare_of(role: &str) -> &'static str {
    const ROLES: [&str; 8] =
        ["keypad", "evaluator", "ticket", "attendance", "display", "voice", "module", "modem"];
    ROLES.into_iter().find(|known| *known == role).unwrap_or("device")
}

/// How many of a spare, and the halls that want one.
#[derive(Default)]
struct Wanted<'a> {
    count: usize,
    halls: BTreeSet<&'a str>,
}

/// What to bring for these: by kind and, for devices, by what stands there now.
pub(super) fn spares(troubles: &[Trouble]) -> Vec<Spare> {
    let mut all: BTreeMap<(&str, Option<&str>), Wanted<'_>> = BTreeMap::new();
    for trouble in troubles {
        for &kind in &trouble.bring {
            let like = trouble.hardware.as_deref().filter(|_| kind == spare_of(&trouble.role));
            let wanted = all.entry((kind, like)).or_default();
            wanted.count += 1;
            wanted.halls.insert(&trouble.hall);
        }
    }
    let mut spares: Vec<Spare> = all
        .into_iter()
        .map(|((kind, hardware), wanted)| Spare {
            kind: kind.to_owned(),
            hardware: hardware.map(str::to_owned),
            count: wanted.count,
            halls: wanted.halls.into_iter().map(str::to_owned).collect(),
        })
        .collect();
    spares.sort_by(|a, b| (b.count, &a.kind).cmp(&(a.count, &b.kind)));
    spares
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_795_309_200_000);

    fn node(hall: &str, connected: bool) -> NodeRow {
        NodeRow {
            id: format!("hall-{hall}").parse().unwrap(),
            hall: hall.into(),
            hall_name: String::new(),
            version: "1".into(),
            enrolled_at: NOW,
            last_seen: Some(NOW.plus(-5000)),
            connected,
            connected_since: None,
            outbox_depth: None,
            clock_offset_ms: None,
            certificate_expires_at: Some(NOW.plus(40 * 86_400_000)),
            revoked: false,
            quarantined: None,
            alarm: None,
        }
    }

    fn camera(hall: &str, state: StreamState, why: Option<&str>, ago_ms: i64) -> CameraRow {
        CameraRow {
            id: format!("{hall}-W01-C1").parse().unwrap(),
            hall: hall.into(),
            window: Some(format!("{hall}-W01")),
            name: "1".into(),
            kind: "window",
            state,
            why: why.map(Into::into),
            since: NOW.plus(-ago_ms),
            path: String::new(),
        }
    }

    fn position(hall: &str, role: &str, health: &str, ago_ms: i64) -> PositionRow {
        PositionRow {
            id: format!("{hall}-W01-{role}"),
            hall: hall.into(),
            window: Some(format!("{hall}-W01")),
            role: role.into(),
            health: health.into(),
            why: None,
            since: NOW.plus(-ago_ms),
            hardware: Some("bus ttyUSB0 address 1".into()),
            clock_offset: None,
        }
    }

    fn known() -> Known {
        let names = [("A", "甲"), ("B", "乙")].map(|(hall, name)| (hall.to_owned(), name.to_owned()));
        Known { nodes: vec![node("A", true), node("B", true)], halls: names.into(), ..Known::default() }
    }

    fn problems(known: &Known) -> Vec<(&'static str, u8, String)> {
        known.troubles(NOW).into_iter().map(|t| (t.problem, t.urgency, t.device)).collect()
    }

    fn hall(id: &str) -> String {
        format!("45010{id}-01")
    }

    #[test]
    fn the_urgent_comes_first_and_then_what_has_lasted_longest() {
        let (a, b) = (hall("2"), hall("3"));
        let mut k = known();
        k.halls = [(a.clone(), "甲".into()), (b.clone(), "乙".into())].into();
        k.nodes = vec![node(&a, true), node(&b, true)];
        k.cameras = vec![
            camera(&a, StreamState::Offline, Some("the camera cannot be reached"), 60_000),
            camera(&b, StreamState::Live, None, 0),
        ];
        k.positions = vec![
            position(&b, "evaluator", "silent", 3_600_000),
            position(&a, "keypad", "degraded", 9_000_000),
            position(&a, "evaluator", "unconfirmed", 9_000_000),
            position(&b, "keypad", "up", 0),
        ];
        assert_eq!(
            problems(&k),
            [
                ("device_silent", 2, format!("{b}-W01-evaluator")),
                ("camera_down", 2, format!("{a}-W01-C1")),
                ("device_degraded", 3, format!("{a}-W01-keypad")),
                ("unconfirmed", 4, format!("{a}-W01-evaluator")),
            ]
        );
        assert_eq!(k.troubles(NOW)[0].hall_name, "乙");
    }

    #[test]
    fn of_a_hall_that_is_away_only_that_is_known() {
        let a = hall("2");
        let mut k = known();
        k.halls = [(a.clone(), "甲".into())].into();
        k.nodes = vec![node(&a, false)];
        k.cameras = vec![camera(&a, StreamState::Offline, None, 60_000)];
        k.positions = vec![position(&a, "keypad", "down", 60_000)];
        assert_eq!(problems(&k), [("hall_offline", 1, format!("hall-{a}"))]);
        // A machine that was cut off on purpose is not waited for.
        k.nodes[0].revoked = true;
        assert!(problems(&k).is_empty());
    }

    #[test]
    fn what_the_camera_answers_needs_no_spare() {
        let a = hall("2");
        let of = |state, why, ago| of_camera(&camera(&a, state, why, ago), NOW);
        let refused = "the camera refuses the user or password: set the right one; tried again every minute";
        assert_eq!(of(StreamState::Offline, Some(refused), 60_000).unwrap().bring, ["password"]);
        assert!(of(StreamState::Connecting, None, 1000).is_none());
        assert!(of(StreamState::Connecting, None, 90_000).unwrap().bring.contains(&"camera"));
        assert_eq!(of(StreamState::Unsupported, None, 0).unwrap().problem, "camera_unplayable");
    }

    #[test]
    fn a_clock_that_is_off_is_told_in_seconds() {
        let mut terminal = position(&hall("2"), "attendance", "up", 0);
        terminal.clock_offset = Some(-31);
        let found = of_position(&terminal).unwrap();
        assert_eq!((found.problem, found.why.as_deref()), ("clock", Some("-31")));
        terminal.clock_offset = Some(30);
        assert!(of_position(&terminal).is_none());
    }

    #[test]
    fn spares_are_counted_by_what_stands_there() {
        let (a, b) = (hall("2"), hall("3"));
        let mut other = position(&b, "evaluator", "down", 5);
        let troubles: Vec<Trouble> = [
            of_position(&position(&a, "evaluator", "down", 5)),
            of_position(&{
                other.hardware = Some("another".into());
                other
            }),
            of_position(&position(&b, "evaluator", "silent", 5)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let found: Vec<(String, Option<String>, usize, usize)> =
            spares(&troubles).into_iter().map(|s| (s.kind, s.hardware, s.count, s.halls.len())).collect();
        let like = Some("bus ttyUSB0 address 1".to_owned());
        assert_eq!(
            found,
            [
                ("cable".to_owned(), None, 3, 2),
                ("evaluator".to_owned(), like, 2, 2),
                ("evaluator".to_owned(), Some("another".to_owned()), 1, 1),
            ]
        );
    }

    #[test]
    fn a_certificate_is_a_trouble_once_it_should_have_been_renewed() {
        let mut near = node(&hall("2"), true);
        assert!(of_node(&near, NOW).is_none());
        near.certificate_expires_at = Some(NOW.plus(CERTIFICATE_MS - 1));
        assert_eq!(of_node(&near, NOW).unwrap().problem, "certificate");
    }
}
