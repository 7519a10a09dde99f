//! Terminals that call in: one listener for all of them, tried again for as long as its address cannot be had. What a
//! terminal has sent is kept by its stamp, so that a restart does not ask for the whole log.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use control_protocol::PositionId;
use device_drivers::{
    attendance::push::{PushConfig, PushServer, PushTerminal, Stamps},
    clock::{MonotonicClock, SystemLocal},
    port::Backoff,
    reading::{DriverEvent, Health},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Reach, Started, Surroundings, place};
use crate::{config::PushListener, vault::write_private};

/// A terminal, as it may call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terminal {
    pub(super) position: PositionId,
    pub(super) serial: String,
    pub(super) address: Option<IpAddr>,
    pub(super) comm_key_credential: Option<String>,
}

/// The listener with its terminals.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    listener: Option<PushListener>,
    pub(super) terminals: Vec<Terminal>,
}

impl Plan {
    pub(super) fn new(listener: Option<PushListener>) -> Self {
        Self { listener, terminals: Vec::new() }
    }
}

/// The server. It listens even for no terminal at all, so that one that calls is known to whoever looks for it.
///
/// # Errors
/// The hall has no listener.
pub(super) async fn start(
    plan: &Plan,
    s: &Surroundings,
    cancel: CancellationToken,
) -> anyhow::Result<Started> {
    let Some(listener) = plan.listener.clone() else {
        anyhow::bail!("terminals call in nowhere here: set listen in [attendance_push]");
    };
    let (mut terminals, mut refused) = (Vec::new(), Vec::new());
    for t in &plan.terminals {
        match s.secret(t.comm_key_credential.as_deref()).await {
            Ok(comm_key) => terminals.push(PushTerminal {
                position: place(&t.position),
                serial: t.serial.clone(),
                comm_key,
                address: t.address,
            }),
            Err(error) => refused.push((t.position.clone(), format!("{error:#}"))),
        }
    }
    let positions: Vec<_> = terminals.iter().map(|t| t.position.clone()).collect();
    let zone = s.time_zone.to_offset(jiff::Timestamp::now()).seconds() / 60;
    let mut config = PushConfig::new(terminals, zone);
    config.clock = listener.set_clock;
    config.allow = listener.allow.clone();
    let epoch = s.journal.status().borrow().last.epoch;
    let stamps = Arc::new(KeptStamps::open(s.data.join("push-stamps.json"), epoch).await);
    let server = PushServer::new(config, stamps, Arc::new(SystemLocal(s.time_zone.clone())));
    let counters = server.counters();
    let (clock, events, serving) = (s.clock.clone(), s.events.clone(), server.clone());
    let run = async move {
        let bound = tokio::select! {
            () = cancel.cancelled() => return,
            bound = bind(&listener, &positions, clock.as_ref(), &events) => bound,
        };
        serving.run(bound, clock, events, cancel).await;
    };
    Ok(Started { run: Box::pin(run), counters, reach: Reach::Push(server), refused })
}

async fn bind(
    listener: &PushListener,
    positions: &[device_drivers::reading::PositionId],
    clock: &dyn MonotonicClock,
    events: &mpsc::Sender<DriverEvent>,
) -> TcpListener {
    let mut backoff = Backoff::default();
    loop {
        let error = match TcpListener::bind(listener.listen).await {
            Ok(bound) => {
                tracing::info!(listen = %listener.listen, "attendance terminals may call in");
                return bound;
            }
            Err(error) => error,
        };
        if backoff.is_fresh() {
            let why = format!("cannot listen at {}: {error}", listener.listen);
            tracing::error!("{why}; trying again");
            for position in positions {
                let (position, health) = (position.clone(), Health::Down { why: why.clone() });
                // With the register gone the agent ends.
                let _ = events.send(DriverEvent::Health { position, health, at: clock.now() }).await;
            }
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// Stamps in a file of their own. A lost one does no harm: the terminal sends everything again, and nothing counts twice. One
/// that is ahead of the journal would, so that stamps of another epoch (a fresh or restored journal) are not looked at.
struct KeptStamps {
    kept: Arc<Mutex<Kept>>,
    /// One writing at a time, each of what is newest then.
    writing: Arc<Mutex<()>>,
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    epoch: u64,
    stamps: BTreeMap<String, String>,
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeptStamps {
    async fn open(path: PathBuf, epoch: u64) -> Self {
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || -> io::Result<Kept> {
            Ok(serde_json::from_slice(&std::fs::read(file)?)?)
        });
        let kept = match read.await.unwrap_or_else(|died| Err(io::Error::other(died))) {
            Ok(kept) if kept.epoch == epoch => kept,
            Ok(_) => Kept { epoch, ..Kept::default() },
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "the terminals' stamps cannot be read; their logs are taken anew");
                }
                Kept { epoch, ..Kept::default() }
            }
        };
        Self { kept: Arc::new(Mutex::new(kept)), writing: Arc::default(), path }
    }
}

impl Stamps for KeptStamps {
    fn stamp(&self, serial: &str) -> Option<String> {
        lock(&self.kept).stamps.get(serial).cloned()
    }

    fn keep(&self, serial: &str, stamp: &str) {
        lock(&self.kept).stamps.insert(serial.to_owned(), stamp.to_owned());
        let (kept, writing, path) = (self.kept.clone(), self.writing.clone(), self.path.clone());
        tokio::task::spawn_blocking(move || {
            let _turn = lock(&writing);
            let text = serde_json::to_vec(&*lock(&kept));
            let written = text.map_err(io::Error::from).and_then(|text| write_private(&path, &text));
            if let Err(error) = written {
                tracing::warn!(path = %path.display(), %error, "a terminal's stamp could not be kept");
            }
        });
    }
}
