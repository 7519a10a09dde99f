//! The texts of a delivery of footage: what is read is written back as what was read, and a segment's name is only looked at.
#![no_main]

use control_protocol::footage::{FootageAnswer, FootageAsk, SendBytes, run_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(ask) = serde_json::from_str::<FootageAsk>(text) {
        let again = serde_json::to_string(&ask).unwrap();
        assert_eq!(serde_json::from_str::<FootageAsk>(&again).unwrap(), ask);
    }
    if let Ok(answer) = serde_json::from_str::<FootageAnswer>(text) {
        let again = serde_json::to_string(&answer).unwrap();
        assert!(serde_json::from_str::<FootageAnswer>(&again).is_ok());
    }
    let _ = serde_json::from_str::<SendBytes>(text);
    if let Some(run) = run_of(text) {
        assert!(text.contains(&run.to_string()) || text.contains("-0") || text.contains("-+"));
    }
});
