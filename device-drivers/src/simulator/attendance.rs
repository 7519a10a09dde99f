//! A ZK 4370 terminal on TCP.
//!
//! Holds one session at a time, keeps a log of 8-, 16- or 40-byte records, honours a comm key, answers small and large
//! bulk reads and pushes live events. While a client has it disabled, people wait: their punches are taken when it is
//! enabled again (docs/reference/devices.md A1.6, A1.10).

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use jiff::{SignedDuration, civil::DateTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::{
    attendance::zk::{
        packet::{EVENT_ATTLOG, Packet, PacketDecoder, code, comm_key, pack_time},
        records::{Punch, RecordSize, write_event, write_record},
    },
    clock::LocalClock,
};

/// A terminal as delivered.
#[derive(Clone, Debug, Default)]
pub struct TerminalSetup {
    /// Comm key; 0 = none asked.
    pub comm_key: u32,
    /// Firmware's record size.
    pub record_size: RecordSize,
    /// Numbers of enrolled employees; the position is the internal index.
    pub users: Vec<String>,
}

/// A misbehaviour to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next reply has a wrong checksum.
    WrongChecksum,
    /// The next reply comes twice.
    DuplicateReply,
    /// The next request is not answered.
    DropReply,
    /// Nothing is answered while `true`.
    Silence(bool),
    /// The connection is closed in the middle of the next bulk chunk.
    DisconnectInChunk,
    /// The connection is closed now.
    Disconnect,
    /// A punch by this employee happens while the next request is outstanding: its event comes before the reply.
    EventBeforeReply(String),
}

struct State {
    setup: TerminalSetup,
    log: Vec<Punch>,
    /// People standing at a disabled terminal.
    waiting: Vec<(String, u8, u8)>,
    clock_offset: SignedDuration,
    enabled: bool,
    live: bool,
    events: VecDeque<Punch>,
    acknowledged: u64,
    sessions: u16,
    armed: Vec<Fault>,
    silent: bool,
    hang_up: bool,
}

/// A handle on a simulated terminal; clones are the same terminal.
#[derive(Clone)]
pub struct Terminal {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    local: Arc<dyn LocalClock>,
}

impl Terminal {
    /// A terminal whose clock follows `local`.
    pub fn new(setup: TerminalSetup, local: Arc<dyn LocalClock>) -> Self {
        let state = State {
            setup,
            log: Vec::new(),
            waiting: Vec::new(),
            clock_offset: SignedDuration::ZERO,
            enabled: true,
            live: false,
            events: VecDeque::new(),
            acknowledged: 0,
            sessions: 0,
            armed: Vec::new(),
            silent: false,
            hang_up: false,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default(), local }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An employee punches now. Gives the punch as recorded, or `None` when the terminal is disabled: then it is recorded, with that
    /// time, once it is enabled.
    pub fn punch(&self, employee: &str, verify: u8, state: u8) -> Option<Punch> {
        let at = self.terminal_time();
        let mut terminal = self.state();
        if !terminal.enabled {
            terminal.waiting.push((employee.to_owned(), verify, state));
            return None;
        }
        let punch = Punch { employee: employee.to_owned(), at, verify, state };
        terminal.record(punch.clone());
        drop(terminal);
        self.changed.notify_one();
        Some(punch)
    }

    /// Puts past punches into the log, without events.
    pub fn seed(&self, punches: impl IntoIterator<Item = Punch>) {
        self.state().log.extend(punches);
    }

    /// Sets the terminal's clock ahead of (or behind) the hall's.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state().clock_offset = SignedDuration::from_secs(seconds);
    }

    /// What the terminal's clock shows, in whole seconds.
    pub fn terminal_time(&self) -> DateTime {
        let shown = self.local.local_now().saturating_add(self.state().clock_offset);
        DateTime::from_parts(
            shown.date(),
            shown.time().with().subsec_nanosecond(0).build().unwrap_or(shown.time()),
        )
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.state();
        match fault {
            Fault::Silence(on) => state.silent = on,
            Fault::Disconnect => state.hang_up = true,
            armed => state.armed.push(armed),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Every punch in the log, oldest first.
    pub fn log(&self) -> Vec<Punch> {
        self.state().log.clone()
    }

    /// `false` while a client has disabled it.
    pub fn is_enabled(&self) -> bool {
        self.state().enabled
    }

    /// Live events that a client acknowledged.
    pub fn events_acknowledged(&self) -> u64 {
        self.state().acknowledged
    }

    /// Sessions opened so far.
    pub fn sessions(&self) -> u16 {
        self.state().sessions
    }

    /// Serves clients, one after the other, until cancelled.
    ///
    /// # Errors
    /// The listener's own errors; a client's are its own.
    pub async fn serve(&self, listener: TcpListener, cancel: CancellationToken) -> io::Result<()> {
        loop {
            let stream = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted?.0,
            };
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                ended = self.one_client(stream) => if let Err(error) = ended {
                    tracing::debug!(%error, "the client of the simulated terminal is gone");
                },
            }
            let mut state = self.state();
            state.live = false;
            state.events.clear();
        }
    }

    async fn one_client(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.state().hang_up = false;
        let mut client = Client::default();
        let mut decoder = PacketDecoder::default();
        let mut buffer = vec![0u8; 4096];
        loop {
            let events: Vec<u8> = {
                let mut state = self.state();
                if state.hang_up {
                    return Ok(());
                }
                let silent = state.silent;
                let events = std::mem::take(&mut state.events);
                if silent {
                    Vec::new()
                } else {
                    events.iter().flat_map(|e| event_packet(e).encode()).collect()
                }
            };
            stream.write_all(&events).await?;
            tokio::select! {
                () = self.changed.notified() => {}
                read = stream.read(&mut buffer) => {
                    match read? {
                        0 => return Ok(()),
                        n => decoder.push(&buffer[..n]),
                    }
                    while let Some(packet) = decoder.next_packet().map_err(io::Error::other)? {
                        let now = self.terminal_time();
                        let (wire, goes_on) = client.answer(&packet, &mut self.state(), now);
                        stream.write_all(&wire).await?;
                        if !goes_on {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

impl State {
    fn record(&mut self, punch: Punch) {
        if self.live {
            self.events.push_back(punch.clone());
        }
        self.log.push(punch);
    }

    fn armed(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self.armed.iter().position(fits)?;
        Some(self.armed.remove(at))
    }

    /// The log as the joined buffer of a bulk read.
    fn bulk(&self) -> Vec<u8> {
        let size = self.setup.record_size;
        let mut out = ((self.log.len() * size as usize) as u32).to_le_bytes().to_vec();
        for punch in &self.log {
            let uid = self.setup.users.iter().position(|u| *u == punch.employee).map_or(1, |at| at + 1);
            out.extend(write_record(punch, uid as u16, size));
        }
        out
    }
}

fn event_packet(punch: &Punch) -> Packet {
    Packet::new(code::REG_EVENT, EVENT_ATTLOG, 0, write_event(punch))
}

/// Below this a bulk reply comes at once, above it in chunks.
const SMALL: usize = 1024;

/// One client's session.
#[derive(Default)]
struct Client {
    session: u16,
    open: bool,
    prepared: Vec<u8>,
}

impl Client {
    /// The bytes to send, and whether the connection goes on.
    fn answer(&mut self, packet: &Packet, state: &mut State, now: DateTime) -> (Vec<u8>, bool) {
        if packet.command == code::ACK_OK && packet.reply == 0 {
            state.acknowledged += 1;
            return (Vec::new(), true);
        }
        let mut replies = self.replies(packet, state, now);
        let goes_on = packet.command != code::EXIT;
        if state.silent || state.armed(|f| *f == Fault::DropReply).is_some() {
            return (Vec::new(), goes_on);
        }
        if state.armed(|f| *f == Fault::DuplicateReply).is_some()
            && let Some(first) = replies.first().cloned()
        {
            replies.insert(0, first);
        }
        if let Some(Fault::EventBeforeReply(employee)) =
            state.armed(|f| matches!(f, Fault::EventBeforeReply(_)))
        {
            let punch = Punch { employee, at: now, verify: 1, state: 0 };
            replies.insert(0, event_packet(&punch));
            state.log.push(punch);
        }
        let mut wire: Vec<u8> = replies.iter().flat_map(Packet::encode).collect();
        if state.armed(|f| *f == Fault::WrongChecksum).is_some() && wire.len() > 10 {
            wire[10] ^= 0xFF;
        }
        if replies.iter().any(|r| r.command == code::PREPARE_DATA)
            && state.armed(|f| *f == Fault::DisconnectInChunk).is_some()
        {
            wire.truncate(wire.len() / 2);
            return (wire, false);
        }
        (wire, goes_on)
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
            return vec![Packet::new(answer, self.session, packet.reply, Bytes::new())];
        }
        if packet.command == code::AUTH {
            let tick = packet.payload.get(2).copied().unwrap_or(0);
            self.open = packet.payload[..] == comm_key(state.setup.comm_key, session, tick);
        }
        if !self.open || packet.session != session {
            return vec![reply(code::ACK_UNAUTH, Vec::new())];
        }
        match packet.command {
            code::AUTH | code::EXIT | code::OPTIONS_WRQ => ok(Vec::new()),
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
            code::REG_EVENT => {
                let mask = packet.payload.first().copied().unwrap_or(0);
                state.live = u16::from(mask) & EVENT_ATTLOG != 0;
                ok(Vec::new())
            }
            code::GET_FREE_SIZES => {
                let mut sizes = vec![0u8; 80];
                let mut put = |at: usize, n: usize| {
                    sizes[at..at + 4].copy_from_slice(&(n as u32).to_le_bytes());
                };
                put(16, state.setup.users.len());
                put(32, state.log.len());
                put(60, 3000);
                put(64, 100_000);
                ok(sizes)
            }
            code::PREPARE_BUFFER if packet.payload.get(1..3) == Some(&[0x0D, 0]) => {
                let bulk = state.bulk();
                if bulk.len() < SMALL {
                    return vec![reply(code::DATA, bulk)];
                }
                let size = (bulk.len() as u32).to_le_bytes();
                self.prepared = bulk;
                ok([&[0][..], &size, &size, &[1, 2, 3, 4]].concat())
            }
            code::READ_BUFFER => {
                let number = |at: usize| {
                    packet
                        .payload
                        .get(at..at + 4)
                        .map_or(0, |b| b.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte)))
                };
                let (offset, size) = (number(0), number(4));
                let Some(chunk) = offset.checked_add(size).and_then(|end| self.prepared.get(offset..end))
                else {
                    return vec![reply(code::ACK_ERROR, Vec::new())];
                };
                let mut head = (size as u32).to_le_bytes().to_vec();
                head.extend([0x10, 0, 0, 0]);
                vec![
                    reply(code::PREPARE_DATA, head),
                    reply(code::DATA, chunk.to_vec()),
                    reply(code::ACK_OK, Vec::new()),
                ]
            }
            _ => vec![reply(code::ACK_UNKNOWN, Vec::new())],
        }
    }
}
