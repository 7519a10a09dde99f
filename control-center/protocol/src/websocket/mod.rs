//! WebSockets (RFC 6455), for both ends: frames ([`codec`](Decoder)), the opening ([`accept_of`]), and a [`Socket`] over any
//! stream of bytes.
//!
//! Written for live pictures, where the general libraries cost more than TLS: they clear and fill a large buffer for every
//! read and copy each picture on its way in and out. Here a message read has memory of exactly its size, which the hub then
//! keeps; a message written is shared, and goes to TLS where it lies, many in one write. No extension is offered or taken.

mod codec;
mod socket;

pub use codec::{BadFrame, Decoder, MAX_CONTROL};
pub use socket::{Broken, Socket};

use bytes::Bytes;
use data_encoding::BASE64;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The version in `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";

/// Which end this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It dialled.
    Client,
    /// It was dialled.
    Server,
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// Asks whether the other end lives; a [`Socket`] has answered it by the time it gives it.
    Ping(Bytes),
    /// The answer.
    Pong(Bytes),
    /// The other end leaves.
    Close {
        /// A status of RFC 6455 section 7.4.1.
        code: Option<u16>,
        /// In words, at most 123 bytes.
        reason: String,
    },
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2).
pub fn accept_of(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 section 1.3.
    #[test]
    fn the_opening_of_the_standard() {
        assert_eq!(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
