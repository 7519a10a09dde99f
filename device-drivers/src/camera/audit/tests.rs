//! Synthetic timelines, each with the finding it must give.

use proptest::prelude::*;

use super::*;

/// Even frames from time 0: `fps`, a key frame every `gop` frames, a key frame four times a delta.
fn even(fps: f64, gop: usize, seconds: f64) -> StreamFacts {
    let count = (fps * seconds) as usize;
    let units = (0..count)
        .map(|n| {
            let us = (n as f64 * 1e6 / fps) as u64;
            let key = n % gop == 0;
            SeenUnit {
                stamp_us: us as i64,
                arrived_us: us,
                key,
                bytes: if key { 40_000 } else { 8_000 },
                lost: 0,
            }
        })
        .collect();
    StreamFacts {
        codec: Codec::H264,
        name: "avc1.4d401f".into(),
        width: 1920,
        height: 1080,
        told_fps: Some(fps),
        reorders: Some(false),
        open_ms: 120,
        units,
        clock_offsets_us: vec![30_000, 35_000, 28_000],
        played_us: (seconds * 1e6) as u64,
        ended: None,
    }
}

fn judged(facts: &StreamFacts, role: Role) -> (Verdict, Vec<What>) {
    let report = AuditReport::of(facts, role, None);
    (report.verdict, report.findings.into_iter().map(|f| f.what).collect())
}

#[test]
fn a_good_camera_has_nothing_to_change() {
    let report = AuditReport::of(&even(25.0, 50, 10.0), Role::Main, None);
    assert_eq!((report.verdict, &report.findings), (Verdict::Good, &vec![]));
    let m = &report.measured;
    assert_eq!((m.profile, m.codec, m.frames, m.first_key_ms), (Some("Main"), "h264", 250, Some(0)));
    assert!((m.fps.unwrap() - 25.0).abs() < 0.1 && (m.stamped_fps.unwrap() - 25.0).abs() < 0.1);
    // 48 deltas and a key frame in 2 s: (49 · 8,000 + 40,000) · 8 ÷ 2 s.
    assert!((m.kbps.unwrap() - 1728.0).abs() < 40.0, "{m:?}");
    let gop = m.gop.as_ref().unwrap();
    assert_eq!((gop.frames, gop.whole, gop.regular, gop.at_least), (50, 4, true, false));
    assert!((gop.longest_s - 2.0).abs() < 0.01);
    assert_eq!(m.clock_offset_s, Some(0.03));
}

#[test]
fn long_groups_say_which_interval_to_set() {
    let report = AuditReport::of(&even(12.5, 50, 12.0), Role::Sub, None);
    let sub_is_large = report.findings.iter().any(|f| matches!(f.what, What::SubLarge { .. }));
    assert!(sub_is_large);
    let long = report.findings.iter().find(|f| matches!(f.what, What::GopLong { .. })).unwrap();
    assert_eq!(long.what, What::GopLong { seconds: 4.0, at_least: false });
    assert_eq!(long.change, Some(Change::KeyFrameInterval { frames: 25 }));
    // A minute, of which ten seconds were seen.
    let report = AuditReport::of(&even(25.0, 1500, 10.0), Role::Main, None);
    assert_eq!(report.verdict, Verdict::Unfit);
    assert_eq!(report.findings[0].what, What::GopLong { seconds: 10.0, at_least: true });
    assert_eq!(report.findings[0].change, Some(Change::KeyFrameInterval { frames: 50 }));
}

#[test]
fn a_smart_codec_is_known_by_its_uneven_groups() {
    let mut facts = even(25.0, 50, 20.0);
    for (at, unit) in facts.units.iter_mut().enumerate() {
        unit.key = [0, 50, 220, 240, 400].contains(&at);
    }
    let (verdict, what) = judged(&facts, Role::Main);
    assert_eq!(verdict, Verdict::Usable);
    assert_eq!(what, [What::GopIrregular { shortest_s: 0.8, longest_s: 6.8 }]);
}

#[test]
fn no_key_frame_at_all_and_one_that_comes_late() {
    let mut facts = even(25.0, 1500, 10.0);
    facts.units[0].key = false;
    let (verdict, what) = judged(&facts, Role::Main);
    assert_eq!((verdict, &what[0]), (Verdict::Unfit, &What::NoKeyFrame { seconds: 10.0 }));
    let mut late = even(25.0, 50, 10.0);
    late.units.iter_mut().take(100).for_each(|u| u.key = false);
    let (verdict, what) = judged(&late, Role::Main);
    assert_eq!((verdict, what), (Verdict::Good, vec![What::FirstPictureSlow { ms: 4000 }]));
}

#[test]
fn b_frames_are_seen_or_told() {
    let mut facts = even(25.0, 50, 10.0);
    facts.reorders = None;
    for group in facts.units.chunks_mut(4).filter(|g| g.len() == 4) {
        // Shown 0 3 1 2 as sent.
        let stamps: Vec<i64> = group.iter().map(|u| u.stamp_us).collect();
        group[1].stamp_us = stamps[3];
        group[2].stamp_us = stamps[1];
        group[3].stamp_us = stamps[2];
    }
    assert_eq!(judged(&facts, Role::Main), (Verdict::Usable, vec![What::BFrames]));
    let told = StreamFacts { reorders: Some(true), ..even(25.0, 50, 10.0) };
    assert_eq!(judged(&told, Role::Main).1, [What::BFrames]);
}

#[test]
fn frame_rate_told_and_true() {
    let slow = StreamFacts { told_fps: Some(25.0), ..even(12.5, 25, 10.0) };
    assert_eq!(judged(&slow, Role::Main).1, [What::FewerFrames { told: 25.0, fps: 12.5 }]);
    let fast = StreamFacts { told_fps: Some(15.0), ..even(25.0, 50, 10.0) };
    assert_eq!(judged(&fast, Role::Main).1, [What::MoreFrames { told: 15.0, fps: 25.0 }]);
    assert_eq!(judged(&even(5.0, 10, 10.0), Role::Main).1, [What::FewFrames { fps: 5.0 }]);
    // What is told over ONVIF wins over the parameter sets.
    let report = AuditReport::of(&even(25.0, 50, 10.0), Role::Main, Some(50.0));
    assert_eq!(report.findings[0].what, What::FewerFrames { told: 50.0, fps: 25.0 });
    assert_eq!(report.findings[0].change, Some(Change::SlowShutterOff));
    let mut stamps = even(25.0, 50, 10.0);
    stamps.units.iter_mut().for_each(|u| u.stamp_us = u.stamp_us * 6 / 5);
    assert_eq!(judged(&stamps, Role::Main).1, [What::TimesWrong { stamped: 20.8, fps: 25.0 }]);
}

#[test]
fn clocks_loss_pauses_jumps_and_ends() {
    let clock = |us| StreamFacts { clock_offsets_us: us, ..even(25.0, 50, 10.0) };
    assert_eq!(judged(&clock(vec![]), Role::Main), (Verdict::Good, vec![What::ClockUnknown]));
    let off = judged(&clock(vec![-3_600_000_000]), Role::Main);
    assert_eq!(off, (Verdict::Usable, vec![What::ClockOff { seconds: -3600.0 }]));
    let mut lost = even(25.0, 50, 10.0);
    lost.units[100].lost = 2;
    assert_eq!(
        judged(&lost, Role::Main),
        (Verdict::Usable, vec![What::PacketsLost { packets: 2, frames: 250 }])
    );
    lost.units[101].lost = 9;
    assert_eq!(judged(&lost, Role::Main).0, Verdict::Unfit);
    let mut pause = even(25.0, 50, 10.0);
    pause.units.iter_mut().skip(200).for_each(|u| u.arrived_us += 1_500_000);
    assert!(judged(&pause, Role::Main).1.contains(&What::Pause { ms: 1540 }));
    let mut jump = even(25.0, 50, 10.0);
    jump.units.iter_mut().skip(125).for_each(|u| u.stamp_us -= 90_000_000);
    assert_eq!(judged(&jump, Role::Main), (Verdict::Usable, vec![What::TimesJump { count: 1 }]));
    let ended = StreamFacts { ended: Some("closed".into()), ..even(25.0, 50, 4.0) };
    assert_eq!(judged(&ended, Role::Main).1[0], What::EndedEarly { why: "closed".into(), seconds: 4.0 });
}

#[test]
fn codecs_sizes_and_bit_rates() {
    let h265 = StreamFacts { codec: Codec::H265, name: "hvc1.1.6.L93.B0".into(), ..even(25.0, 50, 10.0) };
    assert_eq!(judged(&h265, Role::Main), (Verdict::Usable, vec![What::H265]));
    assert_eq!(judged(&StreamFacts { width: 640, height: 360, ..h265 }, Role::Sub).0, Verdict::Unfit);
    let deep = StreamFacts { name: "avc1.6e0028".into(), ..even(25.0, 50, 10.0) };
    assert_eq!(judged(&deep, Role::Main).1, [What::ProfileUnplayable { profile: "High 10".into() }]);
    let small = StreamFacts { width: 640, height: 360, ..even(25.0, 50, 10.0) };
    assert_eq!(judged(&small, Role::Main).1, [What::MainSmall { width: 640, height: 360 }]);
    // A second stream at the main stream's 1.7 Mbit/s.
    let report = AuditReport::of(&small, Role::Sub, None);
    assert!(matches!(report.findings[0].what, What::BitRateHigh { .. }));
    assert_eq!(report.findings[0].change, Some(Change::BitRate { kbps: 512 }));
}

#[test]
fn a_report_is_codes_and_numbers() {
    let report = AuditReport::of(&even(12.5, 50, 12.0), Role::Main, None);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["findings"],
        serde_json::json!([{
            "severity": "warning", "code": "gop_long", "seconds": 4.0, "at_least": false,
            "change": {"setting": "key_frame_interval", "frames": 25},
        }])
    );
    assert_eq!((&json["verdict"], &json["role"]), (&"usable".into(), &"main".into()));
}

proptest! {
    #[test]
    fn any_timeline_is_judged(
        seen in proptest::collection::vec((any::<i64>(), any::<u32>(), any::<bool>(), 0usize..1 << 20, 0u32..70_000), 0..80),
        told in any::<f64>(),
        offsets in proptest::collection::vec(any::<i64>(), 0..4),
    ) {
        let mut arrived = 0u64;
        let units = seen.into_iter().map(|(stamp_us, step, key, bytes, lost)| {
            arrived += u64::from(step);
            SeenUnit { stamp_us, arrived_us: arrived, key, bytes, lost }
        }).collect();
        let facts = StreamFacts { units, told_fps: Some(told), clock_offsets_us: offsets, ..even(25.0, 50, 0.0) };
        let report = AuditReport::of(&facts, Role::Sub, None);
        prop_assert_eq!(report.verdict, Verdict::of(&report.findings));
        prop_assert!(report.findings.windows(2).all(|f| f[0].severity <= f[1].severity));
        // JSON has no infinity: every number in a report is one.
        prop_assert!(!serde_json::to_string(&report).unwrap().contains("null,\"longest_s\""));
    }
}
