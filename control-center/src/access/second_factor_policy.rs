//! Which roles must have a second factor: their people may do nothing but set one up until they have. None, unless an
//! administrator of the whole tree says so.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Action, Person, Role, audit, may_everywhere};
use crate::{
    Centre, params,
    site::{extract::Given, problem::Problem},
    store::{Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(shown, set))
}

/// Whether one of somebody's roles must have a second factor.
pub(super) fn demanded_of(sql: &mut dyn Sql, name: &str) -> Result<bool, StoreError> {
    let row = sql.query_one(
        "SELECT 1 FROM grants g JOIN second_factor_roles r ON r.role = g.role WHERE g.user_name = $1",
        params![name],
    )?;
    Ok(row.is_some())
}

/// The roles that must have a second factor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Demanded {
    roles: Vec<Role>,
}

/// A role, and who of its people has a second factor.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct RoleRow {
    /// The role.
    role: Role,
    /// Whether it must have one.
    required: bool,
    /// People of this role who may sign in.
    people: i64,
    /// Of them those without a second factor.
    without: i64,
}

/// Every role.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyIs {
    /// In a fixed order.
    roles: Vec<RoleRow>,
}

fn policy(sql: &mut dyn Sql) -> Result<PolicyIs, StoreError> {
    let mut roles = Vec::with_capacity(Role::ALL.len());
    for role in Role::ALL {
        let row = sql.query_one(
            "SELECT COUNT(*), COALESCE(SUM(CASE WHEN u.totp_since IS NULL THEN 1 ELSE 0 END), 0) FROM users u \
             WHERE u.disabled = 0 AND EXISTS (SELECT 1 FROM grants g WHERE g.user_name = u.name AND g.role = $1)",
            params![role.code()],
        )?;
        let required =
            sql.query_one("SELECT 1 FROM second_factor_roles WHERE role = $1", params![role.code()])?;
        let (people, without) =
            row.map_or(Ok((0, 0)), |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))?;
        roles.push(RoleRow { role, required: required.is_some(), people, without });
    }
    Ok(PolicyIs { roles })
}

/// Which roles must have a second factor, and how many of their people have none yet.
#[utoipa::path(get, path = "/second-factor-roles", tag = "access",
    responses((status = 200, body = PolicyIs), (status = 403, body = Problem)))]
async fn shown(State(centre): State<Centre>, person: Person) -> Result<Json<PolicyIs>, Problem> {
    may_everywhere(&person, Action::EditPeople)?;
    Ok(Json(centre.store.read(policy).await?))
}

/// Says which roles must have a second factor; it counts from the next request of each of their people on. Whoever demands
/// it of a role of their own must have one.
#[utoipa::path(put, path = "/second-factor-roles", tag = "access", request_body = Demanded,
    responses((status = 200, body = PolicyIs), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn set(
    State(centre): State<Centre>,
    person: Person,
    Given(given): Given<Demanded>,
) -> Result<Json<PolicyIs>, Problem> {
    may_everywhere(&person, Action::EditPeople)?;
    let now = centre.clock.now();
    let policy = centre
        .store
        .write("second factor policy", move |tx| {
            let bare = tx.query_one(
                "SELECT 1 FROM users WHERE name = $1 AND totp_since IS NULL",
                params![&*person.name],
            )?;
            if bare.is_some() && person.grants.iter().any(|grant| given.roles.contains(&grant.role)) {
                return Err(Problem::conflict(
                    "you hold one of these roles and have no second factor yourself: set up your own first",
                ));
            }
            tx.execute("DELETE FROM second_factor_roles", params![])?;
            let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| given.roles.contains(role)).collect();
            for role in &roles {
                tx.execute(
                    "INSERT INTO second_factor_roles (role, since, set_by) VALUES ($1, $2, $3)",
                    params![role.code(), now, &*person.name],
                )?;
            }
            let words = roles.iter().map(|role| role.code()).collect::<Vec<_>>().join(", ");
            let words = if words.is_empty() { "no role".to_owned() } else { words };
            audit::audit(tx, &person, "second_factor.demanded", "", &words, now)?;
            Ok(policy(tx)?)
        })
        .await?;
    Ok(Json(policy))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};

    use crate::{
        access::totp,
        scene::{PASSWORD, Scene},
        site::tests::Browser,
    };

    /// Sets up the person's second factor; what was answered to the confirmation.
    async fn set_up(scene: &Scene, browser: &Browser) -> StatusCode {
        let path = "/session/second-factor";
        let begun = browser.json(Method::POST, path, Some(json!({"password": PASSWORD}))).await;
        assert_eq!(begun.0, StatusCode::CREATED, "{}", begun.1);
        let secret = begun.1["secret"].as_str().unwrap().as_bytes();
        let secret = data_encoding::BASE32_NOPAD.decode(secret).unwrap();
        let code = totp::code(&secret, scene.centre.clock.now().0 / 1000 / totp::STEP);
        browser.json(Method::PUT, path, Some(json!({"code": format!("{code:06}")}))).await.0
    }

    fn row(policy: &Value, role: &str) -> Value {
        let rows = policy["roles"].as_array().unwrap();
        rows.iter().find(|row| row["role"] == role).unwrap().clone()
    }

    #[tokio::test]
    async fn a_role_that_must_have_one_does_nothing_else_before() {
        let scene = Scene::new().await;
        let (admin, region) =
            (Browser::signed_in(&scene, "admin").await, Browser::signed_in(&scene, "region").await);
        let tech = Browser::signed_in(&scene, "tech").await;
        let path = "/second-factor-roles";
        let off = admin.get(path).await;
        assert!(off["roles"].as_array().unwrap().iter().all(|row| row["required"] == false));
        assert_eq!(admin.get("/session").await["user"]["second_factor_required"], false);

        // Nobody demands of themselves what they have not.
        let demand = Some(json!({"roles": ["administrator", "supervisor"]}));
        let (status, words) = admin.json(Method::PUT, path, demand.clone()).await;
        assert_eq!(status, StatusCode::CONFLICT, "{words}");
        assert_eq!(set_up(&scene, &admin).await, StatusCode::NO_CONTENT);
        let (status, policy) = admin.json(Method::PUT, path, demand).await;
        assert_eq!(status, StatusCode::OK, "{policy}");
        let admins = json!({"role": "administrator", "required": true, "people": 1, "without": 0});
        assert_eq!(row(&policy, "administrator"), admins);
        let supervisors = json!({"role": "supervisor", "required": true, "people": 3, "without": 3});
        assert_eq!(row(&policy, "supervisor"), supervisors);

        // It counts at once, for sessions that stand; others' roles are as they were.
        let (status, words) = region.json(Method::GET, "/halls", None).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(words["type"], "urn:hallwatch:problem:second-factor-required");
        assert_eq!(tech.status("/halls").await, StatusCode::OK);
        let me = region.get("/session").await["user"].clone();
        assert_eq!((&me["second_factor"], &me["second_factor_required"]), (&json!(false), &json!(true)));
        let anew = Browser::signed_in(&scene, "region").await;
        assert_eq!(anew.status("/halls").await, StatusCode::FORBIDDEN);
        for path in ["/sessions", "/cases", "/evidence/key"] {
            assert_eq!(anew.status(path).await, StatusCode::FORBIDDEN, "{path}");
        }
        assert_eq!(set_up(&scene, &anew).await, StatusCode::NO_CONTENT);
        assert_eq!(anew.status("/halls").await, StatusCode::OK);
        let removal = "/session/second-factor/removal";
        let (status, _) = anew.json(Method::POST, removal, Some(json!({"password": PASSWORD}))).await;
        assert_eq!(status, StatusCode::CONFLICT, "it cannot be taken away again");

        // Whoever lost their authenticator begins anew, and whoever is no longer asked may do without.
        let reset = Some(json!({"reset_second_factor": true}));
        assert_eq!(admin.json(Method::PUT, "/users/region", reset).await.0, StatusCode::OK);
        let anew = Browser::signed_in(&scene, "region").await;
        assert_eq!(anew.status("/halls").await, StatusCode::FORBIDDEN);
        let none = Some(json!({"roles": []}));
        assert_eq!(admin.json(Method::PUT, path, none).await.0, StatusCode::OK);
        assert_eq!(anew.status("/halls").await, StatusCode::OK);
        let said = admin.get("/audit?action=second_factor.demanded").await;
        let details: Vec<&str> =
            said["items"].as_array().unwrap().iter().map(|row| row["detail"].as_str().unwrap()).collect();
        assert_eq!(details, ["no role", "administrator, supervisor"]);
    }
}
