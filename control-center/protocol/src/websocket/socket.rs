//! A WebSocket over a stream of bytes. What is to be sent is queued, shared, and written together by [`Socket::flush`];
//! what is read is given message by message. Pings are answered by themselves.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    BadFrame, Decoder, MAX_CONTROL, Message, Role,
    codec::{MAX_HEAD, Opcode, head},
};

/// Read at a time: one TLS record.
const READ: usize = 16 * 1024;
/// Pieces given to one vectored write.
const PIECES: usize = 64;
/// Bytes that a message may have before its shared part; see [`Socket::queue_binary`].
const PREFIX: usize = 24;
/// With more than this waiting to be sent no ping is answered: what waits shows that this end lives.
const BUSY: usize = 64 * 1024;

/// Why a WebSocket ended in the middle.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other end broke the rules.
    #[error(transparent)]
    Frame(#[from] BadFrame),
}

/// What waits to be written.
enum Piece {
    /// A head and, with it, a short prefix.
    Small([u8; MAX_HEAD + PREFIX], usize),
    Shared(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Small(bytes, length) => &bytes[..*length],
            Self::Shared(bytes) => bytes,
        }
    }
}

/// See the module.
pub struct Socket<S> {
    io: S,
    role: Role,
    decoder: Decoder,
    ready: VecDeque<Message>,
    bad: Option<BadFrame>,
    ended: bool,
    out: VecDeque<Piece>,
    /// Bytes of the first piece that are written.
    written: usize,
    queued: usize,
}

impl<S> std::fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("role", &self.role)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The `role` end of a WebSocket whose opening is done, taking messages of at most `limit` bytes.
    pub fn new(io: S, role: Role, limit: usize) -> Self {
        Self {
            io,
            role,
            decoder: Decoder::new(role, limit),
            ready: VecDeque::new(),
            bad: None,
            ended: false,
            out: VecDeque::new(),
            written: 0,
            queued: 0,
        }
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.queued - self.written
    }

    /// Queues a message.
    pub fn queue(&mut self, message: Message) {
        match message {
            Message::Text(text) => self.frame(Opcode::Text, &[], text.into()),
            Message::Binary(bytes) => self.frame(Opcode::Binary, &[], bytes),
            Message::Ping(bytes) => self.frame(Opcode::Ping, &[], short(bytes)),
            Message::Pong(bytes) => self.frame(Opcode::Pong, &[], short(bytes)),
            Message::Close { code, reason } => {
                let mut payload = Vec::new();
                if let Some(code) = code {
                    payload.extend_from_slice(&code.to_be_bytes());
                    payload
                        .extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL - 2)]);
                }
                self.frame(Opcode::Close, &[], payload.into());
            }
        }
    }

    /// Queues a binary message of `prefix` and `rest`, so that a prefix that differs needs no copy of what is shared.
    pub fn queue_binary(&mut self, prefix: &[u8], rest: Bytes) {
        if prefix.len() > PREFIX {
            self.frame(Opcode::Binary, &[], [prefix, &rest].concat().into());
        } else {
            self.frame(Opcode::Binary, prefix, rest);
        }
    }

    fn frame(&mut self, opcode: Opcode, prefix: &[u8], rest: Bytes) {
        let (head, used) = head(self.role, opcode, prefix.len() + rest.len());
        let mut small = [0; MAX_HEAD + PREFIX];
        small[..used].copy_from_slice(&head[..used]);
        small[used..used + prefix.len()].copy_from_slice(prefix);
        self.queued += used + prefix.len() + rest.len();
        self.out.push_back(Piece::Small(small, used + prefix.len()));
        if !rest.is_empty() {
            self.out.push_back(Piece::Shared(rest));
        }
    }

    /// Writes everything that is queued. Cancel-safe: what is left is written by the next flush.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Queues a message and writes everything.
    pub async fn send(&mut self, message: Message) -> io::Result<()> {
        self.queue(message);
        self.flush().await
    }

    /// Says goodbye; what the other end still sends can be read.
    pub async fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        self.send(Message::Close { code: Some(code), reason: reason.to_owned() }).await
    }

    /// The next message; none at the end of the connection. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Message, Broken>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.out) {
                let bytes = piece.bytes();
                *slice = IoSlice::new(if count == 0 { &bytes[self.written..] } else { bytes });
                count += 1;
            }
            let wrote = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count]))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += wrote;
            while let Some(first) = self.out.front().map(|piece| piece.bytes().len())
                && first <= self.written
            {
                self.out.pop_front();
                self.written -= first;
                self.queued -= first;
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Broken>>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            if let Some(bad) = self.bad.take() {
                self.ended = true;
                return Poll::Ready(Some(Err(bad.into())));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            // An answer to a ping, which nobody else would flush.
            if !self.out.is_empty()
                && let Poll::Ready(Err(error)) = self.poll_flush(cx)
            {
                self.ended = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            if let Err(error) = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                self.ended = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            self.ended = buffer.filled().is_empty();
            self.read(buffer.filled());
        }
    }

    fn read(&mut self, mut input: &[u8]) {
        loop {
            match self.decoder.take(&mut input) {
                Ok(Some(message)) => {
                    if let Message::Ping(payload) = &message
                        && self.queued() < BUSY
                    {
                        self.queue(Message::Pong(payload.clone()));
                    }
                    self.ready.push_back(message);
                }
                Ok(None) => return,
                Err(bad) => {
                    self.bad = Some(bad);
                    return;
                }
            }
        }
    }
}

fn short(mut payload: Bytes) -> Bytes {
    payload.truncate(MAX_CONTROL);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn pair(buffer: usize) -> (Socket<DuplexStream>, Socket<DuplexStream>) {
        let (client, server) = duplex(buffer);
        (Socket::new(client, Role::Client, 1 << 20), Socket::new(server, Role::Server, 1 << 20))
    }

    #[tokio::test]
    async fn messages_go_both_ways_through_a_narrow_pipe() {
        let (mut client, mut server) = pair(7);
        let large = Bytes::from(vec![5; 70_000]);
        let sent = vec![
            Message::Text("厅窗".into()),
            Message::Binary(large.clone()),
            Message::Binary(Bytes::new()),
            Message::Close { code: Some(1000), reason: "bye".into() },
        ];
        for from_client in [true, false] {
            let (from, to) =
                if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
            sent.iter().for_each(|message| from.queue(message.clone()));
            from.queue_binary(b"head", large.slice(..9));
            let read = async {
                let mut got = Vec::new();
                while got.len() < sent.len() + 1 {
                    got.push(to.next().await.unwrap().unwrap());
                }
                got
            };
            let (flushed, got) = tokio::join!(from.flush(), read);
            flushed.unwrap();
            assert_eq!(from.queued(), 0);
            assert_eq!(got[..sent.len()], sent);
            assert_eq!(got[sent.len()], Message::Binary([&b"head"[..], &[5; 9]].concat().into()));
        }
    }

    #[tokio::test]
    async fn pings_are_answered_while_nobody_writes() {
        let (mut client, mut server) = pair(1 << 16);
        client.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Ping(Bytes::from_static(b"?")));
        client.send(Message::Text("more".into())).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Text("more".into()));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"?")));
        drop(client);
        assert!(server.next().await.is_none());
    }

    #[tokio::test]
    async fn a_flush_given_up_is_taken_up_again() {
        let (mut client, mut server) = pair(100);
        client.queue(Message::Binary(vec![1; 1000].into()));
        for _ in 0..20 {
            tokio::select! {
                biased;
                flushed = client.flush() => panic!("{flushed:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        let (flushed, read) = tokio::join!(client.flush(), server.next());
        flushed.unwrap();
        assert_eq!(read.unwrap().unwrap(), Message::Binary(vec![1; 1000].into()));
    }

    #[tokio::test]
    async fn what_came_before_the_fault_is_given_first() {
        let (mut raw, server) = duplex(100);
        let mut server = Socket::new(server, Role::Server, 10);
        raw.write_all(b"\x81\x82\0\0\0\0ok\xFF\xFF").await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Text("ok".into()));
        assert!(matches!(server.next().await, Some(Err(Broken::Frame(BadFrame::Reserved)))));
        assert!(server.next().await.is_none());
        server.close(1002, "no").await.unwrap();
        let mut said = [0; 6];
        raw.read_exact(&mut said).await.unwrap();
        assert_eq!(said, *b"\x88\x04\x03\xeano");
    }
}
