//! Bytes on a counter bus: every byte comes out once, in a frame or as noise, and every frame encodes to its own bytes.
#![no_main]

use device_drivers::counter::frame::{DEFAULT_MAX_LEN, Decoded, Decoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (short, pieces) = input;
    let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
    if short {
        decoder = decoder.with_short();
    }
    let mut given = Vec::new();
    let mut taken = Vec::new();
    let mut take = |decoded: Decoded| match decoded {
        Decoded::Frame(frame, raw) => {
            assert_eq!(frame.encode(), raw);
            taken.extend_from_slice(&raw);
        }
        Decoded::Short(frame, raw) => {
            assert_eq!(frame.encode_short(), raw);
            taken.extend_from_slice(&raw);
        }
        Decoded::Noise(raw) => taken.extend_from_slice(&raw),
    };
    for piece in &pieces {
        given.extend_from_slice(piece);
        decoder.push(piece);
        while let Some(decoded) = decoder.next_decoded() {
            take(decoded);
        }
    }
    while let Some(decoded) = decoder.next_after_gap() {
        take(decoded);
    }
    assert_eq!(taken, given);
});
