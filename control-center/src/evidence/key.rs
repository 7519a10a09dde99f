//! The centre's evidence key: one Ed25519 key under `<data>/evidence`, made at the first start, that signs packages and
//! nothing else. It is not the authority's key: that one changes with the machines of a centre, this one must be known to
//! courts for as long as packages are.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use control_protocol::Digest;
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

use crate::secret_file;

/// The key's file in the data folder.
pub const FILE: &str = "evidence/evidence-key.pem";
/// What stands before the 32 bytes of a public key (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The longest text that may name a key.
const MAX_TEXT: usize = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error(
        "{0} does not hold the centre's evidence key: restore it from a backup; a new one would sign packages that nobody trusts yet"
    )]
    Damaged(PathBuf),
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes.
    pub fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of its 32 bytes: what people compare.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The key as programs take it.
    pub fn pem(&self) -> String {
        let mut der = SPKI.to_vec();
        der.extend_from_slice(&self.0);
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&der))
    }

    /// Reads [`Self::pem`]; nothing that differs from it in a single byte.
    pub fn of_pem(text: &str) -> Option<Self> {
        let body = text.strip_prefix("-----BEGIN PUBLIC KEY-----\n")?;
        let body = body.strip_suffix("\n-----END PUBLIC KEY-----\n")?;
        let der = BASE64.decode(body.as_bytes()).ok()?;
        let key = Self(der.strip_prefix(&SPKI)?.try_into().ok()?);
        (key.pem() == text).then_some(key)
    }

    /// Whether `signature` is one of this key over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that somebody trusts, as they have it: the key itself or its fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trusted([u8; 32]);

impl Trusted {
    /// Whether `key` is the one that is trusted.
    pub fn is(&self, key: &PublicKey) -> bool {
        self.0 == key.0 || self.0 == *key.fingerprint().as_bytes()
    }

    /// Reads a key out of a text, or out of the file of that name.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &str) -> Result<Self, BadKey> {
        let read = || -> Option<Self> {
            use io::Read;
            let mut found = String::new();
            std::fs::File::open(text).ok()?.take(MAX_TEXT as u64).read_to_string(&mut found).ok()?;
            found.parse().ok()
        };
        text.parse().or_else(|bad| read().ok_or(bad))
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no key: give the centre's public key or its fingerprint (64 hexadecimal digits), or a file that holds one of them or the key as PEM"
)]
pub struct BadKey;

impl FromStr for Trusted {
    type Err = BadKey;

    /// 64 hexadecimal digits, with or without colons, spaces and a leading `SHA256:`; or a PEM.
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(BadKey);
        }
        if text.starts_with("-----BEGIN") {
            let text = format!("{}\n", text.replace("\r\n", "\n"));
            return PublicKey::of_pem(&text).map(|key| Self(key.0)).ok_or(BadKey);
        }
        let digits = text.strip_prefix("SHA256:").unwrap_or(text);
        let digits: String = digits.chars().filter(|c| !matches!(c, ':' | ' ' | '-')).collect();
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| BadKey)?;
        bytes.try_into().map(Self).map_err(|_| BadKey)
    }
}

/// The key that signs.
pub struct EvidenceKey {
    pair: Ed25519KeyPair,
}

impl EvidenceKey {
    /// A key that lasts as long as the program.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::generated()?.1)
    }

    fn generated() -> Result<(Vec<u8>, Self), KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| KeyError::Random)?;
        Ok((pkcs8.as_ref().to_vec(), Self { pair }))
    }

    /// The key of a data folder; made where there is none. Blocks.
    ///
    /// # Errors
    /// The file's; a damaged one is never replaced.
    pub fn open(data: &Path) -> Result<Self, KeyError> {
        let path = data.join(FILE);
        let failed = |source| KeyError::File { path: path.clone(), source };
        match secret_file::read(&path).map_err(failed)? {
            Some(text) => Self::of_pem(&text).ok_or(KeyError::Damaged(path)),
            None => {
                let (pkcs8, key) = Self::generated()?;
                let text = format!(
                    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                    BASE64.encode(&pkcs8)
                );
                secret_file::make_folder(&path).map_err(failed)?;
                secret_file::write(&path, &text).map_err(failed)?;
                Ok(key)
            }
        }
    }

    fn of_pem(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix("-----BEGIN PRIVATE KEY-----")?;
        let body = body.strip_suffix("-----END PRIVATE KEY-----")?;
        let pkcs8 = BASE64.decode(body.trim().as_bytes()).ok()?;
        Ed25519KeyPair::from_pkcs8(&pkcs8).ok().map(|pair| Self { pair })
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().try_into().unwrap_or_default())
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_kept_secret_and_never_replaced() {
        let data = tempfile::tempdir().unwrap();
        let first = EvidenceKey::open(data.path()).unwrap();
        let again = EvidenceKey::open(data.path()).unwrap();
        assert_eq!(first.public(), again.public());
        let path = data.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(EvidenceKey::open(data.path()), Err(KeyError::Damaged(_))));
    }

    #[test]
    fn a_key_is_known_however_it_is_written() {
        let key = EvidenceKey::generate().unwrap();
        let public = key.public();
        let other = EvidenceKey::generate().unwrap().public();
        let fingerprint = public.fingerprint().to_string();
        let colons: Vec<&str> = (0..32).map(|at| &fingerprint[at * 2..at * 2 + 2]).collect();
        let texts = [
            public.to_string(),
            public.to_string().to_uppercase(),
            fingerprint.clone(),
            format!("SHA256:{}", colons.join(":")),
            public.pem(),
            public.pem().replace('\n', "\r\n"),
        ];
        for text in texts {
            let trusted: Trusted = text.parse().unwrap();
            assert!(trusted.is(&public) && !trusted.is(&other), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, public.pem()).unwrap();
        assert!(Trusted::read(file.to_str().unwrap()).unwrap().is(&public));
        for text in ["", "abc", "no/such/file", &"0".repeat(63)] {
            assert_eq!(Trusted::read(text), Err(BadKey), "{text}");
        }
        assert_eq!(PublicKey::of_pem(&public.pem()), Some(public));
        assert_eq!(
            PublicKey::of_pem(&public.pem().replace("PUBLIC KEY-----\n", "PUBLIC KEY-----\n\n")),
            None
        );
    }

    #[test]
    fn openssl_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let key = EvidenceKey::generate().unwrap();
        let [message, signature, pem] = ["m", "s", "k"].map(|name| folder.path().join(name));
        std::fs::write(&message, b"what is signed").unwrap();
        std::fs::write(&signature, key.sign(b"what is signed")).unwrap();
        std::fs::write(&pem, key.public().pem()).unwrap();
        let openssl = std::process::Command::new("openssl")
            .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"])
            .arg(&pem)
            .arg("-in")
            .arg(&message)
            .arg("-sigfile")
            .arg(&signature)
            .output()
            .expect("openssl is needed: run scripts/setup test");
        assert!(openssl.status.success(), "{}", String::from_utf8_lossy(&openssl.stderr));
    }
}
