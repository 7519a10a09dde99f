//! A WebSocket's bytes are read or refused at either end; however they are cut, the same messages come out.
#![no_main]

use control_protocol::websocket::{Decoder, Message, Role};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

fn read(role: Role, bytes: &[u8], piece: usize) -> (Vec<Message>, bool) {
    let mut decoder = Decoder::new(role, LIMIT);
    let mut messages = Vec::new();
    for mut input in bytes.chunks(piece) {
        loop {
            match decoder.take(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, false),
            }
        }
    }
    (messages, true)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    for role in [Role::Client, Role::Server] {
        let whole = read(role, bytes, bytes.len().max(1));
        assert_eq!(whole, read(role, bytes, usize::from(piece).max(1)));
        for message in whole.0 {
            if let Message::Binary(payload) = message {
                assert!(payload.len() <= LIMIT);
            }
        }
    }
});
