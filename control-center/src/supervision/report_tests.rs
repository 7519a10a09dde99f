//! Reports, comparisons and their files over scripted days with known answers.

use control_protocol::{
    Happening as H, StoredEvent,
    event::{EndedBy, Grade},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    scene::{Journal, START, Scene},
    site::tests::Browser,
};

const DAY: i64 = 86_400_000;

/// A case that waits `wait` and is served for `service` minutes from the journal's time on; rated, or not.
fn course(
    journal: &mut Journal,
    serial: u32,
    wait: i64,
    service: i64,
    grade: Option<u8>,
) -> Vec<StoredEvent> {
    let (ticket, business) = (format!("A{serial:03}"), "社保".to_owned());
    let begun = journal.at;
    let t = || ticket.clone();
    let mut events = vec![journal.event(
        0,
        serial,
        H::TicketIssued { ticket: t(), business: business.clone(), printed_waiting: None, priority: 0 },
    )];
    journal.at = begun + wait * 60_000;
    events.push(journal.event(1, serial, H::TicketCalled { ticket: t(), business, by_number: false }));
    let started = journal.at;
    events.push(journal.event(1, serial, H::ServiceStarted { ticket: t() }));
    journal.at = started + service * 60_000;
    events.push(journal.event(1, serial, H::ServiceEnded { ticket: t(), ended_by: EndedBy::Evaluate }));
    events.push(journal.event(1, serial, H::RatingInvited { ticket: t(), seconds: 10 }));
    let grade = grade.and_then(Grade::new);
    events.push(match grade {
        Some(grade) => journal.event(1, serial, H::RatingGiven { ticket: t(), grade, raw: 0 }),
        None => journal.event(1, serial, H::RatingTimedOut { ticket: t() }),
    });
    let ended_by = if grade.is_some() { EndedBy::Rated } else { EndedBy::RatingTimedOut };
    events.push(journal.event(1, serial, H::CaseClosed { ticket: t(), ended_by, grade, accurate: true }));
    events
}

/// Two halls: today (2026-11-22) three cases in one and one in the other; a day before one; a year ago, by weeks, one.
async fn days() -> Scene {
    let scene = Scene::new().await;
    let (mut here, mut there) = (Journal::of("450103-01"), Journal::of("450102-01"));
    let mut events = Vec::new();
    here.at = START - 364 * DAY;
    events.extend(course(&mut here, 901, 1, 10, Some(5)));
    here.at = START - DAY;
    events.extend(course(&mut here, 801, 20, 10, Some(5)));
    here.at = START;
    events.extend(course(&mut here, 1, 5, 10, Some(5)));
    events.extend(course(&mut here, 2, 10, 20, Some(1)));
    events.extend(course(&mut here, 3, 30, 30, None));
    scene.take(events).await;
    scene.take(course(&mut there, 1, 15, 8, Some(4))).await;
    scene.pass(4 * 3_600_000);
    scene
}

#[tokio::test]
async fn a_day_is_added_up_and_held_against_others() {
    let scene = days().await;
    let region = Browser::signed_in(&scene, "region").await;
    let report = region.get("/areas/450000/report?period=day&by=hall").await;
    let now = &report["total"]["now"];
    assert_eq!(report["days"], json!({"from": "2026-11-22", "to": "2026-11-22"}));
    assert_eq!((&now["service"]["arrivals"], &now["service"]["served"]), (&json!(4), &json!(4)));
    assert_eq!(now["service"]["average_wait_s"], json!(900.0), "5, 10, 30 and 15 minutes");
    assert_eq!(now["service"]["service_level"], json!(0.75), "three of four within a quarter of an hour");
    assert_eq!(now["ratings"]["grades"], json!([1, 0, 0, 1, 1]));
    assert_eq!((&now["ratings"]["given"], &now["ratings"]["defaults"]), (&json!(3), &json!(1)));
    assert_eq!(now["ratings"]["active_rate"], json!(0.75));
    assert_eq!(report["total"]["before"]["service"]["arrivals"], 1);
    assert_eq!(
        report["total"]["year_ago"]["service"]["average_wait_s"],
        json!(60.0),
        "the same weekday a year ago"
    );
    let rows = report["rows"].as_array().unwrap();
    let ids: Vec<&Value> = rows.iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, ["450102-01", "450103-01"]);
    assert_eq!(rows[0]["before"], Value::Null, "it had no business the day before");
    assert_eq!(rows[1]["now"]["service"]["arrivals"], 3);

    let month = region.get("/areas/450100/report?period=month").await;
    assert_eq!(month["running"], true);
    assert_eq!(month["before"], json!({"from": "2026-10-01", "to": "2026-10-22"}));
    assert_eq!(month["total"]["now"]["service"]["arrivals"], 5);
    let parts: Vec<&Value> = month["parts"].as_array().unwrap().iter().map(|part| &part["from"]).collect();
    assert_eq!(parts, ["2026-11-21", "2026-11-22"]);
    let year = region.get("/areas/450103-01/report?period=year").await;
    assert_eq!(year["parts"][0]["from"], "2026-11-01");
    assert_eq!((&year["rows"], &year["total"]["kind"]), (&json!([]), &json!("hall")));
    for wrong in ["period=decade", "by=window", "date=2026-13-01"] {
        let status = region.status(&format!("/areas/450000/report?{wrong}")).await;
        assert!(status.is_client_error(), "{wrong}: {status}");
    }
}

#[tokio::test]
async fn halls_stand_beside_each_other_over_time() {
    let scene = days().await;
    let region = Browser::signed_in(&scene, "region").await;
    let seen = region.get("/areas/450000/comparison?period=month&figure=average_wait_s").await;
    assert_eq!(seen["parts"], json!(["2026-11-21", "2026-11-22"]));
    assert_eq!(seen["halls"][0]["values"], json!([null, 900.0]));
    assert_eq!(seen["halls"][1]["values"], json!([1200.0, 900.0]), "5, 10 and 30 minutes on the second day");
    assert_eq!(seen["all"]["values"], json!([1200.0, 900.0]));
    let year = region.get("/areas/450000/comparison?period=year&figure=arrivals").await;
    assert_eq!((&year["parts"], &year["all"]["values"]), (&json!(["2026-11-01"]), &json!([5.0])));
    assert_eq!(region.status("/areas/450000/comparison?figure=luck").await, StatusCode::UNPROCESSABLE_ENTITY);
    let county = Browser::signed_in(&scene, "county").await;
    assert_eq!(county.status("/areas/450102/comparison").await, StatusCode::NOT_FOUND);
    let hr = Browser::signed_in(&scene, "hr").await;
    assert_eq!(hr.status("/areas/450000/report").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_a_table_shows_is_a_file() {
    let scene = days().await;
    let county = Browser::signed_in(&scene, "county").await;
    let text = async |path: &str| {
        let (status, bytes) = county.bytes(Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        bytes
    };
    let cases = String::from_utf8(text("/cases.csv?grade=bad&lang=en").await).unwrap();
    let lines: Vec<&str> = cases.trim_end().split("\r\n").collect();
    assert!(cases.starts_with('\u{feff}') && lines[0].ends_with("Cases"), "{cases}");
    assert_eq!(lines.len(), 5, "title, two facts, heads, one case: {cases}");
    assert!(lines[4].contains("A002") && lines[4].contains("2026-11-22 09:"), "{cases}");
    let report = String::from_utf8(text("/areas/450103/report.csv?period=day").await).unwrap();
    assert!(report.contains("取号量") && report.contains("合计,3,1,1,"), "{report}");
    let ratings = String::from_utf8(text("/ratings.csv?outcome=given").await).unwrap();
    assert_eq!(
        ratings.matches("450103-01-").count(),
        8,
        "four ratings, each with its window and its case: {ratings}"
    );
    for path in ["/cases.xlsx", "/ratings.xlsx", "/areas/450103/report.xlsx", "/areas/450103/comparison.xlsx"]
    {
        assert!(text(path).await.starts_with(b"PK"), "{path}");
    }
    let tech = Browser::signed_in(&scene, "tech").await;
    for path in ["/cases.csv", "/ratings.xlsx", "/areas/450103/report.csv"] {
        assert_eq!(tech.status(path).await, StatusCode::FORBIDDEN, "{path}");
    }
    let admin = Browser::signed_in(&scene, "admin").await;
    let audit = admin.get("/audit").await.to_string();
    assert!(audit.contains("cases.exported") && audit.contains("ratings.exported"));
}
