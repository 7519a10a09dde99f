//! A centre from start to stop: opens the store and the authority, serves people and nodes, and ends within five
//! seconds of being told to.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use axum_server::{
    Handle,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use control_protocol::UtcMillis;
use serde::Serialize;
use tokio::runtime::Handle as Runtime;
use tokio_util::sync::CancellationToken;

use super::{assembly, beside::beside, doorway::Doorway, service};
use crate::{
    Centre, Clock,
    access::{
        Doorkeeper,
        checkpoint::{self, AuditKey},
        first_administrator,
    },
    areas::{import, tree},
    backup,
    centre::Parts,
    config::Config,
    data_lock::DataLock,
    evidence::{Evidence, key::EvidenceKey},
    live::Live,
    nodes::{self, Nodes},
    params, queue,
    recordings::{
        Viewings,
        copy::Copies,
        kept::{self, Kept, Limits},
    },
    statistics,
    store::{Store, StoreError, Tx},
    webhooks::{Runner, Secrets},
};

/// The database's name in the data folder.
pub const DATABASE: &str = "centre.db";
/// Where a running centre writes its addresses.
pub const ADDRESSES: &str = "addresses.json";
/// How long open connections have when the centre stops.
const STOPPING: Duration = Duration::from_secs(3);
/// The longest a client may take over a request's headers.
const HEADERS: Duration = Duration::from_secs(10);

/// Where a running centre is, for programs: `addresses.json` in the data folder.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// The people's site, `https://…`.
    pub site: String,
    /// The node listener, `https://…`.
    pub nodes: String,
    /// The pin of the authority's key.
    pub pin: String,
}

/// Opens the store of a data folder, which is made if need be for its owner alone. Blocking.
pub fn open_store(data: &Path) -> Result<Store> {
    make_folder(data)?;
    Ok(Store::open_sqlite(&data.join(DATABASE))?)
}

fn make_folder(data: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.with_context(|| format!("making the data folder {}", data.display()))
}

/// Runs a centre until `stop`: connections and pictures on the runtime this is called on, which may be of one thread, and
/// people's requests on `work`. `announce` is given the first administrator's name and one-time password, once.
pub async fn run(
    config: Config,
    clock: Clock,
    work: Runtime,
    stop: CancellationToken,
    announce: impl FnOnce(&str, &str),
) -> Result<()> {
    let data = config.data.clone();
    let (_alone, store) = tokio::task::spawn_blocking(move || {
        make_folder(&data)?;
        anyhow::Ok((DataLock::take(&data)?, open_store(&data)?))
    })
    .await??;
    let result = serve(&config, clock, work, stop, announce, store.clone()).await;
    store.close().await;
    tracing::info!("the centre has stopped");
    result
}

async fn serve(
    config: &Config,
    clock: Clock,
    work: Runtime,
    stop: CancellationToken,
    announce: impl FnOnce(&str, &str),
    store: Store,
) -> Result<()> {
    backup::note_restore(&store, &config.data, clock.now()).await?;
    first_start(config, &store, clock.now()).await?;
    if let Some((name, password)) = first_administrator(&store, clock.now()).await? {
        announce(&name, &password);
    }
    statistics::rebuild::build_missing(&store).await?;
    let centre = centre(
        &config.data,
        (config.keep, config.copies_at_once),
        store.clone(),
        clock.clone(),
        stop.clone(),
    )
    .await?;
    let nodes = centre.nodes.clone();
    let data = config.data.clone();
    let audit_key = tokio::task::spawn_blocking(move || AuditKey::open(&data)).await??;
    let signing = checkpoint::keep(store.clone(), clock.clone(), audit_key, stop.clone());
    let signing = tokio::spawn(signing);
    let database = store.clone();
    let sending = Runner::new(store, clock.clone(), centre.webhooks.clone()).run(stop.clone());
    let mut sending = work.spawn(sending);
    let site_listener = bind(config.listen).context("the people's site")?;
    let nodes_listener = bind(config.nodes_listen).context("the node listener")?;
    let addresses = Addresses {
        site: url(site_listener.local_addr()?, &config.site_names),
        nodes: url(nodes_listener.local_addr()?, &config.site_names),
        pin: nodes.pin().to_string(),
    };
    let mut authorities = nodes.authorities().watch();
    authorities.mark_unchanged();
    let shown = RustlsConfig::from_config(tls(&nodes, &config.site_names, &clock)?);
    let (keeping, held, time) = (nodes.clone(), shown.clone(), clock.clone());
    let (names, folder, at) = (config.site_names.clone(), config.data.clone(), addresses.clone());
    let renewed = move || {
        held.reload_from_config(tls(&keeping, &names, &time)?);
        write_addresses(&folder, &Addresses { pin: keeping.pin().to_string(), ..at.clone() })
    };
    tokio::spawn(nodes::shown::keep_shown("site", authorities, renewed, stop.clone()));
    let handle = Handle::new();
    let acceptor = RustlsAcceptor::new(shown).acceptor(Doorway::of_people());
    let mut server = axum_server::from_tcp(site_listener)?.acceptor(acceptor).handle(handle.clone());
    server.http_builder().http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEADERS);
    let mut scores = work.spawn(queue::keep_scores(centre.clone()));
    let mut keeping = work.spawn(kept::keep(centre.clone()));
    let service = beside(assembly::router(centre), work).into_make_service_with_connect_info::<SocketAddr>();
    let mut site = tokio::spawn(server.serve(service));
    let nodes_listener = tokio::net::TcpListener::from_std(nodes_listener)?;
    let names = config.site_names.clone();
    let nodes_stop = stop.clone();
    let mut node_side =
        tokio::spawn(async move { nodes::serve::serve(nodes, nodes_listener, &names, nodes_stop).await });
    write_addresses(&config.data, &addresses)?;
    let watchdog = tokio::spawn(service::watch(database.clone()));
    service::say(sd_notify::NotifyState::Ready);
    tracing::info!(site = addresses.site, nodes = addresses.nodes, pin = addresses.pin, "the centre serves");
    let ended = tokio::select! {
        // First, since what follows ends too when the centre is told to stop.
        biased;
        () = stop.cancelled() => Ok(()),
        result = &mut site => Err(anyhow::anyhow!("the people's site ended by itself: {result:?}")),
        why = database.failure() => Err(anyhow::anyhow!("the database cannot be written: {why}")),
        result = &mut node_side => Err(anyhow::anyhow!("the node listener ended by itself: {result:?}")),
    };
    tracing::info!("the centre stops");
    service::say(sd_notify::NotifyState::Stopping);
    watchdog.abort();
    stop.cancel();
    handle.graceful_shutdown(Some(STOPPING));
    let both = async {
        if !site.is_finished() {
            let _ = (&mut site).await;
        }
        if !node_side.is_finished() {
            let _ = (&mut node_side).await;
        }
        let _ = (&mut scores).await;
        let _ = (&mut keeping).await;
        let _ = (&mut sending).await;
        // What was done until now is signed before the store closes.
        let _ = signing.await;
    };
    if tokio::time::timeout(STOPPING + Duration::from_secs(1), both).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
        site.abort();
        node_side.abort();
        scores.abort();
        keeping.abort();
        sending.abort();
    }
    ended
}

/// A centre over `store` with its keys in the data folder, which serves nothing yet.
pub async fn centre(
    data: &Path,
    (keep, copies_at_once): (Limits, usize),
    store: Store,
    clock: Clock,
    stop: CancellationToken,
) -> Result<Centre> {
    let nodes = Nodes::open(data, store.clone(), clock.clone()).await?;
    let folder = data.to_owned();
    let (doorkeeper, key, webhooks) = tokio::task::spawn_blocking(move || {
        anyhow::Ok((Doorkeeper::open(&folder)?, EvidenceKey::open(&folder)?, Secrets::open(&folder)?))
    })
    .await??;
    let live = Live::new(nodes.clone(), stop.clone());
    Ok(Centre::new(Parts {
        data: data.to_owned(),
        store,
        clock,
        doorkeeper,
        nodes,
        live,
        evidence: Evidence::new(key, data.join("evidence")),
        viewings: Viewings::default(),
        kept: Kept::new(data.join(kept::FOLDER), keep),
        copies: Copies::new(copies_at_once),
        outlooks: queue::Outlooks::default(),
        webhooks,
        stop,
    }))
}

/// What is done once: the import, or a root to stand on.
async fn first_start(config: &Config, store: &Store, now: UtcMillis) -> Result<()> {
    let empty = store
        .read(|sql| -> Result<bool, StoreError> {
            Ok(sql.query("SELECT 1 FROM areas LIMIT 1", params![])?.is_empty())
        })
        .await?;
    if !empty {
        return Ok(());
    }
    if let Some(file) = config.import.clone() {
        let read = tokio::task::spawn_blocking(move || import::read(&file)).await??;
        let imported = import::take(store, read, now).await.context("the import file")?;
        tracing::info!(?imported, "first start: the tree is imported");
        return Ok(());
    }
    let root = "000000".parse()?;
    store
        .write("first root", move |tx: &mut Tx<'_>| tree::put_area(tx, &root, None, "全部区域", "root"))
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    tracing::info!("first start without an import file: the tree is one empty root, 000000");
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// How a listener is reached: where it is bound to every address, by the first of the site's names.
fn url(bound: SocketAddr, names: &[String]) -> String {
    let host = match (bound.ip().is_unspecified(), names.first()) {
        (true, Some(name)) => name.clone(),
        (true, None) => "127.0.0.1".into(),
        (false, _) if bound.is_ipv6() => format!("[{}]", bound.ip()),
        (false, _) => bound.ip().to_string(),
    };
    format!("https://{host}:{}", bound.port())
}

/// What the people's site shows now. Blocks.
fn tls(nodes: &Nodes, names: &[String], clock: &Clock) -> Result<Arc<rustls::ServerConfig>> {
    let certificate = nodes.authorities().site_certificate(names, clock.now())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificate.chain, certificate.key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn write_addresses(data: &Path, addresses: &Addresses) -> Result<()> {
    let (new, file) = (data.join(format!("{ADDRESSES}.new")), data.join(ADDRESSES));
    std::fs::write(&new, serde_json::to_vec_pretty(addresses)?)?;
    std::fs::rename(&new, &file).context("writing addresses.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_can_be_dialled() {
        let names = vec!["centre.gov".to_owned()];
        assert_eq!(url("0.0.0.0:8443".parse().unwrap(), &names), "https://centre.gov:8443");
        assert_eq!(url("127.0.0.1:1".parse().unwrap(), &names), "https://127.0.0.1:1");
        assert_eq!(url("[::1]:1".parse().unwrap(), &names), "https://[::1]:1");
    }
}
