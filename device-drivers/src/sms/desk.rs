//! The desk at which messages are handed in and at which the modem's state is seen: what the rest of the program needs of
//! a modem. The work is the [driver](super::driver)'s.

use serde::Deserialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    PhoneNumber,
    at::{AtError, SimState},
    modem::Registration,
    parts::TooLong,
};
use crate::{
    clock::Mono,
    reading::{Health, PositionId, Receipt},
};

/// Messages that may wait to be sent.
pub(super) const ORDERS: usize = 64;

/// A modem's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsConfig {
    /// Its place.
    pub position: PositionId,
    /// Pause between two messages, in milliseconds: network operators block SIM cards that send faster.
    #[serde(default = "default_pace_ms")]
    pub pace_ms: u64,
    /// Messages that one number may get in 24 hours.
    #[serde(default = "default_daily_per_number")]
    pub daily_per_number: usize,
    /// Pauses before trying again what failed in passing, in milliseconds; after the last it has failed.
    #[serde(default = "default_retry_ms")]
    pub retry_ms: Vec<u64>,
    /// How long a message may wait for a modem that is away, in seconds.
    #[serde(default = "default_wait_s")]
    pub wait_s: u64,
}

fn default_pace_ms() -> u64 {
    4000
}

fn default_daily_per_number() -> usize {
    10
}

fn default_retry_ms() -> Vec<u64> {
    vec![5000, 15_000, 45_000]
}

fn default_wait_s() -> u64 {
    600
}

impl SmsConfig {
    /// The usual settings.
    pub fn new(position: PositionId) -> Self {
        Self {
            position,
            pace_ms: default_pace_ms(),
            daily_per_number: default_daily_per_number(),
            retry_ms: default_retry_ms(),
            wait_s: default_wait_s(),
        }
    }
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many wait already.
    #[error("too many messages wait to be sent: try again later")]
    Busy,
    /// The driver has ended.
    #[error("the modem's driver has ended")]
    Stopped,
    /// The text is empty.
    #[error("the message has no text")]
    Empty,
    /// The text is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The number has had its messages for today.
    #[error("this number has had as many messages in 24 hours as are allowed")]
    DailyLimit,
    /// The modem or the network refused.
    #[error(transparent)]
    Refused(#[from] AtError),
    /// No modem for too long.
    #[error("the message could not be sent in time: {0}")]
    NoModem(String),
    /// The modem had it and then said nothing.
    #[error(
        "the modem took the message and did not say whether it was sent; sending it again may send it twice"
    )]
    Unsure,
}

/// A message that the network took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Under this number its [`Delivery`] is told.
    pub id: u64,
    /// Parts it was sent in.
    pub parts: usize,
}

/// What became of a sent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// [`Sent::id`].
    pub id: u64,
    /// It reached the phone; else it never will.
    pub arrived: bool,
}

/// A message that came in.
#[derive(Debug)]
pub struct Received {
    /// From whom.
    pub from: PhoneNumber,
    /// What it says.
    pub text: String,
    /// When the service centre took it, by its clock.
    pub sent: Option<jiff::Timestamp>,
    /// `false` when a part of it never came; `…` stands for that.
    pub complete: bool,
    /// When it was read from the modem.
    pub arrived: Mono,
    /// To be called once it is on disk; until then it stays on the SIM.
    pub receipt: Receipt,
}

/// What a driver tells its owner.
#[derive(Debug)]
pub enum SmsEvent {
    /// A message came in.
    Received(Received),
    /// The fate of one that was sent.
    Delivery(Delivery),
    /// The modem's health changed.
    Health {
        /// Its place.
        position: PositionId,
        /// Its health now.
        health: Health,
        /// When that was found.
        at: Mono,
    },
}

/// How a modem is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModemStatus {
    /// Its port is open and it answers.
    pub connected: bool,
    /// Maker and model.
    pub model: String,
    /// How its SIM is.
    pub sim: SimState,
    /// Whether it is in a network.
    pub registration: Registration,
    /// What it receives, in dBm.
    pub signal_dbm: Option<i16>,
}

pub(super) struct Order {
    pub(super) to: PhoneNumber,
    pub(super) text: String,
    pub(super) asked: Instant,
    pub(super) answer: oneshot::Sender<Result<Sent, SendError>>,
}

/// How the rest of the program speaks to a modem; clones are the same desk.
#[derive(Clone)]
pub struct SmsDesk {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) status: watch::Receiver<ModemStatus>,
}

impl SmsDesk {
    /// Sends a text; waits until the network has taken all of it.
    ///
    /// # Errors
    /// Why it was not sent, or is not known to be.
    pub async fn send(&self, to: PhoneNumber, text: String) -> Result<Sent, SendError> {
        let (answer, answered) = oneshot::channel();
        self.orders.try_send(Order { to, text, asked: Instant::now(), answer }).map_err(
            |error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::Busy,
                mpsc::error::TrySendError::Closed(_) => SendError::Stopped,
            },
        )?;
        answered.await.unwrap_or(Err(SendError::Stopped))
    }

    /// How the modem is now.
    pub fn status(&self) -> ModemStatus {
        self.status.borrow().clone()
    }

    /// A view of the modem's state that tells of changes.
    pub fn watch(&self) -> watch::Receiver<ModemStatus> {
        self.status.clone()
    }
}
