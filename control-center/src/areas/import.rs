//! The import file: areas, halls, windows, staff, shifts, rosters and the operator's people in one TOML or JSON file. It adds and
//! changes; it never takes away. Only the command line reads it, because it may hold passwords.

use std::path::Path;

use control_protocol::{AreaId, HallId, UtcMillis};
use jiff::civil::Date;
use serde::Deserialize;

use super::{
    staff::{self, StaffIs},
    tree::{self, BadTree},
};
use crate::{
    access::{self, NewUser, Role},
    attendance::{self, Pattern, Period, RosterDay, Shift},
    store::{Store, StoreError},
};

/// Who changes what an import changes, as rows and the audit log have it.
const BY: &str = "command line";

/// What the file holds. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportFile {
    area: Vec<AreaEntry>,
    hall: Vec<HallEntry>,
    window: Vec<WindowEntry>,
    staff: Vec<StaffEntry>,
    shift: Vec<ShiftEntry>,
    roster: Vec<RosterEntry>,
    roster_day: Vec<RosterDayEntry>,
    user: Vec<UserEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AreaEntry {
    id: AreaId,
    name: String,
    parent: Option<AreaId>,
    level: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HallEntry {
    id: HallId,
    name: String,
    area: AreaId,
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowEntry {
    hall: HallId,
    number: u32,
    name: String,
    #[serde(default)]
    businesses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StaffEntry {
    hall: HallId,
    number: String,
    name: String,
    unit: Option<String>,
    /// The number of the window they usually stand at.
    window: Option<u32>,
}

/// A shift for the halls of an area, or of one hall.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShiftEntry {
    id: String,
    scope: String,
    name: String,
    periods: Vec<Period>,
}

/// What the days of a hall's people are, from a date on: of one clerk, or of all that have no entry of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RosterEntry {
    hall: HallId,
    staff: Option<String>,
    from: Date,
    pattern: Pattern,
}

/// A single day of a clerk; without a shift it is rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RosterDayEntry {
    hall: HallId,
    staff: String,
    date: Date,
    shift: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: String,
    password: String,
    role: Role,
    scope: String,
    #[serde(default = "yes")]
    must_change: bool,
}

fn yes() -> bool {
    true
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("{file}: {why}")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        why: String,
    },
    /// Something in it is against a rule. Nothing of the file is taken.
    #[error(transparent)]
    Tree(#[from] BadTree),
    /// A person in it is against a rule. Nothing of the file is taken.
    #[error(transparent)]
    User(#[from] access::BadUser),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How much was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Areas.
    pub areas: usize,
    /// Halls.
    pub halls: usize,
    /// Windows.
    pub windows: usize,
    /// Clerks.
    pub staff: usize,
    /// Shifts.
    pub shifts: usize,
    /// Rosters, and single days of them.
    pub rosters: usize,
    /// People.
    pub users: usize,
}

/// Reads a file: JSON if it is named so, TOML otherwise. Blocking.
pub fn read(file: &Path) -> Result<ImportFile, ImportError> {
    let fail = |why: String| ImportError::Read { file: file.display().to_string(), why };
    let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
    if file.extension().is_some_and(|ending| ending == "json") {
        serde_json::from_str(&text).map_err(|error| fail(error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error| fail(error.to_string()))
    }
}

/// Takes all of the file, or nothing. Areas may come in any order.
pub async fn take(store: &Store, file: ImportFile, now: UtcMillis) -> Result<Imported, ImportError> {
    let ImportFile { area, hall, window, staff, shift, roster, roster_day, user } = file;
    let mut users = Vec::with_capacity(user.len());
    for entry in user {
        let UserEntry { name, password, role, scope, must_change } = entry;
        access::check_password_rules(&name, &password)
            .map_err(|why| access::BadUser::Rule(format!("user {name}: {why}")))?;
        let password_hash = tokio::task::spawn_blocking(move || access::hash_password(&password))
            .await
            .map_err(|_| StoreError::Closed)??;
        users.push(NewUser { name, password_hash, must_change, grants: vec![(role, scope)] });
    }
    let users = join_roles(users);
    let imported = Imported {
        areas: area.len(),
        halls: hall.len(),
        windows: window.len(),
        staff: staff.len(),
        shifts: shift.len(),
        rosters: roster.len() + roster_day.len(),
        users: users.len(),
    };
    store
        .write("import", move |tx| {
            let mut waiting = area;
            while !waiting.is_empty() {
                let before = waiting.len();
                let names: Vec<AreaId> = waiting.iter().map(|entry| entry.id.clone()).collect();
                let mut later = Vec::new();
                for entry in waiting {
                    // An area whose parent comes further down waits for it.
                    if entry.parent.as_ref().is_some_and(|parent| {
                        names.contains(parent)
                            && (later.iter().any(|l: &AreaEntry| l.id == *parent) || !known(tx, parent))
                    }) {
                        later.push(entry);
                    } else {
                        tree::put_area(tx, &entry.id, entry.parent.as_ref(), &entry.name, &entry.level)?;
                    }
                }
                if later.len() == before {
                    let round: Vec<&str> = later.iter().map(|entry| entry.id.as_str()).collect();
                    return Err(ImportError::Tree(BadTree::Rule(format!(
                        "these areas are each other's parents: {}",
                        round.join(", ")
                    ))));
                }
                waiting = later;
            }
            for entry in &hall {
                tree::put_hall(tx, &entry.id, &entry.area, &entry.name)?;
                if let Some(zone) = &entry.time_zone {
                    super::put_zone(tx, &entry.id, zone)?;
                }
            }
            for entry in &window {
                tree::put_window(tx, &entry.hall, entry.number, &entry.name, &entry.businesses)?;
            }
            for entry in &staff {
                let window = entry.window.map(|number| tree::window_id(&entry.hall, number)).transpose()?;
                let clerk = StaffIs { name: entry.name.clone(), unit: entry.unit.clone(), window };
                staff::put_staff(tx, &entry.hall, &entry.number, &clerk)?;
            }
            for ShiftEntry { id, scope, name, periods } in shift {
                attendance::put_shift(tx, &id, &scope, &Shift { name, periods }, BY, now)?;
            }
            for RosterEntry { hall, staff, from, pattern } in &roster {
                attendance::put_roster(tx, hall, staff.as_deref(), *from, pattern, BY, now)?;
            }
            for RosterDayEntry { hall, staff, date, shift } in &roster_day {
                let day = RosterDay { shift: shift.clone(), window: None };
                attendance::put_roster_day(tx, hall, staff, *date, &day, BY, now)?;
            }
            for user in &users {
                access::add_user(tx, user, now)?;
            }
            let summary = format!("{imported:?}");
            let entry = access::audit::Entry {
                who: BY,
                address: "this machine",
                action: "tree.imported",
                object: "",
                detail: &summary,
            };
            access::audit::record(tx, &entry, now)?;
            Ok(())
        })
        .await?;
    Ok(imported)
}

/// A person who stands in the file several times has several roles, and the first password.
fn join_roles(users: Vec<NewUser>) -> Vec<NewUser> {
    let mut joined: Vec<NewUser> = Vec::with_capacity(users.len());
    for user in users {
        match joined.iter_mut().find(|known| known.name == user.name) {
            Some(known) => known.grants.extend(user.grants),
            None => joined.push(user),
        }
    }
    joined
}

fn known(tx: &mut crate::store::Tx<'_>, area: &AreaId) -> bool {
    use crate::store::Sql;
    tx.query_one("SELECT 1 FROM areas WHERE id = $1", crate::params![area]).is_ok_and(|row| row.is_some())
}
