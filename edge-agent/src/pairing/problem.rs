//! What is answered when something cannot be done: a code with parameters for the page, a sentence for the log
//! (docs/reference/pairing.md).

use serde_json::{Value, json};

use super::positions::StoreFailed;

/// A refusal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The code by which a page knows it.
    pub code: &'static str,
    /// What the code's sentence needs.
    pub params: Value,
    /// What to do about it, in English.
    pub detail: String,
}

impl Problem {
    /// A problem.
    pub fn new(status: u16, code: &'static str, params: Value, detail: impl Into<String>) -> Self {
        Self { status, code, params, detail: detail.into() }
    }

    /// 400.
    pub fn bad_request(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::new(400, "bad-request", json!({"why": why}), format!("the request cannot be understood: {why}"))
    }

    /// 404 for `what`.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, "not-found", json!({"what": what}), format!("there is no such {what}"))
    }

    /// 404: nobody has opened the pairing window.
    pub fn no_visit() -> Self {
        Self::new(404, "no-visit", json!({}), "no pairing window is open: open one first")
    }

    /// 422 for a field.
    pub fn invalid(field: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::new(422, "invalid", json!({"field": field, "why": why}), format!("{field}: {why}"))
    }

    /// The problem details document.
    pub fn document(&self) -> Value {
        let title = http::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason());
        json!({
            "type": format!("urn:hallwatch:problem:pairing:{}", self.code),
            "title": title.unwrap_or("Problem"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "params": self.params,
        })
    }
}

impl From<StoreFailed> for Problem {
    fn from(error: StoreFailed) -> Self {
        tracing::error!("{error}");
        Self::new(500, "failed", json!({}), "the agent could not keep this: its log says why; try again")
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        StoreFailed::from(error).into()
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        StoreFailed::from(error).into()
    }
}
