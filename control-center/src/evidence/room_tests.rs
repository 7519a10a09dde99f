//! Exports as a browser asks for them, with a hall that the test plays.

use std::{
    collections::HashMap,
    io::Cursor,
    sync::{Arc, Mutex},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use control_protocol::{
    Digest, Happening as H, StoredEvent, UtcMillis,
    channel::ToEdge,
    event::{EndedBy, Grade},
    footage::{
        Disk, Finished, FootageAnswer, FootageAsk, Gap, NoFootage, Recordings, SegmentFile, SendBytes,
        StillFile,
    },
};
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt;

use super::{
    container::Unpacker,
    footage::tests::{CAMERA, recording},
    key::Trusted,
    manifest::{EVENTS, MANIFEST, Manifest, State},
    verify::{Report, verify},
};
use crate::{
    nodes::rig::{Edge, Rig, hall, hear},
    scene::{Journal, START, store_event},
    store::StoreError,
};

/// What the played hall has, and what is sealed when it is asked to finish.
#[derive(Default)]
struct Disks {
    segments: HashMap<String, Vec<u8>>,
    open: Vec<(Finished, StoredEvent)>,
    /// Bytes after which it breaks off.
    breaks_at: Option<usize>,
}

type Shared = Arc<Mutex<Disks>>;

async fn take(rig: &crate::Centre, events: Vec<StoredEvent>) {
    let written = rig.store.write("events", move |tx| {
        for stored in &events {
            store_event(tx, stored)?;
        }
        Ok::<_, StoreError>(())
    });
    written.await.unwrap();
}

async fn answer(centre: &crate::Centre, disks: &Shared, ask: FootageAsk) -> (FootageAnswer, Bytes) {
    match ask {
        FootageAsk::Finish { .. } => {
            let open = std::mem::take(&mut disks.lock().unwrap().open);
            let segments = open.iter().map(|(finished, _)| finished.clone()).collect();
            take(centre, open.into_iter().map(|(_, event)| event).collect()).await;
            (FootageAnswer::Finished { segments }, Bytes::new())
        }
        FootageAsk::Segment { segment, .. } => match disks.lock().unwrap().segments.get(&segment) {
            Some(bytes) => {
                let file = SegmentFile { segment, bytes: bytes.len() as u64, sha256: Digest::ZERO };
                (FootageAnswer::Segment(file), Bytes::from(bytes.clone()))
            }
            None => {
                let why = "it is not there any more".to_owned();
                let reason = NoFootage::NotRecorded;
                (FootageAnswer::Nothing { reason, why, gaps: Vec::new() }, Bytes::new())
            }
        },
        FootageAsk::Still { camera, at_us } => {
            let bytes = Bytes::from_static(b"a picture");
            let length = bytes.len() as u64;
            let file = StillFile { camera, at_us: at_us - 500_000, width: 4, height: 3, bytes: length };
            (FootageAnswer::Still(file), bytes)
        }
        FootageAsk::Recordings { to_us, .. } => {
            let gap = Gap { from_us: to_us - 2_000_000, to_us: None, why: "camera_lost: it is off".into() };
            let disk =
                Disk { stopped: None, free_bytes: None, holds_days: None, keep_days: 30, short: false };
            let found = Recordings { to_us, runs: Vec::new(), gaps: vec![gap], disk };
            (FootageAnswer::Recordings(found), Bytes::new())
        }
        other => panic!("nobody asks for {other:?} here"),
    }
}

/// Plays the first hall's edge agent until the centre ends.
async fn play(rig: &Rig, disks: &Shared) {
    let edge = Arc::new(Edge::of(rig, hall(1)).await);
    let mut channel = edge.channel(rig, "b1").await;
    while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
        tokio::task::yield_now().await;
    }
    let (disks, centre, nodes_at) = (disks.clone(), rig.centre.clone(), rig.nodes_at);
    tokio::spawn(async move {
        while let Some(text) = hear(&mut channel).await {
            let ToEdge::Footage { delivery, ask } = text else { continue };
            let (edge, centre, disks) = (edge.clone(), centre.clone(), disks.clone());
            tokio::spawn(async move {
                let ca = centre.nodes.ca().der().clone();
                let mut socket = edge.dial(nodes_at, ca, &format!("/node/v1/footage/{delivery}")).await;
                let (answer, bytes) = answer(&centre, &disks, ask).await;
                socket.send(Message::text(serde_json::to_string(&answer).unwrap())).await.unwrap();
                let Some(Ok(Message::Text(wanted))) = socket.next().await else { return };
                let wanted: SendBytes = serde_json::from_str(&wanted).unwrap();
                assert_eq!((wanted.from, wanted.to), (0, bytes.len() as u64));
                let end = disks.lock().unwrap().breaks_at.unwrap_or(bytes.len()).min(bytes.len());
                for at in (0..end).step_by(600) {
                    let part = bytes.slice(at..end.min(at + 600));
                    if socket.send(Message::binary(part)).await.is_err() {
                        return;
                    }
                }
                let _ = socket.close(None).await;
            });
        }
    });
}

/// A case of a minute at the first window, and two segments of its camera: one the centre was told of, one still open.
async fn scene(rig: &Rig) -> (String, Vec<String>, Shared) {
    let mut journal = Journal::of("450103-01");
    let (t, b) = ("A001".to_owned(), "社保".to_owned());
    let (bytes, digest) = recording(CAMERA, (START + 50_000) * 1000, 40, Digest::ZERO);
    let (more, next) = recording(CAMERA, (START + 90_000) * 1000, 70, digest);
    let names =
        [format!("{CAMERA}/20261122/010050.000Z-1-1.mp4"), format!("{CAMERA}/20261122/010130.000Z-1-2.mp4")];
    let sealed = |n: usize, from: i64, to: i64, sha256| H::RecordingSealed {
        segment: names[n].clone(),
        from: UtcMillis(START + from),
        to: UtcMillis(START + to),
        sha256,
    };
    let mut events = vec![journal.event(0, 1, H::CaseOpened { ticket: t.clone(), business: b.clone() })];
    journal.at = START + 60_000;
    events.push(journal.event(1, 1, H::TicketCalled { ticket: t.clone(), business: b, by_number: false }));
    events.push(journal.event(1, 1, H::ServiceStarted { ticket: t.clone() }));
    // Somebody else's: only its digest goes along.
    events.push(journal.event(2, 2, H::TicketRecalled { ticket: "B777".into(), count: 1 }));
    events.push(journal.event(0, 0, H::NodeClockStepped { step_ms: -1500 }));
    events.push(journal.by_device(1, 0, Some(CAMERA), sealed(0, 50_000, 90_000, digest)));
    journal.at = START + 120_000;
    let grade = Grade::new(5);
    events.push(journal.event(
        1,
        1,
        H::CaseClosed { ticket: t, ended_by: EndedBy::Rated, grade, accurate: true },
    ));
    take(&rig.centre, events).await;
    let open = journal.by_device(1, 0, Some(CAMERA), sealed(1, 90_000, 160_000, next));
    let finished = Finished { camera: CAMERA.parse().unwrap(), segment: names[1].clone() };
    let disks = Disks {
        segments: HashMap::from([(names[0].clone(), bytes), (names[1].clone(), more)]),
        open: vec![(finished, open)],
        breaks_at: None,
    };
    (journal.case(1).to_string(), names.to_vec(), Arc::new(Mutex::new(disks)))
}

async fn ask(rig: &Rig, who: &'static str, case: &str, body: Value) -> Response {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1/cases/{case}/evidence"))
        .header("cookie", rig.cookie(who).await)
        .header("accept-encoding", "gzip")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    crate::site::assembly::router(rig.centre.clone()).oneshot(request).await.unwrap()
}

fn head<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// An export that succeeds: its headers' counts of altered and missing, the verdict, the manifest, and the events.
async fn exported(rig: &Rig, case: &str) -> ((String, String), Report, Manifest, String) {
    let response = ask(rig, "boss", case, json!({"reason": " 投诉 12 "})).await;
    assert_eq!(response.status(), StatusCode::OK, "{response:?}");
    assert_eq!(
        (head(&response, "content-type"), head(&response, "content-encoding")),
        ("application/zip", "")
    );
    let counts =
        (head(&response, "x-evidence-altered").to_owned(), head(&response, "x-evidence-missing").to_owned());
    let (digest, length) =
        (head(&response, "x-evidence-sha256").to_owned(), head(&response, "content-length").to_owned());
    let package = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    assert_eq!((Digest::of(&package).to_string(), package.len().to_string()), (digest, length));
    let trust: Trusted = rig.centre.evidence.key().public().to_string().parse().unwrap();
    let report = verify(Cursor::new(&package), Some(&trust)).unwrap();
    let (mut reader, mut texts) = (Unpacker::new(&package[..]), HashMap::new());
    while let Some(next) = reader.next_file().unwrap() {
        let mut text = Vec::new();
        reader.contents(|bytes| text.extend_from_slice(bytes)).unwrap();
        texts.insert(next.name, text);
    }
    let manifest = serde_json::from_slice(&texts[MANIFEST]).unwrap();
    (counts, report, manifest, String::from_utf8(texts.remove(EVENTS).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_comes_whole_with_what_was_still_being_recorded() {
    let rig = Rig::new().await;
    let (case, names, disks) = scene(&rig).await;
    play(&rig, &disks).await;
    let (counts, report, manifest, events) = exported(&rig, &case).await;
    assert_eq!(counts, ("0".into(), "0".into()));
    assert!(report.intact(), "{:?}", report.faults);
    assert_eq!((report.recordings, report.frames), (2, 110 * 25));
    let segments: Vec<&str> = manifest.recordings.iter().map(|r| r.segment.as_str()).collect();
    assert_eq!(segments, names);
    assert_eq!((manifest.export.by.as_str(), manifest.export.reason.as_str()), ("boss", "投诉 12"));
    let shown: Vec<(&str, i64)> =
        manifest.stills.iter().map(|still| (still.shows.as_str(), still.at.0 - START)).collect();
    assert_eq!(shown, [("ticket.called", 59_500), ("service.started", 60_500)]);
    assert!(manifest.files.iter().any(|row| row.name == manifest.stills[0].file && row.bytes == 9));
    assert_eq!(manifest.gaps.len(), 1);
    assert_eq!(manifest.gaps[0].why, "camera_lost: it is off");
    assert_eq!(manifest.clocks.steps.len(), 1);
    assert!(manifest.clocks.hall_ahead_ms.is_some());
    assert!(!events.contains("B777"), "somebody else's ticket is given away: {events}");
    assert_eq!(events.matches("recording.sealed").count(), 2);
    let audited = rig.centre.store.read(|sql| {
        let rows =
            sql.query("SELECT who, object, detail FROM audit WHERE action = 'evidence.exported'", &[])?;
        rows.iter()
            .map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .collect::<Result<Vec<(String, String, String)>, StoreError>>()
    });
    let audited = audited.await.unwrap();
    let [(who, object, detail)] = &audited[..] else { panic!("{audited:?}") };
    assert_eq!((who.as_str(), object), ("boss", &case));
    assert!(detail.contains("投诉 12") && detail.contains(&manifest.package), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hall_changed_lost_or_broke_off_is_said() {
    let rig = Rig::new().await;
    let (case, names, disks) = scene(&rig).await;
    play(&rig, &disks).await;
    let was = disks.lock().unwrap().segments[&names[0]].clone();
    disks.lock().unwrap().segments.get_mut(&names[0]).unwrap()[3000] ^= 4;
    let (counts, report, manifest, _) = exported(&rig, &case).await;
    assert_eq!(counts, ("1".into(), "0".into()));
    assert!(!report.intact() && format!("{:?}", report.faults).contains(&names[0]), "{:?}", report.faults);
    assert_eq!(manifest.recordings[0].state, State::Altered);

    disks.lock().unwrap().segments.remove(&names[0]);
    let (counts, report, manifest, _) = exported(&rig, &case).await;
    assert_eq!((counts, report.intact()), (("0".into(), "1".into()), true));
    assert_eq!(manifest.recordings[0].why.as_deref(), Some("it is not there any more"));

    disks.lock().unwrap().segments.insert(names[0].clone(), was);
    disks.lock().unwrap().breaks_at = Some(2000);
    let (counts, report, manifest, _) = exported(&rig, &case).await;
    assert_eq!((counts, report.intact()), (("0".into(), "2".into()), true));
    assert!(manifest.recordings[1].why.as_deref().unwrap().contains("early"), "{manifest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_hall_offline_the_package_says_what_is_missing() {
    let rig = Rig::new().await;
    let (case, ..) = scene(&rig).await;
    let (counts, report, manifest, events) = exported(&rig, &case).await;
    assert_eq!((counts, report.intact()), (("0".into(), "1".into()), true));
    assert!(manifest.recordings[0].why.as_deref().unwrap().contains("not connected"), "{manifest:?}");
    assert_eq!(manifest.clocks.hall_ahead_ms, None);
    assert!(events.contains("ticket.called"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_and_only_for_a_reason() {
    let rig = Rig::new().await;
    let (case, ..) = scene(&rig).await;
    let why = json!({"reason": "x"});
    let status = async |who, case: &str, body: &Value| ask(&rig, who, case, body.clone()).await.status();
    assert_eq!(status("hm", &case, &why).await, StatusCode::FORBIDDEN);
    let unknown = Journal::of("450103-01").case(99).to_string();
    assert_eq!(status("boss", &unknown, &why).await, StatusCode::NOT_FOUND);
    for body in [
        json!({"reason": " "}),
        json!({"reason": "a\nb"}),
        json!({"reason": "x".repeat(501)}),
        json!({"reason": "x", "cameras": []}),
        json!({"reason": "x", "cameras": ["450103-01-W02-C1"]}),
    ] {
        assert_eq!(status("boss", &case, &body).await, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    for body in [json!({}), json!({"reason": "x", "more": 1})] {
        assert_eq!(status("boss", &case, &body).await, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(status("boss", &case, &json!({"reason": "x", "cameras": [CAMERA]})).await, StatusCode::OK);
}
