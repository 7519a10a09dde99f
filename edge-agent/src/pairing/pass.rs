//! Site passes at the hall: checked with no link, turned into a session of the hall's own page. Owns sessions and what was tried;
//! knows the centre's public keys only.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use control_protocol::{
    Digest, HallId, UtcMillis,
    site_pass::{MOST_HOURS, Presented, RevokedPass, SitePass},
};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
use rusqlite::{Transaction, params};
use serde_json::json;

use super::{positions::StoreFailed, problem::Problem};

/// Wrong passes from one address before it must wait, and how long they count.
const TRIES: usize = 10;
const TRIES_MS: i64 = 600_000;
/// Addresses remembered.
const ADDRESSES: usize = 1000;
/// Sessions at once.
const SESSIONS: usize = 100;
/// Clocks of hall and centre may differ by this much.
const SLACK_MS: i64 = 120_000;

/// A session of the hall's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The pass it came from.
    pub pass: SitePass,
}

#[derive(Default)]
struct Inner {
    /// SHA-256 of the token → the session.
    sessions: HashMap<Digest, Session>,
    tries: HashMap<IpAddr, VecDeque<UtcMillis>>,
    revoked: HashMap<String, UtcMillis>,
    /// The centre's public keys, uncompressed points: one, or two while its authority is changed.
    keys: Vec<Vec<u8>>,
}

/// The door's keeper. Clones are the same.
#[derive(Clone)]
pub struct Passes {
    hall: HallId,
    inner: Arc<Mutex<Inner>>,
}

fn refused(why: &'static str) -> Problem {
    Problem::new(403, "pass-refused", json!({"why": why}), format!("this pass is not taken: {why}"))
}

impl Passes {
    /// A keeper that trusts these keys of the centre. `revoked` is what is known to be taken back.
    pub fn new(hall: HallId, keys: Vec<Vec<u8>>, revoked: Vec<RevokedPass>) -> Self {
        let revoked = revoked.into_iter().map(|pass| (pass.id, pass.until)).collect();
        let inner = Inner { revoked, keys, ..Inner::default() };
        Self { hall, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Trusts these keys from now on, and no others. Sessions stay: each ends with its pass.
    pub fn trust(&self, keys: Vec<Vec<u8>>) {
        self.lock().keys = keys;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a pass; gives the session and its token.
    ///
    /// # Errors
    /// It is not taken, or too many were tried from this address.
    pub fn present(&self, text: &str, from: IpAddr, now: UtcMillis) -> Result<(String, Session), Problem> {
        self.admit(from, now)?;
        match self.check(text, now) {
            Ok(pass) => {
                let mut bytes = [0; 32];
                SystemRandom::new()
                    .fill(&mut bytes)
                    .map_err(|_| StoreFailed("the system gives no randomness".into()))?;
                let token = data_encoding::BASE64URL_NOPAD.encode(&bytes);
                let session = Session { pass };
                let mut inner = self.lock();
                inner.sessions.retain(|_, s| s.pass.until > now.0);
                if inner.sessions.len() >= SESSIONS {
                    let params = json!({"seconds": 60});
                    return Err(Problem::new(429, "too-many", params, "too many sessions at this hall"));
                }
                inner.sessions.insert(Digest::of(token.as_bytes()), session.clone());
                tracing::info!(
                    technician = session.pass.technician,
                    pass = session.pass.id,
                    "a pass was presented"
                );
                Ok((token, session))
            }
            Err(problem) => {
                tracing::warn!(%from, "a pass was refused: {problem}");
                self.lock().tries.entry(from).or_default().push_back(now);
                Err(problem)
            }
        }
    }

    fn admit(&self, from: IpAddr, now: UtcMillis) -> Result<(), Problem> {
        let mut inner = self.lock();
        inner.tries.retain(|_, times| {
            times.retain(|at| at.0 > now.0 - TRIES_MS);
            !times.is_empty()
        });
        let full = inner.tries.len() >= ADDRESSES && !inner.tries.contains_key(&from);
        let first = inner.tries.get(&from).filter(|t| t.len() >= TRIES).and_then(|t| t.front());
        if full || first.is_some() {
            let seconds = first.map_or(60, |first| ((first.0 + TRIES_MS - now.0) / 1000).max(1));
            let detail = format!("too many wrong passes from here: wait {seconds} seconds");
            return Err(Problem::new(429, "too-many", json!({"seconds": seconds}), detail));
        }
        Ok(())
    }

    fn check(&self, text: &str, now: UtcMillis) -> Result<SitePass, Problem> {
        let presented = Presented::read(text).map_err(|_| refused("form"))?;
        let signed_by = |key: &Vec<u8>| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
            key.verify(&presented.signed, &presented.signature).is_ok()
        };
        if !self.lock().keys.iter().any(signed_by) {
            return Err(refused("signature"));
        }
        let pass = presented.pass;
        if pass.hall != self.hall {
            return Err(refused("other_hall"));
        }
        if now.0 < pass.from - SLACK_MS {
            return Err(refused("not_yet"));
        }
        let longest = i64::from(MOST_HOURS) * 3_600_000;
        if now.0 >= pass.until || pass.until - pass.from > longest {
            return Err(refused("expired"));
        }
        if self.lock().revoked.contains_key(&pass.id) {
            return Err(refused("revoked"));
        }
        Ok(pass)
    }

    /// The session of a token.
    pub fn session(&self, token: &str, now: UtcMillis) -> Option<Session> {
        let inner = self.lock();
        let session = inner.sessions.get(&Digest::of(token.as_bytes()))?;
        (session.pass.until > now.0).then(|| session.clone())
    }

    /// Ends a session.
    pub fn end(&self, token: &str) {
        self.lock().sessions.remove(&Digest::of(token.as_bytes()));
    }

    /// Takes what the centre took back: its sessions end.
    pub fn revoke(&self, passes: &[RevokedPass], now: UtcMillis) {
        let mut inner = self.lock();
        inner.revoked.retain(|_, until| until.0 > now.0);
        for pass in passes {
            inner.revoked.insert(pass.id.clone(), pass.until);
        }
        let Inner { sessions, revoked, .. } = &mut *inner;
        sessions.retain(|_, session| !revoked.contains_key(&session.pass.id));
    }
}

/// Keeps what was taken back, until it would have ended anyway.
pub(super) fn keep_revoked(
    tx: &Transaction<'_>,
    passes: &[RevokedPass],
    now: UtcMillis,
) -> Result<(), StoreFailed> {
    tx.execute("DELETE FROM revoked_passes WHERE until < ?1", [now.0])?;
    for pass in passes {
        let sql = "INSERT INTO revoked_passes (id, until) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
        tx.execute(sql, params![pass.id, pass.until.0])?;
    }
    Ok(())
}

/// What is kept as taken back.
pub(super) fn revoked(tx: &Transaction<'_>) -> Result<Vec<RevokedPass>, StoreFailed> {
    let mut statement = tx.prepare("SELECT id, until FROM revoked_passes")?;
    let rows = statement.query_map([], |r| Ok(RevokedPass { id: r.get(0)?, until: UtcMillis(r.get(1)?) }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    fn key() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap()
    }

    fn pass(key: &EcdsaKeyPair, change: impl FnOnce(&mut SitePass)) -> String {
        let mut pass = SitePass {
            id: "sp-1".into(),
            hall: "450103-01".parse().unwrap(),
            technician: "li".into(),
            from: 1_000_000,
            until: 5_000_000,
        };
        change(&mut pass);
        let signature = key.sign(&SystemRandom::new(), &pass.signed()).unwrap();
        pass.text(signature.as_ref())
    }

    fn why(problem: Problem) -> String {
        problem.params["why"].as_str().unwrap_or(problem.code).to_owned()
    }

    #[test]
    fn a_pass_opens_its_own_hall_in_its_own_time() {
        let key = key();
        let passes =
            Passes::new("450103-01".parse().unwrap(), vec![key.public_key().as_ref().to_vec()], vec![]);
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let at = UtcMillis(2_000_000);
        let (token, session) = passes.present(&pass(&key, |_| ()), from, at).unwrap();
        assert_eq!(session.pass.technician, "li");
        assert!(passes.session(&token, at).is_some());
        assert!(passes.session(&token, UtcMillis(5_000_000)).is_none());
        assert!(passes.session("other", at).is_none());
        let refuse = |text: &str, at: i64| why(passes.present(text, from, UtcMillis(at)).unwrap_err());
        assert_eq!(refuse(&pass(&key, |p| p.hall = "450103-02".parse().unwrap()), 2_000_000), "other_hall");
        assert_eq!(refuse(&pass(&key, |_| ()), 5_000_000), "expired");
        assert_eq!(refuse(&pass(&key, |p| p.until = 400_000_000_000), 2_000_000), "expired");
        assert_eq!(refuse(&pass(&key, |_| ()), 100_000), "not_yet");
        assert_eq!(refuse("hwp1.x.y", 2_000_000), "form");
        let forged = pass(&super::tests::key(), |_| ());
        assert_eq!(refuse(&forged, 2_000_000), "signature");

        // While the centre's authority is changed, passes of both days are taken; then those of the new one alone.
        let next = super::tests::key();
        let public = |key: &EcdsaKeyPair| key.public_key().as_ref().to_vec();
        passes.trust(vec![public(&next), public(&key)]);
        assert!(passes.present(&pass(&key, |_| ()), from, at).is_ok());
        assert!(passes.present(&pass(&next, |_| ()), from, at).is_ok());
        passes.trust(vec![public(&next)]);
        assert_eq!(refuse(&pass(&key, |_| ()), 2_000_000), "signature");
        passes.trust(vec![public(&key)]);

        passes.revoke(&[RevokedPass { id: "sp-1".into(), until: UtcMillis(5_000_000) }], at);
        assert!(passes.session(&token, at).is_none());
        assert_eq!(refuse(&pass(&key, |_| ()), 2_000_000), "revoked");
    }

    #[test]
    fn wrong_passes_make_an_address_wait() {
        let key = key();
        let passes =
            Passes::new("450103-01".parse().unwrap(), vec![key.public_key().as_ref().to_vec()], vec![]);
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..TRIES {
            assert_eq!(passes.present("x", from, UtcMillis(2_000_000)).unwrap_err().code, "pass-refused");
        }
        let refused = passes.present(&pass(&key, |_| ()), from, UtcMillis(2_000_000)).unwrap_err();
        assert_eq!((refused.status, refused.params["seconds"].as_i64()), (429, Some(600)));
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        assert!(passes.present(&pass(&key, |_| ()), other, UtcMillis(2_000_000)).is_ok());
        assert!(passes.present(&pass(&key, |_| ()), from, UtcMillis(2_700_000)).is_ok());
    }
}
