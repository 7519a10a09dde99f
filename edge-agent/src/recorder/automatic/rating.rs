//! The footage of a bad rating: its window's cameras from before the call to after the rating. Pure. The hold of a case has
//! one name, so that reading an event twice holds once.

use std::collections::HashMap;

use control_protocol::{CameraId, CaseId, Event, Happening, WindowId};

use super::{DAY_MS, Hold, HoldKind};

/// This grade and lower ones.
const BAD: u8 = 2;
/// How far back the call of a rated case is looked for.
pub(super) const LONGEST_CASE_MS: i64 = 6 * 3_600_000;
/// Held before the call and after the rating.
const AROUND_MS: i64 = 60_000;
/// Held before a rating whose call is not found.
const WITHOUT_CALL_MS: i64 = 30 * 60_000;

/// The name of the hold that an event calls for; none where it is no bad rating.
pub(super) fn name_of(event: &Event) -> Option<String> {
    let Happening::RatingGiven { grade, .. } = &event.happening else { return None };
    event.window.as_ref()?;
    let case = event.case.as_ref()?;
    (grade.value() <= BAD).then(|| name(case))
}

/// The footage of a bad rating: none for any other event. `before` are events of the time before it.
pub(super) fn hold_of(
    event: &Event,
    before: &[Event],
    cameras: &HashMap<WindowId, Vec<CameraId>>,
    hold_days: u32,
) -> Option<Hold> {
    let Happening::RatingGiven { grade, ticket, .. } = &event.happening else { return None };
    let (window, case) = (event.window.as_ref()?, event.case.as_ref()?);
    if grade.value() > BAD {
        return None;
    }
    let cameras = cameras.get(window)?.clone();
    let called = before
        .iter()
        .filter(|e| e.case.as_ref() == Some(case) && e.window.as_ref() == Some(window) && e.at <= event.at)
        .filter(|e| matches!(e.happening, Happening::TicketCalled { .. } | Happening::ServiceStarted { .. }))
        .map(|e| e.at.0)
        .min();
    let from = called.map_or(event.at.0 - WITHOUT_CALL_MS, |called| called - AROUND_MS);
    Some(Hold {
        id: name(case),
        kind: HoldKind::Rating,
        reason: format!("ticket {ticket} was rated {}", grade.value()),
        placed_by: None,
        case: Some(case.to_string()),
        cameras,
        from_us: from * 1000,
        to_us: (event.at.0 + AROUND_MS) * 1000,
        placed_us: event.at.0 * 1000,
        until_us: Some((event.at.0 + i64::from(hold_days) * DAY_MS) * 1000),
        released_us: None,
    })
}

fn name(case: &CaseId) -> String {
    format!("rating-{case}")
}

#[cfg(test)]
mod tests {
    use control_protocol::{
        UtcMillis,
        chain::Digest,
        event::{ClockQuality, Grade},
    };

    use super::*;

    fn event(at: i64, case: Option<u32>, happening: Happening) -> Event {
        let hall = "450103-01".parse().unwrap();
        Event {
            node: "hall-450103-01".parse().unwrap(),
            epoch: 1,
            seq: 1,
            prev: Digest::ZERO,
            at: UtcMillis(at),
            mono_us: 0,
            boot: "b".into(),
            clock: ClockQuality::Synchronised,
            window: Some("450103-01-W07".parse().unwrap()),
            device: None,
            case: case.map(|n| CaseId::new(&hall, jiff::civil::date(2026, 11, 22), n).unwrap()),
            hall,
            happening,
            v: 1,
        }
    }

    #[test]
    fn a_bad_rating_holds_its_window_from_the_call() {
        let at = 1_795_000_000_000;
        let rated = |grade| Happening::RatingGiven {
            ticket: "A001".into(),
            grade: Grade::new(grade).unwrap(),
            raw: 1,
        };
        let call =
            || Happening::TicketCalled { ticket: "A001".into(), business: "社保".into(), by_number: false };
        let before = [event(at - 900_000, Some(2), call()), event(at - 600_000, Some(1), call())];
        let camera: CameraId = "450103-01-W07-C1".parse().unwrap();
        let cameras = HashMap::from([("450103-01-W07".parse().unwrap(), vec![camera.clone()])]);
        let hold = hold_of(&event(at, Some(1), rated(2)), &before, &cameras, 180).unwrap();
        assert_eq!((hold.from_us, hold.to_us), ((at - 660_000) * 1000, (at + 60_000) * 1000));
        assert_eq!((hold.kind, hold.cameras), (HoldKind::Rating, vec![camera]));
        assert_eq!(hold.until_us, Some((at + 180 * DAY_MS) * 1000));
        let without = hold_of(&event(at, Some(1), rated(1)), &[], &cameras, 180).unwrap();
        assert_eq!(without.from_us, (at - WITHOUT_CALL_MS) * 1000);
        assert!(hold_of(&event(at, Some(1), rated(3)), &before, &cameras, 180).is_none());
        assert!(hold_of(&event(at, None, rated(1)), &before, &cameras, 180).is_none());
        assert!(hold_of(&event(at, Some(1), call()), &before, &cameras, 180).is_none());
        assert!(hold_of(&event(at, Some(1), rated(1)), &before, &HashMap::new(), 180).is_none());
    }
}
