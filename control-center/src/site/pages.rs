//! The embedded pages: every file with its ETag, compressed once, hashed assets kept by browsers for good, and the one
//! page for every address that is not a file (the page's own router takes it from there).

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use rust_embed::RustEmbed;
use tower::ServiceExt;
use tower_http::compression::Compression;

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "$WEB_DIST"]
struct Pages;

/// Changes with the embedded files, so that the compiler looks at them again (build.rs).
const STAMP: &str = env!("WEB_STAMP");

/// Compressed files by their hash.
static COMPRESSED: Mutex<Option<HashMap<[u8; 32], Bytes>>> = Mutex::new(None);
/// Compressed files kept; a debug build reads pages from disk, where they change.
const KEPT: usize = 500;

/// Answers with an embedded file.
pub(super) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        let words = "nothing here takes this method: the API is below /api/v1";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, words).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found("there is no such route: see /api/v1/openapi.json").into_response();
    }
    let (name, file) = match Pages::get(path).filter(|_| !path.is_empty() && !path.starts_with('.')) {
        Some(file) => (path, file),
        // A missing asset is missing; any other address is the page's own.
        None if path.starts_with("assets/") => {
            return Problem::not_found("there is no such file: load the page anew").into_response();
        }
        None => match Pages::get("index.html") {
            Some(file) => ("index.html", file),
            None => return Problem::not_found("no pages are built in").into_response(),
        },
    };
    let hash = file.metadata.sha256_hash();
    let tag = format!("\"{}\"", HEXLOWER.encode(&hash[..12]));
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let same = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if same.is_some_and(|tags| tags.split(',').any(|one| one.trim().ends_with(&tag))) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = kind_of(name);
        let whole = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => bytes.into(),
        };
        let gzip = headers
            .get(header::ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("gzip"))
            && worth_compressing(kind);
        let body = if gzip { compressed(hash, kind, &whole).await } else { None };
        let encoded = body.is_some();
        let mut response = Body::from(body.unwrap_or(whole)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if encoded {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// What a file is, by its ending: those that the build of the pages makes.
fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn worth_compressing(kind: &str) -> bool {
    kind.starts_with("text/") || ["javascript", "json", "svg", "wasm"].iter().any(|part| kind.contains(part))
}

/// The file's gzip form, made once.
async fn compressed(hash: [u8; 32], kind: &str, whole: &Bytes) -> Option<Bytes> {
    let kept = |hash: &[u8; 32]| {
        let files = COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner);
        files.as_ref().and_then(|files| files.get(hash).cloned())
    };
    if let Some(bytes) = kept(&hash) {
        return Some(bytes);
    }
    let (kind, whole) = (kind.to_owned(), whole.clone());
    let plain = tower::service_fn(move |_: Request<Body>| {
        let (kind, whole) = (kind.clone(), whole.clone());
        async move { Ok::<_, Infallible>(([(header::CONTENT_TYPE, kind)], whole).into_response()) }
    });
    let ask = Request::builder().header(header::ACCEPT_ENCODING, "gzip").body(Body::empty()).ok()?;
    let answer = Compression::new(plain).oneshot(ask).await.ok()?;
    if answer.headers().get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return None;
    }
    let bytes = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.ok()?;
    let mut files = COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner);
    let files = files.get_or_insert_with(HashMap::new);
    if files.len() >= KEPT {
        files.clear();
    }
    files.insert(hash, bytes.clone());
    Some(bytes)
}

/// Which build of the pages this is.
pub(super) fn stamp() -> &'static str {
    STAMP
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str, pairs: &[(&'static str, &str)]) -> Response {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        serve(Method::GET, path.parse().unwrap(), headers).await
    }

    #[tokio::test]
    async fn every_address_is_the_page_and_the_page_is_known_again() {
        let page = get("/wall?layout=16", &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        let tag = page.headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = get("/", &[("if-none-match", &tag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let plain = get("/", &[]).await;
        assert!(plain.headers().get(header::CONTENT_ENCODING).is_none());
    }

    #[tokio::test]
    async fn what_is_missing_is_missing() {
        assert_eq!(get("/assets/none.js", &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get("/api/v2/x", &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get("/../Cargo.toml", &[]).await.status(), StatusCode::OK);
    }
}
