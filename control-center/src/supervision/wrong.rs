//! What is wrong now, one row each, the riskiest first. Pure: what the rooms found comes in, the order goes out. The order
//! is the wall's (`web/src/wall/risk.ts`): nothing is seen of a hall, a picture fails, somebody was badly served, a device
//! is silent, somebody waits long, a window pauses long.

use control_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    areas::DeviceTrouble,
    evaluations::BadRating,
    pictures::StandingFault,
    queue::{Pausing, Thresholds},
};

/// A bad rating stands among what is wrong for so long.
pub(super) const RATING_MS: i64 = 30 * 60_000;

const MINUTE_MS: i64 = 60_000;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Wrong {
    /// `node.quarantined node.offline camera.down picture.fault rating.bad device.down device.silent wait.long
    /// window.paused`.
    #[schema(example = "wait.long")]
    pub kind: &'static str,
    /// Higher is looked at first.
    #[schema(example = 527)]
    pub risk: u32,
    /// Since when; none where that is not known.
    #[schema(value_type = Option<String>, example = "2026-11-22T00:33:00.000Z")]
    pub since: Option<UtcMillis>,
    /// Its hall.
    #[schema(example = "450103-01")]
    pub hall: String,
    /// Its window.
    pub window: Option<String>,
    /// The camera, or the device's position.
    pub device: Option<String>,
    /// The case of a rating.
    pub case_id: Option<String>,
    /// 1 or 2, of a rating.
    pub grade: Option<u8>,
    /// More: a reason in plain words, the name of a fault, a device's role.
    pub why: Option<String>,
}

impl Wrong {
    fn of(kind: &'static str, risk: u32, hall: &str, since: Option<UtcMillis>) -> Self {
        Self {
            kind,
            risk,
            since,
            hall: hall.to_owned(),
            window: None,
            device: None,
            case_id: None,
            grade: None,
            why: None,
        }
    }

    /// The node of `hall` is set apart.
    pub(super) fn quarantine(hall: &str, why: Option<String>) -> Self {
        Self { why, ..Self::of("node.quarantined", 40_000, hall, None) }
    }

    /// Nothing comes from `hall`.
    pub(super) fn offline(hall: &str, since: Option<UtcMillis>) -> Self {
        Self::of("node.offline", 30_000, hall, since)
    }

    /// A camera shows nothing.
    pub(super) fn camera(
        hall: &str,
        window: Option<String>,
        camera: &str,
        why: Option<String>,
        since: UtcMillis,
    ) -> Self {
        Self {
            window,
            device: Some(camera.to_owned()),
            why,
            ..Self::of("camera.down", 10_000, hall, Some(since))
        }
    }

    /// The oldest ticket of `hall` waits since `since`; nothing while that is not long by the hall's thresholds.
    pub(super) fn wait(hall: &str, since: UtcMillis, now: UtcMillis, set: &Thresholds) -> Option<Self> {
        let waited = now.0 - since.0;
        let long = waited >= i64::from(set.longest_wait_minutes) * MINUTE_MS;
        long.then(|| Self::of("wait.long", 500 + minutes(waited, 480), hall, Some(since)))
    }

    /// A window is on a break; nothing while that is not long by its hall's thresholds.
    pub(super) fn pause(pause: Pausing, now: UtcMillis, set: &Thresholds) -> Option<Self> {
        let lasted = now.0 - pause.since.0;
        (lasted >= i64::from(set.pause_minutes) * MINUTE_MS).then(|| Self {
            window: Some(pause.window),
            why: pause.why,
            ..Self::of("window.paused", 300 + minutes(lasted, 180), &pause.hall, Some(pause.since))
        })
    }

    /// The worst that a hall's cell on the map is to show for this.
    pub(super) fn state(&self) -> HallState {
        match self.kind {
            "node.quarantined" | "camera.down" | "picture.fault" | "rating.bad" | "device.down" => {
                HallState::Bad
            }
            "node.offline" => HallState::Offline,
            _ => HallState::Attention,
        }
    }
}

impl From<StandingFault> for Wrong {
    fn from(fault: StandingFault) -> Self {
        Self {
            window: fault.window,
            device: Some(fault.camera),
            why: Some(fault.fault),
            ..Self::of("picture.fault", 9_000, &fault.hall, Some(fault.since))
        }
    }
}

impl From<BadRating> for Wrong {
    fn from(rating: BadRating) -> Self {
        let risk = 2_000 + u32::from(crate::evaluations::BAD_GRADE.saturating_sub(rating.grade)) * 500;
        Self {
            window: rating.window,
            case_id: rating.case_id,
            grade: Some(rating.grade),
            ..Self::of("rating.bad", risk, &rating.hall, Some(rating.at))
        }
    }
}

impl From<DeviceTrouble> for Wrong {
    fn from(device: DeviceTrouble) -> Self {
        let (kind, risk) = if device.down { ("device.down", 1_500) } else { ("device.silent", 1_200) };
        Self {
            window: device.window,
            device: Some(device.position),
            why: Some(device.role),
            ..Self::of(kind, risk, &device.hall, Some(device.since))
        }
    }
}

fn minutes(millis: i64, most: i64) -> u32 {
    u32::try_from((millis / MINUTE_MS).clamp(0, most)).unwrap_or(0)
}

/// The riskiest first; of the same risk the longest standing.
pub(super) fn by_risk(wrong: &mut [Wrong]) {
    wrong.sort_by(|a, b| {
        (b.risk, a.since, &a.hall, &a.window, &a.device)
            .cmp(&(a.risk, b.since, &b.hall, &b.window, &b.device))
    });
}

/// How a hall is, the best first: an area shows the worst of its halls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HallState {
    /// No node has been enrolled for it.
    Absent,
    /// Connected, and every window is closed.
    Closed,
    /// Connected, and nothing is wrong.
    Good,
    /// Somebody waits long, a window pauses long, a device is silent.
    Attention,
    /// A camera or device fails, a picture is at fault, a bad rating within half an hour, its node is set apart.
    Bad,
    /// Its node is not connected: what is shown of it is old.
    Offline,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_riskiest_stands_first() {
        let now = UtcMillis(10_000_000);
        let rating =
            |grade| Wrong::from(BadRating { at: now, hall: "h".into(), window: None, case_id: None, grade });
        let device = |down| {
            let since = UtcMillis(5);
            let (position, hall, role) = ("p".into(), "h".into(), "keypad".into());
            Wrong::from(DeviceTrouble { position, hall, window: None, role, down, why: None, since })
        };
        let set = Thresholds { longest_wait_minutes: 16, pause_minutes: 20, ..Thresholds::default() };
        let pausing = |since| Pausing { window: "w".into(), hall: "h".into(), why: None, since };
        let mut all = vec![
            Wrong::pause(pausing(UtcMillis(0)), now, &set).unwrap(),
            Wrong::wait("h", UtcMillis(now.0 - 16 * MINUTE_MS), now, &set).unwrap(),
            Wrong::wait("g", UtcMillis(now.0 - 40 * MINUTE_MS), now, &set).unwrap(),
            device(false),
            device(true),
            rating(2),
            rating(1),
            Wrong::camera("h", None, "c", None, now),
            Wrong::offline("i", None),
            Wrong::quarantine("j", None),
        ];
        by_risk(&mut all);
        let order: Vec<_> = all.iter().map(|wrong| (wrong.kind, wrong.hall.as_str(), wrong.grade)).collect();
        assert_eq!(
            order,
            [
                ("node.quarantined", "j", None),
                ("node.offline", "i", None),
                ("camera.down", "h", None),
                ("rating.bad", "h", Some(1)),
                ("rating.bad", "h", Some(2)),
                ("device.down", "h", None),
                ("device.silent", "h", None),
                ("wait.long", "g", None),
                ("wait.long", "h", None),
                ("window.paused", "h", None),
            ]
        );
        let nearly = |minutes: i64| UtcMillis(now.0 - minutes * MINUTE_MS + 1);
        assert_eq!(Wrong::wait("h", nearly(16), now, &set), None, "not yet long");
        assert_eq!(Wrong::pause(pausing(nearly(20)), now, &set), None, "not yet long");
        assert_eq!(Wrong::wait("h", nearly(30), now, &Thresholds::default()), None, "30 minutes unless set");
    }
}
