//! The `EF 01` family: ZFM-20, R30x, AS608, FPM10A, R503 and clones (docs/reference/devices.md A3.1).
//!
//! Owns packets and the instructions that identifying needs. What reads or writes templates and images has no name here.

use bytes::{Buf, Bytes, BytesMut};

const HEAD: [u8; 2] = [0xEF, 0x01];
/// Head, address, kind, length, checksum.
const FRAME: usize = 11;
/// Longest payload: a data packet of the largest size.
const PAYLOAD: usize = 256;
/// Any module answers to it unless it was given another.
pub const DEFAULT_ADDRESS: u32 = u32::MAX;

/// Kinds of packets.
pub mod kind {
    /// To the module.
    pub const COMMAND: u8 = 1;
    /// From the module.
    pub const ACKNOWLEDGE: u8 = 7;
}

/// Confirm codes that matter to identifying.
pub mod confirm {
    #![allow(missing_docs)]
    pub const OK: u8 = 0x00;
    pub const RECEIVE_ERROR: u8 = 0x01;
    pub const NO_FINGER: u8 = 0x02;
    pub const IMAGE_FAILED: u8 = 0x03;
    pub const MESSY: u8 = 0x06;
    pub const FEW_FEATURES: u8 = 0x07;
    pub const NOT_FOUND: u8 = 0x09;
    pub const WRONG_PASSWORD: u8 = 0x13;
    pub const NO_IMAGE: u8 = 0x15;
    pub const PASSWORD_FIRST: u8 = 0x21;
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The module's address.
    pub address: u32,
    /// See [`kind`].
    pub kind: u8,
    /// Instruction and parameters, or confirm code and results.
    pub payload: Bytes,
}

impl Packet {
    /// A packet of these parts.
    pub fn new(address: u32, kind: u8, payload: impl Into<Bytes>) -> Self {
        Self { address, kind, payload: payload.into() }
    }

    /// The bytes on the line.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRAME + self.payload.len());
        out.extend(HEAD);
        out.extend(self.address.to_be_bytes());
        out.push(self.kind);
        out.extend((self.payload.len() as u16 + 2).to_be_bytes());
        out.extend_from_slice(&self.payload);
        out.extend(sum(&out[6..]).to_be_bytes());
        out
    }
}

fn sum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(u16::from(*byte)))
}

/// Cuts a line's bytes into packets; a byte that fits nowhere costs one byte.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    bad: u64,
    lost: bool,
}

impl Decoder {
    /// Takes bytes as they came. Take the packets out before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet; `None` when more bytes are needed.
    pub fn next_packet(&mut self) -> Option<Packet> {
        loop {
            let known = self.buffer.len().min(HEAD.len());
            if known == 0 || self.buffer[..known] != HEAD[..known] {
                if known == 0 {
                    return None;
                }
                self.skip();
                continue;
            }
            let head = self.buffer.get(..9)?;
            let size = usize::from(u16::from_be_bytes([head[7], head[8]]));
            if !(3..=PAYLOAD + 2).contains(&size) || !matches!(head[6], 1 | 2 | 7 | 8) {
                self.skip();
                continue;
            }
            let frame = self.buffer.get(..9 + size)?;
            let (body, checksum) = frame.split_at(7 + size);
            if sum(&body[6..]).to_be_bytes() != *checksum {
                self.skip();
                continue;
            }
            self.lost = false;
            let mut frame = self.buffer.split_to(9 + size).freeze();
            frame.advance(2);
            let (address, kind) = (frame.get_u32(), frame.get_u8());
            frame.advance(2);
            let payload = frame.slice(..size - 2);
            return Some(Packet { address, kind, payload });
        }
    }

    fn skip(&mut self) {
        self.buffer.advance(1);
        if !self.lost {
            self.lost = true;
            self.bad += 1;
        }
    }

    /// Forgets what is there of a packet.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Runs of bytes that were no packet, so far.
    pub fn bad(&self) -> u64 {
        self.bad
    }
}

/// What the module is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Whether the password is right.
    VerifyPassword(u32),
    /// Its parameters.
    ReadParameters,
    /// How many fingers it knows.
    CountEnrolled,
    /// Look at the finger; its picture stays in the module.
    Look,
    /// Make features of it, in the module's first buffer.
    Extract,
    /// Which slot has these features, of slots `0..count`.
    Search {
        /// Slots to search.
        count: u16,
    },
}

impl Instruction {
    /// Its payload.
    pub fn payload(self) -> Vec<u8> {
        match self {
            Self::VerifyPassword(password) => [&[0x13][..], &password.to_be_bytes()].concat(),
            Self::ReadParameters => vec![0x0F],
            Self::CountEnrolled => vec![0x1D],
            Self::Look => vec![0x01],
            Self::Extract => vec![0x02, 1],
            Self::Search { count } => [&[0x04, 1, 0, 0][..], &count.to_be_bytes()].concat(),
        }
    }

    /// Bytes of results after a confirm code of success.
    pub fn results(self) -> usize {
        match self {
            Self::VerifyPassword(_) | Self::Look | Self::Extract => 0,
            Self::ReadParameters => 16,
            Self::CountEnrolled => 2,
            Self::Search { .. } => 4,
        }
    }
}

/// An answer: the confirm code and, after success, the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// See [`confirm`].
    pub confirm: u8,
    /// Results.
    pub results: Bytes,
}

/// Reads a packet as the answer to an instruction; `None` if it cannot be.
pub fn read_answer(instruction: Instruction, packet: &Packet) -> Option<Answer> {
    let mut results = packet.payload.clone();
    if packet.kind != kind::ACKNOWLEDGE || results.is_empty() {
        return None;
    }
    let confirm = results.get_u8();
    let enough = confirm != confirm::OK || results.len() == instruction.results();
    enough.then_some(Answer { confirm, results })
}

/// What the module says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Slots it has.
    pub capacity: u16,
    /// How strictly it compares, 1 to 5.
    pub security: u16,
    /// Its address.
    pub address: u32,
    /// Bits per second.
    pub baud: u32,
}

impl Parameters {
    /// Reads the results of [`Instruction::ReadParameters`]; `None` if they are too short.
    pub fn read(results: &[u8]) -> Option<Self> {
        let mut rest = results.get(4..16)?;
        let (capacity, security, address) = (rest.get_u16(), rest.get_u16(), rest.get_u32());
        let (_packet_size, rate) = (rest.get_u16(), rest.get_u16());
        Some(Self { capacity, security, address, baud: 9600 * u32::from(rate) })
    }
}

/// The slot and the score of a search that found one.
pub fn read_match(results: &[u8]) -> Option<(u16, u16)> {
    let mut rest = results.get(..4)?;
    Some((rest.get_u16(), rest.get_u16()))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    fn hex(s: &str) -> Vec<u8> {
        HEXLOWER.decode(s.replace(' ', "").as_bytes()).unwrap()
    }

    fn decode(bytes: &[u8]) -> Packet {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        decoder.next_packet().unwrap()
    }

    /// Requests of docs/reference/devices.md A3.1.
    #[test]
    fn requests() {
        for (instruction, wire) in [
            (Instruction::VerifyPassword(0), "ef01ffffffff01000713 00000000 001b"),
            (Instruction::Look, "ef01ffffffff010003010005"),
            (Instruction::Extract, "ef01ffffffff01000402010008"),
            (Instruction::Search { count: 300 }, "ef01ffffffff0100080401 0000 012c 003b"),
            (Instruction::CountEnrolled, "ef01ffffffff0100031d0021"),
            (Instruction::ReadParameters, "ef01ffffffff0100030f0013"),
        ] {
            let packet = Packet::new(DEFAULT_ADDRESS, kind::COMMAND, instruction.payload());
            assert_eq!(HEXLOWER.encode(&packet.encode()), wire.replace(' ', ""), "{instruction:?}");
            assert_eq!(decode(&hex(wire)), packet);
        }
    }

    /// Frames of A3.1 that only enrolling sends: the driver cannot, the simulated module reads them.
    #[test]
    fn frames_of_enrolling() {
        for (payload, wire) in [
            ("0202", "ef01ffffffff01000402020009"),
            ("05", "ef01ffffffff010003050009"),
            ("06010005", "ef01ffffffff010006 06 01 0005 0013"),
            ("0c00050001", "ef01ffffffff010007 0c 0005 0001 001a"),
            ("0d", "ef01ffffffff0100030d0011"),
            ("1f00", "ef01ffffffff0100041f000024"),
        ] {
            let packet = Packet::new(DEFAULT_ADDRESS, kind::COMMAND, hex(payload));
            assert_eq!(HEXLOWER.encode(&packet.encode()), wire.replace(' ', ""));
        }
        let index = format!("ef01ffffffff070023 00 20 {} 004a", "00".repeat(31));
        assert_eq!(decode(&hex(&index)).payload.len(), 33);
    }

    /// Answers of docs/reference/devices.md A3.1.
    #[test]
    fn answers() {
        let search = Instruction::Search { count: 300 };
        for (instruction, wire, confirm, results) in [
            (Instruction::VerifyPassword(0), "ef01ffffffff07000300000a", confirm::OK, ""),
            (Instruction::Look, "ef01ffffffff07000302000c", confirm::NO_FINGER, ""),
            (search, "ef01ffffffff070007 00 0005 0078 008b", confirm::OK, "00050078"),
            (search, "ef01ffffffff070007 09 0000 0000 0017", confirm::NOT_FOUND, "00000000"),
            (Instruction::CountEnrolled, "ef01ffffffff070005 00 0001 000d", confirm::OK, "0001"),
            (
                Instruction::ReadParameters,
                "ef01ffffffff070013 00 0000 0009 012c 0003 ffffffff 0002 0006 0457",
                confirm::OK,
                "00000009012c0003ffffffff00020006",
            ),
        ] {
            let answer = read_answer(instruction, &decode(&hex(wire)));
            assert_eq!(answer, Some(Answer { confirm, results: hex(results).into() }), "{instruction:?}");
        }
        assert_eq!(read_match(&hex("00050078")), Some((5, 120)));
        let parameters = Parameters { capacity: 300, security: 3, address: DEFAULT_ADDRESS, baud: 57600 };
        assert_eq!(Parameters::read(&hex("00000009012c0003ffffffff00020006")), Some(parameters));
        // The answer to another instruction is none to a search.
        assert_eq!(read_answer(search, &decode(&hex("ef01ffffffff07000300000a"))), None);
    }

    #[test]
    fn damage_costs_a_frame() {
        let good = hex("ef01ffffffff07000302000c");
        let mut damaged = good.clone();
        damaged[9] ^= 1;
        let mut decoder = Decoder::default();
        decoder.push(&[&[0xEF, 0, 0x55][..], &damaged, &good].concat());
        assert_eq!(decoder.next_packet().unwrap().payload[..], [2]);
        assert_eq!((decoder.next_packet(), decoder.bad()), (None, 1));
    }

    proptest! {
        #[test]
        fn packets_survive_any_cutting_and_noise(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 1..5),
            noise in proptest::collection::vec(any::<u8>(), 0..8),
            cut in 1usize..40,
        ) {
            let noise: Vec<u8> = noise.into_iter().filter(|b| *b != 0xEF).collect();
            let sent: Vec<Packet> = payloads.into_iter().map(|p| Packet::new(7, kind::ACKNOWLEDGE, p)).collect();
            let wire: Vec<u8> = sent.iter().flat_map(|p| [&noise[..], &p.encode()].concat()).collect();
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for piece in wire.chunks(cut) {
                decoder.push(piece);
                got.extend(std::iter::from_fn(|| decoder.next_packet()));
            }
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut decoder = Decoder::default();
            for piece in bytes.chunks(97) {
                decoder.push(piece);
                while let Some(packet) = decoder.next_packet() {
                    let _ = read_answer(Instruction::ReadParameters, &packet);
                    let _ = Parameters::read(&packet.payload);
                    let _ = read_match(&packet.payload);
                }
                prop_assert!(decoder.buffer.len() < FRAME + PAYLOAD);
            }
        }
    }
}
