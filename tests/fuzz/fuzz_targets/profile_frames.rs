//! Bytes on lines that speak by the shipped profiles: every byte comes out once, in a frame or refused; memory is bounded;
//! whatever a frame says, it can be answered.
#![no_main]

use std::sync::{Arc, LazyLock};

use device_drivers::profile::{Decoded, Decoder, Profile, decoder::NOISE_REPORT, shipped::Library};
use libfuzzer_sys::fuzz_target;

static PROFILES: LazyLock<Vec<Arc<Profile>>> =
    LazyLock::new(|| Library::shipped().expect("the shipped profiles are sound").iter().cloned().collect());

fn run(profiles: &[Arc<Profile>], mut decoder: Decoder, pieces: &[Vec<u8>]) {
    let longest: usize = profiles.iter().map(|profile| profile.longest()).max().unwrap_or(0);
    let mut given = Vec::new();
    let mut taken = Vec::new();
    let mut take = |decoded: Decoded| match decoded {
        Decoded::Frame { layout, frame, raw } => {
            let profile = &profiles[layout];
            let meaning = profile.understand(&frame);
            let _answer = profile.acknowledge(&meaning, &frame, &raw, None);
            let _other = profile.acknowledge(&meaning, &frame, &raw, Some("b"));
            taken.extend_from_slice(&raw);
        }
        Decoded::Refused { raw, frames, .. } => {
            assert!(frames >= 1 && !raw.is_empty());
            taken.extend_from_slice(&raw);
        }
    };
    for piece in pieces {
        given.extend_from_slice(piece);
        decoder.push(piece);
        while let Some(decoded) = decoder.next_decoded() {
            take(decoded);
        }
        assert!(decoder.held() <= longest * 2 + NOISE_REPORT + piece.len());
    }
    while let Some(decoded) = decoder.next_after_gap() {
        take(decoded);
    }
    assert_eq!(taken, given);
}

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (which, pieces) = input;
    let which = usize::from(which) % (PROFILES.len() + 1);
    match PROFILES.get(which) {
        Some(profile) => run(std::slice::from_ref(profile), profile.decoder(), &pieces),
        None => run(&PROFILES, Profile::decoder_of(&PROFILES), &pieces),
    }
});
