//! Errors as RFC 9457 problem details. Each says what is wrong and what to do about it, and never how the inside works.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{access::Denied, nodes::NoAnswer, store::StoreError};

/// A problem, as it is sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A name for programs: `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is wrong, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    pub detail: String,
    /// Seconds after which to try again, where waiting helps.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this status, with the status's own title.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem").to_owned();
        Self { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), retry_after: None }
    }

    /// The same with a name by which a program knows it.
    pub fn named(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// The same with a title of its own.
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: there is no such thing, or none the asker may know of.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 403: known and not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 409: the state of things does not allow it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 422: understood, and against a rule.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Outside => Self::not_found(denied.to_string()),
            Denied::Role => Self::forbidden(denied.to_string()),
        }
    }
}

/// A hall that was asked and did not answer.
impl From<NoAnswer> for Problem {
    fn from(why: NoAnswer) -> Self {
        let status = match why {
            NoAnswer::Busy => StatusCode::TOO_MANY_REQUESTS,
            NoAnswer::Offline => StatusCode::SERVICE_UNAVAILABLE,
            NoAnswer::Slow => StatusCode::GATEWAY_TIMEOUT,
        };
        Self::new(status, why.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed in the store");
        let (status, detail) = match error {
            StoreError::Full => (StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            StoreError::Busy => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            StoreError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "the centre is stopping".to_owned()),
            _ => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the centre failed to answer: its log says why".to_owned(),
            ),
        };
        let mut problem = Self::new(status, detail);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.retry_after = Some(1);
        }
        problem
    }
}
