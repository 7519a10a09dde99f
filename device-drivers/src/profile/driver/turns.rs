//! Whose turn it is on an open line: answers before commands, one command at a time to a busy device, nothing that is stale.

use std::{collections::VecDeque, io, time::Duration};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, time::Instant};

use crate::{
    port::{HalfDuplex, Stream},
    profile::Busy,
    reading::{Answering, Counters},
};

/// Writing a frame takes milliseconds; a line that takes longer is stuck.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Answers, and commands, that wait for the line; a press is said again, so what is over is dropped.
const OUT_LIMIT: usize = 64;
/// How often health is looked at where it can change by itself.
const LOOK: Duration = Duration::from_millis(500);

/// A frame that waits for its turn.
pub(super) struct Outgoing {
    bytes: Bytes,
    /// Who is to hear that it went out.
    answers: Option<Answering>,
    /// Set for commands: how long the device is busy with it.
    busy: Option<Busy>,
    /// Not said later than this.
    until: Option<Instant>,
}

impl Outgoing {
    /// An answer; `answers` is who is to hear that it went out.
    pub(super) fn answer(bytes: Bytes, answers: Option<Answering>) -> Self {
        Self { bytes, answers, busy: None, until: None }
    }

    /// A command; `busy` is how long it keeps its device busy.
    pub(super) fn command(bytes: Bytes, busy: Option<Busy>, until: Option<Instant>) -> Self {
        Self { bytes, answers: None, busy, until }
    }
}

/// A poll of one device.
pub(super) struct Asking {
    pub(super) device: usize,
    pub(super) poll: usize,
    pub(super) due: Instant,
}

/// What is known of a line only while it is open.
pub(super) struct Session {
    pub(super) line: HalfDuplex,
    answers: VecDeque<Outgoing>,
    commands: VecDeque<Outgoing>,
    pub(super) busy: Option<(String, Instant)>,
    pub(super) asking: Vec<Asking>,
    pub(super) second: Instant,
    pub(super) this_second: u32,
    pub(super) look_at: Instant,
}

impl Session {
    /// A line that was just opened.
    pub(super) fn new(line: HalfDuplex, asking: Vec<Asking>, now: Instant) -> Self {
        Self {
            line,
            answers: VecDeque::new(),
            commands: VecDeque::new(),
            busy: None,
            asking,
            second: now,
            this_second: 0,
            look_at: now + LOOK,
        }
    }

    /// Looks at health again in a while.
    pub(super) fn looked(&mut self) {
        self.look_at = Instant::now() + LOOK;
    }

    /// Whether something could be said if it were our turn.
    pub(super) fn next_ready(&self) -> bool {
        !self.answers.is_empty() || (self.busy.is_none() && !self.commands.is_empty())
    }

    /// Says an answer in its turn, unless the same one waits already.
    pub(super) fn answer(&mut self, outgoing: Outgoing) {
        if !self.answers.iter().any(|waiting| waiting.bytes == outgoing.bytes && outgoing.answers.is_none()) {
            self.queue(outgoing, true);
        }
    }

    /// Says a command in its turn.
    pub(super) fn command(&mut self, outgoing: Outgoing) {
        self.queue(outgoing, false);
    }

    /// Whether so much waits that nothing more should be asked.
    pub(super) fn is_crowded(&self) -> bool {
        self.commands.len() >= OUT_LIMIT / 2
    }

    fn queue(&mut self, outgoing: Outgoing, answer: bool) {
        let queue = if answer { &mut self.answers } else { &mut self.commands };
        if queue.len() >= OUT_LIMIT {
            tracing::warn!("the line is too busy to be written to; the oldest waiting frame is dropped");
            queue.pop_front();
        }
        queue.push_back(outgoing);
        if self.next_ready() {
            self.line.wants_to_speak(Instant::now());
        }
    }

    fn take_next(&mut self) -> Option<Outgoing> {
        match self.answers.pop_front() {
            Some(answer) => Some(answer),
            None if self.busy.is_none() => {
                let now = Instant::now();
                let stale = |waiting: &Outgoing| waiting.until.is_some_and(|until| until < now);
                while self.commands.front().is_some_and(stale) {
                    tracing::debug!("a command that came too late is not said");
                    self.commands.pop_front();
                }
                self.commands.pop_front()
            }
            None => None,
        }
    }

    /// The device has done what it was told.
    pub(super) fn no_longer_busy(&mut self) {
        self.busy = None;
        if self.next_ready() {
            self.line.wants_to_speak(Instant::now());
        }
    }
}

/// Says what is next in turn.
///
/// # Errors
/// The line is lost, or stuck.
pub(super) async fn speak(counters: &Counters, stream: &mut Stream, s: &mut Session) -> io::Result<()> {
    let Some(Outgoing { bytes, answers, busy, .. }) = s.take_next() else {
        s.line.has_nothing_to_say();
        return Ok(());
    };
    tokio::time::timeout(WRITE_TIMEOUT, write(stream, &bytes))
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
    s.line.spoke(&bytes, Instant::now());
    if let Some(answering) = answers {
        counters.add_acknowledged();
        answering.answered();
    }
    if let Some(busy) = busy {
        let bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let wait = busy.wait + busy.per_byte.saturating_mul(bytes);
        match busy.until {
            Some(any) if any == "*" => s.line.await_answer(wait),
            until => s.busy = Some((until.unwrap_or_default(), Instant::now() + wait)),
        }
    }
    if s.next_ready() {
        s.line.wants_to_speak(Instant::now());
    }
    Ok(())
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
