//! The nodes of the halls, as technicians and administrators see them: `/nodes`, pairing codes, revoking, lifting a
//! quarantine. What a node may do is decided in `crate::nodes`; here is only who may ask.

use axum::{Json, extract::State};
use control_protocol::{HallId, NodeId, UtcMillis};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, audit, may, may_somewhere},
    nodes::pairing,
    params,
    site::{
        extract::{Asked, Named},
        list::Page,
        problem::Problem,
    },
    store::{Filter, Row, Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(pairing_code))
        .routes(routes!(revoke))
        .routes(routes!(lift_quarantine))
}

/// A node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct NodeRow {
    /// Its id.
    #[schema(value_type = String)]
    pub id: NodeId,
    /// Its hall.
    pub hall: String,
    /// Its hall's name.
    pub hall_name: String,
    /// Its program's version.
    pub version: String,
    /// When it was enrolled.
    #[schema(value_type = String)]
    pub enrolled_at: UtcMillis,
    /// When it was last heard.
    #[schema(value_type = Option<String>)]
    pub last_seen: Option<UtcMillis>,
    /// Whether it is connected now.
    pub connected: bool,
    /// Since when it is connected.
    #[schema(value_type = Option<String>)]
    pub connected_since: Option<UtcMillis>,
    /// Events it has that this centre has not committed; none while it is not connected.
    pub outbox_depth: Option<u64>,
    /// Milliseconds its clock is ahead of the centre's; none while it is not connected.
    pub clock_offset_ms: Option<i64>,
    /// Until when its newest certificate is good.
    #[schema(value_type = Option<String>)]
    pub certificate_expires_at: Option<UtcMillis>,
    /// Whether its certificates are revoked.
    pub revoked: bool,
    /// `forked case_reopened two_machines`, or none.
    pub quarantined: Option<String>,
    /// Why, in plain words.
    pub alarm: Option<String>,
}

/// What nodes are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NodesAsked {
    /// Of this hall.
    #[param(value_type = Option<String>)]
    hall: Option<HallId>,
}

/// The nodes of one's area.
#[utoipa::path(get, path = "/nodes", tag = "nodes", params(NodesAsked),
    responses((status = 200, body = Page<NodeRow>), (status = 403, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<NodesAsked>,
) -> Result<Json<Page<NodeRow>>, Problem> {
    may_somewhere(&person, Action::SeeNodes)?;
    let mut rows = centre
        .store
        .read(move |sql| {
            let scope = Scope::of(&person, Action::SeeNodes);
            let mut filter = Filter::new();
            filter.within("h.path", &scope).with("n.hall = ?", &asked.hall);
            let (statement, params) = filter.statement(
                "SELECT n.id, n.hall, h.name, n.version, n.enrolled_at, n.last_seen, n.quarantined, n.alarm, \
                 (SELECT MAX(c.expires_at) FROM certificates c WHERE c.node = n.id AND c.revoked_at IS NULL) \
                 FROM nodes n JOIN halls h ON h.id = n.hall",
                "ORDER BY n.id",
                1_000_000,
            );
            sql.query(&statement, &params)?.iter().map(read).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    for row in &mut rows {
        if let Some(link) = centre.nodes.registry().of_node(&row.id) {
            row.connected = true;
            row.connected_since = Some(link.since);
            row.outbox_depth = Some(link.outbox_depth());
            row.clock_offset_ms = Some(link.clock_offset_ms());
            row.version.clone_from(&link.version);
        }
    }
    Ok(Json(Page::whole(rows)))
}

fn read(row: &Row) -> Result<NodeRow, StoreError> {
    let certificate_expires_at: Option<UtcMillis> = row.get(8)?;
    Ok(NodeRow {
        id: row.get(0)?,
        hall: row.get(1)?,
        hall_name: row.get(2)?,
        version: row.get(3)?,
        enrolled_at: row.get(4)?,
        last_seen: row.get(5)?,
        connected: false,
        connected_since: None,
        outbox_depth: None,
        clock_offset_ms: None,
        revoked: certificate_expires_at.is_none(),
        certificate_expires_at,
        quarantined: row.get(6)?,
        alarm: row.get(7)?,
    })
}

/// A pairing code, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeIssued {
    /// The code.
    pub code: String,
    /// The pin of this centre's key.
    pub pin: String,
    /// Until when the code is good.
    #[schema(value_type = String)]
    pub expires_at: UtcMillis,
    /// What to type at the hall's machine.
    pub command: String,
}

/// Issues a pairing code for a hall's machine: 24 hours, single use.
#[utoipa::path(post, path = "/halls/{hall}/pairing-codes", tag = "nodes",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 201, body = CodeIssued), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn pairing_code(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
) -> Result<(StatusCode, Json<CodeIssued>), Problem> {
    let now = centre.clock.now();
    let (asking, at) = (person.clone(), hall.clone());
    centre
        .store
        .write("pairing code audit", move |tx| {
            let place = Place::of_hall(tx, &at)?.ok_or(Denied::Outside)?;
            may(&asking, Action::PairNode, &place)?;
            Ok::<_, Problem>(audit::audit(tx, &asking, "pairing_code.issued", at.as_str(), "", now)?)
        })
        .await?;
    let issued = pairing::issue(&centre.store, hall, person.name.to_string(), now).await?;
    let (code, pin) = (issued.code.reveal(), centre.nodes.pin().to_string());
    // The code is not part of the command: what is typed after a prompt stays out of the machine's process list.
    let command = format!("edge-agent enrol --config /etc/hallwatch/edge.toml --pin {pin}");
    Ok((StatusCode::CREATED, Json(CodeIssued { code, pin, expires_at: issued.expires_at, command })))
}

/// Whether the person may change this node.
async fn may_change(
    centre: &Centre,
    person: Person,
    node: NodeId,
    action: &'static str,
) -> Result<(), Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write(action, move |tx| {
            let row = tx.query_one(
                "SELECT h.path FROM nodes n JOIN halls h ON h.id = n.hall WHERE n.id = $1",
                params![node],
            )?;
            let path: String = row.ok_or(Denied::Outside)?.get(0)?;
            may(&person, Action::EditNodes, &Place::at(path))?;
            Ok::<_, Problem>(audit::audit(tx, &person, action, node.as_str(), "", now)?)
        })
        .await
}

/// Revokes a node's certificates at once and cuts its connections.
#[utoipa::path(post, path = "/nodes/{node}/revoke", tag = "nodes",
    params(("node" = String, Path, description = "node id")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn revoke(
    State(centre): State<Centre>,
    person: Person,
    Named(node): Named<NodeId>,
) -> Result<StatusCode, Problem> {
    let why = format!("revoked by {}", person.name);
    may_change(&centre, person, node.clone(), "node.revoked").await?;
    if centre.nodes.revoke(node, why).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::conflict("this node has no certificate that stands"))
    }
}

/// Lifts a node's quarantine, once somebody has seen to its cause.
#[utoipa::path(post, path = "/nodes/{node}/lift-quarantine", tag = "nodes",
    params(("node" = String, Path, description = "node id")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn lift_quarantine(
    State(centre): State<Centre>,
    person: Person,
    Named(node): Named<NodeId>,
) -> Result<StatusCode, Problem> {
    may_change(&centre, person, node.clone(), "node.quarantine_lifted").await?;
    if centre.nodes.lift_quarantine(node).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::conflict("this node is not in quarantine"))
    }
}
