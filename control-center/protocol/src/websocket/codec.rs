//! Frames of RFC 6455: heads to write, and a decoder that takes bytes in whatever pieces they come and gives messages.
//! Pure. A message's payload is copied once, from where it was read into memory of exactly its size.

use bytes::Bytes;

use super::{Message, Role};

/// The longest head: two bytes, a length of eight, a mask of four (RFC 6455 section 5.2).
pub(super) const MAX_HEAD: usize = 14;
/// The most a control frame carries (section 5.5).
pub const MAX_CONTROL: usize = 125;
/// Memory taken on the word of a head alone; beyond it only as bytes come.
const ON_TRUST: usize = 1 << 20;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn of(bits: u8) -> Result<Self, BadFrame> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => return Err(BadFrame::Opcode(other)),
        })
    }

    fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// Why bytes are not a WebSocket's, or not one that this end takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Bits that only an extension gives a meaning, and none was agreed on.
    #[error("a WebSocket frame uses an extension that was not agreed on")]
    Reserved,
    /// A frame of no known kind.
    #[error("a WebSocket frame has the unknown kind {0}")]
    Opcode(u8),
    /// Clients mask, servers do not (section 5.1).
    #[error("a WebSocket frame is masked where it must not be, or not masked where it must be")]
    Mask,
    /// A control frame that is long or in parts.
    #[error("a WebSocket control frame is longer than {MAX_CONTROL} bytes or comes in parts")]
    Control,
    /// A part that continues nothing, or a message begun within another.
    #[error("the parts of a WebSocket message are out of order")]
    Order,
    /// More than this end takes.
    #[error("a WebSocket message has more than {0} bytes, which is more than may come here")]
    Long(usize),
    /// A text that is no UTF-8.
    #[error("a WebSocket text is not UTF-8")]
    Text,
}

/// The head of a whole, single frame with `length` bytes of payload.
///
/// A client's frames carry a mask of zero. The mask keeps a script in a browser from writing bytes of its choice through a
/// proxy that does not understand WebSockets (section 10.3); here both ends are ours, and TLS hides every byte from
/// whatever is between.
pub(super) fn head(role: Role, opcode: Opcode, length: usize) -> ([u8; MAX_HEAD], usize) {
    let mut head = [0; MAX_HEAD];
    head[0] = FIN | opcode as u8;
    let mask = if role == Role::Client { MASKED } else { 0 };
    let used = match length {
        0..=125 => {
            head[1] = mask | length as u8;
            2
        }
        126..=0xFFFF => {
            head[1] = mask | 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = mask | 127;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (head, if role == Role::Client { used + 4 } else { used })
}

/// A frame whose head has come.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    last: bool,
    mask: [u8; 4],
    /// Payload bytes that have come.
    came: usize,
    length: usize,
}

/// Takes bytes, gives messages. After an error it must not be used any more.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limit: usize,
    head: [u8; MAX_HEAD],
    head_came: usize,
    frame: Option<Frame>,
    /// The message that is coming, and whether it is text.
    message: Vec<u8>,
    text: Option<bool>,
    control: Vec<u8>,
}

impl Decoder {
    /// A decoder at the `role` end, for messages of at most `limit` bytes.
    pub fn new(role: Role, limit: usize) -> Self {
        Self {
            role,
            limit,
            head: [0; MAX_HEAD],
            head_came: 0,
            frame: None,
            message: Vec::new(),
            text: None,
            control: Vec::new(),
        }
    }

    /// Takes bytes off the front of `input` until a message is whole or nothing is left.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Message>, BadFrame> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.take_head(input)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let (piece, rest) = input.split_at((frame.length - frame.came).min(input.len()));
            *input = rest;
            let into = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
            let begin = into.len();
            into.extend_from_slice(piece);
            unmask(&mut into[begin..], frame.mask, frame.came);
            frame.came += piece.len();
            if frame.came < frame.length {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(message) = self.whole(frame)? {
                return Ok(Some(message));
            }
        }
    }

    fn take_head(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, BadFrame> {
        loop {
            let needed = match self.head_came {
                0 | 1 => 2,
                _ => {
                    let length = match self.head[1] & !MASKED {
                        126 => 2,
                        127 => 8,
                        _ => 0,
                    };
                    2 + length + if self.role == Role::Server { 4 } else { 0 }
                }
            };
            if self.head_came >= 2 && self.head_came == needed {
                self.head_came = 0;
                return self.begin(needed).map(Some);
            }
            let (piece, rest) = input.split_at((needed - self.head_came).min(input.len()));
            if piece.is_empty() {
                return Ok(None);
            }
            *input = rest;
            self.head[self.head_came..self.head_came + piece.len()].copy_from_slice(piece);
            self.head_came += piece.len();
            if self.head_came == 2 {
                self.check()?;
            }
        }
    }

    /// What the first two bytes can tell.
    fn check(&self) -> Result<(), BadFrame> {
        let [first, second, ..] = self.head;
        if first & RESERVED != 0 {
            return Err(BadFrame::Reserved);
        }
        if (second & MASKED != 0) != (self.role == Role::Server) {
            return Err(BadFrame::Mask);
        }
        let opcode = Opcode::of(first & 0x0F)?;
        let bad_order = match opcode {
            Opcode::Continuation => self.text.is_none(),
            Opcode::Text | Opcode::Binary => self.text.is_some(),
            _ if first & FIN == 0 || usize::from(second & !MASKED) > MAX_CONTROL => {
                return Err(BadFrame::Control);
            }
            _ => false,
        };
        if bad_order { Err(BadFrame::Order) } else { Ok(()) }
    }

    /// The frame of the whole head, `used` bytes long, with room for its payload.
    fn begin(&mut self, used: usize) -> Result<Frame, BadFrame> {
        let [first, second, l0, l1, l2, l3, l4, l5, l6, l7, ..] = self.head;
        let length = match second & !MASKED {
            126 => u64::from(u16::from_be_bytes([l0, l1])),
            127 => u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        if self.role == Role::Server {
            mask.copy_from_slice(&self.head[used - 4..used]);
        }
        let opcode = Opcode::of(first & 0x0F)?;
        let length = usize::try_from(length).map_err(|_| BadFrame::Long(self.limit))?;
        if !opcode.is_control() {
            if length > self.limit.saturating_sub(self.message.len()) {
                return Err(BadFrame::Long(self.limit));
            }
            self.message.reserve_exact(length.min(ON_TRUST));
            if opcode != Opcode::Continuation {
                self.text = Some(opcode == Opcode::Text);
            }
        }
        Ok(Frame { opcode, last: first & FIN != 0, mask, came: 0, length })
    }

    /// What a frame whose payload has come completes.
    fn whole(&mut self, frame: Frame) -> Result<Option<Message>, BadFrame> {
        if frame.opcode.is_control() {
            let payload = std::mem::take(&mut self.control);
            return Ok(Some(match frame.opcode {
                Opcode::Ping => Message::Ping(Bytes::from(payload)),
                Opcode::Pong => Message::Pong(Bytes::from(payload)),
                _ => close(&payload),
            }));
        }
        if !frame.last {
            return Ok(None);
        }
        let payload = std::mem::take(&mut self.message);
        Ok(Some(match self.text.take() {
            Some(true) => Message::Text(String::from_utf8(payload).map_err(|_| BadFrame::Text)?),
            _ => Message::Binary(Bytes::from(payload)),
        }))
    }
}

fn close(payload: &[u8]) -> Message {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => Message::Close {
            code: Some(u16::from_be_bytes(*code)),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        None => Message::Close { code: None, reason: String::new() },
    }
}

/// Takes the mask off bytes that begin `at` bytes into the payload (section 5.3).
fn unmask(bytes: &mut [u8], mut mask: [u8; 4], at: usize) {
    if mask == [0; 4] {
        return;
    }
    mask.rotate_left(at % 4);
    let word = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut words = bytes.chunks_exact_mut(8);
    for piece in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(piece);
        piece.copy_from_slice(&(u64::from_ne_bytes(eight) ^ word).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(role: Role, opcode: Opcode, last: bool, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let (head, used) = head(role, opcode, payload.len());
        let mut out = head[..used].to_vec();
        if !last {
            out[0] &= !FIN;
        }
        if role == Role::Client {
            out[used - 4..].copy_from_slice(&mask);
        }
        out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        out
    }

    fn all(role: Role, limit: usize, bytes: &[u8], piece: usize) -> Result<Vec<Message>, BadFrame> {
        let mut decoder = Decoder::new(role, limit);
        let mut out = Vec::new();
        for mut input in bytes.chunks(piece.max(1)) {
            while let Some(message) = decoder.take(&mut input)? {
                out.push(message);
            }
            assert!(input.is_empty());
        }
        Ok(out)
    }

    /// RFC 6455 section 5.7.
    #[test]
    fn the_examples_of_the_standard() {
        let hello = |bytes: &[u8], role| all(role, 100, bytes, 3);
        let text = Ok(vec![Message::Text("Hello".into())]);
        assert_eq!(hello(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], Role::Client), text);
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(hello(&masked, Role::Server), text);
        assert_eq!(hello(&[0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f], Role::Client), text);
        let ping = Ok(vec![Message::Ping(Bytes::from_static(b"Hello"))]);
        assert_eq!(hello(&[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], Role::Client), ping);
        let (head, used) = head(Role::Server, Opcode::Binary, 65536);
        assert_eq!(head[..used], [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for (bytes, why) in [
            (&[0xC2, 0x80, 0, 0, 0, 0][..], BadFrame::Reserved),
            (&[0x83, 0x80, 0, 0, 0, 0], BadFrame::Opcode(3)),
            (&[0x82, 0x00], BadFrame::Mask),
            (&[0x09, 0x80, 0, 0, 0, 0], BadFrame::Control),
            (&[0x89, 0xFE, 0, 200], BadFrame::Control),
            (&[0x80, 0x80, 0, 0, 0, 0], BadFrame::Order),
            (&[0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80], BadFrame::Order),
            (&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], BadFrame::Long(100)),
            (&[0x82, 0xFE, 0, 101, 0, 0, 0, 0], BadFrame::Long(100)),
            (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], BadFrame::Text),
        ] {
            for piece in [1, 100] {
                assert_eq!(all(Role::Server, 100, bytes, piece), Err(why), "{bytes:x?}");
            }
        }
        assert_eq!(all(Role::Client, 100, &[0x82, 0x80, 0, 0, 0, 0], 1), Err(BadFrame::Mask));
    }

    #[test]
    fn a_close_says_why() {
        let said = Message::Close { code: Some(1008), reason: "slow".into() };
        assert_eq!(all(Role::Client, 9, b"\x88\x06\x03\xf0slow", 2), Ok(vec![said]));
        assert_eq!(
            all(Role::Client, 9, b"\x88\0", 2),
            Ok(vec![Message::Close { code: None, reason: String::new() }])
        );
    }

    proptest! {
        /// Whatever the pieces, the parts, the mask and pings in between.
        #[test]
        fn what_is_written_is_read(
            payloads in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..400), 1usize..5), 1..6),
            mask: [u8; 4], client: bool, piece in 1usize..300,
        ) {
            let writer = if client { Role::Client } else { Role::Server };
            let mask = if client { mask } else { [0; 4] };
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (text, payload, parts) in payloads {
                let payload = if text { String::from_utf8_lossy(&payload).into_owned().into_bytes() } else { payload };
                let opcode = if text { Opcode::Text } else { Opcode::Binary };
                let size = payload.len() / parts + 1;
                let mut pieces: Vec<&[u8]> = payload.chunks(size).collect();
                if pieces.is_empty() {
                    pieces.push(&[]);
                }
                let count = pieces.len();
                for (at, part) in pieces.into_iter().enumerate() {
                    let kind = if at == 0 { opcode } else { Opcode::Continuation };
                    bytes.extend(frame(writer, kind, at + 1 == count, mask, part));
                    if at + 1 < count {
                        bytes.extend(frame(writer, Opcode::Ping, true, mask, &[at as u8]));
                        expected.push(Message::Ping(Bytes::from(vec![at as u8])));
                    }
                }
                expected.push(if text {
                    Message::Text(String::from_utf8(payload).unwrap())
                } else {
                    Message::Binary(payload.into())
                });
            }
            let reader = if client { Role::Server } else { Role::Client };
            prop_assert_eq!(all(reader, 2000, &bytes, piece), Ok(expected));
        }

        /// No bytes make it panic, or hold more than the limit.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), server: bool, piece in 1usize..50) {
            let role = if server { Role::Server } else { Role::Client };
            for message in all(role, 64, &bytes, piece).unwrap_or_default() {
                if let Message::Binary(payload) = message {
                    prop_assert!(payload.len() <= 64);
                }
            }
        }
    }
}
