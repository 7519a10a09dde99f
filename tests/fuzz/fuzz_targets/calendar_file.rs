//! A signed calendar from outside, and a shift as a person writes it.
#![no_main]

use control_center::attendance::{Shift, calendar::{CalendarYear, SignedCalendar}};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(signed) = serde_json::from_str::<SignedCalendar>(text) {
        let _opened = signed.open();
    }
    if let Ok(year) = serde_json::from_str::<CalendarYear>(text) {
        let _checked = year.check();
    }
    if let Ok(shift) = serde_json::from_str::<Shift>(text) {
        let _checked = shift.check();
    }
});
