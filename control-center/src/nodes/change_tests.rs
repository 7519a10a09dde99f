//! A change of the authority with edges that speak the contract by hand: who is told what, who is taken when, and who is left
//! behind. That real programs go over is in the system tests.

use std::time::Duration;

use control_protocol::{channel::ToEdge, enrolment::Enrolled};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::{
    change::{RetireError, holdings},
    rig::{Edge, Rig, hall, hear, hear_all},
};
use crate::store::StoreError;

/// Generous: nothing here is measured.
const LIMIT: Duration = Duration::from_secs(60);

async fn renew(rig: &Rig, edge: &Edge, several: bool) -> (Edge, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let mut body = serde_json::json!({"csr_pem": csr});
    if several {
        body["several"] = true.into();
    }
    let body = body.to_string();
    let (status, answer) = rig.request(Some(edge), "POST", "/node/v1/renew", body.as_bytes()).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let enrolled: Enrolled = serde_json::from_str(&answer).unwrap();
    (Edge { hall: edge.hall.clone(), key, certificate: enrolled.certificate_pem }, enrolled.ca_pem)
}

/// Waits until the listener shows what is of the authority that signs now.
async fn shown(rig: &Rig) {
    let wait = async {
        while rig.dial(None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("the listener follows");
}

async fn told(socket: &mut super::rig::Socket) -> usize {
    match tokio::time::timeout(LIMIT, hear_all(socket)).await.unwrap() {
        Some(ToEdge::Authorities { pem }) => pem.matches("BEGIN CERTIFICATE").count(),
        other => panic!("{other:?}"),
    }
}

async fn renewed(rig: &Rig) -> Vec<(String, bool)> {
    let (pin, now) = (rig.centre.nodes.pin(), rig.centre.clock.now());
    let held = rig.centre.store.read(move |sql| holdings(sql, pin, now)).await.unwrap();
    held.into_iter().map(|held| (held.hall.to_string(), held.renewed)).collect()
}

async fn serves(rig: &Rig, edge: &Edge) -> bool {
    rig.request(Some(edge), "GET", "/node/v1/events", b"").await.is_ok_and(|(status, _)| status == 200)
}

fn nobody(
    _: &mut crate::store::Tx<'_>,
    _: control_protocol::Digest,
    _: control_protocol::Digest,
) -> Result<(), StoreError> {
    Ok(())
}

#[tokio::test]
async fn nodes_go_over_and_the_former_ends() {
    let rig = Rig::new().await;
    let nodes = &rig.centre.nodes;
    let (one, two) = (Edge::of(&rig, hall(1)).await, Edge::of(&rig, hall(2)).await);
    let mut channel = one.channel(&rig, "b1").await;
    assert_eq!(told(&mut channel).await, 1);
    assert!(matches!(nodes.retire_former(vec![], nobody).await, Err(RetireError::NotBegun)));
    let former = nodes.ca();

    nodes.begin_change().await.unwrap().unwrap();
    assert!(nodes.begin_change().await.unwrap().is_none());
    assert_eq!(told(&mut channel).await, 2, "told on the channel that stands");
    shown(&rig).await;
    assert_eq!(renewed(&rig).await, [("450103-01".into(), false), ("450103-02".into(), false)]);
    // Whoever knows the former alone still knows the centre, by the former's word for the new one.
    let mut by_word = two.dial(rig.nodes_at, former.der().clone(), "/node/v1/commands").await;
    super::rig::say(&mut by_word, &super::rig::hello(&two, "b2")).await;
    assert_eq!(told(&mut by_word).await, 2);
    assert!(serves(&rig, &one).await && serves(&rig, &two).await);
    // An agent of the version before renews as if nothing were changed.
    let (of_before, trusts) = renew(&rig, &two, false).await;
    assert_eq!(trusts, former.pem());
    assert!(serves(&rig, &of_before).await);

    let (new, trusts) = renew(&rig, &one, true).await;
    assert_eq!(trusts, nodes.authorities().trusted_pem());
    assert!(!renewed(&rig).await[0].1, "an answer may be lost: it does not hold it yet");
    assert_eq!(nodes.known_to(hall(1)).await.unwrap().pin(), former.pin());
    let confirmed = rig.request(Some(&new), "POST", "/node/v1/renewed", b"").await.unwrap();
    assert_eq!(confirmed.0, 204);
    assert_eq!(renewed(&rig).await, [("450103-01".into(), true), ("450103-02".into(), false)]);
    assert_eq!(nodes.known_to(hall(1)).await.unwrap().pin(), nodes.pin());
    assert_eq!(nodes.known_to(hall(2)).await.unwrap().pin(), former.pin());

    let behind: control_protocol::NodeId = "hall-450103-02".parse().unwrap();
    for left in [vec![], vec!["hall-450103-01".parse().unwrap()]] {
        match nodes.retire_former(left, nobody).await {
            Err(RetireError::LeftBehind(named)) => assert_eq!(named, std::slice::from_ref(&behind)),
            other => panic!("{other:?}"),
        }
    }
    assert!(serves(&rig, &two).await, "a refused order changes nothing");
    nodes.retire_former(vec![behind], nobody).await.unwrap();
    shown(&rig).await;
    assert!(nodes.authorities().former().is_none());
    let hearing = async { while hear(&mut channel).await.is_some() {} };
    tokio::time::timeout(LIMIT, hearing).await.expect("what came with a former certificate is closed");
    for (edge, who) in
        [(&one, "the first's former"), (&two, "the second's"), (&of_before, "the second's renewed")]
    {
        assert!(rig.request(Some(edge), "GET", "/node/v1/events", b"").await.is_err(), "{who} certificate");
    }
    assert!(serves(&rig, &new).await);
    // Who was left behind is paired anew.
    let again = Edge::of(&rig, hall(2)).await;
    assert!(serves(&rig, &again).await);
    assert_eq!(renewed(&rig).await, [("450103-01".into(), true), ("450103-02".into(), true)]);
}
