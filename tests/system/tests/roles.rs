//! Nobody sees what is not theirs: each role, at its place in the tree, asks for everything (design, section 8).

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::{Api, Method, StatusCode},
    control::Control,
    process::until,
    wall::{Said, Wall},
};
use serde_json::{Value, json};
use system_tests::stage::{Stage, footage};

const COUNTY: &str = "450103";
const MINE: &str = "450103-01";
const NEIGHBOUR: &str = "450103-02";
const FOREIGN: &str = "450203-01";

/// Lists, and what must be allowed to see them.
const LISTS: [(&str, Sees); 12] = [
    ("areas", Sees::Tree),
    ("halls", Sees::Tree),
    ("cameras", Sees::Cameras),
    ("positions", Sees::Cameras),
    ("cases", Sees::Service),
    ("events", Sees::Service),
    ("tickets", Sees::Service),
    ("ratings", Sees::Service),
    ("punches", Sees::Punches),
    ("staff", Sees::Punches),
    ("nodes", Sees::Nodes),
    ("users", Sees::People),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    Tree,
    Cameras,
    Service,
    Punches,
    Nodes,
    People,
}

fn sees(role: &str) -> &'static [Sees] {
    use Sees::{Cameras, Nodes, People, Punches, Service, Tree};
    match role {
        "administrator" => &[Tree, Cameras, Service, Punches, Nodes, People],
        "supervisor" | "hall_manager" => &[Tree, Cameras, Service, Punches],
        "hr" => &[Tree, Punches],
        "technician" => &[Tree, Cameras, Nodes],
        _ => &[],
    }
}

/// A person: role, where, the halls that are theirs, their session.
struct Someone {
    role: &'static str,
    scope: &'static str,
    halls: BTreeSet<&'static str>,
    api: Api,
}

impl Someone {
    fn new(role: &'static str, scope: &'static str, halls: &[&'static str], api: Api) -> Self {
        Self { role, scope, halls: halls.iter().copied().collect(), api }
    }

    fn sees(&self, what: Sees) -> bool {
        sees(self.role).contains(&what)
    }

    /// What `path` is answered; a still that did not come in time on a busy machine says nothing of rights, and is asked
    /// for again.
    async fn asks(&self, path: &str) -> Result<StatusCode> {
        until(path, Duration::from_secs(90), async || {
            let got = self.api.status(Method::GET, path, None).await?;
            Ok((got != StatusCode::GATEWAY_TIMEOUT).then_some(got))
        })
        .await
    }

    async fn expects(&self, path: &str, wanted: StatusCode) -> Result<()> {
        let got = self.asks(path).await?;
        ensure!(got == wanted, "{} of {}: GET {path} is answered {got}, not {wanted}", self.role, self.scope);
        Ok(())
    }
}

#[tokio::test]
async fn nobody_sees_what_is_not_theirs() -> Result<()> {
    let mut plan = RegionPlan::of(4, 1, 0, footage());
    plan.day = false;
    plan.halls.retain(|hall| [MINE, NEIGHBOUR, FOREIGN].contains(&hall.id.as_str()));
    let stage = Stage::start(plan).await?;
    let region = &stage.region;
    let admin = region.sign_in("administrator").await?;
    for hall in &region.halls {
        let control = Control(hall.sim.control);
        control.act(json!({"kind": "ticket", "number": "A301", "business": "社保", "waiting": 0})).await?;
        control.act(json!({"kind": "press", "window": 1, "digits": "", "key": "call"})).await?;
        control.act(json!({"kind": "rate", "window": 1, "raw": 4})).await?;
        let clerk = hall.plan.windows.first().context("no window")?.clerk.0.clone();
        control.act(json!({"kind": "punch", "employee": clerk, "state": 0})).await?;
    }
    let all = [MINE, NEIGHBOUR, FOREIGN];
    // Whatever is asked for below is there in each of the three halls.
    for list in ["cases", "events", "tickets", "ratings", "punches"] {
        until(list, Duration::from_secs(20), async || {
            let items = admin.all(&format!("/api/v1/{list}"), "after").await?;
            Ok(all.iter().all(|hall| items.iter().any(|item| item["hall"] == **hall)).then_some(()))
        })
        .await?;
    }

    let county = &[MINE, NEIGHBOUR][..];
    let person = async |name: &str| region.sign_in_as(|_, n| n == name).await;
    let people = [
        Someone::new("administrator", "450000", &all, admin.clone()),
        Someone::new("supervisor", "450000", &all, person("region").await?),
        Someone::new("supervisor", "450100", county, person("city").await?),
        Someone::new("supervisor", COUNTY, county, person("county").await?),
        Someone::new("hall_manager", MINE, &[MINE], person("hall").await?),
        Someone::new("hr", "450000", &all, person("hr").await?),
        Someone::new("technician", "450000", &all, person("tech").await?),
        Someone::new("hr", COUNTY, county, joins(&admin, &region.centre.api()?, "hr", COUNTY).await?),
        Someone::new(
            "technician",
            COUNTY,
            county,
            joins(&admin, &region.centre.api()?, "technician", COUNTY).await?,
        ),
        Someone::new(
            "administrator",
            COUNTY,
            county,
            joins(&admin, &region.centre.api()?, "administrator", COUNTY).await?,
        ),
        Someone::new(
            "supervisor",
            MINE,
            &[MINE],
            joins(&admin, &region.centre.api()?, "supervisor", MINE).await?,
        ),
    ];
    let cases = admin.all("/api/v1/cases", "after").await?;
    for someone in &people {
        lists(someone).await?;
        single_things(someone, &all, &cases).await?;
        wall(someone, &all).await?;
        println!(
            "{:<14} of {:<9}: sees {:?} of {:?}",
            someone.role,
            someone.scope,
            sees(someone.role),
            someone.halls
        );
    }
    changes(&people).await?;
    nobody(&region.centre.api()?).await?;
    stage.end().await
}

/// A new person with this role; gives their session after the one-time password was changed.
async fn joins(admin: &Api, nobody: &Api, role: &str, scope: &str) -> Result<Api> {
    let name = format!("{role}-{scope}").replace('_', "-");
    let account = json!({"name": name, "grants": [{"role": role, "scope": scope}]});
    let password =
        admin.post("/api/v1/users", account).await?["password"].as_str().context("no password")?.to_owned();
    let first = nobody.sign_in(&name, &password).await?;
    let before = first.status(Method::GET, "/api/v1/halls", None).await?;
    ensure!(before == StatusCode::FORBIDDEN, "a one-time password opens everything: {before}");
    let new = "a-long-Password-of-27-signs";
    let change = json!({"old": password, "new": new});
    let changed = first.status(Method::PUT, "/api/v1/session/password", Some(change)).await?;
    ensure!(changed.is_success(), "changing the password is answered {changed}");
    nobody.sign_in(&name, new).await
}

async fn lists(someone: &Someone) -> Result<()> {
    for (list, what) in LISTS {
        let path = format!("/api/v1/{list}");
        if !someone.sees(what) {
            someone.expects(&path, StatusCode::FORBIDDEN).await?;
            continue;
        }
        let items = someone.api.get(&path).await?["items"].as_array().cloned().context("no items")?;
        match list {
            "areas" => in_their_branch(someone, &items)?,
            "users" => {
                let everybody = someone.scope == "450000";
                let theirs = |grant: &Value| {
                    grant["scope"].as_str().is_some_and(|scope| scope.starts_with(someone.scope))
                };
                let all = items
                    .iter()
                    .all(|user| user["grants"].as_array().is_some_and(|grants| grants.iter().any(theirs)));
                ensure!(
                    !items.is_empty() && (everybody || all),
                    "the administrator of {} sees {items:?}",
                    someone.scope
                );
            }
            _ => {
                let hall = |item: &Value| {
                    item[if list == "halls" { "id" } else { "hall" }].as_str().unwrap_or_default().to_owned()
                };
                let halls: BTreeSet<String> = items.iter().map(hall).collect();
                let wanted: BTreeSet<String> = someone.halls.iter().map(|hall| (*hall).to_owned()).collect();
                ensure!(halls == wanted, "{} of {}: {list} are of {halls:?}", someone.role, someone.scope);
                // Asking for what is not theirs by name gives no more.
                if list != "halls" && !someone.halls.contains(FOREIGN) {
                    let foreign = someone.api.get(&format!("{path}?hall={FOREIGN}")).await?;
                    ensure!(
                        foreign["items"].as_array().is_some_and(Vec::is_empty),
                        "{list} of a foreign hall: {foreign}"
                    );
                }
            }
        }
    }
    let coverage = if someone.sees(Sees::Service) { StatusCode::OK } else { StatusCode::FORBIDDEN };
    someone.expects("/api/v1/coverage", coverage).await?;
    let audit = someone.role == "administrator" && someone.scope == "450000";
    someone.expects("/api/v1/audit", if audit { StatusCode::OK } else { StatusCode::FORBIDDEN }).await
}

/// The areas are the person's own, those below, and the way up from it.
fn in_their_branch(someone: &Someone, items: &[Value]) -> Result<()> {
    let codes: BTreeSet<&str> = items.iter().filter_map(|area| area["id"].as_str()).collect();
    let foreign = ["450200", "450203"];
    let other = foreign.iter().filter(|code| codes.contains(*code)).count();
    let wanted = if someone.halls.contains(FOREIGN) { 2 } else { 0 };
    ensure!(other == wanted, "{} of {}: areas {codes:?}", someone.role, someone.scope);
    Ok(())
}

async fn single_things(someone: &Someone, halls: &[&str], cases: &[Value]) -> Result<()> {
    for hall in halls {
        let theirs = someone.halls.contains(hall);
        let expected = |what: Sees| match (theirs, someone.sees(what)) {
            (false, _) => StatusCode::NOT_FOUND,
            (true, false) => StatusCode::FORBIDDEN,
            (true, true) => StatusCode::OK,
        };
        // Who may see nothing of a kind anywhere can be told so before it is said where.
        let refused = |got: StatusCode| got == StatusCode::FORBIDDEN || got == StatusCode::NOT_FOUND;
        let case = cases.iter().find(|case| case["hall"] == **hall).context("no case")?;
        let case = case["case_id"].as_str().context("no case ID")?;
        let paths = [
            (format!("/api/v1/halls/{hall}/windows"), expected(Sees::Service)),
            (format!("/api/v1/cases/{case}"), expected(Sees::Service)),
            (format!("/api/v1/cameras/{hall}-W01-C1/still.jpg"), expected(Sees::Cameras)),
        ];
        for (path, wanted) in paths {
            let got = someone.asks(&path).await?;
            let right = got == wanted || (wanted != StatusCode::OK && refused(got));
            ensure!(
                right,
                "{} of {}: GET {path} is answered {got}, not {wanted}",
                someone.role,
                someone.scope
            );
            ensure!(
                theirs || got == StatusCode::NOT_FOUND || !someone.sees(Sees::Service),
                "{path} tells that it is there: {got}"
            );
        }
    }
    Ok(())
}

/// The wall shows one's own cameras and says `forbidden` of others.
async fn wall(someone: &Someone, halls: &[&str]) -> Result<()> {
    let cameras: Vec<String> = halls.iter().map(|hall| format!("{hall}-W01-C1")).collect();
    let mut wall = Wall::open(&someone.api).await?;
    wall.watch(&cameras.iter().map(String::as_str).collect::<Vec<_>>(), "key").await?;
    let rows = wall
        .find(Duration::from_secs(10), |said| match said {
            Said::Text(text) => text["streams"].as_array().filter(|rows| rows.len() == halls.len()).cloned(),
            Said::Frame(_) => None,
        })
        .await?;
    for (row, hall) in rows.iter().zip(halls) {
        let allowed = someone.halls.contains(hall) && someone.sees(Sees::Cameras);
        ensure!(
            (row["state"] == "forbidden") != allowed,
            "{} of {}: the wall says {row} of {hall}",
            someone.role,
            someone.scope
        );
        ensure!(
            allowed || row["stream"].is_null() || row["stream"] == 0,
            "a forbidden tile has a stream: {row}"
        );
    }
    Ok(())
}

/// Nobody changes what is not theirs, nor gives rights that they do not have.
async fn changes(people: &[Someone]) -> Result<()> {
    let mut asked = 0;
    for someone in
        people.iter().filter(|someone| !(someone.role == "administrator" && someone.scope == "450000"))
    {
        let higher = json!({"name": "higher", "grants": [{"role": "administrator", "scope": "450000"}]});
        let mut orders = vec![
            (Method::POST, "/api/v1/users".to_owned(), higher),
            (Method::DELETE, format!("/api/v1/halls/{FOREIGN}"), json!({})),
        ];
        if !someone.halls.contains(FOREIGN) {
            orders.push((Method::POST, format!("/api/v1/halls/{FOREIGN}/pairing-codes"), json!({})));
        }
        // Devices are paired by technicians and administrators of the hall; the hall is asked nothing on behalf of others.
        let pairs = ["administrator", "technician"].contains(&someone.role);
        for hall in [MINE, NEIGHBOUR, FOREIGN] {
            if !(someone.sees(Sees::Cameras) && someone.halls.contains(hall)) {
                let still = format!("/api/v1/cameras/{hall}-W01-C1/stills/1-{hall}-W01-C1-black");
                orders.push((Method::GET, still, Value::Null));
                let turn = json!({"pan": 1});
                orders.push((Method::POST, format!("/api/v1/cameras/{hall}-W01-C1/move"), turn));
            }
            if pairs && someone.halls.contains(hall) {
                continue;
            }
            orders.push((Method::GET, format!("/api/v1/halls/{hall}/pairing/hall"), Value::Null));
            orders.push((
                Method::POST,
                format!("/api/v1/halls/{hall}/pairing/visit"),
                json!({"minutes": 10}),
            ));
            let pass = json!({"hall": hall, "technician": "tech", "hours": 1});
            orders.push((Method::POST, "/api/v1/site-passes".to_owned(), pass));
        }
        if someone.role != "administrator" {
            orders.push((Method::POST, format!("/api/v1/nodes/hall-{MINE}/revoke"), json!({})));
            orders.push((Method::DELETE, "/api/v1/users/admin".to_owned(), json!({})));
        }
        orders.push((Method::POST, format!("/api/v1/nodes/hall-{FOREIGN}/revoke"), json!({})));
        for (method, path, body) in orders {
            let body = (method != Method::GET).then_some(body);
            let got = someone.api.status(method.clone(), &path, body).await?;
            let refused = got == StatusCode::FORBIDDEN || got == StatusCode::NOT_FOUND;
            ensure!(refused, "{} of {}: {method} {path} is answered {got}", someone.role, someone.scope);
            asked += 1;
        }
    }
    println!("{asked} changes of what is not theirs: all refused");
    Ok(())
}

/// Without a session every route says so, but for signing in and out and the description.
async fn nobody(api: &Api) -> Result<()> {
    let description = api.get("/api/v1/openapi.json").await?;
    let paths = description["paths"].as_object().context("no paths")?;
    let open = [(Method::POST, "/api/v1/session"), (Method::DELETE, "/api/v1/session")];
    let mut asked = 0;
    for (path, methods) in paths {
        for method in methods.as_object().context("no methods")?.keys() {
            let method: Method = method.to_uppercase().parse()?;
            if open.iter().any(|(m, p)| *m == method && p == path) {
                continue;
            }
            let real = path
                .replace("{hall}", MINE)
                .replace("{window}", "450103-01-W01")
                .replace("{camera}", "450103-01-W01-C1")
                .replace("{case_id}", "450103-01-20261122-00001-0")
                .replace("{area}", COUNTY)
                .replace("{node}", "hall-450103-01")
                .replace("{name}", "admin")
                .replace("{id}", "sp-1")
                .replace("{path}", "hall")
                .replace("{still}", "1-x")
                .replace("{preset}", "1")
                .replace("{number}", "1001")
                .replace("{month}", "2026-11");
            // Any other part: who has no session is not told whether it could be.
            let real: String = real
                .split('/')
                .map(|part| if part.starts_with('{') { "1" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let body = (method != Method::GET).then(|| json!({}));
            let got = api.status(method.clone(), &real, body).await?;
            ensure!(got == StatusCode::UNAUTHORIZED, "{method} {path} without a session is answered {got}");
            asked += 1;
        }
    }
    println!("without a session: 401 on all {asked} routes but {open:?}");
    ensure!(asked > 30, "only {asked} routes");
    Ok(())
}
