//! The centre's authority, as administrators of the whole centre see and change it. How it is done is in
//! `crate::nodes::{authorities, change}`; here is only who may ask, and that it is written down.

use axum::{Json, extract::State};
use control_protocol::{Digest, NodeId, UtcMillis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Person, audit, may_everywhere},
    nodes::{
        Ca, CaError,
        change::{Holding, RetireError, holdings},
    },
    site::{extract::Given, problem::Problem},
    store::Tx,
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(state)).routes(routes!(change)).routes(routes!(retire))
}

/// An authority of the centre.
#[derive(Debug, Serialize, ToSchema)]
struct AuthorityRow {
    /// The pin of its key, hexadecimal.
    pin: String,
    /// Since when it is there.
    #[schema(value_type = String)]
    since: UtcMillis,
    /// Its certificate, PEM, for browsers.
    pem: String,
}

impl AuthorityRow {
    fn of(ca: &Ca) -> Self {
        Self { pin: ca.pin().to_string(), since: ca.since(), pem: ca.pem().to_owned() }
    }
}

/// A node and what it holds.
#[derive(Debug, Serialize, ToSchema)]
struct HoldingRow {
    /// The node.
    #[schema(value_type = String)]
    node: NodeId,
    /// Its hall.
    hall: String,
    /// The hall's name.
    hall_name: String,
    /// Whether its certificate is of the authority that signs now.
    renewed: bool,
    /// Whether it is connected now.
    connected: bool,
    /// When it was last heard.
    #[schema(value_type = Option<String>)]
    last_seen: Option<UtcMillis>,
    /// Until when its certificate is good.
    #[schema(value_type = String)]
    expires_at: UtcMillis,
}

/// The authority, and how far a change of it is.
#[derive(Debug, Serialize, ToSchema)]
struct AuthorityState {
    /// The one that signs.
    signer: AuthorityRow,
    /// The one that is being left; none while nothing is changed.
    former: Option<AuthorityRow>,
    /// Nodes that hold a certificate of the one that signs.
    renewed: usize,
    /// Nodes that do not yet.
    left: usize,
    /// Every node that may still come.
    nodes: Vec<HoldingRow>,
}

async fn now(centre: &Centre) -> Result<AuthorityState, Problem> {
    let nodes = &centre.nodes;
    let (signer, former) = (nodes.ca(), nodes.authorities().former());
    let (pin, at) = (signer.pin(), centre.clock.now());
    let held = centre.store.read(move |sql| holdings(sql, pin, at)).await?;
    let renewed = held.iter().filter(|held| held.renewed).count();
    let row = |held: Holding| HoldingRow {
        connected: nodes.registry().of_node(&held.node).is_some(),
        node: held.node,
        hall: held.hall.to_string(),
        hall_name: held.hall_name,
        renewed: held.renewed,
        last_seen: held.last_seen,
        expires_at: held.expires_at,
    };
    Ok(AuthorityState {
        signer: AuthorityRow::of(&signer),
        former: former.as_deref().map(AuthorityRow::of),
        renewed,
        left: held.len() - renewed,
        nodes: held.into_iter().map(row).collect(),
    })
}

/// The centre's authority, and how far a change of it is.
#[utoipa::path(get, path = "/authority", tag = "nodes",
    responses((status = 200, body = AuthorityState), (status = 403, body = Problem)))]
async fn state(State(centre): State<Centre>, person: Person) -> Result<Json<AuthorityState>, Problem> {
    may_everywhere(&person, Action::EditNodes)?;
    Ok(Json(now(&centre).await?))
}

/// Begins a change: a new authority signs from now on, nodes learn it on their channels and renew their certificates by
/// themselves. The former goes on being taken until it is retired.
#[utoipa::path(post, path = "/authority/change", tag = "nodes",
    responses((status = 200, body = AuthorityState), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn change(State(centre): State<Centre>, person: Person) -> Result<Json<AuthorityState>, Problem> {
    may_everywhere(&person, Action::EditNodes)?;
    let already = || Problem::conflict("the authority is being changed already: retire the former first");
    if centre.nodes.authorities().former().is_some() {
        return Err(already());
    }
    let (former, at) = (centre.nodes.pin(), centre.clock.now());
    // Written down first: nothing is changed that the log does not have.
    centre
        .store
        .write("authority change", move |tx| {
            audit::audit(tx, &person, "authority.change_begun", &former.to_string(), "", at)
        })
        .await?;
    let begun = centre.nodes.begin_change().await?.ok_or_else(already)?;
    tracing::warn!(%former, signer = %begun.pin(), "a change of the authority has begun");
    Ok(Json(now(&centre).await?))
}

/// Which nodes are left behind.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retirement {
    /// Exactly the nodes that still hold a certificate of the former authority; they must be paired anew.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    leave_behind: Vec<NodeId>,
}

/// Retires the former authority: its certificates are refused from now on, and its key is removed.
#[utoipa::path(post, path = "/authority/retirement", tag = "nodes", request_body = Retirement,
    responses((status = 200, body = AuthorityState), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn retire(
    State(centre): State<Centre>,
    person: Person,
    Given(asked): Given<Retirement>,
) -> Result<Json<AuthorityState>, Problem> {
    may_everywhere(&person, Action::EditNodes)?;
    let (left, at) = (asked.leave_behind, centre.clock.now());
    let names = left.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
    let told = move |tx: &mut Tx<'_>, former: Digest, signer: Digest| {
        let behind = if names.is_empty() { "nobody".to_owned() } else { names };
        let detail = format!("followed by {signer}; left behind: {behind}");
        audit::audit(tx, &person, "authority.retired", &former.to_string(), &detail, at)
    };
    centre.nodes.retire_former(left, told).await?;
    tracing::warn!(pin = %centre.nodes.pin(), "the former authority is retired");
    Ok(Json(now(&centre).await?))
}

impl From<RetireError> for Problem {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::NotBegun | RetireError::LeftBehind(_) => Self::conflict(error.to_string()),
            RetireError::Ca(error) => error.into(),
            RetireError::Store(error) => error.into(),
        }
    }
}

impl From<CaError> for Problem {
    fn from(error: CaError) -> Self {
        tracing::error!(%error, "the authority failed");
        Self::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the centre's authority failed: its log says why")
    }
}
