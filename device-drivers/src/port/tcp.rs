//! TCP client: serial servers, network printers, attendance terminals.

use std::{io, time::Duration};

use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Opening, Port, Stream};

/// How long dialling may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
}

impl TcpPort {
    /// A port at this address.
    pub fn new(config: TcpConfig) -> Self {
        Self { config }
    }
}

impl Port for TcpPort {
    fn open(&mut self) -> Opening<'_> {
        Box::pin(async move {
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.config.address))
                .await
                .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Stream)
        })
    }

    fn name(&self) -> String {
        self.config.address.clone()
    }
}
