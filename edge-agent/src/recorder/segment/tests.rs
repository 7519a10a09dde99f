//! Segments written and read back, and decoded by ffmpeg, which knows nothing of this project.

use std::{io::Cursor, path::Path, process::Command};

use bytes::Bytes;
use control_protocol::{chain::Digest, event::ClockQuality};
use proptest::prelude::*;
use simulated_hall::footage::{Clip, Recipe, encode};

use super::*;

pub(crate) fn head() -> Head {
    Head {
        v: 1,
        node: "hall-450103-01".parse().unwrap(),
        camera: "450103-01-W07-C1".parse().unwrap(),
        run: 3,
        part: 1,
        boot: "b1".into(),
        codec: "avc1.4d401f".into(),
        width: 640,
        height: 360,
        shift: 0,
        gap: Some((1_795_000_000_000_000, "camera_lost: gone".into())),
        prev: Digest::ZERO,
    }
}

pub(crate) fn entry() -> SampleEntry {
    SampleEntry {
        codec: "avc1.4d401f".into(),
        width: 640,
        height: 360,
        record: Bytes::from_static(b"\x01\x4d\x40record"),
        sound: None,
    }
}

/// A fragment of frames shown at `shown` (ms).
pub(crate) fn fragment(shown: &[i64], key: bool) -> Fragment {
    let frame = |ms: &i64| Frame { pts_us: ms * 1000, data: Bytes::from(format!("unit shown at {ms}")) };
    let first = shown.iter().min().copied().unwrap_or(0);
    Fragment {
        frames: shown.iter().map(frame).collect(),
        heard: Vec::new(),
        key,
        lossy: false,
        next_pts_us: None,
        wall_us: 1_795_000_000_000_000 + first * 1000,
        mono_us: 5_000_000 + u64::try_from(first).unwrap() * 1000,
        quality: ClockQuality::Synchronised,
    }
}

fn put(file: &mut Vec<u8>, written: &Written) {
    file.extend_from_slice(&written.front);
    written.data.iter().for_each(|data| file.extend_from_slice(data));
}

fn segment(fragments: Vec<Fragment>) -> (Vec<u8>, Table, Digest) {
    let mut fragments = fragments.into_iter();
    let (mut writer, mut file, first) =
        SegmentWriter::begin(&head(), &entry(), fragments.next().unwrap()).unwrap();
    put(&mut file, &first);
    let mut table = Table(vec![first.entry]);
    for fragment in fragments {
        let Sequel::Here(written) = writer.add(fragment) else { panic!("it does not go on") };
        put(&mut file, &written);
        table.0.push(written.entry);
    }
    assert_eq!(writer.len(), file.len() as u64);
    (file, table, writer.digest())
}

fn three() -> (Vec<u8>, Table, Digest) {
    segment(vec![
        fragment(&[0, 120, 40, 80], true),
        fragment(&[160, 280, 200, 240], false),
        fragment(&[320, 360], true),
    ])
}

#[test]
fn what_is_written_is_read_back() {
    let (file, table, digest) = three();
    let scanned = scan(Cursor::new(&file)).unwrap();
    assert_eq!(scanned.bad, None);
    assert_eq!((&scanned.table, scanned.digest), (&table, digest));
    assert_eq!((scanned.good, &scanned.entry), (file.len() as u64, &entry()));
    assert_eq!(scanned.head, Head { shift: 3600, ..head() });
    assert_eq!(table.frames(), 10);
    assert_eq!(table.0[0].duration_us, 160_000);
    assert_eq!(scanned.first.unwrap().mono_us, 5_000_000);
}

#[test]
fn a_fragment_that_needs_another_segment_is_given_back() {
    let (mut writer, ..) = SegmentWriter::begin(&head(), &entry(), fragment(&[0, 40], true)).unwrap();
    assert!(
        matches!(writer.add(fragment(&[80, 160, 120], true)), Sequel::Elsewhere(f) if f.frames.len() == 3)
    );
    assert!(matches!(writer.add(fragment(&[0], true)), Sequel::Elsewhere(_)));
    assert!(matches!(writer.add(fragment(&[80, 120], true)), Sequel::Here(_)));
    let odd = SampleEntry { codec: "jpeg".into(), ..entry() };
    assert!(SegmentWriter::begin(&head(), &odd, fragment(&[0], true)).is_none());
}

/// The real thing: footage of an encoder, cut at its key frames.
pub(crate) fn filmed(clip: &Clip) -> Vec<Fragment> {
    let mut fragments: Vec<Fragment> = Vec::new();
    for (n, sample) in clip.samples.iter().enumerate() {
        let pts_us = n as i64 * 40_000;
        if sample.key {
            if let Some(before) = fragments.last_mut() {
                before.next_pts_us = Some(pts_us);
            }
            fragments.push(Fragment {
                frames: Vec::new(),
                wall_us: 1_795_000_000_000_000 + pts_us,
                ..fragment(&[], true)
            });
        }
        fragments.last_mut().unwrap().frames.push(Frame { pts_us, data: sample.avcc.clone() });
    }
    fragments
}

/// What a decoder of the footage must be told (ISO/IEC 14496-15, 5.3.3.1).
pub(crate) fn filmed_entry(clip: &Clip) -> SampleEntry {
    let [sps, pps] = &clip.parameters[..] else { panic!("an H.264 clip") };
    let mut record = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
    record.extend_from_slice(&u16::try_from(sps.len()).unwrap().to_be_bytes());
    record.extend_from_slice(sps);
    record.push(1);
    record.extend_from_slice(&u16::try_from(pps.len()).unwrap().to_be_bytes());
    record.extend_from_slice(pps);
    SampleEntry {
        codec: "avc1.4d401f".into(),
        width: clip.width.into(),
        height: clip.height.into(),
        record: record.into(),
        sound: None,
    }
}

/// How many frames ffmpeg decodes; whatever it complains of is a failure.
pub(crate) fn decoded(path: &Path) -> u64 {
    let path = path.to_str().unwrap();
    let ffmpeg =
        Command::new("ffmpeg").args(["-v", "warning", "-xerror", "-i", path, "-f", "null", "-"]).output();
    let ffmpeg = ffmpeg.expect("ffmpeg is needed: run scripts/setup test");
    let said = String::from_utf8_lossy(&ffmpeg.stderr);
    assert!(ffmpeg.status.success() && said.trim().is_empty(), "ffmpeg of {path}: {said}");
    let arguments = [
        "-v",
        "error",
        "-count_frames",
        "-select_streams",
        "v:0",
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
        path,
    ];
    let probe =
        Command::new("ffprobe").args(arguments).output().expect("ffprobe is needed: run scripts/setup test");
    String::from_utf8_lossy(&probe.stdout).trim().trim_end_matches(',').parse().unwrap()
}

#[test]
fn ffmpeg_plays_a_segment_as_it_lies() {
    let clip = encode(&Recipe { gops: 3, ..Recipe::sub(77, "W07") }).unwrap();
    let real = filmed_entry(&clip);
    let mut fragments = filmed(&clip).into_iter();
    let (mut writer, mut file, first) =
        SegmentWriter::begin(&head(), &real, fragments.next().unwrap()).unwrap();
    put(&mut file, &first);
    for fragment in fragments {
        let Sequel::Here(written) = writer.add(fragment) else { panic!("it does not go on") };
        put(&mut file, &written);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.mp4");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(decoded(&path), clip.samples.len() as u64);
    // Cut where the power went: what is whole still plays.
    let scanned = scan(Cursor::new(&file[..file.len() - 10])).unwrap();
    std::fs::write(&path, &file[..usize::try_from(scanned.good).unwrap()]).unwrap();
    assert_eq!(decoded(&path), scanned.table.frames());
    assert!(scanned.bad.is_some());
}

/// An MP4 that ffmpeg encodes so, as frames in the order of coding, and its sample entry.
fn encoded_by_ffmpeg(
    folder: &Path,
    arguments: &[&str],
    codec: &str,
    box_name: &[u8; 4],
) -> (SampleEntry, Vec<(Frame, bool)>) {
    let path = folder.join("source.mp4");
    let source =
        ["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6", "-g", "50"];
    let done = Command::new("ffmpeg").args(source).args(arguments).arg(&path).output();
    let done = done.expect("ffmpeg is needed: run scripts/setup test");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = std::fs::read(&path).unwrap();
    let at = file.windows(4).position(|name| name == box_name).unwrap();
    let length = u32::from_be_bytes(*file[at - 4..].first_chunk().unwrap()) as usize;
    let record = Bytes::copy_from_slice(&file[at + 4..at - 4 + length]);
    let clip = Clip::from_mp4(&path).unwrap();
    let mut decode = 0i64;
    let frames = clip.samples.iter().map(|sample| {
        let pts_us = (decode + i64::from(sample.show_after)) * 100 / 9;
        decode += i64::from(sample.duration);
        (Frame { pts_us, data: sample.avcc.clone() }, sample.key)
    });
    let frames = frames.collect();
    (SampleEntry { codec: codec.into(), width: 320, height: 240, record, sound: None }, frames)
}

/// When pictures are shown, in ticks, as ffprobe reads them.
fn shown(path: &Path) -> Vec<i64> {
    let arguments =
        ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts", "-of", "csv=p=0"];
    let probe = Command::new("ffprobe").args(arguments).arg(path).output().expect("ffprobe");
    let text = String::from_utf8_lossy(&probe.stdout).into_owned();
    let mut shown: Vec<i64> =
        text.lines().map(|line| line.trim().trim_end_matches(',').parse().unwrap()).collect();
    shown.sort_unstable();
    shown
}

#[test]
fn h265_and_b_frames_play_as_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str, &[u8; 4]); 3] = [
        (
            &["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "bframes=0:log-level=error"],
            "hvc1.1.6.L60.90",
            b"hvcC",
        ),
        (&["-c:v", "libx264", "-bf", "3"], "avc1.64000d", b"avcC"),
        (
            &["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "bframes=4:open-gop=1:log-level=error"],
            "hvc1.1.6.L60.90",
            b"hvcC",
        ),
    ];
    for (arguments, codec, box_name) in cases {
        let (entry, frames) = encoded_by_ffmpeg(folder.path(), arguments, codec, box_name);
        let mut fragments: Vec<Fragment> = Vec::new();
        for (frame, key) in &frames {
            if *key {
                if let Some(before) = fragments.last_mut() {
                    before.next_pts_us = Some(frame.pts_us);
                }
                fragments.push(Fragment { frames: Vec::new(), ..fragment(&[], true) });
            }
            fragments.last_mut().unwrap().frames.push(frame.clone());
        }
        let head = Head { codec: codec.into(), ..head() };
        let mut rest = fragments.into_iter();
        let (mut writer, mut file, first) =
            SegmentWriter::begin(&head, &entry, rest.next().unwrap()).unwrap();
        put(&mut file, &first);
        for fragment in rest {
            let Sequel::Here(written) = writer.add(fragment) else { panic!("{codec}: it does not go on") };
            put(&mut file, &written);
        }
        let path = folder.path().join("segment.mp4");
        std::fs::write(&path, &file).unwrap();
        assert_eq!(decoded(&path), frames.len() as u64, "{arguments:?}");
        let mut expected: Vec<i64> = frames.iter().map(|(frame, _)| ticks(frame.pts_us)).collect();
        expected.sort_unstable();
        let shown = shown(&path);
        let same = |times: &[i64]| times.iter().map(|t| t - times[0]).collect::<Vec<_>>();
        assert_eq!(same(&shown), same(&expected), "{arguments:?}");
        assert_eq!(scan(Cursor::new(&file)).unwrap().bad, None);
    }
}

proptest! {
    #[test]
    fn a_mark_comes_back(number: u32, key: bool, lossy: bool, wall_us: i64, mono_us: u64, duration_us: u64, pts_us: i64, frames: u32, body_len: u32, quality in 0usize..4) {
        let quality = [ClockQuality::Unconfirmed, ClockQuality::Synchronised, ClockQuality::Wrong, ClockQuality::Reported][quality];
        let mark = Mark { number, key, lossy, quality, wall_us, mono_us, duration_us, pts_us, frames, body_len, prev: Digest::of(b"p"), whole: Digest::of(b"b") };
        prop_assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }

    /// Cut anywhere, a segment is whole up to the last fragment before the cut.
    #[test]
    fn a_cut_costs_the_fragment_it_falls_in(cut in 0usize..2000) {
        let (file, table, _) = three();
        let cut = cut.min(file.len());
        match scan(Cursor::new(&file[..cut])) {
            Ok(scanned) => {
                let whole = table.0.iter().take_while(|e| e.at + u64::from(e.len) <= cut as u64).count();
                prop_assert_eq!(&scanned.table.0[..], &table.0[..whole]);
                prop_assert!(scanned.good <= cut as u64);
                prop_assert_eq!(scanned.bad.is_none(), scanned.good == cut as u64);
            }
            Err(_) => prop_assert!((cut as u64) < table.0[0].at),
        }
    }

    /// One changed bit anywhere is found, in the fragment it is in or before.
    #[test]
    fn a_flipped_bit_is_found(at in 0usize..2000, bit in 0u8..8) {
        let (mut file, table, digest) = three();
        let at = at % file.len();
        file[at] ^= 1 << bit;
        if let Ok(scanned) = scan(Cursor::new(&file)) {
            let fragment = table.0.iter().take_while(|e| e.at + u64::from(e.len) <= at as u64).count();
            prop_assert!(scanned.table.0.len() <= fragment);
            prop_assert!(scanned.bad.is_some());
            prop_assert_ne!(scanned.digest, digest);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), keep in 0usize..2000) {
        let (mut file, ..) = three();
        file.truncate(keep);
        file.extend_from_slice(&bytes);
        let _ = scan(Cursor::new(&file));
        let _ = scan(Cursor::new(&bytes));
    }
}
