//! Starts a whole region on one machine, on loopback alone: a control centre, and for each hall a simulated hall and an
//! edge agent, as real processes joined by real sockets and ptys. The demo and the system tests use it; nothing here is
//! part of the product.

pub mod api;
mod attendance;
pub mod control;
pub mod edge_config;
pub mod places;
pub mod plan;
pub mod process;
pub mod ready;
pub mod recorded;
pub mod sim_config;
pub mod start;
pub mod wall;

pub use plan::RegionPlan;
pub use start::{Region, Sizes};
