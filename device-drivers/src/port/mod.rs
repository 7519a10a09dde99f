//! Where bytes come from: serial lines, TCP in both directions and keyboards, behind one small trait.
//!
//! Owns opening, unplug and return. A port that is away costs no CPU: a device file is waited for by inotify, what cannot
//! be watched is tried again after 0.2, 0.5, 1, 2, then every 3 s (docs/reference/devices.md E). Never looks into the
//! bytes.

pub mod half_duplex;
pub mod hid;
pub mod list;
pub mod listen;
pub mod serial;
pub mod tcp;
mod watch;

use std::{future::Future, io, pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

pub use half_duplex::{BusRules, HalfDuplex};
pub use hid::{HidConfig, HidPort, KeyEvent};
pub use list::{FoundPort, Places, PortKind, Stability, UsbIdentity};
pub use listen::{ListenConfig, ListenPort, Network};
pub use serial::{SerialConfig, SerialPort};
pub use tcp::{TcpConfig, TcpPort};

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open port. Reading 0 bytes, or any error, means that it is gone: drop it and open again.
pub type Stream = Box<dyn Duplex>;

/// The future of [`Port::open`].
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>>;

/// The future of [`Port::stirred`].
pub type Stirring<'a> = Pin<Box<dyn Future<Output = Stir> + Send + 'a>>;

/// What ended a wait for a port that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stir {
    /// The time is over; nothing is known of the port.
    TimeOver,
    /// The device came, or something was done to it.
    Device,
}

/// Something that can be opened again and again.
pub trait Port: Send {
    /// Opens it, within a bounded time.
    fn open(&mut self) -> Opening<'_>;

    /// What a log line calls it: path or address, never a secret.
    fn name(&self) -> String;

    /// Waits until it is worth opening again: until the device comes, where that can be seen, else for `wait`. A port
    /// that will see its device come may wait much longer than `wait`.
    fn stirred(&mut self, wait: Duration) -> Stirring<'_> {
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            Stir::TimeOver
        })
    }
}

/// Waits after a failed opening, or after a loss, until the port is worth opening again.
pub async fn until_worth_opening(port: &mut dyn Port, backoff: &mut Backoff) {
    if port.stirred(backoff.next_wait()).await == Stir::Device {
        // Its first moments are unsteady (rights are set after the node is made): try again soon, but not as if new.
        backoff.attempt = 1;
    }
}

/// A port that hands out streams made beforehand, one per opening; after the last, opening fails. For tests, and for
/// a stream that somebody else opened.
pub struct HandedPort {
    streams: std::collections::VecDeque<Stream>,
}

impl HandedPort {
    /// A port of these streams.
    pub fn new(streams: impl IntoIterator<Item = Stream>) -> Self {
        Self { streams: streams.into_iter().collect() }
    }
}

impl Port for HandedPort {
    fn open(&mut self) -> Opening<'_> {
        let next = self.streams.pop_front().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        Box::pin(async move { next })
    }

    fn name(&self) -> String {
        "handed".to_owned()
    }
}

/// Waits between attempts to open: 0.2, 0.5, 1, 2, then 3 s each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    attempt: usize,
}

impl Backoff {
    const STEPS_MS: [u64; 5] = [200, 500, 1000, 2000, 3000];

    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let step = Self::STEPS_MS[self.attempt.min(Self::STEPS_MS.len() - 1)];
        self.attempt = self.attempt.saturating_add(1);
        Duration::from_millis(step)
    }

    /// To be called once the port works: the next wait is the shortest again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// `true` before the first wait.
    pub fn is_fresh(&self) -> bool {
        self.attempt == 0
    }
}

/// Why a port is gone, in plain words.
pub(crate) fn plain_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "not there (unplugged, or a wrong path)".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "no permission (the service's user must be in the group dialout)".to_owned()
        }
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "it hung up (unplugged, or switched off)".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_steps() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [200, 500, 1000, 2000, 3000, 3000, 3000]);
        backoff.reset();
        assert_eq!(backoff.next_wait().as_millis(), 200);
    }
}
