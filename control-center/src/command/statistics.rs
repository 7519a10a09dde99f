//! `control-center statistics`: the sums held against the record, or made anew from it.

use anyhow::{Result, bail};
use clap::Subcommand;
use control_center::{statistics::rebuild, store::Store};
use control_protocol::HallId;

use super::{Place, open};

#[derive(Subcommand)]
pub(crate) enum Statistics {
    /// Compare the sums kept as events came with the record. Ends with 1 if they differ; works while the centre runs.
    Check {
        /// Of this hall alone.
        #[arg(long)]
        hall: Option<HallId>,
        #[command(flatten)]
        place: Place,
    },
    /// Build the sums anew from the record, hall by hall; works while the centre runs, intake waits for each hall.
    Rebuild {
        /// Of this hall alone.
        #[arg(long)]
        hall: Option<HallId>,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it.
pub(crate) async fn run(command: Statistics) -> Result<()> {
    let (hall, place, build) = match command {
        Statistics::Check { hall, place } => (hall, place, false),
        Statistics::Rebuild { hall, place } => (hall, place, true),
    };
    let store = open(place.data).await?;
    let result = sums(&store, hall, build).await;
    store.close().await;
    let wrong = result?;
    if wrong > 0 {
        bail!("{wrong} sums are not what the record says: run `control-center statistics rebuild`");
    }
    Ok(())
}

/// Checks or rebuilds, and prints each hall; gives the number of sums that are wrong.
async fn sums(store: &Store, hall: Option<HallId>, build: bool) -> Result<usize> {
    let halls = match hall {
        Some(hall) => vec![hall],
        None => rebuild::halls(store).await?,
    };
    let mut wrong = 0;
    for hall in halls {
        if build {
            println!("{hall}: {} sums built", rebuild::rebuild(store, hall.clone()).await?);
        } else {
            let checked = rebuild::check(store, hall).await?;
            println!("{}: {} sums, {} wrong", checked.hall, checked.cells, checked.wrong);
            wrong += checked.wrong;
        }
    }
    Ok(wrong)
}
