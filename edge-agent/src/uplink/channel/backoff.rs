//! How long to wait before dialling again. Pure but for [`jitter`].

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// Waits that double from one step to the next, each shortened by a random part of up to half, so that the halls of a
/// region do not dial in step. The first is none.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    next: Option<Duration>,
}

impl Backoff {
    /// No wait, then `first`, then twice as long up to `most`.
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: None }
    }

    /// The wait before the next attempt; `jitter` is from 0 to 1.
    pub(super) fn delay(&mut self, jitter: f64) -> Duration {
        match self.next {
            None => {
                self.next = Some(self.first);
                Duration::ZERO
            }
            Some(step) => {
                self.next = Some((step * 2).min(self.most));
                step.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
            }
        }
    }

    /// It worked: the next failure is a new one.
    pub(super) fn reset(&mut self) {
        self.next = None;
    }
}

/// A random number from 0 to 1; one half where the system gives no randomness, which spreads nothing and harms nothing.
pub fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        let waits: Vec<u128> = (0..8).map(|_| backoff.delay(0.0).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.delay(1.0).as_millis(), 5000);
        backoff.reset();
        assert_eq!(backoff.delay(0.0), Duration::ZERO);
        assert!((0.0..=1.0).contains(&jitter()));
    }
}
