//! Clocks, given from outside so that a test can hold time.
//!
//! Every reading is stamped by one monotonic clock of the machine. Wall time is needed only to measure
//! how far a device's own clock is off; nothing here converts one into the other.

use std::time::Duration;

/// A moment of the machine's monotonic clock, in microseconds since an unspecified start (boot, on Linux).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// A clock that never goes back.
pub trait MonotonicClock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Mono;
}

/// `CLOCK_MONOTONIC` of this machine: the same for all processes on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemMonotonic;

impl MonotonicClock for SystemMonotonic {
    fn now(&self) -> Mono {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(t.tv_nsec).unwrap_or(0);
        Mono(seconds.saturating_mul(1_000_000) + nanos / 1000)
    }
}

/// UTC, as this machine has it.
pub trait UtcClock: Send + Sync {
    /// The present moment.
    fn utc_now(&self) -> jiff::Timestamp;
}

/// The machine's own UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemUtc;

impl UtcClock for SystemUtc {
    fn utc_now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

/// Local civil time, as the clock on the wall of the hall shows it.
pub trait LocalClock: Send + Sync {
    /// The present local date and time.
    fn local_now(&self) -> jiff::civil::DateTime;
}

/// The machine's clock seen in a given time zone.
#[derive(Clone, Debug)]
pub struct SystemLocal(pub jiff::tz::TimeZone);

impl LocalClock for SystemLocal {
    fn local_now(&self) -> jiff::civil::DateTime {
        self.0.to_datetime(jiff::Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_advances_and_never_goes_back() {
        let clock = SystemMonotonic;
        let first = clock.now();
        let mut last = first;
        while last == first {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert_eq!(first.since(last), Duration::ZERO);
        assert_eq!((first + Duration::from_millis(3)).since(first), Duration::from_millis(3));
    }
}
