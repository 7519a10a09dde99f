//! The command channel: one WebSocket to the centre on which cameras are reported, streams are leased and commands come.
//!
//! Owns the channel's life (dialled at once, then with a growing jittered wait; dead after 15 s of silence) and the
//! streams of the leases, which live no longer than the channel does. It knows no picture and stores nothing: commands
//! are remembered and answered by the [`Desk`].

mod backoff;
mod doors;
mod leases;
mod orders;
mod streams;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{
    CameraId, HallId, LeaseId,
    channel::{COMMANDS_PATH, CameraReport, MAX_TEXT, StreamState, ToCentre, ToEdge},
    footage::AT_ONCE,
    websocket::{Message, Socket},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    backoff::Backoff,
    leases::{Leases, Opened},
    orders::{Command, LONGEST_ID},
    streams::{Failure, Wanted},
};
pub use self::{
    backoff::jitter,
    doors::{Answering, Door},
    orders::{Desk, Doing},
    streams::Dial,
};
use crate::{
    cameras::Cameras,
    clock::Clock,
    recorder::Recorder,
    uplink::{connector::ConnectError, footage::deliver},
};

/// How often the edge says that it is alive, and asks the link the same.
const ALIVE: Duration = Duration::from_secs(5);
/// Silence after which the link is dead.
const DEAD: Duration = Duration::from_secs(15);
/// How long a text may take to go out.
const WRITE: Duration = Duration::from_secs(10);
/// The wait after a refusal that only a person can mend.
const REFUSED: Duration = Duration::from_secs(60);
/// The longest wait before the centre is dialled again. With the time that dialling may take it keeps the promise that a
/// fresh event arrives within ten seconds of the link's return; a thousand halls make some hundred attempts a
/// second of it.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// A channel that held at least this long was a good one: the next is dialled at once.
const GOOD: Duration = Duration::from_secs(5);
/// Camera reports in one text, far below [`MAX_TEXT`].
const REPORTS: usize = 200;
/// Commands that may wait to be done; the centre sends again what was not answered.
const COMMANDS: usize = 64;

/// How the channel is, for `/metrics` and `/readyz`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// It stands.
    pub connected: bool,
    /// Why it does not, in plain words.
    pub why: Option<String>,
    /// Streams that are leased now.
    pub leases: usize,
    /// Times it was opened.
    pub connects: u64,
}

/// What the channel is made of.
pub struct Channel<D> {
    /// Dials the centre.
    pub dial: Arc<D>,
    /// The cameras.
    pub cameras: Cameras,
    /// The event side.
    pub desk: Arc<dyn Desk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The hall in the configuration.
    pub hall: HallId,
    /// Who answers questions of pairing.
    pub door: Arc<dyn Door>,
    /// The recorder; none where nothing is recorded.
    pub recorder: Option<Recorder>,
    /// Where the channel's state is shown.
    pub state: watch::Sender<ChannelState>,
    /// The authorities to trust, PEM, as the centre said last.
    pub authorities: watch::Sender<Option<String>>,
}

enum Closed {
    Cancelled,
    Refused { why: String, retry: bool },
    Broken(String),
}

/// Keeps the channel up until `cancel`.
pub async fn run<D: Dial>(channel: Channel<D>, cancel: CancellationToken) {
    let (orders, commands) = mpsc::channel(COMMANDS);
    let mut worker = JoinSet::new();
    worker.spawn(orders::work(
        commands,
        channel.desk.clone(),
        channel.cameras.clone(),
        channel.recorder.clone(),
        channel.clock.clone(),
    ));
    keep(&channel, &orders, &cancel).await;
    // What was taken is done before the end, so that its result is in the journal.
    drop(orders);
    let _done = timeout(Duration::from_secs(2), worker.join_next()).await;
}

async fn keep<D: Dial>(channel: &Channel<D>, orders: &mpsc::Sender<Command>, cancel: &CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(500), LONGEST_WAIT);
    let mut wait = backoff.delay(jitter());
    let mut told = None;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sleep(wait) => {}
        }
        let dialled = tokio::select! {
            () = cancel.cancelled() => return,
            dialled = channel.dial.websocket(COMMANDS_PATH) => dialled,
        };
        let closed = match dialled {
            Ok(socket) => {
                let began = Instant::now();
                tracing::info!("the command channel with the centre stands");
                told = None;
                channel.state.send_modify(|state| {
                    state.connected = true;
                    state.why = None;
                    state.connects += 1;
                });
                let closed = Session::new(channel, socket, orders).run(cancel).await;
                if began.elapsed() >= GOOD {
                    backoff.reset();
                }
                closed
            }
            Err(ConnectError::Refused { status: status @ (401 | 403), detail, .. }) => Closed::Refused {
                why: format!("the centre refuses this node (status {status}): {detail}"),
                retry: false,
            },
            Err(error) => Closed::Broken(error.to_string()),
        };
        let why = match closed {
            Closed::Cancelled => return,
            Closed::Refused { why, retry: false } => {
                wait = REFUSED;
                if told.as_ref() != Some(&why) {
                    tracing::error!(
                        "the centre refuses this agent until somebody acts: {why}; tried again every minute"
                    );
                }
                why
            }
            Closed::Refused { why, retry: true } | Closed::Broken(why) => {
                wait = backoff.delay(jitter());
                if told.as_ref() == Some(&why) {
                    tracing::debug!("still no command channel: {why}");
                } else {
                    tracing::warn!(
                        "no command channel with the centre: {why}; live pictures wait, events are kept"
                    );
                }
                why
            }
        };
        channel.state.send_modify(|state| {
            state.connected = false;
            state.why = Some(why.clone());
            state.leases = 0;
        });
        told = Some(why);
    }
}

struct Session<'a, D: Dial> {
    channel: &'a Channel<D>,
    socket: Socket<D::Io>,
    orders: &'a mpsc::Sender<Command>,
    leases: Leases,
    cancels: HashMap<LeaseId, CancellationToken>,
    streams: JoinSet<(LeaseId, Option<Failure>)>,
    told: HashMap<CameraId, CameraReport>,
    questions: doors::Questions,
    /// Deliveries of footage; they end with the channel.
    deliveries: JoinSet<()>,
}

impl<'a, D: Dial> Session<'a, D> {
    fn new(channel: &'a Channel<D>, socket: Socket<D::Io>, orders: &'a mpsc::Sender<Command>) -> Self {
        Self {
            channel,
            socket,
            orders,
            leases: Leases::default(),
            cancels: HashMap::new(),
            streams: JoinSet::new(),
            told: HashMap::new(),
            questions: doors::Questions::new(channel.door.clone()),
            deliveries: JoinSet::new(),
        }
    }

    async fn run(mut self, cancel: &CancellationToken) -> Closed {
        let closed = self.talk(cancel).await;
        for (_, stream) in self.cancels.drain() {
            stream.cancel();
        }
        if matches!(closed, Closed::Cancelled) {
            let _closed = timeout(Duration::from_secs(1), self.socket.close(1000, "the agent stops")).await;
        }
        // Each has two seconds for its farewell.
        while self.streams.join_next().await.is_some() {}
        closed
    }

    async fn talk(&mut self, cancel: &CancellationToken) -> Closed {
        let mut turn = self.channel.cameras.watch();
        turn.borrow_and_update();
        let hello = ToCentre::Hello {
            hall: self.channel.hall.clone(),
            version: crate::VERSION.into(),
            boot: self.channel.clock.boot().into(),
            utc_ms: self.channel.clock.now_utc().0,
        };
        if let Err(why) = self.say(&hello).await {
            return Closed::Broken(why);
        }
        if let Err(why) = self.report().await {
            return Closed::Broken(why);
        }
        let mut alive = interval(ALIVE);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let said = tokio::select! {
                () = cancel.cancelled() => return Closed::Cancelled,
                () = sleep_until(heard + DEAD) => {
                    return Closed::Broken(format!("nothing heard for {} s", DEAD.as_secs()));
                }
                message = self.socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => match self.take(&text).await {
                            Ok(Some(refused)) => return refused,
                            Ok(None) => Ok(()),
                            Err(why) => Err(why),
                        },
                        Some(Ok(Message::Close { reason, .. })) => {
                            return Closed::Broken(format!("the centre closed it {reason}").trim_end().to_owned());
                        }
                        Some(Ok(_)) => Ok(()),
                        Some(Err(error)) => return Closed::Broken(error.to_string()),
                        None => return Closed::Broken("the centre closed it".into()),
                    }
                }
                _ = alive.tick() => self.alive().await,
                _ = turn.changed() => {
                    turn.borrow_and_update();
                    self.report().await
                }
                () = due(self.leases.due(), self.channel.clock.as_ref()) => {
                    self.lapse();
                    Ok(())
                }
                Some(ended) = self.streams.join_next() => self.ended(ended).await,
                Some(text) = self.questions.next() => self.say(&text).await,
                Some(ended) = self.deliveries.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!("a delivery of footage died: {error}");
                    }
                    Ok(())
                }
            };
            if let Err(why) = said {
                return Closed::Broken(why);
            }
        }
    }

    /// Takes a text of the centre.
    async fn take(&mut self, text: &str) -> Result<Option<Closed>, String> {
        if text.len() > MAX_TEXT {
            return Err("the centre sent a text that is too long".into());
        }
        let text: ToEdge = match serde_json::from_str(text) {
            Ok(text) => text,
            Err(error) => {
                // A newer centre may know more than this edge does.
                tracing::warn!("a text of the centre is not understood and passed over: {error}");
                return Ok(None);
            }
        };
        let now = self.channel.clock.now_mono();
        match text {
            ToEdge::Lease { lease, camera, tier, stream, ttl_ms } => {
                let wanted = Wanted { camera, tier, stream };
                match self.leases.open(lease.clone(), ttl_ms, now) {
                    Opened::New => self.begin(lease, wanted),
                    Opened::Again => {}
                    Opened::TooMany => {
                        let why = format!("more than {} streams at once", leases::MOST);
                        self.fail(lease, StreamState::Offline, why).await?;
                    }
                }
            }
            ToEdge::Renew { leases, ttl_ms } => {
                for lease in self.leases.renew(leases, ttl_ms, now) {
                    let why = "the edge agent does not hold this lease any more".to_owned();
                    self.fail(lease, StreamState::Connecting, why).await?;
                }
            }
            ToEdge::Release { lease } => {
                if self.leases.release(&lease) {
                    self.stop(&lease);
                }
            }
            ToEdge::Command { id, expires_at, order } => {
                if id.is_empty() || id.len() > LONGEST_ID {
                    tracing::warn!("a command without a usable id is passed over");
                } else if self.orders.try_send(Command { id, expires_at, order }).is_err() {
                    tracing::warn!("too many commands wait; the centre will send this one again");
                }
            }
            ToEdge::Ask { id, ask } => self.questions.ask(id, ask),
            ToEdge::AskPart { id, part } => self.questions.part(id, &part),
            ToEdge::Footage { delivery, ask } => {
                let count = self.deliveries.len();
                // So many refusals at once are no centre's doing.
                if count >= 2 * AT_ONCE {
                    tracing::warn!(%delivery, "far too much footage is asked for at once; not answered");
                } else {
                    let (dial, recorder) = (self.channel.dial.clone(), self.channel.recorder.clone());
                    self.deliveries.spawn(deliver(dial, recorder, delivery, ask, count >= AT_ONCE));
                }
            }
            ToEdge::PassesRevoked { passes } => self.questions.revoked(passes),
            ToEdge::Authorities { pem } => {
                self.channel.authorities.send_if_modified(|held| {
                    let changed = held.as_deref() != Some(pem.as_str());
                    *held = Some(pem);
                    changed
                });
            }
            ToEdge::Refused { why, retry } => return Ok(Some(Closed::Refused { why, retry })),
        }
        Ok(None)
    }

    fn begin(&mut self, lease: LeaseId, wanted: Wanted) {
        tracing::debug!(%lease, camera = %wanted.camera, tier = wanted.tier.as_str(), "leased");
        let cancel = CancellationToken::new();
        self.cancels.insert(lease.clone(), cancel.clone());
        let (dial, cameras) = (self.channel.dial.clone(), self.channel.cameras.clone());
        self.streams.spawn(streams::stream(dial, cameras, lease, wanted, cancel));
        self.count();
    }

    fn stop(&mut self, lease: &LeaseId) {
        if let Some(cancel) = self.cancels.remove(lease) {
            cancel.cancel();
        }
        self.count();
    }

    fn lapse(&mut self) {
        for lease in self.leases.lapse(self.channel.clock.now_mono()) {
            tracing::debug!(%lease, "the lease lapsed");
            self.stop(&lease);
        }
    }

    fn count(&self) {
        let leases = self.leases.count();
        self.channel.state.send_modify(|state| state.leases = leases);
    }

    async fn ended(
        &mut self,
        ended: Result<(LeaseId, Option<Failure>), tokio::task::JoinError>,
    ) -> Result<(), String> {
        let (lease, failure) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!("the task of a stream died: {error}");
                return Ok(());
            }
        };
        // Of a lease that was let go there is nothing more to say.
        if !self.leases.release(&lease) {
            return Ok(());
        }
        self.stop(&lease);
        match failure {
            Some((state, why)) => self.fail(lease, state, why).await,
            None => Ok(()),
        }
    }

    async fn fail(&mut self, lease: LeaseId, state: StreamState, why: String) -> Result<(), String> {
        tracing::info!(%lease, ?state, "the lease cannot be served: {why}");
        self.say(&ToCentre::LeaseFailed { lease, state, why }).await
    }

    async fn alive(&mut self) -> Result<(), String> {
        let alive = ToCentre::Alive {
            outbox_depth: self.channel.desk.outbox_depth(),
            utc_ms: self.channel.clock.now_utc().0,
        };
        self.say(&alive).await?;
        // Its answer shows that the link carries both ways.
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Reports the cameras whose state is not as it was last told; all of them at first.
    async fn report(&mut self) -> Result<(), String> {
        let changed: Vec<CameraReport> = self
            .channel
            .cameras
            .reports()
            .into_iter()
            .filter(|report| self.told.get(&report.camera) != Some(report))
            .collect();
        for cameras in changed.chunks(REPORTS) {
            self.say(&ToCentre::Cameras { cameras: cameras.to_vec() }).await?;
            self.told.extend(cameras.iter().map(|report| (report.camera.clone(), report.clone())));
        }
        Ok(())
    }

    async fn say(&mut self, text: &ToCentre) -> Result<(), String> {
        let text = serde_json::to_string(text).map_err(|error| error.to_string())?;
        self.send(Message::Text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        match timeout(WRITE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the link took nothing for {} s", WRITE.as_secs())),
        }
    }
}

/// Waits until `at` of the monotonic clock; for ever where there is nothing to wait for.
async fn due(at: Option<device_drivers::clock::Mono>, clock: &dyn Clock) {
    match at {
        Some(at) => sleep(at.since(clock.now_mono())).await,
        None => pending().await,
    }
}
