//! A scripted day whose answers are known, and random days in any order against the record.

use std::time::Instant;

use control_protocol::{
    HallId, Happening as H, StoredEvent,
    event::{EndedBy, Grade},
};
use jiff::civil::date;

use super::{Load, Loads, cells_of_day, day_rows, hall_days, hall_totals, rebuild};
use crate::{
    access::Scope,
    params,
    scene::{Journal, Scene},
    store::{Sql, StoreError},
};

const MINUTE: i64 = 60_000;
const HALL: &str = "450103-01";

fn issued() -> H {
    H::TicketIssued { ticket: "A001".into(), business: "社保".into(), printed_waiting: None, priority: 0 }
}
fn called() -> H {
    H::TicketCalled { ticket: "A001".into(), business: "社保".into(), by_number: false }
}
fn recalled() -> H {
    H::TicketRecalled { ticket: "A001".into(), count: 1 }
}
fn started() -> H {
    H::ServiceStarted { ticket: "A001".into() }
}
fn ended(ended_by: EndedBy) -> H {
    H::ServiceEnded { ticket: "A001".into(), ended_by }
}
fn closed(ended_by: EndedBy) -> H {
    H::CaseClosed { ticket: "A001".into(), ended_by, grade: None, accurate: true }
}
fn graded(grade: u8) -> H {
    H::RatingGiven { ticket: "A001".into(), grade: Grade::new(grade).unwrap(), raw: grade }
}

/// The scene's first morning begins at 09:00 local time.
async fn kept(scene: &Scene) -> Loads {
    let hall: HallId = HALL.parse().unwrap();
    scene.centre.store.read(move |sql| cells_of_day(sql, &hall, date(2026, 11, 22), None)).await.unwrap()
}

fn whole(loads: &Loads) -> Load {
    let mut sum = Load::default();
    loads.0.values().for_each(|load| sum += load);
    sum
}

async fn agrees(scene: &Scene) {
    let checked = rebuild::check(&scene.centre.store, HALL.parse().unwrap()).await.unwrap();
    assert_eq!(checked.wrong, 0, "{checked:?}");
}

/// One window, three tickets: one served and rated badly, one who does not come, one whose service a hold interrupts.
fn morning() -> Vec<StoredEvent> {
    let mut journal = Journal::of(HALL);
    let start = journal.at;
    let mut events = Vec::new();
    let mut at = |minute: i64, window: u32, case: u32, happening: H| {
        journal.at = start + minute * MINUTE;
        events.push(journal.event(window, case, happening));
    };
    at(0, 1, 0, H::WindowOpened {});
    at(1, 0, 1, issued());
    at(2, 0, 2, issued());
    at(3, 0, 3, issued());
    at(5, 1, 1, called());
    at(6, 1, 1, recalled());
    at(7, 1, 1, started());
    at(17, 1, 1, ended(EndedBy::Evaluate));
    at(18, 1, 1, graded(2));
    at(18, 1, 1, closed(EndedBy::Rated));
    at(20, 1, 2, called());
    at(24, 1, 2, H::TicketNoShow { ticket: "A001".into() });
    at(24, 1, 2, closed(EndedBy::NoShow));
    at(24, 1, 3, called());
    at(25, 1, 3, started());
    at(30, 1, 3, ended(EndedBy::Held));
    at(30, 1, 3, H::TicketHeld { ticket: "A001".into() });
    at(31, 1, 0, H::WindowPaused { reason: Some("午休".into()) });
    at(41, 1, 0, H::WindowResumed {});
    at(41, 1, 3, H::TicketResumed { ticket: "A001".into() });
    at(42, 1, 3, started());
    at(47, 1, 3, ended(EndedBy::NextCall));
    at(47, 1, 3, closed(EndedBy::NextCall));
    at(50, 1, 0, H::RatingUnsolicited { grade: Grade::new(5), raw: 5, why: "not_invited".into() });
    at(60, 1, 0, H::WindowClosed {});
    events
}

#[tokio::test]
async fn a_scripted_morning_gives_exactly_its_sums() {
    let scene = Scene::new().await;
    scene.take(morning()).await;
    let loads = kept(&scene).await;
    let sum = whole(&loads);
    let mut wanted = Load {
        arrivals: 3,
        calls: 3,
        recalls: 1,
        holds: 1,
        served: 2,
        no_shows: 1,
        // Taken at 1, 2, 3; called last before the service at 6, 20, 24.
        waits: 3,
        wait_ms: (5 + 18 + 21) * MINUTE,
        // Called at 6 and 24, at the window at 7 and 25.
        reaches: 2,
        reach_ms: 2 * MINUTE,
        // Ten minutes, and five and five.
        services: 2,
        service_ms: 20 * MINUTE,
        service_sq_s: 2 * 600 * 600,
        grade_2: 1,
        bad_cases: 1,
        unsolicited: 1,
        open_ms: 60 * MINUTE,
        paused_ms: 10 * MINUTE,
        busy_ms: 20 * MINUTE,
        ..Load::default()
    };
    for class in [4, 12, 13] {
        wanted.waits_by[class] = 1;
    }
    assert_eq!(sum, wanted);
    let figures = sum.figures(20);
    assert_eq!(figures.average_wait_s, Some(44.0 * 60.0 / 3.0));
    assert_eq!(figures.service_level, Some(2.0 / 3.0));
    assert_eq!(figures.no_show_rate, Some(1.0 / 3.0));
    assert_eq!(figures.average_service_s, Some(600.0));
    assert_eq!(figures.utilisation, Some(0.4));
    assert_eq!(figures.p90_wait_s, Some(25.0 * 60.0));
    // By quarter: the second case is served from 25 to 30 and from 42 to 47, across the end of the third quarter.
    let busy: Vec<_> = loads
        .0
        .iter()
        .filter(|(_, load)| load.busy_ms > 0)
        .map(|(cell, load)| (cell.quarter.number - 36, cell.business.as_str(), load.busy_ms / MINUTE))
        .collect();
    assert_eq!(busy, [(0, "社保", 8), (1, "社保", 2 + 5), (2, "社保", 3), (3, "社保", 2)]);
    let arrived: Vec<_> = loads.0.iter().filter(|(_, load)| load.arrivals > 0).collect();
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].0.quarter.number, arrived[0].0.window.as_str()), (36, ""));
    agrees(&scene).await;
}

#[tokio::test]
async fn a_late_event_corrects_the_sums_exactly() {
    let scene = Scene::new().await;
    let mut events = morning();
    // The first case's second call and its rating, and the pause's end, come after everything else.
    for at in [18, 8, 5] {
        let late = events.remove(at);
        events.push(late);
    }
    scene.take(events).await;
    let late = kept(&scene).await;
    agrees(&scene).await;
    let in_time = Scene::new().await;
    in_time.take(morning()).await;
    assert_eq!(late, kept(&in_time).await);
}

#[tokio::test]
async fn a_clock_that_jumps_by_a_century_makes_no_durations() {
    let scene = Scene::new().await;
    let mut journal = Journal::of(HALL);
    let mut events =
        vec![journal.event(0, 1, issued()), journal.event(0, 1, called()), journal.event(0, 1, started())];
    journal.at += 130 * 365 * 24 * 60 * MINUTE;
    events.push(journal.event(0, 1, ended(EndedBy::Evaluate)));
    events.push(journal.event(0, 1, closed(EndedBy::Rated)));
    scene.take(events).await;
    agrees(&scene).await;
    let sum = whole(&kept(&scene).await);
    assert_eq!((sum.waits, sum.reaches, sum.services, sum.busy_ms), (1, 1, 0, 0));
}

#[tokio::test]
async fn sums_are_read_by_hall_and_day_within_a_scope() {
    let scene = Scene::new().await;
    scene.take(morning()).await;
    let mut other = Journal::of("450102-01");
    let events = vec![other.event(0, 1, issued()), other.event(1, 1, called())];
    scene.take(events).await;
    let day = date(2026, 11, 22);
    let read = |path: &'static str, scope: &'static str| {
        let store = scene.centre.store.clone();
        async move {
            store
                .read(move |sql| {
                    let scope = Scope::below(scope);
                    let days = hall_days(sql, &scope, path, day, day)?;
                    let totals = hall_totals(sql, &scope, path, date(2026, 1, 1), day)?;
                    assert_eq!(days.len(), totals.len());
                    let rows = day_rows(sql, &scope, path, day, day)?;
                    let mut sum = Load::default();
                    rows.iter().for_each(|row| sum += &row.load);
                    days.iter().for_each(|day| sum -= &day.load);
                    assert!(sum.is_zero(), "a hall's day is the sum of its rows");
                    Ok::<_, StoreError>(
                        days.iter().map(|day| (day.hall.clone(), day.load.arrivals)).collect::<Vec<_>>(),
                    )
                })
                .await
                .unwrap()
        }
    };
    let both = vec![("450102-01".to_owned(), 1), (HALL.to_owned(), 3)];
    assert_eq!(read("/", "/450000/").await, both);
    assert_eq!(read("/450000/450100/450103/", "/450000/").await, both[1..]);
    assert_eq!(read("/", "/450000/450100/450102/").await, both[..1]);
    assert_eq!(read("/450000/450100/450103/", "/450000/450100/450102/").await, []);
}

#[tokio::test]
async fn what_was_changed_behind_the_sums_is_found_and_rebuilt() {
    let scene = Scene::new().await;
    scene.take(morning()).await;
    let before = kept(&scene).await;
    let spoil = |tx: &mut crate::store::Tx<'_>| {
        tx.execute("UPDATE load_quarters SET served = served + 1 WHERE served > 0", params![])?;
        tx.execute("UPDATE load_halls SET calls = 99", params![])
    };
    scene.centre.store.write("spoilt", spoil).await.unwrap();
    let hall: HallId = HALL.parse().unwrap();
    let store = &scene.centre.store;
    assert!(rebuild::check(store, hall.clone()).await.unwrap().wrong >= 2);
    assert_eq!(rebuild::rebuild(store, hall.clone()).await.unwrap(), before.0.len());
    agrees(&scene).await;
    assert_eq!(kept(&scene).await, before);
    // A case that goes on afterwards goes on from its steps.
    let mut journal = Journal::of(HALL);
    (0..25).for_each(|_| drop(journal.event(1, 0, H::WindowResumed {})));
    let more = vec![journal.event(1, 3, graded(5))];
    scene.take(more).await;
    agrees(&scene).await;
    assert_eq!(whole(&kept(&scene).await).grade_5, 1);
}

#[tokio::test]
async fn sums_that_are_missing_are_built_at_the_start() {
    let scene = Scene::new().await;
    scene.take(morning()).await;
    let before = kept(&scene).await;
    let store = &scene.centre.store;
    let hall: HallId = HALL.parse().unwrap();
    let wipe = move |tx: &mut crate::store::Tx<'_>| super::tables::forget(tx, &hall);
    store.write("wiped", wipe).await.unwrap();
    assert!(kept(&scene).await.0.is_empty());
    rebuild::build_missing(store).await.unwrap();
    assert_eq!(kept(&scene).await, before);
    // A hall whose zone changes is cut anew.
    let hall: HallId = HALL.parse().unwrap();
    store.write("zone", move |tx| crate::areas::put_zone(tx, &hall, "Asia/Urumqi")).await.unwrap();
    rebuild::build_missing(store).await.unwrap();
    let moved = kept(&scene).await;
    assert_eq!(whole(&moved), whole(&before));
    let first = |loads: &Loads| loads.0.keys().next().unwrap().quarter.number;
    assert_eq!(first(&before) - first(&moved), 8, "two hours behind");
    agrees(&scene).await;
}

/// A generator of numbers that gives the same each time.
struct Dice(u64);

impl Dice {
    fn upto(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Whatever may come, likely or not, of two halls, with times that jump back now and then and across midnight.
fn anything(dice: &mut Dice, count: usize, cases: u64) -> Vec<StoredEvent> {
    let mut journals = [Journal::of(HALL), Journal::of("450102-01")];
    (0..count)
        .map(|_| {
            let which = dice.upto(2) as usize;
            let journal = &mut journals[which];
            journal.at += dice.upto(60_000) as i64 - 5_000;
            if dice.upto(50) == 0 {
                journal.at -= 600_000;
            }
            let case = 1 + dice.upto(cases) as u32;
            let window = 1 + dice.upto(2) as u32;
            let business = ["社保", "医保", ""][dice.upto(3) as usize].to_owned();
            let ticket = "A1".to_owned();
            let by = [
                EndedBy::Evaluate,
                EndedBy::NextCall,
                EndedBy::Transfer,
                EndedBy::Held,
                EndedBy::WindowClosed,
                EndedBy::DayEnd,
            ][dice.upto(6) as usize];
            match dice.upto(19) {
                0 => journal.event(
                    0,
                    case,
                    H::TicketIssued { ticket, business, printed_waiting: None, priority: 0 },
                ),
                1 => journal.event(0, case, H::CaseOpened { ticket, business }),
                2 | 3 => journal.event(window, case, H::TicketCalled { ticket, business, by_number: false }),
                4 => journal.event(window, case, H::TicketRecalled { ticket, count: 1 }),
                5 => journal.event(window, case, H::TicketNoShow { ticket }),
                6 => journal.event(window, case, H::TicketHeld { ticket }),
                7 | 8 => journal.event(window, case, H::ServiceStarted { ticket }),
                9 | 10 => journal.event(window, case, H::ServiceEnded { ticket, ended_by: by }),
                11 => journal.event(window, case, graded(1 + dice.upto(5) as u8)),
                12 => journal.event(window, case, H::RatingTimedOut { ticket }),
                13 => journal.event(window, case, closed(by)),
                14 => journal.event(window, 0, H::WindowOpened {}),
                15 => journal.event(window, 0, H::WindowPaused { reason: None }),
                16 => journal.event(window, 0, H::WindowResumed {}),
                17 => journal.event(window, 0, H::WindowClosed {}),
                _ => {
                    let of = if dice.upto(2) == 0 { case } else { 0 };
                    journal.event(
                        window,
                        of,
                        H::RatingUnsolicited { grade: None, raw: 9, why: "unmapped".into() },
                    )
                }
            }
        })
        .collect()
}

/// Moves events past one another: of different nodes as they come over different links, and now and then of one.
fn shuffled(dice: &mut Dice, events: Vec<StoredEvent>, reach: u64) -> Vec<StoredEvent> {
    let mut keyed: Vec<(u64, StoredEvent)> =
        events.into_iter().enumerate().map(|(at, event)| (at as u64 + dice.upto(reach), event)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, event)| event).collect()
}

#[tokio::test]
async fn any_events_in_any_order_give_the_sums_of_the_record() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let events = anything(&mut dice, 3000, 60);
    let mut answers = Vec::new();
    for reach in [1, 3000] {
        let scene = Scene::new().await;
        scene.take(shuffled(&mut dice, events.clone(), reach)).await;
        for hall in [HALL, "450102-01"] {
            let checked = rebuild::check(&scene.centre.store, hall.parse().unwrap()).await.unwrap();
            assert!(checked.cells > 100 && checked.wrong == 0, "{checked:?}");
        }
        answers.push(kept(&scene).await);
    }
    assert!(answers[0] == answers[1], "the order in which events come changes no sum");
}

/// `cargo test -p control-center --lib statistics::tests::a_million -- --ignored --nocapture`
#[tokio::test]
#[ignore = "takes minutes: a million events"]
async fn a_million_random_events_give_the_sums_of_the_record() {
    let mut dice = Dice(0xD1B5_4A32_D192_ED03);
    let scene = Scene::new().await;
    let made = Instant::now();
    let events = anything(&mut dice, 1_000_000, 90_000);
    let events = shuffled(&mut dice, events, 5_000);
    println!("made {} events in {:.1} s", events.len(), made.elapsed().as_secs_f64());
    let kept = Instant::now();
    for (n, batch) in events.chunks(500).enumerate() {
        scene.take(batch.to_vec()).await;
        if (n + 1) % 400 == 0 {
            println!("kept {} as they came in {:.1} s", (n + 1) * 500, kept.elapsed().as_secs_f64());
        }
    }
    for hall in [HALL, "450102-01"] {
        let checking = Instant::now();
        let checked = rebuild::check(&scene.centre.store, hall.parse().unwrap()).await.unwrap();
        println!("{checked:?} in {:.1} s", checking.elapsed().as_secs_f64());
        assert_eq!(checked.wrong, 0);
    }
}
