//! What a viewer writes down: which picture of which camera it had whole, and how long after it left the camera.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{percentiles::Spread, split::Picture};

/// A picture that a viewer had whole.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The camera's index.
    pub camera: usize,
    /// The picture's number at the camera.
    pub frame: u32,
    /// From leaving the camera to being whole at the viewer, µs.
    pub delay_us: f64,
}

/// One viewer's notes; shared between the task that reads and whoever evaluates.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    arrivals: Vec<Arrival>,
    last: HashMap<usize, u32>,
    first_key: HashMap<usize, u64>,
    ended: Option<String>,
    missing: u64,
    told_missing: u64,
    unstamped: u64,
}

/// What one viewer saw in one phase of a run.
#[derive(Debug, Default)]
pub struct Seen {
    /// Pictures that came.
    pub arrivals: Vec<Arrival>,
    /// Pictures left out between two that came.
    pub missing: u64,
    /// Of these, those that the other end owned up to.
    pub told_missing: u64,
    /// Pictures without a stamp: something on the way changed them.
    pub unstamped: u64,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a picture.
    pub fn note(&self, camera: usize, picture: &Picture) {
        let mut notes = self.lock();
        if picture.key {
            notes.first_key.entry(camera).or_insert(picture.at_us);
        }
        let Some(stamp) = picture.stamp else {
            notes.unstamped += 1;
            return;
        };
        if let Some(last) = notes.last.insert(camera, stamp.frame) {
            let gap = stamp.frame.wrapping_sub(last);
            if gap > 1 && gap < u32::MAX / 2 {
                notes.missing += u64::from(gap - 1);
            }
        }
        let delay_us = picture.at_us as f64 - stamp.sent_us as f64;
        notes.arrivals.push(Arrival { camera, frame: stamp.frame, delay_us });
    }

    /// Notes that the other end says that it left out `frames` pictures.
    pub fn note_told_missing(&self, frames: u64) {
        self.lock().told_missing += frames;
    }

    /// Notes why reading ended before it was told to.
    pub fn note_end(&self, why: impl std::fmt::Display) {
        self.lock().ended.get_or_insert_with(|| why.to_string());
    }

    /// Why reading ended.
    pub fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    /// When the first key frame of `camera` was whole, µs since 1970 UTC.
    pub fn first_key(&self, camera: usize) -> Option<u64> {
        self.lock().first_key.get(&camera).copied()
    }

    /// How many cameras have shown a key frame.
    pub fn started(&self) -> usize {
        self.lock().first_key.len()
    }

    /// What was noted since the last call.
    pub fn take(&self) -> Seen {
        let mut notes = self.lock();
        Seen {
            arrivals: std::mem::take(&mut notes.arrivals),
            missing: std::mem::take(&mut notes.missing),
            told_missing: std::mem::take(&mut notes.told_missing),
            unstamped: std::mem::take(&mut notes.unstamped),
        }
    }
}

/// The spread of the delays of all `arrivals`, µs.
pub fn delays<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>) -> Option<Spread> {
    Spread::of(arrivals.into_iter().map(|arrival| arrival.delay_us).collect())
}

/// What a relay adds, µs: for each picture that both had, the viewer's delay less that of somebody who watched the
/// camera itself.
pub fn added<'a>(
    viewers: impl IntoIterator<Item = &'a Arrival>,
    direct: impl IntoIterator<Item = &'a Arrival>,
) -> Option<Spread> {
    let direct: HashMap<(usize, u32), f64> =
        direct.into_iter().map(|arrival| ((arrival.camera, arrival.frame), arrival.delay_us)).collect();
    let both = viewers.into_iter().filter_map(|arrival| {
        direct.get(&(arrival.camera, arrival.frame)).map(|straight| arrival.delay_us - straight)
    });
    Spread::of(both.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulated_hall::rtsp::Stamp;

    fn picture(frame: u32, sent_us: u64, at_us: u64) -> Picture {
        Picture { stamp: Some(Stamp { sent_us, frame }), at_us, key: frame.is_multiple_of(50) }
    }

    #[test]
    fn gaps_are_counted_over_phases_and_numbers_wrap() {
        let ledger = Ledger::default();
        ledger.note(0, &picture(u32::MAX, 100, 150));
        ledger.note(0, &picture(0, 200, 260));
        assert_eq!(ledger.take().missing, 0);
        ledger.note(0, &picture(4, 300, 310));
        ledger.note(1, &picture(9, 300, 330));
        let seen = ledger.take();
        assert_eq!((seen.missing, seen.arrivals.len()), (3, 2));
        assert_eq!(ledger.started(), 1);
        assert_eq!(delays(&seen.arrivals).unwrap().max, 30.0);
    }

    #[test]
    fn added_pairs_one_picture_seen_twice() {
        let (relay, straight) = (Ledger::default(), Ledger::default());
        relay.note(0, &picture(1, 100, 190));
        relay.note(0, &picture(2, 200, 280));
        straight.note(0, &picture(1, 100, 120));
        let added = added(&relay.take().arrivals, &straight.take().arrivals).unwrap();
        assert_eq!((added.count, added.p50), (1, 70.0));
    }
}
