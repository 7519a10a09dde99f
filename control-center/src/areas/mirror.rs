//! Mirrors each hall's cameras and positions, and the health of both, from its node's journal.

use control_protocol::{
    CameraId, HallId, Happening, StoredEvent,
    event::{CameraEntry, PositionEntry},
};

use crate::{
    params,
    store::{Change, Sql, StoreError},
};

/// Takes what concerns cameras and positions from an event.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, changes: &mut Vec<Change>) -> Result<(), StoreError> {
    use Happening as H;
    match &stored.event.happening {
        H::NodeConfigChanged { cameras, positions } => mirror(sql, stored, cameras, positions, changes),
        H::CameraUp { .. } => camera(sql, stored, "live", None, changes),
        H::CameraDown { why } => camera(sql, stored, "offline", Some(why), changes),
        H::DeviceUp {} => health(sql, stored, "up", None),
        H::DeviceSilent {} => health(sql, stored, "silent", None),
        H::DeviceDegraded { bad_frames_per_minute } => {
            let why = format!("{bad_frames_per_minute} bad frames a minute");
            health(sql, stored, "degraded", Some(&why))
        }
        H::DeviceDown { why } => health(sql, stored, "down", Some(why)),
        H::DevicePaired { hardware } | H::DeviceReplaced { hardware, .. } => {
            fact(sql, stored, "UPDATE positions SET hardware = $2 WHERE id = $1 AND hall = $3", hardware)
        }
        H::DeviceClockOffset { seconds } => {
            fact(sql, stored, "UPDATE positions SET clock_offset = $2 WHERE id = $1 AND hall = $3", seconds)
        }
        _ => Ok(()),
    }
}

/// The devices of a hall whose own clocks are known to be off: positions, and seconds that they are ahead.
pub fn device_clocks(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sql.query(
        "SELECT id, clock_offset FROM positions WHERE hall = $1 AND clock_offset IS NOT NULL ORDER BY id",
        params![hall],
    )?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// A hall's attendance terminals: positions, how they are, and seconds that their clocks were ahead when last measured.
pub fn attendance_positions(
    sql: &mut dyn Sql,
    hall: &HallId,
) -> Result<Vec<(String, String, Option<i64>)>, StoreError> {
    let rows = sql.query(
        "SELECT id, health, clock_offset FROM positions WHERE hall = $1 AND role = 'attendance' ORDER BY id",
        params![hall],
    )?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

fn mirror(
    sql: &mut dyn Sql,
    stored: &StoredEvent,
    cameras: &[CameraEntry],
    positions: &[PositionEntry],
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let event = &stored.event;
    let newer = sql.execute(
        "INSERT INTO mirrors (node, at) VALUES ($1, $2) \
         ON CONFLICT (node) DO UPDATE SET at = excluded.at WHERE mirrors.at <= excluded.at",
        params![event.node, event.at],
    )?;
    if newer == 0 {
        return Ok(());
    }
    let had = sql.query("SELECT id FROM cameras WHERE node = $1", params![event.node])?;
    for row in &had {
        let id: CameraId = row.get(0)?;
        if !cameras.iter().any(|entry| entry.camera == id) {
            sql.execute("DELETE FROM cameras WHERE id = $1 AND node = $2", params![id, event.node])?;
            changes.push(Change::Camera(id));
        }
    }
    for (place, entry) in cameras.iter().enumerate() {
        // A camera id that another hall has already is that hall's.
        sql.execute(
            "INSERT INTO cameras (id, hall, node, win, name, url, place, state, why, since) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'connecting', NULL, $8) \
             ON CONFLICT (id) DO UPDATE SET node = $3, win = $4, name = $5, url = $6, place = $7 WHERE cameras.hall = $2",
            params![entry.camera, event.hall, event.node, entry.window, entry.name, entry.url, place, event.at],
        )?;
        changes.push(Change::Camera(entry.camera.clone()));
    }
    let had = sql.query("SELECT id FROM positions WHERE node = $1", params![event.node])?;
    for row in &had {
        let id: String = row.get(0)?;
        if !positions.iter().any(|entry| entry.position.as_str() == id) {
            sql.execute("DELETE FROM positions WHERE id = $1 AND node = $2", params![id, event.node])?;
        }
    }
    for entry in positions {
        sql.execute(
            "INSERT INTO positions (id, hall, node, win, role, health, why, since, hardware, clock_offset, unconfirmed) \
             VALUES ($1, $2, $3, $4, $5, 'unknown', NULL, $6, $7, NULL, $8) \
             ON CONFLICT (id) DO UPDATE SET node = $3, win = $4, role = $5, \
             hardware = COALESCE($7, positions.hardware), unconfirmed = $8 WHERE positions.hall = $2",
            params![
                entry.position,
                event.hall,
                event.node,
                entry.window,
                entry.role,
                event.at,
                entry.hardware,
                entry.unconfirmed
            ],
        )?;
    }
    changes.push(Change::Tree);
    Ok(())
}

fn camera(
    sql: &mut dyn Sql,
    stored: &StoredEvent,
    state: &str,
    why: Option<&str>,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let event = &stored.event;
    let Some(Ok(id)) = event.device.as_deref().map(str::parse::<CameraId>) else { return Ok(()) };
    let changed = sql.execute(
        "UPDATE cameras SET state = $2, why = $3, since = $4 WHERE id = $1 AND hall = $5 AND since <= $4",
        params![id, state, why, event.at, event.hall],
    )?;
    if changed > 0 {
        changes.push(Change::Camera(id));
    }
    Ok(())
}

fn health(
    sql: &mut dyn Sql,
    stored: &StoredEvent,
    health: &str,
    why: Option<&str>,
) -> Result<(), StoreError> {
    let event = &stored.event;
    let Some(position) = &event.device else { return Ok(()) };
    sql.execute(
        "UPDATE positions SET health = $2, why = $3, since = $4 WHERE id = $1 AND hall = $5 \
         AND (since <= $4 OR health = 'unknown')",
        params![position, health, why, event.at, event.hall],
    )?;
    Ok(())
}

fn fact<T: crate::store::ToParam>(
    sql: &mut dyn Sql,
    stored: &StoredEvent,
    statement: &str,
    value: &T,
) -> Result<(), StoreError> {
    if let Some(position) = &stored.event.device {
        sql.execute(statement, params![position, value, stored.event.hall])?;
    }
    Ok(())
}
