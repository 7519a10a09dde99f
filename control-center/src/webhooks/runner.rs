//! What sends: one task that looks every second which webhooks have something to send and may, and sends for all of them at
//! once, one delivery of each at a time. A receiver that hangs holds up nobody but itself.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use control_protocol::{Digest, UtcMillis};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    BATCH, GIVE_UP_MS, Secrets, WINDOW,
    send::{Delivery, send},
    signature, wait_after, wants,
};
use crate::{
    Clock, params,
    store::{Row, Sql, Store, StoreError},
};

/// How often it is looked whether there is something to send.
const EVERY: Duration = Duration::from_secs(1);
/// Deliveries under way at once.
const AT_ONCE: usize = 16;

/// Sends on what webhooks ask for.
pub struct Runner {
    store: Store,
    clock: Clock,
    secrets: Secrets,
}

/// A webhook that may send.
struct Due {
    id: String,
    url: String,
    kinds: Vec<String>,
    scope: String,
    ca_pem: Option<String>,
    turn: u32,
    after: i64,
    failures: u32,
    failing_since: Option<UtcMillis>,
}

/// What a receiver is sent.
#[derive(Serialize)]
struct Payload<'a> {
    delivery: &'a str,
    webhook: &'a str,
    events: Vec<Box<RawValue>>,
}

/// Events for a webhook, and the cursor behind them.
struct Found {
    events: Vec<Box<RawValue>>,
    to: i64,
}

impl Runner {
    /// A runner over this store.
    pub fn new(store: Store, clock: Clock, secrets: Secrets) -> Self {
        Self { store, clock, secrets }
    }

    /// Sends until `stop`. What is under way then is sent again at the next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut going: JoinSet<String> = JoinSet::new();
        let mut busy: HashSet<String> = HashSet::new();
        loop {
            match self.due().await {
                Ok(due) => {
                    for webhook in due {
                        if going.len() < AT_ONCE && busy.insert(webhook.id.clone()) {
                            let sender =
                                Self::new(self.store.clone(), self.clock.clone(), self.secrets.clone());
                            going.spawn(async move {
                                let id = webhook.id.clone();
                                if let Err(error) = sender.deliver(webhook).await {
                                    tracing::error!(webhook = id, %error, "a delivery could not be noted: it is sent again");
                                }
                                id
                            });
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "webhooks could not be read"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = going.join_next() => match done {
                    Ok(id) => {
                        busy.remove(&id);
                    }
                    // Which one it was is not known: all of them may be tried again, at worst twice.
                    Err(error) => {
                        tracing::error!(%error, "a delivery failed in an unforeseen way");
                        busy.clear();
                    }
                },
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        going.shutdown().await;
    }

    /// Sends what is due now, once, one after the other; gives the number of deliveries that were taken.
    #[cfg(test)]
    pub(super) async fn round(&self) -> Result<usize, StoreError> {
        let mut taken = 0;
        for webhook in self.due().await? {
            taken += usize::from(self.deliver(webhook).await?);
        }
        Ok(taken)
    }

    async fn due(&self) -> Result<Vec<Due>, StoreError> {
        let now = self.clock.now();
        self.store
            .read(move |sql| {
                let rows = sql.query(
                    "SELECT w.id, w.url, w.kinds, w.scope, w.ca_pem, w.turn, w.after_n, w.failures, w.failing_since \
                     FROM webhooks w WHERE w.enabled = 1 AND w.next_at <= $1 \
                     AND w.after_n < (SELECT COALESCE(MAX(n), 0) FROM events) ORDER BY w.next_at, w.id",
                    params![now],
                )?;
                rows.iter().map(Due::read).collect()
            })
            .await
    }

    /// Sends the next events of a webhook; whether the receiver took them.
    async fn deliver(&self, webhook: Due) -> Result<bool, StoreError> {
        let (kinds, scope, after) = (webhook.kinds.clone(), webhook.scope.clone(), webhook.after);
        let found = self.store.read(move |sql| find(sql, &kinds, &scope, after)).await?;
        let id = webhook.id.clone();
        if found.events.is_empty() {
            // Moved on only over a whole window, so that a quiet webhook costs no write a second.
            if found.to - after >= WINDOW {
                let move_on = move |tx: &mut crate::store::Tx<'_>| -> Result<(), StoreError> {
                    tx.execute("UPDATE webhooks SET after_n = $2 WHERE id = $1", params![id, found.to])?;
                    Ok(())
                };
                self.store.write("webhook cursor", move_on).await?;
            }
            return Ok(false);
        }
        let events = found.events.len();
        let said = self.send(&webhook, found.events).await;
        let (now, to) = (self.clock.now(), found.to);
        let taken = matches!(&said, Ok(status) if status.is_success());
        let gone = matches!(said, Ok(StatusCode::GONE));
        let note = move |tx: &mut crate::store::Tx<'_>| -> Result<(), StoreError> {
            if taken {
                tx.execute(
                    "UPDATE webhooks SET after_n = $2, delivered = delivered + $3, failures = 0, failing_since = NULL, \
                     next_at = 0, last_ok_at = $4, last_error = NULL WHERE id = $1",
                    params![id, to, events, now],
                )?;
                return Ok(());
            }
            let why = said.map_or_else(|why| why, |status| format!("it answered {status}"));
            let failures = webhook.failures + 1;
            let since = webhook.failing_since.unwrap_or(now);
            let enabled = !gone && now.0 - since.0 < GIVE_UP_MS;
            tx.execute(
                "UPDATE webhooks SET failures = $2, failing_since = $3, next_at = $4, last_error = $5, enabled = $6 \
                 WHERE id = $1 AND enabled = 1",
                params![id, failures, since, UtcMillis(now.0 + wait_after(failures)), why, enabled],
            )?;
            Ok(())
        };
        self.store.write("webhook delivery", note).await?;
        Ok(taken)
    }

    async fn send(&self, webhook: &Due, events: Vec<Box<RawValue>>) -> Result<StatusCode, String> {
        // The same events again have the same id, by which a receiver knows them.
        let id = Digest::of(format!("{} {}", webhook.id, webhook.after).as_bytes()).to_string();
        let id = id.get(..32).unwrap_or_default().to_owned();
        let payload = Payload { delivery: &id, webhook: &webhook.id, events };
        let body = Bytes::from(serde_json::to_vec(&payload).map_err(|error| error.to_string())?);
        let now = self.clock.now();
        let secret = self.secrets.of(&webhook.id, webhook.turn);
        send(Delivery {
            url: webhook.url.parse().map_err(|error| format!("{error}"))?,
            ca_pem: webhook.ca_pem.clone(),
            timestamp: now.0.div_euclid(1000),
            signature: signature(&secret, now, &body),
            id,
            body,
        })
        .await
    }
}

impl Due {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let kinds: String = row.get(2)?;
        Ok(Self {
            id: row.get(0)?,
            url: row.get(1)?,
            kinds: serde_json::from_str(&kinds).map_err(|error| StoreError::Read(error.to_string()))?,
            scope: row.get(3)?,
            ca_pem: row.get(4)?,
            turn: row.get(5)?,
            after: row.get(6)?,
            failures: row.get(7)?,
            failing_since: row.get(8)?,
        })
    }
}

/// The next events behind the cursor that are for a webhook.
fn find(sql: &mut dyn Sql, kinds: &[String], scope: &str, after: i64) -> Result<Found, StoreError> {
    let end = sql.query_one("SELECT COALESCE(MAX(n), 0) FROM events", params![])?;
    let end = end.map_or(Ok(0), |row| row.get::<i64>(0))?.min(after + WINDOW);
    let rows = sql.query(
        "SELECT e.n, e.kind, h.path FROM events e JOIN halls h ON h.id = e.hall \
         WHERE e.n > $1 AND e.n <= $2 AND e.projected = 1 ORDER BY e.n",
        params![after, end],
    )?;
    let within = format!("/{scope}/");
    let mut found = Found { events: Vec::new(), to: end };
    for row in &rows {
        let (n, kind, path): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if !wants(kinds, &kind) || !path.contains(&within) {
            continue;
        }
        let bytes = sql.query_one("SELECT bytes FROM events WHERE n = $1", params![n])?;
        let Some(bytes) = bytes else { continue };
        found.events.push(crate::cases::raw(&bytes, 0)?);
        if found.events.len() == BATCH {
            found.to = n;
            break;
        }
    }
    Ok(found)
}
