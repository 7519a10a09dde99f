//! Looking for terminals: every address of a stated range is asked on port 4370, a few at a time.
//!
//! Owns the range and the pace. It asks nothing but what [`probe`](super::probe::probe) asks without a comm key.

use std::{fmt, net::Ipv4Addr, str::FromStr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    link::{TerminalAddress, Transport},
    probe::{Probe, Visit, probe},
    session::SessionTimeouts,
};
use crate::clock::LocalClock;

/// The port of terminals as delivered.
pub const PORT: u16 = 4370;
/// Addresses asked in one search; more would take minutes and be noticed as a scan.
pub const MOST: u32 = 4096;
/// Addresses asked at a time.
const AT_A_TIME: usize = 48;
/// A terminal on a hall's network answers within milliseconds; an address where nothing is never does.
const PATIENCE: Duration = Duration::from_millis(1200);

/// IPv4 addresses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: u32,
    last: u32,
}

/// Why a range cannot be searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not one of the ways to write it.
    #[error("{0:?} is no range of addresses; write 10.0.0.0/24, 10.0.0.10-10.0.0.60 or one address")]
    Form(String),
    /// Too many.
    #[error("{0} addresses are too many for one search; at most 4096 (a /20)")]
    Wide(u64),
}

impl AddressRange {
    /// From the first to the last, both included.
    ///
    /// # Errors
    /// When the last comes before the first, or they are too far apart.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, RangeError> {
        let (first, last) = (u32::from(first), u32::from(last));
        if last < first {
            return Err(RangeError::Form(format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last))));
        }
        let count = u64::from(last - first) + 1;
        if count > u64::from(MOST) { Err(RangeError::Wide(count)) } else { Ok(Self { first, last }) }
    }

    /// How many addresses it has.
    pub fn count(self) -> u32 {
        self.last - self.first + 1
    }

    fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first..=self.last).map(Ipv4Addr::from)
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    /// `10.0.0.0/24` (without its network and broadcast addresses), `10.0.0.10-10.0.0.60`, or one address.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let wrong = || RangeError::Form(text.chars().take(64).collect());
        let address = |part: &str| part.trim().parse::<Ipv4Addr>().map_err(|_| wrong());
        if let Some((network, bits)) = text.split_once('/') {
            let bits: u32 = bits.trim().parse().ok().filter(|b| (1..=32).contains(b)).ok_or_else(wrong)?;
            let size = 1u64 << (32 - bits);
            let first = u64::from(u32::from(address(network)?)) & !(size - 1);
            let (first, last) =
                if size > 2 { (first + 1, first + size - 2) } else { (first, first + size - 1) };
            return Self::new(Ipv4Addr::from(first as u32), Ipv4Addr::from(last as u32));
        }
        match text.split_once('-') {
            Some((first, last)) => Self::new(address(first)?, address(last)?),
            None => Self::new(address(text)?, address(text)?),
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", Ipv4Addr::from(self.first), Ipv4Addr::from(self.last))
    }
}

/// A terminal that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its address.
    pub address: std::net::SocketAddr,
    /// On what it answered.
    pub transport: Transport,
    /// What it says of itself without a comm key.
    pub probe: Probe,
}

/// What to look for and where.
#[derive(Clone, Debug)]
pub struct Search {
    /// The addresses.
    pub range: AddressRange,
    /// The port, 4370 as delivered.
    pub port: u16,
    /// On what to ask; UDP only where TCP found nothing.
    pub transports: Vec<Transport>,
    /// How long an address may take to answer.
    pub patience: Duration,
}

impl Search {
    /// This range on port 4370, TCP and UDP.
    pub fn new(range: AddressRange) -> Self {
        Self { range, port: PORT, transports: vec![Transport::Tcp, Transport::Udp], patience: PATIENCE }
    }

    /// Asks every address; gives those that answered, in their order. A search that is cancelled gives what it has. A range of 254
    /// addresses takes about 15 s where nothing answers.
    pub async fn run(&self, local: Arc<dyn LocalClock>, cancel: CancellationToken) -> Vec<Found> {
        let asked = stream::iter(self.range.addresses())
            .map(|address| self.ask(address, local.as_ref()))
            .buffered(AT_A_TIME)
            .filter_map(std::future::ready);
        tokio::pin!(asked);
        let mut found = Vec::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return found,
                next = asked.next() => match next {
                    Some(terminal) => found.push(terminal),
                    None => return found,
                },
            }
        }
    }

    async fn ask(&self, address: Ipv4Addr, local: &dyn LocalClock) -> Option<Found> {
        let address = std::net::SocketAddr::from((address, self.port));
        for transport in &self.transports {
            let visit = Visit {
                address: TerminalAddress { transport: *transport, address },
                comm_key: None,
                timeouts: SessionTimeouts { request: self.patience, bulk: self.patience },
            };
            match probe(&visit, local).await {
                Ok(probe) => return Some(Found { address, transport: *transport, probe }),
                Err(error) => tracing::trace!(%address, ?transport, %error, "no terminal here"),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, count, shown) in [
            ("10.0.0.0/24", 254, "10.0.0.1-10.0.0.254"),
            ("10.0.0.77/30", 2, "10.0.0.77-10.0.0.78"),
            ("10.0.0.9/32", 1, "10.0.0.9-10.0.0.9"),
            ("10.0.0.10 - 10.0.0.60", 51, "10.0.0.10-10.0.0.60"),
            ("127.0.0.1", 1, "127.0.0.1-127.0.0.1"),
        ] {
            let range: AddressRange = text.parse().unwrap();
            assert_eq!((range.count(), range.to_string().as_str()), (count, shown), "{text}");
        }
        for text in ["", "10.0.0", "10.0.0.9-10.0.0.1", "10.0.0.0/33", "10.0.0.0/0", "hall", "1.2.3.4-"] {
            assert!(matches!(text.parse::<AddressRange>(), Err(RangeError::Form(_))), "{text}");
        }
        assert_eq!("10.0.0.0/16".parse::<AddressRange>(), Err(RangeError::Wide(65534)));
    }
}
