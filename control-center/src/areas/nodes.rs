//! The nodes of the halls, as technicians and administrators see them: `/nodes`, pairing codes, revoking, lifting a
//! quarantine. What a node may do is decided in `crate::nodes`; here is only who may ask.

use axum::{Json, extract::State, response::Response};
use control_protocol::{Digest, HallId, NodeId, UtcMillis, channel::Order};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, audit, may, may_somewhere},
    nodes::{Nodes, pairing},
    params,
    sheets::{Form, TongueAsked, Value},
    site::{
        export::{Kind, ListFile},
        extract::{Asked, Given, Named},
        list::{Columns, Page, Sort, View, page_of},
        problem::Problem,
    },
    store::{Filter, Row, Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(csv))
        .routes(routes!(pairing_code))
        .routes(routes!(revoke))
        .routes(routes!(lift_quarantine))
        .routes(routes!(commands, order))
        .routes(routes!(dead_events))
}

/// A node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NodeRow {
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
    /// Whose id, hall's name or version holds this.
    q: Option<String>,
    /// `online offline revoked quarantined`.
    #[param(example = "offline")]
    state: Option<String>,
}

const SORTS: [Sort<NodeRow>; 8] = [
    ("id", |a, b| a.id.as_str().cmp(b.id.as_str())),
    ("hall", |a, b| a.hall_name.cmp(&b.hall_name)),
    ("version", |a, b| a.version.cmp(&b.version)),
    ("connected", |a, b| a.connected.cmp(&b.connected)),
    ("seen", |a, b| a.last_seen.cmp(&b.last_seen)),
    ("outbox", |a, b| a.outbox_depth.cmp(&b.outbox_depth)),
    ("certificate", |a, b| a.certificate_expires_at.cmp(&b.certificate_expires_at)),
    ("enrolled", |a, b| a.enrolled_at.cmp(&b.enrolled_at)),
];

impl NodesAsked {
    /// The nodes that the person may see, as they are now.
    async fn rows(self, centre: &Centre, person: Person) -> Result<Vec<NodeRow>, Problem> {
        may_somewhere(&person, Action::SeeNodes)?;
        let hall = self.hall;
        let mut rows = centre
            .store
            .read(move |sql| node_rows(sql, &Scope::of(&person, Action::SeeNodes), &hall))
            .await?;
        nodes_now(&mut rows, &centre.nodes);
        let q = self.q.unwrap_or_default();
        rows.retain(|row| {
            let named = [row.id.as_str(), &row.hall_name, &row.version].iter().any(|text| text.contains(&q));
            named
                && match self.state.as_deref() {
                    Some("online") => row.connected,
                    Some("offline") => !row.connected,
                    Some("revoked") => row.revoked,
                    Some("quarantined") => row.quarantined.is_some(),
                    _ => true,
                }
        });
        Ok(rows)
    }
}

/// The nodes of one's area, by id unless sorted by `id hall version connected seen outbox certificate enrolled`.
#[utoipa::path(get, path = "/nodes", tag = "nodes", params(NodesAsked, View),
    responses((status = 200, body = Page<NodeRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<NodesAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<NodeRow>>, Problem> {
    let rows = asked.rows(&centre, person).await?;
    page_of(rows, &view, &SORTS, "id", |row| row.id.to_string()).map(Json)
}

const NODES: Kind = Kind {
    action: "nodes.exported",
    title: ("节点与证书", "Nodes and certificates"),
    columns: &[
        ("节点", "node"),
        ("大厅", "hall"),
        ("版本", "version"),
        ("在线", "connected"),
        ("最近通信", "last_seen"),
        ("待传事件", "outbox"),
        ("时钟偏差（毫秒）", "clock_offset_ms"),
        ("证书有效期至", "certificate_expires_at"),
        ("已吊销", "revoked"),
        ("隔离", "quarantined"),
        ("接入时间", "enrolled_at"),
    ],
};

/// The nodes as CSV, with the same filters and order; taking it is itself in the audit log.
#[utoipa::path(get, path = "/nodes.csv", tag = "nodes", params(NodesAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<NodesAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    let rows = asked.rows(&centre, person.clone()).await?;
    let page = page_of(rows, &view.all(), &SORTS, "id", |row| row.id.to_string())?;
    let file = ListFile::begin(&centre, &person, &NODES, (Form::Csv, lang), String::new()).await?;
    let yes_no = |yes: bool| Value::Text(if yes { lang.of("是", "yes") } else { lang.of("否", "no") }.into());
    let cells = |row: NodeRow| {
        vec![
            Value::Text(row.id.to_string()),
            Value::Text(row.hall_name),
            Value::Text(row.version),
            yes_no(row.connected),
            Value::known(row.last_seen, Value::At),
            Value::known(row.outbox_depth.and_then(|depth| i64::try_from(depth).ok()), Value::Count),
            Value::known(row.clock_offset_ms, Value::Count),
            Value::known(row.certificate_expires_at, Value::At),
            yes_no(row.revoked),
            row.quarantined.into(),
            Value::At(row.enrolled_at),
        ]
    };
    file.of_rows(page.items.into_iter().map(cells).collect()).await
}

/// When the nodes of a hall were last heard; none: never.
///
/// # Errors
/// The store's.
pub fn last_heard(sql: &mut dyn Sql, hall: &HallId) -> Result<Option<UtcMillis>, StoreError> {
    let row = sql.query_one("SELECT MAX(last_seen) FROM nodes WHERE hall = $1", params![hall])?;
    row.map_or(Ok(None), |row| row.get(0))
}

/// The nodes within `scope`, as the database has them: none of them is connected.
pub fn node_rows(
    sql: &mut dyn Sql,
    scope: &Scope,
    hall: &Option<HallId>,
) -> Result<Vec<NodeRow>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope).with("n.hall = ?", hall);
    let (statement, params) = filter.statement(
        "SELECT n.id, n.hall, h.name, n.version, n.enrolled_at, n.last_seen, n.quarantined, n.alarm, \
         (SELECT MAX(c.expires_at) FROM certificates c WHERE c.node = n.id AND c.revoked_at IS NULL) \
         FROM nodes n JOIN halls h ON h.id = n.hall",
        "ORDER BY n.id",
        1_000_000,
    );
    sql.query(&statement, &params)?.iter().map(read).collect()
}

/// Puts who is connected now over what the database has.
pub fn nodes_now(rows: &mut [NodeRow], nodes: &Nodes) {
    for row in rows {
        if let Some(link) = nodes.registry().of_node(&row.id) {
            row.connected = true;
            row.connected_since = Some(link.since);
            row.outbox_depth = Some(link.outbox_depth());
            row.clock_offset_ms = Some(link.clock_offset_ms());
            row.version.clone_from(&link.version);
            row.alarm = row.alarm.take().or_else(|| link.clock_alarm());
        }
    }
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

/// Where a node stands.
fn place_of(sql: &mut dyn Sql, node: &NodeId) -> Result<Place, Problem> {
    let row = sql.query_one(
        "SELECT h.path FROM nodes n JOIN halls h ON h.id = n.hall WHERE n.id = $1",
        params![node],
    )?;
    Ok(Place::at(row.ok_or(Denied::Outside)?.get::<String>(0)?))
}

/// Whether the person may do this to the node; it is written down that they did.
async fn may_change(
    centre: &Centre,
    person: Person,
    node: NodeId,
    (needed, done, detail): (Action, &'static str, String),
) -> Result<(), Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write(done, move |tx| {
            may(&person, needed, &place_of(tx, &node)?)?;
            Ok::<_, Problem>(audit::audit(tx, &person, done, node.as_str(), &detail, now)?)
        })
        .await
}

/// A command to a node.
#[derive(Debug, Serialize, ToSchema)]
struct CommandRow {
    /// Its id, as the event `command.done` names it.
    id: String,
    /// What to do.
    #[schema(value_type = Object)]
    order: serde_json::Value,
    /// Who asked for it.
    issued_by: String,
    /// When.
    #[schema(value_type = String)]
    issued_at: UtcMillis,
    /// After this it is not done any more.
    #[schema(value_type = String)]
    expires_at: UtcMillis,
    /// When the node had done it, or had failed to.
    #[schema(value_type = Option<String>)]
    done_at: Option<UtcMillis>,
    /// Whether it was done well.
    ok: Option<bool>,
    /// What the node says of it.
    detail: Option<String>,
}

/// The newest hundred commands to a node.
#[utoipa::path(get, path = "/nodes/{node}/commands", tag = "nodes",
    params(("node" = String, Path, description = "node id")),
    responses((status = 200, body = Page<CommandRow>), (status = 404, body = Problem)))]
async fn commands(
    State(centre): State<Centre>,
    person: Person,
    Named(node): Named<NodeId>,
) -> Result<Json<Page<CommandRow>>, Problem> {
    let rows = centre
        .store
        .read(move |sql| {
            may(&person, Action::SeeNodes, &place_of(sql, &node)?)?;
            let rows = sql.query(
                "SELECT id, body, issued_by, issued_at, expires_at, done_at, ok, detail FROM commands \
                 WHERE node = $1 ORDER BY issued_at DESC, id DESC LIMIT 100",
                params![node],
            )?;
            rows.iter().map(command).collect::<Result<Vec<_>, _>>().map_err(Problem::from)
        })
        .await?;
    // Holds are no technician's business: why somebody keeps footage is for those who may see it.
    let shown = rows
        .into_iter()
        .filter(|row| row.order["do"] != "hold_footage" && row.order["do"] != "release_footage");
    Ok(Json(Page::whole(shown.collect())))
}

fn command(row: &Row) -> Result<CommandRow, StoreError> {
    let body: String = row.get(1)?;
    Ok(CommandRow {
        id: row.get(0)?,
        order: serde_json::from_str(&body).map_err(|error| StoreError::Read(error.to_string()))?,
        issued_by: row.get(2)?,
        issued_at: row.get(3)?,
        expires_at: row.get(4)?,
        done_at: row.get(5)?,
        ok: row.get(6)?,
        detail: row.get(7)?,
    })
}

/// An event that is kept apart: it cannot be read, or contradicts what is on record.
#[derive(Debug, Serialize, ToSchema)]
struct DeadEventRow {
    /// SHA-256 of its bytes.
    digest: String,
    /// Its place in the node's journal, where it has one: it counts as committed there.
    epoch: Option<i64>,
    /// Its number there.
    seq: Option<i64>,
    /// Why it is kept apart.
    why: String,
    /// When it came.
    #[schema(value_type = String)]
    received_at: UtcMillis,
    /// How many bytes it has.
    bytes: i64,
    /// Its beginning as text, at most 2,000 characters, for those who may see what happens at windows.
    text: Option<String>,
}

const DEAD: Columns = Columns { sorts: &[("at", "d.received_at")], id: "HEX(d.digest)", usual: "-at" };

/// The events of a node that are kept apart, newest first unless sorted by `at`. They block nothing and are in no figure.
#[utoipa::path(get, path = "/nodes/{node}/dead-events", tag = "nodes",
    params(("node" = String, Path, description = "node id"), View),
    responses((status = 200, body = Page<DeadEventRow>), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn dead_events(
    State(centre): State<Centre>,
    person: Person,
    Named(node): Named<NodeId>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<DeadEventRow>>, Problem> {
    let order = DEAD.order(&view)?;
    let page = centre
        .store
        .read(move |sql| {
            let place = place_of(sql, &node)?;
            may(&person, Action::SeeNodes, &place)?;
            let shown = may(&person, Action::SeeService, &place).is_ok();
            let mut filter = Filter::new();
            filter.one("d.node = ?", &node);
            let columns = "d.digest, d.epoch, d.seq, d.why, d.received_at, d.bytes";
            Ok::<_, Problem>(order.page(sql, filter, columns, "dead_events d", |row| dead_event(row, shown))?)
        })
        .await?;
    Ok(Json(page))
}

fn dead_event(row: &Row, shown: bool) -> Result<DeadEventRow, StoreError> {
    let bytes: Vec<u8> = row.get(5)?;
    Ok(DeadEventRow {
        digest: row.get::<Digest>(0)?.to_string(),
        epoch: row.get(1)?,
        seq: row.get(2)?,
        why: row.get(3)?,
        received_at: row.get(4)?,
        bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        text: shown.then(|| String::from_utf8_lossy(&bytes).chars().take(2_000).collect()),
    })
}

/// How long a command waits for its node, milliseconds: what nobody remembers having asked for must not happen.
const COMMAND_STANDS_MS: i64 = 10 * 60 * 1000;

/// A command that was taken.
#[derive(Debug, Serialize, ToSchema)]
struct CommandTaken {
    /// Its id.
    id: String,
    /// After this it is not done any more.
    #[schema(value_type = String)]
    expires_at: UtcMillis,
}

/// Orders something of a node: `{"do":"restart_camera","camera":"…"}` or `{"do":"report_configuration"}`. It is done
/// once, within ten minutes or not at all; the outcome stands in the list of commands.
#[utoipa::path(post, path = "/nodes/{node}/commands", tag = "nodes", request_body = Object,
    params(("node" = String, Path, description = "node id")),
    responses((status = 202, body = CommandTaken), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn order(
    State(centre): State<Centre>,
    person: Person,
    Named(node): Named<NodeId>,
    Given(order): Given<Order>,
) -> Result<(StatusCode, Json<CommandTaken>), Problem> {
    if matches!(order, Order::KeepFootage { .. }) {
        return Err(Problem::unprocessable(
            "for how long footage is kept is said by /halls/{hall}/recording-rule, by those who may",
        ));
    }
    if matches!(order, Order::HoldFootage { .. } | Order::ReleaseFootage { .. }) {
        return Err(Problem::unprocessable(
            "footage is held and released by /halls/{hall}/recording-holds, by those who may",
        ));
    }
    let words = serde_json::to_string(&order).unwrap_or_default();
    may_change(&centre, person.clone(), node.clone(), (Action::OrderNode, "node.ordered", words)).await?;
    let expires_at = centre.clock.now().plus(COMMAND_STANDS_MS);
    let id = centre.nodes.order(node, &order, person.name.to_string(), expires_at).await?;
    Ok((StatusCode::ACCEPTED, Json(CommandTaken { id, expires_at })))
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
    may_change(&centre, person, node.clone(), (Action::EditNodes, "node.revoked", String::new())).await?;
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
    let done = (Action::EditNodes, "node.quarantine_lifted", String::new());
    may_change(&centre, person, node.clone(), done).await?;
    if centre.nodes.lift_quarantine(node).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::conflict("this node is not in quarantine"))
    }
}
