//! When to pull a camera again: pure, so that it can be tested by the minute without waiting.
//!
//! Every 0.25 s for 10 s, so that a camera that only blinked is back at once; then within 2 s, spread by jitter; 60 s
//! after the camera refused the password, because many lock an account after a few wrong ones
//! (docs/reference/devices.md D). For ever.

use std::time::Duration;

use crate::clock::Mono;

/// Wait during the first [`EAGER_FOR`].
pub const EAGER: Duration = Duration::from_millis(250);
/// How long the short wait is kept up.
pub const EAGER_FOR: Duration = Duration::from_secs(10);
/// Longest wait after that.
pub const PATIENT: Duration = Duration::from_secs(2);
/// Wait after a refused password.
pub const REFUSED: Duration = Duration::from_secs(60);

/// What the last attempt ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Anything that may be different next time.
    Ordinary,
    /// The password was refused.
    Refused,
}

/// The state of one camera's retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    failing_since: Option<Mono>,
}

impl Retry {
    /// The picture is there.
    pub fn succeeded(&mut self) {
        self.failing_since = None;
    }

    /// How long to wait after a failure at `now`. `jitter` is a random number from 0 to 1, new each time.
    pub fn wait_after(&mut self, failure: Failure, now: Mono, jitter: f64) -> Duration {
        let since = *self.failing_since.get_or_insert(now);
        match failure {
            Failure::Refused => REFUSED,
            Failure::Ordinary if now.since(since) < EAGER_FOR => EAGER,
            Failure::Ordinary => {
                let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
                PATIENT.mul_f64(0.5 + 0.5 * jitter)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eager_then_patient_then_eager_again() {
        let mut retry = Retry::default();
        let mut now = Mono(5_000_000);
        let mut eager = 0;
        loop {
            let wait = retry.wait_after(Failure::Ordinary, now, 1.0);
            if wait != EAGER {
                assert_eq!(wait, PATIENT);
                break;
            }
            eager += 1;
            now = now + wait;
        }
        assert_eq!(eager, 40);
        assert_eq!(retry.wait_after(Failure::Ordinary, now, 0.0), Duration::from_secs(1));
        assert_eq!(retry.wait_after(Failure::Refused, now, 0.0), REFUSED);
        retry.succeeded();
        assert_eq!(retry.wait_after(Failure::Ordinary, now, 0.5), EAGER);
    }

    proptest! {
        #[test]
        fn never_busy_never_slow(
            jitters in proptest::collection::vec(any::<f64>(), 1..100),
            start in 0u64..1 << 50,
        ) {
            let mut retry = Retry::default();
            let start = Mono(start);
            let mut now = start;
            for jitter in jitters {
                let wait = retry.wait_after(Failure::Ordinary, now, jitter);
                if now.since(start) < EAGER_FOR {
                    prop_assert_eq!(wait, EAGER);
                } else {
                    prop_assert!(wait >= PATIENT / 2 && wait <= PATIENT);
                }
                now = now + wait;
            }
        }
    }
}
