//! Serial lines by path: real adapters and ptys.
//!
//! Modem lines are best effort, since a pty answers ENOTTY (docs/reference/devices.md E). The line is opened exclusively,
//! so that two programs never share one bus.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::{ClearBuffer, SerialPort as _, SerialPortBuilderExt, SerialStream};

use super::{Opening, Port, Stream};

/// How long opening may take; a dead USB adapter can hang in the kernel.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// A serial line: 8 data bits, no parity, 1 stop bit, no flow control.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialConfig {
    /// Device file; prefer `/dev/serial/by-id/…` or `by-path/…`, which survive replugging.
    pub path: PathBuf,
    /// Bits per second.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// Level of DTR after opening; some boards reset on it. Unset: as the system leaves it.
    #[serde(default)]
    pub dtr: Option<bool>,
    /// Level of RTS after opening.
    #[serde(default)]
    pub rts: Option<bool>,
}

fn default_baud() -> u32 {
    9600
}

impl SerialConfig {
    /// This path at this speed.
    pub fn new(path: impl Into<PathBuf>, baud: u32) -> Self {
        Self { path: path.into(), baud, dtr: None, rts: None }
    }
}

/// Opens one serial line.
#[derive(Clone, Debug)]
pub struct SerialPort {
    config: SerialConfig,
    keep_waiting_bytes: bool,
}

impl SerialPort {
    /// A line whose waiting bytes are thrown away at opening: their time of arrival is not known, and a device that
    /// needs an answer says it again.
    pub fn new(config: SerialConfig) -> Self {
        Self { config, keep_waiting_bytes: false }
    }

    /// Keeps the bytes that wait at opening: for a line on which nothing is said twice.
    pub fn keep_waiting_bytes(mut self) -> Self {
        self.keep_waiting_bytes = true;
        self
    }
}

fn open_blocking(config: &SerialConfig, keep: bool) -> io::Result<SerialStream> {
    let path = config.path.to_string_lossy();
    let mut stream = tokio_serial::new(path.as_ref(), config.baud).open_native_async()?;
    if let Some(level) = config.dtr
        && let Err(error) = stream.write_data_terminal_ready(level)
    {
        tracing::debug!(path = %path, %error, "this line has no DTR");
    }
    if let Some(level) = config.rts
        && let Err(error) = stream.write_request_to_send(level)
    {
        tracing::debug!(path = %path, %error, "this line has no RTS");
    }
    if !keep {
        stream.clear(ClearBuffer::Input)?;
    }
    Ok(stream)
}

impl Port for SerialPort {
    fn open(&mut self) -> Opening<'_> {
        let config = self.config.clone();
        let keep = self.keep_waiting_bytes;
        Box::pin(async move {
            let opening = tokio::task::spawn_blocking(move || open_blocking(&config, keep));
            let stream = tokio::time::timeout(OPEN_TIMEOUT, opening)
                .await
                .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
                .map_err(io::Error::other)??;
            Ok(Box::new(Line(stream)) as Stream)
        })
    }

    fn name(&self) -> String {
        self.config.path.display().to_string()
    }
}

/// An open line that takes back its exclusive mark when it goes: on a pty whose other holder lives on, the mark
/// would stay.
struct Line(SerialStream);

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.0.set_exclusive(false);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    /// Does nothing: `write` has handed the bytes to the kernel, and draining a line whose far end is stuck would
    /// block the thread.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
