//! What the service manager is told: that the centre serves, that it stops, and while it has a watchdog that work gets done.
//! A centre that is started by hand tells nobody.

use sd_notify::NotifyState;

use crate::store::{Store, StoreError};

/// Tells the service manager, if there is one.
pub(super) fn say(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Feeds the service manager's watchdog, for ever. Each time is paid for with a transaction of the one writer and a
/// snapshot of a reader: a centre that does not get these done hangs, and is better started again.
pub(super) async fn watch(store: Store) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        tokio::time::sleep(limit / 4).await;
        match tokio::time::timeout(limit, work(&store)).await {
            Ok(Ok(())) => say(NotifyState::Watchdog),
            Ok(Err(error)) => tracing::error!(%error, "the watchdog is not fed"),
            Err(_) => tracing::error!("the watchdog is not fed: the database does not answer"),
        }
    }
}

async fn work(store: &Store) -> Result<(), StoreError> {
    // A full disk or a long queue is no hanging: the centre answers, and a start would not help.
    let refused = |error: StoreError| match error {
        StoreError::Full | StoreError::Busy => {
            tracing::warn!(%error, "the database");
            Ok(())
        }
        other => Err(other),
    };
    store.write("watchdog", |_| Ok::<_, StoreError>(())).await.or_else(refused)?;
    store.read(|_| Ok::<_, StoreError>(())).await.or_else(refused)
}
