//! A text message as a modem gives it: what reads can be written again and reads the same; parts are put together in
//! bounded memory.
#![no_main]

use device_drivers::{
    clock::Mono,
    sms::{
        parts::Assembly,
        pdu::{Deliver, StatusReport, Submit},
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pdus: Vec<Vec<u8>>| {
    let mut assembly = Assembly::default();
    for (at, pdu) in pdus.iter().enumerate() {
        let hex: String = pdu.iter().map(|octet| format!("{octet:02X}")).collect();
        if let Ok(message) = Submit::decode(&hex)
            && let Ok(encoded) = message.encode()
        {
            assert_eq!(Submit::decode(&encoded.hex).as_ref(), Ok(&message));
        }
        if let Ok(message) = Deliver::decode(&hex) {
            let whole = assembly.take(message, at, Mono(at as u64));
            assert!(whole.is_none_or(|whole| whole.complete && whole.stored.contains(&at)));
            while assembly.give_up(Mono(at as u64)).is_some() {}
            assert!(assembly.unfinished() <= 64);
        }
        let _ = StatusReport::decode(&hex);
        let _ = Deliver::decode(&String::from_utf8_lossy(pdu));
    }
});
