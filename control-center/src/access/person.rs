//! How a route gets to know who asks.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{StatusCode, request::Parts};

use super::{Person, doorkeeper::Origin, session};
use crate::{Centre, site::problem::Problem};

/// Where a request comes from, for limits and the audit log; `unknown` where no socket is behind it.
pub(super) fn address(parts: &Parts) -> String {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "unknown".into(), |ConnectInfo(address)| address.ip().to_canonical().to_string())
}

impl Person {
    /// Where their tries of their own password come from: their session.
    pub(super) fn origin(&self) -> Origin {
        Origin::Known(session::id_of(&self.session))
    }
}

/// What a request without a session is told.
pub(super) fn not_signed_in() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "sign in first: POST /api/v1/session with name and password")
}

/// Somebody who is signed in, even if they must still choose a password: for sign-out and the change itself.
pub(super) struct Newcomer(pub(super) Person);

impl FromRequestParts<Centre> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, centre: &Centre) -> Result<Self, Problem> {
        let token = session::token_of(&parts.headers).ok_or_else(not_signed_in)?;
        let hash = session::token_hash(token);
        let (now, address) = (centre.clock.now(), address(parts));
        let found = centre.store.read(move |sql| session::find(sql, hash, now, &address)).await?;
        let found = found.ok_or_else(not_signed_in)?;
        session::touch(centre, &found, now).await?;
        Ok(Self(found.person))
    }
}

/// Somebody who is signed in with a password of their own, even if they must still set up a second factor: for that alone.
pub(super) struct Unfactored(pub(super) Person);

impl FromRequestParts<Centre> for Unfactored {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, centre: &Centre) -> Result<Self, Problem> {
        let Newcomer(person) = Newcomer::from_request_parts(parts, centre).await?;
        if person.must_change {
            return Err(Problem::forbidden(
                "your password was given to you: choose your own first, PUT /api/v1/session/password",
            )
            .named("urn:hallwatch:problem:password-change-required")
            .titled("Choose a password first"));
        }
        Ok(Self(person))
    }
}

impl FromRequestParts<Centre> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, centre: &Centre) -> Result<Self, Problem> {
        let Unfactored(person) = Unfactored::from_request_parts(parts, centre).await?;
        if person.must_have_factor {
            return Err(Problem::forbidden(
                "your role must have a second factor: set yours up first, POST /api/v1/session/second-factor",
            )
            .named("urn:hallwatch:problem:second-factor-required")
            .titled("Set up a second factor first"));
        }
        Ok(person)
    }
}
