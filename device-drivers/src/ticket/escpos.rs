//! Reading ESC/POS as it passes: a stream of printer bytes becomes slips of text lines.
//!
//! Owns the knowledge of how long each command is, so that pictures and codes are not taken for text. Bounded: a slip
//! or a command that grows without end is cut, never hoarded. Sources: docs/reference/devices.md B1, Epson's ESC/POS
//! command reference.

use std::collections::VecDeque;

use super::print::Align;

/// Text of one slip beyond this is dropped: a roll of paper holds less.
const SLIP_TEXT_LIMIT: usize = 64 * 1024;
/// Bytes of one slip kept as evidence.
const SLIP_RAW_LIMIT: usize = 64 * 1024;
/// A stored symbol (QR) longer than this is skipped, not kept.
const SYMBOL_LIMIT: usize = 8 * 1024;
/// Questions of the host that wait to be looked at.
const REQUEST_LIMIT: usize = 16;
/// A command that must be collected whole (user characters, stored pictures) is given up beyond this.
const COMMAND_LIMIT: usize = 1 << 20;

/// A printed line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its text.
    pub text: String,
    /// Character width, 1 to 8 (the largest on the line).
    pub width: u8,
    /// Character height, 1 to 8.
    pub height: u8,
    /// Alignment at its end.
    pub align: Align,
    /// Bold at its end.
    pub bold: bool,
}

/// How a slip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlipEnd {
    /// Full cut.
    FullCut,
    /// Partial cut.
    PartialCut,
    /// The line fell silent.
    Silence,
}

/// One printed slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// Its lines, empty ones left out.
    pub lines: Vec<Line>,
    /// Content of QR codes.
    pub symbols: Vec<Vec<u8>>,
    /// How it ended.
    pub end: SlipEnd,
    /// The bytes (the first 64 KiB).
    pub raw: Vec<u8>,
}

impl Slip {
    /// The text, a line a line.
    pub fn text(&self) -> String {
        self.lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Debug)]
enum State {
    Text,
    /// Collecting a command until its length is known.
    Command(Vec<u8>),
    /// Skipping payload.
    Skip(u64),
    /// Skipping to a NUL.
    SkipToNul,
    /// Collecting the payload of `GS ( k`.
    Symbol {
        left: u32,
        kept: Vec<u8>,
    },
}

/// What a started command needs.
enum Need {
    More,
    Done,
    Skip(u64),
    SkipToNul,
    Symbol(u32),
}

/// Reads a printer's bytes.
#[derive(Debug)]
pub struct Reader {
    state: State,
    chinese: bool,
    size: (u8, u8),
    align: Align,
    bold: bool,
    segment: Vec<u8>,
    line: Line,
    lines: Vec<Line>,
    text_bytes: usize,
    stored_symbol: Option<Vec<u8>>,
    symbols: Vec<Vec<u8>>,
    raw: Vec<u8>,
    done: VecDeque<Slip>,
    requests: VecDeque<Request>,
}

/// What the host asks of the printer in turn with what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GS r n`: a status byte, once all before it is printed.
    Status(u8),
    /// `GS a n`: tell changes by itself; 0 = do not.
    Automatic(u8),
    /// `ESC @`: everything as after switching on.
    Initialise,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader in the state of a printer just switched on; domestic printers start in Chinese mode.
    pub fn new() -> Self {
        Self {
            state: State::Text,
            chinese: true,
            size: (1, 1),
            align: Align::Left,
            bold: false,
            segment: Vec::new(),
            line: Line::default(),
            lines: Vec::new(),
            text_bytes: 0,
            stored_symbol: None,
            symbols: Vec::new(),
            raw: Vec::new(),
            done: VecDeque::new(),
            requests: VecDeque::new(),
        }
    }

    /// The next question of the host, for whoever plays the printer; the newest 16 are kept.
    pub fn next_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// Lines printed since the last slip ended.
    pub fn lines_printed(&self) -> usize {
        self.lines.len()
    }

    fn request(&mut self, request: Request) {
        if self.requests.len() == REQUEST_LIMIT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.raw.len() < SLIP_RAW_LIMIT {
                self.raw.push(byte);
            }
            self.step(byte);
        }
    }

    /// The next finished slip.
    pub fn next_slip(&mut self) -> Option<Slip> {
        self.done.pop_front()
    }

    /// `true` while something has been printed that no cut has ended.
    pub fn is_partial(&self) -> bool {
        !self.raw.is_empty()
    }

    /// The line fell silent: what was printed so far is a slip; half a command is forgotten.
    pub fn end_of_silence(&mut self) {
        self.state = State::Text;
        self.end_slip(SlipEnd::Silence);
    }

    fn step(&mut self, byte: u8) {
        match &mut self.state {
            State::Text => self.text(byte),
            State::Command(command) => {
                command.push(byte);
                let need = if command.len() > COMMAND_LIMIT { Need::Done } else { need(command) };
                let command = std::mem::take(command);
                self.state = match need {
                    Need::More => State::Command(command),
                    Need::Done => {
                        self.state = State::Text;
                        self.obey(&command);
                        return;
                    }
                    Need::Skip(0) => State::Text,
                    Need::Skip(n) => State::Skip(n),
                    Need::SkipToNul => State::SkipToNul,
                    Need::Symbol(0) => State::Text,
                    Need::Symbol(left) => State::Symbol { left, kept: Vec::new() },
                };
            }
            State::Skip(left) => {
                *left -= 1;
                if *left == 0 {
                    self.state = State::Text;
                }
            }
            State::SkipToNul => {
                if byte == 0 {
                    self.state = State::Text;
                }
            }
            State::Symbol { left, kept } => {
                if kept.len() < SYMBOL_LIMIT {
                    kept.push(byte);
                }
                *left -= 1;
                if *left == 0 {
                    let kept = std::mem::take(kept);
                    self.state = State::Text;
                    self.symbol(&kept);
                }
            }
        }
    }

    fn text(&mut self, byte: u8) {
        match byte {
            0x1B | 0x1D | 0x1C | 0x10 => self.state = State::Command(vec![byte]),
            b'\n' | 0x0C => self.end_line(),
            b'\t' => self.character(b' '),
            0x00..=0x1F | 0x7F => {}
            _ => self.character(byte),
        }
    }

    fn character(&mut self, byte: u8) {
        if self.text_bytes >= SLIP_TEXT_LIMIT {
            return;
        }
        self.text_bytes += 1;
        self.line.width = self.line.width.max(self.size.0);
        self.line.height = self.line.height.max(self.size.1);
        self.segment.push(byte);
    }

    /// Decodes what was collected under one character mode.
    fn end_segment(&mut self) {
        let bytes = std::mem::take(&mut self.segment);
        if self.chinese {
            self.line.text.push_str(&encoding_rs::GB18030.decode_without_bom_handling(&bytes).0);
        } else {
            // Which code page the high half means is the printer's setting; it is not known here.
            self.line.text.extend(bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }));
        }
    }

    fn end_line(&mut self) {
        self.end_segment();
        let mut line = std::mem::take(&mut self.line);
        if !line.text.trim().is_empty() {
            line.align = self.align;
            line.bold = self.bold;
            self.lines.push(line);
        }
    }

    fn end_slip(&mut self, end: SlipEnd) {
        self.end_line();
        let raw = std::mem::take(&mut self.raw);
        let lines = std::mem::take(&mut self.lines);
        let symbols = std::mem::take(&mut self.symbols);
        self.text_bytes = 0;
        if !lines.is_empty() || !symbols.is_empty() {
            self.done.push_back(Slip { lines, symbols, end, raw });
        }
    }

    /// `GS ( k`: cn fn …; the store (fn 80) and print (fn 81) functions of QR (cn 49) matter.
    fn symbol(&mut self, payload: &[u8]) {
        match payload {
            [49, 80, 48, content @ ..] => self.stored_symbol = Some(content.to_vec()),
            [49, 81, ..] if self.symbols.len() < 16 => {
                self.symbols.extend(self.stored_symbol.clone());
            }
            _ => {}
        }
    }

    fn obey(&mut self, command: &[u8]) {
        match *command {
            [0x1B, b'@'] => {
                self.size = (1, 1);
                self.align = Align::Left;
                self.bold = false;
                self.end_segment();
                self.chinese = true;
                self.request(Request::Initialise);
            }
            [0x1D, b'r', n] => self.request(Request::Status(n)),
            [0x1D, b'a', n] => self.request(Request::Automatic(n)),
            [0x1B, b'a', n] => {
                self.align = match n & 3 {
                    1 => Align::Centre,
                    2 => Align::Right,
                    _ => Align::Left,
                }
            }
            [0x1B, b'E', n] => self.bold = n & 1 == 1,
            [0x1B, b'!', n] => {
                self.bold = n & 0x08 != 0;
                self.size = (1 + (n >> 5 & 1), 1 + (n >> 4 & 1));
            }
            [0x1D, b'!', n] => self.size = (1 + (n >> 4 & 7), 1 + (n & 7)),
            [0x1C, b'!', n] => self.size = (1 + (n >> 2 & 1), 1 + (n >> 3 & 1)),
            [0x1C, b'W', n] => {
                let size = 1 + (n & 1);
                self.size = (size, size);
            }
            [0x1C, b'&'] => {
                self.end_segment();
                self.chinese = true;
            }
            [0x1C, b'.'] => {
                self.end_segment();
                self.chinese = false;
            }
            // Print and feed ends the line as a line feed does.
            [0x1B, b'd' | b'J', _] => self.end_line(),
            [0x1D, b'V', m, ..] => {
                let full = matches!(m, 0 | 48 | 65 | 97 | 103);
                self.end_slip(if full { SlipEnd::FullCut } else { SlipEnd::PartialCut });
            }
            [0x1B, b'i' | b'm'] => self.end_slip(SlipEnd::PartialCut),
            _ => {}
        }
    }
}

/// How much of a command is still to come, given its beginning (at least two bytes).
fn need(command: &[u8]) -> Need {
    // Fixed number of parameter bytes after the two that name the command.
    let fixed = |n: usize| if command.len() >= 2 + n { Need::Done } else { Need::More };
    let le16 = |at: usize| u64::from(command[at]) | u64::from(command[at + 1]) << 8;
    let have = command.len();
    match (command[0], command[1]) {
        (0x1B, b'*') if have < 5 => Need::More,
        (0x1B, b'*') => Need::Skip(le16(3) * if matches!(command[2], 32 | 33) { 3 } else { 1 }),
        (0x1B, b'D') => Need::SkipToNul,
        (0x1B, b'&') if have < 5 => Need::More,
        (0x1B, b'&') => user_characters(command),
        (0x1B | 0x1C, b'(') if have < 5 => Need::More,
        (0x1B | 0x1C, b'(') => Need::Skip(le16(3)),
        (0x1B, b'W') => fixed(8),
        (0x1B, b'p') => fixed(3),
        (0x1B, b'$' | b'\\' | b'c' | b'B') => fixed(2),
        (0x1B, b'@' | b'2' | b'i' | b'm' | b'v' | b'L' | b'S' | b'<' | 0x0C) => Need::Done,
        (0x1B, b' '..=b'~') => fixed(1),

        (0x1D, b'(') if have < 5 => Need::More,
        (0x1D, b'(') if command[2] == b'k' => Need::Symbol(le16(3) as u32),
        (0x1D, b'(') => Need::Skip(le16(3)),
        (0x1D, b'8') if have < 7 => Need::More,
        (0x1D, b'8') => Need::Skip(le16(3) | le16(5) << 16),
        (0x1D, b'v') if have < 8 => Need::More,
        (0x1D, b'v') => Need::Skip(le16(4) * le16(6)),
        (0x1D, b'*') if have < 4 => Need::More,
        (0x1D, b'*') => Need::Skip(u64::from(command[2]) * u64::from(command[3]) * 8),
        (0x1D, b'k') if have < 3 => Need::More,
        (0x1D, b'k') if command[2] <= 6 => Need::SkipToNul,
        (0x1D, b'k') if have < 4 => Need::More,
        (0x1D, b'k') => Need::Skip(u64::from(command[3])),
        (0x1D, b'V') if have < 3 => Need::More,
        (0x1D, b'V') if matches!(command[2], 65 | 66 | 97 | 98 | 103 | 104) => fixed(2),
        (0x1D, b'V') => Need::Done,
        (0x1D, b'C') if have < 3 => Need::More,
        (0x1D, b'C') => match command[2] {
            b'0' | b'2' => fixed(3),
            b'1' => fixed(7),
            _ => Need::Done,
        },
        (0x1D, b'g') => fixed(4),
        (0x1D, b'^') => fixed(3),
        (0x1D, b'L' | b'W' | b'P' | b'$' | b'\\' | b'z') => fixed(2),
        (0x1D, b':' | b'c') => Need::Done,
        (0x1D, b' '..=b'~') => fixed(1),

        (0x1C, b'&' | b'.') => Need::Done,
        (0x1C, b'2') if have < 4 => Need::More,
        (0x1C, b'2') => Need::Skip(72),
        (0x1C, b'q') if have < 3 => Need::More,
        (0x1C, b'q') => stored_pictures(command),
        (0x1C, b'S' | b'p') => fixed(2),
        (0x1C, b' '..=b'~') => fixed(1),

        (0x10, 0x14) if have < 3 => Need::More,
        (0x10, 0x14) => fixed(match command[2] {
            8 => 8,
            _ => 3,
        }),
        (0x10, 0x04) if have < 3 => Need::More,
        (0x10, 0x04) => fixed(if matches!(command[2], 7 | 8 | 18) { 2 } else { 1 }),
        (0x10, 0x05) => fixed(1),
        // Not a command: the lead byte is dropped together with what followed it.
        _ => Need::Done,
    }
}

/// `ESC & y c1 c2 [x d1…d(y·x)]…`: one glyph after the other, each with its own width.
fn user_characters(command: &[u8]) -> Need {
    let (rows, first, last) = (usize::from(command[2]), command[3], command[4]);
    let mut at = 5;
    for _ in first..=last {
        match command.get(at) {
            None => return Need::More,
            Some(width) => at += 1 + rows * usize::from(*width),
        }
    }
    if command.len() >= at { Need::Done } else { Need::More }
}

/// `FS q n [xL xH yL yH d…]…`: n stored pictures; bounded by what a printer's memory takes.
fn stored_pictures(command: &[u8]) -> Need {
    let mut at = 3usize;
    for _ in 0..command[2] {
        let Some(head) = command.get(at..at + 4) else { return Need::More };
        let x = usize::from(head[0]) | usize::from(head[1]) << 8;
        let y = usize::from(head[2]) | usize::from(head[3]) << 8;
        at += 4 + x * y * 8;
        if at > 1 << 20 {
            return Need::Done;
        }
    }
    if command.len() >= at { Need::Done } else { Need::More }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ticket::print::Printout;

    fn read(bytes: &[u8], piece: usize) -> Vec<Slip> {
        let mut reader = Reader::new();
        for piece in bytes.chunks(piece) {
            reader.push(piece);
        }
        std::iter::from_fn(|| reader.next_slip()).collect()
    }

    #[test]
    fn a_ticket_with_pictures_and_codes_is_read_whatever_the_cutting() {
        let dots: Vec<u8> = (0..=255).cycle().take(48 * 20).collect();
        let bytes = Printout::new()
            .raster(48, &dots)
            .align(Align::Centre)
            .bold(true)
            .size(2, 2)
            .line("A001")
            .bold(false)
            .size(1, 1)
            .line("社保窗口 等候3人")
            .qr(b"http://x/1\x1dV\x00", 4)
            .feed(6)
            .feed_and_cut(10)
            .into_bytes();
        for piece in [1, 2, 3, 7, 4096] {
            let slips = read(&bytes, piece);
            assert_eq!(slips.len(), 1);
            assert_eq!(slips[0].text(), "A001\n社保窗口 等候3人");
            assert_eq!((slips[0].lines[0].width, slips[0].lines[0].align), (2, Align::Centre));
            assert!(slips[0].lines[0].bold && !slips[0].lines[1].bold);
            assert_eq!(slips[0].symbols, [b"http://x/1\x1dV\x00".to_vec()]);
            assert_eq!(slips[0].end, SlipEnd::PartialCut);
            assert_eq!(slips[0].raw, bytes);
        }
    }

    #[test]
    fn commands_of_many_lengths_leave_the_text_alone() {
        let mut bytes = Vec::new();
        for command in [
            &b"\x1b*\x21\x02\x00AAAAAA"[..],
            b"\x1b*\x00\x03\x00AAA",
            b"\x1d*\x01\x01AAAAAAAA",
            b"\x1dk\x04AAAA\x00",
            b"\x1dkI\x03AAA",
            b"\x1dh\x50\x1dw\x02\x1dH\x00",
            b"\x1bD\x08\x10\x00",
            b"\x1b&\x01AB\x02AA\x01A",
            b"\x1cq\x01\x01\x00\x01\x00AAAAAAAA",
            b"\x1c2AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            b"\x1d8L\x02\x00\x00\x00AA",
            b"\x1b$A\x00\x1b\\A\x00\x1bt\x00\x1b{\x00\x1bp\x00AA\x1bc5\x00",
            b"\x10\x04\x01\x10\x05\x01\x10\x14\x01\x00\x01",
            b"\x1dL\x00\x00\x1dW\x00\x02\x1ba\x00\x1d(A\x02\x00AA\x1b(A\x01\x00A",
        ] {
            bytes.extend_from_slice(command);
            bytes.extend_from_slice(b"b\n");
        }
        bytes.extend_from_slice(b"\x1bi");
        for piece in [1, 5, 4096] {
            let slips = read(&bytes, piece);
            assert_eq!(slips.len(), 1);
            assert_eq!(slips[0].text(), ["b"; 14].join("\n"));
        }
    }

    #[test]
    fn silence_ends_a_slip_without_a_cut() {
        let mut reader = Reader::new();
        reader.push("B012\n".as_bytes());
        assert!(reader.is_partial() && reader.next_slip().is_none());
        reader.end_of_silence();
        assert_eq!(reader.next_slip().unwrap().end, SlipEnd::Silence);
        assert!(!reader.is_partial());
    }

    proptest! {
        #[test]
        fn any_bytes_then_silence_then_a_ticket(noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = Reader::new();
            reader.push(&noise);
            reader.end_of_silence();
            while reader.next_slip().is_some() {}
            reader.push(&Printout::new().line("C003 税务").cut().into_bytes());
            prop_assert_eq!(reader.next_slip().unwrap().text(), "C003 税务");
        }

        #[test]
        fn printed_text_is_read_back(lines in proptest::collection::vec("[A-Z0-9]{1,6} [一-龥]{1,8}", 1..6)) {
            let mut printout = Printout::new();
            for line in &lines {
                printout = printout.line(line);
            }
            let slips = read(&printout.cut().into_bytes(), 3);
            prop_assert_eq!(slips[0].text(), lines.join("\n"));
        }
    }
}
