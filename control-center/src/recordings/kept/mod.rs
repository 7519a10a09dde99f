//! What the centre itself keeps of the halls' footage, so that a case can be looked into while its hall is offline: a still of
//! each key moment, fetched by itself when there is time, and the clips of cases that a supervisor had sent up. Bounded by bytes
//! and days, oldest first; what is gone is on record with the reason.
//!
//! It asks as people ask, over the link there is, and never delays an event: moments are found in the record after it was
//! committed, one still of a hall at a time. It never looks into a picture.

mod clips;
mod files;
mod moments;
mod prune;
mod stills;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use clips::{KeptClip, KeptClipRow, clip_of, of_case as clips_of_case};
pub(super) use files::body;
pub(super) use stills::{KeptStillRow, of_case as stills_of_case};

use crate::{Centre, store::StoreError};

/// The folder, below the data folder.
pub const FOLDER: &str = "footage";
/// How often moments are looked for.
const ROUND: Duration = Duration::from_secs(3);
/// The pause between stills where more are wanted.
const BETWEEN: Duration = Duration::from_millis(250);
/// How often it is looked for what has had its time.
const PRUNING: Duration = Duration::from_secs(60);

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Days.
    pub days: u32,
    /// Bytes of clips.
    pub clip_bytes: u64,
    /// Bytes of stills.
    pub still_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { days: 30, clip_bytes: 20 << 30, still_bytes: 4 << 30 }
    }
}

/// The store of kept footage; cheap to clone.
#[derive(Clone)]
pub struct Kept(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    limits: Limits,
    /// One clip is fetched at a time: it is for later, and people look now.
    turn: Semaphore,
}

impl Kept {
    /// Over a folder, which is made when something is put there.
    pub fn new(folder: PathBuf, limits: Limits) -> Self {
        Self(Arc::new(Inner { folder, limits, turn: Semaphore::new(1) }))
    }
}

/// The routes of what is kept.
pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(clips::keep)).routes(routes!(stills::still))
}

/// Fetches stills of key moments and drops what has had its time, until the centre stops.
pub async fn keep(centre: Centre) {
    if let Err(error) = clips::given_up(&centre).await {
        tracing::warn!(%error, "clips that were being kept when the centre stopped are not marked so");
    }
    let mut pruned: Option<Instant> = None;
    loop {
        let prune = pruned.is_none_or(|at| at.elapsed() >= PRUNING);
        let asked = once(&centre, prune).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "stills of cases could not be kept; tried again");
            0
        });
        if prune {
            pruned = Some(Instant::now());
        }
        tokio::select! {
            () = centre.stop.cancelled() => return,
            () = tokio::time::sleep(if asked > 0 { BETWEEN } else { ROUND }) => {}
        }
    }
}

/// Gives how many halls were asked.
async fn once(centre: &Centre, prune: bool) -> Result<usize, StoreError> {
    moments::find(centre).await?;
    let asked = tokio::select! {
        () = centre.stop.cancelled() => return Ok(0),
        asked = stills::fetch_due(centre) => asked?,
    };
    if prune {
        prune::prune(centre).await?;
    }
    Ok(asked)
}
