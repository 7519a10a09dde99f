//! Keeps other sites' pages out: a browser says where a request comes from, and what it may change (or a socket it may
//! open) is only taken from our own pages. A program that sends neither header is not a browser and has no cookie that
//! it did not put there itself.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, Method, header};

use crate::site::problem::Problem;
use axum::response::IntoResponse;

/// Whether the request may change something or open a socket, judged by where it comes from.
pub fn check_origin(headers: &HeaderMap, host: Option<&str>) -> Result<(), Problem> {
    let refuse = || Problem::forbidden("this request comes from another site's page and is not taken");
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return Err(refuse());
    }
    let Some(origin) = text("origin") else { return Ok(()) };
    let own = host.or_else(|| text("host")).unwrap_or_default();
    let from = origin.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    if !own.is_empty() && from.eq_ignore_ascii_case(own) { Ok(()) } else { Err(refuse()) }
}

/// The same as a layer over every route.
pub async fn guard(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let socket = request.headers().contains_key(header::UPGRADE) || *request.method() == Method::CONNECT;
    if !safe || socket {
        let host = request.uri().authority().map(|authority| authority.as_str());
        if let Err(problem) = check_origin(request.headers(), host) {
            tracing::warn!(path = request.uri().path(), "a request from another site's page was refused");
            return problem.into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.insert(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn only_our_own_pages_and_programs() {
        let ok = |pairs: &[(&'static str, &'static str)]| check_origin(&headers(pairs), None).is_ok();
        assert!(ok(&[("host", "a:1")]));
        assert!(ok(&[("host", "a:1"), ("origin", "https://a:1"), ("sec-fetch-site", "same-origin")]));
        assert!(!ok(&[("host", "a:1"), ("origin", "https://b:1")]));
        assert!(!ok(&[("host", "a:1"), ("origin", "null")]));
        assert!(!ok(&[("host", "a:1"), ("origin", "https://a:1"), ("sec-fetch-site", "cross-site")]));
        assert!(!ok(&[("origin", "https://b")]));
    }
}
