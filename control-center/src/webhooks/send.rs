//! One request to a receiver: over plain HTTP, or over TLS to a receiver whose certificate comes from the authority it was
//! set up with (a network without the internet has no public ones). Every wait has a timeout.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use url::Url;

/// How long dialling and TLS may take each.
const DIAL: Duration = Duration::from_secs(5);
/// How long the receiver has to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read before the connection is given up.
const MAX_ANSWER: usize = 64 * 1024;

/// What is sent.
pub(super) struct Delivery {
    pub(super) url: Url,
    pub(super) ca_pem: Option<String>,
    pub(super) id: String,
    pub(super) timestamp: i64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

/// An address that can be sent to; else what is wrong with it.
pub(super) fn address(text: &str, ca_pem: Option<&str>) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "url: not an address such as https://host/path".to_owned())?;
    if url.host_str().is_none_or(str::is_empty) || !url.username().is_empty() || url.password().is_some() {
        return Err("url: it needs a host, and no user or password".into());
    }
    match url.scheme() {
        "http" => Ok(url),
        "https" => {
            let pem = ca_pem
                .ok_or("ca_pem: an https address needs the certificate of who issued the receiver's")?;
            roots(pem).map(|_| url)
        }
        _ => Err("url: http or https".into()),
    }
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("ca_pem: {error}"))?;
        roots.add(certificate).map_err(|error| format!("ca_pem: {error}"))?;
    }
    if roots.is_empty() { Err("ca_pem: no certificate in it".into()) } else { Ok(roots) }
}

/// Sends; gives the receiver's status, or why there is none, in plain words.
pub(super) async fn send(delivery: Delivery) -> Result<StatusCode, String> {
    let host = delivery.url.host_str().unwrap_or_default().to_owned();
    let port = delivery.url.port_or_known_default().unwrap_or(443);
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tcp = timeout(DIAL, TcpStream::connect((bare.as_str(), port)))
        .await
        .map_err(|_| format!("{host}:{port} does not answer"))?
        .map_err(|error| format!("{host}:{port} cannot be reached: {error}"))?;
    if delivery.url.scheme() == "http" {
        return request(tcp, delivery, &host).await;
    }
    let roots = roots(delivery.ca_pem.as_deref().unwrap_or_default())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
    let connect = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let tls = timeout(DIAL, connect)
        .await
        .map_err(|_| format!("{host}:{port} does not finish TLS"))?
        .map_err(|error| format!("{host}:{port}: no trusted connection: {error}"))?;
    request(tls, delivery, &host).await
}

async fn request(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    delivery: Delivery,
    host: &str,
) -> Result<StatusCode, String> {
    let exchange = async {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let mut path = delivery.url.path().to_owned();
        if let Some(query) = delivery.url.query() {
            path.push('?');
            path.push_str(query);
        }
        let host = delivery.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let request = Request::post(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("hallwatch/", env!("CARGO_PKG_VERSION")))
            .header("hallwatch-delivery", delivery.id)
            .header("hallwatch-timestamp", delivery.timestamp)
            .header("hallwatch-signature", delivery.signature)
            .body(Full::new(delivery.body))
            .map_err(|error| error.to_string())?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status();
            // Read to its end, so that a receiver that writes before it decides is not cut off.
            let _ = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            Ok::<_, String>(status)
        };
        tokio::select! {
            answer = answer => answer,
            broken = connection => Err(broken.map_or_else(|error| error.to_string(), |()| "it hung up".to_owned())),
        }
    };
    timeout(ANSWER, exchange).await.map_err(|_| "no answer within 15 s".to_owned())?
}
