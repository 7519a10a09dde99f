//! Sign-in: how many passwords are hashed at once, how often somebody may try, and what a stranger learns (nothing:
//! an unknown name takes as long as a wrong password).
//!
//! Nobody is kept out by what others try: not from another address, and not from the same one (a hall has one for
//! everybody), as long as they use a browser in which they signed in before. That browser has a mark, and its tries are
//! counted by themselves.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use control_protocol::{Digest, UtcMillis};
use data_encoding::BASE64URL_NOPAD;
use tokio::sync::Semaphore;

use super::password;
use crate::{
    seal::{Seal, SealError},
    site::problem::Problem,
};
use http::StatusCode;

/// Hashes at once: each takes 19 MiB and a core for some 25 ms.
const AT_ONCE: usize = 2;
/// The longest a sign-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wrong tries of one name from one address before it must wait, and how long one try takes to be forgiven.
const TRIES: f64 = 5.0;
const FORGIVEN_MS: f64 = 60_000.0;
/// How long a browser is known after somebody signed in with it.
const KNOWN_MS: i64 = 180 * 86_400_000;
/// The same for all names from one address; a hall behind one address has many people.
const TRIES_OF_ADDRESS: f64 = 50.0;
const FORGIVEN_OF_ADDRESS_MS: f64 = 6_000.0;
/// Pairs remembered; when full, those long forgiven go, and then those that are forgiven soonest: nobody is kept out
/// because somebody else tried many names.
const REMEMBERED: usize = 10_000;

/// Guards the door.
#[derive(Clone)]
pub struct Doorkeeper {
    turns: Arc<Semaphore>,
    tries: Arc<Mutex<HashMap<(String, String), Tries>>>,
    /// The hash a stranger's password is checked against.
    stranger: Arc<str>,
    /// Opens second factors.
    seal: Seal,
}

/// Why there is no doorkeeper.
#[derive(Debug, thiserror::Error)]
pub enum NoDoorkeeper {
    /// No randomness.
    #[error(transparent)]
    Secret(#[from] password::NoSecret),
    /// The key that seals second factors.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Where a try comes from, as tries are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// An address: the tries of a name from it, and those of all names from it, are counted.
    Address(String),
    /// A browser in which this very person signed in before, or their open session: counted by itself, so that nobody else at
    /// that address uses its tries up.
    Known(String),
}

#[derive(Clone, Copy)]
struct Tries {
    count: f64,
    at: UtcMillis,
}

impl Doorkeeper {
    /// The doorkeeper of a data folder, where the key is that seals second factors. Blocks: it hashes one password, some
    /// 25 ms.
    pub fn open(data: &Path) -> Result<Self, NoDoorkeeper> {
        Self::with(Seal::open(data)?)
    }

    /// A doorkeeper whose second factors last as long as the program.
    pub fn new() -> Result<Self, NoDoorkeeper> {
        Self::with(Seal::passing()?)
    }

    fn with(seal: Seal) -> Result<Self, NoDoorkeeper> {
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            tries: Arc::default(),
            stranger: password::hash(&password::token()?)?.into(),
            seal,
        })
    }

    /// What second factors are sealed with.
    pub(super) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The mark of a browser in which `name` has signed in, to be kept as a cookie; none where it cannot be made, and then
    /// its tries are counted by its address.
    pub(super) fn mark(&self, name: &str, now: UtcMillis) -> Option<String> {
        let sealed = self.seal.seal(&purpose(name), &now.0.to_be_bytes()).ok()?;
        Some(BASE64URL_NOPAD.encode(&sealed))
    }

    /// Where a try by `name` comes from: the browser that is marked as theirs, else the address.
    pub(super) fn origin(&self, name: &str, address: &str, mark: Option<&str>, now: UtcMillis) -> Origin {
        let known = mark.and_then(|mark| {
            let sealed = BASE64URL_NOPAD.decode(mark.as_bytes()).ok()?;
            let since = self.seal.unseal(&purpose(name), &sealed).ok()?;
            let since = i64::from_be_bytes(since.try_into().ok()?);
            (0..KNOWN_MS).contains(&now.0.saturating_sub(since)).then(|| Digest::of(&sealed).to_string())
        });
        known.map_or_else(|| Origin::Address(network(address)), Origin::Known)
    }

    /// Counts a try by `name` and refuses it if there were too many from there; forgiven when the sign-in succeeds.
    pub(super) fn admit(&self, name: &str, origin: &Origin, now: UtcMillis) -> Result<(), Problem> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut tries, now);
        let wait =
            |count: f64, most: f64, forgiven: f64| ((count - most + 1.0) * forgiven / 1000.0).ceil() as u64;
        let mut keys = vec![(own_key(name, origin), TRIES, FORGIVEN_MS)];
        if let Origin::Address(address) = origin {
            keys.push(((String::new(), address.clone()), TRIES_OF_ADDRESS, FORGIVEN_OF_ADDRESS_MS));
        }
        for (key, most, forgiven) in &keys {
            let count = tries.get(key).map_or(0.0, |t| t.left(now, *forgiven));
            if count + 1.0 > *most {
                let seconds = wait(count, *most, *forgiven).max(1);
                let mut problem = Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    format!("too many tries from here: wait {seconds} seconds and try again"),
                );
                problem.retry_after = Some(seconds);
                return Err(problem);
            }
        }
        for (key, _, forgiven) in keys {
            let count = tries.get(&key).map_or(0.0, |t| t.left(now, forgiven)) + 1.0;
            tries.insert(key, Tries { count, at: now });
        }
        Ok(())
    }

    /// Forgets the tries of somebody who signed in.
    pub(super) fn forgive(&self, name: &str, origin: &Origin) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries.remove(&own_key(name, origin));
        if let Origin::Address(address) = origin
            && let Some(of_address) = tries.get_mut(&(String::new(), address.clone()))
        {
            of_address.count = (of_address.count - 1.0).max(0.0);
        }
    }

    /// Whether the password is the one of the hash; `None` for somebody unknown takes as long and is never so.
    pub(super) async fn matches(&self, clear: String, hash: Option<String>) -> Result<bool, Problem> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.stranger.to_string());
        Ok(self.in_turn(move || password::matches(&clear, &hash)).await? && known)
    }

    /// The hash of a new password.
    pub(super) async fn hash(&self, clear: String) -> Result<String, Problem> {
        self.in_turn(move || password::hash(&clear)).await?.map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the centre failed: its log says why")
        })
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || {
            let mut problem =
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many people sign in at once: try again");
            problem.retry_after = Some(2);
            problem
        };
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .map_err(|_| busy())
    }
}

fn purpose(name: &str) -> String {
    format!("browser:{name}")
}

fn own_key(name: &str, origin: &Origin) -> (String, String) {
    match origin {
        Origin::Address(address) => (name.to_owned(), address.clone()),
        // No address looks so.
        Origin::Known(browser) => (name.to_owned(), format!("known {browser}")),
    }
}

/// Where tries are counted by: the address, and of IPv6 the network of 64 bits, which one machine has to itself.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(six)) => {
            let [a, b, c, d, ..] = six.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

/// Makes room for one sign-in. A tenth goes at a time, so that a full table does not cost a search at every try.
fn make_room(tries: &mut HashMap<(String, String), Tries>, now: UtcMillis) {
    if tries.len() + 2 <= REMEMBERED {
        return;
    }
    let left = |key: &(String, String), tries: &Tries| {
        tries.left(now, if key.0.is_empty() { FORGIVEN_OF_ADDRESS_MS } else { FORGIVEN_MS })
    };
    tries.retain(|key, of| left(key, of) > 0.0);
    if tries.len() + 2 > REMEMBERED {
        let mut all: Vec<f64> = tries.iter().map(|(key, of)| left(key, of)).collect();
        all.sort_by(f64::total_cmp);
        let bound = all.get(all.len() / 10).copied().unwrap_or_default();
        tries.retain(|key, of| left(key, of) > bound);
        tries.shrink_to(REMEMBERED);
    }
}

impl Tries {
    fn left(self, now: UtcMillis, forgiven: f64) -> f64 {
        let passed = now.0.saturating_sub(self.at.0).max(0) as f64;
        (self.count - passed / forgiven).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_by_name_and_address() {
        let keeper = Doorkeeper::new().unwrap();
        let now = UtcMillis(1_000_000);
        let (one, two) = (from("10.0.0.1"), from("10.0.0.2"));
        for _ in 0..5 {
            keeper.admit("li", &one, now).unwrap();
        }
        let problem = keeper.admit("li", &one, now).unwrap_err();
        assert_eq!(problem.status, 429);
        assert_eq!(problem.retry_after, Some(60));
        // Somebody else at that address, and li elsewhere, are not locked out.
        keeper.admit("wang", &one, now).unwrap();
        keeper.admit("li", &two, now).unwrap();
        keeper.admit("li", &one, now.plus(60_000)).unwrap();
        keeper.forgive("li", &one);
        keeper.admit("li", &one, now.plus(60_001)).unwrap();
    }

    #[test]
    fn who_tries_from_the_same_address_keeps_nobody_out_of_a_browser_that_is_known() {
        let keeper = Doorkeeper::new().unwrap();
        let now = UtcMillis(1_800_000_000_000);
        let mark = keeper.mark("li", now).unwrap();
        // Somebody at the hall tries li's password, and then a hundred other names, until the address is refused.
        let hall = from("10.0.0.1");
        while keeper.admit("li", &hall, now).is_ok() {}
        for n in 0..100 {
            let _ = keeper.admit(&format!("u{n}"), &hall, now);
        }
        assert_eq!(keeper.admit("wang", &hall, now).unwrap_err().status, 429);
        let li = keeper.origin("li", "10.0.0.1", Some(&mark), now);
        for _ in 0..5 {
            keeper.admit("li", &li, now).unwrap();
        }
        // A known browser has as few tries as anybody.
        assert_eq!(keeper.admit("li", &li, now).unwrap_err().status, 429);
        keeper.forgive("li", &li);
        keeper.admit("li", &li, now).unwrap();
        assert_eq!(
            keeper.admit("wang", &hall, now).unwrap_err().status,
            429,
            "nothing of the address is forgiven"
        );
        // The mark is of this person, this centre and this half year.
        let late = now.plus(KNOWN_MS);
        for (keeper, name, mark, at) in [
            (&keeper, "wang", mark.as_str(), now),
            (&keeper, "li", "bm9uc2Vuc2U", now),
            (&keeper, "li", mark.as_str(), late),
            (&Doorkeeper::new().unwrap(), "li", mark.as_str(), now),
        ] {
            assert_eq!(keeper.origin(name, "10.0.0.1", Some(mark), at), hall);
        }
    }

    fn from(address: &str) -> Origin {
        Origin::Address(network(address))
    }

    #[test]
    fn one_address_cannot_try_every_name() {
        let keeper = Doorkeeper::new().unwrap();
        let refused =
            (0..100).filter(|n| keeper.admit(&format!("u{n}"), &from("x"), UtcMillis(0)).is_err()).count();
        assert_eq!(refused, 50);
        // One machine has many addresses of one network.
        let refused = (0..100)
            .filter(|n| {
                keeper.admit(&format!("u{n}"), &from(&format!("2001:db8::{n:x}")), UtcMillis(0)).is_err()
            })
            .count();
        assert_eq!(refused, 50);
    }

    #[test]
    fn a_full_table_keeps_nobody_out() {
        let keeper = Doorkeeper::new().unwrap();
        for n in 0..REMEMBERED {
            let _ = keeper.admit("x", &from(&format!("a{n}")), UtcMillis(0));
        }
        keeper.admit("li", &from("10.0.0.1"), UtcMillis(0)).unwrap();
        assert!(keeper.tries.lock().unwrap().len() <= REMEMBERED);
    }
}
