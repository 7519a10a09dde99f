//! What a printer says of itself; after any bytes, its next whole answer is understood.
#![no_main]

use device_drivers::ticket::status::{Heard, PrinterStatus, Question, StatusReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = StatusReader::default();
    let mut status = PrinterStatus::default();
    for (at, byte) in bytes.iter().enumerate() {
        match reader.push(*byte) {
            Some(Heard::RealTime(reply)) => assert!(status.take(Question::ALL[at % 4], reply)),
            Some(Heard::Automatic(told)) => status.take_automatic(told),
            Some(Heard::Buffered(reply)) => status.take_paper_sensor(reply),
            _ => {}
        }
        let _trouble = status.trouble();
    }
    assert_eq!(reader.push(0x12), Some(Heard::RealTime(0x12)));
});
