//! Becoming a node and staying one: the pairing code and the pin of the centre's key go in, a certificate comes out;
//! at half its life it is renewed with a new key. The pairing code is a secret and is never logged.

use bytes::Bytes;
use control_protocol::{
    HallId, UtcMillis,
    chain::Digest,
    enrolment::{CONFIRM_PATH, ENROL_PATH, EnrolRequest, Enrolled, PairingCode, RENEW_PATH, RenewRequest},
};
use http::{Method, StatusCode};
use url::Url;

use super::{
    connector::{Answer, ConnectError, Connector},
    identity::{Identity, IdentityError, NewKey},
};

/// Why a machine did not become, or stay, a node.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The centre cannot be talked to, or is not the one with the pin.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The centre said no.
    #[error("the centre refused ({status}): {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The centre's words.
        detail: String,
    },
    /// The centre's answer cannot be read, or is for somebody else.
    #[error("the centre's answer cannot be used: {0}")]
    Answer(String),
    /// The key or certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

fn read(answer: &Answer) -> Result<Enrolled, EnrolError> {
    if !answer.status.is_success() {
        return Err(EnrolError::Refused { status: answer.status.as_u16(), detail: answer.detail() });
    }
    serde_json::from_slice(&answer.body).map_err(|e| EnrolError::Answer(e.to_string()))
}

async fn post<T: serde::Serialize>(
    connector: &Connector,
    path: &str,
    body: &T,
) -> Result<Enrolled, EnrolError> {
    let body = serde_json::to_vec(body).map_err(|e| EnrolError::Answer(e.to_string()))?;
    read(&connector.request(Method::POST, path, "application/json", Bytes::from(body)).await?)
}

/// Enrols this machine for `hall` at the centre whose CA key has the pin. The identity is not stored yet.
pub async fn enrol(url: &Url, pin: Digest, code: PairingCode, hall: &HallId) -> Result<Identity, EnrolError> {
    let connector = Connector::pinned(url, pin)?;
    let key = NewKey::generate()?;
    let request = EnrolRequest {
        code,
        hall: hall.clone(),
        csr_pem: key.csr_pem.clone(),
        version: crate::VERSION.to_owned(),
        several: true,
    };
    let enrolled = post(&connector, ENROL_PATH, &request).await?;
    if enrolled.hall != *hall {
        return Err(EnrolError::Answer(format!("it is for hall {}, not {hall}", enrolled.hall)));
    }
    let identity = Identity::of(key, enrolled)?;
    // The CA that was pinned must be among those that are trusted from now on; while the centre's is changed there are two.
    let pinned = identity.authorities()?.iter().any(|authority| {
        x509_parser::parse_x509_certificate(authority)
            .is_ok_and(|(_, c)| control_protocol::enrolment::key_pin(c.public_key().raw) == pin)
    });
    if !pinned {
        return Err(EnrolError::Answer("it gives a CA other than the one with the pin".into()));
    }
    Ok(identity)
}

/// Asks for a new certificate with a new key. The identity is not stored yet.
pub async fn renew(connector: &Connector, current: &Identity) -> Result<Identity, EnrolError> {
    let key = NewKey::generate()?;
    let request = RenewRequest { csr_pem: key.csr_pem.clone(), several: true };
    let enrolled = post(connector, RENEW_PATH, &request).await?;
    if enrolled.node != current.node || enrolled.hall != current.hall {
        return Err(EnrolError::Answer(format!(
            "it is for node {} of hall {}",
            enrolled.node, enrolled.hall
        )));
    }
    let identity = Identity::of(key, enrolled)?;
    if !identity.continues(current)? {
        return Err(EnrolError::Answer("it gives authorities of which this machine knows none".into()));
    }
    Ok(identity)
}

/// Shows the centre that this machine holds its new certificate. `connector` must show it already.
pub async fn confirm(connector: &Connector) -> Result<(), EnrolError> {
    let answer = connector.request(Method::POST, CONFIRM_PATH, "application/json", Bytes::new()).await?;
    match answer.status.is_success() {
        true => Ok(()),
        false => Err(EnrolError::Refused { status: answer.status.as_u16(), detail: answer.detail() }),
    }
}

/// Whether the certificate is to be renewed: half of its life is over, or another authority signs at the centre.
pub fn renewal_due(identity: &Identity, now: UtcMillis) -> Result<bool, IdentityError> {
    let (from, to) = identity.validity()?;
    Ok(now.0 >= from.0 + (to.0 - from.0) / 2 || !identity.of_the_signer()?)
}

/// Whether the centre's refusal means that nobody but a person can help: trying on is only noise.
pub fn final_refusal(error: &EnrolError) -> bool {
    matches!(error, EnrolError::Refused { status, .. }
        if *status == StatusCode::FORBIDDEN.as_u16() || *status == StatusCode::UNAUTHORIZED.as_u16())
}
