//! Who this machine is to the centre: its private key, its certificate and the authorities it trusts (one, or two while the
//! centre's is changed), kept together in one file of mode 0600 that is replaced as a whole, so that a key and a certificate of two different days never meet.

use std::path::{Path, PathBuf};

use control_protocol::{HallId, NodeId, UtcMillis, enrolment::Enrolled};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use crate::vault::write_private;

/// One, and one that follows it; and as many again, for a centre that knows more than this.
const MOST_AUTHORITIES: usize = 4;

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
    /// The centre named authorities that are not to be trusted.
    #[error(
        "the centre named authorities of which this machine knows none, or that are none; it goes on trusting those it knows"
    )]
    Untrusted,
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

    /// The same machine, trusting these authorities and no others: what the centre said on a connection that they or their
    /// forerunners vouch for.
    ///
    /// # Errors
    /// They cannot be read, are no authorities or too many, or this machine knows none of them: a centre that is known goes
    /// over to another authority in two steps, never in one.
    pub fn trusting(&self, ca_pem: &str) -> Result<Self, IdentityError> {
        let changed = Self { ca_pem: ca_pem.to_owned(), ..self.clone() };
        let authorities = changed.authorities()?;
        let all_sign = authorities.iter().all(|authority| {
            x509_parser::parse_x509_certificate(authority).is_ok_and(|(_, parsed)| parsed.is_ca())
        });
        if !all_sign || authorities.len() > MOST_AUTHORITIES {
            return Err(IdentityError::Untrusted);
        }
        if changed.continues(self)? { Ok(changed) } else { Err(IdentityError::Untrusted) }
    }

    /// Whether one of its authorities is one of `before`'s.
    pub fn continues(&self, before: &Self) -> Result<bool, IdentityError> {
        let known = before.authorities()?;
        Ok(self.authorities()?.iter().any(|authority| known.contains(authority)))
    }

    /// Whether the certificate comes from the authority that signs at the centre now, the first of those that are trusted.
    pub fn of_the_signer(&self) -> Result<bool, IdentityError> {
        let damaged = |_| IdentityError::Damaged("a certificate cannot be read".into());
        let none = || IdentityError::Damaged("no certificate".into());
        let (own, authorities) = (self.certificates()?, self.authorities()?);
        let own = x509_parser::parse_x509_certificate(own.first().ok_or_else(none)?).map_err(damaged)?.1;
        let signer = authorities.first().ok_or_else(none)?;
        let signer = x509_parser::parse_x509_certificate(signer).map_err(damaged)?.1;
        // Their names carry the beginning of the key's pin.
        Ok(own.issuer().as_raw() == signer.subject().as_raw())
    }

    /// The public keys of the authorities, uncompressed points: what site passes are signed with.
    pub fn authority_keys(&self) -> Result<Vec<Vec<u8>>, IdentityError> {
        let damaged = |_| IdentityError::Damaged("a certificate cannot be read".into());
        let key = |authority: &CertificateDer<'_>| {
            let parsed = x509_parser::parse_x509_certificate(authority).map_err(damaged)?.1;
            Ok(parsed.public_key().subject_public_key.data.to_vec())
        };
        self.authorities()?.iter().map(key).collect()
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
