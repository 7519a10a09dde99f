//! Takes the journal up: batches in order, marks forward, back when the centre lost something, and slowly when it is
//! asked to be slow. An event is sent the moment it is on disk; nothing is ever given up on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{
    NodeId,
    chain::ChainEnd,
    intake::{self, Answer, MAX_EVENTS, Quarantine, fitting, pack},
};
use http::{Method, StatusCode};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    channel::{ChannelState, jitter},
    connector::{ConnectError, Connector},
};
use crate::{
    clock::{Clock, SystemClock},
    journal::{Journal, JournalError, MarkOutcome, Outgoing},
};

/// The first wait after a failure, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The wait after the centre found a contradiction, which only a person can mend.
const CONTRADICTED: Duration = Duration::from_secs(60);
/// With nothing to send the centre is asked this often what it has: it may have been restored from a backup.
const IDLE: Duration = Duration::from_secs(60);
/// A slower answer says too little about the centre's clock.
const CLOCK_ROUND_TRIP: Duration = Duration::from_secs(2);

/// How the uplink is, for `/metrics` and `/readyz`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UplinkState {
    /// The last exchange succeeded.
    pub connected: bool,
    /// Why it did not, in plain words.
    pub why: Option<String>,
    /// Why the centre keeps this node's events apart, where it does.
    pub quarantined: Option<Quarantine>,
    /// Events the centre has committed since the start.
    pub events_sent: u64,
    /// Batches posted since the start.
    pub batches: u64,
    /// Events the centre could not read.
    pub poisoned: u64,
    /// How long the last exchange took, seconds.
    pub round_trip: Option<f64>,
}

/// The sender.
pub struct EventSender {
    /// Dials the centre.
    pub connector: Arc<Connector>,
    /// What is to be sent.
    pub journal: Journal,
    /// Told the centre's clock.
    pub clock: Arc<SystemClock>,
    /// This node.
    pub node: NodeId,
    /// The first exchange waits a random part of this.
    pub first_delay: Duration,
    /// Where the state is shown.
    pub state: watch::Sender<UplinkState>,
    /// The command channel's state: when it stands again the centre is there, and no wait is worth sitting out.
    pub channel: watch::Receiver<ChannelState>,
}

/// Why an exchange did not move anything.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the centre answered {status}: {detail}")]
    Status { status: StatusCode, detail: String, wait: Option<Duration> },
    #[error("the centre's answer cannot be read: {0}")]
    Answer(String),
    #[error("the centre took none of the events it was sent{}", quarantine_words(.0))]
    NoProgress(Option<Quarantine>),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn quarantine_words(why: &Option<Quarantine>) -> &'static str {
    match why {
        None => "",
        Some(Quarantine::Forked) => {
            ": two machines, or an older copy of this disk, have sent different events under this node's name"
        }
        Some(Quarantine::CaseReopened) => ": a case ID of this node was opened twice",
        Some(Quarantine::TwoMachines) => ": another machine uses this node's certificate",
    }
}

/// A failed attempt's wait: doubling, shortened at random by up to half.
#[derive(Debug)]
struct Waits(Duration);

impl Waits {
    fn next(&mut self, jitter: f64) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(BACKOFF.1);
        step.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }

    fn reset(&mut self) {
        self.0 = BACKOFF.0;
    }
}

impl EventSender {
    /// Sends until `cancel`.
    ///
    /// # Errors
    /// The journal's; nothing that happens on the link ends the sender.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), JournalError> {
        tokio::select! {
            () = cancel.cancelled() => Ok(()),
            ended = self.send() => ended,
        }
    }

    async fn send(&self) -> Result<(), JournalError> {
        tokio::time::sleep(self.first_delay.mul_f64(jitter())).await;
        let mut status = self.journal.status();
        let mut waits = Waits(BACKOFF.0);
        let mut told: Option<String> = None;
        // Before anything is sent the centre says what it has, so that an older copy of the disk is found out.
        let mut ask = true;
        loop {
            status.mark_unchanged();
            // Before the exchange: the centre may come back while a dead connection is still waited for.
            let connects = self.channel.borrow().connects;
            let depth = status.borrow().depth;
            let result = if ask || depth == 0 { self.ask().await } else { self.post(depth).await };
            match result {
                Ok(()) => {
                    if !self.state.borrow().connected {
                        tracing::info!(address = self.connector.address(), depth, "the centre takes events");
                    }
                    self.state.send_modify(|s| (s.connected, s.why) = (true, None));
                    waits.reset();
                    told = None;
                    ask = false;
                    if status.borrow().depth == 0 {
                        // Whatever comes rings at once; the timeout is for the question alone.
                        let _ = tokio::time::timeout(IDLE, status.changed()).await;
                    }
                }
                Err(Failure::Journal(e @ (JournalError::Failed(_) | JournalError::Closed))) => return Err(e),
                Err(failure) => {
                    let wait = match &failure {
                        // The mark cannot be written down: what was sent is sent again, which is nothing new.
                        Failure::Journal(_) => BACKOFF.0,
                        Failure::Status { wait: Some(asked), .. } => {
                            (*asked).max(BACKOFF.0) + BACKOFF.0.mul_f64(jitter())
                        }
                        Failure::NoProgress(Some(_)) => CONTRADICTED,
                        _ => waits.next(jitter()),
                    };
                    let why = failure.to_string();
                    if told.as_ref() != Some(&why) {
                        tracing::warn!(
                            depth,
                            "events stay here for now and are sent again until they are taken: {why}"
                        );
                        told = Some(why.clone());
                    }
                    self.state.send_modify(|s| (s.connected, s.why) = (false, Some(why)));
                    ask = true;
                    let unreachable = matches!(failure, Failure::Connect(_));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.centre_is_back(connects), if unreachable => waits.reset(),
                    }
                }
            }
        }
    }

    /// Done when the command channel has been opened more than `so_far` times. Never, if that has ended.
    async fn centre_is_back(&self, so_far: u64) {
        let mut channel = self.channel.clone();
        let opened = channel.wait_for(|channel| channel.connected && channel.connects > so_far).await.is_ok();
        if !opened {
            std::future::pending::<()>().await;
        }
    }

    async fn ask(&self) -> Result<(), Failure> {
        let answer = self.exchange(Method::GET, intake::PATH, Bytes::new()).await?;
        self.take(&answer, None).await.map(|_| ())
    }

    async fn post(&self, depth: u64) -> Result<(), Failure> {
        let events = self.journal.outgoing(MAX_EVENTS).await?;
        let count = fitting(events.iter().map(|e| e.bytes.len()));
        let batch: Vec<Outgoing> = events.into_iter().take(count).collect();
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
        let (before, end) = (first.seq.saturating_sub(1), last.seq);
        let epoch = first.epoch;
        let path = format!("{}?behind={}", intake::PATH, depth.saturating_sub(batch.len() as u64));
        // A full batch is megabytes to compress: not for a thread that carries pictures.
        let packed = tokio::task::spawn_blocking(move || pack(batch.iter().map(|e| e.bytes.as_ref())))
            .await
            .map_err(|e| Failure::Answer(e.to_string()))?
            .map_err(|e| Failure::Answer(e.to_string()))?;
        let answer = self.exchange(Method::POST, &path, Bytes::from(packed)).await?;
        let (committed, quarantined) = self.take(&answer, Some(epoch)).await?;
        let reached = committed.filter(|c| c.epoch == epoch).map_or(0, |c| c.seq.min(end));
        self.state.send_modify(|s| {
            s.batches += 1;
            s.events_sent += reached.saturating_sub(before);
            s.poisoned += u64::from(answer.poisoned);
        });
        if answer.poisoned > 0 {
            tracing::error!(
                count = answer.poisoned,
                "the centre could not read some events and keeps them apart"
            );
        }
        // Lower than before is a rewind, which the journal has taken note of: the next batch begins there.
        if reached == before { Err(Failure::NoProgress(quarantined)) } else { Ok(()) }
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Failure> {
        let (started, before) = (Instant::now(), self.clock.now_utc());
        let answer = self.connector.request(method, path, "application/zstd", body).await?;
        let took = started.elapsed();
        if !answer.status.is_success() {
            return Err(Failure::Status {
                status: answer.status,
                detail: answer.detail(),
                wait: answer.retry_after(),
            });
        }
        let read: Answer =
            serde_json::from_slice(&answer.body).map_err(|e| Failure::Answer(e.to_string()))?;
        if took < CLOCK_ROUND_TRIP {
            let half = i64::try_from(took.as_millis() / 2).unwrap_or(0);
            self.clock.centre_says(read.centre_utc_ms - before.0 - half);
        }
        self.state.send_modify(|s| s.round_trip = Some(took.as_secs_f64()));
        Ok(read)
    }

    /// Brings the journal's mark to where the centre is.
    async fn take(
        &self,
        answer: &Answer,
        sent: Option<u64>,
    ) -> Result<(Option<ChainEnd>, Option<Quarantine>), Failure> {
        let mark = answer.marks.iter().find(|m| m.node == self.node);
        let quarantined = mark.and_then(|m| m.quarantined);
        if quarantined.is_some() && self.state.borrow().quarantined != quarantined {
            tracing::error!("the centre keeps this node's events apart{}", quarantine_words(&quarantined));
        }
        self.state.send_modify(|s| s.quarantined = quarantined);
        let committed = mark.and_then(|m| m.committed);
        let outcome = match committed {
            Some(committed) => self.journal.mark(committed).await?,
            None if sent.is_none() => {
                self.journal.rewind_all().await?;
                MarkOutcome::Advanced
            }
            None => MarkOutcome::Advanced,
        };
        match outcome {
            MarkOutcome::Advanced => {}
            MarkOutcome::Rewound => {
                tracing::warn!(?committed, "the centre has less than before (restored?): it is sent again");
            }
            MarkOutcome::Ahead => {
                self.journal
                    .new_epoch("the centre has events of this node that this journal does not have")
                    .await?;
            }
            MarkOutcome::UnknownEpoch => {
                self.journal.new_epoch("the centre knows a later epoch of this node").await?;
            }
        }
        Ok((committed, quarantined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute() {
        let mut waits = Waits(BACKOFF.0);
        let steps: Vec<u64> = (0..8).map(|_| waits.next(0.0).as_secs()).collect();
        assert_eq!(steps, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits.next(1.0), Duration::from_secs(30));
        waits.reset();
        assert_eq!(waits.next(0.0), Duration::from_secs(1));
    }
}
