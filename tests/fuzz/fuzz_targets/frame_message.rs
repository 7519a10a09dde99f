//! A frame message's header that is read is written back as it was; a hub's parameters are read without trust.
#![no_main]

use bytes::Bytes;
use control_protocol::frame::{HEADER, Header};
use edge_agent::cameras::entry::Parameters;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::read(bytes) {
        let again = header.message(&bytes[HEADER..]);
        assert_eq!(Header::read(&again), Ok(header));
        assert_eq!(again[HEADER..], bytes[HEADER..]);
    }
    let _parameters = Parameters::of(&Bytes::copy_from_slice(bytes));
});
