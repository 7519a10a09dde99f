//! The hall's own page: HTTPS with a certificate of this machine, a site pass turned into a session cookie, and behind it the same
//! router as the centre's. Without a session there is nothing here but the counts of health, the calls and the page itself.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{any, get},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use control_protocol::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Pairing, Passes, Who,
    pass::Session,
    problem::Problem,
    routes::{Answer, Question},
    visit::Door,
};
use crate::{config::HallSite, local_site, vault::write_private};

const COOKIE: &str = "__Host-hallwatch-hall";
/// The largest body.
const MAX_BODY: usize = 2 * 1024 * 1024 + 64 * 1024;
/// How long a request's head may take, and a whole answer.
const HEADERS: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
/// How long answers under way have when the agent stops.
const STOPPING: Duration = Duration::from_secs(1);
/// Requests at once.
const AT_ONCE: usize = 64;

/// The page's listener before it serves.
pub struct Bound {
    listener: TcpListener,
    tls: RustlsConfig,
}

#[derive(Clone)]
struct Hall {
    pairing: Pairing,
    passes: Passes,
    turns: Arc<tokio::sync::Semaphore>,
}

/// Binds the listener and writes where it is, with its certificate's SHA-256, to `hall-site.json`.
///
/// # Errors
/// The address is taken, or certificate or file cannot be written.
pub async fn bind(site: &HallSite, data: &Path) -> anyhow::Result<Bound> {
    let listener = TcpListener::bind(site.listen).with_context(|| format!("hall site at {}", site.listen))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (names, folder) = (names(site, address), data.join("hall-site"));
    let (chain, key) = tokio::task::spawn_blocking(move || certificate(&folder, names)).await??;
    let sha256 = Digest::of(&chain).to_string();
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let url = format!("https://{address}");
    let text = json!({"address": address.to_string(), "url": url, "certificate_sha256": sha256});
    let place = data.join("hall-site.json");
    write_private(&place, text.to_string().as_bytes()).with_context(|| place.display().to_string())?;
    tracing::info!(%address, sha256, "the hall's page is served");
    Ok(Bound { listener, tls: RustlsConfig::from_config(Arc::new(config)) })
}

fn names(site: &HallSite, address: SocketAddr) -> Vec<String> {
    let mut names = site.names.clone();
    for name in ["localhost".to_owned(), "127.0.0.1".to_owned(), address.ip().to_string()] {
        let any = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if !any && !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    names
}

/// The kept certificate, or a new one when there is none for these names. A node's certificate from the centre is only good for
/// showing oneself to the centre, so this one is the machine's own.
fn certificate(
    folder: &Path,
    names: Vec<String>,
) -> anyhow::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let place = folder.join("certificate.json");
    #[derive(serde::Serialize, Deserialize)]
    struct Kept {
        names: Vec<String>,
        certificate_pem: String,
        key_pem: String,
    }
    let read = |kept: &Kept| -> anyhow::Result<_> {
        let chain = CertificateDer::from_pem_slice(kept.certificate_pem.as_bytes())?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(kept.key_pem.as_bytes())?;
        Ok((chain, PrivateKeyDer::Pkcs8(key)))
    };
    if let Ok(text) = std::fs::read(&place)
        && let Ok(kept) = serde_json::from_slice::<Kept>(&text)
        && kept.names == names
        && let Ok(pair) = read(&kept)
    {
        return Ok(pair);
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = rcgen::CertificateParams::new(names.clone())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Hallwatch hall");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    let certificate_pem = params.self_signed(&key)?.pem();
    let kept = Kept { names, certificate_pem, key_pem: key.serialize_pem() };
    write_private(&place, &serde_json::to_vec(&kept)?).with_context(|| place.display().to_string())?;
    read(&kept)
}

/// Serves until `cancel`. `open` are the routes that need no session.
///
/// # Errors
/// The listener's.
pub async fn serve(
    bound: Bound,
    pairing: Pairing,
    passes: Passes,
    open: Router,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let router = router(pairing, passes, open);
    let handle = Handle::new();
    let mut server = axum_server::from_tcp_rustls(bound.listener, bound.tls)?.handle(handle.clone());
    server.http_builder().http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEADERS);
    let serving = server.serve(router.into_make_service_with_connect_info::<SocketAddr>());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => Ok(ended?),
        () = cancel.cancelled() => {
            handle.graceful_shutdown(Some(STOPPING));
            // What does not end in time is cut off with the agent.
            let _ = tokio::time::timeout(STOPPING * 2, serving).await;
            Ok(())
        }
    }
}

/// Everything that is served.
pub(super) fn router(pairing: Pairing, passes: Passes, open: Router) -> Router {
    let hall = Hall { pairing, passes, turns: Arc::new(tokio::sync::Semaphore::new(AT_ONCE)) };
    Router::new()
        .route("/api/v1/health", get(health))
        .route("/api/v1/session", any(session))
        .route("/api/v1/pairing/{*path}", any(pairing_route))
        .with_state(hall)
        .merge(open)
        .fallback(local_site::page)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(guard))
}

/// Refuses what another site's page sends, and puts the headers on what leaves.
async fn guard(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let elsewhere = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || text("origin").is_some_and(|origin| {
            let own = text("host").unwrap_or_default();
            own.is_empty()
                || origin.strip_prefix("https://").is_none_or(|from| !from.eq_ignore_ascii_case(own))
        });
    let api = request.uri().path().starts_with("/api/");
    let mut response = if !safe && elsewhere {
        let problem = Problem::new(
            403,
            "origin",
            json!({}),
            "this request comes from another site's page and is not taken",
        );
        respond(problem.into())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = answer.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}

async fn health(State(hall): State<Hall>) -> Response {
    respond(Answer::json(200, &hall.pairing.health()))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        })
}

fn signed_in(hall: &Hall, headers: &HeaderMap) -> Result<Session, Problem> {
    token(headers).and_then(|token| hall.passes.session(token, hall.pairing.now())).ok_or_else(|| {
        Problem::new(
            401,
            "no-session",
            json!({}),
            "present a site pass first, or a new one: this session is over",
        )
    })
}

async fn body(request: Request) -> Result<bytes::Bytes, Problem> {
    let (_, body) = request.into_parts();
    let read = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX_BODY)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::new(
            413,
            "too-large",
            json!({"most": MAX_BODY}),
            format!("at most {MAX_BODY} bytes"),
        )),
        Err(_) => Err(Problem::bad_request("the body did not come in time")),
    }
}

async fn session(
    State(hall): State<Hall>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let method = request.method().clone();
    let answered: Result<Response, Problem> = async {
        match method {
            Method::GET => Ok(respond(shown(&hall, &signed_in(&hall, request.headers())?))),
            Method::DELETE => {
                if let Some(token) = token(request.headers()) {
                    hall.passes.end(token);
                }
                let mut response =
                    respond(Answer { status: 204, content_type: None, body: bytes::Bytes::new() });
                cookie(&mut response, "", 0);
                Ok(response)
            }
            Method::POST => {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Given {
                    pass: String,
                }
                let bytes = body(request).await?;
                let given: Given =
                    serde_json::from_slice(&bytes).map_err(|e| Problem::bad_request(e.to_string()))?;
                let now = hall.pairing.now();
                let (token, session) = hall.passes.present(&given.pass, from.ip(), now)?;
                let mut response = respond(shown(&hall, &session));
                cookie(&mut response, &token, (session.pass.until - now.0).max(0) / 1000);
                Ok(response)
            }
            _ => Err(Problem::not_found("route")),
        }
    }
    .await;
    answered.unwrap_or_else(|problem| respond(problem.into()))
}

fn shown(hall: &Hall, session: &Session) -> Answer {
    let config = &hall.pairing.0.place.config.hall;
    Answer::json(
        200,
        &json!({
            "technician": session.pass.technician,
            "hall": config.id,
            "hall_name": config.name,
            "until": control_protocol::UtcMillis(session.pass.until),
            "pass": session.pass.id,
        }),
    )
}

fn cookie(response: &mut Response, token: &str, seconds: i64) {
    let text = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

async fn pairing_route(State(hall): State<Hall>, request: Request) -> Response {
    let answered: Result<Answer, Problem> = async {
        let session = signed_in(&hall, request.headers())?;
        let _turn = hall.turns.try_acquire().map_err(|_| {
            Problem::new(429, "too-many", json!({"seconds": 2}), "too many requests at once: try again")
        })?;
        let who = Who {
            name: session.pass.technician,
            door: Door::Hall,
            until: Some(control_protocol::UtcMillis(session.pass.until)),
        };
        let uri = request.uri().clone();
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let method = request.method().to_string();
        let question = Question {
            method,
            path: uri.path().trim_start_matches("/api/v1/pairing/").to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            content_type: kind,
            body: body(request).await?,
        };
        Ok(hall.pairing.handle(&who, question).await)
    }
    .await;
    answered.map_or_else(|problem| respond(problem.into()), respond)
}
