//! Command line of the simulated hall.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use simulated_hall::config::Config;
use simulated_hall::day::write_history;
use simulated_hall::hall::{Hall, prepare};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A whole service hall with no hardware: cameras, counter devices, ticket machine, attendance terminal and a
/// scripted day.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The hall's configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Encode the footage that is not on disk yet, and end.
    #[arg(long)]
    prepare: bool,
    /// Write past working days as readings (JSON lines) to this file, and end.
    #[arg(long)]
    history: Option<PathBuf>,
    /// How many working days, with --history.
    #[arg(long, default_value_t = 14)]
    days: usize,
    /// How much faster than life the script runs; wins over the file.
    #[arg(long)]
    speed: Option<f64>,
    /// Seed of the scripted day; wins over the file.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let mut config = Config::read(&arguments.config).context("configuration")?;
    config.speed = arguments.speed.unwrap_or(config.speed);
    config.seed = arguments.seed.unwrap_or(config.seed);
    config.check().context("configuration")?;
    if let Some(path) = &arguments.history {
        return history(&config, path, arguments.days);
    }
    // One thread is plenty: a camera costs a small fraction of a per cent of a core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        tokio::pin!(told);
        if arguments.prepare {
            return tokio::select! {
                () = &mut told => Ok(()),
                prepared = prepare(&config) => prepared.context("footage"),
            };
        }
        let hall = tokio::select! {
            () = &mut told => return Ok(()),
            hall = Hall::start(config, cancel.clone()) => hall.context("the hall cannot open")?,
        };
        told.await;
        tracing::info!("told to stop");
        hall.close().await;
        Ok(())
    })?;
    // Footage that is still being encoded must not hold the end up.
    runtime.shutdown_background();
    Ok(())
}

fn history(config: &Config, path: &PathBuf, days: usize) -> anyhow::Result<()> {
    let zone = config.time_zone()?;
    let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
    let mut out = std::io::BufWriter::new(file);
    let today = jiff::Timestamp::now().to_zoned(zone.clone()).date();
    let lines = write_history(&mut out, config.seed, &config.plan(), &config.hall, today, &zone, days)?;
    std::io::Write::flush(&mut out).context("history")?;
    tracing::info!(lines, days, "past days written");
    Ok(())
}
