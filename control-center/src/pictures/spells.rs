//! Whether a window's seat was taken, over some time: what its cameras said, in spells. Pure but for the reading. Nobody
//! speaking, and a camera that cannot tell, are unknown and never empty; of several cameras whoever saw somebody is believed.

use std::collections::BTreeMap;

use control_protocol::{CameraId, Event, HallId, Happening, UtcMillis, WindowId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    params,
    recordings::timeline::TROUBLE,
    store::{Sql, StoreError},
};

/// What a camera said before the time asked about still counts for so long: a camera says where it stands at every start of
/// its hall's program and whenever it changes.
const REACH_MS: i64 = 24 * 3_600_000;
/// The most events that are read; a seat changes a few hundred times a day.
const MOST: i64 = 50_000;

/// A stretch of time in which a seat stayed as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeatSpell {
    /// The window.
    #[schema(value_type = String)]
    pub window: WindowId,
    /// `occupied`, `empty` or `unknown`.
    #[schema(example = "occupied")]
    pub seat: &'static str,
    /// Why it is unknown: as of a seat now, or `nothing_said` where no camera spoke, or `hall_offline`.
    pub why: Option<String>,
    /// From when.
    #[schema(value_type = String)]
    pub from: UtcMillis,
    /// Until when.
    #[schema(value_type = String)]
    pub until: UtcMillis,
}

/// What one camera said at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    at: UtcMillis,
    camera: CameraId,
    seat: &'static str,
    why: Option<String>,
}

fn word(seat: &str) -> &'static str {
    match seat {
        "occupied" => "occupied",
        "empty" => "empty",
        // A word that a newer edge may know is not taken for empty.
        _ => "unknown",
    }
}

/// The spells of the seats of `windows` from `from` to `to`. After `known_to` nothing has been heard of the hall.
///
/// # Errors
/// The store's.
pub fn seat_spells(
    sql: &mut dyn Sql,
    hall: &HallId,
    windows: &[WindowId],
    (from, to): (UtcMillis, UtcMillis),
    known_to: UtcMillis,
) -> Result<Vec<SeatSpell>, StoreError> {
    if windows.is_empty() || from >= to {
        return Ok(Vec::new());
    }
    let statement = format!(
        "SELECT bytes FROM events WHERE hall = $1 AND at >= $2 AND at < $3 AND {TROUBLE} \
         AND kind IN ('seat.changed', 'camera.down') AND projected = 1 ORDER BY at, n LIMIT $4",
    );
    let mut said: BTreeMap<&WindowId, Vec<Said>> =
        windows.iter().map(|window| (window, Vec::new())).collect();
    for row in sql.query(&statement, params![hall, from.plus(-REACH_MS), to, MOST])? {
        let bytes: Vec<u8> = row.get(0)?;
        let Ok(event) = serde_json::from_slice::<Event>(&bytes) else { continue };
        let (Some(window), Some(camera)) =
            (&event.window, event.device.as_deref().and_then(|device| device.parse().ok()))
        else {
            continue;
        };
        let (seat, why) = match &event.happening {
            Happening::SeatChanged { seat, why, .. } => (word(seat), why.clone()),
            _ => ("unknown", Some("no_picture".into())),
        };
        if let Some(of_window) = said.get_mut(window) {
            of_window.push(Said { at: event.at, camera, seat, why });
        }
    }
    let mut spells = Vec::new();
    for (window, said) in said {
        spells.append(&mut of_window(window, &said, (from, to), known_to));
    }
    Ok(spells)
}

fn of_window(
    window: &WindowId,
    said: &[Said],
    (from, to): (UtcMillis, UtcMillis),
    known_to: UtcMillis,
) -> Vec<SeatSpell> {
    let mut spells: Vec<SeatSpell> = Vec::new();
    let mut put = |begin: UtcMillis, end: UtcMillis, (seat, why): (&'static str, Option<String>)| {
        let (begin, end) = (begin.max(from), end.min(to));
        if begin >= end {
            return;
        }
        match spells.last_mut() {
            Some(last) if last.seat == seat && last.why == why => last.until = end,
            _ => spells.push(SeatSpell { window: window.clone(), seat, why, from: begin, until: end }),
        }
    };
    let known_to = known_to.min(to);
    let mut cameras: BTreeMap<&CameraId, (&'static str, Option<String>)> = BTreeMap::new();
    let mut at = from;
    for word in said.iter().filter(|word| word.at < known_to) {
        put(at, word.at, whole(&cameras));
        at = at.max(word.at);
        cameras.insert(&word.camera, (word.seat, word.why.clone()));
    }
    put(at, known_to, whole(&cameras));
    put(known_to.max(from), to, ("unknown", Some("hall_offline".into())));
    spells
}

/// What the cameras of a window say together.
fn whole(cameras: &BTreeMap<&CameraId, (&'static str, Option<String>)>) -> (&'static str, Option<String>) {
    let of = |wanted: &str| cameras.values().find(|(seat, _)| *seat == wanted).cloned();
    let nothing = || ("unknown", Some("nothing_said".into()));
    of("occupied").or_else(|| of("empty")).or_else(|| of("unknown")).unwrap_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn said(hour: i64, camera: u8, seat: &'static str, why: Option<&str>) -> Said {
        let camera = format!("450103-01-W01-C{camera}").parse().unwrap();
        Said { at: UtcMillis(hour * HOUR), camera, seat, why: why.map(str::to_owned) }
    }

    fn spells(said: &[Said], known_to: i64) -> Vec<(i64, i64, &'static str, String)> {
        let window = "450103-01-W01".parse().unwrap();
        let day = (UtcMillis(8 * HOUR), UtcMillis(18 * HOUR));
        let found = of_window(&window, said, day, UtcMillis(known_to * HOUR));
        let of = |spell: SeatSpell| {
            (spell.from.0 / HOUR, spell.until.0 / HOUR, spell.seat, spell.why.unwrap_or_default())
        };
        found.into_iter().map(of).collect()
    }

    #[test]
    fn nobody_speaking_is_unknown_and_never_empty() {
        assert_eq!(spells(&[], 24), [(8, 18, "unknown", "nothing_said".into())]);
        assert_eq!(
            spells(&[said(9, 1, "empty", None), said(12, 1, "unknown", Some("dark"))], 24),
            [
                (8, 9, "unknown", "nothing_said".into()),
                (9, 12, "empty", String::new()),
                (12, 18, "unknown", "dark".into())
            ]
        );
    }

    #[test]
    fn what_was_said_before_counts_and_a_hall_that_is_away_is_unknown() {
        assert_eq!(
            spells(&[said(7, 1, "occupied", None), said(15, 1, "empty", None)], 14),
            [(8, 14, "occupied", String::new()), (14, 18, "unknown", "hall_offline".into())]
        );
        assert_eq!(spells(&[said(7, 1, "empty", None)], 6), [(8, 18, "unknown", "hall_offline".into())]);
    }

    #[test]
    fn whoever_sees_somebody_is_believed() {
        let said = [
            said(8, 1, "empty", None),
            said(8, 2, "unknown", Some("blocked")),
            said(10, 2, "occupied", None),
            said(11, 1, "unknown", Some("no_picture")),
            said(12, 2, "unknown", Some("blocked")),
        ];
        let found = spells(&said, 24);
        assert_eq!(
            found,
            [
                (8, 10, "empty", String::new()),
                (10, 12, "occupied", String::new()),
                (12, 18, "unknown", "no_picture".into())
            ]
        );
        assert_eq!(word("reclining"), "unknown");
    }
}
