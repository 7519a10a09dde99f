//! Sound beside the picture: written as it comes, found again by every player, passed over where a clip cannot tell of it.

use std::process::Command;

use bytes::Bytes;

use super::{
    super::{
        gather::{Arrived, Gather, Sounded},
        segment::{Heard, Sound, SoundCoding, scan},
    },
    *,
};

/// `us` of a tone, coded by ffmpeg.
fn tone(coding: SoundCoding, us: i64) -> (Arc<Sound>, Vec<Heard>) {
    let seconds = (us as f64 / 1e6).to_string();
    let (rate, format, codec) = match coding {
        SoundCoding::Aac => ("44100", "adts", "aac"),
        SoundCoding::Alaw => ("8000", "alaw", "pcm_alaw"),
        SoundCoding::Ulaw => ("8000", "mulaw", "pcm_mulaw"),
    };
    let source = format!("sine=frequency=440:sample_rate={rate}:duration={seconds}");
    let arguments =
        ["-v", "error", "-f", "lavfi", "-i", &source, "-ac", "1", "-c:a", codec, "-f", format, "-"];
    let made =
        Command::new("ffmpeg").args(arguments).output().expect("ffmpeg is needed: run scripts/setup test");
    let mut rest = Bytes::from(made.stdout);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (length, samples, head) = match coding {
            // ADTS: the length is 13 bits from bit 30 on; the head has seven bytes.
            SoundCoding::Aac => {
                let length =
                    usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5]) >> 5;
                (length, 1024, 7)
            }
            SoundCoding::Alaw | SoundCoding::Ulaw => (rest.len().min(160), rest.len().min(160), 0),
        };
        let data = rest.split_to(length).slice(head..);
        let begun = pieces.last().map_or(0, |last: &Heard| last.pts_us + last.length_us);
        let length_us = samples as i64 * 1_000_000 / rate.parse::<i64>().unwrap();
        pieces.push(Heard { pts_us: begun, length_us, data });
    }
    let config = if coding == SoundCoding::Aac { Bytes::from_static(&[0x12, 0x08]) } else { Bytes::new() };
    let sound = Sound { coding, rate: rate.parse().unwrap(), channels: 1, config };
    (Arc::new(sound), pieces)
}

/// Footage with a tone in it.
fn sounding(coding: SoundCoding) -> Footage {
    let mut f = footage(3, false);
    let (sound, pieces) = tone(coding, f.us);
    f.entry = Arc::new(SampleEntry { sound: Some(sound), ..SampleEntry::clone(&f.entry) });
    for piece in pieces {
        let last = f.fragments.iter().rposition(|fragment| fragment.frames[0].pts_us <= piece.pts_us);
        f.fragments[last.unwrap()].heard.push(piece);
    }
    f
}

/// Decodes every track of a file with ffmpeg, which may have no error; gives the number of its pictures. (That a channel's place
/// is guessed, as it warns of G.711, is none.)
fn played(path: &Path) -> u64 {
    let arguments = ["-v", "error", "-xerror", "-i"];
    let ffmpeg = Command::new("ffmpeg").args(arguments).arg(path).args(["-f", "null", "-"]).output().unwrap();
    let said = String::from_utf8_lossy(&ffmpeg.stderr);
    assert!(ffmpeg.status.success() && said.trim().is_empty(), "ffmpeg of {}: {said}", path.display());
    let arguments =
        ["-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"];
    let probe = Command::new("ffprobe").args(arguments).args(["-of", "csv=p=0"]).arg(path).output().unwrap();
    String::from_utf8_lossy(&probe.stdout).trim().trim_end_matches(',').parse().unwrap()
}

/// The codec of the sound in a file, and how long it is, in seconds.
fn heard(path: &Path) -> Option<(String, f64)> {
    let arguments =
        ["-v", "error", "-select_streams", "a:0", "-show_entries", "stream=codec_name:packet=duration_time"];
    let probe = Command::new("ffprobe").args(arguments).args(["-of", "json"]).arg(path).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&probe.stdout).unwrap();
    let codec = said["streams"][0]["codec_name"].as_str()?.to_owned();
    let packets = said["packets"].as_array().unwrap();
    let length = packets.iter().filter_map(|p| p["duration_time"].as_str()?.parse::<f64>().ok()).sum();
    Some((codec, length))
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_kept_and_is_in_clips_and_the_index_is_the_same() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (aac, alaw) = (sounding(SoundCoding::Aac), sounding(SoundCoding::Alaw));
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&aac.entry, &aac.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    rig.at(Duration::from_secs(61)).await;
    rig.play(&aac.entry, &aac.fragments, aac.us, None);
    rig.lose(Why::CameraLost("it sends nothing".into()));
    rig.play(&alaw.entry, &alaw.fragments, 3 * aac.us, Some(Why::CameraLost("it sends nothing".into())));
    rig.lose(Why::CameraLost("it sends nothing".into()));
    rig.done().await;
    let seconds = aac.us as f64 / 1e6;
    let path = folder.path().join("clip.mp4");
    // A part of it; what is sent in ranges is what is sent at once.
    std::fs::write(&path, bytes_of(rig.clip(START, START + aac.us).await).await).unwrap();
    assert_eq!(played(&path), aac.frames);
    let (codec, length) = heard(&path).unwrap();
    assert!(codec == "aac" && (length - seconds).abs() < 0.1, "{codec} {length}");
    // The camera came back with other sound: the pictures go on, the sound is left out there.
    let whole = rig.clip(START, START + 100 * SECOND).await;
    assert_eq!((whole.frames, whole.rest_from_us), (2 * aac.frames + alaw.frames, None));
    std::fs::write(&path, bytes_of(whole).await).unwrap();
    assert_eq!(played(&path), 2 * aac.frames + alaw.frames);
    let (codec, length) = heard(&path).unwrap();
    assert!(codec == "aac" && (length - 2.0 * seconds).abs() < 0.2, "{codec} {length}");
    // By itself it is there.
    let later = rig.clip(START + 3 * aac.us, START + 100 * SECOND).await;
    std::fs::write(&path, bytes_of(later).await).unwrap();
    assert_eq!(played(&path), alaw.frames);
    let (codec, length) = heard(&path).unwrap();
    assert!(codec == "pcm_alaw" && (length - seconds).abs() < 0.1, "{codec} {length}");

    let queued = rig.recorder.figures.queued.load(Ordering::Relaxed);
    assert_eq!(queued, 0);
    rig.stop();
    let kept = rows(folder.path());
    for (row, of) in kept.0.iter().zip([&aac, &aac, &alaw]) {
        let file = folder.path().join(&row.file);
        assert_eq!(played(&file), of.frames, "a segment plays as it lies");
        assert!(heard(&file).is_some());
        let scanned = scan(std::fs::File::open(&file).unwrap()).unwrap();
        assert_eq!((scanned.bad, scanned.digest), (None, row.digest));
        assert_eq!(scanned.entry, *of.entry);
    }
    rebuild::rebuild(folder.path()).unwrap();
    assert_eq!(rows(folder.path()), kept);
}

fn piece(sound: &Arc<Sound>, ms: i64, late_ms: i64) -> Sounded {
    let data = Bytes::from_static(b"sound");
    // The camera's line of time for sound begins elsewhere.
    Sounded {
        of: sound.clone(),
        raw_us: (ms + 777) * 1000,
        length_us: 20_000,
        mono_us: (10_000 + ms + late_ms) * 1000,
        data,
    }
}

#[test]
fn sound_is_placed_by_its_arrival_and_placed_anew_only_when_that_is_heard() {
    let entry = SampleEntry {
        codec: "avc1.4d401f".into(),
        width: 640,
        height: 360,
        record: Bytes::from_static(b"r"),
        sound: None,
    };
    let (sound, _) = tone(SoundCoding::Ulaw, 20_000);
    let quality = control_protocol::event::ClockQuality::Synchronised;
    let mut gather = Gather::new(START, quality);
    let mut out = Vec::new();
    gather.parameters(Some(entry), None, &mut out);
    // Sound before the first picture belongs to none.
    gather.sound(piece(&sound, -20, 0));
    for ms in (0..6000).step_by(20) {
        // After four seconds the camera's two clocks are 300 ms apart.
        let off = if ms >= 4000 { 300 } else { 0 };
        if ms % 40 == 0 {
            let frame = Arrived {
                pts_us: ms * 1000,
                mono_us: (10_000 + ms + ms % 7) * 1000,
                key: ms % 1000 == 0,
                lossy: false,
                data: Bytes::from_static(b"picture"),
            };
            gather.frame(frame, START, quality, &mut out);
        }
        gather.sound(Sounded { raw_us: (ms + 777 - off) * 1000, ..piece(&sound, ms, ms % 11) });
    }
    gather.close(None, &mut out);
    let fragments: Vec<(Arc<SampleEntry>, Fragment)> = out
        .into_iter()
        .filter_map(|gathered| match gathered {
            Gathered::Fragment { entry, fragment, .. } => Some((entry, fragment)),
            Gathered::Lost(_) => None,
        })
        .collect();
    assert_eq!(fragments.len(), 6);
    for (n, (entry, fragment)) in fragments.iter().enumerate() {
        assert_eq!(entry.sound.as_ref(), Some(&sound));
        assert_eq!(fragment.heard.len(), 50);
        let first = fragment.heard[0].pts_us - n as i64 * SECOND;
        assert!(first.abs() <= 30_000, "fragment {n}: {first} µs off");
        let even = fragment.heard.windows(2).all(|two| two[1].pts_us - two[0].pts_us == 20_000);
        assert!(even, "within a fragment sound has no hole");
    }
    // What came late by a few milliseconds moved nothing.
    let begins = |n: usize| fragments[n].1.heard[0].pts_us;
    assert_eq!(begins(1) - begins(0), SECOND);
}
