//! The command line of the benchmarks. The main thread waits for everything, so that programs started here end with it.

use anyhow::Result;
use bench::{cameras, floor, relay};
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
        What::ServeCameras(order) => cameras::serve(&order),
        What::Floor(order) => floor::serve(&order),
    }
}
