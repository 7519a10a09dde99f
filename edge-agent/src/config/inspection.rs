//! `[inspection]`: how cameras' pictures are looked at, and what counts as a fault. Each camera may differ.
//!
//! The figures come from the footage that the tests use (docs/design/picture-health.md says which and what was measured);
//! a hall with another light or another view sets its own.

use std::{collections::BTreeMap, time::Duration};

use control_protocol::CameraId;
use serde::Deserialize;

/// How pictures are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// From one look to the next, in seconds; a camera with key frames further apart is looked at with each.
    pub every_seconds: u64,
    /// Stills of what was found are kept up to this, in 10⁶ bytes; the oldest go first.
    pub stills_megabytes: u64,
    /// How pictures are judged.
    pub limits: Limits,
    /// Cameras that are judged otherwise; one need not be there yet.
    pub of_cameras: BTreeMap<CameraId, Limits>,
}

impl Default for Inspection {
    fn default() -> Self {
        Self {
            every_seconds: 4,
            stills_megabytes: 200,
            limits: Limits::default(),
            of_cameras: BTreeMap::new(),
        }
    }
}

/// How one camera's picture is judged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether it is looked at.
    pub enabled: bool,
    /// Black: mean luma below this (16 is black, 235 white), and next to nothing half as bright again.
    pub black_luma: u8,
    /// Black for so long is a fault.
    pub black_seconds: u64,
    /// The same picture for so long is a fault; 0: never.
    pub frozen_seconds: u64,
    /// Covered for so long is a fault.
    pub blocked_seconds: u64,
    /// Out of focus: detail below this share of the usual, the contrast accounted for.
    pub focus_share: f32,
    /// Out of focus for so long is a fault.
    pub focus_seconds: u64,
    /// Moved: edges correlate with the usual view by less than this.
    pub moved_likeness: f32,
    /// Moved for so long is a fault.
    pub moved_seconds: u64,
    /// A fault is over after so long without it.
    pub clear_seconds: u64,
    /// Whether a seat is watched; not said: where the camera looks at a window.
    pub seat: Option<bool>,
    /// Where the seat is, in shares of width and height from the upper left: two opposite corners of a rectangle, or the
    /// corners of a polygon.
    pub seat_region: Vec<[f32; 2]>,
    /// Occupied: so much of the region differs from the empty seat.
    pub seat_occupied_share: f32,
    /// Empty: no more of it differs.
    pub seat_empty_share: f32,
    /// Occupied for so long is told.
    pub seat_occupied_seconds: u64,
    /// Empty for so long is told.
    pub seat_empty_seconds: u64,
    /// Without the least movement in the region for so long nobody sits there: what is seen then is learnt as the empty
    /// seat, in minutes.
    pub seat_learn_minutes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            black_luma: 32,
            black_seconds: 10,
            frozen_seconds: 60,
            blocked_seconds: 20,
            focus_share: 0.45,
            focus_seconds: 60,
            moved_likeness: 0.30,
            moved_seconds: 60,
            clear_seconds: 20,
            seat: None,
            seat_region: vec![[0.25, 0.15], [0.75, 0.95]],
            seat_occupied_share: 0.30,
            seat_empty_share: 0.12,
            seat_occupied_seconds: 4,
            seat_empty_seconds: 10,
            seat_learn_minutes: 10,
        }
    }
}

impl Limits {
    fn of(table: toml::Table) -> Result<Self, String> {
        let limits: Self = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        limits.check().map(|()| limits)
    }

    fn check(&self) -> Result<(), String> {
        let seconds = [
            ("black_seconds", self.black_seconds),
            ("blocked_seconds", self.blocked_seconds),
            ("focus_seconds", self.focus_seconds),
            ("moved_seconds", self.moved_seconds),
            ("clear_seconds", self.clear_seconds),
            ("seat_occupied_seconds", self.seat_occupied_seconds),
            ("seat_empty_seconds", self.seat_empty_seconds),
        ];
        if let Some((name, _)) = seconds.into_iter().find(|(_, value)| !(1..=3_600).contains(value)) {
            return Err(format!("{name}: from 1 to 3600"));
        }
        if self.frozen_seconds > 86_400 {
            return Err("frozen_seconds: from 0 to 86400".into());
        }
        if !(1..=1_440).contains(&self.seat_learn_minutes) {
            return Err("seat_learn_minutes: from 1 to 1440".into());
        }
        if !(17..=120).contains(&self.black_luma) {
            return Err("black_luma: from 17 to 120".into());
        }
        let shares = [
            ("focus_share", self.focus_share),
            ("moved_likeness", self.moved_likeness),
            ("seat_occupied_share", self.seat_occupied_share),
            ("seat_empty_share", self.seat_empty_share),
        ];
        if let Some((name, _)) = shares.into_iter().find(|(_, value)| !(0.01..=0.99).contains(value)) {
            return Err(format!("{name}: from 0.01 to 0.99"));
        }
        if self.seat_empty_share >= self.seat_occupied_share {
            return Err("seat_empty_share: must be below seat_occupied_share".into());
        }
        let inside = |corner: &[f32; 2]| corner.iter().all(|share| (0.0..=1.0).contains(share));
        if self.seat_region.len() < 2 || self.seat_region.len() > 32 || !self.seat_region.iter().all(inside) {
            return Err(
                "seat_region: two corners of a rectangle or 3 to 32 of a polygon, each [x, y] from 0 to 1"
                    .into(),
            );
        }
        match picture::chair::Region::polygon(&self.corners()) {
            Some(region) if region.cells() >= 12 => Ok(()),
            _ => Err("seat_region: too small to tell anything by".into()),
        }
    }

    /// The region's corners as a polygon.
    pub fn corners(&self) -> Vec<(f32, f32)> {
        match self.seat_region.as_slice() {
            [[left, top], [right, bottom]] => {
                vec![(*left, *top), (*right, *top), (*right, *bottom), (*left, *bottom)]
            }
            corners => corners.iter().map(|[x, y]| (*x, *y)).collect(),
        }
    }

    /// After how long what is still is learnt.
    pub fn seat_learn(&self) -> Duration {
        Duration::from_secs(self.seat_learn_minutes * 60)
    }
}

impl Inspection {
    /// How a camera's picture is judged.
    pub fn of_camera(&self, camera: &CameraId) -> &Limits {
        self.of_cameras.get(camera).unwrap_or(&self.limits)
    }

    /// Reads the table; what stands below `camera` comes before what stands beside it.
    ///
    /// # Errors
    /// What is wrong, with the name of the setting.
    pub(super) fn of(mut table: toml::Table) -> Result<Self, String> {
        let default = Self::default();
        let mut number =
            |name: &str, range: std::ops::RangeInclusive<i64>, default: u64| match table.remove(name) {
                None => Ok(default),
                Some(value) => value
                    .as_integer()
                    .filter(|value| range.contains(value))
                    .and_then(|value| u64::try_from(value).ok())
                    .ok_or_else(|| format!("{name}: from {} to {}", range.start(), range.end())),
            };
        let every_seconds = number("every_seconds", 1..=60, default.every_seconds)?;
        let stills_megabytes = number("stills_megabytes", 1..=100_000, default.stills_megabytes)?;
        let cameras = match table.remove("camera") {
            None => toml::Table::new(),
            Some(toml::Value::Table(cameras)) => cameras,
            Some(_) => {
                return Err(
                    "camera: a table of cameras, such as [inspection.camera.\"450103-01-W07-C1\"]".into()
                );
            }
        };
        let mut of_cameras = BTreeMap::new();
        for (id, own) in cameras {
            let at = |fault: String| format!("camera.{id}: {fault}");
            let camera: CameraId = id.parse().map_err(|error| at(format!("{error}")))?;
            let toml::Value::Table(own) = own else { return Err(at("a table of settings".into())) };
            let mut settings = table.clone();
            settings.extend(own);
            of_cameras.insert(camera, Limits::of(settings).map_err(at)?);
        }
        Ok(Self { every_seconds, stills_megabytes, limits: Limits::of(table)?, of_cameras })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Inspection, String> {
        Inspection::of(text.parse().unwrap())
    }

    #[test]
    fn a_cameras_own_settings_come_before_the_general_ones() {
        let inspection = of("every_seconds = 2\nfrozen_seconds = 0\nmoved_seconds = 90\n\
             [camera.\"450103-01-W07-C1\"]\nmoved_seconds = 30\nseat_region = [[0.4, 0.2], [0.6, 0.9]]")
        .unwrap();
        assert_eq!(inspection.every_seconds, 2);
        let own = inspection.of_camera(&"450103-01-W07-C1".parse().unwrap());
        assert_eq!((own.frozen_seconds, own.moved_seconds, own.black_seconds), (0, 30, 10));
        assert_eq!(own.corners().len(), 4);
        let other = inspection.of_camera(&"450103-01-W08-C1".parse().unwrap());
        assert_eq!((other.frozen_seconds, other.moved_seconds), (0, 90));
        assert_eq!(of("").unwrap(), Inspection::default());
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        for (text, name) in [
            ("focus_share = 1.5", "focus_share"),
            ("seat_empty_share = 0.5", "seat_empty_share"),
            ("seat_region = [[0.1, 0.1]]", "seat_region"),
            ("seat_region = [[0.5, 0.5], [0.51, 0.51]]", "seat_region"),
            ("black_seconds = 0", "black_seconds"),
            ("every_seconds = 0", "every_seconds"),
            ("camera = 1", "camera"),
            ("[camera.\"W 07\"]\nseat = true", "camera.W 07"),
            ("[camera.\"450103-01-W07-C1\"]\nseet = true", "seet"),
            ("[camera.\"450103-01-W07-C1\"]\nblack_luma = 3", "black_luma"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
    }
}
