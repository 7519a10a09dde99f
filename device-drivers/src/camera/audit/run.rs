//! Plays a stream for some seconds, as cameras are pulled, and collects what is seen.

use std::time::Duration;

use futures_util::StreamExt;
use retina::codec::{CodecItem, ParametersRef, VideoFrame};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AuditReport, Role, SeenUnit, StreamFacts};
use crate::{
    camera::{
        CameraSource, PullEnd,
        parameter_sets::{self, Codec},
        rtsp,
    },
    clock::UtcClock,
};

/// Units kept: six minutes at 50 frames a second.
const UNIT_LIMIT: usize = 20_000;
/// Sender reports kept.
const REPORT_LIMIT: usize = 1000;
/// Seconds between 1900 (RTP's clock) and 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// How to audit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuditPlan {
    /// What the stream is for.
    pub role: Role,
    /// How long to play, from the start of playing. Ten seconds see four groups of two seconds.
    pub play: Duration,
    /// How long opening may take.
    pub open: Duration,
    /// Frames a second as told over ONVIF.
    pub told_fps: Option<f64>,
}

impl AuditPlan {
    /// Ten seconds.
    pub fn of(role: Role) -> Self {
        Self { role, play: Duration::from_secs(10), open: Duration::from_secs(10), told_fps: None }
    }
}

/// Plays the stream and judges it. A stream that plays and then ends is judged too.
///
/// # Errors
/// It could not be opened, sent nothing, or the audit was cancelled.
pub async fn audit(
    source: &CameraSource,
    utc: &dyn UtcClock,
    plan: AuditPlan,
    cancel: &CancellationToken,
) -> Result<AuditReport, PullEnd> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(PullEnd::Cancelled),
        facts = watch(source, utc, plan) => facts.map(|f| AuditReport::of(&f, plan.role, plan.told_fps)),
    }
}

async fn watch(source: &CameraSource, utc: &dyn UtcClock, plan: AuditPlan) -> Result<StreamFacts, PullEnd> {
    let dialled = Instant::now();
    let rtsp::Opened { mut demuxed, stream, codec, .. } = tokio::time::timeout(plan.open, rtsp::open(source))
        .await
        .map_err(|_elapsed| PullEnd::Connect(format!("no answer within {:?}", plan.open)))??;
    let playing = Instant::now();
    let mut facts = StreamFacts {
        codec,
        name: String::new(),
        width: 0,
        height: 0,
        told_fps: demuxed.streams()[stream].framerate().map(f64::from),
        reorders: None,
        open_ms: millis(playing.duration_since(dialled)),
        units: Vec::new(),
        clock_offsets_us: Vec::new(),
        played_us: 0,
        ended: None,
    };
    let until = playing + plan.play;
    let started = playing.into_std();
    loop {
        let item = match tokio::time::timeout_at(until, demuxed.next()).await {
            Err(_elapsed) => break,
            Ok(None) => {
                facts.ended = Some("the camera closed the connection".to_owned());
                break;
            }
            Ok(Some(Err(error))) => {
                facts.ended = Some(rtsp::first_line(&error));
                break;
            }
            Ok(Some(Ok(item))) => item,
        };
        match item {
            CodecItem::VideoFrame(frame) if facts.units.len() < UNIT_LIMIT => {
                facts.units.push(seen(&frame, started));
                if (frame.has_new_parameters() || facts.name.is_empty())
                    && let Some(ParametersRef::Video(video)) = demuxed.streams()[stream].parameters()
                {
                    parameters(&mut facts, codec, video);
                }
            }
            CodecItem::Rtcp(report) if facts.clock_offsets_us.len() < REPORT_LIMIT => {
                let ago = report.ctx().received().elapsed();
                let ntp = report
                    .pkts()
                    .next()
                    .and_then(|p| p.as_sender_report().ok().flatten())
                    .map(|r| r.ntp_timestamp().0);
                facts.clock_offsets_us.extend(ntp.and_then(|ntp| {
                    let ours =
                        utc.utc_now().as_microsecond().checked_sub(i64::try_from(ago.as_micros()).ok()?)?;
                    offset_us(ntp, ours)
                }));
            }
            _ => {}
        }
    }
    facts.played_us = micros(playing.elapsed());
    if facts.units.is_empty() {
        return Err(match facts.ended {
            Some(why) => PullEnd::Stream(why),
            None => PullEnd::FirstFrame(plan.play),
        });
    }
    Ok(facts)
}

fn seen(frame: &VideoFrame, started: std::time::Instant) -> SeenUnit {
    let stamp = frame.timestamp();
    let stamp_us = i128::from(stamp.elapsed()) * 1_000_000 / i128::from(stamp.clock_rate().get());
    SeenUnit {
        stamp_us: i64::try_from(stamp_us).unwrap_or(i64::MAX),
        arrived_us: micros(frame.start_ctx().received().saturating_duration_since(started)),
        key: frame.is_random_access_point(),
        bytes: frame.data().len(),
        lost: u32::from(frame.loss()),
    }
}

fn parameters(facts: &mut StreamFacts, codec: Codec, video: &retina::codec::VideoParameters) {
    facts.name = video.rfc6381_codec().to_owned();
    (facts.width, facts.height) = video.pixel_dimensions();
    facts.reorders = parameter_sets::reorders(codec, video.extra_data());
    if let Some((period, scale)) = video.frame_rate().filter(|(period, _)| *period > 0) {
        facts.told_fps = Some(f64::from(scale) / f64::from(period));
    }
}

/// The camera's clock minus ours. `None` if the camera sends no wall time (many send time since start, or zero).
fn offset_us(ntp: u64, ours_us: i64) -> Option<i64> {
    let seconds = i64::from(u32::try_from(ntp >> 32).ok()?);
    if seconds < NTP_TO_UNIX_S {
        return None;
    }
    let fraction = i64::try_from(((ntp & 0xFFFF_FFFF) * 1_000_000) >> 32).ok()?;
    let theirs = (seconds - NTP_TO_UNIX_S).checked_mul(1_000_000)?.checked_add(fraction)?;
    theirs.checked_sub(ours_us)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_reports_clock() {
        // 2026-11-22T00:00:00.5Z, and ours 250 ms earlier.
        let ours: jiff::Timestamp = "2026-11-22T00:00:00.25Z".parse().unwrap();
        let seconds = u64::try_from(ours.as_second() + NTP_TO_UNIX_S).unwrap();
        let ntp = seconds << 32 | 0x8000_0000;
        assert_eq!(offset_us(ntp, ours.as_microsecond()), Some(250_000));
        assert_eq!(offset_us(77 << 32, ours.as_microsecond()), None, "time since it was switched on");
        assert_eq!(offset_us(0, ours.as_microsecond()), None);
        assert!(offset_us(u64::MAX, i64::MIN).is_none());
    }
}
