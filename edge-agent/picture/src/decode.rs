//! Decoding of one key frame by GStreamer: `appsrc ! parse ! decoder ! videoconvert ! appsink`.
//!
//! One pipeline per codec and form of pixels is kept between stills and brought down to NULL after each, which empties the decoder: a
//! decoder that waits for later frames to put them in order (B-frames) gives its picture only at the end of the stream.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::VideoInfo;
use image::RgbImage;

use crate::{
    Codec, Parameters, StillError,
    jpeg::Picture,
    sketch::{Plane, Planes, Sketch},
};

/// The elements of each codec's pipeline and the Debian packages they come from.
const GENERAL: [(&str, &str); 3] = [
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
];

pub(crate) struct Line {
    pub(crate) parser: (&'static str, &'static str),
    pub(crate) decoder: (&'static str, &'static str),
    /// One decoding thread: more of them hold frames back and make no single frame faster.
    pub(crate) settings: &'static str,
    media: &'static str,
    /// The form of the stream; none where the codec has but one.
    format: Option<&'static str>,
}

pub(crate) fn line(codec: Codec) -> Line {
    match codec {
        Codec::H264 => Line {
            parser: ("h264parse", "gstreamer1.0-plugins-bad"),
            decoder: ("avdec_h264", "gstreamer1.0-libav"),
            settings: "max-threads=1",
            media: "video/x-h264",
            format: Some("avc"),
        },
        Codec::H265 => Line {
            parser: ("h265parse", "gstreamer1.0-plugins-bad"),
            decoder: ("avdec_h265", "gstreamer1.0-libav"),
            settings: "max-threads=1",
            media: "video/x-h265",
            format: Some("hvc1"),
        },
        Codec::Jpeg => Line {
            parser: ("jpegparse", "gstreamer1.0-plugins-bad"),
            decoder: ("avdec_mjpeg", "gstreamer1.0-libav"),
            settings: "",
            media: "image/jpeg",
            format: None,
        },
    }
}

/// What a source of this stream is.
pub(crate) fn caps(parameters: &Parameters) -> gst::Caps {
    let line = line(parameters.codec);
    let mut caps = gst::Caps::builder(line.media);
    if let Some(format) = line.format {
        let record = gst::Buffer::from_slice(parameters.record.clone());
        caps = caps.field("stream-format", format).field("alignment", "au").field("codec_data", record);
    }
    caps.build()
}

/// The form of decoded pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pixels {
    /// Red, green, blue: for files.
    Rgb,
    /// Luma and two colour differences: for sketches, mostly as the decoder gives them.
    Planes,
}

/// Keeps the pipelines.
#[derive(Default)]
pub(crate) struct Decoder {
    started: bool,
    kept: HashMap<(Codec, Pixels), Kept>,
}

impl Decoder {
    /// Decodes one key frame. Blocks for at most about `timeout`.
    pub(crate) fn decode(
        &mut self,
        parameters: &Parameters,
        key_frame: Bytes,
        timeout: Duration,
    ) -> Result<Picture, StillError> {
        self.sample(parameters, Pixels::Rgb, key_frame, timeout, picture)
    }

    /// Decodes one key frame and reduces it. Blocks for at most about `timeout`.
    pub(crate) fn sketch(
        &mut self,
        parameters: &Parameters,
        key_frame: Bytes,
        timeout: Duration,
    ) -> Result<Sketch, StillError> {
        self.sample(parameters, Pixels::Planes, key_frame, timeout, sketch)
    }

    fn sample<T>(
        &mut self,
        parameters: &Parameters,
        pixels: Pixels,
        key_frame: Bytes,
        timeout: Duration,
        take: fn(&gst::Sample) -> Result<T, StillError>,
    ) -> Result<T, StillError> {
        if !self.started {
            gst::init().map_err(|error| StillError::Pipeline(error.to_string()))?;
            self.started = true;
        }
        let place = (parameters.codec, pixels);
        let kept = match self.kept.entry(place) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => place.insert(Kept::new(parameters.codec, pixels)?),
        };
        let taken = kept.decode(parameters, key_frame, timeout).and_then(|sample| take(&sample));
        if kept.pipeline.set_state(gst::State::Null).is_err() {
            self.kept.remove(&place);
        }
        taken
    }
}

struct Kept {
    pipeline: gst::Pipeline,
    source: AppSrc,
    sink: AppSink,
}

impl Kept {
    fn new(codec: Codec, pixels: Pixels) -> Result<Self, StillError> {
        let line = line(codec);
        for (element, package) in GENERAL.into_iter().chain([line.parser, line.decoder]) {
            if gst::ElementFactory::find(element).is_none() {
                return Err(StillError::Missing { element, package });
            }
        }
        let form = match pixels {
            Pixels::Rgb => "RGB",
            Pixels::Planes => "I420",
        };
        let text = format!(
            "appsrc name=coded format=time ! {} ! {} {} ! videoconvert ! video/x-raw,format={form} \
             ! appsink name=picture sync=false max-buffers=1",
            line.parser.0, line.decoder.0, line.settings
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
    ) -> Result<gst::Sample, StillError> {
        let failed = |error: &dyn std::fmt::Display| StillError::Pipeline(error.to_string());
        if let Some(bus) = self.pipeline.bus() {
            bus.set_flushing(true);
            bus.set_flushing(false);
        }
        self.source.set_caps(Some(&caps(parameters)));
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
        Ok(sample)
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

fn sketch(sample: &gst::Sample) -> Result<Sketch, StillError> {
    let bad = |what: &str| StillError::Undecodable(what.to_owned());
    let caps = sample.caps().ok_or_else(|| bad("a picture without a size"))?;
    let info = VideoInfo::from_caps(caps).map_err(|error| StillError::Undecodable(error.to_string()))?;
    let buffer = sample.buffer().ok_or_else(|| bad("a picture without pixels"))?;
    let map = buffer.map_readable().map_err(|error| StillError::Undecodable(error.to_string()))?;
    let plane = |n: usize| {
        let offset = *info.offset().get(n)?;
        let stride = usize::try_from(*info.stride().get(n)?).ok()?;
        Some(Plane { samples: map.get(offset..)?, stride })
    };
    let planes = (plane(0), plane(1), plane(2));
    let (Some(luma), Some(blue), Some(red)) = planes else { return Err(bad("a picture cut short")) };
    let planes = Planes { width: info.width() as usize, height: info.height() as usize, luma, blue, red };
    Sketch::of(&planes).ok_or_else(|| bad("a picture that is too small or cut short"))
}
