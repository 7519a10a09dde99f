//! What stands where and how it is, as of now: shared by the register (which fills it from readings), the supervisor (which
//! says what can be shown at a window) and everybody who shows it. It holds the moment only; what must last is in the
//! journal and in the positions' own file.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use control_protocol::{CaseId, Happening, UtcMillis, WindowId};
use device_drivers::reading::ReportValue;
use serde::Serialize;
use tokio::sync::watch;

use super::{DeviceHealth, panel::Panel, tickets::Printer};
use crate::connection::Role;

/// Numbers that are kept of one device's reports.
const NUMBERS: usize = 64;
/// Live readings that are kept.
const LIVE: usize = 500;

/// What the register must know of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The window it stands at.
    pub window: Option<WindowId>,
    /// What it does there.
    pub role: Role,
    /// For an evaluator: a person has confirmed what its keys mean. Others need none.
    pub confirmed: bool,
}

/// How a position's device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// As last told by its driver; none: nothing heard of it yet.
    pub health: Option<DeviceHealth>,
    /// Why it is down, in plain words.
    pub why: Option<String>,
    /// Since when it is so.
    pub since: UtcMillis,
    /// Unreadable frames in a minute, while degraded.
    pub bad_frames_per_minute: Option<u32>,
    /// Its clock minus the hall's, seconds.
    pub clock_offset_s: Option<i64>,
    /// When it last said something.
    pub last_reading_at: Option<UtcMillis>,
    /// Presses refused because its grade map is not confirmed.
    pub refused: u64,
    /// The last number of each report that its profile names, by report and value.
    pub numbers: BTreeMap<(String, String), u64>,
}

/// A reading or a change of health, for people who watch a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Its number, from 1 since the agent started.
    pub n: u64,
    /// When it arrived.
    pub at: UtcMillis,
    /// The position; for a device that is only listened for, its tag.
    pub position: String,
    /// What it said.
    #[serde(flatten)]
    pub said: Said,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields of `Fact`, as docs/reference/pairing.md has them
pub enum Said {
    Grade { raw: String, grade: Option<u8> },
    Key { key: String, digits: String },
    Ticket { number: String, business: String, waiting: Option<u32> },
    Punch { verify: u8, state: u8, live: bool },
    Report { name: String },
    Health { state: String, why: Option<String> },
}

struct Inner {
    places: BTreeMap<String, Place>,
    presence: BTreeMap<String, Presence>,
    tests: HashMap<String, CaseId>,
    panels: HashMap<Option<WindowId>, Panel>,
    printers: Vec<Printer>,
    live: VecDeque<Live>,
    n: u64,
}

/// The board. Clones are the same board.
#[derive(Clone)]
pub struct Switchboard {
    inner: Arc<Mutex<Inner>>,
    latest: Arc<watch::Sender<u64>>,
}

impl Default for Switchboard {
    fn default() -> Self {
        let inner = Inner {
            places: BTreeMap::new(),
            presence: BTreeMap::new(),
            tests: HashMap::new(),
            panels: HashMap::new(),
            printers: Vec::new(),
            live: VecDeque::new(),
            n: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)), latest: Arc::new(watch::Sender::new(0)) }
    }
}

impl Switchboard {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what stands where; presence of what stays is kept.
    pub fn set_places(&self, places: BTreeMap<String, Place>, now: UtcMillis) {
        let mut inner = self.lock();
        inner.presence.retain(|id, _| places.contains_key(id));
        for id in places.keys() {
            inner.presence.entry(id.clone()).or_insert(Presence {
                health: None,
                why: None,
                since: now,
                bad_frames_per_minute: None,
                clock_offset_s: None,
                last_reading_at: None,
                refused: 0,
                numbers: BTreeMap::new(),
            });
        }
        inner.tests.retain(|id, _| places.contains_key(id));
        inner.places = places;
    }

    /// Says what can be shown and spoken at windows, and (without a window) in the hall at large.
    pub fn set_panels(&self, panels: HashMap<Option<WindowId>, Panel>) {
        self.lock().panels = panels;
    }

    /// Tells the devices of a window, and those of the hall, what has been decided there.
    pub(crate) fn tell(&self, window: &WindowId, happening: &Happening, number: u16, waiting: usize) {
        let (own, hall) = {
            let inner = self.lock();
            (inner.panels.get(&Some(window.clone())).cloned(), inner.panels.get(&None).cloned())
        };
        if let Some(own) = own {
            own.tell(happening, number, waiting);
        }
        if let Some(hall) = hall {
            hall.tell_hall(happening, number, waiting);
        }
    }

    /// Says which ticket printers of ours there are.
    /// What can be told something at a window, or in the hall at large.
    pub(crate) fn panel(&self, window: Option<&WindowId>) -> Option<Panel> {
        self.lock().panels.get(&window.cloned()).cloned()
    }

    pub(crate) fn set_printers(&self, printers: Vec<Printer>) {
        self.lock().printers = printers;
    }

    /// The ticket printers of ours.
    pub(crate) fn printers(&self) -> Vec<Printer> {
        self.lock().printers.clone()
    }

    /// What stands at a position.
    pub fn place(&self, position: &str) -> Option<Place> {
        self.lock().places.get(position).cloned()
    }

    /// How every position's device is.
    pub fn presence(&self) -> BTreeMap<String, (Place, Presence)> {
        let inner = self.lock();
        let both = |(id, place): (&String, &Place)| {
            Some((id.clone(), (place.clone(), inner.presence.get(id)?.clone())))
        };
        inner.places.iter().filter_map(both).collect()
    }

    /// Takes a driver's word on a device's health; tells whether it is another than before.
    pub(crate) fn health(
        &self,
        position: &str,
        health: DeviceHealth,
        why: Option<String>,
        bad_frames_per_minute: Option<u32>,
        at: UtcMillis,
    ) -> bool {
        let mut inner = self.lock();
        let Some(presence) = inner.presence.get_mut(position) else { return true };
        let changed = presence.health != Some(health);
        if changed {
            presence.since = at;
        }
        presence.health = Some(health);
        presence.why = why.clone();
        presence.bad_frames_per_minute = bad_frames_per_minute;
        let shown = changed && inner.tests.contains_key(position);
        drop(inner);
        if shown {
            self.say(position, at, Said::Health { state: health.name().to_owned(), why });
        }
        changed
    }

    pub(crate) fn clock_offset(&self, position: &str, seconds: i64) {
        if let Some(presence) = self.lock().presence.get_mut(position) {
            presence.clock_offset_s = Some(seconds);
        }
    }

    pub(crate) fn spoke(&self, position: &str, at: UtcMillis) {
        if let Some(presence) = self.lock().presence.get_mut(position) {
            presence.last_reading_at = Some(at);
        }
    }

    /// Takes a report's numbers.
    pub(crate) fn report(&self, position: &str, report: &str, values: &BTreeMap<String, ReportValue>) {
        let mut inner = self.lock();
        let Some(presence) = inner.presence.get_mut(position) else { return };
        for (value, n) in values {
            let key = (report.to_owned(), value.clone());
            // The profile bounds the names; this bounds a profile.
            if let ReportValue::Number(n) = n
                && (presence.numbers.len() < NUMBERS || presence.numbers.contains_key(&key))
            {
                presence.numbers.insert(key, *n);
            }
        }
    }

    pub(crate) fn refuse(&self, position: &str) {
        if let Some(presence) = self.lock().presence.get_mut(position) {
            presence.refused += 1;
        }
    }

    /// Puts a position in test, or takes it out: what it says is of this case meanwhile.
    pub fn test(&self, position: &str, case: Option<CaseId>) {
        let mut inner = self.lock();
        match case {
            Some(case) => inner.tests.insert(position.to_owned(), case),
            None => inner.tests.remove(position),
        };
    }

    /// The test case of a position in test.
    pub fn in_test(&self, position: &str) -> Option<CaseId> {
        self.lock().tests.get(position).copied()
    }

    /// Shows something to those who watch.
    pub(crate) fn say(&self, position: &str, at: UtcMillis, said: Said) {
        let n = {
            let mut inner = self.lock();
            inner.n += 1;
            let n = inner.n;
            if inner.live.len() >= LIVE {
                inner.live.pop_front();
            }
            inner.live.push_back(Live { n, at, position: position.to_owned(), said });
            n
        };
        self.latest.send_replace(n);
    }

    /// What was shown after number `after`.
    pub fn live_after(&self, after: u64) -> Vec<Live> {
        self.lock().live.iter().filter(|live| live.n > after).cloned().collect()
    }

    /// The number of the latest, and a bell for the next.
    pub fn latest(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }
}
