//! A ZK 4370 terminal on TCP and UDP.
//!
//! Holds one session at a time, keeps a log of 8-, 16- or 40-byte records and a list of users of 28 or 72 bytes, honours a
//! comm key, answers small and large bulk reads and pushes live events. While a client has it disabled, people wait: their
//! punches are taken when it is enabled again (docs/reference/devices.md A1.6, A1.10).

mod exchange;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use exchange::{Answer, Client, Medium, event_packet};
use jiff::{SignedDuration, civil::DateTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    attendance::zk::{
        packet::{Packet, PacketDecoder},
        records::{Punch, RecordSize, write_record},
        users::{NameEncoding, User, UserSize, write_user},
    },
    clock::LocalClock,
};

/// A session on UDP of which nothing was heard for so long may be taken over by another client.
const HALF_DEAD: Duration = Duration::from_secs(5);

/// A terminal as delivered.
#[derive(Clone, Debug)]
pub struct TerminalSetup {
    /// Comm key; 0 = none asked.
    pub comm_key: u32,
    /// Firmware's record size.
    pub record_size: RecordSize,
    /// Numbers of enrolled employees; the position is the internal index.
    pub users: Vec<String>,
    /// Their names, in the same order; may be shorter.
    pub names: Vec<String>,
    /// The firmware's code page for names.
    pub name_encoding: NameEncoding,
    /// Firmware's size of a user's record.
    pub user_size: UserSize,
    /// Its serial number.
    pub serial: String,
    /// Time between the packets of one answer on TCP. Real terminals take some milliseconds, and there are clients that
    /// take one packet for each time they hear something.
    pub pace: Duration,
}

impl Default for TerminalSetup {
    fn default() -> Self {
        Self {
            comm_key: 0,
            record_size: RecordSize::default(),
            users: Vec::new(),
            names: Vec::new(),
            name_encoding: NameEncoding::default(),
            user_size: UserSize::default(),
            serial: "CDEMO0001".to_owned(),
            pace: Duration::ZERO,
        }
    }
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
    /// The next bulk chunk ends in its middle: the connection is closed, or the rest of the datagrams is lost.
    DisconnectInChunk,
    /// One datagram of the next bulk chunk is lost.
    DropDatagram,
    /// The memory is full while `true`: nothing more is recorded.
    Full(bool),
    /// The connection is closed now.
    Disconnect,
    /// Before the next reply come an event of somebody's enrolment and a piece of a table, both with these bytes: a template
    /// that nobody asked for.
    Template(Vec<u8>),
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
    full: bool,
    /// SET_TIME came, REFRESHDATA not yet.
    time_written: Option<SignedDuration>,
    voices: Vec<u32>,
    requests: BTreeMap<u16, u64>,
    /// Who has the one session, and when it was last heard.
    holder: Option<(Holder, Instant)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Tcp,
    Udp(SocketAddr),
}

/// A handle on a simulated terminal; clones are the same terminal.
#[derive(Clone)]
pub struct Terminal {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
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
            full: false,
            time_written: None,
            voices: Vec::new(),
            requests: BTreeMap::new(),
            holder: None,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(watch::Sender::new(())), local }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An employee punches now. Gives the punch as recorded, or `None` when the terminal is disabled: then it is recorded, with that
    /// time, once it is enabled; or when its memory is full: then it is lost.
    pub fn punch(&self, employee: &str, verify: u8, state: u8) -> Option<Punch> {
        let at = self.terminal_time();
        let mut terminal = self.state();
        if !terminal.enabled {
            terminal.waiting.push((employee.to_owned(), verify, state));
            return None;
        }
        let punch = Punch { employee: employee.to_owned(), at, verify, state };
        let recorded = terminal.record(punch.clone());
        drop(terminal);
        self.changed.send_replace(());
        recorded.then_some(punch)
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
            Fault::Full(on) => state.full = on,
            Fault::Disconnect => state.hang_up = true,
            armed => state.armed.push(armed),
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Every punch in the log, oldest first.
    pub fn log(&self) -> Vec<Punch> {
        self.state().log.clone()
    }

    /// As a client leaves it that disables it and dies.
    pub fn leave_disabled(&self) {
        self.state().enabled = false;
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

    /// The voice prompts that were asked for.
    pub fn voices(&self) -> Vec<u32> {
        self.state().voices.clone()
    }

    /// Orders that were not met yet.
    pub fn faults_left(&self) -> usize {
        self.state().armed.len()
    }

    /// How often each command was received.
    pub fn requests(&self) -> BTreeMap<u16, u64> {
        self.state().requests.clone()
    }

    /// Live events that wait to be sent to the one who has the session.
    fn events_for(&self, holder: Holder) -> Vec<Packet> {
        let mut state = self.state();
        if state.holder.is_none_or(|(held, _)| held != holder) {
            return Vec::new();
        }
        let events = std::mem::take(&mut state.events);
        if state.silent { Vec::new() } else { events.iter().map(event_packet).collect() }
    }

    /// A request of a client; `None` while another one has the session.
    fn answer(&self, client: &mut Client, packet: &Packet, who: Holder) -> Option<Answer> {
        let now = self.terminal_time();
        let mut state = self.state();
        if state.holder.is_some_and(|(held, heard)| held != who && heard.elapsed() < HALF_DEAD) {
            return None;
        }
        state.holder = Some((who, Instant::now()));
        let answer = client.answer(packet, &mut state, now);
        if !answer.goes_on {
            state.release(who);
        }
        Some(answer)
    }

    /// Serves clients on TCP, one after the other, until cancelled.
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
            self.state().release(Holder::Tcp);
        }
    }

    async fn one_client(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.state().hang_up = false;
        let mut changed = self.changed.subscribe();
        let mut client = Client::new(Medium::Tcp);
        let mut decoder = PacketDecoder::default();
        let mut buffer = vec![0u8; 4096];
        loop {
            if self.state().hang_up {
                return Ok(());
            }
            let events = self.events_for(Holder::Tcp);
            stream.write_all(&events.iter().flat_map(Packet::encode).collect::<Vec<u8>>()).await?;
            tokio::select! {
                _changed = changed.changed() => {}
                read = stream.read(&mut buffer) => {
                    match read? {
                        0 => return Ok(()),
                        n => decoder.push(&buffer[..n]),
                    }
                    while let Some(packet) = decoder.next_packet().map_err(io::Error::other)? {
                        let Some(answer) = self.answer(&mut client, &packet, Holder::Tcp) else { continue };
                        let mut wire: Vec<u8> = answer.packets.iter().flat_map(Packet::encode).collect();
                        if answer.damaged && wire.len() > 10 {
                            wire[10] ^= 0xFF;
                        }
                        if answer.cut {
                            wire.truncate(wire.len() / 2);
                        }
                        let pace = self.state().setup.pace;
                        let mut rest = &wire[..];
                        for packet in &answer.packets[..answer.packets.len().saturating_sub(1)] {
                            if pace.is_zero() || answer.cut {
                                break;
                            }
                            let (first, more) = rest.split_at(packet.encode().len());
                            stream.write_all(first).await?;
                            tokio::time::sleep(pace).await;
                            rest = more;
                        }
                        stream.write_all(rest).await?;
                        if answer.cut || !answer.goes_on {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Serves clients on UDP until cancelled.
    ///
    /// # Errors
    /// The socket's own errors.
    pub async fn serve_udp(&self, socket: UdpSocket, cancel: CancellationToken) -> io::Result<()> {
        let mut changed = self.changed.subscribe();
        let mut clients: BTreeMap<SocketAddr, Client> = BTreeMap::new();
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let holder = self.state().udp_holder();
            if let Some(address) = holder {
                for event in self.events_for(Holder::Udp(address)) {
                    socket.send_to(&event.encode_datagram(), address).await?;
                }
            }
            let (n, from) = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                _changed = changed.changed() => continue,
                received = socket.recv_from(&mut buffer) => match received {
                    Ok(received) => received,
                    // The last answer met a closed socket.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                    Err(error) => return Err(error),
                },
            };
            let Ok(packet) = Packet::decode(Bytes::copy_from_slice(&buffer[..n])) else { continue };
            let client = clients.entry(from).or_insert_with(|| Client::new(Medium::Udp));
            let answer = self.answer(client, &packet, Holder::Udp(from));
            // One session: who does not have it is nobody.
            clients.retain(|address, _| self.state().udp_holder() == Some(*address));
            let Some(answer) = answer else { continue };
            let count = if answer.cut { answer.packets.len() / 2 } else { answer.packets.len() };
            for (n, packet) in answer.packets.iter().take(count).enumerate() {
                let mut wire = packet.encode_datagram();
                if answer.damaged && n == 0 {
                    wire[2] ^= 0xFF;
                }
                socket.send_to(&wire, from).await?;
            }
        }
    }
}

impl State {
    /// `false` when the memory is full.
    fn record(&mut self, punch: Punch) -> bool {
        if self.full {
            return false;
        }
        if self.live {
            self.events.push_back(punch.clone());
        }
        self.log.push(punch);
        true
    }

    fn release(&mut self, who: Holder) {
        if self.holder.is_some_and(|(held, _)| held == who) {
            self.holder = None;
            self.live = false;
            self.events.clear();
        }
    }

    fn udp_holder(&self) -> Option<SocketAddr> {
        match self.holder {
            Some((Holder::Udp(address), _)) => Some(address),
            _ => None,
        }
    }

    fn record_capacity(&self) -> usize {
        if self.full { self.log.len() } else { 100_000.max(self.log.len()) }
    }

    fn armed(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self.armed.iter().position(fits)?;
        Some(self.armed.remove(at))
    }

    /// The log as the joined buffer of a bulk read. Somebody not enrolled has the index 0.
    fn attendance_table(&self) -> Vec<u8> {
        let size = self.setup.record_size;
        let mut out = ((self.log.len() * size as usize) as u32).to_le_bytes().to_vec();
        for punch in &self.log {
            let index = self.setup.users.iter().position(|u| *u == punch.employee).map_or(0, |at| at + 1);
            out.extend(write_record(punch, index as u16, size));
        }
        out
    }

    /// The users as the joined buffer of a bulk read.
    fn users_table(&self) -> Vec<u8> {
        let setup = &self.setup;
        let mut out = ((setup.users.len() * setup.user_size as usize) as u32).to_le_bytes().to_vec();
        for (at, number) in setup.users.iter().enumerate() {
            let name = setup.names.get(at).cloned().unwrap_or_default();
            let user = User { index: (at + 1) as u16, number: number.clone(), name };
            out.extend(write_user(&user, setup.user_size, setup.name_encoding));
        }
        out
    }
}
