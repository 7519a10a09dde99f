//! How a frame is built: where it begins and ends, what is constant, how it is escaped and checked.
//!
//! Pure. A [`Layout`] judges bytes ([`Layout::step`]) and finishes outgoing ones; cutting a stream is the decoder's work.

use std::{borrow::Cow, fmt};

use super::checksum::Kind;

/// Why bytes are no frame, the weakest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reject {
    /// Nothing begins here.
    Noise,
    /// The line fell silent in the middle.
    Unfinished,
    /// A byte that never changes is another.
    Constant,
    /// The length is impossible, or its repetition differs.
    Length,
    /// The frame does not end as it must.
    Tail,
    /// The checksum is another.
    Checksum,
}

impl Reject {
    /// The name that a test in a profile uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Unfinished => "unfinished",
            Self::Constant => "constant",
            Self::Length => "length",
            Self::Tail => "tail",
            Self::Checksum => "checksum",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What decides where a frame ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Length {
        offset: usize,
        width: usize,
        little: bool,
        add: i64,
        repeat_at: Option<usize>,
    },
    Fixed(usize),
    /// The tail bytes.
    Tail,
    /// A silence on the line.
    Gap,
}

/// A checksum over a range; points from 0 count from the start, negative ones from the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) kind: Kind,
    pub(super) init: u16,
    pub(super) from: i64,
    pub(super) to: Option<i64>,
    pub(super) at: i64,
    pub(super) little: bool,
    /// Computed over the escaped bytes.
    pub(super) escaped: bool,
}

/// The index a point stands for in `len` bytes.
pub(super) fn point(at: i64, len: usize) -> Option<usize> {
    let index = if at < 0 { i64::try_from(len).ok()? + at } else { at };
    usize::try_from(index).ok().filter(|i| *i <= len)
}

impl Sum {
    /// Where it stands and what it must be; `None` when the frame is too short for it.
    fn expected(&self, frame: &[u8]) -> Option<(usize, u16)> {
        let at = point(self.at, frame.len())?;
        let range = point(self.from, frame.len())?..point(self.to.unwrap_or(self.at), frame.len())?;
        Some((at, self.kind.over(frame.get(range)?, self.init)))
    }

    fn bytes(&self, value: u16) -> ([u8; 2], usize) {
        let [high, low] = value.to_be_bytes();
        match (self.kind.width(), self.little) {
            (1, _) => ([low, 0], 1),
            (_, true) => ([low, high], 2),
            (_, false) => ([high, low], 2),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.kind.width()
    }

    fn holds(&self, frame: &[u8]) -> bool {
        let Some((at, value)) = self.expected(frame) else { return false };
        let (bytes, width) = self.bytes(value);
        frame.get(at..at + width) == Some(&bytes[..width])
    }

    /// Writes it into its place.
    pub(super) fn fill(&self, frame: &mut [u8]) -> bool {
        let Some((at, value)) = self.expected(frame) else { return false };
        let (bytes, width) = self.bytes(value);
        match frame.get_mut(at..at + width) {
            Some(place) => {
                place.copy_from_slice(&bytes[..width]);
                true
            }
            None => false,
        }
    }
}

/// Byte stuffing between header and tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Escape {
    pub(super) marker: u8,
    /// Protected byte → what stands after the marker for it.
    pub(super) map: Vec<(u8, u8)>,
}

impl Escape {
    fn write(&self, body: &[u8], out: &mut Vec<u8>) {
        for byte in body {
            match self.map.iter().find(|(from, _)| from == byte) {
                Some((_, to)) => out.extend([self.marker, *to]),
                None => out.push(*byte),
            }
        }
    }
}

/// What bytes at some place are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A frame of this many bytes on the wire, and its bytes without escapes.
    Whole { wire: usize, frame: Vec<u8> },
    /// No frame; where a whole candidate was refused, how long it was.
    Bad { why: Reject, candidate: usize },
    /// More bytes are needed.
    Partial,
}

const fn bad(why: Reject) -> Step {
    Step::Bad { why, candidate: 0 }
}

/// How a frame is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) header: Vec<u8>,
    /// Offset and byte, in order.
    pub(super) constants: Vec<(usize, u8)>,
    pub(super) size: Size,
    pub(super) tail: Vec<u8>,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) checksum: Option<Sum>,
    pub(super) escape: Option<Escape>,
}

/// The bytes at a place without escapes, and how many wire bytes each takes up to its end.
struct Plain<'a> {
    bytes: Cow<'a, [u8]>,
    ends: Vec<usize>,
    /// The tail's first byte was met (escaped layouts only).
    closed: bool,
}

impl Plain<'_> {
    fn wire(&self, len: usize) -> usize {
        if self.ends.is_empty() { len } else { self.ends.get(len.wrapping_sub(1)).copied().unwrap_or(len) }
    }
}

impl Layout {
    /// A layout that no bytes fit.
    pub(super) fn nothing() -> Self {
        Self {
            header: Vec::new(),
            constants: Vec::new(),
            size: Size::Fixed(1),
            tail: vec![0, 0],
            min: 1,
            max: 1,
            checksum: None,
            escape: None,
        }
    }

    /// Longest frame, in bytes without escapes.
    pub fn longest(&self) -> usize {
        self.max
    }

    fn plain<'a>(&self, wire: &'a [u8]) -> Result<Plain<'a>, Step> {
        let Some(escape) = &self.escape else {
            return Ok(Plain { bytes: Cow::Borrowed(wire), ends: Vec::new(), closed: false });
        };
        let head = self.header.len().min(wire.len());
        let mut bytes = wire[..head].to_vec();
        let mut ends: Vec<usize> = (1..=head).collect();
        let mut at = head;
        while at < wire.len() && bytes.len() <= self.max {
            let byte = wire[at];
            if byte == escape.marker {
                let Some(code) = wire.get(at + 1) else { break };
                let Some((from, _)) = escape.map.iter().find(|(_, to)| to == code) else {
                    return Err(bad(Reject::Noise));
                };
                bytes.push(*from);
                at += 2;
                ends.push(at);
            } else if self.tail.first() == Some(&byte) {
                let tail = &wire[at..(at + self.tail.len()).min(wire.len())];
                for byte in tail {
                    bytes.push(*byte);
                    at += 1;
                    ends.push(at);
                }
                return Ok(Plain { bytes: Cow::Owned(bytes), ends, closed: true });
            } else if escape.map.iter().any(|(from, _)| *from == byte) {
                return Err(bad(Reject::Noise));
            } else {
                bytes.push(byte);
                at += 1;
                ends.push(at);
            }
        }
        Ok(Plain { bytes: Cow::Owned(bytes), ends, closed: false })
    }

    fn constants_hold(&self, bytes: &[u8]) -> Result<(), Reject> {
        let seen = self.header.len().min(bytes.len());
        if self.header[..seen] != bytes[..seen] {
            return Err(Reject::Noise);
        }
        let differs = |(at, byte): &(usize, u8)| bytes.get(*at).is_some_and(|b| b != byte);
        if self.constants.iter().any(differs) { Err(Reject::Constant) } else { Ok(()) }
    }

    fn number(bytes: &[u8], offset: usize, width: usize, little: bool) -> Option<u64> {
        let place = bytes.get(offset..offset + width)?;
        let join = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if little { place.iter().rev().fold(0, join) } else { place.iter().fold(0, join) })
    }

    /// Checks a frame whose length is known. Bytes without escapes; `wire` with.
    fn judge(&self, frame: &[u8], wire: &[u8]) -> Result<(), Reject> {
        self.constants_hold(frame)?;
        if frame.len() < self.min || frame.len() > self.max {
            return Err(Reject::Length);
        }
        if !frame.ends_with(&self.tail) {
            return Err(Reject::Tail);
        }
        match &self.checksum {
            Some(sum) if !sum.holds(if sum.escaped { wire } else { frame }) => Err(Reject::Checksum),
            _ => Ok(()),
        }
    }

    fn finished(&self, plain: &Plain<'_>, total: usize, wire: &[u8]) -> Step {
        let taken = plain.wire(total);
        match self.judge(&plain.bytes[..total], &wire[..taken]) {
            Ok(()) => Step::Whole { wire: taken, frame: plain.bytes[..total].to_vec() },
            Err(why) => Step::Bad { why, candidate: taken },
        }
    }

    /// Judges the bytes at one place. `ended`: the line has fallen silent; `fresh`: nothing was heard before them
    /// since the silence before.
    pub(super) fn step(&self, wire: &[u8], ended: bool, fresh: bool) -> Step {
        if wire.is_empty() {
            return Step::Partial;
        }
        // Most bytes of noise are refused here, before anything is copied.
        if self.header.first().is_some_and(|first| *first != wire[0]) {
            return bad(Reject::Noise);
        }
        let plain = match self.plain(wire) {
            Ok(plain) => plain,
            Err(step) => return step,
        };
        if let Err(why) = self.constants_hold(&plain.bytes) {
            return bad(why);
        }
        match &self.size {
            Size::Fixed(total) => self.when_there(&plain, *total, wire),
            Size::Length { offset, width, little, add, repeat_at } => {
                let Some(value) = Self::number(&plain.bytes, *offset, *width, *little) else {
                    return self.unfinished(&plain);
                };
                let total = i64::try_from(value).ok().and_then(|v| usize::try_from(v + add).ok());
                let Some(total) = total.filter(|t| (self.min..=self.max).contains(t)) else {
                    return bad(Reject::Length);
                };
                if let Some(at) = repeat_at {
                    let again = plain.bytes.get(*at..(at + width).min(plain.bytes.len())).unwrap_or_default();
                    let first = &plain.bytes[*offset..offset + width];
                    if !first.starts_with(again) {
                        return bad(Reject::Length);
                    }
                }
                self.when_there(&plain, total, wire)
            }
            Size::Tail => self.by_tail(&plain, wire),
            Size::Gap if !ended && plain.bytes.len() <= self.max => Step::Partial,
            Size::Gap if !ended => bad(Reject::Length),
            Size::Gap => self.by_silence(&plain, wire, fresh),
        }
    }

    fn unfinished(&self, plain: &Plain<'_>) -> Step {
        if plain.closed { bad(Reject::Length) } else { Step::Partial }
    }

    fn when_there(&self, plain: &Plain<'_>, total: usize, wire: &[u8]) -> Step {
        if plain.bytes.len() >= total { self.finished(plain, total, wire) } else { self.unfinished(plain) }
    }

    fn by_tail(&self, plain: &Plain<'_>, wire: &[u8]) -> Step {
        let mut refused = None;
        let first = self.min.max(self.header.len() + self.tail.len());
        for total in first..=plain.bytes.len().min(self.max) {
            if !plain.bytes[..total].ends_with(&self.tail) {
                continue;
            }
            match self.finished(plain, total, wire) {
                Step::Bad { why, candidate } if refused.is_none() => refused = Some((why, candidate)),
                Step::Bad { .. } | Step::Partial => {}
                whole => return whole,
            }
        }
        match refused {
            Some((why, candidate)) if plain.closed || plain.bytes.len() >= self.max => {
                Step::Bad { why, candidate }
            }
            // Closed before it can be a frame: more bytes would not help.
            None if plain.closed => bad(Reject::Length),
            None if plain.bytes.len() >= self.max => bad(Reject::Tail),
            _ => Step::Partial,
        }
    }

    /// The whole burst must be the frame. Where a strong checksum speaks for it, a frame glued to others is found too.
    fn by_silence(&self, plain: &Plain<'_>, wire: &[u8], fresh: bool) -> Step {
        let len = plain.bytes.len();
        let strong = self.checksum.as_ref().is_some_and(|s| {
            matches!(s.kind, Kind::Crc16Modbus | Kind::Crc16Ccitt) && s.at == -2 && !s.escaped
        });
        if strong {
            let shortest = (self.min.max(3)..=len.min(self.max))
                .find(|total| matches!(self.finished(plain, *total, wire), Step::Whole { .. }));
            if let Some(total) = shortest {
                return self.finished(plain, total, wire);
            }
        }
        match self.finished(plain, len, wire) {
            Step::Whole { .. } if !fresh && !strong => bad(Reject::Noise),
            step => step,
        }
    }

    /// Writes length and checksum into an outgoing frame and escapes it.
    ///
    /// # Errors
    /// What does not fit, in plain words.
    pub(super) fn seal(&self, mut frame: Vec<u8>) -> Result<Vec<u8>, String> {
        if frame.len() > self.max {
            return Err(format!("{} bytes are too many; a frame has at most {}", frame.len(), self.max));
        }
        if let Some(sum) = self.checksum.as_ref().filter(|sum| !sum.escaped)
            && !sum.fill(&mut frame)
        {
            return Err("the frame is too short for its checksum".to_owned());
        }
        let Some(escape) = &self.escape else { return Ok(frame) };
        let (head, tail) = (self.header.len(), self.tail.len());
        let Some(body) = frame.len().checked_sub(tail).and_then(|end| frame.get(head..end)) else {
            return Err("the frame is shorter than its header and tail".to_owned());
        };
        let mut out = frame[..head].to_vec();
        escape.write(body, &mut out);
        out.extend_from_slice(&frame[frame.len() - tail..]);
        if let Some(sum) = self.checksum.as_ref().filter(|sum| sum.escaped) {
            sum.fill(&mut out);
        }
        Ok(out)
    }

    /// The bytes of the length field of a frame of `total` bytes.
    pub(super) fn length_bytes(&self, total: usize) -> Option<Vec<u8>> {
        let Size::Length { width, little, add, .. } = &self.size else { return None };
        let value = u64::try_from(i64::try_from(total).ok()? - add).ok()?;
        let bytes = value.to_be_bytes();
        if bytes[..8 - width].iter().any(|b| *b != 0) {
            return None;
        }
        let mut bytes = bytes[8 - width..].to_vec();
        if *little {
            bytes.reverse();
        }
        Some(bytes)
    }
}
