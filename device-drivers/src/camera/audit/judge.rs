//! From figures to a verdict. Pure. The limits stand here, each with its reason.

use serde::Serialize;

use super::{Measured, Role};

/// A viewer who joins waits for a key frame at most this long, and a recording can be cut this finely.
const GOP_GOOD_S: f64 = 2.5;
/// Beyond this a joining viewer believes the camera is broken, and one lost packet spoils this much.
const GOP_BAD_S: f64 = 8.0;
/// The key frame interval to set, in seconds.
const GOP_WANTED_S: f64 = 2.0;
/// The camera's clock burnt into the picture should agree with the events beside it.
const CLOCK_NOTICE_S: f64 = 2.0;
/// So far off, the time in the picture speaks against the record.
const CLOCK_WARNING_S: f64 = 60.0;
/// Less is a slide show: hands over a counter cannot be followed.
const LEAST_FPS: f64 = 8.0;
/// A tolerated difference between told and true rate.
const FPS_SLACK: f64 = 0.1;
/// A pause that a person sees.
const GAP_MS: u64 = 1000;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The stream does not serve its purpose like this.
    Fault,
    /// It works, with a drawback.
    Warning,
    /// Worth knowing.
    Notice,
}

/// The whole in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to change.
    Good,
    /// Usable; something should be changed.
    Usable,
    /// Not fit for its purpose.
    Unfit,
}

impl Verdict {
    pub(super) fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|f| f.severity).min() {
            Some(Severity::Fault) => Self::Unfit,
            Some(Severity::Warning) => Self::Usable,
            Some(Severity::Notice) | None => Self::Good,
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum What {
    /// No key frame came while it played.
    NoKeyFrame {
        /// Seconds played.
        seconds: f64,
    },
    /// The stream ended by itself.
    EndedEarly {
        /// Why.
        why: String,
        /// Seconds played.
        seconds: f64,
    },
    /// H.265: the wall shows stills only.
    H265,
    /// A profile that browsers do not play.
    ProfileUnplayable {
        /// Its name.
        profile: String,
    },
    /// Key frames are far apart.
    GopLong {
        /// Seconds of the longest group.
        seconds: f64,
        /// It was not seen to end.
        at_least: bool,
    },
    /// Groups of very different length: the mark of a "smart codec".
    GopIrregular {
        /// Seconds.
        shortest_s: f64,
        /// Seconds.
        longest_s: f64,
    },
    /// B-frames: later to show, and no browser plays them from RTP.
    BFrames,
    /// Fewer frames than told.
    FewerFrames {
        /// Told.
        told: f64,
        /// True.
        fps: f64,
    },
    /// More frames than told.
    MoreFrames {
        /// Told.
        told: f64,
        /// True.
        fps: f64,
    },
    /// Very few frames.
    FewFrames {
        /// True.
        fps: f64,
    },
    /// The camera's times do not go with the frames' arrival.
    TimesWrong {
        /// By the camera's times.
        stamped: f64,
        /// By arrival.
        fps: f64,
    },
    /// The camera's time jumped.
    TimesJump {
        /// How often.
        count: usize,
    },
    /// More bits than the hall's network and the recorder should carry.
    BitRateHigh {
        /// kbit/s.
        kbps: f64,
        /// The most that is sensible.
        most: f64,
    },
    /// More lines than the wall shows.
    SubLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Fewer lines than evidence needs.
    MainSmall {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// The camera's clock is off.
    ClockOff {
        /// The camera's minus ours.
        seconds: f64,
    },
    /// The camera does not tell its time while it plays.
    ClockUnknown,
    /// The first picture comes late.
    FirstPictureSlow {
        /// From the start of playing.
        ms: u64,
    },
    /// Packets are missing.
    PacketsLost {
        /// How many.
        packets: u64,
        /// Frames seen.
        frames: usize,
    },
    /// A pause in the middle.
    Pause {
        /// Its length.
        ms: u64,
    },
}

/// What to change in the camera (or around it).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "setting", rename_all = "snake_case")]
pub enum Change {
    /// Video encoding: H.264.
    CodecH264,
    /// Profile: Main.
    ProfileMain,
    /// Key frame interval (I-frame interval, GOP).
    KeyFrameInterval {
        /// In frames.
        frames: u32,
    },
    /// Smart codec (H.264+, H.265+, Smart Codec, U-Code): off.
    SmartCodecOff,
    /// B-frames: none.
    BFramesOff,
    /// Frame rate.
    FrameRate {
        /// Frames a second.
        fps: u32,
    },
    /// Slow shutter in the dark: off, or more light.
    SlowShutterOff,
    /// Highest bit rate.
    BitRate {
        /// kbit/s.
        kbps: u32,
    },
    /// Resolution.
    Resolution {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Time server: the hall's node, or the one the node uses.
    TimeServer,
    /// Cable, switch port, or too many viewers of this camera.
    Network,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
    /// What to do about it.
    pub change: Option<Change>,
}

pub(super) fn findings(m: &Measured, role: Role) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |severity, what, change| found.push(Finding { severity, what, change });
    let one = |x: f64| (x * 10.0).round() / 10.0;
    picture(m, role, &mut add);
    groups(m, &mut add);
    rate(m, role, &mut add);
    match m.clock_offset_s {
        Some(off) if off.abs() > CLOCK_WARNING_S => {
            add(Severity::Warning, What::ClockOff { seconds: one(off) }, Some(Change::TimeServer));
        }
        Some(off) if off.abs() > CLOCK_NOTICE_S => {
            add(Severity::Notice, What::ClockOff { seconds: one(off) }, Some(Change::TimeServer));
        }
        Some(_) => {}
        None => add(Severity::Notice, What::ClockUnknown, None),
    }
    if m.lost_packets > 0 {
        let many = m.lost_packets as f64 > m.frames as f64 * 0.01;
        let severity = if many { Severity::Fault } else { Severity::Warning };
        let what = What::PacketsLost { packets: m.lost_packets, frames: m.frames };
        add(severity, what, Some(Change::Network));
    }
    if m.longest_gap_ms > GAP_MS {
        add(Severity::Warning, What::Pause { ms: m.longest_gap_ms }, Some(Change::Network));
    }
    if let Some(ms) = m.first_key_ms.filter(|ms| *ms > (GOP_GOOD_S * 1000.0) as u64) {
        add(Severity::Notice, What::FirstPictureSlow { ms }, None);
    }
    if let Some(why) = &m.ended {
        let what = What::EndedEarly { why: why.clone(), seconds: one(m.seconds) };
        add(Severity::Fault, what, Some(Change::Network));
    }
    found.sort_by_key(|f| f.severity);
    found
}

type Add<'a> = dyn FnMut(Severity, What, Option<Change>) + 'a;

fn picture(m: &Measured, role: Role, add: &mut Add<'_>) {
    if m.codec == "h265" {
        let severity = if role == Role::Sub { Severity::Fault } else { Severity::Warning };
        add(severity, What::H265, Some(Change::CodecH264));
    } else if let Some(profile @ ("Extended" | "High 10" | "High 4:2:2" | "High 4:4:4 Predictive")) =
        m.profile
    {
        let what = What::ProfileUnplayable { profile: profile.to_owned() };
        add(Severity::Fault, what, Some(Change::ProfileMain));
    }
    if m.b_frames {
        add(Severity::Warning, What::BFrames, Some(Change::BFramesOff));
    }
    let (width, height) = (m.width, m.height);
    match role {
        Role::Sub if height > 600 => {
            let change = Change::Resolution { width: 640, height: 360 };
            add(Severity::Warning, What::SubLarge { width, height }, Some(change));
        }
        Role::Main if height < 720 => {
            let change = Change::Resolution { width: 1920, height: 1080 };
            add(Severity::Warning, What::MainSmall { width, height }, Some(change));
        }
        _ => {}
    }
}

fn groups(m: &Measured, add: &mut Add<'_>) {
    let Some(gop) = &m.gop else {
        add(Severity::Fault, What::NoKeyFrame { seconds: m.seconds.round() }, interval(m));
        return;
    };
    let one = |x: f64| (x * 10.0).round() / 10.0;
    if !gop.regular && gop.longest_s > GOP_GOOD_S {
        let what = What::GopIrregular { shortest_s: one(gop.shortest_s), longest_s: one(gop.longest_s) };
        let severity = if gop.longest_s > GOP_BAD_S { Severity::Fault } else { Severity::Warning };
        add(severity, what, Some(Change::SmartCodecOff));
    } else if gop.longest_s > GOP_GOOD_S {
        let what = What::GopLong { seconds: one(gop.longest_s), at_least: gop.at_least };
        let severity = if gop.longest_s > GOP_BAD_S { Severity::Fault } else { Severity::Warning };
        add(severity, what, interval(m));
    }
}

fn interval(m: &Measured) -> Option<Change> {
    let fps = m.fps.or(m.told_fps)?;
    Some(Change::KeyFrameInterval { frames: ((fps * GOP_WANTED_S).round() as u32).max(1) })
}

fn rate(m: &Measured, role: Role, add: &mut Add<'_>) {
    let one = |x: f64| (x * 10.0).round() / 10.0;
    if m.jumps > 0 {
        add(Severity::Warning, What::TimesJump { count: m.jumps }, None);
    }
    if let Some(fps) = m.fps {
        if fps < LEAST_FPS {
            let change = Change::FrameRate { fps: if role == Role::Sub { 12 } else { 25 } };
            add(Severity::Warning, What::FewFrames { fps: one(fps) }, Some(change));
        } else if let Some(told) = m.told_fps {
            if fps < told * (1.0 - FPS_SLACK) {
                let what = What::FewerFrames { told: one(told), fps: one(fps) };
                add(Severity::Warning, what, Some(Change::SlowShutterOff));
            } else if fps > told * (1.0 + FPS_SLACK) {
                add(Severity::Notice, What::MoreFrames { told: one(told), fps: one(fps) }, None);
            }
        }
        if let Some(stamped) = m.stamped_fps
            && (stamped / fps - 1.0).abs() > FPS_SLACK
        {
            add(Severity::Notice, What::TimesWrong { stamped: one(stamped), fps: one(fps) }, None);
        }
    }
    // Design figure of a main stream is 2 Mbit/s; four times that is waste, and a sub stream is a quarter of it.
    let most = match role {
        Role::Main => 8000.0,
        Role::Sub => 1200.0,
    };
    if let Some(kbps) = m.kbps.filter(|k| *k > most) {
        let wanted = if role == Role::Main { 4096 } else { 512 };
        let what = What::BitRateHigh { kbps: kbps.round(), most };
        add(Severity::Warning, what, Some(Change::BitRate { kbps: wanted }));
    }
}
