//! A ticket printer: takes ESC/POS, prints slips, says how it is.
//!
//! As real ones do, it obeys real-time commands at once, even inside a picture, and everything else in turn; what it
//! cannot print now it keeps in its buffer and prints when it is put right.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::ticket::{
    escpos::{Reader, Request, Slip},
    status::Paper,
};

/// How the printer is, and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The paper.
    pub paper: Paper,
    /// The cover is open.
    pub cover_open: bool,
    /// The cutter is jammed.
    pub cutter_jammed: bool,
    /// The roll ends after this many more printed lines.
    pub lines_left: Option<usize>,
    /// Answers real-time questions.
    pub answers_real_time: bool,
    /// Answers `GS r`.
    pub answers_in_turn: bool,
    /// These bytes go out before every answer.
    pub noise: Vec<u8>,
    /// Takes no bytes any more: the line's buffers fill up.
    pub stuck: bool,
}

impl Default for Condition {
    /// Sound, with paper.
    fn default() -> Self {
        Self {
            paper: Paper::Present,
            cover_open: false,
            cutter_jammed: false,
            lines_left: None,
            answers_real_time: true,
            answers_in_turn: true,
            noise: Vec::new(),
            stuck: false,
        }
    }
}

impl Condition {
    fn blocked(&self) -> bool {
        self.paper == Paper::Out || self.cover_open || self.cutter_jammed
    }

    fn real_time(&self, n: u8) -> Option<u8> {
        let bit = |on: bool, mask: u8| if on { mask } else { 0 };
        let fixed = 0x12;
        match n {
            1 => Some(fixed | bit(self.blocked(), 0x08)),
            2 => Some(
                fixed
                    | bit(self.cover_open, 0x04)
                    | bit(self.paper == Paper::Out, 0x20)
                    | bit(self.cutter_jammed, 0x40),
            ),
            3 => Some(fixed | bit(self.cutter_jammed, 0x08)),
            4 => Some(fixed | bit(self.paper != Paper::Present, 0x0C) | bit(self.paper == Paper::Out, 0x60)),
            _ => None,
        }
    }

    fn sensors(&self) -> u8 {
        match self.paper {
            Paper::Present => 0x00,
            Paper::NearEnd => 0x03,
            Paper::Out => 0x0F,
        }
    }

    fn automatic(&self) -> [u8; 4] {
        let bit = |on: bool, mask: u8| if on { mask } else { 0 };
        [
            0x10 | bit(self.blocked(), 0x08) | bit(self.cover_open, 0x20),
            bit(self.cutter_jammed, 0x08),
            self.sensors(),
            0,
        ]
    }
}

#[derive(Default)]
struct State {
    condition: Condition,
    /// Real-time command begun: what of it has come.
    real_time: Vec<u8>,
    buffer: VecDeque<u8>,
    reader: Reader,
    automatic: bool,
    slips: Vec<Slip>,
    answers: Vec<u8>,
    received: u64,
    cut_line: bool,
}

impl State {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.received += 1;
            self.real_time(byte);
            self.buffer.push_back(byte);
        }
        self.work();
    }

    /// `DLE EOT n`, wherever it stands.
    fn real_time(&mut self, byte: u8) {
        match (self.real_time.as_slice(), byte) {
            ([0x10], 0x04) => self.real_time.push(byte),
            ([0x10, 0x04], n) => {
                self.real_time.clear();
                if let Some(reply) = self.condition.real_time(n).filter(|_| self.condition.answers_real_time)
                {
                    self.answer(&[reply]);
                }
            }
            (_, 0x10) => self.real_time = vec![0x10],
            _ => self.real_time.clear(),
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.answers.extend_from_slice(&self.condition.noise);
        self.answers.extend_from_slice(bytes);
    }

    /// Prints from the buffer while it can.
    fn work(&mut self) {
        while !self.condition.blocked()
            && let Some(byte) = self.buffer.pop_front()
        {
            let before = self.reader.lines_printed();
            self.reader.push(&[byte]);
            self.slips.extend(std::iter::from_fn(|| self.reader.next_slip()));
            if let Some(left) = self.condition.lines_left
                && self.reader.lines_printed() > before
            {
                self.condition.lines_left = Some(left.saturating_sub(1));
                if left <= 1 {
                    self.condition.lines_left = None;
                    self.condition.paper = Paper::Out;
                    self.changed();
                }
            }
            while let Some(request) = self.reader.next_request() {
                match request {
                    Request::Status(1 | 49) if self.condition.answers_in_turn => {
                        let sensors = self.condition.sensors();
                        self.answer(&[sensors]);
                    }
                    Request::Status(_) => {}
                    Request::Automatic(n) => {
                        self.automatic = n != 0;
                        self.changed();
                    }
                    Request::Initialise => self.automatic = false,
                }
            }
        }
    }

    fn changed(&mut self) {
        if self.automatic {
            let status = self.condition.automatic();
            self.answer(&status);
        }
    }
}

/// A handle on a simulated printer; clones are the same printer.
#[derive(Clone, Default)]
pub struct PaperPrinter {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl PaperPrinter {
    /// A sound printer with paper.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how it is; what waits in its buffer is printed if it can be now.
    pub fn set(&self, change: impl FnOnce(&mut Condition)) {
        let mut state = self.state();
        let before = state.condition.clone();
        change(&mut state.condition);
        if state.condition != before {
            state.changed();
        }
        state.work();
        drop(state);
        self.changed.notify_one();
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        self.state().condition.clone()
    }

    /// What has been printed and cut off.
    pub fn slips(&self) -> Vec<Slip> {
        self.state().slips.clone()
    }

    /// Lines on the paper that is not cut off yet.
    pub fn lines_hanging_out(&self) -> usize {
        self.state().reader.lines_printed()
    }

    /// Bytes it has taken.
    pub fn received(&self) -> u64 {
        self.state().received
    }

    /// Pulls the plug: [`serve`](Self::serve) returns.
    pub fn unplug(&self) {
        self.state().cut_line = true;
        self.changed.notify_one();
    }

    /// Is the printer on this line until cancelled, unplugged, or the line ends.
    ///
    /// # Errors
    /// The line's own errors.
    pub async fn serve<S>(&self, stream: &mut S, cancel: &CancellationToken) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = [0u8; 128];
        loop {
            let (answers, stuck, cut) = {
                let mut state = self.state();
                (
                    std::mem::take(&mut state.answers),
                    state.condition.stuck,
                    std::mem::take(&mut state.cut_line),
                )
            };
            if cut {
                return Ok(());
            }
            if !answers.is_empty() {
                stream.write_all(&answers).await?;
                stream.flush().await?;
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = self.changed.notified() => {}
                read = stream.read(&mut buffer), if !stuck => match read? {
                    0 => return Ok(()),
                    n => self.state().take(&buffer[..n]),
                },
            }
        }
    }
}
