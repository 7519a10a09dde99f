//! Cuts a byte stream into frames of a [`Layout`]: a bad byte costs one byte, never the buffer.
//!
//! Every byte given comes out once, in a frame or in a refused run. Memory is bounded by the longest frame and by
//! [`NOISE_REPORT`].

use std::sync::Arc;

use bytes::Bytes;

use super::layout::{Layout, Reject, Step};

/// A refused run is reported at the latest after this many bytes, so that a line full of noise shows as such.
pub const NOISE_REPORT: usize = 256;

/// What the decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A sound frame.
    Frame {
        /// Whose: the place of its layout among the decoder's.
        layout: usize,
        /// Its bytes without escapes.
        frame: Bytes,
        /// Its bytes on the wire.
        raw: Bytes,
    },
    /// A run of bytes that belong to no frame.
    Refused {
        /// The bytes.
        raw: Bytes,
        /// The strongest reason in it.
        why: Reject,
        /// Frames in it that were whole but unsound; at least 1.
        frames: u32,
    },
}

/// The decoder of one line.
#[derive(Debug)]
pub struct Decoder {
    layouts: Vec<Arc<Layout>>,
    buffer: Vec<u8>,
    noise: Vec<u8>,
    why: Reject,
    refused: u32,
    /// How many bytes of the buffer belong to the last refused candidate: what begins in it is not counted again.
    covered: usize,
}

impl Decoder {
    /// A decoder of frames built in one of these ways.
    pub fn new(layouts: impl IntoIterator<Item = Arc<Layout>>) -> Self {
        let layouts = layouts.into_iter().collect();
        Self { layouts, buffer: Vec::new(), noise: Vec::new(), why: Reject::Noise, refused: 0, covered: 0 }
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// `true` while bytes wait for the rest of a frame or of a refused run: then a silence means something.
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty() || !self.noise.is_empty()
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.buffer.len() + self.noise.len()
    }

    /// The next frame or refused run; `None` when more bytes are needed.
    pub fn next_decoded(&mut self) -> Option<Decoded> {
        self.scan(false)
    }

    /// As [`next_decoded`](Self::next_decoded), when the line has fallen silent: what is unfinished never will be
    /// finished. Call until it gives `None`.
    pub fn next_after_gap(&mut self) -> Option<Decoded> {
        self.scan(true)
    }

    fn scan(&mut self, ended: bool) -> Option<Decoded> {
        let mut at = 0;
        let found = loop {
            if at == self.buffer.len() {
                break None;
            }
            let fresh = at == 0 && self.noise.is_empty();
            let (layout, step) = self.step(at, ended, fresh);
            match step {
                Step::Whole { wire, frame } => break Some((layout, wire, frame)),
                Step::Partial if !ended => break None,
                Step::Partial => self.refuse(Reject::Unfinished, 0, at),
                Step::Bad { why, candidate } => self.refuse(why, candidate, at),
            }
            at += 1;
            if self.noise.len() + at >= NOISE_REPORT {
                break None;
            }
        };
        self.noise.extend(self.buffer.drain(..at));
        self.covered = self.covered.saturating_sub(at);
        match found {
            // What was refused before a frame is told first; the frame stays in the buffer for the next call.
            Some((layout, wire, frame)) if self.noise.is_empty() => {
                let raw = Bytes::from(self.buffer.drain(..wire).collect::<Vec<u8>>());
                self.covered = 0;
                Some(Decoded::Frame { layout, frame: frame.into(), raw })
            }
            Some(_) => self.take_refused(),
            None if ended || self.noise.len() >= NOISE_REPORT => self.take_refused(),
            None => None,
        }
    }

    /// The first layout that finds a whole frame here; else what is said for the most hopeful of them.
    fn step(&self, at: usize, ended: bool, fresh: bool) -> (usize, Step) {
        let mut best = Step::Bad { why: Reject::Noise, candidate: 0 };
        for (number, layout) in self.layouts.iter().enumerate() {
            match (layout.step(&self.buffer[at..], ended, fresh), &best) {
                (whole @ Step::Whole { .. }, _) => return (number, whole),
                (Step::Partial, _) => best = Step::Partial,
                (bad @ Step::Bad { .. }, Step::Bad { why: before, .. }) => {
                    if matches!(bad, Step::Bad { why, .. } if why > *before) {
                        best = bad;
                    }
                }
                (Step::Bad { .. }, _) => {}
            }
        }
        (0, best)
    }

    fn refuse(&mut self, why: Reject, candidate: usize, at: usize) {
        self.why = self.why.max(why);
        if matches!(why, Reject::Tail | Reject::Checksum) && candidate > 0 && at >= self.covered {
            self.refused += 1;
            self.covered = at + candidate;
        }
    }

    fn take_refused(&mut self) -> Option<Decoded> {
        if self.noise.is_empty() {
            return None;
        }
        let raw = Bytes::from(std::mem::take(&mut self.noise));
        let why = std::mem::replace(&mut self.why, Reject::Noise);
        let frames = std::mem::take(&mut self.refused).max(1);
        Some(Decoded::Refused { raw, why, frames })
    }
}

#[cfg(test)]
mod tests;
