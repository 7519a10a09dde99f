//! The configuration of a simulated hall, and what it says when it is ready.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use crate::{
    edge_config::HallPorts,
    plan::{HallPlan, RegionPlan},
};

/// What a simulated hall writes when its devices can be reached.
#[derive(Debug, Clone, Deserialize)]
pub struct SimReady {
    /// RTSP server's port.
    pub rtsp_port: u16,
    /// Port of the control API for faults.
    pub control_port: u16,
    /// Port of the attendance terminal.
    pub attendance_port: u16,
    /// Paths of the counter buses.
    pub buses: Vec<String>,
    /// Path of the ticket printer's line.
    pub ticket_line: String,
    /// Path of the hall's own log.
    pub oracle: String,
}

impl SimReady {
    /// Where the devices are.
    pub fn ports(&self) -> HallPorts {
        HallPorts {
            buses: self.buses.clone(),
            ticket_line: self.ticket_line.clone(),
            attendance: self.attendance_port,
            rtsp: self.rtsp_port,
        }
    }
}

/// The configuration file of `hall`.
pub fn sim_config(_plan: &RegionPlan, _hall: &HallPlan, _folder: &Path) -> Result<String> {
    anyhow::bail!("not yet")
}
