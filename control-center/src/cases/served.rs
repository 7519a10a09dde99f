//! What a clerk called and served, for rooms that ask whether somebody was at work.

use control_protocol::{HallId, UtcMillis, WindowId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    params,
    store::{Sql, StoreError},
};

/// A ticket that a clerk called.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Served {
    /// The case.
    pub case_id: String,
    /// Where.
    #[schema(value_type = Option<String>)]
    pub window: Option<WindowId>,
    /// The ticket.
    pub ticket: String,
    /// When it was called.
    #[schema(value_type = String)]
    pub called_at: UtcMillis,
    /// When the service was over.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<UtcMillis>,
}

/// The most that are told of.
const MOST: i64 = 2000;
/// A case is called within so long of its opening, ms.
const DAY: i64 = 86_400_000;

/// What `clerk` called at a hall from `from` until `to`, in the order of time.
pub fn served_by(
    sql: &mut dyn Sql,
    hall: &HallId,
    clerk: &str,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<Served>, StoreError> {
    let rows = sql.query(
        "SELECT case_id, win, ticket, called_at, ended_at FROM cases WHERE hall = $1 AND opened_at >= $2 \
         AND opened_at < $4 AND clerk = $5 AND called_at >= $3 AND called_at < $4 ORDER BY called_at LIMIT $6",
        params![hall, from.plus(-DAY), from, to, clerk, MOST],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Served {
                case_id: row.get(0)?,
                window: row.get(1)?,
                ticket: row.get(2)?,
                called_at: row.get(3)?,
                ended_at: row.get(4)?,
            })
        })
        .collect()
}
