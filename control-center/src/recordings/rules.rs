//! For how many days halls keep their footage. The hall's own file says it; an administrator's order, for this hall, wins over
//! that until it is taken back. It is an order as holds are: it waits for a hall that is away, and the hall says what came
//! of it. Less than the law asks for is refused here and at the hall.

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis, channel::Order, footage::ORDERED_DAYS};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, audit, may, may_somewhere},
    nodes::{node_of, put_order},
    params,
    site::{
        extract::{Given, Named},
        list::Page,
        problem::Problem,
    },
    store::{Filter, StoreError},
};

/// How long the order waits for a hall that is offline, milliseconds.
const ORDER_STANDS_MS: i64 = 30 * 86_400_000;

/// For how long a hall is to keep its footage.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleIs {
    /// Days, 30 to 3650; none: as the hall's own file says.
    days: Option<u32>,
}

/// A rule that was ordered.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RuleRow {
    /// The hall.
    hall: String,
    /// Days; none: as the hall's own file says.
    days: Option<i64>,
    /// Who ordered it.
    set_by: String,
    /// When.
    #[schema(value_type = String)]
    set_at: UtcMillis,
    /// `waiting` for the hall, `done`, `refused` by the hall, `expired` before the hall came.
    state: &'static str,
    /// What the hall said of it.
    why: Option<String>,
}

/// A rule that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleTaken {
    /// The command to the hall.
    id: String,
    /// Until when it waits for the hall.
    #[schema(value_type = String)]
    expires_at: UtcMillis,
}

/// The rules that were ordered in one's area, by hall.
#[utoipa::path(get, path = "/recording-rules", tag = "recordings",
    responses((status = 200, body = Page<RuleRow>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(centre): State<Centre>,
    person: Person,
) -> Result<Json<Page<RuleRow>>, Problem> {
    may_somewhere(&person, Action::EditTree)?;
    let now = centre.clock.now();
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::EditTree);
            let mut filter = Filter::new();
            filter.within("h.path", &scope);
            let (statement, params) = filter.statement(
                "SELECT r.hall, r.days, r.set_by, r.set_at, c.done_at IS NOT NULL, c.ok, c.detail, c.expires_at \
                 FROM recording_rules r JOIN halls h ON h.id = r.hall LEFT JOIN commands c ON c.id = r.command",
                "ORDER BY r.hall",
                1_000_000,
            );
            let rows = sql.query(&statement, &params)?;
            rows.iter()
                .map(|row| {
                    let (done, ok): (bool, Option<bool>) = (row.get(4)?, row.get(5)?);
                    let expired = row.get::<Option<UtcMillis>>(7)?.is_none_or(|at| at < now);
                    Ok(RuleRow {
                        hall: row.get(0)?,
                        days: row.get(1)?,
                        set_by: row.get(2)?,
                        set_at: row.get(3)?,
                        state: match (done, ok) {
                            (true, Some(true)) => "done",
                            (true, _) => "refused",
                            (false, _) if expired => "expired",
                            (false, _) => "waiting",
                        },
                        why: row.get(6)?,
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    Ok(Json(Page::whole(rows)))
}

/// Orders a hall to keep its footage so many days from now on. Footage that is older goes at the hall's next look.
#[utoipa::path(put, path = "/halls/{hall}/recording-rule", tag = "recordings", request_body = RuleIs,
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 202, body = RuleTaken), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn set(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
    Given(given): Given<RuleIs>,
) -> Result<(StatusCode, Json<RuleTaken>), Problem> {
    let now = centre.clock.now();
    let expires_at = now.plus(ORDER_STANDS_MS);
    let (taken, node) = centre
        .store
        .write("recording rule", move |tx| {
            let place = Place::of_hall(tx.sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::EditTree, &place)?;
            if given.days.is_some_and(|days| !ORDERED_DAYS.contains(&days)) {
                return Err(Problem::unprocessable(format!(
                    "days: {} to {}; less than {0} is against the law",
                    ORDERED_DAYS.start(),
                    ORDERED_DAYS.end()
                )));
            }
            let node = node_of(tx.sql, &hall)?
                .ok_or_else(|| Problem::conflict("this hall has no machine yet: pair one first"))?;
            let order = Order::KeepFootage { days: given.days };
            let id = put_order(tx.sql, &node, &order, &person.name, (now, expires_at))?;
            tx.sql.execute(
                "INSERT INTO recording_rules (hall, days, set_by, set_at, command) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (hall) DO UPDATE SET days = excluded.days, set_by = excluded.set_by, \
                 set_at = excluded.set_at, command = excluded.command",
                params![hall, given.days.map(i64::from), &*person.name, now, id],
            )?;
            let words = given.days.map_or_else(|| "as the hall's file says".to_owned(), |days| format!("{days} days"));
            audit::audit(tx.sql, &person, "recording.rule_set", hall.as_str(), &words, now)?;
            Ok((RuleTaken { id, expires_at }, node))
        })
        .await?;
    centre.nodes.ring(&node);
    Ok((StatusCode::ACCEPTED, Json(taken)))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};

    use crate::{
        params,
        scene::Scene,
        site::tests::Browser,
        store::{Sql, StoreError},
    };

    async fn put(browser: &Browser, hall: &str, days: Value) -> (StatusCode, Value) {
        let path = format!("/halls/{hall}/recording-rule");
        browser.json(Method::PUT, &path, Some(json!({ "days": days }))).await
    }

    async fn state(browser: &Browser) -> (Value, Value) {
        let rule = browser.get("/recording-rules").await["items"][0].clone();
        (rule["days"].clone(), rule["state"].clone())
    }

    #[tokio::test]
    async fn days_are_ordered_within_the_law_and_what_came_of_it_is_told() {
        let scene = Scene::new().await;
        let (admin, county) =
            (Browser::signed_in(&scene, "admin").await, Browser::signed_in(&scene, "county").await);
        let hall = "450103-01";
        assert_eq!(put(&admin, hall, json!(60)).await.0, StatusCode::CONFLICT, "no machine yet");
        let node = "INSERT INTO nodes (id, hall, version, enrolled_at) VALUES ('hall-450103-01', '450103-01', '1', 1)";
        scene.centre.store.write("node", move |tx| tx.execute(node, params![])).await.unwrap();
        for days in [json!(29), json!(0), json!(3651), json!(-1), json!("x")] {
            let (status, words) = put(&admin, hall, days.clone()).await;
            assert!(status.is_client_error() && status != StatusCode::CONFLICT, "{days}: {status} {words}");
        }
        assert_eq!(put(&county, hall, json!(60)).await.0, StatusCode::FORBIDDEN);
        assert_eq!(put(&admin, "450103-09", json!(60)).await.0, StatusCode::NOT_FOUND);
        assert_eq!(admin.get("/recording-rules").await["items"], json!([]));

        let (status, taken) = put(&admin, hall, json!(60)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{taken}");
        assert_eq!(state(&admin).await, (json!(60), json!("waiting")));
        let body = scene
            .centre
            .store
            .read(|sql| {
                let row = sql.query_one("SELECT body FROM commands", params![])?;
                row.map_or(Ok(String::new()), |row| row.get(0))
            })
            .await;
        assert_eq!(
            body.map_err(|e: StoreError| e.to_string()).unwrap(),
            r#"{"do":"keep_footage","days":60}"#
        );
        let done = "UPDATE commands SET done_at = 2, ok = 1, detail = 'footage is kept 60 days'";
        scene.centre.store.write("done", move |tx| tx.execute(done, params![])).await.unwrap();
        assert_eq!(state(&admin).await, (json!(60), json!("done")));

        assert_eq!(put(&admin, hall, Value::Null).await.0, StatusCode::ACCEPTED);
        assert_eq!(state(&admin).await, (Value::Null, json!("waiting")));
        scene.pass(super::ORDER_STANDS_MS + 1);
        let admin = Browser::signed_in(&scene, "admin").await;
        assert_eq!(state(&admin).await, (Value::Null, json!("expired")));
        let said = admin.get("/audit?action=recording.rule_set").await;
        let details: Vec<&str> =
            said["items"].as_array().unwrap().iter().map(|row| row["detail"].as_str().unwrap()).collect();
        assert_eq!(details, ["as the hall's file says", "60 days"]);
        let orders = admin.json(
            Method::POST,
            "/nodes/hall-450103-01/commands",
            Some(json!({"do": "keep_footage", "days": 60})),
        );
        assert_eq!(orders.await.0, StatusCode::UNPROCESSABLE_ENTITY, "not past the rule");
    }
}
