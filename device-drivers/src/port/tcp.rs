//! TCP client: serial servers, network printers, attendance terminals.
//!
//! A peer that acknowledges nothing is taken for gone after 2 s (a pulled cable sends no goodbye), so that a TCP device is
//! missed as soon as one on a USB plug is.

use std::{io, time::Duration};

use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Opening, Port, Stream};

/// How long dialling may take: time for three tries of the kernel's (at 0, 1 and 3 s). With the longest wait between two
/// dials (3 s) a device is reached within 5 s of its return.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Every peer on a hall's network answers a probe within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// A TCP address to dial.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpConfig {
    /// `host:port`.
    pub address: String,
}

/// Dials one address.
#[derive(Clone, Debug)]
pub struct TcpPort {
    config: TcpConfig,
    patience: Duration,
}

impl TcpPort {
    /// A port at this address, with a patience of 2 s.
    pub fn new(config: TcpConfig) -> Self {
        Self { config, patience: PATIENCE }
    }

    /// How long the peer may leave probes and data unacknowledged before it is taken for gone; at least 2 s. More than
    /// the usual for a device behind a radio link.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.max(PATIENCE);
        self
    }
}

/// Sends bytes at once, and notices a peer that is silently gone (tcp(7): keepalive probes each second of silence,
/// TCP_USER_TIMEOUT for probes and data alike).
pub(super) fn watch_peer(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(1))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(1))?;
    sockopt::set_socket_keepalive(stream, true)?;
    // The kernel looks at it when the next probe is due: a little less than whole seconds is whole seconds.
    let patience = patience.saturating_sub(Duration::from_millis(100)).as_millis();
    sockopt::set_tcp_user_timeout(stream, u32::try_from(patience).unwrap_or(u32::MAX))?;
    Ok(())
}

impl Port for TcpPort {
    fn open(&mut self) -> Opening<'_> {
        Box::pin(async move {
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.config.address))
                .await
                .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
            watch_peer(&stream, self.patience)?;
            Ok(Box::new(stream) as Stream)
        })
    }

    fn name(&self) -> String {
        self.config.address.clone()
    }
}
