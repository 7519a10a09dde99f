//! A printer line, read as the tap reads it; a slip's memory is bounded whatever is printed.
#![no_main]

use device_drivers::ticket::{escpos::Reader, tap::TicketPattern};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PATTERN: LazyLock<TicketPattern> = LazyLock::new(|| {
    let patterns =
        ["^号码[：:]?\\s*(?<number>[A-Z]?\\d+)", "^业务[：:]?\\s*(?<business>\\S+)", "(?<waiting>\\d+)"];
    TicketPattern::new(&patterns.map(str::to_owned)).expect("the patterns are sound")
});

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let mut reader = Reader::new();
    let mut slips = Vec::new();
    for piece in &pieces {
        reader.push(piece);
        slips.extend(std::iter::from_fn(|| reader.next_slip()));
    }
    reader.end_of_silence();
    slips.extend(std::iter::from_fn(|| reader.next_slip()));
    for slip in &slips {
        let _ticket = PATTERN.read(slip);
    }
});
