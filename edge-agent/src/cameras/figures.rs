//! A stream's figures: rate, bit rate, key frame distance, age of the last frame, reconnects by stage. For metrics; they
//! decide nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use device_drivers::clock::Mono;

/// What is known of one pulled stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Frames received since the start.
    pub frames: u64,
    /// Bytes received since the start.
    pub bytes: u64,
    /// Frames a second over the last whole group of pictures.
    pub frames_per_second: Option<f64>,
    /// Bits a second over the last whole group of pictures.
    pub bits_per_second: Option<f64>,
    /// The last distance from key frame to key frame, in seconds.
    pub key_distance: Option<f64>,
    /// When the last frame arrived.
    pub last_frame: Option<Mono>,
    /// Sessions that gave a picture.
    pub sessions: u64,
    /// Ended sessions and failed attempts, by the stage that ended them.
    pub ends: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Inner {
    figures: Figures,
    group: Option<Group>,
}

struct Group {
    began: Mono,
    frames: u64,
    bytes: u64,
}

/// Gathers [`Figures`]; the lock is held for a few additions, by one writer.
#[derive(Default)]
pub(super) struct Meter(Mutex<Inner>);

impl Meter {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn session(&self) {
        let mut inner = self.inner();
        inner.figures.sessions += 1;
        inner.group = None;
    }

    pub(super) fn frame(&self, key: bool, bytes: usize, arrived: Mono) {
        let mut inner = self.inner();
        let Inner { figures, group } = &mut *inner;
        if key {
            if let Some(group) = group.as_ref() {
                let seconds = arrived.since(group.began).as_secs_f64();
                if seconds > 0.0 {
                    figures.key_distance = Some(seconds);
                    figures.frames_per_second = Some(group.frames as f64 / seconds);
                    figures.bits_per_second = Some(group.bytes as f64 * 8.0 / seconds);
                }
            }
            *group = Some(Group { began: arrived, frames: 0, bytes: 0 });
        }
        let bytes = bytes as u64;
        if let Some(group) = group {
            group.frames += 1;
            group.bytes += bytes;
        }
        figures.frames += 1;
        figures.bytes += bytes;
        figures.last_frame = Some(arrived);
    }

    pub(super) fn ended(&self, stage: &'static str) {
        let mut inner = self.inner();
        *inner.figures.ends.entry(stage).or_default() += 1;
        inner.figures.frames_per_second = None;
        inner.figures.bits_per_second = None;
        inner.group = None;
    }

    pub(super) fn read(&self) -> Figures {
        self.inner().figures.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_whole_group() {
        let meter = Meter::default();
        meter.session();
        for n in 0..26u64 {
            meter.frame(n % 25 == 0, 1000, Mono(n * 80_000));
        }
        let figures = meter.read();
        assert_eq!((figures.frames, figures.bytes, figures.sessions), (26, 26_000, 1));
        assert_eq!(figures.frames_per_second, Some(12.5));
        assert_eq!(figures.bits_per_second, Some(100_000.0));
        assert_eq!(figures.key_distance, Some(2.0));
        assert_eq!(figures.last_frame, Some(Mono(2_000_000)));
        meter.ended("stream");
        assert_eq!(meter.read().ends["stream"], 1);
        assert_eq!(meter.read().frames_per_second, None);
    }
}
