//! An evaluator of a protocol that nobody knows, on a pty: pressed in the asked order, proposed, kept and bound.

use std::{path::Path, time::Duration};

use device_drivers::simulator::pty::Pty;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::test_hall::Hall;

const PLACE: &str = "450103-01-W07-evaluator";
/// A person's pace.
const PACE: Duration = Duration::from_millis(500);

/// Head, a count that changes with each press, the key, and the sum of all before it.
fn frame(count: u8, grade: u8) -> [u8; 6] {
    let mut frame = [0xA7, 0x31, count, 0x40 + grade * 3, 0x0D, 0];
    frame[5] = frame[..5].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    frame
}

async fn press(pty: &mut Pty, count: &mut u8, grade: u8) {
    *count += 1;
    pty.write_all(&frame(*count, grade)).await.unwrap();
    tokio::time::sleep(PACE).await;
}

async fn listened(hall: &Hall) -> Value {
    hall.ok("GET", "visit/sniff?search=s1", json!({})).await
}

async fn hears(hall: &Hall, grade: u8, presses: u64) {
    let wait = async {
        loop {
            let shown = listened(hall).await;
            let row =
                shown["heard"].as_array().unwrap().iter().find(|h| h["grade"] == grade).unwrap().clone();
            if row["presses"] == presses {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::test_hall::LONG, wait).await.expect("the presses were not heard");
}

async fn start(hall: &Hall, line: &Path) {
    hall.ok("POST", "visit", json!({"window": "450103-01-W07"})).await;
    hall.ok("POST", "visit/searches", json!({"source": "unknown", "port": line})).await;
    let open = async {
        while listened(hall).await["listening"] != true {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::test_hall::LONG, open).await.expect("the line was not opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_evaluator_is_pressed_proposed_kept_and_bound() {
    let data = tempfile::tempdir().unwrap();
    let line = data.path().join("unknown");
    let mut pty = Pty::open(Some(&line)).unwrap();
    let hall = Hall::start(data.path(), "").await;
    start(&hall, &line).await;
    // The line is its own: no bus is listened for there.
    let bus = json!({"source": "bus", "port": line});
    assert_eq!(hall.refused("POST", "visit/searches", bus).await.1, "port-in-use");
    let propose = json!({"search": "s1", "name": "no-name-5"});
    let (_, code, params) = hall.refused("POST", "visit/sniff/propose", propose.clone()).await;
    assert_eq!((code.as_str(), &params["why"]), ("unproposable", &json!("too-few-buttons")));
    let mut count = 0;
    for grade in [5, 4, 3, 2, 1] {
        hall.ok("POST", "visit/sniff/press", json!({"search": "s1", "grade": grade})).await;
        for n in 1..=3 {
            press(&mut pty, &mut count, grade).await;
            hears(&hall, grade, n).await;
        }
    }
    // Forgotten and pressed again.
    hall.ok("POST", "visit/sniff/press", json!({"search": "s1", "grade": 3, "again": true})).await;
    hears(&hall, 3, 0).await;
    for n in 1..=3 {
        press(&mut pty, &mut count, 3).await;
        hears(&hall, 3, n).await;
    }
    assert_eq!(hall.refused("POST", "visit/sniff/keep", json!({"search": "s1"})).await.1, "no-draft");
    let bad = json!({"search": "s1", "name": "../x"});
    assert_eq!(hall.refused("POST", "visit/sniff/propose", bad).await.1, "invalid");
    let shown = hall.ok("POST", "visit/sniff/propose", propose).await;
    let draft = &shown["draft"];
    let found: Vec<&str> =
        draft["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    for code in ["fixed_length", "checksum", "key_byte", "changing"] {
        assert!(found.contains(&code), "{code}: {found:?}");
    }
    let grades = json!({"43": 1, "46": 2, "49": 3, "4C": 4, "4F": 5});
    assert_eq!(draft["grades"], grades);
    // A shipped profile's name is taken; one's own is kept in the hall's folder.
    hall.ok("POST", "visit/sniff/propose", json!({"search": "s1", "name": "modbus-rtu"})).await;
    assert_eq!(hall.refused("POST", "visit/sniff/keep", json!({"search": "s1"})).await.1, "profile-exists");
    hall.ok("POST", "visit/sniff/propose", json!({"search": "s1", "name": "no-name-5"})).await;
    let visit = hall.ok("POST", "visit/sniff/keep", json!({"search": "s1"})).await;
    assert_eq!(visit["searches"][0]["state"], "done");
    assert_eq!(visit["candidates"][0]["connection"]["profile"], "no-name-5");
    let file = std::fs::read_to_string(data.path().join("profiles/no-name-5.toml")).unwrap();
    assert!(device_drivers::profile::Profile::parse("no-name-5.toml", &file).is_ok());

    // Bound with the map that was just pressed: in service at once, and it rates.
    let bind = json!({"candidate": "c1", "position": PLACE, "grades": grades});
    let visit = hall.ok("POST", "visit/bind", bind).await;
    assert_eq!(visit["bound"][0]["confirmed"], true);
    hall.health_until(PLACE, "online").await;
    let place = hall.ok("GET", &format!("positions/{PLACE}"), json!({})).await;
    assert_eq!((&place["grades"]["map"], &place["grades"]["confirmed_by"]), (&grades, &json!("li")));
    hall.ok("POST", "visit/test", json!({"position": PLACE})).await;
    press(&mut pty, &mut count, 5).await;
    let visit = hall.visit_until(|v| v["tests"][0]["heard"].as_array().is_some_and(|h| !h.is_empty())).await;
    assert_eq!(visit["tests"][0]["heard"][0], json!({"raw": "4F", "count": 1, "grade": 5}));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_map_than_the_pressed_one_stands_unconfirmed_and_a_lost_line_is_said() {
    let data = tempfile::tempdir().unwrap();
    let line = data.path().join("unknown");
    let mut pty = Pty::open(Some(&line)).unwrap();
    let hall = Hall::start(data.path(), "").await;
    start(&hall, &line).await;
    let mut count = 0;
    for grade in [5, 1] {
        hall.ok("POST", "visit/sniff/press", json!({"search": "s1", "grade": grade})).await;
        for n in 1..=3 {
            press(&mut pty, &mut count, grade).await;
            hears(&hall, grade, n).await;
        }
    }
    hall.ok("POST", "visit/sniff/propose", json!({"search": "s1", "name": "two-keys"})).await;
    hall.ok("POST", "visit/sniff/keep", json!({"search": "s1"})).await;
    let bind = json!({"candidate": "c1", "position": PLACE, "grades": {"43": 5, "4F": 1}});
    hall.ok("POST", "visit/bind", bind).await;
    hall.health_until(PLACE, "unconfirmed").await;

    let gone = data.path().join("nowhere");
    hall.ok("POST", "visit/searches", json!({"source": "unknown", "port": gone})).await;
    let visit = hall.visit_until(|v| v["searches"][1]["state"] == "failed").await;
    assert!(visit["searches"][1]["why"].as_str().is_some_and(|why| !why.is_empty()));
    hall.stop().await;
}
