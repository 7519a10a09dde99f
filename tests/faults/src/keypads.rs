//! The hall's keypads: real bytes on ptys (or on the serial ports of a virtual machine), and the list of what was pressed
//! and answered. That list is what a run is judged by; it stays right whatever is killed, since it lives in this program.
//!
//! Every call types a number that is typed once, so that each frame is known again by what it says.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use device_drivers::{
    reading::Key,
    simulator::{
        counter::{BusSetup, CounterBus},
        pty::Pty,
    },
};
use tokio::{net::UnixStream, sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::lot::Lot;

/// Windows on one bus.
pub(crate) const ON_A_BUS: u8 = 4;
/// The first number that is typed.
const FIRST: u64 = 10_000_000;

/// What a frame must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    /// `ticket.called` with the number typed.
    Called,
    /// `service.started` with the number called before.
    Started,
}

/// A frame that a keypad sent.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The window it stands at.
    pub(crate) window: u8,
    /// What it means.
    pub(crate) meaning: Meaning,
    /// The number.
    pub(crate) ticket: String,
    /// The agent has answered it.
    pub(crate) acknowledged: bool,
}

struct Sent {
    frame: Frame,
    bus: usize,
    id: u64,
}

/// The keypads of a hall with windows 1 to `windows`; nobody presses the last one's but who looks for a fresh event.
pub(crate) struct Keypads {
    windows: u8,
    buses: Vec<CounterBus>,
    sent: Mutex<Vec<Sent>>,
    next: AtomicU64,
    pressing: watch::Sender<bool>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Keypads {
    /// Keypads that nobody presses yet.
    pub(crate) fn new(windows: u8) -> Arc<Self> {
        let buses = (0..windows.div_ceil(ON_A_BUS)).map(|bus| {
            let first = bus * ON_A_BUS + 1;
            let keypads = (first..first + ON_A_BUS).take_while(|n| *n <= windows).collect();
            CounterBus::new(BusSetup { keypads, ..BusSetup::default() })
        });
        Arc::new(Self {
            windows,
            buses: buses.collect(),
            sent: Mutex::default(),
            next: AtomicU64::new(FIRST),
            pressing: watch::Sender::new(false),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Puts every bus on a pty below `folder`; gives their paths.
    pub(crate) fn on_ptys(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let paths = self.paths(folder);
        for (bus, link) in self.buses.iter().zip(&paths) {
            let mut pty = Pty::open(Some(link))?;
            let (bus, cancel) = (bus.clone(), self.cancel.clone());
            self.tasks.spawn(async move {
                while !cancel.is_cancelled() {
                    // The line ends with the agent; the next one opens it again.
                    if bus.serve(&mut pty, &cancel).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            });
        }
        Ok(paths)
    }

    /// Where the buses' ptys are below `folder`.
    pub(crate) fn paths(&self, folder: &Path) -> Vec<PathBuf> {
        (0..self.buses.len()).map(|bus| folder.join(format!("bus-{bus}"))).collect()
    }

    /// Puts every bus on the socket behind a virtual machine's serial port; it is opened again whenever it is there.
    pub(crate) fn on_sockets(&self, paths: &[PathBuf]) {
        for (bus, path) in self.buses.iter().zip(paths) {
            let (bus, path, cancel) = (bus.clone(), path.clone(), self.cancel.clone());
            self.tasks.spawn(async move {
                while !cancel.is_cancelled() {
                    if let Ok(mut line) = UnixStream::connect(&path).await {
                        // It ends with the machine.
                        let _ = bus.serve(&mut line, &cancel).await;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
    }

    /// Lets somebody press at every window but the last, with pauses of at most `pause` seconds.
    pub(crate) fn staff(self: &Arc<Self>, lot: &mut Lot, pause: f64) {
        for window in 1..self.windows {
            let (keypads, mut lot) = (self.clone(), lot.branch());
            self.tasks.spawn(async move {
                let mut pressing = keypads.pressing.subscribe();
                let cancel = keypads.cancel.clone();
                let work = async {
                    while pressing.wait_for(|go| *go).await.is_ok() {
                        tokio::time::sleep(lot.seconds(pause / 4.0, pause)).await;
                        if !*pressing.borrow() {
                            continue;
                        }
                        let ticket = keypads.number();
                        keypads.press(window, Meaning::Called, &ticket).await;
                        if lot.once_in(3) {
                            keypads.press(window, Meaning::Started, &ticket).await;
                        }
                    }
                };
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = work => {}
                }
            });
        }
    }

    fn number(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Presses and waits for the answer, however long that takes.
    async fn press(&self, window: u8, meaning: Meaning, ticket: &str) {
        let at = usize::from((window - 1) / ON_A_BUS);
        let Some(bus) = self.buses.get(at) else { return };
        let id = {
            // Written down in the order in which the bus knows them.
            let mut sent = self.sent();
            let (digits, key) = match meaning {
                Meaning::Called => (ticket, Key::Call),
                Meaning::Started => ("", Key::Start),
            };
            let id = bus.press(window, digits, key);
            let frame = Frame { window, meaning, ticket: ticket.to_owned(), acknowledged: false };
            sent.push(Sent { frame, bus: at, id });
            id
        };
        while bus.wait_acknowledged(id, Duration::from_secs(5)).await.is_none() {}
    }

    /// Calls a number at the window that nobody else presses; gives the number at once.
    pub(crate) fn probe(self: &Arc<Self>) -> String {
        let (keypads, ticket) = (self.clone(), self.number());
        let (number, cancel) = (ticket.clone(), self.cancel.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = keypads.press(keypads.windows, Meaning::Called, &number) => {}
            }
        });
        ticket
    }

    /// Lets the presses begin.
    pub(crate) fn go(&self) {
        self.pressing.send_replace(true);
    }

    /// Ends the presses and waits until each has been answered.
    ///
    /// # Errors
    /// A keypad is still not answered after `limit`.
    pub(crate) async fn rest(&self, limit: Duration) -> Result<()> {
        self.pressing.send_replace(false);
        let begun = Instant::now();
        loop {
            let waiting: Vec<Frame> = self.frames().into_iter().filter(|frame| !frame.acknowledged).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > limit {
                bail!("{} keypads are not answered after {limit:?}: {waiting:?}", waiting.len());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every frame so far, with whether it has been answered.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let answered: Vec<Vec<bool>> = self
            .buses
            .iter()
            .map(|bus| bus.presses().iter().map(|press| press.acknowledged.is_some()).collect())
            .collect();
        let of = |sent: &Sent| {
            answered.get(sent.bus).and_then(|bus| bus.get(usize::try_from(sent.id).ok()?)).copied()
        };
        let sent = self.sent();
        // What was pressed after the bus was looked at is not answered yet.
        sent.iter()
            .map(|sent| Frame { acknowledged: of(sent).unwrap_or(false), ..sent.frame.clone() })
            .collect()
    }

    /// How many frames have been answered.
    pub(crate) fn answered(&self) -> usize {
        self.frames().iter().filter(|frame| frame.acknowledged).count()
    }

    /// Waits until more than `before` frames have been answered.
    ///
    /// # Errors
    /// None is within `limit`.
    pub(crate) async fn progress(&self, before: usize, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        while self.answered() <= before {
            if begun.elapsed() > limit {
                bail!("no keypad was answered within {limit:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends everything.
    pub(crate) async fn close(&self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
