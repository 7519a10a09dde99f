//! 10⁸ random bytes through the decoder of every shipped profile: no panic, bounded memory, no byte lost, and in step again
//! at the next frame. Takes minutes: `cargo test --release -p device-drivers --test profile_random_bytes -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{sync::Arc, time::Instant};

use device_drivers::profile::{Decoded, Profile, decoder::NOISE_REPORT, shipped::Library};

const BYTES: usize = 100_000_000;
const PIECE: usize = 64;

/// xorshift64*: the same bytes each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// A sound frame of each profile that hears anything.
const SOUND: [(&str, &[u8]); 8] = [
    ("ff68-counter-bus", &[0xFF, 0x68, 3, 3, 0x68, 3, 1, 0x0C, 0x10, 0x16]),
    ("led-strip-colour", &[0xA0, 0x90, 1, 0xA5, 0xAA]),
    ("syn6288-voice", &[0x4F]),
    ("dwin-dgus", &[0x5A, 0xA5, 3, 0x82, 0x4F, 0x4B]),
    ("dwin-dgus-crc", &[0x5A, 0xA5, 0x05, 0x82, 0x4F, 0x4B, 0xA5, 0xEF]),
    ("cp5200-led", &[0xA5, 0xE8, 0x32, 1, 0x7B, 0, 1, 0, 0, 0, 0, 0x97, 1, 0xAE]),
    ("usb-boot-keyboard-evaluator", &[0, 0, 0x1E, 0, 0, 0, 0, 0]),
    ("modbus-rtu", &[1, 0x83, 2, 0xC0, 0xF1]),
];

fn through(profile: &Arc<Profile>, sound: &[u8]) {
    let began = Instant::now();
    let mut dice = Dice(0x5EED);
    let mut decoder = profile.decoder();
    let most = profile.longest() * 2 + NOISE_REPORT + PIECE;
    let (mut fed, mut seen, mut frames, mut in_step) = (0, 0, 0u64, 0u64);
    // Bytes that begin like the protocol reach further into the decoder than dice alone.
    let opening = &sound[..sound.len().min(3)];
    while fed < BYTES {
        let mut piece: Vec<u8> = (0..PIECE / 8).flat_map(|_| dice.roll().to_be_bytes()).collect();
        if dice.roll().is_multiple_of(2) {
            let at = (dice.roll() % 32) as usize;
            piece[at..at + opening.len()].copy_from_slice(opening);
        }
        fed += piece.len();
        decoder.push(&piece);
        while let Some(decoded) = decoder.next_decoded() {
            seen += match decoded {
                Decoded::Frame { frame, raw, .. } => {
                    frames += 1;
                    let meaning = profile.understand(&frame);
                    let _answer = profile.acknowledge(&meaning, &frame, &raw, None);
                    raw.len()
                }
                Decoded::Refused { raw, .. } => raw.len(),
            };
        }
        assert!(decoder.held() <= most, "{}: {} bytes held", profile.name(), decoder.held());
        if dice.roll().is_multiple_of(256) {
            while let Some(decoded) = decoder.next_after_gap() {
                let (Decoded::Frame { raw, .. } | Decoded::Refused { raw, .. }) = decoded;
                seen += raw.len();
            }
            assert_eq!(seen, fed, "{}: bytes were lost", profile.name());
            decoder.push(sound);
            let found = decoder.next_decoded().or_else(|| decoder.next_after_gap());
            assert!(
                matches!(found, Some(Decoded::Frame { ref raw, .. }) if raw == sound),
                "{}: {found:?}",
                profile.name()
            );
            in_step += 1;
        }
    }
    let name = profile.name();
    println!(
        "{name}: {fed} bytes, {frames} frames in them, {in_step} times in step again, {:.1?}",
        began.elapsed()
    );
    assert!(in_step > 1000);
}

fn profile(name: &str) -> Arc<Profile> {
    Arc::new(Library::one_shipped(name).unwrap())
}

#[test]
#[ignore = "long"]
fn every_shipped_profile() {
    let running = SOUND.map(|(name, sound)| std::thread::spawn(move || through(&profile(name), sound)));
    for thread in running {
        thread.join().unwrap();
    }
}

/// The frames above are sound, so that the long test cannot pass by hearing nothing.
#[test]
fn the_sound_frames_are_sound() {
    for (name, sound) in SOUND {
        let mut decoder = profile(name).decoder();
        decoder.push(sound);
        let found = decoder.next_decoded().or_else(|| decoder.next_after_gap());
        assert!(matches!(found, Some(Decoded::Frame { ref raw, .. }) if raw == sound), "{name}: {found:?}");
    }
}
