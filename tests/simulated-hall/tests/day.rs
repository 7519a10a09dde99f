//! The scripted day follows the hall's rule, and has everything in it that a hall's day has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use simulated_hall::day::{
    Action, Business, Clerk, Day, Expectation, Plan, PressedKey, RAW_OF_GRADE, Step, Window,
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

fn digits_of(ticket: &str) -> String {
    ticket.chars().filter(char::is_ascii_digit).collect()
}

fn plan(windows: u8, tickets: u32) -> Plan {
    Plan {
        businesses: (0..3)
            .map(|at| Business {
                name: format!("业务{at}"),
                prefix: ["A", "B", "C"][at].into(),
                first: at as u32 * 200 + 1,
            })
            .collect(),
        clerks: (0..=windows).map(|at| Clerk { number: format!("{}", 1001 + u32::from(at)) }).collect(),
        windows: (0..windows)
            .map(|at| Window {
                number: at + 1,
                keypad: at + 1,
                evaluator: at + 1,
                businesses: vec![usize::from(at) % 3, usize::from(at + 1) % 3],
                clerk: at.into(),
            })
            .collect(),
        tickets,
        ..Plan::default()
    }
}

#[test]
fn one_seed_gives_one_day() {
    let days: Vec<Vec<Step>> = [7, 7, 8].map(|seed| Day::new(seed, plan(6, 120)).collect()).into();
    assert_eq!(days[0], days[1]);
    assert_ne!(days[0], days[2]);
    println!("{} steps, the last at {} s", days[0].len(), days[0].last().unwrap().at / SECOND);
}

#[test]
fn a_usual_day_has_something_of_everything() {
    let steps: Vec<Step> = (0..3).flat_map(|seed| Day::new(seed, plan(6, 120))).collect();
    let outcome =
        |step: &Step| serde_json::to_value(&step.expect).unwrap()["outcome"].as_str().unwrap().to_owned();
    let outcomes: HashSet<String> = steps.iter().map(outcome).collect();
    for wanted in [
        "issued",
        "called",
        "recalled",
        "started",
        "ended",
        "rated",
        "unsolicited",
        "no_show",
        "transferred",
        "held",
        "resumed",
        "paused",
        "reopened",
        "signed_in",
        "signed_out",
        "punched",
    ] {
        assert!(outcomes.contains(wanted), "no {wanted} in three days");
    }
    let grades: HashSet<u8> = steps
        .iter()
        .filter_map(|step| match step.expect {
            Expectation::Rated { grade, .. } => Some(grade),
            _ => None,
        })
        .collect();
    assert_eq!(grades.len(), 5);
    assert!(steps.iter().any(|step| matches!(&step.expect, Expectation::Punched { late: true, .. })));
    assert!(steps.iter().any(|step| matches!(&step.expect, Expectation::Called { ended: Some(_), .. })));
    let first_hour =
        steps.iter().filter(|s| matches!(s.action, Action::Ticket { .. }) && s.at < 70 * MINUTE).count();
    let noon_hour = steps
        .iter()
        .filter(|s| matches!(s.action, Action::Ticket { .. }) && (190 * MINUTE..250 * MINUTE).contains(&s.at))
        .count();
    assert!(first_hour > noon_hour * 2, "morning {first_hour}, noon {noon_hour}");
}

/// Replays the steps through the hall's rule, written down a second time and apart from the script.
fn check(steps: &[Step], plan: &Plan) -> Result<(), TestCaseError> {
    #[derive(Default)]
    struct Place {
        current: Option<String>,
        invited: Option<(String, u64)>,
        held: Option<String>,
        sent: Option<String>,
        open: bool,
        paused: bool,
    }
    let mut waiting: Vec<(String, String)> = Vec::new();
    let mut places: HashMap<u8, Place> = plan.windows.iter().map(|w| (w.number, Place::default())).collect();
    let mut finished = HashSet::new();
    let mut last = 0;
    for step in steps {
        prop_assert!(step.at >= last);
        last = step.at;
        let (window, digits, key) = match &step.action {
            Action::Ticket { number, business, waiting: said } => {
                let before = waiting.iter().filter(|(_, other)| other == business).count();
                prop_assert_eq!(*said as usize, before);
                waiting.push((number.clone(), business.clone()));
                continue;
            }
            Action::Punch { .. } => continue,
            Action::Rate { window, raw } => {
                let place = places.get_mut(window).unwrap();
                match &step.expect {
                    Expectation::Rated { ticket, grade } => {
                        prop_assert_eq!(RAW_OF_GRADE[usize::from(*grade) - 1], *raw);
                        let (invited, at) = place.invited.take().expect("invited");
                        prop_assert_eq!(&invited, ticket);
                        prop_assert!(step.at - at <= plan.rate_within);
                    }
                    Expectation::Unsolicited => prop_assert!(place.invited.is_none()),
                    other => prop_assert!(false, "{other:?}"),
                }
                continue;
            }
            Action::Press { window, digits, key } => (*window, digits.as_str(), *key),
        };
        let businesses: HashSet<&str> = plan
            .windows
            .iter()
            .filter(|w| w.number == window)
            .flat_map(|w| w.businesses.iter().map(|b| plan.businesses[*b].name.as_str()))
            .collect();
        let place = places.get_mut(&window).unwrap();
        prop_assert!(place.open || matches!(step.expect, Expectation::SignedIn { .. }), "{step:?}");
        prop_assert!(!place.paused || matches!(step.expect, Expectation::Reopened), "{step:?}");
        match (key, digits, &step.expect) {
            (PressedKey::Call, "", Expectation::Called { ticket, ended }) => {
                let at = waiting
                    .iter()
                    .position(|(_, b)| businesses.contains(b.as_str()))
                    .expect("somebody waits");
                prop_assert_eq!(&waiting.remove(at).0, ticket);
                prop_assert_eq!(&place.current, ended);
                finished.extend(place.current.replace(ticket.clone()));
                place.invited = None;
            }
            (PressedKey::Call, digits, Expectation::Called { ticket, ended }) => {
                prop_assert_eq!(&digits_of(ticket), digits);
                if place.sent.as_ref() == Some(ticket) {
                    place.sent = None;
                } else {
                    let same: Vec<usize> =
                        (0..waiting.len()).filter(|at| digits_of(&waiting[*at].0) == digits).collect();
                    prop_assert_eq!(same.len(), 1);
                    waiting.remove(same[0]);
                }
                prop_assert_eq!(&place.current, ended);
                finished.extend(place.current.replace(ticket.clone()));
                place.invited = None;
            }
            (PressedKey::Recall, "", Expectation::Recalled { ticket })
            | (PressedKey::Start, "", Expectation::Started { ticket }) => {
                prop_assert_eq!(place.current.as_ref(), Some(ticket));
            }
            (PressedKey::Evaluate, "", Expectation::Ended { ticket }) => {
                prop_assert_eq!(place.current.take(), Some(ticket.clone()));
                place.invited = Some((ticket.clone(), step.at));
                finished.insert(ticket.clone());
            }
            (PressedKey::Start, digits, Expectation::Transferred { ticket, to }) => {
                prop_assert_eq!(digits, to.to_string());
                prop_assert_eq!(place.current.take(), Some(ticket.clone()));
                places.get_mut(to).unwrap().sent = Some(ticket.clone());
            }
            (PressedKey::Function, "5", Expectation::NoShow { ticket }) => {
                prop_assert_eq!(place.current.take(), Some(ticket.clone()));
                finished.insert(ticket.clone());
            }
            (PressedKey::Function, "0", Expectation::Held { ticket }) => {
                prop_assert_eq!(place.current.take(), Some(ticket.clone()));
                prop_assert!(place.held.replace(ticket.clone()).is_none());
            }
            (PressedKey::Function, "3", Expectation::Resumed { ticket }) => {
                prop_assert_eq!(place.held.take(), Some(ticket.clone()));
                prop_assert!(place.current.replace(ticket.clone()).is_none());
            }
            (PressedKey::Function, "4", Expectation::SignedOut { .. }) => {
                prop_assert!(place.current.is_none() && place.held.is_none() && place.sent.is_none());
                place.open = false;
            }
            (PressedKey::Function, digits, Expectation::SignedIn { clerk }) => {
                prop_assert_eq!(digits, clerk);
                place.open = true;
            }
            (PressedKey::Pause, "", Expectation::Paused) => {
                prop_assert!(place.current.is_none());
                place.paused = true;
            }
            (PressedKey::Pause, "", Expectation::Reopened) => place.paused = false,
            other => prop_assert!(false, "{other:?}"),
        }
    }
    prop_assert!(waiting.is_empty(), "left waiting: {waiting:?}");
    let issued: HashSet<String> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Ticket { number, .. } => Some(number.clone()),
            _ => None,
        })
        .collect();
    prop_assert_eq!(finished, issued);
    prop_assert!(places.values().all(|place| !place.open));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_day_follows_the_halls_rule(seed: u64, windows in 1_u8..9, tickets in 1_u32..180, service in 1_u64..15) {
        let plan = Plan { service: service * MINUTE, ..plan(windows, tickets) };
        let steps: Vec<Step> = Day::new(seed, plan.clone()).collect();
        check(&steps, &plan)?;
    }
}
