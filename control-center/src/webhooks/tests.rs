//! Webhooks against a receiver of the test's own, which answers as it is told and keeps what it was sent.

use std::sync::{Arc, Mutex, PoisonError};

use control_protocol::{Happening as H, StoredEvent, UtcMillis, event::Grade};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::{Runner, Secrets, signature, wait_after, wants};
use crate::{
    scene::{Journal, Scene},
    site::tests::Browser,
};

#[test]
fn waits_double_up_to_ten_minutes() {
    let waits: Vec<i64> = [1, 2, 3, 9, 10, 11, 40, u32::MAX].map(wait_after).to_vec();
    assert_eq!(waits, [1_000, 2_000, 4_000, 256_000, 512_000, 600_000, 600_000, 600_000]);
}

#[test]
fn a_kind_that_ends_with_a_dot_means_all_that_begin_so() {
    let kinds = ["rating.given".to_owned(), "case.".to_owned()];
    assert!(wants(&kinds, "rating.given") && wants(&kinds, "case.closed") && wants(&[], "anything"));
    assert!(!wants(&kinds, "rating.invited") && !wants(&kinds, "cases"));
}

#[test]
fn a_signature_is_what_the_reference_says() {
    // printf '1795309200.{"a":1}' | openssl dgst -sha256 -hmac secret
    let signed = signature("secret", UtcMillis(1_795_309_200_999), br#"{"a":1}"#);
    assert_eq!(signed, "v1=c6ea38c78e513a2989d1b231fc2a7af6baa5be409aabd343df4ee9ac725e2d6a");
}

/// What the receiver got: headers and body of each request.
type Got = Arc<Mutex<Vec<(HeaderMap, Value, Vec<u8>)>>>;

/// A receiver that answers with the next of `answers`, and 200 when they are used up.
async fn receiver(answers: Vec<u16>) -> (String, Got) {
    let got = Got::default();
    let left = Arc::new(Mutex::new(answers.into_iter()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/take", listener.local_addr().unwrap());
    let kept = got.clone();
    let take = async move |headers: HeaderMap, body: bytes::Bytes| {
        let events = serde_json::from_slice(&body).unwrap();
        kept.lock().unwrap_or_else(PoisonError::into_inner).push((headers, events, body.to_vec()));
        let answer = left.lock().unwrap_or_else(PoisonError::into_inner).next().unwrap_or(200);
        StatusCode::from_u16(answer).unwrap()
    };
    let router = axum::Router::new().route("/take", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

fn seqs(body: &Value) -> Vec<u64> {
    body["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

fn rated(journal: &mut Journal, serial: u32) -> StoredEvent {
    let given = H::RatingGiven { ticket: "A001".into(), grade: Grade::new(2).unwrap(), raw: 3 };
    journal.event(1, serial, given)
}

async fn set_up(scene: &Scene, url: &str, scope: &str) -> (Runner, Browser, Value) {
    let runner =
        Runner::new(scene.centre.store.clone(), scene.centre.clock.clone(), scene.centre.webhooks.clone());
    let admin = Browser::signed_in(scene, "admin").await;
    let webhook = json!({"name": "审批", "url": url, "kinds": ["rating."], "scope": scope});
    let (status, made) = admin.json(Method::POST, "/webhooks", Some(webhook)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    (runner, admin, made)
}

#[tokio::test]
async fn events_are_sent_in_order_signed_and_again_until_they_are_taken() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    scene.take(vec![rated(&mut journal, 1)]).await;
    let (url, got) = receiver(vec![500, 302]).await;
    let (runner, admin, made) = set_up(&scene, &url, "450103").await;
    let mut other = Journal::of("450102-01");
    let events = vec![
        journal.event(1, 2, H::TicketHeld { ticket: "A".into() }),
        rated(&mut journal, 2),
        rated(&mut journal, 3),
    ];
    scene.take(events).await;
    scene.take(vec![rated(&mut other, 1)]).await;

    assert_eq!(runner.round().await.unwrap(), 0, "the receiver fails");
    assert_eq!(runner.round().await.unwrap(), 0, "it is not tried before its wait is over");
    let row = admin.get("/webhooks").await["items"][0].clone();
    assert_eq!((&row["state"], &row["failures"]), (&json!("failing"), &json!(1)), "{row}");
    assert!(row["last_error"].as_str().unwrap().contains("500"));
    scene.pass(1_000);
    assert_eq!(runner.round().await.unwrap(), 0, "a redirection is not followed");
    scene.pass(2_000);
    assert_eq!(runner.round().await.unwrap(), 1);
    assert_eq!(runner.round().await.unwrap(), 0, "nothing is left");
    scene.take(vec![rated(&mut journal, 4)]).await;
    assert_eq!(runner.round().await.unwrap(), 1);

    let got = got.lock().unwrap().clone();
    let sent: Vec<Vec<u64>> = got.iter().map(|(_, body, _)| seqs(body)).collect();
    assert_eq!(
        sent,
        [vec![3, 4], vec![3, 4], vec![3, 4], vec![5]],
        "neither older, nor of other kinds, nor of other areas"
    );
    let ids: Vec<_> = got.iter().map(|(headers, ..)| headers["hallwatch-delivery"].clone()).collect();
    assert!(ids[0] == ids[2] && ids[2] != ids[3]);
    for (headers, _, body) in got.iter() {
        let at: i64 = headers["hallwatch-timestamp"].to_str().unwrap().parse().unwrap();
        let expected = signature(made["secret"].as_str().unwrap(), UtcMillis(at * 1000), body);
        assert_eq!(headers["hallwatch-signature"].to_str().unwrap(), expected);
    }
    let row = admin.get("/webhooks").await["items"][0].clone();
    assert_eq!(
        (&row["state"], &row["delivered"], &row["behind"]),
        (&json!("good"), &json!(3), &json!(0)),
        "{row}"
    );
}

#[tokio::test]
async fn one_that_fails_for_a_week_is_given_up_and_loses_nothing() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let (url, got) = receiver(vec![503, 503]).await;
    let (runner, admin, made) = set_up(&scene, &url, "450103-01").await;
    scene.take(vec![rated(&mut journal, 1)]).await;
    assert_eq!(runner.round().await.unwrap(), 0);
    scene.pass(7 * 86_400_000);
    assert_eq!(runner.round().await.unwrap(), 0);
    scene.pass(86_400_000);
    assert_eq!(runner.round().await.unwrap(), 0, "it is off");
    // The session of eight days ago has ended.
    drop(admin);
    let admin = Browser::signed_in(&scene, "admin").await;
    let row = admin.get("/webhooks").await["items"][0].clone();
    assert_eq!((&row["state"], &row["behind"]), (&json!("given_up"), &json!(1)), "{row}");
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let again = json!({"name": "审批", "url": url, "kinds": [], "scope": "450103-01"});
    assert_eq!(admin.json(Method::PUT, &path, Some(again)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(runner.round().await.unwrap(), 1);
    assert_eq!(seqs(&got.lock().unwrap().last().unwrap().1), [1]);
}

#[tokio::test]
async fn webhooks_are_for_administrators_and_secrets_are_shown_once() {
    let scene = Scene::new().await;
    let (_, admin, made) = set_up(&scene, "http://127.0.0.1:1/", "450103").await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    assert!(!admin.get("/webhooks").await.to_string().contains(&secret));
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let (_, renewed) = admin.json(Method::POST, &format!("{path}/secret"), None).await;
    assert_ne!(renewed["secret"], json!(secret));
    // To who runs a hall, what is set up for its county is not there.
    let (refused, absent) = (StatusCode::FORBIDDEN, StatusCode::NOT_FOUND);
    for (name, status) in [("region", refused), ("manager", absent), ("hr", refused), ("tech", refused)] {
        let browser = Browser::signed_in(&scene, name).await;
        assert_eq!(browser.status("/webhooks").await, refused, "{name}");
        assert_eq!(browser.json(Method::DELETE, &path, None).await.0, status, "{name}");
    }
    for (field, value) in [
        ("url", "ftp://a/"),
        ("url", "https://a/"),
        ("url", "http://me:pw@a/"),
        ("name", ""),
        ("scope", "999999"),
    ] {
        let mut webhook = json!({"name": "a", "url": "http://a/", "scope": "450103"});
        webhook[field] = json!(value);
        let (status, _) = admin.json(Method::POST, "/webhooks", Some(webhook)).await;
        assert!(matches!(status.as_u16(), 404 | 422), "{field} {value}: {status}");
    }
    assert_eq!(admin.json(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(admin.get("/webhooks").await["items"], json!([]));
}

#[test]
fn the_key_of_secrets_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Secrets::open(folder.path()).unwrap();
    let second = Secrets::open(folder.path()).unwrap();
    assert_eq!(first.of("wh-1", 1), second.of("wh-1", 1));
    assert_ne!(first.of("wh-1", 1), first.of("wh-1", 2));
    assert_ne!(first.of("wh-1", 1), first.of("wh-2", 1));
}
