//! What binding a device to a place means for everything else: pure decisions over the positions as they are.

use control_protocol::{HallId, PositionId, WindowId};
use serde_json::json;

use super::{positions::Position, problem::Problem, visit::Hardware};
use crate::{
    config::Config,
    devices::{Connection, Role},
};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// The device's place.
    pub position: PositionId,
    /// The window there.
    pub window: Option<WindowId>,
    /// The place that loses this device.
    pub from: Option<PositionId>,
    /// What stood at the place before.
    pub former: Option<String>,
    /// Why, as history has it: `paired replaced moved cloned`.
    pub why: &'static str,
}

/// The window of a position and whether there may be such a position for a role.
///
/// # Errors
/// The id does not belong to this hall, or not to this role.
pub(super) fn place(
    config: &Config,
    id: &str,
    role: Role,
) -> Result<(PositionId, Option<WindowId>), Problem> {
    let hall: &HallId = &config.hall.id;
    let position: PositionId =
        id.parse().map_err(|e: control_protocol::ids::BadId| Problem::invalid("position", e.to_string()))?;
    let rest = id.strip_prefix(hall.as_str()).and_then(|rest| rest.strip_prefix('-'));
    if role == Role::Camera {
        return Ok((position, camera_place(config, rest.unwrap_or_default())?));
    }
    let Some((name, word)) = rest.and_then(|rest| rest.split_once('-')) else {
        return Err(Problem::invalid(
            "position",
            format!("its form is {hall}-W07-evaluator or {hall}-T01-ticket"),
        ));
    };
    if word != role.name() {
        return Err(Problem::invalid(
            "position",
            format!("a place for this device ends in -{}", role.name()),
        ));
    }
    if role.at_window() || (role.may_be_at_window() && name.starts_with('W')) {
        let window = config.windows.iter().find(|w| w.id.as_str() == format!("{hall}-{name}"));
        let window =
            window.ok_or_else(|| Problem::invalid("position", format!("there is no window {name}")))?;
        return Ok((position, Some(window.id.clone())));
    }
    let mut letters = name.chars();
    let form = letters.next().is_some_and(|c| c.is_ascii_uppercase())
        && (2..=8).contains(&name.len())
        && letters.all(|c| c.is_ascii_digit());
    if !form || name.starts_with('W') {
        return Err(Problem::invalid("position", "a name such as T01 or A01"));
    }
    Ok((position, None))
}

/// The window of a camera's place, `W07-C1`; none for the hall at large, `S01`.
fn camera_place(config: &Config, rest: &str) -> Result<Option<WindowId>, Problem> {
    let hall = &config.hall.id;
    let number = |text: &str, letter: char| {
        text.strip_prefix(letter).is_some_and(|n| {
            (1..=3).contains(&n.len())
                && n.bytes().all(|b| b.is_ascii_digit())
                && n.bytes().any(|b| b != b'0')
        })
    };
    match rest.split_once('-') {
        Some((name, camera)) if number(camera, 'C') => {
            let window = config.windows.iter().find(|w| w.id.as_str() == format!("{hall}-{name}"));
            let window =
                window.ok_or_else(|| Problem::invalid("position", format!("there is no window {name}")))?;
            Ok(Some(window.id.clone()))
        }
        None if number(rest, 'S') => Ok(None),
        _ => {
            let form = format!("its form is {hall}-W07-C1, or {hall}-S01 for the hall at large");
            Err(Problem::invalid("position", form))
        }
    }
}

/// The place where this hardware stands.
pub(super) fn stands_at<'a>(
    all: &'a [Position],
    hardware: &Hardware,
    connection: &Connection,
) -> Option<&'a Position> {
    all.iter().find(|p| {
        p.binding.as_ref().is_some_and(|b| {
            b.connection.identity() == connection.identity()
                || (b.identity == hardware.identity && p.role == hardware.kind)
                || (b.serial.is_some() && b.serial == hardware.serial)
        })
    })
}

fn choose(status: &'static str, position: &PositionId, choices: &[&str], detail: String) -> Problem {
    Problem::new(409, status, json!({"position": position, "choices": choices}), detail)
}

/// Decides what binding `hardware` at `id` does.
///
/// # Errors
/// The place cannot be, a person must choose what it is a case of, or the line serves something else.
pub(super) fn decide(
    config: &Config,
    all: &[Position],
    id: &str,
    hardware: &Hardware,
    connection: &Connection,
    case: &str,
) -> Result<Decision, Problem> {
    if !["new", "replaced", "moved", "cloned"].contains(&case) {
        return Err(Problem::invalid("case", "new, replaced, moved or cloned"));
    }
    if let Some((field, why)) = connection.fault() {
        return Err(Problem::invalid(field, why));
    }
    let (position, window) = place(config, id, hardware.kind)?;
    let there = all.iter().find(|p| p.id == position).and_then(|p| p.binding.as_ref());
    let elsewhere = stands_at(all, hardware, connection).filter(|p| p.id != position);
    if let Some(other) = elsewhere {
        let same_way = other
            .binding
            .as_ref()
            .is_some_and(|b| b.connection == *connection || b.connection.identity() == connection.identity());
        let choices: &[&str] = if same_way { &["moved"] } else { &["moved", "cloned"] };
        if !choices.contains(&case) {
            let detail =
                format!("this device stands at {}: say whether it was moved or is another one", other.id);
            return Err(choose("device-bound", &other.id, choices, detail));
        }
    } else if matches!(case, "moved" | "cloned") {
        return Err(Problem::invalid("case", "this device stands nowhere else"));
    } else if there.is_some() && case != "replaced" {
        let detail = format!("{position} has a device already: say whether it is replaced");
        return Err(choose("position-occupied", &position, &["replaced"], detail));
    } else if there.is_none() && case == "replaced" {
        return Err(Problem::invalid("case", "there is nothing to replace: new"));
    }
    let from = elsewhere.filter(|_| case == "moved").map(|p| p.id.clone());
    free_line(all, connection, &[Some(&position), from.as_ref()])?;
    Ok(Decision {
        former: there.map(|b| b.serial.clone().unwrap_or_else(|| b.identity.clone())),
        position,
        window,
        from,
        why: match case {
            "replaced" => "replaced",
            "moved" => "moved",
            "cloned" => "cloned",
            _ => "paired",
        },
    })
}

/// Whether the connection's line can be used beside what stands, those `without` left out.
///
/// # Errors
/// It serves a device of another kind or speed.
pub(super) fn free_line(
    all: &[Position],
    connection: &Connection,
    without: &[Option<&PositionId>],
) -> Result<(), Problem> {
    let taken = all
        .iter()
        .filter(|p| !without.contains(&Some(&p.id)))
        .find(|p| p.binding.as_ref().is_some_and(|b| !b.connection.shares_line_with(connection)));
    match taken {
        None => Ok(()),
        Some(other) => Err(Problem::new(
            409,
            "port-in-use",
            json!({"port": connection.line().map(|(port, _)| port), "by": [other.id]}),
            format!("the line serves {} with another protocol or speed", other.id),
        )),
    }
}
