//! The course of a measurement, the same for every relay: idle, first viewers of cameras nobody watches, all viewers,
//! newcomers, and a viewer that stops reading.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{
    Shape,
    viewer::{Entry, Viewers, watch_directly},
};
use crate::{
    cameras::{Cameras, RATE},
    footprint::{Footprint, cpu_of},
    ledger::{Arrival, Seen, added, delays},
    percentiles::Spread,
};

/// Cameras that are also watched with nothing between.
const DIRECT: usize = 4;
/// How long all viewers may take to come.
const ENTRY_PATIENCE: Duration = Duration::from_secs(40);

/// A relay that can be measured.
pub(super) trait Relay {
    /// Its name.
    const NAME: &'static str;
    /// Whether it knows a key frame from another picture, so that a first picture can be asked of it.
    const KNOWS_PICTURES: bool = true;

    /// Its processes of the moment, by what they are.
    fn parts(&self) -> Vec<(String, Vec<u32>)>;

    /// The first viewer of a camera nobody watches, where a relay can have one; camera after camera.
    async fn enter_cold(&mut self, camera: usize) -> Result<Option<Entry>>;

    /// All viewers of the shape.
    async fn attach(&mut self, shape: Shape) -> Result<Viewers>;

    /// One more viewer of a camera that is watched, where a relay can have one.
    async fn enter_live(&mut self, camera: usize) -> Result<Option<Entry>>;

    /// One who watches the first `count` cameras with nothing between, by the way the relay gets them.
    async fn watch_source(&self, cameras: &Cameras, count: usize) -> Result<Viewers> {
        watch_directly(cameras, count).await
    }

    /// A viewer that stops reading, and what it is in words: an additional one, or else one of `viewers`.
    async fn stick(&mut self, viewers: &Viewers, shape: Shape) -> Result<Stuck>;
}

/// A viewer that has stopped reading.
pub(super) struct Stuck {
    /// What it is.
    pub(super) what: String,
    /// Its viewer and camera, if it is one of those that are measured.
    pub(super) own: Option<(usize, usize)>,
    /// It, if it is an additional one.
    pub(super) extra: Option<Viewers>,
}

/// How long each part takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) idle: Duration,
    pub(super) settle: Duration,
    pub(super) measured: Duration,
    pub(super) stuck: Duration,
    pub(super) entries: usize,
}

/// One process, or several of one kind.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Part {
    /// What it is.
    pub(super) name: String,
    /// How many processes.
    pub(super) processes: usize,
    /// CPU while nobody watched, ms a second.
    pub(super) idle_cpu_ms_per_second: Option<f64>,
    /// CPU while all watched, ms a second.
    pub(super) cpu_ms_per_second: f64,
    /// Memory while nobody watched.
    pub(super) idle: Option<Footprint>,
    /// Memory while all watched.
    pub(super) loaded: Footprint,
}

/// What others saw while one viewer did not read.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StuckOutcome {
    /// Who did not read.
    pub(super) what: String,
    /// For how long, s.
    pub(super) seconds: f64,
    /// The others' delay, µs.
    pub(super) delay_us: Option<Spread>,
    /// Pictures they got.
    pub(super) got: usize,
    /// Pictures they should have got.
    pub(super) expected: usize,
    /// Pictures left out between two that came.
    pub(super) missing: u64,
    /// CPU of the relay meanwhile, ms a second.
    pub(super) cpu_ms_per_second: f64,
    /// Memory it took on meanwhile, bytes (PSS).
    pub(super) grown: i64,
    /// Of the pictures that the stuck one did not get, how many it was told of once it read again.
    pub(super) told_missing: Option<u64>,
    /// From reading again to a picture younger than a second, ms.
    pub(super) back_ms: Option<f64>,
    /// Why it could not go on reading, if it could not.
    pub(super) ended: Vec<String>,
}

/// What was measured of one relay in one shape.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    /// The relay.
    pub(super) name: String,
    /// Its processes.
    pub(super) parts: Vec<Part>,
    /// CPU of the viewers, ms a second; they are in this program.
    pub(super) viewers_cpu_ms_per_second: f64,
    /// CPU of the simulated cameras, ms a second.
    pub(super) cameras_cpu_ms_per_second: f64,
    /// Pictures the viewers got.
    pub(super) got: usize,
    /// Pictures they should have got.
    pub(super) expected: usize,
    /// Pictures left out between two that came.
    pub(super) missing: u64,
    /// Pictures that came without their stamp.
    pub(super) unstamped: u64,
    /// From the camera to the viewers, µs.
    pub(super) delay_us: Option<Spread>,
    /// From the camera to one who watches it directly, µs.
    pub(super) direct_us: Option<Spread>,
    /// The difference of the two, picture by picture, µs.
    pub(super) added_us: Option<Spread>,
    /// First picture where nobody watched, ms.
    pub(super) cold_ms: Option<Spread>,
    /// First picture where others watch, ms.
    pub(super) live_first_ms: Option<Spread>,
    /// The newest picture where others watch, ms.
    pub(super) live_caught_up_ms: Option<Spread>,
    /// Time to the open connection before asking, ms.
    pub(super) connected_ms: Option<Spread>,
    /// What a stuck viewer does to the others.
    pub(super) stuck: Option<StuckOutcome>,
    /// What went wrong on the way.
    pub(super) notes: Vec<String>,
}

type Parts = Vec<(String, Vec<u32>)>;

fn memory(parts: &Parts) -> Vec<(String, Footprint)> {
    parts.iter().map(|(name, ids)| (name.clone(), Footprint::of(ids))).collect()
}

fn cpu(parts: &Parts) -> Vec<Duration> {
    parts.iter().map(|(_, ids)| cpu_of(ids)).collect()
}

/// ms a second.
fn rate(before: Duration, after: Duration, time: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64() * 1000.0 / time.as_secs_f64()
}

fn proportional(parts: &Parts) -> i64 {
    parts.iter().map(|(_, ids)| Footprint::of(ids).proportional as i64).sum()
}

fn arrivals(seen: &[Seen], but: Option<(usize, usize)>) -> Vec<Arrival> {
    let of = |(viewer, seen): (usize, &Seen)| {
        let kept = move |arrival: &&Arrival| but != Some((viewer, arrival.camera));
        seen.arrivals.iter().filter(kept).copied().collect::<Vec<_>>()
    };
    seen.iter().enumerate().flat_map(of).collect()
}

/// Measures one relay.
pub(super) async fn run<R: Relay>(
    relay: &mut R,
    cameras: &Cameras,
    cameras_process: u32,
    shape: Shape,
    times: Times,
) -> Result<Outcome> {
    let mut notes = Vec::new();
    let parts = relay.parts();
    let before = cpu(&parts);
    tokio::time::sleep(times.idle).await;
    let idle_rates = before.into_iter().zip(cpu(&parts)).map(|(before, now)| rate(before, now, times.idle));
    let idle: Vec<(f64, (String, Footprint))> = idle_rates.zip(memory(&parts)).collect();

    let mut cold = Vec::new();
    for camera in 0..times.entries.min(shape.cameras) {
        match relay.enter_cold(camera).await {
            Ok(entry) => cold.extend(entry.map(|entry| entry.first_ms)),
            Err(why) => notes.push(format!("first viewer of camera {camera}: {why:#}")),
        }
    }

    let viewers = relay.attach(shape).await?;
    viewers.started(shape.cameras, ENTRY_PATIENCE).await?;
    if cold.is_empty() && R::KNOWS_PICTURES {
        let first = |camera| viewers.ledgers.first().and_then(|ledger| ledger.first_key(camera));
        let after = |at: u64| (at as f64 - viewers.since_us as f64) / 1000.0;
        cold.extend((0..shape.cameras).filter_map(first).map(after));
    }
    let direct = relay.watch_source(cameras, DIRECT.min(shape.cameras)).await?;
    tokio::time::sleep(times.settle).await;

    let mut watched = relay.parts();
    watched.push(("viewers".to_owned(), vec![std::process::id()]));
    watched.push(("cameras".to_owned(), vec![cameras_process]));
    let before = cpu(&watched);
    let _ = (viewers.take(), direct.take());
    let begun = std::time::Instant::now();
    tokio::time::sleep(times.measured).await;
    let (seen, straight) = (viewers.take(), direct.take());
    let took = begun.elapsed();
    let mut rates: Vec<f64> =
        before.into_iter().zip(cpu(&watched)).map(|(before, now)| rate(before, now, took)).collect();
    let cameras_cpu_ms_per_second = rates.pop().unwrap_or_default();
    let viewers_cpu_ms_per_second = rates.pop().unwrap_or_default();
    let (all, straight) = (arrivals(&seen, None), arrivals(&straight, None));
    let parts = relay.parts();
    let parts =
        memory(&parts).into_iter().zip(&parts).zip(rates).map(|(((name, loaded), (_, ids)), rate)| {
            let idle = idle.iter().find(|(_, (part, before))| *part == name && before.resident > 0);
            Part {
                name,
                processes: ids.len(),
                idle_cpu_ms_per_second: idle.map(|(rate, _)| *rate),
                cpu_ms_per_second: rate,
                idle: idle.map(|(_, (_, footprint))| *footprint),
                loaded,
            }
        });
    let parts = parts.collect();
    drop(direct);

    let mut live = Vec::new();
    for camera in 0..times.entries {
        match relay.enter_live(camera % shape.cameras).await {
            Ok(entry) => live.extend(entry),
            Err(why) => notes.push(format!("newcomer: {why:#}")),
        }
    }
    let stuck = match stuck(relay, &viewers, shape, times.stuck).await {
        Ok(stuck) => Some(stuck),
        Err(why) => {
            notes.push(format!("stuck viewer: {why:#}"));
            None
        }
    };
    notes.extend(viewers.ended().into_iter().map(|why| format!("a viewer ended: {why}")));
    let of = |value: fn(&Entry) -> f64| Spread::of(live.iter().map(value).collect());
    Ok(Outcome {
        name: R::NAME.to_owned(),
        parts,
        viewers_cpu_ms_per_second,
        cameras_cpu_ms_per_second,
        got: all.len(),
        expected: expected(shape.streams(), took),
        missing: seen.iter().map(|seen| seen.missing).sum(),
        unstamped: seen.iter().map(|seen| seen.unstamped).sum(),
        delay_us: delays(&all),
        direct_us: delays(&straight),
        added_us: added(&all, &straight),
        cold_ms: Spread::of(cold),
        live_first_ms: of(|entry| entry.first_ms),
        live_caught_up_ms: of(|entry| entry.caught_up_ms),
        connected_ms: of(|entry| entry.connected_ms),
        stuck,
        notes,
    })
}

fn expected(streams: usize, time: Duration) -> usize {
    (streams as f64 * f64::from(RATE) * time.as_secs_f64()).round() as usize
}

async fn stuck<R: Relay>(
    relay: &mut R,
    viewers: &Viewers,
    shape: Shape,
    time: Duration,
) -> Result<StuckOutcome> {
    let stuck = relay.stick(viewers, shape).await?;
    let parts = relay.parts();
    let memory_before = proportional(&parts);
    let before: Duration = cpu(&parts).iter().sum();
    let _ = viewers.take();
    let begun = std::time::Instant::now();
    tokio::time::sleep(time).await;
    let seen = viewers.take();
    let took = begun.elapsed();
    let after = cpu(&parts).iter().sum();
    let others = arrivals(&seen, stuck.own);
    let own = usize::from(stuck.own.is_some());
    let mut outcome = StuckOutcome {
        what: stuck.what,
        seconds: took.as_secs_f64(),
        delay_us: delays(&others),
        got: others.len(),
        expected: expected(shape.streams() - own, took),
        missing: seen.iter().map(|seen| seen.missing).sum(),
        cpu_ms_per_second: rate(before, after, took),
        grown: proportional(&parts) - memory_before,
        told_missing: None,
        back_ms: None,
        ended: Vec::new(),
    };
    if let Some(extra) = stuck.extra {
        let _ = extra.take();
        let again = std::time::Instant::now();
        extra.hold(false);
        let mut told = 0;
        while outcome.back_ms.is_none() && again.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            for seen in extra.take() {
                told += seen.told_missing;
                if seen.arrivals.iter().any(|arrival| arrival.delay_us < 1e6) {
                    outcome.back_ms = Some(again.elapsed().as_secs_f64() * 1000.0);
                }
            }
        }
        outcome.told_missing = Some(told);
        outcome.ended = extra.ended();
    }
    Ok(outcome)
}
