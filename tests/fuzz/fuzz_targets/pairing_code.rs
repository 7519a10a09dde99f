//! A pairing code as somebody types it; what is read is the same code when it is shown and typed again.
#![no_main]

use control_protocol::enrolment::PairingCode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<PairingCode>() {
        let again: PairingCode = code.reveal().parse().expect("a code is read as it is shown");
        assert!(again == code);
    }
});
