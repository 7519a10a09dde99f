//! The API as a program or a browser meets it.

use axum::body::Body;
use control_protocol::{Happening as H, UtcMillis, event::*};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) use super::browser::Browser;
use crate::scene::{Journal, PASSWORD, START, Scene};

fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn grade(value: u8) -> Grade {
    Grade::new(value).unwrap()
}

/// One case from ticket to close at window 1 of hall 450103-01.
fn course(journal: &mut Journal, serial: u32, ticket: &str) -> Vec<control_protocol::StoredEvent> {
    let (t, b) = (ticket.to_owned(), "社保".to_owned());
    vec![
        journal.event(
            0,
            serial,
            H::TicketIssued { ticket: t.clone(), business: b.clone(), printed_waiting: None, priority: 0 },
        ),
        journal.event(0, serial, H::CaseOpened { ticket: t.clone(), business: b.clone() }),
        journal.event(1, serial, H::TicketCalled { ticket: t.clone(), business: b, by_number: false }),
        journal.event(1, serial, H::ServiceStarted { ticket: t.clone() }),
        journal.event(1, serial, H::ServiceEnded { ticket: t.clone(), ended_by: EndedBy::Evaluate }),
        journal.event(1, serial, H::RatingInvited { ticket: t.clone(), seconds: 10 }),
        journal.event(1, serial, H::RatingGiven { ticket: t.clone(), grade: grade(4), raw: 1 }),
        journal.event(
            1,
            serial,
            H::CaseClosed { ticket: t, ended_by: EndedBy::Rated, grade: Some(grade(4)), accurate: true },
        ),
    ]
}

async fn window(browser: &Browser) -> Value {
    browser.get("/halls/450103-01/windows").await["items"][0].clone()
}

#[tokio::test]
async fn a_case_from_ticket_to_close_is_seen_on_every_page() {
    let scene = Scene::new().await;
    let browser = Browser::signed_in(&scene, "county").await;
    let mut journal = Journal::of("450103-01");
    assert_eq!(window(&browser).await["state"], "closed");
    let opening = vec![
        journal.event(1, 0, H::ClerkSignedIn { clerk: "1001".into() }),
        journal.event(1, 0, H::WindowOpened {}),
    ];
    scene.take(opening).await;
    let now = window(&browser).await;
    assert_eq!((&now["state"], &now["clerk"]["name"]), (&json!("idle"), &json!("王老师")));
    let steps = course(&mut journal, 1, "A001");
    let states = ["idle", "idle", "called", "serving", "serving", "rating", "rating", "idle"];
    let waiting = [1, 1, 0, 0, 0, 0, 0, 0];
    for ((step, state), waiting) in steps.into_iter().zip(states).zip(waiting) {
        let kind = step.event.happening.kind();
        scene.take(vec![step]).await;
        let now = window(&browser).await;
        assert_eq!(now["state"], state, "after {kind}");
        assert_eq!(now["waiting"], waiting, "after {kind}");
        assert_eq!(now["ticket"], if ["idle"].contains(&state) { json!(null) } else { json!("A001") });
    }
    let now = window(&browser).await;
    assert_eq!(now["last_rating"]["grade"], 4);
    assert_eq!(now["last_rating"]["at"], UtcMillis(START + 8000).to_string());
    let case = &browser.get("/cases").await["items"][0];
    assert_eq!(case["case_id"], journal.case(1).to_string());
    assert_eq!(case["state"], "closed");
    assert_eq!(case["window"], "450103-01-W01");
    assert_eq!((&case["clerk"], &case["clerk_name"]), (&json!("1001"), &json!("王老师")));
    assert_eq!(case["grade"], 4);
    let file = browser.get(&format!("/cases/{}", journal.case(1))).await;
    let kinds: Vec<&str> =
        file["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 8);
    assert_eq!((kinds[0], kinds[7]), ("ticket.issued", "case.closed"));
    let coverage = browser.get("/coverage").await;
    assert_eq!(coverage["total"], json!({"window_events": 6, "tagged": 6, "coverage": 1.0}));
    let rating = &browser.get("/ratings?hall=450103-01").await["items"][0];
    assert_eq!(
        (&rating["outcome"], &rating["grade"], &rating["raw"]),
        (&json!("given"), &json!(4), &json!(1))
    );
    let ticket = &browser.get("/tickets").await["items"][0];
    assert_eq!((&ticket["ticket"], &ticket["state"]), (&json!("A001"), &json!("done")));
}

#[tokio::test]
async fn late_and_odd_events_undo_nothing() {
    let scene = Scene::new().await;
    let browser = Browser::signed_in(&scene, "region").await;
    let mut journal = Journal::of("450103-01");
    let mut events = vec![journal.event(1, 0, H::WindowOpened {})];
    events.extend(course(&mut journal, 1, "A001"));
    // No-show, transfer to window 2, a break, a press nobody asked for.
    let b = || "医保".to_owned();
    let issue = |t: &str| H::TicketIssued {
        ticket: t.into(),
        business: "医保".into(),
        printed_waiting: None,
        priority: 0,
    };
    events.push(journal.event(0, 2, issue("B001")));
    events.push(journal.event(
        1,
        2,
        H::TicketCalled { ticket: "B001".into(), business: b(), by_number: false },
    ));
    events.push(journal.event(1, 2, H::TicketNoShow { ticket: "B001".into() }));
    events.push(journal.event(
        1,
        2,
        H::CaseClosed { ticket: "B001".into(), ended_by: EndedBy::NoShow, grade: None, accurate: true },
    ));
    events.push(journal.event(0, 3, issue("B002")));
    events.push(journal.event(
        1,
        3,
        H::TicketCalled { ticket: "B002".into(), business: b(), by_number: false },
    ));
    events.push(journal.event(
        1,
        3,
        H::TicketTransferred { ticket: "B002".into(), to_window: "450103-01-W02".parse().unwrap() },
    ));
    events.push(journal.event(1, 0, H::WindowPaused { reason: Some("用餐".into()) }));
    events.push(journal.event(
        1,
        0,
        H::RatingUnsolicited { grade: Some(grade(5)), raw: 4, why: "not_invited".into() },
    ));
    scene.take(events).await;
    let windows = browser.get("/halls/450103-01/windows").await;
    assert_eq!(
        (&windows["items"][0]["state"], &windows["items"][0]["pause_reason"]),
        (&json!("paused"), &json!("用餐"))
    );
    // A ticket sent to window 2 waits there alone, though both take its kind of ticket or not.
    assert_eq!((&windows["items"][0]["waiting"], &windows["items"][1]["waiting"]), (&json!(0), &json!(1)));
    let coverage = browser.get("/coverage").await["total"].clone();
    assert_eq!((coverage["window_events"].as_u64(), coverage["tagged"].as_u64()), (Some(12), Some(11)));
    let no_show = browser.get("/tickets?state=no_show").await;
    assert_eq!(no_show["items"][0]["ticket"], "B001");
    // A grade that comes late, and an event older than what the window shows.
    journal.at = START + 6500;
    let late = vec![
        journal.event(1, 0, H::WindowResumed {}),
        journal.event(1, 2, H::RatingGiven { ticket: "B001".into(), grade: grade(1), raw: 4 }),
    ];
    scene.take(late).await;
    assert_eq!(window(&browser).await["state"], "paused");
    let case = browser.get(&format!("/cases/{}", journal.case(2))).await;
    assert_eq!((&case["state"], &case["grade"]), (&json!("closed"), &json!(1)));
    // The break ends; the clock goes back an hour, and what happens then counts.
    journal.at = START + 60_000;
    let resumed = journal.event(1, 0, H::WindowResumed {});
    journal.at = START - 3_600_000;
    let stepped = journal.event(0, 0, H::NodeClockStepped { step_ms: -3_660_000 });
    let closed = journal.event(1, 0, H::WindowClosed {});
    scene.take(vec![resumed]).await;
    assert_eq!(window(&browser).await["state"], "idle");
    scene.take(vec![stepped, closed]).await;
    assert_eq!(window(&browser).await["state"], "closed");
}

#[tokio::test]
async fn a_break_hides_what_goes_on_and_gives_it_back() {
    let scene = Scene::new().await;
    let browser = Browser::signed_in(&scene, "county").await;
    let mut journal = Journal::of("450103-01");
    let mut events = vec![journal.event(1, 0, H::WindowOpened {})];
    let mut course = course(&mut journal, 1, "A001");
    course.truncate(3);
    events.extend(course);
    events.push(journal.event(1, 0, H::WindowPaused { reason: None }));
    events.push(journal.event(1, 1, H::ServiceStarted { ticket: "A001".into() }));
    scene.take(events).await;
    let now = window(&browser).await;
    assert_eq!((&now["state"], &now["ticket"]), (&json!("paused"), &json!("A001")));
    scene.take(vec![journal.event(1, 0, H::WindowResumed {})]).await;
    assert_eq!(window(&browser).await["state"], "serving");
    scene.take(vec![journal.event(1, 0, H::WindowResumed {})]).await;
    assert_eq!(window(&browser).await["state"], "serving");
}

#[tokio::test]
async fn punches_cameras_and_devices_are_mirrored() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let punch = |live| H::PunchRecorded {
        employee: "1001".into(),
        punched_at: UtcMillis(START),
        verify: 1,
        state: 0,
        live,
    };
    let cameras = ["450103-01-W01-C1", "450103-01-S01"];
    let config = H::NodeConfigChanged {
        cameras: vec![
            CameraEntry {
                camera: cameras[1].parse().unwrap(),
                window: None,
                name: "大厅".into(),
                url: "rtsp://a/2".into(),
            },
            CameraEntry {
                camera: cameras[0].parse().unwrap(),
                window: Some("450103-01-W01".parse().unwrap()),
                name: "一号".into(),
                url: "rtsp://a/1".into(),
            },
        ],
        positions: vec![PositionEntry {
            position: "450103-01-W01-keypad".parse().unwrap(),
            window: Some("450103-01-W01".parse().unwrap()),
            role: "keypad".into(),
            unconfirmed: false,
            hardware: None,
        }],
    };
    let events = vec![
        journal.by_device(0, 0, Some("450103-01-A01-attendance"), punch(true)),
        journal.by_device(0, 0, Some("450103-01-A01-attendance"), punch(false)),
        journal.event(0, 0, config),
        journal.by_device(
            1,
            0,
            Some(cameras[0]),
            H::CameraUp { codec: "avc1".into(), width: 1, height: 1, down_ms: None },
        ),
        journal.by_device(1, 0, Some("450103-01-W01-keypad"), H::DeviceSilent {}),
    ];
    scene.take(events).await;
    let hr = Browser::signed_in(&scene, "hr").await;
    let punches = hr.get("/punches").await;
    assert_eq!(punches["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&punches["items"][0]["name"], &punches["items"][0]["live"]),
        (&json!("王老师"), &json!(true))
    );
    assert_eq!(hr.status("/cameras").await, StatusCode::FORBIDDEN);
    assert_eq!(hr.status("/cases").await, StatusCode::FORBIDDEN);
    let tech = Browser::signed_in(&scene, "tech").await;
    let list = tech.get("/cameras").await;
    assert_eq!(ids(&list), cameras);
    assert_eq!(list["items"][0]["kind"], "window");
    // No edge is connected, so no picture is live, whatever the journal says.
    assert_eq!(list["items"][0]["state"], "offline");
    assert_eq!(ids(&tech.get("/cameras?kind=security").await), cameras[1..]);
    assert_eq!(tech.get("/positions").await["items"][0]["health"], "silent");
    assert_eq!(tech.get("/areas").await["items"][0]["counts"]["alarms"], 3);
    let fewer = H::NodeConfigChanged { cameras: vec![], positions: vec![] };
    scene.take(vec![journal.event(0, 0, fewer)]).await;
    assert_eq!(tech.get("/cameras").await["items"], json!([]));
}

#[tokio::test]
async fn everybody_sees_their_own_area_and_no_more() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    scene.take(course(&mut journal, 1, "A001")).await;
    let case = format!("/cases/{}", journal.case(1));
    let hall = "/halls/450103-01/windows";
    let region = Browser::signed_in(&scene, "region").await;
    assert_eq!(ids(&region.get("/areas").await)[0], "450000");
    assert_eq!(ids(&region.get("/halls").await), ["450102-01", "450103-01"]);
    assert_eq!(region.get("/areas").await["items"][0]["counts"]["windows"], 3);
    let county = Browser::signed_in(&scene, "county").await;
    let areas = county.get("/areas").await;
    assert_eq!(ids(&areas), ["450103"]);
    assert_eq!(areas["items"][0]["parent"], json!(null));
    assert_eq!(ids(&county.get("/halls").await), ["450103-01"]);
    let manager = Browser::signed_in(&scene, "manager").await;
    assert_eq!(ids(&manager.get("/areas").await), ["450103"]);
    assert_eq!(ids(&manager.get("/halls").await), ["450103-01"]);
    let other = Browser::signed_in(&scene, "other").await;
    for path in ["/cases", "/tickets", "/ratings", "/events", "/punches", "/cases?hall=450103-01"] {
        assert_eq!(other.get(path).await["items"], json!([]), "{path}");
    }
    assert_eq!(region.get("/events").await["items"].as_array().unwrap().len(), 8);
    assert_eq!(other.status(&case).await, StatusCode::NOT_FOUND);
    assert_eq!(other.status(hall).await, StatusCode::NOT_FOUND);
    let tech = Browser::signed_in(&scene, "tech").await;
    assert_eq!(tech.status(&case).await, StatusCode::FORBIDDEN);
    assert_eq!(tech.status(hall).await, StatusCode::FORBIDDEN);
    let nobody = Browser::of(&scene);
    for path in [
        "/session",
        "/areas",
        "/halls",
        hall,
        "/cameras",
        "/positions",
        "/cases",
        &case,
        "/events",
        "/coverage",
        "/punches",
        "/ratings",
        "/tickets",
        "/nodes",
        "/users",
        "/audit",
        "/staff",
        "/cameras/450103-01-W01-C1/still.jpg",
    ] {
        assert_eq!(nobody.status(path).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(region.status("/users").await, StatusCode::FORBIDDEN);
    assert_eq!(region.status("/nodes").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn lists_go_on_where_they_were_cut() {
    let scene = Scene::new().await;
    let browser = Browser::signed_in(&scene, "region").await;
    let mut journal = Journal::of("450103-01");
    for serial in 1..=5 {
        scene.take(course(&mut journal, serial, &format!("A00{serial}"))).await;
    }
    for (path, name, whole) in
        [("/cases?", "ticket", 5), ("/tickets?", "ticket", 5), ("/ratings?", "ticket", 5)]
    {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = browser.get(&format!("{path}limit=2{after}")).await;
            seen.extend(
                page["items"].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", next.replace(' ', "%20")),
                None => break,
            }
        }
        assert_eq!(seen.len(), whole, "{path}");
        assert_eq!((seen[0].as_str(), seen[4].as_str()), ("A005", "A001"), "{path}");
    }
    let page = browser.get("/events?kind=rating.&limit=3").await;
    let kinds: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["rating.invited", "rating.given", "rating.invited"]);
    let rest = browser.get(&format!("/events?kind=rating.&after={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 7);
    assert_eq!(rest["next"], json!(null));
    assert!(rest["last"].is_string());
    assert_eq!(browser.get("/events?kind=rating.given").await["items"].as_array().unwrap().len(), 5);
    let from = UtcMillis(START + 8000);
    assert_eq!(
        browser.get(&format!("/cases?from={from}&to={}", START + 24_000)).await["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let (status, problem) = browser.json(Method::GET, "/cases?from=yesterday", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().contains("yesterday"));
}

#[tokio::test]
async fn sessions_end_and_strangers_stay_out() {
    let scene = Scene::new().await;
    let stranger = Browser::of(&scene);
    for (name, password) in [("region", "wrong"), ("nobody", PASSWORD)] {
        let body = json!({"name": name, "password": password});
        let (status, problem) = stranger.json(Method::POST, "/session", Some(body)).await;
        assert_eq!(
            (status, &problem["detail"]),
            (StatusCode::UNAUTHORIZED, &json!("name or password is wrong"))
        );
    }
    let browser = Browser::signed_in(&scene, "region").await;
    assert_eq!(browser.get("/session").await["user"]["role"], "supervisor");
    assert_eq!(browser.get("/session").await["user"]["area"], "450000");
    scene.pass(29 * 60_000);
    assert_eq!(browser.status("/areas").await, StatusCode::OK);
    scene.pass(29 * 60_000);
    assert_eq!(browser.status("/areas").await, StatusCode::OK);
    scene.pass(31 * 60_000);
    assert_eq!(browser.status("/areas").await, StatusCode::UNAUTHORIZED);
    let browser = Browser::signed_in(&scene, "region").await;
    for _ in 0..25 {
        scene.pass(28 * 60_000);
        browser.status("/areas").await;
    }
    scene.pass(25 * 60_000);
    assert_eq!(browser.status("/areas").await, StatusCode::UNAUTHORIZED, "twelve hours are over");
    let browser = Browser::signed_in(&scene, "region").await;
    assert_eq!(browser.ask(Method::DELETE, "/session", None).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(browser.status("/areas").await, StatusCode::UNAUTHORIZED);
    // Another site's page.
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/session")
        .header(header::HOST, "centre")
        .header(header::ORIGIN, "https://evil")
        .body(Body::empty())
        .unwrap();
    assert_eq!(stranger.site.clone().oneshot(request).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_administrator_edits_the_tree_and_the_people() {
    let scene = Scene::new().await;
    let admin = Browser::signed_in(&scene, "admin").await;
    let put = |path: &'static str, body: Value| admin.json(Method::PUT, path, Some(body));
    let post = |path: &'static str, body: Value| admin.json(Method::POST, path, Some(body));
    let city = json!({"id": "450200", "parent": "450000", "name": "柳州市", "level": "city"});
    assert_eq!(post("/areas", city.clone()).await.0, StatusCode::CREATED);
    assert_eq!(post("/areas", city).await.0, StatusCode::CONFLICT);
    let round = json!({"parent": "450103", "name": "x", "level": "city"});
    assert_eq!(put("/areas/450100", round).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // A moved area takes its halls along, and its supervisor's rights with it.
    let moved = json!({"parent": "450200", "name": "青秀区", "level": "county"});
    assert_eq!(put("/areas/450103", moved).await.0, StatusCode::NO_CONTENT);
    let county = Browser::signed_in(&scene, "county").await;
    assert_eq!(ids(&county.get("/halls").await), ["450103-01"]);
    assert_eq!(ids(&admin.get("/halls?area=450200").await), ["450103-01"]);
    let hall = json!({"id": "450999-01", "area": "450103", "name": "x"});
    assert_eq!(post("/halls", hall).await.0, StatusCode::CREATED);
    let strange = json!({"id": "450102-02", "area": "450200", "name": "x"});
    assert_eq!(post("/halls", strange).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let window = json!({"number": 7, "name": "新窗口", "businesses": ["税务"]});
    assert_eq!(post("/halls/450103-01/windows", window).await.0, StatusCode::CREATED);
    let renamed = json!({"name": "旧窗口"});
    assert_eq!(
        put("/halls/450103-01/windows/450103-01-W07", renamed.clone()).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(put("/halls/450103-01/windows/450103-01-W08", renamed).await.0, StatusCode::NOT_FOUND);
    assert_eq!(admin.get("/halls/450103-01/windows").await["items"][2]["name"], "旧窗口");
    for path in ["/halls/450103-01/windows/450103-01-W07", "/halls/450999-01"] {
        assert_eq!(admin.ask(Method::DELETE, path, None).await.status(), StatusCode::NO_CONTENT, "{path}");
    }
    let refused = admin.ask(Method::DELETE, "/areas/450000", None).await.status();
    assert_eq!(refused, StatusCode::UNPROCESSABLE_ENTITY);
    let body = Some(json!({"parent": null, "name": "x", "level": "county"}));
    assert_eq!(county.json(Method::PUT, "/areas/450103", body).await.0, StatusCode::FORBIDDEN);

    let (status, answer) =
        post("/users", json!({"name": "new", "grants": [{"role": "supervisor", "scope": "450103"}]})).await;
    assert_eq!(status, StatusCode::CREATED);
    let given = answer["password"].as_str().unwrap();
    let mut new = Browser::of(&scene);
    let response = new.ask(Method::POST, "/session", Some(json!({"name": "new", "password": given}))).await;
    new.cookie =
        response.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().map(str::to_owned);
    let (status, problem) = new.json(Method::GET, "/halls", None).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::FORBIDDEN, &json!("urn:hallwatch:problem:password-change-required"))
    );
    let short = new.json(Method::PUT, "/session/password", Some(json!({"old": given, "new": "short"}))).await;
    assert_eq!(short.0, StatusCode::UNPROCESSABLE_ENTITY);
    let better = json!({"old": given, "new": "quite another phrase"});
    assert_eq!(new.json(Method::PUT, "/session/password", Some(better)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(ids(&new.get("/halls").await), ["450103-01"]);
    assert_eq!(put("/users/new", json!({"disabled": true})).await.0, StatusCode::OK);
    assert_eq!(new.status("/halls").await, StatusCode::UNAUTHORIZED);
    let last = put("/users/admin", json!({"grants": [{"role": "hr", "scope": "450000"}]})).await;
    assert_eq!(last.0, StatusCode::UNPROCESSABLE_ENTITY);
    let log = admin.get("/audit").await;
    let actions: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|r| r["action"].as_str().unwrap()).collect();
    assert_eq!(actions[0], "user.changed");
    assert!(actions.contains(&"area.changed") && actions.contains(&"password.changed"));
    let whole = scene.centre.store.read(|sql| crate::access::checkpoint::verify(sql, None)).await;
    assert!(whole.unwrap().is_ok());
}

#[tokio::test]
async fn a_pairing_code_is_for_those_who_may_pair() {
    let scene = Scene::new().await;
    let tech = Browser::signed_in(&scene, "tech").await;
    let (status, code) = tech.json(Method::POST, "/halls/450103-01/pairing-codes", None).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(code["code"].as_str().unwrap().parse::<control_protocol::enrolment::PairingCode>().is_ok());
    assert_eq!(code["pin"].as_str().unwrap().len(), 64);
    let county = Browser::signed_in(&scene, "county").await;
    assert_eq!(
        county.json(Method::POST, "/halls/450103-01/pairing-codes", None).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        tech.json(Method::POST, "/halls/450999-09/pairing-codes", None).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(tech.get("/nodes").await["items"], json!([]));
}

#[tokio::test]
async fn the_site_describes_itself_and_sets_its_headers() {
    let scene = Scene::new().await;
    let browser = Browser::of(&scene);
    let description = browser.get("/openapi.json").await;
    for path in [
        "session",
        "areas",
        "halls",
        "halls/{hall}/windows",
        "cameras",
        "cases",
        "cases/{case_id}",
        "events",
        "coverage",
    ] {
        assert!(description["paths"][format!("/api/v1/{path}")].is_object(), "{path}");
    }
    let response = browser.ask(Method::GET, "/areas", None).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert!(
        response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'")
    );
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    for (path, status) in
        [("/livez", StatusCode::OK), ("/readyz", StatusCode::OK), ("/metrics", StatusCode::UNAUTHORIZED)]
    {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(browser.site.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
}
