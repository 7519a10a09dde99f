//! Secrets that the centre must be able to read back, sealed at rest: ChaCha20-Poly1305 (RFC 8439) under one key in a file
//! of its own, so that a stolen database or backup of it tells none of them. What a secret is for is bound into the seal,
//! so that one cannot be put in another's place. Passwords are not here: they are hashed and never read back.

use std::{io, path::Path, sync::Arc};

use data_encoding::HEXLOWER;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

use crate::secret_file;

/// The key's file in the data folder.
pub const FILE: &str = "secrets/seal-key";

/// Why a secret cannot be sealed or opened; the secret is never in it.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file.
    #[error("the key that seals secrets, {FILE}: {0}")]
    File(#[from] io::Error),
    /// It is not a key.
    #[error("{FILE} does not hold the key that seals secrets: restore it from a backup")]
    Damaged,
    /// The seal does not open: made under another key, for something else, or changed.
    #[error("a sealed secret does not open: it was sealed under another key")]
    Broken,
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// The key that seals.
#[derive(Clone)]
pub struct Seal(Arc<LessSafeKey>);

impl Seal {
    /// The key of a data folder; made where there is none. Blocks.
    pub fn open(data: &Path) -> Result<Self, SealError> {
        let path = data.join(FILE);
        if let Some(text) = secret_file::read(&path)? {
            let key = HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| SealError::Damaged)?;
            return Self::of(&key).ok_or(SealError::Damaged);
        }
        let key = random::<32>()?;
        secret_file::make_folder(&path)?;
        secret_file::write(&path, &HEXLOWER.encode(&key))?;
        Self::of(&key).ok_or(SealError::Damaged)
    }

    /// A key that lasts as long as the program.
    pub fn passing() -> Result<Self, SealError> {
        Self::of(&random::<32>()?).ok_or(SealError::Damaged)
    }

    fn of(key: &[u8]) -> Option<Self> {
        UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(|key| Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Seals `secret`, which is for `purpose` (such as `totp:li`).
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Broken)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let mut rest = rest.to_vec();
        let open = self
            .0
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut rest)
            .map_err(|_| SealError::Broken)?;
        Ok(open.to_vec())
    }
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_purpose_under_its_key_alone() {
        let data = tempfile::tempdir().unwrap();
        let seal = Seal::open(data.path()).unwrap();
        let sealed = seal.seal("totp:li", b"marker").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"marker"));
        assert_eq!(Seal::open(data.path()).unwrap().unseal("totp:li", &sealed).unwrap(), b"marker");
        assert!(matches!(seal.unseal("totp:wang", &sealed), Err(SealError::Broken)));
        assert!(matches!(Seal::passing().unwrap().unseal("totp:li", &sealed), Err(SealError::Broken)));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(seal.unseal("totp:li", &changed).is_err());
        assert!(seal.unseal("totp:li", &[]).is_err());
        std::fs::write(data.path().join(FILE), "nonsense").unwrap();
        assert!(matches!(Seal::open(data.path()), Err(SealError::Damaged)));
    }
}
