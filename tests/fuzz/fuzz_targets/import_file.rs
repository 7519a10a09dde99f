//! The centre's import file, as TOML and as JSON.
#![no_main]

use control_center::areas::import::ImportFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _toml = toml::from_str::<ImportFile>(text);
    let _json = serde_json::from_str::<ImportFile>(text);
});
