//! What a hall's windows and queue come to now, hall by hall, for pages about many halls at once.

use std::collections::HashMap;

use control_protocol::UtcMillis;

use crate::{
    access::Scope,
    store::{Filter, Sql, StoreError},
};

/// A hall's windows and queue now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HallNow {
    /// Windows that are not closed, on a break or not.
    pub windows_open: u32,
    /// Of those, the ones on a break.
    pub windows_paused: u32,
    /// Tickets that wait.
    pub waiting: u32,
    /// When the ticket that waits longest was taken.
    pub waiting_since: Option<UtcMillis>,
    /// When the newest event about its windows happened.
    pub updated_at: Option<UtcMillis>,
}

/// The halls within `scope` of which anything is known, by id.
///
/// # Errors
/// The store's.
pub fn halls_now(sql: &mut dyn Sql, scope: &Scope) -> Result<HashMap<String, HallNow>, StoreError> {
    let mut halls: HashMap<String, HallNow> = HashMap::new();
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT h.id, s.state, COUNT(*), MAX(s.at) FROM halls h JOIN windows w ON w.hall = h.id \
         JOIN window_states s ON s.win = w.id",
        "GROUP BY h.id, s.state",
        1_000_000,
    );
    for row in sql.query(&statement, &params)? {
        let hall = halls.entry(row.get(0)?).or_default();
        let (state, windows): (String, u32) = (row.get(1)?, row.get(2)?);
        match state.as_str() {
            "closed" => {}
            "paused" => {
                hall.windows_open += windows;
                hall.windows_paused += windows;
            }
            _ => hall.windows_open += windows,
        }
        hall.updated_at = hall.updated_at.max(row.get(3)?);
    }
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT h.id, COUNT(*), MIN(t.issued_at) FROM halls h \
         JOIN tickets t ON t.hall = h.id AND t.state = 'waiting'",
        "GROUP BY h.id",
        1_000_000,
    );
    for row in sql.query(&statement, &params)? {
        let hall = halls.entry(row.get(0)?).or_default();
        hall.waiting = row.get(1)?;
        hall.waiting_since = row.get(2)?;
    }
    Ok(halls)
}

/// A window on a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pausing {
    /// The window.
    pub window: String,
    /// Its hall.
    pub hall: String,
    /// The reason given for the break.
    pub why: Option<String>,
    /// Since when.
    pub since: UtcMillis,
}

/// The windows within `scope` that are on a break, the longest first.
///
/// # Errors
/// The store's.
pub fn pausing(sql: &mut dyn Sql, scope: &Scope) -> Result<Vec<Pausing>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT s.win, s.hall, s.pause_reason, s.since FROM window_states s \
         JOIN halls h ON h.id = s.hall AND s.state = 'paused'",
        "ORDER BY s.since, s.win",
        1_000_000,
    );
    let rows = sql.query(&statement, &params)?;
    rows.iter()
        .map(|row| {
            Ok(Pausing { window: row.get(0)?, hall: row.get(1)?, why: row.get(2)?, since: row.get(3)? })
        })
        .collect()
}
