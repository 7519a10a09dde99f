//! `/webhooks`: administrators set up where events are sent on to, and see how each fares. A secret is shown once.

use axum::{Json, extract::State};
use control_protocol::UtcMillis;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::send::address;
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, audit, may, may_somewhere},
    params,
    site::{
        extract::{Asked, Given, Named},
        list::{Page, Sort, View, page_of},
        problem::Problem,
    },
    store::{Row, Sql, StoreError, Tx, new_id},
};

/// The most webhooks of a centre.
const MOST: i64 = 50;
/// The most kinds one asks for.
const MOST_KINDS: usize = 60;

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove)).routes(routes!(renew))
}

/// A webhook, and how it fares.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WebhookRow {
    /// Its id.
    #[schema(example = "wh-6f1c2a9be07d4433")]
    id: String,
    /// Its name.
    #[schema(example = "审批系统")]
    name: String,
    /// Where events are sent.
    #[schema(example = "https://approval.gx/hallwatch")]
    url: String,
    /// Kinds of events, or beginnings that end with a dot; none means all.
    #[schema(example = json!(["rating.given", "case."]))]
    kinds: Vec<String>,
    /// The area or hall whose events are sent.
    #[schema(example = "450103")]
    scope: String,
    /// Whether it is to have a certificate from an authority of its own.
    has_ca: bool,
    /// Whether it sends.
    enabled: bool,
    /// `good`, `failing` (tried again with growing waits), `off`, or `given_up`: it failed for seven days or said that it
    /// is gone; what came since is kept for it.
    #[schema(example = "good")]
    state: &'static str,
    /// Events it has not been sent yet, those that are not for it included.
    #[schema(example = 3)]
    behind: i64,
    /// Events delivered.
    #[schema(example = 81_204)]
    delivered: i64,
    /// Failures in a row.
    failures: u32,
    /// When it is tried again.
    #[schema(value_type = Option<String>)]
    next_at: Option<UtcMillis>,
    /// When it last took a delivery.
    #[schema(value_type = Option<String>)]
    last_ok_at: Option<UtcMillis>,
    /// What went wrong last, in plain words.
    last_error: Option<String>,
    /// Who set it up.
    #[schema(example = "admin")]
    created_by: String,
    /// When.
    #[schema(value_type = String)]
    created_at: UtcMillis,
}

/// A webhook as it is to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookIs {
    /// 1 to 60 characters.
    #[schema(example = "审批系统")]
    name: String,
    /// Where to: http, or https with `ca_pem`.
    #[schema(example = "https://approval.gx/hallwatch")]
    url: String,
    /// Kinds of events, or beginnings that end with a dot; none means all.
    #[serde(default)]
    #[schema(example = json!(["rating.given", "case."]))]
    kinds: Vec<String>,
    /// The area or hall whose events are sent.
    #[schema(example = "450103")]
    scope: String,
    /// The certificate of who issued the receiver's, PEM. Left out of a change, the one it has stays.
    #[serde(default)]
    ca_pem: Option<String>,
    /// Whether it sends. Switched on again it goes on where it stopped.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// A webhook's id and secret; the secret is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookSecret {
    /// Its id.
    #[schema(example = "wh-6f1c2a9be07d4433")]
    id: String,
    /// The key of its signatures.
    #[schema(example = "3f7c…64 hexadecimal digits")]
    secret: String,
}

const SELECT: &str = "SELECT w.id, w.name, w.url, w.kinds, w.scope, w.ca_pem, w.enabled, w.failing_since, w.failures, \
     w.next_at, w.last_ok_at, w.last_error, w.created_by, w.created_at, w.delivered, \
     (SELECT COALESCE(MAX(n), 0) FROM events) - w.after_n FROM webhooks w";

fn read(row: &Row) -> Result<WebhookRow, StoreError> {
    let kinds: String = row.get(3)?;
    let (enabled, failures): (bool, u32) = (row.get(6)?, row.get(8)?);
    let next_at: UtcMillis = row.get(9)?;
    Ok(WebhookRow {
        id: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        kinds: serde_json::from_str(&kinds).map_err(|error| StoreError::Read(error.to_string()))?,
        scope: row.get(4)?,
        has_ca: row.get::<Option<String>>(5)?.is_some(),
        enabled,
        state: match (enabled, failures) {
            (true, 0) => "good",
            (true, _) => "failing",
            (false, 0) => "off",
            (false, _) => "given_up",
        },
        failures,
        next_at: Some(next_at).filter(|_| enabled && failures > 0),
        last_ok_at: row.get(10)?,
        last_error: row.get(11)?,
        created_by: row.get(12)?,
        created_at: row.get(13)?,
        delivered: row.get(14)?,
        behind: row.get::<i64>(15)?.max(0),
    })
}

const SORTS: [Sort<WebhookRow>; 5] = [
    ("name", |a, b| a.name.cmp(&b.name)),
    ("state", |a, b| a.state.cmp(b.state)),
    ("behind", |a, b| a.behind.cmp(&b.behind)),
    ("delivered", |a, b| a.delivered.cmp(&b.delivered)),
    ("created", |a, b| a.created_at.cmp(&b.created_at)),
];

/// The webhooks of one's areas, by name unless sorted by `name state behind delivered created`.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", params(View),
    responses((status = 200, body = Page<WebhookRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(view): Asked<View>,
) -> Result<Json<Page<WebhookRow>>, Problem> {
    may_somewhere(&person, Action::EditWebhooks)?;
    let rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::EditWebhooks);
            let mut rows = Vec::new();
            for row in &sql.query(SELECT, params![])? {
                let row = read(row)?;
                if Place::of_scope(sql, &row.scope)?.is_some_and(|place| scope.holds(place.path())) {
                    rows.push(row);
                }
            }
            Ok::<_, StoreError>(rows)
        })
        .await?;
    page_of(rows, &view, &SORTS, "name", |row| row.id.clone()).map(Json)
}

impl WebhookIs {
    /// What cannot be set up, in words that say what to change; `ca` is the certificate that counts.
    fn check(&self, ca: Option<&str>) -> Result<(), Problem> {
        let length = self.name.chars().count();
        if !(1..=60).contains(&length)
            || self.name.trim() != self.name
            || self.name.chars().any(char::is_control)
        {
            return Err(Problem::unprocessable("name: from 1 to 60 characters, no spaces at its ends"));
        }
        let letters = |kind: &String| {
            (1..=40).contains(&kind.len())
                && kind.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'))
        };
        if self.kinds.len() > MOST_KINDS || !self.kinds.iter().all(letters) {
            return Err(Problem::unprocessable(
                "kinds: kinds of events such as rating.given, or beginnings such as case.",
            ));
        }
        address(&self.url, ca).map(|_| ()).map_err(Problem::unprocessable)
    }

    fn kinds_text(&self) -> Result<String, Problem> {
        serde_json::to_string(&self.kinds).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// Whether the place of a webhook is the person's to send from.
fn theirs(sql: &mut dyn Sql, person: &Person, scope: &str) -> Result<(), Problem> {
    let place = Place::of_scope(sql, scope)?.ok_or(Denied::Outside)?;
    may(person, Action::EditWebhooks, &place)?;
    Ok(())
}

/// The webhook `id`, if it is the person's: its turn and its certificate.
fn known(sql: &mut dyn Sql, person: &Person, id: &str) -> Result<(u32, Option<String>), Problem> {
    let row = sql.query_one("SELECT scope, turn, ca_pem FROM webhooks WHERE id = $1", params![id])?;
    let row = row.ok_or(Denied::Outside)?;
    theirs(sql, person, &row.get::<String>(0)?)?;
    Ok((row.get(1)?, row.get(2)?))
}

/// Sets up a webhook. It is sent what happens from now on.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = WebhookIs,
    responses((status = 201, body = WebhookSecret), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add(
    State(centre): State<Centre>,
    person: Person,
    Given(webhook): Given<WebhookIs>,
) -> Result<(StatusCode, Json<WebhookSecret>), Problem> {
    may_somewhere(&person, Action::EditWebhooks)?;
    webhook.check(webhook.ca_pem.as_deref())?;
    let id = new_id("wh")?;
    let (fresh, now) = (id.clone(), centre.clock.now());
    centre
        .store
        .write("webhook", move |tx: &mut Tx<'_>| {
            theirs(tx, &person, &webhook.scope)?;
            let count = tx.query_one("SELECT COUNT(*) FROM webhooks", params![])?;
            if count.map_or(Ok(0), |row| row.get::<i64>(0))? >= MOST {
                return Err(Problem::conflict(format!("at most {MOST} webhooks: remove one first")));
            }
            tx.execute(
                "INSERT INTO webhooks (id, name, url, kinds, scope, ca_pem, enabled, turn, after_n, created_by, created_at, \
                 delivered, failures, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, \
                 (SELECT COALESCE(MAX(n), 0) FROM events), $8, $9, 0, 0, 0)",
                params![
                    fresh, webhook.name, webhook.url, webhook.kinds_text()?, webhook.scope, webhook.ca_pem,
                    webhook.enabled, &*person.name, now
                ],
            )?;
            Ok::<_, Problem>(audit::audit(tx.sql, &person, "webhook.added", &fresh, &webhook.url, now)?)
        })
        .await?;
    let secret = centre.webhooks.of(&id, 1);
    Ok((StatusCode::CREATED, Json(WebhookSecret { id, secret })))
}

/// Changes a webhook, or switches it on or off.
#[utoipa::path(put, path = "/webhooks/{id}", tag = "webhooks", request_body = WebhookIs,
    params(("id" = String, Path, description = "the webhook's id", example = "wh-6f1c2a9be07d4433")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn change(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
    Given(webhook): Given<WebhookIs>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write("webhook", move |tx: &mut Tx<'_>| {
            let (_, former_ca) = known(tx, &person, &id)?;
            theirs(tx, &person, &webhook.scope)?;
            let ca = webhook.ca_pem.clone().or(former_ca);
            webhook.check(ca.as_deref())?;
            tx.execute(
                "UPDATE webhooks SET name = $2, url = $3, kinds = $4, scope = $5, ca_pem = $6, enabled = $7, failures = 0, \
                 failing_since = NULL, next_at = 0 WHERE id = $1",
                params![id, webhook.name, webhook.url, webhook.kinds_text()?, webhook.scope, ca, webhook.enabled],
            )?;
            Ok::<_, Problem>(audit::audit(tx.sql, &person, "webhook.changed", &id, &webhook.url, now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a webhook; what it was not sent stays in the record.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "the webhook's id", example = "wh-6f1c2a9be07d4433")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write("webhook", move |tx: &mut Tx<'_>| {
            known(tx, &person, &id)?;
            tx.execute("DELETE FROM webhooks WHERE id = $1", params![id])?;
            Ok::<_, Problem>(audit::audit(tx.sql, &person, "webhook.removed", &id, "", now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the secret of a webhook anew; the former one counts no more.
#[utoipa::path(post, path = "/webhooks/{id}/secret", tag = "webhooks",
    params(("id" = String, Path, description = "the webhook's id", example = "wh-6f1c2a9be07d4433")),
    responses((status = 200, body = WebhookSecret), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn renew(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<Json<WebhookSecret>, Problem> {
    let (of, now) = (id.clone(), centre.clock.now());
    let turn = centre
        .store
        .write("webhook secret", move |tx: &mut Tx<'_>| {
            let turn = known(tx, &person, &of)?.0 + 1;
            tx.execute("UPDATE webhooks SET turn = $2 WHERE id = $1", params![of, turn])?;
            audit::audit(tx.sql, &person, "webhook.secret_renewed", &of, "", now)?;
            Ok::<_, Problem>(turn)
        })
        .await?;
    let secret = centre.webhooks.of(&id, turn);
    Ok(Json(WebhookSecret { id, secret }))
}
