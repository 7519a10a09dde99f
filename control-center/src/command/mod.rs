//! What the command line can do besides running the centre: each on the store of a data folder, and each that changes anything
//! written into the audit log.

pub(crate) mod audit;
pub(crate) mod calendar;
pub(crate) mod evidence;
pub(crate) mod statistics;
pub(crate) mod user;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use control_center::{
    Clock, access,
    site::serve,
    store::{Store, StoreError},
};

/// Where the centre keeps its things.
#[derive(Args)]
pub(crate) struct Place {
    /// The data folder.
    #[arg(long, default_value = "/var/lib/hallwatch-centre")]
    pub(crate) data: PathBuf,
}

/// Opens the store of a data folder that is there.
pub(crate) async fn open(data: PathBuf) -> Result<Store> {
    if !data.join(serve::DATABASE).exists() {
        bail!("there is no centre in {}: give its data folder with --data", data.display());
    }
    tokio::task::spawn_blocking(move || serve::open_store(&data)).await?
}

/// Writes to the audit log what was done at the command line.
pub(crate) async fn record(store: &Store, action: &'static str, object: String) -> Result<(), StoreError> {
    let now = Clock::system().now();
    store
        .write("audit", move |tx| {
            let entry = access::audit::Entry {
                who: "command line",
                address: "this machine",
                action,
                object: &object,
                detail: "",
            };
            access::audit::record(tx, &entry, now)
        })
        .await
}
