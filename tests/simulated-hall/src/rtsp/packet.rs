//! RTP packets of an access unit, in one buffer that is already framed for TCP (`$`, channel, length), so that it is
//! written once to each viewer (RFC 2326 section 10.12, RFC 3550, RFC 6184 section 5, RFC 7798 section 4).

use crate::footage::{Codec, split_avcc};

use super::sdp::PAYLOAD_TYPE;

/// Largest RTP payload; as cameras on Ethernet use it.
const MOST_PAYLOAD: usize = 1400;
/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_OFFSET: u64 = 2_208_988_800;

/// What the packets of one stream carry from one access unit to the next.
#[derive(Debug, Clone)]
pub(super) struct Packetiser {
    codec: Codec,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    packets: u32,
    octets: u32,
}

impl Packetiser {
    pub(super) fn new(codec: Codec, ssrc: u32, sequence: u16) -> Self {
        Self { codec, ssrc, sequence, packets: 0, octets: 0 }
    }

    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.codec = codec;
    }

    /// Packetises one access unit: NAL units `first` (parameter sets, a stamp) and then those of `avcc`. The last
    /// packet has the marker bit.
    pub(super) fn unit<'a>(
        &mut self,
        first: impl Iterator<Item = &'a [u8]>,
        avcc: &'a [u8],
        timestamp: u32,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(avcc.len() + avcc.len() / 40 + 512);
        let mut last = None;
        for nal in first.chain(split_avcc(avcc)).filter(|nal| nal.len() > 2) {
            last = Some(self.nal(&mut out, nal, timestamp));
        }
        if let Some(byte) = last.and_then(|at: usize| out.get_mut(at)) {
            *byte |= 0x80;
        }
        out
    }

    /// A sender report on the RTCP channel: `timestamp` is shown at `unix_us` (RFC 3550 section 6.4.1).
    pub(super) fn report(&self, out: &mut Vec<u8>, timestamp: u32, unix_us: u64) {
        out.extend_from_slice(&[b'$', 1, 0, 28, 0x80, 200, 0, 6]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&((unix_us / 1_000_000 + NTP_OFFSET) as u32).to_be_bytes());
        out.extend_from_slice(&(((unix_us % 1_000_000) << 32) / 1_000_000).to_be_bytes()[4..]);
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.extend_from_slice(&self.packets.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
    }

    /// Returns where the byte with the marker bit of its last packet is.
    fn nal(&mut self, out: &mut Vec<u8>, nal: &[u8], timestamp: u32) -> usize {
        if nal.len() <= MOST_PAYLOAD {
            return self.packet(out, &[], nal, timestamp);
        }
        // Fragmentation units: FU-A (type 28) in H.264, type 49 in H.265.
        let (head, kind, mut rest): (Vec<u8>, u8, &[u8]) = match self.codec {
            Codec::H264 => (vec![nal[0] & 0xE0 | 28], nal[0] & 0x1F, &nal[1..]),
            Codec::H265 => (vec![nal[0] & 0x81 | 49 << 1, nal[1]], nal[0] >> 1 & 0x3F, &nal[2..]),
        };
        let mut marker = 0;
        let mut start = 0x80;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(MOST_PAYLOAD - head.len() - 1));
            let end = if after.is_empty() { 0x40 } else { 0 };
            let mut prefix = [0; 3];
            prefix[..head.len()].copy_from_slice(&head);
            prefix[head.len()] = start | end | kind;
            marker = self.packet(out, &prefix[..=head.len()], piece, timestamp);
            (rest, start) = (after, 0);
        }
        marker
    }

    fn packet(&mut self, out: &mut Vec<u8>, prefix: &[u8], payload: &[u8], timestamp: u32) -> usize {
        let length = prefix.len() + payload.len();
        out.extend_from_slice(&[b'$', 0]);
        out.extend_from_slice(&((length + 12) as u16).to_be_bytes());
        out.extend_from_slice(&[0x80, PAYLOAD_TYPE]);
        let marker = out.len() - 1;
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(prefix);
        out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(length as u32);
        marker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes the packets apart again: (marker, sequence, timestamp, payload).
    fn packets(mut bytes: &[u8]) -> Vec<(bool, u16, u32, Vec<u8>)> {
        let mut out = Vec::new();
        while let [b'$', 0, high, low, rest @ ..] = bytes {
            let (packet, after) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
            out.push((packet[1] & 0x80 != 0, word(0) as u16, word(4), packet[12..].to_vec()));
            bytes = after;
        }
        assert!(bytes.is_empty());
        out
    }

    proptest! {
        #[test]
        fn fragments_join_to_the_unit_they_came_from(sizes in prop::collection::vec(3_usize..9000, 1..6), h265: bool) {
            let codec = if h265 { Codec::H265 } else { Codec::H264 };
            let nals: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(at, size)| {
                let mut nal: Vec<u8> = (0..*size).map(|byte| (byte * 7 + at) as u8).collect();
                if h265 { nal[0] = 19 << 1; nal[1] = 1 } else { nal[0] = 0x65 }
                nal
            }).collect();
            let avcc: Vec<u8> =
                nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect();
            let mut packetiser = Packetiser::new(codec, 7, 65_530);
            let packets = packets(&packetiser.unit(std::iter::empty(), &avcc, 1234));
            let mut joined: Vec<Vec<u8>> = Vec::new();
            for (index, (marker, sequence, timestamp, payload)) in packets.iter().enumerate() {
                prop_assert_eq!(*sequence, 65_530_u16.wrapping_add(index as u16));
                prop_assert_eq!((*marker, *timestamp), (index + 1 == packets.len(), 1234));
                prop_assert!(payload.len() <= MOST_PAYLOAD);
                let fragment = if h265 { payload[0] >> 1 & 0x3F == 49 } else { payload[0] & 0x1F == 28 };
                if !fragment {
                    joined.push(payload.clone());
                    continue;
                }
                let (fu, body) = if h265 { (payload[2], &payload[3..]) } else { (payload[1], &payload[2..]) };
                if fu & 0x80 != 0 {
                    joined.push(if h265 {
                        vec![payload[0] & 0x81 | (fu & 0x3F) << 1, payload[1]]
                    } else {
                        vec![payload[0] & 0xE0 | fu & 0x1F]
                    });
                }
                joined.last_mut().unwrap().extend_from_slice(body);
            }
            prop_assert_eq!(joined, nals);
        }
    }
}
