//! Which device stands where: bound, replaced, moved, taken away, or many at once by a file.

use std::collections::BTreeMap;

use control_protocol::{Happening, UtcMillis};
use rusqlite::Transaction;
use serde_json::{Value, json};

use super::{
    mine,
    undo::{Places, remember},
};
use crate::{
    devices::{Connection, Role, USUAL_GRADES},
    pairing::{
        Pairing, Who,
        binding::{self, Decision},
        fresh,
        positions::{self, GradeMap, NewBinding, Position, StoreFailed},
        problem::Problem,
        visit::{Bound, Hardware, Step},
    },
};

impl Pairing {
    /// Binds a candidate to a place.
    pub(in crate::pairing) async fn bind(
        &self,
        who: &Who,
        candidate: &str,
        position: &str,
        case: &str,
        map: Option<GradeMap>,
        connection: Option<Connection>,
    ) -> Result<Value, Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, now)?;
        let found = visit.candidate(candidate)?.clone();
        let connection = connection.unwrap_or_else(|| found.connection.clone());
        if found.kind == Role::Camera && found.facts["described"] != true {
            let detail = "nobody knows this camera's streams yet: give its password, or say where they are";
            return Err(Problem::new(409, "no-streams", json!({"candidate": candidate}), detail));
        }
        if connection.role() != found.kind || connection.identity() != found.connection.identity() {
            return Err(Problem::invalid("connection", "it is another device's than the candidate's"));
        }
        let decision =
            binding::decide(&self.0.place.config, &self.all(), position, &found.hardware, &connection, case)?;
        let undo = fresh("u", now);
        let meant = map.as_ref().map(written);
        // Whoever has just pressed every key and said what it is has confirmed it.
        let pressed = found.source == "unknown" && meant.is_some() && json!(meant) == found.facts["grades"];
        let bound = Bound {
            position: decision.position.clone(),
            candidate: Some(candidate.to_owned()),
            undo: undo.clone(),
            case: case.to_owned(),
            hardware: found.hardware.clone(),
            connection: connection.clone(),
            confirmed: false,
        };
        let mut steps = vec![Step::Bound(bound)];
        if let Some(from) = &decision.from {
            steps.insert(0, Step::Unbound { position: from.clone(), undo: undo.clone() });
        }
        if let Some(map) = meant.filter(|_| pressed) {
            steps.push(Step::GradesConfirmed { position: decision.position.clone(), map });
        }
        let (d, by, visit_id, hardware) =
            (decision.clone(), who.name.clone(), visit.id.clone(), found.hardware.clone());
        self.keep(visit, who, steps, move |tx| {
            let places = put(tx, &d, &hardware, &connection, (map.as_ref(), pressed), &by, &visit_id, now)?;
            let what = match d.why {
                "replaced" => "replace",
                "moved" => "move",
                _ => "bind",
            };
            remember(tx, &undo, &visit_id, what, &by, &places, now)?;
            Ok(())
        })
        .await?;
        let name = found.hardware.serial.clone().unwrap_or(found.hardware.identity.clone());
        let happening = match &decision.former {
            Some(former) => Happening::DeviceReplaced { hardware: name, former: former.clone() },
            None => Happening::DevicePaired { hardware: name },
        };
        tracing::info!(position = %decision.position, why = decision.why, by = who.name, "a device is bound");
        self.follow(vec![(Some(decision.position.to_string()), happening)]).await?;
        Ok(self.shown(visit))
    }

    pub(in crate::pairing) async fn unbind(&self, who: &Who, position: &str) -> Result<Value, Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, now)?;
        let place = self.all().into_iter().find(|p| p.id.as_str() == position && p.binding.is_some());
        let place = place.ok_or_else(|| Problem::not_found("position"))?;
        let (undo, by, visit_id, id) =
            (fresh("u", now), who.name.clone(), visit.id.clone(), place.id.clone());
        let step = Step::Unbound { position: place.id.clone(), undo: undo.clone() };
        self.keep(visit, who, vec![step], move |tx| {
            positions::make(tx, &id, place.window.as_ref(), place.role, false, now)?;
            let before = positions::unbind(tx, &id, now)?;
            remember(tx, &undo, &visit_id, "unbind", &by, &vec![(id, before, None)], now)?;
            Ok(())
        })
        .await?;
        self.follow(Vec::new()).await?;
        Ok(self.shown(visit))
    }

    /// Puts many devices where a file says, as one change.
    pub(in crate::pairing) async fn put_all(
        &self,
        who: &Who,
        rows: Vec<(Decision, Hardware, Connection, Option<GradeMap>)>,
    ) -> Result<(), Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, now)?;
        let (undo, by, visit_id) = (fresh("u", now), who.name.clone(), visit.id.clone());
        let step = Step::Imported {
            positions: rows.iter().map(|r| r.0.position.clone()).collect(),
            undo: undo.clone(),
        };
        let told: Vec<(Option<String>, Happening)> = rows
            .iter()
            .map(|(d, hardware, ..)| {
                let hardware = hardware.identity.clone();
                let happening = match &d.former {
                    Some(former) => Happening::DeviceReplaced { hardware, former: former.clone() },
                    None => Happening::DevicePaired { hardware },
                };
                (Some(d.position.to_string()), happening)
            })
            .collect();
        self.keep(visit, who, vec![step], move |tx| {
            let mut places = Places::new();
            for (decision, ..) in &rows {
                // First all places are emptied, so that two may change their devices.
                positions::unbind(tx, &decision.position, now)?;
            }
            for (decision, hardware, connection, map) in &rows {
                let mut put =
                    put(tx, decision, hardware, connection, (map.as_ref(), false), &by, &visit_id, now)?;
                places.append(&mut put);
            }
            remember(tx, &undo, &visit_id, "import", &by, &places, now)?;
            Ok(())
        })
        .await?;
        self.follow(told).await
    }
}

/// A map as steps and facts have it.
fn written(map: &GradeMap) -> BTreeMap<String, u8> {
    map.iter().map(|(raw, grade)| (format!("{raw:02X}"), *grade)).collect()
}

/// Puts a device at its place; gives what can be taken back.
#[allow(clippy::too_many_arguments)] // who, what, where, when and why
fn put(
    tx: &Transaction<'_>,
    decision: &Decision,
    hardware: &Hardware,
    connection: &Connection,
    (map, pressed): (Option<&GradeMap>, bool),
    by: &str,
    visit: &str,
    now: UtcMillis,
) -> Result<Places, StoreFailed> {
    let mut places = Places::new();
    if let Some(from) = &decision.from {
        let held: Option<Position> = positions::one(tx, from.as_str())?;
        if let Some(held) = held {
            positions::make(tx, from, held.window.as_ref(), held.role, false, now)?;
        }
        places.push((from.clone(), positions::unbind(tx, from, now)?, None));
    }
    positions::make(tx, &decision.position, decision.window.as_ref(), hardware.kind, false, now)?;
    let newest: Option<i64> = positions::history(tx, decision.position.as_str())?
        .first()
        .filter(|b| b.to.is_none() || b.to == Some(now))
        .map(|b| b.n);
    positions::unbind(tx, &decision.position, now)?;
    let usual = GradeMap::from(USUAL_GRADES);
    let grades = (hardware.kind == Role::Evaluator).then_some((map.unwrap_or(&usual), pressed.then_some(by)));
    let new = NewBinding {
        identity: &hardware.identity,
        serial: hardware.serial.as_deref(),
        connection,
        grades,
        why: decision.why,
        by,
        visit: Some(visit),
    };
    let after = positions::bind(tx, &decision.position, &new, now)?;
    places.push((decision.position.clone(), newest, Some(after)));
    Ok(places)
}
