//! A package of evidence as anybody may hand it over: whole files, and the recordings in them.
#![no_main]

use std::io::Cursor;

use control_center::evidence::{
    footage::Walk,
    say::{Language, words},
    verify::verify,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = verify(Cursor::new(bytes), None) {
        let said = words(&report, Language::Chinese);
        assert!(!said.contains('\x1b'));
        assert_eq!(said.starts_with("完好"), report.intact());
    }
    // However the bytes are cut, the walk finds the same.
    let walked = |step: usize| {
        let mut walk = Walk::default();
        bytes.chunks(step).for_each(|chunk| walk.take(chunk));
        walk.end()
    };
    assert_eq!(walked(1), walked(bytes.len().max(1)));
});
