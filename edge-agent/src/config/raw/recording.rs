//! `[recording]` as written.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use control_protocol::CameraId;
use serde::Deserialize;

use super::{
    super::{AlarmKind, AutomaticHolds, RecordedStream, Recording},
    Faults,
};

const GIGABYTE: f64 = 1e9;

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct RawRecording {
    enabled: bool,
    folder: Option<PathBuf>,
    stream: RecordedStream,
    sound: bool,
    days: u32,
    gigabytes_per_camera: f64,
    keep_free_gigabytes: f64,
    segment_seconds: u64,
    sync_milliseconds: u64,
    hold_days: u32,
    hold_alarms: Vec<AlarmKind>,
    hold_alarm_days: u32,
    except: Vec<String>,
}

impl Default for RawRecording {
    fn default() -> Self {
        Self {
            enabled: true,
            folder: None,
            stream: RecordedStream::Main,
            sound: false,
            days: 30,
            gigabytes_per_camera: 0.0,
            keep_free_gigabytes: 2.0,
            segment_seconds: 60,
            sync_milliseconds: 2_000,
            hold_days: 180,
            hold_alarms: vec![AlarmKind::Picture],
            hold_alarm_days: 60,
            except: Vec::new(),
        }
    }
}

impl RawRecording {
    pub(super) fn check(self, f: &mut Faults, data: &Path, cameras: &BTreeSet<CameraId>) -> Recording {
        let days =
            [("days", self.days), ("hold_days", self.hold_days), ("hold_alarm_days", self.hold_alarm_days)];
        for (name, days) in days {
            if !(1..=3_650).contains(&days) {
                f.say(format!("recording.{name}: from 1 to 3650"));
            }
        }
        let bytes = |f: &mut Faults, name: &str, gigabytes: f64, least: f64| {
            if !(least..=1e6).contains(&gigabytes) {
                f.say(format!("recording.{name}: from {least} to 1000000"));
            }
            (gigabytes * GIGABYTE) as u64
        };
        if !(5..=600).contains(&self.segment_seconds) {
            f.say("recording.segment_seconds: from 5 to 600".into());
        }
        if !(100..=60_000).contains(&self.sync_milliseconds) {
            f.say("recording.sync_milliseconds: from 100 to 60000".into());
        }
        let mut except = Vec::new();
        for (i, id) in self.except.iter().enumerate() {
            let at = format!("recording.except[{i}]");
            let Some(id) = f.read::<CameraId>(&at, id) else { continue };
            if !cameras.contains(&id) {
                f.say(format!("{at}: no [[camera]] has the id {id}"));
            }
            except.push(id);
        }
        Recording {
            enabled: self.enabled,
            folder: self.folder.unwrap_or_else(|| data.join("recordings")),
            stream: self.stream,
            sound: self.sound,
            days: self.days,
            bytes_per_camera: bytes(f, "gigabytes_per_camera", self.gigabytes_per_camera, 0.0),
            keep_free: bytes(f, "keep_free_gigabytes", self.keep_free_gigabytes, 0.2),
            segment: Duration::from_secs(self.segment_seconds),
            sync: Duration::from_millis(self.sync_milliseconds),
            holds: AutomaticHolds {
                rating_days: self.hold_days,
                alarms: self.hold_alarms,
                alarm_days: self.hold_alarm_days,
            },
            except,
        }
    }
}
