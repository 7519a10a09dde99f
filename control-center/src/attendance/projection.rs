//! What this room takes from events: punches, how far terminals were read, how far their clocks were off, and who signed in where.

use control_protocol::{Happening, StoredEvent, UtcMillis, event::ClockQuality};

use crate::{
    params,
    store::{Change, Sql, StoreError},
};

/// Takes what concerns attendance from an event.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, _: &mut Vec<Change>) -> Result<(), StoreError> {
    use Happening as H;
    let event = &stored.event;
    // Where the hall's own clock is known to be wrong it measures nothing.
    let sound = event.clock != ClockQuality::Wrong;
    match &event.happening {
        H::PunchRecorded { employee, punched_at, verify, state, live } => {
            // A punch whose terminal is not named stands under its node, so that it is still one punch.
            let terminal = event.device.as_deref().unwrap_or(event.node.as_str());
            let heard = (*live && sound).then_some(event.at);
            sql.execute(
                "INSERT INTO punches (terminal, employee, punched_at, hall, verify, state, live, heard_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                params![terminal, employee, punched_at, event.hall, verify, state, live, heard],
            )?;
            Ok(())
        }
        H::PunchLogRead { through, clock_offset } if sound => {
            let Some(terminal) = event.device.as_deref() else { return Ok(()) };
            sql.execute(
                "INSERT INTO punch_logs (terminal, hall, through) VALUES ($1, $2, $3) \
                 ON CONFLICT (terminal) DO UPDATE SET through = excluded.through, hall = excluded.hall \
                 WHERE excluded.through > punch_logs.through",
                params![terminal, event.hall, through],
            )?;
            clock_offset.map_or(Ok(()), |seconds| measured(sql, terminal, event.at, seconds))
        }
        H::DeviceClockOffset { seconds } if sound => match event.device.as_deref() {
            Some(terminal) => measured(sql, terminal, event.at, *seconds),
            None => Ok(()),
        },
        H::ClerkSignedIn { clerk } => {
            let Some(window) = &event.window else { return Ok(()) };
            sign_out(sql, stored)?;
            sql.execute(
                "INSERT INTO sign_ins (win, at, hall, employee, until) VALUES ($1, $2, $3, $4, NULL) \
                 ON CONFLICT DO NOTHING",
                params![window, event.at, event.hall, clerk],
            )?;
            Ok(())
        }
        H::ClerkSignedOut { .. } | H::WindowClosed {} => sign_out(sql, stored),
        _ => Ok(()),
    }
}

/// Whoever is signed in at the event's window is no more.
fn sign_out(sql: &mut dyn Sql, stored: &StoredEvent) -> Result<(), StoreError> {
    let event = &stored.event;
    let Some(window) = &event.window else { return Ok(()) };
    sql.execute(
        "UPDATE sign_ins SET until = $2 WHERE win = $1 AND until IS NULL AND at <= $2",
        params![window, event.at],
    )?;
    Ok(())
}

/// A measurement of a terminal's clock: goes on the last run, or begins another.
fn measured(sql: &mut dyn Sql, terminal: &str, at: UtcMillis, seconds: i64) -> Result<(), StoreError> {
    let last = sql.query_one(
        "SELECT from_at, until_at, seconds FROM terminal_clocks WHERE terminal = $1 ORDER BY from_at DESC LIMIT 1",
        params![terminal],
    )?;
    if let Some(last) = last {
        let (from, until, before): (UtcMillis, UtcMillis, i64) = (last.get(0)?, last.get(1)?, last.get(2)?);
        if at < until {
            return Ok(());
        }
        if before == seconds {
            sql.execute(
                "UPDATE terminal_clocks SET until_at = $3 WHERE terminal = $1 AND from_at = $2",
                params![terminal, from, at],
            )?;
            return Ok(());
        }
    }
    sql.execute(
        "INSERT INTO terminal_clocks (terminal, from_at, until_at, seconds) VALUES ($1, $2, $2, $3) \
         ON CONFLICT DO NOTHING",
        params![terminal, at, seconds],
    )?;
    Ok(())
}
