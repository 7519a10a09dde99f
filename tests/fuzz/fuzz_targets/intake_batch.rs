//! A batch as posted, and the events in it; the same bytes also as if they had been unpacked already.
#![no_main]

use bytes::Bytes;
use control_protocol::{
    StoredEvent,
    chain::ChainEnd,
    intake::{MAX_EVENTS, pack, unpack},
};
use libfuzzer_sys::fuzz_target;

fn open(lines: Vec<Bytes>) {
    assert!(lines.len() <= MAX_EVENTS);
    for line in lines {
        let Ok(stored) = StoredEvent::open(line.clone()) else { continue };
        assert_eq!(stored.bytes, line);
        let mut chain = ChainEnd::start(stored.event.epoch);
        let _follows = chain.follow(&stored);
        // What is written anew is read as the same event, though not always from the same bytes.
        let sealed = StoredEvent::seal(stored.event.clone()).expect("it was small enough");
        assert_eq!(StoredEvent::open(sealed.bytes).expect("we wrote it").event, stored.event);
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lines) = unpack(bytes) {
        open(lines);
    }
    let packed = pack([bytes]).expect("memory");
    if let Ok(lines) = unpack(&packed) {
        open(lines);
    }
});
