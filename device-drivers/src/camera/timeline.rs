//! One camera's presentation times, made to go on where the camera's own jump.
//!
//! Owns the mapping raw time → our time within one pull. Pure. A step back that B-frames explain is kept as it is;
//! any other becomes a marked discontinuity at which our time simply goes on.

use crate::clock::Mono;

/// A step forward that exceeds the time that really passed by this much is a jump.
const JUMP_US: i64 = 2_000_000;
/// A stalled network delivers what it held back in one go; more than this it does not hold.
const MOST_LAG_US: i64 = 10_000_000;
/// B-frames step back less than this.
const REORDER_US: i64 = 2_000_000;
/// More frames in a row below the highest time than any codec reorders: it was a jump after all.
const REORDER_FRAMES: u32 = 16;
/// The least advance over a jump.
const LEAST_US: i64 = 1_000;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Presentation time in microseconds; the first frame of a pull is 0.
    pub pts_us: i64,
    /// The camera's time jumped just before this frame.
    pub jumped: bool,
    /// The frame is to be shown before one that came earlier: there are B-frames.
    pub reordered: bool,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    raw: i64,
    highest: i64,
    arrived: Mono,
    below: u32,
    offset: i64,
    /// How far the camera's time is behind what really passed.
    lag: i64,
}

/// The mapping of one pull.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    last: Option<Last>,
}

impl Timeline {
    /// Places a frame with the camera's time `raw_us` that arrived at `arrived`. `may_reorder`: the parameter sets do not
    /// rule out B-frames.
    pub fn place(&mut self, raw_us: i64, arrived: Mono, may_reorder: bool) -> Placed {
        let Some(last) = &mut self.last else {
            self.last =
                Some(Last { raw: raw_us, highest: raw_us, arrived, below: 0, offset: raw_us, lag: 0 });
            return Placed { pts_us: 0, jumped: false, reordered: false };
        };
        let elapsed = i64::try_from(arrived.since(last.arrived).as_micros()).unwrap_or(i64::MAX);
        let step = raw_us.saturating_sub(last.raw);
        last.arrived = arrived;
        let below = raw_us < last.highest;
        let reordered = below
            && may_reorder
            && last.highest.saturating_sub(raw_us) < REORDER_US
            && last.below < REORDER_FRAMES;
        let stuck = raw_us == last.raw;
        let jumped = !reordered && !stuck && (below || step > elapsed.saturating_add(last.lag + JUMP_US));
        last.lag = last.lag.saturating_add(elapsed).saturating_sub(step).clamp(0, MOST_LAG_US);
        if jumped || stuck {
            last.lag = 0;
            // Our time goes on by what really passed.
            let on = (last.highest - last.offset).saturating_add(elapsed.clamp(LEAST_US, JUMP_US));
            last.offset = raw_us.saturating_sub(on);
            last.highest = raw_us;
        }
        last.below = if reordered { last.below + 1 } else { 0 };
        last.raw = raw_us;
        last.highest = last.highest.max(raw_us);
        Placed { pts_us: raw_us.saturating_sub(last.offset), jumped, reordered }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds (raw ms, arrival ms) and gives (pts ms, jumped).
    fn run(frames: &[(i64, u64)], may_reorder: bool) -> Vec<(i64, bool)> {
        let mut timeline = Timeline::default();
        frames
            .iter()
            .map(|(raw, at)| {
                let placed = timeline.place(raw * 1000, Mono(at * 1000), may_reorder);
                (placed.pts_us / 1000, placed.jumped)
            })
            .collect()
    }

    #[test]
    fn an_even_stream_starts_at_zero() {
        assert_eq!(
            run(&[(5000, 100), (5040, 140), (5080, 181)], false),
            [(0, false), (40, false), (80, false)]
        );
    }

    #[test]
    fn jumps_are_marked_and_time_goes_on() {
        for to in [-90_000_000, 90_000_000, 4900] {
            let got = run(&[(5000, 0), (5040, 40), (to, 80), (to + 40, 120)], false);
            assert_eq!(got, [(0, false), (40, false), (80, true), (120, false)], "{to}");
        }
    }

    #[test]
    fn b_frames_are_no_jump() {
        let frames = [(0, 0), (160, 40), (80, 80), (40, 120), (120, 160), (320, 200)];
        let got = run(&frames, true);
        assert_eq!(got.iter().map(|(pts, _)| *pts).collect::<Vec<_>>(), [0, 160, 80, 40, 120, 320]);
        assert!(got.iter().all(|(_, jumped)| !jumped));
    }

    #[test]
    fn a_small_step_back_for_good_is_a_jump_in_the_end() {
        let mut frames: Vec<(i64, u64)> = (0..50).map(|n| (n * 40, n as u64 * 40)).collect();
        frames.extend((50..90).map(|n| (n * 40 - 1500, n as u64 * 40)));
        let got = run(&frames, true);
        assert_eq!(got.iter().filter(|(_, jumped)| *jumped).count(), 1);
        assert!(got[89].0 > got[49].0);
    }

    #[test]
    fn a_stalled_network_is_no_jump_and_a_stuck_clock_is_replaced() {
        assert_eq!(
            run(&[(0, 0), (40, 2900), (80, 2901), (2900, 2905)], false),
            [(0, false), (40, false), (80, false), (2900, false)]
        );
        assert_eq!(run(&[(7, 0), (7, 40), (7, 80)], true), [(0, false), (40, false), (80, false)]);
    }

    proptest! {
        #[test]
        fn without_reordering_time_never_goes_back(
            steps in proptest::collection::vec((any::<i32>(), 0u64..5_000_000), 1..200),
        ) {
            let mut timeline = Timeline::default();
            let (mut raw, mut at, mut last) = (0i64, 0u64, -1i64);
            for (step, elapsed) in steps {
                raw += i64::from(step);
                at += elapsed;
                let placed = timeline.place(raw, Mono(at), false);
                prop_assert!(placed.pts_us > last);
                last = placed.pts_us;
            }
        }
    }
}
