//! What cameras answer: WS-Discovery datagrams and SOAP answers, read without a panic and in bounded memory.
#![no_main]

use device_drivers::camera::onvif::{describe, discovery, ptz, soap::{Answer, declared}};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for found in discovery::read_matches(text, std::net::Ipv4Addr::new(10, 0, 0, 2).into(), None) {
        assert!(!found.xaddrs.is_empty() && found.xaddrs.len() <= 16);
    }
    let text = &declared(text.to_owned());
    let _read = describe::read_any(text);
    let _presets = ptz::read_presets(text);
    if let Ok(answer) = Answer::parse(text) {
        let _fault = answer.fault();
    }
});
