//! A GSM modem with a SIM card: enough of TS 27.005 and 27.007 for our driver and for gammu.
//!
//! What is sent by it is in [`SimulatedModem::sent`]; what a phone sends to it is stored on its card and told of.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, tz::Offset};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::sms::{
    PhoneNumber,
    at::SimState,
    parts,
    pdu::{Deliver, StatusReport, Submit},
};

/// Messages that the card holds.
const CAPACITY: u16 = 20;
/// The zone of the service centre's clock.
const ZONE: Offset = Offset::constant(8);
/// Longest command line, and longest PDU text.
const LONGEST: usize = 1024;

/// A misbehaviour to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers nothing until [`Fault::Speak`].
    Silence,
    /// Ends a silence.
    Speak,
    /// The next command is carried out and not answered.
    NoAnswer,
    /// The next message is taken and not confirmed.
    Unconfirmed,
    /// These bytes go out at once.
    Noise(Vec<u8>),
    /// The next messages fail with these codes (CMS).
    Refuse(Vec<u16>),
    /// Answers go out in pieces of this many bytes with this pause between.
    Split(usize, Duration),
    /// `RING` and the news of a call stand in the middle of each answer, in the same write.
    Interrupt,
    /// The card is in this state.
    Sim(SimState),
    /// The network is gone, or back.
    Network(bool),
    /// No status reports from now on.
    NoReports,
    /// Messages never arrive: the status report says so.
    Unreachable,
    /// The line is cut: [`SimulatedModem::serve`] returns.
    Disconnect,
}

/// A message that the network took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// As the modem was given it.
    pub message: Submit,
    /// The number the modem gave it.
    pub reference: u8,
}

enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    Disconnect,
}

struct State {
    echo: bool,
    numbered_errors: bool,
    tells: bool,
    reports: bool,
    typed: Vec<u8>,
    /// The length that a message was announced with, while its text is waited for.
    message: Option<usize>,
    card: BTreeMap<u16, (bool, String)>,
    sent: Vec<SentMessage>,
    reference: u8,
    sim: SimState,
    network: bool,
    silent: bool,
    unanswered: bool,
    unconfirmed: bool,
    refuse: VecDeque<u16>,
    split: Option<(usize, Duration)>,
    interrupt: bool,
    no_reports: bool,
    unreachable: bool,
    waiting: VecDeque<Step>,
}

/// An answer to a command.
enum Reply {
    Ok(Vec<String>),
    Prompt,
    Equipment(u16),
    Message(u16),
    Error,
}

/// A handle on a simulated modem; clones are the same modem.
#[derive(Clone)]
pub struct SimulatedModem {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Default for SimulatedModem {
    fn default() -> Self {
        let state = State {
            echo: true,
            numbered_errors: false,
            tells: false,
            reports: false,
            typed: Vec::new(),
            message: None,
            card: BTreeMap::new(),
            sent: Vec::new(),
            reference: 0,
            sim: SimState::Ready,
            network: true,
            silent: false,
            unanswered: false,
            unconfirmed: false,
            refuse: VecDeque::new(),
            split: None,
            interrupt: false,
            no_reports: false,
            unreachable: false,
            waiting: VecDeque::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }
}

impl State {
    fn say(&mut self, bytes: Vec<u8>) {
        match self.split {
            None => self.waiting.push_back(Step::Write(bytes)),
            Some((size, pause)) => {
                for piece in bytes.chunks(size.max(1)) {
                    self.waiting.push_back(Step::Write(piece.to_vec()));
                    self.waiting.push_back(Step::Pause(pause));
                }
            }
        }
    }

    fn unasked(&mut self, text: &str) {
        self.say(format!("\r\n{text}\r\n").into_bytes());
    }

    fn input(&mut self, bytes: &[u8]) {
        if self.silent {
            return;
        }
        for byte in bytes {
            if self.echo && *byte != 0x1B {
                self.waiting.push_back(Step::Write(vec![*byte]));
            }
            match (byte, self.message) {
                (0x1B, _) => {
                    self.typed.clear();
                    if self.message.take().is_some() {
                        self.reply(Reply::Ok(Vec::new()));
                    }
                }
                (0x1A, Some(length)) => {
                    self.message = None;
                    let text = std::mem::take(&mut self.typed);
                    let reply = self.send(&String::from_utf8_lossy(&text), length);
                    self.unanswered |= std::mem::take(&mut self.unconfirmed);
                    self.reply(reply);
                }
                (b'\r', None) => {
                    let line = std::mem::take(&mut self.typed);
                    let line = String::from_utf8_lossy(&line).trim().to_owned();
                    if !line.is_empty() {
                        let reply = self.command(&line);
                        self.reply(reply);
                    }
                }
                (b'\r' | b'\n', _) => {}
                _ if self.typed.len() < LONGEST => self.typed.push(*byte),
                _ => {}
            }
        }
    }

    fn reply(&mut self, reply: Reply) {
        if std::mem::take(&mut self.unanswered) {
            return;
        }
        let (lines, end) = match reply {
            Reply::Prompt => {
                self.say(b"\r\n> ".to_vec());
                return;
            }
            Reply::Ok(lines) => (lines, "OK".to_owned()),
            Reply::Equipment(code) if self.numbered_errors => (Vec::new(), format!("+CME ERROR: {code}")),
            Reply::Equipment(_) | Reply::Error => (Vec::new(), "ERROR".to_owned()),
            Reply::Message(code) => (Vec::new(), format!("+CMS ERROR: {code}")),
        };
        let mut text = String::new();
        if self.interrupt {
            text.push_str("\r\nRING\r\n\r\n+CLIP: \"10086\",129\r\n");
        }
        for line in lines {
            text.push_str(&format!("\r\n{line}\r\n"));
        }
        if self.interrupt {
            text.push_str("\r\n^RSSI: 20\r\n");
        }
        text.push_str(&format!("\r\n{end}\r\n"));
        self.say(text.into_bytes());
        // What the network says after it took a message.
        self.settle_reports();
    }

    fn settle_reports(&mut self) {
        let Some(last) = self.sent.last().filter(|last| last.reference != self.reference) else { return };
        self.reference = last.reference;
        if !(last.message.report && self.reports) || self.no_reports {
            return;
        }
        let status = if self.unreachable { 0x45 } else { 0x00 };
        let report = StatusReport { reference: last.reference, to: last.message.to.clone(), status };
        if let Ok(report) = report.encode(Timestamp::UNIX_EPOCH, ZONE) {
            self.unasked(&format!("+CDS: {}\r\n{}", report.length, report.hex));
        }
    }

    fn send(&mut self, text: &str, length: usize) -> Reply {
        let Ok(message) = Submit::decode(text) else { return Reply::Message(304) };
        let centre = 1 + usize::from(u8::from_str_radix(text.get(..2).unwrap_or_default(), 16).unwrap_or(0));
        if text.trim().len() / 2 != centre + length {
            return Reply::Message(304);
        }
        if let Some(code) = self.refuse.pop_front() {
            return Reply::Message(code);
        }
        if !self.network {
            return Reply::Message(331);
        }
        let reference = self.sent.last().map_or(1, |last| last.reference.wrapping_add(1));
        self.sent.push(SentMessage { message, reference });
        Reply::Ok(vec![format!("+CMGS: {reference}")])
    }

    /// The error of a card that does not work.
    fn card_error(&self) -> Option<Reply> {
        match self.sim {
            SimState::Ready => None,
            SimState::PinNeeded => Some(Reply::Message(311)),
            SimState::Missing | SimState::Unknown => Some(Reply::Message(310)),
            SimState::Blocked => Some(Reply::Message(313)),
        }
    }

    fn command(&mut self, line: &str) -> Reply {
        let upper = line.to_ascii_uppercase();
        let Some(command) = upper.strip_prefix("AT") else { return Reply::Error };
        let one = |line: &str| Reply::Ok(vec![line.to_owned()]);
        let done = || Reply::Ok(Vec::new());
        match command {
            "" | "Z" | "&F" | "+CFUN=1" | "+CMGF=0" | "E1" | "E0" | "+CMEE=0" | "+CMEE=1" | "+CMEE=2" => {
                match command {
                    "E0" => self.echo = false,
                    "E1" => self.echo = true,
                    "+CMEE=0" => self.numbered_errors = false,
                    "+CMEE=1" | "+CMEE=2" => self.numbered_errors = true,
                    _ => {}
                }
                return done();
            }
            "+CGMI" => return one("HALLWATCH"),
            "+CGMM" => return one("SIMULATED"),
            "+CGMR" => return one("Revision: 1.0"),
            "+CGSN" => return one("490154203237518"),
            "+CSCS=?" => return one("+CSCS: (\"GSM\",\"HEX\",\"UCS2\")"),
            "+CSCS?" => return one("+CSCS: \"GSM\""),
            "+CMGF=?" => return one("+CMGF: (0)"),
            "+CMGF?" => return one("+CMGF: 0"),
            "+CSQ" => return one(if self.network { "+CSQ: 20,99" } else { "+CSQ: 99,99" }),
            "+CREG?" => return one(if self.network { "+CREG: 0,1" } else { "+CREG: 0,2" }),
            "+CPIN?" => {
                return match self.sim {
                    SimState::Ready => one("+CPIN: READY"),
                    SimState::PinNeeded => one("+CPIN: SIM PIN"),
                    SimState::Missing | SimState::Unknown => Reply::Equipment(10),
                    SimState::Blocked => one("+CPIN: SIM PUK"),
                };
            }
            _ => {}
        }
        if command.starts_with("+CSCS=") {
            return done();
        }
        let about_messages = ["+CMG", "+CPMS", "+CNMI", "+CSCA", "+CSMS", "+CNMA"];
        if !about_messages.iter().any(|prefix| command.starts_with(prefix)) {
            return Reply::Equipment(4);
        }
        if let Some(error) = self.card_error() {
            return error;
        }
        let used = self.card.len();
        match command {
            "+CSCA?" => return one("+CSCA: \"+8613010200500\",145"),
            "+CSMS?" => return one("+CSMS: 0,1,1,1"),
            "+CPMS=?" => return one("+CPMS: (\"SM\"),(\"SM\"),(\"SM\")"),
            "+CPMS?" => {
                let storage = format!("\"SM\",{used},{CAPACITY}");
                return one(&format!("+CPMS: {storage},{storage},{storage}"));
            }
            "+CNMI=?" => return one("+CNMI: (0-2),(0,1),(0),(0,1),(0)"),
            "+CMGL=?" => return one("+CMGL: (0-4)"),
            _ => {}
        }
        let Some((name, value)) = command.split_once('=') else { return Reply::Equipment(4) };
        let number = || value.split(',').next().and_then(|n| n.trim().parse::<u16>().ok());
        match name {
            "+CPMS" if value.starts_with("\"SM\"") => {
                let storage = format!("{used},{CAPACITY}");
                one(&format!("+CPMS: {storage},{storage},{storage}"))
            }
            "+CNMI" => {
                let fields: Vec<&str> = value.split(',').map(str::trim).collect();
                self.tells = fields.get(1) == Some(&"1");
                self.reports = fields.get(3) == Some(&"1");
                done()
            }
            "+CSMS" => one("+CSMS: 1,1,1"),
            "+CMGS" => match number() {
                Some(length) => {
                    self.message = Some(usize::from(length));
                    Reply::Prompt
                }
                None => Reply::Message(305),
            },
            "+CMGL" => {
                let mut lines = Vec::new();
                for (index, (read, pdu)) in &mut self.card {
                    let length = pdu_length(pdu);
                    lines.push(format!("+CMGL: {index},{},,{length}\r\n{pdu}", u8::from(*read)));
                    *read = true;
                }
                Reply::Ok(lines)
            }
            "+CMGR" => match number().and_then(|index| self.card.get_mut(&index)) {
                Some((read, pdu)) => {
                    let line = format!("+CMGR: {},,{}\r\n{pdu}", u8::from(*read), pdu_length(pdu));
                    *read = true;
                    Reply::Ok(vec![line])
                }
                None => Reply::Message(321),
            },
            "+CMGD" => match number() {
                Some(index) => {
                    self.card.remove(&index);
                    done()
                }
                None => Reply::Message(305),
            },
            _ => Reply::Equipment(4),
        }
    }

    fn store(&mut self, pdu: String) {
        let Some(index) = (1..=CAPACITY).find(|index| !self.card.contains_key(index)) else { return };
        self.card.insert(index, (false, pdu));
        if self.tells && !self.silent {
            self.unasked(&format!("+CMTI: \"SM\",{index}"));
        }
    }
}

/// Octets of a PDU without the service centre's part.
fn pdu_length(pdu: &str) -> usize {
    let centre = pdu.get(..2).and_then(|n| usize::from_str_radix(n, 16).ok()).unwrap_or(0);
    (pdu.len() / 2).saturating_sub(1 + centre)
}

impl SimulatedModem {
    /// A modem with an empty card, in a network.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A phone sends a text to this modem, in as many parts as it needs.
    pub fn receive(&self, from: &PhoneNumber, text: &str, sent: Timestamp) {
        let mut state = self.state();
        let reference = u8::try_from(state.card.len()).unwrap_or(0).wrapping_add(0x40);
        for message in parts::cut(from, text, reference).unwrap_or_default() {
            let deliver = Deliver {
                from: from.clone(),
                content: message.content,
                concat: message.concat,
                sent: Some(sent),
            };
            if let Ok(encoded) = deliver.encode(ZONE) {
                state.store(encoded.hex);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Puts a PDU on the card, as it is.
    pub fn receive_pdu(&self, pdu: &str) {
        self.state().store(pdu.to_owned());
        self.changed.notify_one();
    }

    /// Everything that the network took.
    pub fn sent(&self) -> Vec<SentMessage> {
        self.state().sent.clone()
    }

    /// Messages on the card.
    pub fn stored(&self) -> usize {
        self.state().card.len()
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.state();
        match fault {
            Fault::Silence => state.silent = true,
            Fault::Speak => state.silent = false,
            Fault::NoAnswer => state.unanswered = true,
            Fault::Unconfirmed => state.unconfirmed = true,
            Fault::Noise(bytes) => state.waiting.push_back(Step::Write(bytes)),
            Fault::Refuse(codes) => state.refuse.extend(codes),
            Fault::Split(size, pause) => state.split = Some((size, pause)),
            Fault::Interrupt => state.interrupt = true,
            Fault::Sim(sim) => {
                state.sim = sim;
                let text = match sim {
                    SimState::Ready => "+CPIN: READY",
                    SimState::PinNeeded => "+CPIN: SIM PIN",
                    SimState::Blocked => "+CPIN: SIM PUK",
                    SimState::Missing | SimState::Unknown => "+CPIN: NOT INSERTED",
                };
                state.unasked(text);
            }
            Fault::Network(there) => state.network = there,
            Fault::NoReports => state.no_reports = true,
            Fault::Unreachable => state.unreachable = true,
            Fault::Disconnect => state.waiting.push_back(Step::Disconnect),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Is the modem on this line until cancelled, until the line ends, or until a fault cuts it.
    ///
    /// # Errors
    /// The line's own errors.
    pub async fn serve<S>(&self, stream: &mut S, cancel: &CancellationToken) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = [0u8; 256];
        loop {
            let step = self.state().waiting.pop_front();
            match step {
                Some(Step::Write(bytes)) => {
                    tokio::select! {
                        () = cancel.cancelled() => return Ok(()),
                        written = stream.write_all(&bytes) => written?,
                    }
                    stream.flush().await?;
                    continue;
                }
                Some(Step::Pause(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Some(Step::Disconnect) => return Ok(()),
                None => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = self.changed.notified() => {}
                read = stream.read(&mut buffer) => match read? {
                    0 => return Ok(()),
                    count => self.state().input(&buffer[..count]),
                },
            }
        }
    }
}
