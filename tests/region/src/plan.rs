//! The plan of a region: which halls, windows, cameras and people, and the configuration files that every program gets.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::attendance;
use crate::places::{AREAS, BUSINESSES, HALLS, clerk_name, window_name};

/// What to start.
#[derive(Debug, Clone)]
pub struct RegionPlan {
    /// The halls.
    pub halls: Vec<HallPlan>,
    /// How much faster than life the scripted day runs: it compresses the gaps between events, never a clock.
    pub speed: f64,
    /// The seed of everything drawn by lot.
    pub seed: u64,
    /// Past working days to put on record before the start.
    pub history_days: u32,
    /// Whether each frame carries the time it left the camera.
    pub stamped: bool,
    /// Whether the scripted day runs; without it nothing is pressed, printed or punched.
    pub day: bool,
    /// Whether the halls record their cameras.
    pub recording: bool,
    /// Where encoded footage is kept from one start to the next.
    pub footage: PathBuf,
}

/// One hall.
#[derive(Debug, Clone)]
pub struct HallPlan {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its windows.
    pub windows: Vec<WindowPlan>,
    /// Cameras of the hall at large.
    pub security_cameras: usize,
    /// The number in the picture of its first camera; the others follow.
    pub first_mark: u16,
    /// The hall's own page, and devices that somebody may pair there; none: neither.
    pub spares: Option<SparesPlan>,
}

/// Devices that are there and in nobody's file.
#[derive(Debug, Clone)]
pub struct SparesPlan {
    /// Where the hall's own page listens.
    pub site: String,
    /// The port on which the spare camera answers discovery; 0, or one that is taken: a free one.
    pub discovery_port: u16,
}

/// What the spare camera's picture says.
const SPARE_LABEL: &str = "NEW";

/// One window.
#[derive(Debug, Clone)]
pub struct WindowPlan {
    /// Its number.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// What it serves.
    pub businesses: Vec<String>,
    /// The clerk who sits there: staff number and name.
    pub clerk: (String, String),
}

/// One camera.
#[derive(Debug, Clone)]
pub struct CameraPlan {
    /// Its id.
    pub id: String,
    /// Its name at the simulated hall, the first part of its RTSP path.
    pub short: String,
    /// The window it looks at.
    pub window: Option<u16>,
    /// What people call it.
    pub name: String,
    /// The number in its picture.
    pub mark: u16,
}

/// The user every camera asks for.
pub const CAMERA_USER: &str = "admin";
/// Its password: made up here, for cameras that exist nowhere.
pub const CAMERA_PASSWORD: &str = "hall-Window-2026";

impl RegionPlan {
    /// The demonstration: 4 halls of 9 windows each.
    pub fn demo(footage: PathBuf) -> Self {
        Self { recording: true, ..Self::of(4, 9, 1, footage) }
    }

    /// `halls` (1 to 4) halls with `windows` windows and `security` cameras of the hall at large each.
    pub fn of(halls: usize, windows: u16, security: usize, footage: PathBuf) -> Self {
        let halls = HALLS
            .iter()
            .take(halls)
            .enumerate()
            .map(|(h, (id, name))| HallPlan {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                windows: (1..=windows).map(|number| window(h, number)).collect(),
                security_cameras: security,
                first_mark: h as u16 * 100 + 1,
                spares: None,
            })
            .collect();
        Self {
            halls,
            speed: 30.0,
            seed: 20_261_122,
            history_days: 0,
            stamped: false,
            day: true,
            recording: false,
            footage,
        }
    }
}

fn window(hall: usize, number: u16) -> WindowPlan {
    let main = usize::from(number - 1) % BUSINESSES.len();
    let mut businesses = vec![BUSINESSES[main].0.to_owned()];
    // Every fourth window is a general one (综合窗口) and serves the next business too.
    let general = number.is_multiple_of(4);
    if general {
        businesses.push(BUSINESSES[(main + 1) % BUSINESSES.len()].0.to_owned());
    }
    let name = if general { "综合窗口".to_owned() } else { window_name(&businesses[0]) };
    let serial = hall * 20 + usize::from(number);
    WindowPlan { number, name, businesses, clerk: (format!("{}", 1000 + serial), clerk_name(serial)) }
}

impl HallPlan {
    /// The id of window `number`.
    pub fn window_id(&self, number: u16) -> String {
        format!("{}-W{number:02}", self.id)
    }

    /// The ids of all windows.
    pub fn window_ids(&self) -> Vec<String> {
        self.windows.iter().map(|window| self.window_id(window.number)).collect()
    }

    /// The camera that is there to be paired: the simulated hall's own entry for it.
    pub fn spare_camera(&self) -> serde_json::Value {
        let mark = self.first_mark + 98;
        json!({
            "id": format!("{}-spare", self.id), "path": "X01", "mark": mark, "label": SPARE_LABEL,
            "user": CAMERA_USER, "password": CAMERA_PASSWORD,
        })
    }

    /// The hall's cameras: one over each window, then those of the hall at large.
    pub fn cameras(&self) -> Vec<CameraPlan> {
        let over_windows = self.windows.iter().map(|window| CameraPlan {
            id: format!("{}-W{:02}-C1", self.id, window.number),
            short: format!("W{:02}", window.number),
            window: Some(window.number),
            name: format!("{}号窗口", window.number),
            mark: 0,
        });
        let at_large = (1..=self.security_cameras).map(|n| CameraPlan {
            id: format!("{}-S{n:02}", self.id),
            short: format!("S{n:02}"),
            window: None,
            name: format!("大厅{n}"),
            mark: 0,
        });
        over_windows
            .chain(at_large)
            .enumerate()
            .map(|(i, camera)| CameraPlan { mark: self.first_mark + i as u16, ..camera })
            .collect()
    }
}

/// A person of the plan: role, sign-in name, area and, where rights end at one hall, the hall.
pub fn people(plan: &RegionPlan) -> Vec<(&'static str, &'static str, String, Option<String>)> {
    let hall = plan.halls.first().map(|hall| hall.id.clone()).unwrap_or_default();
    let county = hall.get(..6).unwrap_or("450000").to_owned();
    let region = || "450000".to_owned();
    vec![
        ("administrator", "admin", region(), None),
        ("supervisor", "region", region(), None),
        ("supervisor", "city", "450100".to_owned(), None),
        ("supervisor", "county", county.clone(), None),
        ("hall_manager", "hall", county, Some(hall)),
        ("hr", "hr", region(), None),
        ("technician", "tech", region(), None),
    ]
}

/// The centre's import file. `passwords` go with [`people`], in order.
pub fn import_file(plan: &RegionPlan, passwords: &[String]) -> String {
    let mut file = toml::Table::new();
    let list =
        |rows: Vec<serde_json::Value>| toml::Value::try_from(rows).unwrap_or(toml::Value::Array(Vec::new()));
    let areas = AREAS.iter().map(|area| {
        let mut row = json!({"id": area.code, "name": area.name, "level": area.level});
        if let Some(parent) = area.parent {
            row["parent"] = json!(parent);
        }
        row
    });
    file.insert("area".into(), list(areas.collect()));
    let halls = plan.halls.iter().map(|hall| json!({"id": hall.id, "name": hall.name, "area": hall.id[..6]}));
    file.insert("hall".into(), list(halls.collect()));
    let of_halls = |row: fn(&HallPlan, &WindowPlan) -> serde_json::Value| {
        plan.halls
            .iter()
            .flat_map(|hall| hall.windows.iter().map(move |window| row(hall, window)))
            .collect::<Vec<_>>()
    };
    let windows = of_halls(
        |hall, window| json!({"hall": hall.id, "number": window.number, "name": window.name, "businesses": window.businesses}),
    );
    file.insert("window".into(), list(windows));
    let staff = of_halls(|hall, window| {
        let unit = BUSINESSES.iter().find(|(name, ..)| window.businesses.first().is_some_and(|b| b == name));
        json!({
            "hall": hall.id, "number": window.clerk.0, "name": window.clerk.1, "window": window.number,
            "unit": unit.map_or("政务服务中心", |(.., unit)| *unit),
        })
    });
    file.insert("staff".into(), list(staff));
    let (shifts, rosters) = attendance::usual(plan);
    file.insert("shift".into(), list(shifts));
    file.insert("roster".into(), list(rosters));
    let users = people(plan)
        .into_iter()
        .zip(passwords)
        .map(|((role, name, area, hall), password)| {
            json!({"name": name, "password": password, "role": role, "scope": hall.unwrap_or(area), "must_change": false})
        })
        .collect();
    file.insert("user".into(), list(users));
    file.to_string()
}

/// Where the parts of one hall keep their files.
pub fn hall_folder(root: &Path, hall: &HallPlan) -> PathBuf {
    root.join(format!("hall-{}", hall.id))
}
