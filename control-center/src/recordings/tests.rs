//! Clips, timelines and holds as a browser meets them, with a hall that the test plays.

use std::sync::{Arc, Mutex};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use control_protocol::{
    Digest, Happening as H, UtcMillis,
    channel::{Order, ToEdge},
    event::{ClockQuality, EndedBy, Grade},
    footage::{
        AT_ONCE, ClipPlan, Disk, FootageAnswer, FootageAsk, Gap, Hold, NoFootage, Recordings, Run,
        SegmentUse, SendBytes, StillFile,
    },
};
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt;

use crate::{
    nodes::rig::{Edge, Rig, hall, hear},
    scene::{Journal, START, store_event},
    store::StoreError,
};

pub(super) const CAMERA: &str = "450103-01-W01-C1";
const BESIDE: &str = "450103-01-W01-C2";
const OTHER_HALL: &str = "450103-02-W01-C1";
const LENGTH: usize = 700_000;
/// The bytes of every still.
pub(super) const STILL: usize = 5_000;

/// The bytes of every clip of the played hall.
pub(super) fn footage() -> Bytes {
    (0..LENGTH).map(|n| (n % 251) as u8).collect::<Vec<u8>>().into()
}

/// What the played hall was asked.
#[derive(Default)]
pub(super) struct Heard {
    asks: Vec<FootageAsk>,
    ranges: Vec<(u64, u64)>,
    orders: Vec<Order>,
    holds: Vec<Hold>,
    /// Bytes after which it breaks off.
    breaks_at: Option<usize>,
    /// It has no clip any more.
    pub(super) has_lost_it: bool,
}

pub(super) type Shared = Arc<Mutex<Heard>>;

fn plan(camera: &str, from_us: i64, to_us: i64) -> ClipPlan {
    let starts_us = from_us - 500_000;
    let gap = Gap {
        from_us: from_us + 9_000_000,
        to_us: Some(from_us + 10_000_000),
        why: "camera_lost: refused".into(),
    };
    ClipPlan {
        camera: camera.parse().unwrap(),
        zero_us: starts_us - 200_000,
        starts_us,
        ends_us: to_us,
        frames: 250,
        bytes: LENGTH as u64,
        tag: Digest::of(camera.as_bytes()),
        codec: "avc1.4d401f".into(),
        rest_from_us: None,
        clock: ClockQuality::Synchronised,
        gaps: vec![gap],
        segments: vec![SegmentUse {
            segment: format!("{camera}/20261122/010000.000Z-1-1.mp4"),
            run: 1,
            from_us: starts_us,
            to_us,
            frames: 250,
            sha256: None,
            clock: ClockQuality::Synchronised,
        }],
    }
}

fn answer(ask: &FootageAsk, heard: &Shared) -> FootageAnswer {
    match ask {
        FootageAsk::Clip { camera, from_us, .. }
            if *from_us < 1_000_000_000_000_000 || heard.lock().unwrap().has_lost_it =>
        {
            FootageAnswer::Nothing {
                reason: NoFootage::NotRecorded,
                why: format!("nothing was recorded of {camera} in that time"),
                gaps: vec![Gap { from_us: 0, to_us: None, why: "disk_full".into() }],
            }
        }
        FootageAsk::Clip { camera, from_us, to_us, .. } => {
            FootageAnswer::Clip(plan(camera.as_str(), *from_us, *to_us))
        }
        FootageAsk::Recordings { from_us, to_us, .. } => FootageAnswer::Recordings(Recordings {
            to_us: *to_us,
            runs: vec![Run { run: 1, from_us: from_us - 60_000_000, to_us: *to_us, frames: 1500, bytes: 9 }],
            gaps: vec![Gap { from_us: *to_us - 1, to_us: None, why: "camera_lost: it is off".into() }],
            disk: Disk {
                stopped: None,
                free_bytes: Some(5),
                holds_days: Some(2.5),
                keep_days: 30,
                short: true,
            },
        }),
        FootageAsk::Holds {} => FootageAnswer::Holds { holds: heard.lock().unwrap().holds.clone() },
        FootageAsk::Still { camera, at_us } => FootageAnswer::Still(StillFile {
            camera: camera.clone(),
            at_us: at_us - 700_000,
            width: 640,
            height: 360,
            bytes: STILL as u64,
        }),
        FootageAsk::Segment { .. } | FootageAsk::Finish { .. } => {
            panic!("nobody asks for segments here")
        }
    }
}

/// Plays the first hall's edge agent until the centre ends.
pub(super) async fn play(rig: &Rig) -> Shared {
    let heard = Shared::default();
    let edge = Edge::of(rig, hall(1)).await;
    let mut channel = edge.channel(rig, "b1").await;
    while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
        tokio::task::yield_now().await;
    }
    let (told, nodes_at, ca) = (heard.clone(), rig.nodes_at, rig.centre.nodes.ca().der().clone());
    let edge = Arc::new(edge);
    tokio::spawn(async move {
        while let Some(text) = hear(&mut channel).await {
            match text {
                ToEdge::Footage { delivery, ask } => {
                    told.lock().unwrap().asks.push(ask.clone());
                    let answer = answer(&ask, &told);
                    let (edge, ca, told) = (edge.clone(), ca.clone(), told.clone());
                    tokio::spawn(async move {
                        let mut socket =
                            edge.dial(nodes_at, ca, &format!("/node/v1/footage/{delivery}")).await;
                        socket.send(Message::text(serde_json::to_string(&answer).unwrap())).await.unwrap();
                        let Some(Ok(Message::Text(wanted))) = socket.next().await else { return };
                        let wanted: SendBytes = serde_json::from_str(&wanted).unwrap();
                        told.lock().unwrap().ranges.push((wanted.from, wanted.to));
                        let breaks_at = told.lock().unwrap().breaks_at.unwrap_or(LENGTH);
                        let end = usize::try_from(wanted.to).unwrap().min(breaks_at);
                        let all = footage();
                        for at in (usize::try_from(wanted.from).unwrap()..end).step_by(100_000) {
                            let part = all.slice(at..end.min(at + 100_000));
                            if socket.send(Message::binary(part)).await.is_err() {
                                return;
                            }
                        }
                        let _ = socket.close(None).await;
                    });
                }
                ToEdge::Command { order, .. } => told.lock().unwrap().orders.push(order),
                _ => {}
            }
        }
    });
    heard
}

pub(super) async fn ask(
    rig: &Rig,
    who: &'static str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Response {
    let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    request = request.header("cookie", rig.cookie(who).await).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    crate::site::assembly::router(rig.centre.clone()).oneshot(request.body(body).unwrap()).await.unwrap()
}

pub(super) async fn get(rig: &Rig, who: &'static str, path: &str, headers: &[(&str, &str)]) -> Response {
    ask(rig, who, Method::GET, path, headers, Value::Null).await
}

pub(super) async fn bytes(response: Response) -> Bytes {
    axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap()
}

pub(super) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&bytes(response).await).unwrap()
}

pub(super) fn head<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

pub(super) async fn audited(rig: &Rig, action: &'static str) -> Vec<(String, String)> {
    let rows = rig.centre.store.read(move |sql| {
        let rows = sql
            .query("SELECT object, detail FROM audit WHERE action = $1 ORDER BY n", crate::params![action])?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<Vec<_>, StoreError>>()
    });
    rows.await.unwrap()
}

/// Takes events as the intake does.
pub(super) async fn take(rig: &Rig, events: Vec<control_protocol::StoredEvent>) {
    let written = rig.centre.store.write("events", move |tx| {
        for stored in &events {
            store_event(tx, stored)?;
        }
        Ok::<_, StoreError>(())
    });
    written.await.unwrap();
}

/// A second camera over the first window.
async fn second_camera(rig: &Rig) {
    let written = rig.centre.store.write("test", |tx| {
        tx.sql.execute(
            "INSERT INTO cameras (id, hall, node, win, name, url, place, state, since) \
             VALUES ($1, '450103-01', 'n', '450103-01-W01', 'second', 'rtsp://x', 9, 'live', 0)",
            crate::params![BESIDE],
        )
    });
    written.await.unwrap();
}

/// A case called 60 s after [`START`], rated a minute later, at window 1; with a camera failure and what another window does.
fn case_events(journal: &mut Journal) -> Vec<control_protocol::StoredEvent> {
    let (t, b) = ("A001".to_owned(), "社保".to_owned());
    let opened = journal.event(0, 1, H::CaseOpened { ticket: t.clone(), business: b.clone() });
    journal.at = START + 60_000;
    let called = journal.event(1, 1, H::TicketCalled { ticket: t.clone(), business: b, by_number: false });
    let started = journal.event(1, 1, H::ServiceStarted { ticket: t.clone() });
    let down = journal.by_device(1, 0, Some(CAMERA), H::CameraDown { why: "unplugged".into() });
    let elsewhere = journal.by_device(2, 0, Some("450103-01-W02-C1"), H::CameraDown { why: "no".into() });
    journal.at = START + 120_000;
    let grade = Grade::new(2).unwrap();
    let rated = journal.event(1, 1, H::RatingGiven { ticket: t.clone(), grade, raw: 1 });
    let closed = H::CaseClosed { ticket: t, ended_by: EndedBy::Rated, grade: Some(grade), accurate: true };
    vec![opened, called, started, down, elsewhere, rated, journal.event(1, 1, closed)]
}

const TIMES: &str = "from=2026-11-22T01:00:10Z&to=2026-11-22T01:00:30Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_whole_in_parts_and_never_twice_on_record() {
    let rig = Rig::new().await;
    let heard = play(&rig).await;
    let path = format!("/cameras/{CAMERA}/clip.mp4?{TIMES}");
    let whole = get(&rig, "boss", &path, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(whole.status(), StatusCode::OK);
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("content-length", "700000"),
        ("accept-ranges", "bytes"),
        ("content-encoding", ""),
        ("cache-control", "no-store"),
        ("x-clip-frames", "250"),
        ("x-clip-from", "2026-11-22T01:00:09.500000Z"),
        ("x-clip-zero", "2026-11-22T01:00:09.300000Z"),
        ("x-clip-to", "2026-11-22T01:00:30.000000Z"),
        ("x-clip-clock", "synchronised"),
        ("x-clip-gaps", "1"),
        ("content-disposition", "inline; filename=\"450103-01-W01-C1-20261122T010009Z.mp4\""),
    ] {
        assert_eq!(head(&whole, name), value, "{name}");
    }
    let tag = head(&whole, "etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    assert_eq!(bytes(whole).await, footage());

    for (range, expected) in
        [("bytes=0-0", 0..1), ("bytes=99999-300000", 99_999..300_001), ("bytes=-5", 699_995..700_000)]
    {
        let part = get(&rig, "boss", &path, &[("range", range), ("if-range", &tag)]).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        let content = format!("bytes {}-{}/700000", expected.start, expected.end - 1);
        assert_eq!(head(&part, "content-range"), content);
        assert_eq!(head(&part, "content-length"), expected.len().to_string());
        assert_eq!(bytes(part).await, footage().slice(expected.clone()));
        let asked = heard.lock().unwrap().ranges.last().copied();
        assert_eq!(
            asked,
            Some((expected.start as u64, expected.end as u64)),
            "only what is wanted is fetched"
        );
    }
    let fetched = heard.lock().unwrap().ranges.len();
    let beyond = get(&rig, "boss", &path, &[("range", "bytes=700000-")]).await;
    assert_eq!(
        (beyond.status(), head(&beyond, "content-range")),
        (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */700000")
    );
    let known = get(&rig, "boss", &path, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status(), head(&known, "etag")), (StatusCode::NOT_MODIFIED, &tag[..]));
    let only_head = ask(&rig, "boss", Method::HEAD, &path, &[], Value::Null).await;
    assert_eq!((only_head.status(), head(&only_head, "content-length")), (StatusCode::OK, "700000"));
    assert!(bytes(only_head).await.is_empty());
    assert_eq!(heard.lock().unwrap().ranges.len(), fetched, "nothing is fetched for no bytes");
    let changed = get(&rig, "boss", &path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await;
    assert_eq!(changed.status(), StatusCode::OK);
    drop(changed);

    let audit = audited(&rig, "replay.clip").await;
    assert_eq!(
        audit,
        [(CAMERA.to_owned(), "2026-11-22T01:00:10.000Z to 2026-11-22T01:00:30.000Z".to_owned())]
    );

    let plan = json_of(get(&rig, "hm", &format!("/cameras/{CAMERA}/clip?{TIMES}"), &[]).await).await;
    assert_eq!(
        (&plan["frames"], &plan["bytes"], &plan["gaps"][0]["code"]),
        (&json!(250), &json!(700_000), &json!("camera_lost"))
    );

    // A hall that breaks off is no clip that ends.
    heard.lock().unwrap().breaks_at = Some(250_000);
    let broken = get(&rig, "boss", &path, &[]).await;
    assert_eq!(broken.status(), StatusCode::OK);
    assert!(axum::body::to_bytes(broken.into_body(), 1 << 24).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_given_is_said() {
    let rig = Rig::new().await;
    let path = format!("/cameras/{CAMERA}/clip.mp4?{TIMES}");
    // Offline: what was told until then.
    let mut journal = Journal::of("450103-01");
    let from = UtcMillis(START + 10_000);
    let sealed = |n: i64, from: UtcMillis| H::RecordingSealed {
        segment: format!("{CAMERA}/20261122/0100{n}0.000Z-4-{n}.mp4"),
        from,
        to: from.plus(10_000),
        sha256: Digest::of(&[n as u8]),
    };
    let gap = H::RecordingGap {
        from: from.plus(20_000),
        to: from.plus(40_000),
        why: "camera_lost: it is off".into(),
    };
    let events = vec![
        journal.by_device(1, 0, Some(CAMERA), sealed(1, from)),
        journal.by_device(1, 0, Some(CAMERA), sealed(2, from.plus(10_001))),
        journal.by_device(1, 0, Some(CAMERA), gap),
        // Another hall's camera under this hall's certificate changes nothing.
        journal.by_device(1, 0, Some(OTHER_HALL), sealed(3, from)),
    ];
    take(&rig, events).await;
    let longer = path.replace("01:00:30Z", "01:00:40Z");
    let offline = get(&rig, "boss", &longer, &[]).await;
    assert_eq!((offline.status(), head(&offline, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "30"));
    let problem = json_of(offline).await;
    assert_eq!(problem["type"], "urn:hallwatch:problem:hall-offline");
    let detail = problem["detail"].as_str().unwrap();
    for words in [
        "not connected",
        "recorded from 2026-11-22T01:00:10.000Z to 2026-11-22T01:00:30.001Z",
        "camera_lost (it is off)",
    ] {
        assert!(detail.contains(words), "{detail}");
    }
    let list = format!("/cameras/{CAMERA}/recordings?from=2026-11-22T00:00:00Z&to=2026-11-22T02:00:00Z");
    let listed = json_of(get(&rig, "boss", &list, &[]).await).await;
    assert_eq!((&listed["source"], listed["runs"].as_array().unwrap().len()), (&json!("centre"), 1));
    assert_eq!(
        listed["runs"][0],
        json!({"from": "2026-11-22T01:00:10.000Z", "to": "2026-11-22T01:00:30.001Z", "frames": null, "bytes": null})
    );
    assert_eq!(listed["gaps"][0]["code"], "camera_lost");
    let nothing = json_of(
        get(&rig, "boss", &format!("/cameras/{OTHER_HALL}/recordings?from=0&to=86400000"), &[]).await,
    )
    .await;
    assert_eq!(nothing["runs"], json!([]));

    let heard = play(&rig).await;
    let listed = json_of(get(&rig, "boss", &list, &[]).await).await;
    assert_eq!(
        (&listed["source"], &listed["disk"]["short"], &listed["disk"]["holds_days"]),
        (&json!("hall"), &json!(true), &json!(2.5))
    );
    assert_eq!((&listed["gaps"][0]["to"], &listed["gaps"][0]["why"]), (&Value::Null, &json!("it is off")));
    let never = get(&rig, "boss", &format!("/cameras/{CAMERA}/clip.mp4?from=1000&to=2000"), &[]).await;
    assert_eq!(never.status(), StatusCode::NOT_FOUND);
    let problem = json_of(never).await;
    assert_eq!(problem["type"], "urn:hallwatch:problem:no-footage");
    assert!(problem["detail"].as_str().unwrap().contains("to now: disk_full"), "{problem}");
    assert_eq!(audited(&rig, "replay.clip").await, []);

    for (query, status) in [
        ("", StatusCode::BAD_REQUEST),
        ("from=5", StatusCode::BAD_REQUEST),
        ("from=x&to=5", StatusCode::BAD_REQUEST),
        ("from=5&to=5", StatusCode::UNPROCESSABLE_ENTITY),
        ("from=0&to=90000000", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let response = get(&rig, "boss", &format!("/cameras/{CAMERA}/clip.mp4?{query}"), &[]).await;
        assert_eq!(response.status(), status, "{query}");
    }
    // What is not theirs is not there.
    let asked = heard.lock().unwrap().asks.len();
    for path in [
        format!("/cameras/{OTHER_HALL}/clip.mp4?{TIMES}"),
        format!("/cameras/{OTHER_HALL}/clip?{TIMES}"),
        format!("/cameras/{OTHER_HALL}/recordings"),
        "/halls/450103-02/recording-holds".to_owned(),
        format!("/cameras/450103-01-W99-C1/clip.mp4?{TIMES}"),
    ] {
        assert_eq!(get(&rig, "hm", &path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(heard.lock().unwrap().asks.len(), asked, "nobody is asked for what may not be seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_much_is_fetched_at_once_and_what_is_let_go_ends() {
    let rig = Rig::new().await;
    let _heard = play(&rig).await;
    let path = format!("/cameras/{CAMERA}/clip.mp4?{TIMES}");
    let mut open = Vec::new();
    for _ in 0..AT_ONCE {
        let response = get(&rig, "boss", &path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let one_more = get(&rig, "boss", &path, &[]).await;
    assert_eq!(one_more.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(one_more).await["type"], "urn:hallwatch:problem:footage-busy");
    open.pop();
    assert_eq!(get(&rig, "boss", &path, &[]).await.status(), StatusCode::OK);
    drop(open);
    assert!(rig.centre.nodes.metrics().contains("hallwatch_footage_deliveries 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_found_in_the_footage_of_its_window() {
    let rig = Rig::new().await;
    second_camera(&rig).await;
    let mut journal = Journal::of("450103-01");
    let case = journal.case(1);
    take(&rig, case_events(&mut journal)).await;
    let offline = json_of(get(&rig, "hm", &format!("/cases/{case}/timeline"), &[]).await).await;
    assert_eq!(offline["cameras"][0]["clip"], Value::Null);
    assert!(offline["cameras"][0]["why"].as_str().unwrap().contains("not connected"), "{offline}");
    assert_eq!(offline["events"][1]["offsets"][CAMERA], Value::Null);

    let heard = play(&rig).await;
    let line = json_of(get(&rig, "hm", &format!("/cases/{case}/timeline"), &[]).await).await;
    let kinds: Vec<(&str, bool)> = line["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["kind"].as_str().unwrap(), event["of_case"].as_bool().unwrap()))
        .collect();
    let expected = [
        ("case.opened", true),
        ("ticket.called", true),
        ("service.started", true),
        ("camera.down", false),
        ("rating.given", true),
        ("case.closed", true),
    ];
    assert_eq!(kinds, expected);
    let cameras = line["cameras"].as_array().unwrap();
    assert_eq!(cameras.iter().map(|camera| &camera["camera"]).collect::<Vec<_>>(), [CAMERA, BESIDE]);
    // Half a minute before the call, a key frame half a second earlier; the events have their places in it.
    assert_eq!(
        (&cameras[0]["from"], &cameras[0]["to"]),
        (&json!("2026-11-22T01:00:30.000Z"), &json!("2026-11-22T01:02:31.000Z"))
    );
    assert_eq!(cameras[0]["clip"]["from"], "2026-11-22T01:00:29.500Z");
    let offset = |n: usize| &line["events"][n]["offsets"][CAMERA];
    assert_eq!((offset(0), offset(1), offset(4)), (&Value::Null, &json!(30.5), &json!(90.5)));
    assert_eq!(line["clock"], "synchronised");

    let clip =
        get(&rig, "boss", &format!("/cases/{case}/clip.mp4?camera={BESIDE}"), &[("range", "bytes=0-9")])
            .await;
    assert_eq!((clip.status(), bytes(clip).await.len()), (StatusCode::PARTIAL_CONTENT, 10));
    let first = get(&rig, "boss", &format!("/cases/{case}/clip.mp4"), &[]).await;
    assert_eq!(first.status(), StatusCode::OK);
    drop(first);
    let asks = heard.lock().unwrap().asks.clone();
    for (ask, camera, other) in
        [(&asks[asks.len() - 2], BESIDE, CAMERA), (&asks[asks.len() - 1], CAMERA, BESIDE)]
    {
        let FootageAsk::Clip { camera: asked, beside, from_us, to_us } = ask else { panic!("{ask:?}") };
        assert_eq!((asked.as_str(), beside[0].as_str(), beside.len()), (camera, other, 1));
        assert_eq!((*from_us, *to_us), ((START + 30_000) * 1000, (START + 151_000) * 1000));
    }
    assert_eq!(audited(&rig, "replay.case").await.len(), 2);
    assert_eq!(audited(&rig, "replay.timeline").await, [(case.to_string(), String::new())]);

    let elsewhere = get(&rig, "boss", &format!("/cases/{case}/clip.mp4?camera=450103-01-W02-C1"), &[]).await;
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
    let unknown = journal.case(99);
    for path in [format!("/cases/{unknown}/clip.mp4"), format!("/cases/{unknown}/timeline")] {
        assert_eq!(get(&rig, "boss", &path, &[]).await.status(), StatusCode::NOT_FOUND);
    }
    // A case that nobody called has been nowhere.
    let waiting = journal.event(0, 2, H::CaseOpened { ticket: "A002".into(), business: "社保".into() });
    take(&rig, vec![waiting]).await;
    let nowhere = get(&rig, "boss", &format!("/cases/{}/clip.mp4", journal.case(2)), &[]).await;
    assert_eq!(json_of(nowhere).await["type"], "urn:hallwatch:problem:no-footage");
}

#[tokio::test(flavor = "multi_thread")]
async fn footage_is_held_and_released_by_order_of_the_hall() {
    let rig = Rig::new().await;
    let mut journal = Journal::of("450103-01");
    let case = journal.case(1);
    take(&rig, case_events(&mut journal)).await;
    let path = "/halls/450103-01/recording-holds";
    let by_case = json!({"case_id": case, "reason": "投诉"});
    let place = async |body: &Value| ask(&rig, "hm", Method::POST, path, &[], body.clone()).await;
    assert_eq!(place(&by_case).await.status(), StatusCode::CONFLICT, "there is no edge agent yet");
    let heard = play(&rig).await;
    let taken = place(&by_case).await;
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    let id = json_of(taken).await["id"].as_str().unwrap().to_owned();
    let order = loop {
        if let Some(order) = heard.lock().unwrap().orders.pop() {
            break order;
        }
        tokio::task::yield_now().await;
    };
    let Order::HoldFootage { hold } = order else { panic!("{order:?}") };
    assert_eq!(
        (&hold.id, hold.placed_by.as_deref(), hold.case.as_deref()),
        (&id, Some("hm"), Some(&case.to_string()[..]))
    );
    assert_eq!((hold.from_us, hold.to_us), ((START + 30_000) * 1000, (START + 151_000) * 1000));
    let list = async || json_of(get(&rig, "hm", path, &[]).await).await["items"].clone();
    assert_eq!(list().await[0]["state"], "asked");
    // The hall has it, and one of its own.
    let automatic = Hold {
        id: "rating-x".into(),
        placed_by: None,
        placed_us: 0,
        kind: control_protocol::footage::HoldKind::Rating,
        ..hold.clone()
    };
    heard.lock().unwrap().holds = vec![automatic, hold];
    let command = rig.centre.store.read(|sql| {
        let row = sql.query_one("SELECT command FROM recording_holds", crate::params![])?;
        row.unwrap().get::<String>(0)
    });
    let command = command.await.unwrap();
    take(&rig, vec![journal.event(0, 0, H::CommandDone { command, ok: true, detail: "held".into() })]).await;
    let rows = list().await;
    let states: Vec<(&str, &str)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["id"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [(&id[..], "held"), ("rating-x", "held")]);
    for name in [&id[..], "rating-x"] {
        let released = ask(&rig, "hm", Method::DELETE, &format!("{path}/{name}"), &[], Value::Null).await;
        assert_eq!(released.status(), StatusCode::ACCEPTED, "{name}");
        let again = ask(&rig, "hm", Method::DELETE, &format!("{path}/{name}"), &[], Value::Null).await;
        assert_eq!(again.status(), StatusCode::CONFLICT, "{name}");
    }
    assert!(
        list()
            .await
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["state"] == "releasing" && row["released_by"] == "hm")
    );
    assert_eq!(audited(&rig, "recording.released").await.len(), 2);
    assert_eq!(audited(&rig, "recording.held").await.len(), 1);

    for bad in [
        json!({"reason": "x"}),
        json!({"case_id": case, "reason": " "}),
        json!({"case_id": case, "reason": "x", "until": 5}),
        json!({"case_id": case, "reason": "x", "from": 5}),
        json!({"cameras": [CAMERA], "from": 9, "to": 5, "reason": "x"}),
        json!({"cameras": [], "from": 5, "to": 9, "reason": "x"}),
    ] {
        assert_eq!(place(&bad).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    let foreign = json!({"cameras": [CAMERA, OTHER_HALL], "from": 5, "to": 9, "reason": "x"});
    assert_eq!(place(&foreign).await.status(), StatusCode::NOT_FOUND);
    let there = ask(&rig, "hm", Method::POST, "/halls/450103-02/recording-holds", &[], by_case.clone()).await;
    assert_eq!(there.status(), StatusCode::NOT_FOUND);
    let gone = ask(&rig, "hm", Method::DELETE, &format!("{path}/hold-0"), &[], Value::Null).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let own = json!({"cameras": [CAMERA], "from": 5, "to": 9, "reason": "x"});
    assert_eq!(place(&own).await.status(), StatusCode::ACCEPTED);
}
