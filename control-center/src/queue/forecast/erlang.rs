//! Erlang's C formula: how many windows a demand needs. Pure.

/// The most windows it is worth asking about.
const MOST: u32 = 400;

/// The share of people who must wait at all, 0 to 1, with `windows` windows and `load` Erlangs (arrivals per second ×
/// seconds of service). One with fewer windows than work.
pub fn must_wait(windows: u32, load: f64) -> f64 {
    if load <= 0.0 {
        return 0.0;
    }
    let c = f64::from(windows);
    if c <= load {
        return 1.0;
    }
    // Erlang's B by its recursion, then C from B: no factorial overflows.
    let blocked = (1..=windows).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    blocked / (1.0 - load / c * (1.0 - blocked))
}

/// The share of people who are called within `seconds`, 0 to 1.
pub fn within(windows: u32, load: f64, service_s: f64, seconds: f64) -> f64 {
    if f64::from(windows) <= load {
        return 0.0;
    }
    if load <= 0.0 || service_s <= 0.0 {
        return 1.0;
    }
    1.0 - must_wait(windows, load) * (-(f64::from(windows) - load) * seconds / service_s).exp()
}

/// The fewest windows with which `share` of the people are called within `seconds`. None if even [`MOST`] do not do.
pub fn windows_needed(load: f64, service_s: f64, share: f64, seconds: f64) -> Option<u32> {
    if load <= 0.0 {
        return Some(0);
    }
    let least = load.floor() as u32 + 1;
    (least..=MOST).find(|windows| within(*windows, load, service_s, seconds) >= share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_tables() {
        // One window is M/M/1: the load itself. Two at one Erlang: 1/3. Ten at eight Erlangs: 0.409.
        assert!((must_wait(1, 0.7) - 0.7).abs() < 1e-12);
        assert!((must_wait(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
        assert!((must_wait(10, 8.0) - 0.409).abs() < 5e-4);
        assert_eq!(must_wait(3, 3.0), 1.0);
        // M/M/1 at 0.5, mean service 60 s: P(wait ≤ 60 s) = 1 − 0.5·e^(−0.5).
        assert!((within(1, 0.5, 60.0, 60.0) - (1.0 - 0.5 * (-0.5f64).exp())).abs() < 1e-12);
    }

    #[test]
    fn needs_more_windows_for_more_work_and_shorter_waits() {
        let needed = |load, seconds| windows_needed(load, 600.0, 0.8, seconds).unwrap();
        assert_eq!(windows_needed(0.0, 600.0, 0.8, 60.0), Some(0));
        assert!(needed(5.0, 1200.0) >= 6 && needed(5.0, 60.0) > needed(5.0, 1200.0));
        assert!(needed(20.0, 1200.0) > needed(5.0, 1200.0));
        assert_eq!(windows_needed(1e6, 600.0, 0.8, 60.0), None);
    }
}
