//! What the halls say of their footage, as rows: sealed segments with their digests, gaps, and what became of holds.

use control_protocol::{CameraId, Happening, StoredEvent};

use crate::{
    params,
    store::{Sql, StoreError},
};

/// The longest name of a segment that is kept.
const LONGEST_NAME: usize = 200;

/// Takes what concerns recordings from an event.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent) -> Result<(), StoreError> {
    let event = &stored.event;
    match &event.happening {
        Happening::RecordingSealed { segment, from, to, sha256 } => {
            let Some(camera) = camera(stored) else { return Ok(()) };
            if segment.len() > LONGEST_NAME || to < from {
                tracing::warn!(node = %event.node, seq = event.seq, "a sealed segment makes no sense and is left out");
                return Ok(());
            }
            sql.execute(
                "INSERT INTO recording_segments (camera, from_at, segment, to_at, hall, sha256, node, epoch, seq) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (camera, from_at, segment) DO NOTHING",
                params![camera, from, segment, to, event.hall, sha256, event.node, event.epoch, event.seq],
            )?;
        }
        Happening::RecordingGap { from, to, why } => {
            let Some(camera) = camera(stored) else { return Ok(()) };
            let why: String = why.chars().take(300).collect();
            // A clock that was set back ends a gap before it begins.
            sql.execute(
                "INSERT INTO recording_gaps (camera, from_at, to_at, hall, why, told_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (camera, from_at) DO UPDATE SET to_at = $3, why = $5, told_at = $6 \
                 WHERE recording_gaps.told_at <= $6",
                params![camera, from, to, event.hall, why, event.at],
            )?;
        }
        Happening::CommandDone { command, ok, detail } => {
            let (held, released) = if *ok { ("held", "released") } else { ("refused", "held") };
            let why: String = detail.chars().take(300).collect();
            sql.execute(
                "UPDATE recording_holds SET state = $3, why = $4 \
                 WHERE command = $1 AND hall = $2 AND state = 'asked'",
                params![command, event.hall, held, why],
            )?;
            sql.execute(
                "UPDATE recording_holds SET state = $3, why = $4, released_at = CASE WHEN $5 = 1 THEN $6 ELSE NULL END \
                 WHERE release_command = $1 AND hall = $2 AND state = 'releasing'",
                params![command, event.hall, released, why, ok, event.at],
            )?;
        }
        _ => {}
    }
    Ok(())
}

/// The camera an event is of, where it is one of the event's own hall.
fn camera(stored: &StoredEvent) -> Option<CameraId> {
    let event = &stored.event;
    let device = event.device.as_deref()?;
    device.strip_prefix(event.hall.as_str())?.strip_prefix('-')?;
    device.parse().ok()
}
