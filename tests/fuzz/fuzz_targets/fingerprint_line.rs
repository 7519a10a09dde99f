//! What fingerprint modules of both families may say.
#![no_main]

use device_drivers::attendance::fingerprint::{aa55, ef01};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, u32, u8, Vec<u8>)| {
    let (pieces, address, kind, payload) = input;
    let (mut ef01, mut aa55) = (ef01::Decoder::default(), aa55::Decoder::default());
    for piece in &pieces {
        ef01.push(piece);
        while let Some(packet) = ef01.next_packet() {
            assert!(packet.payload.len() <= 256);
            for instruction in [
                ef01::Instruction::VerifyPassword(0),
                ef01::Instruction::ReadParameters,
                ef01::Instruction::CountEnrolled,
                ef01::Instruction::Search { count: 300 },
            ] {
                if let Some(answer) = ef01::read_answer(instruction, &packet) {
                    let _parameters = ef01::Parameters::read(&answer.results);
                    let _match = ef01::read_match(&answer.results);
                }
            }
        }
        aa55.push(piece);
        while let Some(packet) = aa55.next_packet() {
            let _answer = aa55::read_answer(packet);
        }
    }
    // A packet that we write is read again.
    if (1..=256).contains(&payload.len()) && matches!(kind, 1 | 2 | 7 | 8) {
        let packet = ef01::Packet::new(address, kind, payload);
        let mut decoder = ef01::Decoder::default();
        decoder.push(&packet.encode());
        assert_eq!(decoder.next_packet(), Some(packet));
    }
    let packet = aa55::Packet { command: u16::from(kind), parameter: address };
    let mut decoder = aa55::Decoder::default();
    decoder.push(&packet.encode());
    assert_eq!(decoder.next_packet(), Some(packet));
});
