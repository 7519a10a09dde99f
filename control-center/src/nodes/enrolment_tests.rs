//! How an identity lives: renewed in time and late, revoked while links are open, and of no use for another hall's things.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use control_protocol::{
    Digest, LeaseId, StreamId, UtcMillis,
    channel::{StreamDescription, StreamState},
    enrolment::Enrolled,
    frame::{Header, Tier},
};
use futures_util::StreamExt;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::{
    LeaseSide,
    ca::{NODE_DAYS, RENEW_LATE_DAYS},
    certificates,
    rig::{Edge, Rig, Socket, hall, hear},
};
use crate::{
    params,
    store::{Sql, StoreError},
};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Generous: what is measured is printed, not asserted.
const LIMIT: Duration = Duration::from_secs(60);

/// A stream that nobody looks at.
struct Nobody;

impl LeaseSide for Nobody {
    fn opened(&self, _: &LeaseId) {}
    fn described(&self, _: StreamDescription) {}
    fn message(&self, _: Header, _: Bytes) {}
    fn closed(&self, _: &LeaseId, _: &str) {}
    fn failed(&self, _: &LeaseId, _: StreamState, _: &str) {}
}

fn request() -> (KeyPair, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    (key, csr)
}

/// The edge of hall 1 with a certificate that ended so many days ago.
async fn ended(rig: &Rig, days: i64) -> Edge {
    let edge = Edge::of(rig, hall(1)).await;
    let node = "hall-450103-01".parse().unwrap();
    let (key, csr) = request();
    let signed_at = UtcMillis(rig.centre.clock.now().0 - (NODE_DAYS + days) * DAY_MS);
    let signed = rig.centre.nodes.ca().sign_node(&node, &hall(1), &csr, signed_at).unwrap();
    let certificate = signed.pem.clone();
    rig.centre
        .store
        .write("an old certificate", move |tx| {
            certificates::insert(tx, (&node, &hall(1)), &signed, Digest::ZERO, signed_at)?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    rig.centre.nodes.certificates().load(&rig.centre.store).await.unwrap();
    Edge { hall: edge.hall, key, certificate }
}

async fn renew(rig: &Rig, edge: &Edge) -> std::io::Result<(u16, Option<Edge>)> {
    let (key, csr) = request();
    let body = serde_json::json!({"csr_pem": csr}).to_string();
    let (status, answer) = rig.request(Some(edge), "POST", "/node/v1/renew", body.as_bytes()).await?;
    let renewed = serde_json::from_str::<Enrolled>(&answer).ok();
    let renewed = renewed.map(|enrolled| Edge { hall: hall(1), key, certificate: enrolled.certificate_pem });
    Ok((status, renewed))
}

#[tokio::test]
async fn a_certificate_that_ended_is_good_for_renewal_alone_and_not_for_ever() {
    let rig = Rig::new().await;
    for days in [1, RENEW_LATE_DAYS - 1] {
        let edge = ended(&rig, days).await;
        let (status, words) = rig.request(Some(&edge), "GET", "/node/v1/events", b"").await.unwrap();
        assert!(status == 403 && words.contains("renew it first"), "{days} days late: {status} {words}");
        let begun = Instant::now();
        let (status, renewed) = renew(&rig, &edge).await.unwrap();
        assert_eq!(status, 200, "{days} days late");
        let renewed = renewed.unwrap();
        assert_eq!(rig.request(Some(&renewed), "GET", "/node/v1/events", b"").await.unwrap().0, 200);
        println!("renewed {days} days late and served again in {} ms", begun.elapsed().as_millis());
    }
    let edge = ended(&rig, RENEW_LATE_DAYS + 1).await;
    assert!(renew(&rig, &edge).await.is_err(), "too late: TLS itself refuses it");
}

/// Waits until the socket is closed by the centre.
async fn closed(socket: &mut Socket) {
    let wait = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(LIMIT, wait).await.expect("the centre closes it");
}

#[tokio::test]
async fn revocation_closes_what_is_open() {
    let rig = Rig::new().await;
    for by_table in [false, true] {
        let edge = Edge::of(&rig, hall(1)).await;
        let mut channel = edge.channel(&rig, "b1").await;
        let joined = async {
            while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, joined).await.expect("the channel is there");
        let lease =
            rig.centre.nodes.leases().open(&hall(1), StreamId(7), Tier::Sub, Arc::new(Nobody)).unwrap();
        let mut media = edge.socket(&rig, &format!("/node/v1/media/{lease}")).await;
        let begun = Instant::now();
        if by_table {
            // As the command line would: nobody tells the running centre.
            let revoke = "UPDATE certificates SET revoked_at = 1 WHERE revoked_at IS NULL";
            rig.centre.store.write("revoked", move |tx| tx.execute(revoke, params![])).await.unwrap();
        } else {
            assert!(rig.centre.nodes.revoke("hall-450103-01".parse().unwrap(), "lost".into()).await.unwrap());
        }
        let hearing = async { while hear(&mut channel).await.is_some() {} };
        tokio::time::timeout(LIMIT, hearing).await.expect("the command channel is closed");
        let of_channel = begun.elapsed();
        closed(&mut media).await;
        println!(
            "revoked {}: command channel closed after {} ms, media after {} ms",
            if by_table { "in the table" } else { "by the API" },
            of_channel.as_millis(),
            begun.elapsed().as_millis()
        );
        assert!(
            rig.request(Some(&edge), "GET", "/node/v1/events", b"").await.is_err(),
            "and nothing opens anew"
        );
        rig.centre.nodes.leases().end(&lease);
    }
}

#[tokio::test]
async fn a_node_gets_nothing_of_another_hall_and_no_lease_twice() {
    let rig = Rig::new().await;
    let (mine, other) = (Edge::of(&rig, hall(1)).await, Edge::of(&rig, hall(2)).await);
    let lease = rig.centre.nodes.leases().open(&hall(2), StreamId(7), Tier::Sub, Arc::new(Nobody)).unwrap();
    let upgrade = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let asks = async |edge: &Edge, path: String| {
        let mut stream = rig.dial(Some(edge)).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: centre\r\n{upgrade}\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[9..]).into_owned()
    };
    assert_eq!(asks(&mine, format!("/node/v1/media/{lease}")).await, "404", "another hall's stream");
    assert_eq!(asks(&other, format!("/node/v1/media/{lease}")).await, "101");
    rig.centre.nodes.leases().end(&lease);
    assert_eq!(asks(&other, format!("/node/v1/media/{lease}")).await, "404", "a lease that has ended");
    for path in ["/node/v1/footage/F0123", "/node/v1/media/..%2f..%2fca", "/node/v1/media/L"] {
        assert_eq!(asks(&mine, path.to_owned()).await, "404", "{path}");
    }
    // A channel is for the certificate's own hall, whatever its first text says.
    let mut wrong = mine.socket(&rig, "/node/v1/commands").await;
    let hello = control_protocol::channel::ToCentre::Hello {
        hall: hall(2),
        version: "1".into(),
        boot: "b".into(),
        utc_ms: 0,
    };
    super::rig::say(&mut wrong, &hello).await;
    assert!(matches!(
        hear(&mut wrong).await,
        Some(control_protocol::channel::ToEdge::Refused { retry: false, .. })
    ));
}
