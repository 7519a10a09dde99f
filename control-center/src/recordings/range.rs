//! Which bytes of a clip a request is given (RFC 9110, sections 13 and 14). Pure.

use std::ops::Range;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// All of it, 200.
    Whole,
    /// These bytes, 206; never empty.
    Part(Range<u64>),
    /// None of the bytes asked for are there, 416.
    Unsatisfiable,
    /// Whoever asks has it already, 304.
    NotModified,
}

/// The conditions of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `Range`.
    pub range: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
}

impl Conditions<'_> {
    /// What is answered of `length` bytes whose strong entity tag, with its quotes, is `tag`. A range that is none, one in
    /// another unit, and more than one range are passed over, as the standard allows.
    pub fn decide(self, tag: &str, length: u64) -> Served {
        let matches = |list: &str| {
            list.trim() == "*"
                || list.split(',').any(|one| {
                    let one = one.trim();
                    one.strip_prefix("W/").unwrap_or(one) == tag
                })
        };
        if self.if_none_match.is_some_and(matches) {
            return Served::NotModified;
        }
        // A date says too little of a clip whose end is still being written.
        if self.if_range.is_some_and(|wanted| wanted.trim() != tag) {
            return Served::Whole;
        }
        self.range.and_then(|text| one_range(text, length)).unwrap_or(Served::Whole)
    }
}

/// The one range that `text` asks for; none where it is to be passed over.
fn one_range(text: &str, length: u64) -> Option<Served> {
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix = number(last)?;
        let from = length.saturating_sub(suffix);
        return Some(if from < length { Served::Part(from..length) } else { Served::Unsatisfiable });
    }
    let from = number(first)?;
    let end = if last.is_empty() { u64::MAX } else { number(last)? };
    if end < from {
        return None;
    }
    let end = end.saturating_add(1).min(length);
    Some(if from < length { Served::Part(from..end) } else { Served::Unsatisfiable })
}

/// A number of digits alone; one too large to be held is as large as can be.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "\"abc\"";

    fn decided(range: &str, length: u64) -> Served {
        Conditions { range: Some(range), ..Conditions::default() }.decide(TAG, length)
    }

    #[test]
    fn ranges_are_those_of_the_standard() {
        assert_eq!(decided("bytes=0-499", 10_000), Served::Part(0..500));
        assert_eq!(decided("bytes=500-999", 10_000), Served::Part(500..1000));
        assert_eq!(decided("bytes=-500", 10_000), Served::Part(9500..10_000));
        assert_eq!(decided("bytes=9500-", 10_000), Served::Part(9500..10_000));
        assert_eq!(decided("Bytes = 9500-99999999999999999999999", 10_000), Served::Part(9500..10_000));
        assert_eq!(decided("bytes=-20000", 10_000), Served::Part(0..10_000));
        for outside in ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(decided(outside, 10_000), Served::Unsatisfiable, "{outside}");
        }
        assert_eq!(decided("bytes=0-", 0), Served::Unsatisfiable);
        for passed_over in [
            "bytes=5-2",
            "items=0-1",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,5-6",
            "bytes=+1-2",
        ] {
            assert_eq!(decided(passed_over, 10_000), Served::Whole, "{passed_over}");
        }
    }

    #[test]
    fn a_changed_clip_is_sent_whole_and_a_known_one_not_again() {
        let asked = Conditions { range: Some("bytes=5-6"), ..Conditions::default() };
        let if_range = |tag| Conditions { if_range: Some(tag), ..asked };
        assert_eq!(if_range(TAG).decide(TAG, 10), Served::Part(5..7));
        for other in ["\"abd\"", "W/\"abc\"", "Sat, 29 Oct 1994 19:43:31 GMT"] {
            assert_eq!(if_range(other).decide(TAG, 10), Served::Whole, "{other}");
        }
        let known = |list| Conditions { if_none_match: Some(list), ..asked }.decide(TAG, 10);
        for list in [TAG, "\"x\", \"abc\"", "W/\"abc\"", "*"] {
            assert_eq!(known(list), Served::NotModified, "{list}");
        }
        assert_eq!(known("\"x\""), Served::Part(5..7));
    }

    proptest! {
        #[test]
        fn what_is_given_is_inside_and_what_was_asked_for(
            first in proptest::option::of(0u64..2000), last in proptest::option::of(0u64..2000), length in 0u64..1500
        ) {
            let text = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
            let asked: Vec<u64> = (0..length)
                .filter(|at| match (first, last) {
                    (Some(first), last) => *at >= first && last.is_none_or(|last| *at <= last),
                    (None, Some(suffix)) => *at >= length.saturating_sub(suffix),
                    (None, None) => true,
                })
                .collect();
            match decided(&format!("bytes={}-{}", text(first), text(last)), length) {
                Served::Part(part) => prop_assert_eq!(part.collect::<Vec<_>>(), asked),
                Served::Unsatisfiable => prop_assert!(asked.is_empty()),
                Served::Whole => {
                    let none = first.is_none() && last.is_none();
                    prop_assert!(none || first.zip(last).is_some_and(|(first, last)| last < first));
                }
                Served::NotModified => prop_assert!(false),
            }
        }

        #[test]
        fn any_text_is_survived(range in ".{0,40}", other in ".{0,40}", length in any::<u64>()) {
            let asked = Conditions { range: Some(&range), if_range: Some(&other), if_none_match: Some(&other) };
            if let Served::Part(part) = asked.decide(TAG, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
