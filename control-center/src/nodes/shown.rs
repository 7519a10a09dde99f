//! What a listener shows of the centre, and whom the node listener takes. Looked after while it serves: a certificate is renewed
//! and an authority changed with no start in between.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, ServerConfig, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{NodeIdentity, Nodes, Standing, ca::RENEW_LATE_DAYS, serve::ServeError};

/// How often it is looked whether a listener's certificate nears its end, and how soon again when it could not be renewed.
const SHOWN: Duration = Duration::from_secs(3600);
const SHOWN_AGAIN: Duration = Duration::from_secs(60);
/// Looks after what a listener shows: anew once an authority comes or goes, and before its certificate ends, with no start
/// in between.
pub(crate) async fn keep_shown(
    listener: &'static str,
    mut authorities: watch::Receiver<u64>,
    renewed: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let renewed = Arc::new(renewed);
    let mut wait = SHOWN;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            changed = authorities.changed() => if changed.is_err() { return },
        }
        let renewed = renewed.clone();
        wait = match tokio::task::spawn_blocking(move || renewed()).await {
            Ok(Ok(())) => SHOWN,
            Ok(Err(error)) => {
                tracing::error!(listener, %error, "the listener's certificate cannot be renewed; the one it has is shown");
                SHOWN_AGAIN
            }
            Err(error) => {
                tracing::error!(listener, %error, "the listener's certificate cannot be renewed; the one it has is shown");
                SHOWN_AGAIN
            }
        };
    }
}

/// What the listener shows and takes now.
pub(super) fn shown(nodes: &Nodes, names: &[String]) -> Result<Arc<ServerConfig>, ServeError> {
    let shown = nodes.authorities().nodes_certificate(names, nodes.now())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for ca in nodes.authorities().trusted() {
        roots.add(ca.der().clone())?;
    }
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| ServeError::Verifier(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(NodeVerifier { inner, nodes: nodes.clone() }))
        .with_single_cert(shown.chain, shown.key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would pass by the verifier, and with it a revocation.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Verifies against the centre's own CA; turns away what is revoked or was never recorded; lets a certificate in that
/// ended at most 180 days ago, which is then good for renewal alone (halls can be dark for months).
struct NodeVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    nodes: Nodes,
}

impl std::fmt::Debug for NodeVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeVerifier")
    }
}

impl ClientCertVerifier for NodeVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let identity = NodeIdentity::read(end_entity).ok_or(CertificateError::BadEncoding)?;
        let end = u64::try_from(identity.not_after.0 / 1000).unwrap_or(0);
        let late = now.as_secs().saturating_sub(end);
        let judged_at = if late > 0 && late <= RENEW_LATE_DAYS as u64 * 24 * 3600 {
            UnixTime::since_unix_epoch(Duration::from_secs(end.saturating_sub(1)))
        } else {
            now
        };
        let verified = self.inner.verify_client_cert(end_entity, intermediates, judged_at)?;
        match self.nodes.certificates().standing(&identity.serial) {
            Standing::Good => Ok(verified),
            Standing::Revoked => Err(CertificateError::Revoked.into()),
            Standing::Unknown => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
