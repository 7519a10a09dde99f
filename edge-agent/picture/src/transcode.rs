//! One coded stream turned into another that every browser plays: `appsrc ! parse ! decoder ! scale ! x264enc ! appsink`.
//!
//! Out comes H.264 without B-frames, a key frame at least every two seconds, each frame with the presentation time of the
//! frame it was made of. Blocking; meant for a process of its own, since a codec that meets a strange camera may end it.

use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::UpstreamForceKeyUnitEvent;

use crate::{Parameters, StillError, decode};

/// The encoder and where it is found.
const ENCODER: (&str, &str) = ("x264enc", "gstreamer1.0-plugins-ugly");
/// Frames that may wait before the decoder. A stream that comes faster than it is worked off is held back by its writer.
const WAITING: u64 = 8;

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The largest height, in pixels; the width follows.
    pub max_height: u32,
    /// The bit rate, in 1000 bits a second.
    pub kilobits: u32,
    /// From key frame to key frame.
    pub key_distance: Duration,
    /// Each frame is a key frame: for streams of key frames alone.
    pub all_keys: bool,
}

/// A frame that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// A decoder can start here.
    pub key: bool,
    /// The presentation time of the frame it was made of, microseconds.
    pub pts_us: i64,
    /// The access unit, with four-byte lengths.
    pub unit: Bytes,
    /// What a decoder must know; with the first frame and when it changes.
    pub described: Option<Described>,
}

/// What a decoder must know of the stream that comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The codec, as in RFC 6381.
    pub codec: String,
    /// Its configuration record (`avcC`).
    pub record: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Turns one stream into another. Dropping it ends it.
pub struct Transcoder {
    pipeline: gst::Pipeline,
    source: AppSrc,
}

/// Takes the frames of a [`Transcoder`] out, on a thread of its own.
pub struct Outlet {
    pipeline: gst::Pipeline,
    sink: AppSink,
    form: Form,
    last_key: Option<i64>,
    asked: bool,
    described: Option<Described>,
}

/// An even size of at most `max_height` in the shape of `size`; never larger than it was.
fn fitting((width, height): (u32, u32), max_height: u32) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(2)), u64::from(height.max(2)));
    let shown = height.min(u64::from(max_height.max(2)));
    let even = |value: u64| u32::try_from(value / 2 * 2).unwrap_or(u32::MAX).max(2);
    (even(width * shown / height), even(shown))
}

impl Transcoder {
    /// Begins with a stream of `size` pixels.
    ///
    /// # Errors
    /// GStreamer lacks a part or cannot begin.
    pub fn start(
        parameters: &Parameters,
        size: (u32, u32),
        form: Form,
    ) -> Result<(Self, Outlet), StillError> {
        gst::init().map_err(|error| StillError::Pipeline(error.to_string()))?;
        let line = decode::line(parameters.codec);
        for (element, package) in [line.parser, line.decoder, ENCODER] {
            if gst::ElementFactory::find(element).is_none() {
                return Err(StillError::Missing { element, package });
            }
        }
        let (width, height) = fitting(size, form.max_height);
        // Key frames are asked for by time below; the count is for streams that are nothing else, and a last resort.
        let keys = if form.all_keys { 1 } else { 250 };
        let text = format!(
            "appsrc name=coded format=time is-live=false block=true max-buffers={WAITING} max-bytes=0 ! {} ! {} {} \
             ! videoconvert ! videoscale ! video/x-raw,format=I420,width={width},height={height} \
             ! x264enc tune=zerolatency speed-preset=superfast bframes=0 threads=1 bitrate={} key-int-max={keys} \
             ! video/x-h264,profile=main,stream-format=avc,alignment=au ! appsink name=out sync=false max-buffers={WAITING}",
            line.parser.0, line.decoder.0, line.settings, form.kilobits,
        );
        let failed = |what: &str| StillError::Pipeline(what.to_owned());
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| StillError::Pipeline(error.to_string()))?
            .downcast::<gst::Pipeline>()
            .map_err(|_| failed("no pipeline was made"))?;
        let named = |name: &str| pipeline.by_name(name).ok_or_else(|| failed("an element is not there"));
        let source = named("coded")?.downcast::<AppSrc>().map_err(|_| failed("no source"))?;
        let sink = named("out")?.downcast::<AppSink>().map_err(|_| failed("no sink"))?;
        source.set_caps(Some(&decode::caps(parameters)));
        pipeline.set_state(gst::State::Playing).map_err(|error| failed(&error.to_string()))?;
        let outlet =
            Outlet { pipeline: pipeline.clone(), sink, form, last_key: None, asked: false, described: None };
        Ok((Self { pipeline, source }, outlet))
    }

    /// Puts the next access unit in; `pts_us` is not negative. Waits while the decoder has enough to do.
    ///
    /// # Errors
    /// The stream has ended or failed.
    pub fn push(&self, unit: Bytes, key: bool, pts_us: i64) -> Result<(), StillError> {
        let mut buffer = gst::Buffer::from_slice(unit);
        if let Some(buffer) = buffer.get_mut() {
            let pts = u64::try_from(pts_us).unwrap_or(0);
            buffer.set_pts(gst::ClockTime::from_useconds(pts));
            if !key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.source
            .push_buffer(buffer)
            .map(drop)
            .map_err(|error| said(&self.pipeline).unwrap_or_else(|| StillError::Pipeline(error.to_string())))
    }

    /// No more units come; the outlet gives what is left.
    pub fn end(&self) {
        // A source that has failed has ended already.
        let _ended = self.source.end_of_stream();
    }
}

impl Drop for Transcoder {
    fn drop(&mut self) {
        // Nothing can be done about a pipeline that does not stop; it is let go either way.
        let _stopped = self.pipeline.set_state(gst::State::Null);
    }
}

impl Outlet {
    /// The next frame, waited for; none at the end.
    ///
    /// # Errors
    /// The decoder or encoder gave up.
    pub fn frame(&mut self) -> Result<Option<Coded>, StillError> {
        let Ok(sample) = self.sink.pull_sample() else {
            return match said(&self.pipeline) {
                Some(error) => Err(error),
                None => Ok(None),
            };
        };
        let bad = |what: &str| StillError::Undecodable(what.to_owned());
        let buffer = sample.buffer().ok_or_else(|| bad("a frame without bytes"))?;
        let map = buffer.map_readable().map_err(|error| bad(&error.to_string()))?;
        // The encoder counts from an origin of its own, and tells by the segment which.
        let pts = sample
            .segment()
            .and_then(|segment| segment.downcast_ref::<gst::ClockTime>()?.to_running_time(buffer.pts()?));
        let pts_us = pts.map_or(0, gst::ClockTime::useconds);
        let pts_us = i64::try_from(pts_us).unwrap_or(i64::MAX);
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        self.keep_distance(key, pts_us);
        let described = self.describe(&sample)?;
        Ok(Some(Coded { key, pts_us, unit: Bytes::copy_from_slice(&map), described }))
    }

    /// Asks for a key frame in time: the one after this frame.
    fn keep_distance(&mut self, key: bool, pts_us: i64) {
        if key {
            self.last_key = Some(pts_us);
            self.asked = false;
            return;
        }
        let since = pts_us.saturating_sub(self.last_key.unwrap_or(pts_us));
        // A frame or two may be on their way.
        let due = i64::try_from(self.form.key_distance.as_micros()).unwrap_or(i64::MAX) * 9 / 10;
        if since >= due && !self.asked {
            let event = UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
            self.asked = self.sink.send_event(event);
        }
    }

    fn describe(&mut self, sample: &gst::Sample) -> Result<Option<Described>, StillError> {
        let bad = |what: &str| StillError::Undecodable(what.to_owned());
        let caps =
            sample.caps().and_then(|caps| caps.structure(0)).ok_or_else(|| bad("a frame without a form"))?;
        let record = caps.get::<gst::Buffer>("codec_data").map_err(|_| bad("no configuration record"))?;
        let record = record.map_readable().map_err(|error| bad(&error.to_string()))?;
        if self.described.as_ref().is_some_and(|known| known.record == record[..]) {
            return Ok(None);
        }
        let size =
            |name: &str| caps.get::<i32>(name).ok().and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
        let [_, profile, compatible, level, ..] = record[..] else { return Err(bad("a record cut short")) };
        let described = Described {
            codec: format!("avc1.{profile:02x}{compatible:02x}{level:02x}"),
            record: Bytes::copy_from_slice(&record),
            width: size("width"),
            height: size("height"),
        };
        self.described = Some(described.clone());
        Ok(Some(described))
    }
}

/// What the pipeline complains of.
fn said(pipeline: &gst::Pipeline) -> Option<StillError> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(StillError::Undecodable(error.error().to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_even_and_never_grow() {
        assert_eq!(fitting((1920, 1080), 720), (1280, 720));
        assert_eq!(fitting((641, 361), 720), (640, 360));
        assert_eq!(fitting((3840, 2160), 720), (1280, 720));
        assert_eq!(fitting((1080, 1920), 720), (404, 720));
        assert_eq!(fitting((0, 0), 0), (2, 2));
    }
}
