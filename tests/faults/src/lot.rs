//! Numbers that look drawn by lot and are the same for the same seed (xorshift64).

use std::time::Duration;

/// A source of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Lot(u64);

impl Lot {
    /// The numbers of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike (splitmix64), and zero would stay zero.
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// Another source, of its own and still of the same seed.
    pub(crate) fn branch(&mut self) -> Self {
        Self::new(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From `least` up to, not including, `end`; `least` where there is nothing between.
    pub(crate) fn below(&mut self, least: u64, end: u64) -> u64 {
        least + self.next() % end.saturating_sub(least).max(1)
    }

    /// A time from `least` to `most` seconds.
    pub(crate) fn seconds(&mut self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least + (self.next() >> 11) as f64 / (1u64 << 53) as f64 * (most - least))
    }

    /// True once in `of` times.
    pub(crate) fn once_in(&mut self, of: u64) -> bool {
        self.next().is_multiple_of(of.max(1))
    }

    /// Puts things in another order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(0, last as u64 + 1) as usize);
        }
    }
}
