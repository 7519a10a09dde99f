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
    for (position, health) in &figures.health {
        let state = health.map_or("unknown", DeviceHealth::name);
        let up = u8::from(*health == Some(DeviceHealth::Up));
        page.row("device_up", &[("position", position), ("state", state)], up);
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
