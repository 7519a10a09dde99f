//! The command channel of one node: who it is (`Hello`), how its cameras are, that it is alive; and downwards leases and
//! commands. Commands are rows, sent again on every new channel until the edge says that they are done.

use std::{sync::Arc, time::Duration};

use control_protocol::{
    NodeId, UtcMillis,
    channel::{MAX_TEXT, ToCentre, ToEdge},
    intake::Quarantine,
    site_pass::RevokedPass,
    websocket::Message,
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    NodeIdentity, Nodes, change, count,
    intake::raise,
    registry::{Joined, Link, OUTBOX},
};
use crate::{
    params,
    site::upgrade::Socket,
    store::{Change, Sql, StoreError},
};

/// The first text must come within this.
const HELLO: Duration = Duration::from_secs(10);
/// A channel that says nothing for so long is dead.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
/// How long one write may take.
const WRITE: Duration = Duration::from_secs(10);
/// How often the centre pings, so that the edge notices a dead link too.
const PING: Duration = Duration::from_secs(5);
/// How often the table of commands is looked at when nobody rings (the command line may add some).
const COMMANDS: Duration = Duration::from_secs(5);
/// Commands sent in one go.
const COMMANDS_AT_ONCE: i64 = 100;

/// Sixteen random bytes, hexadecimal.
pub(super) fn new_command_id() -> Result<String, StoreError> {
    let mut random = [0; 16];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| StoreError::Read("the system gave no random bytes".into()))?;
    Ok(data_encoding::HEXLOWER.encode(&random))
}

/// Serves a channel until it ends. `stop` ends it.
#[tracing::instrument(name = "channel", skip_all, fields(node = %identity.node, hall = %identity.hall))]
pub(super) async fn run(nodes: Nodes, identity: NodeIdentity, mut socket: Socket, stop: CancellationToken) {
    let hello = tokio::select! {
        () = stop.cancelled() => return,
        hello = tokio::time::timeout(HELLO, next_text(&mut socket)) => hello,
    };
    let (hall, version, boot, utc_ms) = match hello {
        Ok(Ok(Some(ToCentre::Hello { hall, version, boot, utc_ms }))) => (hall, version, boot, utc_ms),
        Ok(Ok(Some(_))) => {
            return refuse(&nodes, &mut socket, "the first text of a channel must be hello", true).await;
        }
        Ok(Ok(None)) => return,
        Ok(Err(why)) => return refuse(&nodes, &mut socket, &why, true).await,
        Err(_) => return refuse(&nodes, &mut socket, "no hello came within ten seconds", true).await,
    };
    if hall != identity.hall {
        let why = format!(
            "this agent is configured for hall {hall}, but its certificate is for hall {}: correct the hall's id in its \
             configuration, or pair it anew for {hall}",
            identity.hall
        );
        return refuse(&nodes, &mut socket, &why, false).await;
    }
    let now = nodes.now();
    let short = |text: String| text.chars().take(128).collect::<String>();
    let (out, texts) = mpsc::channel(OUTBOX);
    let link = Arc::new(Link::new(&identity, short(boot), short(version), now, out, stop.child_token()));
    if let Joined::TwoMachines { other } = nodes.registry().join(&link) {
        let words = "a second machine dialled with this node's certificate while the first was connected: two agents \
                     run with one identity; stop one of them, and pair the other with a code of its own";
        tracing::error!(
            first = other,
            second = link.boot,
            "two machines hold one certificate; the second is refused"
        );
        let node = link.node.clone();
        let raised = nodes
            .store()
            .write("two machines", move |tx| {
                raise(tx.sql, &mut tx.changes, &node, Quarantine::TwoMachines, words)
            })
            .await;
        if let Err(error) = raised {
            tracing::error!(%error, "the alarm could not be stored");
        }
        let why = "another machine is connected with this node's certificate: this one is refused; if this is the right \
                   machine, stop the other, else pair this one with a code of its own";
        return refuse(&nodes, &mut socket, why, false).await;
    }
    link.alive(0, utc_ms - now.0);
    tracing::info!(
        version = link.version,
        boot = link.boot,
        clock_ahead_ms = utc_ms - now.0,
        "a node is connected"
    );
    came(&nodes, &link).await;
    seen(&nodes, &link).await;
    tell_revoked(&nodes, &link).await;
    let why = talk(&nodes, &link, &mut socket, texts).await;
    for camera in nodes.registry().leave(&link, nodes.now()) {
        nodes.store().announce(Change::Camera(camera));
    }
    seen(&nodes, &link).await;
    tracing::warn!(why, "a node's channel is gone");
}

/// Notes with which certificate the node came. Not again while the channel stands: it may renew it meanwhile.
async fn came(nodes: &Nodes, link: &Arc<Link>) {
    let (now, signer, link) = (nodes.now(), nodes.follows(), link.clone());
    let noted = nodes
        .store()
        .write("certificate in use", move |tx| change::came(tx, &link.node, &link.serial, signer, now))
        .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "which certificate the node holds could not be stored");
    }
}

/// Notes that the node is here, and which version it runs.
async fn seen(nodes: &Nodes, link: &Arc<Link>) {
    let (now, link) = (nodes.now(), link.clone());
    let noted = nodes
        .store()
        .write("node seen", move |tx| {
            tx.execute(
                "UPDATE nodes SET last_seen = $2, version = $3 WHERE id = $1",
                params![link.node, now, link.version],
            )?;
            tx.changes.push(Change::Node(link.node.clone()));
            Ok::<_, StoreError>(())
        })
        .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "when the node was last seen could not be stored");
    }
}

async fn refuse(nodes: &Nodes, socket: &mut Socket, why: &str, retry: bool) {
    count(&nodes.figures().refused_channels, 1);
    tracing::warn!(why, retry, "a command channel is refused");
    let text = ToEdge::Refused { why: why.to_owned(), retry };
    let said = async {
        write(socket, &text).await?;
        socket.close(1000, "refused").await.map_err(|error| error.to_string())
    };
    if let Ok(Err(error)) | Err(error) =
        tokio::time::timeout(WRITE, said).await.map_err(|_| "timed out".to_owned())
    {
        tracing::debug!(error, "the refusal did not reach the edge");
    }
}

async fn write(socket: &mut Socket, text: &ToEdge) -> Result<(), String> {
    let text = serde_json::to_string(text).map_err(|error| error.to_string())?;
    socket.send(Message::Text(text)).await.map_err(|error| error.to_string())
}

/// The next text, read; `None` at the end of the channel, `Err` in plain words when it says what this end does not know.
async fn next_text(socket: &mut Socket) -> Result<Option<ToCentre>, String> {
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Text(text)) if text.len() <= MAX_TEXT => {
                return serde_json::from_str(&text)
                    .map(Some)
                    .map_err(|error| format!("a text of the channel cannot be read: {error}"));
            }
            Ok(Message::Text(_)) => return Err("a text of the channel is too long".into()),
            Ok(Message::Close { .. }) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// The talk of an accepted channel; gives why it ended.
async fn talk(
    nodes: &Nodes,
    link: &Arc<Link>,
    socket: &mut Socket,
    mut texts: mpsc::Receiver<ToEdge>,
) -> String {
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval(PING);
    let mut commands = tokio::time::interval(COMMANDS);
    let mut noted = Instant::now();
    let mut sent = std::collections::HashSet::new();
    let mut authorities = nodes.authorities().watch();
    authorities.mark_changed();
    loop {
        tokio::select! {
            () = link.closed.cancelled() => return "the centre closed it".into(),
            () = tokio::time::sleep_until(heard + SILENCE) => return "nothing was heard for 15 seconds".into(),
            message = socket.next() => {
                let message = match message {
                    None => return "the edge closed it".into(),
                    Some(Err(error)) => return format!("the connection broke: {error}"),
                    Some(Ok(message)) => message,
                };
                heard = Instant::now();
                match message {
                    Message::Text(text) => match serde_json::from_str(&text) {
                        Ok(text) => hear(nodes, link, text),
                        // A newer edge may say what this centre does not know; everything else goes on.
                        Err(error) => tracing::warn!(%error, "a text of the channel cannot be read"),
                    },
                    Message::Close { .. } => return "the edge closed it".into(),
                    _ => {}
                }
                if noted.elapsed() > Duration::from_secs(30) {
                    noted = Instant::now();
                    seen(nodes, link).await;
                }
            }
            Ok(()) = authorities.changed() => {
                let text = ToEdge::Authorities { pem: nodes.authorities().trusted_pem() };
                match tokio::time::timeout(WRITE, write(socket, &text)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return format!("the connection broke: {error}"),
                    Err(_) => return "the edge does not read".into(),
                }
            }
            text = texts.recv() => {
                let Some(text) = text else { return "the centre closed it".into() };
                let wrote = tokio::time::timeout(WRITE, async {
                    write(socket, &text).await
                }).await;
                match wrote {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return format!("the connection broke: {error}"),
                    Err(_) => return "the edge does not read".into(),
                }
            }
            _ = ping.tick() => {
                match tokio::time::timeout(WRITE, socket.send(Message::Ping(bytes::Bytes::new()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return format!("the connection broke: {error}"),
                    Err(_) => return "the edge does not read".into(),
                }
            }
            _ = commands.tick() => send_commands(nodes, link, &mut sent).await,
            () = link.orders.notified() => send_commands(nodes, link, &mut sent).await,
        }
    }
}

fn hear(nodes: &Nodes, link: &Arc<Link>, text: ToCentre) {
    match text {
        ToCentre::Hello { .. } => tracing::warn!("a second hello on one channel; passed over"),
        ToCentre::Cameras { cameras } => {
            for camera in nodes.registry().report(link, cameras) {
                nodes.store().announce(Change::Camera(camera));
            }
        }
        ToCentre::LeaseFailed { lease, state, why } => {
            if let Some(entry) = nodes.leases().find(&lease, &link.hall) {
                let why: String = why.chars().take(300).collect();
                entry.side.failed(&lease, state, &why);
            }
        }
        ToCentre::Answer { id, answer } => link.asks.answer(id, answer),
        ToCentre::AnswerPart { id, part } => link.asks.part(id, &part),
        ToCentre::Alive { outbox_depth, utc_ms } => link.alive(outbox_depth, utc_ms - nodes.now().0),
    }
}

/// Tells an edge which site passes of its hall were taken back, for as long as they would stand.
async fn tell_revoked(nodes: &Nodes, link: &Arc<Link>) {
    let (hall, now) = (link.hall.clone(), nodes.now());
    let read = nodes
        .store()
        .read(move |sql| {
            let rows = sql.query(
                "SELECT id, until_at FROM site_passes WHERE hall = $1 AND revoked_at IS NOT NULL AND until_at > $2",
                params![hall, now],
            )?;
            let read = |row: &crate::store::Row| Ok(RevokedPass { id: row.get(0)?, until: row.get(1)? });
            rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()
        })
        .await;
    match read {
        Ok(passes) if passes.is_empty() => {}
        Ok(passes) => {
            for passes in passes.chunks(1000) {
                link.send(ToEdge::PassesRevoked { passes: passes.to_vec() });
            }
        }
        Err(error) => tracing::error!(%error, "the edge could not be told which passes were taken back"),
    }
}

/// Sends the commands that are not done and have not been sent on this channel.
async fn send_commands(nodes: &Nodes, link: &Arc<Link>, sent: &mut std::collections::HashSet<String>) {
    let (node, now) = (link.node.clone(), nodes.now());
    match nodes.store().read(move |sql| open_commands(sql, &node, now)).await {
        Ok(open) => {
            sent.retain(|id| open.iter().any(|(held, _, _)| held == id));
            for (id, body, expires_at) in open {
                if sent.contains(&id) {
                    continue;
                }
                match serde_json::from_str(&body) {
                    Ok(order) => {
                        if !link.send(ToEdge::Command { id: id.clone(), expires_at, order }) {
                            return;
                        }
                    }
                    Err(error) => tracing::error!(command = id, %error, "a stored command cannot be read"),
                }
                sent.insert(id);
            }
        }
        Err(error) => tracing::warn!(%error, "commands cannot be read from the store; tried again soon"),
    }
}

fn open_commands(
    sql: &mut dyn Sql,
    node: &NodeId,
    now: UtcMillis,
) -> Result<Vec<(String, String, UtcMillis)>, StoreError> {
    let rows = sql.query(
        "SELECT id, body, expires_at FROM commands WHERE node = $1 AND done_at IS NULL AND expires_at > $2 \
         ORDER BY issued_at, id LIMIT $3",
        params![node, now, COMMANDS_AT_ONCE],
    )?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}
