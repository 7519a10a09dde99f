//! The opening of WebSockets on both listeners (RFC 6455 section 4.2): checks what a client asks, answers, and hands the
//! open socket on. It knows nobody's rights: whoever takes an [`Upgrade`] has checked them before it answers.

use std::future::Future;

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use control_protocol::websocket::{self, Role, accept_of};
use http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use super::problem::Problem;

/// A WebSocket of a page or a node.
pub type Socket = websocket::Socket<TokioIo<Upgraded>>;

/// A request to become a WebSocket.
pub struct Upgrade {
    accept: String,
    on: OnUpgrade,
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        if parts.method != Method::GET
            || !has_token(headers, header::CONNECTION, "upgrade")
            || !has_token(headers, header::UPGRADE, "websocket")
        {
            return Err(Problem::bad_request("this address is a WebSocket: open it as one, over HTTP/1.1"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != websocket::VERSION) {
            return Err(Problem::bad_request("this WebSocket speaks version 13 alone"));
        }
        let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
            return Err(Problem::bad_request("a WebSocket's opening has a Sec-WebSocket-Key"));
        };
        let accept = accept_of(key.as_bytes());
        let on = parts.extensions.remove::<OnUpgrade>();
        let on = on.ok_or_else(|| {
            let detail = "this connection cannot become a WebSocket: use HTTP/1.1";
            Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        })?;
        Ok(Self { accept, on })
    }
}

impl Upgrade {
    /// The answer that opens the socket. `then` gets it once the client has the answer; it takes messages of at most
    /// `limit` bytes.
    pub fn answer<F, T>(self, limit: usize, then: F) -> Response
    where
        F: FnOnce(Socket) -> T + Send + 'static,
        T: Future<Output = ()> + Send,
    {
        let Self { accept, on } = self;
        tokio::spawn(async move {
            match on.await {
                Ok(upgraded) => then(Socket::new(TokioIo::new(upgraded), Role::Server, limit)).await,
                Err(error) => tracing::debug!(%error, "a WebSocket was asked for and not opened"),
            }
        });
        let opening = [
            (header::CONNECTION, "upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, opening, Body::empty()).into_response()
    }
}
