//! The `55 AA` family: GT-511C3, GT-521F32, GT-521F52 (docs/reference/devices.md A3.2).
//!
//! Owns packets and the instructions that identifying needs. What reads or writes templates and images has no name here.

use bytes::{Buf, BytesMut};

const SIZE: usize = 12;
const HEAD: [u8; 4] = [0x55, 0xAA, 0x01, 0x00];

/// Codes of answers.
pub mod code {
    /// Done.
    pub const ACK: u16 = 0x30;
    /// Not done; the parameter says why.
    pub const NACK: u16 = 0x31;
}

/// Reasons of a refusal that matter to identifying.
pub mod refusal {
    #![allow(missing_docs)]
    pub const NOT_IDENTIFIED: u32 = 0x1008;
    pub const DATABASE_EMPTY: u32 = 0x100A;
    pub const BAD_FINGER: u32 = 0x100C;
    pub const NOT_PRESSED: u32 = 0x1012;
}

/// One packet, either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Command, or [`code::ACK`] or [`code::NACK`].
    pub command: u16,
    /// Its parameter.
    pub parameter: u32,
}

impl Packet {
    /// The bytes on the line.
    pub fn encode(self) -> [u8; SIZE] {
        let mut out = [0; SIZE];
        out[..4].copy_from_slice(&HEAD);
        out[4..8].copy_from_slice(&self.parameter.to_le_bytes());
        out[8..10].copy_from_slice(&self.command.to_le_bytes());
        let sum = sum(&out[..10]);
        out[10..].copy_from_slice(&sum.to_le_bytes());
        out
    }
}

fn sum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(u16::from(*byte)))
}

/// Cuts a line's bytes into packets; a byte that fits nowhere costs one byte. Data packets (`5A A5`) are never asked for and
/// passed over like noise.
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
            if known == 0 {
                return None;
            }
            if self.buffer[..known] == HEAD[..known] {
                let frame = self.buffer.first_chunk::<SIZE>()?;
                if sum(&frame[..10]).to_le_bytes() == frame[10..] {
                    self.lost = false;
                    let mut rest = self.buffer.split_to(SIZE);
                    rest.advance(4);
                    let (parameter, command) = (rest.get_u32_le(), rest.get_u16_le());
                    return Some(Packet { command, parameter });
                }
            }
            self.buffer.advance(1);
            if !self.lost {
                self.lost = true;
                self.bad += 1;
            }
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
    /// Begin.
    Open,
    /// End.
    Close,
    /// The light, which must be on before it sees anything.
    Light(bool),
    /// Whether a finger is there.
    IsPressed,
    /// Look at the finger, quickly; its picture stays in the module.
    Look,
    /// Which slot has it.
    Identify,
    /// How many fingers it knows.
    CountEnrolled,
}

impl Instruction {
    /// Its packet.
    pub fn packet(self) -> Packet {
        let (command, parameter) = match self {
            Self::Open => (0x01, 0),
            Self::Close => (0x02, 0),
            Self::Light(on) => (0x12, u32::from(on)),
            Self::CountEnrolled => (0x20, 0),
            Self::IsPressed => (0x26, 0),
            Self::Identify => (0x51, 0),
            Self::Look => (0x60, 0),
        };
        Packet { command, parameter }
    }
}

/// `Ok` with the parameter of an acknowledgement, `Err` with the reason of a refusal; `None` if it is neither.
pub fn read_answer(packet: Packet) -> Option<Result<u32, u32>> {
    match packet.command {
        code::ACK => Some(Ok(packet.parameter)),
        code::NACK => Some(Err(packet.parameter)),
        _ => None,
    }
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

    /// Vectors of docs/reference/devices.md A3.2.
    #[test]
    fn vectors() {
        for (instruction, wire) in [
            (Instruction::Open, "55aa010000000000 0100 0101"),
            (Instruction::Light(true), "55aa010001000000 1200 1301"),
            (Instruction::IsPressed, "55aa010000000000 2600 2601"),
            (Instruction::Look, "55aa010000000000 6000 6001"),
            (Instruction::Identify, "55aa010000000000 5100 5101"),
        ] {
            let packet = instruction.packet();
            assert_eq!(HEXLOWER.encode(&packet.encode()), wire.replace(' ', ""), "{instruction:?}");
            assert_eq!(decode(&hex(wire)), packet);
        }
        assert_eq!(read_answer(decode(&hex("55aa010005000000 3000 3501"))), Some(Ok(5)));
        let refused = decode(&hex("55aa010008100000 3100 4901"));
        assert_eq!(read_answer(refused), Some(Err(refusal::NOT_IDENTIFIED)));
        // Enrolling is not among the instructions; its frame is read.
        let enrol = Packet { command: 0x22, parameter: 5 };
        assert_eq!(HEXLOWER.encode(&enrol.encode()), "55aa01000500000022002701");
        assert_eq!(read_answer(enrol), None);
    }

    #[test]
    fn damage_and_data_packets_are_passed_over() {
        let good = Packet { command: code::ACK, parameter: 7 }.encode();
        let mut damaged = good;
        damaged[5] ^= 1;
        let data = hex("5aa50100 0102030405060708 2401");
        let mut decoder = Decoder::default();
        decoder.push(&[&damaged[..], &data, &good].concat());
        assert_eq!(decoder.next_packet(), Some(Packet { command: code::ACK, parameter: 7 }));
        assert_eq!((decoder.next_packet(), decoder.bad()), (None, 1));
    }

    proptest! {
        #[test]
        fn packets_survive_any_cutting_and_noise(
            sent in proptest::collection::vec((any::<u16>(), any::<u32>()), 1..6),
            noise in proptest::collection::vec(any::<u8>(), 0..8),
            cut in 1usize..40,
        ) {
            let noise: Vec<u8> = noise.into_iter().filter(|b| *b != 0x55).collect();
            let sent: Vec<Packet> =
                sent.into_iter().map(|(command, parameter)| Packet { command, parameter }).collect();
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
                    let _ = read_answer(packet);
                }
                prop_assert!(decoder.buffer.len() < SIZE);
            }
        }
    }
}
