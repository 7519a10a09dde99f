//! The scenarios. Each plays on a stage of its own, draws everything from its lot and gives what it counted.

pub(crate) mod batches;
pub(crate) mod centre_disk;
pub(crate) mod clocks;
pub(crate) mod copies;
pub(crate) mod full_disk;
pub(crate) mod kills;
pub(crate) mod links;
pub(crate) mod power_cuts;
pub(crate) mod recorded;
pub(crate) mod service;
pub(crate) mod storm;
pub(crate) mod viewers;
