//! The agent put together: every part an owned, named task below one cancellation; the first that ends before it is
//! asked to ends the agent with its name and reason.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use control_protocol::{Happening, UtcMillis, event::ClockQuality};
use device_drivers::clock::{MonotonicClock, SystemMonotonic};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cameras,
    clock::{Clock, SystemClock},
    config::Config,
    devices::{self, Inbox, Register, SharedFigures},
    journal::{Entry, Journal, JournalThread, SerialFile, free_bytes},
    local_site::{self, Shown},
    uplink::{
        channel::{self, Channel, ChannelState, Doing},
        connector::Connector,
        enrol,
        identity::Identity,
        sender::{EventSender, UplinkState},
    },
    vault::Vault,
};

/// How long parts may take to end.
const STOP: Duration = Duration::from_secs(4);
/// Camera events that may wait for the register.
const CAMERA_EVENTS: usize = 256;
/// Less free space than this is told, once each time.
const LOW_DISK: u64 = 512 * 1024 * 1024;
/// How often the certificate's age is looked at.
const RENEWAL_CHECK: Duration = Duration::from_secs(600);

/// The data folder, taken by this program alone.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code)] std::fs::File);

impl DataLock {
    /// Takes the folder, making it where there is none.
    ///
    /// # Errors
    /// Another agent has it, or it cannot be written.
    pub fn take(data: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(|| format!("data folder {}", data.display()))?;
        let path = data.join("lock");
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(_) => bail!("another agent uses the data folder {}", data.display()),
        }
    }
}

/// Opens the journal of an enrolled node, off the runtime's threads.
///
/// # Errors
/// Not enrolled, enrolled for another hall, or the journal's.
pub async fn open_journal(
    config: &Config,
    clock: Arc<SystemClock>,
) -> anyhow::Result<(Identity, Journal, SerialFile, JournalThread)> {
    let (data, hall) = (config.hall.data.clone(), config.hall.id.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let identity = Identity::load(&data)?;
        if identity.hall != hall {
            bail!("this machine is enrolled for hall {}, and the configuration says {hall}", identity.hall);
        }
        let (journal, serials, thread) = Journal::open(&data, identity.node.clone(), hall, clock)?;
        Ok((identity, journal, serials, thread))
    });
    opened.await.context("opening the journal")?
}

/// What the command channel asks of the event side.
struct CommandDesk {
    journal: Journal,
    clock: Arc<SystemClock>,
    configuration: Happening,
}

fn own_entry(clock: &SystemClock, happening: Happening) -> Entry {
    let now = clock.now_mono();
    Entry {
        at: clock.utc_of(now),
        mono_us: now.0,
        boot: clock.boot().into(),
        clock: clock.quality(),
        window: None,
        device: None,
        case: None,
        happening,
        once: None,
    }
}

impl channel::Desk for CommandDesk {
    fn first_time<'a>(&'a self, id: &'a str) -> Doing<'a, bool> {
        Box::pin(async move { Ok(self.journal.first_time(id.to_owned()).await?) })
    }

    fn done<'a>(&'a self, id: &'a str, ok: bool, detail: String) -> Doing<'a, ()> {
        Box::pin(async move {
            let happening = Happening::CommandDone { command: id.to_owned(), ok, detail };
            self.journal.append(vec![own_entry(&self.clock, happening)]).await?;
            Ok(())
        })
    }

    fn report_configuration(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            self.journal.append(vec![own_entry(&self.clock, self.configuration.clone())]).await?;
            Ok(())
        })
    }

    fn outbox_depth(&self) -> u64 {
        self.journal.status().borrow().depth
    }
}

type Tasks = JoinSet<(&'static str, anyhow::Result<()>)>;

/// Runs the agent until `cancel`.
///
/// # Errors
/// What kept it from starting, or the part that ended before it was asked to.
pub async fn run(config: Config, cancel: CancellationToken) -> anyhow::Result<()> {
    let _lock = DataLock::take(&config.hall.data)?;
    let clock = SystemClock::start();
    let (identity, journal, serials, mut thread) = open_journal(&config, clock.clone()).await?;
    tracing::info!(node = %identity.node, hall = %config.hall.id, version = crate::VERSION, "the agent starts");
    // Not a child of `cancel`: no part may end before the end was noticed here.
    let stop = CancellationToken::new();
    let mut tasks = Tasks::new();
    let started = assemble(&config, identity, &journal, serials, &clock, &stop, &mut tasks).await;
    drop(journal);
    let ended = match started {
        Err(e) => Err(e),
        Ok(()) => tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            why = thread.failure() => Err(anyhow::anyhow!("the journal cannot be written: {why}")),
            Some(ended) = tasks.join_next() => Err(unasked(ended)),
        },
    };
    tracing::info!("the agent stops");
    stop.cancel();
    if timeout(STOP, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("not everything ended within {STOP:?}; the rest is cut off");
        tasks.shutdown().await;
    }
    // With its last handle gone the journal's thread writes what it has and ends.
    tokio::task::spawn_blocking(move || thread.join()).await.context("closing the journal")?;
    ended
}

fn unasked(ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow::anyhow!("the part `{name}` ended unasked"),
        Ok((name, Err(e))) => e.context(format!("the part `{name}` failed")),
        Err(e) => anyhow::anyhow!("a part died: {e}"),
    }
}

async fn assemble(
    config: &Config,
    identity: Identity,
    journal: &Journal,
    serials: SerialFile,
    clock: &Arc<SystemClock>,
    stop: &CancellationToken,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let vault = Vault::at(&config.hall.data);
    let listener = local_site::bind(config.local_site.listen, &config.hall.data).await?;
    let configuration = Happening::NodeConfigChanged {
        cameras: config.camera_entries(),
        positions: config.position_entries(),
    };
    let begun = Happening::NodeStarted { version: crate::VERSION.to_owned(), boot: clock.boot().to_owned() };
    journal.append(vec![own_entry(clock, begun), own_entry(clock, configuration.clone())]).await?;

    let mut last_punch = BTreeMap::new();
    for terminal in &config.attendance {
        if let Some(at) = journal.last_punch(terminal.position.clone()).await? {
            last_punch.insert(terminal.position.clone(), at);
        }
    }
    let figures = SharedFigures::default();
    let drivers = devices::start(config, &vault, &last_punch, &figures, stop)?;
    let (camera_events_tx, camera_events) = mpsc::channel(CAMERA_EVENTS);
    let mono: Arc<dyn MonotonicClock> = Arc::new(SystemMonotonic);
    let setups = cameras::source::rtsp(&config.cameras, &mono, |name| {
        // A camera without its password is refused by itself, and says so; the others go on.
        Ok(vault.get(name).map(|secret| secret.reveal().to_owned()).unwrap_or_else(|e| {
            tracing::error!("cameras with credential {name} will refuse: {e}");
            String::new()
        }))
    })?;
    let surroundings = cameras::Surroundings {
        clock: clock.clone(),
        jitter: channel::jitter,
        events: camera_events_tx,
        stills: picture::StillMaker::start(picture::Settings::default()).context("the stills' thread")?,
    };
    let (cameras, camera_tasks) = cameras::start(setups, &config.video, &surroundings, stop);
    drop(surroundings);

    let register =
        Register::new(config, journal.clone(), serials, clock.clone(), drivers.panels, figures.clone())
            .await?;
    let inbox = Inbox { drivers: drivers.events, cameras: camera_events };
    let token = stop.clone();
    tasks.spawn(async move { ("register", register.run(inbox, token).await.map_err(Into::into)) });
    let mut ports = drivers.tasks;
    let token = stop.clone();
    tasks.spawn(async move {
        // A hall without devices has no ports, and goes on.
        while let Some(ended) = ports.join_next().await {
            if let Err(e) = ended {
                return ("devices", Err(anyhow::anyhow!("a driver died: {e}")));
            }
        }
        token.cancelled().await;
        ("devices", Ok(()))
    });
    let token = stop.clone();
    tasks.spawn(async move {
        let ended = camera_tasks.joined().await;
        if ended.is_ok() {
            token.cancelled().await;
        }
        ("cameras", ended)
    });

    let (ends_tx, certificate_ends) = watch::channel(identity.validity()?.1);
    let connector = Arc::new(Connector::new(&config.centre.url, &identity)?.of_boot(clock.boot()));
    let (uplink_tx, uplink) = watch::channel(UplinkState::default());
    let (channel_tx, channel_state) = watch::channel(ChannelState::default());
    let sender = EventSender {
        connector: connector.clone(),
        journal: journal.clone(),
        clock: clock.clone(),
        node: identity.node.clone(),
        first_delay: Duration::from_secs(config.centre.first_delay_seconds),
        state: uplink_tx,
        channel: channel_state.clone(),
    };
    let token = stop.clone();
    tasks.spawn(async move { ("uplink", sender.run(token).await.map_err(Into::into)) });
    let commands = Channel {
        dial: connector.clone(),
        cameras: cameras.clone(),
        desk: Arc::new(CommandDesk { journal: journal.clone(), clock: clock.clone(), configuration }),
        clock: clock.clone(),
        hall: config.hall.id.clone(),
        state: channel_tx,
    };
    let token = stop.clone();
    tasks.spawn(async move {
        channel::run(commands, token).await;
        ("command channel", Ok(()))
    });
    let (token, data, time) = (stop.clone(), config.hall.data.clone(), clock.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = renewal(&connector, identity, &data, &time, &ends_tx) => {}
        }
        ("renewal", Ok(()))
    });
    let (token, data, time, log) = (stop.clone(), config.hall.data.clone(), clock.clone(), journal.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = token.cancelled() => ("upkeep", Ok(())),
            ended = upkeep(&log, &time, &data) => ("upkeep", ended),
        }
    });
    let shown = Shown {
        journal: journal.clone(),
        figures,
        cameras,
        uplink,
        channel: channel_state,
        certificate_ends,
        clock: clock.clone(),
    };
    let token = stop.clone();
    tasks.spawn(async move { ("local site", local_site::serve(listener, shown, token).await) });
    Ok(())
}

/// Renews the certificate at half its life.
async fn renewal(
    connector: &Connector,
    mut identity: Identity,
    data: &Path,
    clock: &SystemClock,
    ends: &watch::Sender<UtcMillis>,
) {
    loop {
        sleep(RENEWAL_CHECK.mul_f64(0.5 + channel::jitter() / 2.0)).await;
        // A clock that is known to be wrong says nothing about the certificate's age.
        if clock.quality() == ClockQuality::Wrong
            || !enrol::renewal_due(&identity, clock.now_utc()).unwrap_or(false)
        {
            continue;
        }
        let renewed = match enrol::renew(connector, &identity).await {
            Ok(renewed) => renewed,
            Err(e) => {
                tracing::warn!("the certificate is due and was not renewed; it is tried again: {e}");
                continue;
            }
        };
        let (kept, folder) = (renewed.clone(), data.to_owned());
        let stored = tokio::task::spawn_blocking(move || kept.store(&folder)).await;
        match stored {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::error!("the renewed certificate could not be kept: {e}"),
            Err(e) => tracing::error!("the renewed certificate could not be kept: {e}"),
        }
        if let Err(e) = connector.replace_identity(&renewed) {
            tracing::error!("the renewed certificate cannot be used: {e}");
            continue;
        }
        if let Ok((_, until)) = renewed.validity() {
            tracing::info!(%until, "the certificate is renewed");
            ends.send_replace(until);
        }
        identity = renewed;
    }
}

/// Each second the clock, each minute the disk and the journal.
async fn upkeep(journal: &Journal, clock: &SystemClock, data: &Path) -> anyhow::Result<()> {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut low = false;
    let mut count = 0u64;
    loop {
        second.tick().await;
        if let Some(step_ms) = clock.compare() {
            tracing::warn!(step_ms, "the system clock was set");
            tell(journal, clock, Happening::NodeClockStepped { step_ms }).await?;
        }
        if count.is_multiple_of(60) {
            let folder = data.to_owned();
            let free = tokio::task::spawn_blocking(move || free_bytes(&folder)).await?;
            let now_low = free.is_some_and(|free| free < LOW_DISK);
            if let Some(free_bytes) = free.filter(|_| now_low && !low) {
                tracing::error!(free_bytes, "the disk is almost full");
                tell(journal, clock, Happening::NodeDiskLow { free_bytes }).await?;
            }
            low = now_low;
        }
        if count % 60 == 30 {
            match journal.tidy().await {
                Ok(()) | Err(crate::journal::JournalError::Full) => {}
                Err(e) => return Err(e.into()),
            }
        }
        count += 1;
    }
}

/// Journals an event of the node itself; on a full disk it is left out, the log has it.
async fn tell(journal: &Journal, clock: &SystemClock, happening: Happening) -> anyhow::Result<()> {
    match journal.append(vec![own_entry(clock, happening)]).await {
        Ok(_) | Err(crate::journal::JournalError::Full) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
