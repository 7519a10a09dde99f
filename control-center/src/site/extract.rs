//! What comes in with a request, read with errors in our own form.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query's parameters.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::from_request_parts(parts, state).await.map_err(|error| {
            Problem::bad_request(format!("a query parameter is wrong: {}", error.body_text()))
        })?;
        Ok(Self(asked))
    }
}

/// The id (or ids) in the path.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(named) = Path::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad_request(format!("the address is wrong: {}", error.body_text())))?;
        Ok(Self(named))
    }
}

/// The body, JSON.
pub struct Given<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(given) = Json::from_request(request, state).await.map_err(|error| {
            Problem::bad_request(format!("the body is not as expected: {}", error.body_text()))
        })?;
        Ok(Self(given))
    }
}
