//! One way to a terminal: a TCP stream or a UDP socket, as packets.
//!
//! Owns bytes to packets and back, and where a terminal is. Knows nothing of requests and replies.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use super::{
    packet::{Packet, PacketDecoder},
    session::SessionError,
};
use crate::port::Stream;

/// How long dialling may take.
const DIAL: Duration = Duration::from_secs(5);
/// Longest datagram.
const DATAGRAM: usize = 64 * 1024;

/// How a terminal is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Most of them.
    #[default]
    Tcp,
    /// Older black-and-white ones.
    Udp,
}

/// Where a terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminalAddress {
    /// TCP or UDP.
    pub transport: Transport,
    /// Address and port, 4370 as delivered.
    pub address: SocketAddr,
}

impl TerminalAddress {
    /// On TCP.
    pub fn tcp(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, address }
    }

    /// On UDP.
    pub fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address }
    }

    /// Dials it.
    ///
    /// # Errors
    /// When nothing accepts within `wait`, or within 5 s.
    pub async fn dial(self, wait: Duration) -> io::Result<Link> {
        match self.transport {
            Transport::Udp => Link::udp(self.address).await,
            Transport::Tcp => {
                let stream = tokio::time::timeout(wait.min(DIAL), TcpStream::connect(self.address))
                    .await
                    .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
                stream.set_nodelay(true)?;
                Ok(Link::tcp(Box::new(stream)))
            }
        }
    }
}

impl fmt::Display for TerminalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => write!(f, "{}", self.address),
            Transport::Udp => write!(f, "{} (UDP)", self.address),
        }
    }
}

/// An open way to a terminal.
pub struct Link(Way);

enum Way {
    Tcp { stream: Stream, decoder: PacketDecoder, buffer: Vec<u8> },
    Udp { socket: UdpSocket, buffer: Vec<u8> },
}

impl Link {
    /// Over a fresh connection.
    pub fn tcp(stream: Stream) -> Self {
        Self(Way::Tcp { stream, decoder: PacketDecoder::default(), buffer: vec![0; 16 * 1024] })
    }

    /// Over UDP to this address. Nothing is sent yet.
    ///
    /// # Errors
    /// When no socket can be had.
    pub async fn udp(terminal: SocketAddr) -> io::Result<Self> {
        let own = if terminal.is_ipv4() {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
        } else {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
        };
        let socket = UdpSocket::bind(own).await?;
        socket.connect(terminal).await?;
        Ok(Self(Way::Udp { socket, buffer: vec![0; DATAGRAM] }))
    }

    /// Which it is.
    pub fn transport(&self) -> Transport {
        match self.0 {
            Way::Tcp { .. } => Transport::Tcp,
            Way::Udp { .. } => Transport::Udp,
        }
    }

    pub(super) async fn send(&mut self, packet: &Packet) -> io::Result<()> {
        match &mut self.0 {
            Way::Tcp { stream, .. } => {
                stream.write_all(&packet.encode()).await?;
                stream.flush().await
            }
            Way::Udp { socket, .. } => socket.send(&packet.encode_datagram()).await.map(drop),
        }
    }

    /// Sends if that is possible at once: for a session that is dropped, where nobody can wait.
    pub(super) fn send_now(&mut self, packet: &Packet) {
        match &mut self.0 {
            Way::Tcp { stream, .. } => {
                let mut context = Context::from_waker(Waker::noop());
                let _best_effort = Pin::new(stream).poll_write(&mut context, &packet.encode());
            }
            Way::Udp { socket, .. } => {
                let _best_effort = socket.try_send(&packet.encode_datagram());
            }
        }
    }

    /// The next packet. May be dropped at any await without losing one. A damaged datagram is as good as a lost one; a damaged
    /// stream is out of step, which is an error.
    pub(super) async fn receive(&mut self) -> Result<Packet, SessionError> {
        match &mut self.0 {
            Way::Tcp { stream, decoder, buffer } => loop {
                if let Some(packet) = decoder.next_packet()? {
                    return Ok(packet);
                }
                match stream.read(buffer).await? {
                    0 => return Err(SessionError::Closed),
                    n => decoder.push(&buffer[..n]),
                }
            },
            Way::Udp { socket, buffer } => loop {
                let n = socket.recv(buffer).await?;
                match Packet::decode(Bytes::copy_from_slice(&buffer[..n])) {
                    Ok(packet) => return Ok(packet),
                    Err(error) => tracing::debug!(%error, "a datagram from the terminal was dropped"),
                }
            },
        }
    }

    pub(super) async fn close(&mut self) {
        if let Way::Tcp { stream, .. } = &mut self.0 {
            let _gone_either_way = stream.shutdown().await;
        }
    }
}
