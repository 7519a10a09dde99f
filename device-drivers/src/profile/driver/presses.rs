//! Which press is the one before, said again: it counts once however slow the disk is, and is answered again once it is
//! durable. Pure.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;

use crate::{
    clock::Mono,
    profile::{Kind, Limits},
};

/// The window of repetition of devices that wait for an answer, unless the profile has another.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(300);

/// A device as its frames show it: profile, address, kind of message.
pub(super) type Speaker = (usize, u8, Kind);

enum Stored {
    Pending,
    Durable,
    /// Nobody is told: the protocol has no acknowledgement.
    Unanswered,
}

/// The last press of a device.
struct Last {
    raw: Bytes,
    first: Mono,
    seen: Mono,
    press: u64,
    stored: Stored,
    ack: Bytes,
}

/// What a repetition wants.
pub(super) enum Repeated {
    /// Nothing: the press is on its way to disk, or the protocol has no answer.
    Nothing,
    /// The answer again: it was not heard.
    Answer(Bytes),
}

/// The last press of every device.
#[derive(Default)]
pub(super) struct Presses {
    last: HashMap<Speaker, Last>,
    count: u64,
}

impl Presses {
    /// Remembers a press that is new; gives its number.
    pub(super) fn take(&mut self, speaker: Speaker, raw: Bytes, ack: Option<Bytes>, at: Mono) -> u64 {
        self.count += 1;
        let stored = if ack.is_some() { Stored::Pending } else { Stored::Unanswered };
        let ack = ack.unwrap_or_default();
        self.last.insert(speaker, Last { raw, first: at, seen: at, press: self.count, stored, ack });
        self.count
    }

    /// A receipt came back: the press is on disk, or is not and may be said again as new.
    pub(super) fn settle(&mut self, speaker: Speaker, press: u64, durable: bool, now: Mono) {
        let Some(last) = self.last.get_mut(&speaker).filter(|last| last.press == press) else { return };
        if durable {
            last.stored = Stored::Durable;
            last.seen = now;
        } else {
            let address = speaker.1;
            tracing::warn!(address, "a press was not stored; it is not acknowledged and may be said again");
            self.last.remove(&speaker);
        }
    }

    /// Whether a press is the one before, said again. `answered`: the device waits for an answer.
    pub(super) fn repeated(
        &mut self,
        speaker: Speaker,
        limits: &Limits,
        raw: &Bytes,
        answered: bool,
        arrived: Mono,
    ) -> Option<Repeated> {
        let window = limits.duplicate_window.or(answered.then_some(DUPLICATE_WINDOW));
        let last = self.last.get_mut(&speaker).filter(|last| last.raw == *raw)?;
        let repeated = window.is_some_and(|window| arrived.since(last.seen) <= window);
        let bounced = limits.debounce.is_some_and(|most| arrived.since(last.first) <= most);
        let wants = match last.stored {
            // The window slides as long as the fact is on its way to disk.
            Stored::Pending => Repeated::Nothing,
            Stored::Durable if repeated || bounced => Repeated::Answer(last.ack.clone()),
            Stored::Unanswered if repeated || bounced => Repeated::Nothing,
            Stored::Durable | Stored::Unanswered => return None,
        };
        last.seen = arrived;
        Some(wants)
    }
}
