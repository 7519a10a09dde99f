//! Commands of people: each done once, in the order they came, answered through the journal.

use std::{future::Future, pin::Pin, sync::Arc};

use control_protocol::{
    UtcMillis,
    channel::Order,
    footage::{Hold, ORDERED_DAYS},
};
use tokio::sync::mpsc;

use crate::{cameras::Cameras, clock::Clock, recorder::Recorder};

/// A future that a trait object can give.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// What the command channel asks of the event side.
pub trait Desk: Send + Sync {
    /// Whether the command is new. Remembers it, on disk, before it answers.
    fn first_time<'a>(&'a self, id: &'a str) -> Doing<'a, bool>;
    /// Puts `command.done` into the journal.
    fn done<'a>(&'a self, id: &'a str, ok: bool, detail: String) -> Doing<'a, ()>;
    /// Puts `node.config_changed` with what is configured now into the journal.
    fn report_configuration(&self) -> Doing<'_, ()>;
    /// Events that the centre has not committed yet.
    fn outbox_depth(&self) -> u64;
}

/// A command as it came.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) id: String,
    pub(super) expires_at: UtcMillis,
    pub(super) order: Order,
}

/// The longest id of a command that is taken.
pub(super) const LONGEST_ID: usize = 128;

/// Does commands until the channel's end is dropped.
pub(super) async fn work(
    mut commands: mpsc::Receiver<Command>,
    desk: Arc<dyn Desk>,
    cameras: Cameras,
    recorder: Option<Recorder>,
    clock: Arc<dyn Clock>,
) {
    while let Some(command) = commands.recv().await {
        let recorder = recorder.as_ref();
        if let Err(error) = act(&command, desk.as_ref(), &cameras, recorder, clock.as_ref()).await {
            tracing::error!(command = command.id, "the command's result could not be kept: {error:#}");
        }
    }
}

async fn act(
    command: &Command,
    desk: &dyn Desk,
    cameras: &Cameras,
    recorder: Option<&Recorder>,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    if !desk.first_time(&command.id).await? {
        tracing::debug!(command = command.id, "the command came again; it was done before");
        return Ok(());
    }
    let (ok, detail) = if command.expires_at < clock.now_utc() {
        (false, format!("it expired at {} before it came", command.expires_at))
    } else {
        match &command.order {
            Order::RestartCamera { camera } if cameras.restart(camera) => {
                (true, format!("{camera} is dialled anew"))
            }
            Order::RestartCamera { camera } => (false, format!("this edge has no camera {camera}")),
            Order::TakeReference { camera, seat_empty } if cameras.take_reference(camera, *seat_empty) => {
                (true, format!("the next picture of {camera} is taken as right"))
            }
            Order::TakeReference { camera, .. } => (false, format!("this edge has no camera {camera}")),
            Order::ReportConfiguration {} => match desk.report_configuration().await {
                Ok(()) => (true, "the configuration is reported".into()),
                Err(error) => (false, format!("the configuration could not be reported: {error:#}")),
            },
            Order::HoldFootage { .. } | Order::ReleaseFootage { .. } | Order::KeepFootage { .. }
                if recorder.is_none() =>
            {
                (false, "this hall does not record its cameras".into())
            }
            Order::HoldFootage { hold } => told(hold_footage(recorder, hold).await),
            Order::KeepFootage { days } => told(keep_footage(recorder, *days).await),
            Order::ReleaseFootage { hold } => told(release_footage(recorder, hold).await),
        }
    };
    tracing::info!(command = command.id, ok, "{detail}");
    desk.done(&command.id, ok, detail).await
}

fn told(done: Result<String, String>) -> (bool, String) {
    done.map_or_else(|why| (false, why), |what| (true, what))
}

/// The longest name and the longest reason of a hold, characters.
const LONGEST_NAME: usize = 64;
const LONGEST_REASON: usize = 500;
/// The most cameras of a hold.
const MOST_CAMERAS: usize = 64;

async fn hold_footage(recorder: Option<&Recorder>, hold: &Hold) -> Result<String, String> {
    let named = !hold.id.is_empty() && hold.id.len() <= LONGEST_NAME;
    let sensible = hold.from_us < hold.to_us && (1..=MOST_CAMERAS).contains(&hold.cameras.len());
    if !named || !sensible || hold.reason.chars().count() > LONGEST_REASON {
        return Err(
            "the hold makes no sense: a name, a reason, one to 64 cameras and a time are needed".into()
        );
    }
    let recorder = recorder.ok_or("this hall does not record its cameras")?;
    match recorder.hold(Hold { released_us: None, ..hold.clone() }).await {
        Ok(true) => Ok(format!("{} is held", hold.id)),
        Ok(false) => Ok(format!("{} was held already", hold.id)),
        Err(error) => Err(error.to_string()),
    }
}

async fn keep_footage(recorder: Option<&Recorder>, days: Option<u32>) -> Result<String, String> {
    if days.is_some_and(|days| !ORDERED_DAYS.contains(&days)) {
        return Err(format!("footage is kept {} to {} days", ORDERED_DAYS.start(), ORDERED_DAYS.end()));
    }
    let recorder = recorder.ok_or("this hall does not record its cameras")?;
    match recorder.keep_days(days).await {
        Ok(days) => Ok(format!("footage is kept {days} days")),
        Err(error) => Err(error.to_string()),
    }
}

async fn release_footage(recorder: Option<&Recorder>, id: &str) -> Result<String, String> {
    let recorder = recorder.ok_or("this hall does not record its cameras")?;
    match recorder.release(id.to_owned()).await {
        Ok(true) => Ok(format!("{id} is released")),
        Ok(false) => Err("no hold of this name stands".into()),
        Err(error) => Err(error.to_string()),
    }
}
