//! A hall's own profile: sound or refused with words, never a panic; what is sound decodes whatever comes.
#![no_main]

use device_drivers::profile::Profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, bytes) = input;
    match Profile::parse("fuzz.toml", text) {
        Ok(profile) => {
            let mut decoder = profile.decoder();
            decoder.push(bytes);
            while decoder.next_decoded().is_some() {}
            while decoder.next_after_gap().is_some() {}
            assert!(!decoder.is_partial());
        }
        Err(why) => assert!(!why.what.is_empty()),
    }
});
