//! The positions' own file: which places there are, which hardware stood there from when until when, what an evaluator's keys
//! mean and who confirmed it. It owns the rule that one place has one device and that history is never rewritten; it never
//! opens a device.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use control_protocol::{PositionId, UtcMillis, WindowId, event::PositionEntry};
use rusqlite::{Connection as Db, OptionalExtension, Transaction, params};

use crate::{
    config::{Camera, Config, Device},
    devices::{Connection, Place, Role, Wanted},
};

/// The file could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the positions' file failed: {0}")]
pub struct StoreFailed(pub String);

impl From<rusqlite::Error> for StoreFailed {
    fn from(e: rusqlite::Error) -> Self {
        Self(e.to_string())
    }
}

impl From<serde_json::Error> for StoreFailed {
    fn from(e: serde_json::Error) -> Self {
        Self(e.to_string())
    }
}

/// Raw byte → grade.
pub type GradeMap = BTreeMap<u8, u8>;

/// What an evaluator's keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grades {
    /// Raw byte → grade.
    pub map: GradeMap,
    /// Who pressed every key; none: nobody yet.
    pub confirmed_by: Option<String>,
    /// When the map was given or confirmed.
    pub at: UtcMillis,
}

/// A device at a place, from when until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its number.
    pub n: i64,
    /// What tells this hardware from another.
    pub identity: String,
    /// Its serial number, where it has one.
    pub serial: Option<String>,
    /// How it is reached.
    pub connection: Connection,
    /// Since when.
    pub from: UtcMillis,
    /// Until when; none: now.
    pub to: Option<UtcMillis>,
    /// Why it came.
    pub why: String,
    /// Who brought it.
    pub by: String,
    /// In which visit.
    pub visit: Option<String>,
    /// For an evaluator.
    pub grades: Option<Grades>,
}

/// A place with what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Its id.
    pub id: PositionId,
    /// The window it stands at.
    pub window: Option<WindowId>,
    /// What is done there.
    pub role: Role,
    /// Whether the TOML file still rules it.
    pub from_config: bool,
    /// The device there now.
    pub binding: Option<Binding>,
}

/// A device to be bound.
#[derive(Debug, Clone)]
pub struct NewBinding<'a> {
    /// What tells it from another.
    pub identity: &'a str,
    /// Its serial number.
    pub serial: Option<&'a str>,
    /// How it is reached.
    pub connection: &'a Connection,
    /// For an evaluator: its map, and who confirmed it.
    pub grades: Option<(&'a GradeMap, Option<&'a str>)>,
    /// Why.
    pub why: &'a str,
    /// Who.
    pub by: &'a str,
    /// In which visit.
    pub visit: Option<&'a str>,
}

const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// The file. Clones share it.
#[derive(Debug, Clone)]
pub struct Positions(Arc<Mutex<Db>>);

impl Positions {
    /// Opens the file under the data folder, making it where there is none. Blocks.
    pub fn open(data: &Path) -> Result<Self, StoreFailed> {
        let folder = data.join("positions");
        if !folder.exists() {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|e| StoreFailed(format!("{}: {e}", folder.display())))?;
        }
        let mut db = Db::open(folder.join("positions.sqlite"))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        let done: u32 = db.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        if done as usize > MIGRATIONS.len() {
            return Err(StoreFailed("it was written by a newer version of this program".into()));
        }
        for (migration, version) in MIGRATIONS.iter().zip(1u32..).skip(done as usize) {
            let tx = db.transaction()?;
            tx.execute_batch(migration)?;
            tx.pragma_update(None, "user_version", version)?;
            tx.commit()?;
        }
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// Runs `work` in one transaction on a blocking thread; what it wrote stands only if it gives `Ok`.
    pub async fn run<T: Send + 'static, E: From<StoreFailed> + Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let db = self.0.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = db.transaction().map_err(StoreFailed::from)?;
            let done = work(&tx)?;
            tx.commit().map_err(StoreFailed::from)?;
            Ok(done)
        });
        ran.await.map_err(|e| StoreFailed(e.to_string()))?
    }
}

fn grades_json(map: &GradeMap) -> Result<String, StoreFailed> {
    let text: BTreeMap<String, u8> = map.iter().map(|(raw, g)| (format!("{raw:02X}"), *g)).collect();
    Ok(serde_json::to_string(&text)?)
}

fn read_grades(text: &str) -> Result<GradeMap, StoreFailed> {
    let map: BTreeMap<String, u8> = serde_json::from_str(text)?;
    let read = |(raw, grade): (String, u8)| {
        u8::from_str_radix(&raw, 16).map(|raw| (raw, grade)).map_err(|e| StoreFailed(e.to_string()))
    };
    map.into_iter().map(read).collect()
}

fn read_id<T: std::str::FromStr<Err: std::fmt::Display>>(text: String) -> Result<T, StoreFailed> {
    text.parse().map_err(|e: T::Err| StoreFailed(e.to_string()))
}

const BINDING: &str = "SELECT n, identity, serial, connection, from_at, to_at, why, by, visit FROM bindings";

fn bindings(
    tx: &Transaction<'_>,
    sql: &str,
    param: &dyn rusqlite::ToSql,
) -> Result<Vec<Binding>, StoreFailed> {
    let mut statement = tx.prepare_cached(sql)?;
    type Row = (i64, String, Option<String>, String, i64, Option<i64>, String, String, Option<String>);
    let rows: Vec<Row> = statement
        .query_map([param], |r| {
            Ok((
                r.get(0)?,
                r.get(1)?,
                r.get(2)?,
                r.get(3)?,
                r.get(4)?,
                r.get(5)?,
                r.get(6)?,
                r.get(7)?,
                r.get(8)?,
            ))
        })?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::with_capacity(rows.len());
    for (n, identity, serial, connection, from, to, why, by, visit) in rows {
        found.push(Binding {
            n,
            identity,
            serial,
            connection: serde_json::from_str(&connection)?,
            from: UtcMillis(from),
            to: to.map(UtcMillis),
            why,
            by,
            visit,
            grades: grades_of(tx, n)?,
        });
    }
    Ok(found)
}

fn grades_of(tx: &Transaction<'_>, binding: i64) -> Result<Option<Grades>, StoreFailed> {
    let sql = "SELECT map, confirmed_by, at FROM grade_maps WHERE binding = ?1 ORDER BY n DESC LIMIT 1";
    let row: Option<(String, Option<String>, i64)> =
        tx.prepare_cached(sql)?.query_row([binding], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional()?;
    row.map(|(map, confirmed_by, at)| Ok(Grades { map: read_grades(&map)?, confirmed_by, at: UtcMillis(at) }))
        .transpose()
}

/// Every place, by id.
pub fn all(tx: &Transaction<'_>) -> Result<Vec<Position>, StoreFailed> {
    let mut statement = tx.prepare_cached("SELECT id, win, role, owner FROM positions ORDER BY id")?;
    type Row = (String, Option<String>, String, String);
    let rows: Vec<Row> = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::with_capacity(rows.len());
    for (id, window, role, owner) in rows {
        found.push(position(tx, id, window, &role, &owner)?);
    }
    Ok(found)
}

/// One place.
pub fn one(tx: &Transaction<'_>, id: &str) -> Result<Option<Position>, StoreFailed> {
    let row: Option<(Option<String>, String, String)> = tx
        .query_row("SELECT win, role, owner FROM positions WHERE id = ?1", [id], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .optional()?;
    row.map(|(window, role, owner)| position(tx, id.to_owned(), window, &role, &owner)).transpose()
}

fn position(
    tx: &Transaction<'_>,
    id: String,
    window: Option<String>,
    role: &str,
    owner: &str,
) -> Result<Position, StoreFailed> {
    let sql = format!("{BINDING} WHERE position = ?1 AND to_at IS NULL");
    let binding = bindings(tx, &sql, &id)?.pop();
    Ok(Position {
        binding,
        id: read_id(id)?,
        window: window.map(read_id).transpose()?,
        role: Role::of(role).ok_or_else(|| StoreFailed(format!("`{role}` is not a role")))?,
        from_config: owner == "config",
    })
}

/// What stood at a place, newest first.
pub fn history(tx: &Transaction<'_>, id: &str) -> Result<Vec<Binding>, StoreFailed> {
    bindings(tx, &format!("{BINDING} WHERE position = ?1 ORDER BY n DESC"), &id)
}

/// Makes the place where there is none, and marks it as made by people unless `config`.
pub fn make(
    tx: &Transaction<'_>,
    id: &PositionId,
    window: Option<&WindowId>,
    role: Role,
    config: bool,
    now: UtcMillis,
) -> Result<(), StoreFailed> {
    let owner = if config { "config" } else { "paired" };
    tx.execute(
        "INSERT INTO positions (id, win, role, owner, made_at) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO UPDATE SET win = ?2, role = ?3, owner = ?4",
        params![id.as_str(), window.map(WindowId::as_str), role.name(), owner, now.0],
    )?;
    Ok(())
}

/// Ends what stands at a place; gives its number.
pub fn unbind(tx: &Transaction<'_>, id: &PositionId, now: UtcMillis) -> Result<Option<i64>, StoreFailed> {
    let sql = "SELECT n FROM bindings WHERE position = ?1 AND to_at IS NULL";
    let n: Option<i64> = tx.query_row(sql, [id.as_str()], |r| r.get(0)).optional()?;
    if let Some(n) = n {
        tx.execute("UPDATE bindings SET to_at = ?2 WHERE n = ?1", params![n, now.0])?;
    }
    Ok(n)
}

/// Binds a device to a place that has none; gives the binding's number.
pub fn bind(
    tx: &Transaction<'_>,
    id: &PositionId,
    new: &NewBinding<'_>,
    now: UtcMillis,
) -> Result<i64, StoreFailed> {
    tx.execute(
        "INSERT INTO bindings (position, identity, serial, connection, from_at, why, by, visit) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id.as_str(),
            new.identity,
            new.serial,
            serde_json::to_string(new.connection)?,
            now.0,
            new.why,
            new.by,
            new.visit
        ],
    )?;
    let n = tx.last_insert_rowid();
    if let Some((map, confirmed_by)) = new.grades {
        set_grades(tx, n, map, confirmed_by, now)?;
    }
    Ok(n)
}

/// Says what an evaluator's keys mean, and who confirmed it.
pub fn set_grades(
    tx: &Transaction<'_>,
    binding: i64,
    map: &GradeMap,
    confirmed_by: Option<&str>,
    now: UtcMillis,
) -> Result<(), StoreFailed> {
    tx.execute(
        "INSERT INTO grade_maps (binding, map, confirmed_by, at) VALUES (?1, ?2, ?3, ?4)",
        params![binding, grades_json(map)?, confirmed_by, now.0],
    )?;
    Ok(())
}

/// Binds anew what once stood somewhere: as it was, map and confirmation included.
pub fn bind_again(
    tx: &Transaction<'_>,
    id: &PositionId,
    former: i64,
    by: &str,
    visit: &str,
    now: UtcMillis,
) -> Result<i64, StoreFailed> {
    let Some(old) = bindings(tx, &format!("{BINDING} WHERE n = ?1"), &former)?.pop() else {
        return Err(StoreFailed(format!("there is no binding {former}")));
    };
    let grades = old.grades.as_ref().map(|g| (&g.map, g.confirmed_by.as_deref()));
    let new = NewBinding {
        identity: &old.identity,
        serial: old.serial.as_deref(),
        connection: &old.connection,
        grades,
        why: "undo",
        by,
        visit: Some(visit),
    };
    bind(tx, id, &new, now)
}

/// Takes the TOML file's devices in: at the first start all of them, later those that no person has touched since. A file
/// only starts a node; what was paired wins.
pub fn take_from_config(tx: &Transaction<'_>, config: &Config, now: UtcMillis) -> Result<(), StoreFailed> {
    let cameras = config.cameras.iter().filter_map(Camera::device);
    let wanted: Vec<Device> = config.devices().chain(cameras).collect();
    let named: BTreeSet<&PositionId> = wanted.iter().map(|w| &w.position).collect();
    let have = all(tx)?;
    let paired: Vec<&Position> = have.iter().filter(|p| !p.from_config).collect();
    for position in have.iter().filter(|p| p.from_config && !named.contains(&p.id)) {
        unbind(tx, &position.id, now)?;
    }
    for Device { position: id, window, connection, grades, .. } in &wanted {
        let held = have.iter().find(|p| p.id == *id);
        if held.is_some_and(|p| !p.from_config) {
            tracing::debug!(position = %id, "paired by hand: what the file says of it is passed over");
            continue;
        }
        let identity = connection.identity();
        let taken = |p: &&Position| {
            p.binding
                .as_ref()
                .is_some_and(|b| b.identity == identity || !b.connection.shares_line_with(connection))
        };
        if let Some(other) = paired.iter().copied().find(|p| taken(p)) {
            tracing::warn!(position = %id, other = %other.id, "the file's device or its line was paired elsewhere: passed over");
            continue;
        }
        let now_there = held.and_then(|p| p.binding.as_ref());
        let same_map = |b: &Binding| match (&b.grades, grades) {
            (Some(have), Some((map, by))) => have.map == *map && have.confirmed_by == *by,
            (have, want) => have.is_some() == want.is_some(),
        };
        make(tx, id, window.as_ref(), connection.role(), true, now)?;
        if now_there.is_some_and(|b| b.connection == *connection && same_map(b)) {
            continue;
        }
        unbind(tx, id, now)?;
        let new = NewBinding {
            identity: &identity,
            serial: None,
            connection,
            grades: grades.as_ref().map(|(map, by)| (map, by.as_deref())),
            why: "config",
            by: "config",
            visit: None,
        };
        bind(tx, id, &new, now)?;
    }
    Ok(())
}

impl Position {
    /// Whether it may serve: an evaluator only once its map is confirmed.
    pub fn confirmed(&self) -> bool {
        self.role != Role::Evaluator
            || self.binding.as_ref().and_then(|b| b.grades.as_ref()).is_some_and(|g| g.confirmed_by.is_some())
    }

    /// What the register must know of it.
    pub fn place(&self) -> Place {
        Place { window: self.window.clone(), role: self.role, confirmed: self.confirmed() }
    }

    /// What the supervisor must drive for it.
    pub fn wanted(&self) -> Option<Wanted> {
        let binding = self.binding.as_ref().filter(|_| self.role != Role::Camera)?;
        Some(Wanted {
            position: self.id.clone(),
            window: self.window.clone(),
            connection: binding.connection.clone(),
            grades: binding.grades.as_ref().map(|g| g.map.clone()).unwrap_or_default(),
        })
    }

    /// What must be pulled for it; none where it is no camera, or no camera is there.
    pub fn camera(&self, name: String) -> Option<Camera> {
        let Connection::Camera { main, sub, user, credential } = &self.binding.as_ref()?.connection else {
            return None;
        };
        Some(Camera {
            id: self.id.as_str().parse().ok()?,
            window: self.window.clone(),
            name,
            url: main.clone(),
            sub_url: sub.clone(),
            user: user.clone(),
            credential: credential.clone(),
        })
    }

    /// What the centre is told of it.
    pub fn entry(&self) -> PositionEntry {
        PositionEntry {
            position: self.id.clone(),
            window: self.window.clone(),
            role: self.role.name().to_owned(),
            unconfirmed: self.binding.is_some() && !self.confirmed(),
            hardware: self.binding.as_ref().map(|b| b.serial.clone().unwrap_or_else(|| b.identity.clone())),
        }
    }
}
