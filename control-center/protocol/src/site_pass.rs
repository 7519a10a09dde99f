//! The site pass: the centre's word that one technician may pair devices in one hall for some hours. Signed by the centre's CA key,
//! checked by the edge with no link (docs/reference/pairing.md). This module gives its form; it holds no key and knows no clock.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{UtcMillis, ids::HallId};

/// What a pass begins with.
const PREFIX: &str = "hwp1.";
/// What is signed begins so, that a signature over a pass is never one over anything else.
const SIGNED: &[u8] = b"hallwatch site pass v1\n";
/// The longest time a pass stands, hours.
pub const MOST_HOURS: u32 = 72;
/// The longest text that is looked at.
const LONGEST: usize = 1024;

/// Who may pair where until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePass {
    /// Its id, by which it is revoked.
    pub id: String,
    /// The hall.
    pub hall: HallId,
    /// The technician's name at the centre.
    pub technician: String,
    /// From when, milliseconds UTC.
    pub from: i64,
    /// Until when, milliseconds UTC.
    pub until: i64,
}

/// A pass as it came, before its signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// What it says.
    pub pass: SitePass,
    /// What was signed.
    pub signed: Vec<u8>,
    /// The signature: ECDSA P-256 with SHA-256, ASN.1.
    pub signature: Vec<u8>,
}

/// A revoked pass, as the centre tells the edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedPass {
    /// Which.
    pub id: String,
    /// When it would have ended.
    pub until: UtcMillis,
}

/// A text that is not a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a site pass: it begins with hwp1. and was cut or changed on the way")]
pub struct BadPass;

impl SitePass {
    /// The bytes to be signed.
    pub fn signed(&self) -> Vec<u8> {
        // Plain fields: there is nothing that JSON could not hold.
        let payload = serde_json::to_vec(self).unwrap_or_default();
        [SIGNED, &payload].concat()
    }

    /// The pass as people carry it.
    pub fn text(&self, signature: &[u8]) -> String {
        let payload = BASE64URL_NOPAD.encode(&self.signed()[SIGNED.len()..]);
        format!("{PREFIX}{payload}.{}", BASE64URL_NOPAD.encode(signature))
    }
}

impl Presented {
    /// Reads a pass.
    ///
    /// # Errors
    /// The text is none.
    pub fn read(text: &str) -> Result<Self, BadPass> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(BadPass);
        }
        let (payload, signature) =
            text.strip_prefix(PREFIX).and_then(|t| t.split_once('.')).ok_or(BadPass)?;
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(|_| BadPass)?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| BadPass)?;
        let pass: SitePass = serde_json::from_slice(&payload).map_err(|_| BadPass)?;
        Ok(Self { pass, signed: [SIGNED, &payload].concat(), signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pass() -> SitePass {
        SitePass {
            id: "sp-1".into(),
            hall: "450103-01".parse().unwrap(),
            technician: "李工".into(),
            from: 1,
            until: 2,
        }
    }

    #[test]
    fn a_pass_comes_back_with_what_was_signed() {
        let text = pass().text(b"sig");
        let read = Presented::read(&text).unwrap();
        assert_eq!(read.pass, pass());
        assert_eq!(read.signed, pass().signed());
        assert_eq!(read.signature, b"sig");
        assert!(read.signed.starts_with(b"hallwatch site pass v1\n{"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = Presented::read(&text);
            let _ = Presented::read(&format!("hwp1.{text}"));
        }
    }
}
