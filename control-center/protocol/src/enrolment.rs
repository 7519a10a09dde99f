//! How a machine becomes a node: a single-use pairing code, bound to a hall, and the pin of the centre's key go in; a
//! certificate comes out. The code is a secret: it is never printed in logs and never stored in the clear.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    chain::Digest,
    ids::{HallId, NodeId},
};

/// Where a machine enrols; the only route of the node listener that takes no certificate.
pub const ENROL_PATH: &str = "/node/v1/enrol";
/// Where a node renews its certificate, with the old one.
pub const RENEW_PATH: &str = "/node/v1/renew";
/// Where a node shows that it holds its renewed certificate, by coming with it.
pub const CONFIRM_PATH: &str = "/node/v1/renewed";

/// Crockford's base 32: no I, L, O or U, so that a code read aloud or written by hand survives.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Eighty bits as `XXXX-XXXX-XXXX-XXXX`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairingCode([u8; 10]);

/// Why a text is not a pairing code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pairing code: it has 16 letters and digits, such as 7K3M-Q2ZD-08RT-XW5P")]
pub struct BadPairingCode;

impl PairingCode {
    /// The code of ten random bytes.
    pub fn new(random: [u8; 10]) -> Self {
        Self(random)
    }

    /// What the centre stores in place of the code. 80 random bits need no salt and no slow hash.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The code as people read it. Named so that it is never printed by accident.
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(19);
        let bits = self.0.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        for place in (0..16).rev() {
            text.push(char::from(ALPHABET[(bits >> (place * 5)) as usize & 31]));
            if place % 4 == 0 && place > 0 {
                text.push('-');
            }
        }
        text
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(hidden)")
    }
}

impl FromStr for PairingCode {
    type Err = BadPairingCode;
    /// Reads a code as people type it: any case, hyphens and blanks anywhere, O for 0, I or L for 1.
    fn from_str(text: &str) -> Result<Self, BadPairingCode> {
        let mut bits = 0u128;
        let mut count = 0;
        for letter in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                letter => letter,
            };
            let value = ALPHABET.iter().position(|a| char::from(*a) == letter).ok_or(BadPairingCode)?;
            bits = bits << 5 | value as u128;
            count += 1;
            if count > 16 {
                return Err(BadPairingCode);
            }
        }
        if count != 16 {
            return Err(BadPairingCode);
        }
        let mut code = [0; 10];
        code.copy_from_slice(&bits.to_be_bytes()[6..]);
        Ok(Self(code))
    }
}

impl TryFrom<String> for PairingCode {
    type Error = BadPairingCode;
    fn try_from(text: String) -> Result<Self, BadPairingCode> {
        text.parse()
    }
}

impl From<PairingCode> for String {
    fn from(code: PairingCode) -> String {
        code.reveal()
    }
}

/// What a machine sends to become a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The pairing code.
    pub code: PairingCode,
    /// The hall the machine believes it stands in; it must be the one the code is bound to.
    pub hall: HallId,
    /// A certificate signing request, PEM. Only its key is taken; every name in the certificate is the centre's choice.
    pub csr_pem: String,
    /// The program's version, for the list of nodes.
    pub version: String,
    /// Whether it can trust more than one authority, as it must while the centre's is changed.
    #[serde(default)]
    pub several: bool,
}

/// What a node sends to renew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenewRequest {
    /// A signing request with the new key, PEM.
    pub csr_pem: String,
    /// Whether it can trust more than one authority, and go over to another.
    #[serde(default)]
    pub several: bool,
}

/// The node's identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// The node's name.
    pub node: NodeId,
    /// Its hall.
    pub hall: HallId,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// The certificates of the centre's authorities, PEM, the one that signs first; the node trusts no others from now on.
    pub ca_pem: String,
}

/// SHA-256 of the subject public key info of the centre's CA: by it a machine that has only this and a code knows that
/// it talks to the right centre.
pub fn key_pin(subject_public_key_info: &[u8]) -> Digest {
    Digest::of(subject_public_key_info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_never_shows_itself() {
        let code = PairingCode::new([0xFF; 10]);
        assert_eq!(code.reveal(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert!(!format!("{code:?}").contains('Z'));
    }

    proptest! {
        #[test]
        fn reads_a_code_as_people_type_it(random in any::<[u8; 10]>()) {
            let code = PairingCode::new(random);
            let typed = code.reveal().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            prop_assert_eq!(typed.parse::<PairingCode>().unwrap(), code);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            let _ = text.parse::<PairingCode>();
        }
    }
}
