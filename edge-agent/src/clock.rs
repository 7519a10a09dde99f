//! The agent's time: one monotonic clock that stamps every serial byte and every picture, and beside it a mapping to
//! UTC that is corrected as the system clock is (docs/architecture.md, Time). A record is never rewritten when the
//! mapping moves; how far it can be trusted goes with each event as [`ClockQuality`].

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use control_protocol::{UtcMillis, event::ClockQuality};
use device_drivers::clock::{Mono, MonotonicClock, SystemMonotonic};

/// A jump of the mapping by more than this is a step of the system clock, in microseconds.
pub const STEP_US: i64 = 500_000;
/// The centre's clock further away than this makes ours "wrong", in milliseconds (the wire allows for the round trip).
pub const WRONG_MS: i64 = 2_000;
/// No time before this can be right: the program did not exist (2026-01-01T00:00:00Z), UTC milliseconds.
const BUILT_AFTER_MS: i64 = 1_767_225_600_000;

/// What the agent asks of time; tests give their own.
pub trait Clock: Send + Sync {
    /// Now, on the monotonic clock.
    fn now_mono(&self) -> Mono;
    /// When `at` was, UTC microseconds, by the mapping of today.
    fn utc_us_of(&self, at: Mono) -> i64;
    /// How far UTC can be trusted now.
    fn quality(&self) -> ClockQuality;
    /// This boot of the machine and start of the program; monotonic times of two boots cannot be compared.
    fn boot(&self) -> &str;

    /// When `at` was, UTC.
    fn utc_of(&self, at: Mono) -> UtcMillis {
        UtcMillis(self.utc_us_of(at).div_euclid(1000))
    }
    /// Now, UTC.
    fn now_utc(&self) -> UtcMillis {
        self.utc_of(self.now_mono())
    }
}

/// The machine's own clocks.
pub struct SystemClock {
    /// UTC minus monotonic, microseconds.
    offset_us: AtomicI64,
    /// The centre's clock minus ours, milliseconds; meaningful once `confirmed`.
    centre_offset_ms: AtomicI64,
    confirmed: AtomicBool,
    boot: String,
}

fn read_offset_us() -> i64 {
    let utc = jiff::Timestamp::now().as_microsecond();
    let mono = i64::try_from(SystemMonotonic.now().0).unwrap_or(i64::MAX);
    utc.saturating_sub(mono)
}

impl SystemClock {
    /// Reads the clocks and the kernel's boot id.
    pub fn start() -> Arc<Self> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let kernel: String = kernel.trim().chars().filter(char::is_ascii_hexdigit).take(8).collect();
        let boot = format!("{kernel}-{:x}", SystemMonotonic.now().0);
        Arc::new(Self {
            offset_us: AtomicI64::new(read_offset_us()),
            centre_offset_ms: AtomicI64::new(0),
            confirmed: AtomicBool::new(false),
            boot,
        })
    }

    /// Compares the mapping with the system clock; to be called every second. Gives the step in milliseconds where
    /// the system clock was set; small corrections are followed silently.
    pub fn compare(&self) -> Option<i64> {
        let now = read_offset_us();
        let before = self.offset_us.swap(now, Ordering::Relaxed);
        let step = now.saturating_sub(before);
        (step.abs() > STEP_US).then_some(step / 1000)
    }

    /// Takes note of the centre's clock: its UTC minus ours, in milliseconds.
    pub fn centre_says(&self, offset_ms: i64) {
        self.centre_offset_ms.store(offset_ms, Ordering::Relaxed);
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// The centre's clock minus ours in milliseconds, once known.
    pub fn centre_offset_ms(&self) -> Option<i64> {
        self.confirmed.load(Ordering::Relaxed).then(|| self.centre_offset_ms.load(Ordering::Relaxed))
    }
}

impl Clock for SystemClock {
    fn now_mono(&self) -> Mono {
        SystemMonotonic.now()
    }

    fn utc_us_of(&self, at: Mono) -> i64 {
        i64::try_from(at.0).unwrap_or(i64::MAX).saturating_add(self.offset_us.load(Ordering::Relaxed))
    }

    fn quality(&self) -> ClockQuality {
        if self.now_utc().0 < BUILT_AFTER_MS {
            return ClockQuality::Wrong;
        }
        match self.centre_offset_ms() {
            Some(offset) if offset.abs() <= WRONG_MS => ClockQuality::Synchronised,
            Some(_) => ClockQuality::Wrong,
            None => ClockQuality::Unconfirmed,
        }
    }

    fn boot(&self) -> &str {
        &self.boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_follows_the_system_clock_and_the_centre_confirms_it() {
        let clock = SystemClock::start();
        let system = jiff::Timestamp::now().as_millisecond();
        assert!((clock.now_utc().0 - system).abs() < 1000);
        assert_eq!(clock.compare(), None);
        assert_eq!(clock.quality(), ClockQuality::Unconfirmed);
        clock.centre_says(120);
        assert_eq!(clock.quality(), ClockQuality::Synchronised);
        clock.centre_says(-5_000);
        assert_eq!(clock.quality(), ClockQuality::Wrong);
    }

    #[test]
    fn a_set_clock_is_a_step() {
        let clock = SystemClock::start();
        clock.offset_us.fetch_sub(3_600_000_000, Ordering::Relaxed);
        let step = clock.compare().unwrap();
        assert!((step - 3_600_000).abs() < 1000, "{step}");
        assert_eq!(clock.compare(), None);
    }
}
