//! Which certificates stand. The table is the truth; a copy of it in memory answers at each handshake and request, read
//! anew every few seconds (the command line may revoke too) and at once after a change made here.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use control_protocol::{Digest, HallId, NodeId, UtcMillis};
use tokio::sync::watch;

use super::ca::NodeCertificate;
use crate::{
    params,
    store::{Sql, Store, StoreError},
};

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Signed here and not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// This centre has no record of it: it was signed before a backup was restored, or is forged.
    Unknown,
}

/// The copy in memory: serial number → whether it is revoked.
pub struct Certificates {
    known: RwLock<HashMap<String, bool>>,
    /// Sent whenever the copy was read anew.
    read: watch::Sender<()>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { known: RwLock::default(), read: watch::Sender::new(()) }
    }
}

impl Certificates {
    /// How the certificate with this serial number stands.
    pub fn standing(&self, serial: &str) -> Standing {
        match self.known.read().unwrap_or_else(PoisonError::into_inner).get(serial) {
            Some(false) => Standing::Good,
            Some(true) => Standing::Revoked,
            None => Standing::Unknown,
        }
    }

    /// Comes back once the certificate stands no more: for what was opened with it and outlives the request.
    pub async fn gone(&self, serial: &str) {
        let mut read = self.read.subscribe();
        while self.standing(serial) == Standing::Good {
            if read.changed().await.is_err() {
                return;
            }
        }
    }

    /// Reads the table anew.
    pub async fn load(&self, store: &Store) -> Result<(), StoreError> {
        let map = store
            .read(|sql| {
                let rows = sql.query("SELECT serial, revoked_at IS NOT NULL FROM certificates", params![])?;
                rows.iter()
                    .map(|row| Ok((row.get::<String>(0)?, row.get::<bool>(1)?)))
                    .collect::<Result<HashMap<_, _>, StoreError>>()
            })
            .await?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = map;
        self.read.send_replace(());
        Ok(())
    }
}

/// Writes down a certificate that the authority with this pin signed.
pub(super) fn insert(
    sql: &mut dyn Sql,
    (node, hall): (&NodeId, &HallId),
    signed: &NodeCertificate,
    authority: Digest,
    now: UtcMillis,
) -> Result<(), StoreError> {
    sql.execute(
        "INSERT INTO certificates (serial, node, hall, issued_at, expires_at, authority) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![signed.serial, node, hall, now, signed.not_after, authority.to_string()],
    )?;
    Ok(())
}

/// Writes down that the node came with this certificate.
pub(super) fn used(sql: &mut dyn Sql, serial: &str, now: UtcMillis) -> Result<(), StoreError> {
    sql.execute("UPDATE certificates SET used_at = $2 WHERE serial = $1", params![serial, now])?;
    Ok(())
}
