//! The key with which an office signs calendars: made at the command line, kept by the office, never by a centre.

use std::{io, path::Path};

use data_encoding::BASE64;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};

use super::calendar::{BadCalendar, CalendarYear, SignedCalendar};
use crate::{evidence::key::PublicKey, secret_file};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// An office's key.
pub struct CalendarKey(Ed25519KeyPair);

impl CalendarKey {
    /// Makes a key and writes it to `path`, which only its owner can read. Blocking.
    ///
    /// # Errors
    /// There is such a file already, it cannot be written, or the system gave no random bytes.
    pub fn make(path: &Path) -> io::Result<Self> {
        if path.exists() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there already; a key is never replaced",
            ));
        }
        let no_random = |_| io::Error::other("the system gave no random bytes");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(no_random)?;
        secret_file::write(
            &std::path::absolute(path)?,
            &format!("{BEGIN}\n{}\n{END}\n", BASE64.encode(pkcs8.as_ref())),
        )?;
        Ed25519KeyPair::from_pkcs8(pkcs8.as_ref())
            .map(Self)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// Reads a key. Blocking.
    ///
    /// # Errors
    /// It cannot be read, or is no such key.
    pub fn open(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "this file holds no calendar key");
        let body = text.trim().strip_prefix(BEGIN).and_then(|text| text.strip_suffix(END)).ok_or_else(bad)?;
        let pkcs8 = BASE64.decode(body.trim().as_bytes()).map_err(|_| bad())?;
        Ed25519KeyPair::from_pkcs8(&pkcs8).map(Self).map_err(|_| bad())
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::of_bytes(self.0.public_key().as_ref().try_into().unwrap_or_default())
    }

    /// Signs a year, given as JSON text, after checking it.
    ///
    /// # Errors
    /// The text is no year.
    pub fn seal(&self, text: String) -> Result<SignedCalendar, BadCalendar> {
        let year: CalendarYear =
            serde_json::from_str(&text).map_err(|error| BadCalendar::Rule(error.to_string()))?;
        year.check().map_err(BadCalendar::Rule)?;
        Ok(SignedCalendar::seal(text, &self.public(), |message| self.0.sign(message).as_ref().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attendance::calendar::tests::guangxi_2017;

    #[test]
    fn an_office_signs_and_a_centre_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let key = CalendarKey::make(&path).unwrap();
        assert!(CalendarKey::make(&path).is_err(), "a key is never replaced");
        let again = CalendarKey::open(&path).unwrap();
        assert_eq!(again.public(), key.public());
        let signed = again.seal(serde_json::to_string(&guangxi_2017()).unwrap()).unwrap();
        assert_eq!(signed.open().unwrap(), (guangxi_2017(), key.public()));
        assert!(again.seal("{}".into()).is_err());
    }
}
