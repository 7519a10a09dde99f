//! What H.264 and H.265 parameter sets say about the order of frames.
//!
//! Reads a decoder configuration record (`avcC`, `hvcC`) just far enough to know whether there are B-frames, since
//! browsers play those only with a decoding time that RTP does not carry. Sources: ISO/IEC 14496-15 (records), ITU-T
//! H.264 7.3.2.1.1 and E.1.1, ITU-T H.265 7.3.2.2.

/// The two codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264; the record is an `avcC`.
    H264,
    /// H.265; the record is an `hvcC`.
    H265,
    /// JPEG pictures one after the other; there is no record.
    Jpeg,
}

/// Whether frames may come in another order than they are shown in: `None` if the parameter sets do not say.
pub fn reorders(codec: Codec, record: &[u8]) -> Option<bool> {
    match codec {
        Codec::H264 => h264_reorders(first_avc_sps(record)?),
        Codec::H265 => h265_reorders(first_hevc_sps(record)?),
        Codec::Jpeg => Some(false),
    }
}

fn sized(record: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(*record.get(at)?) << 8 | usize::from(*record.get(at + 1)?);
    record.get(at + 2..at + 2 + length)
}

fn first_avc_sps(record: &[u8]) -> Option<&[u8]> {
    if record.get(5)? & 0x1F == 0 {
        return None;
    }
    sized(record, 6)
}

fn first_hevc_sps(record: &[u8]) -> Option<&[u8]> {
    const SPS: u8 = 33;
    let mut at = 23;
    for _ in 0..*record.get(22)? {
        let kind = record.get(at)? & 0x3F;
        let count = usize::from(*record.get(at + 1)?) << 8 | usize::from(*record.get(at + 2)?);
        at += 3;
        for _ in 0..count {
            let unit = sized(record, at)?;
            if kind == SPS {
                return Some(unit);
            }
            at += 2 + unit.len();
        }
    }
    None
}

/// Bits of a NAL unit's payload, emulation prevention taken out.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn of(nal_payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(nal_payload.len());
        let mut zeros = 0;
        for &byte in nal_payload {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// ue(v); se(v) has the same length, so that skipping one skips the other.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1 + u64::from(self.bits(zeros)?)) as u32)
    }

    fn signed_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.golomb()?);
        i32::try_from(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 }).ok()
    }

    fn golombs(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.golomb()?;
        }
        Some(())
    }
}

fn h264_reorders(sps: &[u8]) -> Option<bool> {
    let mut b = Bits::of(sps.get(1..)?);
    let profile = b.bits(8)?;
    b.skip(16)?;
    b.golomb()?;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        let chroma = b.golomb()?;
        if chroma == 3 {
            b.skip(1)?;
        }
        b.golombs(2)?;
        b.skip(1)?;
        if b.bit()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if b.bit()? {
                    skip_scaling_list(&mut b, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    b.golomb()?;
    let order_type = b.golomb()?;
    match order_type {
        0 => b.golombs(1)?,
        1 => {
            b.skip(1)?;
            b.golombs(2)?;
            let count = b.golomb()?;
            b.golombs(count.min(255))?;
        }
        _ => {}
    }
    // Baseline has no B slices; order type 2 means that output order is decoding order.
    if profile == 66 || order_type == 2 {
        return Some(false);
    }
    b.golomb()?;
    b.skip(1)?;
    b.golombs(2)?;
    if !b.bit()? {
        b.skip(1)?;
    }
    b.skip(1)?;
    if b.bit()? {
        b.golombs(4)?;
    }
    if b.bit()? { h264_vui_reorders(&mut b) } else { None }
}

fn skip_scaling_list(b: &mut Bits, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            // A delta outside a byte's range is no parameter set (H.264, 7.4.2.1.1.1).
            let delta = b.signed_golomb().filter(|delta| (-128..=127).contains(delta))?;
            next = (last + delta + 256) % 256;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn h264_vui_reorders(b: &mut Bits) -> Option<bool> {
    const EXTENDED_ASPECT: u32 = 255;
    if b.bit()? && b.bits(8)? == EXTENDED_ASPECT {
        b.skip(32)?;
    }
    if b.bit()? {
        b.skip(1)?;
    }
    if b.bit()? {
        b.skip(4)?;
        if b.bit()? {
            b.skip(24)?;
        }
    }
    if b.bit()? {
        b.golombs(2)?;
    }
    if b.bit()? {
        b.skip(65)?;
    }
    let mut buffer_model = false;
    for _ in 0..2 {
        if b.bit()? {
            buffer_model = true;
            let count = b.golomb()?;
            b.skip(8)?;
            for _ in 0..=count.min(31) {
                b.golombs(2)?;
                b.skip(1)?;
            }
            b.skip(20)?;
        }
    }
    if buffer_model {
        b.skip(1)?;
    }
    b.skip(1)?;
    if !b.bit()? {
        return None;
    }
    b.skip(1)?;
    b.golombs(4)?;
    Some(b.golomb()? > 0)
}

fn h265_reorders(sps: &[u8]) -> Option<bool> {
    let mut b = Bits::of(sps.get(2..)?);
    b.skip(4)?;
    let sub_layers = b.bits(3)?;
    b.skip(1)?;
    // profile_tier_level: 88 bits of general profile, 8 of level, then the sub-layers'.
    b.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((b.bit()?, b.bit()?));
    }
    if sub_layers > 0 {
        b.skip(2 * (8 - sub_layers as usize))?;
    }
    for (profile, level) in present {
        b.skip(if profile { 88 } else { 0 })?;
        b.skip(if level { 8 } else { 0 })?;
    }
    b.golomb()?;
    if b.golomb()? == 3 {
        b.skip(1)?;
    }
    b.golombs(2)?;
    if b.bit()? {
        b.golombs(4)?;
    }
    b.golombs(3)?;
    let every_layer = b.bit()?;
    let mut reorder = 0;
    for _ in 0..if every_layer { sub_layers + 1 } else { 1 } {
        b.golomb()?;
        reorder = b.golomb()?;
        b.golomb()?;
    }
    Some(reorder > 0)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    fn hex(s: &str) -> Vec<u8> {
        HEXLOWER.decode(s.as_bytes()).unwrap()
    }

    /// Records of real encoders, with what ffprobe says of their order.
    #[test]
    fn real_records() {
        for (codec, record, expected) in [
            (
                Codec::H264,
                "014d401fffe10019674d401f965281806f4d41818190000003001000000301484001000568e9093520",
                // B-frames, but no bitstream restriction that says so.
                None,
            ),
            (
                Codec::H264,
                "014d401fffe10018674d401fd9005005ba1000000300100000030320f183248001000468ebccb2",
                Some(false),
            ),
            (
                Codec::H264,
                "014d4016ffe1001b674d4016d900c037a6a0c0c0c80000030010000003019078b1724001000468ebccb2",
                Some(false),
            ),
            (
                Codec::H264,
                "0142c016ffe100186742c016d900a02ff961000003000200000300320f162e4801000468cb8cb2",
                Some(false),
            ),
            (
                Codec::H264,
                "0164001effe100196764001eacd940a03da6c8000003000800000301e078b16cb001000668ebe3cb22c0",
                Some(true),
            ),
            (
                Codec::H265,
                "0101600000009000000000005df000fcfdf8f800000f04a00001001840010c01ffff0160000003009000000300\
                 0003005d928090a10001002a42010101600000030090000003000003005da00280802d16592a4932b9a708000003\
                 000800000300c840a2000100074401c172b46240",
                Some(false),
            ),
        ] {
            assert_eq!(reorders(codec, &hex(record)), expected, "{record}");
        }
        assert_eq!(reorders(Codec::H264, b"not a record"), None);
    }

    proptest! {
        #[test]
        fn any_record(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = reorders(Codec::H264, &bytes);
            let _ = reorders(Codec::H265, &bytes);
            let _ = h264_reorders(&bytes);
            let _ = h265_reorders(&bytes);
        }
    }
}
