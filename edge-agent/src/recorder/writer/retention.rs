//! Room: what is older than it need be goes, what is held stays, and what is kept free for events is never taken.

use std::time::Duration;

use control_protocol::{CameraId, Happening};
use device_drivers::clock::Mono;

use super::{
    super::{figures::Figures, lock, why::Why},
    Writer,
};

/// Segments looked for at a time.
const BATCH: u32 = 64;
/// How often what is too old is looked for.
const DAYS_EVERY: Duration = Duration::from_secs(30);
/// Recording goes on after a stop with so much more room, so that it does not flutter.
const AGAIN_BYTES: u64 = 64 * 1024 * 1024;
/// The rate is that of about this long.
const RATE_OVER: Duration = Duration::from_secs(600);

const DAY_US: i64 = 86_400_000_000;

/// The rate is taken for what it is once it was looked at for so long: after a start much comes at once.
const SETTLED: Duration = Duration::from_secs(600);
/// So much more than is needed ends the alarm, so that it does not flutter.
const ENOUGH: f64 = 1.1;

/// How fast the disk fills.
#[derive(Debug)]
pub(super) struct Forecast {
    began: Mono,
    at: Mono,
    written: u64,
    /// Bytes a second.
    rate: Option<f64>,
    /// The disk will not hold what is to be kept.
    short: bool,
}

impl Forecast {
    pub(super) fn new(now: Mono) -> Self {
        Self { began: now, at: now, written: 0, rate: None, short: false }
    }

    /// Days of footage that `capacity` bytes hold, once the rate is known.
    pub(super) fn days(&mut self, now: Mono, written: u64, capacity: u64) -> Option<f64> {
        let passed = now.since(self.at);
        if passed >= Duration::from_secs(30) {
            let rate = (written - self.written) as f64 / passed.as_secs_f64();
            let weight = (passed.as_secs_f64() / RATE_OVER.as_secs_f64()).min(1.0);
            self.rate = Some(self.rate.map_or(rate, |before| before + (rate - before) * weight));
            (self.at, self.written) = (now, written);
        }
        self.rate.filter(|rate| *rate > 0.0).map(|rate| capacity as f64 / rate / 86_400.0)
    }

    /// Whether `capacity` bytes will not hold what is to be kept: `days` at the present rate, at most `share` bytes.
    pub(super) fn short(&mut self, now: Mono, capacity: u64, days: u32, share: Option<u64>) -> bool {
        if let Some(rate) = self.rate.filter(|_| now.since(self.began) >= SETTLED) {
            let wanted = rate * 86_400.0 * f64::from(days);
            let needed = share.map_or(wanted, |share| wanted.min(share as f64));
            let margin = if self.short { ENOUGH } else { 1.0 };
            self.short = (capacity as f64) < needed * margin;
        }
        self.short
    }
}

impl Writer {
    /// Looks at the disk: its room, its age, whether it is there.
    pub(super) fn tidy(&mut self) {
        if self.out.is_none() && !self.disk.still_there() {
            let folder = self.s.settings.folder.display().to_string();
            self.disk_out(format!("the disk at {folder} is gone"));
        }
        if self.out.is_some() {
            return;
        }
        let now = self.now();
        if now.since(self.tidied_days) >= DAYS_EVERY || self.tidied_days == Mono(0) {
            self.tidied_days = now;
            self.by_days();
            self.by_bytes();
        }
        self.make_room(false);
        self.show(now);
    }

    fn show(&mut self, now: Mono) {
        let settings = &self.s.settings;
        let free = self.disk.free();
        let written = self.s.figures.written.load(std::sync::atomic::Ordering::Relaxed);
        let recorded: u64 = self.tracks.iter().map(|track| track.bytes).sum();
        let capacity = free.unwrap_or(0).saturating_sub(settings.keep_free) + recorded;
        let days = self.forecast.days(now, written, capacity);
        let share = settings.bytes_per_camera.saturating_mul(self.tracks.len() as u64);
        let share = (settings.bytes_per_camera > 0).then_some(share);
        let short = self.forecast.short(now, capacity, settings.days, share);
        let newly = short && !self.s.figures.state().short;
        let cameras = self.tracks.iter().map(|track| {
            let open = track.open.is_some();
            (
                track.camera.clone(),
                track.bytes,
                track.gap.as_ref().filter(|_| !open).map(|(_, why)| why.clone()),
            )
        });
        let cameras = cameras.collect();
        let full = self.full;
        self.s.figures.change(|state| {
            state.free_bytes = free;
            state.forecast_days = days;
            state.short = short;
            state.cameras = cameras;
            state.stopped =
                full.then(|| "only held footage is left on the disk of the recordings".to_owned());
        });
        if newly {
            tracing::warn!(
                days = days.unwrap_or_default(),
                wanted = settings.days,
                "the disk of the recordings will not hold what is to be kept"
            );
            self.say(None, Happening::NodeDiskLow { free_bytes: free.unwrap_or(0) });
        }
    }

    /// What is older than is to be kept.
    fn by_days(&mut self) {
        let before_us = self.now_us().saturating_sub(i64::from(self.s.settings.days).saturating_mul(DAY_US));
        while self.delete(None, before_us, u64::MAX) > 0 {}
        if self.out.is_none()
            && let Err(e) = self.index.forget_gaps(before_us)
        {
            self.index_failed(&e);
        }
    }

    /// What a camera has beyond its share.
    fn by_bytes(&mut self) {
        let most = self.s.settings.bytes_per_camera;
        if most == 0 {
            return;
        }
        for at in 0..self.tracks.len() {
            while let Some((camera, bytes)) = self.tracks.get(at).map(|t| (t.camera.clone(), t.bytes)) {
                if bytes <= most || self.delete(Some(&camera), i64::MAX, bytes - most) == 0 {
                    break;
                }
            }
        }
    }

    /// Keeps the free room free: the oldest footage of all goes. Where only held footage is left, recording stops.
    pub(super) fn make_room(&mut self, at_once: bool) {
        let keep = self.s.settings.keep_free;
        let Some(free) = self.disk.free() else { return };
        let wanted = if self.full { keep + AGAIN_BYTES } else { keep };
        // After a write that found no room, some is made whatever the system says.
        let mut missing = wanted.saturating_sub(free).max(if at_once { AGAIN_BYTES } else { 0 });
        while missing > 0 {
            let freed = self.delete(None, i64::MAX, missing);
            if freed == 0 {
                break;
            }
            missing = missing.saturating_sub(freed);
        }
        if missing > 0 && !self.full {
            self.full = true;
            let free_bytes = self.disk.free().unwrap_or(0);
            tracing::error!(
                free_bytes,
                "recording stops: only held footage is left; release holds or add a disk"
            );
            self.say(None, Happening::NodeDiskLow { free_bytes });
            for at in 0..self.tracks.len() {
                self.break_off(at, &Why::DiskFull);
            }
        } else if missing == 0 && self.full {
            self.full = false;
            tracing::info!("there is room again: recording goes on");
        }
    }

    /// Deletes the oldest segments that ended before `before_us`, are not held and not being read, until about `bytes`
    /// are freed, at most a batch; gives the bytes.
    fn delete(&mut self, camera: Option<&CameraId>, before_us: i64, bytes: u64) -> u64 {
        if self.out.is_some() {
            return 0;
        }
        let mut rows = match self.index.deletable(camera, before_us, self.now_us(), BATCH) {
            Ok(rows) => rows,
            Err(e) => {
                self.index_failed(&e);
                return 0;
            }
        };
        let mut freed = 0;
        {
            let read = lock(&self.s.shared.read);
            rows.retain(|(id, _, _, size)| {
                let goes = freed < bytes && !read.contains_key(id);
                freed += if goes { *size } else { 0 };
                goes
            });
        }
        let ids: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
        if ids.is_empty() {
            return 0;
        }
        if let Err(e) = self.index.condemn(&ids) {
            self.index_failed(&e);
            return 0;
        }
        for (_, file, camera, size) in &rows {
            match std::fs::remove_file(self.s.settings.folder.join(file)) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    self.disk_out(format!("{file}: {e}"));
                    return 0;
                }
            }
            // An empty day's folder goes too; one that is not empty stays.
            if let Some(day) = self.s.settings.folder.join(file).parent() {
                let _ = std::fs::remove_dir(day);
            }
            if let Some(track) = self.tracks.iter_mut().find(|track| track.camera == *camera) {
                track.bytes = track.bytes.saturating_sub(*size);
            }
            Figures::add(&self.s.figures.deleted, 1);
        }
        if let Err(e) = self.index.forget_all(&ids) {
            self.index_failed(&e);
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_is_the_room_over_the_rate() {
        let mut forecast = Forecast::new(Mono(0));
        assert_eq!(forecast.days(Mono(1_000_000), 0, 1 << 40), None);
        let days = forecast.days(Mono(60_000_000), 60_000_000, 86_400_000_000).unwrap();
        assert!((days - 1.0).abs() < 1e-9, "{days}");
    }

    #[test]
    fn the_disk_is_short_once_it_is_known_and_not_for_a_moment() {
        let mut forecast = Forecast::new(Mono(0));
        // A megabyte a second.
        forecast.days(Mono(60_000_000), 60_000_000, 0);
        let day = 86_400_000_000u64;
        assert!(!forecast.short(Mono(60_000_000), 0, 30, None), "nothing is known yet");
        let later = Mono(700_000_000);
        assert!(!forecast.short(later, 30 * day, 30, None));
        assert!(forecast.short(later, 30 * day - 1, 30, None));
        assert!(forecast.short(later, 32 * day, 30, None), "not enough more to be sure");
        assert!(!forecast.short(later, 34 * day, 30, None));
        // Who keeps no more than a share of the disk needs no more.
        assert!(!forecast.short(later, 2 * day, 30, Some(day)));
        assert!(forecast.short(later, day / 2, 30, Some(day)));
    }
}
