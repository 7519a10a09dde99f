//! A certificate authority of the centre's own: a P-256 key that signs the certificates of nodes and of the centre's two
//! listeners.
//!
//! It owns what is written in certificates. It never decides who may have one (that is `pairing`), keeps no list of what it
//! signed (that is the table `certificates`), and does not know whether there is a second one (that is `authorities`).

use std::{io, net::IpAddr, path::PathBuf, time::Duration};

use control_protocol::{Digest, HallId, NodeId, UtcMillis, enrolment::key_pin, site_pass::SitePass};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber, SigningKey,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
/// How long a node's certificate stands (docs/reference/node-protocol.md).
pub const NODE_DAYS: i64 = 60;
/// How long after its end a node may still renew its certificate (docs/reference/node-protocol.md).
pub const RENEW_LATE_DAYS: i64 = 180;
/// How long a listener's certificate stands.
const SERVER_DAYS: i64 = 365;
/// A listener's certificate is made anew at a start that finds less than this left.
const SERVER_LEFT_DAYS: i64 = 90;
/// An authority outlives every certificate it signs.
const CA_DAYS: i64 = 20 * 365;
/// Certificates begin a day early, so that a hall whose clock is slow can use one at once.
const EARLY_MS: i64 = DAY_MS;

/// Why the authority cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate cannot be made, or a stored one cannot be read.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A stored file is not what it should be.
    #[error(
        "{path} does not hold {what}; restore it from a backup: making it anew would mean pairing every node again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The signing request of a machine is unusable.
    #[error(
        "the certificate signing request is not usable: {0}; it must be PEM, signed by its own P-256 key"
    )]
    Request(String),
    /// A name for a listener is neither a host name nor an address.
    #[error("`{0}` is neither a host name nor an IP address")]
    Name(String),
    /// The system gave no randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// An authority.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
    pin: Digest,
}

/// A certificate signed for a node.
#[derive(Debug, Clone)]
pub struct NodeCertificate {
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// The certificate, PEM.
    pub pem: String,
    /// The first moment it stands, UTC.
    pub not_before: UtcMillis,
    /// The last moment it stands, UTC.
    pub not_after: UtcMillis,
}

/// What a listener shows: its certificate followed by the authority's (so that a machine that knows only the pin finds
/// the pinned key in it), and its key.
pub struct ServerCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
}

/// Whose certificate it is, read from one that the TLS layer has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The node.
    pub node: NodeId,
    /// Its hall.
    pub hall: HallId,
    /// The certificate's serial number, lower-case hexadecimal.
    pub serial: String,
    /// The last moment it stands, UTC.
    pub not_after: UtcMillis,
}

impl Ca {
    /// A new authority, from `now` on.
    pub(super) fn generate(now: UtcMillis) -> Result<Self, CaError> {
        Self::under(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, now)
    }

    /// An authority with this key, from `now` on.
    pub(super) fn under(key: KeyPair, now: UtcMillis) -> Result<Self, CaError> {
        let pin = key_pin(&key.subject_public_key_info());
        let pem = authority(now, &pin)?.self_signed(&key)?.pem();
        Self::of(key, pem)?.ok_or(CaError::Certificate(rcgen::Error::CouldNotParseCertificate))
    }

    /// The authority of this key and certificate; `None` where they do not belong together.
    pub(super) fn of(key: KeyPair, pem: String) -> Result<Option<Self>, CaError> {
        let pin = key_pin(&key.subject_public_key_info());
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return Ok(None) };
        let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return Ok(None) };
        if key_pin(parsed.public_key().raw) != pin {
            return Ok(None);
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Some(Self { issuer, pem, der, pin }))
    }

    /// Its key, PEM. Named so that it is never written anywhere by accident.
    pub(super) fn reveal_key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The first moment its certificate stands, UTC.
    pub fn since(&self) -> UtcMillis {
        let from =
            X509Certificate::from_der(&self.der).map(|(_, parsed)| parsed.validity().not_before.timestamp());
        UtcMillis(from.unwrap_or_default().saturating_mul(1000) + EARLY_MS)
    }

    /// A certificate by which whoever trusts this authority alone may trust `other` too. It ends with this authority's use,
    /// since nobody shows it after that.
    pub(super) fn vouch_for(&self, other: &Self, now: UtcMillis) -> Result<CertificateDer<'static>, CaError> {
        let params = authority(now, &other.pin)?;
        Ok(params.signed_by(other.issuer.key(), &self.issuer)?.der().clone())
    }

    /// The pin of the authority's key, which a technician gives to a machine with its pairing code.
    pub fn pin(&self) -> Digest {
        self.pin
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Signs a site pass; gives it as people carry it.
    pub fn sign_pass(&self, pass: &SitePass) -> Result<String, CaError> {
        Ok(pass.text(&self.issuer.key().sign(&pass.signed())?))
    }

    /// Signs a certificate for `node` of `hall`. Only the request's key is taken; every name is the centre's choice.
    pub fn sign_node(
        &self,
        node: &NodeId,
        hall: &HallId,
        csr_pem: &str,
        now: UtcMillis,
    ) -> Result<NodeCertificate, CaError> {
        if csr_pem.len() > 16 * 1024 {
            return Err(CaError::Request("it is too long".into()));
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|error| CaError::Request(error.to_string()))?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(CaError::Request("its key is of another kind".into()));
        }
        let serial = new_serial()?;
        let not_before = now.plus(-EARLY_MS);
        let not_after = now.plus(NODE_DAYS * DAY_MS);
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        stands(&mut params, not_before, not_after);
        params.distinguished_name = named(node.as_str());
        params.subject_alt_names =
            vec![SanType::URI(format!("hallwatch://node/{node}/hall/{hall}").try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&request.public_key, &self.issuer)?;
        Ok(NodeCertificate {
            serial: data_encoding::HEXLOWER.encode(&serial),
            pem: certificate.pem(),
            not_before,
            not_after,
        })
    }

    /// Signs a certificate for the listener `which` of these names; gives it as PEM.
    pub(super) fn sign_server(
        &self,
        which: &str,
        names: &[String],
        key: &KeyPair,
        now: UtcMillis,
    ) -> Result<String, CaError> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&new_serial()?));
        stands(&mut params, now.plus(-EARLY_MS), now.plus(SERVER_DAYS * DAY_MS));
        params.distinguished_name = named(&format!("Hallwatch {which}"));
        params.subject_alt_names = sans(names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }

    /// Whether a listener's certificate is this authority's, for these names and this key, and not near its end.
    pub(super) fn still_good(
        &self,
        leaf: &CertificateDer<'_>,
        key: &KeyPair,
        names: &[String],
        now: UtcMillis,
    ) -> Result<bool, CaError> {
        Ok(self.stands_for(leaf, key, &sans(names)?, now))
    }

    fn stands_for(
        &self,
        leaf: &CertificateDer<'_>,
        key: &KeyPair,
        wanted: &[SanType],
        now: UtcMillis,
    ) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return false };
        let Ok((_, authority)) = X509Certificate::from_der(&self.der) else { return false };
        let seconds = now.0 / 1000;
        let left = parsed.validity().not_after.timestamp() - seconds;
        let mut names: Vec<String> = match parsed.subject_alternative_name() {
            Ok(Some(san)) => san.value.general_names.iter().map(name_text).collect(),
            _ => return false,
        };
        let mut expected: Vec<String> = wanted.iter().map(san_text).collect();
        names.sort();
        expected.sort();
        left > SERVER_LEFT_DAYS * DAY_MS / 1000
            && parsed.validity().not_before.timestamp() <= seconds
            && parsed.verify_signature(Some(authority.public_key())).is_ok()
            && parsed.public_key().raw == key.subject_public_key_info()
            && names == expected
    }
}

impl NodeIdentity {
    /// Reads the identity of a node's certificate; `None` for a certificate that is not a node's.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let [GeneralName::URI(uri)] = names.value.general_names[..] else { return None };
        let (node, hall) = uri.strip_prefix("hallwatch://node/")?.split_once("/hall/")?;
        Some(Self {
            node: node.parse().ok()?,
            hall: hall.parse().ok()?,
            serial: data_encoding::HEXLOWER.encode(parsed.raw_serial()),
            not_after: UtcMillis(parsed.validity().not_after.timestamp().saturating_mul(1000)),
        })
    }
}

fn authority(now: UtcMillis, pin: &Digest) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&new_serial()?));
    stands(&mut params, now.plus(-EARLY_MS), now.plus(CA_DAYS * DAY_MS));
    // The pin in the name tells two centres' authorities apart in a browser's list.
    params.distinguished_name = named(&format!("Hallwatch centre {}", &pin.to_string()[..12]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Sixteen bytes: 126 random bits, positive and never with a leading zero (RFC 5280, section 4.1.2.2), so that DER
/// carries exactly these bytes.
fn new_serial() -> Result<[u8; 16], CaError> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| CaError::Random)?;
    serial[0] = serial[0] & 0x3F | 0x40;
    Ok(serial)
}

fn stands(params: &mut CertificateParams, from: UtcMillis, to: UtcMillis) {
    let since_1970 = |at: UtcMillis| Duration::from_secs(u64::try_from(at.0 / 1000).unwrap_or(0));
    let origin = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = origin + since_1970(from);
    params.not_after = origin + since_1970(to);
}

fn sans(names: &[String]) -> Result<Vec<SanType>, CaError> {
    let mut wanted = Vec::new();
    for name in names {
        let san = san(name)?;
        if !wanted.contains(&san) {
            wanted.push(san);
        }
    }
    Ok(wanted)
}

fn san(name: &str) -> Result<SanType, CaError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let plain = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if !plain {
        return Err(CaError::Name(name.chars().take(80).collect()));
    }
    name.to_owned().try_into().map(SanType::DnsName).map_err(|_| CaError::Name(name.to_owned()))
}

fn san_text(san: &SanType) -> String {
    match san {
        SanType::DnsName(name) => name.as_str().to_owned(),
        SanType::IpAddress(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}

fn name_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => {
            if let Ok(four) = <[u8; 4]>::try_from(*bytes) {
                IpAddr::from(four).to_string()
            } else if let Ok(sixteen) = <[u8; 16]>::try_from(*bytes) {
                IpAddr::from(sixteen).to_string()
            } else {
                "not an address".to_owned()
            }
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_795_000_000_000);

    fn csr() -> String {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_key_and_a_certificate_of_two_authorities_are_none() {
        let (one, other) = (Ca::generate(NOW).unwrap(), Ca::generate(NOW).unwrap());
        let key = |ca: &Ca| KeyPair::from_pem(&ca.reveal_key()).unwrap();
        let again = Ca::of(key(&one), one.pem().to_owned()).unwrap().unwrap();
        assert_eq!((again.pin(), again.since()), (one.pin(), NOW));
        assert!(Ca::of(key(&one), other.pem().to_owned()).unwrap().is_none());
        assert!(Ca::of(key(&one), "nonsense".into()).unwrap().is_none());
    }

    #[test]
    fn a_node_gets_the_names_the_centre_chose() {
        let ca = Ca::generate(NOW).unwrap();
        let node = "hall-450103-01".parse().unwrap();
        let hall = "450103-01".parse().unwrap();
        let signed = ca.sign_node(&node, &hall, &csr(), NOW).unwrap();
        let der = CertificateDer::from_pem_slice(signed.pem.as_bytes()).unwrap();
        let identity = NodeIdentity::read(&der).unwrap();
        assert_eq!((&identity.node, &identity.hall), (&node, &hall));
        assert_eq!(identity.serial, signed.serial);
        assert_eq!(identity.not_after.0 / 1000, signed.not_after.0 / 1000);
        assert_eq!(signed.not_after.0 - NOW.0, NODE_DAYS * DAY_MS);
        assert!(matches!(ca.sign_node(&node, &hall, "no request", NOW), Err(CaError::Request(_))));
    }
}
