//! Who this machine is to the centre: its private key, its certificate and the one CA it trusts, kept together in one
//! file of mode 0600 that is replaced as a whole, so that a key and a certificate of two different days never meet.

use std::path::{Path, PathBuf};

use control_protocol::{HallId, NodeId, UtcMillis, enrolment::Enrolled};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use crate::vault::write_private;

/// What is wrong with the identity on disk.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The machine has none yet.
    #[error(
        "this machine is not enrolled: run `edge-agent enrol --config FILE --pin PIN` with a pairing code"
    )]
    NotEnrolled,
    /// The file cannot be read or written.
    #[error("identity file {path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The file's content cannot be used.
    #[error("the identity is damaged ({0}): enrol this machine again")]
    Damaged(String),
    /// A key could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
}

/// A node's key, certificate and CA.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The node's name.
    pub node: NodeId,
    /// Its hall.
    pub hall: HallId,
    key_pem: String,
    certificate_pem: String,
    ca_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).field("hall", &self.hall).finish_non_exhaustive()
    }
}

/// A new P-256 key with its signing request.
pub struct NewKey {
    key_pem: String,
    /// The signing request, PEM; the centre takes only the key from it.
    pub csr_pem: String,
}

impl NewKey {
    /// Makes a key.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = rcgen::CertificateParams::new(Vec::new())?;
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        Ok(Self { csr_pem: parameters.serialize_request(&key)?.pem()?, key_pem: key.serialize_pem() })
    }
}

impl Identity {
    /// Joins a new key with what the centre answered for it.
    pub fn of(key: NewKey, enrolled: Enrolled) -> Result<Self, IdentityError> {
        let identity = Self {
            node: enrolled.node,
            hall: enrolled.hall,
            key_pem: key.key_pem,
            certificate_pem: enrolled.certificate_pem,
            ca_pem: enrolled.ca_pem,
        };
        identity.certificates()?;
        identity.authorities()?;
        identity.validity()?;
        Ok(identity)
    }

    fn path(data: &Path) -> PathBuf {
        data.join("identity").join("identity.json")
    }

    /// Reads the identity kept under the data folder.
    pub fn load(data: &Path) -> Result<Self, IdentityError> {
        let path = Self::path(data);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Err(IdentityError::NotEnrolled),
            Err(why) => return Err(IdentityError::File { path, why }),
        };
        // serde_json's message could quote the file, which holds the key.
        serde_json::from_slice(&text).map_err(|_| IdentityError::Damaged("not readable".into()))
    }

    /// Puts the identity under the data folder, in place of the former.
    pub fn store(&self, data: &Path) -> Result<(), IdentityError> {
        let path = Self::path(data);
        let text = serde_json::to_vec(self).map_err(|e| IdentityError::Damaged(e.to_string()))?;
        write_private(&path, &text).map_err(|why| IdentityError::File { path, why })
    }

    /// The certificate to show.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        read_certificates(&self.certificate_pem)
    }

    /// The CA certificates to trust.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        read_certificates(&self.ca_pem)
    }

    /// The private key.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, IdentityError> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|_| IdentityError::Damaged("its key cannot be read".into()))
    }

    /// From when until when the certificate is valid.
    pub fn validity(&self) -> Result<(UtcMillis, UtcMillis), IdentityError> {
        let certificates = self.certificates()?;
        let first = certificates.first().ok_or_else(|| IdentityError::Damaged("no certificate".into()))?;
        let (_, certificate) = x509_parser::parse_x509_certificate(first)
            .map_err(|e| IdentityError::Damaged(format!("its certificate cannot be read: {e}")))?;
        let validity = certificate.validity();
        let millis = |t: x509_parser::time::ASN1Time| UtcMillis(t.timestamp().saturating_mul(1000));
        Ok((millis(validity.not_before), millis(validity.not_after)))
    }
}

fn read_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(IdentityError::Damaged("no certificate".into())),
        Err(e) => Err(IdentityError::Damaged(format!("a certificate cannot be read: {e}"))),
    }
}
