//! Whatever is pressed in whatever order, the promises hold.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    tests::{Counting, at, config},
    *,
};

fn press() -> impl Strategy<Value = Press> {
    prop_oneof![
        6 => Just(Press::CallNext),
        2 => (0u16..30).prop_map(|n| Press::CallNumber(format!("{n:03}"))),
        1 => Just(Press::Recall),
        4 => Just(Press::Start),
        6 => Just(Press::Evaluate),
        1 => (0u16..5).prop_map(Press::Transfer),
        1 => Just(Press::Hold),
        1 => Just(Press::CallBack),
        1 => Just(Press::NoShow),
        1 => Just(Press::Pause),
        1 => (10u16..13).prop_map(|n| Press::SignIn(n.to_string())),
        1 => Just(Press::SignOut),
        6 => (0u8..7).prop_map(|raw| Press::Grade { raw, grade: Grade::new(raw) }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let ticket = (0u16..40, 0usize..3).prop_map(|(n, b)| Input::Ticket {
        number: format!("{}{n:03}", ["A", "B", "C"][b]),
        business: ["社保", "医保", "绿色"][b].into(),
        waiting: None,
    });
    let window = (1u16..=3, press()).prop_map(|(n, press)| Input::Window {
        window: format!("450103-01-W{n:02}").parse().unwrap(),
        press,
    });
    prop_oneof![1 => ticket, 4 => window]
}

/// Seconds to the next input: mostly short, some long, a few back in time (late readings).
fn gap() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..8.0f64, 2 => 8.0..200.0f64, 1 => -15.0..0.0f64, 1 => 3600.0..40_000.0f64]
}

#[derive(Default)]
struct Seen {
    opened: bool,
    closed: Option<At>,
    invited: bool,
    grades: u32,
    at_window: Option<WindowId>,
}

fn check(events: &[Tagged], late: bool, cases: &mut BTreeMap<CaseId, Seen>) -> Result<(), TestCaseError> {
    for event in events {
        let service = event.happening.is_service_event();
        if let Happening::RatingUnsolicited { .. } = event.happening {
            continue;
        }
        prop_assert_eq!(event.case.is_some(), service, "{:?}", event);
        let Some(id) = event.case else { continue };
        let seen = cases.entry(id).or_default();
        match &event.happening {
            Happening::CaseOpened { .. } => {
                prop_assert!(!seen.opened, "opened twice");
                seen.opened = true;
            }
            Happening::CaseClosed { grade, .. } => {
                prop_assert!(seen.closed.is_none(), "closed twice");
                seen.closed = Some(event.at);
                prop_assert_eq!(grade.is_some(), seen.grades == 1, "the closing grade is the given one");
                seen.at_window = None;
            }
            Happening::RatingInvited { .. } => seen.invited = true,
            Happening::RatingGiven { .. } => {
                prop_assert!(seen.invited, "a grade nobody asked for");
                seen.grades += 1;
                prop_assert_eq!(seen.grades, 1);
            }
            Happening::TicketCalled { .. } | Happening::TicketResumed { .. } => {
                prop_assert!(seen.at_window.is_none());
                seen.at_window = event.window.clone();
            }
            Happening::TicketTransferred { .. } | Happening::TicketHeld { .. } => seen.at_window = None,
            _ => {}
        }
        prop_assert!(seen.opened, "{:?} before it was opened", event);
        let closing = matches!(event.happening, Happening::CaseClosed { .. });
        prop_assert!(closing || seen.closed.is_none() || late, "{:?} after the close", event);
    }
    let at_windows: Vec<_> = cases.values().filter_map(|c| c.at_window.clone()).collect();
    let distinct: BTreeSet<_> = at_windows.iter().collect();
    prop_assert_eq!(distinct.len(), at_windows.len(), "two cases at one window");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_and_the_journal_gives_the_state_back(
        steps in proptest::collection::vec((gap(), input()), 1..120),
        cut in 0usize..120,
    ) {
        let mut session = HallSession::new(config());
        let mut serials = Counting(0);
        let mut now = 0.0f64;
        let mut latest = 0.0f64;
        let mut log: Vec<Tagged> = Vec::new();
        let mut cases = BTreeMap::new();
        let mut tickets = 0;
        for (i, (gap, input)) in steps.iter().enumerate() {
            now = (now + gap).max(0.0);
            let late = now < latest;
            latest = latest.max(now);
            let taken = session.take(input, Some("d"), at(now), &mut serials).unwrap();
            tickets += usize::from(matches!(input, Input::Ticket { .. }) && taken.ignored.is_none());
            check(&taken.events, late, &mut cases)?;
            log.extend(taken.events);
            now = latest;
            if i == cut {
                let recovered = HallSession::recover(config(), &log);
                prop_assert_eq!(recovered.state(), session.state());
                session = recovered;
            }
        }
        let open = cases.values().filter(|c| c.closed.is_none()).count();
        prop_assert_eq!(open, session.open(), "tickets are conserved");
        let issued = log.iter().filter(|e| matches!(e.happening, Happening::TicketIssued { .. })).count();
        prop_assert_eq!(issued, tickets);
        prop_assert_eq!(cases.len() as u32, serials.0, "every number was used once");
        let end = session.tick(at(latest + 200_000.0));
        check(&end, false, &mut cases)?;
        prop_assert_eq!(session.open(), 0, "the day's end closes all");
        prop_assert_eq!(session.due(), None);
    }
}
