//! Commands of people: each done once, in the order they came, answered through the journal.

use std::{future::Future, pin::Pin, sync::Arc};

use control_protocol::{UtcMillis, channel::Order};
use tokio::sync::mpsc;

use crate::{cameras::Cameras, clock::Clock};

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
    clock: Arc<dyn Clock>,
) {
    while let Some(command) = commands.recv().await {
        if let Err(error) = act(&command, desk.as_ref(), &cameras, clock.as_ref()).await {
            tracing::error!(command = command.id, "the command's result could not be kept: {error:#}");
        }
    }
}

async fn act(command: &Command, desk: &dyn Desk, cameras: &Cameras, clock: &dyn Clock) -> anyhow::Result<()> {
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
            Order::ReportConfiguration {} => match desk.report_configuration().await {
                Ok(()) => (true, "the configuration is reported".into()),
                Err(error) => (false, format!("the configuration could not be reported: {error:#}")),
            },
        }
    };
    tracing::info!(command = command.id, ok, "{detail}");
    desk.done(&command.id, ok, detail).await
}
