//! The time of each frame against the hall's clock: a clock is drawn into every picture, and what a clip says of the picture's
//! time must be what the drawn clock says, for a day of a camera whose clock runs wrong, and over a step of the hall's.

use bytes::Bytes;
use control_protocol::event::ClockQuality;

use super::{
    super::gather::{Arrived, Gather},
    *,
};

const HOUR: i64 = 3_600 * SECOND;
/// A picture every so often by the camera's own clock; every eighth is a key frame.
const EVERY_US: i64 = 500_000;
/// How fast the camera's clock runs, in millionths: slow, as cheap ones are.
const CAMERA_PPM: i64 = -200;
/// How the hall's clock is corrected meanwhile, in millionths.
const SLEW_PPM: i64 = 15;
/// When the hall's clock is set, and by how much.
const STEP_AT_US: i64 = 12 * HOUR;
const STEP_US: i64 = -1_700_000;
/// How right each frame must be.
const RIGHT_US: i64 = 200_000;

/// UTC less monotonic time of the hall, at a monotonic time.
fn offset(mono_us: i64) -> i64 {
    START + mono_us * SLEW_PPM / 1_000_000 + if mono_us >= STEP_AT_US { STEP_US } else { 0 }
}

/// The hall's clock as it is drawn into a picture: a NAL unit of a slice type with the time in it.
fn drawn(wall_us: i64, key: bool) -> Bytes {
    let mut unit = vec![0, 0, 0, 9, if key { 0x65 } else { 0x41 }];
    unit.extend_from_slice(&wall_us.to_be_bytes());
    unit.into()
}

fn read_drawn(unit: &[u8]) -> i64 {
    i64::from_be_bytes(unit[unit.len() - 8..].try_into().unwrap())
}

/// A day of one camera, as fragments; with each whether it begins a run.
fn a_day() -> Vec<(Option<Why>, Fragment)> {
    let mut gather = Gather::new(offset(0), ClockQuality::Synchronised);
    let entry = SampleEntry {
        codec: "avc1.4d401f".into(),
        width: 640,
        height: 360,
        record: Bytes::from_static(b"\x01M@\x1f\xff\xe1\x00\x04gM@\x1f\x01\x00\x02h\xee"),
        sound: None,
    };
    let (mut out, mut lot) = (Vec::new(), 12_345u64);
    gather.parameters(Some(entry), None, &mut out);
    for n in 0.. {
        let pts_us = n * EVERY_US;
        let captured = pts_us - pts_us * CAMERA_PPM / 1_000_000;
        if captured >= 24 * HOUR {
            break;
        }
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let late = 40_000 + i64::try_from((lot >> 33) % 150_000).unwrap();
        let key = n % 8 == 0;
        let data = drawn(captured + offset(captured), key);
        let arrived = Arrived { pts_us, mono_us: captured + late, key, lossy: false, data };
        gather.frame(arrived, offset(captured + late), ClockQuality::Synchronised, &mut out);
    }
    gather.close(None, &mut out);
    out.into_iter()
        .map(|gathered| match gathered {
            Gathered::Fragment { begins, fragment, .. } => (begins, fragment),
            Gathered::Lost(why) => panic!("{why}"),
        })
        .collect()
}

/// The greatest error of frames shown at `shown` with the clock `drawn` in them, but for the few between the step and the next
/// key frame, which stand on the clock before it.
fn worst(frames: impl Iterator<Item = (i64, i64)>) -> i64 {
    let step_wall = STEP_AT_US + offset(STEP_AT_US);
    let mut worst = 0;
    for (shown, drawn) in frames {
        let on_the_old_clock =
            drawn >= step_wall && drawn < step_wall + 8 * EVERY_US + SECOND && shown - drawn > -STEP_US / 2;
        let error = shown - drawn + if on_the_old_clock { STEP_US } else { 0 };
        if error.abs() > i64::abs(worst) {
            worst = error;
        }
    }
    worst
}

/// The frames of a clip: when each is shown, in ticks of 1/90,000 s, and its bytes.
fn frames_of(clip: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let word = |at: usize| u32::from_be_bytes(clip[at..at + 4].try_into().unwrap());
    let (mut frames, mut at) = (Vec::new(), 0);
    let mut samples: Vec<(i64, usize)> = Vec::new();
    while at < clip.len() {
        let length = word(at) as usize;
        match &clip[at + 4..at + 8] {
            b"moof" => {
                // mfhd 16, traf 8, tfhd 24, tfdt 20 (its time last), trun 12 and three words before the samples.
                let mut time =
                    i64::try_from(u64::from_be_bytes(clip[at + 68..at + 76].try_into().unwrap())).unwrap();
                let count = word(at + 88) as usize;
                assert_eq!(length, 100 + count * 8, "no offsets: pictures come in the order of showing");
                for n in 0..count {
                    samples.push((time, word(at + 104 + n * 8) as usize));
                    time += i64::from(word(at + 100 + n * 8));
                }
            }
            b"mdat" => {
                let mut data = at + 8;
                for (time, size) in samples.drain(..) {
                    frames.push((time, clip[data..data + size].to_vec()));
                    data += size;
                }
                assert_eq!(data, at + length);
            }
            _ => {}
        }
        at += length;
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_a_day_is_right_against_the_halls_clock() {
    let day = a_day();
    let count: usize = day.iter().map(|(_, fragment)| fragment.frames.len()).sum();
    let of_fragments = day.iter().flat_map(|(_, fragment)| {
        let first = fragment.frames[0].pts_us;
        fragment
            .frames
            .iter()
            .map(move |frame| (fragment.wall_us + frame.pts_us - first, read_drawn(&frame.data)))
    });
    let error = worst(of_fragments);
    println!(
        "{count} frames of 24 h, camera {CAMERA_PPM} ppm, clock {SLEW_PPM} ppm and a step of {STEP_US} µs: worst {error} µs"
    );
    assert!(count > 172_000 && error.abs() <= RIGHT_US, "{error} µs");
    let steps: Vec<&Why> = day.iter().filter_map(|(begins, _)| begins.as_ref()).collect();
    assert_eq!(steps, [&Why::AgentDown, &Why::ClockStepped]);

    // An hour to each side of the step, as segments of a minute on disk; and out of them, clips.
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rig =
        Rig::start(Recording { sync: Duration::from_secs(600), ..settings(folder.path()) }, data.path(), 0);
    let around = day.iter().filter(|(_, fragment)| {
        (STEP_AT_US - HOUR..STEP_AT_US + HOUR).contains(&i64::try_from(fragment.mono_us).unwrap())
    });
    let entry = Arc::new(SampleEntry {
        codec: "avc1.4d401f".into(),
        width: 640,
        height: 360,
        record: Bytes::from_static(b"\x01M@\x1f\xff\xe1\x00\x04gM@\x1f\x01\x00\x02h\xee"),
        sound: None,
    });
    for (n, (begins, fragment)) in around.enumerate() {
        rig.clock.0.store(fragment.mono_us, Ordering::Relaxed);
        let begins = if n == 0 { Some(Why::AgentDown) } else { begins.clone() };
        rig.play(&entry, std::slice::from_ref(fragment), 0, begins);
        if n % 16 == 0 {
            rig.done().await;
        }
    }
    rig.done().await;
    let segments = rows(folder.path()).0.len();
    let step_wall = STEP_AT_US + offset(STEP_AT_US);
    for (name, from, to) in [
        ("before the step", step_wall - HOUR, step_wall - 2 * SECOND),
        ("after it", step_wall + 10 * SECOND, step_wall + HOUR),
        ("over it", step_wall - 600 * SECOND, step_wall + 600 * SECOND),
    ] {
        let clip = rig.clip(from, to).await;
        let (zero, planned) = (clip.zero_us, clip.frames);
        let frames = frames_of(&bytes_of(clip).await);
        assert_eq!(frames.len() as u64, planned);
        let shown = frames.iter().map(|(ticks, unit)| (zero + ticks * 100 / 9, read_drawn(unit)));
        let error = worst(shown);
        println!("clip {name}: {planned} frames of {segments} segments, worst {error} µs");
        // Over a step backwards the same wall time comes twice, and a clip can show only one after the other.
        let allowed = if name == "over it" { RIGHT_US - STEP_US } else { RIGHT_US };
        assert!(error.abs() <= allowed, "{name}: {error} µs");
    }
    rig.stop();
}
