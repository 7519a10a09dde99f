//! One conversation with a terminal: connect, prove the comm key, read, listen, leave.
//!
//! Owns request numbering, timeouts, repeating what a datagram may have lost, and telling events from replies while a request
//! is outstanding. It says only what a [`Command`] can say, and it always enables a terminal that it disabled: after success,
//! after an error, and when it is dropped.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::civil::DateTime;

use super::{
    command::{Command, Setting, Table},
    link::{Link, Transport},
    packet::{EVENT_ATTLOG, Packet, PacketError, code, comm_key, unpack_time},
    records::{Capacity, Log, Punch, RecordError, read_events, read_log},
    users::{NameEncoding, User, read_users},
};
use crate::clock::{Mono, MonotonicClock};

/// Largest chunk on TCP and on UDP (docs/reference/devices.md A1.6).
const CHUNK_TCP: u32 = 0xFFC0;
const CHUNK_UDP: u32 = 16 * 1024;
/// Larger than any terminal's log (a million records of 40 bytes).
const MAX_TABLE: u32 = 48 << 20;
/// Live events kept while nobody asks; they are hints, the log has them all.
const EVENT_LIMIT: usize = 1024;
/// Customary tick byte of the comm key.
const TICK: u8 = 50;
/// Times a request is sent on UDP, where either way may lose it. Every command there is can be done twice.
const UDP_TRIES: u32 = 3;

/// Why a conversation failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection.
    #[error("the connection to the terminal failed: {0}")]
    Io(#[from] io::Error),
    /// The terminal closed it.
    #[error("the terminal closed the connection")]
    Closed,
    /// No answer in time.
    #[error("the terminal did not answer within {0:?}")]
    Timeout(Duration),
    /// Unreadable bytes.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The comm key is wrong.
    #[error("the terminal refuses the comm key; compare it with the terminal's menu")]
    Unauthorized,
    /// It asks for a comm key and none was given.
    #[error("the terminal asks for its comm key; it is in the terminal's menu")]
    KeyNeeded,
    /// It said no.
    #[error("the terminal answered {reply} to command {command}")]
    Refused {
        /// What was asked.
        command: u16,
        /// What it said.
        reply: u16,
    },
    /// A reply that makes no sense.
    #[error("the terminal's answer to command {0} cannot be read")]
    Nonsense(u16),
    /// The log cannot be read.
    #[error(transparent)]
    Records(#[from] RecordError),
}

/// A live attendance event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEvent {
    /// What happened.
    pub punch: Punch,
    /// When it arrived.
    pub arrived: Mono,
    /// Its payload.
    pub raw: Bytes,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimeouts {
    /// For a simple answer.
    pub request: Duration,
    /// For each packet of a bulk transfer.
    pub bulk: Duration,
}

impl Default for SessionTimeouts {
    /// 5 s and 60 s, as is customary (docs/reference/devices.md A1.1).
    fn default() -> Self {
        Self { request: Duration::from_secs(5), bulk: Duration::from_secs(60) }
    }
}

/// An open conversation.
pub struct Session {
    link: Link,
    id: u16,
    reply: u16,
    /// The terminal may be disabled by us.
    disabled: bool,
    /// EXIT was said, or the terminal is gone.
    over: bool,
    events: VecDeque<LiveEvent>,
    timeouts: SessionTimeouts,
    clock: Arc<dyn MonotonicClock>,
}

impl Session {
    /// Opens the conversation on a fresh link. Without a comm key a terminal that asks for one is left at once.
    ///
    /// # Errors
    /// [`SessionError::Unauthorized`] when the comm key is wrong, [`SessionError::KeyNeeded`] when there is none, or whatever
    /// else goes wrong.
    pub async fn connect(
        link: Link,
        key: Option<u32>,
        timeouts: SessionTimeouts,
        clock: Arc<dyn MonotonicClock>,
    ) -> Result<Self, SessionError> {
        let mut session = Self {
            link,
            id: 0,
            reply: u16::MAX,
            disabled: false,
            over: false,
            events: VecDeque::new(),
            timeouts,
            clock,
        };
        let answer = session.request(Command::Connect).await?;
        session.id = answer.session;
        match answer.command {
            code::ACK_OK => {}
            code::ACK_UNAUTH => {
                let key = comm_key(key.ok_or(SessionError::KeyNeeded)?, session.id, TICK);
                match session.request(Command::Authenticate(key)).await?.command {
                    code::ACK_OK => {}
                    code::ACK_UNAUTH => return Err(SessionError::Unauthorized),
                    reply => return Err(SessionError::Refused { command: code::AUTH, reply }),
                }
            }
            reply => return Err(SessionError::Refused { command: code::CONNECT, reply }),
        }
        // Some colour-screen firmware expects it; the others answer with an error, which means nothing.
        session.request(Command::TellSdkBuild).await?;
        Ok(session)
    }

    async fn request(&mut self, command: Command) -> Result<Packet, SessionError> {
        self.request_within(command, self.timeouts.request).await
    }

    async fn request_within(&mut self, command: Command, wait: Duration) -> Result<Packet, SessionError> {
        let packet = self.next_request(command);
        let tries = match self.link.transport() {
            Transport::Tcp => 1,
            Transport::Udp => UDP_TRIES,
        };
        for _ in 1..tries {
            self.write(&packet).await?;
            match self.answer(wait / tries).await {
                Err(SessionError::Timeout(_)) => {
                    tracing::debug!(command = packet.command, "no answer; the request is sent again");
                }
                other => return other,
            }
        }
        self.write(&packet).await?;
        self.answer(wait / tries).await
    }

    fn next_request(&mut self, command: Command) -> Packet {
        self.reply = self.reply.wrapping_add(1);
        Packet::new(command.code(), self.id, self.reply, command.payload())
    }

    async fn write(&mut self, packet: &Packet) -> Result<(), SessionError> {
        let wait = self.timeouts.request;
        tokio::time::timeout(wait, self.link.send(packet))
            .await
            .map_err(|_elapsed| SessionError::Timeout(wait))?
            .map_err(SessionError::Io)
    }

    /// The next packet that answers the present request; others are left out.
    async fn answer(&mut self, wait: Duration) -> Result<Packet, SessionError> {
        tokio::time::timeout(wait, async {
            loop {
                match self.receive().await? {
                    Some(packet) if packet.reply == self.reply => return Ok(packet),
                    Some(packet) => tracing::debug!(
                        command = packet.command,
                        reply = packet.reply,
                        "an answer to a request that is over"
                    ),
                    None => {}
                }
            }
        })
        .await
        .map_err(|_elapsed| SessionError::Timeout(wait))?
    }

    /// The next packet, or `None` if it was an event (which is acknowledged and kept).
    async fn receive(&mut self) -> Result<Option<Packet>, SessionError> {
        let packet = match self.link.receive().await {
            Ok(packet) => packet,
            Err(error) => {
                self.over |= matches!(error, SessionError::Closed);
                return Err(error);
            }
        };
        if packet.command != code::REG_EVENT {
            return Ok(Some(packet));
        }
        let arrived = self.clock.now();
        if packet.session & EVENT_ATTLOG != 0 {
            let punches = read_events(&packet.payload);
            if punches.is_empty() {
                tracing::warn!(
                    payload = %data_encoding::HEXLOWER.encode(&packet.payload[..packet.payload.len().min(64)]),
                    "a live event of unknown form; the punch will come with the log"
                );
            }
            for punch in punches {
                if self.events.len() >= EVENT_LIMIT {
                    self.events.pop_front();
                }
                self.events.push_back(LiveEvent { punch, arrived, raw: packet.payload.clone() });
            }
        }
        self.write(&Packet::new(code::ACK_OK, self.id, 0, Bytes::new())).await?;
        Ok(None)
    }

    async fn done(&mut self, command: Command) -> Result<Packet, SessionError> {
        let answer = self.request(command).await?;
        if answer.command == code::ACK_OK {
            Ok(answer)
        } else {
            Err(SessionError::Refused { command: command.code(), reply: answer.command })
        }
    }

    /// The terminal's clock; `None` if it shows no possible date.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn time(&mut self) -> Result<Option<DateTime>, SessionError> {
        let answer = self.done(Command::Time).await?;
        let packed: [u8; 4] = answer
            .payload
            .get(..4)
            .and_then(|b| b.try_into().ok())
            .ok_or(SessionError::Nonsense(code::GET_TIME))?;
        Ok(unpack_time(u32::from_le_bytes(packed)))
    }

    /// Sets the terminal's clock and makes that count (docs/reference/devices.md A1.2: SET_TIME, then REFRESHDATA).
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn set_time(&mut self, time: DateTime) -> Result<(), SessionError> {
        self.done(Command::SetTime(time)).await?;
        self.done(Command::Refresh).await.map(drop)
    }

    /// Plays a voice prompt, by which somebody in front of the terminal knows it.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn test_voice(&mut self, index: u32) -> Result<(), SessionError> {
        self.done(Command::TestVoice(index)).await.map(drop)
    }

    /// The firmware's version; `None` if it does not say.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn version(&mut self) -> Result<Option<String>, SessionError> {
        let answer = self.request(Command::Version).await?;
        Ok((answer.command == code::ACK_OK).then(|| printable(&answer.payload)).filter(|v| !v.is_empty()))
    }

    /// An option; `None` if the terminal does not have it.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn setting(&mut self, setting: Setting) -> Result<Option<String>, SessionError> {
        let answer = self.request(Command::Read(setting)).await?;
        if answer.command != code::ACK_OK {
            return Ok(None);
        }
        let said = printable(&answer.payload);
        let value = said.split_once('=').filter(|(name, _)| *name == setting.name()).map(|(_, value)| value);
        Ok(value.filter(|v| !v.is_empty()).map(str::to_owned))
    }

    /// Asks for live attendance events. With `first_verify`, as models need that send none otherwise, a capture is ended
    /// and verifying begun before (docs/reference/devices.md A1.8).
    ///
    /// # Errors
    /// When the conversation fails; [`SessionError::Refused`] by terminals without events.
    pub async fn listen(&mut self, first_verify: bool) -> Result<(), SessionError> {
        if first_verify {
            self.request(Command::CancelCapture).await?;
            self.request(Command::StartVerify).await?;
        }
        self.done(Command::Listen).await.map(drop)
    }

    /// How full the terminal is.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn capacity(&mut self) -> Result<Capacity, SessionError> {
        let answer = self.done(Command::FreeSizes).await?;
        Capacity::read(&answer.payload).ok_or(SessionError::Nonsense(code::GET_FREE_SIZES))
    }

    /// Lets people punch: also after an earlier conversation that broke off while it had the terminal disabled.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn enable(&mut self) -> Result<(), SessionError> {
        self.done(Command::Enable).await?;
        self.disabled = false;
        Ok(())
    }

    /// Reads the whole attendance log. The terminal is disabled meanwhile and enabled again whatever happens.
    ///
    /// # Errors
    /// When the conversation fails or the log cannot be understood.
    pub async fn read_log(&mut self) -> Result<Log, SessionError> {
        let mut log = self
            .quietly(Table::Attendance, |table, capacity| {
                let log = read_log(table, capacity.records)?;
                let fullness = (capacity.record_capacity > 0)
                    .then(|| f64::from(capacity.records) / f64::from(capacity.record_capacity));
                Ok(Log { fullness, ..log })
            })
            .await?;
        if log.by_index && !log.punches.is_empty() {
            // The number is what people know; the index stays for somebody who is no longer enrolled.
            let users = self.read_users(NameEncoding::default()).await?;
            for (punch, _) in &mut log.punches {
                if let Some(user) = users.iter().find(|u| u.index.to_string() == punch.employee) {
                    punch.employee.clone_from(&user.number);
                }
            }
        }
        Ok(log)
    }

    /// Reads who is enrolled. The terminal is disabled meanwhile and enabled again whatever happens.
    ///
    /// # Errors
    /// When the conversation fails or the list cannot be understood.
    pub async fn read_users(&mut self, encoding: NameEncoding) -> Result<Vec<User>, SessionError> {
        self.quietly(Table::Users, |table, capacity| read_users(table, capacity.users, encoding)).await
    }

    async fn quietly<T: Default>(
        &mut self,
        table: Table,
        read: impl Fn(&Bytes, Capacity) -> Result<T, RecordError>,
    ) -> Result<T, SessionError> {
        let mut again = true;
        loop {
            // From here on, even if the answer is lost.
            self.disabled = true;
            self.done(Command::Disable).await?;
            let bytes = self.counted(table).await;
            let enabled = self.enable().await;
            let (capacity, bytes) = bytes?;
            enabled?;
            let Some(bytes) = bytes else { return Ok(T::default()) };
            match read(&bytes, capacity) {
                // A punch between counting and reading makes the sizes disagree; it is quiet the second time.
                Err(RecordError::Size { .. }) if again => again = false,
                other => return other.map_err(SessionError::Records),
            }
        }
    }

    async fn counted(&mut self, table: Table) -> Result<(Capacity, Option<Bytes>), SessionError> {
        let capacity = self.capacity().await?;
        let rows = match table {
            Table::Attendance => capacity.records,
            Table::Users => capacity.users,
        };
        let bytes = if rows == 0 { None } else { Some(self.table(table).await?) };
        Ok((capacity, bytes))
    }

    async fn table(&mut self, table: Table) -> Result<Bytes, SessionError> {
        let answer = self.request_within(Command::Prepare(table), self.timeouts.bulk).await?;
        match answer.command {
            code::DATA => Ok(answer.payload),
            code::ACK_OK => {
                let size: [u8; 4] = answer
                    .payload
                    .get(1..5)
                    .and_then(|b| b.try_into().ok())
                    .ok_or(SessionError::Nonsense(code::PREPARE_BUFFER))?;
                let size = u32::from_le_bytes(size);
                if size > MAX_TABLE {
                    return Err(SessionError::Nonsense(code::PREPARE_BUFFER));
                }
                let mut joined = BytesMut::new();
                while (joined.len() as u32) < size {
                    let piece = self.chunk_surely(joined.len() as u32, size).await?;
                    joined.extend_from_slice(&piece);
                }
                self.done(Command::Free).await?;
                Ok(joined.freeze())
            }
            reply => Err(SessionError::Refused { command: code::PREPARE_BUFFER, reply }),
        }
    }

    /// A chunk that begins at `offset` of `total`; on UDP asked for again if a datagram was lost or doubled.
    async fn chunk_surely(&mut self, offset: u32, total: u32) -> Result<BytesMut, SessionError> {
        let (tries, most) = match self.link.transport() {
            Transport::Tcp => (1, CHUNK_TCP),
            Transport::Udp => (UDP_TRIES, CHUNK_UDP),
        };
        let size = most.min(total - offset);
        for _ in 1..tries {
            match self.chunk(offset, size).await {
                Err(SessionError::Timeout(_) | SessionError::Nonsense(_)) => {
                    tracing::debug!(offset, size, "a chunk came incomplete and is asked for again");
                }
                other => return other,
            }
        }
        self.chunk(offset, size).await
    }

    async fn chunk(&mut self, offset: u32, size: u32) -> Result<BytesMut, SessionError> {
        let wait = match self.link.transport() {
            Transport::Tcp => self.timeouts.bulk,
            Transport::Udp => self.timeouts.request,
        };
        let request = self.next_request(Command::Chunk { offset, size });
        self.write(&request).await?;
        let size = size as usize;
        let mut piece = BytesMut::new();
        let mut announced = false;
        loop {
            let answer = self.answer(wait).await?;
            match answer.command {
                code::PREPARE_DATA => announced = true,
                code::DATA => piece.extend_from_slice(&answer.payload),
                code::ACK_OK if piece.len() == size => return Ok(piece),
                code::ACK_OK => return Err(SessionError::Nonsense(code::READ_BUFFER)),
                reply => return Err(SessionError::Refused { command: code::READ_BUFFER, reply }),
            }
            // Some firmware sends a chunk bare, with nothing before or after it.
            if !announced && piece.len() == size {
                return Ok(piece);
            }
            if piece.len() > size {
                return Err(SessionError::Nonsense(code::READ_BUFFER));
            }
        }
    }

    /// Waits for the next live event. May be dropped at any await without losing one.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn next_event(&mut self) -> Result<LiveEvent, SessionError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.receive().await?;
        }
    }

    /// Takes leave; the terminal is enabled, and free for the next client at once. Failure does not matter any more.
    pub async fn exit(mut self) {
        if self.disabled {
            let _ = self.enable().await;
        }
        if self.request(Command::Exit).await.is_ok() {
            self.over = true;
        }
        self.link.close().await;
    }
}

impl Drop for Session {
    /// A terminal left disabled shows "working" and nobody can punch; one left with a session open answers no other client for
    /// a while.
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if self.disabled {
            let enable = self.next_request(Command::Enable);
            self.link.send_now(&enable);
        }
        let exit = self.next_request(Command::Exit);
        self.link.send_now(&exit);
    }
}

/// Text up to the first NUL, at most 64 printable ASCII characters.
fn printable(payload: &[u8]) -> String {
    let text = payload.iter().take_while(|b| **b != 0).take(64).map(|b| char::from(*b));
    text.filter(|c| c.is_ascii_graphic() || *c == ' ').collect::<String>().trim().to_owned()
}
