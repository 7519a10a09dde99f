//! What goes over the pipes between the agent and a transcoding child, both ways: a length, then a frame message. The
//! parameters' payload is a hub's entry ([`crate::cameras::entry`]); the end's is why it ended, in plain words.

use std::io::{self, Read, Write};

use bytes::Bytes;
use control_protocol::{
    StreamId,
    frame::{HEADER, Header, Kind, MAX_PAYLOAD, Tier},
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message.
const LONGEST: usize = HEADER + MAX_PAYLOAD;

fn length(bytes: [u8; 4]) -> io::Result<usize> {
    usize::try_from(u32::from_le_bytes(bytes))
        .ok()
        .filter(|length| (HEADER..=LONGEST).contains(length))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message of no sense on the pipe"))
}

/// The header and the payload of a message.
fn opened(message: Vec<u8>) -> io::Result<(Header, Bytes)> {
    let message = Bytes::from(message);
    let header = Header::read(&message).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((header, message.slice(HEADER..)))
}

/// The next message; none at the end of the pipe.
///
/// # Errors
/// The pipe's, or what came is no message.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<(Header, Bytes)>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut message = vec![0; length(head)?];
    from.read_exact(&mut message)?;
    opened(message).map(Some)
}

/// The same, without blocking. Not cancel-safe: a read that is dropped leaves the pipe in the middle of a message.
pub(super) async fn read_async(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(Header, Bytes)>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut message = vec![0; length(head)?];
    from.read_exact(&mut message).await?;
    opened(message).map(Some)
}

/// Writes a message and lets it go at once.
///
/// # Errors
/// The pipe's.
pub(super) fn write(to: &mut impl Write, header: &Header, payload: &[u8]) -> io::Result<()> {
    to.write_all(&head(header, payload.len()))?;
    to.write_all(payload)?;
    to.flush()
}

/// What goes before a payload of `length` bytes.
pub(super) fn head(header: &Header, length: usize) -> [u8; 4 + HEADER] {
    let mut head = [0; 4 + HEADER];
    let all = u32::try_from(HEADER + length).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&all.to_le_bytes());
    head[4..].copy_from_slice(&header.bytes());
    head
}

/// A header without times.
pub(super) fn bare(kind: Kind) -> Header {
    Header {
        kind,
        key: false,
        discontinuity: false,
        tier: Tier::Sub,
        stream: StreamId(0),
        pts_us: 0,
        captured_us: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(messages in proptest::collection::vec((any::<bool>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..8)) {
            let mut pipe = Vec::new();
            for (key, pts_us, payload) in &messages {
                write(&mut pipe, &Header { key: *key, pts_us: *pts_us, ..bare(Kind::Frame) }, payload).unwrap();
            }
            let mut rest = pipe.as_slice();
            for (key, pts_us, payload) in messages {
                let (header, read) = read(&mut rest).unwrap().unwrap();
                prop_assert_eq!((header.key, header.pts_us, read.to_vec()), (key, pts_us, payload));
            }
            prop_assert!(read(&mut rest).unwrap().is_none());
        }

        #[test]
        fn other_bytes_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut rest = bytes.as_slice();
            while let Ok(Some(_)) = read(&mut rest) {}
        }
    }
}
