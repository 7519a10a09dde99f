//! The people's site: routes put together, HTTPS, headers, embedded pages, health. Decides nothing that a room decides.

pub mod extract;
pub mod list;
pub mod problem;
