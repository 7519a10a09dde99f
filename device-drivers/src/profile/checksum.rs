//! Checksums that serial protocols of this trade use, over a range of a frame.
//!
//! Pure. Check values: `123456789` gives 4B37 by CRC-16/Modbus (docs/reference/devices.md B2.3) and 29B1 by
//! CRC-16/CCITT-FALSE.

use serde::Deserialize;

/// How a checksum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Sum of the bytes, modulo 256.
    Sum8,
    /// What makes the sum of the bytes zero, modulo 256.
    NegSum8,
    /// Sum of the bytes, modulo 65536.
    Sum16,
    /// XOR of the bytes.
    Xor8,
    /// Internet checksum: ones' complement of the ones' complement sum of 16-bit big-endian words.
    Ones16,
    /// CRC-16/Modbus: polynomial A001 (reflected), initial FFFF.
    Crc16Modbus,
    /// CRC-16/CCITT-FALSE: polynomial 1021, initial FFFF; with `init = 0` XMODEM.
    Crc16Ccitt,
}

impl Kind {
    /// All of them, the simpler first.
    pub const ALL: [Kind; 7] = [
        Kind::Sum8,
        Kind::Xor8,
        Kind::NegSum8,
        Kind::Sum16,
        Kind::Crc16Modbus,
        Kind::Crc16Ccitt,
        Kind::Ones16,
    ];

    /// Bytes it takes in a frame.
    pub fn width(self) -> usize {
        match self {
            Self::Sum8 | Self::NegSum8 | Self::Xor8 => 1,
            Self::Sum16 | Self::Ones16 | Self::Crc16Modbus | Self::Crc16Ccitt => 2,
        }
    }

    /// The initial value unless a profile gives another.
    pub fn usual_init(self) -> u16 {
        match self {
            Self::Crc16Modbus | Self::Crc16Ccitt => 0xFFFF,
            _ => 0,
        }
    }

    /// `true` where the low byte usually comes first.
    pub fn usually_little(self) -> bool {
        self == Self::Crc16Modbus
    }

    /// The name in a profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum8 => "sum8",
            Self::NegSum8 => "neg-sum8",
            Self::Sum16 => "sum16",
            Self::Xor8 => "xor8",
            Self::Ones16 => "ones16",
            Self::Crc16Modbus => "crc16-modbus",
            Self::Crc16Ccitt => "crc16-ccitt",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The checksum of `bytes`; the upper byte is zero for kinds of one byte.
    pub fn over(self, bytes: &[u8], init: u16) -> u16 {
        match self {
            Self::Sum8 => bytes.iter().fold(init, |s, b| s.wrapping_add(u16::from(*b))) & 0xFF,
            Self::NegSum8 => Self::Sum8.over(bytes, init).wrapping_neg() & 0xFF,
            Self::Sum16 => bytes.iter().fold(init, |s, b| s.wrapping_add(u16::from(*b))),
            Self::Xor8 => bytes.iter().fold(init & 0xFF, |s, b| s ^ u16::from(*b)),
            Self::Ones16 => {
                let words = bytes
                    .chunks(2)
                    .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
                let mut sum = words.fold(u32::from(init), |s, w| s.wrapping_add(w));
                while sum > 0xFFFF {
                    sum = (sum & 0xFFFF) + (sum >> 16);
                }
                !(sum as u16)
            }
            Self::Crc16Modbus => bytes.iter().fold(init, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xA001 } else { c >> 1 })
            }),
            Self::Crc16Ccitt => bytes.iter().fold(init, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte) << 8, |c, _| {
                    if c & 0x8000 != 0 { c << 1 ^ 0x1021 } else { c << 1 }
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values() {
        let text = b"123456789";
        for (kind, value) in [
            (Kind::Sum8, 0xDD),
            (Kind::NegSum8, 0x23),
            (Kind::Sum16, 0x01DD),
            (Kind::Xor8, 0x31),
            (Kind::Crc16Modbus, 0x4B37),
            (Kind::Crc16Ccitt, 0x29B1),
        ] {
            assert_eq!(kind.over(text, kind.usual_init()), value, "{kind:?}");
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::Crc16Ccitt.over(text, 0), 0x31C3, "XMODEM");
        // RFC 1071's example.
        assert_eq!(Kind::Ones16.over(&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7], 0), !0xDDF2);
    }

    /// docs/reference/devices.md B2.3: `01 03 00 00 00 02 C4 0B`, low byte first.
    #[test]
    fn modbus_vector() {
        assert_eq!(Kind::Crc16Modbus.over(&[1, 3, 0, 0, 0, 2], 0xFFFF), 0x0BC4);
    }
}
