//! One client's session with the simulated terminal: a packet in, packets out.
//!
//! Owns what the terminal answers and how an ordered fault spoils it; puts nothing on a wire.

use jiff::civil::DateTime;

use super::{Fault, State};
use crate::attendance::zk::{
    packet::{EVENT_ATTLOG, Packet, code, comm_key, pack_time, unpack_time},
    records::{Punch, RecordSize, write_event},
};

/// Below this a bulk reply comes at once, above it in chunks.
const SMALL: usize = 1024;
/// Payload of a datagram of bulk data.
const DATAGRAM: usize = 1024;

/// Somebody enrolled a finger.
const EVENT_ENROLMENT: u16 = 0x0008;

/// What a client's packets come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// A connection.
    Tcp,
    /// Datagrams, in which bulk data comes in small pieces.
    Udp,
}

/// What is sent for one request.
pub(super) struct Answer {
    pub(super) packets: Vec<Packet>,
    /// The first packet's checksum is wrong.
    pub(super) damaged: bool,
    /// Only the first half goes out, and a connection is closed then.
    pub(super) cut: bool,
    /// The session lasts.
    pub(super) goes_on: bool,
}

impl Answer {
    fn of(packets: Vec<Packet>, goes_on: bool) -> Self {
        Self { packets, damaged: false, cut: false, goes_on }
    }
}

/// The live event of a punch.
pub(super) fn event_packet(punch: &Punch) -> Packet {
    Packet::new(code::REG_EVENT, EVENT_ATTLOG, 0, write_event(punch))
}

/// One client's session.
pub(super) struct Client {
    medium: Medium,
    session: u16,
    open: bool,
    prepared: Vec<u8>,
}

impl Client {
    pub(super) fn new(medium: Medium) -> Self {
        Self { medium, session: 0, open: false, prepared: Vec::new() }
    }

    pub(super) fn answer(&mut self, packet: &Packet, state: &mut State, now: DateTime) -> Answer {
        if packet.command == code::ACK_OK && packet.reply == 0 {
            state.acknowledged += 1;
            return Answer::of(Vec::new(), true);
        }
        *state.requests.entry(packet.command).or_default() += 1;
        let mut packets = self.replies(packet, state, now);
        let goes_on = packet.command != code::EXIT;
        if state.silent || state.armed(|f| *f == Fault::DropReply).is_some() {
            return Answer::of(Vec::new(), goes_on);
        }
        if state.armed(|f| *f == Fault::DuplicateReply).is_some()
            && let Some(first) = packets.first().cloned()
        {
            packets.insert(0, first);
        }
        if let Some(Fault::EventBeforeReply(employee)) =
            state.armed(|f| matches!(f, Fault::EventBeforeReply(_)))
        {
            let punch = Punch { employee, at: now, verify: 1, state: 0 };
            packets.insert(0, event_packet(&punch));
            state.log.push(punch);
        }
        if let Some(Fault::Template(bytes)) = state.armed(|f| matches!(f, Fault::Template(_))) {
            let table = Packet::new(code::DATA, self.session, packet.reply, bytes.clone());
            packets.splice(0..0, [Packet::new(code::REG_EVENT, EVENT_ENROLMENT, 0, bytes), table]);
        }
        let bulk = packets.iter().any(|r| r.command == code::PREPARE_DATA);
        if bulk && state.armed(|f| *f == Fault::DropDatagram).is_some() && packets.len() > 3 {
            packets.remove(2);
        }
        Answer {
            cut: bulk && state.armed(|f| *f == Fault::DisconnectInChunk).is_some(),
            damaged: state.armed(|f| *f == Fault::WrongChecksum).is_some(),
            packets,
            goes_on,
        }
    }

    fn replies(&mut self, packet: &Packet, state: &mut State, now: DateTime) -> Vec<Packet> {
        let session = self.session;
        let reply = |command: u16, payload: Vec<u8>| Packet::new(command, session, packet.reply, payload);
        let ok = |payload: Vec<u8>| vec![reply(code::ACK_OK, payload)];
        if packet.command == code::CONNECT {
            state.sessions = state.sessions.wrapping_add(1);
            self.session = 0x4000 + state.sessions;
            self.open = state.setup.comm_key == 0;
            let answer = if self.open { code::ACK_OK } else { code::ACK_UNAUTH };
            return vec![Packet::new(answer, self.session, packet.reply, Vec::new())];
        }
        if packet.command == code::AUTH {
            let tick = packet.payload.get(2).copied().unwrap_or(0);
            self.open = packet.payload[..] == comm_key(state.setup.comm_key, session, tick);
        }
        if packet.command == code::EXIT {
            return ok(Vec::new());
        }
        if !self.open || packet.session != session {
            return vec![reply(code::ACK_UNAUTH, Vec::new())];
        }
        let number = |at: usize| {
            let bytes = packet.payload.get(at..at + 4).unwrap_or_default();
            bytes.iter().rev().fold(0u32, |n, byte| n << 8 | u32::from(*byte))
        };
        match packet.command {
            code::AUTH | code::OPTIONS_WRQ | code::CANCEL_CAPTURE | code::START_VERIFY => ok(Vec::new()),
            code::FREE_DATA => {
                self.prepared.clear();
                ok(Vec::new())
            }
            code::DISABLE => {
                state.enabled = false;
                ok(Vec::new())
            }
            code::ENABLE => {
                state.enabled = true;
                for (employee, verify, punch_state) in std::mem::take(&mut state.waiting) {
                    state.record(Punch { employee, at: now, verify, state: punch_state });
                }
                ok(Vec::new())
            }
            code::GET_TIME => ok(pack_time(now).to_le_bytes().to_vec()),
            code::SET_TIME => {
                state.time_written = unpack_time(number(0)).map(|written| written.duration_since(now));
                ok(Vec::new())
            }
            code::REFRESH_DATA => {
                if let Some(step) = state.time_written.take() {
                    state.clock_offset += step;
                }
                ok(Vec::new())
            }
            code::TEST_VOICE => {
                state.voices.push(number(0));
                ok(Vec::new())
            }
            code::GET_VERSION => ok(b"Ver 6.60 Sep 19 2019\0".to_vec()),
            code::OPTIONS_RRQ => {
                let name = packet.payload.split(|b| *b == 0).next().unwrap_or_default();
                let value = match name {
                    b"~SerialNumber" => state.setup.serial.as_str(),
                    b"~DeviceName" => "Simulated K40",
                    b"~Platform" => "ZMM220_TFT",
                    b"~OS" => "1",
                    b"~PIN2Width" => "9",
                    _ => return vec![reply(code::ACK_ERROR, Vec::new())],
                };
                ok([name, b"=", value.as_bytes(), b"\0"].concat())
            }
            code::REG_EVENT => {
                state.live = number(0) & u32::from(EVENT_ATTLOG) != 0;
                ok(Vec::new())
            }
            code::GET_FREE_SIZES => ok(sizes(state)),
            code::PREPARE_BUFFER => {
                let bulk = match packet.payload.get(1..3) {
                    Some([0x0D, 0]) => state.attendance_table(),
                    Some([0x09, 0]) => state.users_table(),
                    _ => return vec![reply(code::ACK_ERROR, Vec::new())],
                };
                if bulk.len() < SMALL {
                    return vec![reply(code::DATA, bulk)];
                }
                let size = (bulk.len() as u32).to_le_bytes();
                self.prepared = bulk;
                ok([&[0][..], &size, &size, &[1, 2, 3, 4]].concat())
            }
            code::READ_BUFFER => {
                let (offset, size) = (number(0) as usize, number(4) as usize);
                let end = offset.checked_add(size);
                let Some(chunk) = end.and_then(|end| self.prepared.get(offset..end)) else {
                    return vec![reply(code::ACK_ERROR, Vec::new())];
                };
                let mut head = (size as u32).to_le_bytes().to_vec();
                head.extend([0x10, 0, 0, 0]);
                let mut packets = vec![reply(code::PREPARE_DATA, head)];
                let piece = if self.medium == Medium::Udp { DATAGRAM } else { size.max(1) };
                packets.extend(chunk.chunks(piece).map(|piece| reply(code::DATA, piece.to_vec())));
                packets.push(reply(code::ACK_OK, Vec::new()));
                packets
            }
            _ => vec![reply(code::ACK_UNKNOWN, Vec::new())],
        }
    }
}

/// The answer to command 50 (docs/reference/devices.md A1.5); colour-screen firmware adds faces.
fn sizes(state: &State) -> Vec<u8> {
    let long = state.setup.record_size == RecordSize::Forty;
    let mut sizes = vec![0u8; if long { 92 } else { 80 }];
    let capacity = state.record_capacity();
    for (at, n) in [
        (16, state.setup.users.len()),
        (24, state.setup.users.len()),
        (32, state.log.len()),
        (56, 3000),
        (60, 3000),
        (64, capacity),
        (68, 3000 - state.setup.users.len().min(3000)),
        (72, 3000 - state.setup.users.len().min(3000)),
        (76, capacity.saturating_sub(state.log.len())),
    ] {
        sizes[at..at + 4].copy_from_slice(&(n as u32).to_le_bytes());
    }
    sizes
}
