//! One conversation with a terminal: connect, prove the comm key, read, listen, leave.
//!
//! Owns request numbering, timeouts, and telling events from replies while a request is outstanding. It never sends a
//! command that clears, restarts or writes records, and it always enables a terminal that it disabled.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::civil::DateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    packet::{EVENT_ATTLOG, Packet, PacketDecoder, PacketError, code, comm_key, unpack_time},
    records::{Capacity, Log, Punch, RecordError, read_event, read_log},
};
use crate::clock::{Mono, MonotonicClock};

/// Attendance selector of command 1503.
const SELECT_ATTLOG: [u8; 11] = [1, 0x0D, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Largest chunk on TCP.
const CHUNK: u32 = 0xFFC0;
/// Larger than any terminal's log (a million records of 40 bytes).
const MAX_LOG: u32 = 48 << 20;
/// Live events kept while nobody asks; they are hints, the log has them all.
const EVENT_LIMIT: usize = 1024;
/// Customary tick byte of the comm key.
const TICK: u8 = 50;

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
pub struct Session<S> {
    stream: S,
    decoder: PacketDecoder,
    buffer: Vec<u8>,
    id: u16,
    reply: u16,
    events: VecDeque<LiveEvent>,
    timeouts: SessionTimeouts,
    clock: Arc<dyn MonotonicClock>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Opens the conversation on a fresh connection.
    ///
    /// # Errors
    /// [`SessionError::Unauthorized`] when the comm key is wrong, or whatever else goes wrong.
    pub async fn connect(
        stream: S,
        password: u32,
        timeouts: SessionTimeouts,
        clock: Arc<dyn MonotonicClock>,
    ) -> Result<Self, SessionError> {
        let mut session = Self {
            stream,
            decoder: PacketDecoder::default(),
            buffer: vec![0; 16 * 1024],
            id: 0,
            reply: u16::MAX,
            events: VecDeque::new(),
            timeouts,
            clock,
        };
        let answer = session.request(code::CONNECT, Bytes::new()).await?;
        session.id = answer.session;
        if answer.command == code::ACK_UNAUTH {
            let key = comm_key(password, session.id, TICK);
            match session.request(code::AUTH, key.to_vec()).await?.command {
                code::ACK_OK => {}
                code::ACK_UNAUTH => return Err(SessionError::Unauthorized),
                reply => return Err(SessionError::Refused { command: code::AUTH, reply }),
            }
        } else if answer.command != code::ACK_OK {
            return Err(SessionError::Refused { command: code::CONNECT, reply: answer.command });
        }
        // Some colour-screen firmware expects it; the others answer with an error, which means nothing.
        session.request(code::OPTIONS_WRQ, &b"SDKBuild=1\0"[..]).await?;
        Ok(session)
    }

    async fn request(&mut self, command: u16, payload: impl Into<Bytes>) -> Result<Packet, SessionError> {
        self.send(command, payload.into()).await?;
        self.answer(self.timeouts.request).await
    }

    async fn send(&mut self, command: u16, payload: Bytes) -> Result<(), SessionError> {
        self.reply = self.reply.wrapping_add(1);
        let packet = Packet::new(command, self.id, self.reply, payload);
        self.write(&packet.encode()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let wait = self.timeouts.request;
        tokio::time::timeout(wait, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
        .map_err(|_elapsed| SessionError::Timeout(wait))??;
        Ok(())
    }

    /// The next packet that answers the present request; others are left out.
    async fn answer(&mut self, wait: Duration) -> Result<Packet, SessionError> {
        tokio::time::timeout(wait, async {
            loop {
                let packet = self.receive().await?;
                match packet {
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
        let packet = loop {
            if let Some(packet) = self.decoder.next_packet()? {
                break packet;
            }
            match self.stream.read(&mut self.buffer).await? {
                0 => return Err(SessionError::Closed),
                n => self.decoder.push(&self.buffer[..n]),
            }
        };
        if packet.command != code::REG_EVENT {
            return Ok(Some(packet));
        }
        let arrived = self.clock.now();
        if packet.session & EVENT_ATTLOG != 0 {
            match read_event(&packet.payload) {
                Some(punch) => {
                    if self.events.len() >= EVENT_LIMIT {
                        self.events.pop_front();
                    }
                    self.events.push_back(LiveEvent { punch, arrived, raw: packet.payload });
                }
                None => tracing::warn!(
                    payload = %data_encoding::HEXLOWER.encode(&packet.payload[..packet.payload.len().min(64)]),
                    "a live event of unknown form; the punch will come with the log"
                ),
            }
        }
        self.write(&Packet::new(code::ACK_OK, self.id, 0, Bytes::new()).encode()).await?;
        Ok(None)
    }

    async fn done(&mut self, command: u16, payload: impl Into<Bytes>) -> Result<Packet, SessionError> {
        let answer = self.request(command, payload).await?;
        if answer.command == code::ACK_OK {
            Ok(answer)
        } else {
            Err(SessionError::Refused { command, reply: answer.command })
        }
    }

    /// The terminal's clock; `None` if it shows no possible date.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn time(&mut self) -> Result<Option<DateTime>, SessionError> {
        let answer = self.done(code::GET_TIME, Bytes::new()).await?;
        let packed: [u8; 4] = answer
            .payload
            .get(..4)
            .and_then(|b| b.try_into().ok())
            .ok_or(SessionError::Nonsense(code::GET_TIME))?;
        Ok(unpack_time(u32::from_le_bytes(packed)))
    }

    /// Asks for live attendance events.
    ///
    /// # Errors
    /// When the conversation fails; [`SessionError::Refused`] by terminals without events.
    pub async fn register_events(&mut self) -> Result<(), SessionError> {
        let mask = u32::from(EVENT_ATTLOG).to_le_bytes();
        self.done(code::REG_EVENT, mask.to_vec()).await.map(|_ok| ())
    }

    /// How full the terminal is.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn capacity(&mut self) -> Result<Capacity, SessionError> {
        let answer = self.done(code::GET_FREE_SIZES, Bytes::new()).await?;
        Capacity::read(&answer.payload).ok_or(SessionError::Nonsense(code::GET_FREE_SIZES))
    }

    /// Lets people punch again: for a caller that gave up [`read_log`](Self::read_log) half-way.
    ///
    /// # Errors
    /// When the conversation fails.
    pub async fn enable(&mut self) -> Result<(), SessionError> {
        self.done(code::ENABLE, Bytes::new()).await.map(|_ok| ())
    }

    /// Reads the whole attendance log. The terminal is disabled meanwhile and enabled again whatever happens; a caller
    /// that drops this future must call [`enable`](Self::enable).
    ///
    /// # Errors
    /// When the conversation fails or the log cannot be understood.
    pub async fn read_log(&mut self) -> Result<Log, SessionError> {
        let mut again = true;
        loop {
            self.done(code::DISABLE, Bytes::new()).await?;
            let read = self.read_log_disabled().await;
            let enabled = self.enable().await;
            match read {
                // A punch between counting and reading makes the sizes disagree; it is quiet the second time.
                Err(SessionError::Records(RecordError::Size { .. })) if again && enabled.is_ok() => {
                    again = false;
                }
                Err(error) => return Err(error),
                Ok(log) => return enabled.map(|()| log),
            }
        }
    }

    async fn read_log_disabled(&mut self) -> Result<Log, SessionError> {
        let records = self.capacity().await?.records;
        if records == 0 {
            return Ok(Log::default());
        }
        self.send(code::PREPARE_BUFFER, Bytes::from_static(&SELECT_ATTLOG)).await?;
        let answer = self.answer(self.timeouts.bulk).await?;
        let joined = match answer.command {
            code::DATA => answer.payload,
            code::ACK_OK => {
                let size: [u8; 4] = answer
                    .payload
                    .get(1..5)
                    .and_then(|b| b.try_into().ok())
                    .ok_or(SessionError::Nonsense(code::PREPARE_BUFFER))?;
                let size = u32::from_le_bytes(size);
                if size > MAX_LOG {
                    return Err(SessionError::Nonsense(code::PREPARE_BUFFER));
                }
                let joined = self.chunks(size).await?;
                self.done(code::FREE_DATA, Bytes::new()).await?;
                joined
            }
            reply => return Err(SessionError::Refused { command: code::PREPARE_BUFFER, reply }),
        };
        Ok(read_log(&joined, records)?)
    }

    async fn chunks(&mut self, size: u32) -> Result<Bytes, SessionError> {
        let mut joined = BytesMut::with_capacity(size as usize);
        while (joined.len() as u32) < size {
            let offset = joined.len() as u32;
            let wanted = CHUNK.min(size - offset);
            let mut selector = offset.to_le_bytes().to_vec();
            selector.extend(wanted.to_le_bytes());
            self.send(code::READ_BUFFER, selector.into()).await?;
            let until = joined.len() + wanted as usize;
            loop {
                let answer = self.answer(self.timeouts.bulk).await?;
                match answer.command {
                    code::PREPARE_DATA => {}
                    code::DATA => joined.extend_from_slice(&answer.payload),
                    code::ACK_OK => break,
                    reply => return Err(SessionError::Refused { command: code::READ_BUFFER, reply }),
                }
                if joined.len() > until {
                    return Err(SessionError::Nonsense(code::READ_BUFFER));
                }
            }
            if joined.len() < until {
                return Err(SessionError::Nonsense(code::READ_BUFFER));
            }
        }
        Ok(joined.freeze())
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

    /// Takes leave; the terminal is free for the next client at once. Failure does not matter any more.
    pub async fn exit(mut self) {
        let _ = self.request(code::EXIT, Bytes::new()).await;
        let _ = self.stream.shutdown().await;
    }
}
