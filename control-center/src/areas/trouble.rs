//! Devices that do not answer, for whoever lists what is wrong.

use control_protocol::UtcMillis;

use crate::{
    access::Scope,
    store::{Filter, Sql, StoreError},
};

/// A device's place that is silent or down.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceTrouble {
    /// The position.
    pub position: String,
    /// Its hall.
    pub hall: String,
    /// The window it stands at.
    pub window: Option<String>,
    /// What it is: `keypad evaluator ticket attendance` and others.
    pub role: String,
    /// Whether the port itself is gone; else the device only says nothing.
    pub down: bool,
    /// Why, in plain words.
    pub why: Option<String>,
    /// Since when.
    pub since: UtcMillis,
}

/// The devices within `scope` that are silent or down, by hall.
///
/// # Errors
/// The store's.
pub fn devices_in_trouble(sql: &mut dyn Sql, scope: &Scope) -> Result<Vec<DeviceTrouble>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT p.id, p.hall, p.win, p.role, p.health, p.why, p.since FROM positions p \
         JOIN halls h ON h.id = p.hall AND p.health IN ('silent', 'down')",
        "ORDER BY p.hall, p.id",
        1_000_000,
    );
    let rows = sql.query(&statement, &params)?;
    rows.iter()
        .map(|row| {
            Ok(DeviceTrouble {
                position: row.get(0)?,
                hall: row.get(1)?,
                window: row.get(2)?,
                role: row.get(3)?,
                down: row.get::<String>(4)? == "down",
                why: row.get(5)?,
                since: row.get(6)?,
            })
        })
        .collect()
}
