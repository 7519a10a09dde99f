//! Packages made, verified, flipped, cut, signed again.

use std::{
    fs::File,
    io::{Cursor, Read},
};

use bytes::Bytes;
use control_protocol::{
    Digest, Event, Happening, StoredEvent, UtcMillis,
    event::{ClockQuality, VERSION as EVENT_VERSION},
};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::{
    container::{Packer, Unpacker},
    footage::tests::{CAMERA, recording},
    key::{EvidenceKey, Trusted},
    manifest::*,
    pack::{Coming, Gathered, Packed, Wanted, pack, sign},
    say::{Language, words},
    verify::{CannotVerify, Fault, verify},
};

const AT: i64 = 1_795_309_200_000;

fn event(seq: u64, prev: Digest, device: Option<&str>, happening: Happening) -> StoredEvent {
    StoredEvent::seal(Event {
        node: "hall-450103-01".parse().unwrap(),
        epoch: 7,
        seq,
        prev,
        at: UtcMillis(AT + seq as i64 * 1000),
        mono_us: 1,
        boot: "b".into(),
        clock: ClockQuality::Synchronised,
        hall: "450103-01".parse().unwrap(),
        window: None,
        device: device.map(str::to_owned),
        case: None,
        happening,
        v: EVENT_VERSION,
    })
    .unwrap()
}

/// A case with two recordings and four events, of which the third is somebody else's and only its digest is there.
pub(super) struct Exhibit {
    pub(super) gathered: Gathered,
    pub(super) segments: Vec<Vec<u8>>,
}

pub(super) fn exhibit() -> Exhibit {
    let mut segments = Vec::new();
    let mut told = Vec::new();
    let mut prev = Digest::ZERO;
    for n in 0..2i64 {
        let (bytes, digest) = recording(CAMERA, (AT + n * 3000) * 1000, 3, prev);
        prev = digest;
        segments.push(bytes);
        told.push((format!("{CAMERA}/20261122/01000{n}.000Z-1-{}.mp4", n + 1), digest));
    }
    let sealed = |n: usize| Happening::RecordingSealed {
        segment: told[n].0.clone(),
        from: UtcMillis(AT),
        to: UtcMillis(AT + 3000),
        sha256: told[n].1,
    };
    let first = event(1, Digest::ZERO, None, Happening::TicketRecalled { ticket: "A001".into(), count: 1 });
    let second = event(2, first.digest, Some(CAMERA), sealed(0));
    let third = event(3, second.digest, None, Happening::TicketNoShow { ticket: "A002".into() });
    let fourth = event(4, third.digest, Some(CAMERA), sealed(1));
    let node: control_protocol::NodeId = "hall-450103-01".parse().unwrap();
    let wanted = |n: usize, seq: u64| Wanted {
        camera: CAMERA.parse().unwrap(),
        segment: told[n].0.clone(),
        from: UtcMillis(AT),
        to: UtcMillis(AT + 3000),
        sealed: Sealed {
            sha256: told[n].1,
            event: EventPlace { node: node.clone(), epoch: 7, seq },
            received_at: UtcMillis(AT + 5000),
        },
    };
    let digests = [&first, &second, &third, &fourth].map(|event| event.digest);
    let span = Span { from: UtcMillis(AT), to: UtcMillis(AT + 6000) };
    let gathered = Gathered {
        case: CaseFacts {
            case_id: case_id(),
            hall: "450103-01".parse().unwrap(),
            hall_name: "青秀区政务服务中心".into(),
            window: Some("450103-01-W01".parse().unwrap()),
            ticket: "A001".into(),
            business: None,
            official_no: None,
            state: "closed".into(),
            grade: Some(5),
            opened_at: UtcMillis(AT),
            called_at: Some(UtcMillis(AT)),
            started_at: None,
            ended_at: None,
            closed_at: Some(UtcMillis(AT + 6000)),
            accurate: true,
        },
        export: Export {
            by: "county".into(),
            reason: "投诉 2026-11".into(),
            at: UtcMillis(AT + 60_000),
            centre: Digest::of(b"centre"),
            version: "0.1.0".into(),
        },
        span,
        cameras: vec![CameraFacts {
            camera: CAMERA.parse().unwrap(),
            name: "W01".into(),
            window: Some("450103-01-W01".parse().unwrap()),
            span,
        }],
        wanted: vec![wanted(0, 2), wanted(1, 4)],
        gaps: Vec::new(),
        clocks: Clocks {
            hall_ahead_ms: Some(3),
            least: Some(ClockQuality::Synchronised),
            steps: Vec::new(),
            devices: Vec::new(),
        },
        events: [first, second, fourth].map(|event| event.bytes).to_vec(),
        chain: Chain { stretches: vec![Stretch { node, epoch: 7, first: 1, sha256: digests.to_vec() }] },
    };
    Exhibit { gathered, segments }
}

fn case_id() -> control_protocol::CaseId {
    control_protocol::CaseId::new(&"450103-01".parse().unwrap(), jiff::civil::date(2026, 11, 22), 42).unwrap()
}

/// Packs an exhibit whose footage comes as `come` says.
pub(super) fn packed(exhibit: Exhibit, key: &EvidenceKey, come: Vec<Coming>) -> Packed {
    let (send, mut coming) = mpsc::channel(come.len().max(1));
    for part in come {
        send.try_send(part).unwrap();
    }
    drop(send);
    pack(exhibit.gathered, &mut coming, key, tempfile::tempfile().unwrap()).unwrap()
}

/// All of it, in pieces.
pub(super) fn all(segments: &[Vec<u8>]) -> Vec<Coming> {
    let mut parts = Vec::new();
    for (n, bytes) in segments.iter().enumerate() {
        parts.push(Coming::Begin(n));
        parts.extend(bytes.chunks(700).map(|chunk| Coming::Bytes(Bytes::copy_from_slice(chunk))));
        parts.push(Coming::Done);
    }
    parts
}

pub(super) fn bytes(mut packed: Packed) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed.file.read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.len() as u64, Digest::of(&bytes)), (packed.bytes, packed.sha256));
    bytes
}

fn whole(key: &EvidenceKey) -> Vec<u8> {
    let exhibit = exhibit();
    let come = all(&exhibit.segments);
    bytes(packed(exhibit, key, come))
}

fn trusted(key: &EvidenceKey) -> Trusted {
    key.public().fingerprint().to_string().parse().unwrap()
}

/// The files of a package.
fn unpacked(package: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = Unpacker::new(package);
    let mut files = Vec::new();
    while let Some(next) = reader.next_file().unwrap() {
        let mut contents = Vec::new();
        reader.contents(|bytes| contents.extend_from_slice(bytes)).unwrap();
        files.push((next.name, contents));
    }
    files
}

/// Packs changed files again, with a manifest that agrees with them, signed by `key`.
fn signed_again(mut files: Vec<(String, Vec<u8>)>, key: &EvidenceKey) -> Vec<u8> {
    let mut manifest: Manifest =
        serde_json::from_slice(&files.iter().find(|(name, _)| name == MANIFEST).unwrap().1).unwrap();
    files.retain(|(name, _)| ![MANIFEST, SIGNATURE, SIGNER].contains(&name.as_str()));
    let mut packer = Packer::new(tempfile::tempfile().unwrap());
    manifest.files =
        files.iter().map(|(name, contents)| packer.file(name, contents).unwrap().into()).collect();
    let (file, _) = sign(packer, &manifest, key).unwrap();
    read_all(file)
}

fn read_all(mut file: File) -> Vec<u8> {
    use std::io::Seek;
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_package_is_intact_and_says_what_is_proven() {
    let key = EvidenceKey::generate().unwrap();
    let package = whole(&key);
    let report = verify(Cursor::new(&package), Some(&trusted(&key))).unwrap();
    assert!(report.intact(), "{:?}", report.faults);
    assert_eq!((report.recordings, report.frames, report.events), (2, 150, 3));
    assert_eq!(report.trusted, Some(true));
    let english = words(&report, Language::English);
    assert!(english.starts_with("INTACT") && english.contains("That the camera saw reality"), "{english}");
    assert!(words(&report, Language::Chinese).starts_with("完好"));
    let unknown = verify(Cursor::new(&package), None).unwrap();
    assert!(unknown.intact() && unknown.trusted.is_none());
    let english = words(&unknown, Language::English);
    assert!(english.contains("Signer: unknown") && english.contains(&super::say::fingerprint(&key.public())));
}

#[test]
fn one_thousand_flipped_bits_are_each_found() {
    let key = EvidenceKey::generate().unwrap();
    let package = whole(&key);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut found = 0;
    for _ in 0..1000 {
        // xorshift64: the same thousand each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bit = state % (package.len() as u64 * 8);
        let mut flipped = package.clone();
        flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
        let report = verify(Cursor::new(&flipped), None).unwrap();
        assert!(!report.intact(), "bit {bit} of {} is not found", package.len() * 8);
        found += 1;
    }
    println!("{found} of 1000 flipped bits found in {} bytes", package.len());
}

#[test]
fn every_bit_outside_of_the_footage_is_covered() {
    let key = EvidenceKey::generate().unwrap();
    let exhibit = exhibit();
    // No footage: the rest is small enough to try every bit of it.
    let package = bytes(packed(exhibit, &key, Vec::new()));
    for at in 0..package.len() {
        let mut flipped = package.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(!verify(Cursor::new(&flipped), None).unwrap().intact(), "byte {at}");
    }
}

#[test]
fn a_package_signed_again_by_another_key_is_refused() {
    let (key, other) = (EvidenceKey::generate().unwrap(), EvidenceKey::generate().unwrap());
    let mut files = unpacked(&whole(&key));
    let events = files.iter_mut().find(|(name, _)| name == EVENTS).unwrap();
    assert!(!events.1.is_empty());
    let package = signed_again(files, &other);
    let report = verify(Cursor::new(&package), Some(&trusted(&key))).unwrap();
    assert_eq!(report.faults, [Fault::NotTrusted]);
    assert!(!report.intact());
    assert!(words(&report, Language::English).contains("NOT the trusted centre"));
    // Nobody was asked: the signer is unknown, and that is said.
    assert!(verify(Cursor::new(&package), None).unwrap().intact());
}

#[test]
fn footage_altered_on_the_edge_is_found_by_what_the_centre_was_told() {
    let key = EvidenceKey::generate().unwrap();
    // A byte changed: the recording's own marks tell. Another whole recording in its place: the digest does.
    let (replaced, _) = recording(CAMERA, AT * 1000, 2, Digest::ZERO);
    let mut flipped = exhibit().segments[1].clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (segment, is_broken) in [(replaced, false), (flipped, true)] {
        let exhibit = exhibit();
        let name = exhibit.gathered.wanted[1].segment.clone();
        let come = all(&[exhibit.segments[0].clone(), segment]);
        let packed = packed(exhibit, &key, come);
        assert_eq!(packed.counts(), [1, 1, 0]);
        assert_eq!(packed.manifest.recordings[1].state, State::Altered);
        let report = verify(Cursor::new(bytes(packed)), Some(&trusted(&key))).unwrap();
        assert!(!report.intact());
        let [fault] = &report.faults[..] else { panic!("{:?}", report.faults) };
        assert!(fault.to_string().contains(&name), "{fault}");
        assert_eq!(matches!(fault, Fault::Recording { .. }), is_broken, "{fault}");
    }
}

type Lie = dyn Fn(&mut Manifest, &mut Vec<(String, Vec<u8>)>);

#[test]
fn a_manifest_that_lies_about_footage_is_found_even_if_it_is_signed() {
    let key = EvidenceKey::generate().unwrap();
    let files = unpacked(&whole(&key));
    let change = |change: &Lie| {
        let mut files = files.clone();
        let at = files.iter().position(|(name, _)| name == MANIFEST).unwrap();
        let mut manifest: Manifest = serde_json::from_slice(&files[at].1).unwrap();
        change(&mut manifest, &mut files);
        let at = files.iter().position(|(name, _)| name == MANIFEST).unwrap();
        files[at].1 = serde_json::to_vec(&manifest).unwrap();
        let report = verify(Cursor::new(signed_again(files, &key)), Some(&trusted(&key))).unwrap();
        (report.intact(), format!("{:?}", report.faults))
    };
    assert!(change(&|_, _| {}).0);
    let lies: [&Lie; 7] = [
        &|manifest, _| manifest.recordings[0].frames = Some(76),
        &|manifest, _| manifest.recordings[0].sealed.sha256 = Digest::of(b"another"),
        &|manifest, _| manifest.recordings[0].sealed.event.seq = 4,
        &|manifest, _| manifest.recordings[0].file = None,
        &|manifest, _| _ = manifest.recordings.remove(1),
        &|manifest, _| manifest.recordings[0].camera = "450103-01-W02-C1".parse().unwrap(),
        &|_, files| {
            let events = files.iter_mut().find(|(name, _)| name == EVENTS).unwrap();
            events.1 = String::from_utf8(events.1.clone()).unwrap().replace("A001", "A009").into_bytes();
        },
    ];
    for (n, lie) in lies.iter().enumerate() {
        let (intact, faults) = change(lie);
        assert!(!intact, "lie {n} is not found");
        println!("{faults}");
    }
}

#[test]
fn what_did_not_come_is_called_missing() {
    let key = EvidenceKey::generate().unwrap();
    let exhibit = exhibit();
    let half = Bytes::copy_from_slice(&exhibit.segments[0][..900]);
    let come = vec![Coming::Begin(0), Coming::Bytes(half), Coming::Broken(0, "the hall is offline".into())];
    let packed = packed(exhibit, &key, come);
    assert_eq!(packed.counts(), [0, 0, 2]);
    let report = verify(Cursor::new(bytes(packed)), None).unwrap();
    assert!(report.intact(), "{:?}", report.faults);
    let english = words(&report, Language::English);
    assert!(english.contains("MISSING") && english.contains("the hall is offline"), "{english}");
    assert!(english.contains("There is no recording in this package"));
}

#[test]
fn what_is_no_package_is_told_from_a_damaged_one() {
    for foreign in [&b""[..], b"PK\x03\x04", b"a letter", &[0; 5000]] {
        assert!(matches!(verify(Cursor::new(foreign), None), Err(CannotVerify::Foreign)));
    }
    let key = EvidenceKey::generate().unwrap();
    let package = whole(&key);
    for cut in [40, 100, package.len() / 2, package.len() - 1] {
        assert!(!verify(Cursor::new(&package[..cut]), None).unwrap().intact(), "{cut}");
        assert!(!verify(Cursor::new(&package[cut..]), None).is_ok_and(|report| report.intact()), "{cut}");
    }
    let mut longer = package.clone();
    longer.push(b'\n');
    assert!(!verify(Cursor::new(&longer), None).unwrap().intact());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_bytes_end_in_a_verdict(at in any::<prop::sample::Index>(), len in 0usize..400, junk in proptest::collection::vec(any::<u8>(), 0..400)) {
        thread_local! { static PACKAGE: Vec<u8> = whole(&EvidenceKey::generate().unwrap()); }
        let mut package = PACKAGE.with(Clone::clone);
        let at = at.index(package.len());
        let end = (at + len).min(package.len());
        let same = package[at..end] == junk[..];
        package.splice(at..end, junk);
        match verify(Cursor::new(package), None) {
            Ok(report) => prop_assert!(same || !report.intact()),
            Err(error) => prop_assert!(matches!(error, CannotVerify::Foreign)),
        }
    }
}
