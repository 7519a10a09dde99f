//! 10⁸ random bytes through each parser of what attendance devices say: no panic, bounded memory, and in step again at the
//! next sound packet. Takes minutes: `cargo test -p device-drivers --test attendance_random_bytes -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use bytes::Bytes;
use device_drivers::{
    attendance::{
        fingerprint::{aa55, ef01},
        push::{
            PushConfig, PushTerminal,
            desk::{Desk, Outcome, Request},
            text::{lines, read_punch, read_result},
        },
        zk::{
            packet::{Packet, PacketDecoder, unpack_time},
            records::{Capacity, read_events, read_log},
            users::{NameEncoding, read_users},
        },
    },
    clock::Mono,
};

const BYTES: usize = 100_000_000;

/// xorshift64*: the same bytes each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap() % limit
    }

    fn fill(&mut self, piece: &mut [u8]) {
        for eight in piece.chunks_mut(8) {
            let bytes = self.roll().to_be_bytes();
            eight.copy_from_slice(&bytes[..eight.len()]);
        }
    }
}

/// Feeds noise, with a lure from `lures` before some of it.
fn feed(name: &str, lures: &[&[u8]], mut take: impl FnMut(&mut Dice, &[u8])) {
    let began = Instant::now();
    let mut dice = Dice(0x5EED);
    let mut fed = 0;
    let mut piece = [0u8; 1500];
    while fed < BYTES {
        let size = 1 + dice.below(piece.len());
        dice.fill(&mut piece[..size]);
        let lure = lures[dice.below(lures.len())];
        let at = dice.below(size);
        let fits = lure.len().min(size - at);
        piece[at..at + fits].copy_from_slice(&lure[..fits]);
        fed += size;
        take(&mut dice, &piece[..size]);
    }
    println!("{name}: {fed} random bytes in {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
#[ignore = "long"]
fn zk_packets_and_tables() {
    let sound = Packet::new(2000, 7, 9, &b"sound"[..]);
    let mut kept = 0u64;
    feed(
        "ZK 4370",
        &[b"", b"\x50\x50\x82\x7d", b"\x50\x50\x82\x7d\x40\0\0\0", &[0x28, 0, 0, 0]],
        |dice, piece| {
            let mut decoder = PacketDecoder::default();
            decoder.push(piece);
            while let Ok(Some(packet)) = decoder.next_packet() {
                kept += packet.payload.len() as u64;
            }
            // A connection that is out of step is closed; the next one begins in step.
            let mut decoder = PacketDecoder::default();
            decoder.push(&sound.encode());
            decoder.push(piece);
            assert_eq!(decoder.next_packet().unwrap().unwrap(), sound);
            let _ = Packet::decode(Bytes::copy_from_slice(piece));
            let _ = (Capacity::read(piece), read_events(piece));
            // A table of as many bytes as it says.
            let mut table = ((piece.len()) as u32).to_le_bytes().to_vec();
            table.extend(piece);
            let table = Bytes::from(table);
            for size in [8, 16, 40, 28, 72, 1 + dice.below(80)] {
                let count = (piece.len() / size) as u32;
                let whole = table.slice(..4 + count as usize * size);
                let mut whole = whole.to_vec();
                whole[..4].copy_from_slice(&(count * size as u32).to_le_bytes());
                let whole = Bytes::from(whole);
                if let Ok(log) = read_log(&whole, count) {
                    assert!(log.punches.len() + log.undated <= count as usize);
                }
                if let Ok(users) = read_users(&whole, count, NameEncoding::Gbk) {
                    assert!(users.len() <= count as usize);
                }
            }
            let _ = unpack_time(dice.roll() as u32);
        },
    );
    println!("ZK 4370: {kept} bytes of payload kept");
}

#[test]
#[ignore = "long"]
fn fingerprint_lines() {
    let sound = ef01::Packet::new(ef01::DEFAULT_ADDRESS, ef01::kind::ACKNOWLEDGE, &[0u8, 0, 5, 0, 120][..]);
    let mut decoder = ef01::Decoder::default();
    let mut checks = 0u64;
    feed("EF 01", &[b"", b"\xef\x01", b"\xef\x01\xff\xff\xff\xff\x07\x01\x02"], |dice, piece| {
        decoder.push(piece);
        while let Some(packet) = decoder.next_packet() {
            let _ = ef01::read_answer(ef01::Instruction::Search { count: 300 }, &packet);
        }
        if dice.below(50) == 0 {
            // In step again within the longest packet that the noise may have begun.
            decoder.push(&[0; 300]);
            decoder.push(&sound.encode());
            let last = std::iter::from_fn(|| decoder.next_packet()).last();
            assert_eq!(last.as_ref(), Some(&sound));
            checks += 1;
        }
    });
    println!("EF 01: in step again {checks} times");
    let sound = aa55::Packet { command: aa55::code::ACK, parameter: 5 };
    let mut decoder = aa55::Decoder::default();
    feed("55 AA", &[b"", b"\x55\xaa", b"\x55\xaa\x01\x00"], |dice, piece| {
        decoder.push(piece);
        while let Some(packet) = decoder.next_packet() {
            let _ = aa55::read_answer(packet);
        }
        if dice.below(50) == 0 {
            decoder.push(&[0; 12]);
            decoder.push(&sound.encode());
            assert_eq!(std::iter::from_fn(|| decoder.next_packet()).last(), Some(sound));
        }
    });
}

#[test]
#[ignore = "long"]
fn push_requests() {
    let terminal = PushTerminal { position: "a".into(), serial: "S1".into(), comm_key: None, address: None };
    let mut desk = Desk::new(PushConfig::new(vec![terminal], 480));
    let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let local = jiff::civil::date(2026, 11, 22).at(8, 0, 0, 0);
    let mut now = 0u64;
    let lures: [&[u8]; 4] =
        [b"", b"\n1001\t2024-03-05 08:59:01\t0\t1\n", b"1\t2024-03-05 08:59:01\t", b"\nID=T1&Return=0\n"];
    feed("PUSH", &lures, |dice, piece| {
        for line in lines(piece) {
            let _ = (read_punch(line), read_result(line));
        }
        now += 1_000_000;
        let text: String = piece.iter().take(dice.below(60)).map(|b| char::from(b & 0x7F)).collect();
        let query = format!("SN=S1&table=ATTLOG&Stamp={text}");
        let request = Request { post: true, path: "/iclock/cdata", query: &query, body: piece, from };
        if let Outcome::Store(upload) = desk.take(&request, Mono(now), local) {
            assert_eq!(desk.stored(&upload).text, format!("OK:{}\n", upload.count));
        }
        let request = Request { path: &text, query: &text, ..request };
        let _ = desk.take(&request, Mono(now), local);
    });
    assert!(desk.callers().len() <= 65);
}
