//! What a running centre is made of, handed to every route and task: the store, the clock, the nodes and the live
//! side. Owns nothing itself; cheap to clone.

use std::{path::PathBuf, sync::Arc};

use control_protocol::UtcMillis;
use tokio_util::sync::CancellationToken;

use crate::{
    access::Doorkeeper,
    evidence::Evidence,
    live::Live,
    nodes::Nodes,
    queue::Outlooks,
    recordings::{Viewings, copy::Copies, kept::Kept},
    store::Store,
    webhooks::Secrets,
};

/// The centre's clock; tests hold their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UtcMillis + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(|| jiff::Timestamp::now().into()))
    }

    /// A clock that says what `now` says.
    pub fn of(now: impl Fn() -> UtcMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> UtcMillis {
        (self.0)()
    }
}

/// A running centre, the state of every route.
#[derive(Clone)]
pub struct Centre(Arc<Parts>);

/// What a centre is made of.
pub struct Parts {
    /// The data folder.
    pub data: PathBuf,
    /// The store.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Sign-in: password hashing, limits, sessions.
    pub doorkeeper: Doorkeeper,
    /// The nodes: CA, pairing, who is connected, cameras' states.
    pub nodes: Nodes,
    /// Live pictures.
    pub live: Live,
    /// Packages of evidence.
    pub evidence: Evidence,
    /// Who is viewing footage.
    pub viewings: Viewings,
    /// What the centre keeps of footage.
    pub kept: Kept,
    /// Who makes a viewing copy.
    pub copies: Copies,
    /// What forecasts of waiting times rest on.
    pub outlooks: Outlooks,
    /// What makes the secrets of webhooks.
    pub webhooks: Secrets,
    /// Cancelled when the centre ends.
    pub stop: CancellationToken,
}

impl Centre {
    /// A centre of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for Centre {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
