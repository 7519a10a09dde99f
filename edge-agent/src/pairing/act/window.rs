//! The pairing window: opened, prolonged, left, and the window of the hall at which the technician stands.

use control_protocol::WindowId;
use serde_json::Value;

use super::mine;
use crate::pairing::{
    Pairing, Who,
    attend::nobody,
    fresh, log,
    problem::Problem,
    visit::{Step, Visit, expiry},
};

impl Pairing {
    /// Opens the pairing window; the open one if it is one's own.
    pub(in crate::pairing) async fn open_visit(
        &self,
        who: &Who,
        minutes: u32,
        approver: Option<String>,
        window: Option<WindowId>,
    ) -> Result<(bool, Value), Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        if let Some(visit) = held.as_mut().filter(|v| v.closed.is_none()) {
            if visit.is_open(now) {
                visit.admits(&who.name, now)?;
                return Ok((false, self.shown(visit)));
            }
            self.close(visit, &nobody(), "expired").await?;
        }
        self.known_window(window.as_ref())?;
        let expires_at = expiry(minutes, approver.as_deref(), now)?;
        let step =
            Step::Opened { technician: who.name.clone(), door: who.door, approver, window, expires_at };
        let id = fresh("v", now);
        let (kept, visit_id, by) = (step.clone(), id.clone(), who.clone());
        self.0
            .positions
            .run(move |tx| log::keep(tx, &visit_id, &by.name, by.door, now, &[kept]))
            .await
            .map_err(Problem::from)?;
        tracing::info!(visit = id, technician = who.name, %expires_at, "a pairing window is opened");
        let visit = Visit::begin(id, now, &step).ok_or_else(Problem::no_visit)?;
        let shown = self.shown(&visit);
        *held = Some(visit);
        Ok((true, shown))
    }

    fn known_window(&self, window: Option<&WindowId>) -> Result<(), Problem> {
        match window {
            Some(window) if !self.0.place.config.windows.iter().any(|w| w.id == *window) => {
                Err(Problem::not_found("window"))
            }
            _ => Ok(()),
        }
    }

    /// The open visit.
    pub(in crate::pairing) async fn current(&self) -> Result<Value, Problem> {
        let held = self.0.visit.lock().await;
        let open = held.as_ref().filter(|v| v.is_open(self.now()));
        open.map(|v| self.shown(v)).ok_or_else(Problem::no_visit)
    }

    pub(in crate::pairing) async fn extend(
        &self,
        who: &Who,
        minutes: u32,
        approver: Option<String>,
    ) -> Result<Value, Problem> {
        let expires_at = expiry(minutes, approver.as_deref(), self.now())?;
        self.step(who, |_| Ok(vec![Step::Extended { approver, expires_at }])).await
    }

    pub(in crate::pairing) async fn leave(&self, who: &Who) -> Result<Value, Problem> {
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        self.close(visit, who, "left").await?;
        Ok(self.shown(visit))
    }

    pub(in crate::pairing) async fn choose_window(
        &self,
        who: &Who,
        window: Option<WindowId>,
    ) -> Result<Value, Problem> {
        self.known_window(window.as_ref())?;
        self.step(who, |_| Ok(vec![Step::WindowChosen { window }])).await
    }
}
