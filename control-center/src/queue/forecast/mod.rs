//! How long one will wait: from the queue as it stands, what service took before, and who is still to come
//! (docs/design/forecast.md). Pure: knows no database, no clock and no chance of its own.

pub mod erlang;
mod history;
mod rollout;
mod score;

pub use history::{History, Occupation, Past};
pub use rollout::{Answer, Chance, Desk, Question, Situation, Waiting, answer, waits};
pub use score::Score;

/// Where too little is known of service times: what the last person called waited (LES) and what the first in the queue
/// has waited so far (HOL), whichever is longer, is what one will wait; half as much again is its upper end. Seconds.
pub fn from_delays(last_called_s: Option<f64>, first_waiting_s: Option<f64>) -> Option<Answer> {
    let longest = match (last_called_s, first_waiting_s) {
        (None, None) => return None,
        (les, hol) => les.unwrap_or(0.0).max(hol.unwrap_or(0.0)),
    };
    Some(Answer { p50_s: longest, p90_s: (longest * 1.5).max(60.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thin_data_fall_back_on_delays() {
        assert_eq!(from_delays(None, None), None);
        assert_eq!(from_delays(Some(300.0), Some(600.0)), Some(Answer { p50_s: 600.0, p90_s: 900.0 }));
        assert_eq!(from_delays(Some(0.0), None), Some(Answer { p50_s: 0.0, p90_s: 60.0 }));
    }
}
