//! A USB keypad as a recording of its events, for machines without `/dev/input`.
//!
//! Reads what `evemu-record` writes (evemu 2: `E: <seconds>.<microseconds> <type> <code> <value>`, type and code
//! hexadecimal, value decimal); all other lines of such a file describe the device and are passed over.

use std::{io, str::FromStr, time::Duration};

use crate::{
    clock::{MonotonicClock, SystemMonotonic},
    port::{Opening, Port, hid},
};

/// A keypad with the keys 1 to 5, each pressed once, the third held until the system repeats it.
pub const FIVE_BUTTONS: &str = include_str!("five_buttons.evemu");

/// One recorded event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Since the recording began.
    pub after: Duration,
    /// Type of the event.
    pub kind: u16,
    /// Code.
    pub code: u16,
    /// Value.
    pub value: i32,
}

/// Events of one keypad.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording(pub Vec<Recorded>);

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text:?} is no event: E: seconds.microseconds type code value")]
pub struct RecordingError {
    line: usize,
    text: String,
}

fn event(line: &str) -> Option<Recorded> {
    let line = line.split('#').next()?;
    let mut words = line.split_whitespace();
    let (seconds, micros) = words.next()?.split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let after = Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?);
    let kind = u16::from_str_radix(words.next()?, 16).ok()?;
    let code = u16::from_str_radix(words.next()?, 16).ok()?;
    let value = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Recorded { after, kind, code, value })
}

impl FromStr for Recording {
    type Err = RecordingError;

    fn from_str(text: &str) -> Result<Self, RecordingError> {
        let mut events = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(rest) = line.strip_prefix("E:") {
                let wrong = || RecordingError { line: number + 1, text: line.chars().take(80).collect() };
                events.push(event(rest).ok_or_else(wrong)?);
            }
        }
        Ok(Self(events))
    }
}

impl Recording {
    /// The recording as a keyboard's events, then the end. `paced`: with the recorded pauses; else as fast as it is read.
    pub fn events(&self, paced: bool) -> hid::RawEvents {
        let mut before = Duration::ZERO;
        let events: Vec<_> = self
            .0
            .iter()
            .map(|event| {
                let pause = event.after.saturating_sub(before);
                before = event.after;
                (pause, *event)
            })
            .collect();
        let stream = futures_util::stream::iter(events);
        Box::pin(futures_util::StreamExt::then(stream, move |(pause, event)| async move {
            if paced {
                tokio::time::sleep(pause).await;
            }
            let at = SystemMonotonic.now();
            Ok(hid::RawEvent { at, kind: event.kind, code: event.code, value: event.value })
        }))
    }
}

/// A port that gives a recording's boot reports at its first opening and is then unplugged.
#[derive(Clone, Debug)]
pub struct RecordedKeyboard {
    recording: Option<Recording>,
    paced: bool,
}

impl RecordedKeyboard {
    /// A keyboard that plays this.
    pub fn new(recording: Recording, paced: bool) -> Self {
        Self { recording: Some(recording), paced }
    }
}

impl Port for RecordedKeyboard {
    fn open(&mut self) -> Opening<'_> {
        let recording = self.recording.take();
        let paced = self.paced;
        Box::pin(async move {
            let recording = recording.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            Ok(hid::reports(recording.events(paced)))
        })
    }

    fn name(&self) -> String {
        "recorded keyboard".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shipped_recording_reads() {
        let recording: Recording = FIVE_BUTTONS.parse().unwrap();
        let presses = recording.0.iter().filter(|e| e.kind == 1 && e.value == 1);
        assert_eq!(presses.map(|e| e.code).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert!(recording.0.iter().any(|e| e.kind == 1 && e.value == 2));
    }

    #[test]
    fn wrong_lines_are_named() {
        let error = "# evemu 1.3\nN: pad\nE: 0.000001 0001 zz 1\n".parse::<Recording>().unwrap_err();
        assert_eq!(error.line, 3);
        for wrong in ["E:", "E: 1 1 1 1", "E: 0.1 1 1 1", "E: 0.000001 1 1", "E: 0.000001 1 1 1 1"] {
            assert!(wrong.parse::<Recording>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "(E: ?[0-9a-f. #-]{0,40}\n|.{0,20}\n){0,8}") {
            let _ = text.parse::<Recording>();
        }
    }
}
