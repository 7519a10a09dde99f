//! The access matrix: every route of the running centre's OpenAPI × every role × inside and outside the area, each cell
//! compared with the table in `matrix.toml`, which does not look at the code that decides.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, body::Body};
use control_protocol::{Digest, Happening as H, event::*};
use http::{Method, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt;

use super::Role;
use crate::{
    params,
    scene::{Journal, Scene},
    site::assembly,
    store::{Sql, StoreError},
};

/// Read when the test runs, so that a line more needs no build.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/matrix.toml");
/// Where the things are that [`Kind::Place`] asks for, where somebody stands who is outside, and the root.
const INSIDE: &str = "450103";
const OUTSIDE: &str = "450102";
const ROOT: &str = "450000";
/// Told of what lies outside; in a list of somebody outside nothing begins so.
const MARK: &str = "450103";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    values: BTreeMap<String, String>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    what: String,
    kind: Kind,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    hides: bool,
    routes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Open,
    Own,
    List,
    Place,
    Root,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    method: Method,
    /// As the OpenAPI names it.
    route: String,
    /// As it is asked for.
    path: String,
    body: Option<String>,
}

fn line(text: &str, values: &BTreeMap<String, String>) -> Line {
    let (method, rest) = text.split_once(' ').expect("METHOD /path");
    let (address, body) = match rest.split_once(" {") {
        Some((address, body)) => (address, Some(format!("{{{body}"))),
        None => (rest, None),
    };
    let (mut route, mut path, mut rest) = (String::new(), String::new(), address);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a brace that is closed");
        let (name, own) = name.split_once('=').map_or((name, None), |(name, own)| (name, Some(own)));
        // A value that begins with `$` is one that the test makes.
        let own = own.map(|own| values.get(own).map_or(own, String::as_str));
        let value = own.or_else(|| values.get(name).map(String::as_str));
        let value = value.unwrap_or_else(|| panic!("{text}: give `{name}` a value in [values]"));
        route.push_str(&format!("{before}{{{name}}}"));
        path.push_str(&format!("{before}{value}"));
        rest = after;
    }
    route.push_str(rest.split('?').next().unwrap_or_default());
    path.push_str(rest);
    Line { method: method.parse().expect("a method"), route, path, body }
}

/// Somebody of `role` over `scope`, signed in; gives the cookie. Made anew for every request, so that none depends on
/// what another did.
async fn signed_in(scene: &Scene, role: Role, scope: &'static str) -> (String, String) {
    let name = format!("{role}-at-{scope}");
    let token = format!("{name:a>43}");
    let (hash, now, person) = (Digest::of(token.as_bytes()), scene.centre.clock.now(), name.clone());
    scene
        .centre
        .store
        .write("somebody", move |tx| {
            tx.execute(
                "INSERT INTO users (name, password_hash, must_change, disabled, created_at) VALUES ($1, '', 0, 0, $2) \
                 ON CONFLICT (name) DO NOTHING",
                params![person, now],
            )?;
            tx.execute(
                "INSERT INTO grants (user_name, role, scope) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                params![person, role.code(), scope],
            )?;
            tx.execute(
                "INSERT INTO sessions (token_hash, user_name, created_at, seen_at, address) VALUES ($1, $2, $3, $3, 't') \
                 ON CONFLICT (token_hash) DO NOTHING",
                params![hash, person, now],
            )
        })
        .await
        .unwrap();
    (format!("__Host-hallwatch={token}"), name)
}

async fn ask(site: &Router, line: &Line, me: Option<&(String, String)>) -> (StatusCode, String) {
    let mut request = Request::builder().method(line.method.clone()).uri(format!("/api/v1{}", line.path));
    if let Some((cookie, _)) = me {
        request = request.header(header::COOKIE, cookie);
    }
    let request = match &line.body {
        // `$me` is who asks.
        Some(body) => {
            let name = me.map_or("nobody", |(_, name)| name);
            request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.replace("$me", name)))
        }
        None => request.body(Body::empty()),
    };
    let response = site.clone().oneshot(request.unwrap()).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 50_000_000).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// A scene in which everything that the table names is there: a case, a camera, a node, a hold, a pass, a preset, somebody.
async fn scene_with_everything() -> (Scene, String) {
    let scene = Scene::new().await;
    let mut journal = Journal::of("450103-01");
    let camera = CameraEntry {
        camera: "450103-01-W01-C1".parse().unwrap(),
        window: Some("450103-01-W01".parse().unwrap()),
        name: "一号".into(),
        url: "rtsp://a/1".into(),
    };
    let ticket = || "A001".to_owned();
    let events = vec![
        journal.event(0, 0, H::NodeConfigChanged { cameras: vec![camera], positions: vec![] }),
        journal.event(
            0,
            1,
            H::TicketIssued {
                ticket: ticket(), business: "社保".into(), printed_waiting: None, priority: 0
            },
        ),
        journal.event(0, 1, H::CaseOpened { ticket: ticket(), business: "社保".into() }),
        journal.event(1, 1, H::TicketCalled { ticket: ticket(), business: "社保".into(), by_number: false }),
    ];
    scene.take(events).await;
    scene
        .centre
        .store
        .write("everything", |tx| {
            let made = [
                "INSERT INTO nodes (id, hall, version, enrolled_at) VALUES ('hall-450103-01', '450103-01', '1', 1)",
                "INSERT INTO certificates (serial, node, hall, issued_at, expires_at) \
                 VALUES ('4a', 'hall-450103-01', '450103-01', 1, 9795309200000)",
                "INSERT INTO recording_holds (id, hall, kind, reason, cameras, from_at, to_at, placed_by, placed_at, command, state) \
                 VALUES ('hold-1', '450103-01', 'person', 'x', '[\"450103-01-W01-C1\"]', 1, 2, 'county', 1, 'c', 'held')",
                "INSERT INTO site_passes (id, hall, technician, issued_by, from_at, until_at) \
                 VALUES ('pass-1', '450103-01', 'tech', 'admin', 1795309200000, 1795319200000)",
                "INSERT INTO wall_presets (id, owner, scope, name, wall, updated_at) \
                 VALUES ('wp-1', 'county', '450103', 'shared', '{\"layout\":\"4\",\"cameras\":[]}', 1)",
                "INSERT INTO shifts (id, scope, version, body, changed_by, changed_at, removed) \
                 VALUES ('sh-1', '450103', 1, '{\"name\":\"x\",\"periods\":[]}', 'hr', 1, 0)",
                "INSERT INTO rosters (hall, employee, from_date, pattern, changed_by, changed_at) \
                 VALUES ('450103-01', '', '2026-01-01', '{\"kind\":\"exempt\"}', 'hr', 1)",
                "INSERT INTO roster_days (hall, employee, date, changed_by, changed_at) \
                 VALUES ('450103-01', '1001', '2026-11-20', 'hr', 1)",
                "INSERT INTO attendance_requests (id, hall, employee, wanted, from_date, to_date, reason, asked_by, asked_at, state) \
                 VALUES ('ar-1', '450103-01', '1001', '{\"kind\":\"punch\",\"date\":\"2026-11-19\",\"mark\":0}', \
                 '2026-11-19', '2026-11-19', 'x', 'somebody', 1, 'asked')",
                "INSERT INTO calendar_keys (fingerprint, note, added_by, added_at) VALUES ('bb', 'x', 'admin', 1)",
                "INSERT INTO webhooks (id, name, url, kinds, scope, enabled, turn, after_n, created_by, created_at, delivered, \
                 failures, next_at) VALUES ('wh-1', 'x', 'http://a/', '[]', '450103', 0, 1, 0, 'admin', 1, 0, 0, 0)",
                "INSERT INTO areas (id, parent, name, level, path) \
                 VALUES ('450199', '450103', 'x', 'county', '/450000/450100/450103/450199/')",
                "INSERT INTO users (name, password_hash, must_change, disabled, created_at) VALUES ('somebody', '', 0, 0, 1)",
                "INSERT INTO grants (user_name, role, scope) VALUES ('somebody', 'hr', '450103')",
                "INSERT INTO sessions (token_hash, user_name, created_at, seen_at, address) \
                 VALUES (x'00', 'somebody', 1795309200000, 1795309200000, 't')",
            ];
            for statement in made {
                tx.execute(statement, params![])?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    (scene, journal.case(1).to_string())
}

/// What is wrong with a cell, if anything.
fn judge(group: &Group, role: Role, inside: bool, (status, body): &(StatusCode, String)) -> Option<String> {
    use StatusCode as S;
    let theirs = group.roles.contains(&role);
    let taken = ![S::UNAUTHORIZED, S::FORBIDDEN, S::NOT_FOUND].contains(status);
    let (right, wanted) = match (group.kind, theirs, inside) {
        (Kind::Open, ..) => return None,
        (Kind::Own, ..) => (*status != S::UNAUTHORIZED && *status != S::NOT_FOUND, "an answer"),
        (Kind::List, true, true) => (*status == S::OK, "200"),
        (Kind::List, true, false) => {
            (*status == S::OK && !body.contains(MARK), "200 with nothing of what lies inside")
        }
        (Kind::Place | Kind::Root, true, true) => (taken, "taken"),
        (Kind::Place, true, false) => (*status == S::NOT_FOUND, "404"),
        (Kind::Place, false, true) if group.hides => {
            (*status == S::FORBIDDEN || *status == S::NOT_FOUND, "403 or 404")
        }
        (Kind::Place, false, false) => (*status == S::FORBIDDEN || *status == S::NOT_FOUND, "403 or 404"),
        (Kind::List | Kind::Place | Kind::Root, ..) => (*status == S::FORBIDDEN, "403"),
    };
    (!right).then(|| format!("{status}, not {wanted}: {}", body.chars().take(300).collect::<String>()))
}

#[tokio::test]
async fn every_route_for_every_role_is_as_the_table_says() {
    let mut table: Table = toml::from_str(&std::fs::read_to_string(TABLE).unwrap()).expect("matrix.toml");
    let (scene, case) = scene_with_everything().await;
    table.values.insert("case_id".into(), case);
    table.values.insert("$session".into(), super::session::id_of(&[0]));
    let site = assembly::router(scene.centre.clone());
    let (status, description) = ask(&site, &line("GET /openapi.json", &table.values), None).await;
    assert_eq!(status, StatusCode::OK);
    let description: Value = serde_json::from_str(&description).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            if ["get", "put", "post", "delete", "patch", "head"].contains(&method.as_str()) {
                let path = path.strip_prefix("/api/v1").unwrap_or(path);
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let mut known = BTreeSet::new();
    let mut wrong = Vec::new();
    let (mut cells, mut closed) = (0, 0);
    for group in &table.group {
        for text in &group.routes {
            let line = line(text, &table.values);
            let name = format!("{} {}", line.method, line.route);
            if !known.insert(name.clone()) {
                wrong.push(format!("{name}: twice in the table"));
            }
            let (status, _) = ask(&site, &line, None).await;
            if group.kind == Kind::Open {
                continue;
            }
            closed += 1;
            if status != StatusCode::UNAUTHORIZED {
                wrong.push(format!("{name}: {status} without a session, not 401"));
            }
            for role in Role::ALL {
                for inside in [true, false] {
                    let scope = match (group.kind, inside) {
                        (Kind::Root, true) => ROOT,
                        (Kind::Root, false) | (_, true) => INSIDE,
                        (_, false) => OUTSIDE,
                    };
                    cells += 1;
                    // What is taken may change something: it is done to a copy.
                    let changes = line.method != Method::GET
                        && (group.kind == Kind::Own || inside && group.roles.contains(&role));
                    let answer = if changes {
                        let copy = scene.copy().await;
                        let me = signed_in(&copy, role, scope).await;
                        ask(&assembly::router(copy.centre.clone()), &line, Some(&me)).await
                    } else {
                        let me = signed_in(&scene, role, scope).await;
                        ask(&site, &line, Some(&me)).await
                    };
                    if let Some(why) = judge(group, role, inside, &answer) {
                        let place = if inside { "inside" } else { "outside" };
                        wrong.push(format!("{} · {name} as {role} {place}: {why}", group.what));
                    }
                }
            }
        }
    }
    for route in described.difference(&known) {
        wrong.push(format!("{route} is not in control-center/src/access/matrix.toml: give it a line there"));
    }
    for route in known.difference(&described) {
        wrong.push(format!("{route} is in the table and not in the OpenAPI: remove its line"));
    }
    println!("{} routes, {cells} cells, {closed} of them closed without a session", known.len());
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_line_names_its_route_and_what_is_asked() {
    let values = BTreeMap::from([("hall".to_owned(), "h1".to_owned())]);
    let read = line(r#"PUT /halls/{hall}/x/{id=7}?a=1 {"b":{"c":2}}"#, &values);
    assert_eq!((read.route.as_str(), read.path.as_str()), ("/halls/{hall}/x/{id}", "/halls/h1/x/7?a=1"));
    assert_eq!(read.body.as_deref(), Some(r#"{"b":{"c":2}}"#));
}
