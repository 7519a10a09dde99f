//! The GSM 7-bit default alphabet with its extension (3GPP TS 23.038, 6.2.1), and its packing into octets.

/// Septet → character; 0x1B is the escape to the extension.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', 'Δ', '_', 'Φ', 'Γ',
    'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', ' ', '!', '"', '#', '¤', '%', '&', '\'',
    '(', ')', '*', '+', ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<',
    '=', '>', '?', '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q',
    'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä',
    'ö', 'ñ', 'ü', 'à',
];
/// The extension: what follows the escape.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];
/// Escape to the extension.
pub const ESCAPE: u8 = 0x1B;

/// The septets of a character: one, or the escape and one; `None` if the alphabet has no such character.
pub fn septets_of(character: char) -> Option<(Option<u8>, u8)> {
    if character == '\u{1b}' {
        return None;
    }
    if let Some(at) = BASIC.iter().position(|known| *known == character) {
        return u8::try_from(at).ok().map(|septet| (None, septet));
    }
    EXTENSION.iter().find(|(_, known)| *known == character).map(|(septet, _)| (Some(ESCAPE), *septet))
}

/// A text as septets; `None` if a character is not in the alphabet.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for character in text.chars() {
        let (escape, septet) = septets_of(character)?;
        septets.extend(escape);
        septets.push(septet);
    }
    Some(septets)
}

/// Septets as text. An unknown extension is a space, as TS 23.038 asks; so is an escape at the end.
pub fn decode(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut left = septets.iter();
    while let Some(septet) = left.next() {
        let septet = septet & 0x7F;
        if septet == ESCAPE {
            let extended = left.next().and_then(|next| EXTENSION.iter().find(|(known, _)| known == next));
            text.push(extended.map_or(' ', |(_, character)| *character));
        } else {
            text.push(BASIC[usize::from(septet)]);
        }
    }
    text
}

/// Packs septets into octets after `fill` bits of zero.
pub fn pack(septets: &[u8], fill: usize) -> Vec<u8> {
    let mut octets = vec![0; (fill + septets.len() * 7).div_ceil(8)];
    for (at, septet) in septets.iter().enumerate() {
        let bit = fill + at * 7;
        let shifted = u16::from(septet & 0x7F) << (bit % 8);
        let [low, high] = shifted.to_le_bytes();
        octets[bit / 8] |= low;
        if high != 0 {
            octets[bit / 8 + 1] |= high;
        }
    }
    octets
}

/// Unpacks `count` septets after `fill` bits; fewer if the octets end before.
pub fn unpack(octets: &[u8], fill: usize, count: usize) -> Vec<u8> {
    (0..count)
        .map_while(|at| {
            let bit = fill + at * 7;
            let low = *octets.get(bit / 8)?;
            let high = octets.get(bit / 8 + 1).copied();
            // The septet reaches into the next octet.
            if bit % 8 > 1 && high.is_none() {
                return None;
            }
            let both = u16::from_le_bytes([low, high.unwrap_or(0)]);
            u8::try_from(both >> (bit % 8) & 0x7F).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_packings() {
        // TS 23.038, 6.1.2.1; "hellohello" is the customary example.
        let packed = pack(&encode("hellohello").unwrap(), 0);
        assert_eq!(packed, [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]);
        assert_eq!(encode("€[]").unwrap(), [0x1B, 0x65, 0x1B, 0x3C, 0x1B, 0x3E]);
        assert_eq!(encode("您"), None);
        assert_eq!(decode(&[0x1B, 0x01, 0x41, 0x1B]), " A ");
    }

    proptest! {
        #[test]
        fn packing_comes_back(septets in proptest::collection::vec(0u8..128, 0..200), fill in 0usize..7) {
            prop_assert_eq!(unpack(&pack(&septets, fill), fill, septets.len()), septets);
        }

        #[test]
        fn text_comes_back(text in "[ -Z^{}\\[~\\]|€äöñüà\n£¥ΔΦ]{0,200}") {
            if let Some(septets) = encode(&text) {
                prop_assert_eq!(decode(&septets), text);
            }
        }

        #[test]
        fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..200), fill in 0usize..8, count in 0usize..300) {
            let septets = unpack(&octets, fill, count);
            prop_assert!(septets.len() <= count && septets.len() * 7 <= octets.len() * 8);
            decode(&septets);
        }
    }
}
