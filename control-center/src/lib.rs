//! The control centre: intake, read models, live wall and the people's site. A folder is a capability; its rules, SQL
//! and routes stand side by side, and rooms talk through small public functions, never through each other's tables.

pub mod access;
pub mod areas;
pub mod attendance;
pub mod cases;
pub mod centre;
pub mod config;
pub mod evaluations;
pub mod live;
pub mod nodes;
pub mod projections;
pub mod queue;
#[cfg(test)]
mod scene;
pub mod site;
pub mod store;
pub mod supervision;

pub use centre::{Centre, Clock};
