//! A file of positions, CSV or XLSX, is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(rows) = edge_agent::pairing::read_table(None, bytes) {
        assert!(rows <= 2000);
    }
});
