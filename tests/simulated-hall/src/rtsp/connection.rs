//! One viewer's connection: requests in, answers and pictures out, in one task.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::md5::md5_hex;
use super::request::Request;
use super::sdp::{TRACK, describe};
use super::server::{Camera, Inner, Tier};
use super::stamp::unix_us;
use super::stream::VIEWER_QUEUE;

/// A viewer that takes no byte for so long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that asks for nothing and watches nothing for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

static SESSIONS: AtomicU64 = AtomicU64::new(1);

/// Serves one connection until either side ends it.
pub(super) async fn serve(socket: TcpStream, inner: &Arc<Inner>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let serial = SESSIONS.fetch_add(1, Ordering::Relaxed);
    let mut connection = Connection {
        socket,
        inner: Arc::clone(inner),
        nonce: md5_hex(&format!("{serial} {}", unix_us())),
        session: format!("{serial:08X}"),
        camera: None,
        cut: inner.cancel.child_token(),
        set_up: None,
        pictures: None,
    };
    let (cut, whole) = (connection.cut.clone(), inner.cancel.clone());
    tokio::select! {
        () = cut.cancelled() => Ok(()),
        () = whole.cancelled() => Ok(()),
        ended = connection.run() => ended,
    }
}

struct Connection {
    socket: TcpStream,
    inner: Arc<Inner>,
    nonce: String,
    session: String,
    camera: Option<Arc<Camera>>,
    cut: CancellationToken,
    set_up: Option<Tier>,
    pictures: Option<mpsc::Receiver<Bytes>>,
}

/// Whether the connection goes on after a request.
enum Then {
    Go,
    Close,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut chunk = vec![0; 4096];
        loop {
            tokio::select! {
                read = tokio::time::timeout(IDLE_TIMEOUT, self.socket.read(&mut chunk)) => match read {
                    Ok(Ok(0)) => return Ok(()),
                    Ok(Ok(count)) => buffer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                    Ok(Err(error)) => return Err(error),
                    Err(_) if self.pictures.is_some() => {}
                    Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                },
                unit = next(&mut self.pictures) => match unit {
                    Some(unit) => self.write(&unit).await?,
                    None => return Ok(()),
                },
            }
            while let Some(request) = Request::take(&mut buffer).map_err(io::Error::other)? {
                if let Then::Close = self.answer(&request).await? {
                    return Ok(());
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.socket.write_all(bytes)).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn reply(
        &mut self,
        request: &Request,
        status: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<Then> {
        let cseq = request.header("cseq").unwrap_or("0");
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!(
            "RTSP/1.0 {status}\r\nCSeq: {cseq}\r\nServer: simulated-hall\r\n{headers}{length}\r\n{body}"
        );
        self.write(head.as_bytes()).await?;
        Ok(Then::Go)
    }

    async fn answer(&mut self, request: &Request) -> io::Result<Then> {
        let found = self.inner.find(request.path());
        if let Some((camera, _)) = &found {
            let known = self.camera.as_ref().is_some_and(|known| Arc::ptr_eq(known, camera));
            if !known {
                self.follow(camera);
            }
        }
        let fault = match &self.camera {
            Some(camera) => {
                camera.thawed().await;
                camera.fault()
            }
            None => Fault::None,
        };
        if fault == Fault::Drop {
            return Ok(Then::Close);
        }
        match request.method.as_str() {
            "OPTIONS" => {
                let methods = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER\r\n";
                return self.reply(request, "200 OK", methods, "").await;
            }
            "DESCRIBE" | "SETUP" | "PLAY" | "PAUSE" | "TEARDOWN" | "GET_PARAMETER" | "SET_PARAMETER" => {}
            _ => return self.reply(request, "501 Not Implemented", "", "").await,
        }
        let Some((camera, tier)) = found else { return self.reply(request, "404 Not Found", "", "").await };
        let authorization = request.header("authorization");
        if fault == Fault::Unauthorized
            || !camera.credentials.admits(authorization, &request.method, &self.nonce)
        {
            let challenge = format!("WWW-Authenticate: {}\r\n", camera.credentials.challenge(&self.nonce));
            return self.reply(request, "401 Unauthorized", &challenge, "").await;
        }
        if fault == Fault::Refuse && matches!(request.method.as_str(), "DESCRIBE" | "SETUP") {
            return self.reply(request, "503 Service Unavailable", "", "").await;
        }
        self.act(request, &camera, tier).await
    }

    async fn act(&mut self, request: &Request, camera: &Arc<Camera>, tier: Tier) -> io::Result<Then> {
        let Some(stream) = camera.stream(tier) else {
            return self.reply(request, "404 Not Found", "", "").await;
        };
        let session = format!("Session: {};timeout=60\r\n", self.session);
        match request.method.as_str() {
            "DESCRIBE" => {
                let base = request.uri.trim_end_matches('/');
                let headers = format!("Content-Base: {base}/\r\nContent-Type: application/sdp\r\n");
                let sdp = describe(&stream.clip());
                self.reply(request, "200 OK", &headers, &sdp).await
            }
            "SETUP" => {
                let transport = request.header("transport").unwrap_or_default();
                if !transport.to_ascii_uppercase().contains("RTP/AVP/TCP") {
                    return self.reply(request, "461 Unsupported Transport", "", "").await;
                }
                self.set_up = Some(tier);
                let ssrc = stream.ssrc();
                let headers = format!(
                    "{session}Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc={ssrc:08X};mode=\"PLAY\"\r\n"
                );
                self.reply(request, "200 OK", &headers, "").await
            }
            "PLAY" if self.set_up != Some(tier) => {
                self.reply(request, "455 Method Not Valid in This State", "", "").await
            }
            "PLAY" if self.pictures.is_some() => self.reply(request, "200 OK", &session, "").await,
            "PLAY" => {
                let (sender, receiver) = mpsc::channel(VIEWER_QUEUE);
                let (joined, start) = stream.join(sender, self.cut.clone());
                self.pictures = Some(receiver);
                if start {
                    let (camera, cancel) = (Arc::clone(camera), self.inner.cancel.clone());
                    self.inner.tasks.spawn(async move { stream.run(|| camera.fault(), cancel).await });
                }
                let base = request.uri.trim_end_matches('/');
                let track = if base.ends_with(TRACK) { base.to_owned() } else { format!("{base}/{TRACK}") };
                let headers = format!(
                    "{session}Range: npt=now-\r\nRTP-Info: url={track};seq={};rtptime={}\r\n",
                    joined.sequence, joined.timestamp
                );
                self.reply(request, "200 OK", &headers, "").await
            }
            "PAUSE" => {
                self.pictures = None;
                self.reply(request, "200 OK", &session, "").await
            }
            "TEARDOWN" => {
                self.pictures = None;
                self.reply(request, "200 OK", &session, "").await?;
                Ok(Then::Close)
            }
            _ => self.reply(request, "200 OK", &session, "").await,
        }
    }

    /// From now on the connection ends when `camera` closes its connections.
    fn follow(&mut self, camera: &Arc<Camera>) {
        let closed = camera.cut();
        let cut = self.cut.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = closed.cancelled() => cut.cancel(),
            }
        });
        self.camera = Some(Arc::clone(camera));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

async fn next(pictures: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match pictures {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}
