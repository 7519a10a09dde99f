//! Cases: one service of one person each, from ticket to close, joined by the case ID. Owns the table `cases`; reads
//! a case's events from the record. Follows the edge's case sessions and never closes a case by itself.

mod projection;
mod routes;

pub use projection::project;
pub(crate) use routes::raw;
pub use routes::routes;
