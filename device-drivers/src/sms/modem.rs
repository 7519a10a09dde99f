//! The dialogue with a modem on an open port.
//!
//! Owns start-up, timeouts and getting back into step after a command that was not answered. What the modem says unasked
//! is queued for the driver. Knows no policy: when to send and what to do with what comes in is the driver's.

use std::{collections::VecDeque, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{
    at::{Answer, AtError, Dialogue, Heard, Lines, Meaning, SimState, Unasked},
    pdu::Encoded,
};
use crate::port::Stream;

/// How long a modem may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For an ordinary command.
    pub command: Duration,
    /// For the network to take a message.
    pub send: Duration,
}

impl Default for Timeouts {
    /// 3 s and 60 s (docs/reference/devices.md F).
    fn default() -> Self {
        Self { command: Duration::from_secs(3), send: Duration::from_secs(60) }
    }
}

/// Attempts to get a sign of life before the line counts as dead.
const ATTEMPTS: usize = 3;
/// Silence after which nothing late is on its way any more.
const QUIET: Duration = Duration::from_millis(100);
/// Unasked-for lines that wait for the driver; beyond it the oldest goes (a stored message is found again by listing).
const MOST_UNASKED: usize = 256;

/// Why a dialogue failed.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The modem said no.
    #[error(transparent)]
    Refused(#[from] AtError),
    /// No answer in time; the dialogue goes on.
    #[error("the modem did not answer {0} in time")]
    Silent(&'static str),
    /// An answer that cannot be read.
    #[error("the modem's answer to {0} cannot be read")]
    Garbled(&'static str),
    /// The line is gone, or the modem answers nothing any more.
    #[error("the line to the modem is lost: {0}")]
    Lost(#[from] io::Error),
}

/// Why a message was not sent, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SendFailure {
    /// What happened.
    #[source]
    pub error: TalkError,
    /// The modem had the whole message: the network may have taken it, and sending again may send it twice.
    pub handed_over: bool,
}

/// What is known of a modem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Maker and model, as it says.
    pub model: String,
    /// How the SIM is.
    pub sim: SimState,
}

/// Whether the SIM is in a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Not known.
    #[default]
    Unknown,
    /// In no network; it may be looking for one.
    Searching,
    /// The network refuses this SIM.
    Refused,
    /// In a network.
    Registered {
        /// In a network that is not its own.
        roaming: bool,
    },
}

/// A stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPdu {
    /// Where.
    pub index: u16,
    /// What.
    pub pdu: String,
}

/// A modem on an open port.
pub struct Modem {
    stream: Stream,
    timeouts: Timeouts,
    lines: Lines,
    dialogue: Dialogue,
    unasked: VecDeque<Unasked>,
}

impl Modem {
    /// A modem whose state is not known.
    pub fn new(stream: Stream, timeouts: Timeouts) -> Self {
        Self {
            stream,
            timeouts,
            lines: Lines::default(),
            dialogue: Dialogue::default(),
            unasked: VecDeque::new(),
        }
    }

    /// Wakes the modem, sets PDU mode and where messages are stored, and asks what it is. A SIM that does not
    /// work is no error: it is in [`About`].
    ///
    /// # Errors
    /// A modem that is silent or does not know PDU mode.
    pub async fn start(&mut self) -> Result<About, TalkError> {
        self.resynchronise().await?;
        self.optional("ATE0", Answer::Nothing).await?;
        self.optional("AT+CMEE=1", Answer::Nothing).await?;
        let maker = self.optional("AT+CGMI", Answer::Free).await?.unwrap_or_default();
        let model = self.optional("AT+CGMM", Answer::Free).await?.unwrap_or_default();
        let model =
            [maker.first(), model.first()].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        let model = model.chars().take(80).collect();
        let sim = self.sim().await?;
        self.command("AT+CMGF=0", Answer::Nothing).await?;
        if sim == SimState::Ready {
            self.optional("AT+CPMS=\"SM\",\"SM\",\"SM\"", Answer::Nothing).await?;
            // Messages are stored and told of; status reports come directly.
            if self.optional("AT+CNMI=2,1,0,1,0", Answer::Nothing).await?.is_none() {
                tracing::warn!(
                    "this modem does not tell of new messages: the storage is looked at each minute"
                );
            }
        }
        Ok(About { model, sim })
    }

    /// How the SIM is.
    ///
    /// # Errors
    /// Silence or loss.
    pub async fn sim(&mut self) -> Result<SimState, TalkError> {
        match self.command("AT+CPIN?", Answer::Lines("+CPIN:")).await {
            Ok(lines) => Ok(SimState::of_answer(&Ok(lines))),
            Err(TalkError::Refused(error)) => Ok(SimState::of_answer(&Err(error))),
            Err(other) => Err(other),
        }
    }

    /// Strength of what is received, in dBm; `None` when the modem does not know.
    ///
    /// # Errors
    /// Silence, loss, or an answer that is none.
    pub async fn signal(&mut self) -> Result<Option<i16>, TalkError> {
        let lines = self.command("AT+CSQ", Answer::Lines("+CSQ:")).await?;
        let level = lines
            .first()
            .and_then(|line| line.strip_prefix("+CSQ:")?.split(',').next()?.trim().parse::<i16>().ok())
            .ok_or(TalkError::Garbled("AT+CSQ"))?;
        // TS 27.007, 8.5: 0 to 31 in steps of 2 dBm from −113; 99 is not known.
        Ok((0..=31).contains(&level).then_some(2 * level - 113))
    }

    /// Whether the SIM is in a network, by either of the ways in which modems tell.
    ///
    /// # Errors
    /// Silence or loss.
    pub async fn registration(&mut self) -> Result<Registration, TalkError> {
        let mut best = Registration::Unknown;
        for (command, prefix) in [("AT+CREG?", "+CREG:"), ("AT+CEREG?", "+CEREG:")] {
            let Some(lines) = self.optional(command, Answer::Lines(prefix)).await? else { continue };
            let state = lines.first().and_then(|line| line.split(',').nth(1)?.trim().parse::<u8>().ok());
            match state {
                // 6 and 7: registered for text messages only.
                Some(1 | 6) => return Ok(Registration::Registered { roaming: false }),
                Some(5 | 7) => return Ok(Registration::Registered { roaming: true }),
                Some(3) => best = Registration::Refused,
                Some(0 | 2) if best == Registration::Unknown => best = Registration::Searching,
                _ => {}
            }
        }
        Ok(best)
    }

    /// Hands one message to the network; gives the number under which its status report will come.
    ///
    /// # Errors
    /// The modem's or the network's refusal, silence, loss.
    pub async fn send(&mut self, message: &Encoded) -> Result<u8, SendFailure> {
        let before = |error| SendFailure { error, handed_over: false };
        self.prompt(message.length).await.map_err(before)?;
        self.dialogue.wrote(&message.hex);
        let handing_over = self.hand_over(&message.hex).await;
        handing_over.map_err(|error| {
            // A refusal is an answer: it was not sent.
            let handed_over = !matches!(error, TalkError::Refused(_));
            SendFailure { error, handed_over }
        })
    }

    async fn prompt(&mut self, length: usize) -> Result<(), TalkError> {
        self.ask(&format!("AT+CMGS={length}"), Answer::Lines("+CMGS:")).await?;
        match self.answer("AT+CMGS", self.timeouts.command, true).await? {
            None => Ok(()),
            // An end where a prompt was due: refused, or nonsense.
            Some(Err(refused)) => Err(refused.into()),
            Some(Ok(_)) => Err(TalkError::Garbled("AT+CMGS")),
        }
    }

    async fn hand_over(&mut self, hex: &str) -> Result<u8, TalkError> {
        self.write(format!("{hex}\u{1a}").as_bytes()).await?;
        let answer = self.answer("AT+CMGS", self.timeouts.send, false).await?;
        let lines = answer.ok_or(TalkError::Garbled("AT+CMGS"))??;
        lines
            .iter()
            .find_map(|line| line.strip_prefix("+CMGS:")?.split(',').next()?.trim().parse::<u8>().ok())
            .ok_or(TalkError::Garbled("AT+CMGS"))
    }

    /// Every message in the storage.
    ///
    /// # Errors
    /// The modem's refusal, silence, loss.
    pub async fn list(&mut self) -> Result<Vec<StoredPdu>, TalkError> {
        let lines = self.command("AT+CMGL=4", Answer::Pairs("+CMGL:")).await?;
        let pairs = lines.chunks_exact(2).filter_map(|pair| {
            let index = pair[0].strip_prefix("+CMGL:")?.split(',').next()?.trim().parse().ok()?;
            Some(StoredPdu { index, pdu: pair[1].clone() })
        });
        Ok(pairs.collect())
    }

    /// The message at an index; `None` if there is none.
    ///
    /// # Errors
    /// The modem's refusal, silence, loss.
    pub async fn read(&mut self, index: u16) -> Result<Option<StoredPdu>, TalkError> {
        let command = format!("AT+CMGR={index}");
        let lines = match self.named(&command, "AT+CMGR", Answer::Pairs("+CMGR:")).await {
            Ok(lines) => lines,
            // TS 27.005: no such index.
            Err(TalkError::Refused(AtError::Message(321))) => return Ok(None),
            Err(other) => return Err(other),
        };
        Ok(lines.get(1).map(|pdu| StoredPdu { index, pdu: pdu.clone() }))
    }

    /// Takes the message at an index out of the storage.
    ///
    /// # Errors
    /// The modem's refusal, silence, loss.
    pub async fn delete(&mut self, index: u16) -> Result<(), TalkError> {
        self.named(&format!("AT+CMGD={index}"), "AT+CMGD", Answer::Nothing).await.map(|_| ())
    }

    /// Waits until the modem says something unasked. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// Loss of the line.
    pub async fn unasked(&mut self) -> Result<Unasked, TalkError> {
        loop {
            // They may have come in one piece with the end of an answer.
            self.note_all();
            if let Some(unasked) = self.unasked.pop_front() {
                return Ok(unasked);
            }
            self.hear().await?;
        }
    }

    /// Takes every line that was heard and belongs to nobody's answer.
    fn note_all(&mut self) {
        while let Some(heard) = self.lines.next_heard() {
            if let Heard::Line(line) = heard {
                self.note(&line);
            }
        }
    }

    /// A command, whose answer is waited for.
    async fn command(&mut self, command: &'static str, answer: Answer) -> Result<Vec<String>, TalkError> {
        self.named(command, command, answer).await
    }

    /// A command that a modem need not know: `None` when it refuses.
    async fn optional(
        &mut self,
        command: &'static str,
        answer: Answer,
    ) -> Result<Option<Vec<String>>, TalkError> {
        match self.command(command, answer).await {
            Ok(lines) => Ok(Some(lines)),
            Err(TalkError::Refused(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn named(
        &mut self,
        command: &str,
        name: &'static str,
        answer: Answer,
    ) -> Result<Vec<String>, TalkError> {
        self.ask(command, answer).await?;
        let lines =
            self.answer(name, self.timeouts.command, false).await?.ok_or(TalkError::Garbled(name))??;
        Ok(lines)
    }

    async fn ask(&mut self, command: &str, answer: Answer) -> Result<(), TalkError> {
        self.note_all();
        self.dialogue.ask(command, answer);
        self.write(format!("{command}\r").as_bytes()).await
    }

    /// Waits for the end of an answer, or for a prompt (`None`). After silence the dialogue is brought back into step.
    async fn answer(
        &mut self,
        name: &'static str,
        within: Duration,
        prompt: bool,
    ) -> Result<Option<Result<Vec<String>, AtError>>, TalkError> {
        let due = Instant::now() + within;
        loop {
            while let Some(heard) = self.lines.next_heard() {
                match heard {
                    Heard::Prompt if prompt => return Ok(None),
                    Heard::Prompt => {}
                    Heard::Line(line) => {
                        if let Some(end) = self.note(&line) {
                            return Ok(Some(end));
                        }
                    }
                }
            }
            match tokio::time::timeout_at(due, self.hear()).await {
                Ok(heard) => heard?,
                Err(_elapsed) => {
                    self.resynchronise().await?;
                    return Err(TalkError::Silent(name));
                }
            }
        }
    }

    /// Ends whatever the modem may be in the middle of, and waits for an answer to `AT`.
    async fn resynchronise(&mut self) -> Result<(), TalkError> {
        // Escape leaves a message's prompt without sending it.
        self.write(b"\x1B\r").await?;
        for _ in 0..ATTEMPTS {
            self.dialogue.ask("AT", Answer::Nothing);
            self.write(b"AT\r").await?;
            let due = Instant::now() + self.timeouts.command;
            while let Ok(heard) = tokio::time::timeout_at(due, self.hear()).await {
                heard?;
                let mut in_step = false;
                while let Some(heard) = self.lines.next_heard() {
                    if let Heard::Line(line) = heard {
                        in_step |= matches!(self.note(&line), Some(Ok(_)));
                    }
                }
                if in_step {
                    return self.drain().await;
                }
            }
        }
        self.dialogue.give_up();
        Err(TalkError::Lost(io::Error::new(io::ErrorKind::TimedOut, "the modem answers nothing")))
    }

    /// Lets late answers pass, so that they are not taken for the next command's.
    async fn drain(&mut self) -> Result<(), TalkError> {
        while let Ok(heard) = tokio::time::timeout(QUIET, self.hear()).await {
            heard?;
            self.note_all();
        }
        Ok(())
    }

    /// Gives the end of the answer, if the line is it.
    fn note(&mut self, line: &str) -> Option<Result<Vec<String>, AtError>> {
        match self.dialogue.line(line) {
            Meaning::More => None,
            Meaning::Done(end) => Some(end),
            Meaning::Unasked(Unasked::Other) => None,
            Meaning::Unasked(unasked) => {
                if self.unasked.len() >= MOST_UNASKED {
                    self.unasked.pop_front();
                }
                self.unasked.push_back(unasked);
                None
            }
        }
    }

    async fn hear(&mut self) -> Result<(), TalkError> {
        let mut buffer = [0; 512];
        let count = self.stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(TalkError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        self.lines.push(&buffer[..count]);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TalkError> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(self.timeouts.command, writing).await {
            Ok(written) => Ok(written?),
            Err(_elapsed) => Err(TalkError::Lost(io::ErrorKind::TimedOut.into())),
        }
    }
}
