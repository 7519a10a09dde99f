use control_protocol::{Happening, event::CameraEntry};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::{
    scene::{Journal, Scene},
    site::tests::Browser,
};

fn wall(change: impl FnOnce(&mut serde_json::Value)) -> Result<(), String> {
    let mut value = json!({
        "layout": "9", "cameras": ["450103-01-W01-C1", "450103-01-W02-C1"],
        "patrol": {"dwell": 15, "groups": "hall", "order": "risk",
            "hours": [{"days": [1, 2, 3, 4, 5], "from": "08:30", "to": "12:00"}]}
    });
    change(&mut value);
    serde_json::from_value::<Wall>(value).map_err(|error| error.to_string())?.check()
}

#[test]
fn what_cannot_be_shown_is_not_saved() {
    assert_eq!(wall(|_| {}), Ok(()));
    assert_eq!(wall(|w| w["patrol"] = json!(null)), Ok(()));
    assert_eq!(wall(|w| w["patrol"]["hours"][0]["to"] = json!("24:00")), Ok(()));
    let wrong: [fn(&mut serde_json::Value); 11] = [
        |w| w["layout"] = json!("7"),
        |w| w["cameras"] = json!([]),
        |w| w["cameras"] = json!(["450103-01-W01-C1", "450103-01-W01-C1"]),
        |w| w["cameras"] = json!((1..=201).map(|n| format!("450103-01-W{n:02}-C1")).collect::<Vec<_>>()),
        |w| w["cameras"] = json!(["no camera"]),
        |w| w["patrol"]["dwell"] = json!(4),
        |w| w["patrol"]["order"] = json!("lot"),
        |w| w["patrol"]["hours"][0]["days"] = json!([0]),
        |w| w["patrol"]["hours"][0]["from"] = json!("8:30"),
        |w| w["patrol"]["hours"][0]["to"] = json!("08:30"),
        |w| w["patrol"]["hours"][0]["to"] = json!("24:01"),
    ];
    for (n, wrong) in wrong.into_iter().enumerate() {
        assert!(wall(wrong).is_err(), "wrong wall {n} is taken");
    }
}

#[test]
fn names_have_something_to_read() {
    assert_eq!(check_name("早高峰"), Ok(()));
    for name in ["", " a", "a ", "a\nb", &"长".repeat(61)] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
}

/// A scene whose two halls have a camera over each of two windows.
async fn scene() -> Scene {
    let scene = Scene::new().await;
    for hall in ["450103-01", "450102-01"] {
        let entry = |n: u32| CameraEntry {
            camera: format!("{hall}-W0{n}-C1").parse().unwrap(),
            window: Some(format!("{hall}-W0{n}").parse().unwrap()),
            name: "c".into(),
            url: "rtsp://x".into(),
        };
        let cameras = vec![entry(1), entry(2)];
        let mut journal = Journal::of(hall);
        scene
            .take(vec![journal.event(0, 0, Happening::NodeConfigChanged { cameras, positions: Vec::new() })])
            .await;
    }
    scene
}

fn preset(name: &str, scope: Value, cameras: &[&str]) -> Value {
    json!({"name": name, "scope": scope, "wall": {"layout": "4", "cameras": cameras}})
}

async fn names(browser: &Browser) -> Vec<String> {
    let list = browser.get("/wall/presets").await;
    list["items"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_preset_is_its_owners_until_it_is_shared() {
    let scene = scene().await;
    let region = Browser::signed_in(&scene, "region").await;
    let county = Browser::signed_in(&scene, "county").await;
    let other = Browser::signed_in(&scene, "other").await;
    let both = ["450103-01-W02-C1", "450102-01-W01-C1"];
    let (status, saved) =
        region.json(Method::POST, "/wall/presets", Some(preset("早高峰", Value::Null, &both))).await;
    assert_eq!(status, StatusCode::CREATED, "{saved}");
    let path = format!("/wall/presets/{}", saved["id"].as_str().unwrap());
    assert_eq!(names(&region).await, ["早高峰"]);
    assert!(names(&county).await.is_empty());
    // What one does not know of is not there.
    assert_eq!(county.json(Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);

    let shared = preset("早高峰", json!("450100"), &both);
    assert_eq!(region.json(Method::PUT, &path, Some(shared.clone())).await.0, StatusCode::NO_CONTENT);
    // Everybody of the city has it, and of it the cameras that are theirs.
    for (browser, camera) in [(&county, both[0]), (&other, both[1])] {
        let list = browser.get("/wall/presets").await;
        let row = &list["items"][0];
        assert_eq!((&row["wall"]["cameras"], &row["hidden"]), (&json!([camera]), &json!(1)));
        assert_eq!(
            (&row["mine"], &row["owner"], &row["scope_name"]),
            (&json!(false), &json!("region"), &json!("南宁市"))
        );
    }
    // The same shared with one county stays there.
    let narrow = preset("早高峰", json!("450103"), &both);
    assert_eq!(region.json(Method::PUT, &path, Some(narrow)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(names(&county).await, ["早高峰"]);
    assert!(names(&other).await.is_empty());
    assert_eq!(county.json(Method::PUT, &path, Some(shared)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(county.json(Method::DELETE, &path, None).await.0, StatusCode::FORBIDDEN);
    let admin = Browser::signed_in(&scene, "admin").await;
    assert_eq!(admin.json(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert!(names(&region).await.is_empty());
}

#[tokio::test]
async fn nobody_saves_or_shares_what_is_not_theirs() {
    let scene = scene().await;
    let county = Browser::signed_in(&scene, "county").await;
    let mine = ["450103-01-W01-C1"];
    let post = async |body: Value| county.json(Method::POST, "/wall/presets", Some(body)).await.0;
    assert_eq!(post(preset("a", Value::Null, &["450102-01-W01-C1"])).await, StatusCode::NOT_FOUND);
    assert_eq!(post(preset("a", Value::Null, &["450103-01-W09-C1"])).await, StatusCode::NOT_FOUND);
    assert_eq!(post(preset("a", json!("450100"), &mine)).await, StatusCode::NOT_FOUND);
    assert_eq!(post(preset("", Value::Null, &mine)).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(json!({"name": "a", "walls": 1})).await, StatusCode::BAD_REQUEST);
    assert_eq!(post(preset("a", json!("450103-01"), &mine)).await, StatusCode::CREATED);
    assert_eq!(post(preset("a", Value::Null, &mine)).await, StatusCode::CONFLICT);
    let hr = Browser::signed_in(&scene, "hr").await;
    assert_eq!(hr.status("/wall/presets").await, StatusCode::FORBIDDEN);
    assert_eq!(
        hr.json(Method::POST, "/wall/presets", Some(preset("b", Value::Null, &mine))).await.0,
        StatusCode::FORBIDDEN
    );
    let audit = Browser::signed_in(&scene, "admin").await.get("/audit").await;
    let rows = audit["items"].as_array().unwrap();
    assert!(
        rows.iter().any(|row| row["action"] == "wall_preset.added" && row["who"] == "county"),
        "{rows:?}"
    );
}
