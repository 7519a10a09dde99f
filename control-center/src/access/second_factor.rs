//! `/session/second-factor`: a code by time (RFC 6238) beside the password. The shared secret is sealed at rest; a code is
//! taken once; who has lost their authenticator is helped by an administrator.

use axum::{Json, extract::State};
use control_protocol::UtcMillis;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Person, audit, password, person::Unfactored, routes::no_secret, second_factor_policy, totp};
use crate::{
    Centre, params,
    seal::SealError,
    site::{extract::Given, problem::Problem},
    store::{Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(begin, confirm)).routes(routes!(remove))
}

/// Somebody's second factor, as stored.
pub(super) struct SecondFactor {
    sealed: Vec<u8>,
    /// The newest step a code was taken of.
    spent: i64,
}

fn purpose(name: &str) -> String {
    format!("totp:{name}")
}

fn broken(error: SealError) -> Problem {
    tracing::error!(%error, "a second factor cannot be read");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the centre failed: its log says why")
}

/// What a sign-in with no good code is told.
pub(super) fn wanted(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .named("urn:hallwatch:problem:second-factor")
        .titled("Second factor needed")
}

/// The second factor that `name` must show, if any.
pub(super) fn of(sql: &mut dyn Sql, name: &str) -> Result<Option<SecondFactor>, StoreError> {
    found(sql, name, "totp_since IS NOT NULL")
}

fn found(sql: &mut dyn Sql, name: &str, which: &str) -> Result<Option<SecondFactor>, StoreError> {
    let statement =
        format!("SELECT totp, totp_step FROM users WHERE name = $1 AND totp IS NOT NULL AND {which}");
    let row = sql.query_one(&statement, params![name])?;
    row.map(|row| Ok(SecondFactor { sealed: row.get(0)?, spent: row.get(1)? })).transpose()
}

impl SecondFactor {
    /// The step of a code that is good now and was not used; none for another.
    pub(super) fn check(&self, centre: &Centre, name: &str, code: &str) -> Result<Option<i64>, Problem> {
        let secret = centre.doorkeeper.seal().unseal(&purpose(name), &self.sealed).map_err(broken)?;
        Ok(totp::step_of(&secret, code, centre.clock.now()).filter(|step| *step > self.spent))
    }
}

/// Notes that a code of `step` was used; `false` if one of it, or of a later one, was used already.
pub(super) fn spend(sql: &mut dyn Sql, name: &str, step: i64) -> Result<bool, StoreError> {
    let spent = sql
        .execute("UPDATE users SET totp_step = $2 WHERE name = $1 AND totp_step < $2", params![name, step])?;
    Ok(spent == 1)
}

/// Takes somebody's second factor away.
pub(super) fn clear(sql: &mut dyn Sql, name: &str) -> Result<(), StoreError> {
    sql.execute("UPDATE users SET totp = NULL, totp_since = NULL WHERE name = $1", params![name])?;
    Ok(())
}

/// One's own password, given again.
#[derive(Deserialize, ToSchema)]
struct Again {
    password: String,
}

/// What an authenticator is set up with; shown this once.
#[derive(Serialize, ToSchema)]
struct Begun {
    /// The secret, base 32, to be typed.
    secret: String,
    /// The same to be scanned as a QR code.
    uri: String,
}

/// Refuses whoever does not know the person's password; counted as a try to sign in.
async fn check_password(centre: &Centre, person: &Person, given: String) -> Result<(), Problem> {
    centre.doorkeeper.admit(&person.name, &person.origin(), centre.clock.now())?;
    let name = person.name.clone();
    let hash = centre
        .store
        .read(move |sql| -> Result<Option<String>, StoreError> {
            let row = sql.query_one("SELECT password_hash FROM users WHERE name = $1", params![&*name])?;
            row.map(|row| row.get(0)).transpose()
        })
        .await?;
    if !centre.doorkeeper.matches(given, hash).await? {
        return Err(Problem::unprocessable("the password is wrong"));
    }
    centre.doorkeeper.forgive(&person.name, &person.origin());
    Ok(())
}

/// Begins a second factor of one's own: gives a secret for an authenticator. It is asked for only once it was confirmed.
#[utoipa::path(post, path = "/session/second-factor", tag = "access", request_body = Again,
    responses((status = 201, body = Begun), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn begin(
    State(centre): State<Centre>,
    Unfactored(person): Unfactored,
    Given(given): Given<Again>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    check_password(&centre, &person, given.password).await?;
    let secret = password::random::<{ totp::SECRET }>().map_err(no_secret)?;
    let sealed = centre.doorkeeper.seal().seal(&purpose(&person.name), &secret).map_err(broken)?;
    let begun = Begun { secret: totp::base32(&secret), uri: totp::uri(&person.name, &secret) };
    centre
        .store
        .write("second factor begun", move |tx| {
            let set = tx.execute(
                "UPDATE users SET totp = $2, totp_step = 0 WHERE name = $1 AND totp_since IS NULL",
                params![&*person.name, sealed],
            )?;
            if set == 0 {
                return Err(Problem::conflict("you have a second factor already: remove it first"));
            }
            Ok(())
        })
        .await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

/// A code of the authenticator.
#[derive(Deserialize, ToSchema)]
struct Code {
    code: String,
}

/// Confirms the second factor with its first code; from now on it is asked for, and one's other sessions end.
#[utoipa::path(put, path = "/session/second-factor", tag = "access", request_body = Code,
    responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn confirm(
    State(centre): State<Centre>,
    Unfactored(person): Unfactored,
    Given(given): Given<Code>,
) -> Result<StatusCode, Problem> {
    let now: UtcMillis = centre.clock.now();
    centre.doorkeeper.admit(&person.name, &person.origin(), now)?;
    let name = person.name.clone();
    let begun = centre.store.read(move |sql| found(sql, &name, "totp_since IS NULL")).await?;
    let begun = begun.ok_or_else(|| Problem::conflict("there is nothing to confirm: begin with POST"))?;
    let step = begun.check(&centre, &person.name, &given.code)?.ok_or_else(|| {
        Problem::unprocessable("the code is wrong: check the clock of your phone and give the next one")
    })?;
    centre.doorkeeper.forgive(&person.name, &person.origin());
    centre
        .store
        .write("second factor", move |tx| {
            tx.execute(
                "UPDATE users SET totp_since = $2, totp_step = $3 WHERE name = $1 AND totp = $4",
                params![&*person.name, now, step, begun.sealed],
            )?;
            tx.execute(
                "DELETE FROM sessions WHERE user_name = $1 AND token_hash <> $2",
                params![&*person.name, person.session[..]],
            )?;
            audit::audit(tx, &person, "second_factor.on", &person.name, "", now)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes one's own second factor, where none of one's roles must have it.
#[utoipa::path(post, path = "/session/second-factor/removal", tag = "access", request_body = Again,
    responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn remove(
    State(centre): State<Centre>,
    person: Person,
    Given(given): Given<Again>,
) -> Result<StatusCode, Problem> {
    check_password(&centre, &person, given.password).await?;
    let now = centre.clock.now();
    centre
        .store
        .write("second factor removed", move |tx| {
            if second_factor_policy::demanded_of(tx, &person.name)? {
                return Err(Problem::conflict(
                    "your role must have a second factor: who has lost their authenticator is helped by an administrator",
                ));
            }
            clear(tx, &person.name)?;
            Ok(audit::audit(tx, &person, "second_factor.off", &person.name, "", now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
