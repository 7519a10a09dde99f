//! Stills of clips that are encoded here, so that the right colours are known.
#![allow(clippy::unwrap_used, clippy::panic)] // what a test makes for itself must be there

use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use picture::{Codec, Parameters, Settings, StillError, StillMaker};

/// One key frame of a plain colour, with its configuration record.
fn key_frame(encoder: &str, media: &str, colour: u32, size: (u32, u32)) -> (Bytes, Bytes) {
    gst::init().unwrap();
    let text = format!(
        "videotestsrc num-buffers=3 pattern=solid-color foreground-color={colour} \
         ! video/x-raw,format=I420,width={},height={},framerate=10/1 ! {encoder} ! {media},alignment=au \
         ! appsink name=out sync=false",
        size.0, size.1
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let sample = sink.try_pull_sample(gst::ClockTime::from_seconds(30)).unwrap();
    let record = sample.caps().unwrap().structure(0).unwrap().get::<gst::Buffer>("codec_data").unwrap();
    let record = Bytes::copy_from_slice(&record.map_readable().unwrap());
    let unit = Bytes::copy_from_slice(&sample.buffer().unwrap().map_readable().unwrap());
    pipeline.set_state(gst::State::Null).unwrap();
    (record, unit)
}

fn h264(colour: u32, size: (u32, u32), more: &str) -> (Parameters, Bytes) {
    let encoder = format!("x264enc {more} ! h264parse");
    let (record, unit) = key_frame(&encoder, "video/x-h264,stream-format=avc", colour, size);
    (Parameters { codec: Codec::H264, record }, unit)
}

fn mean(jpeg: &[u8]) -> [i32; 3] {
    let image = image::load_from_memory(jpeg).unwrap().to_rgb8();
    let count = u64::from(image.width()) * u64::from(image.height());
    let mut sums = [0u64; 3];
    for pixel in image.pixels() {
        for (sum, value) in sums.iter_mut().zip(pixel.0) {
            *sum += u64::from(value);
        }
    }
    sums.map(|sum| i32::try_from(sum / count).unwrap())
}

fn assert_near(jpeg: &[u8], wanted: [i32; 3]) {
    let mean = mean(jpeg);
    assert!(mean.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 16), "{mean:?} is not {wanted:?}");
}

#[tokio::test]
async fn colours_and_sizes_are_the_cameras() {
    let maker = StillMaker::start(Settings::default()).unwrap();
    for (colour, rgb) in [(0xFFC0_2020u32, [0xC0, 0x20, 0x20]), (0xFF20_40C0, [0x20, 0x40, 0xC0])] {
        let (parameters, unit) = h264(colour, (642, 360), "tune=zerolatency");
        let jpeg = maker.still(parameters, unit, 320).await.unwrap();
        assert_eq!((jpeg.width, jpeg.height), (320, 179));
        assert_near(&jpeg.bytes, rgb);
    }
}

#[tokio::test]
async fn a_stream_with_b_frames_gives_its_key_frame_at_once() {
    let maker = StillMaker::start(Settings::default()).unwrap();
    let (parameters, unit) = h264(0xFF10_A010, (320, 240), "bframes=3");
    let jpeg = maker.still(parameters, unit, 4000).await.unwrap();
    assert_eq!((jpeg.width, jpeg.height), (320, 240));
    assert_near(&jpeg.bytes, [0x10, 0xA0, 0x10]);
}

#[tokio::test]
async fn h265_is_decoded_too() {
    let maker = StillMaker::start(Settings::default()).unwrap();
    if gst::init().is_err() || gst::ElementFactory::find("x265enc").is_none() {
        eprintln!("left out: this machine has no x265enc to make H.265 with");
        return;
    }
    let (record, unit) =
        key_frame("x265enc ! h265parse", "video/x-h265,stream-format=hvc1", 0xFF20_40C0, (320, 240));
    let jpeg = maker.still(Parameters { codec: Codec::H265, record }, unit, 160).await.unwrap();
    assert_eq!((jpeg.width, jpeg.height), (160, 120));
    assert_near(&jpeg.bytes, [0x20, 0x40, 0xC0]);
}

#[tokio::test]
async fn garbage_is_an_error_and_the_next_still_is_made() {
    let maker = StillMaker::start(Settings::default()).unwrap();
    let (parameters, unit) = h264(0xFFC0_2020, (320, 240), "");
    let began = Instant::now();
    let noise = Bytes::from_iter((0..2000u32).map(|n| (n * 37 % 251) as u8));
    for bad in [noise, Bytes::new(), unit.slice(..10)] {
        let error = maker.still(parameters.clone(), bad, 320).await.unwrap_err();
        assert!(matches!(error, StillError::Undecodable(_)), "{error}");
    }
    let no_record = Parameters { codec: Codec::H264, record: Bytes::from_static(b"\x01") };
    assert!(maker.still(no_record, unit.clone(), 320).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "garbage is found out, not waited for");
    assert_near(&maker.still(parameters, unit, 320).await.unwrap().bytes, [0xC0, 0x20, 0x20]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let maker = StillMaker::start(Settings { waiting: 1, ..Settings::default() }).unwrap();
    let (parameters, unit) = h264(0xFFC0_2020, (1920, 1080), "");
    let asked: Vec<_> = (0..12)
        .map(|_| {
            let (maker, parameters, unit) = (maker.clone(), parameters.clone(), unit.clone());
            tokio::spawn(async move { maker.still(parameters, unit, 640).await })
        })
        .collect();
    let mut made = 0;
    let mut busy = 0;
    for task in asked {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(StillError::Busy) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(made >= 1 && busy >= 1 && made + busy == 12, "{made} made, {busy} refused");
}
