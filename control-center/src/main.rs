//! The control centre's command line.

mod command;

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use control_center::{
    Clock,
    areas::import,
    backup,
    config::ConfigFile,
    nodes::{self, Nodes, pairing},
    site::serve,
};
use control_protocol::HallId;
use tokio_util::sync::CancellationToken;

use crate::command::{Place, audit, calendar, evidence, open, record, statistics, user};

/// Pictures are blocks of a few kilobytes that come and go by the thousand, and hashing a password takes nineteen megabytes
/// that the C library's allocator keeps for each of its arenas.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hallwatch control centre: intake, live wall and the people's site.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the centre until it is told to stop.
    Run(Run),
    /// Add areas, halls, windows, staff and people from a TOML or JSON file; works while the centre runs.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Issue a pairing code for a hall's machine: 24 hours, single use; works while the centre runs.
    PairingCode {
        /// The hall, such as 450103-01.
        #[arg(long)]
        hall: HallId,
        #[command(flatten)]
        place: Place,
    },
    /// Calendars of workdays: sign them at an office, import them at a centre.
    #[command(subcommand)]
    Calendar(calendar::Calendar),
    /// People.
    #[command(subcommand)]
    User(user::User),
    /// Print the pin of the centre's key, which a machine needs beside its pairing code.
    Pin {
        #[command(flatten)]
        place: Place,
    },
    /// Evidence packages.
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    /// The sums under all statistics.
    #[command(subcommand)]
    Statistics(statistics::Statistics),
    /// The audit log.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Walk the record of every hall and say whether its chain is whole; works while the centre runs.
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Back the centre up into a new folder: database, authority and secrets; works while the centre runs.
    Backup {
        /// The folder that backups are put into.
        #[arg(long)]
        to: PathBuf,
        /// Keep only so many backups there, this one among them.
        #[arg(long)]
        keep: Option<usize>,
        #[command(flatten)]
        place: Place,
    },
    /// Put a backup back, while the centre is stopped. Halls send again what it lacks, up to seven days.
    Restore {
        /// The backup's folder.
        #[arg(long)]
        from: PathBuf,
        /// Move a centre that is there aside.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Run {
    /// A TOML file with data, listen, nodes_listen, site_names, import; what stands on the command line goes before it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The data folder [/var/lib/hallwatch-centre].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where people reach the centre, HTTPS [0.0.0.0:8443]; port 0 takes any.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where nodes reach the centre, mutual TLS [0.0.0.0:9443]; port 0 takes any.
    #[arg(long)]
    nodes_listen: Option<SocketAddr>,
    /// A file to import at the first start.
    #[arg(long)]
    import: Option<PathBuf>,
    /// A host name or address for the centre's certificates; may be given several times [localhost, 127.0.0.1].
    #[arg(long = "site-name")]
    site_names: Vec<String>,
    /// Logs as JSON lines.
    #[arg(long)]
    log_json: bool,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Command::Evidence(command) = cli.command {
        return evidence::run(command);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Command::Audit(command) = cli.command {
        return runtime.block_on(audit::run(command));
    }
    if let Command::Run(run) = cli.command {
        // One thread for all pictures: between threads, waking costs more than sending does (docs/design/hub.md).
        let pictures = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        pictures.block_on(start(run, runtime.handle().clone()))?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime.block_on(async {
        match cli.command {
            Command::Evidence(_) | Command::Audit(_) | Command::Run(_) => Ok(()),
            Command::Import { file, place } => {
                let read = tokio::task::spawn_blocking(move || import::read(&file)).await??;
                let store = open(place.data).await?;
                let imported = import::take(&store, read, Clock::system().now()).await;
                store.close().await;
                println!("{:?}", imported?);
                Ok(())
            }
            Command::PairingCode { hall, place } => pairing_code(hall, place).await,
            Command::Calendar(command) => calendar::run(command).await,
            Command::User(user) => user::run(user).await,
            Command::Pin { place } => {
                let store = open(place.data.clone()).await?;
                let nodes = Nodes::open(&place.data, store.clone(), Clock::system()).await;
                store.close().await;
                println!("{}", nodes?.pin());
                Ok(())
            }
            Command::Statistics(command) => statistics::run(command).await,
            Command::Verify { place } => verify_record(place).await,
            Command::Backup { to, keep, place } => {
                let (now, data) = (Clock::system().now(), place.data.clone());
                let made = tokio::task::spawn_blocking(move || backup::make(&data, &to, keep, now)).await??;
                println!("{}: {} files, {} bytes", made.folder.display(), made.files, made.bytes);
                // A full disk, most likely: then the backup is what is needed most.
                if let Err(error) = audited(place.data, &made).await {
                    eprintln!("the backup is made, and could not be written into the audit log: {error:#}");
                }
                Ok(())
            }
            Command::Restore { from, replace, place } => {
                let now = Clock::system().now();
                let back =
                    tokio::task::spawn_blocking(move || backup::put_back(&from, &place.data, replace, now))
                        .await??;
                println!("{} is the centre of {}", back.folder.display(), back.made_at);
                if let Some(before) = back.before {
                    println!("what stood there before is in {}", before.display());
                }
                Ok(())
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn start(run: Run, work: tokio::runtime::Handle) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if run.log_json {
        log.json().init()
    } else {
        log.init()
    }
    // Each connection is a descriptor, and what a service is given softly (1024) is few.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, most) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let file = run.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
    let over = ConfigFile {
        data: run.data,
        listen: run.listen,
        nodes_listen: run.nodes_listen,
        site_names: run.site_names,
        import: run.import,
        ..ConfigFile::default()
    };
    let config = file.under(over);
    let stop = CancellationToken::new();
    let signals = stop.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let watch = tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            () = signals.cancelled() => {}
        }
        signals.cancel();
    });
    let announce = |name: &str, password: &str| {
        println!(
            "First start. Sign in as `{name}` with the one-time password {password} and choose your own."
        );
    };
    let result = serve::run(config, Clock::system(), work, stop.clone(), announce).await;
    stop.cancel();
    watch.await?;
    result
}

/// Walks the record and says what is wrong with it.
async fn verify_record(place: Place) -> Result<()> {
    let store = open(place.data).await?;
    let found = store.read(nodes::verify::verify).await;
    store.close().await;
    let found = found?;
    for (node, epoch, first, last) in &found.journals {
        println!("{node}, epoch {epoch}: events {first} to {last}");
    }
    for fault in &found.faults {
        println!("{fault}");
    }
    if found.wrong > 0 {
        bail!(
            "the record is not whole: {} faults in {} events; the first stands above",
            found.wrong,
            found.events
        );
    }
    println!("{} events and {} kept apart, every chain is whole", found.events, found.apart);
    Ok(())
}

async fn pairing_code(hall: HallId, place: Place) -> Result<()> {
    let store = open(place.data.clone()).await?;
    let clock = Clock::system();
    let issued = async {
        let nodes = Nodes::open(&place.data, store.clone(), clock.clone()).await?;
        let code = pairing::issue(&store, hall.clone(), "command line".into(), clock.now()).await?;
        record(&store, "pairing_code.issued", hall.to_string()).await?;
        anyhow::Ok((code, nodes.pin()))
    };
    let issued = issued.await;
    store.close().await;
    let (issued, pin) = issued?;
    println!("code    {}\npin     {pin}\nexpires {}", issued.code.reveal(), issued.expires_at);
    Ok(())
}

/// Writes to the audit log that a backup was made.
async fn audited(data: PathBuf, made: &backup::Copied) -> Result<()> {
    let store = open(data).await?;
    let noted = backup::note_backup(&store, made).await;
    store.close().await;
    Ok(noted?)
}
