//! A site pass that is read is written back as what was signed.
#![no_main]

use control_protocol::site_pass::Presented;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(read) = Presented::read(text) {
        assert!(Presented::read(&read.pass.text(&read.signature)).is_ok_and(|again| again.pass == read.pass));
    }
});
