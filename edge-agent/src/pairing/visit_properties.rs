//! Whatever is asked of a visit in whatever order: what must never be.

use control_protocol::{CaseId, UtcMillis, case_id::TEST_SERIALS_FROM};
use proptest::prelude::*;

use super::visit::*;

#[derive(Debug, Clone)]
enum Do {
    Wait(i64),
    Extend(u32, bool),
    Judge(usize, usize),
    BeginTest(usize),
    EndTest(usize),
    Press(usize, u8),
    Confirm(usize, u8),
    Sign(bool),
    Leave,
}

fn does() -> impl Strategy<Value = Do> {
    prop_oneof![
        (0i64..400_000).prop_map(Do::Wait),
        (0u32..600, any::<bool>()).prop_map(|(m, a)| Do::Extend(m, a)),
        (0usize..6, 0usize..4).prop_map(|(p, r)| Do::Judge(p, r)),
        (0usize..2).prop_map(Do::BeginTest),
        (0usize..2).prop_map(Do::EndTest),
        (0usize..2, 0u8..5).prop_map(|(p, raw)| Do::Press(p, raw)),
        (0usize..2, 0u8..6).prop_map(|(p, keys)| Do::Confirm(p, keys)),
        any::<bool>().prop_map(Do::Sign),
        Just(Do::Leave),
    ]
}

fn position(n: usize) -> control_protocol::PositionId {
    format!("450103-01-W0{}-evaluator", n + 1).parse().unwrap()
}

proptest! {
    #[test]
    fn a_visit_is_the_fold_of_its_steps_and_keeps_its_rules(does in proptest::collection::vec(does(), 0..60)) {
        let mut now = UtcMillis(1_795_000_000_000);
        let opened = now;
        let opening = Step::Opened {
            technician: "li".into(),
            door: Door::Hall,
            approver: None,
            window: None,
            expires_at: expiry(MINUTES, None, now).unwrap(),
        };
        let mut visit = Visit::begin("v".into(), now, &opening).unwrap();
        let mut kept = vec![(now, opening)];
        let mut serial = TEST_SERIALS_FROM;
        for one in does {
            if let Do::Wait(ms) = one {
                now = now.plus(ms);
                continue;
            }
            prop_assert!(visit.admits("wang", now).is_err());
            let admitted = visit.admits("li", now).is_ok();
            prop_assert_eq!(admitted, visit.closed.is_none() && now < visit.expires_at);
            if !admitted {
                continue;
            }
            let decided = match one {
                Do::Wait(_) => Ok(Vec::new()),
                Do::Extend(minutes, approved) => {
                    let approver = approved.then(|| "陈".to_owned());
                    expiry(minutes, approver.as_deref(), now).map(|expires_at| {
                        assert!(minutes <= if approved { MOST_MINUTES } else { MINUTES } && minutes > 0);
                        vec![Step::Extended { approver, expires_at }]
                    })
                }
                Do::Judge(point, result) => {
                    let point = POINTS.get(point).copied().unwrap_or("other");
                    let result = ["pass", "fail", "not_applicable", "maybe"][result].to_owned();
                    visit.judge(point, Judgement { result, note: String::new(), photo: None }).map(|s| vec![s])
                }
                Do::BeginTest(n) => {
                    serial += 1;
                    let hall = "450103-01".parse().unwrap();
                    let case_id = CaseId::new(&hall, jiff::civil::date(2026, 11, 22), serial).unwrap();
                    Ok(vec![Step::TestBegan { position: position(n), case_id }])
                }
                Do::EndTest(n) => {
                    visit.test(&position(n)).map(|_| vec![Step::TestEnded { position: position(n) }])
                }
                Do::Press(n, raw) => {
                    Ok(visit.pressed(&position(n), Some(format!("{raw:02X}")), None).into_iter().collect())
                }
                Do::Confirm(n, keys) => {
                    let map = (0..keys).map(|raw| (raw, raw % 5 + 1)).collect();
                    let heard: Vec<String> = visit
                        .test(&position(n))
                        .map(|t| t.heard.iter().map(|h| h.raw.clone()).collect())
                        .unwrap_or_default();
                    visit.confirm(&position(n), &map).map(|step| {
                        // Nothing is confirmed that was not pressed, and nothing pressed is left out.
                        assert!(keys > 0 && heard.len() == usize::from(keys));
                        vec![step]
                    })
                }
                Do::Sign(confirmed) => {
                    let open: Vec<_> = if confirmed { vec![] } else { vec![position(0)] };
                    let all = visit.points.values().all(Option::is_some);
                    let signed = visit.sign("李工", None, &open);
                    prop_assert_eq!(signed.is_ok(), all && confirmed);
                    signed
                }
                Do::Leave => Ok(vec![Step::Closed { why: "left".into() }]),
            };
            for step in decided.unwrap_or_default() {
                visit.apply(now, &step);
                kept.push((now, step));
            }
            prop_assert!(visit.signed.is_none() || visit.closed.is_some());
            prop_assert!(visit.expires_at.0 <= now.0.max(opened.0) + i64::from(MOST_MINUTES) * 60_000);
            for n in 0..2 {
                let going = visit.tests.iter().filter(|t| t.position == position(n) && t.ended_at.is_none());
                prop_assert!(going.count() <= usize::from(visit.closed.is_none()));
            }
        }
        // What is on disk gives the same visit, through its JSON.
        let mut again: Option<Visit> = None;
        for (at, step) in &kept {
            let step: Step = serde_json::from_str(&serde_json::to_string(step).unwrap()).unwrap();
            match &mut again {
                None => again = Visit::begin("v".into(), *at, &step),
                Some(visit) => visit.apply(*at, &step),
            }
        }
        prop_assert_eq!(again.unwrap(), visit);
    }
}
