//! `/session`, and the changes of `/users`; their list is [`accounts`].

use axum::{
    Json,
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Action, Denied, Grant, Person, Place, Role, accounts, audit, audit_routes, may, may_somewhere, password,
    people,
    person::{Newcomer, address},
    second_factor, second_factor_policy,
    session::{self, BROWSER, BROWSER_S, COOKIE},
    sessions,
};
use crate::{
    Centre, params,
    site::{
        extract::{Given, Named},
        problem::Problem,
    },
    store::{Sql, StoreError},
};

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(sign_in, who, sign_out))
        .routes(routes!(change_password))
        .routes(routes!(accounts::list, add_user))
        .routes(routes!(accounts::csv))
        .routes(routes!(set_user, delete_user))
        .merge(sessions::routes())
        .merge(second_factor::routes())
        .merge(second_factor_policy::routes())
        .merge(audit_routes::routes())
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
struct SignIn {
    name: String,
    password: String,
    /// The code of one's authenticator, where one has a second factor.
    code: Option<String>,
}

/// A role within a scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct GrantRow {
    /// The role.
    pub role: Role,
    /// The id of an area or a hall.
    pub scope: String,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct UserRow {
    /// The name they sign in with.
    pub name: String,
    /// Their first role.
    pub role: Role,
    /// Its area; for the scope of a hall, the hall's id.
    pub area: String,
    /// Their first scope's name.
    pub area_name: String,
    /// All their roles.
    pub grants: Vec<GrantRow>,
    /// Whether they must choose a new password before anything else.
    pub must_change: bool,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
    /// Whether one of their roles must have a second factor; without one they can do nothing but set it up.
    pub second_factor_required: bool,
}

/// Who one is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SessionIs {
    /// The person.
    pub user: UserRow,
}

fn user_row(sql: &mut dyn Sql, name: &str, must_change: bool, grants: &[Grant]) -> Result<UserRow, Problem> {
    let first = grants
        .first()
        .ok_or_else(|| Problem::forbidden("you have no role here any more: ask an administrator"))?;
    let named = sql.query_one(
        "SELECT name FROM areas WHERE id = $1 UNION ALL SELECT name FROM halls WHERE id = $1",
        params![first.scope],
    )?;
    let second = sql.query_one("SELECT totp_since IS NOT NULL FROM users WHERE name = $1", params![name])?;
    Ok(UserRow {
        name: name.to_owned(),
        second_factor: second.map_or(Ok(false), |row| row.get(0))?,
        second_factor_required: second_factor_policy::demanded_of(sql, name)?,
        role: first.role,
        area: first.scope.clone(),
        area_name: named.map_or(Ok(String::new()), |row| row.get(0))?,
        grants: grants.iter().map(|g| GrantRow { role: g.role, scope: g.scope.clone() }).collect(),
        must_change,
    })
}

/// Where a request comes from, what the browser calls itself, and its mark if somebody signed in with it before.
struct From_(String, String, Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for From_ {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mark = session::browser_of(&parts.headers).map(str::to_owned);
        Ok(Self(address(parts), session::agent_of(&parts.headers), mark))
    }
}

fn with_cookie(
    (name, value, seconds): (&str, &str, i64),
    body: impl IntoResponse,
) -> Result<Response, Problem> {
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    let cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::bad_request(error.to_string()))?;
    let mut response = body.into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) fn no_secret(error: password::NoSecret) -> Problem {
    tracing::error!(%error, "sign-in is not possible");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the centre failed: its log says why")
}

/// Signs in. The answer sets the session's cookie. Who has a second factor is answered 401 with the type
/// `urn:hallwatch:problem:second-factor` until the code of their authenticator comes with the password.
#[utoipa::path(post, path = "/session", tag = "access", request_body = SignIn,
    responses((status = 200, body = SessionIs), (status = 401, body = Problem), (status = 429, body = Problem)))]
async fn sign_in(
    State(centre): State<Centre>,
    From_(address, agent, mark): From_,
    Given(given): Given<SignIn>,
) -> Result<Response, Problem> {
    let now = centre.clock.now();
    let name = given.name;
    if name.len() > 256 || given.password.len() > 1024 {
        return Err(wrong());
    }
    let origin = centre.doorkeeper.origin(&name, &address, mark.as_deref(), now);
    centre.doorkeeper.admit(&name, &origin, now)?;
    let asked = name.clone();
    let known = centre
        .store
        .read(move |sql| -> Result<_, StoreError> {
            let row = sql.query_one(
                "SELECT password_hash FROM users WHERE name = $1 AND disabled = 0",
                params![asked],
            )?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some((row.get::<String>(0)?, second_factor::of(sql, &asked)?)))
        })
        .await?;
    let (hash, second) = known.map_or((None, None), |(hash, second)| (Some(hash), second));
    if !centre.doorkeeper.matches(given.password, hash.clone()).await? {
        // Who types the password into the field of the name must not find it in a log.
        let who = if hash.is_some() { name } else { UNKNOWN.to_owned() };
        refused(&centre, who, address, "").await?;
        return Err(wrong());
    }
    let mut step = None;
    if let Some(second) = second {
        let Some(code) = given.code.filter(|code| !code.trim().is_empty()) else {
            return Err(second_factor::wanted("give the code that your authenticator shows"));
        };
        step = second.check(&centre, &name, &code)?;
        if step.is_none() {
            refused(&centre, name, address, "second factor").await?;
            return Err(second_factor::wanted("the code is wrong, or was used already: give the next one"));
        }
    }
    centre.doorkeeper.forgive(&name, &origin);
    let mark = centre.doorkeeper.mark(&name, now);
    let token = password::token().map_err(no_secret)?;
    let token_hash = session::token_hash(&token);
    let user = centre
        .store
        .write("sign-in", move |tx| {
            // The password may have been changed while it was checked.
            let row = tx.query_one(
                "SELECT must_change FROM users WHERE name = $1 AND disabled = 0 AND password_hash = $2",
                params![name, hash],
            )?;
            let must_change: bool = row.ok_or_else(wrong)?.get(0)?;
            if let Some(step) = step
                && !second_factor::spend(tx, &name, step)?
            {
                return Err(second_factor::wanted("this code was used already: give the next one"));
            }
            let grants = session::grants_of(tx, &name)?;
            let user = user_row(tx, &name, must_change, &grants)?;
            tx.execute(
                "DELETE FROM sessions WHERE seen_at < $1 OR created_at < $2",
                params![now.plus(-session::IDLE_MS), now.plus(-session::ABSOLUTE_MS)],
            )?;
            tx.execute(
                "INSERT INTO sessions (token_hash, user_name, created_at, seen_at, address, agent) \
                 VALUES ($1, $2, $3, $3, $4, $5)",
                params![token_hash[..], name, now, address, agent],
            )?;
            tx.execute("UPDATE users SET signed_in_at = $2 WHERE name = $1", params![name, now])?;
            let entry = audit::Entry {
                who: &name,
                address: &address,
                action: "session.opened",
                object: "",
                detail: "",
            };
            audit::record(tx, &entry, now)?;
            Ok::<_, Problem>(user)
        })
        .await?;
    let signed_in = with_cookie((COOKIE, &token, session::ABSOLUTE_MS / 1000), Json(SessionIs { user }))?;
    match mark {
        Some(mark) => with_cookie((BROWSER, &mark, BROWSER_S), signed_in),
        None => Ok(signed_in),
    }
}

/// What a log says in place of a name that nobody has.
const UNKNOWN: &str = "(unknown name)";

/// Writes down a sign-in that was refused.
async fn refused(
    centre: &Centre,
    who: String,
    address: String,
    detail: &'static str,
) -> Result<(), StoreError> {
    tracing::warn!(name = %who.escape_debug(), %address, detail, "a sign-in was refused");
    let now = centre.clock.now();
    centre
        .store
        .write("sign-in refused", move |tx| {
            let entry =
                audit::Entry { who: &who, address: &address, action: "session.refused", object: "", detail };
            audit::record(tx, &entry, now)
        })
        .await
}

fn wrong() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "name or password is wrong").titled("Not signed in")
}

/// Who one is.
#[utoipa::path(get, path = "/session", tag = "access",
    responses((status = 200, body = SessionIs), (status = 401, body = Problem)))]
async fn who(State(centre): State<Centre>, Newcomer(person): Newcomer) -> Result<Json<SessionIs>, Problem> {
    let user =
        centre.store.read(move |sql| user_row(sql, &person.name, person.must_change, &person.grants)).await?;
    Ok(Json(SessionIs { user }))
}

/// Signs out.
#[utoipa::path(delete, path = "/session", tag = "access", responses((status = 204)))]
async fn sign_out(State(centre): State<Centre>, Newcomer(person): Newcomer) -> Result<Response, Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write("sign-out", move |tx| {
            tx.execute("DELETE FROM sessions WHERE token_hash = $1", params![person.session[..]])?;
            audit::audit(tx, &person, "session.closed", "", "", now)
        })
        .await?;
    with_cookie((COOKIE, "", 0), StatusCode::NO_CONTENT)
}

/// The old password and the new.
#[derive(Deserialize, ToSchema)]
struct PasswordChange {
    old: String,
    new: String,
}

/// Changes one's own password; one's other sessions end.
#[utoipa::path(put, path = "/session/password", tag = "access", request_body = PasswordChange,
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn change_password(
    State(centre): State<Centre>,
    Newcomer(person): Newcomer,
    Given(given): Given<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    people::check_password_rules(&person.name, &given.new).map_err(Problem::unprocessable)?;
    if given.new == given.old {
        return Err(Problem::unprocessable("the new password is the old one: take another"));
    }
    centre.doorkeeper.admit(&person.name, &person.origin(), now)?;
    let name = person.name.clone();
    let hash = centre
        .store
        .read(move |sql| -> Result<Option<String>, StoreError> {
            let row = sql.query_one("SELECT password_hash FROM users WHERE name = $1", params![&*name])?;
            row.map(|row| row.get(0)).transpose()
        })
        .await?;
    if !centre.doorkeeper.matches(given.old, hash).await? {
        return Err(Problem::forbidden("the old password is wrong"));
    }
    centre.doorkeeper.forgive(&person.name, &person.origin());
    let hash = centre.doorkeeper.hash(given.new).await?;
    centre
        .store
        .write("password", move |tx| {
            people::set_password(tx, &person.name, &hash, false, Some(&person.session))?;
            audit::audit(tx, &person, "password.changed", &person.name, "", now)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the person may change somebody with these roles: all of them must lie within their own scope.
pub(super) fn may_edit_grants(person: &Person, grants: &[Grant]) -> Result<(), Denied> {
    grants.iter().try_for_each(|grant| may(person, Action::EditPeople, &Place::at(&grant.path)))
}

/// Somebody to add.
#[derive(Deserialize, ToSchema)]
struct NewAccount {
    name: String,
    grants: Vec<GrantRow>,
}

/// A password to be handed over; it must be changed at the first sign-in.
#[derive(Debug, Serialize, ToSchema)]
struct OneTime {
    /// Shown this once.
    password: String,
}

/// What somebody is to be; what is left out stays.
#[derive(Deserialize, ToSchema)]
struct AccountIs {
    grants: Option<Vec<GrantRow>>,
    disabled: Option<bool>,
    /// Give a new one-time password.
    #[serde(default)]
    reset_password: bool,
    /// Take the second factor away: for who has lost their authenticator.
    #[serde(default)]
    reset_second_factor: bool,
}

/// Whether the person may give these roles.
fn may_give(sql: &mut dyn Sql, person: &Person, grants: &[GrantRow]) -> Result<(), Problem> {
    if grants.is_empty() {
        return Err(Problem::unprocessable("give at least one role"));
    }
    for grant in grants {
        let place = Place::of_scope(sql, &grant.scope)?.ok_or_else(|| {
            Problem::unprocessable(format!("`{}` is neither an area nor a hall of yours", grant.scope))
        })?;
        may(person, Action::EditPeople, &place)?;
    }
    Ok(())
}

impl From<people::BadUser> for Problem {
    fn from(error: people::BadUser) -> Self {
        match error {
            people::BadUser::Rule(text) => Self::unprocessable(text),
            people::BadUser::Store(error) => error.into(),
            people::BadUser::Secret(error) => no_secret(error),
        }
    }
}

fn pairs(grants: &[GrantRow]) -> Vec<(Role, String)> {
    grants.iter().map(|grant| (grant.role, grant.scope.clone())).collect()
}

/// Adds somebody. The answer has a one-time password.
#[utoipa::path(post, path = "/users", tag = "access", request_body = NewAccount,
    responses((status = 201, body = OneTime), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add_user(
    State(centre): State<Centre>,
    person: Person,
    Given(given): Given<NewAccount>,
) -> Result<(StatusCode, Json<OneTime>), Problem> {
    may_somewhere(&person, Action::EditPeople)?;
    let password = password::one_time().map_err(no_secret)?;
    let password_hash = centre.doorkeeper.hash(password.clone()).await?;
    let now = centre.clock.now();
    centre
        .store
        .write("user added", move |tx| {
            may_give(tx, &person, &given.grants)?;
            if tx.query_one("SELECT 1 FROM users WHERE name = $1", params![given.name])?.is_some() {
                return Err(Problem::conflict("somebody has this name already: take another"));
            }
            let detail = serde_json::json!(given.grants).to_string();
            let user = people::NewUser {
                name: given.name,
                password_hash,
                must_change: true,
                grants: pairs(&given.grants),
            };
            people::add_user(tx, &user, now)?;
            Ok(audit::audit(tx, &person, "user.added", &user.name, &detail, now)?)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(OneTime { password })))
}

/// Changes somebody's roles, keeps them out or lets them in, or gives them a new one-time password. Their sessions end.
#[utoipa::path(put, path = "/users/{name}", tag = "access", request_body = AccountIs,
    params(("name" = String, Path, description = "the name they sign in with")),
    responses((status = 200, body = Option<OneTime>), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn set_user(
    State(centre): State<Centre>,
    person: Person,
    Named(name): Named<String>,
    Given(given): Given<AccountIs>,
) -> Result<Json<Option<OneTime>>, Problem> {
    may_somewhere(&person, Action::EditPeople)?;
    let password = if given.reset_password { Some(password::one_time().map_err(no_secret)?) } else { None };
    let hash = match &password {
        Some(password) => Some(centre.doorkeeper.hash(password.clone()).await?),
        None => None,
    };
    let now = centre.clock.now();
    centre
        .store
        .write("user changed", move |tx| {
            check_known(tx, &person, &name)?;
            if let Some(grants) = &given.grants {
                may_give(tx, &person, grants)?;
                people::set_grants(tx, &name, &pairs(grants))?;
            }
            if let Some(disabled) = given.disabled {
                tx.execute("UPDATE users SET disabled = $2 WHERE name = $1", params![name, disabled])?;
            }
            if let Some(hash) = &hash {
                people::set_password(tx, &name, hash, true, None)?;
            }
            if given.reset_second_factor {
                second_factor::clear(tx, &name)?;
            }
            keep_one_administrator(tx)?;
            tx.execute("DELETE FROM sessions WHERE user_name = $1", params![name])?;
            let detail = serde_json::json!({
                "grants": given.grants, "disabled": given.disabled, "reset_password": given.reset_password,
                "reset_second_factor": given.reset_second_factor
            });
            Ok::<_, Problem>(audit::audit(tx, &person, "user.changed", &name, &detail.to_string(), now)?)
        })
        .await?;
    Ok(Json(password.map(|password| OneTime { password })))
}

/// Takes somebody away.
#[utoipa::path(delete, path = "/users/{name}", tag = "access",
    params(("name" = String, Path, description = "the name they sign in with")),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn delete_user(
    State(centre): State<Centre>,
    person: Person,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    may_somewhere(&person, Action::EditPeople)?;
    let now = centre.clock.now();
    centre
        .store
        .write("user removed", move |tx| {
            check_known(tx, &person, &name)?;
            tx.execute("DELETE FROM users WHERE name = $1", params![name])?;
            keep_one_administrator(tx)?;
            Ok::<_, Problem>(audit::audit(tx, &person, "user.removed", &name, "", now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// There is such a person and `person` may change them.
fn check_known(sql: &mut dyn Sql, person: &Person, name: &str) -> Result<(), Problem> {
    if sql.query_one("SELECT 1 FROM users WHERE name = $1", params![name])?.is_none() {
        return Err(Denied::Outside.into());
    }
    let grants = session::grants_of(sql, name)?;
    Ok(may_edit_grants(person, &grants)?)
}

/// Nobody can lock everybody out.
fn keep_one_administrator(sql: &mut dyn Sql) -> Result<(), Problem> {
    let left = sql.query(
        "SELECT 1 FROM grants g JOIN users u ON u.name = g.user_name JOIN areas a ON a.id = g.scope \
         WHERE g.role = 'administrator' AND u.disabled = 0 AND a.parent IS NULL LIMIT 1",
        params![],
    )?;
    if left.is_empty() {
        return Err(Problem::unprocessable(
            "this would leave no administrator of the whole tree: appoint another first",
        ));
    }
    Ok(())
}
