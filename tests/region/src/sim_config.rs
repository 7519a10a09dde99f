//! The configuration of a simulated hall, and where it says that its devices are.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    edge_config::{HallPorts, WINDOWS_PER_BUS},
    places::BUSINESSES,
    plan::{CAMERA_PASSWORD, CAMERA_USER, HallPlan, RegionPlan},
};

/// Where the devices of a simulated hall are that says it is ready.
pub fn ports(ready: &simulated_hall::hall::Ready) -> HallPorts {
    HallPorts {
        buses: ready.devices.buses.iter().map(|path| path.display().to_string()).collect(),
        ticket_line: ready.devices.ticket.display().to_string(),
        attendance: ready.devices.attendance.port(),
        rtsp: ready.rtsp.port(),
        spares: ready.spares.as_ref().map(|spares| {
            let lines = [&spares.bus, &spares.unknown].map(|path| path.display().to_string());
            (lines.to_vec(), spares.attendance.port())
        }),
    }
}

/// The configuration file of `hall`. Its ports are kept over restarts through `ports`, so that an edge agent's
/// configuration stays true.
pub fn sim_config(
    plan: &RegionPlan,
    hall: &HallPlan,
    folder: &Path,
    ports: Option<&HallPorts>,
) -> Result<String> {
    let businesses: Vec<_> = BUSINESSES
        .iter()
        .map(|(name, prefix, _)| json!({"name": name, "prefix": prefix, "first": 1}))
        .collect();
    let clerks: Vec<_> =
        hall.windows.iter().map(|w| json!({"number": w.clerk.0, "name": w.clerk.1})).collect();
    let windows: Vec<_> = hall
        .windows
        .iter()
        .enumerate()
        .map(|(i, w)| {
            json!({
                "number": w.number,
                "name": w.name,
                "businesses": w.businesses,
                "clerk": w.clerk.0,
                "bus": i / WINDOWS_PER_BUS,
                "keypad": w.number,
            })
        })
        .collect();
    let cameras: Vec<_> = hall
        .cameras()
        .into_iter()
        .map(|camera| {
            json!({
                "id": camera.id,
                "path": camera.short,
                "mark": camera.mark,
                "user": CAMERA_USER,
                "password": CAMERA_PASSWORD,
            })
        })
        .collect();
    let seed = plan.seed.wrapping_add(u64::from(hall.first_mark));
    let mut file = json!({
        "hall": hall.id,
        "name": hall.name,
        "seed": seed,
        "speed": plan.speed,
        "run": folder.join("run"),
        "footage": plan.footage,
        "zone": "Asia/Shanghai",
        "stamp": plan.stamped,
        // The day begins when the edge agent listens: what is pressed before that is pressed for nobody.
        "day": false,
        "business": businesses,
        "clerk": clerks,
        "window": windows,
        "camera": cameras,
    });
    if let Some(spares) = &hall.spares {
        file["spares"] = json!({"camera": hall.spare_camera(), "discovery_port": spares.discovery_port});
    }
    if let Some(ports) = ports {
        file["rtsp_port"] = json!(ports.rtsp);
        file["attendance_port"] = json!(ports.attendance);
    }
    Ok(toml::Table::try_from(file).context("the simulated hall's configuration as TOML")?.to_string())
}
