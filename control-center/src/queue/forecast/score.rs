//! How far forecasts were from what came: the mean absolute error of the middle, and how often the P90 held. Pure.

/// Forecasts of a day against what came.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Tickets whose forecast and wait are both known.
    pub tickets: u32,
    /// The sum of |P50 − wait|, milliseconds.
    pub error_ms: i64,
    /// Waits that were not longer than their P90.
    pub held: u32,
}

impl Score {
    /// Adds a ticket: forecast P50 and P90, and its wait, in seconds.
    pub fn add(&mut self, p50_s: f64, p90_s: f64, wait_s: f64) {
        self.tickets += 1;
        self.error_ms += ((p50_s - wait_s).abs() * 1000.0).round() as i64;
        // Both are shown in whole seconds at most; half a second is no miss.
        self.held += u32::from(wait_s <= p90_s + 0.5);
    }

    /// The mean absolute error in minutes.
    pub fn mae_minutes(&self) -> Option<f64> {
        (self.tickets > 0).then(|| self.error_ms as f64 / f64::from(self.tickets) / 60_000.0)
    }

    /// The share of waits that did not exceed their P90, 0 to 1; 0.9 is right.
    pub fn p90_coverage(&self) -> Option<f64> {
        (self.tickets > 0).then(|| f64::from(self.held) / f64::from(self.tickets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_errors_and_what_held() {
        let mut score = Score::default();
        assert_eq!((score.mae_minutes(), score.p90_coverage()), (None, None));
        score.add(60.0, 120.0, 120.0);
        score.add(60.0, 120.0, 180.0);
        assert_eq!((score.mae_minutes(), score.p90_coverage()), (Some(1.5), Some(0.5)));
    }
}
