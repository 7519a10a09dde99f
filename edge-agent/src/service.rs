//! What the service manager is told: that events are taken, that the agent stops, and while it has a watchdog that work gets
//! done. An agent that is started by hand tells nobody.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep, timeout};

use crate::{devices::SharedFigures, journal::Journal};

/// Tells the service manager, if there is one.
pub(crate) fn say(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

/// When the register last made a turn.
struct Progress {
    turns: u64,
    at: Instant,
}

impl Progress {
    /// Takes note of the turns so far; true if one was made within `most`.
    fn lives(&mut self, turns: u64, now: Instant, most: Duration) -> bool {
        if turns != self.turns {
            (self.turns, self.at) = (turns, now);
        }
        now.saturating_duration_since(self.at) < most
    }
}

/// Feeds the service manager's watchdog, for ever; only while the journal's thread answers and the register makes its turns.
/// What hangs takes no events, and is better started again. A full disk is no hanging.
pub(crate) async fn watch(journal: Journal, figures: SharedFigures) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut progress = Progress { turns: 0, at: Instant::now() };
    loop {
        sleep(limit / 4).await;
        let answered = matches!(timeout(limit, journal.turn()).await, Ok(Ok(())));
        let turns = figures.read().turns;
        if answered && progress.lives(turns, Instant::now(), limit) {
            say(NotifyState::Watchdog);
        } else {
            tracing::error!(answered, turns, "the watchdog is not fed: events are not taken any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_that_makes_no_turns_is_not_alive() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let most = Duration::from_secs(20);
        let mut progress = Progress { turns: 0, at: begun };
        assert!(progress.lives(1, at(10), most));
        assert!(progress.lives(1, at(29), most));
        assert!(!progress.lives(1, at(30), most));
        assert!(progress.lives(2, at(31), most));
    }
}
