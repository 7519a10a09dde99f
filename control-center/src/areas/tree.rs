//! The rules of the tree, and the only statements that change it. An area's or hall's `path` is kept with it, so that
//! rights are one prefix comparison; moving an area moves the paths of all below.

use control_protocol::{AreaId, HallId, WindowId};

use crate::{
    params,
    store::{Change, Sql, StoreError, Tx},
};

/// The deepest tree; GB/T 2260 has three levels, and towns and villages below add two.
const DEEPEST: usize = 12;

/// Why the tree cannot be changed so.
#[derive(Debug, thiserror::Error)]
pub enum BadTree {
    /// Against a rule; the text says which and what to do.
    #[error("{0}")]
    Rule(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn rule<T>(text: impl Into<String>) -> Result<T, BadTree> {
    Err(BadTree::Rule(text.into()))
}

pub(super) fn check_name(name: &str) -> Result<(), BadTree> {
    let length = name.chars().count();
    if (1..=100).contains(&length) && name.trim() == name && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        rule(format!("`{name}` cannot be a name: it has 1 to 100 characters and no blank at its ends"))
    }
}

pub(super) fn path_of(sql: &mut dyn Sql, table: &str, id: &str) -> Result<Option<String>, StoreError> {
    let row = sql.query_one(&format!("SELECT path FROM {table} WHERE id = $1"), params![id])?;
    row.map(|row| row.get(0)).transpose()
}

/// The name of a hall, if there is such a hall.
pub fn hall_name(sql: &mut dyn Sql, hall: &HallId) -> Result<Option<String>, StoreError> {
    let row = sql.query_one("SELECT name FROM halls WHERE id = $1", params![hall])?;
    row.map(|row| row.get(0)).transpose()
}

/// Adds an area or changes its name, level and parent. An area without a parent is a root.
pub fn put_area(
    tx: &mut Tx<'_>,
    id: &AreaId,
    parent: Option<&AreaId>,
    name: &str,
    level: &str,
) -> Result<(), BadTree> {
    check_name(name)?;
    if level.is_empty() || level.len() > 20 || !level.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return rule(format!(
            "`{level}` is not a level: use region, city, county or a word of small letters"
        ));
    }
    let above = match parent {
        None => "/".to_owned(),
        Some(parent) => match path_of(tx, "areas", parent.as_str())? {
            Some(path) => path,
            None => return rule(format!("area {id} has parent {parent}, which is not there: add it first")),
        },
    };
    if above.contains(&format!("/{id}/")) {
        return rule(format!("area {id} cannot stand below itself"));
    }
    if above.matches('/').count() > DEEPEST {
        return rule(format!("the tree is deeper than {DEEPEST} levels at {id}"));
    }
    let path = format!("{above}{id}/");
    let former = path_of(tx, "areas", id.as_str())?;
    tx.execute(
        "INSERT INTO areas (id, parent, name, level, path) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET parent = $2, name = $3, level = $4, path = $5",
        params![id, parent, name, level, path],
    )?;
    if let Some(former) = former.filter(|former| *former != path) {
        for table in ["areas", "halls"] {
            tx.execute(
                &format!(
                    "UPDATE {table} SET path = $2 || substr(path, length($1) + 1) \
                     WHERE path LIKE $1 || '%' AND id <> $3"
                ),
                params![former, path, id],
            )?;
        }
    }
    tx.changes.push(Change::Tree);
    Ok(())
}

/// Adds a hall or changes its name and area. Its id begins with the county's code, so the area is that county or one
/// above or below it.
pub fn put_hall(tx: &mut Tx<'_>, id: &HallId, area: &AreaId, name: &str) -> Result<(), BadTree> {
    check_name(name)?;
    let Some(above) = path_of(tx, "areas", area.as_str())? else {
        return rule(format!("hall {id} is in area {area}, which is not there: add it first"));
    };
    // The prefix of its case IDs must name where it is.
    let county = id.county();
    let county_path = path_of(tx, "areas", county.as_str())?;
    let related = county_path.is_none_or(|path| path.starts_with(&above) || above.starts_with(&path));
    if !related {
        return rule(format!("hall {id} carries the code of county {county}, which is not in area {area}"));
    }
    let path = format!("{above}{id}/");
    tx.execute(
        "INSERT INTO halls (id, area, name, path) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET area = $2, name = $3, path = $4",
        params![id, area, name, path],
    )?;
    tx.changes.push(Change::Tree);
    tx.changes.push(Change::Hall(id.clone()));
    Ok(())
}

/// The id of a hall's window by its number.
pub fn window_id(hall: &HallId, number: u32) -> Result<WindowId, BadTree> {
    if !(1..=999).contains(&number) {
        return rule(format!("window number {number} of {hall} is not between 1 and 999"));
    }
    format!("{hall}-W{number:02}").parse().map_err(|error| BadTree::Rule(format!("{error}")))
}

/// Adds a window or changes its name and businesses.
pub fn put_window(
    tx: &mut Tx<'_>,
    hall: &HallId,
    number: u32,
    name: &str,
    businesses: &[String],
) -> Result<WindowId, BadTree> {
    check_name(name)?;
    if path_of(tx, "halls", hall.as_str())?.is_none() {
        return Err(BadTree::Missing(format!("hall {hall} is not there: add it first")));
    }
    let id = window_id(hall, number)?;
    tx.execute(
        "INSERT INTO windows (id, hall, number, name) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET name = $4",
        params![id, hall, number, name],
    )?;
    tx.execute("DELETE FROM window_businesses WHERE win = $1", params![id])?;
    for business in businesses {
        check_name(business)?;
        tx.execute(
            "INSERT INTO businesses (hall, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            params![hall, business],
        )?;
        tx.execute(
            "INSERT INTO window_businesses (win, business) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            params![id, business],
        )?;
    }
    tx.changes.push(Change::Tree);
    tx.changes.push(Change::Window(id.clone()));
    Ok(id)
}

/// Takes an area away; it must be empty and nobody's scope.
pub fn delete_area(tx: &mut Tx<'_>, id: &AreaId) -> Result<(), BadTree> {
    let used = tx.query_one(
        "SELECT (SELECT COUNT(*) FROM areas WHERE parent = $1), (SELECT COUNT(*) FROM halls WHERE area = $1), \
         (SELECT COUNT(*) FROM grants WHERE scope = $1)",
        params![id],
    )?;
    if let Some(used) = used {
        let (areas, halls, grants): (u32, u32, u32) = (used.get(0)?, used.get(1)?, used.get(2)?);
        if areas + halls + grants > 0 {
            return rule(format!(
                "area {id} still holds {areas} areas and {halls} halls and is the scope of {grants} roles: \
                 move or remove them first"
            ));
        }
    }
    if tx.execute("DELETE FROM areas WHERE id = $1", params![id])? == 0 {
        return Err(BadTree::Missing(format!("there is no area {id}")));
    }
    tx.changes.push(Change::Tree);
    Ok(())
}

/// Takes a hall away, with its windows and staff. One that has a node or a record stays.
pub fn delete_hall(tx: &mut Tx<'_>, id: &HallId) -> Result<(), BadTree> {
    let kept = tx.query(
        "SELECT 1 FROM nodes WHERE hall = $1 UNION ALL SELECT 1 FROM (SELECT 1 FROM events WHERE hall = $1 LIMIT 1) e \
         UNION ALL SELECT 1 FROM grants WHERE scope = $1",
        params![id],
    )?;
    if !kept.is_empty() {
        return rule(format!("hall {id} has a node, a record or people of its own and must stay"));
    }
    for statement in [
        "DELETE FROM window_businesses WHERE win IN (SELECT id FROM windows WHERE hall = $1)",
        "DELETE FROM windows WHERE hall = $1",
        "DELETE FROM businesses WHERE hall = $1",
        "DELETE FROM staff WHERE hall = $1",
    ] {
        tx.execute(statement, params![id])?;
    }
    if tx.execute("DELETE FROM halls WHERE id = $1", params![id])? == 0 {
        return Err(BadTree::Missing(format!("there is no hall {id}")));
    }
    tx.changes.push(Change::Tree);
    Ok(())
}

/// Takes a window away; what happened at it stays in the record.
pub fn delete_window(tx: &mut Tx<'_>, id: &WindowId) -> Result<(), BadTree> {
    tx.execute("DELETE FROM window_businesses WHERE win = $1", params![id])?;
    tx.execute("DELETE FROM window_states WHERE win = $1", params![id])?;
    if tx.execute("DELETE FROM windows WHERE id = $1", params![id])? == 0 {
        return Err(BadTree::Missing(format!("there is no window {id}")));
    }
    tx.changes.push(Change::Tree);
    Ok(())
}

/// The windows of a hall, by number: id, number, name.
pub fn windows_of(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<(WindowId, u32, String)>, StoreError> {
    let rows =
        sql.query("SELECT id, number, name FROM windows WHERE hall = $1 ORDER BY number", params![hall])?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}
