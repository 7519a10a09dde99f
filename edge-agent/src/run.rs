//! The agent put together: every part an owned, named task below one cancellation; the first that ends before it is
//! asked to ends the agent with its name and reason.

use std::{path::Path, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use control_protocol::{
    Happening,
    pairing::{About, Answered, Ask},
    site_pass::RevokedPass,
};
use device_drivers::{
    clock::{MonotonicClock, SystemMonotonic},
    profile::shipped::Library,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cameras::{self, inspection::album::Album, moving::Moving},
    clock::{Clock, SystemClock},
    config::{Camera, Config},
    devices::{Inbox, Register, SharedFigures, Supervisor, Switchboard, profiles, tickets::Tickets},
    fleet,
    journal::{Entry, Journal, JournalError, JournalThread, SerialFile, free_bytes},
    local_site::{self, Shown, callout::Callout, tickets::TicketRoutes},
    pairing::{self, Pairing},
    recorder::{self, Recorder},
    service,
    uplink::{
        channel::{self, Channel, ChannelState, Doing},
        connector::Connector,
        identity::Identity,
        sender::{EventSender, UplinkState},
        upkeep::Upkeep,
    },
    vault::Vault,
};

/// How long parts may take to end.
const STOP: Duration = Duration::from_secs(4);
/// Camera events that may wait for the register.
const CAMERA_EVENTS: usize = 256;
/// Less free space than this is told, once each time.
const LOW_DISK: u64 = 512 * 1024 * 1024;

/// The data folder, taken by this program alone.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code)] std::fs::File);

impl DataLock {
    /// Takes the folder, making it where there is none.
    ///
    /// # Errors
    /// Another agent has it, or it cannot be written.
    pub fn take(data: &Path) -> anyhow::Result<Self> {
        make_private(data)?;
        let path = data.join("lock");
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(_) => bail!("another agent uses the data folder {}", data.display()),
        }
    }
}

/// Makes the data folder where there is none, for this user alone.
///
/// # Errors
/// It cannot be made.
pub fn make_private(data: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.with_context(|| format!("data folder {}", data.display()))
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
    pairing: Pairing,
}

pub(crate) fn own_entry(clock: &SystemClock, happening: Happening) -> Entry {
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
            self.journal.append(vec![own_entry(&self.clock, self.pairing.configuration())]).await?;
            Ok(())
        })
    }

    fn outbox_depth(&self) -> u64 {
        self.journal.status().borrow().depth
    }
}

/// Who answers the centre's questions.
struct CentreDoors {
    pairing: pairing::CentreDoor,
    album: Album,
    moving: Moving,
}

impl channel::Door for CentreDoors {
    fn answer(&self, ask: Ask, body: Bytes) -> channel::Answering<'_> {
        match ask.about {
            About::Pairing => self.pairing.answer(ask, body),
            About::Still => Box::pin(still(self.album.clone(), ask.path)),
            About::Move => Box::pin(async move { self.moving.answer(&ask.path, &body).await }),
        }
    }

    fn revoked(&self, passes: Vec<RevokedPass>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.pairing.revoked(passes)
    }
}

/// The kept still that `path`, `<camera>/<still>`, names.
async fn still(album: Album, path: String) -> (Answered, Bytes) {
    let read = tokio::task::spawn_blocking(move || {
        let (camera, name) = path.split_once('/')?;
        match album.read(&camera.parse().ok()?, name) {
            Ok(still) => still,
            Err(error) => {
                tracing::warn!("a kept still cannot be read: {error}");
                None
            }
        }
    });
    match read.await {
        Ok(Some(jpeg)) => (Answered { status: 200, content_type: Some("image/jpeg".into()) }, jpeg.into()),
        _ => (Answered { status: 404, content_type: None }, Bytes::new()),
    }
}

async fn open_album(config: &Config) -> anyhow::Result<Album> {
    let folder = config.hall.data.join("pictures");
    let most = config.inspection.stills_megabytes * 1_000_000;
    let opened = tokio::task::spawn_blocking(move || Album::open(folder, most)).await;
    opened.context("opening the folder of stills")?.context("the folder of stills")
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
    service::say(sd_notify::NotifyState::Stopping);
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
    let figures = SharedFigures::default();
    let board = Switchboard::default();
    let library = profiles(config).await?;
    let (supervisor, mut said) = Supervisor::new(
        config,
        library,
        vault.clone(),
        journal.clone(),
        figures.clone(),
        board.clone(),
        stop.clone(),
    );
    let messages = supervisor.messages();
    let (uplink_tx, uplink) = watch::channel(UplinkState::default());
    let (channel_tx, channel_state) = watch::channel(ChannelState::default());
    let stills = picture::StillMaker::start(picture::Settings::default()).context("the stills' thread")?;
    let place = pairing::Place {
        config: config.clone(),
        vault: vault.clone(),
        journal: journal.clone(),
        clock: clock.clone(),
        board: board.clone(),
        stills: stills.clone(),
        uplink: uplink.clone(),
        channel: channel_state.clone(),
        stop: stop.clone(),
    };
    let pairing = Pairing::open(place, supervisor).await?;
    let passes = pairing.passes(&identity).await?;
    let hall_site = match &config.hall_site {
        Some(site) => Some(pairing::bind(site, &config.hall.data).await?),
        None => None,
    };
    let begun = Happening::NodeStarted { version: crate::VERSION.to_owned(), boot: clock.boot().to_owned() };
    let begun = vec![own_entry(clock, begun), own_entry(clock, pairing.configuration())];
    match journal.append(begun.clone()).await {
        // Cameras and pages work on a full disk too; the record says later that this start was.
        Err(JournalError::Full) => {
            let (log, token) = (journal.clone(), stop.clone());
            tasks.spawn(async move {
                let said = tokio::select! {
                    () = token.cancelled() => Ok(()),
                    said = append_when_there_is_space(&log, begun) => said,
                };
                if said.is_ok() {
                    token.cancelled().await;
                }
                ("first events", said)
            });
        }
        other => {
            other?;
        }
    }
    let (camera_events_tx, camera_events) = mpsc::channel(CAMERA_EVENTS);
    let mono: Arc<dyn MonotonicClock> = Arc::new(SystemMonotonic);
    let mut wanted = pairing.cameras();
    let at_start = wanted.borrow_and_update().clone();
    let known = fleet::known(&vault, at_start.clone()).await?;
    let album = open_album(config).await?;
    // This program itself, also after its file was replaced by a newer one.
    let transcoders =
        cameras::transcode::Transcoders::new(config.transcoding.clone(), "/proc/self/exe".into());
    let transcoders = Arc::new(transcoders);
    // Looks wait for each other, not viewers for them; each takes some milliseconds.
    let eye =
        picture::Settings { waiting: 256, timeout: Duration::from_secs(10), ..picture::Settings::default() };
    let surroundings = cameras::Surroundings {
        clock: clock.clone(),
        jitter: channel::jitter,
        events: camera_events_tx,
        stills: stills.clone(),
        inspection: Some(cameras::inspection::Means {
            eye: picture::StillMaker::start(eye).context("the looks' thread")?,
            album: album.clone(),
            settings: Arc::new(config.inspection.clone()),
        }),
        transcoders,
    };
    let keys = vault.clone();
    let secret =
        move |name: &str| keys.get(name).map(|secret| secret.reveal().to_owned()).unwrap_or_default();
    let moving = Moving::new(pairing.cameras(), config.onvif.clone(), Arc::new(secret), stop.clone());
    let (token, movers) = (stop.clone(), moving.clone());
    tasks.spawn(async move {
        token.cancelled().await;
        movers.ended().await;
        ("moving cameras", Ok(()))
    });
    let (cameras, camera_tasks) =
        cameras::start(fleet::setups(&known, &config.recording, &mono), &config.video, &surroundings, stop);
    drop(surroundings);
    let of_windows = watch::Sender::new(fleet::of_windows(&at_start));
    let recorder = match config.recording.enabled {
        true => {
            let kept = (&at_start[..], of_windows.subscribe());
            Some(record(config, &identity, journal, clock, (&cameras, stills), kept, stop, tasks)?)
        }
        false => None,
    };
    let follower = fleet::Follower {
        wanted,
        running: known,
        cameras: cameras.clone(),
        recorder: recorder.clone(),
        recording: config.recording.clone(),
        of_windows,
        vault: vault.clone(),
        clock: mono,
    };
    let token = stop.clone();
    tasks.spawn(async move { ("fleet", follower.run(token).await) });

    let register =
        Register::new(config, journal.clone(), serials, clock.clone(), board.clone(), figures.clone())
            .await?;
    let (tickets, wishes) = Tickets::new(config, board.clone());
    let inbox = Inbox { drivers: said.events, cameras: camera_events, tickets: wishes };
    let token = stop.clone();
    tasks.spawn(async move { ("register", register.run(inbox, token).await.map_err(Into::into)) });
    let (token, attendant) = (stop.clone(), pairing.clone());
    tasks.spawn(async move {
        attendant.attend(token.clone()).await;
        token.cancelled().await;
        ("pairing", Ok(()))
    });
    let (token, keeper) = (stop.clone(), pairing.clone());
    tasks.spawn(async move {
        keeper.start().await;
        tokio::select! {
            () = token.cancelled() => {
                keeper.stop().await;
                ("devices", Ok(()))
            }
            Some(why) = said.died.recv() => ("devices", Err(anyhow::anyhow!(why))),
        }
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
    let (authorities_tx, authorities) = watch::channel(None);
    let commands = Channel {
        dial: connector.clone(),
        cameras: cameras.clone(),
        desk: Arc::new(CommandDesk {
            journal: journal.clone(),
            clock: clock.clone(),
            pairing: pairing.clone(),
        }),
        door: Arc::new(CentreDoors {
            pairing: pairing::CentreDoor { pairing: pairing.clone(), passes: passes.clone() },
            album,
            moving: moving.clone(),
        }),
        recorder: recorder.clone(),
        clock: clock.clone(),
        hall: config.hall.id.clone(),
        state: channel_tx,
        authorities: authorities_tx,
    };
    let token = stop.clone();
    tasks.spawn(async move {
        channel::run(commands, token).await;
        ("command channel", Ok(()))
    });
    let (token, holders) = (stop.clone(), passes.clone());
    let upkeep_of_identity = Upkeep {
        connector,
        identity,
        data: config.hall.data.clone(),
        clock: clock.clone(),
        authorities,
        trusted: Box::new(move |identity| match identity.authority_keys() {
            Ok(keys) => holders.trust(keys),
            Err(e) => tracing::error!("site passes go on being judged as before: {e}"),
        }),
        ends: ends_tx,
        failed: 0,
    };
    tasks.spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = upkeep_of_identity.run() => {}
        }
        ("identity", Ok(()))
    });
    let (token, data, time, log) = (stop.clone(), config.hall.data.clone(), clock.clone(), journal.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = token.cancelled() => ("upkeep", Ok(())),
            ended = upkeep(&log, &time, &data) => ("upkeep", ended),
        }
    });
    let windows = config.windows.iter().map(|w| (w.id.clone(), (w.number, w.name.clone()))).collect();
    let tickets = TicketRoutes::new(tickets, config.tickets.allow.clone());
    let callout = Callout::new(journal.clone(), clock.clone(), windows, stop.clone());
    if let Some(bound) = hall_site {
        let (token, pairing) = (stop.clone(), pairing.clone());
        let open = callout.routes().merge(tickets.routes());
        tasks.spawn(async move { ("hall site", pairing::serve(bound, pairing, passes, open, token).await) });
    }
    let shown = Shown {
        callout,
        tickets,
        journal: journal.clone(),
        figures,
        board,
        messages,
        cameras,
        recorder,
        uplink,
        channel: channel_state,
        certificate_ends,
        clock: clock.clone(),
    };
    let (token, log, figures) = (stop.clone(), journal.clone(), shown.figures.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = service::watch(log, figures) => {}
        }
        ("watchdog", Ok(()))
    });
    let token = stop.clone();
    tasks.spawn(async move { ("local site", local_site::serve(listener, shown, token).await) });
    service::say(sd_notify::NotifyState::Ready);
    Ok(())
}

/// The profiles of this hall. One that is refused, and a device that it leaves without a profile, cost only themselves.
async fn profiles(config: &Config) -> anyhow::Result<Arc<Library>> {
    let data = config.hall.data.clone();
    let (library, refused) = tokio::task::spawn_blocking(move || profiles::load(&data)).await??;
    for error in refused {
        tracing::error!("a profile is refused: {error}");
    }
    Ok(Arc::new(library))
}

/// Starts the recorder.
#[allow(clippy::too_many_arguments)] // everything that it stands between
fn record(
    config: &Config,
    identity: &Identity,
    journal: &Journal,
    clock: &Arc<SystemClock>,
    (cameras, stills): (&cameras::Cameras, picture::StillMaker),
    (at_start, of_windows): (&[Camera], watch::Receiver<fleet::OfWindows>),
    stop: &CancellationToken,
    tasks: &mut Tasks,
) -> anyhow::Result<Recorder> {
    let recorded = at_start.iter().filter(|camera| !config.recording.except.contains(&camera.id));
    let surroundings = recorder::Surroundings {
        clock: clock.clone(),
        node: identity.node.clone(),
        data: config.hall.data.clone(),
        cameras: recorded.map(|camera| (camera.id.clone(), camera.window.clone())).collect(),
        journal: journal.clone(),
        stills,
    };
    let (recorder, ends) = recorder::start(&config.recording, surroundings, cameras, stop)?;
    let token = stop.clone();
    tasks.spawn(async move {
        let ended = ends.joined().await;
        if ended.is_ok() {
            token.cancelled().await;
        }
        ("recorder", ended)
    });
    let automatic = recorder::automatic::Automatic {
        journal: journal.clone(),
        recorder: recorder.clone(),
        cameras: of_windows,
        rules: config.recording.holds.clone(),
    };
    let token = stop.clone();
    tasks.spawn(async move {
        automatic.run(token.clone()).await;
        token.cancelled().await;
        ("holds", Ok(()))
    });
    Ok(recorder)
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
                Ok(()) | Err(JournalError::Full) => {}
                Err(e) => return Err(e.into()),
            }
        }
        count += 1;
    }
}

/// Journals events, however long the disk is full.
async fn append_when_there_is_space(journal: &Journal, entries: Vec<Entry>) -> anyhow::Result<()> {
    loop {
        match journal.append(entries.clone()).await {
            Err(JournalError::Full) => sleep(Duration::from_secs(1)).await,
            other => return Ok(other.map(|_| ())?),
        }
    }
}

/// Journals an event of the node itself; on a full disk it is left out, the log has it.
async fn tell(journal: &Journal, clock: &SystemClock, happening: Happening) -> anyhow::Result<()> {
    match journal.append(vec![own_entry(clock, happening)]).await {
        Ok(_) | Err(JournalError::Full) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
