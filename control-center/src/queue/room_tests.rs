//! The hall manager's answers on scripted days whose answers are known.

use control_protocol::{Happening as H, StoredEvent, event::EndedBy};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::scored;
use crate::{
    scene::{Journal, START, Scene},
    site::tests::Browser,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const HALL: &str = "/halls/450103-01";

fn issued(ticket: &str, business: &str) -> H {
    H::TicketIssued { ticket: ticket.into(), business: business.into(), printed_waiting: None, priority: 0 }
}

fn called(ticket: &str, business: &str) -> H {
    H::TicketCalled { ticket: ticket.into(), business: business.into(), by_number: false }
}

/// Events at minutes after nine: minute, window, case, what.
fn script(journal: &mut Journal, from: i64, steps: Vec<(i64, u32, u32, H)>) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    for (minute, window, case, happening) in steps {
        journal.at = from + minute * MINUTE;
        events.push(journal.event(window, case, happening));
    }
    events
}

/// Three tickets; one is served, two wait; the second window pauses.
fn morning() -> Vec<(i64, u32, u32, H)> {
    vec![
        (0, 1, 0, H::WindowOpened {}),
        (0, 2, 0, H::WindowOpened {}),
        (1, 0, 1, issued("A001", "社保")),
        (2, 0, 2, issued("A002", "社保")),
        (4, 1, 1, called("A001", "社保")),
        (5, 1, 1, H::ServiceStarted { ticket: "A001".into() }),
        (5, 0, 3, issued("B001", "医保")),
        (10, 2, 0, H::WindowPaused { reason: Some("午餐".into()) }),
    ]
}

fn kinds(answer: &Value) -> Vec<&str> {
    answer["alarms"].as_array().unwrap().iter().map(|alarm| alarm["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_queue_now_is_what_the_morning_left() {
    let scene = Scene::new().await;
    scene.take(script(&mut Journal::of("450103-01"), START, morning())).await;
    scene.pass(40 * MINUTE);
    let manager = Browser::signed_in(&scene, "manager").await;
    let now = manager.get(&format!("{HALL}/queue")).await;
    assert_eq!((&now["waiting"], &now["state"]), (&json!(2), &json!("attention")));
    assert_eq!(now["longest_wait_s"], 38 * 60);
    assert_eq!(now["average_wait_s"], (38 + 35) * 30);
    assert_eq!(now["updated_at"], "2026-11-22T01:10:00.000Z");
    assert_eq!(now["connected"], false);
    let business = |name: &str, waiting: u32, seconds: Option<i64>| {
        json!({"business": name, "waiting": waiting, "longest_wait_s": seconds, "average_wait_s": seconds,
            "windows_open": 1})
    };
    // The second window takes 社保 too, and pauses.
    assert_eq!(
        now["businesses"],
        json!([business("社保", 1, Some(38 * 60)), business("医保", 1, Some(35 * 60))])
    );
    assert_eq!((&now["windows_open"], &now["windows_paused"]), (&json!(2), &json!(1)));
    assert_eq!(now["windows_due"], Value::Null, "nothing is known of service times");
    assert_eq!(now["pauses"][0]["reason"], "午餐");
    assert_eq!(now["pauses"][0]["seconds"], 30 * 60);
    assert_eq!(kinds(&now), ["longest_wait", "longest_wait", "long_pause"]);
    let today = &now["today"];
    assert_eq!((&today["arrivals"], &today["calls"], &today["served"]), (&json!(3), &json!(1), &json!(0)));
    assert_eq!(today["average_wait_s"], 180.0);
    // Both windows are open still: forty minutes each, thirty of them paused at one.
    assert_eq!((&today["open_s"], &today["paused_s"]), (&json!(80 * 60), &json!(30 * 60)));
    let supervisor = Browser::signed_in(&scene, "county").await;
    assert_eq!(supervisor.get(&format!("{HALL}/queue")).await["waiting"], 2);
    for (name, status) in [("other", StatusCode::NOT_FOUND), ("hr", StatusCode::FORBIDDEN)] {
        let browser = Browser::signed_in(&scene, name).await;
        for route in ["queue", "queue/quarters", "queue/thresholds", "forecast"] {
            assert_eq!(browser.status(&format!("{HALL}/{route}")).await, status, "{name} {route}");
        }
    }
}

#[tokio::test]
async fn thresholds_are_changed_by_managers_and_administrators_and_audited() {
    let scene = Scene::new().await;
    scene.take(script(&mut Journal::of("450103-01"), START, morning())).await;
    scene.pass(40 * MINUTE);
    let path = format!("{HALL}/queue/thresholds");
    let wanted = json!({"pause_minutes": 60, "longest_wait_minutes": 36, "windows_planned": 3});
    for (name, status) in [
        ("county", StatusCode::FORBIDDEN),
        ("tech", StatusCode::FORBIDDEN),
        ("other", StatusCode::NOT_FOUND),
        ("admin", StatusCode::NO_CONTENT),
        ("manager", StatusCode::NO_CONTENT),
    ] {
        let browser = Browser::signed_in(&scene, name).await;
        assert_eq!(browser.json(Method::PUT, &path, Some(wanted.clone())).await.0, status, "{name}");
    }
    let manager = Browser::signed_in(&scene, "manager").await;
    let set = manager.get(&path).await;
    assert_eq!(set["thresholds"]["pause_minutes"], 60);
    assert_eq!(set["thresholds"]["waiting_per_window"], set["defaults"]["waiting_per_window"]);
    assert_eq!((&set["set_by"], &set["may_change"]), (&json!("manager"), &json!(true)));
    let now = manager.get(&format!("{HALL}/queue")).await;
    assert_eq!(kinds(&now), ["longest_wait", "windows_short"]);
    assert_eq!((&now["alarms"][1]["value"], &now["alarms"][1]["threshold"]), (&json!(1), &json!(3)));
    assert_eq!(now["windows_due_by"], "plan");
    let odd = json!({"service_level_minutes": 11});
    assert_eq!(manager.json(Method::PUT, &path, Some(odd)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let admin = Browser::signed_in(&scene, "admin").await;
    let log = admin.get("/audit").await;
    let changes =
        log["items"].as_array().unwrap().iter().filter(|row| row["action"] == "queue_thresholds.changed");
    assert_eq!(changes.count(), 2, "the two that were allowed");
}

#[tokio::test]
async fn a_day_stands_against_the_same_weekday() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    // Two weeks ago, since nothing happened a week ago.
    let before = vec![(3, 0, 50, issued("A050", "社保")), (13, 1, 50, called("A050", "社保"))];
    scene.take(script(&mut journal, START - 14 * DAY, before)).await;
    scene.take(script(&mut journal, START, morning())).await;
    scene.pass(40 * MINUTE);
    let manager = Browser::signed_in(&scene, "manager").await;
    let day = manager.get(&format!("{HALL}/queue/quarters")).await;
    assert_eq!((&day["date"], &day["against"]), (&json!("2026-11-22"), &json!("2026-11-08")));
    let items = day["items"].as_array().unwrap();
    let quarters: Vec<&str> = items.iter().map(|item| item["from"].as_str().unwrap()).collect();
    assert_eq!(quarters, ["09:00", "09:15", "09:30"], "windows are open until now");
    let first = &items[0];
    assert_eq!((&first["now"]["arrivals"], &first["before"]["arrivals"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&first["now"]["average_wait_s"], &first["before"]["average_wait_s"]),
        (&json!(180.0), &json!(600.0))
    );
    assert_eq!((&items[1]["now"]["arrivals"], &items[1]["now"]["average_wait_s"]), (&json!(0), &Value::Null));
    assert_eq!(day["total"]["before"]["p90_wait_s"], 600.0);
    let of_business = manager.get(&format!("{HALL}/queue/quarters?business=%E5%8C%BB%E4%BF%9D")).await;
    assert_eq!(of_business["total"]["now"]["arrivals"], 1);
    assert_eq!(of_business["total"]["before"]["arrivals"], 0);
    let past = manager.get(&format!("{HALL}/queue/quarters?date=2026-11-08")).await;
    assert_eq!((&past["against"], &past["total"]["now"]["arrivals"]), (&Value::Null, &json!(1)));
    let (status, _) = manager.json(Method::GET, &format!("{HALL}/queue/quarters?date=today"), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_known_services_a_forecast_goes_by_delays() {
    let scene = Scene::new().await;
    scene.take(script(&mut Journal::of("450103-01"), START, morning())).await;
    scene.pass(40 * MINUTE);
    let manager = Browser::signed_in(&scene, "manager").await;
    let forecast = manager.get(&format!("{HALL}/forecast?extra_windows=1")).await;
    assert_eq!((&forecast["mae_minutes"], &forecast["p90_coverage"]), (&Value::Null, &Value::Null));
    assert_eq!((&forecast["method"], &forecast["what_if"]), (&json!("delays"), &Value::Null));
    let hour = forecast["next_hour"].as_array().unwrap();
    assert_eq!(hour.len(), 1, "nothing can be said of later");
    // The first in the queue has waited for 38 minutes.
    assert_eq!((&hour[0]["p50_minutes"], &hour[0]["p90_minutes"]), (&json!(38.0), &json!(57.0)));
    assert_eq!(kinds(&forecast), ["forecast_long"]);
    assert_eq!(
        manager.status(&format!("{HALL}/forecast?extra_windows=21")).await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn one_more_window_shortens_the_forecast() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let mut week_ago = Vec::new();
    for case in 30..60u32 {
        let at = i64::from(case - 30) * 12;
        let ticket = || format!("A{case:03}");
        week_ago.push((at, 0, case, issued(&ticket(), "社保")));
        week_ago.push((at, 1, case, called(&ticket(), "社保")));
        week_ago.push((at + 1, 1, case, H::ServiceStarted { ticket: ticket() }));
        week_ago.push((at + 11, 1, case, H::ServiceEnded { ticket: ticket(), ended_by: EndedBy::Evaluate }));
    }
    scene.take(script(&mut journal, START - 7 * DAY, week_ago)).await;
    scene.take(script(&mut journal, START, morning())).await;
    scene.pass(40 * MINUTE);
    let manager = Browser::signed_in(&scene, "manager").await;
    let forecast = manager.get(&format!("{HALL}/forecast?extra_windows=1")).await;
    assert_eq!((&forecast["method"], &forecast["windows_working"]), (&json!("queue_length"), &json!(1)));
    let at = |of: &Value, quarter: usize, name: &str| of["next_hour"][quarter][name].as_f64().unwrap();
    for quarter in 0..5 {
        let (base, more) = (&forecast, &forecast["what_if"]);
        assert!(at(base, quarter, "p50_minutes") <= at(base, quarter, "p90_minutes"));
        assert!(at(more, quarter, "p90_minutes") < at(base, quarter, "p90_minutes"), "{quarter}: {forecast}");
    }
    // Two wait for one window, which is busy: services of ten minutes, a minute to come and fifteen seconds between.
    assert!((15.0..40.0).contains(&at(&forecast, 0, "p50_minutes")), "{forecast}");
    let business =
        &forecast["businesses"].as_array().unwrap().iter().find(|one| one["business"] == "社保").unwrap();
    assert_eq!((&business["waiting"], &business["occupation_minutes"]), (&json!(1), &json!(11.3)));
    assert!(forecast["windows_needed"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn yesterdays_forecasts_are_scored_and_shown() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let day = vec![
        (0, 1, 0, H::WindowOpened {}),
        (0, 0, 1, issued("A001", "社保")),
        (2, 0, 2, issued("A002", "社保")),
        (10, 1, 1, called("A001", "社保")),
        (20, 1, 2, called("A002", "社保")),
        (25, 0, 3, issued("A003", "社保")),
        (26, 1, 3, called("A003", "社保")),
        (30, 1, 0, H::WindowClosed {}),
    ];
    let mut day = script(&mut journal, START, day);
    let late = day.split_off(6);
    let mut scored = scored::Scored::new();
    scene.take(day).await;
    scene.pass(DAY);
    // The rest comes when the hall's line is back.
    scored::score_yesterday(&scene.centre, "450103-01".parse().unwrap(), &mut scored).await.unwrap();
    scene.take(late).await;
    for _ in 0..2 {
        scored::score_yesterday(&scene.centre, "450103-01".parse().unwrap(), &mut scored).await.unwrap();
    }
    let manager = Browser::signed_in(&scene, "manager").await;
    let forecast = manager.get(&format!("{HALL}/forecast")).await;
    // Of the first ticket nothing could be said. The second was told the 2 minutes of the first in the queue and waited 18; the
    // third was told the 18 of the last called, at most 27, and waited 1.
    assert_eq!((&forecast["scored_date"], &forecast["scored_tickets"]), (&json!("2026-11-22"), &json!(2)));
    assert_eq!((&forecast["mae_minutes"], &forecast["p90_coverage"]), (&json!(16.5), &json!(0.5)));
}
