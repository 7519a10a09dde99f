//! What happens in a visit by itself: devices that are heard become candidates, presses of a test are written down, and the
//! pairing window closes when its time is over.

use std::time::Duration;

use control_protocol::{CaseId, case_id::TEST_SERIALS_FROM};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Door, Pairing, Who, log,
    problem::Problem,
    show::guest,
    visit::{Candidate, Hardware, Step, Visit},
};
use crate::devices::{Connection, GUEST, Live, LiveSaid, Role};

/// How a device can be made to show itself.
pub(super) fn ways(connection: &Connection) -> Vec<String> {
    let ways: &[&str] = match connection {
        Connection::BusKeypad { .. } => &["beep"],
        Connection::BusEvaluator { .. } => &["evaluate"],
        Connection::Camera { .. } => &["still"],
        _ => &[],
    };
    ways.iter().map(|w| (*w).to_owned()).collect()
}

/// Whoever it is that a visit closes without.
pub(super) fn nobody() -> Who {
    Who { name: "hall".into(), door: Door::Hall, until: None }
}

impl Pairing {
    /// Attends to visits until `cancel`.
    pub async fn attend(&self, cancel: CancellationToken) {
        let mut latest = self.0.place.board.latest();
        let mut seen = *latest.borrow_and_update();
        loop {
            let due = {
                let visit = self.0.visit.lock().await;
                let open = visit.as_ref().filter(|v| v.closed.is_none());
                open.map(|v| Duration::from_millis(u64::try_from(v.expires_at.0 - self.now().0).unwrap_or(0)))
            };
            // Looked at again now and then: the clock may have been set, the window opened or prolonged.
            let wait = due.unwrap_or(Duration::MAX).min(Duration::from_secs(1));
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = latest.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
            let news = self.0.place.board.live_after(seen);
            if let Some(last) = news.last() {
                seen = last.n;
                latest.borrow_and_update();
            }
            if let Err(problem) = self.take(&news).await {
                tracing::error!("the visit's log could not be written: {problem}");
            }
        }
    }

    async fn take(&self, news: &[Live]) -> Result<(), Problem> {
        let mut held = self.0.visit.lock().await;
        let Some(visit) = held.as_mut().filter(|v| v.closed.is_none()) else { return Ok(()) };
        let who = nobody();
        if !visit.is_open(self.now()) {
            return self.close(visit, &who, "expired").await;
        }
        self.notice_lost_line(visit).await?;
        for live in news {
            let step = if live.position.starts_with(GUEST) {
                found(visit, live)
            } else {
                let Ok(position) = live.position.parse() else { continue };
                match &live.said {
                    LiveSaid::Grade { raw, grade } => visit.pressed(&position, Some(raw.clone()), *grade),
                    LiveSaid::Health { .. } => None,
                    _ => visit.pressed(&position, None, None),
                }
            };
            if let Some(step) = step {
                self.keep(visit, &who, vec![step], |_| Ok(())).await?;
            }
        }
        Ok(())
    }

    /// Closes a visit: nothing is listened for and nothing is in test any more.
    pub(super) async fn close(&self, visit: &mut Visit, who: &Who, why: &str) -> Result<(), Problem> {
        tracing::info!(visit = visit.id, why, "the pairing window is closed");
        self.keep(visit, who, vec![Step::Closed { why: why.to_owned() }], |_| Ok(())).await?;
        self.after_close(visit).await;
        Ok(())
    }

    /// Lets drivers and switchboard follow a visit that was closed.
    pub(super) async fn after_close(&self, visit: &Visit) {
        for test in &visit.tests {
            self.0.place.board.test(test.position.as_str(), None);
        }
        self.stop_sniffing().await;
        self.set_listening(Vec::clear);
        self.drive().await;
    }

    /// The case of a test that begins now.
    pub(super) async fn test_case(&self) -> Result<CaseId, Problem> {
        let next = self.0.positions.run(log::next).await?;
        let hall = &self.0.place.config.hall;
        let day = self.now().timestamp().to_zoned(hall.time_zone.clone()).date();
        let serial = TEST_SERIALS_FROM + u32::try_from(next.rem_euclid(1000)).unwrap_or(0);
        CaseId::new(&hall.id, day, serial)
            .map_err(|e| Problem::new(500, "failed", json!({}), format!("no test case: {e}")))
    }
}

/// The candidate that a device becomes when it is heard for the first time.
fn found(visit: &Visit, live: &Live) -> Option<Step> {
    let (search, connection) = guest(&live.position, visit)?;
    let known = visit.candidates.iter().any(|c| c.connection.identity() == connection.identity());
    if known || !visit.searches.iter().any(|s| s.id == search && s.running()) {
        return None;
    }
    let kind = connection.role();
    let facts = match (&connection, kind) {
        (Connection::BusEvaluator { address, .. }, Role::Evaluator)
        | (Connection::BusKeypad { address, .. }, _) => json!({"address": address}),
        _ => json!({}),
    };
    Some(Step::Found(Candidate {
        id: visit.next_id('c').ok()?,
        search,
        source: "bus".into(),
        kind,
        hardware: Hardware { kind, identity: connection.identity(), serial: None },
        identify: ways(&connection),
        connection,
        found_at: live.at,
        is_it: None,
        facts,
    }))
}
