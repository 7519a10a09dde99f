//! What a decoder must be told of the sound in a segment, as an `mp4a`, `alaw` or `ulaw` entry, written and read back. Sources:
//! ISO/IEC 14496-12, 12.2.3; ISO/IEC 14496-14, 5.6 (`esds`); QuickTime File Format, "Sound sample descriptions".

use bytes::Bytes;

use super::boxes::Boxes;

/// The longest `AudioSpecificConfig` that is written down; usual ones have 2 to 7 bytes.
const LONGEST_CONFIG: usize = 64;
/// Bytes of `esds` before the configuration, when each descriptor's length takes one byte.
const BEFORE_CONFIG: usize = 4 + 2 + 3 + 2 + 13 + 2;
/// Bytes of an entry before the boxes in it.
const ENTRY: usize = 28;

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundCoding {
    /// AAC.
    Aac,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
}

impl SoundCoding {
    fn name(self) -> &'static [u8; 4] {
        match self {
            Self::Aac => b"mp4a",
            Self::Alaw => b"alaw",
            Self::Ulaw => b"ulaw",
        }
    }
}

/// The sound of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The codec.
    pub coding: SoundCoding,
    /// Samples in a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
    /// The `AudioSpecificConfig` of AAC.
    pub config: Bytes,
}

impl Sound {
    /// Whether it can be written down.
    pub fn is_kept(&self) -> bool {
        self.rate > 0
            && self.rate <= u32::from(u16::MAX)
            && self.channels > 0
            && self.config.len() <= LONGEST_CONFIG
            && (self.coding == SoundCoding::Aac) != self.config.is_empty()
    }

    pub(super) fn sample_entry(&self, b: &mut Boxes<'_>) {
        b.nest(self.coding.name(), |b| {
            b.u8s(&[0; 6]);
            b.u16(1);
            b.u64(0);
            b.u16(self.channels);
            b.u16(16);
            b.u32(0);
            b.u32(self.rate << 16);
            if self.coding == SoundCoding::Aac {
                b.full(b"esds", 0, |b| self.descriptors(b));
            }
        });
    }

    /// ES_Descriptor with DecoderConfigDescriptor, DecoderSpecificInfo and SLConfigDescriptor.
    fn descriptors(&self, b: &mut Boxes<'_>) {
        let length = u8::try_from(self.config.len()).unwrap_or(u8::MAX);
        b.u8s(&[0x03, 3 + 2 + 13 + 2 + length + 3, 0, 0, 0]);
        // Audio ISO/IEC 14496-3, an audio stream; no size of buffer and no bit rates stated.
        b.u8s(&[0x04, 13 + 2 + length, 0x40, 0x15, 0, 0, 0]);
        b.u64(0);
        b.u8s(&[0x05, length]);
        b.u8s(&self.config);
        b.u8s(&[0x06, 1, 2]);
    }

    /// Out of an entry as it was written, from its name on.
    pub(super) fn read(entry: &[u8]) -> Option<Self> {
        let coding = [SoundCoding::Aac, SoundCoding::Alaw, SoundCoding::Ulaw]
            .into_iter()
            .find(|coding| entry.get(..4) == Some(coding.name()))?;
        let inside = entry.get(4..)?;
        let channels = u16::from_be_bytes(*inside.get(16..)?.first_chunk()?);
        let rate = u32::from_be_bytes(*inside.get(24..)?.first_chunk()?) >> 16;
        let mut config = Bytes::new();
        if coding == SoundCoding::Aac {
            let esds = inside.get(ENTRY..)?;
            if esds.get(4..8)? != b"esds" {
                return None;
            }
            let descriptors = esds.get(8..)?;
            let length = usize::from(*descriptors.get(BEFORE_CONFIG - 1)?);
            config = Bytes::copy_from_slice(descriptors.get(BEFORE_CONFIG..BEFORE_CONFIG + length)?);
        }
        Some(Self { coding, rate, channels, config }).filter(Self::is_kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back() {
        let config = Bytes::from_static(&[0x12, 0x10]);
        for (coding, rate, channels, config) in [
            (SoundCoding::Aac, 44_100, 2, config),
            (SoundCoding::Alaw, 8000, 1, Bytes::new()),
            (SoundCoding::Ulaw, 16_000, 1, Bytes::new()),
        ] {
            let sound = Sound { coding, rate, channels, config };
            let mut bytes = Vec::new();
            sound.sample_entry(&mut Boxes(&mut bytes));
            assert_eq!(Sound::read(&bytes[4..]), Some(sound));
        }
        assert_eq!(Sound::read(b"opus then what is too short"), None);
        let odd = Sound { coding: SoundCoding::Aac, rate: 8000, channels: 1, config: Bytes::new() };
        assert!(!odd.is_kept(), "AAC of which nothing is known");
    }
}
