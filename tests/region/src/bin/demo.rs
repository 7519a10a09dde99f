//! The demo: a region on this machine, for a newcomer to look at and for programs to use.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use region::{
    Region, RegionPlan,
    plan::{CAMERA_PASSWORD, CAMERA_USER, SparesPlan},
    ready::write_json,
};
use tokio::signal::unix::{SignalKind, signal};

/// Where cameras are asked who they are (WS-Discovery).
const ONVIF_DISCOVERY_PORT: u16 = 3702;

/// Starts a region of simulated halls on this machine and prints how to see it.
#[derive(Parser)]
#[command(name = "scripts/demo", version)]
struct Arguments {
    /// Forget the data of earlier runs first (never what was built).
    #[arg(long)]
    fresh: bool,
    /// Stop by itself so many minutes after everything is ready.
    #[arg(long)]
    minutes: Option<f64>,
    /// Where the site listens; when the port is taken a free one is used.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: String,
    /// Where the first hall's own page listens; when the port is taken a free one is used.
    #[arg(long, default_value = "127.0.0.1:8444")]
    hall_site: String,
    /// Halls, 1 to 4.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    halls: u8,
    /// Windows of each hall.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=40))]
    windows: u16,
    /// How much faster than life the day's events follow each other.
    #[arg(long, default_value_t = 30.0)]
    speed: f64,
    /// Past days to put on record.
    #[arg(long, default_value_t = 14)]
    history_days: u32,
    /// Keep no footage.
    #[arg(long)]
    no_recording: bool,
    /// The folder of the demo's data.
    #[arg(long, default_value = "target/demo")]
    data: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Children end with the thread that started them, so everything is started from this one.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let begun = Instant::now();
    let root = std::path::absolute(&arguments.data)?;
    let footage = root.with_file_name("footage");
    let ready_path = root.join("ready.json");
    std::fs::create_dir_all(&root)?;
    let _lock = only_one(&root)?;
    match std::fs::remove_file(&ready_path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    if arguments.fresh {
        forget(&root)?;
    }
    let mut plan = RegionPlan::of(usize::from(arguments.halls), arguments.windows, 1, footage);
    plan.speed = arguments.speed;
    plan.history_days = arguments.history_days;
    if let Some(hall) = plan.halls.first_mut() {
        hall.spares =
            Some(SparesPlan { site: free(&arguments.hall_site), discovery_port: ONVIF_DISCOVERY_PORT });
    }
    plan.recording = !arguments.no_recording;

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listen = free(&arguments.listen);
    let start = Region::start(plan, &root, &listen, "127.0.0.1:0", |line| println!("{line}"));
    let mut region = tokio::select! {
        started = start => started?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    write_json(&ready_path, &region.ready())?;
    print_how_to_see(&region, begun.elapsed());

    let end = arguments
        .minutes
        .map(|minutes| tokio::time::Instant::now() + Duration::from_secs_f64(minutes * 60.0));
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let ready_at = Instant::now();
    let mut before = region.sizes();
    let mut reported = ready_at;
    let result = loop {
        tokio::select! {
            _ = look.tick() => {
                if let Err(error) = region.check() {
                    break Err(error);
                }
                if reported.elapsed() >= Duration::from_secs(300) {
                    print_usage(&region, &before, reported.elapsed());
                    before = region.sizes();
                    reported = Instant::now();
                }
            }
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            _ = tokio::time::sleep_until(end.unwrap_or_else(tokio::time::Instant::now)), if end.is_some() => break Ok(()),
        }
    };
    if reported == ready_at {
        print_usage(&region, &before, reported.elapsed());
    }
    println!("stopping");
    let _ = std::fs::remove_file(&ready_path);
    let stopped = region.stop().await;
    result.and(stopped)
}

/// Keeps a second demo off the same data.
fn only_one(root: &Path) -> Result<std::fs::File> {
    let lock = std::fs::File::create(root.join("lock"))?;
    if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("a demo is running already on {}; stop it first, or give this one --data", root.display());
    }
    Ok(lock)
}

/// Removes what earlier runs kept.
fn forget(root: &Path) -> Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name() == "lock" {
            continue;
        }
        let removed = if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        };
        removed.with_context(|| format!("removing {}", entry.path().display()))?;
    }
    Ok(())
}

/// `listen` if it is free, else the same host with any port.
fn free(listen: &str) -> String {
    match std::net::TcpListener::bind(listen) {
        Ok(_) => listen.to_owned(),
        Err(_) => {
            let host = listen.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
            println!("{listen} is taken; using a free port");
            format!("{host}:0")
        }
    }
}

fn print_how_to_see(region: &Region, after: Duration) {
    let ready = region.ready();
    println!(
        "\nready after {:.0} s: {} halls, {} cameras\n",
        after.as_secs_f64(),
        ready.halls.len(),
        ready.cameras.len()
    );
    println!("  open  {}", ready.url);
    println!("        (its certificate is from the centre's own CA, {}; a browser asks once)\n", ready.ca);
    println!("  {:<15} {:<9} {:<16} sees", "role", "name", "password");
    for user in &ready.users {
        let place = user.hall.as_ref().unwrap_or(&user.area);
        println!("  {:<15} {:<9} {:<16} {place}", user.role, user.name, user.password);
    }
    for hall in &ready.halls {
        let (Some(site), Some(spares)) = (&hall.site, &hall.spares) else { continue };
        println!("\n  pair devices at {} (docs/guide/pair-devices.md):", hall.name);
        println!("    {site}   the hall's own page; it asks for a site pass");
        println!("    {}/halls/{}/passes   sign in as tech and issue one", ready.url, hall.id);
        println!("    to be found there: an evaluator on {} (address 5),", spares.bus.display());
        println!(
            "    one of an unknown maker on {}, a terminal at {},",
            spares.unknown.display(),
            spares.attendance
        );
        println!(
            "    and a camera at 127.0.0.1, ONVIF port {}, user {CAMERA_USER}, password {CAMERA_PASSWORD}",
            spares.onvif
        );
        println!(
            "    their keys:  curl -d '{{\"device\":\"unknown\",\"grade\":5}}' -H 'content-type: application/json' {}/spares",
            hall.control
        );
    }
    println!("\nCtrl-C ends everything.");
}

fn print_usage(region: &Region, before: &region::Sizes, over: Duration) {
    println!("\nover the last {:.0} s: per cent of one core, and memory now", over.as_secs_f64());
    let mut total = 0.0;
    for ((name, now), (_, then)) in region.sizes().0.iter().zip(&before.0) {
        let share = now.cpu.saturating_sub(then.cpu).as_secs_f64() / over.as_secs_f64() * 100.0;
        total += share;
        println!("  {name:<28} {share:>6.1} %  {:>7.1} MiB", now.resident as f64 / 1024.0 / 1024.0);
    }
    println!("  {:<28} {total:>6.1} %", "all");
}
