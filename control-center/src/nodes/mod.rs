//! The nodes below this centre: how a machine becomes one, what it may say, what is asked of it. Owns the centre's CA,
//! pairing codes, certificates, the intake of events, command channels and media connections. Never reads what events
//! mean (the rooms do) and never looks at a picture (that is `live`).

mod asks;
pub mod authorities;
pub mod ca;
pub mod certificates;
pub mod change;
pub mod channel;
mod deliveries;
pub mod intake;
pub mod leases;
mod media;
pub mod pairing;
pub mod registry;
pub mod serve;
pub(crate) mod shown;
pub mod verify;

#[cfg(test)]
mod asks_tests;
#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod enrolment_tests;
#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;

use std::{
    fmt::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use control_protocol::{CameraId, Digest, HallId, NodeId, UtcMillis, channel::Order};

pub use asks::NoAnswer;
pub use authorities::Authorities;
pub use ca::{Ca, CaError, NodeIdentity, ServerCertificate};
pub use certificates::{Certificates, Standing};
pub use deliveries::{Delivery, NotDelivered};
pub use leases::{LeaseBook, LeaseSide};
pub use registry::{CameraNow, Link, Registry};

use crate::{
    Clock, params,
    store::{Change, Sql, Store, StoreError},
};

/// The nodes' side of a centre; cheap to clone.
#[derive(Clone)]
pub struct Nodes(Arc<Inner>);

struct Inner {
    authorities: Authorities,
    store: Store,
    clock: Clock,
    certificates: Certificates,
    registry: Registry,
    leases: LeaseBook,
    deliveries: deliveries::Deliveries,
    attempts: pairing::Attempts,
    figures: Figures,
}

/// Why the nodes' side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// The authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is counted since the start.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) events: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) ahead: AtomicU64,
    pub(crate) poisoned: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) refused_batches: AtomicU64,
    pub(crate) media_messages: AtomicU64,
    pub(crate) media_bytes: AtomicU64,
    pub(crate) media_bad: AtomicU64,
    pub(crate) refused_channels: AtomicU64,
}

/// Adds to a figure.
pub(crate) fn count(figure: &AtomicU64, by: u64) {
    figure.fetch_add(by, Ordering::Relaxed);
}

/// Writes an order for a node, issued at the first and standing until the second of the times; gives the command's id.
/// [`Nodes::ring`] when it is committed.
pub fn put_order(
    sql: &mut dyn Sql,
    node: &NodeId,
    order: &Order,
    by: &str,
    (now, expires_at): (UtcMillis, UtcMillis),
) -> Result<String, StoreError> {
    let body = serde_json::to_string(order).map_err(|error| StoreError::Read(error.to_string()))?;
    let id = channel::new_command_id()?;
    sql.execute(
        "INSERT INTO commands (id, node, body, issued_by, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        params![id, node, body, by, now, expires_at],
    )?;
    Ok(id)
}

/// The node of a hall: the one heard of last.
pub fn node_of(sql: &mut dyn Sql, hall: &HallId) -> Result<Option<NodeId>, StoreError> {
    let newest =
        "SELECT id FROM nodes WHERE hall = $1 ORDER BY COALESCE(last_seen, enrolled_at) DESC LIMIT 1";
    sql.query_one(newest, params![hall])?.map(|row| row.get(0)).transpose()
}

impl Nodes {
    /// Opens the authority under `data` (making it at the first start) and reads which certificates stand.
    pub async fn open(data: &Path, store: Store, clock: Clock) -> Result<Self, NodesError> {
        let authorities = Authorities::open(data, clock.now())?;
        let certificates = Certificates::default();
        certificates.load(&store).await?;
        Ok(Self(Arc::new(Inner {
            authorities,
            store,
            clock,
            certificates,
            registry: Registry::default(),
            leases: LeaseBook::default(),
            deliveries: deliveries::Deliveries::default(),
            attempts: pairing::Attempts::default(),
            figures: Figures::default(),
        })))
    }

    /// The authority that signs.
    pub fn ca(&self) -> Arc<Ca> {
        self.0.authorities.signer()
    }

    /// It and, while it is being changed, the former.
    pub fn authorities(&self) -> &Authorities {
        &self.0.authorities
    }

    /// The pin that goes with a pairing code.
    pub fn pin(&self) -> Digest {
        self.ca().pin()
    }

    /// Who is connected and how the cameras are.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The leases that stand.
    pub fn leases(&self) -> &LeaseBook {
        &self.0.leases
    }

    fn deliveries(&self) -> &deliveries::Deliveries {
        &self.0.deliveries
    }

    /// Which certificates stand.
    pub fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn now(&self) -> UtcMillis {
        self.0.clock.now()
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.0.figures
    }

    fn attempts(&self) -> &pairing::Attempts {
        &self.0.attempts
    }

    /// A camera's state now; `None` if no edge has reported it since the centre started.
    pub fn camera(&self, camera: &CameraId) -> Option<CameraNow> {
        self.registry().camera(camera)
    }

    /// Revokes every certificate of `node` and cuts its channels; `false` if it has none that stands.
    pub async fn revoke(&self, node: NodeId, why: String) -> Result<bool, StoreError> {
        let now = self.now();
        let revoked = self
            .store()
            .write("revocation", move |tx| {
                let revoked = tx.execute(
                    "UPDATE certificates SET revoked_at = $2, revoked_why = $3 WHERE node = $1 AND revoked_at IS NULL",
                    params![node, now, why],
                )?;
                tx.changes.push(Change::Node(node));
                Ok::<_, StoreError>(revoked)
            })
            .await?;
        self.certificates().load(self.store()).await?;
        self.cut_off_revoked();
        Ok(revoked > 0)
    }

    /// Lifts a node's quarantine and takes its alarm away, once a person has seen to it.
    pub async fn lift_quarantine(&self, node: NodeId) -> Result<bool, StoreError> {
        self.store()
            .write("quarantine lifted", move |tx| {
                let lifted = tx.execute(
                    "UPDATE nodes SET quarantined = NULL, alarm = NULL WHERE id = $1 AND quarantined IS NOT NULL",
                    params![node],
                )?;
                tx.changes.push(Change::Node(node));
                Ok(lifted > 0)
            })
            .await
    }

    /// Orders something of `node`, to be done once before `expires_at`; gives the command's id. Its outcome comes as an
    /// event `command.done`.
    pub async fn order(
        &self,
        node: NodeId,
        order: &Order,
        by: String,
        expires_at: UtcMillis,
    ) -> Result<String, StoreError> {
        let (now, to, order) = (self.now(), node.clone(), order.clone());
        let id = self
            .store()
            .write("command", move |tx| put_order(tx.sql, &to, &order, &by, (now, expires_at)))
            .await?;
        self.ring(&node);
        Ok(id)
    }

    /// Has a node's new orders looked at now.
    pub fn ring(&self, node: &NodeId) {
        if let Some(link) = self.registry().of_node(node) {
            link.orders.notify_one();
        }
    }

    /// Closes the channels of nodes whose certificate no longer stands.
    fn cut_off_revoked(&self) {
        for link in self.registry().links() {
            if self.certificates().standing(&link.serial) != Standing::Good {
                tracing::warn!(node = %link.node, "its certificate no longer stands; its channel is closed");
                link.closed.cancel();
            }
        }
    }

    /// The figures of this side, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let f = self.figures();
        let counters = [
            ("hallwatch_intake_events_total", "Events committed.", &f.events),
            ("hallwatch_intake_batches_total", "Batches answered.", &f.batches),
            ("hallwatch_intake_duplicates_total", "Events that came again.", &f.duplicates),
            ("hallwatch_intake_ahead_total", "Events that came before their turn.", &f.ahead),
            (
                "hallwatch_intake_poisoned_total",
                "Events kept apart because they cannot be read.",
                &f.poisoned,
            ),
            ("hallwatch_intake_hash_conflicts_total", "Events that contradict the record.", &f.conflicts),
            ("hallwatch_intake_refused_batches_total", "Batches refused as a whole.", &f.refused_batches),
            ("hallwatch_media_messages_total", "Frame messages received.", &f.media_messages),
            ("hallwatch_media_bytes_total", "Bytes of frame messages received.", &f.media_bytes),
            ("hallwatch_media_bad_total", "Media connections ended for a bad message.", &f.media_bad),
            ("hallwatch_channels_refused_total", "Command channels refused.", &f.refused_channels),
        ];
        let mut text = String::new();
        for (name, help, figure) in counters {
            let value = figure.load(Ordering::Relaxed);
            // Writing to a String does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n");
        }
        let links = self.registry().links();
        let gauges = [
            ("hallwatch_nodes_connected", "Nodes with a command channel.", links.len() as u64),
            ("hallwatch_leases", "Leases that stand.", self.leases().count() as u64),
            (
                "hallwatch_footage_deliveries",
                "Deliveries of footage from halls under way.",
                self.deliveries().count() as u64,
            ),
        ];
        for (name, help, value) in gauges {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
        }
        for (name, help) in [
            ("hallwatch_node_outbox_depth", "Events a node has that the centre has not."),
            ("hallwatch_node_clock_offset_seconds", "How far a node's clock is ahead."),
        ] {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            for link in &links {
                let value = match name {
                    "hallwatch_node_outbox_depth" => link.outbox_depth() as f64,
                    _ => link.clock_offset_ms() as f64 / 1000.0,
                };
                let _ = writeln!(text, "{name}{{node=\"{}\"}} {value}", link.node);
            }
        }
        text
    }
}
