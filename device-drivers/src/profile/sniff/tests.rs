//! Proposals from captures written by hand.

use super::*;
use crate::profile::source::hex;

fn circumstances() -> Circumstances {
    Circumstances { name: "found".into(), title: "Found at window 7".into(), baud: 9600, presses: 3 }
}

/// Each button three times, a second and more apart, each frame `times` times 100 ms apart.
fn capture(buttons: &[(Label, Vec<Vec<u8>>)], times: u64) -> Vec<Burst> {
    let mut bursts = Vec::new();
    let mut now = 0u64;
    for (label, presses) in buttons {
        for press in presses {
            now += 1_200_000;
            for n in 0..times {
                let at = Mono(now + n * 100_000);
                bursts.push(Burst { label: *label, at, bytes: press.clone() });
            }
        }
    }
    bursts
}

fn graded(frames: [&str; 5]) -> Vec<(Label, Vec<Vec<u8>>)> {
    let grade = |(n, text): (usize, &str)| (Label::Grade(5 - n as u8), vec![hex(text).unwrap(); 3]);
    frames.into_iter().enumerate().map(grade).collect()
}

const FF68: [&str; 5] = [
    "FF 68 03 03 68 03 11 04 18 16",
    "FF 68 03 03 68 03 11 03 17 16",
    "FF 68 03 03 68 03 11 02 16 16",
    "FF 68 03 03 68 03 11 01 15 16",
    "FF 68 03 03 68 03 11 00 14 16",
];

/// docs/reference/devices.md I.4 on the family of B2.1.
#[test]
fn the_known_family_is_found_again() {
    let draft = propose(&capture(&graded(FF68), 1), &circumstances()).unwrap();
    assert!(draft.findings.contains(&Finding::FixedLength { bytes: 10 }), "{:?}", draft.findings);
    assert!(draft.findings.contains(&Finding::KeyByte { offset: 7, mask: 0xFF }), "{:?}", draft.findings);
    assert!(
        draft
            .findings
            .iter()
            .any(|f| matches!(f, Finding::Checksum { kind, from: 5, at: 8, .. } if kind == "sum8")),
        "{:?}",
        draft.findings
    );
    assert_eq!(draft.profile.tests(), 6);
}

#[test]
fn a_heartbeat_of_another_length_shows_the_length_byte_and_its_repetition() {
    let mut bursts = capture(&graded(FF68), 1);
    for n in 0..3 {
        let beat = Burst {
            label: Label::Background,
            at: Mono(n * 500_000),
            bytes: hex("FF 68 02 02 68 03 03 06 16").unwrap(),
        };
        bursts.insert(0, beat);
    }
    let draft = propose(&bursts, &circumstances()).unwrap();
    let length = Finding::LengthField { offset: 2, width: 1, add: 7, repeat_at: Some(3) };
    assert!(draft.findings.contains(&length), "{:?}\n{}", draft.findings, draft.toml);
    assert!(draft.toml.contains("kind = \"sum8\", from = 5"), "{}", draft.toml);
}

#[test]
fn repetitions_become_a_window_and_single_bytes_are_frames() {
    let frames = ["31", "32", "33", "34", "35"];
    let draft = propose(&capture(&graded(frames), 3), &circumstances()).unwrap();
    assert!(draft.findings.contains(&Finding::NoChecksum));
    let window = draft.profile.limits().duplicate_window.unwrap();
    assert!(window > Duration::from_millis(150) && window < Duration::from_millis(800), "{window:?}");
}

#[test]
fn a_counter_is_passed_over_and_covered_by_the_checksum() {
    let mut count = 0u8;
    let mut button = |label: Label, value: u8| {
        let press = || {
            count += 1;
            let body = [0x02, count, value];
            let sum = body.iter().fold(0u8, |x, b| x ^ b);
            [vec![0xAA], body.to_vec(), vec![sum, 0x03]].concat()
        };
        (label, std::iter::repeat_with(press).take(3).collect::<Vec<_>>())
    };
    let buttons =
        [button(Label::Key(Key::Call), 7), button(Label::Key(Key::Recall), 9), button(Label::Grade(5), 1)];
    let draft = propose(&capture(&buttons, 1), &circumstances()).unwrap();
    assert!(draft.findings.contains(&Finding::Changing { offset: 2 }), "{:?}", draft.findings);
    assert!(draft.toml.contains("xor8"), "{}", draft.toml);
}

#[test]
fn what_cannot_be_proposed_says_why() {
    let one = capture(&graded(FF68)[..1], 1);
    assert_eq!(propose(&one, &circumstances()).unwrap_err(), Unproposable::TooFewButtons);
    let mut short = capture(&graded(FF68), 1);
    short.retain(|burst| burst.label != Label::Grade(3));
    short.push(Burst { label: Label::Grade(3), at: Mono(0), bytes: vec![1, 2, 3] });
    assert!(matches!(propose(&short, &circumstances()), Err(Unproposable::NotHeard { heard: 1, .. })));
    let same = capture(&[(Label::Grade(5), vec![vec![1, 2]; 3]), (Label::Grade(4), vec![vec![1, 2]; 3])], 1);
    assert!(propose(&same, &circumstances()).is_err());
    assert!(propose(&[], &circumstances()).is_err());
}

#[test]
fn labels_are_read_as_people_write_them() {
    assert_eq!(label_named("grade 5"), Some(Label::Grade(5)));
    assert_eq!(label_named("5"), Some(Label::Grade(5)));
    assert_eq!(label_named("key call_next"), Some(Label::Key(Key::Call)));
    assert_eq!(label_named("6"), None);
}

proptest::proptest! {
    /// Whatever is heard, there is an answer and no panic.
    #[test]
    fn any_capture(heard in proptest::collection::vec((0u8..7, 0u64..5_000_000, proptest::collection::vec(0u8..4, 0..9)), 0..40)) {
        let bursts: Vec<Burst> = heard.into_iter().map(|(label, at, bytes)| Burst {
            label: if label == 0 { Label::Background } else { Label::Grade(label) },
            at: Mono(at),
            bytes,
        }).collect();
        let _outcome = propose(&bursts, &circumstances());
    }
}
