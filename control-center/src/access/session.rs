//! Sessions: an opaque token in a cookie, its hash in the store. Idle for 30 minutes or twelve hours old, it is over.

use control_protocol::{Digest, UtcMillis};
use http::{HeaderMap, header};

use super::{Grant, Person, second_factor_policy};
use crate::{
    Centre, params,
    store::{Sql, StoreError},
};

/// The cookie's name. `__Host-` makes the browser keep it to this very host, over TLS, for the whole path.
pub(super) const COOKIE: &str = "__Host-hallwatch";
/// The cookie that marks a browser in which somebody signed in; it lets nobody in, and is kept for half a year.
pub(super) const BROWSER: &str = "__Host-hallwatch-browser";
pub(super) const BROWSER_S: i64 = 180 * 86_400;
/// Without a request for so long, a session is over.
pub(super) const IDLE_MS: i64 = 30 * 60 * 1000;
/// However busy, a session is over after this.
pub(super) const ABSOLUTE_MS: i64 = 12 * 60 * 60 * 1000;
/// How often a session's last use is written; finer would be a disk flush for each request.
const TOUCH_MS: i64 = 60 * 1000;

/// The hash of a token, as the store has it.
pub(super) fn token_hash(token: &str) -> [u8; 32] {
    *Digest::of(token.as_bytes()).as_bytes()
}

/// The token in a request's cookies.
pub(super) fn token_of(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE).filter(|token| token.len() == 43)
}

/// The mark of a browser in which somebody signed in before.
pub(super) fn browser_of(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, BROWSER).filter(|mark| mark.len() <= 200)
}

fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).find_map(|cookies| {
        cookies.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then_some(value)
        })
    })
}

/// The name by which a session is shown and ended: nothing that its token could be told from.
pub(super) fn id_of(token_hash: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Digest::of(token_hash).as_bytes()[..8])
}

/// The name of the session that a request brings, as the list of sessions has it; whether it stands is not looked at.
pub(crate) fn session_name(headers: &HeaderMap) -> Option<String> {
    token_of(headers).map(|token| id_of(&token_hash(token)))
}

/// What a browser calls itself, cut short.
pub(super) fn agent_of(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// A person as their session finds them, and when the session was last used.
pub(super) struct Found {
    pub(super) person: Person,
    pub(super) seen_at: UtcMillis,
}

/// The person of a session that still stands.
pub(super) fn find(
    sql: &mut dyn Sql,
    session: [u8; 32],
    now: UtcMillis,
    address: &str,
) -> Result<Option<Found>, StoreError> {
    let row = sql.query_one(
        "SELECT s.user_name, s.seen_at, u.must_change, u.totp_since IS NULL FROM sessions s JOIN users u ON u.name = s.user_name \
         WHERE s.token_hash = $1 AND s.seen_at > $2 AND s.created_at > $3 AND u.disabled = 0",
        params![session[..], now.plus(-IDLE_MS), now.plus(-ABSOLUTE_MS)],
    )?;
    let Some(row) = row else { return Ok(None) };
    let name: String = row.get(0)?;
    let must_have_factor = row.get::<bool>(3)? && second_factor_policy::demanded_of(sql, &name)?;
    let person = Person {
        grants: grants_of(sql, &name)?.into(),
        must_have_factor,
        name: name.into(),
        must_change: row.get(2)?,
        address: address.into(),
        session,
    };
    Ok(Some(Found { person, seen_at: row.get(1)? }))
}

/// The roles of somebody who may sign in, each with the path of its scope.
pub fn scopes_of(sql: &mut dyn Sql, name: &str) -> Result<Vec<(super::Role, String)>, StoreError> {
    let known = sql.query_one("SELECT 1 FROM users WHERE name = $1 AND disabled = 0", params![name])?;
    if known.is_none() {
        return Ok(Vec::new());
    }
    Ok(grants_of(sql, name)?.into_iter().map(|grant| (grant.role, grant.path)).collect())
}

/// What a person may do, and where.
pub(super) fn grants_of(sql: &mut dyn Sql, name: &str) -> Result<Vec<Grant>, StoreError> {
    let rows = sql.query(
        "SELECT g.role, g.scope, COALESCE(a.path, h.path) FROM grants g \
         LEFT JOIN areas a ON a.id = g.scope LEFT JOIN halls h ON h.id = g.scope \
         WHERE g.user_name = $1 ORDER BY 3, 1",
        params![name],
    )?;
    let mut grants = Vec::with_capacity(rows.len());
    for row in rows {
        let role: String = row.get(0)?;
        // A scope that is no longer in the tree gives nothing.
        let Some(path) = row.get::<Option<String>>(2)? else { continue };
        let role = role.parse().map_err(StoreError::Read)?;
        grants.push(Grant { role, scope: row.get(1)?, path });
    }
    Ok(grants)
}

/// Notes that a session is in use, at most once a minute.
pub(super) async fn touch(centre: &Centre, found: &Found, now: UtcMillis) -> Result<(), StoreError> {
    if now.0 - found.seen_at.0 < TOUCH_MS {
        return Ok(());
    }
    let session = found.person.session;
    centre
        .store
        .write("session in use", move |tx| {
            tx.execute(
                "UPDATE sessions SET seen_at = $2 WHERE token_hash = $1 AND seen_at < $2",
                params![session[..], now],
            )?;
            Ok(())
        })
        .await
}

/// The person as they are now, if their session still stands: roles may have changed since. For sockets, which
/// outlive requests; an open wall counts as use. `None`: signed out, expired, disabled, or to set up a second factor first. A store that cannot answer
/// in time is an error, not a sign-out.
pub async fn session_alive(centre: &Centre, person: &Person) -> Result<Option<Person>, StoreError> {
    let now = centre.clock.now();
    let (session, address) = (person.session, person.address.clone());
    let found = centre.store.read(move |sql| find(sql, session, now, &address)).await?;
    match found {
        Some(found) if !found.person.must_have_factor => {
            touch(centre, &found, now).await?;
            Ok(Some(found.person))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        let token = "a".repeat(43);
        headers.insert(header::COOKIE, format!("x=1; {COOKIE}={token}; y=2").parse().unwrap());
        assert_eq!(token_of(&headers), Some(token.as_str()));
        headers.insert(header::COOKIE, format!("{COOKIE}=short").parse().unwrap());
        assert_eq!(token_of(&headers), None);
    }
}
