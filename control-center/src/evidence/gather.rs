//! What the centre knows of a case, for its package: facts, events with their places in the hall's journal, the recordings
//! the hall has told of, clocks. Reads the record of events; everything else through other rooms' functions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use control_protocol::{
    CameraId, CaseId, Digest, HallId, StoredEvent, UtcMillis, WindowId, event::Happening, footage::least,
};

use super::{
    manifest::{
        CameraFacts, CaseFacts, Chain, ClockStep, Clocks, DeviceClock, EventPlace, Sealed, Span, Stretch,
    },
    pack::Wanted,
    verify::MAX_STRETCHES,
};
use crate::{
    access::{Action, Denied, Person, Place, may},
    areas, cases, params, recordings,
    site::problem::Problem,
    store::{Row, Sql, StoreError},
};

/// Events of a journal that lie between two of the package and whose digests are written down as well; beyond it another
/// stretch begins.
const BETWEEN: u64 = 5_000;
/// The most recordings of one package.
const MOST_RECORDINGS: usize = 5_000;
/// The most stills of one package.
const MOST_STILLS: usize = 60;
/// What else belongs to the evidence where it happened meanwhile: it says how far pictures and times can be relied on.
const MEANWHILE: &str = "kind IN ('node.clock_stepped', 'node.started', 'device.clock_offset', 'camera.up', 'camera.down', \
     'picture.fault', 'recording.gap')";

/// What is exported.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) case: CaseFacts,
    pub(super) span: Span,
    pub(super) cameras: Vec<CameraFacts>,
}

/// The case, if `person` may export it, and the cameras that looked at it: those of `only` where that is given.
pub(super) fn subject(
    sql: &mut dyn Sql,
    person: &Person,
    case: CaseId,
    only: Option<&[CameraId]>,
    now: UtcMillis,
) -> Result<Subject, Problem> {
    let row = cases::row(sql, case)?.ok_or(Denied::Outside)?;
    let hall: HallId = row.hall.parse().map_err(|_| Denied::Outside)?;
    let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
    may(person, Action::ExportEvidence, &place)?;
    let looked = recordings::cameras_of_case(sql, person, case, now)?;
    let mut cameras: Vec<CameraFacts> = looked
        .into_iter()
        .map(|looked| CameraFacts {
            camera: looked.camera,
            name: looked.name,
            window: Some(looked.window),
            span: Span { from: looked.from, to: looked.to.min(now) },
        })
        .collect();
    if let Some(only) = only {
        if let Some(other) = only.iter().find(|id| cameras.iter().all(|camera| camera.camera != **id)) {
            let has: Vec<&str> = cameras.iter().map(|camera| camera.camera.as_str()).collect();
            return Err(Problem::unprocessable(format!(
                "{other} is no camera of this case; it has {}",
                if has.is_empty() { "none".to_owned() } else { has.join(", ") }
            )));
        }
        cameras.retain(|camera| only.contains(&camera.camera));
    }
    // A package is read by camera.
    cameras.sort_by(|a, b| a.camera.cmp(&b.camera).then(a.span.from.cmp(&b.span.from)));
    let from = cameras.iter().map(|camera| camera.span.from).min().unwrap_or(row.opened_at);
    let to = cameras.iter().map(|camera| camera.span.to).max().unwrap_or(row.closed_at.unwrap_or(now));
    let hall_name = sql
        .query_one("SELECT name FROM halls WHERE id = $1", params![hall])?
        .map_or(Ok(String::new()), |row| row.get(0))?;
    let window: Option<WindowId> = row.window.as_deref().and_then(|window| window.parse().ok());
    let case = CaseFacts {
        case_id: case,
        hall,
        hall_name,
        window,
        ticket: row.ticket,
        business: row.business,
        official_no: row.official_no,
        state: row.state,
        grade: row.grade,
        opened_at: row.opened_at,
        called_at: row.called_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
        closed_at: row.closed_at,
        accurate: row.accurate,
    };
    Ok(Subject { case, span: Span { from, to }, cameras })
}

/// The recordings of the case's cameras that touch its time, as the hall has told of them; each once.
pub(super) fn wanted(sql: &mut dyn Sql, cameras: &[CameraFacts]) -> Result<Vec<Wanted>, StoreError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for facts in cameras {
        for told in recordings::sealed(sql, &facts.camera, facts.span.from, facts.span.to)? {
            if found.len() < MOST_RECORDINGS && seen.insert(told.segment.clone()) {
                found.push(Wanted {
                    camera: facts.camera.clone(),
                    segment: told.segment,
                    from: told.from,
                    to: told.to,
                    sealed: Sealed {
                        sha256: told.sha256,
                        event: EventPlace { node: told.node, epoch: told.epoch, seq: told.seq },
                        received_at: told.received_at,
                    },
                });
            }
        }
    }
    Ok(found)
}

/// A moment of the case, to be shown by a still.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) camera: CameraId,
    pub(super) at: UtcMillis,
    /// The kind of the event.
    pub(super) shows: String,
}

/// The moments of a case at its windows: called, service begun and ended, rated; as their cameras saw them.
fn moments<'a>(cameras: &[CameraFacts], events: impl Iterator<Item = &'a StoredEvent>) -> Vec<Moment> {
    let mut found = Vec::new();
    for stored in events {
        let event = &stored.event;
        let shown = matches!(
            event.happening,
            Happening::TicketCalled { .. }
                | Happening::ServiceStarted { .. }
                | Happening::ServiceEnded { .. }
                | Happening::RatingGiven { .. }
        );
        let looking = cameras.iter().filter(|facts| {
            facts.window == event.window && event.at >= facts.span.from && event.at <= facts.span.to
        });
        for facts in looking.filter(|_| shown) {
            found.push(Moment {
                camera: facts.camera.clone(),
                at: event.at,
                shows: event.happening.kind().to_owned(),
            });
        }
    }
    found.sort_by(|a, b| a.camera.cmp(&b.camera).then(a.at.cmp(&b.at)));
    found.truncate(MOST_STILLS);
    found
}

/// Events of a package and what they say.
pub(super) struct Record {
    pub(super) moments: Vec<Moment>,
    pub(super) events: Vec<Bytes>,
    pub(super) chain: Chain,
    pub(super) clocks: Clocks,
}

/// The case's events, those that seal `wanted`, and what else happened meanwhile to its cameras and clocks; with their
/// places in the journal.
pub(super) fn record(
    sql: &mut dyn Sql,
    subject: &Subject,
    wanted: &[Wanted],
    hall_ahead_ms: Option<i64>,
) -> Result<Record, StoreError> {
    let case = subject.case.case_id;
    let mut events: BTreeMap<EventPlace, StoredEvent> = BTreeMap::new();
    let rows = sql.query("SELECT bytes FROM events WHERE case_id = $1 AND projected = 1", params![case])?;
    for row in &rows {
        keep(&mut events, row)?;
    }
    let moments = moments(&subject.cameras, events.values());
    let least = events.values().map(|stored| stored.event.clock).reduce(least);
    for one in wanted {
        let EventPlace { node, epoch, seq } = &one.sealed.event;
        let statement = "SELECT bytes FROM events WHERE node = $1 AND epoch = $2 AND seq = $3";
        if let Some(row) = sql.query_one(statement, params![node, epoch, seq])? {
            keep(&mut events, &row)?;
        }
    }
    let mut stretches = stretches(events.keys());
    for stretch in &stretches {
        let last = stretch.first + stretch.length.saturating_sub(1);
        let rows = sql.query(
            &format!(
                "SELECT bytes FROM events WHERE node = $1 AND epoch = $2 AND seq >= $3 AND seq <= $4 AND projected = 1 \
                 AND {MEANWHILE}"
            ),
            params![stretch.node, stretch.epoch, stretch.first, last],
        )?;
        for row in &rows {
            let stored = open(row)?;
            let concerns = match &stored.event.device {
                None => true,
                Some(device) => {
                    subject.cameras.iter().any(|facts| facts.camera.as_str() == device)
                        || matches!(stored.event.happening, Happening::DeviceClockOffset { .. })
                }
            };
            if concerns {
                events.insert(place(&stored), stored);
            }
        }
    }
    let mut chain = Chain { stretches: Vec::new() };
    for stretch in stretches.drain(..) {
        chain.stretches.extend(digests(sql, &stretch)?);
    }
    let span = subject.span;
    let mut steps: Vec<ClockStep> = Vec::new();
    for stored in events.values() {
        if let Happening::NodeClockStepped { step_ms } = stored.event.happening
            && stored.event.at >= span.from
            && stored.event.at <= span.to
        {
            steps.push(ClockStep { at: stored.event.at, step_ms });
        }
    }
    let devices = areas::device_clocks(sql, &subject.case.hall)?
        .into_iter()
        .map(|(device, ahead_s)| DeviceClock { device, ahead_s })
        .collect();
    let clocks = Clocks { hall_ahead_ms, least, steps, devices };
    let mut in_order: Vec<StoredEvent> = events.into_values().collect();
    in_order.sort_by_key(|stored| (stored.event.at, stored.event.epoch, stored.event.seq));
    Ok(Record { moments, events: in_order.into_iter().map(|stored| stored.bytes).collect(), chain, clocks })
}

fn open(row: &Row) -> Result<StoredEvent, StoreError> {
    let bytes: Vec<u8> = row.get(0)?;
    StoredEvent::open(bytes.into()).map_err(|error| StoreError::Read(error.to_string()))
}

fn place(stored: &StoredEvent) -> EventPlace {
    let event = &stored.event;
    EventPlace { node: event.node.clone(), epoch: event.epoch, seq: event.seq }
}

fn keep(events: &mut BTreeMap<EventPlace, StoredEvent>, row: &Row) -> Result<(), StoreError> {
    let stored = open(row)?;
    events.insert(place(&stored), stored);
    Ok(())
}

/// Numbers of a journal that follow each other.
#[derive(Debug, Clone, PartialEq)]
struct Numbers {
    node: control_protocol::NodeId,
    epoch: u64,
    first: u64,
    length: u64,
}

/// Stretches that hold all of `places`, which are in order; as few as may stand in a package.
fn stretches<'a>(places: impl Iterator<Item = &'a EventPlace> + Clone) -> Vec<Numbers> {
    let mut between = BETWEEN;
    loop {
        let mut found: Vec<Numbers> = Vec::new();
        for place in places.clone() {
            match found.last_mut() {
                Some(last)
                    if last.node == place.node
                        && last.epoch == place.epoch
                        && place.seq < last.first + last.length + between =>
                {
                    last.length = place.seq - last.first + 1;
                }
                _ => found.push(Numbers {
                    node: place.node.clone(),
                    epoch: place.epoch,
                    first: place.seq,
                    length: 1,
                }),
            }
        }
        if found.len() <= MAX_STRETCHES / 2 || between > u64::MAX / 8 {
            return found;
        }
        between *= 4;
    }
}

/// The digests of a stretch: of events, and of those that could not be read and are kept apart. Where one is missing another
/// stretch begins.
fn digests(sql: &mut dyn Sql, numbers: &Numbers) -> Result<Vec<Stretch>, StoreError> {
    let last = numbers.first + numbers.length.saturating_sub(1);
    let rows = sql.query(
        "SELECT seq, hash FROM events WHERE node = $1 AND epoch = $2 AND seq >= $3 AND seq <= $4 AND projected = 1 \
         UNION SELECT seq, digest FROM dead_events WHERE node = $1 AND epoch = $2 AND seq >= $3 AND seq <= $4 ORDER BY 1",
        params![numbers.node, numbers.epoch, numbers.first, last],
    )?;
    let mut found: Vec<Stretch> = Vec::new();
    for row in &rows {
        let (seq, digest): (u64, Digest) = (row.get(0)?, row.get(1)?);
        match found.last_mut() {
            Some(stretch) if stretch.first + stretch.sha256.len() as u64 == seq => {
                stretch.sha256.push(digest)
            }
            // One number with two digests is a quarantined journal's; the first stands.
            Some(stretch) if stretch.digest(seq).is_some() => {}
            _ => found.push(Stretch {
                node: numbers.node.clone(),
                epoch: numbers.epoch,
                first: seq,
                sha256: vec![digest],
            }),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(seqs: &[u64]) -> Vec<EventPlace> {
        let node: control_protocol::NodeId = "hall-450103-01".parse().unwrap();
        seqs.iter().map(|seq| EventPlace { node: node.clone(), epoch: 7, seq: *seq }).collect()
    }

    #[test]
    fn near_events_share_a_stretch_and_far_ones_do_not() {
        let found = stretches(places(&[3, 4, 900, 100_000, 100_001]).iter());
        let numbers: Vec<(u64, u64)> = found.iter().map(|n| (n.first, n.length)).collect();
        assert_eq!(numbers, [(3, 898), (100_000, 2)]);
        assert!(stretches([].iter()).is_empty());
    }

    #[test]
    fn there_are_never_more_stretches_than_a_package_may_have() {
        let far: Vec<u64> = (0..500).map(|n| 1 + n * 10_000).collect();
        let found = stretches(places(&far).iter());
        assert!(found.len() <= MAX_STRETCHES, "{}", found.len());
        assert!(far.iter().all(|seq| found.iter().any(|n| *seq >= n.first && *seq < n.first + n.length)));
    }
}
