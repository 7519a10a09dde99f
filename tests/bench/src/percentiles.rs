//! Percentiles of measured values, exact: every value is kept and sorted.

use serde::Serialize;

/// Median, 99th percentile and the worst of some values, in the values' own unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many values there were.
    pub count: usize,
    /// Half of the values are no greater.
    pub p50: f64,
    /// 95 of 100 values are no greater.
    pub p95: f64,
    /// 99 of 100 values are no greater.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; `None` when there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let max = *values.last()?;
        // Nearest rank: the smallest value that is not less than the given share of all.
        let rank = |share: f64| {
            let place = (share * values.len() as f64).ceil() as usize;
            values.get(place.max(1) - 1).copied().unwrap_or(max)
        };
        Some(Self { count: values.len(), p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let spread = Spread::of((1..=1000).rev().map(f64::from).collect()).unwrap();
        assert_eq!(spread, Spread { count: 1000, p50: 500.0, p95: 950.0, p99: 990.0, max: 1000.0 });
        assert_eq!(
            Spread::of(vec![3.0]).unwrap(),
            Spread { count: 1, p50: 3.0, p95: 3.0, p99: 3.0, max: 3.0 }
        );
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
