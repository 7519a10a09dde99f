//! The command line of the benchmarks. The main thread waits for everything, so that programs started here end with it.

use anyhow::Result;
use bench::{cameras, floor, forecast, intake, record, relay, year};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench", about = "Benchmarks that print")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Live pictures: cameras → edge agent → control centre → wall sockets, beside ffmpeg, GStreamer and a bare copy loop.
    Relay(relay::Order),
    /// Recording: cameras → edge agent → disk, beside ffmpeg cutting segments.
    Record(record::Order),
    /// Forecasts of waits against simulated days, beside queue × average.
    Forecast(forecast::Order),
    /// Events: agents' batches over TLS into the centre's database, a region's backlog, and the journal at the hall.
    Intake(intake::Order),
    /// A year of a region in one centre on SQLite: load, size, memory, and every page's data while events come in.
    Year(year::Order),
    /// Simulated cameras in a process of their own (started by `relay`).
    #[command(hide = true)]
    ServeCameras(cameras::Order),
    /// The bare copy loop in a process of its own (started by `relay`).
    #[command(hide = true)]
    Floor(floor::Order),
}

fn main() -> Result<()> {
    match Arguments::parse().what {
        What::Relay(order) => tokio::runtime::Runtime::new()?.block_on(relay::run(&order)),
        What::Record(order) => tokio::runtime::Runtime::new()?.block_on(record::run(&order)),
        What::Forecast(order) => forecast::run(&order),
        What::Intake(order) => tokio::runtime::Runtime::new()?.block_on(intake::run(&order)),
        What::Year(order) => tokio::runtime::Runtime::new()?.block_on(year::run(&order)),
        What::ServeCameras(order) => cameras::serve(&order),
        What::Floor(order) => floor::serve(&order),
    }
}
