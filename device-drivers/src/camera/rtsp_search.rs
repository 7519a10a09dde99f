//! Which addresses speak RTSP: for cameras that have no ONVIF, or have it switched off.
//!
//! Asks `OPTIONS` (RFC 2326, 10.1), which needs no user and plays nothing. It asks only the addresses it was given, and
//! finds no stream: where a camera's streams are a person must say.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::onvif::HostRange;

/// The usual port.
pub const PORT: u16 = 554;
/// Addresses asked at the same time.
const AT_ONCE: usize = 64;
/// How long one address may take.
const ANSWER: Duration = Duration::from_millis(1500);
/// Most bytes read of an answer.
const MOST: usize = 4096;

/// Somebody who speaks RTSP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RtspServer {
    /// Where.
    pub address: SocketAddr,
    /// What it calls itself.
    pub server: Option<String>,
}

/// Asks every address on `port`, for at most `deadline`. Gives who answered, by address, and whether all were asked.
pub async fn rtsp_servers(ranges: &[HostRange], port: u16, deadline: Duration) -> (Vec<RtspServer>, bool) {
    let until = Instant::now() + deadline;
    let addresses: Vec<Ipv4Addr> = ranges.iter().flat_map(|range| range.addresses()).collect();
    let mut asking = futures_util::stream::iter(addresses)
        .map(|ip| async move {
            let address = SocketAddr::from((ip, port));
            let server = timeout(ANSWER, ask(address)).await.ok().flatten()?;
            Some(RtspServer { address, server })
        })
        .buffer_unordered(AT_ONCE);
    let mut found = Vec::new();
    let whole = loop {
        match timeout_at(until, asking.next()).await {
            Ok(Some(answer)) => found.extend(answer),
            Ok(None) => break true,
            Err(_elapsed) => break false,
        }
    };
    found.sort_by_key(|server: &RtspServer| server.address);
    (found, whole)
}

/// What the server there calls itself; none where nobody speaks RTSP.
async fn ask(address: SocketAddr) -> Option<Option<String>> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("OPTIONS rtsp://{address}/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: hallwatch\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0u8; 1024];
    while answer.len() < MOST {
        match stream.read(&mut buffer).await.ok()? {
            0 => break,
            n => answer.extend_from_slice(&buffer[..n]),
        }
        if answer.windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
    }
    read_options(&answer)
}

/// What the sender of an answer to `OPTIONS` calls itself; none where it is no answer in RTSP. Any status is one: some
/// cameras want a user even for this.
pub fn read_options(answer: &[u8]) -> Option<Option<String>> {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(MOST)]);
    let mut lines = text.lines();
    let status = lines.next()?.strip_prefix("RTSP/1.")?;
    let (_, code) = status.split_once(' ')?;
    code.get(..3)?.parse::<u16>().ok()?;
    let named = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("server")
            .then(|| value.trim().chars().filter(|c| !c.is_control()).take(128).collect::<String>())
    });
    Some(named.filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_in_rtsp_and_others() {
        let of = |text: &str| read_options(text.as_bytes());
        assert_eq!(
            of("RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer:  H264DVR 1.0\r\nPublic: DESCRIBE\r\n\r\n"),
            Some(Some("H264DVR 1.0".into()))
        );
        assert_eq!(of("RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\nServer: of the body"), Some(None));
        assert_eq!(of("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"), None);
        assert_eq!(of("RTSP/1.0 soon\r\n"), None);
        assert_eq!(of(""), None);
    }

    #[tokio::test]
    async fn who_speaks_rtsp_is_found_and_who_does_not_is_not() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0u8; 512];
            let n = stream.read(&mut request).await.unwrap();
            assert!(request[..n].starts_with(b"OPTIONS rtsp://127.0.0.1:"));
            stream.write_all(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nSer").await.unwrap();
            stream.write_all(b"ver: simulated\r\n\r\n").await.unwrap();
        });
        let ranges = ["127.0.0.1-2".parse().unwrap()];
        let (found, whole) = rtsp_servers(&ranges, port, Duration::from_secs(30)).await;
        serving.await.unwrap();
        assert!(whole);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert_eq!(found, [RtspServer { address, server: Some("simulated".into()) }]);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_left(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut answer = b"RTSP/1.0 200 OK\r\nServer: ".to_vec();
            answer.extend(&bytes);
            for answer in [&bytes, &answer] {
                if let Some(Some(name)) = read_options(answer) {
                    prop_assert!(!name.is_empty() && !name.chars().any(char::is_control));
                }
            }
        }
    }
}
