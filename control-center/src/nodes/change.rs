//! The change of the authority: which node holds a certificate of which, and the end of the former. A node holds what it last
//! came with, not what was last signed for it: an answer may be lost on its way.

use control_protocol::{Digest, HallId, NodeId, UtcMillis};

use super::{
    Ca, CaError, Nodes,
    ca::{DAY_MS, RENEW_LATE_DAYS},
    certificates,
};
use crate::{
    access::audit::{Entry, record},
    params,
    store::{Change, Sql, StoreError, Tx},
};

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The node.
    pub node: NodeId,
    /// Its hall.
    pub hall: HallId,
    /// The hall's name.
    pub hall_name: String,
    /// Whether its certificate is of the authority that was asked about.
    pub renewed: bool,
    /// When it was last heard.
    pub last_seen: Option<UtcMillis>,
    /// Until when its certificate is good.
    pub expires_at: UtcMillis,
}

/// Why the former authority stays.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// Nothing is being changed.
    #[error("the authority is not being changed: begin a change first")]
    NotBegun,
    /// Nodes would be left behind that were not named, or were named though they are not.
    #[error(
        "{} still hold a certificate of the former authority and would have to be paired anew: {}; \
         wait until they have renewed it, or name exactly these as left behind", .0.len(), list(.0)
    )]
    LeftBehind(Vec<NodeId>),
    /// The authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

/// Every node that may still come, with what it holds; in order.
pub fn holdings(sql: &mut dyn Sql, of: Digest, now: UtcMillis) -> Result<Vec<Holding>, StoreError> {
    let rows = sql.query(
        "SELECT c.node, c.hall, COALESCE(h.name, c.hall), c.authority, n.last_seen, c.expires_at \
         FROM certificates c JOIN nodes n ON n.id = c.node LEFT JOIN halls h ON h.id = c.hall \
         WHERE c.revoked_at IS NULL AND c.expires_at > $1 \
         ORDER BY c.node, COALESCE(c.used_at, 0) DESC, c.issued_at DESC, c.expires_at DESC",
        params![now.plus(-RENEW_LATE_DAYS * DAY_MS)],
    )?;
    let mut found: Vec<Holding> = Vec::new();
    for row in &rows {
        let node: NodeId = row.get(0)?;
        if found.last().is_some_and(|last| last.node == node) {
            continue;
        }
        found.push(Holding {
            node,
            hall: row.get(1)?,
            hall_name: row.get(2)?,
            renewed: row.get::<Option<String>>(3)?.is_some_and(|pin| pin == of.to_string()),
            last_seen: row.get(4)?,
            expires_at: row.get(5)?,
        });
    }
    Ok(found)
}

/// Writes down that the node came with this certificate; while the authority is changed, in the audit log too, the first time
/// that it is one of the new. `signer`: the new one's pin, while one is.
pub(super) fn came(
    sql: &mut dyn Sql,
    node: &NodeId,
    serial: &str,
    signer: Option<Digest>,
    now: UtcMillis,
) -> Result<(), StoreError> {
    if let Some(signer) = signer.map(|pin| pin.to_string()) {
        let first = sql.query_one(
            "SELECT 1 FROM certificates WHERE serial = $1 AND authority = $2 AND used_at IS NULL",
            params![serial, signer],
        )?;
        if first.is_some() {
            let entry = Entry {
                who: node.as_str(),
                address: "its hall",
                action: "authority.node_renewed",
                object: &signer,
                detail: serial,
            };
            record(sql, &entry, now)?;
        }
    }
    certificates::used(sql, serial, now)
}

impl Nodes {
    /// The pin of the authority that follows, while one is being left.
    pub(super) fn follows(&self) -> Option<Digest> {
        self.authorities().former().map(|_| self.pin())
    }

    /// Makes the authority that follows; `None` where the change has begun already. Nodes are told on their channels.
    pub async fn begin_change(&self) -> Result<Option<std::sync::Arc<Ca>>, CaError> {
        let (nodes, now) = (self.clone(), self.now());
        off(move || nodes.authorities().begin(now)).await
    }

    /// Ends the former authority: its certificates are refused from now on and its key is gone. `left` names every node that
    /// still holds one. `told` writes down that it was done, with the pins of the former and of the one that follows.
    pub async fn retire_former(
        &self,
        left: Vec<NodeId>,
        told: impl FnOnce(&mut Tx<'_>, Digest, Digest) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), RetireError> {
        let former = self.authorities().former().ok_or(RetireError::NotBegun)?.pin();
        let (signer, now) = (self.pin(), self.now());
        // First what machines hold, then the key: a cut in between leaves nobody in, and is mended by doing it again.
        self.store()
            .write("authority retired", move |tx| {
                let behind: Vec<NodeId> = holdings(tx.sql, signer, now)?
                    .into_iter()
                    .filter(|held| !held.renewed)
                    .map(|held| held.node)
                    .collect();
                if behind.iter().any(|node| !left.contains(node))
                    || left.iter().any(|node| !behind.contains(node))
                {
                    return Err(RetireError::LeftBehind(behind));
                }
                tx.execute(
                    "UPDATE certificates SET revoked_at = $1, revoked_why = 'its authority was retired' \
                     WHERE revoked_at IS NULL AND (authority IS NULL OR authority <> $2)",
                    params![now, signer.to_string()],
                )?;
                told(tx, former, signer)?;
                for node in behind {
                    tx.changes.push(Change::Node(node));
                }
                Ok(())
            })
            .await?;
        let nodes = self.clone();
        off(move || nodes.authorities().retire()).await?;
        self.certificates().load(self.store()).await?;
        self.cut_off_revoked();
        Ok(())
    }

    /// The authority whose word a hall's node takes: it knows the one whose certificate it holds.
    pub async fn known_to(&self, hall: HallId) -> Result<std::sync::Arc<Ca>, StoreError> {
        let signer = self.ca();
        let Some(former) = self.authorities().former() else { return Ok(signer) };
        let (pin, now) = (signer.pin(), self.now());
        let held = self.store().read(move |sql| holdings(sql, pin, now)).await?;
        let renewed = held.iter().any(|held| held.hall == hall && held.renewed);
        Ok(if renewed { signer } else { former })
    }
}

async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CaError> + Send + 'static,
) -> Result<T, CaError> {
    let lost = |error: tokio::task::JoinError| CaError::File {
        path: "ca".into(),
        source: std::io::Error::other(error.to_string()),
    };
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
