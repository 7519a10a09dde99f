//! What answers on an RTSP port: read or left, and its name is fit to be shown.
#![no_main]

use device_drivers::camera::rtsp_search::read_options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    if let Some(Some(name)) = read_options(answer) {
        assert!(!name.is_empty() && name.chars().count() <= 128 && !name.chars().any(char::is_control));
    }
});
