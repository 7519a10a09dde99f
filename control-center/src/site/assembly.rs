//! Every route put together, with the layers all of them share: origin check, time limit, body limit, headers.

use std::{sync::OnceLock, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower_http::{
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, NotForContentType, Predicate},
    },
    trace::TraceLayer,
};
use utoipa_axum::router::OpenApiRouter;

use super::{health, limits::Limits, pages, problem::Problem};
use crate::{
    Centre, access, areas, attendance, cases, evaluations, evidence, live, maintenance, pictures, presets,
    queue, recordings, supervision, webhooks,
};

/// The largest body the API takes.
const MAX_BODY: usize = 64 * 1024;
/// The longest any answer may take to begin; a still may wait eight seconds for its picture.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a page may load: only what comes from here, and no script or style that stands in a page itself. Element Plus sets
/// styles through the CSSOM, which is no inline style; pictures and media come through `blob:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; \
     img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// What describes the API; the same for every site of the program.
static DESCRIPTION: OnceLock<Bytes> = OnceLock::new();

/// The API's routes and their description.
fn api() -> (Router<Centre>, utoipa::openapi::OpenApi) {
    let rooms = OpenApiRouter::new()
        .merge(access::routes())
        .merge(areas::routes())
        .merge(queue::routes())
        .merge(cases::routes())
        .merge(evaluations::routes())
        .merge(attendance::routes())
        .merge(supervision::routes())
        .merge(live::routes())
        .merge(presets::routes())
        .merge(maintenance::routes())
        .merge(pictures::routes())
        .merge(recordings::routes())
        .merge(evidence::routes())
        .merge(webhooks::routes());
    let (router, mut description) = OpenApiRouter::new().nest("/api/v1", rooms).split_for_parts();
    description.info.title = "Hallwatch control centre".into();
    description.info.version = env!("CARGO_PKG_VERSION").into();
    description.info.description = Some(
        "Sign in with POST /api/v1/session; the session is a cookie. Lists answer {items, next}. Times are RFC 3339 UTC; \
         query times may also be milliseconds since 1970. Errors are RFC 9457 problem details."
            .into(),
    );
    (router, description)
}

/// What is compressed. Footage is not: it would not become smaller, and would lose its length.
fn footage_as_it_is() -> impl Predicate {
    let video = NotForContentType::const_new("video/");
    DefaultPredicate::new().and(video).and(NotForContentType::const_new("application/zip"))
}

/// The description of the API as the routes state it, without the examples that are put together from it.
#[cfg(test)]
pub(super) fn described() -> utoipa::openapi::OpenApi {
    api().1
}

/// The description as it is served.
fn description(routes: &utoipa::openapi::OpenApi) -> serde_json::Value {
    let mut description = serde_json::to_value(routes).unwrap_or_default();
    let missing = super::examples::complete(&mut description);
    if !missing.is_empty() {
        tracing::warn!(?missing, "the description of the API has no examples for some fields");
    }
    description
}

/// The whole site.
pub fn router(centre: Centre) -> Router {
    let (api, described) = api();
    let described = DESCRIPTION.get_or_init(|| Bytes::from(description(&described).to_string()));
    let json = [(header::CONTENT_TYPE, "application/json")];
    let api = api
        .route("/api/v1/openapi.json", get(async move || (json, described.clone())))
        .layer(CompressionLayer::new().compress_when(footage_as_it_is()))
        .layer(middleware::from_fn(no_store))
        .layer(middleware::from_fn_with_state((centre.clone(), Limits::default()), super::limits::within));
    Router::new()
        .merge(api)
        .merge(health::routes())
        .fallback(pages::serve)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(centre.clone(), in_time))
        .layer(middleware::from_fn(access::origin::guard))
        .layer(middleware::from_fn(headers))
        .layer(TraceLayer::new_for_http())
        .with_state(centre)
}

async fn in_time(State(centre): State<Centre>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    // A package of evidence is ready before its first byte is sent.
    let patience = if path.ends_with("/evidence") { evidence::PATIENCE } else { PATIENCE };
    tokio::select! {
        response = next.run(request) => response,
        () = tokio::time::sleep(patience) => {
            tracing::error!(%path, "an answer took too long");
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "the centre took too long: try again").into_response()
        }
        () = stopped(&centre) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the centre is stopping").into_response()
        }
    }
}

/// A request that is under way when the centre stops has two seconds.
async fn stopped(centre: &Centre) {
    centre.stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
}

async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Browsers take it only over a certificate they trust, so it shuts nobody out of a centre on its own authority.
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
