//! Webhooks: events sent on to other systems as they come, signed, in order, at least once. The record is the queue: a
//! webhook is a cursor into it that moves only when the receiver has said that it has what was sent, so that nothing is lost
//! by a restart on either side and nothing has to be bounded but how much is sent at once. Owns the table `webhooks`;
//! reads `events`. Never reads what an event says beyond its kind and hall, and follows no redirection.

mod routes;
mod runner;
mod send;
#[cfg(test)]
mod tests;

use std::{io, path::Path, sync::Arc};

use control_protocol::UtcMillis;
use data_encoding::HEXLOWER;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

pub use routes::routes;
pub use runner::Runner;

use crate::secret_file;

/// The key's file in the data folder.
const KEY_FILE: &str = "webhooks/key";
/// Events of one delivery at most.
const BATCH: usize = 50;
/// Events looked at for one delivery at most.
const WINDOW: i64 = 5_000;
/// The first wait after a failure; each failure doubles it.
const FIRST_WAIT_MS: i64 = 1_000;
/// The longest wait between two tries.
const LONGEST_WAIT_MS: i64 = 10 * 60_000;
/// After failing for so long a webhook is switched off, with everything since kept for it.
const GIVE_UP_MS: i64 = 7 * 86_400_000;

/// When to try again after `failures` failures in a row.
fn wait_after(failures: u32) -> i64 {
    let doubled = FIRST_WAIT_MS.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(LONGEST_WAIT_MS);
    doubled.clamp(FIRST_WAIT_MS, LONGEST_WAIT_MS)
}

/// Whether a kind is one of those asked for; one that ends with a dot means all that begin so, none means every kind.
fn wants(kinds: &[String], kind: &str) -> bool {
    kinds.is_empty()
        || kinds
            .iter()
            .any(|wanted| wanted == kind || (wanted.ends_with('.') && kind.starts_with(wanted.as_str())))
}

/// What makes the secrets of webhooks.
#[derive(Clone)]
pub struct Secrets(Arc<hmac::Key>);

impl Secrets {
    /// Reads the key in the data folder, or makes it. Blocking.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not what it should be.
    pub fn open(data: &Path) -> io::Result<Self> {
        let path = data.join(KEY_FILE);
        let bytes = match secret_file::read(&path)? {
            Some(text) => HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a key", path.display()))
            })?,
            None => {
                let mut fresh = [0; 32];
                SystemRandom::new()
                    .fill(&mut fresh)
                    .map_err(|_| io::Error::other("the system gave no random bytes"))?;
                secret_file::make_folder(&path)?;
                secret_file::write(&path, &HEXLOWER.encode(&fresh))?;
                fresh.to_vec()
            }
        };
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    /// The secret of a webhook at this turn, as its receiver is given it: 64 hexadecimal digits.
    fn of(&self, id: &str, turn: u32) -> String {
        HEXLOWER.encode(hmac::sign(&self.0, format!("{id} {turn}").as_bytes()).as_ref())
    }
}

/// The signature of a delivery: HMAC-SHA256 with the secret's text as the key over `<timestamp>.<body>`, where the
/// timestamp is in seconds, so that a delivery cannot be played back later as new.
fn signature(secret: &str, at: UtcMillis, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{}.", at.0.div_euclid(1000)).as_bytes());
    context.update(body);
    format!("v1={}", HEXLOWER.encode(context.sign().as_ref()))
}
