//! The faults suite: real agents and centres are killed, cut off, filled up and copied, and what their keypads had answered
//! is held against the centre's record. The last line says what was lost and doubled; the exit code is 1 if anything was.

mod disk;
mod judge;
mod keypads;
mod lot;
mod machine;
mod pieces;
mod proxy;
mod scenarios;
mod stage;
mod tally;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::{lot::Lot, tally::Tally};

#[derive(Parser)]
#[command(name = "faults", about = "Faults on real processes: what is lost or doubled is counted")]
struct Arguments {
    /// What every commit is held to: some minutes.
    #[arg(long, conflicts_with_all = ["full", "only"])]
    quick: bool,
    /// The numbers of the design, in pieces: what a former call has done is not done again.
    #[arg(long, conflicts_with = "only")]
    full: bool,
    /// With --full: begin no piece after so many minutes.
    #[arg(long, default_value_t = 1_000_000)]
    minutes: u64,
    /// With --full: where the pieces done are kept.
    #[arg(long, default_value = "target/faults/pieces.jsonl")]
    done: PathBuf,
    /// One scenario alone.
    #[arg(long, value_enum)]
    only: Option<Scenario>,
    /// With --only: how often.
    #[arg(long, default_value_t = 5)]
    count: u64,
    /// The seed of everything drawn by lot.
    #[arg(long, default_value_t = 20_261_127)]
    seed: u64,
}

/// A scenario by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Agent and centre are killed, each so often.
    Kills,
    /// The link fails.
    Partitions,
    /// The disk is full.
    FullDisk,
    /// The agent's power is cut, by a model of its disk.
    PowerCuts,
    /// The power of a virtual machine with the agent in it is cut.
    MachinePowerCuts,
    /// The power of a virtual machine is cut while its agent records eight cameras.
    RecordedPowerCuts,
    /// The centre's power is cut, by a model of its disk.
    CentrePowerCuts,
    /// The centre's disk is full.
    CentreFullDisk,
    /// Batches doubled and reordered.
    Batches,
    /// The hall's clock jumps.
    Clocks,
    /// The centre is put back from a backup.
    RestoredCentre,
    /// The agent's disk is copied and both run.
    ClonedEdge,
    /// What the service manager is told; played once.
    Service,
    /// So many viewers read nothing of what they asked for.
    StuckViewers,
    /// 127 halls come back at once, each with so many services.
    Storm,
}

impl Scenario {
    async fn play(self, count: u64, lot: Lot) -> Result<Tally> {
        match self {
            Self::Kills => scenarios::kills::run(count, lot).await,
            Self::Partitions => scenarios::links::run(count, 3.0, lot).await,
            Self::FullDisk => scenarios::full_disk::run(count, count.div_ceil(10), lot).await,
            Self::PowerCuts => scenarios::power_cuts::model(count, lot).await,
            Self::MachinePowerCuts => scenarios::power_cuts::machine(count, lot).await,
            Self::RecordedPowerCuts => scenarios::recorded::run(count, lot).await,
            Self::CentrePowerCuts => scenarios::centre_disk::power_cuts(count, lot).await,
            Self::CentreFullDisk => scenarios::centre_disk::full(count, lot).await,
            Self::Batches => scenarios::batches::run(count, lot).await,
            Self::Clocks => scenarios::clocks::run(count, lot).await,
            Self::RestoredCentre => scenarios::copies::restored_centre(count, lot).await,
            Self::Service => scenarios::service::run().await,
            Self::StuckViewers => scenarios::viewers::run(count).await,
            Self::Storm => scenarios::storm::run(count, lot).await,
            Self::ClonedEdge => scenarios::copies::cloned_edge(count, lot).await,
        }
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let begun = Instant::now();
    let mut lot = Lot::new(arguments.seed);
    let tally = match arguments.only {
        Some(scenario) => runtime.block_on(scenario.play(arguments.count, lot))?,
        None if arguments.full => {
            runtime.block_on(pieces::run(&arguments.done, arguments.minutes, arguments.seed))?
        }
        None => runtime.block_on(quick(&mut lot))?,
    };
    println!("{tally} seed={} seconds={}", arguments.seed, begun.elapsed().as_secs());
    Ok(if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Mostly waiting, so side by side. Every power cut here is one by the model of the disk; those of the centre are counted by
/// themselves.
async fn quick(lot: &mut Lot) -> Result<Tally> {
    let kills = scenarios::kills::run(30, lot.branch());
    let (cuts, clocks, copies) = (lot.branch(), lot.branch(), lot.branch());
    let links = async {
        let mut tally = scenarios::links::run(20, 3.0, cuts).await?;
        tally.join(scenarios::service::run().await?);
        tally.join(scenarios::clocks::run(1, clocks).await?);
        tally.join(scenarios::copies::restored_centre(1, copies.clone()).await?);
        tally.join(scenarios::copies::cloned_edge(1, copies).await?);
        anyhow::Ok(tally)
    };
    let disk = async {
        let (full, cuts, batches) = (lot.branch(), lot.branch(), lot.branch());
        let mut tally = scenarios::full_disk::run(20, 2, full).await?;
        tally.join(scenarios::power_cuts::model(5, cuts).await?);
        tally.join(scenarios::batches::run(1_000, batches).await?);
        tally.join(scenarios::centre_disk::power_cuts(5, lot.branch()).await?);
        tally.join(scenarios::centre_disk::full(5, lot.branch()).await?);
        anyhow::Ok(tally)
    };
    let (kills, links, disk) = tokio::join!(kills, links, disk);
    let mut all = kills?;
    all.join(links?);
    all.join(disk?);
    Ok(all)
}
