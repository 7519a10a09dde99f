//! A camera from the search to the sheet: a simulated one, found by ONVIF and played over RTSP, with no centre anywhere.

use std::{sync::Arc, time::Duration};

use control_protocol::{Happening, channel::StreamState};
use device_drivers::{
    clock::SystemMonotonic,
    simulator::onvif::{Behaviour, OnvifCamera},
};
use serde_json::{Value, json};
use simulated_hall::{
    footage::{Recipe, encode},
    rtsp::{Authentication, CameraSpec, Credentials, Footage, Server, ServerSetup, Tier},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::test_hall::{Hall, LONG, text_of, who};
use crate::{cameras, config::Video, fleet, vault::Vault};

const USER: &str = "technician";
const PASSWORD: &str = "gua&ng-xi-2026";
const PLACE: &str = "450103-01-W07-C1";

/// A camera that plays, and the same telling of itself.
async fn camera(cancel: &CancellationToken) -> (Server, OnvifCamera) {
    let clip = Arc::new(encode(&Recipe::sub(17, "W07")).unwrap());
    let streams = [Tier::Main, Tier::Sub].map(|tier| (tier, Footage::new(clip.clone())));
    let credentials =
        Credentials { authentication: Authentication::Digest, user: USER.into(), password: PASSWORD.into() };
    let spec = CameraSpec { name: "W07".into(), credentials, streams: streams.into() };
    let setup = ServerSetup { listen: ([127, 0, 0, 1], 0).into(), cameras: vec![spec], stamp: false };
    let rtsp = Server::start(setup, cancel.clone()).await.unwrap();
    let mut behaviour = Behaviour::sound("");
    behaviour.user = Some((USER.into(), PASSWORD.into()));
    for (profile, tier) in behaviour.profiles.iter_mut().zip([Tier::Main, Tier::Sub]) {
        profile.uri = rtsp.url("W07", tier);
    }
    (rtsp, OnvifCamera::start(behaviour).await.unwrap())
}

/// The cameras of the hall, as `run` has them follow what is paired.
fn follow(hall: &Hall, data: &std::path::Path) -> (cameras::Cameras, Vec<tokio::task::JoinHandle<()>>) {
    let surroundings = cameras::Surroundings {
        clock: crate::clock::SystemClock::start(),
        jitter: || 0.5,
        events: hall.cameras.clone(),
        stills: picture::StillMaker::start(picture::Settings::default()).unwrap(),
        inspection: None,
        transcoders: Arc::new(cameras::transcode::Transcoders::new(
            crate::config::Transcoding { at_once: 0, ..crate::config::Transcoding::default() },
            "none".into(),
        )),
    };
    let video = Video { keep_sub: true, main_linger_seconds: 1 };
    let (cameras, tasks) = cameras::start(Vec::new(), &video, &surroundings, &hall.cancel);
    let mut wanted = hall.pairing.cameras();
    wanted.borrow_and_update();
    let follower = fleet::Follower {
        wanted,
        running: Vec::new(),
        cameras: cameras.clone(),
        recorder: None,
        recording: crate::recorder::tests::settings(data),
        of_windows: watch::Sender::new(fleet::OfWindows::new()),
        vault: Vault::at(data),
        clock: Arc::new(SystemMonotonic),
    };
    let token = hall.cancel.clone();
    let tasks = vec![
        tokio::spawn(async move { tasks.joined().await.unwrap() }),
        tokio::spawn(async move { follower.run(token).await.unwrap() }),
    ];
    (cameras, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_found_seen_bound_tested_and_taken_back() {
    let data = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let (rtsp, onvif) = camera(&cancel).await;
    let hall = Hall::start(data.path(), "").await;
    let (cameras, tasks) = follow(&hall, data.path());
    hall.ok("POST", "visit", json!({"window": "450103-01-W07"})).await;

    // Found with no password tried, the range shown.
    let search = json!({
        "source": "camera", "addresses": "127.0.0.1", "http_ports": [onvif.http_port()],
        "rtsp_port": rtsp.address().port(), "discovery_port": onvif.discovery().port(),
    });
    assert_eq!(
        hall.refused("POST", "visit/searches", json!({"source": "camera", "addresses": "10.0.0.0/8"}))
            .await
            .1,
        "invalid"
    );
    let visit = hall.ok("POST", "visit/searches", search).await;
    assert_eq!(visit["searches"][0]["range"]["addresses"], "127.0.0.1");
    assert_eq!(visit["searches"][0]["of"], 1);
    let visit = hall.visit_until(|v| v["searches"][0]["state"] == "done").await;
    let found = &visit["candidates"];
    assert_eq!(
        found.as_array().map(Vec::len),
        Some(1),
        "ONVIF and RTSP of one address are one camera: {found}"
    );
    let facts = &found[0]["facts"];
    assert_eq!((&facts["described"], &facts["name"]), (&json!(false), &json!("窗口 7")));
    assert_eq!(facts["rtsp"], json!(rtsp.address()));
    assert_eq!(onvif.wrong_passwords(), 0);

    // Nothing is bound whose streams nobody knows; a wrong password is tried once and said.
    let bind = json!({"candidate": "c1", "position": PLACE});
    assert_eq!(hall.refused("POST", "visit/bind", bind.clone()).await.1, "no-streams");
    for (name, secret) in [("wrong", "12345"), ("cameras", PASSWORD)] {
        hall.ok("POST", "visit/credentials", json!({"name": name, "secret": secret})).await;
    }
    let sign_in = |credential: &str| json!({"candidate": "c1", "user": USER, "credential": credential});
    let (status, code, params) = hall.refused("POST", "visit/streams", sign_in("wrong")).await;
    assert_eq!((status, code.as_str(), &params["why"]), (502, "camera", &json!("unauthorized")));
    let visit = hall.ok("POST", "visit/streams", sign_in("cameras")).await;
    let candidate = &visit["candidates"][0];
    assert_eq!(candidate["identify"], json!(["still"]));
    assert_eq!(candidate["connection"]["main"], rtsp.url("W07", Tier::Main));
    assert_eq!(candidate["connection"]["sub"], rtsp.url("W07", Tier::Sub));
    assert_eq!(candidate["facts"]["streams"].as_array().map(Vec::len), Some(2));

    // Seen.
    let seen = hall.ok("POST", "visit/identify", json!({"candidate": "c1", "how": "still"})).await;
    let photo =
        format!("visits/{}/photos/{}", visit["id"].as_str().unwrap(), seen["photo"].as_str().unwrap());
    let photo = hall.raw(&who("li"), "GET", &photo, Vec::new()).await;
    assert_eq!((photo.status, photo.content_type), (200, Some("image/jpeg")));
    let picture = image::load_from_memory(&photo.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (640, 360));
    hall.ok("POST", "visit/identified", json!({"candidate": "c1", "is_it": true})).await;

    // Bound: pulled, told, on record.
    let wrong = json!({"candidate": "c1", "position": "450103-01-W09-C1"});
    assert_eq!(hall.refused("POST", "visit/bind", wrong).await.1, "invalid");
    hall.ok("POST", "visit/bind", bind.clone()).await;
    hall.health_until(PLACE, "online").await;
    assert_eq!(cameras.reports().len(), 1);
    assert_eq!(cameras.reports()[0].state, StreamState::Live);
    let events = hall.events().await;
    let told = events.iter().rfind(|e| e.happening.kind() == "node.config_changed").unwrap();
    let Happening::NodeConfigChanged { cameras: entries, positions } = &told.happening else { panic!() };
    assert_eq!((entries[0].camera.as_str(), entries[0].name.as_str()), (PLACE, "7号窗口"));
    assert!(positions.is_empty() && !entries[0].url.contains(PASSWORD));
    let paired = events.iter().find(|e| e.happening.kind() == "device.paired").unwrap();
    assert_eq!(paired.device.as_deref(), Some(PLACE));
    assert_eq!(paired.window.as_ref().map(|w| w.as_str()), Some("450103-01-W07"));
    let up = events.iter().find(|e| e.happening.kind() == "camera.up").unwrap();
    assert_eq!(up.window.as_ref().map(|w| w.as_str()), Some("450103-01-W07"));

    // Tested: both streams are played and judged, and the test ends by itself.
    hall.ok("POST", "visit/test", json!({"position": PLACE})).await;
    let wait = tokio::time::timeout(LONG * 3, async {
        loop {
            let visit = hall.ok("GET", "visit", json!({})).await;
            if !visit["tests"][0]["audit"].is_null() {
                return visit;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let visit = wait.await.expect("the streams were not judged");
    let test = &visit["tests"][0];
    assert!(!test["ended_at"].is_null());
    let roles: Vec<&Value> = test["audit"].as_array().unwrap().iter().map(|s| &s["role"]).collect();
    assert_eq!(roles, ["main", "sub"]);
    assert_eq!(test["audit"][1]["report"]["measured"]["width"], 640);
    // 360 lines are too few for a main stream.
    assert_eq!(test["audit"][0]["report"]["verdict"], "usable");
    assert_eq!(test["audit"][0]["report"]["findings"][0]["code"], "main_small");

    // Moved to the hall at large, taken back, and accepted.
    let large = json!({"candidate": "c1", "position": "450103-01-S01", "case": "moved"});
    hall.ok("POST", "visit/bind", large).await;
    hall.health_until(PLACE, "unbound").await;
    let undo = hall.ok("GET", "undo", json!({})).await;
    assert_eq!(undo["items"][0]["what"], "move");
    hall.ok("POST", &format!("undo/{}", undo["items"][0]["id"].as_str().unwrap()), json!({})).await;
    hall.health_until(PLACE, "online").await;
    hall.visit_until(|_| cameras.reports().iter().all(|r| r.camera.as_str() == PLACE)).await;
    hall.ok("POST", "visit/bind", json!({"candidate": "c1", "position": PLACE, "case": "replaced"})).await;
    for point in ["quantity", "place", "picture", "display", "link"] {
        hall.ok("POST", &format!("visit/points/{point}"), json!({"result": "pass"})).await;
    }
    let signed = hall.ok("POST", "visit/sign", json!({"name": "李工"})).await;
    let sheet = format!("visits/{}/sheet.pdf", signed["id"].as_str().unwrap());
    let pdf = hall.raw(&who("li"), "GET", &sheet, Vec::new()).await;
    if let Ok(folder) = std::env::var("HALLWATCH_SHEET_FOLDER") {
        std::fs::write(std::path::Path::new(&folder).join("camera-sheet.pdf"), &pdf.body).unwrap();
    }
    let text = text_of(&pdf.body).await;
    for words in ["摄像机画面", PLACE, "主码流", "辅码流", "640×360"] {
        assert!(text.contains(words), "{words}: {text}");
    }

    // The password is in the vault and nowhere else.
    let log =
        hall.raw(&who("li"), "GET", &format!("visits/{}", signed["id"].as_str().unwrap()), Vec::new()).await;
    assert!(!String::from_utf8_lossy(&log.body).contains(PASSWORD));
    drop(cameras);
    hall.cancel.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    hall.stop().await;
    cancel.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_s_camera_is_a_position_and_is_replaced_like_any() {
    let data = tempfile::tempdir().unwrap();
    let devices = r#"
[[camera]]
id = "450103-01-W07-C1"
window = 7
name = "柜台"
url = "rtsp://127.0.0.1:9/old"
"#;
    let hall = Hall::start(data.path(), devices).await;
    let shown = hall.ok("GET", &format!("positions/{PLACE}"), json!({})).await;
    assert_eq!((&shown["role"], &shown["source"]), (&json!("camera"), &json!("config")));
    assert_eq!(hall.pairing.cameras().borrow()[0].name, "柜台");
    hall.ok("POST", "visit", json!({})).await;
    let stated =
        json!({"source": "stated", "connection": {"kind": "camera", "main": "rtsp://127.0.0.1:9/new"}});
    hall.ok("POST", "visit/searches", stated).await;
    let with_user =
        json!({"source": "stated", "connection": {"kind": "camera", "main": "rtsp://u:p@127.0.0.1:9/x"}});
    assert_eq!(hall.refused("POST", "visit/searches", with_user).await.1, "invalid");
    let bind = |case: &str| json!({"candidate": "c1", "position": PLACE, "case": case});
    let (_, code, params) = hall.refused("POST", "visit/bind", bind("new")).await;
    assert_eq!((code.as_str(), &params["choices"]), ("position-occupied", &json!(["replaced"])));
    hall.ok("POST", "visit/bind", bind("replaced")).await;
    let camera = hall.pairing.cameras().borrow()[0].clone();
    assert_eq!((camera.url.as_str(), camera.name.as_str()), ("rtsp://127.0.0.1:9/new", "柜台"));
    // A camera that is not there says so when its picture is asked for.
    let (status, code, params) =
        hall.refused("POST", "visit/identify", json!({"candidate": "c1", "how": "still"})).await;
    assert_eq!((status, code.as_str(), &params["why"]), (502, "camera", &json!("connect")));
    hall.stop().await;
}
