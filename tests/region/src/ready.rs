//! `ready.json`: what a program needs to use a running region (docs/guide/demo.md). Written by rename, so that
//! whoever finds it finds it whole.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// The centre's address, https.
    pub url: String,
    /// The centre's CA certificate, so that a program need not trust blindly.
    pub ca: String,
    /// People who can sign in; the region's supervisor is the first of its role.
    pub users: Vec<ReadyUser>,
    /// The halls.
    pub halls: Vec<ReadyHall>,
    /// The cameras.
    pub cameras: Vec<ReadyCamera>,
}

/// One person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadyUser {
    /// `administrator supervisor hall_manager hr technician`.
    pub role: String,
    /// Sign-in name.
    pub name: String,
    /// Password.
    pub password: String,
    /// The area whose places the person may see.
    pub area: String,
    /// The one hall, where the person's rights end at a hall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hall: Option<String>,
}

/// One hall.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadyHall {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id of its edge agent.
    pub node: String,
    /// The ids of its windows.
    pub windows: Vec<String>,
    /// The simulated hall's own log of what was pressed, printed and acknowledged.
    pub oracle: String,
    /// Where faults are asked for.
    pub control: String,
    /// The hall's own page, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Devices that are there to be paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<simulated_hall::spares::ReadySpares>,
}

/// One camera.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadyCamera {
    /// Its id.
    pub id: String,
    /// Its hall.
    pub hall: String,
    /// The window it looks at; null for the hall at large.
    pub window: Option<String>,
    /// Its main stream.
    pub rtsp: String,
    /// The number its picture carries as a mark of black and white cells.
    pub mark: u16,
}

/// Writes `value` as JSON to `path` by rename.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, serde_json::to_vec_pretty(value)?)
        .with_context(|| format!("writing {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("writing {}", path.display()))
}

/// Reads JSON from `path`, if the file is there.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}
