//! What the events of one transaction change in the sums, gathered in memory and written once at the end: a batch of a
//! morning touches the same cases, windows and cells again and again. Never outlives its transaction; what it read is as
//! that transaction sees it.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use control_protocol::{CaseId, HallId, StoredEvent, WindowId};
use jiff::{civil::Date, tz::TimeZone};

use super::{
    presence::{self, Hours},
    quarter::Loads,
    tables,
    visit::{self, Visit},
};
use crate::store::{Sql, StoreError};

/// The sums as a transaction will leave them; [`Gathered::write`] must be called before it is committed.
#[derive(Default)]
#[must_use = "what is gathered counts only when it is written"]
pub struct Gathered {
    zones: HashMap<HallId, TimeZone>,
    cases: BTreeMap<CaseId, Changed<Visit>>,
    windows: BTreeMap<(WindowId, Date), Changed<Hours>>,
    /// What changes by an event alone, whatever else is known of its case or window.
    alone: BTreeMap<HallId, Loads>,
}

/// The steps of a case or of a window's day, with what they came to before.
struct Changed<T> {
    hall: HallId,
    before: Loads,
    steps: T,
}

impl Gathered {
    /// Takes what concerns the sums from an event. Its case, if any, is no test.
    ///
    /// # Errors
    /// The store's.
    pub fn take(&mut self, sql: &mut dyn Sql, stored: &StoredEvent) -> Result<(), StoreError> {
        let event = &stored.event;
        if let (Some(case), Some(step)) = (&event.case, visit::Step::of(event)) {
            let zone = self.zone(sql, &event.hall)?;
            let changed = match self.cases.entry(*case) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let steps = tables::visit(sql, case)?;
                    place.insert(Changed { hall: event.hall.clone(), before: steps.loads(&zone), steps })
                }
            };
            changed.steps.add(step);
        } else if let (Some(window), Some(step)) = (&event.window, presence::Step::of(event)) {
            let zone = self.zone(sql, &event.hall)?;
            let day = step.day(&zone);
            let changed = match self.windows.entry((window.clone(), day)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let steps = tables::hours(sql, window, day)?;
                    let before = steps.loads(window.as_str(), &zone, None);
                    place.insert(Changed { hall: event.hall.clone(), before, steps })
                }
            };
            changed.steps.add(step);
        }
        if visit::counts_alone(event) {
            let zone = self.zone(sql, &event.hall)?;
            self.alone.entry(event.hall.clone()).or_default().add(&visit::of_itself(event, &zone));
        }
        Ok(())
    }

    /// Writes what has been gathered, and nothing twice.
    ///
    /// # Errors
    /// The store's.
    pub fn write(self, sql: &mut dyn Sql) -> Result<(), StoreError> {
        let Self { zones, cases, windows, alone: mut halls } = self;
        let zone = |hall: &HallId| {
            zones
                .get(hall)
                .cloned()
                .ok_or_else(|| StoreError::Read(format!("the zone of {hall} is not known")))
        };
        for (case, Changed { hall, before, steps }) in cases {
            let change = steps.loads(&zone(&hall)?).since(&before);
            tables::put_visit(sql, &case, &steps)?;
            halls.entry(hall).or_default().add(&change);
        }
        for ((window, day), Changed { hall, before, steps }) in windows {
            let change = steps.loads(window.as_str(), &zone(&hall)?, None).since(&before);
            tables::put_hours(sql, &hall, &window, day, &steps)?;
            halls.entry(hall).or_default().add(&change);
        }
        for (hall, change) in halls {
            tables::add(sql, &hall, &change.without_zeros())?;
        }
        Ok(())
    }

    fn zone(&mut self, sql: &mut dyn Sql, hall: &HallId) -> Result<TimeZone, StoreError> {
        if let Some(zone) = self.zones.get(hall) {
            return Ok(zone.clone());
        }
        let zone = tables::zone_of(sql, hall)?;
        self.zones.insert(hall.clone(), zone.clone());
        Ok(zone)
    }
}
