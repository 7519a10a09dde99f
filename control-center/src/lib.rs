//! The control centre: intake, read models, live wall and the people's site. A folder is a capability; its rules, SQL
//! and routes stand side by side, and rooms talk through small public functions, never through each other's tables.

pub mod access;
pub mod areas;
pub mod attendance;
pub mod backup;
pub mod cases;
pub mod centre;
pub mod config;
pub mod data_lock;
pub mod evaluations;
pub mod evidence;
pub mod live;
pub mod maintenance;
pub mod nodes;
pub mod pictures;
pub mod presets;
pub mod projections;
pub mod queue;
pub mod recordings;
#[cfg(test)]
mod scene;
pub mod seal;
mod secret_file;
pub mod sheets;
pub mod site;
pub mod statistics;
pub mod store;
pub mod supervision;
pub mod webhooks;

pub use centre::{Centre, Clock};
