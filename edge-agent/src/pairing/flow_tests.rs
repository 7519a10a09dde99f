//! A technician's visit from the first search to the sheet, over real bytes on ptys, with no centre anywhere.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use control_protocol::{
    Happening,
    pairing::Ask,
    site_pass::{RevokedPass, SitePass},
};
use device_drivers::{
    clock::SystemLocal,
    counter::AckForm,
    simulator::{
        attendance::{Terminal, TerminalSetup},
        counter::{BusSetup, CounterBus},
        pty::Pty,
    },
};
use http::{Request, StatusCode};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    test_hall::{Hall, LONG, text_of, who},
    *,
};
use crate::uplink::channel::Door as _;

/// A counter bus on a pty, as long as the test lasts.
fn bus(link: &Path, keypads: &[u8], evaluators: &[u8], cancel: &CancellationToken) -> Arc<CounterBus> {
    let bus = Arc::new(CounterBus::new(BusSetup {
        keypads: keypads.to_vec(),
        evaluators: evaluators.iter().map(|a| (*a, AckForm::A)).collect(),
        ..BusSetup::default()
    }));
    let (running, link, cancel) = (bus.clone(), link.to_owned(), cancel.clone());
    let mut pty = Pty::open(Some(&link)).unwrap();
    tokio::spawn(async move { running.serve(&mut pty, &cancel).await.unwrap() });
    bus
}

async fn press(bus: &CounterBus, address: u8, raw: u8) {
    let id = bus.rate(address, raw);
    assert!(bus.wait_acknowledged(id, LONG).await.is_some(), "the press was not answered");
    // Equal presses within 300 ms are one (docs/reference/devices.md B2.1).
    tokio::time::sleep(Duration::from_millis(320)).await;
}

fn jpeg() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(640, 480, |x, y| image::Rgb([(x / 3) as u8, (y / 2) as u8, 120]));
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85).encode_image(&picture).unwrap();
    jpeg
}

const EVALUATOR: &str = "450103-01-W07-evaluator";

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_goes_from_the_first_search_to_the_sheet_with_no_centre() {
    let data = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let (link_a, link_b) = (data.path().join("bus-a"), data.path().join("bus-b"));
    let a = bus(&link_a, &[7], &[7], &cancel);
    let b = bus(&link_b, &[], &[9], &cancel);
    let hall = Hall::start(data.path(), "").await;

    // Nothing can be changed without an open window, and it is not opened for long without approval.
    assert_eq!(hall.refused("POST", "visit/window", json!({"window": null})).await.1, "no-visit");
    let (status, code, params) = hall.refused("POST", "visit", json!({"minutes": 11})).await;
    assert_eq!((status, code.as_str(), &params["most_minutes"]), (422, "approver-needed", &json!(10)));
    let visit = hall.ok("POST", "visit", json!({"window": "450103-01-W07"})).await;
    assert!(visit["left_ms"].as_i64().unwrap() > 590_000);
    let other = hall.raw(&who("wang"), "POST", "visit", b"{}".to_vec()).await;
    assert_eq!(other.status, 409);

    // Heard, found, and shown live.
    let search = json!({"source": "bus", "port": link_a});
    hall.ok("POST", "visit/searches", search).await;
    press(&a, 7, 4).await;
    let visit = hall.visit_until(|v| v["candidates"].as_array().is_some_and(|c| !c.is_empty())).await;
    assert_eq!(visit["candidates"][0]["kind"], "evaluator");
    assert_eq!(visit["candidates"][0]["facts"]["address"], 7);
    let live = hall.ok("GET", "visit/live?after=0&wait=5", json!({})).await;
    assert_eq!(live["items"][0]["candidate"], "c1");
    assert_eq!(live["items"][0]["raw"], "04");

    // It shows itself: the invitation reaches the evaluator on its line.
    hall.ok("POST", "visit/identify", json!({"candidate": "c1", "how": "evaluate"})).await;
    let invited = async {
        while a.display(7).invitations == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, invited).await.expect("the evaluator was not invited");
    hall.ok("POST", "visit/identified", json!({"candidate": "c1", "is_it": true})).await;

    // Bound, and not in service before its keys are confirmed.
    let wrong = json!({"candidate": "c1", "position": "450103-01-W99-evaluator"});
    assert_eq!(hall.refused("POST", "visit/bind", wrong).await.1, "invalid");
    hall.ok("POST", "visit/bind", json!({"candidate": "c1", "position": EVALUATOR})).await;
    hall.health_until(EVALUATOR, "unconfirmed").await;
    press(&a, 7, 4).await;
    let refused =
        hall.events().await.into_iter().rfind(|e| e.happening.kind() == "rating.unsolicited").unwrap();
    assert!(
        matches!(refused.happening, Happening::RatingUnsolicited { ref why, .. } if why == "unconfirmed")
    );

    // Five keys, live, of a test case.
    let visit = hall.ok("POST", "visit/test", json!({"position": EVALUATOR})).await;
    let case = visit["tests"][0]["case_id"].as_str().unwrap().to_owned();
    assert!(case.parse::<control_protocol::CaseId>().unwrap().is_test());
    let map: BTreeMap<&str, u8> = BTreeMap::from([("04", 5), ("03", 4), ("02", 3), ("01", 2), ("00", 1)]);
    let short = json!({"position": EVALUATOR, "map": {"04": 5}});
    assert_eq!(hall.refused("POST", "visit/grades", short).await.1, "keys-missing");
    for raw in 0..5 {
        press(&a, 7, raw).await;
    }
    hall.visit_until(|v| v["tests"][0]["heard"].as_array().is_some_and(|h| h.len() == 5)).await;
    let visit = hall.ok("POST", "visit/grades", json!({"position": EVALUATOR, "map": map})).await;
    assert_eq!(visit["bound"][0]["confirmed"], true);
    hall.ok("POST", "visit/test/end", json!({"position": EVALUATOR})).await;
    hall.health_until(EVALUATOR, "online").await;
    let tested: Vec<_> = hall.events().await.into_iter().filter(|e| e.case.is_some()).collect();
    assert_eq!(tested.len(), 5);
    assert!(tested.iter().all(|e| e.case.unwrap().to_string() == case));

    // Five points, one with a photo, and two names.
    let photo = hall.raw(&who("li"), "POST", "visit/photos", jpeg()).await;
    assert_eq!(photo.status, 201);
    assert_eq!(hall.raw(&who("li"), "POST", "visit/photos", b"GIF89a".to_vec()).await.status, 415);
    assert_eq!(hall.refused("POST", "visit/sign", json!({"name": "李工"})).await.1, "points-missing");
    for point in ["quantity", "place", "display", "link"] {
        hall.ok("POST", &format!("visit/points/{point}"), json!({"result": "pass"})).await;
    }
    let judged =
        json!({"result": "not_applicable", "note": "本窗口未改动摄像机，画面由前次验收", "photo": "p1"});
    hall.ok("POST", "visit/points/picture", judged).await;
    let signed = hall.ok("POST", "visit/sign", json!({"name": "李工", "hall_name": "王主任"})).await;
    assert_eq!(signed["closed"]["why"], "signed");
    let id = signed["id"].as_str().unwrap();
    let pdf = hall.raw(&who("li"), "GET", &format!("visits/{id}/sheet.pdf"), Vec::new()).await;
    assert_eq!((pdf.status, pdf.content_type), (200, Some("application/pdf")));
    if let Ok(folder) = std::env::var("HALLWATCH_SHEET_FOLDER") {
        std::fs::write(Path::new(&folder).join("sheet.pdf"), &pdf.body).unwrap();
    }
    let text = text_of(&pdf.body).await;
    for wanted in [
        "设备安装验收单",
        "青秀区政务服务中心",
        EVALUATOR,
        &case,
        "04=5",
        "李工",
        "王主任",
        "不适用",
        "日志完整",
        id,
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    let log = hall.ok("GET", &format!("visits/{id}"), json!({})).await;
    assert_eq!(log["chain"], "whole");
    assert_eq!(hall.refused("POST", "visit/close", json!({})).await.1, "no-visit");

    // A year later it dies; another takes its place, and the place keeps its history.
    hall.ok("POST", "visit", json!({})).await;
    hall.ok("POST", "visit/searches", json!({"source": "bus", "port": link_b})).await;
    press(&b, 9, 0).await;
    hall.visit_until(|v| v["candidates"].as_array().is_some_and(|c| !c.is_empty())).await;
    let (status, code, params) =
        hall.refused("POST", "visit/bind", json!({"candidate": "c1", "position": EVALUATOR})).await;
    assert_eq!((status, code.as_str(), &params["choices"]), (409, "position-occupied", &json!(["replaced"])));
    let bind = json!({"candidate": "c1", "position": EVALUATOR, "case": "replaced"});
    let visit = hall.ok("POST", "visit/bind", bind).await;
    let undo = visit["bound"][0]["undo"].as_str().unwrap().to_owned();
    let position = hall.ok("GET", &format!("positions/{EVALUATOR}"), json!({})).await;
    assert_eq!(position["history"].as_array().unwrap().len(), 2);
    assert_eq!(position["history"][0]["why"], "replaced");
    assert!(position["history"][1]["to"].is_string());
    hall.health_until(EVALUATOR, "unconfirmed").await;
    let kinds: Vec<_> = hall.events().await.iter().map(|e| e.happening.kind()).collect();
    for kind in ["device.paired", "device.replaced", "node.config_changed", "device.up"] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }

    // Taken back: the old one serves again, confirmed as it was.
    let undone = hall.ok("POST", &format!("undo/{undo}"), json!({})).await;
    assert_eq!(undone["positions"][0]["connection"]["address"], 7);
    assert_eq!(hall.refused("POST", &format!("undo/{undo}"), json!({})).await.0, 404);
    hall.health_until(EVALUATOR, "online").await;
    hall.stop().await;
    cancel.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn others_on_a_line_serve_on_while_somebody_listens_there() {
    let data = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let link = data.path().join("bus-a");
    let a = bus(&link, &[], &[7, 8], &cancel);
    let devices = format!(
        "[[bus]]\nname = \"bus-1\"\npath = \"{}\"\n[[bus.evaluator]]\nwindow = 7\naddress = 7\n\
         grades = {{ \"04\" = 5 }}\ngrades_confirmed_by = \"li\"\n",
        link.display()
    );
    let hall = Hall::start(data.path(), &devices).await;
    hall.health_until(EVALUATOR, "online").await;
    hall.ok("POST", "visit", json!({})).await;
    // The first press falls into the change of drivers and is said again until it is answered: once on record.
    let id = a.rate(7, 4);
    hall.ok("POST", "visit/searches", json!({"source": "bus", "port": link})).await;
    assert!(a.wait_acknowledged(id, LONG).await.is_some());
    press(&a, 8, 2).await;
    let visit = hall.visit_until(|v| v["candidates"].as_array().is_some_and(|c| !c.is_empty())).await;
    assert_eq!(visit["candidates"].as_array().unwrap().len(), 1);
    assert_eq!(visit["candidates"][0]["connection"]["address"], 8);
    let grades = |events: Vec<control_protocol::Event>| {
        events.into_iter().filter(|e| e.happening.kind().starts_with("rating.")).count()
    };
    assert_eq!(grades(hall.events().await), 1);
    // The same address and role cannot stand twice; a printer cannot share the line.
    let stated = json!({"source": "stated", "connection":
        {"kind": "bus_evaluator", "port": link, "baud": 9600, "address": 7, "ack_form": "A"}});
    hall.ok("POST", "visit/searches", stated).await;
    let bind = json!({"candidate": "c2", "position": "450103-01-W08-evaluator"});
    let (_, code, params) = hall.refused("POST", "visit/bind", bind).await;
    assert_eq!((code.as_str(), &params["choices"]), ("device-bound", &json!(["moved"])));
    let other = json!({"source": "bus", "port": link, "baud": 4800});
    assert_eq!(hall.refused("POST", "visit/searches", other).await.1, "port-in-use");
    // Moved: the old place stands empty, the new one has it.
    let bind = json!({"candidate": "c2", "position": "450103-01-W08-evaluator", "case": "moved"});
    hall.ok("POST", "visit/bind", bind).await;
    hall.health_until(EVALUATOR, "unbound").await;
    hall.health_until("450103-01-W08-evaluator", "unconfirmed").await;
    hall.ok("POST", "visit/searches/s1/stop", json!({})).await;
    hall.stop().await;
    cancel.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_found_on_the_network_and_a_window_closes_by_itself() {
    let data = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let setup = TerminalSetup::default();
    let terminal = Terminal::new(setup, Arc::new(SystemLocal(jiff::tz::TimeZone::UTC)));
    let token = cancel.clone();
    tokio::spawn(async move { terminal.serve(listener, token).await.unwrap() });
    let hall = Hall::start(data.path(), "").await;
    hall.ok("POST", "visit", json!({})).await;
    let search = json!({"source": "attendance", "addresses": format!("127.0.0.1:{port}")});
    let visit = hall.ok("POST", "visit/searches", search).await;
    assert_eq!(visit["searches"][0]["of"], 1);
    let visit = hall.visit_until(|v| v["searches"][0]["state"] == "done").await;
    assert_eq!(visit["candidates"][0]["kind"], "attendance");
    assert!(visit["candidates"][0]["facts"]["serial"].is_string());
    hall.ok("POST", "visit/identify", json!({"candidate": "c1", "how": "voice"})).await;
    let bind = json!({"candidate": "c1", "position": "450103-01-A01-attendance"});
    hall.ok("POST", "visit/bind", bind).await;
    hall.health_until("450103-01-A01-attendance", "online").await;
    // The time is over: the attendant closes it, and what was in test is not any more.
    hall.ok("POST", "visit/test", json!({"position": "450103-01-A01-attendance"})).await;
    {
        let mut held = hall.pairing.0.visit.lock().await;
        held.as_mut().unwrap().expires_at = hall.pairing.now();
    }
    let closed = async {
        loop {
            let visits = hall.ok("GET", "visits", json!({})).await;
            if visits["items"][0]["closed"]["why"] == "expired" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, closed).await.unwrap();
    assert_eq!(hall.pairing.0.place.board.in_test("450103-01-A01-attendance"), None);
    hall.stop().await;
    cancel.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_survives_a_restart_and_a_changed_log_is_seen() {
    let data = tempfile::tempdir().unwrap();
    let hall = Hall::start(data.path(), "").await;
    let visit = hall.ok("POST", "visit", json!({"minutes": 30, "approver": "陈主任"})).await;
    let search = json!({"source": "bus", "port": data.path().join("nowhere")});
    hall.ok("POST", "visit/searches", search).await;
    hall.stop().await;
    let hall = Hall::start(data.path(), "").await;
    let again = hall.ok("GET", "visit", json!({})).await;
    assert_eq!(again["id"], visit["id"]);
    assert_eq!(again["searches"][0]["state"], "stopped");
    let id = visit["id"].as_str().unwrap();
    let path = format!("visits/{id}");
    assert_eq!(hall.ok("GET", &path, json!({})).await["chain"], "whole");
    hall.pairing
        .store()
        .run(|tx| {
            tx.execute("UPDATE steps SET bytes = CAST(replace(CAST(bytes AS TEXT), '陈主任', '王主任') AS BLOB) WHERE n = 1", [])?;
            Ok::<_, StoreFailed>(())
        })
        .await
        .unwrap();
    assert_eq!(hall.ok("GET", &path, json!({})).await["chain"], "broken");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_positions_is_judged_row_by_row_and_taken_whole_or_not_at_all() {
    let data = tempfile::tempdir().unwrap();
    let hall = Hall::start(data.path(), "").await;
    let good = "窗口,角色,端口,地址,评价码\n7,评价器,/dev/ttyX1,7,04=5 00=1\n8,evaluator,/dev/ttyX1,8,\n7,keypad,/dev/ttyX1,7,\n";
    let bad = format!(
        "{good}99,评价器,/dev/ttyX1,9,\n8,评价器,/dev/ttyX1,8,\n8,钟,/dev/ttyX1,8,\n8,键盘,/dev/ttyX2,x,\n8,键盘,,1,\n"
    );
    let (gb, ..) = encoding_rs::GB18030.encode(&bad);
    for bytes in [bad.clone().into_bytes(), [b"\xEF\xBB\xBF", bad.as_bytes()].concat(), gb.into_owned()] {
        let answer = hall.raw(&who("li"), "POST", "import?dry_run=true", bytes).await;
        let rows: Value = serde_json::from_slice(&answer.body).unwrap();
        let fates: Vec<_> =
            rows["rows"].as_array().unwrap().iter().map(|r| r["fate"].as_str().unwrap()).collect();
        assert_eq!(fates, ["add", "add", "add", "refuse", "refuse", "refuse", "refuse", "refuse"], "{rows}");
        let codes: Vec<_> =
            rows["rows"].as_array().unwrap()[3..].iter().map(|r| r["problems"][0]["code"].clone()).collect();
        assert_eq!(codes, ["no-window", "twice", "bad-role", "bad-address", "no-port"]);
        assert_eq!(rows["rows"][7]["line"], 9);
    }
    assert_eq!(hall.raw(&who("li"), "POST", "import", good.into()).await.status, 404);
    hall.ok("POST", "visit", json!({})).await;
    let applied = |answer: Answer| serde_json::from_slice::<Value>(&answer.body).unwrap()["applied"].clone();
    assert_eq!(applied(hall.raw(&who("li"), "POST", "import", bad.into()).await), false);
    assert_eq!(hall.ok("GET", "positions", json!({})).await["items"], json!([]));
    assert_eq!(applied(hall.raw(&who("li"), "POST", "import", good.into()).await), true);
    let shown = hall.ok("GET", "positions", json!({})).await;
    assert_eq!(shown["items"].as_array().unwrap().len(), 3);
    assert_eq!(shown["items"][0]["grades"]["confirmed_by"], Value::Null);
    assert_eq!(shown["items"][0]["source"], "import");
    let again = hall.raw(&who("li"), "POST", "import?dry_run=1", good.into()).await;
    let again: Value = serde_json::from_slice(&again.body).unwrap();
    assert!(again["rows"].as_array().unwrap().iter().all(|r| r["fate"] == "same"), "{again}");
    // All of it is taken back at once.
    let undo = hall.ok("GET", "undo", json!({})).await["items"][0]["id"].as_str().unwrap().to_owned();
    hall.ok("POST", &format!("undo/{undo}"), json!({})).await;
    let shown = hall.ok("GET", "positions", json!({})).await;
    assert!(shown["items"].as_array().unwrap().iter().all(|p| p["health"]["state"] == "unbound"));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_doors_give_the_same_answer_and_the_halls_opens_only_to_a_pass() {
    let data = tempfile::tempdir().unwrap();
    let hall = Hall::start(data.path(), "").await;
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
    let passes =
        Passes::new("450103-01".parse().unwrap(), vec![key.public_key().as_ref().to_vec()], Vec::new());
    let now = hall.pairing.now();
    let pass = |hall: &str, until: i64| {
        let pass = SitePass {
            id: "sp-1".into(),
            hall: hall.parse().unwrap(),
            technician: "li".into(),
            from: now.0 - 3_600_000,
            until,
        };
        pass.text(key.sign(&random, &pass.signed()).unwrap().as_ref())
    };
    let router = door::router(hall.pairing.clone(), passes.clone(), axum::Router::new());
    let send = move |method: &str, path: &str, headers: &[(&str, &str)], body: String| {
        let mut request = Request::builder().method(method).uri(path).header("host", "hall:8444");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let from: std::net::SocketAddr = "192.0.2.1:1".parse().unwrap();
        let request =
            request.extension(axum::extract::ConnectInfo(from)).body(axum::body::Body::from(body)).unwrap();
        let router = router.clone();
        async move {
            let response = router.oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            (parts, axum::body::to_bytes(body, 1 << 20).await.unwrap())
        }
    };
    let (parts, body) = send("GET", "/api/v1/health", &[], String::new()).await;
    assert_eq!(parts.status, StatusCode::OK);
    assert_eq!(parts.headers["cache-control"], "no-store");
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["centre"], "down");
    for path in ["hall", "positions", "visit", "visits", "undo", "nothing"] {
        let (parts, _) = send("GET", &format!("/api/v1/pairing/{path}"), &[], String::new()).await;
        assert_eq!(parts.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let present = |text: String| json!({"pass": text}).to_string();
    for (text, why) in
        [(pass("450103-02", now.0 + 3_600_000), "other_hall"), (pass("450103-01", now.0 - 1), "expired")]
    {
        let (parts, body) = send("POST", "/api/v1/session", &[], present(text)).await;
        assert_eq!(parts.status, StatusCode::FORBIDDEN);
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["params"]["why"], why);
    }
    let good = pass("450103-01", now.0 + 3_600_000);
    let (parts, body) = send("POST", "/api/v1/session", &[], present(good.clone())).await;
    assert_eq!(parts.status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let set = parts.headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("Secure") && set.contains("HttpOnly") && set.contains("SameSite=Strict"));
    let cookie = set.split(';').next().unwrap().to_owned();
    let signed = [("cookie", cookie.as_str())];
    let elsewhere = [("cookie", cookie.as_str()), ("origin", "https://elsewhere.example")];
    let (parts, body) = send("POST", "/api/v1/pairing/visit", &elsewhere, "{}".into()).await;
    assert_eq!(parts.status, StatusCode::FORBIDDEN);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "origin");
    let own = [("cookie", cookie.as_str()), ("origin", "https://hall:8444")];
    let (parts, _) = send("POST", "/api/v1/pairing/visit", &own, "{}".into()).await;
    assert_eq!(parts.status, StatusCode::CREATED);

    // The same questions through the centre: the same answers, but for the door itself and the clock.
    let centre = CentreDoor { pairing: hall.pairing.clone(), passes: passes.clone() };
    let plain = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        for field in ["time", "left_ms", "technician"] {
            value.as_object_mut().unwrap().remove(field);
        }
        value
    };
    for path in ["hall", "positions", "visit", "visit/sources", "visits", "undo", "nothing"] {
        let (parts, here) = send("GET", &format!("/api/v1/pairing/{path}"), &signed, String::new()).await;
        let ask = Ask {
            about: Default::default(),
            method: "GET".into(),
            path: path.into(),
            query: String::new(),
            content_type: None,
            technician: "li".into(),
        };
        let (answered, there) = centre.answer(ask, bytes::Bytes::new()).await;
        assert_eq!(parts.status.as_u16(), answered.status, "{path}");
        assert_eq!(parts.headers["content-type"].to_str().ok(), answered.content_type.as_deref());
        assert_eq!(plain(&here), plain(&there), "{path}");
    }

    // Taken back: the session is over at once, and for good.
    let until = control_protocol::UtcMillis(now.0 + 3_600_000);
    centre.revoked(vec![RevokedPass { id: "sp-1".into(), until }]).await;
    let (parts, _) = send("GET", "/api/v1/pairing/hall", &signed, String::new()).await;
    assert_eq!(parts.status, StatusCode::UNAUTHORIZED);
    let (parts, _) = send("POST", "/api/v1/session", &[], present(good)).await;
    assert_eq!(parts.status, StatusCode::FORBIDDEN);
    let kept = hall.pairing.store().run(pass::revoked).await.unwrap();
    assert_eq!(kept.len(), 1);
    // Whoever holds the hall keeps its journal open.
    drop((send, centre));
    hall.stop().await;
}
