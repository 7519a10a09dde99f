//! The configuration file of a hall's edge agent, for the hall as simulated.

use std::path::Path;

use serde_json::{Value, json};

use crate::plan::{CAMERA_USER, HallPlan};

/// Where a running simulated hall has its devices.
#[derive(Debug, Clone)]
pub struct HallPorts {
    /// Serial lines with keypads and evaluators, in order.
    pub buses: Vec<String>,
    /// The ticket printer's line.
    pub ticket_line: String,
    /// The attendance terminal's TCP port.
    pub attendance: u16,
    /// The RTSP server's port.
    pub rtsp: u16,
    /// Devices that are there to be paired: their serial lines, and the terminal's port.
    pub spares: Option<(Vec<String>, u16)>,
}

/// Windows on one bus.
pub const WINDOWS_PER_BUS: usize = 4;

/// How the simulated hall's slips are read.
fn slip_pattern() -> Value {
    let [number, business, waiting, time] = device_drivers::simulator::ticket::PATTERNS;
    json!({"number": number, "business": business, "waiting": waiting, "time": time})
}

/// The RTSP URL of a simulated camera's stream, without user and password.
pub fn camera_url(ports: &HallPorts, short: &str, stream: &str) -> String {
    format!("rtsp://127.0.0.1:{}/{short}/{stream}", ports.rtsp)
}

/// The file as a value, so that a test can change what it wants to break.
pub fn edge_config(hall: &HallPlan, ports: &HallPorts, centre_url: &str, data: &Path) -> Value {
    let businesses: Vec<Value> = crate::places::BUSINESSES
        .iter()
        .map(|(name, prefix, _)| json!({"name": name, "prefix": prefix}))
        .collect();
    let windows: Vec<Value> = hall
        .windows
        .iter()
        .map(
            |w| json!({"number": w.number, "name": w.name, "businesses": w.businesses, "rating_seconds": 10}),
        )
        .collect();
    // The five-key evaluator's order, 04 the best (docs/reference/devices.md, B2.1).
    let grades = json!({"04": 5, "03": 4, "02": 3, "01": 2, "00": 1});
    let buses: Vec<Value> = hall
        .windows
        .chunks(WINDOWS_PER_BUS)
        .zip(&ports.buses)
        .enumerate()
        .map(|(i, (windows, path))| {
            let keypads: Vec<Value> =
                windows.iter().map(|w| json!({"window": w.number, "address": w.number})).collect();
            let evaluators: Vec<Value> = windows
                .iter()
                .map(|w| json!({"window": w.number, "address": w.number, "grades": grades, "grades_confirmed_by": "simulated hall"}))
                .collect();
            json!({"name": format!("bus-{}", i + 1), "path": path, "keypad": keypads, "evaluator": evaluators})
        })
        .collect();
    let cameras: Vec<Value> = hall
        .cameras()
        .into_iter()
        .map(|camera| {
            let mut row = json!({
                "id": camera.id,
                "name": camera.name,
                "url": camera_url(ports, &camera.short, "main"),
                "sub_url": camera_url(ports, &camera.short, "sub"),
                "user": CAMERA_USER,
                "credential": "cameras",
            });
            if let Some(window) = camera.window {
                row["window"] = json!(window);
            }
            row
        })
        .collect();
    let mut file = json!({
        "hall": {"id": hall.id, "name": hall.name, "time_zone": "Asia/Shanghai", "data": data},
        "centre": {"url": centre_url},
        "local_site": {"listen": "127.0.0.1:0"},
        "business": businesses,
        "window": windows,
        "bus": buses,
        "ticket_machine": [{"name": "T01", "path": ports.ticket_line, "pattern": slip_pattern()}],
        "attendance": [{"name": "A01", "address": format!("127.0.0.1:{}", ports.attendance), "log_seconds": 30}],
        "camera": cameras,
        // A test that looks at recordings says so.
        "recording": {"enabled": false},
    });
    if let (Some(spares), Some((lines, terminal))) = (&hall.spares, &ports.spares) {
        file["hall_site"] = json!({"listen": spares.site, "names": ["127.0.0.1", "localhost"]});
        let addresses = [format!("127.0.0.1:{terminal}"), "127.0.0.1".to_owned()];
        file["pairing"] = json!({"ports": lines, "addresses": addresses});
    }
    file
}
