//! Decoding times, which RTP does not carry. Pure.
//!
//! Frames come in decoding order with the times at which they are shown. Where the order of showing is the order of
//! coming, both times are one. With B-frames the n-th frame is decoded when the n-th in order of showing would be shown,
//! less a shift so large that nothing is shown before it is decoded. The shift is one for a whole segment.

/// What is to be written of each frame, in ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timing {
    /// When each frame is decoded; rising.
    pub(super) decode: Vec<i64>,
    /// From decoding to showing; never negative.
    pub(super) offset: Vec<i32>,
    /// The first picture shown.
    pub(super) first: i64,
    /// The end of the last one shown.
    pub(super) end: i64,
}

/// How far frames are shown after others that came later, in ticks: the shift that `shown` needs.
pub(super) fn shift(shown: &[i64]) -> i64 {
    let mut sorted = shown.to_vec();
    sorted.sort_unstable();
    sorted.iter().zip(shown).map(|(decode, show)| decode - show).max().unwrap_or(0).max(0)
}

/// The timing of a fragment shown at `shown` (ticks, in order of coming), with the segment's `shift`, decoded after
/// `after`. `next` is when the first frame of the next fragment is shown, where that is known.
pub(super) fn place(shown: &[i64], shift: i64, after: Option<i64>, next: Option<i64>) -> Timing {
    let mut sorted = shown.to_vec();
    sorted.sort_unstable();
    let mut last = after.unwrap_or(i64::MIN);
    let mut decode = Vec::with_capacity(shown.len());
    let mut offset = Vec::with_capacity(shown.len());
    for (slot, show) in sorted.iter().zip(shown) {
        // A camera that gives two pictures one time still has them one after the other.
        last = (slot - shift).max(last.saturating_add(1));
        decode.push(last);
        offset.push(i32::try_from((show - last).max(0)).unwrap_or(i32::MAX));
    }
    let first = sorted.first().copied().unwrap_or(0);
    let newest = sorted.last().copied().unwrap_or(0);
    let usual = match sorted.as_slice() {
        [.., before, last] if last > before => last - before,
        _ => super::TIMESCALE / 25,
    };
    let end = match next.filter(|_| shift == 0) {
        Some(next) if next > newest => next,
        _ => newest + usual,
    };
    Timing { decode, offset, first, end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn in_order_both_times_are_one() {
        let timing = place(&[0, 3600, 7200], 0, None, Some(10_800));
        assert_eq!(timing.decode, [0, 3600, 7200]);
        assert_eq!(timing.offset, [0, 0, 0]);
        assert_eq!(timing.end, 10_800);
    }

    #[test]
    fn with_b_frames_nothing_is_shown_before_it_is_decoded() {
        let shown = [0, 3 * 3600, 3600, 2 * 3600];
        assert_eq!(shift(&shown), 3600);
        let timing = place(&shown, 3600, None, None);
        assert_eq!(timing.decode, [-3600, 0, 3600, 7200]);
        assert_eq!(timing.offset, [3600, 10_800, 0, 0]);
        assert_eq!(timing.end, 4 * 3600);
    }

    proptest! {
        #[test]
        fn decoding_rises_and_showing_is_kept(shown in proptest::collection::vec(0i64..1_000_000, 1..60)) {
            let shift = shift(&shown);
            let timing = place(&shown, shift, None, None);
            prop_assert!(timing.decode.windows(2).all(|w| w[0] < w[1]));
            prop_assert!(timing.end > timing.first);
            let mut distinct = shown.clone();
            distinct.sort_unstable();
            if distinct.windows(2).all(|w| w[0] < w[1]) {
                for (i, show) in shown.iter().enumerate() {
                    prop_assert_eq!(timing.decode[i] + i64::from(timing.offset[i]), *show);
                }
            }
        }
    }
}
