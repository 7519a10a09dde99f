//! What should run: the devices that are wanted, sorted by the port they share. Pure.

use std::collections::BTreeMap;

use control_protocol::PositionId;

use super::{Listening, Wanted, line, push};
use crate::{
    config::PushListener,
    connection::{Connection, Line},
};

/// What one driver is for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// A line whose devices speak by profiles.
    Line(line::Plan),
    /// Terminals that call in.
    Push(push::Plan),
    /// A device that has its port for itself.
    Alone { position: PositionId, connection: Connection },
}

impl Plan {
    /// The places that hang on it.
    pub(super) fn positions(&self) -> Vec<&PositionId> {
        match self {
            Self::Line(line) => line.devices.iter().map(|d| &d.position).collect(),
            Self::Push(push) => push.terminals.iter().map(|t| &t.position).collect(),
            Self::Alone { position, .. } => vec![position],
        }
    }
}

/// What tells one driver from another, for as long as both live.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// By the port.
    Port(String),
    /// By the place: what is dialled by a protocol of its own.
    Position(PositionId),
    /// The hall's listener for terminals.
    Push,
}

/// The key of a line.
pub(super) fn port_key(line: &Line) -> Key {
    Key::Port(match line.path() {
        Some(path) => path.display().to_string(),
        None => line.to_string(),
    })
}

/// The drivers, each with all that is on it. Of two that cannot share a port the first wins; the positions' file lets none in.
pub(super) fn plans(
    wanted: &[Wanted],
    listening: &[Listening],
    push: Option<&PushListener>,
) -> BTreeMap<Key, Plan> {
    let mut plans: BTreeMap<Key, Plan> = BTreeMap::new();
    if let Some(listener) = push {
        plans.insert(Key::Push, Plan::Push(push::Plan::new(Some(listener.clone()))));
    }
    for w in wanted {
        if let Connection::Push { serial, address, comm_key_credential } = &w.connection {
            let plan = plans.entry(Key::Push).or_insert_with(|| Plan::Push(push::Plan::new(None)));
            if let Plan::Push(plan) = plan {
                plan.terminals.push(push::Terminal {
                    position: w.position.clone(),
                    serial: serial.clone(),
                    address: *address,
                    comm_key_credential: comm_key_credential.clone(),
                });
            }
        } else if let Some((carrier, device)) = line::Device::of(w) {
            let plan =
                plans.entry(port_key(&carrier)).or_insert_with(|| Plan::Line(line::Plan::new(carrier)));
            if let Plan::Line(plan) = plan {
                plan.devices.push(device);
            }
        } else if matches!(w.connection, Connection::Camera { .. }) {
            // Pulled by `cameras`.
        } else {
            let carrier = w.connection.carrier();
            let key = carrier.map_or_else(|| Key::Position(w.position.clone()), |line| port_key(&line));
            let alone = || Plan::Alone { position: w.position.clone(), connection: w.connection.clone() };
            plans.entry(key).or_insert_with(alone);
        }
    }
    for l in listening {
        let carrier = Line::Serial { port: l.port.clone(), baud: l.baud };
        let plan = plans.entry(port_key(&carrier)).or_insert_with(|| Plan::Line(line::Plan::new(carrier)));
        if let Plan::Line(plan) = plan {
            plan.listening = Some(l.tag.clone());
        }
    }
    plans
}
