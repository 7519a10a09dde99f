//! The edge agent's configuration: sound or refused with words, never a panic.
#![no_main]

use edge_agent::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(text) {
        Ok(config) => {
            assert!(config.cameras.iter().all(|camera| !camera.entry().url.contains('@')));
            let _places = config.position_windows();
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
