//! Moving cameras: who may, what reaches the hall, what comes back, and the record of it.

use control_protocol::{
    channel::{ToCentre, ToEdge},
    pairing::{About, Answered, Joining, cut},
};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    nodes::rig::{Edge, Rig, hall, hear, say},
    params,
};

async fn ask(rig: &Rig, name: &'static str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/cameras/{path}"))
        .header("cookie", rig.cookie(name).await)
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.map(|body| body.to_string()).unwrap_or_default()))
        .unwrap();
    let response = crate::site::assembly::router(rig.centre.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_movement_reaches_the_hall_at_once_or_not_at_all() {
    let rig = Rig::new().await;
    const MOVE: &str = "450103-01-W01-C1/move";
    let turn = || Some(json!({"pan": -50, "zoom": 10}));
    assert_eq!(ask(&rig, "boss", "POST", "450103-01-W99-C1/move", turn()).await.0, 404);
    assert_eq!(ask(&rig, "hm", "POST", "450103-02-W01-C1/move", turn()).await.0, 404);
    assert_eq!(ask(&rig, "boss", "POST", MOVE, Some(json!({"pan": 101}))).await.0, 422);
    assert_eq!(ask(&rig, "boss", "POST", MOVE, turn()).await.0, 503);
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let turned = json!({"pan": -50, "tilt": 0, "zoom": 10, "most_ms": 2000});
    let presets = json!({"items": [{"token": "1", "name": "门口"}]});
    for (method, path, sent, asked, answer, status) in [
        ("POST", MOVE, turn(), ("turn", turned), (200, json!({})), 204),
        ("DELETE", MOVE, None, ("stop", json!({})), (200, json!({})), 204),
        ("GET", "450103-01-W01-C1/presets", None, ("presets", json!({})), (200, presets.clone()), 200),
        (
            "POST",
            "450103-01-W01-C1/presets/1",
            None,
            ("go_to", json!({"preset": "1"})),
            (200, json!({})),
            204,
        ),
        ("DELETE", MOVE, None, ("stop", json!({})), (502, json!({"detail": "no PTZ"})), 502),
        ("DELETE", MOVE, None, ("stop", json!({})), (404, json!({})), 404),
    ] {
        let serve = async {
            let (id, ask) = loop {
                if let Some(ToEdge::Ask { id, ask }) = hear(&mut channel).await {
                    break (id, ask);
                }
            };
            assert_eq!((ask.about, ask.path), (About::Move, format!("450103-01-W01-C1/{}", asked.0)));
            let mut joining = Joining::default();
            let body = loop {
                if let Some(ToEdge::AskPart { part, .. }) = hear(&mut channel).await
                    && let Some(body) = joining.take(&part).unwrap()
                {
                    break body;
                }
            };
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), asked.1);
            let answered = Answered { status: answer.0, content_type: Some("application/json".into()) };
            say(&mut channel, &ToCentre::Answer { id, answer: answered }).await;
            for part in cut(answer.1.to_string().as_bytes()) {
                say(&mut channel, &ToCentre::AnswerPart { id, part }).await;
            }
        };
        let (found, ()) = tokio::join!(ask(&rig, "hm", method, path, sent), serve);
        assert_eq!(found.0, status, "{method} {path}: {}", found.1);
        match status {
            200 => assert_eq!(found.1, presets),
            502 => assert_eq!(found.1["detail"], "no PTZ"),
            _ => {}
        }
    }
    let audited = rig
        .centre
        .store
        .read(|sql| {
            let rows = sql
                .query("SELECT who, detail FROM audit WHERE action = 'camera.moved' ORDER BY n", params![])?;
            rows.iter()
                .map(|row| Ok((row.get(0)?, row.get(1)?)))
                .collect::<Result<Vec<(String, String)>, crate::store::StoreError>>()
        })
        .await
        .unwrap();
    let said: Vec<(&str, &str)> = audited.iter().map(|(who, did)| (who.as_str(), did.as_str())).collect();
    let turned = "pan -50 tilt 0 zoom 10";
    assert_eq!(said, [("boss", turned), ("hm", turned), ("hm", "to preset 1")]);
}
