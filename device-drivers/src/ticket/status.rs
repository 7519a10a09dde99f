//! What a printer says about itself: bytes in, paper, cover and errors out. Pure.
//!
//! Owns the telling apart of real-time replies, automatic status and buffered replies, which share one line
//! (docs/reference/devices.md B1; the fixed bits are Epson's and Citizen's).

use std::fmt;

/// One thing heard on a printer's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The one-byte reply to `DLE EOT n`; which `n` only the asker knows.
    RealTime(u8),
    /// Automatic status back, four bytes.
    Automatic([u8; 4]),
    /// The reply to a buffered question such as `GS r`.
    Buffered(u8),
    /// The printer can take bytes again.
    Xon,
    /// The printer's buffer is full.
    Xoff,
    /// No byte a printer sends.
    Noise(u8),
}

/// Tells a printer's bytes apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusReader {
    automatic: [u8; 4],
    have: usize,
}

impl StatusReader {
    /// Takes a byte; gives what it completes.
    pub fn push(&mut self, byte: u8) -> Option<Heard> {
        if self.have > 0 {
            if byte & 0x90 == 0 {
                self.automatic[self.have] = byte;
                self.have += 1;
                if self.have < 4 {
                    return None;
                }
                self.have = 0;
                return Some(Heard::Automatic(self.automatic));
            }
            // A real-time reply may come between the four; anything else means that the rest is lost.
            if byte & 0x93 != 0x12 {
                self.have = 0;
            }
        }
        match byte {
            0x11 => Some(Heard::Xon),
            0x13 => Some(Heard::Xoff),
            _ if byte & 0x93 == 0x12 => Some(Heard::RealTime(byte)),
            _ if byte & 0x93 == 0x10 => {
                self.automatic[0] = byte;
                self.have = 1;
                None
            }
            _ if byte & 0x90 == 0 => Some(Heard::Buffered(byte)),
            _ => Some(Heard::Noise(byte)),
        }
    }

    /// `true` while an automatic status is incomplete.
    pub fn is_partial(&self) -> bool {
        self.have > 0
    }

    /// The line fell silent: half an automatic status is forgotten.
    pub fn end_of_silence(&mut self) {
        self.have = 0;
    }
}

/// The four questions of `DLE EOT n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// n = 1: the printer.
    Printer,
    /// n = 2: why it is offline.
    Offline,
    /// n = 3: which error.
    Error,
    /// n = 4: the paper.
    Paper,
}

impl Question {
    /// All, in the order in which they are asked.
    pub const ALL: [Question; 4] = [Self::Printer, Self::Offline, Self::Error, Self::Paper];

    /// The bytes that ask.
    pub fn bytes(self) -> [u8; 3] {
        let n = match self {
            Self::Printer => 1,
            Self::Offline => 2,
            Self::Error => 3,
            Self::Paper => 4,
        };
        [0x10, 0x04, n]
    }
}

/// The paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paper {
    /// Enough.
    Present,
    /// The roll is nearly used up.
    NearEnd,
    /// None.
    Out,
}

/// What keeps a printer from printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// No paper.
    PaperOut,
    /// The cover is open.
    CoverOpen,
    /// The cutter is jammed.
    Cutter,
    /// An error that needs service, or switching off and on.
    Unrecoverable,
    /// A mechanical error that a person can clear.
    Mechanical,
    /// The head is too hot, or the like: it comes back by itself.
    CoolingDown,
    /// It says that it is offline, and not why.
    Offline,
}

impl Trouble {
    /// A stable name, for events and translations.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaperOut => "paper_out",
            Self::CoverOpen => "cover_open",
            Self::Cutter => "cutter",
            Self::Unrecoverable => "unrecoverable",
            Self::Mechanical => "mechanical",
            Self::CoolingDown => "cooling_down",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PaperOut => "out of paper: put in a new roll",
            Self::CoverOpen => "the cover is open: close it",
            Self::Cutter => "the cutter is jammed: clear the paper and close the cover",
            Self::Unrecoverable => {
                "an error that needs service: switch it off and on; if it stays, call service"
            }
            Self::Mechanical => "a mechanical error: clear the paper path",
            Self::CoolingDown => "too hot: it goes on by itself when it has cooled down",
            Self::Offline => "offline",
        })
    }
}

/// What is known of a printer. `None` is unknown: cheap printers answer nothing, and that is not "all well".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrinterStatus {
    /// The paper.
    pub paper: Option<Paper>,
    /// Whether the cover is open.
    pub cover_open: Option<bool>,
    /// Whether it says that it is offline.
    pub offline: Option<bool>,
    cutter: bool,
    unrecoverable: bool,
    mechanical: bool,
    cooling: bool,
}

impl PrinterStatus {
    /// Takes the reply to a question. `false`, and nothing is changed, if it is no such reply.
    pub fn take(&mut self, question: Question, reply: u8) -> bool {
        if reply & 0x93 != 0x12 {
            return false;
        }
        let bit = |mask: u8| reply & mask != 0;
        match question {
            Question::Printer => self.offline = Some(bit(0x08)),
            Question::Offline => {
                self.cover_open = Some(bit(0x04));
                if bit(0x20) {
                    self.paper = Some(Paper::Out);
                }
                if !bit(0x40) {
                    (self.cutter, self.unrecoverable, self.mechanical, self.cooling) =
                        (false, false, false, false);
                }
            }
            Question::Error => {
                self.mechanical = bit(0x04);
                self.cutter = bit(0x08);
                self.unrecoverable = bit(0x20);
                self.cooling = bit(0x40);
            }
            Question::Paper => {
                self.paper = Some(if bit(0x60) {
                    Paper::Out
                } else if bit(0x0C) {
                    Paper::NearEnd
                } else {
                    Paper::Present
                });
            }
        }
        true
    }

    /// Takes an automatic status.
    pub fn take_automatic(&mut self, status: [u8; 4]) {
        let [first, second, third, _] = status;
        self.offline = Some(first & 0x08 != 0);
        self.cover_open = Some(first & 0x20 != 0);
        self.mechanical = second & 0x04 != 0;
        self.cutter = second & 0x08 != 0;
        self.unrecoverable = second & 0x20 != 0;
        self.cooling = second & 0x40 != 0;
        self.paper = Some(paper_of_sensors(third));
    }

    /// Takes the reply to `GS r 1`.
    pub fn take_paper_sensor(&mut self, reply: u8) {
        self.paper = Some(paper_of_sensors(reply));
    }

    /// What keeps it from printing, the plainest first; `None` if nothing is known to.
    pub fn trouble(&self) -> Option<Trouble> {
        if self.paper == Some(Paper::Out) {
            Some(Trouble::PaperOut)
        } else if self.cover_open == Some(true) {
            Some(Trouble::CoverOpen)
        } else if self.cutter {
            Some(Trouble::Cutter)
        } else if self.unrecoverable {
            Some(Trouble::Unrecoverable)
        } else if self.mechanical {
            Some(Trouble::Mechanical)
        } else if self.cooling {
            Some(Trouble::CoolingDown)
        } else if self.offline == Some(true) {
            Some(Trouble::Offline)
        } else {
            None
        }
    }

    /// Nothing at all is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// The sensor bits of `GS r 1` and of the third automatic byte: 0 and 1 near end, 2 and 3 end.
fn paper_of_sensors(bits: u8) -> Paper {
    if bits & 0x0C != 0 {
        Paper::Out
    } else if bits & 0x03 != 0 {
        Paper::NearEnd
    } else {
        Paper::Present
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(bytes: &[u8]) -> Vec<Heard> {
        let mut reader = StatusReader::default();
        bytes.iter().filter_map(|b| reader.push(*b)).collect()
    }

    fn asked(question: Question, reply: u8) -> PrinterStatus {
        let mut status = PrinterStatus::default();
        assert!(status.take(question, reply));
        status
    }

    /// docs/reference/devices.md B1, "DLE EOT replies" and the typical values of n = 4.
    #[test]
    fn replies_of_b1() {
        assert_eq!(asked(Question::Paper, 0x12).paper, Some(Paper::Present));
        assert_eq!(asked(Question::Paper, 0x1E).paper, Some(Paper::NearEnd));
        for out in [0x72, 0x7E] {
            assert_eq!(asked(Question::Paper, out).trouble(), Some(Trouble::PaperOut));
        }
        assert_eq!(asked(Question::Printer, 0x1A).trouble(), Some(Trouble::Offline));
        assert_eq!(asked(Question::Printer, 0x16).trouble(), None);
        assert_eq!(asked(Question::Offline, 0x16).trouble(), Some(Trouble::CoverOpen));
        assert_eq!(asked(Question::Offline, 0x32).trouble(), Some(Trouble::PaperOut));
        assert_eq!(asked(Question::Error, 0x16).trouble(), Some(Trouble::Mechanical));
        assert_eq!(asked(Question::Error, 0x1A).trouble(), Some(Trouble::Cutter));
        assert_eq!(asked(Question::Error, 0x32).trouble(), Some(Trouble::Unrecoverable));
        assert_eq!(asked(Question::Error, 0x52).trouble(), Some(Trouble::CoolingDown));
        assert!(!PrinterStatus::default().take(Question::Paper, 0x00));
    }

    /// docs/reference/devices.md B1, "real-time status" and "Which reply is it?".
    #[test]
    fn questions_and_patterns_of_b1() {
        assert_eq!(Question::ALL.map(Question::bytes), [[16, 4, 1], [16, 4, 2], [16, 4, 3], [16, 4, 4]]);
        for byte in 0..=u8::MAX {
            let expected = match byte {
                0x11 => Some(Heard::Xon),
                0x13 => Some(Heard::Xoff),
                b if b & 0x93 == 0x12 => Some(Heard::RealTime(b)),
                b if b & 0x93 == 0x10 => None,
                b if b & 0x90 == 0 => Some(Heard::Buffered(b)),
                b => Some(Heard::Noise(b)),
            };
            assert_eq!(StatusReader::default().push(byte), expected, "{byte:02x}");
        }
        // Mixed on one line: automatic status with a real-time reply inside it, a `GS r` reply after it.
        assert_eq!(
            heard(&[0x14, 0x00, 0x12, 0x03, 0x00, 0x0F, 0x11]),
            [Heard::RealTime(0x12), Heard::Automatic([0x14, 0, 3, 0]), Heard::Buffered(0x0F), Heard::Xon]
        );
    }

    #[test]
    fn automatic_status_and_paper_sensor() {
        let mut status = PrinterStatus::default();
        status.take_automatic([0x38, 0x00, 0x0C, 0x00]);
        assert_eq!((status.paper, status.cover_open), (Some(Paper::Out), Some(true)));
        status.take_automatic([0x10, 0x08, 0x03, 0x00]);
        assert_eq!((status.paper, status.trouble()), (Some(Paper::NearEnd), Some(Trouble::Cutter)));
        status.take_automatic([0x10, 0, 0, 0]);
        assert_eq!(status.trouble(), None);
        // `GS r 1` of a simple printer: 00 paper, 0F none.
        status.take_paper_sensor(0x0F);
        assert_eq!(status.trouble(), Some(Trouble::PaperOut));
        status.take_paper_sensor(0x00);
        assert_eq!(status.paper, Some(Paper::Present));
    }

    proptest! {
        #[test]
        fn after_any_noise_a_reply_is_found_within_four_bytes(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = StatusReader::default();
            for byte in noise {
                let _heard = reader.push(byte);
            }
            prop_assert_eq!(reader.push(0x12), Some(Heard::RealTime(0x12)));
            reader.end_of_silence();
            let whole: Vec<_> = [0x10, 1, 2, 3].iter().filter_map(|b| reader.push(*b)).collect();
            prop_assert_eq!(whole, vec![Heard::Automatic([0x10, 1, 2, 3])]);
        }
    }
}
