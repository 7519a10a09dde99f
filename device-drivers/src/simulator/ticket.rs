//! A ticket machine, as its printer line is heard.
//!
//! Prints slips as ESC/POS with the number large, business, people waiting, time and a QR code, and remembers each.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Mono, MonotonicClock, SystemMonotonic},
    ticket::print::{Align, Printout},
};

/// Patterns for [`TapConfig`](crate::ticket::TapConfig) that fit the slips printed here.
pub const PATTERNS: [&str; 4] = [
    r"^\s*(?<number>[A-Z]\d{3,4})\s*$",
    r"^业务[:：]\s*(?<business>\S+)",
    r"等候(?:人数)?[:：]?\s*(?<waiting>\d+)\s*人",
    r"(?<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})",
];

/// What stands on a slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlipContent {
    /// Name of the hall, on top.
    pub hall: String,
    /// Ticket number: a letter and three or four digits.
    pub number: String,
    /// Business, without spaces.
    pub business: String,
    /// People waiting.
    pub waiting: u32,
    /// Local time.
    pub at: jiff::civil::DateTime,
    /// Content of the QR code.
    pub qr: Option<String>,
}

impl SlipContent {
    /// The slip without its cut.
    fn printout(&self) -> Printout {
        let mut out = Printout::new()
            .align(Align::Centre)
            .line(&self.hall)
            .bold(true)
            .size(3, 3)
            .line(&self.number)
            .size(1, 1)
            .bold(false)
            .align(Align::Left)
            .line(&format!("业务：{}", self.business))
            .line(&format!("您前面等候人数：{}人", self.waiting))
            .line(&self.at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        if let Some(content) = &self.qr {
            out = out.align(Align::Centre).qr(content.as_bytes(), 4);
        }
        out.line("请留意叫号，过号重取").feed(4)
    }

    /// The bytes a printer gets, cut included.
    pub fn bytes(&self) -> Vec<u8> {
        self.printout().cut().into_bytes()
    }
}

/// A misbehaviour to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// These bytes go out at once.
    Noise(Vec<u8>),
    /// The next slip goes out in two pieces with this pause between.
    Split(Duration),
    /// The next slip is not cut off.
    NoCut,
    /// The line is cut: [`TicketPrinter::serve`] returns.
    Disconnect,
}

/// A printed slip in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// What stood on it.
    pub content: SlipContent,
    /// When printing was asked for.
    pub at: Mono,
}

#[derive(Default)]
struct State {
    printed: Vec<Printed>,
    waiting: VecDeque<Step>,
    armed: Vec<Fault>,
}

enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    Disconnect,
}

/// A handle on a simulated ticket machine; clones are the same machine.
#[derive(Clone, Default)]
pub struct TicketPrinter {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl TicketPrinter {
    /// A machine with paper.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a slip.
    pub fn print(&self, content: SlipContent) {
        let mut state = self.state();
        let mut armed = std::mem::take(&mut state.armed);
        let uncut = armed.iter().position(|f| *f == Fault::NoCut).map(|at| armed.remove(at)).is_some();
        let mut bytes = if uncut { content.printout().into_bytes() } else { content.bytes() };
        if let Some(at) = armed.iter().position(|f| matches!(f, Fault::Split(_)))
            && let Fault::Split(pause) = armed.remove(at)
        {
            let second = bytes.split_off(bytes.len() / 2);
            state.waiting.extend([Step::Write(bytes), Step::Pause(pause)]);
            bytes = second;
        }
        state.waiting.push_back(Step::Write(bytes));
        state.armed = armed;
        state.printed.push(Printed { content, at: SystemMonotonic.now() });
        drop(state);
        self.changed.notify_one();
    }

    /// Prints any text and cuts: a slip that is no ticket. It is not in the log.
    pub fn print_text(&self, text: &str) {
        let printout = text.lines().fold(Printout::new(), Printout::line);
        self.state().waiting.push_back(Step::Write(printout.cut().into_bytes()));
        self.changed.notify_one();
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.state();
        match fault {
            Fault::Noise(bytes) => state.waiting.push_back(Step::Write(bytes)),
            Fault::Disconnect => state.waiting.push_back(Step::Disconnect),
            armed => state.armed.push(armed),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Every ticket printed so far.
    pub fn printed(&self) -> Vec<Printed> {
        self.state().printed.clone()
    }

    /// Is the machine on this line until cancelled, until the line ends, or until a fault cuts it. What is printed
    /// without a line waits for the next call.
    ///
    /// # Errors
    /// The line's own errors.
    pub async fn serve<S>(&self, stream: &mut S, cancel: &CancellationToken) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = [0u8; 64];
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
                // A printer without status line: what the host says is not answered.
                read = stream.read(&mut buffer) => if read? == 0 { return Ok(()) },
            }
        }
    }
}
