//! The figures as Prometheus reads them (text format 0.0.4).

use std::fmt::{Display, Write};

use crate::{clock::Clock, devices::DeviceHealth};

use super::Shown;

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP hallwatch_{name} {help}\n# TYPE hallwatch_{name} {kind}");
    }

    fn row(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "hallwatch_{name}");
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.row(name, &[], value);
    }
}

pub(super) fn text(shown: &Shown) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    page.head("build_info", "gauge", "The program's version.");
    page.row("build_info", &[("version", crate::VERSION)], 1);
    journal(&mut page, shown);
    uplink(&mut page, shown);
    devices(&mut page, shown);
    cameras(&mut page, shown);
    recorder(&mut page, shown);
    page.0
}

fn journal(page: &mut Page, shown: &Shown) {
    let status = *shown.journal.status().borrow();
    let now = shown.clock.now_utc();
    page.one("outbox_depth", "gauge", "Events the centre has not committed.", status.depth);
    let age = status.oldest.map_or(0.0, |at| (now.0 - at.0).max(0) as f64 / 1000.0);
    page.one("outbox_oldest_age_seconds", "gauge", "Age of the oldest of them.", age);
    page.one("journal_seq", "counter", "The last event's number in its epoch.", status.last.seq);
    page.one("journal_epoch", "gauge", "The journal's epoch.", status.last.epoch);
    page.one("committed_seq", "gauge", "Events of the epoch up to this are on record at the centre.", {
        status.last.seq.saturating_sub(status.depth)
    });
    page.one("journal_full", "gauge", "1 where the disk is full.", u8::from(status.full));
    page.head("commit_seconds", "histogram", "How long commits of the journal take.");
    let (buckets, count, sum) = shown.journal.commits().read();
    for (bound, n) in buckets {
        page.row("commit_seconds_bucket", &[("le", &(bound as f64 / 1000.0).to_string())], n);
    }
    page.row("commit_seconds_bucket", &[("le", "+Inf")], count);
    page.row("commit_seconds_sum", &[], sum as f64 / 1e6);
    page.row("commit_seconds_count", &[], count);
}

fn uplink(page: &mut Page, shown: &Shown) {
    let uplink = shown.uplink.borrow().clone();
    page.one("uplink_connected", "gauge", "1 where the centre takes events.", u8::from(uplink.connected));
    page.one("uplink_rtt_seconds", "gauge", "The last exchange.", uplink.round_trip.unwrap_or(0.0));
    page.one("uplink_events_total", "counter", "Events committed by the centre.", uplink.events_sent);
    page.one("uplink_batches_total", "counter", "Batches posted.", uplink.batches);
    page.one("uplink_poisoned_total", "counter", "Events the centre could not read.", uplink.poisoned);
    let quarantined = u8::from(uplink.quarantined.is_some());
    page.one("uplink_quarantined", "gauge", "1 where the centre keeps events apart.", quarantined);
    let channel = shown.channel.borrow().clone();
    page.one(
        "channel_connected",
        "gauge",
        "1 where the command channel stands.",
        u8::from(channel.connected),
    );
    page.one("channel_leases", "gauge", "Streams leased now.", channel.leases);
    page.one("channel_connects_total", "counter", "Times the channel was opened.", channel.connects);
    let left = (shown.certificate_ends.borrow().0 - shown.clock.now_utc().0) as f64 / 1000.0;
    page.one("cert_expiry_seconds", "gauge", "Until the node's certificate ends.", left);
    if let Some(offset) = shown.clock.centre_offset_ms() {
        page.one("clock_offset_seconds", "gauge", "The centre's clock minus ours.", offset as f64 / 1000.0);
    }
}

fn devices(page: &mut Page, shown: &Shown) {
    let figures = shown.figures.read();
    page.one("readings_total", "counter", "Readings taken.", figures.readings);
    page.one("open_cases", "gauge", "Cases open now.", figures.open_cases);
    page.head("presses_ignored_total", "counter", "Presses that changed nothing.");
    for (why, n) in &figures.ignored {
        page.row("presses_ignored_total", &[("why", why)], n);
    }
    page.head("device_up", "gauge", "1 where the device is connected and sound.");
    let mut presence = shown.board.presence();
    // Cameras have figures of their own.
    presence.retain(|_, (place, _)| place.role != crate::devices::Role::Camera);
    for (position, (place, presence)) in &presence {
        let state = match presence.health {
            None => "unknown",
            Some(DeviceHealth::Up) if !place.confirmed => "unconfirmed",
            Some(health) => health.name(),
        };
        let up = u8::from(state == "up");
        page.row("device_up", &[("position", position), ("state", state)], up);
    }
    page.head("device_since_seconds", "gauge", "Since when it is so, Unix time.");
    for (position, (_, presence)) in &presence {
        let since = presence.since.0 as f64 / 1000.0;
        page.row("device_since_seconds", &[("position", position)], since);
    }
    page.head("device_last_reading_seconds", "gauge", "When it last said something, Unix time.");
    for (position, (_, presence)) in &presence {
        if let Some(at) = presence.last_reading_at {
            page.row("device_last_reading_seconds", &[("position", position)], at.0 as f64 / 1000.0);
        }
    }
    page.head("device_clock_offset_seconds", "gauge", "The device's clock minus the hall's.");
    for (position, (_, presence)) in &presence {
        if let Some(seconds) = presence.clock_offset_s {
            page.row("device_clock_offset_seconds", &[("position", position)], seconds);
        }
    }
    page.head(
        "presses_refused_total",
        "counter",
        "Presses on evaluators whose grade map nobody has confirmed.",
    );
    for (position, (place, presence)) in &presence {
        if place.role == crate::devices::Role::Evaluator {
            page.row("presses_refused_total", &[("position", position)], presence.refused);
        }
    }
    page.head("device_number", "gauge", "The last number of each report that a device's profile names.");
    for (position, (_, presence)) in &presence {
        for ((report, value), n) in &presence.numbers {
            page.row("device_number", &[("position", position), ("report", report), ("value", value)], n);
        }
    }
    page.head("modem_signal_dbm", "gauge", "What a modem receives of its network.");
    for (position, status) in shown.messages.status() {
        if let Some(signal) = status.signal_dbm {
            page.row("modem_signal_dbm", &[("position", &position)], signal);
        }
    }
    type Read = fn(&device_drivers::reading::Counters) -> u64;
    let counts: [(&str, &str, Read); 5] = [
        ("port_good_frames_total", "Sound frames.", |c| c.good()),
        ("port_bad_frames_total", "Runs of bytes that could not be read.", |c| c.bad()),
        ("port_duplicates_total", "Repetitions suppressed.", |c| c.duplicates()),
        ("port_acknowledged_total", "Acknowledgements sent.", |c| c.acknowledged()),
        ("port_connects_total", "Times the port was opened.", |c| c.connects()),
    ];
    for (name, help, read) in counts {
        page.head(name, "counter", help);
        for (port, counters) in &figures.counters {
            page.row(name, &[("port", port)], read(counters));
        }
    }
}

fn cameras(page: &mut Page, shown: &Shown) {
    let cameras = shown.cameras.snapshot();
    page.head("stream_up", "gauge", "1 where frames arrive.");
    for camera in &cameras {
        for stream in &camera.streams {
            let up = u8::from(stream.state == control_protocol::channel::StreamState::Live);
            let labels = [("camera", camera.camera.as_str()), ("tier", tier(stream.tier))];
            page.row("stream_up", &labels, up);
        }
    }
    page.head("stream_frame_age_seconds", "gauge", "Age of the last frame.");
    for camera in &cameras {
        for stream in &camera.streams {
            if let Some(age) = stream.last_frame_age {
                let labels = [("camera", camera.camera.as_str()), ("tier", tier(stream.tier))];
                page.row("stream_frame_age_seconds", &labels, age);
            }
        }
    }
    page.head("stream_frames_total", "counter", "Frames received.");
    for camera in &cameras {
        for stream in &camera.streams {
            let labels = [("camera", camera.camera.as_str()), ("tier", tier(stream.tier))];
            page.row("stream_frames_total", &labels, stream.figures.frames);
        }
    }
    page.head("stream_bytes_total", "counter", "Bytes received.");
    for camera in &cameras {
        for stream in &camera.streams {
            let labels = [("camera", camera.camera.as_str()), ("tier", tier(stream.tier))];
            page.row("stream_bytes_total", &labels, stream.figures.bytes);
        }
    }
    page.head("stream_sessions_total", "counter", "Times the stream was opened.");
    for camera in &cameras {
        for stream in &camera.streams {
            let labels = [("camera", camera.camera.as_str()), ("tier", tier(stream.tier))];
            page.row("stream_sessions_total", &labels, stream.figures.sessions);
        }
    }
    page.head("stream_ends_total", "counter", "How pulls ended.");
    for camera in &cameras {
        for stream in &camera.streams {
            for (stage, n) in &stream.figures.ends {
                let labels =
                    [("camera", camera.camera.as_str()), ("tier", tier(stream.tier)), ("stage", *stage)];
                page.row("stream_ends_total", &labels, n);
            }
        }
    }
    pictures(page, &cameras);
}

fn pictures(page: &mut Page, cameras: &[crate::cameras::CameraSnapshot]) {
    let each = || cameras.iter().map(|camera| (("camera", camera.camera.as_str()), &camera.picture));
    page.head("picture_fault", "gauge", "1 for each fault of a picture that stands.");
    for (camera, known) in each() {
        for fault in &known.faults {
            page.row("picture_fault", &[camera, ("fault", fault.code())], 1);
        }
    }
    page.head("seat", "gauge", "1 for what is known of each seat.");
    for (camera, known) in each() {
        if let Some(seat) = known.seat {
            page.row("seat", &[camera, ("seat", seat.code())], 1);
        }
    }
    page.head("picture_looks_total", "counter", "Looks at pictures.");
    for (camera, known) in each() {
        page.row("picture_looks_total", &[camera], known.looks);
    }
    page.head("picture_looks_failed_total", "counter", "Looks at which the picture could not be decoded.");
    for (camera, known) in each() {
        page.row("picture_looks_failed_total", &[camera], known.failed);
    }
    page.head("picture_look_seconds_total", "counter", "Time from asking for a look to having it.");
    for (camera, known) in each() {
        page.row("picture_look_seconds_total", &[camera], known.spent.as_secs_f64());
    }
}

fn recorder(page: &mut Page, shown: &Shown) {
    use std::sync::atomic::{AtomicU64, Ordering};
    let Some(recorder) = &shown.recorder else { return };
    let figures = recorder.figures();
    let counters: [(&str, &str, &AtomicU64); 7] = [
        ("recording_frames_total", "Frames recorded.", &figures.frames),
        ("recording_received_bytes_total", "Bytes of the cameras' in them.", &figures.received),
        ("recording_written_bytes_total", "Bytes written to segments.", &figures.written),
        ("recording_segments_total", "Segments sealed.", &figures.sealed),
        ("recording_deleted_segments_total", "Segments deleted.", &figures.deleted),
        (
            "recording_refused_frames_total",
            "Frames left out because the disk did not keep up.",
            &figures.refused,
        ),
        ("recording_failures_total", "Disk failures that ended recording.", &figures.failures),
    ];
    for (name, help, counter) in counters {
        page.one(name, "counter", help, counter.load(Ordering::Relaxed));
    }
    let queued = figures.queued.load(Ordering::Relaxed);
    page.one("recording_queued_bytes", "gauge", "Bytes that wait for the disk.", queued);
    page.head("recording_sync_seconds", "histogram", "How long syncs of segments take.");
    let (buckets, count, sum) = figures.syncs.read();
    for (bound, n) in buckets {
        page.row("recording_sync_seconds_bucket", &[("le", &(bound as f64 / 1000.0).to_string())], n);
    }
    page.row("recording_sync_seconds_bucket", &[("le", "+Inf")], count);
    page.row("recording_sync_seconds_sum", &[], sum as f64 / 1e6);
    page.row("recording_sync_seconds_count", &[], count);
    let state = figures.state();
    page.head("recording_stopped", "gauge", "1 where nothing is recorded.");
    let why = state.stopped.as_deref().unwrap_or_default();
    page.row("recording_stopped", &[("why", why)], u8::from(state.stopped.is_some()));
    if let Some(free) = state.free_bytes {
        page.one("recording_free_bytes", "gauge", "Free on the disk of the recordings.", free);
    }
    if let Some(days) = state.forecast_days {
        let help = "Days of footage that the disk holds at the present rate.";
        page.one("recording_forecast_days", "gauge", help, days);
    }
    page.one(
        "recording_short",
        "gauge",
        "1 where the disk will not hold what is to be kept.",
        u8::from(state.short),
    );
    page.head("recording_bytes", "gauge", "Bytes of sealed segments kept.");
    for (camera, bytes, _) in &state.cameras {
        page.row("recording_bytes", &[("camera", camera.as_str())], bytes);
    }
    page.head("recording_camera", "gauge", "1 where the camera is recorded.");
    for (camera, _, why) in &state.cameras {
        let labels = [("camera", camera.as_str()), ("why", why.as_deref().unwrap_or_default())];
        page.row("recording_camera", &labels, u8::from(why.is_none()));
    }
}

fn tier(tier: control_protocol::frame::Tier) -> &'static str {
    use control_protocol::frame::Tier;
    match tier {
        Tier::Main => "main",
        Tier::Sub => "sub",
        Tier::Key => "key",
        Tier::Still => "still",
    }
}
