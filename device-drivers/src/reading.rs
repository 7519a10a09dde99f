//! What a driver reports: typed, timed facts of one device, and the device's health.
//!
//! Owns the vocabulary between drivers and whoever runs them. It never says what a fact means for a case:
//! a key is a key, whether it calls the next ticket is decided by the caller.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use crate::clock::{Mono, MonotonicClock};

/// The logical place of a device, such as `450103-01-W07-keypad`. Opaque here: the caller's configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PositionId(pub Arc<str>);

impl From<String> for PositionId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<&str> for PositionId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<PositionId> for String {
    fn from(id: PositionId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for PositionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A function key of a caller keypad (the last data byte of its frame).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `0A` 开始: start service; with digits, transfer.
    Start,
    /// `0B` 评价: ask for an evaluation.
    Evaluate,
    /// `0C` 呼叫: call the next ticket, or the ticket typed before it.
    Call,
    /// `0D` 重呼: call the same ticket again.
    Recall,
    /// `0E` 取消.
    Cancel,
    /// `0F` 功能: what it does depends on the digits before it and on the deployment.
    Function,
    /// `11` 一米线: the "keep one metre" prompt.
    Metre,
    /// `12` 暂停.
    Pause,
    /// `13` 转移.
    Transfer,
    /// Any other byte, kept as it came.
    Unknown(u8),
}

impl Key {
    /// The key a wire byte stands for.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x0A => Self::Start,
            0x0B => Self::Evaluate,
            0x0C => Self::Call,
            0x0D => Self::Recall,
            0x0E => Self::Cancel,
            0x0F => Self::Function,
            0x11 => Self::Metre,
            0x12 => Self::Pause,
            0x13 => Self::Transfer,
            other => Self::Unknown(other),
        }
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Start => 0x0A,
            Self::Evaluate => 0x0B,
            Self::Call => 0x0C,
            Self::Recall => 0x0D,
            Self::Cancel => 0x0E,
            Self::Function => 0x0F,
            Self::Metre => 0x11,
            Self::Pause => 0x12,
            Self::Transfer => 0x13,
            Self::Unknown(byte) => byte,
        }
    }
}

/// What a device said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A key press on a caller keypad.
    Key {
        /// Bus address of the keypad.
        address: u8,
        /// Digits typed before the key, possibly none.
        digits: String,
        /// The key that ended the entry.
        key: Key,
    },
    /// A press on an evaluator.
    Grade {
        /// Bus address of the evaluator.
        address: u8,
        /// The byte as the device sent it.
        raw: u8,
        /// National grade 1..=5 (5 = 非常满意) by the configured map; `None` if the map has no such byte.
        grade: Option<u8>,
    },
    /// A queue ticket seen on the printer line.
    Ticket {
        /// Ticket number, such as `A001`.
        number: String,
        /// Business as printed.
        business: String,
        /// People waiting as printed.
        waiting: Option<u32>,
        /// Time as printed, local to the ticket machine.
        printed_at: Option<jiff::civil::DateTime>,
    },
    /// An attendance punch.
    Punch {
        /// The employee's number on the terminal.
        employee: String,
        /// The terminal's local time.
        at: jiff::civil::DateTime,
        /// How the person was verified: 0 password, 1 fingerprint, 2 card, 15 face, 25 palm, 255 not said.
        verify: u8,
        /// 0 in, 1 out, 2 break out, 3 break in, 4 overtime in, 5 overtime out.
        state: u8,
        /// `true` if it came as a live event: a hint; the terminal's log will say it again.
        live: bool,
    },
    /// Anything else that a profile names: a state, an answer, a register.
    Report {
        /// Address of the device on its line; 0 where the protocol has none.
        address: u8,
        /// The event's name in the profile.
        name: String,
        /// Its values by their names in the profile.
        values: BTreeMap<String, ReportValue>,
    },
}

/// A value in a [`Fact::Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportValue {
    /// Up to eight bytes as a number.
    Number(u64),
    /// Bytes that are no number.
    Bytes(Bytes),
}

impl fmt::Display for ReportValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Bytes(bytes) => f.write_str(&data_encoding::HEXUPPER.encode(bytes)),
        }
    }
}

/// A decoded, timed fact of one device.
#[derive(Debug)]
pub struct Reading {
    /// Whose it is.
    pub position: PositionId,
    /// When its last byte arrived.
    pub arrived: Mono,
    /// What was said.
    pub fact: Fact,
    /// The bytes it was decoded from.
    pub raw: Bytes,
    /// To be called once the fact is on disk.
    pub receipt: Receipt,
}

/// What a driver sends to its owner.
#[derive(Debug)]
pub enum DriverEvent {
    /// A fact.
    Reading(Reading),
    /// The device's health changed.
    Health {
        /// Whose it is.
        position: PositionId,
        /// Its health now.
        health: Health,
        /// When that was found.
        at: Mono,
    },
    /// An attendance terminal holds nothing older that was not told before this event.
    LogRead {
        /// Whose log it is.
        position: PositionId,
        /// Up to when.
        through: Mono,
        /// Seconds that its clock is ahead of the hall's; `None` where that is not measured.
        clock_offset: Option<i64>,
    },
}

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Connected and sound.
    Up,
    /// Connected, but it has said nothing since then although it should have.
    Silent {
        /// The last sign of life.
        since: Mono,
    },
    /// Connected, but much of what arrives cannot be read.
    Degraded {
        /// Unreadable frames (or slips) in the last minute.
        bad_frames_per_minute: u32,
    },
    /// Not connected.
    Down {
        /// Why, in plain words.
        why: String,
    },
    /// The device's clock minus the hall's clock.
    ClockOffset {
        /// Seconds; positive when the device is ahead.
        seconds: i64,
    },
}

/// The completion handle of a [`Reading`].
///
/// The owner calls [`durable`](Receipt::durable) once the fact is on disk; only then does the driver acknowledge
/// the device. Dropping it without that call means "not stored": the device is never acknowledged for it, and if the
/// device says it again it counts as new.
pub struct Receipt(Option<oneshot::Sender<Answering>>);

/// What the driver holds once a fact is durable: it owes the device an answer.
#[derive(Debug)]
pub struct Answering(oneshot::Sender<()>);

impl Answering {
    /// Says that the answer has been written to the device.
    pub fn answered(self) {
        // Whoever stored the fact may have ended meanwhile.
        let _ = self.0.send(());
    }
}

/// Resolves once the device has been answered: `Ok`, or `Err` when the driver lost the line before it could.
pub type Answered = oneshot::Receiver<()>;

impl Receipt {
    /// A receipt and the end on which the driver waits: `Ok` once durable, `Err` when dropped.
    pub fn pair() -> (Self, oneshot::Receiver<Answering>) {
        let (tx, rx) = oneshot::channel();
        (Self(Some(tx)), rx)
    }

    /// Whether the device waits for an answer, and repeats itself until it has one.
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// A receipt for protocols without an acknowledgement.
    pub fn unacknowledged() -> Self {
        Self(None)
    }

    /// Says that the fact is on disk; gives a way to learn when the device knows it. Until then the device may repeat
    /// the fact, to this driver or to the next one.
    pub fn durable(mut self) -> Answered {
        let (answering, answered) = oneshot::channel();
        if let Some(tx) = self.0.take() {
            // The driver may have ended meanwhile; then there is nobody left to acknowledge, and `answered` says so.
            let _ = tx.send(Answering(answering));
        }
        answered
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Receipt(awaited)" } else { "Receipt(unacknowledged)" })
    }
}

/// Counts of one driver since it was made, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    good: AtomicU64,
    bad: AtomicU64,
    duplicates: AtomicU64,
    unmatched: AtomicU64,
    acknowledged: AtomicU64,
    connects: AtomicU64,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $add:ident;)*) => {
        impl Counters {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }

                pub(crate) fn $add(&self) {
                    self.$name.fetch_add(1, Ordering::Relaxed);
                }
            )*
        }
    };
}

counters! {
    /// Frames (slips, packets) that were sound.
    good, add_good;
    /// Runs of bytes that could not be read.
    bad, add_bad;
    /// Repetitions that were suppressed.
    duplicates, add_duplicate;
    /// Sound frames that mean nothing here: unknown address, unreadable slip.
    unmatched, add_unmatched;
    /// Acknowledgements sent to devices.
    acknowledged, add_acknowledged;
    /// Times the port was opened or the device dialled with success.
    connects, add_connect;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_key_and_comes_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(Key::from_byte(byte).byte(), byte);
        }
    }

    #[test]
    fn a_dropped_receipt_is_not_durable() {
        let (receipt, mut waiting) = Receipt::pair();
        drop(receipt);
        assert!(waiting.try_recv().is_err());
        let (receipt, mut waiting) = Receipt::pair();
        let mut answered = receipt.durable();
        let answering = waiting.try_recv().unwrap();
        assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        answering.answered();
        assert_eq!(answered.try_recv(), Ok(()));
    }

    #[test]
    fn what_could_not_be_answered_is_told() {
        let (receipt, mut waiting) = Receipt::pair();
        let mut answered = receipt.durable();
        drop(waiting.try_recv().unwrap());
        assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
