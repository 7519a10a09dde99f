//! A printer whose line is open: questions, and the job in hand.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::Instant,
};

use super::{Confirmation, Job, NotPrinted, Outcome, Printed, PrinterConfig, Stopped};
use crate::{
    clock::{Mono, MonotonicClock},
    outlet::Outlet,
    port::{Stream, plain_reason},
    reading::{Counters, Health},
    ticket::status::{Heard, Paper, PrinterStatus, Question, StatusReader, Trouble},
};

/// `GS r 1`: the paper sensor, asked in turn.
const ASK_IN_TURN: [u8; 3] = [0x1D, b'r', 1];
/// `GS a`: on/off line, errors, paper.
const TELL_CHANGES: [u8; 3] = [0x1D, b'a', 0x0E];
/// Bytes handed to the line at once: less than the smallest printer's buffer.
const PIECE: usize = 256;
/// Rounds of questions without an answer until a printer that used to answer counts as silent.
const SILENT_ROUNDS: u32 = 3;

/// Why a session ended.
pub(super) enum Ended {
    Lost(io::Error),
    NobodyListens,
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

pub(super) struct Session<'a> {
    read: ReadHalf<Stream>,
    write: WriteHalf<Stream>,
    config: &'a PrinterConfig,
    clock: &'a dyn MonotonicClock,
    out: &'a Outlet,
    told: &'a watch::Sender<PrinterStatus>,
    reader: StatusReader,
    waiting: Vec<u8>,
    status: PrinterStatus,
    /// When it last said anything that could be read.
    heard: Option<Mono>,
    /// Rounds since then without an answer.
    silent: u32,
    /// An answer is overdue and may still come: it must not be taken for the answer to the next question.
    late: bool,
    /// Answers to `GS r` of slips that were given up; they may still come.
    owed: u32,
    health: Option<Health>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        stream: Stream,
        config: &'a PrinterConfig,
        clock: &'a dyn MonotonicClock,
        out: &'a Outlet,
        told: &'a watch::Sender<PrinterStatus>,
    ) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            read,
            write,
            config,
            clock,
            out,
            told,
            reader: StatusReader::default(),
            waiting: Vec::new(),
            status: PrinterStatus::default(),
            heard: None,
            silent: 0,
            late: false,
            owed: 0,
            health: None,
        }
    }

    pub(super) async fn run(
        mut self,
        jobs: &mut mpsc::Receiver<Job>,
        job: &mut Option<Job>,
        counters: &Counters,
    ) -> Ended {
        match self.serve(jobs, job, counters).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn serve(
        &mut self,
        jobs: &mut mpsc::Receiver<Job>,
        job: &mut Option<Job>,
        counters: &Counters,
    ) -> Result<std::convert::Infallible, Ended> {
        if self.config.automatic_status {
            self.send(&TELL_CHANGES).await?;
        }
        let mut all_handles_gone = false;
        loop {
            self.round().await?;
            self.tell().await?;
            while let Some(in_hand) = job.take() {
                if in_hand.is_withdrawn() {
                    continue;
                }
                if let Some(trouble) = self.status.trouble() {
                    if Instant::now() >= in_hand.deadline {
                        in_hand.end(Err(NotPrinted::Refused(trouble)));
                        continue;
                    }
                    *job = Some(in_hand);
                    break;
                }
                self.print(in_hand, job, counters).await?;
                self.tell().await?;
            }
            let mut next_round = Instant::now() + Duration::from_millis(self.config.poll_ms);
            if let Some(in_hand) = &job {
                // The job waits for a person: look oftener, and not beyond its time.
                next_round = (Instant::now() + self.reply_time()).min(in_hand.deadline);
            }
            while job.is_none() {
                tokio::select! {
                    biased;
                    heard = hear(&mut self.read, &mut self.reader, &mut self.waiting) => self.take(heard?),
                    next = jobs.recv(), if !all_handles_gone => match next {
                        Some(next) => *job = Some(next),
                        None => all_handles_gone = true,
                    },
                    () = tokio::time::sleep_until(next_round) => break,
                }
                self.tell().await?;
            }
            if job.is_some() && self.status.trouble().is_some() {
                self.listen(next_round).await?;
            }
        }
    }

    fn reply_time(&self) -> Duration {
        Duration::from_millis(self.config.reply_ms)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A printer that takes no bytes at all must not hold the driver for ever.
        tokio::time::timeout(Duration::from_millis(self.config.print_ms), async {
            self.write.write_all(bytes).await?;
            self.write.flush().await
        })
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Takes what has been heard. A real-time reply nobody waits for is late, and says nothing certain.
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Automatic(status) => self.status.take_automatic(status),
            Heard::Buffered(_) => self.owed = self.owed.saturating_sub(1),
            Heard::RealTime(_) => self.late = false,
            Heard::Xon | Heard::Xoff => {}
            Heard::Noise(byte) => {
                tracing::debug!(position = %self.config.position, byte, "no byte of a printer");
                return;
            }
        }
        self.heard = Some(self.clock.now());
    }

    async fn listen(&mut self, until: Instant) -> io::Result<()> {
        loop {
            let hearing = hear(&mut self.read, &mut self.reader, &mut self.waiting);
            match tokio::time::timeout_at(until, hearing).await {
                Ok(heard) => self.take(heard?),
                Err(_elapsed) => {
                    self.reader.end_of_silence();
                    return Ok(());
                }
            }
        }
    }

    /// Asks one question and takes its answer; `false` if there is none. `in_turn` is called for buffered answers.
    async fn ask(&mut self, question: Question, in_turn: &mut impl FnMut(u8)) -> io::Result<bool> {
        if std::mem::take(&mut self.late) {
            self.listen(Instant::now() + self.reply_time()).await?;
            self.late = false;
        }
        self.send(&question.bytes()).await?;
        let until = Instant::now() + self.reply_time();
        loop {
            let hearing = hear(&mut self.read, &mut self.reader, &mut self.waiting);
            match tokio::time::timeout_at(until, hearing).await {
                Ok(heard) => match heard? {
                    Heard::RealTime(reply) => {
                        self.heard = Some(self.clock.now());
                        self.silent = 0;
                        self.status.take(question, reply);
                        return Ok(true);
                    }
                    Heard::Buffered(reply) if self.owed == 0 => {
                        self.heard = Some(self.clock.now());
                        in_turn(reply);
                    }
                    other => self.take(other),
                },
                Err(_elapsed) => {
                    self.reader.end_of_silence();
                    self.late = true;
                    return Ok(false);
                }
            }
        }
    }

    /// All four questions; the rest is left out when the first is not answered.
    async fn round(&mut self) -> io::Result<()> {
        for question in Question::ALL {
            if !self.ask(question, &mut |_| {}).await? {
                self.silent = self.silent.saturating_add(1);
                if self.silent >= SILENT_ROUNDS {
                    // What it said long ago is not how it is now.
                    self.status = PrinterStatus::default();
                }
                break;
            }
        }
        Ok(())
    }

    async fn tell(&mut self) -> Result<(), Ended> {
        self.told.send_if_modified(|known| std::mem::replace(known, self.status) != self.status);
        let health = match (self.status.trouble(), self.heard) {
            (Some(trouble), _) => Health::Down { why: trouble.to_string() },
            (None, Some(since)) if self.silent >= SILENT_ROUNDS => Health::Silent { since },
            _ => Health::Up,
        };
        if self.health.as_ref() == Some(&health) {
            return Ok(());
        }
        if self.status.paper == Some(Paper::NearEnd) {
            tracing::warn!(position = %self.config.position, "the printer's paper is nearly used up");
        }
        self.health = Some(health.clone());
        if self.out.health(&self.config.position, health, self.clock.now()).await {
            Ok(())
        } else {
            Err(Ended::NobodyListens)
        }
    }

    /// Prints a job. On a line lost before its first byte the job is put back into `kept`.
    async fn print(&mut self, job: Job, kept: &mut Option<Job>, counters: &Counters) -> Result<(), Ended> {
        let mut bytes = job.bytes.clone();
        if self.config.automatic_status {
            // The slip's `ESC @` has switched it off.
            bytes.extend(TELL_CHANGES);
        }
        bytes.extend(ASK_IN_TURN);
        let of = job.bytes.len();
        let (sent, stopped) = self.write_out(&bytes).await;
        let partial = |why: Stopped, sent: usize| Err(NotPrinted::Partial { why, sent: sent.min(of), of });
        let (outcome, lost): (Outcome, _) = match stopped {
            Some(Stop::Lost(error)) if sent == 0 => {
                *kept = Some(job);
                return Err(error.into());
            }
            Some(Stop::Lost(error)) => (partial(Stopped::Lost(plain_reason(&error)), sent), Some(error)),
            Some(Stop::Stalled) if sent == 0 => {
                (Err(NotPrinted::Refused(self.status.trouble().unwrap_or(Trouble::Offline))), None)
            }
            Some(Stop::Stalled) => {
                let why = self.status.trouble().map_or(Stopped::Stalled, Stopped::Trouble);
                (partial(why, sent), None)
            }
            None => match self.confirm(job.deadline).await {
                Ok(Ok(printed)) => (Ok(printed), None),
                Ok(Err(trouble)) => {
                    self.owed = self.owed.saturating_add(1);
                    (partial(Stopped::Trouble(trouble), sent), None)
                }
                Err(error) => (partial(Stopped::Lost(plain_reason(&error)), sent), Some(error)),
            },
        };
        match &outcome {
            Ok(_) => counters.add_good(),
            Err(why) => {
                counters.add_bad();
                tracing::warn!(position = %self.config.position, %why, "a slip was not printed");
            }
        }
        job.end(outcome);
        match lost {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Sends in pieces, listening meanwhile. Gives how many bytes the line took, and what stopped it.
    async fn write_out(&mut self, bytes: &[u8]) -> (usize, Option<Stop>) {
        let patience = Duration::from_millis(self.config.print_ms);
        let mut sent = 0;
        let mut stalled = Instant::now() + patience;
        while sent < bytes.len() {
            let piece = &bytes[sent..bytes.len().min(sent + PIECE)];
            tokio::select! {
                biased;
                heard = hear(&mut self.read, &mut self.reader, &mut self.waiting) => match heard {
                    Ok(heard) => self.take(heard),
                    Err(error) => return (sent, Some(Stop::Lost(error))),
                },
                wrote = self.write.write(piece) => match wrote {
                    Ok(0) => return (sent, Some(Stop::Lost(io::ErrorKind::WriteZero.into()))),
                    Ok(n) => {
                        sent += n;
                        stalled = Instant::now() + patience;
                    }
                    Err(error) => return (sent, Some(Stop::Lost(error))),
                },
                () = tokio::time::sleep_until(stalled) => return (sent, Some(Stop::Stalled)),
            }
        }
        match tokio::time::timeout(patience, self.write.flush()).await {
            Ok(Ok(())) => (sent, None),
            Ok(Err(error)) => (sent, Some(Stop::Lost(error))),
            Err(_elapsed) => (sent, Some(Stop::Stalled)),
        }
    }

    /// Waits until the printer has done what it was sent, or says why it cannot; for trouble, until `deadline`.
    async fn confirm(&mut self, deadline: Instant) -> io::Result<Result<Printed, Trouble>> {
        let mut interrupted = None;
        let mut limit = Instant::now() + Duration::from_millis(self.config.print_ms);
        let mut quiet = Instant::now() + Duration::from_millis(self.config.quiet_ms);
        loop {
            let mut in_turn = None;
            let mut answered = false;
            for question in [Question::Paper, Question::Offline, Question::Printer, Question::Error] {
                answered |= self.ask(question, &mut |reply| in_turn = Some(reply)).await?;
                if !answered || in_turn.is_some() {
                    break;
                }
            }
            if let Some(reply) = in_turn {
                self.status.take_paper_sensor(reply);
                if self.status.paper == Some(Paper::Out) {
                    return Ok(Err(Trouble::PaperOut));
                }
                return Ok(Ok(Printed { confirmation: Confirmation::Done, interrupted }));
            }
            let now = Instant::now();
            if let Some(trouble) = self.status.trouble() {
                interrupted = Some(trouble);
                self.told.send_replace(self.status);
                if now >= deadline {
                    return Ok(Err(trouble));
                }
                limit = now + Duration::from_millis(self.config.print_ms);
                quiet = now + Duration::from_millis(self.config.quiet_ms);
            } else if !answered && self.heard.is_none() {
                return Ok(Ok(Printed { confirmation: Confirmation::Unanswered, interrupted }));
            } else if answered && now >= quiet {
                self.owed = self.owed.saturating_add(1);
                return Ok(Ok(Printed { confirmation: Confirmation::NoTrouble, interrupted }));
            } else if now >= limit {
                // It used to answer and does not any more.
                self.owed = self.owed.saturating_add(1);
                return Ok(match interrupted {
                    Some(trouble) => Err(trouble),
                    None => Ok(Printed { confirmation: Confirmation::Unanswered, interrupted }),
                });
            }
            let pause = (now + self.reply_time()).min(limit);
            let hearing = async {
                loop {
                    match hear(&mut self.read, &mut self.reader, &mut self.waiting).await? {
                        Heard::Buffered(reply) if self.owed == 0 => return Ok::<u8, io::Error>(reply),
                        other => self.take(other),
                    }
                }
            };
            // A branch of its own: the answer that ends the wait must not be thrown away.
            if let Ok(reply) = tokio::time::timeout_at(pause, hearing).await {
                self.status.take_paper_sensor(reply?);
                self.heard = Some(self.clock.now());
                if self.status.paper == Some(Paper::Out) {
                    return Ok(Err(Trouble::PaperOut));
                }
                return Ok(Ok(Printed { confirmation: Confirmation::Done, interrupted }));
            }
        }
    }
}

enum Stop {
    Lost(io::Error),
    Stalled,
}

/// The next thing heard. Keeps what it has read when it is dropped.
async fn hear(
    read: &mut ReadHalf<Stream>,
    reader: &mut StatusReader,
    waiting: &mut Vec<u8>,
) -> io::Result<Heard> {
    loop {
        while !waiting.is_empty() {
            let byte = waiting.remove(0);
            if let Some(heard) = reader.push(byte) {
                return Ok(heard);
            }
        }
        let mut buffer = [0u8; 64];
        match read.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => waiting.extend_from_slice(&buffer[..n]),
        }
    }
}
