//! The control centre's command line.

use std::{
    io::{IsTerminal, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use control_center::{
    Clock,
    access::{
        self, NewUser, Role,
        checkpoint::{self, AuditKey, Broken, Whole},
    },
    areas::import,
    attendance::{
        calendar::{CalendarYear, SignedCalendar},
        calendar_key::CalendarKey,
        calendars,
    },
    backup,
    config::ConfigFile,
    evidence::{
        key::{EvidenceKey, PublicKey, Trusted},
        say::{self, Language},
        verify::verify,
    },
    nodes::{self, Nodes, pairing},
    site::serve,
    statistics::rebuild,
    store::{Sql, Store, StoreError},
};
use control_protocol::HallId;
use tokio_util::sync::CancellationToken;

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
    Calendar(Calendar),
    /// People.
    #[command(subcommand)]
    User(User),
    /// Print the pin of the centre's key, which a machine needs beside its pairing code.
    Pin {
        #[command(flatten)]
        place: Place,
    },
    /// Evidence packages.
    #[command(subcommand)]
    Evidence(Evidence),
    /// The sums under all statistics.
    #[command(subcommand)]
    Statistics(Statistics),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
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

/// Where the centre keeps its things.
#[derive(Args)]
struct Place {
    /// The data folder.
    #[arg(long, default_value = "/var/lib/hallwatch-centre")]
    data: PathBuf,
}

#[derive(Subcommand)]
enum Calendar {
    /// Make the key with which an office signs calendars, and print its fingerprint.
    NewKey {
        /// The file; it must not be there yet. Keep it as a seal is kept.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a year and print the signed file.
    Sign {
        /// The office's key.
        #[arg(long)]
        key: PathBuf,
        /// The year, JSON.
        file: PathBuf,
    },
    /// Import a signed year; works while the centre runs.
    Import {
        /// The signed file.
        file: PathBuf,
        /// The key that is to have signed it, its fingerprint, or a file with either; without it the key must be on the
        /// centre's list.
        #[arg(long, value_name = "KEY")]
        trust: Option<String>,
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

#[derive(Subcommand)]
enum Evidence {
    /// Verify a package, on any machine and with no network. Ends with 0 if it is intact (and signed by the trusted key, if
    /// one is given), 1 if it is not, 2 if it cannot be read.
    Verify {
        /// The package.
        file: PathBuf,
        /// The key of the centre that is to have signed it, its fingerprint, or a file with either.
        #[arg(long, value_name = "KEY")]
        trust: Option<String>,
        /// The language of the answer, zh-CN or en [by the environment].
        #[arg(long)]
        lang: Option<Language>,
    },
    /// Print the centre's evidence key and its fingerprint, for those who are to verify packages.
    Key {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
enum Statistics {
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

#[derive(Subcommand)]
enum Audit {
    /// Check that no row was changed or removed and that every checkpoint is signed; works while the centre runs. Ends with 0
    /// if the log is whole, 1 if it is not (and names the first bad place), 2 if it cannot be read.
    Verify {
        /// The key that must have signed every checkpoint: 64 hexadecimal digits, as `audit key` prints it.
        #[arg(long, value_name = "KEY")]
        trust: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Print the public key that signs checkpoints, to be kept on another machine.
    Key {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
enum User {
    /// Add somebody, or set their role and password. The password is read from standard input.
    Add {
        /// The name they sign in with.
        name: String,
        /// administrator, supervisor, hall_manager, hr or technician.
        #[arg(long)]
        role: Role,
        /// The id of an area or a hall.
        #[arg(long)]
        scope: String,
        /// Take the password as it is, without having it changed at the first sign-in.
        #[arg(long)]
        keep_password: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Give somebody a new password, read from standard input. Their sessions end.
    SetPassword {
        /// The name they sign in with.
        name: String,
        /// Take the password as it is, without having it changed at the first sign-in.
        #[arg(long)]
        keep_password: bool,
        #[command(flatten)]
        place: Place,
    },
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Command::Evidence(command) = cli.command {
        return evidence(command);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Command::Audit(command) = cli.command {
        return runtime.block_on(audit(command));
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
            Command::Calendar(command) => calendar(command).await,
            Command::User(user) => change_user(user).await,
            Command::Pin { place } => {
                let store = open(place.data.clone()).await?;
                let nodes = Nodes::open(&place.data, store.clone(), Clock::system()).await;
                store.close().await;
                println!("{}", nodes?.pin());
                Ok(())
            }
            Command::Statistics(command) => statistics(command).await,
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

fn evidence(command: Evidence) -> Result<ExitCode> {
    match command {
        Evidence::Verify { file, trust, lang } => {
            let language = lang.unwrap_or_else(|| Language::of_environment(|name| std::env::var(name).ok()));
            match judged(&file, trust.as_deref(), language) {
                Ok((intact, words)) => {
                    print!("{words}");
                    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::from(1) })
                }
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    Ok(ExitCode::from(2))
                }
            }
        }
        Evidence::Key { place } => {
            if !place.data.join(serve::DATABASE).exists() {
                bail!("there is no centre in {}: give its data folder with --data", place.data.display());
            }
            let key = EvidenceKey::open(&place.data)?.public();
            println!("key         {key}\nfingerprint {}\n\n{}", say::fingerprint(&key), key.pem().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn audit(command: Audit) -> Result<ExitCode> {
    match command {
        Audit::Verify { trust, place } => match judged_audit(trust, place).await {
            Ok(Ok(whole)) => {
                println!(
                    "the audit log is whole: {} rows, {} of them under {} signed checkpoints",
                    whole.rows, whole.signed, whole.checkpoints
                );
                for (key, count) in whole.keys {
                    println!("key {key} signed {count}");
                }
                Ok(ExitCode::SUCCESS)
            }
            Ok(Err(broken)) => {
                println!("the audit log is NOT whole: {broken}");
                Ok(ExitCode::from(1))
            }
            Err(error) => {
                eprintln!("the audit log cannot be read: {error:#}");
                Ok(ExitCode::from(2))
            }
        },
        Audit::Key { place } => {
            if !place.data.join(serve::DATABASE).exists() {
                bail!("there is no centre in {}: give its data folder with --data", place.data.display());
            }
            println!("{}", data_encoding::HEXLOWER.encode(&AuditKey::open(&place.data)?.public()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn judged_audit(trust: Option<String>, place: Place) -> Result<Result<Whole, Broken>> {
    let trusted = trust
        .map(|text| {
            let key = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
            key.and_then(|key| <[u8; 32]>::try_from(key).ok())
                .context("the key is 64 hexadecimal digits: `control-center audit key` prints it")
        })
        .transpose()?;
    let store = open(place.data).await?;
    let result = store.read(move |sql| checkpoint::verify(sql, trusted)).await;
    store.close().await;
    Ok(result?)
}

/// Whether a package is intact, and the verdict in words.
fn judged(file: &Path, trust: Option<&str>, language: Language) -> Result<(bool, String)> {
    let trust = trust.map(Trusted::read).transpose()?;
    let report = verify(std::fs::File::open(file)?, trust.as_ref())?;
    Ok((report.intact(), say::words(&report, language)))
}

async fn statistics(command: Statistics) -> Result<()> {
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

/// Opens the store of a data folder that is there.
async fn open(data: PathBuf) -> Result<Store> {
    if !data.join(serve::DATABASE).exists() {
        bail!("there is no centre in {}: give its data folder with --data", data.display());
    }
    tokio::task::spawn_blocking(move || serve::open_store(&data)).await?
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

async fn calendar(command: Calendar) -> Result<()> {
    match command {
        Calendar::NewKey { out } => {
            let key = CalendarKey::make(&out).with_context(|| out.display().to_string())?;
            println!("fingerprint {}", say::fingerprint(&key.public()));
            Ok(())
        }
        Calendar::Sign { key, file } => {
            let key = CalendarKey::open(&key).with_context(|| key.display().to_string())?;
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            println!("{}", serde_json::to_string_pretty(&key.seal(text)?)?);
            Ok(())
        }
        Calendar::Import { file, trust, place } => {
            let trust = trust.as_deref().map(Trusted::read).transpose()?;
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let signed: SignedCalendar = serde_json::from_str(&text).context("this is no signed calendar")?;
            let (year, key) = signed.open()?;
            let store = open(place.data).await?;
            let imported = import_calendar(&store, year, key, trust).await;
            store.close().await;
            imported
        }
    }
}

async fn import_calendar(
    store: &Store,
    year: CalendarYear,
    key: PublicKey,
    trust: Option<Trusted>,
) -> Result<()> {
    let listed = store.read(move |sql| calendars::trusts(sql, &key)).await?;
    if !listed && !trust.is_some_and(|trusted| trusted.is(&key)) {
        bail!(
            "signed by {}, which is not trusted here: compare it and give it with --trust",
            say::fingerprint(&key)
        );
    }
    let (object, now) = (format!("{}/{}", year.layer, year.year), Clock::system().now());
    store.write("calendar", move |tx| calendars::put_calendar(tx, &year, &key, "command line", now)).await?;
    record(store, "calendar.imported", object.clone()).await?;
    println!("{object} is imported");
    Ok(())
}

/// Writes to the audit log that a backup was made.
async fn audited(data: PathBuf, made: &backup::Copied) -> Result<()> {
    let store = open(data).await?;
    let noted = backup::note_backup(&store, made).await;
    store.close().await;
    Ok(noted?)
}

/// Writes to the audit log what was done at the command line.
async fn record(store: &Store, action: &'static str, object: String) -> Result<(), StoreError> {
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

/// A password from standard input: the first line, so that it stands in no process list and no history.
fn read_password(name: &str) -> Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("reading the password")?;
    let password = text.lines().next().unwrap_or_default().to_owned();
    access::check_password_rules(name, &password).map_err(anyhow::Error::msg)?;
    Ok(password)
}

async fn change_user(user: User) -> Result<()> {
    let now = Clock::system().now();
    match user {
        User::Add { name, role, scope, keep_password, place } => {
            let password = read_password(&name)?;
            let store = open(place.data).await?;
            let user = NewUser {
                password_hash: tokio::task::spawn_blocking(move || access::hash_password(&password))
                    .await??,
                name: name.clone(),
                must_change: !keep_password,
                grants: vec![(role, scope)],
            };
            let added = store.write("user added", move |tx| access::add_user(tx, &user, now)).await;
            let recorded = record(&store, "user.added", name).await;
            store.close().await;
            added?;
            Ok(recorded?)
        }
        User::SetPassword { name, keep_password, place } => {
            let password = read_password(&name)?;
            let hash = tokio::task::spawn_blocking(move || access::hash_password(&password)).await??;
            let store = open(place.data).await?;
            let who = name.clone();
            let found = store
                .write("password", move |tx| {
                    access::set_password(tx as &mut dyn Sql, &who, &hash, !keep_password, None)
                })
                .await;
            let recorded = record(&store, "password.set", name.clone()).await;
            store.close().await;
            if !found? {
                bail!("there is nobody called {name}");
            }
            Ok(recorded?)
        }
    }
}
