//! A year of a region in one centre on SQLite: makes it (`world`, `day`), loads it through the rooms' own projections
//! (`load`), then asks for every page's data while events go on coming in (`pages`), and prints what it took. The whole is
//! 127 halls, 6,000 windows, 250 working days, 6.6 million cases; `--days` and `--share` run a part of it.

mod chance;
mod day;
mod load;
mod pages;
mod world;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use clap::Args;
use control_center::site::serve::{DATABASE, open_store};

use crate::machine::Machine;

/// Working days of a year.
const YEAR: u32 = 250;

/// What is to be run.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Working days before today.
    #[arg(long, default_value_t = YEAR)]
    pub days: u32,
    /// The share of the region's halls, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    pub share: f64,
    /// Events a second that come in while pages are asked for.
    #[arg(long, default_value_t = 500)]
    pub intake: u32,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 200)]
    pub rounds: u32,
    /// Where the database is made; a folder that goes with the run if it is not said.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The number chance begins with.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs it.
pub async fn run(order: &Order) -> Result<()> {
    anyhow::ensure!(order.share > 0.0 && order.share <= 1.0, "--share: more than 0, at most 1");
    anyhow::ensure!((1..=YEAR).contains(&order.days), "--days: from 1 to {YEAR}");
    Machine::here().print();
    let kept = tempfile::tempdir().context("a folder for the database")?;
    let folder = order.data.clone().unwrap_or_else(|| kept.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let world = world::World::of(order.share, order.seed);
    let part = f64::from(order.days) / f64::from(YEAR) * world.windows() as f64 / 6_000.0;
    println!(
        "region    {} halls, {} windows, {} working days: {:.2} % of a year of 127 halls and 6,000 windows",
        world.halls.len(),
        world.windows(),
        order.days,
        part * 100.0
    );
    let store = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || open_store(&folder)).await??
    };
    let begun = Instant::now();
    let loaded = load::load(&store, &world, order).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = size(&folder.join(DATABASE));
    println!(
        "loaded    {} cases, {} events in {seconds:.0} s = {:.0} events/s; a whole year would take {:.1} h",
        loaded.cases,
        loaded.events,
        loaded.events as f64 / seconds,
        seconds / part / 3600.0
    );
    println!(
        "database  {:.0} MiB = {:.0} bytes an event; a whole year would have {:.0} GiB",
        bytes as f64 / 1_048_576.0,
        bytes as f64 / loaded.events as f64,
        bytes as f64 / part / 1_073_741_824.0
    );
    println!("sample    {}", loaded.sample);
    pages::measure(store, &folder, &world, order, loaded).await
}

/// The size of a database with what is written ahead of it.
fn size(file: &std::path::Path) -> u64 {
    let of = |path: PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
    let wal = file.with_file_name(format!("{DATABASE}-wal"));
    of(file.to_owned()) + of(wal)
}
