//! Seats and faults by events, and a kept still through the hall's edge.

use control_protocol::{
    Happening,
    channel::{ToCentre, ToEdge},
    pairing::{About, Answered, cut},
};

use tower::ServiceExt;

use crate::{
    nodes::rig::{Edge, Rig, hall, hear, say},
    params,
    queue::hall_window_rows,
    scene::{Journal, Scene},
};

fn seat(seat: &str, why: Option<&str>) -> Happening {
    Happening::SeatChanged { seat: seat.into(), why: why.map(Into::into), still: Some("1-c-x".into()) }
}

fn fault(fault: &str, ended: bool) -> Happening {
    Happening::PictureFault { fault: fault.into(), ended, since: None, still: None }
}

#[tokio::test]
async fn a_window_shows_its_seat_and_the_faults_that_stand() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let camera = Some("450103-01-W01-C1");
    let mut at = async |happening: Happening| {
        let event = journal.by_device(1, 0, camera, happening);
        scene.take(vec![event]).await;
        let hall = "450103-01".parse().unwrap();
        let mut rows =
            scene.centre.store.read(move |sql| hall_window_rows(sql, &hall)).await.unwrap().into_iter();
        let row = rows.next().unwrap();
        assert!(rows.all(|row| row.seat.is_none() && row.picture_faults.is_empty()));
        let faults: Vec<String> = row.picture_faults.iter().map(|fault| fault.fault.clone()).collect();
        (row.seat.map(|seat| (seat.seat, seat.why)), faults)
    };
    assert_eq!(at(seat("empty", None)).await.0, Some(("empty".into(), None)));
    assert_eq!(at(fault("black", false)).await.1, ["black"]);
    assert_eq!(at(fault("frozen", false)).await.1, ["black", "frozen"]);
    let dark = at(seat("unknown", Some("black"))).await;
    assert_eq!(dark.0, Some(("unknown".into(), Some("black".into()))));
    assert_eq!(at(fault("black", true)).await.1, ["frozen"]);
    // A word of a newer edge is not taken for empty.
    assert_eq!(at(seat("vacated", None)).await.0, Some(("unknown".into(), None)));
    assert_eq!(at(seat("occupied", None)).await.0, Some(("occupied".into(), None)));
    let gone = at(Happening::NodeConfigChanged { cameras: Vec::new(), positions: Vec::new() }).await;
    assert_eq!(gone, (None, Vec::new()));
}

#[tokio::test]
async fn an_event_that_comes_late_changes_nothing_newer() {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let camera = Some("450103-01-W01-C1");
    let now = journal.at;
    let newer = journal.by_device(1, 0, camera, seat("occupied", None));
    journal.at = now - 60_000;
    let older = journal.by_device(1, 0, camera, seat("empty", None));
    scene.take(vec![newer, older]).await;
    let hall = "450103-01".parse().unwrap();
    let rows = scene.centre.store.read(move |sql| hall_window_rows(sql, &hall)).await.unwrap();
    assert_eq!(rows[0].seat.as_ref().unwrap().seat, "occupied");
}

#[tokio::test]
async fn a_kept_still_comes_from_the_hall_for_whoever_may_watch() {
    let rig = Rig::new().await;
    let get = async |name: &'static str, path: &str| {
        let request = http::Request::builder()
            .uri(format!("/api/v1/cameras/{path}"))
            .header("cookie", rig.cookie(name).await)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = crate::site::assembly::router(rig.centre.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, body.to_vec())
    };
    const STILL: &str = "450103-01-W01-C1/stills/1795000000000-450103-01-W01-C1-black";
    assert_eq!(get("boss", "450103-01-W99-C1/stills/x").await.0, 404);
    assert_eq!(get("boss", "450103-01-W01-C1/stills/..%2Fsecret").await.0, 404);
    assert_eq!(get("boss", STILL).await.0, 503);
    let edge = Edge::of(&rig, hall(1)).await;
    let mut channel = edge.channel(&rig, "b1").await;
    while rig.centre.nodes.registry().of_hall(&hall(1)).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for (status, wanted) in [(200, 200), (404, 404)] {
        let serve = async {
            let (id, ask) = loop {
                if let Some(ToEdge::Ask { id, ask }) = hear(&mut channel).await {
                    break (id, ask);
                }
            };
            assert_eq!(ask.about, About::Still);
            assert_eq!(ask.path, STILL.replacen("/stills", "", 1));
            let answer = Answered { status, content_type: (status == 200).then(|| "image/jpeg".into()) };
            say(&mut channel, &ToCentre::Answer { id, answer }).await;
            for part in cut(b"\xFF\xD8jpeg") {
                say(&mut channel, &ToCentre::AnswerPart { id, part }).await;
            }
        };
        let (found, ()) = tokio::join!(get("boss", STILL), serve);
        assert_eq!(found.0, wanted);
        assert!(status != 200 || found.1 == b"\xFF\xD8jpeg");
    }
    let audited = rig
        .centre
        .store
        .read(|sql| sql.query("SELECT n FROM audit WHERE action = 'picture.still'", params![]))
        .await
        .unwrap();
    assert_eq!(audited.len(), 3, "each look is on record, also in vain");
}
