//! The audit log: who did what, when, from where. Each row carries the hash of the one before, so that a changed or
//! removed row is found; that nobody made the whole chain anew is what [`super::checkpoint`] shows.

use control_protocol::{Digest, UtcMillis};
use serde::Serialize;
use utoipa::ToSchema;

use super::Person;
use crate::{
    params,
    site::list::{Columns, Order, Page},
    store::{Filter, Row, Sql, StoreError},
};

/// What is written to the log.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Who; a name, or what the command line was.
    pub who: &'a str,
    /// Where from.
    pub address: &'a str,
    /// What was done, such as `live.watch` or `hall.changed`.
    pub action: &'a str,
    /// To what: an id.
    pub object: &'a str,
    /// More, in words or JSON; no secret.
    pub detail: &'a str,
}

/// A row of the log, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditRow {
    /// Its number.
    pub n: i64,
    /// When.
    #[schema(value_type = String)]
    pub at: UtcMillis,
    /// Who.
    pub who: String,
    /// What.
    pub action: String,
    /// To what.
    pub object: String,
    /// Where from.
    pub address: String,
    /// More.
    pub detail: String,
}

/// Writes that `person` did `action` to `object`.
pub fn audit(
    sql: &mut dyn Sql,
    person: &Person,
    action: &str,
    object: &str,
    detail: &str,
    now: UtcMillis,
) -> Result<(), StoreError> {
    record(sql, &Entry { who: &person.name, address: &person.address, action, object, detail }, now)
}

/// Writes an entry behind the last one.
pub fn record(sql: &mut dyn Sql, entry: &Entry<'_>, now: UtcMillis) -> Result<(), StoreError> {
    let last = sql.query_one("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1", params![])?;
    let (n, prev) = match last {
        Some(row) => (row.get::<i64>(0)? + 1, row.get(1)?),
        None => (1, Digest::ZERO),
    };
    let hash = digest(n, now, entry, prev);
    sql.execute(
        "INSERT INTO audit (n, at, who, action, object, address, detail, prev, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![n, now, entry.who, entry.action, entry.object, entry.address, entry.detail, prev, hash],
    )?;
    Ok(())
}

/// The hash of a row: over its fields as a JSON array, so that no field can run into the next.
fn digest(n: i64, at: UtcMillis, entry: &Entry<'_>, prev: Digest) -> Digest {
    let fields = serde_json::json!([
        n,
        at.0,
        entry.who,
        entry.action,
        entry.object,
        entry.address,
        entry.detail,
        prev.to_string()
    ]);
    Digest::of(fields.to_string().as_bytes())
}

fn read(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        n: row.get(0)?,
        at: row.get(1)?,
        who: row.get(2)?,
        action: row.get(3)?,
        object: row.get(4)?,
        address: row.get(5)?,
        detail: row.get(6)?,
    })
}

/// What of the log is wanted; all of it must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// By this person.
    pub(super) who: Option<String>,
    /// This action; one that ends with a dot means all that begin so.
    pub(super) action: Option<String>,
    /// To this object.
    pub(super) object: Option<String>,
    /// From this address.
    pub(super) address: Option<String>,
    /// At or after this time.
    pub(super) from: Option<UtcMillis>,
    /// Before this time.
    pub(super) to: Option<UtcMillis>,
}

/// What the log may be sorted by: what its indexes serve.
pub(super) const SORTS: Columns = Columns {
    sorts: &[("n", "n"), ("who", "who"), ("action", "action"), ("object", "object")],
    id: "n",
    usual: "-n",
};

/// A page of the rows that are wanted.
pub(super) fn page(sql: &mut dyn Sql, wanted: &Wanted, order: &Order) -> Result<Page<AuditRow>, StoreError> {
    let (begins, exact) = match &wanted.action {
        Some(action) if action.ends_with('.') => (Some((action.clone(), format!("{action}\u{7f}"))), None),
        action => (None, action.clone()),
    };
    let (low, high) = begins.unzip();
    let mut filter = Filter::new();
    filter
        .with("who = ?", &wanted.who)
        .with("action = ?", &exact)
        .with("action >= ?", &low)
        .with("action < ?", &high)
        .with("object = ?", &wanted.object)
        .with("address = ?", &wanted.address)
        .with("at >= ?", &wanted.from)
        .with("at < ?", &wanted.to);
    order.page(sql, filter, "n, at, who, action, object, address, detail", "audit", read)
}

/// The newest row's number and hash.
pub(super) fn end(sql: &mut dyn Sql) -> Result<Option<(i64, Digest)>, StoreError> {
    let last = sql.query_one("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1", params![])?;
    last.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// Hands every row of the chain, in order, to `each`, with whether it is what was written behind the one before; stops
/// where `each` gives something.
pub(super) fn walk<T>(
    sql: &mut dyn Sql,
    mut each: impl FnMut(i64, Digest, bool) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let mut prev = Digest::ZERO;
    let mut n = 0;
    loop {
        let rows = sql.query(
            "SELECT n, at, who, action, object, address, detail, prev, hash FROM audit WHERE n > $1 \
             ORDER BY n LIMIT 1000",
            params![n],
        )?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in &rows {
            let found = read(row)?;
            let entry = Entry {
                who: &found.who,
                address: &found.address,
                action: &found.action,
                object: &found.object,
                detail: &found.detail,
            };
            let hash = digest(found.n, found.at, &entry, prev);
            let good = found.n == n + 1 && row.get::<Digest>(7)? == prev && row.get::<Digest>(8)? == hash;
            if let Some(done) = each(n + 1, hash, good) {
                return Ok(Some(done));
            }
            prev = hash;
            n = found.n;
        }
    }
}
