//! Past readings, a JSON line each, through the same case session into the journal: days from before this agent stood
//! here. Their times are somebody else's word, and each event says so (`clock: reported`). A file is taken once.
//!
//! A line is `{"at":"2026-11-09T01:02:03.000Z","position":"450103-01-W07-keypad","fact":{…}}` with one of the facts
//! `{"kind":"key","address":1,"digits":"","key":"call"}`, `{"kind":"grade","address":1,"raw":4}`,
//! `{"kind":"ticket","number":"A001","business":"社保","waiting":3}`,
//! `{"kind":"punch","employee":"1001","verify":1,"state":0}`.

use std::{collections::HashMap, io::BufRead, sync::Arc};

use anyhow::{Context, bail};
use control_protocol::{
    Happening, PositionId, UtcMillis, WindowId,
    chain::Digest,
    event::{ClockQuality, Grade},
};
use device_drivers::reading::Key;
use serde::Deserialize;

use crate::{
    cases::{At, HallSession, Input, Press, SessionConfig, Tagged},
    config::Config,
    devices,
    journal::{Entry, Journal, Note, PunchKey, SerialFile},
};

/// The most readings of one file: it goes into the journal as a whole or not at all.
const MOST: u64 = 500_000;

#[derive(Deserialize)]
struct Line {
    at: UtcMillis,
    position: PositionId,
    fact: Fact,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fact {
    Key {
        #[serde(default)]
        digits: String,
        key: String,
    },
    Grade {
        raw: u8,
    },
    Ticket {
        number: String,
        business: String,
        waiting: Option<u32>,
    },
    Punch {
        employee: String,
        #[serde(default)]
        verify: u8,
        #[serde(default)]
        state: u8,
    },
}

fn key(name: &str) -> Option<Key> {
    Some(match name {
        "start" => Key::Start,
        "evaluate" => Key::Evaluate,
        "call" => Key::Call,
        "recall" => Key::Recall,
        "cancel" => Key::Cancel,
        "function" => Key::Function,
        "metre" => Key::Metre,
        "pause" => Key::Pause,
        "transfer" => Key::Transfer,
        _ => return None,
    })
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines read.
    pub readings: u64,
    /// Events written.
    pub events: u64,
    /// Lines that changed nothing: a key without meaning, a call with nobody waiting.
    pub without_effect: u64,
}

struct Import<'a> {
    config: &'a Config,
    journal: &'a Journal,
    session: HallSession,
    serials: SerialFile,
    windows: HashMap<String, WindowId>,
    grades: HashMap<String, std::collections::BTreeMap<u8, u8>>,
    boot: Arc<str>,
    pending: Vec<Entry>,
    done: Imported,
}

fn moment(at: UtcMillis) -> At {
    At { utc: at, mono_us: at.0.saturating_mul(1000) }
}

impl Import<'_> {
    fn entry(&self, event: Tagged) -> Entry {
        Entry {
            at: event.at.utc,
            mono_us: 0,
            boot: self.boot.clone(),
            clock: ClockQuality::Reported,
            window: event.window,
            device: event.device,
            case: event.case,
            happening: event.happening,
            once: None,
        }
    }

    fn keep(&mut self, events: Vec<Tagged>) {
        for event in events {
            let entry = self.entry(event);
            self.pending.push(entry);
        }
    }

    fn take(&mut self, line: Line) -> anyhow::Result<()> {
        self.done.readings += 1;
        let position = line.position.as_str();
        let window = self.windows.get(position).cloned();
        let at_window =
            || window.clone().with_context(|| format!("{position} is not a position at a window"));
        let input = match line.fact {
            Fact::Ticket { number, business, waiting } => Some(Input::Ticket { number, business, waiting }),
            Fact::Grade { raw } => {
                let grade = self.grades.get(position).and_then(|map| map.get(&raw)).copied();
                let press = Press::Grade { raw, grade: grade.and_then(Grade::new) };
                Some(Input::Window { window: at_window()?, press })
            }
            Fact::Key { digits, key: name } => {
                let key = key(&name).with_context(|| format!("`{name}` is not a key"))?;
                let window = at_window()?;
                devices::press(&self.config.keys, &digits, key).map(|press| Input::Window { window, press })
            }
            Fact::Punch { employee, verify, state } => {
                let once = PunchKey {
                    position: line.position.clone(),
                    employee: employee.clone(),
                    punched_at: UtcMillis(line.at.0.div_euclid(1000) * 1000),
                };
                let punched_at = once.punched_at;
                let happening = Happening::PunchRecorded { employee, punched_at, verify, state, live: false };
                let device = Some(position.to_owned());
                let event = Tagged { at: moment(line.at), window: None, device, case: None, happening };
                let entry = Entry { once: Some(once), ..self.entry(event) };
                self.pending.push(entry);
                return Ok(());
            }
        };
        let Some(input) = input else {
            self.done.without_effect += 1;
            return Ok(());
        };
        let taken = self.session.take(&input, Some(position), moment(line.at), &mut self.serials)?;
        self.done.without_effect += u64::from(taken.ignored.is_some());
        self.keep(taken.events);
        Ok(())
    }
}

/// Takes the readings of `content` (the whole file) to the record. `now` bounds what may be said to have ended.
///
/// # Errors
/// A line that cannot be read (with its number), a file that was taken before or is too long, the journal's errors. Then
/// nothing of the file has been taken.
pub async fn import(
    config: &Config,
    journal: &Journal,
    serials: SerialFile,
    content: &[u8],
    now: UtcMillis,
) -> anyhow::Result<Imported> {
    let digest = Digest::of(content);
    if journal.import_known(digest).await? {
        bail!("this file was imported before");
    }
    let windows = config.position_windows().into_iter();
    let grades = config.devices().filter_map(|d| Some((d.position.to_string(), d.grades?.0)));
    let mut import = Import {
        config,
        journal,
        session: HallSession::new(SessionConfig::from(config)),
        serials,
        windows: windows.map(|(position, window)| (position.to_string(), window)).collect(),
        grades: grades.collect(),
        boot: "import".into(),
        pending: Vec::new(),
        done: Imported::default(),
    };
    let mut last = None;
    for (i, line) in content.lines().enumerate() {
        let line = line.with_context(|| format!("line {}", i + 1))?;
        if line.trim().is_empty() {
            continue;
        }
        let read: Line = serde_json::from_str(&line).with_context(|| format!("line {}", i + 1))?;
        if read.at > now {
            bail!("line {}: {} is yet to come", i + 1, read.at);
        }
        last = last.max(Some(read.at));
        import.take(read).with_context(|| format!("line {}", i + 1))?;
        if import.done.readings > MOST {
            bail!("more than {MOST} readings: split the file, by months for example");
        }
    }
    if let Some(last) = last {
        let end = import.session.day_end(moment(last)).utc.min(now);
        let events = import.session.tick(moment(end));
        import.keep(events);
    }
    let entries = std::mem::take(&mut import.pending);
    import.done.events = import.journal.append_noting(entries, Some(Note::Imported(digest))).await? as u64;
    Ok(import.done)
}
