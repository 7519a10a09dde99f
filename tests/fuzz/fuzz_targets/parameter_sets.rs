//! Decoder configuration records as a camera may send them.
#![no_main]

use device_drivers::camera::parameter_sets::{Codec, reorders};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    let _h264 = reorders(Codec::H264, record);
    let _h265 = reorders(Codec::H265, record);
});
