//! How often the API may be asked: by each session, and by an address without one. A page that runs wild or a program that
//! guesses is slowed before it costs anything; nobody is slowed by what somebody else does, because a session has a count of
//! its own and signing in is counted by the doorkeeper.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use control_protocol::{Digest, UtcMillis};
use http::{Method, StatusCode, header};

use super::problem::Problem;
use crate::{Centre, access::session_name};

/// Requests of one session: at once, and in a second. A wall of 64 tiles asks for 64 stills a second at the most.
const OF_SESSION: Rate = Rate { burst: 600.0, per_second: 120.0 };
/// Requests of one address that are answered 401.
const REFUSED: Rate = Rate { burst: 300.0, per_second: 20.0 };
/// Counts kept; when full, those that have run out go.
const REMEMBERED: usize = 20_000;

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    per_second: f64,
}

/// A count that runs out with time.
#[derive(Debug, Clone, Copy)]
struct Count {
    level: f64,
    at: UtcMillis,
}

impl Rate {
    fn now(self, count: Option<&Count>, now: UtcMillis) -> f64 {
        count.map_or(0.0, |count| {
            let passed = now.0.saturating_sub(count.at.0).max(0) as f64 / 1000.0;
            (count.level - passed * self.per_second).max(0.0)
        })
    }
}

/// The counts of a site.
#[derive(Clone, Default)]
pub(super) struct Limits {
    sessions: Arc<Mutex<HashMap<[u8; 8], Count>>>,
    refused: Arc<Mutex<HashMap<String, Count>>>,
}

fn is_full<K: Eq + std::hash::Hash>(
    counts: &Mutex<HashMap<K, Count>>,
    key: &K,
    rate: Rate,
    now: UtcMillis,
) -> bool {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    rate.now(counts.get(key), now) + 1.0 > rate.burst
}

fn add<K: Eq + std::hash::Hash>(counts: &Mutex<HashMap<K, Count>>, key: K, rate: Rate, now: UtcMillis) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    if counts.len() >= REMEMBERED && !counts.contains_key(&key) {
        counts.retain(|_, count| rate.now(Some(count), now) > 0.0);
        if counts.len() >= REMEMBERED {
            // Better to forget counts than to refuse people who did nothing.
            counts.clear();
        }
    }
    let level = rate.now(counts.get(&key), now) + 1.0;
    counts.insert(key, Count { level, at: now });
}

fn too_often() -> Response {
    let mut problem =
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests: wait a second and try again");
    problem.retry_after = Some(1);
    problem.into_response()
}

/// A layer over the API.
pub(super) async fn within(
    State((centre, limits)): State<(Centre, Limits)>,
    request: Request,
    next: Next,
) -> Response {
    let now = centre.clock.now();
    let cookie = request.headers().get(header::COOKIE).map(|cookie| {
        let mut key = [0; 8];
        key.copy_from_slice(&Digest::of(cookie.as_bytes()).as_bytes()[..8]);
        key
    });
    let address = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "unknown".to_owned(), |ConnectInfo(address)| address.ip().to_canonical().to_string());
    let session = session_name(request.headers());
    match cookie {
        Some(session) => {
            if is_full(&limits.sessions, &session, OF_SESSION, now) {
                return too_often();
            }
            add(&limits.sessions, session, OF_SESSION, now);
        }
        None => {
            let signs_in = request.method() == Method::POST && request.uri().path().ends_with("/session");
            if !signs_in && is_full(&limits.refused, &address, REFUSED, now) {
                return too_often();
            }
        }
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    match response.status() {
        StatusCode::UNAUTHORIZED => add(&limits.refused, address, REFUSED, now),
        StatusCode::FORBIDDEN => {
            let session = session.unwrap_or_default();
            tracing::info!(%method, path = %path.escape_debug(), %address, session, "a request was refused");
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_runs_out_with_time() {
        let limits = Limits::default();
        let (now, key) = (UtcMillis(1_000_000), "a".to_owned());
        for _ in 0..300 {
            assert!(!is_full(&limits.refused, &key, REFUSED, now));
            add(&limits.refused, key.clone(), REFUSED, now);
        }
        assert!(is_full(&limits.refused, &key, REFUSED, now));
        assert!(!is_full(&limits.refused, &"b".to_owned(), REFUSED, now));
        assert!(!is_full(&limits.refused, &key, REFUSED, now.plus(100)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let limits = Limits::default();
        for n in 0..REMEMBERED + 100 {
            add(&limits.refused, format!("a{n}"), REFUSED, UtcMillis(0));
        }
        assert!(limits.refused.lock().unwrap().len() <= REMEMBERED);
    }
}
