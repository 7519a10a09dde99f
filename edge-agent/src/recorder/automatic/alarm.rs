//! The footage around an alarm: a camera whose picture turned bad or was lost, a device of a window that fell silent for good.
//! Pure. A camera that somebody covers is seen by the others of its window, so all of them are held. What an alarm repeats
//! within ten minutes is in the first one's hold already: a camera that comes and goes does not fill the list.

use std::collections::HashMap;

use control_protocol::{CameraId, Event, Happening, WindowId};

use super::{DAY_MS, Hold, HoldKind};
use crate::config::AlarmKind;

/// Held before the alarm. Pictures show a fault for up to a minute before it is one.
const BEFORE_MS: i64 = 120_000;
/// Held after it, and the time in which its repetition is the same alarm.
const AFTER_MS: i64 = 600_000;

/// What of an event is an alarm, and its reason in words.
fn alarm(event: &Event) -> Option<(AlarmKind, String)> {
    let device = event.device.as_deref().unwrap_or_default();
    match &event.happening {
        Happening::PictureFault { fault, ended: false, .. } => {
            Some((AlarmKind::Picture, format!("the picture of {device} is {}", fault.replace('_', " "))))
        }
        Happening::CameraDown { why } => Some((AlarmKind::Camera, format!("{device} is down: {why}"))),
        Happening::DeviceDown { why } => Some((AlarmKind::Device, format!("{device} is down: {why}"))),
        _ => None,
    }
}

/// The name of the hold that an event calls for by `kinds`; none where it is no such alarm.
pub(super) fn name_of(event: &Event, kinds: &[AlarmKind]) -> Option<String> {
    let (kind, _) = alarm(event).filter(|(kind, _)| kinds.contains(kind))?;
    let device = event.device.as_deref()?;
    Some(format!("alarm-{}-{device}-{}", kind.as_str(), event.at.0.div_euclid(AFTER_MS)))
}

/// The hold of an alarm; none where no camera has seen it, or an event that is none of `kinds`.
pub(super) fn hold_of(
    event: &Event,
    kinds: &[AlarmKind],
    cameras: &HashMap<WindowId, Vec<CameraId>>,
    days: u32,
) -> Option<Hold> {
    let id = name_of(event, kinds)?;
    let (_, reason) = alarm(event)?;
    let mut held: Vec<CameraId> =
        event.window.as_ref().and_then(|window| cameras.get(window)).cloned().unwrap_or_default();
    // A camera of the hall at large belongs to no window; of a device, the position is no camera.
    let own: Option<CameraId> = match event.happening {
        Happening::DeviceDown { .. } => None,
        _ => event.device.as_deref().and_then(|device| device.parse().ok()),
    };
    if let Some(own) = own.filter(|own| !held.contains(own)) {
        held.push(own);
    }
    if held.is_empty() {
        return None;
    }
    Some(Hold {
        id,
        kind: HoldKind::Alarm,
        reason,
        placed_by: None,
        case: None,
        cameras: held,
        from_us: (event.at.0 - BEFORE_MS) * 1000,
        to_us: (event.at.0 + AFTER_MS) * 1000,
        placed_us: event.at.0 * 1000,
        until_us: Some((event.at.0 + i64::from(days) * DAY_MS) * 1000),
        released_us: None,
    })
}

#[cfg(test)]
mod tests {
    use control_protocol::{UtcMillis, chain::Digest, event::ClockQuality};

    use super::*;

    const AT: i64 = 1_795_000_200_000;
    const ALL: [AlarmKind; 3] = [AlarmKind::Picture, AlarmKind::Camera, AlarmKind::Device];

    fn event(at: i64, window: Option<&str>, device: &str, happening: Happening) -> Event {
        Event {
            node: "hall-450103-01".parse().unwrap(),
            epoch: 1,
            seq: 1,
            prev: Digest::ZERO,
            at: UtcMillis(at),
            mono_us: 0,
            boot: "b".into(),
            clock: ClockQuality::Synchronised,
            window: window.map(|window| window.parse().unwrap()),
            device: Some(device.into()),
            case: None,
            hall: "450103-01".parse().unwrap(),
            happening,
            v: 1,
        }
    }

    fn fault(ended: bool) -> Happening {
        Happening::PictureFault { fault: "out_of_focus".into(), ended, since: None, still: None }
    }

    fn cameras() -> HashMap<WindowId, Vec<CameraId>> {
        let two = ["450103-01-W07-C1", "450103-01-W07-C2"].map(|camera| camera.parse().unwrap());
        HashMap::from([("450103-01-W07".parse().unwrap(), two.to_vec())])
    }

    #[test]
    fn a_fault_holds_every_camera_of_its_window_until_its_end() {
        let found = event(AT, Some("450103-01-W07"), "450103-01-W07-C1", fault(false));
        let hold = hold_of(&found, &ALL, &cameras(), 60).unwrap();
        assert_eq!(hold.cameras.len(), 2);
        assert_eq!(hold.kind, HoldKind::Alarm);
        assert_eq!(hold.reason, "the picture of 450103-01-W07-C1 is out of focus");
        assert_eq!((hold.from_us, hold.to_us), ((AT - BEFORE_MS) * 1000, (AT + AFTER_MS) * 1000));
        assert_eq!(hold.until_us, Some((AT + 60 * DAY_MS) * 1000));
        let over = event(AT, Some("450103-01-W07"), "450103-01-W07-C1", fault(true));
        assert!(hold_of(&over, &ALL, &cameras(), 60).is_none());
    }

    #[test]
    fn what_is_repeated_is_held_once_and_what_comes_later_again() {
        let down = |at| {
            let gone = Happening::CameraDown { why: "gone".into() };
            name_of(&event(at, None, "450103-01-C3", gone), &ALL).unwrap()
        };
        assert_eq!(down(AT), down(AT + 1));
        assert_ne!(down(AT), down(AT + AFTER_MS));
    }

    #[test]
    fn only_what_the_hall_wants_and_a_camera_has_seen() {
        let down = || Happening::DeviceDown { why: "unplugged".into() };
        let at_window = event(AT, Some("450103-01-W07"), "450103-01-W07-evaluator", down());
        assert_eq!(hold_of(&at_window, &ALL, &cameras(), 60).unwrap().cameras.len(), 2);
        assert!(hold_of(&at_window, &[AlarmKind::Picture], &cameras(), 60).is_none());
        let of_the_hall = event(AT, None, "450103-01-ticket", down());
        assert!(hold_of(&of_the_hall, &ALL, &cameras(), 60).is_none());
        let at_large = event(AT, None, "450103-01-C3", Happening::CameraDown { why: "gone".into() });
        assert_eq!(hold_of(&at_large, &ALL, &cameras(), 60).unwrap().cameras[0].as_str(), "450103-01-C3");
    }
}
