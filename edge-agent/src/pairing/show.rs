//! Positions, visits and records as the API shows them (docs/reference/pairing.md). Only reads.

use control_protocol::UtcMillis;
use serde_json::{Value, json};

use super::{
    Pairing, Who,
    binding::stands_at,
    log::Read,
    positions::{Binding, Grades, Position},
    visit::Visit,
};
use crate::{
    clock::Clock,
    devices::{Connection, DeviceHealth, GUEST, Live, Presence},
};

fn grades(grades: &Grades) -> Value {
    let map: serde_json::Map<String, Value> =
        grades.map.iter().map(|(raw, grade)| (format!("{raw:02X}"), json!(grade))).collect();
    let at = grades.confirmed_by.is_some().then_some(grades.at);
    json!({"map": map, "confirmed_by": grades.confirmed_by, "confirmed_at": at})
}

fn hardware(binding: &Binding) -> Value {
    json!({
        "kind": binding.connection.role(),
        "identity": binding.identity,
        "serial": binding.serial,
    })
}

fn bound(binding: &Binding) -> Value {
    json!({
        "hardware": hardware(binding),
        "connection": binding.connection,
        "from": binding.from,
        "to": binding.to,
        "why": binding.why,
        "by": binding.by,
        "visit": binding.visit,
        "grades": binding.grades.as_ref().map(grades),
    })
}

/// The word for a position's health.
pub(super) fn state(position: &Position, presence: Option<&Presence>) -> &'static str {
    if position.binding.is_none() {
        return "unbound";
    }
    let health = presence.and_then(|p| p.health);
    match health {
        Some(DeviceHealth::Down) => "down",
        Some(DeviceHealth::Silent) => "silent",
        Some(DeviceHealth::Degraded) => "degraded",
        _ if !position.confirmed() => "unconfirmed",
        Some(DeviceHealth::Up) => "online",
        None => "unknown",
    }
}

impl Pairing {
    /// A position as shown.
    pub(super) fn position(&self, position: &Position) -> Value {
        let presence = self.0.place.board.presence();
        let presence = presence.get(position.id.as_str()).map(|(_, presence)| presence);
        let binding = position.binding.as_ref();
        json!({
            "id": position.id,
            "window": position.window,
            "role": position.role,
            "health": {
                "state": state(position, presence),
                "since": presence.map(|p| p.since),
                "why": presence.and_then(|p| p.why.as_ref()),
                "bad_frames_per_minute": presence.and_then(|p| p.bad_frames_per_minute),
                "clock_offset_s": presence.and_then(|p| p.clock_offset_s),
                "last_reading_at": presence.and_then(|p| p.last_reading_at),
                "refused": presence.map_or(0, |p| p.refused),
            },
            "hardware": binding.map(hardware),
            "connection": binding.map(|b| &b.connection),
            "bound_at": binding.map(|b| b.from),
            "source": binding.map(|b| match b.why.as_str() {
                "config" => "config",
                "import" => "import",
                _ => "visit",
            }),
            "shows": super::act::showings(position),
            "in_test": self.0.place.board.in_test(position.id.as_str()).is_some(),
            "grades": binding.and_then(|b| b.grades.as_ref()).map(grades),
        })
    }

    /// A position with its history.
    pub(super) fn with_history(&self, position: &Position, history: &[Binding]) -> Value {
        let mut shown = self.position(position);
        shown["history"] = history.iter().map(bound).collect();
        shown
    }

    /// The hall, for the page's head.
    pub(super) fn hall(&self, who: &Who) -> Value {
        let place = &self.0.place;
        let windows: Vec<Value> = place
            .config
            .windows
            .iter()
            .map(|w| json!({"id": w.id, "number": w.number, "name": w.name}))
            .collect();
        let channel = place.channel.borrow();
        json!({
            "hall": place.config.hall.id,
            "name": place.config.hall.name,
            "time": self.now(),
            "clock": place.clock.quality(),
            "centre": {"connected": channel.connected, "why": channel.why},
            "windows": windows,
            "technician": {"name": who.name, "door": who.door, "until": who.until},
        })
    }

    /// What anybody at the hall may know.
    pub(super) fn health(&self) -> Value {
        let place = &self.0.place;
        let presence = place.board.presence();
        let mut counts = std::collections::BTreeMap::<&str, u32>::new();
        for position in &self.all() {
            let presence = presence.get(position.id.as_str()).map(|(_, presence)| presence);
            *counts.entry(state(position, presence)).or_default() += 1;
        }
        let up = place.uplink.borrow().connected;
        json!({
            "hall": place.config.hall.id,
            "name": place.config.hall.name,
            "time": self.now(),
            "positions": counts,
            "centre": if up { "up" } else { "down" },
        })
    }

    /// A visit as shown.
    pub(super) fn visit(&self, visit: &Visit, now: UtcMillis) -> Value {
        let mut shown = json!(visit);
        let left = if visit.is_open(now) { visit.expires_at.0 - now.0 } else { 0 };
        shown["left_ms"] = json!(left);
        let all = self.all();
        for (candidate, shown) in visit.candidates.iter().zip(array(&mut shown["candidates"])) {
            let place = stands_at(&all, &candidate.hardware, &candidate.connection);
            shown["bound_to"] = json!(place.map(|p| &p.id));
        }
        for (bound, shown) in visit.bound.iter().zip(array(&mut shown["bound"])) {
            let position = all.iter().find(|p| p.id == bound.position);
            shown["confirmed"] = json!(position.is_some_and(Position::confirmed));
        }
        shown
    }

    /// A visit with its log.
    pub(super) fn with_steps(&self, read: &Read, now: UtcMillis) -> Value {
        let mut shown = self.visit(&read.visit, now);
        let steps: Vec<Value> = read
            .steps
            .iter()
            .map(|(kept, digest)| {
                let step = json!(kept.step);
                json!({
                    "n": kept.n,
                    "at": kept.at,
                    "who": kept.who,
                    "door": kept.door,
                    "kind": step["kind"],
                    "detail": step["detail"],
                    "digest": digest,
                })
            })
            .collect();
        shown["steps"] = json!(steps);
        shown["chain"] = json!(if read.whole { "whole" } else { "broken" });
        shown
    }

    /// A live reading as shown; `None` for a device of another visit.
    pub(super) fn live(&self, live: &Live, visit: Option<&Visit>) -> Option<Value> {
        let mut shown = json!(live);
        shown["candidate"] = Value::Null;
        if live.position.starts_with(GUEST) {
            let visit = visit?;
            let (search, connection) = guest(&live.position, visit)?;
            let candidate =
                visit.candidates.iter().find(|c| c.search == search && c.connection == connection)?;
            shown["position"] = Value::Null;
            shown["candidate"] = json!(candidate.id);
        }
        Some(shown)
    }
}

fn array(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().map(|a| a.iter_mut()).into_iter().flatten()
}

/// The search and the connection behind a guest's tag, `?s1#evaluator-7`.
pub(super) fn guest(tag: &str, visit: &Visit) -> Option<(String, Connection)> {
    let (search, device) = tag.strip_prefix(GUEST)?.split_once('#')?;
    // The tag holds the visit as well, so that a late reading is of no other.
    let search = search.strip_prefix(visit.id.as_str())?.strip_prefix('/')?;
    let (kind, address) = device.split_once('-')?;
    let address = address.parse().ok()?;
    let range = &visit.searches.iter().find(|s| s.id == search)?.range;
    let port = range["port"].as_str()?.into();
    let baud = u32::try_from(range["baud"].as_u64()?).ok()?;
    let connection = match kind {
        "keypad" => Connection::BusKeypad { port, baud, address },
        _ => Connection::BusEvaluator { port, baud, address, ack_form: crate::config::AckForm::A },
    };
    Some((search.to_owned(), connection))
}
