//! Bytes of the protocol: TCP prefix, header, checksum, comm key and packed time (docs/reference/devices.md A1.1 to A1.4).
//! On UDP a datagram is the same packet without the prefix.

use bytes::{Buf, Bytes, BytesMut};
use jiff::civil::DateTime;

/// Numbers of the commands and replies that reading a terminal needs. What a client may send is
/// [`Command`](super::command::Command); the destructive commands have no name anywhere, on purpose.
pub mod code {
    #![allow(missing_docs)]
    pub const CONNECT: u16 = 1000;
    pub const EXIT: u16 = 1001;
    pub const ENABLE: u16 = 1002;
    pub const DISABLE: u16 = 1003;
    pub const REFRESH_DATA: u16 = 1013;
    pub const TEST_VOICE: u16 = 1017;
    pub const GET_VERSION: u16 = 1100;
    pub const AUTH: u16 = 1102;
    pub const TABLE_USERS: u16 = 9;
    pub const OPTIONS_RRQ: u16 = 11;
    pub const OPTIONS_WRQ: u16 = 12;
    pub const TABLE_ATTLOG: u16 = 13;
    pub const GET_FREE_SIZES: u16 = 50;
    pub const START_VERIFY: u16 = 60;
    pub const CANCEL_CAPTURE: u16 = 62;
    pub const GET_TIME: u16 = 201;
    pub const SET_TIME: u16 = 202;
    pub const REG_EVENT: u16 = 500;
    pub const PREPARE_DATA: u16 = 1500;
    pub const DATA: u16 = 1501;
    pub const FREE_DATA: u16 = 1502;
    pub const PREPARE_BUFFER: u16 = 1503;
    pub const READ_BUFFER: u16 = 1504;
    pub const ACK_OK: u16 = 2000;
    pub const ACK_ERROR: u16 = 2001;
    pub const ACK_UNAUTH: u16 = 2005;
    pub const ACK_UNKNOWN: u16 = 0xFFFF;
}

/// Event mask and event code of an attendance punch.
pub const EVENT_ATTLOG: u16 = 1;

const PREFIX: [u8; 4] = [0x50, 0x50, 0x82, 0x7D];
const HEADER: usize = 8;
/// Longest packet accepted: a chunk of 0xFFC0 and its header, with room.
const MAX_PACKET: usize = 0x2_0000;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Command or reply code.
    pub command: u16,
    /// Session; the event code on events.
    pub session: u16,
    /// Number of the request that this is or answers.
    pub reply: u16,
    /// The rest.
    pub payload: Bytes,
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The stream is not this protocol, or out of step.
    #[error("the terminal sent something that is not a packet of this protocol")]
    Prefix,
    /// A length that cannot be.
    #[error("the terminal announced a packet of {0} bytes")]
    Length(u32),
    /// Damaged.
    #[error("a packet from the terminal has a wrong checksum")]
    Checksum,
}

/// The Internet checksum over little-endian words.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 8;
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

impl Packet {
    /// A packet of these parts.
    pub fn new(command: u16, session: u16, reply: u16, payload: impl Into<Bytes>) -> Self {
        Self { command, session, reply, payload: payload.into() }
    }

    /// The bytes on a TCP connection.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.payload.len());
        out.extend_from_slice(&PREFIX);
        out.extend_from_slice(&((HEADER + self.payload.len()) as u32).to_le_bytes());
        self.write(&mut out);
        out
    }

    /// The bytes of a datagram.
    pub fn encode_datagram(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.payload.len());
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.command.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&self.reply.to_le_bytes());
        out.extend_from_slice(&self.payload);
        let sum = checksum(&out[start..]);
        out[start + 2..start + 4].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads a packet without prefix: a datagram, or what follows the prefix on TCP.
    ///
    /// # Errors
    /// When it is too short or damaged.
    pub fn decode(mut bytes: Bytes) -> Result<Self, PacketError> {
        if bytes.len() < HEADER {
            return Err(PacketError::Length(bytes.len() as u32));
        }
        // Over the whole with its checksum in place, one's complement arithmetic gives zero.
        if checksum(&bytes) != 0 {
            return Err(PacketError::Checksum);
        }
        let (command, _sum, session, reply) =
            (bytes.get_u16_le(), bytes.get_u16_le(), bytes.get_u16_le(), bytes.get_u16_le());
        Ok(Self { command, session, reply, payload: bytes })
    }
}

/// Cuts a TCP stream into packets. After an error the stream is out of step: close it.
#[derive(Debug, Default)]
pub struct PacketDecoder {
    buffer: BytesMut,
}

impl PacketDecoder {
    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not packets of this protocol.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, PacketError> {
        let known = self.buffer.len().min(PREFIX.len());
        if self.buffer[..known] != PREFIX[..known] {
            return Err(PacketError::Prefix);
        }
        let Some(length) = self.buffer.get(4..8) else { return Ok(None) };
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        let size = length as usize;
        if !(HEADER..=MAX_PACKET).contains(&size) {
            return Err(PacketError::Length(length));
        }
        if self.buffer.len() < 8 + size {
            return Ok(None);
        }
        self.buffer.advance(8);
        Packet::decode(self.buffer.split_to(size).freeze()).map(Some)
    }
}

/// The four bytes that prove knowledge of the terminal's comm key; `tick` is customarily 50.
pub fn comm_key(password: u32, session: u16, tick: u8) -> [u8; 4] {
    let mixed = password.reverse_bits().wrapping_add(u32::from(session)).to_le_bytes();
    // XOR with "ZKSO", swap the halves; the first byte of the mix falls to the tick byte.
    [mixed[2] ^ b'S' ^ tick, mixed[3] ^ b'O' ^ tick, tick, mixed[1] ^ b'K' ^ tick]
}

/// Packs a local time; years before 2000 count as 2000.
pub fn pack_time(t: DateTime) -> u32 {
    let part = |n: i8| u32::try_from(n).unwrap_or(0);
    let years = u32::try_from(i32::from(t.year()) - 2000).unwrap_or(0);
    ((((years * 12 + part(t.month()) - 1) * 31 + part(t.day()) - 1) * 24 + part(t.hour())) * 60
        + part(t.minute()))
        * 60
        + part(t.second())
}

/// Unpacks a local time; `None` for a date that no calendar has (every month has 31 days in this packing).
pub fn unpack_time(packed: u32) -> Option<DateTime> {
    let mut rest = packed;
    let mut part = |n: u32| {
        let value = rest % n;
        rest /= n;
        value as i8
    };
    let (second, minute, hour, day, month) = (part(60), part(60), part(24), part(31) + 1, part(12) + 1);
    DateTime::new(2000 + i16::try_from(rest).ok()?, month, day, hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn hex(s: &str) -> Vec<u8> {
        HEXLOWER.decode(s.replace(' ', "").as_bytes()).unwrap()
    }

    /// The golden session of docs/reference/devices.md A1.9, both directions.
    #[test]
    fn golden_session() {
        const S: u16 = 0xC0C5;
        let punch =
            "2800000001003130303100000000000000000000000000000000000000000155d1512e0000000000ff000000";
        let event = "3535350000000000000000000000000000000000000000000100180305090102";
        for (wire, command, session, reply, payload) in [
            ("5050827d 08000000 e80317fc00000000", code::CONNECT, 0, 0, ""),
            ("5050827d 08000000 d5076537c5c00000", code::ACK_UNAUTH, S, 0, ""),
            ("5050827d 0c000000 4e044aa0c5c00100 6de132b9", code::AUTH, S, 1, "6de132b9"),
            ("5050827d 08000000 d0076937c5c00100", code::ACK_OK, S, 1, ""),
            (
                "5050827d 16000000 0b0029f6c5c00200 7e53657269616c4e756d62657200",
                code::OPTIONS_RRQ,
                S,
                2,
                "7e53657269616c4e756d62657200",
            ),
            (
                "5050827d 20000000 d0072bbfc5c00200 7e53657269616c4e756d6265723d4344454d4f3030303100",
                code::ACK_OK,
                S,
                2,
                "7e53657269616c4e756d6265723d4344454d4f3030303100",
            ),
            ("5050827d 08000000 eb034c3bc5c00300", code::DISABLE, S, 3, ""),
            ("5050827d 08000000 d0076737c5c00300", code::ACK_OK, S, 3, ""),
            ("5050827d 08000000 3200043fc5c00400", code::GET_FREE_SIZES, S, 4, ""),
            (
                "5050827d 13000000 df05552cc5c00500 010d000000000000000000",
                code::PREPARE_BUFFER,
                S,
                5,
                "010d000000000000000000",
            ),
            (&format!("5050827d 34000000 dd05ce2fc5c00500 {punch}"), code::DATA, S, 5, punch),
            (
                "5050827d 15000000 d007ee28c5c00500 00843801008438010001020304",
                code::ACK_OK,
                S,
                5,
                "00843801008438010001020304",
            ),
            (
                "5050827d 10000000 e0059339c5c00600 00000000c0ff0000",
                code::READ_BUFFER,
                S,
                6,
                "00000000c0ff0000",
            ),
            (
                "5050827d 10000000 dc058739c5c00600 c0ff000010000000",
                code::PREPARE_DATA,
                S,
                6,
                "c0ff000010000000",
            ),
            ("5050827d 08000000 d0076437c5c00600", code::ACK_OK, S, 6, ""),
            (
                "5050827d 10000000 e005ce00c5c00700 c0ff0000c4380000",
                code::READ_BUFFER,
                S,
                7,
                "c0ff0000c4380000",
            ),
            ("5050827d 08000000 de055439c5c00800", code::FREE_DATA, S, 8, ""),
            ("5050827d 08000000 ea03473bc5c00900", code::ENABLE, S, 9, ""),
            ("5050827d 08000000 c900673ec5c00a00", code::GET_TIME, S, 10, ""),
            ("5050827d 0c000000 d007b937c5c00a00 55d1512e", code::ACK_OK, S, 10, "55d1512e"),
            ("5050827d 0c000000 ca00be3ec5c00b00 55d1512e", code::SET_TIME, S, 11, "55d1512e"),
            ("5050827d 08000000 f503393bc5c00c00", code::REFRESH_DATA, S, 12, ""),
            ("5050827d 0c000000 f401383dc5c00d00 01000000", code::REG_EVENT, S, 13, "01000000"),
            (&format!("5050827d 28000000 f40181ba01000000 {event}"), code::REG_EVENT, EVENT_ATTLOG, 0, event),
            ("5050827d 08000000 d0076a37c5c00000", code::ACK_OK, S, 0, ""),
            ("5050827d 08000000 e903433bc5c00e00", code::EXIT, S, 14, ""),
        ] {
            let packet = Packet::new(command, session, reply, hex(payload));
            assert_eq!(HEXLOWER.encode(&packet.encode()), wire.replace(' ', ""));
            let mut decoder = PacketDecoder::default();
            decoder.push(&hex(wire));
            assert_eq!(decoder.next_packet(), Ok(Some(packet.clone())));
            let datagram = hex(wire).split_off(8);
            assert_eq!(packet.encode_datagram(), datagram);
            assert_eq!(Packet::decode(datagram.into()), Ok(packet));
        }
    }

    /// Two captures from real terminals (docs/reference/devices.md A1.9).
    #[test]
    fn checksums_of_real_terminals() {
        for packet in ["0b005a17f38d03005a4b4661636556657273696f6e00", "d007296af38d0a0009"] {
            assert_eq!(checksum(&hex(packet)), 0, "{packet}");
        }
    }

    #[test]
    fn comm_keys() {
        for (password, session, key) in [
            (0, 0, "617d3279"),
            (1, 1, "61fd3279"),
            (12345, 0xC0C5, "6de132b9"),
            (123_456, 0x1234, "267f32eb"),
            (999_999, 65000, "22813294"),
        ] {
            assert_eq!(HEXLOWER.encode(&comm_key(password, session, 50)), key, "{password}");
        }
    }

    #[test]
    fn packed_times() {
        for (time, packed) in [
            (date(2024, 3, 5).at(8, 59, 1, 0), 777_113_941),
            (date(2018, 6, 25).at(17, 41, 5, 0), 0x2368_B131),
        ] {
            assert_eq!(pack_time(time), packed);
            assert_eq!(unpack_time(packed), Some(time));
        }
        // 31 February can be packed but is no day.
        assert_eq!(unpack_time(pack_time(date(2024, 2, 1).at(0, 0, 0, 0)) + 30 * 86_400), None);
    }

    #[test]
    fn damage_is_noticed() {
        let mut wire = Packet::new(code::GET_TIME, 1, 2, vec![1, 2, 3]).encode();
        wire[16] ^= 1;
        let mut decoder = PacketDecoder::default();
        decoder.push(&wire);
        assert_eq!(decoder.next_packet(), Err(PacketError::Checksum));
        let mut decoder = PacketDecoder::default();
        decoder.push(b"GET / HTTP");
        assert_eq!(decoder.next_packet(), Err(PacketError::Prefix));
        let mut decoder = PacketDecoder::default();
        decoder.push(&[0x50, 0x50, 0x82, 0x7D, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(decoder.next_packet(), Err(PacketError::Length(u32::MAX)));
    }

    proptest! {
        #[test]
        fn packets_survive_any_cutting(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..5),
            cut in 1usize..50,
        ) {
            let sent: Vec<Packet> =
                payloads.into_iter().enumerate().map(|(n, p)| Packet::new(1501, 7, n as u16, p)).collect();
            let wire: Vec<u8> = sent.iter().flat_map(Packet::encode).collect();
            let mut decoder = PacketDecoder::default();
            let mut got = Vec::new();
            for piece in wire.chunks(cut) {
                decoder.push(piece);
                while let Some(packet) = decoder.next_packet().unwrap() {
                    got.push(packet);
                }
            }
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn any_bytes_and_any_packed_time(bytes in proptest::collection::vec(any::<u8>(), 0..200), packed: u32) {
            let mut decoder = PacketDecoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_packet() {}
            if let Ok(packet) = Packet::decode(bytes.clone().into()) {
                prop_assert_eq!(packet.encode_datagram(), bytes);
            }
            if let Some(time) = unpack_time(packed) {
                prop_assert_eq!(pack_time(time), packed);
            }
        }
    }
}
