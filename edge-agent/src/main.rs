//! Command line of the agent.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use control_protocol::{chain::Digest, enrolment::PairingCode};
use edge_agent::{
    cameras::{
        audit::{self, CameraCommand},
        transcode::child::{self, ChildArguments},
    },
    clock::{Clock, SystemClock},
    config::Config,
    devices::{misfits, profiles},
    history, journal, profile_tool,
    run::{self, DataLock, make_private},
    uplink::{enrol, identity::Identity},
    vault::{Secret, Vault},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Pictures are blocks of a few kilobytes that come and go by the thousand; the C library's allocator spends more time on
/// them and gives less back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The environment variable a pairing code may stand in.
const CODE_VARIABLE: &str = "HALLWATCH_PAIRING_CODE";

#[derive(Parser)]
#[command(name = "edge-agent", version, about = "The agent in a service hall")]
struct Arguments {
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = Log::Human)]
    log: Log,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Log {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent.
    Run {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Read a configuration and say what is wrong with it.
    CheckConfig {
        /// The configuration.
        file: PathBuf,
    },
    /// Become a node of the centre, with a pairing code.
    Enrol {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
        /// The pin of the centre's key, as its pages show it: 64 hexadecimal digits.
        #[arg(long)]
        pin: Digest,
        /// The pairing code. Other users of the machine can see arguments: better give it on standard input or in
        /// HALLWATCH_PAIRING_CODE.
        #[arg(long)]
        code: Option<String>,
    },
    /// Passwords of cameras and terminals.
    Credential {
        #[command(subcommand)]
        action: Credential,
    },
    /// Find and audit cameras.
    Camera {
        #[command(subcommand)]
        action: CameraCommand,
    },
    /// Turn a coded stream into another, from standard input to standard output; for the agent's own use.
    #[command(hide = true)]
    Transcode(ChildArguments),
    /// Take past readings (JSON lines) to the record.
    Import {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
        /// The readings.
        file: PathBuf,
    },
    /// Look after the recordings.
    Recordings {
        #[command(subcommand)]
        action: RecordingsAction,
    },
    /// Describe the protocol of a device that nobody has a driver for.
    Profile {
        #[command(subcommand)]
        action: profile_tool::ProfileCommand,
    },
    /// Look after the journal.
    Journal {
        #[command(subcommand)]
        action: JournalAction,
    },
}

#[derive(Subcommand)]
enum Credential {
    /// Seal a secret, read from standard input, under a name.
    Set {
        /// The name, as `credential` in the configuration has it.
        name: String,
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum RecordingsAction {
    /// Read every segment and compare it with its digests and the index.
    Verify {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Make the recording index again from the segments, while the agent is stopped.
    Rebuild {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Take a new disk for the recordings, while the agent is stopped.
    Adopt {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum JournalAction {
    /// Walk the hash chain from the first event kept to the last.
    Verify {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log {
        Log::Human => log.with_ansi(std::io::stderr().is_terminal()).init(),
        Log::Json => log.json().init(),
    }
    if let Command::Transcode(arguments) = &arguments.command {
        return match child::run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::warn!("transcoding ended: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    // One thread carries every byte: disks, digests and decoders have threads of their own, and waking another thread for
    // a single picture costs more than sending it does (docs/design/hub.md).
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(act(arguments.command));
    // A blocking call that hangs (a dead serial adapter) must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run { config } => {
            let config = Config::load(&config)?;
            run::run(config, stopped_by_signals()?).await
        }
        Command::CheckConfig { file } => {
            let config = Config::load(&file)?;
            let (library, refused) = profiles::load(&config.hall.data)?;
            let refused = refused.iter().map(|error| format!("a profile is refused: {error}"));
            let faults: Vec<String> = refused.chain(misfits(&config, &library)).collect();
            if !faults.is_empty() {
                bail!("{}", faults.join("\n"));
            }
            println!(
                "{} is sound: hall {} {}, {} windows, {} cameras",
                file.display(),
                config.hall.id,
                config.hall.name,
                config.windows.len(),
                config.cameras.len()
            );
            Ok(())
        }
        Command::Enrol { config, pin, code } => {
            let config = Config::load(&config)?;
            let _lock = DataLock::take(&config.hall.data)?;
            let code = pairing_code(code)?;
            let identity = enrol::enrol(&config.centre.url, pin, code, &config.hall.id).await?;
            identity.store(&config.hall.data)?;
            println!("this machine is now node {} of hall {}", identity.node, identity.hall);
            Ok(())
        }
        Command::Credential { action: Credential::Set { name, config } } => {
            let config = Config::load(&config)?;
            let secret = first_line("the secret")?;
            make_private(&config.hall.data)?;
            Vault::at(&config.hall.data).set(&name, &Secret::new(secret))?;
            println!("credential {name} is set");
            Ok(())
        }
        Command::Camera { action } => {
            audit::carry_out(action, &mut std::io::stdout(), &stopped_by_signals()?).await
        }
        // Carried out before there is a runtime.
        Command::Transcode(_) => Ok(()),
        Command::Import { config, file } => import(&Config::load(&config)?, &file).await,
        Command::Recordings { action } => recordings(action),
        Command::Profile { action } => profile_tool::run(action).await,
        Command::Journal { action: JournalAction::Verify { config } } => verify(&Config::load(&config)?),
    }
}

fn stopped_by_signals() -> anyhow::Result<CancellationToken> {
    let cancel = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = cancel.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(cancel)
}

fn first_line(what: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    if std::io::stdin().is_terminal() {
        eprintln!("type {what} and end with Enter:");
        std::io::stdin().read_line(&mut text)?;
    } else {
        std::io::stdin().take(4096).read_to_string(&mut text)?;
    }
    let line = text.lines().next().unwrap_or_default().to_owned();
    if line.is_empty() {
        bail!("{what} is expected on standard input");
    }
    Ok(line)
}

fn pairing_code(argument: Option<String>) -> anyhow::Result<PairingCode> {
    let text = match argument.or_else(|| std::env::var(CODE_VARIABLE).ok()) {
        Some(text) => text,
        None => first_line("the pairing code")?,
    };
    Ok(text.trim().parse()?)
}

async fn import(config: &Config, file: &std::path::Path) -> anyhow::Result<()> {
    let _lock = DataLock::take(&config.hall.data)?;
    let content = std::fs::read(file).with_context(|| file.display().to_string())?;
    let clock = SystemClock::start();
    let (_, log, serials, thread) = run::open_journal(config, clock.clone()).await?;
    let done = history::import(config, &log, serials, &content, clock.now_utc()).await;
    drop(log);
    tokio::task::spawn_blocking(move || thread.join()).await?;
    let done = done.with_context(|| file.display().to_string())?;
    println!("{} readings gave {} events; {} had no effect", done.readings, done.events, done.without_effect);
    Ok(())
}

fn recordings(action: RecordingsAction) -> anyhow::Result<()> {
    use edge_agent::recorder::{disk::Disk, index::rebuild};
    let found = match action {
        RecordingsAction::Adopt { config } => {
            let config = Config::load(&config)?;
            let _lock = DataLock::take(&config.hall.data)?;
            let node = Identity::load(&config.hall.data)?.node;
            std::fs::create_dir_all(&config.recording.folder).context("the folder of recordings")?;
            Disk::take(&config.recording.folder, &config.hall.data, &node, true)?;
            println!("recordings go to {} from now on", config.recording.folder.display());
            return Ok(());
        }
        RecordingsAction::Rebuild { config } => {
            let config = Config::load(&config)?;
            let _lock = DataLock::take(&config.hall.data)?;
            let found = rebuild::rebuild(&config.recording.folder)?;
            found.faults.iter().for_each(|fault| println!("{fault}"));
            println!("{} segments with {} frames are in the index", found.segments, found.frames);
            return Ok(());
        }
        RecordingsAction::Verify { config } => rebuild::verify(&Config::load(&config)?.recording.folder)?,
    };
    for fault in &found.faults {
        println!("{fault}");
    }
    if !found.faults.is_empty() {
        bail!("the recordings are not whole: {} faults in {} segments", found.faults.len(), found.segments);
    }
    println!("{} segments with {} frames, all whole", found.segments, found.frames);
    Ok(())
}

fn verify(config: &Config) -> anyhow::Result<()> {
    let found = journal::verify(&config.hall.data)?;
    for (epoch, first, last) in &found.epochs {
        println!("epoch {epoch}: events {first} to {last}");
    }
    for fault in &found.faults {
        println!("{fault}");
    }
    if !found.faults.is_empty() {
        bail!("the journal is not whole: {} faults in {} events", found.faults.len(), found.events);
    }
    println!("{} events, the chain is whole", found.events);
    Ok(())
}
