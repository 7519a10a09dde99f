//! Passwords: argon2id with 19 MiB, two passes, one lane (OWASP, Password Storage), and tokens from the system's
//! random source.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::rand::{SecureRandom, SystemRandom};

/// The system has no random source: nothing that needs a secret can go on.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the system gives no random numbers, or a password could not be hashed")]
pub struct NoSecret;

fn argon() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password in PHC form, with a salt of its own. Slow by design: run it off the runtime.
pub(super) fn hash(password: &str) -> Result<String, NoSecret> {
    argon().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| NoSecret)
}

/// Whether the password is the one of the hash. Slow by design: run it off the runtime.
pub(super) fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoSecret> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoSecret)?;
    Ok(bytes)
}

/// A session's token: 256 random bits, safe in a cookie.
pub(super) fn token() -> Result<String, NoSecret> {
    Ok(BASE64URL_NOPAD.encode(&random::<32>()?))
}

/// A password to be printed once and changed at first sign-in: 100 random bits a person can type.
pub(super) fn one_time() -> Result<String, NoSecret> {
    let text = BASE32_NOPAD.encode(&random::<13>()?)[..20].to_lowercase();
    let groups: Vec<&str> = (0..4).map(|at| &text[at * 5..at * 5 + 5]).collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hashed = hash("correct horse").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(matches("correct horse", &hashed));
        assert!(!matches("wrong horse", &hashed));
        assert!(!matches("correct horse", "not a hash"));
        assert_ne!(hash("correct horse").unwrap(), hashed);
    }

    #[test]
    fn secrets_differ_and_have_their_length() {
        assert_eq!(token().unwrap().len(), 43);
        assert_ne!(token().unwrap(), token().unwrap());
        let first = one_time().unwrap();
        assert_eq!(first.len(), 23);
        assert_ne!(first, one_time().unwrap());
    }
}
