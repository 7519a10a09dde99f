//! Keypads and evaluators on one `FF 68` bus, as the host hears them.
//!
//! A press is sent again and again until the host acknowledges it (keypad: the identical frame comes back;
//! evaluator: form A or B), as the real devices do (docs/reference/devices.md B2.1). The log says when each press was
//! acknowledged: what the host must not lose.

use std::{
    collections::{BTreeMap, VecDeque},
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
    counter::AckForm,
    reading::Key,
    simulator::counter_frame::{DEFAULT_MAX_LEN, Decoded, Decoder, Frame},
};

/// Function byte of evaluators' frames.
const EVALUATOR: u8 = 0x11;

/// What stands on the bus.
#[derive(Clone, Debug)]
pub struct BusSetup {
    /// Addresses of keypads.
    pub keypads: Vec<u8>,
    /// Addresses of evaluators and the acknowledgement each expects.
    pub evaluators: Vec<(u8, AckForm)>,
    /// Time between two sendings of an unacknowledged frame.
    pub retransmit: Duration,
    /// Sendings after which a device gives up; `None` = never.
    pub attempts: Option<u32>,
}

impl Default for BusSetup {
    /// An empty bus that retransmits every 150 ms and never gives up.
    fn default() -> Self {
        Self {
            keypads: Vec::new(),
            evaluators: Vec::new(),
            retransmit: Duration::from_millis(150),
            attempts: None,
        }
    }
}

/// A misbehaviour to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next frame goes out with a wrong checksum (its retransmission is sound).
    BadChecksum,
    /// The device with this address says and hears nothing while `true`.
    Silence(u8, bool),
    /// The next frame goes out twice at once.
    Duplicate,
    /// The next frame goes out in two pieces with this pause between.
    Split(Duration),
    /// The next two frames of different devices go out in one write.
    Glue,
    /// These bytes go out at once.
    Noise(Vec<u8>),
    /// The devices do not hear the next acknowledgements, so many of them.
    DeafToAcknowledgements(u32),
    /// The line is cut: [`CounterBus::serve`] returns.
    Disconnect,
}

/// One press in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// Its number, from 0 in the order of pressing.
    pub id: u64,
    /// The device.
    pub address: u8,
    /// Function byte (`11` = evaluator).
    pub function: u8,
    /// Data bytes: digits and key, or the grade byte.
    pub data: Vec<u8>,
    /// When it was pressed.
    pub pressed: Mono,
    /// How often it was sent.
    pub sent: u32,
    /// When the host acknowledged it.
    pub acknowledged: Option<Mono>,
    /// The device gave up.
    pub given_up: bool,
}

impl Press {
    /// Digits and key, if it was a keypad's.
    pub fn key(&self) -> Option<(String, Key)> {
        let (key, digits) = self.data.split_last().filter(|_| self.function != EVALUATOR)?;
        let digits = digits.iter().filter_map(|d| char::from_digit(u32::from(*d), 10)).collect();
        Some((digits, Key::from_byte(*key)))
    }

    /// The raw grade, if it was an evaluator's.
    pub fn raw_grade(&self) -> Option<u8> {
        self.data.first().copied().filter(|_| self.function == EVALUATOR)
    }
}

/// What a device shows because the host told it to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Display {
    /// Cells last shown (function `02`).
    pub cells: Vec<u8>,
    /// Beeps heard (function `03`).
    pub beeps: u32,
    /// Invitations to rate (function `01`, data `0B`).
    pub invitations: u32,
}

/// What the shell must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write these bytes.
    Write(Vec<u8>),
    /// Wait before the next output.
    Pause(Duration),
    /// Cut the line.
    Disconnect,
}

/// A keypad and an evaluator (`true`) may share an address.
type Device = (u8, bool);

/// The protocol core: no I/O, time comes in.
#[derive(Debug)]
pub struct BusCore {
    setup: BusSetup,
    decoder: Decoder,
    presses: Vec<Press>,
    /// Per device: the press on the wire and those behind it, with the time of the next sending.
    lines: BTreeMap<Device, (VecDeque<u64>, Mono)>,
    displays: BTreeMap<u8, Display>,
    heard: u64,
    silent: Vec<u8>,
    armed: Vec<Fault>,
    deaf: u32,
    urgent: VecDeque<Output>,
}

impl BusCore {
    /// A bus with these devices.
    pub fn new(setup: BusSetup) -> Self {
        Self {
            setup,
            decoder: Decoder::new(DEFAULT_MAX_LEN).with_short(),
            presses: Vec::new(),
            lines: BTreeMap::new(),
            displays: BTreeMap::new(),
            heard: 0,
            silent: Vec::new(),
            armed: Vec::new(),
            deaf: 0,
            urgent: VecDeque::new(),
        }
    }

    /// Somebody presses something.
    pub fn press(&mut self, address: u8, function: u8, data: Vec<u8>, now: Mono) -> u64 {
        let id = self.presses.len() as u64;
        self.presses.push(Press {
            id,
            address,
            function,
            data,
            pressed: now,
            sent: 0,
            acknowledged: None,
            given_up: false,
        });
        let (queue, due) =
            self.lines.entry((address, function == EVALUATOR)).or_insert((VecDeque::new(), now));
        if queue.is_empty() {
            *due = now;
        }
        queue.push_back(id);
        id
    }

    /// Orders a fault.
    pub fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Silence(address, true) if !self.silent.contains(&address) => self.silent.push(address),
            Fault::Silence(_, true) => {}
            Fault::Silence(address, false) => self.silent.retain(|a| *a != address),
            Fault::Noise(bytes) => self.urgent.push_back(Output::Write(bytes)),
            Fault::DeafToAcknowledgements(n) => self.deaf += n,
            Fault::Disconnect => self.urgent.push_back(Output::Disconnect),
            armed => self.armed.push(armed),
        }
    }

    /// Bytes from the host.
    pub fn input(&mut self, bytes: &[u8], now: Mono) {
        self.decoder.push(bytes);
        while let Some(decoded) = self.decoder.next_decoded() {
            match decoded {
                Decoded::Frame(frame, _) => self.hear(&frame, false, now),
                Decoded::Short(frame, _) => self.hear(&frame, true, now),
                Decoded::Noise(_) => {}
            }
        }
    }

    fn hear(&mut self, frame: &Frame, short: bool, now: Mono) {
        if self.silent.contains(&frame.address) {
            return;
        }
        self.heard += 1;
        if let Some(id) = self.awaited(frame, short) {
            if self.deaf > 0 {
                self.deaf -= 1;
                return;
            }
            self.presses[id as usize].acknowledged = Some(now);
            let device = (frame.address, self.presses[id as usize].function == EVALUATOR);
            if let Some((queue, due)) = self.lines.get_mut(&device) {
                queue.pop_front();
                *due = now;
            }
            return;
        }
        let display = self.displays.entry(frame.address).or_default();
        match (frame.function, frame.data.as_slice()) {
            (0x02, cells) => display.cells = cells.to_vec(),
            (0x03, []) => display.beeps += 1,
            (0x01, [0x0B]) => display.invitations += 1,
            _ => {}
        }
    }

    /// The press that this frame acknowledges.
    fn awaited(&self, frame: &Frame, short: bool) -> Option<u64> {
        [false, true].into_iter().find_map(|evaluator| {
            let id = *self.lines.get(&(frame.address, evaluator))?.0.front()?;
            let press = &self.presses[id as usize];
            (press.sent > 0 && self.acknowledges(frame, short, press)).then_some(id)
        })
    }

    fn acknowledges(&self, frame: &Frame, short: bool, press: &Press) -> bool {
        if press.function != EVALUATOR {
            return !short && frame.function == press.function && frame.data == press.data;
        }
        match self.setup.evaluators.iter().find(|(a, _)| *a == press.address) {
            Some((_, AckForm::A)) => !short && frame.function == 0x01 && frame.data == press.data,
            Some((_, AckForm::B)) => short && frame.function == 0x01 && frame.data.is_empty(),
            None => false,
        }
    }

    /// What to do now; `None` = nothing until [`next_due`](Self::next_due), a press or input.
    pub fn output(&mut self, now: Mono) -> Option<Output> {
        if let Some(first) = self.urgent.pop_front() {
            return Some(first);
        }
        let glue = self.take_armed(|f| *f == Fault::Glue).is_some();
        let mut wire = self.next_frame(now)?;
        if glue {
            match self.next_frame(now) {
                Some(second) => wire.extend(second),
                None => self.armed.push(Fault::Glue),
            }
        }
        if self.take_armed(|f| *f == Fault::BadChecksum).is_some() {
            let at = wire.len() - 2;
            wire[at] = wire[at].wrapping_add(1);
        }
        if self.take_armed(|f| *f == Fault::Duplicate).is_some() {
            wire.extend(wire.clone());
        }
        if let Some(Fault::Split(pause)) = self.take_armed(|f| matches!(f, Fault::Split(_))) {
            self.urgent.push_back(Output::Pause(pause));
            self.urgent.push_back(Output::Write(wire.split_off(wire.len() / 2)));
        }
        Some(Output::Write(wire))
    }

    fn take_armed(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self.armed.iter().position(fits)?;
        Some(self.armed.remove(at))
    }

    fn next_frame(&mut self, now: Mono) -> Option<Vec<u8>> {
        for ((address, _), (queue, due)) in &mut self.lines {
            if *due > now || self.silent.contains(address) {
                continue;
            }
            while let Some(id) = queue.front() {
                let press = &mut self.presses[*id as usize];
                if self.setup.attempts.is_some_and(|most| press.sent >= most) {
                    press.given_up = true;
                    queue.pop_front();
                    continue;
                }
                press.sent += 1;
                *due = now + self.setup.retransmit;
                return Some(Frame::new(*address, press.function, press.data.clone()).encode());
            }
        }
        None
    }

    /// When something will have to be sent, if nothing happens before.
    pub fn next_due(&self) -> Option<Mono> {
        if !self.urgent.is_empty() {
            return Some(Mono(0));
        }
        self.lines
            .iter()
            .filter(|((address, _), (queue, _))| !queue.is_empty() && !self.silent.contains(address))
            .map(|(_, (_, due))| *due)
            .min()
    }
}

/// A handle on a simulated bus; clones are the same bus.
#[derive(Clone)]
pub struct CounterBus {
    core: Arc<Mutex<BusCore>>,
    changed: Arc<Notify>,
    acknowledged: Arc<Notify>,
    clock: Arc<dyn MonotonicClock>,
}

impl CounterBus {
    /// A bus with these devices, timed by the machine's monotonic clock.
    pub fn new(setup: BusSetup) -> Self {
        Self {
            core: Arc::new(Mutex::new(BusCore::new(setup))),
            changed: Arc::default(),
            acknowledged: Arc::default(),
            clock: Arc::new(SystemMonotonic),
        }
    }

    fn core(&self) -> MutexGuard<'_, BusCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Presses a key on a keypad after typing `digits` (other characters are left out). Gives the press's number.
    pub fn press(&self, address: u8, digits: &str, key: Key) -> u64 {
        let mut data: Vec<u8> =
            digits.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as u8).collect();
        data.push(key.byte());
        let id = self.core().press(address, 0x01, data, self.clock.now());
        self.changed.notify_one();
        id
    }

    /// Presses an evaluator's key that sends the byte `raw`. Gives the press's number.
    pub fn rate(&self, address: u8, raw: u8) -> u64 {
        let id = self.core().press(address, EVALUATOR, vec![raw], self.clock.now());
        self.changed.notify_one();
        id
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        self.core().fault(fault);
        self.changed.notify_one();
    }

    /// Every press so far.
    pub fn presses(&self) -> Vec<Press> {
        self.core().presses.clone()
    }

    /// One press.
    pub fn one_press(&self, id: u64) -> Option<Press> {
        self.core().presses.get(usize::try_from(id).ok()?).cloned()
    }

    /// What the device with this address shows.
    pub fn display(&self, address: u8) -> Display {
        self.core().displays.get(&address).cloned().unwrap_or_default()
    }

    /// Waits until the host acknowledged this press; `None` after `most`.
    pub async fn wait_acknowledged(&self, id: u64, most: Duration) -> Option<Mono> {
        let wait = async {
            loop {
                let changed = self.acknowledged.notified();
                if let Some(at) = self.one_press(id).and_then(|p| p.acknowledged) {
                    return at;
                }
                changed.await;
            }
        };
        tokio::time::timeout(most, wait).await.ok()
    }

    /// Is the bus on this line until cancelled, until the line ends, or until a fault cuts it. Presses go on being
    /// remembered without a line; call again with the next one.
    ///
    /// # Errors
    /// The line's own errors.
    pub async fn serve<S>(&self, stream: &mut S, cancel: &CancellationToken) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = [0u8; 512];
        loop {
            let output = self.core().output(self.clock.now());
            match output {
                // A line nobody reads takes no more bytes one day; a real device sends into the void.
                Some(Output::Write(bytes)) => {
                    if let Ok(written) =
                        tokio::time::timeout(Duration::from_millis(200), stream.write_all(&bytes)).await
                    {
                        written?;
                    }
                    stream.flush().await?;
                    continue;
                }
                Some(Output::Pause(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Some(Output::Disconnect) => return Ok(()),
                None => {}
            }
            let due = self.core().next_due();
            let wait = due.map_or(Duration::from_secs(3600), |at| at.since(self.clock.now()));
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                read = stream.read(&mut buffer) => match read? {
                    0 => return Ok(()),
                    n => {
                        self.core().input(&buffer[..n], self.clock.now());
                        self.acknowledged.notify_waiters();
                    }
                },
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1000;

    fn core() -> BusCore {
        BusCore::new(BusSetup {
            keypads: vec![3],
            evaluators: vec![(3, AckForm::A), (0x83, AckForm::B)],
            ..BusSetup::default()
        })
    }

    fn written(core: &mut BusCore, now: Mono) -> Option<Vec<u8>> {
        match core.output(now) {
            Some(Output::Write(bytes)) => Some(bytes),
            _ => None,
        }
    }

    #[test]
    fn a_key_is_sent_until_it_is_echoed() {
        let mut bus = core();
        bus.press(3, 1, vec![0x0C], Mono(0));
        let wire = written(&mut bus, Mono(0)).unwrap();
        assert_eq!(written(&mut bus, Mono(149 * MS)), None);
        assert_eq!(written(&mut bus, Mono(150 * MS)).unwrap(), wire);
        bus.input(&wire, Mono(200 * MS));
        assert_eq!(written(&mut bus, Mono(900 * MS)), None);
        assert_eq!(bus.presses[0].acknowledged, Some(Mono(200 * MS)));
        assert_eq!(bus.presses[0].sent, 2);
    }

    #[test]
    fn both_forms_of_acknowledgement() {
        let mut bus = core();
        bus.press(3, 0x11, vec![3], Mono(0));
        bus.press(0x83, 0x11, vec![3], Mono(0));
        assert!(written(&mut bus, Mono(0)).is_some() && written(&mut bus, Mono(0)).is_some());
        bus.input(&Frame::new(3, 1, [3]).encode(), Mono(1));
        bus.input(&Frame::new(0x83, 1, []).encode_short(), Mono(1));
        assert!(bus.presses.iter().all(|p| p.acknowledged == Some(Mono(1))));
        bus.input(&Frame::new(3, 1, [0x0B]).encode(), Mono(2));
        assert_eq!(bus.displays[&3].invitations, 1);
    }

    #[test]
    fn faults_do_what_they_say() {
        let mut bus = core();
        bus.fault(Fault::BadChecksum);
        bus.press(3, 1, vec![0x0C], Mono(0));
        let bad = written(&mut bus, Mono(0)).unwrap();
        let good = written(&mut bus, Mono(200 * MS)).unwrap();
        assert_ne!(bad, good);
        bus.fault(Fault::Split(Duration::from_millis(5)));
        let first = written(&mut bus, Mono(400 * MS)).unwrap();
        assert!(matches!(bus.output(Mono(400 * MS)), Some(Output::Pause(_))));
        let second = written(&mut bus, Mono(400 * MS)).unwrap();
        assert_eq!([first, second].concat(), good);
        bus.fault(Fault::DeafToAcknowledgements(1));
        bus.input(&good, Mono(500 * MS));
        assert_eq!(bus.presses[0].acknowledged, None);
        bus.input(&good, Mono(501 * MS));
        assert_eq!(bus.presses[0].acknowledged, Some(Mono(501 * MS)));
    }
}
