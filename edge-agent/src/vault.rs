//! Passwords of cameras and terminals, sealed at rest: ChaCha20-Poly1305 (RFC 8439) under a key in a file of mode 0600
//! beside them. A secret goes in by name and is never shown again, logged or sent up; the name is bound into the seal,
//! so that one secret cannot be put in another's place.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

/// What went wrong with a secret; the secret itself is never in it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A name that cannot be a file's.
    #[error("`{0}` is not a credential's name: letters, digits, - and _ only")]
    Name(String),
    /// Nothing is kept under the name.
    #[error("no credential `{0}`: set it with `edge-agent credential set {0} --config FILE`")]
    Missing(String),
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The seal does not open: the key file or the secret was changed.
    #[error("credential `{0}` cannot be opened: set it again")]
    Broken(String),
    /// No randomness, or a secret that cannot be.
    #[error("{0}")]
    Unusable(&'static str),
}

/// A secret in memory; it has no way to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret as typed.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret, for the one place that signs in with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The sealed secrets of one agent.
#[derive(Debug, Clone)]
pub struct Vault {
    folder: PathBuf,
}

impl Vault {
    /// The vault under the data folder; nothing is touched yet.
    pub fn at(data: &Path) -> Self {
        Self { folder: data.join("vault") }
    }

    /// Seals `secret` under `name`, in place of the former.
    pub fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        let path = self.path(name)?;
        if secret.0.is_empty() || secret.0.len() > 1024 {
            return Err(VaultError::Unusable("a credential has 1 to 1024 bytes"));
        }
        let key = self.key(true)?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| VaultError::Unusable("the system gives no randomness"))?;
        let mut sealed = secret.0.clone().into_bytes();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name.as_bytes()),
            &mut sealed,
        )
        .map_err(|_| VaultError::Unusable("the credential cannot be sealed"))?;
        let mut file = nonce.to_vec();
        file.extend_from_slice(&sealed);
        write_private(&path, &file).map_err(|why| VaultError::File { path, why })
    }

    /// Opens the secret kept under `name`.
    pub fn get(&self, name: &str) -> Result<Secret, VaultError> {
        let path = self.path(name)?;
        let mut file = match fs::read(&path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Err(VaultError::Missing(name.to_owned()));
            }
            Err(why) => return Err(VaultError::File { path, why }),
        };
        let key = self.key(false)?;
        let broken = || VaultError::Broken(name.to_owned());
        let (nonce, sealed) = file.split_at_mut_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let open = key.open_in_place(nonce, Aad::from(name.as_bytes()), sealed).map_err(|_| broken())?;
        String::from_utf8(open.to_vec()).map(Secret).map_err(|_| broken())
    }

    /// The names under which something is kept. Blocks.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let name =
            |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".sealed").map(str::to_owned);
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort();
        names
    }

    fn path(&self, name: &str) -> Result<PathBuf, VaultError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(VaultError::Name(name.chars().take(64).collect()));
        }
        Ok(self.folder.join(format!("{name}.sealed")))
    }

    fn key(&self, make: bool) -> Result<LessSafeKey, VaultError> {
        let path = self.folder.join("key");
        let failed = |why| VaultError::File { path: path.clone(), why };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == io::ErrorKind::NotFound && make => {
                let mut key = vec![0; 32];
                SystemRandom::new()
                    .fill(&mut key)
                    .map_err(|_| VaultError::Unusable("the system gives no randomness"))?;
                write_private(&path, &key).map_err(failed)?;
                key
            }
            Err(why) => return Err(failed(why)),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| {
            VaultError::Unusable("the vault's key file is damaged: set the credentials again")
        })?;
        Ok(LessSafeKey::new(key))
    }
}

/// Writes a file of mode 0600 as a whole: beside it, synced, renamed over it, the folder synced. Folders made on the way
/// get mode 0700.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.exists() {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_comes_back_and_is_nowhere_in_the_clear() {
        let data = tempfile::tempdir().unwrap();
        let vault = Vault::at(data.path());
        assert!(matches!(vault.get("cameras"), Err(VaultError::Missing(_))));
        vault.set("cameras", &Secret::new("marker-secret".into())).unwrap();
        assert_eq!(vault.get("cameras").unwrap().reveal(), "marker-secret");
        for file in fs::read_dir(data.path().join("vault")).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(!String::from_utf8_lossy(&fs::read(&path).unwrap()).contains("marker"));
        }
        assert!(!format!("{:?}", vault.get("cameras")).contains("marker"));
    }

    #[test]
    fn a_secret_of_another_name_or_with_a_changed_byte_does_not_open() {
        let data = tempfile::tempdir().unwrap();
        let vault = Vault::at(data.path());
        vault.set("a", &Secret::new("one".into())).unwrap();
        let folder = data.path().join("vault");
        fs::copy(folder.join("a.sealed"), folder.join("b.sealed")).unwrap();
        assert!(matches!(vault.get("b"), Err(VaultError::Broken(_))));
        let mut bytes = fs::read(folder.join("a.sealed")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(folder.join("a.sealed"), bytes).unwrap();
        assert!(matches!(vault.get("a"), Err(VaultError::Broken(_))));
        assert!(matches!(vault.get("../a"), Err(VaultError::Name(_))));
    }
}
