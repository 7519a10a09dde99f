//! From what was seen to figures. Pure.

use serde::Serialize;

use super::{SeenUnit, StreamFacts};
use crate::camera::parameter_sets::Codec;

/// The first second is left out of the frame rate: servers send what they hold at once.
const SETTLE_US: u64 = 1_000_000;
/// A step back larger than any codec's reordering, and a step forward larger than any pause, is a jump.
const JUMP_US: i64 = 2_000_000;

/// Groups of pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gop {
    /// Whole groups seen.
    pub whole: usize,
    /// Frames of the usual group.
    pub frames: usize,
    /// Seconds of the shortest whole group.
    pub shortest_s: f64,
    /// Seconds of the longest group, the last, unfinished one included.
    pub longest_s: f64,
    /// The longest is unfinished: it is at least so long.
    pub at_least: bool,
    /// All whole groups have as good as the same number of frames.
    pub regular: bool,
}

/// Figures of a stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// `h264` or `h265`.
    pub codec: &'static str,
    /// RFC 6381 name.
    pub codec_name: String,
    /// Profile by its usual name; `None` if it has none we know.
    pub profile: Option<&'static str>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second as told.
    pub told_fps: Option<f64>,
    /// Frames a second as they arrive.
    pub fps: Option<f64>,
    /// Frames a second by the camera's own times.
    pub stamped_fps: Option<f64>,
    /// Average kbit/s of the pictures.
    pub kbps: Option<f64>,
    /// kbit/s of the busiest second.
    pub peak_kbps: Option<f64>,
    /// Groups of pictures; `None` if no key frame came.
    pub gop: Option<Gop>,
    /// Frames come in another order than they are shown in.
    pub b_frames: bool,
    /// From dialling until it plays.
    pub open_ms: u64,
    /// From then to the first key frame.
    pub first_key_ms: Option<u64>,
    /// Longest time without a frame, after the first second.
    pub longest_gap_ms: u64,
    /// Packets missing.
    pub lost_packets: u64,
    /// Times at which the camera's time jumped.
    pub jumps: usize,
    /// The camera's clock minus ours.
    pub clock_offset_s: Option<f64>,
    /// Frames seen.
    pub frames: usize,
    /// Seconds played.
    pub seconds: f64,
    /// Why it ended before its time.
    pub ended: Option<String>,
}

impl Measured {
    /// Counts. `told_fps` wins over what the stream itself tells.
    pub(super) fn of(facts: &StreamFacts, told_fps: Option<f64>) -> Self {
        let units = &facts.units;
        let settled = match units.first() {
            Some(first) => {
                let from = first.arrived_us + SETTLE_US;
                let rest = &units[units.partition_point(|u| u.arrived_us < from)..];
                // A short look is better than none.
                if rest.len() >= 5 { rest } else { &units[..] }
            }
            None => &units[..],
        };
        let (jumps, reordered) = steps(units);
        Self {
            codec: match facts.codec {
                Codec::H264 => "h264",
                Codec::H265 => "h265",
                Codec::Jpeg => "jpeg",
            },
            codec_name: facts.name.clone(),
            profile: profile_of(&facts.name),
            width: facts.width,
            height: facts.height,
            told_fps: told_fps.or(facts.told_fps).filter(|f| f.is_finite() && *f > 0.0),
            fps: rate(settled.len(), span(settled.iter().map(|u| u.arrived_us as i64))),
            // Over a jump the camera's times say nothing.
            stamped_fps: (jumps == 0)
                .then(|| rate(settled.len(), span(settled.iter().map(|u| u.stamp_us))))
                .flatten(),
            kbps: kbps(settled),
            peak_kbps: peak(units),
            gop: gop_of(units),
            b_frames: reordered || facts.reorders == Some(true),
            open_ms: facts.open_ms,
            first_key_ms: units.iter().find(|u| u.key).map(|u| u.arrived_us / 1000),
            longest_gap_ms: settled
                .windows(2)
                .map(|w| w[1].arrived_us.saturating_sub(w[0].arrived_us) / 1000)
                .max()
                .unwrap_or(0),
            lost_packets: units.iter().map(|u| u64::from(u.lost)).sum(),
            jumps,
            clock_offset_s: median(&facts.clock_offsets_us).map(|us| us as f64 / 1e6),
            frames: units.len(),
            seconds: facts.played_us as f64 / 1e6,
            ended: facts.ended.clone(),
        }
    }
}

/// Jumps of the camera's time, and whether frames come out of order.
fn steps(units: &[SeenUnit]) -> (usize, bool) {
    let (mut jumps, mut reordered) = (0, false);
    let Some(mut highest) = units.first().map(|u| u.stamp_us) else { return (0, false) };
    for pair in units.windows(2) {
        let step = pair[1].stamp_us.saturating_sub(pair[0].stamp_us);
        let passed = i64::try_from(pair[1].arrived_us.saturating_sub(pair[0].arrived_us)).unwrap_or(i64::MAX);
        if step < -JUMP_US || step > passed.saturating_add(JUMP_US) {
            jumps += 1;
            highest = pair[1].stamp_us;
        } else if pair[1].stamp_us < highest {
            reordered = true;
        }
        highest = highest.max(pair[1].stamp_us);
    }
    (jumps, reordered)
}

fn span(times: impl Iterator<Item = i64>) -> i64 {
    let (low, high) = times.fold((i64::MAX, i64::MIN), |(low, high), t| (low.min(t), high.max(t)));
    high.saturating_sub(low).max(0)
}

fn rate(frames: usize, span_us: i64) -> Option<f64> {
    (frames >= 5 && span_us > 0).then(|| (frames - 1) as f64 * 1e6 / span_us as f64)
}

/// The bytes of all frames but the last, over the time from the first to the last.
fn kbps(units: &[SeenUnit]) -> Option<f64> {
    let span = span(units.iter().map(|u| u.arrived_us as i64));
    let (_, before) = units.split_last()?;
    let bytes: usize = before.iter().map(|u| u.bytes).sum();
    (span > 0).then(|| bytes as f64 * 8.0 * 1000.0 / span as f64)
}

/// The busiest second, by the camera's own times where arrival is not even.
fn peak(units: &[SeenUnit]) -> Option<f64> {
    let mut start = 0;
    let (mut sum, mut most) = (0usize, 0usize);
    for (at, unit) in units.iter().enumerate() {
        sum += unit.bytes;
        while units[start].arrived_us + 1_000_000 <= unit.arrived_us && start < at {
            sum -= units[start].bytes;
            start += 1;
        }
        most = most.max(sum);
    }
    (units.len() >= 5).then(|| most as f64 * 8.0 / 1000.0)
}

fn gop_of(units: &[SeenUnit]) -> Option<Gop> {
    let keys: Vec<usize> = units.iter().enumerate().filter(|(_, u)| u.key).map(|(at, _)| at).collect();
    let last = *keys.last()?;
    let seconds =
        |from: usize, to: usize| units[to].arrived_us.saturating_sub(units[from].arrived_us) as f64 / 1e6;
    let whole: Vec<(usize, f64)> = keys.windows(2).map(|k| (k[1] - k[0], seconds(k[0], k[1]))).collect();
    let unfinished = seconds(last, units.len() - 1);
    let longest_whole = whole.iter().map(|g| g.1).fold(0.0, f64::max);
    let mut frames: Vec<usize> = whole.iter().map(|g| g.0).collect();
    frames.sort_unstable();
    let usual = frames.get(frames.len() / 2).copied().unwrap_or(units.len() - last);
    let slack = (usual / 10).max(2);
    // A stream that dropped frames has uneven groups too; twice the slack is still one setting.
    let regular = frames.iter().all(|f| f.abs_diff(usual) <= slack);
    Some(Gop {
        whole: whole.len(),
        frames: usual,
        shortest_s: whole
            .iter()
            .map(|g| g.1)
            .fold(f64::INFINITY, f64::min)
            .min(longest_whole.max(unfinished)),
        longest_s: longest_whole.max(unfinished),
        at_least: unfinished > longest_whole,
        regular,
    })
}

fn median(values: &[i64]) -> Option<i64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// Names of profiles: ITU-T H.264 annex A, H.265 annex A, by the RFC 6381 name.
fn profile_of(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("avc1.").or_else(|| lower.strip_prefix("avc3.")) {
        let constraints = hex.get(2..4).and_then(|h| u8::from_str_radix(h, 16).ok()).unwrap_or(0);
        return Some(match hex.get(..2)? {
            "42" if constraints & 0x40 != 0 => "Constrained Baseline",
            "42" => "Baseline",
            "4d" => "Main",
            "58" => "Extended",
            "64" => "High",
            "6e" => "High 10",
            "7a" => "High 4:2:2",
            "f4" => "High 4:4:4 Predictive",
            _ => return None,
        });
    }
    let profile = lower.strip_prefix("hvc1.").or_else(|| lower.strip_prefix("hev1."))?;
    match profile.split('.').next()? {
        "1" => Some("Main"),
        "2" => Some("Main 10"),
        "3" => Some("Main Still Picture"),
        "4" => Some("Range Extensions"),
        _ => None,
    }
}
