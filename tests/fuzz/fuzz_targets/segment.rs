//! What a disk may give back after its power was cut: segments, and tables of the index.
#![no_main]

use edge_agent::recorder::segment::{Mark, MARK, Table, head, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _head = head(bytes);
    if let Ok(scanned) = scan(bytes) {
        assert!(scanned.good <= bytes.len() as u64);
        assert_eq!(Table::decode(&scanned.table.encode()).as_ref(), Ok(&scanned.table));
        // What was found whole is found whole again, and nothing but it.
        let again = scan(&bytes[..scanned.good as usize]).expect("a segment");
        assert_eq!((again.bad, again.table, again.digest), (None, scanned.table, scanned.digest));
    }
    if let Some(mark) = bytes.first_chunk::<MARK>().and_then(Mark::decode) {
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }
    if let Ok(table) = Table::decode(bytes) {
        let _frames = (table.start_us(), table.end_us());
    }
});
