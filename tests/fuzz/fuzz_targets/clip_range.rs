//! Whatever a request asks of a clip, what it is given lies within.
#![no_main]

use control_center::recordings::range::{Conditions, Served};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, Option<&str>, Option<&str>, Option<&str>)| {
    let (length, range, if_range, if_none_match) = input;
    match (Conditions { range, if_range, if_none_match }).decide("\"tag\"", length) {
        Served::Part(part) => assert!(part.start < part.end && part.end <= length && range.is_some()),
        Served::Unsatisfiable => assert!(range.is_some()),
        Served::NotModified => assert!(if_none_match.is_some()),
        Served::Whole => {}
    }
});
