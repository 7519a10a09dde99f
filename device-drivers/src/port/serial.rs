//! Serial lines by path: real adapters and ptys.
//!
//! A line is lost when it hangs up or when its path no longer leads to it, whichever is seen first. Modem lines are best effort, since a pty answers ENOTTY (docs/reference/devices.md E). The line is opened exclusively,
//! so that two programs never share one bus.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::{ClearBuffer, SerialPort as _, SerialPortBuilderExt, SerialStream};

use super::{
    Opening, Port, Stir, Stirring, Stream,
    list::{self, UsbIdentity},
    watch,
};

/// How long opening may take; a dead USB adapter can hang in the kernel.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A device file that is watched for is looked for this often all the same: a directory above it may have been moved.
const WATCHED_RETRY: Duration = Duration::from_secs(60);
/// A node is made first and given its rights and names after.
const SETTLING: Duration = Duration::from_millis(50);

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
    /// The last opening found no such file.
    was_absent: bool,
    expected: Option<Expected>,
}

/// The adapter that was bound, and where the system tells which is there.
#[derive(Clone, Debug)]
struct Expected {
    adapter: UsbIdentity,
    sys: PathBuf,
}

impl Expected {
    fn check(&self, path: &Path) -> io::Result<()> {
        let device = list::device_number(path)?;
        let found = device.and_then(|device| list::identity_of(&self.sys, device));
        if found.as_ref() == Some(&self.adapter) {
            return Ok(());
        }
        let found = found.map_or_else(|| "no USB adapter".to_owned(), |found| found.to_string());
        Err(io::Error::other(format!(
            "another device is in this socket: {found} instead of {}; plug the right one in, or replace the device on \
             the pairing page",
            self.adapter
        )))
    }
}

impl SerialPort {
    /// A line whose waiting bytes are thrown away at opening: their time of arrival is not known, and a device that
    /// needs an answer says it again.
    pub fn new(config: SerialConfig) -> Self {
        Self { config, keep_waiting_bytes: false, was_absent: false, expected: None }
    }

    /// Opens only if this adapter is behind the path: a name by socket leads to whatever is plugged in there.
    pub fn expecting(mut self, adapter: UsbIdentity) -> Self {
        self.expected = Some(Expected { adapter, sys: "/sys".into() });
        self
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

async fn open(config: SerialConfig, expected: Option<Expected>, keep: bool) -> io::Result<Stream> {
    let path = config.path.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let identity = watch::identity(&config.path)?;
        if let Some(expected) = expected {
            expected.check(&config.path)?;
        }
        Ok::<_, io::Error>((open_blocking(&config, keep)?, identity))
    });
    let (stream, identity) = tokio::time::timeout(OPEN_TIMEOUT, opening)
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(io::Error::other)??;
    Ok(Box::new(Line { stream, gone: Some(Box::pin(watch::vanishes(path, identity))) }))
}

impl Port for SerialPort {
    fn open(&mut self) -> Opening<'_> {
        Box::pin(async move {
            let opened = open(self.config.clone(), self.expected.clone(), self.keep_waiting_bytes).await;
            self.was_absent = opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            opened
        })
    }

    fn name(&self) -> String {
        self.config.path.display().to_string()
    }

    fn stirred(&mut self, wait: Duration) -> Stirring<'_> {
        Box::pin(watched(&self.config.path, self.was_absent, wait))
    }
}

/// Waits for a device file: as long as it takes where it is absent (or `was_absent` a moment ago) and can be watched
/// for, else for `wait`.
pub(super) async fn watched(path: &Path, was_absent: bool, wait: Duration) -> Stir {
    let absent = was_absent || watch::is_absent(path);
    let started = tokio::time::Instant::now();
    let watching = async { if absent { watch::appears(path).await } else { watch::is_touched(path).await } };
    match tokio::time::timeout(if absent { WATCHED_RETRY } else { wait }, watching).await {
        Ok(Ok(())) => {
            tokio::time::sleep(SETTLING).await;
            Stir::Device
        }
        Err(_elapsed) => Stir::TimeOver,
        Ok(Err(error)) => {
            tracing::debug!(path = %path.display(), %error, "the way to this device file cannot be watched");
            tokio::time::sleep_until(started + wait).await;
            Stir::TimeOver
        }
    }
}

/// An open line that takes back its exclusive mark when it goes: on a pty whose other holder lives on, the mark
/// would stay.
struct Line {
    stream: SerialStream,
    /// Completes when its path leads to it no more; `None` once that is so.
    gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.stream.set_exclusive(false);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What has arrived is read before the loss is told.
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            return Poll::Ready(read);
        }
        if let Some(gone) = &mut self.gone {
            ready!(gone.as_mut().poll(cx));
            self.gone = None;
        }
        match self.stream.bytes_to_read() {
            // The reactor has not told us of them yet, and will.
            Ok(1..) => Poll::Pending,
            _ => Poll::Ready(Err(io::ErrorKind::NotFound.into())),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{
        port::{Backoff, until_worth_opening},
        simulator::pty::Pty,
    };

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("nothing happened for 10 s")
    }

    async fn opened(port: &mut SerialPort) -> Stream {
        let mut backoff = Backoff::default();
        loop {
            match port.open().await {
                Ok(stream) => return stream,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
            }
            soon(until_worth_opening(port, &mut backoff)).await;
        }
    }

    #[tokio::test]
    async fn unplugged_with_a_hang_up_and_returned_under_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("by-id/keypad");
        let mut port = SerialPort::new(SerialConfig::new(&link, 9600)).keep_waiting_bytes();
        let (hears, heard) = tokio::sync::oneshot::channel();
        // Before its directory is there.
        let opening = tokio::spawn(async move {
            let mut near = opened(&mut port).await;
            let mut got = [0; 2];
            near.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"hi");
            hears.send(()).unwrap();
            assert!(matches!(near.read(&mut got).await, Ok(0) | Err(_)));
            drop(near);
            let mut near = opened(&mut port).await;
            near.write_all(b"again").await.unwrap();
        });
        std::fs::create_dir(dir.path().join("by-id")).unwrap();
        let mut far = Pty::open(Some(&link)).unwrap();
        far.write_all(b"hi").await.unwrap();
        soon(heard).await.unwrap();
        drop(far);
        let mut far = Pty::open(Some(&link)).unwrap();
        let mut got = [0; 5];
        soon(far.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"again");
        soon(opening).await.unwrap();
    }

    #[tokio::test]
    async fn lost_when_its_path_goes_even_without_a_hang_up() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("line");
        let mut far = Pty::open(Some(&link)).unwrap();
        let mut port = SerialPort::new(SerialConfig::new(&link, 9600));
        let mut near = port.open().await.unwrap();
        far.write_all(b"last words").await.unwrap();
        while far.unread_by_the_driver().unwrap() < 10 {
            tokio::task::yield_now().await;
        }
        std::fs::remove_file(&link).unwrap();
        let mut got = [0; 10];
        soon(near.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"last words");
        assert_eq!(soon(near.read(&mut got)).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn another_adapter_in_the_same_socket_is_refused() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let far = Pty::open(None).unwrap();
        let number = std::fs::metadata(far.path()).unwrap().rdev();
        let name = format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
        let device = dir.path().join("dev/char").join(name).join("device");
        std::fs::create_dir_all(&device).unwrap();
        std::fs::write(device.join("idVendor"), "1a86\n").unwrap();
        std::fs::write(device.join("idProduct"), "7523\n").unwrap();
        let adapter = UsbIdentity { vendor: 0x1a86, product: 0x7523, serial: None };
        let mut port = SerialPort::new(SerialConfig::new(far.path(), 9600)).expecting(adapter.clone());
        port.expected = Some(Expected { adapter: adapter.clone(), sys: dir.path().to_owned() });
        drop(port.open().await.unwrap());
        std::fs::write(device.join("idProduct"), "5523\n").unwrap();
        let error = port.open().await.err().unwrap().to_string();
        assert!(error.contains("1a86:5523") && error.contains("1a86:7523"), "{error}");
        let mut port = SerialPort::new(SerialConfig::new(far.path(), 9600)).expecting(adapter);
        assert!(port.open().await.err().unwrap().to_string().contains("no USB adapter"));
    }
}
