//! Encoding of drawn pictures by x264 through GStreamer, and decoding back for those who check.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use serde::Serialize;

use super::canvas::Canvas;
use super::clip::{Clip, Codec, Sample, TICKS_PER_SECOND, slices_only};
use super::scene::{DRAWING_VERSION, Scene};

/// Everything that decides how a clip looks; two equal recipes give the same clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// The camera number that its mark carries.
    pub number: u16,
    /// The text drawn large (Latin letters and digits).
    pub label: String,
    /// Width in pixels, even.
    pub width: u16,
    /// Height in pixels, even.
    pub height: u16,
    /// Pictures a second, as numerator and denominator.
    pub rate: (u16, u16),
    /// Pictures from one key frame to the next.
    pub gop: u16,
    /// Key frame distances in the loop.
    pub gops: u16,
    /// Bits a second, in thousands.
    pub kilobits: u32,
    /// H.264 profile as GStreamer names it.
    pub profile: &'static str,
    /// [`DRAWING_VERSION`] when it was made.
    pub drawing: u32,
}

impl Recipe {
    /// A window camera's main stream: 1280×720, 25 pictures and a key frame every 2 s, 1.5 Mb/s, 8 s long.
    #[must_use]
    pub fn main(number: u16, label: &str) -> Self {
        Self {
            number,
            label: label.to_owned(),
            width: 1280,
            height: 720,
            rate: (25, 1),
            gop: 50,
            gops: 4,
            kilobits: 1500,
            profile: "main",
            drawing: DRAWING_VERSION,
        }
    }

    /// Its sub stream: 640×360, 12.5 pictures and a key frame every 2 s, 250 kb/s, 8 s long.
    #[must_use]
    pub fn sub(number: u16, label: &str) -> Self {
        Self {
            width: 640,
            height: 360,
            rate: (25, 2),
            gop: 25,
            kilobits: 250,
            profile: "constrained-baseline",
            ..Self::main(number, label)
        }
    }

    /// The same footage at three quarters of the size: other parameter sets, for the fault `new_parameters`.
    #[must_use]
    pub fn altered(&self) -> Self {
        let part = |side: u16| side / 8 * 6 / 2 * 2;
        Self { width: part(self.width), height: part(self.height), ..self.clone() }
    }

    fn frames(&self) -> usize {
        usize::from(self.gop) * usize::from(self.gops)
    }
}

/// Why encoding or decoding failed.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// GStreamer or one of its plug-ins is missing or refused.
    #[error("GStreamer: {0} (are gstreamer1.0-plugins-ugly, -bad and -libav installed?)")]
    Pipeline(String),
    /// It ran, and gave something that cannot be used.
    #[error("the encoder gave {0}")]
    Output(&'static str),
    /// The cache folder cannot be used.
    #[error("footage cache {path}: {source}")]
    Cache {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn pipeline_error(error: impl std::fmt::Display) -> EncodeError {
    EncodeError::Pipeline(error.to_string())
}

/// Bytes of drawn pictures that may wait for the encoder.
const WAITING_BYTES: u64 = 16 << 20;

/// Draws and encodes a clip. Takes some seconds of CPU: not for a runtime thread.
///
/// # Errors
/// When GStreamer's x264 encoder is missing or fails.
pub fn encode(recipe: &Recipe) -> Result<Clip, EncodeError> {
    gst::init().map_err(pipeline_error)?;
    let (w, h, (num, den)) = (recipe.width, recipe.height, recipe.rate);
    // No B-frames and closed GOPs of a fixed length, as window cameras are set up.
    let text = format!(
        "appsrc name=drawn block=true max-bytes={WAITING_BYTES} format=time \
         caps=video/x-raw,format=I420,width={w},height={h},framerate={num}/{den},colorimetry=bt709 \
         ! x264enc threads=2 bitrate={kb} speed-preset=superfast key-int-max={gop} bframes=0 rc-lookahead=5 \
           sliced-threads=false byte-stream=false option-string=scenecut=0:open-gop=0 \
         ! video/x-h264,profile={profile} ! h264parse \
         ! video/x-h264,stream-format=avc,alignment=au ! appsink name=coded sync=false",
        kb = recipe.kilobits,
        gop = recipe.gop,
        profile = recipe.profile,
    );
    let collected: Arc<Mutex<Collected>> = Arc::default();
    let ran = Run::start(&text, &collected)?;
    let scene = Scene::new(recipe.number, &recipe.label, w.into(), h.into());
    let mut canvas = Canvas::new(w.into(), h.into());
    let frames = recipe.frames();
    let period = 1_000_000_000 * u64::from(den) / u64::from(num);
    for index in 0..frames {
        scene.draw(&mut canvas, index as f64 / frames as f64, index);
        let mut buffer = gst::Buffer::from_slice(canvas.pixels().to_vec());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(period * index as u64));
            buffer.set_duration(gst::ClockTime::from_nseconds(period));
        }
        ran.source.push_buffer(buffer).map_err(pipeline_error)?;
    }
    ran.finish()?;
    let collected = std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner));
    let parameters = parameters_of(&collected.codec_data).ok_or(EncodeError::Output("no parameter sets"))?;
    let duration = TICKS_PER_SECOND * u32::from(den) / u32::from(num);
    let samples: Vec<_> = collected
        .units
        .into_iter()
        .map(|(unit, key)| Sample { avcc: slices_only(Codec::H264, &unit), key, duration, show_after: 0 })
        .collect();
    if samples.len() != frames || !samples.first().is_some_and(|sample| sample.key) {
        return Err(EncodeError::Output("another number of pictures than it was given"));
    }
    Ok(Clip { codec: Codec::H264, width: w, height: h, parameters, samples })
}

/// Decodes a byte stream (Annex B, H.264) to packed RGB pictures of `width` × `height` pixels, scaled on the way.
/// For tests and tools that check what a camera shows. Blocking.
///
/// # Errors
/// When GStreamer's H.264 decoder is missing or fails.
pub fn decode_frames(annex_b: &[u8], width: u16, height: u16) -> Result<Vec<Vec<u8>>, EncodeError> {
    gst::init().map_err(pipeline_error)?;
    let text = format!(
        "appsrc name=drawn block=true max-bytes={WAITING_BYTES} caps=video/x-h264,stream-format=byte-stream \
         ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=RGB,width={width},height={height},pixel-aspect-ratio=1/1 ! appsink name=coded sync=false"
    );
    let collected: Arc<Mutex<Collected>> = Arc::default();
    let ran = Run::start(&text, &collected)?;
    for piece in annex_b.chunks(64 << 10) {
        ran.source.push_buffer(gst::Buffer::from_slice(piece.to_vec())).map_err(pipeline_error)?;
    }
    ran.finish()?;
    let collected = std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner));
    // GStreamer pads each RGB row to a multiple of four bytes.
    let (row, stride) = (usize::from(width) * 3, (usize::from(width) * 3).next_multiple_of(4));
    let packed =
        |unit: Vec<u8>| unit.chunks(stride).flat_map(|line| line.iter().take(row).copied()).collect();
    Ok(collected.units.into_iter().map(|(unit, _)| packed(unit)).collect())
}

#[derive(Default)]
struct Collected {
    units: Vec<(Vec<u8>, bool)>,
    codec_data: Vec<u8>,
}

/// A running pipeline from `appsrc name=drawn` to `appsink name=coded`; stopped when dropped.
struct Run {
    pipeline: gst::Pipeline,
    source: AppSrc,
}

impl Run {
    fn start(text: &str, collected: &Arc<Mutex<Collected>>) -> Result<Self, EncodeError> {
        let pipeline = gst::parse::launch(text)
            .map_err(pipeline_error)?
            .downcast::<gst::Pipeline>()
            .map_err(|_| EncodeError::Output("no pipeline"))?;
        let element = |name| pipeline.by_name(name).ok_or(EncodeError::Output("no pipeline"));
        let source = element("drawn")?.downcast::<AppSrc>().map_err(|_| EncodeError::Output("no source"))?;
        let sink = element("coded")?.downcast::<AppSink>().map_err(|_| EncodeError::Output("no sink"))?;
        let into = Arc::clone(collected);
        let callbacks = AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            if into.codec_data.is_empty()
                && let Some(caps) = sample.caps().and_then(|caps| caps.structure(0))
                && let Ok(codec_data) = caps.get::<gst::Buffer>("codec_data")
                && let Ok(codec_data) = codec_data.map_readable()
            {
                into.codec_data = codec_data.to_vec();
            }
            into.units.push((map.to_vec(), !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)));
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
        pipeline.set_state(gst::State::Playing).map_err(pipeline_error)?;
        Ok(Self { pipeline, source })
    }

    fn finish(&self) -> Result<(), EncodeError> {
        self.source.end_of_stream().map_err(pipeline_error)?;
        let bus = self.pipeline.bus().ok_or(EncodeError::Output("no message bus"))?;
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        match bus.timed_pop_filtered(gst::ClockTime::from_seconds(120), &wanted) {
            None => Err(EncodeError::Output("no end within two minutes")),
            Some(message) => match message.view() {
                gst::MessageView::Error(error) => Err(EncodeError::Pipeline(error.error().to_string())),
                _ => Ok(()),
            },
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _stopped = self.pipeline.set_state(gst::State::Null);
    }
}

/// SPS and PPS out of an avcC record (ISO/IEC 14496-15 section 5.3.3.1).
fn parameters_of(avcc: &[u8]) -> Option<Vec<Bytes>> {
    let mut sets = Vec::new();
    let mut rest = avcc.get(5..)?;
    for mask in [0x1F, 0xFF] {
        let (count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            sets.push(Bytes::copy_from_slice(after.get(..length)?));
            rest = after.get(length..)?;
        }
    }
    (sets.len() >= 2).then_some(sets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footage::read_mark;

    #[test]
    fn an_encoded_clip_has_its_key_frames_its_mark_and_moves() {
        let recipe = Recipe { gops: 1, ..Recipe::main(4071, "W07") };
        let clip = encode(&recipe).unwrap();
        assert_eq!((clip.samples.len(), clip.ticks()), (50, 180_000));
        assert!(clip.samples.iter().enumerate().all(|(at, sample)| sample.key == (at == 0)));
        for (width, height) in [(1280, 720), (640, 360), (320, 180), (240, 135), (233, 131)] {
            let frames = decode_frames(&clip.annex_b(), width, height).unwrap();
            assert_eq!(frames.len(), 50);
            for (at, frame) in frames.iter().enumerate() {
                assert_eq!(
                    read_mark(frame, width.into(), height.into()),
                    Some(4071),
                    "{width}×{height}, frame {at}"
                );
            }
            assert_ne!(frames.first(), frames.last());
        }
    }

    #[test]
    fn the_altered_clip_has_other_parameters() {
        let recipe = Recipe { gops: 1, ..Recipe::sub(3, "W03") };
        let (plain, altered) = (encode(&recipe).unwrap(), encode(&recipe.altered()).unwrap());
        assert_ne!(plain.parameters, altered.parameters);
        assert_eq!((altered.width, altered.height), (480, 270));
        assert_eq!((plain.samples.len(), plain.ticks()), (25, 180_000));
    }
}
