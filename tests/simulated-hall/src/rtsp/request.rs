//! RTSP requests out of a byte stream (RFC 2326), with what clients interleave (their RTCP) skipped.

/// Longest head of a request that is read; more is not a viewer.
const LONGEST_HEAD: usize = 16 << 10;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) uri: String,
    headers: Vec<(String, String)>,
}

/// The stream holds something that is not RTSP.
#[derive(Debug, thiserror::Error)]
#[error("not an RTSP request")]
pub(super) struct NotRtsp;

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path of the URI: what follows scheme and host, without a query.
    pub(super) fn path(&self) -> &str {
        let after = self.uri.split_once("://").map_or(self.uri.as_str(), |(_, rest)| {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        });
        after.split('?').next().unwrap_or(after)
    }

    /// Takes one request off the front of `buffer`; `Ok(None)` when more bytes are needed.
    pub(super) fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>, NotRtsp> {
        loop {
            if buffer.first() == Some(&b'$') {
                let Some(&[high, low]) = buffer.get(2..4) else { return Ok(None) };
                let whole = 4 + usize::from(u16::from_be_bytes([high, low]));
                if buffer.len() < whole {
                    return Ok(None);
                }
                buffer.drain(..whole);
                continue;
            }
            let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                return if buffer.len() > LONGEST_HEAD { Err(NotRtsp) } else { Ok(None) };
            };
            let head = std::str::from_utf8(buffer.get(..end).unwrap_or_default()).map_err(|_| NotRtsp)?;
            let request = Self::parse(head).ok_or(NotRtsp)?;
            let body: usize =
                request.header("content-length").map_or(Ok(0), str::parse).map_err(|_| NotRtsp)?;
            if body > LONGEST_HEAD {
                return Err(NotRtsp);
            }
            if buffer.len() < end + 4 + body {
                return Ok(None);
            }
            buffer.drain(..end + 4 + body);
            return Ok(Some(request));
        }
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.trim_start_matches("\r\n").split("\r\n");
        let mut first = lines.next()?.split_whitespace();
        let (method, uri, version) = (first.next()?, first.next()?, first.next()?);
        if !version.starts_with("RTSP/") {
            return None;
        }
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Some(Self { method: method.to_owned(), uri: uri.to_owned(), headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_between_interleaved_packets() {
        let mut bytes =
            b"$\x01\x00\x02abOPTIONS rtsp://h:5/W01/main?x=1 RTSP/1.0\r\nCSeq: 3\r\n\r\n$\x01".to_vec();
        let request = Request::take(&mut bytes).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path(), request.header("cseq")),
            ("OPTIONS", "/W01/main", Some("3"))
        );
        assert!(Request::take(&mut bytes).unwrap().is_none());
        assert_eq!(bytes, b"$\x01");
    }

    #[test]
    fn a_body_is_skipped_and_http_is_refused() {
        let mut bytes =
            b"SET_PARAMETER /W01/main RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nab".to_vec();
        assert!(Request::take(&mut bytes).unwrap().is_none());
        bytes.push(b'c');
        assert!(Request::take(&mut bytes).unwrap().is_some());
        assert!(bytes.is_empty());
        assert!(Request::take(&mut b"GET / HTTP/1.1\r\n\r\n".to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(mut bytes: Vec<u8>) {
            while let Ok(Some(_)) = Request::take(&mut bytes) {}
        }
    }
}
