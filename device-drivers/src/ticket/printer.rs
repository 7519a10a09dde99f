//! The driver of a printer of ours: slips in; printed, or why not, out.
//!
//! Owns one port, the printer's status, and the job in hand from its first byte until the printer has told its fate.
//! A job is never printed twice by itself: once a byte of it is out, it ends as printed or as partial, and the caller
//! decides. Rules: docs/reference/devices.md B1. It does not know what stands on a slip.
//!
//! How a job is confirmed: behind the cut goes `GS r 1`, a question that waits its turn in the printer's buffer, so its
//! answer says that all before it is done. Real-time questions meanwhile tell of paper, cover and errors. Printers that
//! know neither are taken at their silence, and the result says so ([`Confirmation::Unanswered`]).

mod session;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::session::{Ended, Session};
use super::{
    print::Printout,
    slip::PaperWidth,
    status::{PrinterStatus, Trouble},
};
use crate::{
    clock::MonotonicClock,
    outlet::Outlet,
    port::{Backoff, Port, plain_reason, until_worth_opening},
    reading::{Counters, DriverEvent, Health, PositionId},
};

/// Jobs that may wait. A ticket nobody has got after this many is no ticket any more.
const JOBS: usize = 16;

/// A printer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrinterConfig {
    /// Its place.
    pub position: PositionId,
    /// The roll it takes.
    #[serde(default)]
    pub paper: PaperWidth,
    /// Time between two rounds of questions while idle.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// How long an answer to a real-time question may take.
    #[serde(default = "default_reply_ms")]
    pub reply_ms: u64,
    /// How long a slip may take to print once it is sent.
    #[serde(default = "default_print_ms")]
    pub print_ms: u64,
    /// How long to wait for the buffered answer of a printer that answers only real-time questions.
    #[serde(default = "default_quiet_ms")]
    pub quiet_ms: u64,
    /// Ask the printer to tell changes by itself (`GS a`). Off by default: simple printers print the command.
    #[serde(default)]
    pub automatic_status: bool,
}

fn default_poll_ms() -> u64 {
    3000
}

fn default_reply_ms() -> u64 {
    500
}

fn default_print_ms() -> u64 {
    15_000
}

fn default_quiet_ms() -> u64 {
    3000
}

impl PrinterConfig {
    /// A printer with the usual settings.
    pub fn new(position: PositionId) -> Self {
        Self {
            position,
            paper: PaperWidth::default(),
            poll_ms: default_poll_ms(),
            reply_ms: default_reply_ms(),
            print_ms: default_print_ms(),
            quiet_ms: default_quiet_ms(),
            automatic_status: false,
        }
    }
}

/// How it is known that a slip was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The printer said that it has done all of it.
    Done,
    /// The printer said afterwards that nothing keeps it from printing.
    NoTrouble,
    /// The printer answers nothing; it took the bytes.
    Unanswered,
}

/// A slip that was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed {
    /// How that is known.
    pub confirmation: Confirmation,
    /// What stopped it in the middle and was put right meanwhile: the slip may be in two pieces.
    pub interrupted: Option<Trouble>,
}

/// Why a slip was not printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrinted {
    /// The printer could not print for as long as the caller was ready to wait. Nothing is on paper.
    #[error("the printer cannot print: {0}. Nothing was printed")]
    Refused(Trouble),
    /// The printer could not be reached for that long. Nothing is on paper.
    #[error("the printer is not there: {0}. Nothing was printed")]
    Away(String),
    /// Something of it may be on paper, and the printer may print the rest by itself when it is put right.
    #[error("the slip was stopped in the middle: {why}. Look for a piece of it at the printer")]
    Partial {
        /// What stopped it.
        why: Stopped,
        /// Bytes the printer took.
        sent: usize,
        /// Bytes of the slip.
        of: usize,
    },
    /// Too many slips wait already.
    #[error("{JOBS} slips wait for the printer already")]
    Busy,
    /// The driver was ended; a slip that was being printed may be on paper.
    #[error("the printer's driver was ended")]
    Ended,
}

/// What stopped a slip in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The printer said why.
    Trouble(Trouble),
    /// The printer took no more bytes and said nothing.
    Stalled,
    /// The line was lost.
    Lost(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => trouble.fmt(f),
            Self::Stalled => f.write_str("the printer takes no more"),
            Self::Lost(why) => write!(f, "the connection was lost ({why})"),
        }
    }
}

pub(super) type Outcome = Result<Printed, NotPrinted>;

pub(super) struct Job {
    bytes: Vec<u8>,
    deadline: Instant,
    reply: oneshot::Sender<Outcome>,
}

impl Job {
    /// Nobody waits for it any more.
    fn is_withdrawn(&self) -> bool {
        self.reply.is_closed()
    }

    fn end(self, outcome: Outcome) {
        // The caller may have gone meanwhile.
        let _ = self.reply.send(outcome);
    }
}

/// The way to a running [`TicketPrinter`]; clones are the same printer.
#[derive(Clone, Debug)]
pub struct PrinterHandle {
    jobs: mpsc::Sender<Job>,
    status: watch::Receiver<PrinterStatus>,
}

impl PrinterHandle {
    /// Prints a slip (with its cut). Waits for a printer that is away or in trouble for at most `patience`, then for the
    /// printing itself. Dropping the future before the first byte is out withdraws the job.
    ///
    /// # Errors
    /// Why it was not printed, and whether something of it may be on paper.
    pub async fn print(&self, slip: Printout, patience: Duration) -> Result<Printed, NotPrinted> {
        let (reply, outcome) = oneshot::channel();
        let job = Job { bytes: slip.into_bytes(), deadline: Instant::now() + patience, reply };
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => NotPrinted::Busy,
            mpsc::error::TrySendError::Closed(_) => NotPrinted::Ended,
        })?;
        outcome.await.unwrap_or(Err(NotPrinted::Ended))
    }

    /// What the printer last said of itself; unknown while it is away.
    pub fn status(&self) -> PrinterStatus {
        *self.status.borrow()
    }

    /// To wait for changes of it.
    pub fn watch(&self) -> watch::Receiver<PrinterStatus> {
        self.status.clone()
    }
}

/// The driver of one printer.
pub struct TicketPrinter {
    config: PrinterConfig,
    port: Box<dyn Port>,
    counters: Arc<Counters>,
    jobs: mpsc::Receiver<Job>,
    status: watch::Sender<PrinterStatus>,
}

impl TicketPrinter {
    /// A driver on this port, and the way to it.
    pub fn new(config: PrinterConfig, port: Box<dyn Port>) -> (Self, PrinterHandle) {
        let (sender, jobs) = mpsc::channel(JOBS);
        let (status, watching) = watch::channel(PrinterStatus::default());
        let driver = Self { config, port, counters: Arc::default(), jobs, status };
        (driver, PrinterHandle { jobs: sender, status: watching })
    }

    /// Its counts: slips printed, and slips stopped in the middle as bad.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until cancelled, or until nobody listens to `events` any more.
    pub async fn run(
        self,
        clock: Arc<dyn MonotonicClock>,
        events: mpsc::Sender<DriverEvent>,
        cancel: CancellationToken,
    ) {
        let out = Outlet { events, cancel: cancel.clone() };
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = self.drive(&*clock, &out) => {}
        }
    }

    async fn drive(mut self, clock: &dyn MonotonicClock, out: &Outlet) {
        let name = self.port.name();
        let mut backoff = Backoff::default();
        let mut job = None;
        loop {
            let why = match self.port.open().await {
                Ok(stream) => {
                    tracing::info!(port = %name, position = %self.config.position, "printer line is open");
                    self.counters.add_connect();
                    backoff.reset();
                    let session = Session::new(stream, &self.config, clock, out, &self.status);
                    match session.run(&mut self.jobs, &mut job, &self.counters).await {
                        Ended::Lost(error) => error,
                        Ended::NobodyListens => return,
                    }
                }
                Err(error) => error,
            };
            self.status.send_replace(PrinterStatus::default());
            let why = plain_reason(&why);
            if backoff.is_fresh() {
                tracing::warn!(port = %name, position = %self.config.position, %why, "printer is away; trying again until it returns");
                let health = Health::Down { why: why.clone() };
                if !out.health(&self.config.position, health, clock.now()).await {
                    return;
                }
            }
            let returned = until_worth_opening(&mut *self.port, &mut backoff);
            let mut returned = std::pin::pin!(returned);
            while !wait_for(&mut self.jobs, &mut job, &why, returned.as_mut()).await {}
        }
    }
}

/// Waits until the port has `returned`, taking a job meanwhile, and telling it when its time is over; `true` when it is time
/// to open again.
async fn wait_for(
    jobs: &mut mpsc::Receiver<Job>,
    job: &mut Option<Job>,
    why: &str,
    mut returned: Pin<&mut impl Future<Output = ()>>,
) -> bool {
    let deadline = job.as_ref().map_or_else(Instant::now, |j| j.deadline);
    tokio::select! {
        biased;
        () = tokio::time::sleep_until(deadline), if job.is_some() => {
            if let Some(job) = job.take() {
                job.end(Err(NotPrinted::Away(why.to_owned())));
            }
            false
        }
        () = returned.as_mut() => true,
        next = jobs.recv(), if job.is_none() => match next {
            Some(next) => {
                *job = Some(next);
                false
            }
            // No handle is left: there is nothing to print, but the printer's health is still told.
            None => {
                returned.await;
                true
            }
        },
    }
}

#[cfg(test)]
mod tests;
