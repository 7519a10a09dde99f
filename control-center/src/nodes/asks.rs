//! Questions of pairing on a node's command channel: sent in parts, their answers joined again. Bounded in number, size and time;
//! all end with the channel. Never looks into a body.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{
    channel::ToEdge,
    pairing::{ANSWER_MS, Answered, Ask, Joining, Part, cut},
};
use tokio::sync::oneshot;

use super::registry::Link;

/// Questions to one node at once.
const AT_ONCE: usize = 16;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many questions wait for this hall.
    #[error("too many requests wait for this hall: try again")]
    Busy,
    /// The channel is gone.
    #[error("the hall's edge agent is not connected to the centre")]
    Offline,
    /// It took too long.
    #[error("the hall did not answer in time: try again")]
    Slow,
}

struct Waiting {
    answered: Option<Answered>,
    joining: Joining,
    reply: oneshot::Sender<(Answered, Bytes)>,
}

/// The questions that wait on one channel.
#[derive(Default)]
pub(super) struct Asks(Mutex<(u64, HashMap<u64, Waiting>)>);

impl Asks {
    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Waiting>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<(u64, oneshot::Receiver<(Answered, Bytes)>), NoAnswer> {
        let mut held = self.lock();
        if held.1.len() >= AT_ONCE {
            return Err(NoAnswer::Busy);
        }
        held.0 += 1;
        let id = held.0;
        let (reply, answer) = oneshot::channel();
        held.1.insert(id, Waiting { answered: None, joining: Joining::default(), reply });
        Ok((id, answer))
    }

    pub(super) fn answer(&self, id: u64, answered: Answered) {
        // A question that was given up meanwhile is not there any more.
        if let Some(waiting) = self.lock().1.get_mut(&id) {
            waiting.answered = Some(answered);
        }
    }

    pub(super) fn part(&self, id: u64, part: &Part) {
        let mut held = self.lock();
        let Some(waiting) = held.1.get_mut(&id) else { return };
        match waiting.joining.take(part) {
            Ok(None) => {}
            Ok(Some(body)) => {
                if let Some(Waiting { answered: Some(answered), reply, .. }) = held.1.remove(&id) {
                    // Whoever asked may have gone.
                    let _ = reply.send((answered, body));
                }
            }
            Err(error) => {
                tracing::warn!("{error}");
                held.1.remove(&id);
            }
        }
    }
}

/// Takes a question back when nobody waits for it any more.
struct Held<'a>(&'a Asks, u64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.lock().1.remove(&self.1);
    }
}

impl Link {
    /// Asks the edge a question of pairing. The caller has checked that the person may.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, ask: Ask, body: &[u8]) -> Result<(Answered, Bytes), NoAnswer> {
        let (id, answer) = self.asks.begin()?;
        let _held = Held(&self.asks, id);
        let mut sent = self.send(ToEdge::Ask { id, ask });
        for part in cut(body) {
            sent = sent && self.send(ToEdge::AskPart { id, part });
        }
        if !sent {
            return Err(NoAnswer::Offline);
        }
        tokio::select! {
            () = self.closed.cancelled() => Err(NoAnswer::Offline),
            () = tokio::time::sleep(Duration::from_millis(ANSWER_MS)) => Err(NoAnswer::Slow),
            answer = answer => answer.map_err(|_| NoAnswer::Offline),
        }
    }
}
