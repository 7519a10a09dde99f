//! What is kept, with a hall that the test plays: stills come by themselves, clips when somebody wants them, and both go again.

use std::time::Duration;

use control_protocol::{
    Digest, Happening as H,
    event::{EndedBy, Grade},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{moments, prune::prune, stills};
use crate::{
    nodes::rig::Rig,
    params,
    recordings::tests::{CAMERA, STILL, ask, audited, bytes, footage, get, head, json_of, play, take},
    scene::Journal,
};

const MINUTE: i64 = 60_000;

/// A case that was called a minute ago, served and rated.
fn case_events(journal: &mut Journal, now: i64) -> Vec<control_protocol::StoredEvent> {
    let (t, b) = ("A001".to_owned(), "社保".to_owned());
    journal.at = now - 2 * MINUTE;
    let opened = journal.event(0, 1, H::CaseOpened { ticket: t.clone(), business: b.clone() });
    journal.at = now - MINUTE;
    let called = journal.event(1, 1, H::TicketCalled { ticket: t.clone(), business: b, by_number: false });
    let started = journal.event(1, 1, H::ServiceStarted { ticket: t.clone() });
    journal.at = now - MINUTE / 2;
    let fault = |ended| H::PictureFault { fault: "black".into(), ended, since: None, still: None };
    let black = journal.by_device(1, 0, Some(CAMERA), fault(false));
    let over = journal.by_device(1, 0, Some(CAMERA), fault(true));
    let grade = Grade::new(5).unwrap();
    let rated = journal.event(1, 1, H::RatingGiven { ticket: t.clone(), grade, raw: 5 });
    let closed = H::CaseClosed { ticket: t, ended_by: EndedBy::Rated, grade: Some(grade), accurate: true };
    vec![opened, called, started, black, over, rated, journal.event(1, 1, closed)]
}

async fn timeline(rig: &Rig, case: &str) -> Value {
    json_of(get(rig, "boss", &format!("/cases/{case}/timeline"), &[]).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stills_of_key_moments_come_by_themselves_and_have_their_time() {
    let rig = Rig::new().await;
    let now = rig.centre.clock.now().0;
    moments::find(&rig.centre).await.unwrap();
    let mut journal = Journal::of("450103-01");
    let case = journal.case(1).to_string();
    take(&rig, case_events(&mut journal, now)).await;
    moments::find(&rig.centre).await.unwrap();
    moments::find(&rig.centre).await.unwrap();
    let line = timeline(&rig, &case).await;
    let wanted = line["stills"].as_array().unwrap();
    let shows: Vec<&str> = wanted.iter().map(|row| row["shows"].as_str().unwrap()).collect();
    for kind in ["ticket.called", "service.started", "picture.fault", "rating.given"] {
        assert_eq!(shows.iter().filter(|shown| **shown == kind).count(), 1, "{line}");
    }
    assert!(wanted.iter().all(|row| row["state"] == "wanted" && row["url"].is_null()), "{line}");
    assert_eq!(line["hall"]["online"], false);

    let _heard = play(&rig).await;
    for _ in 0..wanted.len() {
        stills::fetch_due(&rig.centre).await.unwrap();
    }
    let line = timeline(&rig, &case).await;
    assert_eq!(line["hall"]["online"], true);
    let kept = line["stills"].as_array().unwrap();
    assert!(kept.iter().all(|row| row["state"] == "kept" && row["camera"] == CAMERA), "{line}");
    let jpeg = footage().slice(0..STILL);
    assert_eq!(kept[0]["sha256"], Digest::of(&jpeg).to_string());
    let at = |row: &Value, name: &str| row[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(at(&kept[0], "at").duration_since(at(&kept[0], "taken_at")).as_millis(), 700);
    let path = kept[0]["url"].as_str().unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let still = get(&rig, "hm", &path, &[]).await;
    assert_eq!((still.status(), head(&still, "content-type")), (StatusCode::OK, "image/jpeg"));
    assert_eq!(bytes(still).await, jpeg);
    assert_eq!(audited(&rig, "replay.still").await.len(), 1);
    // Under another case, or another name, there is none.
    for odd in ["0", "..%2F..%2Fcentre.db"] {
        let other = format!("/cases/{case}/stills/{odd}");
        assert_eq!(get(&rig, "hm", &other, &[]).await.status(), StatusCode::GONE, "{odd}");
    }
    let mut far = Journal::of("450103-02");
    let elsewhere = far.case(1).to_string();
    take(&rig, case_events(&mut far, now)).await;
    let id = path.rsplit('/').next().unwrap();
    let theirs = get(&rig, "hm", &format!("/cases/{elsewhere}/stills/{id}"), &[]).await;
    assert_eq!(theirs.status(), StatusCode::NOT_FOUND);

    let aged =
        rig.centre.store.write("test", |tx| tx.sql.execute("UPDATE kept_stills SET at = 5", params![]));
    aged.await.unwrap();
    prune(&rig.centre).await.unwrap();
    let line = timeline(&rig, &case).await;
    let dropped = line["stills"].as_array().unwrap();
    assert!(dropped.iter().all(|row| row["state"] == "dropped" && row["why"] == "days"), "{line}");
    assert_eq!(get(&rig, "hm", &path, &[]).await.status(), StatusCode::GONE);
    let old = rig
        .centre
        .store
        .write("test", |tx| tx.sql.execute("UPDATE kept_stills SET changed_at = 5", params![]));
    old.await.unwrap();
    prune(&rig.centre).await.unwrap();
    assert_eq!(timeline(&rig, &case).await["stills"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_that_was_kept_is_there_when_the_hall_gives_none() {
    let rig = Rig::new().await;
    let now = rig.centre.clock.now().0;
    let mut journal = Journal::of("450103-01");
    let case = journal.case(1).to_string();
    take(&rig, case_events(&mut journal, now)).await;
    let path = format!("/cases/{case}/kept-clips");
    let keep = async |who, body: Value| ask(&rig, who, Method::POST, &path, &[], body).await.status();
    assert_eq!(keep("hm", json!({})).await, StatusCode::FORBIDDEN);
    assert_eq!(keep("boss", json!({})).await, StatusCode::SERVICE_UNAVAILABLE, "the hall is not there");
    let heard = play(&rig).await;
    let foreign = json!({"cameras": ["450103-01-W02-C1"]});
    assert_eq!(keep("boss", foreign).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(keep("boss", json!({})).await, StatusCode::ACCEPTED);
    let kept = loop {
        let kept = timeline(&rig, &case).await["cameras"][0]["kept"].clone();
        if kept["state"] != "asked" {
            break kept;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (&kept["state"], &kept["asked_by"], &kept["why"]),
        (&json!("kept"), &json!("boss"), &Value::Null)
    );
    assert_eq!(kept["sha256"], Digest::of(&footage()).to_string());
    assert_eq!(audited(&rig, "replay.kept").await, [(case.clone(), CAMERA.to_owned())]);
    let clip = format!("/cases/{case}/clip.mp4");
    let from_hall = get(&rig, "hm", &clip, &[("range", "bytes=0-0")]).await;
    assert_eq!(head(&from_hall, "x-clip-source"), "hall");
    let tag = head(&from_hall, "etag").to_owned();

    heard.lock().unwrap().has_lost_it = true;
    let whole = get(&rig, "hm", &clip, &[]).await;
    assert_eq!((whole.status(), head(&whole, "x-clip-source")), (StatusCode::OK, "centre"));
    assert_eq!(bytes(whole).await, footage());
    let part = get(&rig, "hm", &clip, &[("range", "bytes=299000-600000"), ("if-range", &tag)]).await;
    assert_eq!((part.status(), head(&part, "etag")), (StatusCode::PARTIAL_CONTENT, &tag[..]));
    assert_eq!(head(&part, "content-range"), "bytes 299000-600000/700000");
    assert_eq!(bytes(part).await, footage().slice(299_000..600_001));
    let line = timeline(&rig, &case).await;
    let camera = &line["cameras"][0];
    assert_eq!((&camera["clip_source"], &camera["clip"]["frames"]), (&json!("centre"), &json!(250)));
    assert!(camera["why"].as_str().unwrap().contains("nothing was recorded"), "{camera}");

    // A file that is cut short is not given out as the clip.
    let folder = rig.centre.data.join(super::FOLDER).join("clips");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, [1, 2, 3]).unwrap();
    assert_eq!(get(&rig, "hm", &clip, &[]).await.status(), StatusCode::NOT_FOUND);
    let aged =
        rig.centre.store.write("test", |tx| tx.sql.execute("UPDATE kept_clips SET kept_at = 5", params![]));
    aged.await.unwrap();
    prune(&rig.centre).await.unwrap();
    assert!(!file.exists());
    let kept = timeline(&rig, &case).await["cameras"][0]["kept"].clone();
    assert_eq!(
        (&kept["state"], &kept["why"], &kept["from"]),
        (&json!("dropped"), &json!("days"), &Value::Null)
    );
}
