//! Finding cases, and binding official numbers, as a page or a business system meets them.

use control_protocol::{
    Happening as H,
    event::{EndedBy, Grade},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    scene::{Journal, START, Scene},
    site::tests::Browser,
};

/// Case `serial` of the journal's hall, served for `seconds` by 1001 at window 1 and rated so.
fn course(journal: &mut Journal, serial: u32, seconds: i64, grade: u8) -> Vec<control_protocol::StoredEvent> {
    let ticket = format!("A{serial:03}");
    let (business, grade) = ("社保".to_owned(), Grade::new(grade));
    let mut events = vec![
        journal.event(
            0,
            serial,
            H::TicketIssued {
                ticket: ticket.clone(),
                business: business.clone(),
                printed_waiting: None,
                priority: 0,
            },
        ),
        journal.event(1, serial, H::TicketCalled { ticket: ticket.clone(), business, by_number: false }),
        journal.event(1, serial, H::ServiceStarted { ticket: ticket.clone() }),
    ];
    journal.at += seconds * 1000 - 1000;
    events.push(journal.event(
        1,
        serial,
        H::ServiceEnded { ticket: ticket.clone(), ended_by: EndedBy::Evaluate },
    ));
    let closed = H::CaseClosed { ticket, ended_by: EndedBy::Rated, grade, accurate: true };
    events.push(journal.event(1, serial, closed));
    events
}

/// Three cases of one hall and one of another.
async fn four() -> (Scene, Journal, Journal) {
    let scene = Scene::new().await;
    let mut here = Journal::of("450103-01");
    let mut there = Journal::of("450102-01");
    let mut events = vec![here.event(1, 0, H::ClerkSignedIn { clerk: "1001".into() })];
    events.extend(course(&mut here, 1, 30, 5));
    events.extend(course(&mut here, 2, 2400, 1));
    events.extend(course(&mut here, 3, 300, 4));
    scene.take(events).await;
    scene.take(course(&mut there, 1, 600, 2)).await;
    (scene, here, there)
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|row| row["case_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn cases_are_found_by_what_is_known_of_them() {
    let (scene, here, there) = four().await;
    let region = Browser::signed_in(&scene, "region").await;
    let [one, two, three] = [1, 2, 3].map(|serial| here.case(serial).to_string());
    let far = there.case(1).to_string();
    let range = format!("hall=450103-01&from={START}&to={}", START + 86_400_000);
    let unsorted = [
        ("ticket=A002".to_owned(), vec![&two]),
        ("ticket=A001&hall=450103-01".to_owned(), vec![&one]),
        (format!("case_id={three}"), vec![&three]),
        ("clerk=1001".to_owned(), vec![&three, &two, &one]),
        ("grade=bad&area=450103".to_owned(), vec![&two]),
        ("grade=4".to_owned(), vec![&three]),
        ("grade=none".to_owned(), vec![]),
        ("served_from=1800".to_owned(), vec![&two]),
        ("served_to=60".to_owned(), vec![&one]),
        ("served_from=200&served_to=500".to_owned(), vec![&three]),
        ("area=450102".to_owned(), vec![&far]),
        ("sort=opened&area=450103".to_owned(), vec![&one, &two, &three]),
        (format!("sort=-served&{range}"), vec![&two, &three, &one]),
        (format!("sort=served&{range}"), vec![&one, &three, &two]),
    ];
    for (query, expected) in unsorted {
        let list = region.get(&format!("/cases?{query}")).await;
        assert_eq!(ids(&list), expected, "{query}");
    }
    for refused in ["sort=served", "sort=grade"] {
        let status = region.status(&format!("/cases?{refused}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    }
    let other = Browser::signed_in(&scene, "other").await;
    assert_eq!(ids(&other.get("/cases?clerk=1001").await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_sorted_list_goes_on_where_it_was_cut() {
    let (scene, here, _) = four().await;
    let county = Browser::signed_in(&scene, "county").await;
    for sort in ["opened", "-opened", "served", "-served"] {
        let path =
            format!("/cases?limit=1&sort={sort}&hall=450103-01&from={START}&to={}", START + 86_400_000);
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = county.get(&format!("{path}{after}")).await;
            seen.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
            assert!(seen.len() <= 3, "{sort}: {seen:?}");
        }
        let mut expected = [1, 2, 3].map(|serial| here.case(serial).to_string()).to_vec();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "{sort}");
    }
}

#[tokio::test]
async fn an_official_number_is_bound_once_and_never_silently_changed() {
    let (scene, here, _) = four().await;
    let county = Browser::signed_in(&scene, "county").await;
    let path = format!("/cases/{}/official-number", here.case(1));
    let bind = async |number: &str, replace: bool| {
        let body = json!({"official_no": number, "source": "gx", "replace": replace});
        county.json(Method::POST, &path, Some(body)).await
    };
    assert_eq!(bind("45-1", false).await.1["outcome"], "bound");
    assert_eq!(bind("45-1", false).await.1["outcome"], "unchanged");
    let (status, refused) = bind("45-2", false).await;
    assert_eq!(
        (status, &refused["type"]),
        (StatusCode::CONFLICT, &json!("urn:hallwatch:problem:number-taken"))
    );
    assert!(refused["detail"].as_str().unwrap().contains("45-1"));
    assert_eq!(county.get(&format!("/cases/{}", here.case(1))).await["official_no"], "45-1");
    assert_eq!(bind("45-2", true).await.1["outcome"], "replaced");
    assert_eq!(ids(&county.get("/cases?official_no=45-2").await), [here.case(1).to_string()]);
    assert_eq!(ids(&county.get("/cases?official_no=45-1").await), Vec::<&str>::new());
    for wrong in ["", " 1", "1\n2", &"9".repeat(65)] {
        assert_eq!(bind(wrong, false).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    }
    let admin = Browser::signed_in(&scene, "admin").await;
    let audit = admin.get("/audit").await;
    let bound =
        audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == "case.official_number");
    assert_eq!(bound.count(), 2, "what changed nothing is not a change");
    for (name, status) in
        [("other", StatusCode::NOT_FOUND), ("hr", StatusCode::FORBIDDEN), ("tech", StatusCode::FORBIDDEN)]
    {
        let browser = Browser::signed_in(&scene, name).await;
        let body = json!({"official_no": "45-3", "source": "gx"});
        assert_eq!(browser.json(Method::POST, &path, Some(body)).await.0, status, "{name}");
    }
}

#[tokio::test]
async fn a_table_of_numbers_is_bound_and_reported_row_by_row() {
    let (scene, here, there) = four().await;
    let county = Browser::signed_in(&scene, "county").await;
    let items = json!([
        {"case_id": here.case(1).to_string(), "official_no": "45-1"},
        {"hall": "450103-01", "date": "2026-11-22", "ticket": "A002", "official_no": "45-2"},
        {"hall": "450103-01", "date": "2026-11-22", "ticket": "A009", "official_no": "45-9"},
        {"case_id": there.case(1).to_string(), "official_no": "45-4"},
        {"case_id": "nonsense", "official_no": "45-5"},
        {"case_id": here.case(1).to_string(), "official_no": "45-6"},
    ]);
    let send = async |dry_run: bool| {
        let body = json!({"source": "gx", "dry_run": dry_run, "items": items});
        let (status, report) = county.json(Method::POST, "/official-numbers", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{report}");
        report
    };
    let foreseen = send(true).await;
    assert_eq!((&foreseen["bound"], &foreseen["dry_run"]), (&json!(2), &json!(true)), "{foreseen}");
    assert_eq!(ids(&county.get("/cases?official_no=45-1").await), Vec::<&str>::new(), "nothing was changed");
    let report = send(false).await;
    let counts =
        ["rows", "bound", "unchanged", "conflicts", "unknown", "unreadable"].map(|name| &report[name]);
    assert_eq!(counts, [&json!(6), &json!(2), &json!(0), &json!(1), &json!(2), &json!(1)], "{report}");
    let why: Vec<_> =
        report["not_bound"].as_array().unwrap().iter().map(|row| (&row["row"], &row["why"])).collect();
    let expected = [(3, "unknown"), (4, "unknown"), (5, "unreadable"), (6, "conflict")];
    let expected = expected.map(|(row, why)| (json!(row), json!(why)));
    assert_eq!(why, expected.iter().map(|(row, why)| (row, why)).collect::<Vec<_>>());
    assert_eq!(send(false).await["unchanged"], 2, "again is nothing");
    assert_eq!(ids(&county.get("/cases?official_no=45-2").await), [here.case(2).to_string()]);
}
