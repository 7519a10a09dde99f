//! A hall's time zone: by it its days begin, its shifts are due and its roll-ups are cut. Asia/Shanghai unless the import file or the API says
//! another; the edge of the hall has its own setting for the dates of case IDs, which should say the same.

use control_protocol::HallId;
use jiff::tz::TimeZone;

use super::tree::BadTree;
use crate::{
    params,
    store::{Change, Sql, StoreError, Tx},
};

/// The zone of a hall that has none of its own.
const DEFAULT: &str = "Asia/Shanghai";

/// The name of a hall's zone.
pub fn zone_name(sql: &mut dyn Sql, hall: &HallId) -> Result<String, StoreError> {
    let row = sql.query_one("SELECT time_zone FROM halls WHERE id = $1", params![hall])?;
    row.map_or(Ok(DEFAULT.to_owned()), |row| row.get(0))
}

/// The zone with this name of the IANA database.
pub fn zone_named(name: &str) -> Result<TimeZone, StoreError> {
    TimeZone::get(name).map_err(|error| StoreError::Read(format!("time zone `{name}`: {error}")))
}

/// Sets a hall's zone. Attendance follows at once; its roll-ups when they are rebuilt, at the next start at the latest.
/// Returns whether it was another before.
///
/// # Errors
/// There is no such zone.
pub fn put_zone(tx: &mut Tx<'_>, hall: &HallId, name: &str) -> Result<bool, BadTree> {
    if TimeZone::get(name).is_err() {
        return Err(BadTree::Rule(format!("`{name}` is not a time zone: write one such as Asia/Shanghai")));
    }
    let changed =
        tx.execute("UPDATE halls SET time_zone = $2 WHERE id = $1 AND time_zone <> $2", params![hall, name])?;
    if changed > 0 {
        tx.changes.push(Change::Tree);
    }
    Ok(changed > 0)
}
