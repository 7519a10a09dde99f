//! Brings a database's schema up to date: numbered files, each applied once, in order, in one transaction. A database
//! made by a newer version is refused, never guessed at.

use rusqlite::Connection;

use super::StoreError;

/// The schema's steps; the number is the place in the list, from 1. A step that has been released is never changed.
const STEPS: &[(&str, &str)] = &[
    ("0001_centre", include_str!("migrations/0001_centre.sql")),
    ("0002_nodes", include_str!("migrations/0002_nodes.sql")),
];

/// Applies what is missing.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), StoreError> {
    let open = |error: rusqlite::Error| StoreError::Open(error.to_string());
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, name TEXT NOT NULL)",
        )
        .map_err(open)?;
    let version = connection
        .query_row("SELECT COALESCE(MAX(version), 0) FROM schema_version", [], |row| row.get::<_, u32>(0))
        .map_err(open)? as usize;
    if version > STEPS.len() {
        return Err(StoreError::Open(format!(
            "it has schema version {version}, and this program knows {}: use the newer program",
            STEPS.len()
        )));
    }
    for (at, (name, sql)) in STEPS.iter().enumerate().skip(version) {
        let tx = connection.transaction().map_err(open)?;
        tx.execute_batch(sql).map_err(|error| StoreError::Open(format!("step {name}: {error}")))?;
        tx.execute("INSERT INTO schema_version (version, name) VALUES (?1, ?2)", (at as u32 + 1, name))
            .map_err(open)?;
        tx.commit().map_err(open)?;
        tracing::info!(step = name, "database schema brought up to date");
    }
    Ok(())
}
