//! The decoder by the shipped layouts and by invented ones: cutting, resynchronisation, bounded memory.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::profile::{Args, Profile, shipped::Library};

fn hex(s: &str) -> Vec<u8> {
    crate::profile::source::hex(s).unwrap()
}

static SHIPPED: LazyLock<Library> = LazyLock::new(|| Library::shipped().unwrap());

fn shipped(name: &str) -> Arc<Profile> {
    SHIPPED.get(name).unwrap()
}

fn ff68() -> Arc<Profile> {
    shipped("ff68-counter-bus")
}

/// A profile that is only its frame.
fn framed(frame: &str, test: &str) -> Profile {
    let text = format!(
        "profile = \"x\"\n[transport]\nkind = \"serial\"\n[frame]\n{frame}\n[[message]]\nevent = \"Said\"\n\
         [[test]]\nhex = \"{test}\"\nexpect = {{ event = \"Said\" }}\n"
    );
    Profile::parse("x.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn all(decoder: &mut Decoder, gap: bool) -> Vec<Decoded> {
    std::iter::from_fn(|| decoder.next_decoded().or_else(|| gap.then(|| decoder.next_after_gap()).flatten()))
        .collect()
}

fn frames(found: &[Decoded]) -> Vec<Vec<u8>> {
    let raw = |d: &Decoded| match d {
        Decoded::Frame { raw, .. } => Some(raw.to_vec()),
        Decoded::Refused { .. } => None,
    };
    found.iter().filter_map(raw).collect()
}

#[test]
fn a_bad_checksum_costs_only_itself() {
    let good = hex("FF 68 03 03 68 03 01 0C 10 16");
    let bad = hex("FF 68 03 03 68 03 11 03 18 16");
    let mut decoder = ff68().decoder();
    decoder.push(&[bad.clone(), bad.clone(), good.clone()].concat());
    let found = all(&mut decoder, false);
    assert_eq!(
        found[0],
        Decoded::Refused { raw: [bad.clone(), bad].concat().into(), why: Reject::Checksum, frames: 2 }
    );
    assert_eq!(frames(&found), [good]);
}

#[test]
fn a_frame_behind_a_false_start_is_found_when_the_line_falls_silent() {
    let good = hex("FF 68 03 03 68 03 01 0C 10 16");
    let mut decoder = ff68().decoder();
    decoder.push(&[hex("FF 68 10 10 68"), good.clone()].concat());
    assert_eq!(decoder.next_decoded(), None);
    assert!(matches!(decoder.next_after_gap(), Some(Decoded::Refused { why: Reject::Unfinished, .. })));
    assert_eq!(frames(&all(&mut decoder, true)), [good]);
    assert!(!decoder.is_partial());
}

#[test]
fn an_escaped_frame_is_cut_where_its_real_tail_is() {
    let profile = shipped("cp5200-led");
    let mut wire = hex("A5 E8 32 AA 05 7B 00 01 00 00 00 00 3B 02 AE");
    let one = wire.clone();
    // A start in the middle of a frame begins anew.
    wire.splice(0..0, hex("A5 E8 32 01"));
    wire.extend(one.clone());
    let mut decoder = profile.decoder();
    decoder.push(&wire);
    let found = all(&mut decoder, false);
    assert_eq!(frames(&found), [one.clone(), one]);
    let Decoded::Frame { frame, .. } = &found[1] else { panic!() };
    assert_eq!(frame[3], 0xA5);
}

#[test]
fn a_tail_that_is_also_content_does_not_end_a_checked_frame() {
    let frame = "header = \"02\"\ntail = \"03\"\nmin = 4\nmax = 12\nchecksum = { kind = \"xor8\", from = 1, at = -2 }";
    let profile = framed(frame, "02 41 03 42 00 03");
    let mut decoder = profile.decoder();
    for byte in hex("02 41 03 42 00 03") {
        assert!(decoder.next_decoded().is_none());
        decoder.push(&[byte]);
    }
    assert_eq!(all(&mut decoder, false).len(), 1);
}

#[test]
fn a_silence_ends_frames_that_say_no_length() {
    let profile = shipped("modbus-rtu");
    let (answer, exception) = (hex("01 03 04 00 01 00 02 2A 32"), hex("01 83 02 C0 F1"));
    let mut decoder = profile.decoder();
    decoder.push(&answer[..4]);
    decoder.push(&answer[4..]);
    assert_eq!(decoder.next_decoded(), None);
    assert_eq!(frames(&all(&mut decoder, true)), std::slice::from_ref(&answer));
    // Noise before it and a second frame glued to it: the CRC finds both.
    decoder.push(&[vec![0x55, 0x00], answer.clone(), exception.clone()].concat());
    assert_eq!(frames(&all(&mut decoder, true)), [answer, exception]);
}

#[test]
fn devices_of_several_profiles_share_a_line() {
    let profiles = ["ff68-counter-bus", "led-strip-colour", "led-strip-mono"].map(shipped);
    let mut decoder = Profile::decoder_of(&profiles);
    decoder.push(&hex("A0 90 01 A5 AA FF 68 03 03 68 03 01 0C 10 16 99"));
    let found = all(&mut decoder, true);
    assert!(matches!(&found[0], Decoded::Frame { layout: 1, .. }), "{found:?}");
    assert!(matches!(&found[1], Decoded::Frame { layout: 0, .. }), "{found:?}");
    assert!(matches!(&found[2], Decoded::Refused { .. }), "{found:?}");
}

#[test]
fn endless_noise_is_reported_and_not_hoarded() {
    for profile in SHIPPED.iter() {
        let mut decoder = profile.decoder();
        for n in 0..400u32 {
            decoder.push(&[(n % 251) as u8; 100]);
            all(&mut decoder, false);
            assert!(decoder.held() <= profile.longest() * 2 + NOISE_REPORT + 100, "{}", profile.name());
        }
    }
}

fn key_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let one =
        (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..14)).prop_map(|(a, f, d)| {
            let len = (d.len() + 2) as u8;
            let sum = d.iter().fold(a.wrapping_add(f), |s, b| s.wrapping_add(*b));
            [vec![0xFF, 0x68, len, len, 0x68, a, f], d, vec![sum, 0x16]].concat()
        });
    proptest::collection::vec(one, 1..8)
}

/// The host's frames, read as the card does.
static CARD: LazyLock<Profile> = LazyLock::new(|| {
    let text =
        crate::profile::shipped::SHIPPED.iter().find(|(file, _)| *file == "cp5200-led.toml").unwrap().1;
    let from = text.find("[frame]").unwrap();
    let to = text.find("[out]").unwrap();
    let card = [&text[..from], "[frame]\nlength = { offset = 6, width = 2, endian = \"little\", add = 13 }\nheader = \"A5\"\ntail = \"AE\"\nmax = 300\nchecksum = { kind = \"sum16\", from = 1, at = -3, endian = \"little\" }\nescape = { marker = \"AA\", map = { \"A5\" = \"05\", \"AE\" = \"0E\", \"AA\" = \"0A\" } }\n[fields]\naddress = { offset = 3 }\n[[message]]\nevent = \"Said\"\n[[test]]\nhex = \"A5 68 32 01 7B FF 01 00 00 00 06 1C 02 AE\"\nexpect = { event = \"Said\" }\n"].concat();
    assert!(to > from);
    Profile::parse("card", &card).unwrap()
});

proptest! {
    #[test]
    fn frames_survive_any_cutting(sent in key_frames(), cut in 1usize..40) {
        let mut decoder = ff68().decoder();
        let mut found = Vec::new();
        for piece in sent.concat().chunks(cut) {
            decoder.push(piece);
            found.extend(all(&mut decoder, false));
        }
        prop_assert_eq!(found.len(), sent.len());
        prop_assert_eq!(frames(&found), sent);
        prop_assert!(!decoder.is_partial());
    }

    /// Every byte comes out once; after a silence the next frame of any shipped profile is read whole.
    #[test]
    fn any_bytes_then_silence_then_a_frame(noise in proptest::collection::vec(any::<u8>(), 0..600), which in 0usize..5) {
        let (name, frame) = [
            ("ff68-counter-bus", "FF 68 03 03 68 03 01 0C 10 16"),
            ("cp5200-led", "A5 E8 32 01 7B 00 01 00 00 00 00 97 01 AE"),
            ("modbus-rtu", "01 83 02 C0 F1"),
            ("dwin-dgus", "5A A5 03 82 4F 4B"),
            ("led-strip-colour", "A0 90 01 A5 AA"),
        ][which];
        let mut decoder = shipped(name).decoder();
        let mut seen = 0;
        decoder.push(&noise);
        for decoded in all(&mut decoder, true) {
            seen += match decoded { Decoded::Frame { raw, .. } | Decoded::Refused { raw, .. } => raw.len() };
        }
        prop_assert_eq!(seen, noise.len());
        decoder.push(&hex(frame));
        prop_assert_eq!(frames(&all(&mut decoder, true)), [hex(frame)]);
    }

    /// Whatever a command says, the decoder of the same layout reads it: escapes, length and checksum agree both ways.
    #[test]
    fn what_is_written_is_read(x: u16, y: u16, width: u16, height: u16, address: u8) {
        let host = shipped("cp5200-led");
        let args: Args = [("x", x), ("y", y), ("width", width), ("height", height), ("address", u16::from(address))]
            .into_iter().map(|(name, n)| (name.to_owned(), u64::from(n).into())).collect();
        let wire = host.encode("one_window", &args).unwrap();
        let mut decoder = CARD.decoder();
        decoder.push(&wire);
        let found = all(&mut decoder, false);
        prop_assert_eq!(found.len(), 1);
        let Decoded::Frame { frame, .. } = &found[0] else { return Err(TestCaseError::fail("refused")) };
        prop_assert_eq!(frame.len(), 23);
        prop_assert_eq!(CARD.understand(frame).address, address);
        prop_assert_eq!(&frame[12..14], &x.to_be_bytes());
    }
}
