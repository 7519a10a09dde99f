//! A person's program: signs in to a centre and calls its API, trusting the centre's own CA and nothing else.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
pub use http::{Method, StatusCode};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::{
    CipherSuite,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Url;

/// How long any one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One centre's API as one person, or as nobody.
#[derive(Clone)]
pub struct Api {
    url: Url,
    tls: TlsConnector,
    cookie: Option<String>,
}

/// An answer that was no success.
#[derive(Debug)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// The body, usually problem details.
    pub body: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.body)
    }
}

impl std::error::Error for Refused {}

impl Api {
    /// The centre at `url`, trusted by its CA certificate (PEM).
    pub fn new(url: &str, ca_pem: &[u8]) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem).context("the centre's CA certificate")?)?;
        let mut provider = rustls::crypto::ring::default_provider();
        // The order in which Chromium asks.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { url: url.parse()?, tls: TlsConnector::from(Arc::new(config)), cookie: None })
    }

    /// The same centre as this person.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<Self> {
        let body = serde_json::json!({"name": name, "password": password});
        let (head, _) = self.call(Method::POST, "/api/v1/session", Some(body)).await?;
        let cookie = head.headers.get(header::SET_COOKIE).context("no cookie after sign-in")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { cookie: Some(cookie), ..self.clone() })
    }

    /// The session's cookie.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// The centre's host and port.
    pub fn authority(&self) -> String {
        format!(
            "{}:{}",
            self.url.host_str().unwrap_or("127.0.0.1"),
            self.url.port_or_known_default().unwrap_or(443)
        )
    }

    /// A TLS connection to the centre.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.authority()).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(self.url.host_str().unwrap_or("127.0.0.1").to_owned())?;
        Ok(self.tls.connect(name, tcp).await?)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(http::response::Parts, Bytes)> {
        let exchange = async {
            let stream = self.connect().await?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let driver = tokio::spawn(connection);
            let mut request =
                Request::builder().method(method).uri(path).header(header::HOST, self.authority());
            if let Some(cookie) = &self.cookie {
                request = request.header(header::COOKIE, cookie);
            }
            let body = match body {
                Some(body) => {
                    request = request.header(header::CONTENT_TYPE, "application/json");
                    Full::new(Bytes::from(serde_json::to_vec(&body)?))
                }
                None => Full::default(),
            };
            let (head, body) = sender.send_request(request.body(body)?).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            driver.abort();
            if !head.status.is_success() {
                return Err(Refused {
                    status: head.status,
                    body: String::from_utf8_lossy(&body).into_owned(),
                }
                .into());
            }
            anyhow::Ok((head, body))
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .context("no answer in time")?
            .with_context(|| format!("calling {path}"))
    }

    /// GET as JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (_, body) = self.call(Method::GET, path, None).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// GET as bytes.
    pub async fn bytes(&self, path: &str) -> Result<Bytes> {
        Ok(self.call(Method::GET, path, None).await?.1)
    }

    /// POST as JSON.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let (_, body) = self.call(Method::POST, path, Some(body)).await?;
        if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&body)?) }
    }

    /// Any request; gives the status it is answered with, whatever it is.
    pub async fn status(&self, method: Method, path: &str, body: Option<Value>) -> Result<StatusCode> {
        match self.call(method, path, body).await {
            Ok((head, _)) => Ok(head.status),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) => Ok(refused.status),
                None => Err(error),
            },
        }
    }

    /// Every item of a list, page after page.
    pub async fn all(&self, path: &str, cursor: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..100_000 {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = match &next {
                Some(next) => self.get(&format!("{path}{mark}{cursor}={next}")).await?,
                None => self.get(path).await?,
            };
            items.extend(page["items"].as_array().context("a list without items")?.iter().cloned());
            next = match &page["next"] {
                Value::Null => return Ok(items),
                Value::String(next) => Some(next.clone()),
                other => Some(other.to_string()),
            };
        }
        bail!("{path} never ends")
    }
}
