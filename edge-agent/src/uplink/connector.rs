//! The dialled connections to the centre's node listener: TLS with the node's certificate, one kept-alive HTTP/1.1
//! connection for requests, and WebSockets of their own for commands and media. Every wait has a timeout.
//!
//! The server is known by its CA, not by its name: halls reach the centre by whatever address the network gives it,
//! and the centre's own CA issues server certificates to itself alone (nodes get `clientAuth` only, which is checked).

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{
    chain::Digest,
    enrolment::key_pin,
    intake::BOOT_HEADER,
    websocket::{self, Role, Socket},
};
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::{body::Incoming, client::conn::http1::SendRequest, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Url;

use super::identity::{Identity, IdentityError};

/// How long dialling, TLS and the WebSocket's opening may take each.
const DIAL: Duration = Duration::from_secs(5);
/// How long a request may take from its first byte to the end of its answer, and how much longer for each kilobyte of it:
/// a link that has died unnoticed must not hold events for long, and one of 64 kb/s must carry a full batch.
const REQUEST: (Duration, Duration) = (Duration::from_secs(6), Duration::from_millis(250));
/// The largest answer taken.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The largest WebSocket message taken from the centre; it sends only short texts.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A WebSocket to the centre.
pub type NodeSocket = Socket<TokioIo<Upgraded>>;

/// Why the centre could not be talked to, in plain words.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers at the address.
    #[error("the centre at {address} cannot be reached: {why}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the system said.
        why: String,
    },
    /// TLS failed: another centre, a certificate that is revoked or expired.
    #[error("no trusted connection with {address}: {why}")]
    Tls {
        /// `host:port`.
        address: String,
        /// What was wrong.
        why: String,
    },
    /// The centre answered a WebSocket's opening with a refusal.
    #[error("the centre refused {path} with status {status}: {detail}")]
    Refused {
        /// The path asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The answer's text, cut to 500 characters.
        detail: String,
    },
    /// The connection broke in the middle.
    #[error("the connection with the centre broke: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("the centre did not answer within {0:?}")]
    Timeout(Duration),
    /// The node's own key or certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// An answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// What `Retry-After` asks for, where it gives seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(3600)))
    }

    /// The beginning of the body as text, for a log line; of an RFC 9457 problem its detail.
    pub fn detail(&self) -> String {
        detail_of(&self.body)
    }
}

fn detail_of(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let from_problem = problem.as_ref().and_then(|p| p.get("detail").or_else(|| p.get("title"))?.as_str());
    let text = from_problem.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

struct Kept {
    send: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    /// With what it was dialled: another identity wants another connection.
    tls: Arc<ClientConfig>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Dials the centre.
pub struct Connector {
    host: String,
    port: u16,
    boot: Option<HeaderValue>,
    tls: RwLock<Arc<ClientConfig>>,
    kept: tokio::sync::Mutex<Option<Kept>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.address())
    }
}

impl Connector {
    /// A connector that shows `identity` and trusts its CA.
    pub fn new(url: &Url, identity: &Identity) -> Result<Self, ConnectError> {
        Ok(Self::with(url, client_config(identity)?))
    }

    /// The same, saying with each request which start of which machine this is.
    pub fn of_boot(self, boot: &str) -> Self {
        Self { boot: HeaderValue::from_str(boot).ok(), ..self }
    }

    /// A connector for enrolment: no certificate of its own, the centre known by the pin of its CA's key.
    pub fn pinned(url: &Url, pin: Digest) -> Result<Self, ConnectError> {
        let verifier = Arc::new(CentreVerifier { trust: Trust::Pin(pin), provider: provider() });
        let tls = builder(verifier)?.with_no_client_auth();
        Ok(Self::with(url, tls))
    }

    fn with(url: &Url, tls: ClientConfig) -> Self {
        Self {
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            boot: None,
            tls: RwLock::new(Arc::new(tls)),
            kept: tokio::sync::Mutex::new(None),
        }
    }

    /// Shows this identity from the next connection on.
    pub fn replace_identity(&self, identity: &Identity) -> Result<(), ConnectError> {
        let tls = Arc::new(client_config(identity)?);
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        Ok(())
    }

    /// `host:port` of the centre.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// A new TLS connection.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>, ConnectError> {
        let unreachable = |why: String| ConnectError::Unreachable { address: self.address(), why };
        let tcp = timeout(DIAL, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .map_err(|_| unreachable(format!("no answer within {DIAL:?}")))?
            .map_err(|e| unreachable(e.to_string()))?;
        tcp.set_nodelay(true).map_err(|e| unreachable(e.to_string()))?;
        let failed = |why: String| ConnectError::Tls { address: self.address(), why };
        let name = ServerName::try_from(self.host.clone()).map_err(|e| failed(e.to_string()))?;
        timeout(DIAL, TlsConnector::from(self.tls()).connect(name, tcp))
            .await
            .map_err(|_| failed(format!("no answer within {DIAL:?}")))?
            .map_err(|e| failed(in_words(&e)))
    }

    fn tls(&self) -> Arc<ClientConfig> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new WebSocket at `path`.
    pub async fn websocket(&self, path: &str) -> Result<NodeSocket, ConnectError> {
        let stream = self.connect().await?;
        timeout(DIAL, self.open(stream, path)).await.map_err(|_| ConnectError::Timeout(DIAL))?
    }

    /// The opening of RFC 6455 section 4.1.
    async fn open(&self, stream: TlsStream<TcpStream>, path: &str) -> Result<NodeSocket, ConnectError> {
        let broken = |e: &dyn std::fmt::Display| ConnectError::Broken(e.to_string());
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).map_err(|_| broken(&"the system gave no random bytes"))?;
        let key = BASE64.encode(&nonce);
        let request = Request::builder()
            .uri(path)
            .header(header::HOST, self.address())
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, websocket::VERSION)
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .body(Empty::<Bytes>::new())
            .map_err(|e| broken(&e))?;
        let (mut send, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        // The connection is driven beside its own answer, and ends with the upgrade or with a refusal.
        let driven = async {
            if let Err(e) = connection.with_upgrades().await {
                tracing::debug!("a connection with the centre ended at its opening: {e}");
            }
            std::future::pending::<std::convert::Infallible>().await
        };
        let opened = async {
            let answer = send.send_request(request).await.map_err(|e| broken(&e))?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refused(path, answer).await);
            }
            let accept = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
            if accept != Some(websocket::accept_of(key.as_bytes()).as_bytes()) {
                return Err(broken(&"the centre's answer does not open a WebSocket"));
            }
            hyper::upgrade::on(answer).await.map_err(|e| broken(&e))
        };
        let upgraded = tokio::select! {
            never = driven => match never {},
            opened = opened => opened?,
        };
        Ok(Socket::new(TokioIo::new(upgraded), Role::Client, MAX_MESSAGE))
    }

    /// One request over the kept connection; a kept connection that proves dead is dialled anew once, since every
    /// request of a node may be repeated without harm.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, ConnectError> {
        let most = REQUEST.0 + REQUEST.1 * u32::try_from(body.len() / 1024).unwrap_or(u32::MAX);
        timeout(most, self.request_untimed(method, path, content_type, body))
            .await
            .map_err(|_| ConnectError::Timeout(most))?
    }

    async fn request_untimed(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, ConnectError> {
        // Held for the whole exchange: HTTP/1.1 answers in order, one at a time. If this future is dropped in the
        // middle, so is the connection, never to be reused half read.
        let mut kept = self.kept.lock().await;
        let mut reused = kept.take().filter(|kept| Arc::ptr_eq(&kept.tls, &self.tls()));
        loop {
            let was_kept = reused.is_some();
            let mut connection = match reused.take() {
                Some(connection) => connection,
                None => self.dial_http().await?,
            };
            match self.exchange(&mut connection, &method, path, content_type, body.clone()).await {
                Ok(answer) => {
                    *kept = Some(connection);
                    return Ok(answer);
                }
                Err(_) if was_kept => {}
                Err(e) => return Err(e),
            }
        }
    }

    async fn dial_http(&self) -> Result<Kept, ConnectError> {
        let tls = self.tls();
        let stream = self.connect().await?;
        let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| ConnectError::Broken(e.to_string()))?;
        let driver = tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!("the request connection with the centre ended: {e}");
            }
        });
        Ok(Kept { send, driver, tls })
    }

    async fn exchange(
        &self,
        connection: &mut Kept,
        method: &Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, ConnectError> {
        let broken = |e: &dyn std::fmt::Display| ConnectError::Broken(e.to_string());
        connection.send.ready().await.map_err(|e| broken(&e))?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address())
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(body))
            .map_err(|e| broken(&e))?;
        if let Some(boot) = &self.boot {
            request.headers_mut().insert(BOOT_HEADER, boot.clone());
        }
        let (head, body) = connection.send.send_request(request).await.map_err(|e| broken(&e))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| broken(&e))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// Why a WebSocket was not opened, as the centre says it.
async fn refused(path: &str, answer: Response<Incoming>) -> ConnectError {
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let detail = body.map_or_else(|_| String::new(), |body| detail_of(&body.to_bytes()));
    ConnectError::Refused { path: path.to_owned(), status, detail }
}

/// AES-128-GCM first, as browsers have it: as strong as the link's P-256 keys, and a third cheaper than AES-256 on
/// processors without vector AES, for every byte of every picture.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// Why TLS failed; where people can do something about it, what.
fn in_words(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let unknown = |e: &rustls::Error| {
        matches!(e, rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
    };
    match inner {
        Some(inner) if unknown(inner) => {
            "it shows a certificate of an authority that this machine does not know: this is another centre, or the centre's \
             authority was changed while this machine was away; then pair this machine anew with a new code"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

fn tls_failed(e: rustls::Error) -> ConnectError {
    ConnectError::Tls { address: "the centre".into(), why: e.to_string() }
}

fn builder(
    verifier: Arc<CentreVerifier>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, ConnectError> {
    Ok(ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(tls_failed)?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

fn client_config(identity: &Identity) -> Result<ClientConfig, ConnectError> {
    let mut roots = RootCertStore::empty();
    for authority in identity.authorities()? {
        roots.add(authority).map_err(tls_failed)?;
    }
    let verifier = Arc::new(CentreVerifier { trust: Trust::Ca(roots), provider: provider() });
    builder(verifier)?.with_client_auth_cert(identity.certificates()?, identity.key()?).map_err(tls_failed)
}

#[derive(Debug)]
enum Trust {
    /// The CA whose key has this pin, found in the chain the server shows.
    Pin(Digest),
    /// These CAs.
    Ca(RootCertStore),
}

#[derive(Debug)]
struct CentreVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for CentreVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned;
        let roots = match &self.trust {
            Trust::Ca(roots) => roots,
            Trust::Pin(pin) => {
                pinned = pinned_roots(intermediates, *pin)?;
                &pinned
            }
        };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms.all)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn pinned_roots(chain: &[CertificateDer<'_>], pin: Digest) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in chain {
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { continue };
        if parsed.is_ca() && key_pin(parsed.public_key().raw) == pin {
            roots.add(certificate.clone().into_owned())?;
        }
    }
    if roots.is_empty() {
        return Err(rustls::Error::General(
            "no certificate it shows has the key with the pin given: wrong address, wrong pin, or somebody in between"
                .into(),
        ));
    }
    Ok(roots)
}
