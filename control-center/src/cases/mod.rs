//! Cases: one service of one person each, from ticket to close, joined by the case ID. Owns the tables `cases` and
//! `official_numbers`; reads a case's events from the record. Follows the edge's case sessions and never closes a case by itself.

mod export;
mod official;
mod projection;
mod routes;
mod served;
mod table;
#[cfg(test)]
mod tests;

pub use projection::project;

use utoipa_axum::router::OpenApiRouter;

use crate::Centre;

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    routes::routes().merge(official::routes()).merge(export::routes())
}

pub(crate) use routes::{CaseRow, at_window, event, events, raw, row};
pub use served::{Served, served_by};
