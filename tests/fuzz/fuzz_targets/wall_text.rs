//! What a page may send on the wall socket: read, or refused with a problem that says what to mend.
#![no_main]

use control_center::live::check_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(problem) = check_text(text) {
        assert!((400..500).contains(&problem.status));
        assert!(!problem.detail.is_empty());
    }
});
