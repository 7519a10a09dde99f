//! One step of a day: what is done to a device, and what it means.

use serde::{Deserialize, Serialize};

/// A function key of a keypad (docs/reference/devices.md B2.1; the meanings are the demo's key map).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PressedKey {
    /// `0A`: start the service; with digits, transfer to that window.
    Start,
    /// `0B`: the service ends, a rating is invited.
    Evaluate,
    /// `0C`: call next; with digits, call that ticket.
    Call,
    /// `0D`: call the same ticket again.
    Recall,
    /// `0F`: with `5` no-show, `0` hold, `3` call back the held one, `4` sign out, two digits or more sign in.
    Function,
    /// `12`: pause, or go on.
    Pause,
}

/// What a person does to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Action {
    /// The ticket machine prints.
    Ticket {
        /// The ticket, for instance `A001`.
        number: String,
        /// The business as printed.
        business: String,
        /// People waiting for it, before this one.
        waiting: u32,
    },
    /// A key on a window's keypad.
    Press {
        /// The window's number.
        window: u8,
        /// Digits typed before the key.
        digits: String,
        /// The key.
        key: PressedKey,
    },
    /// A press on a window's evaluator.
    Rate {
        /// The window's number.
        window: u8,
        /// The byte it sends.
        raw: u8,
    },
    /// A finger on the attendance terminal.
    Punch {
        /// Staff number.
        employee: String,
        /// 0 = comes, 1 = goes.
        state: u8,
    },
}

/// What a correct system must make of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Expectation {
    /// A case is opened for the ticket.
    Issued {
        /// The ticket.
        ticket: String,
    },
    /// The ticket is called to the window.
    Called {
        /// The ticket.
        ticket: String,
        /// A case at this window which this call ended without the `evaluate` key.
        ended: Option<String>,
    },
    /// The ticket is called again.
    Recalled {
        /// The ticket.
        ticket: String,
    },
    /// Its service starts.
    Started {
        /// The ticket.
        ticket: String,
    },
    /// Its service ends and a rating is invited.
    Ended {
        /// The ticket.
        ticket: String,
    },
    /// The rating counts for the ticket's case.
    Rated {
        /// The ticket.
        ticket: String,
        /// 1..=5, 5 is the best.
        grade: u8,
    },
    /// The press on the evaluator belongs to no case.
    Unsolicited,
    /// Nobody came; the case ends.
    NoShow {
        /// The ticket.
        ticket: String,
    },
    /// The case waits at another window.
    Transferred {
        /// The ticket.
        ticket: String,
        /// The window's number.
        to: u8,
    },
    /// The case is put on hold.
    Held {
        /// The ticket.
        ticket: String,
    },
    /// The held case is back at its window.
    Resumed {
        /// The ticket.
        ticket: String,
    },
    /// The window is closed for a while.
    Paused,
    /// And open again.
    Reopened,
    /// The clerk is at the window.
    SignedIn {
        /// Staff number.
        clerk: String,
    },
    /// The clerk has left it.
    SignedOut {
        /// Staff number.
        clerk: String,
    },
    /// The punch is on record.
    Punched {
        /// Staff number.
        employee: String,
        /// After the shift's start by the plan.
        late: bool,
    },
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds of the script since the day's start.
    pub at: u64,
    /// What is done.
    pub action: Action,
    /// What it means.
    pub expect: Expectation,
}

/// The byte that a five-key evaluator sends for grade 1..=5 at index 0..=4: 00 → 1 … 04 → 5.
pub const RAW_OF_GRADE: [u8; 5] = [0, 1, 2, 3, 4];
