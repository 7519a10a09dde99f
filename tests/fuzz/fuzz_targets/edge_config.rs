//! The edge agent's configuration: sound or refused with words, never a panic.
#![no_main]

use edge_agent::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(text) {
        Ok(config) => {
            let _cameras = config.camera_entries();
            let _positions = config.position_entries();
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
