//! The centre's authority and, while it is being changed, the one that follows it. Both lie under `<data>/ca`:
//!
//! - `ca-key.pem`, `ca.pem`: the authority; made at the first start.
//! - `next-key.pem`, `next.pem`: the one that follows. From the moment it is there it signs every new certificate and the node
//!   listener shows one of its own, together with the authority's word for it, so that machines of both days go on trusting
//!   the centre. Certificates of both are taken.
//! - `site…`, `nodes…`: what the two listeners show.
//!
//! Retiring the former puts the new one in its place; its key is then gone from this disk. The people's site shows the former
//! until then, because browsers do not take a word for another authority. Which nodes hold a certificate of which is the
//! table's to say (`change`), never this module's.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use control_protocol::{Digest, UtcMillis};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use tokio::sync::watch;

use super::ca::{Ca, CaError, ServerCertificate};
use crate::secret_file;

const KEY: &str = "ca-key.pem";
const CERTIFICATE: &str = "ca.pem";
const NEXT_KEY: &str = "next-key.pem";
const NEXT_CERTIFICATE: &str = "next.pem";

/// The authority that follows.
#[derive(Clone)]
pub struct Next {
    /// It.
    pub ca: Arc<Ca>,
    /// The former's word for it.
    cross: CertificateDer<'static>,
}

#[derive(Clone)]
struct Held {
    current: Arc<Ca>,
    next: Option<Next>,
}

/// The authority and the one that follows.
pub struct Authorities {
    folder: PathBuf,
    held: RwLock<Held>,
    changed: watch::Sender<u64>,
}

impl Authorities {
    /// Opens what is under `data`, making the authority at the first start. `now` dates what is made. Blocks.
    pub fn open(data: &Path, now: UtcMillis) -> Result<Self, CaError> {
        let folder = data.join("ca");
        fs::create_dir_all(&folder).map_err(|source| CaError::File { path: folder.clone(), source })?;
        finish(&folder)?;
        let current = match load(&folder, KEY, CERTIFICATE)? {
            Some(ca) => ca,
            None => {
                let ca = first(&folder, now)?;
                write(&folder, CERTIFICATE, ca.pem())?;
                ca
            }
        };
        let next =
            load(&folder, NEXT_KEY, NEXT_CERTIFICATE)?.map(|ca| follows(&current, ca, now)).transpose()?;
        let held = RwLock::new(Held { current: Arc::new(current), next });
        Ok(Self { folder, held, changed: watch::Sender::new(0) })
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one that signs.
    pub fn signer(&self) -> Arc<Ca> {
        let held = self.held();
        held.next.map_or(held.current, |next| next.ca)
    }

    /// The one that is being left; `None` while nothing is changed.
    pub fn former(&self) -> Option<Arc<Ca>> {
        let held = self.held();
        held.next.is_some().then_some(held.current)
    }

    /// Those whose certificates are taken, the one that signs first.
    pub fn trusted(&self) -> Vec<Arc<Ca>> {
        let held = self.held();
        held.next.map(|next| next.ca).into_iter().chain([held.current]).collect()
    }

    /// Their certificates, PEM: what a node is to trust.
    pub fn trusted_pem(&self) -> String {
        self.trusted().iter().map(|ca| ca.pem()).collect()
    }

    /// Changes whenever an authority comes or goes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Makes the authority that follows; it signs from now on. `None` where there is one already. Blocks.
    pub fn begin(&self, now: UtcMillis) -> Result<Option<Arc<Ca>>, CaError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.next.is_some() {
            return Ok(None);
        }
        let ca = Ca::generate(now)?;
        write(&self.folder, NEXT_KEY, &ca.reveal_key())?;
        write(&self.folder, NEXT_CERTIFICATE, ca.pem())?;
        let next = follows(&held.current, ca, now)?;
        let begun = next.ca.clone();
        held.next = Some(next);
        drop(held);
        self.changed.send_modify(|turn| *turn += 1);
        Ok(Some(begun))
    }

    /// Puts the one that follows in the place of the former; gives the pin of the former. Blocks.
    pub fn retire(&self) -> Result<Option<Digest>, CaError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let Some(next) = held.next.clone() else { return Ok(None) };
        rename(&self.folder, NEXT_KEY, KEY)?;
        finish(&self.folder)?;
        let former = held.current.pin();
        *held = Held { current: next.ca, next: None };
        drop(held);
        self.changed.send_modify(|turn| *turn += 1);
        Ok(Some(former))
    }

    /// The certificate of the people's site for `names`. Blocks.
    pub fn site_certificate(&self, names: &[String], now: UtcMillis) -> Result<ServerCertificate, CaError> {
        let held = self.held();
        let (leaf, key) = self.listener(&held.current, "site", names, now)?;
        Ok(shown(vec![leaf, held.current.der().clone()], &key))
    }

    /// The certificate of the node listener for `names`. Blocks.
    pub fn nodes_certificate(&self, names: &[String], now: UtcMillis) -> Result<ServerCertificate, CaError> {
        let held = self.held();
        let signer = held.next.as_ref().map_or(&held.current, |next| &next.ca);
        let (leaf, key) = self.listener(signer, "nodes", names, now)?;
        // The authorities are in it, so that a machine that knows only a pin finds the pinned key.
        let mut chain = vec![leaf, signer.der().clone()];
        if let Some(next) = &held.next {
            chain.extend([next.cross.clone(), held.current.der().clone()]);
        }
        Ok(shown(chain, &key))
    }

    /// The kept certificate of the listener `which`, or a new one where its authority or its names differ or its end is near.
    fn listener(
        &self,
        ca: &Ca,
        which: &str,
        names: &[String],
        now: UtcMillis,
    ) -> Result<(CertificateDer<'static>, KeyPair), CaError> {
        let (key_file, file) = (format!("{which}-key.pem"), format!("{which}.pem"));
        if let (Some(key), Some(pem)) = (read(&self.folder, &key_file)?, read(&self.folder, &file)?)
            && let Ok(key) = KeyPair::from_pem(&key)
            && let Ok(leaf) = CertificateDer::from_pem_slice(pem.as_bytes())
            && ca.still_good(&leaf, &key, names, now)?
        {
            return Ok((leaf, key));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let pem = ca.sign_server(which, names, &key, now)?;
        write(&self.folder, &key_file, &key.serialize_pem())?;
        write(&self.folder, &file, &pem)?;
        let damaged =
            |_| CaError::Damaged { path: self.folder.join(&file), what: "a listener's certificate" };
        Ok((CertificateDer::from_pem_slice(pem.as_bytes()).map_err(damaged)?, key))
    }
}

fn shown(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerCertificate {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerCertificate { chain, key }
}

fn follows(current: &Ca, ca: Ca, now: UtcMillis) -> Result<Next, CaError> {
    let cross = current.vouch_for(&ca, now)?;
    Ok(Next { ca: Arc::new(ca), cross })
}

/// Brings an end of a change that was left half done to its end. A beginning that was left so has signed nothing: its key
/// without a certificate is no authority, and the next beginning replaces it.
fn finish(folder: &Path) -> Result<(), CaError> {
    let (key, pem) = (read(folder, NEXT_KEY)?, read(folder, NEXT_CERTIFICATE)?);
    match (key, pem) {
        // Its key stands in the place of the former's, its certificate not yet.
        (None, Some(pem)) => {
            let damaged = || CaError::Damaged { path: folder.join(NEXT_KEY), what: "an authority's key" };
            let key = read(folder, KEY)?.ok_or_else(damaged)?;
            Ca::of(key_of(folder, KEY, &key)?, pem)?.ok_or_else(damaged)?;
            rename(folder, NEXT_CERTIFICATE, CERTIFICATE)
        }
        _ => Ok(()),
    }
}

/// The authority's key where it is there without its certificate, else a new one.
fn first(folder: &Path, now: UtcMillis) -> Result<Ca, CaError> {
    if read(folder, CERTIFICATE)?.is_some() {
        return Err(CaError::Damaged { path: folder.join(KEY), what: "the authority's key" });
    }
    let ca = match read(folder, KEY)? {
        Some(pem) => Ca::under(key_of(folder, KEY, &pem)?, now)?,
        None => Ca::generate(now)?,
    };
    write(folder, KEY, &ca.reveal_key())?;
    Ok(ca)
}

fn key_of(folder: &Path, file: &str, pem: &str) -> Result<KeyPair, CaError> {
    let damaged = |_| CaError::Damaged { path: folder.join(file), what: "an authority's key" };
    KeyPair::from_pem(pem).map_err(damaged)
}

fn load(folder: &Path, key_file: &str, file: &str) -> Result<Option<Ca>, CaError> {
    let (Some(key), Some(pem)) = (read(folder, key_file)?, read(folder, file)?) else { return Ok(None) };
    let key = key_of(folder, key_file, &key)?;
    let damaged = || CaError::Damaged { path: folder.join(file), what: "the certificate of its authority" };
    Ca::of(key, pem)?.ok_or_else(damaged).map(Some)
}

fn read(folder: &Path, file: &str) -> Result<Option<String>, CaError> {
    let path = folder.join(file);
    secret_file::read(&path).map_err(|source| CaError::File { path, source })
}

fn write(folder: &Path, file: &str, text: &str) -> Result<(), CaError> {
    let path = folder.join(file);
    secret_file::write(&path, text).map_err(|source| CaError::File { path, source })
}

/// Renames within the folder; it is on disk when this returns.
fn rename(folder: &Path, from: &str, to: &str) -> Result<(), CaError> {
    let renamed = fs::rename(folder.join(from), folder.join(to));
    let synced = renamed.and_then(|()| fs::File::open(folder)).and_then(|folder| folder.sync_all());
    synced.map_err(|source: io::Error| CaError::File { path: folder.join(to), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use control_protocol::enrolment::key_pin;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;
    use crate::nodes::{NodeIdentity, ca::DAY_MS};

    const NOW: UtcMillis = UtcMillis(1_795_000_000_000);

    fn names() -> Vec<String> {
        vec!["centre.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]
    }

    #[test]
    fn it_is_made_once_and_kept_secret() {
        let data = tempfile::tempdir().unwrap();
        let first = Authorities::open(data.path(), NOW).unwrap().signer();
        let again = Authorities::open(data.path(), NOW.plus(DAY_MS)).unwrap();
        assert_eq!((first.pin(), first.der()), (again.signer().pin(), again.signer().der()));
        assert!(again.former().is_none());
        let mode = fs::metadata(data.path().join("ca/ca-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (_, parsed) = X509Certificate::from_der(first.der()).unwrap();
        assert_eq!(key_pin(parsed.public_key().raw), first.pin());
    }

    #[test]
    fn a_damaged_key_is_said_and_not_replaced() {
        let data = tempfile::tempdir().unwrap();
        Authorities::open(data.path(), NOW).unwrap();
        for (file, text) in [("ca.pem", "nonsense"), ("ca-key.pem", "nonsense")] {
            let path = data.path().join("ca").join(file);
            let before = fs::read_to_string(&path).unwrap();
            fs::write(&path, text).unwrap();
            assert!(matches!(Authorities::open(data.path(), NOW), Err(CaError::Damaged { .. })), "{file}");
            fs::write(&path, before).unwrap();
        }
        let pin = Authorities::open(data.path(), NOW).unwrap().signer().pin();
        let key = fs::read_to_string(data.path().join("ca/ca-key.pem")).unwrap();
        fs::remove_file(data.path().join("ca/ca-key.pem")).unwrap();
        assert!(matches!(Authorities::open(data.path(), NOW), Err(CaError::Damaged { .. })), "a lost key");
        fs::write(data.path().join("ca/ca-key.pem"), key).unwrap();
        // A first start that was cut between the two files.
        fs::remove_file(data.path().join("ca/ca.pem")).unwrap();
        assert_eq!(Authorities::open(data.path(), NOW).unwrap().signer().pin(), pin);
    }

    #[test]
    fn a_listener_keeps_its_certificate_until_its_names_its_end_or_its_authority_change() {
        let data = tempfile::tempdir().unwrap();
        let authorities = Authorities::open(data.path(), NOW).unwrap();
        let names = names();
        let leaf = |certificate: ServerCertificate| certificate.chain[0].clone();
        let first = leaf(authorities.site_certificate(&names, NOW).unwrap());
        assert_eq!(first, leaf(authorities.site_certificate(&names, NOW).unwrap()));
        assert_ne!(first, leaf(authorities.nodes_certificate(&names, NOW).unwrap()));
        let late = NOW.plus(300 * DAY_MS);
        let second = leaf(authorities.site_certificate(&names, late).unwrap());
        assert_ne!(first, second);
        assert_ne!(second, leaf(authorities.site_certificate(&names[..2], late).unwrap()));
        assert!(matches!(authorities.site_certificate(&["a b".into()], NOW), Err(CaError::Name(_))));
        assert!(NodeIdentity::read(&first).is_none());
        // While the authority is changed the nodes' listener shows the new one and both; browsers see the former alone.
        let (site, nodes) = (
            leaf(authorities.site_certificate(&names, NOW).unwrap()),
            leaf(authorities.nodes_certificate(&names, NOW).unwrap()),
        );
        authorities.begin(NOW).unwrap().unwrap();
        assert_eq!(site, leaf(authorities.site_certificate(&names, NOW).unwrap()));
        let both = authorities.nodes_certificate(&names, NOW).unwrap().chain;
        assert!(both[0] != nodes && both.len() == 4);
        authorities.retire().unwrap().unwrap();
        assert_ne!(site, leaf(authorities.site_certificate(&names, NOW).unwrap()));
        let alone = authorities.nodes_certificate(&names, NOW).unwrap().chain;
        assert_eq!((both[0].clone(), 2), (alone[0].clone(), alone.len()));
    }

    #[test]
    fn a_change_survives_a_cut_at_every_step() {
        let data = tempfile::tempdir().unwrap();
        let ca = data.path().join("ca");
        let open = || Authorities::open(data.path(), NOW).unwrap();
        let before = open();
        let old = before.signer().pin();
        // Cut after the new key was written: nothing has begun.
        fs::write(ca.join(NEXT_KEY), Ca::generate(NOW).unwrap().reveal_key()).unwrap();
        assert_eq!((open().signer().pin(), open().former().is_some()), (old, false));
        let new = open().begin(NOW).unwrap().unwrap().pin();
        let both = open();
        assert_eq!((both.signer().pin(), both.former().unwrap().pin()), (new, old));
        assert!(both.begin(NOW).unwrap().is_none(), "one change at a time");
        assert_eq!(both.trusted_pem().matches("BEGIN CERTIFICATE").count(), 2);
        // A lost key is no end of a change.
        fs::rename(ca.join(NEXT_KEY), data.path().join("lost")).unwrap();
        assert!(matches!(Authorities::open(data.path(), NOW), Err(CaError::Damaged { .. })));
        // Cut between the two renames of the end.
        fs::rename(data.path().join("lost"), ca.join(KEY)).unwrap();
        let after = open();
        assert_eq!((after.signer().pin(), after.former().is_some()), (new, false));
        assert!(after.retire().unwrap().is_none());
        assert!(!ca.join(NEXT_CERTIFICATE).exists());
    }
}
