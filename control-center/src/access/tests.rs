use proptest::prelude::*;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::{
    areas::import,
    scene::{PASSWORD, Scene},
    site::tests::Browser,
    store::Filter,
};

fn person(grants: Vec<(Role, String)>) -> Person {
    let grants: Vec<Grant> =
        grants.into_iter().map(|(role, path)| Grant { role, scope: path.clone(), path }).collect();
    Person {
        name: "x".into(),
        grants: grants.into(),
        must_change: false,
        must_have_factor: false,
        address: "t".into(),
        session: [0; 32],
    }
}

/// A random tree: each place hangs below an earlier one.
fn tree() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 1..14).prop_map(|parents| {
        let mut paths: Vec<String> = vec!["/450000/".into()];
        for (n, parent) in parents.iter().enumerate() {
            let above = paths[parent.index(paths.len())].clone();
            // 4501 and 45010 must not be taken for each other.
            paths.push(format!("{above}{}/", 450_100 + n));
        }
        paths
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_function_and_the_predicate_agree(
        paths in tree(),
        given in proptest::collection::vec((0usize..5, any::<prop::sample::Index>()), 0..4),
        action in 0usize..Action::ALL.len(),
    ) {
        let action = Action::ALL[action];
        let grants = given.iter().map(|(role, at)| (Role::ALL[*role], paths[at.index(paths.len())].clone())).collect();
        let person = person(grants);
        let scope = Scope::of(&person, action);
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE places (path TEXT)").unwrap();
        let mut sql = crate::store::sqlite::Statements(&connection);
        for path in &paths {
            sql.execute("INSERT INTO places (path) VALUES ($1)", params![path]).unwrap();
        }
        let mut filter = Filter::new();
        filter.within("path", &scope);
        let (statement, arguments) = filter.statement("SELECT path FROM places", "ORDER BY path", 1000);
        let mut found: Vec<String> =
            sql.query(&statement, &arguments).unwrap().iter().map(|row| row.get(0).unwrap()).collect();
        let mut expected: Vec<String> = paths
            .iter()
            .filter(|path| may(&person, action, &Place::at((*path).clone())).is_ok())
            .cloned()
            .collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        for path in &paths {
            prop_assert_eq!(scope.holds(path), may(&person, action, &Place::at(path.clone())).is_ok());
        }
    }
}

#[test]
fn outside_is_told_apart_from_not_allowed() {
    let hr = person(vec![(Role::Hr, "/1/2/".into())]);
    assert_eq!(may(&hr, Action::SeePunches, &Place::at("/1/2/3/")), Ok(()));
    assert_eq!(may(&hr, Action::WatchLive, &Place::at("/1/2/3/")), Err(Denied::Role));
    assert_eq!(may(&hr, Action::SeePunches, &Place::at("/1/4/")), Err(Denied::Outside));
    assert_eq!(may(&hr, Action::SeePunches, &Place::at("/1/")), Err(Denied::Outside));
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn people_are_sorted_filtered_paged_and_exported_by_the_centre() {
    let scene = Scene::new().await;
    let file = format!(
        "[[user]]\nname = \"sub\"\npassword = \"{PASSWORD}\"\nrole = \"administrator\"\nscope = \"450103\"\nmust_change = false\n"
    );
    let file = toml::from_str(&file).unwrap();
    import::take(&scene.centre.store, file, scene.centre.clock.now()).await.unwrap();
    let admin = Browser::signed_in(&scene, "admin").await;
    let first = admin.get("/users?sort=-name&limit=3").await;
    assert_eq!(names(&first), ["tech", "sub", "region"]);
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("/users?sort=-name&limit=3&after={next}")).await;
    assert_eq!(names(&second), ["other", "manager", "hr"]);
    // Whoever signed in last comes first; of the others the name decides.
    scene.pass(1000);
    let sub = Browser::signed_in(&scene, "sub").await;
    assert_eq!(names(&admin.get("/users?sort=-signed_in&limit=2").await), ["sub", "admin"]);
    // One whose every role lies within one's own area, and nobody else.
    assert_eq!(names(&sub.get("/users").await), ["county", "manager", "sub"]);
    assert_eq!(names(&sub.get("/users?role=supervisor").await), ["county"]);
    let (status, problem) = admin.json(Method::GET, "/users?sort=password_hash", None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("signed_in"), "{problem}");
    let csv = String::from_utf8(sub.file("/users.csv?sort=-name&lang=en").await).unwrap();
    let rows: Vec<&str> = csv.lines().skip_while(|line| !line.starts_with("name,")).skip(1).collect();
    let of: Vec<&str> = rows.iter().map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(of, ["sub", "manager", "county"], "{csv}");
    let log = admin.get("/audit?action=users.exported").await;
    assert_eq!((&log["items"][0]["who"], &log["items"][0]["object"]), (&json!("sub"), &json!("users")));
    // Sessions are sorted and narrowed down in memory, by the same parameters.
    let sessions = admin.get("/sessions?everybody=true&sort=-user&q=s").await;
    assert_eq!(sessions["items"][0]["user"], "sub", "{sessions}");
    let log = String::from_utf8(admin.file("/audit/export.csv?sort=n&lang=en").await).unwrap();
    assert!(log.lines().any(|line| line.starts_with("n,at,who,action")), "{log}");
}

#[tokio::test]
async fn wrong_tries_from_a_hall_keep_nobody_out_of_the_browser_they_always_use() {
    let scene = Scene::new().await;
    let county = Browser::marked(&scene, "county").await;
    let stranger = Browser::of(&scene);
    let wrong = json!({"name": "county", "password": "not the phrase at all"});
    while stranger.json(Method::POST, "/session", Some(wrong.clone())).await.0
        != StatusCode::TOO_MANY_REQUESTS
    {}
    let right = json!({"name": "county", "password": PASSWORD});
    assert_eq!(
        stranger.json(Method::POST, "/session", Some(right.clone())).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(county.json(Method::POST, "/session", Some(right)).await.0, StatusCode::OK);
    // The mark lets nobody in, and is nobody else's.
    assert_eq!(county.json(Method::GET, "/session", None).await.0, StatusCode::UNAUTHORIZED);
    for _ in 0..5 {
        let _ = county.json(Method::POST, "/session", Some(wrong.clone())).await;
    }
    assert_eq!(county.json(Method::POST, "/session", Some(wrong)).await.0, StatusCode::TOO_MANY_REQUESTS);
}
