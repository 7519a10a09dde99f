//! Pictures out of byte streams, with no socket and no clock of its own: bytes and the time of their arrival in,
//! pictures with the time at which their last byte was there out. A format that shows a picture's end only by the next
//! one's beginning is read after the fact, so that no format looks slower than it is.

use simulated_hall::rtsp::{Stamp, read_stamp};

/// The header of a picture over bare TCP: length u32, stamp u64, number u32, key u8; big-endian.
pub const PLAIN_HEADER: usize = 17;
/// As much of a picture's beginning as is searched for its stamp: parameter sets, delimiters and the stamp fit.
const HEAD: usize = 768;
/// A picture larger than this is no picture.
const LARGEST: usize = 16 << 20;

/// A whole picture.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Its stamp, unless something removed it.
    pub stamp: Option<Stamp>,
    /// When its last byte was there, µs since 1970 UTC.
    pub at_us: u64,
    /// Whether it is a key frame.
    pub key: bool,
}

/// How pictures lie in a byte stream.
#[derive(Debug)]
pub enum Splitter {
    /// MPEG transport stream with one video.
    Transport(Transport),
    /// H.264 byte stream (Annex B).
    AnnexB(AnnexB),
    /// A header and the access unit.
    Plain(Vec<u8>),
    /// RTP interleaved in RTSP over TCP.
    Rtp(Rtp),
}

impl Splitter {
    /// Takes `bytes` that were there at `at_us`; gives every picture that is known to be whole.
    pub fn push(&mut self, bytes: &[u8], at_us: u64, mut give: impl FnMut(Picture)) {
        match self {
            Self::Transport(transport) => transport.push(bytes, at_us, &mut give),
            Self::AnnexB(stream) => stream.push(bytes, at_us, &mut give),
            Self::Plain(buffer) => plain(buffer, bytes, at_us, &mut give),
            Self::Rtp(rtp) => rtp.push(bytes, at_us, &mut give),
        }
    }
}

/// The stamp of an access unit in AVCC form.
pub fn stamp_of_avcc(avcc: &[u8]) -> Option<Stamp> {
    read_stamp(avcc)
}

/// Where the next start code (00 00 01) is, at or after `from`.
fn start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match bytes.get(at..at + 3)? {
            [0, 0, 1] => return Some(at),
            [_, _, 2..=u8::MAX] => at += 3,
            _ => at += 1,
        }
    }
}

/// Stamp and key mark out of the beginning of an access unit in Annex B form.
fn head_of_annex_b(head: &[u8]) -> (Option<Stamp>, bool) {
    let (mut stamp, mut key) = (None, false);
    let mut from = 0;
    while let Some(at) = start_code(head, from) {
        let begin = at + 3;
        let next = start_code(head, begin);
        let nal = head.get(begin..next.unwrap_or(head.len())).unwrap_or_default();
        match nal.first().map(|first| first & 0x1F) {
            Some(6) => stamp = stamp.or_else(|| stamp_of_nal(nal)),
            Some(5 | 7) => key = true,
            _ => {}
        }
        from = next.unwrap_or(head.len());
    }
    (stamp, key)
}

fn stamp_of_nal(nal: &[u8]) -> Option<Stamp> {
    let mut avcc = (nal.len() as u32).to_be_bytes().to_vec();
    avcc.extend_from_slice(nal);
    read_stamp(&avcc)
}

/// See [`Splitter::Transport`].
#[derive(Debug, Default)]
pub struct Transport {
    carry: Vec<u8>,
    video: Option<u16>,
    head: Vec<u8>,
    last_us: u64,
    open: bool,
}

impl Transport {
    fn push(&mut self, bytes: &[u8], at_us: u64, give: &mut impl FnMut(Picture)) {
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(bytes);
        let mut packets = carry.chunks_exact(188);
        for packet in &mut packets {
            self.packet(packet, at_us, give);
        }
        self.carry = packets.remainder().to_vec();
    }

    /// One packet (ISO/IEC 13818-1 section 2.4.3).
    fn packet(&mut self, packet: &[u8], at_us: u64, give: &mut impl FnMut(Picture)) {
        let [0x47, high, low, flags, ..] = *packet else { return };
        let id = u16::from(high & 0x1F) << 8 | u16::from(low);
        let skip =
            if flags & 0x20 != 0 { packet.get(4).map_or(184, |length| 1 + usize::from(*length)) } else { 0 };
        if flags & 0x10 == 0 {
            return;
        }
        let payload = packet.get(4 + skip..).unwrap_or_default();
        if high & 0x40 != 0
            && let [0, 0, 1, 0xE0..=0xEF, _, _, _, _, header, rest @ ..] = payload
        {
            self.video.get_or_insert(id);
            if self.video == Some(id) {
                self.finish(give);
                self.open = true;
                self.append(rest.get(usize::from(*header)..).unwrap_or_default(), at_us);
            }
        } else if self.video == Some(id) && self.open {
            self.append(payload, at_us);
        }
    }

    fn append(&mut self, payload: &[u8], at_us: u64) {
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(payload.get(..room.min(payload.len())).unwrap_or_default());
        self.last_us = at_us;
    }

    fn finish(&mut self, give: &mut impl FnMut(Picture)) {
        if self.open {
            let (stamp, key) = head_of_annex_b(&self.head);
            give(Picture { stamp, at_us: self.last_us, key });
        }
        self.head.clear();
    }
}

/// See [`Splitter::AnnexB`].
#[derive(Debug, Default)]
pub struct AnnexB {
    unit: Vec<u8>,
    scanned: usize,
    has_slice: bool,
    last_us: u64,
}

impl AnnexB {
    fn push(&mut self, bytes: &[u8], at_us: u64, give: &mut impl FnMut(Picture)) {
        let mut before = self.unit.len();
        self.unit.extend_from_slice(bytes);
        // A NAL unit's type, and whether a slice is its picture's first, are in the two bytes after the start code.
        while let Some(at) = start_code(&self.unit, self.scanned) {
            let Some([first, second]) = self.unit.get(at + 3..at + 5) else { break };
            let slice = (1..=5).contains(&(first & 0x1F));
            let begins = match first & 0x1F {
                6..=9 => self.has_slice,
                1..=5 => self.has_slice && second & 0x80 != 0,
                _ => false,
            };
            if !begins {
                self.has_slice |= slice;
                self.scanned = at + 3;
                continue;
            }
            let cut = if at > 0 && self.unit.get(at - 1) == Some(&0) { at - 1 } else { at };
            let (stamp, key) = head_of_annex_b(self.unit.get(..cut.min(HEAD)).unwrap_or_default());
            give(Picture { stamp, at_us: if cut > before { at_us } else { self.last_us }, key });
            self.unit.drain(..cut);
            before = before.saturating_sub(cut);
            (self.scanned, self.has_slice) = (0, false);
        }
        self.scanned = self.scanned.max(self.unit.len().saturating_sub(4));
        if self.unit.len() > LARGEST {
            self.unit.clear();
            self.scanned = 0;
        }
        self.last_us = at_us;
    }
}

fn plain(buffer: &mut Vec<u8>, bytes: &[u8], at_us: u64, give: &mut impl FnMut(Picture)) {
    buffer.extend_from_slice(bytes);
    let mut used = 0;
    while let Some(header) = buffer.get(used..).and_then(|rest| rest.first_chunk::<PLAIN_HEADER>()) {
        let [l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7, f0, f1, f2, f3, key] = *header;
        let whole = PLAIN_HEADER + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if buffer.len() < used + whole {
            break;
        }
        let sent_us = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let stamp = Some(Stamp { sent_us, frame: u32::from_be_bytes([f0, f1, f2, f3]) });
        give(Picture { stamp, at_us, key: key != 0 });
        used += whole;
    }
    buffer.drain(..used);
}

/// See [`Splitter::Rtp`].
#[derive(Debug, Default)]
pub struct Rtp {
    buffer: Vec<u8>,
    stamp: Option<Stamp>,
    key: bool,
}

impl Rtp {
    fn push(&mut self, bytes: &[u8], at_us: u64, give: &mut impl FnMut(Picture)) {
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        while rest.len() >= 4 {
            match *rest {
                [b'$', channel, high, low, ref after @ ..] => {
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let Some((packet, next)) = after.split_at_checked(length) else { break };
                    if channel == 0 {
                        self.packet(packet, at_us, give);
                    }
                    rest = next;
                }
                // An answer between packets.
                _ => rest = rest.get(1..).unwrap_or_default(),
            }
        }
        self.buffer = rest.to_vec();
    }

    /// One packet (RFC 3550 section 5.1 without extensions, RFC 6184).
    fn packet(&mut self, packet: &[u8], at_us: u64, give: &mut impl FnMut(Picture)) {
        let Some((header, nal)) = packet.split_first_chunk::<12>() else { return };
        match nal {
            [first, ..] if first & 0x1F == 6 => self.stamp = stamp_of_nal(nal),
            [first, ..] if matches!(first & 0x1F, 5 | 7) => self.key = true,
            [first, unit, ..] if first & 0x1F == 28 && unit & 0x1F == 5 => self.key = true,
            _ => {}
        }
        if header[1] & 0x80 != 0 {
            give(Picture { stamp: self.stamp.take(), at_us, key: std::mem::take(&mut self.key) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stamp's SEI message with times that need no emulation prevention.
    fn sei(frame: u8) -> Vec<u8> {
        let mut nal = vec![6, 5, 28];
        nal.extend_from_slice(&simulated_hall::rtsp::STAMP_UUID);
        nal.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, frame, 0x80]);
        nal
    }

    fn annex_b(frames: u8) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in 0..frames {
            let key = frame % 4 == 0;
            let mut nals = Vec::new();
            if key {
                nals.extend([vec![0x67, 1, 2, 3], vec![0x68, 4]]);
            }
            nals.push(sei(frame + 1));
            nals.push([&[if key { 0x65 } else { 0x41 }, 0x88][..], &[0x55; 3000]].concat());
            nals.push([&[12][..], &[0xFF; 100], &[0x80]].concat());
            for nal in nals {
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(&nal);
            }
        }
        out
    }

    fn pictures(mut splitter: Splitter, bytes: &[u8], piece: usize) -> Vec<(u8, bool, u64)> {
        let mut out = Vec::new();
        for (at, piece) in bytes.chunks(piece).enumerate() {
            splitter.push(piece, at as u64, |picture| {
                out.push((picture.stamp.unwrap().frame as u8, picture.key, picture.at_us));
            });
        }
        out
    }

    #[test]
    fn annex_b_is_cut_between_pictures_wherever_the_pieces_end() {
        let stream = annex_b(9);
        let ends: Vec<usize> = (1..9).map(|frames| annex_b(frames).len()).collect();
        for piece in [1, 2, 3, 7, 188, 1000, 4096, 100_000] {
            let found = pictures(Splitter::AnnexB(AnnexB::default()), &stream, piece);
            assert_eq!(found.len(), 8, "in pieces of {piece}");
            for (index, (frame, key, at)) in found.iter().enumerate() {
                assert_eq!((*frame, *key), (index as u8 + 1, index % 4 == 0));
                // In pieces shorter than a start code and what follows it, the end is known to within a few bytes.
                if piece > 6 {
                    assert_eq!(*at, (ends[index] as u64 - 1) / piece as u64, "in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn transport_packets_join_to_pictures() {
        let mut stream = Vec::new();
        for frame in 0..5 {
            let unit = &annex_b(frame + 1)[if frame == 0 { 0 } else { annex_b(frame).len() }..];
            let pes = [&[0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 1, 1, 1, 1, 1][..], unit].concat();
            for (index, piece) in pes.chunks(184).enumerate() {
                let start = if index == 0 { 0x40 } else { 0 };
                if piece.len() == 184 {
                    stream.extend_from_slice(&[0x47, start | 1, 0, 0x10]);
                } else {
                    let fill = 183 - piece.len();
                    stream.extend_from_slice(&[0x47, start | 1, 0, 0x30, fill as u8]);
                    stream.extend(std::iter::repeat_n(0, fill));
                }
                stream.extend_from_slice(piece);
            }
        }
        for piece in [1, 100, 188, 5000] {
            let found = pictures(Splitter::Transport(Transport::default()), &stream, piece);
            let frames: Vec<_> = found.iter().map(|(frame, key, _)| (*frame, *key)).collect();
            assert_eq!(frames, [(1, true), (2, false), (3, false), (4, false)]);
        }
    }

    #[test]
    fn plain_and_rtp_know_a_picture_by_its_last_byte() {
        let mut plain = Vec::new();
        let mut rtp = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n".to_vec();
        for frame in 1..=3_u8 {
            plain.extend_from_slice(&5000_u32.to_be_bytes());
            plain.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, frame, u8::from(frame == 1)]);
            plain.extend_from_slice(&[b'$'; 5000]);
            let fragment = [0x7C, 0x85, 1, 2, 3];
            let first = if frame == 1 { &fragment[..] } else { &[0x41, 1] };
            for (nal, marker) in [(&sei(frame)[..], 0), (first, 0), (&[12, 0xFF], 0x80)] {
                rtp.extend_from_slice(&[b'$', 0, 0, nal.len() as u8 + 12, 0x80, 96 | marker]);
                rtp.extend_from_slice(&[0; 10]);
                rtp.extend_from_slice(nal);
            }
        }
        for piece in [1, 50, 100_000] {
            for (splitter, bytes) in
                [(Splitter::Plain(Vec::new()), &plain), (Splitter::Rtp(Rtp::default()), &rtp)]
            {
                let found = pictures(splitter, bytes, piece);
                let frames: Vec<_> = found.iter().map(|(frame, key, _)| (*frame, *key)).collect();
                assert_eq!(frames, [(1, true), (2, false), (3, false)]);
            }
        }
    }
}
