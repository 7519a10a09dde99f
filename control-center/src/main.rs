//! The control centre's command line.

use std::{
    io::{IsTerminal, Read},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use control_center::{
    Clock,
    access::{self, NewUser, Role},
    areas::import,
    config::ConfigFile,
    nodes::{Nodes, pairing},
    site::serve,
    store::{Sql, Store, StoreError},
};
use control_protocol::HallId;
use tokio_util::sync::CancellationToken;

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
    /// People.
    #[command(subcommand)]
    User(User),
    /// Print the pin of the centre's key, which a machine needs beside its pairing code.
    Pin {
        #[command(flatten)]
        place: Place,
    },
    /// Check that no row of the audit log was changed or removed.
    VerifyAudit {
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

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Run(run) => start(run).await,
            Command::Import { file, place } => {
                let read = tokio::task::spawn_blocking(move || import::read(&file)).await??;
                let store = open(place.data).await?;
                let imported = import::take(&store, read, Clock::system().now()).await;
                store.close().await;
                println!("{:?}", imported?);
                Ok(())
            }
            Command::PairingCode { hall, place } => pairing_code(hall, place).await,
            Command::User(user) => change_user(user).await,
            Command::Pin { place } => {
                let store = open(place.data.clone()).await?;
                let nodes = Nodes::open(&place.data, store.clone(), Clock::system()).await;
                store.close().await;
                println!("{}", nodes?.pin());
                Ok(())
            }
            Command::VerifyAudit { place } => {
                let store = open(place.data).await?;
                let result = store.read(access::audit::verify).await;
                store.close().await;
                match result? {
                    Ok(rows) => println!("the audit log is whole: {rows} rows"),
                    Err(row) => bail!("row {row} of the audit log is missing or is not what was written"),
                }
                Ok(())
            }
        }
    })
}

/// Opens the store of a data folder that is there.
async fn open(data: PathBuf) -> Result<Store> {
    if !data.join(serve::DATABASE).exists() {
        bail!("there is no centre in {}: give its data folder with --data", data.display());
    }
    tokio::task::spawn_blocking(move || serve::open_store(&data)).await?
}

async fn start(run: Run) -> Result<()> {
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
    let file = run.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
    let over = ConfigFile {
        data: run.data,
        listen: run.listen,
        nodes_listen: run.nodes_listen,
        site_names: run.site_names,
        import: run.import,
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
    let result = serve::run(config, Clock::system(), stop.clone(), announce).await;
    stop.cancel();
    watch.await?;
    result
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
