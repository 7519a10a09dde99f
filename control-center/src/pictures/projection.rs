//! How events move seats and faults. An event sets a state only if nothing newer has set it already.

use control_protocol::{CameraId, Event, Happening, StoredEvent, event::CameraEntry};

use crate::{
    params,
    store::{Change, Sql, StoreError},
};

/// Takes what concerns pictures from an event.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, changes: &mut Vec<Change>) -> Result<(), StoreError> {
    let event = &stored.event;
    match &event.happening {
        Happening::SeatChanged { seat, why, still } => {
            let Some(camera) = camera(event) else { return Ok(()) };
            // A word that a newer edge may know is not taken for empty.
            let seat = if ["occupied", "empty"].contains(&seat.as_str()) { seat.as_str() } else { "unknown" };
            sql.execute(
                "INSERT INTO seats (camera, hall, node, win, seat, why, still, since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (camera) DO UPDATE SET win = $4, seat = $5, why = $6, still = $7, since = $8 \
                 WHERE seats.since <= $8 AND seats.hall = $2",
                params![camera, event.hall, event.node, event.window, seat, why, still, event.at],
            )?;
            changes.extend(event.window.clone().map(Change::Window));
        }
        Happening::PictureFault { fault, ended, since, still } => {
            let Some(camera) = camera(event) else { return Ok(()) };
            sql.execute(
                "INSERT INTO picture_faults (camera, fault, hall, node, win, ended, since, still, at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (camera, fault) DO UPDATE SET win = $5, ended = $6, since = $7, still = $8, at = $9 \
                 WHERE picture_faults.at <= $9 AND picture_faults.hall = $3",
                params![
                    camera,
                    fault,
                    event.hall,
                    event.node,
                    event.window,
                    i64::from(*ended),
                    since.unwrap_or(event.at),
                    still,
                    event.at
                ],
            )?;
            changes.push(Change::Camera(camera));
            changes.extend(event.window.clone().map(Change::Window));
        }
        Happening::NodeConfigChanged { cameras, .. } => follow(sql, event, cameras, changes)?,
        _ => {}
    }
    Ok(())
}

fn camera(event: &Event) -> Option<CameraId> {
    event.device.as_deref()?.parse().ok()
}

/// A camera that is gone has no seat and no fault; one that looks at another window takes them along.
fn follow(
    sql: &mut dyn Sql,
    event: &Event,
    cameras: &[CameraEntry],
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    for table in ["seats", "picture_faults"] {
        let had = sql.query(
            &format!("SELECT DISTINCT camera, win FROM {table} WHERE node = $1"),
            params![event.node],
        )?;
        for row in &had {
            let (camera, window): (CameraId, Option<control_protocol::WindowId>) = (row.get(0)?, row.get(1)?);
            let now = cameras.iter().find(|entry| entry.camera == camera);
            match now {
                Some(entry) if entry.window == window => continue,
                Some(entry) => {
                    let statement = format!("UPDATE {table} SET win = $2 WHERE camera = $1 AND node = $3");
                    sql.execute(&statement, params![camera, entry.window, event.node])?;
                    changes.extend(entry.window.clone().map(Change::Window));
                }
                None => {
                    let statement = format!("DELETE FROM {table} WHERE camera = $1 AND node = $2");
                    sql.execute(&statement, params![camera, event.node])?;
                }
            }
            changes.extend(window.map(Change::Window));
        }
    }
    Ok(())
}
