//! Holds that place themselves: the footage of a bad [rating] and of an [alarm]. The journal is followed as it is written, so
//! that nothing is held for what is not on record. A hold that stands, ended or was released is not placed again.

mod alarm;
mod rating;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use control_protocol::{CameraId, Event, UtcMillis, WindowId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Recorder, RecorderError,
    index::{Hold, HoldKind},
};
use crate::{config::AutomaticHolds, journal::Journal};

/// How far back is looked at the start: what happened as the agent ended.
const AT_START_MS: i64 = 3_600_000;
/// After a hold that could not be placed.
const AGAIN: Duration = Duration::from_secs(10);
const DAY_MS: i64 = 86_400_000;

/// What is followed.
pub struct Automatic {
    /// The journal.
    pub journal: Journal,
    /// Where holds are placed.
    pub recorder: Recorder,
    /// The cameras of each window, as they are now.
    pub cameras: watch::Receiver<HashMap<WindowId, Vec<CameraId>>>,
    /// What is held, and how long.
    pub rules: AutomaticHolds,
}

impl Automatic {
    /// Follows the journal until it is cancelled or the journal ends.
    pub async fn run(self, cancel: CancellationToken) {
        let mut bell = self.journal.status();
        let mut read = 0;
        loop {
            bell.borrow_and_update();
            let complete = match self.look(&mut read).await {
                Ok(()) => true,
                Err(why) => {
                    tracing::warn!("footage that is to be held is not held yet; it is tried again: {why}");
                    false
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = bell.changed(), if complete => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN), if !complete => {}
            }
        }
    }

    /// Places what the events behind `read` call for; `read` moves on where all of it stands.
    async fn look(&self, read: &mut i64) -> Result<(), String> {
        let now = self.recorder.clock.now_utc();
        let from = UtcMillis(now.0 - AT_START_MS);
        let written = self.journal.written_behind(*read, from).await.map_err(|e| e.to_string())?;
        let end = written.last().map_or(*read, |(n, _)| *n);
        let events = written.into_iter().map(|(_, stored)| stored.event);
        let called: Vec<(String, Event)> =
            events.filter_map(|event| Some((self.name_of(&event)?, event))).collect();
        if called.is_empty() {
            *read = end;
            return Ok(());
        }
        let placed = self.recorder.holds().await.map_err(|e| e.to_string())?;
        let mut known: HashSet<String> = placed.into_iter().map(|hold| hold.id).collect();
        for (name, event) in called {
            if !known.insert(name) {
                continue;
            }
            let Some(hold) = self.hold_of(&event).await? else { continue };
            tracing::info!(hold = hold.id, "footage is held: {}", hold.reason);
            match self.recorder.hold(hold).await {
                Ok(_) => {}
                // Where nothing can be recorded nothing is deleted either.
                Err(RecorderError::Closed(_)) => break,
                Err(e) => return Err(e.to_string()),
            }
        }
        *read = end;
        Ok(())
    }

    fn name_of(&self, event: &Event) -> Option<String> {
        // Tests of technicians are none of anybody's cases.
        if event.case.is_some_and(|case| case.is_test()) {
            return None;
        }
        rating::name_of(event).or_else(|| alarm::name_of(event, &self.rules.alarms))
    }

    async fn hold_of(&self, event: &Event) -> Result<Option<Hold>, String> {
        let cameras = self.cameras.borrow().clone();
        if rating::name_of(event).is_none() {
            return Ok(alarm::hold_of(event, &self.rules.alarms, &cameras, self.rules.alarm_days));
        }
        let from = UtcMillis(event.at.0 - rating::LONGEST_CASE_MS);
        let before = self.journal.session_events(from).await.map_err(|e| e.to_string())?;
        let before: Vec<Event> = before.into_iter().map(|stored| stored.event).collect();
        Ok(rating::hold_of(event, &before, &cameras, self.rules.rating_days))
    }
}
