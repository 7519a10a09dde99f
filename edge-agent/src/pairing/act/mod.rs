//! What a technician does in a visit, one file for each kind of act. Each decides on the state as it is, keeps what changes
//! together with its step in one transaction, and only then lets drivers, switchboard and the centre follow.

mod accept;
mod bind;
mod find;
mod identify;
mod show;
mod test;
mod undo;
mod window;

pub(super) use show::showings;

use std::collections::BTreeMap;

use control_protocol::UtcMillis;
use serde_json::Value;
use tokio::sync::MutexGuard;

use super::{
    Pairing, Who,
    positions::GradeMap,
    problem::Problem,
    visit::{Step, Visit},
};

type Held<'a> = MutexGuard<'a, Option<Visit>>;

/// The open visit, if it is this person's.
fn mine<'a>(held: &'a mut Held<'_>, who: &Who, now: UtcMillis) -> Result<&'a mut Visit, Problem> {
    let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
    visit.admits(&who.name, now)?;
    Ok(visit)
}

/// A grade map as people write it.
pub(in crate::pairing) fn read_map(map: &BTreeMap<String, u8>, field: &str) -> Result<GradeMap, Problem> {
    map.iter()
        .map(|(raw, grade)| match u8::from_str_radix(raw, 16) {
            Ok(byte) if raw.len() == 2 && (1..=5).contains(grade) => Ok((byte, *grade)),
            Ok(_) if raw.len() == 2 => Err(Problem::invalid(field, format!("{raw}: a grade is from 1 to 5"))),
            _ => Err(Problem::invalid(field, format!("{raw}: write the byte as two hexadecimal digits"))),
        })
        .collect()
}

impl Pairing {
    /// The visit as shown after an act.
    fn shown(&self, visit: &Visit) -> Value {
        self.visit(visit, self.now())
    }

    /// Keeps steps that change nothing but the visit.
    async fn step(
        &self,
        who: &Who,
        decide: impl FnOnce(&Visit) -> Result<Vec<Step>, Problem>,
    ) -> Result<Value, Problem> {
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let steps = decide(visit)?;
        self.keep(visit, who, steps, |_| Ok(())).await?;
        Ok(self.shown(visit))
    }
}
