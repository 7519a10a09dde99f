//! What an attendance terminal may ask over HTTP, and the lines that it sends.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use device_drivers::{
    attendance::push::{
        PushConfig, PushTerminal,
        desk::{Desk, Outcome, Request},
        text::{Version, lines, read_punch, read_result},
    },
    clock::Mono,
};
use jiff::civil::date;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<(bool, String, String)>, Vec<u8>)| {
    let (requests, body) = input;
    assert!(lines(&body).filter_map(read_punch).count() <= lines(&body).count());
    for line in lines(&body) {
        let _result = read_result(line);
    }
    let terminal =
        PushTerminal { position: "a".into(), serial: "S1".into(), comm_key: None, address: None };
    let mut desk = Desk::new(PushConfig::new(vec![terminal], 480));
    let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for (n, (post, path, query)) in requests.into_iter().enumerate() {
        let _version = Version::read(&query);
        let (path, query) = (format!("/iclock/{path}"), format!("SN=S1&{query}"));
        let request = Request { post, path: &path, query: &query, body: &body, from };
        let now = Mono(n as u64 * 1_000_000);
        if let Outcome::Store(upload) = desk.take(&request, now, date(2026, 11, 22).at(8, 0, 0, 0)) {
            assert!(desk.fresh(&upload).len() <= upload.count);
            assert_eq!(desk.stored(&upload).text, format!("OK:{}\n", upload.count));
            assert!(desk.fresh(&upload).is_empty());
        }
    }
});
