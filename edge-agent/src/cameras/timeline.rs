//! One presentation time line per pulled stream, across all its sessions. Pure.
//!
//! Each RTSP session counts from an origin of its own. A viewer keeps its place across a camera's return, so that the
//! new session goes on where the monotonic clock says: after what was sent before it, by as much as really passed.

use device_drivers::clock::Mono;

/// Maps the presentation times of sessions onto one line.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    origin: Option<Mono>,
    offset: Option<i64>,
    last: Option<i64>,
}

impl Timeline {
    /// The next unit is the first of a new session.
    pub(super) fn begin_session(&mut self) {
        self.offset = None;
    }

    /// The place on the line, in microseconds, of a unit with `pts_us` that arrived then, and whether it is the first of
    /// a session that is not the first.
    pub(super) fn place(&mut self, pts_us: i64, arrived: Mono) -> (i64, bool) {
        let origin = *self.origin.get_or_insert(arrived);
        let mut resumed = false;
        let offset = match self.offset {
            Some(offset) => offset,
            None => {
                let passed = i64::try_from(arrived.since(origin).as_micros()).unwrap_or(i64::MAX);
                let earliest = self.last.map_or(0, |last| last.saturating_add(1));
                resumed = self.last.is_some();
                *self.offset.insert(passed.max(earliest).saturating_sub(pts_us))
            }
        };
        let place = pts_us.saturating_add(offset);
        self.last = Some(self.last.map_or(place, |last| last.max(place)));
        (place, resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_returning_camera_goes_on_after_the_time_that_passed() {
        let mut line = Timeline::default();
        line.begin_session();
        assert_eq!(line.place(700, Mono(1_000)), (0, false));
        assert_eq!(line.place(40_700, Mono(41_000)), (40_000, false));
        // B-frames: presentation order is not arrival order.
        assert_eq!(line.place(20_700, Mono(81_000)), (20_000, false));
        line.begin_session();
        assert_eq!(line.place(9, Mono(5_001_000)), (5_000_000, true));
        assert_eq!(line.place(40_009, Mono(5_041_000)), (5_040_000, false));
    }

    proptest! {
        #[test]
        fn no_session_begins_before_the_one_before_ended(sessions in proptest::collection::vec((any::<i32>(), 1u64..50, 0u64..10_000_000), 1..20)) {
            let mut line = Timeline::default();
            let mut now = 0;
            let mut highest = -1;
            for (start, units, pause) in sessions {
                line.begin_session();
                now += pause;
                for n in 0..units {
                    let pts = i64::from(start) + i64::try_from(n).unwrap() * 40_000;
                    let (place, resumed) = line.place(pts, Mono(now));
                    prop_assert!(place > highest);
                    prop_assert_eq!(resumed, n == 0 && highest >= 0);
                    highest = place;
                    now += 1_000;
                }
            }
        }
    }
}
