//! Decoding of one key frame by GStreamer: `appsrc ! parse ! decoder ! videoconvert ! appsink`.
//!
//! One pipeline per codec is kept between stills and brought down to NULL after each, which empties the decoder: a
//! decoder that waits for later frames to put them in order (B-frames) gives its picture only at the end of the stream.

use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::VideoInfo;
use image::RgbImage;

use crate::{Codec, Parameters, StillError, jpeg::Picture};

/// The elements of each codec's pipeline and the Debian packages they come from.
const GENERAL: [(&str, &str); 3] = [
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
];

struct Line {
    parser: (&'static str, &'static str),
    decoder: (&'static str, &'static str),
    media: &'static str,
    format: &'static str,
}

fn line(codec: Codec) -> Line {
    match codec {
        Codec::H264 => Line {
            parser: ("h264parse", "gstreamer1.0-plugins-bad"),
            decoder: ("avdec_h264", "gstreamer1.0-libav"),
            media: "video/x-h264",
            format: "avc",
        },
        Codec::H265 => Line {
            parser: ("h265parse", "gstreamer1.0-plugins-bad"),
            decoder: ("avdec_h265", "gstreamer1.0-libav"),
            media: "video/x-h265",
            format: "hvc1",
        },
    }
}

/// Keeps the pipelines.
#[derive(Default)]
pub(crate) struct Decoder {
    started: bool,
    h264: Option<Kept>,
    h265: Option<Kept>,
}

impl Decoder {
    /// Decodes one key frame. Blocks for at most about `timeout`.
    pub(crate) fn decode(
        &mut self,
        parameters: &Parameters,
        key_frame: Bytes,
        timeout: Duration,
    ) -> Result<Picture, StillError> {
        if !self.started {
            gst::init().map_err(|error| StillError::Pipeline(error.to_string()))?;
            self.started = true;
        }
        let place = match parameters.codec {
            Codec::H264 => &mut self.h264,
            Codec::H265 => &mut self.h265,
        };
        let kept = match place {
            Some(kept) => kept,
            None => place.insert(Kept::new(parameters.codec)?),
        };
        let picture = kept.decode(parameters, key_frame, timeout);
        if kept.pipeline.set_state(gst::State::Null).is_err() {
            *place = None;
        }
        picture
    }
}

struct Kept {
    pipeline: gst::Pipeline,
    source: AppSrc,
    sink: AppSink,
}

impl Kept {
    fn new(codec: Codec) -> Result<Self, StillError> {
        let line = line(codec);
        for (element, package) in GENERAL.into_iter().chain([line.parser, line.decoder]) {
            if gst::ElementFactory::find(element).is_none() {
                return Err(StillError::Missing { element, package });
            }
        }
        // One decoding thread: more of them hold frames back and make no single frame faster.
        let text = format!(
            "appsrc name=coded format=time ! {} ! {} max-threads=1 ! videoconvert ! video/x-raw,format=RGB \
             ! appsink name=picture sync=false max-buffers=1",
            line.parser.0, line.decoder.0
        );
        let failed = |what: &str| StillError::Pipeline(what.to_owned());
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| StillError::Pipeline(error.to_string()))?
            .downcast::<gst::Pipeline>()
            .map_err(|_| failed("no pipeline was made"))?;
        let named = |name: &str| pipeline.by_name(name).ok_or_else(|| failed("an element is not there"));
        let source = named("coded")?.downcast::<AppSrc>().map_err(|_| failed("no source"))?;
        let sink = named("picture")?.downcast::<AppSink>().map_err(|_| failed("no sink"))?;
        Ok(Self { pipeline, source, sink })
    }

    fn decode(
        &self,
        parameters: &Parameters,
        key_frame: Bytes,
        timeout: Duration,
    ) -> Result<Picture, StillError> {
        let failed = |error: &dyn std::fmt::Display| StillError::Pipeline(error.to_string());
        let line = line(parameters.codec);
        let caps = gst::Caps::builder(line.media)
            .field("stream-format", line.format)
            .field("alignment", "au")
            .field("codec_data", gst::Buffer::from_slice(parameters.record.clone()))
            .build();
        if let Some(bus) = self.pipeline.bus() {
            bus.set_flushing(true);
            bus.set_flushing(false);
        }
        self.source.set_caps(Some(&caps));
        self.pipeline.set_state(gst::State::Playing).map_err(|error| failed(&error))?;
        let mut buffer = gst::Buffer::from_slice(key_frame);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::ZERO);
        }
        self.source.push_buffer(buffer).map_err(|error| failed(&error))?;
        self.source.end_of_stream().map_err(|error| failed(&error))?;
        let wait = gst::ClockTime::from_mseconds(u64::try_from(timeout.as_millis()).unwrap_or(5000));
        let Some(sample) = self.sink.try_pull_sample(wait) else {
            return Err(self.why_not(timeout));
        };
        picture(&sample)
    }

    /// What the pipeline said instead of giving a picture.
    fn why_not(&self, timeout: Duration) -> StillError {
        let said = self.pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
        if let Some(message) = said
            && let gst::MessageView::Error(error) = message.view()
        {
            return StillError::Undecodable(error.error().to_string());
        }
        if self.sink.is_eos() {
            StillError::Undecodable("the decoder gave no picture".into())
        } else {
            StillError::Timeout(timeout)
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Nothing can be done about a pipeline that does not stop; it is let go either way.
        let _stopped = self.pipeline.set_state(gst::State::Null);
    }
}

fn picture(sample: &gst::Sample) -> Result<Picture, StillError> {
    let bad = |what: &str| StillError::Undecodable(what.to_owned());
    let caps = sample.caps().ok_or_else(|| bad("a picture without a size"))?;
    let info = VideoInfo::from_caps(caps).map_err(|error| StillError::Undecodable(error.to_string()))?;
    let buffer = sample.buffer().ok_or_else(|| bad("a picture without pixels"))?;
    let map = buffer.map_readable().map_err(|error| StillError::Undecodable(error.to_string()))?;
    let row = info.width() as usize * 3;
    // GStreamer pads each row to a multiple of four bytes.
    let stride = info.stride().first().and_then(|stride| usize::try_from(*stride).ok()).unwrap_or(row);
    if stride < row || row == 0 {
        return Err(bad("a picture with rows of no sense"));
    }
    let mut pixels = Vec::with_capacity(row * info.height() as usize);
    for line in map.chunks(stride).take(info.height() as usize) {
        pixels.extend_from_slice(line.get(..row).ok_or_else(|| bad("a picture cut short"))?);
    }
    let pixels =
        RgbImage::from_raw(info.width(), info.height(), pixels).ok_or_else(|| bad("a picture cut short"))?;
    let part = |value: i32| u32::try_from(value).unwrap_or(1).max(1);
    Ok(Picture { pixels, aspect: (part(info.par().numer()), part(info.par().denom())) })
}
