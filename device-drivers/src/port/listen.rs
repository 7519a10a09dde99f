//! TCP server: a device, or a serial server, that dials in.
//!
//! Owns one listening socket with the addresses that may use it. There is one connection at a time, and the newest wins:
//! a device that lost its power dials in anew while its old connection still seems to live. Never looks into the bytes.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::{Opening, Port, Stir, Stirring, Stream, tcp::watch_peer};

/// How long a caller that is silent may stay unnoticed after its cable is pulled.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause after the system refused to accept (no descriptors left): it would refuse again at once.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Turned-away addresses that are named in the log, once each.
const STRANGERS: usize = 64;

/// A range of addresses: `10.0.0.0/24`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// What is wrong with the text of a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address range: write an address (10.0.0.9) or a network (10.0.0.0/24)")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => widest,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= widest).ok_or_else(wrong)?,
        };
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    /// Whether an address lies in it. An IPv4 address inside IPv6 (`::ffff:10.0.0.9`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Where to listen, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port to listen at.
    pub listen: SocketAddr,
    /// Who may dial in; an empty list lets nobody in.
    pub allow: Vec<Network>,
}

/// What the listening task leaves for the port.
#[derive(Default)]
struct Desk {
    /// The newest connection and the number of its call.
    waiting: Mutex<Option<(u64, TcpStream)>>,
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, Option<(u64, TcpStream)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Listening {
    address: SocketAddr,
    desk: Arc<Desk>,
    /// The number of the newest call.
    calls: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for one device to dial in.
pub struct ListenPort {
    config: ListenConfig,
    listening: Option<Listening>,
}

impl ListenPort {
    /// A port that listens from its first opening on, as long as it lives.
    pub fn new(config: ListenConfig) -> Self {
        Self { config, listening: None }
    }

    /// Begins to listen, if it does not yet; gives the address with its real port.
    ///
    /// # Errors
    /// The system's, when the address is taken or is not this machine's.
    pub async fn listen(&mut self) -> io::Result<SocketAddr> {
        Ok(self.listening().await?.address)
    }

    async fn listening(&mut self) -> io::Result<&mut Listening> {
        if self.listening.as_ref().is_some_and(|l| l.task.is_finished()) {
            self.listening = None;
        }
        if self.listening.is_none() {
            let listener = TcpListener::bind(self.config.listen).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen at {}: {error}", self.config.listen))
            })?;
            let address = listener.local_addr()?;
            let desk = Arc::<Desk>::default();
            let (called, calls) = watch::channel(0);
            let task = tokio::spawn(accept(listener, self.config.allow.clone(), Arc::clone(&desk), called));
            self.listening = Some(Listening { address, desk, calls, task });
        }
        self.listening.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

async fn accept(listener: TcpListener, allow: Vec<Network>, desk: Arc<Desk>, called: watch::Sender<u64>) {
    let mut strangers = BTreeSet::new();
    let mut call = 0;
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a caller could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !allow.iter().any(|network| network.contains(from.ip())) {
            if strangers.len() < STRANGERS && strangers.insert(from.ip()) {
                tracing::warn!(from = %from.ip(), "turned away: this address is not on the list of those that may dial in");
            }
            continue;
        }
        if let Err(error) = watch_peer(&stream, PATIENCE) {
            tracing::debug!(%from, %error, "a caller was gone before it was heard");
            continue;
        }
        tracing::info!(%from, "a device has dialled in");
        call += 1;
        *desk.waiting() = Some((call, stream));
        called.send_replace(call);
    }
}

impl Port for ListenPort {
    fn open(&mut self) -> Opening<'_> {
        Box::pin(async move {
            let listening = self.listening().await?;
            let mut calls = listening.calls.clone();
            let (call, stream) = listening.desk.waiting().take().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotConnected, "the device has not dialled in")
            })?;
            let replaced = Box::pin(async move {
                if calls.wait_for(|newest| *newest > call).await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            Ok(Box::new(Call { stream, replaced }) as Stream)
        })
    }

    fn name(&self) -> String {
        format!("listening at {}", self.listening.as_ref().map_or(self.config.listen, |l| l.address))
    }

    fn stirred(&mut self, wait: Duration) -> Stirring<'_> {
        Box::pin(async move {
            let Some(listening) = &mut self.listening else {
                tokio::time::sleep(wait).await;
                return Stir::TimeOver;
            };
            // Seen before the desk is looked at: whoever dials in between wakes us.
            listening.calls.mark_unchanged();
            let waits = listening.desk.waiting().is_some();
            if waits || listening.calls.changed().await.is_ok() {
                return Stir::Device;
            }
            tokio::time::sleep(wait).await;
            Stir::TimeOver
        })
    }
}

/// A connection that ends when a newer one is there.
struct Call {
    stream: TcpStream,
    replaced: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl AsyncRead for Call {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What has arrived is read before the end is told.
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            return Poll::Ready(read);
        }
        self.replaced
            .poll_unpin(cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::ConnectionReset, "the device has dialled in anew")))
    }
}

impl AsyncWrite for Call {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::port::{Backoff, until_worth_opening};

    fn port(allow: &[&str]) -> ListenPort {
        ListenPort::new(ListenConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            allow: allow.iter().map(|n| n.parse().unwrap()).collect(),
        })
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("nothing happened for 10 s")
    }

    async fn opened(port: &mut ListenPort) -> Stream {
        let mut backoff = Backoff::default();
        loop {
            match port.open().await {
                Ok(stream) => return stream,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error}"),
            }
            soon(until_worth_opening(port, &mut backoff)).await;
        }
    }

    #[tokio::test]
    async fn the_newest_caller_wins_and_what_the_old_one_said_is_read_first() {
        let mut port = port(&["127.0.0.0/8"]);
        let address = port.listen().await.unwrap();
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut near = opened(&mut port).await;
        first.write_all(b"one").await.unwrap();
        let mut got = [0; 3];
        soon(near.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"one");
        let mut second = TcpStream::connect(address).await.unwrap();
        let lost = soon(near.read(&mut got)).await.unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset);
        drop(near);
        assert_eq!(soon(first.read(&mut got)).await.unwrap(), 0, "the old connection is closed");
        let mut near = opened(&mut port).await;
        near.write_all(b"two").await.unwrap();
        soon(second.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"two");
        drop(port);
        assert!(TcpStream::connect(address).await.is_err(), "a port that is dropped listens no longer");
    }

    #[tokio::test]
    async fn strangers_are_turned_away() {
        let mut port = port(&["10.0.0.0/8", "127.0.0.2"]);
        let address = port.listen().await.unwrap();
        let mut stranger = TcpStream::connect(address).await.unwrap();
        assert_eq!(soon(stranger.read(&mut [0; 8])).await.unwrap_or(0), 0);
        assert_eq!(port.open().await.err().unwrap().kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn networks() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.1.2.0/23", "10.1.3.255") && !holds("10.1.2.0/23", "10.1.4.0"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("10.0.0.9", "::ffff:10.0.0.9") && !holds("10.0.0.9", "10.0.0.8"));
        assert!(holds("fd00::/8", "fd12::1") && holds("::/0", "fd12::1"));
        for wrong in ["", "10.0.0.1/33", "10.0.0/8", "10.0.0.1/", "a/8", "::/129", "10.0.0.1/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
