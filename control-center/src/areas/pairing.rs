//! Pairing through the centre: questions passed on to the hall's edge agent, which answers them with the same router as at its own
//! page; and site passes, by which a technician pairs at the hall when the link is down. Here is only who may ask, and the record
//! that they did; what a position is, the edge knows (docs/reference/pairing.md).

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use control_protocol::{
    HallId, UtcMillis,
    channel::ToEdge,
    pairing::Ask,
    site_pass::{MOST_HOURS, RevokedPass, SitePass},
};
use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Role, audit, may, may_somewhere, scopes_of},
    nodes::NoAnswer,
    params,
    site::{
        extract::{Asked, Given, Named},
        list::{Columns, Page, View},
        problem::Problem,
    },
    store::{Filter, Row, Sql, new_id},
};

use crate::access::Scope;

/// The largest body that is passed on: a photo or a file of positions.
const MAX_BODY: usize = 2 * 1024 * 1024;

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(list, issue))
        .routes(routes!(revoke))
        .route("/halls/{hall}/pairing/{*path}", any(pass_on))
}

/// A refusal in the form of the pairing API.
fn refuse(status: StatusCode, code: &str, params: &Value, detail: &str) -> Response {
    let body = json!({
        "type": format!("urn:hallwatch:problem:pairing:{code}"),
        "title": status.canonical_reason().unwrap_or("Problem"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
        "params": params,
    });
    let mut response = (status, Json(body)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Whether the person may pair in this hall; what changes something is written down.
async fn allowed(
    centre: &Centre,
    person: &Person,
    hall: &HallId,
    did: Option<String>,
) -> Result<(), Problem> {
    let (now, person, hall) = (centre.clock.now(), person.clone(), hall.clone());
    let check = move |sql: &mut dyn Sql| -> Result<(), Problem> {
        let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
        may(&person, Action::PairDevices, &place)?;
        if let Some(did) = did {
            audit::audit(sql, &person, "pairing.asked", hall.as_str(), &did, now)?;
        }
        Ok(())
    };
    centre.store.write("pairing", move |tx| check(tx.sql)).await
}

async fn pass_on(
    State(centre): State<Centre>,
    person: Person,
    Path((hall, path)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let hall: HallId = hall.parse().map_err(|_| Denied::Outside)?;
    let method = request.method().clone();
    let safe = method == Method::GET;
    let did = (!safe).then(|| format!("{method} {}", path.chars().take(200).collect::<String>()));
    if safe {
        let (asking, at) = (person.clone(), hall.clone());
        centre
            .store
            .read(move |sql| {
                let place = Place::of_hall(sql, &at)?.ok_or(Denied::Outside)?;
                Ok::<_, Problem>(may(&asking, Action::PairDevices, &place)?)
            })
            .await?;
    } else {
        allowed(&centre, &person, &hall, did).await?;
    }
    let ask = Ask {
        about: Default::default(),
        method: method.to_string(),
        path,
        query: request.uri().query().unwrap_or_default().to_owned(),
        content_type: request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(|v| v.chars().take(200).collect()),
        technician: person.name.to_string(),
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
        let detail = format!("at most {MAX_BODY} bytes");
        return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &json!({"most": MAX_BODY}), &detail));
    };
    let Some(link) = centre.nodes.registry().of_hall(&hall) else {
        let detail = NoAnswer::Offline.to_string();
        return Ok(refuse(StatusCode::SERVICE_UNAVAILABLE, "hall-offline", &json!({}), &detail));
    };
    let (answered, body) = match link.ask(ask, &body).await {
        Ok(answer) => answer,
        Err(why) => {
            let (status, code, params) = match why {
                NoAnswer::Busy => (StatusCode::TOO_MANY_REQUESTS, "too-many", json!({"seconds": 2})),
                NoAnswer::Offline => (StatusCode::SERVICE_UNAVAILABLE, "hall-offline", json!({})),
                NoAnswer::Slow => (StatusCode::GATEWAY_TIMEOUT, "hall-slow", json!({})),
            };
            return Ok(refuse(status, code, &params, &why.to_string()));
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::BAD_GATEWAY);
    // Only what the pairing API answers with: a hall never gives a page of this site its script.
    let kind = match answered.content_type.as_deref() {
        Some("application/json") => Some("application/json"),
        Some("application/problem+json") => Some("application/problem+json"),
        Some("application/pdf") => Some("application/pdf"),
        Some("image/jpeg") => Some("image/jpeg"),
        Some(_) => Some("application/octet-stream"),
        None => None,
    };
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(response)
}

/// A site pass that was issued; the pass itself is not kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PassRow {
    /// Its id.
    id: String,
    /// The hall it is for.
    hall: String,
    /// Who may pair with it.
    technician: String,
    /// Who issued it.
    issued_by: String,
    /// From when.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// Until when.
    #[schema(value_type = String)]
    until: UtcMillis,
    /// When it was taken back.
    #[schema(value_type = Option<String>)]
    revoked_at: Option<UtcMillis>,
}

/// What passes are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PassesAsked {
    /// For this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
}

const SORTS: Columns = Columns {
    sorts: &[
        ("from", "p.from_at"),
        ("until", "p.until_at"),
        ("hall", "p.hall"),
        ("technician", "p.technician"),
        ("issued_by", "p.issued_by"),
    ],
    id: "p.id",
    usual: "-from",
};

/// Site passes of one's halls, newest first unless sorted by `from until hall technician issued_by`; those that ended more
/// than 30 days ago are left out.
#[utoipa::path(get, path = "/site-passes", tag = "pairing", params(PassesAsked, View),
    responses((status = 200, body = Page<PassRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<PassesAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<PassRow>>, Problem> {
    may_somewhere(&person, Action::PairDevices)?;
    let order = SORTS.order(&view)?;
    let since = centre.clock.now().plus(-30 * 86_400_000);
    let page = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::PairDevices);
            let mut filter = Filter::new();
            let since = Some(since);
            filter.within("h.path", &scope).with("p.hall = ?", &asked.hall).with("p.until_at > ?", &since);
            let columns = "p.id, p.hall, p.technician, p.issued_by, p.from_at, p.until_at, p.revoked_at";
            order.page(sql, filter, columns, "site_passes p JOIN halls h ON h.id = p.hall", |row: &Row| {
                Ok(PassRow {
                    id: row.get(0)?,
                    hall: row.get(1)?,
                    technician: row.get(2)?,
                    issued_by: row.get(3)?,
                    from: row.get(4)?,
                    until: row.get(5)?,
                    revoked_at: row.get(6)?,
                })
            })
        })
        .await?;
    Ok(Json(page))
}

/// A pass to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPass {
    /// The hall.
    #[schema(value_type = String)]
    hall: HallId,
    /// Who may pair with it; oneself unless an administrator names another.
    technician: Option<String>,
    /// For how long.
    #[serde(default = "eight")]
    hours: u32,
}

fn eight() -> u32 {
    8
}

/// A pass, shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct PassIssued {
    /// Its id.
    id: String,
    /// The hall.
    #[schema(value_type = String)]
    hall: HallId,
    /// Who may pair with it.
    technician: String,
    /// From when.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// Until when.
    #[schema(value_type = String)]
    until: UtcMillis,
    /// The pass.
    pass: String,
}

/// Issues a site pass: one technician, one hall, at most 72 hours. Checked at the hall with no link to the centre.
#[utoipa::path(post, path = "/site-passes", tag = "pairing", request_body = NewPass,
    responses((status = 201, body = PassIssued), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn issue(
    State(centre): State<Centre>,
    person: Person,
    Given(new): Given<NewPass>,
) -> Result<(StatusCode, Json<PassIssued>), Problem> {
    if !(1..=MOST_HOURS).contains(&new.hours) {
        return Err(Problem::unprocessable(format!("hours: from 1 to {MOST_HOURS}")));
    }
    let now = centre.clock.now();
    let pass = SitePass {
        id: new_id("sp")?,
        hall: new.hall.clone(),
        technician: new.technician.unwrap_or_else(|| person.name.to_string()),
        from: now.0,
        until: now.0 + i64::from(new.hours) * 3_600_000,
    };
    let kept = pass.clone();
    centre
        .store
        .write("site pass", move |tx| {
            let place = Place::of_hall(tx.sql, &kept.hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::PairDevices, &place)?;
            if *person.name != *kept.technician {
                may(&person, Action::EditPeople, &place)?;
                let theirs = scopes_of(tx.sql, &kept.technician)?;
                let may_pair = theirs.iter().any(|(role, path)| {
                    matches!(role, Role::Technician | Role::Administrator) && place.path().starts_with(path)
                });
                if !may_pair {
                    return Err(Problem::unprocessable(format!(
                        "technician: {} is no technician of this hall",
                        kept.technician.chars().take(64).collect::<String>()
                    )));
                }
            }
            tx.sql.execute(
                "INSERT INTO site_passes (id, hall, technician, issued_by, from_at, until_at) VALUES ($1, $2, $3, $4, $5, $6)",
                params![kept.id, kept.hall, kept.technician, &*person.name, kept.from, kept.until],
            )?;
            let detail = format!("{} for {} until {}", kept.id, kept.technician, UtcMillis(kept.until));
            Ok(audit::audit(tx.sql, &person, "site_pass.issued", kept.hall.as_str(), &detail, now)?)
        })
        .await?;
    let text = centre.nodes.known_to(pass.hall.clone()).await?.sign_pass(&pass)?;
    let issued = PassIssued {
        id: pass.id,
        hall: pass.hall,
        technician: pass.technician,
        from: UtcMillis(pass.from),
        until: UtcMillis(pass.until),
        pass: text,
    };
    Ok((StatusCode::CREATED, Json(issued)))
}

/// Takes a site pass back; the hall is told at once if it is connected, else when it is back.
#[utoipa::path(delete, path = "/site-passes/{id}", tag = "pairing",
    params(("id" = String, Path, description = "the pass's id")),
    responses((status = 204), (status = 404, body = Problem)))]
async fn revoke(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    let (hall, until) = centre
        .store
        .write("site pass revoked", move |tx| {
            let row =
                tx.sql.query_one("SELECT hall, until_at FROM site_passes WHERE id = $1", params![id])?;
            let row = row.ok_or(Denied::Outside)?;
            let (hall, until): (HallId, UtcMillis) = (row.get(0)?, row.get(1)?);
            let place = Place::of_hall(tx.sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::PairDevices, &place)?;
            tx.sql.execute(
                "UPDATE site_passes SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
                params![id, now],
            )?;
            audit::audit(tx.sql, &person, "site_pass.revoked", hall.as_str(), &id, now)?;
            Ok::<_, Problem>((hall, RevokedPass { id, until }))
        })
        .await?;
    if let Some(link) = centre.nodes.registry().of_hall(&hall) {
        link.send(ToEdge::PassesRevoked { passes: vec![until] });
    }
    Ok(StatusCode::NO_CONTENT)
}
