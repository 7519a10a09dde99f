//! The hall's own pages, built into this program: the technician's and the call-out screen. It answers with files and their
//! headers; it knows no route of the API, no session and no device. Every address that is not a file is the one page, whose
//! own router takes it from there. Files are compressed when they are built (`name.gz` beside `name`), never here.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$HALL_PAGES"]
struct Pages;

/// Changes with the embedded files, so that the compiler looks at them again (build.rs).
const STAMP: &str = env!("HALL_PAGES_STAMP");

/// The page of every address that is no file.
const PAGE: &str = "hall.html";

/// Nothing from elsewhere; pictures and clips also out of the page's own memory (photos before they are sent).
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob:; media-src 'self' blob:; \
                      object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers a request for a page or one of its files.
///
/// Takes what axum extracts, so that it can be a router's fallback. Addresses below `api/` are answered with 404: what is
/// known there has a route of its own.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = answer(&method, uri.path().trim_start_matches('/'), &headers);
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(), geolocation=()"),
        (HeaderName::from_static("x-hallwatch-pages"), STAMP),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "nothing here takes this method: the API is below /api/v1\n",
        );
    }
    if path == "api" || path.starts_with("api/") {
        return plain(StatusCode::NOT_FOUND, "there is no such route: see docs/reference/pairing.md\n");
    }
    let is_file =
        !path.is_empty() && !path.starts_with('.') && !path.ends_with(".gz") && Pages::get(path).is_some();
    // A missing asset is missing; any other address is the page's own.
    let name = if is_file {
        path
    } else if path.starts_with("assets/") || path.starts_with("clips/") {
        return plain(StatusCode::NOT_FOUND, "there is no such file: load the page anew\n");
    } else {
        PAGE
    };
    let Some(file) = Pages::get(name) else {
        return plain(StatusCode::NOT_FOUND, "no pages are built in\n");
    };
    let tag = format!("\"{}\"", HEXLOWER.encode(&file.metadata.sha256_hash()[..12]));
    let asked = |name: header::HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let same = asked(header::IF_NONE_MATCH).split(',').any(|one| one.trim().ends_with(&tag));
    let zipped =
        asked(header::ACCEPT_ENCODING).contains("gzip").then(|| Pages::get(&format!("{name}.gz"))).flatten();
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let encoded = zipped.is_some();
        let mut response = Body::from(zipped.unwrap_or(file).data).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind_of(name)));
        if encoded {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn plain(status: StatusCode, words: &'static str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")],
        words,
    )
        .into_response()
}

/// What a file is, by its ending: those that the build of the pages makes.
fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ogg") => "audio/ogg",
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mpeg",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
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
        let page = get("/w/450103-01-W07", &[]).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.headers().get(header::CONTENT_ENCODING).is_none());
        let tag = page.headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = get("/", &[("if-none-match", &tag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    async fn the_page_may_load_nothing_from_elsewhere() {
        let page = get("/", &[]).await;
        assert!(
            page.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'self'")
        );
        assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let missing = get("/assets/none.js", &[]).await;
        assert!(missing.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }

    #[tokio::test]
    async fn what_is_missing_is_missing() {
        assert_eq!(get("/assets/none.js", &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get("/clips/none.ogg", &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get("/api/v2/x", &[]).await.status(), StatusCode::NOT_FOUND);
        let page = get("/../Cargo.toml", &[]).await;
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let posted = serve(Method::POST, "/".parse().unwrap(), HeaderMap::new()).await;
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
