//! The node listener from outside, over TLS on loopback.

use control_protocol::{
    CameraId, UtcMillis,
    channel::{CameraReport, Order, StreamState, ToCentre, ToEdge},
    intake::Answer,
};

use super::{
    pairing,
    rig::{Edge, Rig, hall, hear, say},
};
use crate::{params, store::StoreError};

async fn alarm(rig: &Rig) -> Option<String> {
    let row =
        rig.centre.store.read(|sql| sql.query_one("SELECT quarantined FROM nodes", params![])).await.unwrap();
    row.unwrap().get(0).unwrap()
}

/// Waits for a condition that another task brings about.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect("it comes about");
}

#[tokio::test]
async fn a_pairing_code_is_good_once_for_one_hall() {
    let rig = Rig::new().await;
    let (status, words) = Edge::enrol(&rig, hall(1), "7K3M-Q2ZD-08RT-XW5P").await.err().unwrap();
    assert_eq!(status, 403);
    assert!(words.contains("not valid, used or expired: ask for a new one"), "{words}");
    let code = rig.code(hall(1)).await;
    let (status, words) = Edge::enrol(&rig, hall(2), &code).await.err().unwrap();
    assert!(status == 403 && words.contains("another hall than 450103-02"), "{words}");
    let edge = Edge::enrol(&rig, hall(1), &code).await.unwrap();
    assert_eq!(Edge::enrol(&rig, hall(1), &code).await.err().unwrap().0, 403);
    let (status, body) = rig.request(Some(&edge), "GET", "/node/v1/events", b"").await.unwrap();
    let answer: Answer = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answer.marks[0].node.as_str()), (200, "hall-450103-01"));
    // Two more wrong ones, and the address has to wait; a right one would have to as well.
    for _ in 0..2 {
        Edge::enrol(&rig, hall(1), "7K3M-Q2ZD-08RT-XW5P").await.err().unwrap();
    }
    let code = rig.code(hall(1)).await;
    let (status, words) = Edge::enrol(&rig, hall(1), &code).await.err().unwrap();
    assert!(status == 429 && words.contains("wait"), "{words}");
}

#[tokio::test]
async fn an_unknown_hall_and_an_old_code_are_told() {
    let rig = Rig::new().await;
    let unknown = "450103-09".parse().unwrap();
    let now = rig.centre.clock.now();
    let error = pairing::issue(&rig.centre.store, unknown, "me".into(), now).await.unwrap_err();
    assert!(error.to_string().contains("450103-09 is not known"));
    let old = UtcMillis(now.0 - pairing::CODE_MS - 1);
    let code = pairing::issue(&rig.centre.store, hall(1), "me".into(), old).await.unwrap().code.reveal();
    assert_eq!(Edge::enrol(&rig, hall(1), &code).await.err().unwrap().0, 403);
    let stored = rig
        .centre
        .store
        .read(|sql| sql.query("SELECT * FROM pairing_codes", params![]))
        .await
        .map(|rows| format!("{rows:?}"))
        .unwrap();
    assert!(!stored.contains(&code) && !stored.contains(&code.replace('-', "")));
}

#[tokio::test]
async fn nobody_without_a_certificate_and_no_revoked_node_comes_in() {
    let rig = Rig::new().await;
    for path in ["/node/v1/events", "/node/v1/commands", "/node/v1/media/L1"] {
        assert_eq!(rig.request(None, "GET", path, b"").await.unwrap().0, 401, "{path}");
    }
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    until(async || rig.centre.nodes.registry().of_hall(&hall(1)).is_some()).await;
    assert_eq!(rig.request(Some(&edge), "GET", "/node/v1/media/L1", b"").await.unwrap().0, 400);
    // Another machine paired for the hall takes the identity over.
    let new = Edge::of(&rig, hall(1)).await;
    assert_eq!(hear(&mut channel).await, None);
    assert!(rig.request(Some(&edge), "GET", "/node/v1/events", b"").await.is_err());
    assert_eq!(rig.request(Some(&new), "GET", "/node/v1/events", b"").await.unwrap().0, 200);
    assert!(rig.centre.nodes.revoke("hall-450103-01".parse().unwrap(), "lost".into()).await.unwrap());
    assert!(rig.request(Some(&new), "GET", "/node/v1/events", b"").await.is_err());
}

#[tokio::test]
async fn a_node_renews_with_a_new_key() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let body = serde_json::json!({"csr_pem": csr}).to_string();
    let (status, answer) = rig.request(Some(&edge), "POST", "/node/v1/renew", body.as_bytes()).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let enrolled: control_protocol::enrolment::Enrolled = serde_json::from_str(&answer).unwrap();
    let renewed = Edge { hall: hall(1), key, certificate: enrolled.certificate_pem };
    assert_eq!(rig.request(Some(&renewed), "GET", "/node/v1/events", b"").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_channel_says_what_is_wrong_with_it() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut wrong = edge.socket(&rig, "/node/v1/commands").await;
    let hello = ToCentre::Hello { hall: hall(2), version: "1".into(), boot: "b".into(), utc_ms: 0 };
    say(&mut wrong, &hello).await;
    match hear(&mut wrong).await {
        Some(ToEdge::Refused { why, retry: false }) => {
            assert!(why.contains("450103-02") && why.contains("450103-01"))
        }
        other => panic!("{other:?}"),
    }
    let mut first = edge.channel(&rig, "b1").await;
    until(async || rig.centre.nodes.registry().of_hall(&hall(1)).is_some()).await;
    // A second machine is refused and the first goes on.
    let mut second = edge.channel(&rig, "b2").await;
    match hear(&mut second).await {
        Some(ToEdge::Refused { why, retry: false }) => assert!(why.contains("another machine"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(alarm(&rig).await.as_deref(), Some("two_machines"));
    // Nor is anything of the second's journal taken while the first is there.
    for (boot, status) in [("b1", 200), ("b2", 409)] {
        let header = format!("{}: {boot}\r\n", control_protocol::intake::BOOT_HEADER);
        let asked = rig.request_with(Some(&edge), "GET", "/node/v1/events", &header, b"").await.unwrap();
        assert_eq!(asked.0, status, "{boot}: {}", asked.1);
    }
    let order = Order::ReportConfiguration {};
    let expires = rig.centre.clock.now().plus(60_000);
    let node = "hall-450103-01".parse().unwrap();
    let id = rig.centre.nodes.order(node, &order, "me".into(), expires).await.unwrap();
    assert_eq!(
        hear(&mut first).await,
        Some(ToEdge::Command { id: id.clone(), expires_at: expires, order: order.clone() })
    );
    // The same start dialling anew takes the place of its former channel; what is not done comes again.
    let mut again = edge.channel(&rig, "b1").await;
    assert_eq!(hear(&mut again).await, Some(ToEdge::Command { id, expires_at: expires, order }));
    assert_eq!(hear(&mut first).await, None);
}

#[tokio::test]
async fn cameras_are_as_the_edge_says_and_offline_without_it() {
    let rig = Rig::new().await;
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    let report = |camera: &str| CameraReport {
        camera: camera.parse().unwrap(),
        state: StreamState::Live,
        why: None,
        since: UtcMillis(5),
    };
    let cameras = vec![report("450103-01-W01-C1"), report("450103-02-W01-C1")];
    say(&mut channel, &ToCentre::Cameras { cameras }).await;
    let (mine, other): (CameraId, CameraId) =
        ("450103-01-W01-C1".parse().unwrap(), "450103-02-W01-C1".parse().unwrap());
    until(async || rig.centre.nodes.camera(&mine).is_some()).await;
    assert_eq!(rig.centre.nodes.camera(&mine).unwrap().state, StreamState::Live);
    assert_eq!(rig.centre.nodes.camera(&other), None);
    drop(channel);
    until(async || rig.centre.nodes.camera(&mine).unwrap().state == StreamState::Offline).await;
    let seen = rig
        .centre
        .store
        .read(|sql| {
            Ok::<_, StoreError>(
                sql.query_one("SELECT 1 FROM nodes WHERE last_seen > 0", params![])?.is_some(),
            )
        })
        .await;
    assert!(seen.unwrap());
    let metrics = rig.centre.nodes.metrics();
    assert!(metrics.contains("hallwatch_nodes_connected 0\n"), "{metrics}");
}
