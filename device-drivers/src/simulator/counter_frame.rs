//! Bytes of the `FF 68 … 16` family as the devices see them: an encoder, and a decoder that resynchronises.
//!
//! Written by hand and apart from the profile engine, so that the far end is a witness and not an echo.
//! Layout (docs/reference/devices.md B2.1): `FF 68 LEN LEN 68 ADDR FUNC DATA… CS 16`, LEN = ADDR to the last DATA byte,
//! CS = sum of ADDR, FUNC and DATA mod 256. The short form without the leading `FF` is an acknowledgement that some
//! hosts send to evaluators.

use bytes::Bytes;

/// Longest LEN accepted unless configured otherwise. One known host refuses more than 5, the other takes staff numbers.
pub(crate) const DEFAULT_MAX_LEN: u8 = 16;

/// An unreadable run is reported at the latest after this many bytes, so that a line full of noise shows as such.
const NOISE_REPORT: usize = 256;

/// One frame of the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    /// Device number on the bus.
    pub(crate) address: u8,
    /// Function byte; `11` from an evaluator, anything else from a keypad.
    pub(crate) function: u8,
    /// Data bytes.
    pub(crate) data: Vec<u8>,
}

impl Frame {
    /// A frame of these parts.
    pub(crate) fn new(address: u8, function: u8, data: impl Into<Vec<u8>>) -> Self {
        Self { address, function, data: data.into() }
    }

    /// The bytes on the wire. Data beyond 253 bytes cannot be expressed and is cut off.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0xFF];
        self.encode_short_into(&mut out);
        out
    }

    /// The bytes of the short form, without the leading `FF`.
    #[cfg(test)]
    pub(crate) fn encode_short(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_short_into(&mut out);
        out
    }

    fn encode_short_into(&self, out: &mut Vec<u8>) {
        let data = &self.data[..self.data.len().min(253)];
        let len = (data.len() + 2) as u8;
        out.extend_from_slice(&[0x68, len, len, 0x68, self.address, self.function]);
        out.extend_from_slice(data);
        let sum = data.iter().fold(self.address.wrapping_add(self.function), |s, b| s.wrapping_add(*b));
        out.extend_from_slice(&[sum, 0x16]);
    }
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A sound frame and its bytes.
    Frame(Frame, Bytes),
    /// A sound short frame (only if asked for) and its bytes.
    Short(Frame, Bytes),
    /// A run of bytes that belong to no frame.
    Noise(Bytes),
}

/// Cuts a byte stream into frames. A bad checksum or tail costs one byte, never the buffer.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_len: u8,
    short: bool,
    buffer: Vec<u8>,
    noise: Vec<u8>,
}

enum Step {
    Whole { total: usize, short: bool },
    Bad,
    Partial,
}

impl Decoder {
    /// A decoder that takes LEN up to `max_len`.
    pub(crate) fn new(max_len: u8) -> Self {
        Self { max_len, short: false, buffer: Vec::new(), noise: Vec::new() }
    }

    /// Also recognises the short form.
    pub(crate) fn with_short(mut self) -> Self {
        self.short = true;
        self
    }

    /// Takes bytes as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// `true` while bytes wait for the rest of a frame or of a run of noise: then a silence means something.
    #[cfg(test)]
    pub(crate) fn is_partial(&self) -> bool {
        !self.buffer.is_empty() || !self.noise.is_empty()
    }

    /// The next frame or run of noise; `None` when more bytes are needed.
    pub(crate) fn next_decoded(&mut self) -> Option<Decoded> {
        self.scan(false)
    }

    /// As [`next_decoded`](Self::next_decoded), when the line has fallen silent: what is unfinished never will be finished.
    /// Call until it gives `None`.
    #[cfg(test)]
    pub(crate) fn next_after_gap(&mut self) -> Option<Decoded> {
        self.scan(true)
    }

    fn scan(&mut self, ended: bool) -> Option<Decoded> {
        let mut at = 0;
        let found = loop {
            match self.step(&self.buffer[at..]) {
                _ if at == self.buffer.len() => break None,
                Step::Whole { total, short } => break Some((total, short)),
                Step::Partial if !ended => break None,
                Step::Partial | Step::Bad => at += 1,
            }
            if self.noise.len() + at >= NOISE_REPORT {
                break None;
            }
        };
        self.noise.extend(self.buffer.drain(..at));
        match found {
            // The noise before a frame is told first; the frame stays in the buffer for the next call.
            Some((total, short)) if self.noise.is_empty() => {
                let raw = Bytes::from(self.buffer.drain(..total).collect::<Vec<u8>>());
                let body = if short { &raw[4..] } else { &raw[5..] };
                let frame = Frame::new(body[0], body[1], &body[2..body.len() - 2]);
                Some(if short { Decoded::Short(frame, raw) } else { Decoded::Frame(frame, raw) })
            }
            Some(_) => self.take_noise(),
            None if ended || self.noise.len() >= NOISE_REPORT => self.take_noise(),
            None => None,
        }
    }

    fn take_noise(&mut self) -> Option<Decoded> {
        (!self.noise.is_empty()).then(|| Decoded::Noise(Bytes::from(std::mem::take(&mut self.noise))))
    }

    fn step(&self, bytes: &[u8]) -> Step {
        let short = match bytes.first() {
            Some(0xFF) => false,
            Some(0x68) if self.short => true,
            None => return Step::Partial,
            Some(_) => return Step::Bad,
        };
        let head = if short { bytes } else { &bytes[1..] };
        if head.first().is_some_and(|b| *b != 0x68) {
            return Step::Bad;
        }
        let Some(&len) = head.get(1) else { return Step::Partial };
        if len < 2 || len > self.max_len || head.get(2).is_some_and(|b| *b != len) {
            return Step::Bad;
        }
        if head.get(3).is_some_and(|b| *b != 0x68) {
            return Step::Bad;
        }
        let whole = usize::from(len) + 6;
        if head.len() < whole {
            return Step::Partial;
        }
        let sum = head[4..whole - 2].iter().fold(0u8, |s, b| s.wrapping_add(*b));
        if head[whole - 2] != sum || head[whole - 1] != 0x16 {
            return Step::Bad;
        }
        Step::Whole { total: whole + usize::from(!short), short }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXUPPER;
    use proptest::prelude::*;

    use super::*;

    fn hex(s: &str) -> Vec<u8> {
        HEXUPPER.decode(s.replace(' ', "").as_bytes()).unwrap()
    }

    fn all(decoder: &mut Decoder) -> Vec<Decoded> {
        std::iter::from_fn(|| decoder.next_decoded()).collect()
    }

    /// The vectors of docs/reference/devices.md B2.1.
    #[test]
    fn vectors() {
        for (wire, address, function, data) in [
            ("FF 68 03 03 68 03 01 0C 10 16", 3, 1, "0C"),
            ("FF 68 07 07 68 03 01 01 00 00 01 0C 12 16", 3, 1, "01 00 00 01 0C"),
            ("FF 68 03 03 68 03 01 0D 11 16", 3, 1, "0D"),
            ("FF 68 08 08 68 03 02 0A 0A 0A 01 02 03 29 16", 3, 2, "0A 0A 0A 01 02 03"),
            ("FF 68 08 08 68 03 02 00 01 07 0A 0A 0A 2B 16", 3, 2, "00 01 07 0A 0A 0A"),
            ("FF 68 02 02 68 03 03 06 16", 3, 3, ""),
            ("FF 68 03 03 68 03 01 0B 0F 16", 3, 1, "0B"),
            ("FF 68 03 03 68 03 11 03 17 16", 3, 0x11, "03"),
            ("FF 68 03 03 68 03 01 03 07 16", 3, 1, "03"),
            ("FF 68 03 03 68 83 11 03 97 16", 0x83, 0x11, "03"),
            ("FF 68 03 03 68 83 02 05 8A 16", 0x83, 2, "05"),
        ] {
            let frame = Frame::new(address, function, hex(data));
            assert_eq!(frame.encode(), hex(wire), "{wire}");
            let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
            decoder.push(&hex(wire));
            assert_eq!(all(&mut decoder), [Decoded::Frame(frame, hex(wire).into())], "{wire}");
        }
        let ack = Frame::new(0x83, 1, []);
        assert_eq!(ack.encode_short(), hex("68 02 02 68 83 01 84 16"));
        let mut decoder = Decoder::new(DEFAULT_MAX_LEN).with_short();
        decoder.push(&ack.encode_short());
        assert_eq!(all(&mut decoder), [Decoded::Short(ack.clone(), ack.encode_short().into())]);
    }

    #[test]
    fn a_bad_checksum_costs_only_itself() {
        let good = Frame::new(3, 1, [0x0C]);
        let mut wire = hex("FF 68 03 03 68 03 11 03 18 16");
        wire.extend(good.encode());
        let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
        decoder.push(&wire);
        let found = all(&mut decoder);
        assert_eq!(found[0], Decoded::Noise(wire[..10].to_vec().into()));
        assert_eq!(found[1], Decoded::Frame(good.clone(), good.encode().into()));
    }

    #[test]
    fn a_frame_behind_a_false_start_is_found_when_the_line_falls_silent() {
        let good = Frame::new(3, 1, [0x0C]);
        let mut wire = hex("FF 68 10 10 68");
        wire.extend(good.encode());
        let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
        decoder.push(&wire);
        assert_eq!(decoder.next_decoded(), None);
        assert!(matches!(decoder.next_after_gap(), Some(Decoded::Noise(_))));
        assert!(matches!(decoder.next_after_gap(), Some(Decoded::Frame(f, _)) if f == good));
        assert_eq!(decoder.next_after_gap(), None);
        assert!(!decoder.is_partial());
    }

    #[test]
    fn endless_noise_is_reported_and_not_hoarded() {
        let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
        for _ in 0..100 {
            decoder.push(&[0x55; 100]);
            all(&mut decoder);
            assert!(decoder.buffer.len() + decoder.noise.len() < 600);
        }
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let one = (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..14))
            .prop_map(|(a, f, d)| Frame::new(a, f, d));
        proptest::collection::vec(one, 1..8)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(frames in frames(), cut in 1usize..40) {
            let wire: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
            let mut found = Vec::new();
            for piece in wire.chunks(cut) {
                decoder.push(piece);
                while let Some(d) = decoder.next_decoded() {
                    match d {
                        Decoded::Frame(f, _) => found.push(f),
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
            }
            prop_assert_eq!(found, frames);
            prop_assert!(!decoder.is_partial());
        }

        #[test]
        fn any_bytes_then_silence_then_a_frame(noise in proptest::collection::vec(any::<u8>(), 0..600), short: bool) {
            let mut decoder = Decoder::new(DEFAULT_MAX_LEN);
            if short { decoder = decoder.with_short(); }
            let mut seen = 0;
            decoder.push(&noise);
            while let Some(d) = decoder.next_decoded().or_else(|| decoder.next_after_gap()) {
                seen += match d { Decoded::Frame(_, b) | Decoded::Short(_, b) | Decoded::Noise(b) => b.len() };
            }
            prop_assert_eq!(seen, noise.len());
            let frame = Frame::new(9, 1, [0x0C]);
            decoder.push(&frame.encode());
            prop_assert_eq!(decoder.next_decoded(), Some(Decoded::Frame(frame.clone(), frame.encode().into())));
        }
    }
}
