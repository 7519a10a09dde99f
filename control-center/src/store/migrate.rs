//! Brings a database's schema up to date: numbered files, each applied once, in order, in one transaction.
//!
//! A program of the version before must be able to open the database again after an upgrade that is taken back. So steps
//! only add: tables, indexes, columns that are empty or have a default. Where one must do more, [`READABLE_FROM`] says so,
//! and is kept in the database for programs that do not know the step. A database that says it is too new is refused,
//! never guessed at.

use rusqlite::Connection;

use super::StoreError;

/// The schema's steps; the number is the place in the list, from 1. A step that has been released is never changed.
const STEPS: &[(&str, &str)] = &[
    ("0001_centre", include_str!("migrations/0001_centre.sql")),
    ("0002_nodes", include_str!("migrations/0002_nodes.sql")),
    ("0003_pairing", include_str!("migrations/0003_pairing.sql")),
    ("0004_recordings", include_str!("migrations/0004_recordings.sql")),
    ("0005_presets", include_str!("migrations/0005_presets.sql")),
    ("0006_pictures", include_str!("migrations/0006_pictures.sql")),
    ("0007_statistics", include_str!("migrations/0007_statistics.sql")),
    ("0008_access", include_str!("migrations/0008_access.sql")),
    ("0009_attendance", include_str!("migrations/0009_attendance.sql")),
    ("0010_cases_found", include_str!("migrations/0010_cases_found.sql")),
    ("0011_webhooks", include_str!("migrations/0011_webhooks.sql")),
    ("0012_tickets_waiting", include_str!("migrations/0012_tickets_waiting.sql")),
    ("0013_trust", include_str!("migrations/0013_trust.sql")),
    ("0014_kept", include_str!("migrations/0014_kept.sql")),
];

/// The lowest schema version whose programs can work with the database as the last step leaves it. A step that does more
/// than add raises it to its own number.
const READABLE_FROM: usize = 1;

/// Applies what is missing.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), StoreError> {
    apply(connection, STEPS, READABLE_FROM)
}

fn apply(
    connection: &mut Connection,
    steps: &[(&str, &str)],
    readable_from: usize,
) -> Result<(), StoreError> {
    let open = |error: rusqlite::Error| StoreError::Open(error.to_string());
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, name TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS schema_readable (from_version INTEGER NOT NULL);",
        )
        .map_err(open)?;
    let number = |connection: &Connection, sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map(|number| number as usize).map_err(open)
    };
    let version = number(connection, "SELECT COALESCE(MAX(version), 0) FROM schema_version")?;
    if version > steps.len() {
        // What a program that does not say so leaves behind can be read by itself alone.
        let from = number(
            connection,
            &format!("SELECT COALESCE(MAX(from_version), {version}) FROM schema_readable"),
        )?;
        if from > steps.len() {
            return Err(StoreError::Open(format!(
                "it has schema version {version}, which programs from {from} on can use, and this program knows {}: \
                 use the newer program, or the backup made before the upgrade",
                steps.len()
            )));
        }
        tracing::warn!(
            version,
            known = steps.len(),
            "the database is a newer program's; what is new in it is left alone"
        );
        return Ok(());
    }
    for (at, (name, sql)) in steps.iter().enumerate().skip(version) {
        let tx = connection.transaction().map_err(open)?;
        tx.execute_batch(sql).map_err(|error| StoreError::Open(format!("step {name}: {error}")))?;
        tx.execute("INSERT INTO schema_version (version, name) VALUES (?1, ?2)", (at as u32 + 1, name))
            .map_err(open)?;
        tx.commit().map_err(open)?;
        tracing::info!(step = name, "database schema brought up to date");
    }
    if number(connection, "SELECT COALESCE(MAX(from_version), 0) FROM schema_readable")? != readable_from {
        let tx = connection.transaction().map_err(open)?;
        tx.execute("DELETE FROM schema_readable", []).map_err(open)?;
        tx.execute("INSERT INTO schema_readable (from_version) VALUES (?1)", [readable_from as u32])
            .map_err(open)?;
        tx.commit().map_err(open)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: (&str, &str) = ("1", "CREATE TABLE one (a INTEGER)");
    const ADDS: (&str, &str) = ("2", "ALTER TABLE one ADD COLUMN b INTEGER");
    const BREAKS: (&str, &str) = ("3", "ALTER TABLE one DROP COLUMN a");

    #[test]
    fn the_program_before_opens_what_only_added_and_no_more() {
        let mut db = Connection::open_in_memory().unwrap();
        apply(&mut db, &[FIRST], 1).unwrap();
        apply(&mut db, &[FIRST, ADDS], 1).unwrap();
        apply(&mut db, &[FIRST], 1).unwrap();
        db.execute("INSERT INTO one (a) VALUES (1)", []).unwrap();
        apply(&mut db, &[FIRST, ADDS, BREAKS], 3).unwrap();
        let refused = apply(&mut db, &[FIRST, ADDS], 1).unwrap_err();
        assert!(refused.to_string().contains("schema version 3"), "{refused}");
        apply(&mut db, &[FIRST, ADDS, BREAKS], 3).unwrap();
        // A program that says nothing of who can read its database.
        db.execute("DELETE FROM schema_readable", []).unwrap();
        assert!(apply(&mut db, &[FIRST, ADDS], 1).is_err());
    }

    /// The steps here keep to the rule, as far as their words show it.
    #[test]
    fn steps_only_add() {
        for (name, sql) in STEPS.iter().skip(READABLE_FROM) {
            let sql = sql.to_uppercase();
            for breaks in ["DROP TABLE", "DROP COLUMN", "RENAME"] {
                assert!(!sql.contains(breaks), "{name} has {breaks}: raise READABLE_FROM");
            }
        }
    }
}
