//! What a profile's writer is told, and that no text makes the loader or its engine fall over.

use proptest::prelude::*;

use super::{shipped::SHIPPED, *};

/// A fault in the counter bus's profile, and what is said of it.
#[test]
fn every_fault_is_refused_with_its_line_and_what_to_do() {
    let (_, text) = SHIPPED[0];
    for (right, wrong, said) in [
        ("\"04\" = 5", "\"04\" = 6", "grades are 1 to 5"),
        ("\"04\" = 5", "\"4\" = 5", "is not one byte in hexadecimal"),
        ("\"0A\" = \"start\"", "\"0A\" = \"begin\"", "begin is not a key; there are: start"),
        (
            "raw = \"data[0]\"",
            "raw = \"date[0]\"",
            "there is no field date; there are: address, data, function",
        ),
        ("raw = \"data[0]\"", "", "needs raw"),
        ("width = 1, add = 7", "width = 3, add = 7", "length.width is 1 or 2"),
        ("max = 23", "max = 5", "at least 9 bytes by its parts, but at most 5"),
        ("max = 23", "max = 5000", "more than 4096 bytes"),
        ("{n:digits3} {checksum}", "{n:digits33} {checksum}", "1 to 18 digits"),
        ("params = { stars = { max = 5 } }", "params = { star = { max = 5 } }", "the frame has no {star}"),
        ("when = { function = \"11\", data_len = 1 }", "when = { function = \"1\" }", "is not a pattern"),
        ("name = \"failed\"", "name = \"beep\"", "there are two commands beep"),
        ("args = { address = 3, n = 123 }", "args = { address = 3 }", "needs a value for n"),
        (
            "args = { address = 131, stars = 5 }",
            "args = { address = 131, stars = 6 }",
            "out of range; 0 to 5",
        ),
        (
            "02 0A 0A 0A 01 02 03 29 16",
            "02 0A 0A 0A 01 02 04 29 16",
            "is FF 68 08 08 68 03 02 0A 0A 0A 01 02 03 29 16, expected",
        ),
        ("expect = { error = \"tail\" }", "expect = { error = \"checksum\" }", "refused for tail, not for"),
        ("duplicate_window_ms", "duplicates_window_ms", "did you mean duplicate_window_ms?"),
    ] {
        assert!(text.contains(right), "{right}");
        let error = Profile::parse("x.toml", &text.replacen(right, wrong, 1)).unwrap_err();
        assert!(error.to_string().contains(said), "{wrong}: {error}");
        assert!(error.line.is_some(), "{wrong}: {error}");
    }
    let without_map: String = text
        .lines()
        .filter(|line| {
            !line.starts_with("[grade_map")
                && !line.contains("\" = 5")
                && !line.contains("\" = 4")
                && !line.contains("\" = 3")
                && !line.contains("\" = 2")
                && !line.contains("\" = 1")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let error = Profile::parse("x.toml", &without_map).unwrap_err();
    assert!(error.what.contains("an evaluator needs a [grade_map]"), "{error}");
    let untested = &text[..text.find("[[test]]").unwrap()];
    assert!(Profile::parse("x.toml", untested).unwrap_err().what.contains("without a [[test]]"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The fuzz target `profile_text`, on stable: a shipped profile with some of its text written over.
    #[test]
    fn any_text(which in 0..SHIPPED.len(), edits in proptest::collection::vec((0usize..10_000, 0usize..6, "[-0-9a-f\"={},x]{0,6}"), 0..4), bytes: Vec<u8>) {
        let mut text: Vec<char> = SHIPPED[which].1.chars().collect();
        for (at, cut, new) in edits {
            let at = at % text.len();
            let end = (at + cut).min(text.len());
            text.splice(at..end, new.chars());
        }
        let text: String = text.into_iter().collect();
        match check("x.toml", &text) {
            Ok((profile, _)) => {
                let mut decoder = profile.decoder();
                decoder.push(&bytes);
                while decoder.next_decoded().is_some() {}
                while let Some(decoded) = decoder.next_after_gap() {
                    if let Decoded::Frame { frame, raw, .. } = decoded {
                        let meaning = profile.understand(&frame);
                        let _ack = profile.acknowledge(&meaning, &frame, &raw, None);
                    }
                }
                prop_assert!(!decoder.is_partial());
            }
            Err(error) => prop_assert!(!error.what.is_empty()),
        }
    }
}
