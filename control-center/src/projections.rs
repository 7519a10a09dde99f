//! The order in which an event reaches the rooms. Called by the intake once for each event, inside its transaction,
//! when the event's turn has come.

use control_protocol::StoredEvent;

use crate::{
    areas, attendance, cases, evaluations, pictures, queue, recordings, statistics,
    store::{Change, Sql, StoreError},
    supervision,
};

/// Lets every room take what it needs from `stored`. Each room judges by the event's own time whether it is newer than
/// what the room has, so that a late event fills in facts and never undoes a newer state. What concerns `sums` is written
/// when the caller writes them.
pub fn project_all(
    sql: &mut dyn Sql,
    stored: &StoredEvent,
    sums: &mut statistics::Gathered,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    // A technician's test stays on record and counts nowhere.
    if stored.event.case.is_some_and(|case| case.is_test()) {
        return Ok(());
    }
    // Cases read who is signed in from the queue's windows, so they come before the window changes.
    cases::project(sql, stored, changes)?;
    queue::project(sql, stored, changes)?;
    evaluations::project(sql, stored, changes)?;
    attendance::project(sql, stored, changes)?;
    supervision::project(sql, stored, changes)?;
    pictures::project(sql, stored, changes)?;
    recordings::project(sql, stored)?;
    sums.take(sql, stored)?;
    areas::project(sql, stored, changes)
}
