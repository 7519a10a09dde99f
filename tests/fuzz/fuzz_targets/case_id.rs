//! A case ID that is read is written back as it was.
#![no_main]

use control_protocol::CaseId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(case) = text.parse::<CaseId>() {
        assert_eq!(case.to_string(), text);
    }
});
