//! Footage for tests of what the pictures show: frames of a clip or drawn ones, spoilt as cameras are, coded and looked at
//! by the same code as in a hall.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // what a test makes for itself must be there

use std::path::PathBuf;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use picture::{Codec, Parameters, StillMaker, sketch::Sketch};

/// One picture, 4:2:0, rows without padding.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) samples: Vec<u8>,
}

/// A clip's file, where the clips are there.
pub(crate) fn clip(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HALLWATCH_CLIPS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/clips")),
        PathBuf::from,
    );
    Some(folder.join(name)).filter(|path| path.is_file())
}

fn pipeline(text: &str) -> gst::Pipeline {
    gst::init().unwrap();
    gst::parse::launch(text).unwrap().downcast().unwrap()
}

fn sink(pipeline: &gst::Pipeline) -> AppSink {
    pipeline.by_name("out").unwrap().downcast().unwrap()
}

/// One frame a second of a clip, `width` wide.
pub(crate) fn frames(path: &std::path::Path, width: usize, height: usize) -> Vec<Frame> {
    let pipeline = pipeline(&format!(
        "filesrc location={} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! videorate ! video/x-raw,framerate=1/1 \
         ! videoscale ! videoconvert ! video/x-raw,format=I420,width={width},height={height} ! appsink name=out sync=false",
        path.display()
    ));
    let sink = sink(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut frames = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let samples = sample.buffer().unwrap().map_readable().unwrap().to_vec();
        assert_eq!(samples.len(), width * height * 3 / 2);
        frames.push(Frame { width, height, samples });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    frames
}

/// A drawn room with a chair, and somebody on it who sways; for machines without the clips.
pub(crate) fn drawn(occupied: impl Fn(usize) -> bool, seconds: usize) -> Vec<Frame> {
    let (width, height) = (640usize, 360usize);
    let mut noise = 0x2545_F491_u32;
    (0..seconds)
        .map(|second| {
            let mut samples = vec![128u8; width * height * 3 / 2];
            let sway = (second * 7 % 5) as i64;
            for y in 0..height {
                for x in 0..width {
                    noise ^= noise << 13;
                    noise ^= noise >> 17;
                    noise ^= noise << 5;
                    let tile = (x / 23 + y / 17) % 3 * 28 + x / 8;
                    let chair = (280..360).contains(&x) && (150..330).contains(&y) && (x / 9) % 2 == 0;
                    let (dx, dy) = (x as i64 - 320 - sway, y as i64 - 190);
                    let person = occupied(second) && dx * dx * 4 + dy * dy < 150 * 150;
                    let luma = if person {
                        40 + (x / 5 % 4) * 6
                    } else if chair {
                        60
                    } else {
                        70 + tile
                    };
                    samples[y * width + x] = u8::try_from(luma + (noise % 5) as usize).unwrap_or(235);
                }
            }
            Frame { width, height, samples }
        })
        .collect()
}

impl Frame {
    fn planes(&mut self) -> [(&mut [u8], usize, usize); 3] {
        let (w, h) = (self.width, self.height);
        let (luma, colours) = self.samples.split_at_mut(w * h);
        let (blue, red) = colours.split_at_mut(w * h / 4);
        [(luma, w, h), (blue, w / 2, h / 2), (red, w / 2, h / 2)]
    }

    /// The lens cap is on.
    pub(crate) fn blackened(mut self) -> Self {
        self.samples.iter_mut().enumerate().for_each(|(at, sample)| {
            *sample = if at < self.width * self.height { 16 + (at * 7 % 3) as u8 } else { 128 };
        });
        self
    }

    /// A hand or a cloth close before the lens, over all but an edge.
    pub(crate) fn covered(mut self) -> Self {
        for (plane, (samples, w, h)) in self.planes().into_iter().enumerate() {
            for y in 0..h {
                for x in 0..w * 9 / 10 {
                    samples[y * w + x] = if plane == 0 { 70 + (x * 30 / w + y * 20 / h) as u8 } else { 120 };
                }
            }
        }
        self
    }

    /// Out of focus: a box blur of `radius`, three times.
    pub(crate) fn blurred(mut self, radius: usize) -> Self {
        for (samples, w, h) in self.planes() {
            for _ in 0..3 {
                for y in 0..h {
                    blur(&mut samples[y * w..(y + 1) * w], radius);
                }
                for x in 0..w {
                    let mut column: Vec<u8> = (0..h).map(|y| samples[y * w + x]).collect();
                    blur(&mut column, radius);
                    column.into_iter().enumerate().for_each(|(y, sample)| samples[y * w + x] = sample);
                }
            }
        }
        self
    }

    /// Pushed aside: the view goes `share` of its width to the left and half of that up; what comes in is plain.
    pub(crate) fn shifted(mut self, share: f64) -> Self {
        for (samples, w, h) in self.planes() {
            let (dx, dy) = ((w as f64 * share) as usize, (h as f64 * share / 2.0) as usize);
            let before = samples.to_vec();
            for y in 0..h {
                for x in 0..w {
                    let from = (y + dy < h && x + dx < w).then(|| (y + dy) * w + x + dx);
                    samples[y * w + x] = from.map_or(before[(h - 1) * w + (y * 3) % w], |from| before[from]);
                }
            }
        }
        self
    }
}

fn blur(line: &mut [u8], radius: usize) {
    let before: Vec<u32> = line.iter().map(|sample| u32::from(*sample)).collect();
    let last = before.len() - 1;
    let window = 2 * radius as u32 + 1;
    let at = |x: isize| before[x.clamp(0, last as isize) as usize];
    let mut sum: u32 = (-(radius as isize)..=radius as isize).map(at).sum();
    for (x, sample) in line.iter_mut().enumerate() {
        *sample = u8::try_from(sum / window).unwrap();
        sum = sum + at(x as isize + radius as isize + 1) - at(x as isize - radius as isize);
    }
}

/// Frames there and back again, for as long as it takes.
pub(crate) fn to_and_fro(frames: &[Frame], count: usize) -> Vec<Frame> {
    let round = (2 * frames.len()).saturating_sub(2).max(1);
    (0..count)
        .map(|n| {
            let n = n % round;
            frames[if n < frames.len() { n } else { round - n }].clone()
        })
        .collect()
}

/// Codes the frames, each a key frame, and looks at them as the agent does. Gives the sketches and the time a look took,
/// decoding and all.
pub(crate) async fn look(frames: &[Frame]) -> (Vec<Sketch>, std::time::Duration) {
    let first = frames.first().unwrap();
    let pipeline = pipeline(&format!(
        "appsrc name=in format=time is-live=false block=true max-buffers=4 caps=video/x-raw,format=I420,width={},height={},framerate=1/1 \
         ! x264enc key-int-max=1 pass=quant quantizer=24 speed-preset=veryfast tune=zerolatency \
         ! video/x-h264,stream-format=avc,alignment=au ! appsink name=out sync=false",
        first.width, first.height
    ));
    let source: AppSrc = pipeline.by_name("in").unwrap().downcast().unwrap();
    let sink = sink(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    let eye = StillMaker::start(picture::Settings::default()).unwrap();
    let mut sketches = Vec::with_capacity(frames.len());
    let mut spent = std::time::Duration::ZERO;
    for (second, frame) in frames.iter().enumerate() {
        let mut buffer = gst::Buffer::from_slice(frame.samples.clone());
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_seconds(second as u64));
        source.push_buffer(buffer).unwrap();
        let sample = sink.pull_sample().unwrap();
        let record = sample.caps().unwrap().structure(0).unwrap().get::<gst::Buffer>("codec_data").unwrap();
        let record = Bytes::copy_from_slice(&record.map_readable().unwrap());
        let unit = Bytes::copy_from_slice(&sample.buffer().unwrap().map_readable().unwrap());
        let begun = std::time::Instant::now();
        sketches.push(eye.sketch(Parameters { codec: Codec::H264, record }, unit).await.unwrap());
        spent += begun.elapsed();
    }
    pipeline.set_state(gst::State::Null).unwrap();
    (sketches, spent / u32::try_from(frames.len()).unwrap())
}
