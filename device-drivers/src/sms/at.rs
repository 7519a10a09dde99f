//! The AT dialogue without a line (3GPP TS 27.007, 27.005): lines out of bytes, one command's answer out of lines, and what
//! the modem says unasked, even in the middle of an answer. Pure.

use std::{collections::VecDeque, fmt};

/// Longest line kept: a PDU in hexadecimal is at most 392 characters. A longer one is noise.
const LONGEST_LINE: usize = 1024;
/// Most lines of one answer: a full SIM lists some hundred messages in two lines each.
const MOST_LINES: usize = 2048;

/// What the modem wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line that is not empty.
    Line(String),
    /// `> `: it waits for a message.
    Prompt,
}

/// Cuts bytes into lines and prompts, however they are split or glued.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    overlong: bool,
    heard: VecDeque<Heard>,
}

impl Lines {
    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => self.end(),
                // Zeros and deletions come with power-up noise.
                0x00..=0x1F | 0x7F => {}
                _ if self.line.len() >= LONGEST_LINE => self.overlong = true,
                _ => {
                    self.line.push(*byte);
                    if self.line == b"> " {
                        self.line.clear();
                        self.heard.push_back(Heard::Prompt);
                    }
                }
            }
        }
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.overlong) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        match text {
            "" => {}
            // A prompt whose blank was lost.
            ">" => self.heard.push_back(Heard::Prompt),
            _ => self.heard.push_back(Heard::Line(text.to_owned())),
        }
    }

    /// The next line or prompt; to be asked until `None`.
    pub fn next_heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// Forgets what was heard so far.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What the modem says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// A message was stored (`+CMTI`), at this index of this storage.
    Stored {
        /// Storage.
        storage: String,
        /// Index.
        index: u16,
    },
    /// A message, not stored (`+CMT`).
    Message {
        /// Its PDU.
        pdu: String,
    },
    /// A status report, not stored (`+CDS`).
    Report {
        /// Its PDU.
        pdu: String,
    },
    /// The SIM was taken out or put in (`+CPIN`).
    Sim {
        /// As [`SimState::of`] reads it.
        state: SimState,
    },
    /// Anything else: calls, network names, makers' own.
    Other,
}

/// How the SIM is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimState {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Works.
    Ready,
    /// There is none.
    Missing,
    /// It asks for a PIN, which nobody gives: take the PIN off the card.
    PinNeeded,
    /// Locked or broken.
    Blocked,
}

impl SimState {
    /// From what `+CPIN:` says.
    pub fn of(text: &str) -> Self {
        match text.trim() {
            "READY" => Self::Ready,
            "SIM PIN" | "SIM PIN2" => Self::PinNeeded,
            "NOT INSERTED" | "NOT READY" => Self::Missing,
            _ => Self::Blocked,
        }
    }

    fn of_error(error: &AtError) -> Option<Self> {
        match error {
            AtError::Equipment(10) | AtError::Message(310) => Some(Self::Missing),
            AtError::Equipment(11) | AtError::Message(311) => Some(Self::PinNeeded),
            AtError::Equipment(12 | 13 | 15) | AtError::Message(313 | 316 | 318) => Some(Self::Blocked),
            _ => None,
        }
    }

    /// The state that an answer to `AT+CPIN?` tells.
    pub fn of_answer(answer: &Result<Vec<String>, AtError>) -> Self {
        match answer {
            Ok(lines) => {
                lines.iter().find_map(|line| line.strip_prefix("+CPIN:")).map_or(Self::Unknown, Self::of)
            }
            Err(error) => Self::of_error(error).unwrap_or(Self::Unknown),
        }
    }
}

impl fmt::Display for SimState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the SIM card has not been asked yet",
            Self::Ready => "the SIM card works",
            Self::Missing => "there is no SIM card in the modem",
            Self::PinNeeded => "the SIM card asks for a PIN: switch its PIN off in a telephone",
            Self::Blocked => "the SIM card is locked or broken",
        })
    }
}

/// Why a command failed, as the modem says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtError {
    /// `ERROR`.
    #[error("the modem refuses without a reason")]
    Plain,
    /// `+CMS ERROR: n` (TS 27.005, 3.2.5).
    #[error("{} (CMS {})", message_error(*.0), .0)]
    Message(u16),
    /// `+CME ERROR: n` (TS 27.007, 9.2).
    #[error("{} (CME {})", equipment_error(*.0), .0)]
    Equipment(u16),
}

impl AtError {
    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Plain => false,
            Self::Message(code) => {
                matches!(code, 38 | 41 | 42 | 47 | 300 | 314 | 331 | 332 | 500)
            }
            Self::Equipment(code) => matches!(code, 14 | 30 | 31 | 100),
        }
    }
}

fn message_error(code: u16) -> &'static str {
    match code {
        1 => "the number is not allotted",
        8 => "the network operator bars this SIM card",
        10 => "this number may not be called from this SIM card",
        17 | 38 | 41 | 42 | 47 => "the network cannot take the message now",
        21 => "the message was refused",
        27 | 28 => "the receiver cannot be reached",
        29 | 50 | 69 => "this SIM card has no text messages: ask the network operator",
        30 => "the receiver's number is unknown",
        300 => "the modem is faulty at the moment",
        301 => "the modem's message service is taken by another program",
        302 => "the modem does not allow this now",
        303 => "the modem cannot do this",
        304 => "the modem does not accept the message's form",
        305 => "the modem does not accept this parameter",
        310 => "there is no SIM card in the modem",
        311 => "the SIM card asks for a PIN: switch its PIN off in a telephone",
        312 => "the SIM card is tied to another telephone",
        313 => "the SIM card is broken",
        314 => "the SIM card is busy",
        315 => "this is no SIM card that the modem knows",
        316 => "the SIM card is blocked and asks for its PUK",
        317 | 318 => "the SIM card asks for its second PIN",
        320 => "the modem's storage is broken",
        321 => "there is no such message in the storage",
        322 => "the storage for messages is full",
        330 => "no message centre is stored: set its number",
        331 => "there is no network here: look at the aerial",
        332 => "the network did not answer in time",
        340 => "no acknowledgement was expected",
        500 => "the modem or the network failed for an unknown reason",
        _ => "the message was refused",
    }
}

fn equipment_error(code: u16) -> &'static str {
    match code {
        3 => "the modem does not allow this now",
        4 => "the modem cannot do this",
        10 => "there is no SIM card in the modem",
        11 => "the SIM card asks for a PIN: switch its PIN off in a telephone",
        12 => "the SIM card is blocked and asks for its PUK",
        13 => "the SIM card is broken",
        14 => "the SIM card is busy",
        15 => "this is no SIM card that the modem knows",
        16 => "a wrong password",
        20 => "the storage is full",
        21 => "there is no such entry",
        30 => "there is no network here: look at the aerial",
        31 => "the network did not answer in time",
        32 => "only emergency calls are allowed here: look at the SIM card's contract",
        _ => "the modem failed",
    }
}

/// Which lines belong to a command's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None: only its end counts.
    Nothing,
    /// Lines that begin with this.
    Lines(&'static str),
    /// Lines that begin with this, each followed by one line of any kind (a PDU).
    Pairs(&'static str),
    /// Any lines that are not known to be unasked: names of maker and model.
    Free,
}

/// What a line was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Part of the answer, an echo, or the first of two lines: go on.
    More,
    /// Unasked.
    Unasked(Unasked),
    /// The end of the answer.
    Done(Result<Vec<String>, AtError>),
}

/// The dialogue: one command at a time, and what comes in between.
#[derive(Debug, Default)]
pub struct Dialogue {
    /// Waiting for a command's answer: which lines, and what was written, which a modem with echo says again.
    asked: Option<(Answer, Vec<String>)>,
    lines: Vec<String>,
    /// The line before was the first of two.
    second_of: Option<First>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Answer,
    Message,
    Report,
}

impl Dialogue {
    /// A command was written; `answer` says which lines are its answer.
    pub fn ask(&mut self, command: &str, answer: Answer) {
        self.asked = Some((answer, vec![command.trim().to_owned()]));
        self.lines.clear();
        self.second_of = None;
    }

    /// More was written within the same command: a message after its prompt.
    pub fn wrote(&mut self, text: &str) {
        if let Some((_, written)) = &mut self.asked {
            written.push(text.trim_matches(|c: char| c.is_control() || c == ' ').to_owned());
        }
    }

    /// Nothing is waited for any more.
    pub fn give_up(&mut self) {
        *self = Self::default();
    }

    /// Whether an answer is waited for.
    pub fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes a line.
    pub fn line(&mut self, line: &str) -> Meaning {
        match self.second_of.take() {
            Some(First::Answer) => {
                self.keep(line);
                return Meaning::More;
            }
            Some(First::Message) => return Meaning::Unasked(Unasked::Message { pdu: line.to_owned() }),
            Some(First::Report) => return Meaning::Unasked(Unasked::Report { pdu: line.to_owned() }),
            None => {}
        }
        let Some((answer, written)) = &self.asked else {
            return self.unasked(line).map_or(Meaning::Unasked(Unasked::Other), |known| known);
        };
        if written.iter().any(|written| !written.is_empty() && line == written) {
            return Meaning::More;
        }
        let answer = *answer;
        if let Some(end) = end_of(line) {
            self.asked = None;
            let lines = std::mem::take(&mut self.lines);
            return Meaning::Done(end.map(|()| lines));
        }
        match answer {
            Answer::Lines(prefix) if line.starts_with(prefix) => {
                self.keep(line);
                return Meaning::More;
            }
            Answer::Pairs(prefix) if line.starts_with(prefix) => {
                self.keep(line);
                self.second_of = Some(First::Answer);
                return Meaning::More;
            }
            _ => {}
        }
        if let Some(known) = self.unasked(line) {
            return known;
        }
        match answer {
            Answer::Free => {
                self.keep(line);
                Meaning::More
            }
            _ => Meaning::Unasked(Unasked::Other),
        }
    }

    fn keep(&mut self, line: &str) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(line.to_owned());
        }
    }

    /// What a line says unasked, if it is known to.
    fn unasked(&mut self, line: &str) -> Option<Meaning> {
        if let Some(rest) = line.strip_prefix("+CMTI:") {
            let (storage, index) = rest.split_once(',')?;
            let storage = storage.trim().trim_matches('"').chars().take(8).collect();
            let index = index.trim().parse().ok()?;
            return Some(Meaning::Unasked(Unasked::Stored { storage, index }));
        }
        if line.starts_with("+CMT:") {
            self.second_of = Some(First::Message);
            return Some(Meaning::More);
        }
        if line.starts_with("+CDS:") {
            self.second_of = Some(First::Report);
            return Some(Meaning::More);
        }
        if let Some(state) = line.strip_prefix("+CPIN:") {
            return Some(Meaning::Unasked(Unasked::Sim { state: SimState::of(state) }));
        }
        let known = [
            "RING",
            "NO CARRIER",
            "+CREG:",
            "+CEREG:",
            "+CGREG:",
            "+CRING:",
            "+CLIP:",
            "+CDSI:",
            "+CUSD:",
            "^",
        ];
        known.iter().any(|known| line.starts_with(known)).then_some(Meaning::Unasked(Unasked::Other))
    }
}

/// The end of an answer that a line is, if it is one.
fn end_of(line: &str) -> Option<Result<(), AtError>> {
    if line == "OK" {
        return Some(Ok(()));
    }
    if matches!(line, "ERROR" | "COMMAND NOT SUPPORT" | "NO CARRIER") {
        return Some(Err(AtError::Plain));
    }
    let number = |rest: &str| rest.trim().parse::<u16>().ok();
    if let Some(rest) = line.strip_prefix("+CMS ERROR:") {
        return Some(Err(number(rest).map_or(AtError::Plain, AtError::Message)));
    }
    if let Some(rest) = line.strip_prefix("+CME ERROR:") {
        return Some(Err(number(rest).map_or(AtError::Plain, AtError::Equipment)));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(pieces: &[&[u8]]) -> Vec<Heard> {
        let mut lines = Lines::default();
        pieces.iter().for_each(|piece| lines.push(piece));
        std::iter::from_fn(|| lines.next_heard()).collect()
    }

    fn line(text: &str) -> Heard {
        Heard::Line(text.to_owned())
    }

    #[test]
    fn lines_split_glued_noisy_and_prompts() {
        assert_eq!(heard(&[b"\r\n+CS", b"Q: 20,99\r", b"\n\r\nOK\r\n"]), [line("+CSQ: 20,99"), line("OK")]);
        assert_eq!(heard(&[b"\r\n> "]), [Heard::Prompt]);
        assert_eq!(heard(&[b"\r\n>", b" "]), [Heard::Prompt]);
        assert_eq!(heard(&[b"\0\0\x7FOK\r"]), [line("OK")]);
        let mut long = vec![b'x'; 5000];
        long.extend(b"\r\nOK\r\n");
        assert_eq!(heard(&[&long]), [line("OK")]);
    }

    fn talk(
        command: &str,
        answer: Answer,
        said: &[&str],
    ) -> (Vec<Unasked>, Option<Result<Vec<String>, AtError>>) {
        let mut dialogue = Dialogue::default();
        dialogue.ask(command, answer);
        let mut unasked = Vec::new();
        for line in said {
            match dialogue.line(line) {
                Meaning::More => {}
                Meaning::Unasked(what) => unasked.push(what),
                Meaning::Done(end) => return (unasked, Some(end)),
            }
        }
        (unasked, None)
    }

    #[test]
    fn an_answer_with_echo_and_unasked_lines_within() {
        let said = ["AT+CSQ", "+CMTI: \"SM\",3", "RING", "+CSQ: 21,99", "+CMT: ,22", "0791AA", "OK"];
        let (unasked, end) = talk("AT+CSQ\r", Answer::Lines("+CSQ:"), &said);
        assert_eq!(
            unasked,
            [
                Unasked::Stored { storage: "SM".into(), index: 3 },
                Unasked::Other,
                Unasked::Message { pdu: "0791AA".into() }
            ]
        );
        assert_eq!(end, Some(Ok(vec!["+CSQ: 21,99".to_owned()])));
    }

    #[test]
    fn a_listing_keeps_its_pdus_and_an_error_has_its_number() {
        let said = ["+CMGL: 1,0,,26", "0791", "+CMGL: 2,1,,26", "OK", "OK"];
        let (_, end) = talk("AT+CMGL=4", Answer::Pairs("+CMGL:"), &said);
        assert_eq!(end.unwrap().unwrap(), ["+CMGL: 1,0,,26", "0791", "+CMGL: 2,1,,26", "OK"]);
        let (_, end) = talk("AT+CMGS=20", Answer::Lines("+CMGS:"), &["+CMS ERROR: 331"]);
        let error = end.unwrap().unwrap_err();
        assert_eq!(error, AtError::Message(331));
        assert!(error.is_passing());
        assert_eq!(error.to_string(), "there is no network here: look at the aerial (CMS 331)");
        let (_, end) = talk("AT+CPIN?", Answer::Lines("+CPIN:"), &["+CME ERROR: 10"]);
        assert_eq!(SimState::of_answer(&end.unwrap()), SimState::Missing);
        let (_, end) = talk("AT+CPIN?", Answer::Lines("+CPIN:"), &["+CPIN: SIM PIN", "OK"]);
        assert_eq!(SimState::of_answer(&end.unwrap()), SimState::PinNeeded);
    }

    #[test]
    fn names_are_free_lines_and_a_pdu_echo_is_passed_over() {
        let (_, end) = talk("AT+CGMM", Answer::Free, &["AT+CGMM", "EC20F", "OK"]);
        assert_eq!(end, Some(Ok(vec!["EC20F".to_owned()])));
        let mut dialogue = Dialogue::default();
        dialogue.ask("AT+CMGS=18\r", Answer::Lines("+CMGS:"));
        dialogue.wrote("0001AA\x1A");
        assert_eq!(dialogue.line("0001AA"), Meaning::More);
        assert_eq!(dialogue.line("+CMGS: 7"), Meaning::More);
        assert_eq!(dialogue.line("OK"), Meaning::Done(Ok(vec!["+CMGS: 7".to_owned()])));
    }

    proptest! {
        /// Lines are the same however the bytes are split.
        #[test]
        fn splitting_does_not_matter(text in "(OK|\\+CSQ: 1,2|>|> |x{0,9}|\r\n|\r|\n|\0){0,30}", at in 0usize..200) {
            let bytes = text.as_bytes();
            let (a, b) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(heard(&[a, b]), heard(&[bytes]));
        }

        /// Whatever is said, memory is bounded and a final OK ends any command, but for a line that is owed.
        #[test]
        fn any_bytes(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut lines = Lines::default();
            let mut dialogue = Dialogue::default();
            dialogue.ask("AT+CMGL=4", Answer::Pairs("+CMGL:"));
            for piece in &pieces {
                lines.push(piece);
                prop_assert!(lines.line.len() <= LONGEST_LINE);
                while let Some(Heard::Line(line)) = lines.next_heard() {
                    dialogue.line(&line);
                }
            }
            lines.push(b"\r\nOK\r\nOK\r\n");
            let mut ended = !dialogue.is_waiting();
            while let Some(heard) = lines.next_heard() {
                if let Heard::Line(line) = heard {
                    ended |= matches!(dialogue.line(&line), Meaning::Done(_));
                }
            }
            prop_assert!(ended);
        }
    }
}
