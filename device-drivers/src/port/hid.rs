//! USB keypads that are keyboards to the system ("five-button" evaluators), by evdev.
//!
//! Owns the keyboard alone while it is open (EVIOCGRAB), so that a press reaches neither the desktop nor a login prompt.
//! Turns the system's key events into [`KeyEvent`]s, and these into the 8-byte reports of a boot keyboard (USB HID 1.11,
//! appendix B.1), so that whatever reads bytes from a [`Port`] can read a keyboard too. Never decides what a key means.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::StreamExt;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Opening, Port, Stirring, Stream, serial::watched, watch};
use crate::clock::{Mono, MonotonicClock, SystemMonotonic};

/// How long opening and grabbing may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Event type of keys (linux/input-event-codes.h, EV_KEY).
const EV_KEY: u16 = 1;
/// Bytes of a boot keyboard's report.
pub const REPORT_LEN: usize = 8;
/// "Too many keys at once" in each key of a report.
const ROLL_OVER: u8 = 0x01;

/// An event as the system tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// When it arrived.
    pub at: Mono,
    /// Its type; 1 is a key.
    pub kind: u16,
    /// Which key, as linux/input-event-codes.h numbers them.
    pub code: u16,
    /// Of a key: 0 released, 1 pressed, 2 repeated by the system.
    pub value: i32,
}

/// Events of one keyboard; an error or the end means that it is gone.
pub type RawEvents = Pin<Box<dyn futures_util::Stream<Item = io::Result<RawEvent>> + Send>>;

/// A key went down or came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// Which key, as linux/input-event-codes.h numbers them; [`usage`] gives the HID usage.
    pub code: u16,
    /// Down or up.
    pub pressed: bool,
    /// When.
    pub at: Mono,
}

impl KeyEvent {
    /// The key event in a raw event, if it is one; the system's repetitions are none.
    pub fn from_raw(raw: RawEvent) -> Option<Self> {
        match (raw.kind, raw.value) {
            (EV_KEY, 0 | 1) => Some(Self { code: raw.code, pressed: raw.value == 1, at: raw.at }),
            _ => None,
        }
    }
}

/// Key codes of the HID usages 0x04 to 0x67 (Linux, drivers/hid/hid-input.c, `hid_keyboard`).
const CODES: [u8; 100] = [
    30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44,
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, 58,
    59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88, 99, 70, 119, 110, 102, 104, 111, 107, 109, 106, 105, 108,
    103, 69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, 86, 127, 116, 117,
];
/// Key codes of the modifiers, bit 0 first.
const MODIFIERS: [u16; 8] = [29, 42, 56, 125, 97, 54, 100, 126];

/// The HID usage (keyboard page) of a key code: 0x1E to 0x27 for the digits 1 to 0, 0x59 to 0x62 for those of the
/// number block.
pub fn usage(code: u16) -> Option<u8> {
    let at = CODES.iter().position(|known| u16::from(*known) == code)?;
    u8::try_from(at + 4).ok()
}

/// Keys held on a boot keyboard.
#[derive(Clone, Debug, Default)]
pub struct BootKeyboard {
    modifiers: u8,
    held: Vec<u8>,
}

impl BootKeyboard {
    /// Takes an event; gives the report that a boot keyboard sends, if the event changes it.
    pub fn take(&mut self, event: KeyEvent) -> Option<[u8; REPORT_LEN]> {
        if let Some(bit) = MODIFIERS.iter().position(|code| *code == event.code) {
            let before = self.modifiers;
            if event.pressed {
                self.modifiers |= 1 << bit;
            } else {
                self.modifiers &= !(1 << bit);
            }
            return (self.modifiers != before).then(|| self.report());
        }
        let usage = usage(event.code)?;
        match (self.held.iter().position(|held| *held == usage), event.pressed) {
            (None, true) => self.held.push(usage),
            (Some(at), false) => {
                self.held.remove(at);
            }
            _ => return None,
        }
        Some(self.report())
    }

    fn report(&self) -> [u8; REPORT_LEN] {
        let mut report = [0; REPORT_LEN];
        report[0] = self.modifiers;
        if self.held.len() > REPORT_LEN - 2 {
            report[2..].fill(ROLL_OVER);
        } else {
            report[2..2 + self.held.len()].copy_from_slice(&self.held);
        }
        report
    }
}

/// A keyboard by its path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HidConfig {
    /// Event device; prefer `/dev/input/by-id/…-event-kbd` or `by-path/…-event-kbd`, which survive replugging.
    pub path: PathBuf,
}

/// Opens one keyboard.
#[derive(Clone)]
pub struct HidPort {
    config: HidConfig,
    clock: Arc<dyn MonotonicClock>,
    was_absent: bool,
}

impl HidPort {
    /// A keyboard whose events are stamped by the machine's clock.
    pub fn new(config: HidConfig) -> Self {
        Self { config, clock: Arc::new(SystemMonotonic), was_absent: false }
    }

    /// Opens and grabs the keyboard and gives its events as they are.
    ///
    /// # Errors
    /// Not there, no permission, no event device, or grabbed by somebody else.
    pub async fn events(&mut self) -> io::Result<RawEvents> {
        let opened = open(&self.config.path, Arc::clone(&self.clock)).await;
        self.was_absent = opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        opened
    }
}

async fn open(path: &Path, clock: Arc<dyn MonotonicClock>) -> io::Result<RawEvents> {
    let opening = tokio::task::spawn_blocking({
        let path = path.to_owned();
        move || {
            let identity = watch::identity(&path)?;
            let mut device = evdev::Device::open(&path)?;
            device.grab()?;
            Ok::<_, io::Error>((device, identity))
        }
    });
    let (device, identity) = tokio::time::timeout(OPEN_TIMEOUT, opening)
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(io::Error::other)??;
    let gone = watch::vanishes(path.to_owned(), identity);
    let lost = futures_util::stream::once(async move {
        gone.await;
        Err(io::Error::from(io::ErrorKind::NotFound))
    });
    let events = device.into_event_stream()?.map(move |event| {
        event.map(|event| RawEvent {
            at: clock.now(),
            kind: event.event_type().0,
            code: event.code(),
            value: event.value(),
        })
    });
    Ok(Box::pin(futures_util::stream::select(events, lost)))
}

impl Port for HidPort {
    /// The stream gives 8-byte boot reports and takes nothing.
    fn open(&mut self) -> Opening<'_> {
        Box::pin(async move { Ok(reports(self.events().await?)) })
    }

    fn name(&self) -> String {
        self.config.path.display().to_string()
    }

    fn stirred(&mut self, wait: Duration) -> Stirring<'_> {
        Box::pin(watched(&self.config.path, self.was_absent, wait))
    }
}

/// A keyboard's events as the bytes of its boot reports: eight for every change.
pub fn reports(events: RawEvents) -> Stream {
    Box::new(Reports { events, keyboard: BootKeyboard::default(), waiting: VecDeque::new() })
}

struct Reports {
    events: RawEvents,
    keyboard: BootKeyboard,
    waiting: VecDeque<u8>,
}

impl AsyncRead for Reports {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.waiting.is_empty() {
            match ready!(self.events.as_mut().poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(raw)) => {
                    let report = KeyEvent::from_raw(raw).and_then(|event| self.keyboard.take(event));
                    self.waiting.extend(report.into_iter().flatten());
                }
            }
        }
        let take = self.waiting.len().min(buf.remaining());
        for byte in self.waiting.drain(..take) {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reports {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, "a keyboard takes no bytes")))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::simulator::keyboard::{FIVE_BUTTONS, Recording};

    fn key(code: u16, pressed: bool) -> KeyEvent {
        KeyEvent { code, pressed, at: Mono(0) }
    }

    /// devices.md C: usages of the digits, the number block and Enter.
    #[test]
    fn usages() {
        // KEY_1 is 2, KEY_0 is 11, KEY_KP1 is 79, KEY_ENTER is 28 in linux/input-event-codes.h.
        assert_eq!((2..=11).filter_map(usage).collect::<Vec<_>>(), (0x1E..=0x27).collect::<Vec<u8>>());
        let block = [79, 80, 81, 75, 76, 77, 71, 72, 73, 82];
        assert_eq!(block.map(usage), std::array::from_fn(|n| u8::try_from(0x59 + n).ok()));
        assert_eq!(usage(28), Some(0x28));
        assert_eq!(usage(0), None);
    }

    #[test]
    fn repetitions_and_other_events_are_no_key_events() {
        let raw = |kind, value| RawEvent { at: Mono(7), kind, code: 2, value };
        assert_eq!(KeyEvent::from_raw(raw(1, 1)), Some(KeyEvent { code: 2, pressed: true, at: Mono(7) }));
        assert_eq!(KeyEvent::from_raw(raw(1, 2)), None);
        assert_eq!(KeyEvent::from_raw(raw(0, 0)), None);
        assert_eq!(KeyEvent::from_raw(raw(4, 1)), None);
    }

    #[test]
    fn reports_hold_modifiers_keys_in_order_and_too_many() {
        let mut keyboard = BootKeyboard::default();
        assert_eq!(keyboard.take(key(42, true)), Some([2, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(keyboard.take(key(2, true)), Some([2, 0, 0x1E, 0, 0, 0, 0, 0]));
        assert_eq!(keyboard.take(key(2, true)), None);
        assert_eq!(keyboard.take(key(3, true)), Some([2, 0, 0x1E, 0x1F, 0, 0, 0, 0]));
        assert_eq!(keyboard.take(key(2, false)), Some([2, 0, 0x1F, 0, 0, 0, 0, 0]));
        assert_eq!(keyboard.take(key(42, false)), Some([0, 0, 0x1F, 0, 0, 0, 0, 0]));
        for code in 4..9 {
            keyboard.take(key(code, true)).unwrap();
        }
        assert_eq!(keyboard.take(key(9, true)), Some([0, 0, 1, 1, 1, 1, 1, 1]));
        assert_eq!(keyboard.take(key(9, false)), Some([0, 0, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x24]));
    }

    #[tokio::test]
    async fn a_recorded_keypad_reads_as_boot_reports_and_ends() {
        let recording: Recording = FIVE_BUTTONS.parse().unwrap();
        let mut near = reports(recording.events(false));
        let mut bytes = Vec::new();
        near.read_to_end(&mut bytes).await.unwrap();
        let pressed: Vec<u8> = bytes.chunks_exact(REPORT_LEN).map(|r| r[2]).filter(|u| *u != 0).collect();
        assert_eq!(pressed, [0x1E, 0x1F, 0x20, 0x21, 0x22]);
        assert_eq!(bytes.len(), 10 * REPORT_LEN);
    }

    #[tokio::test]
    async fn what_is_not_there_and_what_is_no_keyboard_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut port = HidPort::new(HidConfig { path: dir.path().join("event0") });
        assert_eq!(port.open().await.err().unwrap().kind(), io::ErrorKind::NotFound);
        std::fs::write(dir.path().join("event0"), "").unwrap();
        assert!(port.open().await.is_err());
    }

    proptest! {
        /// Whatever is pressed, a report is of keys held, and with all released it is empty.
        #[test]
        fn any_presses(events in proptest::collection::vec((0u16..300, any::<bool>()), 0..200)) {
            let mut keyboard = BootKeyboard::default();
            for (code, pressed) in &events {
                keyboard.take(key(*code, *pressed));
                prop_assert!(keyboard.held.len() <= CODES.len());
            }
            for code in 0..300 {
                keyboard.take(key(code, false));
            }
            prop_assert_eq!(keyboard.report(), [0; REPORT_LEN]);
        }
    }
}
