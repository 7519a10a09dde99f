//! Pairing through the centre: who may ask, what reaches the hall and what comes back; and site passes.

use axum::body::Body;
use control_protocol::{
    channel::{ToCentre, ToEdge},
    pairing::{Answered, Joining, cut},
    site_pass::Presented,
};
use http::{Request, StatusCode};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};
use tower::ServiceExt;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::rig::{Edge, Rig, hall, hear, say};
use crate::{params, store::StoreError};

async fn technician(rig: &Rig) {
    rig.centre
        .store
        .write("test", |tx| {
            for (name, role) in [("tech", "technician"), ("other", "hr"), ("root", "administrator")] {
                tx.sql.execute(
                    "INSERT INTO users (name, password_hash, must_change, disabled, created_at) VALUES ($1, '', 0, 0, 0)",
                    params![name],
                )?;
                tx.sql.execute(
                    "INSERT INTO grants (user_name, role, scope) VALUES ($1, $2, '450103-01')",
                    params![name, role],
                )?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

async fn ask(
    rig: &Rig,
    name: &'static str,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> (StatusCode, String, Vec<u8>) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header("cookie", rig.cookie(name).await)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    let response = crate::site::assembly::router(rig.centre.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, kind.unwrap_or_default(), body.to_vec())
}

#[tokio::test]
async fn a_question_goes_to_the_hall_only_for_its_technician() {
    let rig = Rig::new().await;
    technician(&rig).await;
    for (name, path, status) in [
        ("boss", "/halls/450103-01/pairing/hall", 403),
        ("hm", "/halls/450103-01/pairing/hall", 403),
        ("tech", "/halls/450103-02/pairing/hall", 404),
        ("tech", "/halls/450103-01/pairing/hall", 503),
    ] {
        let (found, _, body) = ask(&rig, name, "GET", path, Vec::new()).await;
        assert_eq!(found.as_u16(), status, "{name} {path}: {}", String::from_utf8_lossy(&body));
    }
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // A photo of more than one part goes down, a sheet of more than one part comes up.
    let photo: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    let sheet = vec![7u8; 250_000];
    let (sent, answered) = (photo.clone(), sheet.clone());
    let far = tokio::spawn(async move {
        let Some(ToEdge::Ask { id, ask }) = hear(&mut channel).await else { panic!() };
        assert_eq!(
            (ask.method.as_str(), ask.path.as_str(), ask.query.as_str(), ask.technician.as_str()),
            ("POST", "visit/photos", "a=b", "tech")
        );
        let mut joining = Joining::default();
        let body = loop {
            let Some(ToEdge::AskPart { id: of, part }) = hear(&mut channel).await else { panic!() };
            assert_eq!(of, id);
            if let Some(body) = joining.take(&part).unwrap() {
                break body;
            }
        };
        assert_eq!(&body[..], &sent[..]);
        let answer = Answered { status: 201, content_type: Some("text/html".into()) };
        say(&mut channel, &ToCentre::Answer { id, answer }).await;
        for part in cut(&answered) {
            say(&mut channel, &ToCentre::AnswerPart { id, part }).await;
        }
        channel
    });
    let (status, kind, body) =
        ask(&rig, "tech", "POST", "/halls/450103-01/pairing/visit/photos?a=b", photo).await;
    assert_eq!(status.as_u16(), 201);
    // A hall cannot make this site show a page of its own.
    assert_eq!(kind, "application/octet-stream");
    assert_eq!(body, sheet);
    let too_much = vec![0; 2 * 1024 * 1024 + 1];
    let (status, ..) = ask(&rig, "tech", "POST", "/halls/450103-01/pairing/visit/photos", too_much).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let audited = rig
        .centre
        .store
        .read(|sql| {
            let rows = sql.query(
                "SELECT detail FROM audit WHERE who = 'tech' AND action = 'pairing.asked'",
                params![],
            )?;
            rows.iter().map(|row| row.get::<String>(0)).collect::<Result<Vec<_>, _>>()
        })
        .await
        .unwrap();
    assert_eq!(audited[0], "POST visit/photos");
    drop(far.await.unwrap());
}

#[tokio::test]
async fn a_pass_is_signed_by_the_centre_and_taken_back_at_the_hall() {
    let rig = Rig::new().await;
    technician(&rig).await;
    let new = |hall: &str, hours: u32, technician: Value| {
        json!({"hall": hall, "hours": hours, "technician": technician}).to_string().into_bytes()
    };
    for (name, body, status) in [
        ("boss", new("450103-01", 8, Value::Null), 403),
        ("tech", new("450103-02", 8, Value::Null), 404),
        ("tech", new("450103-01", 73, Value::Null), 422),
        ("tech", new("450103-01", 8, json!("root")), 403),
        ("root", new("450103-01", 8, json!("other")), 422),
    ] {
        let (found, _, answer) = ask(&rig, name, "POST", "/site-passes", body).await;
        assert_eq!(found.as_u16(), status, "{name}: {}", String::from_utf8_lossy(&answer));
    }
    let (status, _, body) =
        ask(&rig, "root", "POST", "/site-passes", new("450103-01", 8, json!("tech"))).await;
    assert_eq!(status, StatusCode::CREATED);
    let issued: Value = serde_json::from_slice(&body).unwrap();
    let presented = Presented::read(issued["pass"].as_str().unwrap()).unwrap();
    assert_eq!(presented.pass.technician, "tech");
    assert_eq!(presented.pass.until - presented.pass.from, 8 * 3_600_000);
    let ca = rig.centre.nodes.ca();
    let (_, ca) = X509Certificate::from_der(ca.der()).unwrap();
    let key = ca.public_key().subject_public_key.data.to_vec();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(&presented.signed, &presented.signature)
        .unwrap();

    let (_, _, list) = ask(&rig, "tech", "GET", "/site-passes?hall=450103-01", Vec::new()).await;
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["items"][0]["issued_by"], "root");
    assert!(list["items"][0].get("pass").is_none());

    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let path = format!("/site-passes/{}", issued["id"].as_str().unwrap());
    assert_eq!(ask(&rig, "boss", "DELETE", &path, Vec::new()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(&rig, "tech", "DELETE", &path, Vec::new()).await.0, StatusCode::NO_CONTENT);
    let told = hear(&mut channel).await;
    let Some(ToEdge::PassesRevoked { passes }) = told else { panic!("{told:?}") };
    assert_eq!(passes[0].id, presented.pass.id);
    // A hall that was away hears it when it is back.
    drop(channel);
    let mut channel = edge.channel(&rig, "b1").await;
    let told = hear(&mut channel).await;
    let Some(ToEdge::PassesRevoked { passes }) = told else { panic!("{told:?}") };
    assert_eq!(passes.len(), 1);
}
